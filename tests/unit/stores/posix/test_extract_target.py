"""The folder for files that are taken out of layers."""

from __future__ import annotations

from pathlib import Path

import pytest

from wclayer.body import BytesBody, HoledBody, StreamBody
from wclayer.errors import StorageError
from wclayer.stores.posix.extract_target import PlainFolder


def test_a_hole_at_the_end_of_a_file(tmp_path: Path) -> None:
    with PlainFolder(tmp_path / "out") as folder:
        folder.file("f", HoledBody(9, [(0, 4)], BytesBody(b"data").read, "f"), 9)
        folder.file("empty", None, 5)
        folder.commit()
    assert (tmp_path / "out/f").read_bytes() == b"data" + bytes(5)
    assert (tmp_path / "out/empty").read_bytes() == bytes(5)


def test_a_short_body_leaves_nothing(tmp_path: Path) -> None:
    with PlainFolder(tmp_path / "out") as folder, pytest.raises(StorageError, match="not as long"):
        folder.file("f", StreamBody(5, BytesBody(b"123").read), 5)
    assert list(tmp_path.iterdir()) == []
