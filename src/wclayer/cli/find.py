"""`wclayer find`."""

from __future__ import annotations

import json
import os
import re
from datetime import UTC, datetime
from typing import Any, Final

import click

from ..errors import UsageError
from ..host.errors import host_errors
from ..layers.lookup.find import TYPES, Criteria, Found
from ..operations.files import find_places
from ..win32.accounts import parse_account
from ..win32.attributes import MODE_LETTERS
from ..win32.filetime import from_unix_ns
from .reading import reading_bar
from .rows import long_line, write_name
from .sources import SourceCommand, layer_places, source_options

__all__ = ["find"]

_SIZE: Final = re.compile(r"([+-]?)([0-9]{1,18})([ckMGT]?)", re.ASCII)
_UNITS: Final = {"": 1, "c": 1, "k": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_SHA256: Final = re.compile(r"(?:sha256:)?([0-9a-f]{64})", re.ASCII | re.IGNORECASE)
_ATTRIBUTES: Final = re.compile(r"(?:[+-]?[a-z]+)+", re.ASCII)


@click.command("find", cls=SourceCommand, no_args_is_help=True)
@click.argument("src", metavar="SRC[//PATH]")
@click.option(
    "--name", "names", metavar="GLOB", multiple=True, help="Last component, such as *.dll; repeat for alternatives."
)
@click.option(
    "--size", "sizes", metavar="[+-]N[kMGT]", multiple=True, help="Size in bytes: more (+), less (-) or exactly."
)
@click.option("--newer", metavar="TIME|FILE", help="Last written after 2024-01-31[T12:00:00], @SECONDS or FILE.")
@click.option(
    "--owner",
    "owners",
    metavar="ACCOUNT",
    multiple=True,
    help="Owner: SID, BA or Administrators; repeat for alternatives.",
)
@click.option(
    "--sha256", "digests", metavar="HEX", multiple=True, help="SHA-256 of the content; repeat for alternatives."
)
@click.option("--sddl", metavar="REGEX", help="Pattern in the security descriptor as SDDL.")
@click.option(
    "--type", "types", metavar="LETTERS", help=", ".join(f"{key} {text}" for key, text in TYPES.items()) + "."
)
@click.option(
    "--attributes", metavar="[+-]LETTERS", help="Attribute letters of `ls -l` that are set; after - not set: h-s."
)
@click.option("-l", "long", is_flag=True, help="Long format of ls -l.")
@click.option("-0", "--print0", is_flag=True, help="Print unescaped names, each followed by NUL.")
@source_options(short=False)
def find(
    src: str,
    names: tuple[str, ...],
    sizes: tuple[str, ...],
    newer: str | None,
    owners: tuple[str, ...],
    digests: tuple[str, ...],
    sddl: str | None,
    types: str | None,
    attributes: str | None,
    long: bool,
    print0: bool,
    as_json: bool,
    quiet: bool,
    verbose: bool,
    debug: bool,  # noqa: ARG001 # main() looks for it
    **options: Any,
) -> None:
    """Find files in layers by name, size, time, owner, content, security, type or attributes.

    SRC is a layer tar (plain, gzip or zstd; - is stdin), a layer folder, an image (all its layers, as a container on it
    sees them), or PLACE#N, one layer; PATH is where to begin. Paths that match all criteria are printed
    in the order of the layers, nearest first. A hard link has the properties of its file.

    Sizes are in bytes, KiB (k), MiB (M) and so on. Content is read only where all other criteria match. Alternate
    streams are found if --type has s; --name and --size then apply to them. Exits with 0 even if nothing matches, as
    find does.

    \b
    Examples:
      wclayer find oci:out:app --name '*.dll'
      wclayer find layer.tar.gz//Files/Windows --size +100M -l
      wclayer find nanoserver --owner TrustedInstaller --type f
      wclayer find nanoserver --newer 2024-01-31 --json
      wclayer find nanoserver --sddl '\\(A;[^)]*;WD\\)'
      wclayer find nanoserver --type s --name Zone.Identifier
      wclayer find nanoserver --attributes hs -0
    """
    if sum((long, print0, as_json)) > 1:
        raise UsageError("-l, -0 and --json", expected="one of them")
    criteria = _criteria(names, sizes, newer, owners, digests, sddl, types, attributes)
    before = "["

    def found(one: Found) -> None:
        nonlocal before
        if as_json:
            click.echo(f"{before}{json.dumps(one.to_dict())}", nl=False)
            before = ",\n"
        elif long and not quiet:
            click.echo(long_line(one.path, one.listed, one.stream))
        elif not quiet:
            write_name(one.path, nul=print0)

    try:
        with layer_places(**options) as places, reading_bar("reading", quiet=quiet, verbose=verbose) as seen:
            find_places(places, src, criteria, found, seen=seen)
    finally:
        if before != "[":  # the list is whole also where reading ends with an error
            click.echo("]")
    if as_json and before == "[":
        click.echo("[]")


def _criteria(
    names: tuple[str, ...],
    sizes: tuple[str, ...],
    newer: str | None,
    owners: tuple[str, ...],
    digests: tuple[str, ...],
    sddl: str | None,
    types: str | None,
    attributes: str | None,
) -> Criteria:
    """What the options ask for. Raises UsageError."""
    with_, without = _attributes(attributes or "")
    return Criteria(
        names=names,
        sizes=tuple(map(_size, sizes)),
        newer=None if newer is None else _time(newer),
        owners=frozenset(map(parse_account, owners)),
        sha256=frozenset(map(_digest, digests)),
        sddl=None if sddl is None else _regex(sddl),
        types=_types(types or ""),
        attributes=with_,
        without=without,
    )


def _size(text: str) -> tuple[int, int]:
    found = _SIZE.fullmatch(text)
    if found is None:
        raise UsageError("--size", expected="[+-]N[kMGT], +100M say", got=text)
    return {"+": 1, "-": -1, "": 0}[found[1]], int(found[2]) * _UNITS[found[3]]


def _time(text: str) -> int:
    """The FILETIME of a date, a time (UTC, if it does not say), `@` seconds since 1970, or of a file."""
    if re.fullmatch(r"@[0-9]{1,11}", text, re.ASCII):
        return from_unix_ns(int(text[1:]) * 10**9)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        if not os.path.lexists(text):
            expected = "2024-01-31, 2024-01-31T12:00:00Z, @SECONDS, or a file that is there"
            raise UsageError("--newer", expected=expected, got=text) from None
        with host_errors(text):
            return from_unix_ns(os.stat(text).st_mtime_ns)
    moment = moment.replace(tzinfo=moment.tzinfo or UTC)
    past = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return from_unix_ns(((past.days * 86400 + past.seconds) * 10**6 + past.microseconds) * 1000)


def _digest(text: str) -> str:
    found = _SHA256.fullmatch(text)
    if found is None:
        raise UsageError("--sha256", expected="64 hexadecimal digits", got=text)
    return found[1].lower()


def _regex(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error as error:
        raise UsageError("--sddl", expected="a regular expression", got=f"{text}: {error}") from None


def _types(text: str) -> frozenset[str]:
    found = frozenset(text.replace(",", ""))
    if not found <= TYPES.keys():
        raise UsageError("--type", expected=f"letters of {', '.join(TYPES)}", got=text)
    return found


def _attributes(text: str) -> tuple[int, int]:
    """The attributes that are to be set, and that are not."""
    if text and (_ATTRIBUTES.fullmatch(text) is None or not set(text) <= {*MODE_LETTERS, "+", "-"}):
        raise UsageError("--attributes", expected=f"letters of {''.join(MODE_LETTERS)}, + and - before them", got=text)
    bits = {"+": 0, "-": 0}
    sign = "+"
    for char in text:
        if char in bits:
            sign = char
        else:
            bits[sign] |= MODE_LETTERS[char]
    return bits["+"], bits["-"]
