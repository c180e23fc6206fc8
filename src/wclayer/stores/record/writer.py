"""layer.db: what a layer's entries were, where the file system cannot say it. docs/layer-folder.md has the format.

A SQLite database, written once, in one transaction, and never changed. This
module has its schema and writes it; `record_reader` reads it.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from ...entry import Directory, File, HardLink
from ...errors import RecordError
from ...win32.ea import build_ea_list
from ...win32.names import decode_wtf8, encode_wtf8, upcase

__all__ = [
    "APPLICATION_ID",
    "LAYER_DB",
    "LINK_TIMES",
    "SCHEMA",
    "SELECT",
    "VERSION",
    "Flag",
    "Kind",
    "RecordWriter",
    "Row",
    "Times",
    "add_extras",
    "hard_link",
    "host_time",
    "link_extra",
    "name_key",
    "open_database",
    "row_of",
    "set_value",
    "stored_name",
    "times_of",
]

LAYER_DB: Final = b"layer.db"
APPLICATION_ID: Final = 0x57434C59  # "WCLY"
VERSION: Final = 2

_MAX_SHARED: Final = 50_000  # values remembered in order to store each once; real layers have hundreds

SCHEMA: Final = {
    "layer": "CREATE TABLE layer (key TEXT PRIMARY KEY, value) WITHOUT ROWID",
    "descriptor": "CREATE TABLE descriptor (id INTEGER PRIMARY KEY, data BLOB NOT NULL)",
    "ea": "CREATE TABLE ea (id INTEGER PRIMARY KEY, data BLOB NOT NULL)",
    "entry": (
        "CREATE TABLE entry"
        " (id INTEGER PRIMARY KEY, parent INTEGER NOT NULL, key NOT NULL, name, kind INTEGER NOT NULL,"
        " flags INTEGER NOT NULL, attributes INTEGER, creation INTEGER, access INTEGER, write INTEGER, change INTEGER,"
        " descriptor INTEGER, ea INTEGER, size INTEGER, sha256 BLOB, mtime INTEGER, target)"
    ),
    "entry_name": "CREATE UNIQUE INDEX entry_name ON entry (parent, key)",
    "extra": (
        "CREATE TABLE extra (entry INTEGER NOT NULL, what TEXT NOT NULL, data BLOB NOT NULL,"
        " PRIMARY KEY (entry, what)) WITHOUT ROWID"
    ),
    "whiteout": "CREATE TABLE whiteout (key PRIMARY KEY, path NOT NULL) WITHOUT ROWID",
    "framing": "CREATE TABLE framing (id INTEGER PRIMARY KEY, data BLOB NOT NULL)",
}


class Kind:
    """Numbers of `entry.kind`."""

    DIRECTORY = 1
    FILE = 2
    STREAM = 3
    LINK = 4  # of a file in this layer: target is its id
    PARENT_LINK = 5  # of a file in a parent: target is its path, and the metadata are that file's


class Flag:
    """Bits of `entry.flags`."""

    NO_DATA_STREAM = 1  # the source showed no DATA stream
    EXTRA = 2  # there are rows in extra
    LINKED = 4  # other names point here
    SYMLINK = 8  # stored as a symlink of the host
    STREAMS = 16  # named streams follow
    SURROGATE = 32  # a directory that stands for another one, so that nothing can lie in it


Times = tuple[int | None, int | None, int | None, int | None]
LINK_TIMES = ("creation", "access", "write", "change")
SELECT = (
    "SELECT id, parent, key, name, kind, flags, attributes, creation, access, write, change, descriptor, ea,"
    " size, sha256, mtime, target FROM entry"
)


@dataclass(slots=True)
class Row:
    """One row of `entry`, as stored, except that names are text and times unsigned."""

    id: int
    parent: int
    name: str
    kind: int
    flags: int
    attributes: int
    times: Times
    descriptor: int | None
    ea: int | None
    size: int
    sha256: bytes | None
    mtime: int | None
    target: int | str | None


def name_key(name: str) -> str | bytes:
    """What names are compared by: NTFS's upper case, as text, or as WTF-8 bytes where that is no valid Unicode."""
    return _text(upcase(name))


def _text(name: str) -> str | bytes:
    if name.isascii():
        return name
    try:
        name.encode()
    except UnicodeEncodeError:
        return encode_wtf8(name)
    return name


def stored_name(value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bytes):
        return decode_wtf8(value)
    raise RecordError("layer.db: a name that is neither text nor bytes", got=type(value).__name__)


def _signed(time: int | None) -> int | None:
    return time if time is None or time < 1 << 63 else time - (1 << 64)


def host_time(ns: int) -> int:
    """A host's time in ns since 1970 as SQLite can hold it, and as it is compared: its lower 64 bits, signed."""
    return (ns + (1 << 63)) % (1 << 64) - (1 << 63)


