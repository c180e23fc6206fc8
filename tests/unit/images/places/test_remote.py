"""Images in registries: pushed, pulled, copied, converted, built; and what is there after a failure: nothing new."""

from __future__ import annotations

import gzip
import json
import os
import threading
from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO, cast
from urllib.parse import urlsplit

import pytest

from tests.images import BASE_TAR, CONFIG, INDEX, LAYER, MANIFEST, TOP_TAR, Layout, digest, layout, members
from tests.registry_model import BASIC, HOST, Always, Answer, Bytes, Model, Zeros, failure, put_layout, reach
from tests.unit.builder.test_build import make, recipe
from tests.unit.images.test_writing import put as put_image
from tests.unit.images.test_writing import reachable, snapshot
from wclayer.builder.build import build_image
from wclayer.distribution.backoff import Backoff
from wclayer.distribution.registries import Registries
from wclayer.distribution.transport import Request, Response
from wclayer.entry import Summary
from wclayer.errors import (
    AlreadyExistsError,
    DigestMismatchError,
    FormatError,
    ImageError,
    NotFoundError,
    RemoteError,
    RemoteImageError,
    RemoteNotFoundError,
    UnreachableError,
    UsageError,
    WclayerError,
)
from wclayer.images.choosing import ImageSelector
from wclayer.images.copying import copy_image
from wclayer.images.index import make_index
from wclayer.images.one_layer import put_layer
from wclayer.images.options import ImageOptions
from wclayer.images.places.blobs import VerifiedBlob
from wclayer.images.places.parse import parse_place
from wclayer.images.reading import open_image, open_images
from wclayer.images.spec.descriptors import Descriptor, Platform
from wclayer.images.writing import BlobWriter, create_image

PLACE = f"docker://{HOST}/a:t"
DOCKER = "application/vnd.docker."
FOREIGN = DOCKER + "image.rootfs.foreign.diff.tar.gzip"


def served(
    folder: Path, layers: tuple[bytes, ...] = (BASE_TAR, TOP_TAR), *, repository: str = "a", tag: str = "t", **more: Any
) -> tuple[Model, str]:
    """A registry that has an image, and its digest."""
    model = Model(auth=more.pop("auth", None))
    made = Layout(folder)
    root = made.image(layers, **more)
    return model, put_layout(model, repository, members(folder), root, tag)


