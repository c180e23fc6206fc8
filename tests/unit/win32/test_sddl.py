"""SDDL text to descriptors: the bytes of Windows' own notation, and where ours departs from Wine on purpose."""

from __future__ import annotations

import pytest

from wclayer.errors import SddlError
from wclayer.win32.sddl import parse_sddl
from wclayer.win32.sddl_names import ACE_TYPES
from wclayer.win32.security import (
    ACL_REVISION,
    ACL_REVISION_DS,
    SE_DACL_PRESENT,
    SE_SACL_PRESENT,
    Ace,
    AceType,
    Acl,
    SecurityDescriptor,
    Sid,
)

SYSTEM = Sid(5, (18,))
GUID = "00299570-246d-11d0-a768-00aa006e0529"
GUID_BYTES = bytes.fromhex("709529006d24d011a76800aa006e0529")


def parsed(text: str) -> SecurityDescriptor:
    return SecurityDescriptor.from_bytes(parse_sddl(text))


def only_ace(text: str) -> Ace:
    descriptor = parsed(text)
    (ace,) = [ace for acl in (descriptor.dacl, descriptor.sacl) if acl is not None for ace in acl.aces]
    return ace


def refused(text: str) -> SddlError:
    with pytest.raises(SddlError) as caught:
        parse_sddl(text)
    error = caught.value
    assert error.offset is not None
    assert 0 <= error.offset <= len(text)
    assert None not in (error.expected, error.got)
    return error


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("", "0100008000000000000000000000000000000000"),
        (
            "O:BAG:SYD:(A;;FA;;;BA)",
            (
                "0100048014000000240000000000000030000000 01020000000000052000000020020000 010100000000000512000000"
                "0200200001000000 00001800ff011f0001020000000000052000000020020000"
            ),
        ),
        ("D:P", "0100049000000000000000000000000014000000 0200080000000000"),
        ("S:", "0100108000000000000000001400000000000000 0200080000000000"),
        (
            "O:SYG:SYD:(A;;FA;;;WD)S:(AU;SAFA;FA;;;WD)",
            (
                "0100148014000000200000004800000 02c000000 010100000000000512000000 010100000000000512000000"
                "02001c0001000000 00001400ff011f00010100000000000100000000"
                "02001c0001000000 02c01400ff011f00010100000000000100000000"
            ),
        ),
        (
            "S:(ML;;NWNRNX;;;HI)",
            "0100108000000000000000001400000000000000 02001c0001000000 1100140007000000010100000000001000300000",
        ),
        ("O:LSG:NS", "0100008014000000200000000000000000000000 010100000000000513000000 010100000000000514000000"),
    ],
)
def test_the_bytes_that_windows_makes(text: str, data: str) -> None:
    assert parse_sddl(text) == bytes.fromhex(data.replace(" ", ""))


class TestParts:
    def test_any_order_gives_one_layout(self) -> None:
        assert parse_sddl("S:D:(A;;FA;;;SY)G:SYO:BA") == parse_sddl("O:BAG:SYD:(A;;FA;;;SY)S:")

    def test_blanks_between_what_has_a_meaning(self) -> None:
        blank = " \t\r\n\v\f"
        words = ["O:", "BA", "G:", "SY", "D:", "P", "AI", "(", "A", ";", "OI", "CI", ";", "GR GX;", ";", ";"]
        words += ["S-1-5-18)", "(", "D", ";", ";", "0x1;", ";", ";", "WD", ")"]
        assert parse_sddl(blank + blank.join(words) + blank) == parse_sddl("".join(words))

    @pytest.mark.parametrize(
        ("text", "offset"),
        [
            ("garbage", 0),
            ("d:(a;;fa;;;sy)", 0),
            ("O :BA", 0),
            ("O:BA x", 5),
            ("O:BA\0", 4),
            ("\u00a0O:BA", 0),
            ("O:", 2),  # Wine: the null SID
            ("O:G:SY", 2),
            ("D:(A;;FA;;;SY)D:(A;;FA;;;BA)", 14),  # Wine: room for both, the entries of neither
            ("S:S:", 2),
            ("O:BAO:BA", 4),
            ("D:(A;;FA;;;SY)x", 14),
        ],
    )
    def test_malformed(self, text: str, offset: int) -> None:
        assert refused(text).offset == offset


