"""wclayer hive diff: for people, in JSON, and as the .reg file that makes one the other."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.unit.cli.hives import CONFIG, SOFTWARE, VALUES, folder, hives_in, reg, run
from tests.unit.regf.samples import OTHER_SECURITY, TIME
from wclayer.errors import InexpressibleError, NotFoundError, UsageError
from wclayer.regf.model import Hive, Key, dword, sz
from wclayer.regf.writer import write_hive


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with hives, layer folders, layer tars and an image."""
    return hives_in(tmp_path, monkeypatch)


CHANGED_ACME = Key(
    "ACME",
    (sz("Version", "2.0"), *VALUES[1:3], *VALUES[4:], sz("Added", "x")),
    (Key("Settings", (sz("a", "b"),), (), TIME + 1, OTHER_SECURITY), Key("fresh", (dword("n", 1),), (), TIME)),
    TIME,
)
CHANGED = write_hive(Hive(Key("ROOT", (), (CHANGED_ACME,), TIME), TIME))


def test_diff(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "changed").write_bytes(CHANGED)
    assert run("diff", "SOFTWARE", "SOFTWARE") == 0
    assert capsys.readouterr().out == ""
    assert run("diff", "SOFTWARE", "changed") == 1
    assert capsys.readouterr().out.splitlines() == [
        '+ ACME\\  Added  REG_SZ  "x"',
        "- ACME\\  Blob  REG_BINARY  01 02 03",
        '- ACME\\  Version  REG_SZ  "1.0"',
        '+ ACME\\  Version  REG_SZ  "2.0"',
        "- ACME\\empty\\",
        "+ ACME\\fresh\\",
        "+ ACME\\fresh\\  n  REG_DWORD  0x00000001 (1)",
        "- ACME\\Settings\\  (security)  O:BAG:BAD:(A;CI;KA;;;SY)(A;CI;KA;;;BA)(A;CI;KR;;;WD)(A;CI;KR;;;RC)",
        "+ ACME\\Settings\\  (security)  O:SYG:SYD:(A;CI;KA;;;SY)",
    ]
    assert run("diff", "-q", "SOFTWARE", "changed") == 1
    assert capsys.readouterr().out == ""
    assert run("diff", "--times", "SOFTWARE", "changed", "acme\\settings") == 1
    assert capsys.readouterr().out.splitlines()[-2:] == [
        "- Acme\\Settings\\  (time)  2023-11-14T22:13:20.0000000Z",
        "+ Acme\\Settings\\  (time)  2023-11-14T22:13:20.0000001Z",
    ]


def test_diff_in_json(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "changed").write_bytes(CHANGED)
    assert run("diff", "--json", "SOFTWARE", "changed") == 1
    found = json.loads(capsys.readouterr().out)
    assert [(one["path"], one["what"], one["old"] is None, one["new"] is None) for one in found] == [
        ("ACME", "value", True, False),
        ("ACME", "value", False, True),
        ("ACME", "value", False, False),
        ("ACME\\empty", "key", False, True),
        ("ACME\\fresh", "key", True, False),
        ("ACME\\Settings", "security", False, False),
    ]
    assert run("diff", "--json", "SOFTWARE", "SOFTWARE") == 0
    assert json.loads(capsys.readouterr().out) == []


def test_diff_as_a_reg_file_makes_the_first_the_second(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "changed").write_bytes(CHANGED)
    assert run("diff", "--reg", "SOFTWARE", "changed", "-o", "x.reg") == 1
    assert capsys.readouterr() == (
        "",
        "warning: not in the .reg file, as none can say it (security, class, flags, time): ACME\\Settings\n",
    )
    assert run("import", "SOFTWARE", "x.reg", "-o", "made") == 0
    capsys.readouterr()
    assert run("diff", "made", "changed") == 1
    assert {line.split("  ")[1] for line in capsys.readouterr().out.splitlines()} == {"(security)"}
    assert run("diff", "--reg", "changed", "SOFTWARE", "acme\\fresh", "--prefix", "HKLM\\X", "--utf8") == 1
    assert capsys.readouterr().out.encode() == reg("[-HKEY_LOCAL_MACHINE\\X\\ACME\\fresh]")


