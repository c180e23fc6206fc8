"""wclayer: make, take apart and put together the layers of Windows containers, on any operating system.

    from wclayer import build_image, import_layer_from_tar, export_layer_to_tar, open_layer

What is named here is public; so are the errors in `wclayer.errors`, and what an image is made of in
`wclayer.builder.recipe`. Everything else may change.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from . import errors
from .errors import WclayerError

if TYPE_CHECKING:
    from .builder.build import build_image
    from .builder.recipe import Recipe
    from .builder.spec import load_recipe
    from .disks.creating import create_disk
    from .disks.mounting import mounted_volume
    from .distribution.credentials import AuthFiles
    from .distribution.registries import Registries
    from .dockerfile.build import build_dockerfile
    from .entry import (
        AlternateStream,
        Body,
        Directory,
        Entry,
        ExtendedAttribute,
        File,
        HardLink,
        RandomSource,
        Source,
        Summary,
        Whiteout,
    )
    from .images.copying import copy_image
    from .images.index import make_index
    from .images.reading import open_image
    from .layers.base import convert_to_base_layer
    from .layers.exporting import export_layer_to_tar
    from .layers.importing import import_layer_from_tar
    from .layers.lookup.find import Criteria
    from .layers.opening import open_layer
    from .layers.process import process_layer
    from .layers.squash.api import squash_layers
    from .layers.windows.scratch import create_scratch, mount_layer, remove_layer, unmount_layer
    from .operations.diff import diff_layers
    from .operations.files import extract_files, find_files, list_files, read_file
    from .operations.inspect import inspect_layers
    from .operations.squash import squash_image
    from .regf.check import check_hive
    from .regf.delta import merge_delta
    from .regf.log import recover_hive
    from .regf.model import Hive, Key, RegType, Value
    from .regf.reader import read_hive
    from .regf.writer import write_hive
    from .stores.transport.folder import TransportFolder
    from .verify.verifying import verify_layer

__version__ = "0.1.0.dev0"

__all__ = [
    "AlternateStream",
    "AuthFiles",
    "Body",
    "Criteria",
    "Directory",
    "Entry",
    "ExtendedAttribute",
    "File",
    "HardLink",
    "Hive",
    "Key",
    "RandomSource",
    "Recipe",
    "RegType",
    "Registries",
    "Source",
    "Summary",
    "TransportFolder",
    "Value",
    "WclayerError",
    "Whiteout",
    "__version__",
    "build_dockerfile",
    "build_image",
    "check_hive",
    "convert_to_base_layer",
    "copy_image",
    "create_disk",
    "create_scratch",
    "diff_layers",
    "errors",
    "export_layer_to_tar",
    "extract_files",
    "find_files",
    "import_layer_from_tar",
    "inspect_layers",
    "list_files",
    "load_recipe",
    "make_index",
    "merge_delta",
    "mount_layer",
    "mounted_volume",
    "open_image",
    "open_layer",
    "process_layer",
    "read_file",
    "read_hive",
    "recover_hive",
    "remove_layer",
    "squash_image",
    "squash_layers",
    "unmount_layer",
    "verify_layer",
    "write_hive",
]


# Imported when they are first asked for: who reads a hive waits for no HTTP client.
_WHERE = {
    **dict.fromkeys(
        (
            "AlternateStream",
            "Body",
            "Directory",
            "Entry",
            "ExtendedAttribute",
            "File",
            "HardLink",
            "RandomSource",
            "Source",
            "Summary",
            "Whiteout",
        ),
        "entry",
    ),
    **dict.fromkeys(("Hive", "Key", "RegType", "Value"), "regf.model"),
    **dict.fromkeys(("extract_files", "find_files", "list_files", "read_file"), "operations.files"),
    "AuthFiles": "distribution.credentials",
    "Criteria": "layers.lookup.find",
    "Recipe": "builder.recipe",
    "Registries": "distribution.registries",
    "TransportFolder": "stores.transport.folder",
    "build_dockerfile": "dockerfile.build",
    "build_image": "builder.build",
    "check_hive": "regf.check",
    "convert_to_base_layer": "layers.base",
    "copy_image": "images.copying",
    "create_disk": "disks.creating",
    "diff_layers": "operations.diff",
    "export_layer_to_tar": "layers.exporting",
    "import_layer_from_tar": "layers.importing",
    "inspect_layers": "operations.inspect",
    "load_recipe": "builder.spec",
    "make_index": "images.index",
    "merge_delta": "regf.delta",
    "mounted_volume": "disks.mounting",
    "open_image": "images.reading",
    "open_layer": "layers.opening",
    "process_layer": "layers.process",
    **dict.fromkeys(("create_scratch", "mount_layer", "remove_layer", "unmount_layer"), "layers.windows.scratch"),
    "read_hive": "regf.reader",
    "recover_hive": "regf.log",
    "write_hive": "regf.writer",
    "squash_image": "operations.squash",
    "squash_layers": "layers.squash.api",
    "verify_layer": "verify.verifying",
}


def __getattr__(name: str) -> Any:
    where = _WHERE.get(name)
    if where is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(import_module(f".{where}", __name__), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
