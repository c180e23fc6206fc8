"""`wclayer makebaselayer`."""

from __future__ import annotations

import json
import re
from contextlib import ExitStack

import click

from ..errors import UsageError
from ..layers.base import convert_to_base_layer
from ..layers.windows.processing import clean_folder, process_folder
from ..layers.windows.service import service
from ..stores.folders import on_windows
from .common import common_options
from .folders import layer_folders

__all__ = ["makebaselayer"]

_NOTES = {
    None: "Windows does its own processing of the layer when it is imported there.",
    True: "Windows has processed it.",
    False: "Windows has processed it before.",
}


@click.command("makebaselayer", no_args_is_help=True)
@click.argument("folder", metavar="DIR", type=click.Path())
@click.option("--create-bcd", is_flag=True, help="Make a minimal boot store for a utility VM that has none.")
@click.option("--replace-invalid", is_flag=True, help="Replace invalid hives by empty ones.")
@click.option(
    "--source-date-epoch",
    envvar="SOURCE_DATE_EPOCH",
    show_envvar=True,
    metavar="SECONDS",
    help="Time of new files. Default: the newest time in DIR.",
)
@click.option("--clean", is_flag=True, help="Remove what a failed run left, then process again (Windows only).")
@common_options
def makebaselayer(
    folder: str,
    create_bcd: bool,
    replace_invalid: bool,
    source_date_epoch: str | None,
    clean: bool,
    as_json: bool,
    quiet: bool,
    verbose: bool,
    debug: bool,  # noqa: ARG001 # main() looks for it
) -> None:
    """Make a valid base layer of the folder DIR, where DIR/Files is drive C:.

    Makes those of the five registry hives of Windows that are missing, and keeps existing valid ones.
    A second run changes nothing. On Windows, its own processing of the layer follows.

    \b
    Examples:
      wclayer makebaselayer hello
      wclayer makebaselayer --create-bcd --replace-invalid hello
    """
    epoch: int | None = None
    if source_date_epoch:
        if not re.fullmatch(r"[0-9]{1,12}", source_date_epoch, re.ASCII):
            raise UsageError("SOURCE_DATE_EPOCH", expected="seconds since 1970", got=source_date_epoch)
        epoch = int(source_date_epoch)
    processed: bool | None = None
    with ExitStack() as stack:
        if on_windows():
            stack.enter_context(service("making a base layer", (folder,)))
            if clean:
                clean_folder(folder)  # which puts the boot store back
        at = stack.enter_context(layer_folders(changing=(folder,)))
        result = convert_to_base_layer(
            at(folder), replace_invalid=replace_invalid, create_bcd=create_bcd, source_date_epoch=epoch
        )
        if on_windows():
            processed = process_folder(folder)
    note = _NOTES[processed]
    if as_json:
        click.echo(json.dumps({**result.to_dict(), "note": note}))
        return
    if not quiet:
        counts = f"{len(result.made)} made, {len(result.replaced)} replaced, {len(result.kept)} kept"
        if verbose:
            for what in ("made", "replaced", "kept"):
                for path in getattr(result, what):
                    click.echo(f"{what + ':':10}{path}")
        click.echo(f"{folder} is a base layer; hives: {counts}")
        click.echo(note)
