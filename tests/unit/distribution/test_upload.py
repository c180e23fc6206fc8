"""Blobs on their way out: mounted, in one piece, or going on where they broke off."""

from __future__ import annotations

import hashlib
from typing import Any
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
)
from wclayer.distribution.reference import Reference
from wclayer.distribution.repository import Repository
from wclayer.distribution.transport import Request
from wclayer.errors import DigestMismatchError, RemoteError, UnreachableError

MIB = 1 << 20
SMALL = bytes(range(256)) * 40
LARGE = bytes(range(256)) * (6 * MIB // 256)


class Source:
    """A blob to be sent; what is read of it is counted."""

    def __init__(self, content: bytes | Content) -> None:
        self.content = content
        self.size = len(content) if isinstance(content, bytes) else content.size
        self.position = 0
        self.read_in_all = 0
        self.largest = 0

    def read(self, n: int, /) -> bytes:
        self.largest = max(self.largest, n)
        content = self.content
        data = (
            content[self.position : self.position + n] if isinstance(content, bytes) else content.at(self.position, n)
        )
        self.position += len(data)
        self.read_in_all += len(data)
        return data

    def tell(self) -> int:
        return self.position

    def rewind(self, offset: int) -> None:
        assert 0 <= offset <= self.position
        self.position = offset


def target(model: Model, *mount_from: str, waits: list[float] | None = None, **more: Any) -> Repository:
    return Repository(
        connect(model, waits, **more),
        Reference(host=HOST, repository="a", tag="t"),
        accept=(MANIFEST,),
        most=MIB,
        push=True,
        mount_from=mount_from,
    )


def push(
    model: Model, data: bytes | Content = LARGE, *mount_from: str, told: list[int] | None = None, **more: Any
) -> tuple[str, Source]:
    """Push the blob; it is looked at whether it arrived, and whether the progress adds up."""
    numbers = [] if told is None else told
    source = Source(data)
    digest = digest_of(data) if isinstance(data, bytes) else Zeros(data.size).digest()
    how = target(model, *mount_from, **more).push_blob(digest, source.size, source, numbers.append)
    stored = model.blobs["a", digest]
    assert stored.size == source.size
    if isinstance(data, bytes):
        assert stored.at(0, stored.size) == data
    assert sum(numbers) == source.size
    total = 0
    for number in numbers:
        total += number
        assert 0 <= total <= source.size
    return how, source


def failing(model: Model, data: bytes | Content = LARGE, **more: Any) -> RemoteError:
    with pytest.raises(RemoteError) as caught:
        push(model, data, **more)
    assert model.blobs == {}
    return caught.value


# --- as it should be ------------------------------------------------------------


def test_a_small_blob_is_one_put() -> None:
    model = Model()
    for data in (SMALL, b"x", b""):
        model.requests.clear()
        how, source = push(model, data)
        assert how == "copied"
        assert [one.method for one in model.requests] == ["POST", "PUT"]
        assert model.requests[1].headers["Content-Length"] == str(len(data))
        assert source.read_in_all == len(data)
    assert model.uploads == {}


def test_a_large_blob_is_one_patch_and_a_put() -> None:
    model = Model()
    how, source = push(model)
    assert how == "copied"
    assert [(one.method, one.got) for one in model.requests] == [("POST", 0), ("PATCH", len(LARGE)), ("PUT", 0)]
    assert "Content-Range" not in model.requests[1].headers
    assert model.requests[1].headers["Content-Type"] == "application/octet-stream"
    assert source.read_in_all == len(LARGE)


def test_nothing_holds_a_whole_blob() -> None:
    model = Model()
    data = Zeros(64 * MIB)
    model.fail("PATCH", cut_request=40 * MIB)
    _, source = push(model, data)
    assert source.largest <= MIB
    assert max(one.largest for one in model.requests) <= MIB
    assert source.read_in_all < data.size + 2 * MIB


def test_progress_comes_little_by_little() -> None:
    told: list[int] = []
    push(Model(), LARGE, told=told)
    assert told == [MIB] * 6


@pytest.mark.parametrize("auth", ["basic", "bearer"])
def test_with_credentials(auth: str) -> None:
    model = Model(auth=auth)
    push(model, credentials=Always())
    assert model.told(BASIC) == ({f"https://{HOST}"} if auth == "basic" else {"https://auth.example"})


# --- mounted --------------------------------------------------------------------


def test_mounted() -> None:
    model = Model(auth="bearer")
    model.put_blob("b", LARGE)
    found, source, told = target(model, "none", "b", credentials=Always()), Source(LARGE), list[int]()
    assert found.find_manifest("t") is None
    assert found.push_blob(digest_of(LARGE), len(LARGE), source, told.append) == "mounted"
    assert model.blob("a", digest_of(LARGE)) == LARGE
    assert sum(told) == len(LARGE)
    assert source.read_in_all == 0
    assert model.sent("PUT|PATCH") == 0
    scopes = {scope for granted in model.tokens.values() for scope in granted}
    assert scopes == {"a:pull", "a:push", "b:pull", "none:pull"}


def test_a_registry_that_does_not_mount_has_begun_an_upload() -> None:
    model = Model()
    model.put_blob("b", SMALL)
    model.mounts = False
    how, _ = push(model, SMALL, "b")
    assert how == "copied"
    assert [one.method for one in model.requests] == ["POST", "PUT"]
    assert model.uploads == {}


def test_uploads_that_were_begun_in_vain_are_given_up() -> None:
    model = Model()
    model.put_blob("d", SMALL)
    assert push(model, SMALL, "b", "c", "d")[0] == "mounted"
    assert model.uploads == {}


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405])
def test_a_registry_that_knows_no_mounting(status: int) -> None:
    model = Model()
    model.put_blob("b", SMALL)
    model.fail("POST.*mount=", status=status)
    assert push(model, SMALL, "b")[0] == "copied"


