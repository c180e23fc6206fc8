"""Reading hives: all that was written comes back; faults end where they lie; work and memory have bounds."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.unit.regf.samples import OTHER_SECURITY, TIME, Broken, crowd, rich, small
from tests.unit.regf.test_check import FAULTS
from wclayer.errors import HiveError
from wclayer.regf import layout as lay
from wclayer.regf.check import check_hive
from wclayer.regf.delta import merge_delta
from wclayer.regf.findings import Severity
from wclayer.regf.model import Hive, Key, LayerSemantics, Value, dword
from wclayer.regf.names import key_order
from wclayer.regf.reader import read_hive
from wclayer.regf.writer import write_hive


def in_order(key: Key) -> Key:
    """The tree as a hive has it: subkeys sorted."""
    subkeys = sorted(map(in_order, key.subkeys), key=lambda sub: key_order(sub.name))
    return replace(key, subkeys=tuple(subkeys))


@pytest.mark.parametrize(
    "hive", [small(), small(3), small(4), small(6), rich(), rich(3), rich(4), rich(6), crowd(0), crowd(2345, 3)]
)
def test_what_was_written_is_read(hive: Hive) -> None:
    data = write_hive(hive)
    found = read_hive(data + b"garbage behind the bins")
    assert found == replace(hive, root=in_order(hive.root), layered=hive.minor == 6)
    assert write_hive(found) == data


def test_what_a_differencing_hive_says() -> None:
    subkeys = (
        Key("gone", (), (), TIME, layer=1),
        Key("local", (Value("x", 0, tombstone=True), dword("y", 1)), (), TIME, layer=0x82),
        Key("tree", (), (Key("below", (), (), TIME, layer=3),), TIME, layer=3),
    )
    data = write_hive(Hive(Key("ROOT", (), subkeys, TIME), TIME, 6))
    found = read_hive(data)
    assert found.differencing
    assert found.root.subkeys == subkeys
    local = found.root.subkey("LOCAL")
    assert local is not None
    assert (local.semantics, local.inherits_class) == (LayerSemantics.SUPERSEDE_LOCAL, True)
    assert [value.tombstone for value in local.values] == [True, False]


def test_a_hive_of_version_1_6_that_is_not_differencing() -> None:
    plain = Hive(rich().root, TIME, 6, layered=False)
    data = write_hive(plain)
    assert data[144:148] == bytes(4)
    found = read_hive(data)
    assert (found.minor, found.differencing) == (6, False)
    assert write_hive(found) == data


def test_what_a_hive_carries_survives() -> None:
    key = Key("odd", (Value("v", 0xFFFF1234, b"\1"),), (), (1 << 64) - 1, OTHER_SECURITY, b"odd", 0x1010, 0, 0xA5C3)
    data = write_hive(Hive(Key("ROOT", (), (key,), 1), 2))
    assert read_hive(data).root.subkeys == (key,)


def test_a_predefined_handle_survives() -> None:
    # As Windows had it below Perflib until 2023: the handle stands where the number of values is, and there is no list.
    hive = Broken(write_hive(small()))
    hive.put("H", hive.key("beta") + 2, 0x60)
    hive.put("I", hive.key("beta") + 36, 0x80000050)
    assert check_hive(bytes(hive)).findings == ()
    found = read_hive(bytes(hive))
    beta = found.root.subkey("beta")
    assert beta is not None
    assert (beta.flags, beta.handle, beta.values) == (0x40, 0x80000050, ())
    assert write_hive(found) == bytes(hive)
    changed = Key("ROOT", (), (Key("Gamma", (dword("new", 1),), (), TIME, layer=0x80),), TIME)
    merged = merge_delta(found, Hive(changed, TIME, 6))
    assert merged.root.subkey("beta") == beta
    assert check_hive(write_hive(merged)).findings == ()


def test_marks_of_a_running_system_are_left_behind() -> None:
    hive = Broken(write_hive(small()))
    hive.put("H", hive.key("beta") + 2, 0x23)
    hive[hive.key("beta") + 12] = 2
    assert write_hive(read_hive(bytes(hive))) == write_hive(small())


def test_the_flag_of_a_tombstone_in_an_ordinary_hive() -> None:
    """It has no meaning there, so the value is one like any other."""
    hive = Broken(write_hive(small()))
    flags = hive.value("number") + 16
    hive.put("H", flags, hive.get("H", flags) | 2)
    assert read_hive(bytes(hive)) == read_hive(write_hive(small()))


def test_a_dirty_hive() -> None:
    hive = Broken(write_hive(small()))
    hive.put("I", 4, 7)
    with pytest.raises(HiveError, match=r"dirty hive.*got 7 and 1.*wclayer hive recover"):
        read_hive(bytes(hive))
    assert read_hive(bytes(hive), accept_dirty=True).root == read_hive(write_hive(small())).root


@pytest.mark.parametrize("data", [b"", b"reg", b"regf", bytes(5000), write_hive(small())[:4096]])
def test_no_hive(data: bytes) -> None:
    with pytest.raises(HiveError):
        read_hive(data)


# What does not matter to who reads all of it, and is right again when it is written.
READABLE = {
    "root not marked",
    "parent",
    "hash",
    "order",
    "two_of_one_name",
    "data of no bytes in a cell",
    "descriptor revision",
    "descriptor not self-relative",
    "no owner",
    "part outside",
    "part_at_an_odd_place",
    "owner of another kind",
    "group too long",
    "group cut off",
    "access list size",
    "access list of nothing",
    "access list revision",
    "more entries",
    "entry too large",
    "entry of nothing",
    "entry of odd size",
    "odd_size_of_an_entry",
    "odd_size_of_an_access_list",
    "entry without a SID",
    "name with a backslash",
    "ring to nowhere",
    "ring backwards",
    "ring_not_closed",
    "security_left_out",
}


@pytest.mark.parametrize("name", [name for name, (_, severity, _) in FAULTS.items() if severity is Severity.ERROR])
def test_faults_are_errors(name: str) -> None:
    hive = Broken(write_hive(small()))
    FAULTS[name][0](hive)
    if name in READABLE:
        read_hive(bytes(hive), accept_dirty=True)
        return
    with pytest.raises(HiveError) as caught:
        read_hive(bytes(hive), accept_dirty=True)
    assert caught.value.offset is not None
    assert 0 <= caught.value.offset <= len(hive)


def test_the_key_is_named() -> None:
    hive = Broken(write_hive(small()))
    hive.put("I", hive.key("Deepest") + 44, 0x24)
    with pytest.raises(HiveError, match=r"Alpha\\Deepest: a security descriptor without a cell of its own"):
        read_hive(bytes(hive))


def test_keys_too_deep() -> None:
    key = Key("level 511")
    for level in range(510, 0, -1):
        key = Key(f"level {level}", (), (key,))
    hive = Broken(write_hive(Hive(Key("ROOT", (), (key, Key("other", (), (Key("moved"),)))), TIME)))
    assert sum(1 for _ in read_hive(bytes(hive)).root.walk()) == 514
    hive.put("I", hive.key("level 511") + 20, 1)
    hive.put("I", hive.key("level 511") + 28, hive.get("I", hive.key("other") + 28))
    with pytest.raises(HiveError, match="subkeys too deep"):
        read_hive(bytes(hive))


# Memory


def keys(count: int) -> Key:
    return Key("R", (), tuple(Key(f"{number:x}") for number in range(count)))


def values(count: int) -> Key:
    return Key(
        "R", (), tuple(Key(f"{k:x}", tuple(Value(f"{n:x}", n) for n in range(500))) for k in range(count // 500))
    )


def descriptors(count: int) -> Key:
    # Each with an owner of its own, and no more.
    def owned(number: int) -> bytes:
        return bytes.fromhex("01000080140000000000000000000000000000000101000000000005") + number.to_bytes(4, "little")

    return Key("R", (), tuple(Key(f"{number:x}", security=owned(number)) for number in range(count)))


def comb(levels: int) -> Key:
    """Long names on the way down, and a key beside each."""
    key = Key("end")
    for level in range(levels):
        key = Key("x" * 250 + f"{level:03}", (), (key, Key("z")))
    return Key("R", (), (key,))


def free_cells(count: int) -> bytes:
    """A hive of the smallest cells there can be, all free."""
    data = bytearray(write_hive(Hive(Key("R"))))
    size = count * 8 // 4096 * 4096
    bins = b"".join(lay.CELL.pack(8) + bytes(4) for _ in range((size - 32) // 8))
    data += lay.BIN.pack(b"hbin", 4096, size, 0, 0) + bins
    broken = Broken(data)
    broken.put("I", 40, 4096 + size)
    return bytes(broken)


SHAPES: dict[str, Callable[[], bytes]] = {
    "keys": lambda: write_hive(Hive(keys(4_000))),
    "values": lambda: write_hive(Hive(values(10_000))),
    "descriptors": lambda: write_hive(Hive(descriptors(2_500))),
    "comb": lambda: write_hive(Hive(comb(500))),
    "free cells": lambda: free_cells(50_000),
    "large values": lambda: write_hive(Hive(Key("R", tuple(Value(f"{n}", 3, bytes(30_000)) for n in range(60))))),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_memory_is_at_most_twelve_times_the_hive(shape: str) -> None:
    data = SHAPES[shape]()
    check_hive(data)  # what is made once and kept
    for action in (lambda: write_hive(read_hive(data)), lambda: check_hive(data)):
        tracemalloc.start()
        try:
            action()
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert peak <= 11 * len(data)  # beside the hive itself


# Hives that no program wrote


def bins(cells: bytes) -> bytes:
    """One hive bin with these cells, and a base block; the root is the first cell."""
    size = -(-(32 + len(cells)) // 4096) * 4096
    free = size - 32 - len(cells)
    end = lay.CELL.pack(free) + bytes(free - 4) if free else b""
    broken = Broken(write_hive(Hive(Key("R")))[:4096] + lay.BIN.pack(b"hbin", 0, size, 0, 0) + cells + end)
    broken.put("I", 40, size)
    return bytes(broken)


def test_a_hundred_thousand_levels() -> None:
    levels, step = 100_000, 88 + 16
    security = 32 + levels * step
    parts: list[bytes] = []
    for level in range(levels):
        at = 32 + level * step
        fields = (
            b"nk",
            0x20 if level else 0x2C,
            0,
            0,
            0,
            0,
            max(0, at - step),
            int(level < levels - 1),
            0,
            at + 88,
            lay.NIL,
        )
        key = lay.KEY.pack(*fields, 0, lay.NIL, security, lay.NIL, 2, 0, 0, 0, 0, 1, 0) + b"k"
        leaf = lay.LIST.pack(b"lh", 1) + lay.ELEMENT.pack(at + step, ord("K"))
        parts += [lay.CELL.pack(-88), key.ljust(84, b"\0"), lay.CELL.pack(-16), leaf]
    head = lay.SECURITY.pack(b"sk", 0, security, security, levels, len(OTHER_SECURITY))
    cell = head + OTHER_SECURITY
    size = -(-(4 + len(cell)) // 8) * 8
    data = bins(b"".join(parts) + lay.CELL.pack(-size) + cell.ljust(size - 4, b"\0"))
    with pytest.raises(HiveError, match=r"^\.\.\.(\\k){16}: subkeys too deep; expected at most 512 levels"):
        read_hive(data)
    reason = check_hive(data).reason
    assert reason is not None
    assert reason.message == "subkeys too deep"


def test_just_some_of_the_keys() -> None:
    def key(name: str, *below: Key) -> Key:
        return Key(name, (dword("x", 1),), below)

    tree = key("ROOT", key("A", key("B", key("C")), key("D")), key("E", key("F")), key("G"))
    data = write_hive(Hive(tree))

    def paths(within: list[str] | None) -> list[str]:
        return [path for path, _ in read_hive(data, within=within).root.walk()]

    assert paths(["a\\B", "e"]) == ["", "A", "A\\B", "A\\B\\C", "E", "E\\F"]
    assert paths(["A\\B", "A", "none\\at all"]) == paths(["A"]) == ["", "A", "A\\B", "A\\B\\C", "A\\D"]
    assert paths(["A", "A\\B"]) == paths(["A", "A\\E"]) == paths(["A"])
    assert paths([]) == [""]
    assert paths(None) == ["", "A", "A\\B", "A\\B\\C", "A\\D", "E", "E\\F", "G"]
    assert read_hive(data, within=["A"]).root.subkeys[0] == tree.subkeys[0]
