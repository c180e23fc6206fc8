"""What is known of the layers below, and how it is kept."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from wclayer.builder.base_index import LayerIndex, LowerView, index_layer
from wclayer.entry import AlternateStream, Directory, Entry, ExtendedAttribute, File, HardLink, Whiteout
from wclayer.errors import ConfinementError, FormatError, LayerError, NotFoundError
from wclayer.win32.reparse import build_link
from wclayer.win32.sddl import parse_sddl

KEY = "sha256:" + "1" * 64
FULL = Directory(
    "Files/Windows",
    0x2010,
    creation_time=1,
    last_access_time=2,
    last_write_time=(1 << 64) - 1,
    change_time=None,
    security_descriptor=parse_sddl("O:BAG:SYD:(A;;FA;;;BA)"),
    extended_attributes=(ExtendedAttribute(b"EA", b"x", 0x80),),
    short_name="WIN~1",
    object_id=bytes(range(16)),
    backup_streams=((6, b"p"), (10, b"t")),
)
LINK = build_link("C:\\Users", True)
ENTRIES: list[Entry] = [
    Directory("Files"),
    FULL,
    Directory("Files/Windows/System32"),
    File("Files/Windows/System32/Cmd.exe", 0x21, size=7, security_descriptor=FULL.security_descriptor),
    AlternateStream("Files/Windows/System32/Cmd.exe", "s", 3),
    HardLink("Files/Windows/cmd.EXE", "Files/Windows/System32/Cmd.exe"),
    Directory("Files/Documents and Settings", 0x2410, reparse_data=LINK),
    File("Files/\ud800", 0x420, reparse_data=LINK),
    Directory("Files/Stra\u00dfe"),
    Directory("Hives"),
]


def known(entries: Iterable[Entry]) -> LayerIndex:
    return index_layer(None, lambda: entries)


def test_directories_have_all_their_metadata_and_files_the_names() -> None:
    with known(ENTRIES) as layer:
        assert layer.lookup("files/WINDOWS") == FULL
        assert layer.lookup("FILES/windows/system32/CMD.EXE") == File("Files/Windows/System32/Cmd.exe", 0x21, size=7)
        assert layer.lookup("Files/Windows/CMD.exe") == File("Files/Windows/cmd.EXE", size=1)
        assert layer.lookup("Files/DOCUMENTS AND SETTINGS") == ENTRIES[6]
        assert layer.lookup("Files/\ud800") == ENTRIES[7]
        assert layer.lookup("Files/STRA\u00dfE") == Directory("Files/Stra\u00dfe")
        for path in ("Files/none", "Files/none/none", "Files/Windows/cmd.exe/x", "Files/Windows/System32/Cmd.exe:s"):
            assert layer.lookup(path) is None


def test_whiteouts() -> None:
    with known([Directory("Files"), Whiteout("Files/Gone")]) as layer:
        assert layer.has_whiteout("files/GONE")
        assert not layer.has_whiteout("Files")


def test_layers_seen_as_one() -> None:
    base = known([*ENTRIES, Directory("Files/gone"), File("Files/gone/x"), Directory("Files/was"), File("Files/was/x")])
    middle = known([Directory("FILES".title()), Whiteout("Files/Gone"), File("Files/WAS")])
    top = known([Directory("Files"), Directory("Files/windows", 0x10), Directory("Files/Gone"), File("Files/Gone/y")])
    with base, middle, top:
        below = LowerView([top, middle, base])
        assert below.lookup("Files/WINDOWS") == Directory("Files/windows", 0x10)
        assert below.lookup("Files/windows/SYSTEM32") == Directory("Files/Windows/System32")
        assert below.lookup("Files/gone") == Directory("Files/Gone")
        assert below.lookup("Files/gone/x") is None
        assert below.lookup("Files/gone/Y") == File("Files/Gone/y")
        assert below.lookup("Files/was") == File("Files/WAS")
        assert below.lookup("Files/was/x") is None
        with pytest.raises(NotFoundError):
            below.open("Files/WAS")


@pytest.mark.parametrize(
    ("entries", "error"),
    [
        ([Directory("Files"), File("Files/a/b")], LayerError),
        ([File("Files/a")], LayerError),
        ([Directory("Files"), File("Files/a"), File("Files/a/b")], LayerError),
        ([Directory("Files"), File("Files/a"), File("Files/A")], LayerError),
        ([Directory("Files"), Whiteout("Files/a"), Whiteout("Files/A")], LayerError),
        ([Directory("etc")], ConfinementError),
        ([File("Files")], LayerError),
    ],
)
def test_entries_that_make_no_layer(tmp_path: Path, entries: list[Entry], error: type[FormatError]) -> None:
    with pytest.raises(error) as caught:
        index_layer(KEY, lambda: entries, tmp_path)
    assert caught.value.path == entries[-1].path
    assert os.listdir(tmp_path) == []


def test_the_cache(tmp_path: Path) -> None:
    cache = tmp_path / "a" / "b"
    asked = []

    def entries() -> Iterator[Entry]:
        asked.append(1)
        yield from ENTRIES

    for _ in range(3):
        with index_layer(KEY, entries, cache) as layer:
            assert layer.lookup("Files/Windows") == FULL
    assert len(asked) == 1
    assert os.listdir(cache) == ["sha256-" + "1" * 64 + ".layer"]
    with index_layer(None, entries, cache), index_layer(KEY, entries, None):
        assert len(os.listdir(cache)) == 1
    assert len(asked) == 3


@pytest.mark.parametrize("fault", ["empty", "cut", "random", "other version", "hole"])
def test_a_broken_cache_is_made_anew(tmp_path: Path, fault: str) -> None:
    index_layer(KEY, lambda: ENTRIES, tmp_path).close()
    [path] = tmp_path.iterdir()
    data = path.read_bytes()
    broken = {
        "empty": b"",
        "cut": data[: len(data) // 2],
        "random": bytes(range(256)) * 64,
        "other version": data[:60] + b"\0\0\0\x07" + data[64:],
        "hole": data[:4096] + bytes(4096) + data[8192:],
    }
    path.write_bytes(broken[fault])
    with index_layer(KEY, lambda: ENTRIES, tmp_path) as layer:
        assert layer.lookup("Files/Windows") == FULL
    assert path.read_bytes() == data


def test_an_error_on_the_way_leaves_nothing(tmp_path: Path) -> None:
    def entries() -> Iterator[Entry]:
        yield Directory("Files")
        raise LayerError("no more")

    with pytest.raises(LayerError, match="no more"):
        index_layer(KEY, entries, tmp_path)
    assert os.listdir(tmp_path) == []


def test_a_cache_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with index_layer(KEY, lambda: ENTRIES, tmp_path / "file" / "cache") as layer:
        assert layer.lookup("Files/Windows") == FULL
    assert os.listdir(tmp_path) == ["file"]
