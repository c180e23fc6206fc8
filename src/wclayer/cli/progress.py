"""What a long command shows on stderr: a bar after the first second on a terminal, or the name of each entry."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from ..entry import Entry, Summary
from ..errors import printable

__all__ = ["byte_bar", "progress_bar"]

_PATIENCE = 1.0  # seconds before there is a bar
_INTERVAL = 0.1


class _Bar:
    """A bar that appears once there is reason to think that it takes long."""

    def __init__(self, what: str, total: int | None) -> None:
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
            auto_refresh=False,
        )
        self._task = self._bar.add_task(what, total=total)
        self._due = time.monotonic() + _PATIENCE
        self._begun = False

    def update(self, done: int, total: int | None = None) -> None:
        now = time.monotonic()
        if now < self._due:
            return
        if not self._begun:
            self._bar.start()
            self._begun = True
        self._due = now + _INTERVAL
        self._bar.update(self._task, completed=done, total=total)
        self._bar.refresh()

    def stop(self) -> None:
        if self._begun:
            self._bar.stop()


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
    bar = _Bar(what, total)
    try:
        yield bar.update
    finally:
        bar.stop()
