"""Errors of layers that are looked into: in which of several layers they came up, and that a path does not exist."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..entry import Source
from ..errors import DigestMismatchError, FormatError, NotFoundError, with_context

__all__ = ["NamedLayers", "layer_context", "not_there_error"]


class NamedLayers(list[Source]):
    """Layers, base first, with their names as messages show them."""

    def __init__(self, layers: Iterable[Source], names: Iterable[str]) -> None:
        super().__init__(layers)
        self.names = tuple(names)


def layer_context(layers: Sequence[Source], number: int) -> with_context:
    """Name layer `number` in errors about its content, if the layers have names.

    Other errors, such as NotFoundError for a path, are about what all the layers show.
    """
    name = layers.names[number] if isinstance(layers, NamedLayers) else None
    return with_context(layer=name, only=(FormatError, DigestMismatchError))


def not_there_error(path: str) -> NotFoundError:
    """The error for a missing path in a command that reads each layer once, and so cannot follow links."""
    hint = "here PATH is taken literally, without patterns, and links on the way are not followed: see wclayer ls"
    return NotFoundError("no such path in the layer", path=path, hint=hint)
