"""The registry of layers that become one.

A base layer gets the hives that all layers together make, at the base's own paths; no
`Hives/`, and none of the logs that belong to the hives as they were. A layer over
others gets differencing hives that do what those of its layers did one after the
other. What a layer above the base has at the path of a hive is a file that Windows does
not load: it makes no hive of a base layer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from ...body import BytesBody
from ...entry import AlternateStream, Body, Entry, File, Source
from ...errors import LayerError
from ...host.spool import EMPTY, Spool, Spooled
from ...stores.folder.defaults import HIVE_DESCRIPTOR, new_directory, new_file, resized
from ...union.rules import HIVES
from ...union.tree import Folder, LayerNames, MergedTree, TreeNode
from ...win32.attributes import FILE_ATTRIBUTE_REPARSE_POINT
from ...win32.filetime import UNIX_EPOCH
from ...win32.names import upcase
from ..hives.config_hives import CONFIG, CONFIG_HIVES
from ..hives.merge import HiveStack

__all__ = ["BASE_FIRST", "SquashedHives"]

BASE_FIRST = "give the layers base first, as an image lists them"
_LOGS = ("", ".LOG", ".LOG1", ".LOG2")
_WHOLE = frozenset(upcase(hive.config) for hive in CONFIG_HIVES)
_DELTAS = frozenset(upcase(hive.delta) for hive in CONFIG_HIVES)
Step: TypeAlias = tuple[Entry, Body | None]


@dataclass(slots=True)
class _Kept:
    """The File entry of a hive with its streams; content: of one that is a hard link."""

    entry: File
    content: Spooled = EMPTY
    streams: list[tuple[str, Spooled]] = field(default_factory=list)


class SquashedHives:
    """The hives of the layers from number `first` on, out of `layers`, base first; `registry` is shown all entries."""

    def __init__(self, layers: Sequence[Source], first: int, registry: HiveStack, spool: Spool) -> None:
        self._layers = layers
        self._first = first
        self._registry = registry
        self._spool = spool
        self._kept: dict[tuple[int, str], _Kept] = {}  # by layer, and by path in upper case
        self._owner: _Kept | None = None  # of streams
        self._base: dict[str, TreeNode] = {}  # the hives of the base layer, by path
        self._base_logs: dict[str, TreeNode] = {}
        self._way: list[Folder] = []  # the base's directories on the way to them, as they were
        self.warnings: list[str] = []

    # --- the first pass -----------------------------------------------------------

    def see(self, number: int, entry: Entry, body: Body | None) -> None:
        """The next entry of layer `number`; its body may be read."""
        if isinstance(entry, AlternateStream):
            if self._owner is not None:
                self._owner.streams.append((entry.name, EMPTY if body is None else self._spool.put(body, entry.path)))
            return
        self._owner = None
        if number < self._first:
            return
        self._registry.see(number, entry, body)
        if isinstance(entry, File) and (key := upcase(entry.path)) in (_DELTAS if number else _WHOLE):
            self._owner = self._kept[number, key] = _Kept(entry)

    def check(self, number: int, names: LayerNames) -> None:
        """All entries of a layer have been seen. Raises LayerError for one that cannot lie where it does."""
        for hive in CONFIG_HIVES:
            delta = names.root.find(hive.delta)
            if delta is not None and delta.file is None:
                raise LayerError("a directory, where a differencing hive is to be", path=hive.delta)
            for end in _LOGS[1:] if number == 0 else ():
                if (log := names.root.find(hive.config + end)) is not None:
                    self._base_logs[hive.config + end] = log
            name = names.root.find(hive.config)
            if name is None:
                continue
            if number == 0:
                if name.file is None:
                    raise LayerError("a directory, where a base layer has a registry hive", path=hive.config)
                self._base[hive.config] = name
            elif not self._base:
                raise LayerError(
                    "a registry hive of a base layer, while the lowest layer has none",
                    path=hive.config,
                    hint=BASE_FIRST,
                )
        if number == 0 and self._first == 0:
            self._way = [
                _copy(folder)
                for end in range(1, CONFIG.count("/") + 2)
                if isinstance(folder := names.root.find("/".join(CONFIG.split("/")[:end])), Folder)
            ]
            self._read_links()

    def _read_links(self) -> None:
        """Put the content of those hives of the base aside that are hard links: they are to be files of their own.

        The layer is read again; whoever gives its entries sees to it that they are the same.
        """
        links: dict[int, list[str]] = {}
        for path, name in self._base.items():
            if name.file is not None and name.file is not name:
                links.setdefault(name.file.number, []).append(path)
        kept: list[_Kept] = []
        for number, (entry, body) in enumerate(self._layers[0].entries() if links else ()):
            if isinstance(entry, AlternateStream):
                content = self._spool.put(body, entry.path) if kept and body is not None else EMPTY
                for one in kept:
                    one.streams.append((entry.name, content))
                continue
            kept = []
            if isinstance(entry, File) and number in links:
                content = EMPTY if body is None else self._spool.put(body, entry.path)
                kept = [_Kept(entry, content) for _ in links[number]]
                for path, one in zip(links[number], kept, strict=True):
                    self._kept[0, upcase(path)] = one

    def _restore(self, view: MergedTree) -> None:
        """The hives of the base layer and their logs take their places again, whatever layers above have there."""
        for hive in CONFIG_HIVES:
            deleted = False
            for end in _LOGS:
                path = hive.config + end
                found, wanted = view.root.find(path), (self._base_logs if end else self._base).get(path)
                if found is wanted or (found is None and hive.config not in self._base):
                    continue
                if found is None:
                    if not deleted:
                        what = "whose hive it belongs to" if end else "which must have it"
                        self._warn(f"{path} is deleted in a layer above the base, {what}: it stays")
                    deleted = True
                elif end:
                    self._warn(
                        f"{path} of layer {found.layer} is left out: it is the log of no hive that Windows loads"
                    )
                elif found.file is None:
                    self._warn(f"{path} is a directory in layer {found.layer}, and is left out: a hive must be there")
                view.remove(path)
                if wanted is not None:
                    self._folder(view).children[upcase(hive.name + end)] = wanted

    def _folder(self, view: MergedTree) -> Folder:
        """The directory of the hives, with those on the way to it put back where a layer has deleted them."""
        folder = view.root
        for before, part in zip(self._way, CONFIG.split("/"), strict=False):
            name = folder.children.get(upcase(part))
            if name is None:
                name = folder.children[upcase(part)] = _copy(before)
            if not isinstance(name, Folder):
                raise LayerError(
                    f"in layer {name.layer}: no directory, where a base layer has its registry hives",
                    path=CONFIG,
                    got=f"a file or link {name.name}",
                )
            folder = name
        return folder

    def _warn(self, text: str) -> None:
        if text not in self.warnings:
            self.warnings.append(text)

    # --- what becomes of them -----------------------------------------------------

    def prepare(self, view: MergedTree) -> None:
        """All layers have been seen, and the directories of the result are wanted: see to those that are for hives."""
        self._registry.finish(self._layers)
        if self._first:
            return
        self._restore(view)
        hives = view.remove(HIVES)
        known = {upcase(hive.delta + end).rpartition("/")[2] for hive in CONFIG_HIVES for end in _LOGS}
        left = [name for key, name in hives.children.items() if key not in known] if isinstance(hives, Folder) else []
        if left:
            what = f"{HIVES}/{left[0].name} of layer {left[0].layer}" + (" and others" if len(left) > 1 else "")
            self._warn(f"left out: {what}, as a base layer has no {HIVES}/")
        for hive in self._registry.hives():
            if hive.config not in self._base and self._registry.changed(hive):
                self._make_way(view, self._registry.time(hive))

    def _make_way(self, view: MergedTree, time: int | None) -> None:
        folder, path = view.root, ""
        for part in CONFIG.split("/"):
            path = f"{path}/{part}".lstrip("/")
            name = folder.children.get(upcase(part))
            if name is None:
                entry = new_directory("", UNIX_EPOCH if time is None else time)
                name = folder.children[upcase(part)] = Folder(part, 0, -1, entry)
            if not isinstance(name, Folder):
                raise LayerError("no directory, where a base layer has its registry hives", path=path)
            folder = name

    def entries(self, view: MergedTree) -> Iterator[Step]:
        """The hives of the result that are not just a file of one layer; what `view` has in their places is taken away.

        One hive at a time is in memory. Raises HiveError.
        """
        yield from self._combined(view) if self._first else self._merged(view)
        self.warnings += self._registry.warnings

    def _merged(self, view: MergedTree) -> Iterator[Step]:
        for hive in CONFIG_HIVES:
            name = self._base.get(hive.config)
            data = self._registry.merged(hive)
            if data is None and (name is None or name.file is name):
                continue
            above = "/".join(_spelled(view, CONFIG))
            path = f"{above}/{hive.name if name is None else name.name}"
            view.remove(hive.config)
            kept = self._kept.get((0, upcase(hive.config)))
            yield from self._file(path, kept, name, data, self._registry.time(hive))
        folder = view.root.find(CONFIG)
        if isinstance(folder, Folder):
            for path in _files(folder):
                if self._registry.stale(f"{CONFIG}/{path}"):
                    view.remove(f"{CONFIG}/{path}")

    def _combined(self, view: MergedTree) -> Iterator[Step]:
        for hive in CONFIG_HIVES:
            data = self._registry.combined(hive, self._first)
            if data is None:
                continue
            name = view.root.find(hive.delta)
            for end in _LOGS:
                other = view.root.find(hive.delta + end)
                if other is not None and other.file is not None:
                    view.remove(hive.delta + end)
            key = upcase(hive.delta)
            found = [one for (layer, path), one in self._kept.items() if path == key and layer >= self._first]
            newest = found[-1]
            path = f"{HIVES}/{newest.entry.path.rpartition('/')[2]}"
            yield from self._file(path, newest, name, data, self._registry.time(hive, self._first))

    def _file(
        self, path: str, kept: _Kept | None, name: TreeNode | None, data: bytes | None, time: int | None
    ) -> Iterator[Step]:
        """A hive; kept, name: the file that it is, or takes the place of. data: its bytes, if they are new."""
        if kept is None:
            made = File(path, security_descriptor=HIVE_DESCRIPTOR) if time is None else new_file(path, time)
            kept = _Kept(replace(made, security_descriptor=HIVE_DESCRIPTOR))
        entry = replace(kept.entry, path=path, short_name=None if name is None else name.short)
        if data is None:
            yield entry, self._spool.open(kept.content)
        else:
            entry = replace(resized(entry, len(data)), last_write_time=time)
            if entry.reparse_data is not None:  # its content is the file's own now
                attributes = entry.file_attributes & ~FILE_ATTRIBUTE_REPARSE_POINT
                entry = replace(entry, file_attributes=attributes, reparse_data=None)
            yield entry, BytesBody(data)
        for stream, content in kept.streams:
            yield AlternateStream(path, stream, content.size), self._spool.open(content)


def _copy(folder: Folder) -> Folder:
    """The directory without what is in it."""
    copied = Folder(folder.name, folder.layer, folder.number, folder.entry)
    copied.streams, copied.short = folder.streams, folder.short
    return copied


def _spelled(view: MergedTree, path: str) -> Iterator[str]:
    """The components of a path, as the view spells them."""
    folder: TreeNode | None = view.root
    for part in path.split("/"):
        if not isinstance(folder, Folder) or (folder := folder.children.get(upcase(part))) is None:
            return
        yield folder.name


def _files(folder: Folder) -> list[str]:
    """The paths, from there, of the files in a directory and in those directly in it."""
    found = []
    for name in folder.children.values():
        below = name.children.values() if isinstance(name, Folder) else ()
        found += [(name.name, name), *((f"{name.name}/{one.name}", one) for one in below)]
    return [path for path, name in found if name.file is not None]
