"""What a new file or directory inherits from the security descriptor of its parent ([MS-DTYP] 2.5.3.4).

As Windows computes it for a new object that is created without a descriptor, with
automatic inheritance (AI); owner and group are the parent's. The flags of an ACE:

    OI  OBJECT_INHERIT        files inherit it; directories pass it on
    CI  CONTAINER_INHERIT     directories inherit it
    NP  NO_PROPAGATE_INHERIT  only children inherit it, not what is below them
    IO  INHERIT_ONLY          it does not hold for the object that has it
    ID  INHERITED             it was inherited
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from ..errors import SecurityDescriptorError
from .security import (
    SE_DACL_AUTO_INHERITED,
    SE_DACL_PRESENT,
    SE_SACL_AUTO_INHERITED,
    SE_SACL_PRESENT,
    SE_SELF_RELATIVE,
    Ace,
    AceType,
    Acl,
    SecurityDescriptor,
    Sid,
)

__all__ = ["FILE_RIGHTS", "KEY_RIGHTS", "Rights", "inherit"]

OBJECT_INHERIT: Final = 0x01
CONTAINER_INHERIT: Final = 0x02
NO_PROPAGATE_INHERIT: Final = 0x04
INHERIT_ONLY: Final = 0x08
INHERITED: Final = 0x10
_INHERITANCE: Final = OBJECT_INHERIT | CONTAINER_INHERIT | NO_PROPAGATE_INHERIT | INHERIT_ONLY

_CREATOR_OWNER: Final = Sid(3, (0,))
_CREATOR_GROUP: Final = Sid(3, (1,))
_SYSTEM: Final = Sid(5, (18,))

_GENERIC_BITS: Final = 0xF0000000


@dataclass(frozen=True, slots=True)
class Rights:
    """The rights that GENERIC_READ, WRITE, EXECUTE and ALL ([MS-DTYP] 2.4.3) stand for with one kind of object."""

    read: int
    write: int
    execute: int
    all: int

    def of(self, mask: int) -> int:
        """Return the mask with its generic rights replaced."""
        result = mask & ~_GENERIC_BITS
        for bit, rights in ((1 << 31, self.read), (1 << 30, self.write), (1 << 29, self.execute), (1 << 28, self.all)):
            if mask & bit:
                result |= rights
        return result


FILE_RIGHTS: Final = Rights(0x120089, 0x120116, 0x1200A0, 0x1F01FF)  # winnt.h FILE_GENERIC_*, FILE_ALL_ACCESS
KEY_RIGHTS: Final = Rights(0x20019, 0x20006, 0x20019, 0xF003F)  # winnt.h KEY_READ, WRITE, EXECUTE, ALL_ACCESS


def inherit(parent: bytes, *, directory: bool, rights: Rights = FILE_RIGHTS) -> bytes:
    """Compute the self-relative descriptor of a new file or directory below one with the descriptor `parent`.

    directory: it is a directory, or a registry key, which inherits as a directory does. rights: KEY_RIGHTS for keys.

    If children inherit no entry of the parent's DACL, owner and SYSTEM get all rights: the default DACL of an
    administrator's token, which Windows then takes. Raises SecurityDescriptorError for a parent without a DACL, or
    with a NULL one.
    """
    found = SecurityDescriptor.from_bytes(parent)
    if found.dacl is None or not found.control & SE_DACL_PRESENT:
        raise SecurityDescriptorError(
            "nothing to inherit: the security descriptor of the directory has no DACL",
            expected="a DACL",
            hint="give the directory one in image.toml, with sddl or acl",
        )
    dacl = _inherited(found.dacl, found, rights, directory=directory)
    control = SE_SELF_RELATIVE | SE_DACL_PRESENT | SE_DACL_AUTO_INHERITED
    if not dacl.aces:
        accounts = dict.fromkeys((found.owner or _SYSTEM, _SYSTEM))
        dacl = Acl(tuple(Ace(AceType.ACCESS_ALLOWED, 0, rights.all, sid) for sid in accounts))
        control &= ~SE_DACL_AUTO_INHERITED
    sacl = None
    if found.sacl is not None and found.control & SE_SACL_PRESENT:  # without the bit, OffsetSacl means nothing
        sacl = _inherited(found.sacl, found, rights, directory=directory)
    if sacl is not None and sacl.aces:
        control |= SE_SACL_PRESENT | SE_SACL_AUTO_INHERITED
    else:
        sacl = None
    return SecurityDescriptor(found.owner, found.group, sacl, dacl, control).to_bytes()


def _inherited(acl: Acl, parent: SecurityDescriptor, rights: Rights, *, directory: bool) -> Acl:
    aces = [child for ace in acl.aces for child in _children(ace, parent, rights, directory=directory)]
    return Acl(tuple(aces), acl.revision)


def _children(ace: Ace, parent: SecurityDescriptor, rights: Rights, *, directory: bool) -> Iterator[Ace]:
    """Yield what the child gets of an entry: nothing, one entry, or one that holds and one that is only passed on."""
    if ace.inherited_object_type is not None:  # only objects of that class in a directory service inherit it
        return
    own = ace.flags & ~_INHERITANCE
    passed = 0 if ace.flags & NO_PROPAGATE_INHERIT else ace.flags & (OBJECT_INHERIT | CONTAINER_INHERIT)
    if not directory:
        if ace.flags & OBJECT_INHERIT:
            yield replace(_effective(ace, parent, rights), flags=own | INHERITED)
    elif not ace.flags & CONTAINER_INHERIT:
        if passed:
            yield replace(ace, flags=own | passed | INHERIT_ONLY | INHERITED)
    else:
        effective = _effective(ace, parent, rights)
        # Generic rights and creators must be resolved again further down, so they are passed on as they are, by an
        # entry of its own that holds only there.
        if effective == ace or not passed:
            yield replace(effective, flags=own | passed | INHERITED)
        else:
            yield replace(effective, flags=own | INHERITED)
            yield replace(ace, flags=own | passed | INHERIT_ONLY | INHERITED)


def _effective(ace: Ace, parent: SecurityDescriptor, rights: Rights) -> Ace:
    """Return the entry as it holds for the child: generic rights replaced, and owner and group for the creators."""
    if ace.raw is not None:
        return ace
    sid = ace.sid
    if sid == _CREATOR_OWNER:
        sid = parent.owner or sid
    elif sid == _CREATOR_GROUP:
        sid = parent.group or sid
    # The mask of a mandatory label is a policy with bits of its own ([MS-DTYP] 2.4.4.13).
    mask = ace.mask if ace.type == AceType.SYSTEM_MANDATORY_LABEL else rights.of(ace.mask)
    return replace(ace, sid=sid, mask=mask)
