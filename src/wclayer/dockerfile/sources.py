"""Where COPY and ADD take files from: a folder of the host, an archive in it, an image or an earlier stage."""

from __future__ import annotations

import bz2
import fnmatch
import lzma
import os
import posixpath
import re
import stat
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final, Protocol, cast

from ..errors import ConfinementError, FormatError, LayerError, NotFoundError, StorageError, UnsupportedError
from ..images.recipe import FilesRule
from ..images.symlinks import steps
from ..images.taking import TakenFiles
from ..layertar.compression import Decompressed
from ..stores.host import host_errors
from .ignore import DockerIgnore

__all__ = ["FileSource", "HostFolder", "TakenFolder", "is_wild", "unpack"]

_WILD: Final = re.compile(r"[*?\[]")
_BZIP2: Final = b"BZh"
_XZ: Final = b"\xfd7zXZ\0"
_HEAD: Final = 512
_MOST_LINKS: Final = 40
# They are not in Python 3.11.0 to 3.11.3, which cannot unpack safely at all.
_OUTSIDE: Final[tuple[type[Exception], ...]] = tuple(
    getattr(tarfile, name)
    for name in ("OutsideDestinationError", "LinkOutsideDestinationError", "AbsoluteLinkError")
    if hasattr(tarfile, name)
)


def is_wild(path: str) -> bool:
    """Has it wildcards?"""
    return _WILD.search(path) is not None


class FileSource(Protocol):
    """A tree that COPY takes files from."""

    def find(self, pattern: str) -> list[str]:
        """The paths that fit; one without wildcards fits itself, if it is there. Raises NotFoundError."""

    def is_directory(self, path: str) -> bool: ...

    def rule(self, path: str) -> FilesRule:
        """A rule that brings what is at `path`, to be given a target."""


@dataclass(frozen=True, slots=True)
class HostFolder:
    """The folder `path` of the host, less what `ignore` leaves out; its paths are compared as the host does."""

    path: str
    ignore: DockerIgnore

    def find(self, pattern: str) -> list[str]:
        parts = [part for part in pattern.split("/") if part]
        found = list(self._walk("", parts))
        if not found and not is_wild(pattern):
            there = os.path.lexists(os.path.join(self.path, *parts))
            raise NotFoundError(
                "no such file in the context",
                path=os.path.join(self.path, *parts),
                hint="it is there, but .dockerignore leaves it out" if there else None,
            )
        return sorted(found, key=os.fsencode)

    def _walk(self, above: str, parts: list[str]) -> Iterator[str]:
        if not parts:
            if not above or not self._is_left_out(above):
                yield above
            return
        first, rest = parts[0], parts[1:]
        if not is_wild(first):
            names = [first] if os.path.lexists(os.path.join(self.path, above, first)) else []
        else:
            names = [name for name in self._names(above) if fnmatch.fnmatchcase(name, _go_pattern(first))]
        for name in names:
            yield from self._walk(f"{above}/{name}".lstrip("/"), rest)

    def _names(self, path: str) -> list[str]:
        with host_errors(os.path.join(self.path, path)):
            try:
                return os.listdir(os.path.join(self.path, path))
            except (FileNotFoundError, NotADirectoryError):
                return []

    def _is_left_out(self, path: str) -> bool:
        host = os.fsencode(path)
        return self.ignore.match(host) and not (self.is_directory(path) and self.ignore.may_reopen(host))

    def is_directory(self, path: str) -> bool:
        return os.path.isdir(os.path.join(self.path, path))

    def rule(self, path: str) -> FilesRule:
        place = os.path.realpath(os.path.join(self.path, path))
        root = os.path.realpath(self.path)
        if place != root and not place.startswith(os.path.join(root, "")):
            raise ConfinementError(
                "a symlink that leads out of the context", path=os.path.join(self.path, path), got=place
            )
        return FilesRule(source=place)


