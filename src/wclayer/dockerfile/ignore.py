""".dockerignore, as Docker reads it (moby/patternmatcher, by e2b-dockerfile-utils), and --exclude of COPY and ADD."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Final

from e2b_dockerfile_utils import PatternMatcher

from ..errors import UsageError
from ..host.errors import host_errors
from ..win32.names import decode_wtf8

__all__ = ["DockerIgnore", "Part", "read_dockerignore"]

_NAME: Final = ".dockerignore"
_MAX_SIZE: Final = 1 << 20  # bytes


class DockerIgnore:
    """Patterns of files to leave out (see `recipe.Ignoring`); `source` names them in errors. Raises UsageError."""

    def __init__(self, patterns: Sequence[str], *, source: str) -> None:
        try:
            self._matcher = PatternMatcher(list(patterns))
        except ValueError as error:
            raise UsageError(f"patterns of what to leave out: {error}", path=source) from None

    def match(self, path: bytes, _directory: bool = False, /) -> bool:
        """Is this very name left out, or a directory above it?"""
        return self._matcher.matches(_text(path))

    def may_reopen(self, path: bytes, /) -> bool:
        """May something below a directory that is left out come in all the same?"""
        return self._matcher.may_match_under(_text(path))


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
    """The patterns for a context: from DOCKERFILE.dockerignore, else from .dockerignore in the context, else none."""
    names = [] if dockerfile is None else [dockerfile + _NAME]
    for path in (*names, os.path.join(context, _NAME)):
        with host_errors(path):
            try:
                with open(path, "rb") as file:
                    data = file.read(_MAX_SIZE + 1)
            except FileNotFoundError:
                continue
        if len(data) > _MAX_SIZE:
            raise UsageError("a list of patterns this long", path=path, expected=f"at most {_MAX_SIZE:,} bytes")
        lines = data.decode("utf-8-sig", "surrogateescape").splitlines()
        return DockerIgnore(lines, source=path)
    return DockerIgnore([], source=context)
