"""The rules about the metadata."""

from __future__ import annotations

from typing import Final

from .model import Rule

__all__ = ["METADATA_RULES"]

METADATA_RULES: Final[tuple[Rule, ...]] = ()
