"""Reading ahead: another thread reads, decompresses and hashes while this one parses and stores."""

from __future__ import annotations

import hashlib
import queue
import threading
from typing import Final

from ..processors import spread
from .stream import Reads

__all__ = ["ReadAhead"]

_CHUNK: Final = 1 << 19  # bytes; decompressing a large piece releases the interpreter's lock for longer
_CHUNKS: Final = 8  # in the queue at most: 4 MiB
_TICK: Final = 1.0  # seconds between checks whether close() was called


class ReadAhead:
    """Read `stream` in a thread, which the first read() starts and close() ends.

    read() raises what the stream raises. After read() has returned b"", or after close(), the thread does not touch
    the stream any more, except where a read blocks for longer than a second (a pipe that nobody fills).
    """

    def __init__(self, stream: Reads, *, digest: bool = True) -> None:
        """digest: compute the SHA-256 that digest() returns."""
        self._stream = stream
        self._chunks: queue.Queue[bytes | BaseException] = queue.Queue(_CHUNKS)
        self._hash = hashlib.sha256() if digest else None
        self._stop = threading.Event()
        self._ended = False
        self._thread = threading.Thread(target=self._run, name="wclayer-read-ahead", daemon=True)

    def _run(self) -> None:
        spread()
        try:
            while not self._stop.is_set():
                chunk = self._stream.read(_CHUNK)
                if self._hash is not None:
                    self._hash.update(chunk)
                self._put(chunk)
                if not chunk:
                    return
        except BaseException as error:  # the caller of read() gets it
            self._put(error)

    def _put(self, item: bytes | BaseException) -> None:
        while not self._stop.is_set():
            try:
                self._chunks.put(item, timeout=_TICK)
            except queue.Full:
                continue
            return

    def read(self, n: int, /) -> bytes:  # noqa: ARG002 # as many as there are
        """Return the next bytes, b"" at the end."""
        if self._ended:
            return b""
        if self._thread.ident is None:
            self._thread.start()
        while True:
            try:
                item = self._chunks.get(timeout=_TICK)  # without a timeout, Ctrl+C cannot interrupt it on Windows
            except queue.Empty:
                continue
            break
        if not isinstance(item, bytes):
            self._ended = True
            raise item
        if not item:
            self._ended = True
            self._thread.join()
        return item

    def digest(self) -> str | None:
        """Return `sha256:HEX` of all bytes, once read() has returned b""; None without `digest`."""
        return None if self._hash is None else f"sha256:{self._hash.hexdigest()}"

    def close(self) -> None:
        """Stop the thread."""
        self._stop.set()
        self._ended = True
        while True:  # the thread may be waiting for room in the queue
            try:
                self._chunks.get_nowait()
            except queue.Empty:
                break
        if self._thread.ident is not None:
            self._thread.join(_TICK)
