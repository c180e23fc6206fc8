"""wclayer: make, take apart and put together the layers of Windows containers, on any operating system.

    from wclayer import build_image, import_layer_from_tar, export_layer_to_tar, open_layer

What is named here is public; so are the errors in `wclayer.errors`, and what an image is made of in
`wclayer.images.recipe`. Everything else may change.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from . import errors
from .errors import WclayerError

if TYPE_CHECKING:
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
    from .images.build import build_image
    from .images.copying import copy_image
    from .images.index import make_index
    from .images.reading import open_image
    from .images.recipe import Recipe
    from .images.spec import load_recipe
    from .images.squashing import squash_image
    from .layers.base import convert_to_base_layer
    from .layers.exporting import export_layer_to_tar
    from .layers.importing import import_layer_from_tar
    from .layers.opening import open_layer
    from .layers.squashing import squash_layers
    from .registry.credentials import AuthFiles
    from .registry.registries import Registries

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
    "squash_image",
    "squash_layers",
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
    "AuthFiles": "registry.credentials",
    "Recipe": "images.recipe",
    "Registries": "registry.registries",
    "build_dockerfile": "dockerfile.build",
    "build_image": "images.build",
    "convert_to_base_layer": "layers.base",
    "copy_image": "images.copying",
    "export_layer_to_tar": "layers.exporting",
    "import_layer_from_tar": "layers.importing",
    "load_recipe": "images.spec",
    "make_index": "images.index",
    "open_image": "images.reading",
    "open_layer": "layers.opening",
    "squash_image": "images.squashing",
    "squash_layers": "layers.squashing",
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
