"""Where the files of an image lie: in a folder, or in a tar, which is never unpacked.

The tar is read once for the places of its members. One that is compressed, or that
comes through a pipe, is put aside in a temporary file first.
"""

from __future__ import annotations

import os
import re
import stat
import sys
import tarfile
import tempfile
import threading
from typing import BinaryIO, Final, Protocol, cast

from ...body import CHUNK
from ...codes import Code
from ...errors import ConfinementError, ImageError, NotFoundError
from ...host.errors import host_errors
from ...layertar.compression import Decompressed

__all__ = ["ArchiveFiles", "Files", "FolderFiles", "Slice"]

_MAX_MEMBERS: Final = 100_000
_MAX_LINKS: Final = 8
_MAX_HEADER: Final = 1 << 20  # bytes of a header's extension
_DRIVE: Final = re.compile(r"[A-Za-z]:")


class Files(Protocol):
    """The files of an image."""

    def open(self, name: str, offset: int = 0, /) -> tuple[BinaryIO, int]:
        """A file to read from `offset` on, and its whole size. Raises NotFoundError."""

    def close(self) -> None: ...


class FolderFiles:
    """The files in the folder `path`."""

    def __init__(self, path: str) -> None:
        self._path = path

    def open(self, name: str, offset: int = 0, /) -> tuple[BinaryIO, int]:
        path = os.path.join(self._path, *name.split("/"))
        with host_errors(path):
            try:
                # O_NONBLOCK: opening a named pipe would wait for a writer.
                fd = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
            except (FileNotFoundError, NotADirectoryError):
                raise NotFoundError("no such file", path=path) from None
            found = os.fstat(fd)
            if not stat.S_ISREG(found.st_mode):
                os.close(fd)
                raise ImageError("no regular file", path=path, rule=Code.ARCHIVE_BROKEN)
            stream = os.fdopen(fd, "rb", buffering=0)
            if offset:
                stream.seek(offset)
            return stream, found.st_size

    def close(self) -> None:
        pass


class Slice:
    """A file of `size` bytes from `offset` on in `stream`; others may read there too, with the same lock."""

    def __init__(self, stream: BinaryIO, offset: int, size: int, lock: threading.Lock) -> None:
        self._stream = stream
        self._lock = lock
        self._position = offset
        self._end = offset + size

    def read(self, n: int = -1, /) -> bytes:
        left = self._end - self._position
        with self._lock:
            self._stream.seek(self._position)
            data = self._stream.read(left if n < 0 else min(n, left))
        self._position += len(data)
        return data

    def close(self) -> None:
        pass