def test_not_from_itself() -> None:
    model = Model()
    assert push(model, SMALL, "a")[0] == "copied"
    assert model.count("mount=") == 0


def test_a_token_that_has_run_out_is_no_reason_not_to_mount() -> None:
    model = Model(auth="bearer")
    name = model.put_blob("b", LARGE)
    found = target(model, "b", credentials=Always())
    assert not found.has_blob(name, len(LARGE))
    model.tokens.clear()
    assert found.push_blob(name, len(LARGE), Source(LARGE)) == "mounted"


# --- broken off -----------------------------------------------------------------


@pytest.mark.parametrize("cut", [2, 1000, MIB, 3 * MIB + 5, 6 * MIB - 1, 6 * MIB])
def test_it_goes_on_where_it_broke_off(cut: int) -> None:
    model = Model()
    model.fail("PATCH", cut_request=cut)
    _, source = push(model)
    assert [one.method for one in model.requests][:3] == ["POST", "PATCH", "GET"]
    assert model.count("POST") == 1
    assert model.sent("PATCH") == len(LARGE)
    # Of what had been read for the connection and not arrived, at most a piece is read once more.
    assert source.read_in_all <= len(LARGE) + MIB


@pytest.mark.parametrize("cut", [0, 1])
def test_of_one_byte_and_none_a_registry_says_the_same(cut: int) -> None:
    model = Model()
    model.fail("PATCH", cut_request=cut)
    push(model)
    assert model.sent("PATCH") == len(LARGE) + cut


def test_it_breaks_off_again_and_again() -> None:
    model = Model()
    for cut in (MIB, 2 * MIB, 500, 0, 700_000):
        model.fail("PATCH", cut_request=cut)
    push(model)
    assert model.count("PATCH") == 6


def test_a_small_blob_begins_anew() -> None:
    model = Model()
    model.fail("PUT", cut_request=5000)
    push(model, SMALL)
    assert [one.method for one in model.requests] == ["POST", "PUT", "HEAD", "POST", "PUT"]


