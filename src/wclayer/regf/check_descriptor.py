"""Check a security descriptor as Windows does when it loads a hive.

Windows replaces the malformed descriptor of a key by another one. The checks are those
that SeValidSecurityDescriptor is documented to make (revision, self-relative form, owner,
alignment, nothing that leads out of the descriptor), and the rules for ACLs and ACEs of
[MS-DTYP] 2.4.4 and 2.4.5.
"""

from __future__ import annotations

import struct
from typing import Final

from ..errors import SecurityDescriptorError
from ..win32.security import (
    ACL_REVISION,
    ACL_REVISION_DS,
    SE_DACL_PRESENT,
    SE_SACL_PRESENT,
    AceType,
    Acl,
    SecurityDescriptor,
)
from .findings import Findings

__all__ = ["check_descriptor"]

_CONTROL, _OWNER, _SACL, _DACL = 2, 4, 12, 16  # of the fields in a descriptor
_OFFSETS: Final = struct.Struct("<IIII")  # owner, group, SACL, DACL
_ALIGNMENT: Final = 4
_ACL_HEADER: Final = 8
# ACEs that every version of Windows knows, and reads.
_BASIC: Final = (AceType.ACCESS_ALLOWED, AceType.ACCESS_DENIED, AceType.SYSTEM_AUDIT, AceType.SYSTEM_ALARM)


def check_descriptor(data: bytes, position: int, findings: Findings) -> None:
    """Check the self-relative descriptor `data`, which is at `position` in the file."""
    try:
        descriptor = SecurityDescriptor.from_bytes(data)
    except SecurityDescriptorError as error:
        findings.error(position + (error.offset or 0), error.message, error.expected, error.got)
        return
    offsets = _OFFSETS.unpack_from(data, _OWNER)
    if descriptor.owner is None:
        findings.error(position + _OWNER, "a security descriptor without an owner", "a SID", "none")
    for number, offset in enumerate(offsets):
        if offset % _ALIGNMENT:
            at = position + _OWNER + 4 * number
            findings.error(at, "an unaligned part of a security descriptor", "a multiple of 4", offset)
    for acl, present, at, name in (
        (descriptor.sacl, SE_SACL_PRESENT, _SACL, "SACL"),
        (descriptor.dacl, SE_DACL_PRESENT, _DACL, "DACL"),
    ):
        if acl is None:
            continue
        if not descriptor.control & present:
            # A key without a DACL is open to everyone.
            got = f"{descriptor.control:#06x}"
            findings.warning(position + _CONTROL, f"a {name} without its PRESENT bit", f"{present:#06x} set", got)
        _check_acl(acl, position + offsets[(at - _OWNER) // 4], findings)


def _check_acl(acl: Acl, position: int, findings: Findings) -> None:
    if not ACL_REVISION <= acl.revision <= ACL_REVISION_DS:
        findings.error(position, "the revision of an ACL", f"{ACL_REVISION} to {ACL_REVISION_DS}", acl.revision)
    at = position + _ACL_HEADER
    if len(acl.slack) % 2:
        # RtlValidAcl refuses an odd size, in ReactOS' version of it.
        findings.error(position + 2, "the size of an ACL", "a multiple of 2", len(acl.to_bytes()))
    for ace in acl.aces:
        size = len(ace.to_bytes())
        if size % _ALIGNMENT:
            findings.error(at + 2, "the size of an ACE", "a multiple of 4", size)
        if ace.sid is None and ace.type in _BASIC:
            findings.error(at, "an ACE without a SID", "a mask and a SID", f"{size} bytes")
        at += size
