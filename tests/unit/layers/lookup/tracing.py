"""How much work a call does, counted in lines of Python, which no other load of the machine changes."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

__all__ = ["lines_run"]


def lines_run(call: Callable[[], object], *modules: str) -> int:
    """How many lines of the modules with these file names `call` runs."""
    lines = 0
    before = sys.gettrace()

    def trace(frame: FrameType, event: str, argument: object) -> Callable[..., Any] | None:
        nonlocal lines
        if Path(frame.f_code.co_filename).name not in modules:
            return None
        lines += event == "line"
        return trace

    sys.settrace(trace)
    try:
        call()
    finally:
        sys.settrace(before)
    assert lines
    return lines