@pytest.mark.parametrize("data", [SMALL, LARGE], ids=["small", "large"])
def test_the_last_answer_is_lost(data: bytes) -> None:
    """The registry has the blob; so nothing is sent again."""
    model = Model()
    model.fail("PUT", lost=True)
    push(model, data)
    assert model.sent("PATCH|PUT") == len(data)
    assert model.lines("HEAD") == [f"HEAD /v2/a/blobs/{digest_of(data)}"]


def test_the_answer_to_the_patch_is_lost() -> None:
    model = Model()
    model.fail("PATCH", lost=True)
    push(model)
    assert model.sent("PATCH") == len(LARGE)


def test_the_registry_has_forgotten_the_upload() -> None:
    for status in (400, 404, 405, 410, 416):
        model = Model()
        model.fail("PATCH", cut_request=3 * MIB)
        model.fail("GET", status=status)
        push(model)
        assert model.count("POST") == 2
        assert model.sent("PATCH") == 9 * MIB


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
def test_the_registry_forgets_the_upload_at_once(method: str) -> None:
    model = Model()
    model.fail(method, status=404, body=failure("BLOB_UPLOAD_UNKNOWN"), before=model.uploads.clear)
    push(model)
    assert model.count("POST") == 2


def test_the_registry_has_taken_less_than_it_was_sent() -> None:
    model = Model()

    def lose(answer: Answer) -> None:
        [upload] = model.uploads.values()
        assert upload.data is not None
        del upload.data[2 * MIB :]
        upload.size = 2 * MIB
        upload.hash = hashlib.sha256(upload.data)
        answer.set("range", f"0-{2 * MIB - 1}")

    model.fail("PATCH", edit=lose)
    push(model)
    assert model.sent("PATCH") == 10 * MIB
    assert model.count("POST") == 1


def test_a_registry_that_says_it_has_more_than_was_sent() -> None:
    model = Model()
    model.fail("PATCH", cut_request=MIB)
    model.fail("GET", edit=lambda answer: answer.set("range", f"0-{5 * MIB}"))
    push(model)
    assert model.count("POST") == 2


@pytest.mark.parametrize("text", ["", "x", "5-9", "bytes=5-9", "0-", "0-99999999999999999999", None])
def test_a_range_that_says_nothing(text: str | None) -> None:
    model = Model()
    model.fail("PATCH", cut_request=MIB)
    model.fail("GET", edit=lambda answer: answer.set("range", text))
    push(model)
    assert model.count("POST") == 2


# --- an end ---------------------------------------------------------------------


@pytest.mark.parametrize("status", [429, 500, 503])
@pytest.mark.parametrize(
    ("method", "data"),
    [("POST", SMALL), ("POST", LARGE), ("PUT", SMALL), ("PUT", LARGE[: 3 * MIB]), ("PUT", LARGE), ("PATCH", LARGE)],
    ids=["POST-small", "POST-large", "PUT-small", "PUT-middle", "PUT-large", "PATCH-large"],
)
def test_for_ever_ends(method: str, data: bytes, status: int) -> None:
    """Also where the bytes go out each time, and are then refused: a registry whose disk is full."""
    waits: list[float] = []
    model = Model()
    model.fail(method, times=None, status=status)
    error = failing(model, data, waits=waits)
    assert isinstance(error, UnreachableError)
    assert error.path == f"docker://{HOST}/a:t"
    assert model.count(method) <= 16
    assert str(error).count("times)") == 1


@pytest.mark.parametrize("data", [SMALL, LARGE[: 3 * MIB], LARGE], ids=["small", "middle", "large"])
@pytest.mark.parametrize("code", ["BLOB_UPLOAD_INVALID", "BLOB_UPLOAD_UNKNOWN"])
def test_an_upload_that_is_never_right_ends(data: bytes, code: str) -> None:
    model = Model()
    model.fail("PUT", times=None, status=400, body=failure(code))
    error = failing(model, data)
    assert model.count("PUT") == 8
    assert code in str(error)


