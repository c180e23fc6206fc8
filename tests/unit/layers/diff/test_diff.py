"""What differs between two layers: each kind of difference, each field, links, moves, the registry, round trips."""

from __future__ import annotations

import hashlib
import io
import tracemalloc
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from tests.strategies import Item, tar_of
from wclayer.body import HoledBody, StreamBody
from wclayer.entry import AlternateStream, Directory, ExtendedAttribute, File, HardLink, Whiteout
from wclayer.errors import LayerError, NotFoundError, TarError
from wclayer.layers.diff.diff import LayerDiff, compare_sides, diff_sources
from wclayer.layers.diff.fields import FieldChange
from wclayer.layers.diff.security import SecurityChange, security_change
from wclayer.layers.diff.side import Content, Name, read_side
from wclayer.layers.hashing import Hasher
from wclayer.layertar.reader import TarSource
from wclayer.regf.compare import What
from wclayer.regf.model import Hive, Key, sz
from wclayer.regf.writer import write_hive
from wclayer.win32.reparse import build_link
from wclayer.win32.sddl import parse_sddl

SD = parse_sddl("O:BAG:SYD:(A;;FA;;;BA)(A;;0x1200a9;;;BU)")
SOFTWARE = "Files/Windows/System32/config/SOFTWARE"
BCD = "UtilityVM/Files/EFI/Microsoft/Boot/BCD"


def folder(path: str, **fields: Any) -> Item:
    return Directory(path, **{"last_write_time": 1, "creation_time": 1, **fields}), None, None


def file(path: str, content: bytes = b"content", **fields: Any) -> Item:
    entry = File(
        path, size=len(content), **{"security_descriptor": SD, "last_write_time": 1, "creation_time": 1, **fields}
    )
    return entry, content, None


def link(path: str, target: str) -> Item:
    return HardLink(path, target, last_write_time=1, creation_time=1), None, None


ROOT = (folder("Files"),)
CONFIG = (folder("Files/Windows"), folder("Files/Windows/System32"), folder("Files/Windows/System32/config"))


def diff(old: Sequence[Item] | Sequence[Sequence[Item]], new: Sequence[Any], **options: Any) -> LayerDiff:
    """Of two layers, or of two stacks of them."""
    sides = [[*side] if side and isinstance(side[0], list) else [[*ROOT, *side]] for side in (old, new)]
    sources = [[TarSource(io.BytesIO(tar_of(layer))) for layer in side] for side in sides]
    return diff_sources(*sources, **options)


def fields(found: LayerDiff) -> dict[str, tuple[FieldChange, ...]]:
    return {change.path: change.fields for change in found.changed}


def one_field(old: Item, new: Item, **options: Any) -> FieldChange:
    """The one field of the one change."""
    found = diff([old], [new], **options)
    assert found.differs
    assert (found.removed, found.added, found.moved, found.registry) == ((), (), (), ())
    ((change,),) = fields(found).values()
    return change


def test_the_same_layers_do_not_differ() -> None:
    items = [file("Files/a"), link("Files/b", "Files/a"), folder("Files/d")]
    assert diff(items, items, times=True) == LayerDiff()
    assert not diff(items, items).differs


def test_added_and_removed() -> None:
    found = diff([file("Files/a"), folder("Files/d")], [file("Files/b", b"other"), folder("Files/e")])
    assert [(one.path, one.kind, one.size) for one in found.removed] == [
        ("Files/a", "file", 7),
        ("Files/d", "directory", 0),
    ]
    assert [(one.path, one.kind, one.size) for one in found.added] == [
        ("Files/b", "file", 5),
        ("Files/e", "directory", 0),
    ]
    assert found.differs
    assert not found.changed


def test_attributes() -> None:
    change = one_field(file("Files/a"), file("Files/a", file_attributes=0x21))
    assert (change.name, change.old, change.new, change.round_trip) == ("attributes", 0x20, 0x21, None)


def test_content() -> None:
    change = one_field(file("Files/a"), file("Files/a", b"contents"))
    assert change.name == "content"
    assert isinstance(change.old, Content)
    assert change.old.size == 7
    assert change.new == Content(8, "sha256:d1b2a59fbea7e20077af9f91b27e95e865061b270be03ff539ab3b73587882e8")


def test_a_kind() -> None:
    found = diff([file("Files/a")], [folder("Files/a")])
    assert fields(found)["Files/a"][0] == FieldChange("kind", "file", "directory")


