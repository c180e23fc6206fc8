"""What a command does with the entries that a search finds: cat, ls and extract each implement one handler."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TypeAlias

from ...entry import AlternateStream, Directory, File, Whiteout
from ...union.view import ViewEntry
from .request import Match

__all__ = ["EntryHandler", "EntryKey"]

EntryKey: TypeAlias = tuple[int, str]
"""Which entry of a stack: the number of its layer, and its path there in upper case."""


class EntryHandler(ABC):
    """Called by `Search` while the layers are read; a body is valid until the next call.

    follows_last: is a symlink or junction at the end of a path followed?
    enters_directories: is a directory wanted with everything below it? If not, it is an error.
    """

    follows_last = True
    enters_directories = True

    def any_entry(self, seen: ViewEntry) -> None:  # noqa: B027 # most handlers need only the matches
        """Each entry that is read, hidden ones too, before the method that gets its matches."""

    @abstractmethod
    def file(self, entry: File, seen: ViewEntry, matches: list[Match]) -> bool:
        """A File entry: of its own name, or of hard links to it. Are its streams wanted too?"""

    @abstractmethod
    def directory(self, entry: Directory, seen: ViewEntry, matches: list[Match]) -> bool:
        """A Directory entry; junctions and directory symlinks are such. Are its streams wanted too?"""

    @abstractmethod
    def stream(self, entry: AlternateStream, seen: ViewEntry, matches: list[Match]) -> bool:
        """A stream of the last file or directory, whose matches these are. Are further streams wanted?"""

    def streams_ended(self, matches: list[Match]) -> None:  # noqa: B027
        """The last file or directory has no more streams. Not called if a method above has returned False."""

    @abstractmethod
    def hard_link(self, matches: list[Match], file: EntryKey) -> bool:
        """Hard links to a File entry of the same layer, which was read before them.

        Is that entry to be read again in another pass, for file() to be called with these matches?
        """

    @abstractmethod
    def whiteout(self, entry: Whiteout, seen: ViewEntry, matches: list[Match]) -> None:
        """A whiteout of a single layer. Several layers seen as one show none."""

    @abstractmethod
    def unresolved(self, match: Match) -> bool:
        """A hard link to a file that none of the layers has. False makes it an error."""
