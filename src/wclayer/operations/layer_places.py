"""Where layers are looked into: a layer tar or folder, all layers of an image, one of them, and a path inside.

    FILE, DIR, transport:DIR    a layer tar (plain, gzip or zstd) or a layer folder, on the parents given with it
    -                           a layer tar from stdin
    PLACE                       an image, all its layers, as a container on it sees them
    PLACE#N                     only its layer N
    ...//Files/Windows/win.ini  a path in any of them

Of a plain path the two slashes count only after what is a layer, as they may stand in
any path.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import BinaryIO, Final

from ..distribution.registries import Registries
from ..entry import Source
from ..errors import UsageError
from ..images.choosing import ImageSelector
from ..images.one_layer import layer_of
from ..images.options import ImageOptions
from ..images.places.parse import ImageReference, parse_place
from ..images.reading import Image, open_image
from ..layers.opening import open_layer
from ..layertar.reader import TarSource
from ..stores.folder.source import LayerFolder
from ..stores.transport.folder import TransportFolder
from ..union.naming import NamedLayers
from ..union.rules import FILES

__all__ = ["STDIN", "LayerPlaces", "LayerReference", "OpenLayer", "OpenLayers", "is_layer", "parse_layer_place"]

STDIN: Final = "-"
_TARS: Final = (b"\x1f\x8b", b"\x28\xb5\x2f\xfd")  # gzip, zstd
_TAR_MAGIC: Final = b"ustar"
_TAR_MAGIC_AT: Final = 257
_LAYER_NAMES: Final = (FILES, "layer.db")


@dataclass(frozen=True, slots=True)
class LayerReference:
    """A place taken apart; `text` is what it was made of.

    place: the layer or image. inside: the path in it, with `/`, "" for its root; None where no path was said.
    """

    text: str
    place: ImageReference
    inside: str | None = None


def parse_layer_place(text: str) -> LayerReference:
    """Take a place of layers apart. A plain path is looked at on the host. Raises UsageError."""
    place = parse_place(text)
    inside = place.inside
    if place.is_image:
        if inside is not None:
            place = replace(place, text=text[: len(text) - len(inside) - 2], inside=None)
    elif (at := _end_of_layer(text)) is not None:
        place, inside = parse_place(text[:at]), text[at + 2 :]
    return LayerReference(text, place, None if inside is None else _cleaned(inside))


def _cleaned(path: str) -> str:
    """A path without empty components and `.`."""
    return "/".join(part for part in path.split("/") if part not in ("", "."))


def _end_of_layer(text: str) -> int | None:
    """Where the two slashes are before which there is a layer, if any are; `-` and transport:DIR are one."""
    begin = len("transport:") if text.startswith("transport:") else 0
    at = text.find("//", begin + 1)
    while at > 0 and not (text[begin:at] == STDIN or (begin and os.path.isdir(text[begin:at])) or is_layer(text[:at])):
        at = text.find("//", at + 1)
    return at if at > 0 else None


def is_layer(path: str) -> bool:
    """Is there a layer folder or tar at the host path?"""
    if os.path.isdir(path):
        return any(os.path.lexists(os.path.join(path, name)) for name in _LAYER_NAMES)
    try:
        with open(path, "rb") as file:
            front = file.read(_TAR_MAGIC_AT + len(_TAR_MAGIC))
    except OSError:
        return False
    return front.startswith(_TARS) or front[_TAR_MAGIC_AT:] == _TAR_MAGIC


@dataclass(frozen=True, slots=True)
class OpenLayer:
    """A layer that can be read: `name` as messages call it, and whether it is the base of those it was found with."""

    name: str
    source: Source
    base: bool


@dataclass(frozen=True, slots=True)
class OpenLayers:
    """The layers at a place, base first; the image that they are of, if they are."""

    layers: tuple[OpenLayer, ...]
    image: Image | None = None

    @property
    def sources(self) -> NamedLayers:
        """The layers as sources, base first; errors in them say which one it is."""
        return NamedLayers((layer.source for layer in self.layers), (layer.name for layer in self.layers))


class LayerPlaces:
    """Layers, from wherever they are.

    parents: layer folders or tars below one that is named, nearest first. selector: which image of an index. temporary:
    the folder for what cannot be read from where it is. registries: how to reach images that are in one. stdin: what
    `-` stands for.
    """

    def __init__(
        self,
        *,
        parents: Sequence[str] = (),
        selector: ImageSelector | None = None,
        temp_dir: str | None = None,
        registries: Registries | None = None,
        stdin: BinaryIO | None = None,
    ) -> None:
        self.parents = parents
        self.selector = selector
        self.temp_dir = temp_dir
        self.registries = registries
        self._stdin = stdin
        self._stdin_read = False

    @classmethod
    def of_options(cls, parents: Sequence[str | os.PathLike[str]], options: ImageOptions) -> LayerPlaces:
        """The same from the arguments of public functions."""
        return cls(
            parents=[os.fspath(parent) for parent in parents],
            selector=options.selector,
            temp_dir=None if options.temp_dir is None else os.fspath(options.temp_dir),
            registries=options.registries,
        )

    @contextmanager
    def open(self, place: LayerReference, *, alone: bool = True) -> Iterator[OpenLayers]:
        """The layers at a place, base first. alone: of an image's layer number N, that one; else those up to it.

        Nothing of a layer is read yet. Raises UsageError for parents of an image, and for stdin twice, NotFoundError,
        and what opening images and layer folders raises.
        """
        with ExitStack() as stack:
            if place.place.is_image:
                yield self._of_image(stack, place.place, alone=alone)
                return
            found: list[OpenLayer] = []
            for path in (*reversed(self.parents), _path(place.place)):
                source = self._tar_or_folder(path)
                if isinstance(source, LayerFolder):
                    stack.enter_context(source)
                base = not found and (bool(self.parents) or _may_be_base(source))
                found.append(OpenLayer(os.fspath(path), source, base))
            yield OpenLayers(tuple(found))

    def _of_image(self, stack: ExitStack, place: ImageReference, *, alone: bool) -> OpenLayers:
        if self.parents:
            raise UsageError("-l is for a layer folder or tar", got=place.text)
        image = stack.enter_context(
            open_image(
                place, options=ImageOptions(selector=self.selector, temp_dir=self.temp_dir, registries=self.registries)
            )
        )
        layers = image.layers
        if place.layer is not None:
            last = layer_of(image, place.layer)
            layers = (last,) if alone else layers[: last.number + 1]
        return OpenLayers(tuple(OpenLayer(layer.name, layer.source(), layer.number == 0) for layer in layers), image)

    def _tar_or_folder(self, path: str | TransportFolder) -> LayerFolder | TarSource:
        if path != STDIN or self._stdin is None:
            return open_layer(path)
        if self._stdin_read:
            raise UsageError("stdin, for more than one layer", got=STDIN, hint="give all but one by their names")
        self._stdin_read = True
        return TarSource(self._stdin)


def _path(place: ImageReference) -> str | TransportFolder:
    if place.transport == "disk":
        raise UsageError("a disk image that is not mounted", path=place.text, hint="see mounted_volume()")
    return TransportFolder(place.path) if place.transport == "transport" else place.path


def _may_be_base(source: Source) -> bool:
    """Is a layer without parents a base layer, as far as can be said before it is read?"""
    return source.base if isinstance(source, LayerFolder) else True
