"""SDDL, the security descriptor definition language ([MS-DTYP] 2.5.1), read into a descriptor.

    O:owner G:group D:flags(ace)(ace)... S:flags(ace)...
    ace = type;flags;rights;object GUID;inherited object GUID;SID

Old layer tars have it in `MSWINDOWS.sd`. Conditions (XA, XD, XU, ZA) and resource
attributes (RA) are refused by name, never dropped. The tables serve both ways.
"""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass
from typing import Final

from ..errors import SddlError, SecurityDescriptorError
from .security import (
    ACL_REVISION,
    ACL_REVISION_DS,
    SE_DACL_AUTO_INHERIT_REQ,
    SE_DACL_AUTO_INHERITED,
    SE_DACL_PRESENT,
    SE_DACL_PROTECTED,
    SE_SACL_AUTO_INHERIT_REQ,
    SE_SACL_AUTO_INHERITED,
    SE_SACL_PRESENT,
    SE_SACL_PROTECTED,
    SE_SELF_RELATIVE,
    Ace,
    AceType,
    Acl,
    SecurityDescriptor,
    Sid,
)

__all__ = ["parse_sddl"]

_ACE_TYPES: Final = {
    "A": AceType.ACCESS_ALLOWED,
    "D": AceType.ACCESS_DENIED,
    "OA": AceType.ACCESS_ALLOWED_OBJECT,
    "OD": AceType.ACCESS_DENIED_OBJECT,
    "AU": AceType.SYSTEM_AUDIT,
    "AL": AceType.SYSTEM_ALARM,
    "OU": AceType.SYSTEM_AUDIT_OBJECT,
    "OL": AceType.SYSTEM_ALARM_OBJECT,
    "ML": AceType.SYSTEM_MANDATORY_LABEL,
    "SP": AceType.SYSTEM_SCOPED_POLICY_ID,
    "TL": AceType.SYSTEM_PROCESS_TRUST_LABEL,
}
_CONDITIONAL_TYPES: Final = {
    "XA": AceType.ACCESS_ALLOWED_CALLBACK,
    "XD": AceType.ACCESS_DENIED_CALLBACK,
    "XU": AceType.SYSTEM_AUDIT_CALLBACK,
    "ZA": AceType.ACCESS_ALLOWED_CALLBACK_OBJECT,
    "RA": AceType.SYSTEM_RESOURCE_ATTRIBUTE,
    "FL": AceType.SYSTEM_ACCESS_FILTER,
}
_OBJECT_TYPES: Final = frozenset(("OA", "OD", "OU", "OL"))

_ACE_FLAGS: Final = {"OI": 0x01, "CI": 0x02, "NP": 0x04, "IO": 0x08, "ID": 0x10, "CR": 0x20, "SA": 0x40, "FA": 0x80}

_RIGHTS: Final = {
    "GR": 0x80000000,
    "GW": 0x40000000,
    "GX": 0x20000000,
    "GA": 0x10000000,
    "RC": 0x00020000,
    "SD": 0x00010000,
    "WD": 0x00040000,
    "WO": 0x00080000,
    "CC": 0x001,
    "DC": 0x002,
    "LC": 0x004,
    "SW": 0x008,
    "RP": 0x010,
    "WP": 0x020,
    "DT": 0x040,
    "LO": 0x080,
    "CR": 0x100,
    "FA": 0x001F01FF,
    "FR": 0x00120089,
    "FW": 0x00120116,
    "FX": 0x001200A0,
    "KA": 0x000F003F,
    "KR": 0x00020019,
    "KW": 0x00020006,
    "KX": 0x00020019,
}
_LABEL_RIGHTS: Final = {"NW": 0x1, "NR": 0x2, "NX": 0x4}

_ACL_FLAGS: Final = {
    "D": {"P": SE_DACL_PROTECTED, "AR": SE_DACL_AUTO_INHERIT_REQ, "AI": SE_DACL_AUTO_INHERITED},
    "S": {"P": SE_SACL_PROTECTED, "AR": SE_SACL_AUTO_INHERIT_REQ, "AI": SE_SACL_AUTO_INHERITED},
}
_NULL_ACL: Final = "NO_ACCESS_CONTROL"

