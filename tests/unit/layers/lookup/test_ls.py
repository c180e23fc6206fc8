"""What is listed and found in layers, in one pass."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator

import pytest

from tests.unit.layers.lookup.tracing import lines_run
from tests.unit.layers.sources import Listed as Source
from tests.unit.layers.sources import layer
from wclayer.body import BytesBody, HoledBody
from wclayer.entry import AlternateStream, Body, Directory, Entry, ExtendedAttribute, File, HardLink, Whiteout
from wclayer.errors import LayerError, NotFoundError
from wclayer.layers.lookup.find import Criteria, find_in_layers, type_of
from wclayer.layers.lookup.ls import Listed, Stream, list_layers
from wclayer.layers.lookup.request import PathQuery
from wclayer.win32.reparse import build_link
from wclayer.win32.sddl import parse_sddl
from wclayer.win32.security import Sid

SYSTEM = parse_sddl("O:SYG:SYD:(A;;FA;;;WD)")
JUNCTION = Directory("Files/j", file_attributes=0x410, reparse_data=build_link("C:\\d", True))
BASE = Source(
    Directory("Files"),
    Directory("Files/d"),
    (File("Files/d/f", size=3, security_descriptor=SYSTEM, last_write_time=100), b"abc"),
    (AlternateStream("Files/d/f", "s", 2), b"xy"),
    HardLink("Files/g", "Files/d/f", file_attributes=0x21, last_write_time=1),
    JUNCTION,
    (File("Files/z", size=3, file_attributes=0x22), b"zzz"),
)


def listed(layers: list[Source], *paths: str, follow: bool = True) -> list[Listed]:
    found: list[Listed] = []
    list_layers(layers, [PathQuery(path) for path in paths], found.append, follow=follow)
    return found


def find(criteria: Criteria, *layers: Source) -> list[str]:
    found: list[str] = []
    find_in_layers(list(layers) or [BASE], [PathQuery("")], criteria, lambda one: found.append(one.path))
    return found


def test_a_hard_link_shows_its_file() -> None:
    [link] = listed([BASE], "Files/g")
    assert isinstance(link.entry, HardLink)
    assert isinstance(link.file, File)
    assert (link.size, link.file.security_descriptor, link.streams) == (3, SYSTEM, [Stream("s", 2)])
    top = Source(Directory("Files"), HardLink("Files/new", "files/G"), (File("Files/d"), b""))
    found = {one.path: one for one in listed([BASE, top], "Files")}
    assert found["Files/new"].number == 1
    assert found["Files/new"].file is not None
    assert (found["Files/new"].file.path, found["Files/new"].size) == ("Files/d/f", 3)
    assert "Files/d/f" not in found


def test_a_hard_link_to_nothing_is_listed() -> None:
    lost = Source(Directory("Files"), HardLink("Files/l", "Files/x", file_attributes=0x21), File("Files/f"))
    assert [(one.path, one.file is None) for one in listed([lost], "Files")] == [
        ("Files", False),
        ("Files/f", False),
        ("Files/l", True),
    ]
    assert find(Criteria(types=frozenset("h")), lost) == ["Files/l"]
    assert find(Criteria(types=frozenset("h"), attributes=0x20), lost) == []
    assert find(Criteria(types=frozenset("f")), lost) == ["Files/f"]


def test_links_at_the_end() -> None:
    assert [one.path for one in listed([BASE], "Files/j", follow=False)] == ["Files/j"]
    found: list[Listed] = []
    again = Source(*BASE._entries)
    list_layers([again], [PathQuery("Files/j")], found.append)
    assert [(one.path, one.match.name, one.match.depth) for one in found] == [
        ("Files/d", "j", 0),
        ("Files/d/f", "j/f", 1),
    ]


def test_one_file_is_listed_without_reading_on() -> None:
    read: list[str] = []

    class Counted(Source):
        def entries(self) -> Iterator[tuple[Entry, Body | None]]:
            for one in super().entries():
                read.append(one[0].path)
                yield one

    assert [one.streams for one in listed([Counted(*BASE._entries)], "Files/d/f")] == [[Stream("s", 2)]]
    assert read[-1] == "Files/g"  # after which no streams can come


def test_whiteouts_of_one_layer_alone() -> None:
    top = Source(Directory("Files"), Whiteout("Files/z"))
    assert [one.path for one in listed([top], "Files")] == ["Files", "Files/z"]
    assert "Files/z" not in [one.path for one in listed([BASE, top], "Files")]
    assert [one.path for one in listed([top], "files/Z")] == ["Files/z"]
    with pytest.raises(NotFoundError):
        listed([BASE, top], "Files/z")


@pytest.mark.parametrize(
    ("criteria", "expected"),
    [
        (Criteria(), ["Files", "Files/d", "Files/d/f", "Files/g", "Files/j", "Files/z"]),
        (Criteria(names=("?",), types=frozenset("d")), ["Files/d"]),
        (Criteria(owners=frozenset((Sid.from_string("S-1-5-18"),))), ["Files/d/f", "Files/g"]),
        (Criteria(newer=99), ["Files/d/f", "Files/g"]),
        (Criteria(newer=100), []),
        (Criteria(sddl=re.compile("WD")), ["Files/d/f", "Files/g"]),
        (Criteria(attributes=0x2), ["Files/z"]),
        (Criteria(attributes=0x20, without=0x2), ["Files/d/f", "Files/g"]),
        (Criteria(attributes=0x400), ["Files/j"]),
        (Criteria(types=frozenset("s"), sizes=((0, 2),)), ["Files/d/f:s"]),
        (Criteria(sizes=((-1, 3),)), []),
        (Criteria(sha256=frozenset((hashlib.sha256(b"abc").hexdigest(),))), ["Files/d/f", "Files/g"]),
        (Criteria(sha256=frozenset((hashlib.sha256(b"xy").hexdigest(),)), types=frozenset("sf")), ["Files/d/f:s"]),
    ],
)
def test_criteria(criteria: Criteria, expected: list[str]) -> None:
    assert sorted(find(criteria)) == expected


def test_content_is_read_only_where_all_else_fits() -> None:
    read: list[int] = []

    class Bytes:
        size = 3

        def read(self, n: int = -1, /) -> bytes:
            raise AssertionError(n)

        def extents(self) -> list[tuple[int, int]]:
            return [(0, 3)]

        def chunks(self) -> Iterator[tuple[int, bytes]]:
            read.append(self.size)
            yield 0, b"abc"

    class Layer(Source):
        def entries(self) -> Iterator[tuple[Entry, Body | None]]:
            yield Directory("Files"), None
            yield File("Files/a", size=3, file_attributes=0x22), Bytes()
            yield File("Files/b", size=3), Bytes()

    digest = frozenset((hashlib.sha256(b"abc").hexdigest(),))
    assert find(Criteria(sha256=digest, sizes=((1, 3),)), Layer()) == []
    assert read == []
    assert find(Criteria(sha256=digest, attributes=0x2), Layer()) == ["Files/a"]
    assert len(read) == 1


def test_holes_without_end_are_refused() -> None:
    class Layer(Source):
        def entries(self) -> Iterator[tuple[Entry, Body | None]]:
            yield Directory("Files"), None
            yield File("Files/a", size=1 << 60), HoledBody(1 << 60, (), BytesBody(b"").read)
            yield File("Files/b", size=3), BytesBody(b"abc")

    digest = frozenset((hashlib.sha256(b"abc").hexdigest(),))
    with pytest.raises(LayerError, match="too many holes") as caught:
        find(Criteria(sha256=digest), Layer())
    assert caught.value.path == "Files/a"
    assert find(Criteria(sha256=digest, sizes=((-1, 1 << 30),)), Layer()) == ["Files/b"]


def test_what_is_long_is_not_kept() -> None:
    wof = (0x80000017).to_bytes(4, "little") + bytes(5000)
    link = build_link("f", False)
    base = Source(
        Directory("Files", object_id=bytes(16)),
        File(
            "Files/a", extended_attributes=(ExtendedAttribute(b"E", bytes(40_000), 0x80),), backup_streams=((6, b"x"),)
        ),
        File("Files/l", reparse_data=link),
        File("Files/w", reparse_data=wof, short_name="W~1"),
    )
    top = listed([base], "Files")[0].file
    assert top is not None
    assert top.object_id is None
    a, at, w = (one.file for one in listed([base], "Files/a", "Files/l", "Files/w", follow=False))
    assert a is not None
    assert at is not None
    assert w is not None
    assert (a.extended_attributes, a.backup_streams) == ((ExtendedAttribute(b"E", b"", 0x80),), ())
    assert at.reparse_data == link
    assert (w.reparse_data, w.short_name) == (wof[:4], "W~1")


def lines_for(links: int) -> int:
    """How many lines of the search it takes to find hard links to one file of a layer below."""
    base = layer({"Files/f": b"abc"})
    top = Source(Directory("Files"), *(HardLink(f"Files/{number}", "Files/f") for number in range(links)))
    found: list[Listed] = []
    lines = lines_run(
        lambda: found.extend(listed([base, top], "Files")), "search.py", "path_walker.py", "pending_links.py"
    )
    assert len(found) == links + 2
    return lines


def test_many_hard_links_to_one_file_below() -> None:
    """None of them is gone through for each other one."""
    assert lines_for(400) < 3 * lines_for(200)


def test_a_hard_link_to_a_symlink() -> None:
    base = Source(
        Directory("Files"),
        File("Files/l", file_attributes=0x420, reparse_data=build_link("f", False)),
        HardLink("Files/h", "Files/l"),
        (File("Files/f", size=3), b"abc"),
    )
    assert find(Criteria(types=frozenset("l")), base) == ["Files/l", "Files/h"]
    assert find(Criteria(types=frozenset("f")), base) == ["Files/f"]
    assert find(Criteria(types=frozenset("h")), base) == ["Files/h"]
    assert [one.path for one in listed([base], "Files/h")] == ["Files/f"]
    [itself] = listed([base], "Files/h", follow=False)
    assert isinstance(itself.entry, HardLink)


def test_a_link_to_a_directory_without_an_entry() -> None:
    """The second pass begins in the directory that the first one ended in."""
    target = File("Files/t/l", file_attributes=0x420, reparse_data=build_link("..\\t", False))
    base = Source((File("Files/t/x", size=1), b"x"), target)
    assert [one.path for one in listed([base], "Files/t/l")] == ["Files/t/x", "Files/t/l"]


def test_types() -> None:
    assert [type_of(entry) for entry in (Directory("a"), File("a"), JUNCTION, HardLink("a", "b"), Whiteout("a"))] == [
        *"dflhw"
    ]
    wof = File("a", reparse_data=bytes.fromhex("17000080 0000 0000"))
    assert type_of(wof) == "f"


def test_errors_say_where() -> None:
    twice = layer({"Files/a": b"", "Files/A": b""})
    with pytest.raises(LayerError) as caught:
        listed([twice], "Files")
    assert caught.value.path == "Files/A"
