"""Reading a layer folder: its entries in hcsshim's order, or in that of the tar it came from.

hcsshim's: depth first, names of a directory in byte order, whiteouts after their
directory, the first of a file's names with its data. `folder_tree` says what each
object of the folder is.
"""

from __future__ import annotations

import stat
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Final

from ...entry import AlternateStream, Body, Directory, Entry, File, HardLink, Whiteout
from ...errors import FormatError, LayerError, RecordError, with_context
from ...host.errors import host_errors
from ...layertar.framing import Piece, PieceKind, read_framing
from ...union.rules import top_level_directories
from ...win32.names import check_component, encode_wtf8, upcase
from ..record.reader import RecordReader
from ..record.writer import Kind, Row, hard_link
from .body import FolderBody
from .tree import CLONED, FolderTree, Links, Node

__all__ = ["Framed", "LayerFolder"]

_MAX_CACHE: Final = 4096  # directories


@dataclass(slots=True)
class Framed:
    """A step of an export in the tar's own order: an entry as it is now, and the tar's bytes for it if they still hold.

    Without a piece, the entry is to be written anew; without an entry, the piece stands for itself.
    """

    entry: Entry | None = None
    body: Body | None = None
    piece: Piece | None = None


@dataclass(slots=True)
class _Recorded:
    """A row of the record, and what has become of it."""

    row: Row | None  # None: a stream that moved with its file to another name
    path: str
    fs_path: bytes = b""
    entry: Entry | None = None  # as it is now; None: gone
    body: Body | None = None
    untouched: bool = False  # the tar's bytes for it still hold
    changed: bool = False  # the user has edited it
    parent_missing: bool = False  # gone with its directory


@dataclass(frozen=True, slots=True)
class _Place:
    """A directory of the record: where it is, and whether it is still there."""

    path: str
    fs_path: bytes
    there: bool


class _Peekable(Iterator[_Recorded]):
    """What `rows` gives, with a look at what comes next."""

    def __init__(self, rows: Iterator[_Recorded]) -> None:
        self._rows = rows
        self._next: _Recorded | None = None

    def peek(self) -> _Recorded | None:
        if self._next is None:
            self._next = next(self._rows, None)
        return self._next

    def __next__(self) -> _Recorded:
        found = self.peek()
        if found is None:
            raise StopIteration
        self._next = None
        return found


