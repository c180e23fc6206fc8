"""What an object of an NTFS volume is, whoever says so, and how two accounts of one tree differ.

Nothing here comes from wclayer: the readers of volumes, WIMs and layer tars beside this module make `Facts`, and
`differences` compares them.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

__all__ = [
    "CLUSTER",
    "DIRECTORY",
    "EMPTY_SHA1",
    "NORMAL",
    "REPARSE_POINT",
    "SPARSE",
    "Facts",
    "Stream",
    "differences",
    "holes_of",
    "stream_of",
]

CLUSTER = 4096
EMPTY_SHA1 = hashlib.sha1(b"", usedforsecurity=False).hexdigest()

DIRECTORY, NORMAL, SPARSE, REPARSE_POINT, COMPRESSED = 0x10, 0x80, 0x200, 0x400, 0x800

# ENCRYPTED, INTEGRITY_STREAM, NO_SCRUB_DATA, PINNED, RECALL_ON_DATA_ACCESS: ntfs-3g drops them without a word.
UNSETTABLE = 0x4000 | 0x8000 | 0x20000 | 0x80000 | 0x400000


@dataclass(frozen=True)
class Stream:
    """A data stream: its bytes, as their SHA-1 ("" where nobody counted it), and what of it is not allocated.

    `holes` are offsets and lengths in whole clusters, but for the last, which may end with the stream; None where the
    source does not say.
    """

    size: int
    sha1: str
    holes: tuple[tuple[int, int], ...] | None = None


@dataclass(frozen=True)
class Facts:
    """One name in a tree. None is "this source does not say", except that a directory has no `data`.

    Without a reparse point, DOS name or object ID those are None too, and are compared. Times are FILETIMEs. `reparse`
    is the whole buffer, header included. `links` are all names of the inode, none where there is but one. `eas` maps
    a name to flags and value.
    """

    attributes: int
    descriptor: bytes | None
    creation_time: int | None
    last_write_time: int | None
    last_access_time: int | None
    change_time: int | None = None
    short_name: str | None = None
    reparse: bytes | None = None
    data: Stream | None = None
    streams: Mapping[str, Stream] = field(default_factory=dict)
    links: frozenset[str] = frozenset()
    eas: Mapping[bytes, tuple[int, bytes]] | None = None
    object_id: bytes | None = None


def stream_of(data: bytes, holes: tuple[tuple[int, int], ...] | None = ()) -> Stream:
    """The Stream of bytes that are at hand."""
    return Stream(len(data), hashlib.sha1(data, usedforsecurity=False).hexdigest(), holes)


def holes_of(extents: Iterator[tuple[int, int]], size: int) -> tuple[tuple[int, int], ...]:
    """What lies between allocated ranges, shrunk to the whole clusters that a volume can leave out."""
    found: list[tuple[int, int]] = []
    position = 0
    for offset, length in [*sorted(extents), (size, 0)]:
        start = -(-position // CLUSTER) * CLUSTER
        end = size if offset >= size else offset // CLUSTER * CLUSTER
        if start < end:
            found.append((start, end - start))
        position = max(position, offset + length)
    return tuple(found)


def differences(one: Mapping[str, Facts], other: Mapping[str, Facts]) -> list[str]:
    """A line for each field of each path in which the two differ, none where they agree.

    What one side does not know (None) is not compared. Beyond that, a volume written by ntfs-3g is excused only for
    what that driver cannot write:

    - the change time, which is always the time of the writing;
    - attributes 0x4000, 0x8000, 0x20000, 0x80000 and 0x400000; 0x800 of files; 0x200 of a file without a hole;
    - no attribute at all, which NTFS gives back as 0x80 (NORMAL);
    - a descriptor without owner or without group, which it refuses;
    - the case of a DOS name, which the driver raises; and one that is the name itself, which on a volume is but a flag
      of that name (Windows sets it wherever a name is short enough);
    - object IDs of 16 bytes, which are read with the three birth identifiers, all zero, behind them.
    """
    lines = [f"{path!r}: only in the first" for path in one if path not in other]
    lines += [f"{path!r}: only in the second" for path in other if path not in one]
    for path in sorted(one.keys() & other.keys()):
        lines += [f"{path!r}: {line}" for line in _different(path, one[path], other[path])]
    return lines


def _different(path: str, one: Facts, other: Facts) -> Iterator[str]:
    first, second = _attributes(one, other), _attributes(other, one)
    if first != second:
        yield f"attributes {first:#x} and {second:#x}"
    if _whole(one.descriptor) and _whole(other.descriptor) and one.descriptor != other.descriptor:
        yield f"security descriptor {_hex(one.descriptor)} and {_hex(other.descriptor)}"
    for name in ("creation_time", "last_write_time", "last_access_time"):
        before, after = getattr(one, name), getattr(other, name)
        if None not in (before, after) and before != after:
            yield f"{name.replace('_', ' ')} {before} and {after}"
    if _short_name(path, one) != _short_name(path, other):
        yield f"short name {one.short_name!r} and {other.short_name!r}"
    if one.reparse != other.reparse:
        yield f"reparse data {_hex(one.reparse)} and {_hex(other.reparse)}"
    if one.data is not None and other.data is not None:
        yield from _streams("data", one.data, other.data)
    for name in sorted({*one.streams, *other.streams}):
        yield from _streams(f"stream {name!r}", one.streams.get(name), other.streams.get(name))
    if one.links != other.links:
        yield f"hard links {sorted(one.links)} and {sorted(other.links)}"
    if one.eas is not None and other.eas is not None:
        for key in sorted({*one.eas, *other.eas}):
            if one.eas.get(key) != other.eas.get(key):
                yield f"EA {key!r} {_ea(one.eas.get(key))} and {_ea(other.eas.get(key))}"
    if _object_id(one) != _object_id(other):
        yield f"object ID {_hex(one.object_id)} and {_hex(other.object_id)}"


def _attributes(facts: Facts, other: Facts) -> int:
    found = facts.attributes & ~UNSETTABLE
    if not found & DIRECTORY:
        found &= ~COMPRESSED
        if not any(side.data is not None and side.data.holes for side in (facts, other)):
            found &= ~SPARSE
    # NORMAL counts only alone.
    return (found & ~NORMAL) or NORMAL


def _whole(descriptor: bytes | None) -> bool:
    """Is there a descriptor, with owner and group?"""
    return descriptor is not None and len(descriptor) >= 20 and 0 not in struct.unpack_from("<II", descriptor, 4)


def _streams(what: str, one: Stream | None, other: Stream | None) -> Iterator[str]:
    if one is None or other is None:
        yield f"{what}: only in the {'second' if one is None else 'first'}"
        return
    if one.size != other.size:
        yield f"{what}: {one.size:,} and {other.size:,} bytes"
    elif one.sha1 and other.sha1 and one.sha1 != other.sha1:
        yield f"{what}: SHA-1 {one.sha1} and {other.sha1}"
    if one.holes is not None and other.holes is not None and one.holes != other.holes:
        yield f"{what}: holes {one.holes} and {other.holes}"


def _short_name(path: str, facts: Facts) -> str | None:
    name = path.rpartition("/")[2].upper()
    found = None if facts.short_name is None else facts.short_name.upper()
    return None if found == name else found


def _object_id(facts: Facts) -> bytes | None:
    return None if facts.object_id is None else facts.object_id.ljust(64, b"\0")


def _hex(data: bytes | None) -> str:
    if data is None:
        return "none"
    return data.hex() if len(data) <= 64 else f"{data[:48].hex()}... ({len(data):,} bytes)"


def _ea(found: tuple[int, bytes] | None) -> str:
    return "none" if found is None else f"{_hex(found[1])} (flags {found[0]:#x})"
