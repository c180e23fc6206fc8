"""Check an image's manifest and config ([image-spec] manifest.md, config.md)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NoReturn, cast

from ...codes import Code
from ...errors import ImageError
from .descriptors import CONFIGS, Descriptor, Platform, oci_layer_type
from .documents import check_date, named, objects, parse_json

__all__ = ["Checked", "Fault", "check_config", "check_manifest", "read_manifest", "refuse"]

_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}", re.ASCII)


# The names of Go's structures (specs-go/v1, Docker's for Windows), for `named`.
_MANIFEST: Final = ("schemaVersion", "mediaType", "config", "layers", "annotations", "subject", "artifactType")
_PLATFORM: Final = ("architecture", "variant", "os", "os.version", "os.features")
_CONFIG: Final = (*_PLATFORM, "config", "rootfs", "history", "created", "author")
_ROOTFS: Final = ("type", "diff_ids")
_HISTORY: Final = ("created", "created_by", "author", "comment", "empty_layer")
_RUN_OCI: Final = ("User", "ExposedPorts", "Env", "Entrypoint", "Cmd", "Volumes", "WorkingDir", "Labels", "StopSignal")
_RUN: Final = (*_RUN_OCI, "ArgsEscaped", "Healthcheck", "OnBuild", "Shell")


Fault = Callable[[ImageError], object]
"""What is told of a fault that does not hinder the reading of the rest."""


def refuse(error: ImageError) -> NoReturn:
    """The Fault of who wants no image that has one."""
    raise error


@dataclass(frozen=True, slots=True)
class Checked:
    """A config, and of each layer its diff_id and its entry of the history, if there is one.

    value: all of it, its names spelled as OCI has them. platform: its os and architecture are "" where it is malformed.
    diff_ids: "" for one that is malformed. Where all faults are refused there is neither.
    """

    value: dict[str, Any]
    platform: Platform
    diff_ids: tuple[str, ...]
    history: tuple[Mapping[str, Any] | None, ...]


def check_manifest(data: bytes, found: Descriptor) -> tuple[dict[str, Any], Descriptor, list[Descriptor]]:
    """A manifest, its config's descriptor, and those of its layers, base first. Raises ImageError."""
    # What is malformed has been refused.
    return cast("tuple[dict[str, Any], Descriptor, list[Descriptor]]", read_manifest(data, found, refuse))


def read_manifest(
    data: bytes, found: Descriptor, fault: Fault
) -> tuple[dict[str, Any], Descriptor | None, list[Descriptor | None]]:
    """As check_manifest, with None for descriptors that are malformed.

    fault: what is told of all that is wrong. Raises ImageError for what is no manifest at all.
    """
    what = f"manifest {found.digest}"
    value = parse_json(data, what)
    if isinstance(value, dict):
        value = named(value, _MANIFEST, what)
    if not isinstance(value, dict) or type(value.get("schemaVersion")) is not int or value["schemaVersion"] != 2:
        raise ImageError(
            f"{what} is no image manifest", expected='an object with "schemaVersion": 2', rule=Code.DOCUMENT_MALFORMED
        )
    media_type = value.get("mediaType")
    if media_type is not None and media_type != found.media_type:
        fault(
            ImageError(
                f"the media type of {what} is not that of its descriptor",
                expected=found.media_type,
                got=media_type,
                rule=Code.MEDIA_TYPE,
            )
        )
    config = _descriptor(value.get("config"), f"the config of {what}", fault)
    if config is not None and config.media_type not in CONFIGS:
        fault(
            ImageError(
                f"{what} is no container image",
                expected="an image config",
                got=config.media_type,
                rule=Code.MEDIA_TYPE,
            )
        )
    layers = [
        _descriptor(one, f"layer {number} of {what}", fault)
        for number, one in enumerate(objects(value, "layers", what))
    ]
    if not layers:
        fault(ImageError("an image without layers", expected="a base layer at least", rule=Code.NO_BASE_LAYER))
    for layer in layers:
        if layer is not None:
            try:
                oci_layer_type(layer.media_type)
            except ImageError as error:
                fault(error)
    annotations = {} if value.get("annotations") is None else value["annotations"]
    if not isinstance(annotations, Mapping) or not all(isinstance(text, str) for text in annotations.values()):
        fault(ImageError(f"the annotations of {what}", expected="an object of texts", rule=Code.DOCUMENT_MALFORMED))
    return value, config, layers


def _descriptor(value: object, what: str, fault: Fault) -> Descriptor | None:
    try:
        return Descriptor.from_json(value, what)
    except ImageError as error:
        fault(error)
        return None


