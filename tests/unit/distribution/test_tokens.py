"""Authorization: Basic, bearer tokens and identity tokens, how long they last, and where no secret goes."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.registry_model import AUTH, BASIC, HOST, IDENTITY, SECRET, USER, Always, Answer, Model, connect
from wclayer.distribution.credentials import AuthFiles, Credential, Credentials
from wclayer.distribution.reference import is_loopback
from wclayer.distribution.session import Registry
from wclayer.distribution.tokens import Tokens
from wclayer.distribution.transport import Request, Response
from wclayer.errors import RemoteError, UnreachableError, WclayerError

SCOPES = ("repository:a:pull",)
CHALLENGE = {"www-authenticate": f'Bearer realm="https://{AUTH}/token",service="s"'}


def get(registry: Registry, **more: Any) -> Response:
    arguments: dict[str, Any] = {
        "what": "no blob",
        "where": f"docker://{HOST}/a:t",
        "repository": "a",
        "scopes": SCOPES,
        **more,
    }
    return registry.send("GET", "/v2/a/blobs/" + arguments.pop("name"), **arguments)


def model(auth: str | None = "bearer", **more: Any) -> tuple[Model, str]:
    made = Model(auth=auth, **more)
    return made, made.put_blob("a", b"hello")


# --- whole ways -----------------------------------------------------------------


def test_no_authorization_where_none_is_wanted() -> None:
    made, name = model(None)
    credentials = Always()
    assert get(connect(made, credentials=credentials), name=name).read() == b"hello"
    assert made.authorized() == set()
    assert credentials.asked == []


def test_basic() -> None:
    made, name = model("basic")
    registry = connect(made, credentials=Always())
    assert get(registry, name=name).read() == b"hello"
    assert get(registry, name=name).read() == b"hello"
    assert [one.status for one in made.requests] == [401, 200, 200]
    assert [one.headers.get("Authorization") for one in made.requests] == [None, f"Basic {BASIC}", f"Basic {BASIC}"]


def test_a_bearer_token() -> None:
    made, name = model()
    credentials = Always()
    registry = connect(made, credentials=credentials)
    assert get(registry, name=name).read() == b"hello"
    assert get(registry, name=name).read() == b"hello"
    assert [(one.origin, one.status) for one in made.requests] == [
        (f"https://{HOST}", 401),
        (f"https://{AUTH}", 200),
        (f"https://{HOST}", 200),
        (f"https://{HOST}", 200),
    ]
    asked = made.requests[1]
    assert asked.method == "GET"
    assert parse_qs(urlsplit(asked.url).query) == {"service": ["the service"], "scope": ["repository:a:pull"]}
    assert asked.headers["Authorization"] == f"Basic {BASIC}"
    assert made.requests[2].headers["Authorization"] == "Bearer token-1-xyz"
    assert made.told(BASIC) == {f"https://{AUTH}"}
    assert credentials.asked == [(HOST, "a")]


def test_without_credentials_there_is_a_token_too() -> None:
    made, name = model(public=True)
    assert get(connect(made), name=name).read() == b"hello"
    assert "Authorization" not in made.requests[1].headers


def test_an_identity_token_is_exchanged() -> None:
    made, name = model()
    assert get(connect(made, credentials=IDENTITY), name=name).read() == b"hello"
    asked = made.requests[1]
    assert asked.method == "POST"
    assert asked.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert asked.body is not None
    assert parse_qs(asked.body.decode()) == {
        "grant_type": ["refresh_token"],
        "client_id": ["wclayer"],
        "refresh_token": [SECRET],
        "service": ["the service"],
        "scope": ["repository:a:pull"],
    }
    assert "Authorization" not in asked.headers
    assert urlsplit(asked.url).query == ""
    assert made.told(SECRET) == {f"https://{AUTH}"}


def test_an_identity_token_is_no_password() -> None:
    made, name = model("basic")
    with pytest.raises(RemoteError, match="401 Unauthorized"):
        get(connect(made, credentials=IDENTITY), name=name)
    assert made.authorized() == set()
    assert made.told(SECRET) == set()


def test_one_token_for_each_set_of_scopes() -> None:
    made, name = model()
    registry = connect(made, credentials=Always())
    both = ("repository:a:pull,push", "repository:b:pull")
    for scopes in (SCOPES, both, SCOPES, both):
        get(registry, name=name, scopes=scopes)
    asked = [parse_qs(urlsplit(one.url).query)["scope"] for one in made.requests if one.origin == f"https://{AUTH}"]
    assert asked == [list(SCOPES), list(both)]


def test_the_realm_may_have_a_query_of_its_own() -> None:
    made, name = model()
    made.realm += "?account=x"
    get(connect(made, credentials=Always()), name=name)
    assert parse_qs(urlsplit(made.requests[1].url).query)["account"] == ["x"]


def test_both_are_offered() -> None:
    made, name = model()
    made.challenge_extra = ', Basic realm="x"'
    get(connect(made, credentials=Always()), name=name)
    assert made.told(BASIC) == {f"https://{AUTH}"}


# --- tokens that do not last ----------------------------------------------------


def test_a_token_that_the_registry_no_longer_knows() -> None:
    made, name = model()
    registry = connect(made, credentials=Always())
    get(registry, name=name)
    made.tokens.clear()
    assert get(registry, name=name).read() == b"hello"
    assert made.count(AUTH) == 2


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def tokens(
    answer: dict[str, Any] | bytes,
    clock: Callable[[], float],
    asked: list[Request],
    where: str = "docker://r.example/a",
) -> Tokens:
    def ask(request: Request, /) -> Response:
        asked.append(request)
        return Answer(200, answer if isinstance(answer, bytes) else json.dumps(answer).encode())

    made = Tokens(where, lambda: None, ask, is_loopback, clock)
    assert made.header(SCOPES) is None
    assert made.challenged(CHALLENGE, SCOPES, None)
    return made


@pytest.mark.parametrize(
    ("answer", "life"),
    [
        ({}, 60),
        ({"expires_in": 300}, 300),
        ({"expires_in": 5}, 60),
        ({"expires_in": 0}, 60),
        ({"expires_in": -1}, 60),
        ({"expires_in": "300"}, 60),
        ({"expires_in": True}, 60),
        ({"expires_in": 1e400}, 60),
        ({"expires_in": None}, 60),
        ({"expires_in": 300, "issued_at": "1999-01-01T00:00:00Z"}, 300),
        ({"expires_in": 300, "issued_at": "2999-01-01T00:00:00Z"}, 300),
        ({"expires_in": 300, "issued_at": "nonsense"}, 300),
        ({"expires_in": 10**30}, 1 << 20),
    ],
)
def test_how_long_a_token_is_used(answer: dict[str, Any], life: int) -> None:
    """By our own clock from its arrival, whatever another clock says; and it is renewed a little earlier."""
    clock, asked = Clock(), list[Request]()
    made = tokens({"token": "t", **answer}, clock, asked)
    made.header(SCOPES)
    clock.now += life - 10.5
    assert made.header(SCOPES) == "Bearer t"
    assert len(asked) == 1
    clock.now += 1
    assert made.header(SCOPES) == "Bearer t"
    assert len(asked) == 2


def test_a_token_that_was_just_renewed_by_another_thread_stays() -> None:
    asked: list[Request] = []
    made = tokens({"token": "t"}, Clock(), asked)
    assert made.header(SCOPES) == "Bearer t"
    assert made.challenged(CHALLENGE, SCOPES, "Bearer old")
    made.header(SCOPES)
    assert len(asked) == 1
    assert made.challenged(CHALLENGE, SCOPES, "Bearer t")
    made.header(SCOPES)
    assert len(asked) == 2


def test_a_token_that_is_refused_at_once() -> None:
    made, name = model()
    made.fail(f"GET https://{HOST}", times=None, status=401, headers=CHALLENGE_OF_MODEL)
    with pytest.raises(RemoteError, match=r"401 Unauthorized.*-- .*clock") as caught:
        get(connect(made, credentials=Always()), name=name)
    assert made.count(AUTH) == 2
    assert made.count(f"GET https://{HOST}") == 3
    assert "token-" not in str(caught.value)


CHALLENGE_OF_MODEL = {"www-authenticate": f'Bearer realm="https://{AUTH}/token",service="the service"'}


@pytest.mark.parametrize("credentials", [None, Always()])
def test_a_token_that_allows_too_little_is_no_matter_of_clocks(credentials: Credentials | None) -> None:
    """What Docker Hub says of a repository that is private, or not there at all."""
    made, name = model()
    made.challenge_extra = ',error="insufficient_scope"'
    with pytest.raises(RemoteError, match="401 Unauthorized") as caught:
        get(connect(made, credentials=credentials), name=name, scopes=("repository:other:pull",))
    assert caught.value.hint is not None
    assert "log in" in caught.value.hint
    assert "clock" not in caught.value.hint


def test_a_wrong_password() -> None:
    for auth in ("basic", "bearer"):
        made, name = model(auth)
        with pytest.raises(RemoteError, match=r"401 Unauthorized.*-- log in") as caught:
            get(connect(made, credentials=Always(Credential(USER, "wr0ng"))), name=name)
        assert "wr0ng" not in str(caught.value)
        assert len(made.requests) == 2


def test_nobody_to_be_and_basic_wanted() -> None:
    made, name = model("basic")
    with pytest.raises(RemoteError, match="-- log in"):
        get(connect(made), name=name)
    assert len(made.requests) == 1


# --- answers of token servers ---------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"no json",
        b"[]",
        b"null",
        b"{}",
        b'{"token": null}',
        b'{"token": ""}',
        b'{"token": 1}',
        b'{"token": ["x"]}',
        b'{"token": "a b"}',
        b'{"token": "a\\r\\nX-Evil: 1"}',
        b'{"token": "\\u00e9"}',
        b'{"token": "a\\u0000"}',
        b"[" * 100_000,
        b'{"token": "x"}' + b" " * (1 << 20),
        b"\xff",
    ],
)
def test_no_token(answer: bytes) -> None:
    with pytest.raises(RemoteError, match=r"^docker://r.example/a: its token server gives no token$"):
        tokens(answer, Clock(), []).header(SCOPES)


def test_access_token_is_another_name() -> None:
    assert tokens({"access_token": "t2"}, Clock(), []).header(SCOPES) == "Bearer t2"
    assert tokens({"token": "", "access_token": "t2"}, Clock(), []).header(SCOPES) == "Bearer t2"


def test_a_token_server_that_has_to_be_asked_again() -> None:
    waits: list[float] = []
    made, name = model()
    made.fail(AUTH, unreachable=True)
    made.fail(AUTH, status=503, headers={"retry-after": "7"})
    made.fail(AUTH, cut=3)
    assert get(connect(made, waits, credentials=Always()), name=name).read() == b"hello"
    assert made.count(AUTH) == 4
    assert 7 in waits


@pytest.mark.parametrize("fault", [{"status": 503}, {"status": 429}, {"unreachable": True}])
def test_a_token_server_that_never_answers(fault: dict[str, Any]) -> None:
    made, name = model()
    made.realm += "?sig=S1GNATURE"
    made.fail(AUTH, times=None, **fault)
    with pytest.raises(UnreachableError, match=rf"{AUTH}.*\(8 times\)") as caught:
        get(connect(made, credentials=Always()), name=name)
    assert "S1GNATURE" not in str(caught.value)
    assert made.count(AUTH) <= 16
    assert str(caught.value).count("times)") == 1


def test_a_token_server_that_refuses() -> None:
    made, name = model()
    made.fail(AUTH, status=403, body=b'{"details": "not\x1b[2J you"}')
    with pytest.raises(RemoteError, match=rf"^docker://{HOST}/a:t: no token: .*403 Forbidden") as caught:
        get(connect(made, credentials=Always()), name=name)
    assert str(caught.value).isprintable()


# --- where no secret goes -------------------------------------------------------


@pytest.mark.parametrize(
    "realm", ["", "token", "//auth.example/token", "ftp://auth.example/", "https://", "file:///etc/passwd"]
)
def test_a_realm_that_is_no_server(realm: str) -> None:
    made, name = model()
    made.realm = realm
    with pytest.raises(RemoteError, match="it names no token server"):
        get(connect(made, credentials=Always()), name=name)
    assert made.told(BASIC) == set()


@pytest.mark.parametrize("realm", ["https://[", "https://[::1", "http://[x]/", "https://a]b/"])
def test_a_realm_that_is_no_url(realm: str) -> None:
    made, name = model()
    made.realm = realm
    with pytest.raises(RemoteError):
        get(connect(made, credentials=Always()), name=name)
    assert made.told(BASIC) == set()


@pytest.mark.parametrize(
    "realm",
    [
        f"http://{AUTH}/token",
        f"HTTP://{AUTH}/token",
        f"http://localhost:80@{AUTH}/token",
        f"http://127.0.0.1:x@{AUTH}/token",
        f"http://localhost@{AUTH}/token",
        "http://localhost.example/token",
    ],
)
def test_a_token_server_without_tls_is_told_nothing(realm: str) -> None:
    for credentials in (Always(), IDENTITY):
        made, name = model()
        made.realm = realm
        made.hosts[urlsplit(realm).netloc] = made.hosts[AUTH]
        with pytest.raises(RemoteError, match="its token server has no TLS; got http:") as caught:
            get(connect(made, credentials=credentials), name=name)
        assert made.told(BASIC) | made.told(SECRET) == set()
        assert {one.origin for one in made.requests} == {f"https://{HOST}"}
        assert SECRET not in str(caught.value)


def test_a_token_server_on_loopback_may_be_without_tls() -> None:
    made, name = model()
    made.realm = "http://localhost:5001/token"
    made.hosts["localhost:5001"] = made.hosts[AUTH]
    assert get(connect(made, credentials=Always()), name=name).read() == b"hello"
    assert made.told(BASIC) == {"http://localhost:5001"}


def test_a_token_server_without_tls_if_that_is_meant() -> None:
    made, name = model()
    made.realm = f"http://{AUTH}/token"
    assert get(connect(made, credentials=Always(), plain_http=True), name=name).read() == b"hello"


@pytest.mark.parametrize("challenge", ['Bearer realm="https://evil.example/token",service="s"', 'Basic realm="x"'])
def test_the_challenge_of_a_third_host_is_none_of_the_registry(challenge: str) -> None:
    """A blob is elsewhere, and the host there asks for credentials, for itself or for a token server of its choice."""

    def evil(request: Request) -> Answer:
        if urlsplit(request.url).path == "/token":
            return Answer(200, b'{"token": "evil"}')
        return Answer(401, b"", {"www-authenticate": challenge})

    for auth in ("basic", "bearer", None):
        made, name = model(auth)
        made.hosts["evil.example"] = made.hosts["cdn.example"] = evil
        made.fail(
            f"GET https://{HOST}/v2/a/blobs",
            skip=0 if auth is None else 1,
            times=None,
            status=307,
            headers={"location": "https://cdn.example/blob"},
        )
        registry = connect(made, credentials=Always())
        with pytest.raises(RemoteError, match="401 Unauthorized"):
            get(registry, name=name)
        made.faults.clear()
        with suppress(RemoteError):
            get(registry, name=name)
        assert made.authorized() <= {f"https://{HOST}", f"https://{AUTH}"}
        assert "https://evil.example" not in {one.origin for one in made.requests}
        assert get(registry, name=name).read() == b"hello"


@pytest.mark.parametrize(
    "entry", [{"username": "\ud800", "password": SECRET}, {"username": USER, "password": f"{SECRET}\ud800"}]
)
@pytest.mark.parametrize("auth", ["basic", "bearer"])
def test_a_secret_that_is_no_text(tmp_path: Path, auth: str, entry: dict[str, str]) -> None:
    """Half of a surrogate pair can stand in a file of credentials, and be sent nowhere."""
    (tmp_path / "f").write_text(json.dumps({"auths": {HOST: entry}}))
    made, name = model(auth)
    with pytest.raises(WclayerError) as caught:
        get(connect(made, credentials=AuthFiles([str(tmp_path / "f")])), name=name)
    assert SECRET not in str(caught.value)


def test_an_identity_token_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "f").write_text(json.dumps({"auths": {HOST: {"identitytoken": f"{SECRET}\ud800"}}}))
    made, name = model()
    with pytest.raises(WclayerError) as caught:
        get(connect(made, credentials=AuthFiles([str(tmp_path / "f")])), name=name)
    assert SECRET not in str(caught.value)


def test_no_secret_in_a_repr() -> None:
    made, name = model()
    credentials = Always()
    registry = connect(made, credentials=credentials)
    get(registry, name=name)
    for value in (credentials.credential, registry, registry._tokens["a"]):
        for secret in (SECRET, BASIC, "token-1"):
            assert secret not in repr(value)


def test_who_we_are_is_asked_once() -> None:
    """A helper may ask the user."""
    model = Model(auth="bearer")
    asked: list[str] = []

    class Asking:
        def find(self, host: str, _repository: str, /) -> Credential | None:
            asked.append(host)
            return Credential(USER, SECRET)

    registry = connect(model, credentials=Asking())
    for _ in range(3):
        model.tokens.clear()
        registry.send(
            "GET", "/v2/", what="x", where="docker://r.example/a", repository="a", scopes=("repository:a:pull",)
        ).close()
    assert asked == [HOST]
