"""A generated layer of nanoserver's shape and size: import, export and build each under 150 MB of memory."""

from __future__ import annotations

import filecmp
import json
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from tests.compat import ntfs
from tests.compat.tools import REPOSITORY

LIMIT = 150 << 20

MEASURE = """
import json, resource, subprocess, sys
done = subprocess.run(sys.argv[1:], capture_output=True, check=True)
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
print(json.dumps({"peak": peak, **json.loads(done.stdout or "{}")}))
"""


def measured(*arguments: str | Path) -> dict[str, object]:
    command = [sys.executable, "-c", MEASURE, sys.executable, "-m", "wclayer", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, check=True)
    result: dict[str, object] = json.loads(done.stdout)
    peak = result["peak"]
    assert isinstance(peak, int)
    assert peak < LIMIT
    return result


@pytest.fixture(scope="module")
def tar(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A layer tar of nanoserver's shape, which nobody may change."""
    path = tmp_path_factory.mktemp("nanoserver") / "big.tar"
    command = [sys.executable, str(REPOSITORY / "examples" / "sample_layer.py"), "--nanoserver", str(path)]
    subprocess.run(command, check=True)
    return path


def test_memory_on_ntfs(tmp_path: Path, tar: Path) -> None:
    """tar -> NTFS -> tar, unchanged: the command's own memory, without the driver's."""
    ntfs.require_mounts("sfdisk")
    disk = tmp_path / "disk.img"
    measured("disk", "create", "--json", "--size", "1G", disk)
    imported = measured("import", "--json", "-i", tar, f"disk:{disk}//layer")
    assert imported["entries"] == {"directories": 1350, "files": 5164, "hard_links": 3774}
    assert imported["warnings"] == []
    measured("export", "--json", "-o", tmp_path / "back.tar", f"disk:{disk}//layer")
    assert filecmp.cmp(tar, tmp_path / "back.tar", shallow=False)
    (tmp_path / "back.tar").unlink()
    canonical = measured("export", "--framing", "canonical", "--json", "-o", tmp_path / "c.tar", f"disk:{disk}//layer")
    measured("import", "--json", "-i", tar, tmp_path / "elsewhere")
    elsewhere = measured(
        "export", "--framing", "canonical", "--json", "--force", "-o", tmp_path / "c.tar", tmp_path / "elsewhere"
    )
    assert canonical["diff_id"] == elsewhere["diff_id"]


@pytest.mark.skipif(sys.platform == "win32", reason="resource usage of POSIX")
def test_memory(tmp_path: Path, tar: Path) -> None:
    imported = measured("import", "--json", "-i", tar, tmp_path / "layer")
    assert imported["entries"] == {"directories": 1350, "files": 5164, "hard_links": 3774}
    assert (tmp_path / "layer" / "layer.db").stat().st_size < 3_200_000
    with sqlite3.connect(tmp_path / "layer" / "layer.db") as db:
        [(framing,)] = db.execute("SELECT sum(length(data)) FROM framing")
    db.close()
    assert framing < 2_000_000
    tar = tmp_path / "out.tar"
    plain = measured("export", "--json", "-o", tar, tmp_path / "layer")
    assert plain["entries"] == imported["entries"]
    assert plain["diff_id"] == imported["diff_id"]
    canonical = measured("export", "--framing", "canonical", "--json", "--force", "-o", tar, tmp_path / "layer")
    assert canonical["entries"] == imported["entries"]
    tar.unlink()
    for compression in ("gzip", "zstd"):
        packed = measured("export", "--json", "--compress", compression, "-o", tar, tmp_path / "layer")
        assert packed["diff_id"] == plain["diff_id"]
        again = measured("import", "--json", "-i", tar, tmp_path / "again")
        assert again["diff_id"] == plain["diff_id"]
        subprocess.run(["rm", "-rf", str(tar), str(tmp_path / "again")], check=True)
    base = f"oci:{tmp_path / 'out'}:base"
    built = measured("build", "--json", tmp_path / "layer" / "Files", "-o", base)
    assert built["created"]
    on_top = ("build", "--json", "--no-cache", "--from", base, tmp_path / "layer" / "Files" / "Windows")
    top = measured(*on_top, "-o", f"oci:{tmp_path / 'out'}:top")
    assert top["base_layers"] == 1
