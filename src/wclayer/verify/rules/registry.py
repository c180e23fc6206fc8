"""The rules about the registry."""

from __future__ import annotations

from typing import Final

from .model import Rule

__all__ = ["REGISTRY_RULES"]

REGISTRY_RULES: Final[tuple[Rule, ...]] = ()
