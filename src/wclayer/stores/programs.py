"""The programs of the host that NTFS volumes and disk images need."""

from __future__ import annotations

import shutil
from typing import Final

from ..errors import UnsupportedError

__all__ = ["find_program"]

_PACKAGES: Final = {
    "mkntfs": "ntfs-3g",
    "ntfs-3g": "ntfs-3g",
    "ntfs-3g.probe": "ntfs-3g",
    "ntfscat": "ntfs-3g",
    "ntfsinfo": "ntfs-3g",
    "sfdisk": "fdisk (util-linux)",
    "sh": "dash",
    "umount": "util-linux",
}


def find_program(name: str, path: str) -> str:
    """The host path of a program; `path` is what it is for, for errors. Raises UnsupportedError if it is missing."""
    found = shutil.which(name)
    if found is None:
        raise UnsupportedError(f"the program {name} is missing", path=path, hint=f"install {_PACKAGES[name]}")
    return found
