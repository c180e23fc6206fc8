"""The scanner of SDDL text ([MS-DTYP] 2.5.1.1): blanks, SIDs, numbers, and errors with their place."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from ..errors import SddlError, SecurityDescriptorError
from .sddl_names import RELATIVE, RELATIVE_IDS, WELL_KNOWN
from .security import MAX_SUB_AUTHORITIES, Sid

__all__ = ["BLANK_CHARACTERS", "NUMBER", "Scanner", "number", "sddl_error"]

BLANK_CHARACTERS: Final = "\t\n\v\f\r "
NUMBER: Final = re.compile(r"0[xX][0-9a-fA-F]+|[0-9]+")
_B: Final = rf"[{BLANK_CHARACTERS}]*"
_BLANKS: Final = re.compile(_B)
# A hexadecimal number must not eat the letter of the next part: S-1-0x10000D: ends in D:
_SID_TEXT: Final = re.compile(rf"{_B}([Ss](?:-{_B}(?:0[xX][0-9a-fA-F]+(?!:)|[0-9]+))+|[A-Za-z]{{2}})")
_BLANK: Final = re.compile(rf"[{BLANK_CHARACTERS}]")
_SHOWN: Final = 20
# 64 bits in octal have 22 digits; leading zeros may be more, within reason.
_LONGEST_NUMBER: Final = 32


def sddl_error(message: str, offset: int | None, expected: object, got: object) -> SddlError:
    """Make the error for a fault at the index `offset` of the text; None while it is not parsed but printed."""
    return SddlError(f"SDDL: {message}", offset=offset, expected=expected, got="nothing" if got in (None, "") else got)


def number(text: str) -> int | None:
    """Parse a number in C's notation (decimal, 0x and hexadecimal, 0 and octal); None if it is malformed."""
    if NUMBER.fullmatch(text) is None or len(text) > _LONGEST_NUMBER:
        return None
    try:
        return int(text, 8 if text.isdigit() and text[0] == "0" else 0)
    except ValueError:  # 8 or 9 in octal
        return None


@dataclass(slots=True)
class Scanner:
    """A text, the position in it, and the SIDs (or None) of the domain, machine and forest for relative aliases."""

    text: str
    bases: dict[str, Sid | None]
    position: int = 0

    def skip(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        """Match a pattern at the position, and skip what it matches."""
        found = pattern.match(self.text, self.position)
        if found is not None:
            self.position = found.end()
        return found

    def skip_blanks(self) -> None:
        self.skip(_BLANKS)

    def take(self, character: str) -> bool:
        """Skip blanks, and if `character` is next, skip it and the blanks behind it; return whether it was."""
        self.skip_blanks()
        if not self.text.startswith(character, self.position):
            return False
        self.position += len(character)
        self.skip_blanks()
        return True

    def unexpected(self, message: str, expected: object) -> SddlError:
        """Make the error for the text at the position."""
        self.skip_blanks()
        return sddl_error(message, self.position, expected, self.text[self.position : self.position + _SHOWN])

    def sid(self) -> Sid:
        """Parse a SID at the position, in full or an alias, after blanks; there may be blanks in it too."""
        found = self.skip(_SID_TEXT)
        if found is None:
            raise self.unexpected("not a SID", "S-1-... or an alias of two letters")
        name, start = _BLANK.sub("", found[1]).upper(), found.start(1)
        if not name.startswith("S-"):
            self.skip_blanks()  # which Windows passes over behind an alias, but not behind a SID in full
        if (known := WELL_KNOWN.get(name)) is not None:
            return known
        if (whose := RELATIVE.get(name)) is not None:
            base = self.bases[whose]
            if base is None:
                raise sddl_error(
                    f"{name} is relative to a {whose} whose SID is not known", start, "a SID in full", name
                )
            if len(base.sub_authorities) >= MAX_SUB_AUTHORITIES:
                raise sddl_error(
                    f"malformed SID of the {whose}", start, f"less than {MAX_SUB_AUTHORITIES} sub-authorities", base
                )
            return Sid(base.authority, (*base.sub_authorities, RELATIVE_IDS[name]))
        if not name.startswith("S-"):
            raise sddl_error("unknown alias of a SID", start, "an alias of [MS-DTYP] 2.5.1.1", name)
        try:
            return Sid.from_string(name)
        except SecurityDescriptorError as error:
            raise sddl_error("malformed SID", start, error.expected, error.got) from None
