"""A non-base layer on Windows as a source: what ExportLayer has made of it, and what only the layer folder has.

The utility VM is read where it is, without what is still the parent's. ExportLayer makes
copies of hard links: with a record the links are the record's, without one they are told
by the files' identities, in the layer folder and its parents'.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing

from ...entry import AlternateStream, Body, Entry, File
from ...errors import NotFoundError
from ...union.rules import FILES, UTILITY_VM
from ..folder.body import FolderBody
from ..folder.source import LayerFolder
from ..folder.tree import FolderTree, Links, Node
from ..record.writer import Kind, Row, hard_link
from ..transport.folder import is_transport
from ..transport.source import TransportLayer
from .identities import FileIdentities
from .source import WindowsLayer
from .utility_vm import in_utility_vm

__all__ = ["ExportedLayer"]

_LINKS = (Kind.LINK, Kind.PARENT_LINK)


class ExportedLayer(LayerFolder):
    """The layer folder `path`, of which ExportLayer has made the transport folder `transport` (see FolderTree).

    parents: the folders of the layers below, nearest first. Raises NotFoundError for a folder that ExportLayer has not
    filled, AccessError for privileges that are missing.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        transport: bytes,
        parents: Sequence[str | os.PathLike[str]],
        *,
        verify_content: bool = False,
    ) -> None:
        if not is_transport(transport):
            raise NotFoundError(
                "the host compute service has exported nothing",
                path=os.fspath(path),
                expected="a transport folder of ExportLayer",
                hint="is it a layer that the service has imported, with the parents given?",
            )
        super().__init__(path, non_base=True, verify_content=verify_content)
        with ExitStack() as undo:
            undo.callback(super().close)
            identities = undo.enter_context(closing(FileIdentities(path, parents)))
            self._vm = undo.enter_context(_UtilityVm(self, identities, path, verify_content))
            self._files = undo.enter_context(_Exported(self, identities, transport, verify_content))
            self._parts = undo.pop_all()

    def close(self) -> None:
        parts = getattr(self, "_parts", None)
        if parts is None:  # the folder itself could not be opened
            super().close()
        else:
            parts.close()

    def _part(self, fs_path: bytes) -> FolderTree:
        return self._vm if in_utility_vm(fs_path) else self._files

    def entries(self) -> Iterator[tuple[Entry, Body | None]]:
        self._files.check_parent_links()
        yield from super().entries()

    def _list(self, fs_path: bytes) -> list[tuple[bytes, os.stat_result]]:
        return self._part(fs_path)._list(fs_path)

    def _children(self, path: str, fs_path: bytes, number: int) -> list[Node]:
        if path:
            return self._part(fs_path)._children(path, fs_path, number)
        return [
            *(node for node in self._files._children(path, fs_path, number) if node.path != UTILITY_VM),
            *(node for node in self._vm._children(path, fs_path, number) if node.path == UTILITY_VM),
        ]

    def _known(self, row: Row, path: str, fs_path: bytes) -> Node | None:
        return self._part(fs_path)._known(row, path, fs_path)

    def _entry(self, node: Node, links: Links | None) -> tuple[Entry, Body | None]:
        return self._part(node.fs_path)._entry(node, links)

    def _streams(self, node: Node) -> Iterator[tuple[AlternateStream, FolderBody]]:
        return self._part(node.fs_path)._streams(node)

    def _open_stream(self, node: Node, name: str) -> FolderBody | None:
        return self._part(node.fs_path)._open_stream(node, name)

    def _recorded_stream(self, path: str, fs_path: bytes, row: Row) -> tuple[FolderBody, bool] | None:
        return self._part(fs_path)._recorded_stream(path, fs_path, row)

    def _further_streams(
        self, path: str, fs_path: bytes, known: set[str]
    ) -> Iterator[tuple[AlternateStream, FolderBody]]:
        return self._part(fs_path)._further_streams(path, fs_path, known)

    def _whiteout_paths(self) -> list[str]:
        return self._files._whiteout_paths()

    def has_whiteout(self, path: str) -> bool:
        return self._files.has_whiteout(path)


class _UtilityVm(WindowsLayer):
    """The utility VM in the layer folder `path`, without what is the parent's."""

    def __init__(
        self,
        whole: FolderTree,
        identities: FileIdentities,
        path: str | os.PathLike[str],
        verify_content: bool,
    ) -> None:
        self._whole, self._shared_record = whole, whole._record
        self._identities = identities
        super().__init__(path, non_base=True, verify_content=verify_content)

    def _children(self, path: str, fs_path: bytes, number: int) -> list[Node]:
        nodes = super()._children(path, fs_path, number)
        if not path:
            return nodes
        return [node for node in nodes if node.row is not None or not self._is_parents(node)]

    def _is_parents(self, node: Node) -> bool:
        return self._identities.is_clone(node.fs_path, node.path, directory=stat.S_ISDIR(node.found.st_mode))


class _Exported(TransportLayer):
    """The transport folder `path` that ExportLayer has made, with the hard links that the layer folder has."""

    def __init__(
        self,
        whole: FolderTree,
        identities: FileIdentities,
        path: bytes,
        verify_content: bool,
    ) -> None:
        self._whole, self._shared_record = whole, whole._record
        self._identities = identities
        super().__init__(os.fsdecode(path), non_base=True, verify_content=verify_content)

    def _check(self, folder: bytes) -> None:
        """Nothing: the record is in the layer folder, and there is no doubt whose it is."""

    def _is_windows_artifact(self, prefix: str, name: str, known: Row | None) -> bool:
        return FolderTree._is_windows_artifact(self, prefix, name, known)

    def _children(self, path: str, fs_path: bytes, number: int) -> list[Node]:
        nodes = super()._children(path, fs_path, number)
        links = {node.path for node in nodes if node.row is not None and node.row.kind in _LINKS}
        return [node for node in nodes if node.row is not None or node.path not in links]

    def _is_link(self, row: Row, fs_path: bytes) -> bool:
        """Is it a name of its target in the layer folder? ExportLayer has made a copy of it."""
        if row.kind == Kind.PARENT_LINK:
            return self._identities.is_name_of_parents(fs_path, str(row.target))
        return self._record is not None and self._identities.is_name_of(
            fs_path, self._record.path_of(self._root_row(row))
        )

    def _entry(self, node: Node, links: Links | None) -> tuple[Entry, Body | None]:
        entry, body = super()._entry(node, links)
        if links is not None and node.row is None and isinstance(entry, File) and node.path.startswith(f"{FILES}/"):
            target = self._identities.first_name(node.fs_path, node.path)
            if target is not None:
                if isinstance(body, FolderBody):
                    body.close()
                times = (entry.creation_time, entry.last_access_time, entry.last_write_time, entry.change_time)
                return hard_link(node.path, target, entry.file_attributes, times), None
        return entry, body
