r"""Keys, and changes to them, as the text of a .reg file, version 5.00 (its grammar: `reg_text`).

As regedit exports: keys in the order of a hive, values in their own; REG_SZ, REG_DWORD
and REG_BINARY in their short forms, lists of bytes in lines of at most 80 columns. A
short form stands where it says everything: a REG_SZ without its NUL, with one inside,
with a line break or an unpaired surrogate, and a REG_DWORD that has not four bytes, are
lists of bytes. So parsed text gives the same types and data.

Classes, security descriptors, times and flags have no place in .reg files. Nor has a
name with a line break or a NUL, or a key's with a backslash.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Iterator
from typing import Final

from ..errors import InexpressibleError
from .edits import KeyEdits
from .layout import MAX_KEY_NAME, MAX_VALUE_NAME
from .model import Key, LayerSemantics, Noted, RegType, Value
from .names import key_order, utf16_length
from .reg_text import HEADER

__all__ = ["encode_reg", "print_edits", "print_reg"]

_WIDTH: Final = 77  # a line of bytes is full with so many characters; the backslash comes behind them
_INDENT: Final = "  "
_BYTE: Final = 3  # two digits and a comma
_LONGEST_STRING: Final = 1 << 20  # bytes; longer ones are lists, so that lines are bounded
_UNSPEAKABLE: Final = re.compile("[\r\n\0]")
_UNSPEAKABLE_IN_KEYS: Final = re.compile(r"[\r\n\0\\]|\A\Z")


def print_reg(key: Key, path: str, *, left_out: Noted | None = None) -> Iterator[str]:
    r"""The lines of a .reg file that makes `key` with all below it, at the registry path `path`, with `\n` at their
    ends.

    path: `HKEY_LOCAL_MACHINE\SOFTWARE`, say; the name of `key` does not matter. Of a differencing hive the text makes
    its changes. left_out: takes the paths of keys, and of values as `KEY\\VALUE`, that no .reg file can name, and
    which are then left out; if None, they are errors, as is a key that supersedes locally, which no text can say.

    Raises InexpressibleError.
    """
    left = _LeftOut(left_out)
    _check_path(path)
    yield f"{HEADER}\n"
    # Levels of keys yet to come, each with the path that they are in: all paths at once could be many times the hive.
    levels: list[tuple[Iterator[Key], str | None, bool]] = [(iter((key,)), None, False)]
    while levels:
        keys, above, anew = levels[-1]
        found = next(keys, None)
        if found is None:
            levels.pop()
            continue
        at = path if above is None else f"{above}\\{found.name}"
        if above is not None and not left.speakable(found.name, at):
            continue
        if found.semantics in (LayerSemantics.TOMBSTONE, LayerSemantics.SUPERSEDE_TREE) and not anew:
            yield f"\n[-{at}]\n"
            anew = True
        if found.semantics is LayerSemantics.TOMBSTONE:
            continue
        if found.semantics is LayerSemantics.SUPERSEDE_LOCAL:
            left.key(at, "a key that supersedes locally", "one that merges, supersedes a tree, or is deleted")
        yield f"\n[{at}]\n"
        yield from _values(found.values, at, left)
        levels.append((iter(sorted(found.subkeys, key=_order)), at, anew))


def print_edits(edits: KeyEdits, path: str, *, left_out: Noted | None = None) -> Iterator[str]:
    """The lines of a .reg file that makes the changes `edits` of the key at the registry path `path`.

    As print_reg does it; a change of a descriptor is what no text can say.
    """
    left = _LeftOut(left_out)
    _check_path(path)
    yield f"{HEADER}\n"
    levels: list[tuple[Iterator[KeyEdits], str | None]] = [(iter((edits,)), None)]
    while levels:
        keys, above = levels[-1]
        key = next(keys, None)
        if key is None:
            levels.pop()
            continue
        at = path if above is None else f"{above}\\{key.name}"
        if above is not None and not left.speakable(key.name, at):
            continue
        if key.security is not None:
            left.key(at, "a key's security", "a change of values and subkeys")
        if key.delete:
            yield f"\n[-{at}]\n"
        if key.make or key.values:
            yield f"\n[{at}]\n"
            yield from _values(key.values.values(), at, left)
        levels.append((iter([key.subkeys[order] for order in sorted(key.subkeys)]), at))


def encode_reg(lines: Iterable[str], *, utf8: bool = False) -> Iterator[bytes]:
    r"""The bytes of a .reg file of these lines: UTF-16 with a byte order mark and CRLF, as regedit's; or UTF-8 with LF.

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


def _check_path(path: str) -> None:
    """Raise InexpressibleError for the path of a key that no .reg file can name."""
    if _UNSPEAKABLE.search(path) is not None:
        raise InexpressibleError(
            "the name has no place in a .reg file", path=path, expected="names with no line break and no NUL"
        )


def _order(key: Key) -> bytes:
    return key_order(key.name)


class _LeftOut:
    """What has no place in a .reg file: an error, or noted."""

    def __init__(self, noted: Noted | None) -> None:
        self._noted = noted

    def key(self, path: str, message: str, expected: str) -> None:
        if self._noted is None:
            raise InexpressibleError(f"{message} has no place in a .reg file", path=path, expected=expected)
        self._noted.add(path)

    def speakable(self, name: str, path: str) -> bool:
        """Can the key at `path` be called so?"""
        return self._speakable(path, name, _UNSPEAKABLE_IN_KEYS, MAX_KEY_NAME)

    def speakable_value(self, name: str, key: str) -> bool:
        """Can a value of `key` be called so?"""
        return self._speakable(f"{key}\\\\{name}", name, _UNSPEAKABLE, MAX_VALUE_NAME)

    def _speakable(self, path: str, name: str, bad: re.Pattern[str], most: int) -> bool:
        if bad.search(name) is None and utf16_length(name) <= 2 * most:
            return True
        self.key(path, "the name", f"up to {most} UTF-16 code units, no line break, no NUL, no backslash in a key's")
        return False


def _values(values: Iterable[Value], path: str, left: _LeftOut) -> Iterator[str]:
    for value in values:
        if left.speakable_value(value.name, path):
            yield from _value(value)


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
    """The text of a REG_SZ, if a string says all of it."""
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
    """The lines of a list of bytes."""
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
