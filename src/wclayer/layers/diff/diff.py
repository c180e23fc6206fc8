"""What differs between two layers, or between what is seen of two stacks of layers.

Names are compared as Windows does, without regard to case. Hard links are names of one
file: two sides whose files have the same names do not differ, whichever name has the
data, and what differs of a file is told once. A file that went from one name to another
is told by its digest: one that is at none of its old names any more, and one of the same
content whose names are all new.

Not compared are what a tar says beside a hard link, whose file has metadata of its own,
and whether an empty file has a DATA stream, which NTFS does not know.
"""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from ...entry import ProgressCallback, Source
from ...errors import with_context
from ...layertar.reader import TarSource
from ...regf.compare import Difference, compare
from ...regf.model import Hive, Key
from ...win32.names import upcase
from ..hashing import Hasher
from ..hives.config_hives import CONFIG_HIVES, ConfigHive, root_path
from .fields import HIVE, FieldChange, left_out, object_changes
from .side import Content, Name, Object, Side, read_side

__all__ = [
    "Changed",
    "ConfigChange",
    "LayerDiff",
    "Moved",
    "Presence",
    "RegistryChange",
    "compare_sides",
    "diff_sources",
]

_SIDES: Final = ("A", "B")  # as messages call the old and the new one
_MOST_NAMES: Final = 16  # of one file that a difference of its links tells
# The files of the hives, in upper case: of which hive, and whether it is a log.
_HIVE_FILES: Final = {
    upcase(file + end): (hive.name, bool(end))
    for hive in CONFIG_HIVES
    for file in (hive.config, hive.delta)
    for end in ("", ".LOG", ".LOG1", ".LOG2")
}


@dataclass(frozen=True, slots=True)
class Presence:
    """A name that only one side has. link_of: another name of the same file, which tells its content; else None.

    kind: `file`, `directory`, `whiteout`, or `hard link` (then to what is not there). round_trip: as in a FieldChange.
    """

    path: str
    kind: str
    content: Content | None = None
    reparse: bytes | None = None
    link_of: str | None = None
    round_trip: str | None = None

    @property
    def size(self) -> int:
        """The bytes that it brings; none for a further name."""
        return 0 if self.content is None or self.link_of is not None else self.content.size


@dataclass(frozen=True, slots=True)
class Changed:
    """A file or directory of which fields differ. path: as the new side spells it. names: the file's other names."""

    path: str
    fields: tuple[FieldChange, ...]
    names: tuple[str, ...] = ()

    @property
    def round_trip(self) -> bool:
        """Are all of its differences such as hcsshim's own tools make?"""
        return all(field.round_trip is not None for field in self.fields)


@dataclass(frozen=True, slots=True)
class Moved:
    """A file that was at the names `old` and is at `new`; fields: what else of it differs."""

    old: tuple[str, ...]
    new: tuple[str, ...]
    content: Content
    fields: tuple[FieldChange, ...] = ()


@dataclass(frozen=True, slots=True)
class RegistryChange:
    """A difference of the registry; path: of the key, as regedit has it. A key that is new or gone comes without those
    below it, each of which is told by itself."""

    path: str
    difference: Difference


@dataclass(frozen=True, slots=True)
class ConfigChange:
    """A difference of two images' configs; field: `config.User`, of environment and labels with the name behind it."""

    field: str
    old: Any
    new: Any


