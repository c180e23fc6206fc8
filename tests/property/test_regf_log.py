"""Transaction logs: however a write broke off, the logs make the hive whole; no damage surprises the replay."""

from __future__ import annotations

import struct
from contextlib import suppress
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from tests.unit.regf.logs import Entry, dirty, log
from tests.unit.regf.samples import TIME
from tests.unit.regf.test_log import DIRTY, LOG1, LOG2, STATES
from wclayer.errors import HiveError
from wclayer.regf.check import HiveState, check_hive
from wclayer.regf.log import recover_hive
from wclayer.regf.model import Hive, Key, Value
from wclayer.regf.writer import write_hive

# A hive most of whose pages are one cell of data, and may be anything.
OPAQUE = write_hive(Hive(Key("ROOT", (Value("", 3, b"\xa5" * 30_000),), (), TIME), TIME, 3))
FIRST, END = 8192, 32768  # offsets in the bins between which nothing but data lies
assert set(OPAQUE[4096 + FIRST : 4096 + END]) == {0xA5}
PAGES = st.dictionaries(
    st.integers(FIRST // 512, END // 512 - 8).map(lambda unit: 512 * unit), st.integers(0, 255), max_size=4
)


@given(
    st.lists(PAGES, min_size=1, max_size=6),
    st.integers(0, 6),
    st.booleans(),
    st.randoms(use_true_random=False),
    st.booleans(),
)
def test_however_a_write_broke_off(
    writes: list[dict[int, int]],
    swap: int,
    turned: bool,
    random: Random,
    lost: bool,
) -> None:
    whole = bytearray(OPAQUE)
    torn = bytearray(dirty(OPAQUE, 10, 5))
    entries = []
    for number, write in enumerate(writes):
        pages = {at: bytes([byte]) * 4096 for at, byte in write.items()}
        entries.append(Entry(6 + number, len(OPAQUE) - 4096, pages))
        for at, page in pages.items():
            whole[4096 + at : 8192 + at] = page
            if random.random() < 0.5:  # it has reached the hive, or a part of it has
                part = random.randrange(0, 4097, 512)
                torn[4096 + at : 4096 + at + part] = page[:part]
    if lost:
        torn[:512] = bytes(512)
    logs = [log(OPAQUE, *some) for some in (entries[:swap], entries[swap:]) if some]
    recovered = recover_hive(bytes(torn), logs[::-1] if turned else logs)
    assert recovered.data[4096:] == whole[4096:]
    assert sum(recovered.applied) == len(writes)
    assert check_hive(recovered.data).state is HiveState.LOADABLE
    assert struct.unpack_from("<II", recovered.data, 4) == (5 + len(writes),) * 2


EDITS = st.lists(
    st.tuples(
        st.integers(0, 1 << 20),
        st.sampled_from([b"\0", b"\xff" * 4, bytes(4), bytes(512), b"HvLE", b"DIRT"])
        | st.binary(min_size=1, max_size=8),
    ),
    max_size=6,
)


def edited(data: bytes, edits: list[tuple[int, bytes]]) -> bytes:
    changed = bytearray(data)
    for place, content in edits:
        at = place % len(data) if place % 4 else place % 64 + 512 * (place // 64 % (len(data) // 512))
        changed[at : at + len(content)] = content
    return bytes(changed[: len(data)])


@given(EDITS, EDITS, st.integers(0, 1 << 20))
def test_damaged_logs_give_a_state_that_there_was(
    one: list[tuple[int, bytes]], two: list[tuple[int, bytes]], cut: int
) -> None:
    logs = [edited(LOG1, one), edited(LOG2, two)[: cut if cut % 2 else None]]
    with suppress(HiveError):
        recovered = recover_hive(DIRTY, logs)
        bins = recovered.data[4096 : 4096 + struct.unpack_from("<I", recovered.data, 40)[0]]
        assert bins in [state[4096:] for state in STATES]


NUMBERS = st.integers(0, 0xFFFFFFFF) | st.sampled_from([0, 512, 4096, 8192, 16384, 0x7FFFF000, 0xFFFFF000])
ENTRIES = st.builds(
    Entry,
    st.integers(5, 9),
    NUMBERS,
    st.dictionaries(NUMBERS, st.sampled_from([b"", bytes(512), STATES[1][4096:8192], STATES[1][4096:]]), max_size=3),
    NUMBERS,
    st.none() | NUMBERS,
    st.none() | st.integers(0, 4) | NUMBERS,
    st.none() | st.binary(max_size=40),
)


@given(st.lists(ENTRIES, max_size=4), st.lists(ENTRIES, max_size=2), EDITS)
def test_no_entries_surprise_the_replay(one: list[Entry], two: list[Entry], edits: list[tuple[int, bytes]]) -> None:
    logs = [log(DIRTY, *one, sequence=6), log(DIRTY, *two, sequence=8)]
    for hive in (DIRTY, edited(DIRTY, edits), b""):
        with suppress(HiveError):
            assert check_hive(recover_hive(hive, logs).data).state is not HiveState.DIRTY
