"""Paths of keys in reports."""

from __future__ import annotations

import pytest

from wclayer.regf.model import Noted, Place


@pytest.mark.parametrize("levels", [1, 16, 17, 40])
def test_a_deep_key_is_shown_by_its_last_sixteen_names(levels: int) -> None:
    place = Place("ROOT", None)
    assert place.path() == "\\"
    for level in range(1, levels + 1):
        place = Place(str(level), place)
    last = [str(level) for level in range(max(1, levels - 15), levels + 1)]
    assert place.path() == "\\".join(["...", *last] if levels > 16 else last)


def test_of_a_long_path_the_end_is_kept() -> None:
    noted = Noted()
    for number in range(101):
        noted.add("x" * 1000 if number else "y" + "x" * 1000)
    assert (noted.count, len(noted.paths)) == (101, 100)
    assert noted.paths[:2] == ["..." + "x" * 1000, "x" * 1000]
