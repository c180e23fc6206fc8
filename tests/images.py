"""Images for tests, made with json, hashlib and tarfile alone, so that each of their documents can be made wrong."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from tests.tars import BASE, M, build

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
REF_NAME = "org.opencontainers.image.ref.name"

BASE_TAR = build([*BASE, M("Files/f", b"hello" * 500)])
TOP_TAR = build([*BASE, M("Files/g", b"upper")])

Edit = Callable[[dict[str, Any]], None]


def digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def _nothing(_: dict[str, Any]) -> None:
    pass


class Layout:
    """An OCI image layout being made in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.manifests: list[dict[str, Any]] = []
        (folder / "blobs" / "sha256").mkdir(parents=True)

    def blob(self, data: bytes, media_type: str) -> dict[str, Any]:
        """Put a blob in; its descriptor."""
        self.path(digest(data)).write_bytes(data)
        return {"mediaType": media_type, "digest": digest(data), "size": len(data)}

    def document(self, value: dict[str, Any], media_type: str) -> dict[str, Any]:
        return self.blob(json.dumps(value).encode(), media_type)

    def path(self, name: str) -> Path:
        """Where the blob of a digest is."""
        return self.folder / "blobs" / "sha256" / name.partition(":")[2]

    def image(
        self,
        layers: Sequence[bytes] = (BASE_TAR,),
        *,
        gzipped: bool = False,
        os_version: str | None = "10.0.20348.2227",
        config: Edit = _nothing,
        manifest: Edit = _nothing,
    ) -> dict[str, Any]:
        """Put an image in, its documents edited before they are; the descriptor of its manifest."""
        blobs = [gzip.compress(layer, mtime=0) if gzipped else layer for layer in layers]
        value: dict[str, Any] = {
            "created": "2024-01-31T12:00:00.5+01:00",
            "architecture": "amd64",
            "os": "windows",
            **({"os.version": os_version} if os_version else {}),
            "config": {"Cmd": ["cmd.exe"]},
            "rootfs": {"type": "layers", "diff_ids": [digest(layer) for layer in layers]},
            "history": [
                {"created_by": "nothing", "empty_layer": True},
                *({"created": "2024-01-31T12:00:00Z", "created_by": f"layer {n}"} for n in range(len(layers))),
            ],
            "x.unknown": {"kept": [1, None, 1.5]},
        }
        platform = {key: value[key] for key in ("architecture", "os", "os.version") if key in value}
        config(value)
        top: dict[str, Any] = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": self.document(value, CONFIG),
            "layers": [self.blob(blob, LAYER + ("+gzip" if gzipped else "")) for blob in blobs],
        }
        manifest(top)
        return {**self.document(top, MANIFEST), "platform": platform}

    def tag(self, descriptor: dict[str, Any], name: str | None = "t") -> None:
        annotations = {**descriptor.get("annotations", {}), **({REF_NAME: name} if name else {})}
        self.manifests.append({**descriptor, "annotations": annotations})

    def index(self, descriptors: Iterable[dict[str, Any]], edit: Edit = _nothing) -> dict[str, Any]:
        """Put an image index in; its descriptor."""
        value = {"schemaVersion": 2, "mediaType": INDEX, "manifests": list(descriptors)}
        edit(value)
        return self.document(value, INDEX)

    def write(self, edit: Edit = _nothing) -> Path:
        """Write what is not a blob."""
        (self.folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
        value = {"schemaVersion": 2, "manifests": self.manifests, "x.unknown": "kept"}
        edit(value)
        (self.folder / "index.json").write_text(json.dumps(value))
        return self.folder


def layout(folder: Path, layers: Sequence[bytes] = (BASE_TAR,), tag: str | None = "t", **more: Any) -> Path:
    """A layout of one image."""
    made = Layout(folder)
    made.tag(made.image(layers, **more), tag)
    return made.write()


def members(folder: Path) -> list[tuple[str, bytes]]:
    """The files below a folder, as members of an archive."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return [(path.relative_to(folder).as_posix(), path.read_bytes()) for path in files]


def tar(found: Iterable[tuple[str, bytes] | tarfile.TarInfo]) -> bytes:
    """An ordinary tar of these files; of a TarInfo just the header."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for one in found:
            if isinstance(one, tarfile.TarInfo):
                archive.addfile(one)
                continue
            info = tarfile.TarInfo(one[0])
            info.size = len(one[1])
            archive.addfile(info, io.BytesIO(one[1]))
    return out.getvalue()


def docker_members(layers: Sequence[bytes] = (BASE_TAR,), tags: Sequence[str] = ("a/b:c",)) -> list[tuple[str, bytes]]:
    """The members of a docker-archive, `manifest.json` first."""
    config = json.dumps(
        {"architecture": "amd64", "os": "windows", "rootfs": {"type": "layers", "diff_ids": list(map(digest, layers))}}
    ).encode()
    names = [f"{number}/layer.tar" for number in range(len(layers))]
    manifest = [{"Config": "config.json", "RepoTags": list(tags), "Layers": names}]
    return [
        ("manifest.json", json.dumps(manifest).encode()),
        ("config.json", config),
        *zip(names, layers, strict=True),
    ]
