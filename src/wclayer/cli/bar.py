"""A progress bar on stderr, drawn by rich."""

from __future__ import annotations

import time

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

__all__ = ["Bar"]

_PATIENCE = 1.0  # seconds before there is a bar
_INTERVAL = 0.1


class Bar:
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
