"""Patterns of .dockerignore and --exclude, as moby/patternmatcher reads them, in linear time.

`*` and `?` stay in one component, `**` does not, `[...]` is a class, `\\` takes away the meaning of the next character.
A pattern that matches a directory matches all below it; the last pattern that matches decides.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from ..layers.lookup.patterns import is_wild

__all__ = ["Pattern", "parse_pattern"]

# What Go's strings.TrimSpace removes; str.strip() without arguments removes U+001C to U+001F too.
SPACE: Final = "\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))
# Python's `re` goes back over each repetition, so patterns with more of them are matched by `_Automaton`.
_MAX_REPEATS: Final = 2
_NAMED: Final = {
    "alnum": [("0", "9"), ("A", "Z"), ("a", "z")],
    "alpha": [("A", "Z"), ("a", "z")],
    "ascii": [("\0", "\x7f")],
    "blank": [("\t", "\t"), (" ", " ")],
    "cntrl": [("\0", "\x1f"), ("\x7f", "\x7f")],
    "digit": [("0", "9")],
    "graph": [("!", "~")],
    "lower": [("a", "z")],
    "print": [(" ", "~")],
    "punct": [("!", "/"), (":", "@"), ("[", "`"), ("{", "~")],
    "space": [("\t", "\r"), (" ", " ")],
    "upper": [("A", "Z")],
    "word": [("0", "9"), ("A", "Z"), ("a", "z"), ("_", "_")],
    "xdigit": [("0", "9"), ("A", "F"), ("a", "f")],
}

_SPECIAL: Final = re.compile(r"[*?\[\]\\]")

Range: TypeAlias = tuple[str, str]


@dataclass(frozen=True, slots=True)
class _Token:
    """One character of `ranges`, or of all others where `negated`; or a repetition: `star`, `folders` or `rest`."""

    ranges: tuple[Range, ...] = ()
    negated: bool = False
    repeat: str = ""

    def fits(self, char: str) -> bool:
        return any(low <= char <= high for low, high in self.ranges) is not self.negated

    def expression(self) -> str:
        if self.repeat:
            return _EXPRESSIONS[self.repeat]
        inside = "".join(f"{re.escape(low)}-{re.escape(high)}" for low, high in self.ranges)
        return f"[{'^' if self.negated else ''}{inside}]"


_EXPRESSIONS: Final = {"star": "[^/]*", "folders": "(?:.*/)?", "rest": ".*"}
_STAR, _FOLDERS, _REST = (_Token(repeat=name) for name in _EXPRESSIONS)


@dataclass(frozen=True, slots=True)
class Pattern:
    """One pattern, with `!` if `negative`. components: its text without `!`, between the slashes."""

    negative: bool
    components: tuple[str, ...]
    _match: Callable[[str, list[int]], list[bool]]

    def prefixes(self, path: str, ends: list[int]) -> list[bool]:
        """Does it match path[:end], for each of `ends`, in ascending order?"""
        return self._match(path, ends)

    def may_match_below(self, directory: list[str]) -> bool:
        """May it match something below the directory with these components? False only if it certainly does not."""
        for mine, theirs in zip(self.components, directory, strict=False):
            if "**" in mine:
                return True
            if not is_wild(mine) and "\\" not in mine and mine != theirs:
                return False
        return len(self.components) > len(directory)


def parse_pattern(text: str) -> Pattern | None:
    """The pattern in a line; None for an empty one. Raises ValueError."""
    text = text.strip(SPACE)
    if not text:
        return None
    negative = text.startswith("!")
    named = text[negative:].strip(SPACE)
    path = _clean(named)
    # Docker cleans a line when it reads the file, and once more when it makes a pattern of it.
    path = _clean(path[len(path) > 1 and path.startswith("/") :].strip(SPACE))
    if not named or (negative and path == "/"):
        raise ValueError("nothing after the !")
    return Pattern(negative, tuple(path.split("/")), _matcher(path, list(_tokens(path))))


def _clean(path: str) -> str:
    """The path as Go's filepath.Clean returns it."""
    return posixpath.normpath(re.sub("/+", "/", path))


