"""What the host of the tests lacks, for tests to be skipped with their reason.

Windows' Python also runs under wine, whose CreateSymbolicLink says yes and makes nothing: there os.symlink is made to
fail, as it does on a Windows whose user may not make symlinks.
"""

from __future__ import annotations

import os
import tempfile
from typing import Any, Final, NoReturn

import pytest

__all__ = ["SYMLINKS", "WINDOWS", "caches_in", "needs_symlinks", "posix_only"]

WINDOWS: Final = os.name == "nt"


def _makes_symlinks() -> bool:
    with tempfile.TemporaryDirectory(prefix="wclayer-") as folder:
        link = os.path.join(folder, "link")
        try:
            os.symlink("target", link)
        except (OSError, NotImplementedError):
            return False
        return os.path.islink(link)


def _no_symlinks(*_: Any, **__: Any) -> NoReturn:
    raise OSError(1314, "A required privilege is not held by the client")


SYMLINKS: Final = _makes_symlinks()
if not SYMLINKS:
    os.symlink = _no_symlinks

needs_symlinks: Final = pytest.mark.skipif(not SYMLINKS, reason="the host makes no symlinks")


def caches_in(folder: os.PathLike[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the program's cache somewhere in `folder`."""
    for name in ("XDG_CACHE_HOME", "WIN_PD_OVERRIDE_LOCAL_APPDATA"):
        monkeypatch.setenv(name, str(folder))


def posix_only(what: str) -> pytest.MarkDecorator:
    """A marker for what needs `what`, which Windows does not have."""
    return pytest.mark.skipif(WINDOWS, reason=f"{what} of POSIX")
