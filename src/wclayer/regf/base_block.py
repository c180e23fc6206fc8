"""The base block of a hive: its fields, and what must hold for them ([REGF], "Base block")."""

from __future__ import annotations

from typing import NamedTuple

from . import layout as lay
from .findings import Finding, Findings

__all__ = ["BaseBlock", "check_base_block", "check_clean", "has_base_block"]


class BaseBlock(NamedTuple):
    """The fields of layout.BASE_BLOCK, and the flags."""

    signature: bytes
    primary_sequence: int
    secondary_sequence: int
    last_written: int  # FILETIME
    major: int
    minor: int
    file_type: int
    file_format: int
    root: int  # offset of the root's cell
    bins_size: int
    clustering_factor: int
    flags: int

    @property
    def differencing(self) -> bool:
        """True if the hive holds what a layer changes in the lower hives."""
        return self.minor == lay.MINOR_LAYERED and bool(self.flags & lay.BASE_LAYERED)


def has_base_block(data: bytes, findings: Findings) -> BaseBlock | None:
    """Read the base block of a hive; None, and an error, if there is none."""
    if data[:4] != lay.BASE_SIGNATURE:
        findings.error(0, "not a registry hive", lay.BASE_SIGNATURE, data[:4])
        return None
    if len(data) < lay.BASE_BLOCK_SIZE:
        findings.error(0, "a hive cut off", f"at least {lay.BASE_BLOCK_SIZE} bytes", len(data))
        return None
    (flags,) = lay.UINT32.unpack_from(data, lay.BASE_FLAGS_AT)
    return BaseBlock._make((*lay.BASE_BLOCK.unpack_from(data), flags))


def check_clean(base: BaseBlock, data: bytes, findings: Findings) -> Finding | None:
    """Check sequence numbers and checksum; return the finding that the hive was not completely written, or None."""
    before = len(findings.kept)
    primary, secondary = base.primary_sequence, base.secondary_sequence
    if primary != secondary:
        findings.error(lay.SEQUENCES_AT, "the sequence numbers of a write", "two equal", f"{primary} and {secondary}")
    (noted,) = lay.UINT32.unpack_from(data, lay.CHECKSUM_AT)
    if noted != (actual := lay.base_checksum(data)):
        findings.error(lay.CHECKSUM_AT, "the checksum of the base block", f"{actual:#010x}", f"{noted:#010x}")
    return findings.kept[before] if len(findings.kept) > before else None


def check_base_block(base: BaseBlock, data: bytes, findings: Findings) -> None:
    """Check all fields except those that `check_clean` checks."""
    if base.major != lay.MAJOR:
        findings.error(lay.MAJOR_AT, "the major version", lay.MAJOR, base.major)
    if not lay.MINOR_NT4 <= base.minor <= lay.MINOR_LAYERED:
        findings.error(lay.MINOR_AT, "the minor version", f"{lay.MINOR_NT4} to {lay.MINOR_LAYERED}", base.minor)
    if base.file_type != lay.FILE_PRIMARY:
        findings.error(lay.FILE_TYPE_AT, "the type of the file", f"{lay.FILE_PRIMARY}, a hive", base.file_type)
    if base.file_format != lay.FORMAT_MEMORY:
        findings.error(lay.FORMAT_AT, "the format of the file", lay.FORMAT_MEMORY, base.file_format)
    if base.clustering_factor not in lay.CLUSTERING_FACTORS:
        findings.warning(lay.CLUSTERING_AT, "the clustering factor", lay.CLUSTERING_FACTORS[0], base.clustering_factor)
    known = lay.BASE_TRANSACTED | lay.BASE_LAYERED
    if base.flags & ~known:
        findings.warning(lay.BASE_FLAGS_AT, "the flags of the hive", f"none but {known:#x}", hex(base.flags))
    if base.flags & lay.BASE_LAYERED and base.minor != lay.MINOR_LAYERED:
        expected = f"none in version 1.{base.minor}"
        findings.warning(lay.BASE_FLAGS_AT, "the flag of a differencing hive", expected, hex(base.flags))
    there = len(data) - lay.BASE_BLOCK_SIZE
    if not 0 < base.bins_size <= lay.MAX_BINS or base.bins_size % lay.PAGE:
        expected = f"a multiple of {lay.PAGE}, at most {lay.MAX_BINS:,}"
        findings.error(lay.BINS_SIZE_AT, "the size of the hive bins", expected, base.bins_size)
    elif base.bins_size > there:
        # More bytes than the bins have are no fault: kernels allocate files in steps of 256 KiB.
        findings.error(lay.BINS_SIZE_AT, "a hive cut off", f"{base.bins_size} bytes of hive bins", there)
