"""Transaction logs: what they bring is in the hive, what does not fit is left out, with a word or an error."""

from __future__ import annotations

import struct
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import pytest

from tests.unit.regf.logs import Entry, changes, dirty, log, marvin32
from tests.unit.regf.samples import TIME, Broken, crowd, small
from wclayer.errors import HiveError
from wclayer.regf.check import HiveState, check_hive
from wclayer.regf.log import Recovered, recover_hive
from wclayer.regf.minimal import minimal_hive
from wclayer.regf.model import Hive, Key, dword
from wclayer.regf.reader import read_hive
from wclayer.regf.writer import write_hive


def version(number: int, more: int = 0) -> bytes:
    """A hive that differs from the others in a value, and in size as it has `more` keys."""
    subkeys = tuple(Key(f"key {at:05}", last_written=TIME) for at in range(more))
    return write_hive(Hive(Key("ROOT", (dword("version", number),), subkeys, TIME), TIME))


STATES = [version(0), version(1), version(2, 300), version(3, 301), version(4, 100), version(5)]
CHANGES = [changes(before, after, 6 + at) for at, (before, after) in enumerate(pairwise(STATES))]
DIRTY = dirty(STATES[0], 7, 6)  # whole up to 6, so that entries from 6 on count
LOG1 = log(DIRTY, *CHANGES[:2])
LOG2 = log(DIRTY, *CHANGES[2:])


def number(recovered: Recovered) -> int:
    """Which of the states a hive has, all of whose bins must be right."""
    hive = read_hive(recovered.data)
    value = hive.root.value("version")
    assert value is not None
    found = value.data[0]
    expected = STATES[found][4096:]
    assert recovered.data[4096 : 4096 + len(expected)] == expected
    assert check_hive(recovered.data).findings == ()
    return found


def test_the_hash_is_that_of_windows() -> None:
    # The header of an entry that Windows 10 wrote, and the hash that it gave it; then the published test vectors.
    header = bytes.fromhex("48764c45001e0000000000000300000000500000010000005d1e700717a84647")
    assert marvin32(header) == int.from_bytes(bytes.fromhex("677287f6afdc37e6"), "little")
    assert [hex(marvin32(data, 0x004FB61A001BDBCC)) for data in (b"", b"\xaf", b"\xe7\x0f")] == [
        "0x30ed35c100cd3c7d",
        "0x48e73fc77d75ddc1",
        "0xb5f6e1fc485dbff8",
    ]


@pytest.mark.parametrize(("logs", "applied"), [((LOG1, LOG2), (2, 3)), ((LOG2, LOG1), (3, 2))])
def test_both_logs_in_any_order(logs: tuple[bytes, ...], applied: tuple[int, ...]) -> None:
    recovered = recover_hive(DIRTY, logs)
    assert (recovered.applied, recovered.notes) == (applied, ())
    assert number(recovered) == 5
    assert struct.unpack_from("<II", recovered.data, 4) == (10, 10)
    # All else in the base block is that of the hive; the file has grown on the way, and does not shrink.
    base = Broken(DIRTY[:4096])
    for at, value in ((4, 10), (8, 10), (40, len(STATES[5]) - 4096)):
        base.put("I", at, value)
    assert recovered.data[:4096] == bytes(base)
    assert len(recovered.data) == max(map(len, STATES))


@pytest.mark.parametrize("count", range(1, 6))
def test_each_entry_is_a_whole_state(count: int) -> None:
    recovered = recover_hive(DIRTY, [log(DIRTY, *CHANGES[:count])])
    assert (recovered.applied, number(recovered)) == ((count,), count)


def test_entries_that_the_hive_has_are_not_applied_again() -> None:
    hive = dirty(STATES[2], 9, 8)
    recovered = recover_hive(hive, [log(hive, *CHANGES)])
    assert (recovered.applied, number(recovered)) == ((3,), 5)
    with pytest.raises(HiveError, match=r"log 1 ends with the entry 7, and the hive has those up to 8"):
        recover_hive(hive, [LOG1])


