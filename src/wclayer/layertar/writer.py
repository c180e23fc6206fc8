"""The canonical layer tar: byte for byte what hcsshim's export writes for the same entries.

That is what Go's archive/tar makes of go-winio's headers: a PAX header and a USTAR
block for each entry, plain USTAR for a whiteout. Records of wclayer are added only
where hcsshim's would lose something (`records`).
"""

from __future__ import annotations

import re
from types import TracebackType
from typing import Final, Self

from ..body import exactly
from ..entry import AlternateStream, Body, Directory, Entry, File, HardLink, Summary, Whiteout
from ..errors import InexpressibleError, InvalidNameError, LayerError, StorageError, with_context
from ..win32.filetime import UNIX_EPOCH
from ..win32.names import check_component, encode_wtf8
from .block import BLOCK, ascii_field, padding, ustar_block
from .framing import Piece
from .metadata_writing import link_of, records_of, stream_records
from .paths import WHITEOUT_PREFIX
from .pax import format_records
from .records import OWN
from .stream import Output, Writes

__all__ = ["TarWriter", "headers"]

_ZEROS: Final = bytes(2 * BLOCK)
_MAX_OCTAL: Final = 8**11
_DIRECTORY, _DATA, _LINK, _HARD_LINK = 0o040000, 0o100000, 0o120000, 0o644
_OWN_NAME: Final = re.compile(rb"\n?\d+ (" + re.escape(OWN) + rb"[a-z]+)")
_ROOTS = frozenset(("Files", "UtilityVM", "UtilityVM/Files"))


