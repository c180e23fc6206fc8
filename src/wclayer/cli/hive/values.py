"""Values of keys as text for people, as text for scripts, and in JSON.

For people, everything that comes from a hive is escaped: names and data of a hostile
one write nothing to a terminal but what they are.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Final

from ...errors import FormatError, InexpressibleError, escaped, printable
from ...regf.model import Key, LayerSemantics, RegType, Value
from ...win32.filetime import UNIX_EPOCH
from ...win32.names import encode_wtf8, from_utf16, to_utf16
from ...win32.sddl import format_sddl

__all__ = [
    "content",
    "data_text",
    "key_json",
    "mark_text",
    "name_text",
    "script_bytes",
    "security_text",
    "time_text",
    "type_name",
    "value_json",
]

_STRINGS: Final = (RegType.SZ, RegType.EXPAND_SZ, RegType.LINK)
_SIZES: Final = {RegType.DWORD: 4, RegType.DWORD_BIG_ENDIAN: 4, RegType.QWORD: 8}
_MARKS: Final = {
    LayerSemantics.TOMBSTONE: "(deleted)",
    LayerSemantics.SUPERSEDE_LOCAL: "(supersedes local)",
    LayerSemantics.SUPERSEDE_TREE: "(supersedes tree)",
}
_SHOWN_BYTES: Final = 32
_SHOWN_STRINGS: Final = 20


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
    if value.type in _SIZES:
        order: Final = "big" if value.type == RegType.DWORD_BIG_ENDIAN else "little"
        return int.from_bytes(data, order) if len(data) == _SIZES[RegType(value.type)] else None
    if len(data) % 2:
        return None
    if value.type in _STRINGS:
        return from_utf16(data).partition("\0")[0]
    if value.type == RegType.MULTI_SZ:
        text = from_utf16(data).removesuffix("\0").removesuffix("\0")
        return text.split("\0") if text else []
    return None


# --- for people -------------------------------------------------------------------


def name_text(name: str) -> str:
    """A value's name."""
    return printable(name) if name else "(default)"


def mark_text(key: Key) -> str:
    """What a key of a differencing hive does to the one below, where that is more than to add to it."""
    return _MARKS.get(key.semantics, "")


def data_text(value: Value, *, whole: bool = False) -> str:
    """The data of a value; what is long is cut, unless `whole`."""
    if value.tombstone:
        return "(deleted)"
    found = content(value)
    if isinstance(found, int):
        return f"{found:#0{2 * len(value.data) + 2}x} ({found})"
    if isinstance(found, str):
        behind = value.data[len(to_utf16(found)) + 2 :]
        more = f"  ({len(behind):,} bytes behind its NUL)" if behind.strip(b"\0") else ""
        return _quoted(found, whole) + more
    if isinstance(found, list):
        shown = found if whole else found[:_SHOWN_STRINGS]
        more = f", ... ({len(found):,} strings)" if len(shown) < len(found) else ""
        return f"[{', '.join(_quoted(text, whole) for text in shown)}{more}]"
    if whole or len(value.data) <= _SHOWN_BYTES:
        return value.data.hex(" ") or "(no data)"
    return f"{value.data[:_SHOWN_BYTES].hex(' ')} ... ({len(value.data):,} bytes)"


def _quoted(text: str, whole: bool) -> str:
    return f'"{escaped(text) if whole else printable(text)}"'


@lru_cache(1024)
def security_text(descriptor: bytes) -> str:
    """SDDL, or the bytes where it cannot say all of them."""
    try:
        return format_sddl(descriptor)
    except FormatError:
        return descriptor.hex()


def time_text(filetime: int) -> str:
    """A FILETIME in UTC, as far as years have four digits."""
    seconds, ticks = divmod(filetime - UNIX_EPOCH, 10_000_000)
    try:
        time = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    except OverflowError:
        return str(filetime)
    return f"{time:%Y-%m-%dT%H:%M:%S}.{ticks:07}Z"


# --- for scripts ------------------------------------------------------------------


def script_bytes(value: Value, path: str) -> bytes:
    """What `get` prints of a value: text as it is, decimal numbers, a string of a list a line, other bytes in hex.

    Raises InexpressibleError for data that are not what their type wants.
    """
    found = content(value)
    if found is None and value.type in (*_SIZES, *_STRINGS, RegType.MULTI_SZ) and not value.tombstone:
        raise InexpressibleError(
            f"data that is no {type_name(value.type)}",
            path=path,
            expected="UTF-16" if value.type not in _SIZES else f"{_SIZES[RegType(value.type)]} bytes",
            got=f"{len(value.data):,} bytes",
            hint="--raw gives them as they are, --json in hexadecimal",
        )
    lines = found if isinstance(found, list) else [value.data.hex() if found is None else str(found)]
    return b"".join(encode_wtf8(line) + b"\n" for line in lines)


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
