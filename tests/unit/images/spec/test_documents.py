"""Dates of RFC 3339, and names in any case."""

from __future__ import annotations

import pytest

from wclayer.errors import ImageError
from wclayer.images.spec.documents import check_date, named, seconds_of


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01t00:00:01.999999999z", 1),
        ("1970-01-01T02:00:00+02:00", 0),
        ("1970-01-01T00:00:00-01:30", 5400),
        ("2016-12-31T23:59:60Z", 1483228799),
        ("0001-01-01T00:00:00Z", -62135596800),
        ("9999-12-31T23:59:59Z", 253402300799),
    ],
)
def test_dates(text: str, seconds: int) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "1970-01-01",
            "1970-01-01T00:00:00",
            "1970-01-01 00:00:00Z",
            "1970-13-01T00:00:00Z",
            "0000-01-01T00:00:00Z",
        ),
        *("1970-01-01T24:00:00Z", "1970-01-01T00:00:00+25:00", "1970-01-01T00:00:00.Z", "١970-01-01T00:00:00Z", "x"),
        *("1970-01-01T00:00:61Z", "1970-01-01T00:00:00Z\n", 5, None, True),
    ],
)
def test_no_dates(text: object) -> None:
    with pytest.raises(ImageError, match="the date of it"):
        check_date(text, "it")


def test_names_in_any_case() -> None:
    assert named({"OS.Version": 1, "x": 2, "RootFS": 3}, ("os.version", "rootfs"), "it") == {
        "os.version": 1,
        "x": 2,
        "rootfs": 3,
    }
    for value in ({"os": 1, "OS": 2}, {"Os": 1, "OS": 2}):
        with pytest.raises(ImageError, match="a name that stands twice in it"):
            named(value, ("os",), "it")
