"""Registries with TLS and accounts: who we are, and who is told."""

from __future__ import annotations

import base64
import json
import subprocess
from pathlib import Path

import pytest

from tests.compat.clients import blobs
from tests.compat.registries import PASSWORD, USER, DockerRegistry, Tls, make_tls
from tests.compat.registry_clients import Cli, Done, Podman, all_of, basic, check_stored, docker_config, root_of, skopeo
from tests.compat.tools import tool
from tests.images import digest

# --- TLS and credentials ----------------------------------------------------------


@pytest.fixture
def trusting(cli: Cli, tls: Tls) -> Cli:
    cli.environment["SSL_CERT_FILE"] = str(tls.ca)
    return cli


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


def test_tls_with_podman(
    tmp_path: Path, trusting: Cli, podman: Podman, secured: DockerRegistry, repository: str, made: Path
) -> None:
    name = f"{secured.host}/{repository}"
    options = log_in(trusting, "podman", secured.host, tmp_path / "auth.json")
    podman.environment["SSL_CERT_FILE"] = trusting.environment["SSL_CERT_FILE"]
    trusting.json("copy", *options, f"oci:{made / 'stack'}:t", f"docker://{name}:t")
    found = podman.pull(f"{name}:t", *options)
    assert digest(podman.manifest(found["Id"])) == root_of(made / "stack")
    podman.run("push", "--quiet", *options, f"{name}:t", f"docker://{name}:pushed")
    copied = trusting.json("copy", *options, f"docker://{name}:pushed", f"oci:{tmp_path / 'back'}:t")
    assert copied["digest"] == secured.tags(repository)["pushed"]
    both = [trusting.json("layers", f"oci:{place}:t")["layers"] for place in (made / "stack", tmp_path / "back")]
    assert len({tuple(layer["diff_id"] for layer in layers) for layers in both}) == 1


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
