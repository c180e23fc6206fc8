"""Digests of contents: what is equal, whatever its holes, has equal ones, and long holes take no time."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import pytest

from wclayer.body import BytesBody, HoledBody
from wclayer.layers.hashing import Digest, Hasher

BLOCK = 1 << 16


def digest(content: bytes, extents: Sequence[tuple[int, int]] | None = None, *, zeros: int = 1 << 30) -> Digest:
    """Of a content, of which the rest is in holes."""
    if extents is None:
        return Hasher(zeros).digest(BytesBody(content))
    source = BytesBody(b"".join(content[at : at + length] for at, length in extents))
    return Hasher(zeros).digest(HoledBody(len(content), extents, source.read))


@pytest.mark.parametrize("content", [b"", b"abc", bytes(100), b"x" * BLOCK, b"x" * BLOCK + bytes(BLOCK - 1)])
def test_without_a_block_of_zeros_it_is_the_sha256(content: bytes) -> None:
    sha256 = hashlib.sha256(content).hexdigest()
    assert digest(content) == (f"sha256:{sha256}", sha256)


def test_of_nothing_is_that_of_no_bytes() -> None:
    assert Hasher().digest(None) == digest(b"")


def test_blocks_of_zeros_count_the_same_in_holes_and_written() -> None:
    content = b"a" * 100 + bytes(3 * BLOCK) + b"b" * 70_000 + bytes(2 * BLOCK)
    written = digest(content)
    assert written.key.startswith("sha256-nonzero:")
    assert written.sha256 == hashlib.sha256(content).hexdigest()
    assert digest(content, [(0, 100), (BLOCK * 3, BLOCK * 2)]) == written
    assert digest(content, [(0, 100), (100 + 3 * BLOCK, 70_000)]) == written
    assert digest(content, [(0, 1), (1, 99), (BLOCK * 2 + 5, 90), (100 + 3 * BLOCK, 70_000)]) == written


def test_equal_contents_have_equal_keys_though_there_are_too_many_holes() -> None:
    content = bytes(BLOCK) + b"x" + bytes(5 * BLOCK)
    holed = digest(content, [(BLOCK, 1)], zeros=4 * BLOCK)
    assert holed.sha256 is None
    assert holed.key == digest(content).key


def test_the_budget_is_one_for_all() -> None:
    hasher = Hasher(3 * BLOCK)
    bodies = [HoledBody(2 * BLOCK, (), BytesBody(b"").read) for _ in range(2)]
    assert [hasher.digest(body).sha256 for body in bodies] == [hashlib.sha256(bytes(2 * BLOCK)).hexdigest(), None]


def test_a_hole_of_2_to_the_60_takes_no_time() -> None:
    first = Hasher().digest(HoledBody(1 << 60, [(1 << 40, 3)], BytesBody(b"abc").read))
    assert first.sha256 is None
    assert first == Hasher().digest(HoledBody(1 << 60, [(1 << 40, 3), (1 << 50, 9)], BytesBody(b"abc" + bytes(9)).read))
    others = [(1 << 60, [(1 << 40, 2), (1 << 41, 1)]), (1 << 60, [((1 << 40) + 1, 3)]), ((1 << 60) + 1, [(1 << 40, 3)])]
    for size, extents in others:
        assert Hasher().digest(HoledBody(size, extents, BytesBody(b"abc").read)).key != first.key