def many(folder: Path) -> tuple[Layout, dict[str, Any]]:
    """An index: three versions of Windows, Linux, and what is said about one of them."""
    made = Layout(folder)
    found = [
        made.image([layer], os_version=version)
        for layer, version in ((BASE_TAR, "10.0.17763.1"), (BASE_TAR, "10.0.20348.1"), (TOP_TAR, "10.0.26100.1"))
    ]
    others = []
    for number, platform in enumerate(
        ({"os": "linux", "architecture": "amd64"}, {"os": "unknown", "architecture": "unknown"})
    ):
        config = made.blob(b"{%d}" % number, "application/vnd.oci.image.config.v1+json")
        layer = made.blob(b"of another system %d" % number, f"{LAYER}+gzip")
        value = {"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer]}
        others.append({**made.document(value, MANIFEST), "platform": platform})
    root = made.index([others[0], *found, others[1]], lambda value: value.update({"x.unknown": ["kept"]}))
    return made, root


def paths(place: str, model: Model, **more: Any) -> list[str]:
    with open_image(place, **more, options=ImageOptions(registries=reach(model))) as image:
        return [entry.path for layer in image.layers for entry, _ in layer.source().entries()]


def whole(model: Model, repository: str, name: str) -> None:
    """All that a manifest or index leads to is there, and is what its digest says."""
    data, _ = model.manifests[repository, name]
    assert digest(data) == name
    value = json.loads(data)
    for one in value.get("manifests", ()):
        whole(model, repository, one["digest"])
    for one in (value.get("config"), *value.get("layers", ())):
        if one:
            assert digest(model.blob(repository, one["digest"])) == one["digest"]


# --- pull -----------------------------------------------------------------------


@pytest.mark.parametrize("auth", [None, "basic", "bearer"])
@pytest.mark.parametrize("gzipped", [False, True])
def test_read(tmp_path: Path, auth: str | None, gzipped: bool) -> None:
    model, name = served(tmp_path / "d", auth=auth, gzipped=gzipped)
    registries = reach(model, credentials=Always())
    for place in (PLACE, f"docker://{HOST}/a@{name}", f"{PLACE}#1"):
        with open_image(place, options=ImageOptions(registries=registries)) as image:
            assert image.manifest.digest == name
            assert [layer.diff_id for layer in image.layers] == [digest(BASE_TAR), digest(TOP_TAR)]
            assert [layer.name for layer in image.layers] == [f"{place.removesuffix('#1')}#{n}" for n in (0, 1)]
            found = [entry.path for layer in image.layers for entry, _ in layer.source().entries()]
            assert "Files/f" in found
            assert "Files/g" in found
    assert {one.method for one in model.requests} == {"GET"}


def test_each_document_is_asked_for_once(tmp_path: Path) -> None:
    model, name = served(tmp_path / "d")
    with open_image(PLACE, options=ImageOptions(registries=reach(model))):
        pass
    config = json.loads(model.manifests["a", name][0])["config"]["digest"]
    assert model.lines() == ["GET /v2/a/manifests/t", f"GET /v2/a/blobs/{config}"]


def test_a_layer_that_breaks_off_is_read_to_its_end(tmp_path: Path) -> None:
    model, _ = served(tmp_path / "d", auth="bearer")
    model.piece = 700
    for _ in range(3):
        model.fail(f"blobs/{digest(BASE_TAR)}", cut=3000)
    with open_image(PLACE, options=ImageOptions(registries=reach(model, credentials=Always()))) as image:
        assert "Files/f" in [entry.path for entry, _ in image.layers[0].source().entries()]
    assert model.count(digest(BASE_TAR)) == 4


def test_pull(tmp_path: Path) -> None:
    model, name = served(tmp_path / "d", auth="bearer", gzipped=True)
    told: list[tuple[int, int]] = []
    copied = copy_image(
        PLACE,
        f"oci:{tmp_path / 'out'}:x",
        options=ImageOptions(
            registries=reach(model, credentials=Always()),
            progress=lambda step: told.append((step.done, step.total or 0)),
        ),
    )
    found = reachable(snapshot(tmp_path / "out"))
    assert found["x"]["digest"] == copied.digest == name
    assert copied.blobs == {"copied": 4}
    assert copied.moved == copied.size == told[-1][0] == told[-1][1]
    assert copied.images == [(Platform(os_version="10.0.20348.2227"), name)]
    again = copy_image(
        PLACE, f"oci:{tmp_path / 'out'}:y", options=ImageOptions(registries=reach(model, credentials=Always()))
    )
    assert again.blobs == {"there": 4}
    assert again.moved == 0


@pytest.mark.parametrize("transport", ["oci-archive", "docker-archive"])
def test_pull_into_an_archive(tmp_path: Path, transport: str) -> None:
    model, _ = served(tmp_path / "d", gzipped=True)
    place = f"{transport}:{tmp_path / 'a.tar'}:a/b:c"
    copy_image(PLACE, place, options=ImageOptions(registries=reach(model)))
    with open_image(place) as image:
        assert [layer.diff_id for layer in image.layers] == [digest(BASE_TAR), digest(TOP_TAR)]
        assert "Files/g" in [entry.path for entry, _ in image.layers[1].source().entries()]
    assert sorted(os.listdir(tmp_path)) == ["a.tar", "d"]


# --- push -----------------------------------------------------------------------


@pytest.mark.parametrize("auth", [None, "basic", "bearer"])
def test_push(tmp_path: Path, auth: str | None) -> None:
    folder = layout(tmp_path / "d", [BASE_TAR, TOP_TAR], gzipped=True)
    model = Model(auth=auth)
    told: list[tuple[int, int]] = []
    copied = copy_image(
        f"oci:{folder}:t",
        PLACE,
        options=ImageOptions(
            registries=reach(model, credentials=Always()),
            progress=lambda step: told.append((step.done, step.total or 0)),
        ),
    )
    assert model.tags == {("a", "t"): copied.digest}
    whole(model, "a", copied.digest)
    assert copied.blobs == {"copied": 4}
    assert told[-1] == (copied.size, copied.size)
    assert model.uploads == {}
    # The tag comes last of all.
    assert model.lines("PUT")[-1] == "PUT /v2/a/manifests/t"
    assert model.count("PUT.*/manifests/") == 1


def test_pushed_and_pulled_it_is_the_same(tmp_path: Path) -> None:
    made, root = many(tmp_path / "d")
    made.tag(root)
    made.write()
    model = Model()
    copy_image(f"oci:{tmp_path / 'd'}:t", PLACE, everything=True, options=ImageOptions(registries=reach(model)))
    copy_image(PLACE, f"oci:{tmp_path / 'out'}:t", everything=True, options=ImageOptions(registries=reach(model)))
    before = {name: data for name, data in snapshot(tmp_path / "d").items() if name.startswith("blobs")}
    assert {name: data for name, data in snapshot(tmp_path / "out").items() if name.startswith("blobs")} == before


def test_what_is_there_is_skipped(tmp_path: Path) -> None:
    folder = layout(tmp_path / "d", [BASE_TAR, TOP_TAR])
    model = Model()
    model.put_blob("a", BASE_TAR)
    copied = copy_image(f"oci:{folder}:t", PLACE, options=ImageOptions(registries=reach(model)))
    assert copied.blobs == {"copied": 3, "there": 1}
    assert model.count("POST") == 2
    assert copied.moved == copied.size - len(BASE_TAR)


def test_a_blob_that_is_broken_there_is_replaced(tmp_path: Path) -> None:
    folder = layout(tmp_path / "d")
    model = Model()
    model.blobs["a", digest(BASE_TAR)] = Bytes(BASE_TAR[:-1])
    copied = copy_image(f"oci:{folder}:t", PLACE, options=ImageOptions(registries=reach(model)))
    whole(model, "a", copied.digest)


def test_the_same_again_is_nothing(tmp_path: Path) -> None:
    folder = layout(tmp_path / "d")
    model = Model()
    first = copy_image(f"oci:{folder}:t", PLACE, options=ImageOptions(registries=reach(model)))
    model.requests.clear()
    again = copy_image(f"oci:{folder}:t", PLACE, options=ImageOptions(registries=reach(model)))
    assert again.digest == first.digest
    assert again.blobs == {"there": 3}
    assert {one.method for one in model.requests} == {"HEAD"}


def test_a_tag_that_is_there_already(tmp_path: Path) -> None:
    model, name = served(tmp_path / "other", (TOP_TAR,))
    folder = layout(tmp_path / "d")
    before = dict(model.blobs)
    with pytest.raises(AlreadyExistsError, match=rf"an image of that tag already; got {name} -- .*--force") as caught:
        copy_image(f"oci:{folder}:t", PLACE, options=ImageOptions(registries=reach(model)))
    assert caught.value.path == PLACE
    assert model.blobs == before
    assert model.lines() == ["HEAD /v2/a/manifests/t"]
    copied = copy_image(f"oci:{folder}:t", PLACE, force=True, options=ImageOptions(registries=reach(model)))
    assert model.tags["a", "t"] == copied.digest != name
    copy_image(f"oci:{folder}:t", f"docker://{HOST}/a:u", options=ImageOptions(registries=reach(model)))
    assert model.tags["a", "u"] == copied.digest


def test_a_digest_as_destination(tmp_path: Path) -> None:
    folder = layout(tmp_path / "d")
    model = Model()
    with open_image(f"oci:{folder}:t") as image:
        name = image.manifest.digest
    copied = copy_image(f"oci:{folder}:t", f"docker://{HOST}/a@{name}", options=ImageOptions(registries=reach(model)))
    assert copied.digest == name
    assert model.tags == {}
    whole(model, "a", name)
    copy_image(f"oci:{folder}:t", f"docker://{HOST}/a@{name}", options=ImageOptions(registries=reach(model)))
    other = digest(b"other")
    requests = len(model.requests)
    with pytest.raises(DigestMismatchError, match=f"not the one of that digest; expected {other}; got {name}"):
        copy_image(f"oci:{folder}:t", f"docker://{HOST}/a@{other}", options=ImageOptions(registries=reach(model)))
    assert {one.method for one in model.requests[requests:]} == {"HEAD"}


def test_a_digest_that_is_known_at_the_end_alone(tmp_path: Path) -> None:
    model = Model()
    place = f"docker://{HOST}/a@{digest(b'other')}"
    with (
        pytest.raises(DigestMismatchError, match="not the one of that digest"),
        create_image(place, registries=reach(model), temp_dir=tmp_path) as writer,
    ):
        writer.commit(put_image(writer))
    assert model.manifests == {}
    assert os.listdir(tmp_path) == []


# --- from registry to registry --------------------------------------------------


def test_mounted_from_another_repository(tmp_path: Path) -> None:
    model, name = served(tmp_path / "d", repository="b", auth="bearer")
    copied = copy_image(
        f"docker://{HOST}/b:t", PLACE, options=ImageOptions(registries=reach(model, credentials=Always()))
    )
    assert copied.digest == name
    # The config is at hand; so it goes out, or is mounted like the layers.
    assert copied.blobs["mounted"] >= 2
    assert model.sent(f"PUT.*{digest(BASE_TAR).replace(':', '%3A')}") == 0
    assert model.count(f"GET.*{digest(BASE_TAR)}") <= 1
    whole(model, "a", name)
    scopes = [scopes for scopes in model.tokens.values() if "a:push" in scopes]
    assert scopes == [frozenset({"a:pull", "a:push", "b:pull"})]


def test_a_layer_that_is_mounted_is_not_read(tmp_path: Path) -> None:
    model, _ = served(tmp_path / "d", repository="b")
    copy_image(f"docker://{HOST}/b:t", PLACE, options=ImageOptions(registries=reach(model)))
    read = [answer for answer in model.answers if isinstance(answer.content, Bytes) and answer.largest]
    assert not [answer for answer in read if answer.content is model.blobs["b", digest(BASE_TAR)]]


def test_not_mounted_from_another_registry(tmp_path: Path) -> None:
    model, name = served(tmp_path / "d")
    other = Model("s.example", auth="basic")
    model.hosts["s.example"] = other.send
    copied = copy_image(
        PLACE, "docker://s.example/a:t", options=ImageOptions(registries=reach(model, credentials=Always()))
    )
    assert copied.blobs == {"copied": 4}
    assert other.count("mount=") == 0
    whole(other, "a", name)
    assert model.told(BASIC) == {"https://s.example"}


def test_a_token_of_one_registry_is_not_for_another(tmp_path: Path) -> None:
    model, _ = served(tmp_path / "d", auth="bearer")
    other = Model("s.example", auth="bearer")
    other.realm = "https://auth2.example/token"
    model.hosts["s.example"] = other.send
    model.hosts["auth2.example"] = other._token
    copy_image(PLACE, "docker://s.example/a:t", options=ImageOptions(registries=reach(model, credentials=Always())))
    for one in model.requests:
        if one.headers.get("Authorization", "").startswith("Bearer "):
            known = other.tokens if one.origin == "https://s.example" else model.tokens
            assert one.headers["Authorization"].removeprefix("Bearer ") in known


def test_a_layer_streams_from_one_to_the_other(tmp_path: Path) -> None:
    """Nothing holds it: what is read at a time stays small."""
    model = Model()
    zeros = Zeros(64 << 20)
    layer = model.put_blob("b", zeros)
    config = json.dumps(
        {"os": "windows", "architecture": "amd64", "rootfs": {"type": "layers", "diff_ids": [layer]}}
    ).encode()
    value = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {"mediaType": CONFIG, "digest": model.put_blob("b", config), "size": len(config)},
        "layers": [{"mediaType": LAYER, "digest": layer, "size": zeros.size}],
    }
    name = model.put("b", json.dumps(value).encode(), tag="t")
    model.mounts = False
    model.piece = 1 << 20
    model.fail("PATCH", cut_request=40 << 20)
    model.fail(f"GET.*/b/blobs/{layer}", cut=20 << 20)
    told: list[int] = []
    copied = copy_image(
        f"docker://{HOST}/b:t",
        PLACE,
        options=ImageOptions(registries=reach(model), progress=lambda step: told.append(step.done)),
    )
    assert model.tags["a", "t"] == copied.digest == name
    assert model.blobs["a", layer].size == zeros.size
    assert told[-1] == copied.size
    # The largest read is that of a manifest, which is held whole, but not of any size.
    assert max(answer.largest for answer in model.answers if answer.content is zeros) <= 1 << 20
    assert max(answer.largest for answer in model.answers) <= (4 << 20) + 1
    assert max(one.largest for one in model.requests) <= 1 << 20
    assert model.count(f"GET.*/b/blobs/{layer}") <= 4


