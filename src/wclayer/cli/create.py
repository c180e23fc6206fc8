"""`wclayer create`."""

from __future__ import annotations

import json

import click

from ..layers.windows.scratch import create_scratch
from .common import common_options, parents_option

__all__ = ["create"]


@click.command("create", no_args_is_help=True)
@click.argument("folder", metavar="DIR", type=click.Path())
@parents_option("Required.")
@common_options
def create(
    folder: str,
    parents: tuple[str, ...],
    as_json: bool,
    quiet: bool,
    verbose: bool,  # noqa: ARG001 # nothing more to say
    debug: bool,  # noqa: ARG001 # main() looks for it
) -> None:
    """Make the writable layer DIR on top of read-only ones, for a container to run in. Needs Windows.

    \b
    Examples:
      wclayer create -l app -l nanoserver scratch
    """
    create_scratch(folder, parents)
    if as_json:
        click.echo(json.dumps({"created": folder}))
    elif not quiet:
        click.echo(f"created {folder}")
