"""Copy: an image, or an index with all in it, from one place to another; as it is, or with what the other place wants.

Blobs stream from the one to the other, several at a time, each checked on its way;
existing blobs are not copied again. Without a conversion the manifest's bytes, and so the
image's digest, are the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from functools import partial
from hashlib import sha256
from typing import Any, BinaryIO, Final, cast

from ..body import CHUNK
from ..distribution.registries import Registries
from ..entry import Progress, ProgressCallback
from ..errors import DigestMismatchError, ImageError, InexpressibleError, UsageError
from ..images.options import ImageOptions
from ..layertar.compression import Compressed, Compression, Decompressed
from .choosing import read_index, windows_images
from .places.blobs import Blobs, VerifiedBlob, read_small
from .places.opening import open_blobs, reading
from .places.parse import ImageReference, whole_image
from .reading import Image, ImageLayer, open_image
from .spec.compose import compose_manifest
from .spec.descriptors import (
    ANNOTATION_REF_NAME,
    CONFIG,
    INDEXES,
    MANIFEST,
    MANIFESTS,
    Descriptor,
    Platform,
    layer_media_type,
    oci_layer_type,
)
from .spec.documents import MAX_MANIFEST, named, objects, parse_json
from .writing import Blob, ImageWriter, create_image

__all__ = ["CopiedImage", "copy_image"]

_KEYS: Final = ("schemaVersion", "mediaType", "config", "layers", "annotations", "subject", "artifactType")
_NAMES: Final = (ANNOTATION_REF_NAME, "io.containerd.")


@dataclass(slots=True)
class CopiedImage:
    """What was copied. digest: of the manifest or index at the destination. images: the platform and digest of each.

    blobs: how many were `copied`, `mounted`, `there`, or are `foreign`: left at their own address. size: bytes of all
    blobs that the image has; moved: of those that were copied.
    """

    digest: str = ""
    images: list[tuple[Platform | None, str]] = field(default_factory=list)
    blobs: Counter[str] = field(default_factory=Counter)
    size: int = 0
    moved: int = 0

    def to_dict(self) -> dict[str, Any]:
        """The result as JSON has it."""
        return {
            "digest": self.digest,
            "images": [
                {"platform": None if platform is None else platform.to_json(), "digest": digest}
                for platform, digest in self.images
            ],
            "blobs": dict(sorted(self.blobs.items())),
            "size": self.size,
            "moved": self.moved,
        }


def copy_image(
    source: ImageReference | str,
    output: ImageReference | str,
    *,
    everything: bool = False,
    oci: bool = False,
    compression: Compression | None = None,
    level: int | None = None,
    force: bool = False,
    options: ImageOptions | None = None,
) -> CopiedImage:
    """Copy the image at `source` to `output`.

    everything: the complete index, with the images for other systems. oci: write OCI's media types for Docker's.
    compression: that of all layers; layers with another one are compressed again. Both change the manifest, and so the
    image's digest. force: replace the image at `output`. options: the progress counts the bytes of all blobs.

    Raises UsageError, InexpressibleError for an index into a docker-archive, NotFoundError, AlreadyExistsError,
    ImageError for what is not a Windows image, DigestMismatchError, RemoteError, StorageError; then `output` is
    unchanged.
    """
    options = options or ImageOptions()
    selector, temp_dir, registries = options.selector, options.temp_dir, options.registries
    source, output = (whole_image(place, "copied") for place in (source, output))
    if everything and (selector is not None or oci or compression is not None):
        raise UsageError("all of an index is copied as it is", expected="no choice and no conversion")
    if everything and output.transport == "docker-archive":
        raise InexpressibleError("a docker-archive has no image index", path=output.text, hint="oci-archive: has")
    if (oci or compression is not None) and output.transport == "docker-archive":
        raise UsageError("a docker-archive has a form of its own", path=output.text, expected="no conversion")
    with ExitStack() as stack:
        if registries is None:
            registries = stack.enter_context(Registries())
            options = replace(options, registries=registries)
        copy = _Copy(stack, options.progress)
        create = partial(create_image, output, force=force, temp_dir=temp_dir, registries=registries, sources=[source])
        if everything:
            blobs = stack.enter_context(closing(open_blobs(source, temp_dir, registries)))
            if blobs.root.media_type in INDEXES:
                return copy.index(source, blobs, create)
            with reading(source):
                image = Image(source, blobs, blobs.root)
            return copy.image(image, create)
        image = stack.enter_context(open_image(source, options=options))
        if oci or compression is not None:
            return copy.converted(image, create, compression, level)
        return copy.image(image, create)


class _Copy:
    def __init__(self, stack: ExitStack, progress: ProgressCallback | None) -> None:
        self._stack = stack
        self._progress = progress
        self._through = 0
        self._result = CopiedImage()

    def image(self, image: Image, create: Callable[..., ImageWriter]) -> CopiedImage:
        writer = self._stack.enter_context(create(expected=image.manifest.digest))
        self._blobs(writer, image.everything())
        self._result.images = [(image.platform, image.manifest.digest)]
        root = replace(image.manifest, platform=image.platform)
        return self._commit(writer, root)

    def index(self, source: ImageReference, blobs: Blobs, create: Callable[..., ImageWriter]) -> CopiedImage:
        """The index that the source's tag leads to, with all that it leads to."""
        root = blobs.root
        found: list[Blob] = []
        with reading(source):
            data, _, manifests = read_index(blobs, root)
            windows_images(manifests)
            for one in manifests:
                manifest = read_small(blobs, one, MAX_MANIFEST, "a manifest of the index")
                found += [(leaf, partial(VerifiedBlob.of, blobs, leaf)) for leaf in _leaves(manifest, one)]
                found.append((one, partial(VerifiedBlob.of, blobs, one)))
        found.append((root, partial(VerifiedBlob.of_bytes, data, root, root.digest)))
        writer = self._stack.enter_context(create(expected=root.digest))
        self._blobs(writer, found)
        self._result.images = [(one.platform, one.digest) for one in manifests]
        return self._commit(writer, root)

    def converted(
        self, image: Image, create: Callable[..., ImageWriter], compression: Compression | None, level: int | None
    ) -> CopiedImage:
        writer = self._stack.enter_context(create())
        as_they_are = [layer for layer in image.layers if compression in (None, layer.compression)]
        self._blobs(writer, [(layer.descriptor, layer.blob) for layer in as_they_are])
        layers: list[Descriptor] = []
        for layer in image.layers:
            descriptor = replace(layer.descriptor, media_type=oci_layer_type(layer.descriptor.media_type))
            if layer not in as_they_are and compression is not None:
                descriptor = self._compressed(writer, layer, compression, level)
            layers.append(descriptor)
        config = writer.add_bytes(image.config_bytes, CONFIG)
        root = writer.add_bytes(
            compose_manifest(config, layers, image.manifest_annotations), MANIFEST, platform=image.platform
        )
        self._result.images = [(image.platform, root.digest)]
        return self._commit(writer, root)

    # --- parts --------------------------------------------------------------------

    def _blobs(self, writer: ImageWriter, blobs: list[Blob]) -> None:
        result = self._result
        unique = {descriptor.digest: descriptor for descriptor, _ in blobs}
        result.size += sum(one.size for one in unique.values())
        how = dict(zip((one.digest for one, _ in blobs), writer.copy(blobs, self._tell), strict=True))
        result.blobs.update(how.values())
        result.moved += sum(one.size for digest, one in unique.items() if how[digest] == "copied")

    def _tell(self, count: int) -> None:
        self._through += count
        if self._progress is not None:
            self._progress(Progress(self._through, max(self._through, self._result.size)))

    def _compressed(
        self, writer: ImageWriter, layer: ImageLayer, compression: Compression, level: int | None
    ) -> Descriptor:
        """A layer in another compression."""
        state = sha256()
        with (
            closing(layer.open()) as stored,
            writer.blob(media_type=layer_media_type(compression)) as blob,
        ):
            plain = Decompressed(cast("BinaryIO", stored))
            with Compressed(blob, compression, level) as packed:
                while data := plain.read(CHUNK):
                    state.update(data)
                    packed.write(data)
                    self._tell(len(data))
            digest, size = blob.close()
        found = f"sha256:{state.hexdigest()}"
        if found != layer.diff_id:
            raise DigestMismatchError(
                "the layer's tar is not the one that the config names",
                path=layer.name,
                expected=layer.diff_id,
                got=found,
            )
        self._result.blobs["compressed"] += 1
        self._result.size += size
        self._result.moved += size
        return Descriptor(
            media_type=layer_media_type(compression),
            digest=digest,
            size=size,
            annotations=layer.descriptor.annotations,
        )

    def _commit(self, writer: ImageWriter, root: Descriptor) -> CopiedImage:
        # What the source's layout says of the image, except its names there.
        kept = {key: text for key, text in root.annotations.items() if not key.startswith(_NAMES)}
        writer.commit(replace(root, annotations=kept), progress=self._tell)
        self._result.digest = root.digest
        return self._result


def _leaves(data: bytes, found: Descriptor) -> list[Descriptor]:
    """The config and the layers of a manifest, of whatever system and kind."""
    what = f"manifest {found.digest}"
    value: Any = parse_json(data, what)
    if not isinstance(value, Mapping) or found.media_type not in MANIFESTS:
        raise ImageError(f"{what} is no image manifest", expected="an image manifest", got=found.media_type)
    value = named(value, _KEYS, what)
    return [
        Descriptor.from_json(value.get("config"), f"the config of {what}"),
        *(
            Descriptor.from_json(one, f"layer {number} of {what}")
            for number, one in enumerate(objects(value, "layers", what))
        ),
    ]
