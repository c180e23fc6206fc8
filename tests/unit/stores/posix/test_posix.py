"""The layer folder: what it refuses, what it looks like, hand edits, what a killed process leaves."""

from __future__ import annotations

import hashlib
import io
import os
import sqlite3
import stat
import sys
from pathlib import Path

import pytest

from tests.hosts import SYMLINKS, WINDOWS, needs_symlinks, posix_only
from tests.strategies import items_of, tar_of
from tests.tars import BASE, M, build, directory
from wclayer import export_layer_to_tar, import_layer_from_tar, open_layer
from wclayer.body import BytesBody, StreamBody
from wclayer.entry import AlternateStream, Directory, Entry, File, HardLink, Whiteout
from wclayer.errors import (
    AlreadyExistsError,
    ConfinementError,
    DigestMismatchError,
    FormatError,
    InexpressibleError,
    InvalidNameError,
    LayerError,
    NotFoundError,
    RecordError,
    StorageError,
    UsageError,
    WclayerError,
)
from wclayer.layers.stack import Stack
from wclayer.stores.atomic import PartialFolder
from wclayer.stores.folder.defaults import DIRECTORY_DESCRIPTOR, FILE_DESCRIPTOR
from wclayer.stores.folders import new_folder, open_folder
from wclayer.stores.root.open_root import open_root
from wclayer.win32.reparse import build_link

FILES = Directory("Files", creation_time=1, last_write_time=116444736000000000)


def put(folder: Path, *members: M, parents: tuple[Path, ...] = ()) -> None:
    import_layer_from_tar(io.BytesIO(build([*BASE, *members])), folder, parents)


def exported(folder: Path, parents: tuple[Path, ...] = ()) -> bytes:
    output = io.BytesIO()
    export_layer_to_tar(folder, output, parents, framing="canonical")
    return output.getvalue()


def entries(folder: Path) -> dict[str, Entry]:
    return {
        entry.path + (f":{entry.name}" if isinstance(entry, AlternateStream) else ""): entry
        for entry, _, _ in items_of(exported(folder))
    }


def contents(folder: Path) -> dict[str, bytes | None]:
    return {entry.path: content for entry, content, _ in items_of(exported(folder))}


# --- what no valid layer has -------------------------------------------------------


@pytest.mark.parametrize(
    ("members", "error", "path"),
    [
        ([M("Files/a"), M("Files/A")], LayerError, "Files/A"),
        ([M("Files/é"), M("Files/É")], LayerError, "Files/É"),
        ([M("Files/new/x")], LayerError, "Files/new/x"),
        ([M("Files/f"), M("Files/f/x")], LayerError, "Files/f/x"),
        ([M("Files/l", type="1", link="Files/nothing")], LayerError, "Files/l"),
        ([M("Files/l", type="1", link="Files/dir")], LayerError, "Files/l"),
        ([M("Files/l", type="1", link="Hives/x")], ConfinementError, "Files/l"),
        ([M("layer.db")], ConfinementError, "layer.db"),
        ([M("Layer.DB-wal")], ConfinementError, "Layer.DB-wal"),
        ([M("bcd.bak")], ConfinementError, "bcd.bak"),
        ([directory("Streams"), M("Streams/1")], ConfinementError, "Streams"),
        ([directory("files")], LayerError, "files"),
        ([directory("Hives")], LayerError, "Hives"),
        ([M("Files/.wh.gone")], LayerError, "Files/gone"),
        ([directory("UtilityVM"), M("UtilityVM/x")], LayerError, "UtilityVM/x"),
        ([directory("UtilityVM"), directory("UtilityVM/Filesystem")], LayerError, "UtilityVM/Filesystem"),
        ([M("UtilityVM")], LayerError, "UtilityVM"),
        ([M("Files/" + "x" * 256)], InvalidNameError, "Files/" + "x" * 256),
        ([M("Files/d", pax={"MSWINDOWS.fileattr": "16"})], LayerError, "Files/d"),
        ([M("Files/d", type="5", pax={"MSWINDOWS.fileattr": "32"})], LayerError, "Files/d"),
        ([M("Files/s"), M("Files/s:a"), M("Files/s:A")], LayerError, "Files/s:A"),
        ([M("Files/l", type="2", link="dir"), M("Files/l/x")], LayerError, "Files/l/x"),
        (
            [M("Files/l", type="2", link="dir", pax={"MSWINDOWS.fileattr": "1040"}), M("Files/l/x")],
            ConfinementError,
            "Files/l/x",
        ),
        (
            [
                M("Files/j", type="2", link="C:\\x", pax={"MSWINDOWS.fileattr": "1040", "MSWINDOWS.mountpoint": "1"}),
                M("Files/J/x"),
            ],
            ConfinementError,
            "Files/J/x",
        ),
    ],
    ids=lambda value: value[-1].name[:20] if isinstance(value, list) else "",
)
def test_refused_by_name_and_nothing_left(
    tmp_path: Path, members: list[M], error: type[FormatError], path: str
) -> None:
    with pytest.raises(error) as caught:
        put(tmp_path / "layer", *members)
    assert caught.value.path == path
    assert caught.value.offset is not None
    assert caught.value.exit_code == 10
    assert list(tmp_path.iterdir()) == []


