"""Check the security (sk) cells of a hive: descriptors, the ring that links them, and their reference counts."""

from __future__ import annotations

from . import layout as lay
from .cells import Cells
from .check_descriptor import check_descriptor
from .findings import Findings

__all__ = ["SecurityCheck"]

_FLINK, _BLINK, _REFERENCES, _SIZE = 4, 8, 12, 16  # offsets of the fields in an sk cell


class SecurityCheck:
    """The security cells found on a walk over the keys. Many keys share one, so only the first one takes it."""

    def __init__(self, cells: Cells, findings: Findings) -> None:
        self._cells = cells
        self._findings = findings
        self._known: dict[int, tuple[int, int, int, int] | None] = {}  # position, next, previous, counted; None: broken
        self._used: dict[int, int] = {}
        self._descriptors: set[bytes] = set()

    def use(self, offset: int, at: int) -> None:
        """Note that a key uses the cell at `offset`; `at` is the position of its field."""
        if offset not in self._known:
            self._known[offset] = self._read(offset, at)
        self._used[offset] = self._used.get(offset, 0) + 1

    def finish(self) -> None:
        """Check the ring and the reference counts, after the walk."""
        first = next((offset for offset in self._used if self._known[offset] is not None), None)
        ring = set() if first is None else self._ring(first)
        for offset, cell in self._known.items():
            if cell is None:
                continue
            position, _, _, counted = cell
            if offset not in ring:
                self._findings.error(position + _FLINK, "a security descriptor outside the ring of descriptors")
            # The kernel counts again when it loads a hive, so this is harmless.
            if counted != (used := self._used.get(offset, 0)):
                self._findings.warning(position + _REFERENCES, "the number of keys with a descriptor", used, counted)

    def _ring(self, first: int) -> set[int]:
        """Follow the ring from `first` until a cell repeats or is malformed, and return its cells."""
        ring: set[int] = set()
        offset = first
        while (cell := self._known[offset]) is not None:
            ring.add(offset)
            position, following, _, _ = cell
            if following not in self._known:
                self._known[following] = self._read(following, position + _FLINK)
            after = self._known[following]
            if after is not None and after[2] != offset:
                self._findings.error(after[0] + _BLINK, "the descriptor before this one", hex(offset), hex(after[2]))
            if following in ring:
                if following != first:
                    self._findings.error(position + _FLINK, "the ring of descriptors", hex(first), hex(following))
                break
            offset = following
        return ring

    def _read(self, offset: int, at: int) -> tuple[int, int, int, int] | None:
        cell = self._cells.take(offset, at, "a security descriptor", lay.SECURITY.size)
        if cell is None:
            return None
        position, room = cell
        data = self._cells.data
        signature, _, following, previous, references, size = lay.SECURITY.unpack_from(data, position)
        if signature != lay.SECURITY_SIGNATURE:
            self._findings.error(position, "not a security cell", lay.SECURITY_SIGNATURE, signature)
            return None
        if size > room - lay.SECURITY.size:
            expected = f"at most {room - lay.SECURITY.size} bytes"
            self._findings.error(position + _SIZE, "a security descriptor larger than its cell", expected, size)
        else:
            start = position + lay.SECURITY.size
            descriptor = data[start : start + size]
            check_descriptor(descriptor, start, self._findings)
            if descriptor in self._descriptors:
                self._findings.warning(
                    start, "a security descriptor that another cell has too", "one cell of each", "two"
                )
            self._descriptors.add(descriptor)
        return position, following, previous, references
