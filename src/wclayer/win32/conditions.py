"""Conditions of callback ACEs in their binary form ([MS-DTYP] 2.4.4.17.4 to 2.4.4.17.8).

    "artx", tokens in postfix notation, zeros up to a multiple of 4 bytes
    integer     0x01 to 0x04 (8, 16, 32, 64 bits), int64 value, uint8 sign, uint8 base
    string      0x10, uint32 bytes, UTF-16
    octets      0x18, uint32 bytes, those
    composite   0x50, uint32 bytes, the tokens of its values
    SID         0x51, uint32 bytes, the SID
    attribute   0xF8 (local), 0xF9 (user), 0xFA (resource), 0xFB (device), uint32 bytes, the name in UTF-16
    operator    0x80 to 0xA2

Which tokens may follow each other is checked where they are printed (`sddl_conditions`).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, TypeAlias

from ..errors import SecurityDescriptorError
from .security import Sid

__all__ = [
    "INT64",
    "SIGNATURE",
    "Attribute",
    "AttributeKind",
    "Base",
    "Composite",
    "Integer",
    "Literal",
    "Operator",
    "Sign",
    "Token",
    "decode_condition",
    "encode_condition",
    "encode_token",
    "padded",
]

SIGNATURE: Final = b"artx"
_INTEGER: Final = struct.Struct("<BqBB")
_LENGTH: Final = struct.Struct("<BI")
_INT8: Final = 0x01
INT64: Final = 0x04
_STRING: Final = 0x10
_OCTETS: Final = 0x18
_COMPOSITE: Final = 0x50
_SID: Final = 0x51


class AttributeKind(IntEnum):
    """Whose attribute it is ([MS-DTYP] 2.4.4.17.8)."""

    LOCAL = 0xF8
    USER = 0xF9
    RESOURCE = 0xFA
    DEVICE = 0xFB


class Operator(IntEnum):
    """Operators with one operand or two ([MS-DTYP] 2.4.4.17.6 and 2.4.4.17.7)."""

    EQUAL = 0x80
    NOT_EQUAL = 0x81
    LESS = 0x82
    LESS_OR_EQUAL = 0x83
    GREATER = 0x84
    GREATER_OR_EQUAL = 0x85
    CONTAINS = 0x86
    EXISTS = 0x87
    ANY_OF = 0x88
    MEMBER_OF = 0x89
    DEVICE_MEMBER_OF = 0x8A
    MEMBER_OF_ANY = 0x8B
    DEVICE_MEMBER_OF_ANY = 0x8C
    NOT_EXISTS = 0x8D
    NOT_CONTAINS = 0x8E
    NOT_ANY_OF = 0x8F
    NOT_MEMBER_OF = 0x90
    NOT_DEVICE_MEMBER_OF = 0x91
    NOT_MEMBER_OF_ANY = 0x92
    NOT_DEVICE_MEMBER_OF_ANY = 0x93
    AND = 0xA0
    OR = 0xA1
    NOT = 0xA2


class Sign(IntEnum):
    """The sign that an integer was written with."""

    PLUS = 1
    MINUS = 2
    NONE = 3


class Base(IntEnum):
    """The notation that an integer was written in."""

    OCTAL = 1
    DECIMAL = 2
    HEXADECIMAL = 3


@dataclass(frozen=True, slots=True)
class Integer:
    """A signed number of 64 bits; `sign` and `base` are how it was written, `code` its type (1 to 4, int8 to int64)."""

    value: int
    sign: int = Sign.NONE
    base: int = Base.DECIMAL
    code: int = INT64


@dataclass(frozen=True, slots=True)
class Attribute:
    """The name of an attribute; unpaired surrogates in it are kept."""

    kind: AttributeKind
    name: str


@dataclass(frozen=True, slots=True)
class Composite:
    """A list of values, none of them a list."""

    values: tuple[Integer | str | bytes | Sid, ...]


Literal: TypeAlias = Integer | str | bytes | Sid | Composite
Token: TypeAlias = Literal | Attribute | Operator

_KINDS: Final = frozenset(AttributeKind)
_OPERATORS: Final = frozenset(Operator)


def padded(data: bytes) -> bytes:
    """Return `data` with zeros up to a multiple of 4 bytes, as the size of an ACE must be ([MS-DTYP] 2.4.4.1)."""
    return data + bytes(-len(data) % 4)


def encode_token(token: Token) -> bytes:
    """Encode a token. Raises SecurityDescriptorError for numbers over 64 bits, and for a malformed SID."""
    match token:
        case Operator():
            return bytes((token,))
        case Integer():
            try:
                return _INTEGER.pack(token.code, token.value, token.sign, token.base)
            except struct.error:
                raise _error("integer too large", 0, "64 bits", token.value) from None
        case str():
            return _counted(_STRING, token.encode("utf-16-le", "surrogatepass"))
        case bytes():
            return _counted(_OCTETS, token)
        case Sid():
            return _counted(_SID, token.to_bytes())
        case Composite():
            return _counted(_COMPOSITE, b"".join(map(encode_token, token.values)))
        case Attribute():
            return _counted(token.kind, token.name.encode("utf-16-le", "surrogatepass"))


def encode_condition(tokens: Iterable[Token]) -> bytes:
    """Encode the application data of a callback ACE. Raises SecurityDescriptorError as `encode_token` does."""
    return padded(SIGNATURE + b"".join(map(encode_token, tokens)))


def decode_condition(data: bytes) -> tuple[Token, ...]:
    """Decode the tokens of application data; zeros at the end are padding.

    Raises SecurityDescriptorError, with the offset in `data`, for what is not a token of [MS-DTYP] 2.4.4.17.4.
    """
    if not data.startswith(SIGNATURE):
        raise _error("not a condition", 0, "artx", data[:4].hex(" ") or "nothing")
    end = len(data.rstrip(b"\0"))
    tokens: list[Token] = []
    position = len(SIGNATURE)
    # A token may end in zeros too, so only where it begins tells it from padding.
    while position < end:
        token, position = _token(data, position, len(data))
        tokens.append(token)
    return tuple(tokens)


def _error(message: str, offset: int, expected: object, got: object) -> SecurityDescriptorError:
    return SecurityDescriptorError(f"condition: {message}", offset=offset, expected=expected, got=got)


def _counted(code: int, data: bytes) -> bytes:
    return _LENGTH.pack(code, len(data)) + data


def _token(data: bytes, position: int, limit: int) -> tuple[Token, int]:
    """Return the token at `position`, which must end by `limit`, and where it ends."""
    code = data[position]
    if code in _OPERATORS:
        return Operator(code), position + 1
    if code in _KINDS:
        content, end = _content(data, position, limit)
        return Attribute(AttributeKind(code), _utf16(content, position)), end
    if code != _COMPOSITE:
        return _scalar(data, position, limit)
    content, end = _content(data, position, limit)
    values: list[Integer | str | bytes | Sid] = []
    inside = end - len(content)
    while inside < end:
        value, inside = _scalar(data, inside, end)
        values.append(value)
    return Composite(tuple(values)), end


def _scalar(data: bytes, position: int, limit: int) -> tuple[Integer | str | bytes | Sid, int]:
    code = data[position]
    if _INT8 <= code <= INT64:
        if position + _INTEGER.size > limit:
            raise _error("integer that is cut off", position, f"{_INTEGER.size} bytes", limit - position)
        code, value, sign, base = _INTEGER.unpack_from(data, position)
        return Integer(value, sign, base, code), position + _INTEGER.size
    if code not in (_STRING, _OCTETS, _SID):
        raise _error("unknown token", position, "a code of [MS-DTYP] 2.4.4.17.4", f"{code:#04x}")
    content, end = _content(data, position, limit)
    if code == _STRING:
        return _utf16(content, position), end
    if code == _OCTETS:
        return content, end
    try:
        return Sid.from_bytes(content), end
    except SecurityDescriptorError as error:
        raise _error("malformed SID", position, error.expected, error.got) from None


def _content(data: bytes, position: int, limit: int) -> tuple[bytes, int]:
    """Return the counted bytes of a token, and where it ends."""
    start = position + _LENGTH.size
    if start > limit:
        raise _error("a token that is cut off", position, f"{_LENGTH.size} bytes", limit - position)
    _, length = _LENGTH.unpack_from(data, position)
    if length > limit - start:
        raise _error("a token that is cut off", position, f"at most {limit - start} bytes", length)
    return data[start : start + length], start + length


def _utf16(content: bytes, position: int) -> str:
    if len(content) % 2:
        raise _error("UTF-16 of an odd size", position, "an even number of bytes", len(content))
    return content.decode("utf-16-le", "surrogatepass")
