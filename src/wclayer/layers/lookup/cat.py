"""The bytes of files in layers, seen as one: `wclayer cat`."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence

from ...body import CHUNK
from ...entry import AlternateStream, Body, Directory, File, Source
from ...errors import NotFoundError, UsageError
from ...host.spool import EMPTY, Spool, Spooled
from ...union.view import ViewEntry
from ...win32.names import upcase
from ...win32.reparse import is_name_surrogate, reparse_tag, tag_name
from .request import Match, PathQuery
from .search import At, Search

__all__ = ["stream_of", "write_contents"]

_DATA = ":$DATA"


def stream_of(path: str) -> tuple[str, str]:
    """A path, and the stream that it names after a colon (`f:s`, `f:s:$DATA`); "" for none. No file's name has one."""
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
    """Write the bytes of what is `wanted` of `layers`, base first, one after the other.

    What comes before its turn is put aside in a temporary file in the folder `temp_dir`. The layers are read as
    `Search` says. Raises NotFoundError for a file or stream that is not there, UsageError for a directory, LayerError.
    """
    with Spool(temp_dir) as spool:
        _Contents(layers, wanted, write, spool, seen).run()


class _Contents(Search):
    into_directories = False

    def __init__(
        self,
        layers: Sequence[Source],
        wanted: Iterable[PathQuery],
        write: Callable[[bytes], object],
        spool: Spool,
        seen: Callable[[ViewEntry], None] | None,
    ) -> None:
        super().__init__(layers, wanted, seen=seen)
        self._write = write
        self._spool = spool
        self._waiting: dict[int, Spooled] = {}
        self._numbers = {id(one): number for number, one in enumerate(self.wanted)}
        self._left = set(self._numbers)  # whose bytes have not come
        self._turn = 0

    def file(self, seen: ViewEntry, claims: list[Match]) -> bool:
        self._refuse_links(seen, claims)
        self._put(seen.body, [claim for claim in claims if not claim.wanted.stream])
        return self._lacks(claims)

    def directory(self, seen: ViewEntry, claims: list[Match]) -> bool:
        for claim in claims:
            if not claim.wanted.stream:
                self._refuse_links(seen, claims)
                raise UsageError("a directory, where a file must be", path=claim.wanted.text)
        return True

    def _refuse_links(self, seen: ViewEntry, claims: list[Match]) -> None:
        entry = seen.entry
        reparse = entry.reparse_data if isinstance(entry, File | Directory) else None
        if reparse is not None and is_name_surrogate(reparse_tag(reparse)):
            raise UsageError(
                "it stands for something else, and is not followed",
                path=claims[0].wanted.text,
                got=f"a reparse point {tag_name(reparse_tag(reparse))}",
            )

    def stream(self, seen: ViewEntry, claims: list[Match]) -> bool:
        if isinstance(seen.entry, AlternateStream):
            name = upcase(seen.entry.name)
            self._put(seen.body, [claim for claim in claims if upcase(claim.wanted.stream) == name])
        return self._lacks(claims)

    def _lacks(self, claims: list[Match]) -> bool:
        return any(id(claim.wanted) in self._left for claim in claims)

    def owner_ended(self, claims: list[Match]) -> None:
        super().owner_ended(claims)
        for claim in claims:
            if id(claim.wanted) in self._left:
                raise NotFoundError("the file has no such stream", path=claim.wanted.text, got=claim.wanted.stream)

    def hard_link(self, seen: ViewEntry, claims: list[Match], at: At) -> None:  # noqa: ARG002
        self.need(at, claims)

    def _put(self, body: Body | None, claims: list[Match]) -> None:
        """Write a body, or put it aside until it is its turn."""
        if not claims:
            return
        numbers = sorted(self._numbers[id(claim.wanted)] for claim in claims)
        self._left.difference_update(id(claim.wanted) for claim in claims)
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
