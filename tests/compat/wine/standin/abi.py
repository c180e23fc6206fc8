"""The stand-in's functions for ctypes, on Windows' Python in wine.

One calling convention serves all of 64-bit Windows, so that this is CDLL. HRESULTs
are unsigned.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from ctypes import POINTER, Structure, byref, c_int32, c_uint8, c_uint32, c_uint64, c_void_p, c_wchar_p
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

__all__ = [
    "INFO",
    "PARENTS",
    "Backup",
    "DriverInfo",
    "Parent",
    "descriptors",
    "kernel32",
    "last_error",
    "load",
    "opened",
]

GENERIC_READ: Final = 0x80000000
GENERIC_WRITE: Final = 0x40000000
WRITE_DAC: Final = 0x40000
WRITE_OWNER: Final = 0x80000
RESTORE: Final = GENERIC_READ | GENERIC_WRITE | WRITE_DAC | WRITE_OWNER
_SHARE_ALL: Final = 7
_OPEN_ALWAYS: Final = 4
_OPEN_EXISTING: Final = 3
_BACKUP_SEMANTICS: Final = 0x2000000
_INVALID: Final = 2**64 - 1


class DriverInfo(Structure):
    _fields_ = (("flavour", c_uint32), ("pad", c_uint32), ("home", c_wchar_p))


class Parent(Structure):
    _fields_ = (("id", c_uint8 * 16), ("flags", c_uint32), ("pad", c_uint32), ("path", c_wchar_p))


INFO: Final = DriverInfo(1, 0, "")
_LAYER: Final = (POINTER(DriverInfo), c_wchar_p)
PARENTS: Final = (c_void_p, c_uint32)
_BACKUP: Final = (c_void_p, c_void_p, c_uint32, POINTER(c_uint32), c_int32, c_int32, POINTER(c_void_p))
_PROTOTYPES: Final[dict[str, tuple[Any, ...]]] = {
    "ActivateLayer": _LAYER,
    "DeactivateLayer": _LAYER,
    "UnprepareLayer": _LAYER,
    "DestroyLayer": _LAYER,
    "PrepareLayer": (*_LAYER, *PARENTS),
    "CreateSandboxLayer": (*_LAYER, c_uint64, *PARENTS),
    "ExpandSandboxSize": (*_LAYER, c_uint64),
    "ImportLayer": (*_LAYER, c_wchar_p, *PARENTS),
    "ExportLayer": (*_LAYER, c_wchar_p, *PARENTS),
    "GetLayerMountPath": (*_LAYER, c_void_p, c_void_p),
    "LayerExists": (*_LAYER, POINTER(c_uint32)),
    "NameToGuid": (c_wchar_p, c_void_p),
    "GrantVmAccess": (c_wchar_p, c_wchar_p),
    "ProcessBaseImage": (c_wchar_p,),
    "ProcessUtilityImage": (c_wchar_p,),
    "BackupRead": _BACKUP,
    "BackupWrite": _BACKUP,
    "BackupSeek": (c_void_p, c_uint32, c_uint32, POINTER(c_uint32), POINTER(c_uint32), POINTER(c_void_p)),
    "SetVolumeMountPointW": (c_wchar_p, c_wchar_p),
    "DeleteVolumeMountPointW": (c_wchar_p,),
    "GetVolumeNameForVolumeMountPointW": (c_wchar_p, c_void_p, c_uint32),
}


def load(path: str) -> ctypes.CDLL:
    """The DLL, each function with its prototype; all return a c_uint32 (HRESULT or BOOL)."""
    dll = ctypes.CDLL(path, use_last_error=True)
    for name, arguments in _PROTOTYPES.items():
        function = getattr(dll, name)
        function.argtypes = arguments
        function.restype = c_uint32
    return dll


def kernel32() -> ctypes.CDLL:
    dll = ctypes.CDLL("kernel32.dll", use_last_error=True)
    dll.CreateFileW.argtypes = (c_wchar_p, c_uint32, c_uint32, c_void_p, c_uint32, c_uint32, c_void_p)
    dll.CreateFileW.restype = c_void_p
    dll.CloseHandle.argtypes = (c_void_p,)
    return dll


def last_error() -> int:
    if sys.platform == "win32":
        return ctypes.get_last_error()
    raise AssertionError("of Windows alone")


@contextmanager
def opened(path: Path | str, access: int = GENERIC_READ) -> Iterator[int]:
    """A handle of a file or directory, opened as backup programs do; with write access, made if it is not there."""
    disposition = _OPEN_EXISTING if Path(path).is_dir() or not access & GENERIC_WRITE else _OPEN_ALWAYS
    handle = kernel32().CreateFileW(str(path), access, _SHARE_ALL, None, disposition, _BACKUP_SEMANTICS, None)
    assert handle not in {None, _INVALID}, f"{path}: error {last_error()}"
    try:
        yield handle
    finally:
        kernel32().CloseHandle(handle)


def descriptors(dll: ctypes.CDLL, paths: Sequence[str]) -> tuple[Any, int]:
    """Parents' descriptors as pointer and count."""
    array = (Parent * len(paths))()
    for parent, path in zip(array, paths, strict=True):
        assert dll.NameToGuid(path.rpartition("\\")[2], byref(parent.id)) == 0
        parent.path = path
    return (array if paths else None), len(paths)


@dataclass
class Backup:
    """BackupRead and BackupWrite on one handle, with one context; `close` gives the context back."""

    dll: ctypes.CDLL
    handle: int
    security: bool = True
    context: c_void_p = field(default_factory=c_void_p)

    def read(self, size: int) -> bytes:
        buffer = ctypes.create_string_buffer(max(size, 1))
        given = c_uint32()
        arguments = (self.handle, buffer, size, byref(given), False, self.security, byref(self.context))
        if not self.dll.BackupRead(*arguments):
            raise OSError(last_error(), "BackupRead")
        return buffer.raw[: given.value]

    def read_all(self, cut: int = 1 << 16) -> bytes:
        """The whole stream, in pieces of `cut` bytes."""
        return b"".join(iter(lambda: self.read(cut), b""))

    def write(self, data: bytes) -> None:
        written = c_uint32()
        buffer = ctypes.create_string_buffer(data, max(len(data), 1))
        arguments = (self.handle, buffer, len(data), byref(written), False, self.security, byref(self.context))
        if not self.dll.BackupWrite(*arguments):
            raise OSError(last_error(), "BackupWrite")
        assert written.value == len(data)

    def write_all(self, data: bytes, cut: int = 1 << 16) -> None:
        """A whole stream, in pieces of `cut` bytes."""
        for start in range(0, len(data), cut):
            self.write(data[start : start + cut])

    def seek(self, size: int) -> tuple[bool, int]:
        """Did it go all the way, and how far."""
        low, high = c_uint32(), c_uint32()
        arguments = (self.handle, size & 0xFFFFFFFF, size >> 32, byref(low), byref(high), byref(self.context))
        done = bool(self.dll.BackupSeek(*arguments))
        return done, high.value << 32 | low.value

    def close(self, function: str = "BackupRead") -> None:
        ended = getattr(self.dll, function)(
            self.handle, None, 0, byref(c_uint32()), True, self.security, byref(self.context)
        )
        assert ended
        assert self.context.value is None
