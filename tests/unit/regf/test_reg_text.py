"""The text of .reg files: what regedit reads is read, and what it leaves out without a word is an error with its line.

The cases are those that Wine's tests of regedit and reg.exe (programs/regedit/tests, programs/reg/tests) have found
true on Windows.
"""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from typing import Final

import pytest

from wclayer.errors import InexpressibleError, SpecError, UsageError
from wclayer.regf import reg_text
from wclayer.regf.edits import KeyEdits, apply_edits
from wclayer.regf.model import Key, LayerSemantics, Noted, RegType, Value, dword, sz
from wclayer.regf.names import key_order
from wclayer.regf.reg_print import encode_reg, print_edits, print_reg
from wclayer.regf.reg_text import HEADER, parse_reg

KEY: Final = "HKEY_LOCAL_MACHINE\\SOFTWARE\\K"


def edits(text: str) -> KeyEdits:
    return parse_reg(f"{HEADER}\n\n{text}".encode(), source="x.reg")


def at(path: str, of: KeyEdits) -> KeyEdits:
    for name in path.split("\\"):
        of = of.subkeys[key_order(name)]
    return of


def values(text: str) -> list[tuple[str, int, bytes]]:
    """The values that lines under a key set."""
    key = at(KEY, edits(f"[{KEY}]\n{text}"))
    assert not any(value.tombstone for value in key.values.values())
    return [(value.name, value.type, value.data) for value in key.values.values()]


def utf16(text: str) -> bytes:
    return (text + "\0").encode("utf-16-le", "surrogatepass")


LINE = b"Line \0".decode().encode("utf-16-le")


@pytest.mark.parametrize(
    ("text", "name", "kind", "data"),
    [
        ('"a"="AValue"', "a", 1, utf16("AValue")),
        ('"a"=""', "a", 1, utf16("")),
        ('@="x"', "", 1, utf16("x")),
        ('""="x"', "", 1, utf16("x")),
        ('"With=Equals"="asdf"', "With=Equals", 1, utf16("asdf")),
        (r'"double\"quote"="valid \"or\" not"', 'double"quote', 1, utf16('valid "or" not')),
        (r'"\\foo\\bar"="C:\\x"', r"\foo\bar", 1, utf16(r"C:\x")),
        (r'"a"="\\0\\n"', "a", 1, utf16(r"\0\n")),
        ('"日本"="\U0001f600"', "日本", 1, utf16("\U0001f600")),
        ('"a"="two\nlines"', "a", 1, utf16("two\nlines")),
        ('"a"="three\r\n\r\nlines" ; with a comment', "a", 1, utf16("three\r\n\r\nlines")),
        ('"a"="; no # comment"', "a", 1, utf16("; no # comment")),
        ('"a"="x";comment "=', "a", 1, utf16("x")),
        ('"a"="x"\t\t;comment', "a", 1, utf16("x")),
        ('  \t"a"  = \t "x"  ', "a", 1, utf16("x")),
        ('"a"=dword:00000017', "a", 4, b"\x17\0\0\0"),
        ('"a"=dword:FFfeFdFC', "a", 4, b"\xfc\xfd\xfe\xff"),
        ('"a"=dword:1', "a", 4, b"\1\0\0\0"),
        ('"a"=dword:1234;5678', "a", 4, b"\x34\x12\0\0"),
        ('"a"=hex:aa,BB,cc,11', "a", 3, b"\xaa\xbb\xcc\x11"),
        ('"a"=hex:', "a", 3, b""),
        ('"a"=hex(1):', "a", 1, b""),
        ('"a"=hex(0):1,2,3', "a", 0, b"\1\2\3"),
        ('"a"=hex(2):25,00,41,00,', "a", 2, b"%\0A\0"),
        ('"a"=hex(4):01,02', "a", 4, b"\1\2"),
        ('"a"=hex(b):01,00,00,00,00,00,00,00', "a", 11, b"\1" + bytes(7)),
        ('"a"=hex(7fffffff):56', "a", 0x7FFFFFFF, b"V"),
        ('"a"=hex(FFFFFFFF):56', "a", 0xFFFFFFFF, b"V"),
        ('"a"=hex:11, 22 ,\t33 ;comment', "a", 3, b"\x11\x22\x33"),
        ('"a"=hex:11,22,\\\n  33,\\\r\n44', "a", 3, b"\x11\x22\x33\x44"),
        ('"a"=hex:11,  \\ \t ;comment, 5\n  22', "a", 3, b"\x11\x22"),
        ('"a"=hex:\\\n  11,22', "a", 3, b"\x11\x22"),
        ('"a"=hex:11,\\\n\n \t\n;comment\n  ;comment\\\n  22,\\;#c\n33', "a", 3, b"\x11\x22\x33"),
        ('"a"=hex:1,2,\\\n  a,bb', "a", 3, b"\x01\x02\x0a\xbb"),
        ("@=hex:01", "", 3, b"\1"),
    ],
)
def test_values(text: str, name: str, kind: int, data: bytes) -> None:
    for more in ("", "\n", "\n\n", '\n"z"=dword:0\n'):
        assert values(text + more)[0] == (name, kind, data)


