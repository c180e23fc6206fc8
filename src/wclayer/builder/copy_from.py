"""Files taken out of layers that lie one upon another: what a container on them would see, below some paths.

Two passes over the layers, base first: one for the names, to find out which layer
has the last word on each; one for the content. A hard link's content is where its
target is, in its own layer or below. What is kept in memory is bounded by the number
of entries that are wanted, their content goes into one temporary file.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from ..entry import AlternateStream, Body, Directory, Entry, File, HardLink, Source, Whiteout
from ..errors import LayerError, NotFoundError
from ..host.spool import EMPTY, Spool, Spooled
from ..layers.lookup.patterns import component, is_wild
from ..union.rules import FILES
from ..win32.filetime import UNIX_EPOCH, to_unix_ns
from ..win32.names import decode_wtf8, encode_wtf8, upcase
from ..win32.reparse import link_target

__all__ = ["TakenFiles", "take"]

_MOST_LINKS: Final = 8  # hard links to hard links
_DEVICE: Final = 1
Pattern: TypeAlias = tuple[Callable[[str], bool], ...]


@dataclass(slots=True)
class _Node:
    """What is seen at one path; `content` and `streams` are known after the second pass."""

    layer: int
    entry: Directory | File | HardLink
    known: Directory | File | None = None
    content: Spooled | None = None
    streams: list[tuple[str, Spooled]] = field(default_factory=list)
    children: dict[str, str] = field(default_factory=dict)  # name in upper case -> path in upper case


class TakenFiles:
    """A tree of files out of layers (see `recipe.Folder`), its root drive C:. Closed by close()."""

    path = b""
    left_out = 0

    def __init__(self, nodes: dict[str, _Node], content: Spool, name: str, root: str) -> None:
        self._nodes = nodes
        self._content = content
        self._name = name
        self._root = root
        self._numbers = {key: number for number, key in enumerate(nodes, 1)}

    def find(self, pattern: str) -> list[str]:
        """The paths that fit a pattern, in the byte order of their names, spelled as the layers have them."""
        parts = tuple(map(component, _parts(pattern)))
        if not parts:
            return [""]
        depth = len(parts) - 1
        found = [
            self._nodes[key].entry.path.partition("/")[2]
            for key in self._nodes
            if key.count("/") == depth and _fits(key.split("/"), parts)
        ]
        return sorted(found, key=encode_wtf8)

    def spelled(self, path: str) -> str:
        """A path as the layers spell it. Raises NotFoundError."""
        node = self._nodes.get("/".join(_parts(path)))
        if node is None and _parts(path):
            raise NotFoundError("the image has no such file", path=f"{self._name}//{self._root}/{path}")
        return "" if node is None else node.entry.path.partition("/")[2]

    def is_directory(self, path: str) -> bool:
        """Is it a directory, and no link?"""
        return stat.S_ISDIR(self.look(encode_wtf8(path)).st_mode)

    def link(self, path: str) -> str | None:
        """Where the link at `path` leads, as Windows has it; None for what is none."""
        known = self._nodes[upcase(path)].known if path else None
        found = None if known is None or known.reparse_data is None else link_target(known.reparse_data)
        return None if found is None else found[0]

    def list(self, directory: bytes, /) -> list[tuple[bytes, os.stat_result]]:
        key = upcase(decode_wtf8(directory))
        if key:
            children = list(self._nodes[key].children.values())
        else:
            children = [child for child in self._nodes if "/" not in child]
        found = [(self._host(child), self._found(child)) for child in children]
        return sorted(found, key=lambda pair: pair[0])

    def look(self, host: bytes, /) -> os.stat_result:
        return self._found(upcase(decode_wtf8(host))) if host else self.stat()

    def stat(self) -> os.stat_result:
        return _stat(stat.S_IFDIR | 0o755, 0, 0, UNIX_EPOCH)

    def shown(self, host: bytes, /) -> str:
        return f"{self._name}//{self._root}/{decode_wtf8(host)}".rstrip("/")

    def entry(self, host: bytes, /) -> Directory | File | None:
        return self._node(host).known if host else None

    def open(self, host: bytes, _found: os.stat_result, /) -> Body:
        content = self._node(host).content
        return self._content.open(EMPTY if content is None else content)

    def read(self, host: bytes, found: os.stat_result, /) -> bytes:
        return self.open(host, found).read()

    def streams(self, host: bytes, /) -> Iterator[tuple[AlternateStream, Body]]:
        node = self._node(host)
        for name, content in node.streams:
            yield AlternateStream(node.entry.path, name, content.size), self._content.open(content)

    def readlink(self, host: bytes, /) -> bytes:
        """The target of a link, as Windows has it."""
        return encode_wtf8(self.link(decode_wtf8(host)) or "")

    def close(self) -> None:
        self._content.close()

    # --- parts --------------------------------------------------------------------

    def _node(self, host: bytes) -> _Node:
        return self._nodes[upcase(decode_wtf8(host))]

    def _host(self, key: str) -> bytes:
        return encode_wtf8(self._nodes[key].entry.path.partition("/")[2])

    def _found(self, key: str) -> os.stat_result:
        node = self._nodes[key]
        known = node.known
        if isinstance(known, Directory):
            kind, size = stat.S_IFDIR | 0o755, 0
        else:
            kind, size = stat.S_IFREG | 0o644, 0 if node.content is None else node.content.size
        if known is not None and known.reparse_data is not None and link_target(known.reparse_data) is not None:
            kind = stat.S_IFLNK | 0o777
        time = UNIX_EPOCH if known is None or known.last_write_time is None else known.last_write_time
        return _stat(kind, size, self._numbers[key], time)


def take(
    layers: Sequence[Source],
    wanted: Sequence[str],
    *,
    name: str,
    literal: bool = False,
    root: str = FILES,
    temp_dir: str | os.PathLike[str] | None = None,
) -> TakenFiles:
    """What the layers, base first, show below each of the paths `wanted` of drive C:.

    wanted: paths with `/`; their components may have `*`, `?` and `[...]` as Go's path.Match has them. Case does not
    matter. literal: they have none, whatever their names look like. name: what the image is called in errors.
    root: which folder of a layer they are in, if it is not that of drive C:. temporary: the folder for the content.

    Raises NotFoundError for a path without wildcards that is not there, LayerError for one that goes through a link,
    and what reading the layers raises.
    """
    patterns = [_parts(path) for path in wanted]
    content = Spool(temp_dir)
    try:
        taking = _Taking(layers, patterns, content, name, root, literal=literal)
        taking.names()
        taking.check(wanted)
        taking.contents()
        return TakenFiles(taking.nodes, content, name, root)
    except BaseException:
        content.close()
        raise


class _Taking:
    def __init__(
        self,
        layers: Sequence[Source],
        patterns: Sequence[list[str]],
        content: Spool,
        name: str,
        root: str,
        *,
        literal: bool,
    ) -> None:
        self._layers = layers
        self._patterns = [tuple((part.__eq__ if literal else component(part)) for part in parts) for parts in patterns]
        self._wild = [not literal and any(map(is_wild, parts)) for parts in patterns]
        self._content = content
        self._name = name
        self._root = root
        self._top = upcase(root)
        self._links: dict[str, tuple[int, str]] = {}  # links of the layers on the way to what is wanted
        self._below: dict[str, set[str]] = {}  # of each directory on the way to a node or link
        self.nodes: dict[str, _Node] = {}

    # --- the first pass -------------------------------------------------------------

    def names(self) -> None:
        """Find out which entry is seen at each path that is wanted."""
        for number, layer in enumerate(self._layers):
            for entry, _ in layer.entries():
                if isinstance(entry, AlternateStream):
                    continue
                root, _, path = entry.path.partition("/")
                if upcase(root) == self._top and path:
                    self._see(number, entry, upcase(path))
        for key in list(self.nodes):
            above = key.rpartition("/")[0]
            if above in self.nodes:
                self.nodes[above].children[key.rpartition("/")[2]] = key

    def _see(self, number: int, entry: Directory | File | HardLink | Whiteout, key: str) -> None:
        if isinstance(entry, Whiteout):
            self._remove(key, number, itself=True)
            return
        link = None
        if isinstance(entry, Directory | File) and entry.reparse_data is not None:
            link = link_target(entry.reparse_data)
        parts = key.split("/")
        on_the_way = any(_leads_to(parts, pattern) for pattern in self._patterns)
        wanted = any(_fits(parts, pattern) for pattern in self._patterns)
        if not isinstance(entry, Directory) and (on_the_way or key in self.nodes):
            self._remove(key, number, itself=False)
        if wanted:
            self.nodes[key] = _Node(number, entry)
        elif on_the_way:
            self._links.pop(key, None)
            if link is not None:
                self._links[key] = number, link[0]
        if key in self.nodes or key in self._links:
            while "/" in key:
                above = key.rpartition("/")[0]
                siblings = self._below.setdefault(above, set())
                if key in siblings:
                    break
                siblings.add(key)
                key = above

    def _remove(self, key: str, number: int, *, itself: bool) -> None:
        """Forget what the layers below `number` have at `key`, and below it."""
        waiting = [key] if itself else list(self._below.get(key, ()))
        while waiting:
            one = waiting.pop()
            waiting += self._below.get(one, ())
            node, link = self.nodes.get(one), self._links.get(one)
            if node is not None and node.layer < number:
                del self.nodes[one]
            if link is not None and link[0] < number:
                del self._links[one]

    def check(self, wanted: Sequence[str]) -> None:
        """Is there something for each path that has no wildcards?"""
        for path, pattern, wild in zip(wanted, self._patterns, self._wild, strict=True):
            if not pattern or wild:
                continue
            if any(_fits(key.split("/"), pattern) for key in self.nodes):
                continue
            for key, (_, target) in self._links.items():
                if _leads_to(key.split("/"), pattern):
                    raise LayerError(
                        "a path through a link", path=f"{self._name}//{self._root}/{path}", got=f"{key} -> {target}"
                    )
            raise NotFoundError("the image has no such file", path=f"{self._name}//{self._root}/{path}")

    # --- the second pass ------------------------------------------------------------

    def contents(self) -> None:
        """Read what the entries seen have, and for hard links what their targets have."""
        needs: dict[str, list[tuple[int, _Node]]] = {}
        for node in self.nodes.values():
            if isinstance(node.entry, HardLink):
                needs.setdefault(_target(node.entry), []).append((node.layer, node))
        direct = True
        for _ in range(_MOST_LINKS):
            needs = self._pass(needs, direct=direct)
            direct = False
            if not any(needs.values()):
                break
        for node in self.nodes.values():
            if node.known is None:
                target = node.entry.target if isinstance(node.entry, HardLink) else None
                raise LayerError("a hard link to nothing", path=f"{self._name}//{node.entry.path}", got=target)

    def _pass(self, needs: dict[str, list[tuple[int, _Node]]], *, direct: bool) -> dict[str, list[tuple[int, _Node]]]:
        """direct: read also what is wanted itself. Gives what is needed yet, for links to links."""
        further: dict[int, tuple[str, int, _Node]] = {}  # by the node: of several links to follow the last one counts
        for number, layer in enumerate(self._layers):
            receivers: list[_Node] = []
            for entry, body in layer.entries():
                if isinstance(entry, AlternateStream):
                    if receivers and body is not None:
                        content = self._content.put(body, entry.path)
                        for node in receivers:
                            node.streams.append((entry.name, content))
                    continue
                receivers = self._receivers(entry, number, needs, direct)
                if isinstance(entry, HardLink):
                    for node in receivers:
                        node.known = None
                        further[id(node)] = _target(entry), number, node
                    receivers = []
                elif isinstance(entry, Directory | File) and receivers:
                    stored = self._content.put(body, entry.path) if body is not None else None
                    for node in receivers:
                        further.pop(id(node), None)
                        node.known, node.content, node.streams = entry, stored, []
        result: dict[str, list[tuple[int, _Node]]] = {}
        for target, limit, node in further.values():
            result.setdefault(target, []).append((limit, node))
        return result

    def _receivers(
        self, entry: Entry, number: int, needs: dict[str, list[tuple[int, _Node]]], direct: bool
    ) -> list[_Node]:
        key = upcase(entry.path)
        receivers = [] if isinstance(entry, Directory) else [node for at, node in needs.get(key, ()) if number <= at]
        root, _, path = key.partition("/")
        own = self.nodes.get(path) if direct and root == self._top and not isinstance(entry, HardLink) else None
        if own is not None and own.layer == number and not isinstance(own.entry, HardLink):
            receivers.append(own)
        return receivers


def _target(entry: HardLink) -> str:
    return upcase(entry.target)


def _parts(path: str) -> list[str]:
    return [part for part in upcase(path).split("/") if part not in ("", ".")]


def _leads_to(parts: Sequence[str], pattern: Pattern) -> bool:
    """Is the path, in upper case, on the way to what fits the pattern?"""
    return len(parts) < len(pattern) and all(fits(part) for fits, part in zip(pattern, parts, strict=False))


def _fits(parts: Sequence[str], pattern: Pattern) -> bool:
    """Does the path, in upper case, fit the pattern, or lie below what does?"""
    return len(parts) >= len(pattern) and all(fits(part) for fits, part in zip(pattern, parts, strict=False))


def _stat(mode: int, size: int, number: int, time: int) -> os.stat_result:
    ns = to_unix_ns(time)
    return os.stat_result(
        (mode, number, _DEVICE, 1, 0, 0, size, ns // 10**9, ns // 10**9, ns // 10**9), {"st_mtime_ns": ns}
    )
