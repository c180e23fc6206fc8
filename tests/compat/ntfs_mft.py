"""What dissect.ntfs reads in an unmounted volume's file records: what wimlib drops, and a second word on the rest.

Its `MftRecord.attributes` fails on a name with an unpaired surrogate, and its path look-up follows reparse points, so
the records are walked here, and names decoded; finding records, mending their sectors, decoding runs are its own.
"""

from __future__ import annotations

import hashlib
import io
import struct
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from pathlib import Path
from typing import Any, BinaryIO

from tests.compat.ntfs_facts import CLUSTER, DIRECTORY, Facts, Stream
from tests.compat.tools import missing

__all__ = ["mft_facts", "record_numbers"]

_STANDARD_INFORMATION, _FILE_NAME, _OBJECT_ID, _DATA, _REPARSE_POINT = 0x10, 0x30, 0x40, 0x80, 0xC0
_EA_INFORMATION, _EA = 0xD0, 0xE0
_END = 0xFFFFFFFF
_ROOT, _FIRST_USER = 5, 24
_IN_USE, _IS_DIRECTORY = 1, 2
_POSIX, _WIN32, _DOS, _BOTH = range(4)


@dataclass
class _Record:
    directory: bool = False
    attributes: list[tuple[int, str, Any]] = dataclass_field(default_factory=list)

    def all(self, kind: int) -> Iterator[tuple[str, Any]]:
        return ((name, header) for code, name, header in self.attributes if code == kind)

    def data(self, kind: int) -> bytes | None:
        return next((bytes(header.data()) for _, header in self.all(kind)), None)


def mft_facts(image: Path) -> dict[str, Facts]:
    """The facts in the file records of the unmounted volume `image`, all but the descriptors.

    Content is hashed only for reparse points, where wimlib's dump does not name it, and where it is resident.
    """
    found: dict[str, Facts] = {}
    with image.open("rb") as file:
        for _, record, names in _files(file):
            links = frozenset(path for path, _ in names) if len(names) > 1 else frozenset()
            for path, short in names:
                found[path] = _facts(record, file, short, links)
    return found


def record_numbers(image: Path) -> dict[str, int]:
    """The number of each path's file record."""
    with image.open("rb") as file:
        return {path: number for number, _, names in _files(file) for path, _ in names}


def _files(file: BinaryIO) -> Iterator[tuple[int, _Record, list[tuple[str, str | None]]]]:
    """The users' records in use, with their paths and DOS names."""
    try:
        from dissect.ntfs import NTFS  # type: ignore[import-untyped,unused-ignore]
    except ImportError:
        missing("dissect.ntfs")
    ntfs = NTFS(file)
    assert ntfs.cluster_size == CLUSTER
    records = _records(ntfs)
    names = {number: list(_names(record)) for number, record in records.items()}
    paths = _Paths(names)
    for number, record in records.items():
        if number >= _FIRST_USER:
            here = [(paths.child(parent, name), short) for parent, name, short in names[number]]
            here = [(path, short) for path, short in here if not path.startswith("$Extend/")]
            if here:
                yield number, record, here


