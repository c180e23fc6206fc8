"""Comparing trees of keys: the order, what is told of each difference, and depth."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from tests.unit.regf.samples import OTHER_SECURITY, small
from wclayer.regf.compare import Difference, What, compare, edits_of
from wclayer.regf.edits import KeyEdits
from wclayer.regf.model import DEFAULT_SECURITY, Key, Value, dword, sz


def test_differences_come_in_the_order_of_a_hive() -> None:
    old = Key(
        "ROOT",
        (sz("b", "1"), sz("C", "1"), sz("same", "x")),
        (
            Key("beta", security=OTHER_SECURITY, class_name=b"x\0", flags=0x10, layer=1, control=2, last_written=3),
            Key("Alpha", (), (Key("x", (dword("n", 1),), (Key("y"),)),)),
            Key("gone", (sz("v", "w"),), (Key("below"),)),
        ),
    )
    new = Key(
        "other",
        (sz("SAME", "x"), sz("c", "2"), sz("a", "1"), Value("B", 2, b"1\0\0\0")),
        (Key("ALPHA", (), (Key("x", (dword("n", 2),)),)), Key("Beta"), Key("new", (), (Key("sub"),))),
    )
    found = [
        (one.path, one.what, *(side.name if isinstance(side, Key | Value) else side for side in (one.old, one.new)))
        for one in compare(old, new)
    ]
    assert found == [
        ("", What.VALUE, None, "a"),
        ("", What.VALUE, "b", "B"),
        ("", What.VALUE, "C", "c"),
        ("ALPHA\\x", What.VALUE, "n", "n"),
        ("ALPHA\\x\\y", What.KEY, "y", None),
        ("Beta", What.SECURITY, OTHER_SECURITY, DEFAULT_SECURITY),
        ("Beta", What.CLASS, b"x\0", b""),
        ("Beta", What.FLAGS, 0x10, 0),
        ("Beta", What.LAYER, 1, 0),
        ("Beta", What.CONTROL, 2, 0),
        ("gone", What.KEY, "gone", None),
        ("gone\\below", What.KEY, "below", None),
        ("new", What.KEY, None, "new"),
        ("new\\sub", What.KEY, None, "sub"),
    ]
    assert Difference(("Beta",), What.TIME, 3, 0) in list(compare(old, new, times=True))


def test_a_tombstone_is_not_a_value_of_the_same_content() -> None:
    old, new = Key("", (Value("a", 0),)), Key("", (Value("a", 0, tombstone=True),))
    assert [one.what for one in compare(old, new)] == [What.VALUE]


def told(differences: Iterable[Difference], *, security: bool = False) -> tuple[KeyEdits, list[Difference]]:
    """The changes, and what they do not say."""
    unsaid: list[Difference] = []
    return edits_of(differences, unsaid.append, security=security), unsaid


def test_of_two_values_of_one_name_the_first_counts() -> None:
    twice = Key("", (sz("a", "1"), sz("A", "2")))
    assert list(compare(twice, Key("", (sz("a", "1"),)))) == []
    assert [one.new for one in compare(Key(""), twice)] == [sz("a", "1")]


def test_handles_are_compared_and_not_said() -> None:
    old, new = Key("", (), (Key("k", handle=1),)), Key("", (), (Key("k", handle=2),))
    difference = Difference(("k",), What.HANDLE, 1, 2)
    assert list(compare(old, new)) == [difference]
    assert told([difference])[1] == [difference]
    made = list(compare(Key(""), new))
    assert told(made)[1] == made


def test_changes_name_what_goes_by_its_topmost_key() -> None:
    old = Key("", (), (Key("a", (sz("v", "w"),), (Key("b", (), (Key("c"),)),)),))
    edits, unsaid = told(compare(old, Key("")))
    assert unsaid == []
    (only,) = edits.subkeys.values()
    assert (only.name, only.delete, only.make, only.subkeys) == ("a", True, False, {})


def test_what_changes_cannot_say_is_given_back() -> None:
    old = Key("", (), (Key("a"), Key("b")))
    new = Key("", (), (Key("a", security=OTHER_SECURITY), Key("b", class_name=b"x\0"), Key("c", flags=0x10)))
    edits, unsaid = told(compare(old, new))
    assert [(one.path, one.what) for one in unsaid] == [
        ("a", What.SECURITY),
        ("b", What.CLASS),
        ("c", What.KEY),
    ]
    assert [key.name for key in edits.subkeys.values()] == ["c"]
    edits, unsaid = told(compare(old, new), security=True)
    assert [one.path for one in unsaid] == ["b", "c"]
    assert [key.security for key in edits.subkeys.values()] == [OTHER_SECURITY, DEFAULT_SECURITY]


def test_a_tree_of_512_levels() -> None:
    def chain(bottom: Key) -> Key:
        for _ in range(511):
            bottom = Key("k", (), (bottom,))
        return bottom

    (one,) = compare(chain(Key("x", (dword("n", 1),))), chain(Key("x", (dword("n", 2),))))
    assert one.names == (*["k"] * 510, "x")
    edits, _ = told([one])
    assert not edits.make
    gone = list(compare(chain(Key("x")), replace(chain(Key("x")), subkeys=())))
    assert (len(gone), gone[-1].names) == (511, (*["k"] * 510, "x"))
    edits, _ = told(gone)
    assert [(key.delete, key.subkeys) for key in edits.subkeys.values()] == [(True, {})]


def test_a_hive_is_the_same_as_itself() -> None:
    assert not list(compare(small().root, small(3).root, times=True))
