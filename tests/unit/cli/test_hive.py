"""wclayer hive, as its users meet it: in files, layers and images."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.images import layout
from tests.tars import M, build, directory
from tests.unit.regf.logs import changes, dirty, log
from tests.unit.regf.samples import OTHER_SECURITY, TIME, Broken
from wclayer.cli.main import cli
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
from wclayer.regf.model import Hive, Key, Value, dword, multi_sz, qword, sz
from wclayer.regf.reader import read_hive
from wclayer.regf.writer import write_hive

CONFIG = "Files/Windows/System32/config"
HOSTILE = "a\x1b[31m\n\u202eb"
SOFTWARE = Hive(
    Key(
        "ROOT",
        (),
        (
            Key(
                "Acme",
                (
                    sz("", "the default"),
                    sz("Version", "1.0"),
                    dword("Level", 42),
                    qword("Big", 1 << 40),
                    multi_sz("List", ["one", "two"]),
                    Value("Blob", 3, bytes(range(100))),
                    Value("Odd", 0x1234, b"x"),
                    Value("Broken", 4, b"abc"),
                ),
                (Key("Settings", (dword("x", 1),), (), TIME, OTHER_SECURITY, b"c\0"),),
                TIME,
            ),
            Key(HOSTILE, (sz(HOSTILE, HOSTILE),), (), TIME),
        ),
        TIME,
    ),
    TIME,
)
SYSTEM = Hive(
    Key("R", (), (Key("Select", (dword("Current", 2),)), Key("ControlSet002", (), (Key("Services"),))), TIME), TIME
)
DELTA = Hive(
    Key("ROOT", (), (Key("Acme", (sz("Version", "2.0"), Value("Level", 0, tombstone=True)), layer=0x80),), TIME),
    TIME,
    6,
)


def tar(files: dict[str, bytes]) -> bytes:
    above = {"/".join(path.split("/")[:end]) for path in files for end in range(1, path.count("/") + 1)}
    return build([*map(directory, sorted(above | {"Files"})), *(M(path, data) for path, data in files.items())])


BASE = tar({f"{CONFIG}/SOFTWARE": write_hive(SOFTWARE), f"{CONFIG}/SYSTEM": write_hive(SYSTEM)})
TOP = tar({"Hives/Software_Delta": write_hive(DELTA)})


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with hives, a layer tar, a layer folder and an image of two layers."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    (tmp_path / "SOFTWARE").write_bytes(write_hive(SOFTWARE))
    (tmp_path / "SYSTEM").write_bytes(write_hive(SYSTEM))
    (tmp_path / "Software_Delta").write_bytes(write_hive(DELTA))
    (tmp_path / "base.tar").write_bytes(BASE)
    (tmp_path / "top.tar").write_bytes(TOP)
    layout(tmp_path / "img", [BASE, TOP], tag="t")
    return tmp_path


def run(*arguments: str) -> int:
    return int(cli.main(["hive", *arguments], prog_name="wclayer", standalone_mode=False) or 0)


def out(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    run(*arguments)
    return capsys.readouterr().out


def reg(path: Path, *lines: str) -> None:
    path.write_text("\n".join(("Windows Registry Editor Version 5.00", "", *lines, "")), encoding="utf-8")


# --- show, get ------------------------------------------------------------------------


def test_show(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = out(capsys, "show", "SOFTWARE", "acme").splitlines()
    assert lines[0] == "Acme\\"
    rows = [line.split(None, 2) for line in lines[1:-1]]
    assert rows[:5] == [
        ["(default)", "REG_SZ", '"the default"'],
        ["Version", "REG_SZ", '"1.0"'],
        ["Level", "REG_DWORD", "0x0000002a (42)"],
        ["Big", "REG_QWORD", "0x0000010000000000 (1099511627776)"],
        ["List", "REG_MULTI_SZ", '["one", "two"]'],
    ]
    assert rows[5][2].startswith("00 01 02")
    assert rows[5][2].endswith("... (100 bytes)")
    assert (rows[6][1], rows[7][2]) == ("0x1234", "61 62 63")
    assert lines[-1].strip() == "Settings\\"
    whole = out(capsys, "show", "-v", "-r", "SOFTWARE", "Acme")
    assert "61 62 63" in whole
    assert bytes(range(100)).hex(" ") in whole
    assert '    class "c"' in whole
    assert "O:SYG:SYD:(A;CI;KA;;;SY)" in whole


def test_names_write_to_no_terminal(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for command in (["show", "-r", "SOFTWARE"], ["show", "-v", "SOFTWARE", HOSTILE]):
        text = out(capsys, *command)
        assert not {"\x1b", "\u202e"} & set(text)
        assert "a\\x1b[31m\\x0a\\u202eb" in text
    found = json.loads(out(capsys, "show", "--json", "SOFTWARE", HOSTILE))
    assert found[0]["values"][0]["name"] == HOSTILE
    with pytest.raises(NotFoundError) as caught:
        run("show", "SOFTWARE", f"{HOSTILE}\\x")
    assert "\x1b" not in str(caught.value)


def test_show_in_json(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(out(capsys, "show", "-r", "--json", "SOFTWARE", "Acme"))
    assert [key["path"] for key in found] == ["Acme", "Acme\\Settings"]
    assert found[0]["values"][2] == {
        "name": "Level",
        "type": 4,
        "type_name": "REG_DWORD",
        "content": 42,
        "data": "2a000000",
    }
    assert found[1]["class"] == "c"


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("Version", "1.0\n"),
        ("", "the default\n"),
        ("level", "42\n"),
        ("List", "one\ntwo\n"),
        ("Blob", bytes(range(100)).hex() + "\n"),
    ],
)
def test_get(here: Path, name: str, wanted: str) -> None:
    command = [sys.executable, "-m", "wclayer", "hive", "get", "SOFTWARE", "Acme", *([name] if name else [])]
    assert subprocess.run(command, capture_output=True, check=True).stdout == wanted.encode()


def test_get_raw_and_json(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = [sys.executable, "-m", "wclayer", "hive", "get", "--raw", "SOFTWARE", "Acme", "Broken"]
    assert subprocess.run(command, capture_output=True, check=True).stdout == b"abc"
    assert json.loads(out(capsys, "get", "--json", "SOFTWARE", "Acme", "Odd"))["type"] == 0x1234
    with pytest.raises(InexpressibleError, match="no REG_DWORD"):
        run("get", "SOFTWARE", "Acme", "Broken")


# --- where hives are ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("place", "version"),
    [
        ("SOFTWARE", "1.0"),
        (f"base.tar//{CONFIG}/software", "1.0"),
        (f"oci:img:t//{CONFIG}/SOFTWARE", "1.0"),
        (f"oci:img:t#0//{CONFIG}/SOFTWARE", "1.0"),
        ("oci:img:t//Hives/software_delta", "2.0"),
        ("oci:img:t#1//Hives/Software_Delta", "2.0"),
        ("top.tar//Hives/Software_Delta", "2.0"),
    ],
)
def test_places_of_one_hive(here: Path, capsys: pytest.CaptureFixture[str], place: str, version: str) -> None:
    assert json.loads(out(capsys, "get", "--json", place, "Acme", "Version"))["content"] == version


def test_the_registry_of_a_whole_image(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for place in (["oci:img:t"], ["-l", "base.tar", "top.tar"]):
        found = json.loads(out(capsys, "show", "--json", *place, "hklm\\software\\ACME"))[0]
        assert found["path"] == "HKEY_LOCAL_MACHINE\\SOFTWARE\\Acme"
        values = {value["name"]: value["content"] for value in found["values"]}
        assert values["Version"] == "2.0"
        assert "Level" not in values
    assert json.loads(out(capsys, "get", "--json", "base.tar", "HKLM\\SOFTWARE\\Acme", "Version"))["content"] == "1.0"
    assert json.loads(out(capsys, "get", "--json", "oci:img:t#0", "HKLM\\SOFTWARE\\Acme", "Level"))["content"] == 42
    text = out(capsys, "show", "oci:img:t", "HKLM\\SYSTEM\\CurrentControlSet")
    assert text.splitlines()[0] == "HKEY_LOCAL_MACHINE\\SYSTEM\\ControlSet002\\"


def test_a_layer_folder(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(["import", "-q", "-i", "base.tar", "folder"], standalone_mode=False)
    cli.main(["import", "-q", "-l", "folder", "-i", "top.tar", "upper"], standalone_mode=False)
    for place in ([f"folder//{CONFIG}/SOFTWARE"], ["folder"]):
        key = "Acme" if "//" in place[0] else "HKLM\\SOFTWARE\\Acme"
        assert json.loads(out(capsys, "get", "--json", *place, key, "Version"))["content"] == "1.0"
    found = json.loads(out(capsys, "get", "--json", "-l", "folder", "upper", "HKLM\\SOFTWARE\\Acme", "Version"))
    assert found["content"] == "2.0"
    with pytest.raises(UsageError, match="a non-base layer without those below it"):
        run("show", "upper", "HKLM\\SOFTWARE")


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        (("show", "nothing"), NotFoundError, "nothing: no such file"),
        (("show", "SOFTWARE", "Acme\\No"), NotFoundError, "no such key; expected a subkey of Acme"),
        (("get", "SOFTWARE", "Acme", "No"), NotFoundError, "no such value"),
        (("show", "SOFTWARE", "HKLM\\SOFTWARE\\Acme"), UsageError, "a path of the registry, in a single hive"),
        (("show", "oci:img:t", "HKLM\\HARDWARE\\x"), UsageError, "volatile"),
        (("show", "oci:img:t", "HKCU\\x"), UsageError, "of the user who runs"),
        (("show", "oci:img:t", "Acme"), UsageError, "in no hive of a layer"),
        (("show", "oci:img:t", "HKLM\\SAM"), NotFoundError, "no layer has this hive"),
        (("show", f"oci:img:t//{CONFIG}/SAM"), NotFoundError, "no such file"),
        (("show", f"oci:img:t//{CONFIG}"), UsageError, "a folder, where a hive must be"),
        (("show", "oci:img:t//x"), UsageError, "no path of a hive in a layer"),
        (("check", "oci:img:t"), UsageError, "an image or layer, where one hive must be"),
        (("show", "top.tar", "HKLM\\SOFTWARE"), LayerError, "nothing below it.*give its parents with -l"),
        (("show", "base.tar", "HKLM\\SYSTEM\\No"), NotFoundError, "no such key"),
        (("show", "top.tar//Hives/x"), NotFoundError, "no such file"),
        (("get", "--raw", "--json", "SOFTWARE", "Acme"), UsageError, "--raw and --json"),
        (("diff", "SOFTWARE", "oci:img:t"), UsageError, "a hive and a whole image"),
        (("diff", "SOFTWARE", "SYSTEM", "No"), NotFoundError, "neither has this key"),
        (("diff", "--utf8", "SOFTWARE", "SYSTEM"), UsageError, "for --reg"),
        (("export", "--json", "SOFTWARE"), UsageError, "--json, while the .reg file"),
        (("import", "SOFTWARE", "x.reg"), UsageError, "where to the changed hive"),
        (("import", "SOFTWARE", "x.reg", "-o", "o"), NotFoundError, "x.reg: no such file"),
        (("import", "--in-place", f"base.tar//{CONFIG}/SOFTWARE", "x.reg"), UsageError, "a file of its own"),
        (("new", "SOFTWARE"), AlreadyExistsError, "SOFTWARE"),
        (("new", "o", "--root-name", ""), InexpressibleError, "the name of a key"),
        (("new", "o", "--source-date-epoch", "x"), UsageError, "SOURCE_DATE_EPOCH"),
        (("merge", "Software_Delta", "Software_Delta", "-o", "o"), HiveError, "a differencing hive as the base"),
        (("merge", "SOFTWARE", "base.tar", "-o", "o"), UsageError, "where one hive must be"),
        (("merge", "--differencing", "SOFTWARE", "Software_Delta", "-o", "o"), UsageError, "--differencing"),
        (("recover", "SOFTWARE", "a", "-o", "o"), NotFoundError, "a: no such file"),
        (("recover", "SOFTWARE", "a", "b", "c", "-o", "o"), UsageError, "more than two logs"),
    ],
)
def test_refused(here: Path, arguments: tuple[str, ...], error: type[WclayerError], words: str) -> None:
    before = sorted(os.listdir(here))
    with pytest.raises(error, match=words):
        run(*arguments)
    assert sorted(os.listdir(here)) == before


# --- check ----------------------------------------------------------------------------


def test_check(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("check", "SOFTWARE") == 0
    assert capsys.readouterr().out == "SOFTWARE: Windows loads all of it\n"
    assert run("check", "Software_Delta") == 0
    assert "a differencing hive, " in capsys.readouterr().out
    broken = Broken(write_hive(SOFTWARE))
    broken.put("I", broken.key("Settings") + 44, 0)
    broken.put("I", broken.key("Acme") + 52, 0)
    (here / "broken").write_bytes(broken)
    assert run("check", "broken") == 1
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("error: Acme\\Settings: a security descriptor in no cell of its own") for line in lines)
    assert any(line.startswith("warning: Acme: the largest subkey's name") for line in lines)
    assert lines[-1].startswith("broken: broken: Windows refuses it, or drops a part of it; ")
    assert run("check", "--json", "broken") == 1
    found = json.loads(capsys.readouterr().out)
    assert found["state"] == "broken"
    assert {finding["severity"] for finding in found["findings"]} == {"error", "warning"}
    (here / "empty").write_bytes(b"")
    assert run("check", "empty") == 1
    assert run("check", "-q", "empty") == 1


def test_a_dirty_hive(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before, after = write_hive(SYSTEM), write_hive(Hive(Key("R", (dword("new", 1),), (), TIME), TIME))
    unfinished = dirty(before, 3, 2)
    (here / "dirty").write_bytes(unfinished)
    (here / "dirty.LOG1").write_bytes(log(unfinished, changes(before, after, 2)))
    with pytest.raises(HiveError, match=r"not wholly written.*wclayer hive recover"):
        run("show", "dirty")
    assert run("check", "dirty") == 1
    assert "ControlSet002" in out(capsys, "show", "--accept-dirty", "dirty")
    run("recover", "dirty", "dirty.LOG1", "-o", "whole")
    assert "entries: 1 of dirty.LOG1" in capsys.readouterr().out
    assert read_hive((here / "whole").read_bytes()).root.values == (dword("new", 1),)
    found = json.loads(out(capsys, "recover", "--json", "--force", "dirty", "dirty.LOG1", "-o", "whole"))
    assert found["applied"] == {"dirty.LOG1": 1}
    (here / "bad.LOG1").write_bytes(b"x")
    with pytest.raises(HiveError):
        run("recover", "dirty", "bad.LOG1", "-o", "none")
    assert not (here / "none").exists()


# --- export, import -------------------------------------------------------------------


def test_export_and_import(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("export", "SOFTWARE", "Acme", "-o", "acme.reg")
    assert "2 keys" in capsys.readouterr().out
    text = (here / "acme.reg").read_bytes()
    assert text.startswith(b"\xff\xfe")
    assert "[HKEY_LOCAL_MACHINE\\SOFTWARE\\Acme\\Settings]\r\n" in text[2:].decode("utf-16-le")
    (here / "fresh").mkdir()
    run("new", "fresh/SOFTWARE")
    run("import", "fresh/SOFTWARE", "acme.reg", "-o", "copy")
    acme = read_hive((here / "copy").read_bytes()).root.subkey("Acme")
    assert acme is not None
    assert acme.values == SOFTWARE.root.subkeys[0].values
    assert "[HKEY_LOCAL_MACHINE\\Other\\Acme]\n" in out(
        capsys, "export", "--utf8", "--prefix", "HKLM\\Other", "copy", "Acme"
    )
    with pytest.raises(UsageError, match="registry path of this hive is not known"):
        run("export", "copy")
    text_of_image = out(capsys, "export", "--utf8", "oci:img:t", "HKLM\\SOFTWARE\\Acme")
    assert '"Version"="2.0"\n' in text_of_image
    assert "Level" not in text_of_image


def test_import_in_place(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    os.chmod(here / "SYSTEM", 0o640)
    reg(here / "a.reg", "[HKLM\\SYSTEM\\CurrentControlSet\\Services\\x]", '"y"=dword:1', "[-HKLM\\SYSTEM\\No]")
    run("import", "--in-place", "SYSTEM", "a.reg", "--source-date-epoch", "1700000000")
    assert "1 deletion of what is not there" in capsys.readouterr().out
    found = read_hive((here / "SYSTEM").read_bytes())
    key = found.root.find("ControlSet002\\Services\\x")
    assert key is not None
    assert (key.values, key.last_written, found.last_written) == ((dword("y", 1),), TIME, TIME)
    if os.name != "nt":
        assert (here / "SYSTEM").stat().st_mode & 0o777 == 0o640
    before = (here / "SYSTEM").read_bytes()
    reg(here / "same.reg", "[HKLM\\SYSTEM\\ControlSet002]")
    run("import", "--in-place", "SYSTEM", "same.reg")
    assert "nothing to change" in capsys.readouterr().out
    assert (here / "SYSTEM").read_bytes() == before
    for line in ("[HKLM\\SOFTWARE\\x]", "[HKCU\\x]", "[HKLM\\SYSTEM\\x", "nonsense"):
        reg(here / "bad.reg", line)
        with pytest.raises(SpecError, match="line 3"):
            run("import", "--in-place", "SYSTEM", "bad.reg")
    assert (here / "SYSTEM").read_bytes() == before
    with pytest.raises(InexpressibleError, match="a differencing hive"):
        run("import", "Software_Delta", "same.reg", "-o", "x", "--prefix", "HKLM\\SYSTEM")
    assert not (here / "x").exists()


# --- new, merge, diff -----------------------------------------------------------------


def test_new(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("new", "x", "--source-date-epoch", "1700000000")
    assert (here / "x").read_bytes() == minimal_hive(TIME)
    assert capsys.readouterr().out == "made x: 8.2 kB\n"
    run("new", "-q", "--version", "1.6", "d")
    assert read_hive((here / "d").read_bytes()).differencing
    assert json.loads(out(capsys, "new", "--json", "--force", "--version", "1.3", "x"))["size"] == 8192
    assert (here / "x").read_bytes()[24] == 3


def test_merge(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("merge", "SOFTWARE", "Software_Delta", "-o", "merged")
    acme = read_hive((here / "merged").read_bytes()).root.subkey("Acme")
    assert acme is not None
    assert acme.value("Version") == sz("Version", "2.0")
    assert acme.value("Level") is None
    run("merge", "--differencing", "Software_Delta", "Software_Delta", "-o", "both")
    assert read_hive((here / "both").read_bytes()).differencing
    capsys.readouterr()
    run("merge", "SYSTEM", "Software_Delta", "-o", "wrong")
    assert "change what the base does not have: Acme" in capsys.readouterr().err
    run("merge", "SOFTWARE", "SYSTEM", "-o", "plain")
    assert "an ordinary hive" in capsys.readouterr().err


def test_diff(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("diff", "SOFTWARE", "SOFTWARE") == 0
    assert capsys.readouterr().out == ""
    run("merge", "-q", "SOFTWARE", "Software_Delta", "-o", "merged")
    assert run("diff", "SOFTWARE", "merged") == 1
    lines = capsys.readouterr().out.splitlines()
    assert "- Acme\\  Level  REG_DWORD  0x0000002a (42)" in lines
    assert '- Acme\\  Version  REG_SZ  "1.0"' in lines
    assert '+ Acme\\  Version  REG_SZ  "2.0"' in lines
    assert run("diff", "--json", "base.tar", "oci:img:t", "HKLM\\SOFTWARE") == 1
    found: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    assert {(one["path"], one["what"]) for one in found} == {("HKEY_LOCAL_MACHINE\\SOFTWARE\\Acme", "value")}
    assert run("diff", "-q", "SOFTWARE", "SYSTEM") == 1


def test_diff_as_a_reg_file_makes_one_the_other(here: Path) -> None:
    (here / "SOFTWARE").write_bytes(write_hive(Hive(Key("ROOT", (), SOFTWARE.root.subkeys[:1], TIME), TIME)))
    (here / "b").mkdir()
    other = Hive(
        Key("ROOT", (), (Key("Acme", (sz("Version", "3"),), (Key("New"),), 9), Key("More", (dword("z", 1),))), 9), 9
    )
    (here / "b" / "SOFTWARE").write_bytes(write_hive(other))
    assert run("diff", "--reg", "SOFTWARE", "b/SOFTWARE", "-o", "c.reg") == 1
    run("import", "SOFTWARE", "c.reg", "-o", "made")
    assert run("diff", "-q", "made", "b/SOFTWARE") == 1  # security of new keys, which no .reg file has
    found = read_hive((here / "made").read_bytes()).root
    assert {path: sorted(key.values, key=str) for path, key in found.walk()} == {
        path: sorted(key.values, key=str) for path, key in other.root.walk()
    }


# --- streams --------------------------------------------------------------------------


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
