"""Differencing hives: what is merged is what a walk down the stack of hives shows, and any grouping gives the same."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.compat.tools import shared
from tests.unit.regf.samples import OTHER_SECURITY, THIRD_SECURITY
from wclayer.errors import WclayerError
from wclayer.regf.check import check_hive
from wclayer.regf.delta import MergeReport, changes_nothing, empty_delta, merge_delta, merge_deltas
from wclayer.regf.edits import KeyEdits, apply_edits, delta_of
from wclayer.regf.model import DEFAULT_SECURITY, Hive, Key, Value
from wclayer.regf.names import key_order
from wclayer.regf.reader import read_hive
from wclayer.regf.writer import write_hive

NAMES = st.sampled_from(["a", "A", "b", "ä", "Ä", "日本"])
SECURITY = st.sampled_from([DEFAULT_SECURITY, OTHER_SECURITY, THIRD_SECURITY])


def values(tombstones: bool) -> st.SearchStrategy[tuple[Value, ...]]:
    value = st.builds(Value, NAMES | st.just(""), st.integers(0, 12), st.binary(max_size=6))
    if tombstones:
        value |= st.builds(Value, NAMES, st.just(0), st.just(b""), st.just(True))
    return st.lists(value, max_size=3, unique_by=lambda one: key_order(one.name)).map(tuple)


def trees(layered: bool) -> st.SearchStrategy[Key]:
    """Keys of an ordinary or a differencing hive, which keep the rules that Windows' do."""

    def key(subkeys: st.SearchStrategy[tuple[Key, ...]]) -> st.SearchStrategy[Key]:
        layers = st.sampled_from([0, 0, 0x80, 0x80, 1, 2, 0x82, 3]) if layered else st.just(0)
        times, classes, controls = st.integers(0, 99), st.sampled_from([b"", b"c\0", b"d\0"]), st.integers(0, 9)
        return st.builds(
            Key, NAMES, values(layered), subkeys, times, SECURITY, classes, st.sampled_from([0, 0x10]), layers, controls
        ).map(ruled)

    def several(one: st.SearchStrategy[Key]) -> st.SearchStrategy[tuple[Key, ...]]:
        return st.lists(one, max_size=3, unique_by=lambda sub: key_order(sub.name)).map(tuple)

    return st.recursive(key(st.just(())), lambda below: key(several(below)), max_leaves=12).map(
        lambda root: Key("ROOT", root.values, root.subkeys, root.last_written)
    )


def ruled(key: Key) -> Key:
    """A tombstone has nothing; what hides a tree has only what does too; what inherits a class has none."""
    change: dict[str, Any] = {}
    if key.layer & 3 == 1:
        change = {"values": (), "subkeys": (), "class_name": b""}
    elif key.layer & 3 == 3:
        change = {"values": tuple(one for one in key.values if not one.tombstone)}
        below = (Key(s.name, s.values, s.subkeys, s.last_written, s.security, layer=3) for s in key.subkeys)
        change["subkeys"] = tuple(map(ruled, below))
    if key.layer & 0x80:
        change["class_name"] = b""
    return Key(**{name: change.get(name, getattr(key, name)) for name in Key.__dataclass_fields__})


BASES = st.builds(Hive, trees(layered=False), st.integers(0, 99))
DELTAS = st.builds(Hive, trees(layered=True), st.integers(0, 99), st.just(6))


# --- the model: imports nothing from src, and looks at plain values -------------------


def plain(key: Key) -> dict[str, Any]:
    return {
        "semantics": key.layer & 3,
        "inherits": key.layer >> 7,
        "class": key.class_name,
        "rest": (key.security, key.flags, key.control),
        "time": key.last_written,
        "values": {v.name.upper(): None if v.tombstone else (v.name, v.type, v.data) for v in key.values},
        "subkeys": {sub.name.upper(): (sub.name, plain(sub)) for sub in key.subkeys},
    }


def shown(nodes: list[dict[str, Any]]) -> dict[str, Any] | None:
    """What is seen of a key that the hives `nodes` have, the highest first."""
    live = []
    for node in nodes:
        if node["semantics"] == 1:
            break
        live.append(node)
        if node["semantics"] == 3:
            break
    if not live:
        return None
    values: dict[str, Any] = {}
    for node in live:
        for name, value in node["values"].items():
            values.setdefault(name, value)
        if node["semantics"] == 2:
            break
    subkeys = {}
    for name in {name for node in live for name in node["subkeys"]}:
        below = [node["subkeys"][name] for node in live if name in node["subkeys"]]
        seen = shown([node for _, node in below])
        if seen is not None:
            subkeys[below[0][0]] = seen
    own = next((node for node in live if not node["inherits"]), live[-1])
    times = max(node["time"] for node in live)
    found = {name: value for name, value in values.items() if value is not None}
    return {"class": own["class"], "rest": live[0]["rest"], "time": times, "values": found, "subkeys": subkeys}


def seen(hive: Hive) -> dict[str, Any] | None:
    return shown([plain(hive.root)])


# --------------------------------------------------------------------------------------


@given(BASES, st.lists(DELTAS, max_size=4))
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_a_merge_shows_what_the_stack_shows(base: Hive, deltas: list[Hive]) -> None:
    merged = base
    for delta in deltas:
        merged = merge_delta(merged, read_hive(write_hive(delta)))
    data = write_hive(merged)
    assert check_hive(data).findings == ()
    found, wanted = seen(read_hive(data)), shown([plain(hive.root) for hive in (*reversed(deltas), base)])
    assert found is not None
    assert wanted is not None
    for tree in (found, wanted):  # of the root, the descriptor and class are the base's in any case
        del tree["rest"], tree["class"]
    assert found == wanted
    assert (merged.root.security, merged.root.class_name) == (base.root.security, base.root.class_name)


