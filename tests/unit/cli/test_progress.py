"""What a long command shows: nothing at first, then a bar; names with -v; nothing where nobody looks."""

from __future__ import annotations

import sys
import time

import pytest

from wclayer.cli import progress
from wclayer.entry import File, Progress


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize("total", [1000, None])
def test_a_bar_after_a_second(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], total: int | None
) -> None:
    clock = Clock()
    monkeypatch.setattr(time, "monotonic", clock)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    step = Progress(500, total, File("f"))
    with progress.progress_bar("import", quiet=False, verbose=False) as update:
        assert update is not None
        update(step)
        assert capsys.readouterr().err == ""
        clock.now = 1.5
        update(step)
        shown = capsys.readouterr().err
        assert "import" in shown
        assert ("0.5/1.0 kB" if total else "500") in shown
        update(step)  # not before another tenth of a second
        assert capsys.readouterr().err == ""


def test_names_and_silence(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with progress.progress_bar("import", quiet=False, verbose=True) as update:
        assert update is not None
        update(Progress(0, None, File("Files/\x1b[31m")))
        update(Progress(7))
    assert capsys.readouterr().err == "Files/\\x1b[31m\n"
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with progress.progress_bar("import", quiet=True, verbose=False) as update:
        assert update is None
    monkeypatch.setattr(sys.stderr, "isatty", lambda: False)
    with progress.progress_bar("import", quiet=False, verbose=False) as update:
        assert update is None
