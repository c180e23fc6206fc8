"""The sources of COPY and ADD: a folder of the host, an archive in it, an image, or an earlier stage."""

from __future__ import annotations

import bz2
import lzma
import os
import stat
import tarfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import BinaryIO, Final, Protocol, Self, cast

from ..builder.copy_from import ImageTree
from ..builder.recipe import FilesRule
from ..builder.source_tree import check_name
from ..errors import (
    ConfinementError,
    FormatError,
    LayerError,
    NotFoundError,
    UnsupportedError,
    WclayerError,
    with_context,
)
from ..host.errors import host_errors, names_in
from ..layers.lookup.patterns import component, is_wild
from ..layertar.compression import Decompressed
from ..union.links import MOST_LINKS, follow_link, link_of
from ..union.rules import FILES
from ..win32.names import encode_wtf8, upcase
from .ignore import DockerIgnore, Part

__all__ = ["FileSource", "HostFolder", "TakenFolder", "unpack"]

_BZIP2: Final = b"BZh"
_XZ: Final = b"\xfd7zXZ\0"
_HEAD: Final = 512
# tarfile's filters came with Python 3.11.4; without them an archive cannot be unpacked safely.
_OUTSIDE: Final[tuple[type[Exception], ...]] = tuple(
    getattr(tarfile, name)
    for name in ("OutsideDestinationError", "LinkOutsideDestinationError", "AbsoluteLinkError")
    if hasattr(tarfile, name)
)


class FileSource(Protocol):
    """A tree that COPY reads."""

    def find(self, pattern: str) -> list[str]:
        """The paths that match; a path without wildcards must exist. Raises NotFoundError."""

    def is_directory(self, path: str) -> bool: ...

    def rule(self, path: str) -> FilesRule:
        """A rule that copies `path`; the caller adds the target."""


@dataclass(frozen=True, slots=True)
class HostFolder:
    """The folder `path` of the host without what `ignore` leaves out; names are compared as the host does.

    temp_dir: our own temporary folder; it never counts as one of the source's files, wherever it lies.
    """

    path: str
    ignore: DockerIgnore
    temp_dir: str | None = None

    def find(self, pattern: str) -> list[str]:
        parts = [part for part in pattern.split("/") if part]
        found = list(self._walk("", parts))
        if not found and not is_wild(pattern):
            there = os.path.lexists(os.path.join(self.path, *parts))
            raise self._missing(os.path.join(self.path, *parts), there)
        return sorted(found, key=os.fsencode)

    def _missing(self, path: str, there: bool) -> NotFoundError:
        hint = "it is there, but .dockerignore leaves it out" if there else None
        return NotFoundError("no such file in the context", path=path, hint=hint)

    def _walk(self, above: str, parts: list[str]) -> Iterator[str]:
        if not parts:
            if not above or not self._is_left_out(above):
                yield above
            return
        first, rest = parts[0], parts[1:]
        if not is_wild(first):
            names = [first] if os.path.lexists(os.path.join(self.path, above, first)) else []
        else:
            names = list(filter(component(first), self._names(above)))
        for name in names:
            yield from self._walk(f"{above}/{name}".lstrip("/"), rest)

    def _names(self, path: str) -> list[str]:
        with host_errors(os.path.join(self.path, path)):
            try:
                return names_in(os.path.join(self.path, path))
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
        inside = "" if place == root else os.path.relpath(place, root).replace(os.sep, "/")
        if inside and self._is_left_out(inside):
            raise self._missing(place, True)
        own = None
        temp_dir = "" if self.temp_dir is None else os.path.realpath(self.temp_dir)
        if temp_dir.startswith(os.path.join(root, "")):
            own = os.fsencode(os.path.relpath(temp_dir, root).replace(os.sep, "/"))
        return FilesRule(source=place, ignore=(Part(self.ignore, os.fsencode(inside), own),))


@dataclass(frozen=True, slots=True)
class TakenFolder:
    """Files out of an image. behind: the targets of links that a source names directly."""

    files: ImageTree
    behind: Mapping[str, tuple[ImageTree, str]]

    @classmethod
    def take(cls, patterns: Sequence[str], take: Callable[[Sequence[str], bool], ImageTree]) -> Self:
        """The files that match the patterns. take: reads paths, patterns or literal, out of the image."""
        files = take(patterns, False)
        behind = {path: (files, path) for pattern in patterns for path in files.find(pattern)}
        for _ in range(MOST_LINKS + 1):  # the last of them finds no link
            targets = {path: found for path, (where, place) in behind.items() if (found := _target(where, place))}
            if not targets:
                return cls(files, behind)
            further = take(list(dict.fromkeys(targets.values())), True)
            behind |= {path: (further, further.spelled(target)) for path, target in targets.items()}
        raise LayerError("too many links on a path", path=next(iter(targets)), expected=f"at most {MOST_LINKS}")

    def find(self, pattern: str) -> list[str]:
        return self.files.find(pattern)

    def is_directory(self, path: str) -> bool:
        files, place = self.behind[path]
        return files.is_directory(place)

    def rule(self, path: str) -> FilesRule:
        files, place = self.behind[path]
        return FilesRule(source=place, folder=files)


