r"""Print keys, and edits of them, as a .reg file of version 5.00 (its grammar: `reg_text`).

The format is that of regedit's export: keys in the order of a hive, values in their own
order; REG_SZ, REG_DWORD and REG_BINARY in their short forms, lists of bytes in lines of
at most 80 columns. A short form is used only if it is exact: a REG_SZ without its NUL,
with a NUL inside, with a line break or an unpaired surrogate, and a REG_DWORD of other
than four bytes are printed as lists of bytes. So parsing gives the same types and data.

A .reg file cannot hold class names, security descriptors, times and flags, nor a name
with a line break or a NUL, nor the name of a key with a backslash.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Iterator
from typing import Final

from ..errors import InexpressibleError
from .edits import KeyEdits
from .layout import MAX_KEY_NAME, MAX_VALUE_NAME
from .model import Key, LayerSemantics, Noted, Place, RegType, Value
from .names import key_order, utf16_length
from .reg_text import HEADER

__all__ = ["encode_reg", "print_edits", "print_reg"]

_WIDTH: Final = 77  # regedit breaks a line of bytes after so many characters; the backslash follows
_INDENT: Final = "  "
_BYTE: Final = 3  # two digits and a comma
_LONGEST_STRING: Final = 1 << 20  # bytes; longer strings are lists of bytes, so that lines have a limit
_UNSPEAKABLE: Final = re.compile("[\r\n\0]")
_SURROGATE: Final = re.compile("[\ud800-\udfff]")  # one of a pair is part of a character
_UNSPEAKABLE_IN_KEYS: Final = re.compile(r"[\r\n\0\\]|\A\Z")


def print_reg(key: Key, path: str, *, left_out: Noted | None = None, utf8: bool = False) -> Iterator[str]:
    r"""Yield the lines, each with its `\n`, of a .reg file that creates `key` with all below it.

    path: its registry path, such as `HKEY_LOCAL_MACHINE\SOFTWARE`; the name of `key` is ignored. For a differencing
    hive the file makes its changes. left_out: gets the paths of keys, and of values as `KEY\\VALUE`, that a .reg file
    cannot name, and which are then left out; if None, they are errors. utf8: for UTF-8, which cannot hold names with
    an unpaired surrogate.

    Raises InexpressibleError at once, not after some lines; also for a key that supersedes locally.
    """
    names = _Names(path, utf8)
    stack = [(key, Place("", None))]
    while stack:
        found, place = stack.pop()
        if found.semantics is LayerSemantics.SUPERSEDE_LOCAL:
            expected = "one that merges, supersedes a tree, or is deleted"
            raise names.error("a key that supersedes locally", place, expected)
        for value in found.values if left_out is None else ():
            names.check_value(value.name, place)
        for sub in found.subkeys if found.semantics is not LayerSemantics.TOMBSTONE else ():
            if left_out is None:
                names.check_key(sub.name, place)
            if names.has_key(sub.name):
                stack.append((sub, Place(sub.name, place)))
    return _printed(key, path, names, left_out or Noted())


def _printed(key: Key, path: str, names: _Names, left_out: Noted) -> Iterator[str]:
    yield f"{HEADER}\n"
    # The keys of each level, with the path that they are in: all paths at once could be many times the hive.
    levels: list[tuple[Iterator[Key], str | None, bool]] = [(iter((key,)), None, False)]
    while levels:
        keys, above, anew = levels[-1]
        found = next(keys, None)
        if found is None:
            levels.pop()
            continue
        at = path if above is None else f"{above}\\{found.name}"
        if above is not None and not names.has_key(found.name):
            left_out.add(at)
            continue
        if found.semantics in (LayerSemantics.TOMBSTONE, LayerSemantics.SUPERSEDE_TREE) and not anew:
            yield f"\n[-{at}]\n"
            anew = True
        if found.semantics is LayerSemantics.TOMBSTONE:
            continue
        yield f"\n[{at}]\n"
        for value in found.values:
            if names.has_value(value.name):
                yield from _value(value)
            else:
                left_out.add(f"{at}\\\\{value.name}")
        levels.append((iter(sorted(found.subkeys, key=_order)), at, anew))


def print_edits(edits: KeyEdits, path: str, *, utf8: bool = False) -> Iterator[str]:
    """Yield the lines of a .reg file that makes the edits of the key at the registry path `path`.

    Raises InexpressibleError as print_reg, and for an edit of a descriptor.
    """
    names = _Names(path, utf8)
    stack = [(edits, Place("", None))]
    while stack:
        key, place = stack.pop()
        if key.security is not None:
            raise names.error("a key's security", place, "a change of values and subkeys")
        for value in key.values.values():
            names.check_value(value.name, place)
        for below in key.subkeys.values():
            names.check_key(below.name, place)
            stack.append((below, Place(below.name, place)))
    return _printed_edits(edits, path)


def _printed_edits(edits: KeyEdits, path: str) -> Iterator[str]:
    yield f"{HEADER}\n"
    levels: list[tuple[Iterator[KeyEdits], str | None]] = [(iter((edits,)), None)]
    while levels:
        keys, above = levels[-1]
        key = next(keys, None)
        if key is None:
            levels.pop()
            continue
        at = path if above is None else f"{above}\\{key.name}"
        if key.delete:
            yield f"\n[-{at}]\n"
        if key.make or key.values:
            yield f"\n[{at}]\n"
            for value in key.values.values():
                yield from _value(value)
        levels.append((iter([key.subkeys[order] for order in sorted(key.subkeys)]), at))


def encode_reg(lines: Iterable[str], *, utf8: bool = False) -> Iterator[bytes]:
    r"""Encode the lines of a .reg file: in UTF-16 with a byte order mark and CRLF, as regedit does; or UTF-8 and LF.

    Raises InexpressibleError for a name with an unpaired surrogate in UTF-8.
    """
    if not utf8:
        yield codecs.BOM_UTF16_LE
        for line in lines:
            yield line.replace("\n", "\r\n").encode("utf-16-le", "surrogatepass")
        return
    for line in lines:
        try:
            yield line.encode("utf-8")
        except UnicodeEncodeError:
            raise InexpressibleError(
                "an unpaired surrogate in UTF-8", path=line.strip(), hint="a .reg file in UTF-16 can hold it"
            ) from None


def _order(key: Key) -> bytes:
    return key_order(key.name)


class _Names:
    """The names that a .reg file can hold, below the registry path `path`. utf8: a file in UTF-8."""

    def __init__(self, path: str, utf8: bool) -> None:
        self._path = path
        self._utf8 = utf8
        if _UNSPEAKABLE.search(path) is not None:
            raise InexpressibleError(
                "the name cannot be in a .reg file", path=path, expected="names with no line break and no NUL"
            )

    def has_key(self, name: str) -> bool:
        return self._has(name, _UNSPEAKABLE_IN_KEYS, MAX_KEY_NAME)

    def has_value(self, name: str) -> bool:
        return self._has(name, _UNSPEAKABLE, MAX_VALUE_NAME)

    def check_key(self, name: str, above: Place) -> None:
        """Raise InexpressibleError for the name of a key that the file cannot hold."""
        if not self.has_key(name):
            expected = f"up to {MAX_KEY_NAME} UTF-16 code units, no line break, no NUL, no backslash"
            raise self.error("the name", Place(name, above), self._expected(expected))

    def check_value(self, name: str, key: Place) -> None:
        """Raise InexpressibleError for the name of a value that the file cannot hold."""
        if not self.has_value(name):
            expected = f"up to {MAX_VALUE_NAME} UTF-16 code units, no line break, no NUL"
            raise self.error("the name", Place(f"\\{name}", key), self._expected(expected))

    def error(self, message: str, place: Place, expected: str) -> InexpressibleError:
        """What cannot be in a .reg file, at a place below the path."""
        path = self._path if place.above is None else f"{self._path}\\{place.name and place.path()}"
        return InexpressibleError(f"{message} cannot be in a .reg file", path=path, expected=expected)

    def _has(self, name: str, bad: re.Pattern[str], most: int) -> bool:
        if self._utf8 and _SURROGATE.search(name) is not None:
            return False
        return bad.search(name) is None and utf16_length(name) <= 2 * most

    def _expected(self, expected: str) -> str:
        return f"{expected}; in UTF-8 no unpaired surrogate" if self._utf8 else expected


def _value(value: Value) -> Iterator[str]:
    name = f'"{_escaped(value.name)}"=' if value.name else "@="
    if value.tombstone:
        yield f"{name}-\n"
    elif value.type == RegType.DWORD and len(value.data) == 4:
        yield f"{name}dword:{int.from_bytes(value.data, 'little'):08x}\n"
    elif value.type == RegType.SZ and (text := _text(value.data)) is not None:
        yield f'{name}"{_escaped(text)}"\n'
    else:
        form = "hex:" if value.type == RegType.BINARY else f"hex({value.type:x}):"
        yield from _bytes(f"{name}{form}", value.data)


def _text(data: bytes) -> str | None:
    """Return the text of a REG_SZ, or None if a string in quotes would not be exact."""
    if len(data) > _LONGEST_STRING or data[-2:] != b"\0\0":
        return None
    try:
        text = data[:-2].decode("utf-16-le")
    except UnicodeDecodeError:
        return None
    return None if _UNSPEAKABLE.search(text) else text


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _bytes(begin: str, data: bytes) -> Iterator[str]:
    """Yield the lines of a list of bytes."""
    at = 0
    while True:
        column = utf16_length(begin) // 2
        count = max(1, -((column - _WIDTH) // _BYTE))
        yield f"{begin}{data[at : at + count].hex(',')}"
        at += count
        if at >= len(data):
            yield "\n"
            return
        yield ",\\\n"
        begin = _INDENT
