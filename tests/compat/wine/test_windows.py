"""The tests of Windows itself (tests/windows), under wine with the stand-in in the place of what wine lacks."""

from __future__ import annotations

from pathlib import Path

from tests.compat.tools import REPOSITORY
from tests.compat.wine import standin, wine


def test_all_of_them(tmp_path: Path, dll: Path) -> None:
    options = ("-q", "--tb=short", "-p", "no:cacheprovider", f"--basetemp={standin.windows_path(tmp_path / 't')}")
    variables = {"WCLAYER_STANDIN": standin.windows_path(dll)}
    done = wine.run_python("-m", "pytest", *options, "tests/windows", cwd=REPOSITORY, env=variables)
    output = (done.stdout + done.stderr).decode(errors="replace")
    assert done.returncode == 0, output
    assert "5 passed, 1 skipped" in output, output