def test_all_that_windows_takes_for_the_end_of_a_line() -> None:
    for end in ("\n", "\r\n", "\r"):
        text = end.join([HEADER, "", f"[{KEY}]", '"a"="x"', '"b"=hex:01,\\', "  02", "", "; c", '"c"=dword:3'])
        for data in (text.encode(), codecs.BOM_UTF8 + text.encode(), codecs.BOM_UTF16_LE + text.encode("utf-16-le")):
            key = at(KEY, parse_reg(data, source="x.reg"))
            assert list(key.values.values()) == [sz("a", "x"), Value("b", 3, b"\1\2"), dword("c", 3)]
        assert parse_reg(text.encode("utf-16-le"), source="x.reg").subkeys  # no mark


def test_a_line_may_end_anywhere_in_what_is_read_at_once() -> None:
    for shift in range(90):
        filler = f";{'x' * (65530 + shift - len(HEADER) - 2)}"
        text = f'{HEADER}\r\n{filler}\r\n[{KEY}]\r\n\r\n"a"="\U0001f600\r\n\r\n"\r\n'
        for data in (text.encode(), codecs.BOM_UTF16_LE + text.encode("utf-16-le")):
            assert at(KEY, parse_reg(data, source="x.reg")).values == {b"\0A": sz("a", "\U0001f600\r\n\r\n")}
        with pytest.raises(SpecError, match=r"^x.reg: line 6:"):
            parse_reg(text.replace('"a"', "\r\n=").encode(), source="x.reg")


def test_unpaired_surrogates_in_utf16() -> None:
    text = f'{HEADER}\n[{KEY}\\\ud800]\n"\udc00"="\ud801"'
    key = at(f"{KEY}\\\ud800", parse_reg(codecs.BOM_UTF16_LE + text.encode("utf-16-le", "surrogatepass"), source="x"))
    assert list(key.values.values()) == [sz("\udc00", "\ud801")]


def test_roots_are_called_by_their_long_names() -> None:
    text = "[hklm\\A]\n[HKEY_local_machine\\B]\n[HKU\\.DEFAULT]\n[HKCR\\C]\n[hkcu]\n[HKCC\\D]\n"
    root = edits(text)
    assert [key.name for key in root.subkeys.values()] == [
        "HKEY_LOCAL_MACHINE",
        "HKEY_USERS",
        "HKEY_CLASSES_ROOT",
        "HKEY_CURRENT_USER",
        "HKEY_CURRENT_CONFIG",
    ]
    assert [key.name for key in at("HKEY_LOCAL_MACHINE", root).subkeys.values()] == ["A", "B"]


