"""What stands in the way on Windows: a clear error, privileges given back, no half layer, and a second try works."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.compat.wine import standin
from tests.compat.wine.worlds import Batch, base_tar, processed_folder, write

# How the host differs, the exit code, what the error says.
HOSTS: dict[str, tuple[dict[str, Any], int, str]] = {
    "no privilege": (
        {"instead": {"wclayer.layers.windows.service.IMPORT": ["SeBackupPrivilege", "SeCreateTokenPrivilege"]}},
        14,
        "does not hold SeCreateTokenPrivilege",
    ),
    "not elevated": (
        {"instead": {"wclayer.layers.windows.service.ADMINISTRATORS": "S-1-5-32-546"}},
        14,
        "does not run as administrator",
    ),
    "no Containers feature": ({"lacks": ["NameToGuid"]}, 17, "feature Containers"),
    "ReFS": ({"answers": {"wclayer.stores.windows.sink.file_system_of": "ReFS"}}, 17, "expected NTFS; got ReFS"),
}
COMMANDS: dict[str, list[str]] = {
    "import": ["import", "-i", "base.tar", "L/new"],
    "makebaselayer": ["makebaselayer", "L/plain"],
    "create": ["create", "-l", "L/p0", "L/new"],
    "mount": ["mount", "-l", "L/p0", "L/scr"],
    "remove": ["remove", "L/rm"],
    "export": ["export", "-o", "o.tar", "L/p0"],
    "process": ["process", "L/other"],
}


def world(place: Path) -> Path:
    write(place / "base.tar", base_tar())
    processed_folder(place / "L/p0")
    for name in ("scr", "rm"):
        write(place / f"L/{name}/sandbox.vhdx", b"vhdx")
    for name in ("plain", "other"):
        write(place / f"L/{name}/Files/f", b"f")
    return place


def given(place: Path, words: Sequence[str]) -> list[str | Path]:
    return [place / word if "/" in word or "." in word else word for word in words]


def content(place: Path) -> dict[str, bytes | None]:
    return {str(path): path.read_bytes() if path.is_file() else None for path in sorted(place.rglob("*"))}


def test_hosts_that_cannot(batch: Batch) -> None:
    jobs = []
    for what, (host, code, text) in HOSTS.items():
        for name, words in COMMANDS.items():
            if what == "ReFS" and name != "import":
                continue
            place = world(batch.folder / f"{what} {name}")
            before = content(place)
            job = batch.add(given(place, words), batch.folder / f"state {what} {name}", host=host)
            jobs.append((name, place, before, job, code, text))
    results = batch.run()
    for name, place, before, job, code, text in jobs:
        result = results[job]
        assert result["exit"] == code, (name, result)
        assert text in result["error"], (name, result)
        assert result["error"].count("\n") == 1
        assert content(place) == before, name


def test_a_folder_in_use(batch: Batch) -> None:
    place = world(batch.folder / "w")
    state = batch.folder / "state"
    first = batch.add(["import", "-i", place / "base.tar", place / "L/new"], state)
    held = standin.windows_path(place / "L/new/Files/dir/f")
    again: list[str | Path] = ["import", "--force", "-i", place / "base.tar", place / "L/new"]
    refused = batch.add(again, state, host={"open": [held]})
    removed = batch.add(["remove", place / "L/new"], state, fail="DestroyLayer=0x80070020")
    second = batch.add(again, state)
    results = batch.run()
    assert results[first]["exit"] == results[second]["exit"] == 0, results
    # wine lets a folder be renamed while a file in it is open
    assert results[refused]["exit"] in (0, 14, 15), results[refused]
    assert (results[removed]["exit"], "unmount it" in results[removed]["error"]) == (15, True)
    assert not list((place / "L").glob("*partial*"))


def test_a_path_of_four_hundred_characters(batch: Batch) -> None:
    deep = batch.folder.joinpath(*["n" * 80] * 5)
    deep.mkdir(parents=True)
    place = world(batch.folder / "w")
    state = batch.folder / "state"
    batch.add(["import", "-i", place / "base.tar", deep / "layer"], state)
    batch.add(["export", "-o", place / "again.tar", deep / "layer"], state)
    batch.add(["status", deep / "layer"], state)
    batch.add(["create", "-l", deep / "layer", deep / "scratch"], state)
    for result in batch.run():
        assert result["exit"] == 0, result
    assert (place / "again.tar").read_bytes() == base_tar()
    assert len(standin.windows_path(deep / "layer")) > 400


@pytest.mark.parametrize("where", ["Files/out", "Files/Windows", "UtilityVM"])
def test_links_planted_in_a_layer_folder(batch: Batch, where: str) -> None:
    """Links of wine's host, which it shows as reparse points; nothing may be read or written behind them."""
    place = world(batch.folder / "w")
    outside = batch.folder / "outside"
    write(outside / "System32/config/SYSTEM", b"theirs")
    write(outside / "Files/EFI/Microsoft/Boot/BCD", b"theirs")
    layer = place / "L/plain"
    (layer / where).symlink_to(outside)
    before = content(outside)
    state = batch.folder / "state"
    jobs = [
        batch.add(["export", "-o", place / "o.tar", layer], state),
        batch.add(["makebaselayer", layer], state),
        batch.add(["process", layer], state),
    ]
    results = batch.run()
    assert content(outside) == before
    for job in jobs:
        if where == "Files/out" and job != jobs[0]:
            continue  # it is in nobody's way
        assert results[job]["exit"] in (10, 12, 14), results[job]
    assert not (place / "o.tar").exists()


@pytest.mark.parametrize("call", ["BackupWrite", "BackupRead"])
def test_the_backup_calls_fail(batch: Batch, call: str) -> None:
    """At the first object, and in the middle; what the disk is full of, and what may not be read."""
    jobs = []
    words = ["import", "-i", "base.tar", "L/new"] if call == "BackupWrite" else ["export", "-o", "o.tar", "L/p0"]
    for number in (1, 9):
        for hresult, code in ((0x80070070, 15), (0x80070005, 14)):
            place = world(batch.folder / f"{call} {number} {code}")
            before = content(place)
            state = batch.folder / f"state {number} {code}"
            job = batch.add(given(place, words), state, f"{call}={hresult:#x}@{number}")
            jobs.append((place, before, job, code, batch.add(given(place, words), state)))
    results = batch.run()
    for place, before, job, code, again in jobs:
        assert results[job]["exit"] == code, results[job]
        assert results[job]["error"].count("\n") == 1
        assert results[again]["exit"] == 0, results[again]
        made = {path for path in content(place) if path not in before}
        assert {Path(path).relative_to(place).parts[:2] for path in made} <= {("L", "new"), ("o.tar",)}


def test_the_service_exports_nothing(batch: Batch) -> None:
    """It says that all is well, and leaves an empty folder."""
    place = world(batch.folder / "w")
    write(place / "L/p1/Files/f", b"f")
    before = content(place)
    export = ["export", "-l", "L/p0", "-o", "o.tar", "L/p1"]
    host = {"answers": {"wclayer.hcs.calls.export_layer": None}}
    batch.add(given(place, export), batch.folder / "state", host=host)
    (result,) = batch.run()
    assert result["exit"] == 12, result
    assert "the host compute service has exported nothing" in result["error"]
    assert result["error"].count("\n") == 1
    assert content(place) == before
