"""Squashed images in other programs: what they make of the layers one by one, they make of the one; and memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.compat.clients import blobs, ctr_import, skopeo_copy, umoci_unpack, validate_schemas
from tests.compat.test_nanoserver import measured
from tests.compat.tools import REPOSITORY, shared
from tests.images import layout
from tests.tars import M, build, directory
from wclayer.errors import LayerError
from wclayer.images.copying import copy_image
from wclayer.operations.squash import squash_image
from wclayer.regf.minimal import minimal_hive

CONFIG = "Files/Windows/System32/config"
HIVE = minimal_hive(133_000_000_000_000_000)


def link(name: str, target: str) -> M:
    return M(name, type="1", link=target)


LAYERS = (
    [
        *(directory("/".join(CONFIG.split("/")[:end])) for end in range(1, 5)),
        *(M(f"{CONFIG}/{name}", HIVE) for name in ("DEFAULT", "SAM", "SECURITY", "SOFTWARE", "SYSTEM")),
        directory("Files/dir"),
        directory("Files/dir/deep"),
        *(M(f"Files/dir/{name}", name.encode()) for name in "abcdef"),
        M("Files/dir/deep/g", b"g" * 3000),
        link("Files/dir/a2", "Files/dir/a"),
        M("Files/becomes a directory", b"file"),
        directory("Files/becomes a file"),
        M("Files/becomes a file/x", b"x"),
        M("Files/gone", b"gone"),
    ],
    [
        directory("Files"),
        directory("Files/dir"),
        M("Files/dir/b", b"new"),
        link("Files/dir/c2", "Files/dir/c"),
        link("Files/dir/d2", "Files/dir/d"),
        link("Files/dir/d3", "Files/dir/d"),
        M("Files/.wh.gone"),
    ],
    [
        directory("Files"),
        directory("Files/dir"),
        M("Files/dir/d", b"replaced, but its links are not"),
        M("Files/dir/.wh.a"),
        M("Files/.wh.becomes a directory"),
        M("Files/.wh.becomes a file"),
        M("Files/dir/.wh.deep"),
    ],
    [
        directory("Files"),
        directory("Files/dir"),
        directory("Files/dir/deep"),
        M("Files/dir/deep/new", b"again"),
        directory("Files/becomes a directory"),
        M("Files/becomes a directory/y", b"y"),
        M("Files/becomes a file", b"file"),
        link("Files/dir/e2", "Files/dir/e"),
        M("Files/dir/.wh.f"),
    ],
)


def tree(folder: Path) -> dict[str, tuple[bytes | None, frozenset[str]]]:
    """By path: the content (None for a directory), and all names of the file."""
    names: dict[int, set[str]] = {}
    found = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*")}
    for name, path in found.items():
        if path.is_file():
            names.setdefault(path.stat().st_ino, set()).add(name)
    return {
        name: (path.read_bytes(), frozenset(names[path.stat().st_ino])) if path.is_file() else (None, frozenset())
        for name, path in found.items()
    }


@pytest.fixture
def image(tmp_path: Path) -> Path:
    return layout(tmp_path / "in", [build(layer) for layer in LAYERS], gzipped=True)


@pytest.mark.parametrize("first", range(len(LAYERS)))
def test_umoci_unpacks_the_same(image: Path, tmp_path: Path, first: int) -> None:
    squash_image(f"oci:{image}", f"oci:{tmp_path / 'out'}:t", first=first)
    assert validate_schemas(tmp_path / "out") == 4
    before = tree(umoci_unpack(image, "t", tmp_path / "before"))
    after = tree(umoci_unpack(tmp_path / "out", "t", tmp_path / "after"))
    assert after == before
    assert after["Files/dir/d2"] == (b"d", frozenset(("Files/dir/d2", "Files/dir/d3")))
    assert after["Files/dir/a2"] == (b"a", frozenset(("Files/dir/a2",)))
    # And of an image that was squashed before.
    if first:
        squash_image(f"oci:{tmp_path / 'out'}", f"oci:{tmp_path / 'one'}:t")
        assert tree(umoci_unpack(tmp_path / "one", "t", tmp_path / "last")) == before


def test_skopeo_and_containerd_take_it(image: Path, tmp_path: Path) -> None:
    made = squash_image(f"oci:{image}", f"oci-archive:{tmp_path / 'out.tar'}:t", first=1, compression="zstd")
    skopeo_copy(f"oci-archive:{tmp_path / 'out.tar'}:t", f"oci:{tmp_path / 'copy'}:t")
    assert made.digest in blobs(tmp_path / "copy")
    squash_image(f"oci:{image}", f"oci-archive:{tmp_path / 'one.tar'}:t")
    [only] = ctr_import(tmp_path / "one.tar", tmp_path / "work")
    assert tree(only) == tree(umoci_unpack(image, "t", tmp_path / "before"))


@pytest.mark.parametrize("name", ["buildkit-copy", "buildkit-link"])
@pytest.mark.parametrize("first", [0, 1])
def test_an_image_of_buildkit_s(tmp_path: Path, name: str, first: int) -> None:
    source = f"oci-archive:{shared(f'data/images/{name}.oci.tar')}"
    copy_image(source, f"oci:{tmp_path / 'in'}:t")
    made = squash_image(source, f"oci:{tmp_path / 'out'}:t", first=first)
    assert made.warnings == []
    before = tree(umoci_unpack(tmp_path / "in", "t", tmp_path / "before"))
    after = tree(umoci_unpack(tmp_path / "out", "t", tmp_path / "after"))
    if first == 0:  # BuildKit's layers bring an empty one
        assert before.pop("Hives") == (None, frozenset())
    assert after == before
    assert validate_schemas(tmp_path / "out") == 4


def test_links_to_nothing_are_refused_by_name(tmp_path: Path) -> None:
    archive = shared("data/images/windows-mini-image.tar.gz")
    with pytest.raises(LayerError, match=r"ServerDatacenter/license\.rtf: in layer 0: hard link to nothing"):
        squash_image(f"docker-archive:{archive}", f"oci:{tmp_path / 'out'}")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="resource usage of POSIX")
def test_memory(tmp_path: Path) -> None:
    """Layers of nanoserver's shape: names are kept, and nothing else."""
    base, top = tmp_path / "base.tar", tmp_path / "top.tar"
    subprocess.run(
        [sys.executable, str(REPOSITORY / "examples" / "sample_layer.py"), "--nanoserver", str(base)], check=True
    )
    top.write_bytes(build([directory("Files"), directory("Files/big"), M("Files/big/f", bytes(20 << 20))]))
    told = measured("squash", "--json", base, base, base, top, "-o", f"oci:{tmp_path / 'out'}:all")
    layer = told["layer"]
    assert isinstance(layer, dict)
    # Names of hives that the upper layers' own hives have keep the content of those.
    assert layer["entries"] == {"directories": 1351, "files": 5165 + 5, "hard_links": 3774 - 5}
    told = measured("squash", "--json", "--from-layer", "1", base, base, top, "-o", tmp_path / "part.tar")
    assert told["entries"] == {"directories": 1351, "files": 5165, "hard_links": 3774}
