"""Accounts that every Windows container knows: names, SIDs, and the aliases of SDDL."""

from __future__ import annotations

import difflib
from typing import Final

from ..errors import SecurityDescriptorError, UsageError
from .sddl_names import WELL_KNOWN
from .security import Sid

__all__ = ["account_name", "parse_account"]

# Names as `icacls` and `whoami` show them; case and blanks do not matter, and the domain may be left out.
_NAMES: Final[dict[str, Sid]] = {
    "Everyone": WELL_KNOWN["WD"],
    "CREATOR OWNER": WELL_KNOWN["CO"],
    "CREATOR GROUP": WELL_KNOWN["CG"],
    "OWNER RIGHTS": WELL_KNOWN["OW"],
    "BUILTIN\\Administrators": WELL_KNOWN["BA"],
    "BUILTIN\\Users": WELL_KNOWN["BU"],
    "BUILTIN\\Guests": WELL_KNOWN["BG"],
    "BUILTIN\\Power Users": WELL_KNOWN["PU"],
    "BUILTIN\\Backup Operators": WELL_KNOWN["BO"],
    "BUILTIN\\IIS_IUSRS": WELL_KNOWN["IS"],
    "NT AUTHORITY\\SYSTEM": WELL_KNOWN["SY"],
    "NT AUTHORITY\\LocalSystem": WELL_KNOWN["SY"],
    "NT AUTHORITY\\Local Service": WELL_KNOWN["LS"],
    "NT AUTHORITY\\Network Service": WELL_KNOWN["NS"],
    "NT AUTHORITY\\Authenticated Users": WELL_KNOWN["AU"],
    "NT AUTHORITY\\Interactive": WELL_KNOWN["IU"],
    "NT AUTHORITY\\Service": WELL_KNOWN["SU"],
    "NT AUTHORITY\\Network": WELL_KNOWN["NU"],
    "NT SERVICE\\TrustedInstaller": Sid(5, (80, 956008885, 3418522649, 1831038044, 1853292631, 2271478464)),
    "NT SERVICE\\ALL SERVICES": Sid(5, (80, 0)),
    "APPLICATION PACKAGE AUTHORITY\\ALL APPLICATION PACKAGES": WELL_KNOWN["AC"],
    "User Manager\\AllContainers": Sid(5, (93, 0)),
    "User Manager\\ContainerAdministrator": Sid(5, (93, 2, 1)),
    "User Manager\\ContainerUser": Sid(5, (93, 2, 2)),
}


def _key(name: str) -> str:
    return name.upper().replace(" ", "")


_BY_KEY: Final = {
    **{_key(name.rpartition("\\")[2]): sid for name, sid in _NAMES.items()},
    **{_key(name): sid for name, sid in _NAMES.items()},
    **WELL_KNOWN,
}


_BY_SID: Final = {sid: name.rpartition("\\")[2] for name, sid in reversed(_NAMES.items())}


def parse_account(text: str) -> Sid:
    """The SID of an account: `S-1-...`, an alias of SDDL (BA), or a name (Administrators, NT AUTHORITY\\SYSTEM).

    Names of the accounts that every Windows container knows, in any case. Raises UsageError for another.
    """
    if text[:2] in ("S-", "s-"):
        try:
            return Sid.from_string(text)
        except SecurityDescriptorError as error:
            raise UsageError("an account", expected=error.expected, got=text) from None
    found = _BY_KEY.get(_key(text))
    if found is None:
        short = {_key(name.rpartition("\\")[2]): name for name in _NAMES}
        near = difflib.get_close_matches(_key(text.rpartition("\\")[2]), short, 1)
        raise UsageError(
            "an unknown account",
            expected="an SDDL alias such as BA, a name such as ContainerUser, or a SID",
            got=text,
            hint=f"did you mean {short[near[0]]}?" if near else None,
        )
    return found


def account_name(sid: Sid) -> str:
    """The name of an account, without its domain, that every Windows container knows; the SID of any other."""
    return _BY_SID.get(sid) or str(sid)
