"""Access control lists of new files: templates by name, SDDL with a DACL.

Windows lets everyone do everything with a file that has no DACL. So no descriptor of this
module lacks one, nor an owner.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from ..errors import SddlError
from ..stores.folder.defaults import DIRECTORY_DESCRIPTOR, FILE_DESCRIPTOR
from ..win32.sddl import parse_sddl
from ..win32.sddl_names import WELL_KNOWN
from ..win32.security import SE_OWNER_DEFAULTED, SecurityDescriptor, Sid

__all__ = ["TEMPLATES", "Template", "parse_descriptor", "with_owner"]


@dataclass(frozen=True, slots=True)
class Template:
    """The self-relative descriptors of new directories and files; what is made in the directory later inherits."""

    directory: bytes
    file: bytes
    description: str  # what users who are no administrators may do


def _template(users: str, description: str, flags: str = "") -> Template:
    """Administrators and SYSTEM may do all, `users` (a mask, or nothing) what they may."""

    def descriptor(inherited: str) -> bytes:
        entries = "".join(f"(A;{inherited};FA;;;{account})" for account in ("BA", "SY"))
        return parse_sddl(f"O:BAG:SYD:{flags}{entries}" + (f"(A;{inherited};{users};;;BU)" if users else ""))

    return Template(descriptor("OICI"), descriptor(""), description)


TEMPLATES: Final[dict[str, Template]] = {
    "default": Template(
        DIRECTORY_DESCRIPTOR,
        FILE_DESCRIPTOR,
        "read, execute, and make files in directories, as on a fresh Windows volume",
    ),
    "read-only": _template("0x1200a9", "read and execute"),
    "users-write": _template("0x1301bf", "also change and delete"),
    "administrators": _template("", "nothing", flags="P"),
}


def parse_descriptor(text: str) -> bytes:
    """The self-relative descriptor of SDDL; a missing owner is Administrators, a missing group SYSTEM.

    Raises SddlError for text that is not valid SDDL, and for a descriptor without a DACL or with a NULL DACL.
    """
    found = SecurityDescriptor.from_bytes(parse_sddl(text))
    if found.dacl is None:
        raise SddlError(
            "a security descriptor without a DACL lets everyone do everything",
            expected="D: with entries",
            got=text,
            hint="D:(A;;FA;;;WD), if that is what is meant",
        )
    return replace(found, owner=found.owner or WELL_KNOWN["BA"], group=found.group or WELL_KNOWN["SY"]).to_bytes()


def with_owner(descriptor: bytes, owner: Sid) -> bytes:
    """The descriptor with another owner; the rest does not change. Raises SecurityDescriptorError."""
    found = SecurityDescriptor.from_bytes(descriptor)
    return replace(found, owner=owner, control=found.control & ~SE_OWNER_DEFAULTED).to_bytes()
