"""Export: a layer folder becomes a layer tar.

Where the folder was imported from a tar, that very tar; else, or where asked for, what
hcsshim's `wclayer export` would write, byte for byte.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Sequence
from contextlib import ExitStack, closing
from typing import Literal

from ..entry import Progress, ProgressCallback, Summary
from ..errors import DigestMismatchError, UsageError, WclayerError
from ..host.errors import host_errors
from ..layertar.compression import Compressed, Compression
from ..layertar.writer import TarWriter
from ..stores.folder.source import Framed, LayerFolder
from ..stores.folders import is_plain, on_windows, open_folder
from ..stores.transport.folder import TransportFolder
from .stack import Stack, check_parents
from .tars import TarFile, tar_output
from .windows.hcs_export import exported
from .windows.scratch import prepared

__all__ = ["export_layer_to_tar"]


def export_layer_to_tar(
    source: str | os.PathLike[str],
    output: TarFile,
    parents: Sequence[str | os.PathLike[str]] = (),
    *,
    compression: Compression = "none",
    level: int | None = None,
    framing: Literal["original", "canonical"] | None = None,
    modes: bool = False,
    verify_content: bool = False,
    processing: bool = True,
    force: bool = False,
    progress: ProgressCallback | None = None,
) -> Summary:
    """Write the layer in the layer folder `source` as a tar to `output`, a path or a binary file object.

    parents: the layer folders below it, nearest first and base last. They are not needed; where they are given, it is
        checked that they are the ones it was imported onto, and a folder without a record counts as a non-base layer.
    compression: `gzip`, `zstd` or `none`; level: 1 to 9 for gzip, 1 to 19 for zstd.
    framing: `original` gives the tar that the folder was imported from: order, headers and padding of all that was not
        edited by hand; edited files are encoded again, new ones come at the end. `canonical` gives hcsshim's. None:
        `original` where it is known, and no `modes` are asked for.
    verify_content: read every file to see whether it was edited, whatever its mtime.
    processing: on Windows, have the host compute service prepare the layer first, as hcsshim does.
    modes: add 0644 and 0755 to the modes, as Microsoft's own tars have them.
    force: replace the file at `output`.
    progress: called after each entry; `done` counts the bytes of files.

    Returns the summary, digests included. Raises NotFoundError, RecordError, UsageError, DigestMismatchError where a
    folder that nobody edited does not give the tar that it came from, InexpressibleError for what
    a layer tar cannot hold, StorageError and other errors of the host; then there is no new
    file at `output`, and a file object has a part of the layer.
    """
    if modes and framing == "original":
        raise UsageError("modes in the original framing, which has its own", hint="say --framing canonical")
    non_base = True if parents else None
    with ExitStack() as context:
        native = processing and on_windows() and not isinstance(source, TransportFolder) and not is_plain(source)
        if native:
            context.enter_context(prepared(source, parents))
        stack = context.enter_context(Stack(parents))
        if native and parents:
            layer: LayerFolder = context.enter_context(exported(source, parents, verify_content=verify_content))
        else:
            layer = context.enter_context(open_folder(source, non_base=non_base, verify_content=verify_content))
        if native and not parents and not layer.base:
            raise UsageError(
                "a non-base layer without its parents, which Windows wants to export it",
                path=layer.path,
                hint="give the layers below it with -l, nearest first and base last",
            )
        if parents:
            if layer.base:
                raise UsageError("parents for a base layer, which has none", path=layer.path)
            check_parents(layer, stack.diff_ids)
        original = framing != "canonical" and not modes and layer.has_framing
        if framing == "original" and not original:
            raise UsageError("the original framing is not known", path=layer.path, hint="say --framing canonical")
        with tar_output(output, force=force) as stream, host_errors("the output"):
            with Compressed(stream, compression, level) as packed:
                with TarWriter(packed, modes=modes) as writer:
                    with closing(layer.framed() if original else _canonical(layer)) as steps:
                        for step in steps:
                            _write(writer, step)
                            if progress is not None and step.entry is not None:
                                progress(Progress(writer.so_far.bytes, None, step.entry))
                    summary = writer.commit(end=not original)
                if original and not layer.edited and summary.diff_id != layer.diff_id:
                    raise DigestMismatchError(
                        "the folder does not give the tar it was imported from, though nothing looks edited",
                        path=layer.path,
                        expected=layer.diff_id,
                        got=summary.diff_id,
                        hint="`wclayer status --verify-content` finds what was edited without a trace",
                    )
            stream.flush()
        summary.warnings += layer.warnings
    packed.describe(summary)
    return summary


def _canonical(layer: LayerFolder) -> Generator[Framed, None, None]:
    for entry, body in layer.entries():
        yield Framed(entry, body)


def _write(writer: TarWriter, step: Framed) -> None:
    entry = step.entry
    try:
        if step.piece is not None:
            writer.add_framed(step.piece, entry, step.body)
        elif entry is not None:
            writer.add(entry, step.body)
    except WclayerError as error:
        if entry is not None:
            error.at(entry.path)
        raise
