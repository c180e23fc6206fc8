"""`wclayer unmount`."""

from __future__ import annotations

import json

import click

from ..layers.windows.scratch import unmount_layer
from .common import common_options

__all__ = ["unmount"]


@click.command("unmount", no_args_is_help=True)
@click.argument("folder", metavar="DIR", type=click.Path())
@click.argument("target", metavar="[TARGET]", required=False, type=click.Path())
@common_options
def unmount(
    folder: str,
    target: str | None,
    as_json: bool,
    quiet: bool,
    verbose: bool,  # noqa: ARG001 # nothing more to say
    debug: bool,  # noqa: ARG001 # main() looks for it
) -> None:
    """Unmount the writable layer DIR, from the folder TARGET too if it is mounted there. Needs Windows.

    \b
    Examples:
      wclayer unmount scratch
      wclayer unmount scratch C:/mnt
    """
    unmount_layer(folder, target)
    if as_json:
        click.echo(json.dumps({"unmounted": folder}))
    elif not quiet:
        click.echo(f"unmounted {folder}")
