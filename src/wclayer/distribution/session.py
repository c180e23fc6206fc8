"""One registry: its scheme, and requests to it with redirects, tokens and retries.

Credentials are sent to the registry itself and to the token server that it names, never
to another host, whatever redirects or upload locations say, and never from TLS to
plain HTTP.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Final
from urllib.parse import urlsplit

from ..errors import RemoteError, UnreachableError, printable
from .answers import error_of
from .backoff import TRANSIENT, Backoff, retry_after
from .credentials import Credential, Credentials
from .reference import is_loopback
from .tokens import Tokens
from .transport import TIMEOUT, NotTlsError, Request, Response, Transport
from .urls import Url, parse_url, shown_url

__all__ = ["Registry"]

_MAX_REDIRECTS: Final = 5
_REDIRECTS: Final = frozenset((301, 302, 303, 307, 308))
_FIRST_TRIES: Final = 3  # for a host that has not answered yet: its name may be wrong
_API_HOSTS: Final = {"docker.io": "registry-1.docker.io"}


class Registry:
    """The registry at `host` (with its port, if it has one). Safe to use from several threads.

    plain_http: allow plain HTTP; for loopback it is always allowed. TLS is tried first, and an untrusted certificate is
    an error in every case.
    """

    def __init__(
        self,
        host: str,
        transport: Transport,
        *,
        credentials: Credentials | None = None,
        backoff: Backoff | None = None,
        plain_http: bool = False,
        user_agent: str = "wclayer",
    ) -> None:
        self.host = host
        self.backoff = backoff or Backoff()
        self._transport = transport
        self._credentials = credentials
        self._plain_http = plain_http
        self._user_agent = user_agent
        self._lock = threading.Lock()
        self._base: str | None = None
        self._answered = False
        self._tokens: dict[str, Tokens] = {}

    def url(self, path: str, where: str | None = None) -> str:
        """The absolute URL of a path that begins with `/v2/`; where: the image, for errors."""
        with self._lock:
            if self._base is None:
                self._base = self._find_base(where or f"docker://{self.host}")
        return self._base + path

    def send(
        self,
        method: str,
        url: str,
        *,
        what: str,
        where: str,
        repository: str,
        scopes: Sequence[str],
        wanted: Collection[int] = (200,),
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        timeout: float = TIMEOUT,
    ) -> Response:
        """Send a request until a response has one of the `wanted` statuses, or the tries are used up.

        url: absolute, or a path. what: what failed, and where: the image, both for errors. scopes: what a token must
        allow. GET and HEAD follow redirects.

        Raises RemoteError.
        """
        tries = self.backoff.start(None if self._answered else _FIRST_TRIES)
        refused = 0
        while True:
            try:
                target = self.url(url, where) if url.startswith("/") else url
                request = Request(method=method, url=target, headers=dict(headers or {}), body=body, timeout=timeout)
                response, sent, own = self._follow(request, repository, scopes, where)
            except NotTlsError as error:
                error.hint = "if that registry is meant to be without TLS, say --plain-http"
                raise
            except UnreachableError as error:
                tries.again(error)
                continue
            if not self._answered:
                self._answered = True
                tries = self.backoff.start()
            if response.status == 401 and own and refused < 2:
                refused += 1
                if self._tokens_of(repository, where).challenged(response.headers, scopes, sent):
                    response.close()
                    continue
            if response.status in wanted:
                return response
            failed = error_of(response, what, where)
            denied = "insufficient_scope" in response.headers.get("www-authenticate", "")
            if refused == 2 and not denied and sent is not None and sent.startswith("Bearer "):
                failed.hint = (
                    "it refuses the token that it has just given: its clock, or its token server's, may be wrong"
                )
            if response.status not in TRANSIENT:
                raise failed
            tries.again(failed, wait=retry_after(response.headers))

    def send_once(
        self,
        method: str,
        url: str,
        *,
        repository: str,
        scopes: Sequence[str],
        where: str,
        headers: Mapping[str, str],
        body: Iterable[bytes],
        timeout: float = TIMEOUT,
    ) -> Response:
        """Send a request whose body is a stream, once; any response is returned.

        A response 401 is remembered, so that the next try gets a new token. Raises RemoteError.
        """
        sent = self._authorization(url, repository, scopes, where)
        more = {} if sent is None else {"Authorization": sent}
        response = self._send(
            Request(method=method, url=url, headers={**headers, **more}, body=body, timeout=timeout), where
        )
        if response.status == 401 and self._is_own(url, where):
            self._tokens_of(repository, where).challenged(response.headers, scopes, sent)
        return response

    def location(self, response: Response, url: str, where: str) -> str:
        """The URL in the Location of a response to `url`. Raises RemoteError if it is missing or not safe."""
        text = response.headers.get("location", "")
        target = parse_url(text, url) if text else None
        if target is None:
            raise RemoteError("the registry leads nowhere", path=where, expected="a Location")
        # A redirect from TLS must not reach services of this machine, either.
        if not self.is_safe(target) or (url.startswith("https:") and target.scheme == "http" and not self._plain_http):
            raise RemoteError(
                "the registry leads away from TLS",
                path=where,
                got=target.address,
                hint="its proxy may not say that it is behind TLS; --plain-http, if that is meant",
            )
        return target.text

    def may_be_plain(self, host: str) -> bool:
        """Is plain HTTP allowed for this host?"""
        return self._plain_http or is_loopback(host)

    def does_without(self, where: str) -> bool:
        """Is plain HTTP allowed for URLs that this registry names: is it plain itself, or was plain HTTP asked for?"""
        return self._plain_http or self.url("/", where).startswith("http:")

    def is_safe(self, url: Url) -> bool:
        """Is the URL https, or may it be plain?"""
        return url.scheme == "https" or self.may_be_plain(url.authority)

    # --- parts --------------------------------------------------------------------

    def _follow(
        self, request: Request, repository: str, scopes: Sequence[str], where: str
    ) -> tuple[Response, str | None, bool]:
        """The response after all redirects, the Authorization last sent to the registry, and whether it comes from the
        registry itself: challenges of other hosts are ignored.
        """
        sent: str | None = None
        seen: set[str] = set()
        headers = request.headers
        while True:
            seen.add(request.url)
            authorization = self._authorization(request.url, repository, scopes, where)
            if authorization is not None:
                sent = authorization
                request.headers = {**headers, "Authorization": authorization}
            response = self._send(request, where)
            if response.status not in _REDIRECTS or request.method not in ("GET", "HEAD"):
                return response, sent, self._is_own(request.url, where)
            response.close()
            target = self.location(response, request.url, where)
            if target in seen or len(seen) > _MAX_REDIRECTS:
                raise RemoteError(
                    "redirects without end",
                    path=where,
                    expected=f"at most {_MAX_REDIRECTS}",
                    got=shown_url(target),
                )
            request = replace(request, url=target, headers=dict(headers))

    def _send(self, request: Request, where: str) -> Response:
        request.headers.setdefault("User-Agent", self._user_agent)
        try:
            return self._transport.send(request)
        except RemoteError as error:
            if error.path is not None and error.path not in where:
                error.message += f" ({printable(error.path)})"
            error.path = where
            raise

    def _authorization(self, url: str, repository: str, scopes: Sequence[str], where: str) -> str | None:
        if not self._is_own(url, where):
            return None
        return self._tokens_of(repository, where).header(scopes)

    def _is_own(self, url: str, where: str) -> bool:
        found, own = parse_url(url), parse_url(self.url("/", where))
        return found is not None and own is not None and found.origin == own.origin

    def _tokens_of(self, repository: str, where: str) -> Tokens:
        with self._lock:
            found = self._tokens.get(repository)
            if found is None:
                found = Tokens(where, lambda: self._credential(repository), self._ask, self.may_be_plain)
                self._tokens[repository] = found
            return found

    def _credential(self, repository: str) -> Credential | None:
        return None if self._credentials is None else self._credentials.find(self.host, repository)

    def _ask(self, request: Request, /) -> Response:
        """Send a request to a token server."""
        tries = self.backoff.start()
        where = shown_url(request.url)
        while True:
            try:
                response = self._send(replace(request), where)
            except UnreachableError as error:
                tries.again(error)
                continue
            if response.status not in TRANSIENT:
                return response
            wait = retry_after(response.headers)
            tries.again(error_of(response, "no token", where), wait=wait)

    def _find_base(self, where: str) -> str:
        """`https://HOST`, or `http://HOST` where TLS fails and plain HTTP is allowed."""
        host = _API_HOSTS.get(self.host, self.host)
        if not self.may_be_plain(host):
            return f"https://{host}"
        try:
            self._send(Request(method="GET", url=f"https://{host}/v2/"), where).close()
        except NotTlsError:
            return f"http://{host}"
        except UnreachableError:
            if urlsplit(f"//{host}").port is not None:
                raise
            with suppress(RemoteError):
                self._send(Request(method="GET", url=f"http://{host}/v2/"), where).close()
                return f"http://{host}"
            raise
        return f"https://{host}"
