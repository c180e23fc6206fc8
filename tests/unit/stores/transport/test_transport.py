"""Transport folders: what is written byte for byte, what is read of what others wrote, hand edits, bad input."""

from __future__ import annotations

import io
import os
import shutil
import stat
import struct
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.strategies import Item, body_of, items_of
from tests.tars import BASE, M, build, directory
from wclayer import TransportFolder, export_layer_to_tar, import_layer_from_tar, open_layer
from wclayer.body import BytesBody, StreamBody
from wclayer.entry import AlternateStream, Directory, Entry, ExtendedAttribute, File, HardLink, Whiteout
from wclayer.errors import (
    AlreadyExistsError,
    BackupStreamError,
    ConfinementError,
    FormatError,
    InexpressibleError,
    InvalidNameError,
    LayerError,
    NotFoundError,
    RecordError,
    UsageError,
    WclayerError,
)
from wclayer.layers.stack import Stack
from wclayer.stores.folder.source import LayerFolder
from wclayer.stores.folders import new_folder, open_folder
from wclayer.stores.transport.sink import TransportSink
from wclayer.win32.reparse import build_link
from wclayer.win32.sddl import parse_sddl

EPOCH = 116444736000000000
WRITTEN = EPOCH + 1_600_000_000 * 10**7  # of what `tests.tars` builds
SD = parse_sddl("O:BAG:SYD:(A;;FA;;;BA)")
LINK = build_link("c:\\windows", True)
TIMES: dict[str, Any] = {
    "creation_time": EPOCH + 1,
    "last_access_time": EPOCH + 20_000_000,
    "last_write_time": EPOCH + 30_000_000,
    "change_time": EPOCH + 4,
}


# --- a model of what a file of a transport folder is, of nothing of ours ------------


def stream(number: int, data: bytes, name: str = "", attributes: int = 0) -> bytes:
    text = name.encode("utf-16-le")
    return struct.pack("<IIQI", number, attributes, len(data), len(text)) + text + data


def stored(attributes: int, *streams: bytes) -> bytes:
    return struct.pack("<I", attributes) + b"".join(streams)


