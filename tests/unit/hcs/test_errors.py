"""HRESULTs become errors of ours, with the code that everybody searches for, and what to do."""

from __future__ import annotations

import pytest

from wclayer.errors import (
    AccessError,
    AlreadyExistsError,
    HiveError,
    LayerError,
    NotFoundError,
    StorageError,
    WclayerError,
)
from wclayer.hcs import errors
from wclayer.hcs.errors import hresult_error

CASES: list[tuple[str, int, type[WclayerError], str]] = [
    ("ImportLayer", 0x80070005, AccessError, "Administrators SID"),
    ("ImportLayer", 0x80070003, NotFoundError, "nearest first"),
    ("ProcessBaseImage", 0x80070050, AlreadyExistsError, "--clean"),
    ("ProcessBaseImage", 0x800700B7, AlreadyExistsError, "--clean"),
    ("ActivateLayer", 0x800700B7, AlreadyExistsError, "unmount"),
    ("ProcessBaseImage", 0x800703F1, HiveError, "hive check"),
    ("DestroyLayer", 0x80070020, StorageError, "unmount"),
    ("PrepareLayer", 0xC0370112, LayerError, "later Windows"),
]


@pytest.fixture(autouse=True)
def _texts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(errors, "message_of", lambda code: f"text of {code:#x}")


@pytest.mark.parametrize(("call", "hresult", "kind", "hint"), CASES)
def test_frequent_ones(call: str, hresult: int, kind: type[WclayerError], hint: str) -> None:
    for number in (hresult, hresult - (1 << 32)):  # as a call returns it
        error = hresult_error(call, number, "C:\\layer")
        assert type(error) is kind
        assert error.path == "C:\\layer"
        assert call in error.message
        assert f"({hresult:#010x})" in error.message
        assert error.hint is not None
        assert hint in error.hint


def test_the_text_is_that_of_the_win32_error() -> None:
    assert "text of 0x57 (0x80070057)" in hresult_error("ImportLayer", 0x80070057, "x").message
    assert "text of 0xc0370112" in hresult_error("ImportLayer", 0xC0370112, "x").message
    assert type(hresult_error("ImportLayer", 0x80004005, "x")) is StorageError
