"""Names of layers that lie on each other, as a tree: what a container on them would see, and which entry is behind it.

A layer's entries are first gathered in a tree of their own, checked as an import
would check them; then that goes over what the layers below show:

- its whiteouts take away what is at a path and below it;
- what is no real directory (a file; a symlink or junction) takes the place of what
  is there, with all that is below it; so does a directory where something else is;
- a directory over a directory: what is in them is put together, and the rest
  (spelling, metadata, streams) is that of the newer one.

A hard link is a further name of the file that its target is in its own layer, else
below that layer: whatever the layer itself replaces or deletes there, for Windows
too makes links before it deletes. So a file is the entry that brought it, and lives
as long as one of its names.

Of files just names are kept, of directories and links their entries: memory is
bounded by the number of entries.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from ..entry import AlternateStream, Body, Directory, Entry, File, HardLink, Whiteout
from ..host.spool import EMPTY, Spool, Spooled
from ..win32.names import encode_wtf8, upcase
from .namespace import Namespace, NodeKind, kind_of
from .rules import (
    check_entry,
)

__all__ = ["Folder", "LayerNames", "MergedTree", "TreeNode"]


class TreeNode:
    """What is at one path: `name` as the newest layer spells it that names it.

    layer, number: of the entry behind it, counted from 0 in the order in which its layer brings them.
    entry: of a directory and of a hard link, without path and DOS name; None for the name of a File entry.
    file: of a file, the name of its File entry: this one, another, or one that is seen no more. None for a directory.
    streams: of a directory, what was put aside of its alternate streams.
    short: its DOS name. It belongs to one name, not to the file.
    """

    __slots__ = ("entry", "file", "layer", "name", "number", "short", "streams")

    def __init__(self, name: str, layer: int, number: int, entry: Directory | HardLink | None = None) -> None:
        self.name = name
        self.layer = layer
        self.number = number
        self.entry = entry
        self.file: TreeNode | None = None
        self.short: str | None = None
        self.streams: list[tuple[str, Spooled]] | None = None

    @property
    def order(self) -> tuple[int, int]:
        """Names sorted by this are in the order in which the layers brought them."""
        return self.layer, self.number


class Folder(TreeNode):
    """A real directory, and what is in it, by the name in upper case. A symlink or junction is not one."""

    __slots__ = ("children",)

    def __init__(self, name: str, layer: int, number: int, entry: Directory | HardLink | None = None) -> None:
        super().__init__(name, layer, number, entry)
        self.children: dict[str, TreeNode] = {}

    def find(self, path: str) -> TreeNode | None:
        """What is at `path` below it, by NTFS's case rules; None for nothing."""
        found: TreeNode | None = self
        for part in upcase(path).split("/"):
            if not isinstance(found, Folder):
                return None
            found = found.children.get(part)
        return found

    def sorted(self) -> list[TreeNode]:
        """What is in the directory, in the byte order of the names."""
        return sorted(self.children.values(), key=lambda name: encode_wtf8(name.name))


class MergedTree:
    """What is seen of the layers that have been put on one another so far, below `root`."""

    def __init__(self) -> None:
        self.root = Folder("", -1, -1)

    def put(self, layer: LayerNames) -> None:
        """Put a layer on top; its tree becomes a part of this one."""
        for path in layer.whiteouts.values():
            self.remove(path)
        waiting = [(self.root, layer.root)]
        while waiting:
            below, above = waiting.pop()
            for key, name in above.children.items():
                old = below.children.get(key)
                if not isinstance(old, Folder) or not isinstance(name, Folder):
                    below.children[key] = name
                    continue
                old.name, old.layer, old.number = name.name, name.layer, name.number
                old.entry, old.streams, old.short = name.entry, name.streams, name.short
                waiting.append((old, name))

    def remove(self, path: str) -> TreeNode | None:
        """Take away what is at `path`, and below it; what was there."""
        above, _, name = path.rpartition("/")
        folder = self.root.find(above) if above else self.root
        return folder.children.pop(upcase(name), None) if isinstance(folder, Folder) else None

    def copy(self) -> MergedTree:
        """The same, not changed by what is put on this one later."""
        result = MergedTree()
        waiting = [(self.root, result.root)]
        while waiting:
            old, new = waiting.pop()
            for key, name in old.children.items():
                new.children[key] = name
                if isinstance(name, Folder):
                    new.children[key] = copied = Folder(name.name, name.layer, name.number, name.entry)
                    copied.streams, copied.short = name.streams, name.short
                    waiting.append((name, copied))
        return result

    def walk(self) -> Iterator[tuple[str, TreeNode]]:
        """All names with their paths: depth first, those of a directory in byte order, as hcsshim walks."""
        stack = [("", iter(self.root.sorted()))]
        while stack:
            above, names = stack[-1]
            name = next(names, None)
            if name is None:
                stack.pop()
                continue
            path = above + name.name
            yield path, name
            if isinstance(name, Folder) and name.children:
                stack.append((f"{path}/", iter(name.sorted())))


