"""Files taken out of layers into a folder: where they lie there, what is left out, and what is refused."""

from __future__ import annotations

import errno
import io
import os
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import pytest

from tests.hosts import needs_symlinks, posix_only
from tests.unit.layers.lookup.tracing import lines_run
from tests.unit.layers.sources import Listed, layer
from wclayer.entry import AlternateStream, Directory, Entry, ExtendedAttribute, File, HardLink, Source, Whiteout
from wclayer.errors import AlreadyExistsError, InexpressibleError, LayerError, NotFoundError, UsageError
from wclayer.layers.exporting import export_layer_to_tar
from wclayer.layers.lookup.extract import Extracted, extract_layers
from wclayer.layers.lookup.request import PathQuery
from wclayer.layertar.reader import TarSource
from wclayer.layertar.writer import TarWriter
from wclayer.win32.filetime import UNIX_EPOCH
from wclayer.win32.reparse import build_link

TIME = UNIX_EPOCH + 1_600_000_000 * 10_000_000
FILES = layer({"Files/a/f": b"one", "Files/a/d/g": b"two", "Files/b/f": b"three", "Files/c.txt": b"four"}, time=TIME)
WOF = bytes.fromhex("17000080 0000 0000")


def extract(tmp_path: Path, layers: Sequence[Source], *paths: str, with_metadata: bool = False) -> Extracted:
    groups = [(layers, [PathQuery(path) for path in paths])]
    return extract_layers(groups, tmp_path / "out", with_metadata=with_metadata)


def tree(folder: Path) -> dict[str, bytes | None]:
    """The files in a folder with their content, and the empty directories."""
    found: dict[str, bytes | None] = {}
    for above, directories, files in os.walk(folder):
        at = os.path.relpath(above, folder).replace(os.sep, "/")
        if not directories and not files:
            found[at] = None
        for name in files:
            found[f"{at}/{name}".removeprefix("./")] = Path(above, name).read_bytes()
    return found


def link(path: str, target: str, *, directory: bool = False, junction: bool = False) -> Entry:
    reparse = build_link(target, junction)
    if directory:
        return Directory(path, file_attributes=0x410, reparse_data=reparse)
    return File(path, file_attributes=0x420, reparse_data=reparse, data_stream=False)


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        (["files/A/F"], {"f": b"one"}),
        (["Files/a"], {"a/f": b"one", "a/d/g": b"two"}),
        (["Files/*/f"], {"a/f": b"one", "b/f": b"three"}),
        (["Files/a/*"], {"f": b"one", "d/g": b"two"}),
        (["Files/?.TXT", "Files/[ab]/d"], {"c.txt": b"four", "a/d/g": b"two"}),
        (["Files/a/f", "Files/a/f", "Files/a"], {"f": b"one", "a/f": b"one", "a/d/g": b"two"}),
        (["Files"], {"Files/a/f": b"one", "Files/a/d/g": b"two", "Files/b/f": b"three", "Files/c.txt": b"four"}),
        ([""], {"Files/a/f": b"one", "Files/a/d/g": b"two", "Files/b/f": b"three", "Files/c.txt": b"four"}),
    ],
)
def test_where_things_lie(tmp_path: Path, paths: list[str], expected: dict[str, bytes]) -> None:
    found = extract(tmp_path, [FILES], *paths)
    assert tree(tmp_path / "out") == expected
    assert found.bytes >= sum(map(len, expected.values())) - 3
    assert found.left_out == {}


def test_last_write_times(tmp_path: Path) -> None:
    base = Listed(Directory("Files", last_write_time=TIME), (File("Files/f", size=1, last_write_time=TIME + 7), b"x"))
    extract(tmp_path, [base], "")
    assert (tmp_path / "out" / "Files").stat().st_mtime_ns == 1_600_000_000 * 10**9
    assert (tmp_path / "out" / "Files" / "f").stat().st_mtime_ns == 1_600_000_000 * 10**9 + 700


@posix_only("paths of that length")
def test_a_path_of_hundreds_of_directories(tmp_path: Path) -> None:
    deep = "/".join("a" * 600)
    extract(tmp_path, [Listed((File(f"Files/{deep}", size=1), b"x"))], "Files")
    assert (tmp_path / "out" / "Files" / deep).read_bytes() == b"x"
    file = tmp_path / "out" / "Files" / deep
    file.unlink()
    for directory in list(file.parents)[:590]:  # deeper than what removes the folders of tests goes
        directory.rmdir()


