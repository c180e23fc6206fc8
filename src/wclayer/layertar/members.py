"""The members of a tar, each with its header, PAX records and body; nothing about Windows.

Understood are USTAR, V7, STAR and GNU headers, GNU long names, PAX headers (also
global ones), GNU sparse files and the end of the archive. Whatever a header
announces, at most 1 MiB is allocated for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from ..body import CHUNK, HoledBody, StreamBody
from ..codes import Code
from ..errors import TarError
from .block import BLOCK, ZERO_BLOCK, Block, padding, parse_block
from .framing import MAX_HEADERS, FramingWriter, PieceKind
from .pax import MAX_RECORDS, parse_records
from .sparse import sparse_map
from .stream import Input, truncated

__all__ = ["Member", "MemberReader"]

_MAX_AFTER_END: Final = 1 << 20
# Types that have no body, whatever their size field has: as Go and Python read them.
_WITHOUT_BODY: Final = frozenset((b"1", b"2", b"3", b"4", b"5", b"6"))


@dataclass(slots=True)
class Member:
    """One member of a tar. `records` are its PAX records, with the global ones; times are seconds since 1970."""

    name: bytes
    linkname: bytes
    typeflag: bytes  # b"0" file, b"1" hard link, b"2" symlink, b"5" directory, or any other
    size: int
    mode: int
    mtime: int
    atime: int | None
    ctime: int | None
    records: dict[bytes, bytes]
    offset: int  # in the tar, of its first header
    magic: bytes = b""  # of its header, with the version
    extended: bytes | None = None  # the name of its PAX header, from which `inspect` tells the tool; None without one


class MemberReader:
    """Iterate over the members of the tar in `stream`, and read what follows the last one to the end of the input.

    body() is for the current member, until the next. After the last member, `stream.offset` is the size of the tar.
    framing: gets all bytes that are not the body of an entry. Raises TarError.
    """

    def __init__(self, stream: Input, framing: FramingWriter | None = None) -> None:
        self.stream = stream
        self._framing = framing
        self.extents: tuple[tuple[int, int], ...] | None = None
        self.global_header: int | None = None  # offset of the first one
        self.after_end: int | None = None  # offset of the first byte other than zero behind the end of the archive
        self._left = 0  # bytes of the current body
        self._elsewhere = False  # True: the body is stored as a file, so it is not part of the framing
        self._pad = 0

    def _take(self, n: int) -> bytes:
        n = min(n, self._left)
        part = self.stream.content(n) if self._elsewhere else self.stream.read(n)
        if not part and n:
            raise truncated("the data of an entry", self.stream.offset, self._left, 0)
        self._left -= len(part)
        return part

    def _pass_over(self) -> None:
        """Skip what was not read of the current body."""
        while self._left:
            if self._framing is not None and not self._elsewhere:
                self._take(CHUNK)
                continue
            done = self.stream.pass_over(self._left)
            if not done:
                raise truncated("the data of an entry", self.stream.offset, self._left, 0)
            self._left -= done

    def body(
        self, member: Member, extents: tuple[tuple[int, int], ...] | None = None, path: str | None = None
    ) -> StreamBody | HoledBody:
        """Return the body of the current member.

        extents: the allocated ranges that WCLAYER.sparse lists, for a body that has its holes in full in the tar.
        path: for errors.
        """
        self._elsewhere = True
        if self._framing is not None:
            self._framing.body(self._left, allocated=self.extents is not None)
        if self.extents is not None:
            return HoledBody(member.size, self.extents, self._take, path)
        return StreamBody(member.size, self._take, extents, path)

    def __iter__(self) -> Iterator[Member]:
        stream, framing = self.stream, self._framing
        common: dict[bytes, bytes] = {}  # of global headers
        own: dict[bytes, bytes] | None = None
        long_name: bytes | None = None
        long_link: bytes | None = None
        extended: bytes | None = None
        start = 0
        while True:
            self._pass_over()
            stream.skip(self._pad, "the data of an entry")
            self._pad, self._elsewhere = 0, False
            offset = stream.offset
            pending = own is not None or long_name is not None or long_link is not None
            if not pending:
                start = offset
                if framing is not None:
                    framing.end()
            elif offset - start > MAX_HEADERS:
                raise TarError(
                    "extended headers without end",
                    offset=start,
                    expected=f"at most {MAX_HEADERS:,} bytes",
                    rule=Code.PAX_MALFORMED,
                )
            data = stream.up_to(BLOCK)
            if not data or data == ZERO_BLOCK:
                if pending:
                    raise truncated("the headers of an entry", offset, BLOCK, 0)
                self._end(bool(data))
                return
            if len(data) != BLOCK:
                raise truncated("a header", offset, BLOCK, len(data))
            block = parse_block(data, offset)
            typeflag = block.typeflag
            if typeflag in (b"x", b"g", b"L", b"K"):
                payload = self._payload(block, offset)
                if typeflag == b"x":
                    own, extended = parse_records(payload, offset + BLOCK), block.name
                elif typeflag == b"g":
                    common = {**common, **parse_records(payload, offset + BLOCK)}
                    if self.global_header is None:
                        self.global_header = offset
                    if framing is not None and not pending:  # it is for all entries that follow
                        framing.begin(PieceKind.OTHER)
                elif typeflag == b"L":
                    long_name = payload.partition(b"\0")[0]
                else:
                    long_link = payload.partition(b"\0")[0]
                continue
            member = self._member(
                block, {**common, **(own or {})} if common else own or {}, long_name, long_link, start
            )
            member.magic, member.extended = block.magic, extended
            yield member
            own = long_name = long_link = extended = None

    def _payload(self, block: Block, offset: int) -> bytes:
        if block.size > MAX_RECORDS:
            raise TarError(
                "extended header too large",
                offset=offset,
                expected=f"at most {MAX_RECORDS:,} bytes",
                got=f"{block.size:,}",
                rule=Code.PAX_MALFORMED,
            )
        payload = self.stream.exactly(block.size, "an extended header")
        self.stream.skip(padding(block.size), "an extended header")
        return payload

    def _member(
        self,
        block: Block,
        records: dict[bytes, bytes],
        long_name: bytes | None,
        long_link: bytes | None,
        start: int,
    ) -> Member:
        name = records.get(b"path") or (block.name if long_name is None else long_name)
        linkname = records.get(b"linkpath") or (block.linkname if long_link is None else long_link)
        typeflag = block.typeflag
        if typeflag == b"\0":  # V7 has no type for directories: a trailing slash makes one
            typeflag = b"5" if name.endswith(b"/") else b"0"
        size = block.size
        if text := records.get(b"size"):
            size = _size(text, start)
        if typeflag in _WITHOUT_BODY:
            size = 0
        self._left, self._pad = size, padding(size)
        self.extents = None
        if typeflag == b"0" and (b"GNU.sparse.map" in records or b"GNU.sparse.major" in records):
            found = sparse_map(records, self.stream, size, start)
            if found is not None:
                self.extents, size, self._left = found
                name = records.get(b"GNU.sparse.name") or name
        return Member(name, linkname, typeflag, size, block.mode, block.mtime, block.atime, block.ctime, records, start)

    def _end(self, marker: bool) -> None:
        """Read the second zero block, and what follows it: also that is part of the diff_id."""
        stream = self.stream
        if not marker:  # Go too accepts a tar without its two zero blocks
            return
        second = stream.up_to(BLOCK)
        if len(second) not in (0, BLOCK):
            raise truncated("the end of the archive", stream.offset, BLOCK, len(second))
        if second.count(0) != len(second):
            raise TarError(
                "data after a single zero block",
                offset=stream.offset - len(second),
                expected="a second zero block",
                rule=Code.DATA_AFTER_END,
            )
        if self._framing is not None:
            self._framing.begin(PieceKind.END)
        first = stream.offset
        while part := stream.read(1 << 16):
            if part.count(0) == len(part):
                continue
            if self.after_end is None:
                self.after_end = stream.offset - len(part.lstrip(b"\0"))
            if stream.offset - first > _MAX_AFTER_END:
                raise TarError(
                    "data long after the end of the archive",
                    offset=stream.offset - len(part.lstrip(b"\0")),
                    expected=f"zeros, or at most {_MAX_AFTER_END:,} bytes",
                    hint="does the file hold two archives? pass them one by one",
                    rule=Code.DATA_AFTER_END,
                )


def _size(text: bytes, offset: int) -> int:
    if text.isdigit() and len(text) <= 19 and (size := int(text)) < 1 << 63:
        return size
    raise TarError(
        "bad size in a PAX record",
        offset=offset,
        expected="a decimal number",
        got=repr(text)[2:40],
        rule=Code.PAX_MALFORMED,
    )
