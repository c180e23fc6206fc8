"""What verify found: broken rules, each with its place."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any, Final

from ..codes import Code
from ..errors import WclayerError, described
from .rules import RULES, Rule, Severity, Target

__all__ = ["MOST", "Finding", "Report"]

MOST: Final = 1000  # findings of one rule in one layer that are kept; all are counted


@dataclass(frozen=True, slots=True)
class Finding:
    """A broken rule. layer: the name of the layer, or of the image. path: of the entry. offset: in its tar, or file."""

    rule: Rule
    layer: str
    message: str
    path: str | None = None
    offset: int | None = None
    expected: str | None = None
    got: str | None = None
    hint: str | None = None

    @property
    def severity(self) -> Severity:
        return self.rule.severity

    @classmethod
    def of_error(cls, error: WclayerError, layer: str, code: Code | None = None) -> Finding | None:
        """What an error says of a layer; None for one that says nothing of it, as one of the host or network.

        code: the rule that it breaks, where the error does not say so.
        """
        code = code or error.broken_rule
        if code is None:
            return None
        return cls(RULES[code], layer, error.message, error.path, error.offset, error.expected, error.got, error.hint)

    def __str__(self) -> str:
        """One line, safe to show, without the layer."""
        text = described(self.message, self.path, self.expected, self.got)
        return text if self.offset is None else f"{text} (at byte {self.offset:,})"


BASE: Final = "a base layer"
ON_TOP: Final = "a layer on top of others"


@dataclass(slots=True)
class Report:
    """All findings, in the order in which they were found.

    targets: those that count. ignored: rules that do not. counts: how often each rule was broken, by layer and code, of
    which the first MOST are kept. stopped: layers that could not be read to their end, with the reason. read: the
    layers that were looked into. judged_as: BASE or ON_TOP, of a layer that was named by itself.
    """

    targets: frozenset[Target] = frozenset(Target)
    ignored: frozenset[Code] = frozenset()
    findings: list[Finding] = field(default_factory=list)
    counts: Counter[tuple[str, Code]] = field(default_factory=Counter)
    stopped: dict[str, str] = field(default_factory=dict)
    read: list[str] = field(default_factory=list)
    judged_as: dict[str, str] = field(default_factory=dict)

    def take(self, other: Report) -> None:
        """Add what another report of the same targets says."""
        self.findings += other.findings
        self.counts.update(other.counts)
        self.stopped |= other.stopped
        self.read += other.read

    def add(self, finding: Finding) -> None:
        """Note a finding, if its rule counts, with the severity that it has at the targets."""
        rule = finding.rule
        if rule.code in self.ignored or not rule.concerns(self.targets):
            return
        self.counts[finding.layer, rule.code] += 1
        if self.counts[finding.layer, rule.code] <= MOST:
            self.findings.append(replace(finding, rule=rule.at(self.targets)))

    def count(self, severity: Severity) -> int:
        """How often rules were broken that have that severity at the targets."""
        return sum(
            count for (_, code), count in self.counts.items() if RULES[code].at(self.targets).severity is severity
        )

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON has it, see `output.to_json`."""
        from .output import to_json  # noqa: PLC0415 # which needs this module

        return to_json(self)

    def to_sarif(self, rules_uri: str | None = None) -> dict[str, Any]:
        """The report as a SARIF log for code scanning. rules_uri: where docs/rules.md can be read."""
        from .. import __version__  # noqa: PLC0415 # as above
        from .sarif import to_sarif  # noqa: PLC0415 # as above

        return to_sarif(self, __version__, rules_uri)

    @property
    def passed(self) -> bool:
        """Was no error found?"""
        return self.count(Severity.ERROR) == 0
