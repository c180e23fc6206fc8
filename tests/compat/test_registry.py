"""Images to and from a real registry, by our commands and by skopeo and podman; and one that does wrong."""

from __future__ import annotations

import base64
import filecmp
import http.client
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from examples.sample_layer import nanoserver, write

from tests.compat.clients import blobs
from tests.compat.registries import (
    PASSWORD,
    USER,
    Answer,
    DockerRegistry,
    Exchange,
    Proxy,
    Resumable,
    Tls,
    answers,
    cuts_request,
    cuts_response,
    docker_registry,
    edits,
    flips_a_byte,
    free_port,
    make_tls,
    proxy,
    redirects,
    says_another_digest,
    shortens,
    takes_at_most,
)
from tests.compat.test_build import make_context, set_times
from tests.compat.tools import missing, tool
from tests.images import digest, layout

VERSIONS = ("10.0.17763.5329", "10.0.20348.2227")
SINGLE = ("gzip", "zstd", "none", "stack")
IMAGES = (*SINGLE, "index")
DROPPED = re.compile(r"XDG_.*|.*_proxy|SOURCE_DATE_EPOCH|SSL_CERT_.*|DOCKER_.*|REGISTRY_.*|WCLAYER_.*", re.IGNORECASE)
# The command as it is, but for its patience.
QUICK = """
from functools import partial
from wclayer.cli import main, network
from wclayer.registry.backoff import Backoff
network.Registries = partial(network.Registries, backoff=Backoff(first=0.01, most=0.05))
main()
"""


@dataclass
class Done:
    code: int
    out: str
    err: str


class Cli:
    """`wclayer`, with a home and a temporary folder of its own."""

    def __init__(self, folder: Path, *, quick: bool = True) -> None:
        self.home, self.temporary = folder / "home", folder / "temporary"
        self.home.mkdir(parents=True)
        self.temporary.mkdir()
        self.environment = {key: text for key, text in os.environ.items() if not DROPPED.fullmatch(key)}
        self.environment |= {"HOME": str(self.home), "TMPDIR": str(self.temporary)}
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
        with self.start(*arguments) as process:
            try:
                out, err = process.communicate(timeout=seconds)
            except BaseException:
                process.kill()
                raise
        assert not list(self.temporary.iterdir())
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


@pytest.fixture(scope="module")
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
        write(stream, nanoserver(2_000_000))
    layout(folder / "base", [(folder / "base.tar").read_bytes()], gzipped=True)
    on_base = ("build", context, "--from", f"oci:{folder / 'base'}:t", "--compress", "zstd")
    cli.json(*on_base, "-o", f"oci:{folder / 'middle'}:t")
    on_top = ("build", context / "tools", "--from", f"oci:{folder / 'middle'}:t", "--compress", "none")
    assert cli.json(*on_top, "-o", f"oci:{folder / 'stack'}:t")["base_layers"] == 2
    for version in VERSIONS:
        cli.json("build", context / "tools", "-o", f"oci:{folder / version}:t", "--os-version", version)
    cli.json("index", "-o", f"oci:{folder / 'index'}:t", *(f"oci:{folder / version}:t" for version in VERSIONS))
    return folder


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
        self._environment = {**os.environ, "HOME": str(folder)}

    def run(self, *arguments: str | Path) -> str:
        command = [*self._command, *map(str, arguments)]
        done = subprocess.run(
            command, env=self._environment, capture_output=True, check=False, timeout=120, encoding="utf-8"
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def pull(self, name: str) -> dict[str, Any]:
        """Pull an image; what `podman image inspect` says of it."""
        self.run("pull", "--quiet", "--tls-verify=false", "--os", "windows", f"docker://{name}")
        [found] = json.loads(self.run("image", "inspect", name))
        result: dict[str, Any] = found
        return result

    def manifest(self, image: str) -> bytes:
        """The manifest of an image of this ID, as it is stored."""
        return (self.root / "vfs-images" / image / "manifest").read_bytes()


@pytest.fixture
def podman() -> Iterator[Podman]:
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="podman-") as folder:
        yield Podman(Path(folder))


# --- there and back -------------------------------------------------------------


def all_of(image: str) -> tuple[str, ...]:
    return ("--all",) if image == "index" else ()


@pytest.mark.parametrize("image", IMAGES)
def test_skopeo_takes_what_we_push(
    tmp_path: Path, cli: Cli, registry: DockerRegistry, repository: str, made: Path, image: str
) -> None:
    place = f"docker://{registry.host}/{repository}:t"
    copied = cli.json("copy", *all_of(image), f"oci:{made / image}:t", place)
    assert copied["digest"] == root_of(made / image)
    assert copied["blobs"] == {"copied": len(blobs(made / image))}
    assert copied["moved"] == copied["size"] == sum(blobs(made / image).values())
    check_stored(registry, repository, made / image)
    skopeo(*SKOPEO_COPY, *all_of(image), place, f"oci:{tmp_path / 'back'}:t")
    assert blobs(tmp_path / "back") == blobs(made / image)
    assert root_of(tmp_path / "back") == root_of(made / image)


@pytest.mark.parametrize("image", IMAGES)
def test_we_take_what_skopeo_pushes(
    tmp_path: Path, cli: Cli, registry: DockerRegistry, repository: str, made: Path, image: str
) -> None:
    place = f"docker://{registry.host}/{repository}:t"
    skopeo(*SKOPEO_COPY, *all_of(image), f"oci:{made / image}:t", place)
    copied = cli.json("copy", *all_of(image), place, f"oci:{tmp_path / 'back'}:t")
    assert copied["digest"] == root_of(made / image)
    assert blobs(tmp_path / "back") == blobs(made / image)
    assert root_of(tmp_path / "back") == root_of(made / image)


