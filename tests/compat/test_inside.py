"""What is in a layer of nanoserver's shape, as ls, find, cat and extract say it, against tarfile and bsdtar."""

from __future__ import annotations

import gzip
import hashlib
import json
import random
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.command import wclayer as run_wclayer
from tests.compat import ntfs
from tests.compat.tools import REPOSITORY
from tests.tars import BASE, M, build

SAMPLES = 12


class Sample(NamedTuple):
    tar: Path
    packed: Path
    members: dict[str, tarfile.TarInfo]


def wclayer(*arguments: str | Path, stdin: int | None = None) -> bytes:
    if stdin is None:
        return run_wclayer(*arguments, check=True).stdout
    command = [sys.executable, "-m", "wclayer", *map(str, arguments)]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, stdin=stdin).stdout


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    folder = tmp_path_factory.mktemp("nanoserver")
    tar = folder / "layer.tar"
    command = [sys.executable, str(REPOSITORY / "examples" / "sample_layer.py"), "--nanoserver", "--size", "40000000"]
    subprocess.run([*command, str(tar)], check=True)
    packed = folder / "layer.tar.gz"
    with open(tar, "rb") as plain, gzip.open(packed, "wb", compresslevel=1) as out:
        shutil.copyfileobj(plain, out)
    with tarfile.open(tar) as found:
        return Sample(tar, packed, {member.name: member for member in found})


def content(sample: Sample, name: str) -> bytes:
    member = sample.members[name]
    member = sample.members[member.linkname] if member.islnk() else member
    with open(sample.tar, "rb") as tar:
        tar.seek(member.offset_data)
        return tar.read(member.size)


def chosen(sample: Sample, kind: bytes) -> list[str]:
    return random.Random(3).sample(sorted(n for n, m in sample.members.items() if m.type == kind), SAMPLES)


def test_all_names_sizes_and_links(sample: Sample) -> None:
    found = json.loads(wclayer("ls", "-R", "--json", sample.packed))
    assert [one["path"] for one in found] == sorted(sample.members, key=str.encode)
    kinds = {"directory": tarfile.DIRTYPE, "file": tarfile.REGTYPE, "hard_link": tarfile.LNKTYPE}
    for one in found:
        member = sample.members[one["path"]]
        assert kinds[one["kind"]] == member.type
        assert one["target"] == (member.linkname if member.islnk() else None)
        file = sample.members[member.linkname] if member.islnk() else member
        assert one["size"] == (None if member.isdir() else file.size)
        assert one["file_attributes"] == int(file.pax_headers["MSWINDOWS.fileattr"])


def test_find_by_size(sample: Sample) -> None:
    found = wclayer("find", sample.packed, "--size", "+100k", "--type", "f", "-0").split(b"\0")[:-1]
    sizes = {name: sample.members[m.linkname if m.islnk() else name].size for name, m in sample.members.items()}
    expected = [name.encode() for name, size in sizes.items() if size > 100 << 10]
    assert expected
    assert sorted(found) == sorted(expected)


def test_find_by_digest(sample: Sample) -> None:
    name = chosen(sample, tarfile.REGTYPE)[0]
    digest = hashlib.sha256(content(sample, name)).hexdigest()
    found = wclayer("find", sample.packed, "--sha256", digest).decode().splitlines()
    assert set(found) >= {name, *(m.name for m in sample.members.values() if m.islnk() and m.linkname == name)}


def test_cat(sample: Sample) -> None:
    names = [*chosen(sample, tarfile.REGTYPE), *chosen(sample, tarfile.LNKTYPE)]
    expected = b"".join(content(sample, name) for name in names)
    assert wclayer("cat", *(f"{sample.packed}//{name.upper()}" for name in names)) == expected
    with open(sample.packed, "rb") as pipe:
        one = names[0]
        assert wclayer("cat", f"-//{one}", stdin=pipe.fileno()) == content(sample, one)


def test_extract(sample: Sample, tmp_path: Path) -> None:
    """All of it, as bsdtar does; links and all."""
    if shutil.which("bsdtar") is None:
        pytest.skip("no bsdtar")
    theirs, ours = tmp_path / "theirs", tmp_path / "ours"
    theirs.mkdir()
    subprocess.run(["bsdtar", "-xf", sample.tar, "-C", theirs], check=True)
    wclayer("extract", "-q", sample.packed, "-o", ours)
    assert subprocess.run(["diff", "-r", theirs, ours], check=False, capture_output=True).stdout == b""
    for name, member in sample.members.items():
        one, other = (theirs / name).stat(), (ours / name).stat()
        assert int(one.st_mtime) == int(other.st_mtime)
        assert one.st_nlink == other.st_nlink or member.isdir()


def test_extract_with_metadata(sample: Sample, tmp_path: Path) -> None:
    """The tar of the folder has of each entry what the whole layer's has."""
    wclayer("extract", "-q", "--with-metadata", f"{sample.packed}//Files/Windows", "-o", tmp_path / "out")
    wclayer("export", "-q", "-o", tmp_path / "out.tar", tmp_path / "out")
    below = {name for name in sample.members if f"{name}/".startswith("Files/Windows/")}
    with tarfile.open(tmp_path / "out.tar") as tar:
        found = {member.name: member for member in tar}
        assert found.keys() == {"Files", *below}
        for name, member in found.items():
            known = sample.members[name]
            if member.type == known.type:
                assert member.pax_headers == known.pax_headers
            elif member.islnk():  # export takes another name of the file for the first one
                assert sample.members[member.linkname].linkname == name
            else:
                first = sample.members[known.linkname]
                assert member.pax_headers["MSWINDOWS.rawsd"] == first.pax_headers["MSWINDOWS.rawsd"]
            if member.isreg():
                file = tar.extractfile(member)
                assert file is not None
                assert file.read() == content(sample, name)


def test_a_layer_on_a_disk_image(tmp_path: Path) -> None:
    """What follows its folder is a path in the layer: with streams, patterns, links and keys."""
    ntfs.require_mounts("sfdisk")
    members = [*BASE, M("Files/f", b"hello"), M("Files/f:s", b"stream"), M("Files/l", type="2", link="F")]
    (tmp_path / "layer.tar").write_bytes(build(members))
    disk = f"disk:{tmp_path / 'disk.img'}"
    wclayer("disk", "create", "--size", "64M", tmp_path / "disk.img")
    wclayer("import", "-q", "-i", tmp_path / "layer.tar", f"{disk}//layer")
    assert wclayer("ls", f"{disk}//layer//files") == b"dir\nf\nl\n"
    assert wclayer("cat", f"{disk}//layer//Files/f:S", f"{disk}//LAYER//Files/l") == b"streamhello"
    assert wclayer("find", f"{disk}//layer//Files/[f]", "--type", "f,s") == b"Files/f\nFiles/f:s\n"
    wclayer("extract", "-q", f"{disk}//layer//Files", "-o", tmp_path / "out")
    assert (tmp_path / "out" / "Files" / "f").read_bytes() == b"hello"
    for place, message in (
        (f"{disk}//none//Files", "no layer folder or tar"),
        (f"{disk}//../x//y", "leave the volume"),
    ):
        done = subprocess.run(
            [sys.executable, "-m", "wclayer", "ls", place], check=False, capture_output=True, encoding="utf-8"
        )
        assert done.returncode in (10, 12)
        assert message in done.stderr
