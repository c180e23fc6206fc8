"""The names of one layer, entry by entry: may this one come now, and where does it go?

One state machine for all who take a layer's entries: import, squash, verify, and build,
which indexes its base. The rules are those of hcsshim's importers:

- a directory comes before what lies in it, and is a real one, not a symlink or junction;
- a name comes once, by NTFS's case rules, as an entry or as a whiteout;
- a stream follows the file or directory that it belongs to, each name once;
- the target of a hard link is a file that came before it in the layer, else one of the
  lower layers (legacyLayerWriter.AddLink); what comes later is another file;
- in the utility VM hcsshim deletes at once, so a whiteout there needs something below.

Where the names are kept is the user's, behind `NameIndex`: in the record, in a tree, in
a dictionary.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto
from typing import Final, Generic, NoReturn, Protocol, TypeVar

from ..entry import AlternateStream, Directory, File, HardLink
from ..errors import WclayerError
from ..win32.names import upcase
from .lookup import is_real_directory
from .rules import (
    UTILITY_VM_FILES,
    behind_link_error,
    beside_whiteout_error,
    in_no_directory_error,
    name_taken_error,
    no_directory_yet_error,
    no_link_target_error,
    stream_astray_error,
    stream_twice_error,
    two_whiteouts_error,
    whiteout_of_nothing_error,
)

__all__ = ["NameIndex", "Namespace", "NodeKind", "kind_of", "raise_error"]

_MAX_CACHE: Final = 4096  # directories: entries come directory by directory

D = TypeVar("D")
N = TypeVar("N")


class NodeKind(Enum):
    """What a layer has at a path, beside hard links."""

    DIRECTORY = auto()  # a real one: it lets what is in it of the layers below be seen
    STAND_IN = auto()  # a directory that stands for something else: a junction, a symlink
    FILE = auto()
    WHITEOUT = auto()


def kind_of(entry: Directory | File | HardLink) -> NodeKind:
    """A hard link counts as the file that it is."""
    if not isinstance(entry, Directory):
        return NodeKind.FILE
    return NodeKind.DIRECTORY if is_real_directory(entry) else NodeKind.STAND_IN


class NameIndex(Protocol[D, N]):
    """The names of one layer so far, by NTFS's case rules. D: a directory to look into; N: what is at a name."""

    root: D

    def find(self, directory: D, name: str, /) -> N | None:
        """What the directory has at a name, streams left out."""

    def kind(self, node: N, /) -> NodeKind: ...

    def name(self, node: N, /) -> str:
        """Its name as the layer spells it."""

    def enter(self, directory: D, node: N, /) -> D:
        """The real directory `node` of `directory`, to look into."""

    def missing(self, directory: D, name: str, /) -> D:
        """Stands for a missing directory, where errors are noted and the check goes on."""

    def has_whiteout(self, path: str, /) -> bool: ...

    def add_whiteout(self, path: str, /) -> bool:
        """Note a whiteout; False if there is one of that name already."""


OnError = Callable[[WclayerError], object]


def raise_error(error: WclayerError) -> NoReturn:
    """The on_error of who takes no layer with a fault."""
    raise error


