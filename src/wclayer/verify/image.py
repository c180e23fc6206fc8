"""An image, read as far as it can be, whatever is wrong with it; its layers, for those who look into them.

All that reading.py refuses an image for is found here, not just the first of it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import BinaryIO, Final, NamedTuple

from ..codes import Code
from ..distribution.registries import Registries
from ..errors import ImageError, WclayerError
from ..images.choosing import ImageSelector, check_index, windows_images
from ..images.places.archive import ArchiveFiles
from ..images.places.blobs import Blobs
from ..images.places.layout import DockerNames
from ..images.places.opening import open_blobs
from ..images.places.parse import ImageReference
from ..images.spec.config import Checked, check_config, read_manifest
from ..images.spec.descriptors import INDEX, INDEXES, MANIFEST, MANIFESTS, Descriptor, Platform
from ..images.spec.documents import MAX_CONFIG, parse_json
from .blobs import JudgedSource, read_document
from .notes import Notes
from .os_versions import check_os_versions
from .rules import Target

__all__ = ["FoundImage", "FoundLayer", "read_image"]

_MOST_LAYERS: Final = 127


@dataclass(frozen=True, slots=True)
class FoundLayer:
    """Layer `number` of an image, counted from 0 at the base.

    source: its entries; when they have been read, or cannot be read any further, size, digest, compression and diff_id
    of the blob are judged. below: the sources of all layers below it, None for one whose descriptor is malformed.
    """

    name: str
    number: int
    source: JudgedSource
    below: tuple[JudgedSource | None, ...] = ()

    @property
    def complete(self) -> bool:
        """Are all layers below it there? To be asked when these have been read."""
        return not any(source is None or source.missing for source in self.below)


@dataclass(frozen=True, slots=True)
class FoundImage:
    """An image of a place, and those of its layers whose descriptors say which blobs they are, base first."""

    name: str
    layers: tuple[FoundLayer, ...]


@contextmanager
def read_image(
    place: ImageReference,
    notes_of: Callable[[str], Notes],
    *,
    targets: frozenset[Target] = frozenset(Target),
    selector: ImageSelector | None = None,
    temp_dir: str | os.PathLike[str] | None = None,
    registries: Registries | None = None,
) -> Iterator[tuple[FoundImage, ...]]:
    """The image at a place, or all Windows images of an index there; what is wrong with them goes to `notes_of`.

    notes_of: where findings go, by the name of the image or layer that they are about. targets: where it is to run.
    selector: which image of an index. temporary, registries: as for `open_image`. A layer's number at `place` does not
    matter, but that there must be one image then.

    Raises NotFoundError for a place where nothing is, and for one without an image that is meant, UsageError where it
    is not said which image is, and errors of the host and the network.
    """
    name = place.text if place.layer is None else place.text.rpartition("#")[0]
    with ExitStack() as stack:
        reading = _Reading(place, name, notes_of, targets, selector or ImageSelector(), stack)
        found: tuple[FoundImage, ...] = ()
        with _noting(reading.notes):
            if place.transport == "docker-archive":
                found = (reading.docker_archive(temp_dir),)
            else:
                blobs = open_blobs(place, temp_dir, registries, reading.notes.error)
                stack.callback(blobs.close)
                found = reading.images(blobs)
        yield found


@contextmanager
def _noting(notes: Notes) -> Iterator[None]:
    """What is refused inside is a finding; what says nothing of the image is raised."""
    try:
        yield
    except WclayerError as error:
        if not notes.error(error):
            raise


class _Read(NamedTuple):
    """An image, and where it runs, as its config says; None where that cannot be read."""

    image: FoundImage
    platform: Platform | None


class _Reading:
    def __init__(
        self,
        place: ImageReference,
        name: str,
        notes_of: Callable[[str], Notes],
        targets: frozenset[Target],
        selector: ImageSelector,
        stack: ExitStack,
    ) -> None:
        self._place = place
        self._name = name
        self._notes_of = notes_of
        self._targets = targets
        self._choice = selector
        self._stack = stack
        self.notes = notes_of(name)

    # --- which images -------------------------------------------------------------

    def images(self, blobs: Blobs) -> tuple[FoundImage, ...]:
        """What the place's tag leads to."""
        root = blobs.root
        data = read_document(blobs, root, "the manifest", self.notes)
        if data is None:
            return ()
        root = self._typed(root, data)
        if root.media_type in INDEXES:
            return self._of_index(blobs, root, data)
        read = self._image(blobs, root, data, "")
        self._check_platform(read.platform)
        return (read.image,)

    def _typed(self, root: Descriptor, data: bytes) -> Descriptor:
        """The descriptor; with the media type of what is in it, where its own is no image's."""
        if root.media_type in MANIFESTS | INDEXES:
            return root
        expected = "an image manifest or index"
        self.notes.note(Code.IMAGE_INVALID, "the tag leads to no image", expected=expected, got=root.media_type)
        value = parse_json(data, f"manifest {root.digest}")
        own = value.get("mediaType") if isinstance(value, dict) else None
        if isinstance(own, str) and own in MANIFESTS | INDEXES:
            return replace(root, media_type=own)
        return replace(root, media_type=INDEX if isinstance(value, dict) and "manifests" in value else MANIFEST)

    def _of_index(self, blobs: Blobs, root: Descriptor, data: bytes) -> tuple[FoundImage, ...]:
        found = windows_images(check_index(data, root, self.notes.error)[1])
        if self._choice != ImageSelector() or self._place.layer is not None:
            found = [self._choice.select(found, self._place)]
        images: list[FoundImage] = []
        platforms: list[Platform] = []
        unread: list[Platform | None] = []  # as the index has them, of images that cannot tell
        for one in found:
            shown = f" ({one.platform or one.digest})" if len(found) > 1 else ""
            read: _Read | None = None
            with _noting(self.notes):
                manifest = read_document(blobs, one, "the manifest", self.notes)
                if manifest is not None:
                    read = self._image(blobs, one, manifest, shown)
            if read is not None:
                images.append(read.image)
            if read is None or read.platform is None:
                unread.append(one.platform)
            elif read.platform.os == "windows":
                platforms.append(read.platform)
        check_os_versions(platforms, self._targets, self.notes, unread)
        return tuple(images)

    def _check_platform(self, platform: Platform | None) -> None:
        """The platform of the only image there is."""
        if platform is not None and platform.os == "windows":
            self._choice.check(platform, self._place)
            check_os_versions([platform], self._targets, self.notes)

    # --- one image ------------------------------------------------------------------

    def _image(self, blobs: Blobs, manifest: Descriptor, data: bytes, shown: str) -> _Read:
        """shown: what tells it from others at the place."""
        name = f"{self._name}{shown}"
        notes = self._notes_of(name)
        _, config, layers = read_manifest(data, manifest, notes.error)
        document = None if config is None else read_document(blobs, config, "the config", notes)
        checked = None if document is None else _config(document, len(layers), manifest.platform, notes)
        _check_count(len(layers), notes)
        openers = [None if layer is None else partial(blobs.open, layer) for layer in layers]
        found = self._layers(layers, openers, _diff_ids(checked, len(layers)), shown)
        return _Read(FoundImage(name, found), None if checked is None else checked.platform)

    def docker_archive(self, temp_dir: str | os.PathLike[str] | None) -> FoundImage:
        """What `docker save` writes has no descriptors: there is the config, and what it says of the layers."""
        files = ArchiveFiles(self._place.path, temp_dir)
        self._stack.callback(files.close)
        names = DockerNames(files, self._place)
        count = len(names.layers)
        checked = _config(names.small(names.config, MAX_CONFIG), count, None, self.notes)
        if count == 0:
            self.notes.note(Code.NO_BASE_LAYER, "an image without layers", expected="a base layer at least")
        _check_count(count, self.notes)
        openers = [partial(_of_archive, names, name) for name in names.layers]
        self._check_platform(None if checked is None else checked.platform)
        return FoundImage(self._name, self._layers([None] * count, openers, _diff_ids(checked, count), ""))

    def _layers(
        self,
        descriptors: Sequence[Descriptor | None],
        openers: Sequence[Callable[[], BinaryIO] | None],
        diff_ids: Sequence[str],
        shown: str,
    ) -> tuple[FoundLayer, ...]:
        """openers: what opens the layers; None for those whose descriptors are malformed."""
        found: list[FoundLayer] = []
        sources: list[JudgedSource | None] = []
        for number, (descriptor, opener, diff_id) in enumerate(zip(descriptors, openers, diff_ids, strict=True)):
            name = f"{self._name}#{number}{shown}"
            notes = self._notes_of(name)
            source = None if opener is None else JudgedSource(opener, descriptor, diff_id, notes)
            if source is not None:
                found.append(FoundLayer(name, number, source, tuple(sources)))
            sources.append(source)
        return tuple(found)


def _config(data: bytes, count: int, given: Platform | None, notes: Notes) -> Checked | None:
    try:
        return check_config(data, count, given, notes.error)
    except ImageError as error:
        if not notes.error(error):
            raise
        return None


def _of_archive(names: DockerNames, name: str) -> BinaryIO:
    return names.open(name)[0]


def _check_count(count: int, notes: Notes) -> None:
    if count > _MOST_LAYERS:
        notes.note(Code.TOO_MANY_LAYERS, "an image of too many layers", expected=f"at most {_MOST_LAYERS}", got=count)


def _diff_ids(checked: Checked | None, count: int) -> Sequence[str]:
    """Of each layer its diff_id, "" where it is not known: of another number nobody can say whose is whose."""
    return checked.diff_ids if checked is not None and len(checked.diff_ids) == count else [""] * count
