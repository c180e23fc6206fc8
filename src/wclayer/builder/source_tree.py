"""The tree of a new layer's drive C:, merged from what the rules bring: one directory at a time.

Folders that several rules bring are merged; any other two things of one name, by
Windows' rules, are an error. Nothing but the directories on the way is held, so memory
does not grow with the tree. The layers below are not looked at here.
"""

from __future__ import annotations

import os
import stat
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, Self, TypeAlias

from ..errors import FormatError, InexpressibleError, InvalidNameError, LayerError, UsageError, with_context
from ..union.rules import FILES
from ..win32.names import check_component, check_length, decode_wtf8, encode_wtf8, upcase, win32_problem
from .recipe import DirectoryRule, FilesRule, Folder, Ignoring, JunctionRule, LayerRecipe, RemoveRule, SymlinkRule
from .source_folder import SourceFolder, find_source, read_ignore

__all__ = ["Kind", "Node", "Origin", "SourceTree"]

_WHITEOUT: Final = ".wh."
_LISTINGS: Final = 64  # directories whose merged content is remembered

Rule: TypeAlias = DirectoryRule | SymlinkRule | JunctionRule | RemoveRule


class Kind(Enum):
    """What a name of the tree is."""

    DIRECTORY = "a directory"
    FILE = "a file"
    SYMLINK = "a symlink of the host"
    LINK = "a symlink or junction of a rule"
    REMOVED = "a removal"


@dataclass(slots=True)
class Origin:
    """An object of the host, or of another folder, and the rule that brings it, number `order` of its kind."""

    folder: SourceFolder | Folder
    host: bytes
    found: os.stat_result
    rule: FilesRule
    order: int = 0

    @property
    def shown(self) -> str:
        return self.folder.shown(self.host)


@dataclass(slots=True, eq=False)
class _Spot:
    """A name that a rule has as its target, or a directory on the way to one."""

    name: str
    below: dict[str, _Spot] = field(default_factory=dict)  # by name in upper case
    origins: list[Origin] = field(default_factory=list)
    rule: Rule | None = None
    data: bytes | None = None


@dataclass(slots=True, eq=False)
class Node:
    """One name of the tree, at `path` of drive C: ("" is its root).

    origins: what the host has there; several for a directory that was merged. rule: what a rule says of this very name.
    data: the content of a file that was made up, or changed.
    """

    path: str
    kind: Kind
    origins: list[Origin]
    rule: Rule | None = None
    data: bytes | None = None
    _spot: _Spot | None = None

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]

    @property
    def shown(self) -> str:
        """The source, for messages."""
        return self.origins[0].shown if self.origins else f"C:\\{self.path}".replace("/", "\\")


