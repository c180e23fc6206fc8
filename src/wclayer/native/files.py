"""What is behind a handle (see `handles`): attributes, times, links, names in a directory, reparse data.

Each function raises OSError with Windows' number (`winerror`); times are FILETIMEs.
"""

from __future__ import annotations

import ctypes
import functools
import os
import stat
import struct
from collections.abc import Iterator
from ctypes import byref, c_uint32, sizeof
from dataclasses import dataclass
from typing import Final, TypeVar

from ..errors import UnsupportedError
from ..win32.attributes import FILE_ATTRIBUTE_DIRECTORY, FILE_ATTRIBUTE_READONLY, FILE_ATTRIBUTE_REPARSE_POINT
from ..win32.filetime import UNIX_EPOCH
from ..win32.names import from_utf16, long_path, to_utf16, upcase
from ..win32.reparse import IO_REPARSE_TAG_MOUNT_POINT, IO_REPARSE_TAG_SYMLINK, is_name_surrogate
from .declarations import (
    BY_HANDLE_FILE_INFORMATION,
    FILE_ATTRIBUTE_TAG_INFO,
    FILE_BASIC_INFO,
    FILE_ID_BOTH_DIR_INFO,
    IO_STATUS_BLOCK,
    NATIVES,
)
from .handles import DIRECTORY, check_status, close, last_error, open_relative, wide

__all__ = [
    "Information",
    "basic_info",
    "delete",
    "get_reparse_point",
    "information",
    "is_host_link",
    "is_link",
    "link",
    "list_directory",
    "rename",
    "replace_file",
    "set_basic_info",
    "set_reparse_point",
    "set_short_name",
    "set_sparse",
]

_S = TypeVar("_S", bound=ctypes.Structure)

_FILE_BASIC_INFO: Final = 0
_FILE_DISPOSITION_INFO: Final = 4
_FILE_ATTRIBUTE_TAG_INFO: Final = 9
_FILE_DISPOSITION_INFO_EX: Final = 21
_DISPOSITION: Final = 0x1 | 0x2 | 0x10  # DELETE, POSIX_SEMANTICS, IGNORE_READONLY_ATTRIBUTE
_FILE_ID_BOTH_DIRECTORY_INFO: Final = 10
_FILE_ID_BOTH_DIRECTORY_RESTART_INFO: Final = 11
_FILE_RENAME_INFORMATION: Final = 10  # classes of NtSetInformationFile
_FILE_LINK_INFORMATION: Final = 11
# FILE_RENAME_INFORMATION and FILE_LINK_INFORMATION: replace?, the directory's handle, the name and its length in bytes.
_NAMED: Final = struct.Struct("<B7xQI")

_FSCTL_SET_REPARSE_POINT: Final = 0x900A4
_FSCTL_GET_REPARSE_POINT: Final = 0x900A8
_FSCTL_SET_SPARSE: Final = 0x900C4
_MAX_REPARSE: Final = 16 * 1024

_ERROR_NO_MORE_FILES: Final = 18
# ERROR_INVALID_FUNCTION, NOT_SUPPORTED, INVALID_PARAMETER, CALL_NOT_IMPLEMENTED, INVALID_LEVEL
_NO_SUCH_CLASS: Final = (1, 50, 87, 120, 124)
_ERROR_FILE_NOT_FOUND: Final = 2
_LISTING: Final = 1 << 16  # bytes of a directory's names at once
_NAME_AT: Final = FILE_ID_BOTH_DIR_INFO.FileId.offset + 8


