"""Fetch a file from an https URL by its digest, for ADD of a Dockerfile."""

from __future__ import annotations

import hashlib
from contextlib import closing
from typing import BinaryIO, Final
from urllib.parse import urlsplit

from ..errors import DigestMismatchError, RemoteError, UnreachableError, UsageError
from ..host.errors import host_errors
from .answers import error_of
from .backoff import TRANSIENT, Backoff, retry_after
from .transport import Request, Response, Transport
from .urls import parse_url, shown_url

__all__ = ["MAX_FETCHED", "fetch"]

MAX_FETCHED: Final = 1 << 35  # bytes; a server may send without end
_ALGORITHMS: Final = {"sha256": 64, "sha384": 96, "sha512": 128}
_MAX_REDIRECTS: Final = 5
_REDIRECTS: Final = frozenset((301, 302, 303, 307, 308))
_CHUNK: Final = 1 << 18


def fetch(transport: Transport, backoff: Backoff, user_agent: str, url: str, digest: str, file: BinaryIO) -> None:
    """Write the bytes at `url` to the empty `file`, and check them.

    digest: `sha256:HEX`, `sha384:HEX`, `sha512:HEX`, or the HEX of SHA-256. Redirects lead to https only.

    Raises UsageError for an URL that is not https, or has a password in it, and for a malformed digest; RemoteError;
    DigestMismatchError for other bytes.
    """
    algorithm, _, wanted = digest.rpartition(":")
    algorithm = algorithm or "sha256"
    wanted = wanted.lower()
    if len(wanted) != _ALGORITHMS.get(algorithm) or not set(wanted) <= set("0123456789abcdef"):
        raise UsageError("a malformed digest", expected="sha256: and 64 digits", got=digest)
    target = parse_url(url)
    if target is None or target.scheme != "https" or "@" in urlsplit(url).netloc:
        raise UsageError("not an https URL without a password", path=shown_url(url))
    tries = backoff.start()
    while True:
        try:
            response = _open(transport, user_agent, target.text)
            if response.status == 200:
                found = _copy(response, algorithm, file, target.shown)
                break
            failed = error_of(response, "it does not give the file", target.shown)
            tries.again(failed, wait=retry_after(response.headers))
        except UnreachableError as error:
            error.path = target.shown
            tries.again(error)
    if found != wanted:
        raise DigestMismatchError(
            "other bytes than --checksum says",
            path=target.shown,
            expected=f"{algorithm}:{wanted}",
            got=f"{algorithm}:{found}",
        )


def _copy(response: Response, algorithm: str, file: BinaryIO, shown: str) -> str:
    """Write the body to `file`, in place of what a broken try has left; its digest."""
    found, size = hashlib.new(algorithm, usedforsecurity=False), 0
    with closing(response), host_errors(shown):
        file.seek(0)
        file.truncate()
        while chunk := response.read(_CHUNK):
            size += len(chunk)
            if size > MAX_FETCHED:
                raise RemoteError("a file this large", path=shown, expected=f"at most {MAX_FETCHED:,} bytes")
            found.update(chunk)
            file.write(chunk)
    return found.hexdigest()


def _open(transport: Transport, user_agent: str, url: str) -> Response:
    """The response after all redirects: status 200, or a transient one. Raises RemoteError."""
    start = url
    for _ in range(_MAX_REDIRECTS + 1):
        # Compressed in transit, the bytes would not be those of the digest.
        headers = {"Accept-Encoding": "identity", "User-Agent": user_agent}
        response = transport.send(Request(method="GET", url=url, headers=headers))
        if response.status == 200 or response.status in TRANSIENT:
            return response
        if response.status not in _REDIRECTS:
            raise error_of(response, "it does not give the file", shown_url(start))
        response.close()
        location = response.headers.get("location", "")
        target = parse_url(location, url) if location else None
        if target is None or target.scheme != "https":
            raise RemoteError("a redirect away from https", path=shown_url(start))
        url = target.text
    raise RemoteError("redirects without end", path=shown_url(start), expected=f"at most {_MAX_REDIRECTS}")
