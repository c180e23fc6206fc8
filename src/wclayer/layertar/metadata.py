"""What a tar member says of Windows, and back: the records of the OCI Windows layer.

The standard ones are go-winio's (package backuptar):

    MSWINDOWS.fileattr        decimal file attributes
    MSWINDOWS.rawsd           base64 self-relative security descriptor
    MSWINDOWS.sd              the older SDDL form: read, never written
    MSWINDOWS.mountpoint      present: a junction, not a symlink
    MSWINDOWS.xattr.NAME      base64 value of an extended attribute
    LIBARCHIVE.creationtime   and atime, ctime (the change time), mtime

Ours say what those cannot, and are written only where reading the standard ones
would not give the same value back; hcsshim, containerd and Docker pass over them:

    WCLAYER.reparse           base64 of the whole reparse buffer
    WCLAYER.eaflags.NAME      decimal flags of an extended attribute, where not 0
    WCLAYER.sparse            `offset,length;...` allocated ranges; `0,0` where nothing is
    WCLAYER.shortname         the DOS name
    WCLAYER.objectid          base64 of the OBJECT_ID stream
    WCLAYER.stream.ID         base64 of backup stream PROPERTY_DATA (6) or TXFS_DATA (10)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypedDict

from ..codes import Code
from ..entry import AlternateStream, Directory, Entry, ExtendedAttribute, File, HardLink, Whiteout
from ..errors import (
    ConfinementError,
    FormatError,
    InexpressibleError,
    InvalidNameError,
    LayerError,
    MetadataError,
    TarError,
)
from ..win32.attributes import FILE_ATTRIBUTE_DIRECTORY, FILE_ATTRIBUTE_SPARSE_FILE, parse_attributes
from ..win32.filetime import NO_TIME, UNIX_EPOCH, format_pax_time, from_unix_ns, parse_pax_time
from ..win32.names import check_component, check_path_length, decode_wtf8, encode_wtf8
from ..win32.reparse import build_link, decode, link_target, link_text, tar_target_to_windows
from ..win32.sddl import parse_sddl
from .members import Member
from .pax import decode_base64, encode_base64

__all__ = [
    "OWN",
    "WHITEOUT",
    "Link",
    "entry_of",
    "extents_of",
    "layer_path",
    "link_of",
    "records_of",
    "stream_records",
    "time_records",
]

WHITEOUT: Final = ".wh."
OWN: Final = b"WCLAYER."

_XATTR = b"MSWINDOWS.xattr."
_EA_FLAGS = b"WCLAYER.eaflags."
_STREAM = b"WCLAYER.stream."
_STREAM_IDS = (6, 10)
# Type -> what it is, for those that carry nothing that a Windows layer can hold. hcsshim reads them as empty files.
_REFUSED: Final = {
    b"3": "a character device",
    b"4": "a block device",
    b"6": "a FIFO",
    b"7": "a contiguous file",
    b"S": "an old GNU sparse file",
    b"D": "a GNU directory dump",
    b"M": "a GNU multi-volume part",
    b"N": "a GNU long-name list",
    b"V": "a GNU volume label",
    b"A": "a Solaris ACL",
    b"X": "a Solaris extended header",
}
_NO_TIME_TEXT = format_pax_time(NO_TIME)
_DATA = ":$DATA"


# --- reading -----------------------------------------------------------------


def layer_path(name: bytes, what: str, offset: int) -> str:
    """`name` as an entry's path: without leading `./` and trailing `/`; "" for the root itself.

    Raises ConfinementError for a path that leaves the layer, InvalidNameError for a component that is no name. A
    `:` is left to the caller, in the last component.
    """
    try:
        path = decode_wtf8(name)
    except FormatError as error:
        error.at(name.decode("utf-8", "backslashreplace"), offset)
        raise
    if path[:1] == "." or path[-1:] == "/":
        while path.startswith("./"):
            path = path[2:].lstrip("/") if path != "./" else ""
        path = "" if path == "." else path.rstrip("/") or path[:1]
    if not path:
        if name:
            return ""
        raise InvalidNameError(f"{what} without a name", path="", offset=offset, rule=Code.NAME_IMPOSSIBLE)
    components = path.split("/")
    drive = components[0][1:2] == ":" and (len(components) > 1 or path[2:3] in ("", "\\"))
    if not components[0] or ".." in components or drive:
        raise ConfinementError(
            f"{what} that leaves the layer",
            path=path,
            offset=offset,
            expected="a relative path without `..` and without a drive",
            hint="the tar was not made for Windows layers: paths begin with Files/",
            rule=Code.LEAVES_LAYER,
        )
    last = components[-1]
    if ":" in last:
        components[-1] = last.partition(":")[0]
    try:
        check_path_length(path)
        for component in components:
            check_component(component)
    except FormatError as error:
        error.at(path, offset)
        raise
    return path


class _Times(TypedDict):
    file_attributes: int
    creation_time: int | None
    last_access_time: int | None
    last_write_time: int | None
    change_time: int | None


def _common(member: Member, default_attributes: int) -> _Times:
    records = member.records
    attributes = records.get(b"MSWINDOWS.fileattr")
    text = records.get(b"mtime")
    write = parse_pax_time(text) if text else from_unix_ns(member.mtime * 1_000_000_000)
    creation = records.get(b"LIBARCHIVE.creationtime")
    return {
        "file_attributes": default_attributes if attributes is None else parse_attributes(attributes),
        "creation_time": write if creation is None else parse_pax_time(creation),
        "last_access_time": _optional_time(records.get(b"atime"), member.atime),
        "last_write_time": write,
        "change_time": _optional_time(records.get(b"ctime"), member.ctime),
    }


def _optional_time(text: bytes | None, seconds: int | None) -> int | None:
    if text:
        # What hcsshim makes of an absent time is read as absent, so that None survives any number of exports.
        return None if (time := parse_pax_time(text)) == NO_TIME else time
    return None if seconds is None else from_unix_ns(seconds * 1_000_000_000)


class _Metadata(_Times):
    security_descriptor: bytes | None
    extended_attributes: tuple[ExtendedAttribute, ...]
    reparse_data: bytes | None
    short_name: str | None
    object_id: bytes | None
    backup_streams: tuple[tuple[int, bytes], ...]


def _metadata(member: Member, default_attributes: int) -> _Metadata:
    records, offset = member.records, member.offset
    descriptor: bytes | None = None
    if (raw := records.get(b"MSWINDOWS.rawsd")) is not None:
        descriptor = decode_base64(raw, "MSWINDOWS.rawsd", offset) or None
    elif (sddl := records.get(b"MSWINDOWS.sd")) is not None:
        descriptor = parse_sddl(sddl.decode("utf-8", "replace"))
    eas: list[ExtendedAttribute] = []
    streams: list[tuple[int, bytes]] = []
    for key, value in records.items():
        if key.startswith(_XATTR):
            name = key[len(_XATTR) :]
            eas.append(_extended_attribute(name, value, records.get(_EA_FLAGS + name, b"0"), offset))
        elif key.startswith(_EA_FLAGS):
            if _XATTR + key[len(_EA_FLAGS) :] not in records:
                raise TarError(
                    "WCLAYER.eaflags of an extended attribute that is not there",
                    got=repr(key)[2:-1],
                    rule=Code.OWN_RECORD_MALFORMED,
                )
        elif key.startswith(_STREAM):
            number = key[len(_STREAM) :]
            if number not in (b"6", b"10"):
                raise TarError(
                    "backup stream in a record",
                    expected="6 or 10",
                    got=repr(number)[2:-1],
                    rule=Code.OWN_RECORD_MALFORMED,
                )
            streams.append((int(number), decode_base64(value, "WCLAYER.stream", offset)))
    eas.sort(key=lambda ea: ea.name)
    streams.sort()
    reparse: bytes | None = None
    if (raw := records.get(b"WCLAYER.reparse")) is not None:
        reparse = decode_base64(raw, "WCLAYER.reparse", offset)
        decode(reparse)
    elif member.typeflag == b"2":
        target = tar_target_to_windows(decode_wtf8(member.linkname))
        reparse = build_link(target, b"MSWINDOWS.mountpoint" in records)
    short_name = records.get(b"WCLAYER.shortname")
    object_id = records.get(b"WCLAYER.objectid")
    return {
        **_common(member, default_attributes),
        "security_descriptor": descriptor,
        "extended_attributes": tuple(eas),
        "reparse_data": reparse,
        "short_name": None if short_name is None else decode_wtf8(short_name),
        "object_id": None if object_id is None else decode_base64(object_id, "WCLAYER.objectid", offset),
        "backup_streams": tuple(streams),
    }


def _extended_attribute(name: bytes, value: bytes, flags: bytes, offset: int) -> ExtendedAttribute:
    data = decode_base64(value, "an extended attribute", offset)
    if len(data) > 0xFFFF or len(name) > 0xFF:
        raise TarError(
            "extended attribute too large for NTFS",
            expected="a name of at most 255 bytes, a value of at most 65,535",
            got=f"{len(name)} and {len(data):,}",
            rule=Code.EA_TOO_LARGE,
        )
    if not flags.isdigit() or len(flags) > 3 or int(flags) > 0xFF:
        raise TarError(
            "WCLAYER.eaflags", expected="a decimal byte", got=repr(flags)[2:40], rule=Code.OWN_RECORD_MALFORMED
        )
    return ExtendedAttribute(name, data, int(flags))


def extents_of(member: Member) -> tuple[tuple[int, int], ...] | None:
    """The allocated ranges that WCLAYER.sparse gives, None where there is none. Raises TarError."""
    text = member.records.get(b"WCLAYER.sparse")
    if text is None:
        return None
    ranges: list[tuple[int, int]] = []
    for item in text.split(b";"):
        first, comma, second = item.partition(b",")
        if not (comma and first.isdigit() and second.isdigit() and len(item) < 40):
            raise TarError(
                "WCLAYER.sparse",
                expected="offset,length;offset,length",
                got=repr(item)[2:40],
                rule=Code.OWN_RECORD_MALFORMED,
            )
        ranges.append((int(first), int(second)))
    return tuple(ranges)


def entry_of(member: Member, owner: str | None) -> Entry | None:
    """The entry that `member` is; None for the root itself (`./`), which a layer has no word for.

    `owner` is the path of the entry before it, streams not counted, whose streams may follow. Raises errors of
    FormatError, with path and offset.
    """
    path = layer_path(member.name, "an entry", member.offset)
    if not path:
        return None
    try:
        return _entry(member, path, owner)
    except MetadataError as error:
        error.within(member.offset)
        error.at(path)
        raise
    except FormatError as error:
        error.at(path, member.offset)
        raise
    except InexpressibleError as error:
        error.at(path, member.offset)
        error.rule = Code.METADATA_INEXPRESSIBLE
        raise


def _entry(member: Member, path: str, owner: str | None) -> Entry:
    typeflag = member.typeflag
    if typeflag not in (b"0", b"1", b"2", b"5"):
        what = _REFUSED.get(typeflag, "an entry of an unknown type")
        raise TarError(
            f"{what} (type {typeflag.decode('latin-1')}) has no place in a Windows layer",
            expected="a file, directory, hard link or symlink",
            hint="leave it out of the tar",
            rule=Code.TYPE_UNKNOWN,
        )
    directory, _, last = path.rpartition("/")
    if last.startswith(WHITEOUT):
        return _whiteout(member, directory, last)
    if ":" in last:
        return _stream(member, path, owner)
    if typeflag == b"1":
        target = layer_path(member.linkname, "a hard link's target", member.offset)
        if not target or ":" in target:
            raise LayerError(
                "hard link to no file",
                got=repr(target),
                expected="the path of a file",
                rule=Code.LINK_TO_NO_FILE,
            )
        return HardLink(path, target, **_common(member, 0))
    if typeflag == b"5":
        return Directory(path, **_metadata(member, FILE_ATTRIBUTE_DIRECTORY))
    if typeflag == b"2":
        metadata = _metadata(member, 0)
        if metadata["file_attributes"] & FILE_ATTRIBUTE_DIRECTORY:
            return Directory(path, **metadata)
        return File(path, data_stream=False, **metadata)
    if member.name.endswith(b"/"):
        raise TarError(
            "regular file whose name ends in a slash", expected="type '5' for a directory", rule=Code.FILE_WITH_SLASH
        )
    return File(
        path,
        size=member.size,
        data_stream=member.size > 0 or bool(member.mode & 0o100000),
        **_metadata(member, 0),
    )


def _whiteout(member: Member, directory: str, last: str) -> Whiteout:
    name = last[len(WHITEOUT) :]
    if name in ("", ".", ".."):
        raise ConfinementError(
            "whiteout of no name, or of the folder itself",
            expected=".wh.NAME",
            got=last,
            rule=Code.WHITEOUT_MALFORMED,
        )
    if ":" in name:
        raise LayerError("whiteout of a stream", expected=".wh.NAME", got=last, rule=Code.WHITEOUT_MALFORMED)
    if member.size:
        raise LayerError(
            "whiteout with data, which every importer would drop",
            expected="an empty file",
            got=f"{member.size:,} bytes",
            rule=Code.WHITEOUT_MALFORMED,
        )
    return Whiteout(f"{directory}/{name}" if directory else name)


def _stream(member: Member, path: str, owner: str | None) -> AlternateStream:
    base, _, name = path.rpartition("/")[2].partition(":")
    holder = path[: len(path) - len(name) - 1]
    name = name.removesuffix(_DATA)
    if holder != owner or member.typeflag != b"0":
        raise LayerError(
            "a `:` names a stream, which must be a regular file right after the entry it belongs to",
            expected=f"an entry {base!r} just before it",
            got="none" if owner is None else repr(owner),
            rule=Code.STREAM_ASTRAY,
        )
    check_component(name)
    return AlternateStream(holder, name, member.size)


# --- writing -----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Link:
    """How a reparse point stands in the tar: as type `2` with `text`, and `exact` where reading gives it back."""

    text: bytes
    mount_point: bool
    exact: bool


def link_of(entry: Directory | File) -> Link | None:
    """The symlink that stands for `entry`'s reparse point, None where only WCLAYER.reparse can.

    hcsshim writes the two link tags so, whatever is lost; other tags, and a link with data, are ours alone.
    """
    buffer = entry.reparse_data
    if buffer is None or (isinstance(entry, File) and entry.size):
        return None
    target = link_target(buffer)
    if target is None:
        return None
    _, mount_point = target
    text = link_text(buffer)
    if "\0" in text:
        return None
    try:
        exact = build_link(tar_target_to_windows(text), mount_point) == buffer
    except (FormatError, InexpressibleError):
        exact = False
    return Link(encode_wtf8(text), mount_point, exact)


def time_records(entry: Directory | File | HardLink) -> list[tuple[bytes, bytes]]:
    """atime, ctime, and mtime where the header cannot hold it; absent ones as hcsshim writes them."""
    access, change, write = entry.last_access_time, entry.change_time, entry.last_write_time
    records = [
        (b"atime", _NO_TIME_TEXT if access is None else format_pax_time(access)),
        (b"ctime", _NO_TIME_TEXT if change is None else format_pax_time(change)),
    ]
    if write is not None:
        seconds, fraction = divmod(write - UNIX_EPOCH, 10_000_000)
        if fraction or not 0 <= seconds < 8**11:
            records.append((b"mtime", format_pax_time(write)))
    return records


def records_of(
    entry: Directory | File | HardLink,
    link: Link | None = None,
    extents: Sequence[tuple[int, int]] | None = None,
) -> list[tuple[bytes, bytes]]:
    """The records of `entry` but for path, linkpath and size; `extents` where the body has holes."""
    creation = entry.creation_time
    if creation is None:
        creation = UNIX_EPOCH if entry.last_write_time is None else entry.last_write_time
    records = time_records(entry)
    records.append((b"LIBARCHIVE.creationtime", format_pax_time(creation)))
    records.append((b"MSWINDOWS.fileattr", b"%d" % entry.file_attributes))
    if isinstance(entry, HardLink):
        return records
    if entry.security_descriptor is not None:
        records.append((b"MSWINDOWS.rawsd", encode_base64(entry.security_descriptor)))
    for ea in entry.extended_attributes:
        records.append((_XATTR + ea.name, encode_base64(ea.value)))
        if ea.flags:
            records.append((_EA_FLAGS + ea.name, b"%d" % ea.flags))
    if link is not None and link.mount_point:
        records.append((b"MSWINDOWS.mountpoint", b"1"))
    if entry.reparse_data is not None and not (link and link.exact):
        records.append((b"WCLAYER.reparse", encode_base64(entry.reparse_data)))
    if entry.short_name is not None:
        records.append((b"WCLAYER.shortname", encode_wtf8(entry.short_name)))
    if entry.object_id is not None:
        records.append((b"WCLAYER.objectid", encode_base64(entry.object_id)))
    for number, data in entry.backup_streams:
        if number not in _STREAM_IDS:
            raise InexpressibleError(
                "backup stream that no record can hold", path=entry.path, expected="6 or 10", got=number
            )
        records.append((b"WCLAYER.stream.%d" % number, encode_base64(data)))
    records.extend(_sparse(entry.file_attributes, extents))
    return records


def stream_records(
    owner: Directory | File, extents: Sequence[tuple[int, int]] | None = None
) -> list[tuple[bytes, bytes]]:
    """The records of a named stream of `owner`: its times, as hcsshim writes them, and the holes."""
    return [*time_records(owner), *_sparse(owner.file_attributes, extents)]


def _sparse(attributes: int, extents: Sequence[tuple[int, int]] | None) -> list[tuple[bytes, bytes]]:
    if extents is None or not attributes & FILE_ATTRIBUTE_SPARSE_FILE:
        return []
    return [(b"WCLAYER.sparse", b";".join(b"%d,%d" % extent for extent in extents) or b"0,0")]
