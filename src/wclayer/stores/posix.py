"""A layer folder on any file system: a plain tree, and layer.db for what is Windows' alone.

This module writes it (`PosixSink`); `posix_source` reads it. docs/layer-folder.md
describes the folder.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import replace
from types import TracebackType
from typing import Final, Self

from ..body import CHUNK
from ..entry import AlternateStream, Body, Directory, Entry, File, HardLink, Lower, Summary, Whiteout
from ..errors import LayerError, StorageError
from ..win32.filetime import to_unix_ns
from ..win32.names import encode_wtf8, upcase, win32_problem
from ..win32.reparse import is_name_surrogate, reparse_tag
from .confine import Root
from .host import host_errors
from .links import host_target
from .partial import PartialFolder
from .record import LAYER_DB, Flag, Kind, RecordWriter, Row, link_extra, times_of
from .rules import (
    BOOT_FILES,
    FILES,
    UTILITY_VM_FILES,
    behind_link,
    beside_whiteout,
    check_entry,
    in_no_directory,
    name_taken,
    no_directory_yet,
)

__all__ = ["HOST_PREFIX", "STREAMS", "PosixSink"]

STREAMS: Final = b"Streams"
HOST_PREFIX: Final = "~wclayer."  # of the names of entries that the host cannot hold under their own
_MAX_HOST_NAME: Final = 255  # bytes
_DESCRIPTORS: Final = 128  # of directories; macOS gives a process 256
_TIMES_BY_FD: Final = os.utime in os.supports_fd
_MAX_CACHE: Final = 4096  # directories

_BOOT_KEYS: Final = {upcase(path): name for path, name in BOOT_FILES.items()}


class _Parent:
    """A directory that entries can be put into: its id, its path on the host, and whether it is a link."""

    __slots__ = ("host", "id", "link")

    def __init__(self, number: int, host: bytes, link: bool) -> None:
        self.id = number
        self.host = host
        self.link = link


_ROOT = _Parent(0, b"", False)


class PosixSink:
    """Make the layer folder `target` from entries.

    parents: the layers below, seen as one; None for a base layer. Their diff_ids go into the record. force: replace a
    `target` that exists and is not empty.

    add() raises LayerError and its kin for entries that make no valid layer, StorageError and its kin for what the
    host refuses. The folder appears at commit(), whole; until then, and after any error, there is nothing.
    """

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
        self._directories: dict[str, _Parent] = {}
        self._hosts: dict[int, bytes] = {}  # where directories lie, by id
        self._owner: tuple[str, int, bool] | None = None  # of streams: path, id, has streams
        self._partial = PartialFolder(target, force=force)
        try:
            with host_errors(os.fspath(target)):
                self._root = Root(self._partial.path, descriptors=_DESCRIPTORS)
            self._record = RecordWriter(os.path.join(self._partial.path, LAYER_DB))
        except BaseException:
            self._partial.abort()
            raise

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

    def commit(self, values: Mapping[str, str | int | None] | None = None) -> Summary:
        """Finish the record, with `values` besides its own, and put the folder in its place."""
        with host_errors(os.fsdecode(self._partial.target)):
            if self._base and self._record.find(0, FILES) is None:
                raise LayerError("no Files/ in a base layer", expected="the directory Files", got="no such entry")
            self._set_directory_times()
            self._record.commit(
                {
                    "kind": "base" if self._base else "non-base",
                    "parents": None if self._base else " ".join(name or "-" for name in self._parent_diff_ids),
                    **(values or {}),
                }
            )
            self._root.close()
            self._partial.commit()
            self._done = True
        return self._summary

    # --- finding the place ----------------------------------------------------

    def _place(self, path: str) -> tuple[_Parent, str]:
        """The directory that `path` goes into, and its name there. Raises LayerError if the name is taken."""
        directory, _, name = path.rpartition("/")
        parent = self._parent(directory, path) if directory else _ROOT
        taken = self._record.find(parent.id, name)
        if taken is not None:
            raise name_taken(path, taken.name)
        if not self._base and self._record.has_whiteout(path):
            raise beside_whiteout(path)
        return parent, name

    def _parent(self, directory: str, path: str) -> _Parent:
        found = self._directories.get(directory)
        if found is None:
            above, _, name = directory.rpartition("/")
            row = self._record.find((self._parent(above, path) if above else _ROOT).id, name)
            if row is None:
                raise no_directory_yet(path, directory)
            if row.kind != Kind.DIRECTORY:
                raise in_no_directory(path, directory)
            found = self._remember(directory, row.id, self._host_path(row), row.flags & Flag.SURROGATE != 0)
        if found.link:
            raise behind_link(path, directory)
        return found

    def _remember(self, directory: str, number: int, host: bytes, link: bool) -> _Parent:
        if len(self._directories) >= _MAX_CACHE:
            self._directories.clear()
            self._hosts.clear()
        self._hosts[number] = host
        found = self._directories[directory] = _Parent(number, host, link)
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

    def _host_name(self, parent: _Parent, name: str) -> tuple[bytes, dict[str, bytes]]:
        """The host's path for a new entry, and the record's note of it where that is not the entry's own name."""
        host = encode_wtf8(name)
        if len(host) <= _MAX_HOST_NAME and not upcase(name).startswith(HOST_PREFIX.upper()):
            full = b"%b/%b" % (parent.host, host) if parent.host else host
            # Other hosts have no quarrel with what Win32 could not open.
            if (os.name != "nt" or win32_problem(name) is None) and not self._root.exists(full):
                return full, {}
        own = f"{HOST_PREFIX}{self._record.reserve()}".encode()
        return b"%b/%b" % (parent.host, own), {"host_name": own}

    # --- the kinds of entry ---------------------------------------------------

    def _directory(self, entry: Directory) -> None:
        parent, name = self._place(entry.path)
        host, extra = self._host_name(parent, name)
        flags = self._make_link(entry, host)
        if not flags:
            self._root.mkdir(host)
        if entry.reparse_data is not None and is_name_surrogate(reparse_tag(entry.reparse_data)):
            flags |= Flag.SURROGATE
        number = self._record.add(parent.id, name, Kind.DIRECTORY, entry=entry, flags=flags, extra=extra)
        self._remember(entry.path, number, host, flags & Flag.SURROGATE != 0)
        self._owner = (entry.path, number, False)

    def _make_link(self, entry: Directory | File, host: bytes) -> int:
        """Make a symlink of the host for a reparse point that can be one; Flag.SYMLINK, or 0."""
        if entry.reparse_data is None:
            return 0
        target = host_target(entry.path, entry.reparse_data)
        if target is None:
            return 0
        try:
            self._root.symlink(target, host, directory=isinstance(entry, Directory))
        except (OSError, NotImplementedError):
            return 0  # a host without symlinks, or that cannot hold this one: a placeholder does
        self._set_times(host, entry.last_access_time, entry.last_write_time)
        return Flag.SYMLINK

    def _file(self, entry: File, body: Body | None) -> None:
        parent, name = self._place(entry.path)
        host, extra = self._host_name(parent, name)
        number = self._add_file(parent, name, host, extra, entry, body, Kind.FILE)
        self._owner = (entry.path, number, False)
        if not self._base or not entry.path.startswith(UTILITY_VM_FILES):
            return
        backup = _BOOT_KEYS.get(upcase(entry.path))
        if backup is not None and entry.reparse_data is None:
            self._copy(host, backup)  # as hcsshim does, before Windows rewrites it

    def _add_file(
        self,
        parent: _Parent,
        name: str,
        host: bytes,
        extra: dict[str, bytes],
        entry: File,
        body: Body | None,
        kind: int,
        target: str | None = None,
    ) -> int:
        """Store a file, as a symlink of the host where it is one that can be, and record it; the id of its row."""
        flags = 0 if entry.size else self._make_link(entry, host)
        digest: bytes | None = None
        mtime: int | None = None
        if not flags:
            digest, extents, mtime = self._write(host, entry.path, entry, body)
            if extents is not None:
                extra["extents"] = extents
        return self._record.add(
            parent.id,
            name,
            kind,
            entry=entry,
            flags=flags,
            size=entry.size,
            sha256=digest,
            mtime=mtime,
            target=target,
            extra=extra,
        )

    def _write(
        self, host: bytes, path: str, entry: File | AlternateStream, body: Body | None
    ) -> tuple[bytes, bytes | None, int]:
        """Write a body; its SHA-256 (of what is allocated), its extents where it has holes, and its mtime in ns."""
        fd = self._root.create(host)
        try:
            done, digest = 0, hashlib.sha256()
            extents: tuple[tuple[int, int], ...] = ()
            if body is not None:
                extents = tuple(body.extents())
                done = sum(length for _, length in extents)
                for offset, chunk in body.chunks():
                    digest.update(chunk)
                    done -= len(chunk)
                    _write_at(fd, chunk, offset)
            whole = ((0, entry.size),) if entry.size else ()
            if done or (body is None and entry.size) or (body is not None and body.size != entry.size):
                raise StorageError(
                    "the data are not as long as their entry says",
                    path=path,
                    expected=f"{entry.size:,} bytes",
                )
            if extents != whole:
                os.ftruncate(fd, entry.size)
            if _TIMES_BY_FD:
                if isinstance(entry, File):
                    self._set_times(fd, entry.last_access_time, entry.last_write_time)
                mtime = os.fstat(fd).st_mtime_ns
        finally:
            os.close(fd)
        if not _TIMES_BY_FD:
            if isinstance(entry, File):
                self._set_times(host, entry.last_access_time, entry.last_write_time)
            mtime = self._root.lstat(host).st_mtime_ns
        self._summary.bytes += entry.size
        holes = None if extents == whole else b";".join(b"%d,%d" % extent for extent in extents)
        return digest.digest(), holes, mtime

    def _stream(self, entry: AlternateStream, body: Body | None) -> None:
        owner = self._owner
        if owner is None or owner[0] != entry.path:
            raise LayerError("stream that does not follow its owner", path=f"{entry.path}:{entry.name}")
        _, number, begun = owner
        name = f":{entry.name}"
        if self._record.find(number, name) is not None:
            raise LayerError("two streams of one name", path=f"{entry.path}{name}")
        if not begun:
            self._record.set_flag(number, Flag.STREAMS)
            self._owner = (entry.path, number, True)
        if not self._root.exists(STREAMS):
            self._root.mkdir(STREAMS)
        host = b"%b/%d" % (STREAMS, self._record.reserve())
        digest, extents, mtime = self._write(host, f"{entry.path}{name}", entry, body)
        extra = {} if extents is None else {"extents": extents}
        self._record.add(number, name, Kind.STREAM, size=entry.size, sha256=digest, mtime=mtime, extra=extra)

    def _hard_link(self, entry: HardLink) -> None:
        self._owner = None
        parent, name = self._place(entry.path)
        row = self._resolve(entry.target)
        if row is not None and row.kind == Kind.LINK and isinstance(row.target, int):
            row = self._record.get(row.target)
        if row is None:
            self._link_into_parent(entry, parent, name)
            return
        if row.kind == Kind.PARENT_LINK:
            # A link to a link into a parent: the same file below.
            self._link_into_parent(replace(entry, target=str(row.target)), parent, name)
            return
        if row.kind != Kind.FILE:
            raise LayerError("hard link to something that is no file", path=entry.path, got=entry.target)
        host, extra = self._host_name(parent, name)
        source = self._host_path(row)
        if row.flags & Flag.SYMLINK:
            # From another place a relative target could lead outside, so the host gets a placeholder; the record knows.
            os.close(self._root.create(host))
        else:
            try:
                self._root.link(source, host)
            except (
                OSError
            ):  # as many names as the file system allows, or it has no hard links: the record keeps the link
                self._copy(source, host)
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
                    _write_at(new, chunk, position)
                    position += len(chunk)
            finally:
                os.close(new)
            self._root.utime(target, (found.st_atime_ns, found.st_mtime_ns))
        finally:
            os.close(old)

    def _link_into_parent(self, entry: HardLink, parent: _Parent, name: str) -> None:
        """Store a copy of the parent's file, recorded as a link, so that export needs no parents."""
        found = None if self._parents is None else self._parents.lookup(entry.target)
        if self._parents is None or not isinstance(found, File):
            raise LayerError(
                "hard link to nothing" if found is None else "hard link to something that is no file",
                path=entry.path,
                expected=f"a file {entry.target!r} before it" + ("" if self._base else ", or in a parent"),
                hint="order the tar so that the file comes before its links"
                if self._base
                else "are these its parents?",
            )
        host, extra = self._host_name(parent, name)
        body = self._parents.open(entry.target) if found.size else None
        extra |= link_extra(entry)
        self._add_file(parent, name, host, extra, replace(found, path=entry.path), body, Kind.PARENT_LINK, entry.target)

    def _whiteout(self, entry: Whiteout) -> None:
        self._owner = None
        path = entry.path
        if self._resolve(path) is not None:
            raise beside_whiteout(path)
        if path.startswith(UTILITY_VM_FILES + "/") and (self._parents is None or self._parents.lookup(path) is None):
            raise LayerError(
                "whiteout in the utility VM of a path that no parent has",
                path=path,
                hint="are these its parents?",
            )
        if not self._record.add_whiteout(path):
            raise LayerError("two whiteouts of one name", path=path)

    # --- times ----------------------------------------------------------------

    def _set_times(self, file: bytes | int, access: int | None, write: int | None) -> None:
        times = _host_times(access, write)
        if times is not None:
            try:
                if isinstance(file, int):
                    os.utime(file, ns=times)
                else:
                    self._root.utime(file, times)
            except (OSError, OverflowError):
                return  # a time that the host cannot hold; the record has it

    def _set_directory_times(self) -> None:
        """Children first, after everything else, as adding an entry changes its directory's times."""
        for row in self._record.directories():
            if not row.flags & Flag.SYMLINK:
                self._set_times(self._host_path(row), row.times[1], row.times[2])


def _host_times(access: int | None, write: int | None) -> tuple[int, int] | None:
    if write is None:
        return None
    return to_unix_ns(write if access is None else access), to_unix_ns(write)


def _write_at(fd: int, chunk: bytes, offset: int) -> None:
    done = 0
    if os.lseek(fd, 0, os.SEEK_CUR) != offset:
        os.lseek(fd, offset, os.SEEK_SET)
    while done < len(chunk):
        done += os.write(fd, chunk[done:] if done else chunk)
