"""The structures, constants and limits of registry hives, as in [REGF].

    file        base block (4096 bytes), hive bins, unused bytes
    hive bin    header (32 bytes), cells without gaps; its size is a multiple of 4096
    cell        int32 size of the whole cell, a multiple of 8, negative = allocated; then one of

    nk  key     list of subkeys, list of values, security (sk), class name; then the name
    lf lh li    a leaf of subkeys: their nk cells, in lf with the start of the name, in lh with its hash
    ri          a list of leaves
    vk  value   type, and data: up to 4 bytes in the vk cell, else in another cell; then the name
    db          data too large for one cell: a list of segments
    sk          a security descriptor with a reference count, in a ring of all of them

All integers are little-endian. An **offset** counts from the first bin and leads to a
cell's size field; a **position** counts from the start of the file, and is
`BASE_BLOCK_SIZE` more.

[REGF] is "Windows registry file format specification" by Maxim Suhanov, with the
spelling of its fields (https://github.com/msuhanov/regf).
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

BASE_BLOCK_SIZE: Final = 4096
PAGE: Final = 4096  # bins and their sum are multiples of it
NIL: Final = 0xFFFFFFFF  # no cell

# Base block: signature, primary and secondary sequence number, last written (FILETIME), major version, minor version,
# file type, file format, root cell offset, size of all bins, clustering factor. Then the file name (only for
# debugging), GUIDs, and fields of offreg, all of which may be zero.
BASE_BLOCK: Final = struct.Struct("<4sIIQIIIIIII")
BASE_SIGNATURE: Final = b"regf"
SEQUENCES_AT: Final = 4
MAJOR_AT: Final = 20
MINOR_AT: Final = 24
FILE_TYPE_AT: Final = 28
FORMAT_AT: Final = 32
ROOT_CELL_AT: Final = 36
BINS_SIZE_AT: Final = 40
CLUSTERING_AT: Final = 44
BASE_FLAGS_AT: Final = 144
CHECKSUM_AT: Final = 508  # of all bytes before it
RM_ID_AT: Final = 112  # GUID of the resource manager: the same one in a hive and its logs, or zeros
CHECKSUMMED: Final = struct.Struct("<127I")

CLUSTERING_FACTORS: Final = (1, 8)  # sectors of 512 or, before Windows 8, 4096 bytes
MAJOR: Final = 1
FORMAT_MEMORY: Final = 1  # "direct memory load", the only format
FILE_PRIMARY: Final = 0  # the others are transaction logs
FILE_LOGS_OLD: Final = (1, 2)  # before Windows 8.1: a bitmap of dirty sectors, and the sectors
FILE_LOG: Final = 6  # since Windows 8.1: entries
MINOR_NT4: Final = 3  # lf leaves, data of any size in one cell; Windows makes these for `reg load` and the BCD
MINOR_BIG_DATA: Final = 4  # from here on, large data is in segments
MINOR_XP: Final = 5  # lh leaves; the hives of the operating system, and offreg's
MINOR_LAYERED: Final = 6  # differencing hives, with BASE_LAYERED

BASE_TRANSACTED: Final = 1  # base block flags: transactions of this hive are pending in the KTM
BASE_LAYERED: Final = 2  # keys have a layer byte, values may be tombstones

# Bin: signature, own offset, size, reserved, last written (only in the first bin), spare.
BIN: Final = struct.Struct("<4sII8xQI")
BIN_SIGNATURE: Final = b"hbin"

CELL: Final = struct.Struct("<i")
CELL_UNIT: Final = 8

UINT32: Final = struct.Struct("<I")

KEY: Final = struct.Struct("<2sHQBBHIIIIIIIIIIIIIIHH")  # of the fields of KeyCell; the name follows
KEY_SIGNATURE: Final = b"nk"

KEY_VOLATILE: Final = 0x01
KEY_HIVE_EXIT: Final = 0x02  # a mount point of another hive; only in memory
KEY_HIVE_ENTRY: Final = 0x04  # the root
KEY_NO_DELETE: Final = 0x08
KEY_SYM_LINK: Final = 0x10
KEY_COMP_NAME: Final = 0x20  # the name is Latin-1, else UTF-16
KEY_PREDEF_HANDLE: Final = 0x40  # it opens as a handle, which is in place of the number of values
ROOT_FLAGS: Final = KEY_HIVE_ENTRY | KEY_NO_DELETE


class KeyCell(NamedTuple):
    """The fields of KEY. Lengths are in bytes, those of the largest names as in UTF-16."""

    signature: bytes
    flags: int
    last_written: int  # FILETIME
    access: int  # bits of a running system
    layer: int
    spare: int
    parent: int  # meaningless at the root
    subkeys: int
    volatile_subkeys: int  # only in memory, as is their list
    subkey_list: int
    volatile_subkey_list: int
    values: int
    value_list: int
    security: int
    class_cell: int
    max_name: int  # of a subkey, in the low 16 bits; the others are flags
    max_class: int  # of a subkey
    max_value_name: int
    max_value_data: int
    work: int
    name_length: int
    class_length: int


LAYER_SEMANTICS: Final = 0x03  # of the layer byte: merge, tombstone, supersede local, supersede tree
LAYER_INHERIT_CLASS: Final = 0x80

# Leaves and lists of leaves: signature, number of elements. Elements of lf and lh: key, hint or hash; of li: key;
# of ri: leaf.
LIST: Final = struct.Struct("<2sH")
ELEMENT: Final = struct.Struct("<II")
LEAF_FAST: Final = b"lf"
LEAF_HASHED: Final = b"lh"
LEAF_INDEX: Final = b"li"
ROOT_INDEX: Final = b"ri"
HINT: Final = 4  # bytes of a name in an lf element

# Value: signature, length of the name, size of the data, cell of the data, type, flags, spare.
VALUE: Final = struct.Struct("<2sHIIIHH")
VALUE_SIGNATURE: Final = b"vk"
VALUE_COMP_NAME: Final = 1
VALUE_TOMBSTONE: Final = 2
INLINE: Final = 0x80000000  # in the size: the data is in the field for its cell
MAX_INLINE: Final = 4

# Big data: signature, number of segments, cell of their list. Each segment but the last is full.
BIG_DATA: Final = struct.Struct("<2sHI")
BIG_DATA_SIGNATURE: Final = b"db"
SEGMENT: Final = 16344  # bytes of data; larger data is cut into these
SEGMENT_SPARE: Final = 4  # bytes behind them in a cell, which so fills a bin of 16 KiB; hivex and libregf expect it

# Security: signature, spare, next, previous, number of keys that use it, size of the descriptor after it.
SECURITY: Final = struct.Struct("<2sHIIII")
SECURITY_SIGNATURE: Final = b"sk"

# Transaction log: a copy of the start of the base block, with another file type, then entries without gaps, each a
# multiple of LOG_UNIT. Entry: signature, size of all of it, BASE_TRANSACTED or 0, sequence number, size of all bins,
# number of pages, hash of all bytes behind this header, hash of the header up to here; then references to the pages
# (offset, size), then the pages.
LOG_UNIT: Final = 512
LOG_ENTRY: Final = struct.Struct("<4sIIIIIQQ")
LOG_ENTRY_SIGNATURE: Final = b"HvLE"
LOG_ENTRY_HASHED: Final = 32  # bytes of the header that its hash, which follows them, is of
LOG_SEED: Final = (0x7A4E55C5, 0x82EF4D88)  # low and high word of the seed of both hashes, which are Marvin32
PAGE_REFERENCE: Final = struct.Struct("<II")
DIRTY_VECTOR_SIGNATURE: Final = b"DIRT"  # in a log from before Windows 8.1

MAX_KEY_NAME: Final = 255  # UTF-16 code units
MAX_VALUE_NAME: Final = 16383  # UTF-16 code units
MAX_CLASS: Final = 0xFFFE  # bytes
MAX_DEPTH: Final = 512  # keys on a path, with the root
MAX_CELL: Final = 1 << 20  # bytes of an allocated cell, with its size field; the kernel allocates no larger one
MAX_BINS: Final = (1 << 31) - PAGE  # bit 31 of an offset is for the volatile part of a hive, which is not on disk


def base_checksum(data: bytes | bytearray) -> int:
    """Compute the checksum of a base block, of which `data` has at least the first 508 bytes."""
    checksum = 0
    for word in CHECKSUMMED.unpack_from(data):
        checksum ^= word
    # 0 and -1 stand for no checksum, so the kernel replaces them.
    return {0: 1, NIL: NIL - 1}.get(checksum, checksum)


def segment_count(size: int) -> int:
    """Return the number of segments for `size` bytes of big data."""
    return -(-size // SEGMENT)
