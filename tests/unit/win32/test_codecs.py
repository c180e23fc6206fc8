"""The codecs of Windows' metadata, beyond what the conformance vectors show."""

from __future__ import annotations

import hashlib
import struct

import pytest

from wclayer.entry import ExtendedAttribute
from wclayer.errors import (
    AttributesError,
    BackupStreamError,
    ExtendedAttributeError,
    FileTimeError,
    InvalidNameError,
    ReparseError,
    SddlError,
    SecurityDescriptorError,
)
from wclayer.win32 import attributes, ea, filetime, names, reparse
from wclayer.win32.backup_stream import StreamHeader, StreamId, pack_header, parse_header, parse_streams
from wclayer.win32.sddl import parse_sddl
from wclayer.win32.security import Ace, AceType, Acl, SecurityDescriptor, Sid

# O:BAG:SYD:(A;;FA;;;BA)(A;;FA;;;SY)(A;;0x1200a9;;;BU), as BuildKit writes it for every file.
FILE_SD = bytes.fromhex(
    "01000480140000002400000000000000300000000102000000000005200000002002000001010000000000051200000002004c0003000000"
    "00001800ff011f000102000000000005200000002002000000001400ff011f0001010000000000051200000000001800a90012000102"
    "0000000000052000000021020000"
)


class TestFileTime:
    def test_the_ends_of_the_range(self) -> None:
        assert filetime.format_pax_time(0) == b"-11644473600"
        assert filetime.format_pax_time((1 << 64) - 1) == b"1833029933770.9551615"
        assert filetime.parse_pax_time(b"1833029933770.9551615") == (1 << 64) - 1
        for text in (b"1833029933770.9551616", b"-11644473600.0000001", b"9" * 32):
            with pytest.raises(FileTimeError):
                filetime.parse_pax_time(text)

    def test_hcsshim_s_absent_time(self) -> None:
        assert filetime.format_pax_time(filetime.NO_TIME) == b"-6795364578.8713451"

    @pytest.mark.parametrize(
        "text", [b"", b"+", b"1_0", b"0x10", b" 1", b"1\n", "１".encode(), b"1" * 129, b"1.-5", b"1,5"]
    )
    def test_what_is_no_time(self, text: bytes) -> None:
        with pytest.raises(FileTimeError):
            filetime.parse_pax_time(text)

    def test_the_longest_text(self) -> None:
        """128 digits on both sides of the point, of which Go too reads only the first nine behind it."""
        ones = b"0" * 127 + b"1." + b"1" * 128
        assert filetime.parse_pax_time(ones) == filetime.UNIX_EPOCH + 11_111_111
        with pytest.raises(FileTimeError):
            filetime.parse_pax_time(ones + b"1")

    def test_unix_nanoseconds(self) -> None:
        assert filetime.from_unix_ns(-199) == filetime.UNIX_EPOCH - 1
        assert filetime.to_unix_ns(filetime.UNIX_EPOCH + 7) == 700
        with pytest.raises(FileTimeError):
            filetime.from_unix_ns(-(10**22))


class TestAttributes:
    def test_strict_decimal(self) -> None:
        assert attributes.parse_attributes(b"00032") == attributes.parse_attributes(b"0" * 99 + b"32") == 32
        assert attributes.parse_attributes(b"0") == 0
        assert attributes.parse_attributes(b"4294967295") == 0xFFFFFFFF
        for text in (b"", b"+1", b"-1", b" 1", b"0x20", b"1_0", b"4294967296", "３２".encode(), b"1" * 11):
            with pytest.raises(AttributesError):
                attributes.parse_attributes(text)

    def test_names(self) -> None:
        assert attributes.attribute_names(0x80000411) == ["READONLY", "DIRECTORY", "REPARSE_POINT", "0x80000000"]


