"""Descriptors printed as SDDL: in Windows' forms, and never as another descriptor."""

from __future__ import annotations

from dataclasses import replace

import pytest

from wclayer.errors import SddlError, SecurityDescriptorError
from wclayer.win32.sddl import format_sddl, parse_sddl
from wclayer.win32.sddl_names import WELL_KNOWN
from wclayer.win32.security import (
    ACL_REVISION_DS,
    SE_DACL_DEFAULTED,
    SE_DACL_PRESENT,
    SE_DACL_PROTECTED,
    SE_RM_CONTROL_VALID,
    SE_SELF_RELATIVE,
    Ace,
    AceType,
    Acl,
    SecurityDescriptor,
    Sid,
)

GUID = "00299570-246d-11d0-a768-00aa006e0529"
SYSTEM = Sid(5, (18,))
ALLOWED = Ace(AceType.ACCESS_ALLOWED, 0, 0x1F01FF, SYSTEM)


def with_dacl(*aces: Ace, **fields: object) -> SecurityDescriptor:
    acl = replace(Acl(aces), **fields)  # type: ignore[arg-type]
    return SecurityDescriptor(dacl=acl, control=SE_SELF_RELATIVE | SE_DACL_PRESENT)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "O:BAG:SY",
        "D:",
        "D:P",
        "D:PARAIS:PARAI",
        "D:NO_ACCESS_CONTROL",
        "D:PNO_ACCESS_CONTROLS:NO_ACCESS_CONTROL",
        "O:BAG:SYD:(A;OICI;FA;;;BA)(A;OICIIO;GA;;;CO)(A;OICI;0x1200a9;;;BU)(A;CI;LC;;;BU)(A;CI;DC;;;BU)",
        "O:S-1-5-21-1-2-3-500D:(A;OICIIO;GXGR;;;S-1-15-2-2)(D;;CC;;;AN)",
        f"D:(OA;CI;CR;{GUID};;WD)(OD;;RP;;{GUID};AU)(OA;;WP;{GUID};{GUID};PS)",
        "S:AI(AU;OICISAFA;CCDCLCSWRPWPDTLOCRSDRCWDWO;;;WD)(AL;SA;FA;;;BA)(OU;FA;CR;;;WD)",
        "S:(ML;OICI;NWNRNX;;;HI)(SP;;;;;S-1-17-1)(TL;;RC;;;S-1-19-512-4096)(FL;;FR;;;WD)",
        "D:(XA;;FX;;;WD;(@USER.x == 1))(XD;;FX;;;WD;(Exists a))",
        f"D:(ZA;CI;CR;{GUID};;WD;(!(a)))",
        'S:(XU;SA;FA;;;WD;(@RESOURCE.Impact >= 3000))(RA;CI;;;;WD;("Secrecy",TU,0x0,3))',
    ],
)
def test_texts_that_stay(text: str) -> None:
    assert format_sddl(parse_sddl(text)) == text
    assert format_sddl(parse_sddl(text), strict=False) == text


@pytest.mark.parametrize(
    ("mask", "label", "text"),
    [
        (0, False, ""),
        (0x1F01FF, False, "FA"),
        (0x120089, False, "FR"),
        (0x120116, False, "FW"),
        (0x1200A0, False, "FX"),
        (0xF003F, False, "KA"),
        (0x20019, False, "KR"),
        (0x20006, False, "KW"),
        (0x1F, False, "CCDCLCSWRP"),
        (0x10000000, False, "GA"),
        (0xE0000000, False, "GXGWGR"),
        (0x100000, False, "0x100000"),  # SYNCHRONIZE has no name
        (0x1200A9, False, "0x1200a9"),
        (0xFFFFFFFF, False, "0xffffffff"),
        (0, True, ""),
        (1, True, "NW"),
        (3, True, "NWNR"),
        (7, True, "NWNRNX"),
        (8, True, "0x8"),
        (0x20001, True, "0x20001"),
    ],
)
def test_rights(mask: int, label: bool, text: str) -> None:
    kind = AceType.SYSTEM_MANDATORY_LABEL if label else AceType.ACCESS_ALLOWED
    printed = format_sddl(with_dacl(Ace(kind, 0, mask, SYSTEM)).to_bytes())
    assert printed == f"D:({'ML' if label else 'A'};;{text};;;SY)"


def test_every_alias() -> None:
    for alias, sid in WELL_KNOWN.items():
        assert format_sddl(SecurityDescriptor(owner=sid).to_bytes()) == f"O:{alias}"


def test_aliases_of_a_domain_are_printed_in_full() -> None:
    domain = Sid(5, (21, 1, 2, 3))
    assert format_sddl(parse_sddl("O:DA", domain=domain)) == "O:S-1-5-21-1-2-3-512"


def test_the_order_of_the_parts_in_the_bytes_is_not_said() -> None:
    data = bytes.fromhex(
        "0100008020000000140000000000000000000000 010100000000000512000000 01020000000000052000000020020000"
    )
    assert format_sddl(data) == "O:BAG:SY"


