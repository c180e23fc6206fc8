"""Filter the entries that `ls` lists by name, size, time, owner, content and more: `wclayer find`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from ...arguments import check_fields
from ...entry import Directory, File, HardLink, Source, Whiteout
from ...errors import FormatError
from ...union.view import ViewEntry
from ...win32.attributes import FILE_ATTRIBUTE_DIRECTORY, FILE_ATTRIBUTE_REPARSE_POINT
from ...win32.names import upcase
from ...win32.reparse import is_name_surrogate, reparse_tag
from ...win32.sddl import format_sddl
from ...win32.security import SecurityDescriptor, Sid
from .ls import Listed, Stream, list_layers
from .patterns import component
from .request import PathQuery

__all__ = ["TYPES", "Criteria", "Found", "attributes_of", "find_in_layers", "owner_of", "sddl_of", "type_of"]

TYPES: Final = {
    "f": "files",
    "d": "directories",
    "l": "links",
    "h": "hard links",
    "w": "whiteouts",
    "s": "streams",
}


@dataclass(frozen=True, slots=True)
class Criteria:
    """Conditions that an entry or stream must all meet; an empty one is met by every entry.

    names: patterns, one of which matches the last component (of a stream: its name), in any case. sizes: pairs of a
    sign and bytes: smaller than (-1), equal to (0), or larger than (1) so many. newer: last written after this
    FILETIME. owners: SIDs, one of which is the owner. sha256: digests in hexadecimal, one of which the content has.
    sddl: found in the SDDL of the security descriptor. types: letters of TYPES, one of which the entry is; streams are
    found only with "s". attributes, without: FILE_ATTRIBUTE_* that are all set, and that are all not set.
    """

    names: tuple[str, ...] = ()
    sizes: tuple[tuple[int, int], ...] = ()
    newer: int | None = None
    owners: frozenset[Sid] = frozenset()
    sha256: frozenset[str] = frozenset()
    sddl: re.Pattern[str] | None = None
    types: frozenset[str] = frozenset()
    attributes: int = 0
    without: int = 0

    def __post_init__(self) -> None:
        check_fields(self)

    def may_have(self, entry: File | Directory) -> bool:
        """Can a file meet all conditions, as far as is known without its name and its content?"""
        if not self.sha256 or not self._metadata_fit(entry):
            return False
        return "s" in self.types or (isinstance(entry, File) and self._size_fits(entry.size))

    def found(self, listed: Listed) -> Iterator[Found]:
        """The entry and those of its streams that meet the conditions."""
        if listed.file is None:  # a whiteout, or a hard link to a file that no layer has: the metadata is not known
            if (self.newer, self.owners, self.sddl, self.attributes, self.without) != _NOTHING:
                return
        elif not self._metadata_fit(listed.file):
            return
        name = listed.path.rpartition("/")[2]
        if self._type_fits(listed) and self._data_fit(name, listed.size, listed.sha256):
            yield Found(listed)
        if "s" in self.types and not isinstance(listed.entry, HardLink):
            for stream in listed.streams:
                if self._data_fit(stream.name, stream.size, stream.sha256):
                    yield Found(listed, stream)

    def _data_fit(self, name: str, size: int | None, sha256: str | None) -> bool:
        return self._name_fits(name) and self._size_fits(size) and (not self.sha256 or sha256 in self.sha256)

    def _metadata_fit(self, entry: File | Directory) -> bool:
        attributes = attributes_of(entry)
        if attributes & self.attributes != self.attributes or attributes & self.without:
            return False
        if self.newer is not None and (entry.last_write_time is None or entry.last_write_time <= self.newer):
            return False
        if self.owners and owner_of(entry.security_descriptor) not in self.owners:
            return False
        return self.sddl is None or self.sddl.search(sddl_of(entry.security_descriptor) or "") is not None

    def _name_fits(self, name: str) -> bool:
        key = upcase(name)
        return not self.names or any(component(upcase(mask))(key) for mask in self.names)

    def _size_fits(self, size: int | None) -> bool:
        return all(
            size is not None and (size > limit if sign > 0 else size < limit if sign < 0 else size == limit)
            for sign, limit in self.sizes
        )

    def _type_fits(self, listed: Listed) -> bool:
        own = type_of(listed.entry)
        if not self.types or own in self.types:
            return True
        return own == "h" and listed.file is not None and type_of(listed.file) in self.types


_NOTHING: Final[tuple[object, ...]] = (None, frozenset(), None, 0, 0)


@dataclass(frozen=True, slots=True)
class Found:
    """An entry that was found, or one of its streams."""

    listed: Listed
    stream: Stream | None = None

    @property
    def path(self) -> str:
        return self.listed.path if self.stream is None else f"{self.listed.path}:{self.stream.name}"

    def to_dict(self) -> dict[str, Any]:
        """The entry or stream as JSON has it. Times are ISO 8601 in UTC, `filetimes` the same exactly."""
        from .objects import entry_object  # noqa: PLC0415 # which needs this module

        return entry_object(self)


def find_in_layers(
    layers: Sequence[Source],
    wanted: Iterable[PathQuery],
    criteria: Criteria,
    found: Callable[[Found], None],
    *,
    seen: Callable[[ViewEntry], None] | None = None,
) -> None:
    """Call `found` with the entries and streams at and below the `wanted` paths of `layers`, base first, that match.

    Content is hashed only where all other conditions are met. Links on the way to a wanted path are followed, and no
    others. seen, and errors: as in list_layers().
    """

    def each(listed: Listed) -> None:
        for one in criteria.found(listed):
            found(one)

    list_layers(layers, wanted, each, follow=False, hashed=criteria.may_have, seen=seen)


def type_of(entry: Directory | File | HardLink | Whiteout) -> str:
    """The letter of TYPES that an entry is."""
    if isinstance(entry, Whiteout):
        return "w"
    if isinstance(entry, HardLink):
        return "h"
    reparse = entry.reparse_data
    if reparse is not None and is_name_surrogate(reparse_tag(reparse)):
        return "l"
    return "d" if isinstance(entry, Directory) else "f"


def attributes_of(entry: File | Directory) -> int:
    """The attributes as Windows shows them: the bits for a directory and a reparse point follow from the entry."""
    attributes = entry.file_attributes
    if isinstance(entry, Directory):
        attributes |= FILE_ATTRIBUTE_DIRECTORY
    return attributes if entry.reparse_data is None else attributes | FILE_ATTRIBUTE_REPARSE_POINT


@lru_cache(4096)
def owner_of(descriptor: bytes | None) -> Sid | None:
    """The owner that a security descriptor names; None if it names none, and for a malformed descriptor."""
    if descriptor is None:
        return None
    try:
        return SecurityDescriptor.from_bytes(descriptor).owner
    except FormatError:
        return None


@lru_cache(4096)
def sddl_of(descriptor: bytes | None) -> str | None:
    """The SDDL of a security descriptor, as far as SDDL can express it; None for None and a malformed descriptor."""
    if descriptor is None:
        return None
    try:
        return format_sddl(descriptor, strict=False)
    except FormatError:
        return None
