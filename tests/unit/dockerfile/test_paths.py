"""Paths of Dockerfiles for Windows."""

from __future__ import annotations

import pytest

from wclayer.dockerfile.paths import absolute, drive_relative, relative_to_root, workdir
from wclayer.errors import UsageError


@pytest.mark.parametrize(
    ("path", "expected", "is_directory"),
    [
        ("x", "/app/x", False),
        ("x/", "/app/x", True),
        ("x\\", "/app/x", True),
        (".", "/app", True),
        ("..", "/", True),
        ("", "/app", True),
        ("./x", "/app/x", False),
        ("a/..", "/app", True),
        ("a/.", "/app/a", True),
        ("../../../x", "/x", False),
        ("/x", "/x", False),
        ("\\x\\y", "/x/y", False),
        ("/", "/", True),
        ("C:\\", "/", True),
        ("c:/x//y/", "/x/y", True),
        ("C:\\a/b\\..\\c", "/a/c", False),
        ("C:x", "/app/x", False),
        ("日本", "/app/日本", False),
    ],
)
def test_destinations(path: str, expected: str, is_directory: bool) -> None:
    assert absolute("\\app", path) == (expected, is_directory)
    assert absolute("C:\\app\\", path) == (expected, is_directory)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("a", "a"),
        ("/a/b/", "a/b"),
        ("C:\\a\\b", "a/b"),
        ("./a/../b", "b"),
        ("../../a", "a"),
        (".", ""),
        ("/", ""),
        ("", ""),
        ("C:\\", ""),
    ],
)
def test_sources(path: str, expected: str) -> None:
    assert relative_to_root(path) == expected


@pytest.mark.parametrize(
    ("current", "path", "expected"),
    [
        ("", "C:\\", "\\"),
        ("", "/", "\\"),
        ("", "app", "\\app"),
        ("\\", "app/bin", "\\app\\bin"),
        ("\\app", "bin", "\\app\\bin"),
        ("\\app", "C:\\other\\", "\\other"),
        ("\\app", "..\\x", "\\x"),
        ("", "c:/a", "\\a"),
    ],
)
def test_working_directories(current: str, path: str, expected: str) -> None:
    assert workdir(current, path) == expected


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("D:\\x", "another drive"),
        ("d:/", "another drive"),
        ("z:x", "another drive"),
        ("C:", "a drive without a path"),
        ("D:", "a drive without a path"),
        ("\\\\server\\share", "a path of the network"),
        ("//server/share", "a path of the network"),
    ],
)
def test_refused(path: str, message: str) -> None:
    for take in (lambda text: absolute("\\", text), relative_to_root, lambda text: workdir("\\", text)):
        with pytest.raises(UsageError, match=message):
            take(path)


def test_drive_relative() -> None:
    assert drive_relative("C:app")
    assert not any(map(drive_relative, ("C:\\app", "C:/app", "C:", "app", "a/C:x", "")))
