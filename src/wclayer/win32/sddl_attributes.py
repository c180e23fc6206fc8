"""Resource attributes: CLAIM_SECURITY_ATTRIBUTE_RELATIVE_V1 ([MS-DTYP] 2.4.10.1) and their text.

    ("Project",TS,0x0,"Windows","SQL")

    uint32 Name, uint16 ValueType, uint16 Reserved, uint32 Flags, uint32 ValueCount, uint32 Values[],
    the name and the values as offsets from the beginning; then, without gaps, the name and the values:
    strings are UTF-16 with a NUL, numbers int64 or uint64, octets and SIDs follow their uint32 size

Values in another order or with gaps mean the same, but SDDL does not express where they are.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from typing import Final, TypeAlias

from ..errors import SecurityDescriptorError
from .conditions import padded
from .sddl_literals import (
    escaped_name,
    format_octets,
    format_sid,
    format_string,
    parse_enclosed_sid,
    parse_octets,
    parse_string,
    unescaped_name,
)
from .sddl_scan import Scanner, number, sddl_error
from .security import Sid

__all__ = ["ResourceAttribute", "format_attribute", "parse_attribute"]

_HEAD: Final = struct.Struct("<IHHII")
_UINT32: Final = struct.Struct("<I")
_INT64: Final = 0x0001
_UINT64: Final = 0x0002
_STRING: Final = 0x0003
_SID: Final = 0x0005
_BOOLEAN: Final = 0x0006
_OCTETS: Final = 0x0010
_TYPES: Final = {"TI": _INT64, "TU": _UINT64, "TS": _STRING, "TD": _SID, "TX": _OCTETS, "TB": _BOOLEAN}
_TYPE_NAMES: Final = {code: name for name, code in _TYPES.items()}
_NUMBERS: Final = {_INT64: struct.Struct("<q"), _UINT64: struct.Struct("<Q"), _BOOLEAN: struct.Struct("<Q")}
_RANGES: Final = {
    _INT64: range(-(1 << 63), 1 << 63),
    _UINT64: range(1 << 64),
    _BOOLEAN: range(2),
}
_MAX_BYTES: Final = 0xFFFF

_NAME: Final = re.compile(r'"((?:[^"%\0]|%[0-9a-fA-F]{4})+)"')
_TYPE: Final = re.compile(r"[A-Z]{2}")
_SIGNED: Final = re.compile(r"([+-]?)(0[xX][0-9a-fA-F]+|[0-9]+)")
_BARE_OCTETS: Final = re.compile(r"(?:[0-9a-fA-F]{2})+(?![0-9a-fA-F#])")

_Value: TypeAlias = int | str | bytes | Sid


@dataclass(frozen=True, slots=True)
class ResourceAttribute:
    """A name, a type of values, and the values; `flags` are CLAIM_SECURITY_ATTRIBUTE_* and, above, FCI_CLAIM_*."""

    name: str
    type: int
    flags: int
    values: tuple[_Value, ...]

    @classmethod
    def from_bytes(cls, data: bytes) -> ResourceAttribute:
        """Decode an attribute, its parts in any order. Raises SecurityDescriptorError."""
        if len(data) < _HEAD.size:
            raise _error("cut off", 0, f"at least {_HEAD.size} bytes", len(data))
        name, kind, _reserved, flags, count = _HEAD.unpack_from(data)
        if kind not in _TYPE_NAMES:
            raise _error("unknown value type", 4, ", ".join(map(str, _TYPE_NAMES)), kind)
        if count > (len(data) - _HEAD.size) // _UINT32.size:
            raise _error("more values than bytes", 12, (len(data) - _HEAD.size) // _UINT32.size, count)
        values: list[_Value] = []
        total = 0
        for place in struct.unpack_from(f"<{count}I", data, _HEAD.size):
            value, size = _decoded(kind, data, place)
            values.append(value)
            total += size
            if total > len(data):  # else a few bytes, used again and again, could become gigabytes of values
                raise _error("values that overlap", _HEAD.size, f"at most {len(data)} bytes", total)
        return cls(_string(data, name)[0], kind, flags, tuple(values))

    def to_bytes(self) -> bytes:
        """Encode in Windows' layout: the offsets, the name, the values in order, zeros up to a multiple of 4 bytes."""
        parts = [_zero_terminated(self.name), *(_encoded(self.type, value) for value in self.values)]
        place = _HEAD.size + _UINT32.size * len(self.values)
        places: list[int] = []
        for part in parts:
            places.append(place)
            place += len(part)
        head = _HEAD.pack(places[0], self.type, 0, self.flags, len(self.values))
        return padded(head + struct.pack(f"<{len(self.values)}I", *places[1:]) + b"".join(parts))


