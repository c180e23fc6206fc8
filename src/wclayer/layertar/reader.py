"""A layer tar as a source of entries.

Streaming: a body is valid until the next entry, and the layer is never in memory as a
whole. A malformed member raises an error of FormatError, with the entry and the byte
offset in the uncompressed tar. Whether the entries together are a valid layer is
checked by the sink that takes them (`union/namespace`).
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from typing import BinaryIO

from ..entry import AlternateStream, Body, Directory, Entry, File, Summary, Whiteout
from ..errors import FormatError, UsageError, WclayerError, with_context
from .ahead import ReadAhead
from .compression import Decompressed
from .entries import entry_of
from .framing import FramingWriter, PieceKind
from .members import Member, MemberReader
from .metadata import extents_of
from .paths import layer_path
from .stream import Input

__all__ = ["TarSource"]


class TarSource:
    """The entries of the layer tar (plain, gzip or zstd) in the binary file object `stream`.

    The stream is read to its end, and not closed; then summary() has the digests. reopen: opens the same bytes again,
    which makes the source restartable. framing: gets the chunks of the tar's framing while the tar is read.

    The attribute `refused` may be set to a function: it gets each malformed member and its error, and the member is
    skipped. Without it the first error is raised.
    """

    def __init__(
        self,
        stream: BinaryIO | None,
        *,
        reopen: Callable[[], BinaryIO] | None = None,
        framing: Callable[[bytes], None] | None = None,
    ) -> None:
        self._stream = stream
        self.refused: Callable[[Member, WclayerError], None] | None = None
        self._framing = framing
        self._reopen = reopen
        self._summary: Summary | None = None
        self._digests = True
        self.so_far = Summary()  # counts of the entries so far
        self.offset = 0  # in the tar, of the current entry
        self.member: Member | None = None  # the member of the current entry
        self.global_header: int | None = None  # offset of the first global PAX header
        self.after_end: int | None = None  # offset of the first byte other than zero behind the end of the archive
        self.zeros_after: int | None = None  # offset, in the compressed stream, of zeros behind its end

    def without_digests(self) -> None:
        """Compute no digests, which takes time; they are None in the summary."""
        self._digests = False

    @property
    def restartable(self) -> bool:
        return self._reopen is not None

    def summary(self) -> Summary:
        """Return counts, sizes and digests of the tar. Raises UsageError before the end of the tar was read."""
        if self._summary is None:
            raise UsageError("the tar has not been read to its end")
        return self._summary

    def entries(self) -> Generator[tuple[Entry, Body | None], None, None]:
        stream, self._stream = self._stream, None
        own = None
        if stream is None:
            if self._reopen is None:
                raise UsageError("a pipe can be read only once", hint="give the tar as a file")
            stream = own = self._reopen()
        try:
            yield from self._entries(stream)
        finally:
            if own is not None:
                own.close()

    def _entries(self, stream: BinaryIO) -> Iterator[tuple[Entry, Body | None]]:
        plain = Decompressed(stream, digest=self._digests)
        framing = None if self._framing is None else FramingWriter(self._framing)
        ahead = ReadAhead(plain, digest=self._digests)
        try:
            yield from self._members(plain, ahead, framing)
        finally:
            ahead.close()

    def _members(
        self, plain: Decompressed, ahead: ReadAhead, framing: FramingWriter | None
    ) -> Iterator[tuple[Entry, Body | None]]:
        tar = Input(ahead, framing)
        reader = MemberReader(tar, framing)
        summary = self.so_far = Summary()
        owner: str | None = None
        for member in reader:
            body: Body | None = None
            try:
                entry = entry_of(member, owner)
                if framing is not None:
                    framing.begin(_piece_kind(entry))
                if isinstance(entry, File | AlternateStream):
                    with with_context(path=entry.path, offset=member.offset, only=FormatError):
                        body = reader.body(member, extents_of(member), entry.path)
            except WclayerError as error:
                if self.refused is None:
                    raise
                self.refused(member, error)
                owner = _name(member)
                continue
            if entry is None:
                continue
            self.offset, self.member = member.offset, member
            summary.count(entry)
            if isinstance(entry, File | AlternateStream):
                summary.bytes += entry.size
            if not isinstance(entry, AlternateStream):
                owner = entry.path if isinstance(entry, File | Directory) else None
            yield entry, body
        if framing is not None:
            framing.finish()
        self.global_header, self.after_end = reader.global_header, reader.after_end
        plain.finish()
        self.zeros_after = plain.zeros_after
        summary.tar_size, summary.diff_id = tar.offset, ahead.digest()
        summary.compression = plain.compression
        summary.blob_size, summary.digest = plain.size, (plain.digest() or summary.diff_id) if self._digests else None
        self._summary = summary


def _name(member: Member) -> str | None:
    """Return the path of a refused member, whose streams may follow; None if the path is malformed."""
    try:
        return layer_path(member.name, "an entry", member.offset)
    except FormatError:
        return None


def _piece_kind(entry: Entry | None) -> PieceKind:
    if entry is None:
        return PieceKind.OTHER
    return PieceKind.WHITEOUT if isinstance(entry, Whiteout) else PieceKind.ROW
