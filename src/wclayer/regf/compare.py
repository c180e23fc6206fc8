"""What differs between two trees of keys, one difference after the other; and the changes that make one the other.

Names are compared as the kernel does: a key or value that is spelled in another case is
the same one. The names of the two roots do not matter, nor does the order of values.
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
    """What of a key is different."""

    KEY = "key"
    """One of the two has it, with its values; what is below it is told of by itself."""
    VALUE = "value"
    SECURITY = "security"
    CLASS = "class"
    FLAGS = "flags"
    LAYER = "layer"
    """What it makes, in differencing hives, of the key below."""
    CONTROL = "control"
    HANDLE = "handle"
    TIME = "time"


@dataclass(frozen=True, slots=True)
class Difference:
    """`names` lead to the key from the root; `old` and `new` are its two sides, None where there is none.

    They are keys (KEY), values (VALUE), bytes (SECURITY, CLASS) or numbers as in a Key (all others).
    """

    names: tuple[str, ...]
    what: What
    old: Key | Value | bytes | int | None
    new: Key | Value | bytes | int | None

    @property
    def path(self) -> str:
        """The key's, from below the root."""
        return "\\".join(self.names)


def compare(old: Key, new: Key, *, times: bool = False) -> Iterator[Difference]:
    """The differences in the order of a hive: a key's own, its values by their names, its subkeys.

    times: also when keys were last written. Memory is bounded by what is on the way to one key.
    """
    levels: list[Pairs] = [iter((("", old, new),))]
    names: list[str] = []  # of the keys in which the levels are, from the third on
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
    """What differs in a key that both have."""
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
    """The subkeys of both, by their names, each with its name and the one of that name."""
    old, new = by_order(was), by_order(now)
    for order in sorted({*old, *new}):
        one, other = old.get(order), new.get(order)
        yield (other or old[order]).name, one, other


def edits_of(
    differences: Iterable[Difference], unsaid: Callable[[Difference], object], *, security: bool = False
) -> KeyEdits:
    """The changes that make the old tree the new one. unsaid: takes the differences that changes cannot say.

    These are classes, flags and times, also of keys that are new. security: the changes have descriptors; without,
    these too are among what is not said, and new keys inherit theirs.
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
    """Delete a key, unless it goes with one above it."""
    key = root
    for name in names:
        if key.delete:
            return
        key = key.below(name)
    key.remove()
