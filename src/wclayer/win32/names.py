"""Names as NTFS has them: UTF-16 code units, compared in upper case by $UpCase.

NTFS allows unpaired surrogates. They are surrogates in Python's text, and WTF-8
(https://simonsapin.github.io/wtf-8/) in the bytes of a tar. Upper case is that of
the volume's own table, never Python's, which changes with the version of Unicode.
"""

from __future__ import annotations

import re
from typing import Final

from ..codes import Code
from ..errors import InvalidNameError
from ._upcase import RUNS

__all__ = [
    "check_component",
    "check_length",
    "check_path_length",
    "decode_wtf8",
    "encode_wtf8",
    "from_utf16",
    "long_path",
    "to_utf16",
    "upcase",
    "win32_problem",
]

MAX_NAME: Final = 255  # UTF-16 code units
# Of a path in a layer, in UTF-16 code units; Windows' limit is 32,767 with `\\??\\C:\\` before it.
MAX_LAYER_PATH: Final = 32_767 - 7

_UPCASE: Final = {unit: unit + delta for first, last, step, delta in RUNS for unit in range(first, last + 1, step)}
_SURROGATE = re.compile("[\ud800-\udfff]")
_FORBIDDEN = re.compile(r"[\0/\\:]")
_WIN32_FORBIDDEN = re.compile(r'[<>"|?*\x01-\x1f]')
_DEVICE = re.compile(r"(?:CON|PRN|AUX|NUL|CONIN\$|CONOUT\$|(?:COM|LPT)[0-9\xb9\xb2\xb3])(?: *\..*| *)", re.DOTALL)


def _joined(text: str) -> str:
    """Join each high surrogate with the low one that follows, as these units are one character to NTFS."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


def decode_wtf8(data: bytes) -> str:
    """Decode a name. Raises InvalidNameError for bytes that are not WTF-8: no name of NTFS can be that."""
    try:
        text = data.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError as error:
        raise InvalidNameError(
            "name that is not UTF-8",
            expected="UTF-8, as Windows' names are Unicode",
            got=repr(data[error.start : error.end])[2:-1],
        ) from None
    return _joined(text) if _SURROGATE.search(text) else text


def encode_wtf8(name: str) -> bytes:
    """Encode `name` as WTF-8: UTF-8, and unpaired surrogates as three bytes each."""
    return name.encode("utf-8", "surrogatepass")


def to_utf16(name: str) -> bytes:
    """Encode as little-endian UTF-16 without a byte order mark."""
    return name.encode("utf-16-le", "surrogatepass")


def from_utf16(data: bytes) -> str:
    """Decode little-endian UTF-16; a single byte at the end is ignored."""
    return data[: len(data) // 2 * 2].decode("utf-16-le", "surrogatepass")


def upcase(name: str) -> str:
    """Return `name` in NTFS's upper case, by which names are compared; characters beyond the BMP stay as they are."""
    # NTFS looks up each UTF-16 unit, and $UpCase leaves surrogates alone: there is no case beyond the BMP.
    return name.upper() if name.isascii() else name.translate(_UPCASE)


def check_component(name: str) -> None:
    """Raise InvalidNameError for what cannot be the name of a file: `.`, `..`, nothing, or one of / \\ : NUL in it."""
    if name in ("", ".", ".."):
        raise InvalidNameError("not a file name", expected="a name", got=repr(name))
    found = _FORBIDDEN.search(name)
    if found is not None:
        raise InvalidNameError("character that a file name cannot have", expected="none of / \\ : NUL", got=repr(name))


def check_length(name: str) -> None:
    """Raise InvalidNameError for a name longer than NTFS can hold. A tar can, so it is checked apart."""
    if len(name) > MAX_NAME // 2 and (units := len(to_utf16(name)) // 2) > MAX_NAME:
        raise InvalidNameError(
            "name longer than NTFS can hold", expected=f"at most {MAX_NAME} UTF-16 code units", got=units
        )


def check_path_length(path: str) -> None:
    """Raise InvalidNameError for a path longer than Windows can open, on any volume."""
    # A character is one or two units, so most paths need not be encoded to be measured.
    if len(path) > MAX_LAYER_PATH // 2 and (units := len(to_utf16(path)) // 2) > MAX_LAYER_PATH:
        raise InvalidNameError(
            "path longer than Windows can open",
            expected=f"at most {MAX_LAYER_PATH:,} UTF-16 code units",
            got=f"{units:,}",
            rule=Code.PATH_TOO_LONG,
        )


def win32_problem(name: str) -> str | None:
    """Say why Win32 programs cannot open a file of this name, although NTFS can hold it; None if they can."""
    if _WIN32_FORBIDDEN.search(name):
        return 'a control character, or one of < > " | ? *'
    if name.endswith((".", " ")):
        return "a dot or blank at the end"
    if _DEVICE.fullmatch(upcase(name)):
        return "the name of a device"
    return None


def long_path(path: str) -> str:
    r"""Return an absolute path in the form without the limit of 260 characters: `\\?\C:\x`, `\\?\UNC\server\share`."""
    if path.startswith("\\\\?\\"):
        return path
    return f"\\\\?\\UNC{path[1:]}" if path.startswith("\\\\") else f"\\\\?\\{path}"