_NT: Final = 5
_BUILTIN: Final = {
    "BA": 544,
    "BU": 545,
    "BG": 546,
    "PU": 547,
    "AO": 548,
    "SO": 549,
    "PO": 550,
    "BO": 551,
    "RE": 552,
    "RU": 554,
    "RD": 555,
    "NO": 556,
    "MU": 558,
    "LU": 559,
    "IS": 568,
    "CY": 569,
    "ER": 573,
    "CD": 574,
    "RA": 575,
    "ES": 576,
    "MS": 577,
    "HA": 578,
    "AA": 579,
    "RM": 580,
    "HO": 584,
}
_WELL_KNOWN: Final = {
    "WD": Sid(1, (0,)),
    "CO": Sid(3, (0,)),
    "CG": Sid(3, (1,)),
    "OW": Sid(3, (4,)),
    "NU": Sid(_NT, (2,)),
    "IU": Sid(_NT, (4,)),
    "SU": Sid(_NT, (6,)),
    "AN": Sid(_NT, (7,)),
    "ED": Sid(_NT, (9,)),
    "PS": Sid(_NT, (10,)),
    "AU": Sid(_NT, (11,)),
    "RC": Sid(_NT, (12,)),
    "SY": Sid(_NT, (18,)),
    "LS": Sid(_NT, (19,)),
    "NS": Sid(_NT, (20,)),
    "WR": Sid(_NT, (33,)),
    "UD": Sid(_NT, (84, 0, 0, 0, 0, 0)),
    "AC": Sid(15, (2, 1)),
    "LW": Sid(16, (4096,)),
    "ME": Sid(16, (8192,)),
    "MP": Sid(16, (8448,)),
    "HI": Sid(16, (12288,)),
    "SI": Sid(16, (16384,)),
    "AS": Sid(18, (1,)),
    "SS": Sid(18, (2,)),
    **{alias: Sid(_NT, (32, rid)) for alias, rid in _BUILTIN.items()},
}
# Relative to a domain, or to the machine's own: what they stand for cannot be known from the text.
_RELATIVE: Final = frozenset(("DA", "DG", "DU", "DD", "DC", "CA", "PA", "RO", "CN", "AP", "KA", "EK", "RS", "LA", "LG"))
_FOREST: Final = frozenset(("SA", "EA"))

_PARTS = re.compile(r"\s*([OGDS]):")
# A hexadecimal authority must not eat the letter of the next part: S-1-0x10000D: ends in D:
_SID_TEXT = re.compile(r"\s*(S(?:-(?:0[xX][0-9a-fA-F]+(?!:)|[0-9]+))+|[A-Z]{2})\s*")
_ACE_TEXT = re.compile(r"\s*\(([^()]*)")
_NUMBER = re.compile(r"0[xX][0-9a-fA-F]+|[0-9]+")


def _error(message: str, offset: int, expected: object = None, got: object = None) -> SddlError:
    return SddlError(f"SDDL: {message}", offset=offset, expected=expected, got=got)


@dataclass(slots=True)
class _Parts:
    owner: Sid | None = None
    group: Sid | None = None
    dacl: Acl | None = None
    sacl: Acl | None = None
    control: int = SE_SELF_RELATIVE


def parse_sddl(text: str) -> bytes:
    """The self-relative descriptor of SDDL text; of no text, one with nothing in it.

    Raises SddlError, whose offset is the position in `text`.
    """
    parts = _Parts()
    seen: set[str] = set()
    position = 0
    end = len(text.rstrip())
    while position < end:
        found = _PARTS.match(text, position)
        if found is None:
            raise _error("no part of a descriptor", position, "O:, G:, D: or S:", text[position : position + 20])
        letter = found[1]
        if letter in seen:
            raise _error(f"{letter}: comes twice", position)
        seen.add(letter)
        if letter in "OG":
            sid, position = _sid(text, found.end())
            if letter == "O":
                parts.owner = sid
            else:
                parts.group = sid
        else:
            position = _acl(text, found.end(), letter, parts)
    return SecurityDescriptor(parts.owner, parts.group, parts.sacl, parts.dacl, parts.control).to_bytes()


