"""Blobs on their way here: they go on where they broke off, and nothing holds one as a whole."""

from __future__ import annotations

import hashlib
from typing import Any, BinaryIO
from urllib.parse import urlsplit

import pytest

from tests.registry_model import (
    BASIC,
    HOST,
    MANIFEST,
    Always,
    Answer,
    Content,
    Model,
    Zeros,
    connect,
    digest_of,
    failure,
    redirect,
)
from wclayer.distribution.reference import Reference
from wclayer.distribution.repository import Repository
from wclayer.distribution.session import Registry
from wclayer.distribution.transport import Request
from wclayer.errors import DigestMismatchError, RemoteError, RemoteNotFoundError, UnreachableError

DATA = bytes(range(256)) * 40
NAME = "the layer"


def repository(registry: Registry) -> Repository:
    return Repository(registry, Reference(host=HOST, repository="a", tag="t"), accept=(MANIFEST,), most=1 << 20)


def blob(
    model: Model, data: bytes | Content = DATA, *, waits: list[float] | None = None, offset: int = 0, **more: Any
) -> BinaryIO:
    size = len(data) if isinstance(data, bytes) else data.size
    urls = more.pop("urls", ())
    digest = more.pop("digest", None) or model.put_blob("a", data)
    return repository(connect(model, waits, **more)).open_blob(digest, size, offset, urls=urls, name=NAME)


def read(stream: BinaryIO, n: int = 1000) -> bytes:
    return b"".join(iter(lambda: stream.read(n), b""))


def ranges(model: Model) -> list[str | None]:
    return [one.headers.get("Range") for one in model.requests]


@pytest.mark.parametrize("n", [1, 7, 1000, 1 << 20])
def test_whole(n: int) -> None:
    model = Model()
    stream = blob(model)
    assert read(stream, n) == DATA
    assert stream.read(n) == b""
    assert ranges(model) == [None]
    stream.close()
    assert model.answers[0].closed


def test_all_at_once() -> None:
    model = Model()
    model.fail("GET", cut=5000)
    assert blob(model).read() == DATA


def test_nothing() -> None:
    assert read(blob(Model(), b"")) == b""


@pytest.mark.parametrize("ranged", [True, False])
@pytest.mark.parametrize("chunked", [True, False])
def test_from_an_offset(ranged: bool, chunked: bool) -> None:
    model = Model()
    model.ranges = ranged
    model.chunked = chunked
    assert read(blob(model, offset=777)) == DATA[777:]
    assert ranges(model) == ["bytes=777-"]


@pytest.mark.parametrize("ranged", [True, False])
def test_it_goes_on_where_it_broke_off(ranged: bool) -> None:
    waits: list[float] = []
    model = Model()
    model.ranges = ranged
    for cut in (0, 100, 100, 0, 9000) if ranged else (0, 100, 200, 200, 9300):
        model.fail("GET", cut=cut)
    assert read(blob(model, waits=waits)) == DATA
    assert ranges(model)[:4] == [None, None, "bytes=100-", "bytes=200-"]
    assert len(model.requests) == 6
    assert len(waits) == 5


def test_the_range_is_asked_of_the_registry_again() -> None:
    """The address that it led to may be good for a minute only."""
    model = Model(auth="bearer")
    digest = model.put_blob("a", DATA)
    model.hosts["cdn.example"] = lambda request: model.give(request, model.blobs["a", digest])
    found = repository(connect(model, credentials=Always()))
    assert found.has_blob(digest, len(DATA))
    for number in range(2):
        model.faults.append(redirect(f"GET https://{HOST}", f"https://cdn.example/{number}"))
    model.fail("cdn.example", cut=100)
    assert read(found.open_blob(digest, len(DATA), name=NAME)) == DATA
    assert [one.url for one in model.requests if "cdn" in one.url] == ["https://cdn.example/0", "https://cdn.example/1"]
    assert all("Authorization" not in one.headers for one in model.requests if "cdn" in one.url)


