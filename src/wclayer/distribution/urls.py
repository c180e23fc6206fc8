"""URLs from registries, manifests and users: parsed once, and shown without secrets."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

from ..errors import printable

__all__ = ["Url", "parse_url", "shown_url"]

_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Url:
    """An absolute http or https URL, `text`; host: in lower case. Only `text` contains user info."""

    text: str
    scheme: str
    host: str
    port: int
    path: str
    query: str

    @property
    def origin(self) -> tuple[str, str, int]:
        """Scheme, host and port: credentials for one origin are never sent to another."""
        return self.scheme, self.host, self.port

    @property
    def authority(self) -> str:
        """`HOST`, or `HOST:PORT` where the port is not the scheme's default."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def address(self) -> str:
        """`https://HOST:PORT`, without secrets."""
        return printable(f"{self.scheme}://{self.authority}")

    @property
    def shown(self) -> str:
        """The URL without its query, which may be a signature, and without user info."""
        return self.address + printable(self.path)


def parse_url(text: str, base: str = "") -> Url | None:
    """The URL in `text`, which may be relative to `base`; None where it is malformed."""
    try:
        joined = urljoin(base, text)
        parts = urlsplit(joined)
        port, host = parts.port, parts.hostname
    except ValueError:
        return None
    if parts.scheme not in _PORTS or not host or port == 0:
        return None
    port = port or _PORTS[parts.scheme]
    return Url(joined, parts.scheme, host.lower(), port, parts.path, parts.query)


def shown_url(text: str) -> str:
    """A URL, even a malformed one, as messages show it."""
    url = parse_url(text)
    return "no URL" if url is None else url.shown
