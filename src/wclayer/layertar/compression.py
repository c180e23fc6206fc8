"""gzip and zstd around a layer tar, told apart by their first bytes (RFC 1952, RFC 8878).

Reading: any number of members or frames, one after the other, then only zeros.
gzip is decompressed by isal, the fastest library; any would give the same bytes.

Writing: gzip by zlib-ng, in blocks on all processors (`deflate`), with a fixed header:
no name, no time, no system. zstd always with workers: their number has no influence
on the bytes, but zstd without workers writes others. So the same input and version
of a compressor give the same output on every machine.
"""

from __future__ import annotations

import hashlib
import struct
import sys
from importlib.metadata import version
from types import TracebackType
from typing import BinaryIO, Final, Literal, Protocol, Self, cast

from isal import igzip_lib
from zlib_ng import zlib_ng

from .. import processors
from ..body import CHUNK
from ..entry import Summary
from ..errors import CompressionError, UsageError
from .deflate import BlockDeflate
from .stream import Output, Writes

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

__all__ = ["DEFAULT_LEVELS", "LEVELS", "Compressed", "Compression", "Decompressed"]

Compression = Literal["gzip", "zstd", "none"]

LEVELS: Final[dict[Compression, range]] = {"gzip": range(1, 10), "zstd": range(1, 20), "none": range(0)}
DEFAULT_LEVELS: Final[dict[Compression, int]] = {"gzip": 5, "zstd": 3, "none": 0}

_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"
_GZIP_HEADER = b"\x1f\x8b\x08\0\0\0\0\0\0\xff"  # deflate, no flags, no time, unknown system
# In isal's stubs its error is not an exception, so mypy needs the cast.
_ERRORS: Final[tuple[type[Exception], ...]] = (cast("type[Exception]", igzip_lib.IsalError), zstd.ZstdError)
_MAX_ZSTD_WORKERS: Final = 4  # each takes tens of megabytes


class _Decoder(Protocol):
    """The methods that both libraries have for one member or frame."""

    @property
    def needs_input(self) -> bool: ...
    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, /, max_length: int = -1) -> bytes: ...


class Decompressed:
    """Read `stream`, decompressed if it is compressed; `compression` is known after the first read."""

    def __init__(self, stream: BinaryIO, *, digest: bool = True) -> None:
        """digest: compute the SHA-256 that digest() returns."""
        self._stream = stream
        self._hash = hashlib.sha256() if digest else None
        self._input = b""
        self._decoder: _Decoder | None = None
        self._begun = False
        self.compression: Compression = "none"
        self.size = 0  # bytes of the stream as it is stored
        self.zeros_after: int | None = None  # offset of zeros behind the last member or frame

    def _more(self) -> bytes:
        data = self._stream.read(CHUNK)
        self.size += len(data)
        if self._hash is not None and (self.compression != "none" or not self._begun):
            self._hash.update(data)
        return data

    def _begin(self) -> None:
        while len(self._input) < 4 and (data := self._more()):
            self._input += data
        self._begun = True
        if self._input.startswith(_GZIP):
            self.compression = "gzip"
        elif self._input.startswith(_ZSTD) or _skippable(self._input):
            self.compression = "zstd"

    def read(self, n: int = CHUNK, /) -> bytes:
        """Return 1 to `n` bytes, b"" at the end. Raises CompressionError."""
        if not self._begun:
            self._begin()
        if self.compression == "none":
            if self._input:
                data, self._input = self._input, b""
                return data
            return self._more()
        while True:
            try:
                if self._decoder is not None:
                    data = self._decompress(self._decoder, n)
                elif self._next():
                    continue
                else:
                    return b""
            except _ERRORS as error:
                raise CompressionError(
                    f"corrupt {self.compression} stream: {error}", hint="fetch or make it again"
                ) from None
            if data:
                return data

    def _next(self) -> bool:
        """Begin the next member or frame; False at the end of the stream."""
        magic = 2 if self.compression == "gzip" else 4
        while len(self._input) < magic and (data := self._more()):
            self._input += data
        if not self._input:
            return False
        if self.compression == "gzip" and self._input.startswith(_GZIP):
            self._decoder = igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP)
            return True
        if self.compression == "zstd" and (self._input.startswith(_ZSTD) or _skippable(self._input)):
            self._decoder = zstd.ZstdDecompressor()
            return True
        self.zeros_after = self.size - len(self._input)
        while self._input:
            if self._input.count(0) != len(self._input):
                raise CompressionError(
                    f"data after the end of the {self.compression} stream",
                    expected="nothing, or zeros",
                    got=self._input[:8].hex(),
                )
            self._input = self._more()
        return False

    def _fill(self) -> None:
        if not self._input:
            self._input = self._more()
            if not self._input:
                raise CompressionError(f"the {self.compression} stream is cut off", hint="fetch or make it again")

    def _decompress(self, decoder: _Decoder, n: int) -> bytes:
        if decoder.needs_input:
            self._fill()
        data = decoder.decompress(self._input, n)
        self._input = b""
        if decoder.eof:
            self._input, self._decoder = decoder.unused_data, None
        return data

    def finish(self) -> None:
        """Read the rest, so that the digest is of the whole stream."""
        while self.read():
            pass

    def digest(self) -> str | None:
        """Return `sha256:HEX` of the compressed stream; None if it is not compressed: that is the tar's own digest."""
        return None if self._hash is None or self.compression == "none" else f"sha256:{self._hash.hexdigest()}"


