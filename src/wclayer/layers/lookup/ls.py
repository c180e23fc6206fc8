"""The entries at paths in a stack of layers, with their metadata: for `wclayer ls` and `find`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from ...entry import AlternateStream, Directory, File, HardLink, Source, Whiteout
from ...errors import LayerError
from ...union.links import is_link
from ...union.view import ViewEntry
from ..hashing import Hasher
from .handler import EntryHandler, EntryKey
from .request import Match, PathQuery
from .search import Search

__all__ = ["Listed", "Stream", "list_layers"]

_TAG: Final = 4  # bytes of a reparse tag


@dataclass(frozen=True, slots=True)
class Stream:
    """An alternate stream. size: in bytes. sha256: of its content in hexadecimal, if that was asked for."""

    name: str
    size: int
    sha256: str | None = None


@dataclass(slots=True)
class Listed:
    """What is seen at `path`, spelled as the nearest layers do, in layer `number`, counted from 0 at the base.

    entry: as the layer has it. file: the entry whose metadata it shows: `entry` itself, or the file behind a hard link;
    None for a whiteout, and for a hard link to a file that none of the layers has. Both are without their long fields:
    the values of extended attributes, backup streams, the object ID, and all but the tag of reparse points that are
    neither symlinks nor junctions. match: why it is listed. streams: of `file`. sha256: of the content of a file in
    hexadecimal, if that was asked for.
    """

    path: str
    number: int
    entry: Directory | File | HardLink | Whiteout
    file: Directory | File | None
    match: Match
    streams: list[Stream] = field(default_factory=list)
    sha256: str | None = None

    @property
    def size(self) -> int | None:
        """Bytes of the unnamed stream; None for anything but files."""
        return self.file.size if isinstance(self.file, File) else None

    def to_dict(self) -> dict[str, Any]:
        """The entry as JSON has it, see Found.to_dict()."""
        from .find import Found  # noqa: PLC0415 # which needs this module

        return Found(self).to_dict()


def list_layers(
    layers: Sequence[Source],
    wanted: Iterable[PathQuery],
    found: Callable[[Listed], None],
    *,
    follow: bool = True,
    hashed: Callable[[File | Directory], bool] | None = None,
    seen: Callable[[ViewEntry], None] | None = None,
) -> None:
    """Call `found` with each entry of `layers`, base first, that is seen at a `wanted` path or below it.

    The call comes once the entry's streams are known; for a hard link to a file of a layer below, when that layer has
    been read. Whiteouts are listed of a single layer only. follow: a symlink or junction at the end of a path. hashed:
    is the content of this file or directory, its streams included, to be hashed? seen: called with each entry that is
    read.

    Raises LayerError for content with too many holes to hash, and what `Search.run` raises.
    """
    Search(layers, wanted, _Lister(found, follow=follow, hashed=hashed), seen=seen).run()


@dataclass(slots=True)
class _Known:
    """A File or Directory entry that has been read, and what was found out about it."""

    entry: Directory | File
    streams: list[Stream] = field(default_factory=list)
    sha256: str | None = None
    is_hashed: bool = False


class _Lister(EntryHandler):
    def __init__(
        self,
        found: Callable[[Listed], None],
        *,
        follow: bool,
        hashed: Callable[[File | Directory], bool] | None,
    ) -> None:
        self.follows_last = follow
        self._found: Final = found
        self._hashed = hashed
        self._number = -1  # the layer whose files are in `_known`
        self._known: dict[str, _Known] = {}  # files that a later hard link of the same layer may lead to
        self._last: _Known | None = None
        self._descriptors: dict[bytes, bytes] = {}
        self._hasher = Hasher()

    def any_entry(self, seen: ViewEntry) -> None:
        """Remember all files, not only those that are asked for: a hard link to them may come later."""
        entry = seen.entry
        if seen.number != self._number:
            self._number, self._known = seen.number, {}
        if isinstance(entry, AlternateStream):
            if self._last is not None:
                sha256 = self._sha256(seen) if self._last.is_hashed else None
                self._last.streams.append(Stream(entry.name, entry.size, sha256))
            return
        self._last = None
        if isinstance(entry, File | Directory):
            self._last = _Known(self._shortened(entry))
            self._last.is_hashed = self._hashed is not None and self._hashed(entry)
            if isinstance(entry, File):
                self._known[seen.key] = self._last
                if self._last.is_hashed:
                    self._last.sha256 = self._sha256(seen)

    def _shortened(self, entry: File | Directory) -> File | Directory:
        """The entry without its long fields; equal descriptors share one object, as a layer has few different ones."""
        descriptor, reparse_data = entry.security_descriptor, entry.reparse_data
        if descriptor is not None:
            descriptor = self._descriptors.setdefault(descriptor, descriptor)
        if reparse_data is not None and not is_link(reparse_data):
            reparse_data = reparse_data[:_TAG]
        return replace(
            entry,
            security_descriptor=descriptor,
            extended_attributes=tuple(replace(one, value=b"") for one in entry.extended_attributes),
            reparse_data=reparse_data,
            object_id=None,
            backup_streams=(),
        )

    def _sha256(self, seen: ViewEntry) -> str:
        found = self._hasher.digest(seen.body).sha256
        if found is None:
            raise LayerError(
                "too many holes to hash the content", path=seen.path, hint="--size -1G leaves out larger files"
            )
        return found

    def file(self, entry: File, seen: ViewEntry, matches: list[Match]) -> bool:  # noqa: ARG002
        return True  # it is listed when its streams are known

    def directory(self, entry: Directory, seen: ViewEntry, matches: list[Match]) -> bool:  # noqa: ARG002
        return True

    def stream(self, entry: AlternateStream, seen: ViewEntry, matches: list[Match]) -> bool:  # noqa: ARG002
        return True

    def streams_ended(self, matches: list[Match]) -> None:
        if self._last is not None:
            for match in matches:
                self._list(match, self._last)

    def hard_link(self, matches: list[Match], file: EntryKey) -> bool:
        for match in matches:
            self._list(match, self._known[file[1]])
        return False

    def whiteout(self, entry: Whiteout, seen: ViewEntry, matches: list[Match]) -> None:
        for match in matches:
            self._found(Listed(match.path, seen.number, entry, None, match))

    def unresolved(self, match: Match) -> bool:
        if match.link is not None:
            self._found(Listed(match.path, match.number, match.link, None, match))
        return True

    def _list(self, match: Match, known: _Known) -> None:
        entry = known.entry if match.link is None else match.link
        self._found(Listed(match.path, match.number, entry, known.entry, match, known.streams, known.sha256))
