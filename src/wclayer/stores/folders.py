"""Which kind of store a layer folder is on, or is to be on.

On Windows, NTFS itself holds Windows' metadata; so it does on a volume that ntfs-3g has
mounted. Anywhere else, where it is asked for, and in a folder that was made elsewhere
and copied there, layer.db does. Transport folders look alike anywhere, and are asked for by
name.
"""

from __future__ import annotations

import os

from ..entry import Lower
from ..errors import UnsupportedError, UsageError
from . import settings
from .folder.sink import FolderSink
from .folder.source import LayerFolder
from .ntfs3g.mount import volume_of
from .ntfs3g.sink import Ntfs3gSink
from .ntfs3g.source import Ntfs3gLayer
from .posix.sink import PosixSink
from .posix.source import PosixLayer
from .transport.folder import TransportFolder, is_transport
from .transport.sink import TransportSink
from .transport.source import TransportLayer
from .windows.hcs_sink import HcsSink
from .windows.sink import WindowsSink
from .windows.source import WindowsLayer

__all__ = ["is_plain", "new_folder", "on_windows", "open_folder"]


def on_windows() -> bool:
    """Is it Windows that holds the layers of this process?"""
    return os.name == "nt" and not settings.plain


def is_plain(path: str | os.PathLike[str]) -> bool:
    """Is it a plain tree whose metadata are in layer.db, and of which Windows knows nothing?"""
    with open_folder(path, plain=True) as layer:
        return layer.store == PosixSink.store


def open_folder(
    path: str | os.PathLike[str],
    *,
    non_base: bool | None = None,
    verify_content: bool = False,
    descriptors: int = 64,
    plain: bool = False,
) -> LayerFolder:
    """The layer folder `path` as a source with random access, a context manager; see FolderTree.

    A TransportFolder is read as such. plain: as a plain tree, for who wants no metadata; on Windows that needs no
    privileges. Raises UnsupportedError for a layer whose metadata are those of the NTFS volume that it was copied from,
    UsageError for a transport folder that is not given as one, AccessError for privileges that are missing.
    """
    if isinstance(path, TransportFolder):
        return TransportLayer(path, non_base=non_base, verify_content=verify_content, descriptors=descriptors)
    plain = plain or settings.plain
    volume = None if on_windows() or plain else volume_of(os.path.abspath(os.fsencode(path)))
    layer: LayerFolder
    if volume is None:
        layer = PosixLayer(path, non_base=non_base, verify_content=verify_content, descriptors=descriptors)
        if plain or layer.store == PosixSink.store or (layer.store is None and not on_windows()):
            return _no_transport(layer)
        layer.close()
        if on_windows():
            return WindowsLayer(path, non_base=non_base, verify_content=verify_content, descriptors=descriptors)
        raise UnsupportedError(
            "a layer folder that was made on an NTFS volume, which holds half of what it is",
            path=layer.path,
            expected="an NTFS volume, mounted by ntfs-3g",
            hint="export it from where it was made",
        )
    layer = Ntfs3gLayer(path, volume=volume, non_base=non_base, verify_content=verify_content, descriptors=descriptors)
    if layer.store in (None, Ntfs3gSink.store, WindowsSink.store, HcsSink.store):
        return _no_transport(layer)
    layer.close()
    return PosixLayer(path, non_base=non_base, verify_content=verify_content, descriptors=descriptors)


def _no_transport(layer: LayerFolder) -> LayerFolder:
    """`layer`, unless it is a transport folder, of which any other store would take the metadata for content."""
    if layer.store is None and is_transport(os.fsencode(layer.path)):
        layer.close()
        raise UsageError("a transport folder, not a layer folder", path=layer.path, hint=f"say transport:{layer.path}")
    return layer


def new_folder(
    target: str | os.PathLike[str],
    *,
    parents: Lower | None = None,
    parent_diff_ids: tuple[str | None, ...] = (),
    force: bool = False,
    plain: bool = False,
) -> FolderSink:
    """A sink that makes the layer folder `target`; see FolderSink.

    A TransportFolder is made as such. plain: a plain tree with all metadata in layer.db, whatever the file system could
    hold. Raises UnsupportedError for a volume that could not hold all of a layer, or is mounted so, AccessError for
    privileges that are missing.
    """
    if isinstance(target, TransportFolder):
        return TransportSink(target, parents=parents, parent_diff_ids=parent_diff_ids, force=force)
    above = os.path.dirname(os.path.abspath(os.fsencode(target)))
    sink: type[FolderSink] = PosixSink
    plain = plain or settings.plain
    if not plain and on_windows():
        sink = WindowsSink
    elif not plain and os.path.isdir(above) and volume_of(above, writing=True) is not None:
        sink = Ntfs3gSink
    return sink(target, parents=parents, parent_diff_ids=parent_diff_ids, force=force)
