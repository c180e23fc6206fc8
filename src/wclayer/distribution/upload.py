"""Upload a blob: mounted, in one request, or continued after a failure ([distribution-spec] "Pushing blobs").

A large blob goes in one PATCH, as Docker pushes, then a PUT with its digest. After a
failure the registry is asked for its offset; if it has none, the upload starts again.
A registry without PATCH gets the whole blob in the PUT, as containerd pushes. A proxy
that finds the body too large gets chunks.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Final, Protocol
from urllib.parse import quote, urlencode

from ..errors import DigestMismatchError, RemoteError, UnreachableError, WclayerError
from .answers import codes_and_text, error_from
from .backoff import TRANSIENT, retry_after
from .download import Ask
from .session import Registry
from .transport import COMMIT_TIMEOUT, TIMEOUT, Response

__all__ = ["PushSource", "Upload"]

_PIECE: Final = 1 << 20  # bytes written to the connection at a time
_SMALL: Final = 4 << 20  # bytes: smaller blobs go in the PUT, without a PATCH
_CHUNK: Final = 16 << 20  # bytes of a PATCH, where a proxy accepts no more
_FAREWELL: Final = 5.0  # seconds: cancelling an upload is only a courtesy
_NO_PATCH: Final = frozenset((404, 405, 501))
_UNKNOWN: Final = frozenset(("BLOB_UPLOAD_INVALID", "BLOB_UPLOAD_UNKNOWN"))
_LOST: Final = frozenset((400, 404, 405, 410, 416))  # statuses that mean the registry has lost the upload
_RANGE: Final = re.compile(r"(?:bytes=)?0-([0-9]{1,19})", re.ASCII)


class PushSource(Protocol):
    """The bytes of a blob, seekable. Reading raises where their digest turns out to be wrong."""

    def read(self, n: int, /) -> bytes: ...

    def tell(self) -> int: ...

    def rewind(self, offset: int) -> None: ...


class RestartUpload(Exception):  # noqa: N818 # no error but a turn of events
    """The upload must be tried again: from the start, if `lost`; at once and in another way, if `otherwise`."""

    def __init__(
        self, error: RemoteError, *, wait: float | None = None, lost: bool = False, otherwise: bool = False
    ) -> None:
        super().__init__(str(error))
        self.error = error
        self.wait = wait
        self.lost = lost or otherwise
        self.otherwise = otherwise


class _SourceError(Exception):
    """An exception of the source, as opposed to a failure of the registry."""

    def __init__(self, error: RemoteError) -> None:
        super().__init__(str(error))
        self.error = error


class Upload:
    """The upload of one blob. ask: sends a request to the repository; scopes: those of `Repository`.

    Raises RemoteError; DigestMismatchError if the registry computes another digest.
    """

    def __init__(
        self,
        ask: Ask,
        registry: Registry,
        repository: str,
        scopes: Sequence[str],
        where: str,
        digest: str,
        size: int,
        progress: Callable[[int], None] | None,
    ) -> None:
        self._ask = ask
        self._registry = registry
        self._repository = repository
        self._scopes = scopes
        self._where = where
        self._digest = digest
        self._size = size
        self._progress = progress or (lambda _: None)
        self._location: str | None = None
        self._whole = size <= _SMALL  # all in the PUT
        self._chunk = size
        self._sent = 0  # bytes that the registry has stored
        self._told = 0  # bytes that `progress` was called with

    def mount(self, other: str) -> bool:
        """Mount the blob from the repository `other`. False where the registry does not."""
        self._cancel()  # an upload that an earlier attempt to mount has opened
        query = urlencode({"mount": self._digest, "from": other}, quote_via=quote)
        wanted = (201, 202, 400, 401, 403, 404, 405)
        response = self._ask("POST", f"blobs/uploads/?{query}", "no upload", wanted=wanted)
        response.close()
        if response.status == 202:
            self._location = self._next(response, self._uploads())
        if response.status == 201:
            self._tell(self._size)
        return response.status == 201

    def run(self, source: PushSource) -> None:
        """Send the blob, with retries."""
        tries = self._registry.backoff.start()
        failed = False
        furthest = 0  # bytes that the registry reported
        try:
            while True:
                try:
                    if self._location is None and failed and self._is_there():
                        return
                    self._attempt(source)
                    return
                except RestartUpload as turn:
                    lost, error, wait = turn.lost, turn.error, turn.wait
                    if turn.lost:
                        self._cancel()
                    if turn.otherwise:
                        continue
                except UnreachableError as unreachable:
                    lost, error, wait = self._whole, unreachable, None
                failed = True
                error.path = self._where
                tries.again(error, wait=wait, progress=self._sent - furthest)
                furthest = max(furthest, self._sent)
                if lost or self._location is None:
                    self._location, self._sent = None, 0
                else:
                    self._resume(source)
        except _SourceError as wrapped:
            self._cancel()
            raise wrapped.error from None
        except UnreachableError:
            raise  # without a connection the upload cannot be cancelled
        except Exception:  # also where another blob has failed
            self._cancel()
            raise

    # --- steps --------------------------------------------------------------------

    def _uploads(self) -> str:
        return self._registry.url(f"/v2/{self._repository}/blobs/uploads/", self._where)

    def _is_there(self) -> bool:
        """Has the registry the blob after all, although its response was lost?"""
        response = self._ask("HEAD", f"blobs/{self._digest}", "no blob", wanted=(200, 404))
        response.close()
        if response.status == 200:
            self._tell(self._size)
        return response.status == 200

    def _attempt(self, source: PushSource) -> None:
        if self._location is None:
            response = self._ask("POST", "blobs/uploads/", "no upload", wanted=(202,))
            response.close()
            self._location, self._sent = self._next(response, self._uploads()), 0
        source.rewind(self._sent)
        self._tell(self._sent)
        while self._sent < self._size and not self._whole:
            self._patch(source, self._location)
        self._put(source, self._location)

    def _patch(self, source: PushSource, location: str) -> None:
        end = min(self._size, self._sent + self._chunk)
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(end - self._sent)}
        if end - self._sent < self._size:
            headers["Content-Range"] = f"{self._sent}-{end - 1}"
        response = self._send("PATCH", location, headers, self._body(source, end), TIMEOUT)
        if response.status not in (200, 201, 202, 204):
            self._refused(response, patch=True)
        response.close()
        self._location = self._next(response, location)
        self._sent = end
        found = _RANGE.fullmatch(response.headers.get("range", ""))
        if found is not None and int(found[1]) + 1 < end:
            raise RestartUpload(UnreachableError("the registry has taken less than it was sent", got=f"{found[0]}"))

    def _put(self, source: PushSource, location: str) -> None:
        joint = "&" if "?" in location else "?"
        url = f"{location}{joint}{urlencode({'digest': self._digest}, quote_via=quote)}"
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(self._size - self._sent)}
        response = self._send("PUT", url, headers, self._body(source, self._size), COMMIT_TIMEOUT)
        if response.status not in (200, 201, 202, 204):
            self._refused(response, patch=False)
        response.close()
        told = response.headers.get("docker-content-digest", self._digest)
        if told.startswith("sha256:") and told != self._digest:
            raise DigestMismatchError(
                "the registry has stored another blob", path=self._where, expected=self._digest, got=told
            )

    def _send(self, method: str, url: str, headers: dict[str, str], body: Iterator[bytes], timeout: float) -> Response:
        return self._registry.send_once(
            method,
            url,
            repository=self._repository,
            scopes=self._scopes,
            where=self._where,
            headers=headers,
            body=body,
            timeout=timeout,
        )

    def _body(self, source: PushSource, end: int) -> Iterator[bytes]:
        """The bytes up to `end`; the blob's last ones only after its digest has been checked."""
        while (at := source.tell()) < end:
            try:
                data = source.read(min(_PIECE, end - at))
                more = source.tell() == self._size and source.read(1)
            except RemoteError as error:
                raise _SourceError(error) from None
            if not data or more:
                raise DigestMismatchError("a blob that ends elsewhere", path=self._where, expected=self._size, got=at)
            yield data
            self._tell(source.tell())

    def _refused(self, response: Response, *, patch: bool) -> None:
        """Classify an unexpected response. Always raises."""
        status, wait = response.status, retry_after(response.headers)
        codes, text = codes_and_text(response)
        if "DIGEST_INVALID" in codes:
            raise DigestMismatchError(
                f"the registry has got other bytes: {text}",
                path=self._where,
                expected=self._digest,
                hint="push again",
            )
        error = error_from(status, codes, text, "no upload", self._where)
        if codes & _UNKNOWN:
            raise RestartUpload(error, lost=True)
        if status == 413 and patch and self._chunk > _CHUNK:
            self._chunk = _CHUNK
            raise RestartUpload(error, otherwise=True)
        if patch and (status in _NO_PATCH or (status == 400 and "UNSUPPORTED" in codes)):
            self._whole = True
            raise RestartUpload(error, otherwise=True)
        if status in TRANSIENT or status == 401:
            raise RestartUpload(error, wait=wait, lost=self._whole)
        if status in (404, 410, 416):
            raise RestartUpload(error, lost=self._whole or status != 416)
        raise error

    def _next(self, response: Response, url: str) -> str:
        """The URL at which the upload continues."""
        if not response.headers.get("location") and response.status != 202:
            return url
        return self._registry.location(response, url, self._where)

    def _resume(self, source: PushSource) -> None:
        """Ask the registry for the upload's offset."""
        location = self._location or ""
        response = self._ask("GET", location, "no upload", wanted=(200, 202, 204, *_LOST))
        response.close()
        found = _RANGE.fullmatch(response.headers.get("range", ""))
        self._sent = 0
        # Docker's registry sends the same Range for one byte and for none.
        if response.status in _LOST or found is None or not 1 < int(found[1]) + 1 <= source.tell():
            self._location = None
            return
        self._sent = int(found[1]) + 1
        self._location = self._next(response, location) if response.headers.get("location") else location

    def _cancel(self) -> None:
        """Cancel the upload; a registry that does not get the request drops it after a while."""
        location, self._location = self._location, None
        if location is None:
            return
        with suppress(WclayerError):
            self._send("DELETE", location, {"Content-Length": "0"}, iter(()), _FAREWELL).close()

    def _tell(self, position: int) -> None:
        if position != self._told:
            self._progress(position - self._told)
            self._told = position
