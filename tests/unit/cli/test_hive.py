"""wclayer hive: each command, each kind of bad input, the exit codes, and that nothing half made is left."""

from __future__ import annotations

import io
import json
import os
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.images import layout
from tests.tars import M, build, directory
from tests.unit.regf.logs import changes, dirty, log
from tests.unit.regf.samples import OTHER_SECURITY, TIME, Broken, small
from wclayer.cli.main import cli, main
from wclayer.errors import (
    AlreadyExistsError,
    HiveError,
    InexpressibleError,
    LayerError,
    NotFoundError,
    SpecError,
    UsageError,
    WclayerError,
)
from wclayer.regf.minimal import minimal_hive
from wclayer.regf.model import Hive, Key, RegType, Value, dword, sz
from wclayer.regf.reader import read_hive
from wclayer.regf.writer import write_hive

CONFIG = "Files/Windows/System32/config"
INHERIT = 0x80
MULTI = Value("List", RegType.MULTI_SZ, "one\0two\0\0".encode("utf-16-le"))
VALUES = (
    sz("Version", "1.0"),
    sz("", "the default"),
    dword("Level", 42),
    Value("Blob", RegType.BINARY, b"\1\2\3"),
    MULTI,
    Value("Path", RegType.EXPAND_SZ, "%A%\0".encode("utf-16-le")),
    Value("Big", RegType.QWORD, (1 << 40).to_bytes(8, "little")),
    Value("Swapped", RegType.DWORD_BIG_ENDIAN, b"\0\0\1\0"),
    Value("Odd", RegType.DWORD, b"\1\2\3"),
    Value("Half", RegType.SZ, b"a\0b"),
    Value("Unending", RegType.SZ, "no NUL".encode("utf-16-le")),
    Value("Own", 0x12345, b"\xff"),
)
ACME = Key("Acme", VALUES, (Key("Settings", (sz("a", "b"),), (), TIME), Key("empty", (), (), TIME)), TIME)
SOFTWARE = write_hive(Hive(Key("ROOT", (), (ACME,), TIME), TIME))
SYSTEM = write_hive(
    Hive(
        Key("ROOT", (), (Key("Select", (dword("Current", 2),), (), TIME), Key("ControlSet002", (), (), TIME)), TIME),
        TIME,
    )
)
DELTA_KEYS = (
    Key("Acme", (sz("Version", "2.0"), Value("Blob", 0, tombstone=True)), (), TIME, layer=INHERIT),
    Key("New", (), (), TIME),
)
DELTA = write_hive(Hive(Key("ROOT", (), DELTA_KEYS, TIME), TIME, 6))
MINIMAL = minimal_hive(TIME)


def tar(files: dict[str, bytes]) -> bytes:
    folders = {"/".join(path.split("/")[:end]) for path in files for end in range(1, path.count("/") + 1)}
    return build([*(directory(path) for path in sorted({"Files", *folders})), *(M(*file) for file in files.items())])


def folder(place: Path, files: dict[str, bytes]) -> None:
    (place / "Files").mkdir(parents=True)
    for path, data in files.items():
        (place / path).parent.mkdir(parents=True, exist_ok=True)
        (place / path).write_bytes(data)


BASE_FILES = {f"{CONFIG}/SOFTWARE": SOFTWARE, f"{CONFIG}/SYSTEM": SYSTEM, "Files/NTUSER.DAT": MINIMAL}
UPPER_FILES = {"Hives/Software_Delta": DELTA}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with hives, layer folders, layer tars and an image."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    for name, data in (("SOFTWARE", SOFTWARE), ("SYSTEM", SYSTEM), ("other.hiv", MINIMAL), ("Software_Delta", DELTA)):
        (tmp_path / name).write_bytes(data)
    folder(tmp_path / "base", BASE_FILES)
    folder(tmp_path / "upper", UPPER_FILES)
    tars = [tar(BASE_FILES), tar(UPPER_FILES)]
    (tmp_path / "base.tar").write_bytes(tars[0])
    (tmp_path / "upper.tar").write_bytes(tars[1])
    layout(tmp_path / "img", tars, gzipped=True)
    return tmp_path


def run(*arguments: str) -> int:
    """The exit code of a command that raises nothing."""
    result = cli.main(["hive", *arguments], prog_name="wclayer", standalone_mode=False)
    return result if isinstance(result, int) else 0


def reg(*lines: str) -> bytes:
    return "\n".join(("Windows Registry Editor Version 5.00", "", *lines, "")).encode()


def acme(path: Path) -> Key:
    key = read_hive(path.read_bytes()).root.subkey("Acme")
    assert key is not None
    return key


# --- show -------------------------------------------------------------------------


