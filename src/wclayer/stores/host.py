"""The host's errors in wclayer's own tree."""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from ..errors import (
    AccessError,
    AlreadyExistsError,
    ConfinementError,
    InexpressibleError,
    NotFoundError,
    StorageError,
    WclayerError,
)

__all__ = ["host_errors", "names_in", "shown", "translate"]

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
    """A host path as messages show it."""
    return os.fsdecode(path)


def translate(error: OSError, path: str) -> WclayerError:
    """`error`, met at `path` (an entry's or a host path), as one of ours; what is unknown is a StorageError."""
    cls, hint = _CLASSES.get(error.errno or 0, (StorageError, None))
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
