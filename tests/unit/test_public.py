"""The names that the package gives away, and that asking for one does not import all."""

from __future__ import annotations

import subprocess
import sys

import pytest

import wclayer


@pytest.mark.parametrize("name", wclayer.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(wclayer, name) is not None
    assert name in dir(wclayer)


def test_there_is_no_other_name() -> None:
    with pytest.raises(AttributeError, match="has no attribute"):
        wclayer.nothing  # noqa: B018


def test_reading_a_hive_imports_no_client_of_registries() -> None:
    script = "import sys, wclayer.regf.reader; print([m for m in sys.modules if m.startswith(('httpx', 'click'))])"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, check=True).stdout.strip() == b"[]"
