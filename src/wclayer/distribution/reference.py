"""Names of images in registries: HOST[:PORT]/REPOSITORY[:TAG][@DIGEST] ([distribution-spec] "Pulling manifests")."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Final

from ..errors import UsageError

__all__ = ["DEFAULT_TAG", "Reference", "is_digest", "is_loopback", "parse_reference", "usual_host"]

DEFAULT_TAG: Final = "latest"
_HUB: Final = "docker.io"
_LABEL: Final = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_HOST: Final = re.compile(
    rf"(?:\[[0-9a-fA-F:.]+\]|{_LABEL}(?:\.{_LABEL})*)(?::[0-9]{{1,5}})?",
    re.ASCII,
)
_COMPONENT: Final = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY: Final = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*", re.ASCII)
_TAG: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}", re.ASCII)
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}", re.ASCII)
_MAX_NAME: Final = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """An image in a registry. `host` includes the port, if given; a digest takes precedence over a tag."""

    host: str
    repository: str
    tag: str | None = None
    digest: str | None = None

    @property
    def name(self) -> str:
        """What to request: the digest, else the tag, else `latest`."""
        return self.digest or self.tag or DEFAULT_TAG

    def __str__(self) -> str:
        return f"docker://{self.host}/{self.repository}{'@' if self.digest else ':'}{self.name}"


def parse_reference(text: str, *, shown: str | None = None) -> Reference:
    """Parse a reference; without a host it means Docker Hub, as in all clients. Raises UsageError.

    shown: its spelling in errors.
    """
    shown = shown or f"docker://{text}"
    rest, _, digest = text.partition("@")
    if "@" in text and not is_digest(digest):
        raise UsageError("the digest of an image", path=shown, expected="sha256: and 64 digits", got=digest)
    host, slash, name = rest.partition("/")
    if not slash or not (any(char in host for char in ".:[") or host == "localhost"):
        host, name = _HUB, rest
    name, colon, tag = name.partition(":")
    host = usual_host(host.lower())
    if host == _HUB and "/" not in name:
        name = f"library/{name}"
    if not _HOST.fullmatch(host) or not _is_address(host) or not 0 < _port(host) < 1 << 16:
        raise UsageError("the host of a registry", path=shown, expected="HOST or HOST:PORT", got=host)
    if not _REPOSITORY.fullmatch(name) or len(name) > _MAX_NAME:
        raise UsageError(
            "the name of a repository", path=shown, expected="lower-case letters, digits, and . _ - / between", got=name
        )
    if colon and not _TAG.fullmatch(tag):
        raise UsageError(
            "a tag that no image can have", path=shown, expected="up to 128 letters, digits, and . _ -", got=tag
        )
    return Reference(host=host, repository=name, tag=tag or None, digest=digest or None)


def is_digest(text: str) -> bool:
    """Is the text `sha256:` and 64 hexadecimal digits?"""
    return _DIGEST.fullmatch(text) is not None


def usual_host(host: str) -> str:
    """`docker.io` for each name of Docker Hub; other hosts unchanged."""
    return _HUB if host in ("index.docker.io", "registry-1.docker.io") else host


def _is_address(host: str) -> bool:
    """Is the part in brackets, if there is one, an IPv6 address?"""
    try:
        return not host.startswith("[") or bool(ipaddress.IPv6Address(host[1:].partition("]")[0]))
    except ValueError:
        return False


def _port(host: str) -> int:
    _, colon, port = host.rpartition(":")
    return int(port) if colon and port.isdecimal() else 1


def is_loopback(host: str) -> bool:
    """Is `host`, with or without a port, this machine? Only `localhost` and addresses count; no name is resolved."""
    host = host.rpartition("@")[2]  # the part before the colon could be a user name
    name = host
    if host.startswith("["):
        name = host[1:].partition("]")[0]
    elif host.count(":") <= 1:
        name = host.partition(":")[0]
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
