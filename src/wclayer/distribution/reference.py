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
    """An image in a registry. `host` has the port, if one was given; of tag and digest the digest counts."""

    host: str
    repository: str
    tag: str | None = None
    digest: str | None = None

    @property
    def name(self) -> str:
        """What the registry is asked for: the digest, the tag, or `latest`."""
        return self.digest or self.tag or DEFAULT_TAG

    def __str__(self) -> str:
        return f"docker://{self.host}/{self.repository}{'@' if self.digest else ':'}{self.name}"


def parse_reference(text: str, *, shown: str | None = None) -> Reference:
    """The reference in `text`; without a host it is one of Docker Hub, as everywhere. Raises UsageError.

    shown: how errors name it.
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
    """Is it `sha256:` and 64 digits?"""
    return _DIGEST.fullmatch(text) is not None


def usual_host(host: str) -> str:
    """`docker.io` for each of the names that Docker Hub has."""
    return _HUB if host in ("index.docker.io", "registry-1.docker.io") else host


def _is_address(host: str) -> bool:
    """Is what stands in brackets, if anything does, an address of IPv6?"""
    try:
        return not host.startswith("[") or bool(ipaddress.IPv6Address(host[1:].partition("]")[0]))
    except ValueError:
        return False


def _port(host: str) -> int:
    _, colon, port = host.rpartition(":")
    return int(port) if colon and port.isdecimal() else 1


def is_loopback(host: str) -> bool:
    """Is it this machine? `host` may have a port. Names other than `localhost` are not looked up."""
    host = host.rpartition("@")[2]  # not to take a user's name for it
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
