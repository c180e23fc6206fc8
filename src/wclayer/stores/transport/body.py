"""A file of a transport folder, taken apart: the entry that it stands for, its data and its named streams."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import replace
from typing import Final, cast

from ...entry import AlternateStream, Body, Directory, Entry, File
from ...errors import BackupStreamError, FormatError, with_context
from ...host.errors import host_errors
from ..folder.body import FolderBody
from ..ntfs.backup import Times, entries_from_backup
from ..root.root import Root
from .folder import ATTRIBUTES

__all__ = ["Extents", "StoredBody", "StoredFile", "digest_of", "holes_of", "says_the_same"]

Extents = tuple[tuple[int, int], ...] | None  # allocated (offset, length); None where there are no holes

_UNKNOWN: Final[Times] = (None, None, None, None)


class StoredFile:
    """The file `fs_path` below `root`, open until close(); path: of its entry. Raises ConfinementError for a link."""

    def __init__(self, root: Root, fs_path: bytes, path: str) -> None:
        self._path = path
        with host_errors(path):
            self._file = os.fdopen(root.open(fs_path), "rb")

    def close(self) -> None:
        self._file.close()

    def _parts(self, times: Times) -> Iterator[tuple[Entry, Body | None]]:
        with with_context(path=self._path, only=FormatError):
            self._file.seek(0)
            data = self._file.read(ATTRIBUTES.size)
            if len(data) < ATTRIBUTES.size:
                raise BackupStreamError(
                    "a file of a transport folder that ends inside its attributes",
                    expected=f"{ATTRIBUTES.size} bytes, and a backup stream",
                    got=len(data),
                )
            (attributes,) = ATTRIBUTES.unpack(data)
            yield from entries_from_backup(self._path, attributes, times, self._file, start=ATTRIBUTES.size)

    def entry(self, times: Times = _UNKNOWN) -> tuple[Directory | File, Body | None]:
        """The entry, with `times`, and its data. Raises BackupStreamError and its kin."""
        entry, body = next(self._parts(times))
        return cast("Directory | File", entry), body

    def streams(self) -> Iterator[tuple[AlternateStream, Body]]:
        """The named streams, as they follow one another. Raises BackupStreamError and its kin."""
        for entry, body in self._parts(_UNKNOWN):
            if isinstance(entry, AlternateStream) and body is not None:
                yield entry, body


class StoredBody(FolderBody):
    """The data in a file of a transport folder, or one of the named streams; see FolderBody."""

    __slots__ = ("_chunks", "_file", "_name", "_rest")

    def __init__(self, root: Root, fs_path: bytes, size: int, extents: Extents, path: str, name: str = "") -> None:
        self._file: StoredFile | None = None
        self._chunks: Iterator[tuple[int, bytes]] | None = None
        self._rest = b""
        self._name = name
        super().__init__(root, fs_path, size, extents, path)

    def _read(self, n: int) -> bytes:
        if self._chunks is None:
            self._chunks = iter(self._begin())
        if not self._rest:
            with host_errors(self._path):
                self._rest = next(self._chunks, (0, b""))[1]
        part, self._rest = self._rest[:n], self._rest[n:]
        return part

    def _begin(self) -> Iterator[tuple[int, bytes]]:
        self._file = StoredFile(self._root, self.fs_path, self._path)
        body: Body | None = None
        if not self._name:
            body = self._file.entry()[1]
        else:
            body = next((found for entry, found in self._file.streams() if entry.name == self._name), None)
        size = 0 if body is None else body.size
        extents = () if body is None else tuple(body.extents())
        if size != self.size or extents != tuple(self.extents()):
            raise BackupStreamError(
                "the data are not as they were a moment ago, or in layer.db",
                path=f"{self._path}:{self._name}" if self._name else self._path,
                expected=f"{self.size:,} bytes in {len(self.extents()):,} ranges",
                got=f"{size:,} in {len(extents):,}",
                hint="`wclayer status --verify-content` finds what was edited without a trace",
            )
        return iter(()) if body is None else body.chunks()

    def holes_are_zero(self) -> bool:
        return True

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


def holes_of(body: Body | None) -> Extents:
    """The allocated ranges of a body that has holes."""
    if body is None:
        return None
    extents = tuple(body.extents())
    return None if extents == (((0, body.size),) if body.size else ()) else extents


def digest_of(body: Body) -> bytes:
    """The SHA-256 of what is allocated of a body."""
    digest = hashlib.sha256()
    for _, chunk in body.chunks():
        digest.update(chunk)
    return digest.digest()


def says_the_same(entry: Directory | File, recorded: Directory | File) -> bool:
    """Does the entry of a file say all that it can of the recorded one, which may know more?"""

    def comparable(one: Directory | File) -> Directory | File:
        attributes = tuple(sorted(one.extended_attributes, key=lambda ea: ea.name))
        plain = replace(
            one,
            creation_time=None,
            last_access_time=None,
            last_write_time=None,
            change_time=None,
            short_name=None,
            extended_attributes=attributes,
        )
        # An empty file always has a DATA stream here.
        return replace(plain, data_stream=True) if isinstance(plain, File) else plain

    return comparable(entry) == comparable(recorded)
