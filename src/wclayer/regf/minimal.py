"""The smallest hive that Windows loads: an empty root key.

A base layer needs five hives. Those without content are this one.
"""

from __future__ import annotations

from .layout import MINOR_XP
from .model import Hive, Key
from .writer import write_hive

__all__ = ["minimal_hive"]


def minimal_hive(last_written: int, *, root_name: str = "ROOT", minor: int = MINOR_XP) -> bytes:
    """Make a hive of 8,192 bytes with only a root key, with offreg's descriptor; Windows does not check its name.

    last_written: the FILETIME of hive and key. Raises InexpressibleError for a time, name or version that a hive cannot
    have.
    """
    return write_hive(Hive(Key(root_name, last_written=last_written), last_written, minor))
