"""Differences of keys as text for people."""

from __future__ import annotations

from collections.abc import Iterator

from ...errors import escaped, printable
from ...regf.compare import Difference, What
from ...regf.model import Key, Value
from ...regf.values import type_name
from ...win32.filetime import time_text
from ...win32.names import from_utf16
from ...win32.sddl_print import security_text
from .values import data_text, mark_text, name_text

__all__ = ["difference_lines"]


def difference_lines(difference: Difference, path: str, *, whole: bool = False) -> Iterator[str]:
    """What both sides have of a key, in lines; whole: nothing of it is cut."""
    at = escaped(path)
    for sign, side in (("-", difference.old), ("+", difference.new)):
        for text in () if side is None else _texts(difference.what, side, whole):
            yield f"{sign} {at}\\{text}"


def _texts(what: What, side: Key | Value | bytes | int, whole: bool) -> list[str]:
    """What one side has, behind the path of the key."""
    if isinstance(side, Key):
        mark = mark_text(side)
        return [
            f"  {mark}" if mark else "",
            *(text for value in side.values for text in _texts(What.VALUE, value, whole)),
        ]
    if isinstance(side, Value):
        return [f"  {name_text(side.name)}  {type_name(side.type)}  {data_text(side, whole=whole)}"]
    if isinstance(side, bytes):
        text = security_text(side) if what is What.SECURITY else f'"{printable(from_utf16(side))}"'
    else:
        text = time_text(side) if what is What.TIME else f"{side:#x}"
    return [f"  ({what.value})  {text}"]
