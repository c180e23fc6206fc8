"""Squash an image: all its layers become one base layer, or the top ones one layer over the rest."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, BinaryIO, Final, cast

from ..entry import Source, Summary
from ..images.options import ImageOptions
from ..images.places.blobs import Blobs
from ..images.places.parse import ImageReference, parse_place, whole_image
from ..images.places.staging import NearBlobs, Staging
from ..images.reading import Image, ImageLayer, open_image
from ..images.spec.compose import compose_manifest
from ..images.spec.descriptors import CONFIG, MANIFEST, Descriptor, Platform, layer_media_type, oci_layer_type
from ..images.spec.documents import json_bytes
from ..images.writing import ImageWriter, create_image, layer_compression
from ..layers.squash.api import AnyLayer, squash_layers
from ..layers.squash.layer import check_range
from ..layertar.compression import Compression

__all__ = ["CREATED_BY", "SquashedImage", "foreign_warnings", "near_layers", "squash_image", "squash_into_image"]

CREATED_BY: Final = "wclayer squash"
_COMPRESSOR: Final = "wclayer.compressor"
_BASE: Final = "org.opencontainers.image.base."


@dataclass(slots=True)
class SquashedImage:
    """What was made: digests `sha256:HEX`. kept: how many layers are as they were. squashed: how many became one.

    layer: the summary of that one. warnings: for the user.
    """

    digest: str = ""
    config_digest: str = ""
    platform: Platform = field(default_factory=Platform)
    kept: int = 0
    squashed: int = 0
    layer: Summary = field(default_factory=Summary)
    warnings: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """The result as JSON has it."""
        return {
            "digest": self.digest,
            "config": self.config_digest,
            "platform": self.platform.to_json(),
            "kept": self.kept,
            "squashed": self.squashed,
            "layer": self.layer.layer_dict(),
            "warnings": self.warnings,
        }


def squash_image(
    source: ImageReference | str,
    output: ImageReference | str,
    *,
    first: int = 0,
    drop_utility_vm: bool = False,
    compression: Compression | None = None,
    level: int | None = None,
    force: bool = False,
    options: ImageOptions | None = None,
) -> SquashedImage:
    """Make of the image at `source` one whose layers from number `first` on are one, at `output`.

    The layers below stay as they are. The config stays, except diff_ids and history; so do the manifest's annotations,
    except those that name a base where no layer of it is left.

    first, drop_utility_vm, level: as for squash_layers. compression: gzip if None; a docker-archive has none. force:
    replace the image at `output`.

    Raises what squash_layers and reading and writing images raise; then `output` has what it had before.
    """
    options = options or ImageOptions()
    source, output = (whole_image(place, "squashed") for place in (source, output))
    compression = layer_compression(output, compression)
    with ExitStack() as stack:
        image = stack.enter_context(open_image(source, options=options))
        count = len(image.layers)
        check_range(count, first, drop_utility_vm=drop_utility_vm)
        writer = stack.enter_context(
            create_image(
                output, force=force, temp_dir=options.temp_dir, registries=options.registries, sources=[source]
            )
        )
        rest = image.layers[:first]
        writer.copy([(layer.descriptor, layer.blob) for layer in rest])
        layers = stack.enter_context(near_layers(image, first, writer, options.temp_dir))
        result = SquashedImage(platform=image.platform, kept=first, squashed=count - first)
        result.warnings = foreign_warnings(image.layers[first:])
        new = _layer(
            result,
            writer,
            layers,
            first=first,
            drop_utility_vm=drop_utility_vm,
            compression=compression,
            level=level,
            temp_dir=options.temp_dir,
            progress=options.progress,
        )
        config = _config(image.config, first, count, result.layer.diff_id or "")
        annotations = {
            key: text for key, text in image.manifest_annotations.items() if first or not key.startswith(_BASE)
        }
        below = [replace(layer.descriptor, media_type=oci_layer_type(layer.descriptor.media_type)) for layer in rest]
        return _finish(result, writer, config, [*below, new], annotations)


def squash_into_image(
    layers: Sequence[AnyLayer],
    output: ImageReference | str,
    *,
    platform: Platform | None = None,
    drop_utility_vm: bool = False,
    compression: Compression | None = None,
    level: int | None = None,
    force: bool = False,
    options: ImageOptions | None = None,
) -> SquashedImage:
    """Make of all `layers`, base first, the only layer of a new image at `output`, which runs on `platform`.

    The rest is as squash_image has it.
    """
    options = options or ImageOptions()
    output = output if isinstance(output, ImageReference) else parse_place(output)
    check_range(len(layers), 0)
    compression = layer_compression(output, compression)
    with create_image(output, force=force, temp_dir=options.temp_dir, registries=options.registries) as writer:
        result = SquashedImage(platform=platform or Platform(), squashed=len(layers))
        new = _layer(
            result,
            writer,
            layers,
            first=0,
            drop_utility_vm=drop_utility_vm,
            compression=compression,
            level=level,
            temp_dir=options.temp_dir,
            progress=options.progress,
        )
        config = {
            **result.platform.to_json(),
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": [result.layer.diff_id]},
            "history": [_history(None, 0, len(layers))],
        }
        return _finish(result, writer, config, [new], {})


def foreign_warnings(layers: Iterable[ImageLayer]) -> list[str]:
    """Warnings about those of the `layers` that are squashed."""
    return [
        f"{layer.name} is a foreign layer, to be had from its publisher; its files are in an ordinary one now"
        for layer in layers
        if layer.descriptor.is_foreign
    ]


@contextmanager
def near_layers(
    image: Image,
    first: int = 0,
    writer: ImageWriter | None = None,
    temp_dir: str | os.PathLike[str] | None = None,
) -> Iterator[list[Source]]:
    """The layers of an image as sources that are read twice from `first` on: what is in a registry is put aside.

    writer: where blobs may be nearer by.
    """
    near: Blobs = image.blobs if writer is None else writer.nearest(image.blobs)
    with ExitStack() as stack:
        twice = near
        if image.place.transport == "docker":
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="wclayer-", dir=temp_dir))
            twice = NearBlobs(near, Staging(folder), keep=True)
        yield [replace(layer, blobs=twice if layer.number >= first else near).source() for layer in image.layers]


def _layer(result: SquashedImage, writer: ImageWriter, layers: Sequence[AnyLayer], **options: Any) -> Descriptor:
    """Write the new layer."""
    with writer.blob() as blob:
        result.layer = squash_layers(layers, cast("BinaryIO", blob), **options)
        digest, size = blob.close()
    result.warnings += result.layer.warnings
    return Descriptor(media_type=layer_media_type(options["compression"]), digest=digest, size=size)


def _config(old: Mapping[str, Any], first: int, count: int, diff_id: str) -> dict[str, Any]:
    """The config: of the layers from `first` on one diff_id, and one entry of the history that has a layer."""
    rootfs = old["rootfs"]
    result = {**old, "rootfs": {**rootfs, "diff_ids": [*rootfs["diff_ids"][:first], diff_id]}}
    if not old.get("history"):
        return result
    history: list[Any] = []
    number = 0
    for entry in old["history"]:
        if entry.get("empty_layer"):
            history.append(entry)
            continue
        history.append({**entry, "empty_layer": True} if number >= first else entry)
        number += 1
        if number == count:
            history.append(_history(old.get("created"), first, count))
    result["history"] = history
    return result


def _history(created: str | None, first: int, count: int) -> dict[str, Any]:
    """What the history says of the new layer."""
    which = f"layers {first} to {count - 1}" if count - first > 1 else f"layer {first}"
    entry = {"created_by": CREATED_BY, "comment": f"{which} of {count} squashed"}
    return entry if created is None else {"created": created, **entry}


def _finish(
    result: SquashedImage,
    writer: ImageWriter,
    config: Mapping[str, Any],
    layers: Sequence[Descriptor],
    annotations: Mapping[str, str],
) -> SquashedImage:
    descriptor = writer.add_bytes(json_bytes(config), CONFIG)
    manifest = compose_manifest(descriptor, layers, annotations)
    root = writer.add_bytes(manifest, MANIFEST, platform=result.platform)
    compressor = result.layer.compressor
    writer.commit(root, annotations={_COMPRESSOR: compressor} if compressor else {})
    result.digest, result.config_digest = root.digest, descriptor.digest
    return result
