"""convert_to_base_layer: what it makes, keeps, refuses; that it is repeatable, and leaves nothing after an error."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest

from tests.hosts import needs_symlinks, posix_only
from tests.tars import BASE, M, build, directory
from wclayer import convert_to_base_layer, export_layer_to_tar, import_layer_from_tar
from wclayer.entry import Directory, File
from wclayer.errors import ConfinementError, HiveError, LayerError, NotFoundError, StorageError, UsageError
from wclayer.layers import base
from wclayer.regf.bcd import minimal_bcd
from wclayer.regf.check import require_loadable
from wclayer.regf.minimal import minimal_hive
from wclayer.stores.folders import open_folder

NAMES = ["DEFAULT", "SAM", "SECURITY", "SOFTWARE", "SYSTEM"]
CONFIG = "Files/Windows/System32/config"
BOOT = "UtilityVM/Files/EFI/Microsoft/Boot"
NS = 1_600_000_000_123_456_700
HIVE = minimal_hive(7, root_name="mine")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    files = tmp_path / "layer" / "Files"
    (files / "App").mkdir(parents=True)
    (files / "App" / "app.exe").write_bytes(b"MZ")
    for number, path in enumerate((files / "App", files, files.parent, files / "App" / "app.exe")):
        os.utime(path, ns=(NS, NS - (3 - number) * 10**9))
    return files.parent


def snapshot(folder: Path) -> dict[str, tuple[int, bytes | None]]:
    """Of everything in the folder: mtime and content."""
    paths = [folder, *folder.rglob("*")]
    return {
        p.relative_to(folder).as_posix(): (p.lstat().st_mtime_ns, p.read_bytes() if p.is_file() else None)
        for p in paths
    }


def test_five_hives_from_nothing(folder: Path) -> None:
    before = snapshot(folder)
    result = convert_to_base_layer(folder)
    assert (result.made, result.replaced, result.kept) == ([f"{CONFIG}/{name}" for name in NAMES], [], [])
    after = snapshot(folder)
    assert {path: after[path] for path in before} == before  # times of directories, too
    inodes = set()
    for name in NAMES:
        path = folder / CONFIG / name
        require_loadable(path.read_bytes())
        inodes.add(path.stat().st_ino)
        assert path.stat().st_nlink == 1
    assert len(inodes) == 5
    assert {mtime for path, (mtime, _) in after.items() if path not in before} == {NS}  # the newest that was there
    assert convert_to_base_layer(folder).made == []
    assert snapshot(folder) == after


def test_the_time_can_be_given(folder: Path) -> None:
    convert_to_base_layer(folder, source_date_epoch=1_700_000_000)
    path = folder / CONFIG / "SYSTEM"
    assert path.stat().st_mtime_ns == 1_700_000_000 * 10**9
    assert path.read_bytes() == minimal_hive(116444736000000000 + 1_700_000_000 * 10**7)


def test_the_result_is_a_layer(folder: Path, tmp_path: Path) -> None:
    convert_to_base_layer(folder)
    tar = io.BytesIO()
    export_layer_to_tar(folder, tar)
    import_layer_from_tar(io.BytesIO(tar.getvalue()), tmp_path / "again")
    assert convert_to_base_layer(tmp_path / "again").made == []
    with open_folder(tmp_path / "again") as layer:
        entry = layer.lookup(f"{CONFIG}/system")
        assert isinstance(entry, File)
        assert entry.size == 8192
        assert entry.security_descriptor is not None


def test_names_are_compared_as_windows_does(folder: Path) -> None:
    other = folder / "Files" / "windows" / "SYSTEM32" / "Config"
    other.mkdir(parents=True)
    (other / "Software").write_bytes(HIVE)
    result = convert_to_base_layer(folder)
    assert result.kept == [f"{CONFIG}/SOFTWARE"]
    assert sorted(path.name for path in other.iterdir()) == ["DEFAULT", "SAM", "SECURITY", "SYSTEM", "Software"]
    assert sorted(path.name for path in (folder / "Files").iterdir()) == ["App", "windows"]


@posix_only("names by case")
def test_names_that_are_one_to_windows(folder: Path) -> None:
    (folder / CONFIG).mkdir(parents=True)
    for name in ("Software", "SOFTWARE"):
        (folder / CONFIG / name).write_bytes(HIVE)
    with pytest.raises(LayerError, match="one to Windows"):
        convert_to_base_layer(folder)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "empty"),
        (b"regf" + bytes(4092), "hive"),
        (HIVE[:-4096], "hive"),
        (HIVE[:4] + b"\x09" + HIVE[5:], "dirty"),
        (b"MZ" * 5000, "hive"),
    ],
)
def test_an_invalid_hive_is_refused_or_replaced(folder: Path, data: bytes, message: str) -> None:
    (folder / CONFIG).mkdir(parents=True)
    for name in NAMES[:4]:
        (folder / CONFIG / name).write_bytes(HIVE if name != "SAM" else data)
    before = snapshot(folder)
    with pytest.raises(HiveError, match=message) as caught:
        convert_to_base_layer(folder)
    assert caught.value.path == f"{CONFIG}/SAM"
    assert caught.value.hint is not None
    assert "--replace-invalid" in caught.value.hint
    assert snapshot(folder) == before
    result = convert_to_base_layer(folder, replace_invalid=True)
    assert (result.made, result.replaced) == ([f"{CONFIG}/SYSTEM"], [f"{CONFIG}/SAM"])
    assert result.kept == [f"{CONFIG}/{name}" for name in ("DEFAULT", "SECURITY", "SOFTWARE")]
    after = snapshot(folder)
    assert {path for path in before if after[path] != before[path]} == {f"{CONFIG}/SAM"}
    require_loadable((folder / CONFIG / "SAM").read_bytes())


def test_links_of_one_file_are_refused(folder: Path) -> None:
    (folder / CONFIG).mkdir(parents=True)
    (folder / CONFIG / "SAM").write_bytes(HIVE)
    (folder / CONFIG / "SYSTEM").hardlink_to(folder / CONFIG / "SAM")
    with pytest.raises(LayerError, match="hard links") as caught:
        convert_to_base_layer(folder)
    assert (caught.value.path, caught.value.got) == (f"{CONFIG}/SYSTEM", f"{CONFIG}/SAM")
    assert sorted(path.name for path in (folder / CONFIG).iterdir()) == ["SAM", "SYSTEM"]


def test_the_boot_store(folder: Path) -> None:
    (folder / "UtilityVM" / "Files").mkdir(parents=True)
    before = snapshot(folder)
    with pytest.raises(NotFoundError, match="boot store") as caught:
        convert_to_base_layer(folder)
    assert caught.value.path == f"{BOOT}/BCD"
    assert snapshot(folder) == before
    assert convert_to_base_layer(folder, create_bcd=True, source_date_epoch=5).made[-1] == f"{BOOT}/BCD"
    store = folder / BOOT / "BCD"
    assert store.read_bytes() == minimal_bcd(116444736000000000 + 5 * 10**7)
    assert convert_to_base_layer(folder).kept[-1] == f"{BOOT}/BCD"
    store.write_bytes(b"")
    with pytest.raises(HiveError, match="empty"):
        convert_to_base_layer(folder, create_bcd=True)
    assert convert_to_base_layer(folder, replace_invalid=True).replaced == [f"{BOOT}/BCD"]


def test_a_utility_vm_without_files_needs_no_boot_store(folder: Path) -> None:
    (folder / "UtilityVM").mkdir()
    assert len(convert_to_base_layer(folder).made) == 5


@needs_symlinks
@pytest.mark.parametrize("link", ["UtilityVM", "Files/Windows", "Files/Windows/System32/config"])
def test_links_on_the_way_are_refused(folder: Path, tmp_path: Path, link: str) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (folder / link).parent.mkdir(parents=True, exist_ok=True)
    (folder / link).symlink_to("App" if link.startswith("Files") else "Files", target_is_directory=True)
    with pytest.raises((ConfinementError, LayerError)):
        convert_to_base_layer(folder)
    assert list(outside.iterdir()) == []


def test_a_recorded_junction_is_refused(tmp_path: Path) -> None:
    junction = M(
        "Files/Windows", type="2", link="C:\\Files/App", pax={"MSWINDOWS.mountpoint": "1", "MSWINDOWS.fileattr": "1040"}
    )
    import_layer_from_tar(io.BytesIO(build([*BASE, junction])), tmp_path / "layer")
    with open_folder(tmp_path / "layer") as layer:
        assert isinstance(layer.lookup("Files/Windows"), Directory)
    with pytest.raises(ConfinementError) as caught:
        convert_to_base_layer(tmp_path / "layer")
    assert caught.value.path == "Files/Windows"


def test_what_is_no_base_layer(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        convert_to_base_layer(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(NotFoundError, match="Files"):
        convert_to_base_layer(tmp_path / "empty")
    (folder / "Hives").mkdir()
    convert_to_base_layer(folder)  # what Windows' processing makes
    (folder / "Hives" / "System_Delta").write_bytes(b"regf")
    with pytest.raises(UsageError, match="non-base"):
        convert_to_base_layer(folder)
    import_layer_from_tar(io.BytesIO(build(BASE)), tmp_path / "base")
    upper = build([*BASE, directory("Hives"), M("Hives/System_Delta", b"regf")])
    import_layer_from_tar(io.BytesIO(upper), tmp_path / "upper", [tmp_path / "base"])
    with pytest.raises(UsageError, match="non-base"):
        convert_to_base_layer(tmp_path / "upper")


def test_an_error_in_the_middle_leaves_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = snapshot(folder)
    calls = 0

    def failing(time: int) -> bytes:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise OSError(28, "No space left on device")
        return minimal_hive(time)

    monkeypatch.setattr(base, "minimal_hive", failing)
    with pytest.raises(StorageError):
        convert_to_base_layer(folder)
    assert calls == 3
    assert snapshot(folder) == before
