"""Paths on their way through the layers: symlinks and junctions are followed until the entry itself is found.

The walker is shown each entry that is read and knows of each path where it leads so far. Of
a pattern it walks the literal directories before the first wildcard; the directory at their end
becomes a `SubtreeQuery`, as does any directory that is wanted with everything below it.

A link may lead to a path whose entry, or what hides it, was read earlier. Such a path waits
for the next pass over the layers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from ...entry import Directory, File, Source, Whiteout
from ...errors import LayerError, NotFoundError, UsageError, with_context
from ...union.links import MOST_LINKS, follow_link, link_of
from ...union.view import NodeKind, UnionView, ViewEntry, paths_above
from ...win32.names import upcase
from ...win32.reparse import ReparseLink
from .request import Match, PathQuery, SubtreeQuery

__all__ = ["PathWalker", "already_read_error"]


@dataclass(slots=True, eq=False)  # two queries may have equal paths
class _Path:
    """A path that has not been found yet.

    parts: where it leads, links already replaced by their targets; key: the same in upper case. name: of the first link
    at its end that was followed; what is found goes by that name. link_chain, visited: as in `Match`.
    """

    query: PathQuery
    parts: Sequence[str]
    name: str | None = None
    link_chain: list[str] = field(default_factory=list)
    visited: set[str] = field(default_factory=set)
    key: str = ""

    def __post_init__(self) -> None:
        self.lead_to(self.parts)

    def lead_to(self, parts: Sequence[str]) -> None:
        self.parts = parts
        self.key = upcase("/".join(parts))


class PathWalker:
    """Find what the paths `queries` lead to in a stack of `count` layers.

    follows_last, enters_directories: as in `EntryHandler`.
    subtrees: the directories that were found, while layers below may have more in them.
    """

    def __init__(
        self, queries: Iterable[PathQuery], count: int, *, follows_last: bool, enters_directories: bool
    ) -> None:
        self._count: Final = count
        self._follows_last: Final = follows_last
        self._enters_directories: Final = enters_directories
        self._paths: list[_Path] = []
        self.subtrees: list[SubtreeQuery] = []
        for query in queries:
            if query.prefix:
                self._paths.append(_Path(query, query.prefix))
            else:
                self.subtrees.append(SubtreeQuery(query, "", ""))
        self._next_pass: list[_Path] = []
        self._watched: dict[str, list[_Path]] = {}  # by the keys of `_paths` and of the directories above them
        self._view = UnionView(())
        self._skipped = False  # has a part of the layers not been read in this pass?
        self._directory = ""  # of the last entry, in upper case

    @property
    def unfinished(self) -> bool:
        """Can any further entry be wanted?"""
        return bool(self._paths or self.subtrees)

    # --- passes -----------------------------------------------------------------------

    def begin_pass(self, view: UnionView) -> None:
        self._view = view
        self._skipped = False
        self._watch()

    def begin_layer(self) -> None:
        self._directory = ""

    def skip_rest(self) -> None:
        """A layer is not read, or not to its end: entries there may be what a link leads to that is met later."""
        self._skipped = True

    def end_layer(self, number: int) -> None:
        """Layer `number` has been read to its end. Raises NotFoundError for a path that it hides."""
        for path in self._paths:
            if self._view.hides(number, path.key):
                raise _not_found_error(path)
        self.subtrees = [subtree for subtree in self.subtrees if not self._is_closed(number, subtree.key)]

    def end_pass(self) -> None:
        """Take up the paths that wait for another pass. Raises NotFoundError for those that were not found."""
        for path in self._paths:
            raise _not_found_error(path)
        self._paths, self._next_pass = self._next_pass, []
        self.subtrees = []

    def check_restartable(self, layers: Sequence[Source]) -> None:
        """Raise UsageError if a path must be looked for again in `layers`, and one of them is a pipe."""
        if self._paths and not all(layer.restartable for layer in layers):
            path = self._paths[0]
            raise already_read_error("a link to something", path=path.query.text, got=path.link_chain[-1])

    def _is_closed(self, number: int, key: str) -> bool:
        """Does layer `number` hide everything that the layers below it have in a directory?"""
        if self._view.kind(number, key) is NodeKind.DIRECTORY:
            return False
        return self._view.hides(number, key)

    # --- entries ----------------------------------------------------------------------

    def visit(self, seen: ViewEntry, matches: list[Match]) -> None:
        """Take a step with each path that `seen` is the end of or lies on; add to `matches` why it is wanted.

        Raises UsageError for a directory where a file is wanted, LayerError for links that lead out of the layers,
        that lead to each other, or are too many.
        """
        if self._watched:
            self._enter_parents(seen)
            for path in list(self._watched.get(seen.key, ())):
                if path.key == seen.key:
                    self._on_path_found(path, seen, matches)
                else:
                    self._go_through(path, seen)
        if seen.visible and (self._count == 1 or not isinstance(seen.entry, Whiteout)):
            for subtree in self.subtrees:
                match = subtree.match(seen)
                if match is not None:
                    match.query.found = True
                    matches.append(match)

    def follow_hardlinked_symlink(
        self, seen: ViewEntry, matches: list[Match], reparse_data: bytes | None
    ) -> list[Match]:
        """Follow a symlink for the hard links to it; of those that are not followed, return the matches.

        A hard link to a symlink is that symlink under a further name, and a relative target begins in the directory of
        the name that is used.
        """
        link = _link_in(reparse_data, seen)
        if link is None or not self._follows_last:
            return matches
        left: list[Match] = []
        for match in matches:
            if match.link is None or match.depth or match.query.is_pattern:
                left.append(match)
                continue
            path = _Path(match.query, match.path.split("/"), match.name, list(match.link_chain), set(match.visited))
            self._paths.append(path)
            self._retarget(path, match.path, link, ())
        return left

    def _watch(self) -> None:
        self._watched = {}
        for path in self._paths:
            for key in (*paths_above(path.key), path.key):
                self._watched.setdefault(key, []).append(path)

    def _drop(self, path: _Path) -> None:
        self._paths.remove(path)
        self._watch()

    def _enter_parents(self, seen: ViewEntry) -> None:
        """Enter directories that only this entry's path shows: a layer need not have entries for its directories."""
        directory = seen.key.rpartition("/")[0]
        if directory == self._directory or isinstance(seen.entry, Whiteout):
            return
        self._directory = directory
        for above in paths_above(seen.key):
            if self._view.kind(seen.number, above) is not None:
                continue
            for path in list(self._watched.get(above, ())):
                if path.key == above:
                    self._enter(path, "/".join(seen.path.split("/")[: above.count("/") + 1]))

    def _enter(self, path: _Path, spelled: str) -> None:
        """The path leads to a directory: from now on, what is below it is wanted."""
        query = path.query
        self._drop(path)
        if not self._enters_directories:
            raise UsageError("a directory, where a file must be", path=query.text, got=spelled)
        query.found = query.found or not query.is_pattern
        self.subtrees.append(SubtreeQuery(query, path.key, path.name or spelled.rpartition("/")[2]))

    def _on_path_found(self, path: _Path, seen: ViewEntry, matches: list[Match]) -> None:
        """An entry at the end of a path."""
        entry, query = seen.entry, path.query
        if isinstance(entry, Whiteout) and self._count > 1:
            return  # end_layer() reports that it is hidden
        name = path.name or seen.path.rpartition("/")[2]
        follows = isinstance(entry, Directory | File) and (self._follows_last or query.is_pattern)
        if follows and self._follow(path, seen, ()):
            path.name = name
            return
        kind = self._view.kind(seen.number, seen.key)
        if kind is NodeKind.DIRECTORY and not query.stream:
            self._enter(path, seen.path)
            return
        if query.is_pattern:
            return  # not a directory: it hides what lies in it further below, as end_layer() reports
        self._drop(path)
        query.found = True
        matches.append(
            Match(query, seen.path, name, seen.number, link_chain=path.link_chain, visited=path.visited),
        )

    def _go_through(self, path: _Path, seen: ViewEntry) -> None:
        """An entry at a directory above the end of a path."""
        if not isinstance(seen.entry, Directory):
            return
        nearer = range(seen.number + 1, self._count)
        if any(self._view.kind(number, seen.key) is NodeKind.DIRECTORY for number in nearer):
            return  # a real directory of a nearer layer is seen in place of this link
        self._follow(path, seen, path.parts[seen.key.count("/") + 1 :])

    def _follow(self, path: _Path, seen: ViewEntry, rest: Sequence[str]) -> bool:
        """Continue where the entry leads, and then along `rest`, if it is a symlink or junction. Is it one?"""
        entry = seen.entry
        link = _link_in(entry.reparse_data, seen) if isinstance(entry, Directory | File) else None
        if link is None:
            return False
        self._retarget(path, seen.path, link, rest)
        return True

    def _retarget(self, path: _Path, at: str, link: ReparseLink, rest: Sequence[str]) -> None:
        """Continue a path where the link at `at` leads, and then along `rest`."""
        path.link_chain.append(f"{at} -> {link.substitute_name}")
        path.visited.add(path.key)
        path.lead_to((*follow_link(at, link).split("/"), *rest))
        if path.key in path.visited:
            raise LayerError("links that lead to each other", path=path.query.text, got=path.link_chain[-1])
        if len(path.link_chain) > MOST_LINKS:
            raise LayerError(
                "too many links on a path",
                path=path.query.text,
                expected=f"at most {MOST_LINKS}",
                got=path.link_chain[-1],
            )
        if self._skipped or self._was_read(path.key):
            self._paths.remove(path)
            self._next_pass.append(path)
        self._watch()

    def _was_read(self, key: str) -> bool:
        """Has this pass read an entry that decides what is seen at a path: at it, below it, or one that hides it?"""
        return any(self._view.hides(number, key) or self._view.has_below(number, key) for number in range(self._count))


def _link_in(reparse_data: bytes | None, seen: ViewEntry) -> ReparseLink | None:
    """The symlink or junction in a reparse buffer; None for anything else. Raises ReparseError, with the path."""
    with with_context(path=seen.path):
        return link_of(reparse_data)


def already_read_error(what: str, *, path: str, got: str | None) -> UsageError:
    """The error of `what`, a link that is asked for as `path` and leads to `got`, which a pipe has already given."""
    hint = "give the layer as a file: a pipe can be read only once"
    return UsageError(f"{what} already read from a pipe", path=path, got=got, hint=hint)


def _not_found_error(path: _Path) -> NotFoundError:
    return NotFoundError(
        "the layers have no such file",
        path=path.query.text,
        got=f"a link to nothing: {path.link_chain[-1]}" if path.link_chain else None,
    )
