"""Descriptors and SDDL: built, read and built again they stay; no input fails in any other way than with our error."""

from __future__ import annotations

import pytest
from hypothesis import assume, event, example, given
from hypothesis import strategies as st

from wclayer.errors import SddlError, SecurityDescriptorError
from wclayer.win32.conditions import (
    Attribute,
    AttributeKind,
    Base,
    Composite,
    Integer,
    Literal,
    Operator,
    Sign,
    Token,
    decode_condition,
    encode_condition,
)
from wclayer.win32.inherit import inherit
from wclayer.win32.sddl import format_sddl, parse_sddl
from wclayer.win32.sddl_attributes import ResourceAttribute
from wclayer.win32.sddl_names import ACE_TYPES, AUDIT_TYPES, CONDITIONAL_TYPES
from wclayer.win32.sddl_names import OBJECT_TYPES as SDDL_OBJECT_TYPES
from wclayer.win32.security import (
    ACL_REVISION,
    ACL_REVISION_DS,
    SE_DACL_AUTO_INHERITED,
    SE_DACL_PRESENT,
    SE_SACL_PRESENT,
    SE_SELF_RELATIVE,
    Ace,
    AceType,
    Acl,
    SecurityDescriptor,
    Sid,
)

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

# --- What SDDL can say ---

NAMED_SIDS = st.builds(Sid, st.integers(0, (1 << 48) - 1), st.lists(UINT32, min_size=1, max_size=15).map(tuple))
NAMED_SIDS |= st.sampled_from(
    [Sid(1, (0,)), Sid(5, (18,)), Sid(5, (32, 544)), Sid(5, (21, 1, 2, 3, 500)), Sid(16, (4096,))]
)
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters='"\0'), max_size=8)
NUMBERS = st.builds(
    lambda magnitude, sign, base: Integer(-magnitude if sign is Sign.MINUS else magnitude, sign, base),
    st.integers(0, (1 << 63) - 1) | st.integers(0, 20),
    st.sampled_from(Sign),
    st.sampled_from(Base),
) | st.just(Integer(-(1 << 63), Sign.MINUS))
SCALARS = NUMBERS | TEXTS | st.binary(max_size=8) | NAMED_SIDS
LITERALS: st.SearchStrategy[Literal] = SCALARS | st.lists(SCALARS, max_size=3).map(lambda v: Composite(tuple(v)))
MEMBERS: st.SearchStrategy[Literal] = NAMED_SIDS | st.lists(NAMED_SIDS, max_size=3).map(lambda v: Composite(tuple(v)))
KEYWORDS = {name.lower() for name in Operator.__members__}
LOCAL = st.builds(
    Attribute,
    st.just(AttributeKind.LOCAL),
    st.from_regex(r"[A-Za-z0-9:./_][A-Za-z0-9:./_@]{0,8}", fullmatch=True).filter(lambda n: n.lower() not in KEYWORDS),
)
PREFIXED = st.builds(
    Attribute, st.sampled_from(sorted(set(AttributeKind) - {AttributeKind.LOCAL})), st.text(st.characters(), min_size=1)
)
UNARY = [code for code in Operator if "MEMBER" in code.name]
RELATIONS = [
    code for code in Operator if code <= Operator.NOT_ANY_OF and code not in UNARY and "EXISTS" not in code.name
]
TERMS: st.SearchStrategy[tuple[Token, ...]] = (
    st.tuples(LOCAL | PREFIXED)
    | st.tuples(LOCAL | PREFIXED, st.sampled_from([Operator.EXISTS, Operator.NOT_EXISTS]))
    | st.tuples(MEMBERS, st.sampled_from(UNARY))
    | st.tuples(LOCAL | PREFIXED, LITERALS | PREFIXED, st.sampled_from(RELATIONS))
)
EXPRESSIONS: st.SearchStrategy[tuple[Token, ...]] = st.recursive(
    TERMS,
    lambda inner: (
        inner.map(lambda one: (*one, Operator.NOT))
        | st.builds(
            lambda one, two, code: (*one, *two, code), inner, inner, st.sampled_from([Operator.AND, Operator.OR])
        )
    ),
    max_leaves=12,
)
VALUES: dict[int, st.SearchStrategy[int] | st.SearchStrategy[str | bytes | Sid]] = {
    1: st.integers(-(1 << 63), (1 << 63) - 1),
    2: st.integers(0, (1 << 64) - 1),
    3: TEXTS,
    5: NAMED_SIDS,
    6: st.integers(0, 1),
    16: st.binary(max_size=9),
}


@st.composite
def attributes(draw: st.DrawFn) -> ResourceAttribute:
    name = draw(st.text(st.characters(exclude_characters="\0"), min_size=1, max_size=8))
    kind = draw(st.sampled_from(sorted(VALUES)))
    values = [draw(VALUES[kind]) for _ in range(draw(st.integers(0, 4)))]
    return ResourceAttribute(name, kind, draw(UINT32), tuple(values))


ATTRIBUTES = attributes()


