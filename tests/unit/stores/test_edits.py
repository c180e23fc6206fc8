"""Hand edits of a layer folder: what status says of them, and what they leave of the original tar."""

from __future__ import annotations

import io
import os
import shutil
import sqlite3
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.hosts import needs_symlinks
from tests.strategies import items_of
from tests.tars import BASE, M, build, directory
from wclayer import export_layer_to_tar, import_layer_from_tar
from wclayer.entry import AlternateStream, Directory, File, HardLink, Whiteout
from wclayer.errors import DigestMismatchError, RecordError, UsageError
from wclayer.stores.folders import open_folder

SD = "AQAAgBQAAAAkAAAAAAAAAAAAAAABAgAAAAAABSAAAAAgAgAAAQIAAAAAAAUgAAAAIAIAAA=="
TAR = build(
    [
        *BASE,
        M("Files/a", b"first", pax={"MSWINDOWS.fileattr": "33", "MSWINDOWS.rawsd": SD}),
        M("Files/a:s", b"stream"),
        M("Files/b", type="1", link="Files/a"),
        M("Files/c", b"third", mode=0o7777),
        M("Files/dir/d", b"fourth"),
        directory("Files/dir/e"),
        M("Files/dir/e/f", b"fifth"),
        M("Files/l", type="2", link="c"),
    ]
)


@pytest.fixture
def layer(tmp_path: Path) -> Path:
    import_layer_from_tar(io.BytesIO(TAR), tmp_path / "layer")
    return tmp_path / "layer"


def status(folder: Path, *, verify_content: bool = False) -> list[tuple[str, str]]:
    with open_folder(folder, verify_content=verify_content) as layer:
        return list(layer.status())


def exported(folder: Path, *, verify_content: bool = False) -> bytes:
    output = io.BytesIO()
    export_layer_to_tar(folder, output, framing="original", verify_content=verify_content)
    return output.getvalue()


def kinds(tar: bytes) -> list[tuple[str, str]]:
    return [
        (type(entry).__name__, entry.path + (f":{entry.name}" if isinstance(entry, AlternateStream) else ""))
        for entry, _, _ in items_of(tar)
    ]


def write(path: Path, data: bytes) -> None:
    """Another file of that name, as an editor makes one."""
    other = path.with_name("being-written")
    other.write_bytes(data)
    other.replace(path)


def edit_new(folder: Path) -> None:
    (folder / "Files" / "dir" / "new").write_bytes(b"new")
    (folder / "Files" / "folder").mkdir()
    (folder / "Files" / "folder" / "x").write_bytes(b"x")


def edit_gone(folder: Path) -> None:
    shutil.rmtree(folder / "Files" / "dir" / "e")
    (folder / "Files" / "c").unlink()


def edit_content(folder: Path) -> None:
    write(folder / "Files" / "c", b"changed")
    write(folder / "Files" / "dir" / "d", b"FOURTH")
    os.utime(folder / "Files" / "dir" / "d", ns=(0, 77 * 10**9))


def edit_first_name(folder: Path) -> None:
    (folder / "Files" / "a").unlink()


def edit_link(folder: Path) -> None:
    (folder / "Files" / "l").unlink()
    (folder / "Files" / "l").symlink_to("dir")


def edit_kind(folder: Path) -> None:
    (folder / "Files" / "c").unlink()
    (folder / "Files" / "c").mkdir()


def edit_stream(folder: Path) -> None:
    (stream,) = (folder / "Streams").iterdir()
    stream.write_bytes(b"longer than it was")


@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        (edit_new, [("new", "Files/dir/new"), ("new", "Files/folder/")]),
        (edit_gone, [("gone", "Files/c"), ("gone", "Files/dir/e/")]),
        (edit_content, [("changed", "Files/c"), ("changed", "Files/dir/d")]),
        (edit_first_name, [("gone", "Files/a")]),
        pytest.param(edit_link, [("changed", "Files/l")], marks=needs_symlinks),
        (edit_kind, [("gone", "Files/c"), ("new", "Files/c/")]),
        (edit_stream, [("changed", "Files/a:s")]),
    ],
)
def test_status_and_export(layer: Path, edit: Callable[[Path], None], expected: list[tuple[str, str]]) -> None:
    assert status(layer) == []
    edit(layer)
    assert status(layer) == expected
    original = io.BytesIO()
    export_layer_to_tar(layer, original)
    canonical = io.BytesIO()
    export_layer_to_tar(layer, canonical, framing="canonical")
    # The same entries, in another order; a changed file keeps its security, new ones get theirs alike.
    before = {str((entry, content)) for entry, content, _ in items_of(original.getvalue())}
    after = {str((entry, content)) for entry, content, _ in items_of(canonical.getvalue())}
    assert before == after
    # What nobody touched has its own bytes still.
    touched = tuple(path.rstrip("/") for _, path in expected)
    for (entry, content, _), block in zip(items_of(TAR), members(TAR), strict=True):
        name = entry.path + (f":{entry.name}" if isinstance(entry, AlternateStream) else "")
        if name.startswith(touched) or (edit is edit_first_name and name in ("Files/a:s", "Files/b")):
            continue
        assert block in original.getvalue(), (name, content)
    assert original.getvalue().endswith(TAR[-1024:])


