"""Registries: wherever connections break off, a blob arrives; and whatever strangers answer, it ends in our errors."""

from __future__ import annotations

import base64
import json
import os
import tempfile
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.registry_model import AUTH, BASIC, HOST, MANIFEST, Always, Answer, Model, connect, digest_of
from wclayer.distribution.backoff import retry_after
from wclayer.distribution.challenge import parse_challenges
from wclayer.distribution.credentials import AuthFiles
from wclayer.distribution.reference import Reference, parse_reference
from wclayer.distribution.repository import Repository
from wclayer.errors import RemoteError, UsageError, WclayerError
from wclayer.images.places.blobs import VerifiedBlob
from wclayer.images.spec.descriptors import Descriptor

SIZE = (5 << 20) + 321  # larger than what is sent in one piece
DATA = os.urandom(1 << 16) * (SIZE >> 16) + os.urandom(SIZE & 0xFFFF)
NAME = digest_of(DATA)
SMALL = DATA[:70_000]
SMALL_NAME = digest_of(SMALL)

# Headers as they come off the wire: latin-1, without line ends.
headers = st.text(st.characters(max_codepoint=0xFF, exclude_characters="\r\n")) | st.text(
    st.sampled_from(' \t,;="\\/:?#@[]%.0aZ\x00\x1b\xe9'), max_size=30
)
cuts = st.lists(st.integers(0, SIZE) | st.sampled_from([0, 1, 2, 1 << 20, SIZE - 1, SIZE]), max_size=6)


def repository(model: Model, name: str = "a", **more: Any) -> Repository:
    registry = connect(model, tries=more.pop("tries", 30), **more)
    return Repository(
        registry, Reference(host=HOST, repository=name, tag="t"), accept=(MANIFEST,), most=1 << 20, push=True
    )


def source(name: str = NAME, data: bytes = DATA) -> VerifiedBlob:
    return VerifiedBlob.of_bytes(data, Descriptor(media_type="x", digest=name, size=len(data)), "the blob")


# --- cuts -----------------------------------------------------------------------


@settings(max_examples=60)
@given(
    st.lists(st.integers(0, len(SMALL)), max_size=8), st.integers(1, 1 << 17), st.integers(1, 1 << 17), st.booleans()
)
def test_a_download_with_cuts(cut: list[int], piece: int, n: int, ranged: bool) -> None:
    model = Model()
    model.put_blob("a", SMALL)
    model.piece = max(piece, 500)
    model.ranges = ranged
    for one in cut:
        model.fail("GET", cut=one)
    with closing(repository(model).open_blob(SMALL_NAME, len(SMALL))) as stream:
        pieces = list(iter(lambda: stream.read(max(n, 500)), b""))
    assert b"".join(pieces) == SMALL
    assert all(len(one) <= max(n, 500) for one in pieces)


@settings(max_examples=40)
@given(cuts, cuts, st.lists(st.booleans(), max_size=3), st.sampled_from([None, 405]))
def test_an_upload_with_cuts(cut: list[int], last: list[int], lost: list[bool], no_patch: int | None) -> None:
    model = Model()
    model.no_patch = no_patch
    for one in cut:
        model.fail("PATCH", cut_request=one)
    for one in last if no_patch else ():
        model.fail("PUT", cut_request=one)
    for one in lost:
        model.fail("PATCH" if one else "PUT", lost=True)
    told: list[int] = []
    with closing(source()) as blob:
        assert repository(model).push_blob(NAME, SIZE, blob, told.append) == "copied"
    assert model.blob("a", NAME) == DATA
    assert sum(told) == SIZE
    assert len(model.blobs) == 1


@settings(max_examples=40)
@given(cuts, cuts, st.integers(100, 1 << 20), st.booleans())
def test_a_copy_with_cuts_at_both_ends(down: list[int], up: list[int], piece: int, ranged: bool) -> None:
    model = Model()
    model.put_blob("b", DATA)
    model.piece = max(piece, 20_000)
    model.ranges = ranged
    for one in down:
        model.fail(f"GET.*/b/blobs/{NAME}", cut=one)
    for one in up:
        model.fail("PATCH", cut_request=one)
    taken, told = repository(model, "b"), list[int]()
    blob = VerifiedBlob(
        lambda offset: taken.open_blob(NAME, SIZE, offset), Descriptor(media_type="x", digest=NAME, size=SIZE), "it"
    )
    with closing(blob):
        repository(model).push_blob(NAME, SIZE, blob, told.append)
    assert model.blob("a", NAME) == DATA
    assert sum(told) == SIZE


# --- strangers ------------------------------------------------------------------


@given(st.text() | headers)
@example('Basic realm="')
@example("a=" * 100)
@example('Bearer realm="\\')
def test_challenges(text: str) -> None:
    for one in parse_challenges(text):
        assert one.scheme == one.scheme.lower() != ""
        assert all(name == name.lower() != "" for name in one.parameters)


@given(st.text() | headers, st.text() | headers)
@example("Mon, 01 Jan 0001 00:00:00 +2359", "Fri, 31 Dec 9999 23:59:59 -2359")
@example("1 Jan 1 0:0:0 +9999999999", "")
def test_waits(wanted: str, date: str) -> None:
    seconds = retry_after({"retry-after": wanted, "date": date})
    assert seconds is None or seconds >= 0


@given(st.text())
@example("[::::]/a")
@example("[::1]:0/a")
def test_references(text: str) -> None:
    try:
        found = parse_reference(text)
    except UsageError as error:
        said = str(error)
    else:
        said = str(found)
        assert parse_reference(said.removeprefix("docker://")).repository == found.repository
        model = Model(found.host)
        with pytest.raises(RemoteError):
            Repository(connect(model), found, accept=(), most=1).manifest(found.name)
    assert said.isprintable()


