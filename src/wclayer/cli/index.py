"""`wclayer index`."""

from __future__ import annotations

import json
from typing import Any

import click

from ..images.index import make_index
from ..images.options import ImageOptions
from .common import check_image_output, common_options, pairs, temporary_folder
from .network import jobs_option, network_options, registries_of

__all__ = ["index"]


@click.command("index", no_args_is_help=True)
@click.argument("images", metavar="IMAGE...", nargs=-1, required=True)
@click.option("-o", "--output", metavar="PLACE", required=True, help="Output image reference: oci:DIR:TAG ...")
@click.option("--annotation", metavar="KEY=VALUE", multiple=True, help="Annotation of the index.")
@click.option("--force", is_flag=True, help="Replace an existing image at PLACE.")
@jobs_option
@network_options
@common_options
def index(
    images: tuple[str, ...],
    output: str,
    annotation: tuple[str, ...],
    force: bool,
    as_json: bool,
    quiet: bool,
    verbose: bool,  # noqa: ARG001 # for all commands the same
    debug: bool,  # noqa: ARG001 # main() looks for it
    **network: Any,
) -> None:
    """Combine several images into one index, from which each host takes its version.

    Each IMAGE (oci:DIR:TAG, oci-archive:FILE, docker-archive:FILE, docker://HOST/REPOSITORY:TAG) must have a
    different os.version; an index adds all its Windows images. The order is kept.

    \b
    Examples:
      wclayer index -o oci:out:all oci:out:ltsc2019 oci:out:ltsc2022
      wclayer index -o oci-archive:all.tar --annotation org.opencontainers.image.title=hello oci:out:ltsc2022
    """
    to_stdout = check_image_output(output, as_json=as_json, force=force)
    with registries_of(**network) as registries:
        made = make_index(
            images,
            output,
            annotations=pairs("--annotation", annotation),
            force=force,
            options=ImageOptions(temp_dir=temporary_folder(), registries=registries),
        )
    if as_json:
        click.echo(json.dumps(made.to_dict()))
    elif not quiet:
        click.echo(f"made {output}: {made.digest}", err=to_stdout)
        for place, platform, digest in made.images:
            click.echo(f"image {platform}  {digest}  {place}", err=to_stdout)
