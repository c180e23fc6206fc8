"""Making objects as Win32 backup streams, a piece at a time as entries come."""

from __future__ import annotations

from abc import ABC
from collections.abc import Callable

from ...entry import AlternateStream, Body, File
from ...win32.backup_stream import STREAM_ATTRIBUTE_SPARSE, StreamHeader, StreamId, pack_header
from ..folder.maker import ObjectMaker

__all__ = ["BackupMaker"]


class BackupMaker(ObjectMaker, ABC):
    """An ObjectMaker that writes backup streams."""

    def _backup(
        self, write: Callable[[bytes], None], entry: File | AlternateStream, body: Body | None, extra: dict[str, bytes]
    ) -> bytes:
        """Write a data stream, its header first, one with holes as blocks; the SHA-256 of what is allocated."""
        number, name, path = StreamId.DATA, "", entry.path
        if isinstance(entry, AlternateStream):
            number, name, path = StreamId.ALTERNATE_DATA, f":{entry.name}:$DATA", f"{entry.path}:{entry.name}"
        size = entry.size
        if not size or body is None or tuple(body.extents()) == ((0, size),):
            write(pack_header(StreamHeader(number, size, 0, name)))
            return self._layer.copy_body(path, entry, body, extra, lambda _, chunk: write(chunk))
        write(pack_header(StreamHeader(number, 0, STREAM_ATTRIBUTE_SPARSE, name)))

        def block(offset: int, chunk: bytes) -> None:
            header = StreamHeader(StreamId.SPARSE_BLOCK, len(chunk), STREAM_ATTRIBUTE_SPARSE, "", offset)
            write(pack_header(header) + chunk)

        digest = self._layer.copy_body(path, entry, body, extra, block)
        block(size, b"")
        return digest
