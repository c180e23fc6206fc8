"""build, layers, index, and import and export of single layers, as their users meet them."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.hosts import caches_in
from tests.images import BASE_TAR, TOP_TAR, digest, layout, members, tar
from tests.unit.images.test_writing import reachable, snapshot, unpacked
from wclayer.cli.main import cli
from wclayer.errors import AlreadyExistsError, DigestMismatchError, NotFoundError, SpecError, UsageError, WclayerError
from wclayer.images.reading import open_image


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a context, a base, and a cache of its own."""
    monkeypatch.chdir(tmp_path)
    caches_in(tmp_path / "cache", monkeypatch)
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    (tmp_path / "hello").mkdir()
    (tmp_path / "hello" / "hello.cmd").write_bytes(b"@echo hello\r\n")
    for path in (tmp_path / "hello" / "hello.cmd", tmp_path / "hello"):
        os.utime(path, (0, 1_700_000_000))
    layout(tmp_path / "base", [BASE_TAR], tag="nano")
    return tmp_path


def run(*arguments: str) -> None:
    cli.main(list(arguments), prog_name="wclayer", standalone_mode=False)


def config(place: str) -> dict[str, Any]:
    with open_image(place) as image:
        return image.config


# --- build ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        ["layers", "oci:base:nano#0"],
        ["layers", "oci:base:nano#9"],
        ["layers", "oci:base:nano//Files"],
        ["build", "hello", "--from", "oci:base:nano#0", "-o", "oci:out:t"],
        ["build", "hello", "-o", "oci:out:t#0"],
        ["index", "-o", "oci:out:t", "oci:base:nano#9"],
        ["index", "-o", "oci:out:t#0", "oci:base:nano"],
        ["copy", "oci:base:nano#0", "oci:out:t"],
        ["build", "-f", "Dockerfile", "-o", "oci:out:t"],
    ],
)
def test_a_layer_or_path_where_an_image_is_meant(here: Path, arguments: list[str]) -> None:
    (here / "Dockerfile").write_text("FROM oci:base:nano#0\nCOPY hello /hello/\n")
    with pytest.raises(UsageError, match=r"leave out the (#N|//PATH)"):
        run(*arguments)
    assert not (here / "out").exists()


