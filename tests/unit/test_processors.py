"""Threads that take turns stay on one processor, those that compute do not."""

from __future__ import annotations

import os
import sys
import threading

import pytest

from wclayer import processors

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux lets threads be kept on processors")


def mine() -> set[int]:
    return os.sched_getaffinity(0)


def in_a_thread(*calls: object) -> set[int]:
    found: list[set[int]] = []

    def run() -> None:
        for call in calls:
            call()  # type: ignore[operator]
        found.append(mine())

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return found[0]


def test_threads_on_one_and_on_all() -> None:
    before = mine()
    with processors.pin_to_one_cpu():
        one = mine()
        assert len(one) == 1
        assert one <= before
        assert processors.count() == len(before)
        assert in_a_thread() == one
        assert in_a_thread(processors.spread) == before
        with processors.use_all_cpus():
            assert mine() == before
        with processors.pin_to_one_cpu():
            assert mine() == one
        assert mine() == one
        assert in_a_thread(processors.spread) == before
    assert mine() == before
    assert processors.count() == len(before)


def test_elsewhere_nothing_changes() -> None:
    before = mine()
    processors.spread()
    with processors.use_all_cpus():
        assert mine() == before
    assert mine() == before
    with pytest.raises(ZeroDivisionError), processors.pin_to_one_cpu():
        _ = 1 / 0
    assert mine() == before
