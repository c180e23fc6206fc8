"""Conditions of callback ACEs: text, tokens, bytes ([MS-DTYP] 2.4.4.17 and 2.5.1.1), and what none of them is."""

from __future__ import annotations

import pytest

from wclayer.errors import SddlError, SecurityDescriptorError
from wclayer.win32.conditions import (
    Attribute,
    AttributeKind,
    Composite,
    Integer,
    Operator,
    Token,
    decode_condition,
    encode_condition,
)
from wclayer.win32.sddl import format_sddl, parse_sddl
from wclayer.win32.security import SE_DACL_PRESENT, SE_SELF_RELATIVE, Ace, AceType, Acl, SecurityDescriptor, Sid

PREFIX = "D:(XA;;FX;;;WD;"
EVERYONE = Sid(1, (0,))
ADMINISTRATORS = Sid(5, (32, 544))


def local(name: str) -> Attribute:
    return Attribute(AttributeKind.LOCAL, name)


def user(name: str) -> Attribute:
    return Attribute(AttributeKind.USER, name)


def condition(text: str) -> bytes:
    """The application data that a condition makes."""
    dacl = SecurityDescriptor.from_bytes(parse_sddl(f"{PREFIX}{text})")).dacl
    assert dacl is not None
    return dacl.aces[0].application_data


def descriptor(data: bytes) -> bytes:
    ace = Ace(AceType.ACCESS_ALLOWED_CALLBACK, 0, 0x1200A0, EVERYONE, application_data=data)
    return SecurityDescriptor(dacl=Acl((ace,)), control=SE_SELF_RELATIVE | SE_DACL_PRESENT).to_bytes()


def printed(data: bytes, *, strict: bool = True) -> str:
    return format_sddl(descriptor(data), strict=strict)[len(PREFIX) : -1]


def tokens(text: str) -> tuple[Token, ...]:
    return decode_condition(condition(text))


def refused(text: str) -> SddlError:
    with pytest.raises(SddlError) as caught:
        condition(text)
    error = caught.value
    assert error.offset is not None
    assert None not in (error.expected, error.got)
    return error


@pytest.mark.parametrize(
    ("text", "data"),
    [
        (  # expressions of [MS-DTYP], by its tables of tokens
            '(Title=="VP")',
            "61727478 f80a000000 5400690074006c006500 1004000000 56005000 80 000000",
        ),
        (
            "(@User.Project Any_of 1)",
            "61727478 f90e000000 500072006f006a00650063007400 04 0100000000000000 03 02 88 00",
        ),
        (
            "(@User.smartcard==1 || @Device.managed==1)",
            (
                "61727478 f912000000 73006d0061007200740063006100720064 00 04 0100000000000000 03 02 80"
                "fb0e000000 6d0061006e006100670065006400 04 0100000000000000 03 02 80 a1"
            ),
        ),
        (
            "(@User.Project Any_of @Resource.Project)",
            "61727478 f90e000000 500072006f006a00650063007400 fa0e000000 500072006f006a00650063007400 88 00",
        ),
        (
            "(Member_of{SID(BA)})",
            "61727478 5015000000 5110000000 01020000000000052000000020020000 89 00",
        ),
        (  # that of "ACE Strings"
            "(OctetStringType==#1#2#3##)",
            (
                "61727478 f81e000000 4f00630074006500740053007400720069006e0067005400790070006500"
                "1804000000 01020300 80 000000"
            ),
        ),
        ("(!(a))", "61727478 f802000000 6100 a2"),
    ],
)
def test_bytes(text: str, data: str) -> None:
    made = bytes.fromhex(data.replace(" ", ""))
    assert condition(text) == made + bytes(-len(made) % 4)
    assert condition(printed(condition(text))) == condition(text)


