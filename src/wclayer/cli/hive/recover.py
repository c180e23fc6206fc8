"""`wclayer hive recover`."""

from __future__ import annotations

import json
from typing import Any

import click

from ...errors import HiveError, UsageError, escaped, printable, with_context
from ...operations.hive_places import parse_hive_place
from ...regf.check import check_hive
from ...regf.log import recover_hive
from ..common import open_output, size_text
from ..folders import named
from .places import hive_options, hive_places

__all__ = ["recover"]


@click.command("recover", no_args_is_help=True)
@click.argument("place", metavar="HIVE")
@click.argument("logs", metavar="LOG1 [LOG2]", nargs=-1, required=True)
@click.option("-o", "--output", "target", metavar="OUT", required=True, help="Clean hive; - for stdout.")
@click.option("--force", is_flag=True, help="Replace an existing OUT; write to a terminal.")
@hive_options
def recover(
    place: str,
    logs: tuple[str, ...],
    target: str,
    force: bool,
    as_json: bool,
    quiet: bool,
    verbose: bool,  # noqa: ARG001 # nothing more to say
    debug: bool,  # noqa: ARG001 # main() looks for it
    **options: Any,
) -> int:
    """Recover a dirty hive from its transaction logs.

    Since Windows 8.1, changes go to HIVE.LOG1 and HIVE.LOG2 first, and to the hive up to an hour later. OUT is the hive
    with all changes, as Windows would load it. A clean hive is copied unchanged. The logs must
    have been copied together with the hive; their order does not matter. Exits with 1 if the hive has other errors, or
    was marked clean by another program without what its logs have.

    \b
    Examples:
      wclayer hive recover SOFTWARE SOFTWARE.LOG1 SOFTWARE.LOG2 -o whole
    """
    to_stdout = target == "-"
    if to_stdout and as_json:
        raise UsageError("--json, while the hive itself goes to stdout", hint="give -o FILE")
    if len(logs) > 2:
        raise UsageError("more than two logs", expected="HIVE.LOG1 and HIVE.LOG2", got=", ".join(logs))
    with hive_places(**options) as places:
        data, *content = (places.data(parse_hive_place(one)) for one in (place, *logs))
    with with_context(path=place, only=HiveError):
        recovered = recover_hive(data, content)
    reason = check_hive(recovered.data).reason
    with open_output(target, force=force, what="a hive") as out:
        out.write(recovered.data)
        out.flush()
    applied = dict(zip(logs, recovered.applied, strict=True))
    if as_json:
        click.echo(
            json.dumps(
                {
                    "size": len(recovered.data),
                    "applied": applied,
                    "notes": recovered.notes,
                    "lost": recovered.lost,
                    "error": None if reason is None else str(reason),
                }
            )
        )
    elif not quiet:
        for note in recovered.notes:
            click.echo(f"note: {printable(note)}", err=to_stdout)
        counts = ", ".join(f"{count:,} of {printable(log)}" for log, count in applied.items())
        if reason is not None:
            text = escaped(str(reason))
            click.echo(f"warning: Windows refuses the hive all the same, or drops a part of it: {text}", err=True)
        click.echo(
            f"recovered {printable(named(place))}: entries: {counts}; {size_text(len(recovered.data))}", err=to_stdout
        )
    return int(reason is not None or recovered.lost)
