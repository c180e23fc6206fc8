"""Bodies put aside."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.hosts import WINDOWS
from wclayer.body import BytesBody, HoledBody, StreamBody
from wclayer.entry import Body
from wclayer.errors import NotFoundError, StorageError
from wclayer.host.spool import EMPTY, Spool


def holed(size: int, *extents: tuple[int, int]) -> Body:
    data = BytesBody(b"".join(bytes([65 + number]) * length for number, (_, length) in enumerate(extents)))
    return HoledBody(size, extents, data.read)


def test_bodies_are_read_again_by_turns(tmp_path: Path) -> None:
    with Spool(tmp_path) as spool:
        one, two, none = (
            spool.put(BytesBody(b"one" * 100_000)),
            spool.put(holed(20, (3, 4), (10, 2))),
            spool.put(BytesBody(b"")),
        )
        assert WINDOWS or list(tmp_path.iterdir()) == []  # it has no name
        first, second = spool.open(one), spool.open(two)
        assert first.read(5) == b"oneon"
        assert second.read() == b"\0\0\0AAAA\0\0\0BB" + bytes(8)
        assert first.read() == (b"one" * 100_000)[5:]
        again = spool.open(two)
        assert again.size == 20
        assert list(again.extents()) == [(3, 4), (10, 2)]
        assert list(again.chunks()) == [(3, b"AAAA"), (10, b"BB")]
        assert spool.open(none).read() == b""
    assert list(tmp_path.iterdir()) == []


def test_a_body_that_is_cut_off_is_refused(tmp_path: Path) -> None:
    """Not made up with zeros."""
    with Spool(tmp_path) as spool:
        for body in (
            StreamBody(10, BytesBody(b"abc").read),
            HoledBody(20, [(3, 4), (10, 2)], BytesBody(b"AAAA").read),
            HoledBody(20, [(3, 4), (10, 2)], BytesBody(b"AA").read),
        ):
            with pytest.raises(StorageError, match=r"not as long as their entry says; expected .* bytes; got "):
                spool.put(body)
        again = spool.put(holed(20, (3, 4)))
        assert spool.open(again).read() == bytes(3) + b"AAAA" + bytes(13)


def test_nothing_put_makes_no_file(tmp_path: Path) -> None:
    with Spool(tmp_path / "not there") as spool:
        assert spool.open(EMPTY).read() == b""
        with pytest.raises(NotFoundError):
            spool.put(BytesBody(b"x"))
