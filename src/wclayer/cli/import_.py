"""`wclayer import`."""

from __future__ import annotations

import time
from typing import BinaryIO, cast

import click

from ..layers.importing import import_layer_from_tar
from .common import common_options, open_input, parents_option, print_summary
from .progress import progress_bar

__all__ = ["import_"]


@click.command("import", no_args_is_help=True)
@click.argument("folder", metavar="DIR", type=click.Path())
@parents_option("None for a base layer.")
@click.option("-i", "--input", "source", metavar="TAR", type=click.Path(), help="The layer tar; stdin without it.")
@click.option("--diff-id", metavar="SHA256", help="Refuse a tar whose uncompressed digest is another one.")
@click.option("--force", is_flag=True, help="Replace DIR, if there is one, once the new one is whole.")
@common_options
def import_(
    folder: str,
    parents: tuple[str, ...],
    source: str | None,
    diff_id: str | None,
    force: bool,
    as_json: bool,
    quiet: bool,
    verbose: bool,
    debug: bool,  # noqa: ARG001 # main() looks for it
) -> None:
    """Make the layer folder DIR from a layer tar (plain, gzip or zstd).

    DIR appears whole or not at all. What Windows knows of a file and this file system does not is kept in
    DIR/layer.db, so that `wclayer export` gives it back.

    \b
    Examples:
      wclayer import -i layer.tar.gz nanoserver
      wclayer import -l nanoserver -i app.tar.gz app
      wclayer import -l app -l nanoserver -i patch.tar patch
      cat layer.tar | wclayer import --json base
    """
    began = time.perf_counter()
    with (
        open_input(source) as stream,
        progress_bar(
            "import", lambda _: stream.done, stream.total, quiet=quiet or as_json, verbose=verbose
        ) as progress,
    ):
        summary = import_layer_from_tar(
            cast("BinaryIO", stream), folder, parents, diff_id=diff_id, force=force, progress=progress
        )
    if not quiet or as_json:
        print_summary("imported", folder, summary, began, as_json=as_json)
