"""How hypothesis runs: no timed assertion anywhere; in CI the same examples each time, elsewhere new ones."""

from __future__ import annotations

import os

from hypothesis import settings

from tests import hosts  # before any test makes a symlink
from wclayer.stores import settings as folders

settings.register_profile("wclayer", deadline=None, derandomize=bool(os.environ.get("CI")), print_blob=True)
settings.load_profile("wclayer")

if hosts.WINDOWS:
    # The unit tests want no privileges, no service, and under wine there are no backup calls.
    os.environ["WCLAYER_PLAIN"] = "1"
    folders.plain = True
