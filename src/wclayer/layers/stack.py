"""Layers on top of each other, seen as one: what a container would see of the parents.

Order, as in hcsshim's code and containerd's: the nearest parent first, the base last.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from ..entry import Body, Entry
from ..errors import NotFoundError, UsageError
from ..stores.folder.source import LayerFolder
from ..stores.folders import open_folder
from ..union.lookup import seen

__all__ = ["Stack"]

_HINT = "give the nearest parent first and the base last"


class Stack:
    """The layer folders `parents`, nearest first, base last.

    Raises UsageError where that order is plainly wrong: a base that is not the last, a last that is no base, or
    parents that were themselves imported onto other ones than those that follow.
    """

    def __init__(self, parents: Sequence[str | os.PathLike[str]]) -> None:
        self.layers: list[LayerFolder] = []
        try:
            for number, path in enumerate(parents):
                non_base = None if number == len(parents) - 1 else True
                few = max(1, 64 // len(parents))  # up to 127 layers are open at once
                self.layers.append(open_folder(path, non_base=non_base, descriptors=few))
            self._check_order()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        for layer in self.layers:
            layer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def diff_ids(self) -> tuple[str | None, ...]:
        return tuple(layer.diff_id for layer in self.layers)

    def _check_order(self) -> None:
        layers = self.layers
        for layer in layers[:-1]:
            if layer.base:
                raise UsageError("a base layer that is not the last parent", path=layer.path, hint=_HINT)
        if layers and not layers[-1].base:
            raise UsageError("the last parent is no base layer", path=layers[-1].path, hint=_HINT)
        for number, layer in enumerate(layers):
            check_parents(layer, self.diff_ids[number + 1 :])

    # --- one view -------------------------------------------------------------

    def lookup(self, path: str, /) -> Entry | None:
        """The entry that is seen at `path`, by NTFS's case rules."""
        found = seen(self.layers, path)
        return None if found is None else found[1]

    def open(self, path: str, stream: str = "", /) -> Body:
        """The body of the file that is seen at `path`, or of one of its streams. Raises NotFoundError."""
        found = seen(self.layers, path)
        if found is None:
            raise NotFoundError("no such file in the parents", path=path)
        return found[0].open(found[1].path, stream)

    def streams(self, path: str, /) -> Sequence[str]:
        """The names of the named streams of the file that is seen at `path`."""
        found = seen(self.layers, path)
        return [] if found is None else found[0].streams(found[1].path)


def check_parents(layer: LayerFolder, given: Sequence[str | None]) -> None:
    """Raise UsageError if `layer` is known to have been imported onto others than those of `given`, nearest first."""
    recorded = layer.parent_diff_ids
    if recorded is None:
        return
    if len(recorded) != len(given):
        raise UsageError(
            "other parents than the layer was imported onto",
            path=layer.path,
            expected=f"{len(recorded)} below it",
            got=len(given),
            hint=_HINT,
        )
    for mine, other in zip(recorded, given, strict=True):
        if mine is not None and other is not None and mine != other:
            raise UsageError(
                "other parents than the layer was imported onto",
                path=layer.path,
                expected=mine,
                got=other,
                hint=_HINT,
            )
