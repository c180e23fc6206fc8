"""Which kind of store a layer folder is on, or is to be on.

On an NTFS volume that ntfs-3g has mounted, the volume holds Windows' metadata; anywhere
else, and in a folder that was made elsewhere and copied there, layer.db does. Transport
folders look alike anywhere, and are asked for by name.
"""

from __future__ import annotations

import os

from ..entry import Lower
from ..errors import UnsupportedError, UsageError
from .folder_sink import FolderSink
from .folder_source import LayerFolder
from .ntfs3g_sink import Ntfs3gSink
from .ntfs3g_source import Ntfs3gLayer
from .ntfs3g_volume import volume_of
from .posix import PosixSink
from .posix_source import PosixLayer
from .transport import TransportFolder, is_transport
from .transport_sink import TransportSink
from .transport_source import TransportLayer

__all__ = ["new_folder", "open_folder"]


def open_folder(
    path: str | os.PathLike[str],
    *,
    non_base: bool | None = None,
    verify_content: bool = False,
    descriptors: int = 64,
) -> LayerFolder:
    """The layer folder `path` as a source with random access, a context manager; see FolderTree.

    A TransportFolder is read as such. Raises UnsupportedError for a layer whose metadata are those of the NTFS volume
    that it was copied from, UsageError for a transport folder that is not given as one.
    """
    if isinstance(path, TransportFolder):
        return TransportLayer(path, non_base=non_base, verify_content=verify_content, descriptors=descriptors)
    volume = volume_of(os.path.abspath(os.fsencode(path)))
    layer: LayerFolder
    if volume is None:
        layer = PosixLayer(path, non_base=non_base, verify_content=verify_content, descriptors=descriptors)
        if layer.store != Ntfs3gSink.store:
            return _no_transport(layer)
        layer.close()
        raise UnsupportedError(
            "a layer folder that was made on an NTFS volume, which holds half of what it is",
            path=layer.path,
            expected="an NTFS volume, mounted by ntfs-3g",
            hint="export it from where it was made",
        )
    layer = Ntfs3gLayer(path, volume=volume, non_base=non_base, verify_content=verify_content, descriptors=descriptors)
    if layer.store in (None, Ntfs3gSink.store):
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
) -> FolderSink:
    """A sink that makes the layer folder `target`; see FolderSink.

    A TransportFolder is made as such. Raises UnsupportedError for an NTFS volume that is mounted so that it could not
    hold all of a layer.
    """
    if isinstance(target, TransportFolder):
        return TransportSink(target, parents=parents, parent_diff_ids=parent_diff_ids, force=force)
    above = os.path.dirname(os.path.abspath(os.fsencode(target)))
    on_ntfs = os.path.isdir(above) and volume_of(above, writing=True) is not None
    sink = Ntfs3gSink if on_ntfs else PosixSink
    return sink(target, parents=parents, parent_diff_ids=parent_diff_ids, force=force)
