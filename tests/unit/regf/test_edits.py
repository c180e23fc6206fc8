"""Changes to a hive: made in it, or as a differencing hive over it."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable

import pytest

from tests.unit.regf.samples import OTHER_SECURITY
from wclayer.errors import InexpressibleError
from wclayer.regf.edits import KeyEdits, Missed, apply_edits, delta_of, inherited
from wclayer.regf.model import DEFAULT_SECURITY, Key, Value, dword, sz
from wclayer.win32.sddl import parse_sddl

ROOT = Key(
    "ROOT",
    (),
    (
        Key(
            "Soft",
            (dword("A", 1), sz("B", "b")),
            (Key("Sub", (), (Key("deep"),), 1),),
            1,
            OTHER_SECURITY,
            b"c\0",
            0x10,
            0,
            5,
        ),
    ),
    1,
)
INHERITED = parse_sddl("O:BAG:BAD:AI(A;CIID;KA;;;SY)(A;CIID;KA;;;BA)(A;CIID;KR;;;WD)(A;CIID;KR;;;RC)")


def edits(*changes: tuple[str, str, object]) -> KeyEdits:
    """Of (`set` a value, `unset` its name, `make`, `remove`, `secure` with a descriptor), path, argument."""
    result = KeyEdits()
    for what, path, argument in changes:
        key = result.at(path.split("\\"), make=what in ("set", "make", "secure"))
        if isinstance(argument, Value):
            key.set(argument)
        elif what == "unset":
            key.unset(str(argument))
        elif what == "remove":
            key.remove()
        elif isinstance(argument, bytes):
            key.security = argument
    return result


def test_values_are_set_in_any_case_and_keep_their_place_and_spelling() -> None:
    found = apply_edits(ROOT, edits(("set", "SOFT", dword("a", 2)), ("set", "soft", sz("New", "n"))), 9)
    soft = found.subkeys[0]
    assert soft.name == "Soft"
    assert soft.values == (dword("A", 2), sz("B", "b"), sz("New", "n"))
    assert (soft.last_written, soft.class_name, soft.flags, soft.control) == (9, b"c\0", 0x10, 5)
    assert (found.last_written, soft.subkeys) == (1, ROOT.subkeys[0].subkeys)


def test_keys_are_made_on_the_way_and_inherit() -> None:
    found = apply_edits(ROOT, edits(("set", "New\\Below", dword("v", 1))), 9)
    new = found.subkeys[1]
    assert new == Key("New", (), (Key("Below", (dword("v", 1),), (), 9, INHERITED),), 9, INHERITED)
    assert found.last_written == 9


def test_what_inherits_from_nothing_gets_offregs_default() -> None:
    assert inherited(parse_sddl("O:BAG:BA")) == DEFAULT_SECURITY
    assert inherited(parse_sddl("O:SYG:SYD:(A;CI;GR;;;WD)")) == parse_sddl(
        "O:SYG:SYD:AI(A;ID;KR;;;WD)(A;CIIOID;GR;;;WD)"
    )


def test_deletions() -> None:
    missed = Missed()
    changes = edits(
        ("unset", "Soft", "a"), ("unset", "Soft", "x"), ("remove", "Soft\\Sub", None), ("remove", "no\\key", None)
    )
    found = apply_edits(ROOT, changes, 9, missed)
    assert found.subkeys[0].values == (sz("B", "b"),)
    assert found.subkeys[0].subkeys == ()
    assert (missed.keys.paths, missed.values.paths, missed.count) == (["no\\key"], ["Soft\\\\x"], 2)
    assert len(found.subkeys) == 1


def test_deleted_and_made_anew() -> None:
    changes = edits(("remove", "Soft", None), ("set", "Soft\\Other", dword("v", 1)))
    found = apply_edits(ROOT, changes, 9)
    assert found.subkeys == (Key("Soft", (), (Key("Other", (dword("v", 1),), (), 9, INHERITED),), 9, INHERITED),)


def test_the_last_word_counts() -> None:
    changes = edits(
        ("set", "Soft", dword("a", 5)), ("unset", "Soft", "A"), ("unset", "Soft", "B"), ("set", "Soft", dword("b", 6))
    )
    assert apply_edits(ROOT, changes, 9).subkeys[0].values == (dword("B", 6),)
    changes = edits(("set", "Soft", dword("a", 5)), ("remove", "Soft", None))
    assert apply_edits(ROOT, changes, 9).subkeys == ()


def test_values_are_in_the_order_in_which_they_were_set_last() -> None:
    changes = edits(("set", "New", dword("a", 1)), ("set", "New", dword("b", 2)), ("set", "New", dword("A", 3)))
    assert apply_edits(ROOT, changes, 9).subkeys[-1].values == (dword("b", 2), dword("A", 3))


def test_security() -> None:
    other = parse_sddl("O:BAG:BAD:(A;CI;KA;;;BA)")
    found = apply_edits(ROOT, edits(("secure", "Soft", other), ("make", "Soft\\N", None)), 9).subkeys[0]
    assert found.security == other
    assert found.subkeys[1].security == parse_sddl("O:BAG:BAD:AI(A;CIID;KA;;;BA)")
    assert found.subkeys[0].security == DEFAULT_SECURITY


def test_too_deep() -> None:
    KeyEdits().at(["k"] * 511, make=True)
    with pytest.raises(InexpressibleError, match="too deep"):
        KeyEdits().at(["k"] * 512, make=True)


@pytest.mark.parametrize("there", [True, False])
@pytest.mark.parametrize("change", [apply_edits, delta_of])
def test_of_many_deletions_of_what_is_not_there_the_first_are_named(
    change: Callable[[Key, KeyEdits, int, Missed], Key], there: bool
) -> None:
    """However deep they are: their paths together would have gigabytes."""
    names = [f"{number:03}{'a' * 247}" for number in range(500)]
    changes = KeyEdits()
    key = changes.at(names, make=there)
    for number in range(20_000):
        key.unset(f"v{number}")
        key.at([f"k{number}"], make=False).remove()
    tracemalloc.start()
    change(Key(""), changes, 9, missed := Missed())
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 32 << 20
    for noted, end in ((missed.keys, "\\k"), (missed.values, "\\\\v")):
        assert (noted.count, len(noted.paths)) == (20_000, 100)
        assert all(len(path) < 1010 and path.startswith("...") and end in path for path in noted.paths)


# As differencing hives


def test_a_key_that_is_there_is_touched() -> None:
    missed = Missed()
    root = delta_of(
        ROOT, edits(("set", "soft", dword("a", 2)), ("unset", "soft", "b"), ("unset", "soft", "x")), 9, missed
    )
    assert root == Key(
        "ROOT",
        (),
        (Key("Soft", (dword("A", 2), Value("B", 0, tombstone=True)), (), 9, OTHER_SECURITY, b"", 0x10, 0x80, 5),),
        1,
    )
    assert missed.values.paths == ["soft\\\\x"]


def test_one_on_the_way_keeps_its_time_but_for_a_new_subkey() -> None:
    root = delta_of(ROOT, edits(("set", "Soft\\Sub\\deep", dword("v", 1))), 9)
    soft = root.subkeys[0]
    sub = soft.subkeys[0]
    assert [key.last_written for key in (root, soft, sub, sub.subkeys[0])] == [1, 1, 1, 9]
    root = delta_of(ROOT, edits(("make", "Soft\\Sub\\new", None)), 9)
    sub = root.subkeys[0].subkeys[0]
    assert (sub.last_written, sub.layer, sub.subkeys) == (9, 0x80, (Key("new", (), (), 9, INHERITED),))


def test_deletions_are_tombstones() -> None:
    root = delta_of(
        ROOT, edits(("remove", "SOFT", None), ("remove", "no", None), ("unset", "no2", "v")), 9, missed := Missed()
    )
    assert root.subkeys == (Key("Soft", (), (), 9, OTHER_SECURITY, layer=1),)
    assert (missed.keys.paths, missed.values.paths) == (["no"], ["no2\\\\v"])


def test_deleted_and_made_anew_hides_the_tree() -> None:
    root = delta_of(ROOT, edits(("remove", "SOFT", None), ("set", "soft\\x", dword("v", 1))), 9)
    assert root.subkeys == (
        Key("soft", (), (Key("x", (dword("v", 1),), (), 9, INHERITED, layer=3),), 9, INHERITED, layer=3),
    )


def test_nothing_to_say() -> None:
    for changes in (KeyEdits(), edits(("make", "Soft\\Sub", None)), edits(("unset", "Soft", "x"))):
        root = delta_of(ROOT, changes, 9)
        assert (root.values, root.subkeys) == ((), ())


def test_the_root_cannot_be_deleted() -> None:
    changes = KeyEdits()
    changes.remove()
    assert apply_edits(ROOT, changes, 9) == Key("ROOT", (), (), 9)
    with pytest.raises(InexpressibleError, match="cannot delete the root"):
        delta_of(ROOT, changes, 9)


def test_changes_in_the_deepest_of_keys() -> None:
    key = Key("k")
    for _ in range(510):
        key = Key("k", (), (key,))
    changes = edits(("set", "\\".join(["k"] * 511), dword("v", 1)))
    for root in (delta_of(Key("ROOT", (), (key,)), changes, 9), apply_edits(Key("ROOT", (), (key,)), changes, 9)):
        assert [found.values for path, found in root.walk() if found.values] == [(dword("v", 1),)]


def test_of_two_values_of_one_name_the_first_stays() -> None:
    key = Key("k", (sz("aa", "first"), sz("AA", "second")))
    assert apply_edits(Key("R", (), (key,)), edits(("set", "k", dword("v", 1))), 9).subkeys[0].values == (
        sz("aa", "first"),
        dword("v", 1),
    )


def test_the_security_of_the_root_is_the_bases() -> None:
    changes = edits(("set", "Soft", dword("a", 2)))
    assert delta_of(Key("ROOT", (), ROOT.subkeys, 1, OTHER_SECURITY), changes, 9).security == DEFAULT_SECURITY
    changes.security = OTHER_SECURITY
    with pytest.raises(InexpressibleError, match="security of the root"):
        delta_of(ROOT, changes, 9)