def test_the_source_is_named_where_it_is_the_source(tmp_path: Path) -> None:
    model, _ = served(tmp_path / "d", repository="b")
    model.mounts = False
    model.fail(f"GET.*/b/blobs/{digest(BASE_TAR)}", times=None, cut=1000)
    with pytest.raises(UnreachableError) as caught:
        copy_image(f"docker://{HOST}/b:t", PLACE, options=ImageOptions(registries=reach(model)))
    assert caught.value.path is not None
    assert caught.value.path.startswith(f"docker://{HOST}/b")
    assert model.count(f"GET.*/b/blobs/{digest(BASE_TAR)}") <= 9
    assert ("a", "t") not in model.tags


# --- an index -------------------------------------------------------------------


def test_all_of_an_index(tmp_path: Path) -> None:
    made, root = many(tmp_path / "d")
    model = Model()
    name = put_layout(model, "b", members(tmp_path / "d"), root, "t")
    copied = copy_image(f"docker://{HOST}/b:t", PLACE, everything=True, options=ImageOptions(registries=reach(model)))
    assert copied.digest == model.tags["a", "t"] == name
    assert model.manifests["a", name] == (made.path(name).read_bytes(), INDEX)
    whole(model, "a", name)
    assert [str(platform) for platform, _ in copied.images] == [
        "linux/amd64",
        *(f"windows/amd64:{version}" for version in ("10.0.17763.1", "10.0.20348.1", "10.0.26100.1")),
        "unknown/unknown",
    ]
    puts = model.lines("PUT .*/manifests/")
    assert len(puts) == 6
    assert puts[-1] == "PUT /v2/a/manifests/t"
    again = copy_image(f"docker://{HOST}/b:t", PLACE, everything=True, options=ImageOptions(registries=reach(model)))
    assert set(again.blobs) <= {"there", "copied"}
    assert again.digest == name


def test_all_of_what_is_no_index(tmp_path: Path) -> None:
    model, name = served(tmp_path / "d", repository="b")
    assert (
        copy_image(f"docker://{HOST}/b:t", PLACE, everything=True, options=ImageOptions(registries=reach(model))).digest
        == name
    )


