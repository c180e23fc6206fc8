"""SDDL, the security descriptor definition language ([MS-DTYP] 2.5.1): parsing; printing is in `sddl_print`.

    O:owner G:group D:flags(ace)(ace)... S:flags(ace)...
    ace = type;flags;rights;object GUID;inherited object GUID;SID
        = type;flags;rights;object GUID;inherited object GUID;SID;(condition or resource attribute)

Old layer tars have it in `MSWINDOWS.sd`. Conditions are in `sddl_conditions`, resource
attributes in `sddl_attributes`.

Where implementations differ (Wine is Wine 8), the rules are these:

- The parts may be in any order, each once. Blanks (tab to carriage return, space) may
  be between tokens. Wine skips a leading blank but counts it, drops the entries of a
  repeated list, and reads `O:` as S-1-0-0.
- Types, flags, rights and SIDs are in any case. A mask may be a number in C's notation;
  of one over 32 bits Windows makes 0xffffffff, of a negative one its two's complement.
  ACE flags are only names, as in the grammar.
- Windows refuses a blank behind rights and behind the SID of an entry that is no alias, a
  tab between rights, and entries for auditing in a DACL.
- The authority of a SID has 48 bits (Wine cuts it to 32).
- NO_ACCESS_CONTROL is a NULL ACL; a list without entries is an empty one (in Wine both
  are empty).
- OA without a GUID is A, as the documentation of
  ConvertStringSecurityDescriptorToSecurityDescriptor has it; a list with object entries
  has ACL_REVISION_DS.
- For an alias that is relative to a domain or machine, the caller passes that SID (Wine
  invents one).
- XA, XD, XU and ZA need their condition, RA its attribute; FL may have a condition
  (Wine knows none of them).
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from ..errors import SecurityDescriptorError
from .sddl_attributes import parse_attribute
from .sddl_conditions import parse_condition
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
)
from .sddl_print import format_sddl
from .sddl_scan import BLANK_CHARACTERS, NUMBER, Scanner, number, sddl_error
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
    Sid,
)

__all__ = ["format_sddl", "parse_sddl"]

_ALL_RIGHTS: Final = {**RIGHTS, **LABEL_RIGHTS}
_B: Final = rf"[{BLANK_CHARACTERS}]*"
_PART: Final = re.compile(rf"{_B}([OGDS]):")
_ACL_FLAG: Final = re.compile(rf"{_B}(P|AR|AI|NO_ACCESS_CONTROL)")
_ACE_TEXT: Final = re.compile(rf"{_B}\(([^()]*)")
_FLAG: Final = re.compile(rf"([A-Za-z]{{2}}){_B}")
_RIGHT: Final = re.compile(r"([A-Za-z]{2}) *")  # Windows takes no tab behind rights
_GUID: Final = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_SHOWN: Final = 40
_ALL_BITS: Final = 0xFFFFFFFF


def parse_sddl(text: str, *, domain: Sid | None = None, machine: Sid | None = None, forest: Sid | None = None) -> bytes:
    """Convert SDDL ([MS-DTYP] 2.5.1.1) to a self-relative descriptor; empty text gives an empty descriptor.

    domain, machine, forest: the SIDs that aliases such as DA, LA and EA are relative to; `forest` is that of the
    forest's root domain. Raises SddlError, whose offset is the index of a character in `text`.
    """
    return _Parser(text, {"domain": domain, "machine": machine, "forest": forest}).descriptor().to_bytes()


@dataclass(slots=True)
class _Parser(Scanner):
    control: int = SE_SELF_RELATIVE

    def descriptor(self) -> SecurityDescriptor:
        sids: dict[str, Sid] = {}
        acls: dict[str, Acl | None] = {}
        self.skip_blanks()
        while self.position < len(self.text):
            start = self.position
            found = _PART.match(self.text, start)
            if found is None:
                raise self.unexpected("not a part of a descriptor", "O:, G:, D: or S:")
            letter = found[1]
            if letter in sids or letter in acls:
                raise sddl_error("repeated part", start, "each part once", f"{letter}:")
            self.position = found.end()
            if letter in "OG":
                sids[letter] = self.sid()
            else:
                acls[letter] = self.acl(letter)
            self.skip_blanks()
        return SecurityDescriptor(sids.get("O"), sids.get("G"), acls.get("S"), acls.get("D"), self.control)

    def acl(self, letter: str) -> Acl | None:
        """Parse the flags and entries after D: or S:; None for a NULL list."""
        start = self.position
        self.control |= SE_DACL_PRESENT if letter == "D" else SE_SACL_PRESENT
        while (found := self.skip(_ACL_FLAG)) is not None:
            if found[1] == NULL_ACL:
                if _ACE_TEXT.match(self.text, self.position):
                    raise self.unexpected(f"entries after {NULL_ACL}", "none")
                return None
            self.control |= ACL_FLAGS[letter][found[1]]
        aces: list[Ace] = []
        while (found := self.skip(_ACE_TEXT)) is not None:
            aces.append(self.ace(letter, found[1], found.start(1)))
            if not self.text.startswith(")", self.position):
                raise self.unexpected("entry without its end", ")")
            self.position += 1
        revision = ACL_REVISION_DS if any(ace.type in OBJECT_TYPES for ace in aces) else ACL_REVISION
        acl = Acl(tuple(aces), revision)
        try:
            acl.to_bytes()
        except SecurityDescriptorError as error:
            raise sddl_error("list too large", start, error.expected, error.got) from None
        return acl

    def ace(self, letter: str, inner: str, start: int) -> Ace:
        """Parse an entry. `inner` is the text from `start` to the next parenthesis; ends behind the last field."""
        end = self.position
        fields = inner.split(";")
        name = fields[0].strip(BLANK_CHARACTERS)
        kind = ACE_TYPES.get(name.upper())
        if kind is None:
            raise sddl_error("unknown type of an entry", start, ", ".join(ACE_TYPES), name)
        if kind in CONDITIONAL_TYPES or kind is AceType.SYSTEM_RESOURCE_ATTRIBUTE:
            has_seventh = len(fields) == 7 and not fields[6].strip(BLANK_CHARACTERS) and self.text.startswith("(", end)
            if not has_seventh and (len(fields) != 6 or kind is not AceType.SYSTEM_ACCESS_FILTER):
                what = "attribute" if kind is AceType.SYSTEM_RESOURCE_ATTRIBUTE else "condition"
                raise sddl_error(f"entry of type {name} without its {what}", start, f"seven fields, ({what})", inner)
        elif len(fields) == 7:
            raise sddl_error(f"condition in an entry of type {name}", end - len(fields[6]), "six fields", "seven")
        elif len(fields) != 6:
            raise sddl_error("wrong number of fields in an entry", start, "six, with ; between", len(fields))
        starts = [start]
        for text in fields[:-1]:
            starts.append(starts[-1] + len(text) + 1)
        if letter == "D" and kind in AUDIT_TYPES:
            raise sddl_error(f"entry of type {name} in a DACL", start, "in S:, as it is for auditing", inner[:_SHOWN])
        flags = _names(fields[1], starts[1], ACE_FLAGS, "flags", _FLAG)
        mask = _mask(fields[2], starts[2])
        guid, inherited = (_guid(fields[at], starts[at]) for at in (3, 4))
        if kind not in OBJECT_TYPES and (guid or inherited):
            raise sddl_error(
                "GUID in an entry of another type than an object entry", starts[3], "none", fields[3] or fields[4]
            )
        self.position = starts[5]
        sid = self.sid()
        data = b""
        if len(fields) == 7:
            if self.position != starts[6] - 1:
                raise self.unexpected("text behind a SID", ";")
            self.position = end
            data = parse_attribute(self) if kind is AceType.SYSTEM_RESOURCE_ATTRIBUTE else parse_condition(self)
        if kind is AceType.ACCESS_ALLOWED_OBJECT and not guid and not inherited:
            kind = AceType.ACCESS_ALLOWED
        return Ace(kind, flags, mask, sid, guid, inherited, application_data=data)


def _names(field: str, start: int, names: Mapping[str, int], what: str, pattern: re.Pattern[str]) -> int:
    """Parse names of two letters, one after the other, into their bits."""
    bits, position = 0, len(field) - len(field.lstrip(BLANK_CHARACTERS))
    while position < len(field):
        found = pattern.match(field, position)
        bit = names.get(found[1].upper()) if found else None
        if found is None or bit is None:
            raise sddl_error(f"unknown {what}", start + position, ", ".join(names), field[position : position + 2])
        bits |= bit
        position = found.end()
    return bits


def _mask(field: str, start: int) -> int:
    """Parse an access mask: names, or a number in C's notation; Windows takes no blank behind it."""
    text = field.lstrip(BLANK_CHARACTERS)
    if field and field[-1] in BLANK_CHARACTERS and text:
        raise sddl_error("a blank behind rights", start + len(field.rstrip(BLANK_CHARACTERS)), "; at once", field)
    digits = text.removeprefix("-")
    if not NUMBER.fullmatch(digits):
        return _names(field, start, _ALL_RIGHTS, "rights", _RIGHT)
    mask = number(digits)
    if mask is None:
        raise sddl_error("rights that are no number", start, "decimal, 0x and hexadecimal, or 0 and octal", text)
    # As Windows does: a larger number is the largest, and a negative one has its two's complement.
    mask = min(mask, _ALL_BITS)
    return mask if digits is text else -mask & _ALL_BITS


def _guid(field: str, start: int) -> bytes | None:
    text = field.strip(BLANK_CHARACTERS)
    if not text:
        return None
    if _GUID.fullmatch(text):
        return uuid.UUID(text).bytes_le
    raise sddl_error("malformed GUID", start, "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx", text[:_SHOWN])
