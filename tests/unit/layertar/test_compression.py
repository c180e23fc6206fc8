"""gzip, zstd and plain: told apart, in members, cut, corrupt; the same bytes whatever the machine."""

from __future__ import annotations

import gzip
import io
import os
import random
import sys
import zlib

import pytest

from wclayer.body import read_all
from wclayer.errors import CompressionError, UsageError
from wclayer.layertar.compression import Compressed, Compression, Decompressed

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

DATA = random.Random(1).randbytes(1000) * 900 + bytes(1_000_000)
KINDS: list[Compression] = ["gzip", "zstd"]


def packed(compression: Compression, level: int | None = None, step: int = 77_777) -> bytes:
    output = io.BytesIO()
    made = Compressed(output, compression, level)
    for start in range(0, len(DATA), step):
        made.write(DATA[start : start + step])
    made.close()
    return output.getvalue()


def unpacked(data: bytes, n: int = 1 << 16) -> tuple[bytes, str]:
    stream = Decompressed(io.BytesIO(data))
    parts = []
    while part := stream.read(n):
        assert len(part) <= n or stream.compression == "none"
        parts.append(part)
    assert stream.size == len(data)
    return b"".join(parts), stream.compression


@pytest.mark.parametrize("compression", KINDS)
@pytest.mark.parametrize("n", [1000, 1 << 16, 1 << 22])
def test_there_and_back(compression: Compression, n: int) -> None:
    assert unpacked(packed(compression), n) == (DATA, compression)
    assert unpacked(DATA) == (DATA, "none")
    assert unpacked(b"") == (b"", "none")


def test_other_readers_agree() -> None:
    assert gzip.decompress(packed("gzip")) == DATA
    assert zstd.decompress(packed("zstd")) == DATA


def test_other_writers_are_read() -> None:
    assert unpacked(gzip.compress(DATA)) == (DATA, "gzip")
    assert unpacked(zstd.compress(DATA)) == (DATA, "zstd")


@pytest.mark.parametrize("compression", KINDS)
def test_members_one_after_the_other(compression: Compression) -> None:
    one = packed(compression)
    assert unpacked(one + one) == (DATA * 2, compression)
    assert unpacked(one + bytes(5000)) == (DATA, compression)
    with pytest.raises(CompressionError, match="after the end"):
        unpacked(one + b"garbage")


@pytest.mark.parametrize("last", [0x0, 0xF])
def test_skippable_frames(last: int) -> None:
    skippable = bytes((0x50 + last,)) + b"\x2a\x4d\x18" + (4).to_bytes(4, "little") + b"skip"
    assert unpacked(skippable + packed("zstd") + skippable) == (DATA, "zstd")


@pytest.mark.parametrize("compression", KINDS)
def test_cut_and_corrupt(compression: Compression) -> None:
    data = packed(compression)
    for cut in (4, 10, len(data) // 2, len(data) - 1):
        with pytest.raises(CompressionError):
            unpacked(data[:cut])
    for place in (len(data) // 2, len(data) - 6):
        broken = bytearray(data)
        broken[place] ^= 0xFF
        with pytest.raises(CompressionError):
            unpacked(bytes(broken))


@pytest.mark.parametrize("compression", KINDS)
def test_bytes_do_not_depend_on_the_machine(compression: Compression, monkeypatch: pytest.MonkeyPatch) -> None:
    found = set()
    for cores in (1, 2, 8):
        monkeypatch.setattr(os, "cpu_count", lambda cores=cores: cores)
        found.add(packed(compression))
    assert len(found) == 1


def test_the_gzip_header_says_nothing_of_us() -> None:
    data = packed("gzip")
    assert data[:10] == b"\x1f\x8b\x08\0\0\0\0\0\0\xff"
    assert data[-8:] == zlib.crc32(DATA).to_bytes(4, "little") + len(DATA).to_bytes(4, "little")


@pytest.mark.parametrize(
    ("compression", "level"), [("gzip", 0), ("gzip", 10), ("zstd", 0), ("zstd", 20), ("none", 1), ("xz", 1)]
)
def test_levels(compression: Compression, level: int) -> None:
    with pytest.raises(UsageError):
        Compressed(io.BytesIO(), compression, level)


def test_levels_matter() -> None:
    assert len(packed("gzip", 9)) <= len(packed("gzip", 1))


def test_an_unbuffered_output_that_takes_less() -> None:
    class Slow(io.RawIOBase):
        def __init__(self) -> None:
            self.data = b""

        def write(self, data: bytes, /) -> int:  # type: ignore[override]
            self.data += data[:100]
            return min(100, len(data))

    slow = Slow()
    made = Compressed(slow, "gzip")
    made.write(DATA)
    made.close()
    assert gzip.decompress(slow.data) == DATA
    assert made.size == len(slow.data)


_MEMBER = gzip.compress(b"a" * 1000)


@pytest.mark.parametrize(
    ("tail", "said"),
    [
        (b"", None),
        (bytes(600), None),
        (_MEMBER, None),
        (b"j", "data after the end of the gzip stream; expected nothing, or zeros; got 6a"),
        (b"junk", "got 6a756e6b"),
        (bytes(512) + _MEMBER, "data after the end of the gzip stream"),  # to Go, too, which reads layers everywhere
        (_MEMBER[:5], "the gzip stream is cut off"),
        (_MEMBER[:-3], "the gzip stream is cut off"),
    ],
    ids=["nothing", "zeros", "member", "byte", "text", "member-behind-zeros", "header", "trailer"],
)
def test_what_follows_a_gzip_member(tail: bytes, said: str | None) -> None:
    plain = Decompressed(io.BytesIO(_MEMBER + tail))
    if said is None:
        assert read_all(plain.read) == b"a" * 1000 * (2 if tail == _MEMBER else 1)
        return
    with pytest.raises(CompressionError, match=said):
        read_all(plain.read)