def names(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


# --- writing -----------------------------------------------------------------------

ENTRIES: list[Item] = [
    (Directory("Files", file_attributes=0x16, security_descriptor=SD, **TIMES), None, None),
    (Directory("Files/d", **TIMES), None, None),
    (AlternateStream("Files/d", "of a directory", 3), b"dir", None),
    (Directory("Files/d/j", file_attributes=0x410, reparse_data=LINK, **TIMES), None, None),
    (
        File(
            "Files/f",
            file_attributes=0x21,
            size=5,
            security_descriptor=SD,
            extended_attributes=(ExtendedAttribute(b"A", b"value", 0x80),),
            short_name="F~1",
            object_id=b"i" * 16,
            backup_streams=((6, b"p"),),
            **TIMES,
        ),
        b"hello",
        None,
    ),
    (AlternateStream("Files/f", "s", 2), b"st", None),
    (AlternateStream("Files/f", "t", 0), b"", None),
    (HardLink("Files/hard", "Files/f", **TIMES), None, None),
    (File("Files/empty", data_stream=False, **TIMES), None, None),
    (File("Files/link", file_attributes=0x420, reparse_data=LINK, data_stream=False, **TIMES), None, None),
    (
        File("Files/sparse", file_attributes=0x220, size=10, **TIMES),
        b"\0\0ab\0\0c\0\0\0",
        ((2, 2), (6, 1)),
    ),
    (Whiteout("Files/gone"), None, None),
    (Whiteout("Files/d/not there\u00e9"), None, None),
    (Directory("Hives", **TIMES), None, None),
    (File("Hives/System_Delta", size=4, security_descriptor=SD, **TIMES), b"regf", None),
]
CONTENT = {
    "Files.$wcidirs$": stored(0x16, stream(3, SD)),
    "Files/d.$wcidirs$": stored(0x10, stream(4, b"dir", ":of a directory:$DATA")),
    "Files/d/j.$wcidirs$": stored(0x410, stream(8, LINK)),
    "Files/f": stored(
        0x21,
        stream(3, SD),
        stream(2, struct.pack("<IBBH", 0, 0x80, 1, 5) + b"A\0value\0"),
        stream(1, b"hello"),
        stream(4, b"st", ":s:$DATA"),
        stream(4, b"", ":t:$DATA"),
        stream(7, b"i" * 16),
        stream(6, b"p"),
    ),
    "Files/empty": stored(0x20, stream(1, b"")),
    "Files/link": stored(0x420, stream(8, LINK)),
    "Files/sparse": stored(
        0x220,
        stream(1, b"", "", 8),
        stream(9, struct.pack("<Q", 2) + b"ab", "", 8),
        stream(9, struct.pack("<Q", 6) + b"c", "", 8),
        stream(9, struct.pack("<Q", 10), "", 8),
    ),
    "Hives.$wcidirs$": stored(0x10),
    "Hives/System_Delta": b"regf",
}
DIRECTORIES = {"Files", "Files/d", "Files/d/j", "Hives"}


def base_of(folder: Path) -> TransportFolder:
    import_layer_from_tar(io.BytesIO(build([*BASE, M("Files/f", b"base"), M("Files/gone")])), TransportFolder(folder))
    return TransportFolder(folder)


def need_plain_folders() -> None:
    if os.name == "nt":
        pytest.skip("on Windows a layer folder is made by another store, with privileges")


def make(folder: Path, parent: TransportFolder, *, tombstones: bool = False) -> Path:
    with Stack([parent]) as stack, TransportSink(folder, parents=stack, tombstones=tombstones) as sink:
        for entry, content, extents in ENTRIES:
            sink.add(entry, body_of(content, extents))
        sink.commit()
    return folder


@pytest.fixture
def layer(tmp_path: Path) -> Path:
    return make(tmp_path / "layer", base_of(tmp_path / "base"))


def test_what_is_written(tmp_path: Path, layer: Path) -> None:
    for name in CONTENT:
        found = (layer / name).stat()
        assert found.st_mtime_ns == 3 * 10**9, name
        # On Windows, what looks at a file may change its access time.
        assert os.name == "nt" or found.st_atime_ns == 2 * 10**9, name
    assert {name: (layer / name).read_bytes() for name in names(layer) - DIRECTORIES} == CONTENT
    assert names(layer) & DIRECTORIES == DIRECTORIES
    assert {path.name for path in tmp_path.iterdir()} == {"base", "base.layer.db", "layer", "layer.layer.db"}


def test_what_was_written_is_read(layer: Path) -> None:
    with open_folder(TransportFolder(layer)) as source:
        assert (source.base, source.store, source.diff_id) == (False, "transport", None)
        found = [(entry, None if body is None else body.read()) for entry, body in source.entries()]
        assert {(entry, content or b"") for entry, content in found} == {
            (entry, content or b"") for entry, content, _ in ENTRIES
        }
        assert [entry.path for entry, _ in found][:7] == [
            "Files",
            "Files/gone",
            "Files/d",
            "Files/d",
            "Files/d/not there\u00e9",
            "Files/d/j",
            "Files/empty",
        ]
        assert list(source.status()) == []


def test_random_access(layer: Path) -> None:
    with open_folder(TransportFolder(layer)) as source:
        assert source.lookup("Files/F") == ENTRIES[4][0]
        hard = source.lookup("Files/HARD")
        assert isinstance(hard, File)
        assert (hard.path, hard.size) == ("Files/hard", 5)
        assert source.open("Files/hard").read() == b"hello"
        assert source.open("Files/f", "S").read() == b"st"
        assert source.open("Files/d", "of a directory").read() == b"dir"
        assert list(source.streams("Files/hard")) == ["s", "t"]
        assert list(source.streams("Hives/System_Delta")) == []
        sparse = source.open("Files/sparse")
        assert (tuple(sparse.extents()), list(sparse.chunks())) == (((2, 2), (6, 1)), [(2, b"ab"), (6, b"c")])
        assert [entry.path for entry in source.children("Files/d")] == ["Files/d/j"]
        assert list(source.children("Files/d/j")) == []
        assert source.has_whiteout("Files/GONE")
        assert source.lookup("Files/nothing") is None
        assert source.lookup("Files/f/x") is None
        for path, name in (("Files/nothing", ""), ("Files/f", "none"), ("Files/d", "")):
            with pytest.raises(NotFoundError):
                source.open(path, name)


def test_tombstones_for_who_asks(tmp_path: Path) -> None:
    layer = make(tmp_path / "layer", base_of(tmp_path / "base"), tombstones=True)
    lines = ["\ufeffVersion 1.0", "\\gone", "\\d\\not there\u00e9", ""]
    assert (layer / "tombstones.txt").read_bytes() == "\r\n".join(lines).encode()
    with open_folder(TransportFolder(layer)) as source:
        assert source.has_whiteout("Files/d/NOT THERE\u00c9")
    os.unlink(tmp_path / "layer.layer.db")
    with open_folder(TransportFolder(layer)) as source:
        assert source.has_whiteout("Files/d/NOT THERE\u00c9")
        assert not source.has_whiteout("Files/d")
        assert not source.base


@pytest.mark.parametrize("end", ["\n", "\r"])
def test_tombstones_of_names_that_no_line_can_hold(tmp_path: Path, end: str) -> None:
    with (
        Stack([base_of(tmp_path / "base")]) as stack,
        TransportSink(tmp_path / "layer", parents=stack, tombstones=True) as sink,
    ):
        sink.add(Directory("Files"))
        with pytest.raises(InexpressibleError, match="line end"):
            sink.add(Whiteout(f"Files/a{end}b"))
    assert {path.name for path in tmp_path.iterdir()} == {"base", "base.layer.db"}


def test_a_large_file_takes_no_memory(tmp_path: Path) -> None:
    size = 48 << 20
    left = size

    def read(n: int) -> bytes:
        nonlocal left
        n = min(n, left)
        left -= n
        return bytes(n)

    tracemalloc.start()
    try:
        with new_folder(TransportFolder(tmp_path / "layer")) as sink:
            sink.add(Directory("Files"))
            sink.add(File("Files/f", size=size), StreamBody(size, read))
            sink.commit()
        with open_folder(TransportFolder(tmp_path / "layer"), verify_content=True) as source:
            assert sum(len(chunk) for _, chunk in source.open("Files/f").chunks()) == size
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()
    assert (tmp_path / "layer" / "Files" / "f").stat().st_size == 4 + 20 + size


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ([directory("UtilityVM")], "a utility VM"),
        ([M("Files/x.$wcidirs$")], "has for the metadata of a directory"),
        ([directory("Files/x.$WciDirs$")], "has for the metadata of a directory"),
        ([M("Files/f"), M("Files/x.$wcidirs$", type="1", link="Files/f")], "has for the metadata of a directory"),
        ([directory("Files/" + "d" * 250)], "too long"),
    ],
)
def test_what_it_cannot_hold(tmp_path: Path, members: list[M], message: str) -> None:
    if os.name == "nt" and message == "too long":
        pytest.skip("Windows counts UTF-16 code units, and has its own limits")
    with pytest.raises(InexpressibleError, match=message) as caught:
        import_layer_from_tar(io.BytesIO(build([*BASE, *members])), TransportFolder(tmp_path / "layer"))
    assert caught.value.path == members[-1].name
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ([Directory("Hives/d")], "a directory in Hives"),
        ([File("Hives/f", file_attributes=0x420, reparse_data=LINK)], "a reparse point in Hives"),
        ([File("Hives/f"), AlternateStream("Hives/f", "s")], "a named stream in Hives"),
        ([Whiteout("UtilityVM/Files/f")], "a utility VM"),
        ([HardLink("Files/f", "UtilityVM/Files/f")], "a utility VM"),
    ],
)
def test_what_hives_cannot_hold(tmp_path: Path, entries: list[Entry], message: str) -> None:
    with (
        Stack([base_of(tmp_path / "base")]) as stack,
        new_folder(TransportFolder(tmp_path / "layer"), parents=stack) as sink,
    ):
        for entry in (Directory("Files"), Directory("Hives"), *entries[:-1]):
            sink.add(entry)
        with pytest.raises(InexpressibleError, match=message):
            sink.add(entries[-1])
    assert {path.name for path in tmp_path.iterdir()} == {"base", "base.layer.db"}


