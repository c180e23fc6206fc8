"""Import: a layer tar becomes a layer folder, as hcsshim's `wclayer import` makes one."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from contextlib import ExitStack

from ..entry import Progress, ProgressCallback, Summary
from ..errors import DigestMismatchError, UsageError, with_context
from ..layertar.reader import TarSource
from ..stores.folder.sink import FolderSink
from ..stores.folders import new_folder, on_windows
from ..stores.transport.folder import TransportFolder
from ..stores.windows.hcs_sink import HcsSink
from .stack import Stack
from .tars import TarFile, tar_input
from .windows.hcs_import import finish_import
from .windows.processing import PENDING, PROCESSING, is_pending, mark_done, process_folder
from .windows.service import service

__all__ = ["import_layer_from_tar", "parse_digest"]

_SHA256 = re.compile(r"(?:sha256:)?([0-9a-f]{64})", re.ASCII)


def parse_digest(text: str) -> str:
    """`sha256:HEX` of a digest that may lack its algorithm. Raises UsageError."""
    found = _SHA256.fullmatch(text)
    if found is None:
        raise UsageError("a digest", expected="sha256: and 64 lower-case hexadecimal digits", got=text)
    return f"sha256:{found[1]}"


def import_layer_from_tar(
    source: TarFile,
    output: str | os.PathLike[str],
    parents: Sequence[str | os.PathLike[str]] = (),
    *,
    diff_id: str | None = None,
    force: bool = False,
    plain: bool = False,
    processing: bool = True,
    progress: ProgressCallback | None = None,
) -> Summary:
    """Make the layer folder `output` from a layer tar (plain, gzip or zstd), given as a path or a binary file object.

    parents: the layer folders below it, nearest first and base last; none for a base layer.
    diff_id: the digest that the uncompressed tar must have (`sha256:` may be left out).
    force: replace an `output` that exists, once the new one is complete; otherwise it must be absent, or empty.
    plain: a plain tree with all metadata in layer.db, whatever the file system could hold.
    processing: on Windows, unless `plain`, have the host compute service process the layer, as hcsshim does; a layer
        without that can be read, and processed later by process_layer(), but not run.
    progress: called after each entry; `done` counts the bytes of files.

    Returns the summary of the tar, digests included. Raises FormatError for what is not a valid layer,
    DigestMismatchError, AlreadyExistsError, UsageError for parents in a wrong order, StorageError and
    other errors of the host; in each case `output` is unchanged.
    """
    expected = None if diff_id is None else parse_digest(diff_id)
    process = processing and not plain and on_windows() and not isinstance(output, TransportFolder)
    with ExitStack() as context:
        if process:
            context.enter_context(service("importing a layer", parents))
            force = force or is_pending(output)
        stack = context.enter_context(Stack(parents))
        below, diff_ids = stack if parents else None, stack.diff_ids
        sink: FolderSink
        if process and below is not None:
            sink = HcsSink(output, parents[0], parents=below, parent_diff_ids=diff_ids, force=force)
        else:
            sink = new_folder(output, parents=below, parent_diff_ids=diff_ids, force=force, plain=plain)
        tar = TarSource(context.enter_context(tar_input(source)), framing=sink.add_framing)

        def finish() -> None:
            if parents:
                finish_import(output, parents)
            else:
                process_folder(output)
            mark_done(output)

        with sink:
            for entry, body in tar.entries():
                with with_context(path=entry.path, offset=tar.offset):
                    sink.add(entry, body)
                if progress is not None:
                    progress(Progress(tar.so_far.bytes, None, entry))
            summary = tar.summary()
            if expected is not None and summary.diff_id != expected:
                raise DigestMismatchError(
                    "the tar is not the one asked for: its diff_id differs",
                    path=os.fspath(output),
                    expected=expected,
                    got=summary.diff_id,
                )
            values: dict[str, str | int | None] = {"diff_id": summary.diff_id, "tar_size": summary.tar_size}
            made = sink.commit(values | {PROCESSING: PENDING}, finish) if process else sink.commit(values)
    summary.warnings += made.warnings
    return summary