def test_a_key_may_have_any_character_in_its_name() -> None:
    key = at(KEY, edits(f'[{KEY}\\a ]\n[{KEY}\\b\t]\n[{KEY}\\c]]\n[{KEY}\\d\\\\]\n[{KEY}\\e/"f]  ; x\n[{KEY}\\[g]\n'))
    assert [sub.name for sub in key.subkeys.values()] == ["a ", "b\t", "c]", "d", 'e/"f', "[g"]
    assert all(sub.make for sub in key.subkeys.values())


def test_keys_on_the_way_are_made_but_not_for_a_deletion() -> None:
    root = edits("[HKLM\\A\\B]\n[-HKLM\\C\\D]\n[-HKLM\\A\\E]\n")
    machine = at("HKEY_LOCAL_MACHINE", root)
    assert machine.make
    assert [(at(path, machine).make, at(path, machine).delete) for path in ("A", "A\\B", "C", "C\\D", "A\\E")] == [
        (True, False),
        (True, False),
        (False, False),
        (False, True),
        (False, True),
    ]


def test_the_order_of_lines_is_that_of_changes() -> None:
    there = Key("", (), (Key("HKEY_LOCAL_MACHINE", (), (Key("A", (sz("old", "x"),), (Key("Sub"),)),)),))

    def applied(text: str) -> Key | None:
        return apply_edits(there, edits(text), 1).find("HKEY_LOCAL_MACHINE\\A")

    anew = applied('[HKLM\\A]\n"gone"="x"\n[HKLM\\A\\Gone]\n[-HKLM\\A]\n[HKLM\\A]\n"new"="y"\n')
    assert anew is not None
    assert (anew.values, anew.subkeys) == ((sz("new", "y"),), ())
    assert applied('[HKLM\\A]\n"new"="y"\n[-HKLM\\A]\n') is None
    both = applied('[HKLM\\A]\n"old"=-\n"new"="y"\n"NEW"=-\n"old"="z"\n"b"="1"\n"b"=-\n')
    assert both is not None
    assert (both.values, [sub.name for sub in both.subkeys]) == ((sz("old", "z"),), ["Sub"])


def test_a_key_is_spelled_as_where_it_is_made() -> None:
    root = edits("[-HKLM\\ACME]\n[-HKLM\\OTHER\\gone]\n[hklm\\Acme\\Sub]\n[HKLM\\acme]\n[HKLM\\Other\\x]\n")
    machine = apply_edits(Key("", (), (Key("HKEY_LOCAL_MACHINE", (), (Key("aCmE"),)),)), root, 9).subkeys[0]
    assert [path for path, _ in machine.walk()] == ["", "Acme", "Acme\\Sub", "Other", "Other\\x"]


