"""One repository of a registry: its manifests and blobs, in and out ([distribution-spec] 1.1)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import BinaryIO, cast

from ..codes import Code
from ..errors import DigestMismatchError, RemoteError, UnreachableError
from .download import Download
from .reference import Reference, is_digest
from .session import Registry
from .transport import COMMIT_TIMEOUT, Response, read_up_to
from .upload import PushSource, Upload

__all__ = ["Manifest", "Repository"]


@dataclass(frozen=True, slots=True)
class Manifest:
    """The bytes of a manifest or index, the media type that the registry sent, and their digest."""

    data: bytes
    media_type: str
    digest: str


class Repository:
    """The repository of `reference`, for reading, or with `push` for writing.

    accept: the media types of manifests to request. most: the size limit of a manifest, in bytes. mount_from: other
    repositories of the same registry from which blobs may be mounted.

    All methods raise RemoteError and its subclasses.
    """

    def __init__(
        self,
        registry: Registry,
        reference: Reference,
        *,
        accept: Sequence[str],
        most: int,
        push: bool = False,
        mount_from: Sequence[str] = (),
    ) -> None:
        self.registry = registry
        self.reference = reference
        self.name = reference.repository
        self.where = str(reference)
        self._accept = ", ".join(accept)
        self._most = most
        self._mount_from = tuple(name for name in mount_from if name != self.name)
        self.scopes = (
            f"repository:{self.name}:{'pull,push' if push else 'pull'}",
            *(f"repository:{name}:pull" for name in self._mount_from),
        )

    def ask(self, method: str, url: str, what: str, **more: object) -> Response:
        """The response of this repository; `url` is absolute, or the part after `/v2/NAME/`. See `Registry.send`."""
        target = url if "://" in url else f"/v2/{self.name}/{url}"
        return self.registry.send(
            method,
            target,
            what=what,
            where=self.where,
            repository=self.name,
            scopes=self.scopes,
            **more,  # type: ignore[arg-type]
        )

    # --- manifests ----------------------------------------------------------------

    def manifest(self, name: str) -> Manifest:
        """The manifest or index of a tag or digest. Raises DigestMismatchError if its bytes have another digest."""
        tries = self.registry.backoff.start()
        while True:
            response = self.ask("GET", f"manifests/{name}", "no manifest", headers={"Accept": self._accept})
            try:
                data = self._bounded(response)
                break
            except UnreachableError as error:
                error.path = self.where
                tries.again(error)
            finally:
                response.close()
        digest = _digest_of(data)
        told = response.headers.get("docker-content-digest", "")
        for expected in (name, told):
            if is_digest(expected) and expected != digest:
                raise DigestMismatchError(
                    "the manifest is not the one of its digest",
                    path=self.where,
                    expected=expected,
                    got=digest,
                    rule=Code.BLOB_DIGEST,
                )
        media_type = response.headers.get("content-type", "").partition(";")[0].strip()
        return Manifest(data, media_type, digest)

    def find_manifest(self, name: str) -> str | None:
        """The digest of the manifest with a tag; None if there is none."""
        headers = {"Accept": self._accept}
        response = self.ask("HEAD", f"manifests/{name}", "no manifest", headers=headers, wanted=(200, 404))
        response.close()
        if response.status == 404:
            return None
        digest = response.headers.get("docker-content-digest", "")
        return digest if is_digest(digest) else self.manifest(name).digest

    def put_manifest(self, name: str, data: bytes, media_type: str) -> None:
        """Store a manifest or index under a tag or its digest. Everything that it refers to must exist already."""
        digest = _digest_of(data)
        response = self.ask(
            "PUT",
            f"manifests/{name}",
            "it does not take the manifest",
            headers={"Content-Type": media_type},
            body=data,
            wanted=(200, 201, 202, 204),
            timeout=COMMIT_TIMEOUT,
        )
        response.close()
        told = response.headers.get("docker-content-digest", "")
        if is_digest(told) and told != digest:
            raise DigestMismatchError(
                "the registry has stored another manifest", path=self.where, expected=digest, got=told
            )

    def _bounded(self, response: Response) -> bytes:
        size = response.headers.get("content-length", "0")
        if not size.isdecimal() or int(size[:19]) <= self._most:
            data = read_up_to(response, self._most)
            if len(data) <= self._most:
                return data
            size = f"more than {self._most}"
        raise RemoteError(
            "a manifest this large", path=self.where, expected=f"at most {self._most:,} bytes", got=f"{size} bytes"
        )

    # --- blobs --------------------------------------------------------------------

    def has_blob(self, digest: str, size: int) -> bool:
        """Has the registry this blob, with this size?"""
        response = self.ask("HEAD", f"blobs/{digest}", "no blob", wanted=(200, 404))
        response.close()
        return response.status == 200 and response.headers.get("content-length", str(size)) == str(size)

    def open_blob(
        self, digest: str, size: int, offset: int = 0, *, urls: Sequence[str] = (), name: str | None = None
    ) -> BinaryIO:
        """The bytes of a blob from `offset` on, unverified; continued after a failure.

        urls: other places of the blob, requested without credentials. name: its name in errors.
        """
        return cast("BinaryIO", Download(self.ask, self.registry, digest, size, offset, urls, name or self.where))

    def push_blob(
        self,
        digest: str,
        size: int,
        source: PushSource,
        progress: Callable[[int], None] | None = None,
        *,
        mount: bool = True,
    ) -> str:
        """Upload a blob, or mount it from another repository where that is allowed: `mounted` or `copied`.

        source: its bytes; after a failure they are read again from the offset that the registry has. progress: called
        with the number of bytes sent, and with a negative number for bytes that must be sent again.
        """
        upload = Upload(self.ask, self.registry, self.name, self.scopes, self.where, digest, size, progress)
        for other in self._mount_from if mount else ():
            if upload.mount(other):
                return "mounted"
        upload.run(source)
        return "copied"


def _digest_of(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"
