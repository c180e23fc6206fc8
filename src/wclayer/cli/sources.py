"""The options of the commands that look into layers, and how these are found: see `images.layer_places`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import BinaryIO, Final, ParamSpec, TypeVar, cast

import click

from ..errors import UsageError
from ..operations.layer_places import LayerPlaces
from .common import choice_of, choice_options, common_options, temporary_folder
from .folders import on_disks
from .network import network_options, registries_of

__all__ = ["SourceCommand", "layer_places", "source_options"]

_PLACES: Final = ("src", "sources", "a", "b", "parents")  # parameters that name layers

P = ParamSpec("P")
R = TypeVar("R")
_INSIDE_STDIN: Final = "-//"
_MARK: Final = "\0"


class SourceCommand(click.Command):
    """A command that takes `-//PATH`, a path in a layer from stdin, for an argument, and not for options."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        marked = [f"{_MARK}{arg}" if arg.startswith(_INSIDE_STDIN) else arg for arg in args]
        left = super().parse_args(ctx, marked)
        for name, value in ctx.params.items():
            if isinstance(value, str):
                ctx.params[name] = value.removeprefix(_MARK)
            elif isinstance(value, tuple):
                ctx.params[name] = tuple(one.removeprefix(_MARK) if isinstance(one, str) else one for one in value)
        return left


def source_options(*, short: bool = True) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """The options with which `layer_places` finds layers, and those of every command; disk images are mounted for it.

    The command's parameters that name layers are `src`, `sources`, `a` and `b`. short: has it -l for --layer?
    """

    def decorate(command: Callable[P, R]) -> Callable[P, R]:
        command = common_options(on_disks(_PLACES, command, paths=True))
        command = network_options(command)
        command = choice_options(command)
        return click.option(
            *(("-l",) if short else ()),
            "--layer",
            "parents",
            metavar="PARENT",
            multiple=True,
            type=click.Path(),
            help="Parent folder or tar of a SRC that is one; nearest first, base last.",
        )(command)

    return decorate


@contextmanager
def layer_places(
    *,
    parents: tuple[str, ...] = (),
    os_version: str | None,
    platform: str | None,
    plain_http: bool,
    authfile: str | None,
) -> Iterator[LayerPlaces]:
    """What finds layers, as the options say."""
    with registries_of(plain_http=plain_http, authfile=authfile) as registries:
        yield LayerPlaces(
            parents=parents,
            selector=choice_of(os_version, platform),
            temp_dir=temporary_folder(),
            registries=registries,
            stdin=cast("BinaryIO", _Stdin()),
        )


class _Stdin:
    """stdin, unless it is a terminal."""

    def read(self, n: int = -1, /) -> bytes:
        if sys.stdin.isatty():
            raise UsageError("no tar to read: stdin is a terminal", hint="give its name, or use a pipe")
        # Unbuffered: another thread reads it, and a buffer's lock would be in the way if we end while it waits.
        stream: BinaryIO = getattr(sys.stdin.buffer, "raw", sys.stdin.buffer)
        return stream.read(n)