class Namespace(Generic[D, N]):
    """The rules of one layer's names, over an index of those that have come.

    base: is it a base layer? on_error: called with each fault; it raises, or notes the fault, and then the check goes
    on, with each wrong directory blamed once.
    """

    def __init__(self, index: NameIndex[D, N], *, base: bool, on_error: OnError = raise_error) -> None:
        self._index = index
        self._base = base
        self._on_error = on_error
        self._directories: dict[str, D] = {}  # by path as entries spell it
        self._blamed: set[str] = set()  # in upper case
        self._whiteouts = False  # has one come?
        self._owner: str | None = None
        self._streams: set[str] = set()  # of that owner, in upper case

    # --- what comes ---------------------------------------------------------------

    def place(self, path: str) -> tuple[D, str]:
        """The directory that an entry at `path` goes into, and its name there."""
        directory, _, name = path.rpartition("/")
        parent = self._directory(directory, path) if directory else self._index.root
        taken = self._index.find(parent, name)
        if taken is not None:
            self._on_error(name_taken_error(path, self._index.name(taken)))
        elif self._whiteouts and self._index.has_whiteout(path):
            self._on_error(beside_whiteout_error(path))
        return parent, name

    def remember(self, path: str, directory: D) -> None:
        """A real directory that has just come: most likely the next entries lie in it."""
        if len(self._directories) >= _MAX_CACHE:
            self._directories.clear()
        self._directories[path] = directory

    def owner(self, path: str | None) -> None:
        """The streams that follow belong to the file or directory `path`; after a link or whiteout there are none."""
        self._owner = path
        if self._streams:
            self._streams = set()

    def stream(self, entry: AlternateStream) -> None:
        """Check that a stream follows its owner, and is the first of its name."""
        key = upcase(entry.name)
        if self._owner != entry.path:
            self._on_error(stream_astray_error(entry.path, entry.name))
        elif key in self._streams:
            self._on_error(stream_twice_error(entry.path, entry.name))
        self._streams.add(key)

    def whiteout(self, path: str, in_lower: Callable[[str], bool]) -> bool:
        """Check and note a whiteout; False for a second one. in_lower: do the lower layers have anything at a path?"""
        if self.find(path) is not None:
            self._on_error(beside_whiteout_error(path))
        self._whiteouts = True
        if not self._index.add_whiteout(path):
            self._on_error(two_whiteouts_error(path))
            return False
        if path.startswith(f"{UTILITY_VM_FILES}/") and not in_lower(path):
            self._on_error(whiteout_of_nothing_error(path))
        return True

    def link(self, entry: HardLink) -> N | None:
        """The file of this layer that a hard link leads to; None where that is for the lower layers to say."""
        found = self.find(entry.target)
        if found is not None and self._index.kind(found) is not NodeKind.FILE:
            self._on_error(no_link_target_error(entry.path, entry.target, found=True, base=self._base))
        return found

    def check_lower(self, entry: HardLink, *, found: bool, is_file: bool) -> None:
        """Check what the lower layers have at the target of a hard link, as link() gave None."""
        if not is_file:
            self._on_error(no_link_target_error(entry.path, entry.target, found=found, base=self._base))

    # --- what has come ------------------------------------------------------------

    def find(self, path: str) -> N | None:
        """What the layer has at a path so far; links on the way are not followed."""
        above, _, name = path.rpartition("/")
        known = self._directories.get(above) if above else self._index.root
        if known is not None:  # most links lead to where entries have just come
            return self._index.find(known, name)
        directory = self._index.root
        node: N | None = None
        for part in path.split("/"):
            if node is not None:
                if self._index.kind(node) is not NodeKind.DIRECTORY:
                    return None
                directory = self._index.enter(directory, node)
            node = self._index.find(directory, part)
            if node is None:
                return None
        return node

    def _directory(self, directory: str, path: str) -> D:
        """The directory of `path`, from the root down: the first that is wrong is the one to blame."""
        found = self._directories.get(directory)
        if found is not None:
            return found
        above, _, name = directory.rpartition("/")
        parent = self._directory(above, path) if above else self._index.root
        node = self._index.find(parent, name)
        kind = None if node is None else self._index.kind(node)
        if node is not None and kind is NodeKind.DIRECTORY:
            found = self._index.enter(parent, node)
        else:
            self._blame(kind, directory, path)
            found = self._index.missing(parent, name)
        self.remember(directory, found)
        return found

    def _blame(self, kind: NodeKind | None, directory: str, path: str) -> None:
        key = upcase(directory)
        above = key.rpartition("/")[0]
        if key in self._blamed or (kind is None and above in self._blamed):
            self._blamed.add(key)  # what lies in a wrong directory is not to blame
            return
        self._blamed.add(key)
        if kind is None:
            self._on_error(no_directory_yet_error(path, directory))
        elif kind is NodeKind.FILE:
            self._on_error(in_no_directory_error(path, directory))
        else:
            self._on_error(behind_link_error(path, directory))
