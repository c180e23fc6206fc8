"""A file system that fills up in the middle: exit code 15, and nothing left."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.compat.tools import missing, tool
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


def wclayer(*arguments: str | Path, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "wclayer", *map(str, arguments)]
    return subprocess.run(command, input=stdin, capture_output=True, check=False)


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
