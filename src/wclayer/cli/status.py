"""`wclayer status`."""

from __future__ import annotations

import json

import click

from ..errors import printable
from ..stores.folders import open_folder
from .common import common_options
from .folders import folder_of, layer_folders

__all__ = ["status"]


@click.command("status", no_args_is_help=True)
@click.argument("folder", metavar="DIR", type=click.Path())
@click.option("--verify-content", is_flag=True, help="Detect edits by content, not by time.")
@click.option("--exit-code", is_flag=True, help="Exit with 1 if anything was edited.")
@common_options
def status(
    folder: str,
    verify_content: bool,
    exit_code: bool,
    as_json: bool,
    quiet: bool,
    verbose: bool,  # noqa: ARG001 # nothing more to say
    debug: bool,  # noqa: ARG001 # main() looks for it
) -> int:
    """List what was edited by hand in the layer folder DIR since its import: new, changed, gone.

    A file has changed if its size differs, or its time and its SHA-256 do; so copying or touching changes nothing.
    A new or deleted directory, with a / at its end, stands for all its contents.

    \b
    Examples:
      wclayer status nanoserver
      wclayer status --verify-content --exit-code --json nanoserver
    """
    found: dict[str, list[str]] = {"new": [], "changed": [], "gone": []}
    with (
        layer_folders(reading=(folder,)) as at,
        open_folder(folder_of(at(folder)), verify_content=verify_content) as layer,
    ):
        for state, path in layer.status():
            found[state].append(path)
    if as_json:
        click.echo(json.dumps(found))
    elif not quiet:
        for state, paths in found.items():
            for path in paths:
                click.echo(f"{state + ':':9}{printable(path)}")
    return int(exit_code and any(found.values()))
