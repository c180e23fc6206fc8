"""What an object of an NTFS volume is to Windows, read and written by ntfs-3g's extended attributes.

    system.ntfs_attrib        uint32: FILE_ATTRIBUTE_*
    system.ntfs_times         4 FILETIMEs: creation, last write, last access, change; the last cannot be set
    system.ntfs_acl           the security descriptor, self-relative
    system.ntfs_ea            FILE_FULL_EA_INFORMATION, each entry, the last too, pointing to its end
    system.ntfs_reparse_data  REPARSE_DATA_BUFFER
    system.ntfs_object_id     64 bytes; what is not given is zero
    system.ntfs_dos_name      the short name, UTF-8; not for a file of several names (EMLINK)
    ntfs.streams.list         the named streams' names, with NULs between them

(ntfs-3g 2022.10.3, and the wiki of tuxera/ntfs-3g.) The driver shows reparse points that
it does not know as symlinks, and files with the attribute SYSTEM that look like Interix's
as pipes, sockets, devices and symlinks; their metadata can be read all the same. Where an
object becomes such a one, the kernel's next look at it fails once with EIO.
"""

from __future__ import annotations

import ctypes
import errno
import functools
import os
import shutil
import struct
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final

from ...entry import Directory, File
from ...errors import FormatError
from ...win32.attributes import (
    FILE_ATTRIBUTE_ARCHIVE,
    FILE_ATTRIBUTE_DIRECTORY,
    FILE_ATTRIBUTE_NORMAL,
    FILE_ATTRIBUTE_REPARSE_POINT,
    FILE_ATTRIBUTE_SYSTEM,
)
from ...win32.ea import build_ea_list, parse_ea_list
from ...win32.filetime import UNIX_EPOCH
from ...win32.names import decode_wtf8, encode_wtf8, upcase
from ...win32.security import SecurityDescriptor
from ..folder.defaults import DIRECTORY_DESCRIPTOR, FILE_DESCRIPTOR
from ..ntfs.metadata import NtfsMetadata, entry_of
from ..record.writer import Times, times_of
from ..root.root import Root
from ..root.root_posix import PosixRoot

__all__ = ["NtfsFiles", "attributes_now", "get_attribute", "has_changed", "merged", "unheld_attributes"]

_MAX: Final = 1 << 16  # bytes of an extended attribute: Linux's XATTR_SIZE_MAX
_TIMES: Final = struct.Struct("<4Q")
_ATTRIBUTES: Final = struct.Struct("<I")
_TICKS: Final = 10_000_000  # a second
_EA_HEADER: Final = struct.Struct("<IBBH")

# READONLY, HIDDEN, SYSTEM, ARCHIVE, TEMPORARY, OFFLINE, NOT_CONTENT_INDEXED; of directories COMPRESSED too.
_SETTABLE: Final = 0x1 | 0x2 | 0x4 | 0x20 | 0x100 | 0x1000 | 0x2000
_SETTABLE_DIRECTORY: Final = _SETTABLE | 0x800
# What the driver drops, but Windows may have set: COMPRESSED, ENCRYPTED, INTEGRITY_STREAM, VIRTUAL, NO_SCRUB_DATA,
# RECALL_ON_OPEN, PINNED, UNPINNED, RECALL_ON_DATA_ACCESS. (SPARSE_FILE and REPARSE_POINT follow from what a file is.)
_WINDOWS_OWN: Final = 0x800 | 0x4000 | 0x8000 | 0x10000 | 0x20000 | 0x40000 | 0x80000 | 0x100000 | 0x400000

# What the driver answers for a value that it will not take; anything else is an error of the volume.
_REFUSED: Final = frozenset(
    {errno.EINVAL, errno.E2BIG, errno.ERANGE, errno.EOPNOTSUPP, errno.EEXIST, errno.EMLINK, errno.ENAMETOOLONG}
)
_SILENT: Final = frozenset({errno.ENODATA, errno.EOPNOTSUPP})


@functools.cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def get_attribute(
    path: bytes, name: bytes, absent: frozenset[int] = _SILENT, buffer: ctypes.Array[ctypes.c_char] | None = None
) -> bytes | None:
    """An extended attribute of a host path, links not followed; None where the answer is an error of `absent`.

    os.getxattr() would ask with a small buffer first, which ntfs-3g answers with EIO where a value is larger.
    """
    buffer = buffer or ctypes.create_string_buffer(_MAX)
    number = 0
    for _ in range(2):  # EIO, once: see above
        size: int = _libc().lgetxattr(path, name, buffer, _MAX)
        if size >= 0:
            return ctypes.string_at(buffer, size)
        number = ctypes.get_errno()
        if number != errno.EIO:
            break
    if number in absent:
        return None
    raise OSError(number, os.strerror(number))


