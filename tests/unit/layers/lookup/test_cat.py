"""The bytes of files in layers: what is read for them, and what is not."""

from __future__ import annotations

import gzip
import io
import threading
from collections.abc import Callable, Iterator

import pytest

from tests.tars import BASE, M, build, directory
from tests.unit.layers.sources import Listed, layer
from wclayer.entry import AlternateStream, Body, Directory, Entry, File, HardLink, Source, Whiteout
from wclayer.errors import LayerError, NotFoundError, UsageError, WclayerError
from wclayer.layers.lookup.cat import stream_of, write_contents
from wclayer.layers.lookup.request import PathQuery
from wclayer.layertar.reader import TarSource
from wclayer.win32.reparse import build_link


def cat(layers: list[Source], *paths: str) -> bytes:
    out: list[bytes] = []
    wanted = [PathQuery(path, stream=stream, literal=True) for path, stream in map(stream_of, paths)]
    write_contents(layers, wanted, out.append)
    return b"".join(out)


class Counted:
    """A layer that knows how often it was opened, and how many entries were read of it."""

    def __init__(self, inner: Listed, *, restartable: bool = True) -> None:
        self._inner = inner
        self.restartable = restartable
        self.opened = self.read = 0

    def entries(self) -> Iterator[tuple[Entry, Body | None]]:
        self.opened += 1
        assert self.restartable or self.opened == 1
        for one in self._inner.entries():
            self.read += 1
            yield one


def entries_of(source: Listed) -> list[Entry]:
    return [entry for entry, _ in source.entries()]


def symlink(path: str, target: str, *, junction: bool = False) -> Entry:
    reparse = build_link(target, junction)
    if junction:
        return Directory(path, file_attributes=0x410, reparse_data=reparse)
    return File(path, file_attributes=0x420, reparse_data=reparse, data_stream=False)


FILES = layer({"Files/a/f": b"one", "Files/b/g": b"two", "Files/c": b"three"})


def test_by_ntfs_case_rules() -> None:
    assert cat([FILES], "files/A/F", "./Files//b/G") == b"onetwo"


def test_reading_stops_at_the_file() -> None:
    base, top = Counted(FILES), Counted(layer({"Files/x": b"x", "Files/y": b"y", "Files/z": b"z"}))
    assert cat([base, top], "Files/y") == b"y"
    assert (top.read, base.opened) == (3, 0)
    assert cat([base, top], "Files/a/f") == b"one"
    assert (top.read, base.read) == (7, 4)


def test_several_files_in_one_pass_whatever_their_order() -> None:
    base = Counted(FILES, restartable=False)
    assert cat([base], "Files/c", "Files/a/f", "Files/b/g", "Files/a/f") == b"threeonetwoone"


def test_the_nearest_layer_is_seen() -> None:
    top = layer({"Files/A/F": b"new"}, [Whiteout("Files/b")])
    assert cat([FILES, top], "Files/a/f") == b"new"
    with pytest.raises(NotFoundError, match="no such file"):
        cat([FILES, top], "Files/b/g")


def test_what_is_deleted_is_not_looked_for_below() -> None:
    base = Counted(FILES)
    for gone in (Whiteout("Files/C"), Whiteout("Files/B")):
        with pytest.raises(NotFoundError):
            cat([base, Listed(Directory("Files"), gone)], "Files/c" if gone.path == "Files/C" else "Files/b/g")
    assert base.opened == 0


def test_streams() -> None:
    stream = [AlternateStream("Files/f", "s", 1), AlternateStream("Files/f", "Zone.Identifier", 2)]
    base = Listed(Directory("Files"), (File("Files/f", size=3), b"abc"), (stream[0], b"1"), (stream[1], b"22"))
    linked = Listed(Directory("Files"), HardLink("Files/g", "Files/f"))
    assert cat([base], "Files/f:zone.identifier", "Files/f", "Files/F:s", "Files/f::$DATA") == b"22abc1abc"
    assert cat([base, linked], "Files/g:s:$DATA") == b"1"
    with pytest.raises(NotFoundError, match="no such stream"):
        cat([base], "Files/f:t")


def test_a_stream_of_a_directory() -> None:
    base = Listed(Directory("Files"), Directory("Files/d"), (AlternateStream("Files/d", "s", 1), b"1"))
    assert cat([base], "Files/d:s") == b"1"
    with pytest.raises(UsageError, match="a directory"):
        cat([base], "Files/d")


