"""`wclayer import`."""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import Any, BinaryIO, cast

import click

from ..errors import DigestMismatchError
from ..images.places.parse import parse_place
from ..layers.importing import import_layer_from_tar, parse_digest
from .common import (
    choice_of,
    choice_options,
    common_options,
    open_input,
    open_layer_input,
    parents_option,
    print_summary,
)
from .folders import folder_of, layer_folders
from .network import network_options, registries_of
from .progress import progress_bar

__all__ = ["import_"]


@click.command("import", no_args_is_help=True)
@click.argument("folder", metavar="DIR", type=click.Path())
@parents_option("None for a base layer.")
@click.option("-i", "--input", "source", metavar="TAR|PLACE#N", help="Layer tar, or layer of an image. Default: stdin.")
@choice_options
@click.option("--diff-id", metavar="SHA256", help="Expected SHA-256 of the uncompressed tar.")
@click.option("--force", is_flag=True, help="Replace an existing DIR once the new one is complete.")
@click.option("--plain", is_flag=True, help="Keep metadata in layer.db only, on NTFS and Windows too.")
@network_options
@common_options
def import_(
    folder: str,
    parents: tuple[str, ...],
    source: str | None,
    os_version: str | None,
    platform: str | None,
    diff_id: str | None,
    force: bool,
    plain: bool,
    as_json: bool,
    quiet: bool,
    verbose: bool,
    debug: bool,  # noqa: ARG001 # main() looks for it
    **network: Any,
) -> None:
    """Make the layer folder DIR from a layer tar (plain, gzip or zstd), or from layer N of an image.

    DIR appears only when it is complete. Windows metadata that this file system cannot hold is kept in DIR/layer.db,
    for `wclayer export`. On an NTFS volume (mounted by ntfs-3g, or disk:IMAGE//DIR: see `wclayer disk`) the file system
    itself holds it, and Windows will see it there. On Windows, the layer is also processed by Windows, so that
    containers can run on it; that needs an elevated prompt. transport:DIR makes
    the folder that Windows' own ImportLayer takes, with the rest in DIR.layer.db beside it.

    \b
    Examples:
      wclayer import -i layer.tar.gz nanoserver
      wclayer import -l nanoserver -i app.tar.gz app
      wclayer import -l app -l nanoserver -i patch.tar patch
      cat layer.tar | wclayer import --json base
      wclayer import -i oci:out:hello#0 hello-base
      wclayer import -l nanoserver -i app.tar.gz transport:app-transport
    """
    began = time.perf_counter()
    with ExitStack() as stack:
        place = None if source is None else parse_place(source)
        if place is not None and place.is_image:
            registries = stack.enter_context(registries_of(**network))
            stream, layer = stack.enter_context(open_layer_input(place, choice_of(os_version, platform), registries))
            diff_id = _same(layer.diff_id, diff_id, place.text)
        else:
            stream = stack.enter_context(open_input(source))
        at = stack.enter_context(layer_folders(reading=parents, making=(folder,)))
        progress = stack.enter_context(progress_bar("import", counted=stream, quiet=quiet or as_json, verbose=verbose))
        summary = import_layer_from_tar(
            cast("BinaryIO", stream),
            folder_of(at(folder)),
            [folder_of(at(parent)) for parent in parents],
            diff_id=diff_id,
            force=force,
            plain=plain,
            progress=progress,
        )
    if not quiet or as_json:
        print_summary("imported", folder, summary, began, as_json=as_json)


def _same(diff_id: str, wanted: str | None, place: str) -> str:
    if wanted is not None and parse_digest(wanted) != diff_id:
        raise DigestMismatchError("the layer is not the one asked for", path=place, expected=wanted, got=diff_id)
    return diff_id
