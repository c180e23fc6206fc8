"""The tests that reach files, paths, programs or Windows' own functions, run by Windows' Python under wine."""

from __future__ import annotations

import re
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from tests.compat.tools import REPOSITORY
from tests.compat.wine.wine import need_python, run_python, windows_path

# In two halves, as a machine has two processors, and wine is slow. What takes bytes and gives values (win32, regf,
# layertar, union, verify, the registry client's protocol) is the same on every system and does not run here; nor do the
# commands that look into layers, which have nothing of their own on Windows: what they call is in these folders.
_LOOKING: Final = ("inside", "verify", "diff_command", "inspect_command")
_ONE: Final = (
    "tests/unit/cli",
    "tests/unit/images",
    "tests/unit/dockerfile",
    "tests/unit/distribution/test_credentials.py",
    *(f"--ignore=tests/unit/cli/test_{name}.py" for name in _LOOKING),
)
_OTHER: Final = (
    *(f"tests/unit/{name}" for name in ("stores", "host", "native", "hcs", "disks", "builder", "layers", "operations")),
    "tests/conformance/test_transport.py",
)
_LEAST: Final = 2800  # tests that pass, of both halves together
_MOST_SKIPPED: Final = 300
_SHOWN: Final = 20_000  # bytes of the output of a half that fails


def _run(folder: Path, arguments: tuple[str, ...]) -> tuple[int, bytes]:
    """The exit code of one half, and what it printed."""
    options = ("-q", "--tb=short", "-p", "no:cacheprovider", f"--basetemp={windows_path(folder)}")
    done = run_python("-m", "pytest", *options, *arguments, cwd=REPOSITORY)
    return done.returncode, done.stdout + done.stderr


def _counts(output: bytes) -> dict[str, int]:
    """Of pytest's last line: `passed`, `skipped` ... -> how many."""
    last = output.decode(errors="replace").rstrip().splitlines()[-1]
    return {kind: int(number) for number, kind in re.findall(r"(\d+) ([a-z]+)(?:,| in )", last)}


def test_all_of_it_passes_on_windows() -> None:
    need_python()
    # A short name: messages shorten long ones, and Windows' own paths have 260 characters.
    with tempfile.TemporaryDirectory(prefix="wine-") as name, ThreadPoolExecutor() as pool:
        halves = list(pool.map(_run, (Path(name, "1"), Path(name, "2")), (_ONE, _OTHER)))
    for code, output in halves:
        assert code == 0, output[-_SHOWN:].decode(errors="replace")
    counts = [_counts(output) for _, output in halves]
    assert all(set(each) == {"passed", "skipped"} for each in counts), counts
    assert sum(each["passed"] for each in counts) >= _LEAST
    assert sum(each["skipped"] for each in counts) <= _MOST_SKIPPED
