"""`wclayer hive new` and `wclayer hive merge`."""

from __future__ import annotations

import json
from typing import Any, Final

import click

from ...errors import UsageError, printable
from ...operations.hive_places import parse_hive_place
from ...regf.delta import MergeReport, merge_delta, merge_deltas
from ...regf.layout import MINOR_LAYERED, MINOR_NT4, MINOR_XP
from ...regf.minimal import minimal_hive
from ...regf.writer import write_hive
from ...win32.filetime import UNIX_EPOCH
from ..common import common_options, open_output, size_text
from .places import accept_dirty_option, epoch_option, hive_options, hive_places, time_of

__all__ = ["merge", "new"]

_VERSIONS: Final = {"1.3": MINOR_NT4, "1.5": MINOR_XP, "1.6": MINOR_LAYERED}


@click.command("new", no_args_is_help=True)
@click.argument("target", metavar="OUT")
@click.option(
    "--root-name", metavar="NAME", default="ROOT", show_default=True, help="Name of the root key; Windows ignores it."
)
@click.option(
    "--version",
    type=click.Choice(list(_VERSIONS)),
    default="1.5",
    show_default=True,
    help="Format: 1.3 for boot stores, 1.6 for an empty differencing hive.",
)
@click.option("--force", is_flag=True, help="Replace an existing OUT; write to a terminal.")
@epoch_option
@common_options
def new(
    target: str,
    root_name: str,
    version: str,
    force: bool,
    source_date_epoch: str | None,
    as_json: bool,
    quiet: bool,
    verbose: bool,  # noqa: ARG001 # nothing more to say
    debug: bool,  # noqa: ARG001 # main() looks for it
) -> None:
    """Make the smallest hive that Windows loads.

    It has a root key, and nothing in it. Its time is SOURCE_DATE_EPOCH, else 1970, so that the same options make the
    same bytes.

    \b
    Examples:
      wclayer hive new SYSTEM
      wclayer hive new --version 1.3 --root-name NewStoreRoot --source-date-epoch 1700000000 store
    """
    time = time_of(source_date_epoch)
    data = minimal_hive(UNIX_EPOCH if time is None else time, root_name=root_name, minor=_VERSIONS[version])
    _write(data, target, f"made {printable(target)}", force=force, as_json=as_json, quiet=quiet, warnings=[])


@click.command("merge", no_args_is_help=True)
@click.argument("base", metavar="BASE")
@click.argument("deltas", metavar="DELTA...", nargs=-1, required=True)
@click.option("-o", "--output", "target", metavar="OUT", required=True, help="Merged hive; - for stdout.")
@click.option("--differencing", is_flag=True, help="BASE and the result are differencing hives.")
@click.option("--force", is_flag=True, help="Replace an existing OUT; write to a terminal.")
@accept_dirty_option
@hive_options
def merge(
    base: str,
    deltas: tuple[str, ...],
    target: str,
    differencing: bool,
    force: bool,
    as_json: bool,
    quiet: bool,
    verbose: bool,  # noqa: ARG001 # nothing more to say
    debug: bool,  # noqa: ARG001 # main() looks for it
    **options: Any,
) -> None:
    """Merge differencing hives into the hive of a base layer.

    The result is the hive that a container sees. BASE is the base layer's hive, each DELTA the Hives/*_Delta of a
    layer above, from the lowest on.

    \b
    Examples:
      wclayer hive merge SOFTWARE Software_Delta -o merged
      wclayer hive merge layer//Files/Windows/System32/config/SOFTWARE upper//Hives/Software_Delta -o merged2
      wclayer hive merge --differencing Software_Delta Second_Delta -o Both_Delta
    """
    warnings: list[str] = []
    with hive_places(**options) as places:
        result = places.hive(parse_hive_place(base))
        if differencing and not result.differencing:
            raise UsageError("--differencing, with an ordinary hive as BASE", path=base, hint="leave it out")
        for one in deltas:
            report = MergeReport()
            delta = places.hive(parse_hive_place(one))
            result = (merge_deltas if differencing else merge_delta)(result, delta, report)
            if report.plain:
                warnings.append(f"{one}: an ordinary hive; all its keys were merged")
            count = report.unbacked.count
            if count and not differencing:
                keys = "1 key changes" if count == 1 else f"{count:,} keys change"
                warnings.append(f"{one}: {keys} what the base does not have: {report.unbacked.paths[0]}")
        warnings += places.warnings
    what = f"merged {printable(base)} and {len(deltas)} above it"
    _write(write_hive(result), target, what, force=force, as_json=as_json, quiet=quiet, warnings=warnings)


def _write(
    data: bytes, target: str, what: str, *, force: bool, as_json: bool, quiet: bool, warnings: list[str]
) -> None:
    """Write a hive, and say so."""
    to_stdout = target == "-"
    if to_stdout and as_json:
        raise UsageError("--json, while the hive itself goes to stdout", hint="name a file")
    with open_output(target, force=force, what="a hive") as out:
        out.write(data)
        out.flush()
    if as_json:
        click.echo(json.dumps({"size": len(data), "warnings": warnings}))
    elif not quiet:
        for warning in warnings:
            click.echo(f"warning: {printable(warning)}", err=True)
        click.echo(f"{what}: {size_text(len(data))}", err=to_stdout)
