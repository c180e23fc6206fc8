"""Windows metadata of an entry as the PAX records and the symlink of a tar member: the reverse of `metadata`.

As go-winio's WriteTarFileFromBackupStream writes it, with records of wclayer where that would lose something.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..entry import Directory, File, HardLink
from ..errors import FormatError, InexpressibleError
from ..win32.attributes import FILE_ATTRIBUTE_SPARSE_FILE
from ..win32.filetime import NO_TIME, UNIX_EPOCH, format_pax_time
from ..win32.names import encode_wtf8
from ..win32.reparse import build_link, link_target, link_text, tar_target_to_windows
from . import records as rec
from .pax import encode_base64

__all__ = ["Link", "link_of", "records_of", "stream_records", "time_records"]

_NO_TIME_TEXT = format_pax_time(NO_TIME)


@dataclass(frozen=True, slots=True)
class Link:
    """A reparse point as a symlink (type `2`) with the target `text`; `exact`: reading it gives the same buffer."""

    text: bytes
    mount_point: bool
    exact: bool


def link_of(entry: Directory | File) -> Link | None:
    """The symlink for `entry`'s reparse point; None where only WCLAYER.reparse can hold it.

    hcsshim writes every symlink and mount point so, even where that loses something. Other tags, and a link that has
    data too, it does not write at all.
    """
    buffer = entry.reparse_data
    if buffer is None or (isinstance(entry, File) and entry.size):
        return None
    target = link_target(buffer)
    if target is None:
        return None
    _, mount_point = target
    text = link_text(buffer)
    if "\0" in text:  # which neither a header field nor a `linkpath` record can hold
        return None
    try:
        exact = build_link(tar_target_to_windows(text), mount_point) == buffer
    except (FormatError, InexpressibleError):
        exact = False
    return Link(encode_wtf8(text), mount_point, exact)


def time_records(entry: Directory | File | HardLink) -> list[tuple[bytes, bytes]]:
    """atime, ctime, and mtime where the header cannot hold it; times that are not set as hcsshim writes them."""
    access, change, write = entry.last_access_time, entry.change_time, entry.last_write_time
    records = [
        (rec.ACCESS_TIME, _NO_TIME_TEXT if access is None else format_pax_time(access)),
        (rec.CHANGE_TIME, _NO_TIME_TEXT if change is None else format_pax_time(change)),
    ]
    if write is not None:
        seconds, fraction = divmod(write - UNIX_EPOCH, 10_000_000)
        if fraction or not 0 <= seconds < 8**11:  # the header has 11 octal digits of seconds
            records.append((rec.WRITE_TIME, format_pax_time(write)))
    return records


def records_of(
    entry: Directory | File | HardLink,
    link: Link | None = None,
    extents: Sequence[tuple[int, int]] | None = None,
) -> list[tuple[bytes, bytes]]:
    """The records of `entry` except path, linkpath and size.

    link: what `link_of` gave. extents: the allocated ranges of a body with holes, (offset, length) in bytes. Raises
    InexpressibleError for a backup stream that has no record.
    """
    creation = entry.creation_time
    if creation is None:
        creation = UNIX_EPOCH if entry.last_write_time is None else entry.last_write_time
    records = time_records(entry)
    records.append((rec.CREATION_TIME, format_pax_time(creation)))
    records.append((rec.ATTRIBUTES, b"%d" % entry.file_attributes))
    if isinstance(entry, HardLink):
        return records
    if entry.security_descriptor is not None:
        records.append((rec.RAW_DESCRIPTOR, encode_base64(entry.security_descriptor)))
    for ea in entry.extended_attributes:
        records.append((rec.EA_PREFIX + ea.name, encode_base64(ea.value)))
        if ea.flags:
            records.append((rec.EA_FLAGS_PREFIX + ea.name, b"%d" % ea.flags))
    if link is not None and link.mount_point:
        records.append((rec.MOUNT_POINT, b"1"))
    if entry.reparse_data is not None and not (link and link.exact):
        records.append((rec.REPARSE, encode_base64(entry.reparse_data)))
    if entry.short_name is not None:
        records.append((rec.SHORT_NAME, encode_wtf8(entry.short_name)))
    if entry.object_id is not None:
        records.append((rec.OBJECT_ID, encode_base64(entry.object_id)))
    for number, data in entry.backup_streams:
        if number not in rec.STREAM_IDS:
            raise InexpressibleError(
                "backup stream that no record of a layer tar can hold",
                path=entry.path,
                expected="6 or 10",
                got=number,
            )
        records.append((rec.STREAM_PREFIX + b"%d" % number, encode_base64(data)))
    records.extend(_sparse(entry.file_attributes, extents))
    return records


def stream_records(
    owner: Directory | File, extents: Sequence[tuple[int, int]] | None = None
) -> list[tuple[bytes, bytes]]:
    """The records of a named stream of `owner`: its owner's times, as hcsshim writes them, and the extents."""
    return [*time_records(owner), *_sparse(owner.file_attributes, extents)]


def _sparse(attributes: int, extents: Sequence[tuple[int, int]] | None) -> list[tuple[bytes, bytes]]:
    # Without the attribute NTFS keeps no holes: they are then an accident of where the body came from.
    if extents is None or not attributes & FILE_ATTRIBUTE_SPARSE_FILE:
        return []
    return [(rec.SPARSE, b";".join(b"%d,%d" % extent for extent in extents) or b"0,0")]
