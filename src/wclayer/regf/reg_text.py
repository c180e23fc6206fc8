r"""Parse .reg files, "Windows Registry Editor Version 5.00" and "REGEDIT4", into edits.

    Windows Registry Editor Version 5.00

    ; a comment
    [HKEY_LOCAL_MACHINE\SOFTWARE\Acme]     create the key, and those on the way
    [-HKEY_LOCAL_MACHINE\SOFTWARE\Old]     delete the key with all below it
    @="text"                               the default value, a REG_SZ; \\ and \" stand for \ and "
    "name"=dword:0000002a                  REG_DWORD
    "name"=hex:01,02,\                     REG_BINARY; a comma and a backslash continue in the next line
      03
    "name"=hex(7):61,00,00,00,00,00        any type, in hexadecimal, with its raw bytes
    "name"=-                               delete the value

The grammar is that of Windows' regedit and reg.exe, as Wine's tests of both show it.
Values that these ignore silently are errors here. A file is in UTF-16 (little-endian)
with a byte order mark, as regedit writes it, or in UTF-8; without a mark Windows would
read that in its code page. Lines end as on any system; a line break in a string is
part of the string.

Version 4 (`REGEDIT4`) has the text and the bytes of hex(1), hex(2) and hex(7), whose last
NUL may be missing, in the code page of the machine that wrote it, which the file does not name. In ASCII all code pages
agree; for other characters the caller names the code page.
"""

from __future__ import annotations

import codecs
import io
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Final, TypeAlias

from ..errors import SpecError, UsageError, WclayerError
from .edits import KeyEdits
from .layout import MAX_DEPTH, MAX_KEY_NAME, MAX_VALUE_NAME
from .model import RegType, Value, dword, sz
from .names import key_order, utf16_length

__all__ = ["HEADER", "MAX_REG", "ROOTS", "parse_reg"]

HEADER: Final = "Windows Registry Editor Version 5.00"
_HEADER_4: Final = "REGEDIT4"
_OF_TEXT: Final = (RegType.SZ, RegType.EXPAND_SZ, RegType.MULTI_SZ)  # whose bytes version 4 has in the code page
ROOTS: Final = {
    "HKLM": "HKEY_LOCAL_MACHINE",
    "HKU": "HKEY_USERS",
    "HKCR": "HKEY_CLASSES_ROOT",
    "HKCU": "HKEY_CURRENT_USER",
    "HKCC": "HKEY_CURRENT_CONFIG",
}
"""The roots of registry paths: short names, and the long ones that .reg files have."""

MAX_REG: Final = 1 << 31  # bytes; the text of a hive is about six times as large as the hive

_OLD_HEADER: Final = "REGEDIT"  # of Windows 3.1: other lines, and keys of HKEY_CLASSES_ROOT only
_CP_UTF8: Final = 65001
_MAX_LINE: Final = 1 << 26  # characters; in hexadecimal a value of 22 MB
_MAX_KEYS: Final = 1 << 21  # with those on the way; a line of a kilobyte can name 500
_MAX_DEPTH: Final = MAX_DEPTH + 2  # a hive's root is two names below the registry's
_CHUNK: Final = 1 << 16
_SHOWN: Final = 100  # characters of a line, in errors

_VERSION_4: Final = re.compile(rb"[ \t]*REGEDIT4[ \t]*(?:[\r\n]|\Z)")
_BREAK: Final = re.compile("\r\n?|\n")
_BLANK: Final = re.compile(r"[ \t]*(?:;.*)?", re.DOTALL)
_STRING: Final = re.compile(r'(?:[^"\\]++|\\["\\])*+')  # up to its quote, to an unknown escape, or to the end
_ESCAPE: Final = re.compile(r"\\(.)")
_DWORD: Final = re.compile(r"dword:([0-9A-Fa-f]{1,8})(?![0-9A-Za-z])")
_HEX: Final = re.compile(r"hex(?:\(([0-9A-Fa-f]{1,8})\))?:")
_BYTES: Final = re.compile(r"(?:[ \t]*+[0-9A-Fa-f]{1,2}[ \t]*+,)*+(?:[ \t]*+[0-9A-Fa-f]{1,2})?+")
_SINGLE: Final = re.compile(r"\b[0-9A-Fa-f]\b")  # a byte of one digit

Where: TypeAlias = Callable[[Sequence[str], KeyEdits], Sequence[str]]