@pytest.mark.parametrize("image", SINGLE)
def test_podman(
    tmp_path: Path, cli: Cli, podman: Podman, registry: DockerRegistry, repository: str, made: Path, image: str
) -> None:
    name = f"{registry.host}/{repository}"
    cli.json("copy", f"oci:{made / image}:t", f"docker://{name}:t")
    found = podman.pull(f"{name}:t")
    manifest = json.loads((made / image / "blobs" / root_of(made / image).replace(":", "/")).read_bytes())
    diff_ids = [layer["diff_id"] for layer in cli.json("layers", f"oci:{made / image}:t")["layers"]]
    assert found["Digest"] == digest(podman.manifest(found["Id"])) == root_of(made / image)
    assert f"sha256:{found['Id']}" == manifest["config"]["digest"]
    assert found["RootFS"]["Layers"] == diff_ids
    assert (found["Os"], found["Architecture"]) == ("windows", "amd64")
    # It keeps no blobs: layers are put together again from its store, and compressed anew.
    podman.run("push", "--quiet", "--tls-verify=false", f"{name}:t", f"docker://{name}:pushed")
    copied = cli.json("copy", f"docker://{name}:pushed", f"oci:{tmp_path / 'back'}:t")
    assert copied["digest"] == registry.tags(repository)["pushed"]
    back = cli.json("layers", f"oci:{tmp_path / 'back'}:t")
    assert [layer["diff_id"] for layer in back["layers"]] == diff_ids
    for name in blobs(tmp_path / "back"):
        assert filecmp.cmp(registry.blob(name), tmp_path / "back/blobs" / name.replace(":", "/"), shallow=False)
    cli.json("import", "-i", f"oci:{tmp_path / 'back'}:t#0", tmp_path / "layer")


def test_podman_takes_one_blob_for_another(
    tmp_path: Path, cli: Cli, podman: Podman, registry: DockerRegistry, repository: str
) -> None:
    """podman 4.3.1 finds the layer uncompressed in another repository, mounts it, and calls it gzip all the same."""
    (tmp_path / "context").mkdir()
    (tmp_path / "context" / "unique").write_bytes(os.urandom(1000))
    for compress in ("none", "gzip"):
        local = f"oci:{tmp_path / compress}:t"
        cli.json("build", tmp_path / "context", "--compress", compress, "-o", local)
        skopeo(*SKOPEO_COPY, local, f"docker://{registry.host}/{repository}/{compress}:t")
    podman.pull(f"{registry.host}/{repository}/gzip:t")
    target = f"docker://{registry.host}/{repository}/pushed:t"
    podman.run("push", "--quiet", "--tls-verify=false", f"{registry.host}/{repository}/gzip:t", target)
    manifest = json.loads(registry.blob(registry.tags(f"{repository}/pushed")["t"]).read_bytes())
    diff_id, _ = layer_of(tmp_path / "none")
    assert (manifest["layers"][0]["digest"], manifest["layers"][0]["mediaType"][-5:]) == (diff_id, "+gzip")
    skopeo(*SKOPEO_COPY, target, f"oci:{tmp_path / 'theirs'}:t")
    # All clients look at the bytes; so an image like this is to be had, at least as it is.
    cli.json("copy", target, f"oci:{tmp_path / 'ours'}:t")
    assert blobs(tmp_path / "ours") == blobs(tmp_path / "theirs")


def test_podman_takes_one_of_our_index(
    cli: Cli, podman: Podman, registry: DockerRegistry, repository: str, made: Path
) -> None:
    name = f"{registry.host}/{repository}:t"
    cli.json("copy", "--all", f"oci:{made / 'index'}:t", f"docker://{name}")
    found = podman.pull(name)
    assert digest(podman.manifest(found["Id"])) in {root_of(made / version) for version in VERSIONS}


@pytest.mark.parametrize("version", VERSIONS)
def test_one_of_an_index(
    tmp_path: Path, cli: Cli, registry: DockerRegistry, repository: str, made: Path, version: str
) -> None:
    place = f"docker://{registry.host}/{repository}:t"
    cli.json("copy", "--all", f"oci:{made / 'index'}:t", place)
    cli.json("copy", "--os-version", version, place, f"oci:{tmp_path / 'one'}:t")
    assert blobs(tmp_path / "one") == blobs(made / version)
    # By its digest, from the index that has it.
    by_digest = f"docker://{registry.host}/{repository}@{root_of(made / version)}"
    cli.json("copy", by_digest, f"oci:{tmp_path / 'same'}:t")
    assert blobs(tmp_path / "same") == blobs(made / version)


# --- TLS and credentials ----------------------------------------------------------


@pytest.fixture
def trusting(cli: Cli, tls: Tls) -> Cli:
    cli.environment["SSL_CERT_FILE"] = str(tls.ca)
    return cli


def basic() -> str:
    return base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()


def docker_config(cli: Cli, config: dict[str, Any]) -> None:
    """~/.docker/config.json."""
    (cli.home / ".docker").mkdir(exist_ok=True)
    (cli.home / ".docker" / "config.json").write_text(json.dumps(config))


def helper(cli: Cli, answer: dict[str, str] | None) -> Path:
    """docker-credential-test on PATH; the file that it writes down what it is asked for in."""
    folder = cli.home / "bin"
    folder.mkdir()
    said = "echo 'credentials not found in native keychain'; exit 1"
    if answer is not None:
        said = f"echo '{json.dumps(answer)}'"
    script = folder / "docker-credential-test"
    asked = folder / "asked"
    script.write_text(f'#!/bin/sh\n[ "$1" = get ] || exit 3\ncat >> "{asked}"\necho >> "{asked}"\n{said}\n')
    script.chmod(0o755)
    cli.environment["PATH"] = f"{folder}:{cli.environment['PATH']}"
    return asked