def test_what_windows_stores() -> None:
    """A condition and a resource attribute, byte for byte: the SACL first, no gaps between name and value."""
    sacl = bytes.fromhex(
        "0200480001000000 1200400000000000 010100000000000100000000"
        "14000000 0200 0000 0e000000 01000000 22000000 63006f006c004f00490072000000 e574000000000000 0000"
    )
    dacl = bytes.fromhex("0200280001000000 090020003f000000 010100000000001000210000 61727478 fa 02000000 6300 00")
    head = bytes.fromhex("01001480 00000000 00000000 14000000 5c000000")
    text = 'D:(XA;;CCDCLCSWRPWP;;;MP;(@RESOURCE.c))S:(RA;;;;;WD;("colOIr",TU,0xe,29925))'
    assert format_sddl(head + sacl + dacl) == text
    assert SecurityDescriptor.from_bytes(parse_sddl(text)) == SecurityDescriptor.from_bytes(head + sacl + dacl)


class TestWhatSddlCannotSay:
    @pytest.mark.parametrize(
        ("descriptor", "shown"),
        [
            (SecurityDescriptor(control=SE_SELF_RELATIVE | SE_RM_CONTROL_VALID), ""),
            (SecurityDescriptor(sbz1=1), ""),
            (SecurityDescriptor(control=SE_SELF_RELATIVE | SE_DACL_PROTECTED), ""),
            (SecurityDescriptor(control=SE_SELF_RELATIVE | SE_DACL_PRESENT | SE_DACL_DEFAULTED), "D:NO_ACCESS_CONTROL"),
            (SecurityDescriptor(dacl=Acl()), ""),
            (with_dacl(ALLOWED, revision=ACL_REVISION_DS), "D:(A;;FA;;;SY)"),
            (with_dacl(ALLOWED, sbz=(1, 0)), "D:(A;;FA;;;SY)"),
            (with_dacl(ALLOWED, slack=b"\0\0\0\0"), "D:(A;;FA;;;SY)"),
            (with_dacl(replace(ALLOWED, application_data=b"\0\0\0\0")), "D:(A;;FA;;;SY)"),
            (with_dacl(Ace(AceType.ACCESS_ALLOWED_OBJECT, 0, 1, SYSTEM), revision=4), "D:(OA;;CC;;;SY)"),
            (with_dacl(Ace(AceType.ACCESS_DENIED_OBJECT, 0, 1, SYSTEM, object_flags=4), revision=4), "D:(OD;;CC;;;SY)"),
            (
                with_dacl(
                    Ace(AceType.ACCESS_ALLOWED_CALLBACK, 0, 1, SYSTEM, application_data=b"artx\xf8\2\0\0\0a\0\0\0")
                ),
                "D:(XA;;CC;;;SY;(a))",
            ),
        ],
    )
    def test_left_out_for_display(self, descriptor: SecurityDescriptor, shown: str) -> None:
        data = descriptor.to_bytes()
        with pytest.raises(SddlError) as caught:
            format_sddl(data)
        assert None not in (caught.value.expected, caught.value.got)
        assert format_sddl(data, strict=False) == shown
        parse_sddl(shown)

    @pytest.mark.parametrize(
        "descriptor",
        [
            with_dacl(Ace(AceType.ACCESS_ALLOWED_COMPOUND, raw=b"")),
            with_dacl(Ace(0x16, raw=b"\0" * 16)),
            with_dacl(Ace(0xFF, raw=b"")),
            with_dacl(Ace(AceType.SYSTEM_AUDIT_CALLBACK_OBJECT, 0, 1, SYSTEM)),
            with_dacl(Ace(AceType.ACCESS_ALLOWED, raw=b"\0\0")),
            with_dacl(Ace(AceType.ACCESS_ALLOWED, 0, 1, Sid(5))),
            with_dacl(Ace(AceType.ACCESS_ALLOWED_CALLBACK, 0, 1, SYSTEM)),
            with_dacl(Ace(AceType.ACCESS_ALLOWED_CALLBACK, 0, 1, SYSTEM, application_data=b"mine")),
            with_dacl(Ace(AceType.SYSTEM_RESOURCE_ATTRIBUTE, 0, 1, SYSTEM)),
            SecurityDescriptor(owner=Sid(5)),
        ],
    )
    def test_never_printed(self, descriptor: SecurityDescriptor) -> None:
        for strict in (True, False):
            with pytest.raises(SddlError) as caught:
                format_sddl(descriptor.to_bytes(), strict=strict)
            assert None not in (caught.value.expected, caught.value.got)

    def test_the_error_names_the_entry(self) -> None:
        with pytest.raises(SddlError, match="in entry 1 of the DACL"):
            format_sddl(with_dacl(ALLOWED, Ace(0x20, raw=b"")).to_bytes())

    @pytest.mark.parametrize("data", [b"", b"\0" * 20, bytes.fromhex("0100040000000000000000000000000000000000")])
    def test_no_descriptor(self, data: bytes) -> None:
        with pytest.raises(SecurityDescriptorError):
            format_sddl(data)
