"""Stages: where they begin, what they are based on, how they are found."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from wclayer.dockerfile.parse import parse_dockerfile
from wclayer.dockerfile.stages import Stage, Stages, find_stages
from wclayer.errors import SpecError


def stages(text: str, given: Mapping[str, str] | None = None, predefined: Mapping[str, str] | None = None) -> Stages:
    return find_stages(parse_dockerfile(text.encode(), "D"), given or {}, predefined or {})


def shown(found: Stages) -> list[tuple[str, str, str, list[str]]]:
    return [(str(one), str(one.base), one.platform, [each.name for each in one.instructions]) for one in found.stages]


def test_stages() -> None:
    found = stages(
        "FROM scratch AS Build\nCOPY a b\nUSER u\nFROM --platform=windows/arm64 mcr.example/x:1\n"
        "from BUILD as b.2_x-y\nENV a=b"
    )
    assert shown(found) == [
        ("build", "scratch", "", ["COPY", "USER"]),
        ("1", "mcr.example/x:1", "windows/arm64", []),
        ("b.2_x-y", "build", "", ["ENV"]),
    ]
    assert isinstance(found.stages[2].base, Stage)
    assert found.target(None) is found.stages[2]
    assert found.target("1") is found.stages[1]
    assert found.target("BUILD") is found.stages[0]
    assert found.find("build", 0) is None
    assert found.find("2", 2) is None
    assert found.find("nothing", 3) is None
    with pytest.raises(SpecError, match=r"D: line 5: no such stage; expected build, 1, b\.2_x-y; got x"):
        found.target("x")


def test_the_later_stage_of_a_name_counts() -> None:
    found = stages("FROM one AS a\nFROM two AS a\nFROM a\n")
    assert found.stages[2].base is found.stages[1]
    assert found.find("a", 1) is found.stages[0]


def test_a_stage_named_as_its_own_base() -> None:
    assert stages("FROM a AS a").stages[0].base == "a"


@pytest.mark.parametrize("number", ["00", "0" * 20, "0" * 12 + "7", "9" * 30, "0" * 5000])
def test_numbers_of_stages_that_are_odd(number: str) -> None:
    """Go's Atoi takes leading zeros; whatever is made of them, it is a stage or none."""
    found = stages("FROM a\nFROM b")
    assert found.find(number, 2) in (None, found.stages[0])


def test_arguments_before_the_first_from() -> None:
    text = "ARG V=1\nARG N\nARG W=${V}.2 X=$TARGETARCH\nFROM img:$W-${N:-none}-$X AS s$V\n"
    found = stages(text, {}, {"TARGETARCH": "arm64"})
    assert found.stages[0].base == "img:1.2-none-arm64"
    assert found.stages[0].name == "s1"
    assert dict(found.arguments) == {"TARGETARCH": "arm64", "V": "1", "W": "1.2", "X": "arm64"}
    assert found.used == {"V", "N", "W", "X"}
    found = stages(text, {"V": "3", "N": "n", "UNKNOWN": "x"}, {"TARGETARCH": "arm64"})
    assert found.stages[0].base == "img:3.2-n-arm64"
    assert "UNKNOWN" not in found.arguments


def test_variables_of_a_stage_do_not_reach_a_from() -> None:
    with pytest.raises(SpecError, match=r"line 4: a FROM whose image is empty.*--build-arg"):
        stages("FROM a\nARG X=1\nENV Y=2\nFROM $X$Y")


def test_the_platform_may_be_a_variable() -> None:
    found = stages("FROM --platform=$BUILDPLATFORM a", {}, {"BUILDPLATFORM": "windows/amd64"})
    assert found.stages[0].platform == "windows/amd64"


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("ARG A", "line 1: no FROM"),
        ("COPY a b\nFROM a", "line 1: COPY before the first FROM"),
        ("FROM", "line 1: a FROM; expected FROM IMAGE"),
        ("FROM a b", "line 1: a FROM"),
        ("FROM a IN b", "line 1: a FROM"),
        ("FROM a AS b c", "line 1: a FROM"),
        ("\nFROM a AS 1a", "line 2: the name of a stage; .*got 1a"),
        ("FROM a AS scratch", "line 1: the name of a stage"),
        ("FROM a AS é", "line 1: the name of a stage"),
        ("FROM $A", "line 1: a FROM whose image is empty"),
        ("FROM --link=1 a", "line 1: an unknown flag of FROM.*--link"),
        ("FROM ${A", "line 1: "),
    ],
)
def test_refused(text: str, match: str) -> None:
    with pytest.raises(SpecError, match=match):
        stages(text)
