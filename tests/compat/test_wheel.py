"""A wheel built from the checkout works in a clean environment."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path

from tests.compat.test_tar_programs import sample
from tests.compat.tools import REPOSITORY, missing


def test_a_wheel_in_a_clean_environment(tmp_path: Path) -> None:
    environment = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    pip = [sys.executable, "-m", "pip"]
    built = subprocess.run(
        [*pip, "wheel", "--quiet", "--no-deps", "--wheel-dir", str(tmp_path), str(REPOSITORY)],
        capture_output=True,
        env=environment,
        check=False,
    )
    if built.returncode:
        missing(f"the package index, to build a wheel ({built.stderr.decode()[-200:]})")
    [wheel] = tmp_path.glob("wclayer-*-py3-none-any.whl")
    venv.create(tmp_path / "clean", with_pip=True)
    bin_ = tmp_path / "clean" / ("Scripts" if os.name == "nt" else "bin")
    subprocess.run([bin_ / "python", "-m", "pip", "install", "--quiet", str(wheel)], env=environment, check=True)
    (tmp_path / "layer.tar").write_bytes(sample()[0])
    for arguments in (
        ["--version"],
        ["import", "-i", "layer.tar", "layer"],
        ["export", "-z", "-o", "out.tar.gz", "layer"],
        ["import", "-i", "out.tar.gz", "again"],
    ):
        done = subprocess.run([bin_ / "wclayer", *arguments], cwd=tmp_path, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr
    typed = subprocess.run(
        [
            bin_ / "python",
            "-c",
            "import wclayer, pathlib; print(pathlib.Path(wclayer.__file__).with_name('py.typed').exists())",
        ],
        cwd=tmp_path,
        capture_output=True,
        check=True,
    )
    assert typed.stdout.strip() == b"True"
