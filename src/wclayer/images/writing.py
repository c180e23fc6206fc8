"""Images, written: blobs first, then what leads to them; whole or not at all.

oci:DIR              a layout is made beside DIR and renamed; into one that is there the blobs come under their
                     final names one by one, and index.json is replaced last, under a lock
oci-archive:FILE     a tar of a layout, the same bytes for the same image
docker-archive:FILE  what `docker load` reads: layers uncompressed
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import replace
from types import TracebackType
from typing import Any, Final, Protocol, Self

from ..body import CHUNK
from ..errors import DigestMismatchError, UnsupportedError, UsageError
from .archive_writing import ArchiveTarget, DockerTarget
from .descriptors import ANNOTATION_REF_NAME, Descriptor
from .layout_writing import ExistingLayout, NewLayout, is_layout
from .places import IMAGE_TRANSPORTS, Place, parse_place
from .staging import BlobWriter, Staging

__all__ = ["BlobWriter", "ImageWriter", "create_image"]

DEFAULT_TAG: Final = "latest"
# [image-spec] annotations.md, org.opencontainers.image.ref.name
_PART: Final = r"[A-Za-z0-9]+(?:(?:[-._:@+]|--)[A-Za-z0-9]+)*"
_TAG: Final = re.compile(rf"{_PART}(?:/{_PART})*", re.ASCII)
_REPOSITORY: Final = re.compile(
    r"[a-z0-9]+(?:[._:/-]+[a-z0-9]+)*(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?", re.ASCII
)  # as loosely as `docker load` reads it


class Target(Protocol):
    """Where the staged blobs go."""

    staging: Staging

    def has(self, digest: str, size: int, /) -> bool: ...

    def commit(self, root: Descriptor, /) -> None: ...

    def abort(self) -> None: ...


class ImageWriter:
    """An image being written (see `create_image`)."""

    def __init__(self, target: Target, tag: str | None) -> None:
        self._target = target
        self._tag = tag

    def blob(self) -> BlobWriter:
        """A new blob, to be written and closed."""
        return BlobWriter(self._target.staging)

    def add_bytes(self, data: bytes, media_type: str, **more: Any) -> Descriptor:
        """Add a small blob; `more` are further fields of the descriptor that is given."""
        with self.blob() as blob:
            blob.write(data)
            digest, size = blob.close()
        return Descriptor(media_type=media_type, digest=digest, size=size, **more)

    def copy(self, descriptor: Descriptor, opened: Callable[[], Any]) -> None:
        """Add the blob that `opened()` reads, unless it is there already.

        Raises DigestMismatchError if it is not the one of the descriptor.
        """
        if descriptor.digest in self._target.staging.blobs or self._target.has(descriptor.digest, descriptor.size):
            return
        with closing(opened()) as source, self.blob() as blob:
            while data := source.read(CHUNK):
                blob.write(data)
            found = blob.close()
        if found != (descriptor.digest, descriptor.size):
            raise DigestMismatchError(
                "a blob is not the one of its descriptor",
                expected=f"{descriptor.digest}, {descriptor.size} bytes",
                got=f"{found[0]}, {found[1]} bytes",
            )

    def commit(self, root: Descriptor, annotations: Mapping[str, str] | None = None) -> None:
        """Put the image in its place; root: its manifest or index, annotations: what the layout says of that."""
        given = {**root.annotations, **(annotations or {})}
        if self._tag is not None:
            given[ANNOTATION_REF_NAME] = self._tag
        self._target.commit(replace(root, annotations=given))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._target.abort()


def create_image(
    place: Place | str, *, force: bool = False, temporary: str | os.PathLike[str] | None = None
) -> ImageWriter:
    """A writer of the image at a place, as a context manager; without commit() nothing of it stays.

    A place without a tag gets `latest`. force: replace the tag of a layout that is there, or the archive. temporary:
    the folder for the blobs of an archive until it is written; without it they are beside it.

    Raises AlreadyExistsError, NotFoundError for a folder above that is not there, ImageError for a layout that is
    none, UsageError, UnsupportedError for a registry.
    """
    place = place if isinstance(place, Place) else parse_place(place)
    if place.transport == "docker":
        raise UnsupportedError(
            "writing to a registry", path=place.text, hint="write a layout, then: skopeo copy oci:DIR:TAG docker://..."
        )
    if not place.is_image or place.layer is not None or place.inside is not None:
        raise UsageError(
            "no place for an image", path=place.text, expected=", ".join(f"{t}:PATH" for t in IMAGE_TRANSPORTS)
        )
    if place.transport == "docker-archive":
        return ImageWriter(DockerTarget(place.path, _repository(place), force=force, temporary=temporary), None)
    tag = place.reference or DEFAULT_TAG
    if not _TAG.fullmatch(tag):
        raise UsageError(
            "a tag that no image can have",
            path=place.text,
            expected="letters, digits, and - . _ : @ + / between",
            got=tag,
        )
    if place.transport == "oci-archive":
        return ImageWriter(ArchiveTarget(place.path, force=force, temporary=temporary), tag)
    if is_layout(place.path):
        return ImageWriter(ExistingLayout(place.path, tag, force=force), tag)
    return ImageWriter(NewLayout(place.path), tag)


def _repository(place: Place) -> str | None:
    name = place.reference
    if name is None:
        return None
    if not _REPOSITORY.fullmatch(name):
        raise UsageError("a name that no image can have", path=place.text, expected="name:tag, in lower case", got=name)
    return name if ":" in name.rpartition("/")[2] else f"{name}:{DEFAULT_TAG}"
