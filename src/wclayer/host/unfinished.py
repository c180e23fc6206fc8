"""What a process has begun and not finished: removed at its end, whenever a signal ends it.

A signal becomes an exception between any two steps, also where something has been made
and nobody holds it yet in a `with`. So it is noted here before it is made.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Protocol

__all__ = ["abort_unfinished", "begun", "finished"]


class Unfinished(Protocol):
    """Work that abort() takes back; a second abort() does nothing."""

    def abort(self) -> None: ...


_unfinished: list[Unfinished] = []


def begun(work: Unfinished) -> None:
    """Note work before it leaves its first trace."""
    _unfinished.append(work)


def finished(work: Unfinished) -> None:
    """Forget work that is done or taken back."""
    with suppress(ValueError):
        _unfinished.remove(work)


def abort_unfinished() -> None:
    """Take back what is not finished, the latest first. For the end of a process."""
    while _unfinished:
        _unfinished.pop().abort()
