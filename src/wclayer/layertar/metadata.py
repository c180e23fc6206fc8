"""Windows metadata of a tar member, read from its PAX records (`records`) and header fields.

What go-winio's FileInfoFromHeader, SecurityDescriptorFromTarHeader, ExtendedAttributesFromTarHeader and
EncodeReparsePointFromTarHeader read, and the records of wclayer.
"""

from __future__ import annotations

from typing import Final, TypedDict

from ..codes import Code
from ..entry import ExtendedAttribute
from ..errors import TarError
from ..win32.attributes import parse_attributes
from ..win32.filetime import NO_TIME, from_unix_ns, parse_pax_time
from ..win32.names import decode_wtf8
from ..win32.reparse import build_link, decode, tar_target_to_windows
from ..win32.sddl import parse_sddl
from . import records as rec
from .members import Member
from .pax import decode_base64

__all__ = ["CommonMetadata", "Metadata", "extents_of", "read_common", "read_metadata"]

_PREFIXES: Final = (rec.EA_PREFIX, rec.EA_FLAGS_PREFIX, rec.STREAM_PREFIX)
_NS: Final = 1_000_000_000
_MAX_EA_NAME: Final = 0xFF  # bytes; EaNameLength is a uint8, EaValueLength a uint16 ([MS-FSCC] 2.4.16)
_MAX_EA_VALUE: Final = 0xFFFF


class CommonMetadata(TypedDict):
    """What every entry but a whiteout has; times are FILETIMEs."""

    file_attributes: int
    creation_time: int | None
    last_access_time: int | None
    last_write_time: int | None
    change_time: int | None


class Metadata(CommonMetadata):
    """What directories and files have."""

    security_descriptor: bytes | None
    extended_attributes: tuple[ExtendedAttribute, ...]
    reparse_data: bytes | None
    short_name: str | None
    object_id: bytes | None
    backup_streams: tuple[tuple[int, bytes], ...]


def read_common(member: Member, default_attributes: int) -> CommonMetadata:
    """Attributes and times; a member without a creation time has its mtime as such, as in go-winio.

    Raises AttributesError and FileTimeError.
    """
    records = member.records
    attributes = records.get(rec.ATTRIBUTES)
    text = records.get(rec.WRITE_TIME)
    write = parse_pax_time(text) if text else from_unix_ns(member.mtime * _NS)
    creation = records.get(rec.CREATION_TIME)
    return {
        "file_attributes": default_attributes if attributes is None else parse_attributes(attributes),
        "creation_time": write if creation is None else parse_pax_time(creation),
        "last_access_time": _optional_time(records.get(rec.ACCESS_TIME), member.atime),
        "last_write_time": write,
        "change_time": _optional_time(records.get(rec.CHANGE_TIME), member.ctime),
    }


def _optional_time(text: bytes | None, seconds: int | None) -> int | None:
    if text:
        # hcsshim writes NO_TIME for a time that is not set. Read as None, it survives any number of exports.
        return None if (time := parse_pax_time(text)) == NO_TIME else time
    return None if seconds is None else from_unix_ns(seconds * _NS)


def read_metadata(member: Member, default_attributes: int) -> Metadata:
    """All metadata of a directory or file. Raises errors of FormatError; InexpressibleError for a link too long."""
    records, offset = member.records, member.offset
    short_name = records.get(rec.SHORT_NAME)
    object_id = records.get(rec.OBJECT_ID)
    named = [key for key in records if key.startswith(_PREFIXES)]  # in one pass: a layer has 100,000 members
    return {
        **read_common(member, default_attributes),
        "security_descriptor": _descriptor(member),
        "extended_attributes": _extended_attributes(member, named) if named else (),
        "reparse_data": _reparse_data(member),
        "short_name": None if short_name is None else decode_wtf8(short_name),
        "object_id": None if object_id is None else decode_base64(object_id, "WCLAYER.objectid", offset),
        "backup_streams": _backup_streams(member, named) if named else (),
    }


