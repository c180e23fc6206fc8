"""The cells of a hive: the bins are scanned once, then each cell is given out at most once.

One owner for each cell bounds the work on a hostile hive: lists that lead back to
themselves, or a thousand keys that share one list, end at the first repetition.
"""

from __future__ import annotations

from typing import Final

from . import layout as lay
from .findings import Findings

__all__ = ["Cells", "scan_bins"]

_NONE: Final = 0
_FREE: Final = 1
_TAKEN: Final = 2
_ALLOCATED: Final = 3
_STATES: Final = {_NONE: "where no cell begins", _FREE: "a free cell", _TAKEN: "already in use"}


class Cells:
    """The cells of a hive by their offsets."""

    def __init__(self, data: bytes, states: bytearray, findings: Findings) -> None:
        self.data = data
        self._states = states  # a byte for each place where a cell can begin: an eighth of the size of the bins
        self._findings = findings

    def take(self, offset: int, at: int, what: str, minimum: int = 0) -> tuple[int, int] | None:
        """Take the cell at `offset`, which nobody took before; return position and size, in bytes, of its content.

        Returns None, with a finding, if there is no such cell, or if its content has less than `minimum` bytes. For the
        finding are `what` the cell is for, and `at`, the position of the field that leads to it.
        """
        place = offset // lay.CELL_UNIT
        if offset % lay.CELL_UNIT or place >= len(self._states) or self._states[place] != _ALLOCATED:
            self._findings.error(at, f"{what} without a cell of its own", "an allocated cell", self._instead(offset))
            return None
        self._states[place] = _TAKEN
        position = lay.BASE_BLOCK_SIZE + offset
        content = -lay.CELL.unpack_from(self.data, position)[0] - lay.CELL.size
        if content < minimum:
            self._findings.error(position, f"{what} larger than its cell", f"at least {minimum} bytes", content)
            return None
        return position + lay.CELL.size, content

    def _instead(self, offset: int) -> str:
        if offset == lay.NIL:
            return "none"
        place, odd = divmod(offset, lay.CELL_UNIT)
        state = _NONE if odd or place >= len(self._states) else self._states[place]
        return f"offset {offset:#x}, {_STATES[state]}"


def scan_bins(data: bytes, size: int, findings: Findings) -> Cells:
    """Scan the first `size` bytes of bins, or as many as there are, for their cells. Work is linear in the size."""
    position = lay.BASE_BLOCK_SIZE
    end = min(position + size, len(data))
    states = bytearray(max(0, end - position) // lay.CELL_UNIT)
    while position < end:
        if end - position < lay.BIN.size:
            findings.error(position, "a hive bin cut off", f"at least {lay.BIN.size} bytes", end - position)
            break
        signature, offset, bin_size, _, _ = lay.BIN.unpack_from(data, position)
        if signature != lay.BIN_SIGNATURE:
            findings.error(position, "not a hive bin", lay.BIN_SIGNATURE, signature)
            break  # its size field means nothing either
        if offset != position - lay.BASE_BLOCK_SIZE:
            findings.error(position + 4, "the offset in a hive bin", hex(position - lay.BASE_BLOCK_SIZE), hex(offset))
        if not 0 < bin_size <= end - position or bin_size % lay.PAGE:
            expected = f"a multiple of {lay.PAGE}, at most {end - position}"
            findings.error(position + 8, "the size of a hive bin", expected, bin_size)
            break
        _scan_cells(data, position, bin_size, states, findings)
        position += bin_size
    return Cells(data, states, findings)


def _scan_cells(data: bytes, start: int, size: int, states: bytearray, findings: Findings) -> None:
    """Note the cells of the bin at the position `start`, up to a malformed one: where the next begins is unknown."""
    position, end = start + lay.BIN.size, start + size
    read = lay.CELL.unpack_from
    while position < end:
        (cell,) = read(data, position)
        length = abs(cell)
        if not lay.CELL_UNIT <= length <= end - position or length % lay.CELL_UNIT:
            expected = f"a multiple of {lay.CELL_UNIT}, at most {end - position}"
            findings.error(position, "the size of a cell", expected, length)
            return
        states[(position - lay.BASE_BLOCK_SIZE) // lay.CELL_UNIT] = _ALLOCATED if cell < 0 else _FREE
        position += length