class LayerFolder(FolderTree):
    """The layer folder `path` as a source with random access. Closed by close(), or as a context manager."""

    restartable = True
    edited = False  # has framed(), once exhausted, met anything that is not as the tar had it?

    # --- hcsshim's order ------------------------------------------------------

    def entries(self) -> Iterator[tuple[Entry, Body | None]]:
        links = Links()
        whiteouts = self._whiteouts()
        with host_errors(self.path):
            tops = self._roots()
            yield from (self._gone(path) for path in whiteouts.pop("", ()))
            for node in tops:
                yield from self._walk(node, links, whiteouts)

    def _roots(self) -> list[Node]:
        """Files, Hives and UtilityVM, as far as they are there and the layer may have them."""
        nodes = {node.path: node for node in self._children("", b"", 0)}
        for node in nodes.values():
            if not stat.S_ISDIR(node.found.st_mode):
                raise LayerError(
                    "a link or file in the place of a root of the layer",
                    path=node.path,
                    expected="a directory that is no reparse point",
                    hint="put the folder itself there",
                )
        return [nodes[root] for root in top_level_directories(base=self.base) if root in nodes]

    def _walk(self, node: Node, links: Links, whiteouts: dict[str, list[str]]) -> Iterator[tuple[Entry, Body | None]]:
        stack: list[Iterator[Node]] = [iter((node,))]
        while stack:
            node = next(stack[-1], None)  # type: ignore[assignment]
            if node is None:
                stack.pop()  # type: ignore[unreachable]
                continue
            entry = yield from self._one(node, links)
            if isinstance(entry, Directory):
                for path in whiteouts.pop(upcase(entry.path), ()):
                    yield self._gone(path)
                if stat.S_ISDIR(node.found.st_mode):
                    stack.append(iter(self._sorted(node)))

    def _gone(self, path: str) -> tuple[Entry, None]:
        return Whiteout(path), None

    def _whiteouts(self) -> dict[str, list[str]]:
        """The whiteouts by the upper case of the deepest directory above them that this layer has."""
        result: dict[str, list[str]] = {}
        for path in self._whiteout_paths():
            directory = path.rpartition("/")[0]
            while directory and not isinstance(self.lookup(directory), Directory):
                directory = directory.rpartition("/")[0]
            result.setdefault(upcase(directory), []).append(path)
        return result

    def _whiteout_paths(self) -> list[str]:
        """The whiteouts, in the order in which they are to come, below one directory."""
        return [] if self._record is None else sorted(self._record.whiteouts(), key=encode_wtf8)

    # --- the tar's own order --------------------------------------------------

    @property
    def has_framing(self) -> bool:
        """Does the record know the tar that the layer came from, byte for byte?"""
        return self._record is not None and any(True for _ in self._record.framing())

    def framed(self) -> Generator[Framed, None, None]:
        """The layer in the order of the tar it came from, what is new before that tar's end.

        Raises RecordError for framing that does not fit the record.
        """
        record = self._record
        if record is None:
            raise RecordError("no layer.db, and so no framing", path=self.path)
        self.edited = False
        with host_errors(self.path):
            links = Links()
            rows = _Peekable(self._recorded(record, links))
            whiteouts = record.whiteouts()
            ended = False
            for piece in read_framing(record.framing()):
                # Streams that somebody has added follow their owner, whatever comes after it.
                while (was := rows.peek()) is not None and was.row is None:
                    self.edited = True
                    yield Framed(was.entry, was.body)
                    next(rows)
                if piece.kind == PieceKind.ROW:
                    if was is None:
                        raise self._misfit("more entries than the record")
                    self.edited = self.edited or not was.untouched
                    if was.entry is not None:
                        yield Framed(was.entry, was.body, piece if was.untouched else None)
                    next(rows)
                elif piece.kind == PieceKind.WHITEOUT:
                    path = next(whiteouts, None)
                    if path is None:
                        raise self._misfit("more whiteouts than the record")
                    yield Framed(Whiteout(path), piece=piece)
                else:
                    if piece.kind == PieceKind.END and not ended:
                        ended = True
                        if was is not None:
                            raise self._misfit("fewer entries than the record")
                        for entry, body in self._new(links):
                            self.edited = True
                            yield Framed(entry, body)
                    yield Framed(piece=piece)
            if not ended or next(whiteouts, None) is not None:
                raise self._misfit("fewer entries than the record")

    def _misfit(self, what: str) -> RecordError:
        return RecordError(f"layer.db: the framing has {what}", path=self.path, hint="export with --framing canonical")

    def _recorded(self, record: RecordReader, links: Links) -> Iterator[_Recorded]:
        """What has become of each row, in the order of import."""
        places: dict[int, _Place] = {}
        owner: _Recorded | None = None
        streams: set[str] = set()  # of the owner, known to the record
        for number, row in enumerate(record.rows(), 1):
            if row.id != number:
                raise self._misfit("other entries than the record")
            if row.kind == Kind.STREAM:
                yield self._recorded_stream_of(row, owner)
                streams.add(row.name[1:])
                continue
            yield from self._unknown_streams(owner, streams)
            parent = self._place(record, row.parent, row.id, places)
            was, node = self._reconcile(record, row, parent, links)
            owner, streams = was, set()
            if row.kind == Kind.DIRECTORY:
                if len(places) >= _MAX_CACHE:
                    places.clear()
                there = node is not None and stat.S_ISDIR(node.found.st_mode)
                places[row.id] = _Place(was.path, was.fs_path, there)
            elif row.kind == Kind.LINK and not isinstance(was.entry, HardLink | None) and node is not None:
                # It takes the place of a first name that is gone, and its streams.
                yield was
                for entry, body in self._streams(node):
                    yield _Recorded(None, was.path, was.fs_path, entry, body)
                owner = None
                continue
            try:
                yield was
            finally:
                if isinstance(was.body, FolderBody):
                    was.body.close()
        yield from self._unknown_streams(owner, streams)

    def _unknown_streams(self, owner: _Recorded | None, known: set[str]) -> Iterator[_Recorded]:
        """The streams that were added to an entry of the record."""
        if owner is not None and isinstance(owner.entry, File | Directory):
            for entry, body in self._further_streams(owner.path, owner.fs_path, known):
                yield _Recorded(None, f"{entry.path}:{entry.name}", owner.fs_path, entry, body, changed=True)

    def _place(self, record: RecordReader, number: int, child: int, places: dict[int, _Place]) -> _Place:
        """The directory of row `number`, in which row `child` lies."""
        above: list[Row] = []
        while number and number not in places:
            if number >= child:
                raise RecordError("layer.db: an entry before its directory", path=self.path, got=child)
            row = record.get(number)
            if row.kind != Kind.DIRECTORY:
                raise RecordError("layer.db: an entry in something that is no directory", path=self.path, got=child)
            above.append(row)
            child, number = number, row.parent
        place = places[number] if number else _Place("", b"", True)
        for row in reversed(above):
            path, fs_path = self._name(record, row, place)
            node = self._known(row, path, fs_path) if place.there else None
            place = places[row.id] = _Place(path, fs_path, node is not None and stat.S_ISDIR(node.found.st_mode))
        return place

    def _name(self, record: RecordReader, row: Row, parent: _Place) -> tuple[str, bytes]:
        with with_context(path=f"{parent.path}/{row.name}", only=FormatError):
            check_component(row.name)
        own = record.more(row).get("host_name") or encode_wtf8(row.name)
        if not parent.path:
            return row.name, own
        return f"{parent.path}/{row.name}", b"%b/%b" % (parent.fs_path, own)

    def _reconcile(self, record: RecordReader, row: Row, parent: _Place, links: Links) -> tuple[_Recorded, Node | None]:
        path, fs_path = self._name(record, row, parent)
        if not parent.there:
            return _Recorded(row, path, fs_path, parent_missing=True), None
        node = self._known(row, path, fs_path)
        if node is None:
            return _Recorded(row, path, fs_path), None
        entry, body = self._entry(node, links)
        expected: Entry
        if row.kind == Kind.LINK:
            target = record.path_of(self._root_row(row))
            expected = hard_link(path, target, row.attributes, row.times)
        elif row.kind == Kind.PARENT_LINK and isinstance(row.target, str):
            expected = record.link(row, path, row.target)
        else:
            expected = record.entry(row, path)
        untouched = not node.changed and entry == expected
        return _Recorded(row, path, fs_path, entry, body, untouched, node.changed), node

    def _recorded_stream_of(self, row: Row, owner: _Recorded | None) -> _Recorded:
        if owner is None or owner.row is None or owner.row.id != row.parent:
            raise RecordError("layer.db: a stream that does not follow its owner", path=self.path, got=row.name)
        path = f"{owner.path}{row.name}"
        if owner.entry is None or isinstance(owner.entry, HardLink):
            return _Recorded(row, path, parent_missing=True)
        found = self._recorded_stream(owner.path, owner.fs_path, row)
        if found is None:
            return _Recorded(row, path)
        body, changed = found
        entry = AlternateStream(owner.path, row.name[1:], body.size)
        return _Recorded(row, path, body.fs_path, entry, body, not changed, changed)

    def _new(self, links: Links) -> Iterator[tuple[Entry, Body | None]]:
        """What the record does not know, in hcsshim's order."""
        for node in self._unknown():
            yield from self._one(node, links)

    def _one(self, node: Node, links: Links) -> Generator[tuple[Entry, Body | None], None, Entry]:
        """The entry of an object, and its streams; returns the entry."""
        entry, body = self._entry(node, links)
        try:
            yield entry, body
            if not isinstance(entry, HardLink):
                yield from self._streams(node)
        finally:
            if isinstance(body, FolderBody):
                body.close()
        return entry

    def _unknown(self, *, deep: bool = True) -> Iterator[Node]:
        """The objects of the folder without a row; `deep`: also what lies in such."""
        cloned = self._cloned()
        stack = [iter(self._roots())]
        while stack:
            node = next(stack[-1], None)
            if node is None:
                stack.pop()
                continue
            known = node.row is not None or node.fs_path in cloned
            if not known:
                yield node
            if stat.S_ISDIR(node.found.st_mode) and (deep or known):
                stack.append(iter(self._sorted(node)))

    def _cloned(self) -> frozenset[bytes]:
        """The host paths of what import cloned from the parent's utility VM, which are nobody's edits."""
        value = self.value(CLONED)
        return frozenset(value.split(b":")) if isinstance(value, bytes) else frozenset()

    # --- hand edits -----------------------------------------------------------

    def status(self) -> Iterator[tuple[str, str]]:
        """What was edited by hand since the import, as (`changed`, `gone` or `new`, path).

        A directory that is gone or new stands, with a `/` at its end, for all that is in it. Without a record, all is
        new.
        """
        with host_errors(self.path):
            if self._record is not None:
                for was in self._recorded(self._record, Links()):
                    if was.changed:
                        yield "changed", was.path
                    elif was.entry is None and not was.parent_missing and was.row is not None:
                        yield "gone", was.path + "/" * (was.row.kind == Kind.DIRECTORY)
            for node in self._unknown(deep=False):
                yield "new", node.path + "/" * stat.S_ISDIR(node.found.st_mode)
