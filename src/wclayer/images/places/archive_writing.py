"""Image archives, written: a tar of an OCI layout, and what `docker load` reads.

The tars are reproducible: names in order, owner 0, time 0, mode 0644.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from io import BytesIO
from typing import Any, BinaryIO, Final, Protocol

from ...body import CHUNK
from ...errors import DigestMismatchError, InexpressibleError, NotFoundError
from ...host.errors import host_errors
from ...layertar.compression import Decompressed
from ...stores.atomic import PartialFolder, check_file, partial_file
from ..spec.descriptors import MANIFESTS, Descriptor
from .layout import INDEX_JSON, OCI_LAYOUT
from .layout_writing import index_json, oci_layout
from .parallel import Transferred
from .staging import StagedTarget, Staging

__all__ = ["ArchiveTarget", "DockerTarget"]

_FILE: Final = 0o644
_FOLDER: Final = 0o755


class _Reads(Protocol):
    def read(self, n: int, /) -> bytes: ...


class _Tar:
    """A tar in `stream`, which need not be seekable."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._position = 0

    def folder(self, name: str) -> None:
        info = tarfile.TarInfo(name)
        info.type, info.mode = tarfile.DIRTYPE, _FOLDER
        self._write(info.tobuf())

    def data(self, name: str, data: bytes) -> None:
        self._file(name, len(data), BytesIO(data))

    def file(self, name: str, path: str) -> None:
        with open(path, "rb", buffering=0) as file:
            self._file(name, os.fstat(file.fileno()).st_size, file)

    def close(self) -> None:
        self._write(bytes(2 * tarfile.BLOCKSIZE))
        self._write(bytes(-self._position % tarfile.RECORDSIZE))

    def _file(self, name: str, size: int, stream: _Reads) -> None:
        info = tarfile.TarInfo(name)
        info.size, info.mode = size, _FILE
        self._write(info.tobuf(tarfile.PAX_FORMAT))
        while data := stream.read(CHUNK):
            self._write(data)
        self._write(bytes(-size % tarfile.BLOCKSIZE))

    def _write(self, data: bytes) -> None:
        self._stream.write(data)
        self._position += len(data)


class ArchiveTarget(StagedTarget):
    """A tar of a layout at `path`; `-` is stdout."""

    def __init__(self, path: str, *, force: bool, temp_dir: str | os.PathLike[str] | None = None) -> None:
        self._path = path
        self._force = force
        self._stack = ExitStack()
        self.staging = Staging(self._stack.enter_context(_staging(path, force, temp_dir)))

    def commit(self, root: Descriptor, _progress: Transferred | None = None, /) -> None:
        with host_errors(self._path), _output(self._path, self._force) as stream:
            tar = _Tar(stream)
            self._write(tar, root)
            tar.close()
        self.abort()

    def _write(self, tar: _Tar, root: Descriptor) -> None:
        tar.folder("blobs")
        tar.folder("blobs/sha256")
        for digest in sorted(self.staging.blobs):
            tar.file(f"blobs/{digest.replace(':', '/')}", self.staging.path(digest))
        tar.data(INDEX_JSON, index_json(root))
        tar.data(OCI_LAYOUT, oci_layout())

    def abort(self) -> None:
        self._stack.close()


class DockerTarget(ArchiveTarget):
    """What `docker load` reads; name: `name:tag`, or None."""

    def __init__(
        self, path: str, name: str | None, *, force: bool, temp_dir: str | os.PathLike[str] | None = None
    ) -> None:
        super().__init__(path, force=force, temp_dir=temp_dir)
        self._name = name

    def _write(self, tar: _Tar, root: Descriptor) -> None:
        if root.media_type not in MANIFESTS:
            raise InexpressibleError(
                "a docker-archive has no image index", path=self._path, hint="oci-archive: and oci: do"
            )
        manifest = self._json(root.digest)
        config: str = manifest["config"]["digest"]
        diff_ids: list[str] = self._json(config)["rootfs"]["diff_ids"]
        config_name = f"{config.partition(':')[2]}.json"
        names = [f"{diff_id.partition(':')[2]}.tar" for diff_id in diff_ids]
        tar.file(config_name, self.staging.path(config))
        layers = zip(names, diff_ids, manifest["layers"], strict=True)
        for name, (diff_id, layer) in {name: rest for name, *rest in layers}.items():
            tar.file(name, self._plain(layer["digest"], diff_id))
        image: dict[str, Any] = {
            "Config": config_name,
            "RepoTags": [self._name] if self._name else None,
            "Layers": names,
        }
        tar.data("manifest.json", json.dumps([image], separators=(",", ":")).encode())

    def _json(self, digest: str) -> Any:
        with open(self.staging.path(digest), "rb") as file:
            return json.load(file)

    def _plain(self, digest: str, diff_id: str) -> str:
        """The path of the layer's plain tar."""
        if digest not in self.staging.blobs:
            raise NotFoundError(
                "of a foreign layer there is just the address", path=digest, hint="copy the image from where it has it"
            )
        if digest == diff_id:
            return self.staging.path(digest)
        path = self.staging.new()
        state = hashlib.sha256()
        with open(self.staging.path(digest), "rb") as stream, open(path, "xb") as out:
            plain = Decompressed(stream)
            while data := plain.read(CHUNK):
                state.update(data)
                out.write(data)
        found = f"sha256:{state.hexdigest()}"
        if found != diff_id:
            raise DigestMismatchError(
                "the layer's tar is not the one that the config names", path=digest, expected=diff_id, got=found
            )
        os.unlink(self.staging.path(digest))
        return path


@contextmanager
def _output(path: str, force: bool) -> Iterator[BinaryIO]:
    if path == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    with partial_file(path, force=force) as stream:
        yield stream


@contextmanager
def _staging(path: str, force: bool, temp_dir: str | os.PathLike[str] | None) -> Iterator[str]:
    """A folder for blobs, and a first look whether `path` may be written."""
    if path != "-":
        check_file(path, force=force)
    if path == "-" or temp_dir is not None:
        with host_errors(os.fspath(temp_dir or tempfile.gettempdir())):
            folder = tempfile.TemporaryDirectory(dir=temp_dir, prefix="wclayer-")
        with folder as name:
            yield name
        return
    with PartialFolder(f"{path}.blobs") as partial:
        yield os.fsdecode(partial.path)