@st.composite
def sayable_aces(draw: st.DrawFn) -> Ace:
    kind = draw(st.sampled_from(sorted(ACE_TYPES.values())))
    guid = inherited = None
    data = b""
    if kind in SDDL_OBJECT_TYPES:
        guid, inherited = draw(GUIDS), draw(GUIDS)
        if kind == AceType.ACCESS_ALLOWED_OBJECT and guid is None and inherited is None:
            kind = AceType.ACCESS_ALLOWED
    if kind in CONDITIONAL_TYPES:
        data = encode_condition(draw(EXPRESSIONS))
    elif kind == AceType.SYSTEM_RESOURCE_ATTRIBUTE:
        data = draw(ATTRIBUTES).to_bytes()
    masks = UINT32 | st.sampled_from([0, 1, 7, 0x1FF, 0x1F01FF, 0x20019, 0x1200A9, 0xA0000000])
    return Ace(kind, draw(UINT8), draw(masks), draw(NAMED_SIDS), guid, inherited, application_data=data)


@st.composite
def sayable_acls(draw: st.DrawFn, present: int) -> Acl:
    aces = tuple(draw(st.lists(sayable_aces(), max_size=4)))
    if present == SE_DACL_PRESENT:  # where Windows takes no entries for auditing
        aces = tuple(ace for ace in aces if ace.type not in AUDIT_TYPES)
    return Acl(aces, ACL_REVISION_DS if any(ace.type in SDDL_OBJECT_TYPES for ace in aces) else ACL_REVISION)


@st.composite
def sayable(draw: st.DrawFn) -> SecurityDescriptor:
    control = SE_SELF_RELATIVE
    acls: dict[int, Acl | None] = {}
    for present, flags in ((SE_DACL_PRESENT, 0x1500), (SE_SACL_PRESENT, 0x2A00)):
        if draw(st.booleans()):
            control |= present | draw(UINT16) & flags
            acls[present] = draw(st.none() | sayable_acls(present))
    owner, group = draw(st.none() | NAMED_SIDS), draw(st.none() | NAMED_SIDS)
    return SecurityDescriptor(owner, group, acls.get(SE_SACL_PRESENT), acls.get(SE_DACL_PRESENT), control)