def test_diff_where_one_side_has_no_such_key(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for one, other, sign in (("other.hiv", "SOFTWARE", "+"), ("SOFTWARE", "other.hiv", "-")):
        assert run("diff", one, other, "Acme\\Settings") == 1
        assert capsys.readouterr().out.splitlines() == [
            f"{sign} Acme\\Settings\\",
            f'{sign} Acme\\Settings\\  a  REG_SZ  "b"',
        ]
    with pytest.raises(NotFoundError, match="neither has this key"):
        run("diff", "SOFTWARE", "other.hiv", "Nothing")


def test_diff_of_images(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("diff", "oci:img:t#0", "oci:img:t") == 1
    lines = [
        "- HKEY_LOCAL_MACHINE\\SOFTWARE\\Acme\\  Blob  REG_BINARY  01 02 03",
        '- HKEY_LOCAL_MACHINE\\SOFTWARE\\Acme\\  Version  REG_SZ  "1.0"',
        '+ HKEY_LOCAL_MACHINE\\SOFTWARE\\Acme\\  Version  REG_SZ  "2.0"',
        "+ HKEY_LOCAL_MACHINE\\SOFTWARE\\New\\",
    ]
    assert capsys.readouterr().out.splitlines() == lines
    assert run("diff", "base", "oci:img:t", "HKLM\\SOFTWARE\\Acme") == 1
    assert capsys.readouterr().out.splitlines() == lines[:3]
    assert run("diff", "oci:img:t", "oci:img:t", "HKLM\\SYSTEM\\CurrentControlSet") == 0
    assert run("diff", "--reg", "--utf8", "base.tar", "oci:img:t") == 1
    assert capsys.readouterr().out.encode() == reg(
        "[HKEY_LOCAL_MACHINE\\SOFTWARE\\Acme]",
        '"Blob"=-',
        '"Version"="2.0"',
        "",
        "[HKEY_LOCAL_MACHINE\\SOFTWARE\\New]",
    )
    # A layer without a hive has an empty one.
    folder(here / "less", {f"{CONFIG}/SOFTWARE": SOFTWARE})
    assert run("diff", "base", "less") == 1
    assert capsys.readouterr().out.splitlines()[0] == "- HKEY_LOCAL_MACHINE\\SYSTEM\\ControlSet002\\"


def test_diff_as_a_reg_file_of_what_is_the_same(here: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    folder(here / "none", {})
    for one, other in (("SOFTWARE", "SOFTWARE"), ("oci:img:t", "oci:img:t"), ("none", "none")):
        assert run("diff", "--reg", "--utf8", one, other) == 0
        assert capsysbinary.readouterr() == (b"Windows Registry Editor Version 5.00\n", b"")


def test_what_a_reg_file_leaves_out_is_said_once_of_each_key(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    keys = tuple(Key(f"k{n:02}", (), (), TIME, OTHER_SECURITY, b"c\0", 0x1000) for n in range(12))
    (here / "a").write_bytes(write_hive(Hive(Key("ROOT", (), keys, TIME), TIME)))
    plain = tuple(Key(key.name, (), (), TIME + 1) for key in keys)
    (here / "b").write_bytes(write_hive(Hive(Key("ROOT", (), plain, TIME, OTHER_SECURITY), TIME)))
    command = ["diff", "--reg", "--times", "--prefix", "HKLM\\X", "a", "b", "-o", "x.reg", "--force"]
    assert run(*command) == 1
    lines = capsys.readouterr().err.splitlines()
    text = "warning: not in the .reg file, as none can say it (security, class, flags, time): "
    assert lines == [f"{text}\\", *(f"{text}k{n:02}" for n in range(9)), f"{text}3 more"]
    assert run(*command, "-v") == 1
    assert len(capsys.readouterr().err.splitlines()) == 13
    assert run(*command, "-q") == 1
    assert capsys.readouterr() == ("", "")


def test_diff_is_refused(here: Path) -> None:
    with pytest.raises(InexpressibleError, match="differencing"):
        run("diff", "--reg", "Software_Delta", "SOFTWARE", "-o", "x.reg")
    with pytest.raises(UsageError, match="are for --reg"):
        run("diff", "SOFTWARE", "SOFTWARE", "-o", "x.reg")
    with pytest.raises(UsageError, match="--reg and --json"):
        run("diff", "--reg", "--json", "SOFTWARE", "SOFTWARE")
    with pytest.raises(UsageError, match="not known"):
        run("diff", "--reg", "other.hiv", "SOFTWARE", "-o", "x.reg")
    assert not list(here.glob("x*"))
