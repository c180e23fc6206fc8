"""Our builds of the Dockerfiles in examples/ beside what BuildKit made of the same ones."""

from __future__ import annotations

import copy
import gzip
import io
import json
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest

from tests.compat.tools import REPOSITORY, shared, tool
from tests.images import Layout, digest
from tests.tars import M, build, directory
from wclayer.dockerfile.build import build_dockerfile
from wclayer.regf.minimal import minimal_hive

CONFIG = "Files/Windows/System32/config"


class Theirs:
    """An OCI archive of one image, read with json and tarfile: its config, and its layers, base first."""

    def __init__(self, path: Path) -> None:
        with tarfile.open(path) as tar:
            files = {member.name: file.read() for member in tar if (file := tar.extractfile(member)) is not None}
        [entry] = json.loads(files["index.json"])["manifests"]
        manifest = json.loads(files["blobs/" + entry["digest"].replace(":", "/")])
        self.config: dict[str, Any] = json.loads(files["blobs/" + manifest["config"]["digest"].replace(":", "/")])
        blobs = [files["blobs/" + layer["digest"].replace(":", "/")] for layer in manifest["layers"]]
        self.layers = [gzip.decompress(blob) if blob.startswith(b"\x1f\x8b") else blob for blob in blobs]
        assert [digest(layer) for layer in self.layers] == self.config["rootfs"]["diff_ids"]

    def base(self, folder: Path) -> str:
        """What it was built on, as a layout."""
        config = copy.deepcopy(self.config)
        config["config"].pop("Env")
        config["config"]["Env"] = self.config["config"]["Env"][:1]
        config["config"]["WorkingDir"] = "C:\\"
        config["history"] = config["history"][:1]
        config["rootfs"]["diff_ids"] = config["rootfs"]["diff_ids"][:1]

        def edit(value: dict[str, Any]) -> None:
            value.clear()
            value.update(config)

        made = Layout(folder)
        made.tag(made.image(self.layers[:1], os_version=config["os.version"], config=edit))
        made.write()
        return f"oci:{folder}:t"


def comparable(config: dict[str, Any]) -> dict[str, Any]:
    """A config without the times, the digests of layers, BuildKit's mark and the comments."""
    result = copy.deepcopy(config)
    del result["created"], result["rootfs"]["diff_ids"]
    for entry in result["history"]:
        entry.pop("created", None)
        entry.pop("comment", None)
        entry["created_by"] = entry["created_by"].removesuffix(" # buildkit")
    return result


def members(layer: bytes) -> dict[str, tuple[bytes, int, str]]:
    """The members of a layer: type, size, and the target of links."""
    with tarfile.open(fileobj=io.BytesIO(layer)) as tar:
        return {member.name.rstrip("/"): (member.type, member.size, member.linkname) for member in tar}


def contents(layer: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(layer)) as tar:
        return {member.name: file.read() for member in tar if (file := tar.extractfile(member)) is not None}


def descriptors(layer: bytes) -> dict[str, str]:
    with tarfile.open(fileobj=io.BytesIO(layer)) as tar:
        found = {member.name.rstrip("/"): member.pax_headers.get("MSWINDOWS.rawsd", "") for member in tar}
    # BuildKit gives its Files and Hives none.
    return {path: text for path, text in found.items() if path not in ("Files", "Hives")}


def ours(folder: Path, example: str, contexts: dict[str, str]) -> Theirs:
    dockerfile = REPOSITORY / "examples" / example / "Dockerfile"
    place = folder / "out.tar"
    build_dockerfile(
        dockerfile.read_bytes(),
        f"oci-archive:{place}:t",
        source=str(dockerfile),
        context=str(dockerfile.parent),
        contexts=contexts,
    )
    return Theirs(place)


def compare(mine: Theirs, theirs: Theirs) -> None:
    assert comparable(mine.config) == comparable(theirs.config)
    assert mine.layers[0] == theirs.layers[0]
    assert len(mine.layers) == len(theirs.layers)
    for one, other in zip(mine.layers[1:], theirs.layers[1:], strict=True):
        assert sorted(members(one)) == sorted(members(other))
        assert members(one) == members(other)
        assert contents(one) == contents(other)


