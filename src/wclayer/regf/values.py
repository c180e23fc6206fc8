"""What the bytes of a value mean by its type; keys, values and their differences as JSON objects."""

from __future__ import annotations

from typing import Any, Final

from ..win32.names import from_utf16
from ..win32.sddl_print import security_text
from .compare import Difference, What
from .model import Key, RegType, Value

__all__ = ["SIZES", "STRINGS", "content", "difference_json", "key_json", "type_name", "value_json"]

STRINGS: Final = (RegType.SZ, RegType.EXPAND_SZ, RegType.LINK)
SIZES: Final = {RegType.DWORD: 4, RegType.DWORD_BIG_ENDIAN: 4, RegType.QWORD: 8}


def type_name(kind: int) -> str:
    """`REG_SZ` and the like; the number of a type that Windows has no name for."""
    try:
        return f"REG_{RegType(kind).name}"
    except ValueError:
        return f"{kind:#x}"


def content(value: Value) -> str | int | list[str] | None:
    """What the bytes of a value mean by its type; None where they are just bytes, or not what the type wants.

    A string ends at its first NUL, as for reg.exe, regedit and hivex. Of a list, the two NULs at the end are no part;
    there may be empty strings in it, as in the renamings that Windows has yet to do. No NUL need be there.
    """
    data = value.data
    if value.tombstone:
        return None
    if value.type in SIZES:
        order: Final = "big" if value.type == RegType.DWORD_BIG_ENDIAN else "little"
        return int.from_bytes(data, order) if len(data) == SIZES[RegType(value.type)] else None
    if len(data) % 2:
        return None
    if value.type in STRINGS:
        return from_utf16(data).partition("\0")[0]
    if value.type == RegType.MULTI_SZ:
        text = from_utf16(data).removesuffix("\0").removesuffix("\0")
        return text.split("\0") if text else []
    return None


def value_json(value: Value) -> dict[str, Any]:
    """A value in JSON. content: what the data mean, null where they are just bytes; data: all of them."""
    return {
        "name": value.name,
        "type": value.type,
        "type_name": type_name(value.type),
        "content": content(value),
        "data": value.data.hex(),
        **({"deleted": True} if value.tombstone else {}),
    }


def key_json(key: Key, path: str) -> dict[str, Any]:
    """A key in JSON, its subkeys by their names."""
    return {
        "path": path,
        "last_written": key.last_written,
        "security": security_text(key.security),
        "class": from_utf16(key.class_name),
        "flags": key.flags,
        "control": key.control,
        "layer": key.layer,
        "handle": key.handle,
        "values": [value_json(value) for value in key.values],
        "subkeys": [sub.name for sub in key.subkeys],
    }


def difference_json(difference: Difference, path: str) -> dict[str, Any]:
    """A difference of the key at `path`, in JSON."""

    def side(one: Key | Value | bytes | int | None) -> Any:
        if isinstance(one, Key):
            return key_json(one, path)
        if isinstance(one, Value):
            return value_json(one)
        if isinstance(one, bytes):
            return security_text(one) if difference.what is What.SECURITY else from_utf16(one)
        return one

    return {"path": path, "what": difference.what.value, "old": side(difference.old), "new": side(difference.new)}
