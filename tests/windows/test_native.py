"""Layers on Windows, by its own file system and its own service; see conftest."""

from __future__ import annotations

import io
import os
import subprocess
from pathlib import Path

import pytest

from tests.strategies import Item, tar_of
from tests.windows.layers import CONFIG, HIVES, OWN, TIME, base_items, child_items, folder, plain
from wclayer import (
    create_scratch,
    export_layer_to_tar,
    import_layer_from_tar,
    mount_layer,
    process_layer,
    remove_layer,
    unmount_layer,
)
from wclayer.entry import File
from wclayer.errors import AlreadyExistsError, WclayerError
from wclayer.layers.windows.processing import state_of
from wclayer.regf.minimal import minimal_hive
from wclayer.stores.folders import open_folder
from wclayer.stores.root.open_root import open_root

STANDIN = os.environ.get("WCLAYER_STANDIN") is not None
real = pytest.mark.skipif(STANDIN, reason="the stand-in is no Windows")


def exported(layer: Path, parents: tuple[Path, ...] = (), **options: object) -> bytes:
    output = io.BytesIO()
    export_layer_to_tar(layer, output, parents, **options)  # type: ignore[arg-type]
    return output.getvalue()


def test_the_store(tmp_path: Path) -> None:
    """Without the service: what goes onto NTFS comes back, the tar's bytes and, without them, every field."""
    tar = tar_of(base_items())
    import_layer_from_tar(io.BytesIO(tar), tmp_path / "native", processing=False)
    import_layer_from_tar(io.BytesIO(tar), tmp_path / "plain", plain=True)
    assert exported(tmp_path / "native", processing=False) == tar
    canonical = exported(tmp_path / "plain", framing="canonical")
    assert exported(tmp_path / "native", processing=False, framing="canonical") == canonical


@real
def test_what_windows_says_of_it(tmp_path: Path) -> None:
    import_layer_from_tar(io.BytesIO(tar_of(base_items(vm=False))), tmp_path / "layer", processing=False)
    file = tmp_path / "layer/Files/dir/f"
    script = (
        f"$f = Get-Item -LiteralPath '{file}';"
        "$f.LastWriteTimeUtc.ToFileTimeUtc(); $f.CreationTimeUtc.ToFileTimeUtc(); [int]$f.Attributes;"
        "(Get-Acl -LiteralPath $f.FullName).Sddl;"
        f"Get-Content -LiteralPath '{file}' -Stream Zone.Identifier;"
        f"(Get-Item -LiteralPath '{tmp_path / 'layer/Files/link'}').LinkType"
    )
    done = subprocess.run(
        ["powershell", "-NoProfile", "-Command", script], capture_output=True, text=True, check=True, timeout=120
    )
    write, creation, attributes, sddl, stream, link = done.stdout.split("\n")[:6]
    assert (int(write), int(creation)) == (TIME + 8 * 10_000_001,) * 2
    assert int(attributes) == 0x20
    assert sddl.strip().startswith("O:SYG:SYD:P")
    assert stream.strip() == "ads"
    assert link.strip() == "Junction"
    names = subprocess.run(["fsutil", "hardlink", "list", str(file)], capture_output=True, text=True, check=True).stdout
    assert len(names.split("\n")) >= 2


def test_an_edit_is_seen(tmp_path: Path) -> None:
    import_layer_from_tar(io.BytesIO(tar_of(base_items())), tmp_path / "layer", processing=False)
    (tmp_path / "layer/Files/dir/f").write_bytes(b"edited")
    with open_folder(tmp_path / "layer") as layer:
        assert ("changed", "Files/dir/f") in list(layer.status())
        entry = layer.lookup("Files/dir/f")
    assert isinstance(entry, File)
    assert (entry.size, entry.security_descriptor) == (6, OWN)


def hello() -> list[Item]:
    """A base layer with hives that are made from nothing, and without a utility VM."""
    names = CONFIG.split("/")
    items = [folder("/".join(names[: number + 1])) for number in range(len(names))]
    items += [plain(f"{CONFIG}/{name}", minimal_hive(TIME)) for name in HIVES]
    return [*items, plain("Files/hello.txt", b"hello")]


def test_a_base_layer_is_processed(tmp_path: Path) -> None:
    tar = tar_of(hello())
    layer = tmp_path / "base"
    import_layer_from_tar(io.BytesIO(tar), layer)
    root = open_root(os.fsencode(layer))
    assert state_of(root) == "whole"
    root.close()
    assert exported(layer) == tar
    assert process_layer(layer) is False
    with pytest.raises(AlreadyExistsError):
        import_layer_from_tar(io.BytesIO(tar), layer)
    remove_layer(layer)
    assert not layer.exists()


def test_a_layer_on_top_and_a_scratch(tmp_path: Path) -> None:
    base, child, scratch, target = (tmp_path / name for name in ("base", "child", "scratch", "mnt"))
    items = [item for item in base_items(vm=False) if item[0].path != "Files/link"]
    upper = [item for item in child_items(vm=False) if item[0].path != "Files/new/junction"]
    import_layer_from_tar(io.BytesIO(tar_of(items)), base)
    import_layer_from_tar(io.BytesIO(tar_of(upper)), child, [base])
    assert exported(child, (base,)) == tar_of(upper)
    create_scratch(scratch, [child, base])
    target.mkdir()
    volume = mount_layer(scratch, [child, base], target)
    assert volume.startswith("\\\\?\\Volume{")
    try:
        if not STANDIN:
            assert (target / "dir/f").read_bytes() == b"data" * 1000
            assert (target / "new/file").read_bytes() == b"new content"
            assert not (target / "dir/gone").exists()
            (target / "made.txt").write_bytes(b"made")
    finally:
        unmount_layer(scratch, target)
    assert not (target / "new").exists()
    for layer in (scratch, child, base):
        remove_layer(layer)
        assert not layer.exists()


def test_a_failure_leaves_nothing(tmp_path: Path) -> None:
    """A hive that Windows does not load."""
    items = [plain(item[0].path, b"no hive") if item[0].path.endswith("/SYSTEM") else item for item in hello()]
    with pytest.raises(WclayerError) as caught:
        import_layer_from_tar(io.BytesIO(tar_of(items)), tmp_path / "base")
    assert "ProcessBaseImage" in str(caught.value)
    assert os.listdir(tmp_path) == []
    import_layer_from_tar(io.BytesIO(tar_of(hello())), tmp_path / "base")
