"""The interface to the network: one method, which sends a request and returns a response with a streamed body."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

from ..errors import UnreachableError

__all__ = ["COMMIT_TIMEOUT", "TIMEOUT", "NotTlsError", "Request", "Response", "Transport", "read_up_to"]

TIMEOUT: Final = 60.0  # seconds without a byte
COMMIT_TIMEOUT: Final = 600.0  # seconds: a registry may read the whole blob again before it answers


@dataclass(slots=True, kw_only=True)
class Request:
    """A request; `url` is absolute. body: bytes, or chunks, which need a Content-Length in `headers`.

    timeout: the longest time without any data, in seconds.
    """

    method: str
    url: str
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | Iterable[bytes] | None = None
    timeout: float = TIMEOUT


class Response(Protocol):
    """A response with its headers, whose names are in lower case; the body is still to be read."""

    status: int
    headers: Mapping[str, str]

    def read(self, n: int = -1, /) -> bytes:
        """1 to `n` bytes of the body as sent, b"" at its end; the whole rest, if n is negative.

        Raises UnreachableError where the connection breaks.
        """

    def close(self) -> None:
        """Close the response; the unread rest is discarded."""


def read_up_to(response: Response, most: int) -> bytes:
    """The body, at most `most` + 1 bytes of it, so that the caller sees one that is too long.

    Raises UnreachableError where the connection breaks.
    """
    data = b""
    while len(data) <= most and (chunk := response.read(most + 1 - len(data))):
        data += chunk
    return data


class Transport(Protocol):
    """Sends requests. It follows no redirects and adds no credentials. Safe to use from several threads."""

    def send(self, request: Request, /) -> Response:
        """Send a request. Exceptions of its body pass through.

        Raises UnreachableError where no complete response comes back; NotTlsError; RemoteError where another try
        cannot help, as with an untrusted certificate.
        """


class NotTlsError(UnreachableError):
    """The server does not speak TLS."""
