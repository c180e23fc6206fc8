"""Authorization headers, once a registry has sent its challenge (Docker's token API, RFC 7617).

The times in a token come from another clock, so only its lifetime is used, counted from
its arrival. A registry that refuses it earlier gets a new one.
"""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import cache
from typing import Any, Final, Protocol
from urllib.parse import quote, urlencode

from ..errors import RemoteError
from .answers import error_of
from .challenge import Challenge, parse_challenges
from .credentials import Credential
from .transport import Request, Response, read_up_to
from .urls import parse_url

__all__ = ["Tokens"]

_MAX_TOKEN: Final = 1 << 20  # bytes of a response
_LIFE: Final = 60  # seconds: a token's lifetime where the response has none, and the shortest that is believed
_MARGIN: Final = 10
_CLIENT: Final = "wclayer"


class Ask(Protocol):
    """Sends a request to a token server, with retries, and adds no credentials."""

    def __call__(self, request: Request, /) -> Response: ...


class Tokens:
    """The authorization at one registry.

    credential: called once, when credentials are first needed. may_be_plain: is plain HTTP allowed for a token server
    at that host? clock: monotonic seconds.
    """

    def __init__(
        self,
        where: str,
        credential: Callable[[], Credential | None],
        ask: Ask,
        may_be_plain: Callable[[str], bool],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._where = where
        self._credential = cache(credential)
        self._ask = ask
        self._may_be_plain = may_be_plain
        self._clock = clock
        self._lock = threading.Lock()
        self._basic: str | None = None
        self._challenge: Challenge | None = None
        self._tokens: dict[tuple[str, ...], tuple[str, float]] = {}

    def header(self, scopes: Sequence[str]) -> str | None:
        """The Authorization header for a request with these scopes; None for none.

        Raises RemoteError if a token is needed and cannot be had.
        """
        with self._lock:
            if self._challenge is None:
                return self._basic
            key = tuple(scopes)
            token, until = self._tokens.get(key, ("", 0.0))
            if not token or self._clock() >= until:
                token, until = self._fetch(self._challenge, key)
                self._tokens[key] = token, until
            return f"Bearer {token}"

    def challenged(self, headers: Mapping[str, str], scopes: Sequence[str], sent: str | None) -> bool:
        """Can another try help after a 401 with these headers? sent: the Authorization of the refused request."""
        with self._lock:
            found = {one.scheme: one for one in reversed(parse_challenges(headers.get("www-authenticate", "")))}
            if "bearer" in found:
                token, _ = self._tokens.get(tuple(scopes), ("", 0.0))
                if sent is None or sent == f"Bearer {token}":  # otherwise another thread has a newer token already
                    self._tokens.pop(tuple(scopes), None)
                self._challenge = found["bearer"]
                return True
            if "basic" in found and self._basic is None:
                credential = self._credential()
                if credential is not None and not credential.identity:
                    self._basic = _basic(credential)
                    return True
            return False

    def _fetch(self, challenge: Challenge, scopes: tuple[str, ...]) -> tuple[str, float]:
        realm = challenge.parameters.get("realm", "")
        url = parse_url(realm)
        if url is None:
            raise self._error("it names no token server", None)
        if url.scheme != "https" and not self._may_be_plain(url.authority):
            raise self._error("its token server has no TLS", url.address)
        extra = challenge.parameters.get("scope", "")
        wanted = list(scopes) or ([extra] if extra else [])
        query = [("scope", scope) for scope in wanted]
        if (service := challenge.parameters.get("service")) is not None:
            query.insert(0, ("service", service))
        credential = self._credential()
        if credential is not None and credential.identity:
            form = {"grant_type": "refresh_token", "client_id": _CLIENT, "refresh_token": credential.secret}
            form.update({"service": service or "", "scope": " ".join(wanted)})
            request = Request(
                method="POST",
                url=realm,
                headers={"Content-Type": "application/x-www-form-urlencoded"},
                body=urlencode(form, errors="surrogatepass").encode(),
            )
        else:
            joined = "&".join(filter(None, (url.query, urlencode(query, quote_via=quote))))
            request = Request(method="GET", url=realm.partition("#")[0].partition("?")[0] + (joined and f"?{joined}"))
            if credential is not None:
                request.headers["Authorization"] = _basic(credential)
        response = self._ask(request)
        if response.status != 200:
            raise error_of(response, "no token", self._where)
        return self._parse(response)

    def _parse(self, response: Response) -> tuple[str, float]:
        began = self._clock()
        try:
            data = read_up_to(response, _MAX_TOKEN)
        finally:
            response.close()
        value: Any = None
        with suppress(ValueError, RecursionError):
            value = json.loads(data) if len(data) <= _MAX_TOKEN else None
        value = value if isinstance(value, dict) else {}
        token = value.get("token") or value.get("access_token")
        if not isinstance(token, str) or not token.isascii() or not token.isprintable() or " " in token:
            raise self._error("its token server gives no token", None)
        life = value.get("expires_in")
        seconds = life if isinstance(life, int) and not isinstance(life, bool) and life > _LIFE else _LIFE
        return token, began + min(seconds, 1 << 20) - _MARGIN

    def _error(self, message: str, got: str | None) -> RemoteError:
        return RemoteError(message, path=self._where, got=got)


def _basic(credential: Credential) -> str:
    both = f"{credential.username}:{credential.secret}".encode("utf-8", "surrogatepass")
    return f"Basic {base64.b64encode(both).decode()}"
