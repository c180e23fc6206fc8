"""Conditions of callback ACEs as text ([MS-DTYP] 2.5.1.1), both ways; their binary form is in `conditions`.

    (@User.Title == "PM" && (@User.Division Any_of {"Finance", "Sales"} || !(Member_of {SID(BA)})))

! binds before &&, && before ||, and equal operators from left to right. Both ways are loops,
not recursion, so deep nesting costs no stack; the limit is the 64 KiB of an ACE.

Where the grammar leaves room:

- Operators, @User, @Device, @Resource and SID are in any case, as strings in ABNF are.
- Parentheses may be around any operand, and ! may be before one without them. Printed, the
  operands of !, && and || have them, as Windows prints them.
- <, <=, > and >= take lists too (AppLocker writes them), Member_of and its kin any value.
- %XXXX is a UTF-16 unit in names with @, and has no meaning in strings.
- An integer has 64 bits, and keeps its sign and base; without a sign the highest bit may be
  set, too. 0 is decimal, 00 octal.
"""

from __future__ import annotations

import re
from typing import Final, TypeAlias

from ..errors import SddlError, SecurityDescriptorError
from .conditions import (
    INT64,
    SIGNATURE,
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
    encode_token,
)
from .sddl_literals import (
    MORE_NAME_CHARACTERS,
    NAME_CHARACTERS,
    escaped_name,
    format_octets,
    format_sid,
    format_string,
    parse_enclosed_sid,
    parse_octets,
    parse_string,
    unescaped_name,
)
from .sddl_scan import Scanner, sddl_error
from .security import Sid

__all__ = ["format_condition", "parse_condition"]

_RELATIONS: Final = {
    "==": Operator.EQUAL,
    "!=": Operator.NOT_EQUAL,
    "<": Operator.LESS,
    "<=": Operator.LESS_OR_EQUAL,
    ">": Operator.GREATER,
    ">=": Operator.GREATER_OR_EQUAL,
    "Contains": Operator.CONTAINS,
    "Any_of": Operator.ANY_OF,
    "Not_Contains": Operator.NOT_CONTAINS,
    "Not_Any_of": Operator.NOT_ANY_OF,
}
_EXISTENCE: Final = {"Exists": Operator.EXISTS, "Not_Exists": Operator.NOT_EXISTS}
_MEMBERSHIP: Final = {
    "Member_of": Operator.MEMBER_OF,
    "Device_Member_of": Operator.DEVICE_MEMBER_OF,
    "Member_of_any": Operator.MEMBER_OF_ANY,
    "Device_Member_of_any": Operator.DEVICE_MEMBER_OF_ANY,
    "Not_Member_of": Operator.NOT_MEMBER_OF,
    "Not_Device_Member_of": Operator.NOT_DEVICE_MEMBER_OF,
    "Not_Member_of_any": Operator.NOT_MEMBER_OF_ANY,
    "Not_Device_Member_of_any": Operator.NOT_DEVICE_MEMBER_OF_ANY,
}
_NAMES: Final = {code: name for table in (_RELATIONS, _EXISTENCE, _MEMBERSHIP) for name, code in table.items()}
_BY_NAME: Final = {name.lower(): code for code, name in _NAMES.items()}
_PREFIXES: Final = frozenset((*_EXISTENCE.values(), *_MEMBERSHIP.values()))
_CONNECTIVES: Final = {"&&": Operator.AND, "||": Operator.OR}
_BINDING: Final = {Operator.OR: 1, Operator.AND: 2, Operator.NOT: 3}
_KINDS: Final = {
    "USER": AttributeKind.USER,
    "DEVICE": AttributeKind.DEVICE,
    "RESOURCE": AttributeKind.RESOURCE,
}
_KIND_NAMES: Final = {kind: name for name, kind in _KINDS.items()}

_PREFIXED: Final = re.compile(
    rf"@(user|device|resource)\.((?:[{MORE_NAME_CHARACTERS}]|%[0-9a-f]{{4}})+)", re.ASCII | re.IGNORECASE
)
_LOCAL: Final = re.compile(rf"[{NAME_CHARACTERS}][{NAME_CHARACTERS}@]*")
_RELATION: Final = re.compile(
    rf"==|!=|<=|>=|<|>|(?:not_)?(?:contains|any_of)(?![{NAME_CHARACTERS}])", re.ASCII | re.IGNORECASE
)
_CONNECTIVE: Final = re.compile(r"&&|\|\|")
_INTEGER: Final = re.compile(rf"([+-]?)(?:0[xX]([0-9a-fA-F]+)|(0[0-7]+)|([1-9][0-9]*|0))(?![{NAME_CHARACTERS}])")
_LONGEST_INTEGER: Final = 64  # digits; 64 bits in octal have 22
_LARGEST: Final = (1 << 63) - 1
_ALL_BITS: Final = (1 << 64) - 1
_MAX_BYTES: Final = 0xFFFF  # of an ACE

