"""`wclayer verify` as its users meet it."""

from __future__ import annotations

import io
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.command import wclayer as run
from tests.images import layout
from tests.tars import BASE, M, build, directory
from wclayer.layers.base import convert_to_base_layer
from wclayer.layers.exporting import export_layer_to_tar
from wclayer.layers.importing import import_layer_from_tar

HOSTILE = "Files/\x1b[31m\u202egnp.exe\n"
TOP = build(
    [directory("Files"), M("Files/new", b"n"), M("Files/l", type="1", link="Files/Windows/System32/config/SAM")]
)


def wclayer(*arguments: str | Path, **options: Any) -> subprocess.CompletedProcess[bytes]:
    done = run(*arguments, **options)
    done.stdout = done.stdout.replace(b"\r\n", b"\n")  # on Windows
    return done


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    """A base layer that Windows takes, as a tar."""
    (tmp_path / "sound" / "Files").mkdir(parents=True)
    convert_to_base_layer(tmp_path / "sound")
    path = tmp_path / "sound.tar"
    with path.open("wb") as out:
        export_layer_to_tar(tmp_path / "sound", out)
    return path


SOUND = "OK: 1 layer checked, no problems found\n"


def test_a_sound_layer(tmp_path: Path, sound: Path) -> None:
    for source in (sound, tmp_path / "sound"):
        done = wclayer("verify", source)
        assert (done.returncode, done.stdout.decode()) == (0, f"{source}: checked as a base layer\n{SOUND}")
    done = wclayer("verify", "-", stdin=sound.read_bytes())
    assert (done.returncode, done.stdout.decode()) == (0, f"-: checked as a base layer\n{SOUND}")
    assert wclayer("verify", "-q", sound).stdout == b""


def test_a_layer_on_its_parents(tmp_path: Path, sound: Path) -> None:
    top = tmp_path / "top.tar"
    top.write_bytes(TOP)
    alone = wclayer("verify", top)
    assert alone.returncode == 1
    assert b"error WCL220 Files/l: hard link to nothing" in alone.stdout
    for parent in (sound, tmp_path / "sound"):
        done = wclayer("verify", "-l", parent, "--ignore", "WCL322", top)
        assert (done.returncode, done.stdout.decode()) == (0, f"{top}: checked as a layer on top of others\n{SOUND}")


def test_a_tar_without_its_parents_is_checked_as_what_it_is(tmp_path: Path) -> None:
    """What only a layer on top of others has shows it: a whiteout, or Hives."""
    for number, more in enumerate((M("Files/.wh.gone"), directory("Hives"))):
        path = tmp_path / f"{number}.tar"
        path.write_bytes(build([directory("Files"), M("Files/f", b"x"), more]))
        done = wclayer("verify", "--ignore", "WCL322", path)
        assert done.returncode == 0, done.stdout
        first, second, third = done.stdout.decode().splitlines()[:3]
        assert (first, second) == (f"{path}: checked as a layer on top of others", f"{path}:")
        assert third.startswith("  note WCL235 a layer on top of others, which are not given")
        found = json.loads(wclayer("verify", "--json", "--ignore", "WCL322", path).stdout)
        assert (found["checked_as"], found["layers"]) == ({str(path): "a layer on top of others"}, [str(path)])
        assert {one["code"] for one in found["findings"]} <= {"WCL235", "WCL405"}


def test_images_and_their_layers(tmp_path: Path, sound: Path) -> None:
    place = f"oci:{layout(tmp_path / 'out', (sound.read_bytes(), TOP))}:t"
    assert wclayer("verify", "--ignore", "wcl322", place).stdout == b"OK: 2 layers checked, no problems found\n"
    done = wclayer("verify", f"{place}#1")
    assert done.returncode == 0
    first, second, third = done.stdout.decode().splitlines()[:3]
    assert (first, second) == (f"{place}#1: checked as a layer on top of others", f"{place}#1:")
    assert third.startswith("  warning WCL322 Files: no security descriptor")
    assert wclayer("verify", "--for", "ws2025", place).returncode == 0  # 26100 runs what is for 20348
    done = wclayer("verify", "--for", "ws2019", place)
    assert done.returncode == 1
    assert b"WCL619" in done.stdout
    assert wclayer("verify", f"{place}#2").returncode == 12
    assert wclayer("verify", f"{place}//Files/f").returncode == 2


