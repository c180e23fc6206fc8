"""Hives: any tree comes back as it was, in the eyes of a reader that shares no code; no bytes surprise the check."""

from __future__ import annotations

import struct
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.regf.samples import OTHER_SECURITY, THIRD_SECURITY, crowd, rich, small
from tests.unit.regf.test_check_layers import LAYERED
from wclayer.errors import HiveError, InexpressibleError
from wclayer.regf.check import HiveState, check_hive, require_loadable
from wclayer.regf.layout import base_checksum
from wclayer.regf.model import DEFAULT_SECURITY, Hive, Key, Value
from wclayer.regf.names import key_order
from wclayer.regf.reader import read_hive
from wclayer.regf.writer import write_hive

TIMES = st.integers(0, (1 << 64) - 1)
CHARACTERS = st.characters(exclude_characters="\\") | st.sampled_from(
    "aAbB\0/äÄÿµßıK\u0101\u0100日\ud800\udfff\U0001f600"
)
KEY_NAMES = st.text(CHARACTERS, min_size=1, max_size=20).map(
    lambda name: name.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
)
VALUE_NAMES = st.just("") | KEY_NAMES
DATA = st.binary(max_size=40) | st.sampled_from([0, 1, 4, 5, 16343, 16344, 16345, 40000]).map(
    lambda size: bytes(number * 7 % 256 for number in range(size))
)
SECURITY = st.sampled_from([DEFAULT_SECURITY, OTHER_SECURITY, THIRD_SECURITY])
VALUES = st.lists(
    st.builds(Value, VALUE_NAMES, st.integers(0, (1 << 32) - 1), DATA),
    max_size=6,
    unique_by=lambda value: key_order(value.name),
).map(tuple)


def keys(subkeys: st.SearchStrategy[tuple[Key, ...]], layered: bool = False) -> st.SearchStrategy[Key]:
    classes = st.binary(max_size=12)
    flags = st.sampled_from([0, 0x10, 0x1000])
    controls = st.integers(0, 0xFFFF)
    layers = st.sampled_from([0, 1, 2, 3, 0x80, 0x82, 0x83, 0x04, 0x43]) if layered else st.just(0)
    values = VALUES
    if layered:
        gone = st.lists(VALUE_NAMES, max_size=2, unique_by=key_order)
        values = st.builds(_and_tombstones, VALUES, gone)
    key = st.builds(Key, KEY_NAMES, values, subkeys, TIMES, SECURITY, classes, flags, layers, controls)
    if layered:
        return key
    handles = st.integers(0, (1 << 32) - 1)
    return key | st.builds(lambda key, handle: replace(key, values=(), flags=0x40, handle=handle), key, handles)


def _and_tombstones(values: tuple[Value, ...], gone: list[str]) -> tuple[Value, ...]:
    there = {key_order(value.name) for value in values}
    return (*values, *(Value(name, 0, tombstone=True) for name in gone if key_order(name) not in there))


def several(key: st.SearchStrategy[Key]) -> st.SearchStrategy[tuple[Key, ...]]:
    return st.lists(key, max_size=5, unique_by=lambda sub: key_order(sub.name)).map(tuple)


TREES = st.recursive(keys(st.just(())), lambda below: keys(several(below)), max_leaves=12).map(
    lambda root: replace(root, flags=root.flags & ~0x40, handle=0)
)
HIVES = st.builds(Hive, TREES, TIMES, st.sampled_from([3, 4, 5, 6]), st.just(False))
# Their keys keep the rules of differencing hives no more often than chance will have it.
LAYERED_TREES = st.recursive(
    keys(st.just(()), layered=True), lambda below: keys(several(below), layered=True), max_leaves=12
).map(lambda root: replace(root, layer=0))


