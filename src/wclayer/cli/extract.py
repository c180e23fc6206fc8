"""`wclayer extract`."""

from __future__ import annotations

import json
import time
from typing import Any, Final

import click

from ..errors import printable
from ..layers.lookup.extract import Extracted
from ..operations.files import extract_places
from .common import size_text, temporary_folder
from .reading import reading_bar
from .sources import SourceCommand, layer_places, source_options

__all__ = ["extract"]

_SHOWN: Final = 3  # of what was left out, unless -v
_NOTES: Final = {
    "streams": ("an alternate stream", "alternate streams"),
    "hard_links": ("a hard link to a file of a layer below", "hard links to files of layers below"),
    "links": ("a link that leads out of what was extracted", "links that lead out of what was extracted"),
    "reparse_points": ("what a reparse point says, beside its data", "reparse points"),
    "whiteouts": ("a whiteout", "whiteouts"),
}


@click.command("extract", cls=SourceCommand, no_args_is_help=True)
@click.argument("sources", metavar="SRC//PATH...", nargs=-1, required=True)
@click.option("-o", "--output", "target", metavar="DIR", required=True, help="Output folder: new or empty.")
@click.option("--with-metadata", is_flag=True, help="Make DIR a layer folder with all metadata.")
@click.option("--force", is_flag=True, help="Replace DIR if it is not empty.")
@source_options()
def extract(
    sources: tuple[str, ...],
    target: str,
    with_metadata: bool,
    force: bool,
    as_json: bool,
    quiet: bool,
    verbose: bool,
    debug: bool,  # noqa: ARG001 # main() looks for it
    **options: Any,
) -> None:
    """Extract files, directories and patterns from layers into a folder.

    SRC is a layer tar (plain, gzip or zstd; - is stdin), a layer folder, an image (all its layers, as a container on it
    sees them), or PLACE#N, one layer. Components of PATH may have *, ? and [...]; case does not matter. A PATH
    without them is extracted to DIR under its last component, a directory with its contents; a match of a pattern keeps
    its path from the first component with wildcards on: Files/*/a.txt gives b/a.txt. Without PATH, all of SRC.

    Content, last write times, hard links, and symlinks and junctions to other extracted files are extracted (a link
    that is named itself is followed). Streams and other links are counted on stderr. --with-metadata makes DIR a layer
    folder with the entries at their own paths and the directories above them; `wclayer export` makes a lossless tar of
    it.

    Reading stops after the last byte that is needed, and layers that are not needed are not fetched. From a pipe, a
    link can be followed unless its target was already read.

    \b
    Examples:
      wclayer extract layer.tar.gz//Files/Windows/win.ini -o files
      wclayer extract --force oci:out:app//Files/app.exe oci:base:nanoserver//Files/Windows -o files
      wclayer extract --with-metadata 'layer.tar.gz//Files/Windows/*.ini' -o ini-layer
      wclayer extract nanoserver//Files/Windows -o windows
      cat layer.tar.gz | wclayer extract -//Files/Windows/win.ini -o ini
    """
    began = time.perf_counter()
    with layer_places(**options) as places, reading_bar("reading", quiet=quiet, verbose=verbose) as seen:
        found = extract_places(
            places,
            sources,
            target,
            with_metadata=with_metadata,
            force=force,
            temp_dir=temporary_folder(),
            seen=seen,
        )
    if as_json:
        click.echo(json.dumps(found.to_dict()))
    elif not quiet:
        _print(found, target, time.perf_counter() - began, verbose=verbose)


def _print(found: Extracted, target: str, seconds: float, *, verbose: bool) -> None:
    for kind, noted in sorted(found.left_out.items()):
        one, many = _NOTES[kind]
        what = one if noted.count == 1 else f"{noted.count:,} {many}"
        shown = noted.paths if verbose else noted.paths[:_SHOWN]
        more = ", ..." if noted.count > len(shown) else ""
        click.echo(f"warning: left out {what}: {', '.join(map(printable, shown))}{more}", err=True)
    counts = [
        (found.directories, "directory", "directories"),
        (found.files, "file", "files"),
        (found.hard_links, "hard link", "hard links"),
        (found.symlinks, "symlink", "symlinks"),
        (found.streams, "stream", "streams"),
        (found.whiteouts, "whiteout", "whiteouts"),
    ]
    text = ", ".join(f"{count:,} {one if count == 1 else many}" for count, one, many in counts if count)
    click.echo(f"extracted to {printable(target)}: {text or 'nothing'}; {size_text(found.bytes)} in {seconds:.1f} s")
