"""Patterns of files to leave out, in the syntax of gitignore(5): .wclayerignore, and `exclude` of image.toml.

Names are bytes and compared as they are. A pattern is taken apart into path
components, each a regular expression that never goes back over more than one
component, so a hostile pattern costs no more than its length times the name's.
"""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from ..errors import SpecError, UsageError

__all__ = ["MAX_PATTERN", "Ignore", "check_text"]

MAX_PATTERN: Final = 4096  # bytes; no path of the usual systems is longer

_BOM: Final = b"\xef\xbb\xbf"
_WILD: Final = frozenset(b"*?[\\")
_SLASH: Final = ord("/")
_CLASSES: Final[dict[bytes, frozenset[int]]] = {
    b"alnum": frozenset((string.ascii_letters + string.digits).encode()),
    b"alpha": frozenset(string.ascii_letters.encode()),
    b"blank": frozenset(b" \t"),
    b"cntrl": frozenset((*range(32), 127)),
    b"digit": frozenset(string.digits.encode()),
    b"graph": frozenset(range(33, 127)),
    b"lower": frozenset(string.ascii_lowercase.encode()),
    b"print": frozenset(range(32, 127)),
    b"punct": frozenset(string.punctuation.encode()),
    b"space": frozenset(b" \t\n\r\v\f"),
    b"upper": frozenset(string.ascii_uppercase.encode()),
    b"xdigit": frozenset(string.hexdigits.encode()),
}

_UTF_16: Final = (b"\xff\xfe", b"\xfe\xff")

Component: TypeAlias = Callable[[bytes], object]


def check_text(data: bytes, source: str) -> None:
    """Raise SpecError for UTF-16, which PowerShell 5 writes by `>`, and for other data with NUL bytes."""
    if data.startswith(_UTF_16):
        raise SpecError(
            "a text in UTF-16", path=source, expected="UTF-8", hint="save it as UTF-8: Set-Content -Encoding utf8"
        )
    if (at := data.find(b"\0")) >= 0:
        raise SpecError(
            "a NUL byte in a text", path=source, offset=at, expected="UTF-8", hint="if it is UTF-16, save it as UTF-8"
        )


class Ignore:
    """The patterns in `lines` (without their line feeds); `source` names them in errors.

    Raises UsageError for a pattern of more than MAX_PATTERN bytes.
    """

    def __init__(self, lines: Iterable[bytes | str], *, source: str) -> None:
        self._patterns: list[_Pattern] = []
        for number, text in enumerate(lines, 1):
            line = text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text
            if number == 1:
                line = line.removeprefix(_BOM)
            if len(line) > MAX_PATTERN:
                raise UsageError(
                    f"pattern {number} is too long",
                    path=source,
                    expected=f"at most {MAX_PATTERN:,} bytes",
                    got=len(line),
                )
            if line and not line.startswith(b"#") and (pattern := _trimmed(line.removesuffix(b"\r"))):
                self._patterns.append(_Pattern.parse(pattern))
        self._patterns.reverse()

    def match(self, path: bytes, directory: bool) -> bool:
        """Does the last pattern that fits `path` (relative, with `/`) leave it out?

        Of the directories above nothing is asked: what lies in one that is left out is left out with it, as in git.
        """
        name = path.rpartition(b"/")[2]
        for pattern in self._patterns:
            if (directory or not pattern.directories) and pattern.matches(path, name):
                return not pattern.negative
        return False

    def may_reopen(self, _path: bytes) -> bool:
        """False: what lies in a directory that is left out is never looked at."""
        return False


def _trimmed(line: bytes) -> bytes:
    """Without the spaces at its end, unless the first of them is escaped."""
    bare = line.rstrip(b" ")
    backslashes = len(bare) - len(bare.rstrip(b"\\"))
    return line[: len(bare) + 1] if backslashes % 2 and len(bare) < len(line) else bare


@dataclass(slots=True)
class _Pattern:
    """One pattern: a literal beginning, then components; None among these is `**`."""

    negative: bool
    directories: bool  # the pattern matches only directories
    anchored: bool  # for the whole path, not just the name
    literal: bytes
    components: list[Component | None] = field(default_factory=list)
    never: bool = False

    @classmethod
    def parse(cls, text: bytes) -> _Pattern:
        negative = text.startswith(b"!")
        text = text[negative:]
        directories = text.endswith(b"/")
        if directories:
            text = text[:-1]
        anchored = b"/" in text
        text = text[text.startswith(b"/") :]
        wild = next((at for at, char in enumerate(text) if char in _WILD), len(text))
        pattern = cls(negative, directories, anchored, text[:wild])
        if wild < len(text):
            tokens = _tokens(text[wild:])
            pattern.never = tokens is None
            pattern.components = [_component(part) for part in _split(tokens or [])]
        return pattern

    def matches(self, path: bytes, name: bytes) -> bool:
        text = path if self.anchored else name
        if not self.components:
            return text == self.literal and not self.never
        if self.never or not text.startswith(self.literal):
            return False
        return _fits(self.components, text[len(self.literal) :].split(b"/"))


