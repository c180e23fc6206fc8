"""Files that are read, changed and replaced: nobody's change is lost."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.command import COMMAND
from tests.hosts import posix_only
from wclayer.errors import NotFoundError, StorageError
from wclayer.regf.minimal import minimal_hive
from wclayer.regf.reader import read_hive
from wclayer.stores.in_place import changed_in_place

TIME = 133_000_000_000_000_000


@posix_only("time for eight programs")
def test_eight_at_once_make_eight_changes(tmp_path: Path) -> None:
    (tmp_path / "SOFTWARE").write_bytes(minimal_hive(TIME))
    for name in "ABCDEFGH":
        text = f'Windows Registry Editor Version 5.00\n\n[HKLM\\SOFTWARE\\Key{name}]\n"a"="1"\n'
        (tmp_path / f"{name}.reg").write_text(text)
    programs = [
        subprocess.Popen([*COMMAND, "hive", "import", "-q", "--in-place", "SOFTWARE", f"{name}.reg"], cwd=tmp_path)
        for name in "ABCDEFGH"
    ]
    assert [program.wait(timeout=60) for program in programs] == [0] * 8
    hive = read_hive((tmp_path / "SOFTWARE").read_bytes())
    assert [key.name for key in hive.root.subkeys] == [f"Key{name}" for name in "ABCDEFGH"]


@pytest.mark.parametrize("how", ["written", "replaced"])
def test_what_another_program_has_changed_meanwhile_stays(tmp_path: Path, how: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def change() -> None:
        with changed_in_place(str(path)) as replaced:
            if how == "replaced":
                (tmp_path / "other").write_bytes(b"new")
                (tmp_path / "other").replace(path)
            else:
                path.write_bytes(b"theirs")
            with replaced() as out:
                out.write(b"ours")

    with pytest.raises(StorageError, match="another program has changed the file meanwhile"):
        change()
    assert path.read_bytes() == (b"new" if how == "replaced" else b"theirs")
    assert [found.name for found in tmp_path.iterdir()] == ["file"]


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError), changed_in_place(str(tmp_path / "file")):
        pass
    assert list(tmp_path.iterdir()) == []