@pytest.mark.parametrize(
    "text",
    [  # like those of [MS-DTYP] and Microsoft's pages on conditional ACEs, in the form that is printed
        '((@USER.Title == "PM") && ((@USER.Division == "Finance") || (@USER.Division == "Sales")))',
        "(@USER.Project Any_of @RESOURCE.Project)",
        "((Member_of {SID(S-1-5-21-1-2-3-1001), SID(BO)}) && (@DEVICE.Bitlocker))",
        "((@USER.clearanceLevel >= @RESOURCE.requiredClearance) || (Member_of {SID(BA)}))",
        '((Exists WIN://SYSAPPID) && (WIN://SYSAPPID Contains "Microsoft.Windows"))',
        '(@RESOURCE.Department_MS Any_of {"Finance", "HR"})',
        "((Device_Member_of_any {SID(BA)}) || (Not_Member_of SID(SY)))",
        "(Member_of {1, 2, 3})",
        "(Member_of 3)",
        "((Not_Exists @USER.ad://ext/country) || (@USER.country Not_Contains {1, 2}))",
        "((((a) && (b)) && (c)) || ((d) && (!((e) || (f)))))",
        "(((a) && ((b) && (c))) || ((d) || (e)))",
        "((!(!(a))) && (!(b == 1)))",
        "(a == {})",
        '(a == "!\'()%;é\U0001f600")',
        "(@USER.a%0020b%00e9%d83d%de00%d800 < @DEVICE.x#$'*+;?@[\\]^`{}~-)",
        "(a == {+1, -0x1f, 017, 00, 0, 0x0, -0, -9223372036854775808, 9223372036854775807})",
        "((a == #) && (b == #00ff))",
        "(@DEVICE.bb == 0xffffffffffffffff)",
    ],
)
def test_texts_that_stay(text: str) -> None:
    assert printed(condition(text)) == text


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("( ( a ) )", "(a)"),
        ("(a&&b||c)", "((a && b) || c)"),
        ("(a||b&&c)", "(a || (b && c))"),
        ("(a||b||c)", "((a || b) || c)"),
        ("(!a && b)", "((!(a)) && b)"),
        ("(!a == 1)", "(!(a == 1))"),
        ("(! Member_of{SID(BA)})", "(!(Member_of {SID(BA)}))"),
        ("(exists a && not_exists b)", "(Exists a && Not_Exists b)"),
        ("(member_OF sid(BA))", "(Member_of SID(BA))"),
        ("(@user.x any_of @rESOURCE.x)", "(@USER.x Any_of @RESOURCE.x)"),
        (
            '((Exists APPID://PATH) && ((APPID://PATH) Contains ({"%WINDIR%\\*"})))',
            '(Exists APPID://PATH && APPID://PATH Contains {"%WINDIR%\\*"})',
        ),
        ("(Exists ( ( a ) ))", "(Exists a)"),
        ("(a==#123)", "(a == #0123)"),
        ("(@User.%0041%D83D%DE00==1)", "(@User.A%d83d%de00 == 1)"),
        ("(Contains Contains 1)", "(Contains Contains 1)"),
        ("(a == 0X1F)", "(a == 0x1f)"),
    ],
)
def test_texts_that_mean_the_same(text: str, same: str) -> None:
    assert condition(text) == condition(same)


def test_every_operator() -> None:
    for operator in Operator:
        name = operator.name
        if "MEMBER" in name:
            made: tuple[Token, ...] = (ADMINISTRATORS, operator)
        elif operator in (Operator.AND, Operator.OR):
            made = (local("a"), local("b"), operator)
        elif "EXISTS" in name or operator is Operator.NOT:
            made = (local("a"), operator)
        else:
            made = (user("a"), Composite((Integer(1), "x", b"\1", ADMINISTRATORS)), operator)
        data = encode_condition(made)
        assert decode_condition(data) == made
        assert condition(printed(data)) == data


