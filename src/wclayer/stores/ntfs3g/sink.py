"""Making a layer folder on an NTFS volume that ntfs-3g has mounted: the volume holds what Windows is to see.

layer.db has all of it too. That is how export tells what somebody has changed since,
and what the driver cannot hold is only there: change times, some attributes, a
descriptor without an owner (see `ntfs3g`). What Windows would miss is counted in a
warning.
"""

from __future__ import annotations

import os
from collections import Counter
from typing import Final

from ...entry import AlternateStream, Body, Directory, Entry, File, Lower
from ...errors import InexpressibleError, LayerError, StorageError
from ...win32.attributes import FILE_ATTRIBUTE_ARCHIVE
from ...win32.names import encode_wtf8
from ...win32.reparse import is_name_surrogate, reparse_tag, tag_name
from ..folder.defaults import DIRECTORY_DESCRIPTOR, FILE_DESCRIPTOR
from ..folder.maker import ObjectMaker, StreamOwner
from ..folder.names import OpenDirectory
from ..folder.sink import FolderSink
from ..folder.unfinished import StoredFile, UnfinishedLayer
from ..record.writer import LAYER_DB, Row
from .attributes import NtfsFiles, unheld_attributes
from .mount import check_names

__all__ = ["UNHELD", "Ntfs3gSink"]

UNHELD: Final = "unheld"  # in the record's extra: the fields that the volume does not hold, with commas


class Ntfs3gSink(FolderSink):
    """Make a layer folder on an ntfs-3g mount (see FolderSink)."""

    store = "ntfs3g"

    def _new_maker(self, layer: UnfinishedLayer) -> ObjectMaker:
        return _Ntfs3gMaker(layer)

    def add(self, entry: Entry, body: Body | None = None, /) -> None:
        try:
            super().add(entry, body)
        except FileExistsError as error:
            raise LayerError(
                "the name is the short (DOS) name of another entry",
                path=entry.path,
                hint="leave one of the two out of the tar",
            ) from error


class _Ntfs3gMaker(ObjectMaker):
    """Makes what the driver can make, and counts what it cannot hold."""

    def __init__(self, layer: UnfinishedLayer) -> None:
        super().__init__(layer)
        self._unheld: Counter[str] = Counter()
        self._opaque: dict[bytes, int] = {}  # directories whose content the driver does not show, and their tags
        check_names(self._root)
        self._files = NtfsFiles(self._root)
        # What the driver gives to new files lets everyone write.
        self._files.put(b"", b"system.ntfs_acl", DIRECTORY_DESCRIPTOR)
        self._files.put(LAYER_DB, b"system.ntfs_acl", FILE_DESCRIPTOR)

    def warnings(self) -> list[str]:
        if not self._unheld:
            return []
        counts = ", ".join(f"{count:,} {field}" for field, count in sorted(self._unheld.items()))
        return [f"not on the volume, as ntfs-3g cannot hold it, but in layer.db: {counts}"]

    def before_it_appears(self) -> None:
        try:
            self._root.sync()
        except OSError as error:
            # A loop device takes all, and says only now that the file behind it could not.
            raise StorageError(
                f"not all could be written to the volume: {error.strerror}",
                path=os.fsdecode(self._layer.target),
                hint="if it is in a disk image with holes: has the file system that this lies on room for it?",
            ) from error

    def host_name(self, parent: OpenDirectory, name: str) -> tuple[bytes, dict[str, bytes]]:
        tag = self._opaque.get(parent.fs_path)
        if tag is not None:
            raise InexpressibleError(
                "it lies in a directory that is a reparse point, whose content ntfs-3g does not show",
                path=f"{os.fsdecode(parent.fs_path)}/{name}",
                got=tag_name(tag),
                hint="import the layer into a folder that is not on NTFS",
            )
        fs_path = encode_wtf8(name)
        return (b"%b/%b" % (parent.fs_path, fs_path) if parent.fs_path else fs_path), {}

    def make_directory(self, entry: Directory, fs_path: bytes) -> int:
        self._root.mkdir(fs_path)
        if entry.reparse_data is not None and not is_name_surrogate(tag := reparse_tag(entry.reparse_data)):
            self._opaque[fs_path] = tag
        return 0

    def make_file(self, entry: File, body: Body | None, fs_path: bytes, extra: dict[str, bytes]) -> StoredFile:
        return self._write(fs_path, entry.path, entry, body, extra)

    def make_stream(
        self, entry: AlternateStream, body: Body | None, owner: bytes, extra: dict[str, bytes]
    ) -> StoredFile:
        fs_path = b"%b:%b" % (owner, encode_wtf8(entry.name))
        return self._write(fs_path, f"{entry.path}:{entry.name}", entry, body, extra)

    def take_streams(self, parents: Lower, path: str, fs_path: bytes) -> None:
        for name in parents.streams(path):
            body = parents.open(path, name)
            entry = AlternateStream(path, name, body.size)
            self._write(b"%b:%b" % (fs_path, encode_wtf8(name)), f"{path}:{name}", entry, body, {})

    def _write(
        self, fs_path: bytes, path: str, entry: File | AlternateStream, body: Body | None, extra: dict[str, bytes]
    ) -> StoredFile:
        fd = self._root.create(fs_path)
        try:
            return StoredFile(0, self._layer.fill(fd, path, entry, body, extra))
        finally:
            os.close(fd)

    def finish(self, owner: StreamOwner) -> None:
        entry = owner.entry
        unheld = self._files.dress(owner.fs_path, entry)
        if unheld:
            self._record.add_extra(owner.id, UNHELD, ",".join(sorted(unheld)).encode())
        if unheld_attributes(entry):
            unheld.add("attributes")
        if entry.backup_streams:
            unheld.add("backup streams")
        self._unheld.update(unheld)

    def make_hard_link(self, row: Row, source: bytes, fs_path: bytes) -> None:
        self._root.link(source, fs_path)
        if not row.attributes & FILE_ATTRIBUTE_ARCHIVE:  # which the driver sets with a further name
            self._files.set_attributes(source, row.attributes)

    def finish_directory(self, fs_path: bytes, row: Row) -> None:
        self._files.finish_directory(fs_path, row.attributes, row.times)

    def copy_boot_file(self, source: bytes, target: bytes) -> None:
        super().copy_boot_file(source, target)
        self._files.put(target, b"system.ntfs_acl", FILE_DESCRIPTOR)
