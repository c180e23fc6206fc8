"""What an NTFS volume holds of an object, whoever reads it, and the entry that this is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from ...entry import Directory, ExtendedAttribute, File
from ...errors import InexpressibleError
from ...win32.attributes import FILE_ATTRIBUTE_DIRECTORY, FILE_ATTRIBUTE_ENCRYPTED
from ...win32.reparse import reparse_tag, tag_name
from ..record.writer import Times

__all__ = ["LET_WINDOWS", "NtfsMetadata", "check_exportable", "entry_of"]


LET_WINDOWS: Final = "let Windows export this layer (hcsshim's wclayer, or ctr)"
_WCIFS: Final = "of a container's layer that Windows has processed (wcifs), with its data elsewhere"
# By their tags, what the file system's filters would have to make a file of.
_FILTERED: Final = {
    **dict.fromkeys((0x80000018, 0x90001018, 0xA0000027, 0xA0001027, 0xA000001F), _WCIFS),
    0x80000017: "compressed by the Windows Overlay Filter (compact /exe)",
    0x80000013: "deduplicated, with its data in the volume's own store",
    0x80000007: "of a single-instance store, with its data elsewhere",
    0xC0000004: "migrated by hierarchical storage management",
    0x80000006: "migrated by hierarchical storage management",
    0x80000008: "mounted from a WIM file, with its data there",
    0x9000001C: "projected (ProjFS), with its data elsewhere",
    0xA0000022: "a tombstone of ProjFS",
}


@dataclass(frozen=True, slots=True)
class NtfsMetadata:
    """What the volume holds of an object. Times are creation, last access, last write, change."""

    attributes: int
    times: Times
    descriptor: bytes | None = None
    extended_attributes: tuple[ExtendedAttribute, ...] = ()
    reparse_data: bytes | None = None
    object_id: bytes | None = None
    short_name: str | None = None

    @property
    def is_directory(self) -> bool:
        return bool(self.attributes & FILE_ATTRIBUTE_DIRECTORY)


def entry_of(path: str, live: NtfsMetadata, size: int) -> Directory | File:
    """The entry that an object is which the record does not know."""
    creation, access, write, change = live.times
    common: dict[str, Any] = {
        "file_attributes": live.attributes,
        "creation_time": creation,
        "last_access_time": access,
        "last_write_time": write,
        "change_time": change,
        "security_descriptor": live.descriptor,
        "extended_attributes": live.extended_attributes,
        "reparse_data": live.reparse_data,
        "object_id": live.object_id,
        "short_name": live.short_name,
    }
    if live.is_directory:
        return Directory(path, **common)
    return File(path, size=size, data_stream=size > 0, **common)


def check_exportable(path: str, live: NtfsMetadata) -> None:
    """Raise InexpressibleError for what another volume could make nothing of."""
    tag = None if live.reparse_data is None else reparse_tag(live.reparse_data)
    if live.attributes & FILE_ATTRIBUTE_ENCRYPTED:
        raise InexpressibleError(
            "a file that is encrypted (EFS), which nobody could read elsewhere", path=path, hint="decrypt it on Windows"
        )
    if tag in _FILTERED:
        raise InexpressibleError(
            f"a file {_FILTERED[tag]}: outside of this volume it would be garbage",
            path=path,
            got=tag_name(tag),
            hint=LET_WINDOWS if "wcifs" in _FILTERED[tag] else "restore it on Windows to an ordinary file",
        )
