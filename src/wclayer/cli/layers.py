"""`wclayer layers`."""

from __future__ import annotations

import json
from typing import Any

import click

from ..errors import printable
from ..images.options import ImageOptions
from ..images.places.parse import whole_image
from ..images.reading import Image, open_image
from .common import choice_of, choice_options, common_options, size_text, temporary_folder
from .network import network_options, registries_of

__all__ = ["layers"]

_SHOWN = 60  # characters of what made a layer
_DIGEST = 19  # characters of a digest: sha256: and twelve digits


@click.command("layers", no_args_is_help=True)
@click.argument("place", metavar="PLACE")
@choice_options
@network_options
@common_options
def layers(
    place: str,
    os_version: str | None,
    platform: str | None,
    as_json: bool,
    quiet: bool,
    verbose: bool,
    debug: bool,  # noqa: ARG001 # main() looks for it
    **network: Any,
) -> None:
    """List the layers of an image, from the base up.

    PLACE is oci:DIR:TAG, oci-archive:FILE, docker-archive:FILE or docker://HOST/REPOSITORY:TAG. Each line has the
    number for PLACE#N, the size of the blob, its compression, its diff_id (in full with -v), and what made it.

    \b
    Examples:
      wclayer layers oci:out:hello
      wclayer layers -v oci:base:nanoserver
      wclayer layers --json oci:out:hello
      wclayer layers --os-version 10.0.20348 oci:out:all
    """
    selector = choice_of(os_version, platform)
    with (
        registries_of(**network) as registries,
        open_image(
            whole_image(place, "listed"),
            options=ImageOptions(selector=selector, temp_dir=temporary_folder(), registries=registries),
        ) as image,
    ):
        if as_json:
            click.echo(json.dumps(image.to_dict()))
        elif not quiet:
            _print(image, verbose=verbose)


def _print(image: Image, *, verbose: bool) -> None:
    count = len(image.layers)
    click.echo(f"{image.platform}, {count} {'layer' if count == 1 else 'layers'}, {image.manifest.digest}")
    rows = []
    for layer in image.layers:
        history = layer.history or {}
        made = " ".join(text for key in ("created_by", "comment") if (text := history.get(key)))
        rows.append(
            (
                f"#{layer.number}",
                size_text(layer.descriptor.size),
                layer.compression,
                layer.diff_id if verbose else layer.diff_id[:_DIGEST],
                printable(made if verbose else made[:_SHOWN]),
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    for number, size, compression, diff_id, made in rows:
        line = f"{number:<{widths[0]}}  {size:>{widths[1]}}  {compression:<{widths[2]}}  {diff_id}  {made}"
        click.echo(line.rstrip())
