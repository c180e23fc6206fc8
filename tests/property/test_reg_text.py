"""The text of .reg files: what is printed is read again as it was; no bytes surprise the parser."""

from __future__ import annotations

import codecs

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from tests.property.test_regf import TREES
from wclayer.errors import InexpressibleError, SpecError
from wclayer.regf.edits import KeyEdits, apply_edits
from wclayer.regf.model import Key, Noted, Value
from wclayer.regf.names import key_order
from wclayer.regf.reg_print import encode_reg, print_edits, print_reg
from wclayer.regf.reg_text import HEADER, parse_reg

PATH = "HKEY_LOCAL_MACHINE\\SOFTWARE"
STRINGS = st.text(st.characters() | st.sampled_from('"\\\r\n\0;,]\ud800\ufeff\u2028\x85'), max_size=12).map(
    lambda text: text.encode("utf-16-le", "surrogatepass")
)


def contents(key: Key) -> dict[str, list[tuple[str, int, bytes]]]:
    """The values of each key, by its path; names differ in more than case."""
    return {path: [(value.name, value.type, value.data) for value in found.values] for path, found in key.walk()}


def below(root: Key) -> Key:
    """What is at PATH."""
    found = root.find(PATH)
    assert found is not None
    return found


def spoken(key: Key) -> bool:
    """Can a .reg file say all of its names?"""
    names = [(name, "\\\r\n\0") for found in list(key.walk())[1:] for name in [found[1].name]]
    names += [(value.name, "\r\n\0") for _, found in key.walk() for value in found.values]
    return not any(char in name for name, bad in names for char in bad)


@given(TREES, STRINGS, st.booleans(), st.sampled_from(["", "\n", "\r\n\t;x"]))
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_what_is_printed_is_read_again(tree: Key, text: bytes, utf8: bool, more: str) -> None:
    added = tuple(Value(f"{kind} {end}", kind, text + bytes(end)) for kind in (1, 2, 7) for end in (0, 2))
    assume(not {value.name for value in tree.values} & {value.name for value in added})
    tree = Key(tree.name, (*tree.values, *added), tree.subkeys)
    left = Noted()
    lines = list(print_reg(tree, PATH, left_out=left))
    assert bool(left.count) == (not spoken(tree))
    assert all(len(line) <= 80 or line[0] != " " for line in lines)
    if left.count:
        with pytest.raises(InexpressibleError):
            list(print_reg(tree, PATH))
        return
    try:
        data = b"".join(encode_reg([*lines, more], utf8=utf8))
    except InexpressibleError:
        assert utf8
        data = b"".join(encode_reg([*lines, more]))
    edits = parse_reg(data, source="x.reg")
    back = below(apply_edits(Key(""), edits, 1))
    assert contents(back) == contents(tree)
    # The same edits printed say the same.
    (root,) = edits.subkeys.values()
    again = parse_reg(b"".join(encode_reg(print_edits(root, root.name))), source="x.reg")
    assert contents(below(apply_edits(Key(""), again, 1))) == contents(tree)


NAMES = st.sampled_from(["a", "A", "b", "ä", "C:\\x", "", 'q"'])
VALUES = st.builds(
    Value, NAMES, st.sampled_from([0, 1, 3, 4, 7, 99]), st.sampled_from([b"", b"a\0\0\0", bytes(60), b"x"])
)
CHANGES = st.lists(
    st.tuples(st.lists(st.sampled_from(["k", "K", "l", "m"]), min_size=1, max_size=3), st.none() | st.lists(VALUES)),
    max_size=8,
)


def lines_of(changes: list[tuple[list[str], list[Value] | None]]) -> str:
    """A .reg file of them, each in its turn: None deletes the key; a type of 0, the value."""
    text = f"{HEADER}\n"
    for names, values in changes:
        path = "\\".join(["HKLM", *names])
        text += f"[-{path}]\n" if values is None else f"[{path}]\n"
        for value in values or ():
            name = value.name.replace("\\", "\\\\").replace('"', '\\"')
            data = "-" if value.type == 0 else f"hex({value.type:x}):{value.data.hex(',')}"
            text += f'"{name}"={data}\n'
    return text


def model(
    there: dict[str, dict[str, tuple[int, bytes]]], changes: list[tuple[list[str], list[Value] | None]]
) -> dict[str, dict[str, tuple[int, bytes]]]:
    """What Windows makes of it, one line after the other: keys by their paths, all in upper case."""
    keys = {path: dict(values) for path, values in there.items()}
    for names, values in changes:
        path = "\\".join(names).upper()
        if values is None:
            keys = {other: kept for other, kept in keys.items() if not f"{other}\\".startswith(f"{path}\\")}
            continue
        for depth in range(len(names) + 1):
            keys.setdefault("\\".join(names[:depth]).upper(), {})
        for value in values:
            if value.type == 0:
                keys[path].pop(value.name.upper(), None)
            else:
                keys[path][value.name.upper()] = value.type, value.data
    return keys


def plain(key: Key) -> dict[str, dict[str, tuple[int, bytes]]]:
    return {
        path.upper(): {value.name.upper(): (value.type, value.data) for value in found.values}
        for path, found in key.walk()
    }


@given(CHANGES, CHANGES)
def test_lines_take_effect_one_after_the_other(
    before: list[tuple[list[str], list[Value] | None]], after: list[tuple[list[str], list[Value] | None]]
) -> None:
    def machine(text: str) -> KeyEdits:
        edits = parse_reg(text.encode(), source="x.reg")
        return edits.subkeys.get(key_order("HKEY_LOCAL_MACHINE"), KeyEdits())

    first = apply_edits(Key(""), machine(lines_of(before)), 1)
    wanted = model({"": {}}, before)
    assert plain(first) == wanted
    edits = machine(lines_of(after))
    wanted = model(wanted, after)
    assert plain(apply_edits(first, edits, 2)) == wanted
    printed = b"".join(encode_reg(print_edits(edits, "HKLM")))
    assert plain(apply_edits(first, machine(printed.decode("utf-16")), 2)) == wanted


@given(
    st.lists(
        st.sampled_from(
            [*'[]-\\"@=;#,\r\n \t:()0aX\0é', "HKLM", "hex", "dword:", "\\\n", '"a"=', "\n[HKLM\\K]\n", "01,"]
        )
    ),
    st.sampled_from(["utf-8", "utf-16-le"]),
    st.binary(max_size=3),
)
def test_no_text_surprises_the_parser(parts: list[str], encoding: str, end: bytes) -> None:
    mark = codecs.BOM_UTF16_LE if encoding == "utf-16-le" else b""
    data = mark + f"{HEADER}\n[HKLM\\K]\n{''.join(parts)}".encode(encoding) + end
    try:
        edits = parse_reg(data, source="x.reg")
    except SpecError as error:
        assert error.message.startswith("line ")  # noqa: PT017 (it may not be raised)
        return
    apply_edits(Key(""), edits, 1)


@given(st.binary(max_size=60))
def test_no_bytes_surprise_the_parser(data: bytes) -> None:
    with pytest.raises(SpecError):
        parse_reg(data, source="x.reg")
