"""The writer: structures as the format has them, and every limit."""

from __future__ import annotations

import struct
from dataclasses import replace

import pytest

from tests.unit.regf.samples import LARGE, OTHER_SECURITY, TIME, Broken, crowd, rich, small
from wclayer.errors import InexpressibleError, SecurityDescriptorError
from wclayer.regf import writer
from wclayer.regf.check import check_hive
from wclayer.regf.model import DEFAULT_SECURITY, Hive, Key, Value, dword, sz
from wclayer.regf.names import key_hint, key_order, name_hash
from wclayer.regf.writer import LEAF_ELEMENTS, write_hive
from wclayer.win32.sddl import parse_sddl


def written(*subkeys: Key, values: tuple[Value, ...] = (), minor: int = 5) -> Broken:
    return Broken(write_hive(Hive(Key("ROOT", values, subkeys), TIME, minor)))


def refused(*subkeys: Key, values: tuple[Value, ...] = (), minor: int = 5) -> InexpressibleError:
    with pytest.raises(InexpressibleError) as caught:
        written(*subkeys, values=values, minor=minor)
    return caught.value


def chain(levels: int) -> Key:
    key = Key("last")
    for level in range(levels - 1):
        key = Key(f"level {level}", (), (key,))
    return key


@pytest.mark.parametrize("hive", [small(3), small(5), small(6), rich(3), rich(5), rich(6), crowd(1001, 3), crowd(1001)])
def test_what_is_written_is_loadable(hive: Hive) -> None:
    data = write_hive(hive)
    report = check_hive(data)
    assert (report.findings, report.differencing) == ((), hive.minor == 6)
    assert len(data) == 4096 + struct.unpack_from("<I", data, 40)[0]
    assert write_hive(hive) == data


def test_no_order_of_subkeys_makes_a_difference() -> None:
    hive = small()
    turned = replace(hive, root=replace(hive.root, subkeys=hive.root.subkeys[::-1]))
    assert write_hive(turned) == write_hive(hive)


def test_deeply_nested_keys_can_be_shown_and_compared() -> None:
    key = chain(500)
    assert repr(key).startswith("Key(name='level 498'")
    assert key == chain(500)
    assert hash(key) == hash(chain(500))
    assert key != replace(key, subkeys=())
    assert key != replace(key, subkeys=(replace(chain(499), control=1),))
    assert key != "level 498"


# Bins


def test_bins_follow_each_other_and_only_the_first_has_a_time() -> None:
    data = written(*(Key(f"key {number}", (Value("v", 3, bytes(900)),)) for number in range(40)))
    position, count = 4096, 0
    while position < len(data):
        signature, offset, size, reserved, time, spare = struct.unpack_from("<4sIIQQI", data, position)
        assert (signature, offset, reserved, spare) == (b"hbin", position - 4096, 0, 0)
        assert time == (0 if count else TIME)
        position, count = position + size, count + 1
    assert count > 8


def test_a_cell_larger_than_a_page_has_a_bin_of_its_size() -> None:
    data = written(values=(Value("v", 3, b"\xaa" * 10000),))
    start = data.index(b"\xaa" * 10000) - 36
    assert data[start : start + 4] == b"hbin"
    assert data.get("I", start + 8) == 3 * 4096


def test_a_bin_that_is_wholly_used_has_no_free_cell() -> None:
    # 32 bytes of header, the root's 88, security's 168, then the data with its size field.
    room = 4096 - 32 - 88 - 168
    data = written(values=(Value("", 3, bytes(room - 8 - 24 - 4)),))
    assert len(data) == 8192
    assert check_hive(bytes(data)).findings == ()


# Keys


def test_a_key_by_hand() -> None:
    data = written(
        Key("Sub", (dword("one", 1), sz("longer", "abc")), (), 5, DEFAULT_SECURITY, b"k\0", 0x10, 0, 0xA5),
        Key("\u0100x", (), (), 6),
    )
    root, sub = data.key("ROOT"), data.key("Sub")
    assert data.get("H", root + 2) == 0x2C
    assert data.get("I", root + 20) == 2
    assert data.get("I", root + 52) == 6  # as UTF-16, though compressed
    assert data.get("I", root + 56) == 2
    assert data.get("H", sub + 2) == 0x30
    assert data.get("Q", sub + 4) == 5
    assert data.get("I", sub + 16) == root - 4096 - 4
    assert data.get("I", sub + 28) == 0xFFFFFFFF
    assert data.get("I", sub + 36) == 2
    assert data.get("I", sub + 52) == 0xA5 << 16
    assert data.get("I", sub + 60) == 12
    assert data.get("I", sub + 64) == 8
    assert data.get("H", sub + 74) == 2
    assert data[data.cell(sub + 48) :][:2] == b"k\0"
    wide = data.index("\u0100x".encode("utf-16-le")) - 76
    assert data.get("H", wide + 2) == 0
    assert data.get("H", wide + 72) == 4


