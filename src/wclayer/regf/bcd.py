"""A store of boot configuration data (BCD), the hive that a layer with a utility VM must have.

It has the boot manager and one operating system loader, like the store that
buildpacks' imgutil makes. Windows imports a layer with it. It cannot boot anything,
as no element names a device.
"""

from __future__ import annotations

from typing import Final

from .layout import MINOR_NT4
from .model import Hive, Key, Value, dword, sz
from .writer import write_hive

__all__ = ["minimal_bcd"]

_BOOT_MANAGER: Final = "{9dea862c-5cdd-4e70-acc1-f32b344d4795}"  # its well-known GUID, {bootmgr}
_LOADER: Final = "{6a6c1f1b-59d4-11ea-9438-9402e6abd998}"  # any GUID; this is imgutil's
_BOOT_MANAGER_TYPE: Final = 0x10100002
_LOADER_TYPE: Final = 0x10200003
_DESCRIPTION: Final = "12000004"  # BcdLibraryString_Description
_DEFAULT_OBJECT: Final = "23000003"  # BcdBootMgrObject_DefaultObject


def minimal_bcd(last_written: int) -> bytes:
    """Make the store, a hive of 8,192 bytes and of the version that bcdedit writes (1.3).

    last_written: the FILETIME of the hive and its keys. Raises InexpressibleError for one that a hive cannot hold.
    """

    def key(name: str, *content: Key | Value) -> Key:
        values = tuple(item for item in content if isinstance(item, Value))
        subkeys = tuple(item for item in content if isinstance(item, Key))
        return Key(name, values, subkeys, last_written)

    def store_object(name: str, kind: int, element: str, text: str) -> Key:
        return key(
            name,
            key("Description", dword("Type", kind)),
            key("Elements", key(element, sz("Element", text))),
        )

    root = key(
        "NewStoreRoot",
        key("Description", sz("KeyName", "BCD00000000"), dword("FirmwareModified", 1)),
        key(
            "Objects",
            store_object(_LOADER, _LOADER_TYPE, _DESCRIPTION, "wclayer"),
            store_object(_BOOT_MANAGER, _BOOT_MANAGER_TYPE, _DEFAULT_OBJECT, _LOADER),
        ),
    )
    return write_hive(Hive(root, last_written, MINOR_NT4))
