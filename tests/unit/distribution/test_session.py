"""One registry: TLS or not, tries, redirects and where they must not lead, and what errors say."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest

from tests.registry_model import AUTH, BASIC, HOST, Always, Answer, Model, connect, failure, redirect
from wclayer.distribution.session import Registry
from wclayer.distribution.transport import Request, Response
from wclayer.errors import RemoteError, RemoteNotFoundError, UnreachableError

WHERE = f"docker://{HOST}/a:t"


def send(registry: Registry, method: str = "GET", url: str = "/v2/", **more: Any) -> Response:
    arguments: dict[str, Any] = {
        "what": "no answer wanted",
        "where": WHERE,
        "repository": "a",
        "scopes": ("repository:a:pull",),
        **more,
    }
    return registry.send(method, url, **arguments)


# --- where it is ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "tls", "plain", "base"),
    [
        ("r.example", True, False, "https://r.example"),
        ("r.example", True, True, "https://r.example"),
        ("r.example:5000", False, True, "http://r.example:5000"),
        ("localhost:5000", False, False, "http://localhost:5000"),
        ("localhost:5000", True, False, "https://localhost:5000"),
        ("127.0.0.1:5000", False, False, "http://127.0.0.1:5000"),
        ("[::1]:5000", False, False, "http://[::1]:5000"),
    ],
)
def test_tls_first(host: str, tls: bool, plain: bool, base: str) -> None:
    model = Model(host, tls=tls)
    registry = connect(model, plain_http=plain)
    assert registry.url("/v2/x") == f"{base}/v2/x"
    assert registry.url("/v2/y") == f"{base}/v2/y"
    assert len(model.requests) == (1 if plain or "example" not in host else 0)
    assert all(one.url == f"https://{host}/v2/" for one in model.requests)


def test_no_registry_is_without_tls_unless_that_is_meant() -> None:
    model = Model(HOST, tls=False)
    with pytest.raises(RemoteError, match="no TLS there"):
        send(connect(model))
    assert {one.origin for one in model.requests} == {f"https://{HOST}"}


def test_the_hub_is_elsewhere() -> None:
    model = Model("registry-1.docker.io")
    assert send(connect(model, host="docker.io")).status == 200
    assert model.requests[0].url == "https://registry-1.docker.io/v2/"


def test_plain_without_a_port_where_nothing_listens_for_tls() -> None:
    model = Model("r.example", tls=False)
    model.fail("GET https://", times=None, unreachable=True)
    assert connect(model, plain_http=True).url("/v2/") == "http://r.example/v2/"
    with_port = Model("r.example:80", tls=False)
    with_port.fail("GET https://", times=None, unreachable=True)
    with pytest.raises(UnreachableError):
        connect(with_port, plain_http=True).url("/v2/")
    assert {one.origin for one in with_port.requests} == {"https://r.example:80"}


def test_a_certificate_that_is_not_trusted_is_no_reason_to_go_without() -> None:
    class Untrusted(Model):
        def send(self, request: Request, /) -> Answer:
            super().send(request)
            raise RemoteError("its certificate is not trusted", path=f"https://{self.host}")

    model = Untrusted("localhost:5000")
    with pytest.raises(RemoteError, match="not trusted"):
        send(connect(model, plain_http=True))
    assert {one.origin for one in model.requests} == {"https://localhost:5000"}


def test_user_agent() -> None:
    model = Model(auth="bearer", public=True)
    model.put_blob("a", b"x")
    send(connect(model, user_agent="wclayer/1"))
    assert {one.headers["User-Agent"] for one in model.requests} == {"wclayer/1"}
    assert {one.origin for one in model.requests} == {f"https://{HOST}", f"https://{AUTH}"}


# --- tries ----------------------------------------------------------------------


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_statuses_that_may_be_others_in_a_moment(status: int) -> None:
    waits: list[float] = []
    model = Model()
    model.fail("GET", times=7, status=status)
    assert send(connect(model, waits)).status == 200
    assert waits == [0.5, 1, 2, 4, 8, 16, 30]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 409, 413, 416, 418, 501, 599, 999])
def test_statuses_that_stay(status: int) -> None:
    model = Model()
    model.fail("GET", times=None, status=status)
    with pytest.raises(RemoteError, match=f"the registry answers {status}") as caught:
        send(connect(model))
    assert len(model.requests) == 1
    assert isinstance(caught.value, RemoteNotFoundError) == (status == 404)
    assert caught.value.path == WHERE
    assert caught.value.exit_code == 16


@pytest.mark.parametrize("status", [429, 503])
def test_for_ever_ends(status: int) -> None:
    waits: list[float] = []
    model = Model()
    model.fail("GET", times=None, status=status, headers={"retry-after": "0"}, body=failure("TOOMANYREQUESTS", "slow"))
    with pytest.raises(UnreachableError, match=rf"{status} .*TOOMANYREQUESTS: slow \(8 times\)"):
        send(connect(model, waits))
    assert len(model.requests) == 8
    assert len(waits) == 7


def test_a_host_that_has_never_answered_gets_fewer_tries() -> None:
    model = Model()
    model.fail("GET", times=None, unreachable=True)
    registry = connect(model)
    with pytest.raises(UnreachableError, match=r"no answer.*\(3 times\)"):
        send(registry)
    assert len(model.requests) == 3
    model.faults.clear()
    send(registry)
    model.requests.clear()
    model.fail("GET", times=None, unreachable=True)
    with pytest.raises(UnreachableError, match=r"\(8 times\)"):
        send(registry)
    assert len(model.requests) == 8


def test_retry_after() -> None:
    waits: list[float] = []
    model = Model()
    date = "Wed, 21 Oct 2015 07:28:00 GMT"
    model.fail("GET", status=429, headers={"retry-after": "100"})
    model.fail("GET", status=503, headers={"retry-after": "Wed, 21 Oct 2015 07:29:30 GMT", "date": date})
    model.fail("GET", status=503, headers={"retry-after": "nonsense"})
    assert send(connect(model, waits)).status == 200
    assert waits == [100, 90, 2]


@pytest.mark.parametrize(
    "headers",
    [
        {"retry-after": "3600"},
        {"retry-after": "Wed, 21 Oct 2015 08:28:00 GMT", "date": "Wed, 21 Oct 2015 07:28:00 GMT"},
    ],
)
def test_patience_ends(headers: dict[str, str]) -> None:
    waits: list[float] = []
    model = Model()
    model.fail("GET", times=None, status=429, headers=headers)
    with pytest.raises(UnreachableError, match="429 Too Many Requests -- it asks to wait for 3,600 s: try again then"):
        send(connect(model, waits))
    assert waits == []
    assert len(model.requests) == 1


def test_answers_that_are_wanted_are_given() -> None:
    model = Model()
    assert send(connect(model), url="/v2/a/blobs/x", wanted=(200, 404)).status == 404
    model.fail("GET", status=503)
    assert send(connect(model), wanted=(503,)).status == 503


def test_answers_that_are_not_wanted_are_closed() -> None:
    model = Model(auth="bearer", public=True)
    name = model.put_blob("a", b"x")
    model.fail("GET", skip=2, status=503)
    model.fail("GET", skip=2, status=307, headers={"location": "/v2/"})
    send(connect(model), url=f"/v2/a/blobs/{name}").close()
    assert len(model.answers) > 4
    assert all(answer.closed for answer in model.answers)


# --- redirects ------------------------------------------------------------------


def with_cdn(auth: str | None = "bearer") -> tuple[Model, str, list[Request]]:
    """A registry whose blobs are on another host."""
    model = Model(auth=auth)
    name = model.put_blob("a", b"hello")
    seen: list[Request] = []

    def cdn(request: Request) -> Answer:
        seen.append(request)
        return model.give(request, model.blobs["a", name])

    model.hosts["cdn.example"] = cdn
    return model, name, seen


@pytest.mark.parametrize("auth", ["basic", "bearer"])
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_authorization_at_another_host(auth: str, status: int) -> None:
    model, name, seen = with_cdn(auth)
    model.faults.append(redirect("GET https://r.example", "https://cdn.example/x?sig=S1G", status, skip=1))
    response = send(
        connect(model, credentials=Always()), url=f"/v2/a/blobs/{name}", headers={"Range": "bytes=1-"}, wanted=(206,)
    )
    assert response.read() == b"ello"
    assert [request.url for request in seen] == ["https://cdn.example/x?sig=S1G"]
    assert seen[0].headers["Range"] == "bytes=1-"
    assert {key.lower() for key in seen[0].headers} == {"range", "user-agent"}


@pytest.mark.parametrize(
    "target",
    [
        "https://r.example:444/x",
        "https://r.example.evil.example/x",
        "https://sub.r.example/x",
        "https://r.example@evil.example/x",
        "//evil.example/x",
    ],
)
def test_another_origin_is_another_host(target: str) -> None:
    model, name, _ = with_cdn("basic")
    model.faults.append(redirect("GET https://r.example/v2", target, skip=1, times=None))
    with pytest.raises(RemoteError):
        send(connect(model, credentials=Always()), url=f"/v2/a/blobs/{name}")
    assert len(model.requests) == 3
    assert "Authorization" not in model.requests[-1].headers
    assert model.told(BASIC) == {f"https://{HOST}"}


@pytest.mark.parametrize("target", ["/other", "https://r.example/other", "https://R.EXAMPLE:443/other", "../../other"])
def test_the_same_origin_is_the_same_host(target: str) -> None:
    model, name, _ = with_cdn("basic")
    model.hosts["R.EXAMPLE:443"] = model._registry
    model.faults.append(redirect("GET https://r.example/v2", target, skip=1))
    with pytest.raises(RemoteNotFoundError):
        send(connect(model, credentials=Always()), url=f"/v2/a/blobs/{name}")
    assert model.requests[-1].headers["Authorization"] == f"Basic {BASIC}"


def test_there_and_back() -> None:
    model, name, _ = with_cdn("basic")
    model.hosts["cdn.example"] = lambda _: Answer(302, b"", {"location": f"https://r.example/v2/a/blobs/{name}?again"})
    model.faults.append(redirect("GET https://r.example/v2", "https://cdn.example/x", skip=1))
    assert send(connect(model, credentials=Always()), url=f"/v2/a/blobs/{name}").read() == b"hello"
    assert [one.headers.get("Authorization") is None for one in model.requests] == [True, False, True, False]


@pytest.mark.parametrize(
    "target", ["http://cdn.example/x?sig=S1G", "http://r.example/x", "http://localhost:80@cdn.example/x"]
)
def test_a_redirect_away_from_tls(target: str) -> None:
    model, name, _ = with_cdn("basic")
    model.hosts["localhost:80@cdn.example"] = model.hosts["cdn.example"]
    model.faults.append(redirect("GET https://r.example/v2", target, skip=1, times=None))
    with pytest.raises(RemoteError, match="leads away from TLS; got http://") as caught:
        send(connect(model, credentials=Always()), url=f"/v2/a/blobs/{name}")
    assert {one.origin for one in model.requests} == {f"https://{HOST}"}
    assert "S1G" not in str(caught.value)


def test_no_authorization_without_tls_even_if_that_is_allowed() -> None:
    model, name, seen = with_cdn("basic")
    model.faults.append(redirect("GET https://r.example/v2/a", "http://cdn.example/x", skip=1))
    registry = connect(model, credentials=Always(), plain_http=True)
    assert send(registry, url=f"/v2/a/blobs/{name}").read() == b"hello"
    assert "Authorization" not in seen[0].headers
    model.faults.append(redirect("GET https://r.example/v2/a", "http://r.example/x", times=None))
    with pytest.raises(RemoteError):
        send(registry, url=f"/v2/a/blobs/{name}")
    assert "Authorization" not in model.requests[-1].headers
    assert model.told(BASIC) == {f"https://{HOST}"}


@pytest.mark.parametrize("targets", [["/v2/"], ["/x", "/v2/"], ["/x", "/x"], [f"/{n}" for n in range(100)]])
def test_redirects_without_end(targets: list[str]) -> None:
    model = Model()
    for target in targets:
        model.faults.append(redirect("GET", f"{target}?sig=S1G" if target != "/v2/" else target))
    with pytest.raises(RemoteError, match="redirects without end; expected at most 5; got https://r") as caught:
        send(connect(model))
    assert len(model.requests) <= 6
    assert "S1G" not in str(caught.value)


def test_a_loop_over_two_hosts() -> None:
    model = Model()
    model.hosts["cdn.example"] = lambda _: Answer(302, b"", {"location": "https://r.example/v2/"})
    model.faults.append(redirect("GET https://r.example", "https://cdn.example/x", times=None))
    with pytest.raises(RemoteError, match="redirects without end"):
        send(connect(model))
    assert len(model.requests) == 2


def test_five_redirects_are_not_too_many() -> None:
    model = Model()
    for number in range(4):
        model.faults.append(redirect("GET", f"/{number}"))
    model.faults.append(redirect("GET", "/v2/?5"))
    assert send(connect(model)).status == 200


@pytest.mark.parametrize(
    "target",
    [
        "",
        "ftp://cdn.example/x",
        "file:///etc/passwd",
        "javascript:x",
        "https://[",
        "https://a:0/",
        "https://a:b/",
    ],
)
def test_a_location_that_leads_nowhere(target: str) -> None:
    model = Model()
    model.fail("GET", times=None, status=302, headers={"location": target})
    with pytest.raises(RemoteError, match="the registry leads nowhere; expected a Location") as caught:
        send(connect(model))
    assert len(model.requests) == 1
    assert caught.value.path == WHERE


def test_a_redirect_without_location() -> None:
    model = Model()
    model.fail("GET", status=302)
    with pytest.raises(RemoteError, match="leads nowhere"):
        send(connect(model))


def test_what_is_not_read_is_not_redirected() -> None:
    model = Model()
    model.hosts["cdn.example"] = lambda _: Answer(200)
    for method in ("POST", "PUT"):
        model.faults[:] = [redirect(method, "https://cdn.example/x")]
        with pytest.raises(RemoteError, match="307 Temporary Redirect"):
            send(connect(model), method)
    assert {one.origin for one in model.requests} == {f"https://{HOST}"}


def test_the_host_that_blobs_are_on_is_tried_again_from_the_beginning() -> None:
    """Its signed address may have run out."""
    model, name, seen = with_cdn(None)
    for number in range(2):
        model.faults.append(redirect("GET https://r.example", f"https://cdn.example/x?{number}"))
    model.fail("cdn.example", status=503)
    assert send(connect(model), url=f"/v2/a/blobs/{name}").read() == b"hello"
    assert [request.url for request in seen] == ["https://cdn.example/x?1"]


# --- bodies that are streams ----------------------------------------------------


def test_once_is_once() -> None:
    model = Model(auth="basic")
    registry = connect(model, credentials=Always())
    more: dict[str, Any] = {"repository": "a", "scopes": (), "where": WHERE, "headers": {"Content-Length": "2"}}
    url = registry.url("/v2/a/blobs/uploads/u1")
    assert registry.send_once("PATCH", url, body=iter([b"xy"]), **more).status == 401
    assert len(model.requests) == 1
    assert registry.send_once("PATCH", url, body=iter([b"x", b"y"]), **more).status == 404
    assert model.requests[-1].headers["Authorization"] == f"Basic {BASIC}"
    model.fail("PATCH", status=503)
    assert registry.send_once("PATCH", url, body=iter([b"xy"]), **more).status == 503
    assert len(model.requests) == 3


def test_a_stream_to_another_host_has_no_authorization() -> None:
    model = Model(auth="basic")
    model.hosts["cdn.example"] = lambda _: Answer(
        401, b"", {"www-authenticate": 'Bearer realm="https://evil.example/"'}
    )
    model.hosts["evil.example"] = lambda _: Answer(200, b'{"token": "x"}')
    registry = connect(model, credentials=Always())
    send(registry)
    more: dict[str, Any] = {"repository": "a", "scopes": (), "where": WHERE, "headers": {"Content-Length": "1"}}
    for _ in range(2):
        assert registry.send_once("PATCH", "https://cdn.example/u", body=iter([b"x"]), **more).status == 401
    with suppress(RemoteError):
        send(registry)
    assert model.authorized() == {f"https://{HOST}"}
    assert model.told(BASIC) == {f"https://{HOST}"}
    send(registry)


# --- what errors say ------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (failure("DENIED", "no", {"a": 1}), 'DENIED: no: {"a": 1}'),
        (failure("DENIED", "no", "why"), "DENIED: no: why"),
        (b'{"errors": [{"code": "A"}, 1, {"message": "b"}, {"code": 2}]}', "A; b"),
        (b'{"errors": "x", "message": "m"}', "m"),
        (b'{"details": "d"}', "d"),
        (b"plain text", "plain text"),
        (b"", ""),
        (b"<html>x</html>", ""),
        (b" \n <!DOCTYPE html>", ""),
        (b'"x"', '"x"'),
        (b"\xff\xfe", "\\ufffd\\ufffd"),
    ],
)
def test_the_registry_says_why(body: bytes, text: str) -> None:
    model = Model()
    model.fail("GET", status=400, body=body)
    with pytest.raises(RemoteError) as caught:
        send(connect(model))
    expected = "no answer wanted: the registry answers 400 Bad Request" + (f": {text}" if text else "")
    assert caught.value.message.replace("\ufffd", "\\ufffd") == expected


@pytest.mark.parametrize(
    "body",
    [
        failure("X\x1b[31m", "a\nb\r\x07", "\x9b2J"),
        failure("X", "\u202egnp.exe", {"\x1b": "\x1b"}),
        b"\x1b]0;title\x07",
        b"x\x1b[2J" * 10_000,
        failure("X", "\x1b[2J" * 1000),
        b'{"message": "\\ud800"}',
    ],
)
def test_nothing_that_it_says_writes_to_the_terminal(body: bytes) -> None:
    model = Model()
    model.fail("GET", status=400, body=body)
    with pytest.raises(RemoteError) as caught:
        send(connect(model))
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 1000


def test_a_long_error_is_not_read_to_its_end() -> None:
    from tests.registry_model import Zeros

    model = Model()
    model.put_blob("a", Zeros(1 << 20))
    name = next(iter(model.blobs))[1]
    model.fail("GET", edit=lambda answer: setattr(answer, "status", 400))
    with pytest.raises(RemoteError):
        send(connect(model), url=f"/v2/a/blobs/{name}")
    [answer] = model.answers
    assert answer.closed
    assert answer._position <= 128 << 10


def test_an_error_that_breaks_off_is_an_error_still() -> None:
    model = Model()
    model.fail("GET", status=403, body=failure("DENIED", "x" * 100), cut=20)
    with pytest.raises(RemoteError, match="403 Forbidden"):
        send(connect(model))


@pytest.mark.parametrize("fault", [{"unreachable": True}, {"status": 400}, {"status": 503}])
def test_a_signature_is_in_no_error(fault: dict[str, Any]) -> None:
    model = Model()
    model.hosts["cdn.example"] = lambda _: Answer(200)
    model.faults.append(
        redirect("GET https://r.example", "https://cdn.example/x?X-Amz-Signature=S1G&a=b#S1G", times=None)
    )
    model.fail("GET https://cdn", times=None, **fault)
    with pytest.raises(RemoteError) as caught:
        send(connect(model))
    error: BaseException | None = caught.value
    while error is not None:
        assert "S1G" not in str(error)
        error = error.__cause__ or error.__context__
    assert "S1G" not in str(caught.value.as_dict())


def test_a_host_behind_a_redirect_is_named() -> None:
    model = Model()
    model.faults.append(redirect("GET https://r.example", "https://gone.example/x"))
    with pytest.raises(RemoteError, match=rf"^{WHERE}: no address of this name.*\(https://gone.example\)$"):
        send(connect(model))


def test_a_registry_without_tls_is_asked_once() -> None:
    model = Model("r.example:5000", tls=False)
    waits: list[float] = []
    registry = connect(model, waits)
    with pytest.raises(RemoteError, match="say --plain-http"):
        send(registry)
    assert waits == []
    assert len(model.requests) == 1