def test_times_count_when_they_are_asked_for() -> None:
    old, new = file("Files/a"), file("Files/a", last_write_time=2, change_time=5)
    assert not diff([old], [new]).differs
    changes = fields(diff([old], [new], times=True))["Files/a"]
    assert [(change.name, change.old, change.new) for change in changes] == [
        ("last_write_time", 1, 2),
        ("change_time", None, 5),
    ]
    assert {change.round_trip for change in changes} == {"times"}


def test_security_by_entry() -> None:
    other = parse_sddl("O:SYG:SYD:P(A;;FA;;;BA)(A;;FA;;;SY)")
    change = one_field(file("Files/a"), file("Files/a", security_descriptor=other))
    assert (change.name, change.old, change.new) == ("security", SD, other)
    assert security_change(SD, other) == SecurityChange(
        old="O:BAG:SYD:(A;;FA;;;BA)(A;;0x1200a9;;;BU)",
        new="O:SYG:SYD:P(A;;FA;;;BA)(A;;FA;;;SY)",
        owner=("BA", "SY"),
        control=("0x0004", "0x1004"),
        removed=("D:(A;;0x1200a9;;;BU)",),
        added=("D:(A;;FA;;;SY)",),
    )


def test_security_in_another_order_or_none() -> None:
    other = parse_sddl("O:BAG:SYD:(A;;0x1200a9;;;BU)(A;;FA;;;BA)")
    assert security_change(SD, other).reordered
    assert security_change(None, SD).old is None
    assert security_change(b"no descriptor", SD).old == b"no descriptor".hex()
    null = security_change(SD, parse_sddl("O:BAG:SYD:NO_ACCESS_CONTROL"))
    assert null.control == ("0x0004", "0x0004 D:NO_ACCESS_CONTROL")


def test_a_descriptor_whose_parts_lie_elsewhere_is_what_a_round_trip_makes() -> None:
    # The group before the owner.
    head, owner, group, rest = SD[:20], SD[20:36], SD[36:48], SD[48:]
    moved = head[:4] + (32).to_bytes(4, "little") + (20).to_bytes(4, "little") + head[12:] + group + owner + rest
    change = one_field(file("Files/a"), file("Files/a", security_descriptor=moved))
    assert (change.name, change.round_trip) == ("security", "descriptor layout")


def test_extended_attributes() -> None:
    def with_eas(*eas: ExtendedAttribute, content: bytes = b"content") -> Item:
        return file("Files/a", content, extended_attributes=eas)

    one, other = ExtendedAttribute(b"A", b"1"), ExtendedAttribute(b"A", b"2")
    change = one_field(with_eas(one), with_eas(other))
    assert (change.name, change.item, change.round_trip) == ("ea", "A", None)
    assert change.new == (1, b"2", 0)
    # A round trip loses those of files with data in a base layer, and all flags.
    assert one_field(with_eas(one), with_eas()).round_trip == "extended attributes"
    assert one_field(with_eas(one, content=b""), with_eas(content=b"")).round_trip is None
    assert one_field(with_eas(replace(one, flags=0x80)), with_eas(one)).round_trip == "extended attributes"
    # It adds none, and no flags.
    assert one_field(with_eas(), with_eas(one)).round_trip is None
    assert one_field(with_eas(one), with_eas(replace(one, flags=0x80))).round_trip is None
    long = ExtendedAttribute(b"A", b"x" * 1000)
    assert one_field(with_eas(one), with_eas(long)).new == (1000, hashlib.sha256(b"x" * 1000).digest(), 0)


def test_streams() -> None:
    def stream(content: bytes, name: str = "s") -> Item:
        return AlternateStream("Files/a", name, len(content)), content, None

    a = file("Files/a")
    changes = fields(diff([a, stream(b"1")], [a, stream(b"2", "S")]))["Files/a"]
    assert [(change.name, change.item, change.round_trip) for change in changes] == [("stream", "S", None)]
    changes = fields(diff([a, stream(b"1")], [a]))["Files/a"]
    assert (changes[0].item, changes[0].new, changes[0].round_trip) == ("s", None, None)
    d = folder("Files/a")
    changes = fields(diff([d, stream(b"1")], [d]))["Files/a"]
    assert changes[0].round_trip == "streams"
    # A round trip loses streams, and adds none.
    changes = fields(diff([d], [d, stream(b"1")]))["Files/a"]
    assert (changes[0].item, changes[0].round_trip) == ("s", None)


