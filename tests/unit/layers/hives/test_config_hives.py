"""Paths of the registry, and the hives of a layer that they lead to."""

from __future__ import annotations

import pytest

from wclayer.errors import NotFoundError, UsageError
from wclayer.layers.hives.config_hives import CONFIG_HIVES, control_set, locate, root_path
from wclayer.regf.model import Key, Value, dword

DEFAULT, SAM, SECURITY, SOFTWARE, SYSTEM = CONFIG_HIVES


@pytest.mark.parametrize(
    ("path", "hive", "names"),
    [
        ("HKLM\\SOFTWARE", SOFTWARE, ()),
        ("hklm\\software\\Acme\\1.0/x", SOFTWARE, ("Acme", "1.0/x")),
        ("HKEY_LOCAL_MACHINE\\System\\\\Select\\", SYSTEM, ("Select",)),
        ("HKEY_LOCAL_MACHINE\\SAM\\SAM", SAM, ("SAM",)),
        ("HKLM\\SECURITY\\Policy", SECURITY, ("Policy",)),
        ("HKU\\.default\\Console", DEFAULT, ("Console",)),
        ("HKCR\\.txt", SOFTWARE, ("Classes", ".txt")),
        ("HKEY_CLASSES_ROOT", SOFTWARE, ("Classes",)),
    ],
)
def test_paths_lead_to_hives(path: str, hive: object, names: tuple[str, ...]) -> None:
    assert locate(path) == (hive, names)


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("HKLM\\HARDWARE\\Description", "volatile"),
        ("HKCU\\Software", "of the user who runs"),
        ("HKEY_CURRENT_CONFIG\\System", "a view of"),
        ("HKU\\S-1-5-18", "NTUSER.DAT"),
        ("HKLM", r"HKEY_LOCAL_MACHINE.SYSTEM"),
        ("HKLM\\BCD00000000", "no hive of a layer"),
        ("SOFTWARE\\Acme", "no hive of a layer"),
        ("", "no hive of a layer"),
    ],
)
def test_what_is_in_no_hive_is_refused_by_name(path: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        locate(path)


def test_where_regedit_shows_them() -> None:
    assert [root_path(hive) for hive in CONFIG_HIVES] == [
        "HKEY_USERS\\.DEFAULT",
        "HKEY_LOCAL_MACHINE\\SAM",
        "HKEY_LOCAL_MACHINE\\SECURITY",
        "HKEY_LOCAL_MACHINE\\SOFTWARE",
        "HKEY_LOCAL_MACHINE\\SYSTEM",
    ]


def test_the_current_control_set() -> None:
    view = Key("R", (), (Key("SELECT", (dword("current", 2),)),))
    assert control_set(SYSTEM, ("currentcontrolset", "Services"), view) == ("ControlSet002", "Services")
    assert control_set(SYSTEM, ("ControlSet001",), view) == ("ControlSet001",)
    assert control_set(SYSTEM, (), view) == ()
    assert control_set(SOFTWARE, ("CurrentControlSet",), view) == ("CurrentControlSet",)


@pytest.mark.parametrize(
    "view",
    [Key("R"), Key("R", (), (Key("Select"),)), Key("R", (), (Key("Select", (Value("Current", 1, b"1\0\0\0"),)),))],
)
def test_no_current_control_set(view: Key) -> None:
    with pytest.raises(NotFoundError, match=r"SYSTEM.CurrentControlSet.x: no CurrentControlSet.*ControlSet001"):
        control_set(SYSTEM, ("CurrentControlSet", "x"), view)
