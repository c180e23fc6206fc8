"""A file of a layer folder as a body."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator

from ...body import CHUNK, HoledBody, StreamBody
from ...host.errors import host_errors
from ..root.root import Root

__all__ = ["FolderBody", "PiecesBody"]


class FolderBody:
    """The file `fs_path` below `root`, of `size` bytes: opened at the first read, closed at the end or by close().

    extents: its allocated ranges, where the record says that it has holes; None for none. path: the entry's.
    """

    __slots__ = ("_body", "_extents", "_fd", "_next", "_path", "_position", "_root", "fs_path", "size")

    def __init__(
        self, root: Root, fs_path: bytes, size: int, extents: tuple[tuple[int, int], ...] | None, path: str
    ) -> None:
        self._root = root
        self.fs_path = fs_path
        self._path = path
        self._fd = -1
        self._position = 0
        self._next = 0
        self.size = size
        self._extents = ((0, size),) if extents is None else extents
        if extents is None:
            self._body: StreamBody | HoledBody = StreamBody(size, self._read, path=path)
        else:
            self._body = HoledBody(size, extents, self._read, path)

    def _open(self) -> int:
        if self._fd < 0:
            with host_errors(self._path):
                self._fd = self._root.open(self.fs_path)
        return self._fd

    def _read(self, n: int) -> bytes:
        """The next bytes of the extents, one after the other."""
        while self._next < len(self._extents):
            offset, length = self._extents[self._next]
            position = max(self._position, offset)
            if position < offset + length:
                with host_errors(self._path):
                    fd = self._open()
                    if position != self._position:
                        os.lseek(fd, position, os.SEEK_SET)
                    data = os.read(fd, min(n, offset + length - position))
                self._position = position + len(data)
                return data
            self._next += 1
        return b""

    def read(self, n: int = -1, /) -> bytes:
        data = self._body.read(n)
        if n < 0 or (n and not data):
            self.close()
        return data

    def extents(self) -> tuple[tuple[int, int], ...]:
        return self._body.extents()

    def chunks(self) -> Iterator[tuple[int, bytes]]:
        try:
            yield from self._body.chunks()
        finally:
            self.close()

    def holes_are_zero(self) -> bool:
        """Is there still nothing where the record has holes? Passes over the host's own holes without reading them."""
        with host_errors(self._path):
            fd = self._open()
            position = 0
            for offset, length in (*self._extents, (self.size, 0)):
                while position < offset:
                    position = _next_data(fd, position, offset)
                    data = os.read(fd, min(CHUNK, offset - position)) if position < offset else b""
                    if data.count(0) != len(data):
                        return False
                    position = position + len(data) if data else offset
                position = offset + length
        return True

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __del__(self) -> None:
        self.close()


class PiecesBody(FolderBody):
    """A body that comes in pieces from elsewhere; dense: with its holes as zeros, or without them."""

    __slots__ = ("_all", "_pieces", "_rest")

    def __init__(
        self,
        root: Root,
        fs_path: bytes,
        size: int,
        extents: tuple[tuple[int, int], ...] | None,
        pieces: Generator[bytes, None, None],
        path: str,
        *,
        dense: bool = True,
    ) -> None:
        super().__init__(root, fs_path, size, extents, path)
        self._all = pieces
        self._pieces = _allocated(pieces, extents) if dense and extents is not None else pieces
        self._rest = b""

    def _read(self, n: int) -> bytes:
        if not self._rest:
            self._rest = next(self._pieces, b"")
        part, self._rest = self._rest[:n], self._rest[n:]
        return part

    def holes_are_zero(self) -> bool:
        return True

    def close(self) -> None:
        self._all.close()


def _allocated(pieces: Iterator[bytes], extents: tuple[tuple[int, int], ...]) -> Iterator[bytes]:
    """What of `pieces` lies in `extents`."""
    position = 0
    left = list(reversed(extents))
    for piece in pieces:
        end = position + len(piece)
        while left and left[-1][0] < end:
            offset, length = left[-1]
            yield piece[max(offset, position) - position : min(offset + length, end) - position]
            if offset + length > end:
                break
            left.pop()
        position = end


def _next_data(fd: int, position: int, end: int) -> int:
    """Seek to the first place from `position` that the host has data for; `end` if that is not before it."""
    if not hasattr(os, "SEEK_DATA"):
        return os.lseek(fd, position, os.SEEK_SET)
    try:
        return min(os.lseek(fd, position, os.SEEK_DATA), end)
    except OSError:  # ENXIO: nothing but a hole up to the end of the file
        return end
