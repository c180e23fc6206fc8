"""What .reg files say of a hive: which of their keys are in it, and under which path."""

from __future__ import annotations

import pytest

from tests.unit.regf.samples import TIME, small
from wclayer.errors import InexpressibleError, SpecError, UsageError
from wclayer.operations.hive_edits import edits_of_reg, root_of
from wclayer.operations.hive_places import HivePlace
from wclayer.regf import reg_text
from wclayer.regf.edits import KeyEdits, Missed, changed_hive
from wclayer.regf.model import Hive, Key, RegType, Value, dword, sz

SYSTEM = Hive(Key("ROOT", (), (Key("Select", (dword("Current", 3),)), Key("ControlSet003"))), TIME)


def edits(name: str, *lines: str, prefix: str | None = None, hive: Hive = SYSTEM) -> KeyEdits:
    text = "\n".join(("Windows Registry Editor Version 5.00", *lines, ""))
    return edits_of_reg(text.encode(), HivePlace(name), hive, source="x.reg", prefix=prefix)


def made(found: KeyEdits) -> set[str]:
    """The paths of the keys that are to be there."""
    stack, paths = [("", found)], set()
    while stack:
        path, key = stack.pop()
        if key.make:
            paths.add(path)
        stack += [(f"{path}\\{below.name}".lstrip("\\"), below) for below in key.subkeys.values()]
    return paths


@pytest.mark.parametrize(
    ("name", "prefix", "root"),
    [
        ("x/system", None, "HKEY_LOCAL_MACHINE\\SYSTEM"),
        ("x/system", "hklm\\Other", "HKEY_LOCAL_MACHINE\\Other"),
        ("x", "HKEY_users\\S-1-5-18\\\\", "HKEY_USERS\\S-1-5-18"),
        ("x", "HKCC", "HKEY_CURRENT_CONFIG"),
        ("x", "hkey_local_machine\\a\\b", "HKEY_LOCAL_MACHINE\\a\\b"),
    ],
)
def test_the_path_of_a_root(name: str, prefix: str | None, root: str) -> None:
    assert root_of(HivePlace(name), prefix).upper() == root.upper()


@pytest.mark.parametrize("prefix", ["\\", "SOFTWARE", "HKLMX\\a", "HKEY_LOCAL_MACHINE/SOFTWARE"])
def test_a_prefix_that_is_none(prefix: str) -> None:
    with pytest.raises(UsageError, match=r"--prefix; expected HKEY_LOCAL_MACHINE.NAME and the like"):
        root_of(HivePlace("SYSTEM"), prefix)
    for nothing in (None, ""):
        with pytest.raises(UsageError, match=r"^other.hiv: the registry path of this hive is not known"):
            root_of(HivePlace("other.hiv"), nothing)


@pytest.mark.parametrize(
    ("name", "prefix", "key", "paths"),
    [
        ("SYSTEM", None, "HKLM\\system\\A", {"A"}),
        ("SYSTEM", None, "HKLM\\System", set()),
        ("SYSTEM", None, "HKLM\\SYSTEM\\currentcontrolset\\B", {"ControlSet003", "ControlSet003\\B"}),
        ("x", "HKLM\\SYSTEM", "HKLM\\SYSTEM\\CurrentControlSet", {"ControlSet003"}),
        ("SYSTEM", "HKLM\\Loaded", "HKLM\\loaded\\CurrentControlSet", {"CurrentControlSet"}),
        ("Software", None, "HKCR\\.x", {"Classes", "Classes\\.x"}),
        ("Software_Delta", None, "HKLM\\SOFTWARE\\a/b", {"a/b"}),
        ("DEFAULT", None, "HKEY_USERS\\.default\\A", {"A"}),
        ("NTUSER.DAT", None, "HKCU\\A", {"A"}),
        ("UsrClass.dat", None, "HKCU\\software\\classes\\A", {"A"}),
        ("x", "HKLM\\a\\b", "HKLM\\A\\B\\c", {"c"}),
    ],
)
def test_keys_of_a_hive(name: str, prefix: str | None, key: str, paths: set[str]) -> None:
    assert made(edits(name, f"[{key}]", prefix=prefix)) == paths