_BASES: Final = {Base.OCTAL: "0", Base.DECIMAL: "", Base.HEXADECIMAL: "0x"}
_FORMATS: Final = {Base.OCTAL: "o", Base.DECIMAL: "d", Base.HEXADECIMAL: "x"}
_SIGNS: Final = {Sign.PLUS: "+", Sign.MINUS: "-", Sign.NONE: ""}


# --- Text to tokens ------------------------------------------------------------------


def parse_condition(scan: Scanner) -> bytes:
    """Parse the condition at the position, from its ( to its ), into application data. Raises SddlError."""
    return _Reader(scan).condition()


class _Reader:
    """Dijkstra's shunting yard: the tokens so far, and the operators and parentheses that wait for operands."""

    __slots__ = ("groups", "last", "scan", "size", "start", "tokens", "waiting")

    def __init__(self, scan: Scanner) -> None:
        self.scan = scan
        self.start = scan.position
        self.tokens: list[Token] = []
        self.size = len(SIGNATURE)
        self.waiting: list[Operator | None] = []  # None is a parenthesis
        self.groups: list[int] = []  # of each parenthesis, the number of tokens before it
        self.last = 0  # the number of tokens before the operand that has just ended

    def condition(self) -> bytes:
        scan = self.scan
        if not scan.take("("):
            raise scan.unexpected("not a condition", "(")
        self.open()
        while self.waiting:
            self.operand()
            self.after_operand()
        return encode_condition(self.tokens)

    def open(self) -> None:
        self.waiting.append(None)
        self.groups.append(len(self.tokens))

    def add(self, token: Token) -> None:
        self.size += len(encode_token(token))
        if self.size > _MAX_BYTES:
            raise sddl_error("condition too large", self.start, f"at most {_MAX_BYTES} bytes", f"over {_MAX_BYTES}")
        self.tokens.append(token)

    def operand(self) -> None:
        scan = self.scan
        while True:
            if scan.take("("):
                self.open()
            elif scan.take("!"):
                self.waiting.append(Operator.NOT)
            else:
                break
        self.last = len(self.tokens)
        if (attribute := self.prefixed()) is not None:
            self.add(attribute)
            return
        found = scan.skip(_LOCAL)
        if found is None:
            raise scan.unexpected("not a term of a condition", "an attribute, Exists, Member_of, ! or (")
        operator = _BY_NAME.get(found[0].lower())
        if operator not in _PREFIXES:
            self.add(Attribute(AttributeKind.LOCAL, found[0]))
        elif operator in _MEMBERSHIP.values():
            self.add(self.value())  # not only SIDs: Windows takes numbers and texts too
            self.add(operator)
        else:
            self.add(self.attribute())
            self.add(operator)

    def after_operand(self) -> None:
        """Parse all up to the next operand, or to the end of the condition."""
        scan = self.scan
        while True:
            scan.skip_blanks()
            if len(self.tokens) == self.last + 1 and isinstance(self.tokens[-1], Attribute):
                found = scan.skip(_RELATION)
                if found is not None:
                    scan.skip_blanks()
                    self.add(self.prefixed() or self.value())
                    self.add(_BY_NAME[found[0].lower()])
                    continue
            found = scan.skip(_CONNECTIVE)
            if found is not None:
                operator = _CONNECTIVES[found[0]]
                self.apply(_BINDING[operator])
                self.waiting.append(operator)
                return
            if not scan.take(")"):
                raise scan.unexpected("condition without its end", "an operator or )")
            self.apply(0)
            self.waiting.pop()
            self.last = self.groups.pop()
            if not self.waiting:
                return

    def apply(self, binding: int) -> None:
        """Add the waiting operators that bind at least as strongly: their operands are complete."""
        while (operator := self.waiting[-1]) is not None and _BINDING[operator] >= binding:
            self.waiting.pop()
            self.add(operator)

    def prefixed(self) -> Attribute | None:
        found = self.scan.skip(_PREFIXED)
        return None if found is None else Attribute(_KINDS[found[1].upper()], unescaped_name(found[2]))

    def attribute(self) -> Attribute:
        """Parse the attribute after Exists, perhaps in parentheses."""
        scan = self.scan
        depth = self.parentheses()
        attribute = self.prefixed()
        if attribute is None:
            found = _LOCAL.match(scan.text, scan.position)
            if found is None or _BY_NAME.get(found[0].lower()) in _PREFIXES:
                raise scan.unexpected("not an attribute", "@User., @Device. or @Resource. and a name, or a name")
            scan.position = found.end()
            attribute = Attribute(AttributeKind.LOCAL, found[0])
        self.close(depth)
        return attribute

    def parentheses(self) -> int:
        depth = 0
        self.scan.skip_blanks()
        while self.scan.take("("):
            depth += 1
        return depth

    def close(self, depth: int) -> None:
        for _ in range(depth):
            if not self.scan.take(")"):
                raise self.scan.unexpected("operand without its end", ")")

    def value(self) -> Literal:
        """Parse a literal or a list of literals, perhaps in parentheses."""
        scan = self.scan
        depth = self.parentheses()
        value: Literal
        if scan.take("{"):
            values: list[Integer | str | bytes | Sid] = []
            size = 0
            closed = scan.take("}")
            while not closed:
                values.append(self.scalar())
                size += len(encode_token(values[-1]))
                if size > _MAX_BYTES:
                    raise sddl_error("list too large", self.start, f"at most {_MAX_BYTES} bytes", f"{size} or more")
                closed = scan.take("}")
                if not closed and not scan.take(","):
                    raise scan.unexpected("list without its end", ", or }")
            value = Composite(tuple(values))
        else:
            value = self.scalar()
        self.close(depth)
        return value

    def scalar(self) -> Integer | str | bytes | Sid:
        scan = self.scan
        for read in (parse_string, parse_octets, _parse_integer, parse_enclosed_sid):
            value = read(scan)
            if value is not None:
                return value
        raise scan.unexpected("not a value", 'a number, "a string", #octets, SID(...)')


