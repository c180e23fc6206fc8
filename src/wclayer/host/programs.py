"""The programs of the host that NTFS volumes and disk images need."""

from __future__ import annotations

import shutil
import subprocess
from typing import Final

from ..errors import UnsupportedError

__all__ = ["find_program", "last_line", "run_program"]

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


def run_program(path: str, name: str, *arguments: str, text: str = "") -> subprocess.CompletedProcess[bytes]:
    """Run a program to its end, with `text` as its input; path: what it is for. Raises as find_program does."""
    command = [find_program(name, path), *arguments]
    return subprocess.run(command, check=False, input=text.encode(), capture_output=True)  # noqa: S603 # found in PATH


def last_line(said: bytes) -> str | None:
    """The last line of what a program has said, which tells what went wrong; None if it has said nothing."""
    lines = said.decode("utf-8", "replace").strip().splitlines()
    return lines[-1] if lines else None
