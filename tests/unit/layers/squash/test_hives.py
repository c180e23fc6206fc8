"""What becomes of the registry when layers become one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from tests.unit.layers.sources import Listed, directories, layer
from tests.unit.regf.samples import TIME, Broken
from wclayer.builder.access import Access
from wclayer.entry import AlternateStream, Body, Directory, Entry, File, HardLink, Whiteout
from wclayer.errors import HiveError, LayerError, StorageError
from wclayer.layers.hives.config_hives import CONFIG, CONFIG_HIVES
from wclayer.layers.squash.layer import SquashedLayer
from wclayer.regf.delta import empty_delta
from wclayer.regf.minimal import minimal_hive
from wclayer.regf.model import Hive, Key, dword
from wclayer.regf.reader import read_hive
from wclayer.regf.writer import write_hive
from wclayer.win32.reparse import build_link

DEFAULT, SAM, SECURITY, SOFTWARE, SYSTEM = CONFIG_HIVES
INHERIT = 0x80
Found = dict[str, tuple[Entry, bytes | None]]


def hive(**numbers: int) -> bytes:
    values = tuple(dword(name, number) for name, number in numbers.items())
    return write_hive(Hive(Key("ROOT", (), (Key("Acme", values, (), TIME),), TIME), TIME))


def delta(**numbers: int) -> bytes:
    values = tuple(dword(name, number) for name, number in numbers.items())
    return write_hive(Hive(Key("ROOT", (), (Key("Acme", values, (), TIME, layer=INHERIT),), TIME), TIME, 6))


EMPTY = write_hive(empty_delta(TIME))
BASE = hive(a=1, b=1)


def squash(*layers: Listed, first: int = 0, warnings: Sequence[str] = (), **more: Any) -> Found:
    """The result by paths, streams as PATH:NAME; and just these warnings, each known by some words."""
    squashed = SquashedLayer(layers, first=first, **more)
    result: Found = {}
    for entry, body in squashed.entries():
        path = f"{entry.path}:{entry.name}" if isinstance(entry, AlternateStream) else entry.path
        assert path not in result
        above = entry.path.rpartition("/")[0]
        assert not above or isinstance(result[above][0], Directory)
        result[path] = entry, None if body is None else body.read()
    assert len(squashed.warnings) == len(warnings), squashed.warnings
    for text, words in zip(squashed.warnings, warnings, strict=True):
        assert words in text
    return result


def numbers(found: Found, path: str = SOFTWARE.config) -> dict[str, int]:
    data = found[path][1]
    assert data is not None
    key = read_hive(data).root.subkey("Acme")
    assert key is not None
    return {value.name: int.from_bytes(value.data, "little") for value in key.values}


def files(found: Found) -> list[str]:
    return [path for path, (entry, _) in found.items() if not isinstance(entry, Directory)]


# --- into a base layer ----------------------------------------------------------------


def test_all_is_merged_into_the_base_s_hive() -> None:
    base = layer({SOFTWARE.config: BASE, SYSTEM.config: BASE}, time=5)
    lower = layer({SOFTWARE.delta: delta(b=2), "Files/f": b"f"}, time=9)
    upper = layer({SOFTWARE.delta: delta(c=3), SYSTEM.delta: EMPTY}, time=7)
    found = squash(base, lower, upper)
    assert numbers(found) == {"a": 1, "b": 2, "c": 3}
    assert files(found) == [SOFTWARE.config, SYSTEM.config, "Files/f"]
    assert "Hives" not in found
    # An empty differencing hive changes nothing: byte for byte the same.
    assert found[SYSTEM.config][1] == BASE
    [software, system] = [found[one.config][0] for one in (SOFTWARE, SYSTEM)]
    assert isinstance(software, File)
    assert software.last_write_time == 9
    assert system.last_write_time == 5  # type: ignore[union-attr]


def test_the_file_keeps_its_metadata_and_streams() -> None:
    path = f"{CONFIG}/software"
    wof = bytes.fromhex("17000080 00000000")
    entry = File(path, size=len(BASE), file_attributes=0x420, reparse_data=wof, creation_time=1, short_name="S~1")
    above = directories(CONFIG)
    base = Listed(*above, (entry, BASE), (AlternateStream(path, "s", 1), b"x"))
    found = squash(base, layer({SOFTWARE.delta: delta(c=3)}, [Directory("Files"), Directory("Files/WINDOWS")], time=9))
    new = f"Files/WINDOWS/{CONFIG.partition('Windows/')[2]}/software"  # as the newest directories spell it
    assert files(found) == [new, f"{new}:s"]
    made = found[new][0]
    assert isinstance(made, File)
    assert (made.file_attributes, made.reparse_data, made.creation_time, made.short_name) == (0x20, None, 1, "S~1")
    assert made.last_write_time == 9
    assert found[f"{new}:s"][1] == b"x"


def test_a_hive_can_lose_its_dos_name_too() -> None:
    entry = File(SOFTWARE.config, size=len(BASE), short_name="S~1")
    base = Listed(*directories(CONFIG), (entry, BASE))
    other = Listed(*directories(CONFIG), (File(f"{CONFIG}/other", short_name="S~1"), b""))
    for above in (layer({SOFTWARE.delta: delta(c=3)}), Listed()):
        made = squash(base, other, above, warnings=["1 DOS name is left out"])[SOFTWARE.config][0]
        assert isinstance(made, File)
        assert made.short_name is None


def test_logs_of_what_was_merged_are_gone() -> None:
    guid = "{11111111-2222-3333-4444-555555555555}"
    logs = [f"{SOFTWARE.config}.LOG1", f"{SOFTWARE.config}{guid}.TM.blf"]
    others = [f"{SYSTEM.config}.LOG1", f"{CONFIG}/SOFTWARE.txt", f"{CONFIG}/RegBack/SOFTWARE.LOG1"]
    base = layer({SOFTWARE.config: BASE, SYSTEM.config: BASE, **dict.fromkeys([*logs, *others], b"")})
    upper = layer({SOFTWARE.delta: delta(c=3), f"{SOFTWARE.delta}.LOG1": b"", SYSTEM.delta: EMPTY})
    top = Listed(*directories(CONFIG), (File(f"{SOFTWARE.config}.LOG2"), b""))
    left = f"{SOFTWARE.config}.LOG2 of layer 2 is left out"
    assert files(squash(base, upper, top, warnings=[left])) == [SOFTWARE.config, SYSTEM.config, *others]
    # Nothing was merged, so they belong to the hive yet.
    assert set(logs) < set(files(squash(base)))


def test_a_hive_that_the_base_does_not_have_is_made() -> None:
    base = layer({SYSTEM.config: BASE}, [Directory("UtilityVM")])
    unbacked = "made on another base"
    found = squash(base, layer({SAM.delta: delta(a=1)}, time=9), warnings=[unbacked])
    assert numbers(found, SAM.config) == {"a": 1}
    made = found[SAM.config][0]
    assert isinstance(made, File)
    assert made.security_descriptor == Access.named("administrators").descriptor(directory=False)
    assert made.last_write_time == 9
    bare = squash(Listed(Directory("Files")), layer({SAM.delta: delta(a=1)}, time=9), warnings=[unbacked])
    assert numbers(bare, SAM.config) == {"a": 1}
    way = bare[CONFIG][0]
    assert isinstance(way, Directory)
    assert way.last_write_time == 9
    assert way.security_descriptor


def test_without_any_hive_none_is_made() -> None:
    assert files(squash(layer({"Files/f": b""}), layer({"Files/g": b""}, [Directory("Hives")]))) == [
        "Files/f",
        "Files/g",
    ]


def test_where_nothing_changes_no_hive_is_made() -> None:
    assert list(squash(Listed(Directory("Files")), layer({SAM.delta: EMPTY}))) == ["Files"]


def test_a_base_that_nothing_changes_is_not_looked_at() -> None:
    found = squash(layer({SAM.config: b"dirty"}), layer({SAM.delta: EMPTY}))
    assert found[SAM.config][1] == b"dirty"


def test_an_empty_file_becomes_a_hive() -> None:
    found = squash(layer({SOFTWARE.config: b""}), warnings=["is empty"])
    assert read_hive(found[SOFTWARE.config][1] or b"").root.subkeys == ()


# --- files that layers above have in its place ---------------------------------------------


def test_what_a_layer_above_has_at_its_path_does_not_count() -> None:
    base = layer({SOFTWARE.config: BASE, SAM.config: BASE})
    upper = layer({SOFTWARE.config: hive(x=9), SECURITY.config: hive(y=9)})
    found = squash(base, upper, warnings=[f"{SECURITY.config} in layer 1", f"{SOFTWARE.config} in layer 1"])
    assert sorted(files(found)) == [SAM.config, SOFTWARE.config]
    assert found[SOFTWARE.config][1] == BASE
    # A link to it made there, or later, is one to that file all the same.
    link = Listed(*directories(CONFIG), (File(SOFTWARE.config, size=1), b"n"), HardLink("Files/l", SOFTWARE.config))
    found = squash(base, link, warnings=[f"{SOFTWARE.config} in layer 1"])
    assert found["Files/l"][1] == b"n"
    link = Listed(Directory("Files"), HardLink("Files/l", SOFTWARE.config))
    found = squash(base, layer({SOFTWARE.config: b"n"}), link, warnings=[f"{SOFTWARE.config} in layer 1"])
    assert found["Files/l"][1] == b"n"


@pytest.mark.parametrize("gone", [SOFTWARE.config, CONFIG, "Files/Windows"])
def test_it_cannot_be_deleted(gone: str) -> None:
    base = layer({SOFTWARE.config: BASE, f"{CONFIG}/other": b"", "Files/Windows/x": b""}, time=5)
    found = squash(
        base, Listed(Whiteout(gone.upper().replace("FILES", "Files"))), warnings=["deleted in a layer above"]
    )
    assert found[SOFTWARE.config][1] == BASE
    assert (f"{CONFIG}/other" in found) == (gone == SOFTWARE.config)
    assert ("Files/Windows/x" in found) == (gone != "Files/Windows")


@pytest.mark.parametrize("gone", [f"{SOFTWARE.config}.LOG1", CONFIG])
def test_nor_can_its_logs(gone: str) -> None:
    """A hive may need them to be whole."""
    logs = {f"{SOFTWARE.config}.LOG1": b"1", f"{SOFTWARE.config}.LOG2": b"2"}
    base = layer({SOFTWARE.config: BASE, **logs})
    word = "LOG1 is deleted" if gone.endswith("LOG1") else "SOFTWARE is deleted"
    found = squash(base, Listed(Whiteout(gone)), warnings=[word])
    assert {path: found[path][1] for path in files(found)} == {SOFTWARE.config: BASE, **logs}


def test_logs_of_layers_above_do_not_count() -> None:
    """Windows loads no hive from there; beside the base's hive they would be replayed into that."""
    log = f"{SOFTWARE.config}.LOG1"
    base = layer({SOFTWARE.config: BASE, log: b"base"})
    words = [f"{log} of layer 1 is left out", f"{SYSTEM.config}.LOG of layer 1 is left out"]
    found = squash(base, layer({log: b"upper", f"{SYSTEM.config}.LOG": b"x"}), warnings=words)
    assert {path: found[path][1] for path in files(found)} == {SOFTWARE.config: BASE, log: b"base"}
    found = squash(base, layer({f"{log}/x": b""}), warnings=words[:1])
    assert {path: found[path][1] for path in files(found)} == {SOFTWARE.config: BASE, log: b"base"}
    made = squash(
        layer({SOFTWARE.config: BASE}),
        layer({f"{SAM.config}.LOG1": b"", SAM.delta: delta(a=1)}),
        warnings=[f"{SAM.config}.LOG1 of layer 1 is left out", "made on another base"],
    )
    assert sorted(files(made)) == [SAM.config, SOFTWARE.config]
    alone = layer({SOFTWARE.config: BASE, f"{SAM.config}.LOG1": b""})
    assert files(squash(alone, Listed(Whiteout(f"{SAM.config}.LOG1")))) == [SOFTWARE.config]
    over = squash(base, layer({log: b"upper"}), first=1)
    assert over[log][1] == b"upper"


