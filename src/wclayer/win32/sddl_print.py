"""Security descriptors printed as SDDL, as ConvertSecurityDescriptorToStringSecurityDescriptor does.

A mask is printed as one name for all its bits (FA, KR ...), else as the names of its bits from the
lowest (CCDCLC), else as a number (0x1200a9); the mask of a mandatory label as NW, NR and NX, or as a
number. SIDs that are the same on every machine are printed as aliases, others in full. Wine 8 prints
the same, but has no name for the type ML, no object entries and no conditions, and prints a NULL list
as an empty one.
"""

from __future__ import annotations

import uuid
from functools import lru_cache
from typing import Final

from ..errors import FormatError, SddlError
from .sddl_attributes import format_attribute
from .sddl_conditions import format_condition
from .sddl_literals import format_sid
from .sddl_names import (
    ACE_FLAGS,
    ACE_TYPES,
    ACL_FLAGS,
    AUDIT_TYPES,
    CONDITIONAL_TYPES,
    LABEL_RIGHTS,
    NULL_ACL,
    OBJECT_TYPES,
    RIGHTS,
    WELL_KNOWN,
)
from .sddl_scan import sddl_error
from .security import (
    ACL_REVISION,
    ACL_REVISION_DS,
    SE_DACL_PRESENT,
    SE_SACL_PRESENT,
    SE_SELF_RELATIVE,
    Ace,
    AceType,
    Acl,
    SecurityDescriptor,
)

__all__ = ["format_sddl", "security_text"]

_TYPE_NAMES: Final = {kind: name for name, kind in ACE_TYPES.items()}
_ALIASES: Final = {sid: alias for alias, sid in WELL_KNOWN.items()}
_FIRST_NAMES: Final = {mask: name for name, mask in reversed(RIGHTS.items())}
_PRESENT: Final = {"D": SE_DACL_PRESENT, "S": SE_SACL_PRESENT}
_LISTS: Final = {"D": "DACL", "S": "SACL"}


def format_sddl(descriptor: bytes, *, strict: bool = True) -> str:
    """Convert a self-relative descriptor to SDDL ([MS-DTYP] 2.5.1.1), of which `parse_sddl` makes an equal one.

    The parts are equal; SDDL does not express in which order they are stored.

    Raises SecurityDescriptorError for a malformed descriptor, and SddlError, which names the part, for what SDDL
    cannot express: entries of types without a name or with an unknown body, entries for auditing in a DACL, conditions
    and resource attributes that cannot be decoded, SIDs without sub-authorities. strict: also control bits other than
    P, AR and AI (defaulted parts, a resource manager's byte), lists without their PRESENT bit, revisions of lists and
    reserved fields other than `parse_sddl` sets, slack in lists, data behind the SID of an entry whose type has none,
    object entries with other flags, OA without a GUID, and widths and padding inside conditions and attributes.
    With `strict=False`,
    for display, these are left out: the text is valid, but describes another descriptor.
    """
    return _text(SecurityDescriptor.from_bytes(descriptor), strict)


def _text(descriptor: SecurityDescriptor, strict: bool) -> str:
    if strict:
        _check(descriptor)
    parts: list[str] = []
    for letter, sid in (("O", descriptor.owner), ("G", descriptor.group)):
        if sid is not None:
            parts.append(f"{letter}:{format_sid(sid, _ALIASES)}")
    for letter, acl in (("D", descriptor.dacl), ("S", descriptor.sacl)):
        if descriptor.control & _PRESENT[letter]:
            flags = "".join(name for name, bit in ACL_FLAGS[letter].items() if descriptor.control & bit)
            entries = NULL_ACL if acl is None else _entries(acl, _LISTS[letter], strict)
            parts.append(f"{letter}:{flags}{entries}")
    return "".join(parts)


