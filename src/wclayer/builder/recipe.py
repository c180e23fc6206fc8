"""The description of a new image: image.toml and the command line fill in these values, `build` reads them.

Paths of targets are those of drive C:, relative, with `/`: `Windows/System32/x.dll`.
Sources are paths of the host.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from os import stat_result
from typing import Any, Literal, Protocol

from ..entry import AlternateStream, Body, Directory, File
from ..images.spec.config_settings import Config
from ..regf.edits import KeyEdits

__all__ = [
    "DirectoryRule",
    "FilesRule",
    "Folder",
    "Ignoring",
    "JunctionRule",
    "LayerRecipe",
    "Recipe",
    "RemoveRule",
    "Security",
    "Step",
    "SymlinkRule",
    "recipe_of",
]

Times = Literal["files", "epoch"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Security:
    """Owner and access control list of a file; None where the recipe does not set it.

    acl: the name of a template (see `acl`). sddl: a security descriptor in SDDL, for the target itself; what lies below
    it inherits. owner: an account's name, SDDL alias or SID. At most one of acl and sddl.
    """

    acl: str | None = None
    sddl: str | None = None
    owner: str | None = None


class Ignoring(Protocol):
    """What to leave out of a folder; paths are relative to it, with `/`."""

    def match(self, path: bytes, directory: bool, /) -> bool:
        """Is this name itself left out?"""

    def may_reopen(self, path: bytes, /) -> bool:
        """Can a later pattern include a file below a directory that is left out?"""


class Folder(Protocol):
    """A tree of files that is not the host's own; paths are bytes with `/`, b"" is its root."""

    path: bytes
    left_out: int

    def list(self, directory: bytes, /) -> Sequence[tuple[bytes, stat_result]]: ...

    def look(self, host: bytes, /) -> stat_result: ...

    def stat(self) -> stat_result: ...

    def shown(self, host: bytes, /) -> str: ...

    def open(self, host: bytes, found: stat_result, /) -> Body: ...

    def read(self, host: bytes, found: stat_result, /) -> bytes: ...

    def readlink(self, host: bytes, /) -> bytes: ...

    def entry(self, host: bytes, /) -> Directory | File | None:
        """Its Windows metadata, as a layer entry; None if the folder has none."""

    def streams(self, host: bytes, /) -> Iterator[tuple[AlternateStream, Body]]: ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class FilesRule:
    """A file or folder of the host that becomes `target`; a folder's content goes into it.

    into: `target` is the directory that a file goes into, under its own name; so is the root, if target is empty. None:
    if it is a directory already. attributes: FILE_ATTRIBUTE_* bits to set on every file brought (not on directories).
    exclude: patterns in gitignore's syntax, relative to the source. ignore: what to leave out of the source in place of
    what .wclayerignore says. folder: where the source is if it is not the host's; `source` is then a path in there.
    name: what a file is called where it goes into a directory, if not as the source.
    """

    source: str
    target: str = ""
    into: bool | None = False
    security: Security = Security()
    attributes: int = 0
    exclude: tuple[str, ...] = ()
    ignore: tuple[Ignoring, ...] | None = None
    folder: Folder | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectoryRule:
    """A directory, made if the other rules bring none; with security or attributes of its own."""

    path: str
    security: Security = Security()
    attributes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SymlinkRule:
    """A symlink; `target` as Windows is to have it, with `\\` or `/`.

    directory: whether it leads to a directory; None to find out.
    """

    path: str
    target: str
    directory: bool | None = None
    security: Security = Security()


