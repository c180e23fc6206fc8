"""Making a non-base layer on Windows: a transport folder for ImportLayer, and the utility VM in its place.

An entry below UtilityVM becomes an object of NTFS over a clone of the parent's utility
VM, as UtilityVM does not go through a transport folder; everything else goes into one.
The two lie in one folder, with the record, until the layer gets its name; what follows
then is in `layers/windows/hcs_import`.
"""

from __future__ import annotations

import os
from contextlib import closing
from dataclasses import replace
from typing import Final

from ...entry import AlternateStream, Body, Directory, File, HardLink, Lower, Whiteout
from ...errors import LayerError
from ...native import handles
from ...union.rules import UTILITY_VM, UTILITY_VM_FILES
from ...win32.attributes import FILE_ATTRIBUTE_DIRECTORY
from ...win32.names import encode_wtf8
from ..folder.maker import ObjectMaker, StreamOwner
from ..folder.names import OpenDirectory
from ..folder.sink import FolderSink
from ..folder.tree import CLONED
from ..folder.unfinished import StoredFile, UnfinishedLayer
from ..record.writer import Row
from ..root.root_windows import WindowsRoot
from ..transport.sink import TransportMaker
from .sink import WindowsMaker
from .utility_vm import clone_utility_vm, in_utility_vm, remove_tree_of

__all__ = ["TRANSPORT", "HcsSink"]

TRANSPORT: Final = b"transport"  # in the layer's folder, until ImportLayer has had it


class HcsSink(FolderSink):
    """Make a non-base layer for the host compute service (see FolderSink).

    nearest: the folder of the nearest parent. Raises what WindowsSink does, and TransportSink outside UtilityVM.
    """

    store = "hcs"
    processed = True

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
        super().__init__(target, parents=parents, parent_diff_ids=parent_diff_ids, force=force)

    def _new_maker(self, layer: UnfinishedLayer) -> ObjectMaker:
        return _Router(layer, self._nearest)


class _UtilityVmMaker(WindowsMaker):
    """Makes what lies below UtilityVM, over a clone of that of the layer folder `nearest`.

    The clone is made with UtilityVM itself, or with the first whiteout below it.
    """

    def __init__(self, layer: UnfinishedLayer, nearest: str | os.PathLike[str]) -> None:
        super().__init__(layer)
        self._nearest = nearest
        self.cloned: list[bytes] | None = None  # the host paths that the clone brought

    def make_directory(self, entry: Directory, fs_path: bytes) -> int:
        if entry.path == UTILITY_VM:
            self._clone()
        self._make_way(fs_path, directory=entry.reparse_data is None)
        if self._root.exists(fs_path):
            self._new(entry, fs_path, directory=True, disposition=handles.OPEN)
            return 0
        return super().make_directory(entry, fs_path)

    def make_file(self, entry: File, body: Body | None, fs_path: bytes, extra: dict[str, bytes]) -> StoredFile:
        self._make_way(fs_path)
        return super().make_file(entry, body, fs_path, extra)

    def make_hard_link(self, row: Row, source: bytes, fs_path: bytes) -> None:  # noqa: ARG002
        self._make_way(fs_path)
        self._root.link(source, fs_path)

    def make_parent_link(self, entry: HardLink, file: File, parents: Lower, parent: OpenDirectory, name: str) -> None:  # noqa: ARG002
        fs_path, extra = self.host_name(parent, name)
        self._make_way(fs_path)
        target = encode_wtf8(entry.target)
        if in_utility_vm(target):  # the clone has the parent's files under their own names
            self._root.link(target, fs_path)
        self._layer.add_parent_link(parent.id, name, entry, file, extra)

    def whiteout(self, entry: Whiteout) -> None:
        self._clone()
        remove_tree_of(self._root, encode_wtf8(entry.path))

    def _clone(self) -> None:
        if self.cloned is None:
            self.cloned = clone_utility_vm(self._nearest, self._root)

    def _make_way(self, fs_path: bytes, *, directory: bool = False) -> None:
        """Remove what the clone has there: writing to a hard link would change the parent too.

        directory: one that is no link may stay.
        """
        if self.cloned is None:
            raise LayerError("an entry of the utility VM before UtilityVM itself", path=os.fsdecode(fs_path))
        if not self._root.exists(fs_path):
            return
        found = self._root.information(fs_path)
        if directory and found.attributes & FILE_ATTRIBUTE_DIRECTORY and not found.is_link:
            return
        remove_tree_of(self._root, fs_path)


class _Router(ObjectMaker):
    """Gives what lies below UtilityVM to one maker, and everything else to another, which has a folder of its own."""

    def __init__(self, layer: UnfinishedLayer, nearest: str | os.PathLike[str]) -> None:
        super().__init__(layer)
        self._vm = _UtilityVmMaker(layer, nearest)
        folder = os.path.join(layer.path, TRANSPORT)
        os.mkdir(folder)
        self._folder = WindowsRoot(folder)
        layer.held.callback(self._folder.close)  # also after an error in what follows
        self._transport = TransportMaker(replace(layer, root=self._folder))

    def _maker(self, fs_path: bytes) -> ObjectMaker:
        return self._vm if in_utility_vm(fs_path) else self._transport

    def host_name(self, parent: OpenDirectory, name: str) -> tuple[bytes, dict[str, bytes]]:
        return self._maker(parent.fs_path or encode_wtf8(name)).host_name(parent, name)

    def make_directory(self, entry: Directory, fs_path: bytes) -> int:
        return self._maker(fs_path).make_directory(entry, fs_path)

    def make_file(self, entry: File, body: Body | None, fs_path: bytes, extra: dict[str, bytes]) -> StoredFile:
        return self._maker(fs_path).make_file(entry, body, fs_path, extra)

    def make_stream(
        self, entry: AlternateStream, body: Body | None, owner: bytes, extra: dict[str, bytes]
    ) -> StoredFile:
        return self._maker(owner).make_stream(entry, body, owner, extra)

    def make_hard_link(self, row: Row, source: bytes, fs_path: bytes) -> None:
        if in_utility_vm(fs_path) and not in_utility_vm(source):
            return  # only in the record: ImportLayer has yet to make its target
        self._maker(fs_path).make_hard_link(row, source, fs_path)

    def make_parent_link(self, entry: HardLink, file: File, parents: Lower, parent: OpenDirectory, name: str) -> None:
        self._maker(parent.fs_path).make_parent_link(entry, file, parents, parent, name)

    def copy_boot_file(self, source: bytes, target: bytes) -> None:
        self._vm.copy_boot_file(source, target)

    def whiteout(self, entry: Whiteout) -> None:
        if entry.path.startswith(f"{UTILITY_VM_FILES}/"):
            self._vm.whiteout(entry)

    def finish(self, owner: StreamOwner) -> None:
        self._maker(owner.fs_path).finish(owner)

    def finish_directory(self, fs_path: bytes, row: Row) -> None:
        self._maker(fs_path).finish_directory(fs_path, row)

    def close(self) -> None:
        with closing(self._folder), closing(self._vm):
            self._transport.close()

    def warnings(self) -> list[str]:
        return self._vm.warnings()

    def values(self) -> dict[str, str | int | bytes | None]:
        # No name on NTFS has a colon.
        return {} if self._vm.cloned is None else {CLONED: b":".join(self._vm.cloned)}
