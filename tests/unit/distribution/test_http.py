"""HttpTransport without a network: which way a request goes, what is sent, and what its errors become."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest

from tests.registry_model import HOST, quick
from wclayer.distribution.http import HttpTransport
from wclayer.distribution.session import Registry
from wclayer.distribution.transport import NotTlsError, Request, Response
from wclayer.errors import AccessError, DigestMismatchError, NotFoundError, RemoteError, UnreachableError

PROXY = "http://user:pr0xy-secret@proxy.example:3128"
Handler = Callable[[httpx2.Request], httpx2.Response]


def nothing(_: httpx2.Request) -> httpx2.Response:
    return httpx2.Response(200)


class Mocked(HttpTransport):
    """Its clients ask `handler`, and `way` says which of them did."""

    def __init__(self, handler: Handler = nothing, **more: Any) -> None:
        super().__init__(**more)
        self.way: list[str] = []
        super().close()

        def noting(way: str) -> Handler:
            def handle(request: httpx2.Request) -> httpx2.Response:
                self.way.append(way)
                return handler(request)

            return handle

        self._direct = httpx2.Client(transport=httpx2.MockTransport(noting("direct")), trust_env=False)
        if self._proxied is not None:
            self._proxied = httpx2.Client(transport=httpx2.MockTransport(noting("proxy")), trust_env=False)


def get(transport: HttpTransport, url: str = f"https://{HOST}/v2/", **more: Any) -> Response:
    return transport.send(Request(method="GET", url=url, **more))


# --- the way --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("no_proxy", "url", "way"),
    [
        ("", "https://r.example/v2/", "proxy"),
        ("", "https://r.example:5000/v2/", "proxy"),
        ("", "http://r.example/v2/", "direct"),
        ("", "https://localhost:5000/v2/", "direct"),
        ("", "https://127.0.0.1/v2/", "direct"),
        ("", "https://[::1]:5000/v2/", "direct"),
        ("r.example", "https://r.example/v2/", "direct"),
        ("r.example", "https://sub.r.example/v2/", "direct"),
        (".r.example", "https://sub.r.example/v2/", "direct"),
        ("r.example", "https://other.example/v2/", "proxy"),
        ("r.example", "https://notr.example/v2/", "proxy"),
        ("a.example, r.example", "https://r.example:5000/v2/", "direct"),
        ("r.example:5000", "https://r.example:5000/v2/", "direct"),
        ("r.example:5000", "https://r.example:5001/v2/", "proxy"),
        ("R.Example", "https://r.example/v2/", "direct"),
        ("*", "https://r.example/v2/", "direct"),
        ("", "https://localhost@r.example/v2/", "proxy"),
        ("", "https://localhost:80@r.example/v2/", "proxy"),
    ],
)
def test_proxies(no_proxy: str, url: str, way: str) -> None:
    transport = Mocked(https_proxy=PROXY, no_proxy=no_proxy)
    assert get(transport, url).status == 200
    assert transport.way == [way]
    transport.close()


def test_no_proxy_no_detour(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment is for the command line to read."""
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "HTTP_PROXY"):
        monkeypatch.setenv(name, PROXY)
    transport = Mocked()
    get(transport)
    assert transport.way == ["direct"]
    transport.close()


@pytest.mark.parametrize("url", ["proxy:3128", "ftp://p/", "//x", "http://p:x/", "socks5://user:pr0xy-secret@p:1"])
def test_a_proxy_that_is_none(url: str) -> None:
    """A SOCKS proxy needs a package that we do not ask for."""
    with pytest.raises(
        RemoteError, match="the URL of the proxy; expected http://HOST:PORT -- see HTTPS_PROXY"
    ) as caught:
        HttpTransport(https_proxy=url).close()
    assert "pr0xy-secret" not in str(caught.value)


# --- certificates ---------------------------------------------------------------


def test_a_file_of_certificates_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no such file of certificates -- see SSL_CERT_FILE") as caught:
        HttpTransport(ca_file=str(tmp_path / "none.pem"))
    assert caught.value.path == str(tmp_path / "none.pem")


