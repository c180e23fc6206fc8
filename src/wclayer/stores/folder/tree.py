"""The tree of a layer folder as it is now, with what layer.db remembers of it: one object at a time.

The tree wins over the record. What all kinds of store have in common is here; what an
object of the file system is as an entry is the store's (`posix_source`, `ntfs3g_source`).
"""

from __future__ import annotations

import hashlib
import os
import stat
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Final, Self

from ...entry import AlternateStream, Body, Entry, File, HardLink
from ...errors import FormatError, LayerError, NotFoundError, RecordError
from ...host.errors import absolute, host_errors, shown
from ...union.rules import BOOT_FILES, FILES, HIVES
from ...win32.names import check_component, decode_wtf8, encode_wtf8, upcase
from ..record.reader import RecordReader
from ..record.writer import LAYER_DB, Flag, Kind, Row, hard_link
from ..root.open_root import open_root
from ..root.root import Root
from .body import FolderBody

__all__ = ["CLONED", "FolderTree", "Links", "Node", "fits"]

CLONED: Final = "cloned"  # in the record's table layer: host paths that came with the parent's utility VM, with colons
_BOOT_KEYS: Final = {upcase(path): name for path, name in BOOT_FILES.items()}
# What Windows' own processing leaves in the root of a layer folder.
_PROCESSED: Final = (
    b"blank-base.vhdx",
    b"layout",
    b"Hives/System_Base",
    b"UtilityVM/SystemTemplateBase.vhdx",
)


@dataclass(slots=True)
class Node:
    """One object of the tree: where it is on the host, what the host says of it, what the record does."""

    path: str
    fs_path: bytes
    found: os.stat_result
    row: Row | None
    changed: bool = False  # its content, as far as that has been looked at


