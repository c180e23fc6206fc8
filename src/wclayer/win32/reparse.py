"""Reparse points: REPARSE_DATA_BUFFER ([MS-FSCC] 2.1.2). Symlinks and mount points are decoded, other tags kept.

    uint32 ReparseTag
    uint16 ReparseDataLength   of what follows the header
    uint16 Reserved
    [GUID]                     only if the tag is not Microsoft's ([MS-FSCC] 2.1.2.3)
    data

The data of symlinks ([MS-FSCC] 2.1.2.4) and mount points (2.1.2.5) are offsets and
sizes of two names, and the names: the substitute name, which the kernel follows,
and the print name, which programs show. A layer tar has only the print name; the
substitute name is rebuilt as go-winio's EncodeReparsePoint does.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

from ..errors import InexpressibleError, ReparseError
from .names import from_utf16, to_utf16

__all__ = [
    "IO_REPARSE_TAG_MOUNT_POINT",
    "IO_REPARSE_TAG_SYMLINK",
    "MAXIMUM_REPARSE_DATA_BUFFER_SIZE",
    "ReparseLink",
    "build_link",
    "decode",
    "is_name_surrogate",
    "link_target",
    "link_text",
    "reparse_tag",
    "tag_name",
    "tar_target_to_windows",
]

IO_REPARSE_TAG_MOUNT_POINT: Final = 0xA0000003
IO_REPARSE_TAG_SYMLINK: Final = 0xA000000C
MAXIMUM_REPARSE_DATA_BUFFER_SIZE: Final = 16 * 1024

_NAMES: Final = {
    IO_REPARSE_TAG_MOUNT_POINT: "MOUNT_POINT",
    0xC0000004: "HSM",
    0x80000006: "HSM2",
    0x80000007: "SIS",
    0x80000008: "WIM",
    0x80000009: "CSV",
    0x8000000A: "DFS",
    IO_REPARSE_TAG_SYMLINK: "SYMLINK",
    0x80000012: "DFSR",
    0x80000013: "DEDUP",
    0x80000014: "NFS",
    0x80000015: "FILE_PLACEHOLDER",
    0x80000017: "WOF",
    0x80000018: "WCI",
    0x90001018: "WCI_1",
    0xA0000019: "GLOBAL_REPARSE",
    0x9000001A: "CLOUD",
    0x8000001B: "APPEXECLINK",
    0x9000001C: "PROJFS",
    0xA000001D: "LX_SYMLINK",
    0x8000001E: "STORAGE_SYNC",
    0xA000001F: "WCI_TOMBSTONE",
    0x80000020: "UNHANDLED",
    0x80000021: "ONEDRIVE",
    0xA0000022: "PROJFS_TOMBSTONE",
    0x80000023: "AF_UNIX",
    0x80000024: "LX_FIFO",
    0x80000025: "LX_CHR",
    0x80000026: "LX_BLK",
    0xA0000027: "WCI_LINK",
    0xA0001027: "WCI_LINK_1",
}

_HEADER: Final = struct.Struct("<IHH")
_OFFSETS: Final = struct.Struct("<HHHH")
_MICROSOFT: Final = 0x80000000
_NAME_SURROGATE: Final = 0x20000000
_GUID_SIZE: Final = 16
_RELATIVE: Final = 1  # SYMLINK_FLAG_RELATIVE
_MAX_DATA: Final = 0xFFFF  # ReparseDataLength is a uint16, which go-winio lets wrap


@dataclass(frozen=True, slots=True)
class ReparseLink:
    """A symlink or mount point, decoded; `flags` is 0 for a mount point."""

    tag: int
    substitute_name: str
    print_name: str
    flags: int = 0


def reparse_tag(buffer: bytes) -> int:
    """Return the tag of a reparse buffer. Raises ReparseError if it is too short."""
    if len(buffer) < 4:
        raise ReparseError("reparse point cut off", expected="at least 8 bytes", got=len(buffer))
    return int.from_bytes(buffer[:4], "little")


def tag_name(tag: int) -> str:
    """Return the name of a tag without IO_REPARSE_TAG_, or its number."""
    return _NAMES.get(tag, f"{tag:#010x}")


def is_name_surrogate(tag: int) -> bool:
    """Return True if the object stands for another one (a link): a directory of this kind has no children."""
    return bool(tag & _NAME_SURROGATE)


def decode(buffer: bytes) -> ReparseLink | int:
    """Check a buffer, and decode it if it is a symlink or mount point; of any other, return the tag.

    Bytes behind the length in the header are ignored, as NTFS returns some. Raises ReparseError.
    """
    tag = reparse_tag(buffer)
    if len(buffer) < _HEADER.size:
        raise ReparseError("reparse point cut off", expected="at least 8 bytes", got=len(buffer))
    _, length, _ = _HEADER.unpack_from(buffer)
    header = _HEADER.size + (0 if tag & _MICROSOFT else _GUID_SIZE)
    if len(buffer) < header + length:
        raise ReparseError(
            f"reparse point {tag_name(tag)} cut off", expected=f"{header + length} bytes", got=len(buffer)
        )
    if tag not in (IO_REPARSE_TAG_SYMLINK, IO_REPARSE_TAG_MOUNT_POINT):
        return tag
    return _link(buffer, tag)


def _link(buffer: bytes, tag: int) -> ReparseLink:
    names = _HEADER.size + _OFFSETS.size + (4 if tag == IO_REPARSE_TAG_SYMLINK else 0)
    if len(buffer) < names:
        raise ReparseError(f"reparse point {tag_name(tag)} cut off", expected=f"{names} bytes", got=len(buffer))
    offsets = _OFFSETS.unpack_from(buffer, _HEADER.size)
    flags = int.from_bytes(buffer[names - 4 : names], "little") if tag == IO_REPARSE_TAG_SYMLINK else 0
    texts: list[str] = []
    for offset, size in (offsets[:2], offsets[2:]):
        start = names + offset
        # Of an odd length only the whole characters count, as in go-winio's DecodeReparsePoint.
        data = buffer[start : start + size // 2 * 2]
        if len(data) < size // 2 * 2:
            raise ReparseError(
                f"name of the reparse point {tag_name(tag)} lies outside it",
                offset=start,
                expected=f"{size} bytes",
                got=len(data),
            )
        texts.append(from_utf16(data))
    return ReparseLink(tag, texts[0], texts[1], flags)


def link_target(buffer: bytes) -> tuple[str, bool] | None:
    """Return the print name and whether it is a mount point; None for any other tag, and for a malformed buffer."""
    try:
        found = decode(buffer)
    except ReparseError:
        return None
    return None if isinstance(found, int) else (found.print_name, found.tag == IO_REPARSE_TAG_MOUNT_POINT)


def link_text(buffer: bytes) -> str:
    """Return the target that hcsshim writes: the print name, unpaired surrogates as U+FFFD. Raises ReparseError."""
    target = link_target(buffer)
    if target is None:
        raise ReparseError("not a symlink or mount point", got=tag_name(reparse_tag(buffer)))
    return "".join("\ufffd" if 0xD800 <= ord(char) < 0xE000 else char for char in target[0])


def tar_target_to_windows(linkname: str) -> str:
    """Convert the target of a symlink in a tar as hcsshim reads it: `/` becomes `\\`."""
    return linkname.replace("/", "\\")


def build_link(target: str, mount_point: bool) -> bytes:
    """Build the reparse buffer for a print name, as go-winio's EncodeReparsePoint does.

    Raises InexpressibleError for a target too long for the format.
    """
    # The kernel's names begin with \\??\\, where Win32's have \\\\?\\, a drive, or the \\\\ of a server.
    relative = False
    if target.startswith("\\\\?\\"):
        substitute = "\\??\\" + target[4:]
    elif target.startswith("\\\\"):
        substitute = "\\??\\UNC\\" + target[2:]
    elif len(target) >= 2 and target[0].isascii() and target[0].isalpha() and target[1] == ":":
        substitute = "\\??\\" + target
    else:
        substitute = target
        relative = True
    first, second = to_utf16(substitute), to_utf16(target)
    names = first + b"\0\0" + second + b"\0\0"
    flags = b"" if mount_point else (_RELATIVE if relative else 0).to_bytes(4, "little")
    length = _OFFSETS.size + len(flags) + len(names)
    if length > _MAX_DATA:
        raise InexpressibleError(
            "link target too long for a reparse point", expected=f"at most {_MAX_DATA:,} bytes", got=f"{length:,}"
        )
    return (
        _HEADER.pack(IO_REPARSE_TAG_MOUNT_POINT if mount_point else IO_REPARSE_TAG_SYMLINK, length, 0)
        + _OFFSETS.pack(0, len(first), len(first) + 2, len(second))
        + flags
        + names
    )