def test_leaves_of_both_versions() -> None:
    keys = Key("beta"), Key("Alpha"), Key("\u0101y")
    for minor, signature in ((3, b"lf"), (5, b"lh"), (6, b"lh")):
        data = written(*keys, minor=minor)
        leaf = data.subkeys("ROOT")
        assert data[leaf : leaf + 4] == signature + b"\3\0"
        notes = [bytes(data[leaf + 8 + 8 * number :][:4]) for number in range(3)]
        if minor == 3:
            assert notes == [b"Alph", b"beta", bytes(4)]
        else:
            assert notes == [name_hash(key_order(name)).to_bytes(4, "little") for name in ("ALPHA", "BETA", "\u0100Y")]
        assert data.cell(leaf + 4) == data.key("Alpha")


def test_hashes_and_hints() -> None:
    assert name_hash(key_order("")) == 0
    assert name_hash(key_order("a")) == 65
    assert name_hash(key_order("ab")) == 65 * 37 + 66
    assert name_hash(key_order("a" * 300)) < 1 << 32
    assert name_hash(key_order("\U0001f600")) == 0xD83D * 37 + 0xDE00
    assert key_hint("ab") == b"ab\0\0"
    assert key_hint("aÿxyz") == b"a\xffxy"
    assert key_hint("abcd\u0100") == bytes(4)


def test_keys_are_in_the_order_of_upper_case_code_units() -> None:
    names = ["_", "a", "B", "z", "\u00e4", "\uff21", "\U0001f600"]
    ordered = sorted(names, key=key_order)
    assert ordered == ["a", "B", "z", "_", "\u00e4", "\U0001f600", "\uff21"]


@pytest.mark.parametrize(("count", "leaves"), [(0, 0), (1, 0), (500, 0), (501, 2), (1000, 2), (1001, 3)])
def test_leaves_are_split(count: int, leaves: int) -> None:
    data = Broken(write_hive(crowd(count)))
    root = data.key("ROOT")
    if not count:
        assert data.get("I", root + 28) == 0xFFFFFFFF
        return
    top = data.subkeys("ROOT")
    if not leaves:
        assert data[top : top + 4] == b"lh" + count.to_bytes(2, "little")
        return
    assert data[top : top + 4] == b"ri" + leaves.to_bytes(2, "little")
    sizes = [data.get("H", data.cell(top + 4 + 4 * number) + 2) for number in range(leaves)]
    assert sizes == [LEAF_ELEMENTS] * (leaves - 1) + [count - LEAF_ELEMENTS * (leaves - 1)]


# Values


@pytest.mark.parametrize("size", range(5))
def test_small_data_lies_in_the_value(size: int) -> None:
    data = written(values=(Value("tiny", 3, b"\1\2\3\4"[:size]),))
    value = data.value("tiny")
    assert data.get("I", value + 4) == 0x80000000 | size
    assert data[value + 8 : value + 12] == b"\1\2\3\4"[:size].ljust(4, b"\0")


def test_values_by_hand() -> None:
    data = written(values=(Value("", 1, b"x" * 5), Value("late", 0xFFFFFFFF, b"y" * 9), Value("\u0100", 3)))
    listed = data.cell(data.key("ROOT") + 40)
    first, second, third = (data.cell(listed + 4 * number) for number in range(3))
    assert data[first : first + 4] == b"vk\0\0"
    assert (data.get("H", first + 16), data.get("I", first + 12)) == (0, 1)  # no name, not marked as compressed
    assert second == data.value("late")
    assert (data.get("H", second + 16), data.get("I", second + 12)) == (1, 0xFFFFFFFF)
    assert data[data.cell(second + 8) :][:9] == b"y" * 9
    assert (data.get("H", third + 2), data.get("H", third + 16)) == (2, 0)


