"""Programs that are there, but that no unit test runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.hosts import WINDOWS

Programs = Callable[..., None]


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Programs:
    """Make these programs, and no others, those of the host; one that runs leaves the file `ran`."""
    if WINDOWS:
        pytest.skip("programs of POSIX")
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))

    def put(*names: str) -> None:
        for name in names:
            program = folder / name
            program.write_text(f"#!/bin/sh\n: > {tmp_path}/ran\nexit 99\n")
            program.chmod(0o755)

    return put
