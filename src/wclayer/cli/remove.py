"""`wclayer remove`."""

from __future__ import annotations

import json

import click

from ..layers.windows.scratch import remove_layer
from .common import common_options

__all__ = ["remove"]


@click.command("remove", no_args_is_help=True)
@click.argument("folder", metavar="DIR", type=click.Path())
@common_options
def remove(
    folder: str,
    as_json: bool,
    quiet: bool,
    verbose: bool,  # noqa: ARG001 # nothing more to say
    debug: bool,  # noqa: ARG001 # main() looks for it
) -> None:
    """Remove the layer folder DIR with all that Windows made in it. Needs Windows.

    \b
    Examples:
      wclayer remove scratch
    """
    remove_layer(folder)
    if as_json:
        click.echo(json.dumps({"removed": folder}))
    elif not quiet:
        click.echo(f"removed {folder}")