@dataclass(frozen=True, slots=True)
class LayerDiff:
    """All differences, by path. link_order: files of several names of which another one has the data: no difference.

    notes: what could not be compared, and why.
    """

    removed: tuple[Presence, ...] = ()
    added: tuple[Presence, ...] = ()
    moved: tuple[Moved, ...] = ()
    changed: tuple[Changed, ...] = ()
    registry: tuple[RegistryChange, ...] = ()
    config: tuple[ConfigChange, ...] = ()
    link_order: int = 0
    notes: tuple[str, ...] = ()

    @property
    def differs(self) -> bool:
        """Is there any difference?"""
        return bool(self.removed or self.added or self.moved or self.changed or self.registry or self.config)

    def split(self) -> tuple[LayerDiff, LayerDiff]:
        """What hcsshim's own tools do not do on a round trip, and what they may do (see `diff_fields`)."""
        own: list[Changed] = []
        theirs: list[Changed] = []
        for change in self.changed:
            for result, made in ((own, False), (theirs, True)):
                fields = tuple(field for field in change.fields if (field.round_trip is not None) == made)
                if fields:
                    result.append(replace(change, fields=fields))
        presences = [
            [
                tuple(one for one in found if (one.round_trip is not None) == made)
                for found in (self.removed, self.added)
            ]
            for made in (False, True)
        ]
        moved = tuple(
            replace(one, fields=tuple(field for field in one.fields if field.round_trip is None)) for one in self.moved
        )
        return (
            replace(
                self, removed=presences[0][0], added=presences[0][1], moved=moved, changed=tuple(own), link_order=0
            ),
            LayerDiff(presences[1][0], presences[1][1], changed=tuple(theirs), link_order=self.link_order),
        )

    def to_dict(self) -> dict[str, Any]:
        """The differences as JSON has them, and the notes."""
        from .objects import differences  # noqa: PLC0415 # which needs this module

        return {**differences(self), "notes": list(self.notes)}


def diff_sources(
    old: Sequence[Source],
    new: Sequence[Source],
    *,
    bases: tuple[bool, bool] = (True, True),
    inside: tuple[str, str] = ("", ""),
    names: tuple[Sequence[str], Sequence[str]] = ((), ()),
    times: bool = False,
    registry: bool = True,
    temp_dir: str | os.PathLike[str] | None = None,
    progress: ProgressCallback | None = None,
) -> LayerDiff:
    """Compare what is seen of two stacks of layers, base first.

    bases: is the lowest of each a base layer? Of a single layer, what is in it decides. inside: the paths that are
    compared, each with all below it; then the hives are files like others. names: of the layers. times: compare these
    too. registry: compare the hives by keys and values. temp_dir: the folder for the hives. progress: see read_side,
    of each side in turn.

    The digests of whole tars are not computed, unless they are to be checked. Raises what read_side raises; the message
    says on which side, A (the old one) or B, and in which layer. A hive that cannot be read is compared as a file, and
    there is a note.
    """
    kept: dict[bytes, bytes] = {}
    hasher = Hasher()
    registry = registry and not any(inside)
    sides: list[Side] = []
    for source in (*old, *new):
        if isinstance(source, TarSource):
            source.without_digests()
    try:
        for letter, layers, called, base, path in zip(_SIDES, (old, new), names, bases, inside, strict=True):
            with with_context(layer=letter):
                sides.append(
                    read_side(
                        layers,
                        base=base,
                        inside=path,
                        names=[f"{letter}, {name}" for name in called],
                        registry=registry,
                        kept=kept,
                        hasher=hasher,
                        temp_dir=temp_dir,
                        progress=progress,
                    )
                )
        return compare_sides(*sides, times=times)
    finally:
        for side in sides:
            if side.registry is not None:
                side.registry.close()


def compare_sides(old: Side, new: Side, *, times: bool = False) -> LayerDiff:
    """What differs between two sides; see diff_sources."""
    names = _Names(old, new, times)
    removed, added, moved = names.one_sided()
    changed = names.changed()
    notes: list[str] = []
    found: list[RegistryChange] = []
    if old.registry is not None and new.registry is not None:
        same: dict[str, bool] = {}  # by the hive's name, for those that could be compared
        for hive in CONFIG_HIVES:
            differences = _hive_differences(old, new, hive, times=times)
            if differences is not None:
                before = len(found)
                found += differences
                same[hive.name] = len(found) == before
        changed = [_as_registry(change, same) for change in changed]
        notes = _notes(old, new)
    return LayerDiff(
        tuple(removed), tuple(added), tuple(moved), tuple(changed), tuple(found), (), names.link_order, tuple(notes)
    )


