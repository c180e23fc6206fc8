"""Open whatever holds a layer as a source of entries."""

from __future__ import annotations

import os
from typing import BinaryIO

from ..errors import NotFoundError
from ..host.errors import host_errors
from ..layertar.reader import TarSource
from ..stores.folder.source import LayerFolder
from ..stores.folders import open_folder
from ..stores.transport.folder import TransportFolder

__all__ = ["open_layer"]


def open_layer(layer: str | os.PathLike[str] | BinaryIO) -> LayerFolder | TarSource:
    """The layer in a layer folder, a layer tar (plain, gzip or zstd), or a binary file object with such a tar.

    A folder (a transport folder is given as a TransportFolder) gives a `RandomSource`, which is a context manager; a
    tar given by its path gives a `Source` that can be read again; a file object one that can be read once, and that
    does not close it. Raises NotFoundError.
    """
    if not isinstance(layer, str | os.PathLike):
        return TarSource(layer)
    path = os.fspath(layer)
    if os.path.isdir(path) or isinstance(layer, TransportFolder):
        return open_folder(layer)
    if not os.path.exists(path):
        raise NotFoundError("no such layer folder or tar", path=path)

    def reopen() -> BinaryIO:
        with host_errors(path):
            return open(path, "rb")

    return TarSource(None, reopen=reopen)
