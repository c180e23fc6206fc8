"""The examples of each help, run as they stand there."""

from __future__ import annotations

import gzip
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from unittest import mock

import pytest

from tests.command import wclayer
from tests.hosts import posix_only
from tests.tars import BASE, M, build, directory
from wclayer.cli.hive import hive
from wclayer.cli.main import cli

TAR = build(
    [
        *BASE,
        M("Files/f", b"hello" * 500),
        M("Files/setup.exe", b"MZ"),
        M("Files/setup.exe:Zone.Identifier", b"[ZoneTransfer]\r\nZoneId=3\r\n"),
        directory("Files/Windows"),
        M("Files/Windows/win.ini", b"; for 16-bit app support\r\n"),
    ]
)
UPPER = build([*BASE, M("Files/g", b"upper")])
IMAGE_TOML = b"""
[image]
cmd = ["cmd.exe"]

[[files]]
source = "hello"
"""
DOCKERFILE = b"""
FROM scratch
ARG VERSION
COPY hello/hello.cmd C:/tool-$VERSION/
"""
REG = b"""Windows Registry Editor Version 5.00

[HKEY_LOCAL_MACHINE\\SOFTWARE\\Acme]
"Version"="1.0"
"Level"=dword:0000002a
"Blob"=hex:01,02,03

[HKEY_LOCAL_MACHINE\\SOFTWARE\\Acme\\Settings]
@="x"
"""
HIVES = ["hive new SOFTWARE", "hive import --in-place SOFTWARE acme.reg", "makebaselayer layer"]
IN_LAYERS = [
    "hive import --force layer//Files/Windows/System32/config/SOFTWARE acme.reg -o layer/{}".format(
        "Files/Windows/System32/config/SOFTWARE"
    ),
    "hive new --version 1.6 upper/Hives/Software_Delta",
    "hive new --version 1.6 Software_Delta",
    "hive new --version 1.6 Second_Delta",
]
INSIDE = [
    "import -i layer.tar nanoserver",
    "build hello -o oci:base:nanoserver",
    "build app --from oci:base:nanoserver -o oci:out:app",
]
# What must be there first, for the help of each command.
BEFORE = {
    "build": ["build hello -o oci:base:nanoserver"],
    "copy": [
        "build hello -o oci:out:hello --os-version 10.0.20348.2227",
        "index -o oci:out:all oci:out:hello",
    ],
    "layers": [
        "build hello -o oci:base:nanoserver",
        "build hello -o oci:out:hello --os-version 10.0.20348.2227",
        "index -o oci:out:all oci:out:hello",
    ],
    "index": [
        "build hello -o oci:out:ltsc2019 --os-version 10.0.17763.5329",
        "build hello -o oci:out:ltsc2022 --os-version 10.0.20348.2227",
    ],
    "import": ["build hello -o oci:out:hello"],
    "export": [
        "import -i layer.tar nanoserver",
        "import -l nanoserver -i patch.tar app",
        "import -l nanoserver -i patch.tar transport:app-transport",
        "build hello -o oci:out:hello",
    ],
    "squash": [
        "import -i layer.tar nanoserver",
        "import -l nanoserver -i patch.tar service",
        "build hello -o oci:base:nanoserver",
        "build app --from oci:base:nanoserver -o oci:out:app",
    ],
    "ls": [*INSIDE, *HIVES, *IN_LAYERS],
    "cat": INSIDE,
    "extract": INSIDE,
    "find": INSIDE,
    "inspect": [
        "import -i layer.tar nanoserver",
        "build hello -o oci:base:nanoserver",
        "build hello --from oci:base:nanoserver -o oci:out:app",
    ],
    "diff": [
        "import -i layer.tar nanoserver",
        "build hello -o oci:base:nanoserver",
        "build app --from oci:base:nanoserver -o oci:out:app",
    ],
    "verify": ["import -i layer.tar nanoserver", "build hello -o oci:out:hello"],
    "status": ["import -i layer.tar nanoserver", "import -i layer.tar app"],
    "makebaselayer": [],
    "completion": [],
    "wclayer": ["build hello -o oci:base:nanoserver", *HIVES],
    "hive": [*HIVES, *IN_LAYERS],
    "hive show": [*HIVES, *IN_LAYERS],
    "hive get": [*HIVES, *IN_LAYERS],
    "hive check": [*HIVES, *IN_LAYERS],
    "hive export": [*HIVES, *IN_LAYERS, "hive new other.hiv"],
    "hive import": HIVES,
    "hive new": [],
    "hive diff": [*HIVES, *IN_LAYERS, "makebaselayer other", "hive new changed"],
    "hive merge": [*HIVES, *IN_LAYERS],
    "hive recover": HIVES,
}


