"""Folders and files that are whole or absent, made by several at once."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from wclayer.errors import AlreadyExistsError, NotFoundError
from wclayer.stores.partial import PartialFolder, partial_file


def test_makers_at_once_do_not_remove_each_others_work(tmp_path: Path) -> None:
    """Each of them removes what it takes for left by a killed process."""
    lost: list[bytes] = []

    def work() -> None:
        for _ in range(60):
            with PartialFolder(tmp_path / "target") as partial:
                lost.extend(partial.path for _ in range(5) if not os.path.isdir(partial.path))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert lost == []
    assert os.listdir(tmp_path) == []


def test_a_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with partial_file(str(path)) as stream:
        stream.write(b"new")
        assert not path.exists()
    assert path.read_bytes() == b"new"
    with pytest.raises(AlreadyExistsError), partial_file(str(path)):
        pass
    with pytest.raises(ZeroDivisionError), partial_file(str(path), force=True) as stream:
        stream.write(bytes(1 // 0))
    assert path.read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["file"]
    with pytest.raises(AlreadyExistsError, match="a folder of that name"), partial_file(str(tmp_path), force=True):
        pass
    with pytest.raises(NotFoundError, match="make it first"), partial_file(str(tmp_path / "none" / "file")):
        pass
