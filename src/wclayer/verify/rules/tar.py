"""The rules about the tar."""

from __future__ import annotations

from typing import Final

from .model import Rule

__all__ = ["TAR_RULES"]

TAR_RULES: Final[tuple[Rule, ...]] = ()