class _Names:
    """The names of both sides, put together."""

    def __init__(self, old: Side, new: Side, times: bool) -> None:
        self._old, self._new = old.names, new.names
        self._times = times
        self._base = old.base and new.base
        self._common = [key for key in self._old if key in self._new]
        # How many names two objects have in common, and each with the other side at all.
        self._shared: Counter[tuple[int, int]] = Counter()
        self._with_other: Counter[int] = Counter()
        self._mates: dict[int, list[str]] = defaultdict(list)  # the first of an object's names that both sides have
        for key in self._common:
            one, other = id(self._old[key].object), id(self._new[key].object)
            self._shared[one, other] += 1
            for side in (one, other):
                self._with_other[side] += 1
                if self._with_other[side] <= _MOST_NAMES:
                    self._mates[side].append(key)
        self.link_order = 0

    def _fields(self, old: Object, new: Object) -> tuple[FieldChange, ...]:
        return tuple(object_changes(old, new, times=self._times, base=self._base))

    # --- names of both ------------------------------------------------------------

    def changed(self) -> list[Changed]:
        result: list[Changed] = []
        done: set[tuple[int, int]] = set()
        for key in self._common:
            (path, old), (spelled, new) = self._old[key], self._new[key]
            fields: tuple[FieldChange, ...] = ()
            pair = id(old), id(new)
            first = pair not in done
            if first:
                done.add(pair)
                fields = (*self._fields(old, new), *self._links(old, new))
                if old.kind == new.kind == "file" and upcase(old.path) != upcase(new.path) and not fields:
                    self.link_order += 1
            before, after = path.rpartition("/")[2], spelled.rpartition("/")[2]
            if before != after:
                fields = (FieldChange("name", before, after), *fields)
            if fields:
                others = (name for name in self._mates[id(new)] if first and name != key)
                result.append(Changed(spelled, fields, tuple(self._new[name].path for name in others)))
        return result

    def _links(self, old: Object, new: Object) -> Iterator[FieldChange]:
        """Of the names that both sides have, are others than before those of one file?"""
        shared = self._shared[id(old), id(new)]
        if self._with_other[id(old)] != shared or self._with_other[id(new)] != shared:
            yield FieldChange(
                "links",
                tuple(self._old[name].path for name in self._mates[id(old)]),
                tuple(self._new[name].path for name in self._mates[id(new)]),
            )

    # --- names of one -------------------------------------------------------------

    def one_sided(self) -> tuple[list[Presence], list[Presence], list[Moved]]:
        gone = [key for key in self._old if key not in self._new]
        come = [key for key in self._new if key not in self._old]
        pairs = self._moves(gone, come)
        moved = [
            Moved(
                tuple(self._old[name].path for name in one.names),
                tuple(self._new[name].path for name in other.names),
                one.content,
                self._fields(one, other),
            )
            for one, other in pairs
            if one.content is not None
        ]
        away = {id(one) for pair in pairs for one in pair}
        removed, added = (
            [self._presence(key, names, gone=names is self._old) for key in keys if id(names[key].object) not in away]
            for keys, names in ((gone, self._old), (come, self._new))
        )
        return removed, added, sorted(moved, key=lambda one: one.new)

    def _presence(self, key: str, names: dict[str, Name], *, gone: bool) -> Presence:
        path, found = names[key]
        link_of = found.target
        if len(found.names) > 1:
            # The name that tells its content: one of both sides, else the first.
            anchor = (self._mates.get(id(found)) or found.names)[0]
            if anchor != key:
                link_of = names[anchor].path
        return Presence(path, found.kind, found.content, found.reparse, link_of, left_out(path, gone=gone))

    def _moves(self, gone: Iterable[str], come: Iterable[str]) -> list[tuple[Object, Object]]:
        """Files all of whose names are gone, and those of the same content all of whose names are new.

        Where several have one content, those of the same file name belong together, the others by the order of their
        paths.
        """
        waiting: tuple[dict[Content, list[Object]], dict[Content, list[Object]]] = (
            defaultdict(list),
            defaultdict(list),
        )
        for keys, names, found in ((gone, self._old, waiting[0]), (come, self._new, waiting[1])):
            for key in keys:
                one = names[key].object
                movable = one.kind == "file" and one.content is not None and one.content.size and one.names[0] == key
                if movable and one.content is not None and not self._with_other[id(one)]:
                    found[one.content].append(one)
        result: list[tuple[Object, Object]] = []
        for content, before in waiting[0].items():
            after = waiting[1].get(content)
            if after is None:
                continue
            by_name: dict[str, list[Object]] = defaultdict(list)
            for one in reversed(after):
                by_name[_file_name(one)].append(one)
            rest: list[Object] = []
            taken: set[int] = set()
            for one in before:
                same = by_name.get(_file_name(one))
                if same:
                    result.append((one, same.pop()))
                    taken.add(id(result[-1][1]))
                else:
                    rest.append(one)
            result += zip(rest, (one for one in after if id(one) not in taken), strict=False)
        return result


