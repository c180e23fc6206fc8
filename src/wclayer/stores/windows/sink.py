"""Making a layer folder on Windows: real objects of NTFS, through the backup API, as hcsshim's import makes them.

Each object is created relative to its directory's handle, gets its attributes and
times first, then all that a backup stream can say, and its times again when the data
are there. layer.db has all of it too, and what the volume made of it where that is
something else, so that export tells what somebody has changed since.
"""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from dataclasses import replace
from typing import Final

from ...entry import AlternateStream, Body, Directory, File, Lower
from ...errors import UnsupportedError
from ...host.errors import shown
from ...native import files, handles
from ...native.backup import BackupWriter
from ...native.privileges import IMPORT, privileges
from ...native.volumes import file_system_of
from ...union.rules import stream_astray_error
from ...win32.attributes import (
    FILE_ATTRIBUTE_DIRECTORY,
    FILE_ATTRIBUTE_NORMAL,
    FILE_ATTRIBUTE_REPARSE_POINT,
    FILE_ATTRIBUTE_SPARSE_FILE,
)
from ...win32.backup_stream import StreamHeader, StreamId, pack_header
from ...win32.names import encode_wtf8
from ..folder.defaults import DIRECTORY_DESCRIPTOR, FILE_DESCRIPTOR
from ..folder.maker import ObjectMaker, StreamOwner
from ..folder.names import OpenDirectory
from ..folder.sink import FolderSink
from ..folder.unfinished import StoredFile, UnfinishedLayer
from ..ntfs.backup import backup_head, backup_tail, has_data
from ..ntfs.data_stream import write_data_stream
from ..record.writer import Row, Times, times_of
from ..root.root_windows import WindowsRoot

__all__ = ["HELD", "UNHELD", "WindowsMaker", "WindowsSink", "check_volume", "held_by", "secure"]

HELD: Final = "held"  # in the record's extra: attributes and times as the volume has them, where it has others
UNHELD: Final = "unheld"  # the fields that the volume does not hold, with commas

# FILE_ATTRIBUTE_VALID_SET_FLAGS, PINNED and UNPINNED; the others follow from what an object is, or no call sets them.
_SETTABLE: Final = 0x31A7 | 0x8_0000 | 0x10_0000
_TEMPORARY: Final = 0x100  # which no directory may have


def held_by(handle: int, attributes: int, times: Times) -> bytes | None:
    """For HELD: what the volume has made of attributes and times; None where that is what it was given."""
    now, held = files.basic_info(handle)
    now |= attributes & FILE_ATTRIBUTE_REPARSE_POINT
    if now == attributes and all(given in (None, time) for given, time in zip(times, held, strict=True)):
        return None
    return b" ".join(b"%d" % value for value in (now, *held))


def check_volume(folder: bytes) -> None:
    """Raise UnsupportedError unless the folder lies on NTFS, as no other file system holds all of a layer."""
    name = file_system_of(shown(folder))
    if name.upper() != "NTFS":
        raise UnsupportedError(
            "a file system that cannot hold a Windows layer",
            path=shown(folder),
            expected="NTFS",
            got=name or "one without a name",
            hint="choose a folder on an NTFS volume, or --plain for a plain tree with all metadata in layer.db",
        )


def secure(root: WindowsRoot, fs_path: bytes, descriptor: bytes) -> None:
    """Give an object a security descriptor; wants the privileges of an import."""
    with root.handle(fs_path, handles.NEW_OBJECT) as handle, BackupWriter(handle) as writer:
        writer.write(pack_header(StreamHeader(StreamId.SECURITY_DATA, len(descriptor))) + descriptor)


class WindowsSink(FolderSink):
    """Make a layer folder on NTFS, on Windows (see FolderSink).

    Raises AccessError for privileges that are missing, UnsupportedError for another file system.
    """

    store = "windows"

    def _new_maker(self, layer: UnfinishedLayer) -> ObjectMaker:
        return WindowsMaker(layer)


