"""Dockerfiles taken apart: directives, continuations, heredocs, words and their variables."""

from __future__ import annotations

from dataclasses import replace

import pytest

from wclayer.dockerfile.parse import MAX_SIZE, Dockerfile, Environment, Heredoc, parse_dockerfile
from wclayer.errors import SpecError, UsageError


def parse(text: str | bytes) -> Dockerfile:
    return parse_dockerfile(text.encode() if isinstance(text, str) else text, "D")


def summary(text: str) -> list[tuple[str, int, tuple[str, ...]]]:
    return [(one.name, one.line, one.args) for one in parse(text).instructions]


def test_lines_and_comments() -> None:
    text = '\ufeff# a comment\n\nfrom scratch\n  # another\n\tCoPy a b\r\nCMD ["x", "y z"]\n'
    assert summary(text) == [("FROM", 3, ("scratch",)), ("COPY", 5, ("a", "b")), ("CMD", 6, ("x", "y z"))]
    assert parse(text).instructions[2].json
    assert not parse("FROM a\nCMD x y").instructions[1].json


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("FROM a\nCOPY a \\\n b \\\n c\nUSER u", [("COPY", 2, ("a", "b", "c")), ("USER", 5, ("u",))]),
        ("FROM a\nCOPY a \\\n# between\n\n b\nUSER u", [("COPY", 2, ("a", "b")), ("USER", 6, ("u",))]),
        ("FROM a\nCOPY a \\  \n b\n", [("COPY", 2, ("a", "b"))]),
        ("# escape=`\nFROM a\nCOPY a `\n C:\\\nUSER u", [("COPY", 3, ("a", "C:\\")), ("USER", 5, ("u",))]),
        ("#ESCAPE = `\nFROM a\nCOPY a C:\\\\\n", [("COPY", 3, ("a", "C:\\\\"))]),
        # No directive after a comment, an empty line or an instruction.
        ("# other\n# escape=`\nFROM a\nCOPY a \\\n b", [("COPY", 4, ("a", "b"))]),
        ("\n# escape=`\nFROM a\nCOPY a \\\n b", [("COPY", 4, ("a", "b"))]),
        ("FROM a\nCOPY a\\b \\\n c", [("COPY", 2, ("a\\b", "c"))]),
    ],
)
def test_escapes_and_continuations(text: str, expected: list[tuple[str, int, tuple[str, ...]]]) -> None:
    assert summary(text)[1:] == expected


def test_the_escape_character_is_kept() -> None:
    assert parse("FROM a").escape == "\\"
    assert parse("# syntax=docker/dockerfile:1\n# escape=`\nFROM a").escape == "`"


def test_heredocs() -> None:
    text = (
        "FROM a\n"
        "COPY <<one <<-two <<'three' /x/\nA $B\n# no comment\none\n\tb\n\t\tc\n\ttwo\n$D \\\n\nthree\n"
        'COPY <<"E F" x\nE F\nUSER u'
    )
    found = parse(text).instructions
    assert [(one.name, one.line) for one in found] == [("FROM", 1), ("COPY", 2), ("COPY", 12), ("USER", 14)]
    assert found[1].heredocs == (
        Heredoc("one", "A $B\n# no comment\n", True),
        Heredoc("two", "b\nc\n", True),
        Heredoc("three", "$D \\\n\n", False),
    )
    assert found[2].heredocs == (Heredoc("E F", "", False),)


def test_the_content_of_heredocs() -> None:
    dockerfile = parse("FROM a\nCOPY <<a <<'b' /\n${X}-\"$X\" \\$X '$Y' ${Y:-z}\na\n$X\nb\n")
    copy = dockerfile.instructions[1]
    env = Environment({"X": "1"})
    assert dockerfile.heredoc(copy, copy.heredocs[0], env) == "1-\"1\" $X '' z\n"
    assert dockerfile.heredoc(copy, copy.heredocs[1], env) == "$X\n"


