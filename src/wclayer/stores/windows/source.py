"""Reading a layer folder on Windows, whoever made it: what BackupRead says of each object.

What the volume says counts. Where the record knows an object, each field that is still
what import left there has the recorded value, so that what NTFS cannot hold comes back
too. *Changed*: any of its metadata, its size, or its last write time and content.
Short names are those of the record: Windows makes them up for every long name.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from typing import Any, Final

from ...body import CHUNK
from ...entry import AlternateStream, Body, Directory, Entry, ExtendedAttribute, File, HardLink
from ...errors import BackupStreamError, FormatError
from ...host.errors import shown
from ...native import files, handles
from ...native.backup import BackupReader
from ...native.privileges import EXPORT, privileges
from ...win32.attributes import FILE_ATTRIBUTE_ENCRYPTED, FILE_ATTRIBUTE_NORMAL, FILE_ATTRIBUTE_REPARSE_POINT
from ...win32.backup_stream import STREAM_ATTRIBUTE_SPARSE, StreamId
from ...win32.ea import parse_ea_list
from ...win32.names import check_component, upcase
from ...win32.security import SecurityDescriptor
from ..folder.body import FolderBody, PiecesBody
from ..folder.defaults import DIRECTORY_DESCRIPTOR, FILE_DESCRIPTOR, resized
from ..folder.source import LayerFolder
from ..folder.tree import Links, Node
from ..ntfs.metadata import NtfsMetadata, check_exportable, entry_of
from ..ntfs3g.attributes import attributes_now
from ..ntfs3g.sink import Ntfs3gSink
from ..record.writer import Kind, Row, hard_link
from ..root.root_windows import WindowsRoot
from .sink import HELD, UNHELD

__all__ = ["WindowsLayer"]

_LIMIT: Final = 1 << 20  # bytes of what is read whole; NTFS has no larger descriptors, EAs or reparse data
_TYPE: Final = ":$DATA"
_SACL_PRESENT: Final = 0x0010
_SAID: Final = 0x0004 | 0x0010 | 0x1000 | 0x2000  # SE_DACL_PRESENT, SE_SACL_PRESENT, and both PROTECTED


@dataclass(slots=True)
class _Streams:
    """What one look over an object's backup stream finds."""

    small: dict[int, bytes] = field(default_factory=dict)
    data: bool = False
    extents: tuple[tuple[int, int], ...] | None = None  # of the data, where they are sparse
    named: dict[str, tuple[int, tuple[tuple[int, int], ...] | None]] = field(default_factory=dict)  # size, extents