def test_a_base_needs_files(tmp_path: Path) -> None:
    with pytest.raises(LayerError, match="Files"):
        import_layer_from_tar(io.BytesIO(build([])), tmp_path / "layer")
    assert list(tmp_path.iterdir()) == []


def test_wrong_digest_leaves_nothing(tmp_path: Path) -> None:
    tar = build(BASE)
    with pytest.raises(DigestMismatchError) as caught:
        import_layer_from_tar(io.BytesIO(tar), tmp_path / "layer", diff_id="0" * 64)
    assert caught.value.got == f"sha256:{hashlib.sha256(tar).hexdigest()}"
    assert list(tmp_path.iterdir()) == []
    import_layer_from_tar(io.BytesIO(tar), tmp_path / "layer", diff_id=hashlib.sha256(tar).hexdigest())
    with pytest.raises(UsageError):
        import_layer_from_tar(io.BytesIO(tar), tmp_path / "other", diff_id="sha512:00")


def test_a_full_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import errno

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(StorageError, match="No space") as caught:
        put(tmp_path / "layer", M("Files/f", b"x"))
    monkeypatch.undo()
    assert caught.value.path == "Files/f"
    assert caught.value.exit_code == 15
    assert list(tmp_path.iterdir()) == []


def test_a_short_body_is_an_error(tmp_path: Path) -> None:
    with new_folder(tmp_path / "layer") as sink:
        sink.add(FILES)
        with pytest.raises(StorageError):
            sink.add(File("Files/f", size=5), BytesBody(b"1234"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("time", [(1 << 63) - 1, 1 << 63, (1 << 64) - 1])
def test_times_of_64_bits(tmp_path: Path, time: int) -> None:
    """SQLite's numbers have a sign, FILETIMEs have none."""
    with new_folder(tmp_path / "layer") as sink:
        sink.add(FILES)
        sink.add(File("Files/f", creation_time=time, last_write_time=1))
        sink.commit()
    with open_folder(tmp_path / "layer") as layer:
        found = layer.lookup("Files/f")
    assert isinstance(found, File)
    assert found.creation_time == time


def test_a_body_that_ends_early_is_an_error(tmp_path: Path) -> None:
    with new_folder(tmp_path / "layer") as sink:
        sink.add(FILES)
        with pytest.raises(StorageError, match="not as long"):
            sink.add(File("Files/f", size=5), StreamBody(5, BytesBody(b"123").read))
    assert list(tmp_path.iterdir()) == []


@posix_only("os.write")
def test_a_host_that_takes_less_at_once_than_it_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = bytes(range(256)) * 40
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: write(fd, bytes(data[:1000])))
    put(tmp_path / "layer", M("Files/f", content))
    monkeypatch.undo()
    assert (tmp_path / "layer/Files/f").read_bytes() == content


# --- the target --------------------------------------------------------------------


def test_existing_targets(tmp_path: Path) -> None:
    target = tmp_path / "layer"
    target.mkdir()
    put(target, M("Files/old"))
    with pytest.raises(AlreadyExistsError):
        put(target)
    import_layer_from_tar(io.BytesIO(build([*BASE, M("Files/new")])), target, force=True)
    assert sorted(contents(target)) == ["Files", "Files/dir", "Files/new"]
    with pytest.raises(FormatError):
        import_layer_from_tar(io.BytesIO(b"x" * 512), target, force=True)
    assert sorted(contents(target)) == ["Files", "Files/dir", "Files/new"]
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(AlreadyExistsError):
        put(tmp_path / "file")
    with pytest.raises(NotFoundError):
        put(tmp_path / "no" / "layer")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "layer"]


