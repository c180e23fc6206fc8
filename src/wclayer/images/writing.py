"""Write images, all or nothing: blobs first, then the documents that refer to them.

oci:DIR              a layout is made beside DIR and renamed; into one that is there the blobs come under their
                     final names one by one, and index.json is replaced last, under a lock
oci-archive:FILE     a tar of a layout, the same bytes for the same image
docker-archive:FILE  what `docker load` reads: layers uncompressed
docker://...         a registry: blobs first, the tag last
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from types import TracebackType
from typing import Any, Final, Protocol, Self, TypeAlias

from ..distribution.reference import DEFAULT_TAG
from ..distribution.registries import Registries
from ..errors import NotFoundError, RemoteError, UsageError
from ..layertar.compression import Compression
from .places.archive_writing import ArchiveTarget, DockerTarget
from .places.blobs import Blobs, VerifiedBlob
from .places.layout_writing import ExistingLayout, NewLayout, is_layout
from .places.parallel import Transferred, run_all
from .places.parse import IMAGE_TRANSPORTS, ImageReference, parse_place
from .places.remote import RegistryTarget
from .places.staging import BlobWriter, NearBlobs, Staging
from .spec.descriptors import ANNOTATION_REF_NAME, Descriptor

__all__ = ["BlobWriter", "ImageWriter", "create_image", "layer_compression"]

Blob: TypeAlias = tuple[Descriptor, Callable[[], VerifiedBlob]]

_JOBS: Final = 3  # blobs at a time
# [image-spec] annotations.md, org.opencontainers.image.ref.name
_PART: Final = r"[A-Za-z0-9]+(?:(?:[-._:@+]|--)[A-Za-z0-9]+)*"
_TAG: Final = re.compile(rf"{_PART}(?:/{_PART})*", re.ASCII)
_REPOSITORY: Final = re.compile(
    r"[a-z0-9]+(?:[._:/-]+[a-z0-9]+)*(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?", re.ASCII
)  # as loosely as `docker load` reads it


class Target(Protocol):
    """The destination of the staged blobs."""

    staging: Staging

    def has(self, descriptor: Descriptor, /) -> bool:
        """Does the target already have this blob?"""

    def copy(self, descriptor: Descriptor, source: VerifiedBlob, progress: Transferred, /) -> str:
        """Add the blob that `source` reads: `copied`, or `mounted`."""

    def commit(self, root: Descriptor, progress: Transferred | None = None, /) -> None: ...

    def abort(self) -> None: ...


class ImageWriter:
    """An image being written (see `create_image`)."""

    def __init__(
        self, target: Target, tag: str | None, registries: Registries | None = None, stack: ExitStack | None = None
    ) -> None:
        """stack: what is to be closed when this is done with."""
        self._target = target
        self._tag = tag
        self._registries = registries
        self._jobs = _JOBS if registries is None else registries.jobs
        self._stack = stack or ExitStack()

    def blob(self, **more: str) -> BlobWriter:
        """A new blob, to be written and closed; `media_type` says of which type."""
        return BlobWriter(self._target.staging, **more)

    def add_bytes(self, data: bytes, media_type: str, **more: Any) -> Descriptor:
        """Add a small blob; `more` are further fields of the descriptor that is given."""
        with self.blob(media_type=media_type) as blob:
            blob.write(data)
            digest, size = blob.close()
        return Descriptor(media_type=media_type, digest=digest, size=size, **more)

    def copy(self, blobs: Sequence[Blob], progress: Transferred | None = None) -> list[str]:
        """Add blobs that are elsewhere, several at a time: of each whether it was `copied`, `mounted`, or is `there`;
        or `foreign`, if all that the source has is the address of a layer that may be kept elsewhere.

        A blob is its descriptor, and what opens it where it is not there yet. progress: gets numbers of bytes.

        Raises DigestMismatchError for one that is not the one of its descriptor, and what opening and reading raise.
        """
        unique = {descriptor.digest: (descriptor, opened) for descriptor, opened in blobs}
        tasks = [self._task(descriptor, opened) for descriptor, opened in unique.values()]
        done = run_all(tasks, jobs=self._jobs, abort=self._abort, resume=self._resume, progress=progress)
        how = dict(zip(unique, done, strict=True))
        return [how[descriptor.digest] for descriptor, _ in blobs]

    def _task(self, descriptor: Descriptor, opened: Callable[[], VerifiedBlob]) -> Callable[[Transferred], str]:
        def task(progress: Transferred) -> str:
            if descriptor.digest in self._target.staging.blobs or self._target.has(descriptor):
                progress(descriptor.size)
                return "there"
            with closing(opened()) as source:
                try:
                    if descriptor.is_foreign:
                        source.start()
                except RemoteError:
                    raise
                except NotFoundError:
                    progress(descriptor.size)
                    return "foreign"
                return self._target.copy(descriptor, source, progress)

        return task

    def _abort(self) -> None:
        if self._registries is not None:
            self._registries.abort()

    def _resume(self) -> None:
        if self._registries is not None:
            self._registries.resume()

    def nearest(self, blobs: Blobs) -> Blobs:
        """The same blobs; those that this writer has by now on the disk are read from there."""
        return NearBlobs(blobs, self._target.staging)

    def commit(
        self,
        root: Descriptor,
        annotations: Mapping[str, str] | None = None,
        progress: Transferred | None = None,
    ) -> None:
        """Put the image in its place; root: its manifest or index, annotations: what the layout says of that.

        progress: gets numbers of bytes, where what was made has to go somewhere yet.
        """
        given = {**root.annotations, **(annotations or {})}
        if self._tag is not None:
            given[ANNOTATION_REF_NAME] = self._tag
        self._target.commit(replace(root, annotations=given), progress)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._target.abort()
        self._stack.close()


def layer_compression(place: ImageReference, wanted: Compression | None) -> Compression:
    """How a new layer of an image at `place` is compressed: gzip if nothing is `wanted`.

    Raises UsageError where the image could not keep it: a docker-archive has its layers uncompressed.
    """
    if place.transport != "docker-archive":
        return wanted or "gzip"
    if wanted not in (None, "none"):
        raise UsageError(
            "a docker-archive has its layers uncompressed", path=place.text, expected="no compression", got=wanted
        )
    return "none"


def create_image(
    place: ImageReference | str,
    *,
    force: bool = False,
    temp_dir: str | os.PathLike[str] | None = None,
    registries: Registries | None = None,
    expected: str | None = None,
    sources: Sequence[ImageReference] = (),
) -> ImageWriter:
    """A writer of the image at a place, as a context manager; without commit() nothing of it stays.

    A place without a tag gets `latest`. force: replace the tag of a layout that is there, or the archive. temporary:
    the folder for the blobs of an archive until it is written; without it they are beside it.

    expected: the digest of the image, where it is known; in a layout or registry a tag that leads to it may be there
    already. Of a registry: registries, how to reach it (without credentials if None); sources: places that the blobs
    come from, so that they can be mounted.

    Raises AlreadyExistsError, NotFoundError for a folder above that is not there, ImageError for a layout that is
    none, UsageError, RemoteError.
    """
    place = place if isinstance(place, ImageReference) else parse_place(place)
    if place.transport == "docker" and place.layer is None:
        with ExitStack() as stack:
            if registries is None:
                registries = stack.enter_context(Registries())
            target = RegistryTarget(
                place, registries, force=force, expected=expected, sources=sources, temp_dir=temp_dir
            )
            return ImageWriter(target, None, registries, stack.pop_all())
    if not place.is_image or place.layer is not None or place.inside is not None:
        raise UsageError(
            "no place for an image",
            path=place.text,
            expected=", ".join([*(f"{t}:PATH" for t in IMAGE_TRANSPORTS), "docker://HOST/REPOSITORY"]),
        )
    if place.transport == "docker-archive":
        archive = DockerTarget(place.path, _repository(place), force=force, temp_dir=temp_dir)
        return ImageWriter(archive, None, registries)
    tag = place.reference or DEFAULT_TAG
    if not _TAG.fullmatch(tag):
        raise UsageError(
            "a tag that no image can have",
            path=place.text,
            expected="letters, digits, and - . _ : @ + / between",
            got=tag,
        )
    if place.transport == "oci-archive":
        return ImageWriter(ArchiveTarget(place.path, force=force, temp_dir=temp_dir), tag, registries)
    if is_layout(place.path):
        return ImageWriter(ExistingLayout(place.path, tag, force=force, expected=expected), tag, registries)
    return ImageWriter(NewLayout(place.path), tag, registries)


def _repository(place: ImageReference) -> str | None:
    name = place.reference
    if name is None:
        return None
    if not _REPOSITORY.fullmatch(name):
        raise UsageError("a name that no image can have", path=place.text, expected="name:tag, in lower case", got=name)
    return name if ":" in name.rpartition("/")[2] else f"{name}:{DEFAULT_TAG}"