class _TreeNames:
    """The names of a layer as a NameIndex."""

    def __init__(self, root: Folder, whiteouts: dict[str, str]) -> None:
        self.root = root
        self._whiteouts = whiteouts

    def find(self, directory: Folder, name: str, /) -> TreeNode | None:
        return directory.children.get(upcase(name))

    def kind(self, node: TreeNode, /) -> NodeKind:
        if node.file is not None:
            return NodeKind.FILE
        return NodeKind.DIRECTORY if isinstance(node, Folder) else NodeKind.STAND_IN

    def name(self, node: TreeNode, /) -> str:
        return node.name

    def enter(self, _directory: Folder, node: TreeNode, /) -> Folder:
        assert isinstance(node, Folder)  # noqa: S101 # as kind() says
        return node

    def missing(self, directory: Folder, name: str, /) -> Folder:
        raise NotImplementedError("a layer that is squashed has no fault")

    def has_whiteout(self, path: str, /) -> bool:
        return bool(self._whiteouts) and upcase(path) in self._whiteouts

    def add_whiteout(self, path: str, /) -> bool:
        before = len(self._whiteouts)
        self._whiteouts.setdefault(upcase(path), path)
        return len(self._whiteouts) > before


class LayerNames:
    """The names of layer `number`, which is to go on `below`, from its entries in their order.

    whiteouts: their paths by those in upper case. spool: for the streams of directories. descriptors: those that are
    known, so that each is kept once.
    """

    def __init__(self, number: int, below: MergedTree, spool: Spool, descriptors: dict[bytes, bytes]) -> None:
        self.root = Folder("", number, -1)
        self.whiteouts: dict[str, str] = {}
        self.count = 0  # of the entries so far
        self._layer = number
        self._below = below.root
        self._spool = spool
        self._descriptors = descriptors
        self._names = Namespace(_TreeNames(self.root, self.whiteouts), base=number == 0)
        self._owner: TreeNode | None = None  # of streams

    def add(self, entry: Entry, body: Body | None) -> None:
        """The next entry. Raises LayerError and its kin for what has no place in the layer."""
        check_entry(entry, base=self._layer == 0)
        number, self.count = self.count, self.count + 1
        if isinstance(entry, AlternateStream):
            self._stream(entry, body)
            return
        self._names.owner(entry.path if isinstance(entry, Directory | File) else None)
        self._owner = None
        if isinstance(entry, Whiteout):
            self._names.whiteout(entry.path, lambda path: self._below.find(path) is not None)
            return
        folder, name = self._names.place(entry.path)
        if isinstance(entry, HardLink):
            new = self._link(entry, name, number)
        else:
            if isinstance(entry, File):
                new = TreeNode(name, self._layer, number)
                new.file = new
            else:
                kind = Folder if kind_of(entry) is NodeKind.DIRECTORY else TreeNode
                new = kind(name, self._layer, number, self._kept(entry))
            new.short = entry.short_name
            self._owner = new
        folder.children[upcase(name)] = new
        if isinstance(new, Folder):
            self._names.remember(entry.path, new)

    def _kept(self, entry: Directory) -> Directory:
        descriptor = entry.security_descriptor
        if descriptor is not None:
            descriptor = self._descriptors.setdefault(descriptor, descriptor)
        return replace(entry, path="", security_descriptor=descriptor, short_name=None)

    def _link(self, entry: HardLink, name: str, number: int) -> TreeNode:
        own = self._names.link(entry)
        found = own or self._below.find(entry.target)
        if own is None:
            is_file = found is not None and found.file is not None
            self._names.check_lower(entry, found=found is not None, is_file=is_file)
        assert found is not None  # noqa: S101 # it was just checked
        # Of the files that the layer has itself, nobody asks for a target.
        new = TreeNode(name, self._layer, number, replace(entry, path="", target=entry.target if own is None else ""))
        new.file = found.file
        return new

    def _stream(self, entry: AlternateStream, body: Body | None) -> None:
        self._names.stream(entry)
        owner = self._owner
        assert owner is not None  # noqa: S101 # the stream follows it
        if owner.file is None:
            if owner.streams is None:
                owner.streams = []
            owner.streams.append((entry.name, EMPTY if body is None else self._spool.put(body, entry.path)))
