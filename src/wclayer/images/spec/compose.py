"""The config and the manifest of a new image ([image-spec] config.md, manifest.md), FROM scratch or on top of another.

What the base says stays, down to keys that nobody here knows; what the recipe says
is put over it as a Dockerfile's instructions would. The same recipe on the same base
gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from ...errors import ImageError, UsageError
from .config_settings import Config
from .descriptors import CONFIG, MANIFEST, Descriptor, Platform
from .documents import json_bytes

__all__ = ["CREATED_BY", "compose_config", "compose_manifest", "history_entry", "rfc3339"]

CREATED_BY: Final = "wclayer build"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_TYPES: Final[dict[type, str]] = {dict: "an object", list: "a list of text"}
# The order in which Go's structures have them; others follow as they were.
_ORDER: Final[tuple[str, ...]] = (
    "created",
    "author",
    "architecture",
    "variant",
    "os",
    "os.version",
    "os.features",
    "config",
    "rootfs",
)


def rfc3339(seconds: int) -> str:
    """The time, in seconds since 1970, as OCI's JSON has it: `2024-01-31T12:00:00Z`. Raises UsageError."""
    try:
        return (_EPOCH + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ").zfill(20)
    except OverflowError:
        raise UsageError("a time that no image can have", expected="the years 1 to 9999", got=seconds) from None


def history_entry(
    created: int, comment: str | None, *, created_by: str = CREATED_BY, empty: bool = False
) -> dict[str, Any]:
    """What the image's history says of one new layer, or of a change of only the config (`empty`)."""
    entry: dict[str, Any] = {"created": rfc3339(created), "created_by": created_by}
    if comment:
        entry["comment"] = comment
    if empty:
        entry["empty_layer"] = True
    return entry


def compose_config(
    base: Mapping[str, Any] | None,
    config: Config,
    platform: Platform,
    created: int,
    diff_ids: Sequence[str],
    history: Sequence[Mapping[str, Any]],
    run: Mapping[str, Any] | None = None,
) -> bytes:
    """The config of an image whose new layers have these diff_ids and history entries.

    base: the config of the image below, None for none. platform: that of a new image; the base's wins. run: how a
    container is run, in place of what the base says, to put `config` over.
    """
    result: dict[str, Any] = dict(base) if base is not None else platform.to_json()
    result["created"] = rfc3339(created)
    if config.author is not None:
        result["author"] = config.author
    below = list(base["rootfs"]["diff_ids"]) if base is not None else []
    before = list(base.get("history") or ()) if base is not None else []
    if below and not before:  # as many non-empty entries as layers, or none at all
        before = [{"comment": "a layer of the base, which has no history"} for _ in below]
    result["config"] = _run(dict(_typed(base or {}, "config", dict) if run is None else run), config)
    result["rootfs"] = {"type": "layers", "diff_ids": [*below, *diff_ids]}
    result["history"] = [*before, *history]
    ordered = {key: result[key] for key in _ORDER if key in result}
    return json_bytes({**ordered, **{key: result[key] for key in result if key not in ordered}})


def _run(result: dict[str, Any], config: Config) -> dict[str, Any]:
    """The config's own `config`: how a container is run."""
    if config.entrypoint is not None or config.cmd is not None:
        # It says that the command is a line for a shell; here commands are lists of arguments.
        result.pop("ArgsEscaped", None)
    if config.entrypoint is not None:
        result.pop("Cmd", None)  # as Dockerfile's ENTRYPOINT: it was meant for another one
        _put(result, "Entrypoint", list(config.entrypoint))
    if config.cmd is not None:
        _put(result, "Cmd", list(config.cmd))
    if config.env:
        result["Env"] = _environment(_typed(result, "Env", list), config.env)
    if config.workdir is not None:
        _put(result, "WorkingDir", config.workdir)
    if config.user is not None:
        _put(result, "User", config.user)
    if config.labels:
        result["Labels"] = dict(sorted({**_typed(result, "Labels", dict), **config.labels}.items()))
    if config.ports:
        ports: dict[str, Any] = {port if "/" in port else f"{port}/tcp": {} for port in config.ports}
        result["ExposedPorts"] = dict(sorted({**_typed(result, "ExposedPorts", dict), **ports}.items()))
    return result


def _typed(value: Mapping[str, Any], key: str, kind: type[Any]) -> Any:
    """What the base's config says under `key`; empty if nothing. Raises ImageError for another type."""
    found = value.get(key)
    if found is None:
        return kind()
    if not isinstance(found, kind) or (isinstance(found, list) and not all(isinstance(one, str) for one in found)):
        raise ImageError(f'"{key}" in the config of the base', expected=_TYPES[kind], got=repr(found)[:100])
    return found


def _put(result: dict[str, Any], key: str, value: Any) -> None:
    """Set, or with an empty value take away."""
    if value:
        result[key] = value
    else:
        result.pop(key, None)


def _environment(before: Sequence[str], new: Mapping[str, str]) -> list[str]:
    """`NAME=value` of both; names are compared as Windows does, without case, and keep their place."""
    names: dict[str, str] = {}
    for line in before:
        names[line.partition("=")[0].upper()] = line
    for name, value in new.items():
        names[name.upper()] = f"{name}={value}"
    return list(names.values())


def compose_manifest(config: Descriptor, layers: Sequence[Descriptor], annotations: Mapping[str, str]) -> bytes:
    """The manifest of an image with this config and these layers, base first."""
    result: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {**config.to_json(), "mediaType": CONFIG},
        "layers": [layer.to_json() for layer in layers],
    }
    if annotations:
        result["annotations"] = dict(sorted(annotations.items()))
    return json_bytes(result)
