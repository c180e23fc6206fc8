"""`wclayer hive check`."""

from __future__ import annotations

import json
from typing import Any

import click

from ...errors import escaped, printable
from ...operations.hive_places import parse_hive_place
from ...regf.check import HiveReport, HiveState, check_hive
from ...regf.findings import MAX_FINDINGS, Severity
from ..folders import named
from .places import hive_options, hive_places

__all__ = ["check"]


@click.command("check", no_args_is_help=True)
@click.argument("place", metavar="HIVE")
@hive_options
def check(
    place: str,
    as_json: bool,
    quiet: bool,
    verbose: bool,  # noqa: ARG001 # nothing more to say
    debug: bool,  # noqa: ARG001 # main() looks for it
    **options: Any,
) -> int:
    """Validate a hive: will Windows load all of it?

    Checks all that the kernel is known to check when it loads a hive. An error is what the kernel refuses, drops or
    never finds; a warning is what it accepts. Exits with 1 if there is an error.

    \b
    Examples:
      wclayer hive check SOFTWARE
      wclayer hive check --json layer//Files/Windows/System32/config/SYSTEM
    """
    with hive_places(**options) as places:
        found = parse_hive_place(place)
        report = check_hive(places.data(found))
    if as_json:
        click.echo(json.dumps(_as_json(report)))
    elif not quiet:
        for finding in report.findings:
            click.echo(escaped(f"{finding.severity.value}: {finding}"))
        kind = "a differencing hive, " if report.differencing else ""
        click.echo(f"{printable(named(found.text))}: {kind}{_VERDICTS[report.state]}{_counts(report)}")
    return int(report.state is not HiveState.LOADABLE)


_VERDICTS = {
    HiveState.LOADABLE: "Windows loads all of it",
    HiveState.EMPTY: "empty, which Windows refuses since Server 2025",
    HiveState.DIRTY: "dirty: needs its transaction logs (wclayer hive recover)",
    HiveState.BROKEN: "broken: Windows refuses it, or drops a part of it",
}


def _counts(report: HiveReport) -> str:
    counts = dict.fromkeys(Severity, 0)
    for finding in report.findings:
        counts[finding.severity] += 1
    parts = [
        f"{'at least ' if count == MAX_FINDINGS else ''}{count:,} {severity.value}{'' if count == 1 else 's'}"
        for severity, count in counts.items()
        if count
    ]
    return f"; {', '.join(parts)}" if parts else ""


def _as_json(report: HiveReport) -> dict[str, Any]:
    return {
        "state": report.state.value,
        "differencing": report.differencing,
        "findings": [
            {
                "severity": finding.severity.value,
                "offset": finding.offset,
                "message": finding.message,
                "expected": finding.expected,
                "got": finding.got,
                "path": finding.path,
            }
            for finding in report.findings
        ],
    }
