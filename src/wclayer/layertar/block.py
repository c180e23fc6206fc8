"""The 512-byte header block of a tar: USTAR (POSIX.1-1988), GNU, STAR and V7.

Reading is as lenient as Go's archive/tar, which reads layers everywhere: blanks
and NULs around octal numbers, base-256 numbers, sums of signed or unsigned bytes.
Writing is what Go's writer makes beside PAX headers (see `ustar_block`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from ..errors import TarError

__all__ = ["BLOCK", "ZERO_BLOCK", "Block", "ascii_field", "padding", "parse_block", "ustar_block"]

BLOCK: Final = 512
ZERO_BLOCK: Final = bytes(BLOCK)

_OCTAL = frozenset(b"01234567")
_BLANK_SUM = 8 * 0x20  # the checksum field itself counts as eight blanks
_MAX_INT64 = (1 << 63) - 1


@dataclass(slots=True)
class Block:
    """One header block, decoded; times are seconds since 1970, None where the format has no such field."""

    name: bytes
    mode: int
    size: int
    mtime: int
    typeflag: bytes
    linkname: bytes
    atime: int | None = None
    ctime: int | None = None
    magic: bytes = b""  # with the version


def padding(size: int) -> int:
    """Return the number of bytes from `size` to the next multiple of 512."""
    return -size % BLOCK


def _c_string(field: bytes) -> bytes:
    end = field.find(b"\0")
    return field if end < 0 else field[:end]


def _number(field: bytes, what: str, offset: int) -> int:
    first = field[0]
    if first & 0x80:
        # GNU's base-256, for sizes from 8 GiB and times before 1970: two's complement below the marker bit.
        value = int.from_bytes(field, "big") & ((1 << (8 * len(field) - 1)) - 1)
        if first & 0x40:
            value -= 1 << (8 * len(field) - 1)
        if not -_MAX_INT64 - 1 <= value <= _MAX_INT64:
            raise TarError(f"{what} in a tar header", offset=offset, expected="at most 64 bits", got=field.hex())
        return value
    number = _octal(field)
    if number is None:
        raise TarError(f"{what} in a tar header", offset=offset, expected="octal digits", got=repr(field)[2:-1])
    return number


@lru_cache(256)
def _octal(field: bytes) -> int | None:
    """Decode an octal field: 0 if it is blank, None if it is malformed. Most fields have few different values."""
    digits = _c_string(field.strip(b" \0"))
    if not digits:
        return 0
    return int(digits, 8) if _OCTAL.issuperset(digits) else None


def parse_block(data: bytes, offset: int) -> Block:
    """Decode the 512 bytes `data`, which are at `offset` of the tar.

    Raises TarError for a wrong checksum or a malformed number.
    """
    unsigned = sum(data) - sum(data[148:156]) + _BLANK_SUM
    stored = _number(data[148:156], "checksum", offset + 148)
    if stored != unsigned:
        # Some old tar programs (Sun, NeXT) sum signed bytes.
        signed = unsigned - 256 * sum(b >> 7 for b in data) + 256 * sum(b >> 7 for b in data[148:156])
        if stored != signed:
            raise TarError(
                "wrong checksum of a tar header",
                offset=offset,
                expected=f"{unsigned:o} (octal)",
                got=f"{stored:o}",
                hint="the tar is corrupt, or not a tar",
            )
    block = Block(
        name=_c_string(data[:100]),
        mode=_number(data[100:108], "mode", offset + 100),
        size=_number(data[124:136], "size", offset + 124),
        mtime=_number(data[136:148], "mtime", offset + 136),
        typeflag=data[156:157],
        linkname=_c_string(data[157:257]),
    )
    if block.size < 0:
        raise TarError("negative size in a tar header", offset=offset, got=block.size)
    block.magic = magic = data[257:265]
    prefix = b""
    if magic[:6] == b"ustar\0":
        if data[508:512] == b"tar\0":  # STAR
            prefix = _c_string(data[345:476])
            block.atime = _number(data[476:488], "atime", offset + 476)
            block.ctime = _number(data[488:500], "ctime", offset + 488)
        else:
            prefix = _c_string(data[345:500])
    elif magic == b"ustar  \0":  # GNU: times instead of a prefix, where they are set
        if data[345]:
            block.atime = _number(data[345:357], "atime", offset + 345)
        if data[357]:
            block.ctime = _number(data[357:369], "ctime", offset + 357)
    if prefix:
        block.name = prefix + b"/" + block.name
    return block


def ascii_field(value: bytes, size: int) -> bytes:
    """Shorten `value` for a field whose full value is in a PAX record, as Go does: ASCII only, no `/` at the cut.

    Of a run of slashes at the cut Go makes only the first a NUL, which ends the field; the others stay behind it.
    """
    short = bytes(b for b in value if 0 < b < 0x80)
    if len(short) > size:
        short = short[:size]
        if short.endswith(b"/"):
            end = len(short.rstrip(b"/"))
            short = short[:end] + b"\0" + short[end + 1 :]
    return short


def ustar_block(
    *,
    name: bytes,
    typeflag: bytes,
    mode: int = 0,
    size: int = 0,
    mtime: int = 0,
    linkname: bytes = b"",
    prefix: bytes = b"",
    devices: bytes = b"0000000\0",
) -> bytes:
    """Build the block that Go's archive/tar writes for these fields, which must fit (uid and gid are 0)."""
    block = bytearray(BLOCK)
    block[0 : len(name)] = name
    block[100:124] = b"%07o\0000000000\0000000000\0" % mode
    block[124:148] = b"%011o\0%011o\0" % (size, mtime)
    block[148:156] = b"        "
    block[156:157] = typeflag
    block[157 : 157 + len(linkname)] = linkname
    block[257:265] = b"ustar\00000"
    block[329:345] = devices * 2
    block[345 : 345 + len(prefix)] = prefix
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)
