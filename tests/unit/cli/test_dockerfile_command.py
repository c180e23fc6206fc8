"""wclayer build -f Dockerfile, as its users meet it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.hosts import caches_in
from tests.images import BASE_TAR, layout
from tests.unit.cli.test_image_commands import config, run
from wclayer.entry import File
from wclayer.errors import AlreadyExistsError, NotFoundError, SpecError, UsageError, WclayerError
from wclayer.images.reading import open_image

TEXT = """\
ARG NAME=hello.cmd
FROM base AS one
ARG NAME
COPY ${NAME} /one/
LABEL stage=one
FROM base
ARG NAME
COPY --from=one /one /two
COPY --from=tool t.exe C:/
USER ContainerUser
ENTRYPOINT ["C:\\\\two\\\\hello.cmd"]
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a context, a base, a tool, and a cache of its own."""
    monkeypatch.chdir(tmp_path)
    caches_in(tmp_path / "cache", monkeypatch)
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    files = {"c/hello.cmd": "@echo", "c/other.cmd": "@rem", "c/Dockerfile": TEXT, "tool/t.exe": "MZ"}
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, newline="")
        os.utime(tmp_path / name, (0, 1_700_000_000))
    for name in ("c", "tool"):
        os.utime(tmp_path / name, (0, 1_700_000_000))
    layout(tmp_path / "base", [BASE_TAR], tag="nano")
    return tmp_path


CONTEXTS = ("--build-context", "base=oci:base:nano", "--build-context", "tool=tool")


def names(place: str, number: int) -> list[str]:
    with open_image(place) as image:
        return [entry.path for entry, _ in image.layers[number].source().entries() if isinstance(entry, File)]


def test_a_build(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("build", "-f", "c/Dockerfile", "-o", "oci:out:t", *CONTEXTS)
    out, err = capsys.readouterr()
    assert err == ""
    assert out.startswith("built oci:out:t: windows/amd64:10.0.20348.2227, 2023-11-14T22:13:20Z, in ")
    assert "base    1 layer\n" in out
    assert names("oci:out:t", 1) == ["Files/two/hello.cmd"]
    assert names("oci:out:t", 2) == ["Files/t.exe"]
    assert config("oci:out:t")["config"] == {"User": "ContainerUser", "Entrypoint": ["C:\\two\\hello.cmd"]}


def test_several_outputs(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    outputs = ("-o", "oci:out:t", "-o", "oci-archive:out.tar")
    run("build", "-f", "c/Dockerfile", *outputs, *CONTEXTS)
    out, err = capsys.readouterr()
    assert err == ""
    assert out.startswith("built oci:out:t, oci-archive:out.tar: windows/amd64")
    assert config("oci:out:t") == config("oci-archive:out.tar")
    with pytest.raises(AlreadyExistsError):
        run("build", "-f", "c/Dockerfile", "-o", "oci:new:t", "-o", "oci-archive:out.tar", *CONTEXTS)
    assert not (here / "new").exists()


def test_the_options_of_a_dockerfile(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(
        *("build", "--json", "-f", "c/Dockerfile", "-o", "oci:out:t", *CONTEXTS, "--target", "one"),
        *("--build-arg", "NAME=other.cmd", "--build-arg", "X=a=b"),
    )
    found = json.loads(capsys.readouterr().out)
    assert found["warnings"] == ["c/Dockerfile: no ARG asks for the build argument X"]
    assert found["base_layers"] == 1
    assert [layer["entries"]["files"] for layer in found["layers"]] == [1]
    assert names("oci:out:t", 1) == ["Files/one/other.cmd"]
    assert config("oci:out:t")["config"]["Labels"] == {"stage": "one"}


def test_build_arguments_of_the_environment(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAME", "other.cmd")
    monkeypatch.delenv("UNSET", raising=False)
    options = ("--target", "one", "--build-arg", "UNSET")
    run("build", "-f", "c/Dockerfile", "-o", "oci:out:t", *CONTEXTS, *options, "--build-arg", "NAME")
    assert names("oci:out:t", 1) == ["Files/one/other.cmd"]
    run("build", "-f", "c/Dockerfile", "-o", "oci:out:u", *CONTEXTS, *options)
    assert names("oci:out:u", 1) == ["Files/one/hello.cmd"]


def test_all_other_options(here: Path) -> None:
    run(
        *("build", "-f", "c/Dockerfile", "-o", "oci:out:t", "--from", "oci:base:nano", "--build-context", "tool=tool"),
        *("--build-context", "base=oci:base:nano", "--entrypoint", "x", "--env", "A=b", "--label", "l=m"),
        *("--user", "u", "--annotation", "n=o", "--created", "5", "--compress", "none", "--times", "epoch"),
    )
    with open_image("oci:out:t") as image:
        assert image.config["config"] == {"User": "u", "Entrypoint": ["x"], "Env": ["A=b"], "Labels": {"l": "m"}}
        assert image.config["created"] == "1970-01-01T00:00:05Z"
        assert image.manifest_annotations["n"] == "o"
        assert image.layers[1].compression == "none"


def test_from_stands_in_for_the_image_of_the_target(here: Path) -> None:
    (here / "c/Dockerfile").write_text("FROM registry.invalid/never:1\nCOPY hello.cmd /\n")
    run("build", "-f", "c/Dockerfile", "-o", "oci:out:t", "--from", "oci:base:nano")
    assert names("oci:out:t", 0) == ["Files/f"]
    assert names("oci:out:t", 1) == ["Files/hello.cmd"]


@pytest.mark.parametrize(
    "name", ["Dockerfile", "dockerfile", "Containerfile", "Dockerfile.win", "win.Dockerfile", "x.containerfile"]
)
def test_names_of_dockerfiles(here: Path, name: str) -> None:
    (here / "c/Dockerfile").unlink()
    (here / "c" / name).write_text("FROM scratch\nCOPY hello.cmd /\n")
    run("build", "-f", f"c/{name}", "-o", "oci:out:t")
    assert "Files/hello.cmd" in names("oci:out:t", 0)
    # The context is where the file is, or what is said.
    run("build", "-f", f"c/{name}", "-o", "oci:out:u", "c")
    with pytest.raises(NotFoundError, match="line 2: no such file in the context"):
        run("build", "-f", f"c/{name}", "-o", "oci:out:v", "tool")


def test_its_own_dockerignore(here: Path) -> None:
    (here / "c/Dockerfile").write_text("FROM scratch\nCOPY *.cmd /\n")
    (here / "c/.dockerignore").write_text("hello.cmd")
    (here / "c/Dockerfile.dockerignore").write_text("other.cmd")
    run("build", "-f", "c/Dockerfile", "-o", "oci:out:t")
    found = names("oci:out:t", 0)
    assert "Files/hello.cmd" in found
    assert "Files/other.cmd" not in found


def test_warnings_go_to_stderr(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "c/Dockerfile").write_text("FROM scratch\nCOPY hello.cmd C:\\x\nCOPY *.none /y/\n")
    run("build", "-f", "c/Dockerfile", "-o", "oci:out:t")
    out, err = capsys.readouterr()
    assert "warning" not in out
    assert [line.partition(" is ")[0] for line in err.splitlines()] == [
        "warning: c/Dockerfile, line 2: C:x",
        "warning: c/Dockerfile, line 3: *.none fits nothing",
    ]


@pytest.mark.parametrize(
    ("arguments", "kind", "match"),
    [
        (["c", "--target", "x"], UsageError, "are for a Dockerfile"),
        (["c", "--build-arg", "A=b"], UsageError, "are for a Dockerfile -- say -f Dockerfile"),
        (["c", "--build-context", "A=b"], UsageError, "are for a Dockerfile"),
        (["-f", "c/Dockerfile", "c", "tool"], UsageError, "several contexts with -f"),
        (["-f", "c/Dockerfile", "--build-arg", "=b"], UsageError, "--build-arg; expected NAME=VALUE; got =b"),
        (["-f", "c/Dockerfile", "--build-context", "b"], UsageError, "--build-context"),
        (["-f", "none/Dockerfile"], NotFoundError, "none/Dockerfile: no such file"),
        (["-f", "c/Dockerfile", "--target", "x", *CONTEXTS], SpecError, "no such stage; expected one, 1; got x"),
        (["-f", "tool/Dockerfile"], SpecError, "without instructions"),
        (["-f", "run/Dockerfile"], SpecError, "line 2: RUN needs a Windows"),
    ],
)
def test_refused(here: Path, arguments: list[str], kind: type[WclayerError], match: str) -> None:
    (here / "tool/Dockerfile").write_text("# nothing\n")
    (here / "run").mkdir()
    (here / "run/Dockerfile").write_text("FROM scratch\nRUN dir\n")
    with pytest.raises(kind, match=match):
        run("build", "-o", "oci:out:t", *arguments)
    assert not (here / "out").exists()


def test_the_output_must_not_be_in_what_is_copied(here: Path) -> None:
    (here / "c/Dockerfile").write_text("FROM scratch\nCOPY . /\n")
    with pytest.raises(UsageError, match="the output lies in a folder that is to be part of the image"):
        run("build", "-f", "c/Dockerfile", "-o", "oci:c/out:t")
    (here / "c/.dockerignore").write_text("out\n")
    run("build", "-f", "c/Dockerfile", "-o", "oci:c/out:t")
    assert "Files/hello.cmd" in names("oci:c/out:t", 0)
    assert not [name for name in names("oci:c/out:t", 0) if name.startswith("Files/out")]


def test_the_exit_code_and_the_line(here: Path) -> None:
    (here / "c/Dockerfile").write_text("FROM scratch\n\nRUN \x1b[31m\n")
    done = subprocess.run(
        [sys.executable, "-m", "wclayer", "build", "-f", "c/Dockerfile", "-o", "oci:out:t"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 10
    assert done.stdout == ""
    assert "c/Dockerfile: line 3: RUN needs a Windows" in done.stderr
    assert "\x1b" not in done.stderr
    assert len(done.stderr.splitlines()) == 1