@pytest.mark.parametrize(("host", "version"), [("10.0.20348.9", "10.0.20348.1"), ("10.0.26100.9", "10.0.26100.1")])
def test_one_of_an_index(tmp_path: Path, host: str, version: str) -> None:
    _, root = many(tmp_path / "d")
    model = Model()
    put_layout(model, "b", members(tmp_path / "d"), root, "t")
    selector = ImageSelector(platform=Platform(os_version=host))
    copied = copy_image(f"docker://{HOST}/b:t", PLACE, options=ImageOptions(selector=selector, registries=reach(model)))
    with open_image(PLACE, options=ImageOptions(registries=reach(model))) as image:
        assert image.platform.os_version == version
        assert image.manifest.digest == copied.digest
    assert len(model.lines("PUT .*/manifests/")) == 1
    with open_images(f"docker://{HOST}/b:t", registries=reach(model)) as images:
        assert len(images) == 3
    with pytest.raises(UsageError, match="which image of the index"):
        copy_image(f"docker://{HOST}/b:t", f"docker://{HOST}/c:t", options=ImageOptions(registries=reach(model)))


def test_an_index_is_made_of_images_there(tmp_path: Path) -> None:
    model, first = served(tmp_path / "1", repository="b", os_version="10.0.17763.1")
    made = Layout(tmp_path / "2")
    root = made.image(os_version="10.0.20348.1")
    second = put_layout(model, "c", members(tmp_path / "2"), root, "t")
    for place in (PLACE, f"oci:{tmp_path / 'out'}:t"):
        index = make_index(
            [f"docker://{HOST}/b:t", f"docker://{HOST}/c:t"], place, options=ImageOptions(registries=reach(model))
        )
        assert [name for _, _, name in index.images] == [first, second]
        with open_images(place, registries=reach(model)) as images:
            assert [image.manifest.digest for image in images] == [first, second]
    whole(model, "a", model.tags["a", "t"])
    assert model.lines("PUT .*/manifests/")[-1] == "PUT /v2/a/manifests/t"
    with pytest.raises(AlreadyExistsError):
        make_index([f"docker://{HOST}/b:t"], PLACE, options=ImageOptions(registries=reach(model)))


def test_an_index_in_an_index(tmp_path: Path) -> None:
    made, inner = many(tmp_path / "d")
    outer = made.index([inner, made.image()])
    model = Model()
    put_layout(model, "b", members(tmp_path / "d"), outer, "t")
    for everything in (False, True):
        with pytest.raises(RemoteImageError, match=r"^docker://.*: an image index in an image index") as caught:
            copy_image(
                f"docker://{HOST}/b:t", PLACE, everything=everything, options=ImageOptions(registries=reach(model))
            )
        assert caught.value.exit_code == RemoteError.exit_code
        assert caught.value.got == inner["digest"]
    assert model.tags == {("b", "t"): outer["digest"]}


def test_documents_that_cannot_be_right(tmp_path: Path) -> None:
    """Of the format's kind, for whoever asks of images; and exits as what a registry answers."""

    def no_list(manifest: dict[str, Any]) -> None:
        manifest["layers"] = "none"

    made = Layout(tmp_path / "d")
    image = made.image(manifest=no_list)
    index = made.index([image])
    model = Model()
    put_layout(model, "b", members(tmp_path / "d"), image, "t")
    put_layout(model, "c", members(tmp_path / "d"), index, "t")
    for repository in "bc":
        for everything in (False, True):
            with pytest.raises(ImageError) as caught:
                copy_image(
                    f"docker://{HOST}/{repository}:t",
                    PLACE,
                    everything=everything,
                    options=ImageOptions(registries=reach(model)),
                )
            assert isinstance(caught.value, RemoteImageError)
            assert caught.value.path == f"docker://{HOST}/{repository}:t"
            assert caught.value.as_dict()["code"] == RemoteError.exit_code
        with pytest.raises(RemoteImageError):
            open_images(f"docker://{HOST}/{repository}:t", registries=reach(model))
    with pytest.raises(ImageError) as local:
        copy_image(
            f"oci:{layout(tmp_path / 'l', manifest=no_list)}:t", PLACE, options=ImageOptions(registries=reach(model))
        )
    assert local.value.exit_code == ImageError.exit_code
    assert ("a", "t") not in model.tags


# --- conversion -----------------------------------------------------------------


def docker(folder: Path) -> Model:
    """A registry with an image of Docker's media types."""

    def manifest(value: dict[str, Any]) -> None:
        value["mediaType"] = DOCKER + "distribution.manifest.v2+json"
        value["config"]["mediaType"] = DOCKER + "container.image.v1+json"
        for layer in value["layers"]:
            layer["mediaType"] = DOCKER + "image.rootfs.diff.tar.gzip"

    model, _ = served(folder, repository="b", gzipped=True, manifest=manifest)
    return model


def types(model: Model, name: str) -> list[str]:
    data, media_type = model.manifests["a", name]
    value = json.loads(data)
    return [
        media_type,
        value["mediaType"],
        value["config"]["mediaType"],
        *(one["mediaType"] for one in value["layers"]),
    ]


def test_docker_stays_docker(tmp_path: Path) -> None:
    model = docker(tmp_path / "d")
    copied = copy_image(f"docker://{HOST}/b:t", PLACE, options=ImageOptions(registries=reach(model)))
    assert copied.digest == model.tags["b", "t"]
    assert types(model, copied.digest)[0] == DOCKER + "distribution.manifest.v2+json"


def test_docker_becomes_oci(tmp_path: Path) -> None:
    model = docker(tmp_path / "d")
    copied = copy_image(f"docker://{HOST}/b:t", PLACE, oci=True, options=ImageOptions(registries=reach(model)))
    assert copied.digest != model.tags["b", "t"]
    assert types(model, copied.digest) == [MANIFEST, MANIFEST, CONFIG, f"{LAYER}+gzip", f"{LAYER}+gzip"]
    assert copied.blobs["mounted"] == 2
    whole(model, "a", copied.digest)
    assert "Files/g" in paths(PLACE, model)


