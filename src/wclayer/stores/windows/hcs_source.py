"""A non-base layer on Windows as a source: what ExportLayer has made of it, and what only the layer folder has.

The utility VM is read where it is, without what is still the parent's. Hard links, of
which ExportLayer makes copies, are the record's; without a record they are told by the
files' identities, in the layer folder and its parents'.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing

from ...entry import AlternateStream, Body, Entry, File
from ...host.errors import absolute
from ...union.rules import BOOT_FILES, FILES, UTILITY_VM_FILES
from ...win32.attributes import FILE_ATTRIBUTE_DIRECTORY
from ...win32.names import decode_wtf8, encode_wtf8, upcase
from ..folder.body import FolderBody
from ..folder.source import LayerFolder
from ..folder.tree import FolderTree, Links, Node
from ..record.writer import LAYER_DB, Kind, Row, hard_link
from ..root.root import Root
from ..root.root_windows import WindowsRoot
from ..transport.folder import is_transport
from ..transport.source import TransportLayer
from .source import WindowsLayer
from .split_root import SplitRoot, in_utility_vm

__all__ = ["ExportedLayer"]

_BOOT_KEYS = {upcase(path) for path in BOOT_FILES}
_VM_FILES = UTILITY_VM_FILES.encode()
_LINKS = (Kind.LINK, Kind.PARENT_LINK)
_Identity = tuple[int, int]  # of a volume, and of a file on it


class ExportedLayer(TransportLayer, WindowsLayer):
    """The layer folder `path`, of which ExportLayer has made the transport folder `transport` (see FolderTree).

    parents: the folders of the layers below, nearest first.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        transport: bytes,
        parents: Sequence[str | os.PathLike[str]],
        *,
        verify_content: bool = False,
    ) -> None:
        self._transport = transport
        self._places = ExitStack()
        self._parents: list[WindowsRoot] = []
        self._below: dict[_Identity, str] | None = None  # the parents' files that have several names
        self._names: dict[_Identity, str] = {}
        self._changed: set[bytes] | None = None
        self._own: WindowsRoot | None = None
        super().__init__(path, non_base=True, verify_content=verify_content)
        try:
            for parent in parents:
                self._parents.append(self._places.enter_context(closing(WindowsRoot(absolute(parent), descriptors=4))))
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        try:
            super().close()
        finally:
            self._places.close()

    def _open_root(self, folder: bytes, descriptors: int) -> Root:
        return SplitRoot(folder, self._transport, descriptors=descriptors)

    def _record_place(self, folder: bytes) -> bytes:
        return os.path.join(folder, LAYER_DB)

    def _check(self, folder: bytes) -> None:  # noqa: ARG002
        if not is_transport(self._transport):
            raise AssertionError("ExportLayer has made no transport folder")

    # --- the utility VM, and all else -------------------------------------------------

    def _list(self, host: bytes) -> list[tuple[bytes, os.stat_result]]:
        return FolderTree._list(self, host) if in_utility_vm(host) else TransportLayer._list(self, host)

    def _rows(self, number: int) -> dict[bytes, Row]:
        rows = FolderTree._rows(self, number)
        below = (
            self._record is not None
            and number > 0
            and in_utility_vm(encode_wtf8(self._record.path_of(self._record.get(number))))
        )
        return rows if below else TransportLayer._rows(self, number)

    def _children(self, path: str, host: bytes, number: int) -> list[Node]:
        if not in_utility_vm(host):
            nodes = TransportLayer._children(self, path, host, number)
            links = {node.path for node in nodes if node.row is not None and node.row.kind in _LINKS}
            return [node for node in nodes if node.row is not None or node.path not in links]
        nodes = FolderTree._children(self, path, host, number)
        return [node for node in nodes if node.row is not None or not self._is_parents(node)]

    def _is_parents(self, node: Node) -> bool:
        """Is it in the utility VM because the parent's was cloned?"""
        if not self._parents:
            return False
        if stat.S_ISDIR(node.found.st_mode) and self._parents[0].exists(node.host):
            if self._changed is None:
                self._changed = self._changed_directories()
            return node.host not in self._changed
        return self._is_clone(node.host, node.path)

    def _is_clone(self, host: bytes, path: str) -> bool:
        """Is a file that of the parent, by a hard link, or, as of the boot files, by a copy?"""
        mine, theirs = self._identity(self._main, host), self._identity(self._parents[0], host)
        return theirs is not None and (mine == theirs or upcase(path) in _BOOT_KEYS)

    def _changed_directories(self) -> set[bytes]:
        """The directories of the utility VM with something below that is not the parent's."""
        changed: set[bytes] = set()
        stack = [_VM_FILES]
        while stack:
            directory = stack.pop()
            for name, found in self._main.entries(directory):
                host = b"%b/%b" % (directory, name)
                is_directory = bool(found.attributes & FILE_ATTRIBUTE_DIRECTORY) and not found.is_link
                if is_directory:
                    stack.append(host)
                if not (self._parents[0].exists(host) if is_directory else self._is_clone(host, decode_wtf8(host))):
                    while host := host.rpartition(b"/")[0]:
                        changed.add(host)
        return changed

    def _is_windows_artifact(self, prefix: str, name: str, known: Row | None) -> bool:
        return LayerFolder._is_windows_artifact(self, prefix, name, known)

    def _known(self, row: Row, path: str, host: bytes) -> Node | None:
        return (
            FolderTree._known(self, row, path, host)
            if in_utility_vm(host)
            else TransportLayer._known(self, row, path, host)
        )

    def _entry(self, node: Node, links: Links | None) -> tuple[Entry, Body | None]:
        if in_utility_vm(node.host):
            return WindowsLayer._entry(self, node, links)
        entry, body = TransportLayer._entry(self, node, links)
        if links is not None and node.row is None and isinstance(entry, File) and node.path.startswith(f"{FILES}/"):
            target = self._first_name(node)
            if target is not None:
                if isinstance(body, FolderBody):
                    body.close()
                times = (entry.creation_time, entry.last_access_time, entry.last_write_time, entry.change_time)
                return hard_link(node.path, target, entry.file_attributes, times), None
        return entry, body

    def _streams(self, node: Node) -> Iterator[tuple[AlternateStream, FolderBody]]:
        kind = WindowsLayer if in_utility_vm(node.host) else TransportLayer
        return kind._streams(self, node)

    def _open_stream(self, node: Node, name: str) -> FolderBody | None:
        kind = WindowsLayer if in_utility_vm(node.host) else TransportLayer
        return kind._open_stream(self, node, name)

    def _recorded_stream(self, path: str, host: bytes, row: Row) -> tuple[FolderBody, bool] | None:
        kind = WindowsLayer if in_utility_vm(host) else TransportLayer
        return kind._recorded_stream(self, path, host, row)

    def _further_streams(self, path: str, host: bytes, known: set[str]) -> Iterator[tuple[AlternateStream, FolderBody]]:
        kind = WindowsLayer if in_utility_vm(host) else TransportLayer
        return kind._further_streams(self, path, host, known)

    # --- hard links ---------------------------------------------------------------------

    def _is_link(self, row: Row, host: bytes) -> bool:
        """Is it a name of its target in the layer folder? ExportLayer has made a copy of it."""
        mine = self._identity(self._main, host)
        if mine is None:
            return False
        if row.kind == Kind.PARENT_LINK:
            target = encode_wtf8(str(row.target))
            return any(self._identity(parent, target) == mine for parent in self._parents)
        return self._record is not None and mine == self._identity(
            self._main, encode_wtf8(self._record.path_of(self._root_row(row)))
        )

    def _identity(self, root: WindowsRoot, host: bytes) -> _Identity | None:
        try:
            found = root.information(host)
        except OSError:
            return None
        return found.volume, found.file_id

    def _first_name(self, node: Node) -> str | None:
        """The other name of a file that has come before, or is in a parent."""
        try:
            found = self._main.information(node.host)
        except OSError:
            return None
        if found.links < 2 or found.attributes & FILE_ATTRIBUTE_DIRECTORY:
            return None
        identity = found.volume, found.file_id
        known = self._names.setdefault(identity, node.path)
        if known != node.path:
            return known
        if self._below is None:
            self._below = self._index()
        return self._below.get(identity)

    @property
    def _main(self) -> WindowsRoot:
        """The layer folder itself, with its own Files."""
        if self._own is None:
            self._own = self._places.enter_context(closing(WindowsRoot(self._root.path)))
        return self._own

    def _index(self) -> dict[_Identity, str]:
        """The first name, in byte order, of each file of the parents' that has several; the nearest's counts."""
        result: dict[_Identity, str] = {}
        for parent in reversed(self._parents):
            found: dict[_Identity, bytes] = {}
            stack = [FILES.encode()]
            while stack:
                directory = stack.pop()
                for name, item in parent.entries(directory):
                    path = b"%b/%b" % (directory, name)
                    if stat.S_ISDIR(item.as_stat().st_mode):
                        stack.append(path)
                    elif item.links > 1:
                        identity = item.volume, item.file_id
                        found[identity] = min(path, found.get(identity, path))
            result.update((identity, decode_wtf8(path)) for identity, path in found.items())
        return result
