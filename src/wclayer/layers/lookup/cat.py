"""The content of files in a stack of layers: `wclayer cat`."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence

from ...body import CHUNK
from ...entry import AlternateStream, Body, Directory, File, Source, Whiteout
from ...errors import NotFoundError, UsageError
from ...host.spool import EMPTY, Spool, Spooled
from ...union.view import ViewEntry
from ...win32.names import upcase
from ...win32.reparse import is_name_surrogate, reparse_tag, tag_name
from .handler import EntryHandler, EntryKey
from .request import Match, PathQuery
from .search import Search

__all__ = ["stream_of", "write_contents"]

_DATA = ":$DATA"


def stream_of(path: str) -> tuple[str, str]:
    """A path, and the alternate stream that it names after a colon (`f:s`, `f:s:$DATA`); "" for the unnamed stream.

    No file name of NTFS has a colon.
    """
    above, slash, name = path.rpartition("/")
    name, _, stream = name.partition(":")
    if upcase(stream).endswith(_DATA):
        stream = stream[: -len(_DATA)]
    elif upcase(stream) == _DATA[1:]:
        stream = ""
    return f"{above}{slash}{name}", stream


def write_contents(
    layers: Sequence[Source],
    wanted: Iterable[PathQuery],
    write: Callable[[bytes], object],
    *,
    temp_dir: str | os.PathLike[str] | None = None,
    seen: Callable[[ViewEntry], None] | None = None,
) -> None:
    """Write the bytes of the `wanted` files of `layers`, base first, one after the other in the order of `wanted`.

    Content that is read before its turn waits in a temporary file in the folder `temp_dir`. seen: called with each
    entry that is read. Raises NotFoundError for a file or stream that is not there, UsageError for a directory or a
    reparse point that is not followed, and what `Search.run` raises.
    """
    queries = list(wanted)
    with Spool(temp_dir) as spool:
        Search(layers, queries, _ContentWriter(queries, write, spool), seen=seen).run()


class _ContentWriter(EntryHandler):
    enters_directories = False

    def __init__(self, queries: Sequence[PathQuery], write: Callable[[bytes], object], spool: Spool) -> None:
        self._write = write
        self._spool = spool
        self._waiting: dict[int, Spooled] = {}  # content that was read before its turn
        self._numbers = {id(query): number for number, query in enumerate(queries)}
        self._missing = set(self._numbers)  # the queries whose content has not been read
        self._turn = 0

    def file(self, entry: File, seen: ViewEntry, matches: list[Match]) -> bool:
        self._refuse_reparse_points(entry, matches)
        self._put(seen.body, [match for match in matches if not match.query.stream])
        return self._is_incomplete(matches)

    def directory(self, entry: Directory, seen: ViewEntry, matches: list[Match]) -> bool:  # noqa: ARG002
        for match in matches:
            if not match.query.stream:
                self._refuse_reparse_points(entry, matches)
                raise UsageError("a directory, where a file must be", path=match.query.text)
        return True

    def stream(self, entry: AlternateStream, seen: ViewEntry, matches: list[Match]) -> bool:
        name = upcase(entry.name)
        self._put(seen.body, [match for match in matches if upcase(match.query.stream) == name])
        return self._is_incomplete(matches)

    def streams_ended(self, matches: list[Match]) -> None:
        for match in matches:
            if id(match.query) in self._missing:
                raise NotFoundError("the file has no such stream", path=match.query.text, got=match.query.stream)

    def hard_link(self, matches: list[Match], file: EntryKey) -> bool:  # noqa: ARG002
        return True  # the content was not kept, as nobody had asked for it then

    def whiteout(self, entry: Whiteout, seen: ViewEntry, matches: list[Match]) -> None:  # noqa: ARG002
        raise NotFoundError("a whiteout", path=matches[0].query.text, got=seen.path)

    def unresolved(self, match: Match) -> bool:  # noqa: ARG002
        return False

    def _refuse_reparse_points(self, entry: File | Directory, matches: list[Match]) -> None:
        """Raise UsageError for a name surrogate that is neither a symlink nor a junction: it has no content."""
        reparse_data = entry.reparse_data
        if reparse_data is not None and is_name_surrogate(reparse_tag(reparse_data)):
            raise UsageError(
                "a reparse point that stands for another file and is not followed",
                path=matches[0].query.text,
                got=tag_name(reparse_tag(reparse_data)),
            )

    def _is_incomplete(self, matches: list[Match]) -> bool:
        return any(id(match.query) in self._missing for match in matches)

    def _put(self, body: Body | None, matches: list[Match]) -> None:
        """Write a body, or keep it until its turn comes; then write what has waited for that."""
        if not matches:
            return
        numbers = sorted(self._numbers[id(match.query)] for match in matches)
        self._missing.difference_update(id(match.query) for match in matches)
        if numbers == [self._turn]:
            for data in _pieces(body):
                self._write(data)
            self._turn += 1
        else:
            spooled = EMPTY if body is None else self._spool.put(body)
            self._waiting.update(dict.fromkeys(numbers, spooled))
        while (ready := self._waiting.pop(self._turn, None)) is not None:
            for data in _pieces(self._spool.open(ready)):
                self._write(data)
            self._turn += 1


def _pieces(body: Body | None) -> Iterator[bytes]:
    while body is not None and (data := body.read(CHUNK)):
        yield data
