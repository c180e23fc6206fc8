"""Have Windows process a layer that was imported elsewhere, or without that."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from typing import BinaryIO, cast

from ..errors import AlreadyExistsError, UsageError
from ..host.errors import shown
from ..stores.folders import is_plain, open_folder
from ..stores.ntfs3g.sink import Ntfs3gSink
from ..stores.transport.folder import TransportFolder
from ..stores.windows.sink import WindowsSink
from .exporting import export_layer_to_tar
from .importing import import_layer_from_tar
from .windows.processing import PENDING, PROCESSING, mark_done, process_folder
from .windows.service import service

__all__ = ["process_layer"]

Path = str | os.PathLike[str]


def process_layer(
    path: Path,
    parents: Sequence[Path] = (),
    *,
    output: Path | None = None,
    clean: bool = False,
    force: bool = False,
) -> bool:
    """Have Windows process the layer folder `path`; False if it has been processed before.

    A base layer that lies on NTFS is processed where it is. A plain tree, whose metadata are in layer.db, is first made
    what it stands for, in its own place or at `output`: an import of the tar that it gives. So is a TransportFolder, at
    `output`.

    parents: nearest first, base last; of a non-base layer. clean: remove what a failed run has left, and process again.
    force: replace `output`, if it is there. Raises UnsupportedError where this is no Windows, and what import and
    export do; after an error, all is as it was.
    """
    with service("Windows' processing of a layer", (path, *parents)):
        if isinstance(path, TransportFolder) and output is None:
            raise UsageError("a transport folder, which becomes a layer elsewhere", path=shown(path), hint="say -o NEW")
        if not isinstance(path, TransportFolder) and not is_plain(path) and not _is_unprocessed(path):
            if output is not None:
                raise UsageError("a layer of NTFS, which is processed where it is", path=shown(path))
            return _in_place(path, clean=clean)
        target = path if output is None else output
        with tempfile.TemporaryFile(dir=os.path.dirname(os.path.abspath(target))) as file:
            tar = cast("BinaryIO", file)
            export_layer_to_tar(path, tar, parents, processing=False)
            tar.seek(0)
            import_layer_from_tar(tar, target, parents, force=force or output is None)
    return True


def _is_unprocessed(path: Path) -> bool:
    """Is it a non-base layer that was made without the service?"""
    with open_folder(path, plain=True) as layer:
        return not layer.base and layer.store in (WindowsSink.store, Ntfs3gSink.store)


def _in_place(path: Path, *, clean: bool) -> bool:
    with open_folder(path, plain=True) as layer:
        if not layer.base:
            raise AlreadyExistsError(
                "a non-base layer that was made by the service",
                path=layer.path,
                hint="if its import did not end well, import it again",
            )
        recorded = layer.value(PROCESSING)
    done = process_folder(path, clean_first=clean or recorded == PENDING)
    if recorded is not None:
        mark_done(path)
    return done