def refused(model: Model) -> None:
    """A pull and a push; whatever comes of it, an error is ours, and shows nothing but text."""
    found = repository(model, credentials=Always(), tries=3)
    try:
        with closing(found.open_blob(SMALL_NAME, len(SMALL))) as stream:
            while stream.read(1 << 16):
                pass
    except WclayerError as error:
        assert str(error).isprintable()  # noqa: PT017 # there may be none
    try:
        with closing(source()) as blob:
            found.push_blob(NAME, SIZE, blob)
    except WclayerError as error:
        assert str(error).isprintable()  # noqa: PT017 # there may be none
    with suppress(WclayerError):
        found.manifest("t")
    assert not [one for one in model.requests if one.url.startswith("http:")]


def filled(**more: Any) -> Model:
    model = Model(**more)
    model.put_blob("a", SMALL)
    model.put("a", b"{}", tag="t")
    return model


@settings(max_examples=60)
@given(headers, st.sampled_from(["{}", "Basic {}", "Bearer {}", 'Bearer realm="{}"', 'Bearer realm="https://{}"']))
@example("[", 'Bearer realm="https://{}"')
@example("auth.example:x", 'Bearer realm="https://{}"')
@example("\x1b", 'Bearer realm="https://{}"')
def test_what_a_registry_wants_to_see(text: str, form: str) -> None:
    model = filled(auth="bearer")
    model.fail(f"https://{HOST}", times=None, status=401, headers={"www-authenticate": form.replace("{}", text)})
    refused(model)


@settings(max_examples=60)
@given(
    st.binary()
    | st.text().map(lambda text: json.dumps({"token": text}).encode())
    | st.dictionaries(
        st.sampled_from(["token", "access_token", "expires_in", "issued_at"]),
        st.none() | st.integers() | st.floats() | st.text() | st.lists(st.none()),
    ).map(lambda value: json.dumps(value).encode())
)
def test_what_a_token_server_says(data: bytes) -> None:
    model = filled(auth="bearer")
    model.fail(AUTH, times=None, status=200, body=data)
    refused(model)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.sampled_from(["code", "message", "detail"]), inner),
    max_leaves=10,
)


@settings(max_examples=60)
@given(st.binary() | JSON.map(lambda value: json.dumps({"errors": value}).encode()), st.integers(400, 599), headers)
def test_what_a_registry_says_of_its_errors(data: bytes, status: int, wait: str) -> None:
    model = filled()
    model.fail("", times=None, status=status, body=data, headers={"retry-after": wait})
    refused(model)


@settings(max_examples=80)
@given(headers | headers.map(lambda text: f"https://{text}") | headers.map(lambda text: f"//{text}"), st.booleans())
@example("https://[", True)
@example("http://localhost:1@evil.example/", True)
@example("https://evil.example:99999/", False)
def test_where_a_registry_leads(location: str, at_upload: bool) -> None:
    model = filled(auth="basic")
    for host in ("evil.example", "localhost:1@evil.example"):
        model.hosts[host] = lambda _: Answer(401, b"", {"www-authenticate": "Basic"})
    if at_upload:
        model.fail("POST", edit=lambda answer: answer.set("location", location))
    else:
        model.fail("GET.*/v2/", skip=1, times=None, status=307, headers={"location": location})
    refused(model)
    assert model.authorized() | model.told(BASIC) <= {f"https://{HOST}"}


@settings(max_examples=60)
@given(
    st.sampled_from(["range", "content-range", "content-length", "content-type", "docker-content-digest"]),
    headers | st.integers(0, 1 << 70).map(str) | st.integers(0, 1 << 70).map(lambda n: f"0-{n}"),
)
@example("range", "0-0")
def test_what_a_registry_says_of_its_bytes(name: str, value: str) -> None:
    model = filled()
    model.fail("GET.*/blobs/", cut=1000)
    model.fail("PATCH", cut_request=1 << 20)
    model.fail("", times=None, edit=lambda answer: answer.set(name, value))
    refused(model)


entries = st.dictionaries(
    st.sampled_from(["auth", "username", "password", "identitytoken"]),
    st.none() | st.integers() | st.text() | st.binary().map(lambda data: base64.b64encode(data).decode()),
)
surrogates = st.sampled_from([{"username": "\ud800", "password": "x"}, {"identitytoken": "\udfff"}])
files = st.fixed_dictionaries(
    {},
    optional={
        "auths": JSON
        | st.dictionaries(st.sampled_from([HOST, f"https://{HOST}/v1/", f"{HOST}/a"]), entries | surrogates),
        "credHelpers": st.dictionaries(st.text(), st.none() | st.integers()),
        "credsStore": st.none()
        | st.integers()
        | st.sampled_from(["", "/", "..", "a b", "-"]).filter(lambda text: text != "-"),
    },
).map(lambda value: json.dumps(value).encode())


@settings(max_examples=80)
@given(st.binary() | files, st.sampled_from(["basic", "bearer"]))
@example(json.dumps({"auths": {HOST: {"username": "\ud800", "password": "x"}}}).encode(), "basic")
@example(json.dumps({"auths": {HOST: {"identitytoken": "\ud800"}}}).encode(), "bearer")
def test_files_of_credentials(data: bytes, auth: str) -> None:
    """Read, and used."""
    model = filled(auth=auth)
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "config.json").write_bytes(data)
        credentials = AuthFiles([str(Path(folder) / "config.json")])
        with pytest.raises(WclayerError):
            repository_of(model, credentials).manifest("t")


def repository_of(model: Model, credentials: AuthFiles) -> Repository:
    registry = connect(model, credentials=credentials)
    return Repository(registry, parse_reference(f"{HOST}/a:t"), accept=(MANIFEST,), most=1 << 20)
