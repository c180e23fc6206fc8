"""Tests of Windows itself: elevated, on NTFS, with the Containers feature. Under wine a stand-in takes its place.

WCLAYER_STANDIN names the stand-in's library (tests/compat/wine/test_windows.py sets it).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from wclayer.stores import settings

collect_ignore_glob = [] if os.name == "nt" else ["test_*.py"]


@pytest.fixture(autouse=True)
def _native(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Layers of Windows', where the other tests make plain trees."""
    monkeypatch.setattr(settings, "plain", False)
    monkeypatch.delenv("WCLAYER_PLAIN", raising=False)
    library = os.environ.get("WCLAYER_STANDIN")
    if library is not None:
        from tests.compat.wine import standin
        from tests.compat.wine.native import stand_in

        for name, value in standin.environment(tmp_path.parent).items():
            monkeypatch.setenv(name, value)
        stand_in(library)
    yield
    if library is not None:
        assert standin.violations(tmp_path.parent) == []
