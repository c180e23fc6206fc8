"""makebaselayer and real hives: valid ones are kept, broken ones refused; other programs read what it makes."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.compat.tools import missing, shared, tool
from tests.windows.layers import HIVES
from wclayer import convert_to_base_layer, verify_layer
from wclayer.errors import HiveError

CONFIG = Path("Files", "Windows", "System32", "config")
BOOT = Path("UtilityVM", "Files", "EFI", "Microsoft", "Boot")


def put(folder: Path, hive: Path) -> Path:
    (folder / CONFIG).mkdir(parents=True)
    shutil.copyfile(hive, folder / CONFIG / "SOFTWARE")
    return folder / CONFIG / "SOFTWARE"


@pytest.mark.parametrize(
    "name",
    [
        "hivex_rlenvalue",
        "hivex_special",
        "hpc_minimal",
        "nt-hive__testdata_testhive",
        "regipy_BCD",
        "regipy_SAM",
        "yarp_BigDataHive",
        "yarp_ManySubkeysHive",
        "yarp_OffHive",
        "yarp_RecoveredHive_Windows10",
        "yarp_UnicodeHive",
    ],
)
def test_valid_hives_are_kept(tmp_path: Path, name: str) -> None:
    hive = put(tmp_path, shared(f"data/hives/{name}"))
    before = hive.stat().st_mtime_ns
    result = convert_to_base_layer(tmp_path)
    assert (len(result.made), len(result.kept)) == (4, 1)
    assert hive.read_bytes() == shared(f"data/hives/{name}").read_bytes()
    assert hive.stat().st_mtime_ns == before


def test_the_hives_of_windows_own_library_have_no_fault(tmp_path: Path) -> None:
    """ORCreateHive and ORSaveHive wrote it, by which hcsshim makes the five hives of a base layer."""
    (tmp_path / CONFIG).mkdir(parents=True)
    for name in HIVES:
        shutil.copyfile(shared("data/hives/nt-hive__testdata_testhive"), tmp_path / CONFIG / name)
    result = convert_to_base_layer(tmp_path)
    assert (len(result.made), len(result.kept)) == (0, 5)
    found = [str(finding.rule.code) for finding in verify_layer(str(tmp_path)).findings]
    assert [code for code in found if code.startswith("WCL4")] == []


@pytest.mark.parametrize(
    "name",
    ["yarp_BadListHive", "yarp_NewDirtyHive", "yarp_WrongOrderHive", "yarp_NewDirtyHive.LOG1", "yarp_System_Delta"],
)
def test_broken_dirty_and_differencing_hives_are_refused(tmp_path: Path, name: str) -> None:
    hive = put(tmp_path, shared(f"data/hives/{name}"))
    with pytest.raises(HiveError) as caught:
        convert_to_base_layer(tmp_path)
    assert caught.value.path is not None
    assert caught.value.path.endswith("config/SOFTWARE")
    assert [path.name for path in hive.parent.iterdir()] == ["SOFTWARE"]


def test_a_real_boot_store_is_kept(tmp_path: Path) -> None:
    (tmp_path / "Files").mkdir()
    (tmp_path / BOOT).mkdir(parents=True)
    shutil.copyfile(shared("data/hives/regipy_BCD"), tmp_path / BOOT / "BCD")
    assert convert_to_base_layer(tmp_path).kept == [(BOOT / "BCD").as_posix()]


def test_python_registry_reads_every_hive(tmp_path: Path) -> None:
    if importlib.util.find_spec("Registry") is None:
        missing("python-registry")
    registry = importlib.import_module("Registry.Registry")
    (tmp_path / "Files").mkdir()
    (tmp_path / "UtilityVM" / "Files").mkdir(parents=True)
    for path in convert_to_base_layer(tmp_path, create_bcd=True).made:
        before = (tmp_path / path).read_bytes()
        root = registry.Registry(str(tmp_path / path)).root()
        assert [key.name() for key in root.subkeys()] == (["Description", "Objects"] if path.endswith("BCD") else [])
        assert (tmp_path / path).read_bytes() == before


@pytest.mark.parametrize("program", ["hivexml", "hivexsh", "regfinfo", "regfexport", "reglookup"])
def test_other_programs_read_every_hive(tmp_path: Path, program: str) -> None:
    (tmp_path / "layer" / "Files").mkdir(parents=True)
    (tmp_path / "layer" / BOOT.parent.parent.parent).mkdir(parents=True)
    made = convert_to_base_layer(tmp_path / "layer", create_bcd=True).made
    assert len(made) == 6
    for number, path in enumerate(made):
        copy = tmp_path / f"copy-{number}"
        shutil.copyfile(tmp_path / "layer" / path, copy)
        before = hashlib.sha256(copy.read_bytes()).digest()
        done = subprocess.run([tool(program), str(copy)], input=b"ls\n", capture_output=True, check=False)
        assert done.returncode == 0, done.stderr
        assert done.stderr == b""
        assert done.stdout or program == "hivexsh"  # of a root without keys it lists nothing
        assert hashlib.sha256(copy.read_bytes()).digest() == before
