"""Download a blob: a stream that continues where a connection broke off ([distribution-spec] "Pulling blobs")."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final

from ..codes import Code
from ..errors import DigestMismatchError, RemoteError, RemoteNotFoundError, UnreachableError
from .session import Registry
from .transport import Response
from .urls import parse_url

__all__ = ["Ask", "Download"]

_RANGE: Final = re.compile(r"bytes ([0-9]{1,19})-([0-9]{1,19})/(?:[0-9]{1,19}|\*)", re.ASCII)
_SKIP: Final = 1 << 18
Ask = Callable[..., Response]


class Download:
    """The bytes of the blob `digest` of `size` bytes from `offset` on, then b"".

    ask: sends a request to the repository. urls: other places of the blob. name: its name in errors.

    Raises RemoteError; DigestMismatchError for another size.
    """

    def __init__(
        self,
        ask: Ask,
        registry: Registry,
        digest: str,
        size: int,
        offset: int,
        urls: Sequence[str],
        name: str,
    ) -> None:
        self._ask = ask
        self._registry = registry
        self._digest = digest
        self._size = size
        self._position = offset
        self._urls = urls
        self._url: str | None = None  # the one of `urls` that has the blob, if the registry has not
        self._name = name
        self._tries = registry.backoff.start()
        self._mark = offset  # the offset at the last failure
        self._response: Response | None = None
        self._begin()

    def read(self, n: int = -1, /) -> bytes:
        if n < 0:
            return b"".join(iter(lambda: self.read(_SKIP), b""))
        while True:
            if self._response is None and 0 < self._size <= self._position:
                return b""
            response = self._begin()
            try:
                data = response.read(n)
                if data or self._position >= self._size:
                    self._position += len(data)
                    return data
                raise UnreachableError(
                    "the blob ends too early", expected=f"{self._size:,} bytes", got=f"{self._position:,}"
                )
            except UnreachableError as error:
                self.close()
                self._response = None
                if self._position >= self._size:
                    return b""  # the connection broke after the last byte
                self._failed(error)

    def _begin(self) -> Response:
        """The response that is being read, or a new one after a failure."""
        while self._response is None:
            try:
                self._response = self._open()
            except UnreachableError as error:
                self._failed(error)
        return self._response

    def _failed(self, error: UnreachableError) -> None:
        error.path = self._name
        self._tries.again(error, progress=self._position - self._mark)
        self._mark = self._position

    def close(self) -> None:
        if self._response is not None:
            self._response.close()

    def _open(self) -> Response:
        response = self._request()
        try:
            return self._at_position(response)
        except BaseException:
            response.close()
            raise

    def _request(self) -> Response:
        headers = {"Range": f"bytes={self._position}-"} if self._position else {}
        what, wanted = f"no blob {self._digest}", (200, 206)
        if self._url is not None:
            return self._ask("GET", self._url, what, headers=headers, wanted=wanted)
        try:
            return self._ask("GET", f"blobs/{self._digest}", what, headers=headers, wanted=wanted)
        except RemoteNotFoundError as missing:
            missing.path = self._name
            error: RemoteError = missing
        for text in self._urls:
            url = parse_url(text)
            if url is None or not (url.scheme == "https" or self._registry.does_without(self._name)):
                continue
            try:
                response = self._ask("GET", url.text, what, headers=headers, wanted=wanted)
            except RemoteError as failed:
                failed.path = self._name
                failed.hint = f"it is a foreign layer, available only at {url.address}"
                error = failed
                continue
            self._url = url.text
            return response
        raise error

    def _at_position(self, response: Response) -> Response:
        """A new response, positioned at the current offset."""
        start = 0
        if response.status == 206:
            found = _RANGE.fullmatch(response.headers.get("content-range", "").strip())
            if found is None or int(found[1]) != self._position:
                raise RemoteError(
                    "the registry gives another range than was asked for",
                    path=self._name,
                    expected=f"bytes {self._position}-",
                    got=response.headers.get("content-range"),
                )
            start = self._position
        length = response.headers.get("content-length", "")
        if length.isdecimal() and start + int(length[:19]) != self._size:
            raise DigestMismatchError(
                "the blob has another size than its descriptor",
                path=self._name,
                expected=self._size,
                got=start + int(length[:19]),
                hint="fetch the image again",
                rule=Code.BLOB_SIZE,
            )
        while start < self._position:  # the server ignores Range
            data = response.read(min(_SKIP, self._position - start))
            if not data:
                raise UnreachableError("the blob ends too early", expected=f"{self._size:,} bytes", got=f"{start:,}")
            start += len(data)
        return response
