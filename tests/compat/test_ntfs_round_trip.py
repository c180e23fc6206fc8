"""Random layers go onto an NTFS volume and come back, whatever of them the volume can hold."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from tests.compat import ntfs
from tests.property.test_round_trip import through_folder
from tests.strategies import Item, items_of, layers, seen, tar_of
from tests.tarcheck import assert_fields
from wclayer import export_layer_to_tar, import_layer_from_tar, open_layer
from wclayer.errors import InexpressibleError
from wclayer.stores.ntfs3g.source import Ntfs3gLayer

EXAMPLES = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


@pytest.fixture(scope="module")
def mount(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    image = ntfs.volume(tmp_path_factory.mktemp("ntfs") / "v.img")
    with ntfs.mounted(image) as place:
        yield place


@given(items=layers())
@EXAMPLES
def test_base_layer(mount: Path, items: list[Item]) -> None:
    with tempfile.TemporaryDirectory(dir=mount) as name:
        tar = tar_of(items)
        try:
            first = through_folder(tar, Path(name, "first"))
        except InexpressibleError as error:
            assert "whose content ntfs-3g does not show" in str(error)  # noqa: PT017
            return
        assert seen(items_of(first)) == seen(items)
        assert_fields(first, items_of(first))
        with open_layer(Path(name, "first")) as layer:  # type: ignore[union-attr]
            assert isinstance(layer, Ntfs3gLayer)
            assert list(layer.status()) == []


@given(items=layers())
@EXAMPLES
def test_the_same_as_on_any_file_system(mount: Path, items: list[Item]) -> None:
    tar = tar_of(items)
    canonical = []
    with tempfile.TemporaryDirectory(dir=mount) as on_ntfs, tempfile.TemporaryDirectory() as elsewhere:
        for folder in (Path(on_ntfs, "layer"), Path(elsewhere, "layer")):
            output = io.BytesIO()
            try:
                import_layer_from_tar(io.BytesIO(tar), folder)
            except InexpressibleError:
                return
            export_layer_to_tar(folder, output, framing="canonical", verify_content=True)
            canonical.append(output.getvalue())
    assert canonical[0] == canonical[1]