def test_what_a_kill_leaves_is_cleaned_unless_somebody_works_on_it(tmp_path: Path) -> None:
    left = tmp_path / "layer.partial-deadbeef"
    left.mkdir()
    (left / "Files").mkdir()
    with PartialFolder(tmp_path / "layer") as busy:
        assert not left.exists()
        put(tmp_path / "layer")  # another import of the same folder
        assert Path(os.fsdecode(busy.path)).exists()
    assert [path.name for path in tmp_path.iterdir()] == ["layer"]


def test_a_kill_between_two_renames_loses_nothing(tmp_path: Path) -> None:
    target = tmp_path / "layer"
    put(target, M("Files/precious"))
    target.rename(tmp_path / "layer.partial-deadbeef-old")
    (tmp_path / "layer.partial-deadbeef").mkdir()
    with pytest.raises(AlreadyExistsError):
        put(target)
    assert "Files/precious" in contents(target)
    assert [path.name for path in tmp_path.iterdir()] == ["layer"]


# --- the tree ----------------------------------------------------------------------


def test_a_plain_tree(tmp_path: Path) -> None:
    put(
        tmp_path / "layer",
        M("Files/dir/f", b"hello", mtime=1_600_000_001),
        M("Files/dir/l", type="1", link="Files/dir/f"),
        M("Files/up", type="2", link="dir\\f"),
    )
    files = tmp_path / "layer" / "Files"
    assert (files / "dir" / "f").read_bytes() == b"hello"
    assert (files / "dir" / "f").stat().st_nlink == 2
    assert (files / "dir" / "f").stat().st_mtime == 1_600_000_001
    assert files.stat().st_mtime == 1_600_000_000
    if SYMLINKS:
        assert os.readlink(files / "up").replace(os.sep, "/") == "dir/f"
        assert (files / "up").read_bytes() == b"hello"
    else:
        assert (files / "up").read_bytes() == b""


@pytest.mark.parametrize(
    ("path", "target", "expected"),
    [
        ("Files/dir/l", "..\\f", "../f"),
        ("Files/l", "a\\b", "a/b"),
        ("Files/l", "..\\f", None),
        ("Files/dir/l", "..\\..\\layer.db", None),
        ("Files/l", "dir\\..\\..\\x", None),
        ("Files/l", "\\Windows", None),
        ("Files/l", "C:\\x", None),
        ("Files/l", "\\\\srv\\x", None),
        ("UtilityVM/Files/l", "..\\..\\Files\\f", None),
        ("UtilityVM/Files/l", "f", "f"),
    ],
)
def test_only_links_that_stay_inside_become_symlinks(
    tmp_path: Path, path: str, target: str, expected: str | None
) -> None:
    put(tmp_path / "layer", directory("UtilityVM"), directory("UtilityVM/Files"), M(path, type="2", link=target))
    made = tmp_path / "layer" / path
    assert made.is_symlink() == (SYMLINKS and expected is not None)
    if SYMLINKS and expected is not None:
        assert os.readlink(made).replace(os.sep, "/") == expected
    else:
        assert made.read_bytes() == b""
    [entry] = [entry for entry in entries(tmp_path / "layer").values() if entry.path == path]
    assert isinstance(entry, File)
    assert entry.reparse_data == build_link(target, False)


def test_another_name_of_a_link_does_not_lead_outside(tmp_path: Path) -> None:
    """A relative target that is inside where the link is may be outside where its other name is."""
    members = [
        directory("Files/dir/sub"),
        M("Files/dir/sub/l", type="2", link="..\\..\\x", pax={"MSWINDOWS.fileattr": "1056"}),
        M("Files/z", type="1", link="Files/dir/sub/l"),
    ]
    put(tmp_path / "base", *members)
    if SYMLINKS:
        assert os.readlink(tmp_path / "base/Files/dir/sub/l").replace(os.sep, "/") == "../../x"
    assert not (tmp_path / "base/Files/z").is_symlink()
    assert isinstance(entries(tmp_path / "base")["Files/z"], HardLink)
    put(tmp_path / "top", M("Files/y", type="1", link="Files/dir/sub/l"), parents=(tmp_path / "base",))
    assert not (tmp_path / "top/Files/y").is_symlink()
    link = entries(tmp_path / "top")["Files/y"]
    assert isinstance(link, HardLink)
    assert link.target == "Files/dir/sub/l"


