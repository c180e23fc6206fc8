"""The examples of `wclayer disk create --help`, run as they stand there."""

from __future__ import annotations

from pathlib import Path

from tests.compat import ntfs
from tests.unit.cli.test_examples import run_examples


def test_the_examples_run(tmp_path: Path) -> None:
    ntfs.require_mounts("sfdisk")
    run_examples(tmp_path, "disk create", [])
