"""`wclayer build`."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any, Literal

import click
import platformdirs

from ..body import read_up_to
from ..builder.acl import TEMPLATES
from ..builder.build import BuiltImage, build_image
from ..builder.recipe import Recipe, recipe_of
from ..builder.spec import MAX_SIZE, check_port, load_recipe
from ..errors import NotFoundError, UsageError, printable
from ..host.errors import host_errors
from ..images.options import ImageOptions
from ..images.spec.compose import rfc3339
from ..layers.hives.config_hives import locate
from ..layertar.compression import Compression
from ..regf.edits import KeyEdits
from ..regf.reg_text import MAX_REG, parse_reg
from .common import (
    check_image_output,
    code_page_option,
    common_options,
    pairs,
    size_text,
    temporary_folder,
    with_seconds,
)
from .network import jobs_option, network_options, registries_of
from .progress import progress_bar

__all__ = ["build"]

_DOCKERFILES = ("dockerfile", "containerfile")


@click.command("build", no_args_is_help=True)
@click.argument("contexts", metavar="[CONTEXT]...", nargs=-1, type=click.Path())
@click.option(
    "-o",
    "--output",
    "outputs",
    metavar="PLACE",
    required=True,
    multiple=True,
    help="Output image reference: oci:DIR:TAG ...; repeat to write it to several.",
)
@click.option("--from", "base", metavar="PLACE", help="Base image. Default: none (FROM scratch).")
@click.option("-f", "--file", "recipe_file", metavar="FILE", type=click.Path(), help="An image.toml or a Dockerfile.")
@click.option("--target", metavar="STAGE", help="Stage to build (Dockerfile only). Default: the last one.")
@click.option("--build-arg", metavar="NAME[=VALUE]", multiple=True, help="Value of an ARG (Dockerfile only).")
@click.option(
    "--build-context",
    metavar="NAME=PLACE",
    multiple=True,
    help="Folder or image for COPY --from=NAME or FROM NAME (Dockerfile only).",
)
@click.option(
    "--reg",
    "reg_files",
    metavar="FILE.reg",
    multiple=True,
    type=click.Path(),
    help="Registry changes in regedit's format, made in the last layer.",
)
@code_page_option
@click.option(
    "--entrypoint", metavar="ARG", multiple=True, help="Entrypoint: repeat for each argument, or one JSON array."
)
@click.option("--cmd", metavar="ARG", multiple=True, help="Default arguments, in the form of --entrypoint.")
@click.option("--env", metavar="NAME=VALUE", multiple=True, help="Environment variable.")
@click.option("--workdir", metavar="DIR", help="Working directory, such as C:\\app.")
@click.option("--user", metavar="NAME", help="User that runs the container, such as ContainerUser.")
@click.option("--label", metavar="KEY=VALUE", multiple=True, help="Label in the image config.")
@click.option("--port", metavar="N[/udp]", multiple=True, help="Port that the container listens on.")
@click.option("--annotation", metavar="KEY=VALUE", multiple=True, help="Annotation of the manifest.")
@click.option(
    "--os-version", metavar="VERSION", help="os.version of the image, or of the base to select from an index."
)
@click.option(
    "--architecture",
    type=click.Choice(["amd64", "arm64"]),
    help="CPU architecture. Default: amd64, or that of the base.",
)
@click.option(
    "--created",
    envvar="SOURCE_DATE_EPOCH",
    show_envvar=True,
    metavar="TIME",
    help="Creation time (seconds, or ISO 8601). Default: the newest mtime.",
)
@click.option("--times", type=click.Choice(["files", "epoch"]), help="Keep file times, or set all to --created.")
@click.option("--acl", type=click.Choice(list(TEMPLATES)), help="Access to new files (see above).")
@click.option(
    "--compress",
    "compression",
    type=click.Choice(["gzip", "zstd", "none"]),
    help="Compression of new layers. Default: gzip.",
)
@click.option("--level", metavar="N", type=int, help="gzip: 1 to 9 (default 5); zstd: 1 to 19 (default 3).")
@click.option(
    "--workers", metavar="N", type=click.IntRange(1, 64), help="Number of processors for compression. Default: all."
)
@click.option("--fix-base-hives", is_flag=True, help="Add minimal registry hives where those of the base are empty.")
@click.option("--no-cache", is_flag=True, help="Read the base layers again and cache nothing.")
@click.option("--force", is_flag=True, help="Replace an existing image at PLACE.")
@jobs_option
@network_options
@common_options
def build(
    contexts: tuple[str, ...],
    outputs: tuple[str, ...],
    base: str | None,
    recipe_file: str | None,
    target: str | None,
    build_arg: tuple[str, ...],
    build_context: tuple[str, ...],
    reg_files: tuple[str, ...],
    code_page: int | None,
    entrypoint: tuple[str, ...],
    cmd: tuple[str, ...],
    env: tuple[str, ...],
    workdir: str | None,
    user: str | None,
    label: tuple[str, ...],
    port: tuple[str, ...],
    annotation: tuple[str, ...],
    os_version: str | None,
    architecture: str | None,
    created: str | None,
    times: Literal["files", "epoch"] | None,
    acl: str | None,
    compression: Compression | None,
    level: int | None,
    workers: int | None,
    fix_base_hives: bool,
    no_cache: bool,
    force: bool,
    as_json: bool,
    quiet: bool,
    verbose: bool,
    debug: bool,  # noqa: ARG001 # main() looks for it
    **network: Any,
) -> None:
    """Build a Windows container image from folders, on any system.

    Each CONTEXT becomes drive C: in its own layer, the first one lowest. Without --from, the first layer is a base
    layer with the registry hives that Windows needs; without --os-version, the image runs on every Windows Server. With
    --from, the layers go on top of another image, whose names and security descriptors do not change.

    CONTEXT/.wclayerignore, in gitignore's syntax, names what to leave out. With -f, a CONTEXT is the folder that the
    sources of image.toml, or of the Dockerfile, are in; without one it is that file's own folder. FILE is a Dockerfile
    if it is called Dockerfile, Containerfile, Dockerfile.NAME or NAME.Dockerfile. All instructions work that need no
    Windows; RUN does not.

    \b
    ACLs (--acl): what users who are not administrators may do with new files.
      default         read, execute, and make files in directories, as on a fresh Windows volume
      read-only       read and execute
      users-write     also change and delete
      administrators  nothing

    \b
    Examples:
      wclayer build hello -o oci:out:hello --entrypoint 'C:\\hello\\hello.cmd'
      wclayer build hello -o oci-archive:hello.tar --compress zstd --acl read-only
      wclayer build app --from oci:base:nanoserver -o oci:out:app --user ContainerUser
      wclayer build -f image.toml -o oci:out:service --label version=1.2
      wclayer build --from oci:base:nanoserver --reg settings.reg -o oci:out:settings
      wclayer build -f Dockerfile -o oci:out:tool --build-arg VERSION=1.2
      wclayer build --from oci:out:hello -o oci:out:quiet --cmd '["cmd", "/c", "exit 0"]'
    """
    began = time.perf_counter()
    at_stdout = [check_image_output(output, as_json=as_json, force=force) for output in outputs]
    dockerfile = recipe_file if recipe_file is not None and _is_dockerfile(recipe_file) else None
    if dockerfile is None and (target is not None or build_arg or build_context):
        raise UsageError("--target, --build-arg and --build-context are for a Dockerfile", hint="say -f Dockerfile")
    recipe = Recipe(layers=())
    if dockerfile is None and (contexts or recipe_file is not None or (base is None and not reg_files)):
        recipe = _recipe(contexts, recipe_file)
    recipe = recipe_of(
        replace(recipe, registry=_registry(reg_files, code_page), fix_base_hives=fix_base_hives),
        base=base,
        entrypoint=_arguments("--entrypoint", entrypoint),
        cmd=_arguments("--cmd", cmd),
        env=pairs("--env", env),
        workdir=workdir,
        user=user,
        labels=pairs("--label", label),
        ports=tuple(map(check_port, port)),
        annotations=pairs("--annotation", annotation),
        os_version=os_version,
        architecture=architecture,
        created=_time(created) if created else None,
        times=times,
        acl=acl,
        compression=compression,
        level=level,
    )
    cache = None if no_cache else os.path.join(platformdirs.user_cache_dir("wclayer", appauthor=False), "layers")
    with (
        registries_of(**network) as registries,
        progress_bar("build", quiet=quiet or as_json, verbose=verbose) as progress,
    ):
        make = partial(build_image, recipe)
        if dockerfile is not None:
            from ..dockerfile.build import build_dockerfile  # noqa: PLC0415 # its parser takes its time to import

            make = partial(
                build_dockerfile,
                _read(dockerfile),
                source=dockerfile,
                context=_context(contexts, dockerfile),
                settings=recipe,
                target=target,
                arguments=_build_arguments(build_arg),
                contexts=pairs("--build-context", build_context),
                time=os.stat(dockerfile).st_mtime_ns,
            )
        built = make(
            output=outputs,
            force=force,
            cache=cache,
            workers=workers,
            options=ImageOptions(temp_dir=temporary_folder(), progress=progress, registries=registries),
        )
    if as_json:
        click.echo(json.dumps(with_seconds(built.to_dict(), time.perf_counter() - began)))
    elif not quiet:
        _print(built, ", ".join(outputs), time.perf_counter() - began, err=any(at_stdout))


def _recipe(contexts: tuple[str, ...], file: str | None) -> Recipe:
    if file is None:
        if not contexts:
            raise UsageError("nothing to build", expected="a CONTEXT, -f FILE, --from PLACE, or --reg FILE.reg")
        return recipe_of(contexts)
    folder = _context(contexts, file)
    return replace(load_recipe(_read(file), source=file, folder=folder), context=folder)


def _is_dockerfile(path: str) -> bool:
    """By its name, as editors tell."""
    name = os.path.basename(path).lower()
    return any(name == kind or name.startswith(f"{kind}.") or name.endswith(f".{kind}") for kind in _DOCKERFILES)


def _context(contexts: tuple[str, ...], file: str) -> str:
    if len(contexts) > 1:
        raise UsageError("several contexts with -f", expected="at most one: the folder that its sources are in")
    return contexts[0] if contexts else os.path.dirname(file) or "."


def _registry(files: tuple[str, ...], code_page: int | None) -> KeyEdits | None:
    """The changes that .reg files make, one after the other."""
    if not files:
        return None
    changes = KeyEdits()
    for file in files:
        changes.update(parse_reg(_read(file, MAX_REG), source=file, where=_in_registry, code_page=code_page))
    return changes


def _in_registry(names: Sequence[str], _: KeyEdits) -> Sequence[str]:
    """The names of a key, with one spelling for each hive."""
    hive, below = locate("\\".join(names))
    return *hive.root, *below


def _read(file: str, most: int = MAX_SIZE) -> bytes:
    """The content of a file; of one larger than `most` bytes a little more than that."""
    with host_errors(file):
        try:
            with open(file, "rb") as stream:
                return read_up_to(stream.read, most)
        except FileNotFoundError:
            raise NotFoundError("no such file", path=file) from None


def _build_arguments(given: tuple[str, ...]) -> dict[str, str]:
    """NAME=VALUE; NAME without a value takes that of the environment, if any, as in Docker."""
    result: dict[str, str] = {}
    for argument in given:
        name, equals, value = argument.partition("=")
        if not name:
            raise UsageError("--build-arg", expected="NAME=VALUE", got=argument)
        if equals:
            result[name] = value
        elif name in os.environ:
            result[name] = os.environ[name]
    return result


def _arguments(option: str, given: tuple[str, ...]) -> tuple[str, ...] | None:
    """The arguments that were given one by one, or all together as a JSON array; None for none."""
    if len(given) != 1 or not given[0].lstrip().startswith("["):
        return given or None
    try:
        found: Any = json.loads(given[0])
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
        raise UsageError(option, expected='a JSON array of text, such as ["cmd", "/c", "ver"]', got=given[0])
    return tuple(found)


def _time(text: str) -> int:
    """Seconds since 1970."""
    if re.fullmatch(r"[0-9]{1,12}", text, re.ASCII):
        return int(text)
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise UsageError(
            "--created or SOURCE_DATE_EPOCH", expected="seconds since 1970, or 2024-01-31T12:00:00Z", got=text
        )
    return int(found.timestamp() // 1)


def _print(built: BuiltImage, output: str, seconds: float, *, err: bool) -> None:
    """The result for people; on stderr if the image itself goes to stdout."""
    say = partial(click.echo, err=err)
    say(f"built {output}: {built.platform}, {rfc3339(built.created)}, in {seconds:.1f} s")
    say(f"digest  {built.digest}")
    if built.base_layers:
        say(f"base    {built.base_layers} {'layer' if built.base_layers == 1 else 'layers'}")
    for number, layer in enumerate(built.layers, built.base_layers):
        counts = ", ".join(f"{count:,} {kind.replace('_', ' ')}" for kind, count in sorted(layer.entries.items()))
        size = size_text(layer.blob_size or 0)
        say(f"layer   #{number} {layer.diff_id}: {counts}; {size_text(layer.bytes)}, blob {size}")
    if built.made:
        why = "which the base lacks" if built.base_layers else "which every base layer needs"
        say(f"made    {len(built.made)} registry hives, {why}")
    if built.changed:
        say(f"registry {', '.join(built.changed)}")
    if built.left_out:
        say(f"left out: {built.left_out} files of macOS's own (.DS_Store, ._*)")
    for warning in built.warnings:
        click.echo(f"warning: {printable(warning)}", err=True)
