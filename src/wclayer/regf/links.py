r"""Symbolic links between keys: whose changes are made in the keys that they lead to, as on Windows.

A link is a key with KEY_SYM_LINK; its value `SymbolicLinkValue` names another key as
the kernel does, `\REGISTRY\MACHINE\SOFTWARE\Classes`. Whoever opens, makes or deletes
a key by its name reaches that one, where there is no such key, nothing (Wine's tests
of the registry, which Windows passes). Only who asks for the link itself gets it, which
no .reg file does.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

from ..errors import InexpressibleError, NotFoundError, UsageError, printable
from ..win32.names import from_utf16, upcase
from .edits import KeyEdits
from .layout import KEY_SYM_LINK, MAX_DEPTH
from .model import Key, Place, RegType, by_order
from .names import key_order

__all__ = ["Links", "follow_links"]

Names: TypeAlias = Sequence[str]

_VALUE: Final = "SymbolicLinkValue"
_ROOTS: Final = {"MACHINE": "HKEY_LOCAL_MACHINE", "USER": "HKEY_USERS"}
_MAX_LINKS: Final = 32  # on the way to one key; the kernel's bound is of this size too


class Links:
    """The links of a hive, whose root is `root`.

    below: gives, for the names of a path of the registry, those that lead there from the hive's root; raises UsageError
    for a key of another hive. alias: does the same for names from the root that are no key's, as CurrentControlSet is
    the link that a system makes as it starts; it is given what else is to change.
    """

    def __init__(
        self,
        root: Key,
        below: Callable[[Names], Names],
        alias: Callable[[Names, KeyEdits], Names] = lambda names, _: names,
    ) -> None:
        self._root = root
        self._below = below
        self._alias = alias
        self._known: dict[int, dict[bytes, Key]] = {}

    def followed(self, names: Names, changes: KeyEdits) -> Names:
        """The names, from the root, of the key that `names` lead to, after `changes`.

        Raises UsageError for a link into another hive or to itself, NotFoundError for one to a key that is not there,
        InexpressibleError if what it leads to is too deep.
        """
        path = "\\".join(names)
        free = len(names)  # so many of the last names may be those of keys that are to be made
        for _ in range(_MAX_LINKS):
            names = self._alias(names, changes)
            found = self._first(names, changes)
            if found is None:
                target = names[: len(names) - free]
                if not self._has(target, changes):
                    expected = "\\".join(target)
                    raise NotFoundError("a link to a key that is not there", path=path, expected=expected)
                return names
            link, rest = found
            free = min(free, len(rest))
            names = (*self._target(link, path), *rest)
            _check_depth(len(names), path)
        raise UsageError("links that lead to each other", path=path, expected=f"at most {_MAX_LINKS} on the way")

    def cut(self, edits: KeyEdits, names: Names) -> list[tuple[Names, KeyEdits]]:
        """Take the changes of links out of `edits`, those of the key that `names` lead to; each with its names."""
        key: Key | None = self._root
        place: Place | None = None
        for name in names:
            key, place = self._subkey(key, key_order(name)), Place(name, place)
        result: list[tuple[Names, KeyEdits]] = []
        stack = [(edits, key, place)]
        while stack:
            said, key, place = stack.pop()
            if key is None or said.delete:
                continue  # what is made there anew is no link
            for order, below in list(said.subkeys.items()):
                sub, at = self._subkey(key, order), Place(below.name, place)
                if _is_link(sub) or (place is None and tuple(self._alias((below.name,), edits)) != (below.name,)):
                    result.append((_names(at), said.subkeys.pop(order)))
                else:
                    stack.append((below, sub, at))
        return result

    def _first(self, names: Names, changes: KeyEdits) -> tuple[Key, Names] | None:
        """The first link on the way, and the names behind it."""
        key: Key | None = self._root
        edits: KeyEdits | None = changes
        for number, name in enumerate(names, 1):
            order = key_order(name)
            edits = None if edits is None else edits.subkeys.get(order)
            key = None if edits is not None and edits.delete else self._subkey(key, order)
            if key is None:
                return None
            if _is_link(key):
                return key, names[number:]
        return None

    def _has(self, names: Names, changes: KeyEdits) -> bool:
        """Is there such a key, after the changes?"""
        key: Key | None = self._root
        edits: KeyEdits | None = changes
        for name in names:
            order = key_order(name)
            edits = None if edits is None else edits.subkeys.get(order)
            key = None if edits is not None and edits.delete else self._subkey(key, order)
            if key is None and (edits is None or not edits.make):
                return False
        return True

    def _subkey(self, key: Key | None, order: bytes) -> Key | None:
        if key is None:
            return None
        found = self._known.get(id(key))
        if found is None:
            found = self._known[id(key)] = by_order(key.subkeys)
        return found.get(order)

    def _target(self, link: Key, path: str) -> Names:
        value = link.value(_VALUE)
        text = "" if value is None or value.type != RegType.LINK else from_utf16(value.data).rstrip("\0")
        names = text.split("\\")
        root = _ROOTS.get(upcase(names[2])) if len(names) > 3 else None  # ["", "REGISTRY", "MACHINE", ...]
        if root is None or names[0] or upcase(names[1]) != "REGISTRY":
            raise UsageError(
                "a link that leads to no key", path=path, expected="\\REGISTRY\\MACHINE\\...", got=text or "nothing"
            )
        try:
            return self._below((root, *names[3:]))
        except UsageError:
            raise UsageError(
                f"a link into another hive, to {printable(text)}", path=path, hint="name the key where it is"
            ) from None


def follow_links(edits: KeyEdits, links: Links) -> None:
    """Make the changes of links, among `edits` of the hive's root, those of what they lead to.

    Raises UsageError where that one is changed under its own name too, or under another, and the changes contradict: of
    the two, nobody could tell which comes first. And as `Links.followed`.
    """
    waiting: deque[tuple[Names, KeyEdits]] = deque(links.cut(edits, ()))
    while waiting:
        given, said = waiting.popleft()
        names = links.followed(given, edits)
        waiting += links.cut(said, names)
        key: KeyEdits | None = edits
        for name in names:
            if key is None or key.delete:
                break
            key = key.subkeys.get(key_order(name))
        if key is not None and (key.delete or _contradict(key, said)):
            here, there = printable("\\".join(given)), printable("\\".join(names)) or "the root"
            raise UsageError(
                f"changes of {here} and of {there}, which are the same here",
                expected="changes that do not contradict, or one of the two names",
            )
        _check_depth(len(names) + _depth(said), "\\".join(given))
        edits.at(names, make=said.make).update(said)


def _contradict(one: KeyEdits, other: KeyEdits) -> bool:
    """Does the order matter in which the two are made?"""
    stack = [(one, other)]
    while stack:
        one, other = stack.pop()
        if one.delete or other.delete or (one.security and other.security and one.security != other.security):
            return True
        for order, value in one.values.items():
            also = other.values.get(order, value)
            if (also.type, also.data, also.tombstone) != (value.type, value.data, value.tombstone):
                return True
        stack += ((below, other.subkeys[order]) for order, below in one.subkeys.items() if order in other.subkeys)
    return False


def _depth(edits: KeyEdits) -> int:
    """The levels below."""
    result, level = 0, [*edits.subkeys.values()]
    while level:
        result, level = result + 1, [sub for one in level for sub in one.subkeys.values()]
    return result


def _check_depth(levels: int, path: str) -> None:
    if levels >= MAX_DEPTH:
        raise InexpressibleError(
            "a link to a key too deep", path=path, expected=f"at most {MAX_DEPTH} levels", got=levels + 1
        )


def _is_link(key: Key | None) -> bool:
    return key is not None and bool(key.flags & KEY_SYM_LINK)


def _names(place: Place | None) -> Names:
    names: list[str] = []
    while place is not None:
        names.append(place.name)
        place = place.above
    return tuple(reversed(names))
