"""Images, read: an index, a manifest, a config and layers, each checked before it is believed.

Digest, size and media type of every blob, the diff_id of every layer, and that
manifest, config and index agree. A layer is a stream; nothing of it is kept.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any, BinaryIO, Final, Self, cast

from ..entry import Body, Entry
from ..errors import DigestMismatchError, ImageError, NotFoundError, UsageError
from ..layertar.compression import Compression
from ..layertar.reader import TarSource
from .config import check_config, check_manifest
from .descriptors import INDEXES, MANIFESTS, Descriptor, Platform, oci_layer_type
from .documents import MAX_CONFIG, MAX_MANIFEST, read_bounded
from .layout import Blobs, open_blobs, parse_index
from .places import Place, parse_place

__all__ = ["Image", "ImageLayer", "Images", "open_image", "open_images"]

_MAGIC: Final[dict[str, tuple[bytes, ...]]] = {
    "gzip": (b"\x1f\x8b",),
    "zstd": (b"\x28\xb5\x2f\xfd", *(bytes((low,)) + b"\x2a\x4d\x18" for low in range(0x50, 0x60))),
}


class VerifiedBlob:
    """The bytes of a blob, which at their end must have turned out to be the ones that the descriptor names.

    Raises DigestMismatchError, and ImageError for another compression than the media type says.
    """

    def __init__(self, stream: BinaryIO, descriptor: Descriptor, name: str, compression: Compression | None) -> None:
        self._stream = stream
        self._descriptor = descriptor
        self._name = name
        self._compression = compression
        self._hash = hashlib.sha256()
        self._done = 0

    def read(self, n: int = -1, /) -> bytes:
        data = self._stream.read(n)
        if self._compression is not None and len(data) >= 4:
            self._check_compression(data, self._compression)
            self._compression = None
        self._done += len(data)
        self._hash.update(data)
        if self._done > self._descriptor.size or not data or n < 0:
            self._check()
        return data

    def close(self) -> None:
        self._stream.close()

    def _check(self) -> None:
        if self._done != self._descriptor.size:
            raise self._mismatch("size", self._descriptor.size, self._done)
        if (digest := f"sha256:{self._hash.hexdigest()}") != self._descriptor.digest:
            raise self._mismatch("digest", self._descriptor.digest, digest)

    def _mismatch(self, what: str, expected: object, got: object) -> DigestMismatchError:
        return DigestMismatchError(
            f"the blob has another {what} than its descriptor",
            path=self._name,
            expected=expected,
            got=got,
            hint="fetch the image again",
        )

    def _check_compression(self, data: bytes, compression: Compression) -> None:
        found = next((name for name, magic in _MAGIC.items() if data.startswith(magic)), "none")
        if found != compression:
            raise ImageError(
                "the layer is not compressed as its media type says", path=self._name, expected=compression, got=found
            )


class _CheckedSource(TarSource):
    """The entries of a layer, whose tar must have its diff_id."""

    def __init__(self, layer: ImageLayer) -> None:
        super().__init__(None, reopen=lambda: cast("BinaryIO", layer.open()))
        self._layer = layer

    def entries(self) -> Iterator[tuple[Entry, Body | None]]:
        yield from super().entries()
        found = self.summary().diff_id
        if found != self._layer.diff_id:
            raise DigestMismatchError(
                "the layer's tar is not the one that the config names",
                path=self._layer.name,
                expected=self._layer.diff_id,
                got=found,
            )


@dataclass(frozen=True, slots=True)
class ImageLayer:
    """Layer `number` of an image, counted from 0 at the base; `name` is its place, `history` what made it."""

    number: int
    name: str
    descriptor: Descriptor
    diff_id: str
    history: Mapping[str, Any] | None
    _blobs: Blobs

    @property
    def compression(self) -> Compression:
        """As the media type says."""
        kind = oci_layer_type(self.descriptor.media_type).rpartition("+")[2]
        return "gzip" if kind == "gzip" else "zstd" if kind == "zstd" else "none"

    def open(self) -> VerifiedBlob:
        """The blob as it is stored, checked when it has been read to its end.

        Raises NotFoundError where the image has just its address.
        """
        try:
            stream, _ = self._blobs.open(self.descriptor.digest)
        except NotFoundError as error:
            if "nondistributable" in oci_layer_type(self.descriptor.media_type) or self.descriptor.urls:
                error.message = "the image has of this layer just the address"
                error.hint = "copy the image with its foreign layers first"
            error.path = self.name
            raise
        return VerifiedBlob(stream, self.descriptor, self.name, self.compression)

    def source(self) -> TarSource:
        """The layer's entries; at their end blob digest, size and diff_id have been checked."""
        return _CheckedSource(self)


