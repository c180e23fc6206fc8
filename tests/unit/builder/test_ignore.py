"""Patterns of gitignore(5); tests/compat/test_ignore.py holds them against git itself."""

from __future__ import annotations

import pytest

from wclayer.builder.ignore import MAX_PATTERN, Ignore
from wclayer.errors import UsageError


@pytest.mark.parametrize(
    ("patterns", "ignored", "kept"),
    [
        (["*.log"], ["a.log", "x/y.log"], ["a.logs", "A.LOG"]),
        (["/a"], ["a"], ["x/a"]),
        (["a/b"], ["a/b"], ["x/a/b"]),
        (["a/*"], ["a/b"], ["a", "a/b/c"]),
        (["**/a"], ["a", "x/a", "x/y/a"], ["xa"]),
        (["a/**"], ["a/b", "a/b/c"], ["a"]),
        (["a/**/b"], ["a/b", "a/x/b", "a/x/y/b"], ["ab", "x/a/b"]),
        (["a/**/b/**/c"], ["a/b/c", "a/x/b/y/z/c", "a/b/b/c"], ["a/c", "a/b"]),
        (["a**b"], ["axxb", "x/ab"], ["a/b"]),
        (["[a-c]?", "!b?"], ["ax", "cx"], ["bx", "dx", "a"]),
        (["[!a]", "[^b]x"], ["b", "ax"], ["a", "bx"]),
        (["[[:digit:]]"], ["7"], ["a"]),
        (["# comment", "\\#x", "\\!y"], ["#x", "!y"], ["# comment"]),
        (["a  ", "b\\ ", "c\r"], ["a", "b ", "c"], ["a ", "b", "c\r"]),
        (["*.txt", "!keep.txt", "keep.txt"], ["keep.txt"], []),
        (["[", "a[", "b\\"], [], ["[", "a[", "b\\"]),
        (["\ufeffx"], ["x"], []),
    ],
)
def test_patterns(patterns: list[str], ignored: list[str], kept: list[str]) -> None:
    ignore = Ignore(patterns, source="x")
    assert [path for path in (*ignored, *kept) if ignore.match(path.encode(), False)] == ignored


def test_a_slash_at_the_end_is_for_directories() -> None:
    ignore = Ignore([b"out/", b"!/keep/out/"], source="x")
    assert ignore.match(b"x/out", True)
    assert not ignore.match(b"x/out", False)
    assert not ignore.match(b"keep/out", True)


def test_names_need_not_be_text() -> None:
    ignore = Ignore([b"\xff*"], source="x")
    assert ignore.match(b"a/\xff\xfe", False)
    assert not ignore.match("ÿ".encode(), False)


def test_hostile_patterns_cost_no_more_than_their_length_times_the_names() -> None:
    """With an engine that goes back over all stars these would not end."""
    name = b"a" * 4000
    assert not Ignore([b"*a" * 300 + b"b"], source="x").match(name, False)
    deep = b"/".join([b"a"] * 1000)
    assert not Ignore([b"**/a/" * 200 + b"b"], source="x").match(deep, False)


def test_a_pattern_too_long() -> None:
    with pytest.raises(UsageError, match=r"list: pattern 2 is too long; expected at most 4,096 bytes; got 4097"):
        Ignore([b"a", b"a" * (MAX_PATTERN + 1)], source="list")
