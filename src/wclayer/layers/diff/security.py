"""What differs between two security descriptors: owner, group, control bits, and entry by entry of the lists."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import lru_cache

from ...errors import FormatError
from ...win32.sddl import format_sddl
from ...win32.security import SE_DACL_PRESENT, SE_SACL_PRESENT, SE_SELF_RELATIVE, Ace, Acl, SecurityDescriptor, Sid
from ..inspect.contents import descriptor_text

__all__ = ["SecurityChange", "same_parts", "security_change"]


@dataclass(frozen=True, slots=True)
class SecurityChange:
    """The differences as SDDL. old, new: the whole descriptors, None where there is none.

    owner, group, control: both sides where they differ, else None. removed, added: entries (`D:(A;;FA;;;BA)`), each as
    often as one side has it more than the other. reordered: are the entries the same, in another order? Where one side
    is no descriptor, or has none, only old and new tell it.
    """

    old: str | None
    new: str | None
    owner: tuple[str, str] | None = None
    group: tuple[str, str] | None = None
    control: tuple[str, str] | None = None
    removed: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    reordered: bool = False


@lru_cache(1024)
def security_change(old: bytes | None, new: bytes | None) -> SecurityChange:
    """What differs between two descriptors that are not the same bytes."""
    before, after = _parsed(old), _parsed(new)
    texts = (None if old is None else descriptor_text(old)), (None if new is None else descriptor_text(new))
    if before is None or after is None:
        return SecurityChange(*texts)
    entries = _entries(before), _entries(after)
    counts = Counter(entries[0]), Counter(entries[1])
    return SecurityChange(
        *texts,
        owner=_sids(before.owner, after.owner),
        group=_sids(before.group, after.group),
        control=_pair(_control(before), _control(after)),
        removed=tuple((counts[0] - counts[1]).elements()),
        added=tuple((counts[1] - counts[0]).elements()),
        reordered=counts[0] == counts[1] and entries[0] != entries[1],
    )


def same_parts(old: bytes | None, new: bytes | None) -> bool:
    """Are two descriptors the same, wherever in their bytes the parts are?"""
    before = _parsed(old)
    return before is not None and before == _parsed(new)


def _parsed(data: bytes | None) -> SecurityDescriptor | None:
    if data is None:
        return None
    try:
        return SecurityDescriptor.from_bytes(data)
    except FormatError:
        return None


def _pair(old: str, new: str) -> tuple[str, str] | None:
    return None if old == new else (old, new)


def _sids(old: Sid | None, new: Sid | None) -> tuple[str, str] | None:
    if old == new:
        return None
    first, second = (
        "" if sid is None else _printed(SecurityDescriptor(owner=sid), str(sid)).removeprefix("O:")
        for sid in (old, new)
    )
    return first, second


def _control(descriptor: SecurityDescriptor) -> str:
    """The bits, with what the lists are, where they are not lists of entries."""
    marks = [f"{descriptor.control & ~SE_SELF_RELATIVE:#06x}"]
    for letter, acl, bit in (("D", descriptor.dacl, SE_DACL_PRESENT), ("S", descriptor.sacl, SE_SACL_PRESENT)):
        if descriptor.control & bit and acl is None:
            marks.append(f"{letter}:NO_ACCESS_CONTROL")
    return " ".join(marks)


def _entries(descriptor: SecurityDescriptor) -> list[str]:
    lists = (("D", descriptor.dacl, SE_DACL_PRESENT), ("S", descriptor.sacl, SE_SACL_PRESENT))
    return [_entry(letter, ace, bit) for letter, acl, bit in lists if acl is not None for ace in acl.aces]


def _entry(letter: str, ace: Ace, bit: int) -> str:
    acl, control = Acl((ace,)), SE_SELF_RELATIVE | bit
    one = (
        SecurityDescriptor(dacl=acl, control=control)
        if letter == "D"
        else SecurityDescriptor(sacl=acl, control=control)
    )
    return _printed(one, f"{letter}:{ace.to_bytes().hex()}")


def _printed(descriptor: SecurityDescriptor, otherwise: str) -> str:
    try:
        return format_sddl(descriptor.to_bytes(), strict=False)
    except FormatError:
        return otherwise
