"""A source tree as it was when the build looked at it, to notice files that change while they are read."""

from __future__ import annotations

import os
import stat
from hashlib import blake2b

from ..win32.names import encode_wtf8
from .source_tree import Kind, Node, SourceTree

__all__ = ["TreeSnapshot"]


class TreeSnapshot:
    """The state of a tree before it is read, compared with its state after.

    newest: the latest mtime in ns since 1970, None where nothing is from the host. files, size: how many, and their
    bytes. left_out: how many files of macOS's own were passed over.
    """

    def __init__(self, tree: SourceTree) -> None:
        self.newest: int | None = None
        self.files = 0
        self.size = 0
        self._tree = tree
        self._seen: dict[int, bytes] = {}  # 8 bytes for each directory
        before = tree.left_out
        for node, children in tree.walk():
            self._seen[_key(node)] = self._digest(node, children)
            for origin in (*node.origins, *(origin for child in children for origin in child.origins)):
                self.newest = max(origin.found.st_mtime_ns, self.newest or origin.found.st_mtime_ns)
            for child in children:
                if child.kind is Kind.FILE and child.origins:
                    self.files += 1
                    self.size += child.origins[0].found.st_size
        self.left_out = tree.left_out - before

    def check(self) -> Node | None:
        """Compare the tree with the snapshot; the first directory that changed, or None."""
        for node, children in self._tree.walk():
            _look(node)
            if self._seen.pop(_key(node), b"") != self._digest(node, children):
                return node
        return self._tree.root if self._seen else None

    def _digest(self, node: Node, children: list[Node]) -> bytes:
        digest = blake2b(digest_size=8)
        for origin in (*node.origins, *(origin for child in children for origin in child.origins)):
            found = origin.found
            size, time = found.st_size, found.st_mtime_ns
            if not stat.S_ISREG(found.st_mode):
                size = 0
                if self._tree.output_folder == os.path.join(origin.folder.path, origin.host).rstrip(b"/\\"):
                    time = 0
            line = (origin.host, stat.S_IFMT(found.st_mode), size, time, found.st_ino)
            digest.update(repr(line).encode())
        return digest.digest()


def _look(node: Node) -> None:
    """The root of a source is in no listing: see what it is now."""
    for origin in node.origins:
        if not origin.host:
            origin.found = origin.folder.stat()


def _key(node: Node) -> int:
    return int.from_bytes(blake2b(encode_wtf8(node.path), digest_size=8).digest(), "little")
