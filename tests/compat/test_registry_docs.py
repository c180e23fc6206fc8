"""What README and docs/registries.md say of registries, run as it stands there against one on loopback."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.command import wclayer
from tests.compat.registries import DockerRegistry, docker_registry
from tests.compat.tools import REPOSITORY

HOSTS = re.compile(r"docker://(?:registry\.example|mcr\.microsoft\.com|localhost:5000)/")


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DockerRegistry]:
    with docker_registry(tmp_path_factory.mktemp("registry") / "r") as running:
        yield running


def run(folder: Path, host: str, line: str) -> None:
    command = shlex.split(HOSTS.sub(f"docker://{host}/", line.partition("  #")[0]))
    assert command[0] == "wclayer"
    done = wclayer(*command[1:], cwd=folder)
    assert done.returncode == 0, (line, done.stderr)


def test_the_registries_of_the_readme(tmp_path: Path, registry: DockerRegistry) -> None:
    """An app on a base that is in a registry, pushed; the base pulled."""
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8").replace("\\\n", "")
    (tmp_path / "app/app").mkdir(parents=True)
    (tmp_path / "app/app/hello.cmd").write_text("echo hello")
    run(tmp_path, registry.host, "wclayer build app -o docker://mcr.microsoft.com/windows/nanoserver:ltsc2022")
    lines = re.findall(r"^(wclayer .*docker://.*)$", readme, re.MULTILINE)
    assert len(lines) == 3
    for line in lines:
        run(tmp_path, registry.host, line)
    assert set(registry.tags("team/app")) == {"1.0"}


def test_the_examples_of_the_help(tmp_path: Path, registry: DockerRegistry) -> None:
    (tmp_path / "hello").mkdir()
    run(tmp_path, registry.host, "wclayer build hello -o oci:out:hello")
    run(tmp_path, registry.host, "wclayer build hello --from oci:out:hello -o oci:out:app")
    lines = []
    for name in ("copy", "squash"):
        found = subprocess.run([sys.executable, "-m", "wclayer", name, "--help"], capture_output=True, check=True)
        lines += re.findall(r"^ +(wclayer .*docker://.*)$", found.stdout.decode(), re.MULTILINE)
    assert len(lines) == 3
    for line in lines:
        run(tmp_path, registry.host, line)
    assert (tmp_path / "pulled" / "index.json").exists()


def test_the_examples_of_the_page(tmp_path: Path, registry: DockerRegistry) -> None:
    page = (REPOSITORY / "docs" / "registries.md").read_text(encoding="utf-8")
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "app.exe").write_bytes(b"MZ")
    (tmp_path / "auth.json").write_text("{}")
    run(tmp_path, registry.host, "wclayer build app -o oci:out:app")
    for tag in ("ltsc2022", "ltsc2025"):  # what stands for Microsoft's
        run(
            tmp_path,
            registry.host,
            f"wclayer copy --force oci:out:app docker://mcr.microsoft.com/windows/nanoserver:{tag}",
        )
    lines = re.findall(r"^    (wclayer .*)$", page, re.MULTILINE)
    assert len(lines) == 5
    for line in lines:
        # The same tag comes twice.
        run(tmp_path, registry.host, line.replace("wclayer build", "wclayer build --force"))
    assert (tmp_path / "nanoserver" / "Files" / "app.exe").read_bytes() == b"MZ"
    [code] = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    run(tmp_path, registry.host, "wclayer build app -o oci:out:app --force")
    code = HOSTS.sub(f"docker://{registry.host}/", code).replace("app:1.2", "app:1.3")
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert b"windows/amd64 ['sha256:" in done.stdout
