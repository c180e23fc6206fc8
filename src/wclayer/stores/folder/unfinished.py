"""A layer folder that is being made: what the order of entries (`sink`) and the objects (`maker`) both work on."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field

from ...body import CHUNK
from ...entry import AlternateStream, Body, File, HardLink, Summary
from ...errors import StorageError
from ..record.writer import Kind, RecordWriter, link_extra
from ..root.root import Root

__all__ = ["StoredFile", "UnfinishedLayer", "write_at"]


@dataclass(frozen=True, slots=True)
class StoredFile:
    """What became of a file: flags for its row and, unless it is a symlink of the host, what is known of its data."""

    flags: int = 0
    sha256: bytes | None = None  # of the allocated ranges
    mtime: int | None = None  # ns since 1970, as the host gave it back


@dataclass(slots=True)
class UnfinishedLayer:
    """The folder, its record, and the writing of content.

    `target` is the path that the folder will get, `path` where it lies until then (both host paths); `root` is that
    folder. `held` is left when all is over, after the folder has its name or was removed.
    """

    target: bytes
    path: bytes
    root: Root
    record: RecordWriter
    base: bool
    summary: Summary = field(default_factory=Summary)
    held: ExitStack = field(default_factory=ExitStack)

    def add_file(
        self,
        parent: int,
        name: str,
        kind: int,
        entry: File,
        made: StoredFile,
        extra: dict[str, bytes],
        target: str | None = None,
    ) -> int:
        """Record a file that has been made; the id of its row. target: of a link into a parent."""
        return self.record.add(
            parent,
            name,
            kind,
            entry=entry,
            flags=made.flags,
            size=entry.size,
            sha256=made.sha256,
            mtime=made.mtime,
            target=target,
            extra=extra,
        )

    def add_parent_link(self, parent: int, name: str, entry: HardLink, file: File, extra: dict[str, bytes]) -> None:
        """Record a link into a parent whose data are not copied; file: what the parent has there."""
        self.record.add(
            parent,
            name,
            Kind.PARENT_LINK,
            entry=file,
            size=file.size,
            target=entry.target,
            extra=extra | link_extra(entry),
        )

    def fill(
        self, fd: int, path: str, entry: File | AlternateStream, body: Body | None, extra: dict[str, bytes]
    ) -> bytes:
        """Write a body into an empty file; the SHA-256 of its allocated ranges. Holes are noted in `extra`."""
        digest = self.copy_body(path, entry, body, extra, lambda offset, chunk: write_at(fd, chunk, offset))
        if "extents" in extra:
            os.ftruncate(fd, entry.size)
        return digest

    def copy_body(
        self,
        path: str,
        entry: File | AlternateStream,
        body: Body | None,
        extra: dict[str, bytes],
        write: Callable[[int, bytes], None],
    ) -> bytes:
        """Give the allocated ranges of a body to `write(offset, chunk)`, in order; their SHA-256.

        Holes are noted in `extra`. Raises StorageError for a body that is not as long as its entry says.
        """
        done, digest = 0, hashlib.sha256()
        extents: tuple[tuple[int, int], ...] = ()
        if body is not None:
            extents = tuple(body.extents())
            done = sum(length for _, length in extents)
            for offset, chunk in body.chunks():
                digest.update(chunk)
                done -= len(chunk)
                write(offset, chunk)
        whole = ((0, entry.size),) if entry.size else ()
        if done or (body is None and entry.size) or (body is not None and body.size != entry.size):
            raise StorageError(
                "the data are not as long as their entry says",
                path=path,
                expected=f"{entry.size:,} bytes",
            )
        if extents != whole:
            extra["extents"] = b";".join(b"%d,%d" % extent for extent in extents)
        self.summary.bytes += entry.size
        return digest.digest()

    def copy(self, source: bytes, target: bytes) -> None:
        """Copy a file's data and times within the folder."""
        old = self.root.open(source)
        try:
            found = os.fstat(old)
            new = self.root.create(target)
            try:
                position = 0
                while chunk := os.read(old, CHUNK):
                    write_at(new, chunk, position)
                    position += len(chunk)
            finally:
                os.close(new)
            self.root.utime(target, (found.st_atime_ns, found.st_mtime_ns))
        finally:
            os.close(old)


def write_at(fd: int, chunk: bytes, offset: int) -> None:
    """Write the whole chunk at `offset`."""
    done = 0
    if os.lseek(fd, 0, os.SEEK_CUR) != offset:
        os.lseek(fd, offset, os.SEEK_SET)
    while done < len(chunk):
        done += os.write(fd, chunk[done:] if done else chunk)
