"""Write a hive: the same values give the same bytes, on any host and at any time.

Cells are laid out one after the other: a key, its security descriptor if no key before
it had the same, its class name, its values with their data, its list of subkeys, then
each subkey in the order of the list. A cell that does not fit into the bin begins another
bin, and a free cell takes the rest of the first. Padding is zero, and so are the fields
that would tell where and when the hive was written (file name, GUIDs).
"""

from __future__ import annotations

from itertools import pairwise
from typing import Final, NoReturn

from ..errors import InexpressibleError, SecurityDescriptorError
from . import layout as lay
from .check_descriptor import check_descriptor
from .check_layers import IN_A_TREE, LAYER_KNOWN, LET_THROUGH
from .findings import Findings, Severity
from .model import Hive, Key, LayerSemantics, Place, Value
from .names import encode_name, key_hint, key_order, name_hash, utf16_length

__all__ = ["LEAF_ELEMENTS", "write_hive"]

LEAF_ELEMENTS: Final = 500
"""Subkeys in one leaf, which then fits into a page; more subkeys make several leaves under an index."""

_MINORS: Final = range(lay.MINOR_NT4, lay.MINOR_LAYERED + 1)
_MAX_DATA: Final = lay.MAX_CELL - lay.CELL.size  # of data in one cell
_MAX_BIG_DATA: Final = 0xFFFF * lay.SEGMENT
# Flags that the writer sets itself, and flags that exist only in memory.
_FLAGS_REFUSED: Final = lay.KEY_VOLATILE | lay.KEY_HIVE_EXIT | lay.KEY_HIVE_ENTRY | lay.KEY_COMP_NAME


def write_hive(hive: Hive) -> bytes:
    """Encode `hive`.

    Raises InexpressibleError, with the key's path, for what a hive of its version cannot hold, and
    SecurityDescriptorError for a malformed descriptor.
    """
    if hive.minor not in _MINORS:
        raise InexpressibleError("a hive version that cannot be written", expected="1.3 to 1.6", got=f"1.{hive.minor}")
    _uint("a hive's time", hive.last_written, 64, Place(hive.root.name, None))
    return _Writer(hive).write()


def _refuse(message: str, place: Place, expected: object, got: object) -> NoReturn:
    raise InexpressibleError(message, path=place.path(), expected=expected, got=got)


def _uint(what: str, number: int, bits: int, place: Place) -> None:
    if not 0 <= number < 1 << bits:
        _refuse(f"{what} that a hive cannot hold", place, f"an unsigned number of {bits} bits", number)


def _check_descriptor(descriptor: bytes, place: Place) -> None:
    """Refuse a descriptor that Windows would replace; warnings are for the caller to check."""
    findings = Findings()
    check_descriptor(descriptor, 0, findings)
    for found in findings.kept:
        if found.severity is Severity.ERROR:
            raise SecurityDescriptorError(
                found.message, path=place.path(), offset=found.offset, expected=found.expected, got=found.got
            )


def _check_layer(key: Key, place: Place) -> None:
    """Refuse in a differencing hive what `check_layers` reports: what Windows loses or ignores."""
    if key.layer & ~LAYER_KNOWN:
        _refuse("a layer byte", place, f"no bits but {LAYER_KNOWN:#x}", f"{key.layer:#x}")
    if key.semantics is LayerSemantics.TOMBSTONE:
        for count, what in ((key.subkeys, "subkeys"), (key.values, "values"), (key.class_name, "a class name")):
            if count:
                _refuse(f"a deleted key with {what}", place, "none", len(count))
    elif key.inherits_class and key.class_name:
        _refuse("a class name in a key that inherits it", place, "none", f"{len(key.class_name)} bytes")
    if key.semantics is LayerSemantics.SUPERSEDE_TREE:
        for sub in key.subkeys:
            if sub.semantics not in IN_A_TREE:
                _refuse(LET_THROUGH, Place(sub.name, place), "layer semantics 3 or 1", int(sub.semantics))


