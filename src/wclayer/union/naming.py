"""Errors of layers that are looked into: in which of several they came up, and that a path is not there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from ..entry import Source
from ..errors import DigestMismatchError, FormatError, NotFoundError, WclayerError

__all__ = ["NamedLayers", "in_layer", "in_named_layer", "not_there_error"]


@contextmanager
def in_layer(name: str | None) -> Iterator[None]:
    """An error of the block begins with `in NAME: `, unless it does already, or with `in NAME, LAYER: `; of None, as it
    is."""
    try:
        yield
    except WclayerError as error:
        if name is not None:
            _add_layer(error, name, known=(name,))
        raise


class NamedLayers(list[Source]):
    """Layers, base first, and their names as messages say them."""

    def __init__(self, layers: Iterable[Source], names: Iterable[str]) -> None:
        super().__init__(layers)
        self.names = tuple(names)


@contextmanager
def in_named_layer(layers: Sequence[Source], number: int) -> Iterator[None]:
    """Errors in what layer `number` has say which one it is, if the layers have names."""
    try:
        yield
    except (FormatError, DigestMismatchError) as error:
        if isinstance(layers, NamedLayers) and error.path != layers.names[number]:
            _add_layer(error, layers.names[number], known=layers.names)
        raise


def _add_layer(error: WclayerError, name: str, *, known: Sequence[str]) -> None:
    """Let an error begin with the name of the layer that it is in, unless it begins with one of those `known`."""
    said = tuple(f"in {one}{end}" for one in known for end in (": ", ", "))
    if not error.message.startswith(said):
        error.message = f"in {name}: {error.message}"


def not_there_error(path: str) -> NotFoundError:
    """The error where a path is looked for as it stands: entries go by, so no link on the way can be followed."""
    hint = "here PATH is taken literally, without patterns, and links on the way are not followed: see wclayer ls"
    return NotFoundError("no such path in the layer", path=path, hint=hint)
