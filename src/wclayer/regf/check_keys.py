"""Check the keys of a hive: a walk from the root over each key, its lists of subkeys, and the cells it refers to."""

from __future__ import annotations

from typing import Final, NamedTuple

from . import layout as lay
from .base_block import BaseBlock
from .cells import Cells
from .check_layers import check_layer
from .check_security import SecurityCheck
from .check_values import ValueCheck
from .findings import Findings
from .model import Place
from .names import decode_name, key_order, name_hash, utf16_length

__all__ = ["check_keys"]

# Offsets of the fields in an nk cell.
_FLAGS: Final = 2
_PARENT: Final = 16
_SUBKEYS: Final = 20
_SUBKEY_LIST: Final = 28
_VALUES: Final = 36
_VALUE_LIST: Final = 40
_SECURITY: Final = 44
_CLASS: Final = 48
_MAX_NAME: Final = 52
_MAX_CLASS: Final = 56
_MAX_VALUE_NAME: Final = 60
_MAX_DATA: Final = 64
_NAME_LENGTH: Final = 72

_ON_DISK_NEVER: Final = lay.KEY_VOLATILE | lay.KEY_HIVE_EXIT


class _Key(NamedTuple):
    """A key that was found, and whose cells are not checked yet."""

    offset: int
    position: int  # of the cell's content, which is read again: many keys may wait, so each keeps little
    place: Place
    depth: int
    class_length: int
    layer: int


def check_keys(cells: Cells, base: BaseBlock, findings: Findings) -> None:
    """Check all keys, from the root that `base` refers to. Work is bounded by the number of cells."""
    _Walk(cells, base, findings).run(base.root)


