"""What an image or a layer is, wherever it is: `layers.inspect`, and what the image's config says."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ..entry import ProgressCallback
from ..images.options import ImageOptions
from ..images.reading import Image
from ..images.spec.descriptors import Platform
from ..layers.inspect.contents import Contents
from ..layers.inspect.inspect import Inspection, LayerInspection, inspect_sources
from ..win32.attributes import attribute_names
from .layer_places import LayerPlaces, LayerReference, parse_layer_place

__all__ = ["ImageFacts", "Inspected", "inspect_layers", "inspect_places"]


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
    """What was found at a place. image: of an image, even if only one layer was looked at."""

    place: LayerReference
    found: Inspection
    image: ImageFacts | None = None

    def to_dict(self) -> dict[str, Any]:
        """The result as JSON has it."""
        found, image = self.found, self.image
        return {
            "place": self.place.text,
            "image": None if image is None else _image_json(image),
            "layers": [_layer_json(number, layer) for number, layer in enumerate(found.layers)],
            "contents": _contents_json(found.contents),
            "windows": None if found.windows is None else asdict(found.windows),
            "notes": list(found.notes),
        }


def _image_json(image: ImageFacts) -> dict[str, Any]:
    return {
        "digest": image.digest,
        "platform": image.platform.to_json(),
        "created": image.created,
        "config": dict(image.config),
        "history": image.history,
        "empty_layers": image.empty_layers,
    }


def _layer_json(number: int, layer: LayerInspection) -> dict[str, Any]:
    return {
        "number": number,
        "name": layer.name,
        "kind": "base" if layer.base else "non-base",
        "utility_vm": layer.utility_vm,
        "contents": _contents_json(layer.contents),
        "stored": None if layer.stored is None else asdict(layer.stored),
        "framing": None if layer.framing is None else asdict(layer.framing),
        "windows": None if layer.windows is None else asdict(layer.windows),
    }


def _contents_json(contents: Contents) -> dict[str, Any]:
    def pairs(found: Iterable[tuple[str, int]], name: str) -> list[dict[str, Any]]:
        return [{name: text, "count": count} for text, count in found]

    result = asdict(contents)
    result["attributes"] = {attribute_names(bit)[0]: count for bit, count in contents.attributes.items()}
    result["descriptors"]["common"] = pairs(contents.descriptors.common, "sddl")
    result["descriptors"]["owners"] = pairs(contents.descriptors.owners, "owner")
    return result


def inspect_layers(
    source: LayerReference | str,
    parents: Sequence[str | os.PathLike[str]] = (),
    *,
    top: int = 10,
    options: ImageOptions | None = None,
) -> Inspected:
    """What is in the layer, or in all layers of the image, at `source`, or below a path there.

    parents: the layer folders or tars below a layer, nearest first, base last. top: how many of the largest files and
    folders, and of the most common descriptors, are listed.

    Raises NotFoundError, UsageError, and what reading images and layers raises: a broken tar is an error, a registry
    that cannot be read is a note.
    """
    options = options or ImageOptions()
    places = LayerPlaces.of_options(parents, options)
    return inspect_places(places, source, top=top, temp_dir=places.temp_dir, progress=options.progress)


def inspect_places(
    places: LayerPlaces,
    place: LayerReference | str,
    *,
    top: int = 10,
    temp_dir: str | None = None,
    progress: ProgressCallback | None = None,
) -> Inspected:
    """inspect_layers for layers that `places` finds; temp_dir: the folder for temporary files."""
    place = parse_layer_place(place) if isinstance(place, str) else place
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