# --- links --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("link", "path"),
    [
        (symlink("Files/l", "a\\f"), "Files/l"),
        (symlink("Files/l", "\\A\\F"), "Files/l"),
        (symlink("Files/l", "C:\\a\\f"), "Files/l"),
        (symlink("Files/l", "\\\\?\\C:\\a\\f"), "Files/l"),
        (symlink("Files/l", "c:\\a", junction=True), "Files/L/f"),
        (symlink("Files/l", "C:\\", junction=True), "Files/l/a/f"),
    ],
)
def test_symlinks_and_junctions(link: Entry, path: str) -> None:
    behind = Listed(*list(FILES._entries), link)
    assert cat([behind], path) == b"one"
    base, top = Counted(FILES, restartable=False), Counted(Listed(Directory("Files"), link), restartable=False)
    if path != "Files/l/a/f":  # whose target, the root, has come in both
        assert cat([base, top], path) == b"one"
    assert cat([Listed(Directory("Files"), link), FILES], path) == b"one"


def test_links_to_something_already_read() -> None:
    behind = Listed(*list(FILES._entries), symlink("Files/l", "a\\f"))
    again = Counted(behind)
    assert cat([again], "Files/l") == b"one"
    assert again.opened == 2
    with pytest.raises(UsageError, match="a link to something already read from a pipe") as caught:
        cat([Counted(behind, restartable=False)], "Files/l")
    assert caught.value.got == "Files/l -> a\\f"


def test_links_that_lead_to_each_other() -> None:
    loop = Listed(Directory("Files"), symlink("Files/a", "b"), symlink("Files/b", "a"))
    again = Counted(loop)
    with pytest.raises(LayerError, match="lead to each other"):
        cat([again], "Files/a")
    assert again.opened == 1
    deeper = Listed(Directory("Files"), symlink("Files/a", "C:\\a\\a", junction=True))
    with pytest.raises(LayerError, match="too many links"):
        cat([deeper], "Files/a/x")


def test_links_out_of_the_layer_and_to_nothing() -> None:
    with pytest.raises(LayerError, match=r"leads out of drive C:") as caught:
        cat([Listed(Directory("Files"), symlink("Files/l", "\\\\server\\share"))], "Files/l")
    assert caught.value.got == "\\??\\UNC\\server\\share"
    with pytest.raises(NotFoundError) as missing:
        cat([Listed(Directory("Files"), symlink("Files/l", "Files/a/f"))], "Files/l")
    assert missing.value.got == "a link to nothing: Files/l -> Files/a/f"


def test_a_link_that_a_directory_hides_is_not_followed() -> None:
    base = Listed(Directory("Files"), symlink("Files/d", "C:\\a", junction=True), Directory("Files/a"))
    top = Listed(Directory("Files"), Directory("Files/d"))
    with pytest.raises(NotFoundError):
        cat([base, top], "Files/d/f")


def test_hard_links() -> None:
    base = layer({"Files/f": b"old"}, [HardLink("Files/g", "Files/F"), HardLink("Files/h", "Files/g")])
    top = layer({"Files/f": b"new"}, [HardLink("Files/i", "Files/h"), HardLink("Files/j", "Files/f")])
    again = Counted(top)
    assert cat([base, again], "Files/i") == b"old"
    assert again.opened == 1
    assert cat([base, again], "Files/j") == b"new"
    assert again.opened == 3  # backwards
    assert cat([base], "Files/h", "Files/g", "Files/f") == b"old" * 3
    with pytest.raises(UsageError, match="a hard link to a file already read from a pipe"):
        cat([Counted(base, restartable=False)], "Files/h")


def test_hard_links_forwards_and_to_nothing() -> None:
    forwards = Listed(Directory("Files"), HardLink("Files/g", "Files/f"), (File("Files/f", size=1), b"x"))
    assert cat([Counted(forwards, restartable=False)], "Files/g") == b"x"
    nothing = Listed(Directory("Files"), HardLink("Files/g", "Files/f"), HardLink("Files/d", "Files"))
    for layers in ([nothing], [FILES, nothing]):
        for path in ("Files/g", "Files/d"):
            with pytest.raises(LayerError, match="a hard link to nothing"):
                cat(list(layers), path)


