"""Reading a layer folder on any file system.

A file that is new gets defaults, one that changed keeps its security and attributes
with new content and times, one that is gone is gone. *Changed*: its size differs from
the record, or its mtime differs and its SHA-256 does too; so copying the folder changes
nothing. Directories never count as changed. Defaults depend on nothing but the tree.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import closing

from ...entry import AlternateStream, Body, Directory, Entry, File, HardLink
from ...errors import FormatError, InexpressibleError, NotFoundError, RecordError, with_context
from ...host.errors import shown
from ...win32.filetime import from_unix_ns
from ..folder.body import FolderBody
from ..folder.defaults import changed_file, new_directory, new_file, new_hard_link, resized
from ..folder.source import LayerFolder
from ..folder.tree import Links, Node
from ..record.writer import Kind, Row, hard_link, host_time
from ..root.symlinks import host_target, windows_link
from .sink import STREAMS

__all__ = ["PosixLayer"]


class PosixLayer(LayerFolder):
    """A layer folder on any file system (see FolderTree)."""

    def _entry(self, node: Node, links: Links | None) -> tuple[Entry, Body | None]:
        mode = node.found.st_mode
        if stat.S_ISDIR(mode):
            return self._directory(node), None
        if stat.S_ISLNK(mode):
            return self._symlink(node, links), None
        if stat.S_ISREG(mode):
            return self._file(node, links)
        raise InexpressibleError(
            "a special file, which no Windows layer can hold",
            path=node.path,
            hint="remove it from the folder",
        )

    def _directory(self, node: Node) -> Directory:
        if node.row is not None and self._record is not None:
            entry = self._record.entry(node.row, node.path)
            if isinstance(entry, Directory):
                return entry
        return new_directory(node.path, _mtime(node))

    def _symlink(self, node: Node, links: Links | None) -> Directory | File | HardLink:
        target = self._root.readlink(node.fs_path)
        if node.row is not None and self._record is not None:
            root = self._root_row(node.row)
            entry = self._record.entry(root, node.path)
            if entry.reparse_data is not None and host_target(node.path, entry.reparse_data) == target:
                if links is not None and isinstance(entry, File) and (link := self._link(node, root, links)):
                    return link
                return entry
            node.changed = True
        make = new_directory if self._leads_to_directory(node, target) else new_file
        return make(node.path, _mtime(node), reparse_data=windows_link(node.path, target))

    def _leads_to_directory(self, node: Node, target: bytes) -> bool:
        """windows_link() has made sure that the target lies inside, so the host may follow it."""
        directory = os.path.join(os.fsencode(self.path), os.path.dirname(node.fs_path))
        return os.path.isdir(os.path.join(directory, target))

    def _file(self, node: Node, links: Links | None) -> tuple[File | HardLink, Body | None]:
        row, found = node.row, node.found
        fs_path, size = node.fs_path, found.st_size
        extents: tuple[tuple[int, int], ...] | None = None
        root = None if row is None else self._root_row(row)
        # Several names of one inode need to be looked at once.
        if links is not None and (first := links.seen(found)) is not None:
            return self._further_name(node, root, first), None
        if root is None or self._record is None:
            entry = new_file(node.path, _mtime(node), size)
        else:
            recorded = self._record.entry(root, node.path)
            if not isinstance(recorded, File):
                raise RecordError("layer.db: a file whose row is not a file's", path=node.path)
            entry = recorded
            extents = self._extents(root)
            if (backup := self._boot_original(node, entry)) is not None:
                fs_path, size = backup
                if size != entry.size:
                    entry, extents = resized(entry, size), None
            elif self._changed(node.path, node.fs_path, node.found, root, extents):
                node.changed, extents = True, None
                entry = changed_file(entry, _mtime(node), size)
            elif links is not None and (link := self._link(node, root, links)):
                return link, None
        if links is not None:
            links.note(found, node.path, found.st_nlink)
        return entry, FolderBody(self._root, fs_path, size, extents, node.path)

    def _further_name(self, node: Node, root: Row | None, first: str) -> HardLink:
        """A further name of a file whose first name has been given."""
        if node.row is None or root is None:
            return new_hard_link(node.path, first, _mtime(node))
        row = node.row if node.row.kind == Kind.LINK else root
        return hard_link(node.path, first, row.attributes, row.times)

    def _changed(
        self,
        path: str,
        fs_path: bytes,
        found: os.stat_result,
        row: Row,
        extents: tuple[tuple[int, int], ...] | None,
    ) -> bool:
        """Has the file other content than when it was imported?"""
        if found.st_size != row.size:
            return True
        if row.sha256 is None or (host_time(found.st_mtime_ns) == row.mtime and not self._verify_content):
            return False
        return not self._same_content(FolderBody(self._root, fs_path, row.size, extents, path), row)

    def _streams(self, node: Node) -> Iterator[tuple[AlternateStream, FolderBody]]:
        if node.row is None or self._record is None:
            return
        root = self._root_row(node.row)
        for row in self._record.streams(root):
            with closing(self._stream_body(node.path, row)) as body:
                yield AlternateStream(node.path, row.name[1:], body.size), body

    def _open_stream(self, node: Node, name: str) -> FolderBody | None:
        owner = None if node.row is None else self._root_row(node.row)
        row = self._record.find(owner.id, f":{name}") if self._record and owner else None
        return None if row is None else self._stream_body(node.path, row)

    def _recorded_stream(self, path: str, fs_path: bytes, row: Row) -> tuple[FolderBody, bool] | None:  # noqa: ARG002
        body = self._stream_body(path, row)
        extents = self._extents(row)
        return body, self._changed(f"{path}{row.name}", body.fs_path, self._root.lstat(body.fs_path), row, extents)

    def _further_streams(
        self,
        path: str,  # noqa: ARG002
        fs_path: bytes,  # noqa: ARG002
        known: set[str],  # noqa: ARG002
    ) -> Iterator[tuple[AlternateStream, FolderBody]]:
        return iter(())  # nobody can add one

    def _stream_body(self, path: str, row: Row) -> FolderBody:
        fs_path = b"%b/%d" % (STREAMS, row.id)
        name = f"{path}{row.name}"
        try:
            size = self._root.lstat(fs_path).st_size
        except FileNotFoundError:
            raise NotFoundError(
                "the stream's data are gone from the folder",
                path=name,
                expected=shown(fs_path),
                hint="import the layer again",
            ) from None
        extents = self._extents(row) if size == row.size else None
        return FolderBody(self._root, fs_path, size, extents, name)


def _mtime(node: Node) -> int:
    with with_context(path=node.path, only=FormatError):
        return from_unix_ns(node.found.st_mtime_ns)
