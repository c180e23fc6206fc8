"""Where layers are: the places that look into them are parsed and opened."""

from __future__ import annotations

import gzip
import io
from pathlib import Path

import pytest

from tests.images import BASE_TAR, TOP_TAR, layout
from wclayer.errors import NotFoundError, UsageError
from wclayer.layers.importing import import_layer_from_tar
from wclayer.operations.layer_places import LayerPlaces, parse_layer_place


def opened(text: str, places: LayerPlaces | None = None, *, alone: bool = True) -> list[tuple[str, bool, list[str]]]:
    """Name, base and paths of each layer at a place."""
    with (places or LayerPlaces()).open(parse_layer_place(text), alone=alone) as found:
        return [(one.name, one.base, [entry.path for entry, _ in one.source.entries()]) for one in found.layers]


BASE = ["Files", "Files/dir", "Files/f"]
TOP = ["Files", "Files/dir", "Files/g"]


def test_tars_and_folders(tmp_path: Path) -> None:
    tar, packed, folder = tmp_path / "l.tar", tmp_path / "l.tar.gz", tmp_path / "folder"
    tar.write_bytes(BASE_TAR)
    packed.write_bytes(gzip.compress(BASE_TAR))
    import_layer_from_tar(io.BytesIO(BASE_TAR), folder, plain=True)
    for path in (tar, packed, folder):
        assert opened(str(path)) == [(str(path), True, BASE)]
        for inside, cleaned in (("Files/f", "Files/f"), ("./Files//dir/", "Files/dir"), ("", ""), ("/", "")):
            place = parse_layer_place(f"{path}//{inside}")
            assert (place.place.path, place.inside) == (str(path), cleaned)
        assert parse_layer_place(str(path)).inside is None


def test_parents_come_nearest_first(tmp_path: Path) -> None:
    base, top = tmp_path / "base.tar", tmp_path / "top.tar"
    base.write_bytes(BASE_TAR)
    top.write_bytes(TOP_TAR)
    found = opened(str(top), LayerPlaces(parents=[str(base)]))
    assert found == [(str(base), True, BASE), (str(top), False, TOP)]


def test_images(tmp_path: Path) -> None:
    place = f"oci:{layout(tmp_path / 'out', (BASE_TAR, TOP_TAR), gzipped=True)}:t"
    both = [(f"{place}#0", True, BASE), (f"{place}#1", False, TOP)]
    assert opened(place) == both
    assert opened(f"{place}#0") == both[:1]
    assert opened(f"{place}#1") == both[1:]
    assert opened(f"{place}#1", alone=False) == both
    found = parse_layer_place(f"{place}#1//Files/g")
    assert (found.place.text, found.place.layer, found.inside) == (f"{place}#1", 1, "Files/g")
    with pytest.raises(NotFoundError, match=r"expected #0 to #1"):
        opened(f"{place}#2")
    with pytest.raises(UsageError, match="-l is for a layer folder or tar"):
        opened(place, LayerPlaces(parents=["x"]))


def test_stdin_is_read_once() -> None:
    places = LayerPlaces(stdin=io.BytesIO(BASE_TAR))
    assert parse_layer_place("-//Files/f").inside == "Files/f"
    assert opened("-//Files/f", places) == [("-", True, BASE)]
    with pytest.raises(UsageError, match="stdin, for more than one layer"):
        opened("-", places)


def test_two_slashes_of_a_path_are_its_own(tmp_path: Path) -> None:
    assert parse_layer_place(f"{tmp_path}//nothing").inside is None
    with pytest.raises(NotFoundError):
        opened(f"{tmp_path}//nothing")
