"""`wclayer export`."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import Any, Literal

import click

from ..entry import Summary
from ..errors import UsageError
from ..images.one_layer import copy_layer_tar, layer_of, put_layer
from ..images.options import ImageOptions
from ..images.places.parse import parse_place
from ..images.reading import open_image
from ..images.spec.descriptors import Platform, check_os_version
from ..images.writing import layer_compression
from ..layers.exporting import export_layer_to_tar
from ..layertar.compression import Compression
from ..stores.folders import open_folder
from ..stores.transport.folder import TransportFolder
from .common import choice_of, common_options, open_output, parents_option, print_summary, temporary_folder
from .folders import folder_of, layer_folders
from .network import jobs_option, network_options, registries_of
from .progress import progress_bar

__all__ = ["export"]


@click.command("export", no_args_is_help=True)
@click.argument("folder", metavar="DIR|PLACE#N")
@parents_option("Optional; checked if given.")
@click.option(
    "-o", "--output", "target", metavar="TAR|PLACE#N", help="Output file, or layer of an image. Default: stdout."
)
@click.option("--os-version", metavar="VERSION", help="os.version of a new image, or of the one to read from an index.")
@click.option("--platform", metavar="HOST", help="Select the image of an index to read for this host.")
@click.option("-z", "--gzip", "gzip", is_flag=True, help="Compress with gzip, as --compress gzip.")
@click.option(
    "--compress",
    "compression",
    type=click.Choice(["gzip", "zstd", "none"]),
    help="Compression. Default: none; gzip in an image.",
)
@click.option("--level", metavar="N", type=int, help="gzip: 1 to 9 (default 5); zstd: 1 to 19 (default 3).")
@click.option(
    "--framing",
    type=click.Choice(["original", "canonical"]),
    help="Tar as imported, or as hcsshim writes it. Default: original if known.",
)
@click.option("--verify-content", is_flag=True, help="Detect edits by content, not by time.")
@click.option(
    "--modes",
    is_flag=True,
    help="Write modes 0644 and 0755, as Microsoft's tars have (canonical only).",
)
@click.option("--force", is_flag=True, help="Replace TAR, change an existing image, write to a terminal.")
@jobs_option
@network_options
@common_options
def export(
    folder: str,
    parents: tuple[str, ...],
    target: str | None,
    os_version: str | None,
    platform: str | None,
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
    **network: Any,
) -> None:
    """Write the layer in the layer folder DIR, or layer N of an image, as a tar or as layer N of an image.

    A folder that was imported from a tar gives the same tar again, except for later edits. Otherwise,
    and with --framing canonical, it is byte for byte what hcsshim writes on Windows. transport:DIR is a folder that
    Windows' ExportLayer has made, or an import here.

    As a layer of an image, #0 makes a new image; the number of its layers adds a layer on top, and a
    smaller number replaces a layer; both change an image and need --force.

    \b
    Examples:
      wclayer export -o layer.tar nanoserver
      wclayer export -z -o layer.tar.gz nanoserver
      wclayer export --compress zstd --level 9 -o layer.tar.zst nanoserver
      wclayer export app | sha256sum
      wclayer export --framing canonical -o canonical.tar nanoserver
      wclayer export --os-version 10.0.20348.2227 -o oci:base:nanoserver#0 nanoserver
      wclayer export --force -o oci:base:nanoserver#1 app
      wclayer export -z -o layer.tgz oci:out:hello#0
      wclayer export -o app.tar transport:app-transport
    """
    began = time.perf_counter()
    if gzip and compression not in (None, "gzip"):
        raise UsageError("-z and another --compress", expected="one of them", got=f"--compress {compression}")
    to_stdout = target is None or target == "-"
    if to_stdout and as_json:
        raise UsageError("--json, while the tar itself goes to stdout", hint="give -o FILE")
    source, place = parse_place(folder), parse_place(target or "-")
    if place.transport in ("disk", "transport"):
        raise UsageError("a place for a layer folder, where a tar goes", path=place.text, hint="import makes it")
    if gzip:
        compression = "gzip"
    compression = layer_compression(place, compression) if place.is_image else compression or "none"
    with ExitStack() as stack:
        registries = stack.enter_context(registries_of(**network))
        progress = stack.enter_context(progress_bar("export", quiet=quiet or as_json, verbose=verbose))
        at = stack.enter_context(layer_folders(reading=(*parents, *(() if source.is_image else (folder,)))))
        write: Callable[..., Summary]
        if source.is_image:
            if parents or verify_content:
                raise UsageError("-l and --verify-content are for a layer folder", got=folder)
            selector = choice_of(os_version, platform)
            image = stack.enter_context(
                open_image(
                    source, options=ImageOptions(selector=selector, temp_dir=temporary_folder(), registries=registries)
                )
            )
            layer = layer_of(image, source.layer)
            base, runs_on = layer.number == 0, image.platform
            write = partial(copy_layer_tar, layer, compression=compression, level=level, framing=framing, modes=modes)
        else:
            if platform is not None:
                raise UsageError("--platform is for an index", got=folder)
            base = place.is_image and _is_base(folder_of(at(folder)))
            runs_on = Platform(os_version=check_os_version(os_version))
            write = partial(
                export_layer_to_tar,
                folder_of(at(folder)),
                parents=[folder_of(at(parent)) for parent in parents],
                compression=compression,
                level=level,
                framing=framing,
                modes=modes,
                verify_content=verify_content,
            )
        write = partial(write, progress=progress)
        if place.is_image:
            summary = put_layer(
                place,
                lambda blob, _: write(output=blob),
                base=base,
                platform=runs_on,
                force=force,
                temp_dir=temporary_folder(),
                registries=registries,
            )
        else:
            summary = write(output=stack.enter_context(open_output(target, force=force)))
    if not quiet or as_json:
        print_summary("exported", folder, summary, began, as_json=as_json, err=to_stdout)


def _is_base(folder: str | TransportFolder) -> bool:
    with open_folder(folder) as layer:
        return layer.base
