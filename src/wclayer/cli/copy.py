"""`wclayer copy`."""

from __future__ import annotations

import json
import time
from typing import Any, Literal

import click

from ..errors import UsageError
from ..images.copying import CopiedImage, copy_image
from ..images.options import ImageOptions
from ..layertar.compression import Compression
from .common import check_image_output, choice_of, choice_options, common_options, size_text, temporary_folder
from .network import jobs_option, network_options, registries_of
from .progress import progress_bar

__all__ = ["copy"]


@click.command("copy", no_args_is_help=True)
@click.argument("source", metavar="SRC")
@click.argument("destination", metavar="DST")
@click.option("--all", "everything", is_flag=True, help="Copy the complete index, other systems included.")
@choice_options
@click.option(
    "--format",
    "form",
    type=click.Choice(["keep", "oci"]),
    default="keep",
    help="Media types: oci converts, keep (default) preserves the digest.",
)
@click.option(
    "--compress",
    "compression",
    type=click.Choice(["gzip", "zstd", "none"]),
    help="Compression of all layers. Default: unchanged.",
)
@click.option("--level", metavar="N", type=int, help="gzip: 1 to 9 (default 5); zstd: 1 to 19 (default 3).")
@click.option("--force", is_flag=True, help="Replace a different image at DST.")
@jobs_option
@network_options
@common_options
def copy(
    source: str,
    destination: str,
    everything: bool,
    os_version: str | None,
    platform: str | None,
    form: Literal["keep", "oci"],
    compression: Compression | None,
    level: int | None,
    force: bool,
    as_json: bool,
    quiet: bool,
    verbose: bool,
    debug: bool,  # noqa: ARG001 # main() looks for it
    **network: Any,
) -> None:
    """Copy an image from one place to another: push, pull, convert.

    SRC and DST are image references: docker://HOST[:PORT]/REPOSITORY[:TAG|@DIGEST], oci:DIR:TAG, oci-archive:FILE:TAG
    or docker-archive:FILE:NAME. Blobs that exist in DST are not copied, blobs of other
    repositories of the same registry are mounted, and all others are streamed, with every digest checked. Without
    --format and --compress, the manifest and its digest do not change.

    From an index, --platform selects the image that containerd would run on that host, --os-version the one of that
    version; --all copies the complete index.

    Credentials are those of `docker login` and `podman login`.

    \b
    Examples:
      wclayer copy oci:out:hello docker://registry.example/team/hello:1.0
      wclayer copy docker://registry.example/team/hello:1.0 oci:pulled:hello
      wclayer copy oci:out:hello oci-archive:hello.tar:hello
      wclayer copy oci:out:hello docker-archive:hello-docker.tar:hello:1.0
      wclayer copy --compress zstd oci:out:hello oci:small:hello
      wclayer copy --all oci:out:all oci:copy:all
      wclayer copy --platform windows/amd64:10.0.20348.2227 oci:out:all oci:copy:ltsc2022
    """
    began = time.perf_counter()
    if level is not None and compression is None:
        raise UsageError("--level without --compress", hint="say which compression")
    to_stdout = check_image_output(destination, as_json=as_json, force=force)
    with (
        registries_of(**network) as registries,
        progress_bar("copy", quiet=quiet or as_json, verbose=False) as progress,
    ):
        copied = copy_image(
            source,
            destination,
            everything=everything,
            oci=form == "oci",
            compression=compression,
            level=level,
            force=force,
            options=ImageOptions(
                selector=choice_of(os_version, platform),
                temp_dir=temporary_folder(),
                registries=registries,
                progress=progress,
            ),
        )
    seconds = time.perf_counter() - began
    if as_json:
        click.echo(json.dumps({**copied.to_dict(), "seconds": round(seconds, 3)}))
    elif not quiet:
        _print(copied, destination, seconds, verbose=verbose, err=to_stdout)


def _print(copied: CopiedImage, destination: str, seconds: float, *, verbose: bool, err: bool) -> None:
    counts = ", ".join(f"{count} {how}" for how, count in sorted(copied.blobs.items()))
    click.echo(f"copied {destination}: blobs: {counts}; {size_text(copied.moved)} in {seconds:.1f} s", err=err)
    click.echo(f"digest  {copied.digest}", err=err)
    for platform, digest in copied.images if verbose or len(copied.images) > 1 else ():
        click.echo(f"image   {platform or 'of no platform'}  {digest}", err=err)
