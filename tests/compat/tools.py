"""Real programs and outside data that the tests compare with."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.command import wclayer

__all__ = ["REPOSITORY", "REQUIRED", "SHARED", "missing", "shared", "tool", "wclayer"]

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


def shared(name: str) -> Path:
    """A file or folder of the outside data."""
    path = SHARED / name
    if not path.exists():
        missing(f"outside data ({name})")
    return path
