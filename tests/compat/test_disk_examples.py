"""The examples of `wclayer disk create --help`, run as they stand there."""

from __future__ import annotations

import os
from pathlib import Path

from tests.compat.tools import missing, tool
from tests.unit.cli.test_examples import run_examples


def test_the_examples_run(tmp_path: Path) -> None:
    for program in ("ntfs-3g", "mkntfs", "sfdisk", "qemu-img"):
        tool(program)
    if not Path("/dev/fuse").exists() or os.geteuid() != 0:
        missing("/dev/fuse, and root to mount with it")
    run_examples(tmp_path, "disk create", [])
