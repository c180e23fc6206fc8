"""Security descriptors: SID, ACE, ACL and SECURITY_DESCRIPTOR in self-relative form ([MS-DTYP] 2.4.2 to 2.4.6).

    descriptor  uint8 Revision (1), uint8 Sbz1, uint16 Control,
                uint32 offsets of owner, group, SACL, DACL (0 = absent), then these parts
    ACL         uint8 AclRevision, uint8 Sbz1, uint16 AclSize, uint16 AceCount, uint16 Sbz2, the ACEs
    ACE         uint8 AceType, uint8 AceFlags, uint16 AceSize, then by type
    SID         uint8 Revision (1), uint8 SubAuthorityCount (at most 15), 48-bit big-endian authority, uint32 each

Nothing that a descriptor carries is lost: an ACE of an unknown type, or with an
unexpected body, is kept raw, and so are the bytes behind the last ACE of an ACL and
behind the SID of an ACE. Errors are sizes that lead out of the part around them, and
revisions of SIDs and descriptors other than 1.

A descriptor is written in the layout that Windows makes of SDDL: owner, group, DACL,
SACL, no gaps. One that has this layout gives the same bytes again; of any other the
parts stay equal, and their places may change.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, Self

from ..errors import SecurityDescriptorError

__all__ = [
    "ACL_REVISION",
    "ACL_REVISION_DS",
    "MAX_SUB_AUTHORITIES",
    "SE_DACL_AUTO_INHERITED",
    "SE_DACL_AUTO_INHERIT_REQ",
    "SE_DACL_DEFAULTED",
    "SE_DACL_PRESENT",
    "SE_DACL_PROTECTED",
    "SE_OWNER_DEFAULTED",
    "SE_RM_CONTROL_VALID",
    "SE_SACL_AUTO_INHERITED",
    "SE_SACL_AUTO_INHERIT_REQ",
    "SE_SACL_PRESENT",
    "SE_SACL_PROTECTED",
    "SE_SELF_RELATIVE",
    "Ace",
    "AceType",
    "Acl",
    "SecurityDescriptor",
    "Sid",
]

SE_OWNER_DEFAULTED: Final = 0x0001
SE_DACL_PRESENT: Final = 0x0004
SE_DACL_DEFAULTED: Final = 0x0008
SE_SACL_PRESENT: Final = 0x0010
SE_DACL_AUTO_INHERIT_REQ: Final = 0x0100
SE_SACL_AUTO_INHERIT_REQ: Final = 0x0200
SE_DACL_AUTO_INHERITED: Final = 0x0400
SE_SACL_AUTO_INHERITED: Final = 0x0800
SE_DACL_PROTECTED: Final = 0x1000
SE_SACL_PROTECTED: Final = 0x2000
SE_RM_CONTROL_VALID: Final = 0x4000  # Sbz1 has a meaning to a resource manager
SE_SELF_RELATIVE: Final = 0x8000

ACL_REVISION: Final = 2
ACL_REVISION_DS: Final = 4

_DESCRIPTOR: Final = struct.Struct("<BBHIIII")
_ACL: Final = struct.Struct("<BBHHH")
_ACE: Final = struct.Struct("<BBH")
_UINT32: Final = struct.Struct("<I")
_REVISION: Final = 1  # of SIDs and of descriptors; no other was ever defined
MAX_SUB_AUTHORITIES: Final = 15
_SUB_AUTHORITIES: Final = tuple(struct.Struct(f"<{count}I") for count in range(MAX_SUB_AUTHORITIES + 1))
_GUID: Final = 16
_GUID_BITS: Final = (1, 2)  # ACE_OBJECT_TYPE_PRESENT, ACE_INHERITED_OBJECT_TYPE_PRESENT
_GUID_FLAGS: Final = sum(_GUID_BITS)


class AceType(IntEnum):
    """AceType ([MS-DTYP] 2.4.4.1)."""

    ACCESS_ALLOWED = 0x00
    ACCESS_DENIED = 0x01
    SYSTEM_AUDIT = 0x02
    SYSTEM_ALARM = 0x03
    ACCESS_ALLOWED_COMPOUND = 0x04
    ACCESS_ALLOWED_OBJECT = 0x05
    ACCESS_DENIED_OBJECT = 0x06
    SYSTEM_AUDIT_OBJECT = 0x07
    SYSTEM_ALARM_OBJECT = 0x08
    ACCESS_ALLOWED_CALLBACK = 0x09
    ACCESS_DENIED_CALLBACK = 0x0A
    ACCESS_ALLOWED_CALLBACK_OBJECT = 0x0B
    ACCESS_DENIED_CALLBACK_OBJECT = 0x0C
    SYSTEM_AUDIT_CALLBACK = 0x0D
    SYSTEM_ALARM_CALLBACK = 0x0E
    SYSTEM_AUDIT_CALLBACK_OBJECT = 0x0F
    SYSTEM_ALARM_CALLBACK_OBJECT = 0x10
    SYSTEM_MANDATORY_LABEL = 0x11
    SYSTEM_RESOURCE_ATTRIBUTE = 0x12
    SYSTEM_SCOPED_POLICY_ID = 0x13
    SYSTEM_PROCESS_TRUST_LABEL = 0x14
    SYSTEM_ACCESS_FILTER = 0x15


_OBJECT_TYPES: Final = frozenset((5, 6, 7, 8, 0x0B, 0x0C, 0x0F, 0x10))
_KNOWN_TYPES: Final = frozenset(AceType) - {AceType.ACCESS_ALLOWED_COMPOUND}


def _error(message: str, offset: int, expected: object = None, got: object = None) -> SecurityDescriptorError:
    return SecurityDescriptorError(f"security descriptor: {message}", offset=offset, expected=expected, got=got)


def _pack(layout: struct.Struct, what: str, *values: int) -> bytes:
    try:
        return layout.pack(*values)
    except struct.error:
        raise _error(f"number too large in {what}", 0, f"what {layout.format} holds", values) from None


@dataclass(frozen=True, slots=True)
class Sid:
    """A security identifier; `authority` is 48 bits, each of `sub_authorities` (at most 15) 32."""

    authority: int
    sub_authorities: tuple[int, ...] = ()

    @classmethod
    def parse(cls, data: bytes, offset: int = 0) -> tuple[Self, int]:
        """Return the SID at `offset` of `data`, and where it ends. Raises SecurityDescriptorError."""
        if len(data) < offset + 8:
            raise _error("a SID is cut off", offset, "at least 8 bytes", max(0, len(data) - offset))
        revision, count = data[offset], data[offset + 1]
        if revision != _REVISION or count > MAX_SUB_AUTHORITIES:
            raise _error("malformed SID", offset, "revision 1, at most 15 sub-authorities", f"{revision}, {count}")
        end = offset + 8 + 4 * count
        if end > len(data):
            raise _error("a SID is cut off", offset, f"{8 + 4 * count} bytes", len(data) - offset)
        authority = int.from_bytes(data[offset + 2 : offset + 8], "big")
        return cls(authority, _SUB_AUTHORITIES[count].unpack_from(data, offset + 8)), end

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Decode the SID that is all of `data`. Raises SecurityDescriptorError."""
        sid, end = cls.parse(data)
        if end != len(data):
            raise _error("bytes after a SID", end, f"{end} bytes", len(data))
        return sid

    @classmethod
    def from_string(cls, text: str) -> Self:
        """Parse a SID such as `S-1-5-32-544`; the authority may be hexadecimal. Raises SecurityDescriptorError."""
        head, *parts = text.split("-")
        try:
            if head in ("S", "s") and len(parts) >= 3 and parts[0] == "1":
                numbers = [_sid_number(part) for part in parts[1:]]
                if numbers[0] < 1 << 48 and all(n < 1 << 32 for n in numbers[1:]) and len(numbers) <= 16:
                    return cls(numbers[0], tuple(numbers[1:]))
        except ValueError:
            pass
        raise _error("malformed SID", 0, "S-1-AUTHORITY-SUBAUTHORITY...", text[:80])

    def to_bytes(self) -> bytes:
        """Encode. Raises SecurityDescriptorError for numbers that a SID cannot hold."""
        count = len(self.sub_authorities)
        if count > MAX_SUB_AUTHORITIES or not 0 <= self.authority < 1 << 48:
            got = f"{count}, {self.authority:#x}"
            raise _error("malformed SID", 0, "at most 15 sub-authorities, an authority of 48 bits", got)
        head = bytes((_REVISION, count)) + self.authority.to_bytes(6, "big")
        return head + _pack(_SUB_AUTHORITIES[count], "a SID", *self.sub_authorities)

    def __str__(self) -> str:
        # [MS-DTYP] 2.4.2.1: an authority of more than 32 bits is hexadecimal.
        authority = str(self.authority) if self.authority < 1 << 32 else f"0x{self.authority:012x}"
        return "-".join(("S-1", authority, *map(str, self.sub_authorities)))