@pytest.mark.parametrize(
    ("text", "code"),
    [  # the tables of [MS-DTYP] 2.4.4.17.6 and 2.4.4.17.7
        ("(a == 1)", 0x80),
        ("(a != 1)", 0x81),
        ("(a < 1)", 0x82),
        ("(a <= 1)", 0x83),
        ("(a > 1)", 0x84),
        ("(a >= 1)", 0x85),
        ("(a Contains 1)", 0x86),
        ("(Exists a)", 0x87),
        ("(a Any_of 1)", 0x88),
        ("(Member_of SID(BA))", 0x89),
        ("(Device_Member_of SID(BA))", 0x8A),
        ("(Member_of_Any SID(BA))", 0x8B),
        ("(Device_Member_of_Any SID(BA))", 0x8C),
        ("(Not_Exists a)", 0x8D),
        ("(a Not_Contains 1)", 0x8E),
        ("(a Not_Any_of 1)", 0x8F),
        ("(Not_Member_of SID(BA))", 0x90),
        ("(Not_Device_Member_of SID(BA))", 0x91),
        ("(Not_Member_of_Any SID(BA))", 0x92),
        ("(Not_Device_Member_of_Any SID(BA))", 0x93),
        ("(a && b)", 0xA0),
        ("(a || b)", 0xA1),
        ("(!(a))", 0xA2),
    ],
)
def test_the_code_of_each_operator(text: str, code: int) -> None:
    assert condition(text).rstrip(b"\0")[-1] == code


@pytest.mark.parametrize(
    ("text", "offset"),
    [
        ("()", 1),
        ("(a", 3),
        ("(a b)", 3),
        ("(a &&)", 5),
        ("(a & b)", 3),
        ("(&& a)", 1),
        ("(a == )", 6),
        ("(a == b)", 6),  # an attribute on the right has a prefix
        ("(a == 1 == 2)", 8),
        ("(1 == 1 == 1)", 8),
        ("((a == 1) == 1)", 10),
        ("(a == {1, {2}})", 10),
        ("(a == {1 2})", 9),
        ("(a == {1,})", 9),
        ("(a == {@User.b})", 7),
        ('(a == "x)', 6),
        ('(a == "\0")', 6),
        ('(a == "\ud800")', 6),
        ("(a == +9223372036854775808)", 6),
        ("(a == 18446744073709551616)", 6),
        ("(a == -9223372036854775809)", 6),
        ("(a == 08)", 6),
        ("(a == 1x)", 6),
        ("(a == 0x)", 6),
        ("(a == SID(ZZ))", 10),
        ("(a == SID(BA)", 14),
        ("(a == SID BA)", 6),
        ("(Exists)", 7),
        ("(Exists 1 == 1)", 10),
        ("(Exists Exists)", 8),
        ("(Exists Member_of {SID(BA)})", 8),
        ("(Member_of a)", 11),
        ("(@User. == 1)", 1),
        ("(@Nobody.x == 1)", 1),
        ("(@User.a%00 == 1)", 8),
        ("(a%0041 == 1)", 2),
        ('("x" == a)', 1),
        ("(!)", 2),
        ("(a == !b)", 6),
    ],
)
def test_malformed(text: str, offset: int) -> None:
    assert refused(text).offset == len(PREFIX) + offset


@pytest.mark.parametrize(
    "text",
    [
        "(" + "(" * 50_000,
        "(" + "!" * 50_000,
        "(" + "a||" * 50_000 + "a)",
        "(a == {" + "1," * 50_000 + "1})",
        f'(a=="{"x" * 40_000}")',
    ],
)
def test_long_hostile_texts(text: str) -> None:
    refused(text)


@pytest.mark.parametrize(
    "text", ["(" * 2000 + "a" + ")" * 2000, "(" + "!" * 5000 + "a)", "(" + "(a||" * 4000 + "a" + ")" * 4001]
)
def test_deep_conditions(text: str) -> None:
    data = condition(text)
    assert condition(printed(data)) == data


