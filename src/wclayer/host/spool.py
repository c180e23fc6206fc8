"""Bodies put aside: their allocated bytes, one after the other, in one temporary file that has no name."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from typing import BinaryIO, Final, Self, cast

from ..body import HoledBody
from ..entry import Body
from ..errors import StorageError
from .errors import host_errors

__all__ = ["EMPTY", "Spool", "Spooled"]


@dataclass(frozen=True, slots=True)
class Spooled:
    """Where a body of `size` bytes is; extents: its allocated (offset, length)."""

    offset: int
    size: int
    extents: tuple[tuple[int, int], ...]


EMPTY: Final = Spooled(0, 0, ())


class Spool:
    """The temporary file, in `folder` (None: the system's place), made when something is first put into it.

    Closed by close(), or as a context manager. Raises StorageError and its kin.
    """

    def __init__(self, folder: str | os.PathLike[str] | None = None) -> None:
        self._folder = folder
        self._name = os.fspath(folder or tempfile.gettempdir())
        self._file: BinaryIO | None = None
        self._end = 0

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def put(self, body: Body, path: str | None = None) -> Spooled:
        """Read `body`, of the entry `path`, and keep it. Raises StorageError if it ends before its extents do."""
        start = self._end
        extents: list[tuple[int, int]] = []
        with host_errors(self._name):
            if self._file is None:
                self._file = cast("BinaryIO", tempfile.TemporaryFile(dir=self._folder, prefix="wclayer-"))
            self._file.seek(start)
            for offset, data in body.chunks():
                self._file.write(data)
                self._end += len(data)
                if extents and sum(extents[-1]) == offset:
                    extents[-1] = extents[-1][0], extents[-1][1] + len(data)
                else:
                    extents.append((offset, len(data)))
        expected = sum(length for _, length in body.extents())
        if self._end - start != expected:
            raise StorageError(
                "the data are not as long as their entry says",
                path=path,
                expected=f"{expected:,} bytes",
                got=f"{self._end - start:,}",
                hint="did the file change while it was read?",
            )
        return Spooled(start, body.size, tuple(extents))

    def open(self, spooled: Spooled) -> Body:
        """What was put, as a new body; several may be read by turns."""
        position = spooled.offset

        def read(n: int) -> bytes:
            nonlocal position
            if self._file is None:
                return b""
            with host_errors(self._name):
                self._file.seek(position)
                data = self._file.read(n)
            position += len(data)
            return data

        return HoledBody(spooled.size, spooled.extents, read)
