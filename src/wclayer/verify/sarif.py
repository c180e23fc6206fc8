"""What verify found in SARIF 2.1.0 (OASIS), as code scanning takes it."""

from __future__ import annotations

import hashlib
from typing import Any, Final
from urllib.parse import quote

from ..errors import escaped
from .documentation import anchor, effect_lines
from .findings import Finding, Report
from .rules import RULES, Rule, Severity

__all__ = ["to_sarif"]

_SCHEMA: Final = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_RESULTS: Final = 25_000  # of one run; code scanning takes no more
_MOST_TEXT: Final = 1000  # characters of a message


def to_sarif(report: Report, version: str, rules_uri: str | None = None) -> dict[str, Any]:
    """The report as a SARIF log of one run; version: that of wclayer. rules_uri: where docs/rules.md can be read.

    The file of a result is the layer, a path in it the logical location. All rules are there, for those who look one
    up; of the findings at most 25,000, errors first.
    """
    codes = sorted(RULES)
    numbers = {code: number for number, code in enumerate(codes)}
    order = list(Severity)
    found = sorted(report.findings, key=lambda finding: order.index(finding.severity))[:_RESULTS]
    return {
        "$schema": _SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "wclayer",
                        "version": version,
                        "rules": [_rule(RULES[code], rules_uri) for code in codes],
                    }
                },
                "invocations": [
                    {
                        "executionSuccessful": True,
                        "exitCode": int(not report.passed),
                        "toolExecutionNotifications": [
                            {"level": "error", "message": {"text": f"{escaped(layer)}: {escaped(reason)}"}}
                            for layer, reason in report.stopped.items()
                        ],
                    }
                ],
                "columnKind": "unicodeCodePoints",
                "results": [_result(finding, numbers[finding.rule.code]) for finding in found],
            }
        ],
    }


def _rule(rule: Rule, rules_uri: str | None) -> dict[str, Any]:
    effects = "\n".join(f"- {line}" for line in effect_lines(rule))
    return {
        "id": rule.code.value,
        "name": rule.code.name.title().replace("_", ""),
        "shortDescription": {"text": _sentence(rule.title)},
        "fullDescription": {"text": rule.why},
        "help": {
            "text": f"{rule.why}\n\n{rule.mend}",
            "markdown": f"{rule.why}\n\n{effects}\n\n**To mend it:** {rule.mend}",
        },
        **({} if rules_uri is None else {"helpUri": f"{rules_uri}#{anchor(rule)}"}),
        "defaultConfiguration": {"level": rule.severity.value},
        "properties": {"tags": ["windows", "container"], "precision": "very-high"},
    }


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _result(finding: Finding, number: int) -> dict[str, Any]:
    # Code scanning wants lines, which a tar does not have.
    region = {"startLine": 1, "startColumn": 1, "endLine": 1, "endColumn": 1}
    if finding.offset is not None:
        region["byteOffset"] = finding.offset
    uri = _uri(finding.layer)
    location: dict[str, Any] = {"physicalLocation": {"artifactLocation": {"uri": uri}, "region": region}}
    if finding.path is not None:
        location["logicalLocations"] = [{"fullyQualifiedName": escaped(finding.path), "kind": "resource"}]
    text = str(finding)
    if finding.hint:
        text += f" -- {escaped(finding.hint)}"
    return {
        "ruleId": finding.rule.code.value,
        "ruleIndex": number,
        "level": finding.severity.value,
        "message": {"text": text if len(text) <= _MOST_TEXT else f"{text[:_MOST_TEXT]}..."},
        "locations": [location],
        # The same fault of the same entry is the same alert, wherever in the tar it has moved to.
        "partialFingerprints": {"primaryLocationLineHash": _fingerprint(finding.rule.code, uri, finding.path or "")},
    }


def _fingerprint(*parts: str) -> str:
    state = hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass"))
    return f"{state.hexdigest()[:16]}:1"


def _uri(layer: str) -> str:
    """A layer's name as a relative reference (RFC 3986): no colon in it, which would be taken for a scheme."""
    return quote(layer.replace("\\", "/").encode("utf-8", "surrogatepass"), safe="/")