@pytest.mark.parametrize("compression", ["none", "zstd", "gzip"])
def test_another_compression(tmp_path: Path, compression: Any) -> None:
    model, _ = served(tmp_path / "d", repository="b", gzipped=True)
    told: list[tuple[int, int]] = []
    copied = copy_image(
        f"docker://{HOST}/b:t",
        PLACE,
        compression=compression,
        options=ImageOptions(registries=reach(model), progress=lambda step: told.append((step.done, step.total or 0))),
    )
    kind = LAYER if compression == "none" else f"{LAYER}+{compression}"
    assert types(model, copied.digest)[-2:] == [kind, kind]
    whole(model, "a", copied.digest)
    assert {"Files/f", "Files/g"} <= set(paths(PLACE, model))
    assert copied.blobs["compressed"] == (0 if compression == "gzip" else 2)
    assert all(done <= total for done, total in told)
    assert told == sorted(told)


def test_the_same_conversion_again(tmp_path: Path) -> None:
    """The digest is known at the end alone; the tag leads to it already."""
    model = docker(tmp_path / "d")
    first = copy_image(f"docker://{HOST}/b:t", PLACE, oci=True, options=ImageOptions(registries=reach(model)))
    with pytest.raises(AlreadyExistsError):
        copy_image(f"docker://{HOST}/b:t", PLACE, oci=True, options=ImageOptions(registries=reach(model)))
    again = copy_image(
        f"docker://{HOST}/b:t", PLACE, oci=True, force=True, options=ImageOptions(registries=reach(model))
    )
    assert again.digest == first.digest == model.tags["a", "t"]


# --- build ----------------------------------------------------------------------


def test_built_on_a_base_that_is_there(tmp_path: Path) -> None:
    model, base = served(tmp_path / "d", (BASE_TAR,), repository="b", auth="bearer", gzipped=True)
    built = build_image(
        recipe(make(tmp_path / "c"), base=f"docker://{HOST}/b:t"),
        PLACE,
        options=ImageOptions(registries=reach(model, credentials=Always()), temp_dir=tmp_path),
    )
    assert model.tags["a", "t"] == built.digest
    whole(model, "a", built.digest)
    value = json.loads(model.manifests["a", built.digest][0])
    assert value["annotations"]["org.opencontainers.image.base.digest"] == base
    packed = digest(gzip.compress(BASE_TAR, mtime=0))
    assert value["layers"][0]["digest"] == packed
    assert model.count(f"POST.*mount={packed.replace(':', '%3A')}") == 1
    assert model.sent(f"PUT.*digest={packed.replace(':', '%3A')}") == 0
    with open_image(PLACE, options=ImageOptions(registries=reach(model, credentials=Always()))) as image:
        assert "Files/app.exe" in [entry.path for entry, _ in image.layers[1].source().entries()]
    assert sorted(os.listdir(tmp_path)) == ["c", "d"]


def test_a_build_that_fails_puts_nothing_there(tmp_path: Path) -> None:
    model = Model()
    model.fail("PUT .*/blobs/", status=403)
    with pytest.raises(RemoteError, match="403 Forbidden"):
        build_image(
            recipe(make(tmp_path / "c")), PLACE, options=ImageOptions(registries=reach(model), temp_dir=tmp_path)
        )
    assert model.manifests == {}
    assert model.uploads == {}
    assert os.listdir(tmp_path) == ["c"]


# --- foreign layers -------------------------------------------------------------


def foreign(folder: Path, urls: list[str], *, auth: str | None = "basic") -> tuple[Model, str, bytes]:
    """An image whose base is just an address; a host `cdn.example` that has it."""
    packed = gzip.compress(BASE_TAR, mtime=0)

    def manifest(value: dict[str, Any]) -> None:
        value["layers"][0].update(mediaType=FOREIGN, urls=urls)

    model, name = served(folder, repository="b", auth=auth, gzipped=True, manifest=manifest)
    content = model.blobs.pop(("b", digest(packed)))
    model.hosts["cdn.example"] = lambda request: model.give(request, content)
    return model, name, packed


def test_a_foreign_layer_is_fetched_without_credentials(tmp_path: Path) -> None:
    model, name, packed = foreign(tmp_path / "d", ["http://cdn.example/x", "https://cdn.example/x?sig=S1G"])
    registries = reach(model, credentials=Always())
    model.fail("cdn.example", cut=100)
    copied = copy_image(
        f"docker://{HOST}/b:t", f"oci:{tmp_path / 'out'}:t", options=ImageOptions(registries=registries)
    )
    assert copied.digest == name
    assert (tmp_path / "out" / "blobs" / "sha256" / digest(packed)[7:]).read_bytes() == packed
    asked = [one for one in model.requests if "cdn.example" in one.url]
    assert {one.origin for one in asked} == {"https://cdn.example"}
    assert all("Authorization" not in one.headers for one in asked)
    assert model.told(BASIC) == {f"https://{HOST}"}


def test_a_foreign_layer_that_is_another_one(tmp_path: Path) -> None:
    model, _, packed = foreign(tmp_path / "d", ["https://cdn.example/x"], auth=None)
    content = Bytes(packed[:-1] + b"x")
    model.hosts["cdn.example"] = lambda request: model.give(request, content)
    with pytest.raises(DigestMismatchError):
        copy_image(f"docker://{HOST}/b:t", PLACE, options=ImageOptions(registries=reach(model)))
    assert ("a", "t") not in model.tags
    assert ("a", digest(packed)) not in model.blobs


def test_a_foreign_layer_from_a_thief_of_credentials(tmp_path: Path) -> None:
    """CVE-2020-15157: its host answers 401, names a token server of its own, and then gives the layer."""
    model, _, _ = foreign(tmp_path / "d", ["https://cdn.example/x"], auth="bearer")
    give = model.hosts["cdn.example"]
    asked: list[str] = []

    def thief(request: Any) -> Answer:
        asked.append(request.url)
        if urlsplit(request.url).path == "/token":
            return Answer(200, b'{"token": "x"}')
        if len(asked) == 1:
            return Answer(401, b"", {"www-authenticate": 'Bearer realm="https://cdn.example/token",service="x"'})
        return give(request)

    model.hosts["cdn.example"] = thief
    with suppress(RemoteError):
        copy_image(
            f"docker://{HOST}/b:t",
            f"oci:{tmp_path / 'out'}:t",
            options=ImageOptions(registries=reach(model, jobs=1, credentials=Always())),
        )
    assert asked
    assert "https://cdn.example" not in model.authorized()
    assert model.told(BASIC) == {"https://auth.example"}


