"""Where the NTFS volume is on a disk image: tables made by hand, and by sfdisk; hostile ones too."""

from __future__ import annotations

import struct

import pytest

from tests.unit.disks.tables import Disk, gpt, mbr, mended, with_ntfs
from wclayer.disks.partitions import Partition, find_volume, partitions
from wclayer.errors import DiskError, NotFoundError, UnsupportedError

SIZE = 16 << 20
BOUND = (4 << 20) + (1 << 20)  # bytes that are read of any disk: the largest table, and little else

# What sfdisk (util-linux 2.38.1) wrote on disks of 16 MiB, by offset; the rest up to the end of the table is zeros.
SFDISK_512 = {
    0x1C0: "0200eeffffff01000000ff7f0000",
    0x1FE: "55aa",
    0x200: "4546492050415254000001005c000000eb6054390000000001000000000000"
    "00ff7f0000000000000008000000000000de7f00000000000067452301ab89efcd0123456789abcdef0200000000000000"
    "800000008000000034e93bbd00000000",
    0x480: "a2a0d0ebe5b9334487c068b6b72699c7111111112222333344445555555555550008000000000000ff0f000000000000"
    "00000000000000004200610073006900630020006400610074006100200070006100720074006900740069006f006e00",
    0x600: "28732ac11ff8d211ba4b00a0c93ec93baaaaaaaabbbbccccddddeeeeeeeeeeee0020000000000000ff2f000000000000",
}
SFDISK_4096 = {
    0x1C0: "0200eeffffff01000000ff0f0000",
    0x1FE: "55aa",
    0x1000: "4546492050415254000001005c000000c660df390000000001000000000000"
    "00ff0f0000000000000001000000000000fa0f00000000000067452301ab89efcd0123456789abcdef0200000000000000"
    "8000000080000000f4cea1f400000000",
    0x2080: "a2a0d0ebe5b9334487c068b6b72699c7111111112222333344445555555555550001000000000000ff01000000000000"
    "00000000000000004200610073006900630020006400610074006100200070006100720074006900740069006f006e00",
}
SFDISK_MBR = {
    0x1B8: "785634120000002021000741010000080000000800000000",
    0x1DE: "8082030083c303000020000000100000",
    0x1FE: "55aa",
}


def disk_of(pieces: dict[int, str], size: int) -> bytearray:
    data = bytearray(size)
    for offset, text in pieces.items():
        piece = bytes.fromhex(text)
        data[offset : offset + len(piece)] = piece
    return data


def found_in(data: bytes | bytearray, number: int | None = None) -> Partition:
    return find_volume(Disk(data), "d.img", number)


def table_of(data: bytes | bytearray) -> list[Partition]:
    return partitions(Disk(data), "d.img")


# --- what others wrote ----------------------------------------------------------------------------


def test_a_gpt_of_sfdisk() -> None:
    table = [Partition(2, 2048 * 512, 2048 * 512), Partition(5, 8192 * 512, 4096 * 512)]
    data = disk_of(SFDISK_512, 34 * 512)
    assert table_of(with_ntfs(data, SIZE, [])) == table
    assert found_in(with_ntfs(data, SIZE, [2048 * 512])) == table[0]
    assert found_in(with_ntfs(data, SIZE, [8192 * 512])) == table[1]
    assert found_in(with_ntfs(data, SIZE, [2048 * 512, 8192 * 512]), 5) == table[1]


def test_a_gpt_of_sfdisk_on_a_disk_with_sectors_of_4096_bytes() -> None:
    data = disk_of(SFDISK_4096, 6 * 4096)
    assert table_of(data) == [Partition(2, 1 << 20, 1 << 20)]
    assert found_in(with_ntfs(data, SIZE, [1 << 20])) == Partition(2, 1 << 20, 1 << 20)


def test_an_mbr_of_sfdisk() -> None:
    table = [Partition(1, 2048 * 512, 2048 * 512), Partition(3, 8192 * 512, 4096 * 512)]
    data = disk_of(SFDISK_MBR, 512)
    assert table_of(data) == table
    assert found_in(with_ntfs(data, SIZE, [8192 * 512])) == table[1]


