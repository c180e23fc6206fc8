"""Patterns of paths, against what Go's path.Match says of the same ones (Go 1.19)."""

from __future__ import annotations

import pytest

from wclayer.layers.lookup.patterns import is_malformed


@pytest.mark.parametrize(
    ("pattern", "malformed"),
    [
        *((text, True) for text in ("[a", "[]", "[]a]", "[-a]", "[a-]", "[a-b-c]", "[^]", "[", "a[b", "[a.txt,")),
        *((text, True) for text in ("[--0]", "**[", "[a][b", "*[", "[^-a]")),
        *((text, False) for text in ("", "a", "[^^]", "[a]", "[a-c]x", "[^a]", "[*]", "[[*]", "x]", "[[a].txt,")),
        *((text, False) for text in ("[z-a]", "[!a]", "[a]]", '["a"]')),
    ],
)
def test_which_are_malformed(pattern: str, malformed: bool) -> None:
    assert is_malformed(pattern) is malformed
