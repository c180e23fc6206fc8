"""disk:IMAGE//DIR of a volume whose $LogFile says that it was not unmounted cleanly: what Windows leaves of a crash.

The restart pages are made here, as ntfs-3g's logfile.h describes them: mkntfs and ntfs-3g leave an empty journal.
"""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path

import pytest

from tests.compat import ntfs
from tests.compat.tools import tool, wclayer
from tests.tars import BASE, M, build

TAR = build([*BASE, M("Files/f", b"content")])
PAGE = CLUSTER = 4096
RECORD = 1024  # bytes of a file record
NONE = 0xFFFF  # LOGFILE_NO_CLIENT
CLEAN = 2  # RESTART_VOLUME_IS_CLEAN
DATA = 0x80  # $DATA


@pytest.fixture(autouse=True)
def _tools() -> None:
    ntfs.require_mounts("ntfs-3g.probe", "sfdisk")


def restart_page(size: int, *, in_use: bool, clean: bool, version: tuple[int, int] = (1, 1)) -> bytes:
    """A restart page of a journal of `size` bytes: RESTART_PAGE_HEADER, RESTART_AREA, and one client, NTFS itself."""
    page = bytearray(PAGE)
    major, minor = version
    struct.pack_into("<4sHHQIIHHH", page, 0, b"RSTR", 0x1E, 9, 0, PAGE, PAGE, 0x30, minor, major)
    free, used = (NONE, 0) if in_use else (0, NONE)
    flags = CLEAN if clean else 0
    bits = 67 - size.bit_length()
    area = (0x1000, 1, free, used, flags, bits, 0x30 + 160, 0x30, size, 0, 0x30, 0x40, 1, 0)
    struct.pack_into("<QHHHHIHHQIHHII", page, 0x30, *area)
    struct.pack_into("<QQHHH6xI128s", page, 0x60, 0, 0, NONE, NONE, 0, 8, "NTFS".encode("utf-16-le"))
    # The update sequence: the last two bytes of each sector are kept beside its number.
    struct.pack_into("<H", page, 0x1E, 1)
    for sector in range(PAGE // 512):
        end = 512 * (sector + 1) - 2
        page[0x20 + 2 * sector : 0x22 + 2 * sector] = page[end : end + 2]
        struct.pack_into("<H", page, end, 1)
    return bytes(page)


def start_of(data: bytes | bytearray) -> int:
    return 0 if data[3:7] == b"NTFS" else 1 << 20


def journal(data: bytes | bytearray) -> tuple[int, int]:
    """Where the journal of an image is, and its size."""
    start = start_of(data)
    record = start + struct.unpack_from("<Q", data, start + 0x30)[0] * CLUSTER + 2 * RECORD
    assert data[record : record + 4] == b"FILE"
    at = record + struct.unpack_from("<H", data, record + 0x14)[0]
    while struct.unpack_from("<I", data, at)[0] != DATA:
        at += struct.unpack_from("<I", data, at + 4)[0]
    (size,) = struct.unpack_from("<Q", data, at + 0x30)
    runs = at + struct.unpack_from("<H", data, at + 0x20)[0]
    lengths, offsets = data[runs] & 15, data[runs] >> 4
    length = int.from_bytes(data[runs + 1 : runs + 1 + lengths], "little")
    first = int.from_bytes(data[runs + 1 + lengths : runs + 1 + lengths + offsets], "little")
    assert length * CLUSTER == size  # in one piece
    return start + first * CLUSTER, size


def with_journal(disk: Path, *, in_use: bool, clean: bool, version: tuple[int, int] = (1, 1)) -> None:
    """Give the volume a journal that says so, in both of its restart pages."""
    data = bytearray(disk.read_bytes())
    at, size = journal(data)
    data[at : at + 2 * PAGE] = restart_page(size, in_use=in_use, clean=clean, version=version) * 2
    disk.write_bytes(data)


def probe(disk: Path) -> int:
    """What ntfs-3g.probe says of the volume alone."""
    data = disk.read_bytes()
    volume = disk.with_name("volume.img")
    volume.write_bytes(data[start_of(data) :])
    try:
        return subprocess.run([tool("ntfs-3g.probe"), "--readwrite", volume], check=False).returncode
    finally:
        volume.unlink()


@pytest.fixture(params=["partition", "bare"])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / "layers.img"
    bare = ["--bare"] if request.param == "bare" else []
    done = wclayer("disk", "create", "--size", "32M", *bare, path)
    assert done.returncode == 0, done.stderr
    done = wclayer("import", f"disk:{path}//base", stdin=TAR)
    assert done.returncode == 0, done.stderr
    return path


def refuses(disk: Path, what: str, hint: str) -> None:
    before = disk.read_bytes()
    output = disk.with_name("out.tar")
    commands: tuple[tuple[str | Path, ...], ...] = (
        ("import", f"disk:{disk}//new"),
        ("import", "--force", f"disk:{disk}//base"),
        ("export", f"disk:{disk}//base"),
        ("export", "-o", output, f"disk:{disk}//base"),
    )
    for command in commands:
        done = wclayer(*command, stdin=TAR)
        said = done.stderr.decode()
        assert (done.returncode, done.stdout, said.count("\n")) == (10, b"", 1), said
        assert what in said
        assert hint in said
        assert str(disk) in said
    assert not output.exists()
    assert disk.read_bytes() == before  # nobody emptied the journal, which chkdsk needs


def works(disk: Path) -> None:
    done = wclayer("export", f"disk:{disk}//base")
    assert (done.returncode, done.stdout) == (0, TAR), done.stderr


def test_not_unmounted_cleanly(disk: Path) -> None:
    with_journal(disk, in_use=True, clean=False)
    assert probe(disk) == 15
    refuses(disk, "not unmounted cleanly", "chkdsk /f")


@pytest.mark.parametrize(("in_use", "clean"), [(True, True), (False, False), (False, True)])
def test_a_journal_that_windows_has_closed(disk: Path, in_use: bool, clean: bool) -> None:
    """The same pages, but for what they say: it is not that they are there."""
    with_journal(disk, in_use=in_use, clean=clean)
    assert probe(disk) == 0
    works(disk)
    done = wclayer("import", f"disk:{disk}//new", stdin=TAR)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(("in_use", "clean"), [(True, False), (True, True), (False, False)])
def test_the_journal_of_a_windows_that_still_has_the_volume(disk: Path, in_use: bool, clean: bool) -> None:
    """Version 2.0, of Windows 8 and later, becomes 1.1 when it lets go of the volume: not by its fast start."""
    with_journal(disk, in_use=in_use, clean=clean, version=(2, 0))
    assert probe(disk) == 14
    refuses(disk, "hibernates", "shutdown /s /t 0")


def test_a_damaged_journal(disk: Path) -> None:
    """Whether it was clean cannot be told."""
    with_journal(disk, in_use=False, clean=True)
    data = bytearray(disk.read_bytes())
    at, _ = journal(data)
    for page in (at, at + PAGE):
        struct.pack_into("<H", data, page + 0x18, 0x31)  # a restart area that is not aligned
    disk.write_bytes(data)
    assert probe(disk) == 15
    refuses(disk, "not unmounted cleanly", "chkdsk /f")
