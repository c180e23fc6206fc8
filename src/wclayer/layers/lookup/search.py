"""One search in a stack of layers seen as one: what is found is given to a handler while the layers are read.

Nothing is unpacked or indexed first. A pass reads the nearest layer first and stops after the
last entry that is needed: in the middle of a layer, if only files are asked for. A layer that is
not needed is not opened.

`PathWalker` finds what paths lead to, through symlinks and junctions. `PendingLinks` finds the
files behind hard links. `Search` reads the layers, in another pass where a link leads to something
already read; a pipe can be read only once, so there it is an error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from typing import Final

from ...entry import AlternateStream, Directory, File, HardLink, Source, Whiteout
from ...errors import LayerError, NotFoundError
from ...union.links import is_link
from ...union.naming import layer_context
from ...union.view import Link, NodeKind, UnionView, ViewEntry, offset_in
from .handler import EntryHandler
from .path_walker import PathWalker
from .pending_links import PendingLinks
from .request import Match, PathQuery

__all__ = ["Search"]


class Search:
    """Look up `queries` in `layers`, base first, and give what is found to `handler`.

    seen: called with each entry that is read, hidden ones too.
    """

    def __init__(
        self,
        layers: Sequence[Source],
        queries: Iterable[PathQuery],
        handler: EntryHandler,
        *,
        seen: Callable[[ViewEntry], None] | None = None,
    ) -> None:
        self._layers: Final = layers
        self._queries: Final = list(queries)
        self._handler: Final = handler
        self._on_read = seen
        self._walker: Final = PathWalker(
            self._queries,
            len(layers),
            follows_last=handler.follows_last,
            enters_directories=handler.enters_directories,
        )
        self._links: Final = PendingLinks(self._fail)
        self._view = UnionView(layers)
        self._opened = len(layers)  # the lowest layer that the last pass opened
        self._owner: list[Match] | None = None  # the file or directory whose streams are wanted
        self._symlinks: dict[str, bytes | None] = {}  # reparse data of File entries, of the layer that is being read

    def run(self) -> None:
        """Read what must be read.

        Raises NotFoundError for a path that is not there; LayerError for a symlink or junction that leads out of the
        layers, for links in a circle, and for a hard link to nothing; UsageError for a directory where a file is
        wanted, and for a link to something already read from a pipe; and what reading raises.
        """
        while self._walker.unfinished or self._links.unfinished:
            self._pass()
            self._walker.end_pass()
            self._links.end_pass()
            self._walker.check_restartable(self._layers[self._opened :])
            self._links.check_restartable(self._layers)
        for query in self._queries:
            if not query.found and query.is_pattern:
                raise NotFoundError("nothing in the layers fits the pattern", path=query.text)

    def _pass(self) -> None:
        self._view = UnionView(self._layers)
        self._walker.begin_pass(self._view)
        for number in self._view.numbers:
            if not (self._walker.unfinished or self._links.unfinished):
                return
            if not self._needs(number):
                self._walker.skip_rest()
                continue
            if self._read(number):
                self._end_owner()
                self._walker.end_layer(number)
                self._links.end_layer(number, self._view)
            else:
                self._walker.skip_rest()
            self._end_owner()

    def _read(self, number: int) -> bool:
        """Read a layer as far as anything of it is needed. Was it read to its end?"""
        self._opened = number
        self._symlinks = {}
        self._walker.begin_layer()
        with layer_context(self._layers, number), closing(self._view.read(number)) as entries:
            for seen in entries:
                try:
                    self._on_entry(seen)
                except LayerError as error:
                    error.at(seen.path, offset_in(self._layers[number]))
                    raise
                if not self._needs(number):
                    return False
        return True

    def _needs(self, number: int) -> bool:
        """Can anything of layer `number` that has not been read yet be wanted?"""
        return self._owner is not None or self._walker.unfinished or self._links.needs(number)

    # --- entries ----------------------------------------------------------------------

    def _on_entry(self, seen: ViewEntry) -> None:
        entry = seen.entry
        if not isinstance(entry, AlternateStream):
            self._end_owner()  # streams follow their owner, so it has no more
        if self._on_read is not None:
            self._on_read(seen)
        self._handler.any_entry(seen)
        if isinstance(entry, AlternateStream):
            if self._owner is not None and not self._handler.stream(entry, seen, self._owner):
                self._owner = None
            return
        if isinstance(entry, File) and is_link(entry.reparse_data):
            self._symlinks[seen.key] = entry.reparse_data
        matches: list[Match] = []
        self._links.resolve(seen, matches)
        self._walker.visit(seen, matches)
        if matches:
            self._dispatch(seen, matches)

    def _dispatch(self, seen: ViewEntry, matches: list[Match]) -> None:
        """Give an entry to the handler."""
        entry = seen.entry
        if isinstance(entry, File):
            if seen.key in self._symlinks:
                matches = self._walker.follow_hardlinked_symlink(seen, matches, entry.reparse_data)
            self._owner = matches if matches and self._handler.file(entry, seen, matches) else None
        elif isinstance(entry, Directory):
            self._owner = matches if self._handler.directory(entry, seen, matches) else None
        elif isinstance(entry, HardLink):
            self._dispatch_hard_link(entry, seen, matches)
        elif isinstance(entry, Whiteout):
            self._handler.whiteout(entry, seen, matches)

    def _dispatch_hard_link(self, entry: HardLink, seen: ViewEntry, matches: list[Match]) -> None:
        """Give hard links to the handler if their file was read before them; else they wait for it."""
        for match in matches:
            match.link = match.link or entry  # of a chain, the link that was asked for
        kind = self._view.kind(seen.number, seen.key)
        if not isinstance(kind, Link):
            return
        if not kind.own:
            if seen.number == 0:
                self._links.await_in_base(kind.target, matches)
            else:
                self._links.await_below(seen.number, kind.target, matches)
            return
        file = seen.number, kind.target
        if self._view.kind(*file) is not NodeKind.FILE:
            self._fail(matches)
            return
        matches = self._walker.follow_hardlinked_symlink(seen, matches, self._symlinks.get(kind.target))
        if matches and self._handler.hard_link(matches, file):
            self._links.need_again(file, matches)

    def _end_owner(self) -> None:
        if self._owner is not None:
            matches, self._owner = self._owner, None
            self._handler.streams_ended(matches)

    def _fail(self, matches: list[Match]) -> None:
        """Hard links to a file that none of the layers has. Raises LayerError, unless the handler accepts them."""
        for match in matches:
            if self._handler.unresolved(match):
                continue
            with layer_context(self._layers, match.number):
                raise LayerError(
                    "a hard link to nothing",
                    path=match.path,
                    expected="a file before it, or in a layer below",
                    got=None if match.link is None else match.link.target,
                    hint="has the layer parents? ask for all of the image, or give them with --layer, nearest first",
                )
