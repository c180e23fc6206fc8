"""Where the vectors are."""

from __future__ import annotations

import base64
import json
import os
import zlib
from pathlib import Path
from typing import Any

FOLDER = Path(os.environ.get("WCLAYER_VECTORS") or Path(__file__).parents[1] / "data" / "vectors")


def load(name: str) -> Any:
    """The vectors of one kind. A folder without them, or an empty file, is an error."""
    found = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    assert found, f"no vectors in {name}.json"
    return found


def unzb64(text: str) -> bytes:
    return zlib.decompress(base64.b64decode(text))
