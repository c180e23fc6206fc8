"""The hives of layers upon each other: found, made whole, merged; what does not go together is said."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.unit.layers.sources import Listed, directories, layer
from tests.unit.regf.logs import Entry, changes, dirty, log
from tests.unit.regf.samples import TIME, Broken
from wclayer.entry import File, HardLink
from wclayer.errors import HiveError, LayerError, SecurityDescriptorError
from wclayer.layers.hives.config_hives import CONFIG, CONFIG_HIVES
from wclayer.layers.hives.merge import HiveStack, collect_hives
from wclayer.layers.opening import open_layer
from wclayer.layertar.writer import TarWriter
from wclayer.regf.delta import empty_delta
from wclayer.regf.minimal import minimal_hive
from wclayer.regf.model import Hive, Key, Value, dword
from wclayer.regf.reader import read_hive
from wclayer.regf.writer import write_hive
from wclayer.win32.reparse import build_link

DEFAULT, SAM, SECURITY, SOFTWARE, SYSTEM = CONFIG_HIVES
INHERIT = 0x80


def hive(*subkeys: Key) -> bytes:
    return write_hive(Hive(Key("ROOT", (), subkeys, TIME), TIME))


def delta(*subkeys: Key) -> bytes:
    return write_hive(Hive(Key("ROOT", (), subkeys, TIME), TIME, 6))


BASE = hive(Key("Acme", (dword("a", 1), dword("b", 1))))
LOWER = delta(Key("Acme", (dword("b", 2),), layer=INHERIT))
UPPER = delta(Key("Acme", (dword("c", 3),), layer=INHERIT))
EMPTY = write_hive(empty_delta(TIME))


def stack(base: bytes, *deltas: bytes) -> HiveStack:
    return collect_hives(
        [layer({SOFTWARE.config: base}, time=5)] + [layer({SOFTWARE.delta: one}, time=9) for one in deltas]
    )


def numbers(root: Key, name: str = "Acme") -> dict[str, int]:
    key = root.subkey(name)
    assert key is not None
    return {value.name: int.from_bytes(value.data, "little") for value in key.values}


def test_the_view_is_that_of_all_layers_or_some() -> None:
    with stack(BASE, LOWER, UPPER) as files:
        found = [files.view(SOFTWARE, end) for end in (0, 1, 2, 3, None)]
        assert [None if one is None else numbers(one.root) for one in found] == [
            None,
            {"a": 1, "b": 1},
            {"a": 1, "b": 2},
            {"a": 1, "b": 2, "c": 3},
            {"a": 1, "b": 2, "c": 3},
        ]
        assert files.view(SYSTEM) is None
        assert list(files.hives()) == [SOFTWARE]
        assert files.time(SOFTWARE) == 9
        assert files.time(SYSTEM) is None
        assert files.warnings == []


def test_merged() -> None:
    with stack(BASE, LOWER, UPPER) as files:
        data = files.merged(SOFTWARE)
        assert data is not None
        assert numbers(read_hive(data).root) == {"a": 1, "b": 2, "c": 3}
        assert (data[24], files.merged(SYSTEM)) == (5, None)


@pytest.mark.parametrize("deltas", [(), (EMPTY,), (EMPTY, minimal_hive(TIME))])
def test_where_nothing_changes_the_base_keeps_its_bytes(deltas: tuple[bytes, ...]) -> None:
    with stack(BASE, *deltas) as files:
        assert files.merged(SOFTWARE) is None


def test_the_base_is_not_read_where_nothing_changes() -> None:
    """It may be dirty, and is large."""
    with stack(b"no hive", EMPTY) as files:
        assert files.merged(SOFTWARE) is None
        assert not files.changed(SOFTWARE)
    with stack(b"no hive", LOWER) as files, pytest.raises(HiveError, match="config/SOFTWARE"):
        files.merged(SOFTWARE)


def test_the_time_is_that_of_what_changes_something() -> None:
    layers = [layer({SOFTWARE.config: BASE}, time=5)]
    layers += [layer({SOFTWARE.delta: one}, time=time) for one, time in ((EMPTY, 9), (LOWER, 6), (EMPTY, 8))]
    with collect_hives(layers) as files:
        assert files.time(SOFTWARE) == 6
        assert [files.time(SOFTWARE, first) for first in (1, 2, 3)] == [6, 6, 8]
    with collect_hives(layers[:2]) as files:
        assert files.time(SOFTWARE) == 5


def test_names_and_case() -> None:
    base = layer({SOFTWARE.config.upper().replace("FILES", "Files"): BASE})
    with collect_hives([base, layer({"Hives/SOFTWARE_delta": LOWER})]) as files:
        view = files.view(SOFTWARE)
        assert view is not None
        assert numbers(view.root) == {"a": 1, "b": 2}


def test_a_base_without_the_hive_and_an_empty_one() -> None:
    upper = layer({SOFTWARE.delta: delta(Key("Acme", (dword("x", 1),)))})
    for base in (layer({"Files/x": b""}), layer({SOFTWARE.config: b""})):
        with collect_hives([base, upper]) as files:
            data = files.merged(SOFTWARE)
            assert data is not None
            assert numbers(read_hive(data).root) == {"x": 1}
    with collect_hives([layer({SOFTWARE.config: b""})]) as files:
        assert files.merged(SOFTWARE) is not None
        assert files.warnings == [f"{SOFTWARE.config} in layer 0 is empty, and counts as a hive with nothing in it"]


def test_combined() -> None:
    with stack(BASE, LOWER, EMPTY, UPPER) as files:
        assert files.combined(SOFTWARE, 3) == UPPER
        assert files.combined(SOFTWARE, 2) == UPPER
        data = files.combined(SOFTWARE, 1)
        assert data is not None
        found = read_hive(data)
        assert found.differencing
        assert numbers(found.root) == {"b": 2, "c": 3}
        assert files.combined(SYSTEM, 1) is None
    with stack(BASE, EMPTY, EMPTY) as files:
        assert files.combined(SOFTWARE, 1) == EMPTY


def test_a_hive_that_is_a_hard_link() -> None:
    other = "Files/Windows/other"
    base = layer(
        {other: BASE, SYSTEM.config: BASE}, [HardLink(SOFTWARE.config, other), HardLink(SAM.config, SYSTEM.config)]
    )
    upper = Listed(
        *directories("Hives"), (File("Hives/x", size=len(LOWER)), LOWER), HardLink(SOFTWARE.delta, "Hives/x")
    )
    chain = layer({other: BASE}, [HardLink("Files/l", other), HardLink(SOFTWARE.config, "Files/l")])
    for layers, wanted in (([base, upper], {"a": 1, "b": 2}), ([chain], {"a": 1, "b": 1})):
        with collect_hives(layers) as files:
            view = files.view(SOFTWARE)
            assert view is not None
            assert numbers(view.root) == wanted
    with pytest.raises(LayerError, match="a hard link to nothing"):
        collect_hives([layer({"Files/x": b""}, [HardLink(SOFTWARE.config, "Files/y")])])
    with pytest.raises(LayerError, match=r"SOFTWARE: a hard link to nothing; got Files/b"):
        collect_hives([layer({}, [HardLink("Files/a", "Files/b"), HardLink("Files/b", "Files/a"), *_LINKS])])


_LINKS = [HardLink(SOFTWARE.config, "Files/b"), HardLink(SAM.config, "Files/a")]


class Counted(Listed):
    readings = 0

    def entries(self) -> Any:
        self.readings += 1
        return super().entries()


def test_all_hives_that_are_links_are_found_at_once() -> None:
    """However long the way is."""
    chain = [HardLink(f"Files/{number + 1}", f"Files/{number}") for number in range(5000)]
    ends = [HardLink(hive.config, "Files/5000" if hive is SOFTWARE else "Files/0") for hive in CONFIG_HIVES]
    base = Counted(*directories(CONFIG), (File("Files/0", size=len(BASE)), BASE), *chain, *ends)
    with collect_hives([base]) as files:
        assert base.readings == 2
        for hive in CONFIG_HIVES:
            view = files.view(hive)
            assert view is not None
            assert numbers(view.root) == {"a": 1, "b": 1}


def test_a_hive_that_is_a_hard_link_in_a_tar(tmp_path: Path) -> None:
    """Larger than what is read ahead, and followed by more."""
    values = tuple(Value(f"v{number}", 3, os.urandom(16_000)) for number in range(40))
    large = hive(Key("Acme", values))
    assert len(large) > 512 * 1024
    more = [(File(f"Files/{number}", size=1 << 20), bytes(1 << 20)) for number in range(3)]
    layer = Listed(
        *directories(CONFIG), (File("Files/x", size=len(large)), large), HardLink(SOFTWARE.config, "Files/x"), *more
    )
    with (tmp_path / "base.tar").open("wb") as stream, TarWriter(stream) as tar:
        for entry, body in layer.entries():
            tar.add(entry, body)
        tar.commit()
    for first in (layer, open_layer(tmp_path / "base.tar")):
        with collect_hives([first]) as files:
            view = files.view(SOFTWARE)
            assert view is not None
            assert view.root.subkeys[0].values == values


def test_logs_make_a_hive_whole_that_is_dirty() -> None:
    broken = Broken(BASE)
    broken.put("I", 4, 7)
    with (
        stack(bytes(broken)) as files,
        pytest.raises(HiveError, match=r"SOFTWARE: in layer 0: .*dirty hive"),
    ):
        files.view(SOFTWARE)
    before, after = hive(Key("Acme", (dword("a", 1),))), hive(Key("Acme", (dword("a", 2),)))
    unfinished = dirty(before, 3, 2)
    whole = {SOFTWARE.config: unfinished, f"{SOFTWARE.config}.LOG1": log(unfinished, changes(before, after, 2))}
    upper, other = (
        delta(Key("Acme", (dword("b", 1),), layer=INHERIT)),
        delta(Key("Acme", (dword("b", 2),), layer=INHERIT)),
    )
    unfinished = dirty(upper, 3, 2)
    above = {SOFTWARE.delta: unfinished, f"{SOFTWARE.delta}.log2": log(unfinished, changes(upper, other, 2))}
    with collect_hives([layer(whole), layer(above)]) as files:
        data = files.merged(SOFTWARE)
        assert data is not None
        assert numbers(read_hive(data).root) == {"a": 2, "b": 2}
        combined = files.combined(SOFTWARE, 1)
        assert combined is not None
        assert numbers(read_hive(combined).root) == {"b": 2}
        assert files.warnings == [
            f"{path} in layer {number} was completed from its logs, with doubts: the entry 2 is the last"
            " one, and the hive may have parts of 3"
            for number, path in ((1, SOFTWARE.delta), (0, SOFTWARE.config))
        ]
    clean = {SOFTWARE.config: after, f"{SOFTWARE.config}.LOG1": log(unfinished, changes(before, after, 2))}
    with collect_hives([layer(clean)]) as files:
        assert files.view(SOFTWARE) is not None
        assert files.warnings == []
    with (
        collect_hives([layer({**whole, f"{SOFTWARE.config}.LOG1": b"x"})]) as files,
        pytest.raises(HiveError, match="layer 0"),
    ):
        files.view(SOFTWARE)


@pytest.mark.parametrize("left", [0, 100, 120, 150, 400])
def test_logs_make_a_hive_whole_of_which_little_is_left(left: int) -> None:
    """Its GUIDs too, by which the other logs that belong to it are known."""
    old, base = hive(Key("Acme", (dword("a", 1),))), hive(Key("Acme", (dword("a", 2),)))
    broken = layer({SOFTWARE.config: old[:left], f"{SOFTWARE.config}.LOG1": b"x"})
    with collect_hives([broken]) as files, pytest.raises(HiveError, match=r"SOFTWARE: in layer 0: "):
        files.view(SOFTWARE)
    block = bytearray(old)
    block[112:128] = bytes.fromhex("1b1f6c6ad459ea1194389402e6abd998")
    whole = log(bytes(block), Entry(2, len(old) - 4096, {0: base[4096:]}))
    layers = [
        layer({SOFTWARE.config: old[:left], f"{SOFTWARE.config}.LOG1": whole, f"{SOFTWARE.config}.LOG2": b""}),
        layer({SOFTWARE.delta: LOWER}),
    ]
    with collect_hives(layers) as files:
        data = files.merged(SOFTWARE)
        assert data is not None
        assert numbers(read_hive(data).root) == {"a": 2, "b": 2}
        assert files.stale(f"{CONFIG}/TxR/{GUID}.TxR.blf")
        assert not any("counts as" in warning for warning in files.warnings)


def test_an_empty_hive_with_empty_logs_is_empty() -> None:
    with collect_hives([layer({SOFTWARE.config: b"", f"{SOFTWARE.config}.LOG1": b""})]) as files:
        assert files.view(SOFTWARE) is not None
        assert files.warnings == [f"{SOFTWARE.config} in layer 0 is empty, and counts as a hive with nothing in it"]


def test_a_broken_hive_is_named() -> None:
    broken = Broken(LOWER)
    broken.put("I", broken.key("Acme") + 44, 0)
    with (
        stack(BASE, bytes(broken)) as files,
        pytest.raises(
            HiveError,
            match="Hives/Software_Delta: in layer 1: a security descriptor without a cell of its own, in the key Acme;",
        ),
    ):
        files.merged(SOFTWARE)


def test_what_cannot_be_written_is_named() -> None:
    broken = Broken(BASE)
    broken.put("B", broken.security("Acme") + 20, 7)  # the revision of the descriptor
    with stack(bytes(broken), LOWER) as files:
        view = files.view(SOFTWARE)
        assert view is not None
        with pytest.raises(SecurityDescriptorError, match=r"config/SOFTWARE: .*in the key "):
            files.merged(SOFTWARE)


def test_a_differencing_hive_in_a_base_layer() -> None:
    with pytest.raises(LayerError, match=r"Software_Delta: a differencing hive in a base layer.*from the base up"):
        collect_hives([layer({SOFTWARE.delta: LOWER})])
    with stack(LOWER) as files, pytest.raises(HiveError, match="where a base layer has an ordinary one"):
        files.view(SOFTWARE)


def test_what_a_merge_met_is_said_once() -> None:
    foreign = delta(Key("Other", (), (Key("k", layer=INHERIT),), layer=INHERIT))
    nothing = "what no layer below has"
    with stack(BASE, foreign, hive(Key("New"))) as files:
        files.view(SOFTWARE)
        files.merged(SOFTWARE)
        assert files.warnings == [
            f"Hives/Software_Delta in layer 1: 2 keys change {nothing}, the first Other: it was made on another base",
            "Hives/Software_Delta in layer 2 is an ordinary hive, and counts as one that changes all its keys",
        ]


def test_what_a_merge_of_differencing_hives_met_is_said_too() -> None:
    plain = "is an ordinary hive, and counts as one that changes all its keys"
    deleted, touched = Key("Acme", layer=1), Key("Acme", (dword("d", 4),), layer=INHERIT)
    with stack(BASE, hive(Key("New")), EMPTY, hive(Key("New")), delta(deleted), delta(touched)) as files:
        assert files.combined(SOFTWARE, 1) is not None
        one, three, five = files.warnings
        assert one == f"Hives/Software_Delta in layer 1 {plain}"
        assert three == f"Hives/Software_Delta in layer 3 {plain}"
        assert "layer 5: 1 keys change what no layer below has, the first Acme" in five
    with stack(BASE, hive(Key("New"))) as files:
        assert files.combined(SOFTWARE, 1) == hive(Key("New"))
        assert files.warnings == [f"Hives/Software_Delta in layer 1 {plain}"]


def test_a_hive_among_the_files_of_an_upper_layer_does_not_count() -> None:
    with collect_hives(
        [layer({SOFTWARE.config: BASE}), layer({SOFTWARE.config: hive(), SOFTWARE.delta: LOWER})]
    ) as files:
        view = files.view(SOFTWARE)
        assert view is not None
        assert numbers(view.root) == {"a": 1, "b": 2}
        [warning] = files.warnings
        assert warning.startswith(f"{SOFTWARE.config} in layer 1 is no part of the registry")


def test_a_layer_alone_without_its_base() -> None:
    with collect_hives([layer({SOFTWARE.delta: LOWER})], base=False) as files:
        view = files.view(SOFTWARE)
        assert view is not None
        assert numbers(view.root) == {"b": 2}
        assert files.warnings == []


GUID = "{6A6C1F1B-59D4-11EA-9438-9402E6ABD998}"
STALE = [
    "SOFTWARE.LOG",
    "software.LOG1",
    "SOFTWARE.LOG2",
    f"SOFTWARE{GUID}.TM.blf",
    f"SOFTWARE{GUID}.TMContainer00000000000000000001.regtrans-ms",
    f"SOFTWARE{GUID}.TxR.0.regtrans-ms",
    f"SOFTWARE{GUID}.TxR.blf",
    f"TxR/{GUID}.TxR.1.regtrans-ms",
    f"TxR/{GUID.lower()}.TM.blf",
]
KEPT = [
    "SOFTWARE",
    "SYSTEM.LOG1",
    "SOFTWARE.LOG3",
    "SOFTWARE.sav",
    "TxR",
    "TxR/{" + "0" * 8 + GUID[9:] + ".TxR.blf",
    "x",
]


def test_logs_of_a_hive_that_was_merged_are_stale() -> None:
    base = Broken(BASE)
    base[112:128] = bytes.fromhex("1b1f6c6ad459ea1194389402e6abd998")
    base.put("I", 4, base.get("I", 4))
    with stack(bytes(base), LOWER) as files:
        assert not any(files.stale(f"{CONFIG}/{name}") for name in (*STALE, *KEPT))
        assert files.merged(SOFTWARE) is not None
        assert [name for name in (*STALE, *KEPT) if files.stale(f"{CONFIG}/{name}")] == STALE
        assert not files.stale("Files/SOFTWARE.LOG1")


def test_a_symlink_is_no_hive() -> None:
    link: dict[str, Any] = {
        "file_attributes": 0x420,
        "reparse_data": build_link("C:\\hive", False),
        "data_stream": False,
    }
    for base in (
        layer({}, [*directories(CONFIG), File(SOFTWARE.config, **link)]),
        layer({}, [*directories(CONFIG), File("Files/x", **link), HardLink(SOFTWARE.config, "Files/x")]),
    ):
        with pytest.raises(LayerError, match=r"config/SOFTWARE: a link, where a registry hive must be; got SYMLINK"):
            collect_hives([base])
    # Compressed by Windows, it is.
    wof = File(SOFTWARE.config, size=len(BASE), file_attributes=0x420, reparse_data=bytes.fromhex("1700008000000000"))
    with collect_hives([Listed(*directories(CONFIG), (wof, BASE))]) as files:
        assert files.view(SOFTWARE) is not None


def test_memory_stays_small_while_hives_are_put_aside() -> None:
    with HiveStack() as files:
        entry = File(SOFTWARE.config, size=1 << 31)
        with pytest.raises(HiveError, match="at most 1,073,741,824 bytes"):
            files.see(0, entry, None)