def log_in(cli: Cli, how: str, host: str, authfile: Path) -> tuple[str, ...]:
    """Have credentials in one of the ways there are; the options that go with it."""
    entry = {"auths": {host: {"auth": basic()}}}
    if how == "podman":
        command = [tool("podman"), "login", "--authfile", str(authfile), "-u", USER, "--password-stdin", host]
        done = subprocess.run(command, env=cli.environment, input=PASSWORD.encode(), capture_output=True, check=False)
        assert done.returncode == 0, done.stderr
        return ("--authfile", str(authfile))
    if how == "environment":
        authfile.write_text(json.dumps(entry))
        cli.environment["REGISTRY_AUTH_FILE"] = str(authfile)
    elif how == "docker":
        docker_config(cli, entry)
    elif how == "DOCKER_CONFIG":
        authfile.parent.joinpath("docker").mkdir()
        authfile.parent.joinpath("docker", "config.json").write_text(json.dumps(entry))
        cli.environment["DOCKER_CONFIG"] = str(authfile.parent / "docker")
    else:
        helper(cli, {"ServerURL": host, "Username": USER, "Secret": PASSWORD})
        docker_config(cli, {"credHelpers": {host: "test"}} if how == "helper" else {"credsStore": "test"})
    return ()


@pytest.mark.parametrize("image", ["stack", "index"])
def test_tls_with_skopeo(
    tmp_path: Path, trusting: Cli, secured: DockerRegistry, repository: str, made: Path, image: str
) -> None:
    place = f"docker://{secured.host}/{repository}"
    options = log_in(trusting, "podman", secured.host, tmp_path / "auth.json")
    trusting.json("copy", *options, *all_of(image), f"oci:{made / image}:t", f"{place}:t")
    check_stored(secured, repository, made / image)
    quiet = ("copy", "--quiet", "--preserve-digests", *options, *all_of(image))
    skopeo(*quiet, f"{place}:t", f"oci:{tmp_path / 'theirs'}:t", env=trusting.environment)
    assert blobs(tmp_path / "theirs") == blobs(made / image)
    skopeo(*quiet, f"oci:{made / image}:t", f"{place}:skopeo", env=trusting.environment)
    trusting.json("copy", *options, *all_of(image), f"{place}:skopeo", f"oci:{tmp_path / 'ours'}:t")
    assert blobs(tmp_path / "ours") == blobs(made / image)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
@pytest.mark.parametrize("how", ["podman", "environment", "docker", "DOCKER_CONFIG", "helper", "store"])
def test_credentials(
    tmp_path: Path, trusting: Cli, secured: DockerRegistry, repository: str, made: Path, how: str, host: str
) -> None:
    place = f"docker://{host}:{secured.port}/{repository}:t"
    options = log_in(trusting, how, f"{host}:{secured.port}", tmp_path / "auth.json")
    done = trusting.run("copy", "--debug", *options, f"oci:{made / 'gzip'}:t", place)
    assert done.code == 0, done.err
    no_secret(done)
    check_stored(secured, repository, made / "gzip")
    trusting.json("copy", *options, place, f"oci:{tmp_path / 'back'}:t")
    assert blobs(tmp_path / "back") == blobs(made / "gzip")
    if how in ("helper", "store"):
        asked = (trusting.home / "bin/asked").read_text().split()
        assert set(asked) == {f"{host}:{secured.port}"}


def no_secret(done: Done, secret: str = PASSWORD) -> None:
    for text in (done.out, done.err):
        assert secret not in text
        assert base64.b64encode(f"{USER}:{secret}".encode()).decode() not in text


def both_ways(made: Path, tmp_path: Path, place: str) -> list[tuple[str, str, str]]:
    return [("copy", place, f"oci:{tmp_path / 'out'}:t"), ("copy", f"oci:{made / 'gzip'}:t", place)]


def test_without_the_ca(tmp_path: Path, cli: Cli, secured: DockerRegistry, repository: str, made: Path) -> None:
    log_in(cli, "docker", secured.host, tmp_path)
    for command in both_ways(made, tmp_path, f"docker://{secured.host}/{repository}:t"):
        line = cli.fails(16, *command)
        assert "certificate is not trusted" in line
        assert "SSL_CERT_FILE" in line
        assert secured.host in line
        no_secret(cli.run(*command, "--debug"))
    assert not (tmp_path / "out").exists()
    assert not secured.tags(repository)
    # Neither does --plain-http make it go without.
    assert "certificate is not trusted" in cli.fails(16, *command, "--plain-http")


def test_another_ca(tmp_path: Path, cli: Cli, secured: DockerRegistry, repository: str, made: Path) -> None:
    cli.environment["SSL_CERT_FILE"] = str(make_tls(tmp_path / "other").ca)
    for command in both_ways(made, tmp_path, f"docker://{secured.host}/{repository}:t"):
        assert "certificate is not trusted" in cli.fails(16, *command)


def test_without_credentials(
    tmp_path: Path, trusting: Cli, secured: DockerRegistry, repository: str, made: Path
) -> None:
    for command in both_ways(made, tmp_path, f"docker://{secured.host}/{repository}:t"):
        line = trusting.fails(16, *command)
        assert "401 Unauthorized" in line
        assert "log in" in line
    assert not (tmp_path / "out").exists()
    assert not secured.tags(repository)


