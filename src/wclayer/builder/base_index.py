"""An index of the layers below a new one: names in their spelling, and the metadata of directories.

It comes from one streaming pass over each layer's tar, and is kept in a database of
layer.db's format (docs/layer-folder.md), of which a file has just the attributes,
size and link. Nothing of the layers is unpacked.
"""

from __future__ import annotations

import os
import sqlite3
import tempfile
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import lru_cache
from typing import Final, Self

from ..entry import AlternateStream, Body, Directory, Entry, File, HardLink, Whiteout
from ..errors import NotFoundError, RecordError, with_context
from ..host.errors import host_errors, shown
from ..stores.record.reader import RecordReader
from ..stores.record.writer import Flag, Kind, RecordWriter, Row
from ..union.lookup import seen
from ..union.namespace import Namespace, NodeKind, kind_of
from ..union.rules import check_entry
from ..win32.names import upcase

__all__ = ["LayerIndex", "LowerView", "index_layer"]

_FORMAT: Final = 2  # of the content of the database; its schema has a version of its own
_DIRECTORIES: Final = 4096  # remembered each


class LayerIndex:
    """The index of one layer, in the database at the host path `path`. Closed by close(), or as a context manager.

    own: remove the database when it is closed. Raises RecordError for one that is broken, or of another version.
    """

    def __init__(self, path: str, *, own: bool = False) -> None:
        self._path = path
        self._own = own
        self._reader = RecordReader(os.fsencode(path))
        if self._reader.values.get("known") != _FORMAT:
            self._reader.close()
            raise RecordError("of another version", path=path)
        self._directory = lru_cache(_DIRECTORIES)(self._find_directory)

    def close(self) -> None:
        self._reader.close()
        self._directory.cache_clear()
        if self._own:
            with suppress(OSError):
                os.unlink(self._path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def lookup(self, path: str, /) -> Directory | File | None:
        """The entry of that name, by NTFS's case rules and spelled as the layer has it; None if there is no such entry.

        A directory has all its metadata, a file its attributes, size and link. A hard link counts as a file of 1 byte.
        """
        above, _, name = path.rpartition("/")
        parent = self._directory(upcase(above)) if above else (0, "")
        if parent is None:
            return None
        number, spelled = parent
        row = self._reader.find(number, name)
        return None if row is None else self._reader.entry(row, f"{spelled}/{row.name}".lstrip("/"))

    def has_whiteout(self, path: str, /) -> bool:
        """Does this layer have a whiteout for `path`?"""
        return self._reader.has_whiteout(path)

    def _find_directory(self, path: str) -> tuple[int, str] | None:
        """Number and spelling of the directory `path`, in upper case."""
        above, _, name = path.rpartition("/")
        parent = self._directory(above) if above else (0, "")
        if parent is None:
            return None
        row = self._reader.find(parent[0], name)
        return None if row is None or row.kind != Kind.DIRECTORY else (row.id, f"{parent[1]}/{row.name}".lstrip("/"))


def index_layer(
    key: str | None, entries: Callable[[], Iterable[Entry]], cache: str | os.PathLike[str] | None = None
) -> LayerIndex:
    """What is known of a layer, out of the folder `cache` if it is there under `key`, else from its `entries`.

    key: a digest `sha256:HEX` that stands for the layer. Without a key or a cache, or where nothing can be written to
    that, it is a temporary file, removed when closed. An error of `entries` leaves nothing behind. Raises LayerError
    for entries that make no layer, and what `entries` raises.
    """
    if key is None or cache is None:
        return _make(entries, None)
    path = os.path.join(cache, f"{key.replace(':', '-')}.layer")
    with suppress(RecordError, NotFoundError, OSError, sqlite3.Error):
        _check(path)
        return LayerIndex(path)
    try:
        os.makedirs(cache, exist_ok=True)
    except OSError:
        return _make(entries, None)
    return _make(entries, path)


def _check(path: str) -> None:
    """Raise RecordError for a database that a crash, or a bad disk, has left broken."""
    reader = RecordReader(os.fsencode(path))
    try:
        reader.check()
    finally:
        reader.close()


def _make(entries: Callable[[], Iterable[Entry]], path: str | None) -> LayerIndex:
    """Make a database; it is moved to `path`, if that is possible, when it is complete."""
    with _temporary(None if path is None else os.path.dirname(path)) as made:
        found = entries()
        try:
            _write(made, found)
        finally:
            if isinstance(found, Generator):
                found.close()  # after an error, too: Windows cannot remove a file that is still open
        if path is not None:
            with suppress(OSError):  # another process has it open; its content is the same
                os.replace(made, path)
                return LayerIndex(path)
        return LayerIndex(made, own=True)


@contextmanager
def _temporary(folder: str | None) -> Iterator[str]:
    """The path of a new, empty file, which is removed after an error."""
    try:
        descriptor, path = tempfile.mkstemp(".partial", "layer-", folder)
    except OSError:
        with host_errors(tempfile.gettempdir()):
            descriptor, path = tempfile.mkstemp(".partial", "layer-")
    os.close(descriptor)
    try:
        yield path
    except BaseException:
        with suppress(OSError):
            os.unlink(path)
        raise


def _write(path: str, entries: Iterable[Entry]) -> None:
    with host_errors(shown(path)):
        writer = RecordWriter(os.fsencode(path))
        try:
            layer = _Layer(writer)
            for entry in entries:
                with with_context(path=entry.path):
                    layer.add(entry)
            writer.commit({"known": _FORMAT})
        finally:
            writer.close()


class _RecordNames:
    """The names in the database as a NameIndex, which maps directories to their rows."""

    root = 0

    def __init__(self, writer: RecordWriter) -> None:
        self._writer = writer
        self.has_whiteout = writer.has_whiteout
        self.add_whiteout = writer.add_whiteout

    def find(self, directory: int, name: str, /) -> Row | None:
        return self._writer.find(directory, name)

    def kind(self, row: Row, /) -> NodeKind:
        if row.kind != Kind.DIRECTORY:
            return NodeKind.FILE
        return NodeKind.STAND_IN if row.flags & Flag.SURROGATE else NodeKind.DIRECTORY

    def name(self, row: Row, /) -> str:
        return row.name

    def enter(self, _directory: int, row: Row, /) -> int:
        return row.id

    def missing(self, directory: int, name: str, /) -> int:
        raise NotImplementedError("an index stops at the first fault")


class _Layer:
    """Entries on their way into a database, each after its directory."""

    def __init__(self, writer: RecordWriter) -> None:
        self._writer = writer
        # The rules of base layers are narrower; the import checks which of the two apply.
        self._names = Namespace(_RecordNames(writer), base=False)

    def add(self, entry: Entry) -> None:
        if isinstance(entry, AlternateStream):
            return
        check_entry(entry, base=False)
        if isinstance(entry, Whiteout):
            self._names.whiteout(entry.path, lambda _: True)  # the layers below are not known here
            return
        parent, name = self._names.place(entry.path)
        kind = kind_of(entry)
        flags = Flag.SURROGATE if kind is NodeKind.STAND_IN else 0
        number = self._writer.add(
            parent,
            name,
            Kind.FILE if kind is NodeKind.FILE else Kind.DIRECTORY,
            entry=_kept(entry),
            flags=flags,
            # The size of a hard link is not known; only an empty file has none.
            size=entry.size if isinstance(entry, File) else 1,
        )
        if kind is NodeKind.DIRECTORY:
            self._names.remember(entry.path, number)


def _kept(entry: Directory | File | HardLink) -> Directory | File:
    if isinstance(entry, Directory):
        return entry
    link = entry.reparse_data if isinstance(entry, File) else None
    return File(entry.path, file_attributes=entry.file_attributes, reparse_data=link)


class LowerView:
    """Several layers, nearest first, merged (see `entry.Lower`): what a container on them sees.

    A path is spelled as the nearest layer spells it that has it.
    """

    def __init__(self, layers: Sequence[LayerIndex]) -> None:
        self._layers = layers

    def lookup(self, path: str, /) -> Entry | None:
        """The visible entry at `path`, by NTFS's case rules; None if there is none."""
        found = seen(self._layers, path)
        return None if found is None else found[1]

    def open(self, path: str, stream: str = "", /) -> Body:
        """Always raises NotFoundError: the index has the names of files, not their content."""
        raise NotFoundError("the content of the layers below is not known", path=f"{path}:{stream}" if stream else path)

    def streams(self, path: str, /) -> Sequence[str]:
        """Always raises NotFoundError, as open does."""
        raise NotFoundError("the streams of the layers below are not known", path=path)
