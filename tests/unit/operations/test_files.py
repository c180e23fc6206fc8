"""Files in images, wherever these are: which layers are fetched for them, and how much of each."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.images import BASE_TAR, TOP_TAR, Layout, digest, members
from tests.registry_model import HOST, Model, put_layout, reach
from tests.tars import M, build, directory
from wclayer import Criteria, extract_files, find_files, list_files, read_file
from wclayer.errors import NotFoundError, UsageError
from wclayer.images.options import ImageOptions

PLACE = f"docker://{HOST}/a:t"
NOISE = random.Random(1).randbytes(16 << 20)
LARGE = build([directory("Files"), M("Files/first", b"1"), M("Files/noise", NOISE), M("Files/last", b"2")])


def served(folder: Path, *layers: bytes) -> Model:
    model = Model()
    made = Layout(folder)
    root = made.image(layers)
    put_layout(model, "a", members(folder), root, "t")
    return model


def fetched(model: Model, *layers: bytes) -> list[bool]:
    """Was the blob of each layer asked for?"""
    asked = {one.path.rpartition("/")[2] for one in model.requests if "/blobs/" in one.path}
    return [digest(layer) in asked for layer in layers]


def test_layers_that_are_not_needed_are_not_fetched(tmp_path: Path) -> None:
    model = served(tmp_path, LARGE, BASE_TAR, TOP_TAR)
    with reach(model) as registries:
        assert read_file(f"{PLACE}//Files/g", options=ImageOptions(registries=registries)) == b"upper"
        assert fetched(model, LARGE, BASE_TAR, TOP_TAR) == [False, False, True]
        extract_files([f"{PLACE}//Files/f"], tmp_path / "out", options=ImageOptions(registries=registries))
        assert fetched(model, LARGE, BASE_TAR, TOP_TAR) == [False, True, True]
        assert list_files(f"{PLACE}#1//Files/f", options=ImageOptions(registries=registries))[0].size == 2500
        assert fetched(model, LARGE) == [False]
        with pytest.raises(NotFoundError):
            read_file(f"{PLACE}//Files/nothing", options=ImageOptions(registries=registries))
        assert fetched(model, LARGE) == [True]


def test_a_layer_is_fetched_up_to_the_file_alone(tmp_path: Path) -> None:
    """And its connection is closed."""
    model = served(tmp_path, LARGE)
    with reach(model) as registries:
        assert read_file(f"{PLACE}//Files/first", options=ImageOptions(registries=registries)) == b"1"
        pairs = zip(model.requests, model.answers, strict=True)
        [blob] = [answer for sent, answer in pairs if digest(LARGE) in sent.path]
        assert blob.closed
        assert 0 < blob.given < 6 << 20
        assert read_file(f"{PLACE}//Files/last", options=ImageOptions(registries=registries)) == b"2"


def test_what_goes_on_where_it_is(tmp_path: Path) -> None:
    made = Layout(tmp_path / "image")
    made.tag(made.image([BASE_TAR, TOP_TAR]), "t")
    made.write()
    place = f"oci:{tmp_path / 'image'}:t"
    assert [one.path for one in list_files(place, recursive=True)] == ["Files", "Files/dir", "Files/f", "Files/g"]
    assert [one.path for one in find_files(place, Criteria(names=("F",)))] == ["Files/f"]
    (tmp_path / "layer.tar").write_bytes(TOP_TAR)
    (tmp_path / "base.tar").write_bytes(BASE_TAR)
    tar, base = str(tmp_path / "layer.tar"), str(tmp_path / "base.tar")
    assert len(read_file(f"{tar}//Files/f", parents=[base])) == 2500
    with pytest.raises(NotFoundError):
        read_file(f"{tar}//Files/f")
    with pytest.raises(UsageError, match="for a layer folder or tar"):
        read_file(f"{place}//Files/f", parents=[base])
    found = extract_files([f"{place}//Files/f", f"{tar}//Files/g", f"{tar}//Files/dir"], tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["dir", "f", "g"]
    assert (found.files, found.directories) == (2, 1)