def members(tar: bytes) -> list[bytes]:
    """The bytes of each member: headers, content, padding."""
    with tarfile.open(fileobj=io.BytesIO(tar)) as file:
        starts = [(m.offset, m.offset_data + (m.size + 511) // 512 * 512 * m.isreg()) for m in file]
    return [tar[start:end] for start, end in starts]


def test_a_first_name_that_is_gone_gives_its_place_to_the_next(layer: Path) -> None:
    edit_first_name(layer)
    assert kinds(exported(layer))[2:5] == [("File", "Files/b"), ("AlternateStream", "Files/b:s"), ("File", "Files/c")]


def test_new_names_of_known_files_are_links(layer: Path) -> None:
    os.link(layer / "Files" / "c", layer / "Files" / "dir" / "again")
    links = [entry for entry, _, _ in items_of(exported(layer)) if isinstance(entry, HardLink)]
    assert [(link.path, link.target) for link in links] == [("Files/b", "Files/a"), ("Files/dir/again", "Files/c")]


def test_an_edit_that_keeps_size_and_time_is_found_by_content_alone(layer: Path) -> None:
    path = layer / "Files" / "c"
    found = path.stat()
    path.write_bytes(b"THIRD")
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))
    assert status(layer) == []
    with pytest.raises(DigestMismatchError, match="nothing looks edited") as caught:
        exported(layer)
    assert caught.value.hint is not None
    assert "--verify-content" in caught.value.hint
    assert status(layer, verify_content=True) == [("changed", "Files/c")]
    contents = {entry.path: content for entry, content, _ in items_of(exported(layer, verify_content=True))}
    assert contents["Files/c"] == b"THIRD"


def test_touching_and_copying_changes_nothing(layer: Path, tmp_path: Path) -> None:
    shutil.copytree(layer, tmp_path / "copy", symlinks=True, copy_function=shutil.copyfile)
    assert status(tmp_path / "copy") == []
    assert exported(tmp_path / "copy") == TAR


def test_boot_files_that_windows_has_rewritten_are_the_original_ones(tmp_path: Path) -> None:
    boot = "UtilityVM/Files/EFI/Microsoft/Boot"
    parts = boot.split("/")
    above = [directory("/".join(parts[: number + 1])) for number in range(len(parts))]
    tar = build([*BASE, *above, M(f"{boot}/BCD", b"regf original"), M(f"{boot}/BCD.LOG", b"")])
    folder = tmp_path / "layer"
    import_layer_from_tar(io.BytesIO(tar), folder)
    write(folder / boot / "BCD", b"regf as ProcessUtilityImage leaves it")
    assert status(folder) == [("changed", f"{boot}/BCD")]  # so far somebody's edit
    (folder / "layout").write_bytes(b"vhd-with-hives\n")
    assert status(folder) == []
    assert exported(folder) == tar


def test_non_base(layer: Path, tmp_path: Path) -> None:
    upper = build(
        [
            *BASE,
            M("Files/.wh.c"),
            M("Files/dir/.wh.d"),
            M("Files/z", type="1", link="Files/a"),
            M("Files/new", b"new"),
            directory("Hives"),
            M("Hives/System_Delta", b"regf"),
        ]
    )
    import_layer_from_tar(io.BytesIO(upper), tmp_path / "upper", [layer])
    assert status(tmp_path / "upper") == []
    assert exported(tmp_path / "upper") == upper
    write(tmp_path / "upper" / "Files" / "z", b"no link any more")
    (tmp_path / "upper" / "Files" / "new").unlink()
    assert status(tmp_path / "upper") == [("changed", "Files/z"), ("gone", "Files/new")]
    entries = [entry for entry, _, _ in items_of(exported(tmp_path / "upper"))]
    assert [type(entry) for entry in entries] == [Directory, Directory, Whiteout, Whiteout, File, Directory, File]


def test_a_folder_without_a_record(tmp_path: Path) -> None:
    (tmp_path / "Files" / "dir").mkdir(parents=True)
    (tmp_path / "Files" / "f").write_bytes(b"f")
    assert status(tmp_path) == [("new", "Files/")]
    with pytest.raises(UsageError, match="not known"):
        exported(tmp_path)


def test_modes_are_for_the_canonical_framing(layer: Path) -> None:
    with pytest.raises(UsageError, match="modes"):
        export_layer_to_tar(layer, io.BytesIO(), framing="original", modes=True)
    output = io.BytesIO()
    export_layer_to_tar(layer, output, modes=True)
    assert output.getvalue() != TAR


@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM entry WHERE id = 6",
        "UPDATE entry SET id = 99 WHERE id = 6",
        "UPDATE entry SET parent = 9 WHERE id = 6",
        "UPDATE entry SET parent = 3 WHERE id = 6",
        "UPDATE entry SET parent = id WHERE id = 2",  # a directory in itself
        # A link to the last file of the tar, which lies in itself.
        "UPDATE entry SET parent = CASE id WHEN 10 THEN 10 ELSE parent END, target = CASE kind WHEN 4 THEN 10 END",
        "INSERT INTO whiteout VALUES ('FILES/X', 'Files/x')",
        "UPDATE framing SET data = 7",
        "UPDATE extra SET data = 4611686018427387904",
        "UPDATE extra SET data = 'text'",
    ],
)
def test_a_record_that_does_not_fit(layer: Path, damage: str) -> None:
    db = sqlite3.connect(layer / "layer.db")
    db.execute(damage)
    db.commit()
    db.close()
    with pytest.raises(RecordError):
        exported(layer)