def test_our_tables_are_those_of_sfdisk() -> None:
    """What is wrong in the tables of the other tests is what they say, and nothing else."""
    one = {at: piece for at, piece in SFDISK_512.items() if at != 0x600}
    assert gpt([(2, 2048, 4095)]) == mended(disk_of(one, 34 * 512))
    assert gpt([(2, 256, 511)], 4096, sector=4096) == disk_of(SFDISK_4096, 6 * 4096)
    ours, theirs = bytearray(mbr([(1, 7, 2048, 2048), (3, 0x83, 8192, 4096)], 0x12345678)), disk_of(SFDISK_MBR, 512)
    for entry in range(446, 510, 16):
        theirs[entry : entry + 4] = bytes(4)  # which is bootable, and cylinders, heads and sectors
        theirs[entry + 5 : entry + 8] = bytes(3)
    assert ours == theirs


# --- which volume ---------------------------------------------------------------------------------


@pytest.mark.parametrize("sector", [512, 4096])
@pytest.mark.parametrize("number", [1, 2, 77, 128])
def test_the_only_volume(sector: int, number: int) -> None:
    first, last = (1 << 20) // sector, (2 << 20) // sector - 1
    data = with_ntfs(gpt([(number, first, last)], sector=sector), SIZE, [1 << 20])
    expected = Partition(number, 1 << 20, 1 << 20)
    assert table_of(data) == [expected]
    assert found_in(data) == found_in(data, number) == expected


def test_a_bare_volume() -> None:
    assert found_in(with_ntfs(b"", SIZE, [0])) == Partition(None, 0, SIZE)
    # Its own boot sector ends as an MBR does.
    data = with_ntfs(mbr([(1, 7, 2048, 2048)]), SIZE, [0, 2048 * 512])
    assert found_in(data) == Partition(None, 0, SIZE)
    with pytest.raises(NotFoundError, match="no partition 1: the image is one volume"):
        found_in(data, 1)


@pytest.mark.parametrize("table", ["gpt", "mbr"])
def test_several_volumes(table: str) -> None:
    front = (
        gpt([(1, 2048, 4095), (3, 4096, 8191), (7, 8192, 9000)])
        if table == "gpt"
        else mbr([(1, 7, 2048, 2048), (3, 7, 4096, 4096), (4, 7, 8192, 809)])
    )
    data = with_ntfs(front, SIZE, [2048 * 512, 4096 * 512])
    with pytest.raises(DiskError, match=r"several partitions with NTFS; got partitions 1, 3 -- say which"):
        found_in(data)
    assert found_in(data, 1) == Partition(1, 2048 * 512, 2048 * 512)
    assert found_in(data, 3) == Partition(3, 4096 * 512, 4096 * 512)
    last = 7 if table == "gpt" else 4
    with pytest.raises(DiskError, match=f"partition {last} has no NTFS"):
        found_in(data, last)
    for number in (0, 2, 5, -1, 1 << 70):
        with pytest.raises(NotFoundError, match=f"no partition {number}; expected one of 1, 3, {last}"):
            found_in(data, number)


def test_no_volume() -> None:
    with pytest.raises(DiskError, match="no partition with NTFS; got partitions 1, 4"):
        found_in(with_ntfs(mbr([(1, 0x83, 2048, 2048), (4, 0x82, 8192, 100)]), SIZE, []))
    with pytest.raises(DiskError, match=r"expected NTFS, or a partition table; got an empty image"):
        found_in(bytes(SIZE))
    with pytest.raises(DiskError, match=r"expected NTFS, or a partition table; got an empty image"):
        found_in(b"")
    with pytest.raises(DiskError, match=r"expected NTFS, or a partition table -- "):
        found_in(b"\1" * 4096)
    with pytest.raises(DiskError, match="no disk with an NTFS volume"):
        found_in(gpt([]).ljust(SIZE, b"\0"))  # a table without partitions
    with pytest.raises(DiskError, match="no disk with an NTFS volume"):
        found_in(mbr([]).ljust(SIZE, b"\0"))


