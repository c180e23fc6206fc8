"""An entry as a Win32 backup stream, and back: what Windows' own file APIs and transport folders hold.

Reading looks over the whole stream first, so it needs to seek: EAs may come after
the data, and the size of a sparse file stands behind its last block. hcsshim,
which only reads forwards, loses those, and streams of directories, of reparse points
and of files without a DATA stream. The names of other hard links (LINK) are about
other entries, and are passed over.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO, Final

from ...body import CHUNK, HoledBody, StreamBody
from ...entry import AlternateStream, Body, Directory, Entry, ExtendedAttribute, File
from ...errors import BackupStreamError, FormatError
from ...win32.attributes import FILE_ATTRIBUTE_DIRECTORY
from ...win32.backup_stream import (
    HEADER_SIZE,
    STREAM_ATTRIBUTE_SPARSE,
    StreamHeader,
    StreamId,
    pack_header,
    parse_header,
)
from ...win32.ea import build_ea_list, parse_ea_list
from ...win32.names import check_component
from ...win32.reparse import MAXIMUM_REPARSE_DATA_BUFFER_SIZE, decode, link_target

__all__ = ["backup_head", "backup_tail", "entries_from_backup", "has_data"]

Times = tuple[int | None, int | None, int | None, int | None]

_TYPE: Final = ":$DATA"
_KNOWN: Final = frozenset(StreamId)
# Streams that are read whole, and the largest that NTFS gives; a larger one is no metadata.
_LIMITS: Final = {
    StreamId.EA_DATA: 1 << 20,
    StreamId.SECURITY_DATA: 1 << 20,
    StreamId.PROPERTY_DATA: 1 << 20,
    StreamId.OBJECT_ID: 1 << 10,
    StreamId.REPARSE_DATA: 8 + MAXIMUM_REPARSE_DATA_BUFFER_SIZE * 4,  # go-winio writes up to the format's 64 KiB
    StreamId.TXFS_DATA: 1 << 20,
}


@dataclass(slots=True)
class _Data:
    """Where the bytes of one file or stream are: plain from `start`, or (`start` is -1) in sparse blocks."""

    start: int
    size: int
    blocks: list[tuple[int, int, int]] = field(default_factory=list)  # (offset in file, length, position)

    def add(self, header: StreamHeader, position: int) -> None:
        offset = header.offset or 0
        if offset < self.size:
            raise BackupStreamError(
                "sparse blocks out of order", offset=position, expected=f"{self.size:,}", got=offset
            )
        if header.size:
            self.blocks.append((offset, header.size, position))
        self.size = offset + header.size

    def body(self, stream: BinaryIO, path: str) -> Body:
        if self.start >= 0:
            return StreamBody(self.size, _Region(stream, [(self.start, self.size)]).read, path=path)
        region = _Region(stream, [(position, length) for _, length, position in self.blocks])
        return HoledBody(self.size, [(offset, length) for offset, length, _ in self.blocks], region.read, path)


class _Region:
    """Parts of a file object, read as one."""

    def __init__(self, stream: BinaryIO, parts: list[tuple[int, int]]) -> None:
        self._stream = stream
        self._parts = parts[::-1]

    def read(self, n: int) -> bytes:
        while self._parts:
            position, left = self._parts.pop()
            if not left:
                continue
            self._stream.seek(position)
            data = self._stream.read(min(n, left, CHUNK))
            if not data:
                return b""
            self._parts.append((position + len(data), left - len(data)))
            return data
        return b""


@dataclass(slots=True)
class _Found:
    """All that one look over a backup stream finds."""

    small: dict[int, bytes] = field(default_factory=dict)
    data: _Data | None = None
    named: list[tuple[str, _Data]] = field(default_factory=list)


def _scan(stream: BinaryIO, position: int) -> _Found:
    found = _Found()
    current: _Data | None = None
    end = stream.seek(0, 2)
    while position < end:
        stream.seek(position)
        partial = parse_header(stream.read(HEADER_SIZE), position)
        header = partial.complete(stream.read(partial.more))
        start = position + HEADER_SIZE + partial.more
        if start + header.size > end:
            raise BackupStreamError(
                "the backup stream ends inside a stream's data",
                offset=start,
                expected=f"{header.size:,} bytes",
                got=f"{end - start:,}",
            )
        if header.id == StreamId.SPARSE_BLOCK:
            if current is None or current.start >= 0:
                raise BackupStreamError("a sparse block that follows no sparse stream", offset=position)
            current.add(header, start)
        elif header.id in (StreamId.DATA, StreamId.ALTERNATE_DATA):
            sparse = bool(header.attributes & STREAM_ATTRIBUTE_SPARSE)
            # A sparse stream of no bytes has its data in the blocks that follow.
            current = _Data(-1 if sparse and not header.size else start, header.size)
            if header.id == StreamId.ALTERNATE_DATA:
                found.named.append((_stream_name(header.name, position), current))
            elif found.data is not None:
                raise BackupStreamError("a second DATA stream", offset=position)
            else:
                found.data = current
        elif header.id not in _KNOWN:
            raise BackupStreamError("a stream of an unknown kind", offset=position, expected="1 to 10", got=header.id)
        else:
            current = None
            if header.id != StreamId.LINK:
                found.small[header.id] = _small(stream, header, start)
        position = start + header.size
    return found


def _small(stream: BinaryIO, header: StreamHeader, start: int) -> bytes:
    limit = _LIMITS[StreamId(header.id)]
    if header.size > limit:
        raise BackupStreamError(
            f"a {StreamId(header.id).name} stream too large",
            offset=start,
            expected=f"at most {limit:,} bytes",
            got=f"{header.size:,}",
        )
    stream.seek(start)
    return stream.read(header.size)


def _stream_name(name: str, position: int) -> str:
    plain = name.removeprefix(":").removesuffix(_TYPE)
    try:
        check_component(plain)
        if not name.startswith(":"):
            raise BackupStreamError("a stream name without its colon", expected=":name:$DATA")
    except FormatError as error:
        raise BackupStreamError(f"the name of a stream: {error}", offset=position, got=repr(name)) from None
    return plain


def entries_from_backup(
    path: str, file_attributes: int, times: Times, stream: BinaryIO, size: int | None = None, *, start: int = 0
) -> Iterator[tuple[Entry, Body | None]]:
    """The entry `path` in the backup stream that the seekable `stream` has from byte `start`, then its named streams.

    times: creation, last access, last write and change, as FILETIMEs. size: what the file system says of the file's
    size, where that is known. A body is valid until the next entry. Raises BackupStreamError and its kin.
    """
    found = _scan(stream, start)
    small = found.small
    creation, access, write, change = times
    reparse = small.get(StreamId.REPARSE_DATA)
    if reparse is not None:
        decode(reparse)
    common = {
        "file_attributes": file_attributes,
        "creation_time": creation,
        "last_access_time": access,
        "last_write_time": write,
        "change_time": change,
        "security_descriptor": small.get(StreamId.SECURITY_DATA),
        "extended_attributes": _extended_attributes(small.get(StreamId.EA_DATA, b"")),
        "reparse_data": reparse,
        "object_id": small.get(StreamId.OBJECT_ID),
        "backup_streams": tuple(
            (int(number), small[number]) for number in (StreamId.PROPERTY_DATA, StreamId.TXFS_DATA) if number in small
        ),
    }
    data = found.data
    if file_attributes & FILE_ATTRIBUTE_DIRECTORY:
        if data is not None:
            raise BackupStreamError("a directory with a DATA stream", path=path, got=f"{data.size:,} bytes")
        yield Directory(path, **common), None  # type: ignore[arg-type]
    else:
        length = 0 if data is None else data.size
        if size is not None and size != length:
            raise BackupStreamError(
                "the data are not as long as the file", path=path, expected=f"{size:,} bytes", got=f"{length:,}"
            )
        file = File(path, size=length, data_stream=data is not None, **common)  # type: ignore[arg-type]
        yield file, None if data is None else data.body(stream, path)
    for name, part in found.named:
        yield AlternateStream(path, name, part.size), part.body(stream, f"{path}:{name}")


def _extended_attributes(data: bytes) -> tuple[ExtendedAttribute, ...]:
    return tuple(sorted(parse_ea_list(data), key=lambda ea: ea.name))


def backup_head(entry: Directory | File) -> Iterator[bytes]:
    """The streams before an entry's data: SECURITY, EA, REPARSE."""
    for number, data in (
        (StreamId.SECURITY_DATA, entry.security_descriptor or b""),
        (StreamId.EA_DATA, build_ea_list(entry.extended_attributes)),
        (StreamId.REPARSE_DATA, entry.reparse_data or b""),
    ):
        if data:
            yield pack_header(StreamHeader(number, len(data))) + data


def has_data(entry: File) -> bool:
    """Does it get a DATA stream? Symlinks and junctions without data do not."""
    return bool(entry.size) or entry.reparse_data is None or link_target(entry.reparse_data) is None


def backup_tail(entry: Directory | File) -> Iterator[tuple[int, bytes]]:
    """The streams after an entry's data and named streams, with their numbers: OBJECT_ID, PROPERTY_DATA, TXFS_DATA."""
    if entry.object_id is not None:
        yield (
            StreamId.OBJECT_ID,
            pack_header(StreamHeader(StreamId.OBJECT_ID, len(entry.object_id))) + entry.object_id,
        )
    for number, data in entry.backup_streams:
        yield number, pack_header(StreamHeader(number, len(data))) + data