def parse_attribute(scan: Scanner) -> bytes:
    """Parse the attribute at the position, from its ( to its ), into application data. Raises SddlError."""
    start = scan.position
    if not scan.take("("):
        raise scan.unexpected("not a resource attribute", "(")
    name = scan.skip(_NAME)
    if name is None or "\0" in (unescaped := unescaped_name(name[1])):
        raise scan.unexpected("malformed name of a resource attribute", '"name", with %XXXX for special characters')
    if any("\ud800" <= character <= "\udfff" for character in name[1]):
        raise sddl_error("name that a text cannot hold", name.start(1), "no unpaired surrogates", name[1][:20])
    _comma(scan)
    type_at = scan.position
    found = scan.skip(_TYPE)
    kind = _TYPES.get(found[0]) if found is not None else None
    if kind is None:
        scan.position = type_at
        raise scan.unexpected("unknown type of a resource attribute", ", ".join(_TYPES))
    _comma(scan)
    flags_at = scan.position
    flags_text = scan.skip(_SIGNED)
    flags = number(flags_text[0]) if flags_text is not None else None
    if flags is None or flags > 0xFFFFFFFF:
        scan.position = flags_at
        raise scan.unexpected("malformed flags of a resource attribute", "a number of 32 bits")
    values: list[_Value] = []
    size = _HEAD.size
    while scan.take(","):
        values.append(_parse_value(scan, kind))
        size += _UINT32.size + len(_encoded(kind, values[-1]))
        if size > _MAX_BYTES:
            raise sddl_error("resource attribute too large", start, f"at most {_MAX_BYTES} bytes", f"{size} or more")
    if not scan.take(")"):
        raise scan.unexpected("resource attribute without its end", ", or )")
    return ResourceAttribute(unescaped, kind, flags, tuple(values)).to_bytes()


def format_attribute(data: bytes, names: dict[Sid, str], *, strict: bool = True) -> str:
    """Print the attribute in application data, with its parentheses; `names` are aliases of SIDs.

    Raises SddlError for a malformed attribute, and for one that SDDL cannot express: strict, also for a layout other
    than Windows' own, and for more padding.
    """
    try:
        attribute = ResourceAttribute.from_bytes(data)
    except SecurityDescriptorError as error:
        raise sddl_error(error.message, error.offset, error.expected, error.got) from None
    if not attribute.name:
        raise sddl_error("resource attribute without a name", 0, "a name", "nothing")
    if strict and attribute.to_bytes() != data:
        expected = "the name and the values without gaps, in order"
        raise sddl_error("layout of a resource attribute, which SDDL cannot express", None, expected, "another")
    fields = [f'"{escaped_name(attribute.name)}"', _TYPE_NAMES[attribute.type], f"{attribute.flags:#x}"]
    return f"({','.join((*fields, *(_format_value(value, names) for value in attribute.values)))})"


def _error(message: str, offset: int, expected: object, got: object) -> SecurityDescriptorError:
    return SecurityDescriptorError(f"resource attribute: {message}", offset=offset, expected=expected, got=got)


def _zero_terminated(text: str) -> bytes:
    return text.encode("utf-16-le", "surrogatepass") + b"\0\0"


def _encoded(kind: int, value: _Value) -> bytes:
    match value:
        case int():
            return _NUMBERS[kind].pack(value)
        case str():
            return _zero_terminated(value)
        case bytes():
            return _UINT32.pack(len(value)) + value
        case Sid():
            data = value.to_bytes()
            return _UINT32.pack(len(data)) + data


def _decoded(kind: int, data: bytes, place: int) -> tuple[_Value, int]:
    """Return the value at an offset, and how many bytes it takes."""
    if kind == _STRING:
        return _string(data, place)
    layout = _NUMBERS.get(kind, _UINT32)
    if place + layout.size > len(data):
        raise _error("a value outside it", place, f"{layout.size} bytes", max(0, len(data) - place))
    (found,) = layout.unpack_from(data, place)
    if kind in _NUMBERS:
        if found not in _RANGES[kind]:
            raise _error("malformed boolean", place, "0 or 1", found)
        return int(found), layout.size
    start = place + layout.size
    if found > len(data) - start:
        raise _error("a value outside it", place, f"at most {len(data) - start} bytes", found)
    content = data[start : start + found]
    if kind == _OCTETS:
        return content, layout.size + found
    try:
        return Sid.from_bytes(content), layout.size + found
    except SecurityDescriptorError as error:
        raise _error("malformed SID", start, error.expected, error.got) from None


def _string(data: bytes, place: int) -> tuple[str, int]:
    end = place
    while end < len(data) - 1 and data[end : end + 2] != b"\0\0":
        end += 2
    if end >= len(data) - 1:
        raise _error("string without an end", place, "a NUL", f"{max(0, len(data) - place)} bytes")
    return data[place:end].decode("utf-16-le", "surrogatepass"), end + 2 - place


def _comma(scan: Scanner) -> None:
    if not scan.take(","):
        raise scan.unexpected("resource attribute that is cut off", ",")


def _parse_value(scan: Scanner, kind: int) -> _Value:
    start = scan.position
    value: _Value | None
    if kind in _NUMBERS:
        value = _parse_number(scan)
        if value is None or value not in _RANGES[kind]:
            scan.position = start
            valid = _RANGES[kind]
            raise scan.unexpected("not a number of this type", f"{valid[0]} to {valid[-1]}")
    elif kind == _STRING:
        value = parse_string(scan)
        if value is None:
            raise scan.unexpected("not a string", '"..."')
    elif kind == _OCTETS:
        value = parse_octets(scan)
        if value is None:
            found = scan.skip(_BARE_OCTETS)
            if found is None:
                raise scan.unexpected("malformed octets", "pairs of hexadecimal digits, perhaps after a #")
            value = bytes.fromhex(found[0])
    else:
        value = parse_enclosed_sid(scan)
        if value is None:
            value = scan.sid()
    return value


def _parse_number(scan: Scanner) -> int | None:
    found = scan.skip(_SIGNED)
    magnitude = number(found[2]) if found is not None else None
    if found is None or magnitude is None:
        return None
    return -magnitude if found[1] == "-" else magnitude


def _format_value(value: _Value, names: dict[Sid, str]) -> str:
    match value:
        case int():
            return str(value)
        case str():
            return format_string(value)
        case bytes():
            return value.hex() or format_octets(value)
        case Sid():
            return format_sid(value, names)