class TestSids:
    @pytest.mark.parametrize(
        ("alias", "text"),
        [  # sddl.h, with the SIDs and RIDs of winnt.h ([MS-DTYP] 2.4.2.4 and 2.5.1.1)
            ("WD", "S-1-1-0"),
            ("CO", "S-1-3-0"),
            ("CG", "S-1-3-1"),
            ("OW", "S-1-3-4"),
            ("NU", "S-1-5-2"),
            ("IU", "S-1-5-4"),
            ("SU", "S-1-5-6"),
            ("AN", "S-1-5-7"),
            ("ED", "S-1-5-9"),
            ("PS", "S-1-5-10"),
            ("AU", "S-1-5-11"),
            ("RC", "S-1-5-12"),
            ("SY", "S-1-5-18"),
            ("LS", "S-1-5-19"),
            ("NS", "S-1-5-20"),
            ("WR", "S-1-5-33"),
            ("UD", "S-1-5-84-0-0-0-0-0"),
            ("AC", "S-1-15-2-1"),
            ("LW", "S-1-16-4096"),
            ("ME", "S-1-16-8192"),
            ("MP", "S-1-16-8448"),
            ("HI", "S-1-16-12288"),
            ("SI", "S-1-16-16384"),
            ("AS", "S-1-18-1"),
            ("SS", "S-1-18-2"),
            ("BA", "S-1-5-32-544"),
            ("BU", "S-1-5-32-545"),
            ("BG", "S-1-5-32-546"),
            ("PU", "S-1-5-32-547"),
            ("AO", "S-1-5-32-548"),
            ("SO", "S-1-5-32-549"),
            ("PO", "S-1-5-32-550"),
            ("BO", "S-1-5-32-551"),
            ("RE", "S-1-5-32-552"),
            ("RU", "S-1-5-32-554"),
            ("RD", "S-1-5-32-555"),
            ("NO", "S-1-5-32-556"),
            ("MU", "S-1-5-32-558"),
            ("LU", "S-1-5-32-559"),
            ("IS", "S-1-5-32-568"),
            ("CY", "S-1-5-32-569"),
            ("ER", "S-1-5-32-573"),
            ("CD", "S-1-5-32-574"),
            ("RA", "S-1-5-32-575"),
            ("ES", "S-1-5-32-576"),
            ("MS", "S-1-5-32-577"),
            ("HA", "S-1-5-32-578"),
            ("AA", "S-1-5-32-579"),
            ("RM", "S-1-5-32-580"),
            ("HO", "S-1-5-32-584"),
            ("SH", "S-1-5-32-585"),
        ],
    )
    def test_aliases(self, alias: str, text: str) -> None:
        assert str(parsed(f"O:{alias}").owner) == text

    def test_an_authority_has_48_bits(self) -> None:  # Wine cuts it to 32
        assert parsed("O:S-1-281474976710655-1").owner == Sid((1 << 48) - 1, (1,))
        assert parsed("O:S-1-0x100000000-1").owner == Sid(1 << 32, (1,))

    def test_a_hexadecimal_number_leaves_the_next_part_its_letter(self) -> None:
        descriptor = parsed("O:S-1-0x10000D-0x1DD:(A;;FA;;;SY)")
        assert descriptor.owner == Sid(0x10000D, (0x1D,))
        assert descriptor.dacl is not None

    @pytest.mark.parametrize(
        ("alias", "whose", "relative_id"),
        [
            ("DA", "domain", 512),
            ("DU", "domain", 513),
            ("DG", "domain", 514),
            ("DC", "domain", 515),
            ("DD", "domain", 516),
            ("CA", "domain", 517),
            ("PA", "domain", 520),
            ("CN", "domain", 522),
            ("AP", "domain", 525),
            ("KA", "domain", 526),
            ("RS", "domain", 553),
            ("LA", "machine", 500),
            ("LG", "machine", 501),
            ("RO", "forest", 498),
            ("SA", "forest", 518),
            ("EA", "forest", 519),
            ("EK", "forest", 527),
        ],
    )
    def test_relative_aliases(self, alias: str, whose: str, relative_id: int) -> None:
        error = refused(f"D:(A;;FA;;;{alias})")
        assert error.offset == 11
        assert whose in error.message
        bases = {"domain": Sid(5, (21, 1, 2, 3)), "machine": Sid(5, (21, 4, 5, 6)), "forest": Sid(5, (21, 7, 8, 9))}
        data = parse_sddl(f"O:{alias}", **bases)
        assert SecurityDescriptor.from_bytes(data).owner == Sid(5, (*bases[whose].sub_authorities, relative_id))

    def test_a_base_that_is_too_long(self) -> None:
        with pytest.raises(SddlError):
            parse_sddl("O:DA", domain=Sid(5, (21,) * 15))

    @pytest.mark.parametrize(
        "sid",
        ["ZZ", "B", "S-1", "S-1-5", "S-2-5-18", "S-1-5-4294967296", "S-1-5" + "-1" * 16, "S-1-5-18-", "SY "],
    )
    def test_malformed(self, sid: str) -> None:
        error = refused(f"O:{sid}.")
        assert error.offset is not None
        assert error.offset >= 2
        if sid != "SY ":
            refused(f"D:(A;;FA;;;{sid})")