def test_breaking_off_for_ever_ends() -> None:
    model = Model()
    model.fail("PATCH", times=None, cut_request=0)
    error = failing(model)
    assert isinstance(error, UnreachableError)
    assert model.count("PATCH") == 8


def test_breaking_off_with_progress_goes_on() -> None:
    model = Model()
    model.fail("PATCH", times=None, cut_request=MIB + 10)
    push(model, Zeros(40 * MIB))
    assert model.count("PATCH") == 40


def test_a_registry_that_never_has_what_it_was_sent() -> None:
    model = Model()
    model.fail("PATCH|GET", times=None, edit=lambda answer: answer.set("range", "0-0"))
    error = failing(model)
    assert "has taken less than it was sent" in str(error)
    assert model.count("PATCH") == 8


def test_the_last_bytes_always_break_off() -> None:
    """What arrives once is progress; the same bytes once more are none."""
    model = Model()
    model.fail("PUT", times=None, cut_request=2 * MIB)
    error = failing(model, LARGE[: 3 * MIB])
    assert isinstance(error, UnreachableError)
    assert model.count("PUT") == 8


def test_retry_after_is_honoured() -> None:
    waits: list[float] = []
    model = Model()
    model.fail("PATCH", status=429, headers={"retry-after": "77"})
    model.fail("PUT", status=503, headers={"retry-after": "88"})
    push(model, waits=waits)
    assert [wait for wait in waits if wait > 70] == [77, 88]


def test_patience_ends() -> None:
    model = Model()
    model.fail("PATCH", status=429, headers={"retry-after": "3600"})
    assert "it asks to wait for 3,600 s" in str(failing(model))
    assert model.count("PATCH") == 1


@pytest.mark.parametrize("status", [401, 403, 409, 418])
def test_refused_for_good(status: int) -> None:
    model = Model()
    model.fail("PATCH", times=None, status=status)
    error = failing(model)
    assert f"no upload: the registry answers {status}" in str(error)
    assert model.count("PATCH") <= 8
    if status != 401:
        assert model.count("PATCH") == 1
        assert model.uploads == {}


def test_a_token_that_runs_out() -> None:
    model = Model(auth="bearer")
    found = target(model, credentials=Always())
    model.fail("PATCH", cut_request=2 * MIB, before=model.tokens.clear)
    model.fail(
        "PUT",
        status=401,
        headers={"www-authenticate": 'Bearer realm="https://auth.example/token",service="the service"'},
    )
    told: list[int] = []
    assert found.push_blob(digest_of(LARGE), len(LARGE), Source(LARGE), told.append) == "copied"
    assert model.blob("a", digest_of(LARGE)) == LARGE
    assert sum(told) == len(LARGE)
    assert model.count("auth.example") == 3


# --- other ways -----------------------------------------------------------------


@pytest.mark.parametrize("status", [400, 404, 405, 501])
def test_a_registry_without_patch(status: int) -> None:
    model = Model()
    model.no_patch = status
    push(model)
    assert model.count("PATCH") == 1
    assert [one.got for one in model.requests if one.method == "PUT"] == [len(LARGE)]


def test_a_registry_without_patch_that_breaks_off() -> None:
    model = Model()
    model.no_patch = 405
    model.fail("PUT", cut_request=3 * MIB)
    push(model)
    assert model.count("PATCH") == 1
    assert model.count("PUT") == 2


def test_chunks_where_a_proxy_takes_no_more() -> None:
    model = Model()
    model.most_body = 20 * MIB
    data = Zeros(50 * MIB)
    _, source = push(model, data)
    patches = [one for one in model.requests if one.method == "PATCH"]
    assert [one.headers.get("Content-Range") for one in patches] == [
        None,
        f"0-{16 * MIB - 1}",
        f"{16 * MIB}-{32 * MIB - 1}",
        f"{32 * MIB}-{48 * MIB - 1}",
        f"{48 * MIB}-{50 * MIB - 1}",
    ]
    assert source.read_in_all <= data.size + 2 * MIB


