"""The input and output of a tar: buffered, counted and hashed."""

from __future__ import annotations

import hashlib
from typing import BinaryIO, Protocol

from ..body import CHUNK
from ..codes import Code
from ..errors import TarError
from .framing import FramingWriter

__all__ = ["Input", "Output", "Reads", "Writes"]


class Reads(Protocol):
    """What a reader needs of its input: read(n) returns 1 to n bytes, or b"" at the end."""

    def read(self, n: int, /) -> bytes: ...


class Writes(Protocol):
    """What a writer needs of its output."""

    def write(self, data: bytes, /) -> object: ...


class Input:
    """Read with a buffer; `offset` is the place in the tar of the next byte.

    framing: gets every byte that read(), up_to(), exactly() and skip() pass, and none of content() and pass_over().
    """

    __slots__ = ("_buffer", "_framing", "_position", "_read", "offset")

    def __init__(self, stream: Reads, framing: FramingWriter | None = None) -> None:
        self._framing = framing
        self._read = stream.read
        self._buffer = b""
        self._position = 0
        self.offset = 0

    def read(self, n: int) -> bytes:
        """Return 1 to `n` bytes; b"" at the end of the input, or if n is 0."""
        part = self.content(n)
        if self._framing is not None and part:
            self._framing.literal(part)
        return part

    def content(self, n: int) -> bytes:
        """As read(), for content that is stored as a file."""
        left = len(self._buffer) - self._position
        if left == 0 and n > 0:
            self._buffer = self._read(CHUNK)
            self._position = 0
            left = len(self._buffer)
        n = min(n, left)
        buffer = self._buffer
        part = buffer if n == len(buffer) else buffer[self._position : self._position + n]
        self._position += n
        self.offset += n
        return part

    def pass_over(self, n: int) -> int:
        """Skip up to `n` bytes of such content, and return how many; 0 at the end of the input."""
        if self._position == len(self._buffer) and n > 0:
            self._buffer = self._read(CHUNK)
            self._position = 0
        n = min(n, len(self._buffer) - self._position)
        self._position += n
        self.offset += n
        return n

    def exactly(self, n: int, what: str) -> bytes:
        """Return `n` bytes. Raises TarError, which names `what`, if the input ends before."""
        part = self.up_to(n)
        if len(part) != n:
            raise truncated(what, self.offset, n, len(part))
        return part

    def up_to(self, n: int) -> bytes:
        """Return `n` bytes, or fewer at the end of the input."""
        position = self._position
        if self._framing is None and position + n <= len(self._buffer):  # the usual case, without a copy of parts
            self._position = position + n
            self.offset += n
            return self._buffer[position : position + n]
        parts: list[bytes] = []
        while n and (part := self.read(n)):
            parts.append(part)
            n -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def skip(self, n: int, what: str) -> None:
        """Skip `n` bytes. Raises TarError, which names `what`, if the input ends before."""
        while n:
            done = self.pass_over(n) if self._framing is None else len(self.read(n))
            if not done:
                raise truncated(what, self.offset, n, 0)
            n -= done


def truncated(what: str, offset: int, expected: int, got: int) -> TarError:
    """Return the error for a tar that ends at `offset`, inside `what`, with `got` of `expected` bytes."""
    return TarError(
        f"the tar ends inside {what}",
        offset=offset,
        expected=f"{expected:,} bytes",
        got=f"{got:,}",
        hint="it was cut off: fetch or make it again",
        rule=Code.TAR_CUT_OFF,
    )


class Output:
    """Write to a stream, and keep the size and SHA-256 of what was written."""

    __slots__ = ("_hash", "_write", "size")

    def __init__(self, stream: Writes | BinaryIO) -> None:
        self._write = stream.write
        self._hash = hashlib.sha256()
        self.size = 0

    def write(self, data: bytes) -> None:
        self._hash.update(data)
        self.size += len(data)
        written = self._write(data)
        while isinstance(written, int) and written < len(data):  # an unbuffered file may take less than all
            data = data[written:]
            written = self._write(data)

    def digest(self) -> str:
        """Return `sha256:HEX` of all that was written."""
        return f"sha256:{self._hash.hexdigest()}"
