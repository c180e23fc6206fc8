"""`wclayer hive show` and `wclayer hive get`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

import click

from ...errors import NotFoundError, UsageError, escaped, printable
from ...operations.hive_places import parse_hive_place
from ...regf.model import Key
from ...regf.names import key_order
from ...regf.values import key_json, type_name, value_json
from ...win32.filetime import time_text
from ...win32.names import decode_wtf8, from_utf16
from ...win32.sddl_print import security_text
from .places import accept_dirty_option, hive_options, hive_places, warn
from .values import data_text, mark_text, name_text, script_bytes

__all__ = ["get", "print_key", "show"]

_INDENT = "  "
_NAME_WIDTH = 40  # of the names of values, which stand in a column


@click.command("show", no_args_is_help=True)
@click.argument("place", metavar="HIVE")
@click.argument("path", metavar="[KEY]", default="")
@click.option("-r", "--recursive", is_flag=True, help="Show subkeys at all depths too.")
@accept_dirty_option
@hive_options
def show(
    place: str,
    path: str,
    recursive: bool,
    as_json: bool,
    quiet: bool,
    verbose: bool,
    debug: bool,  # noqa: ARG001 # main() looks for it
    **options: Any,
) -> None:
    """Show a key of a hive: its values and subkeys.

    Keys end in a backslash; values have a type and data, shortened if long (complete with -v, which also prints times,
    class names and security). Keys of a differencing hive show what they hide in the layers below. Names and data
    are escaped where a terminal would take them for something else; --json has them as they are, a list of keys.

    \b
    Examples:
      wclayer hive show SOFTWARE
      wclayer hive show -r SOFTWARE Acme
      wclayer hive show -v SOFTWARE 'Acme\\Settings'
      wclayer hive show --json SOFTWARE Acme
      wclayer hive show -r layer//Files/Windows/System32/config/SOFTWARE
    """
    with hive_places(**options) as places:
        seen = places.seen(parse_hive_place(place), path)
        warn(places, quiet=quiet)
    print_key(seen.key, seen.name, recursive=recursive, as_json=as_json, quiet=quiet, verbose=verbose)


def print_key(key: Key, path: str, *, recursive: bool, as_json: bool, quiet: bool, verbose: bool) -> None:
    """A key on stdout, as `hive show` has it; path: what it is called."""
    walk = _walk(key, path, recursive=recursive)
    if as_json:
        _print_json(walk)
    elif not quiet:
        for depth, found, at in walk:
            name = at if depth == 0 else found.name
            click.echo(_key_text(found, name, depth, verbose=verbose, subkeys=not recursive))


def _walk(key: Key, path: str, *, recursive: bool) -> Iterator[tuple[int, Key, str]]:
    """The key, and all below it, each before its subkeys, with depth and path."""
    levels: list[tuple[Iterator[Key], str | None]] = [(iter((key,)), None)]
    while levels:
        keys, above = levels[-1]
        found = next(keys, None)
        if found is None:
            levels.pop()
            continue
        at = path if above is None else f"{above}\\{found.name}" if above else found.name
        yield len(levels) - 1, found, at
        if recursive:
            levels.append((iter(_sorted(found)), at))


def _sorted(key: Key) -> list[Key]:
    return sorted(key.subkeys, key=lambda sub: key_order(sub.name))


def _key_text(key: Key, name: str, depth: int, *, verbose: bool, subkeys: bool) -> str:
    """The lines of a key; those of its subkeys, if they do not come by themselves, just with their names."""
    indent = _INDENT * depth
    lines = [_marked(f"{indent}{printable(name)}\\", key)]
    indent += _INDENT
    if verbose:
        lines.append(f"{indent}written {time_text(key.last_written)}  {security_text(key.security)}")
        if key.class_name:
            lines.append(f'{indent}class "{printable(from_utf16(key.class_name))}"')
    rows = [(name_text(value.name), type_name(value.type), data_text(value, whole=verbose)) for value in key.values]
    name_width = min(_NAME_WIDTH, max((len(row[0]) for row in rows), default=0))
    type_width = max((len(row[1]) for row in rows), default=0)
    lines += [f"{indent}{row[0]:<{name_width}}  {row[1]:<{type_width}}  {row[2]}" for row in rows]
    if subkeys:
        lines += [_marked(f"{indent}{printable(sub.name)}\\", sub) for sub in _sorted(key)]
    return "\n".join(lines)


def _marked(line: str, key: Key) -> str:
    mark = mark_text(key)
    return f"{line}  {mark}" if mark else line


def _print_json(walk: Iterator[tuple[int, Key, str]]) -> None:
    """A list of keys, one a line."""
    before = "["
    for _, key, at in walk:
        click.echo(f"{before}{json.dumps(key_json(key, at))}", nl=False)
        before = ",\n"
    click.echo("]")


@click.command("get", no_args_is_help=True)
@click.argument("place", metavar="HIVE")
@click.argument("path", metavar="KEY")
@click.argument("name", metavar="[VALUE]", default="")
@click.option("--raw", is_flag=True, help="Print the stored bytes.")
@accept_dirty_option
@hive_options
def get(
    place: str,
    path: str,
    name: str,
    raw: bool,
    as_json: bool,
    quiet: bool,
    verbose: bool,  # noqa: ARG001 # nothing more to say
    debug: bool,  # noqa: ARG001 # main() looks for it
    **options: Any,
) -> None:
    """Print the data of one value, for scripts.

    Without VALUE, prints the key's default value. Strings are printed as text, numbers in decimal, REG_MULTI_SZ one
    string a line, all other types in hexadecimal. --json has the type and every byte.

    \b
    Examples:
      wclayer hive get SOFTWARE Acme Version
      wclayer hive get SOFTWARE 'Acme\\Settings'
      wclayer hive get --json SOFTWARE Acme Level
      wclayer hive get --raw SOFTWARE Acme Blob > blob.bin
    """
    if raw and as_json:
        raise UsageError("--raw and --json", expected="one of them")
    with hive_places(**options) as places:
        seen = places.seen(parse_hive_place(place), path)
        warn(places, quiet=quiet)
    value = seen.key.value(name)
    if value is None or value.tombstone:
        raise NotFoundError("the key has no such value", path=seen.shown, got=name or "(default)")
    if as_json:
        click.echo(json.dumps({"path": seen.name, **value_json(value)}))
        return
    data = value.data if raw else script_bytes(value, f"{seen.shown}\\\\{name}")
    if raw and sys.stdout.isatty():
        raise UsageError("bytes are not written to a terminal", hint="redirect them, or leave out --raw")
    if quiet:
        return
    if sys.stdout.isatty():
        for line in decode_wtf8(data).split("\n")[:-1]:
            click.echo(escaped(line))
    else:
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
