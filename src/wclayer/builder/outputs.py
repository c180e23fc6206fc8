"""Several outputs of one build: the image is built once, then copied to each place."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from ..errors import UsageError
from ..images.copying import copy_image
from ..images.options import ImageOptions
from ..images.places.parse import ImageReference, whole_image
from ..images.writing import create_image

__all__ = ["places_of", "staged"]


def places_of(output: ImageReference | str | Sequence[ImageReference | str]) -> list[ImageReference]:
    """The places of one output or several, each once. Raises UsageError for none, and for stdout more than once."""
    given = [output] if isinstance(output, ImageReference | str) else output
    places = [whole_image(one, "built") for one in given]
    places = list({place.text: place for place in places}.values())
    if not places:
        raise UsageError("no output", expected="an image reference")
    if sum(place.path == "-" for place in places) > 1:
        raise UsageError("several outputs to stdout", expected="at most one")
    return places


@contextmanager
def staged(places: Sequence[ImageReference], *, force: bool, options: ImageOptions) -> Iterator[ImageReference]:
    """A temporary image reference; the image that the block builds there is copied to each of `places` at the end.

    force: replace the images at `places`. Raises what creating or copying an image raises; before the block, where an
    image is in the way.
    """
    for place in places:
        if place.path == "-":
            continue
        with create_image(place, force=force, temp_dir=options.temp_dir, registries=options.registries):
            pass  # fails before the build, which may take long
    with tempfile.TemporaryDirectory(dir=options.temp_dir, prefix="wclayer-") as folder:
        path = os.path.join(folder, "image")
        built = ImageReference(text=f"oci:{path}:image", transport="oci", path=path, reference="image")
        yield built
        for place in places:
            copy_image(built, place, force=force, options=replace(options, selector=None))
