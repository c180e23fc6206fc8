""".dockerignore: Docker's own rules, and which file counts."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from wclayer.dockerfile.ignore import DockerIgnore, read_dockerignore
from wclayer.errors import UsageError


@pytest.mark.parametrize(
    ("patterns", "path", "expected"),
    [
        (["a"], "a", True),
        (["a"], "a/b", True),
        (["a"], "x/a", False),
        (["/a"], "a", True),
        (["*/a"], "x/a", True),
        (["*/a"], "x/y/a", False),
        (["**/a"], "x/y/a", True),
        (["**/a"], "a", True),
        (["*.log"], "x.log", True),
        (["*.log"], "d/x.log", False),
        (["**/*.log"], "d/x.log", True),
        (["a?"], "ab", True),
        (["[a-c]x"], "bx", True),
        (["[^a]x"], "ax", False),
        (["a/"], "a/b", True),
        (["./a/../b"], "b", True),
        (["# a"], "# a", False),
        (["  a  "], "a", True),
        (["*", "!keep"], "keep", False),
        (["*", "!keep"], "other", True),
        (["a", "!a/b"], "a/b", False),
        (["a", "!a/b"], "a/c", True),
        (["a", "!a/b", "a/b/c"], "a/b/c", True),
        (["A"], "a", False),
        (["\\*"], "*", True),
        ([], "a", False),
    ],
)
def test_patterns(patterns: list[str], path: str, expected: bool) -> None:
    assert DockerIgnore(patterns, source="x").match(path.encode()) is expected


def test_what_may_be_reopened() -> None:
    ignore = DockerIgnore(["a", "b", "!a/x/y", "!**/deep"], source="x")
    assert ignore.may_reopen(b"a")
    assert ignore.may_reopen(b"a/x")
    assert ignore.may_reopen(b"b")
    assert not DockerIgnore(["a", "!b"], source="x").may_reopen(b"a")
    assert not DockerIgnore(["a"], source="x").may_reopen(b"a")


def test_names_that_are_no_utf_8() -> None:
    ignore = DockerIgnore(["a*"], source="x")
    assert ignore.match(b"a\xff")
    assert not ignore.match(b"\xffa")


@pytest.mark.parametrize("pattern", ["[", "[a", "a[]b", "!", "\\"])
def test_patterns_that_are_none(pattern: str) -> None:
    with pytest.raises(UsageError, match="where: patterns of what to leave out"):
        DockerIgnore([pattern], source="where")


def test_which_file_counts(tmp_path: Path) -> None:
    assert not read_dockerignore(str(tmp_path)).match(b"a")
    (tmp_path / ".dockerignore").write_bytes(b"\xef\xbb\xbfa\r\n# c\r\n\r\n!a/b\n")
    ignore = read_dockerignore(str(tmp_path), str(tmp_path / "D"))
    assert ignore.match(b"a")
    assert not ignore.match(b"a/b")
    (tmp_path / "D.dockerignore").write_bytes(b"c")
    ignore = read_dockerignore(str(tmp_path), str(tmp_path / "D"))
    assert not ignore.match(b"a")
    assert ignore.match(b"c")
    assert read_dockerignore(str(tmp_path), None).match(b"a")
    (tmp_path / "D.dockerignore").write_bytes(b"")
    assert not read_dockerignore(str(tmp_path), str(tmp_path / "D")).match(b"a")


def test_one_that_is_too_long(tmp_path: Path) -> None:
    with (tmp_path / ".dockerignore").open("wb") as file:
        os.truncate(file.fileno(), (1 << 20) + 1)
    with pytest.raises(UsageError, match="a list of patterns this long"):
        read_dockerignore(str(tmp_path))