def _sid_number(text: str) -> int:
    digits = text.removeprefix("0x").removeprefix("0X")
    if not digits.isascii() or not digits.isalnum() or len(digits) > 20:
        raise ValueError(text)
    return int(digits, 10 if digits == text else 16)


@dataclass(frozen=True, slots=True)
class Ace:
    """An access control entry.

    Of a known type: `mask` and `sid`, the GUIDs of an object ACE (16 bytes each, or None), and in `application_data`
    what follows the SID (conditions, attributes, padding). Of any other: `raw`, all bytes behind the header.
    """

    type: int
    flags: int = 0
    mask: int = 0
    sid: Sid | None = None
    object_type: bytes | None = None
    inherited_object_type: bytes | None = None
    object_flags: int = 0  # bits of an object ACE's Flags other than those of the GUIDs
    application_data: bytes = b""
    raw: bytes | None = None

    @classmethod
    def parse(cls, data: bytes, offset: int, limit: int) -> tuple[Self, int]:
        """Return the ACE at `offset`, which must end by `limit`, and where it ends. Raises SecurityDescriptorError."""
        if offset + _ACE.size > limit:
            raise _error("an ACE outside its ACL", offset, "4 bytes", limit - offset)
        kind, flags, size = _ACE.unpack_from(data, offset)
        end = offset + size
        if size < _ACE.size or end > limit:
            raise _error("an ACE whose size does not fit its ACL", offset, f"4 to {limit - offset}", size)
        body = data[offset + _ACE.size : end]
        ace = cls._known(kind, flags, body) if kind in _KNOWN_TYPES else None
        return ace or cls(kind, flags, raw=body), end

    @classmethod
    def _known(cls, kind: int, flags: int, body: bytes) -> Self | None:
        position = 4
        guids: list[bytes | None] = [None, None]
        more = 0
        if len(body) < position:
            return None
        (mask,) = _UINT32.unpack_from(body)
        if kind in _OBJECT_TYPES:
            if len(body) < 8:
                return None
            (object_flags,) = _UINT32.unpack_from(body, 4)
            position = 8
            for number, bit in enumerate(_GUID_BITS):
                if object_flags & bit:
                    guids[number] = body[position : position + _GUID]
                    position += _GUID
            more = object_flags & ~_GUID_FLAGS
        try:
            sid, end = Sid.parse(body, position)
        except SecurityDescriptorError:
            return None
        return cls(kind, flags, mask, sid, guids[0], guids[1], more, body[end:])

    def to_bytes(self) -> bytes:
        """Encode. Raises SecurityDescriptorError for an ACE over 64 KiB, or with values that an ACE cannot hold."""
        body = self._body() if self.raw is None else self.raw
        size = _ACE.size + len(body)
        if size > 0xFFFF:
            raise _error("ACE too large", 0, "at most 65,535 bytes", size)
        return _pack(_ACE, "an ACE", self.type, self.flags, size) + body

    def _body(self) -> bytes:
        if self.sid is None:
            raise _error("ACE without a SID", 0, "a SID, or the raw body", "none")
        parts = [_pack(_UINT32, "an ACE", self.mask)]
        if self.type in _OBJECT_TYPES:
            if self.object_flags & _GUID_FLAGS:
                raise _error(
                    "object flags that only the GUIDs may set", 0, "other bits than 1 and 2", self.object_flags
                )
            bits = self.object_flags
            guids: list[bytes] = []
            for bit, guid in zip(_GUID_BITS, (self.object_type, self.inherited_object_type), strict=True):
                if guid is not None:
                    if len(guid) != _GUID:
                        raise _error("malformed GUID", 0, f"{_GUID} bytes", len(guid))
                    bits |= bit
                    guids.append(guid)
            parts += [_pack(_UINT32, "an object ACE", bits), *guids]
        elif self.object_type is not None or self.inherited_object_type is not None or self.object_flags:
            raise _error("GUID or object flags in an ACE of another type", 0, "the type of an object ACE", self.type)
        return b"".join((*parts, self.sid.to_bytes(), self.application_data))


