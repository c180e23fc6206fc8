"""Files taken out of layers that lie one upon another."""

from __future__ import annotations

import os
import stat
import warnings
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from tests.hosts import WINDOWS
from wclayer.body import BytesBody, StreamBody
from wclayer.builder.copy_from import ImageTree
from wclayer.entry import AlternateStream, Body, Directory, Entry, ExtendedAttribute, File, HardLink, Whiteout
from wclayer.errors import LayerError, NotFoundError
from wclayer.win32.filetime import from_unix_ns
from wclayer.win32.reparse import build_link

Item = tuple[Entry, bytes | None]
SPARSE = b"\0" * 8192 + b"end"


class Layer:
    """A layer in memory. opened: how often it was read."""

    restartable = True

    def __init__(self, *items: Entry | Item) -> None:
        self.opened = 0
        self._items = [item if isinstance(item, tuple) else (item, None) for item in items]

    def entries(self) -> Iterator[tuple[Entry, Body | None]]:
        self.opened += 1
        for entry, data in self._items:
            if data is SPARSE:
                whole = BytesBody(data)
                yield entry, StreamBody(len(data), whole.read, [(8192, 3)])
            else:
                yield entry, None if data is None else BytesBody(data)


def file(path: str, data: bytes, **more: object) -> Item:
    return File(f"Files/{path}", size=len(data), **more), data  # type: ignore[arg-type]


def folder(path: str, **more: object) -> Directory:
    return Directory(f"Files/{path}".rstrip("/"), **more)  # type: ignore[arg-type]


def link(path: str, target: str) -> HardLink:
    return HardLink(f"Files/{path}", f"Files/{target}")


def gone(path: str) -> Whiteout:
    return Whiteout(f"Files/{path}")


def contents(taken: ImageTree) -> dict[str, bytes | None]:
    """All that was taken: files with their content, None for folders; links with what they lead to."""
    result: dict[str, bytes | None] = {}
    waiting = [b""]
    while waiting:
        for host, found in taken.list(waiting.pop()):
            name = host.decode("utf-8", "surrogatepass")
            result[name] = None
            if stat.S_ISDIR(found.st_mode):
                waiting.append(host)
            elif stat.S_ISLNK(found.st_mode):
                result[name] = b"-> " + taken.readlink(host)
            else:
                result[name] = taken.read(host, found)
                assert found.st_size == len(result[name] or b"")
    return result


def took(layers: Sequence[Layer], *wanted: str) -> dict[str, bytes | None]:
    taken = ImageTree.of_layers(layers, wanted, name="image")
    try:
        return contents(taken)
    finally:
        taken.close()


BASE = Layer(
    folder(""),
    folder("Dir"),
    folder("Dir/Sub"),
    file("Dir/Sub/x.txt", b"x"),
    file("Dir/a.txt", b"a"),
    file("Dir/b.log", b"b"),
    link("Dir/c.txt", "Dir/a.txt"),
    folder("empty"),
    file("top", b"top"),
    Directory("Hives"),
)
ALL = {
    "Dir": None,
    "Dir/Sub": None,
    "Dir/Sub/x.txt": b"x",
    "Dir/a.txt": b"a",
    "Dir/b.log": b"b",
    "Dir/c.txt": b"a",
    "empty": None,
    "top": b"top",
}


def test_everything() -> None:
    layer = Layer(*BASE._items)
    assert took([layer], "") == ALL
    assert took([layer], "/") == ALL
    assert took([layer], ".") == ALL
    taken = ImageTree.of_layers([layer], [""], name="image")
    assert taken.find("") == [""]
    assert taken.is_directory("")
    assert taken.shown(b"Dir/a.txt") == "image//Files/Dir/a.txt"
    assert taken.entry(b"") is None
    taken.close()


