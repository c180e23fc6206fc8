"""Images to and from a real registry, by our commands and by skopeo and podman."""

from __future__ import annotations

import filecmp
import json
import os
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from tests.compat.clients import blobs
from tests.compat.registries import DockerRegistry
from tests.compat.registry_clients import (
    IMAGES,
    SINGLE,
    SKOPEO_COPY,
    VERSIONS,
    Cli,
    Podman,
    all_of,
    check_stored,
    layer_of,
    root_of,
    skopeo,
)
from tests.images import digest
from wclayer.distribution.http import HttpTransport
from wclayer.distribution.transport import Request

# --- there and back -------------------------------------------------------------


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


def test_a_connection_is_used_again() -> None:
    """Also after an answer that nobody reads to its end, such as the first 401."""
    connections: list[object] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            super().setup()
            connections.append(self)

        def do_GET(self) -> None:
            self.send_response(401)
            self.send_header("Content-Length", "500")
            self.end_headers()
            self.wfile.write(b"x" * 500)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        with closing(HttpTransport()) as transport:
            for _ in range(5):
                transport.send(Request(method="GET", url=f"http://127.0.0.1:{server.server_port}/")).close()
        server.shutdown()
        thread.join()
    assert len(connections) == 1