def test_links_made_by_hand(tmp_path: Path) -> None:
    put(tmp_path / "layer", M("Files/f", b"data"))
    files = tmp_path / "layer/Files"
    os.link(files / "f", files / "g")
    (files / "new").write_bytes(b"new")
    os.link(files / "new", files / "newer")
    found = entries(tmp_path / "layer")
    assert {path: entry.target for path, entry in found.items() if isinstance(entry, HardLink)} == {
        "Files/g": "Files/f",
        "Files/newer": "Files/new",
    }


def test_links_are_made_in_the_two_volumes_alone(tmp_path: Path) -> None:
    put(tmp_path / "base")
    members = [directory("Hives"), M("Hives/l_Delta", type="2", link="..\\layer.db")]
    put(tmp_path / "layer", *members, parents=(tmp_path / "base",))
    assert not (tmp_path / "layer/Hives/l_Delta").is_symlink()


def test_names_that_the_host_cannot_hold(tmp_path: Path) -> None:
    names = ["字" * 255, "~wclayer.1", "~WCLAYER.9", "x" * 255, "unpaired \ud800"]
    items = [(FILES, None, None)]
    items += [(File(f"Files/{name}", creation_time=1, last_write_time=1, size=1), b"x", None) for name in names]  # type: ignore[misc]
    import_layer_from_tar(io.BytesIO(tar_of(items)), tmp_path / "layer")
    assert set(entries(tmp_path / "layer")) == {"Files", *(f"Files/{name}" for name in names)}
    found = os.listdir(os.fsencode(tmp_path / "layer" / "Files"))
    assert "x" * 255 in map(os.fsdecode, found)
    # Half of a pair is a name to Linux.
    assert sum(name.startswith(b"~wclayer.") for name in found) == (3 if sys.platform == "linux" else 4)
    with open_folder(tmp_path / "layer") as layer:
        assert layer.lookup("Files/" + "字" * 255) is not None
        assert layer.open("Files/~wclayer.1").read() == b"x"


def test_sparse_files_are_stored_sparse(tmp_path: Path) -> None:
    content = b"a" * 4096 + bytes(8 << 20) + b"b" * 4096
    holes = ((0, 4096), (4096 + (8 << 20), 4096))
    file = File("Files/f", file_attributes=0x220, creation_time=1, last_write_time=1, size=len(content))
    tar = tar_of([(FILES, None, None), (file, content, holes)])
    import_layer_from_tar(io.BytesIO(tar), tmp_path / "layer")
    found = (tmp_path / "layer/Files/f").stat()
    assert found.st_size == len(content)
    if not WINDOWS:
        assert found.st_blocks * 512 < 1 << 20
    assert (tmp_path / "layer/Files/f").read_bytes() == content
    assert exported(tmp_path / "layer") == tar


def test_an_edit_of_the_hole_at_the_end_of_a_file(tmp_path: Path) -> None:
    """The record has the digest of what is allocated only, so the holes are looked at too."""
    content = b"a" * 4096 + bytes(1 << 20)
    file = File("Files/f", file_attributes=0x220, creation_time=1, last_write_time=1, size=len(content))
    tar = tar_of([(FILES, None, None), (file, content, ((0, 4096),))])
    import_layer_from_tar(io.BytesIO(tar), tmp_path / "layer")
    edited = content[:-1] + b"z"
    with open(tmp_path / "layer/Files/f", "r+b") as stream:
        stream.seek(-1, os.SEEK_END)
        stream.write(edited[-1:])
    assert contents(tmp_path / "layer")["Files/f"] == edited


def test_a_hole_that_holds_data_is_refused(tmp_path: Path) -> None:
    member = M("Files/f", b"a" * 10, pax={"MSWINDOWS.fileattr": "512", "WCLAYER.sparse": "0,4"})
    with pytest.raises(FormatError, match="hole"):
        put(tmp_path / "layer", member)
    assert list(tmp_path.iterdir()) == []


