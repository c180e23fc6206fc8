"""A new layer's entries, on what the layers below have."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from tests.hosts import posix_only
from tests.unit.builder.test_source_tree import make
from tests.unit.builder.test_symlinks import Model
from wclayer.builder.new_layer import NewLayer, Times
from wclayer.builder.recipe import (
    DirectoryRule,
    FilesRule,
    JunctionRule,
    LayerRecipe,
    RemoveRule,
    Security,
    SymlinkRule,
)
from wclayer.builder.source_tree import SourceTree
from wclayer.entry import AlternateStream, Body, Directory, Entry, ExtendedAttribute, File, HardLink, Whiteout
from wclayer.errors import LayerError, NotFoundError, UsageError
from wclayer.win32.filetime import from_unix_ns
from wclayer.win32.reparse import build_link, link_target
from wclayer.win32.sddl import format_sddl, parse_sddl

posix = posix_only("links")
MADE = from_unix_ns(1_700_000_000 * 10**9)
THEIRS = parse_sddl("O:SYG:SYD:(A;;FA;;;SY)")
BASE = Model(
    Directory(
        "Files", 0x16, security_descriptor=THEIRS, extended_attributes=(ExtendedAttribute(b"A", b"1"),), creation_time=5
    ),
    Directory("Files/Windows", 0x11, security_descriptor=THEIRS, change_time=7, short_name="WIN"),
    Directory("Files/Windows/System32", security_descriptor=THEIRS),
    File("Files/Windows/System32/Hosts", size=3),
    Directory("Files/Documents and Settings", 0x410, reparse_data=build_link("C:\\Users", True)),
    Directory("Files/Users"),
)


def entries(
    recipe: LayerRecipe, below: Model | None = None, times: Times | None = None, acl: str = "default"
) -> list[Entry]:
    with SourceTree(recipe) as tree:
        return [entry for entry, _ in NewLayer(tree, below, times or Times(MADE), acl=acl).entries()]


def by_path(found: list[Entry]) -> dict[str, Directory | File | HardLink | Whiteout]:
    result = {entry.path: entry for entry in found if not isinstance(entry, AlternateStream)}
    assert len(result) == len(found)
    return result


def source(folder: Path, target: str = "", **more: object) -> LayerRecipe:
    return LayerRecipe(files=(FilesRule(source=str(folder), target=target, **more),))  # type: ignore[arg-type]


def sddl(entry: Entry) -> str:
    assert isinstance(entry, Directory | File)
    assert entry.security_descriptor is not None
    return format_sddl(entry.security_descriptor)


def test_a_base_layer(tmp_path: Path) -> None:
    context = make(tmp_path / "c", "app/x.exe", "app/empty")
    (context / "app/empty").write_bytes(b"")
    for number, name in enumerate(("app/x.exe", "app/empty", "app", ".")):
        os.utime(context / name, ns=(0, (1_600_000_000 + number) * 10**9 + 700))
    with SourceTree(source(context)) as tree:
        bodies: list[tuple[Entry, Body | None]] = []
        contents: list[bytes] = []
        for entry, body in NewLayer(tree, None, Times(MADE)).entries():
            bodies.append((entry, body))
            if body is not None:
                contents.append(body.read())
    files = [entry for entry, _ in bodies]
    assert [entry.path for entry in files] == ["Files", "Files/app", "Files/app/empty", "Files/app/x.exe"]
    assert contents == [b"", b"app/x.exe"]
    assert [type(entry) for entry in files] == [Directory, Directory, File, File]
    time = from_unix_ns(1_600_000_000 * 10**9 + 700)
    last = files[3]
    assert isinstance(last, File)
    assert last.size == 9
    assert last.file_attributes == 0x20
    assert {last.creation_time, last.last_access_time, last.last_write_time, last.change_time} == {time}
    assert sddl(last) == "O:BAG:SYD:(A;;FA;;;BA)(A;;FA;;;SY)(A;;0x1200a9;;;BU)"
    assert sddl(files[0]).startswith("O:BAG:SYD:(A;OICI;FA;;;BA)(A;OICI;FA;;;SY)")


def test_times(tmp_path: Path) -> None:
    context = make(tmp_path / "c", "old", "new")
    os.utime(context / "old", ns=(0, 1_600_000_000 * 10**9))
    os.utime(context / "new", ns=(0, 1_800_000_000 * 10**9))
    old = from_unix_ns(1_600_000_000 * 10**9)

    def times(wanted: Times) -> tuple[int | None, int | None]:
        found = by_path(entries(source(context), times=wanted))
        first, second = found["Files/old"], found["Files/new"]
        assert isinstance(first, File)
        assert isinstance(second, File)
        return first.last_write_time, second.creation_time

    assert times(Times(MADE)) == (old, from_unix_ns(1_800_000_000 * 10**9))
    assert times(Times(MADE, latest=MADE)) == (old, MADE)
    assert times(Times(MADE, same=True)) == (MADE, MADE)


@posix
def test_links(tmp_path: Path) -> None:
    context = make(tmp_path / "c", "a/one")
    os.link(context / "a/one", context / "a/two")
    os.link(context / "a/one", context / "three")
    (context / "to-directory").symlink_to("a")
    (context / "to-file").symlink_to("/a/one")
    (context / "to-nothing").symlink_to("nothing")
    recipe = replace(
        source(context),
        symlinks=(SymlinkRule(path="rule", target="a/one"), SymlinkRule(path="told", target="X", directory=True)),
        junctions=(JunctionRule(path="junction", target="C:\\a"),),
    )
    with SourceTree(recipe) as tree:
        layer = NewLayer(tree, None, Times(MADE))
        found = by_path([entry for entry, _ in layer.entries()])
        assert layer.warnings == ["Files/to-nothing: leads to nothing in the image (nothing); made a link to a file"]
    targets = {
        path: (type(entry), link_target(entry.reparse_data), entry.file_attributes)
        for path, entry in found.items()
        if isinstance(entry, Directory | File) and entry.reparse_data is not None
    }
    assert targets == {
        "Files/to-directory": (Directory, ("a", False), 0x410),
        "Files/to-file": (File, ("C:\\a\\one", False), 0x420),
        "Files/to-nothing": (File, ("nothing", False), 0x420),
        "Files/rule": (File, ("a\\one", False), 0x420),
        "Files/told": (Directory, ("X", False), 0x410),
        "Files/junction": (Directory, ("C:\\a", True), 0x410),
    }
    links = {path: entry.target for path, entry in found.items() if isinstance(entry, HardLink)}
    assert links == {"Files/a/two": "Files/a/one", "Files/three": "Files/a/one"}


@posix
def test_names_of_one_file_with_other_security_are_files(tmp_path: Path) -> None:
    context = make(tmp_path / "c", "a/one", "b/")
    os.link(context / "a/one", context / "b/two")
    recipe = LayerRecipe(
        files=(
            FilesRule(source=str(context / "a"), target="a"),
            FilesRule(source=str(context / "b"), target="b", security=Security(acl="administrators")),
        )
    )
    assert all(not isinstance(entry, HardLink) for entry in entries(recipe))


def test_on_top(tmp_path: Path) -> None:
    context = make(tmp_path / "c", "WINDOWS/system32/hosts", "windows-not", "WINDOWS/system32/new")
    found = entries(source(context), BASE)
    assert [entry.path for entry in found] == [
        "Files",
        "Files/Windows",
        "Files/Windows/System32",
        "Files/Windows/System32/Hosts",
        "Files/Windows/System32/new",
        "Files/windows-not",
        "Hives",
    ]
    for entry in found[:3]:
        assert entry == BASE.lookup(entry.path)
    hosts = found[3]
    assert isinstance(hosts, File)
    assert hosts.size == len("WINDOWS/system32/hosts")
    assert sddl(hosts) == "O:BAG:SYD:(A;;FA;;;BA)(A;;FA;;;SY)(A;;0x1200a9;;;BU)"


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("Windows/System32/hosts/x", "a directory, where the layers below have a file"),
        ("windows/SYSTEM32", "a file, where the layers below have a directory"),
        ("Documents and settings/me", "a directory, where the layers below have a link to C:\\Users"),
        ("Documents and Settings", "a file, where the layers below have a link to C:\\Users"),
    ],
)
def test_what_does_not_go_with_the_layers_below(tmp_path: Path, name: str, what: str) -> None:
    with pytest.raises(LayerError, match="where the layers below") as caught:
        entries(source(make(tmp_path / "c", name)), BASE)
    assert caught.value.message == what
    assert caught.value.hint is not None


def test_removals(tmp_path: Path) -> None:
    recipe = LayerRecipe(
        files=(FilesRule(source=str(make(tmp_path / "c", "a")), target="WINDOWS/System32/a"),),
        remove=(RemoveRule(path="windows/SYSTEM32/HOSTS"), RemoveRule(path="users")),
    )
    found = entries(recipe, BASE)
    assert [(type(entry), entry.path) for entry in found] == [
        (Directory, "Files"),
        (Whiteout, "Files/Users"),
        (Directory, "Files/Windows"),
        (Directory, "Files/Windows/System32"),
        (Whiteout, "Files/Windows/System32/Hosts"),
        (Directory, "Files/Windows/System32/a"),
        (File, "Files/Windows/System32/a/a"),
        (Directory, "Hives"),
    ]
    for path in ("Windows/nothing", "nothing/at/all"):
        with pytest.raises(NotFoundError, match="nothing to remove"):
            entries(LayerRecipe(remove=(RemoveRule(path=path),)), BASE)
    with pytest.raises(LayerError, match="link to"):
        entries(LayerRecipe(remove=(RemoveRule(path="Documents and Settings/x"),)), BASE)


def test_security(tmp_path: Path) -> None:
    context = make(tmp_path / "c", "a/b/f", "d/f", "e/f")
    recipe = LayerRecipe(
        files=(
            FilesRule(source=str(context / "a"), target="a", security=Security(sddl="O:SYG:SYD:P(A;OICI;FA;;;WD)")),
            FilesRule(source=str(context / "d"), target="d", security=Security(acl="read-only", owner="SY")),
            FilesRule(source=str(context / "e"), target="e", attributes=2),
        ),
        directories=(
            DirectoryRule(path="e/own", security=Security(sddl="O:BAG:BAD:(A;CI;FR;;;WD)"), attributes=4),
            DirectoryRule(path="e/own/below"),
        ),
        symlinks=(SymlinkRule(path="e/link", target="f", security=Security(owner="BA")),),
    )
    found = by_path(entries(recipe))
    assert sddl(found["Files/a"]) == "O:SYG:SYD:P(A;OICI;FA;;;WD)"
    assert sddl(found["Files/a/b"]) == "O:SYG:SYD:AI(A;OICIID;FA;;;WD)"
    assert sddl(found["Files/a/b/f"]) == "O:SYG:SYD:AI(A;ID;FA;;;WD)"
    assert sddl(found["Files/d"]).startswith("O:SYG:SY")
    assert "BU" in sddl(found["Files/d/f"])
    assert sddl(found["Files/d/f"]).startswith("O:SYG:SY")
    assert sddl(found["Files/e/f"]) == "O:BAG:SYD:(A;;FA;;;BA)(A;;FA;;;SY)(A;;0x1200a9;;;BU)"
    file, own = found["Files/e/f"], found["Files/e/own"]
    assert isinstance(file, File)
    assert file.file_attributes == 0x22
    assert isinstance(own, Directory)
    assert own.file_attributes == 0x14
    assert sddl(own) == "O:BAG:BAD:(A;CI;FR;;;WD)"
    assert sddl(found["Files/e/own/below"]) == "O:BAG:BAD:AI(A;CIID;FR;;;WD)"
    assert all(")" in sddl(entry) for entry in found.values())
    with pytest.raises(UsageError, match="template"):
        entries(recipe, acl="nonsense")


def test_only_a_rule_about_itself_changes_a_directory_below(tmp_path: Path) -> None:
    context = make(tmp_path / "c", "System32/f")
    recipe = LayerRecipe(
        files=(FilesRule(source=str(context), target="Windows", security=Security(acl="read-only")),),
    )
    found = by_path(entries(recipe, BASE))
    assert found["Files/Windows"] == BASE.lookup("Files/Windows")
    recipe = replace(
        recipe, directories=(DirectoryRule(path="windows", security=Security(sddl="O:BAG:BAD:(A;;FA;;;BA)")),)
    )
    changed = by_path(entries(recipe, BASE))["Files/Windows"]
    theirs = BASE.lookup("Files/Windows")
    assert isinstance(theirs, Directory)
    assert changed == replace(theirs, security_descriptor=parse_sddl("O:BAG:BAD:(A;;FA;;;BA)"))
    recipe = LayerRecipe(directories=(DirectoryRule(path="windows", security=Security(owner="BA"), attributes=2),))
    changed = by_path(entries(recipe, BASE))["Files/Windows"]
    assert sddl(changed) == "O:BAG:SYD:(A;;FA;;;SY)"
    assert changed == replace(theirs, file_attributes=0x13, security_descriptor=parse_sddl("O:BAG:SYD:(A;;FA;;;SY)"))
    recipe = LayerRecipe(directories=(DirectoryRule(path="windows"),))
    assert by_path(entries(recipe, BASE))["Files/Windows"] == theirs


def test_the_hives_folder_of_the_layers_below_stays() -> None:
    hives = Directory("Hives", security_descriptor=THEIRS, creation_time=3)
    assert entries(LayerRecipe(), Model(Directory("Files"), hives))[-1] == hives
    made = entries(LayerRecipe(), Model(Directory("Files")))[-1]
    assert "BA" in sddl(made)
