"""Folders that one process of ours changes at a time."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from typing import Final

if sys.platform != "win32":
    import fcntl

__all__ = ["locked"]

_MAX_TRIES: Final = 600  # tries of 0.1 s, where the system has no lock that waits

if sys.platform == "win32":

    @contextlib.contextmanager
    def locked(folder: str) -> Iterator[None]:
        """Let no other process of ours into such a block for `folder`; the lock is a file in it, as Windows locks none.

        Raises OSError if the lock cannot be had within a minute.
        """
        lock = os.path.join(folder, ".wclayer.lock")
        for number in range(_MAX_TRIES):
            try:
                # Windows does not delete a file that is open, and deletes this one when it is closed.
                fd = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_TEMPORARY)
                break
            except (FileExistsError, PermissionError):
                if number == _MAX_TRIES - 1:
                    raise
                time.sleep(0.1)
        try:
            yield
        finally:
            os.close(fd)

else:

    @contextlib.contextmanager
    def locked(folder: str) -> Iterator[None]:
        """Let no other process of ours into such a block for `folder`; without locks in the file system, go on."""
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            with contextlib.suppress(OSError):
                fcntl.flock(fd, fcntl.LOCK_EX)
            yield
        finally:
            os.close(fd)
