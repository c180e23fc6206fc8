"""The differences between two trees of keys, and the edits that turn one into the other.

Names are compared as the kernel does: in another case it is still the same key or value.
The names of the two roots and the order of values do not matter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from .edits import KeyEdits
from .model import Key, Value, by_order

__all__ = ["Difference", "What", "compare", "edits_of"]

Pairs: TypeAlias = Iterator[tuple[str, Key | None, Key | None]]


class What(Enum):
    """What is different in a key."""

    KEY = "key"
    """Only one side has the key, with its values; its subkeys are differences of their own."""
    VALUE = "value"
    SECURITY = "security"
    CLASS = "class"
    FLAGS = "flags"
    LAYER = "layer"
    """Its layer byte, in differencing hives."""
    CONTROL = "control"
    HANDLE = "handle"
    TIME = "time"


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference. `names` are the path of the key below the root; `old` and `new` are its two sides, or None.

    The sides are keys (KEY), values (VALUE), bytes (SECURITY, CLASS) or numbers as in a Key (all others).
    """

    names: tuple[str, ...]
    what: What
    old: Key | Value | bytes | int | None
    new: Key | Value | bytes | int | None

    @property
    def path(self) -> str:
        """The path of the key below the root."""
        return "\\".join(self.names)


def compare(old: Key, new: Key, *, times: bool = False) -> Iterator[Difference]:
    """Yield the differences in the order of a hive: those of a key, of its values by name, of its subkeys.

    times: compare also when keys were last written. Memory is bounded by the keys on the path to one key.
    """
    levels: list[Pairs] = [iter((("", old, new),))]
    names: list[str] = []  # of the keys that the levels are in, from the third level on
    while levels:
        pair = next(levels[-1], None)
        if pair is None:
            levels.pop()
            if names:
                names.pop()
            continue
        name, was, now = pair
        if was is now:
            continue
        at = (*names, name) if len(levels) > 1 else ()
        if was is None or now is None:
            yield Difference(at, What.KEY, was, now)
        else:
            yield from _own(was, now, at, times=times)
        names += at[len(names) :]
        levels.append(_pairs(() if was is None else was.subkeys, () if now is None else now.subkeys))


def _own(was: Key, now: Key, at: tuple[str, ...], *, times: bool) -> Iterator[Difference]:
    """Yield the differences in a key that both sides have."""
    for what, one, other in (
        (What.SECURITY, was.security, now.security),
        (What.CLASS, was.class_name, now.class_name),
        (What.FLAGS, was.flags, now.flags),
        (What.LAYER, was.layer, now.layer),
        (What.CONTROL, was.control, now.control),
        (What.HANDLE, was.handle, now.handle),
    ):
        if one != other:
            yield Difference(at, what, one, other)
    if times and was.last_written != now.last_written:
        yield Difference(at, What.TIME, was.last_written, now.last_written)
    if was.values == now.values:
        return
    old, new = by_order(was.values), by_order(now.values)
    for order in sorted({*old, *new}):
        first, second = old.get(order), new.get(order)
        if first is None or second is None or _content(first) != _content(second):
            yield Difference(at, What.VALUE, first, second)


def _content(value: Value) -> tuple[int, bytes, bool]:
    return value.type, value.data, value.tombstone


def _pairs(was: Iterable[Key], now: Iterable[Key]) -> Pairs:
    """Yield the subkeys of both sides by name: the name, and the key of each side, or None."""
    old, new = by_order(was), by_order(now)
    for order in sorted({*old, *new}):
        one, other = old.get(order), new.get(order)
        yield (other or old[order]).name, one, other


def edits_of(
    differences: Iterable[Difference], unsaid: Callable[[Difference], object], *, security: bool = False
) -> KeyEdits:
    """Return the edits that turn the old tree into the new one.

    unsaid: gets the differences that edits cannot express: classes, flags and times, also of new keys. security: edits
    with descriptors; without, these are passed to `unsaid` too, and new keys inherit theirs.
    """
    root = KeyEdits()
    for one in differences:
        old, new = one.old, one.new
        if isinstance(new, Key):
            key = root.at(one.names, make=False)
            key.make = True
            for value in new.values:
                key.set(value)
            key.security = new.security if security else None
            if new.class_name or new.flags or new.layer or new.control or new.handle:
                unsaid(one)
        elif isinstance(old, Key):
            _remove(root, one.names)
        elif isinstance(new, Value):
            root.at(one.names, make=False).set(new)
        elif isinstance(old, Value):
            root.at(one.names, make=False).unset(old.name)
        elif one.what is What.SECURITY and security and isinstance(new, bytes):
            root.at(one.names, make=False).security = new
        else:
            unsaid(one)
    return root


def _remove(root: KeyEdits, names: tuple[str, ...]) -> None:
    """Delete a key, unless a key above it is deleted already."""
    key = root
    for name in names:
        if key.delete:
            return
        key = key.below(name)
    key.remove()