def test_what_layers_show_together(tmp_path: Path) -> None:
    top = layer({"Files/A/new": b"new", "Files/b": b"file"}, [Whiteout("Files/a/d")])
    extract(tmp_path, [FILES, top], "Files/a", "Files/b")
    assert tree(tmp_path / "out") == {"A/new": b"new", "A/f": b"one", "b": b"file"}


def test_two_files_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="two files would have the same name"):
        extract(tmp_path, [FILES], "Files/a/f", "Files/b/F")
    groups = [([FILES], [PathQuery("Files/a/f")]), ([FILES], [PathQuery("Files/a/f")])]
    for with_metadata in (False, True):
        with pytest.raises(UsageError, match="two files would have the same name"):
            extract_layers(groups, tmp_path / "out", with_metadata=with_metadata)
    assert list(tmp_path.iterdir()) == []


def test_how_to_have_two_files_of_one_name(tmp_path: Path) -> None:
    """With metadata both fit, if they are of the same layers."""
    with pytest.raises(UsageError) as caught:
        extract(tmp_path, [FILES], "Files/a/f", "Files/b/f")
    assert (caught.value.got, "--with-metadata" in str(caught.value.hint)) == ("Files/a/f and Files/b/f", True)
    with pytest.raises(UsageError) as caught:
        extract_layers([([FILES], [PathQuery("Files/a/f")]), ([FILES], [PathQuery("Files/b/f")])], tmp_path / "out")
    assert (caught.value.got, "--with-metadata" in str(caught.value.hint)) == ("Files/a/f and Files/b/f", False)


def test_what_is_not_there(tmp_path: Path) -> None:
    for path in ("Files/x", "Files/a/f/x", "Files/*.exe", "Files/x/*", "Files/c.txt/*"):
        for with_metadata in (False, True):
            with pytest.raises(NotFoundError):
                extract(tmp_path, [FILES], "Files/a/f", path, with_metadata=with_metadata)
    assert list(tmp_path.iterdir()) == []