@pytest.mark.parametrize("how", ["docker", "helper"])
def test_a_wrong_password(
    tmp_path: Path, trusting: Cli, secured: DockerRegistry, repository: str, made: Path, how: str
) -> None:
    secret = "an-0ther-0ne"  # noqa: S105
    if how == "docker":
        auth = base64.b64encode(f"{USER}:{secret}".encode()).decode()
        docker_config(trusting, {"auths": {secured.host: {"auth": auth}}})
    else:
        helper(trusting, {"ServerURL": secured.host, "Username": USER, "Secret": secret})
        docker_config(trusting, {"credHelpers": {secured.host: "test"}})
    for command in both_ways(made, tmp_path, f"docker://{secured.host}/{repository}:t"):
        line = trusting.fails(16, *command)
        assert "401 Unauthorized" in line
        assert "log in" in line
        if command[1].startswith("docker://"):  # an answer to HEAD, with which a push begins, says no more
            assert "authentication required" in line
        for more in ((), ("--debug",), ("--json",), ("--debug", "--json", "-v")):
            done = trusting.run(*command, *more)
            assert done.code == 16
            no_secret(done, secret)
    assert not (tmp_path / "out").exists()
    assert not secured.tags(repository)


def test_a_helper_that_knows_nothing(trusting: Cli, secured: DockerRegistry, repository: str) -> None:
    asked = helper(trusting, None)
    docker_config(trusting, {"credsStore": "test"})
    line = trusting.fails(16, "layers", f"docker://{secured.host}/{repository}:t")
    assert "log in" in line
    assert set(asked.read_text().split()) == {secured.host}


# --- docker:// in every command ---------------------------------------------------


def test_reading_commands(tmp_path: Path, cli: Cli, registry: DockerRegistry, repository: str, made: Path) -> None:
    place, local = f"docker://{registry.host}/{repository}:t", f"oci:{made / 'stack'}:t"
    cli.json("copy", local, place)
    theirs, ours = cli.json("layers", place), cli.json("layers", local)
    assert theirs["layers"] == ours["layers"]
    assert len(theirs["layers"]) == 3
    parents: list[str | Path] = []
    for number, layer in enumerate(theirs["layers"]):
        folder = tmp_path / f"layer{number}"
        imported = cli.json("import", *parents, "-i", f"{place}#{number}", folder)
        assert imported["diff_id"] == layer["diff_id"]
        exported = cli.json("export", "-o", tmp_path / f"{number}.tar", f"{place}#{number}")
        assert exported["diff_id"] == layer["diff_id"] == digest((tmp_path / f"{number}.tar").read_bytes())
        parents = ["-l", folder, *parents]
    assert (tmp_path / "0.tar").read_bytes() == (made / "base.tar").read_bytes()


def test_export_into_a_registry(
    tmp_path: Path, cli: Cli, registry: DockerRegistry, repository: str, made: Path
) -> None:
    place, local = f"docker://{registry.host}/{repository}:t", f"oci:{made / 'stack'}:t"
    cli.json("import", "-i", f"{local}#0", tmp_path / "base")
    cli.json("import", "-l", tmp_path / "base", "-i", f"{local}#1", tmp_path / "app")
    base = cli.json("export", "--os-version", VERSIONS[1], "-o", f"{place}#0", tmp_path / "base")
    first = registry.tags(repository)["t"]
    assert [layer["diff_id"] for layer in cli.json("layers", place)["layers"]] == [base["diff_id"]]
    assert "--force" in cli.fails(13, "export", "-l", tmp_path / "base", "-o", f"{place}#1", tmp_path / "app")
    assert registry.tags(repository) == {"t": first}
    app = cli.json(
        "export", "--force", "--compress", "zstd", "-l", tmp_path / "base", "-o", f"{place}#1", tmp_path / "app"
    )
    found = cli.json("layers", place)
    assert [layer["diff_id"] for layer in found["layers"]] == [base["diff_id"], app["diff_id"]]
    assert registry.tags(repository) != {"t": first}
    # An image's layer straight into a registry.
    once_more = cli.json("export", "--force", "-o", f"{place}#2", f"{local}#2")
    assert cli.json("layers", place)["layers"][2]["diff_id"] == once_more["diff_id"]
    skopeo(*SKOPEO_COPY, place, f"oci:{tmp_path / 'theirs'}:t")
    assert root_of(tmp_path / "theirs") == registry.tags(repository)["t"]


def test_index_and_build(tmp_path: Path, cli: Cli, registry: DockerRegistry, repository: str, made: Path) -> None:
    place = f"docker://{registry.host}/{repository}"
    for version in VERSIONS:
        cli.json("copy", f"oci:{made / version}:t", f"{place}:{version}")
    index = cli.json("index", "-o", f"{place}:all", *(f"{place}:{version}" for version in VERSIONS))
    assert registry.tags(repository)["all"] == index["digest"]
    skopeo(*SKOPEO_COPY, "--all", f"{place}:all", f"oci:{tmp_path / 'index'}:t")
    assert blobs(tmp_path / "index").keys() == {index["digest"]} | {
        name for version in VERSIONS for name in blobs(made / version)
    }
    # On an image of the index, in another repository: what lies below is taken over.
    target = f"docker://{registry.host}/{repository}/built:t"
    build = ("build", made / "context/app/bin", "--from")
    built = cli.json(*build, f"{place}:all", "--os-version", VERSIONS[1], "-o", target)
    local = cli.json(*build, f"oci:{made / VERSIONS[1]}:t", "-o", f"oci:{tmp_path / 'built'}:t")
    assert built["digest"] == local["digest"]
    check_stored(registry, f"{repository}/built", tmp_path / "built")
    base, _ = layer_of(made / VERSIONS[1])
    assert [one for one in registry.accesses("POST") if f"mount={base.replace(':', '%3A')}" in one and " 201 " in one]


def test_from_one_repository_to_another(cli: Cli, registry: DockerRegistry, repository: str, made: Path) -> None:
    first, second = (f"{repository}/{name}" for name in ("first", "second"))
    cli.json("copy", f"oci:{made / 'stack'}:t", f"docker://{registry.host}/{first}:t")
    command = ("copy", f"docker://{registry.host}/{first}:t", f"docker://{registry.host}/{second}:t")
    assert not registry.has(second, layer_of(made / "stack")[0])
    copied = cli.json(*command)
    assert copied["blobs"] == {"copied": 1, "mounted": 4}
    assert copied["moved"] == blobs(made / "stack")[root_of(made / "stack")]
    check_stored(registry, second, made / "stack")
    for method in ("PATCH", "PUT"):
        assert not [one for one in registry.accesses(method) if f"{second}/blobs" in one]
    again = cli.json(*command)
    assert again["blobs"] == {"there": 5}
    assert again["moved"] == 0
    assert again["digest"] == copied["digest"]
    assert len([one for one in registry.accesses("PUT") if f"{second}/manifests" in one]) == 1