def test_nor_be_a_directory() -> None:
    base = layer({SOFTWARE.config: BASE})
    upper = layer({f"{SOFTWARE.config}/x": b""})
    found = squash(base, upper, warnings=["is a directory in layer 1"])
    assert files(found) == [SOFTWARE.config]


@pytest.mark.parametrize(
    "over",
    [File("Files/Windows"), Directory("Files/Windows", file_attributes=0x410, reparse_data=build_link("x", True))],
)
def test_nor_lie_behind_a_link(over: Entry) -> None:
    with pytest.raises(LayerError, match=f"{CONFIG}: in layer 1: no directory"):
        squash(layer({SOFTWARE.config: BASE}), Listed(Directory("Files"), over))


def test_its_directories_are_as_the_newest_layer_says() -> None:
    base = layer({SOFTWARE.config: BASE})
    upper = Listed(
        Directory("Files"), Whiteout("Files/Windows/System32"), Directory("Files/Windows", last_write_time=7)
    )
    found = squash(base, upper, warnings=["deleted in a layer above"])
    assert found["Files/Windows"][0] == Directory("Files/Windows", last_write_time=7)


# --- hard links ---------------------------------------------------------------------------


def test_hives_that_are_links_become_files() -> None:
    back = f"{CONFIG}/RegBack/SAM"
    base = layer(
        {DEFAULT.config: BASE, back: b""},
        [
            HardLink(SAM.config, DEFAULT.config),
            HardLink(SECURITY.config, SAM.config),
            HardLink("Files/d", DEFAULT.config),
        ],
        time=5,
    )
    found = squash(base, layer({SAM.delta: delta(c=3)}, time=9))
    assert files(found) == [SAM.config, SECURITY.config, DEFAULT.config, back, "Files/d"]
    assert numbers(found, SAM.config) == {"a": 1, "b": 1, "c": 3}
    assert found[SECURITY.config] == (File(SECURITY.config, size=len(BASE), last_write_time=5), BASE)
    assert found[DEFAULT.config] == (File(DEFAULT.config, size=len(BASE), last_write_time=5), BASE)
    assert found["Files/d"][0] == HardLink("Files/d", DEFAULT.config)
    # Where the first of them is merged, the other name keeps what was.
    found = squash(base, layer({DEFAULT.delta: delta(c=3)}, time=9))
    assert numbers(found, DEFAULT.config) == {"a": 1, "b": 1, "c": 3}
    assert found["Files/d"] == (File("Files/d", size=len(BASE), last_write_time=5), BASE)
    assert found[SAM.config][1] == BASE