def test_hard_links_to_symlinks() -> None:
    """They lead on from where they are, whichever of it all comes first, and in whichever layer."""
    f: tuple[Entry, bytes] = (File("Files/f", size=1), b"x")
    links = symlink("Files/l", "f"), HardLink("Files/h", "Files/l"), HardLink("Files/i", "Files/H")
    for entries in ([*links, f], [f, *links], [links[1], links[2], f, links[0]], [links[1], links[2], links[0], f]):
        assert cat([Listed(Directory("Files"), *entries)], "Files/h", "Files/i", "Files/l") == b"xxx"
    assert cat([Counted(Listed(Directory("Files"), *links, f), restartable=False)], "Files/i") == b"x"
    bottom = Listed(Directory("Files"), f, links[0])
    middle = layer({"Files/d/f": b"y", "Files/f": b"z"})
    top = Listed(
        Directory("Files"), Directory("Files/d"), HardLink("Files/d/h", "Files/l"), HardLink("Files/h", "Files/l")
    )
    assert cat([bottom, middle, top], "Files/h", "Files/d/h") == b"zy"
    with pytest.raises(NotFoundError, match="a link to nothing: Files/d/h -> f"):
        cat([bottom, middle, Listed(*entries_of(top), Whiteout("Files/d/f"))], "Files/d/h")
    with pytest.raises(UsageError, match="a link to something already read from a pipe"):
        cat([Counted(Listed(Directory("Files"), f, *links), restartable=False)], "Files/i")


def test_a_symlink_behind_a_hard_link_leads_to_a_part_of_a_layer_that_was_not_read() -> None:
    old = Directory("Files/d"), (File("Files/d/f", size=3), b"old")
    base = Listed(Directory("Files"), symlink("Files/l", "f"), *old)
    hard = Directory("Files"), Directory("Files/d"), HardLink("Files/d/h", "Files/l")
    top = Counted(Listed(*hard, (File("Files/d/f", size=3), b"new")))
    assert cat([base, top], "Files/d/h") == b"new"
    assert top.opened == 2  # the first time, up to the hard link


def test_hard_links_that_lead_in_a_circle() -> None:
    base = Listed(Directory("Files"), symlink("Files/l", "h"), HardLink("Files/h", "Files/l"))
    for path in ("Files/l", "Files/h"):
        with pytest.raises(LayerError, match="links that lead to each other"):
            cat([base], path)


# --- tars -----------------------------------------------------------------------------


def tar(*members: M) -> bytes:
    return build([*BASE, *members])


def test_an_early_end_closes_the_layer_and_is_no_error() -> None:
    data = tar(M("Files/a", b"1"), M("Files/b", bytes(32 << 20)))
    opened: list[io.BytesIO] = []

    def reopen() -> io.BytesIO:
        opened.append(io.BytesIO(data))
        return opened[-1]

    before = threading.active_count()
    assert cat([TarSource(None, reopen=reopen)], "Files/a") == b"1"
    assert [stream.closed for stream in opened] == [True]
    assert threading.active_count() == before


@pytest.mark.parametrize("pack", [bytes, lambda data: gzip.compress(data, 1)])
def test_what_comes_after_the_file_may_be_broken(pack: Callable[[bytes], bytes]) -> None:
    noise = bytes(range(256)) * (1 << 16)
    data = pack(tar(M("Files/a", b"1"), M("Files/b", noise * 2)))
    broken = data[: len(data) // 2] + b"\xff" * 4096
    assert cat([TarSource(io.BytesIO(broken))], "Files/a") == b"1"
    with pytest.raises(WclayerError):
        cat([TarSource(io.BytesIO(broken))], "Files/c")


def test_names_with_dots() -> None:
    with pytest.raises(UsageError, match=r"with `\.\.`"):
        PathQuery("Files/../x")
    assert not PathQuery("Files/[a]", literal=True).is_pattern
    assert directory("Files").type == "5"


@pytest.mark.parametrize("count", [63, 64])
def test_as_many_links_as_windows_follows(count: int) -> None:
    links = [symlink(f"Files/l{number}", f"l{number + 1}") for number in range(count)]
    chain = Counted(Listed(Directory("Files"), *links, (File(f"Files/l{count}", size=1), b"x")), restartable=False)
    if count == 63:
        assert cat([chain], "Files/l0") == b"x"
    else:
        with pytest.raises(LayerError, match="too many links"):
            cat([chain], "Files/l0")
