"""A hive as values: a tree of keys, each with values, a class name, a security descriptor and a time.

Bytes that the format only carries (data, class names, descriptors) are kept unchanged:
a REG_SZ may lack its NUL, a class name need not be text, a type may be any number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final, NamedTuple, TypeVar

from ..win32.names import to_utf16
from .layout import LAYER_INHERIT_CLASS, LAYER_SEMANTICS, MINOR_LAYERED, MINOR_XP
from .names import key_order

__all__ = [
    "DEFAULT_SECURITY",
    "Hive",
    "Key",
    "LayerSemantics",
    "Noted",
    "Place",
    "RegType",
    "Value",
    "by_order",
    "dword",
    "multi_sz",
    "qword",
    "sz",
]

DEFAULT_SECURITY: Final = bytes.fromhex(
    "0100048070000000800000000000000014000000"
    "02005c0004000000"
    "000214003f000f00010100000000000512000000"
    "000218003f000f0001020000000000052000000020020000"
    "0002140019000200010100000000000100000000"
    "000214001900020001010000000000050c000000"
    "01020000000000052000000020020000"
    "01020000000000052000000020020000"
)
"""O:BAG:BAD:(A;CI;KA;;;SY)(A;CI;KA;;;BA)(A;CI;KR;;;WD)(A;CI;KR;;;RC), the bytes that offreg gives a new hive."""


class RegType(IntEnum):
    """The named types of values ([MS-RRP] 3.1.1.5); any other uint32 is legal too."""

    NONE = 0
    SZ = 1
    EXPAND_SZ = 2
    BINARY = 3
    DWORD = 4
    DWORD_BIG_ENDIAN = 5
    LINK = 6
    MULTI_SZ = 7
    RESOURCE_LIST = 8
    FULL_RESOURCE_DESCRIPTOR = 9
    RESOURCE_REQUIREMENTS_LIST = 10
    QWORD = 11


_MAX_NAMES: Final = 16  # of a path that is shown
_MAX_PATHS: Final = 100  # kept in one Noted
_MAX_PATH: Final = 1000  # characters of one


class Place(NamedTuple):
    """A key below others. Its path is built only for findings: those of all keys could be larger than the hive."""

    name: str
    above: Place | None

    def path(self) -> str:
        """Return the path below the root, of a deep key only the last names."""
        names: list[str] = []
        place = self
        while place.above is not None and len(names) < _MAX_NAMES:
            names.append(place.name)
            place = place.above
        if place.above is not None:
            names.append("...")
        return "\\".join(reversed(names)) or "\\"


@dataclass(slots=True)
class Noted:
    """Keys or values for a report: all are counted, and the paths of the first hundred kept.

    The paths of all could be larger than the hive, and so could a single one: of a long path the end is kept.
    """

    count: int = 0
    paths: list[str] = field(default_factory=list)

    def add(self, path: Place | str) -> None:
        """Note the key or value at `path`."""
        self.count += 1
        if len(self.paths) < _MAX_PATHS:
            text = path if isinstance(path, str) else path.path()
            self.paths.append(text if len(text) <= _MAX_PATH else f"...{text[-_MAX_PATH:]}")


class LayerSemantics(IntEnum):
    """The relation of a key in a differencing hive to the lower key of the same name: bits of its layer byte."""

    MERGE = 0
    """Its values and subkeys are added to the lower ones."""
    TOMBSTONE = 1
    """The key is deleted."""
    SUPERSEDE_LOCAL = 2
    """It hides the lower values, class name and descriptor, but not the subkeys."""
    SUPERSEDE_TREE = 3
    """It hides the lower key with all subkeys; its own subkeys have these semantics too, or are tombstones."""


@dataclass(frozen=True, slots=True)
class Value:
    """A value; the default value has no name. A `tombstone`, in a differencing hive, hides the one of its name."""

    name: str
    type: int
    data: bytes = b""
    tombstone: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Key:
    """A key: `subkeys` in any order, `values` in the order in which they are enumerated.

    `last_written` is a FILETIME, `class_name` UTF-16 without a NUL, `security` a self-relative descriptor.
    `flags` are the KEY_ bits of `layout` without those that follow from name and place (COMP_NAME, those of the root).
    `layer` is the layer byte, 0 except in a differencing hive. `control` are the upper 16 bits of the field for the
    largest name of a subkey: flags of WOW64, of virtualisation, of debugging. `handle` is the handle that a key with
    KEY_PREDEF_HANDLE opens as; it has no values of its own (as below Perflib until 2023).
    """

    name: str
    values: tuple[Value, ...] = ()
    subkeys: tuple[Key, ...] = field(default=(), repr=False)
    last_written: int = 0
    security: bytes = field(default=DEFAULT_SECURITY, repr=False)
    class_name: bytes = b""
    flags: int = 0
    layer: int = 0
    control: int = 0
    handle: int = 0

    @property
    def semantics(self) -> LayerSemantics:
        """Its relation to the lower key, in a differencing hive."""
        return LayerSemantics(self.layer & LAYER_SEMANTICS)

    @property
    def inherits_class(self) -> bool:
        """True if it has the class name of the lower key, in a differencing hive."""
        return bool(self.layer & LAYER_INHERIT_CLASS)

    def subkey(self, name: str) -> Key | None:
        """Return the subkey of that name, in any case, or None."""
        order = key_order(name)
        return next((key for key in self.subkeys if key_order(key.name) == order), None)

    def value(self, name: str) -> Value | None:
        """Return the value of that name, in any case, or None."""
        order = key_order(name)
        return next((value for value in self.values if key_order(value.name) == order), None)

    def find(self, path: str) -> Key | None:
        """Return the key at a path below this one, names with backslashes between, or None."""
        key: Key | None = self
        for name in filter(None, path.split("\\")):
            key = None if key is None else key.subkey(name)
        return key

    def walk(self) -> Iterator[tuple[str, Key]]:
        """Yield this key and all below, each before its subkeys, with its path from here (joined by backslashes)."""
        stack = [("", self)]
        while stack:
            path, key = stack.pop()
            yield path, key
            stack += ((f"{path}\\{sub.name}" if path else sub.name, sub) for sub in reversed(key.subkeys))

    def places(self, above: Place | None = None) -> Iterator[tuple[Place, Key]]:
        """As walk(), with places: all paths together can be larger than the hive, so few should be built."""
        stack = [(Place(self.name, above), self)]
        while stack:
            place, key = stack.pop()
            yield place, key
            stack += ((Place(sub.name, place), sub) for sub in reversed(key.subkeys))

    # All without recursion, as a tree of 512 levels would exceed Python's stack.

    def changed(self, change: Callable[[Key, tuple[Key, ...]], Key | None]) -> Key | None:
        """Rebuild the tree from the leaves up: `change` gets a key and its new subkeys, and returns a key or None."""
        order: list[tuple[int, Key]] = []
        stack = [(-1, self)]
        while stack:
            above, key = stack.pop()
            stack += ((len(order), sub) for sub in reversed(key.subkeys))
            order.append((above, key))
        subkeys: dict[int, list[Key]] = {}
        while True:
            above, key = order.pop()
            result = change(key, tuple(reversed(subkeys.pop(len(order), ()))))
            if above < 0:
                return result
            if result is not None:
                subkeys.setdefault(above, []).append(result)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Key):
            return NotImplemented
        pairs = [(self, other)]
        while pairs:
            one, two = pairs.pop()
            if one is two:
                continue
            if one._own() != two._own() or len(one.subkeys) != len(two.subkeys):
                return False
            pairs += zip(one.subkeys, two.subkeys, strict=True)
        return True

    def __hash__(self) -> int:
        return hash(self._own())

    def _own(self) -> tuple[object, ...]:
        numbers = (self.last_written, self.flags, self.layer, self.control, self.handle)
        return (self.name, self.values, self.security, self.class_name, *numbers)


Named = TypeVar("Named", Key, Value)


@dataclass(frozen=True, slots=True)
class Hive:
    """A hive. `last_written` is a FILETIME; the version is 1.`minor`, 1.6 for a differencing hive.

    layered: whether a hive of version 1.6 has the flag of a differencing one. Windows has made some without.
    """

    root: Key
    last_written: int = 0
    minor: int = MINOR_XP
    layered: bool = True

    @property
    def differencing(self) -> bool:
        """True if it holds what a layer changes in the lower hives."""
        return self.minor == MINOR_LAYERED and self.layered


def by_order(found: Iterable[Named]) -> dict[bytes, Named]:
    """Index keys or values by the order of their names; of two with one name, Windows finds the first."""
    result: dict[bytes, Named] = {}
    for one in found:
        result.setdefault(key_order(one.name), one)
    return result


def sz(name: str, text: str, kind: int = RegType.SZ) -> Value:
    """Make a REG_SZ of `text`, with its NUL; or a REG_EXPAND_SZ, which has the same form."""
    return Value(name, kind, to_utf16(text + "\0"))


def multi_sz(name: str, texts: Iterable[str]) -> Value:
    """Make a REG_MULTI_SZ of `texts`; none may be empty, as an empty one ends the list."""
    return Value(name, RegType.MULTI_SZ, to_utf16("".join(text + "\0" for text in texts) + "\0"))


def dword(name: str, number: int) -> Value:
    """Make a REG_DWORD of `number`, an unsigned number of 32 bits."""
    return Value(name, RegType.DWORD, number.to_bytes(4, "little"))


def qword(name: str, number: int) -> Value:
    """Make a REG_QWORD of `number`, an unsigned number of 64 bits."""
    return Value(name, RegType.QWORD, number.to_bytes(8, "little"))
