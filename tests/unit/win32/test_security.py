"""SID, ACE, ACL and descriptor: bytes with their meaning, and what is refused where."""

from __future__ import annotations

import struct

import pytest

from wclayer.errors import SecurityDescriptorError
from wclayer.win32.security import (
    ACL_REVISION_DS,
    SE_DACL_AUTO_INHERITED,
    SE_DACL_PRESENT,
    SE_DACL_PROTECTED,
    SE_RM_CONTROL_VALID,
    SE_SACL_PRESENT,
    SE_SELF_RELATIVE,
    Ace,
    AceType,
    Acl,
    SecurityDescriptor,
    Sid,
)

SYSTEM = Sid(5, (18,))
ADMINISTRATORS = Sid(5, (32, 544))
EVERYONE = Sid(1, (0,))
SYSTEM_BYTES = bytes.fromhex("010100000000000512000000")
EVERYONE_BYTES = bytes.fromhex("010100000000000100000000")

# O:BAG:SYD:PAI(A;;FA;;;SY)(A;OICI;FA;;;BA)
DIRECTORY = bytes.fromhex(
    "0100049414000000240000000000000030000000"
    "01020000000000052000000020020000"
    "010100000000000512000000"
    "0200340002000000"
    "00001400ff011f00010100000000000512000000"
    "00031800ff011f0001020000000000052000000020020000"
)
# O:SYG:SYD:(A;;FA;;;WD)S:(AU;SAFA;FA;;;WD): the SACL lies after the DACL, though its offset comes first
AUDITED = bytes.fromhex(
    "010014801400000020000000480000002c000000"
    "010100000000000512000000"
    "010100000000000512000000"
    "02001c000100000000001400ff011f00010100000000000100000000"
    "02001c000100000002c01400ff011f00010100000000000100000000"
)
ENROLL = bytes.fromhex("709529006d24d011a76800aa006e0529")  # 00299570-246d-11d0-a768-00aa006e0529


def patched(data: bytes, offset: int, value: bytes) -> bytes:
    return data[:offset] + value + data[offset + len(value) :]


class TestSid:
    @pytest.mark.parametrize(
        ("text", "data"),
        [
            ("S-1-5-18", SYSTEM_BYTES),
            ("S-1-1-0", EVERYONE_BYTES),
            ("S-1-5-32-544", bytes.fromhex("01020000000000052000000020020000")),
            # TrustedInstaller: a service's SID has five random-looking parts
            (
                "S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464",
                bytes.fromhex("010600000000000550000000b589fb381984c2cb5c6c236d5700776ec0026487"),
            ),
            # the authority is big-endian, and in hexadecimal from 2^32 on
            ("S-1-0x0102030405ff-4294967295", bytes.fromhex("01010102030405ffffffffff")),
            ("S-1-4294967295-1", bytes.fromhex("01010000ffffffff01000000")),
        ],
    )
    def test_text_and_bytes(self, text: str, data: bytes) -> None:
        sid = Sid.from_string(text)
        assert sid.to_bytes() == data
        assert Sid.from_bytes(data) == sid
        assert str(sid) == text

    def test_none_and_fifteen_sub_authorities(self) -> None:
        for sid in (Sid(5), Sid(5, tuple(range(15)))):
            assert Sid.from_bytes(sid.to_bytes()) == sid

    @pytest.mark.parametrize(
        ("data", "offset"),
        [
            (b"", 0),
            (SYSTEM_BYTES[:7], 0),
            (SYSTEM_BYTES[:-1], 0),
            (SYSTEM_BYTES + b"\0", 12),
            (patched(SYSTEM_BYTES, 0, b"\2"), 0),
            (bytes((1, 16)) + bytes(6 + 64), 0),
            (patched(SYSTEM_BYTES, 1, b"\xff"), 0),
        ],
    )
    def test_malformed_bytes(self, data: bytes, offset: int) -> None:
        with pytest.raises(SecurityDescriptorError) as caught:
            Sid.from_bytes(data)
        assert caught.value.offset == offset
        assert None not in (caught.value.expected, caught.value.got)

    @pytest.mark.parametrize(
        "text",
        [
            "S-1-281474976710656-1",
            "S-1-5-0x",
            "S-1-5-+1",
            "S-1-5-1_0",
            "S-1-5-\u0661",
            "S-1-5-18 ",
            "S-1-5-" + "9" * 5000,
            "S" + "-1" * 100_000,
        ],
    )
    def test_malformed_text(self, text: str) -> None:
        with pytest.raises(SecurityDescriptorError) as caught:
            Sid.from_string(text)
        assert len(str(caught.value.got)) <= 80

    @pytest.mark.parametrize(
        "sid",
        [Sid(1 << 48, (1,)), Sid(-1, (1,)), Sid(5, (1 << 32,)), Sid(5, (-1,)), Sid(5, (1,) * 16)],
    )
    def test_what_no_sid_holds_is_not_written(self, sid: Sid) -> None:
        with pytest.raises(SecurityDescriptorError):
            sid.to_bytes()


