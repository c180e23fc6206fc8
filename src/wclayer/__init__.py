"""wclayer: make, take apart and put together the layers of Windows containers, on any operating system.

    from wclayer import import_layer_from_tar, export_layer_to_tar, open_layer

What is named here is public; everything else may change. The errors are in `wclayer.errors`.
"""

from . import errors
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
from .errors import WclayerError
from .layers.base import convert_to_base_layer
from .layers.exporting import export_layer_to_tar
from .layers.importing import import_layer_from_tar
from .layers.opening import open_layer

__version__ = "0.1.0.dev0"

__all__ = [
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
    "WclayerError",
    "Whiteout",
    "__version__",
    "convert_to_base_layer",
    "errors",
    "export_layer_to_tar",
    "import_layer_from_tar",
    "open_layer",
]