_LONG: Final = {**ROOTS, **{long: long for long in ROOTS.values()}}


def parse_reg(data: bytes, *, source: str, where: Where | None = None, code_page: int | None = None) -> KeyEdits:
    r"""Parse a .reg file into edits.

    The result has no name; its subkeys are the roots of the registry (`HKEY_LOCAL_MACHINE`, also for `HKLM`). Below
    them, names and order are those of the file. where: converts a registry path to one from the result, which then may
    be a key itself; it also gets the edits of the lines before, and its errors get the line's number. source: the
    file's name, for errors. code_page: that of a REGEDIT4 file, such as 1252; ASCII if None. Memory and work are linear
    in `data`.

    Raises SpecError, with the line, for a malformed file, or one larger than MAX_REG; UsageError for a code page that
    is not known.
    """
    if len(data) > MAX_REG:
        raise SpecError(".reg file too large", path=source, expected=f"at most {MAX_REG:,} bytes")
    return _Parser(data, source, where, _codec(code_page)).parse()


def _codec(code_page: int | None) -> str:
    """The codec of a code page of Windows."""
    if code_page is None:
        return "ascii"
    name = "utf-8" if code_page == _CP_UTF8 else f"cp{code_page}"
    try:
        codecs.lookup(name)
    except LookupError:
        raise UsageError(
            "a code page that is not known", expected="a number such as 1252, 932 or 65001", got=str(code_page)
        ) from None
    return name


def _lines(data: bytes, codec: str) -> Iterator[str]:
    """Yield the lines with their ends; codec: of a file that is neither in UTF-16 nor in UTF-8.

    Raises UnicodeDecodeError, and ValueError for a line that is too long.
    """
    if data.startswith(codecs.BOM_UTF16_LE) or data[1:2] == b"\0":
        start = len(codecs.BOM_UTF16_LE) if data.startswith(codecs.BOM_UTF16_LE) else 0
        decoder: codecs.IncrementalDecoder = codecs.getincrementaldecoder("utf-16-le")("surrogatepass")
    else:
        start = len(codecs.BOM_UTF8) if data.startswith(codecs.BOM_UTF8) else 0
        decoder = codecs.getincrementaldecoder(codec)()
    begun: list[str] = []
    size = 0
    held = ""  # a CR, as an LF may follow in the next chunk
    for at in range(start, len(data), _CHUNK):
        last = at + _CHUNK >= len(data)
        broken = None
        try:
            text = held + decoder.decode(data[at : at + _CHUNK], last)
        except UnicodeDecodeError as error:
            broken = error
            text = held + error.object[: error.start].decode(error.encoding, decoder.errors)
        held = "\r" if text.endswith("\r") and not last else ""
        text = text.removesuffix(held)
        done = 0
        for found in _BREAK.finditer(text):
            yield "".join((*begun, text[done : found.end()]))
            begun.clear()
            size, done = 0, found.end()
        begun.append(text[done:])
        size += len(text) - done
        if broken is not None:
            raise broken
        if size > _MAX_LINE:
            raise ValueError
    if size:
        yield "".join(begun)


def _front(pattern: re.Pattern[str], text: str, at: int) -> str:
    """Return what `pattern`, which also matches nothing, matches at `at`."""
    found = pattern.match(text, at)
    return "" if found is None else found[0]


