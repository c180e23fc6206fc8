"""Values of keys as text for people, and as text for scripts.

For people, everything that comes from a hive is escaped: names and data of a hostile
one write nothing to a terminal but what they are.
"""

from __future__ import annotations

from typing import Final

from ...errors import InexpressibleError, escaped, printable
from ...regf.model import Key, LayerSemantics, RegType, Value
from ...regf.values import SIZES, STRINGS, content, type_name
from ...win32.names import encode_wtf8, to_utf16

__all__ = ["data_text", "mark_text", "name_text", "script_bytes"]

_MARKS: Final = {
    LayerSemantics.TOMBSTONE: "(deleted)",
    LayerSemantics.SUPERSEDE_LOCAL: "(supersedes local)",
    LayerSemantics.SUPERSEDE_TREE: "(supersedes tree)",
}
_SHOWN_BYTES: Final = 32
_SHOWN_STRINGS: Final = 20


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


# --- for scripts ------------------------------------------------------------------


def script_bytes(value: Value, path: str) -> bytes:
    """What `get` prints of a value: text as it is, decimal numbers, a string of a list a line, other bytes in hex.

    Raises InexpressibleError for data that are not what their type wants.
    """
    found = content(value)
    if found is None and value.type in (*SIZES, *STRINGS, RegType.MULTI_SZ) and not value.tombstone:
        raise InexpressibleError(
            f"data that is no {type_name(value.type)}",
            path=path,
            expected="UTF-16" if value.type not in SIZES else f"{SIZES[RegType(value.type)]} bytes",
            got=f"{len(value.data):,} bytes",
            hint="--raw gives them as they are, --json in hexadecimal",
        )
    lines = found if isinstance(found, list) else [value.data.hex() if found is None else str(found)]
    return b"".join(encode_wtf8(line) + b"\n" for line in lines)