@pytest.mark.parametrize("url", ["https://[", "https://cdn.example:x/", "https://cdn.example:99999/x"])
def test_a_foreign_layer_whose_address_is_none(tmp_path: Path, url: str) -> None:
    model, _, _ = foreign(tmp_path / "d", [url])
    with pytest.raises(WclayerError):
        copy_image(
            f"docker://{HOST}/b:t",
            f"oci:{tmp_path / 'out'}:t",
            options=ImageOptions(registries=reach(model, credentials=Always())),
        )
    assert not (tmp_path / "out").exists()


def test_a_layout_that_has_just_the_address_is_pushed_without_the_layer(tmp_path: Path) -> None:
    made = Layout(tmp_path / "d")
    root = made.image(
        gzipped=True,
        manifest=lambda value: value["layers"][0].update(mediaType=FOREIGN, urls=["https://cdn.example/x"]),
    )
    packed = gzip.compress(BASE_TAR, mtime=0)
    made.path(digest(packed)).unlink()
    made.tag(root)
    made.write()
    model = Model()
    copied = copy_image(f"oci:{tmp_path / 'd'}:t", PLACE, options=ImageOptions(registries=reach(model)))
    assert copied.blobs == {"foreign": 1, "copied": 2}
    assert model.tags["a", "t"] == copied.digest
    assert ("a", digest(packed)) not in model.blobs


# --- what must not pass ---------------------------------------------------------


def failing(model: Model, error: type[WclayerError], text: str, folder: Path, **more: Any) -> WclayerError:
    """The image cannot be had: neither a layout nor another repository gets anything that leads to it."""
    before = dict(model.tags)
    caught: list[WclayerError] = []
    for destination in (f"oci:{folder / 'new'}:t", f"oci:{layout(folder / 'old')}:new", f"docker://{HOST}/z:t"):
        files = snapshot(folder)
        model.requests.clear()
        for fault in model.faults:
            fault.met = 0
        with pytest.raises(error, match=text) as info:
            copy_image(f"docker://{HOST}/b:t", destination, options=ImageOptions(registries=reach(model, **more)))
        caught.append(info.value)
        assert snapshot(folder) == files
        assert model.count("PUT .*/manifests/") == 0
        assert model.tags == before
        assert model.uploads == {}
    assert sorted(os.listdir(folder)) == ["old"]
    return caught[0]


@pytest.fixture
def there(tmp_path: Path) -> tuple[Model, str, Path]:
    """A registry with an image, the digest of its manifest, and an empty folder."""
    model, name = served(tmp_path / "source", repository="b", gzipped=True)
    model.mounts = False
    (tmp_path / "target").mkdir()
    return model, name, tmp_path / "target"


def test_no_such_image(there: tuple[Model, str, Path]) -> None:
    model, _, folder = there
    model.manifests.clear()
    error = failing(model, RemoteNotFoundError, "no manifest: the registry answers 404", folder)
    assert error.path == f"docker://{HOST}/b:t"


def test_a_layer_with_other_bytes(there: tuple[Model, str, Path]) -> None:
    model, _, folder = there
    name = digest(packed := gzip.compress(BASE_TAR, mtime=0))
    model.blobs["b", name] = Bytes(packed[:-1] + bytes((packed[-1] ^ 1,)))
    failing(model, DigestMismatchError, "another digest than its descriptor", folder)


def test_a_layer_with_other_bytes_in_the_registry_reaches_no_other(there: tuple[Model, str, Path]) -> None:
    """The last piece of it does not even go out."""
    model, _, _ = there
    name = digest(packed := gzip.compress(BASE_TAR, mtime=0))
    model.blobs["b", name] = Bytes(packed[:-1] + bytes((packed[-1] ^ 1,)))
    with pytest.raises(DigestMismatchError):
        copy_image(f"docker://{HOST}/b:t", PLACE, options=ImageOptions(registries=reach(model)))
    assert ("a", name) not in model.blobs
    assert not [one for one in model.requests if one.method == "PUT" and one.got == len(packed)]


@pytest.mark.parametrize("chunked", [True, False])
@pytest.mark.parametrize("change", [-1, 1])
def test_a_layer_of_another_size(there: tuple[Model, str, Path], chunked: bool, change: int) -> None:
    model, _, folder = there
    name = digest(packed := gzip.compress(TOP_TAR, mtime=0))
    model.blobs["b", name] = Bytes(packed[:-1] if change < 0 else packed + b"x")
    model.chunked = chunked
    failing(model, RemoteError if chunked and change < 0 else DigestMismatchError, ".", folder)


def test_a_layer_that_is_missing(there: tuple[Model, str, Path]) -> None:
    model, _, folder = there
    del model.blobs["b", digest(gzip.compress(TOP_TAR, mtime=0))]
    failing(model, RemoteNotFoundError, r"404 Not Found: BLOB_UNKNOWN", folder)


def test_a_config_with_other_bytes(there: tuple[Model, str, Path]) -> None:
    model, name, folder = there
    config = json.loads(model.manifests["b", name][0])["config"]
    model.blobs["b", config["digest"]] = Bytes(bytes(config["size"]))
    failing(model, DigestMismatchError, f"the config {config['digest']}", folder)


def test_a_manifest_with_other_bytes(there: tuple[Model, str, Path]) -> None:
    model, name, folder = there
    data, media_type = model.manifests["b", name]
    model.manifests["b", name] = (data + b" ", media_type)
    failing(model, DigestMismatchError, "the manifest is not the one of its digest", folder)


def test_a_manifest_of_an_index_with_other_bytes(tmp_path: Path) -> None:
    _, root = many(tmp_path / "d")
    model = Model()
    put_layout(model, "b", members(tmp_path / "d"), root, "t")
    model.tell_digest = False
    for name in [name for _, name in model.manifests if name != root["digest"]]:
        data, media_type = model.manifests["b", name]
        model.manifests["b", name] = (data.replace(b"2", b"2 ", 1), media_type)
    with pytest.raises(DigestMismatchError):
        copy_image(f"docker://{HOST}/b:t", PLACE, everything=True, options=ImageOptions(registries=reach(model)))
    assert model.tags == {("b", "t"): root["digest"]}


def test_a_manifest_that_is_too_large(there: tuple[Model, str, Path]) -> None:
    model, name, folder = there
    model.manifests["b", name] = (bytes(5 << 20), MANIFEST)
    failing(model, RemoteError, "a manifest this large", folder)