def test_two_passes_at_most() -> None:
    """One for the names, one over the layers that have the content, wherever links lead."""
    layers = [Layer(*BASE._items), Layer(folder(""), file("new", b"n")), Layer(folder(""), link("l", "new"))]
    assert took(layers, "top") == {"top": b"top"}
    assert [layer.opened for layer in layers] == [2, 1, 1]
    assert took(layers, "l") == {"l": b"n"}
    assert [layer.opened for layer in layers] == [3, 3, 2]


@pytest.mark.parametrize(
    ("wanted", "found", "expected"),
    [
        ("dir/A.TXT", ["Dir/a.txt"], {"Dir/a.txt": b"a"}),
        ("dir/*.txt", ["Dir/a.txt", "Dir/c.txt"], {"Dir/a.txt": b"a", "Dir/c.txt": b"a"}),
        ("*/?.log", ["Dir/b.log"], {"Dir/b.log": b"b"}),
        ("D*/sub", ["Dir/Sub"], {"Dir/Sub": None, "Dir/Sub/x.txt": b"x"}),
        ("dir/[ab].*", ["Dir/a.txt", "Dir/b.log"], {"Dir/a.txt": b"a", "Dir/b.log": b"b"}),
        ("dir/[b-z].*", ["Dir/b.log", "Dir/c.txt"], {"Dir/b.log": b"b", "Dir/c.txt": b"a"}),
        ("dir/[^a].*", ["Dir/b.log", "Dir/c.txt"], {"Dir/b.log": b"b", "Dir/c.txt": b"a"}),
        ("dir/[!a].txt", ["Dir/a.txt"], {"Dir/a.txt": b"a"}),
        ("none*", [], {}),
        ("top/*", [], {}),
        ("*", ["Dir", "empty", "top"], ALL),
    ],
)
def test_patterns(wanted: str, found: list[str], expected: dict[str, bytes | None]) -> None:
    taken = ImageTree.of_layers([Layer(*BASE._items)], [wanted], name="image")
    assert taken.find(wanted) == found
    for path, data in expected.items():
        host = path.encode()
        mode = taken.look(host).st_mode
        assert stat.S_ISDIR(mode) == (data is None)
        if data is not None:
            assert taken.read(host, taken.look(host)) == data
    taken.close()


