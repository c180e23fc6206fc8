"""The Root of POSIX hosts: each name is opened with openat, relative to its directory, and never through a symlink."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from ...errors import ConfinementError
from ...host.errors import shown
from .root import Root

__all__ = ["PosixRoot"]

_NOFOLLOW: Final[int] = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
_DIRECTORY: Final[int] = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | _NOFOLLOW
# Only to what lies below: nothing that the file system would have to open. Linux.
_THROUGH: Final[int] = _DIRECTORY | getattr(os, "O_PATH", 0)
_NONBLOCK: Final[int] = getattr(os, "O_NONBLOCK", 0)


def _lstat(item: os.DirEntry[str]) -> os.stat_result:
    return _retry_on_eio(lambda: item.stat(follow_symlinks=False))


def _is_directory(item: os.DirEntry[str]) -> bool:
    try:
        return item.is_dir(follow_symlinks=False)
    except OSError:
        return False


def _retry_on_eio(look: Callable[[], os.stat_result]) -> os.stat_result:
    """`look`, a second time if the first fails with EIO: so it does where a file of a FUSE mount became a symlink."""
    try:
        return look()
    except OSError as error:
        if error.errno != errno.EIO:
            raise
    return look()


class PosixRoot(Root):
    """The folder `path`, below which everything happens (see Root)."""

    def _open_root(self) -> int:
        return os.open(self.path, _DIRECTORY & ~_NOFOLLOW)

    def _enter(self, above: int, name: bytes) -> int:
        """The directory `name` in the directory `above`, open for what lies below it."""
        return os.open(name, _THROUGH, dir_fd=above)

    def _leave(self, fd: int) -> None:
        os.close(fd)

    def sync(self) -> None:
        """Have the file system write what it has not yet."""
        os.fsync(self._fd)

    def by_descriptor(self, path: bytes) -> bytes:
        """`path` ("" is the root) for calls that take only a path; valid until the next call. Linux."""
        name, fd = self._at(path) if path else (b".", self._fd)
        return b"/proc/self/fd/%d/%b" % (fd, name)

    def mkdir(self, path: bytes) -> None:
        name, fd = self._at(path)
        os.mkdir(name, dir_fd=fd)

    def create(self, path: bytes) -> int:
        """A descriptor of the new, empty file `path`. Raises FileExistsError."""
        name, fd = self._at(path)
        return os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NOFOLLOW, 0o666, dir_fd=fd)

    def open(self, path: bytes) -> int:
        """A descriptor of the regular file `path`, for reading. Raises ConfinementError for anything else."""
        name, fd = self._at(path)
        file = os.open(name, os.O_RDONLY | _NOFOLLOW | _NONBLOCK, dir_fd=fd)
        if not stat.S_ISREG(os.fstat(file).st_mode):
            os.close(file)
            raise ConfinementError("no regular file", path=shown(path))
        return file

    def rewrite(self, path: bytes) -> int:
        """A descriptor of the regular file `path`, emptied, for writing. Raises ConfinementError for anything else."""
        os.close(self.open(path))
        name, fd = self._at(path)
        return os.open(name, os.O_WRONLY | os.O_TRUNC | _NOFOLLOW | _NONBLOCK, dir_fd=fd)

    def link(self, target: bytes, path: bytes) -> None:
        """Make `path` a further name of `target`."""
        name, fd = self._at(target)
        source = os.dup(fd)
        try:
            new, fd = self._at(path)
            os.link(name, new, src_dir_fd=source, dst_dir_fd=fd, follow_symlinks=False)
        finally:
            os.close(source)

    def rename(self, old: bytes, new: bytes) -> None:
        """Give `old` the name `new`, in the place of what has it."""
        name, fd = self._at(old)
        source = os.dup(fd)
        try:
            target, fd = self._at(new)
            os.replace(name, target, src_dir_fd=source, dst_dir_fd=fd)
        finally:
            os.close(source)

    def replace(self, old: bytes, new: bytes) -> None:
        """Put the file `old` in the place of the file `new`; on Windows it gets the security of that, and so on."""
        self.rename(old, new)

    def unlink(self, path: bytes) -> None:
        name, fd = self._at(path)
        os.unlink(name, dir_fd=fd)

    def rmdir(self, path: bytes) -> None:
        """Remove the empty directory `path`."""
        if (fd := self._known.pop(path, None)) is not None:
            self._leave(fd)
        name, fd = self._at(path)
        os.rmdir(name, dir_fd=fd)

    def symlink(self, target: bytes, path: bytes, *, directory: bool) -> None:
        name, fd = self._at(path)
        os.symlink(target, name, target_is_directory=directory, dir_fd=fd)

    def readlink(self, path: bytes) -> bytes:
        name, fd = self._at(path)
        return os.readlink(name, dir_fd=fd)

    def lstat(self, path: bytes) -> os.stat_result:
        name, fd = self._at(path)
        return _retry_on_eio(lambda: os.stat(name, dir_fd=fd, follow_symlinks=False))

    def utime(self, path: bytes, ns: tuple[int, int]) -> None:
        """Set (access, modification) times of `path` itself, in ns since 1970."""
        name, fd = self._at(path)
        os.utime(name, ns=ns, dir_fd=fd, follow_symlinks=False)

    @contextmanager
    def _listing(self, path: bytes) -> Iterator[Iterator[os.DirEntry[str]]]:
        fd = os.open(b".", _DIRECTORY, dir_fd=self._descend(path))
        try:
            with os.scandir(fd) as found:
                yield found
        finally:
            os.close(fd)

    def _names(self, path: bytes) -> list[tuple[bytes, bool]]:
        """The names in a directory, and whether each is a directory itself."""
        with self._listing(path) as found:
            return [(os.fsencode(item.name), _is_directory(item)) for item in found]

    def list(self, path: bytes) -> list[tuple[bytes, os.stat_result]]:
        """The names in the directory `path` ("" is the root), each with what lstat says; in no order."""
        with self._listing(path) as found:
            return [(os.fsencode(item.name), _lstat(item)) for item in found]
