"""Which processors threads run on: those that take turns on one, those that compute on all.

Who calls a FUSE driver waits for it, and it waits for the next call. On two processors each
turn wakes one that has gone to sleep, which takes longer than the call itself: on an idle
machine that makes all of it four times as slow as on one.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["count", "pin_to_one_cpu", "spread", "use_all_cpus"]

if sys.platform == "linux":
    _all: set[int] = set()  # of this process, while a thread of it stays on one

    def count() -> int:
        """How many processors this process may use."""
        return len(_all or os.sched_getaffinity(0)) or 1

    @contextmanager
    def pin_to_one_cpu() -> Iterator[None]:
        """Keep the calling thread, and what it starts, on one processor while the block runs."""
        before = os.sched_getaffinity(0)
        outermost = not _all
        if outermost:
            _all.update(before)
        mine = sorted(before)[os.getpid() % len(before)]  # another process, another one
        os.sched_setaffinity(0, {mine})
        try:
            yield
        finally:
            os.sched_setaffinity(0, before)
            if outermost:
                _all.clear()

    @contextmanager
    def use_all_cpus() -> Iterator[None]:
        """Let the calling thread, and what it starts, use all processors while the block runs."""
        before = os.sched_getaffinity(0)
        spread()
        try:
            yield
        finally:
            os.sched_setaffinity(0, before)

    def spread() -> None:
        """Let the calling thread, which computes, use all processors, where the one that started it stays on one."""
        if _all:
            os.sched_setaffinity(0, _all)

else:

    def count() -> int:
        """How many processors there are."""
        return os.cpu_count() or 1

    @contextmanager
    def pin_to_one_cpu() -> Iterator[None]:
        """Nothing, on this system."""
        yield

    use_all_cpus = pin_to_one_cpu

    def spread() -> None:
        """Nothing, on this system."""
