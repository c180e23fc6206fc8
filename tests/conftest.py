"""How hypothesis runs: no timed assertion anywhere; in CI the same examples each time, elsewhere new ones."""

from __future__ import annotations

import os

from hypothesis import settings

from tests import hosts  # noqa: F401 # before any test makes a symlink

settings.register_profile("wclayer", deadline=None, derandomize=bool(os.environ.get("CI")), print_blob=True)
settings.load_profile("wclayer")
