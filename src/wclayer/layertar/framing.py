"""The framing of a tar: all of its bytes that are not the content of a file.

With the entries, it gives the very tar back: order, headers of whatever tool, `./`,
padding, what follows the end. It is written while the tar is read, as a stream of
tokens, compressed in chunks that each stand alone:

    piece     0x01                  what follows belongs to the next entry that a layer folder keeps a row of
              0x02                  ... to the next whiteout
              0x03                  ... to none: global headers, `./`
              0x04                  ... to none: the end of the archive, and what follows it
    literal   0x10 length bytes     at most 64 KiB
    body      0x20 length           the whole content of the entry, holes as zeros
              0x21 length           of a sparse entry, what is allocated, one range after the other

Lengths are unsigned LEB128. A chunk is a zstd frame of at most 1 MiB of tokens and
ends between two of them. Nothing in it is trusted: inflation is bounded, and every
token must make sense.
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
    """The content of the piece's entry: `length` bytes, the whole or only what is `allocated`."""

    length: int
    allocated: bool


Part = bytes | BodyRange


@dataclass(slots=True)
class Piece:
    """The tar's bytes for one entry, in order: literal ones, and where its content goes."""

    kind: PieceKind
    parts: list[Part] = field(default_factory=list)


def _number(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


class FramingWriter:
    """Takes the tar's bytes in order, and gives `store` compressed chunks."""

    def __init__(self, store: Callable[[bytes], None]) -> None:
        self._store = store
        self._tokens = bytearray()
        self._held: list[bytes] | None = []  # literals of a piece whose kind is not known yet

    def literal(self, data: bytes) -> None:
        """Bytes of the piece that is begun, or of the next one where end() came before."""
        if self._held is None:
            self._write(data)
        else:
            self._held.append(data)

    def begin(self, kind: PieceKind) -> None:
        """What was read since end(), and what follows, belongs to a new piece."""
        held, self._held = self._held or (), None
        self._tokens.append(kind)
        self._write(b"".join(held))

    def body(self, length: int, *, allocated: bool) -> None:
        """Here goes the content of the piece's entry."""
        if length:
            self._tokens += bytes((_T_ALLOCATED if allocated else _T_WHOLE,)) + _number(length)

    def end(self) -> None:
        """What follows belongs to another piece."""
        self._held = []

    def finish(self) -> None:
        """Store what is left; what no piece has got is the end of the archive."""
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
    return RecordError(f"layer.db: broken framing: {what}", hint="export with --framing canonical")


def _inflate(chunk: bytes) -> bytes:
    inflater = zstd.ZstdDecompressor()
    try:
        data = inflater.decompress(chunk, _CHUNK + 1)
    except zstd.ZstdError as error:
        raise _broken(str(error)) from None
    if len(data) > _CHUNK or not inflater.eof or inflater.unused_data:
        raise _broken("a chunk that is no single frame of at most 1 MiB")
    return data


def _tokens(chunks: Iterable[bytes]) -> Iterator[tuple[int, int, bytes]]:
    """Code, length and bytes of each token."""
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
    """The pieces of a tar, in its order, one at a time; a large one that is no entry's comes as several.

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
            raise _broken("content where there is none")
        else:
            piece.parts.append(BodyRange(length, code == _T_ALLOCATED))
    if piece is not None:
        yield piece
