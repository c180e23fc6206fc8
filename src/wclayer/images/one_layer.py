"""One layer of an image by itself: taken out as a tar, put in, put on top."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import replace
from typing import Any, BinaryIO, Final, Literal, cast

from ..body import CHUNK
from ..distribution.registries import Registries
from ..entry import Progress, ProgressCallback, Summary
from ..errors import AlreadyExistsError, DigestMismatchError, NotFoundError, UsageError
from ..host.errors import host_errors
from ..images.options import ImageOptions
from ..layertar.compression import Compressed, Compression, Decompressed
from ..layertar.reader import TarSource
from ..layertar.writer import TarWriter
from .places.parse import ImageReference
from .reading import Image, ImageLayer, open_image
from .spec.compose import compose_manifest
from .spec.descriptors import CONFIG, MANIFEST, Descriptor, Platform, layer_media_type, oci_layer_type
from .spec.documents import json_bytes
from .writing import BlobWriter, create_image

__all__ = ["copy_layer_tar", "layer_of", "put_layer"]

CREATED_BY: Final = "wclayer export"


def layer_of(image: Image, number: int | None) -> ImageLayer:
    """Layer `number` of the image, counted from 0 at the base; None for the only one.

    Raises NotFoundError, UsageError.
    """
    count = len(image.layers)
    if number is None:
        if count != 1:
            raise UsageError(
                "which layer of the image?", path=image.place.text, expected=f"PLACE#0 to PLACE#{count - 1}"
            )
        number = 0
    if number >= count:
        raise NotFoundError(
            "the image has no such layer", path=image.place.text, expected=f"#0 to #{count - 1}", got=f"#{number}"
        )
    return image.layers[number]


def copy_layer_tar(
    layer: ImageLayer,
    output: BinaryIO,
    *,
    compression: Compression = "none",
    level: int | None = None,
    framing: Literal["original", "canonical"] | None = None,
    modes: bool = False,
    progress: ProgressCallback | None = None,
) -> Summary:
    """Write the layer's tar to the binary file object `output`: its own bytes, or in hcsshim's framing.

    The options are those of `export_layer_to_tar`. Raises what reading the layer raises, DigestMismatchError among it.
    """
    if modes and framing == "original":
        raise UsageError("modes in the original framing, which has its own", hint="say --framing canonical")
    with host_errors("the output"):
        with Compressed(output, compression, level) as packed:
            if framing == "canonical" or modes:
                summary = _anew(layer, packed, modes, progress)
            else:
                summary = _as_it_is(layer, packed, progress)
        output.flush()
    packed.describe(summary)
    return summary


def _anew(layer: ImageLayer, packed: Compressed, modes: bool, progress: ProgressCallback | None) -> Summary:
    with TarWriter(packed, modes=modes) as tar:
        for entry, body in layer.source().entries():
            tar.add(entry, body)
            if progress is not None:
                progress(Progress(tar.so_far.bytes, None, entry))
        return tar.commit()


def _as_it_is(layer: ImageLayer, packed: Compressed, progress: ProgressCallback | None) -> Summary:
    with closing(layer.open()) as blob:
        source = TarSource(cast("BinaryIO", _Tee(Decompressed(cast("BinaryIO", blob)), packed)))
        for entry, _ in source.entries():
            if progress is not None:
                progress(Progress(source.so_far.bytes, None, entry))
    summary = source.summary()
    if summary.diff_id != layer.diff_id:
        raise DigestMismatchError(
            "the layer's tar is not the one that the config names",
            path=layer.name,
            expected=layer.diff_id,
            got=summary.diff_id,
        )
    return summary


class _Tee:
    """A plain tar as it is read, copied to `out`."""

    def __init__(self, plain: Decompressed, out: Compressed) -> None:
        self._plain = plain
        self._out = out

    def read(self, n: int = CHUNK, /) -> bytes:
        data = self._plain.read(n)
        if data:
            self._out.write(data)
        return data


def put_layer(
    place: ImageReference,
    write: Callable[[BlobWriter, Sequence[str]], Summary],
    *,
    base: bool,
    platform: Platform | None = None,
    created_by: str = CREATED_BY,
    force: bool = False,
    temp_dir: str | os.PathLike[str] | None = None,
    registries: Registries | None = None,
) -> Summary:
    """Make what `write` writes layer N of the image at the place `PLACE#N`, and give its summary.

    `write` is told the diff_ids of the layers below, base first, and may refuse them.
    #0 makes a new image where there is none; N equal to the number of layers puts one on top; a smaller N replaces one,
    whatever lies above it. base: whether it is a base layer, which #0 must be, and only that. platform: that of a new
    image. created_by: what its history says. force: an image that is there may be changed. registries: how to reach one
    that is in a registry.

    Raises UsageError, NotFoundError for a number beyond, AlreadyExistsError without `force`, and what is read and
    written raises; then the image is as it was.
    """
    number = place.layer
    if number is None:
        raise UsageError("which layer of the image?", path=place.text, expected=f"{place.text}#0 for the base layer")
    if base != (number == 0):
        kind = "a base layer" if base else "a non-base layer"
        raise UsageError(f"{kind} as layer #{number}", path=place.text, expected="a base layer at #0, and only there")
    target = replace(place, layer=None, text=place.text.rpartition("#")[0])
    with ExitStack() as stack:
        image: Image | None = None
        with suppress(NotFoundError):
            image = stack.enter_context(
                open_image(target, options=ImageOptions(temp_dir=temp_dir, registries=registries))
            )
        count = 0 if image is None else len(image.layers)
        if number > count:
            raise NotFoundError(
                "the image has no layer to put it on", path=place.text, expected=f"at most #{count}", got=f"#{number}"
            )
        if image is not None and not force:
            raise AlreadyExistsError(
                "there is an image already", path=target.text, hint="--force changes it; or choose another tag"
            )
        writer = stack.enter_context(
            create_image(target, force=force, temp_dir=temp_dir, registries=registries, sources=[target])
        )
        before = image.layers if image is not None else ()
        writer.copy([(layer.descriptor, layer.blob) for layer in before if layer.number != number])
        layers = [replace(layer.descriptor, media_type=oci_layer_type(layer.descriptor.media_type)) for layer in before]
        with writer.blob() as blob:
            summary = write(blob, [layer.diff_id for layer in before[:number]])
            digest, size = blob.close()
        new = Descriptor(
            media_type=layer_media_type(cast("Compression", summary.compression)), digest=digest, size=size
        )
        layers[number : number + 1] = [new]
        platform = platform or Platform() if image is None else image.platform
        config = writer.add_bytes(_config(image, platform, number, summary.diff_id or "", created_by), CONFIG)
        annotations = {} if image is None else image.manifest_annotations
        root = writer.add_bytes(compose_manifest(config, layers, annotations), MANIFEST, platform=platform)
        writer.commit(root)
        return summary


def _config(image: Image | None, platform: Platform, number: int, diff_id: str, created_by: str) -> bytes:
    """The image's config with another layer, or one more."""
    config: dict[str, Any] = dict(image.config) if image is not None else {**platform.to_json(), "config": {}}
    diff_ids = list(config.get("rootfs", {}).get("diff_ids", ()))
    diff_ids[number : number + 1] = [diff_id]
    config["rootfs"] = {"type": "layers", "diff_ids": diff_ids}
    history = list(config.get("history") or ())
    places = [at for at, entry in enumerate(history) if not entry.get("empty_layer")]
    entry = {"created_by": created_by}
    if number < len(places):
        history[places[number]] = entry
    elif history or image is None:
        history.append(entry)
    if history:
        config["history"] = history
    return json_bytes(config)
