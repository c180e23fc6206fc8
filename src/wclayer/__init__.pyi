# Made by `python -m docs.public_api` from the table in __init__.py.
from . import errors
from .builder.build import BuiltImage, build_image
from .builder.recipe import (
    DirectoryRule,
    FilesRule,
    Folder,
    Ignoring,
    JunctionRule,
    LayerRecipe,
    Recipe,
    RemoveRule,
    Security,
    Step,
    SymlinkRule,
)
from .builder.spec import load_recipe
from .codes import Code
from .disks.creating import create_disk
from .disks.mounting import mounted_volume
from .disks.partitions import Partition
from .distribution.credentials import AuthFiles, Credential, Credentials
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
    Lower,
    Progress,
    ProgressCallback,
    RandomSource,
    Sink,
    Source,
    Summary,
    Whiteout,
)
from .errors import WclayerError
from .images.choosing import ImageSelector, parse_platform
from .images.copying import CopiedImage, copy_image
from .images.index import MadeIndex, make_index
from .images.options import ImageOptions
from .images.places.parse import ImageReference
from .images.reading import Image, ImageLayer, open_image
from .images.spec.config_settings import Config
from .images.spec.descriptors import Descriptor, Platform
from .layers.base import BaseLayer, convert_to_base_layer
from .layers.diff.diff import Changed, ConfigChange, LayerDiff, Moved, Presence, RegistryChange
from .layers.diff.fields import FieldChange
from .layers.diff.side import Content, Ea
from .layers.exporting import export_layer_to_tar
from .layers.importing import import_layer_from_tar
from .layers.inspect.contents import Contents, Descriptors, Named, Sized, Span
from .layers.inspect.framing import Framing
from .layers.inspect.inspect import Inspection, LayerInspection, Stored
from .layers.inspect.windows import Program, Update, Windows
from .layers.lookup.extract import Extracted
from .layers.lookup.find import Criteria, Found
from .layers.lookup.ls import Listed, Stream
from .layers.opening import open_layer
from .layers.process import process_layer
from .layers.squash.api import squash_layers
from .layers.windows.scratch import create_scratch, mount_layer, remove_layer, unmount_layer
from .layertar.reader import TarSource
from .operations.diff import diff_layers
from .operations.files import extract_files, find_files, list_files, open_file, read_file
from .operations.inspect import ImageFacts, Inspected, inspect_layers
from .operations.layer_places import LayerReference
from .operations.squash import SquashedImage, squash_image
from .regf.check import HiveReport, HiveState, check_hive
from .regf.compare import Difference, What
from .regf.delta import MergeReport, merge_delta
from .regf.edits import KeyEdits
from .regf.findings import Finding as HiveFinding
from .regf.findings import Severity as HiveSeverity
from .regf.log import Recovered, recover_hive
from .regf.model import Hive, Key, LayerSemantics, Noted, RegType, Value
from .regf.model import Place as HivePosition
from .regf.reader import read_hive
from .regf.writer import write_hive
from .stores.folder.source import LayerFolder
from .stores.transport.folder import TransportFolder
from .verify.findings import Finding, Report
from .verify.rules.model import Effect, Rule, Severity, Target
from .verify.verifying import verify_layer
from .win32.accounts import account_name, parse_account
from .win32.filetime import from_datetime, to_datetime
from .win32.sddl import format_sddl, parse_sddl
from .win32.security import Sid

__version__: str

__all__ = [
    "AlternateStream",
    "AuthFiles",
    "BaseLayer",
    "Body",
    "BuiltImage",
    "Changed",
    "Code",
    "Config",
    "ConfigChange",
    "Content",
    "Contents",
    "CopiedImage",
    "Credential",
    "Credentials",
    "Criteria",
    "Descriptor",
    "Descriptors",
    "Difference",
    "Directory",
    "DirectoryRule",
    "Ea",
    "Effect",
    "Entry",
    "ExtendedAttribute",
    "Extracted",
    "FieldChange",
    "File",
    "FilesRule",
    "Finding",
    "Folder",
    "Found",
    "Framing",
    "HardLink",
    "Hive",
    "HiveFinding",
    "HivePosition",
    "HiveReport",
    "HiveSeverity",
    "HiveState",
    "Ignoring",
    "Image",
    "ImageFacts",
    "ImageLayer",
    "ImageOptions",
    "ImageReference",
    "ImageSelector",
    "Inspected",
    "Inspection",
    "JunctionRule",
    "Key",
    "KeyEdits",
    "LayerDiff",
    "LayerFolder",
    "LayerInspection",
    "LayerRecipe",
    "LayerReference",
    "LayerSemantics",
    "Listed",
    "Lower",
    "MadeIndex",
    "MergeReport",
    "Moved",
    "Named",
    "Noted",
    "Partition",
    "Platform",
    "Presence",
    "Program",
    "Progress",
    "ProgressCallback",
    "RandomSource",
    "Recipe",
    "Recovered",
    "RegType",
    "Registries",
    "RegistryChange",
    "RemoveRule",
    "Report",
    "Rule",
    "Security",
    "Severity",
    "Sid",
    "Sink",
    "Sized",
    "Source",
    "Span",
    "SquashedImage",
    "Step",
    "Stored",
    "Stream",
    "Summary",
    "SymlinkRule",
    "TarSource",
    "Target",
    "TransportFolder",
    "Update",
    "Value",
    "WclayerError",
    "What",
    "Whiteout",
    "Windows",
    "__version__",
    "account_name",
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
    "format_sddl",
    "from_datetime",
    "import_layer_from_tar",
    "inspect_layers",
    "list_files",
    "load_recipe",
    "make_index",
    "merge_delta",
    "mount_layer",
    "mounted_volume",
    "open_file",
    "open_image",
    "open_layer",
    "parse_account",
    "parse_platform",
    "parse_sddl",
    "process_layer",
    "read_file",
    "read_hive",
    "recover_hive",
    "remove_layer",
    "squash_image",
    "squash_layers",
    "to_datetime",
    "unmount_layer",
    "verify_layer",
    "write_hive",
]
