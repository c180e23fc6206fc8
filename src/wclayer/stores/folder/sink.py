"""Making a layer folder from entries: what all kinds of store have in common.

The record, the order and the rules of entries are here; how a file system takes an
entry is the store's (`posix`, `ntfs3g_sink`). docs/layer-folder.md describes the folder.
"""

from __future__ import annotations

import hashlib
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from types import TracebackType
from typing import ClassVar, Final, Self

from ...body import CHUNK
from ...entry import AlternateStream, Body, Directory, Entry, File, HardLink, Lower, Summary, Whiteout
from ...errors import StorageError
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
from ..record.writer import LAYER_DB, Flag, Kind, RecordWriter, Row, link_extra, times_of
from ..root.open_root import open_root
from ..root.root import Root
from .names import OpenDirectory, RecordNames

__all__ = ["FolderSink", "StoredFile", "StreamOwner"]

_DESCRIPTORS: Final = 128  # of directories; macOS gives a process 256

_BOOT_KEYS: Final = {upcase(path): name for path, name in BOOT_FILES.items()}


@dataclass(frozen=True, slots=True)
class StoredFile:
    """What the store made of a file: its flags, and, unless it is a symlink of the host, what is known of its data."""

    flags: int = 0
    sha256: bytes | None = None  # of what is allocated
    mtime: int | None = None  # ns since 1970, as the host gave it back


@dataclass(frozen=True, slots=True)
class StreamOwner:
    """What the last entry was made into, which streams may follow: its id, where it lies on the host, has it some?"""

    entry: Directory | File
    id: int
    host: bytes
    streams: bool = False


