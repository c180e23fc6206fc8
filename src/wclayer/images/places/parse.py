"""Places: where an image, or one layer of it, is read from or written to, in one line of text.

    oci:DIR[:TAG]               an OCI image layout
    oci-archive:FILE[:TAG]      a tar of one
    docker-archive:FILE[:REF]   what `docker save` writes
    docker://HOST[:PORT]/REPO[:TAG|@DIGEST]
    disk:IMG[:PART]             transport:DIR
    a plain path                a layer tar or a layer folder

`PLACE#N` is one layer of an image, counted from 0 at the base; `PLACE//PATH` a path
inside; of transport:DIR all is the path. A single letter before `:` and a slash is a
drive. The names of the transports are those of skopeo, podman and buildah.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from ...errors import UsageError

__all__ = ["IMAGE_TRANSPORTS", "ImageReference", "parse_place", "whole_image"]

IMAGE_TRANSPORTS: Final = ("oci", "oci-archive", "docker-archive")

_TRANSPORT: Final = re.compile(r"(oci|oci-archive|docker-archive|disk|transport):|(docker)://")
_LAYER: Final = re.compile(r"#([0-9]+)\Z", re.ASCII)
_DRIVE: Final = re.compile(r"[A-Za-z]:[\\/]")
_SCHEME: Final = re.compile(r"([a-z][a-z0-9+.-]+):", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageReference:
    """A place, taken apart; `text` is what it was made of.

    transport: one of those above, `path` for a plain path. reference: the tag, or None. layer: N of `#N`, or None.
    inside: what follows `//`, or None.
    """

    text: str
    transport: str
    path: str
    reference: str | None = None
    layer: int | None = None
    inside: str | None = None

    @property
    def is_image(self) -> bool:
        """Is it an image, as against a layer tar or folder?"""
        return self.transport in (*IMAGE_TRANSPORTS, "docker")

    def __str__(self) -> str:
        return self.text


def parse_place(text: str) -> ImageReference:
    """Take a place apart. Raises UsageError for one that has no path, and for an unknown transport."""
    found = _TRANSPORT.match(text)
    if found is None:
        scheme = _SCHEME.match(text)
        if scheme is not None and text[scheme.end() :].startswith("//"):
            raise UsageError(
                "an unknown transport", path=text, expected="oci:, oci-archive:, docker-archive:, docker://"
            )
        return ImageReference(text=text, transport="path", path=text)
    transport = found[1] or found[2]
    rest = text[found.end() :]
    inside: str | None = None
    if transport == "transport":
        if not rest:
            raise UsageError("a place without a path", path=text, expected="transport:DIR")
        return ImageReference(text=text, transport=transport, path=rest)
    # Two slashes at the very beginning are a path's own.
    if (at := rest.find("//", 1)) > 0:
        rest, inside = rest[:at], rest[at + 2 :]
    layer: int | None = None
    if (number := _LAYER.search(rest)) is not None:
        rest, layer = rest[: number.start()], int(number[1])
    reference: str | None = None
    path = rest
    if transport != "docker":
        start = 2 if _DRIVE.match(rest) else 0
        colon = rest.find(":", start)
        if colon >= 0:
            path, reference = rest[:colon], rest[colon + 1 :]
            if not reference:
                raise UsageError("a place with an empty tag", path=text, expected=f"{transport}:{path}:TAG")
    if not path:
        raise UsageError("a place without a path", path=text, expected=f"{transport}:PATH")
    return ImageReference(text=text, transport=transport, path=path, reference=reference, layer=layer, inside=inside)


def whole_image(place: ImageReference | str, action: str) -> ImageReference:
    """The place of an image, of which no single layer or file is meant. action: what becomes of it ("copied").

    Raises UsageError for `PLACE#N` and `PLACE//PATH`.
    """
    found = place if isinstance(place, ImageReference) else parse_place(place)
    if found.layer is not None:
        raise UsageError(
            f"a single layer, where an image is {action}",
            path=found.text,
            hint="leave out the #N; `import` and `export` take one layer",
        )
    if found.inside is not None:
        raise UsageError(
            f"a path in an image, where the image itself is {action}", path=found.text, hint="leave out the //PATH"
        )
    return found