class WindowsLayer(LayerFolder):
    """A layer folder on NTFS, on Windows (see FolderTree). Closed by the thread that opened it.

    Raises AccessError for privileges that are missing.
    """

    _root: WindowsRoot

    def __init__(self, *args: Any, **options: Any) -> None:
        self._undo = ExitStack()
        self._undo.enter_context(privileges(EXPORT))
        self._last: tuple[bytes, _Streams] | None = None
        try:
            super().__init__(*args, **options)
        except BaseException:
            self._undo.close()
            raise

    def close(self) -> None:
        try:
            super().close()
        finally:
            self._undo.close()

    # --- one entry ------------------------------------------------------------

    def _look(self, fs_path: bytes) -> tuple[NtfsMetadata, _Streams, int]:
        """What the volume has of an object, and its size."""
        with self._root.handle(fs_path, handles.READ_BACKUP) as handle:
            found = files.information(handle)
            streams = _scan(handle, fs_path)
        self._last = fs_path, streams
        small = streams.small
        reparse = small.get(StreamId.REPARSE_DATA)
        attributes = found.attributes | (FILE_ATTRIBUTE_REPARSE_POINT if reparse is not None else 0)
        eas = sorted(parse_ea_list(small.get(StreamId.EA_DATA, b"")), key=lambda ea: ea.name)
        live = NtfsMetadata(
            attributes,
            found.times,
            small.get(StreamId.SECURITY_DATA) or None,
            tuple(eas),
            reparse,
            small.get(StreamId.OBJECT_ID),
        )
        return live, streams, found.size

    def _entry(self, node: Node, links: Links | None) -> tuple[Entry, Body | None]:
        root = None if node.row is None else self._root_row(node.row)
        if links is not None and (first := links.seen(node.found)) is not None:
            return self._further_name(node, root, first), None
        live, streams, size = self._look(node.fs_path)
        recorded: Directory | File | None = None
        if root is not None and self._record is not None and (root.kind == Kind.DIRECTORY) == live.is_directory:
            recorded = self._record.entry(root, node.path)
        if recorded is None or root is None:
            root = None
            check_exportable(node.path, live)
            entry = replace(entry_of(node.path, live, size), backup_streams=_other(streams))
            if isinstance(entry, File):
                entry = replace(entry, data_stream=streams.data)
        else:
            entry = self._merged(recorded, root, live, streams)
            if entry.reparse_data != recorded.reparse_data or live.attributes & FILE_ATTRIBUTE_ENCRYPTED:
                check_exportable(node.path, live)
        if isinstance(entry, Directory):
            node.changed = node.row is not None and entry != recorded
            return entry, None
        return self._with_data(node, live, entry, recorded, root, streams, size, links)

    def _with_data(
        self,
        node: Node,
        live: NtfsMetadata,
        entry: File,
        recorded: Directory | File | None,
        root: Row | None,
        streams: _Streams,
        size: int,
        links: Links | None,
    ) -> tuple[File | HardLink, Body | None]:
        fs_path, extents = node.fs_path, streams.extents
        if isinstance(recorded, File) and root is not None:
            if (backup := self._boot_original(node, recorded)) is not None:
                fs_path, size = backup
                extents = self._extents(root) if size == recorded.size else None
                entry = recorded if size == recorded.size else resized(recorded, size)
            elif self._same_data(node, recorded, entry, root, size):
                extents = self._extents(root)
            else:
                entry = replace(
                    resized(entry, size),
                    last_access_time=live.times[1],
                    last_write_time=live.times[2],
                    change_time=live.times[3],
                )
            node.changed = entry != recorded and fs_path == node.fs_path
        if links is not None:
            if not node.changed and root is not None and (link := self._link(node, root, links)):
                return link, None
            links.note(node.found, node.path, node.found.st_nlink)
        if not size:
            return entry, None
        return entry, FolderBody(self._root, fs_path, size, extents, node.path)

    def _same_data(self, node: Node, recorded: File, entry: File, root: Row, size: int) -> bool:
        """Has the file, still written when import did, or of the same digest, its recorded data?"""
        if recorded.size != size:
            return False
        if entry.last_write_time == recorded.last_write_time and not self._verify_content:
            return True
        if root.sha256 is None:
            return True
        body = FolderBody(self._root, node.fs_path, size, self._extents(root), node.path)
        return self._same_content(body, root)

    def _held(self, row: Row) -> tuple[tuple[int, ...], set[str]]:
        """Attributes and times as import left them on the volume; the fields that it did not take."""
        more = self._record.more(row) if self._record else {}
        values = tuple(int(text) for text in more.get(HELD, b"").split() if text.isdigit() and len(text) <= 20)
        if len(values) != 5:
            creation, access, write, change = (0 if time is None else time for time in row.times)
            values = (row.attributes, creation, access, write, change)
        return values, set(more.get(UNHELD, b"").decode("ascii", "replace").split(","))

    def _merged(self, recorded: Directory | File, row: Row, live: NtfsMetadata, streams: _Streams) -> Directory | File:
        """`recorded` with all that is otherwise on the volume than import left it; itself, where nothing is."""
        (attributes, creation, _, write, _), unheld = self._held(row)
        changes: dict[str, Any] = {}
        if self.store == Ntfs3gSink.store:  # whose driver drops some
            held = attributes_now(recorded.file_attributes, live.attributes, directory=live.is_directory)
            attributes = live.attributes if held == recorded.file_attributes else attributes
        if live.attributes not in (attributes, recorded.file_attributes):
            changes["file_attributes"] = live.attributes or FILE_ATTRIBUTE_NORMAL
        # Wine has no creation times, and gives the last write time for one.
        made_up = live.is_directory and live.times[0] == live.times[2]
        if (
            recorded.creation_time is not None
            and live.times[0] not in (creation, recorded.creation_time)
            and not made_up
        ):
            changes["creation_time"] = live.times[0]
        # That of a directory changes with what lies in it.
        if (
            isinstance(recorded, File)
            and recorded.last_write_time is not None
            and live.times[2] not in (write, recorded.last_write_time)
        ):
            changes["last_write_time"] = live.times[2]
        default = FILE_DESCRIPTOR if isinstance(recorded, File) else DIRECTORY_DESCRIPTOR
        other = _other(streams)
        looked_at: tuple[tuple[str, str, Any, bool], ...] = (
            (
                "descriptor",
                "security_descriptor",
                live.descriptor,
                _same_descriptor(live.descriptor, recorded.security_descriptor or default),
            ),
            (
                "extended attributes",
                "extended_attributes",
                live.extended_attributes,
                _sorted(live.extended_attributes) == _sorted(recorded.extended_attributes),
            ),
            ("reparse data", "reparse_data", live.reparse_data, live.reparse_data == recorded.reparse_data),
            ("object ID", "object_id", live.object_id, _padded(live.object_id) == _padded(recorded.object_id)),
            ("backup streams", "backup_streams", other, dict(other) == dict(recorded.backup_streams)),
        )
        changes |= {key: now for name, key, now, same in looked_at if not same and name not in unheld}
        if not changes:
            return recorded
        return replace(recorded, last_access_time=live.times[1], change_time=live.times[3], **changes)

    def _further_name(self, node: Node, root: Row | None, first: str) -> HardLink:
        """A further name of a file whose first name has been given."""
        if node.row is not None and root is not None:
            row = node.row if node.row.kind == Kind.LINK else root
            return hard_link(node.path, first, row.attributes, row.times)
        found = self._root.information(node.fs_path)
        return hard_link(node.path, first, found.attributes, found.times)

    # --- streams ----------------------------------------------------------------

    def _streams_of(self, fs_path: bytes) -> _Streams:
        if self._last is None or self._last[0] != fs_path:
            self._look(fs_path)
        return self._last[1] if self._last is not None else _Streams()

    def _body(self, path: str, fs_path: bytes, name: str) -> FolderBody:
        size, extents = self._streams_of(fs_path).named[name]
        pieces = _pieces(self._root, fs_path, name)
        return PiecesBody(self._root, fs_path, size, extents, pieces, f"{path}:{name}", dense=False)

    def _streams(self, node: Node) -> Iterator[tuple[AlternateStream, FolderBody]]:
        known: list[str] = []
        if node.row is not None and self._record is not None:
            known = [row.name[1:] for row in self._record.streams(self._root_row(node.row))]
        found = self._streams_of(node.fs_path).named
        for name in (*(name for name in known if name in found), *(name for name in found if name not in known)):
            with closing(self._body(node.path, node.fs_path, name)) as body:
                yield AlternateStream(node.path, name, body.size), body

    def _open_stream(self, node: Node, name: str) -> FolderBody | None:
        for found in self._streams_of(node.fs_path).named:
            if upcase(found) == upcase(name):
                return self._body(node.path, node.fs_path, found)
        return None

    def _recorded_stream(self, path: str, fs_path: bytes, row: Row) -> tuple[FolderBody, bool] | None:
        name = row.name[1:]
        if name not in self._streams_of(fs_path).named:
            return None
        body = self._body(path, fs_path, name)
        if body.size != row.size:
            return body, True
        # Writing to a stream need not change the file's times.
        same = self._same_content(body, row)
        return self._body(path, fs_path, name), not same

    def _further_streams(
        self, path: str, fs_path: bytes, known: set[str]
    ) -> Iterator[tuple[AlternateStream, FolderBody]]:
        for name in self._streams_of(fs_path).named:
            if name not in known:
                with closing(self._body(path, fs_path, name)) as body:
                    yield AlternateStream(path, name, body.size), body


