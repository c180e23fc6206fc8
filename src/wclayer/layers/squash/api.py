"""Squash what people have: layer tars, layer folders or sources become one layer tar, or a layer folder."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TypeAlias

from ...entry import Entry, Progress, ProgressCallback, Source, Summary
from ...errors import UsageError, with_context
from ...host.errors import host_errors
from ...layertar.compression import Compressed, Compression
from ...layertar.writer import TarWriter
from ...stores.folders import new_folder, open_folder
from ..opening import open_layer
from ..tars import TarFile, tar_output
from .layer import SquashedLayer

__all__ = ["AnyLayer", "squash_layers", "squash_to_folder"]

AnyLayer: TypeAlias = str | os.PathLike[str] | Source

_DESCRIPTORS = 64  # of directories that are open at once, of all layers


def squash_layers(
    sources: Sequence[AnyLayer],
    output: TarFile,
    *,
    first: int = 0,
    parent_diff_ids: Sequence[str] | None = None,
    drop_utility_vm: bool = False,
    compression: Compression = "none",
    level: int | None = None,
    force: bool = False,
    temp_dir: str | os.PathLike[str] | None = None,
    progress: ProgressCallback | None = None,
) -> Summary:
    """Make one layer of several, and write it as a tar to `output`, a path or a binary file object.

    sources: base first, as in an OCI manifest: layer tars and layer folders by their paths, or sources. All have to be
    there, and each is read twice.
    first: the number of the lowest layer that is squashed. 0 makes a base layer; any other a layer that goes over those
    below it.
    parent_diff_ids: those of the layers that the result is to lie on, base first: they must be those below `first`.
    drop_utility_vm: leave the utility VM out of a base layer.
    compression: `gzip`, `zstd` or `none`; level: 1 to 9 for gzip, 1 to 19 for zstd.
    force: replace the file at `output`.
    temp_dir: a folder for what has to be put aside: registry hives, streams of directories.
    progress: called with the bytes of files read so far, of both passes, and after each entry that is written.

    Returns the summary, digests and warnings included. Raises UsageError for layers in a wrong order, other parents and
    a pipe, LayerError and its kin for layers that could not be imported so, HiveError for registry hives that cannot be
    merged, what reading the layers raises, StorageError and other errors of the host; then there is no
    new file at `output`, and a file object has a part of the layer.
    """
    tracker = None if progress is None else _Tracker(progress)
    with _all_opened(sources) as opened:
        squashed = SquashedLayer(
            opened,
            first=first,
            parents=parent_diff_ids,
            drop_utility_vm=drop_utility_vm,
            temp_dir=temp_dir,
            reading=None if tracker is None else tracker.read,
        )
        with tar_output(output, force=force) as stream, host_errors("the output"):
            with Compressed(stream, compression, level) as packed, TarWriter(packed) as tar:
                for entry, body in squashed.entries():
                    tar.add(entry, body)
                    if tracker is not None:
                        tracker.wrote(entry)
                summary = tar.commit()
            stream.flush()
    packed.describe(summary)
    summary.warnings += squashed.warnings
    return summary


def squash_to_folder(
    path: str | os.PathLike[str],
    layers: Sequence[AnyLayer],
    *,
    drop_utility_vm: bool = False,
    force: bool = False,
    temp_dir: str | os.PathLike[str] | None = None,
    progress: ProgressCallback | None = None,
) -> Summary:
    """Make a base layer of all `layers`, in the layer folder `path`; the rest is as squash_layers has it.

    force: replace a `path` that exists, once the new one is whole; otherwise it must be absent, or empty. On any error
    nothing is left at `path` that was not there before.
    """
    tracker = None if progress is None else _Tracker(progress)
    with _all_opened(layers) as sources:
        squashed = SquashedLayer(
            sources,
            drop_utility_vm=drop_utility_vm,
            temp_dir=temp_dir,
            reading=None if tracker is None else tracker.read,
        )
        so_far = Summary()
        with new_folder(path, force=force) as sink:
            for entry, body in squashed.entries():
                with with_context(path=entry.path):
                    sink.add(entry, body)
                so_far.count(entry)
                so_far.bytes += 0 if body is None else body.size
                if tracker is not None:
                    tracker.wrote(entry)
            summary = sink.commit()
    summary.warnings += squashed.warnings
    return summary


class _Tracker:
    """Reports the bytes that were read of all layers, in both passes, and the entries that were written."""

    def __init__(self, progress: ProgressCallback) -> None:
        self._progress = progress
        self._done = 0

    def read(self, done: int) -> None:
        self._done = done
        self._progress(Progress(done))

    def wrote(self, entry: Entry) -> None:
        self._progress(Progress(self._done, None, entry))


@contextmanager
def _all_opened(layers: Sequence[AnyLayer]) -> Iterator[list[Source]]:
    with ExitStack() as stack:
        yield [stack.enter_context(_opened(layer, number, len(layers))) for number, layer in enumerate(layers)]


@contextmanager
def _opened(layer: AnyLayer, number: int, count: int) -> Iterator[Source]:
    """Layer `number` as a source. Raises UsageError for what can be read only once."""
    if not isinstance(layer, str | os.PathLike):
        yield layer
        return
    path = os.fspath(layer)
    if os.path.isdir(path):
        few = max(1, _DESCRIPTORS // count)
        with open_folder(layer, non_base=True if number else None, descriptors=few) as folder:
            yield folder
        return
    tar = open_layer(path)
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise UsageError(
            "this can be read only once, and squash reads each layer twice", path=path, hint="give the tar as a file"
        )
    yield tar
