"""`wclayer cat`."""

from __future__ import annotations

import sys
from typing import Any

import click

from ..errors import UsageError
from ..operations.files import write_places
from .common import temporary_folder
from .reading import reading_bar
from .sources import SourceCommand, layer_places, source_options

__all__ = ["cat"]


@click.command("cat", cls=SourceCommand, no_args_is_help=True)
@click.argument("sources", metavar="SRC//PATH...", nargs=-1, required=True)
@source_options()
def cat(
    sources: tuple[str, ...],
    as_json: bool,
    quiet: bool,
    verbose: bool,
    debug: bool,  # noqa: ARG001 # main() looks for it
    **options: Any,
) -> None:
    """Write the bytes of files in layers to stdout, one after the other.

    SRC is a layer tar (plain, gzip or zstd; - is stdin), a layer folder, an image (all its layers, as a container on it
    sees them), or PLACE#N, one layer. PATH is taken literally, in any case; PATH:STREAM is an alternate stream.
    Symlinks, junctions and hard links are followed; on a pipe, unless the target was already read. Reading
    stops after the last byte that is needed, and layers that are not needed are not fetched.

    \b
    Examples:
      wclayer cat layer.tar.gz//Files/Windows/win.ini
      wclayer cat oci:out:app//Files/app.exe > app.exe
      wclayer cat oci:out:app#1//Files/app.exe > app.exe
      wclayer cat nanoserver//Files/setup.exe:Zone.Identifier
      wclayer cat -l nanoserver app.tar.gz//Files/Windows/win.ini
      cat layer.tar.gz | wclayer cat -//files/windows/WIN.INI
    """
    if as_json:
        raise UsageError("--json, while the files themselves go to stdout")
    sys.stdout.flush()
    with layer_places(**options) as places, reading_bar("reading", quiet=quiet, verbose=verbose) as seen:
        write_places(places, sources, sys.stdout.buffer.write, temp_dir=temporary_folder(), seen=seen)
    sys.stdout.buffer.flush()
