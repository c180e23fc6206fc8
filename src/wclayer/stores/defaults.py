"""What a file or directory without metadata gets: what a fresh Windows volume gives, and BuildKit uses.

directory  O:BAG:SYD:(A;OICI;FA;;;BA)(A;OICI;FA;;;SY)(A;;FA;;;BA)(A;OICIIO;GA;;;CO)
           (A;OICI;0x1200a9;;;BU)(A;CI;LC;;;BU)(A;CI;DC;;;BU)
file       O:BAG:SYD:(A;;FA;;;BA)(A;;FA;;;SY)(A;;0x1200a9;;;BU)
"""

from __future__ import annotations

from typing import Final

from ..win32.sddl import parse_sddl

__all__ = ["DIRECTORY_DESCRIPTOR", "FILE_DESCRIPTOR"]

DIRECTORY_DESCRIPTOR: Final = parse_sddl(
    "O:BAG:SYD:(A;OICI;FA;;;BA)(A;OICI;FA;;;SY)(A;;FA;;;BA)(A;OICIIO;GA;;;CO)"
    "(A;OICI;0x1200a9;;;BU)(A;CI;LC;;;BU)(A;CI;DC;;;BU)"
)
FILE_DESCRIPTOR: Final = parse_sddl("O:BAG:SYD:(A;;FA;;;BA)(A;;FA;;;SY)(A;;0x1200a9;;;BU)")
