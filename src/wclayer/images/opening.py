"""From a place to the blobs that are there."""

from __future__ import annotations

import os

from ..errors import NotFoundError, UnsupportedError, UsageError
from .archive import ArchiveFiles, FolderFiles
from .blobs import Blobs
from .layout import DockerArchive, Layout
from .places import IMAGE_TRANSPORTS, Place

__all__ = ["open_blobs"]


def open_blobs(place: Place, temporary: str | os.PathLike[str] | None = None) -> Blobs:
    """The blobs at a place. Raises NotFoundError, ImageError, ConfinementError, UsageError, UnsupportedError."""
    if place.transport == "docker":
        raise UnsupportedError(
            "a registry", path=place.text, hint="copy the image into a layout first: skopeo copy ... oci:DIR:TAG"
        )
    if not place.is_image or place.inside is not None:
        raise UsageError("no image", path=place.text, expected=", ".join(f"{name}:PATH" for name in IMAGE_TRANSPORTS))
    if place.transport == "oci":
        if not os.path.isdir(place.path) or not os.listdir(place.path):
            raise NotFoundError("no image layout there", path=place.path)
        return Layout(FolderFiles(place.path), place)
    files = ArchiveFiles(place.path, temporary)
    try:
        return Layout(files, place) if place.transport == "oci-archive" else DockerArchive(files, place)
    except BaseException:
        files.close()
        raise
