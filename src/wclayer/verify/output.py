"""What verify found, as text for people and as JSON; see `sarif` for code scanning."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from ..errors import described, escaped, printable
from .findings import MOST, Finding, Report
from .rules import RULES, Severity
from .sarif import to_sarif

__all__ = ["text_lines", "to_json", "to_sarif"]

_ARTICLES: Final = frozenset(("a", "an", "the"))
_SHOWN: Final = 10  # of one rule in one layer
_PLURALS: Final = ((Severity.ERROR, "error"), (Severity.WARNING, "warning"), (Severity.NOTE, "note"))


def text_lines(report: Report, *, verbose: bool = False) -> Iterator[str]:
    """The report in lines that are safe to show, whatever the names in it: by layer, and in a layer by rule.

    Each finding is `severity CODE path: what is wrong`; under those of one rule stands what it causes at the targets of
    the report, and how to fix it. verbose: all findings that were kept, not the first ten of a rule.
    """
    for layer, kind in report.judged_as.items():
        yield f"{printable(layer)}: checked as {kind}"
    for layer in _layers(report):
        mine = [finding for finding in report.findings if finding.layer == layer]
        if not mine and layer not in report.stopped:
            continue
        yield f"{printable(layer)}:"
        for code in dict.fromkeys(finding.rule.code for finding in mine):
            yield from _of_rule(report, [finding for finding in mine if finding.rule.code is code], verbose=verbose)
        if layer in report.stopped:
            yield f"  {_stop(report, layer, mine)}"
        yield ""
    yield _verdict(report)


def _of_rule(report: Report, findings: list[Finding], *, verbose: bool) -> Iterator[str]:
    rule, layer = findings[0].rule, findings[0].layer
    shown = findings if verbose else findings[:_SHOWN]
    hints = list(dict.fromkeys(finding.hint for finding in shown))
    for finding in shown:
        yield f"  {rule.severity} {rule.code} {finding}"
        if len(hints) > 1 and finding.hint:
            yield f"      {escaped(finding.hint)}"
    more = report.counts[layer, rule.code] - len(shown)
    if more:
        yield f"  {rule.severity} {rule.code} and {more:,} more"
    effect = rule.effect(report.targets)
    yield f"    {effect if _says(shown, rule.title) else f'{rule.title}: {effect}'}"
    hint = hints[0] if len(hints) == 1 else None
    yield f"    fix: {escaped(hint or rule.mend)}"


def _says(findings: list[Finding], title: str) -> bool:
    """Does the message of each finding say all that the title says?"""
    return all(_words(title) <= _words(finding.message) for finding in findings)


def _words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text.lower())) - _ARTICLES


def _stop(report: Report, layer: str, findings: list[Finding]) -> str:
    """Where reading the layer had to stop, and why, if none of its findings says that."""
    reason = report.stopped[layer]
    last = next((finding for finding in reversed(findings) if _is_reason(finding, reason)), None)
    if layer not in report.read or last is None:
        return f"stopped reading; the rest is unknown: {escaped(reason)}"
    where = "there" if last.offset is None else f"there (at byte {last.offset:,})"
    return f"stopped reading {where}: what follows and the layer's registry were not checked"


def _is_reason(finding: Finding, reason: str) -> bool:
    return reason.startswith(described(finding.message, finding.path, finding.expected, finding.got))


def _layers(report: Report) -> list[str]:
    """The names of the layers and images that something is known of, in the order in which they were met."""
    named = [*(finding.layer for finding in report.findings), *report.stopped]
    order = {layer: number for number, layer in enumerate(report.read)}
    # What was not read as a layer is the image itself, and comes first.
    return sorted(dict.fromkeys(named), key=lambda layer: order.get(layer, -1))


def _verdict(report: Report) -> str:
    counts = [
        f"{count:,} {name}{'' if count == 1 else 's'}"
        for severity, name in _PLURALS
        if (count := report.count(severity))
    ]
    layers = f"{len(report.read):,} layer{'' if len(report.read) == 1 else 's'}"
    verdict = "OK" if report.passed else "refused"
    unread = ", not read completely" if report.stopped else ""
    return f"{verdict}: {layers} checked{unread}, {', '.join(counts) or 'no problems found'}"


def to_json(report: Report) -> dict[str, Any]:
    """The report as an object.

    passed: was no error found; checked_as: `a base layer` or `a layer on top of others`, of a layer that was named;
    errors, warnings, notes: how many; layers: those that were read; stopped: why a layer
    was not read to its end, by layer; rules: of each that is broken, by code, its severity, title, effect at the
    targets, how to fix it, and `count`; findings: of each rule in each layer at most 1,000: code, severity, layer,
    path, offset, message, expected, got, hint. Names are as they are: JSON escapes them.
    """
    return {
        "passed": report.passed,
        "checked_as": report.judged_as,
        "errors": report.count(Severity.ERROR),
        "warnings": report.count(Severity.WARNING),
        "notes": report.count(Severity.NOTE),
        "targets": sorted(report.targets),
        "ignored": sorted(report.ignored),
        "layers": list(report.read),
        "stopped": dict(report.stopped),
        "kept": MOST,
        "rules": {
            code: {
                "severity": RULES[code].at(report.targets).severity,
                "title": RULES[code].title,
                "effect": RULES[code].effect(report.targets),
                "mend": RULES[code].mend,
                "count": sum(count for (_, other), count in report.counts.items() if other is code),
            }
            for code in sorted({code for _, code in report.counts})
        },
        "findings": [_finding(finding) for finding in report.findings],
    }


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "code": finding.rule.code,
        "severity": finding.severity,
        "layer": finding.layer,
        "path": finding.path,
        "offset": finding.offset,
        "message": finding.message,
        "expected": finding.expected,
        "got": finding.got,
        "hint": finding.hint,
    }
