"""A blob on its way out: mounted, in one piece, or going on where it broke off ([distribution-spec] "Pushing blobs").

A large blob is one PATCH with all of it, as Docker pushes, then a PUT with its
digest. After a failure the registry is asked how far it has got; where it does not
know, all begins anew. One without PATCH gets all in the PUT, as containerd pushes. A
proxy that finds the body too large gets chunks.
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

_PIECE: Final = 1 << 20  # bytes given to the connection at a time
_SMALL: Final = 4 << 20  # a blob that is not worth a PATCH of its own
_CHUNK: Final = 16 << 20  # bytes a PATCH, where a proxy takes no more
_FAREWELL: Final = 5.0  # seconds: nothing depends on it
_NO_PATCH: Final = frozenset((404, 405, 501))
_UNKNOWN: Final = frozenset(("BLOB_UPLOAD_INVALID", "BLOB_UPLOAD_UNKNOWN"))
_LOST: Final = frozenset((400, 404, 405, 410, 416))  # answers to how far an upload has got: nowhere
_RANGE: Final = re.compile(r"(?:bytes=)?0-([0-9]{1,19})", re.ASCII)


class PushSource(Protocol):
    """The bytes of a blob, in which one can go back. Reading raises where they turn out to be others."""

    def read(self, n: int, /) -> bytes: ...

    def tell(self) -> int: ...

    def rewind(self, offset: int) -> None: ...


class RestartUpload(Exception):  # noqa: N818 # no error but a turn of events
    """The upload has to be tried again; anew, if `lost`; in another way, and so at once, if `otherwise`."""

    def __init__(
        self, error: RemoteError, *, wait: float | None = None, lost: bool = False, otherwise: bool = False
    ) -> None:
        super().__init__(str(error))
        self.error = error
        self.wait = wait
        self.lost = lost or otherwise
        self.otherwise = otherwise


class _SourceError(Exception):
    """What reading the source raised: none of the registry's failures."""

    def __init__(self, error: RemoteError) -> None:
        super().__init__(str(error))
        self.error = error


class Upload:
    """One blob on its way into a repository. ask: asks that repository; scopes: those of `Repository`.

    Raises RemoteError; DigestMismatchError if the registry finds that the bytes are others.
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
        self._sent = 0  # bytes that the registry has
        self._told = 0  # bytes that `progress` knows of

    def mount(self, other: str) -> bool:
        """Take the blob over from the repository `other`. False where that cannot be."""
        self._cancel()  # what another such try has begun
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
        """Send the blob, however often it takes."""
        tries = self._registry.backoff.start()
        failed = False
        furthest = 0  # bytes that the registry said it had
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
            raise  # there is nobody to tell that it is over
        except Exception:  # also where another blob has failed
            self._cancel()
            raise

    # --- steps --------------------------------------------------------------------

    def _uploads(self) -> str:
        return self._registry.url(f"/v2/{self._repository}/blobs/uploads/", self._where)

    def _is_there(self) -> bool:
        """Has the registry the blob after all, though its answer was lost?"""
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
        """The bytes up to `end`; the last of the blob only once they are known to be right."""
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
        """Find out what an answer means that is none of those wanted. Always raises."""
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
        """Where the upload goes on."""
        if not response.headers.get("location") and response.status != 202:
            return url
        return self._registry.location(response, url, self._where)

    def _resume(self, source: PushSource) -> None:
        """Ask how far the upload has got."""
        location = self._location or ""
        response = self._ask("GET", location, "no upload", wanted=(200, 202, 204, *_LOST))
        response.close()
        found = _RANGE.fullmatch(response.headers.get("range", ""))
        self._sent = 0
        # Of one byte and none, Docker's registry says the same.
        if response.status in _LOST or found is None or not 1 < int(found[1]) + 1 <= source.tell():
            self._location = None
            return
        self._sent = int(found[1]) + 1
        self._location = self._next(response, location) if response.headers.get("location") else location

    def _cancel(self) -> None:
        """Tell the registry that it may forget the upload; if it does not hear, it forgets by itself."""
        location, self._location = self._location, None
        if location is None:
            return
        with suppress(WclayerError):
            self._send("DELETE", location, {"Content-Length": "0"}, iter(()), _FAREWELL).close()

    def _tell(self, position: int) -> None:
        if position != self._told:
            self._progress(position - self._told)
            self._told = position