def _scan(handle: int, fs_path: bytes) -> _Streams:
    """All streams of an object, with their data only where it is small."""
    found = _Streams()
    blocks: list[tuple[int, int]] | None = None  # of the sparse stream that is being read
    end = 0
    current: str | None = None

    def finish() -> None:
        nonlocal blocks
        if blocks is not None and current is not None:
            found.named[current] = (end, tuple(blocks))
        elif blocks is not None:
            found.extents = tuple(blocks)
        blocks = None

    with BackupReader(handle) as reader:
        for header in reader.streams():
            if header.id == StreamId.SPARSE_BLOCK:
                if blocks is None:
                    raise BackupStreamError("a sparse block that follows no sparse stream", path=shown(fs_path))
                if header.size:
                    blocks.append((header.offset or 0, header.size))
                end = (header.offset or 0) + header.size
                continue
            finish()
            sparse = bool(header.attributes & STREAM_ATTRIBUTE_SPARSE) and not header.size
            if header.id == StreamId.DATA:
                found.data, current = True, None
            elif header.id == StreamId.ALTERNATE_DATA:
                current = header.name.removeprefix(":").removesuffix(_TYPE)
                check_component(current)
                found.named[current] = (header.size, None)
            elif header.id != StreamId.LINK:
                if header.size > _LIMIT:
                    raise BackupStreamError(
                        "metadata larger than NTFS has them",
                        path=shown(fs_path),
                        expected=f"at most {_LIMIT:,} bytes",
                        got=f"{header.size:,}",
                    )
                found.small[header.id] = reader.read()
                continue
            if sparse and header.id != StreamId.LINK:
                blocks, end = [], 0
        finish()
    return found


