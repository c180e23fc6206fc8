"""A file that takes the place of another, with all that the file system knows of that."""

from __future__ import annotations

import contextlib
import os
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import BinaryIO

from ..errors import StorageError
from ..host.errors import host_errors
from ..host.locks import locked
from .atomic import partial_file
from .ntfs3g.mount import carry_over

__all__ = ["changed_in_place", "replaced_file"]


@contextlib.contextmanager
def changed_in_place(path: str) -> Iterator[Callable[[], AbstractContextManager[BinaryIO]]]:
    """Read the file `path` and replace it: gives what opens its successor, as replaced_file() does.

    Of several processes of ours that do so at once, each reads what the one before wrote. Raises StorageError where
    another program has changed the file since the block began.
    """
    real = os.path.realpath(path)
    with contextlib.ExitStack() as stack:
        with host_errors(path):
            stack.enter_context(locked(os.path.dirname(real)))
            read = _version(real)
        yield lambda: replaced_file(path, read)


def _version(real: str) -> tuple[int, ...]:
    found = os.stat(real)
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


@contextlib.contextmanager
def replaced_file(path: str, read: tuple[int, ...] | None = None) -> Iterator[BinaryIO]:
    """A binary file to write to, which takes the place of the file `path`, with its permissions, when the context ends
    without an error; on NTFS, with all that it has. A symlink stays, and leads to the new file. Raises NotFoundError
    for no file, StorageError for one that is no longer what was `read`.
    """
    real = os.path.realpath(path)
    with host_errors(path):
        mode = stat.S_IMODE(os.stat(real).st_mode)
    with partial_file(real, force=True, same=True) as stream:
        if sys.platform != "win32":
            with host_errors(path):
                os.fchmod(stream.fileno(), mode)
        yield stream
        stream.flush()
        with host_errors(path):
            if read is not None and _version(real) != read:
                raise StorageError(
                    "another program has changed the file meanwhile", path=path, hint="it is as that left it: try again"
                )
            rest = carry_over(real, stream.name)
    with host_errors(path):
        rest()
