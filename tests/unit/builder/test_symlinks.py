"""POSIX symlinks as Windows has them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hosts import posix_only
from wclayer.body import BytesBody
from wclayer.builder.recipe import FilesRule, JunctionRule, LayerRecipe, SymlinkRule
from wclayer.builder.source_tree import SourceTree
from wclayer.builder.symlinks import leads_to_directory, posix_target, windows_target
from wclayer.entry import Body, Directory, Entry, File
from wclayer.errors import InexpressibleError, InvalidNameError, WclayerError
from wclayer.win32.reparse import build_link

pytestmark = posix_only("symlinks")


class Model:
    """Layers below, by the upper case of their paths."""

    def __init__(self, *entries: Entry) -> None:
        self._entries = {entry.path.upper(): entry for entry in entries}

    def lookup(self, path: str, /) -> Entry | None:
        return self._entries.get(path.upper())

    def open(self, path: str, stream: str = "", /) -> Body:  # noqa: ARG002
        return BytesBody(b"")

    def streams(self, path: str, /) -> list[str]:  # noqa: ARG002
        return []


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[SourceTree]:
    context = tmp_path / "context"
    (context / "a/b").mkdir(parents=True)
    (context / "a/b/file").write_text("x")
    for name, target in {
        "to-a": "a",
        "a/up": "..",
        "a/loop": "loop",
        "through": "to-a/b",
        "absolute": "/a/b",
        "chain": "through/file",
    }.items():
        (context / name).symlink_to(target)
    recipe = LayerRecipe(
        files=(FilesRule(source=str(context)),),
        symlinks=(SymlinkRule(path="rule", target="a\\b"),),
        junctions=(JunctionRule(path="junction", target="C:\\a"),),
    )
    with SourceTree(recipe) as found:
        yield found


def converted(tree: SourceTree, path: str, target: str | bytes) -> str:
    """What becomes of a link at `path`, wherever it leads."""
    node = tree.find(["to-a"])
    assert node is not None
    node.path = path
    return posix_target(node, os.fsencode(target))


@pytest.mark.parametrize(
    ("path", "target", "expected"),
    [
        ("link", "a/b", "a\\b"),
        ("link", "./a//b/", "a\\b"),
        ("link", ".", "."),
        ("a/link", "../a/b", "..\\a\\b"),
        ("a/link", "..", ".."),
        ("link", "/a/b", "C:\\a\\b"),
        ("link", "/", "C:\\"),
        ("link", "/../a/./c/../b", "C:\\a\\b"),
        ("link", "C:\\a/b", "C:\\a\\b"),
        ("link", "D:/x", "D:\\x"),
        ("link", "日本/語", "日本\\語"),
    ],
)
def test_targets(tree: SourceTree, path: str, target: str, expected: str) -> None:
    assert converted(tree, path, target) == expected


@pytest.mark.parametrize(
    ("path", "target", "error"),
    [
        ("link", "..", InexpressibleError),
        ("a/link", "../../x", InexpressibleError),
        ("a/link", "../../a/b", InexpressibleError),
        ("link", "a\\b", InvalidNameError),
        ("link", "a:b", InvalidNameError),
        ("link", "aux", InvalidNameError),
        ("link", "a/dot.", InvalidNameError),
        ("link", "what?", InvalidNameError),
        ("link", b"\xff", InvalidNameError),
    ],
)
def test_targets_that_windows_could_not_follow(
    tree: SourceTree, path: str, target: str | bytes, error: type[WclayerError]
) -> None:
    with pytest.raises(error) as caught:
        converted(tree, path, target)
    assert caught.value.path is not None
    assert caught.value.path.endswith("to-a")


@pytest.mark.parametrize(
    ("target", "directory"),
    [
        ("a", True),
        ("a\\b", True),
        ("A\\B\\FILE", False),
        ("a\\nothing", None),
        ("a\\b\\file\\further", None),
        ("C:\\", True),
        (".", True),
        ("\\a", True),
        ("C:\\a\\b\\file", False),
        ("to-a", True),
        ("through", True),
        ("absolute\\file", False),
        ("chain", False),
        ("a\\up\\a\\b", True),
        ("a\\loop", None),
        ("rule", True),
        ("junction\\b\\file", False),
        ("D:\\a", None),
        ("\\\\server\\share", None),
        ("Windows", True),
        ("windows\\NOTEPAD.exe", False),
        ("Windows\\nothing", None),
        ("Users\\Public", True),
        ("Users\\short", False),
        ("a\\..\\Windows", True),
    ],
)
def test_where_links_lead(tree: SourceTree, target: str, directory: bool | None) -> None:
    below = Model(
        Directory("Files"),
        Directory("Files/Windows"),
        File("Files/Windows/notepad.exe"),
        Directory("Files/Users", reparse_data=build_link("C:\\Windows", True)),
        Directory("Files/Windows/Public"),
        File("Files/Windows/short", reparse_data=build_link("notepad.exe", False)),
    )
    assert leads_to_directory("link", target, tree, below) is directory


def test_without_layers_below(tree: SourceTree) -> None:
    assert leads_to_directory("link", "a\\b", tree, None) is True
    assert leads_to_directory("a/link", "b\\file", tree, None) is False
    assert leads_to_directory("link", "Windows", tree, None) is None


def test_a_rule_s_target() -> None:
    assert windows_target("x", "C:/a/b") == "C:\\a\\b"
    assert windows_target("x", "..\\a/b") == "..\\a\\b"
    assert windows_target("x", "\\\\?\\C:\\a") == "\\\\?\\C:\\a"
    for target in ("a:b", "nul", "x|y", "C:\\a\\con.txt"):
        with pytest.raises(InvalidNameError) as caught:
            windows_target("x", target)
        assert (caught.value.path, caught.value.got) == ("x", target)