def test_a_token_that_runs_out_meanwhile() -> None:
    model = Model(auth="bearer")
    model.fail("GET https://r.example", skip=1, cut=3000)
    stream = blob(model, credentials=Always())
    begun = stream.read(1000)
    model.tokens.clear()
    assert begun + read(stream) == DATA
    assert model.count("auth.example") == 2


def test_without_any_progress_it_ends() -> None:
    waits: list[float] = []
    model = Model()
    model.fail("GET", cut=100)
    model.fail("GET", times=None, cut=0)
    with pytest.raises(UnreachableError, match=rf"^{NAME}: the connection broke off.*\(8 times\)$"):
        read(blob(model, waits=waits))
    assert len(model.requests) == 8
    assert waits == [0.5, 1, 2, 4, 8, 16, 30]


def test_with_progress_it_goes_on() -> None:
    model = Model()
    data = Zeros(24 << 20)
    model.fail("GET", times=None, cut=(1 << 20) + 10)
    stream = blob(model, data)
    assert sum(len(piece) for piece in iter(lambda: stream.read(1 << 16), b"")) == data.size
    assert len(model.requests) == 24


def test_little_progress_is_not_enough() -> None:
    model = Model()
    model.fail("GET", times=None, cut=1000)
    with pytest.raises(UnreachableError, match=r"\(8 times\)"):
        read(blob(model))
    assert len(model.requests) == 8


@pytest.mark.parametrize("fault", [{"status": 503}, {"status": 429}, {"unreachable": True}])
def test_a_registry_that_goes_away_meanwhile(fault: dict[str, Any]) -> None:
    """The tries of a request and those of the blob do not multiply."""
    model = Model()
    model.fail("GET", cut=3000)
    model.fail("GET", times=None, **fault)
    with pytest.raises(UnreachableError, match=rf"^{NAME}: .*\(8 times\)") as caught:
        read(blob(model))
    assert len(model.requests) <= 17
    assert str(caught.value).count("times)") == 1


def test_it_asks_to_wait_too_long_meanwhile() -> None:
    waits: list[float] = []
    model = Model()
    model.fail("GET", cut=3000)
    model.fail("GET", times=None, status=429, headers={"retry-after": "3600"})
    with pytest.raises(UnreachableError, match="it asks to wait for 3,600 s"):
        read(blob(model, waits=waits))
    assert len(model.requests) == 2
    assert waits == [0.5]


def test_a_break_after_the_last_byte() -> None:
    """Without a Content-Length the end of a body is a thing of its own; but all bytes are there."""
    model = Model()
    model.chunked = True
    model.fail("GET", cut=len(DATA))
    assert read(blob(model)) == DATA


@pytest.mark.parametrize("chunked", [True, False])
def test_a_blob_that_is_too_short(chunked: bool) -> None:
    model = Model()
    model.chunked = chunked
    digest = model.put_blob("a", DATA[:-1])
    with pytest.raises(RemoteError if chunked else DigestMismatchError) as caught:
        read(blob(model, digest=digest))
    assert caught.value.path is not None
    assert len(model.requests) <= 16


def test_a_blob_of_another_size_is_not_read() -> None:
    for stored in (DATA[:-1], DATA + b"x"):
        model = Model()
        with pytest.raises(DigestMismatchError, match=f"^{NAME}: .*another size.*expected 10240; got {len(stored)}"):
            blob(model, digest=model.put_blob("a", stored))
        assert model.answers[0].closed
        assert model.answers[0].largest == 0


def test_a_blob_that_is_too_long_gives_more_than_it_should() -> None:
    """So that whoever checks it finds out."""
    model = Model()
    model.chunked = True
    assert len(read(blob(model, digest=model.put_blob("a", DATA + b"x")), 100)) > len(DATA)


def headers(name: str, value: str | None) -> dict[str, Any]:
    return {"edit": lambda answer: answer.set(name, value)}