REAL = [
    "O:BAG:SYD:(A;OICI;FA;;;BA)(A;OICI;FA;;;SY)(A;;FA;;;BA)(A;OICIIO;GA;;;CO)(A;OICI;0x1200a9;;;BU)(A;CI;LC;;;BU)",
    "O:S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464G:SYD:PAI(A;OICIIO;GA;;;CO)(A;;0x1301bf;;;SY)",
    "O:SYG:SYD:(A;;FA;;;WD)S:(AU;SAFA;FA;;;WD)(ML;;NW;;;LW)",
    "D:(OA;CI;CR;00299570-246d-11d0-a768-00aa006e0529;;WD)(OD;;RP;;00299570-246d-11d0-a768-00aa006e0529;AU)",
    'D:(XA;;FX;;;WD;(@User.a%0020b == {-0x1f, 017, "x", #0a} && !(Exists b || Member_of {SID(BA)})))',
    'S:(RA;CI;;;;WD;("Project",TS,0x0,"Windows","SQL"))(RA;;;;;WD;("x",TX,1,#01,02))(RA;;;;;WD;("y",TD,0,BA,SY))',
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
TOKENS += [
    "D:(XA;;FX;;;WD;(",
    "S:(RA;;;;;WD;(",
    "))",
    "(x)",
    "@User.a",
    "b",
    " == ",
    "!",
    "&&",
    "||",
    "Exists ",
    '"s"',
    "#0#",
]
TOKENS += ["Member_of ", "{", "}", ",", "SID(", '"n",', "TI,0", "TS,", "TX,0x1,", "-1", "017", " Any_of ", "%0041", '"']
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
    printed = format_sddl(data)
    assert parse_sddl(printed) == data
    assert format_sddl(parse_sddl(printed)) == printed


@given(st.sampled_from(REAL), st.data())
def test_texts_with_one_character_changed(text: str, draw: st.DataObject) -> None:
    place = draw.draw(st.integers(0, len(text) - 1))
    changed = text[:place] + draw.draw(st.sampled_from('OGDS:();-0x9AZ{}"%#@!&|=, \u0661\ud800')) + text[place + 1 :]
    assume(changed != text)
    try:
        data = parse_sddl(changed)
    except SddlError as error:
        assert error.offset is not None  # noqa: PT017 # the error is not what is asked for
        return
    assert SecurityDescriptor.from_bytes(data).to_bytes() == data
    assert parse_sddl(format_sddl(data)) == data


@given(
    st.lists(st.tuples(st.sampled_from("AD"), UINT32, SIDS.filter(lambda sid: bool(sid.sub_authorities))), max_size=5),
    st.sampled_from(["{:#x}", "{:d}", "0{:o}"]),
)
def test_written_entries_are_read(entries: list[tuple[str, int, Sid]], notation: str) -> None:
    text = "D:" + "".join(f"({kind};;{notation.format(mask)};;;{sid})" for kind, mask, sid in entries)
    expected = Acl(tuple(Ace("AD".index(kind), 0, mask, sid) for kind, mask, sid in entries))
    assert SecurityDescriptor.from_bytes(parse_sddl(text)).dacl == expected


@given(sayable())
def test_what_sddl_can_say_is_printed_and_read(descriptor: SecurityDescriptor) -> None:
    data = descriptor.to_bytes()
    text = format_sddl(data)
    assert parse_sddl(text) == data
    assert format_sddl(data, strict=False) == text


@given(DESCRIPTORS | sayable())
def test_what_is_printed_is_never_another_descriptor(descriptor: SecurityDescriptor) -> None:
    data = descriptor.to_bytes()
    try:
        shown = format_sddl(data, strict=False)
    except SddlError as error:
        event("cannot be said at all")
        assert None not in (error.expected, error.got)  # noqa: PT017 # the error is not what is asked for
        with pytest.raises(SddlError):
            format_sddl(data)
        return
    parse_sddl(shown)
    try:
        text = format_sddl(data)
    except SddlError as error:
        event("cannot be said in full")
        assert None not in (error.expected, error.got)  # noqa: PT017
        return
    assert text == shown
    assert parse_sddl(text) == data


@given(EXPRESSIONS)
def test_conditions(tokens: tuple[Token, ...]) -> None:
    data = encode_condition(tokens)
    assert encode_condition(decode_condition(data)) == data
    descriptor = with_data(AceType.ACCESS_ALLOWED_CALLBACK, data)
    assert parse_sddl(format_sddl(descriptor)) == descriptor


@given(ATTRIBUTES)
def test_resource_attributes(attribute: ResourceAttribute) -> None:
    data = attribute.to_bytes()
    assert ResourceAttribute.from_bytes(data).to_bytes() == data
    descriptor = with_data(AceType.SYSTEM_RESOURCE_ATTRIBUTE, data)
    assert parse_sddl(format_sddl(descriptor)) == descriptor


def with_data(kind: AceType, data: bytes) -> bytes:
    """A descriptor with one entry that has `data` behind its SID."""
    acl = Acl((Ace(kind, 0, 1, Sid(1, (0,)), application_data=data),))
    return SecurityDescriptor(dacl=acl, control=SE_SELF_RELATIVE | SE_DACL_PRESENT).to_bytes()


@given(
    st.sampled_from([AceType.ACCESS_ALLOWED_CALLBACK, AceType.SYSTEM_RESOURCE_ATTRIBUTE]),
    EXPRESSIONS.map(encode_condition) | ATTRIBUTES.map(ResourceAttribute.to_bytes),
    st.lists(st.tuples(st.integers(0, 1 << 16), st.binary(max_size=3)), max_size=3),
)
@example(AceType.ACCESS_ALLOWED_CALLBACK, b"artx\x50\xff\xff\xff\xff", [])
@example(AceType.SYSTEM_RESOURCE_ATTRIBUTE, b"\x10\0\0\0\3\0\0\0\0\0\0\0\xff\xff\xff\xff", [])
def test_changed_data_behind_a_sid(kind: AceType, data: bytes, changes: list[tuple[int, bytes]]) -> None:
    changed = bytearray(data)
    for place, found in changes:
        changed[place % (len(data) + 1) : place % (len(data) + 1) + len(found)] = found
    descriptor = with_data(kind, bytes(changed))
    try:
        shown = format_sddl(descriptor, strict=False)
    except SddlError:
        return
    parse_sddl(shown)
    try:
        text = format_sddl(descriptor)
    except SddlError:
        return
    assert parse_sddl(text) == descriptor


@given(DESCRIPTORS, st.booleans())
def test_inheritance(descriptor: SecurityDescriptor, directory: bool) -> None:
    """Each entry of a child stems from one of its parent; directories below directories all have the same."""
    parent = descriptor.to_bytes()
    try:
        child = inherit(parent, directory=directory)
    except SecurityDescriptorError:
        return
    found = SecurityDescriptor.from_bytes(child)
    assert found.dacl is not None
    assert (found.owner, found.group) == (descriptor.owner, descriptor.group)
    assert descriptor.dacl is not None
    if found.control & SE_DACL_AUTO_INHERITED:
        assert {ace.type for ace in found.dacl.aces} <= {ace.type for ace in descriptor.dacl.aces if ace.flags & 3}
        assert all(ace.flags & 0x10 for ace in found.dacl.aces)
    else:  # nothing is for children: owner and SYSTEM get all
        assert {(ace.type, ace.mask) for ace in found.dacl.aces} == {(AceType.ACCESS_ALLOWED, 0x1F01FF)}
    if directory and found.control & SE_DACL_AUTO_INHERITED:
        try:
            once = inherit(child, directory=True)
        except SecurityDescriptorError:  # too large
            return
        assert inherit(once, directory=True) == once
