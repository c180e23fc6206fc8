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
from ...union.rules import (
    BOOT_FILES,
    FILES,
    UTILITY_VM_FILES,
    behind_link_error,
    beside_whiteout_error,
    check_entry,
    in_no_directory_error,
    name_taken_error,
    no_directory_yet_error,
    no_files_error,
    no_link_target_error,
    stream_astray_error,
    stream_twice_error,
    two_whiteouts_error,
    whiteout_of_nothing_error,
)
from ...win32.names import encode_wtf8, upcase
from ...win32.reparse import is_name_surrogate, reparse_tag
from ..atomic import PartialFolder
from ..record.writer import LAYER_DB, Flag, Kind, RecordWriter, Row, link_extra, times_of
from ..root.open_root import open_root
from ..root.root import Root

__all__ = ["FolderSink", "OpenDirectory", "StoredFile", "StreamOwner"]

_DESCRIPTORS: Final = 128  # of directories; macOS gives a process 256
_MAX_CACHE: Final = 4096  # directories

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


class OpenDirectory:
    """A directory that entries can be put into: its id, its path on the host, and whether it is a link."""

    __slots__ = ("host", "id", "link")

    def __init__(self, number: int, host: bytes, link: bool) -> None:
        self.id = number
        self.host = host
        self.link = link


_ROOT = OpenDirectory(0, b"", False)


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
        self._directories: dict[str, OpenDirectory] = {}
        self._hosts: dict[int, bytes] = {}  # where directories lie, by id
        self._owner: StreamOwner | None = None
        self._partial = self._partial_folder(target, force=force)
        with ExitStack() as undo, host_errors(os.fspath(target)):
            undo.callback(self._partial.abort)
            self._root = self._open_root(_DESCRIPTORS)
            undo.callback(self._root.close)
            self._record = RecordWriter(self._record_place())
            undo.callback(self._record.close)
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
                    self._finish_directory(self._host_path(row), row)
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

    # --- finding the place ----------------------------------------------------

    def _place(self, path: str) -> tuple[OpenDirectory, str]:
        """The directory that `path` goes into, and its name there. Raises LayerError if the name is taken."""
        directory, _, name = path.rpartition("/")
        parent = self._directory_of(directory, path) if directory else _ROOT
        taken = self._record.find(parent.id, name)
        if taken is not None:
            raise name_taken_error(path, taken.name)
        if not self._base and self._record.has_whiteout(path):
            raise beside_whiteout_error(path)
        return parent, name

    def _directory_of(self, directory: str, path: str) -> OpenDirectory:
        found = self._directories.get(directory)
        if found is None:
            above, _, name = directory.rpartition("/")
            row = self._record.find((self._directory_of(above, path) if above else _ROOT).id, name)
            if row is None:
                raise no_directory_yet_error(path, directory)
            if row.kind != Kind.DIRECTORY:
                raise in_no_directory_error(path, directory)
            found = self._remember(directory, row.id, self._host_path(row), row.flags & Flag.SURROGATE != 0)
        if found.link:
            raise behind_link_error(path, directory)
        return found

    def _remember(self, directory: str, number: int, host: bytes, link: bool) -> OpenDirectory:
        if len(self._directories) >= _MAX_CACHE:
            self._directories.clear()
            self._hosts.clear()
        self._hosts[number] = host
        found = self._directories[directory] = OpenDirectory(number, host, link)
        return found

    def _host_path(self, row: Row) -> bytes:
        """Where an entry lies on the host."""
        names = [self._own_name(row)]
        while row.parent:
            if (above := self._hosts.get(row.parent)) is not None:
                names.append(above)
                break
            row = self._record.get(row.parent)
            names.append(self._own_name(row))
        return b"/".join(reversed(names))

    def _own_name(self, row: Row) -> bytes:
        return (self._record.host_name(row.id) if row.flags & Flag.EXTRA else None) or encode_wtf8(row.name)

    def _resolve(self, path: str) -> Row | None:
        """The row of `path`, by NTFS's case rules, streams left out."""
        directory, _, name = path.rpartition("/")
        known = self._directories.get(directory)  # most links lead to where entries have just come
        if known is not None:
            return self._record.find(known.id, name)
        row: Row | None = None
        for part in path.split("/"):
            row = self._record.find(row.id if row else 0, part)
            if row is None:
                return None
        return row

    # --- the kinds of entry ---------------------------------------------------

    def _directory(self, entry: Directory) -> None:
        parent, name = self._place(entry.path)
        host, extra = self._host_name(parent, name)
        flags = self._make_directory(entry, host)
        if entry.reparse_data is not None and is_name_surrogate(reparse_tag(entry.reparse_data)):
            flags |= Flag.SURROGATE
        number = self._record.add(parent.id, name, Kind.DIRECTORY, entry=entry, flags=flags, extra=extra)
        self._remember(entry.path, number, host, flags & Flag.SURROGATE != 0)
        self._owner = StreamOwner(entry, number, host)

    def _file(self, entry: File, body: Body | None) -> None:
        parent, name = self._place(entry.path)
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
        owner = self._owner
        if owner is None or owner.entry.path != entry.path:
            raise stream_astray_error(entry.path, entry.name)
        name = f":{entry.name}"
        if self._record.find(owner.id, name) is not None:
            raise stream_twice_error(entry.path, entry.name)
        if not owner.streams:
            self._record.set_flag(owner.id, Flag.STREAMS)
            self._owner = replace(owner, streams=True)
        extra: dict[str, bytes] = {}
        made = self._make_stream(entry, body, owner.host, extra)
        self._record.add(
            owner.id, name, Kind.STREAM, size=entry.size, sha256=made.sha256, mtime=made.mtime, extra=extra
        )

    def _hard_link(self, entry: HardLink) -> None:
        parent, name = self._place(entry.path)
        row = self._resolve(entry.target)
        if row is not None and row.kind == Kind.LINK and isinstance(row.target, int):
            row = self._record.get(row.target)
        if row is None:
            self._link_to_lower_layer(entry, parent, name)
            return
        if row.kind == Kind.PARENT_LINK:
            # A link to a link into a parent: the same file below.
            self._link_to_lower_layer(replace(entry, target=str(row.target)), parent, name)
            return
        if row.kind != Kind.FILE:
            raise no_link_target_error(entry.path, entry.target, found=True, base=self._base)
        host, extra = self._host_name(parent, name)
        source = self._host_path(row)
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
        if self._parents is None or not isinstance(found, File):
            raise no_link_target_error(entry.path, entry.target, found=found is not None, base=self._base)
        self._make_parent_link(entry, replace(found, path=entry.path), self._parents, parent, name)

    def _whiteout(self, entry: Whiteout) -> None:
        path = entry.path
        if self._resolve(path) is not None:
            raise beside_whiteout_error(path)
        if path.startswith(UTILITY_VM_FILES + "/") and (self._parents is None or self._parents.lookup(path) is None):
            raise whiteout_of_nothing_error(path)
        if not self._record.add_whiteout(path):
            raise two_whiteouts_error(path)

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
