"""Paths and patterns of paths looked up in layers, seen as one: what is there is met as the layers are read.

Nothing is unpacked or indexed first. The nearest layer is read first, and reading stops
after the last thing that is needed: in the middle of a layer, where all that is asked for
are files. A layer that is not needed is not opened.

Symlinks and junctions on the way to a path are followed (`following`), and, where it is
asked for, one at its end. A hard link is followed to the file entry behind it: in its own
layer, where that has gone by and the layer must be read once more, or below it; and where
that is a symlink, on from where the hard link is. A pipe can be read only once; what has
gone by in one is refused with an error that says so.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Final

from ...entry import AlternateStream, Directory, File, HardLink, Source, Whiteout
from ...errors import FormatError, LayerError, NotFoundError, UsageError
from ...union.links import MOST_LINKS, is_link, link_of, link_place
from ...union.naming import layer_context
from ...union.view import Link, NodeKind, UnionView, ViewEntry, offset_in, paths_above
from ...win32.names import upcase
from ...win32.reparse import ReparseLink
from .request import Match, PathQuery, SubtreeQuery

__all__ = ["At", "Search"]

At = tuple[int, str]  # of an entry: its layer, and its path in upper case

_HINT: Final = "give the layer as a file: a pipe can be read only once"


@dataclass(slots=True)
class _Path:
    """A path that is looked for, and by whom."""

    wanted: PathQuery
    parts: Sequence[str]
    name: str | None = None  # of the link at the end, which was followed
    trail: list[str] = field(default_factory=list)  # links that were followed
    been: set[str] = field(default_factory=set)  # paths that links led away from
    key: str = ""

    def __post_init__(self) -> None:
        self.key = upcase("/".join(self.parts))

    def lead_to(self, parts: Sequence[str]) -> None:
        self.parts = parts
        self.key = upcase("/".join(parts))


class Search(ABC):
    """Look up what is `wanted` in `layers`, base first; what is met goes to the methods of a subclass.

    seen: is called with each entry that is read, hidden ones too.
    """

    into_directories = True  # is what is in a directory wanted with it?
    follows_last = True  # is a symlink or junction at the end of a path followed?

    def __init__(
        self, layers: Sequence[Source], wanted: Iterable[PathQuery], *, seen: Callable[[ViewEntry], None] | None = None
    ) -> None:
        self.layers: Final = layers
        self.wanted: Final = list(wanted)
        self._seen = seen
        self.sight = UnionView(layers)
        self._number = len(layers) - 1
        self._paths: list[_Path] = []
        self._watched: dict[str, list[_Path]] = {}  # by the paths of `_paths`, and those above them
        self._trees: list[SubtreeQuery] = []
        # What hard links lead to in the layers below: by its path, from which layer down.
        self._targets: dict[str, dict[int, list[Match]]] = {}
        self._tops: Counter[int] = Counter()  # of these
        self._files: dict[int, dict[str, list[Match]]] = {}  # File entries of layers that hard links lead to
        self._again: list[_Path] = []  # what has gone by, for another pass
        self._gone_by: dict[int, dict[str, list[Match]]] = {}
        self._owner: list[Match] | None = None  # of streams
        self._symlinks: dict[str, bytes] = {}  # of the layer that is being read: File entries, their reparse data
        self._all_above = True  # have the layers above been read to their ends, in this pass?
        self._directory = ""

    # --- what a subclass does with what is met --------------------------------------

    @abstractmethod
    def file(self, seen: ViewEntry, claims: list[Match]) -> bool:
        """A File entry. Are its streams wanted too?"""

    @abstractmethod
    def directory(self, seen: ViewEntry, claims: list[Match]) -> bool:
        """A Directory entry, a junction or symlink among them. Are its streams wanted too?"""

    @abstractmethod
    def stream(self, seen: ViewEntry, claims: list[Match]) -> bool:
        """A stream of what came last. Are further ones wanted?"""

    @abstractmethod
    def hard_link(self, seen: ViewEntry, claims: list[Match], at: At) -> None:
        """A hard link whose file has come before, in the same layer; need() asks for it."""

    def whiteout(self, seen: ViewEntry, claims: list[Match]) -> None:
        """A whiteout, where there is one layer alone."""
        raise NotFoundError("a whiteout", path=claims[0].wanted.text, got=seen.path)

    def no_file(self, claims: list[Match]) -> None:
        """Hard links that lead to no file of these layers. Raises LayerError."""
        link = claims[0].link
        with layer_context(self.layers, claims[0].number):
            raise LayerError(
                "a hard link to nothing",
                path=claims[0].path,
                expected="a file before it, or in a layer below",
                got=None if link is None else link.target,
                hint="is the layer on others? ask for all of the image, or give parents with --layer, nearest first",
            )

    def passed(self, seen: ViewEntry) -> None:
        """Any entry, before what it is wanted for; hidden ones too."""
        if self._seen is not None:
            self._seen(seen)

    def owner_ended(self, claims: list[Match]) -> None:  # noqa: ARG002
        """There are no more streams of what these claims are for."""
        self._owner = None

    def need(self, at: At, claims: Iterable[Match]) -> None:
        """Have file() called with a File entry that has gone by, in another pass."""
        self._gone_by.setdefault(at[0], {}).setdefault(at[1], []).extend(claims)

    # --- passes ---------------------------------------------------------------------

    def run(self) -> None:
        """Read what must be read.

        Raises NotFoundError for what is not there, LayerError for a link that leads out of the layers or to nothing,
        UsageError for a directory where a file must be, and for what has gone by in a pipe; and what reading raises.
        """
        for wanted in self.wanted:
            if wanted.prefix:
                self._paths.append(_Path(wanted, wanted.prefix))
            else:
                self._trees.append(SubtreeQuery(wanted, "", ""))
        while self._paths or self._trees or self._files:
            self._pass()
            self._paths, self._again = self._again, []
            self._files, self._gone_by = self._gone_by, {}
            self._trees = []
            self._check_pipes()
        for wanted in self.wanted:
            if not wanted.found and wanted.is_pattern:
                raise NotFoundError("nothing in the layers fits the pattern", path=wanted.text)

    def _check_pipes(self) -> None:
        for path in self._paths:
            if not all(layer.restartable for layer in self.layers[self._number :]):
                raise UsageError(
                    "a link to what has gone by in a pipe", path=path.wanted.text, got=path.trail[-1], hint=_HINT
                )
        for number, files in self._files.items():
            if not self.layers[number].restartable:
                claim = next(iter(files.values()))[0]
                raise UsageError(
                    "a hard link to a file that has gone by in a pipe",
                    path=claim.path,
                    got=None if claim.link is None else claim.link.target,
                    hint=_HINT,
                )

    def _pass(self) -> None:
        self.sight = UnionView(self.layers)
        self._watch()
        self._all_above = True
        for number in self.sight.numbers:
            if not (self._paths or self._trees or self._targets or self._files):
                return
            if not self._goes_on(number):
                self._all_above = False
                continue
            self._number, self._directory, self._symlinks = number, "", {}
            if self._read(number):
                self._end_owner()
                self._layer_ended(number)
            else:
                self._all_above = False
            self._end_owner()
            if not self._files.get(number, True):
                del self._files[number]
        for path in self._paths:
            raise _not_found(path)
        self._lose(lambda _key, _top: True)

    def _read(self, number: int) -> bool:
        """Read a layer, as far as anything of it is needed. Was it read to its end?"""
        with layer_context(self.layers, number), closing(self.sight.read(number)) as entries:
            for seen in entries:
                try:
                    self._take(seen)
                except LayerError as error:
                    error.at(seen.path, offset_in(self.layers[number]))
                    raise
                if not self._goes_on(number):
                    return False
        return True

    def _goes_on(self, number: int) -> bool:
        """Is there anything yet that layer `number` could have?"""
        return bool(
            self._owner is not None
            or self._trees
            or self._paths
            or self._files.get(number)
            or any(top >= number for top in self._tops)
        )

    def _layer_ended(self, number: int) -> None:
        for path in self._paths:
            if self.sight.hides(number, path.key):
                raise _not_found(path)
        self._lose(lambda key, top: top >= number and self.sight.hides(number, key))
        self._trees = [tree for tree in self._trees if not self._is_closed(number, tree.key)]
        for claims in self._files.pop(number, {}).values():
            self.no_file(claims)

    def _lose(self, lost: Callable[[str, int], bool]) -> None:
        """Hard links lead to nothing that the layers below have."""
        for key, targets in list(self._targets.items()):
            for top in list(targets):
                if lost(key, top):
                    self.no_file(self._drop(key, top))

    def _drop(self, key: str, top: int) -> list[Match]:
        targets = self._targets[key]
        claims = targets.pop(top)
        if not targets:
            del self._targets[key]
        self._tops[top] -= 1
        if not self._tops[top]:
            del self._tops[top]
        return claims

    def _is_closed(self, number: int, key: str) -> bool:
        """Is nothing of the layers below `number` seen in the directory?"""
        if self.sight.kind(number, key) is NodeKind.DIRECTORY:
            return False
        return self.sight.hides(number, key)

    # --- entries ----------------------------------------------------------------------

    def _take(self, seen: ViewEntry) -> None:
        entry, number, key = seen.entry, seen.number, seen.key
        if isinstance(entry, AlternateStream):
            self.passed(seen)
            if self._owner is not None and not self.stream(seen, self._owner):
                self._owner = None
            return
        self._end_owner()
        self.passed(seen)
        claims: list[Match] = []
        if isinstance(entry, File) and is_link(entry.reparse_data):
            self._symlinks[key] = entry.reparse_data or b""
        if isinstance(entry, File) and number in self._files:
            claims += self._files[number].pop(key, ())
        if key in self._targets:
            self._reach(seen, claims)
        if self._watched:
            self._look_above(seen)
            for path in list(self._watched.get(key, ())):
                if path.key == key:
                    self._arrive(path, seen, claims)
                else:
                    self._go_through(path, seen)
        if seen.visible and (len(self.layers) == 1 or not isinstance(entry, Whiteout)):
            for tree in self._trees:
                claim = tree.claim(seen)
                if claim is not None:
                    claim.wanted.found = True
                    claims.append(claim)
        if claims:
            self._give(seen, claims)

    def _give(self, seen: ViewEntry, claims: list[Match]) -> None:
        entry = seen.entry
        if isinstance(entry, File):
            if seen.key in self._symlinks:
                claims = self._lead_on(seen, claims, entry.reparse_data)
            self._owner = claims if claims and self.file(seen, claims) else None
        elif isinstance(entry, Directory):
            self._owner = claims if self.directory(seen, claims) else None
        elif isinstance(entry, HardLink):
            for claim in claims:
                claim.link = claim.link or entry
            kind = self.sight.kind(seen.number, seen.key)
            if not isinstance(kind, Link):
                return
            at = seen.number, kind.target
            if kind.own:
                if self.sight.kind(*at) is NodeKind.FILE:
                    claims = self._lead_on(seen, claims, self._symlinks.get(kind.target))
                    if claims:
                        self.hard_link(seen, claims, at)
                else:
                    self.no_file(claims)
            elif seen.number == 0:  # there is none below, so it can only come yet
                self._files.setdefault(0, {}).setdefault(kind.target, []).extend(claims)
            else:
                top = seen.number - 1
                targets = self._targets.setdefault(kind.target, {})
                if top not in targets:
                    self._tops[top] += 1
                targets.setdefault(top, []).extend(claims)
        elif isinstance(entry, Whiteout):
            self.whiteout(seen, claims)

    def _reach(self, seen: ViewEntry, claims: list[Match]) -> None:
        """An entry at a path that hard links of layers above lead to."""
        if isinstance(seen.entry, Whiteout):
            return  # the end of the layer says that it hides what is below
        for top in [top for top in self._targets[seen.key] if top >= seen.number]:
            found = self._drop(seen.key, top)
            if isinstance(seen.entry, File | HardLink):
                claims += found
            else:
                self.no_file(found)

    def _end_owner(self) -> None:
        if self._owner is not None:
            claims, self._owner = self._owner, None
            self.owner_ended(claims)

    # --- paths ------------------------------------------------------------------------

    def _watch(self) -> None:
        self._watched = {}
        for path in self._paths:
            for key in (*paths_above(path.key), path.key):
                self._watched.setdefault(key, []).append(path)

    def _done(self, path: _Path) -> None:
        self._paths.remove(path)
        self._watch()

    def _look_above(self, seen: ViewEntry) -> None:
        """Is what comes in a directory that is looked for, and that no entry stands for?"""
        directory = seen.key.rpartition("/")[0]
        if directory == self._directory or isinstance(seen.entry, Whiteout):
            return
        self._directory = directory
        for above in paths_above(seen.key):
            if self.sight.kind(seen.number, above) is not None:
                continue
            for path in list(self._watched.get(above, ())):
                if path.key == above:
                    self._enter(path, "/".join(seen.path.split("/")[: above.count("/") + 1]))

    def _enter(self, path: _Path, spelled: str) -> None:
        """The directory that a path leads to has been found."""
        wanted = path.wanted
        self._done(path)
        if not self.into_directories:
            raise UsageError("a directory, where a file must be", path=wanted.text, got=spelled)
        wanted.found = wanted.found or not wanted.is_pattern
        self._trees.append(SubtreeQuery(wanted, path.key, path.name or spelled.rpartition("/")[2]))

    def _arrive(self, path: _Path, seen: ViewEntry, claims: list[Match]) -> None:
        """An entry at a path that is looked for."""
        entry, wanted = seen.entry, path.wanted
        if isinstance(entry, Whiteout) and len(self.layers) > 1:
            return  # the end of the layer says that it is hidden
        name = path.name or seen.path.rpartition("/")[2]
        follows = isinstance(entry, Directory | File) and (self.follows_last or wanted.is_pattern)
        if follows and self._follow(path, seen, ()):
            path.name = name
            return
        kind = self.sight.kind(seen.number, seen.key)
        if kind is NodeKind.DIRECTORY and not wanted.stream:
            self._enter(path, seen.path)
            return
        if wanted.is_pattern:
            return  # no directory: what is in it is hidden, as the end of the layer says
        self._done(path)
        wanted.found = True
        claims.append(Match(wanted, seen.path, name, seen.number, trail=path.trail, been=path.been))

    def _lead_on(self, seen: ViewEntry, claims: list[Match], reparse: bytes | None) -> list[Match]:
        """Follow the symlink that is behind hard links, where these are what is asked for. Which claims are left?"""
        link = self._link(seen, reparse)
        if link is None or not self.follows_last:
            return claims
        left: list[Match] = []
        for claim in claims:
            if claim.link is None or claim.depth or claim.wanted.is_pattern:
                left.append(claim)
                continue
            path = _Path(claim.wanted, claim.path.split("/"), claim.name, list(claim.trail), set(claim.been))
            self._paths.append(path)
            self._go_on(path, claim.path, link, ())
        return left

    def _go_through(self, path: _Path, seen: ViewEntry) -> None:
        """An entry above a path that is looked for."""
        if not isinstance(seen.entry, Directory):
            return
        nearer = range(seen.number + 1, len(self.layers))
        if any(self.sight.kind(number, seen.key) is NodeKind.DIRECTORY for number in nearer):
            return  # that is what is seen, and this one hides what is in it of the layers below
        rest = path.parts[seen.key.count("/") + 1 :]
        self._follow(path, seen, rest)

    def _follow(self, path: _Path, seen: ViewEntry, rest: Sequence[str]) -> bool:
        """Go on where the entry leads, and then along `rest`, if it is a symlink or junction. Is it one?"""
        entry = seen.entry
        link = self._link(seen, entry.reparse_data if isinstance(entry, Directory | File) else None)
        if link is None:
            return False
        self._go_on(path, seen.path, link, rest)
        return True

    def _link(self, seen: ViewEntry, reparse: bytes | None) -> ReparseLink | None:
        try:
            return link_of(reparse)
        except FormatError as error:
            error.at(seen.path)
            raise

    def _go_on(self, path: _Path, at: str, link: ReparseLink, rest: Sequence[str]) -> None:
        """Look where a link leads, which is seen at `at`, and then along `rest`."""
        path.trail.append(f"{at} -> {link.substitute_name}")
        path.been.add(path.key)
        path.lead_to((*link_place(at, link).split("/"), *rest))
        if path.key in path.been:
            raise LayerError("links that lead to each other", path=path.wanted.text, got=path.trail[-1])
        if len(path.trail) > MOST_LINKS:
            raise LayerError(
                "too many links on a path", path=path.wanted.text, expected=f"at most {MOST_LINKS}", got=path.trail[-1]
            )
        if not self._all_above or self._has_gone_by(path.key):
            self._paths.remove(path)
            self._again.append(path)
        self._watch()

    def _has_gone_by(self, key: str) -> bool:
        """Has anything been read that says what is at a path: the entry, or what hides it?"""
        return any(
            self.sight.hides(number, key) or self.sight.has_below(number, key)
            for number in range(self._number, len(self.layers))
        )


def _not_found(path: _Path) -> NotFoundError:
    return NotFoundError(
        "the layers have no such file",
        path=path.wanted.text,
        got=f"a link to nothing: {path.trail[-1]}" if path.trail else None,
    )
