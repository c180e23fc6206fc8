"""wclayer hive show, get and check: what they print, for people, scripts and programs, also of hostile hives."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.unit.cli.hives import DIRTY, INHERIT, acme, hives_in, run
from tests.unit.regf.samples import OTHER_SECURITY, TIME, Broken, small
from wclayer.errors import InexpressibleError, NotFoundError, UsageError
from wclayer.regf.model import Hive, Key, Value, dword, sz
from wclayer.regf.writer import write_hive


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with hives, layer folders, layer tars and an image."""
    return hives_in(tmp_path, monkeypatch)


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


def test_a_string_ends_at_its_first_nul(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As for hivex and Windows' own tools; a list does not, as Windows itself has lists with empty strings."""
    values = tuple(
        Value(f"{number}", kind, text.encode("utf-16-le"))
        for number, (kind, text) in enumerate(
            [(1, "abc\0\0\0"), (2, "abc\0junk\0"), (6, "abc"), (1, "\0\0"), (7, "a\0\0\0"), (7, "a\0b\0\0")]
        )
    )
    (here / "hive").write_bytes(write_hive(Hive(Key("ROOT", values, (), TIME), TIME)))
    assert run("show", "--json", "hive") == 0
    [key] = json.loads(capsys.readouterr().out)
    assert [value["content"] for value in key["values"]] == ["abc", "abc", "abc", "", ["a", ""], ["a", "b"]]
    assert key["values"][1]["data"] == values[1].data.hex()
    assert run("show", "hive") == 0
    shown = capsys.readouterr().out
    assert shown.count('  "abc"\n') == 2
    assert '  "abc"  (10 bytes behind its NUL)\n' in shown
    for name, printed in (("0", "abc\n"), ("1", "abc\n"), ("3", "\n"), ("4", "a\n\n")):
        assert run("get", "hive", "\\", name) == 0
        assert capsys.readouterr().out == printed


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
