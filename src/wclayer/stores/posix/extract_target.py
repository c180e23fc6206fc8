"""A folder of plain files taken out of layers: names, content, last write times, and links that stay inside.

Whole or absent, as a layer folder; what the host cannot hold is refused by name. No
symlink may be made before all else is there, so that nothing is written through one.
"""

from __future__ import annotations

import os
import re
import sys
from contextlib import suppress
from types import TracebackType
from typing import Final, Self

from ...body import CHUNK
from ...codes import Code
from ...entry import Body
from ...errors import ConfinementError, InexpressibleError, LayerError, StorageError
from ...host.errors import host_errors
from ...win32.filetime import to_unix_ns
from ...win32.names import encode_wtf8, win32_problem
from ..atomic import PartialFolder
from ..folder.unfinished import write_at
from ..root.open_root import open_root

__all__ = ["PlainFolder"]

_MAX_NAME: Final = 255  # bytes
_ANY_BYTES: Final[bool] = sys.platform == "linux"  # are a name
_HALF: Final = re.compile("[\ud800-\udfff]")


class PlainFolder:
    """Make the folder `target`, which appears at commit(); leaving the context without that leaves nothing behind.

    Paths are relative to it, with `/`; directories that are missing on the way are made. Raises InexpressibleError for
    a name that the host cannot hold, AlreadyExistsError, StorageError and their kin.
    """

    def __init__(self, target: str | os.PathLike[str], *, force: bool = False) -> None:
        self._partial = PartialFolder(target, force=force)
        self._shown = os.fspath(target)
        try:
            with host_errors(self._shown):
                self._root = open_root(self._partial.path)
        except BaseException:
            self._partial.abort()
            raise
        self._directories: dict[str, int | None] = {}  # and their last write times

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._root.close()
        self._partial.abort()

    def commit(self) -> None:
        with host_errors(self._shown):
            for path, time in reversed(self._directories.items()):
                self._set_time(encode_wtf8(path), time)
            self._root.close()
            self._partial.commit()

    def directory(self, path: str, time: int | None = None) -> None:
        """Make a directory, unless it is there; time: its last write time."""
        if path in self._directories:
            self._directories[path] = time
            return
        with host_errors(path):
            self._root.mkdir(self._place(path))
        self._directories[path] = time

    def file(self, path: str, body: Body | None, size: int, time: int | None = None) -> None:
        """Make a file of `size` bytes; holes stay holes, where the host has them."""
        with host_errors(path):
            fs_path = self._place(path)
            fd = self._root.create(fs_path)
            try:
                if body is not None:
                    left = sum(length for _, length in body.extents())
                    for offset, chunk in body.chunks():
                        write_at(fd, chunk, offset)
                        left -= len(chunk)
                    if left:
                        raise StorageError("the data are not as long as their entry says", path=path)
                os.ftruncate(fd, size)
            finally:
                os.close(fd)
            self._set_time(fs_path, time)

    def link(self, path: str, first: str) -> None:
        """Make a further name of the file `first`, or a copy, where the host makes none."""
        with host_errors(path):
            fs_path, source = self._place(path), encode_wtf8(first)
            try:
                self._root.link(source, fs_path)
            except OSError:
                self._copy(source, fs_path)

    def symlink(self, path: str, target: str, *, directory: bool) -> bool:
        """Make a symlink to what is in the folder at the path `target`. False, where the host makes none."""
        above, aim = path.split("/")[:-1], target.split("/")
        while above and aim[:-1] and above[0] == aim[0]:
            del above[0], aim[0]
        with host_errors(path):
            fs_path = self._place(path)
            try:
                self._root.symlink(encode_wtf8("/".join((*[".."] * len(above), *aim))), fs_path, directory=directory)
            except (OSError, NotImplementedError):
                return False
        return True

    def _place(self, path: str) -> bytes:
        """The host's path of something new, for which its directories are made. Raises as _free()."""
        missing: list[str] = []
        above = path.rpartition("/")[0]
        while above and above not in self._directories:
            missing.append(above)
            above = above.rpartition("/")[0]
        for directory in reversed(missing):
            with host_errors(directory):
                self._root.mkdir(self._free(directory))
            self._directories[directory] = None
        return self._free(path)

    def _free(self, path: str) -> bytes:
        """The host's path of something new. Raises InexpressibleError, LayerError."""
        if path in self._directories:
            raise LayerError(
                "entries lie in it, and it is no directory",
                path=path,
                expected="a directory",
                rule=Code.IN_NO_DIRECTORY,
            )
        name = path.rpartition("/")[2]
        problem: str | None = None
        fs_path = encode_wtf8(name)
        if len(fs_path) > _MAX_NAME:
            problem = f"a name longer than {_MAX_NAME} bytes"
        elif not _ANY_BYTES and _HALF.search(name) is not None:
            problem = "a name with half of a surrogate pair"
        elif os.name == "nt":
            problem = win32_problem(name)
        elif name in ("", ".", ".."):
            raise ConfinementError("a path that would leave the folder", path=path)
        full = encode_wtf8(path)
        if problem is None and self._root.exists(full):
            problem = "another file has the name, as the host compares names"
        if problem is not None:
            raise InexpressibleError(
                f"the host cannot hold it: {problem}", path=path, hint="--with-metadata keeps such names in layer.db"
            )
        return full

    def _copy(self, source: bytes, target: bytes) -> None:
        old = self._root.open(source)
        try:
            new = self._root.create(target)
            try:
                position = 0
                while chunk := os.read(old, CHUNK):
                    write_at(new, chunk, position)
                    position += len(chunk)
            finally:
                os.close(new)
            found = os.fstat(old)
            self._root.utime(target, (found.st_atime_ns, found.st_mtime_ns))
        finally:
            os.close(old)

    def _set_time(self, fs_path: bytes, time: int | None) -> None:
        if time is not None:
            with suppress(OSError, OverflowError):  # a time that the host cannot hold
                self._root.utime(fs_path, (to_unix_ns(time), to_unix_ns(time)))
