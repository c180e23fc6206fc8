"""The tables and keys of image.toml: the type and the purpose of each, in one place.

From this come the checks (`spec`), the tables of docs/image-toml.md, and the JSON
schema for editors (docs/image.schema.json).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ..layertar.compression import LEVELS
from .acl import TEMPLATES

__all__ = ["ATTRIBUTES", "IMAGE", "REGISTRY", "TABLES", "Key"]

ATTRIBUTES: Final = {"readonly": 0x1, "hidden": 0x2, "system": 0x4, "not-content-indexed": 0x2000}


@dataclass(frozen=True, slots=True)
class Key:
    """kind: text, texts, flag, number, time, ports, attributes, a table of texts (`map`), a value of the registry
    (`value`), or a table of these (`values`). choices: all values.
    """

    kind: str
    text: str
    required: bool = False
    choices: tuple[str, ...] = ()


_LAYER: Final = Key("text", "The layer that this goes into; only, and always, where [image] has `layers`.")
_ACL: Final = Key("text", "A template for the target and all entries below it.", choices=tuple(TEMPLATES))
_SDDL: Final = Key("text", "The security descriptor of the target itself, in SDDL; entries below inherit from it.")
_OWNER: Final = Key("text", "The owner: an SDDL alias such as BA, a name such as ContainerUser, or a SID.")
_SECURITY: Final = {"acl": _ACL, "sddl": _SDDL, "owner": _OWNER, "layer": _LAYER}
_ATTRIBUTES: Final = Key("attributes", "Attributes to set.", choices=tuple(ATTRIBUTES))

IMAGE: Final[dict[str, Key]] = {
    "from": Key("text", "The base image; without it FROM scratch. Relative to this file's folder."),
    "entrypoint": Key("texts", "What the container runs, one argument each."),
    "cmd": Key("texts", "The arguments that it gets where none are given; without an entrypoint, what it runs."),
    "env": Key("map", "Environment variables."),
    "workdir": Key("text", "The working directory."),
    "user": Key("text", "The user that runs it, such as ContainerUser."),
    "ports": Key("ports", 'Ports that it listens on: 80, "80/tcp", "53/udp".'),
    "labels": Key("map", "Labels, in the image's config."),
    "annotations": Key("map", "Annotations, in the image's manifest."),
    "author": Key("text", "Who made it."),
    "created": Key("time", "When: 2024-01-31T12:00:00Z, or seconds since 1970. No file is newer."),
    "times": Key("text", "Keep the files' times, or set all to `created`.", choices=("files", "epoch")),
    "os-version": Key("text", "The Windows that it needs, such as 10.0.20348.2227; of a base that is an index, which."),
    "architecture": Key("text", "The processor.", choices=("amd64", "arm64")),
    "acl": Key("text", "The template for everything without a rule of its own.", choices=tuple(TEMPLATES)),
    "compress": Key("text", "The compression of the new layers.", choices=tuple(LEVELS)),
    "level": Key("number", "Compression level: 1 to 9 for gzip, 1 to 19 for zstd."),
    "layers": Key("texts", "Names of several new layers, the lowest first."),
}

TABLES: Final[dict[str, dict[str, Key]]] = {
    "files": {
        "source": Key("text", "A file or folder, relative to this file's folder.", required=True),
        "target": Key("text", "Where it goes; a slash at the end: into that directory. Default: the root of C:."),
        "exclude": Key("texts", "What to leave out of the folder, in gitignore's syntax."),
        "attributes": Key("attributes", "Attributes to set on the files.", choices=tuple(ATTRIBUTES)),
        **_SECURITY,
    },
    "directories": {
        "path": Key("text", "A directory, made if missing.", required=True),
        "attributes": _ATTRIBUTES,
        **_SECURITY,
    },
    "symlinks": {
        "path": Key("text", "Where the symlink is.", required=True),
        "target": Key("text", "Where it leads, relative to its directory or from C:\\.", required=True),
        "directory": Key("flag", "Does it lead to a directory? Default: looked up."),
        **_SECURITY,
    },
    "junctions": {
        "path": Key("text", "Where the junction is.", required=True),
        "target": Key("text", "The directory it leads to, from C:\\.", required=True),
        **_SECURITY,
    },
    "remove": {
        "path": Key("text", "A path of the layers below, which this layer deletes.", required=True),
        "layer": _LAYER,
    },
}

REGISTRY: Final[dict[str, Key]] = {
    "values": Key("values", "The values to set, or to delete, by name."),
    "default": Key("value", "The default value, which has no name."),
    "delete-values": Key("texts", "The names of values to delete."),
    "delete": Key("flag", "Delete the key with all below it first."),
    "sddl": Key("text", "The security descriptor of the key itself, in SDDL; new keys below it inherit."),
    "layer": _LAYER,
}
