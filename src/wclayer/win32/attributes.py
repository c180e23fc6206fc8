"""File attributes: FILE_ATTRIBUTE_* of winnt.h and [MS-FSCC] 2.6, and their text in a layer tar."""

from __future__ import annotations

from typing import Final

from ..errors import AttributesError

__all__ = [
    "FILE_ATTRIBUTE_ARCHIVE",
    "FILE_ATTRIBUTE_DIRECTORY",
    "FILE_ATTRIBUTE_ENCRYPTED",
    "FILE_ATTRIBUTE_HIDDEN",
    "FILE_ATTRIBUTE_NORMAL",
    "FILE_ATTRIBUTE_NOT_CONTENT_INDEXED",
    "FILE_ATTRIBUTE_READONLY",
    "FILE_ATTRIBUTE_REPARSE_POINT",
    "FILE_ATTRIBUTE_SPARSE_FILE",
    "FILE_ATTRIBUTE_SYSTEM",
    "MODE_LETTERS",
    "attribute_letters",
    "attribute_mode",
    "attribute_names",
    "parse_attributes",
]

FILE_ATTRIBUTE_READONLY: Final = 0x1
FILE_ATTRIBUTE_HIDDEN: Final = 0x2
FILE_ATTRIBUTE_SYSTEM: Final = 0x4
FILE_ATTRIBUTE_DIRECTORY: Final = 0x10
FILE_ATTRIBUTE_ARCHIVE: Final = 0x20
FILE_ATTRIBUTE_NORMAL: Final = 0x80
FILE_ATTRIBUTE_SPARSE_FILE: Final = 0x200
FILE_ATTRIBUTE_REPARSE_POINT: Final = 0x400
FILE_ATTRIBUTE_NOT_CONTENT_INDEXED: Final = 0x2000
FILE_ATTRIBUTE_ENCRYPTED: Final = 0x4000

_NAMES: Final = {
    0x1: "READONLY",
    0x2: "HIDDEN",
    0x4: "SYSTEM",
    FILE_ATTRIBUTE_DIRECTORY: "DIRECTORY",
    FILE_ATTRIBUTE_ARCHIVE: "ARCHIVE",
    0x40: "DEVICE",
    FILE_ATTRIBUTE_NORMAL: "NORMAL",
    0x100: "TEMPORARY",
    FILE_ATTRIBUTE_SPARSE_FILE: "SPARSE_FILE",
    FILE_ATTRIBUTE_REPARSE_POINT: "REPARSE_POINT",
    0x800: "COMPRESSED",
    0x1000: "OFFLINE",
    0x2000: "NOT_CONTENT_INDEXED",
    FILE_ATTRIBUTE_ENCRYPTED: "ENCRYPTED",
    0x8000: "INTEGRITY_STREAM",
    0x10000: "VIRTUAL",
    0x20000: "NO_SCRUB_DATA",
    0x40000: "RECALL_ON_OPEN",
    0x80000: "PINNED",
    0x100000: "UNPINNED",
    0x400000: "RECALL_ON_DATA_ACCESS",
}

# The letters of PowerShell's Mode and of attrib, and some for attributes that these do not show.
MODE_LETTERS: Final = {
    "d": FILE_ATTRIBUTE_DIRECTORY,
    "a": FILE_ATTRIBUTE_ARCHIVE,
    "r": FILE_ATTRIBUTE_READONLY,
    "h": FILE_ATTRIBUTE_HIDDEN,
    "s": FILE_ATTRIBUTE_SYSTEM,
    "l": FILE_ATTRIBUTE_REPARSE_POINT,
    "c": 0x800,
    "p": FILE_ATTRIBUTE_SPARSE_FILE,
    "e": FILE_ATTRIBUTE_ENCRYPTED,
    "t": 0x100,
    "i": FILE_ATTRIBUTE_NOT_CONTENT_INDEXED,
}
_LETTERS: Final = MODE_LETTERS | {"n": FILE_ATTRIBUTE_NORMAL, "o": 0x1000, "v": 0x8000, "x": 0x20000}


def parse_attributes(value: bytes) -> int:
    """Parse the uint32 of `MSWINDOWS.fileattr`, ASCII digits as Go's strconv.ParseUint. Raises AttributesError."""
    # int() would take signs, blanks, underscores and other scripts' digits, and long numbers at any cost.
    if value.isdigit() and len(digits := value.lstrip(b"0")) <= 10 and (number := int(digits or b"0")) <= 0xFFFFFFFF:
        return number
    raise AttributesError(
        "malformed file attributes", expected="a decimal uint32", got=repr(value[:40])[2:-1] or "nothing"
    )


def attribute_names(attributes: int) -> list[str]:
    """Return the names of the set bits, lowest first; bits without a name in hexadecimal."""
    bits = (1 << number for number in range(32) if attributes >> number & 1)
    return [_NAMES.get(bit, f"{bit:#x}") for bit in bits]


def attribute_mode(attributes: int) -> str:
    """Return the letters of MODE_LETTERS, each as a dash where its bit is not set."""
    return "".join(letter if attributes & bit else "-" for letter, bit in MODE_LETTERS.items())


def attribute_letters(attributes: int) -> str:
    """Return the set bits as letters, those of attribute_mode() and some more; `-` for none.

    Bits without a letter follow in hexadecimal: `a+0x40000`.
    """
    letters = "".join(letter for letter, bit in _LETTERS.items() if attributes & bit)
    rest = attributes & ~sum(_LETTERS.values())
    return f"{letters}+{rest:#x}" if rest else letters or "-"
