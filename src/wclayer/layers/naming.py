"""Errors of layers that are looked into: in which of several they came up, and that a path is not there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from ..errors import NotFoundError, WclayerError

__all__ = ["add_layer", "in_layer", "not_there"]


@contextmanager
def in_layer(name: str | None) -> Iterator[None]:
    """An error of the block begins with `in NAME: `, unless it does already, or with `in NAME, LAYER: `; of None, as it
    is."""
    try:
        yield
    except WclayerError as error:
        if name is not None:
            add_layer(error, name, known=(name,))
        raise


def add_layer(error: WclayerError, name: str, *, known: Sequence[str]) -> None:
    """Let an error begin with the name of the layer that it is in, unless it begins with one of those `known`."""
    said = tuple(f"in {one}{end}" for one in known for end in (": ", ", "))
    if not error.message.startswith(said):
        error.message = f"in {name}: {error.message}"


def not_there(path: str) -> NotFoundError:
    """The error where a path is looked for as it stands: entries go by, so no link on the way can be followed."""
    hint = "here PATH is taken literally, without patterns, and links on the way are not followed: see wclayer ls"
    return NotFoundError("no such path in the layer", path=path, hint=hint)
