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

__all__ = ["progress_bar"]

_PATIENCE = 1.0  # seconds before there is a bar
_INTERVAL = 0.1


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
    if quiet or not sys.stderr.isatty():
        yield None
        return
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
        auto_refresh=False,
    )
    task = bar.add_task(what, total=total)
    due = time.monotonic() + _PATIENCE
    begun = False

    def update(_: Entry, summary: Summary) -> None:
        nonlocal due, begun
        now = time.monotonic()
        if now < due:
            return
        if not begun:
            bar.start()
            begun = True
        due = now + _INTERVAL
        bar.update(task, completed=position(summary))
        bar.refresh()

    try:
        yield update
    finally:
        if begun:
            bar.stop()
