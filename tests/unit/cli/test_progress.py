"""What a long command shows: nothing at first, then a bar; names with -v; nothing where nobody looks."""

from __future__ import annotations

import sys
import time

import pytest

from wclayer.cli import progress
from wclayer.entry import File, Summary


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
    summary = Summary(bytes=500)
    with progress.progress_bar("import", lambda s: s.bytes, total, quiet=False, verbose=False) as update:
        assert update is not None
        update(File("f"), summary)
        assert capsys.readouterr().err == ""
        clock.now = 1.5
        update(File("f"), summary)
        shown = capsys.readouterr().err
        assert "import" in shown
        assert ("0.5/1.0 kB" if total else "500") in shown
        update(File("f"), summary)  # not before another tenth of a second
        assert capsys.readouterr().err == ""


def test_names_and_silence(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with progress.progress_bar("import", lambda s: s.bytes, None, quiet=False, verbose=True) as update:
        assert update is not None
        update(File("Files/\x1b[31m"), Summary())
    assert capsys.readouterr().err == "Files/\\x1b[31m\n"
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with progress.progress_bar("import", lambda s: s.bytes, None, quiet=True, verbose=False) as update:
        assert update is None
    monkeypatch.setattr(sys.stderr, "isatty", lambda: False)
    with progress.progress_bar("import", lambda s: s.bytes, None, quiet=False, verbose=False) as update:
        assert update is None
