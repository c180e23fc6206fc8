"""Several blobs at a time, each in a thread of its own; the first that fails ends them all."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from typing import Final, TypeAlias, TypeVar

from ...processors import spread

__all__ = ["Transferred", "run_all"]

T = TypeVar("T")
Transferred: TypeAlias = Callable[[int], None]
_TICK: Final = 0.5  # seconds; without it, no signal would wake us on Windows


class _StoppedError(Exception):
    """Another task has failed."""


def run_all(
    tasks: Sequence[Callable[[Transferred], T]],
    *,
    jobs: int,
    abort: Callable[[], None],
    resume: Callable[[], None] | None = None,
    progress: Transferred | None = None,
) -> list[T]:
    """What each task gives, in their order; at most `jobs` run at a time.

    A task calls what it is given with each number of bytes that it has moved; so does `progress` get it, never from two
    threads at once. After a failure, or an interrupt, those calls end the others, `abort` is called once to wake those
    that wait, and when all have ended `resume`, if there is one; then the failure is raised.
    """
    stop = threading.Event()
    lock = threading.Lock()

    def tell(count: int) -> None:
        if stop.is_set():
            raise _StoppedError
        if progress is not None:
            with lock:
                progress(count)

    if jobs == 1 or len(tasks) <= 1:
        return [task(tell) for task in tasks]
    with ThreadPoolExecutor(max(1, min(jobs, len(tasks))), "wclayer-blob", spread) as pool:
        futures = [pool.submit(task, tell) for task in tasks]
        try:
            left = set(futures)
            while left:
                done, left = wait(left, _TICK, FIRST_EXCEPTION)
                for future in done:
                    future.result()
        except BaseException:
            stop.set()
            abort()
            pool.shutdown(wait=True, cancel_futures=True)
            if resume is not None:
                resume()
            raise
        return [future.result() for future in futures]
