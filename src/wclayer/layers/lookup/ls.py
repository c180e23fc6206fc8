"""What there is at paths in layers, seen as one, with its metadata: for `wclayer ls` and `find`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from ...entry import AlternateStream, Directory, File, HardLink, Source, Whiteout
from ...errors import LayerError
from ...union.links import is_link
from ...union.view import ViewEntry
from ..hashing import Hasher
from .request import Match, PathQuery
from .search import At, Search

__all__ = ["Listed", "Stream", "list_layers"]


@dataclass(frozen=True, slots=True)
class Stream:
    """An alternate stream; sha256: of its content, where that was asked for."""

    name: str
    size: int
    sha256: str | None = None


@dataclass(slots=True)
class Listed:
    """What is seen at `path`, spelled as the nearest layers do, in layer `number`, counted from 0 at the base.

    entry: as the layer has it. file: whose metadata it shows: the entry itself, or the file behind a hard link; None
    for a whiteout, and for a hard link to what none of the layers has. Both are without what is long: the values of
    extended attributes, backup streams, the object ID, and of reparse points that are no links all but the tag.
    sha256: of the content of a file, where it was asked for. claim: what it was asked for as.
    """

    path: str
    number: int
    entry: Directory | File | HardLink | Whiteout
    file: Directory | File | None
    claim: Match
    streams: list[Stream] = field(default_factory=list)
    sha256: str | None = None

    @property
    def size(self) -> int | None:
        """Bytes of the unnamed stream; None for what has none."""
        return self.file.size if isinstance(self.file, File) else None


def list_layers(
    layers: Sequence[Source],
    wanted: Iterable[PathQuery],
    found: Callable[[Listed], None],
    *,
    follow: bool = True,
    hashed: Callable[[File | Directory], bool] | None = None,
    seen: Callable[[ViewEntry], None] | None = None,
) -> None:
    """Call `found` with all that is seen at what is `wanted` of `layers`, base first, and below it.

    Each comes once its streams are known; a hard link into a layer below when that has been read. Whiteouts come of
    one layer alone. follow: a symlink or junction at the end of a path. hashed: is the content of this file or
    directory, that of its streams too, to be hashed?

    Raises NotFoundError, LayerError (among others for more in holes than can be hashed), UsageError for a link to what
    has gone by in a pipe, and what reading raises.
    """
    _Listing(layers, wanted, found, follow=follow, hashed=hashed, seen=seen).run()


_TAG: Final = 4  # bytes of a reparse tag


@dataclass(slots=True)
class _Known:
    """A File or Directory entry, and what was learnt of it."""

    entry: Directory | File
    streams: list[Stream] = field(default_factory=list)
    sha256: str | None = None
    hashed: bool = False


class _Listing(Search):
    def __init__(
        self,
        layers: Sequence[Source],
        wanted: Iterable[PathQuery],
        found: Callable[[Listed], None],
        *,
        follow: bool,
        hashed: Callable[[File | Directory], bool] | None,
        seen: Callable[[ViewEntry], None] | None,
    ) -> None:
        super().__init__(layers, wanted, seen=seen)
        self.follows_last = follow
        self._found: Final = found
        self._hashed = hashed
        self._of = -1  # which layer's files are known
        self._known: dict[str, _Known] = {}  # files that a hard link of the same layer may lead to
        self._last: _Known | None = None
        self._descriptors: dict[bytes, bytes] = {}
        self._hasher = Hasher()

    def passed(self, seen: ViewEntry) -> None:
        super().passed(seen)
        entry = seen.entry
        if seen.number != self._of:
            self._of, self._known = seen.number, {}
        if isinstance(entry, AlternateStream):
            if self._last is not None:
                sha256 = self._sha256(seen) if self._last.hashed else None
                self._last.streams.append(Stream(entry.name, entry.size, sha256))
            return
        self._last = None
        if isinstance(entry, File | Directory):
            self._last = _Known(self._kept(entry))
            self._last.hashed = self._hashed is not None and self._hashed(entry)
            if isinstance(entry, File):
                self._known[seen.key] = self._last
                if self._last.hashed:
                    self._last.sha256 = self._sha256(seen)

    def _kept(self, entry: File | Directory) -> File | Directory:
        """The entry without what is long, its descriptor once for all that have it."""
        descriptor, reparse = entry.security_descriptor, entry.reparse_data
        if descriptor is not None:
            descriptor = self._descriptors.setdefault(descriptor, descriptor)
        if reparse is not None and not is_link(reparse):
            reparse = reparse[:_TAG]
        return replace(
            entry,
            security_descriptor=descriptor,
            extended_attributes=tuple(replace(one, value=b"") for one in entry.extended_attributes),
            reparse_data=reparse,
            object_id=None,
            backup_streams=(),
        )

    def _sha256(self, seen: ViewEntry) -> str:
        found = self._hasher.digest(seen.body).sha256
        if found is None:
            raise LayerError(
                "too many holes to hash what is in them", path=seen.path, hint="--size -1G leaves out what is larger"
            )
        return found

    def file(self, seen: ViewEntry, claims: list[Match]) -> bool:  # noqa: ARG002 # it is listed with its streams
        return True

    def directory(self, seen: ViewEntry, claims: list[Match]) -> bool:  # noqa: ARG002
        return True

    def stream(self, seen: ViewEntry, claims: list[Match]) -> bool:  # noqa: ARG002
        return True

    def owner_ended(self, claims: list[Match]) -> None:
        super().owner_ended(claims)
        if self._last is not None:
            for claim in claims:
                self._list(claim, self._last)

    def hard_link(self, seen: ViewEntry, claims: list[Match], at: At) -> None:  # noqa: ARG002
        for claim in claims:
            self._list(claim, self._known[at[1]])

    def whiteout(self, seen: ViewEntry, claims: list[Match]) -> None:
        if isinstance(seen.entry, Whiteout):
            for claim in claims:
                self._found(Listed(claim.path, seen.number, seen.entry, None, claim))

    def no_file(self, claims: list[Match]) -> None:
        for claim in claims:
            if claim.link is not None:
                self._found(Listed(claim.path, claim.number, claim.link, None, claim))

    def _list(self, claim: Match, known: _Known) -> None:
        entry = known.entry if claim.link is None else claim.link
        self._found(Listed(claim.path, claim.number, entry, known.entry, claim, known.streams, known.sha256))