class FolderSink(ABC):
    """Make the layer folder `target` from entries.

    parents: the layers below, seen as one; None for a base layer. Their diff_ids go into the record. force: replace a
    `target` that exists and is not empty.

    add() raises LayerError and its kin for entries that make no valid layer, StorageError and its kin for what the
    host refuses. The folder appears at commit(), whole; until then, and after any error, there is nothing.
    """

    store: ClassVar[str]  # its name in the record

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
        self._base = parents is None
        self._done = False
        self._summary = Summary()
        self._owner: StreamOwner | None = None
        self._partial = self._partial_folder(target, force=force)
        with ExitStack() as undo, host_errors(os.fspath(target)):
            undo.callback(self._partial.abort)
            self._root = self._open_root(_DESCRIPTORS)
            undo.callback(self._root.close)
            self._record = RecordWriter(self._record_place())
            undo.callback(self._record.close)
            self._index = RecordNames(self._record)
            self._names = Namespace(self._index, base=self._base)
            self._begin()
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
        self._record.close()
        self._root.close()
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
        self._summary.count(entry)

    def add_framing(self, chunk: bytes) -> None:
        """Keep the next chunk of the framing of the tar that the entries come from (`layertar.framing`)."""
        with host_errors(os.fsdecode(self._partial.target)):
            self._record.add_framing(chunk)

    def _finish_owner(self) -> None:
        """No more streams of the last entry will come."""
        owner, self._owner = self._owner, None
        if owner is not None:
            with host_errors(owner.entry.path):
                self._finish(owner)

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
                    self._finish_directory(self._index.host_path(row), row)
            self._record.commit(
                {
                    "store": self.store,
                    "kind": "base" if self._base else "non-base",
                    "parents": None if self._base else " ".join(name or "-" for name in self._parent_diff_ids),
                    **self._values(),
                    **(values or {}),
                }
            )
            self._before_it_appears()
            self._root.close()
            self._partial.commit(then)
            self._done = True
        return self._summary

    # --- the kinds of entry ---------------------------------------------------

    def _directory(self, entry: Directory) -> None:
        parent, name = self._names.place(entry.path)
        host, extra = self._host_name(parent, name)
        flags = self._make_directory(entry, host)
        real = kind_of(entry) is NodeKind.DIRECTORY
        if not real:
            flags |= Flag.SURROGATE
        number = self._record.add(parent.id, name, Kind.DIRECTORY, entry=entry, flags=flags, extra=extra)
        directory = self._index.made(number, host)
        if real:
            self._names.remember(entry.path, directory)
        self._owner = StreamOwner(entry, number, host)

    def _file(self, entry: File, body: Body | None) -> None:
        parent, name = self._names.place(entry.path)
        host, extra = self._host_name(parent, name)
        number = self._add_file(parent, name, host, extra, entry, body, Kind.FILE)
        self._owner = StreamOwner(entry, number, host)
        if not self._base or not entry.path.startswith(UTILITY_VM_FILES):
            return
        backup = _BOOT_KEYS.get(upcase(entry.path))
        if backup is not None and entry.reparse_data is None:
            self._copy(host, backup)  # as hcsshim does, before Windows rewrites it

    def _add_file(
        self,
        parent: OpenDirectory,
        name: str,
        host: bytes,
        extra: dict[str, bytes],
        entry: File,
        body: Body | None,
        kind: int,
        target: str | None = None,
    ) -> int:
        """Store a file, as a symlink of the host where it is one that can be, and record it; the id of its row."""
        made = self._make_file(entry, body, host, extra)
        return self._record.add(
            parent.id,
            name,
            kind,
            entry=entry,
            flags=made.flags,
            size=entry.size,
            sha256=made.sha256,
            mtime=made.mtime,
            target=target,
            extra=extra,
        )

    def _fill(
        self, fd: int, path: str, entry: File | AlternateStream, body: Body | None, extra: dict[str, bytes]
    ) -> bytes:
        """Write a body into an empty file; the SHA-256 of what is allocated. Holes are noted in `extra`."""
        digest = self._copy_body(path, entry, body, extra, lambda offset, chunk: write_at(fd, chunk, offset))
        if "extents" in extra:
            os.ftruncate(fd, entry.size)
        return digest

    def _copy_body(
        self,
        path: str,
        entry: File | AlternateStream,
        body: Body | None,
        extra: dict[str, bytes],
        write: Callable[[int, bytes], None],
    ) -> bytes:
        """Give what is allocated of a body to `write`, in order; its SHA-256. Holes are noted in `extra`."""
        done, digest = 0, hashlib.sha256()
        extents: tuple[tuple[int, int], ...] = ()
        if body is not None:
            extents = tuple(body.extents())
            done = sum(length for _, length in extents)
            for offset, chunk in body.chunks():
                digest.update(chunk)
                done -= len(chunk)
                write(offset, chunk)
        whole = ((0, entry.size),) if entry.size else ()
        if done or (body is None and entry.size) or (body is not None and body.size != entry.size):
            raise StorageError(
                "the data are not as long as their entry says",
                path=path,
                expected=f"{entry.size:,} bytes",
            )
        if extents != whole:
            extra["extents"] = b";".join(b"%d,%d" % extent for extent in extents)
        self._summary.bytes += entry.size
        return digest.digest()

    def _stream(self, entry: AlternateStream, body: Body | None) -> None:
        self._names.stream(entry)
        owner = self._owner
        assert owner is not None  # noqa: S101 # the stream follows it
        name = f":{entry.name}"
        if not owner.streams:
            self._record.set_flag(owner.id, Flag.STREAMS)
            self._owner = replace(owner, streams=True)
        extra: dict[str, bytes] = {}
        made = self._make_stream(entry, body, owner.host, extra)
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
        host, extra = self._host_name(parent, name)
        source = self._index.host_path(row)
        self._make_hard_link(row, source, host)
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

    def _copy(self, source: bytes, target: bytes) -> None:
        old = self._root.open(source)
        try:
            found = os.fstat(old)
            new = self._root.create(target)
            try:
                position = 0
                while chunk := os.read(old, CHUNK):
                    write_at(new, chunk, position)
                    position += len(chunk)
            finally:
                os.close(new)
            self._root.utime(target, (found.st_atime_ns, found.st_mtime_ns))
        finally:
            os.close(old)

    def _link_to_lower_layer(self, entry: HardLink, parent: OpenDirectory, name: str) -> None:
        found = None if self._parents is None else self._parents.lookup(entry.target)
        self._names.check_lower(entry, found=found is not None, is_file=isinstance(found, File))
        assert self._parents is not None  # noqa: S101 # it has the file
        assert isinstance(found, File)  # noqa: S101
        self._make_parent_link(entry, replace(found, path=entry.path), self._parents, parent, name)

    def _whiteout(self, entry: Whiteout) -> None:
        parents = self._parents
        self._names.whiteout(entry.path, lambda path: parents is not None and parents.lookup(path) is not None)

    # --- what a store does ------------------------------------------------------

    def _partial_folder(self, target: str | os.PathLike[str], *, force: bool) -> PartialFolder:
        """Where the folder is made."""
        return PartialFolder(target, force=force)

    def _open_root(self, descriptors: int) -> Root:
        """What the entries go into."""
        return open_root(self._partial.path, descriptors=descriptors)

    def _record_place(self) -> bytes:
        """Where the record is made."""
        return os.path.join(self._partial.path, LAYER_DB)

    def _values(self) -> dict[str, str | int | None]:
        """What the record is to say of the whole layer, now that all is made."""
        return {}

    def _begin(self) -> None:  # noqa: B027 # most stores have nothing to do
        """Before the first entry, when the folder is there."""

    def _before_it_appears(self) -> None:  # noqa: B027 # most stores have nothing to do
        """When all is made, before the folder gets its name."""

    @abstractmethod
    def _host_name(self, parent: OpenDirectory, name: str) -> tuple[bytes, dict[str, bytes]]:
        """The host's path for a new entry, and the record's note of it where that is not the entry's own name."""

    @abstractmethod
    def _make_directory(self, entry: Directory, host: bytes) -> int:
        """Make a directory, or what stands for one; flags for its row."""

    @abstractmethod
    def _make_file(self, entry: File, body: Body | None, host: bytes, extra: dict[str, bytes]) -> StoredFile:
        """Make a file, or what stands for one. What there is to remember besides goes into `extra`."""

    @abstractmethod
    def _make_stream(
        self, entry: AlternateStream, body: Body | None, owner: bytes, extra: dict[str, bytes]
    ) -> StoredFile:
        """Make a named stream of what lies at `owner`."""

    def _make_parent_link(self, entry: HardLink, file: File, parents: Lower, parent: OpenDirectory, name: str) -> None:
        """Store a copy of the parents' file, recorded as a link, so that export needs no parents."""
        host, extra = self._host_name(parent, name)
        body = parents.open(entry.target) if file.size else None
        extra |= link_extra(entry)
        number = self._add_file(parent, name, host, extra, file, body, Kind.PARENT_LINK, entry.target)
        self._take_streams(parents, entry.target, host)
        self._finish(StreamOwner(file, number, host))

    def _take_streams(self, parents: Lower, path: str, host: bytes) -> None:  # noqa: B027 # most stores do without
        """Give the copy `host` of the parents' file `path` its named streams; the record does not have them."""

    def _finish(self, owner: StreamOwner) -> None:  # noqa: B027 # most stores have nothing to do
        """After a file or directory and all its streams; what lies in a directory is still to come."""

    @abstractmethod
    def _make_hard_link(self, row: Row, source: bytes, host: bytes) -> None:
        """Make `host` a further name of the file at `source`, whose row is `row`."""

    @abstractmethod
    def _finish_directory(self, host: bytes, row: Row) -> None:
        """Give a directory its times, after all that lies in it."""


def write_at(fd: int, chunk: bytes, offset: int) -> None:
    """Write the whole chunk at `offset`."""
    done = 0
    if os.lseek(fd, 0, os.SEEK_CUR) != offset:
        os.lseek(fd, offset, os.SEEK_SET)
    while done < len(chunk):
        done += os.write(fd, chunk[done:] if done else chunk)
