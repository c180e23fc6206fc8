"""Names of keys and values: how they are stored, compared, hashed and hinted at.

A name whose characters are all Latin-1 is stored as one byte each ("compressed"), any
other as UTF-16. Keys are found by upper case, which is that of the kernel's table, as
in NTFS, one code unit at a time.
"""

from __future__ import annotations

from ..win32.names import from_utf16, to_utf16, upcase
from .layout import HINT

__all__ = ["decode_name", "encode_name", "key_hint", "key_order", "name_hash", "utf16_length"]


def encode_name(name: str) -> tuple[bytes, bool]:
    """The bytes that are stored, and whether they are compressed."""
    try:
        return name.encode("latin-1"), True
    except UnicodeEncodeError:
        return to_utf16(name), False


def decode_name(stored: bytes, compressed: bool) -> str:
    """The name of stored bytes; unpaired surrogates stand as themselves, a single byte at the end is left out."""
    return stored.decode("latin-1") if compressed else from_utf16(stored)


def utf16_length(name: str) -> int:
    """The length of `name` in UTF-16, in bytes."""
    return 2 * len(name) if name.isascii() else len(to_utf16(name))


def key_order(name: str) -> bytes:
    """What the keys of a list are sorted by; two names are the same key if it is equal."""
    return upcase(name).encode("utf-16-be", "surrogatepass")


def name_hash(order: bytes) -> int:
    """The hash in an lh element, of the name's `key_order`."""
    result = 0
    for high, low in zip(order[::2], order[1::2], strict=True):
        result = (result * 37 + (high << 8 | low)) & 0xFFFFFFFF
    return result


def key_hint(name: str) -> bytes:
    """The hint in an lf element: the first 4 characters where all are Latin-1, zeros where the name is not."""
    stored, compressed = encode_name(name)
    return stored[:HINT].ljust(HINT, b"\0") if compressed else bytes(HINT)
