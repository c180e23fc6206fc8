"""Errors that say in which of several layers they came up."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ..errors import WclayerError

__all__ = ["in_layer"]


@contextmanager
def in_layer(name: str | None) -> Iterator[None]:
    """An error of the block begins with `in NAME: `, unless it does already, or with `in NAME, LAYER: `; of None, as it
    is."""
    try:
        yield
    except WclayerError as error:
        if name is not None and not error.message.startswith((f"in {name}: ", f"in {name}, ")):
            error.message = f"in {name}: {error.message}"
        raise
