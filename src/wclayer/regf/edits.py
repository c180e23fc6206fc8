"""Edits of a hive as a tree of their own, made from a .reg file or a build before the hive is known.

They are applied to a hive (`apply_edits`), or become a differencing hive that makes
them on top of the lower layers (`delta_of`). Names are compared as the kernel does. A
key that is created on the way inherits its descriptor, as on Windows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final, cast

from ..errors import InexpressibleError, SecurityDescriptorError
from ..win32.inherit import KEY_RIGHTS, inherit
from . import layout as lay
from .model import DEFAULT_SECURITY, Hive, Key, LayerSemantics, Noted, Place, Value, by_order
from .names import key_order

__all__ = ["KeyEdits", "Missed", "apply_edits", "changed_hive", "delta_of", "inherited", "superseding"]

_TOUCHED: Final = lay.LAYER_INHERIT_CLASS | LayerSemantics.MERGE  # the layer byte of a key that lower layers have


@dataclass(slots=True, eq=False)
class KeyEdits:
    """The edits of a key called `name`, and of its subkeys.

    make: create the key if it does not exist. delete: first delete the existing key with all below it. values: by the
    order of their names, to set, or to delete if the value is a tombstone. security: the new descriptor. subkeys: by
    the order of their names.
    """

    name: str = ""
    make: bool = False
    delete: bool = False
    values: dict[bytes, Value] = field(default_factory=dict)
    security: bytes | None = None
    subkeys: dict[bytes, KeyEdits] = field(default_factory=dict)

    def at(self, names: Sequence[str], *, make: bool) -> KeyEdits:
        """Return the edits of the key with the path `names` from here. make: create it, and the keys on the way.

        Raises InexpressibleError for more levels than a hive can have.
        """
        if len(names) >= lay.MAX_DEPTH:
            raise InexpressibleError(
                "a key too deep", path="\\".join(names[:8]), expected=f"at most {lay.MAX_DEPTH} levels", got=len(names)
            )
        key = self
        for name in names:
            key = key.below(name)
            if make and not key.make:
                key.name, key.make = name, True
        return key

    def below(self, name: str) -> KeyEdits:
        """Return the edits of the subkey of that name."""
        return self.subkeys.setdefault(key_order(name), KeyEdits(name))

    def set(self, value: Value) -> None:
        """Set a value, and create the key."""
        self.make = True
        self.unset(value.name)
        self.values[key_order(value.name)] = value

    def unset(self, name: str) -> None:
        """Delete a value."""
        order = key_order(name)
        self.values.pop(order, None)  # values are in the order in which they were set last
        self.values[order] = Value(name, 0, tombstone=True)

    def change(self, value: Value) -> None:
        """Set a value, or delete it if it is a tombstone."""
        if value.tombstone:
            self.unset(value.name)
        else:
            self.set(value)

    def remove(self) -> None:
        """Delete the key with all below it; later edits create it again."""
        self.make, self.delete, self.security = False, True, None
        self.values.clear()
        self.subkeys.clear()

    def update(self, later: KeyEdits) -> None:
        """Add the edits of `later`, which come after these."""
        stack = [(self, later)]
        while stack:
            mine, other = stack.pop()
            if other.delete:
                mine.remove()
            if other.make and not mine.make:
                mine.name, mine.make = other.name, True
            for value in other.values.values():
                mine.unset(value.name)
                mine.values[key_order(value.name)] = value
            mine.security = other.security or mine.security
            stack += ((mine.below(below.name), below) for below in other.subkeys.values())


@dataclass(slots=True)
class Missed:
    """Deletions of keys and values that do not exist; values are named as `KEY\\\\VALUE`."""

    keys: Noted = field(default_factory=Noted)
    values: Noted = field(default_factory=Noted)

    @property
    def count(self) -> int:
        """Their number."""
        return self.keys.count + self.values.count

    def value(self, place: Place, name: str) -> None:
        """Note that the key at `place` has no value of that name."""
        self.values.add(Place(f"\\{name}", place))


def changed_hive(hive: Hive, edits: KeyEdits, time: int, missed: Missed | None = None, *, name: str) -> Hive:
    """Return the hive with the edits made at the FILETIME `time`; the same object if they change nothing.

    name: of the hive, for errors. Raises InexpressibleError for a differencing hive.
    """
    if hive.differencing:
        raise InexpressibleError(
            "a differencing hive, whose changes depend on the lower hives",
            path=name,
            expected="an ordinary hive",
            hint="merge it onto its base first: wclayer hive merge BASE DELTA -o OUT",
        )
    root = apply_edits(hive.root, edits, time, missed)
    return hive if root == hive.root else replace(hive, root=root, last_written=time)


def apply_edits(root: Key, edits: KeyEdits, time: int, missed: Missed | None = None) -> Key:
    """Return the root key `root` with the edits made; keys that change get the FILETIME `time`.

    If the edits delete the root, it stays, but empty.
    """
    if edits.delete:
        root = replace(root, values=(), subkeys=(), last_written=time)
    return _applied(root, edits, time, Place(root.name, None), missed or Missed())


def _applied(key: Key, edits: KeyEdits, time: int, place: Place, missed: Missed) -> Key:
    values = by_order(key.values)
    for order, value in edits.values.items():
        if not value.tombstone:
            was = values.get(order)
            values[order] = value if was is None else replace(value, name=was.name)
        elif values.pop(order, None) is None:
            missed.value(place, value.name)
    result = replace(key, values=tuple(values.values()), security=edits.security or key.security)
    subkeys = by_order(key.subkeys if edits.subkeys else ())
    changed = result.values != key.values or result.security != key.security
    for order, below in edits.subkeys.items():
        found, where = subkeys.get(order), Place(below.name, place)
        if below.delete:
            if found is None:
                missed.keys.add(where)
            subkeys.pop(order, None)
            changed = changed or found is not None
            found = None
        if found is None:
            if not below.make:
                _miss(below, where, missed)
                continue
            found, changed = _new(below, result.security, time), True
        subkeys[order] = _applied(found, below, time, where, missed)
    if edits.subkeys:
        result = replace(result, subkeys=tuple(subkeys.values()))
    return replace(result, last_written=time) if changed else result


def _new(edits: KeyEdits, parent: bytes, time: int) -> Key:
    return Key(edits.name, last_written=time, security=edits.security or inherited(parent))


def inherited(parent: bytes) -> bytes:
    """Return the descriptor of a new key below one with the descriptor `parent`; offreg's default without a DACL."""
    try:
        return inherit(parent, directory=True, rights=KEY_RIGHTS)
    except SecurityDescriptorError:
        return DEFAULT_SECURITY


