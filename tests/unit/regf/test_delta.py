"""Each rule of laying a differencing hive over another, by itself."""

from __future__ import annotations

import pytest

from tests.unit.regf.samples import OTHER_SECURITY, THIRD_SECURITY
from wclayer.errors import HiveError
from wclayer.regf.check import check_hive
from wclayer.regf.delta import MergeReport, empty_delta, merge_delta, merge_deltas
from wclayer.regf.model import DEFAULT_SECURITY, Hive, Key, Value, dword
from wclayer.regf.writer import write_hive

MERGE, TOMBSTONE, LOCAL, TREE, INHERIT = 0, 1, 2, 3, 0x80


def gone(name: str) -> Value:
    return Value(name, 0, tombstone=True)


def base(*subkeys: Key) -> Hive:
    return Hive(Key("BASE", (dword("root", 1),), subkeys, 5, OTHER_SECURITY, b"c\0", 0, 0, 7), 5)


def delta(*subkeys: Key) -> Hive:
    return Hive(Key("DELTA", (dword("more", 2),), subkeys, 9), 9, 6)


def merged(below: Key | None, above: Key) -> Key | None:
    """The key `k` of the merge."""
    found = merge_delta(base(*([below] if below else [])), delta(above))
    return found.root.subkey("k")


BELOW = Key(
    "k",
    (dword("kept", 1), dword("Changed", 1), dword("deleted", 1)),
    (Key("only below"), Key("both", (dword("b", 1),)), Key("deleted")),
    5,
    OTHER_SECURITY,
    b"l\0o\0w\0",
    0x10,
    0,
    3,
)
ABOVE = Key(
    "K",
    (dword("changed", 2), gone("DELETED"), gone("never there"), dword("new", 2)),
    (
        Key("BOTH", (dword("a", 2),), (), 9, layer=INHERIT),
        Key("Deleted", layer=TOMBSTONE),
        Key("never there", layer=TOMBSTONE),
        Key("only above", (gone("x"), dword("y", 2)), (Key("z", layer=TOMBSTONE),), 9),
    ),
    4,
    THIRD_SECURITY,
    b"",
    0,
    INHERIT,
    5,
)


def with_layer(layer: int, class_name: bytes = b"") -> Key:
    return Key(
        ABOVE.name, ABOVE.values, ABOVE.subkeys, ABOVE.last_written, ABOVE.security, class_name, 0, layer, ABOVE.control
    )


MERGED_SUBKEYS = (
    Key("only below"),
    Key("BOTH", (dword("b", 1), dword("a", 2)), (), 9),
    Key("only above", (dword("y", 2),), (), 9),
)
MERGED_VALUES = (dword("kept", 1), dword("changed", 2), dword("new", 2))


def test_merge() -> None:
    assert merged(BELOW, ABOVE) == Key("K", MERGED_VALUES, MERGED_SUBKEYS, 5, THIRD_SECURITY, b"l\0o\0w\0", 0, 0, 5)


def test_merge_with_a_class_of_its_own() -> None:
    found = merged(BELOW, with_layer(MERGE, b"n\0"))
    assert found is not None
    assert found.class_name == b"n\0"
    found = merged(BELOW, with_layer(MERGE))
    assert found is not None
    assert found.class_name == b""


def test_tombstone() -> None:
    assert merged(BELOW, Key("k", layer=TOMBSTONE)) is None
    assert merged(None, Key("k", layer=TOMBSTONE)) is None


def test_supersede_local_hides_what_is_the_keys_own() -> None:
    values = (dword("changed", 2), dword("new", 2))
    assert merged(BELOW, with_layer(LOCAL)) == Key("K", values, MERGED_SUBKEYS, 5, THIRD_SECURITY, b"", 0, 0, 5)


def test_supersede_tree_hides_all() -> None:
    above = Key("K", (dword("v", 1),), (Key("both", (dword("a", 2),), layer=TREE), Key("d", layer=1)), 4, layer=TREE)
    assert merged(BELOW, above) == Key("K", (dword("v", 1),), (Key("both", (dword("a", 2),)),), 4)


def test_a_key_that_is_new() -> None:
    values = (dword("changed", 2), dword("new", 2))
    subkeys = (Key("BOTH", (dword("a", 2),), (), 9), MERGED_SUBKEYS[2])
    assert merged(None, with_layer(MERGE, b"n\0")) == Key("K", values, subkeys, 4, THIRD_SECURITY, b"n\0", 0, 0, 5)


def test_the_root_keeps_all_but_its_values_and_time() -> None:
    found = merge_delta(base(), delta())
    assert found == Hive(
        Key("BASE", (dword("root", 1), dword("more", 2)), (), 9, OTHER_SECURITY, b"c\0", 0, 0, 7), 9, 5
    )


