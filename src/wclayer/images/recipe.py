"""What an image is to be: the values that image.toml and the command line fill in, and that `build` reads.

Paths of targets are those of drive C:, relative, with `/`: `Windows/System32/x.dll`.
Sources are paths of the host.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

__all__ = [
    "Config",
    "DirectoryRule",
    "FilesRule",
    "JunctionRule",
    "LayerRecipe",
    "Recipe",
    "RemoveRule",
    "Security",
    "SymlinkRule",
]

Times = Literal["files", "epoch"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Security:
    """Whose a file is and who may do what with it; what is None is not said.

    acl: the name of a template (see `acl`). sddl: a security descriptor in SDDL, for the target itself; what lies below
    it inherits. owner: an account's name, SDDL alias or SID. At most one of acl and sddl.
    """

    acl: str | None = None
    sddl: str | None = None
    owner: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FilesRule:
    """A file or folder of the host that becomes `target`; a folder's content goes into it.

    into: `target` is the directory that a file goes into, under its own name; so is the root, if target is empty.
    exclude: patterns in gitignore's syntax, relative to the source. attributes: FILE_ATTRIBUTE_* bits to set on every
    file brought (not on directories).
    """

    source: str
    target: str = ""
    into: bool = False
    security: Security = Security()
    attributes: int = 0
    exclude: tuple[str, ...] = ()


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
    """What a layer below has and this one deletes: a whiteout."""

    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerRecipe:
    """One layer, base or on top; `comment` goes into the image's history."""

    files: tuple[FilesRule, ...] = ()
    directories: tuple[DirectoryRule, ...] = ()
    symlinks: tuple[SymlinkRule, ...] = ()
    junctions: tuple[JunctionRule, ...] = ()
    remove: tuple[RemoveRule, ...] = ()
    name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """What the image's config says of running it; None leaves what the base has, as do empty mappings and tuples."""

    entrypoint: tuple[str, ...] | None = None
    cmd: tuple[str, ...] | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    workdir: str | None = None
    user: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    ports: tuple[str, ...] = ()
    author: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A whole image. `base` is the place of the image below, None for one FROM scratch."""

    layers: tuple[LayerRecipe, ...]
    base: str | None = None
    context: str | None = None
    """A folder whose .wclayerignore holds for all sources in it; each source's own does anyway."""
    config: Config = Config()
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