@pytest.mark.parametrize(
    "mask", ["[[]x", "[a--]x", "[a&&b]x", "[a||b]x", "[a~~b]x", "[", "[]", "[]x]", "[z-a]x", "[^]x", "a\\"]
)
def test_odd_patterns(mask: str) -> None:
    """Nothing is known of them but that no other error comes of them, and no warning of Python's."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with suppress(NotFoundError):
            took([Layer(*BASE._items)], mask)


def test_a_class_with_a_bracket_in_it() -> None:
    layer = Layer(folder(""), file("[x", b"1"), file("ax", b"2"))
    assert took([layer], "[[]x") == {"[x": b"1"}


def test_several_paths() -> None:
    assert took([Layer(*BASE._items)], "top", "Dir/Sub", "dir/sub/X.TXT") == {
        "top": b"top"
    }  # below no folder of theirs
    taken = ImageTree.of_layers([Layer(*BASE._items)], ["top", "dir/sub"], name="image")
    assert taken.find("dir/SUB") == ["Dir/Sub"]
    assert [host for host, _ in taken.list(b"Dir/Sub")] == [b"Dir/Sub/x.txt"]
    taken.close()


def test_what_is_not_there() -> None:
    layers = [Layer(*BASE._items), Layer(folder(""), gone("top"))]
    for path in ("none", "top", "Dir/none", "top/below", "Hives"):
        with pytest.raises(NotFoundError, match="the image has no such file") as caught:
            took(layers, "Dir", path)
        assert caught.value.path == f"image//Files/{path}"


# --- layers upon each other ------------------------------------------------------


@pytest.mark.parametrize(
    ("upper", "expected"),
    [
        ([], {}),
        (
            [folder("dir"), file("dir/A.txt", b"new")],
            {"Dir": "gone", "Dir/a.txt": "gone", "dir": None, "dir/A.txt": b"new"},
        ),
        ([gone("DIR/b.LOG")], {"Dir/b.log": "gone"}),
        ([gone("Dir")], dict.fromkeys([path for path in ALL if path.startswith("Dir")], "gone")),
        (
            [folder("Dir"), folder("Dir/new"), gone("Dir/Sub"), gone("Dir/c.txt")],
            {"Dir/Sub": "gone", "Dir/Sub/x.txt": "gone", "Dir/c.txt": "gone", "Dir/new": None},
        ),
        ([folder("Dir"), file("Dir/sub", b"f")], {"Dir/Sub": "gone", "Dir/Sub/x.txt": "gone", "Dir/sub": b"f"}),
        ([folder("top"), file("top/x", b"1")], {"top": None, "top/x": b"1"}),
        ([link("new", "dir/A.TXT")], {"new": b"a"}),
        ([link("new", "Dir/c.txt")], {"new": b"a"}),
        ([folder("Dir"), file("Dir/a.txt", b"new"), link("new", "Dir/c.txt")], {"Dir/a.txt": b"new", "new": b"a"}),
        ([folder("Dir"), file("Dir/a.txt", b"new"), link("new", "Dir/a.txt")], {"Dir/a.txt": b"new", "new": b"new"}),
        ([folder("Dir"), file("Dir/c.txt", b"new")], {"Dir/c.txt": b"new"}),
        ([folder("Dir"), gone("Dir/a.txt")], {"Dir/a.txt": "gone"}),  # its other name still leads to it
        ([folder("Dir"), file("z", b"z"), link("Dir/a.txt", "z")], {"Dir/a.txt": b"z", "z": b"z"}),
    ],
)
def test_two_layers(upper: list[Entry | Item], expected: dict[str, bytes | str | None]) -> None:
    merged: dict[str, bytes | str | None] = {**ALL, **expected}
    wanted = {path: data for path, data in merged.items() if data != "gone"}
    found = took([Layer(*BASE._items), Layer(folder(""), *upper)], "")
    # A path is spelled by the layer that has the last word on it.
    assert {path.upper(): data for path, data in found.items()} == {path.upper(): data for path, data in wanted.items()}
    assert {path.rpartition("/")[2] for path in found} == {path.rpartition("/")[2] for path in wanted}


def test_a_link_to_a_name_that_became_a_link() -> None:
    """A link's target is what its name is in the link's own layer or, failing that, the nearest below."""
    layers = [
        Layer(folder(""), file("a", b"old"), file("c", b"other")),
        Layer(folder(""), link("a", "c")),
        Layer(folder(""), link("b", "a")),
    ]
    assert took(layers, "") == {"a": b"other", "b": b"other", "c": b"other"}
    assert took(layers, "b") == {"b": b"other"}


def test_a_link_to_a_name_that_was_a_link() -> None:
    layers = [
        Layer(folder(""), file("c", b"other"), link("a", "c")),
        Layer(folder(""), file("a", b"new")),
        Layer(folder(""), link("b", "a")),
    ]
    assert took(layers, "") == {"a": b"new", "b": b"new", "c": b"other"}


def test_a_link_to_a_name_that_was_two_links() -> None:
    layers = [
        Layer(folder(""), file("z", b"upper"), file("c", b"lower"), link("a", "c")),
        Layer(folder(""), link("a", "z")),
        Layer(folder(""), link("b", "a")),
    ]
    assert took(layers, "b") == {"b": b"upper"}
    layers[0] = Layer(folder(""), file("c", b"upper"), file("z", b"lower"), link("a", "z"))
    layers[1] = Layer(folder(""), link("a", "c"))
    assert took(layers, "b") == {"b": b"upper"}


def test_links_to_links() -> None:
    chain: list[Entry | Item] = [file("n0", b"end"), *(link(f"n{number + 1}", f"n{number}") for number in range(6))]
    layers = [Layer(folder(""), *chain)]
    assert set(took(layers, "").values()) == {b"end"}
    split = [Layer(folder(""), one) for one in chain]
    assert took(split, "n6") == {"n6": b"end"}


@pytest.mark.parametrize(
    "items", [[link("a", "none")], [link("a", "a")], [link("a", "b"), link("b", "a")], [folder("d"), link("a", "d")]]
)
def test_links_to_nothing(items: list[Entry]) -> None:
    """To a directory there are no hard links."""
    with pytest.raises(LayerError):
        took([Layer(folder(""), *items)], "a")


def test_a_target_in_a_layer_above_does_not_count() -> None:
    with pytest.raises(LayerError, match="a hard link to nothing"):
        took([Layer(folder(""), link("a", "b")), Layer(folder(""), file("b", b"1"))], "a")


def test_a_file_of_another_root_is_another() -> None:
    """Hives and UtilityVM have names too that drive C: may have."""
    layer = Layer(
        folder(""),
        file("Software", b"C"),
        folder("Files"),
        file("Files/boot", b"C too"),
        Directory("Hives"),
        (File("Hives/Software", size=4), b"hive"),
        Directory("UtilityVM"),
        Directory("UtilityVM/Files"),
        (File("UtilityVM/Files/boot", size=2), b"VM"),
    )
    assert took([layer], "software") == {"Software": b"C"}
    taken = ImageTree.of_layers([layer], ["Files/boot"], name="image")
    assert taken.read(b"Files/boot", taken.look(b"Files/boot")) == b"C too"
    taken.close()
    assert took([layer], "") == {"Software": b"C", "Files": None, "Files/boot": b"C too"}


# --- what Windows knows of files ----------------------------------------------------


def test_metadata() -> None:
    time = from_unix_ns(1_600_000_000 * 10**9 + 700)
    ea = (ExtendedAttribute(b"EA", b"1", 0x80),)
    whole, junction = build_link("C:\\Dir", True), build_link("d\\f", False)
    other = bytes.fromhex("170000800400000001000000")
    layer = Layer(
        folder("", last_write_time=1),
        folder("d", file_attributes=0x12, last_write_time=time),
        file("d/f", b"data", file_attributes=0x23, extended_attributes=ea, last_write_time=time),
        (AlternateStream("Files/d/f", "one", 3), b"abc"),
        (AlternateStream("Files/d/f", "two", 0), b""),
        link("d/hard", "d/f"),
        file("d/sparse", SPARSE),
        file("d/wof", b"", reparse_data=other),
        folder("junction", reparse_data=whole, file_attributes=0x410),
        file("sym", b"", reparse_data=junction, file_attributes=0x420),
    )
    layer._items[6] = (layer._items[6][0], SPARSE)
    taken = ImageTree.of_layers([layer], [""], name="image")
    for host in (b"d/f", b"D/HARD"):
        known = taken.entry(host)
        assert isinstance(known, File)
        assert (known.file_attributes, known.extended_attributes) == (0x23, ea)
        streams = [(stream.name, stream.size, body.read()) for stream, body in taken.streams(host)]
        assert streams == [("one", 3, b"abc"), ("two", 0, b"")]
        found = taken.look(host)
        assert (found.st_mtime_ns, found.st_size, stat.S_ISREG(found.st_mode)) == (1_600_000_000 * 10**9 + 700, 4, True)
    assert [stream.path for stream, _ in taken.streams(b"d/hard")] == ["Files/d/hard"] * 2
    body = taken.open(b"d/sparse", taken.look(b"d/sparse"))
    assert (body.size, list(body.extents())) == (8195, [(8192, 3)])
    assert list(body.chunks()) == [(8192, b"end")]
    assert taken.read(b"d/sparse", taken.look(b"d/sparse")) == SPARSE
    assert stat.S_ISLNK(taken.look(b"junction").st_mode)
    assert taken.readlink(b"junction") == b"C:\\Dir"
    assert stat.S_ISLNK(taken.look(b"sym").st_mode)
    assert not taken.is_directory("junction")
    assert taken.readlink(b"sym") == b"d\\f"
    wof = taken.entry(b"d/wof")
    assert isinstance(wof, File)
    assert wof.reparse_data == other
    assert stat.S_ISREG(taken.look(b"d/wof").st_mode)
    # Each is one thing, not the other.
    numbers = [found.st_ino for directory in (b"", b"d") for _, found in taken.list(directory)]
    assert len(set(numbers)) == len(numbers)
    taken.close()


def test_the_content_of_a_link_whose_target_was_replaced_has_its_own_streams() -> None:
    layers = [
        Layer(folder(""), file("a", b"old"), (AlternateStream("Files/a", "s", 1), b"1"), link("b", "a")),
        Layer(folder(""), file("a", b"new"), (AlternateStream("Files/a", "t", 1), b"2")),
        Layer(folder(""), link("c", "a")),
    ]
    taken = ImageTree.of_layers(layers, [""], name="image")
    found = {host: [(stream.name, body.read()) for stream, body in taken.streams(host)] for host in (b"a", b"b", b"c")}
    assert found == {b"a": [("t", b"2")], b"b": [("s", b"1")], b"c": [("t", b"2")]}
    taken.close()


@pytest.mark.parametrize("path", ["junction/x", "JUNCTION/d/y", "d/inner/z"])
def test_a_path_through_a_link(path: str) -> None:
    layer = Layer(
        folder(""),
        folder("d"),
        folder("junction", reparse_data=build_link("C:\\d", True)),
        folder("d/inner", reparse_data=build_link("..", False)),
    )
    with pytest.raises(LayerError, match="a path through a link") as caught:
        took([layer], path)
    assert caught.value.path == f"image//Files/{path}"


def test_a_link_that_became_a_directory() -> None:
    layers = [
        Layer(folder(""), folder("d", reparse_data=build_link("C:\\x", True))),
        Layer(folder(""), folder("d"), file("d/f", b"1")),
    ]
    taken = ImageTree.of_layers(layers, ["d/f"], name="image")
    assert taken.read(b"d/f", taken.look(b"d/f")) == b"1"
    taken.close()
    with pytest.raises(NotFoundError):
        took(layers, "d/g")


def test_a_layer_that_no_windows_takes_is_refused() -> None:
    """As by all who look into layers: which of the two counts is nowhere said."""
    layers = [Layer(*BASE._items), Layer(folder(""), gone("Dir"), folder("Dir"), file("Dir/new", b"n"))]
    with pytest.raises(LayerError, match="an entry and a whiteout of the same name"):
        took(layers, "Dir")


def test_nothing_is_left_of_it(tmp_path: Path) -> None:
    taken = ImageTree.of_layers([Layer(*BASE._items)], [""], name="image", temp_dir=tmp_path)
    assert WINDOWS or os.listdir(tmp_path) == []  # it has no name
    taken.close()
    assert os.listdir(tmp_path) == []
    with pytest.raises(NotFoundError):
        ImageTree.of_layers([Layer(*BASE._items)], ["none"], name="i", temp_dir=tmp_path)
    assert os.listdir(tmp_path) == []


def test_names_that_are_no_unicode() -> None:
    layer = Layer(folder(""), file("\ud800x", b"1"), file("ÿ", b"2"))
    taken = ImageTree.of_layers([layer], ["*"], name="image")
    assert taken.find("*") == ["\u00ff", "\ud800x"]
    assert taken.find("\u0178") == ["ÿ"]  # NTFS has a capital for it
    host = "\ud800x".encode("utf-8", "surrogatepass")
    assert taken.read(host, taken.look(host)) == b"1"
    taken.close()
