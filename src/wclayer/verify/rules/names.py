"""The rules about the names."""

from __future__ import annotations

from typing import Final

from .model import Rule

__all__ = ["NAME_RULES"]

NAME_RULES: Final[tuple[Rule, ...]] = ()
