"""Reading layer.db.

It is opened as if nobody could change it. A stranger's is hostile input: its schema
must be the one of `record` to the letter, values are bounded, and no name in it is
used as a path before `confine` has seen it.
"""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Iterator
from typing import Any, Final

from ...entry import Directory, ExtendedAttribute, File, HardLink
from ...errors import FormatError, RecordError
from ...host.errors import shown
from ...win32.ea import parse_ea_list
from ...win32.names import decode_wtf8
from .writer import (
    APPLICATION_ID,
    LINK_TIMES,
    SCHEMA,
    SELECT,
    VERSION,
    Flag,
    Kind,
    Row,
    hard_link,
    name_key,
    open_database,
    row_of,
    stored_name,
)

__all__ = ["RecordReader"]

_MAX_VALUE: Final = 32 << 20  # bytes; the largest value we write is far smaller
# What sqlite3 raises for a broken file; its messages quote from the file, which need not be text.
_BROKEN: Final = (sqlite3.Error, UnicodeDecodeError)


class RecordReader:
    """The layer.db at the host path `path`, checked. Raises RecordError."""

    def __init__(self, path: bytes) -> None:
        self._path = shown(path)
        if not stat.S_ISREG(os.lstat(path).st_mode):
            raise RecordError("no regular file", path=self._path)
        self._db = open_database(path, "mode=ro", "immutable=1")
        try:
            self._db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _MAX_VALUE)
            for pragma in ("trusted_schema = OFF", "query_only = ON", "cell_size_check = ON", "mmap_size = 0"):
                self._db.execute(f"PRAGMA {pragma}")
            self._check()
            self.values: dict[str, object] = dict(self._db.execute("SELECT key, value FROM layer LIMIT 100"))
        except BaseException as error:
            self._db.close()
            if isinstance(error, _BROKEN):
                raise self._broken(error) from None
            raise

    def _broken(self, error: Exception) -> RecordError:
        return RecordError(f"layer.db is broken: {error}", path=self._path, hint="import the layer again")

    def _check(self) -> None:
        (application,) = self._db.execute("PRAGMA application_id").fetchone()
        (found,) = self._db.execute("PRAGMA user_version").fetchone()
        if application != APPLICATION_ID:
            raise RecordError("not wclayer's", path=self._path, hint="remove it, if it is not needed")
        if found != VERSION:
            raise RecordError(
                "layer.db of another version",
                path=self._path,
                expected=VERSION,
                got=found,
                hint="use the wclayer that made it",
            )
        schema = dict(self._db.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL"))
        if schema != SCHEMA:
            raise RecordError("layer.db with a schema that is not wclayer's", path=self._path)

    def close(self) -> None:
        self._db.close()

    def check(self) -> None:
        """Raise RecordError if a page of the file is broken; it is read whole."""
        for (text,) in self._query("PRAGMA quick_check(1)"):
            if text != "ok":
                raise self._broken(ValueError(text))

    def _query(self, sql: str, values: tuple[object, ...] = ()) -> Iterator[tuple[Any, ...]]:
        try:
            # Not `yield from`: it would close the cursor of a generator that is dropped after close().
            for found in self._db.execute(sql, values):  # noqa: UP028
                yield found
        except _BROKEN as error:
            raise self._broken(error) from None

    def children(self, parent: int) -> Iterator[Row]:
        """The rows directly below entry `parent` (0 is the root), streams too, in the order of import."""
        for found in self._query(
            SELECT + " WHERE parent = ? ORDER BY id",
            (parent,),
        ):
            yield row_of(found)

    def streams(self, owner: Row) -> Iterator[Row]:
        """The rows of an entry's named streams, in the order of import."""
        if owner.flags & Flag.STREAMS:
            yield from (row for row in self.children(owner.id) if row.kind == Kind.STREAM)

    def find(self, parent: int, name: str) -> Row | None:
        sql = SELECT + " WHERE parent = ? AND key = ?"
        for found in self._query(sql, (parent, name_key(name))):
            return row_of(found)
        return None

    def get(self, number: int) -> Row:
        for found in self._query(SELECT + " WHERE id = ?", (number,)):
            return row_of(found)
        raise RecordError("layer.db: a link to an entry that is not there", path=self._path, got=number)

    def path_of(self, row: Row) -> str:
        """The path that a row had in the tar."""
        names = [row.name]
        while row.parent:
            if row.parent >= row.id:
                raise RecordError("layer.db: an entry before its directory", path=self._path, got=row.id)
            row = self.get(row.parent)
            names.append(row.name)
        return "/".join(reversed(names))

    def more(self, row: Row) -> dict[str, bytes]:
        if not row.flags & Flag.EXTRA:
            return {}
        return {
            what: self._bytes(data)
            for what, data in self._query("SELECT what, data FROM extra WHERE entry = ?", (row.id,))
        }

    def host_names(self, parent: int) -> dict[int, bytes]:
        """Entry id -> the host's name for it, of the children of `parent` where it is not their own."""
        return {
            number: self._bytes(data)
            for number, data in self._query(
                "SELECT e.id, x.data FROM entry e JOIN extra x ON x.entry = e.id AND x.what = 'host_name'"
                " WHERE e.parent = ? AND e.flags & 2",
                (parent,),
            )
        }

    def descriptor(self, number: int | None) -> bytes | None:
        return self._blob("SELECT data FROM descriptor WHERE id = ?", number)

    def extended_attributes(self, number: int | None) -> tuple[ExtendedAttribute, ...]:
        data = self._blob("SELECT data FROM ea WHERE id = ?", number)
        if data is None:
            return ()
        try:
            return parse_ea_list(data)
        except FormatError as error:
            raise self._broken(error) from None

    def entry(self, row: Row, path: str) -> Directory | File:
        """The entry that `row`, of a directory, a file or a link into a parent, was made from, now at `path`."""
        creation, access, write, change = row.times
        more = self.more(row)
        short_name = more.get("short_name")
        common: dict[str, Any] = {
            "file_attributes": row.attributes,
            "creation_time": creation,
            "last_access_time": access,
            "last_write_time": write,
            "change_time": change,
            "security_descriptor": self.descriptor(row.descriptor),
            "extended_attributes": self.extended_attributes(row.ea),
            "reparse_data": more.get("reparse"),
            "short_name": None if short_name is None else decode_wtf8(short_name),
            "object_id": more.get("object_id"),
            "backup_streams": tuple((n, more[f"stream.{n}"]) for n in (6, 10) if f"stream.{n}" in more),
        }
        if row.kind == Kind.DIRECTORY:
            return Directory(path, **common)
        return File(path, size=row.size, data_stream=not row.flags & Flag.NO_DATA_STREAM, **common)

    def extents(self, row: Row) -> tuple[tuple[int, int], ...] | None:
        """The allocated ranges of a row's data, None where it has no holes."""
        text = self.more(row).get("extents")
        if text is None:
            return None
        try:
            pairs = [item.split(b",") for item in text.split(b";") if item]
            return tuple((int(offset), int(length)) for offset, length in pairs)
        except ValueError as error:
            raise self._broken(error) from None

    def link(self, row: Row, path: str, target: str) -> HardLink:
        """The hard link that `row` was made from; of a link into a parent, with what it said of itself."""
        attributes, times = row.attributes, row.times
        if row.kind == Kind.PARENT_LINK:
            more = self.more(row)
            creation, access, write, change = (_number(more.get(f"link.{field}")) for field in LINK_TIMES)
            times = (creation, access, write, change)
            attributes = _number(more.get("link.attributes")) or 0
        return hard_link(path, target, attributes, times)

    def _blob(self, sql: str, number: int | None) -> bytes | None:
        if number is None:
            return None
        for (data,) in self._query(sql, (number,)):
            if isinstance(data, bytes):
                return data
        raise RecordError("layer.db: metadata that are not there", path=self._path, got=number)

    def _bytes(self, value: object) -> bytes:
        if isinstance(value, bytes):
            return value
        raise RecordError("layer.db: a value that is no bytes", path=self._path, got=type(value).__name__)

    def framing(self) -> Iterator[bytes]:
        """The chunks of the framing of the tar that the layer came from; none where that is not known."""
        for (data,) in self._query("SELECT data FROM framing ORDER BY id"):
            yield self._bytes(data)

    def rows(self) -> Iterator[Row]:
        """All rows, in the order of import."""
        for found in self._query(SELECT + " ORDER BY id"):
            yield row_of(found)

    def parent_links(self) -> Iterator[Row]:
        """The rows of links into parents, in the order of import."""
        for found in self._query(SELECT + " WHERE kind = ? ORDER BY id", (Kind.PARENT_LINK,)):
            yield row_of(found)

    def whiteouts(self) -> Iterator[str]:
        """The paths of the whiteouts, in the order of their upper case."""
        for (path,) in self._query("SELECT path FROM whiteout ORDER BY key"):
            yield stored_name(path)

    def has_whiteout(self, path: str) -> bool:
        return any(True for _ in self._query("SELECT 1 FROM whiteout WHERE key = ?", (name_key(path),)))


def _number(text: bytes | None) -> int | None:
    return int(text) if text is not None and text.isdigit() and len(text) <= 20 else None