def test_a_tag_that_is_there(tmp_path: Path, cli: Cli, registry: DockerRegistry, repository: str, made: Path) -> None:
    place = f"docker://{registry.host}/{repository}:t"
    cli.json("copy", f"oci:{made / 'gzip'}:t", place)
    commands: list[tuple[str | Path, ...]] = [
        ("copy", f"oci:{made / 'zstd'}:t", place),
        ("build", made / "context", "-o", place),
        ("export", "-o", f"{place}#0", f"oci:{made / 'zstd'}:t#0"),
        ("index", "-o", place, *(f"oci:{made / version}:t" for version in VERSIONS)),
    ]
    for command in commands:
        line = cli.fails(13, *command)
        assert "--force" in line
        assert registry.tags(repository) == {"t": root_of(made / "gzip")}
    for command in commands:
        cli.json(*command, "--force")
    cli.json(*commands[0], "--force")
    assert registry.tags(repository) == {"t": root_of(made / "zstd")}


# --- what goes wrong --------------------------------------------------------------

ERRORS = json.dumps({"errors": [{"code": "DENIED", "message": "not on a Wednesday", "detail": "x"}]}).encode()


class Wrong:
    """The image `gzip` or another one, pushed, and pulled and pushed once more through the proxy `before`."""

    def __init__(self, cli: Cli, registry: DockerRegistry, before: Proxy, repository: str, made: Path, work: Path):
        self.cli, self.registry, self.proxy, self.made = cli, registry, before, made
        self.there, self.new = f"{repository}/there", f"{repository}/new"
        self.out = work / "out"
        self.out.mkdir()

    def put(self, image: str) -> None:
        command = ("copy", *all_of(image), f"oci:{self.made / image}:t")
        self.cli.json(*command, f"docker://{self.registry.host}/{self.there}:t")

    def pull(self, *more: str) -> tuple[str, ...]:
        return ("copy", *more, f"docker://{self.proxy.host}/{self.there}:t", f"oci:{self.out / 'image'}:t")

    def push(self, image: str) -> tuple[str, ...]:
        return ("copy", f"oci:{self.made / image}:t", f"docker://{self.proxy.host}/{self.new}:t")

    def pull_fails(self, code: int, said: str, *more: str) -> str:
        """The line; nothing of the image is here."""
        line = self.cli.fails(code, *self.pull(*more))
        assert said in line
        assert not list(self.out.iterdir())
        return line

    def push_fails(self, code: int, said: str, image: str = "none") -> str:
        """The line; no tag leads to anything."""
        line = self.cli.fails(code, *self.push(image))
        assert said in line
        assert not self.registry.tags(self.new)
        return line

    def pulls(self, image: str) -> dict[str, Any]:
        copied = self.cli.json(*self.pull())
        assert blobs(self.out / "image") == blobs(self.made / image)
        return copied

    def pushes(self, image: str) -> dict[str, Any]:
        copied = self.cli.json(*self.push(image))
        check_stored(self.registry, self.new, self.made / image)
        return copied


@pytest.fixture
def wrong(tmp_path: Path, cli: Cli, registry: DockerRegistry, before: Proxy, repository: str, made: Path) -> Wrong:
    return Wrong(cli, registry, before, repository, made, tmp_path)


def test_a_proxy_that_does_nothing(wrong: Wrong) -> None:
    wrong.put("stack")
    wrong.pulls("stack")
    wrong.pushes("stack")


@pytest.mark.parametrize("edit", [flips_a_byte, shortens])
def test_a_blob_of_other_bytes(wrong: Wrong, edit: Any) -> None:
    wrong.put("none")
    name, _ = layer_of(wrong.made / "none")
    wrong.proxy.on("GET", f"/blobs/{name}", edits(edit))
    assert name in wrong.pull_fails(11, "the blob has another")
    assert len(wrong.proxy.of("GET", f"/blobs/{name}")) == 1
    # For import and export the same.
    place = f"docker://{wrong.proxy.host}/{wrong.there}:t#0"
    wrong.cli.fails(11, "import", "-i", place, wrong.out / "layer")
    wrong.cli.fails(11, "export", "-o", wrong.out / "layer.tar", place)
    assert not list(wrong.out.iterdir())


@pytest.mark.parametrize("edit", [flips_a_byte, says_another_digest])
def test_a_manifest_of_other_bytes(wrong: Wrong, edit: Any) -> None:
    wrong.put("none")
    wrong.proxy.on("GET", "/manifests/", edits(edit))
    wrong.pull_fails(11, "the manifest is not the one of its digest")


def test_a_manifest_of_another_digest_than_asked_for(wrong: Wrong) -> None:
    wrong.put("index")
    other = root_of(wrong.made / VERSIONS[1])

    def swaps(answer: Answer) -> None:
        answer.body = (wrong.made / "index/blobs" / other.replace(":", "/")).read_bytes()
        answer.headers["Docker-Content-Digest"] = other

    first = root_of(wrong.made / VERSIONS[0])
    wrong.proxy.on("GET", f"/manifests/{first}", edits(swaps))
    assert first in wrong.pull_fails(11, "digest", "--all")