def test_boot_files_are_saved_and_given_back(tmp_path: Path) -> None:
    folders = [directory("/".join(["UtilityVM", "Files", "EFI", "Microsoft", "Boot"][: n + 1])) for n in range(5)]
    boot = "UtilityVM/Files/EFI/Microsoft/Boot"
    put(tmp_path / "layer", *folders, M(f"{boot}/BCD", b"original"), M(f"{boot}/BCD.LOG1", b"log"))
    layer = tmp_path / "layer"
    assert (layer / "bcd.bak").read_bytes() == b"original"
    assert (layer / "bcd.log1.bak").read_bytes() == b"log"
    assert not (layer / "bcd.log.bak").exists()
    before = exported(layer)
    (layer / boot / "BCD").write_bytes(b"edited by hand, longer")
    assert contents(layer)[f"{boot}/BCD"] == b"edited by hand, longer"
    (layer / "UtilityVM" / "SystemTemplateBase.vhdx").write_bytes(b"Windows was here")
    (layer / "layout").write_bytes(b"vhd-with-hives\n")
    (layer / "Hives").mkdir()
    (layer / "Hives" / "System_Base").write_bytes(b"regf")
    assert contents(layer)[f"{boot}/BCD"] == b"original"
    assert set(contents(layer)) == {entry.path for entry, _, _ in items_of(before)}


# --- a tree without a record, and hand edits ---------------------------------------


@needs_symlinks
@posix_only("times of a symlink")
def test_defaults_depend_on_nothing_but_the_tree(tmp_path: Path) -> None:
    tree = tmp_path / "tree" / "Files"
    (tree / "sub").mkdir(parents=True)
    (tree / "f").write_bytes(b"x")
    (tree / "empty").write_bytes(b"")
    (tree / "link").symlink_to("sub")
    for path in (tree / "f", tree / "empty", tree / "sub", tree):
        os.utime(path, ns=(5, 1_600_000_000_123_456_789))
    os.utime(tree / "link", ns=(5, 1_600_000_000_123_456_789), follow_symlinks=False)
    time = 132444736001234567
    times = {
        "creation_time": time,
        "last_access_time": time,
        "last_write_time": time,
        "change_time": time,
    }
    found = entries(tmp_path / "tree")
    assert found == {
        "Files": Directory("Files", file_attributes=0x10, security_descriptor=DIRECTORY_DESCRIPTOR, **times),  # type: ignore[arg-type]
        "Files/empty": File(
            "Files/empty",
            file_attributes=0x20,
            data_stream=False,
            security_descriptor=FILE_DESCRIPTOR,
            **times,  # type: ignore[arg-type]
        ),
        "Files/f": File("Files/f", file_attributes=0x20, size=1, security_descriptor=FILE_DESCRIPTOR, **times),  # type: ignore[arg-type]
        "Files/link": Directory(
            "Files/link",
            file_attributes=0x410,
            security_descriptor=DIRECTORY_DESCRIPTOR,
            reparse_data=build_link("sub", False),
            **times,  # type: ignore[arg-type]
        ),
        "Files/sub": Directory("Files/sub", file_attributes=0x10, security_descriptor=DIRECTORY_DESCRIPTOR, **times),  # type: ignore[arg-type]
    }


@pytest.mark.parametrize(
    "make",
    [
        pytest.param("fifo", marks=posix_only("a pipe in a folder")),
        pytest.param("backslash", marks=posix_only("names")),
        pytest.param("case", marks=posix_only("names by case")),
        pytest.param("escape", marks=needs_symlinks),
        pytest.param("absolute", marks=needs_symlinks),
    ],
)
def test_what_no_layer_can_hold_is_refused(tmp_path: Path, make: str) -> None:
    tree = tmp_path / "tree" / "Files"
    tree.mkdir(parents=True)
    if make == "fifo":
        os.mkfifo(tree / "x")
    elif make == "backslash":
        (tree / "a\\b").write_bytes(b"")
    elif make == "case":
        (tree / "x").write_bytes(b"")
        (tree / "X").write_bytes(b"")
    else:
        (tree / "x").symlink_to("../../outside" if make == "escape" else "/etc/passwd")
    with pytest.raises((InexpressibleError, FormatError)) as caught:
        exported(tmp_path / "tree")
    assert caught.value.path is not None
    assert caught.value.path.startswith("Files/")


