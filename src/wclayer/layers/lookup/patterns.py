"""Patterns of paths: components with `*`, `?` and `[...]`, as in Go's path.Match, which Docker uses."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable
from functools import lru_cache
from typing import Final

__all__ = ["component", "is_malformed", "is_wild"]

_WILD: Final = re.compile(r"[*?\[]")
# In a class, `-` stands only between two characters, and `]` only at the end (path.Match, getEsc).
_CLASS: Final = r"\[\^?+(?:[^\]\-](?:-[^\]\-])?)+\]"
_WELL_FORMED: Final = re.compile(rf"(?:[^\[]|{_CLASS})*", re.DOTALL)


@lru_cache(1024)
def component(mask: str) -> Callable[[str], bool]:
    """A test of names against one component of a pattern, by the rules of Go's path.Match."""
    if not is_wild(mask):
        return mask.__eq__
    # fnmatch has the same syntax, but negates a class with `!`.
    theirs = re.sub(r"\[([\^!])", lambda found: "[!" if found[1] == "^" else "[\\!", mask)
    compiled = re.compile(fnmatch.translate(theirs))
    return lambda text: compiled.match(text) is not None


def is_wild(mask: str) -> bool:
    """Has the pattern wildcards?"""
    return _WILD.search(mask) is not None


def is_malformed(mask: str) -> bool:
    """Has the pattern a class that path.Match refuses, such as `[a` without its `]`?"""
    return _WELL_FORMED.fullmatch(mask) is None