def test_bytes_that_change_on_the_way_out(wrong: Wrong) -> None:
    def change(data: bytes) -> bytes:
        return bytes((data[0] ^ 1,)) + data[1:] if data else data

    wrong.proxy.on("PATCH|PUT", "/blobs/uploads/", lambda exchange: exchange.forward(change=change))
    assert "provided digest did not match uploaded content" in wrong.push_fails(11, "the registry has got other bytes")


@pytest.mark.parametrize("what", ["blobs/uploads", "manifests"])
def test_a_registry_that_stores_another_digest(wrong: Wrong, what: str) -> None:
    wrong.proxy.on("PUT", f"/{what}/", edits(says_another_digest))
    line = wrong.cli.fails(11, *wrong.push("none"))
    assert "the registry has stored another" in line
    assert "0" * 64 in line


@pytest.mark.parametrize(
    ("status", "said"), [(401, "log in"), (403, "not on a Wednesday"), (404, "not on a Wednesday")]
)
@pytest.mark.parametrize("what", ["manifests", "blobs"])
def test_it_says_no(wrong: Wrong, status: int, said: str, what: str) -> None:
    wrong.put("none")
    wrong.proxy.on("GET|POST|PUT", f"/{what}/", answers(status, ERRORS, Content_Type="application/json"))
    for line in (wrong.pull_fails(16, said), wrong.push_fails(16, said)):
        assert f"{status} " in line
        assert "DENIED: not on a Wednesday: x" in line


def test_there_is_no_such_image(wrong: Wrong) -> None:
    line = wrong.pull_fails(16, "404 Not Found")
    assert "manifest unknown" in line
    assert f"docker://{wrong.proxy.host}/{wrong.there}:t" in line


@pytest.mark.parametrize("status", [429, 500, 503])
@pytest.mark.parametrize("what", ["manifests", "blobs"])
def test_it_never_gets_better(wrong: Wrong, status: int, what: str) -> None:
    wrong.put("none")
    wrong.proxy.on("GET|POST|PUT", f"/{what}/", answers(status, ERRORS, Retry_After="0"))
    for line in (wrong.pull_fails(16, "not on a Wednesday"), wrong.push_fails(16, "not on a Wednesday")):
        assert f"{status} " in line
        assert "(8 times)" in line
    name, _ = layer_of(wrong.made / "none")
    path = name if what == "blobs" else "manifests/t"
    assert len(wrong.proxy.of("GET", path)) == (8 if what == "manifests" else len(wrong.proxy.of("GET", path)))


def test_it_asks_to_wait_for_too_long(wrong: Wrong) -> None:
    wrong.put("none")
    wrong.proxy.on("GET|HEAD", "/manifests/", answers(429, ERRORS, Retry_After="1000"))
    assert "1,000 s" in wrong.pull_fails(16, "not on a Wednesday")
    assert len(wrong.proxy.of("GET", "/manifests/")) == 1
    wrong.push_fails(16, "1,000 s")


@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_it_gets_better(wrong: Wrong, status: int) -> None:
    wrong.put("none")
    name, _ = layer_of(wrong.made / "none")
    page = b"<html><body>Oops</body></html>"
    for path in ("/manifests/", f"/blobs/{name}", "/blobs/uploads/$", "/blobs/uploads/.+"):
        wrong.proxy.on("GET|HEAD|POST|PATCH|PUT", path, answers(status, page, Retry_After="0"), times=2)
    wrong.pulls("none")
    wrong.pushes("none")


def test_a_page_for_browsers(wrong: Wrong) -> None:
    wrong.put("none")
    wrong.proxy.on("GET", "/manifests/", answers(502, b"<html><body>Oops</body></html>"))
    assert "Oops" not in wrong.pull_fails(16, "502 Bad Gateway")


def test_a_pull_that_is_cut_off_goes_on(wrong: Wrong) -> None:
    wrong.put("none")
    name, size = layer_of(wrong.made / "none")
    assert size > 7_000_000
    for after in (2_000_000, 1_500_000, 1):
        wrong.proxy.on("GET", f"/blobs/{name}", cuts_response(after), times=1)
    wrong.pulls("none")
    gets = wrong.proxy.of("GET", f"/blobs/{name}")
    starts = [int(one.headers.get("range", "bytes=0-")[6:-1]) for one in gets]
    assert len(starts) == 4
    assert starts == [0, 2_000_000, 3_500_000, 3_500_001]
    assert (gets[-1].status, gets[-1].sent) == (206, size - starts[-1])


def test_a_pull_that_is_reset_goes_on(wrong: Wrong) -> None:
    wrong.put("none")
    name, _ = layer_of(wrong.made / "none")
    wrong.proxy.on("GET", f"/blobs/{name}", cuts_response(3_000_000, reset=True), times=2)
    wrong.pulls("none")
    assert wrong.proxy.of("GET", f"/blobs/{name}")[-1].status == 206


def test_a_server_that_knows_no_ranges(wrong: Wrong) -> None:
    wrong.put("none")
    name, _ = layer_of(wrong.made / "none")

    def whole(exchange: Exchange) -> None:
        exchange.seen.headers.pop("range", None)
        exchange.forward()

    wrong.proxy.on("GET", f"/blobs/{name}", cuts_response(2_000_000), times=1)
    wrong.proxy.on("GET", f"/blobs/{name}", whole)
    wrong.pulls("none")
    assert [one.status for one in wrong.proxy.of("GET", f"/blobs/{name}")] == [200, 200]


def test_a_manifest_that_is_cut_off(wrong: Wrong) -> None:
    wrong.put("none")
    wrong.proxy.on("GET", "/manifests/", cuts_response(100), times=2)
    wrong.pulls("none")


def test_a_config_that_is_cut_off(wrong: Wrong) -> None:
    wrong.put("none")
    wrong.proxy.on("GET", "/blobs/", cuts_response(100), times=2)
    wrong.pulls("none")