class _Parser:
    def __init__(self, data: bytes, source: str, where: Where | None, codec: str) -> None:
        self._data = data
        self._source = source
        self._where = where
        self._codec = codec
        self._version_4 = _VERSION_4.match(data) is not None
        self._rest = _lines(data, codec if self._version_4 else "utf-8")
        self._number = 0
        self._root = KeyEdits()
        self._keys = 0

    def parse(self) -> KeyEdits:
        self._header()
        key: KeyEdits | None = None
        deleted = False
        while (line := self._line()) is not None:
            text = line.strip(" \t\r\n")
            if not text or text[0] in ";#":
                continue
            if text[0] == "[":
                key, deleted = self._key(text)
            elif text[0] not in '@"':
                raise self._error("not a line of a .reg file", "[KEY], a value or a comment", text)
            elif key is None:
                raise self._error("a value before the first key", "[KEY]", text)
            elif deleted:
                raise self._error("a value of a key that is deleted", "[KEY], which creates it again", text)
            else:
                self._value(key, line.lstrip(" \t"))
        return self._root

    def _error(self, message: str, expected: object = None, got: object = None, line: int | None = None) -> SpecError:
        number = self._number if line is None else line
        shown = None if got is None else str(got)[:_SHOWN]
        return SpecError(f"line {number}: {message}", path=self._source, expected=expected, got=shown)

    def _line(self) -> str | None:
        """Return the next line with its end; None at the end of the file."""
        self._number += 1
        try:
            line = next(self._rest, None)
        except UnicodeDecodeError as error:
            if self._version_4:
                raise self._code_page_error("text") from None
            encoding = "UTF-8" if error.encoding == "utf-8" else "UTF-16"
            raise self._error(f"text that is not {encoding}", f"{encoding}, or UTF-16 with a byte order mark") from None
        except ValueError:
            raise self._error("line too long", f"at most {_MAX_LINE:,} characters") from None
        if line is not None and "\0" in line:
            raise self._error("a NUL in the text", "a value with one as hex(N)")
        return line

    def _header(self) -> None:
        if self._data.startswith(codecs.BOM_UTF16_BE):
            raise self._error("text in big-endian UTF-16", "little-endian UTF-16, or UTF-8")
        line = (self._line() or "").strip(" \t\r\n")
        if self._version_4:
            return
        if line == _HEADER_4:
            raise self._error("a REGEDIT4 file in Unicode, which has its text in a code page", f"{HEADER}, or no mark")
        if line == _OLD_HEADER:
            error = self._error("a .reg file of Windows 3.1", f"{HEADER}, or {_HEADER_4}", line)
            error.hint = "import it on Windows, and export it again"
            raise error
        if line != HEADER:
            raise self._error("not a .reg file", HEADER, line or "nothing")

    # --- keys ---------------------------------------------------------------------

    def _key(self, text: str) -> tuple[KeyEdits, bool]:
        """Parse a key in brackets; return its edits, and whether it is deleted."""
        end = text.rfind("]")  # a name may have brackets
        if end < 0:
            raise self._error("a key without its closing bracket", "[KEY]", text)
        self._nothing_after(text, end + 1)
        path = text[1:end]
        delete = path.startswith("-")
        names = self._names(path.removeprefix("-"))
        if delete and len(names) <= (self._where is None):
            raise self._error("a root of the registry or a hive cannot be deleted", got=path)
        key = self._root
        for name in names:
            order = key_order(name)
            below = key.subkeys.get(order)
            if below is None:
                below = key.subkeys[order] = self._new(name)
            key = below
            if not delete and not key.make:  # to delete a key does not create those above it
                key.name, key.make = name, True
        if delete:
            key.remove()
        return key, delete

    def _names(self, path: str) -> Sequence[str]:
        """Parse a registry path into names, from the result of `parse_reg`."""
        names = path.rstrip("\\").split("\\")
        root = _LONG.get(names[0].upper())
        if root is None:
            raise self._error("a path without a root", "HKEY_LOCAL_MACHINE\\..., HKEY_USERS\\... or another root", path)
        if "" in names:
            raise self._error("a key without a name", "names with one backslash between", path)
        if len(names) > _MAX_DEPTH:
            raise self._error("a key too deep", f"at most {_MAX_DEPTH} names", len(names))
        names[0] = root
        if self._where is None:
            return names
        try:
            return self._where(names, self._root)
        except WclayerError as error:
            raise SpecError(
                f"line {self._number}: {error.message}",
                path=self._source,
                expected=error.expected,
                got=path[:_SHOWN],
                hint=error.hint,
            ) from None

    def _new(self, name: str) -> KeyEdits:
        if utf16_length(name) > 2 * MAX_KEY_NAME:
            raise self._error("name of a key too long", f"at most {MAX_KEY_NAME} UTF-16 code units", name)
        self._keys += 1
        if self._keys > _MAX_KEYS:
            raise self._error("too many keys", f"at most {_MAX_KEYS:,}")
        return KeyEdits(name)

    # --- values -------------------------------------------------------------------

    def _value(self, key: KeyEdits, line: str) -> None:
        name, at = "", 1
        if line[0] == '"':
            name, at = self._name(line)
        while line[at : at + 1] in (" ", "\t"):
            at += 1
        if line[at : at + 1] != "=":
            raise self._error("a value without its =", '"name"=data', line.strip())
        at += 1
        while line[at : at + 1] in (" ", "\t"):
            at += 1
        if line[at : at + 1] == '"':
            key.set(sz(name, self._string(line, at + 1)))
        elif line[at : at + 1] == "-":
            self._nothing_after(line, at + 1)
            key.unset(name)
        elif (found := _DWORD.match(line, at)) is not None:
            self._nothing_after(line, found.end())
            key.set(dword(name, int(found[1], 16)))
        elif (found := _HEX.match(line, at)) is not None:
            kind = RegType.BINARY if found[1] is None else int(found[1], 16)
            data = self._bytes(line, found.end())
            key.set(Value(name, kind, self._in_utf16(data) if self._version_4 and kind in _OF_TEXT else data))
        else:
            expected = '"text", dword: and 1 to 8 digits, hex: or hex(N): and bytes, or -'
            raise self._error("malformed data", expected, line[at:].strip() or "nothing")

    def _in_utf16(self, data: bytes) -> bytes:
        """Text of version 4, as a hive has it."""
        try:
            text = data.decode(self._codec)
        except UnicodeDecodeError:
            raise self._code_page_error("a value of text") from None
        return (text if text.endswith("\0") or not text else f"{text}\0").encode("utf-16-le")

    def _code_page_error(self, what: str) -> SpecError:
        if self._codec == "ascii":
            error = self._error(f"{what} beyond ASCII, in a file that does not name its code page", "ASCII")
            error.hint = "name the code page of the machine that wrote it: --code-page 1252, for Western Europe"
            return error
        return self._error(f"{what} that is not in the code page {self._codec.removeprefix('cp')}")

    def _name(self, line: str) -> tuple[str, int]:
        """Parse a name in quotes; return it, and the index behind it."""
        name = _front(_STRING, line, 1)
        end = 1 + len(name)
        if line[end : end + 1] == "\\":
            raise self._escape_error(line, end)
        if line[end : end + 1] != '"' or _BREAK.search(name):
            raise self._error("a value's name without its closing quote", '"name"=data', line.strip())
        name = _ESCAPE.sub(r"\1", name)
        if utf16_length(name) > 2 * MAX_VALUE_NAME:
            raise self._error("name of a value too long", f"at most {MAX_VALUE_NAME} UTF-16 code units", name)
        return name, end + 1

    def _string(self, line: str, at: int) -> str:
        """Parse a string up to its closing quote, perhaps some lines further on."""
        first = self._number
        text = io.StringIO(newline="")  # a list of short lines would take many times the memory
        while True:
            part = _front(_STRING, line, at)
            text.write(_ESCAPE.sub(r"\1", part))
            end = at + len(part)
            if end < len(line):
                break
            further = self._line()
            if further is None:
                raise self._error("a string without its closing quote", '"text"', line=first)
            line, at = further, 0
        if line[end] == "\\":
            raise self._escape_error(line, end)
        self._nothing_after(line, end + 1)
        return text.getvalue()

    def _escape_error(self, line: str, at: int) -> SpecError:
        got = line[at : at + 2].rstrip("\r\n")
        return self._error("an escape that .reg files do not have", 'one of \\\\ and \\", or the data as hex(N)', got)

    def _bytes(self, line: str, at: int) -> bytes:
        """Parse a list of bytes, which a comma and a backslash continue in the next line."""
        first = self._number
        result = bytearray()
        fresh = True  # nothing of the list has been read
        while True:
            listed = _front(_BYTES, line, at)
            end = at + len(listed)
            result += bytes.fromhex(_SINGLE.sub(r"0\g<0>", listed.replace(",", " ")))
            rest = line[end:].lstrip(" \t").rstrip("\r\n")
            if not rest.startswith("\\"):
                self._nothing_after(line, end)
                return bytes(result)
            self._nothing_after(rest, 1)
            if not listed.endswith(",") and not (fresh and not listed):
                raise self._error("a backslash that does not continue a list", "a comma before it", line.strip())
            fresh = False
            line, at = self._continuation(first), 0

    def _continuation(self, first: int) -> str:
        """Return the next line of a list that began in the line `first`, without blank lines and comments between."""
        while (line := self._line()) is not None:
            if line.strip(" \t\r\n") and line.lstrip(" \t")[0] != ";":
                return line
        raise self._error("a list that breaks off", "bytes behind the backslash", "the end of the file", line=first)

    def _nothing_after(self, text: str, at: int) -> None:
        """Raise SpecError for anything but a comment."""
        if _BLANK.fullmatch(rest := text[at:].rstrip("\r\n")) is None:
            raise self._error("text behind it", "the end of the line, or ; and a comment", rest.strip())
