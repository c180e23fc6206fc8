"""Handles of files and directories: opened by path, or relative to a directory's handle, one name at a time.

So nothing that another process does between two calls can lead elsewhere, as in
hcsshim's safefile: a name is opened itself, never what it leads to
(FILE_OPEN_REPARSE_POINT). A handle is an unsigned integer, closed by `close`. Each
function raises OSError with Windows' number (`winerror`).
"""

from __future__ import annotations

import ctypes
import os
import sys
from ctypes import byref, c_void_p, sizeof
from typing import Final

from ..win32.names import from_utf16, long_path, to_utf16
from .declarations import (
    IO_STATUS_BLOCK,
    NATIVES,
    OBJECT_ATTRIBUTES,
    UNICODE_STRING,
)

if sys.platform == "win32":
    import msvcrt

__all__ = [
    "CREATE",
    "DIRECTORY",
    "NEW_OBJECT",
    "OPEN",
    "READ_ATTRIBUTES",
    "READ_BACKUP",
    "READ_DATA",
    "REMOVE",
    "WRITE_ATTRIBUTES",
    "WRITE_DATA",
    "check_status",
    "close",
    "descriptor_of",
    "last_code",
    "last_error",
    "message_of",
    "open_directory",
    "open_relative",
    "wide",
    "windows_error",
]


# Access rights (winnt.h).
_SYNCHRONIZE: Final = 0x0010_0000
_LIST: Final = 0x1  # FILE_LIST_DIRECTORY, FILE_READ_DATA
_TRAVERSE: Final = 0x20
_READ_ATTRIBUTES: Final = 0x80
_WRITE_ATTRIBUTES: Final = 0x100
_DELETE: Final = 0x0001_0000
_GENERIC_READ: Final = 0x8000_0000
_GENERIC_WRITE: Final = 0x4000_0000
_WRITE_DAC: Final = 0x0004_0000
_WRITE_OWNER: Final = 0x0008_0000
_ACCESS_SYSTEM_SECURITY: Final = 0x0100_0000

DIRECTORY: Final = _LIST | _TRAVERSE | _READ_ATTRIBUTES
READ_ATTRIBUTES: Final = _READ_ATTRIBUTES
WRITE_ATTRIBUTES: Final = _READ_ATTRIBUTES | _WRITE_ATTRIBUTES
READ_DATA: Final = _GENERIC_READ
WRITE_DATA: Final = _GENERIC_READ | _GENERIC_WRITE
REMOVE: Final = _DELETE | _READ_ATTRIBUTES | _WRITE_ATTRIBUTES
# What hcsshim creates the objects of a layer with, and what it reads them with; DELETE is for short names.
NEW_OBJECT: Final = _GENERIC_READ | _GENERIC_WRITE | _WRITE_DAC | _WRITE_OWNER | _ACCESS_SYSTEM_SECURITY | _DELETE
READ_BACKUP: Final = _GENERIC_READ | _ACCESS_SYSTEM_SECURITY

# Dispositions of NtCreateFile.
OPEN: Final = 1
CREATE: Final = 2

_SHARE: Final = 0x1 | 0x2 | 0x4  # read, write, delete
_OBJ_CASE_INSENSITIVE: Final = 0x40
_FILE_DIRECTORY_FILE: Final = 0x1
_FILE_SYNCHRONOUS_IO_NONALERT: Final = 0x20
_FILE_NON_DIRECTORY_FILE: Final = 0x40
_FILE_OPEN_FOR_BACKUP_INTENT: Final = 0x4000
_FILE_OPEN_REPARSE_POINT: Final = 0x0020_0000
_FLAG_BACKUP_SEMANTICS: Final = 0x0200_0000
_OPEN_EXISTING: Final = 3
_INVALID_HANDLE: Final = (1 << 64) - 1
_FORMAT_MESSAGE: Final = 0x1000 | 0x200  # FROM_SYSTEM, IGNORE_INSERTS


