"""Blobs on their way into an image: written to a folder of their own under their digests, hashed on the way."""

from __future__ import annotations

import hashlib
import os
import secrets
from contextlib import suppress
from types import TracebackType
from typing import Self

from ..body import CHUNK
from ..stores.host import host_errors

__all__ = ["BlobWriter", "Staging", "digest_of"]


def digest_of(path: str) -> str:
    """`sha256:HEX` of a file."""
    state = hashlib.sha256()
    with open(path, "rb", buffering=0) as file:
        while data := file.read(CHUNK):
            state.update(data)
    return f"sha256:{state.hexdigest()}"


class BlobWriter:
    """A blob being written; close() gives its digest and size, and makes it one of the image's.

    Leaving the context without that takes it away. Raises StorageError and its kin.
    """

    def __init__(self, staging: Staging) -> None:
        self._staging = staging
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
            self._staging.put(self._path, *self._result)
        return self._result

    def abort(self) -> None:
        """Take away what was written, if close() has not been called."""
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
    """The blobs that a writer has made so far, in `folder`: digest -> size."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.blobs: dict[str, int] = {}

    def new(self) -> str:
        """A path for a blob that is being written."""
        return os.path.join(self.folder, f"new-{secrets.token_hex(4)}")

    def path(self, digest: str) -> str:
        """Where the blob is."""
        return os.path.join(self.folder, digest.partition(":")[2])

    def put(self, path: str, digest: str, size: int) -> None:
        """Make the file `path`, which is of this digest and size, one of the blobs."""
        with host_errors(path):
            os.replace(path, self.path(digest))
        self.blobs[digest] = size
