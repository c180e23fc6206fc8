"""The one method through which the client speaks: a request goes out, a response comes back, its body a stream."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

from ..errors import UnreachableError

__all__ = ["COMMIT_TIMEOUT", "TIMEOUT", "NotTlsError", "Request", "Response", "Transport", "read_up_to"]

TIMEOUT: Final = 60.0  # seconds without a byte
COMMIT_TIMEOUT: Final = 600.0  # seconds: a registry may read all of a blob once more before it answers


@dataclass(slots=True, kw_only=True)
class Request:
    """A request; `url` is absolute. body: bytes, or chunks of them, for which a Content-Length must be among `headers`.

    timeout: seconds that nothing may happen for.
    """

    method: str
    url: str
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | Iterable[bytes] | None = None
    timeout: float = TIMEOUT


class Response(Protocol):
    """A response whose headers have arrived; their names are in lower case."""

    status: int
    headers: Mapping[str, str]

    def read(self, n: int = -1, /) -> bytes:
        """1 to `n` bytes of the body as it was sent, b"" at its end; all that is left, if n is negative.

        Raises UnreachableError where it breaks off.
        """

    def close(self) -> None:
        """Done with it; what has not been read is lost."""


def read_up_to(response: Response, most: int) -> bytes:
    """The body, if it has at most `most` bytes; else one byte more. Raises UnreachableError where it breaks off."""
    data = b""
    while len(data) <= most and (chunk := response.read(most + 1 - len(data))):
        data += chunk
    return data


class Transport(Protocol):
    """How requests get to where they go. It follows no redirect and knows no credentials. Used from several threads."""

    def send(self, request: Request, /) -> Response:
        """Send a request. What its body raises goes through.

        Raises UnreachableError where nothing, or nothing whole, comes back; NotTlsError; RemoteError for what another
        try will not mend, a certificate that nobody vouches for.
        """


class NotTlsError(UnreachableError):
    """What answers does not speak TLS."""
