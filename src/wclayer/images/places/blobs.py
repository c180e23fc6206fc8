"""Blobs: bytes named by their digest, and the check that they are those bytes ([image-spec] descriptor.md)."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from contextlib import closing
from functools import partial
from typing import Any, BinaryIO, Final, Protocol, Self, cast

from ...body import CHUNK
from ...codes import Code
from ...errors import DigestMismatchError, ImageError, NotFoundError, RemoteError, RemoteNotFoundError
from ...layertar.compression import Compression
from ..spec.descriptors import Descriptor
from ..spec.documents import read_bounded

__all__ = ["Blobs", "VerifiedBlob", "compression_of", "read_small"]

_MAGIC: Final[dict[Compression, tuple[bytes, ...]]] = {
    "gzip": (b"\x1f\x8b",),
    "zstd": (b"\x28\xb5\x2f\xfd", *(bytes((low,)) + b"\x2a\x4d\x18" for low in range(0x50, 0x60))),
}
_MARK: Final = 4 << 20  # bytes between the states of the digest that are remembered, to begin with
_MARKS: Final = 1024  # so many states at the most


def compression_of(front: bytes) -> Compression:
    """How a blob is compressed, by its first four bytes."""
    found = next((name for name, magic in _MAGIC.items() if front.startswith(magic)), None)
    return found or "none"


class Blobs(Protocol):
    """The blobs of a place, and the one that its tag leads to."""

    root: Descriptor

    def open(self, descriptor: Descriptor, offset: int = 0, /) -> BinaryIO:
        """A blob from `offset` on, unchecked. Raises NotFoundError."""

    def close(self) -> None: ...


class VerifiedBlob:
    """The bytes of a blob, which at their end must have turned out to be the ones that the descriptor names.

    opened: opens the blob at an offset, when it is first read. name: what it is called in errors. compression: what the
    media type says; None where that does not matter.

    Reading raises DigestMismatchError, and ImageError for another compression than the media type says.
    """

    def __init__(
        self,
        opened: Callable[[int], BinaryIO],
        descriptor: Descriptor,
        name: str,
        compression: Compression | None = None,
    ) -> None:
        self.descriptor = descriptor
        self._opened = opened
        self._stream: BinaryIO | None = None
        self._name = name
        self._compression = compression
        self._head = b""
        self._hash = hashlib.sha256()
        self._done = 0
        self._marks: list[tuple[int, Any]] = [(0, self._hash.copy())]
        self._step = _MARK

    @classmethod
    def of(cls, blobs: Blobs, descriptor: Descriptor, name: str | None = None) -> Self:
        """The one among `blobs` that the descriptor names."""
        return cls(partial(blobs.open, descriptor), descriptor, name or descriptor.digest)

    @classmethod
    def of_bytes(cls, data: bytes, descriptor: Descriptor, name: str) -> Self:
        """A blob of bytes in memory."""
        return cls(lambda offset: io.BytesIO(data[offset:]), descriptor, name)

    def start(self) -> Self:
        """Open the blob now. Raises what opening it raises."""
        if self._stream is None:
            self._stream = self._opened(self._done)
        return self

    def read(self, n: int = -1, /) -> bytes:
        if self._stream is None:
            self._stream = self._opened(self._done)
        data = self._stream.read(n)
        if self._compression is not None:
            self._head += data[:4]
            if len(self._head) >= 4:
                self._check_compression(self._head, self._compression)
                self._compression = None
        self._done += len(data)
        self._hash.update(data)
        if self._done >= self._marks[-1][0] + self._step:
            self._marks.append((self._done, self._hash.copy()))
            if len(self._marks) > _MARKS:
                self._marks, self._step = self._marks[::2], self._step * 2
        if self._done > self.descriptor.size or not data or n < 0:
            self._check()
        return data

    def tell(self) -> int:
        """How many bytes have been read."""
        return self._done

    def rewind(self, offset: int) -> None:
        """Go back: the next byte read is the one at `offset`, and what lies before it has been read already.

        What is read once more beside what is asked for is 4 MiB at the most, or a five-hundredth of a larger blob.
        """
        if offset == self._done:
            return
        while self._marks[-1][0] > offset:
            self._marks.pop()
        self.close()
        self._stream = None
        self._head = b""
        self._done, state = self._marks[-1]
        self._hash = state.copy()
        while self._done < offset and self.read(min(CHUNK, offset - self._done)):
            pass

    def close(self) -> None:
        if self._stream is not None:
            self._stream.close()

    def _check(self) -> None:
        if self._done != self.descriptor.size:
            raise self._mismatch("size", self.descriptor.size, self._done, Code.BLOB_SIZE)
        if (digest := f"sha256:{self._hash.hexdigest()}") != self.descriptor.digest:
            raise self._mismatch("digest", self.descriptor.digest, digest, Code.BLOB_DIGEST)

    def _mismatch(self, what: str, expected: object, got: object, rule: Code) -> DigestMismatchError:
        return DigestMismatchError(
            f"the blob has another {what} than its descriptor",
            path=self._name,
            expected=expected,
            got=got,
            hint="fetch the image again",
            rule=rule,
        )

    def _check_compression(self, data: bytes, compression: Compression) -> None:
        found = compression_of(data)
        if found != compression:
            raise ImageError(
                "the layer is not compressed as its media type says",
                path=self._name,
                expected=compression,
                got=found,
                rule=Code.COMPRESSION_OTHER,
            )


def read_small(blobs: Blobs, descriptor: Descriptor, most: int, what: str) -> bytes:
    """The whole of a blob of at most `most` bytes, checked; `what` names it in errors.

    Raises ImageError for one that is missing or too large (RemoteError, where a registry has lost it),
    DigestMismatchError.
    """
    blob = VerifiedBlob.of(blobs, descriptor, f"{what} {descriptor.digest}")
    try:
        blob.start()
    except RemoteNotFoundError as error:
        # Not a NotFoundError, which callers take as "no image here": the image exists, a blob of it is lost.
        raise RemoteError(
            f"{what} is missing: {error.message}", path=error.path, hint="push the image again", rule=Code.BLOB_MISSING
        ) from None
    except NotFoundError as error:
        raise ImageError(
            f"{what} is missing",
            path=error.path,
            expected=descriptor.digest,
            hint="fetch the image again",
            rule=Code.BLOB_MISSING,
        ) from None
    with closing(blob):
        return read_bounded(cast("BinaryIO", blob), descriptor.size, most, what)
