r"""Where hives are: in a file, in a layer or an image, or all of those of an image, laid over each other.

    FILE                          a hive; keys are named from its root: Microsoft\Windows
    PLACE//Files/.../SOFTWARE     a file in an image, layer folder or layer tar, as the layers show it; keys likewise
    PLACE                         what a container on it has as its registry; keys are named as there: HKLM\SOFTWARE\...

A PLACE is what `places` parses. Of an image, `#N` before a path is layer N by itself;
where the registry is looked at, it is the last layer that counts.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Final, Protocol

from ..body import read_up_to
from ..builder.copy_from import ImageTree
from ..distribution.registries import Registries
from ..errors import HiveError, LayerError, NotFoundError, UsageError
from ..host.errors import host_errors
from ..images.choosing import ImageSelector
from ..images.places.parse import ImageReference
from ..layers.hives.config_hives import (
    CONFIG_HIVES,
    MAX_HIVE,
    ConfigHive,
    check_size,
    control_set,
    hive_context,
    locate,
    root_path,
)
from ..layers.hives.merge import HiveStack, collect_hives
from ..regf.model import Hive, Key
from ..regf.reader import read_hive
from ..regf.reg_text import ROOTS
from ..stores.folder.source import LayerFolder
from ..union.rules import FILES, HIVES, UTILITY_VM
from ..win32.names import encode_wtf8, upcase
from .layer_places import STDIN, LayerPlaces, LayerReference, is_layer, parse_layer_place

__all__ = ["HivePlace", "HivePlaces", "Seen", "config_hive", "key_at", "parse_hive_place", "registry_path"]

_ROOT_NAMES: Final = frozenset((*ROOTS, *ROOTS.values()))
_PARENTS: Final = "give its parents with -l, nearest first, base last"
# Where Windows loads other hives, by their file names.
_OTHERS: Final = {
    "BCD": "HKEY_LOCAL_MACHINE\\BCD00000000",
    "COMPONENTS": "HKEY_LOCAL_MACHINE\\COMPONENTS",
    "DRIVERS": "HKEY_LOCAL_MACHINE\\DRIVERS",
    "NTUSER.DAT": "HKEY_CURRENT_USER",
    "USRCLASS.DAT": "HKEY_CURRENT_USER\\Software\\Classes",
}


class Readable(Protocol):
    """What a hive is read from."""

    def read(self, n: int, /) -> bytes: ...


@dataclass(frozen=True, slots=True)
class HivePlace:
    """What a place of a hive was parsed into; `text` is what it was made of.

    place: the layer or image, None for a file. inside: the path in it, None where it is itself what is named.
    """

    text: str
    place: ImageReference | None = None
    inside: str | None = None

    @property
    def whole(self) -> bool:
        """Is it an image or layers, not one hive?"""
        return self.place is not None and self.inside is None


def parse_hive_place(text: str) -> HivePlace:
    """Take the place of a hive apart; a plain path is looked at, as two slashes may stand in any. Raises UsageError."""
    found = parse_layer_place(text)
    if found.place.transport == "path" and found.inside is None and (text == STDIN or not is_layer(text)):
        return HivePlace(text)
    if found.inside is None:
        return HivePlace(text, found.place)
    parts = found.inside.split("/")
    if len(parts) < 2 or upcase(parts[0]) not in map(upcase, (FILES, HIVES, UTILITY_VM)):
        expected = f"{FILES}/..., {HIVES}/... or {UTILITY_VM}/..."
        raise UsageError("no path of a hive in a layer", path=text, expected=expected)
    return HivePlace(text, found.place, found.inside)


def config_hive(place: HivePlace) -> ConfigHive | None:
    """Which of the five hives of a container a file is, by its name."""
    name = _file_name(place)
    for hive in CONFIG_HIVES:
        if name in (upcase(hive.name), upcase(hive.delta.rpartition("/")[2])):
            return hive
    return None


def registry_path(place: HivePlace) -> str | None:
    r"""Where Windows shows a hive of that file name, `HKEY_LOCAL_MACHINE\SOFTWARE` say; None if that is not known."""
    config = config_hive(place)
    return _OTHERS.get(_file_name(place)) if config is None else root_path(config)


def _file_name(place: HivePlace) -> str:
    return upcase((place.inside or place.text).replace("\\", "/").rpartition("/")[2])


@dataclass(frozen=True, slots=True)
class Seen:
    """A key of a hive.

    path: from the hive's root, as the hive spells it. registry_path: of the hive's root, where that is known.
    """

    place: HivePlace
    hive: Hive
    key: Key
    path: str
    registry_path: str | None

    @property
    def name(self) -> str:
        """The key as it is named at its place."""
        return f"{self.registry_path}\\{self.path}".rstrip("\\") if self.place.whole else self.path

    @property
    def shown(self) -> str:
        """The key as messages name it."""
        return f"{self.place.text} {self.name}".rstrip()


class HivePlaces:
    """Hives, from wherever they are. `warnings` takes what was met on the way that people may want to know.

    parents: layer folders or tars below one that is named, nearest first. selector: which image of an index.
    accept_dirty: read a hive that was not completely written as it is. temp_dir: the folder for what is taken out of
    layers. registries: how to reach images that are in one. stdin: what `-` stands for.
    """

    def __init__(
        self,
        *,
        parents: Sequence[str] = (),
        selector: ImageSelector | None = None,
        accept_dirty: bool = False,
        temp_dir: str | None = None,
        registries: Registries | None = None,
        stdin: Readable | None = None,
    ) -> None:
        self._parents = parents
        self._layers = LayerPlaces(parents=parents, selector=selector, temp_dir=temp_dir, registries=registries)
        self._accept_dirty = accept_dirty
        self._temporary = temp_dir
        self._stdin = stdin
        self._stdin_read = False
        self.warnings: list[str] = []

    # --- one hive -----------------------------------------------------------------

    def data(self, place: HivePlace) -> bytes:
        """The bytes of the hive at a place, whatever they are.

        Raises NotFoundError, UsageError for an image or layer itself, LayerError for a path that leads through a link,
        HiveError for what is too large to be one, and what reading images and layers raises.
        """
        if place.place is None:
            return self._file(place.text)
        if place.inside is None:
            raise UsageError(
                "an image or layer, where one hive must be",
                path=place.text,
                hint=f"name the hive in it: {place.text}//{CONFIG_HIVES[-1].config}",
            )
        root, _, path = place.inside.partition("/")
        with (
            self._layers.open(LayerReference(place.text, place.place), alone=True) as found,
            closing(
                ImageTree.of_layers(
                    found.sources, [path], name=place.place.text, literal=True, root=root, temp_dir=self._temporary
                )
            ) as taken,
        ):
            host = encode_wtf8(taken.spelled(path))
            if taken.is_directory(path):
                raise UsageError("a folder, where a hive must be", path=place.text)
            if (target := taken.link(path)) is not None:
                raise UsageError("a link, where a hive must be", path=place.text, got=f"a link to {target}")
            status = taken.look(host)
            check_size(status.st_size, place.text)
            return taken.read(host, status)

    def hive(self, place: HivePlace) -> Hive:
        """The hive at a place. Raises HiveError, and as data()."""
        return self.parsed(self.data(place), place)

    def parsed(self, data: bytes, place: HivePlace) -> Hive:
        """The hive in bytes that are from a place. Raises HiveError."""
        with hive_context(place.text, only=HiveError):
            return read_hive(data, accept_dirty=self._accept_dirty)

    def _file(self, path: str) -> bytes:
        if self._parents:
            raise UsageError("-l is for a layer folder or tar", got=path)
        if path == "-" and self._stdin is not None:
            if self._stdin_read:
                raise UsageError("stdin, for more than one file", got=path, hint="give all but one by their names")
            self._stdin_read = True
            data = read_up_to(self._stdin.read, MAX_HIVE)
        else:
            with host_errors(path):
                if os.path.isdir(path):
                    raise UsageError("a folder, where a hive must be", path=path)
                try:
                    with open(path, "rb") as file:
                        data = read_up_to(file.read, MAX_HIVE)
                except FileNotFoundError:
                    raise NotFoundError("no such file", path=path) from None
        check_size(len(data), path)
        return data

    # --- keys ---------------------------------------------------------------------

    def seen(self, place: HivePlace, path: str) -> Seen:
        """The key at a path: of the hive at a place, from its root; of an image or layers, a path of the registry.

        Raises as hive() and registry(), NotFoundError for no such key, UsageError for a path of the other kind.
        """
        if not place.whole:
            hive = self.hive(place)
            key, spelled = key_at(hive.root, path, place.text)
            return Seen(place, hive, key, spelled, registry_path(place))
        if not path.strip("\\"):
            expected = ", ".join(map(root_path, CONFIG_HIVES))
            raise UsageError("which key of the registry?", path=place.text, expected=f"one in {expected}")
        config, _ = locate(path)
        with self.registry(place) as files:
            return self.in_registry(files, place, config, path)

    def in_registry(self, files: HiveStack, place: HivePlace, config: ConfigHive, path: str) -> Seen:
        """The key at a path of the registry, which is in the hive `config`, of what registry() gave."""
        names = locate(path)[1]
        view = files.view(config)
        if view is None:
            raise NotFoundError("no layer has this hive", path=place.text, expected=config.config, got=path)
        names = control_set(config, names, view.root)
        key, spelled = key_at(view.root, "\\".join(names), place.text)
        return Seen(place, view, key, spelled, root_path(config))

    @contextmanager
    def registry(self, place: HivePlace) -> Iterator[HiveStack]:
        """The hives of an image or of layers. Raises UsageError for a layer without the base below it, LayerError,
        HiveError, and what reading images and layers raises."""
        if place.place is None or place.inside is not None:
            raise UsageError("one hive, where an image or layer must be", path=place.text)
        with self._layers.open(LayerReference(place.text, place.place), alone=False) as found:
            layers = found.sources
            if any(isinstance(lowest, LayerFolder) and not lowest.base for lowest in layers[:1]):
                raise UsageError("a non-base layer without those below it", path=place.text, hint=_PARENTS)
            try:
                files = collect_hives(layers, temp_dir=self._temporary, accept_dirty=self._accept_dirty)
            except LayerError as error:
                if len(layers) == 1 and not place.place.is_image:
                    error.hint = _PARENTS
                raise
        with files:
            yield files
            self.warnings += files.warnings


def key_at(root: Key, path: str, name: str) -> tuple[Key, str]:
    """The key at a path below the root of a hive, and the path as the hive spells it; name: the hive's, for errors.

    Raises NotFoundError, and UsageError for a path of the registry.
    """
    key = root
    spelled: list[str] = []
    for part in filter(None, path.split("\\")):
        below = key.subkey(part)
        if below is None and not spelled and part.upper() in _ROOT_NAMES:
            raise UsageError(
                "a path of the registry, in a single hive",
                path=name,
                expected="a path from the hive's root, Microsoft\\Windows",
                got=path,
                hint="whole images and layers are asked for paths of the registry",
            )
        if below is None:
            above = "\\".join(spelled) or "its root"
            raise NotFoundError("the hive has no such key", path=name, expected=f"a subkey of {above}", got=path)
        key = below
        spelled.append(below.name)
    return key, "\\".join(spelled)
