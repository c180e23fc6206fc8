""".dockerignore: Docker's own rules, and which file counts."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from e2b_dockerfile_utils import PatternMatcher

from wclayer.builder.source_folder import read_ignore
from wclayer.builder.spec import load_recipe
from wclayer.dockerfile.ignore import DockerIgnore, read_dockerignore
from wclayer.dockerfile.parse import parse_dockerfile
from wclayer.errors import SpecError


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
        (["**x"], "ax", True),
        (["**[x]"], "ax", False),
        (["**"], "a/b", True),
        (["a**b"], "ab", True),
        (["a**b"], "ax/b", True),
        (["a**b"], "axb", False),
        (["a/**/b"], "a/b", True),
        (["a/**/b"], "a/x/y/b", True),
        (["**/a*b*c*/**"], "x/a1b2c3/y", True),
        (["**/a*b*c*/**"], "x/a1/b2c3/y", False),
        (["*a*b*c"], "aabbc", True),
        (["*a*b*c"], "aab/c", False),
        (["***a***"], "x/ya/z", True),
        (["?*?*?*?"], "abc", False),
        (["x[^a]b"], "x/b", True),
        (["[[:alpha:]]b"], "xb", True),
        (["[[:digit:]x]b"], "xb", True),
        (["/** /"], "a/b", True),
        (["é?"], "éx", True),
        (["a/", "!a/b/"], "a/b/c", False),
        (["!a", "a"], "a", True),
    ],
)
def test_patterns(patterns: list[str], path: str, expected: bool) -> None:
    assert DockerIgnore(patterns, source="x").match(path.encode()) is expected


def _random(choose: random.Random) -> tuple[list[str], list[str]]:
    """Patterns and paths, made of pieces that mean something together."""
    pieces = ["a", "b", "a", "b", "*", "*", "*", "**", "/", "?", "[ab]", "[^a]", "[a-b]", ".", "**/", "/**", "\\*"]
    patterns = ["!" * choose.randint(0, 1) + "".join(choose.choices(pieces, k=choose.randint(2, 9))) for _ in "abc"]
    names = ["a", "b", "ab", "ba", ".", "*", "aab"]
    paths = ["/".join("".join(choose.choices(names, k=2)) for _ in range(choose.randint(1, 4))) for _ in range(8)]
    return patterns, paths


def test_as_another_program_does() -> None:
    choose = random.Random(22)
    for _ in range(400):
        patterns, paths = _random(choose)
        theirs, ours = PatternMatcher(patterns), DockerIgnore(patterns, source="x")
        for path in paths:
            assert ours.match(path.encode()) is theirs.matches(path), (patterns, path)
            assert ours.may_reopen(path.encode()) is theirs.may_match_under(path), (patterns, path)


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("a*" * 200 + "c", "a" * 4000),
        ("**/a*a*a*a*b" * 20, "aaaaaaa/" * 500),
        ("**/" + "a*/**/" * 50 + "x", "a/" * 2000),
        ("?*" * 100 + "b", "a" * 4000),
    ],
)
def test_time_is_linear(pattern: str, path: str) -> None:
    began = time.process_time()
    assert not DockerIgnore([pattern], source="x").match(path.encode())
    assert time.process_time() - began < 10  # exponential time would be years


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


@pytest.mark.parametrize(
    "pattern", ["[", "[a", "a[]b", "!", "! ", "\\", "bin\\", "[b-a]", "[[:none:]]", "x/[a-]", "!/", "**/*[***"]
)
def test_malformed_patterns(pattern: str) -> None:
    with pytest.raises(SpecError, match="where: pattern 2: a malformed pattern: ") as caught:
        DockerIgnore(["a", pattern], source="where")
    assert (caught.value.hint is not None) is ("\\" in pattern)


def test_a_backslash_is_warned_about() -> None:
    lines = ["secret\\*", "!a\\b", "\\#a", "!\\!a", "# a\\b", "a/b"]
    warnings = DockerIgnore(lines, source="f", unit="line").warnings
    assert [text.partition(": ")[0] for text in warnings] == ["f, line 1, secret\\*", "f, line 2, !a\\b"]
    assert "write / between folders" in warnings[0]


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
    with pytest.raises(SpecError, match="a list of patterns this long"):
        read_dockerignore(str(tmp_path))


def test_only_a_line_feed_ends_a_line(tmp_path: Path) -> None:
    (tmp_path / ".dockerignore").write_bytes("a\rb\x0bc\x0cd\x1ce\u2028f\r\ng \x85\nh\x1f".encode())
    ignore = read_dockerignore(str(tmp_path))
    assert ignore.match("a\rb\x0bc\x0cd\x1ce\u2028f".encode())
    assert not any(ignore.match(name.encode()) for name in "abcdefh")
    assert ignore.match(b"g")
    assert ignore.match(b"h\x1f")


READERS: dict[str, Callable[[Path], object]] = {
    ".dockerignore": lambda path: read_dockerignore(str(path.parent)),
    ".wclayerignore": lambda path: read_ignore(os.fsencode(path.parent)),
    "Dockerfile": lambda path: parse_dockerfile(path.read_bytes(), str(path)),
    "image.toml": lambda path: load_recipe(path.read_bytes(), source=str(path), folder=str(path.parent)),
}


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("\ufeffsecret\r\n".encode("utf-16-le"), "a text in UTF-16"),
        ("\ufeffsecret\r\n".encode("utf-16-be"), "a text in UTF-16"),
        ("secret\r\n".encode("utf-16-le"), "a NUL byte in a text"),
        (b"secret\nbin\0\n", "a NUL byte in a text"),
    ],
)
def test_utf_16_and_nul(tmp_path: Path, name: str, data: bytes, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(SpecError, match=f"{name}: {message}; expected UTF-8") as caught:
        READERS[name](path)
    assert "save it as UTF-8" in str(caught.value.hint)
    assert caught.value.exit_code == 10
