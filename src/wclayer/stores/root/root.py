"""No path leaves the root: every access to a layer folder goes through here.

Paths are bytes, relative to the root, with `/`; no component may be empty, `.`
or `..`. Each component is opened in turn below its parent and never through a
symlink, so that not even a change by another process between check and use can
lead outside: here with openat, on Windows (`windows_root`) by handles.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final

from ...errors import ConfinementError
from ...host.errors import shown

__all__ = ["Root", "split_path"]

_NOFOLLOW: Final[int] = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
_DIRECTORY: Final[int] = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | _NOFOLLOW
# To what lies below alone: nothing that the file system would have to open. Linux.
_THROUGH: Final[int] = _DIRECTORY | getattr(os, "O_PATH", 0)
_NONBLOCK: Final[int] = getattr(os, "O_NONBLOCK", 0)


def split_path(path: bytes) -> list[bytes]:
    parts = path.split(b"/")
    for part in parts:
        if part in (b"", b".", b"..") or b"\0" in part or (os.sep == "\\" and (b"\\" in part or b":" in part)):
            raise ConfinementError("a path that would leave the folder", path=shown(path))
    return parts


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


class Root:
    """The folder `path`, below which everything happens. OSError passes through; see `host.host_errors`.

    descriptors: of directories that stay open at the most; a process has few on some hosts. `roots.open_root` opens the
    one of this host.
    """

    def __init__(self, path: bytes, *, descriptors: int = 64) -> None:
        self._most = descriptors
        self.path = path
        self._fd = self._open_root()
        # Descriptors of the directories used lately, the latest last: entries come directory by directory.
        self._known: dict[bytes, int] = {}

    def _open_root(self) -> int:
        return os.open(self.path, _DIRECTORY & ~_NOFOLLOW)

    def _enter(self, above: int, name: bytes) -> int:
        """The directory `name` in the directory `above`, open for what lies below it."""
        return os.open(name, _THROUGH, dir_fd=above)

    def _leave(self, fd: int) -> None:
        os.close(fd)

    def close(self) -> None:
        for fd in (*self._known.values(), *((self._fd,) if self._fd >= 0 else ())):
            self._leave(fd)
        self._known.clear()
        self._fd = -1

    def sync(self) -> None:
        """Have the file system write what it has not yet."""
        os.fsync(self._fd)

    def _descend(self, directory: bytes) -> int:
        """A descriptor of `directory` ("" is the root), which stays ours until the next call."""
        if not directory:
            return self._fd
        known = self._known
        fd = known.pop(directory, -1)
        if fd < 0:
            parts = split_path(directory)
            depth = len(parts)
            above = self._fd
            while depth > 1:
                depth -= 1
                path = b"/".join(parts[:depth])
                if path in known:
                    above = known[path] = known.pop(path)
                    break
            else:
                depth = 0
            for number in range(depth, len(parts)):
                above = fd = self._enter(above, parts[number])
                known[b"/".join(parts[: number + 1])] = fd
            del known[directory]
            while len(known) >= self._most:
                self._leave(known.pop(next(iter(known))))
        known[directory] = fd
        return fd

    def _at(self, path: bytes) -> tuple[bytes, int]:
        """What to give to an os function for `path`: a name and the descriptor it is relative to."""
        directory, _, name = path.rpartition(b"/")
        split_path(name)
        return name, self._descend(directory)

    def by_descriptor(self, path: bytes) -> bytes:
        """`path` ("" is the root) for calls that take a path alone; good until the next call. Of Linux."""
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

    def exists(self, path: bytes) -> bool:
        try:
            self.lstat(path)
        except (FileNotFoundError, NotADirectoryError):
            return False
        return True

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

    def empty(self) -> None:
        """Remove all that is in the folder, links not followed, at any depth; what cannot be removed stays."""
        below: list[tuple[bytes, bool]] = [(b"", False)]  # directories, and whether what lies in them is done
        while below:
            directory, done = below.pop()
            with suppress(OSError):
                if done:
                    self.rmdir(directory)
                    continue
                items = self._names(directory)
                if directory:
                    below.append((directory, True))
                for name, is_directory in items:
                    path = b"%b/%b" % (directory, name) if directory else name
                    if is_directory:
                        below.append((path, False))
                    else:
                        with suppress(OSError):
                            self.unlink(path)

    def list(self, path: bytes) -> list[tuple[bytes, os.stat_result]]:
        """The names in the directory `path` ("" is the root), each with what lstat says; in no order."""
        with self._listing(path) as found:
            return [(os.fsencode(item.name), _lstat(item)) for item in found]