class SourceTree:
    """The tree that `recipe` describes. Closed by close(), or as a context manager.

    context: a folder whose .wclayerignore holds for all sources in it. Raises NotFoundError for a source that is not
    there, LayerError for two things of one name.
    """

    def __init__(self, recipe: LayerRecipe, context: str | None = None) -> None:
        self._folders: list[SourceFolder] = []
        self._others: list[Folder] = []
        self._later_wins = recipe.later_wins
        self._listings: OrderedDict[str, list[Node]] = OrderedDict()
        self._top = _Spot("")
        self._changed: dict[str, bytes] = {}  # contents by paths in upper case
        self.output_folder: bytes | None = None  # writing the output into it changes its mtime
        self.removals: list[str] = [rule.path for rule in recipe.remove]
        try:
            outer = _outer(context)
            for order, files in enumerate(recipe.files):
                self._add_files(files, order, outer)
            rules: list[Rule] = [*recipe.directories, *recipe.symlinks, *recipe.junctions, *recipe.remove]
            for rule in rules:
                self._add_rule(rule)
        except BaseException:
            self.close()
            raise
        self.root = Node("", Kind.DIRECTORY, self._top.origins, self._top.rule, None, self._top)

    def close(self) -> None:
        for folder in self._folders:
            folder.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def left_out(self) -> int:
        """How many files of macOS's own were passed over so far, in all listings."""
        folders: list[SourceFolder | Folder] = [*self._folders, *self._others]
        return sum(folder.left_out for folder in folders)

    def check_output(self, output: str) -> None:
        """Raise UsageError if `output`, a path of the host, lies in a folder that is to become part of the image.

        One that is left out there may be written while the folder is read.
        """
        place = os.path.realpath(os.fsencode(output))
        self.output_folder = os.path.dirname(place)
        for folder in self._folders:
            if place != folder.path and not place.startswith(os.path.join(folder.path, b"")):
                continue
            inside = os.path.relpath(place, folder.path)
            if place == folder.path or folder.brings(inside):
                raise UsageError(
                    "the output lies in a folder that is to be part of the image",
                    path=output,
                    got=folder.shown(b""),
                    hint="write it elsewhere, or name it in .wclayerignore",
                )
            folder.hide(inside)

    # --- rules ----------------------------------------------------------------

    def _add_files(self, rule: FilesRule, order: int, outer: tuple[bytes, Ignoring] | None) -> None:
        folder = rule.folder
        origin = self._origin(rule, outer) if folder is None else self._origin_elsewhere(rule, folder)
        origin.order = order
        target = rule.target
        if stat.S_ISDIR(origin.found.st_mode):
            self._spot(target).origins.append(origin)
            return
        if rule.into or not target:
            name = rule.name or _name(origin.host.rpartition(b"/")[2], rule.source)
            target = f"{target}/{name}".lstrip("/")
        spot = self._spot(target)
        if spot.origins:
            if not self._later_wins or stat.S_ISDIR(spot.origins[0].found.st_mode):
                raise _twice(target, spot.origins[0].shown, rule.source)
            spot.origins.clear()
        spot.origins.append(origin)

    def _origin(self, rule: FilesRule, outer: tuple[bytes, Ignoring] | None) -> Origin:
        """A source of the host."""
        path, found = find_source(rule.source)
        if not stat.S_ISDIR(found.st_mode):
            directory, name = os.path.split(path)
            self._folders.append(SourceFolder(directory, single=True))
            return Origin(self._folders[-1], name, found, rule)
        folder = SourceFolder(path, rule.exclude, _prefixed(outer, path), ignore=rule.ignore)
        self._folders.append(folder)
        return Origin(folder, b"", found, rule)

    def _origin_elsewhere(self, rule: FilesRule, folder: Folder) -> Origin:
        self._others.append(folder)
        host = encode_wtf8(rule.source)
        return Origin(folder, host, folder.look(host), rule)

    def _add_rule(self, rule: Rule) -> None:
        spot = self._spot(rule.path)
        if spot.rule is not None:
            raise _twice(rule.path, "a rule", "another rule")
        spot.rule = rule

    def add_file(self, path: str, data: bytes) -> None:
        """Add a file with this content at a path that does not exist."""
        self._spot(path).data = data
        self._listings.clear()

    def change_file(self, path: str, data: bytes) -> None:
        """Replace the content of the existing file at this path."""
        self._changed[upcase(path)] = data
        self._listings.clear()

    def _spot(self, path: str) -> _Spot:
        spot = self._top
        for name in path.split("/") if path else ():
            check_name(name, path)
            spot = spot.below.setdefault(upcase(name), _Spot(name))
        return spot

    # --- the merged tree --------------------------------------------------------

    def children(self, node: Node) -> list[Node]:
        """What lies in the directory `node`, in the byte order of the names."""
        if node.kind is not Kind.DIRECTORY:
            return []
        known = self._listings.get(node.path)
        if known is not None:
            self._listings.move_to_end(node.path)
            return known
        merged = self._merge(node)
        for child in merged.values() if self._changed else ():
            child.data = self._changed.get(upcase(child.path), child.data)
        result = sorted(merged.values(), key=lambda child: encode_wtf8(child.path))
        self._listings[node.path] = result
        if len(self._listings) > _LISTINGS:
            self._listings.popitem(last=False)
        return result

    def _merge(self, node: Node) -> dict[str, Node]:
        merged: dict[str, Node] = {}
        prefix = f"{node.path}/" if node.path else ""
        for above in node.origins:
            own: dict[str, Node] = {}
            for host, found in above.folder.list(above.host):
                if _is_excluded(above.rule, host, found):
                    continue
                origin = Origin(above.folder, host, found, above.rule, above.order)
                name = _name(host.rpartition(b"/")[2], origin.shown)
                child = Node(prefix + name, _kind(found, origin.shown), [origin])
                if (other := own.setdefault(upcase(name), child)) is not child:
                    raise LayerError(
                        "two names that are one to Windows",
                        path=other.shown,
                        got=origin.shown,
                        hint="rename or leave out one of them",
                    )
            for key, child in own.items():
                _join(merged, key, child, self._later_wins)
        if node._spot is not None:
            for key, spot in node._spot.below.items():
                _join(merged, key, _spot_node(prefix, spot), self._later_wins)
        return merged

    def find(self, names: Sequence[str]) -> Node | None:
        """The node at the path `names` below the root, by NTFS's case rules; None if it does not exist."""
        node = self.root
        for name in names:
            key = upcase(name)
            for child in self.children(node):
                if upcase(child.name) == key:
                    node = child
                    break
            else:
                return None
        return node

    def walk(self) -> Iterator[tuple[Node, list[Node]]]:
        """Each directory with what lies in it, from the root down."""
        stack = [self.root]
        while stack:
            node = stack.pop()
            children = self._fresh(node)
            yield node, children
            stack.extend(child for child in reversed(children) if child.kind is Kind.DIRECTORY)

    def _fresh(self, node: Node) -> list[Node]:
        self._listings.pop(node.path, None)
        return self.children(node)


def _outer(context: str | None) -> tuple[bytes, Ignoring] | None:
    if context is None:
        return None
    folder, _ = find_source(context)
    ignore = read_ignore(folder)
    return None if ignore is None else (folder, ignore)


