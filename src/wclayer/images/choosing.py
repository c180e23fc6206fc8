"""Select an image of an index: by its os.version, or by the host that will run it, as containerd selects."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from ..arguments import check_fields
from ..codes import Code
from ..errors import ImageError, NotFoundError, UsageError
from .places.blobs import Blobs, read_small
from .places.layout import parse_index
from .places.parse import ImageReference
from .spec.config import Fault, refuse
from .spec.descriptors import INDEXES, MANIFESTS, Descriptor, Platform, check_os_version
from .spec.documents import MAX_MANIFEST

__all__ = ["ImageSelector", "check_index", "oldest_build", "parse_platform", "read_index", "runs_on", "windows_images"]

# Windows Server 2022 and 2025. From the former on, a host runs images of the LTSC release before its own.
_STABLE: Final = 20348
_LTSC: Final = (20348, 26100)
_PLATFORM: Final = re.compile(r"(windows)/([a-z0-9_]+)(?:/([a-z0-9.]+))?(?::(.+))?", re.ASCII)


def parse_platform(text: str) -> Platform:
    """A host: `windows/amd64`, or `windows/amd64:10.0.20348.2227`. Raises UsageError."""
    found = _PLATFORM.fullmatch(text)
    if found is None:
        raise UsageError("a platform", expected="windows/amd64, or windows/amd64:10.0.20348", got=text)
    return Platform(
        os=found[1], architecture=found[2], variant=found[3] or None, os_version=check_os_version(found[4] or None)
    )


def _version(text: str | None) -> tuple[int, ...]:
    return tuple(int(part) if part.isdecimal() and part.isascii() else 0 for part in (text or "").split("."))


def runs_on(image: Platform, host: Platform) -> bool:
    """Does containerd on the `host` take the image? An os.version that is absent fits any.

    Hosts before build 20348 want their own build; later ones take all from the LTSC release before theirs up to their
    own ([hcsshim] osversion.CheckHostAndContainerCompat).
    """
    if (image.os, image.architecture) != (host.os, host.architecture):
        return False
    if host.variant is not None and image.variant is not None and image.variant != host.variant:
        return False
    if not host.os_version or not image.os_version:
        return True
    ours, theirs = _version(host.os_version), _version(image.os_version)
    if len(ours) < 3:
        return ours == theirs[: len(ours)]
    if len(theirs) < 3 or ours[:2] != theirs[:2]:
        return False
    return oldest_build(ours[2]) <= theirs[2] <= ours[2]


def oldest_build(host: int) -> int:
    """The oldest build of an image that a host of that build runs."""
    return host if host < _STABLE else max((build for build in _LTSC if build < host), default=_STABLE)


@dataclass(frozen=True, slots=True)
class ImageSelector:
    """Which image of an index; None does not restrict it.

    os_version: its os.version, complete or its first parts (`10.0.20348`). platform: the host that will run it; of the
    images that this host runs, the one with the latest os.version. architecture: the processor, such as amd64.
    """

    os_version: str | None = None
    platform: Platform | None = None
    architecture: str | None = None

    def __post_init__(self) -> None:
        check_fields(self)

    def fits(self, platform: Platform | None) -> bool:
        """Is it one that is meant? None is an image of which the index does not say its platform."""
        if platform is None:
            return self.os_version is None and self.platform is None and self.architecture is None
        if self.architecture is not None and platform.architecture != self.architecture:
            return False
        if self.os_version is not None:
            wanted = self.os_version.rstrip(".")
            if not f"{platform.os_version}.".startswith(f"{wanted}."):
                return False
        return self.platform is None or runs_on(platform, self.platform)

    def select(self, images: Sequence[Descriptor], place: ImageReference) -> Descriptor:
        """The one of the images at `place`. Raises NotFoundError, UsageError if several could be meant."""
        found = [one for one in images if self.fits(one.platform)]
        if len(found) > 1 and self.platform is not None:
            return max(found, key=lambda one: _version(one.platform.os_version if one.platform else None))
        if len(found) == 1:
            return found[0]
        versions = ", ".join(str(one.platform) if one.platform else "windows" for one in images)
        if not found:
            raise NotFoundError(f"no image of this {self._what()}", path=place.text, expected=versions, got=self)
        raise UsageError(
            "which image of the index?",
            path=place.text,
            expected=versions,
            got=self.os_version,
            hint="say which with --os-version, or for which host with --platform",
        )

    def check(self, platform: Platform, place: ImageReference) -> None:
        """Raise NotFoundError if the only image there is for another Windows than is meant."""
        if not replace(self, architecture=None).fits(platform):
            what = self._what()
            got = platform if what == "platform" else platform.os_version or "none"
            raise NotFoundError(f"the image has another {what}", path=place.text, expected=self, got=got)

    def __str__(self) -> str:
        return ", ".join(str(part) for part in (self.platform, self.architecture, self.os_version) if part is not None)

    def _what(self) -> str:
        return "os.version" if self.platform is None and self.architecture is None else "platform"


def read_index(blobs: Blobs, root: Descriptor) -> tuple[bytes, dict[str, Any], list[Descriptor]]:
    """An image index: its bytes, its value, and all descriptors in it.

    Raises ImageError, also for an index in an index; DigestMismatchError.
    """
    data = read_small(blobs, root, MAX_MANIFEST, "the image index")
    return data, *check_index(data, root)


def check_index(data: bytes, root: Descriptor, fault: Fault = refuse) -> tuple[dict[str, Any], list[Descriptor]]:
    """The value of an image index, and all descriptors in it.

    fault: what is told of what is wrong with it. Raises ImageError, with another `fault` only for what is no index.
    """
    what = f"index {root.digest}"
    value, found = parse_index(data, what)
    if value.get("mediaType", root.media_type) != root.media_type:
        fault(
            ImageError(
                f"the media type of {what} is not that of its descriptor",
                expected=root.media_type,
                got=value["mediaType"],
                rule=Code.MEDIA_TYPE,
            )
        )
    for one in found:
        if one.media_type in INDEXES:
            fault(
                ImageError(
                    "an image index in an image index",
                    got=one.digest,
                    expected="manifests of images",
                    rule=Code.IMAGE_INVALID,
                )
            )
    return value, found


def windows_images(found: Sequence[Descriptor]) -> list[Descriptor]:
    """Those of an index's descriptors that are Windows images. Raises ImageError if there is none."""
    # Skip images of other systems, and attestations, whose platform is unknown/unknown.
    images = [one for one in found if one.media_type in MANIFESTS and _is_windows(one.platform)]
    if not images:
        raise ImageError(
            "the index has no Windows image",
            expected="windows",
            got=", ".join(str(one.platform) for one in found[:10]) or "nothing",
            rule=Code.OS_NOT_WINDOWS,
        )
    return images


def _is_windows(platform: Platform | None) -> bool:
    return platform is None or platform.os == "windows"
