"""Images that `wclayer build` makes: taken by real clients, the same anywhere, and right to Python's tarfile."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from examples.sample_layer import nanoserver, write

from tests.command import in_a_fork
from tests.compat.clients import blobs, ctr_import, skopeo_copy, umoci_unpack, validate_schemas
from tests.compat.tools import REPOSITORY
from tests.conformance import model as m
from tests.images import digest, layout

NOBODY = 65534
DAY = 86_400
NOON = 1_700_000_000
EXAMPLES = REPOSITORY / "examples"


def wclayer(*arguments: str | Path, cwd: Path | None = None) -> dict[str, Any]:
    """Run a command with --json."""
    environment = {key: value for key, value in os.environ.items() if key != "SOURCE_DATE_EPOCH"}
    if arguments[0] == "build":
        arguments = (*arguments, "--no-cache")
    done = in_a_fork(arguments[0], "--json", *arguments[1:], cwd=cwd, env=environment)
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return result


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A layout of a base of nanoserver's shape, 2 MB."""
    folder = tmp_path_factory.mktemp("base")
    with (folder / "base.tar").open("wb") as stream:
        write(stream, nanoserver(2_000_000))

    def features(config: dict[str, Any]) -> None:
        config["os.features"] = ["win32k"]
        config["config"] = {"Env": ["Path=C:\\Windows"], "User": "ContainerUser"}

    layout(folder / "layout", [(folder / "base.tar").read_bytes()], tag="nano", gzipped=True, config=features)
    return folder


@pytest.fixture
def context(tmp_path: Path) -> Path:
    return make_context(tmp_path / "context")


def make_context(folder: Path) -> Path:
    """A context with something of everything."""
    files = {
        "app/bin/app.exe": b"MZ" + bytes(range(256)) * 30_000,
        "app/bin/empty": b"",
        "app/readme \u00e9\u4e16.txt": b"read me\r\n",
        "tools/x.ps1": b"Get-Date\r\n",
        ".DS_Store": b"no",
        "build.log": b"no",
        ".wclayerignore": b"*.log\n",
    }
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    (folder / "app" / "none").mkdir()
    os.link(folder / "app/bin/app.exe", folder / "app/bin/same.exe")
    os.symlink("bin/app.exe", folder / "app" / "relative")
    os.symlink("../tools", folder / "app" / "folder")
    os.symlink("/app/bin", folder / "absolute")
    set_times(folder)
    return folder


def set_times(folder: Path) -> None:
    """Give everything its own mtime, by its name alone, folders last."""
    for number, path in enumerate(sorted(folder.rglob("*"), reverse=True)):
        os.utime(path, ns=(0, NOON * 10**9 + number * 1_234_567_800), follow_symlinks=False)
    os.utime(folder, (0, NOON))


# --- real clients -------------------------------------------------------------


def test_scratch(tmp_path: Path, context: Path) -> None:
    out = tmp_path / "out"
    wclayer("build", context, "-o", f"oci:{out}:hello", "--entrypoint", "C:\\app\\bin\\app.exe", "--port", "80")
    assert validate_schemas(out) == 4
    unpacked = umoci_unpack(out, "hello", tmp_path / "umoci") / "Files"
    assert (unpacked / "app/bin/app.exe").read_bytes() == (context / "app/bin/app.exe").read_bytes()
    assert (unpacked / "app/bin/same.exe").samefile(unpacked / "app/bin/app.exe")
    assert sorted(path.name for path in (unpacked / "Windows/System32/config").iterdir()) == [
        *("DEFAULT", "SAM", "SECURITY", "SOFTWARE", "SYSTEM")
    ]
    assert not (unpacked / "build.log").exists()
    skopeo_copy(f"oci:{out}:hello", f"oci:{tmp_path / 'copy'}:hello")
    assert blobs(tmp_path / "copy") == blobs(out)


@pytest.mark.parametrize("compress", ["gzip", "zstd", "none"])
def test_scratch_in_containerd(tmp_path: Path, context: Path, compress: str) -> None:
    archive = tmp_path / "hello.tar"
    wclayer("build", context, "-o", f"oci-archive:{archive}:hello", "--compress", compress)
    [snapshot] = ctr_import(archive, tmp_path / "work")
    assert (snapshot / "Files/app/bin/app.exe").read_bytes() == (context / "app/bin/app.exe").read_bytes()


