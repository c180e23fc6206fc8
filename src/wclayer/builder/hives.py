"""The hives of a new image: those of its base layer, and the differencing hives above."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace

from ..entry import File
from ..errors import HiveError
from ..images.reading import Image
from ..images.spec.compose import CREATED_BY
from ..images.writing import ImageWriter
from ..layers.base import check_base_hive
from ..layers.hives.config_hives import CONFIG_HIVES, ConfigHive, check_size
from ..layers.hives.merge import HiveStack, collect_hives
from ..regf.edits import KeyEdits
from ..regf.minimal import minimal_hive
from ..regf.model import Hive
from ..regf.reader import read_hive
from ..union.rules import FILES
from .base_index import LayerIndex, LowerView
from .recipe import LayerRecipe, Recipe, Step
from .registry_changes import base_hive, by_hive, differencing_hives
from .source_tree import Kind, SourceTree

__all__ = ["BuildHives", "with_layer_for_hives", "with_registry"]


def with_registry(recipe: Recipe) -> Recipe:
    """The recipe with the changes of the registry that come last in its last layer, or in one made for them."""
    if recipe.registry is None:
        return recipe
    layers, history = list(recipe.layers), recipe.history
    if not layers:
        layers.append(LayerRecipe())
        if history:
            history = (*history, Step(created_by=f"{CREATED_BY} --reg", layer=True))
    changes = KeyEdits()
    for one in (layers[-1].registry, recipe.registry):
        if one is not None:
            changes.update(one)
    layers[-1] = replace(layers[-1], registry=changes)
    return replace(recipe, layers=tuple(layers), history=history, registry=None)


def with_layer_for_hives(recipe: Recipe) -> Recipe:
    """The recipe with a layer for the hives that the base lacks, if it has no layer yet."""
    if not recipe.fix_base_hives or recipe.layers:
        return recipe
    step = Step(created_by=f"{CREATED_BY} --fix-base-hives", layer=True)
    return replace(recipe, layers=(LayerRecipe(),), history=(*recipe.history, step) if recipe.history else ())


class BuildHives:
    """What becomes of the hives in the new layers, whose files are `trees`, on `base` (None: FROM scratch).

    bare: there are no hives at all. temp_dir: a folder for what has to be put aside. made: the paths of hives that no
    source had; changed: of those in which the registry changes. Raises UsageError for changes that no hive of a
    layer can have.
    """

    def __init__(
        self,
        recipe: Recipe,
        base: Image | None,
        trees: Sequence[SourceTree],
        temp_dir: str | os.PathLike[str] | None,
        *,
        bare: bool,
    ) -> None:
        self._base = base
        self._trees = trees
        self._temporary = temp_dir
        self._bare = bare
        self._changes = [by_hive(layer.registry) for layer in recipe.layers]
        self.made: list[str] = []
        self.changed: list[str] = []
        self.warnings: list[str] = []

    # --- of the base layer ----------------------------------------------------------

    def find(self) -> None:
        """Look for the hives that the sources bring; there will be one for each that they do not.

        Raises HiveError for one that is not valid.
        """
        if self._bare:
            return
        tree = self._trees[0]
        for hive in CONFIG_HIVES:
            try:
                data = self._brought(hive)
                if data is not None:
                    check_base_hive(data)
            except HiveError as error:
                error.at(hive.config)
                error.hint = "; ".join(filter(None, (error.hint, "leave it out, and a minimal one is made")))
                raise
            if data is None:
                tree.add_file(_in_tree(hive), b"")
                self.made.append(hive.config)

    def _brought(self, hive: ConfigHive) -> bytes | None:
        """The hive that the sources of the base layer have; None if they have none."""
        node = self._trees[0].find(_in_tree(hive).split("/"))
        if node is None:
            return None
        shown = f"{FILES}/{node.path}"
        if node.kind is not Kind.FILE:
            raise HiveError(f"{node.kind.value}, where a base layer needs a registry hive", path=shown)
        if node.data is not None:
            return node.data
        [origin] = node.origins
        check_size(origin.found.st_size, shown)
        return origin.folder.read(origin.host, origin.found)

    def make(self, created: int) -> None:
        """Make what no source has, and the changes in all; `created` is the FILETIME of both."""
        if self._base is not None or self._bare:
            return
        tree, changes = self._trees[0], self._changes[0]
        for hive in CONFIG_HIVES:
            made = hive.config in self.made
            if not made and hive not in changes.hives:
                continue
            data, changed, missed = base_hive(hive, changes, None if made else self._brought(hive), created)
            self.warnings += missed
            if changed:
                self.changed.append(hive.config)
            if made:
                tree.add_file(_in_tree(hive), data)
            elif changed:
                tree.change_file(_in_tree(hive), data)

    # --- above it -------------------------------------------------------------------

    def check_base(self, layers: Sequence[LayerIndex], created: int, *, fix: bool) -> bool:
        """Look for empty hives in the base: warn of them, or (fix) put minimal ones into the lowest new layer.

        Windows cannot load an empty file as a hive. layers: those of the base, base first. created: the FILETIME of
        the new hives. fix: also where the base has no such file. Returns True if the tree of the new layer has changed.
        """
        view, tree = LowerView(layers[::-1]), self._trees[0]
        broken: list[ConfigHive] = []
        for hive in CONFIG_HIVES:
            found = view.lookup(hive.config)
            is_empty = isinstance(found, File) and found.size == 0
            if (is_empty or (fix and found is None)) and tree.find(_in_tree(hive).split("/")) is None:
                broken.append(hive)
        if broken and not fix:
            names = ", ".join(hive.name for hive in broken)
            self.warnings.append(
                f"registry hives of the base are empty files, which Windows refuses: {names};"
                " --fix-base-hives puts minimal ones into the new layer"
            )
        for hive in broken if fix else ():
            tree.add_file(_in_tree(hive), minimal_hive(created))
            self.made.append(hive.config)
        return fix and bool(broken)

    def differencing(self, writer: ImageWriter, created: int) -> Sequence[Mapping[str, bytes]]:
        """The differencing hives of each new layer by their paths; none where the registry changes in no such layer.

        writer: may hold copies of the base's blobs on the local disk. Raises what reading the base's layers raises.
        """
        first = 1 if self._base is None else 0
        changes = self._changes[first:]
        none: list[dict[str, bytes]] = [{} for _ in self._changes]
        if self._bare or not any(one.hives for one in changes):
            return none
        with ExitStack() as stack:
            files: HiveStack | None = None

            def view_of(hive: ConfigHive) -> Hive | None:
                nonlocal files
                if self._base is None:
                    data = self._brought(hive)
                    return None if data is None else read_hive(data)
                if files is None:
                    layers = [replace(one, blobs=writer.nearest(one.blobs)).source() for one in self._base.layers]
                    files = stack.enter_context(collect_hives(layers, temp_dir=self._temporary))
                return files.view(hive)

            made, changed, missed = differencing_hives(changes, view_of, created)
            self.warnings += missed
            if files is not None:
                self.warnings += files.warnings
        self.changed += changed
        return [*none[:first], *made]


def _in_tree(hive: ConfigHive) -> str:
    """Its path on drive C:."""
    return hive.config.removeprefix(f"{FILES}/")
