"""Images whose layers become fewer: the files, the config and its history, what stays as it was."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from tests.images import BASE_TAR, TOP_TAR, Layout, digest, layout, members
from tests.registry_model import HOST, Model, put_layout, reach
from tests.tars import BASE, M, build, directory
from tests.unit.images.test_writing import reachable, snapshot
from wclayer.entry import Entry, Progress
from wclayer.errors import (
    AlreadyExistsError,
    DigestMismatchError,
    ImageError,
    LayerError,
    NotFoundError,
    UsageError,
    WclayerError,
)
from wclayer.images.choosing import ImageSelector
from wclayer.images.options import ImageOptions
from wclayer.images.reading import open_image
from wclayer.images.spec.descriptors import Platform
from wclayer.operations.squash import squash_image, squash_into_image

GONE_TAR = build([directory("Files"), M("Files/.wh.f"), M("Files/h", b"h"), M("Files/l", type="1", link="Files/g")])
STACK = (BASE_TAR, TOP_TAR, GONE_TAR)


def paths(place: str, **more: Any) -> list[list[str]]:
    """The paths of each layer; reading checks all digests."""
    with open_image(place, **more) as image:
        return [[entry.path for entry, _ in layer.source().entries()] for layer in image.layers]


def config(place: str) -> dict[str, Any]:
    with open_image(place) as image:
        return image.config


@pytest.fixture
def source(tmp_path: Path) -> str:
    return f"oci:{layout(tmp_path / 'in', STACK, manifest=annotated)}:t"


def annotated(manifest: dict[str, Any]) -> None:
    base = "org.opencontainers.image.base."
    manifest["annotations"] = {f"{base}digest": digest(b""), f"{base}name": "b", "org.example": "kept"}


# --- the whole image ------------------------------------------------------------------


def test_all_layers(source: str, tmp_path: Path) -> None:
    out = f"oci:{tmp_path / 'out'}:t"
    made = squash_image(source, out)
    assert paths(out) == [["Files", "Files/dir", "Files/g", "Files/h", "Files/l"]]
    before = config(source)
    assert config(out) == {
        **before,
        "rootfs": {"type": "layers", "diff_ids": [made.layer.diff_id]},
        "history": [
            {"created_by": "nothing", "empty_layer": True},
            *({**entry, "empty_layer": True} for entry in before["history"][1:]),
            {
                "created": before["created"],
                "created_by": "wclayer squash",
                "comment": "layers 0 to 2 of 3 squashed",
            },
        ],
    }
    with open_image(out) as image:
        assert image.manifest.digest == made.digest
        assert image.config_descriptor.digest == made.config_digest
        assert image.manifest_annotations == {"org.example": "kept"}
        assert image.platform == Platform(os_version="10.0.20348.2227")
        assert image.layers[0].compression == "gzip"
        assert image.layers[0].descriptor.digest == made.layer.digest
    top = reachable(snapshot(tmp_path / "out"))["t"]
    assert top["annotations"]["wclayer.compressor"] == made.layer.compressor
    assert top["platform"]["os.version"] == "10.0.20348.2227"
    assert (made.kept, made.squashed, made.warnings) == (0, 3, [])


def test_the_top_layers(source: str, tmp_path: Path) -> None:
    out = f"oci:{tmp_path / 'out'}:t"
    made = squash_image(source, out, first=1, compression="zstd")
    assert paths(out) == [
        ["Files", "Files/dir", "Files/f"],
        ["Files", "Files/dir", "Files/g", "Files/h", "Files/l", "Files/f"],
    ]
    before, after = config(source), config(out)
    assert after["rootfs"]["diff_ids"] == [digest(BASE_TAR), made.layer.diff_id]
    assert after["history"] == [
        *before["history"][:2],
        *({**entry, "empty_layer": True} for entry in before["history"][2:]),
        {"created": before["created"], "created_by": "wclayer squash", "comment": "layers 1 to 2 of 3 squashed"},
    ]
    with open_image(source) as old, open_image(out) as image:
        # As it was, byte for byte.
        assert image.layers[0].descriptor == old.layers[0].descriptor
        assert image.layers[1].compression == "zstd"
        assert image.manifest_annotations == old.manifest_annotations
    assert (made.kept, made.squashed) == (1, 2)


def test_where_the_history_has_the_layer(tmp_path: Path) -> None:
    """At the place of the last one squashed: what came after it comes after it yet."""

    def edit(value: dict[str, Any]) -> None:
        texts = ["L", "e", "L", "L", "e"]
        value["history"] = [
            {"created_by": f"{n}", **({"empty_layer": True} if text == "e" else {})} for n, text in enumerate(texts)
        ]
        del value["created"]

    place = f"oci:{layout(tmp_path / 'in', STACK, config=edit)}"
    squash_image(place, f"oci:{tmp_path / 'out'}", first=1)
    assert config(f"oci:{tmp_path / 'out'}")["history"] == [
        {"created_by": "0"},
        {"created_by": "1", "empty_layer": True},
        {"created_by": "2", "empty_layer": True},
        {"created_by": "3", "empty_layer": True},
        {"created_by": "wclayer squash", "comment": "layers 1 to 2 of 3 squashed"},
        {"created_by": "4", "empty_layer": True},
    ]
    squash_image(place, f"oci:{tmp_path / 'one'}", first=2)
    assert config(f"oci:{tmp_path / 'one'}")["history"][4]["comment"] == "layer 2 of 3 squashed"


@pytest.mark.parametrize("history", [None, []])
def test_without_a_history(tmp_path: Path, history: Any) -> None:
    place = f"oci:{layout(tmp_path / 'in', STACK, config=lambda value: value.update(history=history))}"
    squash_image(place, f"oci:{tmp_path / 'out'}")
    assert config(f"oci:{tmp_path / 'out'}")["history"] == history


def test_same_in_same_out(source: str, tmp_path: Path) -> None:
    first = squash_image(source, f"oci:{tmp_path / 'a'}")
    assert squash_image(source, f"oci:{tmp_path / 'b'}").digest == first.digest
    assert squash_image(source, f"oci-archive:{tmp_path / 'c.tar'}").digest == first.digest
    # What is squashed already stays what it is, but for its history.
    again = squash_image(f"oci:{tmp_path / 'a'}", f"oci:{tmp_path / 'd'}")
    assert again.layer.diff_id == first.layer.diff_id


def test_into_a_docker_archive(source: str, tmp_path: Path) -> None:
    out = f"docker-archive:{tmp_path / 'd.tar'}:n:t"
    assert squash_image(source, out).layer.compression == "none"
    assert squash_image(source, out, compression="none", force=True).layer.compression == "none"
    with pytest.raises(UsageError, match=r"d\.tar:n:t: a docker-archive has its layers uncompressed; .*got zstd"):
        squash_image(source, out, compression="zstd", force=True)
    with pytest.raises(UsageError, match="uncompressed"):
        squash_into_image([tmp_path / "base.tar"], out, compression="gzip", force=True)
    assert paths(out) == [["Files", "Files/dir", "Files/g", "Files/h", "Files/l"]]


def test_in_place(source: str) -> None:
    with pytest.raises(AlreadyExistsError):
        squash_image(source, source)
    squash_image(source, source, first=1, force=True)
    assert len(paths(source)) == 2


def test_of_an_index(tmp_path: Path) -> None:
    made = Layout(tmp_path / "in")
    found = [made.image(STACK[: n + 1], os_version=f"10.0.{v}.1") for n, v in enumerate((17763, 20348, 26100))]
    made.tag(made.index(found))
    place = f"oci:{made.write()}"
    squashed = squash_image(
        place, f"oci:{tmp_path / 'out'}", options=ImageOptions(selector=ImageSelector(os_version="10.0.26100"))
    )
    assert (squashed.squashed, squashed.platform.os_version) == (3, "10.0.26100.1")
    with pytest.raises(UsageError, match=r"10\.0\.17763"):
        squash_image(place, f"oci:{tmp_path / 'other'}")


def test_progress(source: str, tmp_path: Path) -> None:
    written: list[Entry] = []
    read: list[int] = []

    def progress(step: Progress) -> None:
        read.append(step.done)
        if step.entry is not None:
            written.append(step.entry)

    squash_image(source, f"oci:{tmp_path / 'out'}", options=ImageOptions(progress=progress))
    assert [entry.path for entry in written] == paths(f"oci:{tmp_path / 'out'}")[0]
    assert read == sorted(read)


# --- registries -------------------------------------------------------------------------


def served(folder: Path, **more: Any) -> Model:
    model = Model()
    made = Layout(folder)
    root = made.image(STACK, **more)
    put_layout(model, "a", members(folder), root, "t")
    return model


def test_from_a_registry_each_blob_comes_once(tmp_path: Path) -> None:
    model = served(tmp_path / "in", gzipped=True)
    temp_dir = tmp_path / "temporary"
    temp_dir.mkdir()
    squash_image(
        f"docker://{HOST}/a:t",
        f"oci:{tmp_path / 'out'}",
        options=ImageOptions(registries=reach(model), temp_dir=temp_dir),
    )
    assert paths(f"oci:{tmp_path / 'out'}") == [["Files", "Files/dir", "Files/g", "Files/h", "Files/l"]]
    blobs = [line for line in model.lines() if "/blobs/" in line]
    assert len(blobs) == len(set(blobs)) == 4
    assert list(temp_dir.iterdir()) == []


def test_within_a_registry_the_rest_stays_there(tmp_path: Path) -> None:
    model = served(tmp_path / "in", gzipped=True)
    registries = reach(model)
    place = f"docker://{HOST}/a:new"
    made = squash_image(
        f"docker://{HOST}/a:t", place, first=2, options=ImageOptions(registries=registries, temp_dir=tmp_path)
    )
    assert made.kept == 2
    assert [len(layer) for layer in paths(place, options=ImageOptions(registries=registries))] == [3, 3, 4]
    uploads = [line for line in model.lines() if line.startswith("POST")]
    assert len(uploads) == 2  # the layer and the config


def test_a_foreign_layer(tmp_path: Path) -> None:
    kind = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"

    def manifest(value: dict[str, Any]) -> None:
        value["layers"][0]["mediaType"] = kind

    folder = layout(tmp_path / "in", STACK, gzipped=True, manifest=manifest)
    made = squash_image(f"oci:{folder}", f"oci:{tmp_path / 'out'}")
    assert len(made.warnings) == 1
    assert "#0 is a foreign layer" in made.warnings[0]
    assert squash_image(f"oci:{folder}", f"oci:{tmp_path / 'top'}", first=1).warnings == []
    (folder / "blobs" / "sha256" / digest(gzip.compress(BASE_TAR, mtime=0))[7:]).unlink()
    with pytest.raises(NotFoundError, match="just the address"):
        squash_image(f"oci:{folder}", f"oci:{tmp_path / 'none'}")


# --- bad input ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"first": 3}, UsageError, "no such layer to squash from; expected 0 to 2"),
        ({"first": 1, "drop_utility_vm": True}, UsageError, "cannot be left out"),
    ],
)
def test_what_cannot_be_squashed(source: str, tmp_path: Path, options: Any, error: Any, words: str) -> None:
    with pytest.raises(error, match=words):
        squash_image(source, f"oci:{tmp_path / 'out'}", **options)
    assert not (tmp_path / "out").exists()


def test_a_single_layer_is_no_image(source: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="a single layer"):
        squash_image(f"{source}#0", f"oci:{tmp_path / 'out'}")


@pytest.mark.parametrize(
    ("layers", "error"),
    [
        ((GONE_TAR, BASE_TAR), LayerError),
        ((BASE_TAR, build([M("Files/x")])), LayerError),
        ((BASE_TAR, b"no tar" * 200), WclayerError),
    ],
)
@pytest.mark.parametrize("first", [0, 1])
def test_an_error_leaves_nothing(tmp_path: Path, layers: tuple[bytes, ...], error: Any, first: int) -> None:
    place = f"oci:{layout(tmp_path / 'in', layers)}:t"
    before = snapshot(tmp_path)
    with pytest.raises(error):
        squash_image(place, f"oci:{tmp_path / 'out'}", first=first)
    with pytest.raises(error):
        squash_image(place, place, first=first, force=True)
    after = snapshot(tmp_path)
    assert after["in/index.json"] == before["in/index.json"]
    assert not (tmp_path / "out").exists()


def test_a_layer_that_is_another_one(tmp_path: Path) -> None:
    def edit(value: dict[str, Any]) -> None:
        value["rootfs"]["diff_ids"][1] = digest(b"")

    with pytest.raises(DigestMismatchError, match=r"#1: in layer 1: the layer's tar is not the one"):
        squash_image(f"oci:{layout(tmp_path / 'in', STACK, config=edit)}", f"oci:{tmp_path / 'out'}")
    folder = layout(tmp_path / "cut", STACK)
    blob = folder / "blobs" / "sha256" / digest(TOP_TAR)[7:]
    blob.write_bytes(blob.read_bytes()[:-512])
    with pytest.raises((DigestMismatchError, ImageError), match="#1: "):
        squash_image(f"oci:{folder}", f"oci:{tmp_path / 'out'}")


# --- a list of layers -----------------------------------------------------------------------


def test_a_list_becomes_an_image(tmp_path: Path) -> None:
    for name, tar in zip("abc", STACK, strict=True):
        (tmp_path / name).write_bytes(tar)
    out = f"oci:{tmp_path / 'out'}:t"
    platform = Platform(os_version="10.0.20348.1")
    made = squash_into_image([tmp_path / name for name in "abc"], out, platform=platform)
    assert paths(out) == [["Files", "Files/dir", "Files/g", "Files/h", "Files/l"]]
    found = config(out)
    assert found == {
        "architecture": "amd64",
        "os": "windows",
        "os.version": "10.0.20348.1",
        "config": {},
        "rootfs": {"type": "layers", "diff_ids": [made.layer.diff_id]},
        "history": [{"created_by": "wclayer squash", "comment": "layers 0 to 2 of 3 squashed"}],
    }
    assert json.loads(json.dumps(found)) == found
    with pytest.raises(UsageError, match="nothing to squash"):
        squash_into_image([], out, force=True)


def test_a_list_without_the_utility_vm(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(build([*BASE, directory("UtilityVM"), directory("UtilityVM/Files")]))
    squash_into_image([tmp_path / "a"], f"oci:{tmp_path / 'out'}", drop_utility_vm=True)
    assert paths(f"oci:{tmp_path / 'out'}") == [["Files", "Files/dir"]]
