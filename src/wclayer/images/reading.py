"""Read images: an index, a manifest, a config and layers, each checked before it is used.

Digest, size and media type of every blob, the diff_id of every layer, and that
manifest, config and index agree. A layer is a stream; nothing of it is kept.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, BinaryIO, Self, cast

from ..codes import Code
from ..distribution.registries import Registries
from ..entry import Body, Entry
from ..errors import DigestMismatchError, ImageError, NotFoundError, RemoteError
from ..layertar.compression import Compression
from ..layertar.reader import TarSource
from .choosing import ImageSelector, read_index, windows_images
from .options import ImageOptions
from .places.blobs import Blobs, VerifiedBlob, read_small
from .places.opening import open_blobs, reading
from .places.parse import ImageReference, parse_place
from .spec.config import check_config, check_manifest
from .spec.descriptors import INDEXES, MANIFESTS, Descriptor, Platform, oci_layer_type
from .spec.documents import MAX_CONFIG, MAX_MANIFEST

__all__ = ["Image", "ImageLayer", "Images", "open_image", "open_images"]


class _CheckedSource(TarSource):
    """The entries of a layer, whose tar must have its diff_id."""

    def __init__(self, layer: ImageLayer) -> None:
        super().__init__(None, reopen=lambda: cast("BinaryIO", layer.open()))
        self._layer = layer

    def without_digests(self) -> None:
        """They are computed all the same, to be checked."""

    def entries(self) -> Generator[tuple[Entry, Body | None], None, None]:
        yield from super().entries()
        found = self.summary().diff_id
        if found != self._layer.diff_id:
            raise DigestMismatchError(
                "the layer's tar is not the one that the config names",
                path=self._layer.name,
                expected=self._layer.diff_id,
                got=found,
                rule=Code.DIFF_ID,
            )


@dataclass(frozen=True, slots=True)
class ImageLayer:
    """Layer `number` of an image, counted from 0 at the base; `name` is its place, `history` what made it."""

    number: int
    name: str
    descriptor: Descriptor
    diff_id: str
    history: Mapping[str, Any] | None
    blobs: Blobs

    @property
    def compression(self) -> Compression:
        """As the media type says."""
        kind = oci_layer_type(self.descriptor.media_type).rpartition("+")[2]
        return "gzip" if kind == "gzip" else "zstd" if kind == "zstd" else "none"

    def open(self) -> VerifiedBlob:
        """The blob as it is stored, checked when it has been read to its end.

        Raises NotFoundError where the image has just its address.
        """
        return VerifiedBlob(self._open, self.descriptor, self.name, self.compression).start()

    def blob(self) -> VerifiedBlob:
        """The same for who copies it as it is: opened when it is first read, whatever its compression."""
        return VerifiedBlob(self._open, self.descriptor, self.name)

    def _open(self, offset: int) -> BinaryIO:
        try:
            return self.blobs.open(self.descriptor, offset)
        except NotFoundError as error:
            if isinstance(error, RemoteError):
                raise
            error.rule = Code.BLOB_MISSING
            if self.descriptor.is_foreign:
                error.message = "the image has of this layer just the address"
                error.hint = "copy the image with its foreign layers first"
                error.rule = Code.FOREIGN_LAYER
            error.path = self.name
            raise

    def source(self) -> TarSource:
        """The layer's entries; at their end blob digest, size and diff_id have been checked."""
        return _CheckedSource(self)


