"""What a long command shows on stderr: a bar after the first second on a terminal, or the name of each entry."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module

import click

from ..entry import Entry, Summary
from ..errors import printable

__all__ = ["byte_bar", "progress_bar"]


@contextmanager
def progress_bar(
    what: str, position: Callable[[Summary], int], total: int | None, *, quiet: bool, verbose: bool
) -> Iterator[Callable[[Entry, Summary], None] | None]:
    """A callback that moves the bar to `position(summary)` bytes of `total`; None where there is nothing to show.

    verbose: name each entry instead.
    """
    if verbose:
        yield lambda entry, _: click.echo(printable(entry.path), err=True)
        return
    with byte_bar(what, total, quiet=quiet) as update:
        if update is None:
            yield None
            return
        yield lambda _, summary: update(position(summary), total)


@contextmanager
def byte_bar(what: str, total: int | None = None, *, quiet: bool) -> Iterator[Callable[[int, int | None], None] | None]:
    """A callback that moves the bar to so many bytes of so many; None where there is nothing to show."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    bar = import_module(".bar", __package__).Bar(what, total)  # what draws it takes time to import
    try:
        yield bar.update
    finally:
        bar.stop()
