"""Real programs and outside data that the tests compare with."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).parents[2]
SHARED = REPOSITORY.parent / "shared"
REQUIRED = os.environ.get("WCLAYER_REQUIRE_TOOLS") == "1"


def missing(what: str) -> None:
    """Skip the test for lack of `what`; where all tools are required, fail."""
    if REQUIRED:
        pytest.fail(f"{what} is missing, and WCLAYER_REQUIRE_TOOLS=1")
    pytest.skip(f"{what} is missing: make test-tools")


def tool(name: str) -> str:
    """The path of a program."""
    found = shutil.which(name)
    if found is None:
        missing(name)
    return found or name


def wclayer(*arguments: str | Path, stdin: bytes = b"", **options: Any) -> subprocess.CompletedProcess[bytes]:
    """Run the command line; options: of subprocess.run."""
    command = [sys.executable, "-m", "wclayer", *map(str, arguments)]
    return subprocess.run(command, input=stdin, capture_output=True, check=False, **options)


def shared(name: str) -> Path:
    """A file or folder of the outside data."""
    path = SHARED / name
    if not path.exists():
        missing(f"outside data ({name})")
    return path
