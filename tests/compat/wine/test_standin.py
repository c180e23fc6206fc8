"""The stand-in for vmcompute.dll and BackupRead keeps its own rules (not Windows': nobody has compared them)."""

from __future__ import annotations

from pathlib import Path

from tests.compat.tools import REPOSITORY
from tests.compat.wine import standin
from tests.compat.wine.wine import run_python


def test_the_stand_in(tmp_path: Path, dll: Path) -> None:
    inside = [standin.windows_path(path) for path in sorted(standin.SOURCES.glob("inside_*.py"))]
    options = ["-q", "-p", "no:cacheprovider", "--confcutdir", standin.windows_path(Path(__file__).parent)]
    options += ["--basetemp", standin.windows_path(tmp_path / "inside")]
    done = run_python(
        "-m", "pytest", *options, *inside, cwd=REPOSITORY, env={"WCLAYER_STANDIN_DLL": standin.windows_path(dll)}
    )
    assert done.returncode == 0, done.stdout.decode("utf-8", "replace") + done.stderr.decode("utf-8", "replace")
