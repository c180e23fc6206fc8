"""The tests that reach files, paths, programs or Windows' own functions, run by Windows' Python under wine."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import Final

from tests.compat.tools import REPOSITORY
from tests.compat.wine.wine import need_python, run_python, windows_path

# What takes bytes and gives values (win32, regf, layertar, union, verify, the registry client's protocol) is the same
# on every system and does not run here; nor does what has nothing of its own on Windows: the commands that look into
# layers, Dockerfiles but for their sources and patterns, images but for where they are. What they call is here.
_FOLDERS: Final = (
    "cli",
    "images/places",
    "stores",
    "host",
    "native",
    "hcs",
    "disks",
    "builder",
    "layers",
    "operations",
)
_LOOKING: Final = ("inside", "verify", "diff_command", "inspect_command")
_TESTS: Final = (
    *(f"tests/unit/{name}" for name in _FOLDERS),
    "tests/unit/distribution/test_credentials.py",
    "tests/unit/dockerfile/test_sources.py",
    "tests/unit/dockerfile/test_ignore.py",
    "tests/conformance/test_transport.py",
    *(f"--ignore=tests/unit/cli/test_{name}.py" for name in _LOOKING),
    "--ignore=tests/unit/stores/ntfs3g",  # which is for other systems
)
_LEAST: Final = 2300  # tests that pass
_MOST_SKIPPED: Final = 300
_SHOWN: Final = 20_000  # bytes of the output of a run that fails


def _counts(output: bytes) -> dict[str, int]:
    """Of pytest's last line: `passed`, `skipped` ... -> how many."""
    last = output.decode(errors="replace").rstrip().splitlines()[-1]
    return {kind: int(number) for number, kind in re.findall(r"(\d+) ([a-z]+)(?:,| in )", last)}


def test_all_of_it_passes_on_windows() -> None:
    need_python()
    # A short name: messages shorten long ones, and Windows' own paths have 260 characters.
    with tempfile.TemporaryDirectory(prefix="wine-") as name:
        options = ("-q", "--tb=short", "-p", "no:cacheprovider", f"--basetemp={windows_path(Path(name, '1'))}")
        done = run_python("-m", "pytest", *options, *_TESTS, cwd=REPOSITORY)
    output = done.stdout + done.stderr
    assert done.returncode == 0, output[-_SHOWN:].decode(errors="replace")
    counts = _counts(output)
    assert set(counts) == {"passed", "skipped"}, counts
    assert counts["passed"] >= _LEAST
    assert counts["skipped"] <= _MOST_SKIPPED
