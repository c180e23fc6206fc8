"""A file system that fills up in the middle: exit code 15, and nothing left."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.compat.tools import missing, tool, wclayer
from tests.images import layout
from tests.tars import BASE, M, build

MANY = build([*BASE, *(M(f"Files/file-{number}", b"x" * 5000) for number in range(60))])
ENTRIES = build([*BASE, *(M(f"Files/file-{number}") for number in range(3000))])


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A tmpfs of 200 kB. Needs root, as CI has it."""
    place = tmp_path / "disk"
    place.mkdir()
    command = [tool("mount"), "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(place)]
    if sys.platform != "linux" or os.geteuid() != 0 or subprocess.run(command, check=False).returncode:
        missing("a small file system (tmpfs, by root)")
    try:
        yield place
    finally:
        subprocess.run([tool("umount"), str(place)], check=True)


@pytest.mark.parametrize("tar", [MANY, ENTRIES], ids=["by its files", "by its record"])
def test_import(small_disk: Path, tar: bytes) -> None:
    done = wclayer("import", small_disk / "layer", stdin=tar)
    assert (done.returncode, done.stderr.count(b"\n")) == (15, 1), done.stderr
    assert list(small_disk.iterdir()) == []


@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
def test_export(small_disk: Path, tmp_path: Path, compression: str) -> None:
    noise = build([*BASE, M("Files/noise", os.urandom(400_000))])
    assert wclayer("import", tmp_path / "layer", stdin=noise).returncode == 0
    done = wclayer("export", "--compress", compression, "-o", small_disk / "out", tmp_path / "layer")
    assert (done.returncode, done.stderr.count(b"\n")) == (15, 1), done.stderr
    assert list(small_disk.iterdir()) == []


@pytest.mark.parametrize(
    "place", ["oci:{}/new", "oci:{}/old:more", "oci-archive:{}/a.tar", "docker-archive:{}/a.tar", "cache"]
)
def test_build(small_disk: Path, tmp_path: Path, place: str) -> None:
    (tmp_path / "context").mkdir()
    (tmp_path / "context" / "noise").write_bytes(os.urandom(400_000))
    layout(small_disk / "old")
    before = sorted(small_disk.rglob("*"))
    command = ["build", tmp_path / "context", "--no-cache", "-o", place.format(small_disk)]
    if place == "cache":
        # What is known of the base is put aside in the system's temporary folder.
        big = layout(tmp_path / "base", [build([*BASE, *(M(f"Files/file-{number}") for number in range(3000))])])
        command = ["build", tmp_path / "context", "--no-cache", "--from", f"oci:{big}", "-o", f"oci:{tmp_path / 'out'}"]
    environment = {**os.environ, "TMPDIR": str(small_disk)}
    arguments = [sys.executable, "-m", "wclayer", *map(str, command)]
    done = subprocess.run(arguments, env=environment, capture_output=True, check=False)
    assert (done.returncode, done.stderr.count(b"\n")) == (15, 1), done.stderr
    assert sorted(small_disk.rglob("*")) == before
    assert not (tmp_path / "out").exists()