def test_a_later_link_to_a_hive_gets_what_is_there() -> None:
    """The exception from the rule that any grouping gives the same."""
    base, upper = layer({SOFTWARE.config: BASE}), layer({SOFTWARE.delta: delta(c=3)})
    link = Listed(Directory("Files"), HardLink("Files/l", SOFTWARE.config))
    assert squash(base, upper, link)["Files/l"][1] == BASE
    made = squash(base, upper)
    grouped = Listed(*(entry if data is None else (entry, data) for entry, data in made.values()))
    found = squash(grouped, link)
    assert found["Files/l"][0] == HardLink("Files/l", SOFTWARE.config)
    assert numbers(found) == {"a": 1, "b": 1, "c": 3}


def test_streams_of_a_hive_that_is_a_link() -> None:
    above = directories(CONFIG)
    stream = AlternateStream("Files/x", "s", 1), b"s"
    base = Listed(*above, (File("Files/x", size=len(BASE)), BASE), stream, HardLink(SAM.config, "Files/x"))
    found = squash(base)
    assert found[f"{SAM.config}:s"][1] == found["Files/x:s"][1] == b"s"
    assert found[SAM.config][1] == found["Files/x"][1] == BASE


@pytest.mark.parametrize("read", [2, 3, 4])
def test_hives_that_are_links_and_change_meanwhile(read: int) -> None:
    """The base is looked through again for them, and once more for each that was merged."""

    class Changing(Listed):
        readings = 0

        def entries(self) -> Iterator[tuple[Entry, Body | None]]:
            self.readings += 1
            if self.readings == read:
                return layer({"Files/y": BASE}, [HardLink(SAM.config, "Files/y")]).entries()
            return super().entries()

    base = Changing(*directories(CONFIG), (File("Files/x", size=len(BASE)), BASE), HardLink(SAM.config, "Files/x"))
    with pytest.raises(StorageError, match="layer 0 has changed while it was read"):
        squash(base, layer({SAM.delta: delta(c=3)}))