def _descriptor(member: Member) -> bytes | None:
    if (raw := member.records.get(rec.RAW_DESCRIPTOR)) is not None:
        return decode_base64(raw, "MSWINDOWS.rawsd", member.offset) or None
    if (sddl := member.records.get(rec.SDDL)) is not None:
        return parse_sddl(sddl.decode("utf-8", "replace"))
    return None


def _extended_attributes(member: Member, keys: list[bytes]) -> tuple[ExtendedAttribute, ...]:
    """The extended attributes by their names: PAX records are written sorted, so no other order would survive."""
    records = member.records
    found: list[ExtendedAttribute] = []
    for key in keys:
        if key.startswith(rec.EA_PREFIX):
            name = key[len(rec.EA_PREFIX) :]
            flags = records.get(rec.EA_FLAGS_PREFIX + name, b"0")
            found.append(_extended_attribute(name, records[key], flags, member.offset))
        elif key.startswith(rec.EA_FLAGS_PREFIX) and rec.EA_PREFIX + key[len(rec.EA_FLAGS_PREFIX) :] not in records:
            raise TarError(
                "WCLAYER.eaflags without the extended attribute that it belongs to",
                got=repr(key)[2:-1],
                rule=Code.OWN_RECORD_MALFORMED,
            )
    found.sort(key=lambda ea: ea.name)
    return tuple(found)


def _extended_attribute(name: bytes, value: bytes, flags: bytes, offset: int) -> ExtendedAttribute:
    data = decode_base64(value, "an extended attribute", offset)
    if len(data) > _MAX_EA_VALUE or len(name) > _MAX_EA_NAME:
        raise TarError(
            "extended attribute too large for NTFS",
            expected="a name of at most 255 bytes, a value of at most 65,535",
            got=f"{len(name)} and {len(data):,}",
            rule=Code.EA_TOO_LARGE,
        )
    if not flags.isdigit() or len(flags) > 3 or int(flags) > 0xFF:
        raise TarError(
            "malformed WCLAYER.eaflags",
            expected="a decimal byte",
            got=repr(flags)[2:40],
            rule=Code.OWN_RECORD_MALFORMED,
        )
    return ExtendedAttribute(name, data, int(flags))


def _backup_streams(member: Member, keys: list[bytes]) -> tuple[tuple[int, bytes], ...]:
    """The streams of WCLAYER.stream.ID by their IDs."""
    found: list[tuple[int, bytes]] = []
    for key in keys:
        if not key.startswith(rec.STREAM_PREFIX):
            continue
        number = key[len(rec.STREAM_PREFIX) :]
        if number not in (b"6", b"10"):
            raise TarError(
                "WCLAYER.stream of an unknown backup stream",
                expected="6 or 10",
                got=repr(number)[2:-1],
                rule=Code.OWN_RECORD_MALFORMED,
            )
        found.append((int(number), decode_base64(member.records[key], "WCLAYER.stream", member.offset)))
    return tuple(sorted(found))


def _reparse_data(member: Member) -> bytes | None:
    """The reparse buffer: WCLAYER.reparse, which is exact, or else the one that go-winio makes of the symlink."""
    if (raw := member.records.get(rec.REPARSE)) is not None:
        buffer = decode_base64(raw, "WCLAYER.reparse", member.offset)
        decode(buffer)
        return buffer
    if member.typeflag == b"2":
        target = tar_target_to_windows(decode_wtf8(member.linkname))
        return build_link(target, rec.MOUNT_POINT in member.records)
    return None


def extents_of(member: Member) -> tuple[tuple[int, int], ...] | None:
    """The allocated ranges that WCLAYER.sparse lists, (offset, length) in bytes; None without the record.

    Raises TarError.
    """
    text = member.records.get(rec.SPARSE)
    if text is None:
        return None
    ranges: list[tuple[int, int]] = []
    for item in text.split(b";"):
        first, comma, second = item.partition(b",")
        if not (comma and first.isdigit() and second.isdigit() and len(item) < 40):
            raise TarError(
                "malformed WCLAYER.sparse",
                expected="offset,length;offset,length",
                got=repr(item)[2:40],
                rule=Code.OWN_RECORD_MALFORMED,
            )
        ranges.append((int(first), int(second)))
    return tuple(ranges)
