"""Resource attributes: text and CLAIM_SECURITY_ATTRIBUTE_RELATIVE_V1 ([MS-DTYP] 2.4.10.1)."""

from __future__ import annotations

import struct

import pytest

from wclayer.errors import SddlError, SecurityDescriptorError
from wclayer.win32.sddl import format_sddl, parse_sddl
from wclayer.win32.sddl_attributes import ResourceAttribute
from wclayer.win32.security import SE_SACL_PRESENT, SE_SELF_RELATIVE, Ace, AceType, Acl, SecurityDescriptor, Sid

PREFIX = "S:(RA;;;;;WD;"


def attribute(text: str) -> bytes:
    sacl = SecurityDescriptor.from_bytes(parse_sddl(f"{PREFIX}{text})")).sacl
    assert sacl is not None
    return sacl.aces[0].application_data


def printed(data: bytes, *, strict: bool = True) -> str:
    ace = Ace(AceType.SYSTEM_RESOURCE_ATTRIBUTE, 0, 0, Sid(1, (0,)), application_data=data)
    descriptor = SecurityDescriptor(sacl=Acl((ace,)), control=SE_SELF_RELATIVE | SE_SACL_PRESENT)
    return format_sddl(descriptor.to_bytes(), strict=strict)[len(PREFIX) : -1]


@pytest.mark.parametrize(
    ("text", "data"),
    [  # the examples of "ACE Strings"
        (
            '("Project",TS,0,"Windows","SQL")',
            (
                "18000000 0300 0000 00000000 02000000 28000000 38000000"
                "500072006f006a006500630074000000 570069006e0064006f00770073000000 530051004c000000"
            ),
        ),
        (
            '("Secrecy",TU,0,3)',
            "14000000 0200 0000 00000000 01000000 24000000 53006500630072006500630079000000 0300000000000000",
        ),
        ('("ab",TI,0x10001,-1)', "14000000 0100 0000 01000100 01000000 1a000000 610062000000 ffffffffffffffff 0000"),
        (
            '("a",TB,0,1,0)',
            "18000000 0600 0000 00000000 02000000 1c00000024000000 61000000 0100000000000000 0000000000000000",
        ),
        (
            '("a",TX,0,#01,0203)',
            "18000000 1000 0000 00000000 02000000 1c00000021000000 61000000 0100000001 020000000203 00",
        ),
        ('("a",TD,0,SY)', "14000000 0500 0000 00000000 01000000 18000000 61000000 0c000000 010100000000000512000000"),
        ('("a",TS,0)', "10000000 0300 0000 00000000 00000000 61000000"),
    ],
)
def test_bytes(text: str, data: str) -> None:
    assert attribute(text) == bytes.fromhex(data)
    assert attribute(printed(attribute(text))) == attribute(text)


@pytest.mark.parametrize(
    "text",
    [
        '("Department_88ce9e0e3cac9f52",TS,0x0,"Finance")',  # as in Windows' event 4663
        '("Impact_88ce9e0e4e78e57f",TI,0x0,1)',
        '("a%0022%0025%0020%00e9%d83d%de00%d800",TU,0xffffffff,18446744073709551615)',
        '("a",TI,0x0,-9223372036854775808,9223372036854775807)',
        '("a",TS,0x0,"","a(;,)%é")',
        '("a",TD,0x0,BA,S-1-5-21-1-2-3-500)',
        '("a",TX,0x2,00ff,#)',
        '("a",TB,0x0,0,1)',
    ],
)
def test_texts_that_stay(text: str) -> None:
    assert printed(attribute(text)) == text


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ('( "a" , TS , 0 , "b" , "c" )', '("a",TS,0x0,"b","c")'),
        ('("a b",TS,010)', '("a%0020b",TS,0x8)'),
        ('("a",TI,0,+0x10,-010,7)', '("a",TI,0x0,16,-8,7)'),
        ('("a",TD,0,SID(BA), sid( SY ))', '("a",TD,0x0,BA,SY)'),
        ('("a",TX,0,#1#2)', '("a",TX,0x0,0102)'),
    ],
)
def test_texts_that_mean_the_same(text: str, same: str) -> None:
    assert printed(attribute(text)) == same