def _unsigned(time: int | None) -> int | None:
    return time if time is None or time >= 0 else time + (1 << 64)


def open_database(path: bytes, *options: str) -> sqlite3.Connection:
    """The SQLite database at the host path `path`, of any length; options: of its URI."""
    if os.name == "nt":
        options = (*options, "vfs=win32-longpath")
    uri = "&".join((f"file:{quote(os.path.abspath(path))}?", *options)).replace("?&", "?")
    return sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)


def set_value(path: bytes, key: str, value: str) -> None:
    """Change a value of the table layer in a finished layer.db, and nothing else: a single page of it."""
    db = open_database(path)
    try:
        db.execute("PRAGMA journal_mode = MEMORY")
        db.execute("UPDATE layer SET value = ? WHERE key = ?", (value, key))
    finally:
        db.close()


def add_extras(path: bytes, found: Iterable[tuple[int, str, bytes]]) -> None:
    """Add (row's id, what, data) to a finished layer.db, all or none, in one transaction."""
    db = open_database(path)
    try:
        db.execute("PRAGMA journal_mode = MEMORY")
        db.execute("BEGIN")
        for number, what, data in found:
            db.execute("INSERT INTO extra VALUES (?, ?, ?)", (number, what, data))
            db.execute("UPDATE entry SET flags = flags | ? WHERE id = ?", (Flag.EXTRA, number))
        db.execute("COMMIT")
    finally:
        db.close()


class RecordWriter:
    """A layer.db being made, at the host path `path`."""

    def __init__(self, path: bytes) -> None:
        self._db = open_database(path)
        execute = self._db.execute
        for pragma in (
            "journal_mode = OFF",
            "synchronous = OFF",
            "locking_mode = EXCLUSIVE",
            "temp_store = MEMORY",
        ):
            execute(f"PRAGMA {pragma}")
        execute(f"PRAGMA application_id = {APPLICATION_ID}")
        execute(f"PRAGMA user_version = {VERSION}")
        execute("BEGIN")
        for statement in SCHEMA.values():
            execute(statement)
        self._ids: dict[tuple[str, bytes], int] = {}
        self._next = 1
        self._shared_next = 0

    def close(self) -> None:
        self._db.close()

    def commit(self, values: Mapping[str, str | int | bytes | None]) -> None:
        """End it, with `values` in the table layer."""
        self._db.executemany("INSERT INTO layer VALUES (?, ?)", values.items())
        self._db.execute("COMMIT")
        self._db.close()

    def reserve(self) -> int:
        """The id that the next add() will give."""
        return self._next

    def add(
        self,
        parent: int,
        name: str,
        kind: int,
        *,
        entry: Directory | File | None = None,
        attributes: int | None = None,
        times: Times = (None, None, None, None),
        flags: int = 0,
        size: int | None = None,
        sha256: bytes | None = None,
        mtime: int | None = None,
        target: int | str | None = None,
        extra: Mapping[str, bytes] | None = None,
    ) -> int:
        """Add a row and give its id; `entry` fills in all metadata. The caller has made sure that the name is new."""
        number = self._next
        self._next += 1
        descriptor = ea = None
        more = dict(extra or {})
        if entry is not None:
            attributes = entry.file_attributes
            times = times_of(entry)
            descriptor = self._shared("descriptor", entry.security_descriptor)
            if entry.extended_attributes:
                ea = self._shared("ea", build_ea_list(entry.extended_attributes))
            if entry.reparse_data is not None:
                more["reparse"] = entry.reparse_data
            if entry.short_name is not None:
                more["short_name"] = encode_wtf8(entry.short_name)
            if entry.object_id is not None:
                more["object_id"] = entry.object_id
            for stream, data in entry.backup_streams:
                more[f"stream.{stream}"] = data
            if isinstance(entry, File) and not entry.data_stream:
                flags |= Flag.NO_DATA_STREAM
        key = name_key(name)
        if more:
            flags |= Flag.EXTRA
            self._db.executemany("INSERT INTO extra VALUES (?, ?, ?)", ((number, what, more[what]) for what in more))
        stored = _text(name)
        self._db.execute(
            "INSERT INTO entry VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                number,
                parent,
                key,
                None if stored == key else stored,
                kind,
                flags,
                attributes,
                *map(_signed, times),
                descriptor,
                ea,
                size,
                sha256,
                None if mtime is None else host_time(mtime),
                _text(target) if isinstance(target, str) else target,
            ),
        )
        return number

    def _shared(self, table: str, data: bytes | None) -> int | None:
        """The id of `data` in a table that holds each value once."""
        if data is None:
            return None
        number = self._ids.get((table, data))
        if number is None:
            if len(self._ids) >= _MAX_SHARED:
                self._ids.clear()
            self._shared_next += 1
            number = self._ids[table, data] = self._shared_next
            self._db.execute(f"INSERT INTO {table} VALUES (?, ?)", (number, data))  # noqa: S608 # a name of ours
        return number

    def add_extra(self, number: int, what: str, data: bytes) -> None:
        """Add something rare to a row."""
        self._db.execute("INSERT INTO extra VALUES (?, ?, ?)", (number, what, data))
        self.set_flag(number, Flag.EXTRA)

    def set_flag(self, number: int, flag: int) -> None:
        self._db.execute("UPDATE entry SET flags = flags | ? WHERE id = ?", (flag, number))

    def set_stored(self, number: int, size: int, mtime: int) -> None:
        """Say of a row what the host has for it: a file of `size` bytes, and what it gave back as its mtime."""
        self.add_extra(number, "stored", b"%d" % size)
        self._db.execute("UPDATE entry SET mtime = ? WHERE id = ?", (host_time(mtime), number))

    def add_framing(self, chunk: bytes) -> None:
        """Add the next piece of the tar's framing."""
        self._db.execute("INSERT INTO framing (data) VALUES (?)", (chunk,))

    def add_whiteout(self, path: str) -> bool:
        """Note a whiteout; False if there is one of that name already."""
        try:
            self._db.execute("INSERT INTO whiteout VALUES (?, ?)", (name_key(path), _text(path)))
        except sqlite3.IntegrityError:
            return False
        return True

    def has_whiteout(self, path: str) -> bool:
        return bool(self._db.execute("SELECT 1 FROM whiteout WHERE key = ?", (name_key(path),)).fetchone())

    def find(self, parent: int, name: str) -> Row | None:
        found = self._db.execute(
            SELECT + " WHERE parent = ? AND key = ?",
            (parent, name_key(name)),
        ).fetchone()
        return None if found is None else row_of(found)

    def get(self, number: int) -> Row:
        return row_of(self._db.execute(SELECT + " WHERE id = ?", (number,)).fetchone())

    def host_name(self, number: int) -> bytes | None:
        """The name that the host has for an entry, where it is not the entry's own."""
        found = self._db.execute("SELECT data FROM extra WHERE entry = ? AND what = 'host_name'", (number,)).fetchone()
        return None if found is None else bytes(found[0])

    def directories(self) -> Iterator[Row]:
        """All directories, the last added first, so that children come before their parents."""
        for found in self._db.execute(SELECT + " WHERE kind = ? ORDER BY id DESC", (Kind.DIRECTORY,)):
            yield row_of(found)