def test_a_key_that_touches_what_is_not_there_is_reported() -> None:
    report = MergeReport()
    merge_delta(base(), delta(Key("a", (), (Key("b", layer=INHERIT), Key("c")), layer=INHERIT)), report)
    assert (report.unbacked.count, report.unbacked.paths, report.plain) == (2, ["a", "a\\b"], 0)


def test_a_tree_that_is_replaced_may_say_that_it_inherits() -> None:
    """There need be nothing below: a key that supersedes the tree hides it all."""
    report = MergeReport()
    merge_delta(base(), delta(Key("a", layer=TREE | INHERIT), Key("b", layer=LOCAL | INHERIT)), report)
    assert (report.unbacked.count, report.unbacked.paths) == (1, ["b"])


def test_an_ordinary_hive_as_the_upper_one() -> None:
    report = MergeReport()
    found = merge_delta(base(BELOW), Hive(Key("X", (), (Key("k", (dword("new", 2),), (), 6),)), 6, 3), report)
    key = found.root.subkey("k")
    assert key is not None
    assert ([value.name for value in key.values], key.class_name) == (
        ["kept", "Changed", "deleted", "new"],
        b"l\0o\0w\0",
    )
    assert (found.root.name, report.plain, report.unbacked.count) == ("BASE", 1, 0)


def test_a_class_in_an_ordinary_hive_is_lost_in_no_grouping() -> None:
    plain = Hive(Key("X", (), (Key("k", class_name=b"n\0"), Key("l"), Key("new", class_name=b"n\0"))), 6, 5)
    below = base(Key("k", class_name=b"b\0"), Key("l", class_name=b"b\0"))
    wanted = [("k", b"n\0"), ("l", b"b\0"), ("new", b"n\0")]
    for pair in ((plain, empty_delta(0)), (empty_delta(0), plain), (plain, plain)):
        both = merge_deltas(*pair)
        assert check_hive(write_hive(both)).findings == ()
        for found in (merge_delta(below, both), merge_delta(merge_delta(below, pair[0]), pair[1])):
            assert [(key.name, key.class_name) for key in found.root.subkeys] == wanted


@pytest.mark.parametrize(
    ("below", "above", "words"),
    [
        (delta(), delta(), "a differencing hive as the base of a merge"),
        (base(), delta(Key("a", (), (Key("b", flags=0x40),))), r"a\\b: a key that is a predefined handle"),
        (base(), delta(Key("a", flags=4)), "a: the root of a hive below another"),
    ],
)
def test_what_no_merge_can_keep(below: Hive, above: Hive, words: str) -> None:
    with pytest.raises(HiveError, match=words):
        merge_delta(below, above)


# One over another


def joined(lower: Key, upper: Key) -> Key:
    found = merge_deltas(delta(lower), delta(upper))
    assert (found.differencing, found.root.layer, found.root.security) == (True, 0, DEFAULT_SECURITY)
    key = found.root.subkey("k")
    assert key is not None
    return key


@pytest.mark.parametrize("lower", [MERGE, INHERIT, TOMBSTONE, LOCAL, LOCAL | INHERIT, TREE])
@pytest.mark.parametrize("upper", [TOMBSTONE, TREE])
def test_a_tombstone_or_a_tree_stays(lower: int, upper: int) -> None:
    assert joined(Key("k", layer=lower), Key("k", layer=upper)) == Key("k", layer=upper)


def test_what_is_made_over_a_tombstone_hides_the_tree() -> None:
    upper = Key("k", (dword("v", 1), gone("w")), (Key("s", layer=MERGE), Key("t", layer=TOMBSTONE)), layer=MERGE)
    assert joined(Key("k", layer=TOMBSTONE), upper) == Key("k", (dword("v", 1),), (Key("s", layer=TREE),), layer=TREE)


def test_what_comes_into_a_tree_that_hides_becomes_a_part_of_it() -> None:
    lower = Key("k", (dword("v", 1), dword("w", 1)), (Key("s", layer=TREE), Key("t", layer=TREE)), layer=TREE)
    upper = Key("k", (gone("v"),), (Key("s", layer=TOMBSTONE), Key("u", (dword("x", 1),))), layer=INHERIT)
    assert joined(lower, upper) == Key(
        "k", (dword("w", 1),), (Key("t", layer=TREE), Key("u", (dword("x", 1),), layer=TREE)), layer=TREE
    )


