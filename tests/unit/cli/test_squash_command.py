"""wclayer squash, as its users meet it: from images and lists, into images, layers of them, tars and folders."""

from __future__ import annotations

import gzip
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.hosts import posix_only
from tests.images import BASE_TAR, TOP_TAR, layout
from tests.tars import M, build, directory
from tests.unit.images.test_writing import snapshot
from wclayer.cli.main import cli
from wclayer.errors import AlreadyExistsError, LayerError, NotFoundError, UsageError, WclayerError
from wclayer.images.reading import open_image
from wclayer.layertar.reader import TarSource
from wclayer.stores.folders import open_folder

GONE_TAR = build([directory("Files"), M("Files/.wh.f"), M("Files/h", b"h")])
ALL = ["Files", "Files/dir", "Files/g", "Files/h"]
TOP = ["Files", "Files/dir", "Files/g", "Files/h", "Files/f"]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with an image of three layers, their tars, and the layer folders that they make."""
    monkeypatch.chdir(tmp_path)
    layout(tmp_path / "in", [BASE_TAR, TOP_TAR, GONE_TAR])
    parents: list[str] = []
    for name, tar in (("base", BASE_TAR), ("app", TOP_TAR), ("patch", GONE_TAR)):
        (tmp_path / f"{name}.tar").write_bytes(tar)
        run("import", "-q", *parents, "-i", f"{name}.tar", name)
        parents[:0] = ["-l", name]
    return tmp_path


def run(*arguments: str) -> None:
    cli.main(list(arguments), prog_name="wclayer", standalone_mode=False)


def image(place: str) -> list[list[str]]:
    with open_image(place) as found:
        return [[entry.path for entry, _ in layer.source().entries()] for layer in found.layers]


def tar(data: bytes) -> list[str]:
    return [entry.path for entry, _ in TarSource(io.BytesIO(data)).entries()]


# --- from and to --------------------------------------------------------------------


def test_an_image_into_an_image(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("squash", "oci:in:t", "-o", "oci:out:t")
    out, err = capsys.readouterr()
    with open_image("oci:out:t") as found:
        lines = out.splitlines()
        assert lines[0].startswith("squashed oci:out:t: windows/amd64:10.0.20348.2227, 3 layers became one, in ")
        assert lines[1] == f"digest  {found.manifest.digest}"
        assert lines[2].startswith(f"layer   #0 {found.layers[0].diff_id}: 2 directories, 2 files; 6 bytes, blob ")
    assert err == ""
    assert image("oci:out:t") == [ALL]
    run("squash", "-q", "oci:in:t", "-o", "oci:out:u", "--from-layer", "1", "--compress", "zstd", "--level", "9")
    assert capsys.readouterr() == ("", "")
    assert image("oci:out:u") == [["Files", "Files/dir", "Files/f"], TOP]


def test_in_json(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("squash", "--json", "--from-layer", "1", "oci:in:t", "-o", "oci:out:t")
    found = json.loads(capsys.readouterr().out)
    assert found.keys() == {"digest", "config", "platform", "kept", "squashed", "layer", "seconds", "warnings"}
    assert (found["kept"], found["squashed"]) == (1, 2)
    assert found["layer"]["entries"] == {"directories": 2, "files": 2, "whiteouts": 1}
    run("squash", "--json", "base", "app", "-o", "out.tar")
    found = json.loads(capsys.readouterr().out)
    assert found["entries"] == {"directories": 2, "files": 2}


@pytest.mark.parametrize(
    "sources", [["base.tar", "app.tar", "patch.tar"], ["base", "app", "patch"], ["oci:in:t#0", "app", "patch.tar"]]
)
def test_a_list_into_a_tar(here: Path, sources: list[str], capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    run("squash", *sources, "-o", "all.tar")
    assert tar((here / "all.tar").read_bytes()) == ALL
    run("squash", *sources, "-z", "--from-layer", "1", "-o", "top.tar.gz")
    assert tar(gzip.decompress((here / "top.tar.gz").read_bytes())) == TOP
    capfdbinary.readouterr()
    run("squash", *sources, "-o", "-")
    out, err = capfdbinary.readouterr()
    assert out == (here / "all.tar").read_bytes()
    assert err.startswith(b"squashed ")


def test_an_image_into_a_tar_and_a_folder(here: Path) -> None:
    run("squash", "oci:in:t", "-o", "all.tar")
    assert tar((here / "all.tar").read_bytes()) == ALL
    run("squash", "--from-layer", "2", "oci:in:t", "-o", "top.tar")
    assert tar((here / "top.tar").read_bytes()) == ["Files", "Files/h", "Files/f"]
    run("squash", "oci:in:t", "-o", "folder/")
    (here / "empty").mkdir()
    run("squash", "base", "app", "patch.tar", "-o", "empty")
    for name in ("folder", "empty"):
        with open_folder(here / name) as layer:
            assert layer.base
            assert sorted(entry.path for entry, _ in layer.entries()) == ALL


def test_a_folder_in_short(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("squash", "base", "app", "-o", "folder/")
    [line] = capsys.readouterr().out.splitlines()
    assert line.startswith("squashed base, app: 2 directories, 2 files; ")


def test_a_list_into_an_image(here: Path) -> None:
    run("squash", "base", "app", "-o", "oci:out:t", "--os-version", "10.0.20348.1")
    with open_image("oci:out:t") as found:
        assert found.platform.os_version == "10.0.20348.1"
    assert image("oci:out:t") == [["Files", "Files/dir", "Files/f", "Files/g"]]
    # Layers of an image say what they run on.
    run("squash", "oci:in:t#0", "app", "-o", "oci:out:u")
    with open_image("oci:out:u") as found:
        assert found.platform.os_version == "10.0.20348.2227"


def test_into_a_layer_of_an_image(here: Path) -> None:
    run("squash", "base", "app", "-o", "oci:out:t#0")
    with open_image("oci:out:t") as found:
        assert found.config["history"] == [{"created_by": "wclayer squash"}]
    run("squash", "--from-layer", "1", "oci:in:t", "-o", "oci:in:t#1", "--force")
    assert image("oci:in:t")[1] == TOP


def test_a_layer_goes_over_those_that_it_was_squashed_over(here: Path) -> None:
    run("squash", "base", "app", "-o", "oci:out:t#0")
    before = snapshot(here)
    with pytest.raises(UsageError, match=r"layer 0 is another one than .*; expected sha256:.*; got sha256:"):
        run("squash", "--from-layer", "1", "base.tar", "app", "patch", "-o", "oci:out:t#1", "--force")
    with pytest.raises(UsageError, match=r"the layers to put it on are not those .*; expected 2 below it; got 1"):
        run("squash", "--from-layer", "2", "oci:in:t", "-o", "oci:out:t#1", "--force")
    assert snapshot(here) == before
    for sources in (["base", "app", "patch"], ["base.tar", "app.tar", "patch.tar"], ["oci:in:t"]):
        run("squash", "--from-layer", "2", *sources, "-o", "oci:in:t#2", "--force")
        assert image("oci:in:t")[2] == ["Files", "Files/h", "Files/f"]


def test_without_the_utility_vm(here: Path) -> None:
    (here / "vm.tar").write_bytes(build([directory("Files"), directory("UtilityVM"), directory("UtilityVM/Files")]))
    run("squash", "--drop-utility-vm", "vm.tar", "-o", "out.tar")
    assert tar((here / "out.tar").read_bytes()) == ["Files"]


def test_names_of_entries(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("squash", "-v", "base", "app", "-o", "out.tar")
    assert capsys.readouterr().err.splitlines() == ["Files", "Files/dir", "Files/f", "Files/g"]


def test_warnings(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hives = [directory("Files"), directory("Hives"), M("Hives/x\x1by", b"1")]
    (here / "odd.tar").write_bytes(build(hives))
    run("squash", "base.tar", "odd.tar", "-o", "oci:out:t")
    run("squash", "base.tar", "odd.tar", "-o", "out.tar")
    out, err = capsys.readouterr()
    line = "warning: left out: Hives/x\\x1by of layer 1, as a base layer has no Hives/"
    assert err.splitlines() == [line]
    assert line in out.splitlines()


def test_a_foreign_layer(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def manifest(value: dict[str, Any]) -> None:
        value["layers"][0]["mediaType"] = "application/vnd.docker.image.rootfs.foreign.diff.tar"

    layout(here / "foreign", [BASE_TAR, TOP_TAR], manifest=manifest)
    for number, source in enumerate((["oci:foreign:t"], ["oci:foreign:t#0", "app"])):
        for output in (f"out{number}.tar", f"oci:out:t{number}", f"oci:out:u{number}#0", f"out{number}/"):
            run("squash", "--json", *source, "-o", output)
            [warning] = json.loads(capsys.readouterr().out)["warnings"]
            assert "#0 is a foreign layer" in warning
        run("squash", "--json", "--from-layer", "1", *source, "-o", f"top{number}.tar")
        assert json.loads(capsys.readouterr().out)["warnings"] == []


# --- what is refused ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        (["-", "app.tar", "-o", "x.tar"], UsageError, "stdin can be read only once"),
        (["base", "app", "-z", "--compress", "zstd", "-o", "x.tar"], UsageError, "-z and another --compress"),
        (["base", "app", "--json", "-o", "-"], UsageError, "goes to stdout"),
        (["oci:in:t", "--json", "-o", "oci-archive:-"], UsageError, "goes to stdout"),
        (["base", "app", "-z", "-o", "x/"], UsageError, "not compressed"),
        (["base", "app", "--from-layer", "1", "-o", "x/"], UsageError, "over others in a layer folder"),
        (["base", "app", "--from-layer", "1", "-o", "oci:x:t"], UsageError, r"without them.*oci:x:t#1"),
        (["base", "app", "--from-layer", "1", "-o", "oci:x:t#0"], UsageError, "non-base layer as layer #0"),
        (["base", "app", "-o", "oci:x:t#1"], UsageError, "a base layer as layer #1"),
        (["base", "app", "--from-layer", "2", "-o", "x.tar"], UsageError, "no such layer to squash from"),
        (["oci:in:t", "--from-layer", "3", "-o", "oci:x:t"], UsageError, "no such layer to squash from"),
        (["oci:in:t", "--from-layer", "9", "-o", "x.tar"], UsageError, "no such layer to squash from"),
        (["oci:in:t", "--from-layer", "1", "--drop-utility-vm", "-o", "x.tar"], UsageError, "cannot be left out"),
        (["oci:in:t", "app", "-o", "x.tar"], UsageError, "which layer of the image"),
        (["oci:in:t#3", "-o", "x.tar"], NotFoundError, "no such layer"),
        (["oci:none:t", "-o", "x.tar"], NotFoundError, "no image layout"),
        (["base", "nothing", "-o", "x.tar"], NotFoundError, "no such layer"),
        (["base", "app", "--platform", "windows/amd64:10.0.20348", "-o", "oci:x"], UsageError, "--platform is for"),
        (["base", "app", "--os-version", "new", "-o", "oci:x"], UsageError, "an os.version"),
        (["base", "app", "--os-version", "10.0.20348.1", "-o", "x.tar"], UsageError, "--os-version is for a new image"),
        (["base", "app", "--os-version", "10.0.20348.1", "-o", "x/"], UsageError, "--os-version is for a new image"),
        (
            ["base", "app", "--from-layer", "1", "--os-version", "10.0.20348.1", "-o", "oci:in:t#1"],
            UsageError,
            "--os-v",
        ),
        (["oci:in:t", "-z", "-o", "docker-archive:x"], UsageError, "a docker-archive has its layers uncompressed"),
        (["base", "app", "-z", "-o", "docker-archive:x#0"], UsageError, "a docker-archive has its layers uncompressed"),
        (["app", "base", "-o", "x.tar"], UsageError, "base first"),
        (["patch.tar", "base.tar", "-o", "x.tar"], LayerError, "base first"),
        (["base", "app", "-o", "base.tar"], AlreadyExistsError, "--force"),
        (["base", "app", "-o", "patch"], AlreadyExistsError, "--force"),
        (["oci:in:t", "-o", "oci:in:t"], AlreadyExistsError, "--force"),
    ],
)
def test_refused(here: Path, arguments: list[str], error: type[WclayerError], words: str) -> None:
    before = snapshot(here)
    with pytest.raises(error, match=words):
        run("squash", *arguments)
    assert snapshot(here) == before
    assert not (here / "x").exists()


def test_force(here: Path) -> None:
    run("squash", "base.tar", "app.tar", "-o", "patch", "--force")
    with open_folder(here / "patch") as layer:
        assert layer.base
    run("squash", "base.tar", "app.tar", "-o", "base.tar", "--force")
    assert tar((here / "base.tar").read_bytes()) == ["Files", "Files/dir", "Files/f", "Files/g"]


@posix_only("a shell")
def test_a_pipe(here: Path) -> None:
    environment: dict[str, Any] = {**os.environ}
    command = f'cat app.tar | "{sys.executable}" -m wclayer squash base.tar /dev/stdin -o out.tar'
    done = subprocess.run(["sh", "-c", command], env=environment, capture_output=True, check=False)
    assert done.returncode == 2
    assert b"/dev/stdin: this can be read only once" in done.stderr
    assert not (here / "out.tar").exists()
