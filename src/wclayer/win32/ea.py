"""Extended attributes: lists of FILE_FULL_EA_INFORMATION ([MS-FSCC] 2.4.16), the content of an EA_DATA stream.

uint32 NextEntryOffset   from this entry to the next, 0 in the last
uint8  Flags
uint8  EaNameLength      without the NUL that follows the name
uint16 EaValueLength
EaName NUL EaValue       padded to 4 bytes, the last entry too, as go-winio's EncodeExtendedAttributes does
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Final

from ..entry import ExtendedAttribute
from ..errors import ExtendedAttributeError

__all__ = ["build_ea_list", "parse_ea_list"]

_HEADER: Final = struct.Struct("<IBBH")


def parse_ea_list(data: bytes) -> tuple[ExtendedAttribute, ...]:
    """Decode the extended attributes in `data`, in their order. Raises ExtendedAttributeError."""
    result: list[ExtendedAttribute] = []
    position, end = 0, len(data)
    while position < end:  # also after a last entry that points to the end, as ntfs-3g's lists have it
        if end - position < _HEADER.size:
            raise _error("an entry's header is cut off", position, f"{_HEADER.size} bytes", end - position)
        following, flags, name_size, value_size = _HEADER.unpack_from(data, position)
        name = position + _HEADER.size
        value = name + name_size + 1
        if value + value_size > end:
            raise _error("an entry is cut off", position, f"{value + value_size - position} bytes", end - position)
        result.append(ExtendedAttribute(data[name : name + name_size], data[value : value + value_size], flags))
        if following == 0:
            return tuple(result)
        if following < value + value_size - position or following > end - position:
            raise _error("an entry whose NextEntryOffset leads to no entry", position, "its end or beyond", following)
        position += following
    return tuple(result)


def _error(message: str, offset: int, expected: str, got: object) -> ExtendedAttributeError:
    return ExtendedAttributeError(f"extended attributes: {message}", offset=offset, expected=expected, got=got)


def build_ea_list(attributes: Iterable[ExtendedAttribute]) -> bytes:
    """Encode `attributes` in their order; no bytes for none.

    Raises ExtendedAttributeError for a name over 255 bytes, a value over 65,535, or flags over 255.
    """
    parts: list[bytes] = []
    items = list(attributes)
    for number, ea in enumerate(items):
        if len(ea.name) > 0xFF or len(ea.value) > 0xFFFF or not 0 <= ea.flags <= 0xFF:
            raise ExtendedAttributeError(
                "extended attribute too large for NTFS",
                expected="a name of at most 255 bytes, a value of at most 65,535, one byte of flags",
                got=f"{len(ea.name)}, {len(ea.value):,}, {ea.flags:#x}",
            )
        size = _HEADER.size + len(ea.name) + 1 + len(ea.value)
        padded = size + -size % 4
        header = _HEADER.pack(padded if number < len(items) - 1 else 0, ea.flags, len(ea.name), len(ea.value))
        parts.append(header + ea.name + b"\0" + ea.value + bytes(padded - size))
    return b"".join(parts)
