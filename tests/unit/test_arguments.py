"""A wrong type of an argument ends in UsageError."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Literal

import pytest

from wclayer.arguments import checked
from wclayer.entry import Source
from wclayer.errors import UsageError
from wclayer.images.choosing import ImageSelector
from wclayer.images.spec.descriptors import Platform
from wclayer.layers.lookup.find import Criteria


class Empty:
    restartable = True

    def entries(self) -> Any:
        yield from ()


@checked
def function(
    path: str | os.PathLike[str] = ".",
    *,
    names: Sequence[str] = (),
    pairs: Mapping[str, int] | None = None,
    how: Literal["gzip", "zstd"] = "gzip",
    stream: BinaryIO | None = None,
    call: Callable[[int], None] | None = None,
    source: Source | None = None,
    kinds: frozenset[str] = frozenset(),
    pattern: re.Pattern[str] | None = None,
    any_of: Iterable[int] = (),
    level: int | None = None,
) -> str:
    return os.fspath(path)


def test_arguments_of_the_right_types() -> None:
    assert function("a") == "a"
    assert function(Path("b"), names=("x", "y"), pairs={"a": 1}, how="zstd", stream=io.BytesIO(), call=print) == "b"
    assert function(names=["x"], source=Empty(), kinds=frozenset("f"), pattern=re.compile("x"), any_of=iter([1])) == "."


@pytest.mark.parametrize(
    "wrong",
    [
        {"path": 5},
        {"path": None},
        {"path": b"bytes"},
        {"names": "*.cmd"},
        {"names": b"*.cmd"},
        {"names": [5]},
        {"names": None},
        {"pairs": [("a", 1)]},
        {"pairs": {"a": "1"}},
        {"how": "xz"},
        {"stream": "a.tar"},
        {"stream": io.StringIO()},
        {"call": 5},
        {"source": "a.tar"},
        {"kinds": "fd"},
        {"pattern": "x"},
        {"any_of": "12"},
        {"level": "5"},
    ],
    ids=lambda wrong: next(iter(wrong)),  # the same in each process
)
def test_arguments_of_wrong_types(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=f"a wrong type for {next(iter(wrong))}"):
        function(**wrong)


def test_the_message_shows_types_as_people_write_them() -> None:
    with pytest.raises(UsageError) as caught:
        function(5)  # type: ignore[arg-type]
    assert str(caught.value) == "a wrong type for path; expected str | PathLike[str]; got int 5"


@pytest.mark.parametrize(
    "wrong",
    [{"names": "*.cmd"}, {"sizes": "+1k"}, {"types": "fd"}, {"owners": {"BA"}}, {"newer": "2024"}, {"sddl": "WD"}],
    ids=str,
)
def test_criteria_of_wrong_types(wrong: dict[str, Any]) -> None:
    """A string of patterns was one pattern for each of its characters, and `*` among them fits everything."""
    with pytest.raises(UsageError, match=f"a wrong type for {next(iter(wrong))}"):
        Criteria(**wrong)


def test_an_image_selector_of_wrong_types() -> None:
    assert str(ImageSelector(platform=Platform(os_version="10.0.20348.1"))) == "windows/amd64:10.0.20348.1"
    with pytest.raises(UsageError, match="a wrong type for platform; expected Platform"):
        ImageSelector(platform="windows/amd64")  # type: ignore[arg-type]
