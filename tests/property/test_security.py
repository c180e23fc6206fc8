"""Descriptors and SDDL: built, read and built again they stay; no input fails in any other way than with our error."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from wclayer.errors import SddlError, SecurityDescriptorError
from wclayer.win32.sddl import parse_sddl
from wclayer.win32.security import SE_SELF_RELATIVE, Ace, AceType, Acl, SecurityDescriptor, Sid

UINT8, UINT16, UINT32 = (st.integers(0, (1 << bits) - 1) for bits in (8, 16, 32))
GUIDS = st.none() | st.binary(min_size=16, max_size=16)
OBJECT_TYPES = (0x05, 0x06, 0x07, 0x08, 0x0B, 0x0C, 0x0F, 0x10)
PLAIN_TYPES = tuple(sorted(set(range(0x16)) - {AceType.ACCESS_ALLOWED_COMPOUND, *OBJECT_TYPES}))

SIDS = st.builds(Sid, st.integers(0, (1 << 48) - 1), st.lists(UINT32, max_size=15).map(tuple))
PLAIN_ACES = st.builds(Ace, st.sampled_from(PLAIN_TYPES), UINT8, UINT32, SIDS, application_data=st.binary(max_size=9))
OBJECT_ACES = st.builds(
    Ace,
    st.sampled_from(OBJECT_TYPES),
    UINT8,
    UINT32,
    SIDS,
    GUIDS,
    GUIDS,
    UINT32.map(lambda bits: bits & ~3),
    st.binary(max_size=9),
)
RAW_ACES = st.builds(Ace, st.just(4) | st.integers(0x16, 0xFF), UINT8, raw=st.binary(max_size=20))
ACLS = st.builds(
    Acl,
    st.lists(PLAIN_ACES | OBJECT_ACES | RAW_ACES, max_size=4).map(tuple),
    UINT8,
    st.tuples(UINT8, UINT16),
    st.binary(max_size=8),
)
DESCRIPTORS = st.builds(
    SecurityDescriptor,
    st.none() | SIDS,
    st.none() | SIDS,
    st.none() | ACLS,
    st.none() | ACLS,
    UINT16.map(lambda bits: bits | SE_SELF_RELATIVE),
    UINT8,
)

REAL = [
    "O:BAG:SYD:(A;OICI;FA;;;BA)(A;OICI;FA;;;SY)(A;;FA;;;BA)(A;OICIIO;GA;;;CO)(A;OICI;0x1200a9;;;BU)(A;CI;LC;;;BU)",
    "O:S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464G:SYD:PAI(A;OICIIO;GA;;;CO)(A;;0x1301bf;;;SY)",
    "O:SYG:SYD:(A;;FA;;;WD)S:(AU;SAFA;FA;;;WD)(ML;;NW;;;LW)",
    "D:(OA;CI;CR;00299570-246d-11d0-a768-00aa006e0529;;WD)(OD;;RP;;00299570-246d-11d0-a768-00aa006e0529;AU)",
]


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A real descriptor with some bytes changed, some inserted or taken out, and perhaps cut off."""
    data = bytearray(parse_sddl(draw(st.sampled_from(REAL))))
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, len(data) - 1))
        size = draw(st.sampled_from((1, 1, 1, 0, 4)))
        data[place : place + size] = draw(st.binary(min_size=1, max_size=4))
    return bytes(data[: draw(st.just(len(data)) | st.integers(0, len(data)))])


@given(SIDS)
def test_sids(sid: Sid) -> None:
    data = sid.to_bytes()
    assert Sid.from_bytes(data) == sid
    if sid.sub_authorities:
        assert Sid.from_string(str(sid)) == sid
        assert SecurityDescriptor.from_bytes(parse_sddl(f"O:{sid}")).owner == sid


@given(PLAIN_ACES | OBJECT_ACES | RAW_ACES)
def test_aces(ace: Ace) -> None:
    data = ace.to_bytes()
    assert Ace.parse(b"\xff" + data + b"\xff", 1, 2 + len(data)) == (ace, 1 + len(data))


@given(DESCRIPTORS)
def test_descriptors(descriptor: SecurityDescriptor) -> None:
    data = descriptor.to_bytes()
    again = SecurityDescriptor.from_bytes(data)
    assert again == descriptor
    assert again.to_bytes() == data


