"""`wclayer hive`: registry hives, in files, layers and images."""

from __future__ import annotations

import click

from .check import check
from .diff import diff
from .make import merge, new
from .recover import recover
from .reg_files import export, import_
from .show import get, show

__all__ = ["hive"]


@click.group("hive")
def hive() -> None:
    """Registry hives: show, check, change, compare and merge them.

    HIVE is a file, or a file in an image, a layer folder or a layer tar: PLACE//Files/Windows/System32/config/SOFTWARE.
    Keys are named from the hive's root, with backslashes between. Where something is looked at, HIVE may also be the
    image or layer itself; keys are then named as in the registry, HKLM\\SOFTWARE\\Acme, and are what a container has
    there: the base's hive with the differencing hives of the layers above over it.

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


for _command in (show, get, check, export, import_, new, diff, merge, recover):
    hive.add_command(_command)
