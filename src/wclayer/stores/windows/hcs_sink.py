"""Making a non-base layer on Windows: a transport folder for ImportLayer, and the utility VM in its place.

What comes is written as `transport_sink` does, but for UtilityVM, which does not go
through such a folder: it becomes objects of NTFS, as `windows_sink` makes them, over a
clone of the parent's. The two lie in one folder, with the record, until the layer gets
its name; what follows then is `layers.hcs_import`'s.
"""

from __future__ import annotations

import os
from typing import Final

from ...entry import AlternateStream, Body, Directory, Entry, File, HardLink, Lower, Whiteout
from ...errors import LayerError
from ...native import handles
from ...union.rules import UTILITY_VM, UTILITY_VM_FILES
from ...win32.attributes import FILE_ATTRIBUTE_DIRECTORY
from ...win32.names import encode_wtf8
from ..atomic import PartialFolder
from ..folder.names import OpenDirectory
from ..folder.sink import FolderSink, StoredFile, StreamOwner
from ..record.writer import LAYER_DB, Kind, Row, link_extra
from ..root.root import Root
from ..transport.sink import TransportSink
from .sink import WindowsSink
from .split_root import SplitRoot, in_utility_vm
from .utility_vm import clone_utility_vm, remove_tree_of

__all__ = ["TRANSPORT", "HcsSink"]

TRANSPORT: Final = b"transport"  # in the layer's folder, until ImportLayer has had it


class HcsSink(TransportSink, WindowsSink):
    """Make a non-base layer for the host compute service (see FolderSink).

    nearest: the folder of the nearest parent. Raises what TransportSink and WindowsSink do.
    """

    store = "hcs"
    _root: SplitRoot

    def __init__(
        self,
        target: str | os.PathLike[str],
        nearest: str | os.PathLike[str],
        *,
        parents: Lower,
        parent_diff_ids: tuple[str | None, ...] = (),
        force: bool = False,
    ) -> None:
        self._nearest = nearest
        self._cloned = False
        super().__init__(target, parents=parents, parent_diff_ids=parent_diff_ids, force=force)

    def _begin(self) -> None:
        WindowsSink._begin(self)
        TransportSink._begin(self)

    def _partial_folder(self, target: str | os.PathLike[str], *, force: bool) -> PartialFolder:
        return PartialFolder(target, force=force)

    def _open_root(self, descriptors: int) -> Root:
        transport = os.path.join(self._partial.path, TRANSPORT)
        os.mkdir(transport)
        return SplitRoot(self._partial.path, transport, descriptors=descriptors)

    def _record_place(self) -> bytes:
        return os.path.join(self._partial.path, LAYER_DB)

    def _values(self) -> dict[str, str | int | None]:
        return {}

    def _close(self) -> None:
        TransportSink._close(self)
        WindowsSink._close(self)

    def add(self, entry: Entry, body: Body | None = None, /) -> None:
        FolderSink.add(self, entry, body)

    # --- one object -------------------------------------------------------------

    def _host_name(self, parent: OpenDirectory, name: str) -> tuple[bytes, dict[str, bytes]]:
        if in_utility_vm(parent.host or encode_wtf8(name)):
            return WindowsSink._host_name(self, parent, name)
        return TransportSink._host_name(self, parent, name)

    def _make_directory(self, entry: Directory, host: bytes) -> int:
        if not in_utility_vm(host):
            return TransportSink._make_directory(self, entry, host)
        if entry.path == UTILITY_VM:
            self._clone()
        self._make_way(host, directory=entry.reparse_data is None)
        if self._root.exists(host):
            self._new(entry, host, directory=True, disposition=handles.OPEN)
            return 0
        return WindowsSink._make_directory(self, entry, host)

    def _make_file(self, entry: File, body: Body | None, host: bytes, extra: dict[str, bytes]) -> StoredFile:
        if not in_utility_vm(host):
            return TransportSink._make_file(self, entry, body, host, extra)
        self._make_way(host)
        return WindowsSink._make_file(self, entry, body, host, extra)

    def _make_stream(
        self, entry: AlternateStream, body: Body | None, owner: bytes, extra: dict[str, bytes]
    ) -> StoredFile:
        kind = WindowsSink if in_utility_vm(owner) else TransportSink
        return kind._make_stream(self, entry, body, owner, extra)

    def _clone(self) -> None:
        """Begin with the utility VM of the nearest parent."""
        if not self._cloned:
            clone_utility_vm(self._nearest, self._root)
            self._cloned = True

    def _make_way(self, host: bytes, *, directory: bool = False) -> None:
        """Remove what the clone has there: a hard link is not written to, lest the parent changes too.

        directory: one that is no link may stay.
        """
        if not self._cloned:
            raise LayerError("an entry of the utility VM before UtilityVM itself", path=os.fsdecode(host))
        if not self._root.exists(host):
            return
        found = self._root.information(host)
        if directory and found.attributes & FILE_ATTRIBUTE_DIRECTORY and not found.is_link:
            return
        remove_tree_of(self._root, host)

    def _finish(self, owner: StreamOwner) -> None:
        kind = WindowsSink if in_utility_vm(owner.host) else TransportSink
        kind._finish(self, owner)

    def _make_hard_link(self, row: Row, source: bytes, host: bytes) -> None:  # noqa: ARG002
        if in_utility_vm(host) and in_utility_vm(source):
            self._make_way(host)
            self._root.link(source, host)

    def _make_parent_link(self, entry: HardLink, file: File, parents: Lower, parent: OpenDirectory, name: str) -> None:
        if not in_utility_vm(parent.host):
            TransportSink._make_parent_link(self, entry, file, parents, parent, name)
            return
        # The clone has the parent's files under their own names.
        host, extra = self._host_name(parent, name)
        self._make_way(host)
        self._root.link(encode_wtf8(entry.target), host)
        self._record.add(
            parent.id,
            name,
            Kind.PARENT_LINK,
            entry=file,
            size=file.size,
            target=entry.target,
            extra=extra | link_extra(entry),
        )

    def _whiteout(self, entry: Whiteout) -> None:
        super()._whiteout(entry)
        if entry.path.startswith(f"{UTILITY_VM_FILES}/"):
            self._clone()
            remove_tree_of(self._root, encode_wtf8(entry.path))

    def _finish_directory(self, host: bytes, row: Row) -> None:
        kind = WindowsSink if in_utility_vm(host) else TransportSink
        kind._finish_directory(self, host, row)

    def _before_it_appears(self) -> None:
        """Nothing: the whiteouts are not for ImportLayer to find."""
