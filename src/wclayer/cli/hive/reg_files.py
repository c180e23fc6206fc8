"""`wclayer hive export` and `wclayer hive import`."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from typing import Any, BinaryIO, Final

import click

from ...body import read_up_to
from ...errors import UsageError, printable
from ...operations.hive_edits import edits_of_reg, root_of
from ...operations.hive_places import parse_hive_place
from ...regf.edits import Missed, changed_hive
from ...regf.model import Noted
from ...regf.reg_print import encode_reg, print_reg
from ...regf.reg_text import MAX_REG
from ...regf.writer import write_hive
from ...stores.in_place import changed_in_place
from ...win32.filetime import from_unix_ns
from ..common import code_page_option, open_input, open_output, size_text
from ..folders import named
from .places import (
    accept_dirty_option,
    epoch_option,
    hive_options,
    hive_places,
    prefix_option,
    say_noted,
    time_of,
    warn,
)

__all__ = ["export", "import_"]

_LEFT_OUT: Final = "warning: left out, as no .reg file can name it"


@click.command("export", no_args_is_help=True)
@click.argument("place", metavar="HIVE")
@click.argument("path", metavar="[KEY]", default="")
@click.option("-o", "--output", "target", metavar="FILE.reg", help="Output file. Default: stdout.")
@prefix_option
@click.option("--utf8", is_flag=True, help="UTF-8 with LF, for diff and hivexregedit.")
@click.option(
    "--drop",
    type=click.Choice(["names"]),
    help="Leave out names that a .reg file cannot hold, with a warning.",
)
@click.option("--force", is_flag=True, help="Replace an existing FILE.reg; write to a terminal.")
@accept_dirty_option
@hive_options
def export(
    place: str,
    path: str,
    target: str | None,
    prefix: str | None,
    utf8: bool,
    drop: str | None,
    force: bool,
    as_json: bool,
    quiet: bool,
    verbose: bool,
    debug: bool,  # noqa: ARG001 # main() looks for it
    **options: Any,
) -> None:
    """Write a key and all keys below it as a .reg file.

    Version 5.00, in UTF-16 as regedit's own export. A .reg file cannot hold class names, security descriptors and
    times. For an image or layers, KEY selects the hive.

    \b
    Examples:
      wclayer hive export -o software.reg SOFTWARE
      wclayer hive export --utf8 SOFTWARE Acme > acme.reg
      wclayer hive export --prefix 'HKEY_LOCAL_MACHINE\\Loaded' -o other.reg other.hiv
    """
    to_stdout = target is None or target == "-"
    if to_stdout and as_json:
        raise UsageError("--json, while the .reg file itself goes to stdout", hint="give -o FILE")
    left = Noted()
    with (
        hive_places(**options) as places,
        open_output(target, force=force, what="a .reg file") as out,
    ):
        seen = places.seen(parse_hive_place(place), path)
        root = seen.registry_path if seen.place.whole and prefix is None else root_of(seen.place, prefix)
        lines = print_reg(seen.key, f"{root}\\{seen.path}".rstrip("\\"), left_out=left if drop else None, utf8=utf8)
        written = _Written(out)
        written.write(lines, utf8=utf8)
        out.flush()
        warn(places, quiet=quiet)
    if as_json:
        click.echo(json.dumps({"keys": written.keys, "size": written.size, "left_out": asdict(left)}))
    elif not quiet:
        say_noted(left, _LEFT_OUT, verbose=verbose)
        keys = "1 key" if written.keys == 1 else f"{written.keys:,} keys"
        click.echo(f"exported {printable(seen.shown)}: {keys}, {size_text(written.size)}", err=to_stdout)


@dataclass
class _Written:
    """What goes to `out`, counted."""

    out: BinaryIO
    keys: int = 0
    size: int = 0

    def write(self, lines: Iterable[str], *, utf8: bool) -> None:
        for data in encode_reg(self._counted(lines), utf8=utf8):
            self.size += len(data)
            self.out.write(data)

    def _counted(self, lines: Iterable[str]) -> Iterator[str]:
        for line in lines:
            self.keys += line.startswith("\n[") and not line.startswith("\n[-")
            yield line


@click.command("import", no_args_is_help=True)
@click.argument("place", metavar="HIVE")
@click.argument("reg_file", metavar="FILE.reg")
@click.option("-o", "--output", "target", metavar="OUT", help="Changed hive; HIVE itself is not changed.")
@click.option("--in-place", is_flag=True, help="Change the file HIVE itself, atomically.")
@prefix_option
@code_page_option
@click.option("--force", is_flag=True, help="Replace an existing OUT; write to a terminal.")
@epoch_option
@accept_dirty_option
@hive_options
def import_(
    place: str,
    reg_file: str,
    target: str | None,
    in_place: bool,
    prefix: str | None,
    code_page: int | None,
    force: bool,
    source_date_epoch: str | None,
    as_json: bool,
    quiet: bool,
    verbose: bool,
    debug: bool,  # noqa: ARG001 # main() looks for it
    **options: Any,
) -> None:
    """Apply the changes of a .reg file to a hive, as regedit does.

    FILE.reg is of version 5.00, in UTF-16 or UTF-8, or a REGEDIT4 file; a line that regedit would pass over is an
    error. Its keys must all be in this hive; HKEY_LOCAL_MACHINE\\SYSTEM\\CurrentControlSet is the current control set
    of the hive.
    New keys inherit their security. Changed keys get the time SOURCE_DATE_EPOCH, else that of FILE.reg.

    \b
    Examples:
      wclayer hive import SOFTWARE acme.reg -o changed
      wclayer hive import --in-place SOFTWARE acme.reg
      cat acme.reg | wclayer hive import SOFTWARE - -o piped
    """
    time = time_of(source_date_epoch)
    found = parse_hive_place(place)
    if in_place == (target is not None):
        raise UsageError("where to the changed hive?", expected="-o OUT or --in-place")
    if in_place and (found.place is not None or place == "-"):
        raise UsageError("--in-place is for a hive in a file of its own", got=place, hint="give -o OUT")
    if place == reg_file == "-":
        raise UsageError("hive and .reg file, both from stdin", hint="give one of them by its name")
    to_stdout = target == "-"
    if to_stdout and as_json:
        raise UsageError("--json, while the hive itself goes to stdout", hint="give -o FILE")
    missed = Missed()
    with ExitStack() as stack:
        replaced = stack.enter_context(changed_in_place(place)) if in_place else None
        places = stack.enter_context(hive_places(**options))
        hive = places.hive(found)
        with open_input(reg_file, ".reg file", "give its name") as stream:
            edits = edits_of_reg(
                read_up_to(stream.read, MAX_REG), found, hive, source=reg_file, prefix=prefix, code_page=code_page
            )
        if time is None:
            time = hive.last_written if reg_file == "-" else from_unix_ns(os.stat(reg_file).st_mtime_ns)
        changed = changed_hive(hive, edits, time, missed, name=place)
        if replaced is None:
            with open_output(target, force=force, what="a hive") as out:
                out.write(write_hive(changed))
                out.flush()
        elif changed is not hive:
            with replaced() as out:
                out.write(write_hive(changed))
    if as_json:
        click.echo(json.dumps({"changed": changed is not hive, "not_there": asdict(missed)}))
    elif not quiet:
        for noted in (missed.keys, missed.values) if verbose else ():
            say_noted(noted, "not there to be deleted", verbose=verbose, err=to_stdout)
        gone = missed.count
        rest = f"; {gone:,} deletion{'s' if gone > 1 else ''} of what is not there" if gone else ""
        where = "" if in_place else f", as {printable(str(target))}"
        what = "imported" if changed is not hive else "nothing to change:"
        click.echo(f"{what} {printable(reg_file)} into {printable(named(place))}{where}{rest}", err=to_stdout)
