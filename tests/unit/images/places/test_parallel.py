"""Several tasks at a time; the first that fails ends them all."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial

import pytest

from wclayer.images.places.parallel import Transferred, run_all

WAIT = 20.0  # seconds that no test takes


def never() -> None:
    raise AssertionError("nothing has failed")


def giving(value: int, progress: Transferred) -> int:
    progress(value)
    return value


@pytest.mark.parametrize("jobs", [1, 2, 3, 100])
def test_results_in_their_order(jobs: int) -> None:
    told: list[int] = []
    tasks: list[Callable[[Transferred], int]] = [partial(giving, number) for number in range(20)]
    assert run_all(tasks, jobs=jobs, abort=never, progress=told.append) == list(range(20))
    assert sorted(told) == list(range(20))


def test_no_progress_is_wanted() -> None:
    assert run_all([partial(giving, 1), partial(giving, 2)], jobs=2, abort=never) == [1, 2]


def test_at_most_so_many_at_a_time() -> None:
    lock = threading.Lock()
    running, most = 0, 0
    gate = threading.Barrier(3)

    def task(_: Transferred) -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        gate.wait(WAIT)  # three run at once, or this never ends
        with lock:
            running -= 1

    run_all([task] * 9, jobs=3, abort=never)
    assert most == 3


@pytest.mark.parametrize(("jobs", "count"), [(1, 3), (8, 1)])
def test_one_at_a_time_needs_no_thread(jobs: int, count: int) -> None:
    seen: list[threading.Thread] = []

    def task(_: Transferred) -> None:
        seen.append(threading.current_thread())

    run_all([task] * count, jobs=jobs, abort=never)
    assert seen == [threading.main_thread()] * count


def test_progress_is_never_told_by_two_threads_at_once() -> None:
    inside = threading.Lock()
    total = 0

    def progress(count: int) -> None:
        nonlocal total
        assert inside.acquire(blocking=False)
        total += count
        inside.release()

    def task(tell: Transferred) -> None:
        for _ in range(500):
            tell(1)

    run_all([task] * 4, jobs=4, abort=never, progress=progress)
    assert total == 2000


def test_the_failure_of_one_ends_the_others() -> None:
    aborted: list[bool] = []
    begun, stopped = threading.Event(), threading.Event()

    def fails(_: Transferred) -> None:
        assert begun.wait(WAIT)
        raise OSError("first")

    def goes_on(tell: Transferred) -> None:
        begun.set()
        try:
            for _ in range(10**9):
                tell(1)
        finally:
            stopped.set()

    def later(_: Transferred) -> None:
        raise AssertionError("it has not begun")

    def abort() -> None:
        aborted.append(True)

    with pytest.raises(OSError, match="first"):
        run_all([goes_on, fails, *[later] * 5], jobs=2, abort=abort)
    assert aborted == [True]
    assert stopped.is_set()


def test_abort_wakes_who_waits() -> None:
    woken = threading.Event()

    def waits(_: Transferred) -> None:
        assert woken.wait(WAIT)
        raise ValueError("second, and of no interest")

    def fails(_: Transferred) -> None:
        raise OSError("first")

    with pytest.raises(OSError, match="first"):
        run_all([waits, fails], jobs=2, abort=woken.set)


def test_an_interrupt() -> None:
    aborted: list[bool] = []

    def interrupted(_: Transferred) -> None:
        raise KeyboardInterrupt

    def ends(_: Transferred) -> None:
        pass

    with pytest.raises(KeyboardInterrupt):
        run_all([interrupted, ends], jobs=2, abort=lambda: aborted.append(True))
    assert aborted == [True]


def test_progress_that_fails() -> None:
    def progress(_: int) -> None:
        raise OSError("the bar")

    for jobs in (1, 2):
        with pytest.raises(OSError, match="the bar"):
            run_all([partial(giving, 1), partial(giving, 2)], jobs=jobs, abort=lambda: None, progress=progress)


def test_no_thread_is_left() -> None:
    before = threading.active_count()
    with pytest.raises(ZeroDivisionError):
        run_all([lambda _: 1 // 0, lambda _: 0, lambda _: 0], jobs=3, abort=lambda: None)
    assert threading.active_count() == before
