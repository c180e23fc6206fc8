"""Layer tars that callers give, as a path or as a binary file object."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, TypeAlias

from ..errors import NotFoundError
from ..host.errors import host_errors
from ..stores.atomic import partial_file

__all__ = ["TarFile", "tar_input", "tar_output"]

TarFile: TypeAlias = str | os.PathLike[str] | BinaryIO


@contextmanager
def tar_input(source: TarFile) -> Iterator[BinaryIO]:
    """The tar to read; a file object stays open. Raises NotFoundError."""
    if not isinstance(source, str | os.PathLike):
        yield source
        return
    path = os.fspath(source)
    with host_errors(path):
        try:
            stream = open(path, "rb")
        except FileNotFoundError:
            raise NotFoundError("no such file", path=path) from None
    with stream:
        yield stream


@contextmanager
def tar_output(output: TarFile, *, force: bool = False) -> Iterator[BinaryIO]:
    """Where to write a tar. At a path it appears when the block ends without an error; a file object stays open.

    force: replace the file at the path. Raises AlreadyExistsError without it.
    """
    if not isinstance(output, str | os.PathLike):
        yield output
        return
    with partial_file(os.fspath(output), force=force) as stream:
        yield stream
