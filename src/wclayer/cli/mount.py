"""`wclayer mount`."""

from __future__ import annotations

import json

import click

from ..layers.windows.scratch import mount_layer
from .common import common_options, parents_option

__all__ = ["mount"]


@click.command("mount", no_args_is_help=True)
@click.argument("folder", metavar="DIR", type=click.Path())
@click.argument("target", metavar="[TARGET]", required=False, type=click.Path())
@parents_option("Required.")
@common_options
def mount(
    folder: str,
    target: str | None,
    parents: tuple[str, ...],
    as_json: bool,
    quiet: bool,
    verbose: bool,  # noqa: ARG001 # nothing more to say
    debug: bool,  # noqa: ARG001 # main() looks for it
) -> None:
    """Mount the writable layer DIR, at the empty folder TARGET if one is given, and print its volume. Needs Windows.

    \b
    Examples:
      wclayer mount -l app -l nanoserver scratch
      wclayer mount -l app -l nanoserver scratch C:/mnt
    """
    volume = mount_layer(folder, parents, target)
    if as_json:
        click.echo(json.dumps({"volume": volume}))
    elif not quiet:
        click.echo(volume)
