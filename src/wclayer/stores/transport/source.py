"""Reading a transport folder (see `transport`), with the record beside it or without one.

Without a record, as of what ExportLayer has made, entries and times are what hcsshim
makes of such a folder. With one, each file that is as it was made gives the entry that
it was made from, and one that somebody has written anew gives what it says now.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any, Final

from ...entry import Body, Directory, Entry, File
from ...errors import ConfinementError, FormatError, InexpressibleError, LayerError, RecordError, with_context
from ...host.errors import host_errors, shown
from ...union.rules import FILES, HIVES, UTILITY_VM, behind_link_error
from ...win32.attributes import FILE_ATTRIBUTE_ARCHIVE
from ...win32.filetime import from_unix_ns
from ...win32.names import check_component, encode_wtf8, upcase
from ...win32.reparse import is_name_surrogate, reparse_tag
from ..folder.body import FolderBody
from ..folder.defaults import changed_file
from ..folder.tree import Links, Node
from ..record.writer import Kind, Row, Times
from .body import Extents, StoredBody, StoredFile, digest_of, holes_of, says_the_same
from .folder import STORE, SUFFIX, TIE, in_hives, is_transport, read_tombstones, record_of, tie_of
from .streams import TransportLayerBase

__all__ = ["TransportLayer"]

_SYSTEM: Final = b"Hives/System_Delta"
_ROOTS: Final = (FILES, HIVES)
_SAMPLE_SIZE: Final = 1000  # objects of the record, to tell whether it is of this folder
_LINKS: Final = (Kind.LINK, Kind.PARENT_LINK)
# What stands for objects that the host has none of.
_DIRECTORY: Final = os.stat_result((stat.S_IFDIR, *(0,) * 9))
_NO_FILE: Final = os.stat_result((stat.S_IFREG, *(0,) * 9))


class TransportLayer(TransportLayerBase):
    """The transport folder `path` (see FolderTree); one without a record is a base layer unless something shows that
    it is none: a delta in Hives, or tombstones.txt.

    A hard link into a parent is a HardLink in whatever way it is asked for: its data are not in the folder. Raises
    RecordError for a record that belongs to another folder, LayerError for what is no transport folder.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        non_base: bool | None = None,
        verify_content: bool = False,
        descriptors: int = 64,
    ) -> None:
        self._tombstones: list[str] | None = None
        self._keys: set[str] | None = None  # of those, in upper case
        super().__init__(path, non_base=non_base, verify_content=verify_content, descriptors=descriptors)
        try:
            with host_errors(self.path):
                self._check(os.path.abspath(os.fsencode(path)))
        except BaseException:
            self.close()
            raise

    def _record_place(self, folder: bytes) -> bytes:
        return record_of(folder)

    def _is_base(self, non_base: bool | None) -> bool:
        self._tombstones = read_tombstones(self._root)
        if self._record is None and non_base is None and self._tombstones is not None:
            return False
        return super()._is_base(non_base)

    def _check(self, folder: bytes) -> None:
        if not is_transport(folder) and (self._record is None or any(True for _ in self._record.rows())):
            raise LayerError(
                "no transport folder",
                path=self.path,
                expected=f"{FILES}{SUFFIX.decode()} in it",
                hint="a layer folder is given without `transport:`",
            )
        if self._record is None:
            return
        whiteouts = {upcase(path) for path in self._record.whiteouts()}
        if (
            self.store != STORE
            or (self._record.values.get(TIE) != tie_of(folder) and not self._looks_alike())
            # Of ours, if they are there, they are those of the record.
            or (self._tombstones is not None and whiteouts != set(map(upcase, self._tombstones)))
        ):
            raise RecordError(
                "the record beside it belongs to another folder",
                path=shown(record_of(folder)),
                hint=f"remove it, to read {os.path.basename(self.path)} without a record",
            )

    def _looks_alike(self) -> bool:
        """Are most of the objects that the record begins with in the folder? Then it is a copy, perhaps edited."""
        hosts = {0: b""}
        known = there = 0
        for row in self._record.rows() if self._record else ():
            if row.kind not in (Kind.DIRECTORY, Kind.FILE):
                continue
            above = hosts.get(row.parent, b"")
            fs_path = b"%b/%b" % (above, encode_wtf8(row.name)) if above else encode_wtf8(row.name)
            known += 1
            there += self._known(row, row.name, fs_path) is not None
            if row.kind == Kind.DIRECTORY:
                hosts[row.id] = fs_path
            if known == _SAMPLE_SIZE:
                break
        return there * 2 >= known

    # --- the tree ---------------------------------------------------------------

    def _list(self, fs_path: bytes) -> list[tuple[bytes, os.stat_result]]:
        """The directory's entries: one that has no directory of its own here, as a reparse point may, is one too."""
        names = dict(super()._list(fs_path))
        for name in [name for name in names if name.endswith(SUFFIX)]:
            del names[name]
            owner = name.removesuffix(SUFFIX)
            directory = names.get(owner)
            if directory is None:
                names[owner] = _DIRECTORY
            elif not stat.S_ISDIR(directory.st_mode):
                raise LayerError(
                    "the metadata of a directory, beside a file of its name",
                    path=shown(b"%b/%b" % (fs_path, name) if fs_path else name),
                    hint="remove one of the two",
                )
        return list(names.items())

    def _rows(self, number: int) -> dict[bytes, Row]:
        return {name: row for name, row in super()._rows(number).items() if row.kind not in _LINKS}

    def _children(self, path: str, fs_path: bytes, number: int) -> list[Node]:
        nodes = super()._children(path, fs_path, number)
        if self._record is not None and number > 0:
            for name, row in super()._rows(number).items():
                if row.kind in _LINKS:
                    check_component(row.name)
                    link = self._known(row, f"{path}/{row.name}", b"%b/%b" % (fs_path, name))
                    nodes += [] if link is None else [link]
        return nodes

    def _is_windows_artifact(self, prefix: str, name: str, known: Row | None) -> bool:  # noqa: ARG002
        return False  # all is the layer's

    def _known(self, row: Row, path: str, fs_path: bytes) -> Node | None:
        if row.kind not in _LINKS:
            node = super()._known(row, path, fs_path)
            if node is None and row.kind == Kind.DIRECTORY and not self._root.exists(fs_path):
                found = self._lstat(fs_path + SUFFIX)
                return None if found is None else Node(path, fs_path, _DIRECTORY, row)
            return node
        if not self._is_link(row, fs_path):
            return None
        if row.kind == Kind.PARENT_LINK:
            return Node(path, fs_path, _NO_FILE, row)
        first = self._root_row(row)
        place = encode_wtf8(self._record.path_of(first)) if self._record else b""
        node = (self._whole or self)._known(first, path, place)
        return None if node is None else Node(path, node.fs_path, node.found, row)

    def _is_link(self, row: Row, fs_path: bytes) -> bool:  # noqa: ARG002
        """Is there still a link where the record has one? Not if somebody has put something in its place."""
        return self._lstat(fs_path) is None

    # --- one entry ------------------------------------------------------------

    def entries(self) -> Iterator[tuple[Entry, Body | None]]:
        self.check_parent_links()
        yield from super().entries()

    def check_parent_links(self) -> None:
        """Raise InexpressibleError for a link into a parent that hcsshim's order would make one into this layer."""
        if self._record is not None:
            for row in self._record.parent_links():
                if isinstance(row.target, str) and (self._whole or self).lookup(row.target) is not None:
                    raise InexpressibleError(
                        "a hard link to a file of a parent, in whose place this layer has one of its own: only in the"
                        " order of the tar that it came from can it be told apart",
                        path=self._record.path_of(row),
                        got=row.target,
                        hint="export with --framing original",
                    )

    def _entry(self, node: Node, links: Links | None) -> tuple[Entry, Body | None]:
        if node.path == UTILITY_VM:
            raise LayerError("a utility VM, which is in no transport folder", path=node.path, hint="remove it")
        row = node.row
        if row is not None and self._record is not None and row.kind != Kind.DIRECTORY:
            if row.kind == Kind.PARENT_LINK and isinstance(row.target, str):
                return self._record.link(row, node.path, row.target), None
            if links is not None and (link := self._link(node, self._root_row(row), links)) is not None:
                return link, None
        if stat.S_ISDIR(node.found.st_mode):
            return self._directory(node), None
        if not stat.S_ISREG(node.found.st_mode):
            raise ConfinementError(
                "a link or special file, where a transport folder has plain files", path=node.path, hint="remove it"
            )
        return self._hive(node) if in_hives(node.path) else self._file(node)

    def _directory(self, node: Node) -> Directory:
        if in_hives(node.path):
            raise LayerError("a directory in Hives, which holds only files", path=node.path, hint="remove it")
        self._intact = None
        there = self._lstat(node.fs_path) is not None
        found = self._lstat(node.fs_path + SUFFIX)
        if found is None and there and node.row is None and node.path in _ROOTS:
            # hcsshim does without these two.
            return Directory(node.path, **_named(self._times_outside(node, node.found)))
        if found is None:
            raise LayerError(
                "a directory without the file that has its metadata",
                path=node.path,
                expected=f"{node.path}{SUFFIX.decode()}",
                hint="give it that file, or remove it",
            )
        if node.row is not None and self._record is not None and self._is_stored(node.row, found):
            self._intact, entry = node.fs_path, self._record.entry(node.row, node.path)
        else:
            entry, _ = self._parsed(node, node.fs_path + SUFFIX, found)
        if not isinstance(entry, Directory):
            raise LayerError(
                "the metadata of a directory, but they describe a file",
                path=f"{node.path}{SUFFIX.decode()}",
                expected="attributes with 0x10",
                got=f"{entry.file_attributes:#x}",
            )
        if not there and entry.reparse_data is None:
            raise LayerError(
                "the metadata of a directory that is not there, and is no reparse point",
                path=f"{node.path}{SUFFIX.decode()}",
                hint="make the directory, or remove the file",
            )
        if entry.reparse_data is not None and is_name_surrogate(reparse_tag(entry.reparse_data)):
            for name, _ in self._list(node.fs_path):
                raise behind_link_error(f"{node.path}/{shown(name)}", node.path)
        return entry

    def _file(self, node: Node) -> tuple[File, Body | None]:
        self._intact = None
        root = None if node.row is None else self._root_row(node.row)
        extents: Extents
        if root is not None and self._record is not None and self._is_stored(root, node.found):
            self._intact = node.fs_path
            entry, extents = self._record.entry(root, node.path), self._extents(root)
        else:
            entry, extents = self._parsed(node, node.fs_path, node.found)
        if not isinstance(entry, File):
            raise LayerError(
                "a file that says that it is a directory",
                path=node.path,
                expected="attributes without 0x10",
                got=f"{entry.file_attributes:#x}",
            )
        return entry, StoredBody(self._root, node.fs_path, entry.size, extents, node.path)

    def _parsed(self, node: Node, fs_path: bytes, found: os.stat_result) -> tuple[Directory | File, Extents]:
        """The entry in the file at `fs_path`, or that of the record if it says the same; the ranges of its data."""
        outside = node.path in _ROOTS and node.row is None
        times = self._times_outside(node, found) if outside else self._file_times(fs_path, found)
        with closing(StoredFile(self._root, fs_path, node.path)) as stored:
            entry, body = stored.entry(times)
            extents = holes_of(body)
            if node.row is None or self._record is None:
                return entry, extents
            root = self._root_row(node.row)
            recorded = self._record.entry(root, node.path)
            if type(entry) is type(recorded):
                same = extents == self._extents(root) and says_the_same(entry, recorded)
                if same and (body is None or root.sha256 is None or digest_of(body) == root.sha256):
                    return recorded, extents
                entry = replace(entry, short_name=recorded.short_name, creation_time=recorded.creation_time)
            node.changed = True
            return entry, extents

    # --- Hives, and times ---------------------------------------------------------

    def _hive(self, node: Node) -> tuple[File, Body | None]:
        found, row = node.found, node.row
        extents: Extents = None
        if row is None or self._record is None:
            # As hcsshim's reader has it, which asks for no descriptor here.
            attributes = getattr(found, "st_file_attributes", FILE_ATTRIBUTE_ARCHIVE)
            times = _named(self._times_outside(node, found))
            size = found.st_size
            entry = File(node.path, file_attributes=attributes, size=size, data_stream=size > 0, **times)
        else:
            recorded = self._record.entry(row, node.path)
            if not isinstance(recorded, File):
                raise RecordError("layer.db: a file whose row is not a file's", path=node.path)
            entry, extents = recorded, self._extents(row)
            body = FolderBody(self._root, node.fs_path, entry.size, extents, node.path)
            if found.st_size != entry.size or not (self._is_stored(row, found) or self._same_content(body, row)):
                node.changed, extents = True, None
                entry = changed_file(entry, _write_time(node.path, found), found.st_size)
        return entry, FolderBody(self._root, node.fs_path, entry.size, extents, node.path)

    def _file_times(self, fs_path: bytes, found: os.stat_result) -> Times:
        """Creation, last access, last write and change of a file of the folder, as FILETIMEs.

        On other hosts than Windows there is but the last write time that does not depend on the host.
        """
        write = _write_time(shown(fs_path), found)
        if os.name != "nt":
            return write, write, write, write
        creation = getattr(found, "st_birthtime_ns", found.st_ctime_ns)
        return from_unix_ns(creation), from_unix_ns(found.st_atime_ns), write, write

    def _times_outside(self, node: Node, found: os.stat_result) -> Times:
        """The times of what is not below Files, without a record, as hcsshim's reader has them: created and accessed
        when it was written, and the two roots when the hive of the system was.
        """
        fs_path = node.fs_path
        if node.path in _ROOTS and (system := self._lstat(_SYSTEM)) is not None:
            fs_path, found = _SYSTEM, system
        _, _, write, change = self._file_times(fs_path, found)
        return write, write, write, change

    # --- whiteouts ----------------------------------------------------------------

    def _whiteout_paths(self) -> list[str]:
        if self._record is not None or self._tombstones is None:
            return super()._whiteout_paths()
        return self._tombstones

    def has_whiteout(self, path: str) -> bool:
        if self._record is not None or self._tombstones is None:
            return super().has_whiteout(path)
        if self._keys is None:
            self._keys = set(map(upcase, self._tombstones))
        return upcase(path) in self._keys


def _write_time(path: str, found: os.stat_result) -> int:
    with with_context(path=path, only=FormatError):
        return from_unix_ns(found.st_mtime_ns)


def _named(times: Times) -> dict[str, Any]:
    creation, access, write, change = times
    return {"creation_time": creation, "last_access_time": access, "last_write_time": write, "change_time": change}
