"""Names, strings, octets and SIDs in conditions and resource attributes ([MS-DTYP] 2.5.1.1), both ways.

    name     letters, digits and some punctuation; %XXXX is a UTF-16 unit
    string   "...", up to the next quote: there is no escape for a quote, a NUL or an unpaired surrogate
    octets   # and hexadecimal digits; another # is the digit 0, and an odd number of digits gets a 0 in front
    SID      SID(...), in full or an alias

The parsers return None if nothing of their kind is at the position, and raise SddlError if it is malformed.
The printers raise SddlError, without an offset, for what SDDL cannot express.
"""

from __future__ import annotations

import re
from typing import Final

from .sddl_scan import Scanner, sddl_error
from .security import Sid

__all__ = [
    "MORE_NAME_CHARACTERS",
    "NAME_CHARACTERS",
    "escaped_name",
    "format_octets",
    "format_sid",
    "format_string",
    "parse_enclosed_sid",
    "parse_octets",
    "parse_string",
    "unescaped_name",
]

# Characters for the inside of [] in a pattern: of any name, and of a name with @ or in quotes.
NAME_CHARACTERS: Final = "A-Za-z0-9:./_"
MORE_NAME_CHARACTERS: Final = NAME_CHARACTERS + r"#$'*+;?@\[\\\]^`{}~-"
_SID_START: Final = re.compile(r"sid\(", re.ASCII | re.IGNORECASE)
_STRING: Final = re.compile(r'"([^"]*)"')
_OCTETS: Final = re.compile(r"#([0-9a-fA-F#]*)")
_ESCAPE: Final = re.compile(r"%([0-9a-fA-F]{4})")
_UNPRINTABLE: Final = re.compile(rf"[^{MORE_NAME_CHARACTERS}]")
_SHOWN: Final = 40
_DECIMAL: Final = 0xFFFFFFFF  # the largest authority that Windows prints in decimal


def unescaped_name(text: str) -> str:
    """Decode the %XXXX of a name, each a UTF-16 unit."""
    units = _ESCAPE.sub(lambda found: chr(int(found[1], 16)), text)
    return units.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


def escaped_name(name: str) -> str:
    """Encode a name for the text of a condition or resource attribute; the reverse of `unescaped_name`."""

    def escape(found: re.Match[str]) -> str:
        units = found[0].encode("utf-16-be", "surrogatepass")
        return "".join(f"%{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))

    return _UNPRINTABLE.sub(escape, name)


def parse_string(scan: Scanner) -> str | None:
    """Parse a string in quotes."""
    start = scan.position
    found = scan.skip(_STRING)
    if found is None:
        return None
    if not _is_sayable(found[1]):
        raise sddl_error(
            "string that a text cannot hold", start, "neither NUL nor unpaired surrogates", found[1][:_SHOWN]
        )
    return found[1]


def format_string(text: str) -> str:
    if '"' in text or not _is_sayable(text):
        raise sddl_error("string that SDDL cannot express", None, 'no ", NUL or unpaired surrogate', text[:_SHOWN])
    return f'"{text}"'


def _is_sayable(text: str) -> bool:
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


def parse_octets(scan: Scanner) -> bytes | None:
    """Parse octets."""
    found = scan.skip(_OCTETS)
    if found is None:
        return None
    digits = found[1].replace("#", "0")
    return bytes.fromhex("0" * (len(digits) % 2) + digits)


def format_octets(data: bytes) -> str:
    return f"#{data.hex()}"


def format_sid(sid: Sid, names: dict[Sid, str]) -> str:
    """Print the alias in `names`, or the SID. Raises SddlError for one without sub-authorities, which has no text."""
    if not sid.sub_authorities:
        raise sddl_error("SID that SDDL cannot express", None, "at least one sub-authority", sid)
    if (name := names.get(sid)) is not None:
        return name
    authority = f"{sid.authority:#X}".replace("X", "x") if sid.authority > _DECIMAL else str(sid.authority)
    return "-".join(("S-1", authority, *map(str, sid.sub_authorities)))


def parse_enclosed_sid(scan: Scanner) -> Sid | None:
    """Parse SID(...)."""
    if scan.skip(_SID_START) is None:
        return None
    sid = scan.sid()
    if not scan.take(")"):
        raise scan.unexpected("SID without its end", ")")
    return sid
