"""How a store makes the objects of a layer folder; order, rules and record are FolderSink's."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from ...entry import AlternateStream, Body, Directory, File, HardLink, Lower, Whiteout
from ..record.writer import Kind, Row, link_extra
from .names import OpenDirectory
from .unfinished import StoredFile, UnfinishedLayer

__all__ = ["ObjectMaker", "StreamOwner"]


@dataclass(frozen=True, slots=True)
class StreamOwner:
    """The file or directory that streams may follow: its row's id, its host path, whether it has a stream already."""

    entry: Directory | File
    id: int
    fs_path: bytes
    streams: bool = False


class ObjectMaker(ABC):
    """Makes the objects of `layer`, one entry at a time, in the order in which FolderSink calls.

    Host paths are relative to the layer's root, with `/`. OSError passes through.
    """

    def __init__(self, layer: UnfinishedLayer) -> None:
        self._layer = layer
        self._root = layer.root
        self._record = layer.record

    @abstractmethod
    def host_name(self, parent: OpenDirectory, name: str) -> tuple[bytes, dict[str, bytes]]:
        """The host path of a new entry, and the record's note of it where that is not the entry's own name."""

    @abstractmethod
    def make_directory(self, entry: Directory, fs_path: bytes) -> int:
        """Make a directory, or what stands for one; flags for its row."""

    @abstractmethod
    def make_file(self, entry: File, body: Body | None, fs_path: bytes, extra: dict[str, bytes]) -> StoredFile:
        """Make a file, or what stands for one. What else the row must remember goes into `extra`."""

    @abstractmethod
    def make_stream(
        self, entry: AlternateStream, body: Body | None, owner: bytes, extra: dict[str, bytes]
    ) -> StoredFile:
        """Make a named stream of the object at host path `owner`."""

    @abstractmethod
    def make_hard_link(self, row: Row, source: bytes, fs_path: bytes) -> None:
        """Make `fs_path` a further name of the file at `source`, whose row is `row`."""

    @abstractmethod
    def finish_directory(self, fs_path: bytes, row: Row) -> None:
        """Give a directory its times, after everything in it."""

    def make_parent_link(self, entry: HardLink, file: File, parents: Lower, parent: OpenDirectory, name: str) -> None:
        """Store a copy of the parents' file, recorded as a link, so that export needs no parents."""
        fs_path, extra = self.host_name(parent, name)
        body = parents.open(entry.target) if file.size else None
        extra |= link_extra(entry)
        made = self.make_file(file, body, fs_path, extra)
        number = self._layer.add_file(parent.id, name, Kind.PARENT_LINK, file, made, extra, entry.target)
        self.take_streams(parents, entry.target, fs_path)
        self.finish(StreamOwner(file, number, fs_path))

    def take_streams(self, parents: Lower, path: str, fs_path: bytes) -> None:  # noqa: B027 # most stores do without
        """Give the copy at `fs_path` of the parents' file `path` its named streams; the record does not have them."""

    def whiteout(self, entry: Whiteout) -> None:  # noqa: B027 # most stores have it only in the record
        """Delete what a whiteout names, where the folder has it."""

    def copy_boot_file(self, source: bytes, target: bytes) -> None:
        """Keep the original of a boot file, which Windows will rewrite."""
        self._layer.copy(source, target)

    def finish(self, owner: StreamOwner) -> None:  # noqa: B027 # most stores have nothing to do
        """After a file or directory and all its streams; the content of a directory is still to come."""

    def before_it_appears(self) -> None:  # noqa: B027 # most stores have nothing to do
        """When everything is made, before the folder gets its name."""

    def close(self) -> None:  # noqa: B027 # most stores keep nothing open
        """Close what is open, before the folder gets its name or is removed. May be called twice."""

    def values(self) -> dict[str, str | int | bytes | None]:
        """What the record says about the whole layer, when everything is made."""
        return {}

    def warnings(self) -> list[str]:
        """What the user should know about the finished folder."""
        return []
