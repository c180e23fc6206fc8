"""Files, directories and patterns taken out of layers, seen as one, into a folder: `wclayer extract`.

Plain: names, content, last write times, and links that stay inside; what is asked for
lies in the folder under its own name, or, of a pattern, from its first component with
wildcards on. With metadata: a layer folder with the entries at their own paths, and the
directories above them, from which nothing is lost.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Final

from ...entry import AlternateStream, Body, Directory, Entry, File, HardLink, Source, Whiteout
from ...errors import FormatError, UsageError, WclayerError
from ...host.spool import EMPTY, Spool, Spooled
from ...regf.model import Noted
from ...stores.folder.sink import FolderSink
from ...stores.folders import new_folder
from ...stores.posix.extract_target import PlainFolder
from ...union.links import link_of, link_place
from ...union.rules import behind_link_error, in_no_directory_error
from ...union.view import NodeKind, ViewEntry, paths_above
from ...win32.names import upcase
from ...win32.reparse import ReparseLink
from .request import Match, PathQuery
from .search import At, Search

__all__ = ["Extracted", "extract_layers"]


@dataclass(slots=True)
class Extracted:
    """What was taken out; bytes: of all files and streams. left_out: what a plain folder does not have, by kind:
    streams, links, hard_links (to files of layers below, that were not given), reparse_points, whiteouts."""

    directories: int = 0
    files: int = 0
    hard_links: int = 0
    symlinks: int = 0
    streams: int = 0
    whiteouts: int = 0
    bytes: int = 0
    left_out: dict[str, Noted] = field(default_factory=dict)

    def leave_out(self, kind: str, path: str) -> None:
        self.left_out.setdefault(kind, Noted()).add(path)


def extract_layers(
    groups: Iterable[tuple[Sequence[Source], Sequence[PathQuery]]],
    target: str | os.PathLike[str],
    *,
    with_metadata: bool = False,
    force: bool = False,
    temp_dir: str | os.PathLike[str] | None = None,
    seen: Callable[[ViewEntry], None] | None = None,
) -> Extracted:
    """Take what is wanted of layers, base first, out into the folder `target`, which is whole or absent.

    groups: layers, and what is wanted of them. The layers are read as `Search` says. with_metadata: make it a layer
    folder, of a plain tree and layer.db; a symlink or junction that is asked for is taken itself, not followed. force:
    replace a `target` that is not empty. temporary: the folder for what must be put aside.

    Raises NotFoundError, UsageError for two files that would have the same name, InexpressibleError for a name that
    the host cannot hold, LayerError, AlreadyExistsError, and what reading and writing raise.
    """
    if with_metadata:
        with (
            Spool(temp_dir) as spool,
            new_folder(target, parents=_AnyParents(), force=force, plain=True) as sink,
        ):
            layer = _LayerExtractor(sink, spool)
            for layers, wanted in groups:
                layer.begin()
                _Extraction(layers, wanted, layer, seen).run()
            layer.finish()
            sink.commit()
            return layer.found
    with PlainFolder(target, force=force) as folder:
        plain = _FolderExtractor(folder)
        for layers, wanted in groups:
            plain.begin()
            _Extraction(layers, wanted, plain, seen).run()
        plain.finish()
        folder.commit()
        return plain.found


class _Extractor(ABC):
    """What makes of entries what is to be in the folder."""

    follows_last: bool

    def __init__(self) -> None:
        self.found: Final = Extracted()

    @abstractmethod
    def begin(self) -> None:
        """Entries of other layers follow."""

    @abstractmethod
    def passed(self, seen: ViewEntry, kind: object) -> None: ...

    @abstractmethod
    def directory(self, entry: Directory, claims: list[Match]) -> None: ...

    @abstractmethod
    def file(self, entry: File, body: Body | None, claims: list[Match]) -> None: ...

    @abstractmethod
    def link(self, claim: Match, first: Match) -> None:
        """A further name of a file, whose claim `first` was."""

    @abstractmethod
    def stream(self, entry: AlternateStream, body: Body | None) -> None:
        """A stream of what came last."""

    @abstractmethod
    def whiteout(self, claim: Match) -> None: ...

    @abstractmethod
    def no_file(self, claim: Match) -> bool:
        """A hard link to a file that none of the layers has. False, if that cannot be."""

    @abstractmethod
    def finish(self) -> None: ...


class _Extraction(Search):
    def __init__(
        self,
        layers: Sequence[Source],
        wanted: Iterable[PathQuery],
        taker: _Extractor,
        seen: Callable[[ViewEntry], None] | None,
    ) -> None:
        super().__init__(layers, wanted, seen=seen)
        self.follows_last = taker.follows_last
        self._taker = taker
        self._given: dict[At, Match] = {}  # File entries that have been taken, as what

    def passed(self, seen: ViewEntry) -> None:
        super().passed(seen)
        if seen.visible:
            self._taker.passed(seen, self.sight.kind(seen.number, seen.key))

    def file(self, seen: ViewEntry, claims: list[Match]) -> bool:
        if isinstance(seen.entry, File):
            claims.sort(key=lambda claim: claim.link is not None)  # its own name first
            self._given[seen.number, seen.key] = claims[0]
            self._taker.file(seen.entry, seen.body, claims)
        return True

    def directory(self, seen: ViewEntry, claims: list[Match]) -> bool:
        if isinstance(seen.entry, Directory):
            self._taker.directory(seen.entry, claims)
        return True

    def stream(self, seen: ViewEntry, claims: list[Match]) -> bool:  # noqa: ARG002
        if isinstance(seen.entry, AlternateStream):
            self._taker.stream(seen.entry, seen.body)
        return True

    def hard_link(self, seen: ViewEntry, claims: list[Match], at: At) -> None:  # noqa: ARG002
        first = self._given.get(at)
        if first is None:
            self.need(at, claims)
            return
        for claim in claims:
            self._taker.link(claim, first)

    def whiteout(self, seen: ViewEntry, claims: list[Match]) -> None:  # noqa: ARG002
        self._taker.whiteout(claims[0])

    def no_file(self, claims: list[Match]) -> None:
        for claim in claims:
            if not self._taker.no_file(claim):
                super().no_file([claim])


# --- plain files --------------------------------------------------------------------


class _FolderExtractor(_Extractor):
    follows_last = True

    def __init__(self, folder: PlainFolder) -> None:
        super().__init__()
        self._folder = folder
        self._sources: dict[str, tuple[int, str]] = {}  # by the path in the folder, in upper case: of whom it is what
        self._placed: dict[str, str] = {}  # where what is at a path of the layers lies in the folder
        self._links: list[_PlainLink] = []  # of the layers that are being read
        self._found_links: list[_PlainLink] = []  # of all before them, with what they lead to in the folder
        self._symlinks: dict[str, ReparseLink] = {}  # all of them, by these paths in upper case; what they say
        self._files: set[str] = set()  # by these paths
        self._behind: dict[str, str] = {}  # by those of symlinks: an entry that lies in one
        self._directory = ""  # the one that was looked at last
        self._group = 0
        self._last = ""  # what streams are of

    def begin(self) -> None:
        self._find_targets()
        self._group += 1
        self._placed = {}

    def passed(self, seen: ViewEntry, kind: object) -> None:
        pass

    def _is_new(self, claim: Match) -> bool:
        """Is the place of a claim free? False if the same is there already. Raises UsageError for anything else."""
        key = upcase(claim.path)
        known = self._sources.get(upcase(claim.name))
        if known is None:
            self._look_above(claim)
            self._sources[upcase(claim.name)] = self._group, claim.path
            self._placed.setdefault(key, claim.name)
            return True
        if known[0] == self._group and upcase(known[1]) == key:
            return False
        raise self._two(claim, known)

    def _two(self, claim: Match, known: tuple[int, str]) -> UsageError:
        """The error of a place that something else has."""
        group, path = known
        hint = "extract them into folders of their own"
        return UsageError(
            "two files would have the same name",
            path=claim.name,
            got=f"{path} and {claim.path}" if path != claim.path else f"{path} of each of two places",
            hint=f"{hint}, or with --with-metadata" if group == self._group else hint,
        )

    def _look_above(self, claim: Match) -> None:
        """Do files or symlinks stand where the directories of a claim must be?"""
        key = upcase(claim.name)
        directory = key.rpartition("/")[0]
        if directory == self._directory:
            return
        for above in paths_above(key):
            if above not in self._files and above not in self._symlinks:
                continue
            group, path = self._sources[above]
            if group != self._group or not upcase(claim.path).startswith(f"{upcase(path)}/"):
                raise self._two(claim, (group, path))
            if above in self._files:
                raise in_no_directory_error(claim.path, path)
            self._behind.setdefault(above, claim.path)
        self._directory = directory

    def directory(self, entry: Directory, claims: list[Match]) -> None:
        self._last = claims[0].path
        for claim in claims:
            if not claim.name or not self._is_new(claim) or self._is_link(entry, claim):
                continue
            if entry.reparse_data is not None:
                self.found.leave_out("reparse_points", claim.path)
            with _named(claim):
                self._folder.directory(claim.name, entry.last_write_time)
            self.found.directories += 1

    def file(self, entry: File, body: Body | None, claims: list[Match]) -> None:
        self._last = claims[0].path
        first: Match | None = None
        for claim in claims:
            if not self._is_new(claim):
                first = first or claim
            elif first is not None:
                self.link(claim, first, new=True)
            elif not self._is_link(entry, claim):
                if entry.reparse_data is not None:
                    self.found.leave_out("reparse_points", claim.path)
                with _named(claim):
                    self._folder.file(claim.name, body, entry.size, entry.last_write_time)
                self._files.add(upcase(claim.name))
                self.found.files += 1
                self.found.bytes += entry.size
                first = claim

    def link(self, claim: Match, first: Match, *, new: bool = False) -> None:
        if new or self._is_new(claim):
            symlink = self._symlinks.get(upcase(first.name))
            if symlink is not None:  # a further name of it is another symlink, which leads on from where that is
                self._add_link(claim, symlink, directory=False)
                return
            with _named(claim):
                self._folder.link(claim.name, first.name)
            self._files.add(upcase(claim.name))
            self.found.hard_links += 1

    def stream(self, entry: AlternateStream, body: Body | None) -> None:  # noqa: ARG002
        self.found.leave_out("streams", f"{self._last}:{entry.name}")

    def whiteout(self, claim: Match) -> None:
        self.found.leave_out("whiteouts", claim.path)

    def no_file(self, claim: Match) -> bool:
        if claim.depth == 0 and not claim.wanted.is_pattern:
            return False  # just this was asked for
        self.found.leave_out("hard_links", claim.path)
        return True

    def _is_link(self, entry: Directory | File, claim: Match) -> bool:
        """Is it a symlink or junction? It is made when all is there."""
        try:
            link = link_of(entry.reparse_data)
        except FormatError as error:
            error.at(claim.path)
            raise
        if link is None:
            return False
        self._add_link(claim, link, directory=isinstance(entry, Directory))
        return True

    def _add_link(self, claim: Match, link: ReparseLink, *, directory: bool) -> None:
        try:
            target = upcase(link_place(claim.path, link))
        except FormatError:  # it leads out of the layer
            self.found.leave_out("links", claim.path)
        else:
            self._links.append(_PlainLink(claim, target, directory))
        self._symlinks[upcase(claim.name)] = link

    def _find_targets(self) -> None:
        """Say of the symlinks of these layers where in the folder what they lead to lies."""
        for link in self._links:
            link.target = self._placed.get(link.target, "")
        self._found_links += self._links
        self._links = []

    def finish(self) -> None:
        """Make the symlinks whose targets have been taken too, or are such symlinks."""
        self._find_targets()
        links = self._found_links
        missing = {upcase(link.claim.name) for link in links}
        while links:
            waiting: list[_PlainLink] = []
            for link in links:
                if upcase(link.target) in missing:
                    waiting.append(link)
                    continue
                behind = self._behind.get(upcase(link.claim.name))
                if link.target and behind is not None:
                    raise behind_link_error(behind, link.claim.path)
                with _named(link.claim):
                    made = bool(link.target) and self._folder.symlink(
                        link.claim.name, link.target, directory=link.directory
                    )
                if made:
                    missing.discard(upcase(link.claim.name))
                    self.found.symlinks += 1
                else:
                    self.found.leave_out("links", link.claim.path)
            if len(waiting) == len(links):  # to each other, or to what is left out
                for link in waiting:
                    self.found.leave_out("links", link.claim.path)
                break
            links = waiting


@dataclass(slots=True)
class _PlainLink:
    """A symlink to make as `claim`. target: the path that it leads to, in upper case; then its place, "" for none."""

    claim: Match
    target: str
    directory: bool


@contextmanager
def _named(claim: Match) -> Iterator[None]:
    """Errors about a path in the folder are about the entry that is to lie there, or the directory above it."""
    try:
        yield
    except WclayerError as error:
        if error.path is not None and f"{claim.name}/".startswith(f"{error.path}/"):
            below = claim.name[len(error.path) :]
            if claim.path.endswith(below):
                error.path = claim.path[: len(claim.path) - len(below)]
        raise


# --- with metadata ------------------------------------------------------------------


class _AnyParents:
    """What may lie below a layer of which that is not known: of whiteouts it is as good as there."""

    def lookup(self, path: str, /) -> Entry | None:
        return Directory(path)

    def open(self, path: str, stream: str = "", /) -> Body:
        raise NotImplementedError

    def streams(self, path: str, /) -> Sequence[str]:
        raise NotImplementedError


class _LayerExtractor(_Extractor):
    follows_last = False

    def __init__(self, sink: FolderSink, spool: Spool) -> None:
        super().__init__()
        self._sink = sink
        self._spool = spool
        self._above: dict[str, tuple[Directory, list[tuple[AlternateStream, Spooled]]]] = {}  # what may be needed
        self._passed: str | None = None  # of these, the one that came last
        self._added: dict[str, int] = {}  # by path in upper case, of which layers
        self._group = 0
        self._owner: str | None = None  # of streams
        self._links: list[HardLink] = []  # that follow when the file's streams have come

    def begin(self) -> None:
        self._finish_links()
        self._owner = None
        self._above = {}
        self._group += 1

    def finish(self) -> None:
        self._finish_links()

    def passed(self, seen: ViewEntry, kind: object) -> None:
        entry = seen.entry
        if isinstance(entry, AlternateStream):
            if self._passed == seen.key and seen.key not in self._added:
                spooled = EMPTY if seen.body is None else self._spool.put(seen.body, seen.path)
                self._above[seen.key][1].append((replace(entry, path=seen.path), spooled))
            return
        self._passed = None
        if kind is NodeKind.DIRECTORY and isinstance(entry, Directory) and seen.key not in self._added:
            self._passed = seen.key
            self._above[seen.key] = replace(entry, path=seen.path), []

    def _is_new(self, path: str) -> bool:
        """Is nothing of that name there? Raises UsageError for what is of other layers."""
        known = self._added.get(upcase(path))
        if known is None:
            self._added[upcase(path)] = self._group
            return True
        if known != self._group:
            raise UsageError(
                "two files would have the same name",
                path=path,
                got="one of each of two places",
                hint="extract them into folders of their own",
            )
        return False

    def _add_above(self, path: str) -> None:
        """Add the directories that the path lies in."""
        for key in paths_above(upcase(path)):
            found = self._above.pop(key, None)
            if found is None or not self._is_new(found[0].path):
                continue
            self._sink.add(found[0])
            self.found.directories += 1
            for stream, spooled in found[1]:
                self._add_stream(stream, self._spool.open(spooled))

    def _add_stream(self, entry: AlternateStream, body: Body | None) -> None:
        self._sink.add(entry, body)
        self.found.streams += 1
        self.found.bytes += entry.size

    def directory(self, entry: Directory, claims: list[Match]) -> None:
        self._finish_links()
        self._owner = None
        path = claims[0].path
        self._add_above(path)
        if self._is_new(path):
            self._above.pop(upcase(path), None)
            self._sink.add(replace(entry, path=path))
            self.found.directories += 1
            self._owner = path

    def file(self, entry: File, body: Body | None, claims: list[Match]) -> None:
        self._finish_links()
        self._owner = None
        first: Match | None = None
        for claim in claims:
            if first is not None:
                self.link(claim, first)
                continue
            first = claim
            self._add_above(claim.path)
            if self._is_new(claim.path):
                # A DOS name belongs to one name of a file.
                short = entry.short_name if claim.link is None else None
                self._sink.add(replace(entry, path=claim.path, short_name=short), body)
                self.found.files += 1
                self.found.bytes += entry.size
                self._owner = claim.path

    def link(self, claim: Match, first: Match) -> None:
        if self._is_new(claim.path):
            link = HardLink(claim.path, first.path) if claim.link is None else claim.link
            self._links.append(replace(link, path=claim.path, target=first.path))

    def _finish_links(self) -> None:
        links, self._links = self._links, []
        for link in links:
            self._add_above(link.path)
            self._sink.add(link)
            self.found.hard_links += 1

    def stream(self, entry: AlternateStream, body: Body | None) -> None:
        if self._owner is not None:
            self._add_stream(replace(entry, path=self._owner), body)

    def whiteout(self, claim: Match) -> None:
        self._finish_links()
        self._owner = None
        if self._is_new(claim.path):
            self._sink.add(Whiteout(claim.path))
            self.found.whiteouts += 1

    def no_file(self, claim: Match) -> bool:  # noqa: ARG002 # there is nothing to lose
        return False