@given(DESCRIPTORS, st.data())
def test_no_truncation_is_taken(descriptor: SecurityDescriptor, draw: st.DataObject) -> None:
    data = descriptor.to_bytes()
    end = draw.draw(st.integers(0, len(data) - 1))
    with pytest.raises(SecurityDescriptorError):
        SecurityDescriptor.from_bytes(data[:end])


@given(st.binary(max_size=160) | st.binary(max_size=120).map(lambda data: b"\1\0\x14\x80" + data) | mutated())
def test_any_bytes(data: bytes) -> None:
    try:
        descriptor = SecurityDescriptor.from_bytes(data)
    except SecurityDescriptorError as error:
        assert error.offset is not None  # noqa: PT017 # the error is not what is asked for
        assert 0 <= error.offset <= len(data)  # noqa: PT017
        assert None not in (error.expected, error.got)  # noqa: PT017
        return
    again = descriptor.to_bytes()  # what was read can be written
    assert SecurityDescriptor.from_bytes(again) == descriptor
    if is_canonical(data):
        assert again == data


def is_canonical(data: bytes) -> bool:
    """Do owner, group, DACL and SACL follow each other without gaps, from the header to the end?"""
    position = 20
    for field, is_acl in ((4, False), (8, False), (16, True), (12, True)):
        offset = int.from_bytes(data[field : field + 4], "little")
        if offset:
            if offset != position:
                return False
            size = int.from_bytes(data[offset + 2 : offset + 4], "little") if is_acl else 8 + 4 * data[offset + 1]
            position += size
    return position == len(data)


@given(DESCRIPTORS)
def test_what_is_written_is_canonical(descriptor: SecurityDescriptor) -> None:
    assert is_canonical(descriptor.to_bytes())


TOKENS = ["O:", "G:", "D:", "S:", "P", "AI", "AR", "NO_ACCESS_CONTROL", "(", ")", ";", "A", "D", "OA", "XA", "ML", "OI"]
TOKENS += [
    "CI",
    "FA",
    "GRGX",
    "0x1200a9",
    "010",
    "99999999999",
    "BA",
    "SY",
    "DA",
    "S-1-5-18",
    "S-1-",
    "0x",
    " ",
    "\t",
    ";;;",
]
TOKENS += ["(A;;FA;;;SY)", "(A;OICI;0x1200a9;;;BU)", "00299570-246d-11d0-a768-00aa006e0529", "\0", "\ud800", "ß"]


@given(st.lists(st.sampled_from(TOKENS), max_size=14).map("".join) | st.text(max_size=30))
def test_any_text(text: str) -> None:
    try:
        data = parse_sddl(text)
    except SddlError as error:
        assert error.offset is not None  # noqa: PT017 # the error is not what is asked for
        assert 0 <= error.offset <= len(text)  # noqa: PT017
        assert None not in (error.expected, error.got)  # noqa: PT017
        assert str(error).isprintable()  # noqa: PT017
        return
    assert is_canonical(data)
    assert SecurityDescriptor.from_bytes(data).to_bytes() == data


@given(st.sampled_from(REAL), st.data())
def test_texts_with_one_character_changed(text: str, draw: st.DataObject) -> None:
    place = draw.draw(st.integers(0, len(text) - 1))
    changed = text[:place] + draw.draw(st.sampled_from("OGDS:();-0x9AZ \u0661")) + text[place + 1 :]
    assume(changed != text)
    try:
        data = parse_sddl(changed)
    except SddlError as error:
        assert error.offset is not None  # noqa: PT017 # the error is not what is asked for
        return
    assert SecurityDescriptor.from_bytes(data).to_bytes() == data


@given(
    st.lists(st.tuples(st.sampled_from("AD"), UINT32, SIDS.filter(lambda sid: bool(sid.sub_authorities))), max_size=5),
    st.sampled_from(["{:#x}", "{:d}", "0{:o}"]),
)
def test_written_entries_are_read(entries: list[tuple[str, int, Sid]], notation: str) -> None:
    text = "D:" + "".join(f"({kind};;{notation.format(mask)};;;{sid})" for kind, mask, sid in entries)
    expected = Acl(tuple(Ace("AD".index(kind), 0, mask, sid) for kind, mask, sid in entries))
    assert SecurityDescriptor.from_bytes(parse_sddl(text)).dacl == expected