class TestAce:
    def test_the_names_of_all_types(self) -> None:
        assert [kind.value for kind in AceType] == list(range(0x16))
        assert AceType(0x0B).name == "ACCESS_ALLOWED_CALLBACK_OBJECT"
        assert AceType(0x11).name == "SYSTEM_MANDATORY_LABEL"
        assert AceType(0x15).name == "SYSTEM_ACCESS_FILTER"

    @pytest.mark.parametrize(
        ("data", "ace"),
        [
            ("00 03 1400 ff011f00", Ace(AceType.ACCESS_ALLOWED, 3, 0x1F01FF, SYSTEM)),
            ("11 00 1400 07000000", Ace(AceType.SYSTEM_MANDATORY_LABEL, 0, 7, SYSTEM)),
            ("05 00 1800 00010000 00000000", Ace(AceType.ACCESS_ALLOWED_OBJECT, 0, 0x100, SYSTEM)),
            (
                "05 00 2800 00010000 01000000" + ENROLL.hex(),
                Ace(AceType.ACCESS_ALLOWED_OBJECT, 0, 0x100, SYSTEM, ENROLL),
            ),
            # the second GUID without the first, and a flag of which nothing is known
            (
                "07 40 2800 00010000 06000000" + ENROLL.hex(),
                Ace(AceType.SYSTEM_AUDIT_OBJECT, 0x40, 0x100, SYSTEM, None, ENROLL, 4),
            ),
            (
                "0b 00 3800 00010000 03000000" + ENROLL.hex() * 2,
                Ace(AceType.ACCESS_ALLOWED_CALLBACK_OBJECT, 0, 0x100, SYSTEM, ENROLL, ENROLL),
            ),
        ],
    )
    def test_bytes_and_values(self, data: str, ace: Ace) -> None:
        whole = bytes.fromhex(data) + SYSTEM_BYTES
        assert ace.to_bytes() == whole
        assert Ace.parse(whole, 0, len(whole)) == (ace, len(whole))

    @pytest.mark.parametrize("kind", [0x09, 0x0A, 0x0D, 0x0E, 0x12, 0x13, 0x14, 0x15])
    def test_what_follows_the_sid_is_kept(self, kind: int) -> None:
        condition = b"artx\xf8\x0a\0\0\0x\0y\0z\0!\0!\0"  # an odd size, too, stays
        whole = struct.pack("<BBHI", kind, 0, 8 + 12 + len(condition), 0x1F01FF) + EVERYONE_BYTES + condition
        ace, end = Ace.parse(whole, 0, len(whole))
        assert (ace.sid, ace.application_data, ace.raw, end) == (EVERYONE, condition, None, len(whole))
        assert ace.to_bytes() == whole

    @pytest.mark.parametrize(
        "whole",
        [
            bytes.fromhex("7f 81 0700 abcdef"),  # a type of the future, of an odd size
            bytes.fromhex("ff 00 0400"),
            # compound: a server's SID and a client's
            bytes.fromhex("04 00 2400 ff011f00 0100 0000") + SYSTEM_BYTES * 2,
            bytes.fromhex("05 00 1c00 00010000 01000000") + ENROLL,  # no room for the SID
            bytes.fromhex("05 00 1000 00010000 03000000") + ENROLL[:4],  # nor for the GUID
            bytes.fromhex("05 00 0800 00010000"),  # nor for the flags
            bytes.fromhex("00 00 1400 ff011f00") + patched(SYSTEM_BYTES, 1, b"\x10"),
        ],
    )
    def test_of_another_shape_is_kept_raw(self, whole: bytes) -> None:
        size = int.from_bytes(whole[2:4], "little")
        ace, end = Ace.parse(whole, 0, len(whole))
        assert (ace.type, ace.flags, ace.sid, ace.raw, end) == (whole[0], whole[1], None, whole[4:size], size)
        assert ace.to_bytes() == whole[:size]

    @pytest.mark.parametrize(
        "ace",
        [
            Ace(AceType.ACCESS_ALLOWED),
            Ace(0x100, sid=SYSTEM),
            Ace(AceType.ACCESS_ALLOWED, 0x100, sid=SYSTEM),
            Ace(AceType.ACCESS_ALLOWED, mask=1 << 32, sid=SYSTEM),
            Ace(AceType.ACCESS_ALLOWED, sid=SYSTEM, object_type=ENROLL),
            Ace(AceType.ACCESS_ALLOWED, sid=SYSTEM, object_flags=4),
            Ace(AceType.ACCESS_ALLOWED_OBJECT, sid=SYSTEM, object_type=ENROLL[:15]),
            Ace(AceType.ACCESS_ALLOWED_OBJECT, sid=SYSTEM, object_flags=1),
            Ace(AceType.ACCESS_ALLOWED_OBJECT, sid=SYSTEM, object_flags=2),
            Ace(AceType.ACCESS_ALLOWED_CALLBACK, sid=SYSTEM, application_data=bytes(0xFFFF - 19)),
            Ace(0x77, raw=bytes(0xFFFF - 3)),
        ],
    )
    def test_what_no_ace_holds_is_not_written(self, ace: Ace) -> None:
        with pytest.raises(SecurityDescriptorError):
            ace.to_bytes()

    def test_the_largest(self) -> None:
        ace = Ace(0x77, raw=bytes(0xFFFF - 4))
        assert Ace.parse(ace.to_bytes(), 0, 0xFFFF) == (ace, 0xFFFF)


