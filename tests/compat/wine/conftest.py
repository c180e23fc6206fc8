"""What the tests under wine have in common."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.compat.wine import standin
from tests.compat.wine.worlds import Batch


@pytest.fixture(scope="session")
def dll(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The stand-in for what wine lacks."""
    return standin.build(tmp_path_factory.mktemp("standin"))


@pytest.fixture
def batch(tmp_path: Path, dll: Path) -> Batch:
    return Batch(tmp_path, dll)
