"""What is seen of layers that lie on each other."""

from __future__ import annotations

from wclayer.entry import Directory, Entry, File
from wclayer.union.lookup import seen
from wclayer.win32.reparse import build_link


class Layer:
    def __init__(self, *entries: Entry, gone: tuple[str, ...] = ()) -> None:
        self._entries = {entry.path.upper(): entry for entry in entries}
        self._gone = {path.upper() for path in gone}

    def lookup(self, path: str, /) -> Entry | None:
        return self._entries.get(path.upper())

    def has_whiteout(self, path: str, /) -> bool:
        return path.upper() in self._gone


BASE = Layer(Directory("Files"), Directory("Files/d"), File("Files/d/f"))
WCI = bytes.fromhex("18000080 0000 0000")  # IO_REPARSE_TAG_WCI: what Windows keeps of a layer's own directories


def test_what_a_link_lies_over_is_hidden() -> None:
    for junction in (False, True):
        link = Directory("Files/D", file_attributes=0x410, reparse_data=build_link("C:\\x", junction))
        assert seen([Layer(Directory("Files"), link), BASE], "Files/d/f") is None
        assert seen([Layer(Directory("Files"), link), BASE], "Files/d") is not None


def test_a_reparse_point_that_stands_for_itself_hides_nothing() -> None:
    top = Layer(Directory("Files"), Directory("Files/d", file_attributes=0x410, reparse_data=WCI))
    assert seen([top, BASE], "Files/d/f") == (BASE, File("Files/d/f"))


def test_what_lies_below_a_file_or_a_whiteout_is_hidden() -> None:
    assert seen([Layer(File("Files/D")), BASE], "Files/d/f") is None
    assert seen([Layer(gone=("Files/D",)), BASE], "Files/d/f") is None
    assert seen([Layer(gone=("Files/e",)), BASE], "Files/d/f") == (BASE, File("Files/d/f"))
