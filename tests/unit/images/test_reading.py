"""Images that are read: what they say, and every fault that must not pass."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.hosts import WINDOWS
from tests.images import (
    BASE_TAR,
    CONFIG,
    INDEX,
    LAYER,
    MANIFEST,
    TOP_TAR,
    Layout,
    digest,
    docker_members,
    layout,
    members,
    tar,
)
from tests.tars import header
from wclayer.errors import ConfinementError, DigestMismatchError, ImageError, NotFoundError, UsageError, WclayerError
from wclayer.images.choosing import ImageSelector
from wclayer.images.options import ImageOptions
from wclayer.images.reading import Image, open_image, open_images


def read_all(image: Image) -> list[str]:
    """Read every layer to its end; the paths of its entries."""
    return [entry.path for layer in image.layers for entry, _ in layer.source().entries()]


@pytest.mark.parametrize("gzipped", [False, True])
def test_a_layout(tmp_path: Path, gzipped: bool) -> None:
    layout(tmp_path / "d", [BASE_TAR, TOP_TAR], gzipped=gzipped, manifest=lambda m: m.update(annotations={"a": "b"}))
    with open_image(f"oci:{tmp_path / 'd'}:t#1") as image:
        assert str(image.platform) == "windows/amd64:10.0.20348.2227"
        assert image.manifest_annotations == {"a": "b"}
        assert image.config["x.unknown"] == {"kept": [1, None, 1.5]}
        assert json.loads(image.config_bytes) == image.config
        assert digest(image.manifest_bytes) == image.manifest.digest
        assert [layer.diff_id for layer in image.layers] == [digest(BASE_TAR), digest(TOP_TAR)]
        assert [layer.name for layer in image.layers] == [f"oci:{tmp_path / 'd'}:t#{n}" for n in (0, 1)]
        assert [layer.compression for layer in image.layers] == ["gzip" if gzipped else "none"] * 2
        assert [(layer.history or {})["created_by"] for layer in image.layers] == ["layer 0", "layer 1"]
        assert "Files/f" in read_all(image)
        with closing(image.layers[1].open()) as blob:
            stored = b"".join(iter(lambda: blob.read(100), b""))
        assert (gzip.decompress(stored) if gzipped else stored) == TOP_TAR


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_an_archive(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    archive = tmp_path / "a.tar"
    archive.write_bytes(pack(tar((f"./{name}", data) for name, data in members(layout(tmp_path / "d")))))
    with open_image(f"oci-archive:{archive}", options=ImageOptions(temp_dir=tmp_path)) as image:
        assert "Files/f" in read_all(image)
        assert WINDOWS or list(tmp_path.glob("wclayer-*")) == []  # it has no name
    assert list(tmp_path.glob("wclayer-*")) == []


def test_two_layers_of_an_archive_read_at_once(tmp_path: Path) -> None:
    archive = tmp_path / "a.tar"
    archive.write_bytes(tar(members(layout(tmp_path / "d", [BASE_TAR, TOP_TAR]))))
    with open_image(f"oci-archive:{archive}") as image:
        one, two = (layer.open() for layer in image.layers)
        found = (b"", b"")
        while any(pieces := (one.read(512), two.read(300))):
            found = (found[0] + pieces[0], found[1] + pieces[1])
        assert found == (BASE_TAR, TOP_TAR)


@pytest.mark.parametrize("reference", ["", ":a/b:c", ":d"])
def test_a_docker_archive(tmp_path: Path, reference: str) -> None:
    made = docker_members([BASE_TAR, TOP_TAR], ["a/b:c", "d:latest"])
    made[2] = (made[2][0], gzip.compress(BASE_TAR))
    link = tarfile.TarInfo("1/layer.tar")
    link.type, link.linkname = tarfile.SYMTYPE, "../top.tar"
    made[3] = ("top.tar", TOP_TAR)
    (tmp_path / "a.tar").write_bytes(tar([*made, link]))
    with open_image(f"docker-archive:{tmp_path / 'a.tar'}{reference}") as image:
        assert [layer.diff_id for layer in image.layers] == [digest(BASE_TAR), digest(TOP_TAR)]
        assert [layer.compression for layer in image.layers] == ["gzip", "none"]
        assert "Files/g" in read_all(image)
        assert digest(image.manifest_bytes) == image.manifest.digest


# --- which image --------------------------------------------------------------


def versions(folder: Path, *more: dict[str, Any]) -> Path:
    made = Layout(folder)
    found = [made.image(os_version=version) for version in ("10.0.17763.1", "10.0.20348.1", "10.0.20348.2")]
    linux = {**made.blob(b"{}", MANIFEST), "platform": {"os": "linux", "architecture": "amd64"}}
    attestation = {**made.blob(b"{ }", MANIFEST), "platform": {"os": "unknown", "architecture": "unknown"}}
    made.tag(made.index([linux, *found, attestation, *more]), "all")
    made.tag(found[0], "old")
    return made.write()


@pytest.mark.parametrize(("wanted", "found"), [("10.0.17763", "10.0.17763.1"), ("10.0.20348.2", "10.0.20348.2")])
def test_an_index_by_version(tmp_path: Path, wanted: str, found: str) -> None:
    place = f"oci:{versions(tmp_path / 'd')}:all"
    with open_image(place, options=ImageOptions(selector=ImageSelector(os_version=wanted))) as image:
        assert image.platform.os_version == found
    with open_images(place) as images:
        assert [image.platform.os_version for image in images] == ["10.0.17763.1", "10.0.20348.1", "10.0.20348.2"]


@pytest.mark.parametrize(
    ("reference", "version", "error", "text"),
    [
        ("all", None, UsageError, "10.0.17763.1.*--os-version"),
        ("all", "10.0.20348", UsageError, "got 10.0.20348"),
        ("all", "10.0.1776", NotFoundError, "windows/amd64:10.0.20348.2; got 10.0.1776"),
        ("old", "10.0.20348", NotFoundError, "got 10.0.17763.1"),
        ("none", None, NotFoundError, "no such tag; expected oci:.*:all, oci:.*:old"),
        (None, None, UsageError, "which image of the layout"),
    ],
)
def test_which_image(
    tmp_path: Path, reference: str | None, version: str | None, error: type[WclayerError], text: str
) -> None:
    place = f"oci:{versions(tmp_path / 'd')}" + (f":{reference}" if reference else "")
    with pytest.raises(error, match=text):
        open_image(place, options=ImageOptions(selector=ImageSelector(os_version=version)))


@pytest.mark.parametrize(
    ("place", "error"),
    [
        ("oci:{}/nothing", NotFoundError),
        ("oci-archive:{}/nothing", NotFoundError),
        ("docker-archive:{}/nothing", NotFoundError),
        ("oci-archive:{}", ImageError),
        ("docker://mcr.microsoft.com/X", UsageError),
        ("disk:{}/x", UsageError),
        ("{}/layer.tar", UsageError),
        ("oci:{}//Files", UsageError),
    ],
)
def test_no_image(tmp_path: Path, place: str, error: type[WclayerError]) -> None:
    (tmp_path / "x").write_bytes(b"")
    with pytest.raises(error):
        open_image(place.format(tmp_path))


# --- faults -------------------------------------------------------------------


def edit(*path: str | int, to: Any) -> Callable[[dict[str, Any]], None]:
    """Put `to` at a path of a document; None takes away."""

    def change(value: Any) -> None:
        for step in path[:-1]:
            value = value[step]
        if to is None:
            del value[path[-1]]
        else:
            value[path[-1]] = to

    return change


WRONG = "sha256:" + "0" * 64
CONFIG_FAULTS: list[tuple[Callable[[dict[str, Any]], None], type[WclayerError], str]] = [
    (edit("os", to="linux"), ImageError, "not a Windows image; expected windows; got linux/amd64"),
    (edit("os", to=None), ImageError, "does not say its os"),
    (edit("architecture", to=None), ImageError, "does not say its architecture"),
    (edit("architecture", to="arm64"), ImageError, "architecture in the index is not that of the config"),
    (edit("os.version", to="10.0.1.1"), ImageError, "os.version in the index is not .* 10.0.1.1; got 10.0.20348"),
    (edit("os.version", to=None), ImageError, "os.version in the index .* expected none"),
    (edit("os.version", to=7), ImageError, "os.version of the config; expected text"),
    (edit("os.features", to="win32k"), ImageError, "os.features of the config"),
    (edit("rootfs", to=None), ImageError, 'rootfs.type of the config; expected "layers"'),
    (edit("rootfs", "type", to="layer"), ImageError, "rootfs.type of the config; expected \"layers\"; got 'layer'"),
    (edit("rootfs", "diff_ids", to=None), ImageError, "rootfs.diff_ids of the config"),
    (edit("rootfs", "diff_ids", to=[]), ImageError, "diff_ids of the config; expected 1, as the manifest .* got 0"),
    (edit("rootfs", "diff_ids", to=[WRONG] * 2), ImageError, "expected 1, as the manifest has layers; got 2"),
    (edit("rootfs", "diff_ids", 0, to="sha256:ABC"), ImageError, "diff_id 0 of the config"),
    (edit("rootfs", "diff_ids", 0, to=WRONG), DigestMismatchError, "the layer's tar is not the one that the config"),
    (edit("history", to=[{"empty_layer": True}]), ImageError, "expected 1 entries that have a layer.* got 0"),
    (edit("history", to=[{}, {}]), ImageError, "expected 1 entries that have a layer.* got 2"),
    (edit("history", to={}), ImageError, '"history" of the config; expected a list of objects'),
    (edit("history", 1, "empty_layer", to="no"), ImageError, "empty_layer of entry 1 of the history"),
    (edit("history", 1, "created_by", to=7), ImageError, "created_by of entry 1 of the history"),
    (edit("history", 1, "created", to="yesterday"), ImageError, "date of entry 1 of the history"),
    (edit("created", to="2024-02-30T00:00:00Z"), ImageError, "the date of the config"),
    (edit("created", to="2024-01-31 12:00:00"), ImageError, "the date of the config"),
    (edit("created", to="0000-01-31T12:00:00Z"), ImageError, "the date of the config"),
    (edit("created", to=1706702400), ImageError, "the date of the config"),
    (edit("config", to={"a": "\ud800"}), ImageError, "the config is no JSON"),
    (edit("config", to=float("inf")), ImageError, "Infinity is no number"),
]
MANIFEST_FAULTS: list[tuple[Callable[[dict[str, Any]], None], type[WclayerError], str]] = [
    (edit("schemaVersion", to=1), ImageError, 'no image manifest; expected an object with "schemaVersion": 2'),
    (edit("schemaVersion", to=True), ImageError, "no image manifest"),
    (edit("mediaType", to=INDEX), ImageError, "not that of its descriptor"),
    (edit("config", to=None), ImageError, "the config of manifest .* is no descriptor"),
    (edit("config", "mediaType", to="application/json"), ImageError, "no container image"),
    (edit("config", "size", to=3), DigestMismatchError, "another size than its descriptor; expected 3"),
    (edit("config", "size", to=1 << 40), ImageError, "the config is too large; expected at most 8,388,608 bytes"),
    (edit("config", "size", to=-1), ImageError, "the size of the config"),
    (edit("config", "size", to=True), ImageError, "the size of the config"),
    (edit("config", "digest", to=WRONG), ImageError, "the config is missing; expected sha256:000"),
    (edit("config", "digest", to="sha512:00"), ImageError, "the digest of the config"),
    (edit("config", "digest", to="sha256:../../../etc/passwd"), ImageError, "the digest of the config"),
    (edit("layers", to=[]), ImageError, "an image without layers"),
    (edit("layers", to={}), ImageError, '"layers" of manifest .* a list of objects'),
    (edit("layers", 0, "mediaType", to="text/plain"), ImageError, "the media type of a layer"),
    (edit("layers", 0, "mediaType", to=None), ImageError, "layer 0 of manifest .* has no media type"),
    (
        edit("layers", 0, "mediaType", to=LAYER + "+gzip"),
        ImageError,
        "not compressed as its media type says.* got none",
    ),
    (edit("layers", 0, "mediaType", to=LAYER + "+zstd"), ImageError, "not compressed as its media type says"),
    (edit("layers", 0, "size", to=len(BASE_TAR) + 1), DigestMismatchError, "another size than its descriptor"),
    (edit("layers", 0, "size", to=len(BASE_TAR) - 1), DigestMismatchError, "another size than its descriptor"),
    (edit("layers", 0, "digest", to=WRONG), NotFoundError, "no such file"),
    (edit("annotations", to={"a": 1}), ImageError, "the annotations of manifest"),
]


@pytest.mark.parametrize(("change", "error", "text"), CONFIG_FAULTS)
def test_a_fault_of_the_config(
    tmp_path: Path, change: Callable[[dict[str, Any]], None], error: type[WclayerError], text: str
) -> None:
    _refused(f"oci:{layout(tmp_path / 'd', config=change)}", error, text)


@pytest.mark.parametrize(("change", "error", "text"), MANIFEST_FAULTS)
def test_a_fault_of_the_manifest(
    tmp_path: Path, change: Callable[[dict[str, Any]], None], error: type[WclayerError], text: str
) -> None:
    _refused(f"oci:{layout(tmp_path / 'd', manifest=change)}", error, text)


def _refused(place: str, error: type[WclayerError], text: str) -> None:
    with pytest.raises(error, match=text), open_image(place) as image:
        read_all(image)


INDEX_FAULTS: list[tuple[Callable[[dict[str, Any]], None], type[WclayerError], str]] = [
    (edit("schemaVersion", to=None), ImageError, "index.json is no image index"),
    (edit("manifests", to=None), ImageError, '"manifests" of index.json'),
    (edit("manifests", to=[]), NotFoundError, "a layout without images"),
    (edit("manifests", 0, "mediaType", to="text/plain"), ImageError, "the tag leads to no image"),
    (edit("manifests", 0, "digest", to=WRONG), ImageError, "the manifest is missing"),
    (edit("manifests", 0, "size", to=1), DigestMismatchError, "another size than its descriptor"),
    (edit("manifests", 0, "platform", to="windows"), ImageError, "the platform of manifest 0 of index.json"),
    (edit("manifests", 0, "platform", "os", to="linux"), ImageError, "os in the index is not that of the config"),
    (edit("manifests", 0, "annotations", to={"a": 1}), ImageError, "the annotations of manifest 0"),
    (edit("manifests", 0, "urls", to="x"), ImageError, "the urls of manifest 0"),
]


@pytest.mark.parametrize(("change", "error", "text"), INDEX_FAULTS)
def test_a_fault_of_index_json(
    tmp_path: Path, change: Callable[[dict[str, Any]], None], error: type[WclayerError], text: str
) -> None:
    made = Layout(tmp_path / "d")
    made.tag(made.image())
    _refused(f"oci:{made.write(change)}", error, text)


@pytest.mark.parametrize(
    ("name", "data", "text"),
    [
        ("oci-layout", None, "no image layout: it has no oci-layout"),
        ("oci-layout", b"{}", "the version of oci-layout; expected 1.0.0; got None"),
        ("oci-layout", b'{"imageLayoutVersion": "2.0.0"}', "expected 1.0.0; got '2.0.0'"),
        ("oci-layout", b"1.0.0", "oci-layout is no JSON"),
        ("index.json", None, "no image layout: it has no index.json"),
        ("index.json", b"[]", "index.json is no image index"),
        ("index.json", b'{"a": 1, "a": 2}', "a name that stands twice"),
        ("index.json", b"\xff", "index.json is no JSON"),
        ("index.json", b"[" * 200_000, "nested too deeply"),
        ("index.json", b"9" * 10_000, "index.json is no JSON"),
        ("index.json", b" " * (4 << 20) + b" ", "index.json is too large"),
    ],
)
def test_a_fault_of_the_layout(tmp_path: Path, name: str, data: bytes | None, text: str) -> None:
    folder = layout(tmp_path / "d")
    (folder / name).unlink()
    if data is not None:
        (folder / name).write_bytes(data)
    _refused(f"oci:{folder}", ImageError, text)


def test_a_blob_that_was_changed(tmp_path: Path) -> None:
    folder = layout(tmp_path / "d")
    path = folder / "blobs" / digest(BASE_TAR).replace(":", "/")
    path.write_bytes(BASE_TAR.replace(b"hello", b"hullo"))
    _refused(f"oci:{folder}", DigestMismatchError, "d#0: the blob has another digest")


@pytest.mark.parametrize(
    ("made", "text"),
    [
        (lambda made: [{**made.index([made.image()]), "platform": {"os": "windows", "architecture": "amd64"}}],
         "an image index in an image index"),
        (lambda made: [{**made.image(), "platform": {"os": "linux", "architecture": "amd64"}}],
         "no Windows image; expected windows; got linux/amd64"),
        (lambda _: [], "no Windows image; expected windows; got nothing"),
        (lambda _: [{"digest": WRONG}], "manifest 0 of index .* has no media type"),
    ],
)  # fmt: skip
def test_a_fault_of_an_index(tmp_path: Path, made: Callable[[Layout], list[dict[str, Any]]], text: str) -> None:
    layout = Layout(tmp_path / "d")
    layout.tag(layout.index(made(layout)))
    _refused(f"oci:{layout.write()}", ImageError, text)


def test_one_tag_for_two_images(tmp_path: Path) -> None:
    made = Layout(tmp_path / "d")
    made.tag(made.image())
    made.tag(made.image([TOP_TAR]))
    _refused(f"oci:{made.write()}:t", ImageError, "a tag that stands for several images")


def test_a_foreign_layer_that_is_not_there(tmp_path: Path) -> None:
    kind = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
    folder = layout(tmp_path / "d", gzipped=True, manifest=edit("layers", 0, "mediaType", to=kind))
    with open_image(f"oci:{folder}") as image:
        assert "Files/f" in read_all(image)
        (folder / "blobs" / image.layers[0].descriptor.digest.replace(":", "/")).unlink()
        with pytest.raises(NotFoundError, match="just the address -- copy the image with its foreign layers"):
            image.layers[0].open()


# --- archives -----------------------------------------------------------------


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


@pytest.mark.parametrize(
    "member",
    [
        ("/etc/passwd", b""),
        ("../x", b""),
        ("a/../../x", b""),
        ("a/../x", b""),
        ("a\\..\\x", b""),
        ("C:/x", b""),
        link("x", "/etc/passwd"),
        link("x", "../x"),
        link("a/x", "../../x"),
        link("x", "../x", tarfile.LNKTYPE),
    ],
)
def test_members_that_leave_the_archive(tmp_path: Path, member: tuple[str, bytes] | tarfile.TarInfo) -> None:
    archive = tmp_path / "a.tar"
    archive.write_bytes(tar([*members(layout(tmp_path / "d")), member]))
    with pytest.raises(ConfinementError, match="an archive member that would lie outside"):
        open_image(f"oci-archive:{archive}")


def test_a_device_and_two_of_a_name_and_a_loop(tmp_path: Path) -> None:
    archive = tmp_path / "a.tar"
    good = members(layout(tmp_path / "d"))
    archive.write_bytes(tar([*good, link("x", "", tarfile.FIFOTYPE)]))
    _refused(f"oci-archive:{archive}", ImageError, "no ordinary file")
    archive.write_bytes(tar([*good, good[0]]))
    _refused(f"oci-archive:{archive}", ImageError, "two members of one name")
    archive.write_bytes(tar([link("oci-layout", "a"), link("a", "oci-layout"), *good[:-1]]))
    _refused(f"oci-archive:{archive}", ImageError, "it has no oci-layout")


def test_a_cut_archive(tmp_path: Path) -> None:
    archive = tmp_path / "a.tar"
    whole = tar(members(layout(tmp_path / "d", [BASE_TAR, TOP_TAR])))
    for size in range(0, len(whole) - tarfile.RECORDSIZE, 700):
        archive.write_bytes(whole[:size])
        with pytest.raises(WclayerError) as caught, open_image(f"oci-archive:{archive}") as image:
            read_all(image)
        assert caught.value.exit_code in (10, 12)
    archive.write_bytes(gzip.compress(whole)[:-20])
    _refused(f"oci-archive:{archive}", WclayerError, "cut off")


@pytest.mark.parametrize("kind", [b"x", b"g", b"L", b"K", b"S", b"0"])
@pytest.mark.parametrize("size", [b"\x80\0\0\0\x10" + bytes(7), b"\x80" + bytes(6) + b"\x01" + bytes(4), b"\xff" * 12])
def test_a_header_with_a_size_that_cannot_be(tmp_path: Path, kind: bytes, size: bytes) -> None:
    """2 to the 60th, 2 to the 32nd, and -1: refused, or passed over; never believed."""
    archive = tmp_path / "a.tar"
    archive.write_bytes(header(b"index.json", size, kind) + tar(members(layout(tmp_path / "d"))))
    found = ["Files/f"]
    with suppress(ImageError), open_image(f"oci-archive:{archive}") as image:
        found = read_all(image)
    assert "Files/f" in found


def test_an_archive_of_random_bytes(tmp_path: Path) -> None:
    archive = tmp_path / "a.tar"
    archive.write_bytes(bytes(range(256)) * 8)
    _refused(f"oci-archive:{archive}", ImageError, "no tar")


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        (lambda m: m.__delitem__(0), ImageError, "no docker archive: it has no manifest.json"),
        (lambda m: m.__delitem__(1), ImageError, "it has no config.json"),
        (lambda m: m.__delitem__(2), ImageError, "it has no 0/layer.tar"),
        (lambda m: m.__setitem__(0, ("manifest.json", b"{}")), ImageError, "expected a list of objects"),
        (lambda m: m.__setitem__(0, ("manifest.json", b"[{}]")), ImageError, '"Layers" of manifest.json'),
        (lambda m: m.__setitem__(0, ("manifest.json", b'[{"Layers": []}]')), ImageError, '"Config" of manifest.json'),
        (lambda m: m.__setitem__(0, ("manifest.json", b"[]")), NotFoundError, "an archive without images"),
        (lambda m: m.__setitem__(0, ("manifest.json", b"[{}, {}]")), UsageError, "which image of the archive"),
        (lambda m: m.__setitem__(1, ("config.json", b"[]")), ImageError, "the config is no object"),
        (lambda m: m.__setitem__(2, ("0/layer.tar", TOP_TAR)), DigestMismatchError, "another digest"),
        (lambda m: m.__setitem__(2, ("0/layer.tar", gzip.compress(TOP_TAR))), DigestMismatchError, "not the one that"),
    ],
)  # fmt: skip
def test_a_fault_of_a_docker_archive(
    tmp_path: Path, change: Callable[[list[tuple[str, bytes]]], None], error: type[WclayerError], text: str
) -> None:
    made = docker_members()
    change(made)
    (tmp_path / "a.tar").write_bytes(tar(made))
    _refused(f"docker-archive:{tmp_path / 'a.tar'}", error, text)


def test_a_docker_archive_without_that_name(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(tar(docker_members()))
    _refused(f"docker-archive:{tmp_path / 'a.tar'}:a/b", NotFoundError, "no such image; expected a/b:c")


def test_the_config_may_be_of_docker(tmp_path: Path) -> None:
    made = Layout(tmp_path / "d")

    def docker(value: dict[str, Any]) -> None:
        value["mediaType"] = "application/vnd.docker.distribution.manifest.v2+json"
        value["config"]["mediaType"] = "application/vnd.docker.container.image.v1+json"
        value["layers"][0]["mediaType"] = "application/vnd.docker.image.rootfs.diff.tar.gzip"

    found = made.image(gzipped=True, manifest=docker)
    made.tag({**found, "mediaType": "application/vnd.docker.distribution.manifest.v2+json"})
    with open_image(f"oci:{made.write()}:t") as image:
        assert image.config_descriptor.media_type != CONFIG
        assert "Files/f" in read_all(image)


def test_names_in_another_case_as_in_microsofts_own_images(tmp_path: Path) -> None:
    """Go, in which the clients are written, reads them so."""

    def microsoft(value: dict[str, Any]) -> None:
        value["rootfS"] = {"Type": "layers", "Diff_IDs": value.pop("rootfs")["diff_ids"]}
        value["config"] = {"user": "ContainerUser", "CMD": ["c:\\windows\\system32\\cmd.exe"], "Other": 1}
        value["History"] = [{"Created_By": "Apply image 20H2-amd64"}]
        del value["history"]

    def manifest(value: dict[str, Any]) -> None:
        value["Layers"] = [{"MediaType": one["mediaType"], **one} for one in value.pop("layers")]
        for layer in value["Layers"]:
            del layer["mediaType"]

    with open_image(f"oci:{layout(tmp_path / 'd', config=microsoft, manifest=manifest)}") as image:
        assert "Files/f" in read_all(image)
        assert image.config["config"] == {
            "User": "ContainerUser",
            "Cmd": ["c:\\windows\\system32\\cmd.exe"],
            "Other": 1,
        }
        assert image.layers[0].history == {"created_by": "Apply image 20H2-amd64"}


def test_a_name_twice_in_two_cases(tmp_path: Path) -> None:
    folder = layout(tmp_path / "d", config=lambda value: value.update(OS="linux"))
    _refused(f"oci:{folder}", ImageError, "a name that stands twice in the config; got 'OS'")


def test_from_stdin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = tar(members(layout(tmp_path / "d")))

    class Stdin:
        buffer = io.BytesIO(data)

    monkeypatch.setattr("sys.stdin", Stdin)
    with open_image("oci-archive:-", options=ImageOptions(temp_dir=tmp_path)) as image:
        assert "Files/f" in read_all(image)
