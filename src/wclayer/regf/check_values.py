"""Check the values of a key: their list, names, and data (in the vk cell, in a cell of their own, in segments)."""

from __future__ import annotations

from typing import Final

from . import layout as lay
from .base_block import BaseBlock
from .cells import Cells
from .findings import Findings
from .names import decode_name, key_order, utf16_length

__all__ = ["ValueCheck"]

_NAME_LENGTH, _DATA_SIZE, _DATA, _TYPE, _FLAGS = 2, 4, 8, 12, 16  # offsets of the fields in a vk cell
_SEGMENTS, _SEGMENT_LIST = 2, 4  # and in a db cell
_KNOWN_FLAGS: Final = lay.VALUE_COMP_NAME | lay.VALUE_TOMBSTONE


class ValueCheck:
    """Checks of the values of a hive with the base block `base`."""

    def __init__(self, cells: Cells, findings: Findings, base: BaseBlock) -> None:
        self._cells = cells
        self._findings = findings
        self._big_data = base.minor >= lay.MINOR_BIG_DATA
        self._differencing = base.differencing

    def check(self, offset: int, count: int, at: int) -> tuple[int, int]:
        """Check `count` values whose list is in the cell at `offset`; `at` is the position of the field with it.

        Returns the size of the largest name, as UTF-16, and of the largest data, both in bytes.
        """
        cell = self._cells.take(offset, at, "a list of values", 4 * count)
        if cell is None:
            return 0, 0
        position, _ = cell
        names: set[bytes] = set()
        largest_name = largest_data = 0
        for number in range(count):
            place = position + 4 * number
            (value,) = lay.UINT32.unpack_from(self._cells.data, place)
            found = self._value(value, place)
            if found is None:
                continue
            name, size = found
            order = key_order(name)
            if order in names:
                # Windows keeps both, and finds the first.
                self._findings.warning(
                    place, "two values of one name", "names that differ by more than case", repr(name)
                )
            names.add(order)
            largest_name = max(largest_name, utf16_length(name))
            largest_data = max(largest_data, size)
        return largest_name, largest_data

    def _value(self, offset: int, at: int) -> tuple[str, int] | None:
        """Return the name of a value and the size of its data; None if the name is unreadable."""
        cell = self._cells.take(offset, at, "a value", lay.VALUE.size)
        if cell is None:
            return None
        position, room = cell
        signature, length, size, data, kind, flags, _ = lay.VALUE.unpack_from(self._cells.data, position)
        if signature != lay.VALUE_SIGNATURE:
            self._findings.error(position, "not a value", lay.VALUE_SIGNATURE, signature)
            return None
        if flags & ~_KNOWN_FLAGS:
            self._findings.warning(position + _FLAGS, "the flags of a value", f"none but {_KNOWN_FLAGS:#x}", hex(flags))
        if flags & lay.VALUE_TOMBSTONE:
            self._check_tombstone(position, kind)
        compressed = bool(flags & lay.VALUE_COMP_NAME)
        limit = min(room - lay.VALUE.size, lay.MAX_VALUE_NAME * (1 if compressed else 2))
        if length > limit or (length % 2 and not compressed):
            expected = f"at most {limit} bytes{'' if compressed else ', even'}"
            self._findings.error(position + _NAME_LENGTH, "the name of a value", expected, length)
            self._data(position, size, data, flags)
            return None
        start = position + lay.VALUE.size
        name = decode_name(self._cells.data[start : start + length], compressed)
        self._findings.value = name
        size = self._data(position, size, data, flags)
        self._findings.value = None
        return name, size

    def _check_tombstone(self, value: int, kind: int) -> None:
        if not self._differencing:
            self._findings.warning(
                value + _FLAGS, "a deleted value in a hive that is not differencing", "no flag 2", "flag 2"
            )
        elif kind:
            self._findings.warning(value + _TYPE, "the type of a deleted value", 0, kind)

    def _data(self, value: int, size: int, offset: int, flags: int) -> int:
        """Check the data of the value at the position `value`, and return its size in bytes."""
        findings = self._findings
        at = value + _DATA
        if flags & lay.VALUE_TOMBSTONE and self._differencing:
            if size or offset != lay.NIL:
                findings.warning(at, "data of a deleted value", "none", f"{size} bytes")
            return 0
        if size & lay.INLINE:
            size &= ~lay.INLINE
            if size > lay.MAX_INLINE:
                expected = f"at most {lay.MAX_INLINE} bytes"
                findings.error(value + _DATA_SIZE, "data inside the value cell", expected, size)
                return 0
            return size
        if not size:
            if offset != lay.NIL:
                findings.error(at, "a cell for empty data", "none", hex(offset))
        elif self._big_data and size > lay.SEGMENT:
            self._segments(size, offset, at)
        else:
            self._cells.take(offset, at, "the data of a value", size)
        return size

    def _segments(self, size: int, offset: int, at: int) -> None:
        cell = self._cells.take(offset, at, "big data", lay.BIG_DATA.size)
        if cell is None:
            return
        position, room = cell
        signature, count, segments = lay.BIG_DATA.unpack_from(self._cells.data, position)
        if room >= size and (signature, count) != (lay.BIG_DATA_SIGNATURE, lay.segment_count(size)):
            expected = f"segments, as it has more than {lay.SEGMENT:,} bytes"
            self._findings.error(position, "big data in one cell, as hivex writes it", expected, f"{size:,} bytes")
            return
        if signature != lay.BIG_DATA_SIGNATURE:
            self._findings.error(position, "not big data", lay.BIG_DATA_SIGNATURE, signature)
            return
        if count != lay.segment_count(size):
            expected = f"{lay.segment_count(size)} for {size} bytes"
            self._findings.error(position + _SEGMENTS, "the number of segments of big data", expected, count)
            return
        cell = self._cells.take(segments, position + _SEGMENT_LIST, "the list of segments", 4 * count)
        if cell is None:
            return
        position, _ = cell
        for number in range(count):
            place = position + 4 * number
            (segment,) = lay.UINT32.unpack_from(self._cells.data, place)
            part = min(lay.SEGMENT, size - number * lay.SEGMENT)
            self._cells.take(segment, place, "a segment of big data", part)