def test_a_gpt_that_an_older_table_left() -> None:
    """Without a protective entry in the MBR no system looks at a GPT."""
    left = gpt([(1, 4096, 8191)])
    stale = mbr([(1, 7, 2048, 2048)]) + left[512:]
    volumes = [2048 * 512, 4096 * 512]
    assert found_in(with_ntfs(stale, SIZE, volumes)) == Partition(1, 2048 * 512, 2048 * 512)
    hybrid = mbr([(1, 0xEE, 1, 2047), (2, 7, 2048, 2048)]) + left[512:]
    assert found_in(with_ntfs(hybrid, SIZE, volumes)) == Partition(1, 4096 * 512, 4096 * 512)
    # A first sector that is gone is no other table.
    assert found_in(with_ntfs(bytes(512) + left[512:], SIZE, volumes)) == Partition(1, 4096 * 512, 4096 * 512)


def test_partitions_that_are_none() -> None:
    """Unused entries, whatever else is in them, and protective ones."""
    assert table_of(mbr([(1, 0, 2048, 2048), (2, 7, 2048, 0), (3, 0xEE, 1, 100), (4, 7, 1, 1)])) == [
        Partition(4, 512, 512)
    ]
    unused = gpt([(1, 2048, 4095), (2, 5000, 4999), (3, 5000, 5000)])
    unused[1024:1040] = bytes(16)
    assert table_of(mended(unused)) == [Partition(3, 5000 * 512, 512)]


def test_entries_may_be_larger() -> None:
    assert table_of(gpt([(1, 2048, 4095), (4, 5000, 5001)], count=4, each=4096)) == [
        Partition(1, 2048 * 512, 2048 * 512),
        Partition(4, 5000 * 512, 1024),
    ]
    header = gpt([(2, 2048, 4095)], length=512)
    assert table_of(header) == [Partition(2, 2048 * 512, 2048 * 512)]
    header[700] ^= 1  # what the checksum covers too
    with pytest.raises(DiskError, match="checksum"):
        table_of(header)


@pytest.mark.parametrize(
    ("magic", "name"),
    [
        (b"vhdxfile", "VHDX"),
        (b"conectix", "VHD"),
        (b"QFI\xfb\0\0\0\3", "QCOW2"),
        (b"KDMV\1\0\0\0", "VMDK"),
        (b"<<< Oracle VM VirtualBox Disk Image >>>\n", "VirtualBox"),
        (b"MSWIM\0\0\0", "WIM"),
    ],
)
def test_formats_that_are_no_plain_disks(magic: bytes, name: str) -> None:
    for rest in (bytes(SIZE), mbr([(1, 7, 1, 1)])[len(magic) :], b""):
        with pytest.raises(UnsupportedError, match=rf"d\.img: a {name} image.*qemu-img convert -O raw d\.img") as met:
            found_in(magic + rest)
        assert met.value.exit_code == 17


def test_bitlocker() -> None:
    bare = with_ntfs(b"", SIZE, [0], b"-FVE-FS-")
    part = with_ntfs(gpt([(1, 2048, 4095), (2, 4096, 8191)]), SIZE, [2048 * 512], b"-FVE-FS-")
    for data, number in ((bare, None), (bare, 1), (part, None), (part, 1)):
        with pytest.raises(UnsupportedError, match="encrypted by BitLocker -- decrypt it on Windows"):
            found_in(data, number)
    # The other one can be had.
    both = bytearray(part)
    both[4096 * 512 + 3 :][:8] = both[4096 * 512 + 3 : 4096 * 512 + 11] = b"NTFS    "
    assert found_in(both, 2) == Partition(2, 4096 * 512, 4096 * 512)


# --- cut off, damaged, hostile -----------------------------------------------------------------------


def test_an_image_that_is_cut_off() -> None:
    data = with_ntfs(gpt([(1, 2048, 4095)]), SIZE, [2048 * 512])
    assert found_in(data[: 4096 * 512]).size == 2048 * 512
    for number in (None, 1):
        with pytest.raises(DiskError, match=r"partition 1 ends beyond .* expected at least 2,097,152 bytes; got 2,09"):
            found_in(data[: 4096 * 512 - 1], number)
        with pytest.raises(DiskError, match=r"cut off|no partition with NTFS"):
            found_in(data[: 2048 * 512 + 5], number)