@pytest.mark.parametrize("minor", [3, 5])
def test_large_data(minor: int) -> None:
    data = written(values=(Value("large", 3, LARGE),), minor=minor)
    cell = data.cell(data.value("large") + 8)
    assert data.get("I", data.value("large") + 4) == len(LARGE)
    if minor == 3:
        assert data[cell : cell + len(LARGE)] == LARGE
        return
    assert data[cell : cell + 4] == b"db\3\0"
    listed = data.cell(cell + 4)
    segments = [data.cell(listed + 4 * number) for number in range(3)]
    # 4 bytes more than the segment has, in the last one too: Windows does so, and hivex and libregf read them.
    assert [data.get("i", at - 4) for at in segments] == [-(4 + 16344 + 4)] * 3
    assert b"".join(bytes(data[at : at + 16344]) for at in segments)[: len(LARGE)] == LARGE


def test_the_most_data(monkeypatch: pytest.MonkeyPatch) -> None:
    """65,535 segments, or what is set here in their place."""
    assert writer._MAX_BIG_DATA == 0xFFFF * 16344
    monkeypatch.setattr(writer, "_MAX_BIG_DATA", 2 * 16344)
    written(values=(Value("most", 3, bytes(2 * 16344)),))
    with pytest.raises(InexpressibleError, match="at most 32,688 bytes"):
        written(values=(Value("more", 3, bytes(2 * 16344 + 1)),))


def test_data_of_one_segment_is_one_cell() -> None:
    for size, signature in ((16344, b"aa"), (16345, b"db")):
        data = written(values=(Value("edge", 3, b"a" * size),))
        cell = data.cell(data.value("edge") + 8)
        assert data[cell : cell + 2] == signature


# Security


def test_equal_descriptors_are_one_cell_with_its_count() -> None:
    data = Broken(write_hive(small()))
    first, second, third = data.security("ROOT"), data.security("Deepest"), data.security("Gamma")
    assert data.security("Alpha") == first
    assert data.security("beta") == second
    assert first < second < third
    assert [data.get("I", cell + 12) for cell in (first, second, third)] == [2, 2, 1]
    assert [data.cell(cell + 4) for cell in (first, second, third)] == [second, third, first]
    assert [data.cell(cell + 8) for cell in (first, second, third)] == [third, first, second]
    assert data[second + 20 : second + 20 + len(OTHER_SECURITY)] == OTHER_SECURITY


def test_a_malformed_descriptor_is_refused_with_the_key() -> None:
    with pytest.raises(SecurityDescriptorError) as caught:
        written(Key("a", (), (Key("b", security=b"x" * 20),)))
    assert caught.value.path == "a\\b"


# Differencing hives


def test_layer_bytes_and_tombstones() -> None:
    data = written(Key("gone", layer=1), Key("kept", (Value("hidden", 0, tombstone=True),), layer=0x80), minor=6)
    assert data.get("I", 144) == 2
    assert data[data.key("gone") + 13] == 1
    assert data[data.key("kept") + 13] == 0x80
    value = data.value("hidden")
    assert (data.get("I", value + 4), data.get("I", value + 8), data.get("H", value + 16)) == (0, 0xFFFFFFFF, 3)
    report = check_hive(bytes(data))
    assert (report.findings, report.differencing) == ((), True)


def test_layer_bytes_and_tombstones_are_for_differencing_hives_alone() -> None:
    assert "a layer byte" in str(refused(Key("a", layer=1)))
    assert "tombstone" in str(refused(values=(Value("a", 0, tombstone=True),)))
    assert "tombstone" in str(refused(values=(Value("a", 0, b"x", tombstone=True),), minor=6))
    with pytest.raises(InexpressibleError, match="a layer byte"):
        write_hive(Hive(Key("ROOT", layer=1), minor=6))


def layered(*subkeys: Key) -> str:
    return str(refused(*subkeys, minor=6))


def test_a_differencing_hive_keeps_the_rules_of_one() -> None:
    for layer in (0x04, 0x40, 0x87):
        assert "a layer byte" in layered(Key("a", layer=layer))
    for lost in (Key("a", (dword("v", 1),), layer=1), Key("a", (), (Key("b", layer=1),), layer=1)):
        assert "a deleted key" in layered(lost)
    assert "a deleted key" in layered(Key("a", class_name=b"c\0", layer=0x81))
    assert "a class name in a key that inherits it" in layered(Key("a", class_name=b"c\0", layer=0x80))
    for layer in (0, 2, 0x80):
        inside = Key("t", (), (Key("u", (), (Key("in", layer=layer),), layer=3),), layer=3)
        assert layered(inside).startswith("t\\u\\in: a key that does not supersede")