def test_copy(tmp_path: Path) -> None:
    theirs = Theirs(shared("data/images/buildkit-copy.oci.tar"))
    mine = ours(tmp_path, "copy", {"base": theirs.base(tmp_path / "base")})
    compare(mine, theirs)


def source(folder: Path, theirs: Theirs) -> str:
    """The image that the files of `buildkit-link` are from: app/sym a symlink, app/hard.txt a hard link."""
    sam = contents(theirs.layers[1])["Files/x/SAM"]
    parts = CONFIG.split("/")
    made = Layout(folder)
    layer = build(
        [
            *(directory("/".join(parts[: number + 1])) for number in range(len(parts))),
            M(f"{CONFIG}/SAM", sam, mtime=1_700_000_000),
            directory("Files/app"),
            M("Files/app/hello.txt", b"hello\r\n", mtime=1_700_000_000),
            M("Files/app/hard.txt", type="1", link="Files/app/hello.txt"),
            M("Files/app/sym", type="2", link="hello.txt", pax={"MSWINDOWS.fileattr": "1056"}),
        ]
    )
    made.tag(made.image([layer]))
    made.write()
    return f"oci:{folder}:t"


def test_link(tmp_path: Path) -> None:
    theirs = Theirs(shared("data/images/buildkit-link.oci.tar"))
    contexts = {"base": theirs.base(tmp_path / "base"), "src": source(tmp_path / "source", theirs)}
    mine = ours(tmp_path, "copy-from", contexts)
    compare(mine, theirs)
    assert contents(mine.layers[2])["Files/y/sym"] == b"hello\r\n"


@pytest.mark.parametrize("name", ["copy", "link"])
def test_security(tmp_path: Path, name: str) -> None:
    """Entry for entry, whoever is meant: BuildKit's descriptors are those of a fresh Windows volume, as ours."""
    theirs = Theirs(shared(f"data/images/buildkit-{name}.oci.tar"))
    contexts = {"base": theirs.base(tmp_path / "base")}
    if name == "link":
        contexts["src"] = source(tmp_path / "source", theirs)
    mine = ours(tmp_path, "copy" if name == "copy" else "copy-from", contexts)
    for one, other in zip(mine.layers[1:], theirs.layers[1:], strict=True):
        assert descriptors(one) == descriptors(other)


def test_a_path_in_a_hive_of_another_program(tmp_path: Path) -> None:
    """hivexregedit writes the environment into the hive; the build finds it there."""
    hive = tmp_path / "SYSTEM"
    hive.write_bytes(minimal_hive(0))
    (tmp_path / "a.reg").write_text(
        'Windows Registry Editor Version 5.00\n\n[\\Select]\n"Current"=dword:00000001\n\n'
        "[\\ControlSet001]\n\n[\\ControlSet001\\Control]\n\n[\\ControlSet001\\Control\\Session Manager]\n\n"
        "[\\ControlSet001\\Control\\Session Manager\\Environment]\n"
        '"Path"=hex(2):' + "%SystemRoot%\\system32;%SystemRoot%\0".encode("utf-16-le").hex(",") + "\n"
    )
    subprocess.run([tool("hivexregedit"), "--merge", str(hive), str(tmp_path / "a.reg")], check=True)
    parts = CONFIG.split("/")
    folders = [directory("/".join(parts[: number + 1])) for number in range(len(parts))]
    base = Layout(tmp_path / "base")
    base.tag(base.image([build([*folders, M(f"{CONFIG}/SYSTEM", hive.read_bytes())])]))
    base.write()
    place = f"oci-archive:{tmp_path / 'out.tar'}:t"
    text = b'# escape=`\nFROM base\nENV PATH="C:\\app;${PATH}"\n'
    contexts = {"base": f"oci:{tmp_path / 'base'}:t"}
    build_dockerfile(text, place, source="Dockerfile", context=str(tmp_path), contexts=contexts)
    found = Theirs(tmp_path / "out.tar").config["config"]["Env"]
    assert found == [r"PATH=C:\app;C:\Windows\system32;C:\Windows"]