def test_a_link_to_what_this_layer_replaces(tmp_path: Path) -> None:
    """Such a tar comes out again; in another order the link would lead to the new file, and there are no data."""
    base = base_of(tmp_path / "base")
    tar = build([*BASE, M("Files/l", type="1", link="Files/f"), M("Files/f", b"new")])
    place = TransportFolder(tmp_path / "layer")
    import_layer_from_tar(io.BytesIO(tar), place, [base])
    output = io.BytesIO()
    export_layer_to_tar(place, output)
    assert output.getvalue() == tar
    with pytest.raises(InexpressibleError, match="in whose place") as caught:
        export_layer_to_tar(place, io.BytesIO(), framing="canonical")
    assert (caught.value.path, caught.value.got) == ("Files/l", "Files/f")


# --- reading what others wrote -------------------------------------------------------


def exported(folder: Path, end: str = "\r\n") -> Path:
    """A folder as ExportLayer makes one (layer-format: the transport folder)."""
    ea = struct.pack("<IBBH", 0, 0, 2, 1) + b"EA\0v"
    content = {
        "Files.$wcidirs$": stored(0x10, stream(3, SD)),
        "Files/B": stored(0x20, stream(3, SD), stream(1, b"data"), stream(4, b"x", ":s:$DATA"), stream(2, ea)),
        "Files/a": stored(0x80),
        "Files/dir.$wcidirs$": stored(0x2010, stream(3, SD), stream(4, b"y", ":s:$DATA")),
        "Files/dir/link": stored(0x420, stream(8, LINK)),
        "Files/empty.$wcidirs$": stored(0x10),
        "Files/j1.$wcidirs$": stored(0x410, stream(8, LINK)),
        "Files/j2.$wcidirs$": stored(0x410, stream(8, LINK)),
        "Files/s": stored(
            0x220,
            stream(1, b"", "", 8),
            stream(9, struct.pack("<Q", 3) + b"z", "", 8),
            stream(9, struct.pack("<Q", 8), "", 8),
        ),
        "Hives.$wcidirs$": stored(0x10),
        "Hives/Sam_Delta": b"regf of Sam",
        "Hives/System_Delta": b"regf",
    }
    lines = ["\ufeffVersion 1.0", "\\z", "\\dir\\b", "\\dir\\a", "\\nowhere\\x", ""]
    for name in ("Files/dir", "Files/empty", "Files/j2", "Hives"):
        (folder / name).mkdir(parents=True)
    for number, (name, data) in enumerate(content.items(), 1):
        (folder / name).write_bytes(data)
        os.utime(folder / name, (1_000_000_000, 1_500_000_000 + number))
    (folder / "tombstones.txt").write_bytes(end.join(lines).encode())
    return folder


@pytest.mark.parametrize("end", ["\r\n", "\n"])
def test_an_export_of_windows(tmp_path: Path, end: str) -> None:
    folder = exported(tmp_path / "export", end)
    with open_folder(TransportFolder(folder)) as source:
        assert (source.base, source.store, source.has_framing) == (False, None, False)
        found = [(entry, None if body is None else body.read()) for entry, body in source.entries()]
        assert ("new", "Files/") in list(source.status())

    def times(number: int) -> dict[str, Any]:
        return dict.fromkeys(TIMES, EPOCH + (1_500_000_000 + number) * 10**7)

    system = times(12)
    expected: list[tuple[Entry, bytes | None]] = [
        (Directory("Files", security_descriptor=SD, **system), None),
        (Whiteout("Files/z"), None),
        (Whiteout("Files/nowhere/x"), None),
        (
            File(
                "Files/B",
                security_descriptor=SD,
                size=4,
                extended_attributes=(ExtendedAttribute(b"EA", b"v"),),
                **times(2),
            ),
            b"data",
        ),
        (AlternateStream("Files/B", "s", 1), b"x"),
        (File("Files/a", file_attributes=0x80, data_stream=False, **times(3)), b""),
        (Directory("Files/dir", file_attributes=0x2010, security_descriptor=SD, **times(4)), None),
        (AlternateStream("Files/dir", "s", 1), b"y"),
        (Whiteout("Files/dir/b"), None),
        (Whiteout("Files/dir/a"), None),
        (File("Files/dir/link", file_attributes=0x420, reparse_data=LINK, data_stream=False, **times(5)), b""),
        (Directory("Files/empty", **times(6)), None),
        (Directory("Files/j1", file_attributes=0x410, reparse_data=LINK, **times(7)), None),
        (Directory("Files/j2", file_attributes=0x410, reparse_data=LINK, **times(8)), None),
        (File("Files/s", file_attributes=0x220, size=8, **times(9)), b"\0\0\0z\0\0\0\0"),
        (Directory("Hives", **system), None),
        (File("Hives/Sam_Delta", size=11, **times(11)), b"regf of Sam"),
        (File("Hives/System_Delta", size=4, **system), b"regf"),
    ]
    if os.name == "nt":  # where creation times are the host's, and what reads a file may change its access time
        found = [(_without_own_times(entry), content) for entry, content in found]
        expected = [(_without_own_times(entry), content) for entry, content in expected]
    assert found == expected


