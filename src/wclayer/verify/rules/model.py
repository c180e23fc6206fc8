"""What a rule is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from ...codes import Code

__all__ = ["ALL", "ENGINES", "TARGET_NAMES", "WINDOWS", "Effect", "Rule", "Severity", "Target", "target_names"]


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
TARGET_NAMES: Final[dict[Target, str]] = {
    Target.WS2019: "Windows Server 2019",
    Target.WS2022: "Windows Server 2022",
    Target.WS2025: "Windows Server 2025",
    Target.WIN11: "Windows 11",
    Target.CIMFS: "CimFS",
    Target.CONTAINERD: "containerd",
    Target.DOCKER: "Docker",
}
_GROUPS: Final = ((ALL, "everywhere"), (WINDOWS, "Windows"), (ENGINES, "containerd and Docker"))


def target_names(targets: Iterable[Target]) -> str:
    """The targets in words: `everywhere`, `Windows, CimFS`."""
    left = set(targets)
    names: list[str] = []
    for group, name in _GROUPS:
        if left.issuperset(group):
            names.append(name)
            left.difference_update(group)
    return ", ".join([*names, *(TARGET_NAMES[target] for target in Target if target in left)])


@dataclass(frozen=True, slots=True)
class Effect:
    """What breaking the rule causes at the `targets`; a text without a point at its end, for a list."""

    targets: tuple[Target, ...]
    text: str


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule. title: what is wrong where it is broken, a noun phrase. why: more of it, sentences. mend: what to do.

    imports: does `wclayer import` take what breaks it? refused_at: targets that refuse it, and that few layers are
    meant for: where one of them is asked for it is an error, else it has its `severity`.
    """

    code: Code
    severity: Severity
    title: str
    why: str
    effects: tuple[Effect, ...]
    mend: str
    imports: bool = False
    refused_at: tuple[Target, ...] = ()

    def concerns(self, targets: frozenset[Target]) -> bool:
        """Does breaking it matter at one of the targets?"""
        return any(target in targets for effect in self.effects for target in effect.targets)

    def at(self, targets: frozenset[Target]) -> Rule:
        """The rule, with the severity that it has at the targets; if they are all there are, nobody has said where."""
        if targets == frozenset(ALL) or targets.isdisjoint(self.refused_at):
            return self
        return replace(self, severity=Severity.ERROR)

    def effect(self, targets: frozenset[Target]) -> str:
        """What it causes at the targets, in one line; an effect at only some of them begins with their names."""
        texts: list[str] = []
        for effect in self.effects:
            places = targets.intersection(effect.targets)
            if places:
                texts.append(effect.text if places == targets else f"{target_names(places)}: {effect.text}")
        return "; ".join(texts)