def _check(descriptor: SecurityDescriptor) -> None:
    control = descriptor.control & ~SE_SELF_RELATIVE
    for letter, acl in (("D", descriptor.dacl), ("S", descriptor.sacl)):
        if control & _PRESENT[letter]:
            control &= ~(_PRESENT[letter] | sum(ACL_FLAGS[letter].values()))
        elif acl is not None:
            raise _cannot_say(f"{_LISTS[letter]} without its PRESENT bit", "SE_DACL_PRESENT or SE_SACL_PRESENT")
    if control:
        raise _cannot_say("control bits", "those of P, AR and AI, of lists that are present", f"{control:#06x}")
    if descriptor.sbz1:
        raise _cannot_say("Sbz1 of the descriptor", 0, descriptor.sbz1)


def _entries(acl: Acl, where: str, strict: bool) -> str:
    if strict:
        revision = ACL_REVISION_DS if any(ace.type in OBJECT_TYPES for ace in acl.aces) else ACL_REVISION
        if acl.revision != revision:
            raise _cannot_say(f"the revision of the {where}", revision, acl.revision)
        if acl.sbz != (0, 0):
            raise _cannot_say(f"reserved fields of the {where}", "0, 0", f"{acl.sbz[0]}, {acl.sbz[1]}")
        if acl.slack:
            raise _cannot_say(f"bytes behind the entries of the {where}", "none", f"{len(acl.slack)} bytes")
    texts: list[str] = []
    for number, ace in enumerate(acl.aces):
        if where == _LISTS["D"] and ace.type in AUDIT_TYPES:
            raise _cannot_say(f"entry {number} of the {where}, for auditing", "entries for auditing in the SACL", "one")
        try:
            texts.append(_entry(ace, strict))
        except SddlError as error:
            # The offset is one in the data behind the SID.
            message = f"{error.message}, in entry {number} of the {where}"
            raise SddlError(message, offset=error.offset, expected=error.expected, got=error.got) from None
    return "".join(texts)


def _entry(ace: Ace, strict: bool) -> str:
    name = _TYPE_NAMES.get(AceType(ace.type)) if ace.type in AceType.__members__.values() else None
    if name is None:
        raise _cannot_say("entry of a type without a name", ", ".join(ACE_TYPES), f"{ace.type:#04x}")
    if ace.sid is None:
        raise _cannot_say(f"entry of type {name} without a SID", "a mask and a SID", f"{len(ace.raw or b'')} bytes")
    if strict and ace.object_flags:
        raise _cannot_say("flags of an object entry", "1 and 2", f"{ace.object_flags:#x}")
    if strict and name == "OA" and ace.object_type is None and ace.inherited_object_type is None:
        raise _cannot_say("object entry without a GUID", "a GUID, or type A", "none")
    fields = [
        name,
        "".join(flag for flag, bit in ACE_FLAGS.items() if ace.flags & bit),
        _rights(ace.mask, ace.type == AceType.SYSTEM_MANDATORY_LABEL),
        *(
            "" if guid is None else str(uuid.UUID(bytes_le=guid))
            for guid in (ace.object_type, ace.inherited_object_type)
        ),
        format_sid(ace.sid, _ALIASES),
    ]
    data = ace.application_data
    if ace.type == AceType.SYSTEM_RESOURCE_ATTRIBUTE:
        fields.append(format_attribute(data, _ALIASES, strict=strict))
    elif ace.type in CONDITIONAL_TYPES and (data or ace.type != AceType.SYSTEM_ACCESS_FILTER):
        fields.append(format_condition(data, _ALIASES, strict=strict))
    elif strict and data:
        raise _cannot_say(f"data behind the SID of an entry of type {name}", "none", f"{len(data)} bytes")
    return f"({';'.join(fields)})"


def _rights(mask: int, label: bool) -> str:
    names = {bit: name for name, bit in LABEL_RIGHTS.items()} if label else _FIRST_NAMES
    if mask in names:
        return names[mask]
    bits = [1 << bit for bit in range(32) if mask >> bit & 1]
    if all(bit in names for bit in bits):
        return "".join(names[bit] for bit in bits)
    return f"{mask:#x}"


def _cannot_say(what: str, expected: object, got: object = "not set") -> SddlError:
    return sddl_error(f"{what}, which SDDL cannot express", None, expected, got)


@lru_cache(1024)
def security_text(descriptor: bytes) -> str:
    """SDDL, or the bytes where it cannot say all of them."""
    try:
        return format_sddl(descriptor)
    except FormatError:
        return descriptor.hex()