@dataclass(frozen=True, slots=True, kw_only=True)
class JunctionRule:
    """A junction (mount point); `target` is absolute, `C:\\...`."""

    path: str
    target: str
    security: Security = Security()


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveRule:
    """A path of the layers below that this layer deletes: a whiteout."""

    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerRecipe:
    """One layer, base or on top; `name` goes into the image's history.

    later_wins: of two files of one name the one of the later rule counts, as in Dockerfiles; otherwise it is an error.
    registry: its changes of the registry, below the names of the registry's roots (`HKEY_LOCAL_MACHINE`).
    """

    files: tuple[FilesRule, ...] = ()
    directories: tuple[DirectoryRule, ...] = ()
    symlinks: tuple[SymlinkRule, ...] = ()
    junctions: tuple[JunctionRule, ...] = ()
    remove: tuple[RemoveRule, ...] = ()
    name: str | None = None
    later_wins: bool = False
    registry: KeyEdits | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """An entry of the image's history; `layer`: it made one."""

    created_by: str
    layer: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A whole image. `base` is the place of the image below, None for one FROM scratch."""

    layers: tuple[LayerRecipe, ...]
    base: str | None = None
    context: str | None = None
    """A folder whose .wclayerignore holds for all sources in it; each source's own does anyway."""
    run: Mapping[str, Any] | None = None
    """The config's own `config`, to put `config` over; None for the base's."""
    history: tuple[Step, ...] = ()
    """The new entries of the history, one of them for each layer; made from the layers' names, if empty."""
    registry: KeyEdits | None = None
    """Further changes of the registry, made after all others in the uppermost new layer."""
    fix_base_hives: bool = False
    """Put minimal registry hives into the lowest new layer where those of the base are empty or missing."""
    config: Config = field(default_factory=Config)
    annotations: Mapping[str, str] = field(default_factory=dict)
    os_version: str | None = None
    architecture: str | None = None
    created: int | None = None
    """Seconds since 1970; None for the newest mtime of the sources."""
    acl: str = "default"
    """The template for new files and directories about which no rule says anything."""
    times: Times = "files"
    """`files`: those of the files, none later than `created` where that is given; `epoch`: all are `created`."""
    compression: Literal["gzip", "zstd", "none"] = "gzip"
    level: int | None = None


def recipe_of(
    source: Recipe | str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    *,
    base: str | None = None,
    entrypoint: Sequence[str] | None = None,
    cmd: Sequence[str] | None = None,
    env: Mapping[str, str] | None = None,
    workdir: str | None = None,
    user: str | None = None,
    labels: Mapping[str, str] | None = None,
    ports: Sequence[str] = (),
    annotations: Mapping[str, str] | None = None,
    os_version: str | None = None,
    architecture: str | None = None,
    created: int | None = None,
    times: Times | None = None,
    acl: str | None = None,
    compression: Literal["gzip", "zstd", "none"] | None = None,
    level: int | None = None,
) -> Recipe:
    """A recipe with the given settings in place of its own; mappings and ports are added to its own.

    source: a recipe, or folders of which each becomes a layer, the first one lowest.
    """
    if isinstance(source, Recipe):
        recipe = source
    else:
        folders = [source] if isinstance(source, str | os.PathLike) else source
        layers = (LayerRecipe(files=(FilesRule(source=os.fspath(folder)),)) for folder in folders)
        recipe = Recipe(layers=tuple(layers))
    config = recipe.config
    config = replace(
        config,
        entrypoint=config.entrypoint if entrypoint is None else tuple(entrypoint),
        cmd=config.cmd if cmd is None else tuple(cmd),
        env={**config.env, **(env or {})},
        labels={**config.labels, **(labels or {})},
        ports=(*config.ports, *ports),
        workdir=config.workdir if workdir is None else workdir,
        user=config.user if user is None else user,
    )
    return replace(
        recipe,
        config=config,
        annotations={**recipe.annotations, **(annotations or {})},
        base=base or recipe.base,
        os_version=os_version or recipe.os_version,
        architecture=architecture or recipe.architecture,
        created=recipe.created if created is None else created,
        times=times or recipe.times,
        acl=acl or recipe.acl,
        compression=compression or recipe.compression,
        level=recipe.level if level is None else level,
    )
