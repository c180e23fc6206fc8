"""The blobs of an image, held against what their descriptors say, which does not keep them from being read."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Generator
from contextlib import closing
from typing import BinaryIO, cast

from ..body import CHUNK
from ..codes import Code
from ..entry import Body, Entry
from ..errors import DigestMismatchError, FormatError, ImageError, NotFoundError
from ..images.places.blobs import Blobs, compression_of
from ..images.spec.descriptors import LAYERS, Descriptor
from ..images.spec.documents import MAX_CONFIG, MAX_MANIFEST
from ..layertar.compression import Compression
from ..layertar.reader import TarSource
from .notes import Notes

__all__ = ["JudgedSource", "read_document"]


class _Counted:
    """A stream whose bytes are counted and hashed on their way; it is closed by end()."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._hash = hashlib.sha256()
        self.size = 0
        self.front = b""

    def read(self, n: int = -1, /) -> bytes:
        data = self._stream.read(n)
        if len(self.front) < 4:
            self.front = (self.front + data[:4])[:4]
        self.size += len(data)
        self._hash.update(data)
        return data

    def close(self) -> None:
        """Not yet: it has to be read to its end."""

    def abandon(self) -> None:
        self._stream.close()

    def end(self) -> None:
        """Read what is left, and close it."""
        with closing(self._stream):
            while self.read(CHUNK):
                pass

    def digest(self) -> str:
        return f"sha256:{self._hash.hexdigest()}"

    def is_of(self, descriptor: Descriptor, what: str, notes: Notes) -> bool:
        """Is it the blob that the descriptor names? If not, say so."""
        digest, right = self.digest(), f"{what} has another %s than its descriptor"
        if self.size != descriptor.size:
            hint = "the descriptor is wrong: its digest is that of the bytes" if digest == descriptor.digest else None
            notes.note(
                Code.BLOB_SIZE,
                right % "size",
                expected=f"{descriptor.size:,} bytes",
                got=f"{self.size:,}",
                hint=hint,
            )
        elif digest != descriptor.digest:
            notes.note(Code.BLOB_DIGEST, right % "digest", expected=descriptor.digest, got=digest)
        return digest == descriptor.digest


def read_document(blobs: Blobs, descriptor: Descriptor, what: str, notes: Notes) -> bytes | None:
    """The bytes of a document, whether or not they match its digest; None if they cannot be read."""
    most = MAX_CONFIG if what == "the config" else MAX_MANIFEST
    try:
        stream = _Counted(blobs.open(descriptor))
    except NotFoundError as error:
        notes.note(Code.BLOB_MISSING, f"{what} is missing: {error.message}", expected=descriptor.digest)
        return None
    except (ImageError, DigestMismatchError) as error:
        if not notes.error(error):
            raise
        return None
    parts: list[bytes] = []
    while stream.size <= most and (data := stream.read(CHUNK)):
        parts.append(data)
    stream.end()
    if stream.size > most:
        expected = f"at most {most:,} bytes"
        notes.note(Code.DOCUMENT_MALFORMED, f"{what} is too large", expected=expected, got=f"{stream.size:,}")
        return None
    stream.is_of(descriptor, what, notes)
    return b"".join(parts)


def _missing(error: NotFoundError, descriptor: Descriptor | None) -> ImageError:
    """The findings about a layer whose blob is missing."""
    if descriptor is not None and descriptor.is_foreign:
        return ImageError(
            "the image has of this layer just the address",
            got=", ".join(descriptor.urls) or None,
            hint="copy the image with its foreign layers first",
            rule=Code.FOREIGN_LAYER,
        )
    digest = None if descriptor is None else descriptor.digest
    return ImageError(f"the layer is missing: {error.message}", expected=digest, rule=Code.BLOB_MISSING)


class JudgedSource(TarSource):
    """The entries of a layer; at their end its blob is judged, also where what is in it ends them.

    opener: opens the blob, when the entries are asked for. descriptor: None where nothing says what it should be.
    diff_id: "" where it is not known. `missing` says afterwards whether there was no blob to be had, which is an
    ImageError or a DigestMismatchError.
    """

    def __init__(
        self, opener: Callable[[], BinaryIO], descriptor: Descriptor | None, diff_id: str, notes: Notes
    ) -> None:
        super().__init__(None, reopen=self._open)
        self._opener = opener
        self._descriptor = descriptor
        self._diff_id = diff_id
        self._notes = notes
        self._blob: _Counted | None = None
        self._judged = False
        self.missing = False

    def _open(self) -> BinaryIO:
        try:
            self._blob = _Counted(self._opener())
        except NotFoundError as error:
            self.missing = True
            raise _missing(error, self._descriptor) from error
        except (ImageError, DigestMismatchError):
            self.missing = True
            raise
        return cast("BinaryIO", self._blob)

    def entries(self) -> Generator[tuple[Entry, Body | None], None, None]:
        try:
            yield from super().entries()
        except FormatError:
            self._judge(whole=False)
            raise
        except BaseException:  # of the host, or of who looks at the entries
            if self._blob is not None:
                self._blob.abandon()
            raise
        self._judge(whole=True)

    def _judge(self, *, whole: bool) -> None:
        """whole: has the tar been read to its end?"""
        if self._blob is None or self._judged:
            return
        self._judged = True
        self._blob.end()
        notes, descriptor = self._notes, self._descriptor
        if descriptor is not None:
            if not self._blob.is_of(descriptor, "the blob", notes):
                return  # what else could be said would be of other bytes than are meant
            self._judge_compression(descriptor)
        if whole and self._diff_id and (found := self.summary().diff_id) != self._diff_id:
            notes.note(
                Code.DIFF_ID,
                "the layer's tar is not the one that the config names",
                expected=self._diff_id,
                got=found,
            )

    def _judge_compression(self, descriptor: Descriptor) -> None:
        known = LAYERS.get(descriptor.media_type)
        if known is None or self._blob is None:
            return
        kind = known.rpartition("+")[2]
        expected: Compression = "gzip" if kind == "gzip" else "zstd" if kind == "zstd" else "none"
        found = compression_of(self._blob.front)
        if found != expected:
            self._notes.note(
                Code.COMPRESSION_OTHER,
                "the layer is not compressed as its media type says",
                expected=expected,
                got=found,
            )