def test_an_import_that_is_cut_off_goes_on(wrong: Wrong) -> None:
    wrong.put("none")
    name, _ = layer_of(wrong.made / "none")
    wrong.proxy.on("GET", f"/blobs/{name}", cuts_response(2_000_000), times=2)
    imported = wrong.cli.json("import", "-i", f"docker://{wrong.proxy.host}/{wrong.there}:t#0", wrong.out / "layer")
    assert imported["diff_id"] == name
    assert "range" in wrong.proxy.of("GET", f"/blobs/{name}")[-1].headers


def test_a_pull_that_is_always_cut_off(wrong: Wrong) -> None:
    wrong.put("none")
    name, _ = layer_of(wrong.made / "none")
    wrong.proxy.on("GET", f"/blobs/{name}", cuts_response(1000))
    wrong.pull_fails(16, "(8 times)")
    assert len(wrong.proxy.of("GET", f"/blobs/{name}")) == 8


def test_a_push_that_is_cut_off_goes_on(wrong: Wrong) -> None:
    wrong.proxy.on(".*", "/blobs/uploads/.+", Resumable(2_000_000, 1_500_000))
    wrong.pushes("none")
    _, size = layer_of(wrong.made / "none")
    patches = wrong.proxy.of("PATCH")
    assert [int(one.headers["content-length"]) for one in patches] == [size, size - 2_000_000, size - 3_500_000]
    assert len(wrong.proxy.of("GET", "/blobs/uploads/")) == 2, "it asks how far it has got"
    assert len(wrong.proxy.of("POST")) == 2, "one for the config, one for the layer"


def test_a_push_that_is_cut_off_begins_anew(wrong: Wrong) -> None:
    """docker-registry does not know how far it has got."""
    wrong.proxy.on("PATCH", "/blobs/uploads/", cuts_request(2_000_000), times=2)
    wrong.pushes("none")
    _, size = layer_of(wrong.made / "none")
    assert [int(one.headers["content-length"]) for one in wrong.proxy.of("PATCH")] == [size] * 3
    assert len(wrong.proxy.of("POST")) == 4


def test_the_end_of_a_push_is_cut_off(wrong: Wrong) -> None:
    """The registry has got it, but nobody hears of it."""
    wrong.proxy.on("PATCH", "/blobs/uploads/", lambda exchange: exchange.forward(cut_response=0), times=1)
    wrong.proxy.on("PUT", "/blobs/uploads/", lambda exchange: exchange.forward(cut_response=0), times=1)
    wrong.proxy.on("PUT", "/manifests/", lambda exchange: exchange.forward(cut_response=0), times=1)
    wrong.pushes("none")


@pytest.mark.parametrize("after", [0, 1000, 2_000_000])
def test_a_push_that_is_always_cut_off(wrong: Wrong, after: int) -> None:
    wrong.proxy.on("PATCH", "/blobs/uploads/", cuts_request(after))
    done = wrong.cli.run(*wrong.push("none"), seconds=15)
    assert done.code == 16
    assert "(8 times)" in done.err
    assert len(wrong.proxy.of("PATCH")) == 8
    assert not wrong.registry.tags(wrong.new)


def authorized(otherwise: Any) -> Any:
    """Ask for a password first."""

    def act(exchange: Exchange) -> None:
        if "authorization" in exchange.seen.headers:
            otherwise(exchange)
        else:
            exchange.answer(401, {"WWW-Authenticate": 'Basic realm="x"'}, ERRORS)

    return act


def test_a_redirect_to_another_host(wrong: Wrong) -> None:
    wrong.put("none")
    docker_config(wrong.cli, {"auths": {wrong.proxy.host: {"auth": basic()}}})
    name, _ = layer_of(wrong.made / "none")
    with proxy(wrong.registry) as other:
        wrong.proxy.on("GET", "/blobs/", authorized(redirects(other.host)))
        wrong.proxy.on(".*", "/v2/.+", authorized(Exchange.forward))
        other.on("GET", f"/blobs/{name}", cuts_response(2_000_000), times=1)
        wrong.pulls("none")
        assert {one.headers.get("authorization") for one in wrong.proxy.of("GET", f"/blobs/{name}")} == {
            f"Basic {basic()}"
        }
        assert len(other.of("GET", f"/blobs/{name}")) == 2
        for one in other.seen:
            assert not {"authorization", "cookie", "proxy-authorization"} & one.headers.keys()


def test_an_upload_to_another_host(wrong: Wrong) -> None:
    docker_config(wrong.cli, {"auths": {wrong.proxy.host: {"auth": basic()}}})
    with proxy(wrong.registry) as other:

        def elsewhere(answer: Answer) -> None:
            answer.headers["Location"] = answer.headers["Location"].replace(wrong.proxy.host, other.host)

        wrong.proxy.on("POST", "/blobs/uploads/", authorized(edits(elsewhere)))
        wrong.proxy.on(".*", "/v2/.+", authorized(Exchange.forward))
        wrong.pushes("none")
        assert other.of("PATCH")
        for one in other.seen:
            assert "authorization" not in one.headers


@pytest.mark.parametrize("length", [1, 2, 50])
@pytest.mark.parametrize("what", ["manifests", "blobs"])
def test_redirects_in_a_circle(wrong: Wrong, length: int, what: str) -> None:
    wrong.put("none")

    def act(exchange: Exchange) -> None:
        path, _, number = exchange.seen.path.partition("?n=")
        target = f"http://{wrong.proxy.host}{path}?n={(int(number or 0) + 1) % length}"
        exchange.answer(307, {"Location": target})

    wrong.proxy.on("GET|HEAD", f"/{what}/", act)
    wrong.pull_fails(16, "redirects without end")
    assert len(wrong.proxy.of("GET", f"/{what}/")) <= 2 * 6
    wrong.push_fails(16, "redirects without end")