def row_of(found: tuple[Any, ...]) -> Row:
    (
        number,
        parent,
        key,
        name,
        kind,
        flags,
        attributes,
        c,
        a,
        w,
        h,
        descriptor,
        ea,
        size,
        sha256,
        mtime,
        target,
    ) = found
    for value in (number, parent, kind, flags):
        if not isinstance(value, int):
            raise RecordError("layer.db: not a number", got=repr(value))
    for value in (attributes, c, a, w, h, descriptor, ea, size, mtime):
        if value is not None and not isinstance(value, int):
            raise RecordError("layer.db: not a number", got=repr(value))
    if not (0 <= (attributes or 0) <= 0xFFFFFFFF and (size or 0) >= 0):
        raise RecordError("layer.db: attributes or size out of range", got=f"{attributes}, {size}")
    if sha256 is not None and not (isinstance(sha256, bytes) and len(sha256) == 32):
        raise RecordError("layer.db: not a SHA-256")
    if target is not None and not isinstance(target, int):
        target = stored_name(target)
    times = (_unsigned(c), _unsigned(a), _unsigned(w), _unsigned(h))
    return Row(
        number,
        parent,
        stored_name(key if name is None else name),
        kind,
        flags,
        attributes or 0,
        times,
        descriptor,
        ea,
        size or 0,
        sha256,
        mtime,
        target,
    )


def hard_link(path: str, target: str, attributes: int, times: Times) -> HardLink:
    """A link with `times`: creation, last access, last write, change."""
    creation, access, write, change = times
    return HardLink(
        path,
        target,
        file_attributes=attributes,
        creation_time=creation,
        last_access_time=access,
        last_write_time=write,
        change_time=change,
    )


def link_extra(entry: HardLink) -> dict[str, bytes]:
    """What a link into a parent says of itself, for `extra`: its row has the metadata of the parent's file."""
    more = {"link.attributes": b"%d" % entry.file_attributes}
    for field, time in zip(LINK_TIMES, times_of(entry), strict=True):
        if time is not None:
            more[f"link.{field}"] = b"%d" % time
    return more


def times_of(entry: Directory | File | HardLink) -> Times:
    """Creation, last access, last write, change."""
    return entry.creation_time, entry.last_access_time, entry.last_write_time, entry.change_time