def test_reparse_points() -> None:
    def symlink(target: bytes) -> Item:
        return (
            File("Files/a", 0x420, reparse_data=target, data_stream=False, last_write_time=1, creation_time=1),
            None,
            None,
        )

    change = one_field(symlink(build_link("b", False)), symlink(build_link("c", False)))
    assert (change.name, change.round_trip) == ("reparse", None)
    # Another substitute name behind the same print name.
    odd = bytearray(build_link("C:\\b", False))
    odd[odd.index(b"?\0?\0") + 4] ^= 1
    assert one_field(symlink(bytes(odd)), symlink(build_link("C:\\b", False))).round_trip == "link"
    # The other way round the link leads elsewhere than before, which no tool does by itself.
    assert one_field(symlink(build_link("C:\\b", False)), symlink(bytes(odd))).round_trip is None


def test_holes_names_and_what_only_ntfs_knows() -> None:
    data = bytes(4096) + b"x" * 4096
    sparse = File("Files/a", 0x220, len(data))
    change = one_field((sparse, data, ((4096, 4096),)), (sparse, data, None))
    assert (change.name, change.round_trip) == ("holes", "sparse")
    change = one_field(file("Files/a", short_name="A~1"), file("Files/a"))
    assert (change.name, change.old, change.round_trip) == ("short_name", "A~1", "streams")
    change = one_field(file("Files/a", object_id=b"i" * 16), file("Files/a"))
    assert (change.name, change.round_trip) == ("object_id", "streams")
    change = one_field(file("Files/a", backup_streams=((6, b"p"),)), file("Files/a"))
    assert (change.name, change.item, change.round_trip) == ("backup_stream", "6", "streams")
    # What the new side has alone is not what a round trip loses.
    assert one_field(file("Files/a"), file("Files/a", short_name="A~1")).round_trip is None
    assert one_field(file("Files/a"), file("Files/a", object_id=b"i" * 16)).round_trip is None
    assert one_field(file("Files/a"), file("Files/a", backup_streams=((6, b"p"),))).round_trip is None
    change = one_field(file("Files/A"), file("Files/a"))
    assert change == FieldChange("name", "A", "a")


def test_whiteouts_and_links_into_parents() -> None:
    old: list[Item] = [(Whiteout("Files/w"), None, None), link("Files/l", "Files/x")]
    new: list[Item] = [link("Files/l", "Files/y")]
    found = diff(old, new, bases=(False, False))
    assert [(one.path, one.kind) for one in found.removed] == [("Files/w", "whiteout")]
    assert fields(found)["Files/l"] == (FieldChange("target", "Files/x", "Files/y"),)


# --- hard links ---------------------------------------------------------------------


def test_which_name_has_the_data_is_no_difference() -> None:
    found = diff([file("Files/a"), link("Files/b", "Files/a")], [file("Files/b"), link("Files/a", "Files/b")])
    assert not found.differs
    assert found.link_order == 1


def test_what_differs_of_a_file_is_told_once() -> None:
    names = [link("Files/b", "Files/a"), link("Files/c", "Files/a")]
    found = diff([file("Files/a"), *names], [file("Files/a", b"new"), *names])
    (change,) = found.changed
    assert (change.path, change.names) == ("Files/a", ("Files/b", "Files/c"))


def test_a_link_that_became_a_copy() -> None:
    found = diff([file("Files/a"), link("Files/b", "Files/a")], [file("Files/a"), file("Files/b")])
    assert fields(found) == {
        "Files/a": (FieldChange("links", ("Files/a", "Files/b"), ("Files/a",)),),
        "Files/b": (FieldChange("links", ("Files/a", "Files/b"), ("Files/b",)),),
    }
    assert not found.split()[1].differs


def test_a_further_name_and_one_less() -> None:
    found = diff([file("Files/a")], [file("Files/a"), link("Files/b", "Files/a")])
    (added,) = found.added
    assert (added.path, added.link_of, added.size) == ("Files/b", "Files/a", 0)
    assert (found.changed, found.removed, found.moved) == ((), (), ())
    found = diff([file("Files/a"), link("Files/b", "Files/a")], [file("Files/b")])
    assert [one.path for one in found.removed] == ["Files/a"]
    assert (found.changed, found.added, found.moved) == ((), (), ())


class Counting(dict[str, Name]):
    """Counts how often it is asked."""

    asked = 0

    def __contains__(self, key: object) -> bool:
        self.asked += 1
        return super().__contains__(key)


