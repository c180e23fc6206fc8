"""No path leaves the root: every access to a layer folder goes through here.

Paths are bytes, relative to the root, with `/`; no component may be empty, `.`
or `..`. Each component is opened in turn below its parent and never through a
symlink, so that not even a change by another process between check and use can
lead outside: with openat in PosixRoot, by handles in WindowsRoot.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from contextlib import suppress

from ...errors import ConfinementError
from ...host.errors import shown

__all__ = ["Root", "split_path"]


def split_path(path: bytes) -> list[bytes]:
    parts = path.split(b"/")
    for part in parts:
        if part in (b"", b".", b"..") or b"\0" in part or (os.sep == "\\" and (b"\\" in part or b":" in part)):
            raise ConfinementError("a path that would leave the folder", path=shown(path))
    return parts


class Root(ABC):
    """The folder `path`, below which everything happens. OSError passes through; see `host.errors.host_errors`.

    descriptors: how many directories stay open at the most; a process has few on some hosts. open_root() opens the
    one of this host.
    """

    def __init__(self, path: bytes, *, descriptors: int = 64) -> None:
        self._most = descriptors
        self.path = path
        self._fd = self._open_root()
        # Descriptors of the directories used lately, the latest last: entries come directory by directory.
        self._known: dict[bytes, int] = {}

    def close(self) -> None:
        for fd in (*self._known.values(), *((self._fd,) if self._fd >= 0 else ())):
            self._leave(fd)
        self._known.clear()
        self._fd = -1

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

    def exists(self, path: bytes) -> bool:
        try:
            self.lstat(path)
        except (FileNotFoundError, NotADirectoryError):
            return False
        return True

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

    # --- what a host does ---------------------------------------------------------

    @abstractmethod
    def _open_root(self) -> int:
        """A descriptor or handle of the folder itself."""

    @abstractmethod
    def _enter(self, above: int, name: bytes) -> int:
        """The directory `name` in the directory `above`, open for what lies below it; never through a link."""

    @abstractmethod
    def _leave(self, fd: int) -> None:
        """Close what _enter or _open_root gave."""

    @abstractmethod
    def _names(self, path: bytes) -> list[tuple[bytes, bool]]:
        """The names in a directory, and whether each is a directory itself."""

    @abstractmethod
    def sync(self) -> None:
        """Have the file system write what it has not yet."""

    @abstractmethod
    def mkdir(self, path: bytes) -> None:
        """Make the directory `path`. Raises FileExistsError."""

    @abstractmethod
    def create(self, path: bytes) -> int:
        """A descriptor of the new, empty file `path`. Raises FileExistsError."""

    @abstractmethod
    def open(self, path: bytes) -> int:
        """A descriptor of the regular file `path`, for reading. Raises ConfinementError for anything else."""

    @abstractmethod
    def rewrite(self, path: bytes) -> int:
        """A descriptor of the regular file `path`, emptied, for writing. Raises ConfinementError for anything else."""

    @abstractmethod
    def link(self, target: bytes, path: bytes) -> None:
        """Make `path` a further name of `target`."""

    @abstractmethod
    def rename(self, old: bytes, new: bytes) -> None:
        """Give `old` the name `new`, in the place of what has it."""

    @abstractmethod
    def replace(self, old: bytes, new: bytes) -> None:
        """Put the file `old` in the place of the file `new`; on Windows it gets the security of that, and so on."""

    @abstractmethod
    def unlink(self, path: bytes) -> None:
        """Remove the file or link `path`."""

    @abstractmethod
    def rmdir(self, path: bytes) -> None:
        """Remove the empty directory `path`."""

    @abstractmethod
    def symlink(self, target: bytes, path: bytes, *, directory: bool) -> None:
        """Make the symlink `path`. directory: is its target one? Windows wants to know."""

    @abstractmethod
    def readlink(self, path: bytes) -> bytes:
        """The target of a symlink, with `/`."""

    @abstractmethod
    def lstat(self, path: bytes) -> os.stat_result:
        """What `path` itself is."""

    @abstractmethod
    def utime(self, path: bytes, ns: tuple[int, int]) -> None:
        """Set (access, modification) times of `path` itself, in ns since 1970."""

    @abstractmethod
    def list(self, path: bytes) -> list[tuple[bytes, os.stat_result]]:
        """The names in the directory `path` ("" is the root), each with what lstat says; in no order."""