def test_hand_edits(tmp_path: Path) -> None:
    layer = tmp_path / "layer"
    security = {"MSWINDOWS.rawsd": "AQAEgAAAAAAAAAAAAAAAAAAAAAA=", "MSWINDOWS.fileattr": "33"}
    put(
        layer,
        *(M(f"Files/{name}", b"same", pax=security) for name in ("kept", "touched", "edited", "gone")),
        M("Files/first", b"data"),
        M("Files/second", type="1", link="Files/first"),
    )
    before = entries(layer)
    (layer / "Files/touched").touch()
    (layer / "Files/edited").write_bytes(b"EDIT")
    os.utime(layer / "Files/edited", ns=(0, 1_700_000_000_000_000_000))
    (layer / "Files/gone").unlink()
    (layer / "Files/new").write_bytes(b"new")
    (layer / "Files/first").unlink()
    (layer / "Files/first").write_bytes(b"data")  # the same content: still the file that second is a name of
    after = entries(layer)
    assert set(after) == set(before) - {"Files/gone"} | {"Files/new"}
    for name in ("kept", "touched", "first", "second", "dir"):
        assert after[f"Files/{name}"] == before[f"Files/{name}"]
    edited, old = after["Files/edited"], before["Files/edited"]
    assert isinstance(edited, File)
    assert isinstance(old, File)
    assert (edited.security_descriptor, edited.file_attributes) == (old.security_descriptor, 33)
    assert edited.last_write_time == 133444736000000000
    assert contents(layer)["Files/edited"] == b"EDIT"


def test_copying_the_folder_changes_nothing(tmp_path: Path) -> None:
    import shutil

    put(
        tmp_path / "layer",
        M("Files/f", b"data"),
        M("Files/g", type="1", link="Files/f"),
        M("Files/f2"),
        M("Files/f2:s", b"s"),
    )
    before = exported(tmp_path / "layer")
    shutil.copytree(tmp_path / "layer", tmp_path / "copy", copy_function=shutil.copyfile, symlinks=True)
    assert exported(tmp_path / "copy") == before


def test_a_stream_whose_data_are_gone(tmp_path: Path) -> None:
    put(tmp_path / "layer", M("Files/f"), M("Files/f:s", b"s"))
    [stream] = (tmp_path / "layer" / "Streams").iterdir()
    stream.unlink()
    with pytest.raises(NotFoundError, match="stream"):
        exported(tmp_path / "layer")


# --- on top of parents -------------------------------------------------------------


@pytest.fixture
def stack(tmp_path: Path) -> tuple[Path, Path]:
    """A base and a layer on it: (nearest, base)."""
    base, middle = tmp_path / "base", tmp_path / "middle"
    put(base, M("Files/a", b"a"), M("Files/dir/b", b"b"), M("Files/c", b"c"), M("Files/c:s", b"s"))
    put(middle, M("Files/.wh.a"), M("Files/dir/b", b"new b"), parents=(base,))
    return middle, base


def test_links_into_parents(tmp_path: Path, stack: tuple[Path, Path]) -> None:
    link = M("Files/l", type="1", link="Files/dir/b")
    put(tmp_path / "top", link, parents=stack)
    assert (tmp_path / "top/Files/l").read_bytes() == b"new b"
    exported_link = entries(tmp_path / "top")["Files/l"]
    assert isinstance(exported_link, HardLink)
    assert exported_link.target == "Files/dir/b"
    assert exported(tmp_path / "top", stack) == exported(tmp_path / "top")
    for gone in ("Files/a", "Files/nothing"):
        with pytest.raises(LayerError, match="nothing"):
            put(tmp_path / "bad", M("Files/l", type="1", link=gone), parents=stack)
    put(tmp_path / "far", M("Files/l", type="1", link="Files/C"), parents=stack)
    (tmp_path / "top/Files/l").write_bytes(b"changed by hand")
    assert isinstance(entries(tmp_path / "top")["Files/l"], File)


def test_a_link_to_a_link_into_a_parent(tmp_path: Path, stack: tuple[Path, Path]) -> None:
    links = [M("Files/l", type="1", link="Files/dir/b"), M("Files/m", type="1", link="Files/L")]
    put(tmp_path / "top", *links, parents=stack)
    found = entries(tmp_path / "top").values()
    targets = {entry.path: entry.target for entry in found if isinstance(entry, HardLink)}
    assert targets == {"Files/l": "Files/dir/b", "Files/m": "Files/dir/b"}
    assert (tmp_path / "top/Files/m").read_bytes() == b"new b"


