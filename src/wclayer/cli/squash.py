"""`wclayer squash`."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any

import click

from ..entry import Summary
from ..errors import UsageError, printable
from ..images.one_layer import layer_of, put_layer
from ..images.options import ImageOptions
from ..images.places.parse import ImageReference, parse_place
from ..images.reading import Image, open_image
from ..images.spec.descriptors import Platform, check_os_version
from ..images.writing import layer_compression
from ..layers.squash.api import AnyLayer, squash_layers, squash_to_folder
from ..layertar.compression import Compression
from ..operations.squash import (
    CREATED_BY,
    SquashedImage,
    foreign_warnings,
    near_layers,
    squash_image,
    squash_into_image,
)
from .common import (
    check_image_output,
    choice_of,
    choice_options,
    common_options,
    open_output,
    print_summary,
    size_text,
    temporary_folder,
    with_seconds,
)
from .folders import folder_of, layer_folders
from .network import jobs_option, network_options, registries_of
from .progress import progress_bar

__all__ = ["squash"]


@click.command("squash", no_args_is_help=True)
@click.argument("sources", metavar="SRC...", nargs=-1, required=True)
@click.option(
    "-o",
    "--output",
    metavar="PLACE|PLACE#N|TAR|DIR/",
    required=True,
    help="Image, layer of an image, layer tar (- is stdout) or layer folder.",
)
@click.option(
    "--from-layer",
    "first",
    metavar="N",
    type=click.IntRange(0),
    default=0,
    help="First layer to squash, counted from the base. Default: 0, all.",
)
@click.option("--drop-utility-vm", is_flag=True, help="Leave out UtilityVM, which only Hyper-V isolation needs.")
@choice_options
@click.option("-z", "--gzip", "gzip", is_flag=True, help="Compress with gzip, as --compress gzip.")
@click.option(
    "--compress",
    "compression",
    type=click.Choice(["gzip", "zstd", "none"]),
    help="Compression. Default: none; gzip in an image.",
)
@click.option("--level", metavar="N", type=int, help="gzip: 1 to 9 (default 5); zstd: 1 to 19 (default 3).")
@click.option("--force", is_flag=True, help="Replace or change an existing output; write to a terminal.")
@jobs_option
@network_options
@common_options
def squash(
    sources: tuple[str, ...],
    output: str,
    first: int,
    drop_utility_vm: bool,
    os_version: str | None,
    platform: str | None,
    gzip: bool,
    compression: Compression | None,
    level: int | None,
    force: bool,
    as_json: bool,
    quiet: bool,
    verbose: bool,
    debug: bool,  # noqa: ARG001 # main() looks for it
    **network: Any,
) -> None:
    """Make one layer of several, registry included: a base layer of all, or one layer over the rest.

    SRC is an image, or a list of layers, base first: layer tars, layer folders, layers PLACE#N of images. With
    --from-layer N, the layers below N stay as they are; they have to be given too, as their names are needed.

    From an image, the output can be an image, with an updated config and history. From a list, it can be a new image of
    one layer, with the os.version of --os-version. From both, it can be a layer of an image, a layer tar, or, if all
    layers are squashed, a layer folder: DIR/, an existing empty folder, or transport:DIR.

    The newest layer wins, deletions are applied, hard links are kept. Registry changes of the layers above the base are
    merged into the base's hives. Each layer is read twice, so a pipe is refused.

    \b
    Examples:
      wclayer squash oci:out:app -o oci:out:squashed
      wclayer squash --from-layer 1 oci:out:app -o oci:out:two-layers
      wclayer squash --drop-utility-vm -o one.tar nanoserver service
      wclayer squash -z --from-layer 1 -o update.tar.gz nanoserver service patch.tar
      wclayer squash -o one-folder/ nanoserver service
      wclayer squash --os-version 10.0.20348.2227 -o oci:new:one nanoserver service
      wclayer squash --compress zstd oci:out:app -o docker://registry.example/team/app:one-layer
    """
    began = time.perf_counter()
    if gzip and compression not in (None, "gzip"):
        raise UsageError("-z and another --compress", expected="one of them", got=f"--compress {compression}")
    target, places = parse_place(output), [parse_place(source) for source in sources]
    whole = target.is_image and target.layer is None
    to_stdout = check_image_output(output, as_json=as_json, force=force) if whole else output == "-"
    if to_stdout and as_json:
        raise UsageError("--json, while the tar itself goes to stdout", hint="give -o FILE")
    folder = not target.is_image and (
        target.transport in ("disk", "transport") or os.path.isdir(output) or output.endswith(("/", os.sep))
    )
    if folder and (gzip or compression is not None or level is not None):
        raise UsageError("a layer folder is not compressed", got=output)
    if gzip:
        compression = "gzip"
    compression = layer_compression(target, compression) if target.is_image else compression or "none"
    if os_version is not None and not any(place.is_image for place in places) and (not target.is_image or target.layer):
        raise UsageError("--os-version is for a new image, or for an index to read", got=output)
    with ExitStack() as stack:
        registries = stack.enter_context(registries_of(**network))
        at = stack.enter_context(layer_folders(reading=sources, making=(output,) if folder else ()))
        progress = stack.enter_context(progress_bar("squash", quiet=quiet or as_json, verbose=verbose))
        run = _Run(
            stack,
            at,
            ImageOptions(
                selector=choice_of(os_version, platform),
                registries=registries,
                temp_dir=temporary_folder(),
                progress=progress,
            ),
            drop_utility_vm=drop_utility_vm,
        )
        image = len(places) == 1 and places[0].is_image and places[0].layer is None
        tar: dict[str, Any] = {"compression": compression, "level": level}
        if whole:
            if image:
                found = run.image(places[0], target, first=first, force=force, **tar)
            else:
                found = run.new_image(places, target, first=first, os_version=os_version, force=force, **tar)
            found.warnings[:0] = run.warnings
            _show(found, output, began, as_json=as_json, quiet=quiet, err=to_stdout)
            return
        layers, runs_on = run.whole_image(places[0], first) if image else run.layers(places, os_version, first)
        if folder and first:
            hint = "squash into a tar, and import that with -l"
            raise UsageError("a layer over others in a layer folder", path=output, hint=hint)
        if folder:
            place = folder_of(at(output).rstrip("/" + os.sep) or output)
            summary = squash_to_folder(place, layers, force=force, **run.options)
        else:

            def write(stream: Any, parents: Sequence[str] | None = None) -> Summary:
                return squash_layers(layers, stream, first=first, parent_diff_ids=parents, **tar, **run.options)

            if target.is_image:
                summary = put_layer(
                    target,
                    write,
                    base=first == 0,
                    platform=runs_on,
                    created_by=CREATED_BY,
                    force=force,
                    temp_dir=temporary_folder(),
                    registries=registries,
                )
            else:
                summary = write(stack.enter_context(open_output(output, force=force)))
        summary.warnings[:0] = run.warnings
    if not quiet or as_json:
        print_summary("squashed", ", ".join(sources), summary, began, as_json=as_json, err=to_stdout)


class _Run:
    """The sources, opened for as long as `stack` lives, and the arguments of every way of squashing."""

    def __init__(
        self,
        stack: ExitStack,
        at: Callable[[str], str],
        options: ImageOptions,
        *,
        drop_utility_vm: bool,
    ) -> None:
        self._stack = stack
        self._at = at
        self._options = options
        # What squash_layers and squash_to_folder take.
        self.options: dict[str, Any] = {
            "drop_utility_vm": drop_utility_vm,
            "temp_dir": options.temp_dir,
            "progress": options.progress,
        }
        self.warnings: list[str] = []

    def image(self, source: ImageReference, target: ImageReference, **more: Any) -> SquashedImage:
        return squash_image(
            source, target, drop_utility_vm=self.options["drop_utility_vm"], options=self._options, **more
        )

    def new_image(
        self, sources: list[ImageReference], target: ImageReference, *, first: int, os_version: str | None, **more: Any
    ) -> SquashedImage:
        if first:
            raise UsageError(
                "an image of a layer over others, without them",
                path=target.text,
                hint=f"{target.text}#{first} puts it on the layers that are there",
            )
        layers, platform = self.layers(sources, os_version)
        return squash_into_image(
            layers,
            target,
            platform=platform,
            drop_utility_vm=self.options["drop_utility_vm"],
            options=self._options,
            **more,
        )

    def whole_image(self, source: ImageReference, first: int) -> tuple[list[AnyLayer], Platform]:
        """All layers of an image."""
        image = self._open(source)
        self.warnings += foreign_warnings(image.layers[first:])
        near = near_layers(image, min(first, len(image.layers)), None, temporary_folder())
        return list(self._stack.enter_context(near)), image.platform

    def layers(
        self, sources: list[ImageReference], os_version: str | None, first: int = 0
    ) -> tuple[list[AnyLayer], Platform]:
        """The layers that are listed, and what they run on: as the first of them that is in an image."""
        layers: list[AnyLayer] = []
        runs_on: Platform | None = None
        for place in sources:
            if not place.is_image:
                if place.path == "-":
                    raise UsageError(
                        "stdin can be read only once, and squash reads each layer twice", hint="give the tar as a file"
                    )
                layers.append(folder_of(self._at(place.text)))
                continue
            image = self._open(place)
            layer = layer_of(image, place.layer)
            if len(layers) >= first:
                self.warnings += foreign_warnings([layer])
            layers.append(self._stack.enter_context(near_layers(image, 0, None, temporary_folder()))[layer.number])
            runs_on = runs_on or image.platform
        if runs_on is None and self._options.selector is not None and self._options.selector.platform is not None:
            raise UsageError("--platform is for an index", hint="--os-version says what a new image runs on")
        return layers, runs_on or Platform(os_version=check_os_version(os_version))

    def _open(self, place: ImageReference) -> Image:
        return self._stack.enter_context(open_image(place, options=self._options))


def _show(found: SquashedImage, output: str, began: float, *, as_json: bool, quiet: bool, err: bool) -> None:
    seconds = time.perf_counter() - began
    if as_json:
        click.echo(json.dumps(with_seconds(found.to_dict(), seconds)))
        return
    if not quiet:
        layer = found.layer
        counts = ", ".join(f"{count:,} {kind.replace('_', ' ')}" for kind, count in sorted(layer.entries.items()))
        what = f"{found.squashed} layers became one" if found.squashed > 1 else "one layer"
        click.echo(f"squashed {output}: {found.platform}, {what}, in {seconds:.1f} s", err=err)
        click.echo(f"digest  {found.digest}", err=err)
        if found.kept:
            click.echo(f"kept    {found.kept} {'layer' if found.kept == 1 else 'layers'}", err=err)
        click.echo(
            f"layer   #{found.kept} {layer.diff_id}: {counts}; {size_text(layer.bytes)},"
            f" blob {size_text(layer.blob_size or 0)}",
            err=err,
        )
        for warning in found.warnings:
            click.echo(f"warning: {printable(warning)}", err=True)