@pytest.mark.parametrize("told", [True, False])
@pytest.mark.parametrize("command", ["copy", "layers", "index"])
def test_a_manifest_of_100_mb(wrong: Wrong, told: bool, command: str) -> None:
    def act(exchange: Exchange) -> None:
        headers = {"Content-Type": "application/vnd.oci.image.manifest.v1+json"}
        exchange.stream(200, headers | ({"Content-Length": "100000000"} if told else {}), (b" " * 100_000,) * 1000)

    wrong.proxy.on("GET", "/manifests/", act)
    place = f"docker://{wrong.proxy.host}/{wrong.there}:t"
    arguments = {"copy": wrong.pull(), "layers": ("layers", place), "index": ("index", "-o", wrong.pull()[-1], place)}
    line = wrong.cli.fails(16, *arguments[command])
    assert "a manifest this large" in line
    assert not list(wrong.out.iterdir())
    [seen] = wrong.proxy.of("GET", "/manifests/")
    assert seen.sent < 20_000_000


@pytest.mark.parametrize("status", [404, 405, 501])
def test_a_registry_without_patch(wrong: Wrong, status: int) -> None:
    wrong.proxy.on("PATCH", "/blobs/uploads/", answers(status))
    wrong.pushes("none")
    _, size = layer_of(wrong.made / "none")
    assert str(size) in [one.headers["content-length"] for one in wrong.proxy.of("PUT", "/blobs/uploads/")]


@pytest.mark.parametrize("act", [answers(404), answers(405), takes_at_most(1_000_000)], ids=["404", "405", "413"])
def test_no_upload_is_left_behind(wrong: Wrong, act: Any) -> None:
    """One that is not gone on with is given up in a way that the registry hears of."""
    wrong.proxy.on("PATCH", "/blobs/uploads/", act)
    wrong.cli.run(*wrong.push("none"))
    assert not wrong.registry.uploads(wrong.new)


@pytest.fixture(scope="module")
def large(made: Path) -> Path:
    """An image of 40 MB that do not compress; in a layout of its own."""
    (made / "large-context").mkdir()
    (made / "large-context" / "x.bin").write_bytes(os.urandom(40_000_000))
    cli = Cli(made / "large-cli")
    cli.json("build", made / "large-context", "--compress", "none", "-o", f"oci:{made / 'large'}:t")
    return made / "large"


def test_a_body_that_is_too_large(wrong: Wrong, large: Path) -> None:
    wrong.proxy.on(".*", "", takes_at_most(20_000_000))
    wrong.pushes("large")
    _, size = layer_of(large)
    patches = [one for one in wrong.proxy.of("PATCH") if one.status == 202]
    chunk = 16 << 20
    assert [int(one.headers["content-length"]) for one in patches] == [chunk, chunk, size - 2 * chunk]
    ranges = [one.headers["content-range"] for one in patches[:2]]
    assert ranges == [f"0-{chunk - 1}", f"{chunk}-{2 * chunk - 1}"]


def test_a_chunk_that_is_cut_off(wrong: Wrong, large: Path) -> None:
    wrong.proxy.on("PATCH", "", takes_at_most(20_000_000), times=2)
    wrong.proxy.on("PATCH", "", cuts_request(5_000_000), times=1)
    wrong.pushes("large")


def test_every_body_is_too_large(wrong: Wrong, large: Path) -> None:
    wrong.proxy.on(".*", "", takes_at_most(1_000_000))
    wrong.push_fails(16, "413 Request Entity Too Large", "large")


@pytest.mark.parametrize("command", ["pull", "push"])
def test_nobody_is_there(wrong: Wrong, command: str) -> None:
    host = f"127.0.0.1:{free_port()}"
    place, local = f"docker://{host}/x:t", f"oci:{wrong.made / 'gzip'}:t"
    places = (place, f"oci:{wrong.out / 'image'}:t") if command == "pull" else (local, place)
    line = wrong.cli.fails(16, "copy", *places)
    assert place in line
    assert "refused" in line
    assert not list(wrong.out.iterdir())


def test_every_command_says_it_in_one_line(wrong: Wrong) -> None:
    wrong.proxy.on("GET|HEAD", "/manifests/", answers(403, ERRORS))
    place = f"docker://{wrong.proxy.host}/{wrong.there}:t"
    out = wrong.out / "x"
    commands: list[tuple[str | Path, ...]] = [
        ("layers", place),
        ("import", "-i", f"{place}#0", out),
        ("export", "-o", out, f"{place}#0"),
        ("export", "-o", f"{place}#0", f"oci:{wrong.made / 'gzip'}:t#0"),
        ("index", "-o", f"oci:{out}:t", place),
        ("index", "-o", place, f"oci:{wrong.made / VERSIONS[0]}:t"),
        ("build", "-o", place, wrong.made / "context"),
        ("build", "--from", place, "-o", f"oci:{out}:t", wrong.made / "context"),
    ]
    for command in commands:
        line = wrong.cli.fails(16, *command)
        assert "403 Forbidden" in line, command
        # A tag that is written to is asked for by HEAD, to which there is no more of an answer.
        if command[0] in ("layers", "import") or out in map(Path, map(str, command)):
            assert "not on a Wednesday" in line, command
        assert not list(wrong.out.iterdir()), command
    assert not wrong.registry.tags(wrong.there)


def test_the_tests_own_proxy_tells(registry: DockerRegistry) -> None:
    """A mistake in the proxy is not taken for one of the client."""

    def act(exchange: Exchange) -> None:
        raise ZeroDivisionError

    def ask() -> None:
        with proxy(registry) as found, closing(http.client.HTTPConnection(found.host)) as connection:
            found.on("GET", "", act)
            connection.request("GET", "/")
            with pytest.raises(http.client.RemoteDisconnected):
                connection.getresponse()

    with pytest.raises(AssertionError, match="ZeroDivisionError"):
        ask()
