"""Extraction with metadata: a layer folder with the entries at their own paths, and the directories above them.

Nothing of an entry is lost. The folder is a layer of its own, so a hard link to a file that is
not extracted becomes that file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ...entry import AlternateStream, Body, Directory, Entry, File, HardLink, Whiteout
from ...errors import UsageError
from ...host.spool import EMPTY, Spool, Spooled
from ...stores.folder.sink import FolderSink
from ...union.lookup import is_real_directory
from ...union.view import ViewEntry, paths_above
from ...win32.names import upcase
from .extractor import Extractor
from .request import Match

__all__ = ["AnyLower", "LayerExtractor"]


class AnyLower:
    """The lower layers of an extracted layer, which are not known: every path that a whiteout may name is there."""

    def lookup(self, path: str, /) -> Entry | None:
        return Directory(path)

    def open(self, path: str, stream: str = "", /) -> Body:
        raise NotImplementedError

    def streams(self, path: str, /) -> Sequence[str]:
        raise NotImplementedError


class LayerExtractor(Extractor):
    """Add what is extracted to `sink`, in an order that it accepts: directories first, links after the file's streams.

    spool: for the streams of directories, which are needed only if something in them is extracted.
    """

    follows_last = False

    def __init__(self, sink: FolderSink, spool: Spool) -> None:
        super().__init__()
        self._sink = sink
        self._spool = spool
        # Directories that were read and not added, and their streams: something in them may be extracted.
        self._directories: dict[str, tuple[Directory, list[tuple[AlternateStream, Spooled]]]] = {}
        self._last_directory: str | None = None  # the key of the last entry, if it was put there
        self._added: dict[str, int] = {}  # by path in upper case: the group that it comes from
        self._group = 0
        self._owner: str | None = None  # the path that streams are added to
        self._links: list[HardLink] = []  # added when the file's streams have been

    def begin_group(self) -> None:
        self._end_owner()
        self._directories = {}
        self._group += 1

    def finish(self) -> None:
        self._end_owner()

    def visible_entry(self, seen: ViewEntry) -> None:
        entry = seen.entry
        if isinstance(entry, AlternateStream):
            if self._last_directory == seen.key and seen.key not in self._added:
                spooled = EMPTY if seen.body is None else self._spool.put(seen.body, seen.path)
                self._directories[seen.key][1].append((replace(entry, path=seen.path), spooled))
            return
        self._last_directory = None
        if isinstance(entry, Directory) and is_real_directory(entry) and seen.key not in self._added:
            self._last_directory = seen.key
            self._directories[seen.key] = replace(entry, path=seen.path), []

    def directory(self, entry: Directory, matches: list[Match]) -> None:
        self._end_owner()
        path = matches[0].path
        self._add_parents(path)
        if self._is_new(path):
            self._directories.pop(upcase(path), None)
            self._sink.add(replace(entry, path=path))
            self.found.directories += 1
            self._owner = path

    def file(self, entry: File, body: Body | None, matches: list[Match]) -> None:
        self._end_owner()
        first, *further = matches
        self._add_parents(first.path)
        if self._is_new(first.path):
            # A DOS name belongs to one name of a file: the one that brought it, not a hard link.
            short = entry.short_name if first.link is None else None
            self._sink.add(replace(entry, path=first.path, short_name=short), body)
            self.found.files += 1
            self.found.bytes += entry.size
            self._owner = first.path
        for match in further:
            self.hard_link(match, first)

    def hard_link(self, match: Match, first: Match) -> None:
        if self._is_new(match.path):
            link = HardLink(match.path, first.path) if match.link is None else match.link
            self._links.append(replace(link, path=match.path, target=first.path))

    def stream(self, entry: AlternateStream, body: Body | None) -> None:
        if self._owner is not None:
            self._add_stream(replace(entry, path=self._owner), body)

    def whiteout(self, match: Match) -> None:
        self._end_owner()
        if self._is_new(match.path):
            self._sink.add(Whiteout(match.path))
            self.found.whiteouts += 1

    def unresolved(self, match: Match) -> bool:  # noqa: ARG002
        return False  # it cannot be left out: nothing may be lost

    def _end_owner(self) -> None:
        """The last file or directory has no more streams, so links to it can follow."""
        self._owner = None
        links, self._links = self._links, []
        for link in links:
            self._add_parents(link.path)
            self._sink.add(link)
            self.found.hard_links += 1

    def _is_new(self, path: str) -> bool:
        """Is the path free? False if this group's entry is there. Raises UsageError if another group's is."""
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

    def _add_parents(self, path: str) -> None:
        """Add the directories that the path lies in, as far as they have been read and not added."""
        for key in paths_above(upcase(path)):
            found = self._directories.pop(key, None)
            if found is None or not self._is_new(found[0].path):
                continue
            directory, streams = found
            self._sink.add(directory)
            self.found.directories += 1
            for stream, spooled in streams:
                self._add_stream(stream, self._spool.open(spooled))

    def _add_stream(self, entry: AlternateStream, body: Body | None) -> None:
        self._sink.add(entry, body)
        self.found.streams += 1
        self.found.bytes += entry.size
