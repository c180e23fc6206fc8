"""The options of all commands about hives, and how hives are found by them."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import BinaryIO, Final, ParamSpec, TypeVar

import click

from ...errors import UsageError, printable
from ...operations.hive_places import HivePlaces
from ...regf.model import Noted
from ...win32.filetime import from_unix_ns
from ..common import choice_of, choice_options, common_options, parents_option, temporary_folder
from ..folders import on_disks
from ..network import network_options, registries_of

__all__ = [
    "accept_dirty_option",
    "epoch_option",
    "hive_options",
    "hive_places",
    "prefix_option",
    "say_noted",
    "time_of",
    "warn",
]

_PLACES: Final = ("place", "a", "b", "base", "deltas", "logs", "parents")  # parameters that name hives or layers
_SHOWN: Final = 10  # of what was noted

P = ParamSpec("P")
R = TypeVar("R")


def hive_options(command: Callable[P, R]) -> Callable[P, R]:
    """The options with which `hive_places` finds hives, and those of every command; disk images are mounted for it."""
    command = common_options(on_disks(_PLACES, command))
    command = network_options(command)
    command = choice_options(command)
    return parents_option("For a layer folder or tar.")(command)


accept_dirty_option = click.option(
    "--accept-dirty",
    is_flag=True,
    help="Read a dirty hive without its transaction logs.",
)
prefix_option = click.option(
    "--prefix",
    metavar="PATH",
    help="Registry path of the hive's root. Default: from the file name.",
)
epoch_option = click.option(
    "--source-date-epoch",
    envvar="SOURCE_DATE_EPOCH",
    show_envvar=True,
    metavar="SECONDS",
    help="Time of new and changed keys.",
)


def warn(places: HivePlaces, *, quiet: bool) -> None:
    """Say what was met on the way."""
    for warning in () if quiet else places.warnings:
        click.echo(f"warning: {printable(warning)}", err=True)


def say_noted(noted: Noted, line: str, *, verbose: bool, err: bool = True) -> None:
    """Say `line` of the first of what was noted, of more if `verbose`, and how many more there are."""
    shown = noted.paths if verbose else noted.paths[:_SHOWN]
    for path in shown:
        name = printable(path) or "\\"
        click.echo(f"{line}: {name}", err=err)
    if noted.count > len(shown):
        click.echo(f"{line}: {noted.count - len(shown):,} more", err=err)


def time_of(source_date_epoch: str | None) -> int | None:
    """The FILETIME that --source-date-epoch says; None if it does not. Raises UsageError."""
    if not source_date_epoch:
        return None
    if not re.fullmatch(r"[0-9]{1,12}", source_date_epoch, re.ASCII):
        raise UsageError("SOURCE_DATE_EPOCH", expected="seconds since 1970", got=source_date_epoch)
    return from_unix_ns(int(source_date_epoch) * 10**9)


@contextmanager
def hive_places(
    *,
    parents: tuple[str, ...],
    os_version: str | None,
    platform: str | None,
    plain_http: bool,
    authfile: str | None,
    accept_dirty: bool = False,
) -> Iterator[HivePlaces]:
    """What finds hives, as the options say."""
    with registries_of(plain_http=plain_http, authfile=authfile) as registries:
        yield HivePlaces(
            parents=parents,
            selector=choice_of(os_version, platform),
            accept_dirty=accept_dirty,
            temp_dir=temporary_folder(),
            registries=registries,
            stdin=_Stdin(),
        )


class _Stdin:
    """stdin, unless it is a terminal."""

    def read(self, n: int, /) -> bytes:
        if sys.stdin.isatty():
            raise UsageError("no hive to read: stdin is a terminal", hint="give its name, or use a pipe")
        stream: BinaryIO = sys.stdin.buffer
        return stream.read(n)
