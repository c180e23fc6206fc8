"""Read a hive: all keys and values, with all that belongs to them.

An error is whatever has no cell of its own, is larger than its cell or has another
signature, and a hive that was not completely written. What `check` finds beyond that
(hashes, order, reference counts, rings) does not matter for reading the whole tree,
and is correct again when the tree is written.

Dropped is what does not belong to keys and values: sequence numbers, GUIDs and the
file name in the base block, bits of a running system, free cells, and bytes behind the
bins.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Final, NamedTuple, NoReturn, TypeAlias, cast

from ..errors import HiveError
from . import layout as lay
from .base_block import BaseBlock, check_base_block, check_clean, has_base_block
from .cells import scan_bins
from .findings import Findings
from .model import Hive, Key, Value
from .names import decode_name, key_order

__all__ = ["read_hive"]

Trie: TypeAlias = "dict[bytes, Trie | None]"

# Flags that the writer sets itself, or that belong to a running system.
_ROOT_FLAGS_DROPPED: Final = lay.KEY_VOLATILE | lay.KEY_HIVE_EXIT | lay.KEY_COMP_NAME | lay.ROOT_FLAGS
_FLAGS_DROPPED: Final = lay.KEY_VOLATILE | lay.KEY_HIVE_EXIT | lay.KEY_COMP_NAME
_MAX_SHOWN: Final = 16  # names of a path in an error
_STEPS: Final = {lay.LEAF_HASHED: 8, lay.LEAF_FAST: 8, lay.LEAF_INDEX: 4}


def read_hive(data: bytes, *, accept_dirty: bool = False, within: Collection[str] | None = None) -> Hive:
    """Read the hive in `data`; bytes behind its bins are ignored.

    accept_dirty: read a hive that was not completely written as it is, without its transaction logs. within: read only
    the keys at these paths from the root, with all below them and the keys on the way there.

    Raises HiveError with position and key. Work is linear in the size of `data`; the values take about five times the
    memory of `data`.
    """
    if not data:
        raise HiveError("an empty file", expected="a registry hive", got="0 bytes")
    reader = _Reader(data)
    base = cast("BaseBlock", has_base_block(data, reader.findings))  # never None, as its findings raise
    check_base_block(base, data, reader.findings)
    if not accept_dirty:
        _check_clean(base, data)
    root = reader.read(base, _trie(within))
    return Hive(root, base.last_written, base.minor, bool(base.flags & lay.BASE_LAYERED))


def _trie(paths: Collection[str] | None) -> Trie | None:
    """Return the paths as a tree, by the order of their names; None stands for all keys below."""
    if paths is None:
        return None
    result: Trie = {}
    for path in paths:
        level: Trie = result
        *above, last = path.split("\\")
        for name in above:
            below = level.setdefault(key_order(name), {})
            if below is None:  # all of it is wanted
                break
            level = below
        else:
            level[key_order(last)] = None
    return result


def _check_clean(base: BaseBlock, data: bytes) -> None:
    findings = Findings()
    found = check_clean(base, data, findings)
    if found is not None:
        raise HiveError(
            f"a dirty hive: {found.message}",
            offset=found.offset,
            expected=found.expected,
            got=found.got,
            hint="complete it with its .LOG1 and .LOG2: wclayer hive recover",
        )


def _length(limit: int, compressed: int, least: int) -> str:
    return f"{least} to {limit} bytes{'' if compressed else ', even'}"


class _Refusing(Findings):
    """Findings that raise: the first error ends the reading."""

    def __init__(self, where: _Reader) -> None:
        super().__init__()
        self._where = where

    def error(self, offset: int, message: str, expected: object = None, got: object = None) -> NoReturn:
        raise HiveError(self.named(message), path=self._where.path(), offset=offset, expected=expected, got=got)


class _Record(NamedTuple):
    """A key whose subkeys are not read yet."""

    parent: int  # its number among the records
    name: str
    values: tuple[Value, ...]
    last_written: int
    security: bytes
    class_name: bytes
    flags: int
    layer: int
    control: int
    handle: int


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self.findings = _Refusing(self)
        self._records: list[_Record] = []
        self._at = -1  # the record that is read
        self._names: dict[str, str] = {}  # one object for equal names, as most keys share a few
        self._security: dict[int, bytes] = {}
        self._descriptors: dict[bytes, bytes] = {}

    def path(self) -> str | None:
        """Return the path of the key that is being read, for errors."""
        names: list[str] = []
        at = self._at
        while at > 0 and len(names) < _MAX_SHOWN:
            names.append(self._records[at].name)
            at = self._records[at].parent
        return "\\".join([*(["..."] if at > 0 else []), *reversed(names)]) or None

    def read(self, base: BaseBlock, wanted: Trie | None) -> Key:
        cells = scan_bins(self._data, base.bins_size, self.findings)
        self._take = cast("Callable[[int, int, str, int], tuple[int, int]]", cells.take)  # the findings raise
        self._big_data = base.minor >= lay.MINOR_BIG_DATA
        self._layered = base.differencing
        # Of each key: its cell, the position of the field that leads there, the number of its parent, its depth, and
        # what is wanted of its parent's subkeys (None: all).
        stack: list[tuple[int, int, int, int, Trie | None]] = [(base.root, lay.ROOT_CELL_AT, -1, 1, None)]
        while stack:
            offset, at, parent, depth, some = stack.pop()
            self._at = parent
            number = len(self._records)
            subkeys = self._key(offset, at, parent)
            below = wanted if parent < 0 else None
            if some is not None:
                order = key_order(self._records[number].name)
                if order not in some:
                    self._records.pop()
                    continue
                below = some[order]
            if subkeys and depth == lay.MAX_DEPTH:
                self._at = number
                self.findings.error(at, "subkeys too deep", f"at most {lay.MAX_DEPTH} levels", depth + 1)
            stack += [(sub, place, number, depth + 1, below) for sub, place in reversed(subkeys)]
        return self._tree()

    def _tree(self) -> Key:
        """Build the keys from the end, where each key comes after its subkeys."""
        records = self._records
        below: dict[int, list[Key]] = {}
        while True:
            parent, *own = records.pop()
            subkeys = below.pop(len(records), None)
            key = Key(own[0], own[1], tuple(reversed(subkeys)) if subkeys else (), *own[2:])  # type: ignore[arg-type]
            if parent < 0:
                return key
            below.setdefault(parent, []).append(key)

    def _key(self, offset: int, at: int, parent: int) -> list[tuple[int, int]]:
        """Read a key with its values; return the cells of its subkeys, each with the position of the field for it."""
        position, room = self._take(offset, at, "a key", lay.KEY.size)
        (
            signature, flags, last_written, _, layer, _, _, count, _, subkey_list, _,
            values, value_list, security, class_cell, max_name, _, _, _, _, length, class_length,
        ) = lay.KEY.unpack_from(self._data, position)  # fmt: skip
        if signature != lay.KEY_SIGNATURE:
            self.findings.error(position, "not a key", lay.KEY_SIGNATURE, signature)
        compressed = flags & lay.KEY_COMP_NAME
        limit = min(room - lay.KEY.size, lay.MAX_KEY_NAME * (1 if compressed else 2))
        if not 0 < length <= limit or (length % 2 and not compressed):
            self.findings.error(position + 72, "the name of a key", _length(limit, compressed, 1), length)
        name = self._name(position + lay.KEY.size, length, compressed)
        number = len(self._records)
        record = _Record(
            parent,
            name,
            (),
            last_written,
            b"",
            b"",
            flags & ~(_FLAGS_DROPPED if number else _ROOT_FLAGS_DROPPED),
            layer if self._layered else 0,
            max_name >> 16,
            0,
        )
        self._records.append(record)
        self._at = number
        class_name = b""
        if class_length:
            start, _ = self._take(class_cell, position + 48, "a class name", class_length)
            class_name = self._data[start : start + class_length]
        handle = values if flags & lay.KEY_PREDEF_HANDLE else 0
        self._records[number] = record._replace(
            values=self._values(value_list, values, position + 40) if values and not handle else (),
            security=self._descriptor(security, position + 44),
            class_name=class_name,
            handle=handle,
        )
        return self._subkeys(subkey_list, count, position) if count else []

    def _name(self, start: int, length: int, compressed: int) -> str:
        name = decode_name(self._data[start : start + length], bool(compressed))
        return self._names.setdefault(name, name)

    # Subkeys

    def _subkeys(self, offset: int, count: int, key: int) -> list[tuple[int, int]]:
        subkeys: list[tuple[int, int]] = []
        signature, position, elements = self._list(offset, key + 28, "a list of subkeys")
        if signature == lay.ROOT_INDEX:
            for place in range(position, position + 4 * elements, 4):
                (leaf,) = lay.UINT32.unpack_from(self._data, place)
                signature, start, number = self._list(leaf, place, "a leaf of subkeys")
                if signature == lay.ROOT_INDEX:
                    self.findings.error(start - lay.LIST.size, "not a leaf of subkeys", b"lh lf li", signature)
                self._leaf(subkeys, start, number, _STEPS[signature])
        else:
            self._leaf(subkeys, position, elements, _STEPS[signature])
        if len(subkeys) != count:
            self.findings.error(key + 20, "the number of subkeys", len(subkeys), count)
        return subkeys

    def _leaf(self, subkeys: list[tuple[int, int]], start: int, count: int, step: int) -> None:
        read, data = lay.UINT32.unpack_from, self._data
        subkeys += [(read(data, place)[0], place) for place in range(start, start + step * count, step)]

    def _list(self, offset: int, at: int, what: str) -> tuple[bytes, int, int]:
        """Return signature, position of the elements, and their number."""
        position, room = self._take(offset, at, what, lay.LIST.size)
        signature, count = lay.LIST.unpack_from(self._data, position)
        if signature != lay.ROOT_INDEX and signature not in _STEPS:
            self.findings.error(position, f"not {what}", b"lh lf li ri", signature)
        fitting = (room - lay.LIST.size) // _STEPS.get(signature, 4)
        if count > fitting:
            self.findings.error(position + 2, f"{what} larger than its cell", f"at most {fitting} elements", count)
        return signature, position + lay.LIST.size, count

    # Values

    def _values(self, offset: int, count: int, at: int) -> tuple[Value, ...]:
        position, _ = self._take(offset, at, "a list of values", 4 * count)
        return tuple(
            [
                self._value(lay.UINT32.unpack_from(self._data, place)[0], place)
                for place in range(position, position + 4 * count, 4)
            ]
        )

    def _value(self, offset: int, at: int) -> Value:
        position, room = self._take(offset, at, "a value", lay.VALUE.size)
        signature, length, size, cell, kind, flags, _ = lay.VALUE.unpack_from(self._data, position)
        if signature != lay.VALUE_SIGNATURE:
            self.findings.error(position, "not a value", lay.VALUE_SIGNATURE, signature)
        compressed = flags & lay.VALUE_COMP_NAME
        limit = min(room - lay.VALUE.size, lay.MAX_VALUE_NAME * (1 if compressed else 2))
        if length > limit or (length % 2 and not compressed):
            self.findings.error(position + 2, "the name of a value", _length(limit, compressed, 0), length)
        name = self._name(position + lay.VALUE.size, length, compressed)
        if self._layered and flags & lay.VALUE_TOMBSTONE:
            return Value(name, 0, b"", tombstone=True)
        self.findings.value = name
        data = self._value_data(position, size, cell)
        self.findings.value = None
        return Value(name, kind, data)

    def _value_data(self, position: int, size: int, cell: int) -> bytes:
        if size & lay.INLINE:
            size &= ~lay.INLINE
            if size > lay.MAX_INLINE:
                self.findings.error(position + 4, "data inside the value cell", f"at most {lay.MAX_INLINE} bytes", size)
            return self._data[position + 8 : position + 8 + size]
        if not size:
            return b""
        if size > lay.SEGMENT and self._big_data:
            return self._segments(size, cell, position + 8)
        start, _ = self._take(cell, position + 8, "the data of a value", size)
        return self._data[start : start + size]

    def _segments(self, size: int, offset: int, at: int) -> bytes:
        position, room = self._take(offset, at, "big data", lay.BIG_DATA.size)
        signature, count, listed = lay.BIG_DATA.unpack_from(self._data, position)
        if room >= size and (signature, count) != (lay.BIG_DATA_SIGNATURE, lay.segment_count(size)):
            return self._data[position : position + size]  # in one plain cell, as hivex writes it; the check complains
        if signature != lay.BIG_DATA_SIGNATURE:
            self.findings.error(position, "not big data", lay.BIG_DATA_SIGNATURE, signature)
        if count != lay.segment_count(size):
            self.findings.error(position + 2, "the number of segments of big data", lay.segment_count(size), count)
        start, _ = self._take(listed, position + 4, "the list of segments", 4 * count)
        parts: list[bytes] = []
        for number in range(count):
            (segment,) = lay.UINT32.unpack_from(self._data, start + 4 * number)
            length = min(lay.SEGMENT, size - number * lay.SEGMENT)
            content, _ = self._take(segment, start + 4 * number, "a segment of big data", length)
            parts.append(self._data[content : content + length])
        return b"".join(parts)

    # Security

    def _descriptor(self, offset: int, at: int) -> bytes:
        """Return the descriptor in the cell at `offset`, which many keys share."""
        found = self._security.get(offset)
        if found is None:
            position, room = self._take(offset, at, "a security descriptor", lay.SECURITY.size)
            signature, _, _, _, _, size = lay.SECURITY.unpack_from(self._data, position)
            if signature != lay.SECURITY_SIGNATURE:
                self.findings.error(position, "not a security cell", lay.SECURITY_SIGNATURE, signature)
            if size > room - lay.SECURITY.size:
                self.findings.error(
                    position + 16,
                    "a security descriptor larger than its cell",
                    f"at most {room - lay.SECURITY.size} bytes",
                    size,
                )
            start = position + lay.SECURITY.size
            found = self._data[start : start + size]
            found = self._security[offset] = self._descriptors.setdefault(found, found)
        return found
