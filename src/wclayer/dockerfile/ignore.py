""".dockerignore, as Docker reads it (moby/patternmatcher), and --exclude of COPY and ADD."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Final

from ..builder.ignore import check_text
from ..errors import SpecError
from ..host.errors import host_errors
from ..win32.names import decode_wtf8
from .patterns import Pattern, parse_pattern

__all__ = ["DockerIgnore", "Part", "read_dockerignore"]

_NAME: Final = ".dockerignore"
_MAX_SIZE: Final = 1 << 20  # bytes
_HINT: Final = "a backslash escapes the next character; write / between folders"


class DockerIgnore:
    """Patterns of files to leave out (see `recipe.Ignoring`); `source` and `unit`, with a number, name them in errors.

    `warnings` lists patterns that probably mean something else than they say. Raises SpecError.
    """

    def __init__(self, lines: Iterable[str], *, source: str, unit: str = "pattern") -> None:
        self.warnings: list[str] = []
        self._patterns: list[Pattern] = []
        for number, line in enumerate(lines, 1):
            if line.startswith("#"):
                continue
            try:
                pattern = parse_pattern(line)
            except ValueError as error:
                raise SpecError(
                    f"{unit} {number}: a malformed pattern: {error}",
                    path=source,
                    got=line.strip(),
                    hint=_HINT if "\\" in line else None,
                ) from None
            if pattern is None:
                continue
            self._patterns.append(pattern)
            if "\\" in line.strip(" !").removeprefix("\\#").removeprefix("\\!"):
                self.warnings.append(f"{source}, {unit} {number}, {line.strip()}: {_HINT}")

    def match(self, path: bytes, _directory: bool = False, /) -> bool:
        """Is this very name left out, or a directory above it?"""
        text = _text(path)
        ends = [at for at, char in enumerate(text) if char == "/"] + [len(text)]
        fits: list[list[bool] | None] = [None] * len(self._patterns)
        inherited = [False] * len(self._patterns)
        left_out = False
        for depth in range(len(ends)):
            left_out = False
            for number, pattern in enumerate(self._patterns):
                if not inherited[number]:
                    # As in Docker, a pattern that would change nothing here is not asked, and not inherited.
                    if pattern.negative is not left_out:
                        continue
                    found = fits[number]
                    if found is None:
                        found = fits[number] = pattern.prefixes(text, ends)
                    inherited[number] = found[depth]
                if inherited[number]:
                    left_out = not pattern.negative
        return left_out

    def may_reopen(self, path: bytes, /) -> bool:
        """May something below a directory that is left out come in all the same?"""
        parts = _text(path).split("/")
        return any(pattern.negative and pattern.may_match_below(parts) for pattern in self._patterns)


class Part:
    """The patterns of a folder for its subfolder `place`; hidden: a path in it that is not one of its files."""

    def __init__(self, ignore: DockerIgnore, place: bytes, hidden: bytes | None = None) -> None:
        self._ignore = ignore
        self._prefix = place + b"/" if place else b""
        self._hidden = hidden

    def match(self, path: bytes, _directory: bool = False, /) -> bool:
        """Is this very name left out, or a directory above it?"""
        return self._prefix + path == self._hidden or self._ignore.match(self._prefix + path)

    def may_reopen(self, path: bytes, /) -> bool:
        """May something below a directory that is left out come in all the same?"""
        return self._prefix + path != self._hidden and self._ignore.may_reopen(self._prefix + path)


def _text(path: bytes) -> str:
    try:
        return decode_wtf8(path)
    except ValueError:
        return path.decode("utf-8", "surrogateescape")


def read_dockerignore(context: str, dockerfile: str | None = None) -> DockerIgnore:
    """The patterns for a context: from DOCKERFILE.dockerignore, else from .dockerignore in the context, else none.

    Raises SpecError.
    """
    names = [] if dockerfile is None else [dockerfile + _NAME]
    for path in (*names, os.path.join(context, _NAME)):
        with host_errors(path):
            try:
                with open(path, "rb") as file:
                    data = file.read(_MAX_SIZE + 1)
            except FileNotFoundError:
                continue
        if len(data) > _MAX_SIZE:
            raise SpecError("a list of patterns this long", path=path, expected=f"at most {_MAX_SIZE:,} bytes")
        check_text(data, path)
        # Only LF ends a line, as in Go's bufio.ScanLines; a CR before it is white space.
        return DockerIgnore(data.decode("utf-8-sig", "surrogateescape").split("\n"), source=path, unit="line")
    return DockerIgnore([], source=context)
