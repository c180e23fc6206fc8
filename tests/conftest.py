"""How hypothesis runs: no timed assertion anywhere; in CI the same examples each time, elsewhere new ones."""

from __future__ import annotations

import os
import signal
from typing import Final

import pytest
from hypothesis import settings

from tests import hosts  # before any test makes a symlink
from wclayer.stores import settings as folders

settings.register_profile("wclayer", deadline=None, derandomize=bool(os.environ.get("CI")), print_blob=True)
settings.load_profile("wclayer")

# A shell that runs the tests in the background has SIGINT ignored, and so would the programs that the tests interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)

if hosts.WINDOWS:
    # The unit tests want no privileges, no service, and under wine there are no backup calls.
    os.environ["WCLAYER_PLAIN"] = "1"
    folders.plain = True

# The files that take longest, by far; so they begin first and two workers end at about the same time.
_LONGEST: Final = (
    "tests/compat/wine/test_unit.py",
    "tests/compat/test_registry_large.py",
    "tests/unit/cli/test_examples.py",
    "tests/compat/wine/test_store.py",
    "tests/compat/test_ntfs.py",
    "tests/compat/test_disk.py",
    "tests/compat/test_nanoserver.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest files first (pytest-xdist gives files to its workers in this order)."""
    rank = {name: place for place, name in enumerate(_LONGEST)}
    items.sort(key=lambda item: rank.get(item.nodeid.partition("::")[0], len(rank)))
