"""Windows' own functions as ctypes knows them: structures, prototypes, and the table that callers get them from.

Only declarations; `files`, `backup`, `privileges` and `volumes` call them, and `hcs`
has those of the host compute service. Names and layouts are those of the Windows SDK
(winbase.h, winnt.h) and of the Windows Driver Kit (ntifs.h). Windows has one calling
convention on 64 bits, so that the C library's serves.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping
from ctypes import POINTER, Structure, Union, c_int32, c_int64, c_uint8, c_uint16, c_uint32, c_void_p, sizeof
from dataclasses import dataclass
from typing import Any, Final

from ..errors import UnsupportedError

__all__ = [
    "BY_HANDLE_FILE_INFORMATION",
    "DECLARED",
    "FILE_ATTRIBUTE_TAG_INFO",
    "FILE_BASIC_INFO",
    "FILE_ID_BOTH_DIR_INFO",
    "IO_STATUS_BLOCK",
    "LUID",
    "NATIVES",
    "OBJECT_ATTRIBUTES",
    "TOKEN_PRIVILEGE",
    "UNICODE_STRING",
    "Declared",
    "Natives",
]

BOOL = c_int32
DWORD = c_uint32
HANDLE = c_void_p
NTSTATUS = c_int32
PVOID = c_void_p
WSTR = c_void_p  # NUL-ended UTF-16, as bytes: a ctypes string could hold no unpaired surrogate on every host


class UNICODE_STRING(Structure):
    _fields_ = (("Length", c_uint16), ("MaximumLength", c_uint16), ("Buffer", c_void_p))  # lengths in bytes


class OBJECT_ATTRIBUTES(Structure):
    _fields_ = (
        ("Length", c_uint32),
        ("RootDirectory", HANDLE),
        ("ObjectName", POINTER(UNICODE_STRING)),
        ("Attributes", c_uint32),
        ("SecurityDescriptor", PVOID),
        ("SecurityQualityOfService", PVOID),
    )


class _Status(Union):
    _fields_ = (("Status", NTSTATUS), ("Pointer", PVOID))


class IO_STATUS_BLOCK(Structure):
    _anonymous_ = ("u",)
    _fields_ = (("u", _Status), ("Information", c_void_p))


class FILE_BASIC_INFO(Structure):
    """FileBasicInfo: four FILETIMEs, of which 0 stands for "leave it", and the attributes, likewise."""

    _fields_ = (
        ("CreationTime", c_int64),
        ("LastAccessTime", c_int64),
        ("LastWriteTime", c_int64),
        ("ChangeTime", c_int64),
        ("FileAttributes", DWORD),
    )


class FILE_ATTRIBUTE_TAG_INFO(Structure):
    _fields_ = (("FileAttributes", DWORD), ("ReparseTag", DWORD))


class FILE_ID_BOTH_DIR_INFO(Structure):
    """FileIdBothDirectoryInfo, without the name, which follows."""

    _fields_ = (
        ("NextEntryOffset", DWORD),
        ("FileIndex", DWORD),
        ("CreationTime", c_int64),
        ("LastAccessTime", c_int64),
        ("LastWriteTime", c_int64),
        ("ChangeTime", c_int64),
        ("EndOfFile", c_int64),
        ("AllocationSize", c_int64),
        ("FileAttributes", DWORD),
        ("FileNameLength", DWORD),  # bytes
        ("EaSize", DWORD),  # of a reparse point, its tag
        ("ShortNameLength", c_uint8),
        ("ShortName", c_uint16 * 12),
        ("FileId", c_int64),
    )


class BY_HANDLE_FILE_INFORMATION(Structure):
    _fields_ = (
        ("dwFileAttributes", DWORD),
        ("ftCreationTime", DWORD * 2),
        ("ftLastAccessTime", DWORD * 2),
        ("ftLastWriteTime", DWORD * 2),
        ("dwVolumeSerialNumber", DWORD),
        ("nFileSizeHigh", DWORD),
        ("nFileSizeLow", DWORD),
        ("nNumberOfLinks", DWORD),
        ("nFileIndexHigh", DWORD),
        ("nFileIndexLow", DWORD),
    )


class LUID(Structure):
    _fields_ = (("LowPart", DWORD), ("HighPart", c_int32))


class TOKEN_PRIVILEGE(Structure):
    """TOKEN_PRIVILEGES of one privilege."""

    _pack_ = 4
    _fields_ = (("PrivilegeCount", DWORD), ("Luid", LUID), ("Attributes", DWORD))


@dataclass(frozen=True, slots=True)
class Declared:
    """A function: the library that has it, what it returns, what it takes."""

    library: str
    result: Any
    arguments: tuple[Any, ...]


_K: Final = "kernel32"
_N: Final = "ntdll"
_A: Final = "advapi32"
_P = ctypes.POINTER

# Each function by its name. A pointer to a structure that is passed on its own is PVOID where a buffer serves.
DECLARED: dict[str, Declared] = {
    # handles and files
    "CloseHandle": Declared(_K, BOOL, (HANDLE,)),
    "NtCreateFile": Declared(
        _N,
        NTSTATUS,
        (
            _P(HANDLE),
            DWORD,
            _P(OBJECT_ATTRIBUTES),
            _P(IO_STATUS_BLOCK),
            PVOID,
            DWORD,
            DWORD,
            DWORD,
            DWORD,
            PVOID,
            DWORD,
        ),
    ),
    "wine_get_version": Declared(_N, c_void_p, ()),  # which only Wine has
    "NtSetInformationFile": Declared(_N, NTSTATUS, (HANDLE, _P(IO_STATUS_BLOCK), PVOID, DWORD, DWORD)),
    "RtlNtStatusToDosError": Declared(_N, DWORD, (NTSTATUS,)),
    "CreateFileW": Declared(_K, HANDLE, (WSTR, DWORD, DWORD, PVOID, DWORD, DWORD, HANDLE)),
    "GetFileInformationByHandle": Declared(_K, BOOL, (HANDLE, _P(BY_HANDLE_FILE_INFORMATION))),
    "GetFileInformationByHandleEx": Declared(_K, BOOL, (HANDLE, DWORD, PVOID, DWORD)),
    "SetFileInformationByHandle": Declared(_K, BOOL, (HANDLE, DWORD, PVOID, DWORD)),
    "ReplaceFileW": Declared(_K, BOOL, (WSTR, WSTR, WSTR, DWORD, PVOID, PVOID)),
    "SetFileShortNameW": Declared(_K, BOOL, (HANDLE, WSTR)),
    "DeviceIoControl": Declared(_K, BOOL, (HANDLE, DWORD, PVOID, DWORD, PVOID, DWORD, _P(DWORD), PVOID)),
    "GetVolumeInformationByHandleW": Declared(
        _K, BOOL, (HANDLE, PVOID, DWORD, _P(DWORD), _P(DWORD), _P(DWORD), PVOID, DWORD)
    ),
    # backup streams
    "BackupRead": Declared(_K, BOOL, (HANDLE, PVOID, DWORD, _P(DWORD), BOOL, BOOL, _P(c_void_p))),
    "BackupSeek": Declared(_K, BOOL, (HANDLE, DWORD, DWORD, _P(DWORD), _P(DWORD), _P(c_void_p))),
    "BackupWrite": Declared(_K, BOOL, (HANDLE, PVOID, DWORD, _P(DWORD), BOOL, BOOL, _P(c_void_p))),
    # volumes
    "GetVolumeNameForVolumeMountPointW": Declared(_K, BOOL, (WSTR, PVOID, DWORD)),
    "SetVolumeMountPointW": Declared(_K, BOOL, (WSTR, WSTR)),
    "DeleteVolumeMountPointW": Declared(_K, BOOL, (WSTR,)),
    # privileges
    "GetCurrentProcess": Declared(_K, HANDLE, ()),
    "GetCurrentThread": Declared(_K, HANDLE, ()),
    "OpenProcessToken": Declared(_A, BOOL, (HANDLE, DWORD, _P(HANDLE))),
    "OpenThreadToken": Declared(_A, BOOL, (HANDLE, DWORD, BOOL, _P(HANDLE))),
    "ImpersonateSelf": Declared(_A, BOOL, (DWORD,)),
    "RevertToSelf": Declared(_A, BOOL, ()),
    "LookupPrivilegeValueW": Declared(_A, BOOL, (WSTR, WSTR, _P(LUID))),
    "AdjustTokenPrivileges": Declared(_A, BOOL, (HANDLE, BOOL, PVOID, DWORD, PVOID, _P(DWORD))),
    "CheckTokenMembership": Declared(_A, BOOL, (HANDLE, PVOID, _P(BOOL))),
    # messages
    "FormatMessageW": Declared(_K, DWORD, (DWORD, PVOID, DWORD, DWORD, PVOID, DWORD, PVOID)),
}

_LIBRARY_HINTS: Final = {
    "vmcompute": "turn on the Windows feature Containers: `Install-WindowsFeature Containers` on Windows Server,"
    " `Enable-WindowsOptionalFeature -Online -FeatureName Containers` on Windows 10 and 11, and restart",
}


class Natives:
    """The functions of DECLARED, each loaded when it is first asked for.

    A function sets the thread's last error, which `ctypes.get_last_error` gives. Raises UnsupportedError, as each
    attribute does, for a library or function that this host lacks.
    """

    def __init__(self) -> None:
        self._taken: dict[str, str] = {}
        self._libraries: dict[str, ctypes.CDLL] = {}

    def take(self, places: Mapping[str, str]) -> None:
        """Take functions from other libraries than DECLARED says: function -> library, a name or path."""
        self._taken = dict(places)
        for name in DECLARED:
            self.__dict__.pop(name, None)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        declared = DECLARED.get(name)
        if declared is None:
            raise AttributeError(name)
        if sizeof(c_void_p) != 8:
            raise UnsupportedError("Windows' own functions, from a Python of 32 bits", expected="a Python of 64 bits")
        library = self._taken.get(name, declared.library)
        try:
            if library not in self._libraries:
                self._libraries[library] = ctypes.CDLL(library, use_last_error=True)
            function = getattr(self._libraries[library], name)
        except (OSError, AttributeError):
            raise UnsupportedError(
                f"{name} of {declared.library}.dll is not to be had here",
                hint=_LIBRARY_HINTS.get(declared.library, "it needs Windows"),
            ) from None
        function.restype = declared.result
        function.argtypes = declared.arguments
        self.__dict__[name] = function
        return function  # type: ignore[no-any-return]


NATIVES: Final = Natives()
