"""wclayer: make, take apart and put together the layers of Windows containers, on any operating system.

    from wclayer import build_image, import_layer_from_tar, export_layer_to_tar, open_layer

What is named here is public; so are the errors in `wclayer.errors`, and what an image is made of in
`wclayer.images.recipe`. Everything else may change.
"""

from typing import TYPE_CHECKING, Any

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
from .images.build import build_image
from .images.copying import copy_image
from .images.index import make_index
from .images.reading import open_image
from .images.recipe import Recipe
from .images.spec import load_recipe
from .layers.base import convert_to_base_layer
from .layers.exporting import export_layer_to_tar
from .layers.importing import import_layer_from_tar
from .layers.opening import open_layer
from .registry.credentials import AuthFiles
from .registry.registries import Registries

if TYPE_CHECKING:
    from .dockerfile.build import build_dockerfile

__version__ = "0.1.0.dev0"

__all__ = [
    "AlternateStream",
    "AuthFiles",
    "Body",
    "Directory",
    "Entry",
    "ExtendedAttribute",
    "File",
    "HardLink",
    "RandomSource",
    "Recipe",
    "Registries",
    "Source",
    "Summary",
    "WclayerError",
    "Whiteout",
    "__version__",
    "build_dockerfile",
    "build_image",
    "convert_to_base_layer",
    "copy_image",
    "errors",
    "export_layer_to_tar",
    "import_layer_from_tar",
    "load_recipe",
    "make_index",
    "open_image",
    "open_layer",
]


def __getattr__(name: str) -> Any:
    if name == "build_dockerfile":
        # Its parser takes its time to import, and most who import this build from no Dockerfile.
        from .dockerfile.build import build_dockerfile  # noqa: PLC0415

        return build_dockerfile
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