def test_every_cut_of_a_table() -> None:
    data = gpt([(1, 2048, 4095)])
    for size in (*range(0, 1200, 7), *range(1200, len(data), 997), len(data) - 1):
        with pytest.raises(DiskError):
            found_in(data[:size])
    assert table_of(data) == [Partition(1, 2048 * 512, 2048 * 512)]


def test_every_damaged_byte_of_a_table() -> None:
    whole = with_ntfs(gpt([(1, 2048, 4095)], count=4), 4096 * 512, [2048 * 512])
    for at in (*range(512, 604), *range(1024, 1024 + 4 * 128, 5)):
        data = bytearray(whole)
        data[at] ^= 0x40
        with pytest.raises(DiskError):
            found_in(data)


HOSTILE = [
    {"count": 0xFFFFFFFF},
    {"count": 1025},
    {"count": 1024, "each": 4096},
    {"each": 0},
    {"each": 1},
    {"each": 127},
    {"each": 4097},
    {"each": 0xFFFFFFFF},
    {"each": 0xFFFFFFFF, "count": 0xFFFFFFFF},
    {"length": 0},
    {"length": 91},
    {"length": 513},
    {"length": 0xFFFFFFFF},
    {"start": (1 << 64) - 1},
    {"start": 1 << 55},
    {"start": 1 << 54},
    {"start": 1 << 20},
    {"start": 33},
    {"start": 34},
    {"start": 35},
]


@pytest.mark.parametrize("right", [False, True], ids=["wrong checksum", "right checksum"])
@pytest.mark.parametrize("fields", HOSTILE, ids=str)
def test_headers_that_cannot_be_right(fields: dict[str, int], right: bool) -> None:
    """Also where somebody made the checksums of what there is: of a table that is beyond the end of the image."""
    data = gpt([(1, 2048, 4095)])
    for name, (at, form) in {
        "length": (12, "<I"),
        "start": (72, "<Q"),
        "count": (80, "<I"),
        "each": (84, "<I"),
    }.items():
        if name in fields:
            struct.pack_into(form, data, 512 + at, fields[name])
    if right:
        mended(data)
    disk = Disk(data)
    with pytest.raises(DiskError, match="partition table"):
        find_volume(disk, "d.img")
    assert disk.most <= 4 << 20
    assert disk.asked <= BOUND


@pytest.mark.parametrize(
    ("first", "last"),
    [
        (0, (1 << 64) - 1),
        (1, (1 << 64) - 1),
        ((1 << 64) - 1, (1 << 64) - 1),
        (1 << 54, 1 << 55),
        (1 << 40, 1 << 41),
        (32767, 32768),
        (32768, 32768),
    ],
)
def test_partitions_that_are_not_on_the_disk(first: int, last: int) -> None:
    data = gpt([(1, first, last), (2, 2048, 4095)])
    disk = Disk(with_ntfs(data, SIZE, [2048 * 512]))
    assert find_volume(disk, "d.img") == Partition(2, 2048 * 512, 2048 * 512)
    with pytest.raises(DiskError, match="partition 1 ends beyond the end of the image"):
        find_volume(disk, "d.img", 1)
    assert disk.asked < 100_000


def test_an_mbr_with_partitions_beyond_the_end() -> None:
    data = with_ntfs(mbr([(1, 7, 0xFFFFFFFF, 0xFFFFFFFF), (2, 7, 2048, 0xFFFFFFFF)]), SIZE, [2048 * 512])
    with pytest.raises(DiskError, match="partition 2 ends beyond"):
        found_in(data)
    with pytest.raises(DiskError, match="partition 1 ends beyond"):
        found_in(data, 1)


def test_a_table_with_the_most_partitions() -> None:
    """However many they are, the error is one line that can be read."""
    parts = [(number, 2048 + number, 2048 + number) for number in range(1, 1025)]
    data = with_ntfs(gpt(parts, count=1024), SIZE, [(2048 + number) * 512 for number in range(1, 1025)])
    disk = Disk(data)
    with pytest.raises(DiskError, match="several partitions with NTFS") as met:
        find_volume(disk, "d.img")
    assert len(str(met.value)) < 500
    assert disk.asked < BOUND
    with pytest.raises(NotFoundError, match="no partition 2000") as none:
        find_volume(disk, "d.img", 2000)
    assert len(str(none.value)) < 500
