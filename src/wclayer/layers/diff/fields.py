"""Which fields of two objects differ, and which of these differences hcsshim's own tools make on a round trip.

To import a layer and to export it again, with hcsshim on Windows, changes it (its code,
and Windows'), though nobody has edited anything:

- times: what had no change or access time gets one, and both move on;
- the boot store of the utility VM, which ProcessUtilityImage rewrites, and its logs;
- the bytes of hives, which Windows loads and writes, with the same keys and values;
- extended attributes of files with data, which the export of a base layer loses, and
  the flags of all;
- streams of directories and reparse points, and the backup streams OBJECT_ID,
  PROPERTY_DATA, TXFS and the DOS names, which it loses;
- which ranges of a sparse file are allocated;
- where in the bytes of a descriptor its parts are;
- the substitute name of a link, which it makes anew of the print name;
- `Files/$Recycle.Bin`, which it leaves out.

Each such difference has the reason with it. That it can come of a round trip does not
prove that it did. The old side is the layer before the trip: what is lost on it is
looked for only there, so an attribute or stream that the new side has gained, or a link
that leads elsewhere than before, never counts as such.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from ...errors import FormatError
from ...union.rules import BOOT_FILES
from ...union.view import within
from ...win32.names import upcase
from ...win32.reparse import ReparseLink, build_link, decode, link_target
from ..inspect.contents import TIMES
from .security import same_parts
from .side import Content, Ea, Object

__all__ = ["FieldChange", "Value", "left_out", "object_changes"]

Value = str | int | bytes | Content | Ea | tuple[str, ...] | None

_BOOT: Final = frozenset(map(upcase, BOOT_FILES))
_RECYCLE_BIN: Final = upcase("Files/$Recycle.Bin")

TIMES_MOVE: Final = "times"
BOOT_STORE: Final = "boot store"
HIVE: Final = "hive"
EAS: Final = "extended attributes"
STREAMS: Final = "streams"
SPARSE: Final = "sparse"
LINK: Final = "link"
LAYOUT: Final = "descriptor layout"
RECYCLE: Final = "recycle bin"


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One difference. old, new: the two sides, None where there is nothing.

    name: `kind`, `name` (the spelling), `attributes`, one of the four times, `security` (descriptors), `reparse`
    (buffers), `target` (of a hard link to what is not there), `content`, `registry` (the content of a hive), `holes`
    (digests of allocated ranges), `links` (other names of the same file), `short_name`, `object_id`; `ea`, `stream` and
    `backup_stream`, with the name of it in `item`. round_trip: why hcsshim's own tools may have made it, None where
    they do not.
    """

    name: str
    old: Value
    new: Value
    item: str | None = None
    round_trip: str | None = None


def left_out(path: str, *, gone: bool) -> str | None:
    """Why what is at a path may be gone after a round trip, or else have come; None where it may not."""
    key = upcase(path)
    if key in _BOOT:
        return BOOT_STORE
    return RECYCLE if gone and within(key, _RECYCLE_BIN) else None


def object_changes(old: Object, new: Object, *, times: bool, base: bool) -> Iterator[FieldChange]:
    """What differs between two objects; base: are both of base layers, which lose more on a round trip?"""
    if old.kind != new.kind:
        yield FieldChange("kind", old.kind, new.kind)
    if old.attributes != new.attributes:
        yield FieldChange("attributes", old.attributes, new.attributes)
    if times and old.times != new.times:
        for name, before, after in zip(TIMES, old.times, new.times, strict=True):
            if before != after:
                yield FieldChange(name, before, after, round_trip=TIMES_MOVE)
    if old.security != new.security:
        layout = LAYOUT if same_parts(old.security, new.security) else None
        yield FieldChange("security", old.security, new.security, round_trip=layout)
    if old.reparse != new.reparse:
        yield FieldChange("reparse", old.reparse, new.reparse, round_trip=_rebuilt(old.reparse, new.reparse))
    if old.target != new.target and (
        old.target is None or new.target is None or upcase(old.target) != upcase(new.target)
    ):
        yield FieldChange("target", old.target, new.target)
    if old.content != new.content:
        boot = BOOT_STORE if upcase(new.path) in _BOOT and upcase(old.path) in _BOOT else None
        yield FieldChange("content", old.content, new.content, round_trip=boot)
    if old.holes != new.holes:
        yield FieldChange("holes", old.holes, new.holes, round_trip=SPARSE)
    if old.eas != new.eas:
        yield from _eas(old, new, base=base)
    if old.streams != new.streams:
        yield from _streams(old, new)
    for name, one, other in (
        ("short_name", old.short_name, new.short_name),
        ("object_id", old.object_id, new.object_id),
    ):
        if one != other:
            yield FieldChange(name, one, other, round_trip=_lost(one, other))
    if old.backup_streams != new.backup_streams:
        before_by, after_by = (
            {number: (size, data) for number, size, data in one.backup_streams} for one in (old, new)
        )
        for number in sorted({*before_by, *after_by}):
            one_, other_ = before_by.get(number), after_by.get(number)
            if one_ != other_:
                first, second = (None if side is None else Ea(*side, 0) for side in (one_, other_))
                yield FieldChange("backup_stream", first, second, str(number), _lost(first, second))


def _lost(old: object, new: object) -> str | None:
    return STREAMS if old is not None and new is None else None


def _rebuilt(old: bytes | None, new: bytes | None) -> str | None:
    """Is the new link what a round trip makes of the old one?"""
    if old is None or new is None:
        return None
    target = link_target(old)
    if target is None or target != link_target(new):
        return None
    try:
        made = decode(build_link(*target))
        return LINK if isinstance(made, ReparseLink) and made == decode(new) else None
    except FormatError:
        return None


def _eas(old: Object, new: Object, *, base: bool) -> Iterator[FieldChange]:
    all_gone = base and not new.eas and old.content is not None and old.content.size > 0
    for name in sorted({*old.eas, *new.eas}):
        one, other = old.eas.get(name), new.eas.get(name)
        if one == other:
            continue
        reason = EAS if all_gone else None
        if one is not None and other is not None and one[:2] == other[:2] and other.flags == 0:
            reason = EAS
        yield FieldChange("ea", one, other, name.decode("utf-8", "backslashreplace"), reason)


def _streams(old: Object, new: Object) -> Iterator[FieldChange]:
    lost = old.kind == "directory" or old.reparse is not None
    for key in sorted({*old.streams, *new.streams}):
        one, other = old.streams.get(key), new.streams.get(key)
        if one is None or other is None:
            found = one or other
            name = key if found is None else found[0]
            before, after = (None if side is None else side[1] for side in (one, other))
            yield FieldChange("stream", before, after, name, _lost(before, after) if lost else None)
        elif one[1] != other[1]:
            yield FieldChange("stream", one[1], other[1], other[0])
