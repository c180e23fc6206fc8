"""The framing of a tar: all its bytes that are not the content of a file.

A layer folder keeps the framing in layer.db, so that export can rebuild the very tar
that was imported: order, headers of any tool, `./`, padding, bytes behind the end. It
is written while the tar is read, as tokens in compressed chunks:

    piece     0x01                  what follows belongs to the next entry that has a row in layer.db
              0x02                  ... to the next whiteout
              0x03                  ... to no entry: global headers, `./`
              0x04                  ... to no entry: the end of the archive, and what follows it
    literal   0x10 length bytes     at most 64 KiB
    body      0x20 length           the entry's content, holes as zeros
              0x21 length           the allocated ranges of a sparse entry, one after the other

Lengths are unsigned LEB128. A chunk is a zstd frame of at most 1 MiB of tokens, and
ends between two tokens. layer.db may come from a stranger, so decompression is
bounded and every token is checked.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

from ..errors import RecordError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

__all__ = ["MAX_HEADERS", "BodyRange", "FramingWriter", "Part", "Piece", "PieceKind", "read_framing"]

_CHUNK: Final = 1 << 20
_LITERAL: Final = 1 << 16
_LEVEL: Final = 9
MAX_HEADERS: Final = 4 << 20  # bytes of all the headers of one entry
_MAX_PIECE: Final = MAX_HEADERS + _LITERAL
_T_LITERAL, _T_WHOLE, _T_ALLOCATED = 0x10, 0x20, 0x21


class PieceKind(IntEnum):
    """What a piece of the tar belongs to."""

    ROW = 1
    WHITEOUT = 2
    OTHER = 3
    END = 4


@dataclass(frozen=True, slots=True)
class BodyRange:
    """The content of the piece's entry: `length` bytes, all of it or only what is `allocated`."""

    length: int
    allocated: bool


Part = bytes | BodyRange


@dataclass(slots=True)
class Piece:
    """The bytes of the tar for one entry, in order: literal bytes, and the place of its content."""

    kind: PieceKind
    parts: list[Part] = field(default_factory=list)


def _number(value: int) -> bytes:
    """Encode unsigned LEB128."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


class FramingWriter:
    """Take the bytes of a tar in order, and pass compressed chunks to `store`."""

    def __init__(self, store: Callable[[bytes], None]) -> None:
        self._store = store
        self._tokens = bytearray()
        self._held: (
            list[bytes] | None
        ) = []  # literals of a piece of yet unknown kind: the headers come before the entry is known

    def literal(self, data: bytes) -> None:
        """Add bytes to the current piece, or after end() to the next one."""
        if self._held is None:
            self._write(data)
        else:
            self._held.append(data)

    def begin(self, kind: PieceKind) -> None:
        """Begin a piece, which gets what came since end() and what follows."""
        held, self._held = self._held or (), None
        self._tokens.append(kind)
        self._write(b"".join(held))

    def body(self, length: int, *, allocated: bool) -> None:
        """Note that here comes the content of the piece's entry, `length` bytes."""
        if length:
            self._tokens += bytes((_T_ALLOCATED if allocated else _T_WHOLE,)) + _number(length)

    def end(self) -> None:
        """End the piece: what follows belongs to another one."""
        self._held = []

    def finish(self) -> None:
        """Store the rest; bytes that belong to no piece are the end of the archive."""
        if self._held is not None:
            self.begin(PieceKind.END)
        self._pack()

    def _write(self, data: bytes) -> None:
        for start in range(0, len(data), _LITERAL):
            part = data[start : start + _LITERAL]
            self._tokens.append(_T_LITERAL)
            self._tokens += _number(len(part)) + part
            if len(self._tokens) > _CHUNK - 2 * _LITERAL:
                self._pack()

    def _pack(self) -> None:
        if self._tokens:
            self._store(zstd.compress(bytes(self._tokens), _LEVEL))
            self._tokens.clear()


def _broken(what: str) -> RecordError:
    return RecordError(f"layer.db: malformed framing: {what}", hint="export with --framing canonical")


def _inflate(chunk: bytes) -> bytes:
    inflater = zstd.ZstdDecompressor()
    try:
        data = inflater.decompress(chunk, _CHUNK + 1)
    except zstd.ZstdError as error:
        raise _broken(str(error)) from None
    if len(data) > _CHUNK or not inflater.eof or inflater.unused_data:
        raise _broken("a chunk that is not one frame of at most 1 MiB")
    return data


def _tokens(chunks: Iterable[bytes]) -> Iterator[tuple[int, int, bytes]]:
    """Yield code, length and bytes of each token."""
    for chunk in chunks:
        data = _inflate(chunk)
        position = 0
        while position < len(data):
            code = data[position]
            position += 1
            if code < _T_LITERAL:
                yield code, 0, b""
                continue
            length = shift = 0
            while True:
                if position >= len(data) or shift > 63:
                    raise _broken("a bad length")
                byte = data[position]
                position += 1
                length |= (byte & 0x7F) << shift
                shift += 7
                if byte < 0x80:
                    break
            if code == _T_LITERAL:
                if position + length > len(data):
                    raise _broken("a literal that is cut off")
                yield code, length, data[position : position + length]
                position += length
            else:
                yield code, length, b""


def read_framing(chunks: Iterable[bytes]) -> Iterator[Piece]:
    """Yield the pieces of a tar in its order; a large one that belongs to no entry comes as several.

    Raises RecordError.
    """
    piece: Piece | None = None
    held = 0
    for code, length, data in _tokens(chunks):
        if code < _T_LITERAL:
            if piece is not None:
                yield piece
            try:
                piece = Piece(PieceKind(code))
            except ValueError:
                raise _broken(f"a token {code:#x}") from None
            held = 0
            continue
        if piece is None or code not in (_T_LITERAL, _T_WHOLE, _T_ALLOCATED):
            raise _broken(f"a token {code:#x}")
        if code == _T_LITERAL:
            held += length
            if held > _MAX_PIECE:
                if piece.kind not in (PieceKind.OTHER, PieceKind.END):
                    raise _broken("an entry with too many headers")
                yield piece
                piece, held = Piece(piece.kind), length
            piece.parts.append(data)
        elif piece.kind != PieceKind.ROW or any(isinstance(part, BodyRange) for part in piece.parts):
            raise _broken("content in a piece that cannot have it, or has it already")
        else:
            piece.parts.append(BodyRange(length, code == _T_ALLOCATED))
    if piece is not None:
        yield piece