@given(BASES, DELTAS, DELTAS, DELTAS)
@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
def test_any_grouping_gives_the_same(base: Hive, one: Hive, two: Hive, three: Hive) -> None:
    wanted = seen(merge_delta(merge_delta(merge_delta(base, one), two), three))
    lower, upper = merge_deltas(one, two), merge_deltas(two, three)
    for delta in (lower, upper, merge_deltas(lower, three), merge_deltas(one, upper)):
        assert check_hive(write_hive(delta)).findings == ()
    assert seen(merge_delta(merge_delta(base, lower), three)) == wanted
    assert seen(merge_delta(merge_delta(base, one), upper)) == wanted
    assert seen(merge_delta(base, merge_deltas(lower, three))) == wanted
    assert seen(merge_delta(base, merge_deltas(one, upper))) == wanted


@given(BASES, DELTAS)
def test_an_empty_one_changes_nothing(base: Hive, delta: Hive) -> None:
    empty = empty_delta(0)
    assert changes_nothing(empty)
    assert seen(merge_delta(base, empty)) == seen(base)
    both = [merge_deltas(delta, empty), merge_deltas(empty, delta)]
    assert seen(merge_delta(base, both[0])) == seen(merge_delta(base, both[1])) == seen(merge_delta(base, delta))


EDITS: st.SearchStrategy[dict[str, Any]] = st.recursive(
    st.builds(dict),
    lambda below: st.fixed_dictionaries(
        {
            "make": st.booleans(),
            "remove": st.booleans(),
            "values": values(tombstones=True),
            "security": st.none() | SECURITY,
            "below": st.dictionaries(NAMES, below, max_size=3),
        }
    ),
    max_leaves=10,
)


def edited(edits: KeyEdits, said: dict[str, Any], root: bool) -> KeyEdits:
    if said.get("remove") and not root:
        edits.remove()
    for value in said.get("values", ()):
        if value.tombstone:
            edits.unset(value.name)
        else:
            edits.set(value)
    if said.get("security") and not root:
        edits.make, edits.security = True, said["security"]
    for name, below in said.get("below", {}).items():
        edited(
            edits.at([name], make=bool(below.get("make") or below.get("values") or below.get("security"))), below, False
        )
    return edits


@given(BASES, st.lists(DELTAS, max_size=2), EDITS)
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_changes_come_to_the_same_as_a_differencing_hive(base: Hive, deltas: list[Hive], said: dict[str, Any]) -> None:
    for delta in deltas:
        base = merge_delta(base, delta)
    edits = edited(KeyEdits(), said, True)
    data = write_hive(Hive(delta_of(base.root, edits, 500), 500, 6))
    assert check_hive(data).findings == ()
    report = MergeReport()
    merged = merge_delta(base, read_hive(data), report)
    wanted = apply_edits(base.root, edits, 500)
    assert report == MergeReport()
    assert _times_aside(seen(merged)) == _times_aside(shown([plain(wanted)]))


def _times_aside(tree: dict[str, Any] | None) -> Any:
    assert tree is not None
    return {**tree, "time": 0, "subkeys": {name: _times_aside(sub) for name, sub in tree["subkeys"].items()}}


def test_a_real_one_over_itself_and_over_nothing() -> None:
    delta = read_hive((shared("data/hives") / "yarp_System_Delta").read_bytes())
    twice = merge_deltas(delta, delta)
    assert seen(merge_delta(Hive(Key("ROOT")), twice)) == seen(merge_delta(Hive(Key("ROOT")), delta))
    report = MergeReport()
    merge_delta(Hive(Key("ROOT")), delta, report)
    assert report.unbacked.count > 500
    assert len(report.unbacked.paths) == 100


@pytest.mark.parametrize("levels", [510])
def test_the_deepest_trees(levels: int) -> None:
    def chain(layer: int) -> Key:
        key = Key("end", (Value(f"{layer}", 1),), layer=layer)
        for level in range(levels):
            key = Key(f"level {level}", (), (key,), layer=layer)
        return Key("ROOT", (), (key,))

    base, delta = Hive(chain(0)), Hive(chain(0x80), 0, 6)
    merged = merge_delta(base, merge_deltas(delta, delta))
    data = write_hive(merged)
    assert check_hive(data).findings == ()
    assert [place for place, key in merged.root.walk() if len(key.values) == 2] != []


SOUND = write_hive(
    Hive(
        Key(
            "ROOT",
            (),
            (
                Key("a", (Value("x", 1, b"long enough"), Value("y", 0, tombstone=True)), (Key("b"),), layer=0x80),
                Key("c", (), (Key("d", layer=3), Key("e", layer=1)), layer=3),
            ),
        ),
        0,
        6,
    )
)


@given(st.lists(st.tuples(st.integers(4096, len(SOUND) - 1), st.integers(0, 255)), min_size=1, max_size=6), BASES)
def test_no_damage_surprises_a_merge(edits: list[tuple[int, int]], base: Hive) -> None:
    """What can be read can be merged, and written, or ends in an error of ours."""
    data = bytearray(SOUND)
    for at, byte in edits:
        data[at] = byte
    with suppress(WclayerError):
        delta = read_hive(bytes(data))
        write_hive(merge_deltas(delta, delta))
        write_hive(merge_delta(base, delta))