def _parse_integer(scan: Scanner) -> Integer | None:
    start = scan.position
    found = scan.skip(_INTEGER)
    if found is None:
        return None
    sign, hexadecimal, octal, decimal = found.groups()
    digits = hexadecimal or octal or decimal
    base = Base.HEXADECIMAL if hexadecimal else Base.OCTAL if octal else Base.DECIMAL
    if len(digits) <= _LONGEST_INTEGER:
        number = int(digits, {Base.HEXADECIMAL: 16, Base.OCTAL: 8, Base.DECIMAL: 10}[base])
        if not sign and number <= _ALL_BITS:  # with the highest bit it is a negative number's bits, as for Windows
            return Integer(number if number <= _LARGEST else number - _ALL_BITS - 1, Sign.NONE, base)
        if number <= _LARGEST + (sign == "-"):
            return Integer(-number if sign == "-" else number, Sign.MINUS if sign == "-" else Sign.PLUS, base)
    raise sddl_error("number too large", start, "64 bits", found[0][:40])


# --- Tokens to text ------------------------------------------------------------------

# Nested pieces of text, which are joined once: to join at each operator would take quadratic time.
_Pieces: TypeAlias = "str | tuple[_Pieces, ...]"


def format_condition(data: bytes, names: dict[Sid, str], *, strict: bool = True) -> str:
    """Print the condition in application data, with its parentheses; `names` are aliases of SIDs.

    Raises SddlError for a malformed condition, and for one that SDDL cannot express: strict, also for integers of
    other widths, or with a sign that contradicts them, and for more padding.
    """
    try:
        tokens = decode_condition(data)
    except SecurityDescriptorError as error:
        raise sddl_error(error.message, error.offset, error.expected, error.got) from None
    if strict and encode_condition(tokens) != data:
        length = len(encode_condition(tokens))
        raise sddl_error("padding of a condition, which SDDL cannot express", None, f"{length} bytes", len(data))
    return f"({_Writer(names, strict).text(tokens)})"