def test_hostile_names_cannot_write_to_a_terminal(tmp_path: Path) -> None:
    path = tmp_path / "hostile.tar"
    path.write_bytes(build([*BASE, M(HOSTILE, b"x"), M(f"{HOSTILE}/../..")]))
    for form in ("text", "json", "sarif"):
        done = wclayer("verify", "--format", form, path)
        assert done.returncode == 1
        assert all(0x20 <= byte < 0x7F or byte == 0x0A for byte in done.stdout), form
    lines = wclayer("verify", path).stdout.decode().splitlines()
    assert any("Files/\\x1b[31m\\u202egnp.exe\\x0a: a name that Win32" in line for line in lines)


def test_json_says_all_of_it(tmp_path: Path) -> None:
    path = tmp_path / "broken.tar"
    tar = build([*BASE, M("Files/f", b"x"), M("Files/F", b"y"), M("Files/a/b")])
    path.write_bytes(tar[: tar.rindex(b"Files/a/b") + 100])
    done = wclayer("verify", "--json", path)
    found = json.loads(done.stdout)
    assert done.returncode == 1
    assert found["passed"] is False
    assert found["layers"] == [str(path)]
    assert "ends inside" in found["stopped"][str(path)]
    [taken] = [one for one in found["findings"] if one["code"] == "WCL213"]
    assert {key: taken[key] for key in ("severity", "layer", "path", "message", "got")} == {
        "severity": "error",
        "layer": str(path),
        "path": "Files/F",
        "message": "the name is taken, as Windows compares names",
        "got": "Files/f before",
    }
    assert tar[taken["offset"] :].startswith(b"Files/F")
    assert found["rules"]["WCL213"]["count"] == 1
    assert json.loads(wclayer("verify", "--format", "json", path).stdout) == found


def test_a_record_that_is_broken(tmp_path: Path) -> None:
    import_layer_from_tar(io.BytesIO(build(BASE)), tmp_path / "layer", plain=True)
    assert b"WCL501" not in wclayer("verify", tmp_path / "layer").stdout
    (tmp_path / "layer" / "layer.db").write_bytes(b"no database")
    done = wclayer("verify", tmp_path / "layer")
    assert done.returncode == 1
    assert b"error WCL501" in done.stdout
    assert b"stopped reading" in done.stdout


def test_a_folder_without_its_parents(tmp_path: Path) -> None:
    """What its links lead to nobody can say; but that is said."""
    import_layer_from_tar(io.BytesIO(build([*BASE, M("Files/f", b"x")])), tmp_path / "base", plain=True)
    link = build([directory("Files"), M("Files/l", type="1", link="Files/f")])
    import_layer_from_tar(io.BytesIO(link), tmp_path / "top", [tmp_path / "base"], plain=True)
    alone = wclayer("verify", "--ignore", "WCL322", tmp_path / "top")
    assert alone.returncode == 0
    assert b"note WCL235 a layer on top of others, which are not given" in alone.stdout
    done = wclayer("verify", "--ignore", "WCL322", "-l", tmp_path / "base", tmp_path / "top")
    assert done.stdout.decode() == f"{tmp_path / 'top'}: checked as a layer on top of others\n{SOUND}"


def test_a_parent_that_is_broken(tmp_path: Path, sound: Path) -> None:
    top, cut = tmp_path / "top.tar", tmp_path / "cut.tar"
    top.write_bytes(TOP)
    cut.write_bytes(sound.read_bytes()[:2000])
    done = wclayer("verify", "--ignore", "WCL322", "-l", cut, top)
    assert b"WCL220" not in done.stdout
    assert f"{cut}:".encode() in done.stdout
    assert b"stopped reading" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["nothing"], 12, "no such layer folder or tar"),
        (["--ignore", "WCL999", "nothing"], 2, "no rule has this code; expected one of docs/rules.md"),
        (["--for", "ws2016", "nothing"], 2, "'ws2016' is not one of"),
        (["--json", "--format", "sarif", "nothing"], 2, "--json and --format sarif"),
        (["-l", "x", "oci:nothing:t"], 2, "-l is for a layer folder or tar"),
        (["oci:nothing:t"], 12, "no image layout there"),
    ],
)
def test_what_cannot_be_verified(tmp_path: Path, arguments: list[str], code: int, text: str) -> None:
    done = wclayer("verify", *arguments, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (code, b"")
    assert text in done.stderr.decode()


def test_an_import_names_the_rule(tmp_path: Path) -> None:
    done = wclayer("import", tmp_path / "layer", stdin=build([*BASE, M("Files/f"), M("Files/F")]))
    assert done.returncode == 10
    assert done.stderr.decode().rstrip().endswith("[WCL213]")
    done = wclayer("import", "--json", tmp_path / "layer", stdin=build([*BASE, M("Files/f"), M("Files/F")]))
    assert json.loads(done.stderr)["rule"] == "WCL213"