def test_existing_targets(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    extract(tmp_path, [FILES], "Files/a/f")
    with pytest.raises(AlreadyExistsError):
        extract(tmp_path, [FILES], "Files/b/f")
    extract_layers([([FILES], [PathQuery("Files/b/f")])], tmp_path / "out", force=True)
    assert tree(tmp_path / "out") == {"f": b"three"}


def test_hard_links(tmp_path: Path) -> None:
    base = layer({"Files/a/f": b"one"}, [HardLink("Files/a/g", "Files/a/f"), HardLink("Files/h", "Files/a/f")])
    found = extract(tmp_path, [base], "Files/a")
    assert tree(tmp_path / "out") == {"a/f": b"one", "a/g": b"one"}
    assert (found.files, found.hard_links) == (1, 1)
    extract_layers([([base], [PathQuery("Files/h"), PathQuery("Files/a/g")])], tmp_path / "out", force=True)
    assert tree(tmp_path / "out") == {"h": b"one", "g": b"one"}
    top = layer({"Files/a/f": b"new"}, [HardLink("Files/t", "Files/h")])
    extract_layers([([base, top], [PathQuery("Files/[ht]")])], tmp_path / "out", force=True)
    assert tree(tmp_path / "out") == {"h": b"one", "t": b"one"}


def test_a_hard_link_out_of_the_directory_wants_a_second_look(tmp_path: Path) -> None:
    tar = io.BytesIO()
    base = layer({"Files/a": b"one"}, [Directory("Files/d"), HardLink("Files/d/g", "Files/a")])
    with TarWriter(tar) as writer:
        for entry, body in base.entries():
            writer.add(entry, body)
        writer.commit()
    extract(tmp_path, [TarSource(None, reopen=lambda: io.BytesIO(tar.getvalue()))], "Files/d")
    assert tree(tmp_path / "out") == {"d/g": b"one"}
    with pytest.raises(UsageError, match="a hard link to a file already read from a pipe"):
        extract_layers([([TarSource(io.BytesIO(tar.getvalue()))], [PathQuery("Files/d")])], tmp_path / "pipe")
    assert not (tmp_path / "pipe").exists()


# --- links --------------------------------------------------------------------------


@needs_symlinks
def test_links_that_stay_inside(tmp_path: Path) -> None:
    base = layer(
        {"Files/d/e/f": b"one"},
        [
            link("Files/d/l", "E\\F"),
            link("Files/d/e/up", "\\d\\l"),
            link("Files/d/j", "C:\\d\\e", directory=True, junction=True),
            link("Files/d/out", "..\\x"),
            link("Files/d/unc", "\\\\server\\share"),
            link("Files/d/a", "b"),
            link("Files/d/b", "a"),
            HardLink("Files/d/hard", "Files/d/l"),
            HardLink("Files/d/e/deep", "Files/d/l"),
        ],
    )
    found = extract(tmp_path, [base], "Files/d")
    out = tmp_path / "out" / "d"
    assert [(out / name).readlink().as_posix() for name in ("l", "e/up", "j", "hard")] == [
        "e/f",
        "../l",
        "e",
        "e/f",
    ]
    assert (out / "l").read_bytes() == (out / "e" / "up").read_bytes() == (out / "j" / "f").read_bytes() == b"one"
    assert sorted(path.name for path in out.iterdir()) == ["e", "hard", "j", "l"]
    assert found.symlinks == 4
    left_out = ["Files/d/unc", "Files/d/out", "Files/d/e/deep", "Files/d/a", "Files/d/b"]  # deep: there is no d/e/e/f
    assert found.left_out["links"].paths == left_out


@needs_symlinks
def test_a_long_chain_of_links_is_followed_once(tmp_path: Path) -> None:
    """Each symlink comes before the one that it leads to, so none can be made before all have been read."""

    def lines_for(count: int) -> int:
        names = [f"{number:03}" for number in range(count)] + ["f"]
        links = [link(f"Files/{name}", target) for name, target in pairwise(names)]
        base = layer({"Files/f": b"one"}, links)
        folder = tmp_path / str(count)
        folder.mkdir()
        found: list[Extracted] = []
        lines = lines_run(lambda: found.append(extract(folder, [base], "Files")), "plain_extractor.py")
        assert found[0].symlinks == count
        assert (folder / "out" / "Files" / names[-2]).read_bytes() == b"one"
        return lines

    assert lines_for(400) < 3 * lines_for(200)


def test_links_that_are_named_are_followed(tmp_path: Path) -> None:
    base = layer({"Files/d/f": b"one"}, [link("Files/L", "d\\f"), link("Files/J", "C:\\d", directory=True)])
    extract(tmp_path, [base], "Files/l", "Files/j")
    assert tree(tmp_path / "out") == {"L": b"one", "J/f": b"one"}


def test_nothing_is_written_through_a_link(tmp_path: Path) -> None:
    """A tar that no Windows would take: entries behind a junction."""
    outside = tmp_path / "outside"
    outside.mkdir()
    for target in ("C:\\..\\..", str(outside), "..\\..\\outside"):
        base = Listed(Directory("Files"), link("Files/d", target, directory=True), (File("Files/d/f", size=1), b"x"))
        extract_layers([([base], [PathQuery("Files")])], tmp_path / "out", force=True)
        assert tree(tmp_path / "out") == {"Files/d/f": b"x"}
    assert list(outside.iterdir()) == []


@pytest.mark.parametrize("last", [File("Files/F/x", size=1), HardLink("Files/f/x", "Files/f"), Directory("Files/f/x")])
def test_what_lies_in_a_file(tmp_path: Path, last: Entry) -> None:
    base = Listed(Directory("Files"), (File("Files/f", size=1), b"x"), last)
    for path in ("Files", "Files/*"):
        with pytest.raises(LayerError, match="it lies in something that is no directory") as caught:
            extract(tmp_path, [base], path)
        assert (caught.value.path, caught.value.got) == (last.path, "Files/f")
    backwards = Listed(Directory("Files"), (File("Files/f/x", size=1), b"x"), (File("Files/f", size=1), b"x"))
    with pytest.raises(LayerError, match="entries lie in it"):
        extract(tmp_path, [backwards], "Files")
    with pytest.raises(UsageError, match="two files would have the same name"):
        extract(tmp_path, [layer({"Files/a/f/x": b"", "Files/f": b""})], "Files/f", "Files/a/*")
    assert list(tmp_path.iterdir()) == []


@needs_symlinks
def test_what_lies_behind_a_link(tmp_path: Path) -> None:
    to = Directory("Files/e")
    base = Listed(Directory("Files"), to, link("Files/d", "C:\\e", directory=True), (File("Files/d/f", size=1), b"x"))
    with pytest.raises(LayerError, match="it lies behind a symlink or junction") as caught:
        extract(tmp_path, [base], "Files")
    assert (caught.value.path, caught.value.got) == ("Files/d/f", "Files/d")


@needs_symlinks
def test_links_are_made_when_all_places_have_been_taken(tmp_path: Path) -> None:
    one = layer({"Files/d/f": b"one"}, [link("Files/l", "d", directory=True), link("Files/x", "d\\f")])
    other = layer({"Files/l/f": b"two"})
    groups = [([one], [PathQuery("Files/?")]), ([other], [PathQuery("Files/?/f")])]
    with pytest.raises(UsageError, match="two files would have the same name"):
        extract_layers(groups, tmp_path / "out")
    groups = [([one], [PathQuery("Files/?")]), ([layer({"Files/y": b"two"})], [PathQuery("Files/y")])]
    found = extract_layers(groups, tmp_path / "out")
    assert found.symlinks == 2
    assert tree(tmp_path / "out") == {"d/f": b"one", "x": b"one", "y": b"two"}


def test_errors_name_the_entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def ftruncate(_fd: int, _size: int) -> None:
        raise OSError(errno.EFBIG, "File too large")

    monkeypatch.setattr(os, "ftruncate", ftruncate)
    for path in ("Files/d", "Files/d/F", "Files/*/f"):
        with pytest.raises(InexpressibleError, match="File too large") as caught:
            extract(tmp_path, [layer({"Files/d/f": b"x"})], path)
        assert caught.value.path == "Files/d/f"


# --- what a plain folder does not have ------------------------------------------------


def odd() -> Listed:
    return Listed(
        Directory("Files"),
        (AlternateStream("Files", "s", 1), b"1"),
        Directory("Files/d", last_write_time=TIME),
        (AlternateStream("Files/d", "t", 1), b"2"),
        (File("Files/d/f", size=1, last_write_time=TIME, extended_attributes=(ExtendedAttribute(b"E", b"v"),)), b"x"),
        (AlternateStream("Files/d/f", "u", 1), b"3"),
        HardLink("Files/d/g", "Files/d/f"),
        (File("Files/d/wof", size=2, file_attributes=0x420, reparse_data=WOF, short_name="WOF~1"), b"yy"),
        HardLink("Files/h", "Files/d/wof"),
        Whiteout("Files/d/gone"),
    )


def test_what_is_left_out_is_counted(tmp_path: Path) -> None:
    found = extract(tmp_path, [odd()], "Files/d")
    assert tree(tmp_path / "out") == {"d/f": b"x", "d/g": b"x", "d/wof": b"yy"}
    assert {kind: noted.paths for kind, noted in found.left_out.items()} == {
        "streams": ["Files/d:t", "Files/d/f:u"],
        "reparse_points": ["Files/d/wof"],
        "whiteouts": ["Files/d/gone"],
    }


def entries(tmp_path: Path) -> list[tuple[Entry, bytes]]:
    """What an export of the folder gives."""
    tar = io.BytesIO()
    export_layer_to_tar(tmp_path / "out", tar)
    tar.seek(0)
    return [(entry, body.read() if body else b"") for entry, body in TarSource(tar).entries()]


def test_with_metadata_nothing_is_lost(tmp_path: Path) -> None:
    found = extract(tmp_path, [odd()], "Files", with_metadata=True)
    assert (found.directories, found.files, found.streams, found.hard_links, found.whiteouts) == (2, 2, 3, 2, 1)
    assert found.left_out == {}
    expected = {(entry.path, type(entry)): (entry, content) for entry, content in contents(odd())}
    result = {(entry.path, type(entry)): (entry, content) for entry, content in entries(tmp_path)}
    assert result.keys() == expected.keys()
    for key, (entry, content) in expected.items():
        if isinstance(entry, File | Directory):  # a tar has times for what has none, and so on: see test_round_trip
            got = result[key][0]
            assert isinstance(got, File | Directory)
            for name in ("extended_attributes", "reparse_data", "short_name", "file_attributes"):
                assert getattr(got, name) == getattr(entry, name)
            if entry.last_write_time is not None:
                assert got.last_write_time == entry.last_write_time
        else:
            assert str(result[key][0]).split("creation_time")[0] == str(entry).split("creation_time")[0]
        assert result[key][1] == content


def contents(source: Source) -> Iterator[tuple[Entry, bytes]]:
    for entry, body in source.entries():
        yield entry, body.read() if body else b""


def test_with_metadata_there_are_the_directories_above(tmp_path: Path) -> None:
    found = extract(tmp_path, [odd()], "Files/d/f", "Files/h", with_metadata=True)
    assert (found.directories, found.files, found.streams) == (2, 2, 3)
    result = {entry.path: entry for entry, _ in entries(tmp_path) if isinstance(entry, File)}
    assert result["Files/d/f"].extended_attributes == (ExtendedAttribute(b"E", b"v"),)
    assert result["Files/h"].reparse_data == WOF
    assert result["Files/h"].short_name is None  # that was another name's


def test_with_metadata_links_are_taken_themselves(tmp_path: Path) -> None:
    junction = link("Files/j", "C:\\a", directory=True, junction=True)
    base = layer({"Files/a/f": b"one"}, [junction])
    extract(tmp_path, [base], "Files/j", with_metadata=True)
    [_, (found, _)] = entries(tmp_path)
    assert isinstance(found, Directory)
    assert isinstance(junction, Directory)
    assert (found.path, found.reparse_data) == ("Files/j", junction.reparse_data)
    extract_layers([([base], [PathQuery("Files/j/f")])], tmp_path / "out", with_metadata=True, force=True)
    assert [entry.path for entry, _ in entries(tmp_path)] == ["Files", "Files/a", "Files/a/f"]


def test_with_metadata_of_several_layers(tmp_path: Path) -> None:
    top = Listed(Directory("Files"), Directory("Files/A", file_attributes=0x12), HardLink("Files/A/h", "Files/b/f"))
    extract(tmp_path, [FILES, top], "Files/a", with_metadata=True)
    found = entries(tmp_path)
    assert {entry.path: content for entry, content in found} == {
        "Files": b"",
        "Files/A": b"",
        "Files/A/d": b"",
        "Files/A/d/g": b"two",
        "Files/A/f": b"one",
        "Files/A/h": b"three",
    }
    assert found[1][0].file_attributes == 0x12  # type: ignore[union-attr]


# --- names --------------------------------------------------------------------------


@posix_only("names")
def test_names_that_the_host_cannot_hold(tmp_path: Path) -> None:
    base = layer({f"Files/{'字' * 255}": b"x"})
    with pytest.raises(InexpressibleError, match="a name longer than 255 bytes"):
        extract(tmp_path, [base], "Files")
    assert list(tmp_path.iterdir()) == []
    extract(tmp_path, [base], "Files", with_metadata=True)
    assert len(entries(tmp_path)) == 2


def test_names_that_come_twice(tmp_path: Path) -> None:
    base = Listed(Directory("Files"), File("Files/a"), File("Files/A"))
    with pytest.raises(LayerError, match="the name is taken"):
        extract(tmp_path, [base], "Files")
    assert list(tmp_path.iterdir()) == []


def test_hard_links_to_layers_that_were_not_given(tmp_path: Path) -> None:
    top = layer({"Files/f": b"x"}, [HardLink("Files/g", "Files/below"), HardLink("Files/h", "Files/g")])
    found = extract(tmp_path, [top], "Files")
    assert tree(tmp_path / "out") == {"Files/f": b"x"}
    assert found.left_out["hard_links"].paths == ["Files/g", "Files/h"]
    for paths, with_metadata in ((["Files/g"], False), (["Files"], True)):
        with pytest.raises(LayerError, match="a hard link to nothing") as caught:
            extract_layers([([top], list(map(PathQuery, paths)))], tmp_path / "new", with_metadata=with_metadata)
        assert caught.value.got == "Files/below"
    assert not (tmp_path / "new").exists()