@pytest.mark.parametrize(
    "span", ["bytes 99-10239/10240", "bytes 101-10239/10240", "bytes */10240", "items 100-1/2", "", None, "bytes 100-"]
)
def test_another_range_than_was_asked_for(span: str | None) -> None:
    model = Model()
    model.fail("GET", cut=100)
    model.fail("GET", **headers("content-range", span))
    with pytest.raises(RemoteError, match=rf"^{NAME}: .*another range than was asked for; expected bytes 100-"):
        read(blob(model))
    assert all(answer.closed for answer in model.answers)


@pytest.mark.parametrize("length", ["99999999999999999999999", "10141", "0"])
def test_a_range_of_another_length(length: str) -> None:
    model = Model()
    model.fail("GET", cut=100)
    model.fail("GET", **headers("content-length", length))
    with pytest.raises(DigestMismatchError, match="another size than its descriptor"):
        read(blob(model))


@pytest.mark.parametrize("length", ["", "x", "-5", "1e3", "٣"])
def test_a_length_that_is_none(length: str) -> None:
    model = Model()
    model.fail("GET", **headers("content-length", length))
    if length == "٣":
        with pytest.raises(DigestMismatchError):
            read(blob(model))
    else:
        assert read(blob(model)) == DATA


def test_nothing_reads_a_whole_blob() -> None:
    data = Zeros(64 << 20)
    for ranged in (True, False):
        model = Model()
        model.ranges = ranged
        model.fail("GET", cut=40 << 20)
        stream = blob(model, data)
        state, longest, total = hashlib.sha256(), 0, 0
        while piece := stream.read(1 << 18):
            state.update(piece)
            longest, total = max(longest, len(piece)), total + len(piece)
        assert total == data.size
        assert f"sha256:{state.hexdigest()}" == data.digest()
        assert longest <= 1 << 18
        assert max(answer.largest for answer in model.answers) <= 1 << 18
        assert [one.headers.get("Range") for one in model.requests] == [None, f"bytes={40 << 20}-"]


# --- missing, and elsewhere -----------------------------------------------------


def test_missing() -> None:
    model = Model()
    with pytest.raises(RemoteNotFoundError, match=rf"^{NAME}: no blob sha256:.*404 Not Found: BLOB_UNKNOWN"):
        blob(model, digest=digest_of(b"other"))
    assert len(model.requests) == 1


def elsewhere(model: Model, host: str = "cdn.example") -> list[Request]:
    seen: list[Request] = []

    def give(request: Request) -> Answer:
        seen.append(request)
        return model.give(request, model.blobs["elsewhere", digest_of(DATA)])

    model.put_blob("elsewhere", DATA)
    model.hosts[host] = give
    return seen


@pytest.mark.parametrize("auth", ["basic", "bearer"])
def test_a_foreign_layer_is_fetched_from_its_address_without_credentials(auth: str) -> None:
    model = Model(auth=auth)
    seen = elsewhere(model)
    model.fail("cdn.example", cut=5000)
    stream = blob(model, digest=digest_of(DATA), urls=("https://cdn.example/x?sig=S1G",), credentials=Always())
    assert read(stream) == DATA
    assert [request.url for request in seen] == ["https://cdn.example/x?sig=S1G"] * 2
    assert [request.headers.get("Range") for request in seen] == [None, "bytes=5000-"]
    assert all("Authorization" not in request.headers for request in seen)
    assert len(model.lines(f"/blobs/{digest_of(DATA)}")) <= 2


@pytest.mark.parametrize(
    "urls",
    [
        ("http://cdn.example/x",),
        ("http://127.0.0.1/x",),  # of this machine, which no manifest is to reach
        ("http://localhost:80@cdn.example/x",),
        ("ftp://cdn.example/x", "file:///etc/passwd", "//cdn.example/x", "cdn.example/x", ""),
    ],
)
def test_a_foreign_layer_comes_over_tls_alone(urls: tuple[str, ...]) -> None:
    model = Model()
    elsewhere(model)
    elsewhere(model, "localhost:80@cdn.example")
    with pytest.raises(RemoteNotFoundError, match="no blob"):
        blob(model, digest=digest_of(DATA), urls=urls)
    assert {one.origin for one in model.requests} == {f"https://{HOST}"}


