"""BackupRead and BackupWrite: all that a file or directory is, as a series of streams (`win32.backup_stream`)."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from ctypes import byref, c_uint32, c_void_p
from types import TracebackType
from typing import Self

from ..body import CHUNK
from ..errors import BackupStreamError
from ..win32.backup_stream import HEADER_SIZE, StreamHeader, StreamId, parse_header
from .declarations import NATIVES
from .handles import last_error

__all__ = ["BackupReader", "BackupWriter"]


class _Backup:
    """What the two have in common: a handle that stays the caller's, and Windows' own state."""

    _function = ""

    def __init__(self, handle: int) -> None:
        self._handle = handle
        self._context = c_void_p()

    def close(self) -> None:
        """Give back what Windows keeps for it."""
        if self._context.value:
            done = c_uint32()
            getattr(NATIVES, self._function)(self._handle, None, 0, byref(done), True, True, byref(self._context))
            self._context = c_void_p()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class BackupReader(_Backup):
    """The streams of the object behind `handle`, opened with backup semantics. OSError passes through."""

    _function = "BackupRead"

    def __init__(self, handle: int) -> None:
        super().__init__(handle)
        self._buffer = ctypes.create_string_buffer(CHUNK)
        self._left = 0  # of the current stream's data
        self._sparse = False  # is it a block of a sparse stream?
        self._position = 0

    def streams(self) -> Iterator[StreamHeader]:
        """Each stream's header; its data, as far as they have not been read by `read`, are passed over."""
        while True:
            self._skip()
            start = self._exactly(HEADER_SIZE, at_end=True)
            if not start:
                return
            partial = parse_header(start, self._position)
            header = partial.complete(self._exactly(partial.more))
            self._position += HEADER_SIZE + partial.more
            self._left = header.size
            self._sparse = header.id == StreamId.SPARSE_BLOCK
            yield header

    def read(self, n: int = -1) -> bytes:
        """Up to `n` bytes of the current stream's data, all that is left if negative; nothing at its end."""
        if n < 0:
            return self._exactly_left()
        n = min(n, self._left, CHUNK)
        data = self._take(n) if n else b""
        if n and not data:
            raise BackupStreamError("Windows ended a stream early", offset=self._position, expected=f"{self._left:,}")
        self._left -= len(data)
        self._position += len(data)
        return data

    def _exactly_left(self) -> bytes:
        parts = []
        while part := self.read(CHUNK):
            parts.append(part)
        return b"".join(parts)

    def _skip(self) -> None:
        low, high = c_uint32(), c_uint32()
        while self._sparse and self._left:  # nobody says what BackupSeek does in a block
            self.read(CHUNK)
        while self._left:
            # It answers with an error where it comes to the end of the stream; how far it went counts.
            NATIVES.BackupSeek(
                self._handle,
                self._left & 0xFFFFFFFF,
                self._left >> 32,
                byref(low),
                byref(high),
                byref(self._context),
            )
            done = high.value << 32 | low.value
            if not 0 < done <= self._left:
                done = len(self._take(min(self._left, CHUNK)))
                if not done:
                    raise BackupStreamError(
                        "Windows ended a stream early", offset=self._position, expected=f"{self._left:,}"
                    )
            self._left -= done
            self._position += done

    def _exactly(self, n: int, *, at_end: bool = False) -> bytes:
        parts: list[bytes] = []
        while n:
            part = self._take(n)
            if not part:
                if at_end and not parts:
                    return b""
                raise BackupStreamError("Windows ended a stream's header early", offset=self._position, expected=n)
            parts.append(part)
            n -= len(part)
        return b"".join(parts)

    def _take(self, n: int) -> bytes:
        done = c_uint32()
        if not NATIVES.BackupRead(self._handle, self._buffer, n, byref(done), False, True, byref(self._context)):
            raise last_error()
        return ctypes.string_at(self._buffer, done.value)


class BackupWriter(_Backup):
    """Writes the streams of a new object behind `handle`, its security too. OSError passes through."""

    _function = "BackupWrite"

    def write(self, data: bytes) -> None:
        """The next bytes of the series."""
        done, position = c_uint32(), 0
        while position < len(data):
            part = data[position:] if position else data
            if not NATIVES.BackupWrite(self._handle, part, len(part), byref(done), False, True, byref(self._context)):
                raise last_error()
            if not done.value:
                raise BackupStreamError("Windows took none of a stream", expected=f"{len(part):,} bytes", got=0)
            position += done.value
