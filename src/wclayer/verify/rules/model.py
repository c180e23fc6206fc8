"""What a rule is."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from ...codes import Code

__all__ = ["ALL", "ENGINES", "WINDOWS", "Effect", "Rule", "Severity", "Target"]


class Severity(StrEnum):
    """How grave it is to break a rule; the names are those of SARIF's levels."""

    ERROR = "error"
    """It is refused, or does not run."""
    WARNING = "warning"
    """It is taken, and something is lost or is not as its maker meant it."""
    NOTE = "note"
    """Nothing is lost where wclayer is at work; others may not know what it is."""


class Target(StrEnum):
    """Where a layer or image is to run; what `--for` takes."""

    WS2019 = "ws2019"
    WS2022 = "ws2022"
    WS2025 = "ws2025"
    WIN11 = "win11"
    CIMFS = "cimfs"
    CONTAINERD = "containerd"
    DOCKER = "docker"


WINDOWS: Final = (Target.WS2019, Target.WS2022, Target.WS2025, Target.WIN11)
ENGINES: Final = (Target.CONTAINERD, Target.DOCKER)
ALL: Final = tuple(Target)


@dataclass(frozen=True, slots=True)
class Effect:
    """What breaking the rule causes at the `targets`; a text without a point at its end, for a list."""

    targets: tuple[Target, ...]
    text: str


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule. title: what is wrong where it is broken, a noun phrase. why: more of it, sentences. mend: what to do.

    imports: does `wclayer import` take what breaks it?
    """

    code: Code
    severity: Severity
    title: str
    why: str
    effects: tuple[Effect, ...]
    mend: str
    imports: bool = False

    def concerns(self, targets: frozenset[Target]) -> bool:
        """Does breaking it matter at one of the targets?"""
        return any(target in targets for effect in self.effects for target in effect.targets)

    def effect(self, targets: frozenset[Target]) -> str:
        """What it causes at the targets, in one line."""
        return "; ".join(effect.text for effect in self.effects if not targets.isdisjoint(effect.targets))
