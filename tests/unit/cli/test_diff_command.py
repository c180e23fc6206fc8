"""`wclayer diff`: text and JSON, exit codes, config, what is left out, hostile names."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from tests.command import wclayer
from tests.images import layout
from tests.tars import BASE, M, build, directory
from wclayer import diff_layers
from wclayer.win32.sddl import parse_sddl

OLD = build([*BASE, M("Files/f", b"hello"), M("Files/gone", b"1"), M("Files/dir/moved", b"moved")])
NEW = build([*BASE, M("Files/f", b"changed"), M("Files/new", b"22"), M("Files/dir/elsewhere", b"moved")])


def short(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:12]


@pytest.fixture
def tars(tmp_path: Path) -> tuple[Path, Path]:
    (tmp_path / "old.tar").write_bytes(OLD)
    (tmp_path / "new.tar").write_bytes(NEW)
    return tmp_path / "old.tar", tmp_path / "new.tar"


def test_text_and_exit_codes(tars: tuple[Path, Path]) -> None:
    done = wclayer("diff", *tars)
    assert (done.returncode, done.stderr) == (1, b"")
    assert done.stdout.decode().splitlines() == [
        "- Files/gone  1 bytes",
        "+ Files/new  2 bytes",
        "> Files/dir/moved -> Files/dir/elsewhere  (5 bytes)",
        "~ Files/f",
        f"    content: 5 bytes sha256:{short(b'hello')} -> 7 bytes sha256:{short(b'changed')}",
    ]
    same = wclayer("diff", tars[0], tars[0])
    assert (same.returncode, same.stdout) == (0, b"")
    quiet = wclayer("diff", "-q", *tars)
    assert (quiet.returncode, quiet.stdout) == (1, b"")


def test_one_side_from_a_pipe(tars: tuple[Path, Path]) -> None:
    assert wclayer("diff", "-", tars[1], stdin=NEW).returncode == 0
    assert wclayer("diff", tars[1], "-", stdin=OLD).returncode == 1
    both = wclayer("diff", "-", "-", stdin=OLD)
    assert both.returncode == 2
    assert b"stdin" in both.stderr


def test_stat(tars: tuple[Path, Path]) -> None:
    done = wclayer("diff", "--stat", *tars)
    assert done.returncode == 1
    assert [line.split() for line in done.stdout.decode().splitlines()] == [
        ["removed", "1", "1", "bytes"],
        ["added", "1", "2", "bytes"],
        ["moved", "1", "5", "bytes"],
        ["changed", "1", "7", "bytes"],
        ["registry", "0"],
        ["config", "0"],
    ]
    found = json.loads(wclayer("diff", "--stat", "--json", *tars).stdout)
    assert (found["removed"], found["changed_bytes"], found["round_trip"]["changed"]) == (1, 7, 0)


def test_json(tars: tuple[Path, Path]) -> None:
    done = wclayer("diff", "--format", "json", *tars)
    assert done.returncode == 1
    assert done.stdout == wclayer("diff", "--json", *tars).stdout
    found = json.loads(done.stdout)
    assert sorted(found) == [
        "added",
        "changed",
        "config",
        "link_order",
        "moved",
        "notes",
        "registry",
        "removed",
        "round_trip",
        "stat",
    ]
    assert found["removed"] == [
        {
            "path": "Files/gone",
            "kind": "file",
            "size": 1,
            "digest": "sha256:6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b",
            "link_of": None,
            "reparse": None,
            "round_trip": None,
        }
    ]
    assert found["moved"][0]["old"] == ["Files/dir/moved"]
    assert found["moved"][0]["size"] == 5
    (change,) = found["changed"]
    assert (change["path"], change["names"], change["fields"][0]["field"]) == ("Files/f", [], "content")
    assert change["fields"][0]["new"]["size"] == 7
    assert json.loads(wclayer("diff", "--json", tars[0], tars[0]).stdout)["changed"] == []
    own = diff_layers(str(tars[0]), str(tars[1])).to_dict()
    assert own == {name: value for name, value in found.items() if name != "round_trip"}


def test_security_in_text_and_json(tmp_path: Path) -> None:
    def tar(sddl: str) -> Path:
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.tar"
        rawsd = base64.b64encode(parse_sddl(sddl)).decode()
        path.write_bytes(build([directory("Files"), M("Files/f", pax={"MSWINDOWS.rawsd": rawsd})]))
        return path

    tars = tar("O:BAG:SYD:(A;;FA;;;BA)"), tar("O:SYG:SYD:(A;;FA;;;BA)(D;;FA;;;WD)")
    assert wclayer("diff", *tars).stdout.decode().splitlines() == [
        "~ Files/f",
        "    owner: BA -> SY",
        "    + D:(D;;FA;;;WD)",
    ]
    (change,) = json.loads(wclayer("diff", "--json", *tars).stdout)["changed"]
    (field,) = change["fields"]
    assert (field["owner"], field["added"], field["removed"]) == (["BA", "SY"], ["D:(D;;FA;;;WD)"], [])


def test_times_and_what_a_round_trip_makes(tmp_path: Path) -> None:
    tars = tmp_path / "1.tar", tmp_path / "2.tar"
    for number, path in enumerate(tars):
        path.write_bytes(build([directory("Files"), M("Files/f", mtime=1_600_000_000 + number)]))
    assert wclayer("diff", *tars).returncode == 0
    done = wclayer("diff", "--times", *tars)
    assert done.returncode == 1
    assert done.stdout.decode().splitlines() == [
        "what hcsshim's own tools do to a layer on a round trip:",
        "  ~ Files/f",
        "      creation time: 2020-09-13T12:26:40.0000000Z -> 2020-09-13T12:26:41.0000000Z",
        "      last write time: 2020-09-13T12:26:40.0000000Z -> 2020-09-13T12:26:41.0000000Z",
    ]
    ignored = wclayer("diff", "--times", "--ignore-round-trip", *tars)
    assert (ignored.returncode, ignored.stdout) == (0, b"")
    found = json.loads(wclayer("diff", "--times", "--json", *tars).stdout)
    assert found["changed"] == []
    assert found["round_trip"]["changed"][0]["fields"][0]["round_trip"] == "times"


def test_the_configs_of_images(tmp_path: Path) -> None:
    def image(name: str, user: str, env: list[str]) -> str:
        def edit(value: dict[str, Any]) -> None:
            value["config"].update(User=user, Env=env)

        return f"oci:{layout(tmp_path / name, config=edit)}"

    places = image("a", "ContainerUser", ["A=1", "B=2"]), image("b", "ContainerAdministrator", ["A=1", "B=3"])
    done = wclayer("diff", *places)
    assert done.returncode == 1
    assert done.stdout.decode().splitlines() == [
        '- config.Env.B  "2"',
        '+ config.Env.B  "3"',
        '- config.User  "ContainerUser"',
        '+ config.User  "ContainerAdministrator"',
    ]
    assert json.loads(wclayer("diff", "--json", *places).stdout)["config"][1] == {
        "field": "config.User",
        "old": "ContainerUser",
        "new": "ContainerAdministrator",
    }
    assert wclayer("diff", f"{places[0]}#0", f"{places[1]}#0").returncode == 0


def test_hostile_names_are_shown_escaped(tmp_path: Path) -> None:
    name = "Files/\x1b[31m\u202eevil\n"
    (tmp_path / "a.tar").write_bytes(build(BASE))
    done = wclayer("diff", tmp_path / "a.tar", "-", stdin=build([*BASE, M(name, b"x")]))
    assert done.returncode == 1
    assert b"\x1b" not in done.stdout
    assert "\u202e".encode() not in done.stdout
    assert done.stdout.count(b"\n") == 1


def test_paths_and_errors(tars: tuple[Path, Path]) -> None:
    assert wclayer("diff", f"{tars[0]}//Files/dir", f"{tars[1]}//Files/DIR").returncode == 1
    assert wclayer("diff", f"{tars[0]}//Files/dir/moved", f"{tars[1]}//Files/dir/elsewhere").returncode == 0
    assert wclayer("diff", f"{tars[0]}//Files/none", tars[1]).returncode == 12
    broken = wclayer("diff", "--json", tars[0], "-", stdin=NEW[:5000])
    assert broken.returncode == 10
    assert json.loads(broken.stderr)["offset"] is not None
