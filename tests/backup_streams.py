"""An entry's backup stream as the sinks write it, whole."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from wclayer.entry import AlternateStream, Body, Directory, File
from wclayer.stores.folder.unfinished import UnfinishedLayer
from wclayer.stores.ntfs.backup import backup_head, backup_tail, has_data
from wclayer.stores.ntfs.data_stream import write_data_stream


def backup_from_entry(
    entry: Directory | File, body: Body | None, streams: Iterable[tuple[AlternateStream, Body]] = ()
) -> bytes:
    nothing: Any = None  # what streams are written into is not asked for
    layer = UnfinishedLayer(b"", b"", nothing, nothing, base=True)
    pieces = list(backup_head(entry))
    if isinstance(entry, File) and has_data(entry):
        write_data_stream(layer, pieces.append, entry, body, {})
    for stream, content in streams:
        write_data_stream(layer, pieces.append, stream, content, {})
    pieces += (data for _, data in backup_tail(entry))
    return b"".join(pieces)
