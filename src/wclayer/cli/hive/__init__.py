"""`wclayer hive`: registry hives in files, layers and images.

In reading order: `places` (the options that all share, how a hive is found), `values` and `differences` (output), then
one module for each command or pair of commands. May import what `cli` may.
"""

from __future__ import annotations

import click

from ..lazy import LazyCommands

__all__ = ["hive"]


_COMMANDS = LazyCommands(
    __name__,
    {
        "show": "show:show",
        "get": "show:get",
        "check": "check:check",
        "export": "reg_files:export",
        "import": "reg_files:import_",
        "new": "make:new",
        "diff": "diff:diff",
        "merge": "make:merge",
        "recover": "recover:recover",
    },
)


@click.group("hive", commands=_COMMANDS)
def hive() -> None:
    """Registry hives: show, check, change, compare and merge them.

    HIVE is a file, or a file in an image, a layer folder or a layer tar: PLACE//Files/Windows/System32/config/SOFTWARE.
    Keys are named from the hive's root, separated by backslashes. Commands that only read take an image or layer as
    HIVE too; keys are then named as in the registry, HKLM\\SOFTWARE\\Acme, and are those that a container has: the
    base's hive, merged with the differencing hives of the layers above.

    \b
    Examples:
      wclayer hive show SOFTWARE
      wclayer hive get layer 'HKLM\\SOFTWARE\\Acme' Version
      wclayer hive check layer//Files/Windows/System32/config/SYSTEM
      wclayer hive export -o software.reg SOFTWARE Acme
      wclayer hive import SOFTWARE acme.reg -o changed
      wclayer hive diff SOFTWARE changed
      wclayer hive new fresh
      wclayer hive merge SOFTWARE Software_Delta -o merged
      wclayer hive recover SOFTWARE SOFTWARE.LOG1 SOFTWARE.LOG2 -o whole
    """