def _file_name(one: Object) -> str:
    return one.names[0].rpartition("/")[2]


# --- the registry ------------------------------------------------------------------


def _hive_differences(old: Side, new: Side, hive: ConfigHive, *, times: bool) -> list[RegistryChange] | None:
    """None where one of the two sides has it, and it cannot be read."""
    if old.registry is None or new.registry is None:
        return None
    there = hive in old.registry.hives(), hive in new.registry.hives()
    if not any(there) or (old.base == new.base and old.registry.fingerprint(hive) == new.registry.fingerprint(hive)):
        return [] if old.registry.readable and new.registry.readable else None
    alone = all(side.alone and not side.base for side in (old, new))  # what a layer changes, as it says it
    one, other = (
        (side.registry.own(hive, 0) if alone else side.registry.view(hive)) if is_there else None
        for side, is_there in zip((old, new), there, strict=True)
        if side.registry is not None
    )
    if (one is None and there[0]) or (other is None and there[1]):
        return None
    before, after = _root(one, other), _root(other, one)
    root = root_path(hive)
    return [
        RegistryChange("\\".join(filter(None, (root, one.path))), _without_subkeys(one))
        for one in compare(before, after, times=times)
    ]


def _root(hive: Hive | None, other: Hive | None) -> Key:
    """A side without the hive counts as one with an empty one."""
    if hive is not None:
        return hive.root
    return Key("") if other is None else replace(other.root, values=(), subkeys=())


def _without_subkeys(one: Difference) -> Difference:
    """So that what is kept of a difference is not the hive."""

    def cut(side: Any) -> Any:
        return replace(side, subkeys=()) if isinstance(side, Key) else side

    return replace(one, old=cut(one.old), new=cut(one.new))


def _as_registry(change: Changed, same: dict[str, bool]) -> Changed:
    """The content of a hive that was compared by its keys is told as such; with the same keys, as what Windows does."""
    found = _HIVE_FILES.get(upcase(change.path))
    if found is None or found[0] not in same:
        return change
    name, log = found
    reason = HIVE if log or same[name] else None
    return replace(
        change,
        fields=tuple(
            replace(field, name="registry", round_trip=reason) if field.name == "content" else field
            for field in change.fields
        ),
    )


def _notes(old: Side, new: Side) -> list[str]:
    notes: list[str] = []
    for name, side in zip(_SIDES, (old, new), strict=True):
        if side.registry is not None:
            notes += (f"{name}: {note}" for note in (*side.faults, *side.registry.warnings))
    return notes