@dataclass(frozen=True, slots=True)
class TakenFolder:
    """Files out of an image; a link that is named itself is followed. take: takes further ones out of the same."""

    files: TakenFiles
    take: Callable[[str], TakenFiles]

    def find(self, pattern: str) -> list[str]:
        return self.files.find(pattern)

    def is_directory(self, path: str) -> bool:
        files, place = self._behind(path)
        return files.is_directory(place)

    def rule(self, path: str) -> FilesRule:
        files, place = self._behind(path)
        return FilesRule(source=place, folder=files)

    def _behind(self, path: str) -> tuple[TakenFiles, str]:
        files, place = self.files, path
        for _ in range(_MOST_LINKS):
            target = files.link(place)
            if target is None:
                return files, place
            found = steps(place.rpartition("/")[0], target)
            if found is None:
                raise LayerError("a link that leads out of drive C:", path=path, got=target)
            wanted = posixpath.normpath("/" + "/".join(found)).lstrip("/")
            files = self.take(wanted)
            place = files.find(wanted)[0]
        raise LayerError("links without end", path=path)


def _go_pattern(pattern: str) -> str:
    """A component of Go's path.Match as fnmatch has it, which negates a class with `!` instead of `^`."""
    return re.sub(r"\[([\^!])", lambda found: "[!" if found[1] == "^" else "[\\!", pattern)


def unpack(path: str, folder: str) -> bool:
    """If the file is a tar, plain or packed with gzip, bzip2, xz or zstd, unpack it into the empty `folder`.

    False for what is none. Raises FormatError for one that is cut off or corrupt, ConfinementError for a member that
    would lie outside, UnsupportedError where Python is too old to unpack safely.
    """
    with host_errors(path), open(path, "rb") as file:
        try:
            stream = _plain(file)
            head = stream.read(_HEAD)
            while 0 < len(head) < _HEAD and (more := stream.read(_HEAD - len(head))):
                head += more
            tarfile.TarInfo.frombuf(head, "utf-8", "surrogateescape")
        except (tarfile.HeaderError, FormatError, OSError, EOFError, lzma.LZMAError):
            return False
    if not hasattr(tarfile, "data_filter"):
        raise UnsupportedError(
            "this Python cannot unpack archives safely", path=path, expected="3.11.4 or later", hint="unpack it before"
        )
    with host_errors(path), open(path, "rb") as file:
        try:
            with tarfile.open(
                fileobj=_plain(file), mode="r|", encoding="utf-8", errors="surrogateescape", errorlevel=1
            ) as tar:
                tar.extractall(folder, filter=_member)  # noqa: S202 # by the filter that Python has for it
        except _OUTSIDE as error:
            raise ConfinementError(f"a member that would lie outside: {error}", path=path) from None
        except (tarfile.TarError, EOFError, lzma.LZMAError) as error:
            raise FormatError(f"a broken archive: {error}", path=path) from None
        except OSError as error:
            if isinstance(error, StorageError) or error.errno is not None:
                raise
            raise FormatError(f"a broken archive: {error}", path=path) from None
    return True


def _member(member: tarfile.TarInfo, folder: str) -> tarfile.TarInfo:
    """As Python's `data` filter has it, but every folder can be read again whatever its mode."""
    found = tarfile.data_filter(member, folder)
    return found.replace(mode=stat.S_IRWXU, deep=False) if found.isdir() else found


def _plain(file: BinaryIO) -> BinaryIO:
    """The bytes of the archive, unpacked."""
    head = file.read(len(_XZ))
    file.seek(0)
    if head.startswith(_BZIP2):
        return cast("BinaryIO", bz2.BZ2File(file))
    if head == _XZ:
        return cast("BinaryIO", lzma.LZMAFile(file))
    return cast("BinaryIO", _Whole(Decompressed(file)))


class _Whole:
    """A stream whose read(n) gives n bytes wherever there are so many, as tarfile wants it."""

    def __init__(self, stream: Decompressed) -> None:
        self._stream = stream
        self._rest = b""

    def read(self, n: int) -> bytes:
        while len(self._rest) < n and (data := self._stream.read()):
            self._rest += data
        data, self._rest = self._rest[:n], self._rest[n:]
        return data