class TestAcl:
    def test_reserved_fields_and_slack_are_kept(self) -> None:
        ace = bytes.fromhex("00001400a9001200") + EVERYONE_BYTES
        data = struct.pack("<BBHHH", ACL_REVISION_DS, 0xAB, 8 + len(ace) + 6, 1, 0xCDEF) + ace + b"slack!"
        acl, end = Acl.parse(b"before" + data + b"after", 6)
        assert (acl.revision, acl.sbz, acl.slack, end) == (4, (0xAB, 0xCDEF), b"slack!", 6 + len(data))
        assert acl.aces == (Ace(AceType.ACCESS_ALLOWED, 0, 0x1200A9, EVERYONE),)
        assert acl.to_bytes() == data

    @pytest.mark.parametrize(
        ("data", "offset"),
        [
            ("02 00 0800 0000", 0),  # cut off
            ("02 00 0700 0000 0000", 0),  # smaller than its own header
            ("02 00 0900 0000 0000", 0),  # larger than what is there
            ("02 00 0800 0100 0000", 8),  # an entry that cannot be there
            ("02 00 0b00 0100 0000 000004", 8),
            ("02 00 0c00 0100 0000 00000300", 8),  # an entry smaller than its own header
            ("02 00 0c00 0100 0000 00000500", 8),
            ("02 00 0c00 0200 0000 77000400", 12),
            ("02 00 0c00 ffff 0000 77000400", 12),
        ],
    )
    def test_malformed(self, data: str, offset: int) -> None:
        with pytest.raises(SecurityDescriptorError) as caught:
            Acl.parse(bytes.fromhex(data))
        assert caught.value.offset == offset
        assert None not in (caught.value.expected, caught.value.got)

    @pytest.mark.parametrize(
        "acl",
        [Acl(slack=bytes(0xFFFF - 7)), Acl(revision=256), Acl(sbz=(0, 1 << 16)), Acl((Ace(0x77, raw=b""),) * 16383)],
    )
    def test_what_no_acl_holds_is_not_written(self, acl: Acl) -> None:
        with pytest.raises(SecurityDescriptorError):
            acl.to_bytes()