def test_build_says_what_it_did(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("build", "hello", "-o", "oci:out:t", "--os-version", "10.0.20348.1")
    out, err = capsys.readouterr()
    with open_image("oci:out:t") as image:
        assert out.splitlines()[0].startswith("built oci:out:t: windows/amd64:10.0.20348.1, 2023-11-14T22:13:20Z, in ")
        assert out.splitlines()[1] == f"digest  {image.manifest.digest}"
        assert image.layers[0].diff_id in out
    assert "made    5 registry hives" in out
    assert err == ""
    run("build", "-q", "hello", "-o", "oci:out:u")
    assert capsys.readouterr() == ("", "")


def test_build_in_json(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("build", "--json", "hello", "-o", "oci:out:t")
    found = json.loads(capsys.readouterr().out)
    assert set(found) == {
        *("digest", "config", "platform", "created", "base_layers", "layers", "made", "changed", "left_out"),
        *("seconds", "warnings"),
    }
    [layer] = found["layers"]
    assert layer["entries"] == {"directories": 4, "files": 6}
    assert layer["compression"] == "gzip"
    assert reachable(snapshot(here / "out"))["t"]["digest"] == found["digest"]


def test_all_that_options_say_of_the_config(here: Path) -> None:
    run(
        *("build", "hello", "-o", "oci:out:t", "--entrypoint", "C:\\hello\\hello.cmd", "--entrypoint", "-x"),
        *(
            "--cmd",
            '["a", "b c"]',
            "--env",
            "A=1",
            "--env",
            "B=x=y",
            "--workdir",
            "C:\\hello",
            "--user",
            "ContainerUser",
        ),
        *("--label", "l=m", "--port", "80", "--port", "53/udp", "--annotation", "n=o", "--architecture", "arm64"),
        *("--created", "2024-01-31T13:00:00+01:00", "--compress", "none", "--acl", "read-only", "--times", "epoch"),
    )
    with open_image("oci:out:t") as image:
        assert image.config["config"] == {
            "Entrypoint": ["C:\\hello\\hello.cmd", "-x"],
            "Cmd": ["a", "b c"],
            "Env": ["A=1", "B=x=y"],
            "WorkingDir": "C:\\hello",
            "User": "ContainerUser",
            "Labels": {"l": "m"},
            "ExposedPorts": {"53/udp": {}, "80/tcp": {}},
        }
        assert image.config["created"] == "2024-01-31T12:00:00Z"
        assert image.config["architecture"] == "arm64"
        assert image.manifest_annotations["n"] == "o"
        assert image.layers[0].compression == "none"


def test_source_date_epoch(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1600000000")
    run("build", "hello", "-o", "oci:out:t")
    assert config("oci:out:t")["created"] == "2020-09-13T12:26:40Z"
    run("build", "hello", "-o", "oci:out:u", "--created", "5")
    assert config("oci:out:u")["created"] == "1970-01-01T00:00:05Z"


def test_build_on_a_base(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("build", "hello", "--from", "oci:base:nano", "-o", "oci:base:hello")
    assert "base    1 layer\n" in capsys.readouterr().out
    assert len(list((here / "cache" / "wclayer").rglob("layers/*"))) == 1
    run("build", "hello", "--from", "oci:base:nano", "-o", "oci:out", "--no-cache")
    assert config("oci:out") == config("oci:base:hello")


def test_build_from_a_file(here: Path) -> None:
    folder = here / "project"
    folder.mkdir()
    (folder / "image.toml").write_text(
        '[image]\nfrom = "oci:../base:nano"\nuser = "a"\ncmd = ["x"]\ncreated = 5\n[image.env]\nA = "1"\nB = "1"\n'
        '[[files]]\nsource = "../hello"\ntarget = "C:/hello"\n'
    )
    run("build", "-f", "project/image.toml", "-o", "oci:out:t", "--user", "b", "--env", "B=2")
    found = config("oci:out:t")
    assert found["config"]["User"] == "b"
    assert found["config"]["Env"] == ["A=1", "B=2"]
    assert found["created"] == "1970-01-01T00:00:05Z"
    (here / "elsewhere" / "deep").mkdir(parents=True)
    (here / "elsewhere" / "hello").mkdir()
    with pytest.raises(NotFoundError, match="elsewhere"):
        run("build", "-f", "project/image.toml", "elsewhere/deep", "-o", "oci:out:u")
    run("build", "-f", "project/image.toml", "elsewhere/deep", "-o", "oci:out:u", "--from", "oci:base:nano")


def test_warnings_go_to_stderr(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "image.toml").write_text('[[symlinks]]\npath = "x"\ntarget = "nothing\\u001b"\n')
    with pytest.raises(WclayerError):
        run("build", "-f", "image.toml", "-o", "oci:out:t")
    (here / "image.toml").write_text('[[symlinks]]\npath = "x"\ntarget = "nothing"\n')
    run("build", "-f", "image.toml", "-o", "oci:out:t")
    assert "warning: Files/x: leads to nothing in the image (nothing)" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        (("-o", "oci:out"), UsageError, "nothing to build"),
        (("none", "-o", "oci:out"), NotFoundError, "no such file or folder"),
        (("hello", "-o", "out"), UsageError, "no place for an image"),
        (("hello", "-o", "oci:out", "--env", "A"), UsageError, "--env; expected NAME=VALUE; got A"),
        (("hello", "-o", "oci:out", "--label", "=A"), UsageError, "--label"),
        (("hello", "-o", "oci:out", "--port", "x"), UsageError, "a port"),
        (("hello", "-o", "oci:out", "--entrypoint", "[1]"), UsageError, "--entrypoint; expected a JSON array"),
        (("hello", "-o", "oci:out", "--cmd", "[" * 100_000), UsageError, "--cmd; expected a JSON array"),
        (("hello", "-o", "oci:out", "--created", "today"), UsageError, "--created or SOURCE_DATE_EPOCH"),
        (("hello", "-o", "oci:out", "--created", "2024-01-31"), UsageError, "--created or SOURCE_DATE_EPOCH"),
        (("hello", "-o", "oci:out", "-f", "none.toml"), NotFoundError, "none.toml"),
        (("hello", "hello", "-o", "oci:out", "-f", "x.toml"), UsageError, "several contexts with -f"),
        (("hello", "-o", "oci:out", "-f", "bad.toml"), SpecError, "bad.toml: no TOML"),
        (("hello", "-o", "oci-archive:-", "--json"), UsageError, "--json, while the image itself goes to stdout"),
        (("hello", "-o", "oci:out", "--from", "docker://x/Y"), WclayerError, "the name of a repository"),
    ],
)
def test_build_refuses(here: Path, arguments: tuple[str, ...], error: type[WclayerError], text: str) -> None:
    (here / "bad.toml").write_text("= 1")
    with pytest.raises(error, match=text):
        run("build", *arguments)
    assert not (here / "out").exists()


def test_through_pipes(here: Path) -> None:
    command = [sys.executable, "-m", "wclayer"]
    built = subprocess.run([*command, "build", "hello", "-o", "oci-archive:-"], capture_output=True, check=True)
    assert b"built oci-archive:-" in built.stderr
    assert set(reachable(unpacked(built.stdout))) == {"latest"}
    listed = subprocess.run(
        [*command, "layers", "--json", "oci-archive:-"], input=built.stdout, capture_output=True, check=True
    )
    assert json.loads(listed.stdout)["place"] == "oci-archive:-"
    cut = subprocess.run(
        [*command, "layers", "oci-archive:-"], input=built.stdout[:5000], capture_output=True, check=False
    )
    assert (cut.returncode, cut.stderr.count(b"\n")) == (10, 1)


# --- layers -----------------------------------------------------------------------


def test_layers(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    layout(here / "two", [BASE_TAR, TOP_TAR], gzipped=True)
    run("layers", "oci:two:t")
    head, first, second = capsys.readouterr().out.splitlines()
    assert head.startswith("windows/amd64:10.0.20348.2227, 2 layers, sha256:")
    assert first.split()[0] == "#0"
    assert first.split()[3:] == ["gzip", digest(BASE_TAR)[:19], "layer", "0"]
    assert second.split()[3:] == ["gzip", digest(TOP_TAR)[:19], "layer", "1"]
    run("layers", "-v", "oci:two:t")
    assert digest(TOP_TAR) in capsys.readouterr().out
    run("layers", "-q", "oci:two:t")
    assert capsys.readouterr().out == ""
    run("layers", "--json", "oci:two:t")
    found = json.loads(capsys.readouterr().out)
    assert [layer["number"] for layer in found["layers"]] == [0, 1]
    assert found["layers"][1]["history"] == {"created": "2024-01-31T12:00:00Z", "created_by": "layer 1"}
    assert reachable(snapshot(here / "two"))["t"]["digest"] == found["digest"]


def test_layers_shows_no_control_characters(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def hostile(value: dict[str, Any]) -> None:
        value["history"][1]["created_by"] = "\x1b[31mred\n"

    layout(here / "bad", config=hostile)
    run("layers", "oci:bad:t")
    assert "\\x1b[31mred\\x0a" in capsys.readouterr().out


# --- index ------------------------------------------------------------------------


def test_index(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for version in ("10.0.17763.1", "10.0.20348.1"):
        run("build", "-q", "hello", "-o", f"oci:out:{version}", "--os-version", version)
    run("index", "--annotation", "a=b", "-o", "oci-archive:all.tar:x", "oci:out:10.0.17763.1", "oci:out:10.0.20348.1")
    assert capsys.readouterr().out.count("image windows/amd64:10.0.") == 2
    files = unpacked((here / "all.tar").read_bytes())
    top = reachable(files)["x"]
    value = json.loads(files["blobs/" + top["digest"].replace(":", "/")])
    assert value["annotations"] == {"a": "b"}
    assert [one["platform"]["os.version"] for one in value["manifests"]] == ["10.0.17763.1", "10.0.20348.1"]
    assert [set(one) for one in value["manifests"]] == [{"mediaType", "digest", "size", "platform"}] * 2
    run("build", "-q", "hello", "-o", "oci:out:any")
    run("index", "--json", "-o", "oci:out:more", "oci-archive:all.tar", "oci:out:any")
    found = json.loads(capsys.readouterr().out)
    assert [one["platform"].get("os.version") for one in found["images"]] == ["10.0.17763.1", "10.0.20348.1", None]


def test_index_refuses(here: Path) -> None:
    run("build", "-q", "hello", "-o", "oci:out:a")
    run("build", "-q", "hello", "-o", "oci:out:b", "--user", "x")
    before = snapshot(here)
    for arguments, error, text in (
        (("oci:new", "oci:out:a", "oci:out:b"), UsageError, "two images of the same platform"),
        (("oci:new", "oci:out:a", "oci:out:none"), NotFoundError, "no such tag"),
        (("oci:out:b", "oci:out:a"), AlreadyExistsError, "has that tag already"),
        (("docker-archive:new.tar", "oci:out:a"), WclayerError, "no image index"),
    ):
        with pytest.raises(error, match=text):
            run("index", "-o", *arguments)
    assert snapshot(here) == before


# --- single layers ------------------------------------------------------------------


def test_import_and_export_of_single_layers(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    layout(here / "two", [BASE_TAR, TOP_TAR], gzipped=True)
    run("import", "-i", "oci:two:t#0", "nano")
    run("import", "-l", "nano", "-i", "oci:two:t#1", "app", "--diff-id", digest(TOP_TAR))
    run("export", "-q", "-o", "top.tar", "-l", "nano", "app")
    assert (here / "top.tar").read_bytes() == TOP_TAR
    run("export", "-q", "-o", "base.tar", "oci:two:t#0")
    assert (here / "base.tar").read_bytes() == BASE_TAR
    run("export", "-q", "--compress", "zstd", "--os-version", "10.0.1.2", "-o", "oci:new:t#0", "nano")
    run("export", "-q", "--force", "-o", "oci:new:t#1", "-l", "nano", "app")
    run("export", "-q", "--force", "-o", "docker-archive:new.tar:x#0", "oci:two:t#0")
    with open_image("oci:new:t") as image, open_image("docker-archive:new.tar:x") as docker:
        assert [layer.diff_id for layer in image.layers] == [digest(BASE_TAR), digest(TOP_TAR)]
        assert [layer.compression for layer in image.layers] == ["zstd", "gzip"]
        assert [layer.diff_id for layer in docker.layers] == [digest(BASE_TAR)]
        assert [one.platform.os_version for one in (image, docker)] == ["10.0.1.2", "10.0.20348.2227"]
        assert "Files/g" in [entry.path for entry, _ in image.layers[1].source().entries()]
    run("export", "-q", "--force", "-o", "oci:new:t#1", "oci:two:t#1", "--framing", "canonical")
    with open_image("oci:new:t") as image:
        assert image.layers[1].diff_id != digest(TOP_TAR)
        assert len(image.layers) == len(image.config["history"]) == 2
    capsys.readouterr()


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        (("import", "-i", "oci:two:t", "x"), UsageError, "which layer of the image.; expected PLACE#0 to PLACE#1"),
        (("import", "-i", "oci:two:t#2", "x"), NotFoundError, "no such layer; expected #0 to #1; got #2"),
        (("import", "-i", "oci:two:none#0", "x"), NotFoundError, "no such tag"),
        (("import", "-i", "oci:two:t#0", "--diff-id", "0" * 64, "x"), DigestMismatchError, "not the one asked for"),
        (("export", "-o", "oci:new", "nano"), UsageError, "which layer of the image.*oci:new#0"),
        (("export", "-o", "oci:new#1", "nano"), UsageError, "a base layer as layer #1"),
        (("export", "-o", "oci:new#0", "-l", "nano", "app"), UsageError, "a non-base layer as layer #0"),
        (("export", "-o", "oci:new#1", "-l", "nano", "app"), NotFoundError, "no layer to put it on"),
        (("export", "-o", "oci:two:t#0", "nano"), AlreadyExistsError, "an image already"),
        (("export", "-o", "x.tar", "-l", "nano", "oci:two:t#0"), UsageError, "-l and --verify-content"),
        (("export", "-o", "oci:new#0", "oci:bad:t#0"), DigestMismatchError, "not the one that the config names"),
        (("export", "-o", "x.tar", "oci:bad:t#0"), DigestMismatchError, "not the one that the config names"),
        (("import", "-i", "oci:bad:t#0", "x"), DigestMismatchError, "its diff_id differs"),
    ],
)
def test_single_layers_refused(here: Path, arguments: tuple[str, ...], error: type[WclayerError], text: str) -> None:
    layout(here / "two", [BASE_TAR, TOP_TAR])
    layout(here / "bad", config=lambda value: value["rootfs"].update(diff_ids=[digest(TOP_TAR)]))
    run("import", "-q", "-i", "oci:two:t#0", "nano")
    run("import", "-q", "-l", "nano", "-i", "oci:two:t#1", "app")
    before = snapshot(here)
    with pytest.raises(error, match=text):
        run(*arguments)
    assert snapshot(here) == before


def test_a_layer_out_of_an_archive(here: Path) -> None:
    (here / "a.tar").write_bytes(tar(members(layout(here / "d", [BASE_TAR]))))
    run("export", "-q", "-z", "-o", "l.tgz", "oci-archive:a.tar#0")
    assert hashlib.sha256((here / "l.tgz").read_bytes()).hexdigest()
    run("import", "-q", "-i", "l.tgz", "layer", "--diff-id", digest(BASE_TAR))
