"""`wclayer verify`."""

from __future__ import annotations

import json
from typing import Any

import click

from ..codes import Code
from ..errors import UsageError
from ..operations.layer_places import parse_layer_place
from ..verify.output import text_lines
from ..verify.rules import Target
from ..verify.verifying import verify_layers
from .common import temporary_folder
from .sources import SourceCommand, layer_places, source_options

__all__ = ["verify"]


@click.command("verify", cls=SourceCommand, no_args_is_help=True)
@click.argument("src", metavar="SRC")
@click.option(
    "--for",
    "targets",
    multiple=True,
    type=click.Choice([target.value for target in Target]),
    help="Check for this target only; repeatable. Default: all targets.",
)
@click.option("--ignore", "ignored", metavar="CODE", multiple=True, help="Leave out a rule, such as WCL322.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "sarif"]),
    default="text",
    show_default=True,
    help="Output format; sarif is for code scanning.",
)
@source_options()
def verify(
    src: str,
    targets: tuple[str, ...],
    ignored: tuple[str, ...],
    form: str,
    as_json: bool,
    quiet: bool,
    verbose: bool,
    debug: bool,  # noqa: ARG001 # main() looks for it
    **options: Any,
) -> int:
    """Find what Windows, hcsshim, containerd or Docker would refuse or damage.

    SRC is a layer tar (plain, gzip or zstd; - is stdin), a layer folder, an image (oci:DIR:TAG, docker://HOST/REPO:TAG
    ...), or PLACE#N, one layer of it. Each problem is listed with the code of its rule (docs/rules.md), its
    effect and how to fix it. Exits with 1 if there are errors; warnings and notes do not count.

    \b
    Examples:
      wclayer verify layer.tar.gz
      wclayer verify -l nanoserver app.tar.gz
      wclayer verify oci:out:hello
      wclayer verify --for ws2025 --for containerd oci:out:hello
      wclayer verify --ignore WCL322 --format sarif oci:out:hello > hello.sarif
      cat layer.tar | wclayer verify -
    """
    if as_json and form == "sarif":
        raise UsageError("--json and --format sarif", expected="one of them")
    place = parse_layer_place(src)
    if place.inside is not None:
        raise UsageError("a path, where a layer or image must be", path=src, got=f"//{place.inside}")
    with layer_places(**options) as places:
        report = verify_layers(
            places,
            place,
            targets=frozenset(map(Target, targets)) or frozenset(Target),
            ignored=frozenset(map(_code, ignored)),
            temp_dir=temporary_folder(),
        )
    if form == "sarif":
        click.echo(json.dumps(report.to_sarif(), indent=2))
    elif form == "json" or as_json:
        click.echo(json.dumps(report.to_dict()))
    elif not quiet:
        for line in text_lines(report, verbose=verbose):
            click.echo(line)
    return int(not report.passed)


def _code(text: str) -> Code:
    try:
        return Code(text.upper())
    except ValueError:
        raise UsageError("no rule has this code", expected="one of docs/rules.md, WCL322 say", got=text) from None
