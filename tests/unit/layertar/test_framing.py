"""The framing's tokens, and what a stranger's may not do."""

from __future__ import annotations

import io
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tars import BASE, END, M, build, header, pax_header
from wclayer.errors import RecordError, TarError
from wclayer.layertar.framing import MAX_HEADERS, BodyRange, FramingWriter, Piece, PieceKind, read_framing
from wclayer.layertar.reader import TarSource

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd


def pieces_of(tar: bytes) -> list[Piece]:
    chunks: list[bytes] = []
    for _ in TarSource(io.BytesIO(tar), framing=chunks.append).entries():
        pass
    return list(read_framing(chunks))


def test_every_byte_is_literal_or_content() -> None:
    global_header = pax_header(b"13 comment=x\n", b"g")
    tar = global_header + build([M("./", type="5"), *BASE, M("Files/f", b"content"), M("Files/g")]) + b"tail"
    pieces = pieces_of(tar)
    kinds = [piece.kind for piece in pieces]
    row, other = PieceKind.ROW, PieceKind.OTHER
    assert kinds == [other, other, row, row, row, row, PieceKind.END]
    assert [part for piece in pieces for part in piece.parts if isinstance(part, BodyRange)] == [BodyRange(7, False)]
    assert pieces[0].parts == [global_header]
    made = b"".join(b"content" if isinstance(part, BodyRange) else part for piece in pieces for part in piece.parts)
    assert made == tar


def test_an_archive_without_an_end_has_an_empty_one() -> None:
    pieces = pieces_of(header(b"Files", typeflag=b"5"))
    assert [(piece.kind, b"".join(p for p in piece.parts if isinstance(p, bytes))[:5]) for piece in pieces] == [
        (PieceKind.ROW, b"Files"),
        (PieceKind.END, b""),
    ]


def test_a_long_tail_comes_in_several_pieces_and_small_chunks() -> None:
    chunks: list[bytes] = []
    tar = header(b"Files", typeflag=b"5") + END + bytes(20 << 20)
    for _ in TarSource(io.BytesIO(tar), framing=chunks.append).entries():
        pass
    assert sum(map(len, chunks)) < 20_000
    pieces = list(read_framing(chunks))
    assert [piece.kind for piece in pieces[1:]] == [PieceKind.END] * (len(pieces) - 1)
    assert len(pieces) > 3
    assert b"".join(p for piece in pieces for p in piece.parts if isinstance(p, bytes)) == tar


def test_headers_without_end_are_refused() -> None:
    one = pax_header(b"%d comment=%b\n" % (1_000_017, b"x" * 1_000_000))
    with pytest.raises(TarError, match="without end") as caught:
        pieces_of(one * (MAX_HEADERS // len(one) + 2) + header())
    assert caught.value.offset == 0


@given(
    st.lists(
        st.tuples(
            st.sampled_from(PieceKind),
            st.lists(st.binary(max_size=300), max_size=3),
            st.none() | st.tuples(st.integers(1, 1 << 62), st.booleans()),
        )
    )
)
def test_tokens_and_back(script: list[tuple[PieceKind, list[bytes], tuple[int, bool] | None]]) -> None:
    chunks: list[bytes] = []
    writer = FramingWriter(chunks.append)
    for kind, literals, content in script:
        writer.end()
        for literal in literals[:1]:
            writer.literal(literal)
        writer.begin(kind)
        if content is not None and kind == PieceKind.ROW:
            writer.body(content[0], allocated=content[1])
        for literal in literals[1:]:
            writer.literal(literal)
    writer.finish()
    read = list(read_framing(chunks))
    assert [piece.kind for piece in read] == [kind for kind, _, _ in script] + ([] if script else [PieceKind.END])
    for piece, (kind, literals, content) in zip(read, script, strict=False):
        assert b"".join(p for p in piece.parts if isinstance(p, bytes)) == b"".join(literals)
        ranges = [p for p in piece.parts if isinstance(p, BodyRange)]
        assert ranges == ([BodyRange(*content)] if content is not None and kind == PieceKind.ROW else [])


def test_a_full_chunk_is_one_that_can_be_read() -> None:
    """15 tokens end just where one more literal of 64 KiB would still fit, but for its code and length."""
    chunks: list[bytes] = []
    writer = FramingWriter(chunks.append)
    writer.begin(PieceKind.END)
    sizes = [1 << 16] * 14
    sizes.append((1 << 20) - (1 << 16) - 1 - sum(size + 4 for size in sizes) - 4)
    for size in (*sizes, 1 << 16):
        writer.literal(bytes(size))
    writer.finish()
    assert max(len(zstd.decompress(chunk)) for chunk in chunks) <= 1 << 20
    assert sum(len(part) for piece in read_framing(chunks) for part in piece.parts) == sum(sizes) + (1 << 16)  # type: ignore[arg-type, misc]


@pytest.mark.parametrize(
    "chunk",
    [
        b"no zstd",
        zstd.compress(b"\x01") + b"more",
        zstd.compress(b"\x01")[:-1],
        zstd.compress(bytes(3 << 20)),
        zstd.compress(b"\x05"),
        zstd.compress(b"\x10\x01a"),
        zstd.compress(b"\x01\x10\x05abc"),
        zstd.compress(b"\x01\x20" + b"\xff" * 20),
        zstd.compress(b"\x01\x20"),
        zstd.compress(b"\x02\x20\x01"),
        zstd.compress(b"\x01\x20\x01\x20\x01"),
        zstd.compress(b"\x01\x33\x01"),
    ],
)
def test_broken_framing(chunk: bytes) -> None:
    with pytest.raises(RecordError, match="malformed framing"):
        list(read_framing([chunk]))


def test_an_entry_with_endless_headers_is_refused() -> None:
    chunks: list[bytes] = []
    writer = FramingWriter(chunks.append)
    writer.begin(PieceKind.ROW)
    for _ in range(6):
        writer.literal(bytes(1 << 20))
    writer.finish()
    with pytest.raises(RecordError, match="too many headers"):
        list(read_framing(chunks))
