"""The entries of a new layer: the tree of its sources, on top of the layers below.

What the layers below have keeps its spelling, and their directories all their
metadata; only a rule about a directory itself changes one. The order is that of
hcsshim's walk: whiteouts after their directory, names in byte order.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final, TypeAlias, TypeVar

from ..body import BytesBody
from ..entry import Body, Directory, Entry, File, Lower, Whiteout
from ..errors import LayerError, NotFoundError
from ..layers.hives.config_hives import CONFIG_HIVES
from ..stores.folder.defaults import HIVE_DESCRIPTOR, new_directory, new_file, new_hard_link
from ..union.rules import FILES, HIVES
from ..win32.attributes import (
    FILE_ATTRIBUTE_HIDDEN,
    FILE_ATTRIBUTE_NOT_CONTENT_INDEXED,
    FILE_ATTRIBUTE_READONLY,
    FILE_ATTRIBUTE_REPARSE_POINT,
    FILE_ATTRIBUTE_SPARSE_FILE,
    FILE_ATTRIBUTE_SYSTEM,
)
from ..win32.filetime import from_unix_ns
from ..win32.names import encode_wtf8, upcase
from ..win32.reparse import build_link, link_target
from .access import Access
from .acl import with_owner
from .recipe import DirectoryRule, FilesRule, JunctionRule, RemoveRule, Security, SymlinkRule
from .source_folder import SourceBody
from .source_tree import Kind, Node, Origin, SourceTree
from .symlinks import leads_to_directory, posix_target, windows_target

__all__ = ["NewLayer", "Times"]

_HIVE_PATHS: Final = frozenset(upcase(hive.config) for hive in CONFIG_HIVES)

# Attributes that are the file's own, whatever file system it lies on.
_COPIED: Final = (
    FILE_ATTRIBUTE_READONLY
    | FILE_ATTRIBUTE_HIDDEN
    | FILE_ATTRIBUTE_SYSTEM
    | FILE_ATTRIBUTE_SPARSE_FILE
    | FILE_ATTRIBUTE_NOT_CONTENT_INDEXED
)

Step: TypeAlias = tuple[Entry, Body | None]
E = TypeVar("E", File, Directory)


@dataclass(frozen=True, slots=True)
class Times:
    """made: the FILETIME of files that no source has. latest: the upper bound, if given. same: all times are `made`."""

    made: int
    latest: int | None = None
    same: bool = False

    def of(self, origins: list[Origin]) -> int:
        """The FILETIME of a file with these origins."""
        if self.same or not origins:
            return self.made
        time = from_unix_ns(max(origin.found.st_mtime_ns for origin in origins))
        return time if self.latest is None else min(time, self.latest)


@dataclass(slots=True)
class _Place:
    """A node of the tree: `path` as the new layer spells it, and the entry of the layers below at that path."""

    node: Node
    path: str
    existing: Directory | File | None
    access: Access
    by_rule: dict[FilesRule, Access] = field(default_factory=dict)  # for what each rule brings


class NewLayer:
    """The entries of a new layer; a base layer if `below` is None.

    acl: the template of what no rule says anything about. hives: differencing hives by their paths in the layer.
    `warnings` grows as entries are given.

    entries() raises LayerError for what does not go with the layers below, NotFoundError for a removal of what they do
    not have, and what the tree, its links and its bodies raise.
    """

    restartable = True

    def __init__(
        self,
        tree: SourceTree,
        below: Lower | None,
        times: Times,
        *,
        acl: str = "default",
        hives: Mapping[str, bytes] = MappingProxyType({}),
    ) -> None:
        self._tree = tree
        self._below = below
        self._times = times
        self._access = Access.named(acl)
        self._hives = hives
        self._first: dict[tuple[int, int, bytes, int], str] = {}  # names given so far of files that have several
        self.warnings: list[str] = []

    def entries(self) -> Iterator[Step]:
        self.warnings.clear()
        self._first.clear()
        stack = [iter([self._root()])]
        while stack:
            place = next(stack[-1], None)
            if place is None:
                stack.pop()
                continue
            entry, body = self._entry(place)
            try:
                yield entry, body
            finally:
                if isinstance(body, SourceBody):
                    body.close()
            yield from self._streams(place, entry)
            if place.node.kind is Kind.DIRECTORY:
                stack.append(iter(self._children(place)))
        if self._below is not None:
            hives = self._below.lookup(HIVES)
            if not isinstance(hives, Directory):
                hives = new_directory(HIVES, self._times.made)
            yield hives, None
            for path, data in sorted(self._hives.items()):
                yield self._hive(path, data, self._times.made)

    # --- places ---------------------------------------------------------------

    def _root(self) -> _Place:
        place = _Place(self._tree.root, FILES, self._lookup(FILES), self._access)
        self._resolve_access(place, {})
        return place

    def _lookup(self, path: str) -> Directory | File | None:
        found = None if self._below is None else self._below.lookup(path)
        return found if isinstance(found, Directory | File) else None

    def _children(self, above: _Place) -> list[_Place]:
        default = above.access.below()
        by_rule = {rule: access.below() for rule, access in above.by_rule.items()}
        places: list[_Place] = []
        for node in self._tree.children(above.node):
            path = f"{above.path}/{node.name}"
            existing = None if above.existing is None else self._lookup(path)
            if existing is not None:
                path = existing.path
            place = _Place(node, path, existing, default)
            self._resolve_access(place, by_rule)
            self._check(place)
            places.append(place)
        places.sort(key=lambda place: (place.node.kind is not Kind.REMOVED, encode_wtf8(place.path)))
        return places

    def _resolve_access(self, place: _Place, above: dict[FilesRule, Access]) -> None:
        """Find out what access holds: the rule about this very name, else the last one that brings something of it."""
        node = place.node
        default = place.access
        for origin in node.origins:
            access = above.get(origin.rule)
            if access is None:  # here begins what the rule brings
                access = default.changed(origin.rule.security)
            place.by_rule[origin.rule] = place.access = access
        security = _security(node)
        if security is not None and security != Security():
            place.access = place.access.changed(security)
            place.by_rule = dict.fromkeys(place.by_rule, place.access)

    def _check(self, place: _Place) -> None:
        """Raise LayerError for a node that conflicts with the layers below, NotFoundError for a needless removal."""
        node, existing = place.node, place.existing
        if node.kind is Kind.REMOVED:
            if existing is None:
                raise NotFoundError(
                    "nothing to remove: the layers below have no such name",
                    path=place.path,
                    hint="see `wclayer layers`",
                )
            return
        if existing is None:
            return
        directory = isinstance(existing, Directory)
        link = None if existing.reparse_data is None else link_target(existing.reparse_data)
        if directory and link is None and node.kind is Kind.DIRECTORY:
            return
        if not directory and node.kind is not Kind.DIRECTORY:
            return
        theirs = f"a link to {link[0]}" if link else "a directory" if directory else "a file"
        raise LayerError(
            f"{node.kind.value}, where the layers below have {theirs}",
            path=place.path,
            got=node.shown,
            hint=f"put it at {link[0]}" if link else "remove theirs in a layer of its own below this one",
        )

    # --- entries --------------------------------------------------------------

    def _entry(self, place: _Place) -> Step:
        node = place.node
        if node.kind is Kind.DIRECTORY:
            return self._directory(place), None
        if node.kind is Kind.REMOVED:
            return Whiteout(place.path), None
        if node.kind is Kind.FILE:
            return self._file(place)
        return self._link(place), None

    def _directory(self, place: _Place) -> Directory:
        rule = place.node.rule
        attributes = rule.attributes if isinstance(rule, DirectoryRule) else 0
        if isinstance(place.existing, Directory):
            entry = replace(place.existing, path=place.path)
            security = _security(place.node)
            if security is not None and (security.acl or security.sddl or entry.security_descriptor is None):
                entry = replace(entry, security_descriptor=place.access.descriptor(directory=True))
            elif security is not None and security.owner and place.access.owner and entry.security_descriptor:
                owned = with_owner(entry.security_descriptor, place.access.owner)
                entry = replace(entry, security_descriptor=owned)
        else:
            entry = new_directory(place.path, self._times.of(place.node.origins))
            entry = replace(entry, security_descriptor=place.access.descriptor(directory=True))
            for known in (origin.folder.entry(origin.host) for origin in place.node.origins if origin.host):
                entry = entry if known is None else _as_copied(entry, known)
        return replace(entry, file_attributes=entry.file_attributes | attributes) if attributes else entry

    def _file(self, place: _Place) -> Step:
        node = place.node
        # A file of a source keeps its time; made or changed content has `Times.made`.
        time = self._times.of(node.origins if node.data is None else [])
        if node.data is not None and not node.origins:
            if upcase(place.path) in _HIVE_PATHS:
                return self._hive(place.path, node.data, time)
            entry = new_file(place.path, time, len(node.data))
            return replace(entry, security_descriptor=place.access.descriptor(directory=False)), BytesBody(node.data)
        [origin] = node.origins
        entry = new_file(place.path, time, origin.found.st_size if node.data is None else len(node.data))
        descriptor = place.access.descriptor(directory=False)
        attributes = entry.file_attributes | origin.rule.attributes
        if origin.found.st_nlink > 1 and upcase(place.path) not in _HIVE_PATHS:
            key = (origin.found.st_dev, origin.found.st_ino, descriptor, attributes)
            first = self._first.setdefault(key, place.path)
            if first != place.path:
                return replace(new_hard_link(place.path, first, time), file_attributes=attributes), None
        entry = replace(entry, security_descriptor=descriptor, file_attributes=attributes)
        if (known := origin.folder.entry(origin.host)) is not None:
            entry = _as_copied(entry, known)
        return entry, origin.folder.open(origin.host, origin.found) if node.data is None else BytesBody(node.data)

    def _hive(self, path: str, data: bytes, time: int) -> Step:
        entry = replace(new_file(path, time, len(data)), security_descriptor=HIVE_DESCRIPTOR)
        return entry, BytesBody(data)

    def _streams(self, place: _Place, entry: Entry) -> Iterator[Step]:
        """The named streams of what comes from a layer."""
        if isinstance(entry, File) or (isinstance(entry, Directory) and place.existing is None):
            for origin in place.node.origins:
                if not origin.host:
                    continue
                for stream, body in origin.folder.streams(origin.host):
                    yield replace(stream, path=entry.path), body

    def _link(self, place: _Place) -> Directory | File:
        node, rule = place.node, place.node.rule
        for origin in node.origins:
            if (known := origin.folder.entry(origin.host)) is not None:
                make = new_directory if isinstance(known, Directory) else new_file
                entry = make(place.path, self._times.of([origin]), reparse_data=known.reparse_data)
                return replace(
                    entry, security_descriptor=place.access.descriptor(directory=isinstance(known, Directory))
                )
        junction = isinstance(rule, JunctionRule)
        directory: bool | None = None
        if isinstance(rule, SymlinkRule | JunctionRule):
            target = windows_target(place.path, rule.target)
            directory = True if isinstance(rule, JunctionRule) else rule.directory
        else:
            [origin] = node.origins
            target = posix_target(node, origin.folder.readlink(origin.host))
        if directory is None:
            directory = leads_to_directory(node.path, target, self._tree, self._below)
        if directory is None:
            self.warnings.append(f"{place.path}: leads to nothing in the image ({target}); made a link to a file")
        make = new_directory if directory else new_file
        entry = make(place.path, self._times.of(node.origins), reparse_data=build_link(target, junction))
        return replace(entry, security_descriptor=place.access.descriptor(directory=bool(directory)))


def _as_copied(entry: E, known: Directory | File) -> E:
    """A new file or directory with what Windows' own copying takes along; security and times are not among it."""
    attributes = entry.file_attributes | (known.file_attributes & _COPIED)
    if known.reparse_data is not None:
        attributes |= FILE_ATTRIBUTE_REPARSE_POINT
    return replace(
        entry,
        file_attributes=attributes,
        extended_attributes=known.extended_attributes,
        reparse_data=known.reparse_data,
    )


def _security(node: Node) -> Security | None:
    """What a rule says of this very name."""
    rule = node.rule
    return None if rule is None or isinstance(rule, RemoveRule) else rule.security
