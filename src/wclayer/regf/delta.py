"""Differencing hives: merged onto a lower hive as the Windows kernel shows both, and onto one another.

A key of a differencing hive has a layer byte. Its semantics are the relation to the
lower key of the same name (`LayerSemantics`); with InheritClass it has the class name
of that key. A value with the tombstone flag hides the lower value of the same name.

Known from [REGF], from Windows' own differencing hives, and from "Containerized
registry hives in Windows" (Maxim Suhanov, 2020): the semantics, that values of the
upper layer win, the rule for classes, that the later time counts. Inferred: that the
descriptor and flags of the upper layer win, because each of its keys has complete
ones, except the root, where Windows writes offreg's default.
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
    """What a merge came across.

    unbacked: keys that inherit from a lower key that does not exist. Windows does not write them: the differencing
    hive belongs to another base. plain: the number of ordinary hives in place of differencing ones; they were merged.
    """

    unbacked: Noted = field(default_factory=Noted)
    plain: int = 0


def empty_delta(last_written: int) -> Hive:
    """Make a differencing hive that changes nothing: only a root, with offreg's descriptor as in Windows' own."""
    return Hive(Key("ROOT", last_written=last_written), last_written, lay.MINOR_LAYERED)


def changes_nothing(delta: Hive) -> bool:
    """Return True if a merge of the hive changes nothing."""
    return not delta.root.values and not delta.root.subkeys


def merge_delta(base: Hive, delta: Hive, report: MergeReport | None = None) -> Hive:
    """Merge `delta` onto `base`, and return an ordinary hive of version 1.5.

    An ordinary hive as `delta`, which some tools write, is merged key by key; without a class name of its own, a key
    keeps the lower one. Merge several layers one by one, from the lowest up, as hcsshim does with offreg's
    ORMergeHives.

    Raises HiveError for a differencing hive as `base`, and for keys that a merge cannot keep: roots of other hives,
    and predefined handles.
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
    # The root of a differencing hive has offreg's descriptor, whatever the lower root has, so that one is kept.
    root = replace(found, name=root.name, security=root.security, flags=root.flags, control=root.control)
    return Hive(root, max(base.last_written, delta.last_written))


def merge_deltas(lower: Hive, upper: Hive, report: MergeReport | None = None) -> Hive:
    """Merge two differencing hives into one that, over any base, has the effect of `upper` over `lower`.

    No API of Windows is known that does it; the tests compare it with two merges onto a base. Ordinary hives count as
    differencing hives that merge all their keys. Raises HiveError as merge_delta.
    """
    merge = _Merge(upper, report or MergeReport())
    below = _as_delta(lower)
    _Merge(below, merge.report)
    root = merge.joined(replace(below.root, layer=0), replace(merge.root, layer=0), Place(below.root.name, None))
    root = replace(root, layer=0, security=lower.root.security)
    return Hive(root, max(lower.last_written, upper.last_written), lay.MINOR_LAYERED)


def _as_delta(hive: Hive) -> Hive:
    """Return a differencing hive that follows the rules, also for an ordinary hive: each key merges, and inherits the
    class if it has none.

    Other programs may break the rules, which the writer enforces.
    """
    if hive.differencing:
        return replace(hive, root=_ruled(replace(hive.root, layer=0), in_tree=False))
    return Hive(_touching(hive.root), hive.last_written, lay.MINOR_LAYERED)


def _touching(key: Key) -> Key:
    def change(key: Key, subkeys: tuple[Key, ...]) -> Key:
        return replace(key, subkeys=subkeys, layer=0 if key.class_name else lay.LAYER_INHERIT_CLASS)

    return cast("Key", key.changed(change))


def _ruled(key: Key, *, in_tree: bool) -> Key:
    """Return `key` without what no view shows; `key` itself if it follows the rules. in_tree: below a TREE."""
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
    for sub in key.subkeys:  # not a comprehension, which would take two levels of Python's stack for each of 512
        subkeys.append(_ruled(sub, in_tree=in_tree))
        same = same and subkeys[-1] is sub
    class_name = b"" if key.inherits_class else key.class_name
    if same and layer == key.layer and class_name == key.class_name:
        return key
    return replace(key, subkeys=tuple(subkeys), layer=layer, class_name=class_name)


class _Merge:
    """A merge with one differencing hive as the upper one; by recursion, as a hive has at most 512 levels."""

    def __init__(self, upper: Hive, report: MergeReport) -> None:
        self.report = report
        # An ordinary hive makes no claim about lower keys, so it cannot miss one.
        self._says = upper.differencing
        if not upper.differencing:
            report.plain += 1
        self.root = _as_delta(upper).root
        _check(self.root)

    # Over an ordinary hive

    def over(self, base: Key, delta: Key, place: Place) -> Key:
        """Merge `delta`, which is neither a tombstone nor supersedes the tree, onto the ordinary key `base`."""
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
        """Make an ordinary key of `delta`, which is not a tombstone and has no visible lower key."""
        for at, key in delta.places(place.above) if self._says else ():
            if key.inherits_class and key.semantics is not TREE:
                self.report.unbacked.add(at)
        return cast("Key", delta.changed(_fresh))

    # Over a differencing hive

    def joined(self, lower: Key, upper: Key, place: Place) -> Key:
        """Return the key that has the effect of `upper` over `lower`."""
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
    """Merge the values of keys, the lowest first; tombstones are kept, or take effect and go."""
    result: dict[bytes, Value] = {}
    for values in keys:
        for order, value in by_order(values).items():
            if value.tombstone and not tombstones:
                result.pop(order, None)
            else:
                result[order] = value
    return tuple(result.values())


def _check(root: Key) -> None:
    """Raise HiveError for keys that stand for something else."""
    for place, key in root.places():
        if key.flags & lay.KEY_PREDEF_HANDLE:
            raise HiveError(
                "a key that is a predefined handle", path=place.path(), expected="no flag 0x40", got=hex(key.flags)
            )
        if key is not root and key.flags & lay.KEY_HIVE_ENTRY:
            raise HiveError(
                "the root of a hive below another", path=place.path(), expected="no flag 4", got=hex(key.flags)
            )
