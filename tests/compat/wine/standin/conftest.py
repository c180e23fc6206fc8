"""What the tests inside wine have in common."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.compat.wine.standin import environment, violations
from tests.compat.wine.standin.abi import load


@pytest.fixture(scope="session")
def dll() -> ctypes.CDLL:
    return load(os.environ["WCLAYER_STANDIN_DLL"])


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for the test, where the stand-in has its log and state; violations are the test's to look for."""
    for name, value in environment(tmp_path, win32_log=True).items():
        monkeypatch.setenv(name, value)
    return tmp_path


@pytest.fixture
def clean(folder: Path) -> Iterator[Path]:
    """The same, where no call may break a rule."""
    yield folder
    assert violations(folder) == []
