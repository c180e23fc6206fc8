"""The Root of this host."""

from __future__ import annotations

import os

from .root import Root
from .root_posix import PosixRoot
from .root_windows import WindowsRoot

__all__ = ["open_root"]


def open_root(path: bytes, *, descriptors: int = 64) -> Root:
    """The folder `path`, below which everything happens; see Root. OSError passes through."""
    return (WindowsRoot if os.name == "nt" else PosixRoot)(path, descriptors=descriptors)
