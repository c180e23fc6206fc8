"""What is seen of layers, read one after the other."""

from __future__ import annotations

import io
import threading
from contextlib import closing

import pytest

from tests.tars import BASE, M, build
from tests.unit.layers.sources import Listed, layer
from wclayer.entry import AlternateStream, Directory, File, HardLink, Whiteout
from wclayer.errors import LayerError
from wclayer.layertar.reader import TarSource
from wclayer.union.view import NodeKind, UnionView
from wclayer.win32.reparse import build_link

JUNCTION = Directory("Files/d", file_attributes=0x410, reparse_data=build_link("C:\\x", True))
WCI = bytes.fromhex("18000080 0000 0000")


def paths(*layers: Listed) -> list[tuple[int, str]]:
    return [(seen.number, seen.path) for seen in UnionView(layers).entries()]


def test_the_nearest_layer_comes_first() -> None:
    found = paths(layer({"Files/a": b"1", "Files/b": b"2"}), layer({"Files/b": b"3", "Files/c": b"4"}))
    assert found == [(1, "Files"), (1, "Files/b"), (1, "Files/c"), (0, "Files/a")]


@pytest.mark.parametrize("above", [Whiteout("Files/D"), JUNCTION, File("Files/D")])
def test_what_hides_a_directory_hides_what_is_in_it(above: Whiteout | Directory | File) -> None:
    assert paths(layer({"Files/d/e/f": b""}), Listed(Directory("Files"), above)) == [(1, "Files"), (1, above.path)]


def test_a_reparse_point_that_stands_for_itself_hides_nothing() -> None:
    top = Listed(Directory("Files"), Directory("Files/D", file_attributes=0x410, reparse_data=WCI))
    assert paths(layer({"Files/d/f": b""}), top) == [(1, "Files"), (1, "Files/D"), (0, "Files/D/f")]


def test_names_without_their_directories() -> None:
    """As in tars that other tools make."""
    top = Listed(Directory("Files/DIR"))
    bottom = Listed(File("Files/dir/a"), File("Files/dir/b/c"), File("Files/dir/B/d"))
    assert paths(bottom, top) == [
        (1, "Files/DIR"),
        (0, "Files/DIR/a"),
        (0, "Files/DIR/b/c"),
        (0, "Files/DIR/B/d"),
    ]


def test_as_many_directories_on_a_path_as_there_may_be() -> None:
    """None of which has an entry, so that each is asked how it is spelled."""
    deep = "/".join("a" * 5000)
    assert paths(Listed(File(f"Files/dir/{deep}"))) == [(0, f"Files/dir/{deep}")]
    assert paths(Listed(File(f"Files/dir/{deep}")), Listed(Directory("Files/DIR")))[1] == (0, f"Files/DIR/{deep}")


def test_streams_are_where_their_owner_is() -> None:
    stream = AlternateStream("Files/f", "s", 2), b"yz"
    bottom, top = Listed(Directory("Files"), (File("Files/f", size=1), b"x"), stream), layer({"Files/F": b"new"})
    assert [seen.visible for seen in UnionView([bottom]).entries(hidden=True)] == [True] * 3
    assert [seen.visible for seen in UnionView([bottom, top]).entries(hidden=True)] == [True] * 2 + [False] * 3


def test_the_file_behind_a_hard_link() -> None:
    bottom = layer({"Files/f": b"1"}, [HardLink("Files/g", "Files/F"), HardLink("Files/h", "Files/g")])
    middle = layer({"Files/e": b"2"}, [HardLink("Files/i", "Files/h"), HardLink("Files/f", "Files/e")])
    top = Listed(
        Directory("Files"), HardLink("Files/j", "Files/f"), HardLink("Files/k", "Files/i"), Whiteout("Files/e")
    )
    sight = UnionView([bottom, middle, top])
    for _ in sight.read(2):
        pass
    assert sight.file_of(2, "FILES/J") is None  # not read yet
    for number in (1, 0):
        for _ in sight.read(number):
            pass
    assert sight.file_of(2, "FILES/J") == (1, "FILES/E")
    assert sight.file_of(2, "FILES/K") == (0, "FILES/F")
    assert sight.file_of(1, "FILES/I") == (0, "FILES/F")
    assert sight.file_of(0, "FILES/H") == (0, "FILES/F")
    assert sight.file_of(0, "FILES") is None
    assert sight.at("FILES/E") is None
    assert sight.kind(2, "FILES/E") is NodeKind.WHITEOUT


def test_a_hard_link_to_what_its_own_layer_deletes_below() -> None:
    """Windows makes links before it deletes."""
    sight = UnionView([layer({"Files/f": b"1"}), Listed(Whiteout("Files/f"), HardLink("Files/g", "Files/F"))])
    assert [seen.path for seen in sight.entries()][:2] == ["Files/f", "Files/g"]
    assert sight.file_of(1, "FILES/G") == (0, "FILES/F")


def test_hard_links_to_nothing_and_to_each_other() -> None:
    sight = UnionView(
        [Listed(HardLink("Files/a", "Files/b"), HardLink("Files/b", "Files/a"), HardLink("Files/c", "Files/d"))]
    )
    assert len(list(sight.entries())) == 3
    assert [sight.file_of(0, f"FILES/{name}") for name in "ABC"] == [None] * 3


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ((File("Files/a"), File("Files/A")), "the name is taken"),
        ((File("Files/a"), Whiteout("Files/A")), "an entry and a whiteout"),
        ((Whiteout("Files/a"), File("Files/A")), "an entry and a whiteout"),
    ],
)
def test_names_that_come_twice(entries: tuple[File | Whiteout, ...], message: str) -> None:
    with pytest.raises(LayerError, match=message):
        list(UnionView([Listed(*entries)]).entries())


def test_who_stops_early_leaves_nothing_open() -> None:
    opened: list[io.BytesIO] = []

    def reopen() -> io.BytesIO:
        opened.append(io.BytesIO(build([*BASE, M("Files/a"), M("Files/b", bytes(64 << 20))])))
        return opened[-1]

    before = threading.active_count()
    sources = [TarSource(None, reopen=reopen), TarSource(None, reopen=reopen)]
    with closing(UnionView(sources).entries()) as entries:
        assert next(entries).path == "Files"
    assert [stream.closed for stream in opened] == [True]  # of the base, nothing was opened
    assert threading.active_count() == before