@pytest.mark.parametrize(
    ("text", "offset"),
    [
        ("()", 1),
        ('("",TS,0)', 1),
        ('("a)', 1),
        ('("a%00",TS,0)', 1),
        ('("a" TS,0)', 5),
        ('("a",TT,0)', 5),
        ('("a",ts,0)', 5),
        ('("a",TS)', 7),
        ('("a",TS,x)', 8),
        ('("a",TS,-1)', 8),
        ('("a",TS,0x100000000)', 8),
        ('("a",TS,0,)', 10),
        ('("a",TS,0,b)', 10),
        ('("a",TS,0,"b)', 10),
        ('("a",TS,0,"\ud800")', 10),
        ('("a",TI,0,9223372036854775808)', 10),
        ('("a",TU,0,-1)', 10),
        ('("a",TU,0,18446744073709551616)', 10),
        ('("a",TB,0,2)', 10),
        ('("a",TI,0,"1")', 10),
        ('("a",TX,0,012)', 10),
        ('("a",TX,0,xy)', 10),
        ('("a",TD,0,ZZ)', 10),
        ('("a",TD,0,SID(BA)', 18),
        ('("a",TS,0,"b" "c")', 14),
        ('("\ud800",TS,0)', 2),
    ],
)
def test_malformed(text: str, offset: int) -> None:
    with pytest.raises(SddlError) as caught:
        attribute(text)
    assert caught.value.offset == len(PREFIX) + offset
    assert None not in (caught.value.expected, caught.value.got)


def test_too_large() -> None:
    with pytest.raises(SddlError, match="too large"):
        attribute('("a",TS,0' + ',"b"' * 50_000 + ")")


def test_the_first_byte_too_many() -> None:
    """16 bytes of fields, 4 for the offset, 4 for the size: what fits the uint16 of an ACE's size fails only there."""
    for size, message in ((65_511, "list too large"), (65_512, "resource attribute too large")):
        with pytest.raises(SddlError, match=message):
            attribute(f'("a",TX,0,{"00" * size})')


HEAD = struct.Struct("<IHHII")


def test_values_may_share_bytes_within_reason() -> None:
    """All together, they may be as long as the attribute; a few bytes could be many long values else."""
    for length, fits in ((13, True), (14, False)):
        text = "x" * length
        data = HEAD.pack(24, 3, 0, 0, 2) + struct.pack("<II", 28, 28) + f"a\0{text}\0".encode("utf-16-le")
        if fits:
            assert printed(data, strict=False) == f'("a",TS,0x0,"{text}","{text}")'
        else:
            with pytest.raises(SddlError, match="overlap"):
                printed(data, strict=False)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        HEAD.pack(16, 4, 0, 0, 0) + b"a\0\0\0",  # a fully qualified binary name has no type in SDDL
        HEAD.pack(16, 3, 0, 0, 1) + b"a\0",
        HEAD.pack(16, 3, 0, 0, 0xFFFFFFFF) + b"a\0\0\0",
        HEAD.pack(16, 3, 0, 0, 0) + b"a\0b\0",
        HEAD.pack(0xFFFFFFFF, 3, 0, 0, 0),
        HEAD.pack(16, 3, 0, 0, 0) + b"\0\0",
        HEAD.pack(20, 1, 0, 0, 1) + struct.pack("<I", 24) + b"a\0\0\0" + b"\0" * 7,
        HEAD.pack(20, 6, 0, 0, 1) + struct.pack("<I", 24) + b"a\0\0\0" + b"\2" + b"\0" * 7,
        HEAD.pack(20, 16, 0, 0, 1) + struct.pack("<I", 24) + b"a\0\0\0" + b"\2\0\0\0\1",
        HEAD.pack(20, 5, 0, 0, 1) + struct.pack("<I", 24) + b"a\0\0\0" + b"\2\0\0\0\1\1",
        HEAD.pack(20, 3, 0, 0, 1) + struct.pack("<I", 24) + b'a\0\0\0"\0\0\0',
        HEAD.pack(36, 3, 0, 0, 5) + struct.pack("<5I", *[40] * 5) + b"a\0\0\0" + b"x\0" * 20 + b"\0\0",  # overlapping
    ],
)
def test_bytes_that_are_none(data: bytes) -> None:
    for strict in (True, False):
        with pytest.raises(SddlError) as caught:
            printed(data, strict=strict)
        assert None not in (caught.value.expected, caught.value.got)


@pytest.mark.parametrize(
    "data",
    [
        HEAD.pack(28, 2, 0, 0, 1) + struct.pack("<IQ", 20, 7) + b"a\0\0\0",  # the value before the name
        HEAD.pack(20, 2, 1, 0, 1) + struct.pack("<I", 24) + b"a\0\0\0" + struct.pack("<Q", 7),
        HEAD.pack(20, 2, 0, 0, 1) + struct.pack("<I", 28) + b"a\0\0\0" + struct.pack("<IQ", 0, 7),  # aligned to 8 bytes
        HEAD.pack(20, 2, 0, 0, 1) + struct.pack("<I", 24) + b"a\0\0\0" + struct.pack("<QI", 7, 0),
    ],
)
def test_layouts_that_the_text_does_not_say(data: bytes) -> None:
    with pytest.raises(SddlError):
        printed(data)
    assert printed(data, strict=False) == '("a",TU,0x0,7)'


def test_no_attribute() -> None:
    with pytest.raises(SecurityDescriptorError):
        ResourceAttribute.from_bytes(b"\0" * 15)