def ruled(key: Key, in_tree: bool = False) -> Key:
    """`key` as the rules have it: what is deleted has nothing, what is in a tree that hides hides too, one class."""
    semantics = key.layer & 3
    if in_tree and semantics != 1:
        semantics = 3
    inherits = key.layer & 0x80
    if semantics == 1:
        return replace(key, layer=inherits | 1, values=(), subkeys=(), class_name=b"")
    subkeys = tuple(ruled(sub, semantics == 3) for sub in key.subkeys)
    return replace(key, layer=inherits | semantics, subkeys=subkeys, class_name=b"" if inherits else key.class_name)


DIFFERENCING = st.builds(Hive, LAYERED_TREES.map(ruled), TIMES, st.just(6))


def read(data: bytes) -> dict[str, Any]:
    """The tree in a hive, read with nothing but struct: trusting, and knowing only what we write."""

    def cell(offset: int) -> bytes:
        (size,) = struct.unpack_from("<i", data, 4096 + offset)
        assert size < 0
        return data[4096 + offset + 4 : 4096 + offset - size]

    def text(raw: bytes, compressed: int) -> str:
        return raw.decode("latin-1") if compressed else raw.decode("utf-16-le", "surrogatepass")

    def numbers(offset: int, count: int) -> tuple[int, ...]:
        return struct.unpack_from(f"<{count}I", cell(offset)) if count else ()

    def value(offset: int) -> tuple[str, int, bytes]:
        raw = cell(offset)
        signature, length, size, at, kind, flags = struct.unpack_from("<2sHIIIH", raw)
        assert signature == b"vk"
        name = text(raw[20 : 20 + length], flags & 1)
        if flags & 2:
            assert (size, at, kind) == (0, 0xFFFFFFFF, 0)
            return name, -1, b""
        if size >> 31:
            content = raw[8 : 8 + (size & 0x7FFFFFFF)]
        elif size > 16344 and data[24] > 3:
            count, listed = struct.unpack_from("<HI", cell(at), 2)
            content = b"".join(cell(part)[:16344] for part in numbers(listed, count))[:size]
        else:
            content = cell(at)[:size]
        return name, kind, content

    def leaves(offset: int) -> list[int]:
        raw = cell(offset)
        signature, count = struct.unpack_from("<2sH", raw)
        if signature == b"ri":
            return [key for (leaf,) in struct.iter_unpack("<I", raw[4 : 4 + 4 * count]) for key in leaves(leaf)]
        assert signature in (b"lf", b"lh")
        return [key for key, _ in struct.iter_unpack("<II", raw[4 : 4 + 8 * count])]

    def key(offset: int) -> dict[str, Any]:
        raw = cell(offset)
        fields = struct.unpack_from("<2sHQIIIIIIIIIIIIIIIHH", raw)
        flags, length, class_length = fields[1], fields[-2], fields[-1]
        security = cell(fields[11])
        return {
            "name": text(raw[76 : 76 + length], flags & 0x20),
            "time": fields[2],
            "flags": flags & ~0x2C,
            "control": fields[13] >> 16,
            "layer": fields[3] >> 8 & 0xFF,
            "class": cell(fields[12])[:class_length] if class_length else b"",
            "security": security[20 : 20 + struct.unpack_from("<I", security, 16)[0]],
            "handle": fields[9] if flags & 0x40 else 0,
            "values": [] if flags & 0x40 else [value(at) for at in numbers(fields[10], fields[9])],
            "subkeys": [key(at) for at in leaves(fields[7])] if fields[5] else [],
        }

    return key(struct.unpack_from("<I", data, 36)[0])


def plain(key: Key) -> dict[str, Any]:
    """The same of the tree that was given."""
    return {
        "name": key.name,
        "time": key.last_written,
        "flags": key.flags,
        "control": key.control,
        "layer": key.layer,
        "class": key.class_name,
        "security": key.security,
        "handle": key.handle,
        "values": [(value.name, -1 if value.tombstone else value.type, value.data) for value in key.values],
        "subkeys": [plain(sub) for sub in sorted(key.subkeys, key=lambda sub: key_order(sub.name))],
    }


