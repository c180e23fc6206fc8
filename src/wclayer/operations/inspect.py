"""What an image or a layer is, wherever it is: `layers.inspect`, and what the image's config says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..entry import ProgressCallback
from ..images.reading import Image
from ..images.spec.descriptors import Platform
from ..layers.inspect.inspect import Inspection, inspect_sources
from .layer_places import LayerPlaces, LayerReference, parse_layer_place

__all__ = ["ImageFacts", "Inspected", "inspect_layers"]


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """What an image's config says. digest: the manifest's. config: its `config` object, as it stands there.

    history: how many entries it has, empty_layers: how many of these made no layer. created: as it stands there.
    """

    digest: str
    platform: Platform
    created: str | None
    config: Mapping[str, Any]
    history: int
    empty_layers: int


@dataclass(frozen=True, slots=True)
class Inspected:
    """What was found at a place. image: of an image, even if one layer alone was looked at."""

    place: LayerReference
    found: Inspection
    image: ImageFacts | None = None


def inspect_layers(
    place: LayerReference | str,
    *,
    places: LayerPlaces | None = None,
    top: int = 10,
    temp_dir: str | None = None,
    progress: ProgressCallback | None = None,
) -> Inspected:
    """Look into the layer, or all layers of the image, at a place, or what is below a path there.

    places: how to find it; without parents, selector and credentials if None. top: how many of the largest files and
    folders, and of the most common descriptors, are told. temporary: the folder for hives that are put aside.

    Raises NotFoundError, UsageError, and what reading images and layers raises: a tar that is broken is not passed
    over, a registry that cannot be read is a note.
    """
    place = parse_layer_place(place) if isinstance(place, str) else place
    places = LayerPlaces() if places is None else places
    with places.open(place) as opened:
        found = inspect_sources(
            [(layer.name, layer.source) for layer in opened.layers],
            base=opened.layers[0].base,
            inside=place.inside or "",
            top=top,
            temp_dir=temp_dir,
            progress=progress,
        )
        return Inspected(place, found, None if opened.image is None else _facts(opened.image))


def _facts(image: Image) -> ImageFacts:
    config = image.config.get("config")
    history = image.config.get("history")
    created = image.config.get("created")
    entries = [one for one in history if isinstance(one, dict)] if isinstance(history, list) else []
    return ImageFacts(
        digest=image.manifest.digest,
        platform=image.platform,
        created=created if isinstance(created, str) else None,
        config=config if isinstance(config, dict) else {},
        history=len(entries),
        empty_layers=sum(1 for one in entries if one.get("empty_layer")),
    )