class TestSecurityDescriptor:
    def test_a_directory_s(self) -> None:
        descriptor = SecurityDescriptor.from_bytes(DIRECTORY)
        assert descriptor == SecurityDescriptor(
            ADMINISTRATORS,
            SYSTEM,
            dacl=Acl((Ace(0, 0, 0x1F01FF, SYSTEM), Ace(0, 3, 0x1F01FF, ADMINISTRATORS))),
            control=SE_SELF_RELATIVE | SE_DACL_PRESENT | SE_DACL_PROTECTED | SE_DACL_AUTO_INHERITED,
        )
        assert descriptor.to_bytes() == DIRECTORY

    def test_the_order_of_the_parts(self) -> None:
        descriptor = SecurityDescriptor.from_bytes(AUDITED)
        assert descriptor.control == SE_SELF_RELATIVE | SE_DACL_PRESENT | SE_SACL_PRESENT
        assert descriptor.sacl == Acl((Ace(AceType.SYSTEM_AUDIT, 0xC0, 0x1F01FF, EVERYONE),))
        assert descriptor.dacl == Acl((Ace(AceType.ACCESS_ALLOWED, 0, 0x1F01FF, EVERYONE),))
        assert descriptor.to_bytes() == AUDITED

    def test_another_layout_has_the_same_parts(self) -> None:
        # As NTFS keeps them: the DACL first, then owner and group, here sharing their bytes.
        acl = bytes.fromhex("02001c000100000000001400ff011f00") + EVERYONE_BYTES
        data = struct.pack("<BBHIIII", 1, 0, 0x8004, 52, 52, 0, 24) + b"gap!" + acl + SYSTEM_BYTES
        descriptor = SecurityDescriptor.from_bytes(data)
        assert (descriptor.owner, descriptor.group) == (SYSTEM, SYSTEM)
        again = descriptor.to_bytes()
        assert SecurityDescriptor.from_bytes(again) == descriptor
        assert again == struct.pack("<BBHIIII", 1, 0, 0x8004, 20, 32, 0, 44) + SYSTEM_BYTES * 2 + acl

    def test_resource_manager_control(self) -> None:
        data = patched(patched(DIRECTORY, 1, b"\x5a"), 2, (0x9404 | SE_RM_CONTROL_VALID).to_bytes(2, "little"))
        descriptor = SecurityDescriptor.from_bytes(data)
        assert descriptor.sbz1 == 0x5A
        assert descriptor.to_bytes() == data

    @pytest.mark.parametrize(
        ("data", "control", "dacl"),
        [
            ("01000080" + "00" * 16, SE_SELF_RELATIVE, None),  # absent
            ("01000480" + "00" * 16, SE_SELF_RELATIVE | SE_DACL_PRESENT, None),  # NULL: everything to everyone
            ("01000480" + "00" * 12 + "14000000 0200080000000000", SE_SELF_RELATIVE | SE_DACL_PRESENT, Acl()),
        ],
    )
    def test_absent_null_and_empty(self, data: str, control: int, dacl: Acl | None) -> None:
        descriptor = SecurityDescriptor.from_bytes(bytes.fromhex(data))
        assert (descriptor.control, descriptor.dacl) == (control, dacl)
        assert descriptor.to_bytes() == bytes.fromhex(data)

    @pytest.mark.parametrize(
        ("data", "offset"),
        [
            (b"", 0),
            (DIRECTORY[:19], 0),
            (patched(DIRECTORY, 0, b"\0"), 0),
            (patched(DIRECTORY, 2, b"\4\0"), 2),
            (patched(DIRECTORY, 4, b"\x13\0\0\0"), 4),  # inside the header
            (patched(DIRECTORY, 8, b"\xff\xff\xff\xff"), 8),
            (patched(DIRECTORY, 12, b"\xff\0\0\0"), 12),
            (patched(DIRECTORY, 16, b"\xff\0\0\0"), 16),
            (patched(DIRECTORY, 4, len(DIRECTORY).to_bytes(4, "little")), len(DIRECTORY)),  # begins where the bytes end
            (DIRECTORY[:-1], 0x30),
        ],
    )
    def test_malformed(self, data: bytes, offset: int) -> None:
        with pytest.raises(SecurityDescriptorError) as caught:
            SecurityDescriptor.from_bytes(data)
        assert caught.value.offset == offset
        assert None not in (caught.value.expected, caught.value.got)

    def test_every_truncation_is_refused(self) -> None:
        for end in range(len(AUDITED)):
            with pytest.raises(SecurityDescriptorError):
                SecurityDescriptor.from_bytes(AUDITED[:end])

    def test_what_is_written_is_self_relative(self) -> None:
        assert SecurityDescriptor(SYSTEM, control=0).to_bytes()[2:4] == b"\x00\x80"

    @pytest.mark.parametrize(
        "descriptor",
        [SecurityDescriptor(sbz1=256), SecurityDescriptor(control=1 << 16)],
    )
    def test_what_no_descriptor_holds_is_not_written(self, descriptor: SecurityDescriptor) -> None:
        with pytest.raises(SecurityDescriptorError):
            descriptor.to_bytes()
