"""`wclayer disk`."""

from __future__ import annotations

import json
import os

import click

from ..disks.creating import create_disk, parse_size
from .common import common_options, size_text

__all__ = ["disk"]


@click.group("disk", no_args_is_help=True)
def disk() -> None:
    """Make disk images with an NTFS volume, where layer folders hold all Windows metadata.

    A folder on one is named disk:IMAGE//FOLDER, or disk:IMAGE:PARTITION//FOLDER, wherever a command takes a layer
    folder. The disk is mounted for that command only, hidden from other programs; Linux, root and ntfs-3g are
    needed for that.
    """


@disk.command("create", no_args_is_help=True)
@click.argument("image", metavar="IMAGE", type=click.Path())
@click.option(
    "--size", metavar="SIZE", required=True, help="Size of the disk, such as 20G or 512M; the file is sparse."
)
@click.option("--bare", is_flag=True, help="Make a volume without a partition table.")
@click.option("--label", metavar="TEXT", default="", help="Label of the volume.")
@click.option("--force", is_flag=True, help="Replace an existing IMAGE.")
@common_options
def create(
    image: str,
    size: str,
    bare: bool,
    label: str,
    force: bool,
    as_json: bool,
    quiet: bool,
    verbose: bool,  # noqa: ARG001 # nothing more to say
    debug: bool,  # noqa: ARG001 # main() looks for it
) -> None:
    """Make the raw disk image IMAGE with an empty NTFS volume: a GPT with one partition, as Windows wants disks.

    For Windows, make a VHDX of it afterwards, and attach that:

      qemu-img convert -O vhdx -o subformat=dynamic layers.img layers.vhdx

    \b
    Examples:
      wclayer disk create --size 20G layers.img
      wclayer disk create --size 512M --bare --label layers bare.img
      wclayer import -i layer.tar.gz disk:layers.img//nanoserver
      wclayer import -l disk:layers.img//nanoserver -i app.tar.gz disk:layers.img//app
      wclayer export -o again.tar disk:layers.img//nanoserver
    """
    part = create_disk(image, parse_size(size), partition=not bare, label=label, force=force)
    if as_json:
        found = {"size": os.path.getsize(image), "partition": part.number, "offset": part.offset, "volume": part.size}
        click.echo(json.dumps(found))
    elif not quiet:
        where = "one volume" if bare else f"partition {part.number}"
        click.echo(f"made {image}: {size_text(os.path.getsize(image))}, NTFS in {where}")
