"""Registries that run, and images to push there."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from examples.sample_layer import small, write

from tests.compat.registries import DockerRegistry, Proxy, Tls, docker_registry, make_tls, proxy
from tests.compat.registry_clients import VERSIONS, Cli, Podman
from tests.compat.test_build import make_context, set_times
from tests.images import layout


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    return Cli(tmp_path / "cli")


@pytest.fixture
def repository(request: pytest.FixtureRequest) -> str:
    """The name of a repository that no other test has."""
    return "test/" + re.sub(r"[^a-z0-9]+", "-", request.node.name.lower()).strip("-")


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DockerRegistry]:
    with docker_registry(tmp_path_factory.mktemp("plain") / "registry") as found:
        yield found


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Tls:
    return make_tls(tmp_path_factory.mktemp("ca") / "tls")


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory, tls: Tls) -> Iterator[DockerRegistry]:
    with docker_registry(tmp_path_factory.mktemp("secured") / "registry", tls) as found:
        yield found


@pytest.fixture
def before(registry: DockerRegistry) -> Iterator[Proxy]:
    with proxy(registry) as found:
        yield found


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A layout of each of IMAGES, with nothing in it but the image of tag t."""
    folder = tmp_path_factory.mktemp("images")
    cli = Cli(folder / "cli")
    context = make_context(folder / "context")
    for compress in ("gzip", "zstd", "none"):
        # Where skopeo and podman find two blobs of one diff_id, they may take the one for the other.
        (context / "tools" / "which").write_text(compress)
        set_times(context)
        cli.json("build", context, "-o", f"oci:{folder / compress}:t", "--compress", compress)
    with (folder / "base.tar").open("wb") as stream:
        write(stream, small())
    layout(folder / "base", [(folder / "base.tar").read_bytes()], gzipped=True)
    on_base = ("build", context, "--from", f"oci:{folder / 'base'}:t", "--compress", "zstd")
    cli.json(*on_base, "-o", f"oci:{folder / 'middle'}:t")
    on_top = ("build", context / "tools", "--from", f"oci:{folder / 'middle'}:t", "--compress", "none")
    assert cli.json(*on_top, "-o", f"oci:{folder / 'stack'}:t")["base_layers"] == 2
    for version in VERSIONS:
        cli.json("build", context / "tools", "-o", f"oci:{folder / version}:t", "--os-version", version)
    cli.json("index", "-o", f"oci:{folder / 'index'}:t", *(f"oci:{folder / version}:t" for version in VERSIONS))
    return folder


@pytest.fixture
def podman() -> Iterator[Podman]:
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="podman-") as folder:
        yield Podman(Path(folder))
