"""What an extraction makes of the entries that are found, and the counts of what it made and left out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any, Final

from ...entry import AlternateStream, Body, Directory, File
from ...regf.model import Noted
from ...union.view import ViewEntry
from .request import Match

__all__ = ["Extracted", "Extractor"]


@dataclass(slots=True)
class Extracted:
    """What was extracted; bytes: of all files and streams.

    left_out: what a folder of plain files cannot have, by kind: `streams`, `links` (that lead to nothing in the
    folder), `hard_links` (to files of layers that were not given), `reparse_points`, `whiteouts`.
    """

    directories: int = 0
    files: int = 0
    hard_links: int = 0
    symlinks: int = 0
    streams: int = 0
    whiteouts: int = 0
    bytes: int = 0
    left_out: dict[str, Noted] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """The result as JSON has it."""
        return {
            "directories": self.directories,
            "files": self.files,
            "hard_links": self.hard_links,
            "symlinks": self.symlinks,
            "streams": self.streams,
            "whiteouts": self.whiteouts,
            "bytes": self.bytes,
            "left_out": {
                kind: {"count": noted.count, "paths": noted.paths} for kind, noted in sorted(self.left_out.items())
            },
        }

    def leave_out(self, kind: str, path: str) -> None:
        self.left_out.setdefault(kind, Noted()).add(path)


class Extractor(ABC):
    """Make a folder of the entries of one group of layers after the other.

    follows_last: is a symlink or junction that is asked for followed, or extracted itself?
    """

    follows_last: bool

    def __init__(self) -> None:
        self.found: Final = Extracted()

    @abstractmethod
    def begin_group(self) -> None:
        """The entries of other layers follow."""

    def visible_entry(self, seen: ViewEntry) -> None:  # noqa: B027 # not every extractor needs it
        """Each entry that is seen, wanted or not, before the method that gets its matches."""

    @abstractmethod
    def directory(self, entry: Directory, matches: list[Match]) -> None: ...

    @abstractmethod
    def file(self, entry: File, body: Body | None, matches: list[Match]) -> None:
        """A file under all names that are known by now: its own first, then hard links to it."""

    @abstractmethod
    def hard_link(self, match: Match, first: Match) -> None:
        """A further name of a file that was extracted for `first`."""

    @abstractmethod
    def stream(self, entry: AlternateStream, body: Body | None) -> None:
        """A stream of the last file or directory."""

    @abstractmethod
    def whiteout(self, match: Match) -> None: ...

    @abstractmethod
    def unresolved(self, match: Match) -> bool:
        """A hard link to a file that none of the layers has. False makes it an error."""

    @abstractmethod
    def finish(self) -> None:
        """All groups have been read."""