class _Walk:
    def __init__(self, cells: Cells, base: BaseBlock, findings: Findings) -> None:
        self._cells = cells
        self._findings = findings
        self._security = SecurityCheck(cells, findings)
        self._values = ValueCheck(cells, findings, base)
        self._differencing = base.differencing
        self._minor = base.minor

    def run(self, root: int) -> None:
        key = self._open(root, lay.ROOT_CELL_AT, None)
        stack = [] if key is None else [key]
        while stack:
            stack += reversed(self._look_into(stack.pop()))
        self._findings.place = None
        self._security.finish()

    def _open(self, offset: int, at: int, parent: _Key | None) -> _Key | None:
        """Return the key in the cell at `offset`, its own fields checked; None if its name is unreadable."""
        cell = self._cells.take(offset, at, "a key", lay.KEY.size)
        if cell is None:
            return None
        position, room = cell
        fields = self._fields(position)
        findings = self._findings
        if fields.signature != lay.KEY_SIGNATURE:
            findings.error(position, "not a key", lay.KEY_SIGNATURE, fields.signature)
            return None
        compressed = bool(fields.flags & lay.KEY_COMP_NAME)
        length, limit = fields.name_length, min(room - lay.KEY.size, lay.MAX_KEY_NAME * (1 if compressed else 2))
        if not 0 < length <= limit or (length % 2 and not compressed):
            expected = f"1 to {limit} bytes{'' if compressed else ', even'}"
            findings.error(position + _NAME_LENGTH, "the name of a key", expected, length)
            return None
        start = position + lay.KEY.size
        name = decode_name(self._cells.data[start : start + length], compressed)
        place = Place(name, parent and parent.place)
        findings.place = place
        if "\\" in name:
            findings.warning(start, "a backslash in the name of a key, which no path can reach", "none", repr(name))
        self._check_place(fields, position, parent)
        findings.place = parent and parent.place
        depth = 1 if parent is None else parent.depth + 1
        return _Key(offset, position, place, depth, fields.class_length, fields.layer)

    def _fields(self, position: int) -> lay.KeyCell:
        return lay.KeyCell._make(lay.KEY.unpack_from(self._cells.data, position))

    def _check_place(self, fields: lay.KeyCell, position: int, parent: _Key | None) -> None:
        findings, flags = self._findings, fields.flags
        if parent is None:
            # ORCreateHive, by which hcsshim makes the hives of base layers, sets neither of the two flags.
            if flags & lay.ROOT_FLAGS not in (0, lay.ROOT_FLAGS):
                findings.warning(position + _FLAGS, "the flags of the root", "4 and 8, or none of them", hex(flags))
        else:
            if fields.parent != parent.offset:
                findings.error(position + _PARENT, "the parent of a key", hex(parent.offset), hex(fields.parent))
            if flags & lay.KEY_HIVE_ENTRY:
                findings.warning(
                    position + _FLAGS, "a key below the root with the root's flag", "no flag 4", hex(flags)
                )
        if flags & _ON_DISK_NEVER:
            findings.warning(position + _FLAGS, "a key that belongs only in memory", "no flag 1 or 2", hex(flags))
        if flags & lay.KEY_PREDEF_HANDLE and (self._differencing or parent is None):
            # Windows had two of them below Perflib, in ordinary hives. A merge cannot keep one.
            findings.warning(position + _FLAGS, "a key that is a predefined handle", "no flag 0x40", hex(flags))
        check_layer(fields, position, None if parent is None else parent.layer, findings, self._differencing)

    def _look_into(self, key: _Key) -> list[_Key]:
        """Check the cells that `key` refers to, and return its subkeys."""
        findings, cell, at = self._findings, self._fields(key.position), key.position
        findings.place = key.place
        self._security.use(cell.security, at + _SECURITY)
        if cell.class_cell != lay.NIL:
            self._cells.take(cell.class_cell, at + _CLASS, "a class name", cell.class_length)
        elif cell.class_length:
            findings.error(at + _CLASS, "a class name without a cell", f"a cell of {cell.class_length} bytes", "none")
        value_name = value_data = 0
        if cell.flags & lay.KEY_PREDEF_HANDLE:
            pass  # the field holds the handle, not a number of values
        elif cell.values:
            value_name, value_data = self._values.check(cell.value_list, cell.values, at + _VALUE_LIST)
        elif cell.value_list != lay.NIL:
            findings.warning(at + _VALUE_LIST, "a list of values, but no values", "none", hex(cell.value_list))
        subkeys: list[_Key] = []
        if cell.subkeys:
            subkeys = self._subkeys(key, cell)
        elif cell.subkey_list != lay.NIL:
            findings.warning(at + _SUBKEY_LIST, "a list of subkeys, but no subkeys", "none", hex(cell.subkey_list))
        name = max((utf16_length(sub.place.name) for sub in subkeys), default=0)
        class_name = max((sub.class_length for sub in subkeys), default=0)
        for field, noted, actual, what in (
            (_MAX_NAME, cell.max_name & 0xFFFF, name, "subkey's name"),
            (_MAX_CLASS, cell.max_class, class_name, "subkey's class"),
            (_MAX_VALUE_NAME, cell.max_value_name, value_name, "value's name"),
            (_MAX_DATA, cell.max_value_data, value_data, "value's data"),
        ):
            # A field too large remains when the largest was deleted. One too small makes programs read too little.
            if noted < actual:
                findings.warning(at + field, f"the largest {what}", f"at least {actual} bytes", noted)
        return subkeys

    # Subkeys

    def _subkeys(self, key: _Key, cell: lay.KeyCell) -> list[_Key]:
        at = key.position + _SUBKEY_LIST
        if key.depth == lay.MAX_DEPTH:
            self._findings.error(at, "subkeys too deep", f"at most {lay.MAX_DEPTH} levels", lay.MAX_DEPTH + 1)
            return []
        found: list[_Key] = []
        listed = 0
        last = b""
        for leaf, count, position, signature in self._leaves(cell.subkey_list, at):
            listed += count
            if not count:
                self._findings.warning(position, "an empty leaf of subkeys", "at least one", 0)
            step = lay.UINT32.size if signature == lay.LEAF_INDEX else lay.ELEMENT.size
            for place in range(leaf, leaf + step * count, step):
                (offset,) = lay.UINT32.unpack_from(self._cells.data, place)
                sub = self._open(offset, place, key)
                if sub is None:
                    continue
                last = self._ordered(sub, last, place)
                if signature == lay.LEAF_HASHED:
                    self._hashed(last, place)
                elif signature == lay.LEAF_FAST:
                    self._hinted(sub.place.name, place)
                found.append(sub)
        if listed != cell.subkeys:
            self._findings.error(key.position + _SUBKEYS, "the number of subkeys", listed, cell.subkeys)
        return found

    def _leaves(self, offset: int, at: int) -> list[tuple[int, int, int, bytes]]:
        """Return of each leaf in order: the position of its elements, their number, its position, its signature."""
        top = self._list(
            offset, at, "a list of subkeys", (lay.LEAF_HASHED, lay.LEAF_FAST, lay.LEAF_INDEX, lay.ROOT_INDEX)
        )
        if top is None or top[3] != lay.ROOT_INDEX:
            return [] if top is None else [top]
        leaves: list[tuple[int, int, int, bytes]] = []
        elements, count, _, _ = top
        for place in range(elements, elements + lay.UINT32.size * count, lay.UINT32.size):
            (leaf,) = lay.UINT32.unpack_from(self._cells.data, place)
            found = self._list(leaf, place, "a leaf of subkeys", (lay.LEAF_HASHED, lay.LEAF_FAST, lay.LEAF_INDEX))
            if found is not None:
                leaves.append(found)
        return leaves

    def _list(self, offset: int, at: int, what: str, allowed: tuple[bytes, ...]) -> tuple[int, int, int, bytes] | None:
        cell = self._cells.take(offset, at, what, lay.LIST.size)
        if cell is None:
            return None
        position, room = cell
        signature, count = lay.LIST.unpack_from(self._cells.data, position)
        if signature not in allowed:
            self._findings.error(position, f"not {what}", b" ".join(allowed), signature)
            return None
        if signature == lay.LEAF_HASHED and self._minor < lay.MINOR_XP:
            self._findings.warning(position, "a leaf of hashes", f"none in version 1.{self._minor}", signature)
        step = lay.ELEMENT.size if signature in (lay.LEAF_HASHED, lay.LEAF_FAST) else lay.UINT32.size
        fitting = (room - lay.LIST.size) // step
        if count > fitting:
            self._findings.error(position + 2, f"{what} larger than its cell", f"at most {fitting} elements", count)
            return None
        return position + lay.LIST.size, count, position, signature

    def _ordered(self, sub: _Key, last: bytes, at: int) -> bytes:
        """Check that `sub` comes after the subkey whose order is `last`, and return its own order."""
        order = key_order(sub.place.name)
        if order <= last:
            message = "two subkeys of one name" if order == last else "a subkey out of order"
            previous = last.decode("utf-16-be", "surrogatepass")
            self._findings.error(at, message, f"one after {previous!r}", repr(sub.place.name))
        return order

    def _hashed(self, order: bytes, at: int) -> None:
        _, noted = lay.ELEMENT.unpack_from(self._cells.data, at)
        if noted != (actual := name_hash(order)):
            self._findings.error(at + 4, "the hash of a subkey's name", f"{actual:#010x}", f"{noted:#010x}")

    def _hinted(self, name: str, at: int) -> None:
        """Check a hint as the kernel uses it: without regard to case, up to its first zero byte."""
        hint = self._cells.data[at + 4 : at + lay.ELEMENT.size].split(b"\0", 1)[0].decode("latin-1")
        if not key_order(name).startswith(key_order(hint)):
            self._findings.error(at + 4, "the hint at a subkey's name", repr(name[: lay.HINT]), repr(hint))
