"""The metadata of a layer's entries: what Windows refuses, loses, or takes for something else.

What could not be read at all is an error of the reader, and a finding by its rule. Here
is what could be read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from ..codes import Code
from ..entry import AlternateStream, Directory, Entry, ExtendedAttribute, File, Whiteout
from ..errors import ExtendedAttributeError, MetadataError, ReparseError, WclayerError
from ..layertar.members import Member
from ..layertar.metadata_writing import link_of, records_of
from ..layertar.records import OWN
from ..regf.check_descriptor import check_descriptor
from ..regf.findings import Findings, Severity
from ..union.links import LinkTarget, resolve_link
from ..win32.attributes import FILE_ATTRIBUTE_DIRECTORY
from ..win32.ea import build_ea_list
from ..win32.filetime import UNIX_EPOCH, format_pax_time
from ..win32.names import upcase
from ..win32.reparse import (
    IO_REPARSE_TAG_MOUNT_POINT,
    MAXIMUM_REPARSE_DATA_BUFFER_SIZE,
    ReparseLink,
    build_link,
    decode,
    link_text,
    reparse_tag,
    tag_name,
    tar_target_to_windows,
)
from ..win32.security import SE_DACL_PRESENT, SecurityDescriptor
from .notes import Notes

__all__ = ["MetadataCheck"]

# What 64-bit nanoseconds since 1970 reach, as FILETIMEs: 1677-09-21 to 2262-04-11.
_FIRST_TIME: Final = UNIX_EPOCH - (1 << 63) // 100
_LAST_TIME: Final = UNIX_EPOCH + ((1 << 63) - 1) // 100
_NANOSECONDS: Final = 9  # digits
_MAX_EAS: Final = (1 << 16) - 5  # bytes of the list ([MS-FSA] 2.1.5.15.5)
_MAX_EA_NAME: Final = 254
_NEED_EA: Final = 0x80  # FILE_NEED_EA, the only flag
_NOT_IN_EA_NAMES: Final = frozenset((*range(0x20), *b'\\/:*?"<>|,+=[];'))  # [MS-FSCC] 2.4.16
_MAX_CACHED: Final = 1 << 22  # bytes of descriptors that were looked at
_DATA: Final = b":$DATA"

_Problem = tuple[Code, str, str | None, str | None]  # code, message, expected, got


@dataclass(slots=True)
class _Count:
    """How often something was met, and where first."""

    path: str
    offset: int | None
    count: int = 0


@dataclass(slots=True)
class _Link:
    """A symlink to be looked at once all directories are known."""

    path: str
    offset: int | None
    target: LinkTarget
    text: str  # of the target, as people know it
    attributes: int


@dataclass(slots=True)
class _Seen:
    directories: set[str] = field(default_factory=set)  # in upper case
    links: list[_Link] = field(default_factory=list)
    own: dict[str, _Count] = field(default_factory=dict)  # by the record's name
    streams: _Count | None = None  # whose names do not end in :$DATA


class MetadataCheck:
    """The metadata of one layer. Show it every entry, in order (`see`), then call `end`.

    offset: of the entry in its tar, None in a folder.
    """

    def __init__(self, notes: Notes) -> None:
        self._notes = notes
        self._seen = _Seen()
        self._descriptors: dict[bytes, tuple[_Problem, ...]] = {}
        self._cached = 0

    def see(self, entry: Entry, member: Member | None, offset: int | None) -> None:
        """Look at an entry; member: what it is in a tar."""
        if member is not None:
            self._own_records(entry.path, member.records, offset)
        if isinstance(entry, AlternateStream):
            if member is not None and not member.name.endswith(_DATA):
                streams = self._seen.streams = self._seen.streams or _Count(f"{entry.path}:{entry.name}", offset)
                streams.count += 1
            return
        if isinstance(entry, Whiteout) or not isinstance(entry, Directory | File):
            return  # hcsshim sets neither attributes nor times of a hard link: they are its file's
        if isinstance(entry, Directory):
            self._seen.directories.add(upcase(entry.path))
        if member is None:
            self._own_metadata(entry, offset)
        else:
            self._unpadded(entry.path, member, offset)
        self._times(entry, offset)
        self._security(entry, offset)
        if entry.extended_attributes:
            self._attributes(entry.path, entry.extended_attributes, offset)
        if entry.reparse_data is not None:
            self._reparse(entry, entry.reparse_data, member, offset)

    def end(self) -> None:
        """The layer has ended: say what could not be said before."""
        seen, note = self._seen, self._notes.note
        for link in seen.links:
            target = link.target
            to_directory = target.path is not None and upcase(target.path) in seen.directories
            if to_directory and not link.attributes & FILE_ATTRIBUTE_DIRECTORY:
                note(
                    Code.DIRECTORY_LINK_AS_FILE,
                    f"a symlink to the directory {target.path} without the attribute of one: it becomes one to a file",
                    path=link.path,
                    offset=link.offset,
                    expected="attributes 0x410",
                    got=f"{link.attributes:#x}",
                )
            if target.with_files and not to_directory and not self._has_files(link.path):
                note(
                    Code.LINK_WITH_FILES,
                    "a link target that begins with Files: to Windows that is a folder beside the link",
                    path=link.path,
                    offset=link.offset,
                    expected="a target as it is on drive C:",
                    got=link.text,
                )
        for name, own in sorted(seen.own.items()):
            note(
                Code.OWN_RECORDS,
                f"{name} in {own.count:,} entries, of which this is the first: only wclayer restores it"
                if own.count > 1
                else f"{name}, which only wclayer restores",
                path=own.path,
                offset=own.offset,
            )
        if seen.streams is not None:
            note(
                Code.STREAM_SUFFIX,
                "a stream whose name does not end in :$DATA"
                if seen.streams.count == 1
                else f"{seen.streams.count:,} streams whose names do not end in :$DATA; this is the first",
                path=seen.streams.path,
                offset=seen.streams.offset,
            )

    def _has_files(self, path: str) -> bool:
        """Is there really a folder `Files` beside the link?"""
        return upcase(f"{path.rpartition('/')[0]}/Files") in self._seen.directories

    def _error(self, error: MetadataError, path: str, offset: int | None, code: Code | None = None) -> None:
        error.path, error.offset = path, offset
        self._notes.error(error, code)

    # --- records ------------------------------------------------------------------

    def _own_records(self, path: str, records: dict[bytes, bytes], offset: int | None) -> None:
        names = {_record_name(key) for key in records if key.startswith(OWN)}
        for name in names:
            self._seen.own.setdefault(name, _Count(path, offset)).count += 1

    def _own_metadata(self, entry: Directory | File, offset: int | None) -> None:
        """What a tar of the entry, which is in a folder, will have in records of our own."""
        if (
            entry.reparse_data is not None
            or entry.short_name is not None
            or entry.object_id is not None
            or entry.backup_streams
            or any(ea.flags for ea in entry.extended_attributes)
        ):
            self._own_records(entry.path, dict(records_of(entry, link_of(entry))), offset)

    def sparse(self, path: str, offset: int | None) -> None:
        """The file or stream that was met last, which is in a folder, has holes."""
        self._own_records(path, {OWN + b"sparse": b""}, offset)

    # --- times --------------------------------------------------------------------

    def _times(self, entry: Directory | File, offset: int | None) -> None:
        for name, time in (
            ("creation time", entry.creation_time),
            ("access time", entry.last_access_time),
            ("write time", entry.last_write_time),
            ("change time", entry.change_time),
        ):
            if time is not None and not _FIRST_TIME <= time <= _LAST_TIME:
                self._notes.note(
                    Code.TIME_WRAPPED,
                    f"a {name} that hcsshim cannot count in 64-bit nanoseconds, and makes another one of",
                    path=entry.path,
                    offset=offset,
                    expected="a time from 1677-09-21 to 2262-04-11",
                    got=f"{format_pax_time(time).decode()} seconds since 1970",
                )

    def _unpadded(self, path: str, member: Member, offset: int | None) -> None:
        """BuildKit prints the nanoseconds of the creation time, which is the write time, as a number of its own."""
        creation = member.records.get(b"LIBARCHIVE.creationtime")
        write = member.records.get(b"mtime")
        if creation is None or write is None or creation == write:
            return
        seconds, _, fraction = creation.partition(b".")
        whole, _, nanoseconds = write.partition(b".")
        padded = nanoseconds[:_NANOSECONDS].ljust(_NANOSECONDS, b"0")
        if seconds == whole and padded[:1] == b"0" and fraction and fraction == padded.lstrip(b"0"):
            self._notes.note(
                Code.TIME_UNPADDED,
                "a creation time whose fraction lacks its leading zeros, as BuildKit writes it",
                path=path,
                offset=offset,
                expected=write.decode("latin-1"),
                got=creation.decode("latin-1"),
            )

    # --- security -----------------------------------------------------------------

    def _security(self, entry: Directory | File, offset: int | None) -> None:
        data = entry.security_descriptor
        if data is None:
            self._notes.note(Code.NO_DESCRIPTOR, "no security descriptor", path=entry.path, offset=offset)
            return
        problems = self._descriptors.get(data)
        if problems is None:
            if self._cached > _MAX_CACHED:
                self._descriptors.clear()
                self._cached = 0
            self._cached += len(data)
            problems = self._descriptors[data] = tuple(_descriptor_problems(data))
        for code, message, expected, got in problems:
            self._notes.note(code, message, path=entry.path, offset=offset, expected=expected, got=got)

    # --- extended attributes ------------------------------------------------------

    def _attributes(self, path: str, attributes: tuple[ExtendedAttribute, ...], offset: int | None) -> None:
        met: dict[bytes, bytes] = {}  # by the name as Windows keeps it
        for ea in attributes:
            other = met.get(ea.name.upper())
            if other is None:
                met[ea.name.upper()] = ea.name
            else:
                self._notes.note(
                    Code.EA_TWICE,
                    f"the extended attributes {repr(other)[2:-1]} and {repr(ea.name)[2:-1]}: to Windows these are one",
                    path=path,
                    offset=offset,
                )
            if not 0 < len(ea.name) <= _MAX_EA_NAME or not _NOT_IN_EA_NAMES.isdisjoint(ea.name):
                self._notes.note(
                    Code.EA_NAME,
                    "an extended attribute whose name Windows refuses",
                    path=path,
                    offset=offset,
                    expected='1 to 254 bytes, without control characters and \\ / : * ? " < > | , + = [ ] ;',
                    got=repr(ea.name)[2:-1] or "no name",
                )
            elif ea.flags & ~_NEED_EA:
                self._notes.note(
                    Code.EA_NAME,
                    f"the extended attribute {repr(ea.name)[2:-1]}, whose flags Windows refuses",
                    path=path,
                    offset=offset,
                    expected=f"0 or {_NEED_EA:#x}",
                    got=f"{ea.flags:#x}",
                )
            elif not ea.value:
                self._notes.note(
                    Code.EA_EMPTY,
                    f"the extended attribute {repr(ea.name)[2:-1]}, which has no value: Windows keeps none of those",
                    path=path,
                    offset=offset,
                )
        try:
            size = len(build_ea_list(attributes))
        except ExtendedAttributeError as error:
            self._error(error, path, offset, Code.EA_TOO_LARGE)
            return
        if size > _MAX_EAS:
            self._notes.note(
                Code.EAS_TOO_LARGE,
                "more extended attributes than NTFS takes on one file",
                path=path,
                offset=offset,
                expected=f"a list of at most {_MAX_EAS:,} bytes",
                got=f"{size:,}",
            )

    # --- reparse points -----------------------------------------------------------

    def _reparse(self, entry: Directory | File, buffer: bytes, member: Member | None, offset: int | None) -> None:
        note, path = self._notes.note, entry.path
        directory = isinstance(entry, Directory)
        if member is not None and member.typeflag == b"2" and b"MSWINDOWS.fileattr" not in member.records:
            note(
                Code.LINK_WITHOUT_ATTRIBUTES,
                "a symlink without attributes, which Windows takes for one to a file",
                path=path,
                offset=offset,
                expected="MSWINDOWS.fileattr, 1040 where it leads to a directory, else 1024",
            )
        if len(buffer) > MAXIMUM_REPARSE_DATA_BUFFER_SIZE:
            note(
                Code.REPARSE_TOO_LARGE,
                "a reparse point larger than Windows takes",
                path=path,
                offset=offset,
                expected=f"at most {MAXIMUM_REPARSE_DATA_BUFFER_SIZE:,} bytes, or a target of about 4,000 characters",
                got=f"{len(buffer):,}",
            )
        try:
            found = decode(buffer)
        except ReparseError as error:  # in a folder, where it is bytes
            self._error(error, entry.path, offset)
            return
        if not isinstance(found, ReparseLink):
            note(
                Code.REPARSE_TAG_UNKNOWN,
                "a reparse point that is no symlink and no junction, of which hcsshim knows nothing",
                path=path,
                offset=offset,
                got=tag_name(reparse_tag(buffer)),
            )
            return
        link = link_of(entry)
        if link is None or not link.exact:
            note(
                Code.REPARSE_REBUILT,
                "a link whose substitute name is not the one that hcsshim rebuilds from its print name",
                path=path,
                offset=offset,
                expected=_rebuilt(buffer, found),
                got=found.substitute_name,
            )
        if found.tag == IO_REPARSE_TAG_MOUNT_POINT and not directory:
            note(
                Code.JUNCTION_AS_FILE,
                "a junction on a file",
                path=path,
                offset=offset,
                expected="attributes 0x410",
                got=f"{entry.file_attributes:#x}",
            )
        self._leads(entry, found, offset)

    def _leads(self, entry: Directory | File, link: ReparseLink, offset: int | None) -> None:
        target = resolve_link(entry.path, link)
        text = link.print_name or link.substitute_name
        if target.leaves is not None:
            self._notes.note(
                Code.LINK_LEAVES_CONTAINER,
                f"a link that leaves the container: to {target.leaves}",
                path=entry.path,
                offset=offset,
                expected="a target on drive C:, or a relative one",
                got=text,
            )
        elif target.pathless:
            self._notes.note(
                Code.JUNCTION_NOT_ABSOLUTE,
                "a junction whose target is no absolute path",
                path=entry.path,
                offset=offset,
                expected=r"C:\...",
                got=text,
            )
        if target.with_files or (target.path is not None and not isinstance(entry, Directory)):
            self._seen.links.append(_Link(entry.path, offset, target, text, entry.file_attributes))


def _rebuilt(buffer: bytes, link: ReparseLink) -> str:
    """The substitute name that hcsshim makes of what stands in the tar."""
    mount_point = link.tag == IO_REPARSE_TAG_MOUNT_POINT
    try:
        made = decode(build_link(tar_target_to_windows(link_text(buffer)), mount_point))
    except WclayerError:
        return link.print_name
    return made.substitute_name if isinstance(made, ReparseLink) else link.print_name


def _record_name(key: bytes) -> str:
    """The name of a record of ours, without what it is of: WCLAYER.eaflags for all its attributes."""
    return ".".join(key.decode("utf-8", "backslashreplace").split(".", 2)[:2])


def _descriptor_problems(data: bytes) -> Iterator[_Problem]:
    """The findings about a self-relative descriptor."""
    found = Findings()
    check_descriptor(data, 0, found)
    errors = [one for one in found.kept if one.severity is Severity.ERROR]
    without_owner = len(data) >= 8 and data[4:8] == bytes(4)
    malformed = [one for one in errors if not (without_owner and one.offset == 4)]
    if malformed:
        first = malformed[0]
        message = first.message.removeprefix("security descriptor: ")
        yield (
            Code.DESCRIPTOR_MALFORMED,
            f"a malformed security descriptor: {message} (at {first.offset} in it)",
            first.expected,
            first.got,
        )
        return
    descriptor = SecurityDescriptor.from_bytes(data)
    if descriptor.owner is None:
        yield Code.NO_OWNER, "a security descriptor without an owner", None, None
    if not descriptor.control & SE_DACL_PRESENT or descriptor.dacl is None:
        present = bool(descriptor.control & SE_DACL_PRESENT)
        what = "a security descriptor with a NULL DACL" if present else "a security descriptor without a DACL"
        yield Code.NO_DACL, f"{what}: everybody may do everything", None, None