def test_the_work_does_not_grow_with_the_square_of_the_links() -> None:
    many = 3000
    old = [*ROOT, file("Files/a"), *(link(f"Files/old{n}", "Files/a") for n in range(many)), link("Files/z", "Files/a")]
    new = [*ROOT, file("Files/z"), *(link(f"Files/new{n}", "Files/z") for n in range(many))]
    sides = [read_side([TarSource(io.BytesIO(tar_of(items)))], registry=False) for items in (old, new)]
    counted = [Counting(side.names) for side in sides]
    for side, names in zip(sides, counted, strict=True):
        side.names = names
    found = compare_sides(*sides)
    assert (len(found.removed), len(found.added), found.changed) == (many + 1, many, ())
    assert {one.link_of for one in (*found.removed, *found.added)} == {"Files/z"}
    assert sum(names.asked for names in counted) < 10 * many


# --- moves -----------------------------------------------------------------------


def test_a_file_that_moved_is_told_by_its_digest() -> None:
    found = diff([file("Files/a")], [file("Files/b", file_attributes=1)])
    (move,) = found.moved
    assert (move.old, move.new, move.content.size) == (("Files/a",), ("Files/b",), 7)
    assert [field.name for field in move.fields] == ["attributes"]
    assert (found.added, found.removed, found.changed) == ((), (), ())


def test_of_several_with_one_content_the_same_names_belong_together() -> None:
    old = [folder("Files/o"), folder("Files/n"), file("Files/o/x"), file("Files/o/y"), file("Files/o/z")]
    new = [folder("Files/o"), folder("Files/n"), file("Files/n/y"), file("Files/n/q")]
    found = diff(old, new)
    assert {move.old: move.new for move in found.moved} == {
        ("Files/o/y",): ("Files/n/y",),
        ("Files/o/x",): ("Files/n/q",),
    }
    assert [one.path for one in found.removed] == ["Files/o/z"]


def test_a_copy_and_an_empty_file_did_not_move() -> None:
    found = diff([file("Files/a"), file("Files/e", b"")], [file("Files/a"), file("Files/b"), file("Files/f", b"")])
    assert not found.moved
    assert [one.path for one in found.added] == ["Files/b", "Files/f"]


def test_a_file_with_its_links_moved_as_one() -> None:
    old = [file("Files/a"), link("Files/b", "Files/a")]
    new = [file("Files/y"), link("Files/x", "Files/y")]
    (move,) = diff(old, new).moved
    assert (move.old, move.new) == (("Files/a", "Files/b"), ("Files/x", "Files/y"))


# --- several layers, paths ------------------------------------------------------------


def test_several_layers_are_seen_as_one() -> None:
    base = [folder("Files"), file("Files/a"), file("Files/b"), folder("Files/d"), file("Files/d/x")]
    top: list[Item] = [
        folder("Files"),
        (Whiteout("Files/d"), None, None),
        file("Files/b", b"new"),
        link("Files/c", "Files/a"),
        folder("Hives"),
        file("Hives/Sam_Delta", b""),
    ]
    merged = [folder("Files"), file("Files/a"), file("Files/b", b"new"), link("Files/c", "Files/a")]
    assert not diff([base, top], [merged]).differs
    found = diff([base], [base, top])
    assert [one.path for one in found.removed] == ["Files/d", "Files/d/x"]
    assert [(one.path, one.link_of) for one in found.added] == [("Files/c", "Files/a")]
    assert list(fields(found)) == ["Files/b"]


def test_below_two_paths() -> None:
    old = [folder("Files/One"), file("Files/One/a"), file("Files/other")]
    new = [folder("Files/two"), file("Files/two/A", b"new")]
    found = diff(old, new, inside=("Files/one", "Files/TWO"))
    assert [field.name for field in fields(found)["A"]] == ["name", "content"]
    assert (found.added, found.removed) == ((), ())
    assert fields(diff(old, new, inside=("Files/One/a", "Files/two/a")))[""][0].name == "content"
    with pytest.raises(NotFoundError, match="no such path"):
        diff(old, new, inside=("Files/none", "Files"))


def test_a_broken_tar_stops_it_with_entry_and_offset() -> None:
    tar = tar_of([*ROOT, file("Files/a", b"x" * 2000)])
    sources = [TarSource(io.BytesIO(tar)), TarSource(io.BytesIO(tar[:2600]))]
    with pytest.raises(TarError, match="the tar ends"):
        diff_sources(sources[:1], sources[1:])
    with pytest.raises(LayerError, match="name is taken"):
        diff([file("Files/a"), file("Files/A")], [])


