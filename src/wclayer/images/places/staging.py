"""Blobs on their way into an image: written to a folder of their own under their digests, hashed on the way."""

from __future__ import annotations

import hashlib
import os
import secrets
from contextlib import closing, suppress
from types import TracebackType
from typing import BinaryIO, Final, Self

from ...body import CHUNK
from ...host.errors import host_errors
from ..spec.descriptors import Descriptor
from .blobs import Blobs, VerifiedBlob
from .parallel import Transferred

__all__ = ["BlobWriter", "NearBlobs", "StagedTarget", "Staging", "digest_of"]

_UNKNOWN: Final = "application/octet-stream"


def digest_of(path: str) -> str:
    """`sha256:HEX` of a file."""
    with open(path, "rb", buffering=0) as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"


class BlobWriter:
    """A blob being written; close() gives its digest and size, and makes it one of the image's.

    Leaving the context without close() removes the file. Raises StorageError and its subclasses.
    """

    def __init__(self, staging: Staging, media_type: str = _UNKNOWN) -> None:
        self._staging = staging
        self._media_type = media_type
        self._path = staging.new()
        with host_errors(self._path):
            self._file = open(self._path, "xb")  # closed by close() and abort()
        self._hash = hashlib.sha256()
        self._size = 0
        self._result: tuple[str, int] | None = None

    def write(self, data: bytes, /) -> int:
        with host_errors(self._path):
            self._file.write(data)
        self._hash.update(data)
        self._size += len(data)
        return len(data)

    def flush(self) -> None:
        with host_errors(self._path):
            self._file.flush()

    def close(self) -> tuple[str, int]:
        if self._result is None:
            with host_errors(self._path):
                self._file.close()
            self._result = f"sha256:{self._hash.hexdigest()}", self._size
            digest, size = self._result
            self._staging.put(self._path, Descriptor(media_type=self._media_type, digest=digest, size=size))
        return self._result

    def abort(self) -> None:
        """Remove the file, if close() has not been called."""
        if self._result is None:
            with suppress(OSError):
                self._file.close()
            with suppress(OSError):
                os.unlink(self._path)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.abort()


class Staging:
    """The blobs that a writer has made so far, in `folder`: digest -> descriptor."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.blobs: dict[str, Descriptor] = {}

    def new(self) -> str:
        """A path for a blob that is being written."""
        return os.path.join(self.folder, f"new-{secrets.token_hex(4)}")

    def path(self, digest: str) -> str:
        """Where the blob is."""
        return os.path.join(self.folder, digest.partition(":")[2])

    def open(self, digest: str, offset: int = 0) -> BinaryIO:
        """Open the blob at an offset."""
        path = self.path(digest)
        with host_errors(path):
            stream = open(path, "rb", buffering=0)  # the caller closes it
            stream.seek(offset)
            return stream

    def read(self, digest: str) -> bytes:
        """The bytes of a small blob."""
        with self.open(digest) as stream:
            return stream.read()

    def put(self, path: str, descriptor: Descriptor) -> None:
        """Make the file `path`, which is what the descriptor says, one of the blobs."""
        with host_errors(path):
            os.replace(path, self.path(descriptor.digest))
        self.blobs[descriptor.digest] = descriptor

    def copy(self, descriptor: Descriptor, source: VerifiedBlob, progress: Transferred) -> str:
        """Add the blob that `source` reads, which checks that it is the one of the descriptor: `copied`."""
        path = self.new()
        try:
            with host_errors(path), open(path, "xb", buffering=0) as file:
                while data := source.read(CHUNK):
                    view = memoryview(data)
                    while view:
                        view = view[file.write(view) :]
                    progress(len(data))
            self.put(path, descriptor)
        except BaseException:
            with suppress(OSError):
                os.unlink(path)
            raise
        return "copied"


class NearBlobs:
    """`blobs`, of which those in `staging` are read from there. keep: put each there when it is first read."""

    def __init__(self, blobs: Blobs, staging: Staging, *, keep: bool = False) -> None:
        self._blobs = blobs
        self._staging = staging
        self._keep = keep
        self.root = blobs.root

    def open(self, descriptor: Descriptor, offset: int = 0, /) -> BinaryIO:
        if descriptor.digest not in self._staging.blobs:
            if not self._keep:
                return self._blobs.open(descriptor, offset)
            with closing(VerifiedBlob.of(self._blobs, descriptor)) as source:
                self._staging.copy(descriptor, source, lambda _: None)
        return self._staging.open(descriptor.digest, offset)

    def close(self) -> None:
        self._blobs.close()


class StagedTarget:
    """A target whose image is made from a Staging at the end."""

    staging: Staging

    def has(self, _descriptor: Descriptor, /) -> bool:
        """Does the target already have this blob?"""
        return False

    def copy(self, descriptor: Descriptor, source: VerifiedBlob, progress: Transferred, /) -> str:
        """Add the blob that `source` reads."""
        return self.staging.copy(descriptor, source, progress)