class TestLists:
    @pytest.mark.parametrize(
        ("flags", "bits"),
        [("", 0), ("P", 0x1000), ("AR", 0x0100), ("AI", 0x0400), ("PARAI", 0x1500), ("AIARP", 0x1500), ("PP", 0x1000)],
    )
    def test_flags(self, flags: str, bits: int) -> None:
        assert parsed(f"D:{flags}").control == 0x8000 | SE_DACL_PRESENT | bits
        assert parsed(f"S:{flags}").control == 0x8000 | SE_SACL_PRESENT | bits << 1

    def test_null_and_empty(self) -> None:  # to Wine both are empty
        assert parse_sddl("D:NO_ACCESS_CONTROL").hex() == "01000480" + "00" * 16
        assert parsed("D:NO_ACCESS_CONTROL").dacl is None
        assert parsed("D:").dacl == Acl()
        assert parsed("D:PNO_ACCESS_CONTROLS:").control == 0x8000 | SE_DACL_PRESENT | SE_SACL_PRESENT | 0x1000
        assert refused("D:NO_ACCESS_CONTROL (A;;FA;;;SY)").offset == 20

    def test_the_revision_tells_object_entries(self) -> None:
        plain, object_entries = parsed("D:(A;;CR;;;SY)").dacl, parsed(f"D:(A;;CR;;;SY)(OD;;CR;{GUID};;SY)").dacl
        assert plain is not None
        assert object_entries is not None
        assert (plain.revision, object_entries.revision) == (ACL_REVISION, ACL_REVISION_DS)

    def test_too_large(self) -> None:
        ace = "(A;;FA;;;SY)"  # 20 bytes
        whole = parsed("D:" + ace * 3276).dacl
        assert whole is not None
        assert len(whole.aces) == 3276
        error = refused("O:SYD:" + ace * 3277)
        assert (error.offset, error.got) == (6, "65548")

    @pytest.mark.parametrize(
        ("text", "offset"),
        [("D:(A;;FA;;;SY", 13), ("D:(A;;FA;;;SY(", 13), ("D:A", 2), ("D:)", 2), ("D:()", 3), ("D:AI X", 5)],
    )
    def test_malformed(self, text: str, offset: int) -> None:
        assert refused(text).offset == offset