def test_errors_say_on_which_side_and_in_which_layer() -> None:
    sound, broken = [*ROOT, file("Files/a")], [*ROOT, file("Files/a"), file("Files/A")]
    names = (["old 0", "old 1"], ["new 0", "new 1"])
    with pytest.raises(LayerError, match=r"in A, old 1: "):
        diff([sound, broken], [sound, sound], names=names)
    with pytest.raises(LayerError, match=r"in B, new 0: "):
        diff([sound, sound], [broken, sound], names=names)
    with pytest.raises(LayerError, match=r"in B: "):
        diff([sound], [broken])
    for inside in (("Files/d", "Files"), ("Files", "Files/d")):
        with pytest.raises(NotFoundError, match=f"in {'AB'[inside.index('Files/d')]}: no such path"):
            diff([sound], [sound], inside=inside)


def test_links_on_the_way_to_a_path_are_not_followed() -> None:
    way = folder("Files/l", file_attributes=0x410, reparse_data=build_link("C:\\d", True))
    layer = [folder("Files/d"), file("Files/d/a"), way]
    with pytest.raises(NotFoundError, match="links on the way are not followed"):
        diff(layer, layer, inside=("Files/l/a", "Files/d/a"))
    assert not diff(layer, layer, inside=("Files/d", "Files/d")).differs


# --- the registry -----------------------------------------------------------------


def hive(*keys: Key, time: int = 7, **options: Any) -> bytes:
    return write_hive(Hive(Key("ROOT", subkeys=keys, last_written=time), **options))


def test_the_registry_by_key_and_value() -> None:
    old = [*CONFIG, file(SOFTWARE, hive(Key("Acme", (sz("Version", "1"),))))]
    new = [*CONFIG, file(SOFTWARE, hive(Key("Acme", (sz("Version", "2"),)), Key("New")))]
    found = diff(old, new)
    assert [(one.path, one.difference.what) for one in found.registry] == [
        ("HKEY_LOCAL_MACHINE\\SOFTWARE\\Acme", What.VALUE),
        ("HKEY_LOCAL_MACHINE\\SOFTWARE\\New", What.KEY),
    ]
    assert [(field.name, field.round_trip) for field in fields(found)[SOFTWARE]] == [("registry", None)]
    found = diff(old, new, registry=False)
    assert not found.registry
    assert fields(found)[SOFTWARE][0].name == "content"


def test_other_bytes_of_the_same_hive_are_what_windows_makes() -> None:
    old = [*CONFIG, file(SOFTWARE, hive(time=1)), file(f"{SOFTWARE}.LOG1", b"")]
    new = [*CONFIG, file(SOFTWARE, hive(time=2)), file(f"{SOFTWARE}.LOG1", bytes(512))]
    found = diff(old, new)
    assert not found.registry
    assert {field.round_trip for change in found.changed for field in change.fields} == {"hive"}
    own, round_trip = found.split()
    assert not own.differs
    assert round_trip.differs
    assert diff(old, new, times=True).registry[0].difference.what is What.TIME


def test_a_hive_that_cannot_be_read_is_compared_as_a_file() -> None:
    old, new = ([*CONFIG, file(SOFTWARE, content)] for content in (b"regf, but no hive", hive()))
    found = diff(old, new)
    assert fields(found)[SOFTWARE][0].name == "content"
    (note,) = found.notes
    assert note.startswith("A: the hive SOFTWARE cannot be read")


def test_what_a_layer_changes_in_the_registry() -> None:
    def top(version: str) -> list[Item]:
        delta = hive(Key("Acme", (sz("Version", version),)), minor=6)
        return [folder("Hives"), file("Hives/Software_Delta", delta)]

    found = diff(top("1"), top("2"))
    assert [one.path for one in found.registry] == ["HKEY_LOCAL_MACHINE\\SOFTWARE\\Acme"]
    assert fields(found)["Hives/Software_Delta"][0].name == "registry"
    base = [*ROOT, *CONFIG, file(SOFTWARE, hive(Key("Acme", (sz("Version", "0"),))))]
    found = diff([base], [base, [*ROOT, *top("2")]])
    assert [one.difference.what for one in found.registry] == [What.VALUE]
    assert (found.changed, found.added) == ((), ())


# --- round trips -------------------------------------------------------------------