def test_values_are_deleted() -> None:
    key = at(KEY, edits(f'[{KEY}]\n"a"=-\n@=  \t-\t  \n"b"=- ;comment\n'))
    assert list(key.values.values()) == [Value(name, 0, tombstone=True) for name in ("a", "", "b")]


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ('"a"="x"', 3, "a value before the first key"),
        (f"[{KEY}", 3, "a key without its closing bracket"),
        (f"[{KEY}\n\\Sub]", 3, "a key without its closing bracket"),
        (f"[{KEY}] x", 3, "text behind it"),
        (f"[ {KEY}]", 3, "a path without a root"),
        (f"[- {KEY}]", 3, "a path without a root"),
        ("[HKEY_LOCAL_MACHINES\\K]", 3, "a path without a root"),
        ("[\\K]", 3, "a path without a root"),
        ("[]", 3, "a path without a root"),
        ("[-]", 3, "a path without a root"),
        ("[HKLM\\a\\\\b]", 3, "a key without a name"),
        ("[-HKLM]", 3, "a root of the registry or a hive cannot be deleted"),
        (f"[HKLM\\{'x' * 256}]", 3, "too long"),
        (f"[HKLM{chr(92)}{chr(92).join('x' * 514)}]", 3, "a key too deep"),
        ("HKEY_LOCAL_MACHINE\\K]", 3, "not a line of a .reg file"),
        (f'[-{KEY}]\n"a"="x"', 4, "a value of a key that is deleted"),
        (f'[{KEY}]\n"a"="x"\nfoo', 5, "not a line of a .reg file"),
        (f"[{KEY}]\n  01,02", 4, "not a line of a .reg file"),
        (f'[{KEY}]\n"a="x"', 4, "a value without its ="),
        (f'[{KEY}]\na"="x"', 4, "not a line of a .reg file"),
        (f'[{KEY}]\n"a', 4, "without its closing quote"),
        (f'[{KEY}]\n"a\n"="x"', 4, "without its closing quote"),
        (f'[{KEY}]\n"a\\\nb"="x"', 4, "an escape that .reg files do not have"),
        (f'[{KEY}]\n"{"x" * 16384}"="x"', 4, "too long"),
        (f'[{KEY}]\n@"="x"', 4, "a value without its ="),
        (f'[{KEY}]\n"a"', 4, "a value without its ="),
        (f'[{KEY}]\n"a"=', 4, "malformed data"),
        (f'[{KEY}]\n"a"=x"', 4, "malformed data"),
        (f'[{KEY}]\n"a"=\\"x"', 4, "malformed data"),
        (f'[{KEY}]\n"a"=;"x"', 4, "malformed data"),
        (f'[{KEY}]\n\n"a"="x\n\n', 5, "a string without its closing quote"),
        (f'[{KEY}]\n"a"="x"y"', 4, "text behind it"),
        (f'[{KEY}]\n"a"="x" #comment', 4, "text behind it"),
        (f'[{KEY}]\n"a"="x\n"b"="y"', 5, "text behind it"),
        (f'[{KEY}]\n"a"="\\0"', 4, "an escape that .reg files do not have"),
        (f'[{KEY}]\n"a"="x\\\ny"', 4, "an escape that .reg files do not have"),
        (f'[{KEY}]\n"a"=-"x"', 4, "text behind it"),
        (f'[{KEY}]\n"a"=- #comment', 4, "text behind it"),
        (f'[{KEY}]\n"a"=dword:', 4, "malformed data"),
        (f'[{KEY}]\n"a"=dword:hello', 4, "malformed data"),
        (f'[{KEY}]\n"a"=dword:123456789', 4, "malformed data"),
        (f'[{KEY}]\n"a"=dword:0x123', 4, "malformed data"),
        (f'[{KEY}]\n"a"=dword:1234 5678', 4, "text behind it"),
        (f'[{KEY}]\n"a"=dword:1234\\\n5678', 4, "text behind it"),
        (f'[{KEY}]\n"a"=hex(100000000):56', 4, "malformed data"),
        (f'[{KEY}]\n"a"=hex(0x2):56', 4, "malformed data"),
        (f'[{KEY}]\n"a"=hex():56', 4, "malformed data"),
        (f'[{KEY}]\n"a"=hex:25,100,25', 4, "text behind it"),
        (f'[{KEY}]\n"a"=hex:2550', 4, "text behind it"),
        (f'[{KEY}]\n"a"=hex:25 50', 4, "text behind it"),
        (f'[{KEY}]\n"a"=hex:25,,50', 4, "text behind it"),
        (f'[{KEY}]\n"a"=hex:,\\\n50', 4, "text behind it"),
        (f'[{KEY}]\n"a"=hex:25 #c', 4, "text behind it"),
        (f'[{KEY}]\n"a"=hex:25\\\n,50', 4, "a backslash that does not continue a list"),
        (f'[{KEY}]\n"a"=hex:25,\\\n  5\\\n0', 5, "a backslash that does not continue a list"),
        (f'[{KEY}]\n"a"=hex:25,\\\n\\\n50', 5, "a backslash that does not continue a list"),
        (f'[{KEY}]\n"a"=hex:25,\\50', 4, "text behind it"),
        (f'[{KEY}]\n"a"=hex:25,\\\\\n50', 4, "text behind it"),
        (f'[{KEY}]\n"a"=hex:25,\\\n\n  ,50', 6, "text behind it"),
        (f'[{KEY}]\n"a"=hex:25,\\\n"b"="x"', 5, "text behind it"),
        (f'[{KEY}]\n"a"=hex:25,\\\n#comment\n50', 5, "text behind it"),
        (f'[{KEY}]\n"a"=hex:25,\\\n[{KEY}]', 5, "text behind it"),
        (f'[{KEY}]\n"a"=hex:25,\\\n\n\n', 4, "a list that breaks off"),
        (f'[{KEY}]\n"a"=hex:25,\\', 4, "a list that breaks off"),
        (f'[{KEY}]\n"a"="x\0y"', 4, "a NUL in the text"),
        (f'[{KEY}]\n"a"="\udcff"', 4, "text that is not UTF-8"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(text: str, line: int, message: str) -> None:
    with pytest.raises(SpecError, match=f"line {line}: .*{message}") as caught:
        parse_reg(f"{HEADER}\n\n{text}".encode(errors="surrogateescape"), source="x.reg")
    assert caught.value.path == "x.reg"
    assert caught.value.exit_code == 10
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("data", [b"", b"\n", b"\n" + HEADER.encode(), HEADER.upper().encode(), b"regf\0\0", b"[HKLM]"])
def test_what_is_no_reg_file(data: bytes) -> None:
    with pytest.raises(SpecError, match=r"line 1: (not a \.reg file|a NUL)"):
        parse_reg(data, source="x.reg")
    assert not parse_reg(f" \t{HEADER}".encode(), source="x.reg").subkeys  # as Windows has it


def test_version_4_beyond_ascii_wants_a_code_page() -> None:
    """What regedit makes of such a file with one is in tests/compat."""
    start = f"REGEDIT4\n\n[{KEY}]\n".encode()
    for text in (b'"\x82\xa0"="x"\n', b'"x"=hex(7):82,a0,00,00\n'):
        with pytest.raises(SpecError, match=r"x\.reg: line 4: .*beyond ASCII.*--code-page"):
            parse_reg(start + text, source="x.reg")
        with pytest.raises(SpecError, match=r"line 4: .*not in the code page 1257"):
            parse_reg(start + text.replace(b"\x82", b"\xa1").replace(b"82", b"a1"), source="x.reg", code_page=1257)
    key = at(KEY, parse_reg(start + b'"\x82\xa0"=hex(2):82,a0\n', source="x.reg", code_page=932))
    assert [(value.name, value.data) for value in key.values.values()] == [("\u3042", b"\x42\x30\0\0")]
    assert parse_reg(start, source="x.reg", code_page=65001).subkeys
    with pytest.raises(UsageError, match="a code page"):
        parse_reg(start, source="x.reg", code_page=7)


def test_other_versions_and_encodings() -> None:
    with pytest.raises(SpecError, match=r"of Windows 3\.1; expected .* 5\.00"):
        parse_reg(b"REGEDIT\r\n", source="x.reg")
    for old in (codecs.BOM_UTF16_LE + "REGEDIT4".encode("utf-16-le"), codecs.BOM_UTF8 + b"REGEDIT4\n"):
        with pytest.raises(SpecError, match=r"line 1: a REGEDIT4 file in Unicode"):
            parse_reg(old, source="x.reg")
    with pytest.raises(SpecError, match="big-endian"):
        parse_reg(codecs.BOM_UTF16_BE + HEADER.encode("utf-16-be"), source="x.reg")
    with pytest.raises(SpecError, match="line 2: text that is not UTF-16"):
        parse_reg(codecs.BOM_UTF16_LE + f"{HEADER}\n".encode("utf-16-le") + b"x", source="x.reg")


def test_the_deepest_key() -> None:
    """The 512 levels of a hive, whose root is two names below the registry's."""
    edits("[HKLM\\a" + "\\b" * 512 + "]")
    with pytest.raises(SpecError, match="a key too deep; expected at most 514 names; got 515"):
        edits("[HKLM\\a" + "\\b" * 513 + "]")


def test_the_longest_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looked at after each chunk of 64 KiB, so a line may be that much longer."""
    assert reg_text._MAX_LINE == 1 << 26
    monkeypatch.setattr(reg_text, "_MAX_LINE", 1 << 18)
    text = f"{HEADER}\n\n;".encode()
    parse_reg(text + b"x" * ((1 << 18) - 1), source="x.reg")
    with pytest.raises(SpecError, match="line 3: line too long"):
        parse_reg(text + b"x" * ((1 << 18) + (1 << 16) + 100), source="x.reg")


def test_huge_input_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SpecError, match="line 3: line too long"):
        parse_reg(f"{HEADER}\n\n;".encode() + b"x" * (1 << 27), source="x.reg")
    assert reg_text._MAX_KEYS == 1 << 21
    monkeypatch.setattr(reg_text, "_MAX_KEYS", 1 << 17)  # the same in a sixteenth of the time
    deep = "\\a" * 500
    many = "".join(f"[HKLM\\{number}{deep}]\n" for number in range(270))
    with pytest.raises(SpecError, match=r"line 26[0-9]: too many keys"):
        edits(many)


# --- printing ---------------------------------------------------------------------


def printed(key: Key) -> str:
    return "".join(print_reg(key, KEY))


def test_values_are_printed_as_regedit_does() -> None:
    key = Key(
        "any",
        (
            sz("text", 'C:\\a "b"'),
            sz("", "default"),
            dword("number", 42),
            Value("expand", RegType.EXPAND_SZ, "%A%\0".encode("utf-16-le")),
            Value("q", RegType.QWORD, bytes(range(8))),
            Value("empty", RegType.BINARY),
            Value("other", 0xFFFFFFFF, b"\1"),
            Value('\\"', RegType.NONE),
            Value("gone", 0, tombstone=True),
        ),
        (Key("b", (dword("x", 1),)), Key("A"), Key("ä"), Key("_")),
    )
    assert printed(key) == (
        "Windows Registry Editor Version 5.00\n"
        "\n"
        f"[{KEY}]\n"
        '"text"="C:\\\\a \\"b\\""\n'
        '@="default"\n'
        '"number"=dword:0000002a\n'
        '"expand"=hex(2):25,00,41,00,25,00,00,00\n'
        '"q"=hex(b):00,01,02,03,04,05,06,07\n'
        '"empty"=hex:\n'
        '"other"=hex(ffffffff):01\n'
        '"\\\\\\""=hex(0):\n'
        '"gone"=-\n'
        "\n"
        f"[{KEY}\\A]\n"
        "\n"
        f"[{KEY}\\b]\n"
        '"x"=dword:00000001\n'
        "\n"
        f"[{KEY}\\_]\n"
        "\n"
        f"[{KEY}\\ä]\n"
    )


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0",
        b"a\0",
        b"a\0\0",
        b"a\0\0\0b",
        utf16("a\0"),
        utf16("\0"),
        utf16("a\0b"),
        utf16("a\nb"),
        utf16("a\rb"),
        utf16("\ud800"),
        utf16("x" * (1 << 19)),
    ],
)
def test_a_string_that_would_lose_something_is_a_list(data: bytes) -> None:
    text = printed(Key("", (Value("a", RegType.SZ, data),)))
    assert '"a"=hex(1):' in text
    assert list(at(KEY, parse_reg(text.encode(), source="x")).values.values()) == [Value("a", 1, data)]


@pytest.mark.parametrize(("units", "form"), [((1 << 19) - 1, '"s"="xx'), (1 << 19, '"s"=hex(1):78,00,')])
def test_the_longest_string(units: int, form: str) -> None:
    """1 MiB with its NUL; a longer one is a list of bytes, whose lines have a limit."""
    assert form in printed(Key("any", (sz("s", "x" * units),)))


@pytest.mark.parametrize("size", [0, 1, 2, 3, 5, 8])
def test_a_dword_of_another_size_is_a_list(size: int) -> None:
    assert f'"a"=hex(4):{bytes(size).hex(",")}\n' in printed(Key("", (Value("a", RegType.DWORD, bytes(size)),)))


SYSTEM_ROOT = "%SystemRoot%\\System32\\svchost.exe -k netsvcs\0".encode("utf-16-le")


@pytest.mark.parametrize(
    ("name", "kind", "lengths"),
    [
        # As files that regedit has written break their lines.
        ("ServiceDll", 2, [19, 25, 25]),
        ("ImagePath", 2, [20, 25, 25]),
        ("Path", 2, [21, 25, 25]),
        ("", 2, [23, 25, 25]),
        ("FailureActions", 3, [19, 25, 25]),
        ("n" * 200, 3, [1, 25, 25]),
    ],
)
def test_lines_break_where_regedit_breaks_them(name: str, kind: int, lengths: list[int]) -> None:
    lines = printed(Key("", (Value(name, kind, SYSTEM_ROOT),))).splitlines()[3:]
    counts = [line.partition(":")[2].count(",") if ":" in line else line.count(",") for line in lines]
    assert counts[: len(lengths)] == lengths
    assert all(line.endswith(",\\") for line in lines[:-1])
    assert all(line.startswith("  ") and len(line) <= 80 for line in lines[1:])
    # A list that fills its line has no comma and no line behind it.
    whole = printed(Key("", (Value(name, kind, SYSTEM_ROOT[: sum(lengths)]),))).splitlines()[3:]
    assert len(whole) == len(lengths)
    assert whole[-1].count(",") == lengths[-1] - 1
    assert whole[-1][-1] not in ",\\"


def test_the_file_is_as_regedit_writes_it() -> None:
    data = b"".join(encode_reg(print_reg(Key("", (sz("ä", "日本"),)), KEY)))
    text = f'{HEADER}\r\n\r\n[{KEY}]\r\n"ä"="日本"\r\n'
    assert data == codecs.BOM_UTF16_LE + text.encode("utf-16-le")
    assert (
        b"".join(encode_reg(print_reg(Key("", (sz("ä", "日本"),)), KEY), utf8=True))
        == text.replace("\r\n", "\n").encode()
    )


@pytest.mark.parametrize(
    ("key", "path"),
    [
        (Key("", (), (Key("a\nb"),)), f"{KEY}\\a\nb"),
        (Key("", (), (Key("a\0b"),)), f"{KEY}\\a\0b"),
        (Key("", (), (Key("a\\b"),)), f"{KEY}\\a\\b"),
        (Key("", (), (Key("x" * 256),)), f"{KEY}\\{'x' * 256}"),
        (Key("", (), (Key(""),)), f"{KEY}\\"),
        (Key("", (sz("a\r", ""),)), f"{KEY}\\\\a\r"),
        (Key("", (sz("a\0", ""),)), f"{KEY}\\\\a\0"),
    ],
)
def test_names_that_no_reg_file_can_have(key: Key, path: str) -> None:
    with pytest.raises(InexpressibleError) as caught:
        printed(key)
    assert caught.value.path == path
    with pytest.raises(InexpressibleError):
        print_reg(key, KEY)  # before there is a line
    left = Noted()
    assert "".join(print_reg(key, KEY, left_out=left)) == f"{HEADER}\n\n[{KEY}]\n"
    assert left.paths == [path]


def test_an_unpaired_surrogate_wants_utf16() -> None:
    key = Key("", (), (Key("\ud800"),))
    with pytest.raises(InexpressibleError, match="UTF-16 can hold it"):
        b"".join(encode_reg(print_reg(key, KEY), utf8=True))
    with pytest.raises(InexpressibleError, match="no unpaired surrogate"):
        print_reg(key, KEY, utf8=True)
    assert "".join(print_reg(key, KEY, utf8=True, left_out=(left := Noted()))) == f"{HEADER}\n\n[{KEY}]\n"
    assert left.paths == [f"{KEY}\\\ud800"]
    data = b"".join(encode_reg(print_reg(key, KEY)))
    assert at(f"{KEY}\\\ud800", parse_reg(data, source="x")).make


def test_a_differencing_hive_is_printed_as_the_changes_that_it_makes() -> None:
    tree = LayerSemantics.SUPERSEDE_TREE
    gone = LayerSemantics.TOMBSTONE
    key = Key(
        "",
        (),
        (
            Key("a", (Value("x", 0, tombstone=True), sz("y", "1")), layer=0x80),
            Key("b", layer=gone),
            Key("c", (sz("z", "2"),), (Key("d", layer=tree), Key("e", layer=gone)), layer=tree),
        ),
    )
    assert printed(key) == (
        f'{HEADER}\n\n[{KEY}]\n\n[{KEY}\\a]\n"x"=-\n"y"="1"\n\n[-{KEY}\\b]\n'
        f'\n[-{KEY}\\c]\n\n[{KEY}\\c]\n"z"="2"\n\n[{KEY}\\c\\d]\n'
    )
    local = Key("", (), (Key("e"), Key("f", (), (Key("g", layer=LayerSemantics.SUPERSEDE_LOCAL),))))
    for left in (None, Noted()):  # it is not its name that has no place
        with pytest.raises(InexpressibleError, match="supersedes locally") as caught:
            print_reg(local, KEY, left_out=left)
        assert caught.value.path == f"{KEY}\\f\\g"


def test_changes_are_printed() -> None:
    text = (
        f"{HEADER}\n"
        '\n[HKEY_LOCAL_MACHINE\\A]\n"a"=-\n"b"="x"\n'
        "\n[-HKEY_LOCAL_MACHINE\\A\\C]\n\n[HKEY_LOCAL_MACHINE\\A\\C]\n\n[HKEY_LOCAL_MACHINE\\A\\C\\D]\n"
        "\n[-HKEY_LOCAL_MACHINE\\B]\n"
    )
    parsed = at("HKEY_LOCAL_MACHINE", parse_reg(text.encode(), source="x"))
    parsed.make = False
    assert "".join(print_edits(parsed, "HKEY_LOCAL_MACHINE")) == text
    parsed.subkeys[b"\0A"].security = b"x"
    with pytest.raises(InexpressibleError, match="security"):
        print_edits(parsed, "HKEY_LOCAL_MACHINE")


def test_a_tree_of_512_levels() -> None:
    key = Key("bottom", (sz("a", "b"),))
    for _ in range(511):
        key = Key("k", (), (key,))
    parsed = parse_reg(b"".join(encode_reg(print_reg(key, "HKEY_LOCAL_MACHINE\\SOFTWARE"))), source="x")
    back = apply_edits(Key(""), parsed, 1)
    path = "\\".join(["HKEY_LOCAL_MACHINE", "SOFTWARE", *["k"] * 510, "bottom"])
    found = back.find(path)
    assert found is not None
    assert found.values == (sz("a", "b"),)


def test_paths_may_stand_for_others() -> None:
    def where(names: Sequence[str], _: KeyEdits) -> Sequence[str]:
        if names[:2] != ["HKEY_LOCAL_MACHINE", "SOFTWARE"]:
            raise UsageError("a key of another hive", expected="HKLM\\SOFTWARE", hint="none")
        return names[2:]

    def parse(text: str) -> KeyEdits:
        return parse_reg(f"{HEADER}\n{text}".encode(), source="x.reg", where=where)

    root = parse('[HKLM\\SOFTWARE]\n"a"="x"\n[HKLM\\SOFTWARE\\B]\n[-HKLM\\SOFTWARE\\C]\n')
    assert list(root.values.values()) == [sz("a", "x")]
    assert [(key.name, key.make, key.delete) for key in root.subkeys.values()] == [
        ("B", True, False),
        ("C", False, True),
    ]
    with pytest.raises(
        SpecError, match=r"^x.reg: line 3: a key of another hive; .*SOFTWARE; got HKU\\.DEFAULT -- none"
    ):
        parse("\n[HKU\\.DEFAULT]")
    with pytest.raises(SpecError, match="line 2: a root of the registry or a hive cannot be deleted"):
        parse("[-HKLM\\SOFTWARE]")
