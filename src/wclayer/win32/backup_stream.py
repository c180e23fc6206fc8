"""Win32 backup streams: what BackupRead returns and BackupWrite takes (WIN32_STREAM_ID, winbase.h; [MS-BKUP]).

A file or directory is a series of streams, each a header

    uint32 dwStreamId
    uint32 dwStreamAttributes
    uint64 Size                 of the data that follow the name, in bytes
    uint32 dwStreamNameSize     in bytes
    name                        UTF-16, `:name:$DATA`, only of ALTERNATE_DATA

and its data, without padding. The data of a SPARSE_BLOCK begin with a uint64, the
offset in the file of the bytes that follow; `StreamHeader.size` does not count it,
as in go-winio.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from ..errors import BackupStreamError
from .names import from_utf16, to_utf16

__all__ = [
    "HEADER_SIZE",
    "STREAM_ATTRIBUTE_SPARSE",
    "PartialHeader",
    "StreamHeader",
    "StreamId",
    "pack_header",
    "parse_header",
    "parse_streams",
]

HEADER_SIZE: Final = 20
STREAM_ATTRIBUTE_SPARSE: Final = 8

_HEADER: Final = struct.Struct("<IIQI")
_OFFSET: Final = struct.Struct("<Q")
# Bytes of NTFS's longest stream name, with its colons and type. BackupRead gives no longer one, so no stranger's
# header makes us read megabytes of a name.
_MAX_NAME_SIZE: Final = 2 * (255 + 32)
_MAX_INT64: Final = (1 << 63) - 1


class StreamId(IntEnum):
    """dwStreamId."""

    DATA = 1
    EA_DATA = 2
    SECURITY_DATA = 3
    ALTERNATE_DATA = 4
    LINK = 5
    PROPERTY_DATA = 6
    OBJECT_ID = 7
    REPARSE_DATA = 8
    SPARSE_BLOCK = 9
    TXFS_DATA = 10


@dataclass(frozen=True, slots=True)
class StreamHeader:
    """The header of one stream; `id` may be unknown to StreamId, `offset` is that of a SPARSE_BLOCK, in bytes."""

    id: int
    size: int
    attributes: int = 0
    name: str = ""
    offset: int | None = None


@dataclass(frozen=True, slots=True)
class PartialHeader:
    """The first HEADER_SIZE bytes of a header, which are at `position`; the next `more` bytes belong to it too."""

    id: int
    attributes: int
    size: int
    name_size: int
    position: int

    @property
    def more(self) -> int:
        """The number of bytes that complete() needs."""
        return self.name_size + (_OFFSET.size if self.id == StreamId.SPARSE_BLOCK else 0)

    def complete(self, rest: bytes) -> StreamHeader:
        """Complete the header with the `more` bytes behind the fixed part. Raises BackupStreamError."""
        if len(rest) < self.more:
            raise _truncated("a stream's header", self.position, HEADER_SIZE + self.more, HEADER_SIZE + len(rest))
        name = from_utf16(rest[: self.name_size])
        if "\0" in name:
            raise BackupStreamError("name of a stream with a NUL", offset=self.position, got=repr(name))
        if self.id != StreamId.SPARSE_BLOCK:
            return StreamHeader(self.id, self.size, self.attributes, name)
        (offset,) = _OFFSET.unpack_from(rest, self.name_size)
        size = self.size - _OFFSET.size
        if offset + size > _MAX_INT64:
            raise BackupStreamError("sparse block beyond the end of any file", offset=self.position, got=offset)
        return StreamHeader(self.id, size, self.attributes, name, offset)


def _truncated(what: str, offset: int, expected: int, got: int) -> BackupStreamError:
    return BackupStreamError(
        f"the backup stream ends inside {what}", offset=offset, expected=f"{expected:,} bytes", got=f"{got:,}"
    )


def parse_header(fixed: bytes, position: int = 0) -> PartialHeader:
    """Decode the first HEADER_SIZE bytes of a header, which are at `position`. Raises BackupStreamError."""
    if len(fixed) < HEADER_SIZE:
        raise _truncated("a stream's header", position, HEADER_SIZE, len(fixed))
    number, attributes, size, name_size = _HEADER.unpack_from(fixed)
    if size > _MAX_INT64:
        raise BackupStreamError("stream of negative size", offset=position, got=size)
    if name_size % 2 or name_size > _MAX_NAME_SIZE:
        raise BackupStreamError(
            "malformed size of a stream's name",
            offset=position,
            expected=f"even, at most {_MAX_NAME_SIZE}",
            got=name_size,
        )
    if number == StreamId.SPARSE_BLOCK and size < _OFFSET.size:
        raise BackupStreamError("sparse block without its offset", offset=position, expected="8 bytes", got=size)
    return PartialHeader(number, attributes, size, name_size, position)


def pack_header(header: StreamHeader) -> bytes:
    """Encode a header, which the data follow."""
    name = to_utf16(header.name)
    sparse = header.id == StreamId.SPARSE_BLOCK
    size = header.size + (_OFFSET.size if sparse else 0)
    fixed = _HEADER.pack(header.id, header.attributes, size, len(name)) + name
    return fixed + _OFFSET.pack(header.offset or 0) if sparse else fixed


def parse_streams(data: bytes) -> Iterator[tuple[StreamHeader, bytes]]:
    """Yield each stream in `data` with its bytes. Raises BackupStreamError at the first malformed one."""
    position = 0
    while position < len(data):
        partial = parse_header(data[position : position + HEADER_SIZE], position)
        start = position + HEADER_SIZE
        header = partial.complete(data[start : start + partial.more])
        start += partial.more
        position = start + header.size
        if position > len(data):
            raise _truncated("a stream's data", start, header.size, len(data) - start)
        yield header, data[start:position]