class NtfsFiles:
    """The objects below `root`, which lies on an ntfs-3g mount, by their host paths. OSError passes through."""

    def __init__(self, root: Root) -> None:
        assert isinstance(root, PosixRoot)  # noqa: S101 # the driver is a program of Linux
        self._root = root
        self._buffer = ctypes.create_string_buffer(_MAX)

    # --- one attribute ----------------------------------------------------------

    def get(self, fs_path: bytes, name: bytes, absent: frozenset[int] = _SILENT) -> bytes | None:
        """The value of an extended attribute; None where the driver answers with an error of `absent`."""
        return get_attribute(self._root.by_descriptor(fs_path), name, absent, self._buffer)

    def put(self, fs_path: bytes, name: bytes, value: bytes) -> None:
        path = self._root.by_descriptor(fs_path)
        if _libc().lsetxattr(path, name, value, len(value), 0):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))

    def _held(self, fs_path: bytes, name: bytes, value: bytes) -> bool:
        """Set it; False if the driver will not have this value."""
        try:
            self.put(fs_path, name, value)
        except OSError as error:
            if error.errno in _REFUSED:
                return False
            raise
        return True

    # --- reading ----------------------------------------------------------------

    def basics(self, fs_path: bytes, found: os.stat_result) -> tuple[int, Times]:
        """Attributes and times; found: what lstat says."""
        number = self.attributes(fs_path)
        try:
            creation, write, access, change = _TIMES.unpack(self.get(fs_path, b"system.ntfs_times", frozenset()) or b"")
        except struct.error:
            raise _odd_answer() from None
        if _as_stat_says(write) != found.st_mtime_ns:
            # The extended attribute is the file's record on the volume, which the driver brings up to date later.
            write, access, change = map(_of_stat, (found.st_mtime_ns, found.st_atime_ns, found.st_ctime_ns))
        return number, (creation, access, write, change)

    def attributes(self, fs_path: bytes) -> int:
        try:
            (number,) = _ATTRIBUTES.unpack(self.get(fs_path, b"system.ntfs_attrib", frozenset()) or b"")
        except struct.error:
            raise _odd_answer() from None
        return int(number)

    def live(self, fs_path: bytes, found: os.stat_result, *, object_id: bool = True) -> NtfsMetadata:
        """All that the volume holds; found: what lstat says. Raises MetadataError for what cannot be right.

        object_id: ask for that too. The driver writes a line to the system's log for each object without one.
        """
        attributes, times = self.basics(fs_path, found)
        reparse = self.get(fs_path, b"system.ntfs_reparse_data") if attributes & FILE_ATTRIBUTE_REPARSE_POINT else None
        short = None
        if found.st_nlink > 1 or attributes & FILE_ATTRIBUTE_DIRECTORY:  # a short name counts as one
            short = self._short_name(fs_path)
        return NtfsMetadata(
            attributes,
            times,
            self.get(fs_path, b"system.ntfs_acl") or None,
            parse_ea_list(self.get(fs_path, b"system.ntfs_ea") or b""),
            reparse or None,
            (self.get(fs_path, b"system.ntfs_object_id") or None) if object_id else None,
            decode_wtf8(short) if short else None,
        )

    def _short_name(self, fs_path: bytes) -> bytes | None:
        """The short name; None where it is not to be had, and for a name that is itself a valid short one."""
        short = self.get(fs_path, b"system.ntfs_dos_name", _SILENT | {errno.EMLINK, errno.EPERM})
        return None if short == fs_path.rpartition(b"/")[2] else short

    def streams(self, fs_path: bytes) -> list[str]:
        """The names of the named streams, in the order of the volume."""
        found = self.get(fs_path, b"ntfs.streams.list") or b""
        return [decode_wtf8(name) for name in found.split(b"\0") if name]

    # --- writing ----------------------------------------------------------------

    def dress(self, fs_path: bytes, entry: Directory | File) -> set[str]:
        """Give a new object, whose streams are there already, all metadata but what a directory gets in the end.

        Returns the names of the fields that the driver does not hold. In this order: a short name before any further
        name, which is in the way; reparse data after the streams, and last the times.
        """
        unheld: set[str] = set()
        if not self._set_descriptor(fs_path, entry):
            unheld.add("descriptor")
        short_name = None if entry.short_name is None else encode_wtf8(entry.short_name)
        for field, name, value in (
            ("extended attributes", b"system.ntfs_ea", _ea_list(entry)),
            ("object ID", b"system.ntfs_object_id", entry.object_id),
            ("short name", b"system.ntfs_dos_name", short_name),
        ):
            if value is not None and not self._held(fs_path, name, value):
                unheld.add(field)
        # The driver gives ARCHIVE to new files.
        if isinstance(entry, File) and entry.file_attributes & _SETTABLE != FILE_ATTRIBUTE_ARCHIVE:
            self.set_attributes(fs_path, entry.file_attributes)
        if entry.reparse_data is not None and not self._held(fs_path, b"system.ntfs_reparse_data", entry.reparse_data):
            unheld.add("reparse data")
            # Of what is too long for it the driver keeps the attribute REPARSE_POINT, without data.
            _libc().lremovexattr(self._root.by_descriptor(fs_path), b"system.ntfs_reparse_data")
        if entry.reparse_data is not None or entry.file_attributes & FILE_ATTRIBUTE_SYSTEM:
            with suppress(OSError):
                self._root.lstat(fs_path)  # it may be shown as something else now: see above
        if isinstance(entry, File):
            self.set_times(fs_path, times_of(entry))
        return unheld

    def finish_directory(self, fs_path: bytes, attributes: int, times: Times) -> None:
        """After all that lies in a directory: making it changes its times, and COMPRESSED would pass on to it."""
        self.set_attributes(fs_path, attributes)
        self.set_times(fs_path, times)

    def set_attributes(self, fs_path: bytes, attributes: int) -> None:
        """Set those that the driver lets us set."""
        self.put(fs_path, b"system.ntfs_attrib", _ATTRIBUTES.pack(attributes))

    def set_times(self, fs_path: bytes, times: Times) -> None:
        """Set creation, last access and last write; where one is not known, to the last write, or any that is."""
        creation, access, write, change = times
        some = next((time for time in (write, creation, access, change) if time is not None), None)
        if some is not None:
            values = (some if time is None else time for time in (creation, write, access))
            self.put(fs_path, b"system.ntfs_times", struct.pack("<3Q", *values))

    def dress_new(self, fs_path: bytes, entry: Directory | File) -> None:
        """Give what was made beside a layer's own entries the metadata of `entry`."""
        self.dress(fs_path, entry)
        if isinstance(entry, Directory):
            self.finish_directory(fs_path, entry.file_attributes, times_of(entry))

    def copy(self, source: bytes, target: bytes) -> None:
        """Give the new file `target`, which is to take the place of `source`, all that this has but times and content.

        Its creation time stays; object ID and short name are in the way until it is gone: see identity().
        """
        live = self.live(source, self._root.lstat(source), object_id=False)
        creation, (_, access, write, change) = live.times[0], self.basics(target, self._root.lstat(target))[1]
        for name in self.streams(source):
            stream = encode_wtf8(name)
            old, new = self._root.open(b"%b:%b" % (source, stream)), self._root.create(b"%b:%b" % (target, stream))
            with open(old, "rb") as reading, open(new, "wb") as writing:
                shutil.copyfileobj(reading, writing)
        now = replace(live, times=(creation, access, write, change), reparse_data=None, object_id=None, short_name=None)
        self.dress_new(target, entry_of("", now, 0))

    def identity(self, fs_path: bytes) -> tuple[bytes | None, bytes | None]:
        """The object ID and the short name of a file, for the one that takes its place."""
        return self.get(fs_path, b"system.ntfs_object_id") or None, self._short_name(fs_path)

    def identify(self, fs_path: bytes, identity: tuple[bytes | None, bytes | None]) -> None:
        """Give them to it, as far as the driver lets them be set; its times stay."""
        _, times = self.basics(fs_path, self._root.lstat(fs_path))
        for name, value in zip((b"system.ntfs_object_id", b"system.ntfs_dos_name"), identity, strict=True):
            if value:
                self._held(fs_path, name, value)
        self.set_times(fs_path, times)

    def _set_descriptor(self, fs_path: bytes, entry: Directory | File) -> bool:
        default = _default(entry)
        given = entry.security_descriptor
        if given is None:
            self.put(fs_path, b"system.ntfs_acl", default)
            return True
        if self._held(fs_path, b"system.ntfs_acl", given):
            return True
        stand_in = _with_owner(given, default)
        if stand_in is None or not self._held(fs_path, b"system.ntfs_acl", stand_in):
            self.put(fs_path, b"system.ntfs_acl", default)
        return False


