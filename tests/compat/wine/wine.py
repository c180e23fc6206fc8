"""Windows' Python under wine, which `install.py` has put into `.wine`."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tests.compat.tools import missing
from tests.compat.wine.install import PYTHON, STAMP, environment

__all__ = ["need_python", "run_python", "windows_path"]


def need_python() -> None:
    """Skip the test where wine or Windows' Python is missing; where all tools are required, fail."""
    if shutil.which("wine") is None:
        missing("wine")
    if not STAMP.is_file():
        missing("Windows' Python for wine")


def windows_path(path: str | os.PathLike[str]) -> str:
    """What a path of the host is called under wine."""
    return "Z:" + os.path.abspath(path).replace("/", "\\")


def run_python(
    *arguments: str, stdin: bytes = b"", env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> subprocess.CompletedProcess[bytes]:
    """Run it to its end, with the sources of the project; env: further variables.

    stdin, stdout and stderr are pipes: under wine Python dies at once where one is something else.
    """
    need_python()
    return subprocess.run(
        ["wine", PYTHON, *arguments],
        input=stdin,
        env={**environment(), **(env or {})},
        cwd=cwd,
        capture_output=True,
        check=False,
    )
