"""`wclayer ls`."""

from __future__ import annotations

import json
from typing import Any

import click

from ..errors import UsageError, escaped
from ..layers.hives.config_hives import CONFIG_HIVES, root_path
from ..layers.lookup.ls import Listed
from ..operations.files import list_places
from ..operations.hive_places import HivePlace, parse_hive_place
from ..operations.layer_places import STDIN, parse_layer_place
from ..regf.reg_text import ROOTS
from ..union.rules import FILES, HIVES, UTILITY_VM
from ..win32.names import upcase
from .hive.places import hive_places, warn
from .hive.show import print_key
from .reading import reading_bar
from .rows import line, long_line
from .sources import SourceCommand, layer_places, source_options

__all__ = ["ls"]


@click.command("ls", cls=SourceCommand, no_args_is_help=True)
@click.argument("src", metavar="SRC[//PATH]")
@click.option("-l", "long", is_flag=True, help="Attributes, size, last write time (UTC), owner, name and target.")
@click.option("-R", "--recursive", is_flag=True, help="List subdirectories too, with paths.")
@click.option("--registry", is_flag=True, help="List registry keys; PATH is a key.")
@source_options(short=False)
def ls(
    src: str,
    long: bool,
    recursive: bool,
    registry: bool,
    as_json: bool,
    quiet: bool,
    verbose: bool,
    debug: bool,  # noqa: ARG001 # main() looks for it
    **options: Any,
) -> None:
    """List a directory or a file in layers, or all matches of a pattern.

    SRC is a layer tar (plain, gzip or zstd; - is stdin), a layer folder, an image (all its layers, as a container on it
    sees them), or PLACE#N, one layer; PATH a directory or file, in any case, Files for drive C:. Components may have
    *, ? and [...]: then the matches are listed, without their contents. Names are sorted by bytes.

    -l has the attributes as letters (d directory, a archive, r read-only, h hidden, s system, l reparse point,
    c compressed, p sparse, e encrypted, t temporary, i not indexed), size, last write time, owner, and after an arrow
    the target of a symlink, junction or hard link. Size and owner of a hard link are its file's. A
    symlink or junction named as PATH is followed, except with -l. For a single layer, whiteouts are listed as .wh.NAME.

    With --registry, PATH is a key such as HKLM\\SOFTWARE\\Acme, whose values and subkeys are listed; without PATH the
    hives are listed. -R adds the keys below, -v the details of `hive show -v`.

    \b
    Examples:
      wclayer ls layer.tar.gz
      wclayer ls -l oci:out:app//Files/Windows
      wclayer ls -lR oci:out:app#1
      wclayer ls 'nanoserver//Files/*/*.ini'
      wclayer ls --json --layer nanoserver app.tar.gz//Files
      wclayer ls --registry layer
      wclayer ls --registry 'layer//HKLM\\SOFTWARE\\Acme'
    """
    if registry:
        if long:
            raise UsageError("-l and --registry", expected="one of them", hint="-v says more of keys and values")
        _list_registry(src, recursive, as_json=as_json, quiet=quiet, verbose=verbose, **options)
        return
    with layer_places(**options) as places, reading_bar("reading", quiet=quiet, verbose=verbose) as seen:
        found = list_places(places, src, recursive=recursive, follow=not long, seen=seen)
    if as_json:
        _print_json(found)
    elif not quiet:
        for listed in found:
            name = listed.path if _is_whole(listed, recursive) else listed.path.rpartition("/")[2]
            click.echo(long_line(name, listed) if long else escaped(line(name, listed)))


def _is_whole(listed: Listed, recursive: bool) -> bool:
    """Is it listed with its path, as it does not lie in the one directory that is?"""
    return recursive or listed.match.depth == 0


def _print_json(found: list[Listed]) -> None:
    before = "["
    for listed in found:
        click.echo(f"{before}{json.dumps(listed.to_dict())}", nl=False)
        before = ",\n"
    click.echo("]" if found else "[]")


# --- the registry -------------------------------------------------------------------


def _list_registry(src: str, recursive: bool, *, as_json: bool, quiet: bool, verbose: bool, **options: Any) -> None:
    place, path = _registry_place(src)
    with hive_places(**options) as places:
        key = path.strip("\\")
        root = ROOTS.get(key.upper(), key.upper())
        if place.whole and (not key or any(root == hive.root[0] for hive in CONFIG_HIVES)):
            with places.registry(place) as files:
                names = [root_path(hive) for hive in CONFIG_HIVES if files.view(hive) is not None]
            warn(places, quiet=quiet)
            names = [name for name in names if not key or name.startswith(root)]
            if as_json:
                click.echo(json.dumps(names))
            elif not quiet:
                for name in names:
                    click.echo(f"{name}\\")
            return
        seen = places.seen(place, path)
        warn(places, quiet=quiet)
    print_key(seen.key, seen.name, recursive=recursive, as_json=as_json, quiet=quiet, verbose=verbose)


def _registry_place(src: str) -> tuple[HivePlace, str]:
    """The layers, or the hive in them, and the path of the key there."""
    place = parse_layer_place(src)
    if place.place.path == STDIN:
        raise UsageError("the registry of a layer from stdin, which would be read twice", hint="give it as a file")
    first = (place.inside or "").partition("/")[0]
    if upcase(first) in map(upcase, (FILES, HIVES, UTILITY_VM)):
        return parse_hive_place(src), ""
    return HivePlace(str(place.place), place.place), place.inside or ""