@pytest.mark.parametrize(
    ("data", "media_type", "text"),
    [
        (b"{}", MANIFEST, "no image manifest"),
        (b"no json", MANIFEST, "no JSON"),
        (b"[]", INDEX, "no image index"),
        (b'{"schemaVersion": 2, "manifests": []}', INDEX, "the index has no Windows image"),
        (b"{}", "application/json", "the tag leads to no image"),
        (b"", "", "the tag leads to no image"),
        (b'{"mediaType": "x/y"}', "text/plain", "got x/y"),
        (b"\xff", "text/html", "the tag leads to no image"),
    ],
)
def test_what_is_no_image(there: tuple[Model, str, Path], data: bytes, media_type: str, text: str) -> None:
    model, _, folder = there
    model.put("b", data, MANIFEST, tag="t")
    model.fail("GET .*/manifests/t", times=None, edit=lambda answer: answer.set("content-type", media_type))
    error = failing(model, FormatError, text, folder)
    assert str(error).isprintable()


@pytest.mark.parametrize("told", [None, "application/octet-stream", "text/plain; charset=utf-8"])
def test_a_registry_that_does_not_say_the_media_type(there: tuple[Model, str, Path], told: str | None) -> None:
    model, name, _ = there
    model.fail("GET .*/manifests/", times=None, edit=lambda answer: answer.set("content-type", told))
    with open_image(f"docker://{HOST}/b:t", options=ImageOptions(registries=reach(model))) as image:
        assert image.manifest == Descriptor(media_type=MANIFEST, digest=name, size=len(model.manifests["b", name][0]))


def test_a_manifest_without_any_media_type(tmp_path: Path) -> None:
    model, _ = served(tmp_path / "d", manifest=lambda value: value.pop("mediaType") and None)
    made, root = many(tmp_path / "e")
    index = json.loads(made.path(root["digest"]).read_bytes())
    del index["mediaType"]
    model.put("a", json.dumps(index).encode(), INDEX, tag="i")
    for name in members(tmp_path / "e"):
        if name[0].startswith("blobs"):
            model.put_blob("a", name[1])
    model.fail("GET .*/manifests/(t|i)", times=None, edit=lambda answer: answer.set("content-type", None))
    assert "Files/g" in paths(PLACE, model)
    with pytest.raises(UsageError, match="which image of the index"):
        open_image(f"docker://{HOST}/a:i", options=ImageOptions(registries=reach(model)))


@pytest.mark.parametrize("pattern", ["PUT .*/blobs/", "POST", "HEAD .*/blobs/"])
def test_a_registry_that_refuses_leaves_no_tag(tmp_path: Path, pattern: str) -> None:
    folder = layout(tmp_path / "d", [BASE_TAR, TOP_TAR])
    model = Model()
    model.fail(pattern, skip=1, times=None, status=403, body=failure("DENIED"))
    with pytest.raises(RemoteError, match="403 Forbidden"):
        copy_image(f"oci:{folder}:t", PLACE, options=ImageOptions(registries=reach(model), temp_dir=tmp_path))
    assert model.manifests == {}
    assert model.tags == {}
    assert model.count("PUT .*/manifests/") == 0
    assert os.listdir(tmp_path) == ["d"]


def test_a_registry_that_does_not_take_the_tag(tmp_path: Path) -> None:
    model, name = served(tmp_path / "other", (TOP_TAR,))
    folder = layout(tmp_path / "d")
    model.fail("PUT .*/manifests/", times=None, status=409, body=failure("TAG_IMMUTABLE", "it stays"))
    with pytest.raises(RemoteError, match="TAG_IMMUTABLE: it stays"):
        copy_image(
            f"oci:{folder}:t", PLACE, force=True, options=ImageOptions(registries=reach(model), temp_dir=tmp_path)
        )
    assert model.tags == {("a", "t"): name}
    assert sorted(os.listdir(tmp_path)) == ["d", "other"]


def test_places_that_are_none(tmp_path: Path) -> None:
    model = Model()
    for place in (f"docker://{HOST}/a//x", f"docker://{HOST}/a:t//Files"):
        with pytest.raises(UsageError, match="no image"):
            open_image(place, options=ImageOptions(registries=reach(model)))
        with pytest.raises(UsageError, match="no image"):
            create_image(place, registries=reach(model))
    with pytest.raises(UsageError, match="a single layer, where an image is copied"):
        copy_image(f"{PLACE}#0", f"oci:{tmp_path / 'd'}", options=ImageOptions(registries=reach(model)))
    assert model.requests == []


# --- two jobs -------------------------------------------------------------------


def test_two_jobs_of_which_one_fails(tmp_path: Path) -> None:
    """The other ends where it is: it is woken up, and does not go on to its end."""
    folder = layout(tmp_path / "d", [BASE_TAR, TOP_TAR])
    gate = threading.Event()
    aborted: list[bool] = []

    class Aborting(Model):
        def abort(self) -> None:
            aborted.append(True)
            gate.set()

    model = Aborting()
    slow = f"PUT.*{digest(BASE_TAR).replace(':', '%3A')}"
    model.fail(slow, times=None, status=503, before=lambda: gate.wait(20) and None)
    model.fail(f"PUT.*{digest(TOP_TAR).replace(':', '%3A')}", times=None, status=403)
    registries = reach(model, jobs=2)
    with pytest.raises(RemoteError, match="403 Forbidden"):
        copy_image(f"oci:{folder}:t", PLACE, options=ImageOptions(registries=registries, temp_dir=tmp_path))
    assert aborted == [True]
    assert model.manifests == {}
    assert model.tags == {}
    assert model.count("PUT .*/manifests/") == 0
    assert os.listdir(tmp_path) == ["d"]


def test_a_failure_ends_the_waits_of_the_others(tmp_path: Path) -> None:
    """With waits of real life, a pause that abort() ends: else this took minutes."""
    from wclayer.distribution.backoff import Backoff
    from wclayer.distribution.registries import Registries

    folder = layout(tmp_path / "d", [BASE_TAR, TOP_TAR])
    waiting = threading.Event()
    model = Model()
    model.fail(
        f"PUT.*{digest(BASE_TAR).replace(':', '%3A')}",
        times=None,
        status=503,
        headers={"retry-after": "250"},
        before=waiting.set,
    )
    model.fail(f"PUT.*{digest(TOP_TAR).replace(':', '%3A')}", status=403, before=lambda: waiting.wait(20) and None)
    with pytest.raises(RemoteError, match="403 Forbidden"):
        copy_image(
            f"oci:{folder}:t",
            PLACE,
            options=ImageOptions(registries=Registries(transport=model, backoff=Backoff(), jobs=2)),
        )
    assert model.manifests == {}


