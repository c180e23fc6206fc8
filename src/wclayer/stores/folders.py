"""Which kind of store a layer folder is on, or is to be on."""

from __future__ import annotations

import os

from ..entry import Lower
from .folder_sink import FolderSink
from .folder_source import LayerFolder
from .posix import PosixSink
from .posix_source import PosixLayer

__all__ = ["new_folder", "open_folder"]


def open_folder(
    path: str | os.PathLike[str],
    *,
    non_base: bool | None = None,
    verify_content: bool = False,
    descriptors: int = 64,
) -> LayerFolder:
    """The layer folder `path` as a source with random access, a context manager; see FolderTree."""
    return PosixLayer(path, non_base=non_base, verify_content=verify_content, descriptors=descriptors)


def new_folder(
    target: str | os.PathLike[str],
    *,
    parents: Lower | None = None,
    parent_diff_ids: tuple[str | None, ...] = (),
    force: bool = False,
) -> FolderSink:
    """A sink that makes the layer folder `target`; see FolderSink."""
    return PosixSink(target, parents=parents, parent_diff_ids=parent_diff_ids, force=force)
