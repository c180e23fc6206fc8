"""What a new file or directory inherits from the security descriptor of its parent ([MS-DTYP] 2.5.3.4).

As Windows computes it for a new object without a descriptor of its own, under
automatic inheritance; owner and group are the parent's.

    OI  OBJECT_INHERIT        for files; directories pass it on
    CI  CONTAINER_INHERIT     for directories
    NP  NO_PROPAGATE_INHERIT  for children alone, not for what is below them
    IO  INHERIT_ONLY          not for the object that has it
    ID  INHERITED             came from above
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
    """What GENERIC_READ, WRITE, EXECUTE and ALL ([MS-DTYP] 2.4.3) are for one kind of object."""

    read: int
    write: int
    execute: int
    all: int

    def of(self, mask: int) -> int:
        """The mask with its generic rights replaced."""
        result = mask & ~_GENERIC_BITS
        for bit, rights in ((1 << 31, self.read), (1 << 30, self.write), (1 << 29, self.execute), (1 << 28, self.all)):
            if mask & bit:
                result |= rights
        return result


FILE_RIGHTS: Final = Rights(0x120089, 0x120116, 0x1200A0, 0x1F01FF)  # winnt.h FILE_GENERIC_*, FILE_ALL_ACCESS
KEY_RIGHTS: Final = Rights(0x20019, 0x20006, 0x20019, 0xF003F)  # winnt.h KEY_READ, WRITE, EXECUTE, ALL_ACCESS


def inherit(parent: bytes, *, directory: bool, rights: Rights = FILE_RIGHTS) -> bytes:
    """The self-relative descriptor of a new file or `directory` in one whose descriptor is `parent`.

    rights: for keys of the registry, which inherit as directories, KEY_RIGHTS.

    Where no entry of the parent's DACL is for children, owner and SYSTEM get all rights, as Windows gives a process of
    the administrators'. Raises SecurityDescriptorError for a parent without a DACL, or with a NULL one.
    """
    found = SecurityDescriptor.from_bytes(parent)
    if found.dacl is None or not found.control & SE_DACL_PRESENT:
        raise SecurityDescriptorError(
            "nothing to inherit: the directory's security descriptor has no DACL",
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
    if found.sacl is not None and found.control & SE_SACL_PRESENT:
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
    """What becomes of one entry of the parent: none, one, or one that holds here and one that is passed on."""
    if ace.inherited_object_type is not None:  # for objects of a directory service's class
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
        if effective == ace or not passed:
            yield replace(effective, flags=own | passed | INHERITED)
        else:
            yield replace(effective, flags=own | INHERITED)
            yield replace(ace, flags=own | passed | INHERIT_ONLY | INHERITED)


def _effective(ace: Ace, parent: SecurityDescriptor, rights: Rights) -> Ace:
    """The entry as it holds for one object: no generic rights, and creators by their names."""
    if ace.raw is not None:
        return ace
    sid = ace.sid
    if sid == _CREATOR_OWNER:
        sid = parent.owner or sid
    elif sid == _CREATOR_GROUP:
        sid = parent.group or sid
    # A mandatory label's mask is a policy, with bits of its own.
    mask = ace.mask if ace.type == AceType.SYSTEM_MANDATORY_LABEL else rights.of(ace.mask)
    return replace(ace, sid=sid, mask=mask)