def _odd_answer() -> OSError:
    return OSError(errno.EIO, "ntfs-3g gave attributes or times of another size")


def _as_stat_says(time: int) -> int:
    """The ns since 1970 that the driver makes of a FILETIME (ntfstime.h): without a fraction before 1970."""
    ticks = (time - UNIX_EPOCH + (1 << 63)) % (1 << 64) - (1 << 63)
    return ticks * 100 if ticks >= 0 else -(-ticks // _TICKS) * 10**9


def _of_stat(ns: int) -> int:
    """The FILETIME that the driver has made that of."""
    return (ns // 100 + UNIX_EPOCH) % (1 << 64)


def _default(entry: Directory | File) -> bytes:
    """What an entry without a descriptor gets; the driver's own gives everything to everyone."""
    return DIRECTORY_DESCRIPTOR if isinstance(entry, Directory) else FILE_DESCRIPTOR


def _with_owner(data: bytes, default: bytes) -> bytes | None:
    """The descriptor with an owner and a group, which the driver wants, and without slack; None for a broken one."""
    try:
        given, other = SecurityDescriptor.from_bytes(data), SecurityDescriptor.from_bytes(default)
        return replace(given, owner=given.owner or other.owner, group=given.group or other.group).to_bytes()
    except FormatError:
        return None


def _ea_list(entry: Directory | File) -> bytes | None:
    """The list as the driver wants it: the last entry points to its end, not nowhere."""
    data = bytearray(build_ea_list(entry.extended_attributes))
    position = 0
    while data:
        following = _EA_HEADER.unpack_from(data, position)[0]
        if not following:
            _ATTRIBUTES.pack_into(data, position, len(data) - position)
            return bytes(data)
        position += following
    return None


def unheld_attributes(entry: Directory | File) -> int:
    """The attributes of `entry` that the driver drops without an error."""
    mine = _SETTABLE_DIRECTORY if isinstance(entry, Directory) else _SETTABLE
    return entry.file_attributes & _WINDOWS_OWN & ~mine


# --- the record and the volume ----------------------------------------------------


def has_changed(attributes: int, live: tuple[int, Times], times: Times, *, directory: bool) -> bool:
    """Do live attributes, creation or last write time differ from recorded ones, as far as the driver holds them?

    A new access time is no change; the change time cannot be set.
    """
    return attributes_now(attributes, live[0], directory=directory) != attributes or any(
        mine is not None and mine != now for mine, now in ((times[0], live[1][0]), (times[2], live[1][2]))
    )


def merged(recorded: Directory | File, live: NtfsMetadata, unheld: set[str]) -> Directory | File:
    """`recorded` with all that is otherwise on the volume now; itself, where nothing is.

    unheld: the fields that the volume never held. Sizes are the caller's.
    """
    changes: dict[str, Any] = {}
    attributes = attributes_now(recorded.file_attributes, live.attributes, directory=isinstance(recorded, Directory))
    if "reparse data" not in unheld and recorded.reparse_data != live.reparse_data:
        changes["reparse_data"] = live.reparse_data
        attributes &= ~(FILE_ATTRIBUTE_REPARSE_POINT | FILE_ATTRIBUTE_NORMAL)
        attributes |= 0 if live.reparse_data is None else FILE_ATTRIBUTE_REPARSE_POINT
        attributes = attributes or FILE_ATTRIBUTE_NORMAL
    if attributes != recorded.file_attributes:
        changes["file_attributes"] = attributes
    if recorded.creation_time not in (None, live.times[0]):
        changes["creation_time"] = live.times[0]
    # That of a directory changes with what lies in it.
    if isinstance(recorded, File) and recorded.last_write_time not in (None, live.times[2]):
        changes["last_write_time"] = live.times[2]
    if "descriptor" not in unheld and live.descriptor != (recorded.security_descriptor or _default(recorded)):
        changes["security_descriptor"] = live.descriptor
    if "extended attributes" not in unheld and recorded.extended_attributes != live.extended_attributes:
        changes["extended_attributes"] = live.extended_attributes
    if "object ID" not in unheld and _padded(recorded.object_id) != live.object_id:
        changes["object_id"] = live.object_id
    # The short name of a file with several names is not to be had.
    if live.short_name is not None and upcase(live.short_name) != upcase(recorded.short_name or ""):
        changes["short_name"] = live.short_name
    if not changes:
        return recorded
    return replace(recorded, last_access_time=live.times[1], change_time=live.times[3], **changes)


def _padded(object_id: bytes | None) -> bytes | None:
    return None if object_id is None else object_id.ljust(64, b"\0")


def attributes_now(recorded: int, live: int, *, directory: bool) -> int:
    """The recorded attributes, except those that differ on the volume."""
    held = _SETTABLE_DIRECTORY if directory else _SETTABLE
    if not (recorded ^ live) & held and not live & ~recorded & _WINDOWS_OWN:
        return recorded
    result = (live & (held | _WINDOWS_OWN)) | (recorded & ~held & ~FILE_ATTRIBUTE_NORMAL)
    return result or FILE_ATTRIBUTE_NORMAL
