"""The clients themselves take a good image, and refuse those of one fault: a check that cannot fail proves nothing."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.compat.clients import Refused, blobs, ctr_import, skopeo_copy, umoci_unpack, validate_schemas
from tests.images import BASE_TAR, TOP_TAR, Layout, digest, layout, members, tar


def test_a_good_image(tmp_path: Path) -> None:
    folder = layout(tmp_path / "d", [BASE_TAR, TOP_TAR], gzipped=True)
    assert validate_schemas(folder) == 4
    unpacked = umoci_unpack(folder, "t", tmp_path / "umoci")
    assert sorted(path.name for path in (unpacked / "Files").iterdir()) == ["dir", "f", "g"]
    skopeo_copy(f"oci:{folder}:t", f"oci:{tmp_path / 'copy'}:t")
    assert blobs(tmp_path / "copy") == blobs(folder)
    archive = tmp_path / "a.tar"
    archive.write_bytes(tar(members(folder)))
    first, second = ctr_import(archive, tmp_path / "work")
    assert (first / "Files" / "f").read_bytes() == b"hello" * 500
    assert not (first / "Files" / "g").exists()
    assert (second / "Files" / "g").read_bytes() == b"upper"


@pytest.mark.parametrize(
    ("client", "fault"),
    [
        *(("umoci", fault) for fault in ("diff_id", "cut blob", "other blob", "size")),
        *(("ctr", fault) for fault in ("diff_id", "cut blob", "other blob")),  # it does not look at sizes
    ],
)
def test_a_fault_of_a_layer(tmp_path: Path, client: str, fault: str) -> None:
    def wrong(config: dict[str, Any]) -> None:
        if fault == "diff_id":
            config["rootfs"]["diff_ids"][0] = digest(TOP_TAR)

    def size(manifest: dict[str, Any]) -> None:
        if fault == "size":
            manifest["layers"][0]["size"] -= 1

    folder = layout(tmp_path / "d", gzipped=True, config=wrong, manifest=size)
    blob = folder / "blobs" / digest(gzip.compress(BASE_TAR, mtime=0)).replace(":", "/")
    if fault == "cut blob":
        blob.write_bytes(blob.read_bytes()[:-1])
    elif fault == "other blob":
        blob.write_bytes(gzip.compress(BASE_TAR.replace(b"hello", b"hullo"), mtime=0))
    with pytest.raises(Refused):
        _take(client, folder, tmp_path)


def _take(client: str, folder: Path, tmp_path: Path) -> None:
    if client == "umoci":
        umoci_unpack(folder, "t", tmp_path / "out")
        return
    archive = tmp_path / "a.tar"
    archive.write_bytes(tar(members(folder)))
    ctr_import(archive, tmp_path / "work")


def _without_config(manifest: dict[str, Any]) -> None:
    del manifest["config"]


def _bad_date(config: dict[str, Any]) -> None:
    config["created"] = "yesterday"


def _no_layers(config: dict[str, Any]) -> None:
    config["rootfs"]["type"] = "volumes"


@pytest.mark.parametrize("fault", [{"manifest": _without_config}, {"config": _bad_date}, {"config": _no_layers}])
def test_a_fault_of_shape(tmp_path: Path, fault: dict[str, Callable[[dict[str, Any]], None]]) -> None:
    made = Layout(tmp_path / "d")
    made.tag(made.image(**fault))  # type: ignore[arg-type]
    with pytest.raises(Refused):
        validate_schemas(made.write())


def test_the_layout_file_is_checked(tmp_path: Path) -> None:
    folder = layout(tmp_path / "d")
    (folder / "oci-layout").write_text(json.dumps({"imageLayoutVersion": "9"}))
    with pytest.raises(Refused):
        validate_schemas(folder)
