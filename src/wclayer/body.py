"""Bodies: the bytes of one file or stream, with or without holes (see `entry.Body`).

A body is read once, from front to back, in one of two ways: `read` gives the
whole content, holes as zeros; `chunks` gives only what is allocated, which is
what a store writes and all that a hash of a sparse file covers, so that the work
is bounded by the bytes that were really there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from .codes import Code
from .entry import Body
from .errors import FormatError, StorageError

__all__ = ["CHUNK", "BytesBody", "HoledBody", "StreamBody", "check_extents", "exactly", "read_all", "read_up_to"]

CHUNK = 1 << 18  # bytes; large enough to make the calls cheap, small beside any memory


def check_extents(
    extents: Sequence[tuple[int, int]], size: int, path: str | None = None
) -> tuple[tuple[int, int], ...]:
    """`extents` normalised: empty ones dropped, touching ones joined.

    Raises FormatError where they are out of order, overlap, or reach beyond `size`.
    """
    result: list[tuple[int, int]] = []
    end = 0
    for offset, length in extents:
        if offset < end or length < 0 or offset + length > size:
            raise FormatError(
                "allocated ranges out of order, or beyond the end of the file",
                path=path,
                expected=f"ranges in {end:,} to {size:,}",
                got=f"{offset:,} + {length:,}",
                rule=Code.SPARSE_MAP_MALFORMED,
            )
        if length == 0:
            continue
        if result and offset == end:
            first, before = result[-1]
            result[-1] = (first, before + length)
        else:
            result.append((offset, length))
        end = offset + length
    return tuple(result)


def read_all(read: Callable[[int], bytes]) -> bytes:
    """What is left, by reads of CHUNK bytes."""
    return b"".join(iter(lambda: read(CHUNK), b""))


def read_up_to(read: Callable[[int], bytes], limit: int) -> bytes:
    """All that `read` gives, or, of more than `limit` bytes, more than that; a pipe gives a little at a time."""
    parts: list[bytes] = []
    size = 0
    while size <= limit and (data := read(CHUNK)):
        parts.append(data)
        size += len(data)
    return b"".join(parts)


def exactly(size: int, body: Body | None, path: str) -> Iterator[bytes]:
    """The content of `body` in pieces. Raises StorageError if that is not `size` bytes."""
    left = size
    if body is not None:
        while chunk := body.read(CHUNK):
            left -= len(chunk)
            if left < 0:
                break
            yield chunk
    if left:
        raise StorageError(
            "the data are not as long as their entry says",
            path=path,
            expected=f"{size:,} bytes",
            got="more" if left < 0 else f"{size - left:,}",
            hint="did the file change while it was read?",
        )


class StreamBody:
    """A body whose whole content, holes included as zeros, comes from `read(n)` (up to n bytes, never beyond)."""

    __slots__ = ("_extents", "_path", "_read", "size")

    def __init__(
        self,
        size: int,
        read: Callable[[int], bytes],
        extents: Sequence[tuple[int, int]] | None = None,
        path: str | None = None,
    ) -> None:
        self.size = size
        self._read = read
        self._path = path
        self._extents = (((0, size),) if size else ()) if extents is None else check_extents(extents, size, path)

    def read(self, n: int = -1, /) -> bytes:
        return read_all(self._read) if n < 0 else self._read(n)

    def extents(self) -> tuple[tuple[int, int], ...]:
        return self._extents

    def chunks(self) -> Iterator[tuple[int, bytes]]:
        position = 0
        for offset, length in (*self._extents, (self.size, 0)):
            while position < offset:
                gap = self._read(min(CHUNK, offset - position))
                if not gap:
                    return
                if gap.count(0) != len(gap):
                    raise FormatError(
                        "data inside a hole of a sparse file",
                        path=self._path,
                        expected="zeros",
                        rule=Code.SPARSE_MAP_MALFORMED,
                    )
                position += len(gap)
            end = offset + length
            while position < end:
                chunk = self._read(min(CHUNK, end - position))
                if not chunk:
                    return
                yield position, chunk
                position += len(chunk)


class BytesBody(StreamBody):
    """A body that is in memory."""

    __slots__ = ("_data", "_position")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0
        super().__init__(len(data), self._take)

    def _take(self, n: int) -> bytes:
        part = self._data[self._position : self._position + n]
        self._position += len(part)
        return part


class HoledBody:
    """A sparse body: `read(n)` gives up to n bytes of what is allocated, one extent after the other."""

    __slots__ = ("_extents", "_index", "_position", "_read", "size")

    def __init__(
        self,
        size: int,
        extents: Sequence[tuple[int, int]],
        read: Callable[[int], bytes],
        path: str | None = None,
    ) -> None:
        self.size = size
        self._extents = check_extents(extents, size, path)
        self._read = read
        self._position = 0
        self._index = 0

    def extents(self) -> tuple[tuple[int, int], ...]:
        return self._extents

    def read(self, n: int = -1, /) -> bytes:
        if n < 0:
            return read_all(self.read)
        n = min(n, CHUNK, self.size - self._position)
        if n <= 0:
            return b""
        if self._index == len(self._extents):
            part = bytes(n)
        else:
            offset, length = self._extents[self._index]
            if self._position < offset:
                part = bytes(min(n, offset - self._position))
            else:
                part = self._read(min(n, offset + length - self._position))
                if self._position + len(part) == offset + length:
                    self._index += 1
        self._position += len(part)
        return part

    def chunks(self) -> Iterator[tuple[int, bytes]]:
        for offset, length in self._extents:
            done = 0
            while done < length:
                chunk = self._read(min(CHUNK, length - done))
                if not chunk:
                    return
                yield offset + done, chunk
                done += len(chunk)
