"""The smallest hive that Windows loads: a root key, and nothing in it.

A base layer needs five hives. Where there is nothing to say in them, they are these.
"""

from __future__ import annotations

from .layout import MINOR_XP
from .model import Hive, Key
from .writer import write_hive

__all__ = ["minimal_hive"]


def minimal_hive(last_written: int, *, root_name: str = "ROOT", minor: int = MINOR_XP) -> bytes:
    """A hive of 8192 bytes with a root key alone, with offreg's security; Windows looks not at its name.

    `last_written` is the FILETIME of hive and key. Raises InexpressibleError for a time, name or version that no hive
    can have.
    """
    return write_hive(Hive(Key(root_name, last_written=last_written), last_written, minor))
