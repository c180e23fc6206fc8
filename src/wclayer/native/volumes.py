"""Volumes of Windows: which file system there is, and where one is mounted."""

from __future__ import annotations

import ctypes

from ..win32.names import from_utf16
from . import handles
from .declarations import NATIVES

__all__ = ["file_system_of", "mount_volume", "unmount_volume"]

_ROOM = 512  # UTF-16 units


def file_system_of(path: str) -> str:
    """The name of the file system that the directory at an absolute path is on: NTFS, ReFS, FAT32 ..."""
    handle = handles.open_directory(path)
    try:
        name = ctypes.create_string_buffer(_ROOM * 2)
        if not NATIVES.GetVolumeInformationByHandleW(handle, None, 0, None, None, None, name, _ROOM):
            raise handles.last_error(path)
    finally:
        handles.close(handle)
    return _text(name)


def _text(buffer: ctypes.Array[ctypes.c_char]) -> str:
    return from_utf16(buffer.raw).partition("\0")[0]


def mount_volume(volume: str, folder: str) -> None:
    """Mount a volume (its GUID path) on an empty directory of NTFS. Both may lack the backslash at their ends."""
    if not NATIVES.SetVolumeMountPointW(handles.wide(_ended(folder)), handles.wide(_ended(volume))):
        raise handles.last_error(folder)


def unmount_volume(folder: str) -> None:
    """Undo mount_volume."""
    if not NATIVES.DeleteVolumeMountPointW(handles.wide(_ended(folder))):
        raise handles.last_error(folder)


def _ended(path: str) -> str:
    return path if path.endswith("\\") else f"{path}\\"