def _sid(text: str, position: int) -> tuple[Sid, int]:
    found = _SID_TEXT.match(text, position)
    if found is None:
        raise _error("no SID", position, "S-1-... or an alias of two letters", text[position : position + 20])
    name, end = found[1], found.end()
    if name.startswith("S-"):
        try:
            return Sid.from_string(name), end
        except SecurityDescriptorError as error:
            raise _error("no SID", position, error.expected, name) from None
    if name in _RELATIVE or name in _FOREST:
        raise _error(f"{name} depends on a domain that the text does not name", position, "a SID in full", name)
    sid = _WELL_KNOWN.get(name)
    if sid is None:
        raise _error("unknown alias of a SID", position, "an alias of [MS-DTYP] 2.5.1.1", name)
    return sid, end


def _acl(text: str, position: int, letter: str, parts: _Parts) -> int:
    """Read the flags and entries of D: or S:, and give the position after them."""
    flags = _ACL_FLAGS[letter]
    parts.control |= SE_DACL_PRESENT if letter == "D" else SE_SACL_PRESENT
    null = False
    while not null:
        position += len(text[position:]) - len(text[position:].lstrip())
        if text.startswith(_NULL_ACL, position):
            null = True
            position += len(_NULL_ACL)
            break
        name = next((name for name in flags if text.startswith(name, position)), None)
        if name is None:
            break
        parts.control |= flags[name]
        position += len(name)
    aces: list[Ace] = []
    while (found := _ACE_TEXT.match(text, position)) is not None:
        if null:
            raise _error(f"entries after {_NULL_ACL}", position)
        aces.append(_ace(text, found[1], found.start(1)))
        position = found.end()
        if text[position : position + 1] != ")":
            raise _error("an entry without its end", position, ")", text[position : position + 1] or "the end")
        position += 1
    if not null:
        revision = ACL_REVISION_DS if any(ace.type in _DS_TYPES for ace in aces) else ACL_REVISION
        acl = Acl(tuple(aces), revision)
        if letter == "D":
            parts.dacl = acl
        else:
            parts.sacl = acl
    return position


_DS_TYPES: Final = frozenset(_ACE_TYPES[name] for name in _OBJECT_TYPES)


def _ace(text: str, inner: str, position: int) -> Ace:
    fields = inner.split(";")
    kind = fields[0].strip()
    if kind in _CONDITIONAL_TYPES:
        raise _error(f"entries of type {kind} (conditions, attributes) are not supported yet", position)
    if kind not in _ACE_TYPES:
        raise _error("unknown type of an entry", position, ", ".join(_ACE_TYPES), kind)
    if len(fields) != 6:
        if len(fields) == 7:
            raise _error("a condition or attribute, which is not supported yet", position)
        raise _error("fields of an entry", position, "6, with ; between", len(fields))
    starts = [position]
    for field in fields[:-1]:
        starts.append(starts[-1] + len(field) + 1)
    flags = _sum(fields[1], starts[1], _ACE_FLAGS, "flags", 0xFF)
    rights = {**_RIGHTS, **_LABEL_RIGHTS} if kind == "ML" else _RIGHTS
    mask = _sum(fields[2], starts[2], rights, "rights", 0xFFFFFFFF)
    guids = [_guid(fields[number], starts[number]) for number in (3, 4)]
    if kind not in _OBJECT_TYPES and any(guids):
        raise _error("a GUID in an entry that is for no object", starts[3], "nothing", fields[3] or fields[4])
    sid, end = _sid(text, starts[5])
    if end < position + len(inner):
        raise _error("more than a SID", end, ")", text[end : position + len(inner)])
    return Ace(_ACE_TYPES[kind], flags, mask, sid, guids[0], guids[1])


def _sum(field: str, position: int, names: dict[str, int], what: str, limit: int) -> int:
    """The bits of names of two letters one after the other, or of a number in C's notation."""
    text = field.strip()
    if _NUMBER.fullmatch(text):
        octal = len(text) > 1 and text[0] == "0" and text[1].isdigit()
        if len(text) <= 34 and not (octal and set(text) & {"8", "9"}):
            number = int(text, 8) if octal else int(text, 0)
            if number <= limit:
                return number
        raise _error(what, position, f"at most {limit:#x}", text)
    bits = 0
    for start in range(0, len(text), 2):
        bit = names.get(text[start : start + 2])
        if bit is None:
            raise _error(what, position + start, "names of two letters, or a number", text[start : start + 2])
        bits |= bit
    return bits


def _guid(field: str, position: int) -> bytes | None:
    text = field.strip()
    if not text:
        return None
    if re.fullmatch(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", text):
        return uuid.UUID(text).bytes_le
    raise _error("no GUID", position, "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx", text)