def _without_own_times(entry: Entry) -> Entry:
    return replace(entry, creation_time=None, last_access_time=None) if isinstance(entry, Directory | File) else entry


def test_an_export_of_windows_into_a_tar_and_a_layer(tmp_path: Path) -> None:
    folder = TransportFolder(exported(tmp_path / "export"))
    output, again = io.BytesIO(), io.BytesIO()
    export_layer_to_tar(folder, output)
    output.seek(0)
    layer = TransportFolder(tmp_path / "layer")
    import_layer_from_tar(output, layer, [base_of(tmp_path / "base")])
    export_layer_to_tar(layer, again, framing="canonical")
    # A record has no order of whiteouts.
    assert {str(item) for item in items_of(again.getvalue())} == {str(item) for item in items_of(output.getvalue())}


def test_without_the_metadata_of_the_roots(tmp_path: Path) -> None:
    """hcsshim reads no such folder's Files.$wcidirs$."""
    folder = exported(tmp_path / "export")
    (folder / "Files.$wcidirs$").unlink()
    (folder / "Hives.$wcidirs$").unlink()
    time = EPOCH + 1_500_000_012 * 10**7
    with open_folder(TransportFolder(folder)) as source:
        found = [source.lookup("Files"), source.lookup("Hives")]
    assert [(entry.last_write_time, entry.security_descriptor) for entry in found if isinstance(entry, Directory)] == [
        (time, None),
        (time, None),
    ]


def test_what_kind_of_layer_it_is(tmp_path: Path) -> None:
    folder = exported(tmp_path / "export")
    place = TransportFolder(folder)

    def is_base(*, non_base: bool | None = None) -> bool:
        with open_folder(place, non_base=non_base) as source:
            return source.base

    assert not is_base()
    (folder / "tombstones.txt").unlink()
    assert not is_base()
    shutil.rmtree(folder / "Hives")
    assert is_base()
    assert not is_base(non_base=True)


def test_as_a_parent(tmp_path: Path) -> None:
    """A base in a transport folder, and a layer on top of it that links into it, and one on top of both."""
    base, middle = TransportFolder(tmp_path / "base"), TransportFolder(tmp_path / "middle")
    import_layer_from_tar(io.BytesIO(build([*BASE, M("Files/f", b"base"), M("Files/f:s", b"stream")])), base)
    tar = build([*BASE, M("Files/l", type="1", link="Files/f")])
    import_layer_from_tar(io.BytesIO(tar), middle, [base])
    assert not (tmp_path / "middle" / "Files" / "l").exists()
    with open_folder(middle) as source:
        assert source.lookup("Files/L") == HardLink("Files/l", "Files/f", file_attributes=0, **_link_times(source))
        assert [entry.path for entry in source.children("Files")] == ["Files/dir", "Files/l"]
        with pytest.raises(NotFoundError):
            source.open("Files/l")
    with Stack([middle, base]) as stack:
        assert stack.open("Files/l").read() == b"base"
        assert list(stack.streams("Files/l")) == ["s"]
    need_plain_folders()
    import_layer_from_tar(
        io.BytesIO(build([*BASE, M("Files/m", type="1", link="Files/l")])), tmp_path / "top", [middle, base]
    )
    assert (tmp_path / "top" / "Files" / "m").read_bytes() == b"base"


def _link_times(source: LayerFolder) -> dict[str, Any]:
    [link] = [entry for entry, _ in source.entries() if isinstance(entry, HardLink)]
    return {name: getattr(link, name) for name in TIMES}


# --- hand edits -------------------------------------------------------------------------

TAR = build(
    [
        *BASE,
        M("Files/a", b"first", pax={"MSWINDOWS.fileattr": "33"}),
        M("Files/a:s", b"stream"),
        M("Files/b", type="1", link="Files/a"),
        M("Files/c", b"third", mode=0o7777),
        M("Files/dir/d", b"fourth"),
        directory("Files/dir/e"),
        M("Files/dir/e/f", b"fifth"),
    ]
)
LATER = 1_700_000_000


@pytest.fixture
def edited(tmp_path: Path) -> Path:
    import_layer_from_tar(io.BytesIO(TAR), TransportFolder(tmp_path / "edited"))
    return tmp_path / "edited"


