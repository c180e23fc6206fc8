"""The tree of errors: what one line of an error holds, and how code on the way adds where it came up."""

from __future__ import annotations

import json
import pickle

import pytest

from wclayer import errors
from wclayer.codes import Code
from wclayer.errors import (
    DigestMismatchError,
    FormatError,
    LayerError,
    NotFoundError,
    StorageError,
    TarError,
    WclayerError,
    printable,
    with_context,
)

CLASSES = [getattr(errors, name) for name in errors.__all__ if name.endswith("Error")]


def test_one_line_with_all_that_is_known() -> None:
    error = LayerError(
        "hard link to nothing",
        path="Files/a",
        layer="base.tar",
        requested_by="Dockerfile, line 3",
        offset=1536,
        expected="a file before it",
        got="Files/b",
        hint="import it again",
        rule=Code.LAYER_INVALID,
    )
    assert str(error) == (
        "Files/a: Dockerfile, line 3: in base.tar: hard link to nothing; expected a file before it; got Files/b"
        f" (at byte 1,536 of the input) -- import it again [{Code.LAYER_INVALID}]"
    )


def test_a_hostile_name_cannot_write_to_a_terminal() -> None:
    error = NotFoundError("no \x1b[2J", path="a\nb", layer="\ud800")
    assert str(error) == "a\\x0ab: in \\ud800: no \\x1b[2J"
    assert json.loads(json.dumps(error.as_dict()))["layer"] == "\\ud800"
    assert len(printable("x" * 1000)) < 220


def test_context_fills_in_what_is_not_known() -> None:
    with pytest.raises(TarError) as caught, with_context(layer="top.tar", path="Files/x", offset=512):
        raise TarError("the tar ends")
    error = caught.value
    assert (error.layer, error.path, error.offset) == ("top.tar", "Files/x", 512)
    assert str(error) == "Files/x: in top.tar: the tar ends (at byte 512 of the input)"


def test_the_innermost_context_counts() -> None:
    with (
        pytest.raises(TarError) as caught,
        with_context(layer="A", path="outer", offset=1),
        with_context(layer="A, oci:x#0", path="inner"),
    ):
        raise TarError("the tar ends", offset=0)
    error = caught.value
    assert (error.layer, error.path, error.offset) == ("A, oci:x#0", "inner", 0)
    assert error.message == "the tar ends"


def test_context_that_is_not_known_changes_nothing() -> None:
    with pytest.raises(TarError, match=r"^the tar ends$"), with_context(layer=None, path=None):
        raise TarError("the tar ends")


@pytest.mark.parametrize(
    ("error", "layer"),
    [
        (LayerError("bad"), "base"),
        (DigestMismatchError("bad"), "base"),
        (NotFoundError("bad"), None),
        (StorageError("bad"), None),
    ],
)
def test_context_for_some_classes_only(error: WclayerError, layer: str | None) -> None:
    with pytest.raises(type(error)), with_context(layer="base", only=(FormatError, DigestMismatchError)):
        raise error
    assert error.layer == layer


def test_other_exceptions_pass_through() -> None:
    with pytest.raises(KeyError) as caught, with_context(layer="base", path="Files/x"):
        raise KeyError("x")
    assert caught.value.args == ("x",)


def test_a_layer_that_is_the_path_is_not_repeated() -> None:
    error = DigestMismatchError("another tar", path="oci:out#0", layer="oci:out#0")
    assert str(error) == "oci:out#0: another tar"
    assert error.as_dict()["layer"] == "oci:out#0"


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: str(cls.__name__))
def test_pickling_keeps_every_field(cls: type[WclayerError]) -> None:
    error = cls("bad", path="p", offset=7, expected=1, got="x", hint="do", layer="base", requested_by="image.toml")
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 # our own bytes
    assert type(again) is cls
    assert again.as_dict() == error.as_dict()
    assert str(again) == str(error)


def test_the_object_of_an_error() -> None:
    error = TarError("the tar ends", path="Files/x", offset=512, expected=3, layer="base")
    assert error.as_dict() == {
        "code": 10,
        "class": "TarError",
        "message": "the tar ends",
        "path": "Files/x",
        "layer": "base",
        "requested_by": None,
        "offset": 512,
        "expected": "3",
        "got": None,
        "hint": None,
        "rule": None,
    }