def _miss(edits: KeyEdits, place: Place, missed: Missed) -> None:
    """Note all deletions below `place` as missed, because there is no such key and none is created."""
    stack = [(edits, place)]
    while stack:
        key, where = stack.pop()
        for value in key.values.values():
            missed.value(where, value.name)
        for below in key.subkeys.values():
            at = Place(below.name, where)
            if below.delete:
                missed.keys.add(at)
            stack.append((below, at))


def delta_of(view: Key, edits: KeyEdits, time: int, missed: Missed | None = None) -> Key:
    """Return the root key of a differencing hive that makes the edits on top of `view`, the merged lower layers.

    As Windows writes them: an existing key keeps its descriptor and inherits its class name; a deleted key or value is
    a tombstone; a key that is deleted and created again supersedes the tree. Raises InexpressibleError for edits of
    the root itself other than values.
    """
    missed = missed or Missed()
    if edits.delete:
        raise InexpressibleError("a differencing hive cannot delete the root", expected="a key below the root")
    if edits.security is not None:
        raise InexpressibleError(
            "a differencing hive cannot change the security of the root", expected="a key below the root"
        )
    root = _delta(view, edits, time, Place(view.name, None), missed)
    # The root of Windows' own has no flags and no class name, and its descriptor does not replace the lower one.
    return replace(root, security=DEFAULT_SECURITY, layer=0, class_name=b"", flags=0, control=0)


def _delta(key: Key, edits: KeyEdits, time: int, place: Place, missed: Missed) -> Key:
    """Return the node of an existing key that changes, or has a subkey that does."""
    values: list[Value] = []
    there = by_order(key.values if edits.values else ())
    for order, value in edits.values.items():
        was = there.get(order)
        if value.tombstone and was is None:
            missed.value(place, value.name)
            continue
        values.append(value if was is None else replace(value, name=was.name))
    security = edits.security or key.security
    subkeys: list[Key] = []
    known = by_order(key.subkeys if edits.subkeys else ())
    for order, below in edits.subkeys.items():
        found, where = known.get(order), Place(below.name, place)
        if found is None or below.delete:
            node = _delta_below(found, below, security, time, where, missed)
        else:  # not in _delta_below: 512 levels of two functions each would not fit Python's stack
            node = _delta(found, below, time, where, missed)
            if not node.values and not node.subkeys and node.security == found.security:
                continue
        if node is not None:
            subkeys.append(node)
    changed = bool(values) or security != key.security or any(sub.layer != _TOUCHED for sub in subkeys)
    return Key(
        key.name,
        tuple(values),
        tuple(subkeys),
        time if changed else key.last_written,
        security,
        flags=key.flags,
        layer=_TOUCHED,
        control=key.control,
    )


def _delta_below(
    found: Key | None, edits: KeyEdits, parent: bytes, time: int, place: Place, missed: Missed
) -> Key | None:
    """Return the node of a subkey that does not exist, or is deleted first; None if it needs no node."""
    if found is None:
        if edits.delete:
            missed.keys.add(place)
        if not edits.make:
            _miss(edits, place, missed)
            return None
        return _applied(_new(edits, parent, time), edits, time, place, missed)
    if not edits.make:
        return Key(found.name, last_written=time, security=found.security, layer=LayerSemantics.TOMBSTONE)
    return superseding(_applied(_new(edits, parent, time), edits, time, place, missed))


def superseding(key: Key) -> Key:
    """Return `key` and all below it, except tombstones, with semantics that supersede the lower tree."""

    def change(key: Key, subkeys: tuple[Key, ...]) -> Key:
        if key.semantics is LayerSemantics.TOMBSTONE:
            return key
        layer = key.layer & ~lay.LAYER_SEMANTICS | LayerSemantics.SUPERSEDE_TREE
        return replace(key, subkeys=subkeys, layer=layer)

    return cast("Key", key.changed(change))
