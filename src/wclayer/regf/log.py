"""Replay the transaction logs of a hive that was not completely written, as Windows does when it loads it.

Since Windows 8.1, changes go first to one of two logs, .LOG1 and .LOG2 in turn, and to
the hive up to an hour later; until then the hive is dirty. A log is a sequence of
entries, each with the pages that one write changed, and with the number of the entry
before plus 1. Behind the last entry are remnants of earlier use. An entry is valid if
both its hashes are right. The rules are those of [REGF], "Format of transaction log
files".

Two things differ from Windows. If the base block must come from a log, Windows, by
[REGF], uses only that log; here the other log is replayed too if its entries lead up to
the first one's: the later entries write again what the earlier ones repeat, and what
never reached the hive is not lost. And a hive with a malformed bin is an error, where
Windows replaces the bin by an empty one and loses the keys.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, NoReturn

from ..errors import HiveError
from . import layout as lay
from .base_block import check_base_block, check_clean, has_base_block
from .cells import scan_bins
from .findings import Finding, Findings, Severity

__all__ = ["Recovered", "recover_hive"]

_HASHED_AT_A_TIME: Final = 1 << 16  # bytes; as Python's integers they take nine times the memory


@dataclass(frozen=True, slots=True)
class Recovered:
    """A clean hive: its bytes, the number of entries applied from each log, and notes about the logs.

    `applied` is in the order of the logs; `notes` number the logs from 1 in that order. `lost`: the hive was marked
    clean, and the logs have entries that it lacks by its own sequence number; Windows would ignore them.
    """

    data: bytes
    applied: tuple[int, ...]
    notes: tuple[str, ...]
    lost: bool = False


def recover_hive(data: bytes, logs: Sequence[bytes]) -> Recovered:
    """Complete the hive in `data` with its transaction logs, in any order; a clean hive is returned as it is.

    The bins are those that Windows makes; both sequence numbers become that of the last entry. Work is linear in the
    size of hive and logs, and the hive grows at most by the size of the logs.

    Raises HiveError without a log, if no log has an entry that fits the hive, and if the hive stays broken with them. A
    malformed entry ends its log, with a note: a write that broke off leaves one.
    """
    findings = Findings()
    base = has_base_block(data, findings)
    dirty = findings.kept[0] if base is None else check_clean(base, data, findings)
    if dirty is None:
        return _clean(data, logs)
    replay = _Replay(data, logs)
    if base is None or not _has_checksum(data):
        replay.with_lost_base_block()
    else:
        replay.from_sequences(base.primary_sequence, base.secondary_sequence)
    if replay.last is None:
        _refuse(dirty, base is not None, replay.notes)
    recovered = replay.finish(replay.last)
    _require_whole(recovered, replay.notes)
    return Recovered(recovered, tuple(replay.applied), tuple(replay.notes))


def _clean(data: bytes, logs: Sequence[bytes]) -> Recovered:
    """A clean hive as it is: what its logs have beyond it, Windows would not apply either."""
    (whole,) = lay.UINT32.unpack_from(data, lay.SEQUENCES_AT)
    replay = _Replay(data, logs)
    notes = [
        f"log {log.number + 1} has entries up to {log.last}, and the hive, marked clean, those up to {whole}"
        for log in replay.of_one_hive(data[: lay.LOG_UNIT])
        if log.last > whole
    ]
    if notes:
        notes.append("another program marked the hive clean while it was dirty, and what only the logs have is lost")
    elif logs:
        notes.append("the hive is clean: its logs hold nothing new")
    return Recovered(data, (0,) * len(logs), tuple(notes), lost=len(notes) > 1)


def _refuse(dirty: Finding, is_hive: bool, notes: list[str]) -> NoReturn:
    what = f"a dirty hive: {dirty.message}" if is_hive else dirty.message
    raise HiveError(
        "; ".join((what, *(notes or ("no log to recover it with",)))),
        offset=dirty.offset,
        expected=dirty.expected,
        got=dirty.got,
        hint="give its .LOG1 and .LOG2, copied at the same time, or load the hive in Windows once",
    )


def _require_whole(data: bytes, notes: list[str]) -> None:
    """Raise HiveError for a hive whose bins are not complete. Its keys are checked elsewhere (`check`)."""
    findings = Findings()
    base = has_base_block(data, findings)
    if base is not None:
        check_base_block(base, data, findings)
        scan_bins(data, base.bins_size, findings).take(base.root, lay.ROOT_CELL_AT, "a key", lay.KEY.size)
    broken = next((finding for finding in findings.kept if finding.severity is Severity.ERROR), None)
    if broken is not None:
        raise HiveError(
            "; ".join((f"a hive that stays broken with its logs: {broken.message}", *notes)),
            offset=broken.offset,
            expected=broken.expected,
            got=broken.got,
            hint="are these the logs of this hive, copied at the same time?",
        )


def _has_checksum(data: bytes) -> bool:
    return lay.UINT32.unpack_from(data, lay.CHECKSUM_AT) == (lay.base_checksum(data),)


class _Entry(NamedTuple):
    """A valid entry of a log; its pages are read when it is applied."""

    position: int
    flags: int
    sequence: int
    bins_size: int
    pages: int


class _Log(NamedTuple):
    """A log with entries of consecutive numbers."""

    number: int  # from 0, in the caller's order
    data: bytes
    entries: list[_Entry]

    @property
    def first(self) -> int:
        return self.entries[0].sequence

    @property
    def last(self) -> int:
        return self.entries[-1].sequence


class _Replay:
    """A hive into which the entries of logs are written."""

    def __init__(self, data: bytes, logs: Sequence[bytes]) -> None:
        self.notes: list[str] = []
        self.applied = [0] * len(logs)
        self._hive = bytearray(data)
        # An entry of a few bytes must not make the hive grow to 2 GiB.
        self._limit = max(len(data), lay.BASE_BLOCK_SIZE) + sum(map(len, logs))
        self.last: _Entry | None = None  # that was applied
        self._logs = [log for number, content in enumerate(logs) if (log := self._open(number, content)) is not None]

    def from_sequences(self, begun: int, whole: int) -> None:
        """Apply the entries after the last completed write, `whole`; `begun` is the last write that began."""
        logs = []
        for log in self.of_one_hive(bytes(self._hive[: lay.LOG_UNIT])):
            later = [entry for entry in log.entries if entry.sequence >= whole]
            if later:
                logs.append(log._replace(entries=later))
            else:
                self._note(log.number, f"ends with the entry {log.last}, and the hive has those up to {whole}")
        logs.sort(key=lambda log: log.first)
        if logs and logs[0].first > whole + 1:
            self._note(logs[0].number, f"begins with the entry {logs[0].first}, and the hive has those up to {whole}")
        self._apply(logs)
        if self.last is not None and self.last.sequence < begun:
            self.notes.append(f"the entry {self.last.sequence} is the last one, and the hive may have parts of {begun}")

    def with_lost_base_block(self) -> None:
        """Take the base block from the log with the latest entries; apply what leads up to it, and this log."""
        if not self._logs:
            return
        latest = max(self._logs, key=lambda log: log.last)
        self._note(latest.number, "gives the base block, as that of the hive is broken")
        self._hive.extend(bytes(max(0, lay.BASE_BLOCK_SIZE - len(self._hive))))
        self._hive[: lay.LOG_UNIT] = latest.data[: lay.LOG_UNIT]
        logs = [latest]
        for log in sorted(self.of_one_hive(latest.data), key=lambda log: log.last, reverse=True):
            if log.last + 1 == logs[0].first:
                logs.insert(0, log)
            elif log.number != latest.number:
                self._note(log.number, f"ends with the entry {log.last}, and the others begin with {logs[0].first}")
        self._apply(logs)

    def finish(self, last: _Entry) -> bytes:
        """Return the clean hive, with `last` as its last entry."""
        hive = self._hive
        (flags,) = lay.UINT32.unpack_from(hive, lay.BASE_FLAGS_AT)
        flags = flags & ~lay.BASE_TRANSACTED | last.flags & lay.BASE_TRANSACTED
        for at, number in (
            (lay.SEQUENCES_AT, last.sequence),
            (lay.SEQUENCES_AT + 4, last.sequence),
            (lay.FILE_TYPE_AT, lay.FILE_PRIMARY),
            (lay.BINS_SIZE_AT, last.bins_size),
            (lay.BASE_FLAGS_AT, flags),
        ):
            lay.UINT32.pack_into(hive, at, number)
        lay.UINT32.pack_into(hive, lay.CHECKSUM_AT, lay.base_checksum(hive))
        return bytes(hive)

    def _note(self, number: int, text: str) -> None:
        self.notes.append(f"log {number + 1} {text}")

    # Reading

    def _open(self, number: int, data: bytes) -> _Log | None:
        """Open the log in `data`; None, with a note, if it has no entry."""
        refused = _no_log(data)
        entries: list[_Entry] = []
        if refused is None:
            _, sequence, *_ = lay.BASE_BLOCK.unpack_from(data)
            entries, ended = _entries(data, sequence)
            refused = ended or (None if entries else f"has no entry {sequence}, with which it says to begin")
        if refused is not None:
            self._note(number, refused)
        return _Log(number, data, entries) if entries else None

    def of_one_hive(self, base: bytes) -> Iterator[_Log]:
        """Yield the logs whose resource manager is that of the base block `base`, or unknown."""
        own = _resource_manager(base)
        for log in self._logs:
            named = _resource_manager(log.data)
            if any(own) and any(named) and own != named:
                self._note(
                    log.number, f"belongs to another hive: its resource manager is {named.hex()}, not {own.hex()}"
                )
            else:
                yield log

    # Writing

    def _apply(self, logs: list[_Log]) -> None:
        """Apply the logs in order; each must continue where the one before ended."""
        for log in logs:
            last = self.last
            if last is not None and log.first != last.sequence + 1:
                self._note(log.number, f"begins with the entry {log.first}, where {last.sequence + 1} was to come")
                return
            for entry in log.entries:
                end = lay.BASE_BLOCK_SIZE + entry.bins_size
                if end > self._limit:
                    self._note(log.number, f"ends at byte {entry.position:,}: a hive of {end:,} bytes out of these")
                    return
                self._hive.extend(bytes(max(0, end - len(self._hive))))
                for place, start, size in _pages(log.data, entry):
                    position = lay.BASE_BLOCK_SIZE + place
                    self._hive[position : position + size] = memoryview(log.data)[start : start + size]
                self.last = entry
                self.applied[log.number] += 1


def _resource_manager(base: bytes) -> bytes:
    return base[lay.RM_ID_AT : lay.RM_ID_AT + 16]


def _no_log(data: bytes) -> str | None:
    """Return why `data` is not a log that can be replayed; None if it is one."""
    if not any(data[: lay.LOG_UNIT]):
        return "is empty"
    if len(data) < lay.LOG_UNIT or data[:4] != lay.BASE_SIGNATURE:
        return "is not a transaction log"
    (kind,) = lay.UINT32.unpack_from(data, lay.FILE_TYPE_AT)
    if kind in lay.FILE_LOGS_OLD or data[lay.LOG_UNIT : lay.LOG_UNIT + 4] == lay.DIRTY_VECTOR_SIGNATURE:
        return "has the format used before Windows 8.1, which only Windows can replay"
    if kind != lay.FILE_LOG:
        return f"is not a transaction log, but a file of the type {kind}"
    if not _has_checksum(data):
        return "has a base block whose checksum is wrong"
    return None


def _entries(data: bytes, sequence: int) -> tuple[list[_Entry], str | None]:
    """Return the entries from the number `sequence` on, and why there are no more, or None at their regular end."""
    entries: list[_Entry] = []
    at = lay.LOG_UNIT
    while data[at : at + 4] == lay.LOG_ENTRY_SIGNATURE:
        found = _entry(data, at, sequence + len(entries))
        if found is None:
            break
        if isinstance(found, str):
            return entries, f"ends at byte {at:,}: {found}"
        entry, size = found
        entries.append(entry)
        at += size
    return entries, None


def _entry(data: bytes, at: int, expected: int) -> tuple[_Entry, int] | str | None:
    """Return the entry at the position `at` and its size; or why it is invalid; or None for remnants of earlier use."""
    room = len(data) - at
    if room < lay.LOG_ENTRY.size:
        return "an entry cut off"
    _, size, flags, sequence, bins_size, pages, content_hash, own_hash = lay.LOG_ENTRY.unpack_from(data, at)
    if own_hash != _marvin32(data, at, at + lay.LOG_ENTRY_HASHED):
        return "wrong hash of an entry"
    if sequence != expected:
        return None if sequence < expected else f"the entry {sequence}, where {expected} was to come"
    if size % lay.LOG_UNIT or size < lay.LOG_UNIT:
        return f"an entry of {size} bytes, not a multiple of {lay.LOG_UNIT}"
    if size > room:
        return "an entry cut off"
    if content_hash != _marvin32(data, at + lay.LOG_ENTRY.size, at + size):
        return "wrong hash of an entry's pages"
    if bins_size % lay.PAGE or not 0 < bins_size <= lay.MAX_BINS:
        return f"hive bins of {bins_size} bytes"
    entry = _Entry(at, flags, sequence, bins_size, pages)
    end = lay.LOG_ENTRY.size + pages * lay.PAGE_REFERENCE.size
    if end <= size:
        for place, _, length in _pages(data, entry):
            end += length
            if place + length > bins_size:
                return f"a page of {length} bytes at offset {place:#x}, and the hive bins end at {bins_size:#x}"
    if end > size:
        return "pages larger than their entry"
    return entry, size


def _pages(data: bytes, entry: _Entry) -> Iterator[tuple[int, int, int]]:
    """Yield of each page of an entry: its offset in the bins, its position in the log, its size."""
    at = entry.position + lay.LOG_ENTRY.size
    start = at + entry.pages * lay.PAGE_REFERENCE.size
    for place, size in lay.PAGE_REFERENCE.iter_unpack(memoryview(data)[at:start]):
        yield place, start, size
        start += size


def _marvin32(data: bytes, start: int, end: int) -> int:
    """Compute the Marvin32 hash, with the seed of logs, of data[start:end], a multiple of four bytes."""
    low, high = lay.LOG_SEED
    for at in range(start, end, _HASHED_AT_A_TIME):
        words = struct.unpack_from(f"<{min(end - at, _HASHED_AT_A_TIME) // 4}I", data, at)
        low, high = _mix(low, high, words)
    low, high = _mix(low, high, (0x80, 0))
    return high << 32 | low


def _mix(low: int, high: int, words: Sequence[int]) -> tuple[int, int]:
    for word in words:
        low = (low + word) & 0xFFFFFFFF
        high ^= low
        low = ((low << 20 | low >> 12) + high) & 0xFFFFFFFF
        high = (high << 9 | high >> 23) & 0xFFFFFFFF ^ low
        low = ((low << 27 | low >> 5) + high) & 0xFFFFFFFF
        high = (high << 19 | high >> 13) & 0xFFFFFFFF
    return low, high
