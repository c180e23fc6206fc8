"""The JSON documents of images, read strictly: UTF-8, one object, no name twice, numbers that JSON has.

In one thing they are read as Go reads them, and so all clients: the case of names does
not matter. Microsoft's own images have `rootfS`, `cmd` and `user`. Names that nobody
knows stay.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, BinaryIO, Final

from ...body import read_all
from ...codes import Code
from ...errors import ImageError

__all__ = [
    "MAX_CONFIG",
    "MAX_MANIFEST",
    "check_date",
    "json_bytes",
    "named",
    "objects",
    "parse_json",
    "read_bounded",
    "seconds_of",
]

MAX_MANIFEST: Final = 4 << 20  # bytes; registries refuse larger ones
MAX_CONFIG: Final = 8 << 20

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DATE: Final = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt]([0-9]{2}:[0-9]{2}):([0-9]{2})(?:\.[0-9]+)?(?:[Zz]|[+-]([0-9]{2}:[0-9]{2}))",
    re.ASCII,
)


def read_bounded(stream: BinaryIO, size: int, most: int, what: str) -> bytes:
    """All of the stream, which has `size` bytes. Raises ImageError for more than `most`, before any is read."""
    if size > most:
        raise ImageError(
            f"{what} is too large", expected=f"at most {most:,} bytes", got=f"{size:,}", rule=Code.DOCUMENT_MALFORMED
        )
    return read_all(stream.read)[: most + 1]


def parse_json(data: bytes, what: str) -> Any:
    """The value of a document; `what` names it in errors. Raises ImageError."""
    try:
        value = json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_object,
            parse_float=_number,
            parse_constant=_constant,
        )
        json.dumps(value, ensure_ascii=False).encode("utf-8")  # an escaped lone surrogate is not valid Unicode
    except ImageError as error:
        error.at(what)
        raise
    except (ValueError, RecursionError) as error:
        text = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise ImageError(
            f"{what} is no JSON: {text}", hint="fetch the image again", rule=Code.DOCUMENT_MALFORMED
        ) from None
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ImageError(
            "a name that stands twice in one JSON object", got=repr(twice)[:100], rule=Code.DOCUMENT_MALFORMED
        )
    return result


def _number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"a number out of range: {text[:20]}")
    return value


def _constant(text: str) -> float:
    raise ValueError(f"{text} is no number")


def named(value: Mapping[str, Any], names: Iterable[str], what: str) -> dict[str, Any]:
    """The object with those of `names` that it has in another case spelled as here.

    Raises ImageError for one that it has twice.
    """
    known = {name.lower(): name for name in names}
    result: dict[str, Any] = {}
    for key, found in value.items():
        name = known.get(key.lower(), key)
        if name in result:
            raise ImageError(f"a name that stands twice in {what}", got=repr(key)[:100], rule=Code.DOCUMENT_MALFORMED)
        result[name] = found
    return result


def objects(value: Any, key: str, what: str) -> list[Mapping[str, Any]]:
    """The list of objects under `key`. Raises ImageError for anything else."""
    found = value.get(key) if isinstance(value, Mapping) else None
    if not isinstance(found, list) or not all(isinstance(one, Mapping) for one in found):
        raise ImageError(
            f'"{key}" of {what}', expected="a list of objects", got=repr(found)[:100], rule=Code.DOCUMENT_MALFORMED
        )
    return found


def seconds_of(value: object) -> int:
    """Seconds since 1970 of a date and time of RFC 3339, fractions cut off. Raises ValueError for anything else."""
    found = _DATE.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise ValueError(f"no date and time: {value!r}")
    seconds = min(found[3], "59") if found[3] == "60" else found[3]  # a leap second
    offset = found[4] or "00:00"
    sign = "-" if found[4] and str(value)[-6] == "-" else "+"
    moment = datetime.fromisoformat(f"{found[1]}T{found[2]}:{seconds}{sign}{offset}")
    return int((moment - _EPOCH).total_seconds())


def check_date(value: object, what: str) -> None:
    """Raise ImageError for what is no date and time of RFC 3339."""
    try:
        seconds_of(value)
    except ValueError:
        raise ImageError(
            f"the date of {what}", expected="one such as 2024-01-31T12:00:00Z", got=repr(value)[:100], rule=Code.DATE
        ) from None


def json_bytes(value: Mapping[str, Any]) -> bytes:
    """Compact UTF-8 JSON, keys in their order."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode(
        "utf-8", "surrogatepass"
    )
