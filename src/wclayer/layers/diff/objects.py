"""Differences as JSON objects."""

from __future__ import annotations

from typing import Any

from ...regf.values import difference_json
from ...win32.attributes import attribute_letters
from ...win32.reparse import link_target, reparse_tag, tag_name
from ..inspect.contents import TIMES
from .diff import Changed, LayerDiff, Moved, Presence
from .fields import FieldChange, Value
from .security import security_change
from .side import Content, Ea

__all__ = ["differences", "totals"]


def totals(found: LayerDiff) -> dict[str, int]:
    """How many differences of each kind there are, and of how many bytes."""
    return {
        "removed": len(found.removed),
        "removed_bytes": sum(one.size for one in found.removed),
        "added": len(found.added),
        "added_bytes": sum(one.size for one in found.added),
        "moved": len(found.moved),
        "moved_bytes": sum(one.content.size for one in found.moved),
        "changed": len(found.changed),
        "changed_bytes": sum(_changed_bytes(one) for one in found.changed),
        "registry": len(found.registry),
        "config": len(found.config),
        "link_order": found.link_order,
    }


def _changed_bytes(change: Changed) -> int:
    """Of the new contents."""
    return sum(field.new.size for field in change.fields if isinstance(field.new, Content))


def differences(found: LayerDiff) -> dict[str, Any]:
    """All of them, by kind, as docs/inside.md has it."""
    return {
        "removed": [_presence_json(one) for one in found.removed],
        "added": [_presence_json(one) for one in found.added],
        "moved": [_moved_json(one) for one in found.moved],
        "changed": [
            {"path": one.path, "names": list(one.names), "fields": [_field_json(field) for field in one.fields]}
            for one in found.changed
        ],
        "registry": [difference_json(one.difference, one.path) for one in found.registry],
        "config": [{"field": one.field, "old": one.old, "new": one.new} for one in found.config],
        "link_order": found.link_order,
        "stat": totals(found),
    }


def _presence_json(one: Presence) -> dict[str, Any]:
    return {
        "path": one.path,
        "kind": one.kind,
        "size": None if one.content is None else one.content.size,
        "digest": None if one.content is None else one.content.digest,
        "link_of": one.link_of,
        "reparse": None if one.reparse is None else _reparse_json(one.reparse),
        "round_trip": one.round_trip,
    }


def _moved_json(one: Moved) -> dict[str, Any]:
    return {
        "old": list(one.old),
        "new": list(one.new),
        **_value_json("content", one.content),
        "fields": [_field_json(field) for field in one.fields],
    }


def _field_json(field: FieldChange) -> dict[str, Any]:
    result: dict[str, Any] = {
        "field": field.name,
        "item": field.item,
        "old": _value_json(field.name, field.old),
        "new": _value_json(field.name, field.new),
        "round_trip": field.round_trip,
    }
    if field.name == "security" and isinstance(field.old, bytes | None) and isinstance(field.new, bytes | None):
        change = security_change(field.old, field.new)
        result.update(
            old=change.old,
            new=change.new,
            owner=change.owner,
            group=change.group,
            control=change.control,
            removed=change.removed,
            added=change.added,
            reordered=change.reordered,
        )
    return result


def _value_json(name: str, value: Value) -> Any:
    if isinstance(value, Content):
        return {"size": value.size, "digest": value.digest}
    if isinstance(value, Ea):
        return {"size": value.size, "value": value.value.hex(), "flags": value.flags}
    if isinstance(value, bytes):
        return _reparse_json(value) if name == "reparse" else value.hex()
    if isinstance(value, int) and name not in TIMES:
        return {"number": value, "letters": attribute_letters(value)}
    return value


def _reparse_json(buffer: bytes) -> dict[str, Any]:
    target = link_target(buffer)
    return {
        "tag": tag_name(reparse_tag(buffer)),
        "target": None if target is None else target[0],
        "data": buffer.hex(),
    }
