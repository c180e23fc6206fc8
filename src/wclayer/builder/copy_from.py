"""Files of an image for `COPY --from`: the tree that a container on its layers sees, below given paths.

Two passes: one over every layer for the names, which tells what is seen at each path
(`union.view`); one over the layers that have something of it, for the content. In memory
are the names of all layers, and what is known of the files that are wanted; their
content goes into one temporary file.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Final, Self, TypeAlias

from ..entry import AlternateStream, Body, Directory, Entry, File, HardLink, Source
from ..errors import LayerError, NotFoundError, StorageError
from ..host.spool import EMPTY, Spool, Spooled
from ..layers.lookup.patterns import component, is_wild
from ..union.rules import FILES
from ..union.view import NodeKind, UnionView, ViewEntry, reading
from ..win32.filetime import UNIX_EPOCH, to_unix_ns
from ..win32.names import decode_wtf8, encode_wtf8, upcase
from ..win32.reparse import link_target

__all__ = ["ImageTree"]

_DEVICE: Final = 1
Pattern: TypeAlias = tuple[Callable[[str], bool], ...]


@dataclass(slots=True)
class _Node:
    """What is visible at `path`; file: the entry behind it, by layer and path in upper case.

    entry, content and streams come with the second pass.
    """

    path: str
    file: tuple[int, str]
    entry: Directory | File | None = None
    content: Spooled | None = None
    streams: list[tuple[str, Spooled]] = field(default_factory=list)
    children: list[str] = field(default_factory=list)  # paths in upper case, from the root on


class ImageTree:
    """A tree of files out of layers (see `recipe.Folder`), its root drive C:. Closed by close()."""

    path = b""
    left_out = 0

    def __init__(self, nodes: dict[str, _Node], content: Spool, name: str, root: str) -> None:
        self._nodes = nodes
        self._content = content
        self._name = name
        self._root = root
        self._numbers = {key: number for number, key in enumerate(sorted(nodes), 1)}

    @classmethod
    def of_layers(
        cls,
        layers: Sequence[Source],
        paths: Sequence[str],
        *,
        name: str,
        literal: bool = False,
        root: str = FILES,
        temp_dir: str | os.PathLike[str] | None = None,
    ) -> Self:
        """The tree that the layers, base first, show at and below each of the `paths` of drive C:.

        paths: with `/`; their components may have `*`, `?` and `[...]` as in Go's path.Match. Case does not matter.
        literal: the paths are not patterns, whatever their names look like. name: the image's name in errors. root: the
        folder of the layers that the paths are in, if it is not that of drive C:. temp_dir: the folder for the content.

        Raises NotFoundError for a path without wildcards that does not exist, LayerError for one that goes through a
        link, for hard links to nothing and for names that a layer has twice, and what reading the layers raises.
        """
        content = Spool(temp_dir)
        try:
            tree = _Reading(layers, paths, content, name, root, literal=literal)
            tree.names()
            tree.contents()
            return cls(tree.nodes, content, name, root)
        except BaseException:
            content.close()
            raise

    def find(self, pattern: str) -> list[str]:
        """The paths that match a pattern, in the byte order of their names, spelled as the layers have them."""
        parts = tuple(map(component, _parts(pattern)))
        if not parts:
            return [""]
        depth = len(parts) - 1
        found = [
            self._nodes[key].path for key in self._nodes if key.count("/") == depth and _matches(key.split("/"), parts)
        ]
        return sorted(found, key=encode_wtf8)

    def spelled(self, path: str) -> str:
        """A path as the layers spell it. Raises NotFoundError."""
        node = self._nodes.get("/".join(_parts(path)))
        if node is None and _parts(path):
            raise NotFoundError("the image has no such file", path=f"{self._name}//{self._root}/{path}")
        return "" if node is None else node.path

    def is_directory(self, path: str) -> bool:
        """Is it a real directory, not a link?"""
        return stat.S_ISDIR(self.look(encode_wtf8(path)).st_mode)

    def link(self, path: str) -> str | None:
        """The target of the symlink or junction at `path`, as Windows has it; None for anything else."""
        known = self._nodes[upcase(path)].entry if path else None
        found = None if known is None or known.reparse_data is None else link_target(known.reparse_data)
        return None if found is None else found[0]

    def list(self, directory: bytes, /) -> list[tuple[bytes, os.stat_result]]:
        key = upcase(decode_wtf8(directory))
        children = self._nodes[key].children if key else [child for child in self._nodes if "/" not in child]
        found = [(self._host(child), self._found(child)) for child in children]
        return sorted(found, key=lambda pair: pair[0])

    def look(self, host: bytes, /) -> os.stat_result:
        return self._found(upcase(decode_wtf8(host))) if host else self.stat()

    def stat(self) -> os.stat_result:
        return _stat(stat.S_IFDIR | 0o755, 0, 0, UNIX_EPOCH)

    def shown(self, host: bytes, /) -> str:
        return f"{self._name}//{self._root}/{decode_wtf8(host)}".rstrip("/")

    def entry(self, host: bytes, /) -> Directory | File | None:
        return self._node(host).entry if host else None

    def open(self, host: bytes, _found: os.stat_result, /) -> Body:
        content = self._node(host).content
        return self._content.open(EMPTY if content is None else content)

    def read(self, host: bytes, found: os.stat_result, /) -> bytes:
        return self.open(host, found).read()

    def streams(self, host: bytes, /) -> Iterator[tuple[AlternateStream, Body]]:
        node = self._node(host)
        for name, content in node.streams:
            yield AlternateStream(f"{self._root}/{node.path}", name, content.size), self._content.open(content)

    def readlink(self, host: bytes, /) -> bytes:
        """The target of a link, as Windows has it."""
        return encode_wtf8(self.link(decode_wtf8(host)) or "")

    def close(self) -> None:
        self._content.close()

    # --- parts --------------------------------------------------------------------

    def _node(self, host: bytes) -> _Node:
        return self._nodes[upcase(decode_wtf8(host))]

    def _host(self, key: str) -> bytes:
        return encode_wtf8(self._nodes[key].path)

    def _found(self, key: str) -> os.stat_result:
        node = self._nodes[key]
        known = node.entry
        if isinstance(known, Directory):
            kind, size = stat.S_IFDIR | 0o755, 0
        else:
            kind, size = stat.S_IFREG | 0o644, 0 if node.content is None else node.content.size
        if known is not None and known.reparse_data is not None and link_target(known.reparse_data) is not None:
            kind = stat.S_IFLNK | 0o777
        time = UNIX_EPOCH if known is None or known.last_write_time is None else known.last_write_time
        return _stat(kind, size, self._numbers[key], time)


class _Reading:
    """The two passes. See ImageTree.of_layers for the arguments."""

    def __init__(
        self,
        layers: Sequence[Source],
        paths: Sequence[str],
        content: Spool,
        name: str,
        root: str,
        *,
        literal: bool,
    ) -> None:
        patterns = [_parts(path) for path in paths]
        self._layers = layers
        self._patterns = [tuple((part.__eq__ if literal else component(part)) for part in parts) for parts in patterns]
        self._wild = [not literal and any(map(is_wild, parts)) for parts in patterns]
        self._paths = paths
        self._content = content
        self._name = name
        self._root = root
        self._top = f"{upcase(root)}/"
        self._links: dict[str, str] = {}  # links on the way to wanted paths, and their targets
        self.nodes: dict[str, _Node] = {}  # by path in upper case, from the root on

    def names(self) -> None:
        """Find what is seen at each path that is wanted. Raises LayerError, NotFoundError."""
        view = UnionView(self._layers)
        with closing(view.entries()) as entries:
            for seen in entries:
                if isinstance(seen.entry, Directory | File | HardLink) and seen.key.startswith(self._top):
                    self._see(seen, seen.entry)
        for node in self.nodes.values():
            found = view.file_of(*node.file)
            if found is not None:
                node.file = found
            elif view.kind(*node.file) not in (NodeKind.DIRECTORY, NodeKind.STAND_IN):
                raise LayerError("a hard link to nothing", path=f"{self._name}//{self._root}/{node.path}")
        for key in self.nodes:
            above = key.rpartition("/")[0]
            if above in self.nodes:
                self.nodes[above].children.append(key)
        self._check()

    def _see(self, seen: ViewEntry, entry: Directory | File | HardLink) -> None:
        key = seen.key[len(self._top) :]
        parts = key.split("/")
        if any(_matches(parts, pattern) for pattern in self._patterns):
            self.nodes[key] = _Node(seen.path[len(self._top) :], (seen.number, seen.key))
        elif not isinstance(entry, HardLink) and entry.reparse_data is not None:
            link = link_target(entry.reparse_data)
            if link is not None and any(_leads_to(parts, pattern) for pattern in self._patterns):
                self._links[key] = link[0]

    def _check(self) -> None:
        """Raise NotFoundError for a path without wildcards that does not exist."""
        for path, pattern, wild in zip(self._paths, self._patterns, self._wild, strict=True):
            if not pattern or wild:
                continue
            if any(_matches(key.split("/"), pattern) for key in self.nodes):
                continue
            for key, target in self._links.items():
                if _leads_to(key.split("/"), pattern):
                    raise LayerError(
                        "a path through a link", path=f"{self._name}//{self._root}/{path}", got=f"{key} -> {target}"
                    )
            raise NotFoundError("the image has no such file", path=f"{self._name}//{self._root}/{path}")

    def contents(self) -> None:
        """Read the entries that the nodes are, with content and streams, each once."""
        wanted: dict[int, dict[str, list[_Node]]] = {}
        for node in self.nodes.values():
            number, key = node.file
            wanted.setdefault(number, {}).setdefault(key, []).append(node)
        for number, nodes in sorted(wanted.items()):
            with reading(self._layers[number]) as entries:
                self._read(entries, nodes)
        for node in self.nodes.values():
            if node.entry is None:
                raise StorageError(
                    "the layer has changed since it was first read", path=f"{self._name}//{self._root}/{node.path}"
                )

    def _read(self, entries: Iterator[tuple[Entry, Body | None]], nodes: dict[str, list[_Node]]) -> None:
        found: list[_Node] = []
        left = len(nodes)
        for entry, body in entries:
            if isinstance(entry, AlternateStream):
                if found and body is not None:
                    content = self._content.put(body, entry.path)
                    for node in found:
                        node.streams.append((entry.name, content))
                continue
            if not left:
                break
            found = nodes.get(upcase(entry.path), []) if isinstance(entry, Directory | File) else []
            if not found or not isinstance(entry, Directory | File):
                continue
            left -= 1
            stored = None if body is None else self._content.put(body, entry.path)
            for node in found:
                node.entry, node.content = entry, stored


def _parts(path: str) -> list[str]:
    return [part for part in upcase(path).split("/") if part not in ("", ".")]


def _leads_to(parts: Sequence[str], pattern: Pattern) -> bool:
    """Is the path, in upper case, on the way to what fits the pattern?"""
    return len(parts) < len(pattern) and all(fits(part) for fits, part in zip(pattern, parts, strict=False))


def _matches(parts: Sequence[str], pattern: Pattern) -> bool:
    """Does the path, in upper case, match the pattern, or lie below a match?"""
    return len(parts) >= len(pattern) and all(fits(part) for fits, part in zip(pattern, parts, strict=False))


def _stat(mode: int, size: int, number: int, time: int) -> os.stat_result:
    ns = to_unix_ns(time)
    return os.stat_result(
        (mode, number, _DEVICE, 1, 0, 0, size, ns // 10**9, ns // 10**9, ns // 10**9), {"st_mtime_ns": ns}
    )
