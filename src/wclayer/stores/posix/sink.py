"""A layer folder on any file system: a plain tree, and layer.db for what only Windows has."""

from __future__ import annotations

import os
import re
import sys
from typing import Final

from ...entry import AlternateStream, Body, Directory, File
from ...win32.filetime import to_unix_ns
from ...win32.names import encode_wtf8, upcase, win32_problem
from ..folder.maker import ObjectMaker
from ..folder.names import OpenDirectory
from ..folder.sink import FolderSink
from ..folder.unfinished import StoredFile, UnfinishedLayer
from ..record.writer import Flag, Row
from ..root.symlinks import host_target

__all__ = ["HOST_PREFIX", "STREAMS", "PosixSink"]

STREAMS: Final = b"Streams"
HOST_PREFIX: Final = "~wclayer."  # of the names of entries that the host cannot hold under their own
_MAX_HOST_NAME: Final = 255  # bytes
_ANY_BYTES: Final[bool] = sys.platform == "linux"  # are a name
_HALF: Final = re.compile("[\ud800-\udfff]")
_TIMES_BY_FD: Final = os.utime in os.supports_fd


class PosixSink(FolderSink):
    """Make a layer folder on any file system (see FolderSink)."""

    store = "posix"

    def _new_maker(self, layer: UnfinishedLayer) -> ObjectMaker:
        return _PosixMaker(layer)


class _PosixMaker(ObjectMaker):
    """Makes plain files; what the host cannot hold is only in the record."""

    def host_name(self, parent: OpenDirectory, name: str) -> tuple[bytes, dict[str, bytes]]:
        """The host's path for a new entry, and the record's note of it where that is not the entry's own name."""
        fs_path = encode_wtf8(name)
        if len(fs_path) <= _MAX_HOST_NAME and not upcase(name).startswith(HOST_PREFIX.upper()):
            full = b"%b/%b" % (parent.fs_path, fs_path) if parent.fs_path else fs_path
            # Other hosts have no quarrel with what Win32 could not open; but most with half of a surrogate pair.
            held = _ANY_BYTES or _HALF.search(name) is None
            if held and (os.name != "nt" or win32_problem(name) is None) and not self._root.exists(full):
                return full, {}
        own = f"{HOST_PREFIX}{self._record.reserve()}".encode()
        return b"%b/%b" % (parent.fs_path, own), {"host_name": own}

    def _make_link(self, entry: Directory | File, fs_path: bytes) -> int:
        """Make a symlink of the host for a reparse point that can be one; Flag.SYMLINK, or 0."""
        if entry.reparse_data is None:
            return 0
        target = host_target(entry.path, entry.reparse_data)
        if target is None:
            return 0
        try:
            self._root.symlink(target, fs_path, directory=isinstance(entry, Directory))
        except (OSError, NotImplementedError):
            return 0  # a host without symlinks, or that cannot hold this one: a placeholder does
        self._set_times(fs_path, entry.last_access_time, entry.last_write_time)
        return Flag.SYMLINK

    def make_directory(self, entry: Directory, fs_path: bytes) -> int:
        flags = self._make_link(entry, fs_path)
        if not flags:
            self._root.mkdir(fs_path)
        return flags

    def make_file(self, entry: File, body: Body | None, fs_path: bytes, extra: dict[str, bytes]) -> StoredFile:
        flags = 0 if entry.size else self._make_link(entry, fs_path)
        return StoredFile(flags) if flags else self._write(fs_path, entry.path, entry, body, extra)

    def make_stream(
        self,
        entry: AlternateStream,
        body: Body | None,
        owner: bytes,  # noqa: ARG002
        extra: dict[str, bytes],
    ) -> StoredFile:
        if not self._root.exists(STREAMS):
            self._root.mkdir(STREAMS)
        fs_path = b"%b/%d" % (STREAMS, self._record.reserve())
        return self._write(fs_path, f"{entry.path}:{entry.name}", entry, body, extra)

    def _write(
        self, fs_path: bytes, path: str, entry: File | AlternateStream, body: Body | None, extra: dict[str, bytes]
    ) -> StoredFile:
        fd = self._root.create(fs_path)
        try:
            digest = self._layer.fill(fd, path, entry, body, extra)
            if _TIMES_BY_FD:
                if isinstance(entry, File):
                    self._set_times(fd, entry.last_access_time, entry.last_write_time)
                mtime = os.fstat(fd).st_mtime_ns
        finally:
            os.close(fd)
        if not _TIMES_BY_FD:
            if isinstance(entry, File):
                self._set_times(fs_path, entry.last_access_time, entry.last_write_time)
            mtime = self._root.lstat(fs_path).st_mtime_ns
        return StoredFile(0, digest, mtime)

    def make_hard_link(self, row: Row, source: bytes, fs_path: bytes) -> None:
        if row.flags & Flag.SYMLINK:
            # From another place a relative target could lead outside, so the host gets a placeholder; the record knows.
            os.close(self._root.create(fs_path))
            return
        try:
            self._root.link(source, fs_path)
        except OSError:  # as many names as the file system allows, or it has no hard links: the record keeps the link
            self._layer.copy(source, fs_path)

    def finish_directory(self, fs_path: bytes, row: Row) -> None:
        self._set_times(fs_path, row.times[1], row.times[2])

    def _set_times(self, file: bytes | int, access: int | None, write: int | None) -> None:
        if write is None:
            return
        try:
            times = to_unix_ns(write if access is None else access), to_unix_ns(write)
            if isinstance(file, int):
                os.utime(file, ns=times)
            else:
                self._root.utime(file, times)
        except (OSError, OverflowError):
            return  # a time that the host cannot hold; the record has it