def _matcher(text: str, tokens: list[_Token]) -> Callable[[str, list[int]], list[bool]]:
    if not is_wild(text) and "\\" not in text:
        return lambda path, ends: [end == len(text) and path.startswith(text) for end in ends]
    if text.startswith("**") and not _SPECIAL.search(text, 2):
        # The matcher compares only the end of such a path, so `**x` fits `ax`, though `**[x]` does not.
        tail, name = text[2:], text[3:] if text.startswith("**/") else None
        return lambda path, ends: [path.endswith(tail, 0, end) or path[:end] == name for end in ends]
    if sum(bool(token.repeat) for token in tokens) > _MAX_REPEATS:
        return _Automaton(tokens).prefixes
    compiled = re.compile("".join(token.expression() for token in tokens))
    return lambda path, ends: [compiled.fullmatch(path, 0, end) is not None for end in ends]


def _tokens(text: str) -> Iterator[_Token]:
    """The pattern taken apart; `**/` is any number of folders, `**` at the end is anything."""
    at = 0
    before = None
    while at < len(text):
        token, at = _token(text, at)
        if token != before or token is not _FOLDERS:  # two in a row are one
            yield token
        before = token


def _token(text: str, at: int) -> tuple[_Token, int]:
    char = text[at]
    if text.startswith("**", at):
        at += 2
        at += text.startswith("/", at)
        return (_FOLDERS, at) if at < len(text) else (_REST, at)
    if char == "*":
        return _STAR, at + 1
    if char == "?":
        return _Token((("/", "/"),), negated=True), at + 1
    if char == "[":
        return _char_class(text, at + 1)
    if char == "\\":
        at += 1
        if at == len(text):
            raise ValueError("nothing after the last backslash")
    return _Token(((text[at], text[at]),)), at + 1


def _char_class(text: str, at: int) -> tuple[_Token, int]:
    """The class whose `[` is before `at`, and where it ends."""
    negated = text.startswith("^", at)
    at += negated
    ranges: list[Range] = []
    while not (ranges and text.startswith("]", at)):
        end = text.find(":]", at + 2) if text.startswith("[:", at) else -1
        if end > 0:
            name = text[at + 2 : end]
            if name not in _NAMED:
                raise ValueError(f"an unknown class, [:{name}:]")
            ranges += _NAMED[name]
            at = end + 2
            continue
        low, at = _class_char(text, at)
        high = low
        if text.startswith("-", at):
            high, at = _class_char(text, at + 1)
        if high < low:
            raise ValueError(f"a range that ends before it begins, {low}-{high}")
        ranges.append((low, high))
    return _Token(tuple(ranges), negated), at + 1


def _class_char(text: str, at: int) -> tuple[str, int]:
    escaped = text.startswith("\\", at)
    at += escaped
    if at >= len(text) or (text[at] in "-]" and not escaped):
        raise ValueError("a class that is cut off or empty, or a misplaced - in it")
    return text[at], at + 1


@dataclass(slots=True)
class _Automaton:
    """All places of the pattern at which a match may be, as the bits of a number, one character after the other.

    Bit n is the place before token n. A match of `folders` has a second place, inside of it: bit n of `_inside`.
    """

    tokens: list[_Token]
    _fitting: dict[str, int] = field(default_factory=dict)

    def prefixes(self, path: str, ends: list[int]) -> list[bool]:
        kinds = {name: self._bits(name) for name in _EXPRESSIONS}
        skip = kinds["star"] | kinds["folders"] | kinds["rest"]
        last = 1 << len(self.tokens)
        wanted = set(ends)
        found: list[bool] = []
        places, inside = _skipped(1, skip), 0
        for at, char in enumerate(path[: ends[-1]], 1):
            inside |= places & kinds["folders"]
            moved = (places & self._fits(char)) << 1
            if char == "/":
                moved |= inside << 1  # the end of a folder
                moved |= places & kinds["rest"]
            elif char == "\n":  # which `.` does not match
                inside = 0
                moved |= places & kinds["star"]
            else:
                moved |= places & (kinds["star"] | kinds["rest"])
            places = _skipped(moved, skip)
            if at in wanted:
                found.append(bool(places & last))
        return found

    def _bits(self, repeat: str) -> int:
        return sum(1 << number for number, token in enumerate(self.tokens) if token.repeat == repeat)

    def _fits(self, char: str) -> int:
        found = self._fitting.get(char)
        if found is None:
            found = sum(1 << at for at, token in enumerate(self.tokens) if not token.repeat and token.fits(char))
            self._fitting[char] = found
        return found


def _skipped(places: int, skip: int) -> int:
    """The places with those that a repetition of length zero leads to; at most three repetitions are in a row."""
    for _ in range(3):
        places |= (places & skip) << 1
    return places