class Image:
    """A Windows image. Closed by close(), or as a context manager.

    place: where it is. manifest: its descriptor. platform: the config's. layers: base first. config: the whole JSON
    value, with keys that nobody knows.
    """

    def __init__(self, place: Place, blobs: Blobs, manifest: Descriptor) -> None:
        self.place = place
        self._blobs = blobs
        self.manifest = manifest
        self.manifest_bytes = _small(blobs, manifest, MAX_MANIFEST, "the manifest")
        value, self.config_descriptor, layers = check_manifest(self.manifest_bytes, manifest)
        self.manifest_annotations: dict[str, str] = dict(value.get("annotations") or {})
        self.config_bytes = _small(blobs, self.config_descriptor, MAX_CONFIG, "the config")
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

    def close(self) -> None:
        self._blobs.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _small(blobs: Blobs, descriptor: Descriptor, most: int, what: str) -> bytes:
    try:
        stream, size = blobs.open(descriptor.digest)
    except NotFoundError as error:
        raise ImageError(
            f"{what} is missing", path=error.path, expected=descriptor.digest, hint="fetch the image again"
        ) from None
    with closing(VerifiedBlob(stream, descriptor, f"{what} {descriptor.digest}", None)) as blob:
        return read_bounded(cast("BinaryIO", blob), max(size, descriptor.size), most, what)


def _manifests(blobs: Blobs, root: Descriptor) -> list[Descriptor] | None:
    """The Windows images of an image index; None for what is none."""
    if root.media_type in MANIFESTS:
        return None
    if root.media_type not in INDEXES:
        raise ImageError("the tag leads to no image", expected="an image manifest or index", got=root.media_type)
    what = f"index {root.digest}"
    value, found = parse_index(_small(blobs, root, MAX_MANIFEST, "the image index"), what)
    if value.get("mediaType", root.media_type) != root.media_type:
        raise ImageError(
            f"the media type of {what} is not that of its descriptor", expected=root.media_type, got=value["mediaType"]
        )
    images: list[Descriptor] = []
    for one in found:
        if one.media_type in INDEXES:
            raise ImageError("an image index in an image index", got=one.digest, expected="manifests of images")
        # Others' images, and what is said about images (attestations are for unknown/unknown).
        if one.media_type in MANIFESTS and (one.platform is None or one.platform.os == "windows"):
            images.append(one)
    if not images:
        raise ImageError(
            "the index has no Windows image",
            expected="windows",
            got=", ".join(str(one.platform) for one in found[:10]) or "nothing",
        )
    return images


def _fits(platform: Platform | None, os_version: str) -> bool:
    return platform is not None and f"{platform.os_version}.".startswith(f"{os_version.rstrip('.')}.")


def _select(images: list[Descriptor], os_version: str | None, place: Place) -> Descriptor:
    found = [one for one in images if os_version is None or _fits(one.platform, os_version)]
    if len(found) == 1:
        return found[0]
    versions = ", ".join(str(one.platform) if one.platform else "windows" for one in images)
    if not found:
        raise NotFoundError("no image of this os.version", path=place.text, expected=versions, got=os_version)
    raise UsageError(
        "which image of the index?",
        path=place.text,
        expected=versions,
        got=os_version,
        hint="say which with --os-version",
    )


def open_image(
    place: Place | str, *, os_version: str | None = None, temporary: str | os.PathLike[str] | None = None
) -> Image:
    """The Windows image at a place; a layer's number there does not matter.

    os_version: which image of an index, all of it or the front of it in whole parts (`10.0.20348`); a single image must
    have it too. temporary: a folder for what cannot be read from where it is.

    Raises NotFoundError, ImageError and ConfinementError for what is no valid Windows image, DigestMismatchError,
    UsageError where more than one image could be meant, UnsupportedError for a registry.
    """
    place = place if isinstance(place, Place) else parse_place(place)
    blobs = open_blobs(place, temporary)
    try:
        images = _manifests(blobs, blobs.root)
        if images is not None:
            return Image(place, blobs, _select(images, os_version, place))
        image = Image(place, blobs, blobs.root)
        if os_version is not None and not _fits(image.platform, os_version):
            raise NotFoundError(
                "the image has another os.version",
                path=place.text,
                expected=os_version,
                got=image.platform.os_version or "none",
            )
    except BaseException as error:
        blobs.close()
        if isinstance(error, ImageError):
            error.at(place.text)
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


def open_images(place: Place | str, *, temporary: str | os.PathLike[str] | None = None) -> Images:
    """The one Windows image at a place, or all of an index. Raises as open_image does."""
    place = place if isinstance(place, Place) else parse_place(place)
    blobs = open_blobs(place, temporary)
    try:
        found = _manifests(blobs, blobs.root)
        return Images(Image(place, blobs, one) for one in ([blobs.root] if found is None else found))
    except BaseException as error:
        blobs.close()
        if isinstance(error, ImageError):
            error.at(place.text)
        raise
