"""What a long command shows on stderr: a bar after the first second on a terminal, or the name of each entry."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module

import click

from ..entry import Progress, ProgressCallback
from ..errors import printable
from .common import Counted

__all__ = ["byte_bar", "progress_bar"]


@contextmanager
def progress_bar(
    what: str, *, counted: Counted | None = None, quiet: bool, verbose: bool
) -> Iterator[ProgressCallback | None]:
    """A callback that moves the bar; None where there is nothing to show.

    counted: the input whose bytes are shown in place of those that the operation reports. verbose: name each entry
    instead.
    """
    if verbose:
        yield _name
        return
    with byte_bar(what, None if counted is None else counted.total, quiet=quiet) as update:
        if update is None:
            yield None
        elif counted is None:
            yield lambda progress: update(progress.done, progress.total)
        else:
            yield lambda _: update(counted.done, counted.total)


def _name(progress: Progress) -> None:
    if progress.entry is not None:
        click.echo(printable(progress.entry.path), err=True)


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
