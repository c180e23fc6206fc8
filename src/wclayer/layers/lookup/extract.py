"""Files, directories and patterns of a stack of layers, extracted into a folder: `wclayer extract`.

Without metadata the result is a folder of plain files (`plain_extractor`). With metadata it is
a layer folder (`layer_extractor`), of which `wclayer export` makes a layer tar.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence

from ...entry import AlternateStream, Directory, File, Source, Whiteout
from ...host.spool import Spool
from ...stores.folders import new_folder
from ...stores.posix.extract_target import PlainFolder
from ...union.view import ViewEntry
from .extractor import Extracted, Extractor
from .handler import EntryHandler, EntryKey
from .layer_extractor import AnyLower, LayerExtractor
from .plain_extractor import PlainExtractor
from .request import Match, PathQuery
from .search import Search

__all__ = ["Extracted", "extract_layers"]


def extract_layers(
    groups: Iterable[tuple[Sequence[Source], Sequence[PathQuery]]],
    target: str | os.PathLike[str],
    *,
    with_metadata: bool = False,
    force: bool = False,
    temp_dir: str | os.PathLike[str] | None = None,
    seen: Callable[[ViewEntry], None] | None = None,
) -> Extracted:
    """Extract what is asked for in layers into the folder `target`, which appears complete or not at all.

    groups: layers, base first, and what is wanted of them. with_metadata: make a layer folder (a plain tree and
    layer.db); a symlink or junction that is asked for is extracted itself, not followed. force: replace a `target` that
    is not empty. temp_dir: the folder for streams that wait for their turn. seen: called with each entry that is read.

    Raises UsageError for two files that would have the same name, InexpressibleError for a name that the host cannot
    hold, AlreadyExistsError, what `Search.run` raises, and what writing raises.
    """
    if with_metadata:
        with (
            Spool(temp_dir) as spool,
            new_folder(target, parents=AnyLower(), force=force, plain=True) as sink,
        ):
            found = _extract(groups, LayerExtractor(sink, spool), seen)
            sink.commit()
            return found
    with PlainFolder(target, force=force) as folder:
        found = _extract(groups, PlainExtractor(folder), seen)
        folder.commit()
        return found


def _extract(
    groups: Iterable[tuple[Sequence[Source], Sequence[PathQuery]]],
    extractor: Extractor,
    seen: Callable[[ViewEntry], None] | None,
) -> Extracted:
    for layers, queries in groups:
        extractor.begin_group()
        Search(layers, queries, _ExtractHandler(extractor), seen=seen).run()
    extractor.finish()
    return extractor.found


class _ExtractHandler(EntryHandler):
    """Give the entries of one group of layers to an extractor."""

    def __init__(self, extractor: Extractor) -> None:
        self.follows_last = extractor.follows_last
        self._extractor = extractor
        self._extracted: dict[EntryKey, Match] = {}  # File entries, and the first name of each

    def any_entry(self, seen: ViewEntry) -> None:
        if seen.visible:
            self._extractor.visible_entry(seen)

    def file(self, entry: File, seen: ViewEntry, matches: list[Match]) -> bool:
        matches.sort(key=lambda match: match.link is not None)  # its own name first
        self._extracted[seen.number, seen.key] = matches[0]
        self._extractor.file(entry, seen.body, matches)
        return True

    def directory(self, entry: Directory, seen: ViewEntry, matches: list[Match]) -> bool:  # noqa: ARG002
        self._extractor.directory(entry, matches)
        return True

    def stream(self, entry: AlternateStream, seen: ViewEntry, matches: list[Match]) -> bool:  # noqa: ARG002
        self._extractor.stream(entry, seen.body)
        return True

    def hard_link(self, matches: list[Match], file: EntryKey) -> bool:
        first = self._extracted.get(file)
        if first is None:  # the file itself was not asked for
            return True
        for match in matches:
            self._extractor.hard_link(match, first)
        return False

    def whiteout(self, entry: Whiteout, seen: ViewEntry, matches: list[Match]) -> None:  # noqa: ARG002
        self._extractor.whiteout(matches[0])

    def unresolved(self, match: Match) -> bool:
        return self._extractor.unresolved(match)
