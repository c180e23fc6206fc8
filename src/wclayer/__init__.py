"""wclayer: make, inspect and combine the layers of Windows containers, on any operating system.

    from wclayer import build_image, import_layer_from_tar, export_layer_to_tar, open_layer

The names of the table below are public, and so are the errors in `wclayer.errors`. Anything
else may change. docs/python.md shows how to use them.

A public function that gets an argument of a wrong type raises UsageError. Modules are imported
when the first name in them is asked for, so that reading a hive waits for no HTTP client.
"""

from importlib import import_module
from types import FunctionType
from typing import Any, Final

from . import errors

__version__ = "0.1.0.dev0"

# The public names by module: the only list of them. `__init__.pyi`, which type checkers read,
# is made from it by `python -m docs.public_api`.
_PUBLIC: Final[dict[str, tuple[str, ...]]] = {
    "win32.accounts": (
        "account_name",
        "parse_account",
    ),
    "builder.build": (
        "BuiltImage",
        "build_image",
    ),
    "builder.recipe": (
        "DirectoryRule",
        "FilesRule",
        "Folder",
        "Ignoring",
        "JunctionRule",
        "LayerRecipe",
        "Recipe",
        "RemoveRule",
        "Security",
        "Step",
        "SymlinkRule",
    ),
    "builder.spec": ("load_recipe",),
    "codes": ("Code",),
    "disks.creating": ("create_disk",),
    "disks.mounting": ("mounted_volume",),
    "disks.partitions": ("Partition",),
    "distribution.credentials": (
        "AuthFiles",
        "Credential",
        "Credentials",
    ),
    "distribution.registries": ("Registries",),
    "dockerfile.build": ("build_dockerfile",),
    "entry": (
        "AlternateStream",
        "Body",
        "Directory",
        "Entry",
        "ExtendedAttribute",
        "File",
        "HardLink",
        "Lower",
        "Progress",
        "ProgressCallback",
        "RandomSource",
        "Sink",
        "Source",
        "Summary",
        "Whiteout",
    ),
    "errors": ("WclayerError",),
    "images.choosing": (
        "ImageSelector",
        "parse_platform",
    ),
    "images.copying": (
        "CopiedImage",
        "copy_image",
    ),
    "images.options": ("ImageOptions",),
    "images.index": (
        "MadeIndex",
        "make_index",
    ),
    "images.places.parse": ("ImageReference",),
    "images.reading": (
        "Image",
        "ImageLayer",
        "open_image",
    ),
    "images.spec.config_settings": ("Config",),
    "images.spec.descriptors": (
        "Descriptor",
        "Platform",
    ),
    "layers.base": (
        "BaseLayer",
        "convert_to_base_layer",
    ),
    "layers.diff.diff": (
        "Changed",
        "ConfigChange",
        "LayerDiff",
        "Moved",
        "Presence",
        "RegistryChange",
    ),
    "layers.diff.fields": ("FieldChange",),
    "layers.diff.side": (
        "Content",
        "Ea",
    ),
    "layers.exporting": ("export_layer_to_tar",),
    "layers.importing": ("import_layer_from_tar",),
    "layers.inspect.contents": (
        "Contents",
        "Descriptors",
        "Named",
        "Sized",
        "Span",
    ),
    "layers.inspect.framing": ("Framing",),
    "layers.inspect.inspect": (
        "Inspection",
        "LayerInspection",
        "Stored",
    ),
    "layers.inspect.windows": (
        "Program",
        "Update",
        "Windows",
    ),
    "layers.lookup.extract": ("Extracted",),
    "layers.lookup.find": (
        "Criteria",
        "Found",
    ),
    "layers.lookup.ls": (
        "Listed",
        "Stream",
    ),
    "layers.opening": ("open_layer",),
    "layers.process": ("process_layer",),
    "layers.squash.api": ("squash_layers",),
    "layers.windows.scratch": (
        "create_scratch",
        "mount_layer",
        "remove_layer",
        "unmount_layer",
    ),
    "layertar.reader": ("TarSource",),
    "operations.diff": ("diff_layers",),
    "operations.files": (
        "extract_files",
        "find_files",
        "list_files",
        "open_file",
        "read_file",
    ),
    "operations.inspect": (
        "ImageFacts",
        "Inspected",
        "inspect_layers",
    ),
    "operations.layer_places": ("LayerReference",),
    "operations.squash": (
        "SquashedImage",
        "squash_image",
    ),
    "regf.check": (
        "HiveReport",
        "HiveState",
        "check_hive",
    ),
    "regf.compare": (
        "Difference",
        "What",
    ),
    "regf.delta": (
        "MergeReport",
        "merge_delta",
    ),
    "regf.edits": ("KeyEdits",),
    "regf.findings": (
        "Finding as HiveFinding",
        "Severity as HiveSeverity",
    ),
    "regf.log": (
        "Recovered",
        "recover_hive",
    ),
    "regf.model": (
        "Hive",
        "Key",
        "LayerSemantics",
        "Noted",
        "Place as HivePosition",
        "RegType",
        "Value",
    ),
    "regf.reader": ("read_hive",),
    "regf.writer": ("write_hive",),
    "stores.folder.source": ("LayerFolder",),
    "stores.transport.folder": ("TransportFolder",),
    "verify.findings": (
        "Finding",
        "Report",
    ),
    "verify.rules.model": (
        "Effect",
        "Rule",
        "Severity",
        "Target",
    ),
    "verify.verifying": ("verify_layer",),
    "win32.filetime": (
        "from_datetime",
        "to_datetime",
    ),
    "win32.sddl": (
        "format_sddl",
        "parse_sddl",
    ),
    "win32.security": ("Sid",),
}

_WHERE: Final[dict[str, tuple[str, str]]] = {
    name.rpartition(" as ")[2]: (module, name.partition(" as ")[0])
    for module, names in _PUBLIC.items()
    for name in names
}

__all__ = ["__version__", "errors", *_WHERE]  # noqa: PLE0604 # names all


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, own = _WHERE[name]
    found = getattr(import_module(f".{module}", __name__), own)
    if isinstance(found, FunctionType):
        found = import_module(".arguments", __name__).checked(found)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
