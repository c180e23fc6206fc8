"""`wclayer diff`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, cast

import click

from ..errors import UsageError, escaped, printable
from ..layers.diff.diff import LayerDiff, Presence
from ..layers.diff.fields import FieldChange, Value
from ..layers.diff.objects import differences, totals
from ..layers.diff.security import SecurityChange, security_change
from ..layers.diff.side import Content, Ea
from ..operations.diff import diff_places
from ..operations.layer_places import parse_layer_place
from ..win32.attributes import attribute_letters
from ..win32.filetime import time_text
from ..win32.reparse import link_target, reparse_tag, tag_name
from .common import size_text, temporary_folder
from .hive.differences import difference_lines
from .progress import progress_bar
from .sources import SourceCommand, layer_places, source_options

__all__ = ["diff"]

_DIGEST: Final = 19  # characters of a digest: sha256: and twelve digits
_ROUND_TRIP: Final = "what hcsshim's own tools do to a layer on a round trip"


@click.command("diff", cls=SourceCommand, no_args_is_help=True)
@click.argument("a", metavar="A")
@click.argument("b", metavar="B")
@click.option("--times", is_flag=True, help="Compare times of files, registry keys and images too.")
@click.option("--no-registry", is_flag=True, help="Compare registry hives as files.")
@click.option("--ignore-round-trip", is_flag=True, help="Leave out what a round trip through hcsshim changes.")
@click.option("--stat", is_flag=True, help="Print only the numbers of differences and bytes.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json"]),
    default="text",
    help="Output format; json is the same as --json.",
)
@source_options()
def diff(
    a: str,
    b: str,
    times: bool,
    no_registry: bool,
    ignore_round_trip: bool,
    stat: bool,
    form: str,
    as_json: bool,
    quiet: bool,
    verbose: bool,
    debug: bool,  # noqa: ARG001 # main() looks for it
    **options: Any,
) -> int:
    """Compare two layers or images: what is in them, the registry by its keys and values, the images' configs.

    A and B are layer tars (one of them may be -), layer folders, images or single layers of them, PLACE#N; with //PATH,
    what is at and below it; PATH is taken literally, without patterns, and links on the way are not followed. Of
    several layers, it is what a container on them sees. With -l, both are on the same parents. Names are compared as
    Windows does; the names of a file with hard links count as one file, and moved files are found by their
    digests. Lines with - are of A, with + of B, with > of files that were moved, with ~ of what differs.

    A round trip through hcsshim's own tools changes any layer a little: times, the boot store of the utility VM, the
    bytes of hives, extended attributes and streams that its export loses. What may come of that, where A is the layer
    before and B after it, is listed by itself, and left out with --ignore-round-trip. Exits with 1 if there are
    differences.

    \b
    Examples:
      wclayer diff layer.tar.gz changed.tar
      wclayer diff nanoserver layer.tar
      wclayer diff --stat oci:base:nanoserver oci:out:app
      wclayer diff --times --ignore-round-trip layer.tar changed.tar
      wclayer diff --format json layer.tar//Files/dir changed.tar//Files/dir
      cat layer.tar | wclayer diff --no-registry - changed.tar
    """
    if stat and quiet:
        raise UsageError("--stat and --quiet", expected="one of them")
    with (
        layer_places(**options) as places,
        progress_bar("comparing", quiet=quiet, verbose=False) as progress,
    ):
        found = diff_places(
            places,
            parse_layer_place(a),
            parse_layer_place(b),
            times=times,
            registry=not no_registry,
            temp_dir=temporary_folder(),
            progress=progress,
        )
    own, round_trip = found.split()
    if ignore_round_trip:
        round_trip = LayerDiff()
    if as_json or form == "json":
        parts = totals if stat else differences
        click.echo(json.dumps({**parts(own), "round_trip": parts(round_trip), "notes": list(found.notes)}))
    elif not quiet:
        lines = _stat_lines if stat else _lines
        for line in lines(own, verbose):
            click.echo(line)
        if round_trip.differs or (round_trip.link_order and verbose):
            click.echo(f"{_ROUND_TRIP}:")
            for line in lines(round_trip, verbose):
                click.echo(f"  {line}")
        for note in found.notes:
            click.echo(f"note: {printable(note)}", err=True)
    return int(own.differs or round_trip.differs)


# --- text ----------------------------------------------------------------------


def _lines(found: LayerDiff, verbose: bool) -> Iterator[str]:
    for sign, presences in (("-", found.removed), ("+", found.added)):
        for one in presences:
            yield f"{sign} {escaped(one.path) or '.'}{_presence_text(one)}"
    for move in found.moved:
        yield f"> {_names(move.old)} -> {_names(move.new)}  ({size_text(move.content.size)})"
        yield from _field_lines(move.fields, verbose)
    for change in found.changed:
        names = f"  (also {_names(change.names)})" if change.names else ""
        yield f"~ {escaped(change.path) or '.'}{names}"
        yield from _field_lines(change.fields, verbose)
    for key in found.registry:
        yield from difference_lines(key.difference, key.path, whole=verbose)
    for field in found.config:
        name = escaped(field.field)
        if field.old is not None:
            yield f"- {name}  {printable(json.dumps(field.old, ensure_ascii=False))}"
        if field.new is not None:
            yield f"+ {name}  {printable(json.dumps(field.new, ensure_ascii=False))}"
    if found.link_order and verbose:
        yield f"{found.link_order:,} files of several names have their data under another one"


def _names(paths: Sequence[str]) -> str:
    return ", ".join(escaped(path) or "." for path in paths)


def _presence_text(one: Presence) -> str:
    if one.link_of is not None:
        return f"  hard link of {escaped(one.link_of) or '.'}"
    if one.reparse is not None:
        return f"  {_reparse_text(one.reparse)}"
    if one.content is not None:
        return f"  {size_text(one.content.size)}"
    return "/" if one.kind == "directory" else f"  {one.kind}"


def _field_lines(fields: Iterable[FieldChange], verbose: bool) -> Iterator[str]:
    for field in fields:
        name = field.name.replace("_", " ") + ("" if field.item is None else f" {printable(field.item)}")
        if field.name == "security" and isinstance(field.old, bytes | None) and isinstance(field.new, bytes | None):
            yield from _security_lines(security_change(field.old, field.new))
        else:
            yield f"    {name}: {_text(field, field.old, verbose)} -> {_text(field, field.new, verbose)}"


def _text(field: FieldChange, value: Value, verbose: bool) -> str:
    if value is None:
        return "none"
    if isinstance(value, Content):
        digest = value.digest if verbose else value.digest[:_DIGEST]
        return f"{size_text(value.size)} {digest}"
    if isinstance(value, Ea):
        flags = f", flags {value.flags:#x}" if value.flags else ""
        return f"{size_text(value.size)} {value.value[: None if verbose else 16].hex()}{flags}"
    if isinstance(value, tuple):
        return _names(cast("Sequence[str]", value))
    if isinstance(value, int):
        return attribute_letters(value) if field.name == "attributes" else time_text(value)
    if isinstance(value, bytes):
        return _reparse_text(value) if field.name == "reparse" else value.hex()[: None if verbose else 16]
    return f'"{printable(value)}"' if field.name != "kind" else value


def _reparse_text(buffer: bytes) -> str:
    target = link_target(buffer)
    if target is None:
        return f"reparse point {tag_name(reparse_tag(buffer))}, {len(buffer):,} bytes"
    return f"{'junction' if target[1] else 'symlink'} to {printable(target[0])}"


def _security_lines(change: SecurityChange) -> Iterator[str]:
    if change.old is None or change.new is None:
        yield f"    security: {escaped(change.old or 'none')} -> {escaped(change.new or 'none')}"
        return
    said = False
    for name, pair in (("owner", change.owner), ("group", change.group), ("control", change.control)):
        if pair is not None:
            said = True
            yield f"    {name}: {pair[0] or 'none'} -> {pair[1] or 'none'}"
    for sign, entries in (("-", change.removed), ("+", change.added)):
        for entry in entries:
            said = True
            yield f"    {sign} {escaped(entry)}"
    if change.reordered:
        yield "    security: the same entries in another order"
    elif not said:
        yield f"    security: {escaped(change.old)} -> {escaped(change.new)}"


def _stat_lines(found: LayerDiff, _verbose: bool) -> Iterator[str]:
    counts = totals(found)
    for what in ("removed", "added", "moved", "changed"):
        yield f"{what:<8} {counts[what]:>9,}  {size_text(counts[f'{what}_bytes'])}"
    for what in ("registry", "config"):
        yield f"{what:<8} {counts[what]:>9,}"