def _records(ntfs: Any) -> dict[int, _Record]:
    """The base records in use, with the attributes that lie in others."""
    from dissect.ntfs.attr import AttributeHeader  # type: ignore[import-untyped,unused-ignore]
    from dissect.ntfs.exceptions import Error  # type: ignore[import-untyped,unused-ignore]

    found: defaultdict[int, _Record] = defaultdict(_Record)
    for number in range(ntfs.mft.get(0).size() // ntfs._record_size):
        try:
            record = ntfs.mft.get(number)
        except Error:  # a record that was never used
            continue
        if not record.header.Flags & _IN_USE:
            continue
        base = struct.unpack_from("<Q", record.data, 32)[0] & (1 << 48) - 1
        owner = found[base or number]
        if not base:
            owner.directory = bool(record.header.Flags & _IS_DIRECTORY)
        file, position = io.BytesIO(record.data), record.header.FirstAttributeOffset
        while int.from_bytes(record.data[position : position + 4], "little") != _END:
            header = AttributeHeader(file, position, record)
            start = position + header.header.NameOffset
            name = record.data[start : start + 2 * header.header.NameLength].decode("utf-16-le", "surrogatepass")
            owner.attributes.append((int(header.type), name, header))
            position += header.record_length
    return dict(found)


def _names(record: _Record) -> Iterator[tuple[int, str, str | None]]:
    """Parent record, name and DOS name of each of a record's names."""
    names: list[tuple[int, int, str]] = []
    for _, header in record.all(_FILE_NAME):
        value = header.data()
        parent = struct.unpack_from("<Q", value)[0] & (1 << 48) - 1
        name = value[66 : 66 + 2 * value[64]].decode("utf-16-le", "surrogatepass")
        names.append((parent, value[65], name))
    dos = next(((parent, name) for parent, space, name in names if space == _DOS), None)
    for parent, space, name in names:
        if space == _WIN32:
            assert dos is not None, f"{name!r} has no DOS name beside it"
            assert dos[0] == parent, f"{name!r} and its DOS name lie in different directories"
            yield parent, name, dos[1]
        elif space != _DOS:
            yield parent, name, name if space == _BOTH else None


class _Paths:
    """Paths of directories by record number."""

    def __init__(self, names: dict[int, list[tuple[int, str, str | None]]]) -> None:
        self._names = names
        self._known: dict[int, str] = {_ROOT: ""}

    def child(self, parent: int, name: str) -> str:
        above: list[int] = []
        while parent not in self._known:
            above.append(parent)
            parent = self._names[parent][0][0]
        for number in reversed(above):
            self._known[number] = _joined(self._known[parent], self._names[number][0][1])
            parent = number
        return _joined(self._known[parent], name)


def _joined(parent: str, name: str) -> str:
    return f"{parent}/{name}" if parent else name


def _facts(record: _Record, volume: BinaryIO, short_name: str | None, links: frozenset[str]) -> Facts:
    information = record.data(_STANDARD_INFORMATION)
    assert information is not None
    creation, write, change, access, attributes = struct.unpack_from("<QQQQI", information)
    reparse = record.data(_REPARSE_POINT)
    parts: defaultdict[str, list[Any]] = defaultdict(list)
    for name, header in record.all(_DATA):
        parts[name].append(header)
    streams = {name: _stream(headers, volume, reparse is not None and not name) for name, headers in parts.items()}
    return Facts(
        attributes=attributes | (DIRECTORY if record.directory else 0),
        descriptor=None,
        creation_time=creation,
        last_write_time=write,
        last_access_time=access,
        change_time=change,
        short_name=short_name,
        reparse=reparse,
        data=streams.pop("", None),
        streams=streams,
        links=links,
        eas=_eas(record),
        object_id=record.data(_OBJECT_ID),
    )


def _stream(headers: list[Any], volume: BinaryIO, hashed: bool) -> Stream:
    """A data stream of one or more attributes: of a fragmented one, each holds a part of the runs."""
    first = min(headers, key=lambda header: header.lowest_vcn or 0)
    if first.resident:
        data = bytes(first.data())
        return Stream(len(data), hashlib.sha1(data, usedforsecurity=False).hexdigest(), ())
    # Holes are only those of a sparse stream: a compressed one leaves out runs too.
    sparse = bool(first.flags & 0x8000)
    holes: list[tuple[int, int]] = []
    digest, left, position = hashlib.sha1(usedforsecurity=False), first.size, 0
    for header in sorted(headers, key=lambda header: header.lowest_vcn):
        for cluster, count in header.dataruns():
            size = max(0, min(count * CLUSTER, first.size - position))
            if cluster is None and sparse and size:
                holes.append((position, size))
            if hashed and size:
                volume.seek(0 if cluster is None else cluster * CLUSTER)
                digest.update(bytes(size) if cluster is None else volume.read(size))
            position, left = position + count * CLUSTER, left - size
    assert not left, "runs that do not reach the stream's end"
    return Stream(first.size, digest.hexdigest() if hashed else "", _merged(holes))


def _merged(holes: list[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    found: list[tuple[int, int]] = []
    for offset, length in holes:
        if found and sum(found[-1]) == offset:
            found[-1] = (found[-1][0], found[-1][1] + length)
        else:
            found.append((offset, length))
    return tuple(found)


def _eas(record: _Record) -> dict[bytes, tuple[int, bytes]]:
    """The EAs, and that $EA_INFORMATION counts them right: Windows looks there first."""
    data = record.data(_EA) or b""
    found: dict[bytes, tuple[int, bytes]] = {}
    position = packed = 0
    while position < len(data):
        following, flags, name_size, value_size = struct.unpack_from("<IBBH", data, position)
        name = position + 8
        value = name + name_size + 1
        found[data[name : name + name_size]] = flags, data[value : value + value_size]
        packed += 5 + name_size + value_size
        assert following, "on a volume the last entry points to the end too"
        position += following
    needed = sum(flags >> 7 for flags, _ in found.values())
    information = struct.pack("<HHI", packed, needed, len(data)) if data else None
    assert record.data(_EA_INFORMATION) == information, (record.data(_EA_INFORMATION), information)
    return found