def write(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    os.utime(path, (LATER, LATER))


def edit_nothing(folder: Path) -> None:
    write(folder / "Files" / "c", (folder / "Files" / "c").read_bytes())
    write(folder / "Files" / "dir.$wcidirs$", (folder / "Files" / "dir.$wcidirs$").read_bytes())


def edit_content(folder: Path) -> None:
    write(folder / "Files" / "c", stored(0x20, stream(3, SD), stream(1, b"THIRD")))


def edit_first_name(folder: Path) -> None:
    write(folder / "Files" / "a", stored(0x21, stream(1, b"FIRST"), stream(4, b"stream", ":s:$DATA")))


def edit_stream(folder: Path) -> None:
    write(folder / "Files" / "a", stored(0x21, stream(1, b"first"), stream(4, b"STREAM", ":s:$DATA")))


def edit_add_stream(folder: Path) -> None:
    both = stream(4, b"stream", ":s:$DATA") + stream(4, b"more", ":t:$DATA")
    write(folder / "Files" / "a", stored(0x21, stream(1, b"first"), both))


def edit_no_stream(folder: Path) -> None:
    write(folder / "Files" / "a", stored(0x21, stream(1, b"first")))


def edit_directory(folder: Path) -> None:
    write(folder / "Files" / "dir.$wcidirs$", stored(0x12, stream(3, SD)))


def edit_gone(folder: Path) -> None:
    (folder / "Files" / "a").unlink()
    shutil.rmtree(folder / "Files" / "dir" / "e")
    (folder / "Files" / "dir" / "e.$wcidirs$").unlink()


def edit_new(folder: Path) -> None:
    write(folder / "Files" / "new", stored(0x26, stream(3, SD), stream(1, b"new"), stream(4, b"s", ":s:$DATA")))
    (folder / "Files" / "more").mkdir()
    write(folder / "Files" / "more.$wcidirs$", stored(0x10))
    write(folder / "Files" / "more" / "x", stored(0x20))


def edit_link(folder: Path) -> None:
    write(folder / "Files" / "b", stored(0x20, stream(1, b"own")))


def edit_kind(folder: Path) -> None:
    (folder / "Files" / "c").unlink()
    (folder / "Files" / "c").mkdir()
    write(folder / "Files" / "c.$wcidirs$", stored(0x10))


def unread(tar: bytes) -> set[str]:
    """The entries of a tar; on Windows without access times, which reading the folder changes."""
    found = set()
    for entry, content, _ in items_of(tar):
        if os.name == "nt" and isinstance(entry, Directory | File):
            found.add(str((replace(entry, last_access_time=None), content)))
        else:
            found.add(str((entry, content)))
    return found


@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        (edit_nothing, []),
        (edit_content, [("changed", "Files/c")]),
        (edit_first_name, [("changed", "Files/a")]),
        (edit_stream, [("changed", "Files/a:s")]),
        (edit_add_stream, [("changed", "Files/a:t")]),
        (edit_no_stream, [("gone", "Files/a:s")]),
        (edit_directory, [("changed", "Files/dir")]),
        (edit_gone, [("gone", "Files/a"), ("gone", "Files/b"), ("gone", "Files/dir/e/")]),
        (edit_new, [("new", "Files/more/"), ("new", "Files/new")]),
        (edit_link, [("gone", "Files/b"), ("new", "Files/b")]),
        (edit_kind, [("gone", "Files/c"), ("new", "Files/c/")]),
    ],
)
def test_status_and_export(edited: Path, edit: Callable[[Path], None], expected: list[tuple[str, str]]) -> None:
    edit(edited)
    place = TransportFolder(edited)
    for verify in (False, True):
        with open_folder(place, verify_content=verify) as source:
            assert list(source.status()) == expected
    original, canonical = io.BytesIO(), io.BytesIO()
    export_layer_to_tar(place, original)
    export_layer_to_tar(place, canonical, framing="canonical")
    assert unread(original.getvalue()) == unread(canonical.getvalue())
    assert (original.getvalue() == TAR) == (not expected)
    assert original.getvalue().endswith(TAR[-1024:])


def test_what_edits_give(edited: Path) -> None:
    """What the file says now, created when it was, written when its file was."""
    edit_content(edited)
    edit_new(edited)
    later = EPOCH + LATER * 10**7
    with open_folder(TransportFolder(edited)) as source:
        changed, new = source.lookup("Files/c"), source.lookup("Files/new")
        assert source.open("Files/c").read() == b"THIRD"
    assert isinstance(changed, File)
    assert isinstance(new, File)
    assert (changed.creation_time, changed.last_write_time) == (WRITTEN, later)
    assert (changed.file_attributes, changed.security_descriptor) == (0x20, SD)
    assert (new.file_attributes, new.security_descriptor, new.last_write_time) == (0x26, SD, later)


def test_an_edit_without_a_trace(edited: Path) -> None:
    path = edited / "Files" / "c"
    found = path.stat()
    path.write_bytes(path.read_bytes().replace(b"third", b"THIRD"))
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))
    place = TransportFolder(edited)
    with open_folder(place) as source:
        assert list(source.status()) == []
    with open_folder(place, verify_content=True) as source:
        assert list(source.status()) == [("changed", "Files/c")]
    path.write_bytes(path.read_bytes()[:4] + path.read_bytes()[4:].replace(b"\x05\0", b"\x04\0", 1)[:-1] + b"\x05")
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))
    with open_folder(place) as source, pytest.raises(FormatError):
        source.open("Files/c").read()


def test_a_hive_that_changed(layer: Path) -> None:
    write(layer / "Hives" / "System_Delta", b"regf of another")
    write(layer / "Hives" / "Sam_Delta", b"new")
    with open_folder(TransportFolder(layer)) as source:
        assert list(source.status()) == [("changed", "Hives/System_Delta"), ("new", "Hives/Sam_Delta")]
        found = source.lookup("Hives/System_Delta")
        assert isinstance(found, File)
        assert (found.size, found.security_descriptor, found.creation_time) == (15, SD, EPOCH + 1)
        assert source.open("Hives/System_Delta").read() == b"regf of another"


# --- the record beside it ------------------------------------------------------------------


def test_a_folder_that_was_copied_or_moved(tmp_path: Path, edited: Path) -> None:
    for number, name in enumerate(("copied", "moved")):
        if number:
            edited.rename(tmp_path / name)
            (tmp_path / "edited.layer.db").rename(tmp_path / f"{name}.layer.db")
        else:
            shutil.copytree(edited, tmp_path / name, copy_function=shutil.copyfile)
            shutil.copyfile(tmp_path / "edited.layer.db", tmp_path / f"{name}.layer.db")
            (tmp_path / name / "Files" / "c").unlink()
            shutil.copyfile(edited / "Files" / "c", tmp_path / name / "Files" / "c")
        output = io.BytesIO()
        export_layer_to_tar(TransportFolder(tmp_path / name), output)
        assert output.getvalue() == TAR


def other_folder(folder: Path) -> None:
    shutil.rmtree(folder)
    exported(folder)
    (folder / "tombstones.txt").unlink()