class _Bins:
    """Hive bins that grow at their end; `data` begins with the first one, so that an offset is an index."""

    def __init__(self, last_written: int) -> None:
        self.data = bytearray()
        self._last_written = last_written
        self._next = 0  # where the next cell goes, in the last bin

    def allocate(self, size: int, place: Place) -> int:
        """Allocate a cell for `size` bytes, all zero, and return its offset."""
        whole = -(-(lay.CELL.size + size) // lay.CELL_UNIT) * lay.CELL_UNIT
        if self._next + whole > len(self.data):
            self._open(whole, place)
        offset = self._next
        lay.CELL.pack_into(self.data, offset, -whole)
        self._next += whole
        return offset

    def store(self, content: bytes, place: Place) -> int:
        """Allocate a cell with `content`, and return its offset."""
        offset = self.allocate(len(content), place)
        self.fill(offset, 0, content)
        return offset

    def fill(self, offset: int, at: int, content: bytes) -> None:
        """Write into the cell at `offset`, `at` bytes after its size field."""
        start = offset + lay.CELL.size + at
        self.data[start : start + len(content)] = content

    def finish(self) -> bytearray:
        """Close the last bin with a free cell, and return all bins."""
        if self._next < len(self.data):
            lay.CELL.pack_into(self.data, self._next, len(self.data) - self._next)
        return self.data

    def _open(self, cell: int, place: Place) -> None:
        self.finish()
        offset = len(self.data)
        size = -(-(lay.BIN.size + cell) // lay.PAGE) * lay.PAGE
        if offset + size > lay.MAX_BINS:
            _refuse("more than a hive can hold", place, f"at most {lay.MAX_BINS:,} bytes", offset + size)
        self.data += bytes(size)
        time = 0 if offset else self._last_written
        lay.BIN.pack_into(self.data, offset, lay.BIN_SIGNATURE, offset, size, time, 0)
        self._next = offset + lay.BIN.size


class _Writer:
    def __init__(self, hive: Hive) -> None:
        self._hive = hive
        self._layered = hive.differencing
        self._bins = _Bins(hive.last_written)
        self._security: dict[bytes, int] = {}  # descriptor -> its cell, in the order of first use
        self._references: dict[int, int] = {}

    def write(self) -> bytes:
        bins = self._bins
        root = None
        # Of each key: its parent's cell, the cell of the leaf that lists it and where in that, its depth, its parent.
        stack: list[tuple[Key, int, int, int, int, Place | None]] = [(self._hive.root, lay.NIL, lay.NIL, 0, 1, None)]
        while stack:
            key, parent, leaf, at, depth, above = stack.pop()
            place = Place(key.name, above)
            if depth > lay.MAX_DEPTH:
                _refuse("a key too deep", place, f"at most {lay.MAX_DEPTH} levels", depth)
            offset, places, subkeys = self._key(key, parent, place)
            if root is None:
                root = offset
            else:
                bins.fill(leaf, at, lay.UINT32.pack(offset))
            below = [(sub, offset, *listed, depth + 1, place) for sub, listed in zip(subkeys, places, strict=True)]
            stack.extend(reversed(below))
        self._link_security()
        return self._base_block(root or 0, bins.finish())

    def _base_block(self, root: int, bins: bytearray) -> bytes:
        base = bytearray(lay.BASE_BLOCK_SIZE)
        hive = self._hive
        head = (lay.BASE_SIGNATURE, 1, 1, hive.last_written, lay.MAJOR, hive.minor, lay.FILE_PRIMARY, lay.FORMAT_MEMORY)
        lay.BASE_BLOCK.pack_into(base, 0, *head, root, len(bins), 1)
        lay.UINT32.pack_into(base, lay.BASE_FLAGS_AT, lay.BASE_LAYERED if self._layered else 0)
        lay.UINT32.pack_into(base, lay.CHECKSUM_AT, lay.base_checksum(base))
        return bytes(base + bins)

    def _key(self, key: Key, parent: int, place: Place) -> tuple[int, list[tuple[int, int]], list[Key]]:
        """Write a key without its subkeys; return its cell, the places for their cells, and the subkeys in order."""
        self._check_key(key, parent == lay.NIL, place)
        stored, compressed = encode_name(key.name)
        offset = self._bins.allocate(lay.KEY.size + len(stored), place)
        security = self._security_cell(key.security, place)
        class_cell = self._bins.store(key.class_name, place) if key.class_name else lay.NIL
        values = self._values(key.values, place)
        subkeys = _sorted(key.subkeys, place)
        index, places = self._subkey_lists(subkeys, place)
        flags = key.flags | (lay.KEY_COMP_NAME if compressed else 0) | (lay.ROOT_FLAGS if parent == lay.NIL else 0)
        cell = lay.KeyCell(
            signature=lay.KEY_SIGNATURE,
            flags=flags,
            last_written=key.last_written,
            access=0,
            layer=key.layer,
            spare=0,
            parent=parent,
            subkeys=len(subkeys),
            volatile_subkeys=0,
            subkey_list=index,
            volatile_subkey_list=lay.NIL,
            values=key.handle or len(key.values),
            value_list=values,
            security=security,
            class_cell=class_cell,
            max_name=key.control << 16 | max((utf16_length(sub.name) for sub in subkeys), default=0),
            max_class=max((len(sub.class_name) for sub in subkeys), default=0),
            max_value_name=max((utf16_length(value.name) for value in key.values), default=0),
            max_value_data=max((len(value.data) for value in key.values), default=0),
            work=0,
            name_length=len(stored),
            class_length=len(key.class_name),
        )
        self._bins.fill(offset, 0, lay.KEY.pack(*cell) + stored)
        return offset, places, subkeys

    def _check_key(self, key: Key, root: bool, place: Place) -> None:
        units = utf16_length(key.name) // 2
        if not 0 < units <= lay.MAX_KEY_NAME:
            _refuse("the name of a key", place, f"1 to {lay.MAX_KEY_NAME} UTF-16 code units", units)
        if "\\" in key.name:
            _refuse("the name of a key", place, "no backslash", repr(key.name))
        if len(key.class_name) > lay.MAX_CLASS:
            _refuse("the class name of a key", place, f"at most {lay.MAX_CLASS} bytes", len(key.class_name))
        _uint("a key's time", key.last_written, 64, place)
        _uint("flags of a key", key.flags, 16, place)
        _uint("control bits of a key", key.control, 16, place)
        _uint("a layer byte", key.layer, 8, place)
        if key.flags & _FLAGS_REFUSED:
            _refuse("flags of a key", place, f"none of {_FLAGS_REFUSED:#x}", f"{key.flags:#x}")
        _uint("the handle of a key", key.handle, 32, place)
        if key.flags & lay.KEY_PREDEF_HANDLE:
            if root or self._layered or key.values:
                expected = "no values, below the root of a hive that is not differencing"
                _refuse("a key that is a predefined handle", place, expected, f"{len(key.values)} values")
        elif key.handle:
            _refuse("the handle of a key", place, "flag 0x40", f"{key.flags:#x}")
        if key.layer and (root or not self._layered):
            _refuse("a layer byte", place, "0 but below the root of a differencing hive (1.6)", key.layer)
        if self._layered:
            _check_layer(key, place)

    # Subkeys

    def _subkey_lists(self, subkeys: list[Key], place: Place) -> tuple[int, list[tuple[int, int]]]:
        """Write the list of subkeys; return its cell, and for each subkey the leaf and the place in it for its cell."""
        leaves: list[int] = []
        places: list[tuple[int, int]] = []
        for first in range(0, len(subkeys), LEAF_ELEMENTS):
            part = subkeys[first : first + LEAF_ELEMENTS]
            leaf = self._bins.store(self._leaf(part), place)
            leaves.append(leaf)
            places += [(leaf, lay.LIST.size + lay.ELEMENT.size * number) for number in range(len(part))]
        if len(leaves) <= 1:
            return leaves[0] if leaves else lay.NIL, places
        if len(leaves) > 0xFFFF:
            _refuse("more subkeys than a key can have", place, 0xFFFF * LEAF_ELEMENTS, len(subkeys))
        cells = b"".join(map(lay.UINT32.pack, leaves))
        return self._bins.store(lay.LIST.pack(lay.ROOT_INDEX, len(leaves)) + cells, place), places

    def _leaf(self, subkeys: list[Key]) -> bytes:
        """Encode a leaf; the cells of its subkeys are filled in later."""
        if self._hive.minor < lay.MINOR_XP:
            signature, notes = lay.LEAF_FAST, [int.from_bytes(key_hint(key.name), "little") for key in subkeys]
        else:
            signature, notes = lay.LEAF_HASHED, [name_hash(key_order(key.name)) for key in subkeys]
        return lay.LIST.pack(signature, len(subkeys)) + b"".join(lay.ELEMENT.pack(lay.NIL, note) for note in notes)

    # Values

    def _values(self, values: tuple[Value, ...], place: Place) -> int:
        """Write the values, and return the cell of their list."""
        if not values:
            return lay.NIL
        if 4 * len(values) > _MAX_DATA:
            _refuse("more values than a key can have", place, _MAX_DATA // 4, len(values))
        seen: set[bytes] = set()
        offset = self._bins.allocate(4 * len(values), place)
        for number, value in enumerate(values):
            order = key_order(value.name)
            if order in seen:
                _refuse("two values of one name", place, "names that differ by more than case", repr(value.name))
            seen.add(order)
            self._bins.fill(offset, 4 * number, lay.UINT32.pack(self._value(value, place)))
        return offset

    def _value(self, value: Value, place: Place) -> int:
        units = utf16_length(value.name) // 2
        if units > lay.MAX_VALUE_NAME:
            _refuse("the name of a value", place, f"at most {lay.MAX_VALUE_NAME} UTF-16 code units", units)
        _uint("a value's type", value.type, 32, place)
        stored, compressed = encode_name(value.name)
        # In Windows' hives an empty name does not have the flag of a compressed one.
        flags = lay.VALUE_COMP_NAME if compressed and stored else 0
        offset = self._bins.allocate(lay.VALUE.size + len(stored), place)
        if value.tombstone:
            if not self._layered or value.data or value.type:
                _refuse("a value's tombstone", place, "no type and no data, in a differencing hive", repr(value.name))
            size, cell, flags = 0, lay.NIL, flags | lay.VALUE_TOMBSTONE
        else:
            size, cell = self._data(value.data, place)
        fields = (lay.VALUE_SIGNATURE, len(stored), size, cell, value.type, flags, 0)
        self._bins.fill(offset, 0, lay.VALUE.pack(*fields) + stored)
        return offset

    def _data(self, data: bytes, place: Place) -> tuple[int, int]:
        """Write the data of a value; return its size field and its cell field."""
        if len(data) <= lay.MAX_INLINE:
            return lay.INLINE | len(data), int.from_bytes(data, "little")
        if self._hive.minor < lay.MINOR_BIG_DATA or len(data) <= lay.SEGMENT:
            if len(data) > _MAX_DATA:
                expected = f"at most {_MAX_DATA:,} bytes in version 1.{self._hive.minor}"
                _refuse("the data of a value", place, expected, f"{len(data):,}")
            return len(data), self._bins.store(data, place)
        if len(data) > _MAX_BIG_DATA:
            _refuse("the data of a value", place, f"at most {_MAX_BIG_DATA:,} bytes", f"{len(data):,}")
        count = lay.segment_count(len(data))
        offset = self._bins.allocate(lay.BIG_DATA.size, place)
        segments = self._bins.allocate(4 * count, place)
        self._bins.fill(offset, 0, lay.BIG_DATA.pack(lay.BIG_DATA_SIGNATURE, count, segments))
        for number in range(count):
            start = number * lay.SEGMENT
            # Windows allocates as much for the last one as for the others.
            cell = self._bins.allocate(lay.SEGMENT + lay.SEGMENT_SPARE, place)
            self._bins.fill(cell, 0, data[start : start + lay.SEGMENT])
            self._bins.fill(segments, 4 * number, lay.UINT32.pack(cell))
        return len(data), offset

    # Security

    def _security_cell(self, descriptor: bytes, place: Place) -> int:
        offset = self._security.get(descriptor)
        if offset is None:
            _check_descriptor(descriptor, place)
            if lay.SECURITY.size + len(descriptor) > _MAX_DATA:
                _refuse("a security descriptor", place, f"at most {_MAX_DATA - lay.SECURITY.size:,}", len(descriptor))
            offset = self._bins.allocate(lay.SECURITY.size + len(descriptor), place)
            self._bins.fill(offset, lay.SECURITY.size, descriptor)
            self._security[descriptor] = offset
        self._references[offset] = self._references.get(offset, 0) + 1
        return offset

    def _link_security(self) -> None:
        """Write the heads of the security cells, once all of them and their reference counts are known."""
        cells = list(self._security.values())
        for number, (descriptor, offset) in enumerate(self._security.items()):
            after, before = cells[(number + 1) % len(cells)], cells[number - 1]
            head = (lay.SECURITY_SIGNATURE, 0, after, before, self._references[offset], len(descriptor))
            self._bins.fill(offset, 0, lay.SECURITY.pack(*head))


def _sorted(subkeys: tuple[Key, ...], place: Place) -> list[Key]:
    """Sort `subkeys` as a list of them must be. Raises InexpressibleError for two of one name."""
    ordered = sorted(((key_order(key.name), key) for key in subkeys), key=lambda pair: pair[0])
    for (one, key), (two, _) in pairwise(ordered):
        if one == two:
            _refuse("two subkeys of one name", place, "names that differ by more than case", repr(key.name))
    return [key for _, key in ordered]