def test_what_comes_of_a_round_trip_is_told_apart() -> None:
    parts = BCD.split("/")
    above = [folder("/".join(parts[:n])) for n in range(1, len(parts))]
    old = [*above, file(BCD, b"old"), file("Files/a")]
    new = [*above, file(BCD, b"new"), file(f"{BCD}.LOG1", b"log"), file("Files/a", b"changed", last_write_time=9)]
    found = diff(old, new, times=True)
    own, round_trip = found.split()
    assert [change.path for change in own.changed] == ["Files/a"]
    assert [field.name for field in own.changed[0].fields] == ["content"]
    assert not own.added
    assert [one.path for one in round_trip.added] == [f"{BCD}.LOG1"]
    assert {change.path for change in round_trip.changed} == {BCD, "Files/a"}
    assert {field.round_trip for change in round_trip.changed for field in change.fields} == {"boot store", "times"}


def test_what_a_round_trip_leaves_out_does_not_come_of_it() -> None:
    deleted = [folder("Files/$Recycle.Bin"), file("Files/$Recycle.Bin/x")]
    own, round_trip = diff(deleted, []).split()
    assert (len(own.removed), len(round_trip.removed)) == (0, 2)
    own, round_trip = diff([], deleted).split()
    assert (len(own.added), len(round_trip.added)) == (2, 0)


class Sparse:
    """Files of `size` bytes with data in some places."""

    restartable = True

    def __init__(self, size: int, *places: tuple[int, bytes], files: int = 1) -> None:
        self._size, self._places, self._files = size, places, files

    def entries(self) -> Any:
        yield Directory("Files"), None
        extents = [(at, len(data)) for at, data in self._places]
        for number in range(self._files):
            content = io.BytesIO(b"".join(data for _, data in self._places))
            yield (
                File(f"Files/{number}", 0x220, self._size),
                HoledBody(self._size, extents, content.read),
            )


def test_a_huge_hole_is_no_work() -> None:
    size, at = 1 << 62, 1 << 61
    assert not diff_sources([Sparse(size, (at, b"data"))], [Sparse(size, (at, b"data"))]).differs
    assert diff_sources([Sparse(size, (at, b"data"))], [Sparse(size, (at, b"date"))]).changed


def test_many_holes_have_one_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    hasher = Hasher(zeros=(1 << 22) + 5)
    monkeypatch.setattr("wclayer.layers.diff.diff.Hasher", lambda: hasher)
    some = Sparse(1 << 20, files=6)
    assert not diff_sources([some], [some]).differs
    assert hasher.zeros == 5


def test_contents_do_not_differ_by_their_holes() -> None:
    size, at = (1 << 40) + 5, 1 << 20
    one = Sparse(size, (at, b"data"))
    zeros = Sparse(size, (at, b"data" + bytes(200_000)), (1 << 30, bytes(100_000)))
    (change,) = diff_sources([one], [zeros]).changed
    assert [(field.name, field.round_trip) for field in change.fields] == [("holes", "sparse")]
    (change,) = diff_sources([one], [Sparse(size, (at + 1, b"data"))]).changed
    assert [field.name for field in change.fields] == ["content", "holes"]


class Large:
    """A layer with a file of 100 MB, made as it is read."""

    restartable = True

    def entries(self) -> Any:
        yield Directory("Files"), None
        yield File("Files/large", size=100_000_000), StreamBody(100_000_000, _Zeros(100_000_000).read)


class _Zeros:
    def __init__(self, left: int) -> None:
        self._left = left

    def read(self, n: int) -> bytes:
        n = min(n, self._left)
        self._left -= n
        return bytes(n)


def test_contents_are_not_kept() -> None:
    tracemalloc.start()
    try:
        assert not diff_sources([Large()], [Large()]).differs
        assert tracemalloc.get_traced_memory()[1] < 4_000_000
    finally:
        tracemalloc.stop()


def test_a_hive_that_cannot_be_put_aside_is_compared_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        """A temporary file on a full disk."""

        def __getattr__(self, _: str) -> Any:
            return lambda *_: 0

        def write(self, _: bytes) -> int:
            raise OSError(28, "No space left on device")

    old, new = ([*CONFIG, file(SOFTWARE, hive(Key("Acme", (sz("Version", v),))))] for v in "12")
    whole = fields(diff(old, new, registry=False))[SOFTWARE]
    monkeypatch.setattr("tempfile.TemporaryFile", lambda **_: Full())
    found = diff(old, new)
    assert fields(found)[SOFTWARE] == whole
    assert [note.partition(":")[0] for note in found.notes] == ["A", "B"]
