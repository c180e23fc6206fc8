"""Manifests in and out, and whether a blob is there."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.registry_model import HOST, MANIFEST, Always, Model, Zeros, connect, digest_of, failure
from wclayer.distribution.reference import Reference
from wclayer.distribution.repository import Repository
from wclayer.errors import DigestMismatchError, RemoteError, RemoteNotFoundError, UnreachableError

DATA = json.dumps({"schemaVersion": 2, "layers": []}).encode()
MOST = 4 << 20


def repository(model: Model, **more: Any) -> Repository:
    push = more.pop("push", False)
    reference = Reference(host=HOST, repository="a/b", tag="t")
    accept = (MANIFEST, "application/x.other")
    return Repository(connect(model, **more), reference, accept=accept, most=MOST, push=push)


def filled(**more: Any) -> tuple[Model, str]:
    model = Model(**more)
    return model, model.put("a/b", DATA, tag="t")


# --- manifests in ---------------------------------------------------------------


def test_a_manifest() -> None:
    model, name = filled()
    for one in ("t", name):
        found = repository(model).manifest(one)
        assert (found.data, found.media_type, found.digest) == (DATA, MANIFEST, name)
    assert model.lines() == ["GET /v2/a/b/manifests/t", f"GET /v2/a/b/manifests/{name}"]
    assert model.requests[0].headers["Accept"] == f"{MANIFEST}, application/x.other"
    assert all(answer.closed for answer in model.answers)


def test_a_media_type_with_parameters() -> None:
    model, _ = filled()
    model.fail("GET", edit=lambda answer: answer.set("content-type", f"{MANIFEST}; charset=utf-8"))
    assert repository(model).manifest("t").media_type == MANIFEST


def test_no_manifest() -> None:
    model, _ = filled()
    with pytest.raises(
        RemoteNotFoundError, match=rf"^docker://{HOST}/a/b:t: no manifest: .*404 Not Found: MANIFEST_UNKNOWN"
    ):
        repository(model).manifest("other")
    assert repository(model).find_manifest("other") is None


@pytest.mark.parametrize("told", ["right", "none"])
def test_other_bytes_than_the_digest_says(told: str) -> None:
    model, name = filled()
    model.tell_digest = told == "right"
    model.manifests["a/b", name] = (DATA + b" ", MANIFEST)
    with pytest.raises(DigestMismatchError, match=f"expected {name}; got {digest_of(DATA + b' ')}"):
        repository(model).manifest(name)


def test_other_bytes_than_the_header_says() -> None:
    model, name = filled()
    other = digest_of(b"other")
    model.fail("GET", edit=lambda answer: answer.set("docker-content-digest", other))
    with pytest.raises(DigestMismatchError, match=f"expected {other}; got {name}"):
        repository(model).manifest("t")


@pytest.mark.parametrize("told", [None, "", "sha512:" + "0" * 128, "nonsense"])
def test_a_header_that_says_nothing(told: str | None) -> None:
    model, name = filled()
    model.fail("GET|HEAD", times=None, edit=lambda answer: answer.set("docker-content-digest", told))
    assert repository(model).manifest("t").digest == name
    assert repository(model).find_manifest("t") == name
    assert model.lines("HEAD") == ["HEAD /v2/a/b/manifests/t"]
    assert len(model.lines("GET")) == 2


def test_what_a_tag_leads_to() -> None:
    model, name = filled()
    assert repository(model).find_manifest("t") == name
    assert model.lines() == ["HEAD /v2/a/b/manifests/t"]


def test_a_manifest_that_breaks_off_is_asked_for_again() -> None:
    model, name = filled()
    model.fail("GET", cut=10)
    assert repository(model).manifest("t").digest == name
    assert model.count("GET") == 2


def test_a_manifest_that_always_breaks_off() -> None:
    model, _ = filled()
    model.fail("GET", times=None, cut=10)
    with pytest.raises(UnreachableError) as caught:
        repository(model).manifest("t")
    assert caught.value.path == f"docker://{HOST}/a/b:t"
    assert all(answer.closed for answer in model.answers)


@pytest.mark.parametrize("chunked", [True, False])
def test_a_manifest_that_is_too_large(chunked: bool) -> None:
    model, name = filled()
    model.chunked = chunked
    model.manifests["a/b", name] = (bytes(MOST + 1), MANIFEST)
    with pytest.raises(RemoteError, match=r"a manifest this large; expected at most 4,194,304 bytes"):
        repository(model).manifest("t")
    assert model.answers[0].closed
    assert model.answers[0].largest <= (MOST + 1 if chunked else 0)
    model.manifests["a/b", name] = (bytes(MOST), MANIFEST)
    model.tell_digest = False
    assert len(repository(model).manifest("t").data) == MOST


def test_a_manifest_without_end() -> None:
    model, _ = filled()

    def edit(answer: Any) -> None:
        answer.set("content-length", None)
        answer.content = Zeros(1 << 40)

    model.fail("GET", edit=edit)
    with pytest.raises(RemoteError, match="a manifest this large"):
        repository(model).manifest("t")
    assert model.answers[0]._position == MOST + 1


# --- manifests out --------------------------------------------------------------


def test_put() -> None:
    model = Model(auth="bearer")
    target = repository(model, push=True, credentials=Always())
    target.put_manifest("t", DATA, MANIFEST)
    target.put_manifest(digest_of(DATA), DATA, MANIFEST)
    assert model.tags == {("a/b", "t"): digest_of(DATA)}
    assert model.manifests == {("a/b", digest_of(DATA)): (DATA, MANIFEST)}


def test_a_put_that_is_lost_is_done_again() -> None:
    for fault in ({"lost": True}, {"unreachable": True}, {"status": 503}):
        model = Model()
        model.fail("PUT", **fault)
        repository(model, push=True).put_manifest("t", DATA, MANIFEST)
        assert model.count("PUT") == 2


@pytest.mark.parametrize(
    ("status", "body", "text"),
    [
        (400, failure("MANIFEST_BLOB_UNKNOWN", "blob unknown", {"digest": "x"}), "MANIFEST_BLOB_UNKNOWN: blob unknown"),
        (400, failure("DIGEST_INVALID"), "DIGEST_INVALID"),
        (403, b"", "403 Forbidden -- this account may not do it"),
        (413, b"<html>", "413"),
        (405, b"", "405 Method Not Allowed"),
        (409, failure("DENIED", "the tag is immutable"), "the tag is immutable"),
    ],
)
def test_a_put_that_is_refused(status: int, body: bytes, text: str) -> None:
    model = Model()
    model.fail("PUT", times=None, status=status, body=body)
    with pytest.raises(RemoteError, match=f"it does not take the manifest: the registry answers {status}") as caught:
        repository(model, push=True).put_manifest("t", DATA, MANIFEST)
    assert text in str(caught.value)
    assert model.count("PUT") == 1


def test_the_registry_has_stored_another_manifest() -> None:
    model = Model()
    other = digest_of(b"other")
    model.fail("PUT", edit=lambda answer: answer.set("docker-content-digest", other))
    with pytest.raises(DigestMismatchError, match=f"another manifest; expected {digest_of(DATA)}; got {other}"):
        repository(model, push=True).put_manifest("t", DATA, MANIFEST)


# --- blobs ----------------------------------------------------------------------


def test_has_blob() -> None:
    model = Model()
    name = model.put_blob("a/b", b"hello")
    found = repository(model)
    assert found.has_blob(name, 5)
    assert not found.has_blob(name, 6)  # it is broken there
    assert not found.has_blob(digest_of(b"other"), 5)
    model.chunked = True
    assert found.has_blob(name, 5)
    assert {one.method for one in model.requests} == {"HEAD"}


def test_has_blob_behind_a_redirect() -> None:
    model = Model()
    name = model.put_blob("a/b", b"hello")
    model.hosts["cdn.example"] = lambda request: model.give(request, model.blobs["a/b", name])
    model.fail("HEAD https://r.example", status=307, headers={"location": "https://cdn.example/x"})
    assert repository(model).has_blob(name, 5)
    assert [one.method for one in model.requests] == ["HEAD", "HEAD"]


def test_scopes() -> None:
    reference = Reference(host=HOST, repository="a")
    more: dict[str, Any] = {"accept": (), "most": 1, "mount_from": ("b", "a", "c/d")}
    registry = connect(Model())
    assert Repository(registry, reference, **more).scopes[0] == "repository:a:pull"
    assert Repository(registry, reference, push=True, **more).scopes == (
        "repository:a:pull,push",
        "repository:b:pull",
        "repository:c/d:pull",
    )
