"""The host's errors in wclayer's own tree."""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from ..errors import (
    AccessError,
    AlreadyExistsError,
    ConfinementError,
    InexpressibleError,
    NotFoundError,
    StorageError,
    UnsupportedError,
    WclayerError,
)
from ..win32.names import long_path

__all__ = ["absolute", "host_errors", "names_in", "shown", "translate"]

_CLASSES: dict[int, tuple[type[WclayerError], str | None]] = {
    errno.ENOENT: (NotFoundError, None),
    errno.EEXIST: (AlreadyExistsError, None),
    errno.ENOTEMPTY: (AlreadyExistsError, None),
    errno.EACCES: (AccessError, None),
    errno.EPERM: (AccessError, None),
    errno.EROFS: (AccessError, "the file system is mounted read-only"),
    errno.ENOSPC: (StorageError, "make room on the target's file system, or choose another one"),
    errno.ENOTDIR: (ConfinementError, "a folder on the way is no folder"),
    errno.ELOOP: (ConfinementError, "a symlink stands where a file or folder must be"),
    errno.ENAMETOOLONG: (InexpressibleError, "the host cannot hold a path of this length"),
    errno.EFBIG: (InexpressibleError, "the host's file system cannot hold a file of this size"),
}
if hasattr(errno, "EDQUOT"):
    _CLASSES[errno.EDQUOT] = (StorageError, "the disk quota is used up")


def shown(path: str | bytes | os.PathLike[str]) -> str:
    """A host path as messages show it: without the prefix of long paths."""
    text = os.fsdecode(path)
    if text.startswith("\\\\?\\UNC\\"):
        return f"\\{text[7:]}"
    return text.removeprefix("\\\\?\\")


def absolute(path: str | bytes | os.PathLike[str]) -> bytes:
    """A host path from the root, on Windows in the form that has no limit of 260 characters."""
    full = os.path.abspath(os.fsencode(path))
    return full if os.name != "nt" else os.fsencode(long_path(os.fsdecode(full)))


# Of Windows, by its own numbers, which errno has fewer of.
_WINDOWS: Final[dict[int, tuple[type[WclayerError], str | None]]] = {
    5: (AccessError, "run it as administrator (an elevated prompt)"),
    17: (InexpressibleError, "a hard link to another volume: layers that share files must lie on one volume"),
    32: (StorageError, "another process has it open: close that, or unmount the layer, and try again"),
    120: (UnsupportedError, None),
    50: (UnsupportedError, "it needs NTFS on Windows"),
    123: (InexpressibleError, "Windows has no such names; --plain keeps it in layer.db, under a name of its own"),
    145: (AlreadyExistsError, None),
    267: (ConfinementError, "a folder on the way is no folder"),
    206: (InexpressibleError, "the path is too long for Windows"),
    1142: (InexpressibleError, "NTFS lets a file have 1,024 names at the most"),
    1314: (AccessError, "run it as administrator (an elevated prompt)"),
    4390: (ConfinementError, "a folder or file where a link must be"),
}


def translate(error: OSError, path: str) -> WclayerError:
    """`error`, met at `path` (an entry's or a host path), as one of ours; what is unknown is a StorageError."""
    number = getattr(error, "winerror", None)
    cls, hint = _WINDOWS.get(number or 0) or _CLASSES.get(error.errno or 0, (StorageError, None))
    return cls(error.strerror or str(error), path=path, hint=hint)


def names_in(folder: str) -> list[str]:
    """The names in a folder. Raises NotADirectoryError for a file, of which wine says that its name is invalid."""
    try:
        return os.listdir(folder)
    except OSError:
        if os.path.isfile(folder):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), folder) from None
        raise


@contextmanager
def host_errors(path: str) -> Iterator[None]:
    """Turn an OSError of the block, or one of SQLite's, into one of ours, about `path`."""
    try:
        yield
    except WclayerError:
        raise
    except OSError as error:
        raise translate(error, path) from error
    except sqlite3.Error as error:
        raise StorageError(f"layer.db cannot be written: {error}", path=path) from error