class TarWriter:
    """A sink that writes the canonical tar to `stream`, which it neither flushes nor closes.

    modes: add 0644 and 0755 to the mode, except for `Files`, `UtilityVM` and `UtilityVM/Files`, as in Microsoft's own
        tars (go-winio#184); off by default, as hcsshim writes none.

    add() raises InexpressibleError for what a tar cannot hold, LayerError for a stream that does not follow its owner,
    StorageError for a body of another size than its entry's.
    """

    def __init__(self, stream: Writes, *, modes: bool = False) -> None:
        self._out = Output(stream)
        self._modes = modes
        self._owner: Directory | File | None = None
        self.so_far = Summary()  # counts of what has been written

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.abort()

    def abort(self) -> None:
        """Do nothing: the caller deletes what was written."""

    def add(self, entry: Entry, body: Body | None = None, /) -> None:
        """Write an entry with its body. Raises the errors that the class names, with the entry's path."""
        with with_context(path=entry.path):
            self._add(entry, body)
        self.so_far.count(entry)

    def _add(self, entry: Entry, body: Body | None) -> None:
        if isinstance(entry, Whiteout):
            self._owner = None
            self._whiteout(entry)
        elif isinstance(entry, HardLink):
            self._owner = None
            self._hard_link(entry)
        elif isinstance(entry, AlternateStream):
            self._stream(entry, body)
        else:
            self._owner = entry
            self._object(entry, body)

    def add_framed(self, piece: Piece, entry: Entry | None, body: Body | None = None) -> None:
        """Write a piece of another tar's framing with its entry, if it has one. Raises StorageError as add()."""
        for part in piece.parts:
            if isinstance(part, bytes):
                for name in _OWN_NAME.findall(part) if OWN in part else ():
                    self.so_far.own_records[name.decode()] = self.so_far.own_records.get(name.decode(), 0) + 1
                self._out.write(part)
            elif part.allocated:
                self._allocated(entry.path if entry else "", part.length, body)
            else:
                self._content(entry.path if entry else "", part.length, body)
        if entry is not None:
            if isinstance(entry, Directory | File):
                self._owner = entry
            elif not isinstance(entry, AlternateStream):
                self._owner = None
            self.so_far.count(entry)

    def _allocated(self, path: str, length: int, body: Body | None) -> None:
        left = length
        for _, chunk in body.chunks() if body is not None else ():
            self._out.write(chunk)
            left -= len(chunk)
        if left:
            raise StorageError(
                "the file has another size than in the tar that was imported",
                path=path,
                expected=f"{length:,} bytes",
                got=f"{length - left:,}",
                hint="export with --framing canonical",
            )
        self.so_far.bytes += length

    def commit(self, *, end: bool = True) -> Summary:
        """Write the end of the archive, if `end`, and return the summary with the tar's size and diff_id."""
        if end:
            self._out.write(_ZEROS)
        summary = self.so_far
        summary.tar_size = self._out.size
        summary.diff_id = self._out.digest()
        return summary

    def _object(self, entry: Directory | File, body: Body | None) -> None:
        _check_name(entry.path)
        link = link_of(entry)
        size = 0
        extents = None
        if isinstance(entry, File):
            size = entry.size
            extents = _holes(size, body)
        self._out.write(
            headers(
                encode_wtf8(entry.path),
                b"2" if link else b"5" if isinstance(entry, Directory) else b"0",
                self._counted(records_of(entry, link, extents)),
                mode=self._mode(entry, link is not None),
                size=size,
                mtime=entry.last_write_time,
                linkname=link.text if link else b"",
            )
        )
        self._body(entry.path, size, body)

    def _mode(self, entry: Directory | File, link: bool) -> int:
        directory = isinstance(entry, Directory)
        mode = _DIRECTORY if directory else 0
        if isinstance(entry, File) and (entry.data_stream or entry.size):
            mode |= _DATA
        if link:
            mode |= _LINK
        if self._modes and entry.path not in _ROOTS:
            mode |= 0o755 if directory else 0o644
        return mode

    def _counted(self, records: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        """Return `records`, and count wclayer's own by name for the summary: other importers ignore them."""
        counts = self.so_far.own_records
        for key, _ in records:
            if key.startswith(OWN):
                name = b".".join(key.split(b".")[:2]).decode()
                counts[name] = counts.get(name, 0) + 1
        return records

    def _stream(self, entry: AlternateStream, body: Body | None) -> None:
        owner = self._owner
        if owner is None or owner.path != entry.path:
            raise LayerError(
                "stream that does not follow its owner",
                path=f"{entry.path}:{entry.name}",
                expected=repr(entry.path),
                got=None if owner is None else repr(owner.path),
            )
        _check_name(entry.name, stream=True)
        self._out.write(
            headers(
                encode_wtf8(f"{entry.path}:{entry.name}"),
                b"0",
                self._counted(stream_records(owner, _holes(entry.size, body))),
                mode=self._mode(owner, link_of(owner) is not None),
                size=entry.size,
                mtime=owner.last_write_time,
            )
        )
        self._body(entry.path, entry.size, body)

    def _hard_link(self, entry: HardLink) -> None:
        _check_name(entry.path)
        _check_name(entry.target)
        self._out.write(
            headers(
                encode_wtf8(entry.path),
                b"1",
                records_of(entry),
                mode=_HARD_LINK,
                mtime=entry.last_write_time,
                linkname=encode_wtf8(entry.target),
            )
        )

    def _whiteout(self, entry: Whiteout) -> None:
        _check_name(entry.path, live=False)
        directory, slash, base = entry.path.rpartition("/")
        name = encode_wtf8(f"{directory}{slash}{WHITEOUT_PREFIX}{base}")
        if len(name) <= 100 and name.isascii():
            self._out.write(ustar_block(name=name, typeflag=b"0"))
            return
        # Go's splitUSTARPath: the last slash with at most 155 bytes before it splits prefix and name.
        cut = name.rfind(b"/", 0, 156)
        if name.isascii() and cut > 0 and 0 < len(name) - cut - 1 <= 100:
            self._out.write(ustar_block(name=name[cut + 1 :], typeflag=b"0", prefix=name[:cut]))
            return
        self._out.write(headers(name, b"0", []))

    def _body(self, path: str, size: int, body: Body | None) -> None:
        self._content(path, size, body)
        if pad := padding(size):
            self._out.write(_ZEROS[:pad])

    def _content(self, path: str, size: int, body: Body | None) -> None:
        for chunk in exactly(size, body, path):
            self._out.write(chunk)
        self.so_far.bytes += size


def headers(
    name: bytes,
    typeflag: bytes,
    records: list[tuple[bytes, bytes]],
    *,
    mode: int = 0,
    size: int = 0,
    mtime: int | None = None,
    linkname: bytes = b"",
) -> bytes:
    """Build the header blocks of one member as Go's archive/tar does: a PAX header, if there are records, and USTAR.

    records: with those of the times; path, linkpath and size are added where USTAR cannot hold them. mtime: a
    FILETIME, of which the header gets the whole seconds. Raises InexpressibleError.
    """
    for key, value in ((b"path", name), (b"linkpath", linkname)):
        if len(value) > 100 or not value.isascii() or b"\0" in value:
            records.append((key, value))
    if size >= _MAX_OCTAL:
        records.append((b"size", b"%d" % size))
    parts: list[bytes] = []
    if records:
        body = format_records(records, name.decode("utf-8", "backslashreplace"))
        directory, slash, base = name.rpartition(b"/")
        pax_name = b"%b%bPaxHeaders.0/%b" % (directory, slash, base)
        pax_name = bytes(b for b in pax_name if b < 0x80)[:100].rstrip(b"/")
        parts.append(ustar_block(name=pax_name, typeflag=b"x", size=len(body), devices=bytes(8)))
        parts.append(body + bytes(padding(len(body))))
    seconds = 0 if mtime is None else (mtime - UNIX_EPOCH) // 10_000_000
    parts.append(
        ustar_block(
            name=ascii_field(name, 100),
            typeflag=typeflag,
            mode=mode,
            size=size if size < _MAX_OCTAL else 0,
            mtime=seconds if 0 <= seconds < _MAX_OCTAL else 0,
            linkname=ascii_field(linkname, 100),
        )
    )
    return b"".join(parts)


def _holes(size: int, body: Body | None) -> tuple[tuple[int, int], ...] | None:
    """Return the extents of a body with holes, None for one without."""
    if body is None or size == 0:
        return None
    extents = tuple(body.extents())
    return None if extents == ((0, size),) else extents


def _check_name(path: str, *, stream: bool = False, live: bool = True) -> None:
    """Raise InexpressibleError for a path, or the name of a stream, that a reader of the tar would misunderstand."""
    names = [path] if stream else path.split("/")
    try:
        for name in names:
            check_component(name)
    except InvalidNameError as error:
        raise InexpressibleError(f"name that a layer tar cannot hold: {error}", path=path) from None
    if live and not stream and names[-1].startswith(WHITEOUT_PREFIX):
        raise InexpressibleError(
            "file whose name marks a deletion in a layer tar",
            path=path,
            hint=f"rename it, or leave it out: {WHITEOUT_PREFIX}NAME deletes NAME",
        )
