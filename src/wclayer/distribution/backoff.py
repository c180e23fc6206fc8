"""How often to try again, and how long to wait in between. The clock and random numbers are arguments."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Final

from ..errors import RemoteError, UnreachableError

__all__ = ["TRANSIENT", "Backoff", "Tries", "retry_after"]

# Statuses that another try may change.
TRANSIENT: Final = frozenset((408, 425, 429, 500, 502, 503, 504))
_ENOUGH: Final = 1 << 20  # bytes that got through: enough to reset the count of tries


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """When to try again.

    tries: attempts of one operation, the first included. first, most: seconds to wait; the wait doubles from `first` up
    to `most`. patience: the longest wait, in seconds, that a registry may ask for. pause: waits a number of seconds
    (None: sleep); it returns False to give up. chance: returns a random number from 0 to 1.
    """

    tries: int = 8
    first: float = 0.5
    most: float = 30.0
    patience: float = 300.0
    pause: Callable[[float], bool] | None = None
    chance: Callable[[], float] = random.random

    def start(self, tries: int | None = None) -> Tries:
        """Start counting; at most `tries`, if given."""
        return Tries(self, min(self.tries, tries or self.tries))


class Tries:
    """The attempts of one operation."""

    def __init__(self, backoff: Backoff, most: int) -> None:
        self._backoff = backoff
        self._most = most
        self._failed = 0

    def again(self, error: RemoteError, *, wait: float | None = None, progress: int = 0) -> None:
        """Wait before the next try, or raise `error` after the last one.

        wait: seconds that the registry asks for. progress: bytes transferred since the last failure.
        """
        backoff = self._backoff
        if isinstance(error, UnreachableError) and error.given_up:
            raise error
        if progress >= _ENOUGH:
            self._failed = 0
        self._failed += 1
        too_long = wait is not None and wait > backoff.patience
        if too_long:
            error.hint = f"it asks to wait for {wait:,.0f} s: try again then"
        elif self._failed >= self._most > 1:
            error.message += f" ({self._most} times)"
        if too_long or self._failed >= self._most:
            if isinstance(error, UnreachableError):
                error.given_up = True
            raise error
        delay = min(backoff.most, backoff.first * 2.0 ** (self._failed - 1))
        delay = max(wait or 0.0, delay * (0.75 + backoff.chance() / 2))
        if backoff.pause is None:
            time.sleep(delay)
        elif not backoff.pause(delay):
            raise error


def retry_after(headers: Mapping[str, str]) -> float | None:
    """The seconds of a Retry-After header; a date counts from the response's own Date, not from our clock."""
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdecimal():
        return float(text[:9])
    try:
        seconds = (parsedate_to_datetime(text) - parsedate_to_datetime(headers.get("date", ""))).total_seconds()
    except (ValueError, TypeError, OverflowError):
        return None
    return max(0.0, seconds)