def _pieces(root: WindowsRoot, fs_path: bytes, name: str) -> Generator[bytes, None, None]:
    """The allocated data of a named stream."""
    with root.handle(fs_path, handles.READ_BACKUP) as handle, BackupReader(handle) as reader:
        inside = False
        for header in reader.streams():
            if header.id == StreamId.ALTERNATE_DATA:
                if inside:
                    return
                inside = header.name.removeprefix(":").removesuffix(_TYPE) == name
            elif inside and header.id != StreamId.SPARSE_BLOCK:
                return
            while inside and (data := reader.read(CHUNK)):
                yield data


def _other(streams: _Streams) -> tuple[tuple[int, bytes], ...]:
    numbers = (StreamId.PROPERTY_DATA, StreamId.TXFS_DATA)
    return tuple((int(number), streams.small[number]) for number in numbers if number in streams.small)


def _sorted(eas: tuple[ExtendedAttribute, ...]) -> list[tuple[bytes, bytes, int]]:
    """Extended attributes as NTFS has them, names in upper case; without $KERNEL.*, which only the kernel can set."""
    found = ((ea.name.upper(), ea.value, ea.flags) for ea in eas)
    return sorted(ea for ea in found if not ea[0].startswith(b"$KERNEL."))


def _padded(object_id: bytes | None) -> bytes | None:
    return None if object_id is None else object_id.ljust(64, b"\0")


def _same_descriptor(one: bytes | None, other: bytes | None) -> bool:
    """Do two descriptors say the same, wherever in them owner, group and lists lie?"""
    if one == other or one is None or other is None:
        return one == other
    try:
        mine, theirs = SecurityDescriptor.from_bytes(one), SecurityDescriptor.from_bytes(other)
    except FormatError:
        return False
    return _said(mine) == _said(theirs)


def _said(descriptor: SecurityDescriptor) -> SecurityDescriptor:
    """What counts of it: the other bits tell how a list came about, and Windows sets them as it likes."""
    control = descriptor.control & _SAID
    return replace(descriptor, control=control if descriptor.sacl else control & ~_SACL_PRESENT, sbz1=0)
