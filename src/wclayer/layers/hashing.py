"""Contents of files and streams hashed, those with long holes in a time that what is really there bounds.

A tar of a few kilobytes can hold a file of 2^60 bytes of which all is a hole. So blocks of
64 KiB that are zeros are left out of the digest by which contents are compared: it is the
same whether they are in a hole or written, and however the holes are laid out. Beside it
goes the SHA-256 of all that is in the file, zeros and all, as long as a budget of zeros that
nobody has written lasts, which is one for all that a Hasher hashes.
"""

from __future__ import annotations

import hashlib
from typing import Final, NamedTuple

from ..entry import Body

__all__ = ["Digest", "Hasher", "Hashing"]

_BLOCK: Final = 1 << 16
_BLOCK_OF_ZEROS: Final = bytes(_BLOCK)
_MOST_ZEROS: Final = 1 << 32  # bytes: some seconds


class Digest(NamedTuple):
    """The digest of a content.

    key: equal for equal contents, and for no others, whatever their holes: `sha256:HEX`, or `sha256-nonzero:HEX` of
    a content with a block of zeros. sha256: in hexadecimal, of all of it; None where there were too many holes.
    """

    key: str
    sha256: str | None


class Hasher:
    """Hashes contents. zeros: how many bytes in holes may be hashed in all."""

    def __init__(self, zeros: int = _MOST_ZEROS) -> None:
        self.zeros = zeros  # left

    def begin(self) -> Hashing:
        """For a content that comes in pieces."""
        return Hashing(self)

    def digest(self, body: Body | None) -> Digest:
        """Of a body, which is read; of none, as of no bytes."""
        hashing = self.begin()
        if body is None:
            return hashing.digest(0)
        for offset, data in body.chunks():
            hashing.update(offset, data)
        return hashing.digest(body.size)


class Hashing:
    """A content that is being hashed, from its begin to its end."""

    def __init__(self, hasher: Hasher) -> None:
        self._hasher = hasher
        self._position = 0
        self._begun = bytearray()  # a block that is not whole yet
        self._data = hashlib.sha256()  # what is in no block of zeros
        self._zeros = hashlib.sha256()  # where runs of these blocks are
        self._run = 0, 0  # the last of them: from, to
        self._all = self._data  # everything: another one from the first block of zeros on
        self._has_all = True

    def update(self, offset: int, data: bytes) -> None:
        """Take what is at `offset`; what lies between it and what came before is a hole."""
        self._hole(offset)
        at = 0
        if self._begun:
            at = min(_BLOCK - len(self._begun), len(data))
            self._begin(data[:at])
        view = memoryview(data)
        first, end = at, len(data) - (len(data) - at) % _BLOCK
        while at < end:
            if data.startswith(_BLOCK_OF_ZEROS, at):
                self._add(view[first:at])
                self._add_zeros(_BLOCK, hole=False)
                first = at + _BLOCK
            at += _BLOCK
        self._add(view[first:end])
        if end < len(data):
            self._begun += view[end:]
            self._position += len(data) - end

    def digest(self, size: int) -> Digest:
        """Of all of it, `size` bytes; nothing may follow."""
        self._hole(size)
        self._position -= len(self._begun)
        self._add(self._begun)  # zeros too: what is no whole block counts as it is
        sha256 = self._all.hexdigest() if self._has_all else None
        if self._all is self._data:
            return Digest(f"sha256:{sha256}", sha256)
        self._end_run()
        key = hashlib.sha256(self._data.digest() + self._zeros.digest() + b"%d" % size).hexdigest()
        return Digest(f"sha256-nonzero:{key}", sha256)

    def _hole(self, end: int) -> None:
        if self._begun and self._position < end:
            self._begin(bytes(min(_BLOCK - len(self._begun), end - self._position)))
        if end - self._position >= _BLOCK:
            self._add_zeros((end - self._position) // _BLOCK * _BLOCK, hole=True)
        if self._position < end:
            self._begin(bytes(end - self._position))

    def _begin(self, data: bytes) -> None:
        """Take a part of a block."""
        self._begun += data
        self._position += len(data)
        if len(self._begun) == _BLOCK:
            block, self._begun = bytes(self._begun), bytearray()
            self._position -= _BLOCK
            if block == _BLOCK_OF_ZEROS:
                self._add_zeros(_BLOCK, hole=False)
            else:
                self._add(block)

    def _add(self, data: bytes | bytearray | memoryview) -> None:
        self._data.update(data)
        if self._all is not self._data and self._has_all:
            self._all.update(data)
        self._position += len(data)

    def _add_zeros(self, length: int, *, hole: bool) -> None:
        """Take blocks of zeros."""
        if self._all is self._data:
            self._all = self._data.copy()
        if self._position != self._run[1]:
            self._end_run()
            self._run = self._position, self._position
        self._position += length
        self._run = self._run[0], self._position
        if not self._has_all:
            return
        if hole:
            if length > self._hasher.zeros:
                self._has_all = False
                return
            self._hasher.zeros -= length
        for _ in range(length // _BLOCK):
            self._all.update(_BLOCK_OF_ZEROS)

    def _end_run(self) -> None:
        self._zeros.update(b"%d,%d;" % self._run)