class _Writer:
    """A stack of expressions: the token if it is a single one, and the text."""

    __slots__ = ("names", "stack", "strict")

    def __init__(self, names: dict[Sid, str], strict: bool) -> None:
        self.names = names
        self.strict = strict
        self.stack: list[tuple[Token | None, _Pieces]] = []

    def text(self, tokens: tuple[Token, ...]) -> str:
        for token in tokens:
            if not isinstance(token, Operator):
                self.stack.append((token, self.operand(token)))
            elif token in _BINDING:
                self.logical(token)
            else:
                self.term(token)
        if len(self.stack) != 1:
            raise _cannot_say("no single expression", "one expression", len(self.stack))
        return _joined(self.expression())

    def pop(self) -> tuple[Token | None, _Pieces]:
        if not self.stack:
            raise _cannot_say("operator without its operands", "operands before it", "nothing")
        return self.stack.pop()

    def expression(self) -> _Pieces:
        """Pop what is true or false: an attribute, or the result of an operator."""
        token, pieces = self.pop()
        if token is not None and not isinstance(token, Attribute):
            raise _cannot_say("value in place of a condition", "an attribute or an operator", "a value")
        return pieces

    def logical(self, operator: Operator) -> None:
        """Both operands of && and || get parentheses, as Windows prints them."""
        right = self.expression()
        if operator is Operator.NOT:
            self.stack.append((None, ("!(", right, ")")))
            return
        left = self.expression()
        middle = ") && (" if operator is Operator.AND else ") || ("
        self.stack.append((None, ("(", left, middle, right, ")")))

    def term(self, operator: Operator) -> None:
        operand, pieces = self.pop()
        name = _NAMES[operator]
        if operator in _MEMBERSHIP.values():
            if operand is None or isinstance(operand, Attribute):
                raise _cannot_say(f"{name} with something other than a value", "a value", "another operand")
            self.stack.append((None, (name, " ", pieces)))
            return
        if operator not in _PREFIXES:
            if operand is None or (isinstance(operand, Attribute) and operand.kind is AttributeKind.LOCAL):
                raise _cannot_say(
                    f"{name} with something other than a value", "a value, or an attribute with @", "another"
                )
            left, left_pieces = self.pop()
            self.stack.append((None, (left_pieces, f" {name} ", pieces)))
            operand = left
        else:
            self.stack.append((None, (name, " ", pieces)))
        if not isinstance(operand, Attribute):
            raise _cannot_say(f"{name} with something other than an attribute", "an attribute", "another operand")

    def operand(self, token: Literal | Attribute) -> str:
        if isinstance(token, Attribute):
            return _format_attribute(token)
        if isinstance(token, Composite):
            return f"{{{', '.join(map(self.literal, token.values))}}}"
        return self.literal(token)

    def literal(self, value: Integer | str | bytes | Sid) -> str:
        match value:
            case Integer():
                return self.integer(value)
            case str():
                return format_string(value)
            case bytes():
                return format_octets(value)
            case Sid():
                return f"SID({format_sid(value, self.names)})"

    def integer(self, number: Integer) -> str:
        try:
            sign, base = Sign(number.sign), Base(number.base)
            fits = number.value <= 0 if sign is Sign.MINUS else number.value >= 0 or sign is Sign.NONE
            sayable = number.code == INT64 and fits
        except ValueError:
            sayable = False
        if sayable:
            value = number.value & _ALL_BITS if sign is Sign.NONE else abs(number.value)
            return f"{_SIGNS[sign]}{_BASES[base]}{value:{_FORMATS[base]}}"
        if self.strict:
            got = f"{number.value}, {number.code}, {number.sign}, {number.base}"
            raise _cannot_say("integer", "64 bits, and a sign and base that fit", got)
        return str(number.value)


def _format_attribute(attribute: Attribute) -> str:
    name = attribute.name
    if attribute.kind is not AttributeKind.LOCAL:
        if name:
            return f"@{_KIND_NAMES[attribute.kind]}.{escaped_name(name)}"
    elif _LOCAL.fullmatch(name) and _BY_NAME.get(name.lower()) not in _PREFIXES:
        return name
    raise _cannot_say("name of an attribute", "letters, digits, :, ., / and _", name[:80])


def _joined(pieces: _Pieces) -> str:
    found: list[str] = []
    left = [pieces]
    while left:
        piece = left.pop()
        if isinstance(piece, str):
            found.append(piece)
        else:
            left.extend(reversed(piece))
    return "".join(found)


def _cannot_say(what: str, expected: object, got: object) -> SddlError:
    return sddl_error(f"{what}, which SDDL cannot express", None, expected, got)