class TestEntries:
    @pytest.mark.parametrize(
        ("name", "kind"),
        [
            ("A", AceType.ACCESS_ALLOWED),
            ("D", AceType.ACCESS_DENIED),
            ("AU", AceType.SYSTEM_AUDIT),
            ("AL", AceType.SYSTEM_ALARM),
            ("ML", AceType.SYSTEM_MANDATORY_LABEL),
            ("SP", AceType.SYSTEM_SCOPED_POLICY_ID),
            ("TL", AceType.SYSTEM_PROCESS_TRUST_LABEL),
        ],
    )
    def test_types(self, name: str, kind: AceType) -> None:
        assert only_ace(f"S:({name};;0x1;;;SY)") == Ace(kind, 0, 1, SYSTEM)

    def test_a_central_policy_has_no_rights(self) -> None:
        assert only_ace("S:(SP;;;;;S-1-17-3260955821-1180564752)") == Ace(
            AceType.SYSTEM_SCOPED_POLICY_ID, 0, 0, Sid(17, (3260955821, 1180564752))
        )

    @pytest.mark.parametrize(
        ("name", "kind"),
        [
            ("OA", AceType.ACCESS_ALLOWED_OBJECT),
            ("OD", AceType.ACCESS_DENIED_OBJECT),
            ("OU", AceType.SYSTEM_AUDIT_OBJECT),
            ("OL", AceType.SYSTEM_ALARM_OBJECT),
        ],
    )
    def test_object_types(self, name: str, kind: AceType) -> None:  # Wine has none
        part = "D" if name in ("OA", "OD") else "S"  # Windows refuses the others in a DACL
        assert only_ace(f"{part}:({name};;CR;{GUID};;SY)") == Ace(kind, 0, 0x100, SYSTEM, GUID_BYTES)
        assert only_ace(f"{part}:({name};;CR;;{GUID.upper()};SY)") == Ace(kind, 0, 0x100, SYSTEM, None, GUID_BYTES)
        without = AceType.ACCESS_ALLOWED if name == "OA" else kind  # as Windows documents it for OA
        assert only_ace(f"{part}:({name};;CR;;;SY)") == Ace(without, 0, 0x100, SYSTEM)

    @pytest.mark.parametrize(
        ("text", "same"),
        [
            ("D:(a;oici;fa;;;sy)(xa;;gr;;;s-1-5-18;(x))", "D:(A;OICI;FA;;;SY)(XA;;GR;;;SY;(x))"),
            ("O:S-\t1- 5-18D:(A;; GA;;; S-1- 1-0)", "O:SYD:(A;;GA;;;WD)"),
            (
                "D:(A;;-1;;;SY)(A;;0x1ffffffff;;;SY)(A;;-0x10;;;SY)",
                "D:(A;;0xffffffff;;;SY)(A;;0xffffffff;;;SY)(A;;0xfffffff0;;;SY)",
            ),
        ],
    )
    def test_what_windows_takes(self, text: str, same: str) -> None:
        assert parse_sddl(text) == parse_sddl(same)

    @pytest.mark.parametrize(
        "text",
        [
            "D:(A;;GA ;;;SY)",
            "D:(A;;GA\t;;;SY)",
            "D:(A;;0x1 ;;;SY)",
            "D:(A;;GA\tGX;;;SY)",
            "D:(A;;GA;;;S-1-3-4 )",
            "D:(A;;GA;;;S-1-3-4\t)",
            *(f"D:({name};;GA;;;SY)" for name in ("AU", "AL", "OU", "OL", "au")),
            "D:(XU;;GA;;;SY;(x))",
        ],
    )
    def test_what_windows_refuses(self, text: str) -> None:
        refused(text)

    def test_flags(self) -> None:
        names = ("OI", "CI", "NP", "IO", "ID", "CR", "SA", "FA")
        for number, name in enumerate(names):
            assert only_ace(f"D:(A;{name};;;;SY)").flags == 1 << number
        assert only_ace(f"D:(A;{''.join(names)};;;;SY)").flags == 0xFF

    @pytest.mark.parametrize(
        ("rights", "mask"),
        [
            ("", 0),
            ("GA", 0x10000000),
            ("GRGWGX", 0xE0000000),
            ("RCSDWDWO", 0x000F0000),
            ("CCDCLCSWRPWPDTLOCR", 0x1FF),
            ("FA", 0x1F01FF),
            ("FR", 0x120089),
            ("FW", 0x120116),
            ("FX", 0x1200A0),
            ("KA", 0xF003F),
            ("KR", 0x20019),
            ("KW", 0x20006),
            ("KX", 0x20019),
            ("NWNRNX", 7),
            ("0", 0),
            ("0x1200a9", 0x1200A9),
            ("0X1200A9", 0x1200A9),
            ("4294967295", 0xFFFFFFFF),
            ("037777777777", 0xFFFFFFFF),
            ("0x00000000ffffffff", 0xFFFFFFFF),
        ],
    )
    def test_rights(self, rights: str, mask: int) -> None:
        assert only_ace(f"D:(A;;{rights};;;SY)").mask == mask

    @pytest.mark.parametrize(
        ("text", "offset"),
        [
            ("D:(Q;;FA;;;SY)", 3),
            ("D:(A;3;FA;;;SY)", 5),  # flags are names alone
            ("D:(A;OIX;FA;;;SY)", 7),
            ("D:(A;;F;;;SY)", 6),
            ("D:(A;;FAZZ;;;SY)", 8),
            ("D:(A;;FA|FR;;;SY)", 8),
            ("D:(A;;--1;;;SY)", 6),
            ("D:(A;;0x;;;SY)", 6),
            ("D:(A;;089;;;SY)", 6),
            ("D:(A;;" + "9" * 5000 + ";;;SY)", 6),
            ("D:(A;;FA;;SY)", 3),
            ("D:(A;;FA;;;;;SY)", 3),
            ("D:(A;;FA;;;)", 11),
            ("D:(A;;FA;;;SYBA)", 13),
            ("D:(A;;FA;;;SY SY)", 14),
            (f"D:(A;;FA;{GUID};;SY)", 9),
            (f"D:(OA;;FA;{GUID}0;;SY)", 10),
            ("D:(OA;;FA;;{00299570-246d-11d0-a768-00aa006e0529};SY)", 11),
        ],
    )
    def test_malformed(self, text: str, offset: int) -> None:
        assert refused(text).offset == offset

    @pytest.mark.parametrize("name", ["XA", "XD", "XU", "ZA", "FL"])
    def test_conditions(self, name: str) -> None:
        ace = only_ace(f"{'S' if name == 'XU' else 'D'}:({name};CI;FX;;;WD;(@User.x==1))")
        assert (ace.type, ace.flags, ace.mask, ace.sid) == (ACE_TYPES[name], 2, 0x1200A0, Sid(1, (0,)))
        assert ace.application_data.startswith(b"artx")
        assert len(ace.to_bytes()) % 4 == 0

    def test_a_condition_with_guids(self) -> None:
        descriptor = parsed(f"D:(ZA;;CR;{GUID};;WD;(x))")
        assert descriptor.dacl is not None
        assert descriptor.dacl.revision == ACL_REVISION_DS
        assert descriptor.dacl.aces[0].object_type == GUID_BYTES

    def test_an_access_filter_without_a_condition(self) -> None:
        assert only_ace("S:(FL;;FR;;;WD)") == Ace(AceType.SYSTEM_ACCESS_FILTER, 0, 0x120089, Sid(1, (0,)))

    def test_blanks_around_a_condition(self) -> None:
        assert parse_sddl("D: ( XA ;; FX;;; WD ; ( x ) ) (D;;FA;;;SY) ") == parse_sddl(
            "D:(XA;;FX;;;WD;(x))(D;;FA;;;SY)"
        )

    @pytest.mark.parametrize(
        ("text", "offset"),
        [
            ("D:(XA;;FX;;;WD)", 3),
            ("D:(XA;;FX;;;WD;)", 3),
            ("D:(XA;;FX;;;WD;x)", 3),
            ("D:(XA;;FX;;;WD;;(x))", 3),
            ("D:(XA;;FX;;;WD(x))", 3),
            ("D:(XA;;FX;;;WD;(x)", 18),
            ("D:(XA;;FX;;;WD;(x)(y))", 18),
            ("D:(XA;;FX;;;WD SY;(x))", 15),
            ("D:(XA;;FX;;;;(x))", 12),
            ("D:(XA;;QQ;;;WD;(x))", 7),
            (f"D:(XA;;FX;{GUID};;WD;(x))", 10),
            ("S:(RA;;;;;WD)", 3),
            ("S:(RA;;;;;WD;x)", 3),
            ("D:(A;;FA;;;SY;(x))", 14),
            ("D:(A;;FA;;;SY;)", 14),
        ],
    )
    def test_conditions_where_they_may_not_be(self, text: str, offset: int) -> None:
        assert refused(text).offset == offset