def other_kind(folder: Path) -> None:
    need_plain_folders()
    import_layer_from_tar(io.BytesIO(TAR), folder.parent / "plain")
    shutil.copyfile(folder.parent / "plain" / "layer.db", folder.parent / "edited.layer.db")


def other_whiteouts(folder: Path) -> None:
    (folder / "tombstones.txt").write_bytes(b"\xef\xbb\xbfVersion 1.0\r\n\\x\r\n")


@pytest.mark.parametrize("change", [other_folder, other_kind, other_whiteouts])
def test_the_record_of_another_folder(edited: Path, change: Callable[[Path], None]) -> None:
    change(edited)
    with pytest.raises(RecordError, match="belongs to another folder") as caught:
        open_folder(TransportFolder(edited))
    assert caught.value.path == str(edited) + ".layer.db"
    (edited.parent / "edited.layer.db").unlink()
    open_folder(TransportFolder(edited)).close()


def test_a_heavily_edited_folder_keeps_its_record(edited: Path) -> None:
    shutil.rmtree(edited / "Files" / "dir")
    for name in ("dir.$wcidirs$", "c", "a"):
        (edited / "Files" / name).unlink()
    with open_folder(TransportFolder(edited)) as source:
        assert len(list(source.status())) == 4


def test_an_edited_copy_of_a_folder_keeps_its_record(tmp_path: Path, edited: Path) -> None:
    shutil.copytree(edited, tmp_path / "copied", copy_function=shutil.copyfile)
    shutil.copyfile(tmp_path / "edited.layer.db", tmp_path / "copied.layer.db")
    (tmp_path / "copied" / "Files" / "c").unlink()
    with open_folder(TransportFolder(tmp_path / "copied")) as source:
        assert ("gone", "Files/c") in list(source.status())


def test_a_broken_record(edited: Path) -> None:
    (edited.parent / "edited.layer.db").write_bytes(b"x" * 5000)
    with pytest.raises(RecordError):
        open_folder(TransportFolder(edited))


# --- what it is given for ---------------------------------------------------------------------


