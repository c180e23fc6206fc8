"""Comparing trees of keys: what is told is what a walk through both finds, and made as changes makes them the same."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.unit.regf.samples import OTHER_SECURITY
from wclayer.regf.compare import Difference, What, compare, edits_of
from wclayer.regf.edits import apply_edits
from wclayer.regf.model import DEFAULT_SECURITY, Key, Value
from wclayer.regf.reg_print import encode_reg, print_edits
from wclayer.regf.reg_text import parse_reg

VALUES = st.lists(
    st.builds(Value, st.sampled_from(["", "a", "A", "ä"]), st.sampled_from([1, 4]), st.sampled_from([b"", b"x\0\0\0"])),
    max_size=3,
    unique_by=lambda value: value.name.upper(),
).map(tuple)


def keys(subkeys: st.SearchStrategy[tuple[Key, ...]]) -> st.SearchStrategy[Key]:
    return st.builds(
        Key,
        st.sampled_from(["k", "K", "l", "é", "É"]),
        VALUES,
        subkeys,
        st.sampled_from([0, 1]),
        st.sampled_from([DEFAULT_SECURITY, DEFAULT_SECURITY, OTHER_SECURITY]),
        st.sampled_from([b"", b"", b"c\0"]),
        st.sampled_from([0, 0, 0x10]),
    )


TREES = st.recursive(
    keys(st.just(())),
    lambda below: keys(st.lists(below, max_size=3, unique_by=lambda key: key.name.upper()).map(tuple)),
    max_leaves=8,
)


def facts(root: Key) -> dict[tuple[str, ...], Any]:
    """All that is said of a tree, by key and what is said."""
    found: dict[tuple[str, ...], Any] = {}
    for path, key in root.walk():
        at = path.upper()
        found[at, "key"] = True
        found.update({(at, "value", value.name.upper()): (value.type, value.data) for value in key.values})
        found[at, "security"], found[at, "class"], found[at, "flags"] = key.security, key.class_name, key.flags
        found[at, "time"] = key.last_written
    return found


def told(difference: Difference) -> set[tuple[str, ...]]:
    """The facts that a difference is about."""
    at = difference.path.upper()
    side = difference.new or difference.old
    if difference.what is What.KEY:
        assert isinstance(side, Key)
        assert (difference.old is None) != (difference.new is None)
        own = {(at, name) for name in ("key", "security", "class", "flags", "time")}
        return own | {(at, "value", value.name.upper()) for value in side.values}
    if difference.what is What.VALUE:
        assert isinstance(side, Value)
        return {(at, "value", side.name.upper())}
    return {(at, difference.what.value)}


@given(TREES, TREES)
def test_all_that_differs_is_told_once(old: Key, new: Key) -> None:
    one, other = facts(old), facts(new)
    wanted = {fact for fact in {*one, *other} if one.get(fact) != other.get(fact)}
    everything = [told(difference) for difference in compare(old, new, times=True)]
    assert sum(map(len, everything)) == len(wanted)
    assert set().union(*everything) == wanted
    assert [told(difference) for difference in compare(old, new) if difference.what is not What.TIME] == [
        told(difference) for difference in compare(old, new, times=True) if difference.what is not What.TIME
    ]
    assert not list(compare(new, new, times=True))


@given(TREES, TREES)
def test_the_changes_make_one_the_other(old: Key, new: Key) -> None:
    unsaid: list[Difference] = []
    edits = edits_of(compare(old, new, times=True), unsaid.append, security=True)
    made = apply_edits(old, edits, 7)
    left = list(compare(made, new))
    assert {difference.names for difference in left} <= {difference.names for difference in unsaid}
    assert {difference.what for difference in left} <= {What.CLASS, What.FLAGS}
    # As a .reg file, all but what such a file cannot say.
    edits = edits_of(compare(old, new), unsaid.append)
    text = b"".join(encode_reg(print_edits(edits, "HKEY_USERS")))
    parsed = parse_reg(text, source="x.reg").subkeys
    made = apply_edits(old, parsed.popitem()[1], 7) if parsed else old
    assert {difference.what for difference in compare(made, new)} <= {What.CLASS, What.FLAGS, What.SECURITY}
