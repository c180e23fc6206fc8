"""Two layers, or two images, compared: `layers.diff`, and what differs in the images' configs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from typing import Any, Final

from ..entry import Entry, Summary
from ..errors import UsageError
from ..layers.diff import ConfigChange, LayerDiff, diff_sources
from .layer_places import LayerPlace, LayerPlaces, parse_layer_place
from .reading import Image

__all__ = ["config_changes", "diff_layers"]

_BY_NAME: Final = "Env"  # a list of NAME=VALUE
_MADE_OF_LAYERS: Final = frozenset(("rootfs", "history"))
_MOVES: Final = frozenset(("created",))


def diff_layers(
    old: LayerPlace | str,
    new: LayerPlace | str,
    *,
    places: LayerPlaces | None = None,
    times: bool = False,
    registry: bool = True,
    temporary: str | None = None,
    progress: Callable[[Entry, Summary], None] | None = None,
) -> LayerDiff:
    """What differs between two layers, two images or two paths in them, as their containers see them.

    places: how to find them; without parents, choice and credentials if None. times: compare these too. registry:
    compare hives by keys and values, not as files. temporary: the folder for hives that are put aside.

    Raises NotFoundError, UsageError, and what reading images and layers raises.
    """
    sides = tuple(parse_layer_place(place) if isinstance(place, str) else place for place in (old, new))
    places = LayerPlaces() if places is None else places
    with ExitStack() as stack:
        one, other = (stack.enter_context(places.open(side)) for side in sides)
        if not one.layers or not other.layers:
            raise UsageError("an image without layers", path=sides[bool(one.layers)].text)
        found = diff_sources(
            one.sources,
            other.sources,
            bases=(one.layers[0].base, other.layers[0].base),
            inside=(sides[0].inside or "", sides[1].inside or ""),
            times=times,
            registry=registry,
            temporary=temporary,
            progress=progress,
        )
        whole = all(side.inside is None and side.place.layer is None for side in sides)
        if whole and one.image is not None and other.image is not None:
            found = replace(found, config=tuple(config_changes(one.image, other.image, times=times)))
        return found


def config_changes(old: Image, new: Image, *, times: bool = False) -> Iterator[ConfigChange]:
    """What differs in two configs, by field; not what follows from the layers. times: also when they were made."""
    one, other = _fields(old.config, times), _fields(new.config, times)
    for field in sorted({*one, *other}):
        if field not in one or field not in other or one[field] != other[field]:
            yield ConfigChange(field, one.get(field), other.get(field))


def _fields(config: Mapping[str, Any], times: bool) -> dict[str, Any]:
    """Its values by where they stand: `config.Cmd`, `config.Labels.NAME`, `config.Env.NAME`."""
    result: dict[str, Any] = {}
    waiting: list[tuple[str, Any]] = [
        (key, value) for key, value in config.items() if key not in _MADE_OF_LAYERS and (times or key not in _MOVES)
    ]
    while waiting:
        path, value = waiting.pop()
        if isinstance(value, Mapping) and value:
            waiting += ((f"{path}.{key}", inner) for key, inner in value.items())
        elif path == f"config.{_BY_NAME}" and isinstance(value, list):
            for variable in value:
                name, _, text = str(variable).partition("=")
                result[f"{path}.{name}"] = text
        elif value is not None and value not in ({}, []):
            result[path] = value
    return result