@dataclass(frozen=True, slots=True)
class Acl:
    """An access control list; an empty DACL grants nothing, and a NULL one everything."""

    aces: tuple[Ace, ...] = ()
    revision: int = ACL_REVISION
    sbz: tuple[int, int] = (0, 0)
    slack: bytes = b""  # after the last ACE

    @classmethod
    def parse(cls, data: bytes, offset: int = 0) -> tuple[Self, int]:
        """Return the ACL at `offset` of `data`, and where it ends. Raises SecurityDescriptorError."""
        if len(data) < offset + _ACL.size:
            raise _error("an ACL is cut off", offset, "at least 8 bytes", max(0, len(data) - offset))
        revision, sbz1, size, count, sbz2 = _ACL.unpack_from(data, offset)
        end = offset + size
        if size < _ACL.size or end > len(data):
            raise _error("an ACL whose size does not fit", offset, f"8 to {len(data) - offset}", size)
        aces: list[Ace] = []
        position = offset + _ACL.size
        for _ in range(count):
            ace, position = Ace.parse(data, position, end)
            aces.append(ace)
        return cls(tuple(aces), revision, (sbz1, sbz2), data[position:end]), end

    def to_bytes(self) -> bytes:
        """Encode. Raises SecurityDescriptorError for an ACL over 64 KiB, and as Ace.to_bytes does."""
        body = b"".join(ace.to_bytes() for ace in self.aces) + self.slack
        size = _ACL.size + len(body)
        if size > 0xFFFF:
            raise _error("ACL too large", 0, "at most 65,535 bytes", size)
        return _pack(_ACL, "an ACL", self.revision, self.sbz[0], size, len(self.aces), self.sbz[1]) + body


