"""The names of a layer that is being made, in its record: where each directory lies on the host."""

from __future__ import annotations

from typing import Final

from ...union.namespace import NodeKind
from ...win32.names import encode_wtf8
from ..record.writer import Flag, Kind, RecordWriter, Row

__all__ = ["OpenDirectory", "RecordNames"]

_MAX_CACHE: Final = 4096  # directories


class OpenDirectory:
    """A directory that entries can be put into: its id, and its path on the host."""

    __slots__ = ("fs_path", "id")

    def __init__(self, number: int, fs_path: bytes) -> None:
        self.id = number
        self.fs_path = fs_path


class RecordNames:
    """The names in a record as a NameIndex: directories with their paths on the host."""

    def __init__(self, record: RecordWriter) -> None:
        self.root = OpenDirectory(0, b"")
        self._record = record
        self._hosts: dict[int, bytes] = {}  # where directories lie, by id
        self.has_whiteout = record.has_whiteout
        self.add_whiteout = record.add_whiteout

    def find(self, directory: OpenDirectory, name: str, /) -> Row | None:
        return self._record.find(directory.id, name)

    def kind(self, row: Row, /) -> NodeKind:
        if row.kind != Kind.DIRECTORY:
            return NodeKind.FILE
        return NodeKind.STAND_IN if row.flags & Flag.SURROGATE else NodeKind.DIRECTORY

    def name(self, row: Row, /) -> str:
        return row.name

    def enter(self, _parent: OpenDirectory, row: Row, /) -> OpenDirectory:
        return self.made(row.id, self.host_path(row))

    def missing(self, directory: OpenDirectory, name: str, /) -> OpenDirectory:
        raise NotImplementedError("a sink stops at the first fault")

    def made(self, number: int, fs_path: bytes) -> OpenDirectory:
        """The directory with that id, which lies at `fs_path`."""
        if len(self._hosts) >= _MAX_CACHE:
            self._hosts.clear()
        self._hosts[number] = fs_path
        return OpenDirectory(number, fs_path)

    def host_path(self, row: Row) -> bytes:
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
