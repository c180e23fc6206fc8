"""Images that are written, read back with json, hashlib and tarfile; and what is left after a failure: nothing."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import tarfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.images import BASE_TAR, CONFIG, INDEX, LAYER, MANIFEST, REF_NAME, TOP_TAR, digest, layout
from wclayer.errors import (
    AlreadyExistsError,
    DigestMismatchError,
    ImageError,
    InexpressibleError,
    NotFoundError,
    UsageError,
    WclayerError,
)
from wclayer.images.places.blobs import VerifiedBlob
from wclayer.images.spec.descriptors import Descriptor, Platform
from wclayer.images.writing import ImageWriter, create_image


def put(writer: ImageWriter, layer: bytes = BASE_TAR, media_type: str = LAYER) -> Descriptor:
    """Write an image of one layer, up to its manifest."""
    plain = gzip.decompress(layer) if media_type.endswith("gzip") else layer
    with writer.blob() as blob:
        blob.write(layer[:100])
        blob.flush()
        blob.write(layer[100:])
        assert blob.close() == (digest(layer), len(layer))
    config = writer.add_bytes(
        json.dumps({"os": "windows", "rootfs": {"type": "layers", "diff_ids": [digest(plain)]}}).encode(), CONFIG
    )
    top = {
        "schemaVersion": 2,
        "config": config.to_json(),
        "layers": [{"mediaType": media_type, "digest": digest(layer), "size": len(layer)}],
    }
    return writer.add_bytes(json.dumps(top).encode(), MANIFEST, platform=Platform(os_version="10.0.1.1"))


def write(place: str, layer: bytes = BASE_TAR, *, force: bool = False, **more: Any) -> Descriptor:
    with create_image(place, force=force, **more) as writer:
        root = put(writer, layer)
        writer.commit(root, annotations={"x": "y"})
    return root


def snapshot(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def reachable(files: dict[str, bytes]) -> dict[str, dict[str, Any]]:
    """Tag -> descriptor of a layout's files; every digest and size on the way to the layers is checked."""
    assert json.loads(files["oci-layout"]) == {"imageLayoutVersion": "1.0.0"}
    tags = {}
    for top in json.loads(files["index.json"])["manifests"]:
        waiting = [top]
        while waiting:
            one = waiting.pop()
            data = files["blobs/" + one["digest"].replace(":", "/")]
            assert f"sha256:{hashlib.sha256(data).hexdigest()}" == one["digest"]
            assert len(data) == one["size"]
            if one["mediaType"] in (MANIFEST, INDEX):
                value = json.loads(data)
                waiting += value.get("manifests", [value.get("config"), *value.get("layers", [])])
        tags[top["annotations"][REF_NAME]] = top
    return tags


