"""Layouts of Windows' structures, as the headers of the Windows SDK give them for 64 bits (MinGW's agree)."""

from __future__ import annotations

import ctypes

import pytest

from wclayer.errors import UnsupportedError
from wclayer.hcs.declarations import DRIVER_INFO, GUID, LAYER_DESCRIPTOR, VMCOMPUTE
from wclayer.native import declarations
from wclayer.native.declarations import DECLARED, Natives

SIZES = {
    "BY_HANDLE_FILE_INFORMATION": 52,
    "FILE_ATTRIBUTE_TAG_INFO": 8,
    "FILE_BASIC_INFO": 40,
    "IO_STATUS_BLOCK": 16,
    "LUID": 8,
    "OBJECT_ATTRIBUTES": 48,
    "TOKEN_PRIVILEGE": 16,
    "UNICODE_STRING": 16,
}
OFFSETS = {
    ("FILE_ID_BOTH_DIR_INFO", "EaSize"): 64,
    ("FILE_ID_BOTH_DIR_INFO", "ShortName"): 70,
    ("FILE_ID_BOTH_DIR_INFO", "FileId"): 96,
    ("BY_HANDLE_FILE_INFORMATION", "dwVolumeSerialNumber"): 28,
    ("BY_HANDLE_FILE_INFORMATION", "nNumberOfLinks"): 40,
    ("FILE_BASIC_INFO", "FileAttributes"): 32,
    ("OBJECT_ATTRIBUTES", "ObjectName"): 16,
    ("TOKEN_PRIVILEGE", "Attributes"): 12,
}


@pytest.mark.parametrize("name", SIZES)
def test_sizes(name: str) -> None:
    assert ctypes.sizeof(getattr(declarations, name)) == SIZES[name]


@pytest.mark.parametrize(("name", "field"), OFFSETS)
def test_offsets(name: str, field: str) -> None:
    assert getattr(getattr(declarations, name), field).offset == OFFSETS[name, field]


def test_layer_descriptors_are_hcsshim_s() -> None:
    assert ctypes.sizeof(GUID) == 16
    assert (LAYER_DESCRIPTOR.Flags.offset, LAYER_DESCRIPTOR.Path.offset) == (16, 24)
    assert ctypes.sizeof(LAYER_DESCRIPTOR) == 32
    assert (DRIVER_INFO.HomeDir.offset, ctypes.sizeof(DRIVER_INFO)) == (8, 16)


def test_every_function_has_a_library() -> None:
    libraries = {"kernel32", "ntdll", "advapi32", "vmcompute"}
    assert {declared.library for declared in DECLARED.values()} == libraries
    assert {DECLARED[name].library for name in VMCOMPUTE} == {"vmcompute"}


def test_what_a_host_lacks_is_said() -> None:
    natives = Natives()
    natives.take({"ImportLayer": "no-such-library", "BackupRead": "no-such-library"})
    with pytest.raises(UnsupportedError, match=r"ImportLayer of vmcompute\.dll is not to be had.*feature Containers"):
        natives.ImportLayer(None)
    with pytest.raises(AttributeError):
        natives.NoSuchFunction  # noqa: B018