def examples(command: str) -> list[str]:
    arguments = [] if command == "wclayer" else command.split()
    text = wclayer(*arguments, "--help", check=True).stdout.decode()
    lines = re.findall(r"^ +((?:cat [^|]*\| )?wclayer [^-\n].*)$", text.partition("Examples:")[2], re.MULTILINE)
    assert lines
    return [line for line in lines if "docker://" not in line]  # these want a registry: tests/compat/test_registry_docs


def test_every_command_has_examples() -> None:
    below = {f"hive {name}" for name in hive.commands}
    # tests/compat/test_disk_examples.py, tests/compat/wine/test_help.py
    elsewhere = {"disk", "process", "create", "mount", "unmount", "remove"}
    assert {*BEFORE, *elsewhere} == {*cli.commands, *below, "wclayer"}


@posix_only("a shell")
@pytest.mark.parametrize("command", BEFORE)
def test_the_examples_of_each_help_run(tmp_path: Path, command: str) -> None:
    """In an order in which each finds what it needs."""
    run_examples(tmp_path, command, BEFORE[command])


def run_line(line: str, place: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[bytes]:
    """Run a line of an example; by a shell, which starts a program, only if it needs one."""
    if re.search(r"[|<>&;$`~*?]", line):
        return subprocess.run(["sh", "-c", line], cwd=place, env=environment, capture_output=True, check=False)
    with mock.patch.dict(os.environ, environment):
        return wclayer(*shlex.split(line)[1:], cwd=place)


def run_examples(tmp_path: Path, command: str, before: list[str]) -> None:
    script = tmp_path / "bin" / "wclayer"
    script.parent.mkdir()
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m wclayer "$@"\n')
    script.chmod(0o755)
    for folder in (".local/share/bash-completion/completions", ".zfunc", ".config/fish/completions"):
        (tmp_path / folder).mkdir(parents=True)
    more = {"PATH": f"{script.parent}:{os.environ['PATH']}", "HOME": str(tmp_path), "PROFILE": "p"}
    environment = {**os.environ, **more}
    place = tmp_path / "here"
    (place / "hello" / "Files").mkdir(parents=True)
    (place / "hello" / "hello.cmd").write_bytes(b"@echo hello\r\n")
    (place / "image.toml").write_bytes(IMAGE_TOML)
    (place / "Dockerfile").write_bytes(DOCKERFILE)
    (place / "settings.reg").write_bytes(REG)
    (place / "layer.tar").write_bytes(TAR)
    (place / "layer.tar.gz").write_bytes(gzip.compress(TAR))
    (place / "app.tar.gz").write_bytes(gzip.compress(UPPER))
    (place / "patch.tar").write_bytes(UPPER)
    (place / "changed.tar").write_bytes(build([*BASE, M("Files/f", b"changed")]))
    (place / "acme.reg").write_bytes(REG)
    for name in ("SOFTWARE.LOG1", "SOFTWARE.LOG2"):  # of a hive that is clean
        (place / name).write_bytes(bytes(512))
    for folder in ("layer/Files", "other/Files", "upper/Files", "upper/Hives"):
        (place / folder).mkdir(parents=True)
    if command in ("build", "diff", "squash", "wclayer", "ls", "cat", "extract", "find"):
        (place / "app").mkdir()
        (place / "app" / "app.exe").write_bytes(b"MZ")
    for line in (*(f"wclayer {line}" for line in before), *examples(command)):
        if command in ("wclayer", "export") and line.startswith("wclayer export") and "-o" in line:
            line = line.replace("export", "export --force", 1)  # noqa: PLW2901 # some of it is there already
        done = run_line(line, place, environment)
        says = re.search(r"wclayer (hive diff|diff|verify) ", line)  # with 1, that there is something to say
        assert done.returncode in ((0, 1) if says else (0,)), (line, done.stderr)
