"""Files from https URLs: bytes by their digest, redirects, tries."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence

import pytest

from tests.registry_model import Answer, quick
from wclayer.distribution import fetch as fetching
from wclayer.distribution.registries import Registries
from wclayer.distribution.transport import Request
from wclayer.errors import DigestMismatchError, RemoteError, RemoteNotFoundError, UnreachableError, UsageError

DATA = bytes(range(256)) * 2000
URL = "https://files.example/dir/a.bin?token=secret"
DIGEST = f"sha256:{hashlib.sha256(DATA).hexdigest()}"


class Server:
    """Gives the answers one after the other; `asked` are the requests."""

    def __init__(self, *answers: Answer | Exception) -> None:
        self.answers = list(answers)
        self.asked: list[Request] = []

    def send(self, request: Request, /) -> Answer:
        self.asked.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def fetched(*answers: Answer | Exception, url: str = URL, digest: str = DIGEST) -> tuple[bytes, Sequence[Request]]:
    server = Server(*answers)
    file = io.BytesIO()
    with Registries(transport=server, backoff=quick(tries=3)) as registries:
        registries.fetch(url, digest, file)
    return file.getvalue(), server.asked


@pytest.mark.parametrize(
    "digest",
    [
        DIGEST,
        DIGEST.removeprefix("sha256:"),
        DIGEST[:7] + DIGEST[7:].upper(),
        f"sha384:{hashlib.sha384(DATA).hexdigest()}",
        f"sha512:{hashlib.sha512(DATA).hexdigest()}",
    ],
)
def test_the_bytes(digest: str) -> None:
    data, [request] = fetched(Answer(200, DATA), digest=digest)
    assert data == DATA
    assert (request.method, request.url) == ("GET", URL)
    assert request.headers["Accept-Encoding"] == "identity"
    assert "Authorization" not in request.headers


def test_redirects() -> None:
    data, asked = fetched(
        Answer(302, headers={"location": "/other"}),
        Answer(307, headers={"location": "https://cdn.example/x"}),
        Answer(200, DATA),
    )
    assert data == DATA
    assert [request.url for request in asked[1:]] == ["https://files.example/other", "https://cdn.example/x"]
    for location in ("http://files.example/x", "ftp://files.example/x", ""):
        with pytest.raises(RemoteError, match="a redirect away from https"):
            fetched(Answer(301, headers={"location": location} if location else {}))
    with pytest.raises(RemoteError, match="redirects without end"):
        fetched(*(Answer(302, headers={"location": "/x"}) for _ in range(6)))


def test_tries() -> None:
    broken = Answer(200, DATA)
    broken.cut = 1000
    data, asked = fetched(Answer(503), broken, Answer(200, DATA))
    assert data == DATA
    assert len(asked) == 3
    with pytest.raises(UnreachableError):
        fetched(*(UnreachableError("no route") for _ in range(3)))
    with pytest.raises(RemoteError, match="503"):
        fetched(*(Answer(503) for _ in range(3)))
    with pytest.raises(RemoteNotFoundError, match=r"https://files\.example/dir/a\.bin: .*404") as caught:
        fetched(Answer(404))
    assert "secret" not in str(caught.value)


def test_other_bytes() -> None:
    with pytest.raises(
        DigestMismatchError, match=r"files\.example/dir/a\.bin: other bytes.*expected sha256:"
    ) as caught:
        fetched(Answer(200, DATA[1:]))
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("url", ["http://files.example/x", "https://u:p@files.example/x", "ftp://x/y", "https://"])
def test_which_urls(url: str) -> None:
    with pytest.raises(UsageError, match="not an https URL without a password") as caught:
        fetched(url=url)
    assert "u:p" not in str(caught.value)


@pytest.mark.parametrize("digest", ["", "sha256:", "md5:" + "0" * 32, "sha256:" + "g" * 64, "sha512:" + "0" * 64])
def test_malformed_digests(digest: str) -> None:
    with pytest.raises(UsageError, match="a malformed digest"):
        fetched(digest=digest)


def test_a_server_that_sends_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "MAX_FETCHED", 100_000)
    with pytest.raises(RemoteError, match=r"a file this large; expected at most 100,000 bytes"):
        fetched(Answer(200, DATA))
