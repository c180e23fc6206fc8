"""Differencing hives: laid over the hive below as Windows' kernel shows both, and over one another.

A key of a differencing hive has a layer byte. Its semantics say what it makes of the
key of its name below (`LayerSemantics`); InheritClass, that its class name is the one
below. A value with the tombstone flag hides the one of its name.

Known from [REGF], from Windows' own differencing hives, and from "Containerized
registry hives in Windows" (Maxim Suhanov, 2020): the semantics, that values of the
higher layer win, the rule for classes, that the more recent time counts. Inferred:
that the descriptor and flags of the higher layer win, as each of its keys has whole
ones, but for the root, where Windows writes offreg's default.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Final, cast

from ..errors import HiveError
from . import layout as lay
from .edits import superseding
from .model import Hive, Key, LayerSemantics, Noted, Place, Value, by_order
from .names import key_order

__all__ = ["MergeReport", "changes_nothing", "empty_delta", "merge_delta", "merge_deltas"]

TOMBSTONE: Final = LayerSemantics.TOMBSTONE
LOCAL: Final = LayerSemantics.SUPERSEDE_LOCAL
TREE: Final = LayerSemantics.SUPERSEDE_TREE


@dataclass(slots=True)
class MergeReport:
    """What a merge met. unbacked: keys that say they touch a key below, where there is none.

    Windows makes none of those: the differencing hive belongs to another base. plain: ordinary hives that stood where
    differencing ones are to be; their keys were merged.
    """

    unbacked: Noted = field(default_factory=Noted)
    plain: int = 0


def empty_delta(last_written: int) -> Hive:
    """A differencing hive that changes nothing: a root alone, with offreg's descriptor as Windows' have."""
    return Hive(Key("ROOT", last_written=last_written), last_written, lay.MINOR_LAYERED)


def changes_nothing(delta: Hive) -> bool:
    """Does the hive, laid over another, leave it as it is?"""
    return not delta.root.values and not delta.root.subkeys


def merge_delta(base: Hive, delta: Hive, report: MergeReport | None = None) -> Hive:
    """The ordinary hive of version 1.5 that `delta` over `base` looks like.

    An ordinary hive as `delta`, which some tools write, is merged key by key; where it has no class name, that below
    stays. Several layers are merged one by one, from the lowest on, as hcsshim has offreg's ORMergeHives do it.

    Raises HiveError for a differencing hive as base, and for keys that no merge can keep: of another hive, or handles.
    """
    if base.differencing:
        raise HiveError(
            "a differencing hive as the base of a merge",
            expected="an ordinary hive",
            got=f"version 1.{base.minor} with layered keys",
            hint="give the base layer's hive first, then the differencing ones from the lowest layer on",
        )
    merge = _Merge(delta, report or MergeReport())
    root = base.root
    found = merge.over(root, replace(merge.root, layer=lay.LAYER_INHERIT_CLASS), Place(root.name, None))
    # A differencing hive's root has offreg's descriptor, whatever the root below has.
    root = replace(found, name=root.name, security=root.security, flags=root.flags, control=root.control)
    return Hive(root, max(base.last_written, delta.last_written))


def merge_deltas(lower: Hive, upper: Hive, report: MergeReport | None = None) -> Hive:
    """The differencing hive that does, over any base, what `upper` over `lower` does.

    Nothing of Windows' is known that does it; that both ways give the same is what the tests hold it to. Ordinary hives
    count as differencing ones that merge all their keys. Raises HiveError as merge_delta.
    """
    merge = _Merge(upper, report or MergeReport())
    below = _as_delta(lower)
    _Merge(below, merge.report)
    root = merge.joined(replace(below.root, layer=0), replace(merge.root, layer=0), Place(below.root.name, None))
    root = replace(root, layer=0, security=lower.root.security)
    return Hive(root, max(lower.last_written, upper.last_written), lay.MINOR_LAYERED)


def _as_delta(hive: Hive) -> Hive:
    """A differencing hive by the rules; an ordinary one as such: each key merged, with the class below if it has none.

    Other programs may break the rules, and the writer keeps them.
    """
    if hive.differencing:
        return replace(hive, root=_ruled(replace(hive.root, layer=0), in_tree=False))
    return Hive(_touching(hive.root), hive.last_written, lay.MINOR_LAYERED)


def _touching(key: Key) -> Key:
    def change(key: Key, subkeys: tuple[Key, ...]) -> Key:
        return replace(key, subkeys=subkeys, layer=0 if key.class_name else lay.LAYER_INHERIT_CLASS)

    return cast("Key", key.changed(change))


def _ruled(key: Key, *, in_tree: bool) -> Key:
    """`key` without what nothing shows anyway; a key that keeps the rules is itself. in_tree: is one above a TREE?"""
    layer = key.layer & (lay.LAYER_SEMANTICS | lay.LAYER_INHERIT_CLASS)
    if key.semantics is TOMBSTONE:
        if layer != key.layer or key.values or key.subkeys or key.class_name:
            return replace(key, values=(), subkeys=(), class_name=b"", layer=layer)
        return key
    if in_tree:
        layer |= TREE
    in_tree = layer & lay.LAYER_SEMANTICS == TREE
    subkeys: list[Key] = []
    same = True
    for sub in key.subkeys:  # as a comprehension it would be two levels of Python's stack
        subkeys.append(_ruled(sub, in_tree=in_tree))
        same = same and subkeys[-1] is sub
    class_name = b"" if key.inherits_class else key.class_name
    if same and layer == key.layer and class_name == key.class_name:
        return key
    return replace(key, subkeys=tuple(subkeys), layer=layer, class_name=class_name)


class _Merge:
    """A merge with one differencing hive above; by recursion, as a hive has no more than 512 levels."""

    def __init__(self, upper: Hive, report: MergeReport) -> None:
        self.report = report
        # An ordinary hive says nothing of what is below, so nothing there can be missed.
        self._says = upper.differencing
        if not upper.differencing:
            report.plain += 1
        self.root = _as_delta(upper).root
        _check(self.root)

    # Over an ordinary hive

    def over(self, base: Key, delta: Key, place: Place) -> Key:
        """The key that `delta`, which is no tombstone and hides no tree, over `base` looks like."""
        subkeys = by_order(base.subkeys)
        for sub in delta.subkeys:
            order, where = key_order(sub.name), Place(sub.name, place)
            found = subkeys.get(order)
            if sub.semantics is TOMBSTONE:
                subkeys.pop(order, None)
            elif found is None or sub.semantics is TREE:
                subkeys[order] = self.fresh(sub, where)
            else:
                subkeys[order] = self.over(found, sub, where)
        values = () if delta.semantics is LOCAL else base.values
        return Key(
            delta.name,
            _values(values, delta.values, tombstones=False),
            tuple(subkeys.values()),
            max(base.last_written, delta.last_written),
            delta.security,
            base.class_name if delta.inherits_class else delta.class_name,
            delta.flags,
            0,
            delta.control,
        )

    def fresh(self, delta: Key, place: Place) -> Key:
        """The key that `delta`, no tombstone, looks like where nothing is below it, or nothing that shows."""
        for at, key in delta.places(place.above) if self._says else ():
            if key.inherits_class and key.semantics is not TREE:
                self.report.unbacked.add(at)
        return cast("Key", delta.changed(_fresh))

    # Over a differencing hive

    def joined(self, lower: Key, upper: Key, place: Place) -> Key:
        """The key that does what `upper` over `lower` does."""
        if upper.semantics in (TOMBSTONE, TREE):
            return upper
        if lower.semantics is TOMBSTONE:
            return superseding(self.fresh(upper, place))
        if lower.semantics is TREE:
            return superseding(self.over(cast("Key", lower.changed(_fresh)), upper, place))
        local = LOCAL in (lower.semantics, upper.semantics)
        subkeys = by_order(lower.subkeys)
        for sub in upper.subkeys:
            order = key_order(sub.name)
            found = subkeys.get(order)
            subkeys[order] = sub if found is None else self.joined(found, sub, Place(sub.name, place))
        below = () if upper.semantics is LOCAL else lower.values
        inherits = upper.inherits_class and lower.inherits_class
        layer = (LOCAL if local else LayerSemantics.MERGE) | (lay.LAYER_INHERIT_CLASS if inherits else 0)
        return Key(
            upper.name,
            _values(below, upper.values, tombstones=not local),
            tuple(subkeys.values()),
            max(lower.last_written, upper.last_written),
            upper.security,
            lower.class_name if upper.inherits_class else upper.class_name,
            upper.flags,
            layer,
            upper.control,
        )


def _fresh(key: Key, subkeys: tuple[Key, ...]) -> Key | None:
    if key.semantics is TOMBSTONE:
        return None
    return replace(key, values=_values(key.values, tombstones=False), subkeys=subkeys, layer=0)


def _values(*keys: Iterable[Value], tombstones: bool) -> tuple[Value, ...]:
    """The values of keys that lie on each other, lowest first; a tombstone as such, or as nothing."""
    result: dict[bytes, Value] = {}
    for values in keys:
        for order, value in by_order(values).items():
            if value.tombstone and not tombstones:
                result.pop(order, None)
            else:
                result[order] = value
    return tuple(result.values())


def _check(root: Key) -> None:
    """Raise HiveError for keys that mean something else than themselves."""
    for place, key in root.places():
        if key.flags & lay.KEY_PREDEF_HANDLE:
            raise HiveError(
                "a key that is a predefined handle", path=place.path(), expected="no flag 0x40", got=hex(key.flags)
            )
        if key is not root and key.flags & lay.KEY_HIVE_ENTRY:
            raise HiveError(
                "the root of a hive below another", path=place.path(), expected="no flag 4", got=hex(key.flags)
            )