# --- over the rest ------------------------------------------------------------------------


def test_differencing_hives_become_one() -> None:
    base = layer({SOFTWARE.config: BASE})
    below = layer({SOFTWARE.delta: delta(z=9), SAM.delta: delta(z=9)}, time=99)
    name = "Hives/SOFTWARE_DELTA"
    one = Listed(
        *directories("Hives"),
        (File(name, size=len(delta(a=2)), last_write_time=9, creation_time=1), delta(a=2)),
        (File(f"{name}.LOG1"), b""),
        (File("Hives/other"), b"1"),
    )
    two = layer({SOFTWARE.delta: delta(c=3), SYSTEM.delta: delta(d=4)}, [Directory("Files")], time=7)
    found = squash(base, below, one, two, first=2)
    assert files(found) == [SOFTWARE.delta, SYSTEM.delta, "Hives/other"]
    assert numbers(found, SOFTWARE.delta) == {"a": 2, "c": 3}
    assert found[SYSTEM.delta][1] == delta(d=4)
    entry = found[SOFTWARE.delta][0]
    assert entry == File(SOFTWARE.delta, size=len(found[SOFTWARE.delta][1] or b""), last_write_time=9)


def test_the_time_is_that_of_the_hive_that_changed_something() -> None:
    base = layer({SOFTWARE.config: BASE}, time=5)
    above = [layer({SOFTWARE.delta: one}, time=time) for one, time in ((EMPTY, 9), (delta(a=2), 6), (EMPTY, 8))]
    for first, path in ((0, SOFTWARE.config), (1, SOFTWARE.delta), (2, SOFTWARE.delta)):
        entry = squash(base, *above, first=first)[path][0]
        assert isinstance(entry, File)
        assert entry.last_write_time == 6


