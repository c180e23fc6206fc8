"""Squash: layers that lie on each other become one, which shows what they show together.

All of them: a base layer, with no whiteouts and nothing below. The top ones: a
non-base layer over the lower layers. The layers are read twice, so that nothing but names is
kept: once to find out who wins at each path, once for the content of the winners.

The order of the result: directories, each with its streams, as hcsshim walks; the
hives of the registry that were merged (`squash_hives`); files, in the order in which
the layers bring them; hard links; whiteouts, so that who takes one entry after the
other, as programs for other systems do, finds the target of each link.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeAlias

from ...entry import AlternateStream, Body, Directory, Entry, File, HardLink, Source, Whiteout
from ...errors import LayerError, StorageError, UsageError, with_context
from ...host.errors import host_errors
from ...host.spool import Spool
from ...layertar.reader import TarSource
from ...stores.folder.source import LayerFolder
from ...union.rules import FILES, HIVES, UTILITY_VM, check_utility_vm
from ...union.tree import Folder, LayerNames, MergedTree
from ..hives.merge import HiveStack
from ..stack import check_parents
from .hives import BASE_FIRST, SquashedHives
from .plan import Contents, Plan

__all__ = ["SquashedLayer", "check_range"]

Step: TypeAlias = tuple[Entry, Body | None]


class SquashedLayer:
    """The layers from number `first` on of `layers`, base first, as one; those below are read too, for their names.

    first: 0 makes a base layer of all. drop_utility_vm: leave the utility VM out of that. parents: the diff_ids
    that those below `first` are to have, if that matters. temp_dir: the folder for what has to be put aside. reading:
    called with the number of bytes of files that have been read so far, twice over.

    entries() raises LayerError and its kin for layers that could not be imported so, and what reading them raises;
    StorageError for one that changes between the two readings. `warnings` grows meanwhile.
    """

    restartable = True

    def __init__(
        self,
        layers: Sequence[Source],
        *,
        first: int = 0,
        parents: Sequence[str] | None = None,
        drop_utility_vm: bool = False,
        temp_dir: str | os.PathLike[str] | None = None,
        reading: Callable[[int], None] | None = None,
    ) -> None:
        check_range(len(layers), first, drop_utility_vm=drop_utility_vm)
        for number, layer in enumerate(layers):
            if not layer.restartable:
                raise UsageError(
                    f"layer {number} can be read only once, as from a pipe, and squash reads each layer twice",
                    hint="give the tar as a file",
                )
            if isinstance(layer, LayerFolder) and layer.base != (number == 0):
                what = "a base layer that is not the lowest" if number else "the lowest layer is no base layer"
                raise UsageError(what, path=layer.path, hint=BASE_FIRST)
        self._layers = layers
        self._first = first
        self._parents = parents
        self._drop_utility_vm = drop_utility_vm
        self._temporary = temp_dir
        self._reading = reading
        self._read = 0
        self._marks: dict[int, bytes] = {}  # of what each layer had when it was read first
        self._diff_ids = [layer.diff_id if isinstance(layer, LayerFolder) else None for layer in layers]
        self.warnings: list[str] = []
        self._check_parents()

    @property
    def base(self) -> bool:
        """Is it a base layer?"""
        return self._first == 0

    def entries(self) -> Iterator[Step]:
        self.warnings.clear()
        self._read = 0
        self._marks.clear()
        with (
            Spool(self._temporary) as spool,
            HiveStack(temp_dir=self._temporary) as registry,
        ):
            again = [ReopenableLayer(partial(self._entries, number)) for number in range(len(self._layers))]
            hives = SquashedHives(again, self._first, registry, spool)
            view, lower = self._names(spool, hives)
            hives.prepare(view)
            plan = Plan(view, lower, self._first)
            self.warnings += plan.clear_short_names()
            for path, name in plan.directories():
                if isinstance(name.entry, Directory):
                    yield replace(name.entry, path=path, short_name=name.short), None
                for stream, content in name.streams or ():
                    yield AlternateStream(path, stream, content.size), spool.open(content)
            yield from hives.entries(view)
            self.warnings += hives.warnings
            contents = plan.contents()
            yield from self._files(contents)
            for link in contents.hard_links():
                yield link, None
            for path in plan.whiteouts:
                yield Whiteout(path), None

    # --- the first pass -----------------------------------------------------------

    def _check_parents(self) -> None:
        """Layer folders know what they were imported onto; and the result may have to lie on given layers."""
        for number, layer in enumerate(self._layers):
            if isinstance(layer, LayerFolder) and number:
                try:
                    check_parents(layer, self._diff_ids[number - 1 :: -1])
                except UsageError as error:
                    error.hint = BASE_FIRST
                    raise
        if self._parents is None:
            return
        if len(self._parents) != self._first:
            raise UsageError(
                "the layers to put it on are not those that it is squashed over",
                expected=f"{self._first} below it",
                got=len(self._parents),
            )
        for number, (wanted, found) in enumerate(zip(self._parents, self._diff_ids, strict=False)):
            if found is not None and found != wanted:
                raise UsageError(
                    f"layer {number} is another one than that which the result is to lie on",
                    expected=wanted,
                    got=found,
                    hint="squash over the very layers of the image that it goes into",
                )

    def _diff_id(self, number: int) -> str | None:
        """Of a tar that has just been read, and of a folder that was imported from one."""
        layer = self._layers[number]
        if isinstance(layer, TarSource):
            return layer.summary().diff_id
        return layer.diff_id if isinstance(layer, LayerFolder) else None

    def _names(self, spool: Spool, hives: SquashedHives) -> tuple[MergedTree, MergedTree | None]:
        """What all layers show, and what those show that are not squashed."""
        view, lower = MergedTree(), None
        descriptors: dict[bytes, bytes] = {}
        for number in range(len(self._layers)):
            if number and number == self._first:
                lower = view.copy()
            names = LayerNames(number, view, spool, descriptors)
            with _in_layer(number):
                for entry, body in self._entries(number):
                    self._check(entry, number)
                    names.add(entry, body)
                    hives.see(number, entry, body)
                if number == 0 and not isinstance(names.root.find(FILES), Folder):
                    raise LayerError("no Files/ in a base layer", expected="the directory Files", hint=BASE_FIRST)
                hives.check(number, names)
            view.put(names)
        self._diff_ids = [self._diff_id(number) for number in range(len(self._layers))]
        self._check_parents()
        if self._drop_utility_vm:
            view.remove(UTILITY_VM)
        return view, lower

    def _check(self, entry: Entry, number: int) -> None:
        """May the layer have such an entry, seen from the result?"""
        root = entry.path.partition("/")[0]
        if number == 0 and (isinstance(entry, Whiteout) or root == HIVES):
            raise LayerError(
                "the lowest layer is no base layer, which has no whiteouts and no Hives/",
                path=entry.path,
                hint=BASE_FIRST,
            )
        if self.base and not self._drop_utility_vm:
            check_utility_vm(entry.path)

    def _entries(self, number: int) -> Iterator[Step]:
        """Those of a layer. Raises StorageError at the end if they are not the same as the first time."""
        marks = hashlib.blake2b()
        steps = self._layers[number].entries()
        while True:
            with _in_layer(number):
                step = next(steps, None)
            if step is None:
                break
            entry, body = step
            marks.update(_mark(entry))
            yield entry, None if body is None else _LayerBody(body, number, entry.path)
            if body is not None and self._reading is not None:
                self._read += body.size
                self._reading(self._read)
        if self._marks.setdefault(number, marks.digest()) != marks.digest():
            raise _changed(number, None)

    # --- the second pass ----------------------------------------------------------

    def _files(self, contents: Contents) -> Iterator[Step]:
        for layer, wanted in sorted(contents.files.items()):
            path: str | None = None  # of the file that streams are of
            left = len(wanted)
            for number, (entry, body) in enumerate(self._entries(layer)):
                if isinstance(entry, AlternateStream):
                    if path is not None:
                        yield replace(entry, path=path), body
                    continue
                path, name = wanted.get(number, (None, None))
                if path is None or name is None or name.file is None:
                    continue
                if not isinstance(entry, File) or entry.path.rpartition("/")[2] != name.file.name:
                    raise _changed(layer, entry.path)
                left -= 1
                yield replace(entry, path=path, short_name=name.short), body
            if left or self._diff_id(layer) != self._diff_ids[layer]:
                raise _changed(layer, None)


def check_range(count: int, first: int, *, drop_utility_vm: bool = False) -> None:
    """Raise UsageError if the layers from `first` on, out of `count`, cannot be squashed."""
    if count < 1:
        raise UsageError("nothing to squash", expected="at least one layer")
    if not 0 <= first < count:
        raise UsageError(
            "there is no such layer to squash from", expected=f"0 to {count - 1}, the base being 0", got=first
        )
    if drop_utility_vm and first:
        raise UsageError(
            "the utility VM cannot be left out of a layer over others, which have it",
            hint="squash all layers, from the base up",
        )


def _mark(entry: Entry) -> bytes:
    """What tells an entry from another that is there in its place later; a file that is written to has a new time."""
    more: tuple[object, ...] = ()
    if isinstance(entry, File):
        more = entry.size, entry.last_write_time
    elif isinstance(entry, AlternateStream):
        more = entry.name, entry.size
    elif isinstance(entry, HardLink):
        more = (entry.target,)
    return repr((type(entry).__name__, entry.path, *more)).encode()


def _changed(layer: int, path: str | None) -> StorageError:
    return StorageError(f"layer {layer} has changed while it was read", path=path, hint="squash again")


@contextmanager
def _in_layer(number: int, path: str | None = None) -> Iterator[None]:
    """Name the layer in errors of the block; an error of the host is about the entry `path`."""
    name = f"layer {number}"
    with with_context(layer=name), host_errors(path or name):
        yield


@dataclass(frozen=True, slots=True)
class ReopenableLayer:
    """A layer for those who have to look into it once more."""

    entries: Callable[[], Iterator[Step]]
    restartable: bool = True


class _LayerBody:
    """A body of an entry of layer `number`, whose errors name that layer, not the place it is written to."""

    __slots__ = ("_body", "_number", "_path", "size")

    def __init__(self, body: Body, number: int, path: str) -> None:
        self._body = body
        self._number = number
        self._path = path
        self.size = body.size

    def read(self, n: int = -1, /) -> bytes:
        with _in_layer(self._number, self._path):
            return self._body.read(n)

    def extents(self) -> Sequence[tuple[int, int]]:
        return self._body.extents()

    def chunks(self) -> Iterator[tuple[int, bytes]]:
        with _in_layer(self._number, self._path):
            yield from self._body.chunks()
