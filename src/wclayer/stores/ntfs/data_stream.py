"""Writing the data of a file or named stream as a Win32 backup stream, a piece at a time."""

from __future__ import annotations

from collections.abc import Callable

from ...entry import AlternateStream, Body, File
from ...win32.backup_stream import STREAM_ATTRIBUTE_SPARSE, StreamHeader, StreamId, pack_header
from ..folder.unfinished import UnfinishedLayer

__all__ = ["write_data_stream"]


def write_data_stream(
    layer: UnfinishedLayer,
    write: Callable[[bytes], None],
    entry: File | AlternateStream,
    body: Body | None,
    extra: dict[str, bytes],
) -> bytes:
    """Write a DATA or ALTERNATE_DATA stream, header first, one with holes as sparse blocks; see layer.copy_body()."""
    number, name, path = StreamId.DATA, "", entry.path
    if isinstance(entry, AlternateStream):
        number, name, path = StreamId.ALTERNATE_DATA, f":{entry.name}:$DATA", f"{entry.path}:{entry.name}"
    size = entry.size
    if not size or body is None or tuple(body.extents()) == ((0, size),):
        write(pack_header(StreamHeader(number, size, 0, name)))
        return layer.copy_body(path, entry, body, extra, lambda _, chunk: write(chunk))
    write(pack_header(StreamHeader(number, 0, STREAM_ATTRIBUTE_SPARSE, name)))

    def block(offset: int, chunk: bytes) -> None:
        header = StreamHeader(StreamId.SPARSE_BLOCK, len(chunk), STREAM_ATTRIBUTE_SPARSE, "", offset)
        write(pack_header(header) + chunk)

    digest = layer.copy_body(path, entry, body, extra, block)
    block(size, b"")
    return digest
