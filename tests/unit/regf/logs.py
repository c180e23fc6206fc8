"""Transaction logs of the format of Windows 8.1, made by hand: nothing here knows how they are read."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from tests.unit.regf.samples import Broken

MASK = 0xFFFFFFFF
Pages = dict[int, bytes]  # by their offsets in the bins


def marvin32(data: bytes, seed: int = 0x82EF4D887A4E55C5) -> int:
    """The hash as Microsoft published it: for any length, after its reference with two halves that are mixed."""
    one, two = seed & MASK, seed >> 32

    def rotate(number: int, bits: int) -> int:
        return ((number << bits) & MASK) | number >> (32 - bits)

    whole = len(data) // 4 * 4
    tail = int.from_bytes(data[whole:] + b"\x80", "little")
    for word in (*(word for (word,) in struct.iter_unpack("<I", data[:whole])), tail, 0):
        one = (one + word) & MASK
        two ^= one
        one = (rotate(one, 20) + two) & MASK
        two = rotate(two, 9) ^ one
        one = (rotate(one, 27) + two) & MASK
        two = rotate(two, 19)
    return two << 32 | one


@dataclass
class Entry:
    """An entry, whole unless one of its fields is given."""

    sequence: int
    bins_size: int
    pages: Pages
    flags: int = 0
    size: int | None = None
    count: int | None = None
    references: bytes | None = None
    content_hash: int | None = None
    own_hash: int | None = None

    def to_bytes(self) -> bytes:
        references = self.references
        if references is None:
            references = b"".join(struct.pack("<II", at, len(page)) for at, page in self.pages.items())
        content = references + b"".join(self.pages.values())
        content += b"\xcc" * (-(40 + len(content)) % 512)
        header = struct.pack(
            "<4sIIIII",
            b"HvLE",
            40 + len(content) if self.size is None else self.size,
            self.flags,
            self.sequence,
            self.bins_size,
            len(self.pages) if self.count is None else self.count,
        )
        header += (marvin32(content) if self.content_hash is None else self.content_hash).to_bytes(8, "little")
        own = marvin32(header) if self.own_hash is None else self.own_hash
        return header + own.to_bytes(8, "little") + content


def log(
    hive: bytes, *entries: Entry, sequence: int | None = None, kind: int = 6, remnants: bytes = bytes(512)
) -> bytes:
    """A log of `hive` with `entries`, which says to begin with the first of them, and what remains of earlier use."""
    base = Broken(hive[:512])
    first = sequence if sequence is not None else entries[0].sequence
    for at, number in ((4, first), (8, first), (28, kind)):
        base.put("I", at, number)
    return bytes(base) + b"".join(entry.to_bytes() for entry in entries) + remnants


def dirty(hive: bytes, primary: int, secondary: int) -> bytes:
    """The hive with a write that was begun and not ended."""
    changed = Broken(hive)
    changed.put("I", 4, primary)
    changed.put("I", 8, secondary)
    return bytes(changed)


def changes(before: bytes, after: bytes, sequence: int) -> Entry:
    """The entry of the write that makes the bins of `after` of those of `before`: what differs, in runs of pages."""
    pages: Pages = {}
    start = None
    for at in range(4096, len(after) + 4096, 4096):
        differs = at < len(after) and before[at : at + 4096] != after[at : at + 4096]
        if differs and start is None:
            start = at
        elif not differs and start is not None:
            pages[start - 4096] = after[start:at]
            start = None
    return Entry(sequence, len(after) - 4096, pages)
