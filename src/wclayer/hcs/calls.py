"""What the host compute service does with layers: vmcompute's calls with paths and lists of Python.

Paths are passed on as they are given: hcsshim prefixes the one of a layer that is being
made or imported with `\\\\?\\`, and no other. Parents go nearest first, base last. Every
call raises what `errors.hresult_error` makes of its HRESULT, and UnsupportedError where
Windows lacks vmcompute.dll.
"""

from __future__ import annotations

import ctypes
import ntpath
from collections.abc import Sequence
from ctypes import byref, c_size_t
from typing import Any

from ..errors import StorageError
from ..native.declarations import NATIVES
from ..native.handles import wide
from ..win32.names import from_utf16
from .declarations import DRIVER_INFO, GUID, LAYER_DESCRIPTOR
from .errors import hresult_error

__all__ = [
    "activate_layer",
    "create_sandbox_layer",
    "deactivate_layer",
    "destroy_layer",
    "export_layer",
    "get_layer_mount_path",
    "import_layer",
    "name_to_guid",
    "prepare_layer",
    "process_base_image",
    "process_utility_image",
    "require",
    "unprepare_layer",
]

_FILTER_DRIVER = 1
_HOME = ctypes.create_string_buffer(b"\0\0", 2)
_DRIVER = DRIVER_INFO(_FILTER_DRIVER, ctypes.addressof(_HOME))
_MAX_PATH_UNITS = 32768


def _call(name: str, path: str, *arguments: Any) -> None:
    hresult: int = getattr(NATIVES, name)(*arguments)
    if hresult < 0:
        raise hresult_error(name, hresult, path)


def _on_layer(name: str, path: str, *arguments: Any) -> None:
    _call(name, path, byref(_DRIVER), wide(path), *arguments)


def _on_parents(name: str, path: str, parents: Sequence[str], *arguments: Any) -> None:
    """The same for a call that ends in an array of layer descriptors."""
    texts = [ctypes.create_string_buffer(wide(parent)) for parent in parents]  # which the descriptors point to
    array = (LAYER_DESCRIPTOR * len(parents))()
    for descriptor, parent, text in zip(array, parents, texts, strict=True):
        descriptor.LayerId = name_to_guid(ntpath.basename(parent.rstrip("\\/")))
        descriptor.Path = ctypes.addressof(text)
    _on_layer(name, path, *arguments, array if parents else None, len(parents))


def require() -> None:
    """Raise UnsupportedError if this host has no host compute service."""
    NATIVES.NameToGuid  # noqa: B018 # looking it up is the point


def name_to_guid(name: str) -> GUID:
    """The layer ID of a folder's name."""
    guid = GUID()
    _call("NameToGuid", name, wide(name), byref(guid))
    return guid


def activate_layer(path: str) -> None:
    _on_layer("ActivateLayer", path)


def deactivate_layer(path: str) -> None:
    _on_layer("DeactivateLayer", path)


def prepare_layer(path: str, parents: Sequence[str]) -> None:
    """Mount the filter on an activated layer. One at a time: Windows times out otherwise."""
    _on_parents("PrepareLayer", path, parents)


def unprepare_layer(path: str) -> None:
    _on_layer("UnprepareLayer", path)


def destroy_layer(path: str) -> None:
    """Remove the layer with its folder."""
    _on_layer("DestroyLayer", path)


def create_sandbox_layer(path: str, parents: Sequence[str]) -> None:
    """Make the scratch layer `path` on top of `parents`."""
    _on_parents("CreateSandboxLayer", path, parents, 0)


def import_layer(path: str, folder: str, parents: Sequence[str]) -> None:
    """Make the layer `path` of a transport folder."""
    _on_parents("ImportLayer", path, parents, wide(folder))


def export_layer(path: str, folder: str, parents: Sequence[str]) -> None:
    """Make `folder` a transport folder of the layer `path`."""
    _on_parents("ExportLayer", path, parents, wide(folder))


def get_layer_mount_path(path: str) -> str:
    """The volume of a prepared layer, as its GUID path; of another one its own path."""
    length = c_size_t()
    _on_layer("GetLayerMountPath", path, byref(length), None)
    if not 0 < length.value <= _MAX_PATH_UNITS:
        raise StorageError("GetLayerMountPath gave no length that a path can have", path=path, got=length.value)
    buffer = ctypes.create_string_buffer(length.value * 2)
    _on_layer("GetLayerMountPath", path, byref(length), buffer)
    return from_utf16(buffer.raw).partition("\0")[0]


def process_base_image(path: str) -> None:
    """Windows' own processing of a base layer. Neither atomic nor repeatable."""
    _call("ProcessBaseImage", path, wide(path))


def process_utility_image(path: str) -> None:
    """The same for a base layer's utility VM; path: its folder UtilityVM."""
    _call("ProcessUtilityImage", path, wide(path))