@pytest.mark.parametrize("jobs", [1, 2, 8])
def test_any_number_of_jobs_copies_the_same(tmp_path: Path, jobs: int) -> None:
    layers = tuple(BASE_TAR + bytes(512 * number) for number in range(6))
    model, name = served(tmp_path / "d", layers, repository="b", auth="bearer")
    results = [
        copy_image(
            f"docker://{HOST}/b:t",
            place,
            options=ImageOptions(registries=reach(model, jobs=jobs, credentials=Always())),
        )
        for place in (PLACE, f"oci:{tmp_path / 'out'}:t")
    ]
    assert [one.digest for one in results] == [name, name]
    assert sum(results[0].blobs.values()) == sum(results[1].blobs.values()) == 8
    # However many threads want it, each token is asked for once: to push, to pull, and to pull again.
    assert model.count("auth.example") == 3


# --- blobs that are gone back in ------------------------------------------------


def test_a_blob_that_is_read_again_from_where_it_broke_off() -> None:
    data = os.urandom(10 << 20)
    opened: list[int] = []

    def opener(offset: int) -> BinaryIO:
        opened.append(offset)
        return cast("BinaryIO", _Pieces(data[offset:]))

    descriptor = Descriptor(media_type=LAYER, digest=digest(data), size=len(data))
    with closing(VerifiedBlob(opener, descriptor, "a blob")) as blob:
        while blob.tell() < len(data):
            blob.read(1 << 18)
        for offset in (9 << 20, (5 << 20) + 3, 12, 0):
            blob.rewind(offset)
            assert blob.tell() == offset
            assert exactly(blob, 100) == data[offset : offset + 100]
        # What is read once more is bounded, however large the blob.
        for start, offset in zip(opened[1:], (9 << 20, (5 << 20) + 3, 12, 0), strict=True):
            assert 0 <= offset - start <= (4 << 20) + (1 << 18)
        blob.rewind(7)
        assert b"".join(iter(lambda: blob.read(1 << 18), b"")) == data[7:]


def exactly(blob: VerifiedBlob, n: int) -> bytes:
    data = b""
    while len(data) < n:
        data += blob.read(n - len(data))
    return data


class _Pieces:
    """A stream that gives its first bytes one by one, as a slow connection may."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    def read(self, n: int = -1, /) -> bytes:
        n = len(self._data) if n < 0 else n
        if self._position < 8:
            n = min(n, 2)
        data = self._data[self._position : self._position + n]
        self._position += len(data)
        return data

    def close(self) -> None:
        pass


@pytest.mark.parametrize(("compression", "magic"), [("gzip", b"\x1f\x8b\x08\x00"), ("zstd", b"\x28\xb5\x2f\xfd")])
def test_going_back_does_not_confuse_the_compression(compression: Any, magic: bytes) -> None:
    data = magic + bytes(1000)
    descriptor = Descriptor(media_type=f"{LAYER}+{compression}", digest=digest(data), size=len(data))
    blob = VerifiedBlob(lambda offset: cast("BinaryIO", _Pieces(data[offset:])), descriptor, "a blob", compression)
    assert blob.read(100) == data[:2]
    blob.rewind(0)
    assert b"".join(iter(lambda: blob.read(100), b"")) == data


def test_not_found_is_of_both_kinds() -> None:
    """What is missing is missing, for whoever asks of files; and exits as what the network says."""
    assert issubclass(RemoteNotFoundError, NotFoundError)
    assert RemoteNotFoundError.exit_code == RemoteError.exit_code


# --- found by reading ---------------------------------------------------------------


def test_a_blob_that_the_registry_has_lost_is_no_missing_image(tmp_path: Path) -> None:
    """export --force would put a new image in the place of one whose config is gone."""
    model, name = served(tmp_path / "d")
    config = json.loads(model.manifests["a", name][0])["config"]["digest"]
    del model.blobs["a", config]
    before = dict(model.manifests)

    def never(_: BlobWriter, __: Sequence[str]) -> Summary:
        raise AssertionError("nothing is to be written")

    with pytest.raises(RemoteError, match=r"the config is missing: .*404") as caught:
        put_layer(parse_place(f"{PLACE}#0"), never, base=True, force=True, registries=reach(model))
    assert not isinstance(caught.value, NotFoundError)
    assert model.manifests == before


def test_a_tag_and_a_digest_is_one_too_many(tmp_path: Path) -> None:
    model, name = served(tmp_path / "d")
    with pytest.raises(UsageError, match="a tag and a digest"):
        copy_image(
            f"oci:{layout(tmp_path / 'x')}",
            f"docker://{HOST}/a:t@{name}",
            options=ImageOptions(registries=reach(model)),
        )


def test_the_same_image_again_into_a_layout(tmp_path: Path) -> None:
    model, name = served(tmp_path / "d")
    for _ in range(2):
        assert (
            copy_image(PLACE, f"oci:{tmp_path / 'x'}:t", options=ImageOptions(registries=reach(model))).digest == name
        )
    other, _ = served(tmp_path / "e", layers=(BASE_TAR,))
    with pytest.raises(AlreadyExistsError):
        copy_image(PLACE, f"oci:{tmp_path / 'x'}:t", options=ImageOptions(registries=reach(other)))


def test_after_a_failure_there_are_tries_again(tmp_path: Path) -> None:
    """What ends the other blobs of one copy does not end the patience of the next."""
    model, _ = served(tmp_path / "d")
    broken, _ = served(tmp_path / "e", layers=(BASE_TAR, TOP_TAR), gzipped=True)
    broken.blobs.clear()
    hosts = {HOST: model, "s.example": broken}

    class Both:
        def send(self, request: Request, /) -> Response:
            found = hosts["s.example" if "//s.example" in request.url else HOST]
            return found.send(replace(request, url=request.url.replace("s.example", HOST)))

    with Registries(transport=Both(), backoff=Backoff(first=0, most=0)) as registries:
        with pytest.raises(RemoteError):
            copy_image("docker://s.example/a:t", f"oci:{tmp_path / 'x'}:t", options=ImageOptions(registries=registries))
        model.fail("GET .*/manifests/", status=503)
        copy_image(PLACE, f"oci:{tmp_path / 'x'}:t", options=ImageOptions(registries=registries))
    assert len(model.lines("/manifests/")) >= 2
