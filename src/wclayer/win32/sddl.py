"""SDDL, the security descriptor definition language ([MS-DTYP] 2.5.1), read into a descriptor.

    O:owner G:group D:flags(ace)(ace)... S:flags(ace)...
    ace = type;flags;rights;object GUID;inherited object GUID;SID

Old layer tars have it in `MSWINDOWS.sd`. The tables serve both ways: where a number
has several names (KR and KX), the first is the one to write.

Rules, where implementations differ (Wine's are those of Wine 8):

- The parts may come in any order, each once; blanks (tab to carriage return, space)
  may stand between all that has a meaning, not inside it. Wine skips a leading blank
  but counts it, leaves the entries of a repeated list out, and reads `O:` as S-1-0-0.
- Names are in capitals. A mask may be a number of C's notation, of 32 bits at most:
  a larger one is refused, not cut. ACE flags are names alone, as in the grammar.
- An authority of a SID has 48 bits (Wine cuts it to 32).
- NO_ACCESS_CONTROL is a NULL ACL; a list without entries an empty one (Wine: both empty).
- OA without a GUID is A, as ConvertStringSecurityDescriptorToSecurityDescriptor says;
  a list with object entries has ACL_REVISION_DS.
- An alias that is relative to a domain or machine needs that SID from the caller
  (Wine makes one up).
- Conditions (XA, XD, XU, ZA, FL) and resource attributes (RA) are refused by name,
  never dropped.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from ..errors import SddlError, SecurityDescriptorError
from .security import (
    ACL_REVISION,
    ACL_REVISION_DS,
    MAX_SUB_AUTHORITIES,
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
_DS_TYPES: Final = frozenset(_ACE_TYPES[name] for name in _OBJECT_TYPES)

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
# The same bits by other names in a mandatory label; as text, any entry may have any name.
_LABEL_RIGHTS: Final = {"NW": 0x1, "NR": 0x2, "NX": 0x4}
_ALL_RIGHTS: Final = {**_RIGHTS, **_LABEL_RIGHTS}

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
    "SH": 585,
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
# What the text does not say: whose account, with which relative ID.
_RELATIVE: Final = {
    **dict.fromkeys(("LA", "LG"), "machine"),
    **dict.fromkeys(("DA", "DU", "DG", "DC", "DD", "CA", "PA", "CN", "AP", "KA", "RS"), "domain"),
    **dict.fromkeys(("RO", "SA", "EA", "EK"), "forest"),  # of the forest's root domain
}
_RELATIVE_IDS: Final = {
    "RO": 498,
    "LA": 500,
    "LG": 501,
    "DA": 512,
    "DU": 513,
    "DG": 514,
    "DC": 515,
    "DD": 516,
    "CA": 517,
    "SA": 518,
    "EA": 519,
    "PA": 520,
    "CN": 522,
    "AP": 525,
    "KA": 526,
    "EK": 527,
    "RS": 553,
}

_BLANK_CHARACTERS: Final = "\t\n\v\f\r "
_B: Final = rf"[{_BLANK_CHARACTERS}]*"
_BLANKS = re.compile(_B)
_PART = re.compile(rf"{_B}([OGDS]):")
# A hexadecimal number must not eat the letter of the next part: S-1-0x10000D: ends in D:
_SID_TEXT = re.compile(rf"{_B}(S(?:-(?:0[xX][0-9a-fA-F]+(?!:)|[0-9]+))+|[A-Z]{{2}}){_B}")
_ACL_FLAG = re.compile(rf"{_B}(P|AR|AI|NO_ACCESS_CONTROL)")
_ACE_TEXT = re.compile(rf"{_B}\(([^()]*)")
_NAME = re.compile(rf"([A-Z]{{2}}){_B}")
_NUMBER = re.compile(r"0[xX][0-9a-fA-F]+|[0-9]+")
_GUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_SHOWN = 20


def _error(message: str, offset: int, expected: object, got: object) -> SddlError:
    return SddlError(f"SDDL: {message}", offset=offset, expected=expected, got=got or "nothing")


def parse_sddl(text: str, *, domain: Sid | None = None, machine: Sid | None = None, forest: Sid | None = None) -> bytes:
    """The self-relative descriptor of SDDL text; of no text, one with nothing in it.

    `domain`, `machine` and `forest` (the forest's root domain) are what aliases such as DA, LA and EA are
    relative to. Raises SddlError, whose offset is the index of a character of `text`.
    """
    return _Parser(text, {"domain": domain, "machine": machine, "forest": forest}).descriptor().to_bytes()


@dataclass(slots=True)
class _Parser:
    text: str
    bases: dict[str, Sid | None]
    position: int = 0
    control: int = SE_SELF_RELATIVE

    def descriptor(self) -> SecurityDescriptor:
        sids: dict[str, Sid] = {}
        acls: dict[str, Acl | None] = {}
        self.skip(_BLANKS)
        while self.position < len(self.text):
            start = self.position
            found = _PART.match(self.text, start)
            if found is None:
                raise self.unexpected("no part of a descriptor", "O:, G:, D: or S:")
            letter = found[1]
            if letter in sids or letter in acls:
                raise _error("a part that comes twice", start, "each part once", f"{letter}:")
            self.position = found.end()
            if letter in "OG":
                sids[letter] = self.sid()
            else:
                acls[letter] = self.acl(letter)
            self.skip(_BLANKS)
        return SecurityDescriptor(sids.get("O"), sids.get("G"), acls.get("S"), acls.get("D"), self.control)

    def skip(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        """Match at the position and go past it."""
        found = pattern.match(self.text, self.position)
        if found is not None:
            self.position = found.end()
        return found

    def unexpected(self, message: str, expected: object) -> SddlError:
        self.skip(_BLANKS)
        return _error(message, self.position, expected, self.text[self.position : self.position + _SHOWN])

    def sid(self) -> Sid:
        found = self.skip(_SID_TEXT)
        if found is None:
            raise self.unexpected("no SID", "S-1-... or an alias of two letters")
        name, start = found[1], found.start(1)
        if (known := _WELL_KNOWN.get(name)) is not None:
            return known
        if (whose := _RELATIVE.get(name)) is not None:
            base = self.bases[whose]
            if base is None:
                raise _error(f"{name} is relative to a {whose} that is not known", start, "a SID in full", name)
            if len(base.sub_authorities) >= MAX_SUB_AUTHORITIES:
                raise _error(f"no {whose}", start, f"less than {MAX_SUB_AUTHORITIES} sub-authorities", base)
            return Sid(base.authority, (*base.sub_authorities, _RELATIVE_IDS[name]))
        if not name.startswith("S-"):
            raise _error("unknown alias of a SID", start, "an alias of [MS-DTYP] 2.5.1.1", name)
        try:
            return Sid.from_string(name)
        except SecurityDescriptorError as error:
            raise _error("no SID", start, error.expected, error.got) from None

    def acl(self, letter: str) -> Acl | None:
        """The flags and entries after D: or S:; None for a NULL list."""
        start = self.position
        self.control |= SE_DACL_PRESENT if letter == "D" else SE_SACL_PRESENT
        while (found := self.skip(_ACL_FLAG)) is not None:
            if found[1] == _NULL_ACL:
                if _ACE_TEXT.match(self.text, self.position):
                    raise self.unexpected(f"entries after {_NULL_ACL}", "none")
                return None
            self.control |= _ACL_FLAGS[letter][found[1]]
        aces: list[Ace] = []
        while (found := self.skip(_ACE_TEXT)) is not None:
            aces.append(self.ace(found[1], found.start(1)))
            if not self.text.startswith(")", self.position):
                raise self.unexpected("an entry without its end", ")")
            self.position += 1
        revision = ACL_REVISION_DS if any(ace.type in _DS_TYPES for ace in aces) else ACL_REVISION
        acl = Acl(tuple(aces), revision)
        try:
            acl.to_bytes()
        except SecurityDescriptorError as error:
            raise _error("a list too large", start, error.expected, error.got) from None
        return acl

    def ace(self, inner: str, start: int) -> Ace:
        """The entry of `inner`, the text from `start` to a parenthesis; the position is left behind its SID."""
        end = self.position
        fields = inner.split(";")
        kind = fields[0].strip(_BLANK_CHARACTERS)
        if kind in _CONDITIONAL_TYPES:
            raise _error(f"entries of type {kind} are not supported yet", start, "no condition or attribute", kind)
        if kind not in _ACE_TYPES:
            raise _error("unknown type of an entry", start, ", ".join(_ACE_TYPES), kind)
        if len(fields) == 7:
            raise _error(f"a condition in {kind} is not supported yet", end - len(fields[6]), "six fields", "seven")
        if len(fields) != 6:
            raise _error("fields of an entry", start, "six, with ; between", len(fields))
        starts = [start]
        for text in fields[:-1]:
            starts.append(starts[-1] + len(text) + 1)
        flags = _names(fields[1], starts[1], _ACE_FLAGS, "flags")
        mask = _mask(fields[2], starts[2])
        guid, inherited = (_guid(fields[number], starts[number]) for number in (3, 4))
        if kind not in _OBJECT_TYPES and (guid or inherited):
            raise _error("a GUID in an entry that is for no object", starts[3], "none", fields[3] or fields[4])
        self.position = starts[5]
        sid = self.sid()
        if kind == "OA" and not guid and not inherited:
            kind = "A"
        return Ace(_ACE_TYPES[kind], flags, mask, sid, guid, inherited)


def _names(field: str, start: int, names: Mapping[str, int], what: str) -> int:
    """The bits of names of two letters one after the other."""
    bits, position = 0, len(field) - len(field.lstrip(_BLANK_CHARACTERS))
    while position < len(field):
        found = _NAME.match(field, position)
        bit = names.get(found[1]) if found else None
        if found is None or bit is None:
            raise _error(f"unknown {what}", start + position, ", ".join(names), field[position : position + 2])
        bits |= bit
        position = found.end()
    return bits


def _mask(field: str, start: int) -> int:
    """An access mask: names, or a number in C's notation."""
    text = field.strip(_BLANK_CHARACTERS)
    if not _NUMBER.fullmatch(text):
        return _names(field, start, _ALL_RIGHTS, "rights")
    # 32 bits in octal have eleven digits; leading zeros may be more, within reason.
    if len(text) <= 2 * 16:
        try:
            number = int(text, 8 if text.isdigit() and text[0] == "0" else 0)
        except ValueError:  # 8 or 9 in octal
            number = -1
        if 0 <= number <= 0xFFFFFFFF:
            return number
    raise _error("rights that are no number of 32 bits", start, "decimal, 0x and hexadecimal, or 0 and octal", text)


def _guid(field: str, start: int) -> bytes | None:
    text = field.strip(_BLANK_CHARACTERS)
    if not text:
        return None
    if _GUID.fullmatch(text):
        return uuid.UUID(text).bytes_le
    raise _error("no GUID", start, "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx", text[: 2 * _SHOWN])
