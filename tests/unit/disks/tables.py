"""Partition tables made by hand (UEFI specification 2.10, chapter 5), of disks that are in memory."""

from __future__ import annotations

import io
import struct
import uuid
import zlib
from collections.abc import Iterable

__all__ = ["BASIC_DATA", "Disk", "gpt", "mbr", "mended", "with_ntfs"]

BASIC_DATA = "EBD0A0A2-B9E5-4433-87C0-68B6B72699C7"
PartitionOf = tuple[int, int, int]  # number, first sector, last sector


class Disk(io.BytesIO):
    """A disk that counts what is read of it."""

    def __init__(self, data: bytes | bytearray) -> None:
        super().__init__(data)
        self.asked = 0
        self.most = 0

    def read(self, size: int | None = -1, /) -> bytes:
        assert size is not None
        assert size >= 0, "all of a disk"
        self.asked += size
        self.most = max(self.most, size)
        return super().read(size)


def protective(sectors: int) -> bytes:
    front = bytearray(512)
    struct.pack_into("<BBBBBBBBII", front, 446, 0, 0, 2, 0, 0xEE, 255, 255, 255, 1, min(sectors - 1, 0xFFFFFFFF))
    front[510:512] = b"\x55\xaa"
    return bytes(front)


def mbr(parts: Iterable[tuple[int, int, int, int]], signature: int = 0) -> bytes:
    """The first sector of a disk with primary partitions (number, type, first sector, sectors)."""
    front = bytearray(512)
    struct.pack_into("<I", front, 440, signature)
    for number, kind, first, count in parts:
        struct.pack_into("<BBBBBBBBII", front, 446 + 16 * (number - 1), 0, 0, 0, 0, kind, 0, 0, 0, first, count)
    front[510:512] = b"\x55\xaa"
    return bytes(front)


def gpt(
    parts: Iterable[PartitionOf],
    sectors: int = 32768,
    *,
    sector: int = 512,
    count: int = 128,
    each: int = 128,
    length: int = 92,
    kind: str = BASIC_DATA,
    name: str = "Basic data partition",
    disk: str = "01234567-89AB-CDEF-0123-456789ABCDEF",
) -> bytearray:
    """The front of a disk of so many sectors: protective MBR, header, and `count` entries of `each` bytes."""
    entries = bytearray(count * each)
    for number, first, last in parts:
        fields = (uuid.UUID(kind).bytes_le, uuid.UUID(int=0x11111111222233334444555555555555).bytes_le, first, last)
        struct.pack_into("<16s16sQQ8x72s", entries, (number - 1) * each, *fields, name.encode("utf-16-le"))
    data = bytearray(2 * sector)
    data[:512] = protective(sectors)
    table_sectors = -(-max(count * each, 16384) // sector)
    usable = (2048, sectors - 2 - table_sectors) if sector == 512 else (256, sectors - 2 - table_sectors)
    header = struct.pack(
        "<8sIIIIQQQQ16sQIII",
        b"EFI PART",
        0x10000,
        length,
        0,
        0,
        1,
        sectors - 1,
        *usable,
        uuid.UUID(disk).bytes_le,
        2,
        count,
        each,
        zlib.crc32(entries),
    )
    data[sector : sector + len(header)] = header
    data += entries
    return mended(data, sector)


def mended(data: bytearray, sector: int = 512) -> bytearray:
    """The same with the right checksums, of whatever the header says of itself and is there of the entries."""
    length = struct.unpack_from("<I", data, sector + 12)[0]
    start, count, each = struct.unpack_from("<QII", data, sector + 72)
    begin = start * sector
    struct.pack_into("<I", data, sector + 88, zlib.crc32(data[begin : begin + min(count * each, 1 << 24)]))
    header = bytearray(data[sector : sector + min(length, sector)])
    header[16:20] = bytes(4)
    struct.pack_into("<I", data, sector + 16, zlib.crc32(header))
    return data


def with_ntfs(data: bytes | bytearray, size: int, offsets: Iterable[int], name: bytes = b"NTFS    ") -> bytes:
    """A disk of `size` bytes that begins with `data`, and has volumes at `offsets`."""
    disk = bytearray(data).ljust(size, b"\0")
    for offset in offsets:
        disk[offset + 3 : offset + 11] = name
    return bytes(disk)
