"""Layers on top of each other, seen as one: which of them has what a container would see at a path."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

from ..entry import Directory, Entry, HardLink
from ..win32.reparse import is_name_surrogate, reparse_tag

__all__ = ["OneLayer", "is_real_directory", "seen"]


class OneLayer(Protocol):
    """A layer by itself."""

    def lookup(self, path: str, /) -> Entry | None: ...

    def has_whiteout(self, path: str, /) -> bool: ...


L = TypeVar("L", bound=OneLayer)


def is_real_directory(entry: Entry) -> bool:
    """Can other entries lie in it, and show those of the layers below: a directory that stands for nothing else?"""
    if not isinstance(entry, Directory):
        return False
    return entry.reparse_data is None or not is_name_surrogate(reparse_tag(entry.reparse_data))


def seen(layers: Sequence[L], path: str) -> tuple[L, Entry] | None:
    """What is seen at `path` of `layers`, nearest first, and whose it is; None for nothing.

    Of a link into a parent, which a layer may have without the data, it is the file below, with the path that it has
    there.
    """
    above = [path[:at] for at, char in enumerate(path) if char == "/"]
    for number, layer in enumerate(layers):
        entry = layer.lookup(path)
        if isinstance(entry, HardLink):
            return seen(layers[number + 1 :], entry.target)
        if entry is not None:
            return layer, entry
        if layer.has_whiteout(path):
            return None
        for directory in above:
            # A directory that this layer deletes, or replaces by a file or a link, hides all that is below it.
            if layer.has_whiteout(directory):
                return None
            found = layer.lookup(directory)
            if found is not None and not is_real_directory(found):
                return None
    return None
