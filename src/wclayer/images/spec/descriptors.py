"""Descriptors, platforms and media types ([image-spec] descriptor.md, media-types.md; Docker's image manifest v2.2).

A descriptor identifies content by media type, digest and size. Its other fields
(annotations, urls) are kept when it is copied.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from ...codes import Code
from ...errors import ImageError, UsageError
from ...layertar.compression import Compression
from .documents import named

__all__ = [
    "ANNOTATION_BASE_DIGEST",
    "ANNOTATION_CREATED",
    "ANNOTATION_REF_NAME",
    "CONFIG",
    "CONFIGS",
    "INDEX",
    "INDEXES",
    "LAYERS",
    "MANIFEST",
    "MANIFESTS",
    "Descriptor",
    "Platform",
    "check_os_version",
    "is_os_version",
    "layer_media_type",
    "oci_layer_type",
]

INDEX: Final = "application/vnd.oci.image.index.v1+json"
MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
CONFIG: Final = "application/vnd.oci.image.config.v1+json"

_LAYER: Final = "application/vnd.oci.image.layer.v1.tar"
_FOREIGN: Final = "application/vnd.oci.image.layer.nondistributable.v1.tar"
_DOCKER: Final = "application/vnd.docker."

# What may stand for each of them; Docker's are read, never written.
INDEXES: Final = frozenset((INDEX, _DOCKER + "distribution.manifest.list.v2+json"))
MANIFESTS: Final = frozenset((MANIFEST, _DOCKER + "distribution.manifest.v2+json"))
CONFIGS: Final = frozenset((CONFIG, _DOCKER + "container.image.v1+json"))
# The media type of a layer that is read -> the one that is written for the same bytes.
LAYERS: Final[dict[str, str]] = {
    _LAYER: _LAYER,
    _LAYER + "+gzip": _LAYER + "+gzip",
    _LAYER + "+zstd": _LAYER + "+zstd",
    _FOREIGN: _FOREIGN,
    _FOREIGN + "+gzip": _FOREIGN + "+gzip",
    _FOREIGN + "+zstd": _FOREIGN + "+zstd",
    _DOCKER + "image.rootfs.diff.tar": _LAYER,
    _DOCKER + "image.rootfs.diff.tar.gzip": _LAYER + "+gzip",
    _DOCKER + "image.rootfs.diff.tar.zstd": _LAYER + "+zstd",
    _DOCKER + "image.rootfs.foreign.diff.tar": _FOREIGN,
    _DOCKER + "image.rootfs.foreign.diff.tar.gzip": _FOREIGN + "+gzip",
}

ANNOTATION_REF_NAME: Final = "org.opencontainers.image.ref.name"
ANNOTATION_CREATED: Final = "org.opencontainers.image.created"
ANNOTATION_BASE_DIGEST: Final = "org.opencontainers.image.base.digest"

_PLATFORM: Final = ("architecture", "os", "os.version", "os.features", "variant")
_DESCRIPTOR: Final = ("mediaType", "digest", "size", "urls", "annotations", "platform")
_VERSION: Final = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9}){2,3}", re.ASCII)
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}", re.ASCII)


def is_os_version(text: str) -> bool:
    """Is it an os.version, or the front of one?"""
    return _VERSION.fullmatch(text) is not None


def check_os_version(text: str | None) -> str | None:
    """The text, if it is an os.version or the front of one. Raises UsageError."""
    if text is not None and not is_os_version(text):
        raise UsageError("an os.version", expected="numbers such as 10.0.20348.2227", got=text)
    return text


def layer_media_type(compression: Compression) -> str:
    """The media type of a layer tar so compressed."""
    return _LAYER if compression == "none" else f"{_LAYER}+{compression}"


def oci_layer_type(media_type: str) -> str:
    """OCI's media type for a layer of that type, Docker's or OCI's own. Raises ImageError for what is no layer."""
    try:
        return LAYERS[media_type]
    except KeyError:
        raise ImageError(
            "the media type of a layer",
            expected="a tar, plain, +gzip or +zstd",
            got=repr(media_type),
            rule=Code.MEDIA_TYPE,
        ) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    """What an image runs on; `os_version` is None where any Windows will do."""

    os: str = "windows"
    architecture: str = "amd64"
    os_version: str | None = None
    os_features: tuple[str, ...] = ()
    variant: str | None = None

    @classmethod
    def from_json(cls, value: Mapping[str, Any], what: str) -> Platform:
        """The platform in a descriptor or config; `what` names it in errors. Raises ImageError."""
        value = named(value, _PLATFORM, what)
        texts: dict[str, str | None] = {}
        for key in ("os", "architecture", "os.version", "variant"):
            found = value.get(key)
            if found is not None and not isinstance(found, str):
                raise ImageError(
                    f"{key} of {what}", expected="text", got=type(found).__name__, rule=Code.DOCUMENT_MALFORMED
                )
            texts[key] = found or None
        for key in ("os", "architecture"):
            if not texts[key]:
                raise ImageError(f"{what} does not say its {key}", expected=f'"{key}"', rule=Code.DOCUMENT_MALFORMED)
        features = () if value.get("os.features") is None else value["os.features"]
        if not isinstance(features, list | tuple) or not all(isinstance(one, str) for one in features):
            raise ImageError(
                f"os.features of {what}",
                expected="a list of text",
                got=repr(features)[:80],
                rule=Code.DOCUMENT_MALFORMED,
            )
        return cls(
            os=texts["os"] or "",
            architecture=texts["architecture"] or "",
            os_version=texts["os.version"],
            os_features=tuple(features),
            variant=texts["variant"],
        )

    def to_json(self) -> dict[str, Any]:
        """As a descriptor and a config have it."""
        result: dict[str, Any] = {"architecture": self.architecture, "os": self.os}
        if self.os_version:
            result["os.version"] = self.os_version
        if self.os_features:
            result["os.features"] = list(self.os_features)
        if self.variant:
            result["variant"] = self.variant
        return result

    def __str__(self) -> str:
        version = f":{self.os_version}" if self.os_version else ""
        return f"{self.os}/{self.architecture}{version}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Descriptor:
    """Bytes by what they are; `platform` only occurs in an index, `urls` with layers kept elsewhere."""

    media_type: str
    digest: str
    size: int
    annotations: Mapping[str, str] = field(default_factory=dict)
    platform: Platform | None = None
    urls: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, value: object, what: str) -> Descriptor:
        """The descriptor in a manifest or index; `what` names it in errors. Raises ImageError."""
        if not isinstance(value, Mapping):
            raise ImageError(
                f"{what} is no descriptor", expected="an object", got=type(value).__name__, rule=Code.DOCUMENT_MALFORMED
            )
        value = named(value, _DESCRIPTOR, what)
        media_type, digest, size = value.get("mediaType"), value.get("digest"), value.get("size")
        if not isinstance(media_type, str) or not media_type:
            raise ImageError(
                f"{what} has no media type", expected='"mediaType"', got=repr(media_type), rule=Code.MEDIA_TYPE
            )
        if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
            raise ImageError(
                f"the digest of {what}",
                expected="sha256: and 64 lower-case hexadecimal digits",
                got=repr(digest)[:100],
                rule=Code.DOCUMENT_MALFORMED,
            )
        if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size < 1 << 63:
            raise ImageError(
                f"the size of {what}", expected="a number of bytes", got=repr(size)[:100], rule=Code.DOCUMENT_MALFORMED
            )
        annotations = {} if value.get("annotations") is None else value["annotations"]
        if not isinstance(annotations, Mapping) or not all(
            isinstance(key, str) and isinstance(text, str) for key, text in annotations.items()
        ):
            raise ImageError(f"the annotations of {what}", expected="an object of texts", rule=Code.DOCUMENT_MALFORMED)
        platform = value.get("platform")
        if platform is not None and not isinstance(platform, Mapping):
            raise ImageError(
                f"the platform of {what}",
                expected="an object",
                got=type(platform).__name__,
                rule=Code.DOCUMENT_MALFORMED,
            )
        urls = () if value.get("urls") is None else value["urls"]
        if not isinstance(urls, list | tuple) or not all(isinstance(url, str) for url in urls):
            raise ImageError(f"the urls of {what}", expected="a list of text", rule=Code.DOCUMENT_MALFORMED)
        return cls(
            media_type=media_type,
            digest=digest,
            size=size,
            annotations=dict(annotations),
            platform=None if platform is None else Platform.from_json(platform, f"the platform of {what}"),
            urls=tuple(urls),
        )

    @property
    def is_foreign(self) -> bool:
        """Is it of a layer that may be kept elsewhere, at its `urls`?"""
        return "nondistributable" in LAYERS.get(self.media_type, "") or bool(self.urls)

    def to_json(self) -> dict[str, Any]:
        """As a manifest and an index have it."""
        result: dict[str, Any] = {"mediaType": self.media_type, "digest": self.digest, "size": self.size}
        if self.urls:
            result["urls"] = list(self.urls)
        if self.annotations:
            result["annotations"] = dict(sorted(self.annotations.items()))
        if self.platform is not None:
            result["platform"] = self.platform.to_json()
        return result
