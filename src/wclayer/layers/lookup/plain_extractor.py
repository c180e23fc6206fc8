"""Extraction without metadata: a folder of plain files with content, last write times, hard links and symlinks.

A literal path lies in the folder under its last name, a pattern from its first component with
wildcards on. What the folder cannot have is left out and counted.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain

from ...entry import AlternateStream, Body, Directory, File
from ...errors import FormatError, UsageError, WclayerError, with_context
from ...stores.posix.extract_target import PlainFolder
from ...union.links import follow_link, link_of
from ...union.rules import behind_link_error, in_no_directory_error
from ...union.view import paths_above
from ...win32.names import upcase
from ...win32.reparse import ReparseLink
from .extractor import Extracted, Extractor
from .request import Match

__all__ = ["PlainExtractor"]


class PlainExtractor(Extractor):
    follows_last = True

    def __init__(self, folder: PlainFolder) -> None:
        super().__init__()
        self._folder = folder
        self._names = _Names()
        self._symlinks = _Symlinks(self.found, self._names)
        self._stream_owner = ""  # the path of the last file or directory

    def begin_group(self) -> None:
        self._symlinks.end_group()
        self._names.begin_group()

    def directory(self, entry: Directory, matches: list[Match]) -> None:
        self._stream_owner = matches[0].path
        for match in matches:
            if not match.name or not self._names.take(match) or self._is_link(entry, match):
                continue
            if entry.reparse_data is not None:
                self.found.leave_out("reparse_points", match.path)
            with _errors_name(match):
                self._folder.directory(match.name, entry.last_write_time)
            self.found.directories += 1

    def file(self, entry: File, body: Body | None, matches: list[Match]) -> None:
        self._stream_owner = matches[0].path
        first: Match | None = None
        for match in matches:
            if not self._names.take(match):
                first = first or match
            elif first is not None:
                self._link(match, first)
            elif not self._is_link(entry, match):
                if entry.reparse_data is not None:
                    self.found.leave_out("reparse_points", match.path)
                with _errors_name(match):
                    self._folder.file(match.name, body, entry.size, entry.last_write_time)
                self._names.files.add(upcase(match.name))
                self.found.files += 1
                self.found.bytes += entry.size
                first = match

    def hard_link(self, match: Match, first: Match) -> None:
        if self._names.take(match):
            self._link(match, first)

    def stream(self, entry: AlternateStream, body: Body | None) -> None:  # noqa: ARG002
        self.found.leave_out("streams", f"{self._stream_owner}:{entry.name}")

    def whiteout(self, match: Match) -> None:
        self.found.leave_out("whiteouts", match.path)

    def unresolved(self, match: Match) -> bool:
        if match.depth == 0 and not match.query.is_pattern:
            return False  # the link itself was asked for
        self.found.leave_out("hard_links", match.path)
        return True

    def finish(self) -> None:
        self._symlinks.end_group()
        self._symlinks.make(self._folder)

    def _link(self, match: Match, first: Match) -> None:
        symlink = self._names.symlinks.get(upcase(first.name))
        if symlink is not None:
            # A further name of a symlink: its relative target begins in the directory of that name.
            self._symlinks.add(match, symlink, directory=False)
            return
        with _errors_name(match):
            self._folder.link(match.name, first.name)
        self._names.files.add(upcase(match.name))
        self.found.hard_links += 1

    def _is_link(self, entry: Directory | File, match: Match) -> bool:
        """Is the entry a symlink or junction? Then it is noted, and made at the end."""
        with with_context(path=match.path):
            link = link_of(entry.reparse_data)
        if link is None:
            return False
        self._symlinks.add(match, link, directory=isinstance(entry, Directory))
        return True


class _Names:
    """Which entry has which name in the folder. No two entries share one, in any case, as on Windows.

    In all dictionaries and sets the keys are upper case. files, symlinks: by path in the folder. entered: by the path
    of a symlink in the folder, the path in the layers of an entry that would lie in it. placed: by path in the layers
    of this group, the path in the folder.
    """

    def __init__(self) -> None:
        self.files: set[str] = set()
        self.symlinks: dict[str, ReparseLink] = {}
        self.entered: dict[str, str] = {}
        self.placed: dict[str, str] = {}
        self._owners: dict[str, tuple[int, str]] = {}  # by path in the folder: group and path in the layers
        self._group = 0
        self._directory = ""  # the last one whose parents were checked

    def begin_group(self) -> None:
        self._group += 1
        self.placed = {}

    def take(self, match: Match) -> bool:
        """Take the name of a match. False if the same entry has it. Raises UsageError if another one has."""
        name, key = upcase(match.name), upcase(match.path)
        owner = self._owners.get(name)
        if owner is None:
            self._check_parents(match)
            self._owners[name] = self._group, match.path
            self.placed.setdefault(key, match.name)
            return True
        if owner[0] == self._group and upcase(owner[1]) == key:
            return False
        raise self._same_name_error(match, owner)

    def _check_parents(self, match: Match) -> None:
        """Raise UsageError or LayerError where a file has the name of a directory that the match lies in.

        A symlink may have it, as long as that is not made.
        """
        key = upcase(match.name)
        directory = key.rpartition("/")[0]
        if directory == self._directory:
            return
        for above in paths_above(key):
            if above not in self.files and above not in self.symlinks:
                continue
            group, path = self._owners[above]
            if group != self._group or not upcase(match.path).startswith(f"{upcase(path)}/"):
                raise self._same_name_error(match, (group, path))
            if above in self.files:
                raise in_no_directory_error(match.path, path)
            self.entered.setdefault(above, match.path)
        self._directory = directory

    def _same_name_error(self, match: Match, owner: tuple[int, str]) -> UsageError:
        group, path = owner
        hint = "extract them into folders of their own"
        return UsageError(
            "two files would have the same name",
            path=match.name,
            got=f"{path} and {match.path}" if path != match.path else f"{path} of each of two places",
            hint=f"{hint}, or with --with-metadata" if group == self._group else hint,
        )


@dataclass(slots=True)
class _Symlink:
    """A symlink to make as `match`. target: the path in the folder that it leads to, "" for none.

    While its group is read, target is the path in the layers, in upper case: what lies there may yet be extracted.
    """

    match: Match
    target: str
    directory: bool


class _Symlinks:
    """The symlinks of an extraction, made at the end: so nothing is written through one, and targets are known."""

    def __init__(self, found: Extracted, names: _Names) -> None:
        self._found = found
        self._names = names
        self._group: list[_Symlink] = []  # of the layers that are being read
        self._all: list[_Symlink] = []  # of the groups before

    def add(self, match: Match, link: ReparseLink, *, directory: bool) -> None:
        try:
            target = upcase(follow_link(match.path, link))
        except FormatError:  # it leads out of the layer
            self._found.leave_out("links", match.path)
        else:
            self._group.append(_Symlink(match, target, directory))
        self._names.symlinks[upcase(match.name)] = link

    def end_group(self) -> None:
        """Find out where in the folder the targets of this group's symlinks lie."""
        for symlink in self._group:
            symlink.target = self._names.placed.get(symlink.target, "")
        self._all += self._group
        self._group = []

    def make(self, folder: PlainFolder) -> None:
        """Make the symlinks that lead to something in the folder, directly or through each other.

        A symlink is made after the one that it leads to, and only if that was made. So one is left out if it leads to
        nothing in the folder, and so are symlinks that lead to each other.
        """
        names = {upcase(symlink.match.name) for symlink in self._all}
        ready: deque[_Symlink] = deque()
        waiting: dict[str, list[_Symlink]] = {}  # by the name of the symlink that they lead to
        for symlink in self._all:
            target = upcase(symlink.target)
            if target in names:
                waiting.setdefault(target, []).append(symlink)
            else:
                ready.append(symlink)
        while ready:
            symlink = ready.popleft()
            if symlink.target and self._make_one(symlink, folder):
                self._found.symlinks += 1
                ready += waiting.pop(upcase(symlink.match.name), ())
            else:
                self._found.leave_out("links", symlink.match.path)
        for symlink in chain.from_iterable(waiting.values()):
            self._found.leave_out("links", symlink.match.path)

    def _make_one(self, symlink: _Symlink, folder: PlainFolder) -> bool:
        """Make a symlink. False where the host makes none. Raises LayerError for one with an entry in it."""
        match = symlink.match
        entered = self._names.entered.get(upcase(match.name))
        if entered is not None:
            raise behind_link_error(entered, match.path)
        with _errors_name(match):
            return folder.symlink(match.name, symlink.target, directory=symlink.directory)


@contextmanager
def _errors_name(match: Match) -> Iterator[None]:
    """Let errors about a path in the folder, or a directory above it, name the path in the layers instead.

    The folder has only the last part of that path.
    """
    try:
        yield
    except WclayerError as error:
        if error.path is not None and f"{match.name}/".startswith(f"{error.path}/"):
            below = match.name[len(error.path) :]
            if match.path.endswith(below):
                error.path = match.path[: len(match.path) - len(below)]
        raise