def _prefixed(outer: tuple[bytes, Ignoring] | None, path: bytes) -> tuple[Ignoring, bytes] | None:
    """The outer patterns for a source at `path`, with what to put before a path of it; None for one outside."""
    if outer is None or path == outer[0] or not path.startswith(os.path.join(outer[0], b"")):
        return None
    return outer[1], os.path.relpath(path, outer[0]).replace(os.fsencode(os.sep), b"/") + b"/"


def _is_excluded(rule: FilesRule, host: bytes, found: os.stat_result) -> bool:
    """Does the rule leave out what lies at `host` of a folder that is not the host's? There it is asked here."""
    if rule.folder is None or not rule.ignore:
        return False
    directory = stat.S_ISDIR(found.st_mode)
    inside = host[len(encode_wtf8(rule.source)) :].lstrip(b"/")
    if not any(ignore.match(inside, directory) for ignore in rule.ignore):
        return False
    reopened = directory and any(ignore.may_reopen(inside) for ignore in rule.ignore)
    return not (reopened and any(not _is_excluded(rule, *child) for child in rule.folder.list(host)))


def _name(name: bytes, shown: str) -> str:
    with with_context(path=shown, only=FormatError):
        text = decode_wtf8(name)
    check_name(text, shown)
    return text


def check_name(name: str, path: str) -> None:
    """Raise InvalidNameError for a name that Windows' programs could not open, InexpressibleError for a whiteout's."""
    with with_context(path=path, only=InvalidNameError):
        check_component(name)
        check_length(name)
    if (problem := win32_problem(name)) is not None:
        raise InvalidNameError(
            f"a name that Windows cannot open: {problem}", path=path, got=repr(name), hint="rename it, or leave it out"
        )
    if name.startswith(_WHITEOUT):
        raise InexpressibleError(
            "a name that in a layer marks the deletion of another", path=path, hint="rename it, or leave it out"
        )


def _kind(found: os.stat_result, shown: str) -> Kind:
    if stat.S_ISDIR(found.st_mode):
        return Kind.DIRECTORY
    if stat.S_ISREG(found.st_mode):
        return Kind.FILE
    if stat.S_ISLNK(found.st_mode):
        return Kind.SYMLINK
    raise InexpressibleError(
        "a special file, which no Windows layer can hold",
        path=shown,
        expected="files, folders and symlinks",
        hint="leave it out with .wclayerignore",
    )


def _spot_node(prefix: str, spot: _Spot) -> Node:
    path = prefix + spot.name
    kind = Kind.DIRECTORY
    if spot.data is not None:
        kind = Kind.FILE
    elif isinstance(spot.rule, RemoveRule):
        kind = Kind.REMOVED
    elif isinstance(spot.rule, SymlinkRule | JunctionRule):
        kind = Kind.LINK
    elif spot.origins:
        kind = _kind(spot.origins[0].found, spot.origins[0].shown)
        for origin in spot.origins[1:]:
            if _kind(origin.found, origin.shown) is not Kind.DIRECTORY or kind is not Kind.DIRECTORY:
                raise _twice(path, spot.origins[0].shown, origin.shown)
    if kind is not Kind.DIRECTORY and (spot.below or (spot.rule is not None and spot.origins)):
        other = f"{path}/{next(iter(spot.below.values())).name}" if spot.below else "another rule"
        raise _twice(path, kind.value, other)
    return Node(path, kind, list(spot.origins), spot.rule, spot.data, spot)


def _join(merged: dict[str, Node], key: str, node: Node, later_wins: bool) -> None:
    """Put `node` among `merged`, or join it to the directory of its name.

    later_wins: of two files the one counts whose rule is the later one.
    """
    other = merged.setdefault(key, node)
    if other is node:
        return
    if later_wins and Kind.DIRECTORY not in (node.kind, other.kind) and node.origins and other.origins:
        if node.origins[0].order >= other.origins[0].order:
            merged[key] = node
        return
    if other.kind is not Kind.DIRECTORY or node.kind is not Kind.DIRECTORY:
        raise _twice(node.path, other.shown, node.shown)
    other.origins.extend(node.origins)
    other.rule = node.rule if other.rule is None else other.rule
    other._spot = node._spot if other._spot is None else other._spot


def _twice(path: str, one: str, other: str) -> LayerError:
    return LayerError(
        "two things of one name in one layer",
        path=path,
        got=f"{one} and {other}",
        hint="leave one of them out, with exclude or .wclayerignore, or put them into two layers",
    )


def layer_folders(tree: SourceTree) -> list[str]:
    """A warning for each source that has `Files` at its top, as layer folders have: it would become `C:\\Files`."""
    node = tree.find([FILES])
    if node is None or node.name != FILES or node.kind is not Kind.DIRECTORY:
        return []
    folders = [origin.folder.shown(b"") for origin in node.origins if origin.host == os.fsencode(FILES)]
    return [
        f"{folder} has a folder {FILES} at its top, as a layer has: it becomes C:\\{FILES}."
        f" Its content? Then give {os.path.join(folder, FILES)}"
        for folder in folders
    ]
