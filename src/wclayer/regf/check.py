"""Judge a hive: will Windows load it?

Checked is what the kernel checks when it loads a hive, as far as that is public:
[REGF], the sources of ReactOS, and Google Project Zero's "The Windows Registry
Adventure" (2024-2025). The kernel heals much itself, by dropping keys and values; what
it would drop is an error here, as nobody wants a layer that loses a part of its
registry.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from ..errors import HiveError, printable
from . import layout as lay
from .cells import scan_bins
from .check_keys import check_keys
from .findings import Finding, Findings, Severity

__all__ = ["HiveReport", "HiveState", "check_hive", "require_loadable"]


class HiveState(Enum):
    """What becomes of a hive that Windows is given."""

    LOADABLE = "loadable"
    """It is loaded, all of it."""
    EMPTY = "empty"
    """A file of no bytes, which since Windows Server 2025 is refused."""
    DIRTY = "dirty"
    """It was not wholly written: only with its transaction logs is it a hive."""
    BROKEN = "broken"
    """It is refused, or loses keys or values."""


@dataclass(frozen=True, slots=True)
class HiveReport:
    """The judgement: the state, the finding that led to it (None if it is loadable), and all findings.

    A `differencing` hive holds what a layer changes in the hives below it, and is loaded over them alone.
    """

    state: HiveState
    reason: Finding | None
    findings: tuple[Finding, ...]
    differencing: bool = False


def check_hive(data: bytes) -> HiveReport:
    """Judge a hive, for which no bytes are too wrong: nothing is raised, and work is linear in their number."""
    findings = Findings()
    if not data:
        findings.error(0, "an empty file", "a hive", "0 bytes")
        return HiveReport(HiveState.EMPTY, findings.kept[0], tuple(findings.kept))
    dirty = None
    differencing = False
    if _has_base_block(data, findings):
        dirty = _check_clean(data, findings)
        minor = _check_base_block(data, findings)
        (flags,) = lay.UINT32.unpack_from(data, lay.BASE_FLAGS_AT)
        differencing = minor == lay.MINOR_LAYERED and bool(flags & lay.BASE_LAYERED)
        _, *_, root, bins_size, _ = lay.BASE_BLOCK.unpack_from(data)
        cells = scan_bins(data, bins_size, findings)
        check_keys(cells, root, minor, findings)
    errors = (finding for finding in findings.kept if finding.severity is Severity.ERROR)
    reason = dirty or next(errors, None)
    broken = HiveState.LOADABLE if reason is None else HiveState.BROKEN
    state = HiveState.DIRTY if dirty else broken
    return HiveReport(state, reason, tuple(findings.kept), differencing)


def require_loadable(data: bytes) -> None:
    """Raise HiveError, with the reason, for a hive that Windows would not load whole."""
    report = check_hive(data)
    if report.reason is not None:
        reason = report.reason
        message = reason.message if reason.path is None else f"{reason.message}, in the key {printable(reason.path)}"
        raise HiveError(
            f"{report.state.value} hive: {message}",
            offset=reason.offset,
            expected=reason.expected,
            got=reason.got,
            hint=_HINTS[report.state],
        )


_HINTS = {
    HiveState.EMPTY: "a minimal hive takes its place",
    HiveState.DIRTY: "Windows makes it whole from its .LOG1 and .LOG2: load and unload it there once",
    HiveState.BROKEN: "take the hive from the image or layer anew",
}


def _has_base_block(data: bytes, findings: Findings) -> bool:
    if data[:4] != lay.BASE_SIGNATURE:
        findings.error(0, "no registry hive", lay.BASE_SIGNATURE, data[:4])
        return False
    if len(data) < lay.BASE_BLOCK_SIZE:
        findings.error(0, "a hive cut off", f"at least {lay.BASE_BLOCK_SIZE} bytes", len(data))
        return False
    return True


def _check_clean(data: bytes, findings: Findings) -> Finding | None:
    """The finding, if there is one, that the hive was not wholly written."""
    before = len(findings.kept)
    primary, secondary = lay.UINT32.unpack_from(data, 4)[0], lay.UINT32.unpack_from(data, 8)[0]
    if primary != secondary:
        findings.error(lay.SEQUENCES_AT, "the sequence numbers of a write", "two equal", f"{primary} and {secondary}")
    (noted,) = lay.UINT32.unpack_from(data, lay.CHECKSUM_AT)
    if noted != (actual := lay.base_checksum(data)):
        findings.error(lay.CHECKSUM_AT, "the checksum of the base block", f"{actual:#010x}", f"{noted:#010x}")
    return findings.kept[before] if len(findings.kept) > before else None


def _check_base_block(data: bytes, findings: Findings) -> int:
    """Check the other fields; the minor version."""
    _, _, _, _, major, minor, file_type, file_format, _, bins_size, _ = lay.BASE_BLOCK.unpack_from(data)
    if major != lay.MAJOR:
        findings.error(lay.MAJOR_AT, "the major version", lay.MAJOR, major)
    if not lay.MINOR_NT4 <= minor <= lay.MINOR_LAYERED:
        findings.error(lay.MINOR_AT, "the minor version", f"{lay.MINOR_NT4} to {lay.MINOR_LAYERED}", minor)
    if file_type != lay.FILE_PRIMARY:
        findings.error(lay.FILE_TYPE_AT, "the type of the file", f"{lay.FILE_PRIMARY}, a hive", file_type)
    if file_format != lay.FORMAT_MEMORY:
        findings.error(lay.FORMAT_AT, "the format of the file", lay.FORMAT_MEMORY, file_format)
    there = len(data) - lay.BASE_BLOCK_SIZE
    if not 0 < bins_size <= lay.MAX_BINS or bins_size % lay.PAGE:
        expected = f"a multiple of {lay.PAGE}, at most {lay.MAX_BINS:,}"
        findings.error(lay.BINS_SIZE_AT, "the size of the hive bins", expected, bins_size)
    elif bins_size > there:
        # What lies behind the bins, on the other hand, is nothing: kernels write files in larger steps.
        findings.error(lay.BINS_SIZE_AT, "a hive cut off", f"{bins_size} bytes of hive bins", there)
    return int(minor)