def _fits(pattern: Sequence[Component | None], parts: Sequence[bytes]) -> bool:
    """Do the components fit the parts of a path? Each run between two `**` takes the first place where it fits."""
    at, place = 0, 0
    anchored = True  # at the beginning, or after no `**`
    while True:
        run = at
        while run < len(pattern) and pattern[run] is not None:
            run += 1
        group = pattern[at:run]
        last = run == len(pattern)
        if last:
            start = len(parts) - len(group)
            return start >= place and (not anchored or start == place) and _fit_at(group, parts, start)
        starts = (place,) if anchored else range(place, len(parts) - len(group) + 1)
        found = next((start for start in starts if _fit_at(group, parts, start)), None)
        if found is None:
            return False
        at, place, anchored = run + 1, found + len(group), False
        if at == len(pattern):  # `**` at the end: whatever there is, but something
            return place < len(parts)


def _fit_at(group: Sequence[Component | None], parts: Sequence[bytes], start: int) -> bool:
    return start + len(group) <= len(parts) and all(
        fits is not None and fits(part) for fits, part in zip(group, parts[start : start + len(group)], strict=True)
    )


@dataclass(frozen=True, slots=True)
class _Token:
    """One byte of a set (`chars`), or any number of bytes (`stars` > 0)."""

    chars: frozenset[int] = frozenset()
    stars: int = 0
    separator: bool = False


_ANY: Final = _Token(frozenset(range(256)) - {_SLASH})


def _tokens(text: bytes) -> list[_Token] | None:
    """The pattern taken apart; None for one that fits nothing (a class or escape that is cut off)."""
    tokens: list[_Token] = []
    at = 0
    while at < len(text):
        char = text[at]
        at += 1
        if char == ord("*"):
            begin = at - 1
            while text[at : at + 1] == b"*":
                at += 1
            tokens.append(_Token(stars=at - begin))
        elif char == ord("?"):
            tokens.append(_ANY)
        elif char == ord("["):
            found = _char_class(text, at)
            if found is None:
                return None
            chars, at = found
            tokens.append(_Token(chars - {_SLASH}))
        else:
            if char == ord("\\"):
                if at == len(text):
                    return None
                char = text[at]
                at += 1
            tokens.append(_Token(frozenset((char,)), separator=char == _SLASH))
    return tokens


def _char_class(text: bytes, at: int) -> tuple[frozenset[int], int] | None:
    """The bytes of the class whose `[` is before `at`, and where it ends; None if it does not end."""
    negated = text[at : at + 1] in (b"!", b"^")
    at += negated
    chars: set[int] = set()
    previous: int | None = None  # what a range may begin with
    first = True
    while first or text[at : at + 1] != b"]":
        first = False
        if at >= len(text):
            return None
        char = text[at]
        if char == ord("\\"):
            at += 1
            if at == len(text):
                return None
            previous = text[at]
            chars.add(previous)
        elif char == ord("-") and previous is not None and at + 1 < len(text) and text[at + 1] != ord("]"):
            at += 1
            if text[at] == ord("\\"):
                at += 1
                if at == len(text):
                    return None
            chars.update(range(previous, text[at] + 1))
            previous = None
        elif text[at : at + 2] == b"[:":
            end = text.find(b"]", at + 2)
            if end < 0:
                return None
            if end > at + 2 and text[end - 1] == ord(":"):
                named = _CLASSES.get(text[at + 2 : end - 1])
                if named is None:
                    return None
                chars |= named
                previous, at = None, end
            else:  # no `:]` ends it, so the `[` stands for itself
                previous = char
                chars.add(char)
        else:
            previous = char
            chars.add(char)
        at += 1
    return frozenset(range(256)) - chars if negated else frozenset(chars), at + 1


def _split(tokens: Sequence[_Token]) -> Iterator[list[_Token]]:
    part: list[_Token] = []
    for token in tokens:
        if token.separator:
            yield part
            part = []
        else:
            part.append(token)
    yield part


def _component(tokens: Sequence[_Token]) -> Component | None:
    """What tells whether a name fits one component; None for `**`."""
    if len(tokens) == 1 and tokens[0].stars > 1:
        return None
    runs = [b""]
    for token in tokens:
        if token.stars:
            runs.append(b"")
        else:
            runs[-1] += _expression(token.chars)
    head, *others = runs
    if others:
        # Each run has one length: the first place where it fits is as good as any.
        *middle, tail = others
        head += b"".join(b"(?>.*?%s)" % run for run in middle if run) + b".*" + tail
    return re.compile(head, re.DOTALL).fullmatch


def _expression(chars: frozenset[int]) -> bytes:
    if len(chars) == 1:
        return re.escape(bytes(chars))
    if not chars:
        return b"(?!)"
    return b"[%s]" % b"".join(b"\\x%02x" % char for char in sorted(chars))