class TestBytesThatAreNoCondition:
    @pytest.mark.parametrize(
        ("data", "offset"),
        [
            ("", 0),
            ("61727479", 0),
            ("61727478 05", 4),
            ("61727478 f8", 4),
            ("61727478 f8 03000000 610061", 4),
            ("61727478 f8 ffffffff 6100", 4),
            ("61727478 04 0100000000000000 03", 4),
            ("61727478 51 04000000 01010000", 4),
            ("61727478 50 05000000 50 00000000", 9),
            ("61727478 50 06000000 10 02000000 6100", 9),
            ("61727478 f802000000 6100 00 a2", 11),
        ],
    )
    def test_undecodable(self, data: str, offset: int) -> None:
        raw = bytes.fromhex(data)
        with pytest.raises(SecurityDescriptorError) as caught:
            decode_condition(raw)
        assert caught.value.offset == offset
        for strict in (True, False):
            with pytest.raises(SddlError) as shown:
                printed(raw, strict=strict)
            assert shown.value.offset == offset

    @pytest.mark.parametrize(
        ("inside", "expected", "got"),
        [
            ("04 0100000000000000 03", "11 bytes", "10"),
            ("04", "11 bytes", "1"),
            ("10 020000", "5 bytes", "4"),
            ("18", "5 bytes", "1"),
            ("10 02000000 61", "at most 1 bytes", "2"),
            ("18 01000000", "at most 0 bytes", "1"),
            ("51 0c000000 010100000000000100", "at most 9 bytes", "12"),
        ],
    )
    def test_a_value_ends_inside_its_composite(self, inside: str, expected: str, got: str) -> None:
        """What follows the composite would complete the value; a value before the one that is cut off is well."""
        composite = bytes.fromhex("0405000000000000000302" + inside)
        data = b"artx\x50" + len(composite).to_bytes(4, "little") + composite + b"\2\0\0\0" * 4 + b"\x80"
        with pytest.raises(SecurityDescriptorError, match="cut off") as caught:
            decode_condition(data)
        assert caught.value.offset == 9 + 11
        assert (caught.value.expected, str(caught.value.got)) == (expected, got)

    @pytest.mark.parametrize(
        "made",
        [
            (),
            (local("a"), local("b")),
            (Operator.NOT,),
            (local("a"), Operator.AND),
            (Integer(1),),
            ("x", Operator.NOT),
            (Integer(1), local("a"), Operator.OR),
            (Integer(1), Integer(1), Operator.EQUAL),
            (local("a"), local("b"), Operator.EQUAL),
            (local("a"), local("b"), Operator.EXISTS, Operator.EQUAL),
            (local("a"), Operator.EXISTS, Integer(1), Operator.EQUAL),
            (local("a"), Operator.MEMBER_OF),
            (Integer(1), Operator.EXISTS),
            (local("a"), Operator.NOT, Operator.EXISTS),
            (local("a b"),),
            (local(""),),
            (local("exists"),),
            (user(""),),
            (user("a"), 'a"b', Operator.EQUAL),
            (user("a"), "a\0b", Operator.EQUAL),
            (user("a"), "\ud800", Operator.EQUAL),
            (user("a"), Sid(5), Operator.EQUAL),
        ],
    )
    def test_unprintable(self, made: tuple[Token, ...]) -> None:
        data = encode_condition(made)
        assert decode_condition(data) == made
        for strict in (True, False):
            with pytest.raises(SddlError) as caught:
                printed(data, strict=strict)
            assert None not in (caught.value.expected, caught.value.got)

    @pytest.mark.parametrize(
        ("number", "shown"),
        [
            (Integer(5, code=1), "5"),
            (Integer(5, sign=2), "5"),
            (Integer(-5, sign=1), "-5"),
            (Integer(5, sign=0), "5"),
            (Integer(5, base=9), "5"),
        ],
    )
    def test_integers_that_the_text_only_approximates(self, number: Integer, shown: str) -> None:
        data = encode_condition((user("a"), number, Operator.EQUAL))
        with pytest.raises(SddlError):
            printed(data)
        assert printed(data, strict=False) == f"(@USER.a == {shown})"

    def test_more_padding(self) -> None:
        data = condition("(a)") + bytes(4)
        with pytest.raises(SddlError):
            printed(data)
        assert printed(data, strict=False) == "(a)"

    def test_numbers_that_no_token_holds(self) -> None:
        with pytest.raises(SecurityDescriptorError):
            encode_condition((user("a"), Integer(1 << 63), Operator.EQUAL))
