"""`wclayer process`."""

from __future__ import annotations

import json

import click

from ..layers.process import process_layer
from .common import common_options, parents_option
from .folders import folder_of

__all__ = ["process"]


@click.command("process", no_args_is_help=True)
@click.argument("folder", metavar="DIR", type=click.Path())
@parents_option("For a non-base layer.")
@click.option("-o", "--output", metavar="NEW", type=click.Path(), help="Folder for the new layer. Default: DIR.")
@click.option("--clean", is_flag=True, help="Remove results of an earlier run first.")
@click.option("--force", is_flag=True, help="Replace an existing NEW once the new one is complete.")
@common_options
def process(
    folder: str,
    parents: tuple[str, ...],
    output: str | None,
    clean: bool,
    force: bool,
    as_json: bool,
    quiet: bool,
    verbose: bool,  # noqa: ARG001 # nothing more to say
    debug: bool,  # noqa: ARG001 # main() looks for it
) -> None:
    """Let Windows process the layer folder DIR that was imported elsewhere, to run containers on it.

    A base layer on NTFS is processed in place; a plain tree made on another system, or transport:DIR (with -o NEW), is
    first converted to a layer on NTFS. Needs Windows.

    \b
    Examples:
      wclayer process nanoserver
      wclayer process --clean nanoserver
      wclayer process -l nanoserver -o app app-from-linux
      wclayer process -l nanoserver -o other transport:from-linux
    """
    done = process_layer(folder_of(folder), parents, output=output, clean=clean, force=force)
    layer = output or folder
    if as_json:
        click.echo(json.dumps({"layer": layer, "processed": done}))
    elif not quiet:
        click.echo(f"processed {layer}" if done else f"{layer} has been processed before")
