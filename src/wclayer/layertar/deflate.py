"""Raw deflate (RFC 1951) in blocks, on all processors.

Each block of 1 MiB is compressed on its own, with the 32 KiB before it as its
dictionary, and ends on a byte boundary; joined, the blocks are one stream. Where
a block begins depends only on the bytes, so the result is the same with any
number of processors.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

from zlib_ng import zlib_ng

from ..processors import count, spread

__all__ = ["BLOCK", "BlockDeflate"]

BLOCK: Final = 1 << 20
_WINDOW: Final = 1 << 15  # the farthest back that deflate refers
_MAX_WORKERS: Final = 16  # each holds two blocks
_RAW: Final = -15  # zlib's wbits for a window of 32 KiB, without header and checksum


class BlockDeflate:
    """A compressor with zlib's methods; workers: threads, one a processor if None."""

    def __init__(self, level: int, workers: int | None = None) -> None:
        self._level = level
        self._workers = min(workers or count(), _MAX_WORKERS)
        self._pool = ThreadPoolExecutor(self._workers, "wclayer-deflate", spread)
        self._waiting: deque[Future[bytes]] = deque()
        self._held = bytearray()
        self._window = b""

    def compress(self, data: bytes) -> bytes:
        """Take `data`, and return what is ready of the stream."""
        held = self._held
        held += data
        while len(held) >= BLOCK:
            self._submit(bytes(held[:BLOCK]), last=False)
            del held[:BLOCK]
        return b"".join(self._ready(2 * self._workers))

    def flush(self) -> bytes:
        """Return the rest of the stream."""
        self._submit(bytes(self._held), last=True)
        self._held.clear()
        rest = b"".join(self._ready(0))
        self.close()
        return rest

    def close(self) -> None:
        """End the threads; what was not compressed yet is dropped."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _submit(self, block: bytes, *, last: bool) -> None:
        self._waiting.append(self._pool.submit(_deflate, self._level, self._window, block, last))
        self._window = block[-_WINDOW:]

    def _ready(self, most: int) -> Iterator[bytes]:
        """Yield the compressed blocks in order, and wait for those that are more than `most` in the queue."""
        waiting = self._waiting
        while waiting and (len(waiting) > most or waiting[0].done()):
            yield waiting.popleft().result()


def _deflate(level: int, window: bytes, block: bytes, last: bool) -> bytes:
    if window:
        deflater = zlib_ng.compressobj(level, zlib_ng.DEFLATED, _RAW, zdict=window)
    else:
        deflater = zlib_ng.compressobj(level, zlib_ng.DEFLATED, _RAW)
    packed: bytes = deflater.compress(block)
    packed += deflater.flush(zlib_ng.Z_FINISH if last else zlib_ng.Z_SYNC_FLUSH)
    return packed