class WindowsMaker(ObjectMaker):
    """Makes objects of NTFS through handles. Raises what WindowsSink does."""

    _root: WindowsRoot

    def __init__(self, layer: UnfinishedLayer) -> None:
        super().__init__(layer)
        self._unheld: Counter[str] = Counter()
        self._writer: BackupWriter | None = None
        self._handle = 0
        check_volume(layer.path)
        layer.held.enter_context(privileges(IMPORT))

    def warnings(self) -> list[str]:
        if not self._unheld:
            return []
        counts = ", ".join(f"{count:,} {name}" for name, count in sorted(self._unheld.items()))
        return [f"not on the volume, which would not take it, but in layer.db: {counts}"]

    def close(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            try:
                writer.close()
            finally:
                handles.close(self._handle)

    def host_name(self, parent: OpenDirectory, name: str) -> tuple[bytes, dict[str, bytes]]:
        fs_path = encode_wtf8(name)
        return (b"%b/%b" % (parent.fs_path, fs_path) if parent.fs_path else fs_path), {}

    # --- one object -------------------------------------------------------------

    def _new(
        self, entry: Directory | File, fs_path: bytes, *, directory: bool, disposition: int = handles.CREATE
    ) -> BackupWriter:
        """Create an object, or OPEN one, and give it all but its data; it stays open until _finish()."""
        self.close()
        self._handle = self._root.open_handle(
            fs_path, handles.NEW_OBJECT, disposition=disposition, directory=directory, attributes=FILE_ATTRIBUTE_NORMAL
        )
        self._writer = writer = BackupWriter(self._handle)
        self._set_basic(self._handle, entry.file_attributes, times_of(entry))
        if entry.security_descriptor is None:
            # What it would inherit depends on where the folder lies.
            entry = replace(entry, security_descriptor=DIRECTORY_DESCRIPTOR if directory else FILE_DESCRIPTOR)
        if entry.file_attributes & FILE_ATTRIBUTE_SPARSE_FILE and not directory:
            with suppress(OSError):  # the data are the same
                files.set_sparse(self._handle)
        for piece in backup_head(entry):
            writer.write(piece)
        return writer

    def make_directory(self, entry: Directory, fs_path: bytes) -> int:
        self._new(entry, fs_path, directory=True)
        return 0

    def make_file(self, entry: File, body: Body | None, fs_path: bytes, extra: dict[str, bytes]) -> StoredFile:
        writer = self._new(entry, fs_path, directory=False)
        if not has_data(entry):
            return StoredFile()
        return StoredFile(0, write_data_stream(self._layer, writer.write, entry, body, extra))

    def make_stream(
        self,
        entry: AlternateStream,
        body: Body | None,
        owner: bytes,  # noqa: ARG002
        extra: dict[str, bytes],
    ) -> StoredFile:
        if self._writer is None:
            raise stream_astray_error(entry.path, entry.name)
        return StoredFile(0, write_data_stream(self._layer, self._writer.write, entry, body, extra))

    def take_streams(self, parents: Lower, path: str, fs_path: bytes) -> None:
        for name in parents.streams(path):
            body = parents.open(path, name)
            self.make_stream(AlternateStream(path, name, body.size), body, fs_path, {})

    def finish(self, owner: StreamOwner) -> None:
        entry, writer = owner.entry, self._writer
        if writer is None:
            return
        unheld: set[str] = set()
        try:
            for number, piece in backup_tail(entry):
                try:
                    writer.write(piece)
                except OSError:  # an ID that another object has, or what NTFS no longer takes
                    unheld.add("object ID" if number == StreamId.OBJECT_ID else "backup streams")
                    break
            if entry.short_name is not None:
                try:
                    files.set_short_name(self._handle, entry.short_name)
                except (OSError, UnsupportedError):
                    unheld.add("short name")
            writer.close()
            if isinstance(entry, File):
                self._set_basic(self._handle, entry.file_attributes, times_of(entry))
                self._note_held(owner.id, entry.file_attributes, times_of(entry), self._handle)
        finally:
            self.close()
        if unheld:
            self._record.add_extra(owner.id, UNHELD, ",".join(sorted(unheld)).encode())
            self._unheld.update(unheld)

    def _set_basic(self, handle: int, attributes: int, times: Times) -> None:
        settable = _SETTABLE & ~_TEMPORARY if attributes & FILE_ATTRIBUTE_DIRECTORY else _SETTABLE
        # Of no attributes at all Windows makes "leave them".
        files.set_basic_info(handle, attributes & settable or FILE_ATTRIBUTE_NORMAL, times)

    def _note_held(self, number: int, attributes: int, times: Times, handle: int) -> None:
        """Remember what the volume has made of attributes and times, where that is not what it was given."""
        if (held := held_by(handle, attributes, times)) is not None:
            self._record.add_extra(number, HELD, held)

    def make_hard_link(self, row: Row, source: bytes, fs_path: bytes) -> None:
        self._root.link(source, fs_path)
        with self._root.handle(source, handles.WRITE_ATTRIBUTES) as handle:  # a further name changes them
            self._set_basic(handle, row.attributes, row.times)

    def finish_directory(self, fs_path: bytes, row: Row) -> None:
        with self._root.handle(fs_path, handles.WRITE_ATTRIBUTES, directory=True) as handle:
            self._set_basic(handle, row.attributes, row.times)
            self._note_held(row.id, row.attributes, row.times, handle)

    def copy_boot_file(self, source: bytes, target: bytes) -> None:
        super().copy_boot_file(source, target)
        secure(self._root, target, FILE_DESCRIPTOR)
