"""transport:DIR in the commands that take layer folders."""

from __future__ import annotations

import hashlib
import io
import json
import os
from pathlib import Path

import pytest

from tests.command import wclayer
from tests.hosts import posix_only
from tests.tars import BASE, M, build
from wclayer import TransportFolder, export_layer_to_tar
from wclayer.cli.folders import folder_of, layer_folders
from wclayer.errors import AlreadyExistsError, InexpressibleError, UsageError

TAR = build([*BASE, M("Files/f", b"hello"), M("Files/f:s", b"stream")])
UPPER = build([*BASE, M("Files/l", type="1", link="Files/f"), M("Files/.wh.gone"), M("Files/g", b"upper")])


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    assert wclayer("import", "transport:base", stdin=TAR).returncode == 0
    assert wclayer("import", "-l", "transport:base", f"transport:{tmp_path}/upper", stdin=UPPER).returncode == 0
    return tmp_path


def test_import_and_export(folders: Path) -> None:
    assert {path.name for path in folders.iterdir()} == {"base", "base.layer.db", "upper", "upper.layer.db"}
    assert (folders / "base" / "Files" / "f").read_bytes()[24:29] == b"hello"
    assert wclayer("export", "-q", "transport:base").stdout == TAR
    assert wclayer("export", "-q", "-l", "transport:base", "transport:upper").stdout == UPPER
    done = wclayer("export", "--json", "--framing", "canonical", "-o", "out.tar", "transport:upper")
    assert json.loads(done.stdout)["digest"] == f"sha256:{hashlib.sha256(Path('out.tar').read_bytes()).hexdigest()}"
    assert wclayer("import", "-l", "transport:base", "-i", "out.tar", "layer").returncode == 0
    assert (folders / "layer" / "Files" / "l").read_bytes() == b"hello"


@posix_only("access times that reading leaves alone")
def test_without_its_record(folders: Path) -> None:
    os.unlink("base.layer.db")
    done = wclayer("export", "-q", "transport:base")
    assert done.returncode == 0
    again = io.BytesIO()
    export_layer_to_tar(TransportFolder("base"), again)
    assert done.stdout == again.getvalue()
    assert wclayer("export", "-q", "--framing", "original", "transport:base").returncode == 2


def test_status(folders: Path) -> None:
    assert wclayer("status", "--exit-code", "transport:base").returncode == 0
    (folders / "base" / "Files" / "f").write_bytes(b"\x20\0\0\0")
    done = wclayer("status", "--exit-code", "--json", "transport:base")
    assert (done.returncode, json.loads(done.stdout)) == (
        1,
        {"new": [], "changed": ["Files/f"], "gone": ["Files/f:s"]},
    )


def test_force(folders: Path) -> None:
    done = wclayer("import", "transport:base", stdin=UPPER)
    assert done.returncode == AlreadyExistsError.exit_code
    done = wclayer("import", "--force", "-l", "transport:upper", "-l", "transport:base", "transport:new", stdin=UPPER)
    assert done.returncode == 0
    done = wclayer("import", "--force", "-l", "transport:base", "transport:new", stdin=UPPER)
    assert (done.returncode, wclayer("export", "-q", "transport:new").stdout) == (0, UPPER)


def test_a_utility_vm(folders: Path) -> None:
    tar = build([*BASE, M("UtilityVM", type="5")])
    done = wclayer("import", "--json", "transport:vm", stdin=tar)
    assert done.returncode == InexpressibleError.exit_code
    assert json.loads(done.stderr)["path"] == "UtilityVM"
    assert not (folders / "vm").exists()


def test_a_plain_path_that_is_one(folders: Path) -> None:
    for arguments in (["export", "-q", "base"], ["status", "base"], ["import", "-l", "base", "new"]):
        done = wclayer(*arguments, stdin=UPPER)
        assert done.returncode == UsageError.exit_code
        assert f"say transport:{folders}".encode() in done.stderr


def test_squash(folders: Path) -> None:
    assert wclayer("squash", "-o", "transport:one", "transport:base", "transport:upper").returncode == 0
    assert wclayer("squash", "-o", "plain/", "transport:base", "transport:upper").returncode == 0
    one = wclayer("export", "-q", "--framing", "canonical", "transport:one").stdout
    assert one == wclayer("export", "-q", "--framing", "canonical", "plain").stdout
    assert b"hello" in one


def test_folders_by_their_texts() -> None:
    with layer_folders(reading=["transport:a//b", "x"], making=["transport:c#1"]) as at:
        assert folder_of(at("transport:a//b")) == TransportFolder("a//b")
        assert folder_of(at("transport:c#1")) == TransportFolder("c#1")
        assert folder_of(at("x")) == "x"


def test_no_tar_goes_there(folders: Path) -> None:
    for place in ("transport:new", "disk:new.img//x"):
        done = wclayer("export", "-o", place, "transport:base")
        assert done.returncode == 2
        assert "where a tar goes" in done.stderr.decode()
    assert not list(folders.glob("*new*"))
