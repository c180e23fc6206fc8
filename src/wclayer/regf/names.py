"""Names of keys and values: how they are stored, compared and hashed.

A name with only Latin-1 characters is stored as one byte each ("compressed"), any other
as UTF-16. Keys are found by their upper case, one UTF-16 code unit at a time, with the
kernel's table, which is that of NTFS.
"""

from __future__ import annotations

from ..win32.names import from_utf16, to_utf16, upcase
from .layout import HINT

__all__ = ["decode_name", "encode_name", "key_hint", "key_order", "name_hash", "utf16_length"]


def encode_name(name: str) -> tuple[bytes, bool]:
    """Return the stored bytes, and whether they are compressed."""
    try:
        return name.encode("latin-1"), True
    except UnicodeEncodeError:
        return to_utf16(name), False


def decode_name(stored: bytes, compressed: bool) -> str:
    """Decode stored bytes; unpaired surrogates are kept, a single byte at the end is ignored."""
    return stored.decode("latin-1") if compressed else from_utf16(stored)


def utf16_length(name: str) -> int:
    """Return the length of `name` in UTF-16, in bytes."""
    return 2 * len(name) if name.isascii() else len(to_utf16(name))


def key_order(name: str) -> bytes:
    """Return the sort key of a name in a list of subkeys; two names are the same key if it is equal."""
    return upcase(name).encode("utf-16-be", "surrogatepass")


def name_hash(order: bytes) -> int:
    """Compute the hash in an lh element, from the `key_order` of the name."""
    result = 0
    for high, low in zip(order[::2], order[1::2], strict=True):
        result = (result * 37 + (high << 8 | low)) & 0xFFFFFFFF
    return result


def key_hint(name: str) -> bytes:
    """Return the hint in an lf element: the first 4 characters of a compressed name, zeros for any other."""
    stored, compressed = encode_name(name)
    return stored[:HINT].ljust(HINT, b"\0") if compressed else bytes(HINT)
