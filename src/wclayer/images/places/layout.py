"""Where an image's blobs are by their digests: an OCI image layout, and what `docker save` writes.

The layout ([image-spec] image-layout.md) is `oci-layout`, `index.json` and
`blobs/sha256/HEX`; in a docker-archive `manifest.json` names the files, and the
manifest is made up here, as a layout of the same bytes would have it.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Any, BinaryIO, Final

from ...body import CHUNK
from ...codes import Code
from ...errors import ImageError, NotFoundError, UsageError
from ...layertar.compression import Decompressed
from ..spec.compose import compose_manifest
from ..spec.config import Fault, check_config, refuse
from ..spec.descriptors import ANNOTATION_REF_NAME, CONFIG, MANIFEST, Descriptor, layer_media_type
from ..spec.documents import MAX_CONFIG, MAX_MANIFEST, named, objects, parse_json, read_bounded
from .archive import ArchiveFiles, Files
from .parse import ImageReference

__all__ = [
    "INDEX_JSON",
    "LAYOUT_VERSION",
    "OCI_LAYOUT",
    "DockerArchive",
    "DockerNames",
    "Layout",
    "parse_index",
    "parse_layout",
]

OCI_LAYOUT: Final = "oci-layout"
INDEX_JSON: Final = "index.json"
LAYOUT_VERSION: Final = "1.0.0"
_MANIFEST_JSON: Final = "manifest.json"
_SHOWN_TAGS: Final = 10


def parse_layout(data: bytes, what: str) -> None:
    """Raise ImageError for what is no `oci-layout` of version 1.0.0."""
    value = parse_json(data, what)
    version = value.get("imageLayoutVersion") if isinstance(value, Mapping) else None
    if version != LAYOUT_VERSION:
        raise ImageError(
            f"the version of {what}", expected=LAYOUT_VERSION, got=repr(version)[:100], rule=Code.LAYOUT_MISSING
        )


def parse_index(data: bytes, what: str) -> tuple[dict[str, Any], list[Descriptor]]:
    """An image index, as it is, and its descriptors. Raises ImageError."""
    value = parse_json(data, what)
    if isinstance(value, dict):
        value = named(value, ("schemaVersion", "mediaType", "manifests", "annotations"), what)
    if not isinstance(value, dict) or type(value.get("schemaVersion")) is not int or value["schemaVersion"] != 2:
        raise ImageError(
            f"{what} is no image index", expected='an object with "schemaVersion": 2', rule=Code.DOCUMENT_MALFORMED
        )
    manifests = objects(value, "manifests", what)
    return value, [Descriptor.from_json(one, f"manifest {number} of {what}") for number, one in enumerate(manifests)]


class Layout:
    """The blobs of an image layout in `files`, and the descriptor of the tag at `place`.

    fault: what is told of a missing or malformed `oci-layout`.
    """

    def __init__(self, files: Files, place: ImageReference, fault: Fault = refuse) -> None:
        self._files = files
        self._place = place
        try:
            parse_layout(self._small(OCI_LAYOUT), OCI_LAYOUT)
        except ImageError as error:
            fault(error)
        _, descriptors = parse_index(self._small(INDEX_JSON), INDEX_JSON)
        self.root = _choose(place, descriptors)

    def _small(self, name: str) -> bytes:
        try:
            stream, size = self._files.open(name)
        except NotFoundError:
            raise ImageError(
                f"no image layout: it has no {name}", path=self._place.path, rule=Code.LAYOUT_MISSING
            ) from None
        with closing(stream):
            return read_bounded(stream, size, MAX_MANIFEST, name)

    def open(self, descriptor: Descriptor, offset: int = 0, /) -> BinaryIO:
        return self._files.open(f"blobs/{descriptor.digest.replace(':', '/')}", offset)[0]

    def close(self) -> None:
        self._files.close()


def _choose(place: ImageReference, descriptors: Sequence[Descriptor]) -> Descriptor:
    """The descriptor of the place's tag; the only one, if it has none."""
    if place.reference is None:
        if len(descriptors) == 1:
            return descriptors[0]
        if not descriptors:
            raise NotFoundError("a layout without images", path=place.text)
        raise UsageError("which image of the layout?", path=place.text, expected=_tags(place, descriptors))
    found = {one.digest: one for one in descriptors if one.annotations.get(ANNOTATION_REF_NAME) == place.reference}
    if not found:
        raise NotFoundError("the layout has no such tag", path=place.text, expected=_tags(place, descriptors))
    if len(found) > 1:
        raise ImageError(
            "a tag that stands for several images", path=place.text, got=", ".join(found), rule=Code.IMAGE_INVALID
        )
    return next(iter(found.values()))


