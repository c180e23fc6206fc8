"""A file that takes the place of another, with all that the file system knows of that."""

from __future__ import annotations

import contextlib
import os
import stat
import sys
from collections.abc import Iterator
from typing import BinaryIO

from ..host.errors import host_errors
from .atomic import partial_file
from .ntfs3g.mount import carry_over

__all__ = ["replaced_file"]


@contextlib.contextmanager
def replaced_file(path: str) -> Iterator[BinaryIO]:
    """A binary file to write to, which takes the place of the file `path`, with its permissions, when the context ends
    without an error; on NTFS, with all that it has. A symlink stays, and leads to the new file. Raises NotFoundError
    for no file.
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
            rest = carry_over(real, stream.name)
    with host_errors(path):
        rest()
