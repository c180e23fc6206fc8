"""What a container on layers would see, entry by entry, in one pass over each: the nearest layer first, the base last.

An entry of a layer is hidden if a nearer layer has at its path an entry or a whiteout, or
at a directory above it a whiteout or something that is no real directory
(`merged.is_real_directory`); by NTFS's case rules. So of directories on each other the
nearest is seen, its metadata, streams and spelling, with what is in all of them.

A hard link is a further name of the file that its target is in its own layer, where
that came before it, else below that layer, whatever nearer layers hide. So a file may
be hidden at the name that brought it and be seen at another; who needs its content asks
for the hidden entries too, and `file_of` says which one it is.

Just the names are kept, and of which kind each is.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeAlias, cast

from ..entry import AlternateStream, Body, Directory, Entry, File, HardLink, Source, Whiteout
from ..errors import LayerError
from ..layertar.reader import TarSource
from ..win32.names import upcase
from .namespace import NodeKind, kind_of
from .rules import beside_whiteout_error, name_taken_error

__all__ = [
    "Link",
    "NodeKind",
    "UnionView",
    "ViewEntry",
    "offset_in",
    "paths_above",
    "reading",
    "within",
]

_MOST_LINKS: Final = 1024  # hard links to hard links of layers below, as many as NTFS lets a file have


class Link(NamedTuple):
    """A hard link. own: the target is a File entry of the same layer; else what is seen at it below that layer."""

    target: str
    own: bool


Kind: TypeAlias = NodeKind | Link


@dataclass(slots=True)
class ViewEntry:
    """An entry of layer `number`, counted from 0 at the base.

    key: its path in upper case, by which it is known. path: as it is seen, spelled as the nearest layers spell the
    directories; `entry.path` is its own layer's. visible: is it seen there? A stream is where its owner is.
    body: valid until the next entry.
    """

    number: int
    key: str
    path: str
    entry: Entry
    body: Body | None
    visible: bool


@contextmanager
def reading(source: Source) -> Iterator[Iterator[tuple[Entry, Body | None]]]:
    """The entries of a source, which is closed (thread, file, connection) when the block ends, wherever it stands."""
    entries = source.entries()
    if not hasattr(entries, "close"):
        yield entries
        return
    with closing(cast("Generator[tuple[Entry, Body | None], None, None]", entries)):
        yield entries


def offset_in(source: Source) -> int | None:
    """Where in its tar the entry is that a source gave last; None for what is no tar."""
    return source.offset if isinstance(source, TarSource) else None


class UnionView:
    """The layers `layers`, base first, seen as one; each is read once, and the order is that of `numbers`."""

    def __init__(self, layers: Sequence[Source]) -> None:
        self._layers = layers
        self._names: dict[int, dict[str, Kind]] = {}
        # Of the layers that have been read to their end:
        self._taken: set[str] = set()  # where they have an entry or a whiteout
        self._closed: set[str] = set()  # where they hide all that is below it
        self._directories: dict[str, str] = {}  # how they spell the directories
        self._looked_above = ("", False)

    @property
    def numbers(self) -> range:
        """The numbers of the layers, the nearest first."""
        return range(len(self._layers) - 1, -1, -1)

    def entries(self, *, hidden: bool = False) -> Generator[ViewEntry, None, None]:
        """What is seen, layer by layer, each in its own order; with `hidden`, also what is not.

        Whiteouts are among it: of layers that are seen as one, they show nothing. Raises LayerError for names that a
        layer has twice, and what reading it raises.
        """
        for number in self.numbers:
            with closing(self.read(number)) as found:
                for seen in found:
                    if hidden or seen.visible:
                        yield seen

    def read(self, number: int) -> Generator[ViewEntry, None, None]:
        """The entries of one layer, hidden ones too; those that are nearer must have been read to their ends.

        The layer is opened when the first is asked for, and closed with the generator.
        """
        names: dict[str, Kind] = {}
        self._names[number] = names
        own: dict[str, str] = {}  # directories
        path, visible = "", False
        with reading(self._layers[number]) as entries:
            for entry, body in entries:
                key = upcase(entry.path)
                if not isinstance(entry, AlternateStream):
                    if key in names:
                        error = _twice(entry, names[key], key)
                        error.at(offset=offset_in(self._layers[number]))
                        raise error
                    visible = not self._is_hidden(key)
                    path = self._spelled(entry.path, key, own)
                    kind = names[key] = _kind(entry, names)
                    if kind is NodeKind.DIRECTORY:
                        own[key] = path
                yield ViewEntry(number, key, path, entry, body, visible)
        if number:
            self._taken.update(names)
            self._closed.update(key for key, kind in names.items() if kind is not NodeKind.DIRECTORY)
            for key, path in own.items():
                self._directories.setdefault(key, path)
            self._looked_above = "", False

    def _is_hidden(self, key: str) -> bool:
        if key in self._taken:
            return True
        if not self._closed:
            return False
        directory = key.rpartition("/")[0]
        if directory != self._looked_above[0]:  # entries come directory by directory
            self._looked_above = directory, any(above in self._closed for above in paths_above(key))
        return self._looked_above[1]

    def _spelled(self, path: str, key: str, own: dict[str, str]) -> str:
        """The path, its directories as the nearest layers spell them."""
        above, slash, _ = path.rpartition("/")
        directory = key.rpartition("/")[0]
        while slash:
            spelled = self._directories.get(directory) or own.get(directory)
            if spelled:
                return path if spelled == above else spelled + path[len(above) :]
            above, slash, _ = above.rpartition("/")
            directory = directory.rpartition("/")[0]
        return path

    # --- what has been read -------------------------------------------------------

    def kind(self, number: int, key: str) -> Kind | None:
        """What layer `number` has at a path in upper case, as far as it has been read."""
        return self._names.get(number, {}).get(key)

    def hides(self, number: int, key: str) -> bool:
        """Does layer `number`, as far as it has been read, hide what the layers below have at a path?"""
        names = self._names.get(number, {})
        return key in names or any(
            kind is not None and kind is not NodeKind.DIRECTORY for kind in map(names.get, paths_above(key))
        )

    def has_below(self, number: int, key: str) -> bool:
        """Has layer `number`, as far as it has been read, anything in the directory at a path?"""
        prefix = f"{key}/"
        return any(name.startswith(prefix) for name in self._names.get(number, {}))

    def at(self, key: str, top: int | None = None) -> tuple[int, str] | None:
        """Which layer's entry is seen at a path, looking down from layer `top`: its number, and `key`; None for none.

        Of layers that have been read; whiteouts are no entries.
        """
        for number in range(len(self._layers) - 1 if top is None else top, -1, -1):
            kind = self.kind(number, key)
            if kind is not None:
                return None if kind is NodeKind.WHITEOUT else (number, key)
            if number not in self._names or self.hides(number, key):
                return None
        return None

    def file_of(self, number: int, key: str) -> tuple[int, str] | None:
        """Which File entry a file of layer `number` is: that layer's own at the path, or the one behind a hard link.

        None for what is no file, and where that cannot be said of what has been read.
        """
        for _ in range(_MOST_LINKS):
            kind = self.kind(number, key)
            if kind is NodeKind.FILE:
                return number, key
            if not isinstance(kind, Link):
                return None
            if kind.own or number == 0:  # the base has none below it, so its target may yet come
                key = kind.target
                continue
            found = self.at(kind.target, number - 1)
            if found is None:
                return None
            number, key = found
        return None


def paths_above(key: str) -> Iterator[str]:
    """The paths of the directories that a path lies in, the outermost first."""
    at = key.find("/")
    while at > 0:
        yield key[:at]
        at = key.find("/", at + 1)


def within(path: str, key: str) -> bool:
    """Is `path` the path `key`, or below it? Both in upper case."""
    return path == key or (path.startswith(key) and path[len(key)] == "/")


def _kind(entry: Directory | File | HardLink | Whiteout, names: dict[str, Kind]) -> Kind:
    if isinstance(entry, Whiteout):
        return NodeKind.WHITEOUT
    if isinstance(entry, HardLink):
        target = upcase(entry.target)
        found = names.get(target)
        if isinstance(found, Link):
            return found  # of whose target the same is true
        return Link(target, found is not None and found is not NodeKind.WHITEOUT)
    return kind_of(entry)


def _twice(entry: Entry, before: Kind, key: str) -> LayerError:
    """The error of a second entry at a path."""
    if isinstance(entry, Whiteout) or before is NodeKind.WHITEOUT:
        return beside_whiteout_error(entry.path)
    return name_taken_error(entry.path, key.rpartition("/")[2])
