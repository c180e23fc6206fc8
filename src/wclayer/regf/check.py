"""Validate a hive: will Windows load it?

The checks are those of the kernel when it loads a hive, as far as they are public:
[REGF], the sources of ReactOS, and Google Project Zero's "The Windows Registry
Adventure" (2024-2025). The kernel repairs much by dropping keys and values. What it
would drop is an error here: a layer must not lose a part of its registry.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from ..errors import HiveError, printable
from .base_block import check_base_block, check_clean, has_base_block
from .cells import scan_bins
from .check_keys import check_keys
from .findings import Finding, Findings, Severity

__all__ = ["HiveReport", "HiveState", "check_hive", "require_loadable"]


class HiveState(Enum):
    """What Windows does with a hive."""

    LOADABLE = "loadable"
    """Windows loads all of it."""
    EMPTY = "empty"
    """A file of 0 bytes, which Windows Server 2025 and later refuse."""
    DIRTY = "dirty"
    """It was not completely written; the rest is in its transaction logs."""
    BROKEN = "broken"
    """Windows refuses it, or drops keys or values."""


@dataclass(frozen=True, slots=True)
class HiveReport:
    """The result: the state, the finding that decided it (None if it is loadable), and all findings.

    A `differencing` hive holds what a layer changes in the lower hives, and is loaded only on top of them.
    """

    state: HiveState
    reason: Finding | None
    findings: tuple[Finding, ...]
    differencing: bool = False


def check_hive(data: bytes) -> HiveReport:
    """Validate a hive. Raises nothing, whatever the bytes are; work is linear in their number."""
    findings = Findings()
    if not data:
        findings.error(0, "an empty file", "a hive", "0 bytes")
        return HiveReport(HiveState.EMPTY, findings.kept[0], tuple(findings.kept))
    dirty = None
    differencing = False
    base = has_base_block(data, findings)
    if base is not None:
        dirty = check_clean(base, data, findings)
        check_base_block(base, data, findings)
        differencing = base.differencing
        cells = scan_bins(data, base.bins_size, findings)
        check_keys(cells, base, findings)
    errors = (finding for finding in findings.kept if finding.severity is Severity.ERROR)
    reason = dirty or next(errors, None)
    broken = HiveState.LOADABLE if reason is None else HiveState.BROKEN
    state = HiveState.DIRTY if dirty else broken
    return HiveReport(state, reason, tuple(findings.kept), differencing)


def require_loadable(data: bytes) -> None:
    """Raise HiveError, with the reason, for a hive that Windows would not load completely."""
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
    HiveState.EMPTY: "replace it by a minimal hive: wclayer hive new",
    HiveState.DIRTY: "complete it with its .LOG1 and .LOG2: wclayer hive recover",
    HiveState.BROKEN: "get the hive from its image or layer again",
}