def unpacked(data: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return {one.name: file.read() for one in tar if (file := tar.extractfile(one)) is not None}


def test_a_new_layout(tmp_path: Path) -> None:
    root = write(f"oci:{tmp_path / 'd'}")
    files = snapshot(tmp_path / "d")
    tags = reachable(files)
    assert tags == {
        "latest": {
            "mediaType": MANIFEST,
            "digest": root.digest,
            "size": root.size,
            "annotations": {REF_NAME: "latest", "x": "y"},
            "platform": {"architecture": "amd64", "os": "windows", "os.version": "10.0.1.1"},
        }
    }
    assert len(files) == 5
    assert os.listdir(tmp_path) == ["d"]


def test_a_further_tag_and_another_image_for_one(tmp_path: Path) -> None:
    folder = layout(tmp_path / "d")
    first = snapshot(folder)
    write(f"oci:{folder}:new/tag", TOP_TAR)
    files = snapshot(folder)
    assert set(reachable(files)) == {"t", "new/tag"}
    assert first.items() - files.items() == {("index.json", first["index.json"])}
    assert json.loads(files["index.json"])["x.unknown"] == "kept"
    assert json.loads(files["index.json"])["manifests"][0] == json.loads(first["index.json"])["manifests"][0]
    with pytest.raises(AlreadyExistsError, match="has that tag already"):
        write(f"oci:{folder}:t", TOP_TAR)
    assert snapshot(folder) == files
    root = write(f"oci:{folder}:t", TOP_TAR, force=True)
    assert reachable(snapshot(folder))["t"]["digest"] == root.digest
    assert not list(folder.glob(".*"))


def test_an_empty_folder_is_used(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    write(f"oci:{tmp_path / 'd'}:a")
    assert set(reachable(snapshot(tmp_path / "d"))) == {"a"}


def test_a_broken_blob_of_the_layout_is_replaced(tmp_path: Path) -> None:
    folder = layout(tmp_path / "d")
    path = folder / "blobs" / digest(BASE_TAR).replace(":", "/")
    path.write_bytes(BASE_TAR[:-1] + b"x")
    write(f"oci:{folder}:new")
    assert path.read_bytes() == BASE_TAR


def test_copy(tmp_path: Path) -> None:
    folder = layout(tmp_path / "d")

    def never() -> VerifiedBlob:
        raise AssertionError("the layout has that blob")

    def bytes_of(data: bytes, descriptor: Descriptor) -> Callable[[], VerifiedBlob]:
        return lambda: VerifiedBlob.of_bytes(data, descriptor, "a blob")

    known = Descriptor(media_type=LAYER, digest=digest(BASE_TAR), size=len(BASE_TAR))
    other = Descriptor(media_type=LAYER, digest=digest(TOP_TAR), size=len(TOP_TAR))
    wrong = Descriptor(media_type=LAYER, digest=digest(b"x"), size=1)
    moved: list[int] = []
    with create_image(f"oci:{folder}:new") as writer:
        opened = bytes_of(TOP_TAR, other)
        assert writer.copy([(known, never), (other, opened), (known, never)], moved.append) == [
            "there",
            "copied",
            "there",
        ]
        assert sum(moved) == len(BASE_TAR) + len(TOP_TAR)
        assert writer.copy([(other, never)]) == ["there"]
        for both in ([(wrong, bytes_of(b"y", wrong))], [(wrong, bytes_of(b"y", wrong)), (known, never)]):
            with pytest.raises(DigestMismatchError):
                writer.copy(both)
    assert set(reachable(snapshot(folder))) == {"t"}


def test_an_archive_is_the_same_each_time(tmp_path: Path) -> None:
    root = write(f"oci-archive:{tmp_path / 'a.tar'}:t")
    write(f"oci-archive:{tmp_path / 'b.tar'}:t", temp_dir=tmp_path)
    data = (tmp_path / "a.tar").read_bytes()
    assert data == (tmp_path / "b.tar").read_bytes()
    assert reachable(unpacked(data))["t"]["digest"] == root.digest
    with tarfile.open(tmp_path / "a.tar") as tar:
        found = tar.getmembers()
    assert [one.name for one in found][:2] == ["blobs", "blobs/sha256"]
    assert [one.name for one in found][2:] == sorted(one.name for one in found[2:])
    assert {(one.uid, one.gid, one.uname, one.gname, one.mtime) for one in found} == {(0, 0, "", "", 0)}
    assert {one.mode for one in found} == {0o644, 0o755}
    assert sorted(os.listdir(tmp_path)) == ["a.tar", "b.tar"]


@pytest.mark.parametrize("name", [None, "a/b", "h:5000/a/b:v1"])
@pytest.mark.parametrize("gzipped", [False, True])
def test_a_docker_archive(tmp_path: Path, name: str | None, gzipped: bool) -> None:
    place = f"docker-archive:{tmp_path / 'a.tar'}" + (f":{name}" if name else "")
    with create_image(place) as writer:
        kind = f"{LAYER}+gzip" if gzipped else LAYER
        writer.commit(put(writer, gzip.compress(BASE_TAR) if gzipped else BASE_TAR, kind))
    files = unpacked((tmp_path / "a.tar").read_bytes())
    [image] = json.loads(files["manifest.json"])
    tags = {None: None, "a/b": ["a/b:latest"], "h:5000/a/b:v1": ["h:5000/a/b:v1"]}
    assert image["RepoTags"] == tags[name]
    assert image["Config"] == digest(files[image["Config"]]).partition(":")[2] + ".json"
    assert [digest(files[layer]) for layer in image["Layers"]] == [digest(BASE_TAR)]
    assert len(files) == 3
    assert os.listdir(tmp_path) == ["a.tar"]


def test_a_docker_archive_has_no_index(tmp_path: Path) -> None:
    with (
        create_image(f"docker-archive:{tmp_path / 'a.tar'}") as writer,
        pytest.raises(InexpressibleError, match="no image index"),
    ):
        writer.commit(writer.add_bytes(b"{}", INDEX))
    assert os.listdir(tmp_path) == []


def test_a_layer_that_is_not_the_one_of_the_config(tmp_path: Path) -> None:
    with create_image(f"docker-archive:{tmp_path / 'a.tar'}") as writer:
        config = writer.add_bytes(json.dumps({"rootfs": {"diff_ids": [digest(TOP_TAR)]}}).encode(), CONFIG)
        layer = writer.add_bytes(gzip.compress(BASE_TAR), f"{LAYER}+gzip")
        top = json.dumps({"config": config.to_json(), "layers": [layer.to_json()]}).encode()
        with pytest.raises(DigestMismatchError):
            writer.commit(writer.add_bytes(top, MANIFEST))
    assert os.listdir(tmp_path) == []


def test_to_stdout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Stdout:
        buffer = io.BytesIO()

    monkeypatch.setattr("sys.stdout", Stdout)
    write("oci-archive:-:t", temp_dir=tmp_path)
    assert set(reachable(unpacked(Stdout.buffer.getvalue()))) == {"t"}
    assert os.listdir(tmp_path) == []


# --- nothing half done ----------------------------------------------------------


def failing_before(writer: ImageWriter) -> None:
    with writer.blob() as blob:
        blob.write(b"x")
        raise KeyboardInterrupt


def failing_between(writer: ImageWriter) -> None:
    put(writer, TOP_TAR)
    raise KeyboardInterrupt


@pytest.mark.parametrize("fail", [failing_before, failing_between])
@pytest.mark.parametrize("place", ["oci:{}/new", "oci:{}/old:x", "oci-archive:{}/a.tar", "docker-archive:{}/a.tar"])
def test_nothing_is_left_of_what_is_not_finished(
    tmp_path: Path, place: str, fail: Callable[[ImageWriter], None]
) -> None:
    layout(tmp_path / "old")
    before = snapshot(tmp_path)
    with pytest.raises(KeyboardInterrupt), create_image(place.format(tmp_path)) as writer:
        fail(writer)
    assert snapshot(tmp_path) == before
    assert os.listdir(tmp_path) == ["old"]


def test_nothing_is_left_if_the_last_step_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = layout(tmp_path / "old")
    before = snapshot(tmp_path)
    real = os.replace

    def replace(source: str, target: str) -> None:
        if target.endswith("index.json"):
            raise OSError(28, "No space left on device")
        real(source, target)

    with create_image(f"oci:{folder}:new") as writer:
        root = put(writer, TOP_TAR)
        monkeypatch.setattr("os.replace", replace)
        with pytest.raises(WclayerError, match="No space left"):
            writer.commit(root)
    monkeypatch.undo()
    assert snapshot(tmp_path) == before


def test_what_is_there_is_kept_until_the_new_is_whole(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(b"old")
    with create_image(f"oci-archive:{tmp_path / 'a.tar'}", force=True) as writer:
        put(writer)
    assert (tmp_path / "a.tar").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a.tar"]


def test_writers_at_once_lose_no_tag(tmp_path: Path) -> None:
    layout(tmp_path / "d")
    gate = threading.Barrier(8)

    def work(number: int) -> None:
        with create_image(f"oci:{tmp_path / 'd'}:n{number}") as writer:
            root = put(writer, TOP_TAR + bytes(512 * number))
            gate.wait(20)
            writer.commit(root)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert set(reachable(snapshot(tmp_path / "d"))) == {"t", *(f"n{number}" for number in range(8))}


def test_the_tag_that_came_meanwhile(tmp_path: Path) -> None:
    layout(tmp_path / "d")
    with create_image(f"oci:{tmp_path / 'd'}:new") as writer:
        root = put(writer, TOP_TAR)
        write(f"oci:{tmp_path / 'd'}:new")
        before = snapshot(tmp_path / "d")
        with pytest.raises(AlreadyExistsError):
            writer.commit(root)
    kept = {name: data for name, data in before.items() if ".wclayer" not in name}
    assert snapshot(tmp_path / "d") == kept


# --- refused --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("place", "error", "text"),
    [
        ("docker://h/X", UsageError, "the name of a repository"),
        ("docker://h/x#0", UsageError, "no place for an image"),
        ("{}/x.tar", UsageError, "no place for an image"),
        ("oci:{}/d#0", UsageError, "no place for an image"),
        ("oci:{}/d//Files", UsageError, "no place for an image"),
        ("oci:{}/d:a b", UsageError, "a tag that no image can have"),
        ("docker-archive:{}/d:UPPER", UsageError, "a name that no image can have"),
        ("oci:{}/none/d", NotFoundError, "make it first"),
        ("oci-archive:{}/none/a.tar", NotFoundError, "make it first"),
        ("oci-archive:{}/folder", AlreadyExistsError, "a folder of that name"),
        ("oci:{}/folder", AlreadyExistsError, "no image layout"),
        ("oci:{}/file", AlreadyExistsError, "a file already"),
        ("oci-archive:{}/file", AlreadyExistsError, "--force"),
        ("docker-archive:{}/file", AlreadyExistsError, "--force"),
        ("oci:{}/half", ImageError, "it has no index.json"),
    ],
)
def test_refused(tmp_path: Path, place: str, error: type[WclayerError], text: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "mine").write_bytes(b"")
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "half").mkdir()
    (tmp_path / "half" / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    before = snapshot(tmp_path)
    with pytest.raises(error, match=text):
        create_image(place.format(tmp_path))
    assert snapshot(tmp_path) == before
