"""Images in registries: `docker://HOST/REPOSITORY:TAG`, read and written as any other place."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from functools import partial
from os import PathLike
from typing import BinaryIO, Final

from ...distribution.reference import Reference, parse_reference
from ...distribution.registries import Registries
from ...distribution.repository import Repository
from ...errors import AlreadyExistsError, DigestMismatchError, ImageError, UsageError
from ...host.errors import host_errors
from ..spec.descriptors import INDEX, INDEXES, MANIFEST, MANIFESTS, Descriptor
from ..spec.documents import MAX_MANIFEST, parse_json
from .blobs import VerifiedBlob
from .parallel import Transferred, run_all
from .parse import ImageReference
from .staging import Staging

__all__ = ["RegistryBlobs", "RegistryTarget"]

# OCI's first: a registry that can give both gives what comes first.
_ACCEPT: Final = (MANIFEST, INDEX, *sorted((MANIFESTS | INDEXES) - {MANIFEST, INDEX}))


def reference_of(place: ImageReference) -> Reference:
    """The image at `docker://...`. Raises UsageError."""
    if place.inside is not None:
        raise UsageError("no image", path=place.text, expected="docker://HOST/REPOSITORY:TAG")
    return parse_reference(place.path, shown=place.text)


class RegistryBlobs:
    """The blobs of a repository, and what the tag or digest at `place` leads to.

    Raises RemoteError, DigestMismatchError, UsageError.
    """

    def __init__(self, place: ImageReference, registries: Registries) -> None:
        reference = reference_of(place)
        registry = registries.registry(reference.host)
        self._repository = Repository(registry, reference, accept=_ACCEPT, most=MAX_MANIFEST)
        found = self._repository.manifest(reference.name)
        media_type = found.media_type
        if media_type not in MANIFESTS | INDEXES:
            media_type = _media_type(found.data, media_type)
        self.root = Descriptor(media_type=media_type, digest=found.digest, size=len(found.data))
        self._data = found.data

    def open(self, descriptor: Descriptor, offset: int = 0, /) -> BinaryIO:
        if descriptor.digest == self.root.digest:
            return io.BytesIO(self._data[offset:])
        if descriptor.media_type in MANIFESTS | INDEXES:
            return io.BytesIO(self._repository.manifest(descriptor.digest).data[offset:])
        name = f"{self._repository.where}, blob {descriptor.digest}"
        return self._repository.open_blob(descriptor.digest, descriptor.size, offset, urls=descriptor.urls, name=name)

    def close(self) -> None:
        pass  # the connections are the Registries'


def _media_type(data: bytes, told: str) -> str:
    """What a manifest calls itself, where the registry's Content-Type is of no use."""
    with suppress(ImageError):
        value = parse_json(data, "the manifest")
        if isinstance(value, dict):
            own = value.get("mediaType")
            if isinstance(own, str) and own:
                return own
            if "manifests" in value:
                return INDEX
            if "config" in value and "layers" in value:
                return MANIFEST
    return told or "application/octet-stream"


class RegistryTarget:
    """An image on its way into a registry: blobs that are copied go straight there, those that are made at the end.

    force: replace what the tag leads to. expected: the digest of the image, if it is known; if the tag leads to it
    already, nothing is in the way. sources: places whose blobs can be mounted where they are in the same registry.
    """

    def __init__(
        self,
        place: ImageReference,
        registries: Registries,
        *,
        force: bool = False,
        expected: str | None = None,
        sources: Sequence[ImageReference] = (),
        temp_dir: str | PathLike[str] | None = None,
    ) -> None:
        self._place = place
        self._registries = registries
        self._force = force
        self._reference = reference = reference_of(place)
        if reference.digest is not None and reference.tag is not None:
            raise UsageError("a tag and a digest", path=place.text, expected="one of them")
        others = [reference_of(source) for source in sources if source.transport == "docker"]
        self._repository = Repository(
            registries.registry(reference.host),
            reference,
            accept=_ACCEPT,
            most=MAX_MANIFEST,
            push=True,
            mount_from=list(dict.fromkeys(one.repository for one in others if one.host == reference.host)),
        )
        self._before = self._repository.find_manifest(reference.name)
        self._check(expected)
        self._stack = ExitStack()
        with host_errors(str(temp_dir or tempfile.gettempdir())):
            folder = self._stack.enter_context(tempfile.TemporaryDirectory(dir=temp_dir, prefix="wclayer-"))
        self.staging = Staging(folder)

    def _check(self, digest: str | None) -> None:
        if self._before is not None and not self._force and digest != self._before:
            raise AlreadyExistsError(
                "the registry has an image of that tag already",
                path=self._place.text,
                got=self._before,
                hint="choose another one, or --force to replace it",
            )
        if self._reference.digest is not None and digest is not None and digest != self._reference.digest:
            raise DigestMismatchError(
                "the image is not the one of that digest",
                path=self._place.text,
                expected=self._reference.digest,
                got=digest,
            )

    def has(self, descriptor: Descriptor, /) -> bool:
        if descriptor.media_type in MANIFESTS | INDEXES:
            return descriptor.digest == self._before  # others follow their blobs, which the registry must have first
        return self._repository.has_blob(descriptor.digest, descriptor.size)

    def copy(self, descriptor: Descriptor, source: VerifiedBlob, progress: Transferred, /) -> str:
        if descriptor.media_type in MANIFESTS | INDEXES:
            return self.staging.copy(descriptor, source, progress)
        return self._repository.push_blob(descriptor.digest, descriptor.size, source, progress)

    def commit(self, root: Descriptor, progress: Transferred | None = None, /) -> None:
        self._check(root.digest)
        staging = self.staging
        made = [one for one in staging.blobs.values() if one.media_type not in MANIFESTS | INDEXES]
        tasks = [partial(self._push, one) for one in made]
        run_all(
            tasks,
            jobs=self._registries.jobs,
            abort=self._registries.abort,
            resume=self._registries.resume,
            progress=progress,
        )
        for one in staging.blobs.values():
            if one.media_type in MANIFESTS and one.digest != root.digest:
                self._repository.put_manifest(one.digest, staging.read(one.digest), one.media_type)
        if self._before != root.digest:
            self._repository.put_manifest(self._reference.name, staging.read(root.digest), root.media_type)
        self.abort()

    def _push(self, descriptor: Descriptor, progress: Transferred) -> None:
        if self._repository.has_blob(descriptor.digest, descriptor.size):
            progress(descriptor.size)
            return
        source = VerifiedBlob(partial(self.staging.open, descriptor.digest), descriptor, descriptor.digest)
        try:
            self._repository.push_blob(descriptor.digest, descriptor.size, source, progress, mount=False)
        finally:
            source.close()

    def abort(self) -> None:
        self._stack.close()
