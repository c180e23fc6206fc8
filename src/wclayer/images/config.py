"""What must hold of an image's manifest and config, whatever else they say ([image-spec] manifest.md, config.md)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from ..errors import ImageError
from .descriptors import CONFIGS, Descriptor, Platform, oci_layer_type
from .documents import check_date, named, objects, parse_json

__all__ = ["Checked", "check_config", "check_manifest"]

_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}", re.ASCII)


# The names of Go's structures (specs-go/v1, Docker's for Windows), for `named`.
_MANIFEST: Final = ("schemaVersion", "mediaType", "config", "layers", "annotations", "subject", "artifactType")
_PLATFORM: Final = ("architecture", "variant", "os", "os.version", "os.features")
_CONFIG: Final = (*_PLATFORM, "config", "rootfs", "history", "created", "author")
_ROOTFS: Final = ("type", "diff_ids")
_HISTORY: Final = ("created", "created_by", "author", "comment", "empty_layer")
_RUN_OCI: Final = ("User", "ExposedPorts", "Env", "Entrypoint", "Cmd", "Volumes", "WorkingDir", "Labels", "StopSignal")
_RUN: Final = (*_RUN_OCI, "ArgsEscaped", "Healthcheck", "OnBuild", "Shell")


@dataclass(frozen=True, slots=True)
class Checked:
    """A config, and of each layer its diff_id and its entry of the history, if there is one.

    value: all of it, its names spelled as OCI has them.
    """

    value: dict[str, Any]
    platform: Platform
    diff_ids: tuple[str, ...]
    history: tuple[Mapping[str, Any] | None, ...]


def check_manifest(data: bytes, found: Descriptor) -> tuple[dict[str, Any], Descriptor, list[Descriptor]]:
    """A manifest, its config's descriptor, and those of its layers, base first. Raises ImageError."""
    what = f"manifest {found.digest}"
    value = parse_json(data, what)
    if isinstance(value, dict):
        value = named(value, _MANIFEST, what)
    if not isinstance(value, dict) or type(value.get("schemaVersion")) is not int or value["schemaVersion"] != 2:
        raise ImageError(f"{what} is no image manifest", expected='an object with "schemaVersion": 2')
    media_type = value.get("mediaType")
    if media_type is not None and media_type != found.media_type:
        raise ImageError(
            f"the media type of {what} is not that of its descriptor", expected=found.media_type, got=media_type
        )
    config = Descriptor.from_json(value.get("config"), f"the config of {what}")
    if config.media_type not in CONFIGS:
        raise ImageError(f"{what} is no container image", expected="an image config", got=config.media_type)
    layers = [
        Descriptor.from_json(one, f"layer {number} of {what}")
        for number, one in enumerate(objects(value, "layers", what))
    ]
    if not layers:
        raise ImageError("an image without layers", expected="a base layer at least")
    for layer in layers:
        oci_layer_type(layer.media_type)
    annotations = {} if value.get("annotations") is None else value["annotations"]
    if not isinstance(annotations, Mapping) or not all(isinstance(text, str) for text in annotations.values()):
        raise ImageError(f"the annotations of {what}", expected="an object of texts")
    return value, config, layers


def check_config(data: bytes, count: int, given: Platform | None) -> Checked:
    """The config of an image of `count` layers; given: the platform that its descriptor names, if it does.

    Raises ImageError.
    """
    what = "the config"
    value = parse_json(data, what)
    if not isinstance(value, dict):
        raise ImageError("the config is no object", expected="an object", got=type(value).__name__)
    value = named(value, _CONFIG, what)
    for key, names in (("config", _RUN), ("rootfs", _ROOTFS)):
        if isinstance(value.get(key), dict):
            value[key] = named(value[key], names, f"{key} of {what}")
    if isinstance(value.get("history"), list):
        value["history"] = [
            named(entry, _HISTORY, f"entry {number} of the history") if isinstance(entry, dict) else entry
            for number, entry in enumerate(value["history"])
        ]
    platform = Platform.from_json(value, what)
    if platform.os != "windows":
        raise ImageError("not a Windows image", expected="windows", got=f"{platform.os}/{platform.architecture}")
    if given is not None:
        _check_platform(given, platform)
    if value.get("created") is not None:
        check_date(value["created"], what)
    return Checked(value, platform, _diff_ids(value, count), _history(value, count))


def _check_platform(given: Platform, platform: Platform) -> None:
    pairs: list[tuple[str, object, object]] = [
        ("os", given.os, platform.os),
        ("architecture", given.architecture, platform.architecture),
    ]
    if given.os_version is not None:
        pairs.append(("os.version", given.os_version, platform.os_version))
    if given.os_features and platform.os_features:
        pairs.append(("os.features", sorted(given.os_features), sorted(platform.os_features)))
    for key, theirs, ours in pairs:
        if theirs != ours:
            raise ImageError(f"{key} in the index is not that of the config", expected=ours or "none", got=theirs)


def _diff_ids(value: Mapping[str, Any], count: int) -> tuple[str, ...]:
    rootfs = value.get("rootfs")
    if not isinstance(rootfs, Mapping) or rootfs.get("type") != "layers":
        got = rootfs.get("type") if isinstance(rootfs, Mapping) else rootfs
        raise ImageError("rootfs.type of the config", expected='"layers"', got=repr(got)[:100])
    found = rootfs.get("diff_ids")
    if not isinstance(found, list):
        raise ImageError("rootfs.diff_ids of the config", expected="a list of digests", got=repr(found)[:100])
    for number, one in enumerate(found):
        if not isinstance(one, str) or not _DIGEST.fullmatch(one):
            raise ImageError(
                f"diff_id {number} of the config",
                expected="sha256: and 64 lower-case hexadecimal digits",
                got=repr(one)[:100],
            )
    if len(found) != count:
        raise ImageError("diff_ids of the config", expected=f"{count}, as the manifest has layers", got=len(found))
    return tuple(found)


def _history(value: Mapping[str, Any], count: int) -> tuple[Mapping[str, Any] | None, ...]:
    history = [] if value.get("history") is None else objects(value, "history", "the config")
    if not history:
        return (None,) * count
    layers: list[Mapping[str, Any]] = []
    for number, entry in enumerate(history):
        what = f"entry {number} of the history"
        if entry.get("created") is not None:
            check_date(entry["created"], what)
        for key in ("created_by", "comment", "author"):
            if not isinstance(entry.get(key, ""), str):
                raise ImageError(f"{key} of {what}", expected="text", got=repr(entry[key])[:100])
        empty = entry.get("empty_layer", False)
        if not isinstance(empty, bool):
            raise ImageError(f"empty_layer of {what}", expected="true or false", got=repr(empty)[:100])
        if not empty:
            layers.append(entry)
    if len(layers) != count:
        raise ImageError(
            "the history of the config", expected=f"{count} entries that have a layer, as the manifest", got=len(layers)
        )
    return tuple(layers)
