"""What a build must know about its base: read in one pass over each layer, at the first request."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from hashlib import sha256
from typing import Self

from ..entry import Directory, Entry, Progress, ProgressCallback
from ..errors import ImageError, with_context
from ..images.reading import Image, ImageLayer
from ..images.writing import ImageWriter
from ..union.rules import FILES
from .base_index import LayerIndex, LowerView, index_layer
from .recipe import LayerRecipe
from .source_tree import Kind, SourceTree

__all__ = ["BaseIndex", "resolve_copy_targets"]


class BaseIndex:
    """The layers of `base` (None for FROM scratch), as `index_layer` describes them.

    Closed by close(), or as a context.

    cache: a folder in which the index is kept. progress: called for each entry that is read.
    """

    def __init__(
        self, base: Image | None, cache: str | os.PathLike[str] | None, progress: ProgressCallback | None = None
    ) -> None:
        self._base = base
        self._cache = cache
        self._progress = progress
        self._stack = ExitStack()
        self._known: list[LayerIndex] | None = None

    def layers(self, writer: ImageWriter | None = None) -> Sequence[LayerIndex]:
        """Each layer, base first. writer: may hold copies of their blobs on the local disk."""
        if self._known is None:
            known: list[LayerIndex] = []
            for layer in self._base.layers if self._base is not None else ():
                near = layer if writer is None else replace(layer, blobs=writer.nearest(layer.blobs))
                known.append(self._stack.enter_context(_known(near, self._cache, self._progress)))
            self._known = known
        return self._known

    def is_directory(self, path: str) -> bool:
        """Does the base have a real directory (not a link) at `path` of drive C:?"""
        found = LowerView(self.layers()[::-1]).lookup(f"{FILES}/{path}")
        return isinstance(found, Directory) and found.reparse_data is None

    def close(self) -> None:
        self._stack.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def resolve_copy_targets(layer: LayerRecipe, trees: Sequence[SourceTree], base: BaseIndex) -> LayerRecipe:
    """The layer, each file whose rule leaves it open put into the directory that its target is, if it is one.

    trees: the layers before it.
    """
    if all(rule.into is not None for rule in layer.files):
        return layer
    rules = []
    for rule in layer.files:
        into = rule.into
        if into is None:
            nodes = [tree.find(rule.target.split("/")) for tree in trees] if rule.target else []
            found = next((node for node in reversed(nodes) if node is not None), None)
            into = base.is_directory(rule.target) if found is None else found.kind is Kind.DIRECTORY
        rules.append(replace(rule, into=into))
    return replace(layer, files=tuple(rules))


def _known(layer: ImageLayer, cache: str | os.PathLike[str] | None, progress: ProgressCallback | None) -> LayerIndex:
    """The index of a layer of the base.

    That a blob has the diff_id that the config gives it, only reading it shows. So the cache's key has both digests in
    it, so that a wrong config does not use the index of another layer.
    """
    key = layer.diff_id
    if layer.descriptor.digest != layer.diff_id:
        key = f"sha256:{sha256(f'{layer.diff_id} {layer.descriptor.digest}'.encode()).hexdigest()}"

    def entries() -> Iterator[Entry]:
        source = layer.source()
        with closing(source.entries()) as found:
            for entry, _ in found:
                yield entry
                if progress is not None:
                    progress(Progress(source.so_far.bytes, None, entry))

    with with_context(path=f"layer {layer.number} of the base", only=ImageError):
        return index_layer(key, entries, cache)