# --- what an object is --------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Information:
    """What a handle's object is. times: creation, last access, last write, change."""

    attributes: int
    tag: int  # of a reparse point, else 0
    times: tuple[int, int, int, int]
    size: int
    links: int
    volume: int
    file_id: int

    @property
    def is_link(self) -> bool:
        return is_link(self.attributes, self.tag)

    def as_stat(self) -> os.stat_result:
        """As os.lstat would say it; a symlink or junction, of whatever, is S_IFLNK."""
        if self.attributes & FILE_ATTRIBUTE_REPARSE_POINT and self.tag in (
            IO_REPARSE_TAG_SYMLINK,
            IO_REPARSE_TAG_MOUNT_POINT,
        ):
            mode = stat.S_IFLNK | 0o777
        elif self.attributes & FILE_ATTRIBUTE_DIRECTORY:
            mode = stat.S_IFDIR | 0o777
        else:
            mode = stat.S_IFREG | (0o444 if self.attributes & FILE_ATTRIBUTE_READONLY else 0o666)
        access, write, creation = ((self.times[n] - UNIX_EPOCH) * 100 for n in (1, 2, 0))
        seconds = (access // 10**9, write // 10**9, creation // 10**9)
        more: dict[str, float] = {"st_atime_ns": access, "st_mtime_ns": write, "st_ctime_ns": creation}
        more |= {"st_atime": access / 1e9, "st_mtime": write / 1e9, "st_ctime": creation / 1e9}
        more |= {"st_file_attributes": self.attributes, "st_reparse_tag": self.tag}
        if hasattr(os.stat_result, "st_birthtime_ns"):  # Python 3.12
            more |= {"st_birthtime_ns": creation, "st_birthtime": creation / 1e9}
        return os.stat_result((mode, self.file_id, self.volume, self.links, 0, 0, self.size, *seconds), more)


def is_link(attributes: int, tag: int) -> bool:
    """Does it stand for something elsewhere (a name surrogate)?"""
    return bool(attributes & FILE_ATTRIBUTE_REPARSE_POINT) and is_name_surrogate(tag)


def information(handle: int) -> Information:
    basic = _basic(handle)
    found = BY_HANDLE_FILE_INFORMATION()
    if not NATIVES.GetFileInformationByHandle(handle, byref(found)):
        raise last_error()
    attributes, tag = basic.FileAttributes, 0
    if attributes & FILE_ATTRIBUTE_REPARSE_POINT:
        tag = _asked(handle, _FILE_ATTRIBUTE_TAG_INFO, FILE_ATTRIBUTE_TAG_INFO()).ReparseTag
    size = 0 if attributes & FILE_ATTRIBUTE_DIRECTORY else found.nFileSizeHigh << 32 | found.nFileSizeLow
    return Information(
        attributes,
        tag,
        _times(basic),
        size,
        found.nNumberOfLinks,
        found.dwVolumeSerialNumber,
        found.nFileIndexHigh << 32 | found.nFileIndexLow,
    )


def _asked(handle: int, kind: int, answer: _S) -> _S:
    """What GetFileInformationByHandleEx says, in the structure of that kind."""
    if not NATIVES.GetFileInformationByHandleEx(handle, kind, byref(answer), sizeof(answer)):
        raise last_error()
    return answer


def _basic(handle: int) -> FILE_BASIC_INFO:
    return _asked(handle, _FILE_BASIC_INFO, FILE_BASIC_INFO())


def _times(basic: FILE_BASIC_INFO) -> tuple[int, int, int, int]:
    creation, access, write, change = (
        time % (1 << 64) for time in (basic.CreationTime, basic.LastAccessTime, basic.LastWriteTime, basic.ChangeTime)
    )
    return creation, access, write, change


def basic_info(handle: int) -> tuple[int, tuple[int, int, int, int]]:
    """Attributes and times."""
    basic = _basic(handle)
    return basic.FileAttributes, _times(basic)


def set_basic_info(handle: int, attributes: int, times: tuple[int | None, ...]) -> None:
    """Set attributes, 0 for none, and times, None or 0 for none; one from 2^63 on, which NTFS does not take, stays."""
    given = (0 if time is None or time >= 1 << 63 else time for time in (*times, 0, 0, 0, 0)[:4])
    basic = FILE_BASIC_INFO(*given, attributes)
    if not NATIVES.SetFileInformationByHandle(handle, _FILE_BASIC_INFO, byref(basic), sizeof(basic)):
        raise last_error()


def set_short_name(handle: int, name: str) -> None:
    """Give a file its short (DOS) name; wants DELETE access and SeRestorePrivilege."""
    if not NATIVES.SetFileShortNameW(handle, wide(name)):
        raise last_error()


@functools.cache
def _under_wine() -> bool:
    try:
        return callable(NATIVES.wine_get_version)
    except UnsupportedError:
        return False


def is_host_link(parent: int, name: str) -> bool:
    """Is `name` in the directory `parent` a symlink of Wine's host? Wine opens what that leads to.

    Only a listing says that it is one. Windows has no such links.
    """
    return _under_wine() and any(
        attributes & FILE_ATTRIBUTE_REPARSE_POINT and upcase(other) == upcase(name)
        for other, attributes in list_directory(parent)
    )


# --- directories --------------------------------------------------------------------


def list_directory(parent: int) -> list[tuple[str, int]]:
    """The names in a directory, `.` and `..` left out, each with its attributes; in the volume's order."""
    # A handle of its own: Wine remembers what the first listing by a handle gave.
    handle = open_relative(parent, "", DIRECTORY, directory=True)
    try:
        return list(_listing(handle))
    finally:
        close(handle)


def _listing(handle: int) -> Iterator[tuple[str, int]]:
    buffer = ctypes.create_string_buffer(_LISTING)
    kind = _FILE_ID_BOTH_DIRECTORY_RESTART_INFO
    while NATIVES.GetFileInformationByHandleEx(handle, kind, buffer, len(buffer)):
        kind = _FILE_ID_BOTH_DIRECTORY_INFO
        at = 0
        while True:
            item = FILE_ID_BOTH_DIR_INFO.from_buffer(buffer, at)
            name = from_utf16(ctypes.string_at(ctypes.addressof(buffer) + at + _NAME_AT, item.FileNameLength))
            if name not in (".", ".."):
                yield name, item.FileAttributes
            if not item.NextEntryOffset:
                break
            at += item.NextEntryOffset
    error = last_error()
    if error.winerror not in (_ERROR_NO_MORE_FILES, _ERROR_FILE_NOT_FOUND):  # type: ignore[attr-defined,unused-ignore]
        raise error


def _set_named(handle: int, kind: int, parent: int, name: str, *, replace: bool) -> None:
    text = to_utf16(name)
    data = ctypes.create_string_buffer(_NAMED.pack(replace, parent, len(text)) + text, _NAMED.size + len(text) + 4)
    status = IO_STATUS_BLOCK()
    check_status(NATIVES.NtSetInformationFile(handle, byref(status), data, len(data), kind))


def link(handle: int, parent: int, name: str) -> None:
    """Give the file a further name, `name` in the directory `parent`."""
    _set_named(handle, _FILE_LINK_INFORMATION, parent, name, replace=False)


def rename(handle: int, parent: int, name: str) -> None:
    """Make it `name` in the directory `parent`, in the place of a file that has that name."""
    _set_named(handle, _FILE_RENAME_INFORMATION, parent, name, replace=True)


def replace_file(path: str, new: str) -> None:
    """Put the file at one absolute path in the place of that at another, whose security, attributes, streams, creation
    time, object ID and short name it gets (ReplaceFile). After an error, both are where they were.
    """
    path, old = long_path(path), long_path(f"{new}-old")
    if not NATIVES.ReplaceFileW(wide(path), wide(long_path(new)), wide(old), 0, None, None):
        error = last_error(path)
        if not os.path.lexists(path) and os.path.lexists(old):  # ERROR_UNABLE_TO_MOVE_REPLACEMENT_2
            os.rename(old, path)
        raise error
    os.unlink(old)


def delete(handle: int) -> None:
    """Remove the name of the object: of a file, a link, an empty directory; READONLY or not.

    At once, whoever has it open, and the attributes of a file that has other names stay, which may be a parent's.
    """
    flags = c_uint32(_DISPOSITION)
    if NATIVES.SetFileInformationByHandle(handle, _FILE_DISPOSITION_INFO_EX, byref(flags), sizeof(flags)):
        return
    error = last_error()
    if error.winerror not in _NO_SUCH_CLASS:  # type: ignore[attr-defined,unused-ignore]
        raise error
    # Before Windows Server 2019, on another file system than NTFS, and under Wine.
    attributes, _ = basic_info(handle)
    if attributes & FILE_ATTRIBUTE_READONLY:
        set_basic_info(handle, (attributes & ~FILE_ATTRIBUTE_READONLY) or 0x80, ())
    flag = ctypes.c_int32(1)
    done = NATIVES.SetFileInformationByHandle(handle, _FILE_DISPOSITION_INFO, byref(flag), 1)
    error = last_error() if not done else error
    if attributes & FILE_ATTRIBUTE_READONLY:
        set_basic_info(handle, attributes, ())
    if not done:
        raise error


# --- controls -----------------------------------------------------------------------


def _control(handle: int, code: int, data: bytes, room: int) -> bytes:
    """The answer to a control code, of `room` bytes at the most."""
    answer, done = ctypes.create_string_buffer(max(room, 1)), c_uint32()
    if not NATIVES.DeviceIoControl(handle, code, data, len(data), answer, room, byref(done), None):
        raise last_error()
    return answer.raw[: done.value]


def set_sparse(handle: int) -> None:
    """Let the file have holes."""
    _control(handle, _FSCTL_SET_SPARSE, b"", 0)


def get_reparse_point(handle: int) -> bytes:
    """The REPARSE_DATA_BUFFER."""
    return _control(handle, _FSCTL_GET_REPARSE_POINT, b"", _MAX_REPARSE)


def set_reparse_point(handle: int, data: bytes) -> None:
    """Make a new file or directory a reparse point."""
    _control(handle, _FSCTL_SET_REPARSE_POINT, data, 0)