def test_a_hive_that_was_marked_clean_lacks_what_its_logs_have() -> None:
    """Whatever program did that, Windows applies the logs of dirty hives only."""
    marked = dirty(STATES[0], 8, 8)
    recovered = recover_hive(marked, [LOG1, LOG2])
    assert (recovered.data, recovered.applied, recovered.lost) == (marked, (0, 0), True)
    assert recovered.notes[0] == "log 2 has entries up to 10, and the hive, marked clean, those up to 8"
    assert "another program marked the hive clean" in recovered.notes[1]
    assert not recover_hive(dirty(STATES[5], 10, 10), [LOG1, LOG2]).lost
    other = Broken(LOG2)
    other.put("I", 112, 0x1234)  # of another hive, by its resource manager
    base = Broken(marked)
    base.put("I", 112, 0x4321)
    assert not recover_hive(bytes(base), [bytes(other)]).lost


def test_a_clean_hive_is_given_back() -> None:
    assert recover_hive(STATES[0], []) == Recovered(STATES[0], (), ())
    clean = dirty(STATES[0], 7, 7)
    recovered = recover_hive(clean, [LOG1, b"no log"])
    assert recovered.data is clean
    assert recovered.applied == (0, 0)
    assert recovered.notes == ("the hive is clean: its logs hold nothing new",)


def test_what_lies_behind_the_bins_stays() -> None:
    behind = b"\xee" * 300_000
    recovered = recover_hive(DIRTY + behind, [LOG1, LOG2])
    assert number(recovered) == 5
    assert len(recovered.data) == len(DIRTY) + len(behind)
    assert recovered.data.endswith(behind[-4096:])


@pytest.mark.parametrize(("of_hive", "of_entry"), [(0, 1), (1, 0), (2, 3), (3, 2)])
def test_pending_transactions(of_hive: int, of_entry: int) -> None:
    hive = Broken(DIRTY)
    hive.put("I", 144, of_hive)
    flags = recover_hive(bytes(hive), [log(DIRTY, replace(CHANGES[0], flags=of_entry))]).data[144]
    assert flags == (of_hive & 2) | (of_entry & 1)