def _target(files: ImageTree, path: str) -> str | None:
    """The path on drive C: that the link at `path` leads to; None where `path` is not a link. Raises LayerError."""
    known = files.entry(encode_wtf8(path))
    with with_context(path=path):
        link = None if known is None else link_of(known.reparse_data)
    if link is None:
        return None
    return follow_link(f"{FILES}/{path}", link).partition("/")[2]


def unpack(path: str, folder: str) -> bool:
    """Unpack a tar (plain, gzip, bzip2, xz or zstd) into the empty `folder`; False where the file is not a tar.

    Folders that the tar does not list get the time of the archive. Raises FormatError for a truncated or corrupt
    archive, ConfinementError for a member that would lie outside, UnsupportedError where Python is too old to unpack
    safely.
    """
    with host_errors(path):
        time = os.stat(path).st_mtime_ns
        with open(path, "rb") as file:
            if not _is_tar(file):
                return False
    if not hasattr(tarfile, "data_filter"):
        raise UnsupportedError(
            "this Python cannot unpack archives safely", path=path, expected="3.11.4 or later", hint="unpack it before"
        )
    listed: set[str] = set()
    spelled: dict[str, str] = {}

    def member(found: tarfile.TarInfo, place: str) -> tarfile.TarInfo:
        """Python's `data` filter, but every folder stays readable, whatever its mode in the archive."""
        if os.name == "nt":
            _check_names(found.name, spelled, path)
        found = tarfile.data_filter(found, place)
        if found.isdir():
            listed.add(os.path.normpath(os.path.join(folder, found.name)))
            found = found.replace(mode=stat.S_IRWXU, deep=False)
        return found

    try:
        with host_errors(path), open(path, "rb") as file, _open_tar(_plain(file)) as tar:
            tar.extractall(folder, filter=member)  # noqa: S202 # by the filter that Python has for it
    except _OUTSIDE as error:
        raise ConfinementError(f"a member that would lie outside: {error}", path=path) from None
    except WclayerError as error:
        cause = error.__cause__
        if isinstance(cause, OSError) and cause.errno is None:  # of gzip's kind: no error of the host
            raise FormatError(f"a broken archive: {cause}", path=path) from None
        error.at(path)
        raise
    except (tarfile.TarError, EOFError, lzma.LZMAError, ValueError, OverflowError, KeyError) as error:
        raise FormatError(f"a broken archive: {error}", path=path) from None
    with host_errors(folder):
        for place, _, _ in os.walk(folder, topdown=False):
            if os.path.normpath(place) not in listed:
                os.utime(place, ns=(time, time))
    return True


def _check_names(name: str, spelled: dict[str, str], archive: str) -> None:
    """Raise on every host what Windows would refuse: names that it cannot hold, and two names that are one to it.

    spelled: paths in upper case -> the archive's spelling.
    """
    at = ""
    for part in name.split("/"):
        if part in ("", ".", ".."):
            continue  # for the filter to judge
        at = f"{at}/{part}".lstrip("/")
        check_name(part, f"{archive}: {at}")
        if (other := spelled.setdefault(upcase(at), at)) != at:
            raise LayerError("two names that are one to Windows", path=f"{archive}: {at}", got=other)


def _is_tar(file: BinaryIO) -> bool:
    try:
        stream = _plain(file)
        head = stream.read(_HEAD)
        while 0 < len(head) < _HEAD and (more := stream.read(_HEAD - len(head))):
            head += more
        tarfile.TarInfo.frombuf(head, "utf-8", "surrogateescape")
    except (tarfile.HeaderError, FormatError, OSError, EOFError, lzma.LZMAError):
        return False
    return True


class _Member(tarfile.TarInfo):
    """A member that reports a broken header as an error anywhere; tarfile takes it for the end of the archive."""

    @classmethod
    def fromtarfile(cls, tar: tarfile.TarFile) -> Self:
        try:
            return super().fromtarfile(tar)
        except (tarfile.InvalidHeaderError, tarfile.TruncatedHeaderError) as error:  # type: ignore[attr-defined]
            raise tarfile.ReadError(str(error)) from None


def _open_tar(stream: BinaryIO) -> tarfile.TarFile:
    return tarfile.open(
        fileobj=stream, mode="r|", encoding="utf-8", errors="surrogateescape", errorlevel=1, tarinfo=_Member
    )


def _plain(file: BinaryIO) -> BinaryIO:
    """The archive's decompressed bytes."""
    head = file.read(len(_XZ))
    file.seek(0)
    if head.startswith(_BZIP2):
        return cast("BinaryIO", bz2.BZ2File(file))
    if head == _XZ:
        return cast("BinaryIO", lzma.LZMAFile(file))
    return cast("BinaryIO", _Whole(Decompressed(file)))


class _Whole:
    """A stream whose read(n) returns n bytes unless it ends before, as tarfile expects."""

    def __init__(self, stream: Decompressed) -> None:
        self._stream = stream
        self._rest = b""

    def read(self, n: int) -> bytes:
        while len(self._rest) < n and (data := self._stream.read()):
            self._rest += data
        data, self._rest = self._rest[:n], self._rest[n:]
        return data
