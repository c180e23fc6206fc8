"""Where the NTFS volume is on a disk image: all of it, or a partition of an MBR or GPT.

(UEFI specification 2.10, chapter 5. The first sector of an NTFS
volume has its name at byte 3.)
"""

from __future__ import annotations

import os
import struct
import zlib
from dataclasses import dataclass
from typing import BinaryIO, Final

from ..errors import DiskError, NotFoundError, UnsupportedError

__all__ = ["Partition", "find_volume", "partitions"]

_SECTORS: Final = (512, 4096)
_GPT: Final = struct.Struct("<8sIIIIQQQQ16sQIII")  # up to the CRC of the entries
_GPT_ENTRY: Final = struct.Struct("<16s16sQQ")
_MBR_ENTRY: Final = struct.Struct("<8xII")
_MOST_ENTRIES: Final = 1024
_PROTECTIVE: Final = 0xEE
# First bytes of disk image formats other than raw.
_CONTAINERS: Final = {
    b"vhdxfile": "VHDX",
    b"conectix": "VHD",
    b"QFI\xfb": "QCOW2",
    b"KDMV": "VMDK",
    b"<<< ": "VirtualBox",
    b"MSWIM\0": "WIM",
}


@dataclass(frozen=True, slots=True)
class Partition:
    """An NTFS volume in an image: `offset` and `size` in bytes; number None is the whole image."""

    number: int | None
    offset: int
    size: int


def find_volume(file: BinaryIO, path: str, number: int | None = None) -> Partition:
    """The NTFS volume on the disk image in `file`: partition `number`, or the only one.

    path: for errors. Raises DiskError for what is no disk with NTFS, or has several such volumes and no `number`,
    NotFoundError for a partition that is not there, UnsupportedError for formats that Linux cannot mount as they are.
    """
    size = file.seek(0, os.SEEK_END)
    front = _read(file, 0, 512)
    for magic, name in _CONTAINERS.items():
        if front.startswith(magic):
            raise UnsupportedError(
                f"a {name} image, which cannot be mounted here",
                path=path,
                expected="a raw disk image",
                hint=f"qemu-img convert -O raw {os.path.basename(path)} disk.img",
            )
    if _is_ntfs(file, 0, path):
        if number is not None:
            raise NotFoundError(
                f"no partition {number}: the image is one volume", path=path, hint="leave the number out"
            )
        return Partition(None, 0, size)
    table = partitions(file, path)
    if not table:
        raise DiskError(
            "no disk with an NTFS volume",
            path=path,
            expected="NTFS, or a partition table",
            got="an empty image" if not front.strip(b"\0") else None,
            hint="`wclayer disk create` makes one",
        )
    if number is not None:
        found = next((part for part in table if part.number == number), None)
        if found is None:
            there = ", ".join(str(part.number) for part in table)
            raise NotFoundError(f"no partition {number}", path=path, expected=f"one of {there}")
        _check_inside(found, size, path)
        if not _is_ntfs(file, found.offset, path):
            raise DiskError(f"partition {number} has no NTFS", path=path)
        return found
    volumes = [part for part in table if part.offset + 512 <= size and _is_ntfs(file, part.offset, path)]
    if len(volumes) != 1:
        numbers = ", ".join(str(part.number) for part in volumes or table)
        raise DiskError(
            "several partitions with NTFS" if volumes else "no partition with NTFS",
            path=path,
            got=f"partitions {numbers}",
            hint="say which: disk:IMAGE:NUMBER" if volumes else None,
        )
    _check_inside(volumes[0], size, path)
    return volumes[0]


def partitions(file: BinaryIO, path: str) -> list[Partition]:
    """All partitions of the disk image in `file`, NTFS or not; none where it has no partition table.

    path: for errors. Raises DiskError for a damaged table.
    """
    size = file.seek(0, os.SEEK_END)
    front = _read(file, 0, 512)
    primary = _mbr(front)
    if primary and not _is_protected(front):
        return primary  # a GPT beside it is left over from an older table
    return _gpt(file, path, size) or primary


def _check_inside(part: Partition, size: int, path: str) -> None:
    if part.offset + part.size > size:
        raise DiskError(
            f"partition {part.number} ends beyond the end of the image, which is cut off",
            path=path,
            expected=f"at least {part.offset + part.size:,} bytes",
            got=f"{size:,}",
        )


def _read(file: BinaryIO, offset: int, size: int) -> bytes:
    file.seek(offset)
    return file.read(size)


def _is_ntfs(file: BinaryIO, offset: int, path: str) -> bool:
    name = _read(file, offset + 3, 8)
    if name == b"-FVE-FS-":
        raise UnsupportedError("a volume that is encrypted by BitLocker", path=path, hint="decrypt it on Windows")
    return name == b"NTFS    "


def _gpt(file: BinaryIO, path: str, size: int) -> list[Partition]:
    """The partitions of a GPT; none where there is no such table. Raises DiskError for a damaged one."""
    for sector in _SECTORS:
        head = _read(file, sector, sector)
        if len(head) < _GPT.size or not head.startswith(b"EFI PART"):
            continue
        _, _, length, checksum, _, _, _, _, _, _, start, count, each, entries_sum = _GPT.unpack_from(head)
        if not (_GPT.size <= length <= sector and 128 <= each <= 4096 and count <= _MOST_ENTRIES):
            raise DiskError("a partition table (GPT) that cannot be right", path=path)
        whole = head[:16] + bytes(4) + head[20:length]
        table = _read(file, start * sector, count * each) if start * sector < size else b""
        if len(table) != count * each:
            raise DiskError("a partition table (GPT) that is cut off", path=path)
        if zlib.crc32(whole) != checksum or zlib.crc32(table) != entries_sum:
            raise DiskError(
                "a partition table (GPT) whose checksum is wrong", path=path, hint="sgdisk --verify says more"
            )
        found = []
        for number in range(count):
            kind, _, first, last = _GPT_ENTRY.unpack_from(table, number * each)
            if kind.strip(b"\0") and first <= last:
                found.append(Partition(number + 1, first * sector, (last - first + 1) * sector))
        return found
    return []


def _is_protected(front: bytes) -> bool:
    """Does an MBR leave the disk to a GPT?"""
    return any(front[at + 4] == _PROTECTIVE for at in range(446, 510, 16))


def _mbr(front: bytes) -> list[Partition]:
    """The primary partitions of an MBR; none where there is none."""
    if len(front) < 512 or front[510:512] != b"\x55\xaa":
        return []
    found = []
    for number in range(4):
        start, count = _MBR_ENTRY.unpack_from(front, 446 + 16 * number)
        kind = front[446 + 16 * number + 4]
        if kind and kind != _PROTECTIVE and count:
            found.append(Partition(number + 1, start * 512, count * 512))
    return found