def _skippable(data: bytes) -> bool:
    """Return True for the magic number of a skippable frame (RFC 8878 3.1.2): zstd's tools put them anywhere."""
    return len(data) >= 4 and data[1:4] == b"\x2a\x4d\x18" and 0x50 <= data[0] <= 0x5F


class Compressed:
    """Compress what is written into `stream`; close() ends the compressed stream, and does not close `stream`.

    As a context manager it calls close() at the end, and abort() after an error.
    """

    def __init__(
        self, stream: Writes, compression: Compression, level: int | None = None, workers: int | None = None
    ) -> None:
        """compression: "gzip", "zstd" or "none". level: as in LEVELS; the default one if None. workers: threads, one a
        processor if None; they have no influence on the bytes.

        Raises UsageError for an unknown compression, or a level that it does not have.
        """
        if compression not in LEVELS:
            raise UsageError("unknown compression", expected=", ".join(LEVELS), got=compression)
        if level is not None and level not in LEVELS[compression]:
            levels = LEVELS[compression]
            raise UsageError(
                f"compression level of {compression}",
                expected=f"{levels.start} to {levels.stop - 1}" if levels else "none",
                got=level,
            )
        self.compression: Final = compression
        level = DEFAULT_LEVELS[compression] if level is None else level
        self._out = Output(stream) if compression != "none" else None
        self._write = stream.write
        self._crc = 0
        self._plain = 0
        self._gzip = BlockDeflate(level, workers) if compression == "gzip" else None
        self._zstd: zstd.ZstdCompressor | None = None
        if self._gzip is not None and self._out is not None:
            self._out.write(_GZIP_HEADER)
        elif compression == "zstd":
            parameter = zstd.CompressionParameter
            options: dict[int, int] = {
                parameter.compression_level: level,
                parameter.checksum_flag: 1,
                parameter.nb_workers: min(workers or processors.count(), _MAX_ZSTD_WORKERS),
            }
            self._zstd = zstd.ZstdCompressor(options=options)
            with processors.use_all_cpus():
                self._zstd.compress(b"")  # here zstd starts its threads

    @property
    def compressor(self) -> str | None:
        """Name and version of the library that compresses; None without compression."""
        if self.compression == "gzip":
            return f"zlib-ng {zlib_ng.ZLIBNG_RUNTIME_VERSION} (python zlib-ng {version('zlib-ng')})"
        return f"zstd {zstd.zstd_version}" if self.compression == "zstd" else None

    def write(self, data: bytes, /) -> int:
        if self._out is None:
            written = self._write(data)
            return written if isinstance(written, int) else len(data)
        if self._gzip is not None:
            self._crc = zlib_ng.crc32(data, self._crc)
            self._plain += len(data)
            packed = self._gzip.compress(data)
        else:
            packed = self._zstd.compress(data)  # type: ignore[union-attr]
        if packed:
            self._out.write(packed)
        return len(data)

    def close(self) -> None:
        if self._out is None:
            return
        if self._gzip is not None:
            self._out.write(self._gzip.flush() + struct.pack("<II", self._crc, self._plain & 0xFFFFFFFF))
        elif self._zstd is not None:
            self._out.write(self._zstd.flush())

    def abort(self) -> None:
        """End the threads, and leave the stream unfinished."""
        if self._gzip is not None:
            self._gzip.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.abort()

    def describe(self, summary: Summary) -> None:
        """Enter compression, size and digest into the summary of the tar that was written here."""
        summary.compression, summary.compressor = self.compression, self.compressor
        summary.blob_size = summary.tar_size if self.size is None else self.size
        summary.digest = self.digest() or summary.diff_id

    @property
    def size(self) -> int | None:
        return None if self._out is None else self._out.size

    def digest(self) -> str | None:
        """Return `sha256:HEX` of the compressed bytes; None without compression."""
        return None if self._out is None else self._out.digest()