# --- errors -----------------------------------------------------------------------


def message_of(code: int) -> str:
    """Windows' own text for an error's number, without its full stop; the number, where it has none."""
    buffer = ctypes.create_string_buffer(2048)
    units = NATIVES.FormatMessageW(_FORMAT_MESSAGE, None, code & 0xFFFFFFFF, 0, buffer, len(buffer) // 2, None)
    text = " ".join(from_utf16(buffer.raw[: units * 2]).split()).rstrip(".")
    return text or f"Windows error {code:#x}"


def windows_error(code: int, path: str | None = None) -> OSError:
    """The OSError for a Win32 error."""
    return OSError(0, message_of(code), path, code)


def last_code() -> int:
    """The thread's last error, a number."""
    if sys.platform == "win32":
        return ctypes.get_last_error()
    raise AssertionError("only on Windows")


def last_error(path: str | None = None) -> OSError:
    """The OSError for the thread's last error."""
    return windows_error(last_code(), path)


def check_status(status: int) -> None:
    if status < 0:
        raise windows_error(NATIVES.RtlNtStatusToDosError(status))


# --- opening ----------------------------------------------------------------------


def wide(text: str) -> bytes:
    """NUL-ended UTF-16."""
    return to_utf16(text) + b"\0\0"


def open_directory(path: str) -> int:
    """The directory at an absolute path, links on the way followed."""
    handle = NATIVES.CreateFileW(
        wide(long_path(path)), DIRECTORY | _SYNCHRONIZE, _SHARE, None, _OPEN_EXISTING, _FLAG_BACKUP_SEMANTICS, None
    )
    if handle in (None, _INVALID_HANDLE):
        raise last_error(path)
    return int(handle)


class _Named:
    """OBJECT_ATTRIBUTES for a name in a directory, with all that they point to."""

    def __init__(self, parent: int, name: str) -> None:
        self._name = ctypes.create_string_buffer(wide(name))
        size = len(self._name) - 3
        self._string = UNICODE_STRING(size, size, ctypes.addressof(self._name))
        self.attributes = OBJECT_ATTRIBUTES(
            sizeof(OBJECT_ATTRIBUTES), parent, ctypes.pointer(self._string), _OBJ_CASE_INSENSITIVE, None, None
        )


def open_relative(
    parent: int,
    name: str,
    access: int,
    *,
    disposition: int = OPEN,
    directory: bool | None = None,
    attributes: int = 0,
    filtered: bool = False,
) -> int:
    """Open, or CREATE, `name` in the directory `parent`; of a reparse point, that itself.

    directory: what it must be; None for either. attributes: of a new object. filtered: of a reparse point, what the
    file system's filters make of it, or what it leads to. Raises FileExistsError, FileNotFoundError.
    """
    named = _Named(parent, name)
    kind = {True: _FILE_DIRECTORY_FILE, False: _FILE_NON_DIRECTORY_FILE, None: 0}[directory]
    options = kind | _FILE_SYNCHRONOUS_IO_NONALERT | _FILE_OPEN_FOR_BACKUP_INTENT
    if not filtered:
        options |= _FILE_OPEN_REPARSE_POINT
    handle, status = c_void_p(), IO_STATUS_BLOCK()
    check_status(
        NATIVES.NtCreateFile(
            byref(handle),
            access | _SYNCHRONIZE,
            byref(named.attributes),
            byref(status),
            None,
            attributes,
            _SHARE,
            disposition,
            options,
            None,
            0,
        )
    )
    return handle.value or 0


def close(handle: int) -> None:
    NATIVES.CloseHandle(handle)


def descriptor_of(handle: int, flags: int) -> int:
    """A descriptor of the C library that owns `handle` from now on; flags: os.O_*."""
    if sys.platform == "win32":
        try:
            return msvcrt.open_osfhandle(handle, flags | os.O_BINARY | os.O_NOINHERIT)
        except OSError:
            close(handle)
            raise
    raise AssertionError("only on Windows")
