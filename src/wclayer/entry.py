"""The one value that flows through wclayer: what a Windows layer is made of.

A `Source` gives entries with their bodies, a `Sink` takes them; everything that
people do with layers is entries from a source, perhaps changed, into a sink.

The metadata are those of Win32, in its own terms and units:

- `file_attributes`: FILE_ATTRIBUTE_* bits, uint32;
- `creation_time`, `last_access_time`, `last_write_time`, `change_time`:
  FILETIME integers (100 ns since 1601-01-01 UTC, uint64), None where absent;
- `security_descriptor`: self-relative bytes, None where absent;
- `extended_attributes`: in the order of FILE_FULL_EA_INFORMATION;
- `reparse_data`: the whole REPARSE_DATA_BUFFER, tag included; a reparse point
  is no kind of its own, since some (WOF, cloud, WCI) have data or children too.

Paths are relative, with `/`, as in the layer tar: no leading `./`, no trailing
`/`. They are text in which an unpaired UTF-16 surrogate, which NTFS allows,
stands as itself (WTF-8 in the tar).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, NamedTuple, Protocol, Self, TypeAlias

__all__ = [
    "AlternateStream",
    "Body",
    "Directory",
    "Entry",
    "ExtendedAttribute",
    "File",
    "HardLink",
    "Lower",
    "Progress",
    "ProgressCallback",
    "RandomSource",
    "Sink",
    "Source",
    "Summary",
    "Whiteout",
    "kind_of",
]


@dataclass(frozen=True, slots=True)
class ExtendedAttribute:
    """One NTFS extended attribute (FILE_FULL_EA_INFORMATION): names are bytes, and need not be UTF-8."""

    name: bytes
    value: bytes
    flags: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Times:
    creation_time: int | None = None
    last_access_time: int | None = None
    last_write_time: int | None = None
    change_time: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Metadata(_Times):
    security_descriptor: bytes | None = None
    extended_attributes: tuple[ExtendedAttribute, ...] = ()
    reparse_data: bytes | None = None
    short_name: str | None = None
    object_id: bytes | None = None
    # Backup streams that only NTFS itself understands, PROPERTY_DATA (6) and TXFS_DATA (10), as (ID, data).
    backup_streams: tuple[tuple[int, bytes], ...] = ()


@dataclass(frozen=True, slots=True)
class Directory(_Metadata):
    """A directory; also a directory junction or symlink, where `reparse_data` is set."""

    path: str
    file_attributes: int = 0x10


@dataclass(frozen=True, slots=True)
class File(_Metadata):
    """A file, of `size` bytes in its unnamed stream; also a file symlink, where `reparse_data` is set.

    `data_stream`: did the source show an unnamed DATA stream? BackupRead gives none for an ordinary empty
    file, and hcsshim's tars keep the difference in the mode; False only where `size` is 0.
    """

    path: str
    file_attributes: int = 0x20
    size: int = 0
    data_stream: bool = True


@dataclass(frozen=True, slots=True)
class AlternateStream:
    """A named stream of the entry `path`, which it follows directly; `name` has no `:$DATA`."""

    path: str
    name: str
    size: int = 0


@dataclass(frozen=True, slots=True)
class HardLink(_Times):
    """A further name, `path`, of the file `target`, which came earlier or is in a parent layer.

    The attributes and times are what a tar says beside the name; the file's own are those of its first name.
    """

    path: str
    target: str
    file_attributes: int = 0x20


@dataclass(frozen=True, slots=True)
class Whiteout:
    """`path`, which a parent layer has, is gone in this one."""

    path: str


Entry: TypeAlias = Directory | File | AlternateStream | HardLink | Whiteout

_KINDS: dict[type, str] = {
    Directory: "directories",
    File: "files",
    AlternateStream: "streams",
    HardLink: "hard_links",
    Whiteout: "whiteouts",
}


def kind_of(entry: Entry) -> str:
    """What a summary counts `entry` under; symlinks and other reparse points have a line of their own."""
    if isinstance(entry, Directory | File) and entry.reparse_data is not None:
        return "reparse_points"
    return _KINDS[type(entry)]


class Body(Protocol):
    """The bytes of one file or stream: valid until the next entry, read once, front to back.

    Either by `read`, holes as zeros, or by `chunks`, which passes over the holes without work.
    """

    size: int

    def read(self, n: int = -1, /) -> bytes:
        """Up to `n` bytes (all that is left if negative), `b""` at the end."""

    def extents(self) -> Sequence[tuple[int, int]]:
        """The allocated (offset, length), in order, not touching, none empty; the rest is holes (zeros)."""

    def chunks(self) -> Iterator[tuple[int, bytes]]:
        """The allocated bytes, as (offset, bytes), in order.

        Raises FormatError if a hole turns out to hold data.
        """


@dataclass(slots=True)
class Summary:
    """What went through a source or a sink. Digests are `sha256:HEX`; sizes are bytes, times seconds."""

    entries: dict[str, int] = field(default_factory=dict)  # by kind_of()
    bytes: int = 0  # of all bodies
    tar_size: int | None = None
    diff_id: str | None = None  # of the uncompressed tar
    blob_size: int | None = None
    digest: str | None = None  # of the tar as stored, compressed or not
    compression: str = "none"
    compressor: str | None = None  # name and version
    own_records: dict[str, int] = field(default_factory=dict)  # by name: what only wclayer restores from the tar
    warnings: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """The summary as JSON has it."""
        return {
            "entries": dict(sorted(self.entries.items())),
            "bytes": self.bytes,
            "tar_size": self.tar_size,
            "diff_id": self.diff_id,
            "blob_size": self.blob_size,
            "digest": self.digest,
            "compression": self.compression,
            "compressor": self.compressor,
            "own_records": dict(sorted(self.own_records.items())),
            "warnings": self.warnings,
        }

    def layer_dict(self) -> dict[str, Any]:
        """The summary of a layer as JSON has it in the result of an image."""
        names = ("diff_id", "tar_size", "digest", "blob_size", "compression", "compressor", "entries", "bytes")
        found = self.to_dict()
        return {name: found[name] for name in names}

    def count(self, entry: Entry) -> None:
        kind = kind_of(entry)
        self.entries[kind] = self.entries.get(kind, 0) + 1


class Progress(NamedTuple):
    """How far an operation is: `done` bytes of `total`, which is None where it is not known.

    entry: what has just been read or written, if this is about one.
    """

    done: int
    total: int | None = None
    entry: Entry | None = None


ProgressCallback: TypeAlias = Callable[[Progress], None]


class Source(Protocol):
    """Where entries come from. A body is None for entries that have none."""

    @property
    def restartable(self) -> bool:
        """May entries() be called again? A pipe: no."""

    def entries(self) -> Iterator[tuple[Entry, Body | None]]: ...


class Lower(Protocol):
    """What lies below a layer: its parents, seen as one."""

    def lookup(self, path: str, /) -> Entry | None:
        """The entry of that name, by NTFS's case rules; None for none."""

    def open(self, path: str, stream: str = "", /) -> Body:
        """The body of a file, following hard links, or of one of its named streams.

        Raises NotFoundError.
        """

    def streams(self, path: str, /) -> Sequence[str]:
        """The names of the named streams of a file, following hard links; none where it is not there."""


class RandomSource(Source, Lower, Protocol):
    """A source with random access: a layer folder."""

    def children(self, path: str, /) -> Iterator[Entry]:
        """The entries directly below `path` ("" is the root), without streams."""


class Sink(Protocol):
    """Where entries go. Leaving the context without commit() aborts, and leaves nothing behind."""

    def add(self, entry: Entry, body: Body | None = None, /) -> None: ...

    def commit(self) -> Summary: ...

    def abort(self) -> None: ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None: ...
