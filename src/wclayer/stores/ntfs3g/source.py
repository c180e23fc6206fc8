"""Reading a layer folder on an NTFS volume that ntfs-3g has mounted, whoever made it.

What the volume says counts. Where the record knows an object, each field that is still
what import wrote has the recorded value, so that what the driver cannot hold comes back
too; where something of a file has changed, its change and access times are the volume's.
*Changed*: any metadata that the driver holds differ from the record, or the size; content
behind an unchanged last write time only with verify_content, for that of streams always.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from typing import TypeGuard

from ...entry import AlternateStream, Body, Directory, Entry, File, HardLink
from ...errors import InexpressibleError, StorageError, UnsupportedError
from ...win32.attributes import FILE_ATTRIBUTE_ENCRYPTED, FILE_ATTRIBUTE_REPARSE_POINT, FILE_ATTRIBUTE_SPARSE_FILE
from ...win32.names import encode_wtf8, upcase
from ...win32.reparse import is_name_surrogate, reparse_tag, tag_name
from ..folder.body import FolderBody, PiecesBody
from ..folder.defaults import resized
from ..folder.source import LayerFolder
from ..folder.tree import Links, Node
from ..ntfs.metadata import LET_WINDOWS, NtfsMetadata, check_exportable, entry_of
from ..record.writer import Kind, Row, hard_link
from .attributes import NtfsFiles, has_changed, merged
from .mount import Volume
from .raw_volume import RawVolume
from .sink import UNHELD

__all__ = ["Ntfs3gLayer"]


class Ntfs3gLayer(LayerFolder):
    """A layer folder on the NTFS `volume` (see FolderTree)."""

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        volume: Volume,
        non_base: bool | None = None,
        verify_content: bool = False,
        descriptors: int = 64,
    ) -> None:
        super().__init__(path, non_base=non_base, verify_content=verify_content, descriptors=descriptors)
        self._files = NtfsFiles(self._root)
        self._raw = RawVolume(volume.device)
        self._lost = self._untold = 0  # short names
        self._listed: tuple[bytes, set[str]] | None = None  # the streams of the object that was met last
        self._object_ids = self._raw.has_object_ids(self.path)

    # --- one entry ------------------------------------------------------------

    def _entry(self, node: Node, links: Links | None) -> tuple[Entry, Body | None]:
        self._listed = None
        root = None if node.row is None else self._root_row(node.row)
        if links is not None and (first := links.seen(node.found)) is not None:
            return self._further_name(node, root, first), None
        live = self._files.live(node.fs_path, node.found, object_id=self._object_ids)
        recorded = self._recorded_entry(root, node.path, live)
        if recorded is None or root is None:
            root = None
            _refuse(node.path, live)
            if links is not None and live.short_name is None and not live.is_directory and node.found.st_nlink > 1:
                live = replace(live, short_name=self._short_name(node))
            entry = entry_of(node.path, live, 0)
        else:
            entry = merged(recorded, live, self._unheld(root))
            if entry.reparse_data != recorded.reparse_data or live.attributes & FILE_ATTRIBUTE_ENCRYPTED:
                _refuse(node.path, live)
        if isinstance(entry, Directory):
            node.changed = node.row is not None and entry != recorded
            return entry, None
        if isinstance(recorded, File) and (backup := self._boot_original(node, recorded)) is not None:
            fs_path, size = backup
            extents = self._extents(root) if size == recorded.size else None
            return _sized(recorded, size), FolderBody(self._root, fs_path, size, extents, node.path)
        file, body = self._with_data(node, live, entry, recorded, root)
        node.changed = node.row is not None and file != recorded
        if links is not None:
            if not node.changed and root is not None and (link := self._link(node, root, links)):
                return link, None
            links.note(node.found, node.path, node.found.st_nlink - (live.short_name is not None))
        return file, body

    def _recorded_entry(self, root: Row | None, path: str, live: NtfsMetadata) -> Directory | File | None:
        if root is None or self._record is None or (root.kind == Kind.DIRECTORY) != live.is_directory:
            return None
        return self._record.entry(root, path)

    def _short_name(self, node: Node) -> str | None:
        """The short name of a file with several names, if it is that of this one."""
        try:
            found = self._raw.short_name(node.found.st_ino, node.path)
        except (UnsupportedError, StorageError):
            self._untold += 1
            return None
        if found is None:
            return None
        directory, _, name = node.fs_path.rpartition(b"/")
        if name == found.name and self._root.lstat(directory).st_ino == found.parent:
            return found.text
        self._lost += 1
        return None

    @property
    def warnings(self) -> list[str]:
        result = []
        if self._lost:
            result.append(f"{self._lost:,} short names of hard links, which no layer can hold, left out")
        if self._untold:
            result.append(f"{self._untold:,} files with several names: ntfs-3g does not tell their short names")
        return result

    def _unheld(self, row: Row) -> set[str]:
        text = self._record.more(row).get(UNHELD, b"") if self._record else b""
        return set(text.decode("ascii", "replace").split(","))

    def _with_data(
        self, node: Node, live: NtfsMetadata, entry: File, recorded: Directory | File | None, root: Row | None
    ) -> tuple[File, Body | None]:
        """The file with its size, and its content."""
        if not stat.S_ISREG(node.found.st_mode):
            return self._hidden_data(node, entry, recorded, root)
        size = node.found.st_size
        same = _written_as(recorded, entry) and recorded.size == size
        extents = self._extents(root) if same else None
        if same and self._verify_content and root is not None and root.sha256 is not None:
            same = self._same_content(FolderBody(self._root, node.fs_path, size, extents, node.path), root)
        if not same:
            extents = None
            if live.attributes & FILE_ATTRIBUTE_SPARSE_FILE:
                extents = self._raw.extents(node.found.st_ino, size, node.path)
            entry = replace(
                _sized(entry, size),
                last_access_time=live.times[1],
                last_write_time=live.times[2],
                change_time=live.times[3],
            )
        return entry, FolderBody(self._root, node.fs_path, size, extents, node.path)

    def _hidden_data(
        self, node: Node, entry: File, recorded: Directory | File | None, root: Row | None
    ) -> tuple[File, Body | None]:
        """The content of a file that the driver shows as something else."""
        if stat.S_ISFIFO(node.found.st_mode) or (
            entry.reparse_data is not None and is_name_surrogate(reparse_tag(entry.reparse_data))
        ):
            return _sized(entry, 0), None
        inode = node.found.st_ino
        extents: tuple[tuple[int, int], ...] | None = None
        if _written_as(recorded, entry):
            size, extents = recorded.size, self._extents(root)
        else:
            size = sum(map(len, self._raw.data(inode, node.path)))
        if not size:
            return _sized(entry, 0), None
        return _sized(entry, size), PiecesBody(
            self._root, node.fs_path, size, extents, self._raw.data(inode, node.path), node.path
        )

    def _further_name(self, node: Node, root: Row | None, first: str) -> HardLink:
        """A further name of a file whose first name has been given."""
        live = self._files.basics(node.fs_path, node.found)
        if node.row is not None and root is not None:
            row = node.row if node.row.kind == Kind.LINK else root
            if not has_changed(root.attributes, live, root.times, directory=False):
                return hard_link(node.path, first, row.attributes, row.times)
        return hard_link(node.path, first, *live)

    # --- streams ----------------------------------------------------------------

    def _streams(self, node: Node) -> Iterator[tuple[AlternateStream, FolderBody]]:
        rows: dict[str, Row] = {}
        if node.row is not None and self._record is not None:
            rows = {row.name[1:]: row for row in self._record.streams(self._root_row(node.row))}
        found = self._stream_names(node.path, node.fs_path)
        for name in (*(name for name in rows if name in found), *(name for name in found if name not in rows)):
            with closing(self._stream(node.path, node.fs_path, name, rows.get(name))) as body:
                yield AlternateStream(node.path, name, body.size), body

    def _open_stream(self, node: Node, name: str) -> FolderBody | None:
        for found in self._stream_names(node.path, node.fs_path):
            if upcase(found) == upcase(name):
                return self._stream(node.path, node.fs_path, found, None)
        return None

    def _recorded_stream(self, path: str, fs_path: bytes, row: Row) -> tuple[FolderBody, bool] | None:
        name = row.name[1:]
        if self._listed is None or self._listed[0] != fs_path:
            self._listed = fs_path, set(self._stream_names(path, fs_path))
        if name not in self._listed[1]:
            return None
        body = self._stream(path, fs_path, name, row)
        if body.size != row.size:
            return body, True
        # Writing to a stream need not change the file's times.
        same = self._same_content(body, row)
        return self._stream(path, fs_path, name, row), not same

    def _further_streams(
        self, path: str, fs_path: bytes, known: set[str]
    ) -> Iterator[tuple[AlternateStream, FolderBody]]:
        for name in self._stream_names(path, fs_path):
            if name not in known:
                with closing(self._stream(path, fs_path, name, None)) as body:
                    yield AlternateStream(path, name, body.size), body

    def _stream_names(self, path: str, fs_path: bytes) -> list[str]:
        try:
            return self._files.streams(fs_path)
        except OSError as error:
            if error.errno not in (errno.E2BIG, errno.ERANGE):
                raise
        return self._raw.streams(self._root.lstat(fs_path).st_ino, path)

    def _stream(self, path: str, fs_path: bytes, name: str, row: Row | None) -> FolderBody:
        place = b"%b:%b" % (fs_path, encode_wtf8(name))
        whole = f"{path}:{name}"
        found = self._root.lstat(fs_path)
        attributes = self._files.attributes(fs_path)
        hidden = attributes & FILE_ATTRIBUTE_REPARSE_POINT  # the driver does not open its streams
        size = sum(map(len, self._raw.data(found.st_ino, whole, name))) if hidden else self._root.lstat(place).st_size
        extents: tuple[tuple[int, int], ...] | None = None
        if row is not None and row.size == size:
            extents = self._extents(row)
        elif attributes & FILE_ATTRIBUTE_SPARSE_FILE:
            extents = self._raw.extents(found.st_ino, size, whole, name)
        if hidden:
            return PiecesBody(self._root, place, size, extents, self._raw.data(found.st_ino, whole, name), whole)
        return FolderBody(self._root, place, size, extents, whole)


def _written_as(recorded: Directory | File | None, entry: File) -> TypeGuard[File]:
    """Is `recorded` a file that was last written when `entry` was?"""
    return isinstance(recorded, File) and recorded.last_write_time == entry.last_write_time


def _sized(entry: File, size: int) -> File:
    return entry if size == entry.size else resized(entry, size)


def _refuse(path: str, live: NtfsMetadata) -> None:
    """Raise InexpressibleError for what another volume could make nothing of."""
    check_exportable(path, live)
    tag = None if live.reparse_data is None else reparse_tag(live.reparse_data)
    if tag is not None and live.is_directory and not is_name_surrogate(tag):
        raise InexpressibleError(
            "a directory that is a reparse point, whose content ntfs-3g does not show",
            path=path,
            got=tag_name(tag),
            hint=LET_WINDOWS,
        )
