"""The rules about the image."""

from __future__ import annotations

from typing import Final

from .model import Rule

__all__ = ["IMAGE_RULES"]

IMAGE_RULES: Final[tuple[Rule, ...]] = ()
