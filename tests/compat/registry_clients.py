"""Programs that talk to registries under test: the command, skopeo, podman; and what they are given."""

from __future__ import annotations

import base64
import filecmp
import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tests.command import CAN_FORK, in_a_fork
from tests.compat.clients import blobs
from tests.compat.registries import PASSWORD, USER, DockerRegistry
from tests.compat.tools import missing, tool
from wclayer.cli import network
from wclayer.distribution.backoff import Backoff
from wclayer.distribution.registries import Registries

VERSIONS = ("10.0.17763.5329", "10.0.20348.2227")
SINGLE = ("gzip", "zstd", "none", "stack")
IMAGES = (*SINGLE, "index")
DROPPED = re.compile(r"XDG_.*|.*_proxy|SOURCE_DATE_EPOCH|SSL_CERT_.*|DOCKER_.*|REGISTRY_.*|WCLAYER_.*", re.IGNORECASE)
# The command as it is, but for its patience.
QUICK = """
from functools import partial
from wclayer.cli import main, network
from wclayer.distribution.backoff import Backoff
from wclayer.distribution.registries import Registries
network.Registries = partial(network.Registries, backoff=Backoff(first=0.01, most=0.05))
main()
"""


def _be_quick() -> None:
    vars(network)["Registries"] = partial(Registries, backoff=Backoff(first=0.01, most=0.05))


@dataclass
class Done:
    code: int
    out: str
    err: str


class Cli:
    """`wclayer`, with a home and a temporary folder of its own."""

    def __init__(self, folder: Path, *, quick: bool = True) -> None:
        self.home, self.temp_dir = folder / "home", folder / "temporary"
        self.home.mkdir(parents=True)
        self.temp_dir.mkdir()
        self.environment = {key: text for key, text in os.environ.items() if not DROPPED.fullmatch(key)}
        self.environment |= {"HOME": str(self.home), "TMPDIR": str(self.temp_dir)}
        self._quick = quick
        self._program = [sys.executable, *(("-c", QUICK) if quick else ("-m", "wclayer"))]

    def start(self, *arguments: str | Path) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*self._program, *map(str, arguments)],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
        )

    def run(self, *arguments: str | Path, seconds: float = 60) -> Done:
        if CAN_FORK:
            done = in_a_fork(
                *arguments, env=self.environment, seconds=seconds, prepare=_be_quick if self._quick else None
            )
            assert not list(self.temp_dir.iterdir())
            return Done(done.returncode, done.stdout.decode(), done.stderr.decode())
        with self.start(*arguments) as process:
            try:
                out, err = process.communicate(timeout=seconds)
            except BaseException:
                process.kill()
                raise
        assert not list(self.temp_dir.iterdir())
        return Done(process.returncode, out, err)

    def json(self, *arguments: str | Path) -> dict[str, Any]:
        """What it prints with --json; it must succeed."""
        done = self.run(arguments[0], "--json", *arguments[1:])
        assert done.code == 0, done.err
        result: dict[str, Any] = json.loads(done.out)
        return result

    def fails(self, code: int, *arguments: str | Path) -> str:
        """Its one line on stderr."""
        done = self.run(*arguments)
        assert done.code == code, done
        assert not done.out
        [line] = done.err.splitlines()
        assert line.startswith("wclayer: ")
        return line


def root_of(layout: Path) -> str:
    """The digest of the image of a layout's one tag."""
    [found] = json.loads((layout / "index.json").read_bytes())["manifests"]
    name: str = found["digest"]
    return name


def layer_of(layout: Path) -> tuple[str, int]:
    """The digest and the size of an image's last layer."""
    manifest = json.loads((layout / "blobs" / root_of(layout).replace(":", "/")).read_bytes())
    return manifest["layers"][-1]["digest"], manifest["layers"][-1]["size"]


def check_stored(registry: DockerRegistry, repository: str, image: Path) -> None:
    """The registry has every blob of the image, byte for byte, and the tag t leads to it."""
    assert registry.tags(repository) == {"t": root_of(image)}
    for name in blobs(image):
        mine = image / "blobs" / name.replace(":", "/")
        assert filecmp.cmp(registry.blob(name), mine, shallow=False)


def skopeo(*arguments: str | Path, env: dict[str, str] | None = None) -> str:
    command = [tool("skopeo"), "--insecure-policy", "--override-os", "windows", *map(str, arguments)]
    done = subprocess.run(command, env=env, capture_output=True, check=False, timeout=120, encoding="utf-8")
    assert done.returncode == 0, done.stderr
    return done.stdout


# skopeo compresses what is not compressed, unless digests matter.
SKOPEO_COPY = ("copy", "--quiet", "--preserve-digests", "--src-tls-verify=false", "--dest-tls-verify=false")


class Podman:
    """podman with a store of its own, as root; `folder` has a short name, as a runroot may have just 50 characters."""

    def __init__(self, folder: Path) -> None:
        if os.getuid() != 0:
            missing("root, for podman")
        self.root = folder / "root"
        self._command = [tool("podman"), "--root", str(self.root), "--runroot", str(folder / "run")]
        self._command += ["--storage-driver", "vfs", "--tmpdir", str(folder / "tmp")]
        self.environment = {**os.environ, "HOME": str(folder)}

    def run(self, *arguments: str | Path) -> str:
        command = [*self._command, *map(str, arguments)]
        done = subprocess.run(
            command, env=self.environment, capture_output=True, check=False, timeout=120, encoding="utf-8"
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def pull(self, name: str, *options: str) -> dict[str, Any]:
        """Pull an image; what `podman image inspect` says of it. Without options, from a plain registry."""
        self.run("pull", "--quiet", *(options or ("--tls-verify=false",)), "--os", "windows", f"docker://{name}")
        [found] = json.loads(self.run("image", "inspect", name))
        result: dict[str, Any] = found
        return result

    def manifest(self, image: str) -> bytes:
        """The manifest of an image of this ID, as it is stored."""
        return (self.root / "vfs-images" / image / "manifest").read_bytes()


def all_of(image: str) -> tuple[str, ...]:
    return ("--all",) if image == "index" else ()


def basic() -> str:
    return base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()


def docker_config(cli: Cli, config: dict[str, Any]) -> None:
    """~/.docker/config.json."""
    (cli.home / ".docker").mkdir(exist_ok=True)
    (cli.home / ".docker" / "config.json").write_text(json.dumps(config))
