"""The tree of a new layer, merged from what the rules bring."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from tests.hosts import needs_symlinks
from wclayer.builder.recipe import DirectoryRule, FilesRule, JunctionRule, LayerRecipe, RemoveRule, SymlinkRule
from wclayer.builder.source_tree import Kind, SourceTree
from wclayer.builder.tree_snapshot import TreeSnapshot
from wclayer.errors import (
    InexpressibleError,
    InvalidNameError,
    LayerError,
    NotFoundError,
    StorageError,
    UsageError,
    WclayerError,
)

posix = pytest.mark.skipif(os.name == "nt", reason="names that Windows does not allow")


def make(folder: Path, *names: str) -> Path:
    """A folder with files of these names, which they contain; a trailing slash makes a folder."""
    folder.mkdir(exist_ok=True)
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if name.endswith("/"):
            path.mkdir(exist_ok=True)
        else:
            path.write_bytes(name.encode())
    return folder


def files(*sources: str | Path | tuple[str | Path, str], exclude: tuple[str, ...] = ()) -> LayerRecipe:
    pairs = [source if isinstance(source, tuple) else (source, "") for source in sources]
    return LayerRecipe(
        files=tuple(FilesRule(source=str(source), target=target, exclude=exclude) for source, target in pairs)
    )


def paths(recipe: LayerRecipe, context: Path | None = None) -> list[str]:
    with SourceTree(recipe, None if context is None else str(context)) as tree:
        return [child.path for _, children in tree.walk() for child in children]


def test_one_folder(tmp_path: Path) -> None:
    context = make(tmp_path / "c", "b/two", "b/one", "a", "Z", "é", "empty/")
    with SourceTree(files(context)) as tree:
        found = [(node.path, child.name, child.kind) for node, children in tree.walk() for child in children]
    assert found == [
        ("", "Z", Kind.FILE),
        ("", "a", Kind.FILE),
        ("", "b", Kind.DIRECTORY),
        ("", "empty", Kind.DIRECTORY),
        ("", "é", Kind.FILE),
        ("b", "one", Kind.FILE),
        ("b", "two", Kind.FILE),
    ]


def test_folders_are_merged(tmp_path: Path) -> None:
    one = make(tmp_path / "1", "app/bin/a", "app/x")
    two = make(tmp_path / "2", "Bin/b", "y")
    recipe = LayerRecipe(
        files=(FilesRule(source=str(one)), FilesRule(source=str(two), target="APP")),
        directories=(DirectoryRule(path="app/logs"), DirectoryRule(path="app/bin")),
        symlinks=(SymlinkRule(path="app/link", target="bin"),),
        junctions=(JunctionRule(path="data", target="C:\\app"),),
        remove=(RemoveRule(path="app/old"),),
    )
    assert paths(recipe) == [
        "app",
        "data",
        "app/bin",
        "app/link",
        "app/logs",
        "app/old",
        "app/x",
        "app/y",
        "app/bin/a",
        "app/bin/b",
    ]
    with SourceTree(recipe) as tree:
        assert tree.removals == ["app/old"]
        node = tree.find(["APP", "BIN"])
        assert node is not None
        assert isinstance(node.rule, DirectoryRule)
        assert len(node.origins) == 2
        assert tree.find(["app", "nothing"]) is None
        assert tree.find(["app", "x", "y"]) is None


def test_a_single_file(tmp_path: Path) -> None:
    make(tmp_path, "one.exe", ".DS_Store")
    assert paths(files((tmp_path / "one.exe", "app/two.exe"))) == ["app", "app/two.exe"]
    assert paths(files(tmp_path / "one.exe")) == ["one.exe"]
    rule = FilesRule(source=str(tmp_path / "one.exe"), target="app", into=True)
    assert paths(LayerRecipe(files=(rule,))) == ["app", "app/one.exe"]
    assert paths(files((tmp_path / ".DS_Store", "wanted"))) == ["wanted"]


@posix
def test_a_source_that_is_a_symlink_is_followed(tmp_path: Path) -> None:
    make(tmp_path / "real", "f")
    (tmp_path / "link").symlink_to("real")
    assert paths(files(tmp_path / "link")) == ["f"]
    assert paths(files(tmp_path / "link" / "f")) == ["f"]


def test_what_is_left_out(tmp_path: Path) -> None:
    context = make(tmp_path / "c", "keep", "x.pdb", "build/x", "sub/build/y", "sub/.DS_Store", "._keep", "sub/z.pdb")
    (context / ".wclayerignore").write_text("*.pdb\n/build\n")
    with SourceTree(files(context, exclude=("sub/z.pdb", "nothing"))) as tree:
        found = [child.path for _, children in tree.walk() for child in children]
        assert found == ["keep", "sub", "sub/build", "sub/build/y"]
        assert tree.left_out == 2


def test_patterns_of_the_context_hold_for_its_sources(tmp_path: Path) -> None:
    context = make(tmp_path / "c", "app/keep", "app/out/x", "other/out/y")
    (context / ".wclayerignore").write_text("app/out\n")
    assert paths(files(context / "app", (context / "other", "o")), context) == ["keep", "o", "o/out", "o/out/y"]
    assert "out" in paths(files(context / "app"))
    assert paths(files(make(tmp_path / "d", "app/out/x")), context) == ["app", "app/out", "app/out/x"]


@posix
@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("aux", InvalidNameError),
        ("a:b", InvalidNameError),
        ("dot.", InvalidNameError),
        ("blank ", InvalidNameError),
        ("back\\slash", InvalidNameError),
        ("star*", InvalidNameError),
        ("nul.txt", InvalidNameError),
        ("new\nline", InvalidNameError),
        (b"\xff", InvalidNameError),
        (".wh.x", InexpressibleError),
    ],
)
def test_names_that_windows_could_not_open(tmp_path: Path, name: str | bytes, error: type[WclayerError]) -> None:
    context = make(tmp_path / "c", "sub/")
    (Path(os.fsdecode(os.fsencode(context / "sub") + b"/" + os.fsencode(name)))).write_bytes(b"")
    with pytest.raises(error) as caught:
        paths(files(context))
    assert caught.value.path is not None
    assert caught.value.path.startswith(str(context / "sub"))


@posix
@pytest.mark.parametrize("kind", ["fifo", "socket"])
def test_special_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    context = make(tmp_path / "c")
    monkeypatch.chdir(context)
    if kind == "fifo":
        os.mkfifo("special")
    else:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind("special")
    with pytest.raises(InexpressibleError, match="special file") as caught:
        paths(files(context))
    assert caught.value.path == str(context / "special")


@posix
def test_names_that_differ_by_case(tmp_path: Path) -> None:
    context = make(tmp_path / "c", "sub/Straße", "sub/STRASSE", "sub/é")
    assert len(paths(files(context))) == 4  # ß has no upper case on NTFS
    make(context, "sub/É")
    with pytest.raises(LayerError, match="one to Windows") as caught:
        paths(files(context))
    assert {caught.value.path, caught.value.got} == {str(context / "sub/É"), str(context / "sub/é")}


@pytest.mark.parametrize(
    "rule",
    [
        LayerRecipe(directories=(DirectoryRule(path="a"),)),
        LayerRecipe(directories=(DirectoryRule(path="A/b"),)),
        LayerRecipe(symlinks=(SymlinkRule(path="a", target="b"),)),
        LayerRecipe(junctions=(JunctionRule(path="D", target="C:\\"),)),
        LayerRecipe(remove=(RemoveRule(path="A"),)),
        LayerRecipe(remove=(RemoveRule(path="d"),)),
        LayerRecipe(remove=(RemoveRule(path="d/f"),)),
        LayerRecipe(remove=(RemoveRule(path="new"),), directories=(DirectoryRule(path="New"),)),
        LayerRecipe(remove=(RemoveRule(path="new"),), directories=(DirectoryRule(path="new/x"),)),
        LayerRecipe(symlinks=(SymlinkRule(path="x", target="b"), SymlinkRule(path="X", target="c"))),
        LayerRecipe(symlinks=(SymlinkRule(path="x", target="b"),), directories=(DirectoryRule(path="x/y"),)),
    ],
)
def test_two_things_of_one_name(tmp_path: Path, rule: LayerRecipe) -> None:
    context = make(tmp_path / "c", "a", "d/f")
    recipe = LayerRecipe(
        files=(FilesRule(source=str(context)),),
        directories=rule.directories,
        symlinks=rule.symlinks,
        junctions=rule.junctions,
        remove=rule.remove,
    )
    with pytest.raises(LayerError, match="one name"):
        paths(recipe)


def test_two_sources_of_one_file(tmp_path: Path) -> None:
    one, two = make(tmp_path / "1", "d/f"), make(tmp_path / "2", "D/F", "g")
    with pytest.raises(LayerError, match="one name") as caught:
        paths(files(one, two))
    assert caught.value.got == f"{os.path.join(one, 'd/f')} and {os.path.join(two, 'D/F')}"
    with pytest.raises(LayerError, match="one name"):
        paths(files(one, (two / "g", "d")))
    with pytest.raises(LayerError, match="one name"):
        paths(files((two / "g", "x"), (two / "g", "X")))
    with pytest.raises(LayerError, match="one name"):
        paths(files((two / "g", "x"), (one, "X")))


def test_sources_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError) as caught:
        paths(files(tmp_path / "nowhere"))
    assert caught.value.path == str(tmp_path / "nowhere")


def test_the_output_may_not_lie_in_a_source(tmp_path: Path) -> None:
    context = make(tmp_path / "c", "sub/f")
    with SourceTree(files(context)) as tree:
        for inside in ("out", "sub/deep/out", ""):
            with pytest.raises(UsageError, match="output"):
                tree.check_output(str(context / inside))
        tree.check_output(str(tmp_path / "out"))
        tree.check_output(str(tmp_path / "c-out"))
    (context / ".wclayerignore").write_text("out/\n")
    with SourceTree(files(context)) as tree:
        tree.check_output(str(context / "out" / "image.tar"))
    with SourceTree(files((context / "sub/f", "f"))) as tree:
        tree.check_output(str(context / "sub/image.tar"))


# --- a context that changes -----------------------------------------------------


def survey(context: Path) -> tuple[SourceTree, TreeSnapshot]:
    tree = SourceTree(files(context))
    return tree, TreeSnapshot(tree)


def test_what_a_survey_sees(tmp_path: Path) -> None:
    context = make(tmp_path / "c", "sub/one", "three")
    newest = 5_000_000_700  # Windows counts in 100 ns
    os.utime(context / "sub/one", ns=(0, newest))
    for path in (context / "three", context / "sub", context):
        os.utime(path, ns=(0, 4_000_000_000))
    tree, found = survey(context)
    with tree:
        assert (found.newest, found.files, found.size) == (newest, 2, len("sub/one") + len("three"))
        assert found.check() is None


@pytest.mark.parametrize(
    "change", ["grow", "touch", "new", "gone", "new below", pytest.param("other", marks=needs_symlinks)]
)
def test_changes_are_seen(tmp_path: Path, change: str) -> None:
    context = make(tmp_path / "c", "a/b/f", "a/g")
    tree, found = survey(context)
    if change == "grow":
        (context / "a/b/f").write_bytes(b"longer than before")
    elif change == "touch":
        os.utime(context / "a/b/f", ns=(0, 1))
    elif change == "gone":
        (context / "a/b/f").unlink()
    elif change == "other":
        info = (context / "a/b/f").stat()
        (context / "a/b/f").unlink()
        (context / "a/b/f").symlink_to("g")
        os.utime(context / "a/b/f", ns=(0, info.st_mtime_ns), follow_symlinks=False)
    else:
        make(context, "a/b/h" if change == "new" else "a/b/c/")
    with tree:
        node = found.check()
        assert node is not None
        assert node.path in ("a", "a/b")


def test_a_file_that_changes_while_it_is_read(tmp_path: Path) -> None:
    context = make(tmp_path / "c", "f")
    with SourceTree(files(context)) as tree:
        node = tree.find(["f"])
        assert node is not None
        [origin] = node.origins
        body = origin.folder.open(b"f", origin.found)
        assert body.read(1) == b"f"
        assert body.read(1) == b""
        for change in ("grow", "shrink", "gone"):
            body = origin.folder.open(b"f", origin.found)
            if change == "gone":
                (context / "f").unlink()
            else:
                (context / "f").write_bytes(b"xyz" if change == "grow" else b"")
            with pytest.raises(StorageError, match="changed") as caught:
                body.read()
            assert caught.value.path == str(context / "f")


@posix
def test_a_file_that_becomes_a_link(tmp_path: Path) -> None:
    context = make(tmp_path / "c", "f", "g")
    with SourceTree(files(context)) as tree:
        node = tree.find(["f"])
        assert node is not None
        (context / "f").unlink()
        (context / "f").symlink_to("g")
        with pytest.raises(WclayerError):
            node.origins[0].folder.read(b"f", node.origins[0].found)


def test_what_is_left_out_but_for_a_file_deep_below(tmp_path: Path) -> None:
    """Each folder is looked at a bounded number of times, however deep, and macOS's files are counted once."""

    class Deep:
        def match(self, path: bytes, _directory: bool, /) -> bool:
            return not path.endswith(b".dll")

        def may_reopen(self, _path: bytes, /) -> bool:
            return True

    names = [f"d{number}" for number in range(40)]
    folder = make(tmp_path / "c", "/".join([*names, "x.dll"]), "/".join([*names, "._x.dll"]), "d0/empty/x.txt")
    rule = FilesRule(source=str(folder), ignore=(Deep(),))
    with SourceTree(LayerRecipe(files=(rule,))) as tree:
        found = [child.path for _, children in tree.walk() for child in children]
        assert found == ["/".join(names[: number + 1]) for number in range(40)] + ["/".join([*names, "x.dll"])]
        assert tree.left_out == 1