class TestNames:
    def test_upper_case_is_ntfs_s(self) -> None:
        assert names.upcase("straße") == "STRAßE"  # Python's upper() makes two letters of it
        assert names.upcase("ÿŸ") == "ŸŸ"
        assert names.upcase("ıi") == "ıI"  # no upper case for the dotless i
        assert names.upcase("ǆǅ") == "Ǆǅ"
        assert names.upcase("σς") == "Σς"
        assert names.upcase("\U00010428") == "\U00010428"
        assert names.upcase("a\ud800") == "A\ud800"
        assert names.upcase("ⓐა") == "Ⓐა"  # Georgian has got capitals since: not on NTFS

    def test_upper_case_is_idempotent_and_keeps_the_length(self) -> None:
        for unit in range(0x10000):
            upper = names.upcase(chr(unit))
            assert len(upper) == 1
            assert names.upcase(upper) == upper or unit in range(0x10D0, 0x1100)

    def test_the_whole_table_is_that_of_a_fresh_volume(self) -> None:
        """The SHA-256 of $UpCase (65,536 little-endian units) as mkntfs 2022.10.3 writes it."""
        table = b"".join(names.upcase(chr(unit)).encode("utf-16-le", "surrogatepass") for unit in range(0x10000))
        assert hashlib.sha256(table).hexdigest() == "41c26bc7a12bdaeb26025c93118697c7e3ef81ee048b00fe5cce2a472e0e0742"

    def test_wtf8(self) -> None:
        assert names.decode_wtf8(b"a\xed\xa0\x80b") == "a\ud800b"
        assert names.decode_wtf8(b"\xed\xa0\xbd\xed\xb8\x80") == "\U0001f600"
        assert names.encode_wtf8("a\ud800b") == b"a\xed\xa0\x80b"
        for data in (b"\xff", b"\xc0\x80", b"\xf8\x88\x80\x80\x80", b"a\xe9"):
            with pytest.raises(InvalidNameError):
                names.decode_wtf8(data)

    def test_components(self) -> None:
        for name in ("", ".", "..", "a/b", "a\\b", "a:b", "a\0"):
            with pytest.raises(InvalidNameError):
                names.check_component(name)
        for name in ("a", "...", " ", "a.", "CON", "\ud800", '<>"|?*', "\x01"):
            names.check_component(name)
        names.check_length("字" * 255)
        for name in ("x" * 256, "\U0001f600" * 128):
            with pytest.raises(InvalidNameError):
                names.check_length(name)

    @pytest.mark.parametrize("part", ["x", "\ud800", "\U0001f600"])
    def test_the_longest_path(self, part: str) -> None:
        """Counted in UTF-16 code units, of which a character beyond the BMP takes two."""
        units = len(part.encode("utf-16-le", "surrogatepass")) // 2
        longest = (part * 32_760)[: 32_760 // units]
        names.check_path_length(longest)
        with pytest.raises(InvalidNameError) as caught:
            names.check_path_length(longest + "y")
        assert caught.value.got == "32,761"

    @pytest.mark.parametrize(
        "name",
        [
            "aux",
            "NUL.txt",
            "com1",
            "COM\xb9",
            "lpt\xb2",
            "LPT\xb3",
            "com0",
            "a.",
            "a ",
            "a?",
            "\x1f",
            "lpt9 .x",
            "CONOUT$",
        ],
    )
    def test_what_win32_cannot_open(self, name: str) -> None:
        assert names.win32_problem(name)

    @pytest.mark.parametrize("name", ["auxiliary", "com10", "a.b", "nul-", "日本", ".a"])
    def test_what_win32_can_open(self, name: str) -> None:
        assert names.win32_problem(name) is None


class TestExtendedAttributes:
    def test_a_last_entry_that_points_to_the_end(self) -> None:
        """As ntfs-3g has it."""
        data = bytes.fromhex("0c0000000001010061006200")
        assert ea.parse_ea_list(data) == (ExtendedAttribute(b"a", b"b"),)

    def test_limits(self) -> None:
        for bad in (
            ExtendedAttribute(b"x" * 256, b""),
            ExtendedAttribute(b"", b"x" * 65536),
            ExtendedAttribute(b"", b"", 256),
        ):
            with pytest.raises(ExtendedAttributeError):
                ea.build_ea_list([bad])
        assert ea.build_ea_list([]) == b""

    def test_an_entry_that_points_into_itself(self) -> None:
        with pytest.raises(ExtendedAttributeError) as caught:
            ea.parse_ea_list(bytes.fromhex("0400000000010100610062000000000000000000"))
        assert caught.value.offset == 0


class TestReparse:
    def test_tags(self) -> None:
        assert reparse.tag_name(0x80000017) == "WOF"
        assert reparse.tag_name(0x12345678) == "0x12345678"
        assert reparse.is_name_surrogate(reparse.IO_REPARSE_TAG_SYMLINK)
        assert not reparse.is_name_surrogate(0x9000001A)

    def test_other_tags_are_whole(self) -> None:
        guid = bytes(range(16))
        third_party = bytes.fromhex("7800000004000000") + guid + b"data"
        assert reparse.decode(third_party) == 0x78
        with pytest.raises(ReparseError):
            reparse.decode(third_party[:-1])
        with pytest.raises(ReparseError):
            reparse.link_text(third_party)

    @pytest.mark.parametrize("unit", [0xD800, 0xDBFF, 0xDC00, 0xDFFF])
    def test_unpaired_surrogates_in_the_text_of_a_link(self, unit: int) -> None:
        """As Go's utf16.Decode."""
        assert reparse.link_text(reparse.build_link(f"a{chr(unit)}b", False)) == "a\ufffdb"

    def test_names_in_either_order(self) -> None:
        buffer = reparse.build_link("C:\\x", False)
        link = reparse.decode(buffer)
        assert link == reparse.ReparseLink(0xA000000C, "\\??\\C:\\x", "C:\\x", 0)
        assert reparse.decode(reparse.build_link("x", False)) == reparse.ReparseLink(0xA000000C, "x", "x", 1)


class TestBackupStream:
    def test_all_ten_ids(self) -> None:
        data = b""
        for number in StreamId:
            offset = 4096 if number == StreamId.SPARSE_BLOCK else None
            name = ":s:$DATA" if number == StreamId.ALTERNATE_DATA else ""
            data += pack_header(StreamHeader(number, 3, 0, name, offset)) + b"abc"
        found = list(parse_streams(data))
        assert [header.id for header, _ in found] == list(range(1, 11))
        assert all(body == b"abc" for _, body in found)
        assert (found[3][0].name, found[8][0].offset) == (":s:$DATA", 4096)

    def test_cut_anywhere(self) -> None:
        data = pack_header(StreamHeader(4, 5, 0, ":name:$DATA")) + b"12345"
        for cut in range(1, len(data)):
            with pytest.raises(BackupStreamError) as caught:
                list(parse_streams(data[:cut]))
            assert caught.value.offset is not None

    @pytest.mark.parametrize(
        "fixed",
        [
            bytes.fromhex("0100000000000000ffffffffffffffff00000000"),  # a negative size
            bytes.fromhex("0400000000000000000000000000000003000000"),  # an odd name
            bytes.fromhex("04000000000000000000000000000000ffffff00"),  # a name of 16 MB
            bytes.fromhex("0900000000000000070000000000000000000000"),  # a sparse block without its offset
        ],
    )
    def test_headers_that_cannot_be(self, fixed: bytes) -> None:
        with pytest.raises(BackupStreamError):
            parse_header(fixed)

    def test_the_largest_size(self) -> None:
        """A LARGE_INTEGER, which has a sign."""
        largest = (1 << 63) - 1
        assert parse_header(struct.pack("<IIQI", 1, 0, largest, 0)).size == largest
        with pytest.raises(BackupStreamError, match="negative"):
            parse_header(struct.pack("<IIQI", 1, 0, largest + 1, 0))

    def test_the_longest_name(self) -> None:
        """255 units between two colons, and the type, of up to 30 more."""
        assert parse_header(struct.pack("<IIQI", 4, 0, 0, 574)).name_size == 574
        for size in (573, 576):
            with pytest.raises(BackupStreamError, match="name"):
                parse_header(struct.pack("<IIQI", 4, 0, 0, size))

    def test_a_sparse_block_at_the_end_of_the_largest_file(self) -> None:
        header = struct.pack("<IIQI", 9, 0, 8 + 10, 0)
        last = (1 << 63) - 1 - 10
        found = parse_header(header).complete(struct.pack("<Q", last))
        assert (found.offset, found.size) == (last, 10)
        with pytest.raises(BackupStreamError, match="beyond the end"):
            parse_header(header).complete(struct.pack("<Q", last + 1))


class TestSecurity:
    def test_a_descriptor_and_back(self) -> None:
        descriptor = SecurityDescriptor.from_bytes(FILE_SD)
        assert str(descriptor.owner) == "S-1-5-32-544"
        assert descriptor.dacl is not None
        assert [(ace.type, hex(ace.mask), str(ace.sid)) for ace in descriptor.dacl.aces] == [
            (0, "0x1f01ff", "S-1-5-32-544"),
            (0, "0x1f01ff", "S-1-5-18"),
            (0, "0x1200a9", "S-1-5-32-545"),
        ]
        assert descriptor.to_bytes() == FILE_SD == parse_sddl("O:BAG:SYD:(A;;FA;;;BA)(A;;FA;;;SY)(A;;0x1200a9;;;BU)")

    def test_an_unknown_type_is_kept_raw(self) -> None:
        ace = Ace(0x77, 3, raw=b"anything at all")
        acl = Acl((ace, Ace(AceType.ACCESS_ALLOWED, sid=Sid(5, (18,)), mask=1)), slack=b"\1\2\3\4")
        parsed, end = Acl.parse(acl.to_bytes())
        assert (parsed, end) == (acl, len(acl.to_bytes()))

    def test_object_and_callback_entries(self) -> None:
        sid = Sid(5, (18,))
        for ace in (
            Ace(AceType.ACCESS_ALLOWED_OBJECT, 0, 0x100, sid, b"g" * 16, None),
            Ace(AceType.ACCESS_DENIED_OBJECT, 0, 0x100, sid, b"g" * 16, b"h" * 16, 4),
            Ace(AceType.ACCESS_ALLOWED_CALLBACK, 0, 1, sid, application_data=b"artx condition"),
            Ace(AceType.SYSTEM_MANDATORY_LABEL, 0, 1, Sid(16, (4096,))),
        ):
            parsed, _ = Ace.parse(ace.to_bytes(), 0, len(ace.to_bytes()))
            assert parsed == ace

    def test_a_known_type_of_another_shape_is_kept_raw(self) -> None:
        data = bytes((0, 0, 8, 0)) + b"\1\0\0\0"  # ACCESS_ALLOWED without a SID
        ace, _ = Ace.parse(data, 0, len(data))
        assert ace.raw == b"\1\0\0\0"
        assert ace.to_bytes() == data

    def test_absent_null_and_empty(self) -> None:
        absent, null, empty = (SecurityDescriptor.from_bytes(parse_sddl(t)) for t in ("", "D:NO_ACCESS_CONTROL", "D:"))
        assert (absent.control & 4, absent.dacl) == (0, None)
        assert (null.control & 4, null.dacl) == (4, None)
        assert (empty.control & 4, empty.dacl) == (4, Acl())

    @pytest.mark.parametrize(
        ("place", "value"),
        [
            (0, b"\2"),  # revision
            (2, b"\4\0"),  # not self-relative
            (4, b"\1\0\0\0"),  # the owner inside the header
            (4, b"\xff\xff\0\0"),
            (0x15, b"\x10"),  # 16 sub-authorities
            (0x14, b"\2"),
            (0x32, b"\xff\xff"),  # the ACL's size
            (0x32, b"\4\0"),
            (0x34, b"\xff\0"),  # the count of its entries
            (0x3A, b"\0\0"),  # an entry's size
        ],
    )
    def test_malformed(self, place: int, value: bytes) -> None:
        data = FILE_SD[:place] + value + FILE_SD[place + len(value) :]
        with pytest.raises(SecurityDescriptorError):
            SecurityDescriptor.from_bytes(data)

    @pytest.mark.parametrize("authority", [(1 << 32) - 1, 1 << 32])
    def test_an_authority_of_more_than_32_bits_is_hexadecimal(self, authority: int) -> None:
        """[MS-DTYP] 2.4.2.1: ten decimal digits at most, else twelve hexadecimal ones."""
        text = "S-1-4294967295-7" if authority < 1 << 32 else "S-1-0x000100000000-7"
        assert str(Sid(authority, (7,))) == text
        assert Sid.from_string(text) == Sid(authority, (7,))

    def test_sids(self) -> None:
        for text in ("S-1-5-18", "S-1-0-0", "S-1-15-2-1", "S-1-0x100000000000-5"):
            sid = Sid.from_string(text)
            assert str(sid) == text
            assert Sid.from_bytes(sid.to_bytes()) == sid
        for text in ("", "S-1", "S-1-5", "S-2-5-18", "S-1-5-4294967296", "S-1-5-x", "S-1--5", "S-1-5" + "-1" * 16):
            with pytest.raises(SecurityDescriptorError):
                Sid.from_string(text)


class TestSddl:
    def test_flags_rights_and_numbers(self) -> None:
        descriptor = SecurityDescriptor.from_bytes(
            parse_sddl("D:PARAI(A;OICINPIOID;GRGX;;;WD)(D;;0X1f;;;AN)(A;;010;;;SY)")
        )
        assert descriptor.control == 0x8000 | 0x4 | 0x1000 | 0x100 | 0x400
        assert descriptor.dacl is not None
        assert [(ace.type, ace.flags, ace.mask) for ace in descriptor.dacl.aces] == [
            (0, 0x1F, 0xA0000000),
            (1, 0, 0x1F),
            (0, 0, 8),
        ]

    def test_a_sid_right_before_the_next_part(self) -> None:
        descriptor = SecurityDescriptor.from_bytes(parse_sddl("O:S-1-5-21-1-2-3-1001G:S-1-5-0x1DD:"))
        assert (str(descriptor.owner), str(descriptor.group)) == ("S-1-5-21-1-2-3-1001", "S-1-5-29")
        descriptor = SecurityDescriptor.from_bytes(parse_sddl("O:S-1-5-21-1-2-3-1001D:(A;;GA;;;SY)"))
        assert str(descriptor.owner) == "S-1-5-21-1-2-3-1001"

    @pytest.mark.parametrize(
        "text",
        [
            "O:",
            "O:ZZ",
            "X:BA",
            "O:BAO:BA",
            "D:(A;;FA;;;SY",
            "D:(A;;FA;;SY)",
            "D:(A;;FA;;;SY;)",
            "D:(Q;;FA;;;SY)",
            "D:(A;ZZ;FA;;;SY)",
            "D:(A;;F;;;SY)",
            "D:(A;;GA ;;;SY)",
            "D:(A;;089;;;SY)",
            "D:(A;;FA;;;SY SY)",
            "D:(A;;FA;00299570-246d-11d0-a768-00aa006e0529;;SY)",
            "D:(OA;;CR;00299570;;SY)",
            "D:(XA;;FX;;;WD)",
            "D:(A;;FA;;;DA)",
            "D:NO_ACCESS_CONTROL(A;;FA;;;SY)",
            "O:BA garbage",
        ],
    )
    def test_malformed(self, text: str) -> None:
        with pytest.raises(SddlError) as caught:
            parse_sddl(text)
        assert caught.value.offset is not None
        assert 0 <= caught.value.offset <= len(text)


def test_attribute_mode() -> None:
    assert attributes.attribute_mode(0) == "-" * 11
    assert attributes.attribute_mode(0x10 | 0x1 | 0x2 | 0x4 | 0x400) == "d-rhsl-----"
    assert attributes.attribute_mode(0xFFFFFFFF) == "darhslcpeti"
    for letter, bit in attributes.MODE_LETTERS.items():  # one table for both
        assert attributes.attribute_letters(bit) == letter


def test_attribute_letters() -> None:
    assert attributes.attribute_letters(0) == "-"
    assert attributes.attribute_letters(0x20) == "a"
    assert attributes.attribute_letters(0x10 | 0x1 | 0x2 | 0x4 | 0x400) == "drhsl"
    assert attributes.attribute_letters(0x20 | 0x40000 | 0x80000000) == "a+0x80040000"
    assert len(set(attributes.attribute_letters(0x2FFB7))) == 15
