"""What is in a layer, or in several, as they are stored: counts, sizes, times, owners, lists of access, names.

Entries are counted as they go by; no content is read. Memory grows with the number of
files and directories, whose sizes must be known for links and folders, and of distinct
descriptors and names.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Final, TypeVar

from ...entry import AlternateStream, Directory, Entry, File, HardLink, kind_of
from ...errors import FormatError, SecurityDescriptorError
from ...union.rules import FILES, HIVES, UTILITY_VM, UTILITY_VM_FILES
from ...win32.names import upcase
from ...win32.reparse import reparse_tag, tag_name
from ...win32.sddl import format_sddl
from ...win32.security import SE_DACL_PRESENT, SecurityDescriptor

__all__ = ["TIMES", "Contents", "Descriptors", "Named", "Sized", "Span", "Tally", "descriptor_text"]

TIMES: Final = ("creation_time", "last_access_time", "last_write_time", "change_time")

Name = TypeVar("Name", bytes, str)

_ROOTS: Final = frozenset(map(upcase, ("", FILES, HIVES, UTILITY_VM, UTILITY_VM_FILES)))
_ROOT_DEPTH: Final = 2  # components of the longest


@dataclass(frozen=True, slots=True)
class Span:
    """The earliest and the latest of one of the four times, FILETIMEs; None where no entry has it.

    absent: entries that could have it, and do not.
    """

    earliest: int | None
    latest: int | None
    absent: int


@dataclass(frozen=True, slots=True)
class Named:
    """How many extended attributes or streams there are of one name, and how many bytes are in them."""

    name: str
    count: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Sized:
    """A file, or a folder with all that is below it, and its bytes."""

    path: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Descriptors:
    """The security descriptors of files and directories.

    distinct: how many there are. common: the most common as SDDL, with how many have them. absent: entries without one;
    no_dacl: with one that has no DACL; null_dacl: whose DACL is NULL, which grants everything to everyone; malformed:
    with bytes that are no descriptor. owners: SIDs as SDDL writes them, "" for none, with how many have them.
    """

    distinct: int
    common: tuple[tuple[str, int], ...]
    absent: int
    no_dacl: int
    null_dacl: int
    malformed: int
    owners: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Contents:
    """What is in one layer, or in several, each as it is stored; whatever hides it in layers above counts too.

    entries: by kind, as `entry.kind_of` calls them. bytes: of all files and streams; linked_bytes: what further copies
    of the files with several names would take. unresolved_links: to files that are not among these.
    attributes: how many files and directories have which FILE_ATTRIBUTE_*. times: by the entry's field.
    largest_folders: with all that is below, without the roots of a layer; of one size, in the order of the tree.
    """

    entries: dict[str, int]
    bytes: int
    linked_bytes: int
    unresolved_links: int
    times: dict[str, Span]
    attributes: dict[int, int]
    descriptors: Descriptors
    extended_attributes: tuple[Named, ...]
    streams: tuple[Named, ...]
    reparse_tags: dict[str, int]
    largest_files: tuple[Sized, ...]
    largest_folders: tuple[Sized, ...]


def descriptor_text(descriptor: bytes) -> str:
    """A descriptor as SDDL, as far as SDDL can express it; malformed bytes in hexadecimal."""
    try:
        return format_sddl(descriptor, strict=False)
    except FormatError:
        return descriptor.hex()


def _owner(descriptor: SecurityDescriptor) -> str:
    if descriptor.owner is None:
        return ""
    try:
        return format_sddl(SecurityDescriptor(owner=descriptor.owner).to_bytes()).removeprefix("O:")
    except FormatError:
        return str(descriptor.owner)


@dataclass(slots=True)
class Tally:
    """Counts entries. top: how many of the largest are told. Show it layer after layer, base first, and their ends."""

    top: int = 10
    entries: Counter[str] = field(default_factory=Counter)
    size: int = 0
    linked_bytes: int = 0
    unresolved_links: int = 0
    _absent: Counter[str] = field(default_factory=Counter)
    _spans: list[tuple[int, int] | None] = field(default_factory=lambda: [None] * len(TIMES))
    _descriptors: Counter[bytes | None] = field(default_factory=Counter)
    _attributes: Counter[int] = field(default_factory=Counter)
    _eas: dict[bytes, list[int]] = field(default_factory=dict)
    _streams: dict[str, list[int]] = field(default_factory=dict)
    _tags: Counter[str] = field(default_factory=Counter)
    _sizes: dict[str, int] = field(default_factory=dict)  # of files, by path in upper case
    _waiting: dict[str, str] = field(default_factory=dict)  # hard links of this layer, to what has not come
    # Folders by path in upper case: the path as it is spelled, and the bytes directly in it.
    _folders: dict[str, tuple[str, int]] = field(default_factory=dict)
    _files: list[tuple[int, str]] = field(default_factory=list)  # a heap of the largest

    def add(self, entry: Entry) -> None:
        """The next entry."""
        self.entries[kind_of(entry)] += 1
        if isinstance(entry, AlternateStream):
            _count(self._streams, entry.name, entry.size)
            self._put(entry.path, entry.size)
        elif isinstance(entry, File | Directory):
            self._count_times(entry)
            self._descriptors[entry.security_descriptor] += 1
            self._attributes[entry.file_attributes] += 1
            for ea in entry.extended_attributes:
                _count(self._eas, ea.name, len(ea.value))
            if entry.reparse_data is not None:
                self._tags[tag_name(reparse_tag(entry.reparse_data))] += 1
            if isinstance(entry, Directory):
                self._put_in(entry.path, 0)
            else:
                self._sizes[upcase(entry.path)] = entry.size
                self._put(entry.path, entry.size)
                found = (entry.size, entry.path)
                if len(self._files) < self.top:
                    heapq.heappush(self._files, found)
                elif self.top and found > self._files[0]:
                    heapq.heapreplace(self._files, found)
        elif isinstance(entry, HardLink):
            key, target = upcase(entry.path), upcase(entry.target)
            size = self._sizes.get(target)
            if size is None:
                self._waiting[key] = target
            else:
                self.linked_bytes += size
                self._sizes[key] = size

    def end_layer(self, *, base: bool) -> None:
        """The end of a layer. base: is it one? Then its links may lead to what comes after them in it."""
        for key in [*self._waiting]:
            trail: list[str] = []
            at = key
            while at in self._waiting:
                trail.append(at)
                at = self._waiting.pop(at)
            size = self._sizes.get(at) if base else None
            if size is None:
                self.unresolved_links += len(trail)
                continue
            self.linked_bytes += size * len(trail)
            self._sizes.update(dict.fromkeys(trail, size))

    def _count_times(self, entry: File | Directory) -> None:
        spans = self._spans
        for number, time in enumerate(
            (entry.creation_time, entry.last_access_time, entry.last_write_time, entry.change_time)
        ):
            if time is None:
                self._absent[TIMES[number]] += 1
                continue
            span = spans[number]
            if span is None:
                spans[number] = time, time
            elif time < span[0]:
                spans[number] = time, span[1]
            elif time > span[1]:
                spans[number] = span[0], time

    def _put(self, path: str, size: int) -> None:
        self.size += size
        self._put_in(path.rpartition("/")[0], size)

    def _put_in(self, folder: str, size: int) -> None:
        key = upcase(folder)
        spelled, before = self._folders.get(key, (folder, 0))
        self._folders[key] = spelled, before + size

    def contents(self) -> Contents:
        """What was counted so far."""
        return Contents(
            entries=dict(sorted(self.entries.items())),
            bytes=self.size,
            linked_bytes=self.linked_bytes,
            unresolved_links=self.unresolved_links,
            times={
                name: Span(None, None, self._absent[name]) if span is None else Span(*span, self._absent[name])
                for name, span in zip(TIMES, self._spans, strict=True)
            },
            attributes=self._by_bit(),
            descriptors=self._described(),
            extended_attributes=_named(
                (name.decode("utf-8", "backslashreplace"), count, size) for name, (count, size) in self._eas.items()
            ),
            streams=_named((name, count, size) for name, (count, size) in self._streams.items()),
            reparse_tags=dict(self._tags.most_common()),
            largest_files=tuple(Sized(path, size) for size, path in sorted(self._files, key=_largest)),
            largest_folders=tuple(Sized(path, size) for size, path in self._largest_folders()),
        )

    def _by_bit(self) -> dict[int, int]:
        bits: Counter[int] = Counter()
        for attributes, count in self._attributes.items():
            for number in range(32):
                if attributes >> number & 1:
                    bits[1 << number] += count
        return dict(sorted(bits.items()))

    def _described(self) -> Descriptors:
        owners: Counter[str] = Counter()
        no_dacl = null_dacl = malformed = 0
        found = {data: count for data, count in self._descriptors.items() if data is not None}
        for data, count in found.items():
            try:
                descriptor = SecurityDescriptor.from_bytes(data)
            except SecurityDescriptorError:
                malformed += count
                continue
            owners[_owner(descriptor)] += count
            if not descriptor.control & SE_DACL_PRESENT:
                no_dacl += count
            elif descriptor.dacl is None:
                null_dacl += count
        common = sorted(found.items(), key=lambda one: (-one[1], one[0]))[: self.top]
        return Descriptors(
            distinct=len(found),
            common=tuple((descriptor_text(data), count) for data, count in common),
            absent=self._descriptors[None],
            no_dacl=no_dacl,
            null_dacl=null_dacl,
            malformed=malformed,
            owners=tuple(sorted(owners.items(), key=lambda one: (-one[1], one[0]))),
        )

    def _largest_folders(self) -> list[tuple[int, str]]:
        """Each folder with what is below it; work and memory grow with the lengths of the paths, not their depths."""
        # In the order of the tree, each folder before those in it, by the number of its parent.
        names: list[str] = []
        parents: list[int] = []
        sizes: list[int] = []
        told: list[bool] = []
        way: list[tuple[str, int]] = []  # to the last folder: names in upper case, numbers
        for key in sorted(self._folders, key=lambda key: key.replace("/", "\0")):
            path, size = self._folders[key]
            parts, spelled = key.split("/"), path.split("/")
            same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1][0], zip(parts, way, strict=False)))
            del way[same:]
            for depth in range(same, len(parts)):
                parents.append(way[-1][1] if way else -1)
                way.append((parts[depth], len(names)))
                names.append(spelled[depth])
                sizes.append(0)
                told.append(depth >= _ROOT_DEPTH or "/".join(parts[: depth + 1]) not in _ROOTS)
            sizes[way[-1][1]] += size
        for number in range(len(names) - 1, -1, -1):
            if parents[number] >= 0:
                sizes[parents[number]] += sizes[number]
        found = (number for number, size in enumerate(sizes) if size and told[number])
        largest = heapq.nsmallest(self.top, found, key=lambda number: (-sizes[number], number))
        result: list[tuple[int, str]] = []
        for number in largest:
            up, at = [names[number]], parents[number]
            while at >= 0:
                up.append(names[at])
                at = parents[at]
            result.append((sizes[number], "/".join(reversed(up))))
        return result


def _count(found: dict[Name, list[int]], name: Name, size: int) -> None:
    counts = found.get(name)
    if counts is None:
        found[name] = [1, size]
    else:
        counts[0] += 1
        counts[1] += size


def _largest(one: tuple[int, str]) -> tuple[int, str]:
    return -one[0], one[1]


def _named(found: Iterable[tuple[str, int, int]]) -> tuple[Named, ...]:
    """By their number, the most first."""
    return tuple(Named(*one) for one in sorted(found, key=lambda one: (-one[1], one[0])))