def check_config(data: bytes, count: int | None, given: Platform | None, fault: Fault = refuse) -> Checked:
    """The config of an image of `count` layers, None if nobody knows; given: the platform that its descriptor names.

    fault: what is told of what is wrong with it. Raises ImageError, with another `fault` only for what is no config.
    """
    what = "the config"
    value = parse_json(data, what)
    if not isinstance(value, dict):
        raise ImageError(
            "the config is no object", expected="an object", got=type(value).__name__, rule=Code.DOCUMENT_MALFORMED
        )
    value = named(value, _CONFIG, what)
    for key, names in (("config", _RUN), ("rootfs", _ROOTFS)):
        if isinstance(value.get(key), dict):
            value[key] = named(value[key], names, f"{key} of {what}")
    if isinstance(value.get("history"), list):
        value["history"] = [
            named(entry, _HISTORY, f"entry {number} of the history") if isinstance(entry, dict) else entry
            for number, entry in enumerate(value["history"])
        ]
    platform = _platform(value, given, fault)
    _check_date(value, what, fault)
    return Checked(value, platform, _diff_ids(value, count, fault), _history(value, count, fault))


def _platform(value: Mapping[str, Any], given: Platform | None, fault: Fault) -> Platform:
    try:
        platform = Platform.from_json(value, "the config")
    except ImageError as error:
        fault(error)
        return Platform(os="", architecture="")
    if platform.os != "windows":
        fault(
            ImageError(
                "not a Windows image",
                expected="windows",
                got=f"{platform.os}/{platform.architecture}",
                rule=Code.OS_NOT_WINDOWS,
            )
        )
    if given is not None:
        _check_platform(given, platform, fault)
    return platform


def _check_platform(given: Platform, platform: Platform, fault: Fault) -> None:
    pairs: list[tuple[str, object, object]] = [
        ("os", given.os, platform.os),
        ("architecture", given.architecture, platform.architecture),
    ]
    if given.os_version is not None:
        pairs.append(("os.version", given.os_version, platform.os_version))
    if given.os_features and platform.os_features:
        pairs.append(("os.features", sorted(given.os_features), sorted(platform.os_features)))
    for key, theirs, ours in pairs:
        if theirs != ours and not (key == "os" and ours != "windows"):  # of that os enough has been said
            fault(
                ImageError(
                    f"{key} in the index is not that of the config",
                    expected=ours or "none",
                    got=theirs,
                    rule=Code.INDEX_PLATFORM,
                )
            )


def _check_date(value: Mapping[str, Any], what: str, fault: Fault) -> None:
    if value.get("created") is not None:
        try:
            check_date(value["created"], what)
        except ImageError as error:
            fault(error)


def _diff_ids(value: Mapping[str, Any], count: int | None, fault: Fault) -> tuple[str, ...]:
    rootfs = value.get("rootfs")
    if not isinstance(rootfs, Mapping) or rootfs.get("type") != "layers":
        got = rootfs.get("type") if isinstance(rootfs, Mapping) else rootfs
        fault(ImageError("rootfs.type of the config", expected='"layers"', got=repr(got)[:100], rule=Code.ROOTFS_TYPE))
    if not isinstance(rootfs, Mapping):
        return ()
    found = rootfs.get("diff_ids")
    if not isinstance(found, list):
        fault(
            ImageError(
                "rootfs.diff_ids of the config",
                expected="a list of digests",
                got=repr(found)[:100],
                rule=Code.DOCUMENT_MALFORMED,
            )
        )
        return ()
    result: list[str] = []
    for number, one in enumerate(found):
        good = isinstance(one, str) and _DIGEST.fullmatch(one) is not None
        result.append(one if good else "")
        if not good:
            fault(
                ImageError(
                    f"diff_id {number} of the config",
                    expected="sha256: and 64 lower-case hexadecimal digits",
                    got=repr(one)[:100],
                    rule=Code.DOCUMENT_MALFORMED,
                )
            )
    if count is not None and len(found) != count:
        fault(
            ImageError(
                "diff_ids of the config",
                expected=f"{count}, as the manifest has layers",
                got=len(found),
                rule=Code.DIFF_ID_COUNT,
            )
        )
    return tuple(result)


def _history(value: Mapping[str, Any], count: int | None, fault: Fault) -> tuple[Mapping[str, Any] | None, ...]:
    nothing = (None,) * (count or 0)
    try:
        history = [] if value.get("history") is None else objects(value, "history", "the config")
    except ImageError as error:
        fault(error)
        return nothing
    if not history:
        return nothing
    layers: list[Mapping[str, Any]] = []
    for number, entry in enumerate(history):
        what = f"entry {number} of the history"
        _check_date(entry, what, fault)
        for key in ("created_by", "comment", "author"):
            if not isinstance(entry.get(key, ""), str):
                fault(ImageError(f"{key} of {what}", expected="text", got=repr(entry[key])[:100], rule=Code.HISTORY))
        empty = entry.get("empty_layer", False)
        if not isinstance(empty, bool):
            fault(
                ImageError(f"empty_layer of {what}", expected="true or false", got=repr(empty)[:100], rule=Code.HISTORY)
            )
        if not empty:
            layers.append(entry)
    if count is not None and len(layers) != count:
        fault(
            ImageError(
                "the history of the config",
                expected=f"{count} entries that have a layer, as the manifest",
                got=len(layers),
                rule=Code.HISTORY,
            )
        )
        return nothing
    return tuple(layers)