def test_flags() -> None:
    [_, copy] = parse("FROM a\nCOPY --from=x --link --exclude=a --exclude='b c' --chown=u --  a b").instructions
    assert copy.flags == {"from": ("x",), "link": ("true",), "exclude": ("a", "b c"), "chown": ("u",)}
    assert copy.args == ("a", "b")
    with pytest.raises(SpecError, match="D: line 3: a flag without a value; expected --chown="):
        parse("FROM a\n\nCOPY --chown a b")


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("", "a Dockerfile without instructions; expected FROM"),
        ("# nothing\n\n", "without instructions"),
        ("FROM a\n\nFLY away", "line 3: unknown instruction: FLY"),
        ("FROM a\nENV A=1 B", 'line 2: .*can\'t find = in "B"'),
        ("FROM a\nENV A", "line 2: ENV must have two arguments"),
        ("FROM a\nLABEL A", "line 2: LABEL must have two arguments"),
        ("FROM a\nCOPY <<E /x\nno end", "line 2: unterminated heredoc"),
        ("FROM a\nCMD [1]", "line 2: Only strings"),
        ("# escape=x\nFROM a", "line 1: invalid escape token 'x'"),
        ("# escape=`\n# escape=`\nFROM a", "line 2: only one escape"),
        (b"FROM a\nUSER \xff", "no UTF-8"),
    ],
)
def test_what_is_no_dockerfile(text: str | bytes, match: str) -> None:
    with pytest.raises(SpecError, match=match) as caught:
        parse(text)
    assert caught.value.path == "D"


def test_limits() -> None:
    with pytest.raises(SpecError, match="this large"):
        parse(b"#" * (MAX_SIZE + 1))
    with pytest.raises(SpecError):
        parse(b"FROM a\nCMD " + b"[" * 200_000)
    dockerfile = parse("FROM a")
    with pytest.raises(SpecError, match="line 1"):
        dockerfile.word(dockerfile.instructions[0], "${a:-" * 50_000, Environment())


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("$A", "1"),
        ("${A}", "1"),
        ("$a", "1"),  # Windows' names have no case
        ("$AB", ""),
        ("'$A'", "$A"),
        ('"$A b"', "1 b"),
        ("\\$A", "$A"),
        ("a\\b", "ab"),
        ("'a\\b'", "a\\b"),
        ('"a\\b"', "a\\b"),
        ("${B:-x}", "x"),
        ("${E:-x}", "x"),
        ("${E-x}", ""),
        ("${A:+y}", "y"),
        ("${B+y}", ""),
        ("${P#a/}", "b/c.tar.gz"),
        ("${P##*/}", "c.tar.gz"),
        ("${P%.*}", "a/b/c.tar"),
        ("${P%%.*}", "a/b/c"),
        ("${P//\\//_}", "a_b_c.tar.gz"),
    ],
)
def test_words(word: str, expected: str) -> None:
    dockerfile = parse("FROM a")
    env = Environment({"A": "1", "E": "", "P": "a/b/c.tar.gz"})
    assert dockerfile.word(dockerfile.instructions[0], word, env) == expected


@pytest.mark.parametrize("word", ["'", '"a', "${A", "${A!x}", "${B:?must be}", "${}"])
def test_words_that_are_none(word: str) -> None:
    dockerfile = parse("\nFROM a")
    with pytest.raises(SpecError, match=r"^D: line 2: "):
        dockerfile.word(dockerfile.instructions[0], word, Environment())


def test_words_with_the_backtick() -> None:
    dockerfile = parse("# escape=`\nFROM a")
    [instruction] = dockerfile.instructions
    env = Environment({"A": "1"})
    assert dockerfile.word(instruction, "C:\\$A\\`$A\\a", env) == "C:\\1\\$A\\a"
    assert dockerfile.words(instruction, "$L x", Environment({"L": "1 2"})) == ["1", "2", "x"]


def test_environment() -> None:
    env = Environment({"Path": "1"})
    assert env.get("PATH") == "1"
    env.put("PATH", "2")
    assert env == {"PATH": "2"}
    assert Environment({"a": "1", "A": "2"}).get("a") == "1"
    assert env.get("none") is None


def test_errors_below_get_their_line_once() -> None:
    dockerfile = parse("FROM a\nUSER u")
    user = dockerfile.instructions[1]
    with pytest.raises(UsageError) as caught, dockerfile.at(user), dockerfile.at(user):
        raise UsageError("no", path="x")
    assert str(caught.value) == "x: D, line 2: no"
    with pytest.raises(SpecError) as own, dockerfile.at(user):
        raise dockerfile.error(replace(user, line=7), "no")
    assert str(own.value) == "D: line 7: no"