def test_chunks_that_break_off() -> None:
    model = Model()
    model.most_body = 20 * MIB
    model.fail("PATCH", skip=2, cut_request=5 * MIB)
    model.fail("PATCH", skip=2, lost=True)
    push(model, Zeros(50 * MIB))
    assert model.count("POST") == 2
    assert model.sent("PATCH") < 52 * MIB


def test_a_proxy_that_takes_not_even_chunks() -> None:
    model = Model()
    model.most_body = MIB
    error = failing(model, Zeros(50 * MIB))
    assert "413" in str(error)
    assert "a proxy before the registry takes no body of this size" in str(error)
    assert model.count("PATCH") == 2
    assert "413" in str(failing(model, SMALL * 200))


# --- other bytes ----------------------------------------------------------------


def test_the_registry_finds_other_bytes() -> None:
    for data in (SMALL, LARGE):
        model = Model()
        model.fail("PUT", status=400, body=failure("DIGEST_INVALID", "no \x1b match"))
        with pytest.raises(DigestMismatchError, match="other bytes: DIGEST_INVALID") as caught:
            push(model, data)
        assert str(caught.value).isprintable()
        assert model.count("PUT") == 1
        assert model.uploads == {}
        assert model.blobs == {}


def test_the_registry_has_stored_another_blob() -> None:
    model = Model()
    other = digest_of(b"other")
    model.fail("PUT", edit=lambda answer: answer.set("docker-content-digest", other))
    with pytest.raises(DigestMismatchError, match=f"stored another blob; expected {digest_of(SMALL)}; got {other}"):
        push(model, SMALL)


@pytest.mark.parametrize("told", ["", "sha512:" + "0" * 128, None])
def test_a_digest_that_says_nothing(told: str | None) -> None:
    model = Model()
    model.fail("PUT", edit=lambda answer: answer.set("docker-content-digest", told))
    push(model, SMALL)


@pytest.mark.parametrize("data", [SMALL, LARGE], ids=["small", "large"])
@pytest.mark.parametrize("change", [-1, 1])
def test_a_source_of_another_size(data: bytes, change: int) -> None:
    """The last byte does not go out, so that no registry has a whole of it."""
    model = Model()
    source = Source(data[:change] if change < 0 else data + b"x")
    with pytest.raises(DigestMismatchError, match="a blob that ends elsewhere"):
        target(model).push_blob(digest_of(data), len(data), source)
    assert model.blobs == {}
    assert model.uploads == {}
    assert model.sent("PUT|PATCH") < len(data)


def test_a_source_that_fails_ends_the_upload() -> None:
    class Failing(Source):
        def read(self, n: int, /) -> bytes:
            if self.position >= 2 * MIB:
                raise DigestMismatchError("other bytes")
            return super().read(n)

    model = Model()
    with pytest.raises(DigestMismatchError, match="other bytes"):
        target(model).push_blob(digest_of(LARGE), len(LARGE), Failing(LARGE))
    assert model.uploads == {}
    assert [one.method for one in model.requests] == ["POST", "PATCH", "DELETE"]


def test_a_source_that_is_out_of_reach_is_no_fault_of_the_target() -> None:
    class Away(Source):
        def read(self, n: int, /) -> bytes:
            if self.position >= 2 * MIB:
                raise UnreachableError("gone", path="docker://source.example/x:t")
            return super().read(n)

    model = Model()
    with pytest.raises(UnreachableError, match=r"source\.example") as caught:
        target(model).push_blob(digest_of(LARGE), len(LARGE), Away(LARGE))
    assert caught.value.path == "docker://source.example/x:t"
    assert model.count("PATCH") == 1


