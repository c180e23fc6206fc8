"""Layers that other tools made: BuildKit's import onto a base, buildah's and a cut one are refused by name."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from pathlib import Path

import pytest

from tests.compat.tools import shared
from tests.conformance import model as m
from tests.strategies import items_of
from tests.tars import M, build, directory
from wclayer import export_layer_to_tar, import_layer_from_tar
from wclayer.entry import Directory, File
from wclayer.errors import ConfinementError, LayerError

CONFIG = "Files/Windows/System32/config"


def layers(image: Path) -> tuple[list[bytes], list[str]]:
    """The layers of an OCI archive, base first, and the diff_ids that its config gives."""
    with tarfile.open(image) as tar:
        files = {
            member.name.removeprefix("./"): file.read()
            for member in tar
            if (file := tar.extractfile(member)) is not None
        }
    [entry] = json.loads(files["index.json"])["manifests"]

    def blob(descriptor: dict[str, str]) -> bytes:
        return files["blobs/" + descriptor["digest"].replace(":", "/")]

    manifest = json.loads(blob(entry))
    config = json.loads(blob(manifest["config"]))
    return [blob(layer) for layer in manifest["layers"]], config["rootfs"]["diff_ids"]


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A base made here: what BuildKit's layers were made on, by name."""
    parts = CONFIG.split("/")
    folders = [directory("/".join(parts[: n + 1])) for n in range(len(parts))]
    hives = [
        M(f"{CONFIG}/{name}", b"regf" + bytes(4092)) for name in ("DEFAULT", "SAM", "SECURITY", "SOFTWARE", "SYSTEM")
    ]
    import_layer_from_tar(io.BytesIO(build([*folders, *hives])), tmp_path / "base")
    return tmp_path / "base"


@pytest.mark.parametrize("name", ["buildkit-copy", "buildkit-link"])
def test_buildkit(tmp_path: Path, base: Path, name: str) -> None:
    blobs, diff_ids = layers(shared(f"data/images/{name}.oci.tar"))
    parents = [base]
    for number, (blob, diff_id) in enumerate(zip(blobs[1:], diff_ids[1:], strict=True)):
        folder = tmp_path / f"layer-{number}"
        summary = import_layer_from_tar(io.BytesIO(blob), folder, parents, diff_id=diff_id)
        assert summary.diff_id == diff_id
        output = io.BytesIO()
        original = export_layer_to_tar(folder, io.BytesIO(), parents, framing="original")
        assert original.diff_id == diff_id
        export_layer_to_tar(folder, output, parents, framing="canonical")
        before = {entry.path: (entry, content) for entry, content, _ in items_of(blob)}
        after = {entry.path: (entry, content) for entry, content, _ in items_of(output.getvalue())}
        assert after == before
        # The same fields as Python's tarfile sees in BuildKit's own tar.
        for member in m.read_tar(gzip.decompress(blob)):
            entry, content = after[member.info.name]
            assert isinstance(entry, Directory | File)
            assert entry.file_attributes == int(member.records[b"MSWINDOWS.fileattr"])
            assert entry.security_descriptor == member.base64(b"MSWINDOWS.rawsd")
            assert (content or b"") == member.data
        parents.insert(0, folder)
    base_summary = import_layer_from_tar(io.BytesIO(blobs[0]), tmp_path / "own-base", diff_id=diff_ids[0])
    assert base_summary.compression == "gzip"
    again = export_layer_to_tar(tmp_path / "own-base", io.BytesIO(), framing="original")
    assert again.diff_id == diff_ids[0]


def test_buildah_s_layer_is_refused_by_name(tmp_path: Path, base: Path) -> None:
    blobs, _ = layers(shared("data/images/buildah-invalid.oci.tar"))
    with pytest.raises(ConfinementError) as caught:
        import_layer_from_tar(io.BytesIO(blobs[1]), tmp_path / "layer", [base])
    assert caught.value.path == "C:\\"
    assert caught.value.offset == 0
    assert [path.name for path in tmp_path.iterdir()] == ["base"]


def test_links_to_nothing_are_refused_by_name(tmp_path: Path) -> None:
    with tarfile.open(shared("data/images/windows-mini-image.tar.gz")) as tar:
        [name] = [name for name in tar.getnames() if name.endswith(".tar") and "/" not in name]
        file = tar.extractfile(name)
        assert file is not None
        layer = file.read()
    with pytest.raises(LayerError, match="nothing") as caught:
        import_layer_from_tar(io.BytesIO(layer), tmp_path / "layer")
    assert caught.value.path is not None
    assert caught.value.path.endswith("ServerDatacenter/license.rtf")
    assert list(tmp_path.iterdir()) == []
    # Without the three, the rest is a layer.
    with tarfile.open(fileobj=io.BytesIO(layer)) as tar:
        names = {member.name for member in tar}
        members = [
            M(t.name, tar.extractfile(t).read() if t.isreg() else b"", t.type.decode(), t.linkname)  # type: ignore[union-attr]
            for t in tar
            if not t.islnk() or t.linkname in names
        ]
    assert len(members) == len(names) - 3
    import_layer_from_tar(io.BytesIO(build(members)), tmp_path / "layer")