def test_show_a_key(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("show", "SOFTWARE", "acme") == 0
    assert capsys.readouterr().out.splitlines() == [
        "Acme\\",
        '  Version    REG_SZ                "1.0"',
        '  (default)  REG_SZ                "the default"',
        "  Level      REG_DWORD             0x0000002a (42)",
        "  Blob       REG_BINARY            01 02 03",
        '  List       REG_MULTI_SZ          ["one", "two"]',
        '  Path       REG_EXPAND_SZ         "%A%"',
        "  Big        REG_QWORD             0x0000010000000000 (1099511627776)",
        "  Swapped    REG_DWORD_BIG_ENDIAN  0x00000100 (256)",
        "  Odd        REG_DWORD             01 02 03",
        "  Half       REG_SZ                61 00 62",
        '  Unending   REG_SZ                "no NUL"',
        "  Own        0x12345               ff",
        "  empty\\",
        "  Settings\\",
    ]
    assert run("show", "SOFTWARE") == 0
    assert capsys.readouterr().out == "\\\n  Acme\\\n"
    assert run("show", "-q", "SOFTWARE") == 0
    assert capsys.readouterr() == ("", "")


def test_show_all_below(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("show", "-r", "SOFTWARE") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["\\", "  Acme\\"]
    assert lines[-3:] == ["    empty\\", "    Settings\\", '      a  REG_SZ  "b"']


def test_show_more_of_a_key(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    key = Key("K", (Value("long", 3, bytes(100)), sz("text", "x" * 300)), (), TIME, OTHER_SECURITY, b"c\0l\0")
    (here / "hive").write_bytes(write_hive(Hive(Key("ROOT", (), (key,), TIME), TIME)))
    assert run("show", "hive", "K") == 0
    shown = capsys.readouterr().out
    assert "(100 bytes)" in shown
    assert "..." in shown
    assert "x" * 101 not in shown
    assert run("show", "-v", "hive", "K") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1:3] == ["  written 2023-11-14T22:13:20.0000000Z  O:SYG:SYD:(A;CI;KA;;;SY)", '  class "cl"']
    assert lines[3].endswith("  " + "00 " * 99 + "00")
    assert lines[4].endswith(f'"{"x" * 300}"')


def test_show_in_json(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("show", "--json", "-r", "SOFTWARE", "Acme") == 0
    found: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    assert [key["path"] for key in found] == ["Acme", "Acme\\empty", "Acme\\Settings"]
    assert (found[0]["last_written"], found[0]["subkeys"]) == (TIME, ["empty", "Settings"])
    assert found[0]["values"][2] == {
        "name": "Level",
        "type": 4,
        "type_name": "REG_DWORD",
        "content": 42,
        "data": "2a000000",
    }
    assert [value["content"] for value in found[0]["values"][7:10]] == [256, None, None]
    assert found[0]["security"].startswith("O:BAG:BAD:")


def test_no_hostile_name_writes_to_a_terminal(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    evil = "\x1b]0;x\x07\u202e\ud800\n"
    key = Key(evil, (sz(evil, evil), Value("list", 7, (evil + "\0\0").encode("utf-16-le", "surrogatepass"))), (), TIME)
    root = Key("ROOT", (), (replace(key, class_name=evil.encode("utf-16-le", "surrogatepass")),), TIME)
    (here / "hive").write_bytes(write_hive(Hive(root, TIME)))
    for command in (["show", "-r", "-v", "hive"], ["diff", "hive", "other.hiv"], ["diff", "-v", "other.hiv", "hive"]):
        run(*command)
        out = capsys.readouterr().out
        assert "\\x1b]0;x\\x07\\u202e\\ud800\\x0a" in out
        assert not set(evil) - {"\n", "]", "0", ";", "x"} & set(out)
    with pytest.raises(NotFoundError) as caught:
        run("get", "hive", evil, "other")
    assert "\x1b" not in str(caught.value)


def test_a_tree_of_512_levels(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    key = Key("x", (dword("n", 1),), (), TIME)
    for _ in range(511):
        key = Key("k", (), (key,), TIME)
    (here / "hive").write_bytes(write_hive(Hive(key, TIME)))
    assert run("show", "-r", "hive") == 0
    assert len(capsys.readouterr().out.splitlines()) == 513
    assert run("show", "--json", "-r", "hive") == 0
    assert len(json.loads(capsys.readouterr().out)) == 512
    assert run("diff", "hive", "other.hiv") == 1
    assert run("export", "--prefix", "HKLM\\X", "hive", "-o", "x.reg") == 0
    assert run("import", "other.hiv", "x.reg", "--prefix", "HKLM\\X", "-o", "again") == 0
    assert run("diff", "hive", "again") == 1  # the security of new keys is inherited
    assert run("get", "again", "\\".join(["k"] * 510 + ["x"]), "n") == 0


def test_show_what_a_differencing_hive_hides(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    below = Key("below", (), (), TIME, layer=3)
    keys = (
        Key("gone", (), (), TIME, layer=1),
        Key("local", (sz("a", "b"),), (), TIME, layer=INHERIT | 2),
        Key("merged", (), (), TIME, layer=INHERIT),
        Key("tree", (), (below,), TIME, layer=3),
    )
    (here / "delta").write_bytes(write_hive(Hive(Key("ROOT", (), keys, TIME), TIME, 6)))
    lines = ["  gone\\  (deleted)", "  local\\  (supersedes local)", "  merged\\", "  tree\\  (supersedes tree)"]
    assert run("show", "delta") == 0
    assert capsys.readouterr().out.splitlines() == ["\\", *lines]
    assert run("show", "-r", "delta") == 0
    assert capsys.readouterr().out.splitlines() == [
        *("\\", *lines[:2], '    a  REG_SZ  "b"', *lines[2:], "    below\\  (supersedes tree)")
    ]
    assert run("show", "--json", "delta", "local") == 0
    assert json.loads(capsys.readouterr().out)[0]["layer"] == INHERIT | 2
    assert run("diff", "other.hiv", "delta", "gone") == 1
    assert capsys.readouterr().out == "+ gone\\  (deleted)\n"


# --- places -----------------------------------------------------------------------


@pytest.mark.parametrize("place", ["base", "base.tar", "oci:img:t", "oci:img:t#0"])
def test_a_hive_in_layers(here: Path, capsysbinary: pytest.CaptureFixture[bytes], place: str) -> None:
    for path in (f"{CONFIG}/SOFTWARE", "Files/WINDOWS/system32/./Config//software"):
        assert run("get", f"{place}//{path}", "Acme", "Version") == 0
        assert capsysbinary.readouterr().out == b"1.0\n"
    assert run("check", "-q", f"{place}//Files/NTUSER.DAT") == 0


@pytest.mark.parametrize("place", ["upper", "upper.tar", "oci:img:t", "oci:img:t#1"])
def test_a_differencing_hive_in_layers(here: Path, capsys: pytest.CaptureFixture[str], place: str) -> None:
    assert run("show", f"{place}//Hives/Software_Delta", "Acme") == 0
    assert "  Blob     REG_NONE  (deleted)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("place", "version"),
    [
        (["oci:img:t"], "2.0"),
        (["oci:img:t#1"], "2.0"),
        (["oci:img:t#0"], "1.0"),
        (["base"], "1.0"),
        (["base.tar"], "1.0"),
        (["upper", "-l", "base"], "2.0"),
        (["upper.tar", "-l", "base.tar"], "2.0"),
    ],
)
def test_the_registry_of_images_and_layers(
    here: Path, capsysbinary: pytest.CaptureFixture[bytes], place: list[str], version: str
) -> None:
    for key in ("HKLM\\Software\\Acme", "HKEY_LOCAL_MACHINE\\SOFTWARE\\ACME\\"):
        assert run("get", *place, key, "version") == 0
        assert capsysbinary.readouterr().out == f"{version}\n".encode()
    assert run("show", *place, "HKLM\\SYSTEM\\CurrentControlSet") == 0
    assert capsysbinary.readouterr().out == b"HKEY_LOCAL_MACHINE\\SYSTEM\\ControlSet002\\\n"
    if version == "2.0":
        with pytest.raises(NotFoundError, match="no such value"):
            run("get", *place, "HKLM\\Software\\Acme", "Blob")
        assert run("show", *place, "HKLM\\Software\\New") == 0


def test_layer_folders_that_were_imported(here: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    for options in (["-i", "base.tar", "one"], ["-l", "one", "-i", "upper.tar", "two"]):
        cli.main(["import", "-q", *options], standalone_mode=False)
    for place, key, version in (
        ([f"one//{CONFIG}/SOFTWARE"], "Acme", b"1.0\n"),
        (["one"], "HKLM\\SOFTWARE\\Acme", b"1.0\n"),
        (["-l", "one", "two"], "HKLM\\SOFTWARE\\Acme", b"2.0\n"),
    ):
        assert run("get", *place, key, "Version") == 0
        assert capsysbinary.readouterr().out == version
    with pytest.raises(UsageError, match="a non-base layer without those below it"):
        run("show", "two", "HKLM\\SOFTWARE")


def test_a_hive_from_stdin(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(SOFTWARE)))
    assert run("get", "-", "Acme", "Level") == 0
    assert capsysbinary.readouterr().out == b"42\n"


def test_two_slashes_may_stand_in_a_path(here: Path) -> None:
    (here / "plain").mkdir()
    (here / "plain" / "hive").write_bytes(SOFTWARE)
    assert run("check", "-q", "plain//hive") == 0
    assert run("check", "-q", f"{here}//SOFTWARE") == 0


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (["show", "nowhere"], NotFoundError, "^nowhere: no such file"),
        (["show", "img"], UsageError, "a folder, where a hive must be"),
        (["show", "SOFTWARE", "Acme\\Nothing"], NotFoundError, "no such key; expected a subkey of Acme"),
        (["show", "SOFTWARE", "HKLM\\SOFTWARE\\Acme"], UsageError, "a path of the registry, in a single hive"),
        (["show", "base//Files", "x"], UsageError, "no path of a hive"),
        (["show", "base//elsewhere/SOFTWARE"], UsageError, "no path of a hive"),
        (["show", "oci:img:t//"], UsageError, "no path of a hive"),
        (["show", "oci:img:t//Files/nothing"], NotFoundError, "no such file"),
        (["show", f"oci:img:t//{CONFIG}"], UsageError, "a folder, where a hive must be"),
        (["show", f"oci:img:t#7//{CONFIG}/SOFTWARE"], NotFoundError, "no such layer"),
        (["show", f"oci:img:t#1//{CONFIG}/SOFTWARE"], NotFoundError, "no such file"),
        (
            ["show", "oci:img:t"],
            UsageError,
            r"^oci:img:t: which key of the registry\?; expected one in HKEY_USERS..DEFAULT, HKEY_LOCAL_MACHINE.SAM",
        ),
        (["show", "oci:img:t", "Acme"], UsageError, "a key that is in no hive of a layer"),
        (["show", "oci:img:t", "HKCU\\Software"], UsageError, "of the user who runs"),
        (["show", "oci:img:t", "HKLM\\HARDWARE"], UsageError, "volatile"),
        (["show", "oci:img:t", "HKLM\\SAM"], NotFoundError, "no layer has this hive"),
        (["show", "oci:img:t", "HKLM\\SOFTWARE\\Nothing"], NotFoundError, "no such key"),
        (["show", "oci:img:t", "HKLM\\SOFTWARE", "-l", "base"], UsageError, "-l is for"),
        (["show", "SOFTWARE", "-l", "base"], UsageError, "-l is for"),
        (["show", "upper", "HKLM\\SOFTWARE"], UsageError, "without those below it"),
        (["show", "upper.tar", "HKLM\\SOFTWARE"], LayerError, "give its parents with -l"),
        (["check", "oci:img:t"], UsageError, "an image or layer, where one hive must be"),
        (["merge", "base", "SOFTWARE", "-o", "x"], UsageError, "an image or layer, where one hive must be"),
        (["import", "base", "x.reg", "-o", "x"], UsageError, "an image or layer, where one hive must be"),
        (["diff", "base", "SOFTWARE"], UsageError, "a hive and a whole image"),
    ],
)
def test_places_that_are_none(here: Path, arguments: list[str], error: type[WclayerError], message: str) -> None:
    with pytest.raises(error, match=message):
        run(*arguments)
    assert not (here / "x").exists()


def test_a_link_is_no_hive(here: Path) -> None:
    (here / "base" / "Files" / "link").symlink_to("NTUSER.DAT")
    with pytest.raises(UsageError, match="a link, where a hive must be"):
        run("show", "base//Files/link")


def test_two_slashes_before_a_layer_and_after_it(here: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    for place in (f"{here}//base", f"{here}//base.tar", ".//.//base", f"{here}//base.tar///"):
        assert run("get", f"{place}//{CONFIG}/SOFTWARE", "Acme", "Version") == 0
        assert capsysbinary.readouterr().out == b"1.0\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["diff", "-", "-"], "stdin, for more than one file"),
        (["merge", "-", "-", "-o", "x"], "stdin, for more than one file"),
        (["recover", "-", "-", "-o", "x"], "stdin, for more than one file"),
        (["import", "-", "-", "-o", "x", "--prefix", "HKLM\\X"], "both from stdin"),
    ],
)
def test_stdin_is_read_once(here: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(SOFTWARE)))
    with pytest.raises(UsageError, match=message):
        run(*arguments)
    assert not (here / "x").exists()


def test_a_terminal_is_no_input(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stdin = io.TextIOWrapper(io.BytesIO())
    monkeypatch.setattr(stdin, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stdin", stdin)
    with pytest.raises(UsageError, match="no hive to read: stdin is a terminal -- give its name, or use a pipe"):
        run("show", "-")
    with pytest.raises(UsageError, match=r"no .reg file to read: stdin is a terminal -- give its name, or through a"):
        run("import", "SOFTWARE", "-", "-o", "x")


# --- dirty and broken hives ---------------------------------------------------------

AFTER = write_hive(Hive(Key("ROOT", (), (replace(ACME, values=(dword("Level", 43), *VALUES[3:])),), TIME), TIME))
DIRTY = dirty(SOFTWARE, 3, 2)
LOG = log(DIRTY, changes(SOFTWARE, AFTER, 2))


def test_a_dirty_hive_says_what_to_do(here: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    (here / "dirty").write_bytes(DIRTY)
    with pytest.raises(HiveError, match=r"^dirty: a hive that was not wholly written.* wclayer hive recover"):
        run("get", "dirty", "Acme", "Level")
    assert run("get", "--accept-dirty", "dirty", "Acme", "Level") == 0
    assert capsysbinary.readouterr().out == b"42\n"


def test_recover(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "dirty").write_bytes(DIRTY)
    (here / "dirty.LOG1").write_bytes(LOG)
    (here / "dirty.LOG2").write_bytes(bytes(512))
    assert run("recover", "dirty", "dirty.LOG1", "dirty.LOG2", "-o", "whole") == 0
    assert "recovered dirty: entries: 1 of dirty.LOG1, 0 of dirty.LOG2" in capsys.readouterr().out
    assert acme(here / "whole").values[0] == dword("Level", 43)
    assert run("check", "-q", "whole") == 0
    assert run("recover", "--json", "dirty", "dirty.LOG1", "-o", "again") == 0
    assert json.loads(capsys.readouterr().out)["applied"] == {"dirty.LOG1": 1}
    with pytest.raises(AlreadyExistsError):
        run("recover", "dirty", "dirty.LOG1", "-o", "whole")
    with pytest.raises(UsageError, match="more than two logs"):
        run("recover", "dirty", "a", "b", "c", "-o", "x")
    (here / "dirty.LOG1").write_bytes(b"no log at all")
    with pytest.raises(HiveError, match=r"^dirty: "):
        run("recover", "dirty", "dirty.LOG1", "-o", "x")
    assert not list(here.glob("x*"))


def test_what_recovering_does_not_heal_is_said(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A clean hive is as Windows left it, whatever else is wrong; a broken one is not passed off as whole."""
    (here / "bad").write_bytes(SOFTWARE[:5000])
    assert run("recover", "bad", "SOFTWARE", "-o", "x") == 1
    out, err = capsys.readouterr()
    assert "recovered bad" in out
    assert "Windows refuses the hive all the same, or drops a part of it: a hive cut off" in err
    (here / "bad").write_bytes(b"")
    with pytest.raises(HiveError):
        run("recover", "bad", "SOFTWARE", "-o", "y")
    assert not list(here.glob("y*"))


def test_a_dirty_hive_in_layers_has_its_logs_there(here: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    software = here / "base" / CONFIG / "SOFTWARE"
    software.write_bytes(DIRTY)
    with pytest.raises(HiveError, match="not wholly written"):
        run("get", "base", "HKLM\\SOFTWARE\\Acme", "Level")
    for options, number in (([], b"43\n"), (["--accept-dirty"], b"42\n")):
        software.with_suffix(".LOG1").write_bytes(LOG)
        assert run("get", *options, "base", "HKLM\\SOFTWARE\\Acme", "Level") == 0
        assert capsysbinary.readouterr().out == number
    software.with_suffix(".LOG1").unlink()
    assert run("get", "--accept-dirty", "base", "HKLM\\SOFTWARE\\Acme", "Level") == 0


@pytest.mark.parametrize("data", [b"", b"regf", b"no hive at all", SOFTWARE[:5000], MINIMAL[:4096] + bytes(4096)])
def test_what_is_no_hive(here: Path, data: bytes) -> None:
    (here / "bad").write_bytes(data)
    (here / "x.reg").write_bytes(reg())
    for command in (
        ["show", "bad"],
        ["get", "bad", "Acme"],
        ["export", "bad", "--prefix", "HKLM\\X", "-o", "x"],
        ["import", "bad", "x.reg", "--prefix", "HKLM\\X", "-o", "x"],
        ["import", "bad", "x.reg", "--prefix", "HKLM\\X", "--in-place"],
        ["diff", "SOFTWARE", "bad"],
        ["diff", "--reg", "SOFTWARE", "bad", "-o", "x"],
        ["merge", "SOFTWARE", "bad", "-o", "x"],
        ["merge", "bad", "Software_Delta", "-o", "x"],
    ):
        with pytest.raises(HiveError) as caught:
            run(*command)
        assert caught.value.path == "bad"
    assert run("check", "-q", "bad") == 1
    assert sorted(path.name for path in here.glob("x*")) == ["x.reg"]
    assert (here / "bad").read_bytes() == data


# --- get --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("version", b"1.0\n"),
        ("", b"the default\n"),
        ("Level", b"42\n"),
        ("Blob", b"010203\n"),
        ("List", b"one\ntwo\n"),
        ("Path", b"%A%\n"),
        ("Big", b"1099511627776\n"),
        ("Swapped", b"256\n"),
        ("Unending", b"no NUL\n"),
        ("Own", b"ff\n"),
    ],
)
def test_get_for_scripts(here: Path, capsysbinary: pytest.CaptureFixture[bytes], name: str, text: bytes) -> None:
    assert run("get", "SOFTWARE", "Acme", *([name] if name else [])) == 0
    assert capsysbinary.readouterr().out == text
    value = acme(here / "SOFTWARE").value(name)
    assert value is not None
    assert run("get", "--raw", "SOFTWARE", "Acme", name) == 0
    assert capsysbinary.readouterr().out == value.data
    assert run("get", "--json", "SOFTWARE", "Acme", name) == 0
    found = json.loads(capsysbinary.readouterr().out)
    assert (found["path"], found["name"], found["type"], found["data"]) == (
        "Acme",
        value.name,
        value.type,
        value.data.hex(),
    )


def test_get_on_a_terminal(here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "hive").write_bytes(write_hive(Hive(Key("ROOT", (sz("a", "x\x1b[2Jy\nz"),), (), TIME), TIME)))
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert run("get", "hive", "\\", "a") == 0
    assert capsys.readouterr().out == "x\\x1b[2Jy\nz\n"
    for command in (["get", "--raw", "hive", "", "a"], ["export", "SOFTWARE"], ["new", "-"]):
        with pytest.raises(UsageError, match="not written to a terminal"):
            run(*command)


def test_get_what_is_not_there_or_not_what_it_says(here: Path) -> None:
    with pytest.raises(NotFoundError, match=r"^SOFTWARE Acme: the key has no such value; got nothing"):
        run("get", "SOFTWARE", "Acme", "nothing")
    with pytest.raises(NotFoundError, match=r"got \(default\)"):
        run("get", "SOFTWARE", "Acme\\empty")
    for name in ("Odd", "Half"):
        with pytest.raises(InexpressibleError, match="--raw gives them as they are"):
            run("get", "SOFTWARE", "Acme", name)
    with pytest.raises(UsageError, match="--raw and --json"):
        run("get", "--raw", "--json", "SOFTWARE", "Acme")


# --- check ------------------------------------------------------------------------


def test_check(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("check", "SOFTWARE") == 0
    assert capsys.readouterr().out == "SOFTWARE: Windows loads all of it\n"
    assert run("check", "Software_Delta") == 0
    assert capsys.readouterr().out == "Software_Delta: a differencing hive, Windows loads all of it\n"
    broken = Broken(write_hive(small()))
    broken.put("I", broken.key("beta") + 16, 0x78)
    (here / "bad").write_bytes(broken)
    assert run("check", "bad") == 1
    out = capsys.readouterr().out
    assert out.startswith("error: ")
    assert out.splitlines()[-1].startswith("bad: broken: Windows refuses it, or drops a part of it; 1 error")
    assert run("check", "--json", "bad") == 1
    found = json.loads(capsys.readouterr().out)
    assert (found["state"], found["differencing"]) == ("broken", False)
    assert {"severity", "offset", "message", "expected", "got", "path"} == set(found["findings"][0])
    (here / "dirty").write_bytes(DIRTY)
    assert run("check", "dirty") == 1
    assert "wclayer hive recover" in capsys.readouterr().out


# --- export -----------------------------------------------------------------------


def test_export_and_import_give_the_same(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("export", "SOFTWARE", "-o", "all.reg") == 0
    assert capsys.readouterr().out.startswith("exported SOFTWARE: 4 keys, ")
    data = (here / "all.reg").read_bytes()
    assert data.startswith(b"\xff\xfe")
    text = data[2:].decode("utf-16-le")
    assert '\r\n\r\n[HKEY_LOCAL_MACHINE\\SOFTWARE\\Acme]\r\n"Version"="1.0"\r\n' in text
    (here / "fresh").write_bytes(MINIMAL)
    assert run("import", "fresh", "all.reg", "--prefix", "HKLM\\SOFTWARE", "-o", "made") == 0
    assert acme(here / "made").values == VALUES
    assert [sub.name for sub in acme(here / "made").subkeys] == ["empty", "Settings"]
    assert run("export", "--json", "SOFTWARE", "Acme\\Settings", "-o", "part.reg") == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert found == {"keys": 1, "size": (here / "part.reg").stat().st_size, "left_out": []}


def test_export_to_stdout(here: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    assert run("export", "--utf8", "SOFTWARE", "Acme\\Settings") == 0
    out, err = capsysbinary.readouterr()
    assert out == reg("[HKEY_LOCAL_MACHINE\\SOFTWARE\\Acme\\Settings]", '"a"="b"')
    assert err.startswith(b"exported SOFTWARE Acme\\Settings: 1 key, ")
    with pytest.raises(UsageError, match="--json, while"):
        run("export", "--json", "SOFTWARE")


@pytest.mark.parametrize(
    ("place", "options", "path"),
    [
        ("other.hiv", ["--prefix", "hklm\\Loaded\\"], "HKEY_LOCAL_MACHINE\\Loaded"),
        ("base//Files/NTUSER.DAT", [], "HKEY_CURRENT_USER"),
        ("base//Files/NTUSER.DAT", ["--prefix", "HKU\\S-1-5-21"], "HKEY_USERS\\S-1-5-21"),
        ("upper//Hives/Software_Delta", [], "HKEY_LOCAL_MACHINE\\SOFTWARE"),
        ("oci:img:t", ["HKU\\.DEFAULT"], None),
        ("oci:img:t", ["HKLM\\SOFTWARE\\New"], "HKEY_LOCAL_MACHINE\\SOFTWARE\\New"),
        ("oci:img:t", ["HKLM\\SYSTEM\\CurrentControlSet"], "HKEY_LOCAL_MACHINE\\SYSTEM\\ControlSet002"),
    ],
)
def test_export_under_the_path_of_the_registry(
    here: Path, capsysbinary: pytest.CaptureFixture[bytes], place: str, options: list[str], path: str | None
) -> None:
    if path is None:
        with pytest.raises(NotFoundError):
            run("export", "--utf8", place, *options)
        return
    assert run("export", "--utf8", place, *options) == 0
    assert capsysbinary.readouterr().out.decode().splitlines()[2] == f"[{path}]"


def test_export_what_has_no_place_in_a_reg_file(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    keys = (Key("bad\nname", (), (Key("below", (), (), TIME),), TIME), Key("good", (sz("bad\0", "x"),), (), TIME))
    (here / "SOFTWARE").write_bytes(write_hive(Hive(Key("ROOT", (), keys, TIME), TIME)))
    with pytest.raises(InexpressibleError, match=r"bad\\x0aname"):
        run("export", "SOFTWARE", "-o", "x.reg")
    with pytest.raises(UsageError, match=r"is not known -- .*--prefix"):
        run("export", "other.hiv", "-o", "x.reg")
    with pytest.raises(UsageError, match="--prefix; expected HKEY_LOCAL_MACHINE"):
        run("export", "other.hiv", "--prefix", "SOFTWARE", "-o", "x.reg")
    assert not list(here.glob("x*"))
    assert run("export", "SOFTWARE", "--drop", "names", "-o", "x.reg") == 0
    assert capsys.readouterr().err.splitlines() == [
        "warning: left out, as no .reg file can name it: HKEY_LOCAL_MACHINE\\SOFTWARE\\bad\\x0aname",
        "warning: left out, as no .reg file can name it: HKEY_LOCAL_MACHINE\\SOFTWARE\\good\\\\bad\\x00",
    ]
    with pytest.raises(AlreadyExistsError):
        run("export", "SOFTWARE", "Acme", "-o", "x.reg")
    assert run("export", "SOFTWARE", "good", "--force", "--drop", "names", "-o", "x.reg") == 0
    assert "good" in (here / "x.reg").read_bytes().decode("utf-16")


def test_no_line_of_a_reg_file_comes_from_a_name(here: Path) -> None:
    """Also that of a key above the one that is exported, or that is asked for."""
    evil = "a]\n[HKEY_LOCAL_MACHINE\\SOFTWARE"
    above = Key(evil.partition("\\")[0], (), (Key("b", (sz("c", "d"),), (), TIME),), TIME)
    (here / "SOFTWARE").write_bytes(write_hive(Hive(Key("ROOT", (), (above,), TIME), TIME)))
    for command in (
        ["export", "SOFTWARE", f"{above.name}\\b", "-o", "x.reg"],
        ["export", "SOFTWARE", f"{above.name}\\b", "--drop", "names", "-o", "x.reg"],
        ["export", "other.hiv", "--prefix", f"HKLM\\{above.name}", "-o", "x.reg"],
        ["diff", "--reg", "SOFTWARE", "other.hiv", f"{above.name}\\b", "-o", "x.reg"],
    ):
        with pytest.raises(InexpressibleError, match=r"a\]\\x0a\[.*: the name has no place in a .reg file"):
            run(*command)
    assert not list(here.glob("x*"))


# --- import -----------------------------------------------------------------------


def test_import(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = (
        "[HKLM\\SOFTWARE\\Acme]",
        '"version"="9"',
        '"Blob"=-',
        '"nothing"=-',
        "[-HKEY_LOCAL_MACHINE\\Software\\Acme\\Settings]",
        "[-HKLM\\SOFTWARE\\Acme\\Nothing]",
        "[HKCR\\.acme]",
    )
    (here / "x.reg").write_bytes(reg(*lines))
    os.utime(here / "x.reg", (1_600_000_000, 1_600_000_000))
    assert run("import", "-v", "SOFTWARE", "x.reg", "-o", "changed") == 0
    assert capsys.readouterr().out.splitlines() == [
        "not there to be deleted: Acme\\Nothing",
        "not there to be deleted: Acme\\\\nothing",
        "imported x.reg into SOFTWARE, as changed; 2 deletions of what is not there",
    ]
    hive = read_hive((here / "changed").read_bytes())
    found = acme(here / "changed")
    assert (found.values[0], [sub.name for sub in found.subkeys]) == (sz("Version", "9"), ["empty"])
    assert found.value("Blob") is None
    assert hive.root.find("Classes\\.acme") is not None
    assert hive.last_written == found.last_written == (1_600_000_000 + 11_644_473_600) * 10_000_000
    assert (here / "SOFTWARE").read_bytes() == SOFTWARE
    assert run("check", "-q", "changed") == 0


def test_import_gives_the_time_that_is_wanted(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "x.reg").write_bytes(text := reg("[HKLM\\SOFTWARE\\New]"))
    assert run("import", "SOFTWARE", "x.reg", "-o", "a", "--source-date-epoch", "1") == 0
    assert read_hive((here / "a").read_bytes()).last_written == 116_444_736_010_000_000
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text)))
    assert run("import", "SOFTWARE", "-", "-o", "b") == 0
    assert read_hive((here / "b").read_bytes()).last_written == TIME
    with pytest.raises(UsageError, match="SOURCE_DATE_EPOCH"):
        run("import", "SOFTWARE", "x.reg", "-o", "c", "--source-date-epoch", "now")


def test_import_in_place(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "x.reg").write_bytes(reg("[HKLM\\SOFTWARE\\Acme]", '"Level"=dword:7'))
    os.chmod(here / "SOFTWARE", 0o604)
    (here / "link").mkdir()
    (here / "link" / "SOFTWARE").symlink_to("../SOFTWARE")
    assert run("import", "--json", "--in-place", "link/SOFTWARE", "x.reg") == 0
    assert json.loads(capsys.readouterr().out) == {"changed": True, "not_there": {"keys": [], "values": []}}
    assert acme(here / "SOFTWARE").value("Level") == dword("Level", 7)
    assert (here / "link" / "SOFTWARE").is_symlink()
    found = (here / "SOFTWARE").stat()
    assert stat.S_IMODE(found.st_mode) == 0o604
    assert run("import", "--in-place", "SOFTWARE", "x.reg") == 0
    assert capsys.readouterr().out == "nothing to change: x.reg into SOFTWARE\n"
    assert (here / "SOFTWARE").stat().st_mtime_ns == found.st_mtime_ns


def test_import_into_the_current_control_set(here: Path) -> None:
    (here / "x.reg").write_bytes(reg("[HKLM\\SYSTEM\\CurrentControlSet\\Services\\x]"))
    for place, name in (("SYSTEM", "a"), (f"base//{CONFIG}/system", "b")):
        assert run("import", place, "x.reg", "-o", name) == 0
        assert read_hive((here / name).read_bytes()).root.find("ControlSet002\\Services\\x") is not None
    (here / "SYSTEM").write_bytes(MINIMAL)
    with pytest.raises(SpecError, match=r"^x.reg: line 3: no CurrentControlSet"):
        run("import", "SYSTEM", "x.reg", "-o", "c")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[HKLM\\SYSTEM\\Acme]", "line 3: a key of another hive; expected HKEY_LOCAL_MACHINE.SOFTWARE; got HKLM.SYS"),
        ("[HKCU\\Software]", "line 3: a key that is in no hive of a layer"),
        ("[-HKLM\\SOFTWARE]", "line 3: a root of the registry or a hive cannot be deleted"),
        ('[HKLM\\SOFTWARE\\A]\n"a"=?', "line 4: data that is none"),
        ("\0", "line 3: a NUL"),
    ],
)
def test_import_of_what_does_not_fit(here: Path, text: str, message: str) -> None:
    (here / "x.reg").write_bytes(reg(text))
    for target in (["-o", "out"], ["--in-place"]):
        with pytest.raises(SpecError, match=message):
            run("import", "SOFTWARE", "x.reg", *target)
    assert not list(here.glob("out*"))
    assert (here / "SOFTWARE").read_bytes() == SOFTWARE


def test_import_is_refused(here: Path) -> None:
    (here / "x.reg").write_bytes(reg("[HKLM\\SOFTWARE\\A]"))
    for arguments in (["SOFTWARE", "x.reg"], ["SOFTWARE", "x.reg", "-o", "x", "--in-place"]):
        with pytest.raises(UsageError, match="where to the changed hive"):
            run("import", *arguments)
    with pytest.raises(UsageError, match="--in-place is for"):
        run("import", f"base//{CONFIG}/SOFTWARE", "x.reg", "--in-place")
    with pytest.raises(UsageError, match=r"not known -- .*--prefix"):
        run("import", "other.hiv", "x.reg", "-o", "x")
    with pytest.raises(InexpressibleError, match=r"^Software_Delta: a differencing hive"):
        run("import", "Software_Delta", "x.reg", "-o", "x")
    with pytest.raises(NotFoundError, match=r"^nowhere.reg: no such file"):
        run("import", "SOFTWARE", "nowhere.reg", "-o", "x")
    with pytest.raises(AlreadyExistsError):
        run("import", "SOFTWARE", "x.reg", "-o", "other.hiv")
    assert (here / "other.hiv").read_bytes() == MINIMAL
    with pytest.raises(UsageError, match="--json, while"):
        run("import", "--json", "SOFTWARE", "x.reg", "-o", "-")
    assert sorted(path.name for path in here.glob("x*")) == ["x.reg"]
    # What is loaded somewhere else may have any of its paths.
    (here / "y.reg").write_bytes(reg("[HKEY_LOCAL_MACHINE\\loaded\\A]"))
    assert run("import", "other.hiv", "y.reg", "--prefix", "HKLM\\Loaded", "-o", "x") == 0
    with pytest.raises(SpecError, match="a key of another hive"):
        run("import", "other.hiv", "y.reg", "--prefix", "HKLM\\Loaded\\A\\B", "-o", "z")


# --- new --------------------------------------------------------------------------


def test_new(here: Path, monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    assert run("new", "a") == 0
    assert (here / "a").read_bytes() == minimal_hive(116444736000000000)
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    assert run("new", "--version", "1.3", "--root-name", "NewStoreRoot", "b") == 0
    assert (here / "b").read_bytes() == minimal_hive(TIME, root_name="NewStoreRoot", minor=3)
    assert run("new", "--version", "1.6", "c") == 0
    assert read_hive((here / "c").read_bytes()).differencing
    capsysbinary.readouterr()
    assert run("new", "-") == 0
    assert capsysbinary.readouterr().out == minimal_hive(TIME)
    with pytest.raises(AlreadyExistsError):
        run("new", "a")
    assert run("new", "--force", "--json", "a") == 0
    assert json.loads(capsysbinary.readouterr().out) == {"size": 8192, "warnings": []}
    for name in ("", "x" * 256):
        with pytest.raises(InexpressibleError):
            run("new", "--root-name", name, "d")
    assert not (here / "d").exists()


# --- diff -------------------------------------------------------------------------

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
    assert lines == [f"{text}\\", *(f"{text}k{n:02}" for n in range(9)), "warning: and 3 more"]
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


# --- merge ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("base", "delta"), [("SOFTWARE", "Software_Delta"), (f"base.tar//{CONFIG}/SOFTWARE", "upper//Hives/software_DELTA")]
)
def test_merge(here: Path, capsys: pytest.CaptureFixture[str], base: str, delta: str) -> None:
    assert run("merge", base, delta, "-o", "merged") == 0
    assert capsys.readouterr().out.startswith(f"merged {base} and 1 above it: ")
    hive = read_hive((here / "merged").read_bytes())
    assert not hive.differencing
    assert acme(here / "merged").value("version") == sz("Version", "2.0")
    assert acme(here / "merged").value("Blob") is None
    assert run("check", "-q", "merged") == 0


def test_merge_says_what_does_not_fit(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("merge", "other.hiv", "Software_Delta", "SYSTEM", "-o", "merged") == 0
    assert capsys.readouterr().err.splitlines() == [
        "warning: Software_Delta: 1 key changes what the base does not have: Acme",
        "warning: SYSTEM: an ordinary hive; all its keys were merged",
    ]
    with pytest.raises(HiveError, match="give the base layer's hive first"):
        run("merge", "Software_Delta", "SOFTWARE", "-o", "x")
    with pytest.raises(UsageError, match="--differencing, with an ordinary hive"):
        run("merge", "--differencing", "SOFTWARE", "Software_Delta", "-o", "x")
    with pytest.raises(AlreadyExistsError):
        run("merge", "SOFTWARE", "Software_Delta", "-o", "SOFTWARE")
    assert (here / "SOFTWARE").read_bytes() == SOFTWARE
    assert not (here / "x").exists()


def test_merge_of_differencing_hives(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    later = Key("Acme", (sz("Version", "3.0"),), (), TIME, layer=INHERIT)
    (here / "later").write_bytes(write_hive(Hive(Key("ROOT", (), (later,), TIME), TIME, 6)))
    assert run("merge", "--differencing", "Software_Delta", "later", "-o", "both") == 0
    assert read_hive((here / "both").read_bytes()).differencing
    assert run("merge", "SOFTWARE", "both", "-o", "one") == 0
    assert run("merge", "SOFTWARE", "Software_Delta", "later", "-o", "two") == 0
    assert run("diff", "--times", "one", "two") == 0
    assert acme(here / "one").value("Version") == sz("Version", "3.0")


# --- the whole program --------------------------------------------------------------


def test_through_pipes(here: Path) -> None:
    command = [sys.executable, "-m", "wclayer", "hive"]
    made = subprocess.run([*command, "new", "-"], capture_output=True, check=True)
    assert made.stdout == minimal_hive(116444736000000000)
    shown = subprocess.run([*command, "check", "-"], input=made.stdout, capture_output=True, check=True)
    assert shown.stdout == b"-: Windows loads all of it\n"
    bad = subprocess.run([*command, "show", "-"], input=b"x", capture_output=True, check=False)
    assert (bad.returncode, bad.stderr.count(b"\n")) == (10, 1)
    early = subprocess.run(
        ["sh", "-c", f"{' '.join(command)} show -r SOFTWARE | head -c 1"], capture_output=True, check=False
    )
    assert early.stderr == b""


@pytest.mark.parametrize("encoding", ["cp1252", "latin-1", "utf-8"])
def test_names_that_a_pipe_has_no_letters_for(here: Path, encoding: str) -> None:
    """As stdout is on Windows, where it is no terminal."""
    (here / "hive").write_bytes(write_hive(Hive(Key("ROOT", (sz("ä世", "界"),), (), TIME), TIME)))
    command = [sys.executable, "-m", "wclayer", "hive"]
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    for rest, text in ((["show", "hive"], '\\\n  ä世  REG_SZ  "界"\n'), (["diff", "hive", "other.hiv"], "")):
        done = subprocess.run([*command, *rest], capture_output=True, check=False, env=environment)
        assert (done.returncode, done.stderr) == (int(rest[0] == "diff"), b"")
        out = done.stdout.replace(b"\r\n", b"\n")
        assert out.startswith(text.encode(encoding, "backslashreplace"))
        assert "ä世".encode(encoding, "backslashreplace") in out
    done = subprocess.run([*command, "get", "hive", "", "ä世"], capture_output=True, check=True, env=environment)
    assert done.stdout == "界\n".encode()


@pytest.mark.skipif(os.name == "nt", reason="a shell of POSIX")
@pytest.mark.parametrize(
    "command",
    ["show -r -v hive", "show --json -r hive", "export --prefix HKLM hive", "diff hive other.hiv", "get hive k v"],
)
def test_a_reader_that_goes_away(here: Path, command: str) -> None:
    keys = tuple(Key(f"k{n:05}", (sz("v", "x" * 100),), (), TIME) for n in range(3000))
    keys += (Key("k", (sz("v", "x" * 300_000),), (), TIME),)
    (here / "hive").write_bytes(write_hive(Hive(Key("ROOT", (), keys, TIME), TIME)))
    line = f"{{ {sys.executable} -m wclayer hive {command}; echo $? >&2; }} | head -c 1"
    for unbuffered in ("", "1"):
        environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
        done = subprocess.run(["sh", "-c", line], capture_output=True, check=False, env=environment)
        assert done.stderr == b"141\n"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a device of Linux")
@pytest.mark.parametrize(
    "command", ["show SOFTWARE", "new -", "export SOFTWARE", "get SOFTWARE Acme Level", "new --force x"]
)
def test_an_output_that_is_full(here: Path, command: str) -> None:
    arguments = [sys.executable, "-m", "wclayer", "hive", *command.split()]
    for unbuffered in ("", "1"):
        environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
        with open("/dev/full", "wb") as full:
            done = subprocess.run(arguments, stdout=full, stderr=subprocess.PIPE, check=False, env=environment)
        assert done.returncode == 15
        assert done.stderr.startswith(b"wclayer: stdout: No space left on device -- make room")
        assert done.stderr.count(b"\n") == 1


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["diff", "SOFTWARE", "SOFTWARE"], 0),
        (["diff", "SOFTWARE", "other.hiv"], 1),
        (["check", "SOFTWARE"], 0),
        (["check", "base.tar//Files/Windows/System32/config/SOFTWARE"], 0),
        (["show", "SOFTWARE", "HKLM\\x"], 2),
        (["show"], 2),
        (["show", "nowhere"], 12),
        (["get", "SOFTWARE", "Acme", "nothing"], 12),
        (["get", "SOFTWARE", "Acme", "Odd"], 18),
        (["import", "SOFTWARE", "SOFTWARE", "-o", "x"], 10),
        (["merge", "Software_Delta", "SOFTWARE", "-o", "x"], 10),
        (["new", "SOFTWARE"], 13),
    ],
)
def test_exit_codes(here: Path, arguments: list[str], code: int) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["hive", *arguments])
    assert (caught.value.code or 0) == code


@pytest.mark.skipif(os.name == "nt", reason="a shell of POSIX")
def test_import_of_all_that_comes_through_a_pipe(here: Path) -> None:
    keys = "".join(f"[HKEY_LOCAL_MACHINE\\SOFTWARE\\K{number:06}]\n" for number in range(5000))
    text = f"Windows Registry Editor Version 5.00\n{keys}".encode()
    command = [sys.executable, "-m", "wclayer", "hive", "import", "fresh/SOFTWARE", "-", "-o", "piped"]
    (here / "fresh").mkdir()
    (here / "fresh" / "SOFTWARE").write_bytes(minimal_hive(TIME))
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as process:
        assert process.stdin is not None
        for at in range(0, len(text), 30_000):
            process.stdin.write(text[at : at + 30_000])
            process.stdin.flush()
        process.stdin.close()
    assert process.returncode == 0
    assert len(read_hive((here / "piped").read_bytes()).root.subkeys) == 5000
