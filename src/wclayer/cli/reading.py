"""What commands that look into layers show while they read them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

from ..entry import AlternateStream, File
from ..errors import printable
from ..union.view import ViewEntry
from .progress import byte_bar

__all__ = ["reading_bar"]


@contextmanager
def reading_bar(what: str, *, quiet: bool, verbose: bool) -> Iterator[Callable[[ViewEntry], None] | None]:
    """What to call with each entry that is read: a bar of the bytes read, or, if `verbose`, the entries' names."""
    if verbose:
        yield lambda seen: None if isinstance(seen.entry, AlternateStream) else _name(seen)
        return
    with byte_bar(what, quiet=quiet) as update:
        if update is None:
            yield None
            return
        done = 0

        def seen(seen: ViewEntry) -> None:
            nonlocal done
            if isinstance(seen.entry, File | AlternateStream):
                done += seen.entry.size
            update(done, None)

        yield seen


def _name(seen: ViewEntry) -> None:
    click.echo(printable(seen.path), err=True)
