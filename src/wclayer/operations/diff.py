"""Two layers, or two images, compared: `layers.diff`, and what differs in the images' configs."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Any, Final

from ..entry import ProgressCallback
from ..errors import UsageError
from ..images.options import ImageOptions
from ..images.reading import Image
from ..layers.diff.diff import ConfigChange, LayerDiff, diff_sources
from ..win32.names import upcase
from .layer_places import LayerPlaces, LayerReference, parse_layer_place

__all__ = ["config_changes", "diff_layers", "diff_places"]

_BY_NAME: Final = "Env"  # a list of NAME=VALUE
_SETS: Final = frozenset((("config", "ExposedPorts"), ("config", "Volumes")))  # objects whose keys count
_MADE_OF_LAYERS: Final = frozenset(("rootfs", "history"))
_MOVES: Final = frozenset(("created",))


def diff_layers(
    old: LayerReference | str,
    new: LayerReference | str,
    parents: Sequence[str | os.PathLike[str]] = (),
    *,
    times: bool = False,
    registry: bool = True,
    options: ImageOptions | None = None,
) -> LayerDiff:
    """What differs between two layers, two images or two paths in them, as their containers see them.

    parents: the layer folders or tars below both, nearest first, base last. times: compare these too. registry: compare
    hives by keys and values, not as files.

    Raises NotFoundError, UsageError, and what reading images and layers raises.
    """
    options = options or ImageOptions()
    places = LayerPlaces.of_options(parents, options)
    return diff_places(
        places, old, new, times=times, registry=registry, temp_dir=places.temp_dir, progress=options.progress
    )


def diff_places(
    places: LayerPlaces,
    old: LayerReference | str,
    new: LayerReference | str,
    *,
    times: bool = False,
    registry: bool = True,
    temp_dir: str | None = None,
    progress: ProgressCallback | None = None,
) -> LayerDiff:
    """diff_layers for layers that `places` finds; temp_dir: the folder for temporary files."""
    sides = tuple(parse_layer_place(place) if isinstance(place, str) else place for place in (old, new))
    with ExitStack() as stack:
        one, other = (stack.enter_context(places.open(side)) for side in sides)
        if not one.layers or not other.layers:
            raise UsageError("an image without layers", path=sides[bool(one.layers)].text)
        found = diff_sources(
            one.sources,
            other.sources,
            bases=(one.layers[0].base, other.layers[0].base),
            inside=(sides[0].inside or "", sides[1].inside or ""),
            names=([layer.name for layer in one.layers], [layer.name for layer in other.layers]),
            times=times,
            registry=registry,
            temp_dir=temp_dir,
            progress=progress,
        )
        whole = all(side.inside is None and side.place.layer is None for side in sides)
        if whole and one.image is not None and other.image is not None:
            found = replace(found, config=tuple(config_changes(one.image, other.image, times=times)))
        return found


def config_changes(old: Image, new: Image, *, times: bool = False) -> Iterator[ConfigChange]:
    """What differs in two configs, by field; not what follows from the layers. times: also when they were made.

    The order of environment variables is no difference, as long as none is there twice.
    """
    by_name = all(_is_by_name(image.config) for image in (old, new))
    one, other = (_fields(image.config, times=times, by_name=by_name) for image in (old, new))
    for path in sorted({*one, *other}):
        before, after = one.get(path), other.get(path)
        if path not in one or path not in other or _text(before) != _text(after):
            yield ConfigChange(".".join(path), before, after)


def _is_by_name(config: Mapping[str, Any]) -> bool:
    """Is the environment a list of NAME=VALUE with each name once? Names are the same to Windows in any case."""
    inner = config.get("config")
    variables = inner.get(_BY_NAME) if isinstance(inner, Mapping) else None
    if not variables:
        return True
    if not isinstance(variables, list) or not all(isinstance(one, str) and "=" in one[1:] for one in variables):
        return False
    return len({upcase(_variable(one)[0]) for one in variables}) == len(variables)


def _variable(text: str) -> tuple[str, str]:
    """Name and value; a name may begin with `=`."""
    at = text.index("=", 1)
    return text[:at], text[at + 1 :]


def _text(value: object) -> str:
    """The same for what is the same in JSON, where 1 is not true."""
    return json.dumps(value, sort_keys=True)


def _fields(config: Mapping[str, Any], *, times: bool, by_name: bool) -> dict[tuple[str, ...], Any]:
    """Its values by where they stand: `config`, `Cmd`; `config`, `Labels`, NAME; `config`, `Env`, NAME."""
    result: dict[tuple[str, ...], Any] = {}
    waiting: list[tuple[tuple[str, ...], Any]] = [
        ((key,), value) for key, value in config.items() if key not in _MADE_OF_LAYERS and (times or key not in _MOVES)
    ]
    while waiting:
        path, value = waiting.pop()
        if isinstance(value, Mapping) and value:
            waiting += (((*path, key), inner) for key, inner in value.items())
        elif by_name and path == ("config", _BY_NAME) and isinstance(value, list):
            for name, text in map(_variable, value):
                result[*path, name] = text
        elif path[:-1] in _SETS or (value is not None and value not in ({}, [])):
            result[path] = value
    return result