def test_a_foreign_layer_without_tls_if_that_is_meant() -> None:
    model = Model()
    elsewhere(model)
    assert read(blob(model, digest=digest_of(DATA), urls=("http://cdn.example/x",), plain_http=True)) == DATA


@pytest.mark.parametrize(
    "url",
    [
        "https://[",
        "https://[::1/x",
        "http://[x]/",
        "https://cdn.example:port/x",
        "https://cdn.example:99999/",
        "https:x",
    ],
)
def test_addresses_that_are_none(url: str) -> None:
    model = Model()
    with pytest.raises(RemoteError):
        blob(model, digest=digest_of(DATA), urls=(url,))
    seen = elsewhere(model)
    assert read(blob(model, digest=digest_of(DATA), urls=(url, "https://cdn.example/x"))) == DATA
    assert len(seen) == 1


def test_the_next_address_if_one_does_not_have_it() -> None:
    model = Model()
    seen = elsewhere(model)
    model.hosts["gone.example"] = lambda _: Answer(404)
    urls = ("https://gone.example/1", "https://nowhere.example/2", "https://cdn.example/3", "https://cdn.example/4")
    assert read(blob(model, digest=digest_of(DATA), urls=urls)) == DATA
    assert [request.url for request in seen] == ["https://cdn.example/3"]


def test_no_address_has_it() -> None:
    model = Model()
    model.hosts["gone.example"] = lambda _: Answer(404, failure("X", "not here"))
    with pytest.raises(
        RemoteError, match=rf"^{NAME}: .*a foreign layer, available only at https://gone.example"
    ) as caught:
        blob(model, digest=digest_of(DATA), urls=("https://gone.example/x?sig=S1G",))
    assert "S1G" not in str(caught.value)


def test_an_address_writes_nothing_to_the_terminal() -> None:
    model = Model()
    for host in ("gone\x1bc.example", f"gone\x1bc{'x' * 300}.example"):
        with pytest.raises(RemoteError) as caught:
            blob(model, digest=digest_of(DATA), urls=(f"https://{host}/x",))
        assert str(caught.value).isprintable()


def test_an_address_tells_no_secret_of_its_own() -> None:
    model = Model()
    with pytest.raises(RemoteError) as caught:
        blob(model, digest=digest_of(DATA), urls=("https://user:S3CRET@gone.example/x",))
    assert "S3CRET" not in str(caught.value)


def test_a_foreign_host_that_asks_for_credentials_gets_none() -> None:
    """An image from a stranger: the address of its layer answers 401, and names a token server (CVE-2020-15157)."""
    model = Model(auth="bearer")
    digest = model.put_blob("a", b"mine")

    def evil(request: Request) -> Answer:
        if urlsplit(request.url).path == "/token":
            return Answer(200, b'{"token": "x"}')
        return Answer(401, b"", {"www-authenticate": 'Bearer realm="https://evil.example/token",service="s"'})

    model.hosts["evil.example"] = evil
    found = repository(connect(model, credentials=Always()))
    with pytest.raises(RemoteError):
        found.open_blob(digest_of(DATA), len(DATA), urls=("https://evil.example/layer",))
    try:
        assert read(found.open_blob(digest, 4)) == b"mine"
    finally:
        assert model.authorized() <= {f"https://{HOST}", "https://auth.example"}
        assert model.told(BASIC) == {"https://auth.example"}


def test_a_foreign_address_leads_on_over_tls_alone() -> None:
    model = Model()
    elsewhere(model)
    model.hosts["first.example"] = lambda _: Answer(302, b"", {"location": "http://cdn.example/x"})
    with pytest.raises(RemoteError, match="leads away from TLS"):
        blob(model, digest=digest_of(DATA), urls=("https://first.example/x",))
    assert "http://cdn.example" not in {one.origin for one in model.requests}


def test_after_a_close_nothing_is_open() -> None:
    model = Model()
    model.fail("GET", cut=10)
    stream = blob(model)
    stream.read(10)
    stream.read(10)
    stream.close()
    assert len(model.answers) == 2
    assert all(answer.closed for answer in model.answers)