def test_two_that_merge_keep_what_hides_something_below() -> None:
    lower = Key("k", (dword("a", 1), gone("b"), dword("c", 1)), (Key("s", layer=TOMBSTONE),), 9, layer=INHERIT)
    upper = Key("K", (gone("A"), dword("B", 2)), (Key("t"),), 5, OTHER_SECURITY, layer=INHERIT)
    assert joined(lower, upper) == Key(
        "K",
        (gone("A"), dword("B", 2), dword("c", 1)),
        (Key("s", layer=TOMBSTONE), Key("t")),
        9,
        OTHER_SECURITY,
        layer=INHERIT,
    )


@pytest.mark.parametrize(("lower", "upper"), [(LOCAL, MERGE), (LOCAL, LOCAL), (MERGE, LOCAL)])
def test_one_that_hides_what_is_its_own(lower: int, upper: int) -> None:
    found = joined(
        Key("k", (dword("a", 1),), (Key("s"),), layer=lower),
        Key("k", (gone("z"), dword("b", 1)), (Key("t"),), layer=upper),
    )
    values = (dword("b", 1),) if upper == LOCAL else (dword("a", 1), dword("b", 1))
    assert found == Key("k", values, (Key("s"), Key("t")), layer=LOCAL)


def test_the_class_name_is_inherited_only_if_both_say_so() -> None:
    lower = Key("k", class_name=b"l\0")
    assert joined(lower, Key("k", layer=INHERIT)) == lower
    assert joined(lower, Key("k", class_name=b"u\0")) == Key("k", class_name=b"u\0")
    assert joined(Key("k", layer=INHERIT), Key("k", layer=INHERIT)).inherits_class
    assert not joined(Key("k", layer=INHERIT), Key("k")).inherits_class


ODD = delta(
    Key("class", class_name=b"c\0", layer=INHERIT),
    Key("deleted", (dword("v", 1),), (Key("s"),), 7, OTHER_SECURITY, b"c\0", layer=TOMBSTONE | INHERIT),
    Key("known", layer=0x44 | LOCAL),
    Key("tree", (), (Key("t", (), (Key("u", layer=INHERIT), Key("v", layer=TOMBSTONE))),), layer=TREE),
)
SAID = (
    Key("class", layer=INHERIT),
    Key("deleted", (), (), 7, OTHER_SECURITY, layer=TOMBSTONE | INHERIT),
    Key("known", layer=LOCAL),
    Key(
        "tree",
        (),
        (Key("t", (), (Key("u", layer=TREE | INHERIT), Key("v", layer=TOMBSTONE)), layer=TREE),),
        layer=TREE,
    ),
)


@pytest.mark.parametrize("pair", [(ODD, empty_delta(0)), (empty_delta(0), ODD), (ODD, ODD)])
def test_what_breaks_the_rules_comes_out_as_what_it_says(pair: tuple[Hive, Hive]) -> None:
    found = merge_deltas(*pair)
    assert found.root.subkeys == SAID
    assert check_hive(write_hive(found)).findings == ()


def test_what_breaks_the_rules_over_a_base() -> None:
    below = Key("class", class_name=b"below"), Key("deleted"), Key("tree", (), (Key("t", (), (Key("w"),)),))
    assert merge_delta(base(*below), ODD).root.subkeys == (
        Key("class", class_name=b"below"),
        Key("tree", (), (Key("t", (), (Key("u"),)),)),
        Key("known"),
    )


@pytest.mark.parametrize("layer", [TOMBSTONE, LOCAL, TREE, INHERIT])
def test_a_layer_byte_of_the_root_says_nothing(layer: int) -> None:
    odd = Hive(Key("DELTA", (dword("more", 2),), (Key("k", layer=INHERIT),), 9, layer=layer), 9, 6)
    for pair in ((odd, empty_delta(0)), (empty_delta(0), odd)):
        found = merge_deltas(*pair)
        assert (found.root.layer, found.root.values) == (0, odd.root.values)
        assert found.root.subkeys == odd.root.subkeys
    merged = merge_delta(base(Key("k", class_name=b"c\0"), Key("l")), odd)
    assert merged.root.values == (dword("root", 1), dword("more", 2))
    assert merged.root.subkeys == (Key("k", class_name=b"c\0"), Key("l"))


def test_what_breaks_the_rules_in_the_deepest_tree() -> None:
    key = Key("end", (), (Key("v", layer=TOMBSTONE),))
    for level in range(509):
        key = Key(f"level {level}", (), (key,), layer=TREE if level % 2 else MERGE)
    for found in (merge_deltas(delta(key), empty_delta(0)), merge_deltas(empty_delta(0), delta(key))):
        assert check_hive(write_hive(found)).findings == ()


def test_an_empty_one() -> None:
    assert empty_delta(7) == Hive(Key("ROOT", last_written=7), 7, 6)