class Image:
    """A Windows image. Closed by close(), or as a context manager.

    place: where it is. manifest: its descriptor. platform: the config's. layers: base first. config: the whole JSON
    value, with keys that nobody knows.
    """

    def __init__(self, place: ImageReference, blobs: Blobs, manifest: Descriptor) -> None:
        self.place = place
        self.blobs = blobs
        self.manifest = manifest
        self.manifest_bytes = read_small(blobs, manifest, MAX_MANIFEST, "the manifest")
        value, self.config_descriptor, layers = check_manifest(self.manifest_bytes, manifest)
        self.manifest_annotations: dict[str, str] = dict(value.get("annotations") or {})
        self.config_bytes = read_small(blobs, self.config_descriptor, MAX_CONFIG, "the config")
        checked = check_config(self.config_bytes, len(layers), manifest.platform)
        self.config = checked.value
        self.platform: Platform = checked.platform
        name = place.text if place.layer is None else place.text.rpartition("#")[0]
        self.layers = tuple(
            ImageLayer(number, f"{name}#{number}", layer, diff_id, history, blobs)
            for number, (layer, diff_id, history) in enumerate(
                zip(layers, checked.diff_ids, checked.history, strict=True)
            )
        )

    def to_dict(self) -> dict[str, Any]:
        """The image and its layers as JSON has them."""
        return {
            "place": self.place.text,
            "digest": self.manifest.digest,
            "config": self.config_descriptor.digest,
            "platform": self.platform.to_json(),
            "annotations": self.manifest_annotations,
            "layers": [
                {
                    "number": layer.number,
                    "diff_id": layer.diff_id,
                    "digest": layer.descriptor.digest,
                    "size": layer.descriptor.size,
                    "media_type": layer.descriptor.media_type,
                    "compression": layer.compression,
                    "annotations": dict(layer.descriptor.annotations),
                    "history": layer.history,
                }
                for layer in self.layers
            ],
        }

    def everything(self) -> list[tuple[Descriptor, Callable[[], VerifiedBlob]]]:
        """All blobs of the image, the manifest last: descriptors, and what opens them."""
        small = ((self.config_descriptor, self.config_bytes), (self.manifest, self.manifest_bytes))
        return [
            *((layer.descriptor, layer.blob) for layer in self.layers),
            *((one, partial(VerifiedBlob.of_bytes, data, one, one.digest)) for one, data in small),
        ]

    def close(self) -> None:
        self.blobs.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _manifests(blobs: Blobs, root: Descriptor) -> list[Descriptor] | None:
    """The Windows images of an image index; None for anything else."""
    if root.media_type in MANIFESTS:
        return None
    if root.media_type not in INDEXES:
        raise ImageError(
            "the tag leads to no image",
            expected="an image manifest or index",
            got=root.media_type,
            rule=Code.IMAGE_INVALID,
        )
    return windows_images(read_index(blobs, root)[2])


def open_image(
    place: ImageReference | str,
    *,
    options: ImageOptions | None = None,
) -> Image:
    """Open the Windows image at a place; the number of a layer there is ignored.

    A single image must match the selector of the options too.

    Raises NotFoundError, ImageError and ConfinementError for what is no valid Windows image, DigestMismatchError,
    UsageError where more than one image could be meant, RemoteError.
    """
    place = place if isinstance(place, ImageReference) else parse_place(place)
    options = options or ImageOptions()
    selector = options.selector or ImageSelector()
    blobs = open_blobs(place, options.temp_dir, options.registries)
    try:
        with reading(place):
            images = _manifests(blobs, blobs.root)
            if images is not None:
                return Image(place, blobs, selector.select(images, place))
            image = Image(place, blobs, blobs.root)
        selector.check(image.platform, place)
    except BaseException:
        blobs.close()
        raise
    return image


class Images(tuple[Image, ...]):
    """All Windows images at a place, in their order. Closed by close(), or as a context manager."""

    def close(self) -> None:
        for image in self:
            image.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_images(
    place: ImageReference | str,
    *,
    temp_dir: str | os.PathLike[str] | None = None,
    registries: Registries | None = None,
) -> Images:
    """The one Windows image at a place, or all of an index. Raises as open_image does."""
    place = place if isinstance(place, ImageReference) else parse_place(place)
    blobs = open_blobs(place, temp_dir, registries)
    try:
        with reading(place):
            found = _manifests(blobs, blobs.root)
            return Images(Image(place, blobs, one) for one in ([blobs.root] if found is None else found))
    except BaseException:
        blobs.close()
        raise
