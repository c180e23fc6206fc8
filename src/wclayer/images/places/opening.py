"""Open the blobs at an image reference."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from ...distribution.registries import Registries
from ...errors import ImageError, NotFoundError, RemoteImageError, UsageError
from ..spec.config import Fault, refuse
from .archive import ArchiveFiles, FolderFiles
from .blobs import Blobs
from .layout import DockerArchive, Layout
from .parse import IMAGE_TRANSPORTS, ImageReference
from .remote import RegistryBlobs

__all__ = ["open_blobs", "reading"]


def open_blobs(
    place: ImageReference,
    temp_dir: str | os.PathLike[str] | None = None,
    registries: Registries | None = None,
    fault: Fault = refuse,
) -> Blobs:
    """The blobs at a place; registries: how to reach one that is in a registry, without credentials if None.

    fault: what is told of what is wrong with a layout, and does not keep its blobs from being read.

    Raises NotFoundError, ImageError, ConfinementError, UsageError, RemoteError.
    """
    if not place.is_image or place.inside is not None:
        expected = ", ".join([*(f"{name}:PATH" for name in IMAGE_TRANSPORTS), "docker://HOST/REPOSITORY"])
        raise UsageError("no image", path=place.text, expected=expected)
    if place.transport == "docker":
        return RegistryBlobs(place, registries) if registries is not None else _OwnRegistryBlobs(place)
    if place.transport == "oci":
        if not os.path.isdir(place.path) or not os.listdir(place.path):
            raise NotFoundError("no image layout there", path=place.path)
        return Layout(FolderFiles(place.path), place, fault)
    files = ArchiveFiles(place.path, temp_dir)
    try:
        return Layout(files, place, fault) if place.transport == "oci-archive" else DockerArchive(files, place)
    except BaseException:
        files.close()
        raise


@contextmanager
def reading(place: ImageReference) -> Iterator[None]:
    """Whose documents are read: an ImageError says where, and is a RemoteImageError where a registry serves them."""
    try:
        yield
    except ImageError as error:
        error.at(place.text)
        if place.transport != "docker":
            raise
        remote = RemoteImageError(error.message)
        remote.__dict__.update(error.__dict__)
        raise remote from error


class _OwnRegistryBlobs(RegistryBlobs):
    """With connections of its own."""

    def __init__(self, place: ImageReference) -> None:
        self._registries = Registries()
        try:
            super().__init__(place, self._registries)
        except BaseException:
            self._registries.close()
            raise

    def close(self) -> None:
        self._registries.close()
