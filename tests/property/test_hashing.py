"""The digests of contents against hashlib: neither the pieces they come in nor how their holes are laid out matter."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from wclayer.body import BytesBody, HoledBody
from wclayer.layers.hashing import Hasher

BLOCK = 1 << 16


class Pieces:
    """A body in pieces of given lengths."""

    def __init__(self, content: bytes, lengths: Sequence[int]) -> None:
        self.size = len(content)
        self._content = content
        self._lengths = lengths

    def extents(self) -> Sequence[tuple[int, int]]:
        return ((0, self.size),)

    def read(self, n: int = -1, /) -> bytes:  # noqa: ARG002
        raise AssertionError

    def chunks(self) -> Iterator[tuple[int, bytes]]:
        at = 0
        for length in (*self._lengths, self.size):
            if at < self.size:
                yield at, self._content[at : at + length]
            at += length


@given(
    st.lists(st.tuples(st.sampled_from([b"\0", b"a", b"b"]), st.integers(1, 3 * BLOCK)), max_size=5),
    st.lists(st.integers(1, 2 * BLOCK), max_size=5),
    st.lists(st.integers(1, 2 * BLOCK), max_size=6, unique=True),
)
def test_neither_pieces_nor_holes_change_it(runs: list[tuple[bytes, int]], pieces: list[int], cuts: list[int]) -> None:
    content = b"".join(byte * length for byte, length in runs)
    whole = Hasher().digest(BytesBody(content))
    assert whole.sha256 == hashlib.sha256(content).hexdigest()
    assert Hasher().digest(Pieces(content, pieces)) == whole
    ranges = pairwise([0, *sorted(cut for cut in cuts if cut < len(content)), len(content)])
    extents = [(at, end - at) for at, end in ranges if content[at:end].strip(b"\0")]
    allocated = BytesBody(b"".join(content[at : at + length] for at, length in extents))
    assert Hasher().digest(HoledBody(len(content), extents, allocated.read)) == whole