@pytest.mark.parametrize(
    "data", [b"", b"no PEM", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", bytes(1000)]
)
def test_a_file_of_certificates_that_is_broken(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "ca.pem").write_bytes(data)
    with pytest.raises(AccessError, match=r"no file of certificates in PEM.*see SSL_CERT_FILE"):
        HttpTransport(ca_file=str(tmp_path / "ca.pem"))


def test_a_folder_where_certificates_must_be(tmp_path: Path) -> None:
    with pytest.raises(AccessError, match="no file of certificates in PEM"):
        HttpTransport(ca_file=str(tmp_path))


# --- what is sent ---------------------------------------------------------------


def test_a_request() -> None:
    seen: list[httpx2.Request] = []

    def handle(request: httpx2.Request) -> httpx2.Response:
        seen.append(request)
        return httpx2.Response(200, headers={"X-Two": "b", "Content-Type": "text/plain"}, stream=Pieces(b"hello"))

    transport = Mocked(handle)
    response = get(transport, headers={"Range": "bytes=1-"})
    assert response.status == 200
    assert response.headers["x-two"] == "b"
    assert all(name == name.lower() for name in response.headers)
    assert response.read() == b"hello"
    assert seen[0].headers["Accept-Encoding"] == "identity"
    assert seen[0].headers["Range"] == "bytes=1-"
    assert "Authorization" not in seen[0].headers
    transport.close()


def test_a_body_in_pieces_with_its_length() -> None:
    seen: list[httpx2.Request] = []

    def handle(request: httpx2.Request) -> httpx2.Response:
        seen.append(request)
        return httpx2.Response(201)

    transport = Mocked(handle)
    transport.send(
        Request(
            method="PATCH", url="https://r.example/u", headers={"Content-Length": "5"}, body=iter([b"he", b"", b"llo"])
        )
    )
    transport.send(Request(method="PUT", url="https://r.example/u", headers={"Content-Length": "0"}, body=iter(())))
    transport.send(Request(method="PUT", url="https://r.example/m", body=b"{}"))
    assert [request.content for request in seen] == [b"hello", b"", b"{}"]
    assert [request.headers["Content-Length"] for request in seen] == ["5", "0", "2"]
    assert all("Transfer-Encoding" not in request.headers for request in seen)
    transport.close()


def test_what_a_body_raises_goes_through() -> None:
    def body() -> Iterator[bytes]:
        yield b"x"
        raise DigestMismatchError("other bytes")

    transport = Mocked()
    with pytest.raises(DigestMismatchError, match="other bytes"):
        transport.send(Request(method="PATCH", url="https://r.example/u", headers={"Content-Length": "2"}, body=body()))
    transport.close()


def test_no_redirect_is_followed() -> None:
    transport = Mocked(lambda _: httpx2.Response(302, headers={"Location": "https://other.example/"}))
    response = get(transport)
    assert (response.status, response.headers["location"]) == (302, "https://other.example/")
    assert transport.way == ["direct"]
    transport.close()


@pytest.mark.parametrize(
    "url",
    [
        "https://r.example/x",
        "https://r.example:443/x",
        "https://evil.example@r.example/x",
        "https://r.example@evil.example/x",
        "https://r.example:443@evil.example/x",
        "https://evil.example\\@r.example/x",
        "https://r.example\\@evil.example/x",
        "https://r.example#@evil.example/x",
        "https://r.example?@evil.example/x",
        "https://r.example;@evil.example/x",
        "https://R.Example/x",
        "https://r.example%2f@evil.example/x",
        "https://r.example./x",
        "https://%72.example/x",
        "https:///evil.example/x",
        "https://a@b@r.example/x",
    ],
)
def test_the_host_that_credentials_are_meant_for_is_the_one_that_is_asked(url: str) -> None:
    """Where two parsers see two hosts, credentials go astray."""
    seen: list[httpx2.Request] = []

    def handle(request: httpx2.Request) -> httpx2.Response:
        seen.append(request)
        return httpx2.Response(200)

    transport = Mocked(handle)
    try:
        get(transport, url)
    except RemoteError:
        assert seen == []
    else:
        assert seen[0].url.host == (urlsplit(url).hostname or "").lower()
    transport.close()


# --- what comes back ------------------------------------------------------------


class Pieces(httpx2.SyncByteStream):
    def __init__(self, *pieces: bytes, error: Exception | None = None) -> None:
        self.pieces = pieces
        self.error = error
        self.closed = False

    def __iter__(self) -> Iterator[bytes]:
        yield from self.pieces
        if self.error is not None:
            raise self.error

    def close(self) -> None:
        self.closed = True


@pytest.mark.parametrize("n", [1, 3, 5, 100])
def test_reading(n: int) -> None:
    transport = Mocked(lambda _: httpx2.Response(200, stream=Pieces(b"hel", b"", b"lo ", b"world")))
    response = get(transport)
    pieces = list(iter(lambda: response.read(n), b""))
    assert b"".join(pieces) == b"hello world"
    assert all(1 <= len(piece) <= n for piece in pieces)
    assert response.read(n) == b""
    transport.close()


def test_the_body_as_it_was_sent() -> None:
    """Layers are gzip; a server that says so of the transfer changes nothing."""
    transport = Mocked(
        lambda _: httpx2.Response(200, headers={"Content-Encoding": "gzip"}, stream=Pieces(b"\x1f\x8bnot gzip"))
    )
    assert get(transport).read() == b"\x1f\x8bnot gzip"
    transport.close()


def test_a_body_that_breaks_off() -> None:
    error = httpx2.RemoteProtocolError("peer closed connection without sending complete message body")
    stream = Pieces(b"hello", error=error)
    transport = Mocked(lambda _: httpx2.Response(200, stream=stream))
    response = get(transport)
    assert response.read(5) == b"hello"
    with pytest.raises(UnreachableError, match="the connection broke off: peer closed"):
        response.read(5)
    response.close()
    assert stream.closed
    transport.close()


def test_closing_is_no_error() -> None:
    class Broken(Pieces):
        def close(self) -> None:
            raise httpx2.CloseError("already gone")

    transport = Mocked(lambda _: httpx2.Response(200, stream=Broken(b"x")))
    get(transport).close()
    transport.close()


# --- errors ---------------------------------------------------------------------


def caused(error: Exception, cause: BaseException) -> Exception:
    error.__cause__ = cause
    return error


def untrusted() -> Exception:
    cause = ssl.SSLCertVerificationError(1, "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed")
    cause.verify_message = "self-signed certificate"
    return caused(httpx2.ConnectError("ssl"), caused(OSError("x"), cause))


def no_tls() -> Exception:
    cause = ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version number")
    cause.reason = "WRONG_VERSION_NUMBER"
    return caused(httpx2.ConnectError("ssl"), cause)


def no_name(code: int) -> Exception:
    return caused(httpx2.ConnectError("dns"), socket.gaierror(code, "Name or service not known"))


@pytest.mark.parametrize(
    ("error", "cls", "text"),
    [
        (untrusted(), RemoteError, r"certificate is not trusted: self-signed certificate -- .*SSL_CERT_FILE"),
        (no_tls(), NotTlsError, "no TLS there"),
        (no_name(socket.EAI_NONAME), RemoteError, "no address of this name: Name or service not known"),
        (no_name(socket.EAI_AGAIN), UnreachableError, "no address of this name"),
        (httpx2.ConnectError("[Errno 111] Connection refused"), UnreachableError, "no answer: .*refused"),
        (caused(httpx2.ReadError("x"), ssl.SSLError(1, "bad record mac")), UnreachableError, "no answer: x"),
        (httpx2.ReadError(""), UnreachableError, "no answer: ReadError"),
        (httpx2.WriteError("x"), UnreachableError, "no answer: x"),
        (httpx2.RemoteProtocolError("Server disconnected"), UnreachableError, "no answer: Server disconnected"),
        (httpx2.ProxyError("407 Proxy Authentication Required"), UnreachableError, "no answer: 407"),
        (httpx2.ConnectTimeout("x"), UnreachableError, "no answer in time; expected one within 60 s"),
        (httpx2.ReadTimeout("x"), UnreachableError, "no answer in time"),
        (httpx2.WriteTimeout("x"), UnreachableError, "no answer in time"),
        (httpx2.UnsupportedProtocol("x"), RemoteError, "a request that cannot be made: x"),
        (httpx2.LocalProtocolError("x"), RemoteError, "a request that cannot be made: x"),
        (httpx2.InvalidURL("x"), RemoteError, "a request that cannot be made: x"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_errors(error: Exception, cls: type[RemoteError], text: str) -> None:
    def handle(_: httpx2.Request) -> httpx2.Response:
        raise error

    transport = Mocked(handle)
    with pytest.raises(RemoteError, match=text) as caught:
        get(transport, "https://r.example:5000/v2/x?sig=S1G", headers={"Authorization": "Bearer t0ken"})
    assert type(caught.value) is cls
    assert caught.value.path == "https://r.example:5000"
    found: BaseException | None = caught.value
    while found is not None:
        assert "S1G" not in f"{found} {found!r}"
        assert "t0ken" not in f"{found} {found!r}"
        found = found.__cause__
    transport.close()


@pytest.mark.parametrize(
    "url",
    [
        "https://a\x00b/",
        "https://a\x1bb/",
        "https://a b/",
        "https://a:b/",
        "https://a:99999999/",
        "https:///x",
        "ftp://a/",
        "a",
        "",
        "https://" + "a" * 70_000,
        "https://xn--0000h/",
        "https://\u2028/",
        "https://ﬀ.\u0301/",
        "https://[",
        "https://[::1",
        "https://[x]/",
        "https://a]b/",
    ],
)
def test_urls_that_are_none(url: str) -> None:
    """A registry may name anything; the worst that comes of it is one of our errors."""
    transport = Mocked(https_proxy=PROXY)
    said = ""
    try:
        get(transport, url)
    except RemoteError as error:
        said = str(error)
    assert said.isprintable()
    transport.close()


def test_a_user_in_a_url_is_in_no_error() -> None:
    def handle(_: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("refused")

    transport = Mocked(handle)
    with pytest.raises(UnreachableError) as caught:
        get(transport, "https://user:S3CRET@r.example/")
    assert "S3CRET" not in str(caught.value)
    transport.close()


@pytest.mark.parametrize("location", ["https://evil\x1bc.example/", f"https://evil\x1bc{'x' * 300}.example/"])
def test_no_location_writes_to_the_terminal(location: str) -> None:
    transport = Mocked(lambda _: httpx2.Response(302, headers={"Location": location}))
    registry = Registry(HOST, transport, backoff=quick())
    with pytest.raises(RemoteError) as caught:
        registry.send("GET", "/v2/", what="nothing", where="docker://r.example/a", repository="a", scopes=())
    assert str(caught.value).isprintable()
    transport.close()


def test_abort_breaks_off_the_connections_that_there_are() -> None:
    """Whoever waits for one ends; loopback, and no thread."""
    transport = HttpTransport()
    one, two = socket.socketpair()
    with one, two:

        class Stream:
            def get_extra_info(self, name: str) -> object:
                return one if name == "socket" else None

        transport._trace("connection.connect_tcp.complete", {"return_value": Stream()})
        transport._trace("connection.close.complete", {"return_value": None})
        transport.abort()
        assert two.recv(1) == b""
    transport.abort()
    transport.close()


@pytest.mark.parametrize("host", ["a" * 64 + ".example", "a..b"])
def test_a_name_that_cannot_be_looked_up(host: str) -> None:
    """The encoding of names refuses it, before any network."""
    with closing(HttpTransport()) as transport, pytest.raises(RemoteError, match="no address of this name"):
        transport.send(Request(method="GET", url=f"https://{host}/"))


def test_breaking_off_leaves_tls_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """SSLSocket.shutdown lets go of TLS before the connection: what another thread sends then would go out plain."""
    monkeypatch.setattr("ssl.SSLSocket.shutdown", lambda *_: pytest.fail("SSLSocket.shutdown"))
    one, other = socket.socketpair()
    with closing(one), closing(other), closing(HttpTransport()) as transport:
        context = ssl.create_default_context()
        with context.wrap_socket(one, server_hostname="r.example", do_handshake_on_connect=False) as wrapped:
            transport._sockets.add(wrapped)
            transport.abort()
            assert wrapped._sslobj is not None  # type: ignore[attr-defined]
            assert other.recv(1) == b""