class FolderTree(ABC):
    """The layer folder `path`, with random access. Closed by close(), or as a context manager.

    non_base: what a folder without a layer.db is; None to tell it by its Hives. verify_content: read every file to tell
    whether it has changed, whatever its mtime. descriptors: of directories that stay open at the most. Raises
    NotFoundError if there is no such folder, RecordError for a broken layer.db.
    """

    # Of a layer of which this folder is a part (`ExportedLayer`): the layer, and its record, which stays its own.
    _whole: FolderTree | None = None
    _shared_record: RecordReader | None = None

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        non_base: bool | None = None,
        verify_content: bool = False,
        descriptors: int = 64,
    ) -> None:
        self._verify_content = verify_content
        folder = absolute(path)
        self.path = shown(folder)
        if not os.path.isdir(folder):
            raise NotFoundError("no such layer folder", path=self.path)
        self._record = shared = self._shared_record
        with host_errors(self.path):
            self._root = self._open_root(folder, descriptors)
            try:
                if shared is None and os.path.lexists(place := self._record_place(folder)):
                    self._record = RecordReader(place)
                elif shared is None and not self._root.exists(FILES.encode()):
                    raise NotFoundError(
                        "no layer folder: neither layer.db nor Files/",
                        path=self.path,
                        hint="import a layer into it first",
                    )
                self.base = self._is_base(non_base)
            except BaseException:
                self.close()
                raise

    def _open_root(self, folder: bytes, descriptors: int) -> Root:
        """Where the layer's objects are."""
        return open_root(folder, descriptors=descriptors)

    def _record_place(self, folder: bytes) -> bytes:
        """Where the record of `folder` lies, if it has one."""
        return os.path.join(folder, LAYER_DB)

    def _is_base(self, non_base: bool | None) -> bool:
        if self._record is not None:
            return self._record.values.get("kind") == "base"
        if non_base is not None:
            return not non_base
        return not any(name.upper().endswith(b"_DELTA") for name, _ in self._list(HIVES.encode()))

    def close(self) -> None:
        self._root.close()
        if self._record is not None and self._record is not self._shared_record:
            self._record.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def diff_id(self) -> str | None:
        """The diff_id of the tar that it was imported from, where that is known."""
        value = self._record.values.get("diff_id") if self._record else None
        return value if isinstance(value, str) else None

    @property
    def warnings(self) -> list[str]:
        """What reading it has left out so far."""
        return []

    @property
    def store(self) -> str | None:
        """The kind of store that made it; None without a record."""
        return str(self._record.values.get("store", "posix")) if self._record else None

    def value(self, key: str) -> object:
        """A value of the record's table layer; None for none."""
        return self._record.values.get(key) if self._record else None

    @property
    def parent_diff_ids(self) -> tuple[str | None, ...] | None:
        """Those of the layers it was imported onto, nearest first; None where nothing is known."""
        value = self._record.values.get("parents") if self._record else None
        if not isinstance(value, str):
            return () if self._record is not None and self.base else None
        return tuple(None if name == "-" else name for name in value.split())

    # --- the tree ---------------------------------------------------------------

    def _list(self, fs_path: bytes) -> list[tuple[bytes, os.stat_result]]:
        try:
            return self._root.list(fs_path)
        except FileNotFoundError:
            return []

    def _children(self, path: str, fs_path: bytes, number: int) -> list[Node]:
        """What lies in a directory, in no order; `number` is its id in the record, -1 if it has none."""
        rows = self._rows(number)
        prefix = f"{path}/" if path else ""
        nodes: list[Node] = []
        for name, found in self._list(fs_path):
            known = rows.get(name)
            if known is not None and not fits(known, found):
                known = None
            if not path and name not in (b"Files", b"Hives", b"UtilityVM"):
                continue
            try:
                text = decode_wtf8(name) if known is None else known.name
                check_component(text)
            except FormatError as error:
                error.at(prefix + os.fsdecode(name))
                raise
            if self._is_windows_artifact(prefix, text, known):
                continue
            nodes.append(Node(prefix + text, b"%b/%b" % (fs_path, name) if fs_path else name, found, known))
        return nodes

    def _rows(self, number: int) -> dict[bytes, Row]:
        """What the record knows to lie in directory `number`, by the host's names."""
        rows: dict[bytes, Row] = {}
        if self._record is not None and number >= 0:
            own = self._record.host_names(number)
            for row in self._record.children(number):
                if row.kind != Kind.STREAM:
                    rows[own.get(row.id) or encode_wtf8(row.name)] = row
        return rows

    def _is_windows_artifact(self, prefix: str, name: str, known: Row | None) -> bool:
        """Is it a file that Windows' processing makes beside the layer's own?"""
        if known is not None:
            return False
        if prefix == "UtilityVM/":
            return name != FILES
        return prefix == "Hives/" and not upcase(name).endswith("_DELTA")

    def _sorted(self, node: Node) -> list[Node]:
        children = self._children(node.path, node.fs_path, node.row.id if node.row else -1)
        children.sort(key=lambda child: encode_wtf8(child.path))
        seen: dict[str, str] = {}
        for child in children:
            other = seen.setdefault(upcase(child.path), child.path)
            if other != child.path:
                raise LayerError(
                    "two names that are one to Windows", path=child.path, got=other, hint="rename one of them"
                )
        return children

    # --- one entry ------------------------------------------------------------

    @abstractmethod
    def _entry(self, node: Node, links: Links | None) -> tuple[Entry, Body | None]:
        """The entry that an object is now; of several names of a file, all but the first in `links` are links.

        Sets `node.changed` where it differs from the record. Raises InexpressibleError for what no layer can hold.
        """

    @abstractmethod
    def _streams(self, node: Node) -> Iterator[tuple[AlternateStream, FolderBody]]:
        """The named streams of an object; each body is closed when the next one comes."""

    @abstractmethod
    def _open_stream(self, node: Node, name: str) -> FolderBody | None:
        """The body of a named stream; None for none of that name."""

    @abstractmethod
    def _recorded_stream(self, path: str, fs_path: bytes, row: Row) -> tuple[FolderBody, bool] | None:
        """The stream of `row`, of the object at `path`: its body, and whether it has changed; None if it is gone."""

    @abstractmethod
    def _further_streams(
        self, path: str, fs_path: bytes, known: set[str]
    ) -> Iterator[tuple[AlternateStream, FolderBody]]:
        """The named streams of an object besides those in `known`."""

    def _link(self, node: Node, root: Row, links: Links) -> HardLink | None:
        """The link that the record says this unchanged file is; None for a first name, and for what has no other."""
        row = node.row
        if row is None or self._record is None:
            return None
        if row.kind == Kind.PARENT_LINK and isinstance(row.target, str):
            # What this layer has itself at that place, the link would lead to: then it is a file of its own.
            layer = self._whole or self
            return self._record.link(row, node.path, row.target) if layer.lookup(row.target) is None else None
        if row.kind != Kind.LINK and not row.flags & Flag.LINKED:
            return None
        first = links.recorded.setdefault(root.id, node.path)
        return None if first == node.path else hard_link(node.path, first, row.attributes, row.times)

    def _root_row(self, row: Row) -> Row:
        """The row that has the metadata and data of a file: of a link, its target."""
        if row.kind != Kind.LINK or self._record is None or not isinstance(row.target, int):
            return row
        root = self._record.get(row.target)
        if root.kind != Kind.FILE:
            raise RecordError("layer.db: a link to something that is no file", path=row.name, got=root.name)
        return root

    def _extents(self, row: Row | None) -> tuple[tuple[int, int], ...] | None:
        """The allocated ranges that the record knows of a row's data; None for none, and where it has no holes."""
        return None if row is None or self._record is None else self._record.extents(row)

    def _same_content(self, body: FolderBody, row: Row) -> bool:
        """Has a file or stream, of the size that the record says, still the content that it says?"""
        digest = hashlib.sha256()
        with closing(body):
            for _, chunk in body.chunks():
                digest.update(chunk)
            return digest.digest() == row.sha256 and body.holes_are_zero()

    def _boot_original(self, node: Node, entry: File) -> tuple[bytes, int] | None:
        """Where the boot file's original is, if Windows has rewritten the live one: host path and size."""
        if not node.path.startswith("UtilityVM/Files/"):
            return None
        name = _BOOT_KEYS.get(upcase(node.path))
        if name is None or entry.reparse_data is not None or not any(map(self._root.exists, _PROCESSED)):
            return None
        try:
            return name, self._root.lstat(name).st_size
        except FileNotFoundError:
            return None

    # --- random access --------------------------------------------------------

    def _find(self, path: str) -> Node | None:
        parent, fs_path, number = "", b"", 0
        node: Node | None = None
        for name in path.split("/"):
            if node is not None and not stat.S_ISDIR(node.found.st_mode):
                return None
            found = self._child(parent, fs_path, number, name)
            if found is None:
                return None
            node = found
            parent, fs_path, number = node.path, node.fs_path, node.row.id if node.row else -1
        return node

    def _child(self, parent: str, fs_path: bytes, number: int, name: str) -> Node | None:
        """One name in a directory: by the record, and only where that does not know it by looking at all names."""
        if self._record is not None and number >= 0:
            row = self._record.find(number, name)
            if row is not None:
                own = self._record.more(row).get("host_name") or encode_wtf8(row.name)
                full = b"%b/%b" % (fs_path, own) if fs_path else own
                node = self._known(row, f"{parent}/{row.name}" if parent else row.name, full)
                if node is not None:
                    return node
        key = upcase(name)
        for node in self._children(parent, fs_path, number):
            if upcase(node.path.rpartition("/")[2]) == key:
                return node
        return None

    def _known(self, row: Row, path: str, fs_path: bytes) -> Node | None:
        """What the folder has for `row`, if it is still of that kind."""
        try:
            found = self._root.lstat(fs_path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        return Node(path, fs_path, found, row) if fits(row, found) else None

    def lookup(self, path: str, /) -> Entry | None:
        """The entry of that name, by NTFS's case rules; a further name of a file gives that file's own entry."""
        with host_errors(path):
            node = self._find(path)
            if node is None:
                return None
            entry, body = self._entry(node, None)
            if isinstance(body, FolderBody):
                body.close()
            return entry

    def streams(self, path: str, /) -> Sequence[str]:
        """The names of the named streams of a file or directory."""
        with host_errors(path):
            node = self._find(path)
            return [] if node is None else [entry.name for entry, _ in self._streams(node)]

    def has_whiteout(self, path: str) -> bool:
        """Does this layer delete `path` itself?"""
        return self._record is not None and self._record.has_whiteout(path)

    def children(self, path: str, /) -> Iterator[Entry]:
        with host_errors(path):
            if not path:
                nodes = sorted(self._children("", b"", 0), key=lambda node: node.path)
            else:
                found = self._find(path)
                nodes = self._sorted(found) if found is not None and stat.S_ISDIR(found.found.st_mode) else []
            for node in nodes:
                entry, body = self._entry(node, None)
                if isinstance(body, FolderBody):
                    body.close()
                yield entry

    def open(self, path: str, stream: str = "", /) -> Body:
        with host_errors(path):
            node = self._find(path)
            if node is None:
                raise NotFoundError("no such file in the layer", path=path)
            body: Body | None
            if stream:
                body = self._open_stream(node, stream)
                if body is None:
                    raise NotFoundError("no such stream in the layer", path=f"{path}:{stream}")
                return body
            body = self._entry(node, None)[1]
            if body is None:
                raise NotFoundError("no such file in the layer", path=path)
            return body


class Links:
    """The names given so far of files that have several."""

    def __init__(self) -> None:
        self.recorded: dict[int, str] = {}  # by the id of the file's row
        self._inodes: dict[tuple[int, int], tuple[str, int]] = {}  # -> first name, names still to come

    def note(self, found: os.stat_result, path: str, names: int) -> None:
        """The first of a file's `names`."""
        if names > 1:
            self._inodes[found.st_dev, found.st_ino] = (path, names - 1)

    def seen(self, found: os.stat_result) -> str | None:
        """The first name of the same inode, if one has been given."""
        if found.st_nlink < 2:
            return None
        key = (found.st_dev, found.st_ino)
        known = self._inodes.get(key)
        if known is None:
            return None
        first, left = known
        if left > 1:
            self._inodes[key] = (first, left - 1)
        else:
            del self._inodes[key]
        return first


def fits(row: Row, found: os.stat_result) -> bool:
    """Is what the host has still of the kind that the record says? If not, it is new."""
    if stat.S_ISLNK(found.st_mode):
        return True
    return stat.S_ISDIR(found.st_mode) == (row.kind == Kind.DIRECTORY) and not (
        row.flags & Flag.SYMLINK and row.kind == Kind.DIRECTORY
    )
