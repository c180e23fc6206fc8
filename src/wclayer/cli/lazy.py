"""Subcommands that are imported when they are asked for, so that each command takes but its own time to start."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from importlib import import_module

import click

__all__ = ["LazyCommands"]


class LazyCommands(MutableMapping[str, click.Command]):
    """The `commands` of a click group by their names. places: where each is, as `MODULE:NAME` in `package`.

    That a command is there is known without an import; its help, and what completes it, is its own.
    """

    def __init__(self, package: str, places: dict[str, str]) -> None:
        self._package = package
        self._places: dict[str, str | click.Command] = {**places}

    def __getitem__(self, name: str) -> click.Command:
        found = self._places[name]
        if isinstance(found, str):
            module, _, attribute = found.partition(":")
            command: click.Command = getattr(import_module(f".{module}", self._package), attribute)
            self._places[name] = command
            return command
        return found

    def __setitem__(self, name: str, command: click.Command) -> None:
        self._places[name] = command

    def __delitem__(self, name: str) -> None:
        del self._places[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)
