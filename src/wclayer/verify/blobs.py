"""The blobs of an image, held against what their descriptors say, which does not keep them from being read."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Generator
from contextlib import closing
from typing import BinaryIO, cast

from ..body import CHUNK
from ..codes import Code
from ..entry import Body, Entry
from ..errors import FormatError, ImageError, NotFoundError
from ..images.blobs import Blobs, compression_of
from ..images.descriptors import LAYERS, Descriptor
from ..images.documents import MAX_CONFIG, MAX_MANIFEST
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
    """The bytes of a document, whether or not they are those of its digest; None where there are none to be had."""
    most = MAX_CONFIG if what == "the config" else MAX_MANIFEST
    try:
        stream = _Counted(blobs.open(descriptor))
    except NotFoundError as error:
        notes.note(Code.BLOB_MISSING, f"{what} is missing: {error.message}", expected=descriptor.digest)
        return None
    except ImageError as error:
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


class JudgedSource(TarSource):
    """The entries of a layer; at their end its blob is judged, also where what is in it ends them.

    opener: opens the blob. descriptor: None where nothing says what it should be. diff_id: "" where it is not known.
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

    def _open(self) -> BinaryIO:
        self._blob = _Counted(self._opener())
        return cast("BinaryIO", self._blob)

    def entries(self) -> Generator[tuple[Entry, Body | None], None, None]:
        try:
            yield from super().entries()
        except FormatError:
            self._judge(whole=False)
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