def test_one_kind_for_the_other(tmp_path: Path, edited: Path) -> None:
    need_plain_folders()
    with pytest.raises(UsageError, match="transport:") as caught:
        open_folder(edited)
    assert caught.value.hint == f"say transport:{edited}"
    with pytest.raises(UsageError):
        export_layer_to_tar(exported(tmp_path / "export"), io.BytesIO())
    import_layer_from_tar(io.BytesIO(TAR), tmp_path / "plain")
    for _ in range(2):
        with pytest.raises(LayerError, match="no transport folder"):
            open_layer(TransportFolder(tmp_path / "plain"))
        shutil.copyfile(tmp_path / "edited.layer.db", tmp_path / "plain.layer.db")  # of the very layer
    with pytest.raises(NotFoundError):
        open_layer(TransportFolder(tmp_path / "nothing"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(NotFoundError):
        open_folder(TransportFolder(tmp_path / "empty"))


# --- bad input ------------------------------------------------------------------------------


def put(name: str, data: bytes) -> Callable[[Path], None]:
    return lambda folder: write(folder / name, data)


def link_to(name: str, target: str, *, remove: bool = True) -> Callable[[Path], None]:
    def plant(folder: Path) -> None:
        path = folder / name
        if remove and path.is_dir():
            shutil.rmtree(path)
        elif remove:
            path.unlink()
        path.symlink_to(target)

    plant.__name__ = f"a link for {name}"
    return plant


def a_directory_without(folder: Path) -> None:
    (folder / "Files" / "dir.$wcidirs$").unlink()


def a_suffix_beside_a_file(folder: Path) -> None:
    write(folder / "Files" / "B.$wcidirs$", stored(0x10))


def a_directory_in_hives(folder: Path) -> None:
    (folder / "Hives" / "d").mkdir()


def metadata_in_hives(folder: Path) -> None:
    write(folder / "Hives" / "d.$wcidirs$", stored(0x10))


def a_utility_vm(folder: Path) -> None:
    (folder / "UtilityVM").mkdir()


def a_fifo(folder: Path) -> None:
    os.mkfifo(folder / "Files" / "fifo")


def tombstones(data: bytes) -> Callable[[Path], None]:
    return put("tombstones.txt", b"\xef\xbb\xbf" + data)


BAD: list[tuple[Callable[[Path], None], type[WclayerError], str | None]] = [
    (put("Files/B", b""), BackupStreamError, "Files/B"),
    (put("Files/B", b"\x20\0\0"), BackupStreamError, "Files/B"),
    (put("Files/B", stored(0x20) + b"\1\0\0\0"), BackupStreamError, "Files/B"),
    (put("Files/B", stored(0x20, stream(1, b"data"))[:-1]), BackupStreamError, "Files/B"),
    (put("Files/B", stored(0x20, stream(1, b"x"), stream(1, b"y"))), BackupStreamError, "Files/B"),
    (put("Files/B", stored(0x20, stream(11, b""))), BackupStreamError, "Files/B"),
    (put("Files/B", stored(0x20, struct.pack("<IIQI", 1, 0, 1 << 62, 0))), BackupStreamError, "Files/B"),
    (put("Files/B", stored(0x20, stream(9, bytes(9)))), BackupStreamError, "Files/B"),
    (put("Files/B", stored(0x20, stream(4, b"", ":a:b:$DATA"))), BackupStreamError, "Files/B"),
    (put("Files/B", stored(0x20, *(stream(4, b"", f":{name}:$DATA") for name in "aA"))), LayerError, "Files/B:A"),
    (put("Files/B", stored(0x10)), LayerError, "Files/B"),
    (put("Files/dir.$wcidirs$", b"\x10"), BackupStreamError, "Files/dir"),
    (put("Files/dir.$wcidirs$", stored(0x20)), LayerError, "Files/dir.$wcidirs$"),
    (put("Files/dir.$wcidirs$", stored(0x10, stream(1, b""))), BackupStreamError, "Files/dir"),
    (put("Files/orphan.$wcidirs$", stored(0x10, stream(3, SD))), LayerError, "Files/orphan.$wcidirs$"),
    (put("Files/.$wcidirs$", stored(0x10)), InvalidNameError, "Files/"),
    (a_directory_without, LayerError, "Files/dir"),
    (a_suffix_beside_a_file, LayerError, "Files/B.$wcidirs$"),
    (a_directory_in_hives, LayerError, "Hives/d"),
    (metadata_in_hives, LayerError, "Hives/d"),
    (a_utility_vm, LayerError, "UtilityVM"),
    (link_to("Files/B", "/etc/passwd"), ConfinementError, "Files/B"),
    (link_to("Files/dir", "/etc"), LayerError, "Files/dir.$wcidirs$"),
    (link_to("Files/dir.$wcidirs$", "B"), ConfinementError, "Files/dir"),
    (link_to("Files/new", "B", remove=False), ConfinementError, "Files/new"),
    (link_to("Hives/System_Delta", "Sam_Delta"), ConfinementError, "Hives/System_Delta"),
    (link_to("tombstones.txt", "/etc/passwd"), ConfinementError, None),
    (put("Files/j2/x", stored(0x20)), ConfinementError, "Files/j2/x"),
    (a_fifo, ConfinementError, "Files/fifo"),
    (put("tombstones.txt", b"Version 1.0\r\n"), LayerError, "tombstones.txt"),
    (put("tombstones.txt", b""), LayerError, "tombstones.txt"),
    (tombstones(b"Version 2.0\n"), LayerError, "tombstones.txt"),
    (tombstones(b"Version 1.0\nx\n"), LayerError, "tombstones.txt, line 2"),
    (tombstones(b"Version 1.0\n\\x\n\n"), LayerError, "tombstones.txt, line 3"),
    (tombstones(b"Version 1.0\n\\..\\x\n"), InvalidNameError, "tombstones.txt, line 2"),
    (tombstones(b"Version 1.0\n\\x\\\n"), InvalidNameError, "tombstones.txt, line 2"),
    (tombstones(b"Version 1.0\n\\x/y\n"), InvalidNameError, "tombstones.txt, line 2"),
    (tombstones(b"Version 1.0\n\\\xff\n"), InvalidNameError, "tombstones.txt, line 2"),
    (tombstones(b"Version 1.0\n\\x\n\\X\n"), LayerError, "tombstones.txt, line 3"),
    (tombstones(b"Version 1.0\n\\" + b"x" * 200_000), LayerError, "tombstones.txt, line 3"),
]


@pytest.mark.parametrize(("spoil", "error", "path"), BAD)
def test_bad_input(tmp_path: Path, spoil: Callable[[Path], None], error: type[WclayerError], path: str | None) -> None:
    if os.name == "nt" and (spoil is a_fifo or "link" in spoil.__name__):
        pytest.skip("Windows has no FIFOs, and links need a privilege")
    folder = exported(tmp_path / "export")
    spoil(folder)
    with pytest.raises(error) as caught:
        export_layer_to_tar(TransportFolder(folder), io.BytesIO())
    assert type(caught.value) is error
    assert path is None or caught.value.path == path
    assert caught.value.exit_code == 10


def test_two_streams_that_are_one_to_windows_are_not_listed(tmp_path: Path) -> None:
    """Whoever reads them has no importer behind him that would refuse the second."""
    folder = exported(tmp_path / "layer")
    write(folder / "Files" / "B", stored(0x20, *(stream(4, b"", f":{name}:$DATA") for name in "Aa")))
    with open_folder(TransportFolder(folder)) as source, pytest.raises(LayerError, match="two streams of one name"):
        source.streams("Files/B")


def test_bad_input_with_a_record(edited: Path) -> None:
    """What is known to be unchanged by its time and size is looked at all the same when it is read."""
    if os.name == "nt":
        pytest.skip("links need a privilege")
    (edited / "Files" / "dir" / "d").unlink()
    (edited / "Files" / "dir" / "d").symlink_to("/etc/passwd")
    with pytest.raises(ConfinementError) as caught:
        export_layer_to_tar(TransportFolder(edited), io.BytesIO())
    assert caught.value.path == "Files/dir/d"
    shutil.rmtree(edited / "Files")
    (edited / "Files").symlink_to("/etc")
    with pytest.raises(WclayerError) as other:
        export_layer_to_tar(TransportFolder(edited), io.BytesIO())
    assert other.value.exit_code == 10


# --- whole or absent ----------------------------------------------------------------------------

KILLED = """
import io, os, sys
steps, force, tar, folder = int(sys.argv[1]), sys.argv[2] == "force", sys.argv[3], sys.argv[4]
from wclayer import TransportFolder, import_layer_from_tar
def counted(function):
    def run(*arguments, **options):
        global steps
        if steps == 0:
            os._exit(9)
        steps -= 1
        return function(*arguments, **options)
    return run
os.rename, os.replace = counted(os.rename), counted(os.replace)
import_layer_from_tar(open(tar, "rb"), TransportFolder(folder), force=force)
os._exit(0)
"""


def kill(tmp_path: Path, steps: int, tar: bytes, *, force: bool) -> int:
    (tmp_path / "new.tar").write_bytes(tar)
    arguments = [str(steps), "force" if force else "", str(tmp_path / "new.tar"), str(tmp_path / "layer")]
    done = subprocess.run([sys.executable, "-c", KILLED, *arguments], check=False)
    (tmp_path / "new.tar").unlink()
    return done.returncode


NEW = build([*BASE, M("Files/n", b"new"), M("Files/link", type="1", link="Files/n")])


def in_tar(tmp_path: Path) -> bytes:
    output = io.BytesIO()
    export_layer_to_tar(TransportFolder(tmp_path / "layer"), output)
    return output.getvalue()


@pytest.mark.parametrize("steps", range(2))
@pytest.mark.parametrize("empty", [False, True])
def test_a_kill_where_nothing_was(tmp_path: Path, steps: int, empty: bool) -> None:
    if empty:
        (tmp_path / "layer").mkdir()
    assert kill(tmp_path, steps, NEW, force=False) == 9
    assert not (tmp_path / "layer").exists() or not list((tmp_path / "layer").iterdir())
    import_layer_from_tar(io.BytesIO(TAR), TransportFolder(tmp_path / "layer"))
    assert in_tar(tmp_path) == TAR
    assert {path.name for path in tmp_path.iterdir()} == {"layer", "layer.layer.db"}


@pytest.mark.parametrize("steps", range(4))
def test_a_kill_while_a_folder_is_replaced(tmp_path: Path, steps: int) -> None:
    import_layer_from_tar(io.BytesIO(TAR), TransportFolder(tmp_path / "layer"))
    assert kill(tmp_path, steps, NEW, force=True) == 9
    with pytest.raises(AlreadyExistsError):
        import_layer_from_tar(io.BytesIO(NEW), TransportFolder(tmp_path / "layer"))
    assert in_tar(tmp_path) == TAR
    assert {path.name for path in (tmp_path / "layer").iterdir()} == {"Files", "Files.$wcidirs$"}
    assert {path.name for path in tmp_path.iterdir()} == {"layer", "layer.layer.db"}


@pytest.mark.parametrize("steps", range(1, 4))
def test_an_import_of_another_kind_after_a_kill(tmp_path: Path, steps: int) -> None:
    """It puts back what was there as well."""
    need_plain_folders()
    import_layer_from_tar(io.BytesIO(TAR), TransportFolder(tmp_path / "layer"))
    assert kill(tmp_path, steps, NEW, force=True) == 9
    with pytest.raises(AlreadyExistsError):
        import_layer_from_tar(io.BytesIO(NEW), tmp_path / "layer")
    assert in_tar(tmp_path) == TAR


def test_replacing(tmp_path: Path) -> None:
    place = TransportFolder(tmp_path / "layer")
    import_layer_from_tar(io.BytesIO(TAR), place)
    with pytest.raises(AlreadyExistsError):
        import_layer_from_tar(io.BytesIO(NEW), place)
    with pytest.raises(FormatError):
        import_layer_from_tar(io.BytesIO(b"x" * 512), place, force=True)
    assert in_tar(tmp_path) == TAR
    import_layer_from_tar(io.BytesIO(NEW), place, force=True)
    assert in_tar(tmp_path) == NEW
    assert {path.name for path in tmp_path.iterdir()} == {"layer", "layer.layer.db"}


@pytest.mark.parametrize("number", range(4))
def test_a_host_that_refuses_a_rename(tmp_path: Path, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    import_layer_from_tar(io.BytesIO(TAR), TransportFolder(tmp_path / "layer"))
    calls = 0

    def failing(function: Callable[..., None]) -> Callable[..., None]:
        def run(*arguments: Any, **options: Any) -> None:
            nonlocal calls
            calls += 1
            if calls == number + 1:
                raise OSError(5, "Input/output error")
            function(*arguments, **options)

        return run

    monkeypatch.setattr(os, "rename", failing(os.rename))
    monkeypatch.setattr(os, "replace", failing(os.replace))
    with pytest.raises(WclayerError, match="Input/output"):
        import_layer_from_tar(io.BytesIO(NEW), TransportFolder(tmp_path / "layer"), force=True)
    assert calls > number
    monkeypatch.undo()
    assert in_tar(tmp_path) == TAR
    assert {path.name for path in tmp_path.iterdir()} == {"layer", "layer.layer.db"}


def test_a_record_whose_folder_is_gone(tmp_path: Path) -> None:
    """Perhaps it was moved: then its hard links and whiteouts are only there."""
    place = TransportFolder(tmp_path / "layer")
    import_layer_from_tar(io.BytesIO(TAR), place)
    (tmp_path / "layer").rename(tmp_path / "elsewhere")
    with pytest.raises(AlreadyExistsError, match="record") as caught:
        import_layer_from_tar(io.BytesIO(NEW), place)
    assert caught.value.path == str(tmp_path / "layer.layer.db")
    import_layer_from_tar(io.BytesIO(NEW), place, force=True)
    assert in_tar(tmp_path) == NEW
    shutil.rmtree(tmp_path / "layer")
    (tmp_path / "layer.layer.db").unlink()
    (tmp_path / "layer.layer.db").mkdir()
    with pytest.raises(AlreadyExistsError):
        import_layer_from_tar(io.BytesIO(NEW), place, force=True)


def test_an_error_leaves_nothing(tmp_path: Path) -> None:
    with new_folder(TransportFolder(tmp_path / "layer")) as sink:
        sink.add(Directory("Files"))
        with pytest.raises(WclayerError, match="not as long"):
            sink.add(File("Files/f", size=5), BytesBody(b"1234"))
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(LayerError, match="Files"), new_folder(TransportFolder(tmp_path / "layer")) as sink:
        sink.commit()
    assert list(tmp_path.iterdir()) == []


def test_nobody_may_read_more_than_the_umask_says(tmp_path: Path) -> None:
    if os.name == "nt":
        pytest.skip("Windows has no modes")
    old = os.umask(0o027)
    try:
        import_layer_from_tar(io.BytesIO(TAR), TransportFolder(tmp_path / "layer"))
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "layer" / "Files" / "a").stat().st_mode) == 0o640
    assert stat.S_IMODE((tmp_path / "layer.layer.db").stat().st_mode) == 0o640
