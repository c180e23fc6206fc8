"""One side of a comparison: what is seen of its layers, with digests in the place of contents.

Each layer is read once and in one pass, so a side may come from a pipe. Of every name one
small object is kept; what can be long (contents, streams, extended attributes) is kept
as its size and digest.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from ...body import CHUNK
from ...entry import (
    AlternateStream,
    Body,
    Directory,
    File,
    HardLink,
    Progress,
    ProgressCallback,
    Source,
    Whiteout,
)
from ...errors import LayerError, with_context
from ...union.naming import not_there_error
from ...union.rules import HIVES
from ...union.view import UnionView, ViewEntry, within
from ...win32.names import upcase
from ..hashing import Digest, Hasher
from ..hives.merge import HiveStack

__all__ = ["Content", "Ea", "Name", "Object", "Side", "read_side"]

_HIVES: Final = upcase(HIVES)
_KEPT: Final = 64  # bytes of a value that are kept as they are


@dataclass(frozen=True, slots=True)
class Content:
    """The content of a file or stream; the same as another one if the keys are (see `hashing.Digest`), whatever is a
    hole in them. sha256: of one whose key is not that, where it is known."""

    size: int
    key: str
    sha256: str | None = field(default=None, compare=False)

    @property
    def digest(self) -> str:
        """`sha256:HEX`; where holes are too many for that, the key, `sha256-nonzero:HEX`."""
        return self.sha256 or self.key


_EMPTY: Final = Content(0, f"sha256:{hashlib.sha256().hexdigest()}")


class Ea(NamedTuple):
    """An extended attribute; value: its bytes, of long ones their SHA-256."""

    size: int
    value: bytes
    flags: int


@dataclass(slots=True, eq=False)
class Object:
    """What is behind a name: a file, which may have several, a directory, a whiteout; a hard link to what is not there.

    times: as `inspect_contents.TIMES` names them. holes: a digest of the allocated ranges of a file that has holes.
    target: of a hard link. names: those that are seen of it, in upper case, from below the path that is compared.
    """

    kind: str
    path: str
    attributes: int = 0
    times: tuple[int | None, ...] = (None,) * 4
    security: bytes | None = None
    eas: dict[bytes, Ea] = field(default_factory=dict)
    reparse: bytes | None = None
    short_name: str | None = None
    object_id: bytes | None = None
    backup_streams: tuple[tuple[int, int, bytes], ...] = ()
    content: Content | None = None
    holes: bytes | None = None
    streams: dict[str, tuple[str, Content]] = field(default_factory=dict)  # by name in upper case
    target: str | None = None
    names: list[str] = field(default_factory=list)

    @property
    def size(self) -> int:
        """Bytes of its content and streams."""
        return (0 if self.content is None else self.content.size) + sum(one.size for _, one in self.streams.values())


class Name(NamedTuple):
    """A name that is seen: its path, spelled as it is, and what is behind it."""

    path: str
    object: Object


@dataclass(slots=True)
class Side:
    """What is seen at and below a path of some layers: by paths from there, in upper case, "" for the path itself.

    base: is the lowest layer a base layer? alone: is it one layer, and so its whiteouts are among what is seen?
    faults: what cannot be read of the registry, and why.
    """

    names: dict[str, Name]
    base: bool
    alone: bool
    registry: HiveStack | None
    faults: list[str] = field(default_factory=list)


def read_side(
    layers: Sequence[Source],
    *,
    base: bool = True,
    inside: str = "",
    names: Sequence[str] = (),
    registry: bool = True,
    kept: dict[bytes, bytes] | None = None,
    hasher: Hasher | None = None,
    temp_dir: str | os.PathLike[str] | None = None,
    progress: ProgressCallback | None = None,
) -> Side:
    """What is seen of `layers`, base first.

    base: is the lowest a base layer? inside: the path that is compared; no links on the way to it are followed. names:
    what errors call the layers. registry: put the hives aside, and of several layers leave out the differencing ones,
    which are no files to a container; the side's registry must be closed then. kept: descriptors and the like, each
    once. hasher: of contents, best one for both sides. progress: called after each entry, with the bytes of
    files so far.

    Raises NotFoundError if there is nothing at `inside`, LayerError for names that a layer has twice, and what reading
    layers raises.
    """
    kept = {} if kept is None else kept
    reader = _Reader(layers, inside, names, kept, Hasher() if hasher is None else hasher, progress)
    alone = len(layers) == 1
    faults: list[str] = []
    seen = None
    if registry and not inside:
        seen = HiveStack(base=base, guess=alone, temp_dir=temp_dir, on_fault=faults.append)
    try:
        found = reader.read(seen)
        if seen is not None:
            seen.finish(layers)
            base = seen.base
    except BaseException:
        if seen is not None:
            seen.close()
        raise
    return Side(found, base, alone, seen, faults)


class _Reader:
    def __init__(
        self,
        layers: Sequence[Source],
        inside: str,
        names: Sequence[str],
        kept: dict[bytes, bytes],
        hasher: Hasher,
        progress: ProgressCallback | None,
    ) -> None:
        self._layers = layers
        self._inside = inside
        self._key = upcase(inside)
        self._layer_names = names
        self._kept = kept
        self._hasher = hasher
        self._progress = progress
        self._done = 0  # bytes
        self._objects: dict[tuple[int, str], Object] = {}

    def read(self, registry: HiveStack | None) -> dict[str, Name]:
        sight = UnionView(self._layers)
        visible: list[tuple[int, str, str]] = []
        for number in sight.numbers:
            name = self._layer_names[number] if self._layer_names else None
            with with_context(layer=name), closing(sight.read(number)) as found:
                for seen in found:
                    self._see(seen, registry, visible)
        return self._named(sight, visible)

    def _see(self, seen: ViewEntry, registry: HiveStack | None, visible: list[tuple[int, str, str]]) -> None:
        entry, objects, alone = seen.entry, self._objects, len(self._layers) == 1
        body = None if seen.body is None else _Hashed(seen.body, self._hasher)
        if registry is not None:
            registry.see(seen.number, entry, body)
        at = seen.number, seen.key
        if isinstance(entry, AlternateStream):
            owner = objects.get(at)
            if owner is None:
                raise LayerError("stream that does not follow its owner", path=f"{entry.path}:{entry.name}")
            owner.streams[upcase(entry.name)] = entry.name, _content(body)
        else:
            if not isinstance(entry, HardLink):
                objects[at] = self._object(entry, seen.path, body)
            hidden = not alone and (isinstance(entry, Whiteout) or seen.key.partition("/")[0] == _HIVES)
            if seen.visible and not hidden and (not self._key or within(seen.key, self._key)):
                visible.append((*at, seen.path))
                if isinstance(entry, HardLink):
                    objects[at] = Object("hard link", seen.path, target=entry.target)
        if self._progress is not None:
            if body is not None:
                self._done += body.size
            self._progress(Progress(self._done, None, entry))

    def _named(self, sight: UnionView, visible: list[tuple[int, str, str]]) -> dict[str, Name]:
        """The names, in the order of their paths, with what is behind them."""
        if self._key and not visible:
            raise not_there_error(self._inside)
        skipped = len(self._key) + 1 if self._key else 0
        names: dict[str, Name] = {}
        for number, key, path in sorted(visible, key=lambda one: one[1].replace("/", "\0")):
            found = self._objects[number, key]
            if found.kind == "hard link" and (file := sight.file_of(number, key)) is not None:
                found = self._objects[file]
            relative = key[skipped:]
            names[relative] = Name(path[skipped:], found)
            found.names.append(relative)
        return names

    def _object(self, entry: File | Directory | Whiteout, path: str, body: _Hashed | None) -> Object:
        if isinstance(entry, Whiteout):
            return Object("whiteout", path)
        result = Object(
            "file" if isinstance(entry, File) else "directory",
            path,
            entry.file_attributes,
            (entry.creation_time, entry.last_access_time, entry.last_write_time, entry.change_time),
            self._once(entry.security_descriptor),
            {ea.name: Ea(len(ea.value), _short(ea.value), ea.flags) for ea in entry.extended_attributes},
            self._once(entry.reparse_data),
            entry.short_name,
            None if entry.object_id is None else _short(entry.object_id),
            tuple((number, len(data), _short(data)) for number, data in entry.backup_streams),
        )
        if isinstance(entry, File):
            result.content = _content(body)
            result.holes = None if body is None else body.holes()
        return result

    def _once(self, data: bytes | None) -> bytes | None:
        return None if data is None else self._kept.setdefault(data, data)


def _short(value: bytes) -> bytes:
    return value if len(value) <= _KEPT else hashlib.sha256(value).digest()


def _content(body: _Hashed | None) -> Content:
    if body is None:
        return _EMPTY
    key, sha256 = body.digest()
    shown = None if sha256 is None else f"sha256:{sha256}"
    return Content(body.size, key, None if shown == key else shown)


class _Hashed:
    """A body that is hashed as it is read: by who else reads it, or by digest()."""

    def __init__(self, body: Body, hasher: Hasher) -> None:
        self.size = body.size
        self._body = body
        self._hashing = hasher.begin()
        self._position = 0
        self._extents = body.extents()
        self._by_reads = False
        self._chunks: Iterator[tuple[int, bytes]] | None = None

    def extents(self) -> Sequence[tuple[int, int]]:
        return self._extents

    def holes(self) -> bytes | None:
        """A digest of the allocated ranges; None where that is all of it."""
        if self._extents == ((0, self.size),) or not self.size:
            return None
        return hashlib.sha256(";".join(f"{at},{length}" for at, length in self._extents).encode()).digest()

    def read(self, n: int = -1, /) -> bytes:
        self._by_reads = True
        data = self._body.read(n)
        self._hashing.update(self._position, data)
        self._position += len(data)
        return data

    def chunks(self) -> Iterator[tuple[int, bytes]]:
        """The same each time it is called: where one who asked gives up, the next goes on."""
        if self._chunks is None:
            self._chunks = self._hashed()
        return self._chunks

    def _hashed(self) -> Iterator[tuple[int, bytes]]:
        for offset, data in self._body.chunks():
            self._hashing.update(offset, data)
            yield offset, data

    def digest(self) -> Digest:
        """Of all of it; what nobody has read is read. Ask once."""
        if self._by_reads:
            while self.read(CHUNK):
                pass
        else:
            for _ in self.chunks():
                pass
        return self._hashing.digest(self.size)
