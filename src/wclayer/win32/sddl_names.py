"""The names of SDDL and what they stand for ([MS-DTYP] 2.5.1.1, and SDDL_* of sddl.h).

The tables serve both ways: where a number has several names (KR and KX), the first
is the one to write. All names are in capitals.
"""

from __future__ import annotations

from typing import Final

from .security import (
    SE_DACL_AUTO_INHERIT_REQ,
    SE_DACL_AUTO_INHERITED,
    SE_DACL_PROTECTED,
    SE_SACL_AUTO_INHERIT_REQ,
    SE_SACL_AUTO_INHERITED,
    SE_SACL_PROTECTED,
    AceType,
    Sid,
)

__all__ = [
    "ACE_FLAGS",
    "ACE_TYPES",
    "ACL_FLAGS",
    "CONDITIONAL_TYPES",
    "LABEL_RIGHTS",
    "NULL_ACL",
    "OBJECT_TYPES",
    "RELATIVE",
    "RELATIVE_IDS",
    "RIGHTS",
    "WELL_KNOWN",
]

ACE_TYPES: Final = {
    "A": AceType.ACCESS_ALLOWED,
    "D": AceType.ACCESS_DENIED,
    "OA": AceType.ACCESS_ALLOWED_OBJECT,
    "OD": AceType.ACCESS_DENIED_OBJECT,
    "AU": AceType.SYSTEM_AUDIT,
    "AL": AceType.SYSTEM_ALARM,
    "OU": AceType.SYSTEM_AUDIT_OBJECT,
    "OL": AceType.SYSTEM_ALARM_OBJECT,
    "ML": AceType.SYSTEM_MANDATORY_LABEL,
    "XA": AceType.ACCESS_ALLOWED_CALLBACK,
    "XD": AceType.ACCESS_DENIED_CALLBACK,
    "XU": AceType.SYSTEM_AUDIT_CALLBACK,
    "ZA": AceType.ACCESS_ALLOWED_CALLBACK_OBJECT,
    "RA": AceType.SYSTEM_RESOURCE_ATTRIBUTE,
    "SP": AceType.SYSTEM_SCOPED_POLICY_ID,
    "TL": AceType.SYSTEM_PROCESS_TRUST_LABEL,
    "FL": AceType.SYSTEM_ACCESS_FILTER,
}
CONDITIONAL_TYPES: Final = frozenset(ACE_TYPES[name] for name in ("XA", "XD", "XU", "ZA", "FL"))
OBJECT_TYPES: Final = frozenset(ACE_TYPES[name] for name in ("OA", "OD", "OU", "OL", "ZA"))

ACE_FLAGS: Final = {"OI": 0x01, "CI": 0x02, "NP": 0x04, "IO": 0x08, "ID": 0x10, "CR": 0x20, "SA": 0x40, "FA": 0x80}

RIGHTS: Final = {
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
# Windows refuses these in the text of a DACL.
AUDIT_TYPES: Final = frozenset(
    (
        AceType.SYSTEM_AUDIT,
        AceType.SYSTEM_ALARM,
        AceType.SYSTEM_AUDIT_OBJECT,
        AceType.SYSTEM_ALARM_OBJECT,
        AceType.SYSTEM_AUDIT_CALLBACK,
    )
)
# Names of the same bits in a mandatory label; the parser takes any name in any entry.
LABEL_RIGHTS: Final = {"NW": 0x1, "NR": 0x2, "NX": 0x4}

ACL_FLAGS: Final = {
    "D": {"P": SE_DACL_PROTECTED, "AR": SE_DACL_AUTO_INHERIT_REQ, "AI": SE_DACL_AUTO_INHERITED},
    "S": {"P": SE_SACL_PROTECTED, "AR": SE_SACL_AUTO_INHERIT_REQ, "AI": SE_SACL_AUTO_INHERITED},
}
NULL_ACL: Final = "NO_ACCESS_CONTROL"

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
WELL_KNOWN: Final = {
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
# Aliases whose SID is one of the machine, domain or forest, and their relative IDs.
RELATIVE: Final = {
    **dict.fromkeys(("LA", "LG"), "machine"),
    **dict.fromkeys(("DA", "DU", "DG", "DC", "DD", "CA", "PA", "CN", "AP", "KA", "RS"), "domain"),
    **dict.fromkeys(("RO", "SA", "EA", "EK"), "forest"),  # of the forest's root domain
}
RELATIVE_IDS: Final = {
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