@dataclass(frozen=True, slots=True)
class SecurityDescriptor:
    """A security descriptor.

    Without its PRESENT bit in `control`, an ACL is absent. With the bit, None is a NULL ACL (as DACL it grants
    everything to everyone), and an Acl without entries an empty one (as DACL it grants nothing to anyone).
    """

    owner: Sid | None = None
    group: Sid | None = None
    sacl: Acl | None = None
    dacl: Acl | None = None
    control: int = SE_SELF_RELATIVE
    sbz1: int = 0

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Decode a self-relative descriptor, its parts in any order. Raises SecurityDescriptorError."""
        if len(data) < _DESCRIPTOR.size:
            raise _error("cut off", 0, "at least 20 bytes", len(data))
        revision, sbz1, control, owner, group, sacl, dacl = _DESCRIPTOR.unpack_from(data)
        if revision != _REVISION:
            raise _error("unknown revision", 0, "revision 1", revision)
        if not control & SE_SELF_RELATIVE:
            raise _error("not self-relative", 2, "SE_SELF_RELATIVE set", f"{control:#06x}")
        for number, offset in enumerate((owner, group, sacl, dacl)):
            if offset and not _DESCRIPTOR.size <= offset <= len(data):
                raise _error("part that lies outside it", 4 + 4 * number, f"20 to {len(data)}", offset)
        return cls(
            Sid.parse(data, owner)[0] if owner else None,
            Sid.parse(data, group)[0] if group else None,
            Acl.parse(data, sacl)[0] if sacl else None,
            Acl.parse(data, dacl)[0] if dacl else None,
            control,
            sbz1,
        )

    def to_bytes(self) -> bytes:
        """Encode in self-relative form: owner, group, DACL, SACL, as in SDDL, without gaps.

        Raises SecurityDescriptorError for what a descriptor cannot hold.
        """
        offsets: list[int] = []
        parts: list[bytes] = []
        position = _DESCRIPTOR.size
        for part in (self.owner, self.group, self.dacl, self.sacl):
            data = b"" if part is None else part.to_bytes()
            offsets.append(position if data else 0)
            parts.append(data)
            position += len(data)
        owner, group, dacl, sacl = offsets
        control = self.control | SE_SELF_RELATIVE
        head = _pack(_DESCRIPTOR, "the header", _REVISION, self.sbz1, control, owner, group, sacl, dacl)
        return head + b"".join(parts)