@pytest.mark.parametrize(
    ("name", "prefix", "key", "message"),
    [
        ("SYSTEM", None, "HKLM\\SOFTWARE\\A", "a key of another hive; expected HKEY_LOCAL_MACHINE.SYSTEM"),
        ("SYSTEM", None, "HKLM", "a key that is in no hive of a layer"),
        ("SYSTEM", None, "HKLM\\HARDWARE\\A", "a key that is in no hive of a layer.*volatile"),
        ("SYSTEM", None, "-HKLM\\SYSTEM", "a root of the registry or a hive cannot be deleted"),
        ("x", "HKLM\\a\\b", "HKLM\\a", "a key of another hive; expected HKEY_LOCAL_MACHINE.a.b"),
        ("x", "HKLM\\a\\b", "HKLM\\a\\bc", "a key of another hive"),
        ("x", "HKLM\\a\\b", "-HKLM\\a\\b", "a root of the registry or a hive cannot be deleted"),
        ("NTUSER.DAT", None, "HKU\\.DEFAULT\\A", "a key of another hive; expected HKEY_CURRENT_USER"),
        ("SOFTWARE", None, "-HKCR", None),
    ],
)
def test_keys_of_other_hives(name: str, prefix: str | None, key: str, message: str | None) -> None:
    lines = (f"[{key}]",)
    if message is None:
        [classes] = edits(name, *lines, prefix=prefix).subkeys.values()
        assert (classes.name, classes.delete) == ("Classes", True)
        return
    with pytest.raises(SpecError, match=rf"^x.reg: line 2: {message}"):
        edits(name, *lines, prefix=prefix)


def test_no_number_of_a_control_set() -> None:
    for select in (Key("Select"), Key("Select", (sz("Current", "1"),)), Key("other")):
        with pytest.raises(SpecError, match=r"^x.reg: line 2: no CurrentControlSet.* -- name the control set itself"):
            edits("SYSTEM", "[HKLM\\SYSTEM\\CurrentControlSet\\A]", hive=Hive(Key("", (), (select,))))


def test_links_are_followed_in_the_order_of_the_lines() -> None:
    def link(name: str, target: str) -> Key:
        return Key(name, (Value("SymbolicLinkValue", RegType.LINK, target.encode("utf-16-le")),), flags=0x10)

    profiles = link("Current", "\\Registry\\Machine\\System\\CurrentControlSet\\Profiles\\0001")
    control = Key("ControlSet003", (), (Key("Profiles", (), (profiles, Key("0001"))),))
    hive = Hive(Key("", (), (*SYSTEM.root.subkeys[:1], control, link("x", "\\Registry\\Machine\\X\\y"))))
    key = "HKLM\\SYSTEM\\CurrentControlSet\\Profiles"
    found = edits("SYSTEM", f"[{key}\\Current]", '"v"=dword:1', f"[{key}\\0001]", '"v"=dword:2', hive=hive)
    root = changed_hive(hive, found, TIME, name="x").root
    changed = root.find("ControlSet003\\Profiles\\0001")
    assert changed is not None
    assert changed.values == (dword("v", 2),)
    assert root.find("ControlSet003\\Profiles\\Current") == profiles
    with pytest.raises(SpecError, match=r"^x.reg: line 2: a link into another hive, .*; got HKLM.* -- name the key"):
        edits("SYSTEM", "[HKLM\\SYSTEM\\x\\a]", hive=hive)
    # Of a hive that is none of the five.
    other = Hive(Key("", (), (Key("y"), link("z", "\\Registry\\Machine\\X\\y"))))
    assert made(edits("o", "[HKLM\\X\\z\\a]", prefix="HKLM\\X", hive=other)) == {"y", "y\\a"}


def test_the_number_of_a_control_set_may_be_set_by_the_lines_above() -> None:
    lines = ["[HKLM\\SYSTEM\\Select]", '"Current"=dword:4', "[HKLM\\SYSTEM\\CurrentControlSet\\A]"]
    assert "ControlSet004\\A" in made(edits("SYSTEM", *lines, hive=Hive(Key(""))))
    assert "ControlSet003\\A" in made(edits("SYSTEM", *lines))  # that of a system that runs stays


def test_a_file_that_is_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reg_text, "MAX_REG", 10)
    with pytest.raises(SpecError, match=r"^x.reg: .reg file too large; expected at most 10 bytes"):
        edits("SYSTEM")


def test_a_hive_that_does_not_change_is_the_same() -> None:
    hive = small()
    missed = Missed()
    lines = (
        "[HKLM\\SOFTWARE\\ALPHA]",
        '"NUMBER"=dword:7',
        "[-HKLM\\SOFTWARE\\none]",
        "[HKLM\\SOFTWARE\\beta]",
        '"x"=-',
    )
    found = edits("SOFTWARE", *lines, hive=hive)
    assert changed_hive(hive, found, TIME + 1, missed, name="SOFTWARE") is hive
    assert (missed.keys.paths, missed.values.paths) == (["none"], ["beta\\\\x"])
    found = edits("SOFTWARE", "[HKLM\\SOFTWARE\\beta\\new]", hive=hive)
    changed = changed_hive(hive, found, TIME + 1, name="SOFTWARE")
    assert changed.last_written == TIME + 1
    assert changed.root.last_written == TIME
    new = changed.root.find("beta\\new")
    assert new is not None
    assert new.last_written == TIME + 1


def test_a_differencing_hive_is_not_changed() -> None:
    with pytest.raises(InexpressibleError, match=r"^the name: a differencing hive.* wclayer hive merge"):
        changed_hive(small(6), KeyEdits(), TIME, name="the name")
