"""The README and what the docs link to: each block of the README runs, in the order of the page, in an empty folder."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.hosts import WINDOWS, posix_only
from wclayer.regf.minimal import minimal_hive
from wclayer.regf.model import dword
from wclayer.regf.reader import read_hive

REPOSITORY = Path(__file__).parents[2]
README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
PAGES = [REPOSITORY / "README.md", REPOSITORY / "findings/README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]
INSTALLED = re.compile(r"(python3 -m )?pip install \S+")  # done already, by whoever runs the tests
# Registries of others are layouts here; tests/compat/test_registry_docs.py runs the same with a registry.
PLACES = {
    "docker://mcr.microsoft.com/windows/nanoserver:ltsc2022": "oci:microsoft:nanoserver-ltsc2022",
    "docker://registry.example/team/app:": "oci:registry:app-",
}


def blocks() -> list[tuple[str, str]]:
    """Language and text of each block; of a YAML block for CI, the shell commands in it."""
    found = re.findall(r"^```(\w+)\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
    return [
        ("sh", "\n".join(re.findall(r"^ *- (?:run: )?((?:pip|wclayer) .*)$", text, re.MULTILINE)))
        if language == "yaml"
        else (language, text)
        for language, text in found
    ]


def prepare_base(folder: Path) -> None:
    """A stand-in for Microsoft's image."""
    (folder / "nanoserver/Windows/System32").mkdir(parents=True)
    (folder / "nanoserver/Windows/System32/kernel32.dll").write_bytes(b"MZ")
    (folder / "nanoserver/License.txt").write_text("terms")
    command = [sys.executable, "-m", "wclayer", "build", "-q", "nanoserver", "-o", "oci:microsoft:nanoserver-ltsc2022"]
    subprocess.run(command, cwd=folder, check=True)


def runnable(text: str) -> str:
    text = INSTALLED.sub("true", text)
    for place, here in PLACES.items():
        text = text.replace(place, here)
    assert "docker://" not in text
    return re.sub(r"^wclayer diff .*", r"\g<0> || test $? = 1", text, flags=re.MULTILINE)  # there are differences


@posix_only("a shell")
def test_the_whole_page_runs(tmp_path: Path) -> None:
    programs, page = tmp_path / "programs", tmp_path / "page"
    programs.mkdir()
    page.mkdir()
    (programs / "wclayer").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m wclayer "$@"\n')
    (programs / "wclayer").chmod(0o755)
    environment = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}", "XDG_CACHE_HOME": str(tmp_path / "cache")}
    prepare_base(tmp_path)
    (tmp_path / "microsoft").rename(page / "microsoft")
    printed = {}
    for language, text in blocks():
        command = [sys.executable, "-c", text] if language == "python" else ["sh", "-ec", runnable(text)]
        done = subprocess.run(command, cwd=page, env=environment, capture_output=True, check=False)
        assert done.returncode == 0, (text, done.stderr)
        printed[text.splitlines()[0]] = done.stdout.decode()
    assert "report.ps1" in printed["mkdir report"]
    assert "Files/app/hello.cmd" in printed["from wclayer import list_files, read_file, read_hive, verify_layer"]
    index = json.loads((page / "registry/index.json").read_bytes())
    tags = [one["annotations"]["org.opencontainers.image.ref.name"] for one in index["manifests"]]
    assert tags == ["app-1.0", "app-ci"]
    assert (page / "licence/License.txt").exists()
    assert json.loads((page / "app.sarif").read_bytes())["version"] == "2.1.0"


def test_the_page_is_short() -> None:
    assert README.count("\n") <= 150
    assert len(blocks()) >= 7


@pytest.mark.skipif(WINDOWS, reason="Windows makes layers of its own here, with privileges: tests/windows")
def test_the_page_of_the_library(tmp_path: Path) -> None:
    """Its blocks, one after the other, as one program."""
    text = (REPOSITORY / "docs" / "python.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert all(len(block.splitlines()) <= 12 for block in blocks)
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(blocks)], cwd=tmp_path, capture_output=True, check=False, encoding="utf-8"
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "True",
        "['gzip'] windows/amd64",
        "['Files/Windows', 'Files/hello.cmd']",
        "b'@echo hello\\r\\n'",
        "6 b'hello'",
        "['Files/hello.cmd']",
        "True 0 2.1.0",
        "Files/Windows/System32/config/DEFAULT",
        "True",
        f"{datetime.now(UTC).year} O:BA",
        "Administrators",
    ]


def test_hives_in_python(tmp_path: Path) -> None:
    text = (REPOSITORY / "docs" / "hives.md").read_text(encoding="utf-8")
    found = re.search(r"```python\n(.*?)```", text, re.DOTALL)
    assert found is not None
    (tmp_path / "SOFTWARE").write_bytes(minimal_hive(7))
    subprocess.run([sys.executable, "-c", found[1]], cwd=tmp_path, check=True)
    acme = read_hive((tmp_path / "changed").read_bytes()).root.subkey("Acme")
    assert acme is not None
    assert acme.value("Level") == dword("Level", 2)


def anchor(heading: str) -> str:
    """The name of a heading in a link, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def headings(page: Path) -> set[str]:
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    named = re.findall(r'<a (?:id|name)="([^"]+)"', text)
    return {*named, *(anchor(one) for one in re.findall(r"^#+ (.*)$", text, re.MULTILINE))}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if link.startswith("http"):
            continue
        path, _, fragment = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), link
        assert not fragment or fragment in headings(target), link
