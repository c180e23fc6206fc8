"""`hive diff --reg` of any two hives, imported into the first, gives the keys and values of the second."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st

from tests.property.test_regf import TREES
from wclayer.errors import InexpressibleError
from wclayer.operations.hive_diff import Compared, RegChanges
from wclayer.operations.hive_edits import edits_of_reg
from wclayer.operations.hive_places import HivePlace
from wclayer.regf.edits import changed_hive
from wclayer.regf.model import Hive, Key
from wclayer.regf.names import key_order
from wclayer.regf.reader import read_hive
from wclayer.regf.reg_print import encode_reg, print_reg
from wclayer.regf.writer import write_hive

PLACE = HivePlace("hive")
PREFIX = "HKLM\\X"
TIME = 133_000_000_000_000_000


def plain(root: Key) -> Key:
    """A tree without symbolic links, as what changes one changes what it leads to."""
    return cast("Key", root.changed(lambda key, below: replace(key, subkeys=below, flags=key.flags & ~0x10)))


def folded(key: Key) -> tuple[Any, Any]:
    """Keys and values, without regard to their order and the case of their names."""
    return (
        {key_order(value.name): (value.type, value.data) for value in key.values},
        {key_order(sub.name): folded(sub) for sub in key.subkeys},
    )


def unspeakable(key: Key) -> bool:
    """Has it names, or keys below it have, that no .reg file can have?"""
    names = [name for _, one in key.walk() for name in (*(v.name for v in one.values), *(k.name for k in one.subkeys))]
    return any(re.search("[\r\n\0]", name) for name in names)


def imported(hive: Hive, text: bytes) -> Hive:
    edits = edits_of_reg(text, PLACE, hive, source="x.reg", prefix=PREFIX)
    changed = changed_hive(hive, edits, TIME, name="hive")
    return read_hive(write_hive(changed))


def mixed(trees: tuple[Key, Key]) -> tuple[Key, Key]:
    """Two trees that have something in common."""
    one, other = trees
    there = {key_order(sub.name) for sub in other.subkeys}
    both = (*other.subkeys, *(sub for sub in one.subkeys if key_order(sub.name) not in there))
    return one, Key(other.name, other.values, both, other.last_written)


@given(st.tuples(TREES, TREES).map(mixed) | st.tuples(TREES, TREES), st.booleans())
def test_the_changes_make_the_first_the_second(trees: tuple[Key, Key], reverse: bool) -> None:
    old, new = map(plain, reversed(trees) if reverse else trees)
    changes = RegChanges(prefix=PREFIX)
    try:
        text = b"".join(encode_reg(changes.lines([Compared(PLACE, old, new, "")])))
    except InexpressibleError:
        assert unspeakable(old) or unspeakable(new)
        return
    assert folded(imported(Hive(old, TIME), text).root) == folded(new)
    if not changes.count:
        assert text.decode("utf-16") == "Windows Registry Editor Version 5.00\r\n"


@given(TREES)
def test_what_is_exported_is_imported(root: Key) -> None:
    try:
        text = b"".join(encode_reg(print_reg(root, "HKEY_LOCAL_MACHINE\\X")))
    except InexpressibleError:
        assert unspeakable(root)
        return
    assert folded(imported(Hive(Key("ROOT"), TIME), text).root) == folded(root)
    again = b"".join(encode_reg(print_reg(imported(Hive(Key("ROOT"), TIME), text).root, "HKEY_LOCAL_MACHINE\\X")))
    assert again == text
