"""Partition tables of any bytes: our own errors alone, little is read, and what is found lies on the disk."""

from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st

from tests.unit.disks.tables import Disk, gpt, mbr, mended, with_ntfs
from wclayer.disks.partitions import find_volume, partitions
from wclayer.errors import DiskError, NotFoundError, UnsupportedError

BOUND = (4 << 20) + (1 << 20)
SIZE = 64 << 10
NUMBERS = st.none() | st.integers(-1, 5) | st.integers()
EDGES = st.sampled_from([0, 1, 127, 128, 129, 1024, 1025, 4096, 4097, (1 << 31) - 1, (1 << 32) - 1])
POSITIONS = st.one_of(
    st.integers(0, SIZE // 512 + 2), st.integers(0, (1 << 64) - 1), st.sampled_from([1 << 54, 1 << 55, (1 << 64) - 1])
)


def looked_at(data: bytes | bytearray, number: int | None) -> None:
    disk = Disk(data)
    try:
        found = find_volume(disk, "d.img", number)
    except (DiskError, NotFoundError, UnsupportedError) as error:
        assert len(str(error)) < 600  # noqa: PT017 # the message must be made, too
    else:
        assert data[found.offset + 3 : found.offset + 11] == b"NTFS    "
        assert 0 <= found.offset < found.offset + found.size <= len(data)
        assert number is None or found.number == number
    assert disk.most <= 4 << 20
    assert disk.asked <= BOUND


@given(st.binary(max_size=5000), NUMBERS)
def test_any_bytes(data: bytes, number: int | None) -> None:
    looked_at(data, number)


@given(st.binary(min_size=440, max_size=510), st.binary(max_size=9000), NUMBERS)
def test_any_bytes_after_what_begins_as_a_table(front: bytes, rest: bytes, number: int | None) -> None:
    looked_at(front.rjust(510, b"\0") + b"\x55\xaa" + rest, number)
    looked_at(front.rjust(510, b"\0") + b"\x55\xaaEFI PART" + rest, number)


@st.composite
def broken(draw: st.DrawFn) -> bytearray:
    """A GPT with a few bytes or fields changed, cut off somewhere, mostly with the right checksums for what it says."""
    sector = draw(st.sampled_from([512, 512, 4096]))
    count = draw(st.sampled_from([4, 128]))
    first = draw(POSITIONS)
    parts = [(1, first, draw(POSITIONS)), (3, draw(POSITIONS), draw(POSITIONS)), (4, 96, 100)]
    table = gpt(parts, sector=sector, count=count)
    data = bytearray(with_ntfs(table, SIZE, [96 * sector] if 96 * sector < SIZE - 512 else []))
    for _ in range(draw(st.integers(0, 3))):
        at, form, values = draw(
            st.sampled_from(
                [
                    (12, "<I", EDGES),
                    (72, "<Q", POSITIONS),
                    (80, "<I", EDGES),
                    (84, "<I", EDGES),
                ]
            )
        )
        struct.pack_into(form, data, sector + at, draw(values))
    for _ in range(draw(st.integers(0, 3))):
        data[draw(st.integers(0, len(table) - 1))] = draw(st.integers(0, 255))
    cut = draw(st.just(SIZE) | st.integers(2 * sector, SIZE))
    if draw(st.integers(0, 3)):
        mended(data, sector)
    del data[cut:]
    if draw(st.booleans()):
        mended(data, sector)
    return data


@given(broken(), NUMBERS)
def test_broken_tables(data: bytearray, number: int | None) -> None:
    looked_at(data, number)


ENTRIES = st.lists(
    st.tuples(st.integers(1, 4), st.integers(0, 255), st.integers(0, 130) | st.integers(0, 0xFFFFFFFF), EDGES),
    max_size=4,
)


@given(ENTRIES, NUMBERS, st.lists(st.integers(1, 127), max_size=3))
def test_any_mbr(entries: list[tuple[int, int, int, int]], number: int | None, volumes: list[int]) -> None:
    looked_at(with_ntfs(mbr(entries), SIZE, [at * 512 for at in volumes]), number)


@st.composite
def layouts(draw: st.DrawFn) -> tuple[int, dict[int, tuple[int, int]]]:
    """The size of sectors; partitions that do not overlap, (first, last) by number."""
    sector = draw(st.sampled_from([512, 4096]))
    edges = draw(st.lists(st.integers(64, 4000), unique=True, max_size=12).map(sorted))
    numbers = draw(st.lists(st.integers(1, 128), unique=True, min_size=6, max_size=6))
    pairs = zip(edges[::2], edges[1::2], strict=False)
    return sector, dict(zip(numbers, pairs, strict=False))


@given(layouts())
def test_what_is_written_is_read(layout: tuple[int, dict[int, tuple[int, int]]]) -> None:
    sector, parts = layout
    table = gpt([(number, *ends) for number, ends in parts.items()], sector=sector)
    found = {part.number: (part.offset, part.size) for part in partitions(Disk(table), "d.img")}
    assert found == {n: (first * sector, (last - first + 1) * sector) for n, (first, last) in parts.items()}
    assert list(found) == sorted(parts)
