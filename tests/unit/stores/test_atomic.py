"""Folders and files that are whole or absent, made by several at once."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from tests.hosts import posix_only
from wclayer.errors import AlreadyExistsError, NotFoundError
from wclayer.host.unfinished import abort_unfinished
from wclayer.stores.atomic import PartialFolder, partial_file, remove_tree
from wclayer.stores.in_place import replaced_file


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


def test_a_file_is_replaced_where_it_is(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"old")
    os.chmod(tmp_path / "file", 0o640)
    if os.name != "nt":
        (tmp_path / "link").symlink_to("file")
    link = tmp_path / ("file" if os.name == "nt" else "link")
    with pytest.raises(TypeError), replaced_file(str(link)) as stream:
        stream.write("half-way")  # type: ignore[call-overload]
    assert (tmp_path / "file").read_bytes() == b"old"
    with replaced_file(str(link)) as stream:
        stream.write(b"new")
    assert (tmp_path / "file").read_bytes() == b"new"
    if os.name != "nt":
        assert link.is_symlink()
        assert (tmp_path / "file").stat().st_mode & 0o777 == 0o640
    with pytest.raises(NotFoundError), replaced_file(str(tmp_path / "none")):
        pass
    assert sorted(os.listdir(tmp_path)) == sorted({"file", link.name})


@pytest.mark.skipif(os.name == "nt", reason="paths of Windows are shorter")
def test_a_tree_of_any_depth_is_removed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "kept").touch()
    with PartialFolder(tmp_path / "target") as partial:
        at = os.open(partial.path, os.O_RDONLY)
        for _ in range(1500):
            os.mkdir("d", dir_fd=at)
            os.symlink(tmp_path / "elsewhere", "link", dir_fd=at)
            below = os.open("d", os.O_RDONLY, dir_fd=at)
            os.close(at)
            at = below
        os.close(at)
    assert os.listdir(tmp_path) == ["elsewhere"]
    assert os.listdir(tmp_path / "elsewhere") == ["kept"]


@posix_only("symlinks")
def test_a_link_that_is_to_be_removed_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "kept").write_bytes(b"x")
    (tmp_path / "link").symlink_to("folder")
    remove_tree(os.fsencode(tmp_path / "link"))
    assert (tmp_path / "folder" / "kept").read_bytes() == b"x"


def test_a_signal_just_after_the_folder_was_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody holds the folder yet in a `with`; who ends the process removes it."""
    mkdir = os.mkdir

    def interrupted(path: bytes, mode: int = 0o777) -> None:
        mkdir(path, mode)
        raise SystemExit(143)

    monkeypatch.setattr(os, "mkdir", interrupted)
    with pytest.raises(SystemExit):
        PartialFolder(tmp_path / "layer")
    assert [path.name.partition("-")[0] for path in tmp_path.iterdir()] == ["layer.partial"]
    abort_unfinished()
    assert list(tmp_path.iterdir()) == []