def test_an_upload_that_cannot_be_given_up_is_no_further_error() -> None:
    model = Model()
    model.fail("PUT", status=403)
    model.fail("DELETE", times=None, unreachable=True)
    with pytest.raises(RemoteError, match="403 Forbidden"):
        push(model, SMALL)


# --- where the upload goes on ---------------------------------------------------


@pytest.mark.parametrize("auth", ["basic", "bearer"])
def test_an_upload_at_another_host_has_no_credentials(auth: str) -> None:
    model = Model(auth=auth)
    got: dict[str, int] = {}

    def storage(request: Request) -> Answer:
        got[request.method] = sum(map(len, request.body or ()))  # type: ignore[arg-type]
        return Answer(201 if request.method == "PUT" else 202, b"", {"location": request.url})

    model.hosts["storage.example"] = storage
    model.fail(
        "POST", skip=1, edit=lambda answer: answer.set("location", "https://storage.example/u?X-Amz-Signature=S1G")
    )
    found = target(model, credentials=Always())
    found.push_blob(digest_of(LARGE), len(LARGE), Source(LARGE))
    assert got == {"PATCH": len(LARGE), "PUT": 0}
    assert "https://storage.example" not in model.authorized()
    [put] = [one for one in model.requests if one.method == "PUT"]
    assert urlsplit(put.url).query == f"X-Amz-Signature=S1G&digest={digest_of(LARGE).replace(':', '%3A')}"


@pytest.mark.parametrize(
    "location",
    ["http://r.example/u?sig=S1G", "http://storage.example/u?sig=S1G", "http://localhost:1@storage.example/u?sig=S1G"],
)
def test_an_upload_stays_on_tls(location: str) -> None:
    model = Model(auth="basic")
    model.hosts["storage.example"] = model.hosts["localhost:1@storage.example"] = lambda _: Answer(201)
    model.fail("POST", skip=1, edit=lambda answer: answer.set("location", location))
    with pytest.raises(RemoteError, match=r"leads away from TLS.*--plain-http") as caught:
        push(model, credentials=Always())
    assert {one.origin for one in model.requests} == {f"https://{HOST}"}
    assert "S1G" not in str(caught.value)
    model = Model()
    model.fail("PATCH", edit=lambda answer: answer.set("location", "http://r.example/u"))
    with pytest.raises(RemoteError, match="leads away from TLS"):
        push(model)
    assert {one.origin for one in model.requests} == {f"https://{HOST}"}


@pytest.mark.parametrize("location", [None, "", "ftp://x/", "https://[", "https://a:b/"])
def test_an_upload_that_leads_nowhere(location: str | None) -> None:
    model = Model()
    model.fail("POST", edit=lambda answer: answer.set("location", location))
    with pytest.raises(RemoteError, match="leads nowhere"):
        push(model)


def test_a_signature_is_in_no_error() -> None:
    model = Model()
    model.hosts["storage.example"] = lambda _: Answer(403, failure("DENIED"))
    model.fail("POST", edit=lambda answer: answer.set("location", "https://storage.example/u?sig=S1G"))
    assert "S1G" not in str(failing(model))
    model = Model()
    model.fail("POST", times=None, edit=lambda answer: answer.set("location", "https://nowhere.example/u?sig=S1G"))
    assert "S1G" not in str(failing(model))


def test_the_answer_to_a_patch_needs_no_location() -> None:
    model = Model()

    def edit(answer: Answer) -> None:
        answer.set("location", None)
        answer.status = 204
        [upload] = model.uploads.values()
        upload.state -= 1

    model.fail("PATCH", edit=edit)
    push(model)


def test_all_answers_are_closed() -> None:
    model = Model(auth="bearer")
    model.fail("PATCH", cut_request=MIB)
    model.fail("PATCH", status=503)
    model.fail("PUT", status=401)
    push(model, credentials=Always())
    assert all(answer.closed for answer in model.answers)
