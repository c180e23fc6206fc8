"""vmcompute.dll as ctypes knows it: the host compute service's calls for layers (hcsshim's internal/wclayer).

Every call returns an HRESULT; strings are NUL-ended UTF-16. `driver` is what hcsshim
calls stdDriverInfo: flavour 1, the filter driver, and an empty home folder.
"""

from __future__ import annotations

from ctypes import POINTER, Structure, c_int32, c_size_t, c_uint8, c_uint32, c_uint64, c_void_p
from typing import Final

from ..native.declarations import DECLARED, Declared

__all__ = ["DRIVER_INFO", "GUID", "LAYER_DESCRIPTOR", "VMCOMPUTE"]

HRESULT = c_int32
_WSTR = c_void_p


class GUID(Structure):
    _fields_ = (("Data", c_uint8 * 16),)


class DRIVER_INFO(Structure):
    """Flavour: 0 graph driver, 1 filter driver. HomeDir: L\"\"."""

    _fields_ = (("Flavour", c_uint32), ("HomeDir", _WSTR))


class LAYER_DESCRIPTOR(Structure):
    """WC_LAYER_DESCRIPTOR: LayerId is NameToGuid of the path's last component."""

    _fields_ = (("LayerId", GUID), ("Flags", c_uint32), ("Path", _WSTR))


_INFO = POINTER(DRIVER_INFO)
_PARENTS: Final = (POINTER(LAYER_DESCRIPTOR), c_size_t)

_CALLS: Final = {
    "ActivateLayer": (_INFO, _WSTR),
    "CreateSandboxLayer": (_INFO, _WSTR, c_size_t, *_PARENTS),
    "DeactivateLayer": (_INFO, _WSTR),
    "DestroyLayer": (_INFO, _WSTR),
    "ExpandSandboxSize": (_INFO, _WSTR, c_uint64),
    "ExportLayer": (_INFO, _WSTR, _WSTR, *_PARENTS),
    "GetLayerMountPath": (_INFO, _WSTR, POINTER(c_size_t), c_void_p),
    "GrantVmAccess": (_WSTR, _WSTR),
    "ImportLayer": (_INFO, _WSTR, _WSTR, *_PARENTS),
    "LayerExists": (_INFO, _WSTR, POINTER(c_uint32)),
    "NameToGuid": (_WSTR, POINTER(GUID)),
    "PrepareLayer": (_INFO, _WSTR, *_PARENTS),
    "ProcessBaseImage": (_WSTR,),
    "ProcessUtilityImage": (_WSTR,),
    "UnprepareLayer": (_INFO, _WSTR),
}
VMCOMPUTE: Final = tuple(_CALLS)

DECLARED.update({name: Declared("vmcompute", HRESULT, arguments) for name, arguments in _CALLS.items()})
