"""How often there is another try, and after how long."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.registry_model import quick
from wclayer.distribution.backoff import Backoff, retry_after
from wclayer.errors import RemoteError, UnreachableError

DATE = "Wed, 21 Oct 2015 07:28:00 GMT"


def error() -> UnreachableError:
    return UnreachableError("no answer", path="docker://r.example/a")


def test_waits_double_up_to_the_longest() -> None:
    waits: list[float] = []
    tries = quick(waits, tries=10, first=0.5, most=30.0).start()
    for _ in range(9):
        tries.again(error())
    assert waits == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]
    with pytest.raises(UnreachableError, match=r"^docker://r.example/a: no answer \(10 times\)$"):
        tries.again(error())
    assert len(waits) == 9


@pytest.mark.parametrize(("chance", "wait"), [(0.0, 0.75), (0.5, 1.0), (1.0, 1.25)])
def test_chance_spreads_them(chance: float, wait: float) -> None:
    waits: list[float] = []
    replace(quick(waits), first=1.0, chance=lambda: chance).start().again(error())
    assert waits == [wait]


def test_one_try_is_one_try() -> None:
    with pytest.raises(UnreachableError) as caught:
        quick(tries=1).start().again(error())
    assert caught.value.message == "no answer"
    for tries in (quick(tries=8).start(2), quick(tries=2).start(8)):
        tries.again(error())
        with pytest.raises(UnreachableError, match=r"\(2 times\)"):
            tries.again(error())


def test_what_got_through_makes_the_count_begin_anew() -> None:
    waits: list[float] = []
    tries = quick(waits, tries=3).start()
    for _ in range(20):
        tries.again(error(), progress=1 << 20)
    assert waits == [0.5] * 20
    tries.again(error(), progress=(1 << 20) - 1)
    with pytest.raises(UnreachableError):
        tries.again(error(), progress=1)


def test_the_registry_may_ask_for_more_but_not_for_less() -> None:
    waits: list[float] = []
    tries = quick(waits, first=4.0).start()
    tries.again(error(), wait=100)
    tries.again(error(), wait=1)
    assert waits == [100, 8]


def test_a_wait_that_is_too_long() -> None:
    waits: list[float] = []
    with pytest.raises(UnreachableError, match="-- it asks to wait for 3,600 s: try again then"):
        quick(waits, patience=300).start().again(error(), wait=3600)
    assert waits == []


def test_a_pause_that_is_of_no_use() -> None:
    first = RemoteError("first")
    with pytest.raises(RemoteError) as caught:
        Backoff(pause=lambda _: False).start().again(first)
    assert caught.value is first


def test_without_a_pause_it_sleeps(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr("time.sleep", waits.append)
    Backoff(chance=lambda: 0.5).start().again(error())
    assert waits == [0.5]


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": ""}, None),
        ({"retry-after": "0"}, 0),
        ({"retry-after": " 120 "}, 120),
        ({"retry-after": "99999999999999999999"}, 999999999),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "1.5"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "٣"}, None),
        ({"retry-after": "Wed, 21 Oct 2015 07:30:00 GMT", "date": DATE}, 120),
        ({"retry-after": "Wed, 21 Oct 2015 09:28:30 +0200", "date": DATE}, 30),
        ({"retry-after": "Wed, 21 Oct 2015 07:27:00 GMT", "date": DATE}, 0),
        ({"retry-after": "Wed, 21 Oct 2015 07:30:00 GMT"}, None),
        ({"retry-after": "Wed, 21 Oct 2015 07:30:00 GMT", "date": "x"}, None),
        ({"retry-after": "Wed, 21 Oct 2015 07:30:00 -0000", "date": DATE}, None),
        ({"retry-after": "Wed, 32 Oct 2015 07:30:00 GMT", "date": DATE}, None),
        ({"retry-after": "Wed, 21 Oct 99999 07:30:00 GMT", "date": DATE}, None),
        ({"retry-after": "Wed, 21 Oct 2015 07:30:00 +9999", "date": DATE}, None),
    ],
)
def test_retry_after(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers) == seconds


def test_a_date_beyond_all_calendars() -> None:
    headers = {"retry-after": "Mon, 01 Jan 99999999999999999999 00:00:00 GMT", "date": "Mon, 01 Jan 2024 00:00:00 GMT"}
    assert retry_after(headers) is None
