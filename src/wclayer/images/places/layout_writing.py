"""Write image layouts in folders: a new layout appears atomically, an existing one is valid at every moment."""

from __future__ import annotations

import contextlib
import os
import stat
from typing import Any, Final

from ...errors import AlreadyExistsError, ImageError, NotFoundError
from ...host.errors import host_errors, names_in
from ...host.locks import locked
from ...stores.atomic import PartialFolder
from ..spec.descriptors import ANNOTATION_REF_NAME, INDEX, Descriptor
from ..spec.documents import MAX_MANIFEST, json_bytes, read_bounded
from .archive import FolderFiles
from .layout import INDEX_JSON, LAYOUT_VERSION, OCI_LAYOUT, parse_index, parse_layout
from .parallel import Transferred
from .staging import StagedTarget, Staging, digest_of

__all__ = ["ExistingLayout", "NewLayout", "index_json", "is_layout", "oci_layout"]

_BLOBS: Final = ("blobs", "sha256")
_STAGING: Final = ".wclayer"  # of blobs on their way into a layout that is there


def oci_layout() -> bytes:
    """The file `oci-layout`."""
    return json_bytes({"imageLayoutVersion": LAYOUT_VERSION})


def index_json(root: Descriptor) -> bytes:
    """The file `index.json` of a layout of one image."""
    return json_bytes({"schemaVersion": 2, "mediaType": INDEX, "manifests": [root.to_json()]})


def is_layout(path: str) -> bool:
    """Is there a layout at `path`? False for nothing and for an empty folder.

    Raises AlreadyExistsError for anything else, ImageError for a layout that cannot be right.
    """
    with host_errors(path):
        try:
            names = names_in(path)
        except FileNotFoundError:
            return False
        except NotADirectoryError:
            raise AlreadyExistsError(
                "there is a file already", path=path, expected="a layout, an empty folder, or nothing"
            ) from None
    if names and OCI_LAYOUT not in names and INDEX_JSON not in names:
        raise AlreadyExistsError(
            "there is a folder that is no image layout",
            path=path,
            expected="a layout, an empty folder, or nothing",
            hint="choose another place",
        )
    if names:
        parse_layout(_read(path, OCI_LAYOUT), os.path.join(path, OCI_LAYOUT))
        parse_index(_read(path, INDEX_JSON), os.path.join(path, INDEX_JSON))
    return bool(names)


def _read(path: str, name: str) -> bytes:
    try:
        stream, size = FolderFiles(path).open(name)
    except NotFoundError:
        raise ImageError(f"no image layout: it has no {name}", path=path) from None
    with stream:
        return read_bounded(stream, size, MAX_MANIFEST, os.path.join(path, name))


def _write(path: str, data: bytes) -> None:
    with host_errors(path), open(path, "wb") as file:
        file.write(data)


class NewLayout(StagedTarget):
    """A layout that will be the folder `path`."""

    def __init__(self, path: str) -> None:
        self._partial = PartialFolder(path)
        self._folder = os.fsdecode(self._partial.path)
        blobs = os.path.join(self._folder, *_BLOBS)
        with host_errors(path):
            os.makedirs(blobs)
        self.staging = Staging(blobs)

    def commit(self, root: Descriptor, _progress: Transferred | None = None, /) -> None:
        _write(os.path.join(self._folder, INDEX_JSON), index_json(root))
        _write(os.path.join(self._folder, OCI_LAYOUT), oci_layout())
        self._partial.commit()

    def abort(self) -> None:
        self._partial.abort()


class ExistingLayout(StagedTarget):
    """A further tag, or another image for one, in the layout at `path`.

    expected: the digest of the image, if it is known; a tag that leads to it already is not in the way.
    """

    def __init__(self, path: str, tag: str, *, force: bool, expected: str | None = None) -> None:
        self._path = path
        self._tag = tag
        self._force = force
        self._blobs = os.path.join(path, *_BLOBS)
        self._sound: set[str] = set()  # blobs of the layout that have been looked at
        _, descriptors = parse_index(_read(path, INDEX_JSON), INDEX_JSON)
        self._check([one.to_json() for one in descriptors], expected)
        self._partial = PartialFolder(os.path.join(path, _STAGING))
        self.staging = Staging(os.fsdecode(self._partial.path))

    def _check(self, manifests: list[Any], digest: str | None) -> None:
        others = [one for one in manifests if _tag_of(one) == self._tag and one.get("digest") != digest]
        if not self._force and others:
            raise AlreadyExistsError(
                "the layout has that tag already",
                path=f"oci:{self._path}:{self._tag}",
                hint="choose another one, or --force to replace it",
            )

    def has(self, descriptor: Descriptor, /) -> bool:
        """Does the layout have this blob, intact? A damaged one counts as missing and is replaced."""
        digest, size = descriptor.digest, descriptor.size
        if digest in self._sound:
            return True
        path = os.path.join(self._blobs, digest.partition(":")[2])
        try:
            found = os.lstat(path)
            sound = stat.S_ISREG(found.st_mode) and found.st_size == size and digest_of(path) == digest
        except OSError:
            return False
        if sound:
            self._sound.add(digest)
        return sound

    def commit(self, root: Descriptor, _progress: Transferred | None = None, /) -> None:
        added: list[str] = []
        try:
            with host_errors(self._path), locked(self._path):
                index, _ = parse_index(_read(self._path, INDEX_JSON), INDEX_JSON)
                self._check(index["manifests"], root.digest)
                os.makedirs(self._blobs, exist_ok=True)
                for descriptor in self.staging.blobs.values():
                    self._put(descriptor, added)
                kept = [one for one in index["manifests"] if _tag_of(one) != self._tag]
                index["manifests"] = [*kept, root.to_json()]
                new = self.staging.new()
                _write(new, json_bytes(index))
                os.replace(new, os.path.join(self._path, INDEX_JSON))
        except BaseException:
            for path in added:
                with contextlib.suppress(OSError):
                    os.unlink(path)
            raise
        self.abort()

    def _put(self, descriptor: Descriptor, added: list[str]) -> None:
        path = os.path.join(self._blobs, descriptor.digest.partition(":")[2])
        if self.has(descriptor):
            return
        new = not os.path.lexists(path)
        os.replace(self.staging.path(descriptor.digest), path)
        if new:
            added.append(path)

    def abort(self) -> None:
        self._partial.abort()


def _tag_of(manifest: Any) -> str | None:
    annotations = manifest.get("annotations") or {}
    found = annotations.get(ANNOTATION_REF_NAME)
    return found if isinstance(found, str) else None