def test_what_is_beside_differencing_hives_is_left_out_of_a_base() -> None:
    base = layer({SOFTWARE.config: BASE})
    one = layer({"Hives/other": b"", "Hives/more": b"", f"{SOFTWARE.delta}.LOG1": b""})
    assert files(squash(base, one, warnings=["left out: Hives/other of layer 1 and others"])) == [SOFTWARE.config]


def test_over_the_rest_files_at_the_paths_of_hives_are_files() -> None:
    base = layer({SOFTWARE.config: BASE})
    found = squash(base, layer({SOFTWARE.config: b"file"}), first=1)
    assert found[SOFTWARE.config][1] == b"file"


def test_over_the_rest_hives_of_the_rest_are_not_looked_at() -> None:
    base = layer({SOFTWARE.config: b"no hive"})
    found = squash(base, layer({SAM.delta: b"none either"}), layer({SOFTWARE.delta: delta(a=1)}), first=2)
    assert files(found) == [SOFTWARE.delta]


# --- bad input ----------------------------------------------------------------------------


@pytest.mark.parametrize("first", [0, 1])
def test_hives_of_a_base_layer_above_one_without(first: int) -> None:
    with pytest.raises(LayerError, match=r"in layer 1: a registry hive of a base layer.*base first"):
        squash(layer({"Files/app": b""}), layer({SOFTWARE.config: BASE}), first=first)


@pytest.mark.parametrize(
    ("layers", "words"),
    [
        ([layer({f"{SAM.config}/x": b""})], "in layer 0: a directory, where a base layer has a registry hive"),
        ([layer({SAM.config: BASE}), layer({f"{SAM.delta}/x": b""})], "in layer 1: a directory, where a differencing"),
        (
            [Listed(*directories(CONFIG), (File(SAM.config), b""), HardLink(SYSTEM.config, "Files/x"))],
            "link to nothing",
        ),
    ],
)
def test_what_can_be_no_hive_is_refused(layers: list[Listed], words: str) -> None:
    with pytest.raises(LayerError, match=words):
        squash(*layers)


def test_a_symlink_is_no_hive() -> None:
    link = File(SAM.config, file_attributes=0x420, reparse_data=build_link("C:\\x", False), data_stream=False)
    base = Listed(*directories(CONFIG), link)
    with pytest.raises(LayerError, match=f"{SAM.config}: in layer 0: a link, where a registry hive must be"):
        squash(base)
    assert squash(base, Listed(), first=1) == {}


def test_a_broken_hive_is_named() -> None:
    broken = Broken(minimal_hive(TIME))
    broken.put("H", 0x1024, 0)  # of the root key
    for base, upper, path in (
        (bytes(broken), delta(a=1), SOFTWARE.config),
        (BASE, b"no hive", SOFTWARE.delta),
        (EMPTY, delta(a=1), SOFTWARE.config),
    ):
        with pytest.raises(HiveError, match=path):
            squash(layer({SOFTWARE.config: base}), layer({SOFTWARE.delta: upper}))
