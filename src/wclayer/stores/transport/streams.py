"""The named streams in a transport folder, which lie in the file of their owner."""

from __future__ import annotations

import os
import stat
from abc import ABC
from collections.abc import Iterator
from contextlib import closing

from ...entry import AlternateStream
from ...host.errors import shown
from ...union.rules import stream_twice_error
from ...win32.names import upcase
from ..folder.body import FolderBody
from ..folder.source import LayerFolder
from ..folder.tree import Node
from ..record.writer import Row, host_time
from .body import Extents, StoredBody, StoredFile, holes_of
from .folder import SUFFIX, in_hives

__all__ = ["TransportLayerBase"]


class TransportLayerBase(LayerFolder, ABC):
    """A transport folder, as far as it is about streams, and about whether a file is as it was made."""

    _intact: bytes | None = None  # the object that was met last, if it looks as it was made

    def _lstat(self, fs_path: bytes) -> os.stat_result | None:
        try:
            return self._root.lstat(fs_path)
        except (FileNotFoundError, NotADirectoryError):
            return None

    def _is_stored(self, row: Row, found: os.stat_result) -> bool:
        """Does a file of the folder look as if nobody has written to it since it was made for `row`?"""
        if self._verify_content or self._record is None or host_time(found.st_mtime_ns) != row.mtime:
            return False
        return self._record.more(row).get("stored") == b"%d" % found.st_size

    def _stored_at(self, fs_path: bytes) -> tuple[bytes, os.stat_result] | None:
        """The file that has all of the object at `fs_path`; None if it can have no streams, or is gone."""
        if in_hives(shown(fs_path)):
            return None
        found = self._lstat(fs_path)
        if found is None or stat.S_ISDIR(found.st_mode):
            fs_path += SUFFIX
            found = self._lstat(fs_path)
        return None if found is None else (fs_path, found)

    def _streams(self, node: Node) -> Iterator[tuple[AlternateStream, FolderBody]]:
        stored = self._stored_at(node.fs_path)
        if stored is None:
            return
        root = None if node.row is None else self._root_row(node.row)
        if root is not None and self._record is not None and self._is_stored(root, stored[1]):
            for row in self._record.streams(root):
                with closing(self._stream(stored[0], node.path, row.name[1:], row.size, self._extents(row))) as body:
                    yield AlternateStream(node.path, row.name[1:], row.size), body
            return
        for entry, extents in self._found_streams(stored[0], node.path):
            with closing(self._stream(stored[0], node.path, entry.name, entry.size, extents)) as body:
                yield entry, body

    def _found_streams(self, place: bytes, path: str) -> list[tuple[AlternateStream, Extents]]:
        with closing(StoredFile(self._root, place, path)) as stored:
            found = [(entry, holes_of(body)) for entry, body in stored.streams()]
        seen: set[str] = set()
        for entry, _ in found:
            if upcase(entry.name) in seen:
                raise stream_twice_error(path, entry.name)
            seen.add(upcase(entry.name))
        return found

    def _stream(self, place: bytes, path: str, name: str, size: int, extents: Extents) -> FolderBody:
        return StoredBody(self._root, place, size, extents, path, name)

    def _open_stream(self, node: Node, name: str) -> FolderBody | None:
        stored = self._stored_at(node.fs_path)
        for entry, extents in () if stored is None else self._found_streams(stored[0], node.path):
            if stored is not None and upcase(entry.name) == upcase(name):
                return self._stream(stored[0], node.path, entry.name, entry.size, extents)
        return None

    def _recorded_stream(self, path: str, fs_path: bytes, row: Row) -> tuple[FolderBody, bool] | None:
        stored = self._stored_at(fs_path)
        if stored is None or self._record is None:
            return None
        place, found = stored
        name = row.name[1:]
        if self._is_stored(self._record.get(row.parent), found):
            return self._stream(place, path, name, row.size, self._extents(row)), False
        for entry, extents in self._found_streams(place, path):
            if entry.name == name:
                body = self._stream(place, path, name, entry.size, extents)
                same = (entry.size, extents) == (row.size, self._extents(row)) and self._same_content(body, row)
                return self._stream(place, path, name, entry.size, extents), not same
        return None

    def _further_streams(
        self, path: str, fs_path: bytes, known: set[str]
    ) -> Iterator[tuple[AlternateStream, FolderBody]]:
        if fs_path == self._intact:
            return  # nobody has added one
        stored = self._stored_at(fs_path)
        if stored is None:
            return
        for entry, extents in self._found_streams(stored[0], path):
            if entry.name not in known:
                with closing(self._stream(stored[0], path, entry.name, entry.size, extents)) as body:
                    yield entry, body
