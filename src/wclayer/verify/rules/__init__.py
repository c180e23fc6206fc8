"""The rules of layers and images, as data: what is wrong, how severe it is, what it causes where, how to fix it.

docs/rules.md is generated from them. In reading order: `model` (what a rule is), then the rules of the `tar`, of
`names`, `metadata`, `registry` and of the `image`. Codes are in `wclayer.codes`. May import `codes` only.
"""

from __future__ import annotations

from typing import Final

from ...codes import Code
from .image import IMAGE_RULES
from .metadata import METADATA_RULES
from .model import Effect, Rule, Severity, Target
from .names import NAME_RULES
from .registry import REGISTRY_RULES
from .tar import TAR_RULES

__all__ = ["RULES", "Effect", "Rule", "Severity", "Target"]

RULES: Final[dict[Code, Rule]] = {
    rule.code: rule
    for rule in sorted(
        (*TAR_RULES, *NAME_RULES, *METADATA_RULES, *REGISTRY_RULES, *IMAGE_RULES), key=lambda rule: rule.code
    )
}