def _tags(place: ImageReference, descriptors: Sequence[Descriptor]) -> str:
    tags = sorted({tag for one in descriptors if (tag := one.annotations.get(ANNOTATION_REF_NAME))})
    shown = [f"{place.transport}:{place.path}:{tag}" for tag in tags[:_SHOWN_TAGS]]
    return ", ".join([*shown, "..."] if len(tags) > _SHOWN_TAGS else shown) or "an image with a tag"


def _familiar(name: str) -> str:
    """A name as Docker shows it: skopeo writes `docker.io/library/hello:latest` for `hello`."""
    name = name.removeprefix("docker.io/").removeprefix("library/")
    return name if ":" in name.rpartition("/")[2] else f"{name}:latest"


class DockerNames:
    """What the image at `place` is made of in a docker-archive: the names of the files of its config and layers.

    `manifest.json` is a list of {"Config": NAME, "RepoTags": [...], "Layers": [NAME, ...]}, base layer first.
    """

    def __init__(self, files: ArchiveFiles, place: ImageReference) -> None:
        self._files = files
        self._place = place
        chosen = self._choose(
            objects({"": parse_json(self.small(_MANIFEST_JSON, MAX_MANIFEST), _MANIFEST_JSON)}, "", _MANIFEST_JSON)
        )
        names = chosen.get("Layers")
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise ImageError(
                f'"Layers" of {_MANIFEST_JSON}',
                expected="a list of text",
                got=repr(names)[:100],
                rule=Code.DOCUMENT_MALFORMED,
            )
        config_name = chosen.get("Config")
        if not isinstance(config_name, str):
            raise ImageError(
                f'"Config" of {_MANIFEST_JSON}',
                expected="text",
                got=repr(config_name)[:100],
                rule=Code.DOCUMENT_MALFORMED,
            )
        self.config: str = config_name
        self.layers: list[str] = names

    def _choose(self, images: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
        place = self._place
        tags = [one.get("RepoTags") or [] for one in images]
        shown = [tag for one in tags if isinstance(one, list) for tag in one if isinstance(tag, str)]
        expected = ", ".join(shown[:_SHOWN_TAGS]) or "an image with a tag"
        if place.reference is None:
            if len(images) == 1:
                return images[0]
            if not images:
                raise NotFoundError("an archive without images", path=place.text)
            raise UsageError("which image of the archive?", path=place.text, expected=expected)
        wanted = _familiar(place.reference)
        for image, names in zip(images, tags, strict=True):
            if any(wanted == _familiar(name) for name in names if isinstance(name, str)):
                return image
        raise NotFoundError("the archive has no such image", path=place.text, expected=expected)

    def small(self, name: str, most: int) -> bytes:
        """All of a file of at most `most` bytes. Raises ImageError."""
        stream, size = self.open(name)
        with closing(stream):
            return read_bounded(stream, size, most, name)

    def open(self, name: str, offset: int = 0) -> tuple[BinaryIO, int]:
        """A file from `offset` on, and its whole size. Raises ImageError."""
        try:
            return self._files.open(name, offset)
        except NotFoundError:
            raise ImageError(
                f"no docker archive: it has no {name}", path=self._place.path, rule=Code.BLOB_MISSING
            ) from None


class DockerArchive:
    """The blobs of the image at `place` in a docker-archive, which gets a manifest here."""

    def __init__(self, files: ArchiveFiles, place: ImageReference) -> None:
        self._files = files
        self._contents = contents = DockerNames(files, place)
        self._made: dict[str, bytes] = {}
        self._names: dict[str, str] = {}
        config = self._make(contents.small(contents.config, MAX_CONFIG), CONFIG)
        diff_ids = check_config(self._made[config.digest], len(contents.layers), None).diff_ids
        layers = [self._layer(name, diff_id) for name, diff_id in zip(contents.layers, diff_ids, strict=True)]
        self.root = self._make(compose_manifest(config, layers, {}), MANIFEST)

    def _make(self, data: bytes, media_type: str) -> Descriptor:
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        self._made[digest] = data
        return Descriptor(media_type=media_type, digest=digest, size=len(data))

    def _layer(self, name: str, diff_id: str) -> Descriptor:
        stream, size = self._contents.open(name)
        with closing(stream):
            plain = Decompressed(stream)
            plain.read(1)
        digest = diff_id  # what is read will be held against it
        if plain.compression != "none":
            stream, _ = self._contents.open(name)
            state = hashlib.sha256()
            with closing(stream):
                while data := stream.read(CHUNK):
                    state.update(data)
            digest = f"sha256:{state.hexdigest()}"
        self._names[digest] = name
        return Descriptor.from_json(
            {"mediaType": layer_media_type(plain.compression), "digest": digest, "size": size}, f"layer {name}"
        )

    def open(self, descriptor: Descriptor, offset: int = 0, /) -> BinaryIO:
        made = self._made.get(descriptor.digest)
        if made is not None:
            return io.BytesIO(made[offset:])
        return self._contents.open(self._names[descriptor.digest], offset)[0]

    def close(self) -> None:
        self._files.close()
