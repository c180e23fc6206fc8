"""Making a layer folder from entries: what all kinds of store have in common.

The record, the order and the rules of entries are here; the objects themselves are
made by the store's ObjectMaker (`maker`). docs/layer-folder.md describes the folder.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from types import TracebackType
from typing import ClassVar, Final, Self

from ...entry import AlternateStream, Body, Directory, Entry, File, HardLink, Lower, Summary, Whiteout
from ...host.errors import host_errors
from ...union.namespace import Namespace, NodeKind, kind_of
from ...union.rules import (
    BOOT_FILES,
    FILES,
    UTILITY_VM_FILES,
    check_entry,
    no_files_error,
)
from ...win32.names import upcase
from ..atomic import PartialFolder
from ..record.writer import LAYER_DB, Flag, Kind, RecordWriter, times_of
from ..root.open_root import open_root
from .maker import ObjectMaker, StreamOwner
from .names import OpenDirectory, RecordNames
from .unfinished import UnfinishedLayer

__all__ = ["FolderSink"]

_DESCRIPTORS: Final = 128  # of directories; macOS gives a process 256

_BOOT_KEYS: Final = {upcase(path): name for path, name in BOOT_FILES.items()}


class FolderSink(ABC):
    """Make the layer folder `target` from entries.

    parents: the layers below, seen as one; None for a base layer. Their diff_ids go into the record. force: replace a
    `target` that exists and is not empty.

    add() raises LayerError and its kin for entries that make no valid layer, StorageError and its kin for what the
    host refuses. The folder appears at commit(), whole; until then, and after any error, there is nothing.
    """

    store: ClassVar[str]  # its name in the record
    processed: ClassVar[bool] = False  # does Windows process its non-base layers too?

    def __init__(
        self,
        target: str | os.PathLike[str],
        *,
        parents: Lower | None = None,
        parent_diff_ids: tuple[str | None, ...] = (),
        force: bool = False,
    ) -> None:
        self._parents = parents
        self._parent_diff_ids = parent_diff_ids
        self._base = base = parents is None
        self._keeps_boot_files = base or self.processed
        self._done = False
        self._owner: StreamOwner | None = None
        self._partial = self._partial_folder(target, force=force)
        with ExitStack() as undo, host_errors(os.fspath(target)):
            undo.callback(self._partial.abort)
            path = self._partial.path
            root = open_root(path, descriptors=_DESCRIPTORS)
            undo.callback(root.close)
            self._record = RecordWriter(self._record_place())
            undo.callback(self._record.close)
            self._index = RecordNames(self._record)
            self._names = Namespace(self._index, base=base)
            self._layer = UnfinishedLayer(self._partial.target, path, root, self._record, base)
            undo.callback(self._layer.held.close)
            self._maker = self._new_maker(self._layer)
            undo.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._done:
            self.abort()

    def abort(self) -> None:
        """Remove all that was made."""
        self._done = True
        with self._layer.held:
            self._maker.close()
            self._record.close()
            self._layer.root.close()
            self._partial.abort()

    def add(self, entry: Entry, body: Body | None = None, /) -> None:
        if not isinstance(entry, AlternateStream):
            self._finish_owner()
            self._names.owner(entry.path if isinstance(entry, Directory | File) else None)
        with host_errors(entry.path):
            check_entry(entry, base=self._base)
            if isinstance(entry, File):
                self._file(entry, body)
            elif isinstance(entry, Directory):
                self._directory(entry)
            elif isinstance(entry, HardLink):
                self._hard_link(entry)
            elif isinstance(entry, AlternateStream):
                self._stream(entry, body)
            else:
                self._whiteout(entry)
        self._layer.summary.count(entry)

    def add_framing(self, chunk: bytes) -> None:
        """Keep the next chunk of the framing of the tar that the entries come from (`layertar.framing`)."""
        with host_errors(os.fsdecode(self._partial.target)):
            self._record.add_framing(chunk)

    def _finish_owner(self) -> None:
        """No more streams of the last entry will come."""
        owner, self._owner = self._owner, None
        if owner is not None:
            with host_errors(owner.entry.path):
                self._maker.finish(owner)

    def commit(
        self, values: Mapping[str, str | int | None] | None = None, then: Callable[[], None] | None = None
    ) -> Summary:
        """Finish the record, with `values` besides its own, and put the folder in its place.

        then: what is still to be done there, before the folder that it replaces is gone; if that fails, all is as it
        was.
        """
        self._finish_owner()
        with host_errors(os.fsdecode(self._partial.target)):
            if self._base and self._record.find(0, FILES) is None:
                raise no_files_error()
            # Children first, after everything else, as adding an entry changes its directory's times.
            for row in self._record.directories():
                if not row.flags & Flag.SYMLINK:
                    self._maker.finish_directory(self._index.host_path(row), row)
            self._record.commit(
                {
                    "store": self.store,
                    "kind": "base" if self._base else "non-base",
                    "parents": None if self._base else " ".join(name or "-" for name in self._parent_diff_ids),
                    **self._maker.values(),
                    **(values or {}),
                }
            )
            self._maker.before_it_appears()
            self._maker.close()
            self._layer.root.close()
            self._partial.commit(then)
            self._done = True
        self._layer.held.close()
        self._layer.summary.warnings += self._maker.warnings()
        return self._layer.summary

    # --- the kinds of entry ---------------------------------------------------

    def _directory(self, entry: Directory) -> None:
        parent, name = self._names.place(entry.path)
        fs_path, extra = self._maker.host_name(parent, name)
        flags = self._maker.make_directory(entry, fs_path)
        real = kind_of(entry) is NodeKind.DIRECTORY
        if not real:
            flags |= Flag.SURROGATE
        number = self._record.add(parent.id, name, Kind.DIRECTORY, entry=entry, flags=flags, extra=extra)
        directory = self._index.made(number, fs_path)
        if real:
            self._names.remember(entry.path, directory)
        self._owner = StreamOwner(entry, number, fs_path)

    def _file(self, entry: File, body: Body | None) -> None:
        parent, name = self._names.place(entry.path)
        fs_path, extra = self._maker.host_name(parent, name)
        made = self._maker.make_file(entry, body, fs_path, extra)
        number = self._layer.add_file(parent.id, name, Kind.FILE, entry, made, extra)
        self._owner = StreamOwner(entry, number, fs_path)
        if not self._keeps_boot_files or not entry.path.startswith(UTILITY_VM_FILES):
            return
        backup = _BOOT_KEYS.get(upcase(entry.path))
        if backup is not None and entry.reparse_data is None:
            self._maker.copy_boot_file(fs_path, backup)  # as hcsshim does, before Windows rewrites it

    def _stream(self, entry: AlternateStream, body: Body | None) -> None:
        self._names.stream(entry)
        owner = self._owner
        assert owner is not None  # noqa: S101 # the stream follows it
        name = f":{entry.name}"
        if not owner.streams:
            self._record.set_flag(owner.id, Flag.STREAMS)
            self._owner = replace(owner, streams=True)
        extra: dict[str, bytes] = {}
        made = self._maker.make_stream(entry, body, owner.fs_path, extra)
        self._record.add(
            owner.id, name, Kind.STREAM, size=entry.size, sha256=made.sha256, mtime=made.mtime, extra=extra
        )

    def _hard_link(self, entry: HardLink) -> None:
        parent, name = self._names.place(entry.path)
        row = self._names.link(entry)
        if row is not None and row.kind == Kind.LINK and isinstance(row.target, int):
            row = self._record.get(row.target)
        if row is None:
            self._link_to_lower_layer(entry, parent, name)
            return
        if row.kind == Kind.PARENT_LINK:
            # A link to a link into a parent: the same file below.
            self._link_to_lower_layer(replace(entry, target=str(row.target)), parent, name)
            return
        fs_path, extra = self._maker.host_name(parent, name)
        source = self._index.host_path(row)
        self._maker.make_hard_link(row, source, fs_path)
        if not row.flags & Flag.LINKED:
            self._record.set_flag(row.id, Flag.LINKED)
        self._record.add(
            parent.id,
            name,
            Kind.LINK,
            attributes=entry.file_attributes,
            times=times_of(entry),
            target=row.id,
            extra=extra,
        )

    def _link_to_lower_layer(self, entry: HardLink, parent: OpenDirectory, name: str) -> None:
        found = None if self._parents is None else self._parents.lookup(entry.target)
        self._names.check_lower(entry, found=found is not None, is_file=isinstance(found, File))
        assert self._parents is not None  # noqa: S101 # it has the file
        assert isinstance(found, File)  # noqa: S101
        self._maker.make_parent_link(entry, replace(found, path=entry.path), self._parents, parent, name)

    def _whiteout(self, entry: Whiteout) -> None:
        parents = self._parents
        self._names.whiteout(entry.path, lambda path: parents is not None and parents.lookup(path) is not None)
        self._maker.whiteout(entry)

    # --- what a store decides -----------------------------------------------------

    @abstractmethod
    def _new_maker(self, layer: UnfinishedLayer) -> ObjectMaker:
        """What makes the objects; the folder is there, and nothing is in it."""

    def _partial_folder(self, target: str | os.PathLike[str], *, force: bool) -> PartialFolder:
        """Where the folder is made."""
        return PartialFolder(target, force=force)

    def _record_place(self) -> bytes:
        """Where the record is made."""
        return os.path.join(self._partial.path, LAYER_DB)
