"""One image for several Windows versions: an image index ([image-spec] image-index.md) of existing images.

A Windows host picks the one whose os.version fits its own; so no two may have the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

from ..errors import InexpressibleError, UsageError
from .options import ImageOptions
from .places.parse import ImageReference, whole_image
from .reading import Image, open_images
from .spec.descriptors import INDEX, Platform
from .spec.documents import json_bytes
from .writing import create_image

__all__ = ["MadeIndex", "make_index"]


@dataclass(frozen=True, slots=True)
class MadeIndex:
    """The digest of an index, and of each image its place, platform and the digest of its manifest."""

    digest: str
    images: tuple[tuple[str, Platform, str], ...]

    def to_dict(self) -> dict[str, Any]:
        """The result as JSON has it."""
        images = [
            {"place": place, "platform": platform.to_json(), "digest": digest}
            for place, platform, digest in self.images
        ]
        return {"digest": self.digest, "images": images}


def make_index(
    sources: Sequence[ImageReference | str],
    output: ImageReference | str,
    *,
    annotations: Mapping[str, str] | None = None,
    force: bool = False,
    options: ImageOptions | None = None,
) -> MadeIndex:
    """Put the images at `sources` into one image index at `output`, in their order.

    A source that is an index itself gives all its Windows images. annotations: of the index. force: replace the image
    at `output`.

    Raises UsageError for two images of the same platform, InexpressibleError for a docker-archive, and what reading
    and writing images raises; then `output` is unchanged.
    """
    options = options or ImageOptions()
    temp_dir, registries = options.temp_dir, options.registries
    place = whole_image(output, "made")
    sources = [whole_image(source, "put into an index") for source in sources]
    if place.transport == "docker-archive":
        raise InexpressibleError("a docker-archive has no image index", path=place.text, hint="oci-archive: has")
    if not sources:
        raise UsageError("an index of nothing", expected="at least one image")
    with ExitStack() as stack:
        opened = [
            image
            for one in sources
            for image in stack.enter_context(open_images(one, temp_dir=temp_dir, registries=registries))
        ]
        _check(opened)
        places = [image.place for image in opened]
        writer = stack.enter_context(
            create_image(place, force=force, temp_dir=temp_dir, registries=registries, sources=places)
        )
        writer.copy([blob for image in opened for blob in image.everything()])
        value: dict[str, Any] = {
            "schemaVersion": 2,
            "mediaType": INDEX,
            "manifests": [
                replace(image.manifest, annotations={}, platform=image.platform).to_json() for image in opened
            ],
        }
        if annotations:
            value["annotations"] = dict(sorted(annotations.items()))
        root = writer.add_bytes(json_bytes(value), INDEX)
        writer.commit(root)
        return MadeIndex(
            root.digest, tuple((image.place.text, image.platform, image.manifest.digest) for image in opened)
        )


def _check(images: Sequence[Image]) -> None:
    seen: dict[str, Image] = {}
    for image in images:
        other = seen.setdefault(str(image.platform), image)
        if other is not image:
            raise UsageError(
                "two images of the same platform in one index",
                path=image.place.text,
                got=f"{image.platform}, as {other.place.text}",
                hint="give each its --os-version when it is built",
            )
