"""The registry of a new image: changes go into the hives of its base layer, or become differencing hives above it.

Windows' own layers have all five differencing hives, those that change nothing empty
ones; so have these. What a change means depends on what the layers below show: that a
key is there, what its descriptor is, which control set is the current one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..errors import NotFoundError, UsageError
from ..layers.hives.config_hives import CONFIG_HIVES, ConfigHive, links_of, locate, root_path
from ..regf.delta import changes_nothing, empty_delta, merge_delta
from ..regf.edits import KeyEdits, Missed, changed_hive, delta_of
from ..regf.layout import MINOR_LAYERED, MINOR_XP
from ..regf.links import follow_links
from ..regf.minimal import minimal_hive
from ..regf.model import Hive, Key
from ..regf.reader import read_hive
from ..regf.writer import write_hive

__all__ = ["HiveEdits", "base_hive", "by_hive", "differencing_hives"]


@dataclass(slots=True)
class HiveEdits:
    """The changes of each hive that has any."""

    hives: dict[ConfigHive, KeyEdits]

    def of(self, hive: ConfigHive, view: Key) -> KeyEdits:
        """The changes of one hive that has any, where the layers below show `view`.

        Those of its links, CurrentControlSet among them, are changes of what they lead to. Raises NotFoundError and
        UsageError as `follow_links`.
        """
        edits = self.hives[hive]
        try:
            follow_links(edits, links_of(hive, view))
        except (NotFoundError, UsageError) as error:
            error.path = root_path(hive) if error.path is None else f"{root_path(hive)}\\{error.path}"
            raise
        return edits


def by_hive(changes: KeyEdits | None) -> HiveEdits:
    """Changes below the registry's roots, as those of hives.

    Raises UsageError for keys that are in no hive of a layer.
    """
    result: dict[ConfigHive, KeyEdits] = {}
    stack = [(changes, "")] if changes is not None else []
    while stack:
        edits, path = stack.pop()
        try:
            hive, names = locate(path)
        except UsageError:
            # The keys above the roots of hives are in no file, so they cannot be changed.
            if edits.values or edits.delete or edits.security or not edits.subkeys:
                raise
            stack += [(sub, f"{path}\\{sub.name}".lstrip("\\")) for sub in reversed(edits.subkeys.values())]
            continue
        if edits.delete and not names:
            raise UsageError("the root of a hive cannot be deleted", path=root_path(hive), expected="a key below it")
        mine = result.setdefault(hive, KeyEdits())
        mine.at(names, make=edits.make).update(edits)
    return HiveEdits(result)


def base_hive(hive: ConfigHive, edits: HiveEdits, data: bytes | None, time: int) -> tuple[bytes, bool, list[str]]:
    """The hive of a base layer with the changes, if these do change it, and what there was to delete and is not there.

    data: the hive as it is; None for one with nothing in it. time: the FILETIME of what changes.
    """
    data = minimal_hive(time) if data is None else data
    if hive not in edits.hives:
        return data, False, []
    before, missed = read_hive(data), Missed()
    after = changed_hive(before, edits.of(hive, before.root), time, missed, name=hive.config)
    return data if after is before else write_hive(after), after is not before, _said(hive, missed)


def differencing_hives(
    layers: Sequence[HiveEdits], view_of: Callable[[ConfigHive], Hive | None], time: int
) -> tuple[list[dict[str, bytes]], list[str], list[str]]:
    """For each new layer, lowest first, its differencing hives by their paths; the paths of those that change anything
    in any of them; and what there was to delete and is not there.

    view_of: a hive as the layers below them all show it. time: the FILETIME of what changes. One hive is in memory at
    a time. Raises NotFoundError for a missing CurrentControlSet.
    """
    result: list[dict[str, bytes]] = [{} for _ in layers]
    missed: list[str] = []
    empty = write_hive(empty_delta(time))
    for hive in CONFIG_HIVES:
        view: Hive | None = None
        for edits, made in zip(layers, result, strict=True):
            made[hive.delta] = empty
            if hive not in edits.hives:
                continue
            if view is None:
                view = view_of(hive) or Hive(Key("ROOT"), 0, MINOR_XP)
            unmet = Missed()
            delta = Hive(delta_of(view.root, edits.of(hive, view.root), time, unmet), time, MINOR_LAYERED)
            missed += _said(hive, unmet)
            if not changes_nothing(delta):
                made[hive.delta] = write_hive(delta)
                view = merge_delta(view, delta)
    changed = [hive.delta for hive in CONFIG_HIVES if any(made[hive.delta] is not empty for made in result)]
    return result, changed, missed


def _said(hive: ConfigHive, missed: Missed) -> list[str]:
    root = root_path(hive)
    said: list[str] = []
    for what, noted in (("key", missed.keys), ("value", missed.values)):
        said += (f"{root}\\{path}: nothing to delete, there is no such {what}" for path in noted.paths)
        if more := noted.count - len(noted.paths):
            said.append(f"{root}: nothing to delete, there is no such {what}, {more:,} times more")
    return said