def test_whiteouts_are_kept_in_their_place(tmp_path: Path, stack: tuple[Path, Path]) -> None:
    put(
        tmp_path / "top",
        M("Files/.wh.c"),
        M("Files/dir/.wh.b"),
        M("Files/elsewhere/deep/.wh.x"),
        M("Files/z"),
        parents=stack,
    )
    order = [entry.path for entry, _, _ in items_of(exported(tmp_path / "top"))]
    assert order == ["Files", "Files/c", "Files/elsewhere/deep/x", "Files/dir", "Files/dir/b", "Files/z"]
    kinds = {path: type(entry) for path, entry in entries(tmp_path / "top").items()}
    assert kinds["Files/c"] is kinds["Files/dir/b"] is Whiteout


def test_changes_of_the_utility_vm(tmp_path: Path) -> None:
    vm = [directory("UtilityVM"), directory("UtilityVM/Files"), directory("UtilityVM/Files/d")]
    put(tmp_path / "base", *vm, M("UtilityVM/Files/d/old", b"old"), M("UtilityVM/Files/d/kept", b"kept"))
    changes = [M("UtilityVM/Files/d/.wh.OLD"), M("UtilityVM/Files/d/l", type="1", link="UtilityVM/Files/d/kept")]
    put(tmp_path / "top", *vm, *changes, parents=(tmp_path / "base",))
    assert (tmp_path / "top/UtilityVM/Files/d/l").read_bytes() == b"kept"
    found = entries(tmp_path / "top")
    assert isinstance(found["UtilityVM/Files/d/OLD"], Whiteout)
    assert isinstance(found["UtilityVM/Files/d/l"], HardLink)
    assert not (tmp_path / "top/bcd.bak").exists()


@pytest.mark.parametrize(
    "members",
    [
        [M("Files/.wh.c"), M("Files/C")],
        [M("Files/c"), M("Files/.wh.C")],
        [M("Files/.wh.c"), M("Files/.wh.C")],
        [M("Hives/.wh.c")],
        [directory("UtilityVM"), directory("UtilityVM/Files"), M("UtilityVM/Files/.wh.not-there")],
    ],
    ids=["after", "before", "twice", "outside", "utility-vm"],
)
def test_whiteouts_that_cannot_be(tmp_path: Path, stack: tuple[Path, Path], members: list[M]) -> None:
    with pytest.raises(LayerError):
        put(tmp_path / "top", *members, parents=stack)
    assert not (tmp_path / "top").exists()


def test_a_wrong_order_of_parents(tmp_path: Path, stack: tuple[Path, Path]) -> None:
    middle, base = stack
    for wrong in ((base, middle), (middle,), (base, base), (middle, middle, base)):
        with pytest.raises(UsageError) as caught:
            put(tmp_path / "top", parents=wrong)
        assert caught.value.hint is not None
        assert "nearest" in caught.value.hint
    with pytest.raises(UsageError):
        exported(middle, (middle,))
    with pytest.raises(UsageError):
        exported(base, (base,))
    with pytest.raises(NotFoundError):
        put(tmp_path / "top", parents=(tmp_path / "nowhere",))


# --- hostile folders ---------------------------------------------------------------


@pytest.mark.parametrize(
    "sql",
    [
        "PRAGMA user_version = 99",
        "PRAGMA user_version = 1",
        "PRAGMA application_id = 1",
        "CREATE VIEW x AS SELECT 1",
        "DROP TABLE whiteout",
        "UPDATE entry SET kind = 'x' WHERE name = 'f'",
        "UPDATE entry SET size = -1",
        "UPDATE entry SET descriptor = 77 WHERE kind = 2",
        "UPDATE entry SET kind = 4, target = 99 WHERE kind = 2",
        "UPDATE entry SET kind = 4, target = 1 WHERE kind = 2",
        "UPDATE entry SET sha256 = x'00' WHERE kind = 2",
    ],
)
def test_a_hostile_record(tmp_path: Path, sql: str) -> None:
    put(tmp_path / "layer", M("Files/f", b"x", pax={"MSWINDOWS.rawsd": "AAAA"}))
    (tmp_path / "layer/layer.db").chmod(0o644)
    with sqlite3.connect(tmp_path / "layer/layer.db") as db:
        db.execute(sql)
    db.close()
    with pytest.raises(RecordError):
        exported(tmp_path / "layer")


