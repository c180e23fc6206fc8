"""What is known of the layers below a new one: names as they spell them, and the metadata of directories.

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
from ..errors import NotFoundError, RecordError, WclayerError
from ..host.errors import host_errors, shown
from ..stores.record.reader import RecordReader
from ..stores.record.writer import Kind, RecordWriter
from ..union.lookup import seen
from ..union.rules import check_entry, name_taken_error, no_directory_yet_error, two_whiteouts_error
from ..win32.names import upcase

__all__ = ["LayerIndex", "LowerView", "index_layer"]

_FORMAT: Final = 1  # of what is in the database, beside its version
_DIRECTORIES: Final = 4096  # remembered each


class LayerIndex:
    """What is known of one layer, in the database at the host path `path`. Closed by close(), or as a context manager.

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
        """The entry of that name, by NTFS's case rules and spelled as the layer has it; None for none.

        A directory has all its metadata, a file its attributes, size and link. A hard link counts as a file.
        """
        above, _, name = path.rpartition("/")
        parent = self._directory(upcase(above)) if above else (0, "")
        if parent is None:
            return None
        number, spelled = parent
        row = self._reader.find(number, name)
        return None if row is None else self._reader.entry(row, f"{spelled}/{row.name}".lstrip("/"))

    def has_whiteout(self, path: str, /) -> bool:
        """Does this layer delete `path`?"""
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
    that, it is a temporary file, gone when closed. An error of `entries` leaves nothing behind. Raises LayerError for
    entries that make no layer, and what `entries` raises.
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
    """Make a database; at `path`, if that can be, once it is whole."""
    with _temporary(None if path is None else os.path.dirname(path)) as made:
        found = entries()
        try:
            _write(made, found)
        finally:
            if isinstance(found, Generator):
                found.close()  # after an error, too: Windows removes no file that is still being read
        if path is not None:
            with suppress(OSError):  # another process has it open: it has the same in it
                os.replace(made, path)
                return LayerIndex(path)
        return LayerIndex(made, own=True)


@contextmanager
def _temporary(folder: str | None) -> Iterator[str]:
    """The path of a new, empty file; gone again after an error."""
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
                try:
                    layer.add(entry)
                except WclayerError as error:
                    error.at(entry.path)
                    raise
            writer.commit({"known": _FORMAT})
        finally:
            writer.close()


class _Layer:
    """Entries on their way into a database, each after its directory."""

    def __init__(self, writer: RecordWriter) -> None:
        self._writer = writer
        self._parent = lru_cache(_DIRECTORIES)(self._find)

    def add(self, entry: Entry) -> None:
        if isinstance(entry, AlternateStream):
            return
        # A base layer's rules are narrower; which of them hold is for the import to say.
        check_entry(entry, base=False)
        if isinstance(entry, Whiteout):
            if not self._writer.add_whiteout(entry.path):
                raise two_whiteouts_error(entry.path)
            return
        above, _, name = entry.path.rpartition("/")
        parent = self._parent(upcase(above)) if above else 0
        if parent is None:
            raise no_directory_yet_error(entry.path, above)
        if (taken := self._writer.find(parent, name)) is not None:
            raise name_taken_error(entry.path, taken.name)
        kind = Kind.DIRECTORY if isinstance(entry, Directory) else Kind.FILE
        self._writer.add(parent, name, kind, entry=_kept(entry), size=entry.size if isinstance(entry, File) else None)

    def _find(self, path: str) -> int | None:
        above, _, name = path.rpartition("/")
        parent = self._parent(above) if above else 0
        row = None if parent is None else self._writer.find(parent, name)
        return None if row is None or row.kind != Kind.DIRECTORY else row.id


def _kept(entry: Directory | File | HardLink) -> Directory | File:
    if isinstance(entry, Directory):
        return entry
    link = entry.reparse_data if isinstance(entry, File) else None
    return File(entry.path, file_attributes=entry.file_attributes, reparse_data=link)


class LowerView:
    """Several layers, nearest first, seen as one (see `entry.Lower`): what a container on them would see.

    A path is spelled as the nearest layer spells it that has it.
    """

    def __init__(self, layers: Sequence[LayerIndex]) -> None:
        self._layers = layers

    def lookup(self, path: str, /) -> Entry | None:
        """The entry that is seen at `path`, by NTFS's case rules; None for none."""
        found = seen(self._layers, path)
        return None if found is None else found[1]

    def open(self, path: str, stream: str = "", /) -> Body:
        """Always raises NotFoundError: of files the names are known, not the content."""
        raise NotFoundError("the content of the layers below is not known", path=f"{path}:{stream}" if stream else path)

    def streams(self, path: str, /) -> Sequence[str]:
        """Always raises NotFoundError, as open does."""
        raise NotFoundError("the streams of the layers below are not known", path=path)
