"""Patterns of paths: components with `*`, `?` and `[...]`, as in Go's path.Match, which Docker uses."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable
from functools import lru_cache
from typing import Final

__all__ = ["component", "is_wild"]

_WILD: Final = re.compile(r"[*?\[]")


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
