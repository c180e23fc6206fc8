"""Hives and registries of images side by side."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.regf.samples import OTHER_SECURITY, TIME
from wclayer.errors import HiveError, InexpressibleError, NotFoundError, UsageError
from wclayer.layers.hives.config_hives import CONFIG
from wclayer.operations.hive_diff import RegChanges, compared
from wclayer.operations.hive_places import HivePlaces, parse_hive_place
from wclayer.regf.model import Hive, Key, Value, dword, sz
from wclayer.regf.writer import write_hive

HEADER = "Windows Registry Editor Version 5.00\n"
ONE = Key("ROOT", (sz("v", "1"),), (Key("Acme", (sz("a", "b"),), (Key("Sub"),)),))
OTHER = Key("ROOT", (sz("v", "2"),), (Key("ACME", (sz("a", "c"),)), Key("New", (dword("n", 1),))))


def hive(root: Key, minor: int = 5) -> bytes:
    return write_hive(Hive(root, TIME, minor))


def current(number: int, *subkeys: Key) -> bytes:
    select = Key("Select", (dword("Current", number),))
    return hive(Key("ROOT", (), (select, Key(f"ControlSet{number:03}", (), subkeys))))


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name, files in (
        ("one", {"SOFTWARE": hive(ONE), "SYSTEM": current(1, Key("x", (sz("a", "b"),)))}),
        ("two", {"software": hive(OTHER), "SYSTEM": current(2, Key("x", (sz("a", "c"),)))}),
        ("bare", {}),
    ):
        config = tmp_path / name / CONFIG
        config.mkdir(parents=True)
        for file, data in files.items():
            (config / file).write_bytes(data)
    (tmp_path / "SOFTWARE").write_bytes(hive(ONE))
    (tmp_path / "changed").write_bytes(hive(OTHER))
    (tmp_path / "delta").write_bytes(hive(Key("ROOT", (), (Key("Acme", layer=1),)), 6))
    return tmp_path


def told(old: str, new: str, path: str = "") -> list[tuple[str, str]]:
    """The paths of all differences, and what they are about."""
    pairs = compared(HivePlaces(), parse_hive_place(old), parse_hive_place(new), path)
    return [(pair.shown(one), one.what.value) for pair in pairs for one in pair.differences()]


def changes(old: str, new: str, path: str = "", prefix: str | None = None) -> tuple[str, list[str]]:
    found = RegChanges(prefix=prefix)
    return "".join(
        found.lines(compared(HivePlaces(), parse_hive_place(old), parse_hive_place(new), path))
    ), found.unsaid.paths


def test_two_hives(here: Path) -> None:
    assert told("SOFTWARE", "SOFTWARE") == []
    both = [("", "value"), ("ACME", "value"), ("ACME\\Sub", "key"), ("New", "key")]
    assert told("SOFTWARE", "changed") == both
    assert told("SOFTWARE", f"two//{CONFIG}/SOFTWARE") == both
    assert told("changed", "SOFTWARE") == [("", "value"), ("Acme", "value"), ("Acme\\Sub", "key"), ("New", "key")]
    assert told("SOFTWARE", "changed", "acme") == [("Acme", "value"), ("Acme\\Sub", "key")]
    assert told("SOFTWARE", "changed", "ACME\\sub") == [("Acme\\Sub", "key")]
    assert told("SOFTWARE", "changed", "new") == [("New", "key")]
    with pytest.raises(NotFoundError, match=r"^SOFTWARE, changed: neither has this key; got Nothing"):
        told("SOFTWARE", "changed", "Nothing")
    with pytest.raises(UsageError, match="a path of the registry, in a single hive"):
        told("SOFTWARE", "changed", "HKLM\\SOFTWARE")


def test_two_registries(here: Path) -> None:
    root = "HKEY_LOCAL_MACHINE\\SOFTWARE"
    system = "HKEY_LOCAL_MACHINE\\SYSTEM"
    assert told("one", "two") == [
        (root, "value"),
        (f"{root}\\ACME", "value"),
        (f"{root}\\ACME\\Sub", "key"),
        (f"{root}\\New", "key"),
        (f"{system}\\ControlSet001", "key"),
        (f"{system}\\ControlSet001\\x", "key"),
        (f"{system}\\ControlSet002", "key"),
        (f"{system}\\ControlSet002\\x", "key"),
        (f"{system}\\Select", "value"),
    ]
    assert told("one", "two", "HKLM\\SYSTEM\\CurrentControlSet\\x") == [(f"{system}\\ControlSet001\\x", "value")]
    assert told("one", "two", "HKLM\\software\\new") == [(f"{root}\\New", "key")]
    assert told("one", "one") == told("bare", "bare") == []
    with pytest.raises(UsageError, match="volatile"):
        told("one", "two", "HKLM\\HARDWARE")
    with pytest.raises(NotFoundError, match="neither has this key"):
        told("one", "two", "HKLM\\SAM")
    with pytest.raises(UsageError, match=r"^SOFTWARE: a hive and a whole image; .*; got one"):
        told("one", "SOFTWARE")


def test_an_image_without_a_hive_counts_as_one_with_an_empty_one(here: Path) -> None:
    root = "HKEY_LOCAL_MACHINE\\SOFTWARE"
    all_of_it = [(root, "value"), (f"{root}\\Acme", "key"), (f"{root}\\Acme\\Sub", "key")]
    assert told("bare", "one", "HKLM\\SOFTWARE") == told("one", "bare", "HKLM\\SOFTWARE") == all_of_it
    text, unsaid = changes("one", "bare", "HKLM\\SOFTWARE")
    assert text == f'{HEADER}\n[{root}]\n"v"=-\n\n[-{root}\\Acme]\n'
    assert unsaid == []


def test_changes_of_several_hives_have_one_header(here: Path) -> None:
    text, unsaid = changes("bare", "two")
    assert text.count(HEADER) == 1
    assert text.startswith(HEADER)
    assert "[HKEY_LOCAL_MACHINE\\SOFTWARE\\New]" in text
    assert "[HKEY_LOCAL_MACHINE\\SYSTEM\\ControlSet002\\x]" in text
    assert unsaid == []
    assert changes("bare", "bare") == changes("one", "one") == (HEADER, [])


def test_changes_are_under_the_path_of_the_hive(here: Path) -> None:
    assert changes("SOFTWARE", "changed", "acme\\sub")[0] == f"{HEADER}\n[-HKEY_LOCAL_MACHINE\\SOFTWARE\\Acme\\Sub]\n"
    assert changes("SOFTWARE", "changed", "new", "HKU\\X")[0] == f'{HEADER}\n[HKEY_USERS\\X\\New]\n"n"=dword:00000001\n'
    with pytest.raises(UsageError, match=r"^changed: the registry path of this hive is not known"):
        changes("changed", "SOFTWARE")


def test_what_changes_cannot_say(here: Path) -> None:
    sub = Key("Sub", security=OTHER_SECURITY, class_name=b"c\0", flags=0x1000)
    root = Key("ROOT", ONE.values, (Key("Acme", (sz("a", "b"),), (sub,)),), class_name=b"r\0")
    (here / "changed").write_bytes(hive(root))
    assert changes("SOFTWARE", "changed") == (HEADER, ["", "Acme\\Sub"])
    (here / "changed").write_bytes(hive(Key("ROOT", (), (Key("bad\n", (Value("x", 0),)),))))
    with pytest.raises(InexpressibleError, match=r"the name cannot be in a .reg file"):
        changes("SOFTWARE", "changed")


def test_differencing_hives_side_by_side(here: Path) -> None:
    assert told("delta", "SOFTWARE") == [("", "value"), ("Acme", "layer"), ("Acme", "value"), ("Acme\\Sub", "key")]
    for old, new in (("delta", "SOFTWARE"), ("SOFTWARE", "delta"), ("delta", "delta")):
        with pytest.raises(InexpressibleError, match=r"from one differencing hive to another.* wclayer hive merge"):
            changes(old, new)


def test_a_broken_hive_of_one_image(here: Path) -> None:
    (here / "two" / CONFIG / "SYSTEM").write_bytes(b"no hive")
    with pytest.raises(HiveError, match="SYSTEM"):
        told("one", "two")
    assert told("one", "two", "HKLM\\SOFTWARE\\New") == [("HKEY_LOCAL_MACHINE\\SOFTWARE\\New", "key")]
