"""The rules as docs/rules.md has them, and how others refer to it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from .rules import RULES, Rule, Severity, Target
from .rules.model import TARGET_NAMES, target_names

__all__ = ["anchor", "effect_lines", "rules_page", "severity_text"]

_TARGETS: Final[dict[Target, str]] = {
    Target.WS2019: "build 17763, processes layers with ProcessBaseImage and the filter driver",
    Target.WS2022: "build 20348",
    Target.WS2025: "build 26100; the first to refuse empty hives everywhere",
    Target.WIN11: "24H2, build 26100, as the Server of its time",
    Target.CIMFS: "layers as CIM images, as containerd's cimfs snapshotter makes them",
    Target.CONTAINERD: "its client, its importer and hcsshim below it",
    Target.DOCKER: "moby's own image store, and hcsshim below it",
}
_PARTS: Final = (
    ("1", "The tar"),
    ("2", "Names, their order, links and whiteouts"),
    ("3", "Metadata"),
    ("4", "The registry, and the boot store"),
    ("5", "Layer folders"),
    ("6", "Images"),
)
_MEANINGS: Final = {
    Severity.ERROR: "it is refused, or does not run; the exit code is 1",
    Severity.WARNING: "it is accepted, but something is lost or differs from what its maker meant",
    Severity.NOTE: "nothing is lost with wclayer; other programs may not know it",
}


def anchor(rule: Rule) -> str:
    """The anchor of a rule on the page, which stays when its title changes."""
    return rule.code.lower()


def severity_text(rule: Rule) -> str:
    """How grave it is to break a rule: `warning`, `warning; error with --for cimfs`."""
    targets = ", ".join(f"--for {target}" for target in rule.refused_at)
    return f"{rule.severity}; error with {targets}" if targets else rule.severity.value


def effect_lines(rule: Rule) -> list[str]:
    """What breaking the rule causes where: a line for each effect."""
    return [f"{target_names(effect.targets)}: {effect.text}" for effect in rule.effects]


def rules_page() -> str:
    """docs/rules.md."""
    return "\n".join(_lines())


def _lines() -> Iterator[str]:
    yield "# The rules of layers and images"
    yield ""
    yield "<!-- Made by `python -m docs.rules` from src/wclayer/verify/rules: change them there. -->"
    yield ""
    yield "What `wclayer verify` checks, and what the code in brackets at the end of an error means. A code never"
    yield "changes its meaning and is never reused. `--ignore CODE` leaves a rule out."
    yield ""
    yield "| severity | meaning |"
    yield "|---|---|"
    yield from (f"| {severity} | {_MEANINGS[severity]} |" for severity in Severity)
    yield ""
    yield "`--for TARGET` (repeatable) keeps only the rules that matter for one of the targets."
    yield "Without it, all rules apply; what only CimFS refuses is a warning then, as few layers are meant for it."
    yield ""
    yield "| target | name | details |"
    yield "|---|---|---|"
    yield from (f"| `{target}` | {TARGET_NAMES[target]} | {_TARGETS[target]} |" for target in Target)
    for digit, title in _PARTS:
        rules = [RULES[code] for code in sorted(RULES) if code[3] == digit]
        if rules:
            yield ""
            yield f"**{title}**"
            yield ""
            yield from (f"- [{rule.code}](#{anchor(rule)}) {rule.title} ({severity_text(rule)})" for rule in rules)
    for code in sorted(RULES):
        yield from _section(RULES[code])


def _section(rule: Rule) -> Iterator[str]:
    yield ""
    yield f'<a id="{anchor(rule)}"></a>'
    yield ""
    yield f"## {rule.code} {rule.title}"
    yield ""
    yield f"**{severity_text(rule)}**; `wclayer import` {'accepts' if rule.imports else 'refuses'} it."
    yield ""
    yield rule.why
    yield ""
    yield from (f"- {line}" for line in effect_lines(rule))
    yield ""
    yield f"**Fix:** {rule.mend}"
    if rule.code == max(RULES):
        yield ""
