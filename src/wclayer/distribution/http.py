"""The transport on httpx2: pooled connections, TLS with the system's own certificates, a proxy."""

from __future__ import annotations

import socket
import ssl
import threading
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any, Final
from weakref import WeakSet

import httpx2

from ..errors import AccessError, NotFoundError, RemoteError, UnreachableError
from .reference import is_loopback
from .transport import NotTlsError, Request
from .urls import Url, parse_url

__all__ = ["HttpTransport"]

_CONNECT: Final = 20.0  # seconds
_LITTLE: Final = 4  # digits of a length
_CERTIFICATE_HINT: Final = "if the registry has a CA of its own, name its certificate in SSL_CERT_FILE"


class HttpTransport:
    """HTTP/1.1 over TCP and TLS. Closed by close().

    ca_file: PEM certificates to trust in place of the system's. https_proxy: the URL of a proxy. no_proxy: hosts that
    bypass it, in the syntax of the variable of that name; loopback always does.

    Raises NotFoundError for a ca_file that does not exist, AccessError for one that is not usable.
    """

    def __init__(self, *, ca_file: str | None = None, https_proxy: str | None = None, no_proxy: str = "") -> None:
        self._no_proxy = {"no": no_proxy}
        verify: ssl.SSLContext | bool = True if ca_file is None else _trusting(ca_file)
        self._lock = threading.Lock()
        self._sockets: WeakSet[socket.socket] = WeakSet()
        self._direct = httpx2.Client(verify=verify, trust_env=False, follow_redirects=False)
        self._proxied = None
        if https_proxy:
            try:
                self._proxied = httpx2.Client(
                    verify=verify, trust_env=False, follow_redirects=False, proxy=httpx2.Proxy(https_proxy)
                )
            except (ValueError, ImportError, httpx2.InvalidURL):  # ImportError: socks:// needs another package
                raise RemoteError("the URL of the proxy", expected="http://HOST:PORT", hint="see HTTPS_PROXY") from None

    def close(self) -> None:
        """Close all connections."""
        self._direct.close()
        if self._proxied is not None:
            self._proxied.close()

    def abort(self) -> None:
        """Shut all connections down, so that threads that wait for one get an error at once."""
        with self._lock:
            sockets = list(self._sockets)
        for one in sockets:
            with suppress(OSError, ValueError):
                # Not SSLSocket's own shutdown, which drops TLS first: another thread's data would go out unencrypted.
                socket.socket.shutdown(one, socket.SHUT_RDWR)

    def send(self, request: Request, /) -> _Response:
        url = parse_url(request.url)
        if url is None:
            raise RemoteError("a request that cannot be made", expected="a URL of http or https")
        client = self._client(url)
        timeout = httpx2.Timeout(request.timeout, connect=min(_CONNECT, request.timeout), pool=None)
        try:
            made = client.build_request(
                request.method,
                request.url,
                headers={"Accept-Encoding": "identity", **request.headers},
                content=request.body,
                timeout=timeout,
                extensions={"trace": self._trace},
            )
            return _Response(client.send(made, stream=True))
        except UnicodeError as error:  # the host name cannot be encoded: a label of over 63 characters
            raise RemoteError(f"no address of this name: {error}", path=url.address) from None
        except (httpx2.TransportError, httpx2.InvalidURL) as error:
            raise _translated(error, request, url.address) from error

    def _client(self, url: Url) -> httpx2.Client:
        if self._proxied is None or url.scheme != "https" or is_loopback(url.authority):
            return self._direct
        host = f"{url.host}:{url.port}"
        bypass = urllib.request.proxy_bypass_environment(host, self._no_proxy)  # type: ignore[attr-defined]
        return self._direct if bypass else self._proxied

    def _trace(self, event: str, info: Mapping[str, Any]) -> None:
        if event in ("connection.connect_tcp.complete", "connection.start_tls.complete"):
            found = info["return_value"].get_extra_info("socket")
            if isinstance(found, socket.socket):
                with self._lock:
                    self._sockets.add(found)


class _Response:
    def __init__(self, response: httpx2.Response) -> None:
        self.status: int = response.status_code
        self.headers: Mapping[str, str] = {name.lower(): value for name, value in response.headers.items()}
        self._response = response
        self._chunks: Iterator[bytes] = response.iter_raw()
        self._rest = b""

    def read(self, n: int = -1, /) -> bytes:
        if n < 0:
            return b"".join(iter(lambda: self.read(1 << 20), b""))
        while not self._rest:
            try:
                chunk = next(self._chunks, None)
            except httpx2.TransportError as error:
                raise UnreachableError(f"the connection broke off: {_text(error)}") from error
            if chunk is None:
                return b""
            self._rest = chunk
        data, self._rest = (self._rest, b"") if len(self._rest) <= n else (self._rest[:n], self._rest[n:])
        return data

    def close(self) -> None:
        # A short rest is read, so that the connection can be used again.
        length = self.headers.get("content-length", "")
        with suppress(httpx2.TransportError, RemoteError):
            if length.isdecimal() and len(length) <= _LITTLE and not self._response.is_closed:
                while self.read(1 << 16):
                    pass
        with suppress(httpx2.TransportError):
            self._response.close()


def _trusting(ca_file: str) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file)
    except FileNotFoundError:
        raise NotFoundError("no such file of certificates", path=ca_file, hint="see SSL_CERT_FILE") from None
    except OSError as error:  # ssl.SSLError is a subclass
        raise AccessError(f"no file of certificates in PEM: {error}", path=ca_file, hint="see SSL_CERT_FILE") from None


def _text(error: BaseException) -> str:
    return str(error) or type(error).__name__


def _translated(error: Exception, request: Request, where: str) -> RemoteError:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            text = f"its certificate is not trusted: {cause.verify_message}"
            return RemoteError(text, path=where, hint=_CERTIFICATE_HINT)
        if isinstance(cause, ssl.SSLError) and isinstance(error, httpx2.ConnectError):
            return NotTlsError(f"no TLS there: {cause.reason or cause}", path=where)
        if isinstance(cause, socket.gaierror):
            cls = UnreachableError if cause.errno == socket.EAI_AGAIN else RemoteError
            return cls(f"no address of this name: {cause.strerror}", path=where)
        cause = cause.__cause__ or cause.__context__
    if isinstance(error, httpx2.InvalidURL | httpx2.UnsupportedProtocol | httpx2.LocalProtocolError):
        return RemoteError(f"a request that cannot be made: {_text(error)}", path=where)
    if isinstance(error, httpx2.TimeoutException):
        return UnreachableError("no answer in time", path=where, expected=f"one within {request.timeout:.0f} s")
    return UnreachableError(f"no answer: {_text(error)}", path=where)
