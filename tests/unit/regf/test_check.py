"""The judgement on a hive: each kind of fault alone is found, where it lies; what is sound raises nothing."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.unit.regf.samples import LARGE, TIME, Broken, crowd, rich, small
from wclayer.errors import HiveError
from wclayer.regf.check import HiveReport, HiveState, check_hive, require_loadable
from wclayer.regf.findings import MAX_FINDINGS, Severity
from wclayer.regf.layout import base_checksum
from wclayer.regf.minimal import minimal_hive
from wclayer.regf.model import Hive, Key, Value
from wclayer.regf.writer import write_hive
from wclayer.win32.sddl import parse_sddl

ERROR, WARNING = Severity.ERROR, Severity.WARNING
Fault = Callable[[Broken], int]  # makes it, and says where it is to be found
FAULTS: dict[str, tuple[Fault, Severity, str]] = {}


def fault(words: str, severity: Severity = ERROR) -> Callable[[Fault], Fault]:
    """The function below makes one fault in the small hive, which the check calls `words`."""

    def note(function: Fault) -> Fault:
        FAULTS[function.__name__] = function, severity, words
        return function

    return note


Place = Callable[[Broken], int]


def field(name: str, layout: str, at: Place, number: int | Place, words: str, found: Place | None = None) -> None:
    """An error that one field makes: the struct letter `layout` at the position `at`, where it is found too."""
    FAULTS[name] = _one_field(layout, at, number, found or at), ERROR, words


def warned(name: str, layout: str, at: Place, number: int, words: str) -> None:
    """The same for a warning."""
    FAULTS[name] = _one_field(layout, at, number, at), WARNING, words


def _one_field(layout: str, at: Place, number: int | Place, found: Place) -> Fault:
    def change(hive: Broken) -> int:
        place, where = at(hive), found(hive)
        hive.put(layout, place, number if isinstance(number, int) else number(hive))
        return where

    return change


def last_bin(hive: Broken) -> int:
    return hive.rindex(b"hbin")


def leaf(hive: Broken) -> int:
    return hive.subkeys("ROOT")


def big(hive: Broken) -> int:
    return hive.cell(hive.value("large value") + 8)


# A cell that is too small is named itself, not the field with the size that it lacks.


def class_cell(hive: Broken) -> int:
    return hive.cell(hive.key("Alpha") + 48) - 4


def value_list(hive: Broken) -> int:
    return hive.cell(hive.key("ROOT") + 40) - 4


def long_data(hive: Broken) -> int:
    return hive.cell(hive.value("long value") + 8) - 4


def number_data(hive: Broken) -> int:
    return hive.value("number") + 8


def descriptor(hive: Broken, part: int = 0) -> int:
    """The position of the descriptor of "beta", or of the part to which the field at an offset in it leads."""
    start = hive.security("beta") + 20
    return start + (hive.get("I", start + part) if part else 0)


OWNER, GROUP, DACL = 4, 8, 16

# Base block

field("major", "I", lambda _: 20, 2, "the major version")
field("minor", "I", lambda _: 24, 9, "the minor version")
field("minor of before NT 4", "I", lambda _: 24, 2, "the minor version")
field("file type", "I", lambda _: 28, 1, "the type of the file")
field("format", "I", lambda _: 32, 2, "the format of the file")
field("bins size none", "I", lambda _: 40, 0, "the size of the hive bins")
field("bins size odd", "I", lambda _: 40, lambda hive: hive.get("I", 40) - 8, "the size of the hive bins")
field("bins size huge", "I", lambda _: 40, 0xFFFFF000, "the size of the hive bins")
field("bins size larger", "I", lambda _: 40, lambda hive: hive.get("I", 40) + 4096, "a hive cut off")
field("root nowhere", "I", lambda _: 36, 0x24, "a key without a cell")
field("root none", "I", lambda _: 36, 0xFFFFFFFF, "a key without a cell")
field("root behind the end", "I", lambda _: 36, 0x7FFFFFF8, "a key without a cell")

warned("clustering", "I", lambda _: 44, 2, "the clustering factor")
warned("flags", "I", lambda _: 144, 0x10, "the flags of the hive")

# Bins and cells

field("bin signature", "I", lambda _: 4096, 0, "not a hive bin")
field("signature of a later bin", "I", last_bin, 0, "not a hive bin")
field("bin offset", "I", lambda hive: last_bin(hive) + 4, 0, "the offset in a hive bin")
field("bin size none", "I", lambda _: 4096 + 8, 0, "the size of a hive bin")
field("bin size odd", "I", lambda _: 4096 + 8, 4104, "the size of a hive bin")
field("bin size huge", "I", lambda _: 4096 + 8, 0x7FFFF000, "the size of a hive bin")
field("cell size none", "i", lambda hive: hive.key("beta") - 4, 0, "the size of a cell")
field("cell size unaligned", "i", lambda hive: hive.key("beta") - 4, -84, "the size of a cell")
field("cell size too large", "i", lambda hive: hive.key("beta") - 4, -0x10000, "the size of a cell")
field("cell size lowest", "i", lambda hive: hive.key("beta") - 4, -(1 << 31), "the size of a cell")

# Keys


@fault("without a cell of its own")
def free_key(hive: Broken) -> int:
    at = hive.key("beta") - 4
    hive.put("i", at, -hive.get("i", at))
    return leaf(hive) + 4 + 8  # the second of the leaf


field("key signature", "H", lambda hive: hive.key("beta"), 0x6B6F, "not a key")
field("root signature", "H", lambda hive: hive.key("ROOT"), 0x6B6F, "not a key")
warned("root not marked", "H", lambda hive: hive.key("ROOT") + 2, 0x28, "the flags of the root")
warned("root to be deleted", "H", lambda hive: hive.key("ROOT") + 2, 0x24, "the flags of the root")
warned("another root", "H", lambda hive: hive.key("beta") + 2, 0x24, "with the root's flag")
warned("volatile", "H", lambda hive: hive.key("beta") + 2, 0x21, "only in memory")
warned("root that is a handle", "H", lambda hive: hive.key("ROOT") + 2, 0x6C, "a key that is a predefined handle")
field("parent", "I", lambda hive: hive.key("Deepest") + 16, 0x20, "the parent of a key")
field("name larger than cell", "H", lambda hive: hive.key("beta") + 72, 0x40, "the name of a key")
field("name of nothing", "H", lambda hive: hive.key("beta") + 72, 0, "the name of a key")


@fault("a backslash", WARNING)
def name_with_a_backslash(hive: Broken) -> int:
    name = hive.key("Deepest") + 76
    hive.put("B", name, ord("\\"))
    number = 0
    for character in "\\EEPEST":  # [REGF]: of the name in upper case
        number = (number * 37 + ord(character)) & 0xFFFFFFFF
    hive.put("I", hive.subkeys("Alpha") + 4 + 4, number)
    return name


field("security none", "I", lambda hive: hive.key("beta") + 44, 0xFFFFFFFF, "a security descriptor without a cell")
field("security elsewhere", "I", lambda hive: hive.key("beta") + 44, 0x20, "a security descriptor without a cell")
field("class elsewhere", "I", lambda hive: hive.key("Alpha") + 48, 0x24, "a class name without a cell")
field("class none", "I", lambda hive: hive.key("Alpha") + 48, 0xFFFFFFFF, "a class name without a cell")
field("class larger than cell", "H", lambda hive: hive.key("Alpha") + 74, 100, "a class name larger", class_cell)
warned("largest subkey name", "I", lambda hive: hive.key("ROOT") + 52, 9, "the largest subkey's name")
# Beside flags in the upper 16 bits, which Windows has set in most keys.
warned("largest name with flags", "I", lambda hive: hive.key("ROOT") + 52, 0x5A0009, "the largest subkey's name")
warned("largest class", "I", lambda hive: hive.key("ROOT") + 56, 8, "the largest subkey's class")
warned("largest value name", "I", lambda hive: hive.key("ROOT") + 60, 2, "the largest value's name")
warned("largest data", "I", lambda hive: hive.key("ROOT") + 64, len(LARGE) - 1, "the largest value's data")

# Subkeys

field("fewer subkeys", "I", lambda hive: hive.key("ROOT") + 20, 2, "the number of subkeys")
field("more subkeys", "I", lambda hive: hive.key("ROOT") + 20, 4, "the number of subkeys")
field("subkeys without a list", "I", lambda hive: hive.key("ROOT") + 28, 0xFFFFFFFF, "a list of subkeys without a cell")
field("list signature", "H", leaf, 0x6161, "not a list of subkeys")
field("list larger than cell", "H", lambda hive: leaf(hive) + 2, 99, "a list of subkeys larger")
field("hash", "I", lambda hive: leaf(hive) + 8, 0, "the hash of a subkey's name")
field("element none", "I", lambda hive: leaf(hive) + 4, 0xFFFFFFFF, "a key without a cell")
warned("list of no subkeys", "I", lambda hive: hive.key("beta") + 28, 0x20, "a list of subkeys, but no subkeys")


@fault("a subkey out of order")
def order(hive: Broken) -> int:
    at = leaf(hive) + 4
    hive[at : at + 16] = hive[at + 8 : at + 16] + hive[at : at + 8]
    return at + 8


@fault("two subkeys of one name")
def two_of_one_name(hive: Broken) -> int:
    at = hive.key("beta")
    hive[at + 76 : at + 80] = b"Gamm"
    hive[hive.key("Gamma") + 72] = 4
    place = leaf(hive) + 4
    hive.put("I", place + 12, (n := hash_of("GAMM")))
    hive.put("I", place + 20, n)
    return place + 16


def hash_of(name: str) -> int:
    value = 0
    for char in name:
        value = (value * 37 + ord(char)) % (1 << 32)
    return value


@fault("a key without a cell of its own")
def one_key_twice(hive: Broken) -> int:
    at = leaf(hive) + 4
    hive[at + 8 : at + 16] = hive[at : at + 8]
    return at + 8


@fault("a list of subkeys without a cell of its own")
def one_list_twice(hive: Broken) -> int:
    at = hive.key("Alpha") + 28
    hive.put("I", at, hive.get("I", hive.key("ROOT") + 28))
    return at


@fault("a key without a cell of its own")
def cycle(hive: Broken) -> int:
    at = hive.subkeys("Alpha") + 4
    hive.put("I", at, hive.get("I", 36))
    return at


# Values

field("value list none", "I", lambda hive: hive.key("ROOT") + 40, 0xFFFFFFFF, "a list of values without a cell")
field("value list larger", "I", lambda hive: hive.key("ROOT") + 36, 0x40000001, "a list of values larger", value_list)
field("value signature", "H", lambda hive: hive.value("text value"), 0x6B6F, "not a value")
field("value name larger", "H", lambda hive: hive.value("text value") + 2, 100, "the name of a value")
field(
    "data longer than cell",
    "I",
    lambda hive: hive.value("long value") + 4,
    200,
    "the data of a value larger",
    long_data,
)
field("data nowhere", "I", lambda hive: hive.value("long value") + 8, 0xFFFFFFFF, "the data of a value without a cell")
field("data inline too long", "I", lambda hive: hive.value("number") + 4, 0x80000005, "data inside the value cell")
field(
    "data of no bytes in a cell",
    "I",
    lambda hive: hive.value("number") + 4,
    0,
    "a cell for empty data",
    number_data,
)
warned("flags of a value", "H", lambda hive: hive.value("number") + 16, 0x8001, "the flags of a value")
warned("list of no values", "I", lambda hive: hive.key("beta") + 40, 0x20, "a list of values, but no values")


@fault("without a cell of its own")
def free_value(hive: Broken) -> int:
    at = hive.value("text value") - 4
    hive.put("i", at, -hive.get("i", at))
    return hive.cell(hive.key("ROOT") + 40)


@fault("the data of a value without a cell of its own")
def data_shared(hive: Broken) -> int:
    at = hive.value("long value") + 8
    hive.put("I", at, hive.get("I", hive.value("text value") + 8))
    hive.put("I", at - 4, 8)
    return at


@fault("the name of a value")
def value_name_of_half_a_unit(hive: Broken) -> int:
    at = hive.value("long value")
    hive.put("H", at + 16, 0)
    hive.put("H", at + 2, 9)
    return at + 2


@fault("the name of a key")
def key_name_of_half_a_unit(hive: Broken) -> int:
    at = hive.key("beta")
    hive.put("H", at + 2, 0)
    hive.put("H", at + 72, 3)
    return at + 72


@fault("two values of one name", WARNING)
def two_values_of_one_name(hive: Broken) -> int:
    at = hive.value("long value") + 20
    hive[at : at + 10] = b"TEXT VALUE"
    return hive.cell(hive.key("ROOT") + 40) + 4


field("big data signature", "H", big, 0x6161, "not big data")
field("big data count", "H", lambda hive: big(hive) + 2, 2, "the number of segments")
field("big data list", "I", lambda hive: big(hive) + 4, 0xFFFFFFFF, "the list of segments without a cell")
field(
    "segment none", "I", lambda hive: hive.cell(big(hive) + 4) + 8, 0xFFFFFFFF, "a segment of big data without a cell"
)


@fault("a segment of big data larger than its cell")
def short_segment(hive: Broken) -> int:
    start = hive.cell(hive.cell(big(hive) + 4)) - 4
    size = hive.get("i", start)
    hive.put("i", start, size + 16)
    hive.put("i", start - size - 16, 16)
    return start


# Security

field("security signature", "H", lambda hive: hive.security("beta"), 0x6161, "not a security cell")
field("descriptor size", "I", lambda hive: hive.security("beta") + 16, 0x1000, "a security descriptor larger")
field("descriptor revision", "B", lambda hive: hive.security("beta") + 20, 2, "unknown revision")
field("descriptor not self-relative", "H", lambda hive: hive.security("beta") + 22, 4, "not self-relative")
field("ring to nowhere", "I", lambda hive: hive.security("ROOT") + 4, 0x24, "a security descriptor without a cell")
field("ring backwards", "I", lambda hive: hive.security("beta") + 8, 0x24, "the descriptor before this one")
warned("references", "I", lambda hive: hive.security("beta") + 12, 3, "the number of keys with a descriptor")


@fault("outside the ring")
def security_left_out(hive: Broken) -> int:
    first, last = hive.security("ROOT"), hive.security("Gamma")
    hive.put("I", first + 4, last - 4100)
    hive.put("I", last + 8, first - 4100)
    return hive.security("beta") + 4


@fault("the ring of descriptors")
def ring_not_closed(hive: Broken) -> int:
    last, middle = hive.security("Gamma"), hive.security("beta")
    hive.put("I", last + 4, middle - 4100)
    hive.put("I", middle + 8, last - 4100)
    return last + 4


@fault("a security descriptor that another cell has too", WARNING)
def one_descriptor_twice(hive: Broken) -> int:
    source, target = hive.security("beta") + 16, hive.security("Gamma") + 16
    size = 4 + hive.get("I", source)
    assert size <= 4 + hive.get("I", target)
    hive[target : target + size] = hive[source : source + size]
    return target + 4


# What is in a descriptor: O:SYG:SYD:(A;CI;KA;;;SY)


def group(hive: Broken) -> int:
    return descriptor(hive, GROUP)


def acl(hive: Broken) -> int:
    return descriptor(hive, DACL)


def entry(hive: Broken) -> int:
    return acl(hive) + 8


field("part outside", "I", lambda hive: descriptor(hive) + DACL, 0x7FFFFFF0, "part that lies outside it")
field("no owner", "I", lambda hive: descriptor(hive) + OWNER, 0, "a security descriptor without an owner")
field("owner of another kind", "B", lambda hive: descriptor(hive, OWNER), 2, "malformed SID")
field("group too long", "B", lambda hive: group(hive) + 1, 16, "malformed SID", group)
field("group cut off", "B", lambda hive: group(hive) + 1, 15, "a SID is cut off", group)
field("access list size", "H", lambda hive: acl(hive) + 2, 0xFFFF, "an ACL whose size does not fit", acl)
field("access list of nothing", "H", lambda hive: acl(hive) + 2, 4, "an ACL whose size does not fit", acl)
field("access list revision", "B", acl, 5, "the revision of an ACL")
field("more entries", "H", lambda hive: acl(hive) + 4, 2, "an ACE outside its ACL", lambda hive: entry(hive) + 20)
field("entry too large", "H", lambda hive: entry(hive) + 2, 0x40, "an ACE whose size does not fit", entry)
field("entry of nothing", "H", lambda hive: entry(hive) + 2, 0, "an ACE whose size does not fit", entry)
field("entry of odd size", "H", lambda hive: entry(hive) + 2, 18, "an ACE without a SID", entry)
field("entry without a SID", "B", lambda hive: entry(hive) + 8, 9, "an ACE without a SID", entry)
warned("access list not marked", "H", lambda hive: descriptor(hive) + 2, 0x8000, "a DACL without")


@fault("the size of an ACE")
def odd_size_of_an_entry(hive: Broken) -> int:
    # Its SID has one number less, and half of that is left.
    at = entry(hive)
    hive.put("B", at + 9, 0)
    hive.put("H", at + 2, 18)
    return at + 2


@fault("the size of an ACL")
def odd_size_of_an_access_list(hive: Broken) -> int:
    # It has no entries, and a byte less than it had.
    at = acl(hive)
    hive.put("H", at + 4, 0)
    hive.put("H", at + 2, 27)
    return at + 2


@fault("an unaligned part of a security descriptor")
def part_at_an_odd_place(hive: Broken) -> int:
    at = descriptor(hive)
    sid = group(hive)
    hive[sid - 2 : sid + 10] = hive[sid : sid + 12]
    hive.put("I", at + GROUP, sid - 2 - at)
    return at + GROUP


def checked(data: bytes) -> HiveReport:
    """The report, after checking that both ways to ask agree."""
    report = check_hive(data)
    assert (report.reason is None) == (report.state is HiveState.LOADABLE)
    if report.reason is None:
        require_loadable(data)
    else:
        assert report.reason in report.findings
        with pytest.raises(HiveError) as caught:
            require_loadable(data)
        assert (caught.value.offset, caught.value.got) == (report.reason.offset, report.reason.got)
        assert caught.value.hint
    return report


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_is_found_where_it_is(name: str) -> None:
    make, severity, words = FAULTS[name]
    hive = Broken(write_hive(small()))
    where = make(hive)
    report = checked(bytes(hive))
    assert report.state is (HiveState.BROKEN if severity is ERROR else HiveState.LOADABLE)
    found = [finding for finding in report.findings if words in finding.message]
    assert [finding.severity for finding in found[:1]] == [severity]
    assert found[0].offset == where
    assert words in str(found[0])


def test_the_faults_are_enough() -> None:
    assert len(FAULTS) >= 100


# Before all else: no hive, an empty one, one that was not completely written


def test_an_empty_file() -> None:
    assert checked(b"").state is HiveState.EMPTY
    with pytest.raises(HiveError, match=r"empty hive: an empty file.*wclayer hive new"):
        require_loadable(b"")


@pytest.mark.parametrize("data", [b"r", b"regf", b"MZ" + bytes(8190), bytes(8192), minimal_hive(0)[:4095]])
def test_no_hive_at_all(data: bytes) -> None:
    assert checked(data).state is HiveState.BROKEN


def test_other_sequence_numbers() -> None:
    hive = Broken(minimal_hive(TIME))
    hive.put("I", 4, 2)
    report = checked(bytes(hive))
    assert report.state is HiveState.DIRTY
    with pytest.raises(HiveError, match=r"dirty hive: .*expected two equal; got 2 and 1 \(at byte 4 .*LOG1"):
        require_loadable(bytes(hive))


def test_another_checksum() -> None:
    hive = bytearray(minimal_hive(TIME))
    hive[100] ^= 1  # in the file name, which has no meaning
    report = checked(bytes(hive))
    assert report.state is HiveState.DIRTY
    assert [finding.offset for finding in report.findings] == [508]


def test_checksums_that_mean_none_are_moved_aside() -> None:
    zero = bytearray(512)
    assert base_checksum(zero) == 1
    zero[:4] = b"\xff" * 4
    assert base_checksum(zero) == 0xFFFFFFFE


def test_a_dirty_hive_is_dirty_whatever_else_it_is() -> None:
    hive = Broken(write_hive(small()))
    hive.put("I", 4, 2)
    hive.put("H", hive.key("beta"), 0)
    report = checked(bytes(hive))
    assert report.state is HiveState.DIRTY
    assert len(report.findings) > 1


@pytest.mark.parametrize("size", [4096, 4097, 8191, 8192, 12288])
def test_a_hive_cut_off(size: int) -> None:
    report = checked(write_hive(small())[:size])
    assert (report.state, report.reason and report.reason.message) == (HiveState.BROKEN, "a hive cut off")


@pytest.mark.parametrize("behind", [bytes(1), b"\xff" * 5000, b"hbin" * 4096])
def test_what_lies_behind_the_bins_is_nothing(behind: bytes) -> None:
    assert checked(minimal_hive(TIME) + behind).findings == ()


def test_what_has_no_meaning_may_be_anything() -> None:
    hive = Broken(write_hive(small()))
    for place in (48, 112, 168, 176, 512):  # file name, GUIDs, time of reorganization, offreg's mark
        hive.put("I", place, 0xDEADBEEF)
    for place in (hive.key("ROOT") + 16, hive.key("beta") + 32, hive.key("beta") + 68):
        hive.put("I", place, 0x80000180)  # the root's parent, list of volatile subkeys, work variable
    hive.put("H", hive.key("ROOT") + 54, 0x00A0)  # flags beside the largest name
    hive.put("B", hive.key("beta") + 12, 2)  # access bits
    assert checked(bytes(hive)).findings == ()


# Lists that we do not write


@pytest.mark.parametrize("minor", [3, 5])
def test_li_leaves(minor: int) -> None:
    hive = Broken(write_hive(crowd(3, minor)))
    at = leaf(hive)
    cells = [hive.get("I", at + 4 + 8 * number) for number in range(3)]
    hive[at : at + 2] = b"li"
    for number, cell in enumerate(cells):
        hive.put("I", at + 4 + 4 * number, cell)
    assert checked(bytes(hive)).findings == ()
    hive.put("I", at + 4, cells[1])
    hive.put("I", at + 8, cells[0])
    assert "out of order" in str(checked(bytes(hive)).reason)


def test_leaves_of_hashes_in_a_hive_of_before_them() -> None:
    hive = Broken(write_hive(small()))
    hive.put("I", 24, 3)
    messages = [finding.message for finding in checked(bytes(hive)).findings if finding.severity is WARNING]
    assert messages == ["a leaf of hashes"] * 2
    hive.put("I", 24, 4)
    assert [finding.message for finding in checked(bytes(hive)).findings] == ["a leaf of hashes"] * 2


def test_descriptors_that_let_everyone_in_or_nobody() -> None:
    for sddl in ("O:SYG:SYD:NO_ACCESS_CONTROL", "O:SYG:SYD:", "O:SY", "O:SYG:SYS:(AU;SA;KA;;;WD)"):
        key = Key("key", security=parse_sddl(sddl))
        assert checked(write_hive(Hive(Key("ROOT", (), (key,)), TIME))).findings == ()


def test_a_sacl_that_is_not_marked() -> None:
    security = parse_sddl("O:SYG:SYS:(AU;SA;KA;;;WD)")
    hive = Broken(write_hive(Hive(Key("ROOT", (), (Key("beta", security=security),)), TIME)))
    hive.put("H", descriptor(hive) + 2, 0x8000)
    assert [finding.message for finding in checked(bytes(hive)).findings] == ["a SACL without its PRESENT bit"]


def test_hives_of_disks_with_large_sectors() -> None:
    hive = Broken(minimal_hive(TIME))
    hive.put("I", 44, 8)
    assert checked(bytes(hive)).findings == ()


def test_order_goes_on_from_leaf_to_leaf() -> None:
    hive = Broken(write_hive(crowd(1200)))
    index = leaf(hive)
    first, second = hive.get("I", index + 4), hive.get("I", index + 8)
    hive.put("I", index + 4, second)
    hive.put("I", index + 8, first)
    report = checked(bytes(hive))
    assert [finding.message for finding in report.findings] == ["a subkey out of order"]


def test_an_index_in_an_index() -> None:
    hive = Broken(write_hive(crowd(1200)))
    index = leaf(hive)
    at = hive.cell(index + 4)
    hive[at : at + 2] = b"ri"
    assert "not a leaf of subkeys" in str(checked(bytes(hive)).reason)


def test_an_empty_leaf() -> None:
    hive = Broken(write_hive(crowd(501)))
    index = leaf(hive)
    hive.put("H", hive.cell(index + 8) + 2, 0)
    hive.put("I", hive.key("ROOT") + 20, 500)
    messages = [finding.message for finding in checked(bytes(hive)).findings]
    assert messages[0] == "an empty leaf of subkeys"


def test_hints() -> None:
    hive = Broken(write_hive(small(3)))
    at = leaf(hive) + 8
    for hint in (b"ALPH", b"alph", b"Al\0\0", bytes(4)):
        hive[at : at + 4] = hint
        assert checked(bytes(hive)).findings == ()
    hive[at : at + 4] = b"Alpx"
    assert "the hint at a subkey's name" in str(checked(bytes(hive)).reason)


# Bounds


def test_keys_too_deep() -> None:
    levels = [Key(f"level {number}") for number in range(511)]
    key = levels[-1]
    for above in reversed(levels[:-1]):
        key = Key(above.name, (), (key,))
    hive = Broken(write_hive(Hive(Key("ROOT", (), (key, Key("other", (), (Key("moved"),)))), TIME)))
    assert checked(bytes(hive)).findings == ()
    deepest, other = hive.key("level 510"), hive.key("other")
    hive.put("I", deepest + 20, 1)
    hive.put("I", deepest + 28, hive.get("I", other + 28))
    report = checked(bytes(hive))
    assert report.reason is not None
    assert report.reason.message == "subkeys too deep"
    assert report.reason.path is not None
    assert report.reason.path.startswith("...\\")
    assert report.reason.path.endswith("\\level 510")


def test_findings_have_an_end_and_errors_are_not_lost_among_warnings() -> None:
    values = tuple(Value(f"value {number:05}", 0) for number in range(3000))
    hive = Broken(write_hive(Hive(Key("ROOT", values, (Key("beta"),)), TIME)))
    for number in range(3000):
        at = hive.value(f"value {number:05}") + 20
        hive[at : at + 11] = b"value 0000x"
    hive.put("H", hive.key("beta") + 72, 0xFFFF)
    report = checked(bytes(hive))
    assert report.state is HiveState.BROKEN
    assert sum(finding.severity is WARNING for finding in report.findings) == MAX_FINDINGS
    assert report.reason is not None
    assert report.reason.message == "the name of a key"


def test_a_name_in_a_message_writes_to_no_terminal() -> None:
    hive = Broken(write_hive(Hive(Key("ROOT", (), (Key("a\x1b[31mb"), Key("c"))), TIME)))
    hive.put("I", hive.key("a\x1b[31mb") + 44, 0)
    reason = checked(bytes(hive)).reason
    assert reason is not None
    assert reason.path == "a\x1b[31mb"
    assert "\x1b" not in str(reason)
    with pytest.raises(HiveError) as caught:
        require_loadable(bytes(hive))
    assert "\x1b" not in str(caught.value)


def test_what_is_named_a_thousand_times_is_looked_at_once() -> None:
    count = 100_000
    values = tuple(Value(f"{number}", 3, bytes(5)) for number in range(count))
    hive = Broken(write_hive(Hive(Key("ROOT", values), TIME, 3)))
    listed = hive.cell(hive.key("ROOT") + 40)
    hive[listed : listed + 4 * count] = hive[listed : listed + 4] * count
    report = checked(bytes(hive))
    assert len(report.findings) == MAX_FINDINGS
    assert report.reason is not None
    assert (report.reason.offset, report.reason.got) == (
        listed + 4,
        f"offset {hive.get('I', listed):#x}, already in use",
    )


@pytest.mark.parametrize("minor", [3, 5, 6])
def test_sound_hives_raise_nothing(minor: int) -> None:
    assert checked(write_hive(rich(minor))).findings == ()