@given(HIVES)
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_any_tree_comes_back_and_is_sound(hive: Hive) -> None:
    data = write_hive(hive)
    assert read(data) == plain(hive.root)
    report = check_hive(data)
    assert (report.state, report.findings) == (HiveState.LOADABLE, ())
    found = read_hive(data)
    assert plain(found.root) == plain(hive.root)
    assert (found.last_written, found.minor, found.layered) == (hive.last_written, hive.minor, False)
    assert write_hive(found) == data


@given(DIFFERENCING)
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_any_differencing_hive_comes_back_field_by_field(hive: Hive) -> None:
    data = write_hive(hive)
    assert (data[24], data[144]) == (6, 2)
    assert read(data) == plain(hive.root)
    report = check_hive(data)
    assert (report.state, report.findings, report.differencing) == (HiveState.LOADABLE, (), True)
    found = read_hive(data)
    assert found.differencing
    assert plain(found.root) == plain(hive.root)
    assert write_hive(found) == data


@given(LAYERED_TREES)
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_what_breaks_the_rules_is_not_written_and_all_else_is_sound(root: Key) -> None:
    if ruled(root) != root:
        with pytest.raises(InexpressibleError):
            write_hive(Hive(root, 0, 6))
    else:
        assert check_hive(write_hive(Hive(root, 0, 6))).findings == ()


NO_CELL = Hive(Key("ROOT", (Value("data as the number of no cell", 4, b"\xff" * 4), Value("", 3))))


@pytest.mark.parametrize("hive", [rich(3), rich(5), rich(6), crowd(2345, 3), crowd(2345), NO_CELL])
def test_large_trees_come_back(hive: Hive) -> None:
    assert read(write_hive(hive)) == plain(hive.root)


WRITTEN = [write_hive(hive) for hive in (small(3), small(5), small(6), crowd(600), LAYERED)]
EDITS = st.lists(
    st.tuples(
        st.integers(0, 1 << 20),
        st.sampled_from(
            [b"\0", b"\xff", b"\xff" * 4, bytes(4), b"\x20\0\0\0", b"\x78\0\0\0", b"nk", b"ri", b"\xf8\xff\xff\xff"]
        )
        | st.binary(min_size=1, max_size=8),
    ),
    max_size=8,
)


@given(st.sampled_from(WRITTEN), EDITS, st.integers(0, 1 << 20), st.booleans())
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_no_damage_surprises_the_check(data: bytes, edits: list[tuple[int, bytes]], cut: int, shorten: bool) -> None:
    hive = bytearray(data)
    for place, content in edits:
        # Most of the bytes are the padding of the base block: spare it, so that more hits matter.
        at = (4096 + place % (len(hive) - 4096)) if place % 8 else place // 8 % 512
        hive[at : at + len(content)] = content
    hive[508:512] = base_checksum(hive).to_bytes(4, "little")
    if shorten:
        del hive[cut % len(hive) :]
    _judge(bytes(hive))


@given(st.binary(max_size=600))
def test_no_bytes_surprise_the_check(data: bytes) -> None:
    _judge(data)
    # A base block with a bin that fits it, and then anything at all.
    hive = bytearray(WRITTEN[1][:4096])
    hive[40:44] = (4096).to_bytes(4, "little")
    hive[508:512] = base_checksum(hive).to_bytes(4, "little")
    _judge(bytes(hive) + WRITTEN[1][4096:4128] + data.ljust(4064, b"\xf8"))


def _judge(data: bytes) -> None:
    """Check and read a hive of any bytes: the two ways to ask agree, and nothing but our error is raised."""
    report = check_hive(data)
    found = None
    with suppress(HiveError):
        found = read_hive(data, accept_dirty=True)
    if report.reason is None:
        assert found is not None
        require_loadable(data)
        assert report.state is HiveState.LOADABLE
        return
    assert report.state is not HiveState.LOADABLE
    assert all(0 <= finding.offset <= max(len(data), 4096) for finding in report.findings)
    with pytest.raises(HiveError):
        require_loadable(data)
