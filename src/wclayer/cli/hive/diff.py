"""`wclayer hive diff`."""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import ExitStack
from typing import Any, Final

import click

from ...errors import UsageError
from ...operations.hive_diff import Compared, RegChanges, compared
from ...operations.hive_places import parse_hive_place
from ...regf.reg_print import encode_reg
from ...regf.values import difference_json
from ..common import open_output
from .differences import difference_lines
from .places import accept_dirty_option, hive_options, hive_places, prefix_option, say_noted, warn

__all__ = ["diff"]

_UNSAID: Final = "warning: not in the .reg file, as none can say it (security, class, flags, time)"


@click.command("diff", no_args_is_help=True)
@click.argument("a", metavar="A")
@click.argument("b", metavar="B")
@click.argument("path", metavar="[KEY]", default="")
@click.option("--times", is_flag=True, help="Compare last write times of keys too.")
@click.option("--reg", "as_reg", is_flag=True, help="Write a .reg file that turns A into B.")
@click.option("-o", "--output", "target", metavar="FILE.reg", help="Output file of --reg. Default: stdout.")
@prefix_option
@click.option("--utf8", is_flag=True, help="UTF-8 with LF (--reg only). Default: as regedit writes it.")
@click.option("--force", is_flag=True, help="Replace an existing FILE.reg; write to a terminal.")
@accept_dirty_option
@hive_options
def diff(
    a: str,
    b: str,
    path: str,
    times: bool,
    as_reg: bool,
    target: str | None,
    prefix: str | None,
    utf8: bool,
    force: bool,
    as_json: bool,
    quiet: bool,
    verbose: bool,
    debug: bool,  # noqa: ARG001 # main() looks for it
    **options: Any,
) -> int:
    """Compare two hives, or the registries of two images.

    Compares keys, values, security descriptors, class names and flags. Names are compared as Windows does, without
    regard to case. Lines with a - are of A, those with a + of B. KEY limits it to one key and what is below. Exits with
    1 if there are differences.

    \b
    Examples:
      wclayer hive diff SOFTWARE SOFTWARE
      wclayer hive diff SOFTWARE changed Acme
      wclayer hive diff --json layer other 'HKLM\\SOFTWARE'
      wclayer hive diff --reg --utf8 SOFTWARE changed > changes.reg
    """
    if (target or prefix or utf8) and not as_reg:
        raise UsageError("-o, --prefix and --utf8 are for --reg")
    if as_reg and as_json:
        raise UsageError("--reg and --json", expected="one of them")
    with ExitStack() as stack:
        places = stack.enter_context(hive_places(**options))
        pairs = compared(places, parse_hive_place(a), parse_hive_place(b), path)
        if as_reg:
            out = stack.enter_context(open_output(target, force=force, what="a .reg file"))
            changes = RegChanges(prefix=prefix, times=times, utf8=utf8)
            for data in encode_reg(changes.lines(pairs), utf8=utf8):
                out.write(data)
            out.flush()
            count = changes.count
            if not quiet:
                say_noted(changes.unsaid, _UNSAID, verbose=verbose)
        elif as_json:
            count = _print_json(pairs, times=times)
        else:
            count = _print(pairs, times=times, whole=verbose, quiet=quiet)
        warn(places, quiet=quiet)
    return int(count > 0)


def _print(pairs: Iterable[Compared], *, times: bool, whole: bool, quiet: bool) -> int:
    count = 0
    for pair in pairs:
        for difference in pair.differences(times=times):
            count += 1
            if quiet:
                return count
            for line in difference_lines(difference, pair.shown(difference), whole=whole):
                click.echo(line)
    return count


def _print_json(pairs: Iterable[Compared], *, times: bool) -> int:
    """A list of differences, one a line."""
    count = 0
    for pair in pairs:
        for difference in pair.differences(times=times):
            click.echo(
                ("[" if not count else ",\n") + json.dumps(difference_json(difference, pair.shown(difference))),
                nl=False,
            )
            count += 1
    click.echo("]" if count else "[]")
    return count
