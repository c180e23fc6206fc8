"""The README's tour and its Python, run as they stand there."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.hosts import WINDOWS, posix_only
from wclayer.regf.minimal import minimal_hive
from wclayer.regf.model import dword
from wclayer.regf.reader import read_hive

REPOSITORY = Path(__file__).parents[2]
README = (REPOSITORY / "README.md").read_text(encoding="utf-8")


@posix_only("a shell")
def test_the_tour(tmp_path: Path) -> None:
    tour = README.partition("## Ten lines of tour")[2].partition("## As a library")[0]
    commands = [line.partition("  #")[0].strip() for line in re.findall(r"^\$ (.*)$", tour, re.MULTILINE)]
    assert len(commands) == 10
    assert commands[0] == "pip install ."  # done already, by whoever runs the tests
    script = tmp_path / "bin" / "wclayer"
    script.parent.mkdir()
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m wclayer "$@"\n')
    script.chmod(0o755)
    (tmp_path / "examples").symlink_to(REPOSITORY / "examples")
    path = f"{script.parent}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "XDG_CACHE_HOME": str(tmp_path / "cache")}
    for command in commands[1:]:
        done = subprocess.run(["sh", "-c", command], cwd=tmp_path, env=environment, capture_output=True, check=False)
        assert done.returncode == 0, (command, done.stderr)
    index = json.loads((tmp_path / "out/index.json").read_bytes())
    tags = [one["annotations"]["org.opencontainers.image.ref.name"] for one in index["manifests"]]
    assert tags == ["hostprocess", "base", "service", "one"]
    assert "Files/Service/1.0/service.cmd" in done.stdout.decode()


def test_the_main_job_is_the_one_of_the_tour() -> None:
    main, _, rest = README.partition("## The main job, in one command")[2].partition("## Two commands")
    command, push = re.findall(r"^\$ (wclayer .*)$", main, re.MULTILINE)
    assert f"$ {command} " in rest
    assert push.startswith(f"wclayer copy {command.rpartition(' ')[2]} docker://registry.example/")


@pytest.mark.skipif(WINDOWS, reason="Windows makes layers of its own here, with privileges: tests/windows")
def test_the_library(tmp_path: Path) -> None:
    found = re.search(r"```python\n(.*?)```", README, re.DOTALL)
    assert found is not None
    subprocess.run(
        [sys.executable, str(REPOSITORY / "examples/sample_layer.py"), "layer.tar"], cwd=tmp_path, check=True
    )
    done = subprocess.run([sys.executable, "-c", found[1]], cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert b"app.exe 5002 0x20" in done.stdout
    assert (tmp_path / "out.tar").stat().st_size > 1 << 20


def test_hives_in_python(tmp_path: Path) -> None:
    text = (REPOSITORY / "docs" / "hives.md").read_text(encoding="utf-8")
    found = re.search(r"```python\n(.*?)```", text, re.DOTALL)
    assert found is not None
    (tmp_path / "SOFTWARE").write_bytes(minimal_hive(7))
    subprocess.run([sys.executable, "-c", found[1]], cwd=tmp_path, check=True)
    acme = read_hive((tmp_path / "changed").read_bytes()).root.subkey("Acme")
    assert acme is not None
    assert acme.value("Level") == dword("Level", 2)


def test_links_lead_somewhere() -> None:
    for page in (REPOSITORY / "README.md", *(REPOSITORY / "docs").glob("*.md")):
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8")):
            assert target.startswith("http") or (page.parent / target).exists(), (page, target)