def test_the_examples(tmp_path: Path, base: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(base / "layout", out)
    wclayer("build", "-f", EXAMPLES / "hostprocess/image.toml", "-o", f"oci:{out}:hostprocess")
    on_top = ("build", "-f", EXAMPLES / "on-top/image.toml", "--from", f"oci:{base / 'layout'}:nano")
    built = wclayer(*on_top, "-o", f"oci:{out}:service")
    assert built["base_layers"] == 1
    assert len(built["layers"]) == 2
    assert validate_schemas(out) == 8
    unpacked = umoci_unpack(out, "service", tmp_path / "umoci") / "Files"
    assert not (unpacked / "License.txt").exists()
    hosts = (unpacked / "Windows/System32/drivers/etc/hosts").read_bytes()
    assert hosts == (EXAMPLES / "on-top/hosts").read_bytes()
    umoci_unpack(out, "hostprocess", tmp_path / "hostprocess")
    skopeo_copy(f"oci:{out}:service", f"oci:{tmp_path / 'copy'}:service")
    assert blobs(tmp_path / "copy").items() <= blobs(out).items()
    wclayer(*on_top, "-o", f"oci-archive:{tmp_path / 'service.tar'}")
    snapshots = ctr_import(tmp_path / "service.tar", tmp_path / "work")
    assert len(snapshots) == 3
    assert (snapshots[2] / "Files/Windows/System32/drivers/etc/hosts").read_bytes() == hosts
    assert not (snapshots[1] / "Files/License.txt").exists()
    assert (snapshots[0] / "Files/License.txt").exists()


def test_an_index_and_a_docker_archive(tmp_path: Path, context: Path) -> None:
    out = tmp_path / "out"
    for version in ("10.0.17763.5329", "10.0.20348.2227"):
        wclayer("build", context, "-o", f"oci:{out}:{version}", "--os-version", version)
    wclayer("index", "-o", f"oci:{out}:all", f"oci:{out}:10.0.17763.5329", f"oci:{out}:10.0.20348.2227")
    assert validate_schemas(out) == 11
    skopeo_copy(f"oci:{out}:all", f"oci:{tmp_path / 'copy'}:all", "--all")
    assert blobs(tmp_path / "copy") == blobs(out)
    built = wclayer("build", context, "-o", f"docker-archive:{tmp_path / 'd.tar'}:hello:1")
    skopeo_copy(f"docker-archive:{tmp_path / 'd.tar'}:hello:1", f"oci:{tmp_path / 'docker'}:hello")
    copied = wclayer("layers", f"oci:{tmp_path / 'docker'}:hello")
    assert [layer["diff_id"] for layer in copied["layers"]] == [layer["diff_id"] for layer in built["layers"]]
    skopeo_copy(f"oci:{out}:10.0.17763.5329", f"docker-archive:{tmp_path / 'back.tar'}:x:y")
    back = wclayer("layers", f"docker-archive:{tmp_path / 'back.tar'}:x:y")
    assert back["layers"][0]["diff_id"] == wclayer("layers", f"oci:{out}:10.0.17763.5329")["layers"][0]["diff_id"]


# --- the same in, the same out ------------------------------------------------

# Another user may not be able to read the interpreter's own files: see test_ordinary_user.py.
CHILD = f"""
import contextlib, io, os, sys, tempfile
from pathlib import Path
from wclayer.cli import main

source, copy, *arguments = sys.argv[1:]

def act(arguments):
    with contextlib.suppress(SystemExit):
        main(arguments)
        sys.exit(70)

os.umask(0o077)
if os.geteuid() == 0:
    with tempfile.TemporaryDirectory() as warm, contextlib.redirect_stdout(io.StringIO()):
        act(["build", "--json", "-o", "oci:" + warm + "/x", "--no-cache", source])
        act(["nonsense"])
    os.setgroups([])
    os.setgid({NOBODY})
    os.setuid({NOBODY})
assert os.geteuid() != 0

# In the other order, and each inode anew.
def take(source, target, seen):
    os.mkdir(target)
    for name in sorted(os.listdir(source), reverse=True):
        a, b = source + "/" + name, target + "/" + name
        found = os.lstat(a)
        if os.path.islink(a):
            os.symlink(os.readlink(a), b)
        elif os.path.isdir(a):
            take(a, b, seen)
        elif found.st_ino in seen:
            os.link(seen[found.st_ino], b)
        else:
            seen[found.st_ino] = b
            Path(b).write_bytes(Path(a).read_bytes())
        os.utime(b, ns=(1, found.st_mtime_ns), follow_symlinks=False)
    os.utime(target, ns=(1, os.stat(source).st_mtime_ns))

take(source, copy, {{}})
main([arguments[0], copy, *arguments[1:]])
"""


@pytest.mark.skipif(os.name == "nt", reason="users of POSIX")
@pytest.mark.parametrize("compress", ["gzip", "zstd"])
def test_another_copy_by_another_user(tmp_path: Path, context: Path, compress: str) -> None:
    options = ["--compress", compress, "--os-version", "10.0.20348.1"]
    here = wclayer("build", context, "-o", f"oci:{tmp_path / 'here'}", "--workers", "1", *options)
    more = wclayer("build", context, "-o", f"oci:{tmp_path / 'more'}", "--workers", "8", *options)
    place = Path("/tmp") / f"wclayer-{os.getpid()}-{tmp_path.name}"  # noqa: S108 # tmp_path is the invoking user's alone
    place.mkdir(mode=0o700)
    try:
        make_context(place / "context")
        if os.geteuid() == 0:
            os.chown(place, NOBODY, NOBODY)
        command = [
            sys.executable,
            "-c",
            CHILD,
            str(place / "context"),
            str(place / "copy"),
            "build",
            "--json",
            *options,
        ]
        environment = {**os.environ, "TZ": "Pacific/Kiritimati", "LC_ALL": "C", "HOME": str(place), "PYTHONUTF8": "0"}
        environment.pop("SOURCE_DATE_EPOCH", None)
        command += ["-o", f"oci:{place / 'out'}", "--workers", "3"]
        done = subprocess.run(command, env=environment, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr
        assert (place / "copy/tools").stat().st_mode & 0o777 == 0o700
    finally:
        shutil.rmtree(place)
    theirs = json.loads(done.stdout)
    assert here["digest"] == more["digest"] == theirs["digest"]
    assert [built["left_out"] for built in (here, more, theirs)] == [1, 1, 1]


# --- on a base ----------------------------------------------------------------


def built_layer(folder: Path, number: int) -> bytes:
    """The plain tar of a layer of the only image of a layout."""
    [top] = json.loads((folder / "index.json").read_bytes())["manifests"]
    manifest = json.loads((folder / "blobs" / top["digest"].replace(":", "/")).read_bytes())
    return gzip.decompress((folder / "blobs" / manifest["layers"][number]["digest"].replace(":", "/")).read_bytes())


def test_on_a_base(tmp_path: Path, base: Path, context: Path) -> None:
    (context / "windows" / "SYSTEM32" / "new").mkdir(parents=True)
    (context / "windows" / "SYSTEM32" / "new" / "x.dll").write_bytes(b"MZ")
    (context / "windows" / "SYSTEM32" / "CMD.exe").write_bytes(b"MZ")
    out = tmp_path / "out"
    built = wclayer("build", context, "--from", f"oci:{base / 'layout'}:nano", "-o", f"oci:{out}")
    assert built["platform"] == {
        "architecture": "amd64",
        "os": "windows",
        "os.version": "10.0.20348.2227",
        "os.features": ["win32k"],
    }
    wclayer("import", "-i", f"oci:{out}#0", tmp_path / "base")
    imported = wclayer("import", "-l", tmp_path / "base", "-i", f"oci:{out}#1", tmp_path / "app")
    exported = wclayer("export", "-l", tmp_path / "base", "-o", tmp_path / "app.tar", tmp_path / "app")
    canonical = wclayer(
        "export", "-l", tmp_path / "base", "--framing", "canonical", "-o", tmp_path / "c.tar", tmp_path / "app"
    )
    assert built["layers"][0]["diff_id"] == imported["diff_id"] == exported["diff_id"] == canonical["diff_id"]
    tar = (tmp_path / "app.tar").read_bytes()
    assert tar == built_layer(out, 1)
    assert digest(tar) == built["layers"][0]["diff_id"]
    theirs = {read.info.name: read for read in m.read_tar((base / "base.tar").read_bytes())}
    ours = {read.info.name: read for read in m.read_tar(tar)}
    kept = [name for name in ours if name in theirs and ours[name].info.isdir()]
    assert kept == ["Files", "Files/Windows", "Files/Windows/System32"]
    for name in kept:
        assert ours[name].records == theirs[name].records
        assert ours[name].info.mtime == theirs[name].info.mtime
    assert "Files/Windows/System32/cmd.exe" in ours
    assert "Files/Windows/System32/new/x.dll" in ours
    assert ours["Hives"].info.isdir()
    assert not any(name.startswith("Hives/") for name in ours)
    check_every_entry(tar, theirs.get)


def test_the_second_build_reads_no_base(tmp_path: Path, base: Path, context: Path) -> None:
    """What is known of the base is kept by its diff_id, and the same as what is read."""
    shutil.copytree(base / "layout", tmp_path / "layout")
    results = set()
    for number in range(3):
        environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")}
        command = [sys.executable, "-m", "wclayer", "build", "--json", str(context)]
        command += ["--from", f"oci:{tmp_path / 'layout'}:nano", "-o", f"oci:{tmp_path / 'layout'}:n{number}"]
        command += ["--no-cache"] if number == 2 else []
        done = subprocess.run(command, env=environment, capture_output=True, check=True)
        results.add(json.loads(done.stdout)["digest"])
        [known] = (tmp_path / "cache" / "wclayer" / "layers").iterdir()
    assert len(results) == 1
    assert known.stat().st_size < 2_500_000


# --- each entry, as Python's tarfile reads it ------------------------------------


def dacl(descriptor: bytes) -> int:
    """The number of entries in the DACL of a self-relative descriptor; it must have one, and owner and group."""
    revision, _, control, owner, group, _, place = struct.unpack_from("<BBHIIII", descriptor)
    assert revision == 1
    assert control & 0x8004 == 0x8004, "self-relative, with a DACL"
    assert owner
    assert group
    assert place
    acl_revision, _, size, count = struct.unpack_from("<BBHH", descriptor, place)
    assert acl_revision in (2, 4)
    assert place + size <= len(descriptor)
    return int(count)


def check_every_entry(tar: bytes, known: Callable[[str], m.Read | None] = lambda _: None) -> int:
    """A DACL, attributes that fit the kind, parents first; how many entries there are."""
    seen: set[str] = set()
    members = m.read_tar(tar)
    for read in members:
        info, name = read.info, read.info.name
        above = name.rpartition("/")[0]
        assert above in seen or not above, name
        assert name not in seen
        whiteout = name.rpartition("/")[2].startswith(".wh.")
        if info.isdir() or (info.issym() and int(read.records[b"MSWINDOWS.fileattr"]) & 0x10):
            seen.add(name)
        if whiteout:
            assert (info.size, info.isreg()) == (0, True)
            continue
        attributes = int(read.records[b"MSWINDOWS.fileattr"])
        if info.islnk():
            assert info.linkname.startswith("Files/")
            assert b"MSWINDOWS.rawsd" not in read.records
            continue
        descriptor = read.base64(b"MSWINDOWS.rawsd")
        assert descriptor is not None, name
        assert dacl(descriptor) > 0
        if info.issym():
            assert attributes & 0x400
            assert attributes & 0x10 or attributes & 0x20
        elif info.isdir():
            assert attributes & 0x410 == 0x10
        else:
            assert info.isreg()
            assert attributes & 0x430 == 0x20 or known(name) is not None
    return len(members)


def test_every_entry_of_a_base_layer(tmp_path: Path, context: Path) -> None:
    out = tmp_path / "out"
    built = wclayer("build", context, "-o", f"oci:{out}")
    tar = built_layer(out, 0)
    assert digest(tar) == built["layers"][0]["diff_id"]
    assert check_every_entry(tar) == sum(built["layers"][0]["entries"].values())
    ours = {read.info.name: read for read in m.read_tar(tar)}
    links = {
        name: (read.info.linkname, int(read.records[b"MSWINDOWS.fileattr"]))
        for name, read in ours.items()
        if read.info.issym()
    }
    assert links == {
        "Files/absolute": ("C:\\app\\bin", 0x410),
        "Files/app/folder": ("..\\tools", 0x410),
        "Files/app/relative": ("bin\\app.exe", 0x420),
    }
    assert ours["Files/app/bin/same.exe"].info.linkname == "Files/app/bin/app.exe"
    for path in context.rglob("*"):
        name = f"Files/{path.relative_to(context).as_posix()}"
        if name in ours and not ours[name].info.islnk():
            found = ours[name].time(b"mtime") or int(ours[name].info.mtime)
            assert int(found * 10**7) == path.lstat().st_mtime_ns // 100
    assert "Files/.DS_Store" not in ours
    assert "Files/.wclayerignore" not in ours
    sam = ours["Files/Windows/System32/config/SAM"].base64(b"MSWINDOWS.rawsd")
    assert sam is not None
    assert dacl(sam) == 2
