"""The stand-in for vmcompute.dll and BackupRead keeps its own rules (not Windows': nobody has compared them)."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Final

import pytest

from tests.compat.tools import REPOSITORY, missing, tool
from tests.compat.wine import standin

# Sources first, whatever the ._pth file of Windows' Python names.
RUN_MODULE: Final = """
import runpy, sys
sys.path[:0] = {paths!r}
del sys.argv[0]
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""


def run_python(*arguments: str, env: dict[str, str]) -> subprocess.CompletedProcess[bytes]:
    """Run a module under Windows' Python in wine; WCLAYER_WINE_PYTHON names its python.exe."""
    python = os.environ.get("WCLAYER_WINE_PYTHON")
    if python is None:
        missing("Windows' Python (WCLAYER_WINE_PYTHON)")
    paths = [standin.windows_path(REPOSITORY / "src"), standin.windows_path(REPOSITORY)]
    command = [tool("wine"), str(python), "-c", RUN_MODULE.format(paths=paths), *arguments]
    # Without pipes at both ends it dies with WinError 6.
    return subprocess.run(command, env={**os.environ, "WINEDEBUG": "-all", **env}, capture_output=True, check=False)


@pytest.mark.skipif(os.name == "nt", reason="Windows has the real thing, and no wine")
def test_the_stand_in(tmp_path: Path) -> None:
    dll = standin.build(tmp_path)
    inside = [standin.windows_path(path) for path in sorted(standin.SOURCES.glob("inside_*.py"))]
    options = ["-q", "-p", "no:cacheprovider", "--confcutdir", standin.windows_path(Path(__file__).parent)]
    options += ["--basetemp", standin.windows_path(tmp_path / "inside")]
    done = run_python("pytest", *options, *inside, env={"WCLAYER_STANDIN_DLL": standin.windows_path(dll)})
    assert done.returncode == 0, done.stdout.decode("utf-8", "replace") + done.stderr.decode("utf-8", "replace")
