"""`wclayer export`."""

from __future__ import annotations

import time
from typing import Literal

import click

from ..errors import UsageError
from ..layers.exporting import export_layer_to_tar
from ..layertar.compression import Compression
from .common import common_options, open_output, parents_option, print_summary
from .progress import progress_bar

__all__ = ["export"]


@click.command("export", no_args_is_help=True)
@click.argument("folder", metavar="DIR", type=click.Path())
@parents_option("Not needed, checked if given.")
@click.option("-o", "--output", "target", metavar="TAR", type=click.Path(), help="Where to; stdout without it.")
@click.option("-z", "--gzip", "gzip", is_flag=True, help="Compress with gzip, as --compress gzip.")
@click.option("--compress", "compression", type=click.Choice(["gzip", "zstd", "none"]), help="Default: none.")
@click.option("--level", metavar="N", type=int, help="gzip: 1 to 9 (default 5); zstd: 1 to 19 (default 3).")
@click.option(
    "--framing",
    type=click.Choice(["original", "canonical"]),
    help="The tar that DIR was imported from, or hcsshim's. Default: original, where it is known.",
)
@click.option("--verify-content", is_flag=True, help="Read every file to see whether it was edited, whatever its time.")
@click.option(
    "--modes",
    is_flag=True,
    help="Write permission bits 0644 and 0755, as Microsoft's own tars have; canonical framing.",
)
@click.option("--force", is_flag=True, help="Replace TAR, if there is one; write to a terminal.")
@common_options
def export(
    folder: str,
    parents: tuple[str, ...],
    target: str | None,
    gzip: bool,
    compression: Compression | None,
    level: int | None,
    framing: Literal["original", "canonical"] | None,
    verify_content: bool,
    modes: bool,
    force: bool,
    as_json: bool,
    quiet: bool,
    verbose: bool,
    debug: bool,  # noqa: ARG001 # main() looks for it
) -> None:
    """Write the layer in the layer folder DIR as a tar.

    A folder that was imported from a tar gives that very tar again, save for what was edited by hand since. Otherwise,
    and with --framing canonical, it is byte for byte what hcsshim writes on Windows.

    \b
    Examples:
      wclayer export -o layer.tar nanoserver
      wclayer export -z -o layer.tar.gz nanoserver
      wclayer export --compress zstd --level 9 -o layer.tar.zst nanoserver
      wclayer export app | sha256sum
      wclayer export --framing canonical -o canonical.tar nanoserver
    """
    began = time.perf_counter()
    if gzip and compression not in (None, "gzip"):
        raise UsageError("-z and another --compress", expected="one of them", got=f"--compress {compression}")
    to_stdout = target is None or target == "-"
    if to_stdout and as_json:
        raise UsageError("--json, while the tar itself goes to stdout", hint="give -o FILE")
    with (
        open_output(target, force=force) as stream,
        progress_bar(
            "export", lambda summary: summary.bytes, None, quiet=quiet or as_json, verbose=verbose
        ) as progress,
    ):
        summary = export_layer_to_tar(
            stream,
            folder,
            parents,
            compression="gzip" if gzip else compression or "none",
            level=level,
            framing=framing,
            modes=modes,
            verify_content=verify_content,
            progress=progress,
        )
    if not quiet or as_json:
        print_summary("exported", folder, summary, began, as_json=as_json, err=to_stdout)