def test_garbage_and_no_layer(tmp_path: Path) -> None:
    put(tmp_path / "layer", M("Files/f", b"x"))
    for garbage in (b"", b"SQLite format 3\0" + b"\xff" * 5000, b"x" * 9000):
        (tmp_path / "layer/layer.db").write_bytes(garbage)
        with pytest.raises(RecordError):
            exported(tmp_path / "layer")
    (tmp_path / "empty").mkdir()
    with pytest.raises(NotFoundError):
        exported(tmp_path / "empty")
    with pytest.raises(NotFoundError):
        exported(tmp_path / "nowhere")
    with pytest.raises(NotFoundError):
        open_layer(tmp_path / "nowhere")


def test_a_name_in_the_record_does_not_lead_outside(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    put(tmp_path / "layer", M("Files/" + "字" * 100, b"x"))
    with sqlite3.connect(tmp_path / "layer/layer.db") as db:
        db.execute("UPDATE extra SET data = ? WHERE what = 'host_name'", (b"../../secret",))
    db.close()
    with open_folder(tmp_path / "layer") as layer, pytest.raises(WclayerError):
        layer.open("Files/" + "字" * 100).read()


def test_no_path_leaves_the_root(tmp_path: Path) -> None:
    (tmp_path / "root" / "dir").mkdir(parents=True)
    (tmp_path / "root" / "f").write_bytes(b"inside")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "f").write_bytes(b"")
    if SYMLINKS:
        (tmp_path / "root" / "link").symlink_to(tmp_path / "outside")
        (tmp_path / "root" / "flink").symlink_to("f")
    root = open_root(os.fsencode(tmp_path / "root"))
    for path in (b"../outside/x", b"/etc/x", b"dir/../../outside/x", b"link/x", b"", b".", b"a//b", b"a\0b"):
        for action in (root.mkdir, root.create, root.open, root.lstat, root.readlink):
            with pytest.raises((ConfinementError, OSError)):
                action(path)
    with pytest.raises((ConfinementError, OSError)):
        root.open(b"flink")
    with pytest.raises((ConfinementError, OSError)):
        root.open(b"dir")
    with pytest.raises((ConfinementError, OSError)):
        root.link(b"f", b"link/g")
    assert sorted(path.name for path in (tmp_path / "outside").iterdir()) == ["f"]
    fd = root.create(b"dir/new")
    os.write(fd, b"x")
    os.close(fd)
    root.link(b"dir/new", b"again")
    root.mkdir(b"dir/sub")
    if SYMLINKS:
        root.symlink(b"new", b"dir/l", directory=False)
        assert root.readlink(b"dir/l") == b"new"
    assert {name for name, _ in root.list(b"dir")} == {b"new", b"sub", *([b"l"] if SYMLINKS else [])}
    assert root.exists(b"again")
    assert not root.exists(b"never")
    root.utime(b"again", (1_000_000_000, 2_000_000_000))
    assert root.lstat(b"dir/new").st_mtime == 2
    root.close()


@posix_only("named pipes")
def test_a_pipe_in_the_place_of_a_file_is_not_waited_for(tmp_path: Path) -> None:
    """Opening one waits for somebody who writes into it, unless O_NONBLOCK is given."""
    os.mkfifo(tmp_path / "pipe")
    root = open_root(os.fsencode(tmp_path))
    for action in (root.open, root.rewrite):
        with pytest.raises(ConfinementError):
            action(b"pipe")
    root.close()


@posix_only("modes")
def test_modes_of_what_is_made_are_the_umask_s(tmp_path: Path) -> None:
    old = os.umask(0o027)
    try:
        put(tmp_path / "layer", M("Files/f"))
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "layer/Files/f").stat().st_mode) == 0o640
    assert stat.S_IMODE((tmp_path / "layer/Files").stat().st_mode) == 0o750


@posix_only("limits")
def test_many_parents_need_few_descriptors(tmp_path: Path) -> None:
    import resource

    deep = "Files/a/b/c/d/e/f/g/h/i/j"
    count = 41
    for number in range(count):
        (tmp_path / str(number) / deep).mkdir(parents=True)
        (tmp_path / str(number) / deep / f"f{number}").write_bytes(b"x")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    used = len(os.listdir("/dev/fd"))
    resource.setrlimit(resource.RLIMIT_NOFILE, (used + 2 * count + 18, hard))  # two a layer, and a few
    try:
        with Stack([tmp_path / str(number) for number in range(count)]) as stack:
            found = [stack.lookup(f"{deep}/f{number}") is not None for number in range(count + 1)]
            assert found == [True] * count + [False]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
