"""Make docs/image.schema.json and the tables of docs/image-toml.md: `python -m docs.image_schema [tables]`."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any

from wclayer.builder.spec_keys import IMAGE, REGISTRY, TABLES, Key

_TEXT = {"type": "string"}
_NUMBER = {"type": "integer", "minimum": 0}
_VALUE: dict[str, Any] = {
    "anyOf": [
        _TEXT,
        {**_NUMBER, "maximum": (1 << 32) - 1},
        {"type": "array", "items": _TEXT},
        *(
            {"type": "object", "additionalProperties": False, "required": [form], "properties": {form: kind, **more}}
            for form, kind, more in (
                ("string", _TEXT, {}),
                ("expand", _TEXT, {}),
                ("multi", {"type": "array", "items": _TEXT}, {}),
                ("dword", {**_NUMBER, "maximum": (1 << 32) - 1}, {}),
                ("qword", _NUMBER, {}),
                ("binary", _TEXT, {"type": {**_NUMBER, "maximum": (1 << 32) - 1}}),
                ("delete", {"const": True}, {}),
            )
        ),
    ]
}
_KINDS: dict[str, dict[str, Any]] = {
    "text": _TEXT,
    "texts": {"type": "array", "items": _TEXT},
    "attributes": {"type": "array", "items": _TEXT},
    "flag": {"type": "boolean"},
    "number": {"type": "integer"},
    "time": {"anyOf": [{"type": "string", "format": "date-time"}, {"type": "integer", "minimum": 0}]},
    "ports": {"type": "array", "items": {"type": ["integer", "string"]}},
    "map": {"type": "object", "additionalProperties": _TEXT},
    "value": _VALUE,
    "values": {"type": "object", "additionalProperties": _VALUE},
}
_NAMES = {
    "texts": "list of text",
    "attributes": "list of text",
    "flag": "true or false",
    "time": "date and time",
    "ports": "list",
    "map": "table of text",
    "value": "value",
    "values": "table of values",
}


def _key(key: Key) -> dict[str, Any]:
    result = {"description": key.text, **_KINDS[key.kind]}
    if key.choices:
        choices = {"enum": list(key.choices)}
        result |= {"items": {**_TEXT, **choices}} if key.kind == "attributes" else choices
    return result


def _table(keys: Mapping[str, Key]) -> dict[str, Any]:
    required = [name for name, key in keys.items() if key.required]
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": {name: _key(key) for name, key in keys.items()},
        **({"required": required} if required else {}),
    }


def schema() -> str:
    """The JSON schema of image.toml (draft 2020-12), for editors."""
    value = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "image.toml of wclayer build",
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "image": _table(IMAGE),
            **{name: {"type": "array", "items": _table(keys)} for name, keys in TABLES.items()},
            "registry": {"type": "object", "additionalProperties": _table(REGISTRY)},
        },
    }
    return json.dumps(value, indent=2) + "\n"


def table(keys: Mapping[str, Key]) -> str:
    """The keys of one table, in Markdown."""
    lines = ["| key | holds | meaning |", "|---|---|---|"]
    for name, key in keys.items():
        choices = f" One of {', '.join(f'`{one}`' for one in key.choices)}." if key.choices else ""
        needed = " (needed)" if key.required else ""
        text = key.text.replace("|", "\\|")
        lines.append(f"| `{name}` | {_NAMES.get(key.kind, key.kind)}{needed} | {text}{choices} |")
    return "\n".join(lines)


if __name__ == "__main__":
    if sys.argv[1:] == ["tables"]:
        for title, keys in (
            ("[image]", IMAGE),
            *((f"[[{name}]]", keys) for name, keys in TABLES.items()),
            ("[registry.'KEY']", REGISTRY),
        ):
            print(f"## `{title}`\n\n{table(keys)}\n")
    else:
        print(schema(), end="")
