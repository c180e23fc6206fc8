"""Hives for tests, and hands to break them with."""

from __future__ import annotations

import struct

from wclayer.regf.layout import base_checksum
from wclayer.regf.model import DEFAULT_SECURITY, Hive, Key, RegType, Value, dword, sz
from wclayer.win32.sddl import parse_sddl

TIME = (1_700_000_000 + 11_644_473_600) * 10_000_000  # 2023-11-14 22:13:20 as a FILETIME
OTHER_SECURITY = parse_sddl("O:SYG:SYD:(A;CI;KA;;;SY)")
THIRD_SECURITY = parse_sddl("O:BAG:SYD:(A;CI;KR;;;WD)")
LARGE = bytes(range(256)) * 160  # 40 960 bytes: three segments


def small(minor: int = 5) -> Hive:
    """A hive with one of everything, its names all different and easy to find in the bytes."""
    deep = Key("Deepest", last_written=TIME, security=OTHER_SECURITY)
    subkeys = (
        Key("Gamma", last_written=TIME, security=THIRD_SECURITY),
        Key("Alpha", (dword("number", 7),), (deep,), TIME, class_name="klass".encode("utf-16-le")),
        Key("beta", last_written=TIME, security=OTHER_SECURITY),
    )
    values = (sz("text value", "some text"), Value("long value", 3, bytes(range(100))), Value("large value", 3, LARGE))
    return Hive(Key("ROOT", values, subkeys, TIME), TIME, minor)


def crowd(count: int, minor: int = 5) -> Hive:
    """A hive whose root has `count` subkeys."""
    subkeys = tuple(Key(f"key {number:05}", last_written=TIME) for number in range(count))
    return Hive(Key("ROOT", (), subkeys, TIME), TIME, minor)


def rich(minor: int = 5) -> Hive:
    """A hive with all types, sizes and kinds of names that programs are to read."""
    types = tuple(
        Value(f"type {kind}", kind, data)
        for kind, data in (
            (RegType.NONE, b""),
            (RegType.SZ, "Grüße, 世界\0".encode("utf-16-le")),
            (RegType.EXPAND_SZ, "%SystemRoot%\\x\0".encode("utf-16-le")),
            (RegType.BINARY, bytes(range(256))),
            (RegType.DWORD, b"\x01\x02\x03\x04"),
            (RegType.DWORD_BIG_ENDIAN, b"\x01\x02\x03\x04"),
            (RegType.LINK, "\\Registry\\Machine".encode("utf-16-le")),
            (RegType.MULTI_SZ, "one\0two\0\0".encode("utf-16-le")),
            (RegType.RESOURCE_LIST, bytes(24)),
            (RegType.FULL_RESOURCE_DESCRIPTOR, bytes(20)),
            (RegType.RESOURCE_REQUIREMENTS_LIST, bytes(28)),
            (RegType.QWORD, b"\x01\x02\x03\x04\x05\x06\x07\x08"),
        )
    )
    sizes = tuple(
        Value(f"size {size}", RegType.BINARY, bytes(number % 251 for number in range(size)))
        for size in (0, 1, 2, 3, 4, 5, 7, 8, 16343, 16344, 16345, 32688, 32689, 70000)
    )
    names = (sz("", "the default"), sz("ÄÖÜ ß ÿ µ", "latin"), sz("日本語", "wide"), sz("with \\ / in it", "slash"))
    chain = Key("level 30", last_written=TIME)
    for level in range(29, 0, -1):
        chain = Key(f"level {level}", (dword("level", level),), (chain,), TIME)
    subkeys = (
        Key("Types", types, (), TIME),
        Key("Sizes", sizes, (), TIME),
        Key("Names", names, tuple(Key(name, (), (), TIME) for name in ("ärger", "ZULU", "zebra", "日本", "€")), TIME),
        Key("Many", (), tuple(Key(f"key {number:04}", (), (), TIME) for number in range(1234)), TIME),
        Key("Secured", (), (Key("inside", (), (), TIME, OTHER_SECURITY),), TIME, DEFAULT_SECURITY, b"c\0l\0a\0s\0s\0"),
        chain,
    )
    return Hive(Key("ROOT", (), subkeys, TIME), TIME, minor)


class Broken(bytearray):
    """The bytes of a hive, in which single fields are set and read; the base block's checksum follows."""

    def put(self, layout: str, at: int, number: int) -> None:
        """Set the field of the struct letter `layout` at the position `at`."""
        struct.pack_into("<" + layout, self, at, number)
        if at < 508:
            struct.pack_into("<I", self, 508, base_checksum(self))

    def get(self, layout: str, at: int) -> int:
        """The field of the struct letter `layout` at the position `at`."""
        return int(struct.unpack_from("<" + layout, self, at)[0])

    def key(self, name: str) -> int:
        """The position of the nk of a key with a Latin-1 name that is nowhere else."""
        return self._only(name.encode("latin-1")) - 76

    def value(self, name: str) -> int:
        """The position of the vk of a value with such a name."""
        return self._only(name.encode("latin-1")) - 20

    def cell(self, at: int) -> int:
        """The position of the content of the cell to which the field at the position `at` leads."""
        return 4096 + self.get("I", at) + 4

    def subkeys(self, name: str) -> int:
        """The position of the list of subkeys of a key."""
        return self.cell(self.key(name) + 28)

    def security(self, name: str) -> int:
        """The position of the sk of a key."""
        return self.cell(self.key(name) + 44)

    def _only(self, name: bytes) -> int:
        assert self.count(name) == 1
        return self.index(name)