DESCRIPTORS = {
    "without an owner": parse_sddl("G:SYD:(A;CI;KA;;;SY)"),
    "the revision of an ACL": parse_sddl("O:SYG:SYD:(A;CI;KA;;;SY)").replace(b"\x02\0\x1c\0", b"\x05\0\x1c\0"),
    "an ACE without a SID": parse_sddl("O:SYG:SYD:(A;CI;KA;;;SY)")[:-12] + b"\x09" + bytes(11),
    "an ACL whose size does not fit": parse_sddl("O:SYG:SYD:(A;CI;KA;;;SY)")[:-1],
}


@pytest.mark.parametrize("words", DESCRIPTORS)
def test_descriptors_that_windows_would_replace(words: str) -> None:
    with pytest.raises(SecurityDescriptorError, match=words) as caught:
        written(Key("a", (), (Key("b", security=DESCRIPTORS[words]),)))
    assert caught.value.path == "a\\b"
    assert caught.value.expected is not None


# Limits


@pytest.mark.parametrize("name", ["x" * 255, "\u0100" * 255, "\U0001f600" * 127, "\ud800", "a/b", "a\0b", "."])
def test_names_that_keys_can_have(name: str) -> None:
    assert check_hive(bytes(written(Key(name)))).findings == ()


@pytest.mark.parametrize("name", ["", "x" * 256, "\u0100" * 256, "\U0001f600" * 128, "a\\b"])
def test_names_that_keys_cannot_have(name: str) -> None:
    assert "the name of a key" in str(refused(Key(name)))


def test_names_of_values() -> None:
    for name in ("x" * 16383, "\u0100" * 16383, "\\", "\ud800"):
        assert check_hive(bytes(written(values=(Value(name, 0),)))).findings == ()
    for name in ("x" * 16384, "\u0100" * 16384):
        assert "the name of a value" in str(refused(values=(Value(name, 0),)))


@pytest.mark.parametrize(("one", "two"), [("a", "A"), ("ä", "Ä"), ("same", "same"), ("\u0101", "\u0100")])
def test_two_of_one_name(one: str, two: str) -> None:
    assert "two subkeys of one name" in str(refused(Key(one), Key("between"), Key(two)))
    assert "two values of one name" in str(refused(values=(dword(one, 1), dword("between", 1), dword(two, 1))))


def test_the_depth() -> None:
    assert check_hive(bytes(written(chain(511)))).findings == ()
    assert "a key too deep" in str(refused(chain(512)))


def test_the_size_of_data() -> None:
    largest = (1 << 20) - 4
    assert check_hive(bytes(written(values=(Value("v", 3, bytes(largest)),), minor=3))).findings == ()
    assert "the data of a value" in str(refused(values=(Value("v", 3, bytes(largest + 1)),), minor=3))
    assert check_hive(bytes(written(values=(Value("v", 3, bytes(largest + 1)),)))).findings == ()


@pytest.mark.parametrize(
    ("key", "words"),
    [
        (Key("a", class_name=bytes(0xFFFF)), "the class name"),
        (Key("a", last_written=-1), "a key's time"),
        (Key("a", last_written=1 << 64), "a key's time"),
        (Key("a", flags=0x04), "flags of a key"),
        (Key("a", flags=0x20), "flags of a key"),
        (Key("a", flags=0x40), "a key that is a predefined handle"),
        (Key("a", handle=1), "the handle of a key"),
        (Key("a", flags=0x40, handle=1 << 32), "the handle of a key"),
        (Key("a", flags=1 << 16), "flags of a key"),
        (Key("a", control=1 << 16), "control bits"),
        (Key("a", layer=256), "a layer byte"),
        (Key("a", (Value("v", 1 << 32),)), "a value's type"),
        (Key("a", (Value("v", -1),)), "a value's type"),
    ],
)
def test_numbers_that_no_field_can_hold(key: Key, words: str) -> None:
    error = refused(key, minor=6)
    assert words in error.message
    assert error.path == "a"


def test_a_predefined_handle_has_no_values() -> None:
    assert "a key that is a predefined handle" in str(
        refused(Key("a", (dword("v", 1),), flags=0x40, handle=0x80000050))
    )


@pytest.mark.parametrize("minor", [0, 2, 7])
def test_versions_that_are_not_written(minor: int) -> None:
    with pytest.raises(InexpressibleError, match="hive version"):
        write_hive(Hive(Key("ROOT"), TIME, minor))
