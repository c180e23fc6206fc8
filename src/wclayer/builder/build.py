"""Build: folders of the host become the layers of an image, FROM scratch or on top of another, on any system."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Any, Final

from ..entry import Entry, Progress, ProgressCallback, Summary
from ..errors import UsageError, with_context
from ..images.choosing import ImageSelector
from ..images.options import ImageOptions
from ..images.places.parse import ImageReference, whole_image
from ..images.reading import Image, open_image
from ..images.spec.compose import CREATED_BY, compose_config, compose_manifest, history_entry, rfc3339
from ..images.spec.descriptors import (
    ANNOTATION_BASE_DIGEST,
    ANNOTATION_CREATED,
    MANIFEST,
    Descriptor,
    Platform,
    check_os_version,
    layer_media_type,
    oci_layer_type,
)
from ..images.spec.descriptors import CONFIG as CONFIG_TYPE
from ..images.spec.documents import seconds_of
from ..images.writing import ImageWriter, create_image
from ..layertar.compression import Compressed
from ..layertar.writer import TarWriter
from ..win32.filetime import from_unix_ns
from .access import Access
from .base import BaseIndex, resolve_copy_targets
from .base_index import LowerView, index_layer
from .hives import BuildHives, with_layer_for_hives, with_registry
from .new_layer import NewLayer, Times
from .outputs import places_of, staged
from .recipe import DirectoryRule, JunctionRule, Recipe, SymlinkRule, recipe_of
from .source_folder import changed
from .source_tree import SourceTree, layer_folders
from .tree_snapshot import TreeSnapshot

__all__ = ["BuiltImage", "build_image", "build_on"]

MAX_LAYERS: Final = 127  # hcsshim's and containerd's bound
_COMPRESSOR: Final = "wclayer.compressor"


@dataclass(slots=True)
class BuiltImage:
    """What was built: digests `sha256:HEX`, `created` in seconds since 1970, a summary for each new layer, base first.

    made: the paths of the hives that were made; changed: of those in which the registry changes. left_out: how many
    files of macOS's own were passed over.
    """

    digest: str = ""
    config_digest: str = ""
    platform: Platform = field(default_factory=Platform)
    created: int = 0
    base_layers: int = 0
    layers: list[Summary] = field(default_factory=list)
    made: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    left_out: int = 0
    warnings: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """The result as a JSON object."""
        return {
            "digest": self.digest,
            "config": self.config_digest,
            "platform": self.platform.to_json(),
            "created": rfc3339(self.created),
            "base_layers": self.base_layers,
            "layers": [layer.layer_dict() for layer in self.layers],
            "made": self.made,
            "changed": self.changed,
            "left_out": self.left_out,
            "warnings": self.warnings,
        }


def build_image(
    source: Recipe | str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    output: ImageReference | str | Sequence[ImageReference | str],
    *,
    base: str | None = None,
    entrypoint: Sequence[str] | None = None,
    cmd: Sequence[str] | None = None,
    env: Mapping[str, str] | None = None,
    workdir: str | None = None,
    user: str | None = None,
    labels: Mapping[str, str] | None = None,
    os_version: str | None = None,
    created: int | None = None,
    force: bool = False,
    cache: str | os.PathLike[str] | None = None,
    workers: int | None = None,
    options: ImageOptions | None = None,
) -> BuiltImage:
    """Build an image from folders, or as a recipe describes it, at each image reference of `output`.

    source: a folder that becomes drive C:, several of them, each in a layer of its own, or a recipe. base: the image to
    build on; without one, the image is built FROM scratch. entrypoint, cmd, env, workdir, user, labels: what the config
    says. created: seconds since 1970; no file is newer. These settings go before those of a recipe.

    FROM scratch, the first layer is a base layer: the five registry hives that Windows needs are made where the sources
    bring none. On top of a base, each is a non-base layer; what must be known of the layers below is read from them
    once, and kept in the folder `cache`, if one is given.

    force: replace the image at `output`. workers: how many processors compress; the bytes do not depend on it. options:
    the progress is called after each entry that is written, or read of the base.

    Raises UsageError, NotFoundError, LayerError, ImageError, HiveError and the errors of what is read; StorageError if
    a source changes meanwhile; then nothing is left at `output` that was not there before.
    """
    recipe = recipe_of(
        source,
        base=base,
        entrypoint=entrypoint,
        cmd=cmd,
        env=env,
        workdir=workdir,
        user=user,
        labels=labels,
        os_version=os_version,
        created=created,
    )
    options = options or ImageOptions()
    with ExitStack() as stack:
        image = None
        if recipe.base is not None:
            selector = ImageSelector(os_version=recipe.os_version, architecture=recipe.architecture)
            image = stack.enter_context(
                open_image(
                    whole_image(recipe.base, "built on"),
                    options=replace(options, selector=options.selector or selector),
                )
            )
        return build_on(image, recipe, output, force=force, cache=cache, workers=workers, options=options)


def build_on(
    base: Image | None,
    recipe: Recipe,
    output: ImageReference | str | Sequence[ImageReference | str],
    *,
    bare: bool = False,
    force: bool = False,
    cache: str | os.PathLike[str] | None = None,
    workers: int | None = None,
    options: ImageOptions | None = None,
) -> BuiltImage:
    """As build_image, on a base that is open already; `recipe.base` does not matter.

    bare: make no hives FROM scratch, and an image of only the new layers; Windows refuses it.
    """
    options = options or ImageOptions()
    places = places_of(output)
    if len(places) > 1:
        # All outputs are copies of one image, so that they have the same digest.
        with staged(places, force=force, options=options) as place:
            if all(one.transport == "docker-archive" for one in places):
                recipe = replace(recipe, compression="none")
            return _build_at(base, recipe, place, places, bare=bare, cache=cache, workers=workers, options=options)
    return _build_at(
        base, recipe, places[0], places, bare=bare, force=force, cache=cache, workers=workers, options=options
    )


def _build_at(
    base: Image | None,
    recipe: Recipe,
    place: ImageReference,
    outputs: Sequence[ImageReference],
    *,
    bare: bool,
    force: bool = False,
    cache: str | os.PathLike[str] | None,
    workers: int | None,
    options: ImageOptions,
) -> BuiltImage:
    """Build at `place`; outputs: where the image goes in the end, which may lie in a source folder only if left out."""
    recipe = with_registry(recipe)
    if base is not None and not bare:
        recipe = with_layer_for_hives(recipe)
    with ExitStack() as stack:
        known = stack.enter_context(BaseIndex(base, cache, options.progress))
        trees: list[SourceTree] = []
        for layer in recipe.layers:
            decided = resolve_copy_targets(layer, trees, known)
            trees.append(stack.enter_context(SourceTree(decided, recipe.context)))
        build = _Build(
            recipe, place, base, known, trees, workers, options.progress, bare=bare, temp_dir=options.temp_dir
        )
        build.check(outputs)
        sources = [] if base is None else [base.place]
        with create_image(
            place, force=force, temp_dir=options.temp_dir, registries=options.registries, sources=sources
        ) as writer:
            return build.write(writer)


class _Build:
    def __init__(
        self,
        recipe: Recipe,
        place: ImageReference,
        base: Image | None,
        known: BaseIndex,
        trees: Sequence[SourceTree],
        workers: int | None,
        progress: ProgressCallback | None,
        *,
        bare: bool,
        temp_dir: str | os.PathLike[str] | None,
    ) -> None:
        self._known = known
        self._bare = bare
        self._recipe = recipe
        self._place = place
        self._base = base
        self._trees = trees
        self._workers = workers
        self._progress = progress
        self._compression = "none" if place.transport == "docker-archive" else recipe.compression
        self._compressor: str | None = None
        self._surveys: list[TreeSnapshot] = []
        self._hives = BuildHives(recipe, base, trees, temp_dir, bare=bare)
        self._result = BuiltImage(platform=_platform(recipe, base))
        self._result.base_layers = len(base.layers) if base else 0

    # --- before anything is written ---------------------------------------------

    def check(self, outputs: Sequence[ImageReference]) -> None:
        """Check everything about the sources that their names show."""
        if not self._trees and self._base is None:
            raise UsageError("nothing to build", expected="a context, or a base", hint="give a folder")
        if (number := len(self._trees) + self._result.base_layers) > MAX_LAYERS:
            raise UsageError("more layers than Windows can stack", expected=f"at most {MAX_LAYERS}", got=number)
        check_os_version(self._recipe.os_version)
        self._check_security()
        for output in outputs:
            if output.transport != "docker" and output.path != "-":
                for tree in self._trees:
                    tree.check_output(output.path)
        self._result.warnings.extend(warning for tree in self._trees for warning in layer_folders(tree))
        if self._base is None:
            self._hives.find()
            if self._trees[0].removals:
                raise UsageError(
                    "a removal in the lowest layer, which has nothing below it", path=self._trees[0].removals[0]
                )
        self._surveys = [TreeSnapshot(tree) for tree in self._trees]
        newest = [survey.newest for survey in self._surveys if survey.newest is not None]
        created = self._recipe.created
        if created is None:
            created = max(newest) // 10**9 if newest else _created(self._base)
        rfc3339(created)
        self._result.created = created
        self._result.left_out = sum(survey.left_out for survey in self._surveys)

    def _check_security(self) -> None:
        access = Access.named(self._recipe.acl)
        for layer in self._recipe.layers:
            rules: tuple[DirectoryRule | SymlinkRule | JunctionRule, ...]
            rules = (*layer.directories, *layer.symlinks, *layer.junctions)
            named = [(rule.path, rule.security) for rule in rules]
            for path, security in (*((files.target, files.security) for files in layer.files), *named):
                with with_context(path=path):
                    access.changed(security)

    # --- writing ----------------------------------------------------------------

    def write(self, writer: ImageWriter) -> BuiltImage:
        result, recipe = self._result, self._recipe
        created = from_unix_ns(result.created * 10**9)
        latest = None if recipe.created is None else created
        times = Times(created, latest, recipe.times == "epoch")
        self._hives.make(created)
        descriptors = self._copy_base(writer)
        known = list(self._known.layers(writer) if self._trees else ())  # base first
        if known and not self._bare and self._hives.check_base(known, created, fix=recipe.fix_base_hives):
            self._surveys[0] = TreeSnapshot(self._trees[0])
        differencing = self._hives.differencing(writer, created)
        result.made, result.changed = self._hives.made, self._hives.changed
        result.warnings.extend(self._hives.warnings)
        with ExitStack() as stack:
            for number, tree in enumerate(self._trees):
                below = LowerView(known[::-1]) if known else None
                layer = NewLayer(tree, below, times, acl=recipe.acl, hives=differencing[number])
                with writer.blob() as blob:
                    steps = self._tar(layer, blob)
                    if number + 1 < len(self._trees):
                        known.append(stack.enter_context(index_layer(None, lambda steps=steps: steps, None)))  # type: ignore[misc]
                    for _ in steps:
                        pass
                    descriptors.append(self._layer_descriptor(result.layers[-1]))
                result.warnings.extend(layer.warnings)
            self._check_sources()
            return self._finish(writer, descriptors)

    def _copy_base(self, writer: ImageWriter) -> list[Descriptor]:
        layers = self._base.layers if self._base and not self._bare else ()
        writer.copy([(layer.descriptor, layer.blob) for layer in layers])
        return [replace(layer.descriptor, media_type=oci_layer_type(layer.descriptor.media_type)) for layer in layers]

    def _tar(self, layer: NewLayer, blob: Any) -> Iterator[Entry]:
        """Write a layer; each entry is given once it is written."""
        with Compressed(blob, self._compression, self._recipe.level, self._workers) as packed, TarWriter(packed) as tar:
            for entry, body in layer.entries():
                tar.add(entry, body)
                yield entry
                if self._progress is not None:
                    self._progress(Progress(tar.so_far.bytes, None, entry))
            summary = tar.commit()
        packed.describe(summary)
        self._compressor = packed.compressor
        blob.close()
        self._result.layers.append(summary)

    def _layer_descriptor(self, summary: Summary) -> Descriptor:
        return Descriptor(
            media_type=layer_media_type(self._compression),
            digest=summary.digest or "",
            size=summary.blob_size or 0,
        )

    def _check_sources(self) -> None:
        for survey in self._surveys:
            node = survey.check()
            if node is not None:
                raise changed(node.shown, "other names, sizes or times in the folder")

    def _finish(self, writer: ImageWriter, layers: Sequence[Descriptor]) -> BuiltImage:
        recipe, result, base = self._recipe, self._result, None if self._bare else self._base
        history = [history_entry(result.created, layer.name) for layer in recipe.layers]
        if recipe.history:
            history = [
                history_entry(result.created, CREATED_BY, created_by=step.created_by, empty=not step.layer)
                for step in recipe.history
            ]
        if not history:
            history = [history_entry(result.created, None, empty=True)]
        config = compose_config(
            None if base is None else base.config,
            recipe.config,
            result.platform,
            result.created,
            [summary.diff_id or "" for summary in result.layers],
            history,
            recipe.run,
        )
        config_descriptor = writer.add_bytes(config, CONFIG_TYPE)
        annotations = {ANNOTATION_CREATED: rfc3339(result.created)}
        if base is not None:
            annotations[ANNOTATION_BASE_DIGEST] = base.manifest.digest
        manifest = compose_manifest(config_descriptor, layers, {**annotations, **recipe.annotations})
        root = writer.add_bytes(manifest, MANIFEST, platform=result.platform)
        if self._base is not None and _is_file_of(self._base.place, self._place):
            self._base.close()  # Windows cannot replace a file that is open
        writer.commit(root, annotations={_COMPRESSOR: self._compressor} if self._compressor else {})
        result.digest, result.config_digest = root.digest, config_descriptor.digest
        return result


def _is_file_of(base: ImageReference, place: ImageReference) -> bool:
    """Is the archive at `place` the one that has the base?"""
    return all(os.path.isfile(one.path) for one in (base, place)) and os.path.samefile(base.path, place.path)


def _created(base: Image | None) -> int:
    """When the base was made, in seconds since 1970; 0 where nothing says so."""
    found = None if base is None else base.config.get("created")
    return 0 if found is None else max(0, seconds_of(found))


def _platform(recipe: Recipe, base: Image | None) -> Platform:
    if base is None:
        return Platform(architecture=recipe.architecture or "amd64", os_version=recipe.os_version)
    theirs = base.platform
    if recipe.architecture not in (None, theirs.architecture):
        raise UsageError(
            "an image has the architecture of its base", expected=theirs.architecture, got=recipe.architecture
        )
    wanted = recipe.os_version
    if wanted and theirs.os_version != wanted and not f"{theirs.os_version}.".startswith(f"{wanted}."):
        raise UsageError("an image has the os.version of its base", expected=theirs.os_version or "none", got=wanted)
    return theirs