class _Headers:
    """The archive as tarfile reads it: limits the size of extension headers, which tarfile reads into memory."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def read(self, n: int, /) -> bytes:
        return self._stream.read(n if 0 <= n <= _MAX_HEADER else _MAX_HEADER)

    def seek(self, offset: int, /) -> int:
        return self._stream.seek(offset)

    def tell(self) -> int:
        return self._stream.tell()


class ArchiveFiles:
    """The files in the tar at `path`; `-` is stdin. temp_dir: the folder for what must be put aside.

    Raises NotFoundError, ImageError for what is no tar, ConfinementError for a member that would lie outside.
    """

    def __init__(self, path: str, temp_dir: str | os.PathLike[str] | None = None) -> None:
        self._path = path
        self._lock = threading.Lock()
        with host_errors(path):
            self._stream = _seekable(path, temp_dir)
        self._places: dict[str, tuple[int, int]] = {}
        self._links: dict[str, str] = {}
        try:
            with host_errors(path):
                self._index()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self._stream.close()

    def names(self) -> list[str]:
        """The names of the files, in the archive's order."""
        return list(self._places)

    def open(self, name: str, offset: int = 0, /) -> tuple[BinaryIO, int]:
        for _ in range(_MAX_LINKS):
            if name not in self._links:
                break
            name = self._links[name]
        place = self._places.get(name)
        if place is None:
            raise NotFoundError("no such file in the archive", path=f"{self._path}//{name}")
        start, size = place
        return cast("BinaryIO", Slice(self._stream, start + offset, size - offset, self._lock)), size

    def _index(self) -> None:
        end = self._stream.seek(0, os.SEEK_END)
        self._stream.seek(0)
        count = 0
        try:
            headers = cast("BinaryIO", _Headers(self._stream))
            with tarfile.open(fileobj=headers, mode="r:", encoding="utf-8", errors="surrogateescape") as tar:
                while (member := tar.next()) is not None:
                    tar.members = []  # type: ignore[attr-defined] # they are not needed twice
                    count += 1
                    if count > _MAX_MEMBERS:
                        raise ImageError(
                            "an archive of too many members",
                            path=self._path,
                            expected=f"{_MAX_MEMBERS:,}",
                            rule=Code.ARCHIVE_BROKEN,
                        )
                    self._add(member, end)
        except (tarfile.TarError, ValueError, OverflowError, EOFError) as error:
            if isinstance(error, ImageError | ConfinementError):
                raise
            raise ImageError(
                f"no tar: {error}", path=self._path, hint="is it an image archive, whole?", rule=Code.ARCHIVE_BROKEN
            ) from None

    def _add(self, member: tarfile.TarInfo, end: int) -> None:
        name = self._name(member.name, member.name)
        if member.isdir():
            return
        if name in self._places or name in self._links:
            raise ImageError("two members of one name", path=f"{self._path}//{name}", rule=Code.ARCHIVE_BROKEN)
        if member.issym():
            above = name.rpartition("/")[0]
            self._links[name] = self._name(f"{above}/{member.linkname}" if above else member.linkname, member.name)
        elif member.islnk():
            self._links[name] = self._name(member.linkname, member.name)
        elif member.isreg() and not member.issparse():
            if not 0 <= member.size <= end - member.offset_data:
                raise ImageError(
                    "the archive is cut off",
                    path=f"{self._path}//{name}",
                    expected=f"{member.size:,} bytes",
                    got=f"{max(0, end - member.offset_data):,}",
                    rule=Code.ARCHIVE_BROKEN,
                )
            self._places[name] = (member.offset_data, member.size)
        else:
            raise ImageError(
                "a member that is no ordinary file, folder or link",
                path=f"{self._path}//{name}",
                rule=Code.ARCHIVE_BROKEN,
            )

    def _name(self, name: str, shown: str) -> str:
        """The name without `.` and `..`, which must not lead out."""
        parts: list[str] = []
        outside = name.startswith("/") or "\\" in name or _DRIVE.match(name) is not None
        for part in name.split("/"):
            if part == "..":
                outside = outside or not parts
                parts = parts[:-1]
            elif part not in ("", "."):
                parts.append(part)
        if outside or (name == shown and ".." in name.split("/")):
            raise ConfinementError(
                "an archive member that would lie outside",
                path=self._path,
                expected="names below the archive's root",
                got=shown if name == shown else f"{shown} -> {name}",
                hint="do not trust this archive",
                rule=Code.ARCHIVE_BROKEN,
            )
        return "/".join(parts)


def _seekable(path: str, temp_dir: str | os.PathLike[str] | None) -> BinaryIO:
    """The plain tar, seekable."""
    if path == "-":
        return _put_aside(Decompressed(sys.stdin.buffer), temp_dir)
    if os.path.isdir(path):
        raise ImageError(
            "a folder, where an archive must be",
            path=path,
            hint="oci:DIR is for a layout in a folder",
            rule=Code.ARCHIVE_BROKEN,
        )
    try:
        stream = open(path, "rb", buffering=0)  # the caller closes it
    except FileNotFoundError:
        raise NotFoundError("no such archive", path=path) from None
    try:
        plain = Decompressed(stream)
        first = plain.read(1)
        if plain.compression == "none" and stream.seekable():
            return stream
        result = _put_aside(plain, temp_dir, first)
    except BaseException:
        stream.close()
        raise
    stream.close()
    return result


def _put_aside(plain: Decompressed, temp_dir: str | os.PathLike[str] | None, first: bytes = b"") -> BinaryIO:
    file = cast("BinaryIO", tempfile.TemporaryFile(dir=temp_dir, prefix="wclayer-"))
    try:
        file.write(first)
        while data := plain.read(CHUNK):
            file.write(data)
        file.flush()
    except BaseException:
        file.close()
        raise
    return file