def test_pages_may_come_in_any_order_and_twice() -> None:
    whole = STATES[1][4096:]
    pages = {4096 * at: whole[4096 * at : 4096 * at + 4096] for at in reversed(range(len(whole) // 4096))}
    assert number(recover_hive(DIRTY, [log(DIRTY, Entry(6, len(whole), pages))])) == 1
    references = struct.pack("<IIII", 0, 4096, 0, 4096)
    twice = Entry(6, len(whole), {0: bytes(4096), 1: whole[:4096]}, references=references)
    assert number(recover_hive(DIRTY, [log(DIRTY, twice)])) == 1


def test_an_entry_without_pages() -> None:
    assert number(recover_hive(DIRTY, [log(DIRTY, Entry(6, len(STATES[0]) - 4096, {}))])) == 0


# The base block


def without_base_block(hive: bytes) -> bytes:
    return hive[:100] + b"\xff" + hive[101:]


@pytest.mark.parametrize("hive", [without_base_block(DIRTY), bytes(4096) + DIRTY[4096:], b"\xff" * 4096 + DIRTY[4096:]])
def test_a_base_block_that_was_lost(hive: bytes) -> None:
    recovered = recover_hive(hive, [LOG2, LOG1])
    assert recovered.applied == (3, 2)
    assert recovered.notes == ("log 1 gives the base block, as that of the hive is broken",)
    assert number(recovered) == 5
    assert recovered.data[:512] == recover_hive(DIRTY, [LOG1, LOG2]).data[:512]


def test_a_base_block_that_was_lost_and_a_log_that_leads_to_nothing() -> None:
    recovered = recover_hive(without_base_block(STATES[2]), [log(DIRTY, CHANGES[0]), LOG2])
    assert recovered.applied == (0, 3)
    assert recovered.notes[1:] == ("log 1 ends with the entry 6, and the others begin with 8",)
    assert number(recovered) == 5


def test_nothing_left_but_a_log_with_all_of_the_hive() -> None:
    whole = changes(b"", STATES[2], 9)
    for hive in (b"", b"regf", STATES[2][:4095]):
        recovered = recover_hive(hive, [log(DIRTY, whole)])
        assert (recovered.applied, number(recovered)) == ((1,), 2)


# What does not fit

GUID = bytes(range(16))


def named(content: bytes, guid: bytes) -> bytes:
    hive = Broken(content)
    for at, byte in enumerate(guid):
        hive.put("B", 112 + at, byte)
    return bytes(hive)


def test_logs_of_another_hive() -> None:
    for hive, other in ((GUID, bytes(16)), (bytes(16), GUID), (GUID, GUID)):
        assert number(recover_hive(named(DIRTY, hive), [named(LOG1, other)])) == 2
    with pytest.raises(HiveError, match="log 1 belongs to another hive: its resource manager is 010101"):
        recover_hive(named(DIRTY, GUID), [named(LOG1, b"\1" * 16)])
    recovered = recover_hive(without_base_block(named(STATES[2], GUID)), [named(LOG1, b"\1" * 16), named(LOG2, GUID)])
    assert (recovered.applied, number(recovered)) == ((0, 3), 5)


NO_LOGS: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "is empty"),
    "zeros": (bytes(8192), "is empty"),
    "text": (b"no log" * 1000, "is not a transaction log"),
    "short": (LOG1[:511], "is not a transaction log"),
    "a hive": (STATES[0], "is not a transaction log, but a file of the type 0"),
    "old format": (
        log(DIRTY, *CHANGES[:2], kind=1),
        "has the format used before Windows 8.1, which only Windows can replay",
    ),
    "old format again": (log(DIRTY, *CHANGES[:2], kind=2), "has the format used before Windows 8.1"),
    "checksum": (LOG1[:100] + b"\xff" + LOG1[101:], "has a base block whose checksum is wrong"),
    "no entries": (LOG1[:512], "has no entry 6, with which it says to begin"),
    "dirty vector": (LOG1[:512] + b"DIRT" + bytes(8000), "has the format used before Windows 8.1"),
    "entries of earlier use": (log(DIRTY, *CHANGES, sequence=100), "has no entry 100, with which it says to begin"),
    "entries of later use": (log(DIRTY, *CHANGES, sequence=5), "ends at byte 512: the entry 6, where 5 was to come"),
}


@pytest.mark.parametrize("name", NO_LOGS)
def test_what_is_no_log(name: str) -> None:
    content, words = NO_LOGS[name]
    with pytest.raises(HiveError) as caught:
        recover_hive(DIRTY, [content])
    assert f"dirty hive: the sequence numbers of a write; log 1 {words}" in caught.value.message
    assert (caught.value.offset, caught.value.got) == (4, "7 and 6")
    assert caught.value.hint == "give its .LOG1 and .LOG2, copied at the same time, or load the hive in Windows once"
    # Beside one that is, it does no harm.
    recovered = recover_hive(DIRTY, [content, LOG1])
    assert (recovered.applied, number(recovered)) == ((0, 2), 2)
    assert len(recovered.notes) == 1
    assert f"log 1 {words}" in recovered.notes[0]
    with pytest.raises(HiveError, match="dirty hive: the checksum of the base block; log 1 "):
        recover_hive(without_base_block(STATES[0]), [content])


def test_no_log_at_all() -> None:
    with pytest.raises(HiveError, match=r"dirty hive: the sequence.*; no log to recover it with;.*give its .LOG1"):
        recover_hive(DIRTY, [])
    with pytest.raises(HiveError, match=r"^not a registry hive; no log to recover it with"):
        recover_hive(b"text", [])


def test_gaps() -> None:
    # Between the hive and the first log: Windows goes on, and so do we, with a word.
    hive = dirty(STATES[2], 6, 5)
    recovered = recover_hive(hive, [LOG2])
    assert (recovered.notes, number(recovered)) == (
        ("log 1 begins with the entry 8, and the hive has those up to 5",), 5
    )  # fmt: skip
    # A single entry that is missing is a gap, too.
    for whole, notes in ((6, ()), (5, ("log 1 begins with the entry 7, and the hive has those up to 5",))):
        hive = dirty(STATES[1], 8, whole)
        assert recover_hive(hive, [log(hive, *CHANGES[1:3])]).notes == notes
    # Between the logs: what was written when is not known any more.
    recovered = recover_hive(DIRTY, [LOG2, log(DIRTY, CHANGES[0])])
    assert (recovered.applied, number(recovered)) == ((0, 1), 1)
    assert recovered.notes == (
        "log 1 begins with the entry 8, where 7 was to come",
        "the entry 6 is the last one, and the hive may have parts of 7",
    )
    # Or an overlap of two histories.
    recovered = recover_hive(DIRTY, [log(DIRTY, *CHANGES[1:]), LOG1])
    assert recovered.notes == ("log 1 begins with the entry 7, where 8 was to come",)
    assert number(recovered) == 2


# Entries that are broken: those before count

SIZE = len(STATES[3]) - 4096
AT = 512 + len(CHANGES[0].to_bytes()) + len(CHANGES[1].to_bytes())  # of the third entry
THIRD = CHANGES[2]
PAGE = {0: STATES[3][4096:8192]}
FAULTS: dict[str, tuple[Entry, str]] = {
    "hash of the entry": (replace(THIRD, own_hash=1), "wrong hash of an entry"),
    "hash of the pages": (replace(THIRD, content_hash=1), "wrong hash of an entry's pages"),
    "later sequence": (replace(THIRD, sequence=9), "the entry 9, where 8 was to come"),
    "size none": (replace(THIRD, size=0), "an entry of 0 bytes, not a multiple of 512"),
    "size odd": (replace(THIRD, size=len(THIRD.to_bytes()) - 8), "not a multiple of 512"),
    "size huge": (replace(THIRD, size=0xFFFFFE00), "an entry cut off"),
    "bins none": (replace(THIRD, bins_size=0), "hive bins of 0 bytes"),
    "bins odd": (replace(THIRD, bins_size=SIZE + 512), f"hive bins of {SIZE + 512} bytes"),
    "bins huge": (replace(THIRD, bins_size=0xFFFFF000), "hive bins of 4294963200 bytes"),
    "bins without bytes": (replace(THIRD, bins_size=0x7FFFF000), "a hive of 2,147,483,648 bytes out of these"),
    "more pages": (replace(THIRD, count=0xFFFFFFFF), "pages larger than their entry"),
    "one page more": (replace(THIRD, count=len(THIRD.pages) + 1), ""),
    "page behind the bins": (Entry(8, SIZE, {SIZE: bytes(4096)}), f"a page of 4096 bytes at offset {SIZE:#x}"),
    "page half behind": (
        Entry(8, SIZE, {SIZE - 512: bytes(4096)}),
        f"at offset {SIZE - 512:#x}, and the hive bins end",
    ),
    "page far away": (Entry(8, SIZE, {0xFFFFFFFF: bytes(4096)}), "a page of 4096 bytes at offset 0xffffffff"),
    "page huge": (Entry(8, SIZE, PAGE, references=struct.pack("<II", 0, 0xFFFFFFFF)), "a page of 4294967295 bytes"),
    "page larger than the entry": (
        Entry(8, SIZE, PAGE, references=struct.pack("<II", 0, 8192)),
        "pages larger than their entry",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_broken_entry_ends_its_log(name: str) -> None:
    entry, words = FAULTS[name]
    recovered = recover_hive(DIRTY, [b"", log(DIRTY, *CHANGES[:2], entry, *CHANGES[3:])])
    assert (recovered.applied, number(recovered)) == ((0, 2), 2)
    assert recovered.notes[0] == "log 1 is empty"
    assert recovered.notes[1].startswith(f"log 2 ends at byte {AT:,}: ")
    assert words in recovered.notes[1]


@pytest.mark.parametrize("cut", [1, 511, 512, 4096])
def test_an_entry_cut_off(cut: int) -> None:
    content = log(DIRTY, *CHANGES[:3], remnants=b"")[:-cut]
    recovered = recover_hive(DIRTY, [content])
    assert (recovered.notes, number(recovered)) == ((f"log 1 ends at byte {AT:,}: an entry cut off",), 2)
    assert recover_hive(DIRTY, [content[: AT + 39]]).notes == recovered.notes
    assert recover_hive(DIRTY, [content[:AT]]).notes == ()


def test_remnants_end_a_log_without_a_word() -> None:
    earlier = replace(CHANGES[4], sequence=3).to_bytes()
    for remnants in (b"", earlier, earlier[512:], b"\xcc" * 1000, b"Hv"):
        recovered = recover_hive(DIRTY, [log(DIRTY, *CHANGES[:2], remnants=remnants)])
        assert (recovered.notes, number(recovered)) == ((), 2)


def test_sequence_numbers_at_their_end() -> None:
    hive = dirty(STATES[0], 0xFFFFFFFF, 0xFFFFFFFE)
    entries = [replace(CHANGES[0], sequence=0xFFFFFFFF), replace(CHANGES[1], sequence=0)]
    recovered = recover_hive(hive, [log(hive, *entries)])
    assert (recovered.applied, number(recovered)) == ((1,), 1)


# Bounds


def peak(work: Callable[[], object]) -> int:
    tracemalloc.start()
    work()
    found = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return found


def test_a_small_log_makes_no_large_hive() -> None:
    content = log(DIRTY, Entry(6, 0x7FFFF000, PAGE))

    def recover() -> None:
        with pytest.raises(HiveError, match=r"log 1 ends at byte 512: a hive of 2,147,483,648 bytes out of these"):
            recover_hive(DIRTY, [content])

    assert peak(recover) < 1 << 20


def test_memory_and_the_number_of_entries() -> None:
    size = len(STATES[0]) - 4096
    hive = dirty(STATES[0], 7, 6)
    content = bytearray(log(hive, *(Entry(6 + at, size, {}) for at in range(500)), remnants=b""))
    assert peak(lambda: recover_hive(hive, [bytes(content)])) < 2 * len(content)


def test_a_hive_that_grows_by_nothing() -> None:
    # Within what a log may bring, but it brings no bin.
    grown = Entry(6, len(STATES[0]), PAGE)
    with pytest.raises(HiveError, match=r"stays broken with its logs: not a hive bin.*are these the logs of this hive"):
        recover_hive(DIRTY, [log(DIRTY, grown)])


@pytest.mark.parametrize(
    ("pages", "words"),
    [
        ({0: bytes(4096)}, "not a hive bin"),
        ({0: STATES[0][4096:4128] + bytes(4064)}, "the size of a cell"),
        ({0: STATES[0][4096:4128] + struct.pack("<i", 4064) + bytes(4060)}, "a key without a cell"),
    ],
)
def test_pages_that_make_no_hive(pages: dict[int, bytes], words: str) -> None:
    with pytest.raises(HiveError, match=words):
        recover_hive(DIRTY, [log(DIRTY, Entry(6, len(STATES[0]) - 4096, pages))])


def test_a_base_block_that_makes_no_hive() -> None:
    hive = Broken(DIRTY)
    hive.put("I", 20, 9)
    with pytest.raises(HiveError, match=r"stays broken with its logs: the major version; expected 1; got 9"):
        recover_hive(bytes(hive), [LOG1])


def test_keys_that_are_broken_are_left_to_the_check() -> None:
    after = Broken(write_hive(small()))
    after.put("I", after.key("beta") + 44, 0)
    before = write_hive(crowd(3))
    recovered = recover_hive(dirty(before, 7, 6), [log(before, changes(before, bytes(after), 6))])
    assert check_hive(recovered.data).state is HiveState.BROKEN


def test_a_minimal_hive() -> None:
    before, after = minimal_hive(TIME), minimal_hive(TIME + 1)
    recovered = recover_hive(dirty(before, 2, 1), [log(before, changes(before, after, 1))])
    assert recovered.data[4096:] == after[4096:]
