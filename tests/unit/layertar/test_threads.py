"""Reading ahead and compressing in blocks: the same bytes, whatever the number of threads; no thread left behind."""

from __future__ import annotations

import hashlib
import io
import os
import threading
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wclayer.errors import CompressionError
from wclayer.layertar.ahead import ReadAhead
from wclayer.layertar.deflate import BLOCK, BlockDeflate


def deflated(data: bytes, workers: int, step: int, level: int = 5) -> bytes:
    deflate = BlockDeflate(level, workers)
    parts = [deflate.compress(data[start : start + step]) for start in range(0, len(data), step)]
    return b"".join((*parts, deflate.flush()))


def sample(size: int) -> bytes:
    block = b"".join(hashlib.sha256(b"%d" % n).digest() * 3 for n in range(2000))
    return (block * (size // len(block) + 1))[:size]


@pytest.mark.parametrize("size", [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 5 * BLOCK + 77])
def test_the_number_of_workers_and_writes_changes_nothing(size: int) -> None:
    data = sample(size)
    packed = deflated(data, 1, 1 << 20)
    assert packed == deflated(data, 2, 70_001) == deflated(data, 7, 3 << 20)
    decoder = zlib.decompressobj(-15)
    assert decoder.decompress(packed) == data
    assert decoder.eof
    assert decoder.unused_data == b""


def test_blocks_cost_little() -> None:
    data = sample(4 * BLOCK)
    alone = zlib.compressobj(5, zlib.DEFLATED, -15)
    assert len(deflated(data, 2, BLOCK)) < 1.05 * len(alone.compress(data) + alone.flush())


@given(st.lists(st.binary(max_size=100)), st.integers(1, 9))
@settings(max_examples=30)
def test_any_bytes_any_level(parts: list[bytes], level: int) -> None:
    data = b"".join(parts)
    assert zlib.decompress(deflated(data, 2, 50, level), -15) == data


def test_giving_up_ends_the_threads() -> None:
    deflate = BlockDeflate(9, 3)
    deflate.compress(sample(8 * BLOCK))
    deflate.close()
    assert not [t for t in threading.enumerate() if t.name.startswith("wclayer-deflate")]


def drained(ahead: ReadAhead) -> bytes:
    return b"".join(iter(lambda: ahead.read(1), b""))


@given(st.binary(max_size=5000))
@settings(max_examples=30)
def test_reading_ahead(data: bytes) -> None:
    ahead = ReadAhead(io.BytesIO(data))
    assert drained(ahead) == data
    assert ahead.read(5) == b""
    assert ahead.digest() == f"sha256:{hashlib.sha256(data).hexdigest()}"
    ahead.close()


class Failing:
    def __init__(self) -> None:
        self.calls = 0

    def read(self, n: int, /) -> bytes:
        self.calls += 1
        if self.calls == 3:
            raise CompressionError("corrupt")
        return b"x" * min(n, 10)


def test_an_error_comes_in_its_place_and_once() -> None:
    ahead = ReadAhead(Failing())
    assert (ahead.read(9), ahead.read(9)) == (b"x" * 10, b"x" * 10)
    with pytest.raises(CompressionError):
        ahead.read(9)
    assert ahead.read(9) == b""
    ahead.close()


def test_closing_stops_a_reader_that_waits_for_room() -> None:
    class Endless:
        reads = 0

        def read(self, n: int, /) -> bytes:
            self.reads += 1
            return bytes(n)

    stream = Endless()
    ahead = ReadAhead(stream)
    ahead.read(1)
    ahead.close()
    assert not [t for t in threading.enumerate() if t.name == "wclayer-read-ahead"]
    before = stream.reads
    assert before < 40  # no more than the queue holds
    assert stream.reads == before


def test_closing_does_not_wait_for_a_pipe_that_nobody_fills() -> None:
    read, write = os.pipe()
    with open(read, "rb", buffering=0) as pipe:
        os.write(write, b"begin")
        ahead = ReadAhead(pipe)
        assert ahead.read(1) == b"begin"
        ahead.close()
        os.close(write)
        for thread in threading.enumerate():
            if thread.name == "wclayer-read-ahead":
                thread.join()


def test_closing_before_the_first_read() -> None:
    ReadAhead(io.BytesIO(b"x")).close()
