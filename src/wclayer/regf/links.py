r"""Symbolic links between keys: edits of a link are made in the key that it leads to, as on Windows.

A link is a key with KEY_SYM_LINK; its value `SymbolicLinkValue` names another key as
the kernel does, `\REGISTRY\MACHINE\SOFTWARE\Classes`. To open, create or delete a link
by its name reaches the other key, or fails if that does not exist (Wine's tests of the
registry, which Windows passes). The link itself is reached only with
REG_OPTION_OPEN_LINK, which no .reg file can ask for.
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
_MAX_LINKS: Final = 32  # on the way to one key; the kernel's own limit is about as large


class Links:
    """The links of the hive with the root key `root`.

    below: converts a path of the registry to one from the hive's root; raises UsageError for a key of another hive.
    alias: converts a path from the root if its name is an alias: CurrentControlSet is a link that Windows creates at
    boot, so no hive file has it. It gets the other edits too.
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
        """Return the path, from the root, of the key that `names` lead to after the edits `changes`.

        Raises UsageError for a link into another hive or to itself, NotFoundError for one to a missing key,
        InexpressibleError if the key would be too deep.
        """
        path = "\\".join(names)
        free = len(names)  # so many of the last names may be of keys that do not exist yet
        for _ in range(_MAX_LINKS):
            names = self._alias(names, changes)
            found = self._first(names, changes)
            if found is None:
                target = names[: len(names) - free]
                if not self._has(target, changes):
                    expected = "\\".join(target)
                    raise NotFoundError("a link to a missing key", path=path, expected=expected)
                return names
            link, rest = found
            free = min(free, len(rest))
            names = (*self._target(link, path), *rest)
            _check_depth(len(names), path)
        raise UsageError("links that lead to each other", path=path, expected=f"at most {_MAX_LINKS} on the way")

    def cut(self, edits: KeyEdits, names: Names) -> list[tuple[Names, KeyEdits]]:
        """Remove the edits of links from `edits` of the key `names`; return each with the path of its link."""
        key: Key | None = self._root
        place: Place | None = None
        for name in names:
            key, place = self._subkey(key, key_order(name)), Place(name, place)
        result: list[tuple[Names, KeyEdits]] = []
        stack = [(edits, key, place)]
        while stack:
            said, key, place = stack.pop()
            if key is None or said.delete:
                continue  # a key that is created again is not a link
            for order, below in list(said.subkeys.items()):
                sub, at = self._subkey(key, order), Place(below.name, place)
                if _is_link(sub) or (place is None and tuple(self._alias((below.name,), edits)) != (below.name,)):
                    result.append((_names(at), said.subkeys.pop(order)))
                else:
                    stack.append((below, sub, at))
        return result

    def _first(self, names: Names, changes: KeyEdits) -> tuple[Key, Names] | None:
        """Return the first link on the path, and the names behind it."""
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
        """Return True if there is such a key after the edits."""
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
                "a link that does not lead to a key",
                path=path,
                expected="\\REGISTRY\\MACHINE\\...",
                got=text or "nothing",
            )
        try:
            return self._below((root, *names[3:]))
        except UsageError:
            raise UsageError(
                f"a link into another hive, to {printable(text)}", path=path, hint="name the key where it is"
            ) from None


def follow_links(edits: KeyEdits, links: Links) -> None:
    """Move the edits of links, among `edits` of the hive's root, to the keys that the links lead to.

    Raises UsageError if such a key is edited by its own path or another link too, and the edits contradict each other:
    their order is unknown. And as `Links.followed`.
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
                f"changes of {here} and of {there}, which are one key",
                expected="changes that do not contradict, or one of the two names",
            )
        _check_depth(len(names) + _depth(said), "\\".join(given))
        edits.at(names, make=said.make).update(said)


def _contradict(one: KeyEdits, other: KeyEdits) -> bool:
    """Return True if the result depends on the order of the two."""
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
    """Return the number of levels below."""
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
