"""Export: a layer folder becomes a layer tar, byte for byte as hcsshim's `wclayer export` would write it."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import BinaryIO

from ..entry import Entry, Summary
from ..errors import UsageError, WclayerError
from ..layertar.compression import Compressed, Compression
from ..layertar.writer import TarWriter
from ..stores.host import host_errors
from ..stores.posix_source import PosixLayer
from .stack import Stack, check_parents

__all__ = ["export_layer_to_tar"]


def export_layer_to_tar(
    stream: BinaryIO,
    path: str | os.PathLike[str],
    parents: Sequence[str | os.PathLike[str]] = (),
    *,
    compression: Compression = "none",
    level: int | None = None,
    modes: bool = False,
    progress: Callable[[Entry, Summary], None] | None = None,
) -> Summary:
    """Write the layer in the layer folder `path` as a tar to the binary file object `stream`.

    parents: the layer folders below it, nearest first and base last. They are not needed; where they are given, it is
        checked that they are the ones it was imported onto, and a folder without a record counts as a non-base layer.
    compression: `gzip`, `zstd` or `none`; level: 1 to 9 for gzip, 1 to 19 for zstd.
    modes: add 0644 and 0755 to the modes, as Microsoft's own tars have them.
    progress: called after each entry, with it and the counts so far.

    Returns the summary, digests included. Raises NotFoundError, RecordError, UsageError, InexpressibleError for what
    a layer tar cannot hold, StorageError and its kin; what was written to `stream` until then is no layer.
    """
    with Stack(parents) as stack, PosixLayer(path, non_base=True if parents else None) as layer:
        if parents:
            if layer.base:
                raise UsageError("parents for a base layer, which has none", path=layer.path)
            check_parents(layer, stack.diff_ids)
        with host_errors("the output"):
            packed = Compressed(stream, compression, level)
            with TarWriter(packed, modes=modes) as writer:
                for entry, body in layer.entries():
                    try:
                        writer.add(entry, body)
                    except WclayerError as error:
                        error.at(entry.path)
                        raise
                    if progress is not None:
                        progress(entry, writer.so_far)
                summary = writer.commit()
            packed.close()
            stream.flush()
    summary.compression, summary.compressor = packed.compression, packed.compressor
    summary.blob_size = summary.tar_size if packed.size is None else packed.size
    summary.digest = packed.digest() or summary.diff_id
    return summary
