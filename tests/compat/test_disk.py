"""wclayer disk, and disk:IMAGE//DIR in commands: by itself, killed, and given what is no clean NTFS volume."""

from __future__ import annotations

import json
import os
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.compat import ntfs
from tests.compat.ntfs_facts import differences
from tests.compat.ntfs_tar import tar_facts
from tests.compat.tools import tool, wclayer
from tests.tars import BASE, M, build, directory

TAR = build([*BASE, M("Files/dir/f", b"content", pax={"MSWINDOWS.fileattr": "33"})])
UPPER = build([directory("Files"), M("Files/new", b"x"), M("Files/g", type="1", link="Files/dir/f")])


@pytest.fixture(autouse=True)
def _tools() -> None:
    ntfs.require_mounts("sfdisk")


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder that commands make their mount points in, which nobody else uses; nothing may be left there."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    yield folder
    assert left_over(tmp_path) == []


def left_over(folder: str | Path) -> list[str]:
    """Loop devices, mounts and drivers that have to do with a folder, in whatever namespace."""
    found = [line for line in run("losetup", "--all", "--list", "--noheadings").splitlines() if str(folder) in line]
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            for name in ("mountinfo", "cmdline"):
                try:
                    text = (process / name).read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
                except OSError:
                    continue
                found += [
                    f"{process.name} {name}: {line}"
                    for line in text.splitlines()
                    if str(folder) in line and ("ntfs-3g" in line or " - fuse" in line)
                ]
    return found + [str(path) for path in Path(folder, "temporary").glob("wclayer-*")]


def run(*command: str | Path) -> str:
    done = subprocess.run([tool(str(command[0])), *map(str, command[1:])], check=True, capture_output=True, text=True)
    return done.stdout


def ok(*arguments: str | Path, stdin: bytes = b"") -> bytes:
    done = wclayer(*arguments, stdin=stdin)
    assert done.returncode == 0, done.stderr
    return done.stdout


def fails(*arguments: str | Path, code: int, stdin: bytes = b"", **options: Any) -> str:
    """What a command says that must fail with `code`, in one line."""
    done = wclayer(*arguments, stdin=stdin, **options)
    said = done.stderr.decode()
    assert (done.returncode, said.count("\n")) == (code, 1), said
    return said


@pytest.fixture
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / "layers.img"
    bare = getattr(request, "param", "partition") == "bare"
    ok("disk", "create", "--size", "32M", *(["--bare"] if bare else []), path)
    return path


both = pytest.mark.parametrize("disk", ["partition", "bare"], indirect=True)


@both
def test_there_and_back(disk: Path, tmp_path: Path) -> None:
    ok("import", f"disk:{disk}//base", stdin=TAR)
    assert ok("export", f"disk:{disk}//base") == TAR
    ok("import", "-l", f"disk:{disk}//base", f"disk:{disk}//upper", stdin=UPPER)
    assert ok("export", f"disk:{disk}//upper") == UPPER
    assert ok("export", "-l", f"disk:{disk}//base", f"disk:{disk}//upper") == UPPER
    assert json.loads(ok("status", "--json", f"disk:{disk}//base")) == {"new": [], "changed": [], "gone": []}
    ok("squash", "-o", f"disk:{disk}//one", f"disk:{disk}//base", f"disk:{disk}//upper")
    assert ok("export", f"disk:{disk}//one")
    # A folder elsewhere on parents that are on a disk, and the other way round.
    ok("import", "-l", f"disk:{disk}//base", tmp_path / "here", stdin=UPPER)
    ok("import", tmp_path / "base here", stdin=TAR)
    ok("import", "-l", tmp_path / "base here", f"disk:{disk}//there", stdin=UPPER)
    assert ok("export", f"disk:{disk}//there") == ok("export", tmp_path / "here") == UPPER


def test_another_reader_sees_the_layer(disk: Path, tmp_path: Path) -> None:
    ok("import", f"disk:{disk}//base", stdin=TAR)
    (tmp_path / "layer.tar").write_bytes(TAR)
    volume = tmp_path / "volume.img"
    data = disk.read_bytes()
    table = run("sfdisk", "--json", disk) if data[3:7] != b"NTFS" else ""
    start = json.loads(table)["partitiontable"]["partitions"][0]["start"] * 512 if table else 0
    volume.write_bytes(data[start:])
    below = ntfs.facts(volume, "base")
    del below["layer.db"]
    assert differences(below, tar_facts(tmp_path / "layer.tar")) == []


def test_the_partition_table_is_one_that_others_read(tmp_path: Path) -> None:
    made = json.loads(ok("disk", "create", "--json", "--size", "64M", "--label", "layers", tmp_path / "d.img"))
    assert made == {"size": 64 << 20, "partition": 1, "offset": 1 << 20, "volume": made["volume"]}
    assert run("sfdisk", "--verify", tmp_path / "d.img").count("No errors detected") == 1
    [part] = json.loads(run("sfdisk", "--json", tmp_path / "d.img"))["partitiontable"]["partitions"]
    assert (part["start"] * 512, part["size"] * 512) == (made["offset"], made["volume"])
    assert part["type"] == "EBD0A0A2-B9E5-4433-87C0-68B6B72699C7"
    volume = tmp_path / "v.img"
    volume.write_bytes((tmp_path / "d.img").read_bytes()[1 << 20 :][: made["volume"]])
    assert "Volume Name: layers" in run("ntfsinfo", "--mft", "--force", volume)
    assert (tmp_path / "d.img").stat().st_blocks * 512 < 4 << 20


def test_a_vhdx_for_windows(tmp_path: Path) -> None:
    image = tmp_path / "layers.img"
    ok("disk", "create", "--size", "64M", image)
    ok("import", f"disk:{image}//base", stdin=TAR)
    run("qemu-img", "convert", "-f", "raw", "-O", "vhdx", "-o", "subformat=dynamic", image, tmp_path / "d.vhdx")
    said = fails("export", f"disk:{tmp_path}/d.vhdx//base", code=17)
    assert "qemu-img convert -O raw d.vhdx" in said
    run("qemu-img", "convert", "-f", "vhdx", "-O", "raw", tmp_path / "d.vhdx", tmp_path / "back.img")
    assert ok("export", f"disk:{tmp_path}/back.img//base") == TAR


def test_several_partitions(tmp_path: Path) -> None:
    image = tmp_path / "d.img"
    with image.open("wb") as file:
        file.truncate(96 << 20)
    script = "label: dos\nstart=2048, size=65536, type=7\nstart=67584, size=65536, type=7\nstart=133120, type=83\n"
    subprocess.run([tool("sfdisk"), "--quiet", image], input=script.encode(), check=True)
    for number, start in ((1, 2048), (2, 67584)):
        volume = ntfs.volume(tmp_path / f"{number}.img", 32 << 20)
        with image.open("r+b") as file:
            file.seek(start * 512)
            file.write(volume.read_bytes())
    said = fails("import", f"disk:{image}//base", code=10, stdin=TAR)
    assert "several partitions with NTFS" in said
    assert "1, 2" in said
    ok("import", f"disk:{image}:2//base", stdin=TAR)
    assert ok("export", f"disk:{image}:2//base") == TAR
    assert "no such layer folder" in fails("export", f"disk:{image}:1//base", code=12)
    assert "partition 3 has no NTFS" in fails("export", f"disk:{image}:3//base", code=10)
    assert "no partition 4" in fails("export", f"disk:{image}:4//base", code=12)
    assert "number of a partition" in fails("export", f"disk:{image}:x//base", code=2)


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system of 16 MiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    run("mount", "-t", "tmpfs", "-o", "size=16M", "wclayer-test", folder)
    try:
        yield folder
    finally:
        run("umount", folder)


@pytest.mark.parametrize("bare", [[], ["--bare"]], ids=["partition", "bare"])
def test_a_full_host(small: Path, bare: list[str]) -> None:
    """What the host has no room for is not imported, though the volume has room, and a loop device takes all."""
    image = small / "d.img"
    ok("disk", "create", "--size", "64M", *bare, image)
    tar = build([*BASE, M("Files/f", os.urandom(24 << 20))])
    ok("import", f"disk:{image}//base", stdin=TAR)
    said = fails("import", f"disk:{image}//layer", code=15, stdin=tar)
    assert "not all could be written" in said or "No space left" in said
    assert "no such layer folder" in fails("export", f"disk:{image}//layer", code=12)
    assert ok("export", f"disk:{image}//base") == TAR


def test_a_full_host_of_a_new_disk(small: Path) -> None:
    (small / "other").write_bytes(bytes((16 << 20) - (64 << 10)))
    fails("disk", "create", "--size", "64M", small / "d.img", code=15)
    assert [path.name for path in small.iterdir()] == ["other"]


# --- killed ------------------------------------------------------------------------------------------------


class Import:
    """An import onto a disk that goes on until its tar ends: `feed` has given it half."""

    def __init__(self, disk: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "wclayer", "import", f"disk:{disk}//layer"],
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        assert self.process.stdin is not None
        self.process.stdin.write(build([*BASE, M("Files/big", os.urandom(8 << 20))])[: 4 << 20])
        self.process.stdin.flush()
        end = time.monotonic() + 30
        while not any("fuse" in line for line in self._mounts()):
            assert time.monotonic() < end
            time.sleep(0.01)
        time.sleep(0.2)

    def _mounts(self) -> list[str]:
        return Path(f"/proc/{self.process.pid}/mountinfo").read_text().splitlines()


def wait_until_nothing_is_left(folder: Path) -> None:
    end = time.monotonic() + 30
    while left_over(folder):
        assert time.monotonic() < end, left_over(folder)
        time.sleep(0.02)


@both
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_killed_in_the_middle_of_an_import(disk: Path, tmp_path: Path, number: signal.Signals) -> None:
    with Import(disk).process as process:
        process.send_signal(number)
        _, said = process.communicate(timeout=60)
    assert process.returncode == (-9 if number == signal.SIGKILL else 128 + number), said
    assert said.strip() == b""
    if number == signal.SIGKILL:
        wait_until_nothing_is_left(tmp_path)  # the shell that unmounts outlives us a little
    assert left_over(tmp_path) == []
    assert "no such layer folder" in fails("export", f"disk:{disk}//layer", code=12)
    ok("import", f"disk:{disk}//layer", stdin=TAR)
    assert ok("export", f"disk:{disk}//layer") == TAR
    ok("export", "-o", tmp_path / "all.tar", f"disk:{disk}//layer")
    assert names_on(disk) == ["layer"]


LEFT_OPEN = """
import os, sys
from tests.compat.test_disk import left_over
from wclayer.disks.mounting import mounted_volume
try:
    with mounted_volume(sys.argv[1], writable=True) as root:
        kept = os.open(os.path.join(root, "f"), os.O_CREAT | os.O_RDWR)
        os.open(root, os.O_RDONLY)
        sys.exit(143)
finally:
    print(left_over(sys.argv[2]))
    os.close(kept)
"""

INTERRUPTED = """
import select, sys, types
from tests.compat.test_disk import left_over
from wclayer.disks import mounting
waits = []
def interrupted_once(*arguments):
    waits.append(arguments)
    if len(waits) == 1:
        sys.exit(143)
    return select.select(*arguments)
mounting.select = types.SimpleNamespace(select=interrupted_once)
try:
    with mounting.mounted_volume(sys.argv[1], writable=True):
        pass
finally:
    assert len(waits) == 2
    print(left_over(sys.argv[2]))
"""


@both
@pytest.mark.parametrize("script", [LEFT_OPEN, INTERRUPTED], ids=["between open and close", "while it is unmounted"])
def test_a_signal_at_any_moment(disk: Path, tmp_path: Path, script: str) -> None:
    """It comes where nobody has noted an open descriptor yet, or while the volume is being unmounted."""
    done = subprocess.run(
        [sys.executable, "-c", script, disk, tmp_path], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (143, "[]\n", "")


def names_on(disk: Path) -> list[str]:
    """The names in the root of the volume, by ntfsls."""
    data = disk.read_bytes()
    volume = disk.with_name("names.img")
    volume.write_bytes(data if data[3:7] == b"NTFS" else data[1 << 20 :])
    return sorted(line.strip() for line in run("ntfsls", "--force", volume).splitlines() if line.strip() != ".")


@both
def test_killed_with_all_its_helpers(disk: Path, tmp_path: Path) -> None:
    """Nobody is left to unmount: the namespace ends with the last of them, and the loop device with it."""
    with Import(disk).process as process:
        helpers = [
            int(path.name)
            for path in Path("/proc").iterdir()
            if path.name.isdigit() and same_namespace(int(path.name), process.pid) and int(path.name) != process.pid
        ]
        assert len(helpers) == 2  # a shell and the driver
        for pid in (process.pid, *helpers):
            os.kill(pid, signal.SIGKILL)
        process.wait(60)
    wait_until_nothing_is_left_but_folders(tmp_path)
    ok("import", f"disk:{disk}//layer", stdin=TAR)
    assert ok("export", f"disk:{disk}//layer") == TAR


def same_namespace(one: int, other: int) -> bool:
    try:
        return os.readlink(f"/proc/{one}/ns/mnt") == os.readlink(f"/proc/{other}/ns/mnt")
    except OSError:
        return False


def wait_until_nothing_is_left_but_folders(folder: Path) -> None:
    """Of killed helpers an empty folder stays, which was the mount point."""
    end = time.monotonic() + 30
    places = str(folder / "temporary" / "wclayer-")
    while [line for line in left_over(folder) if not line.startswith(places)]:
        assert time.monotonic() < end, left_over(folder)
        time.sleep(0.02)
    for path in (folder / "temporary").glob("wclayer-*"):
        path.rmdir()


@both
def test_the_next_one_waits_for_the_driver_of_one_that_was_killed(disk: Path, tmp_path: Path) -> None:
    """Who is killed does not wait until the volume is unmounted: somebody else must not mount it meanwhile."""
    with Import(disk).process as process:
        [shell] = [
            int(path.name)
            for path in Path("/proc").iterdir()
            if path.name.isdigit()
            and same_namespace(int(path.name), process.pid)
            and (path / "comm").read_text() == "sh\n"
        ]
        os.kill(shell, signal.SIGSTOP)
        process.kill()
        process.wait(60)
    try:
        assert "another wclayer is at work" in fails("import", f"disk:{disk}//layer", code=15, stdin=TAR)
    finally:
        os.kill(shell, signal.SIGCONT)
    wait_until_nothing_is_left(tmp_path)
    ok("import", f"disk:{disk}//layer", stdin=TAR)
    assert names_on(disk) == ["layer"]


def test_mounted_by_somebody_else(tmp_path: Path) -> None:
    """The driver cannot tell that another one has the volume through another loop device."""
    for bare in ([], ["--bare"]):
        image = tmp_path / f"{len(bare)}.img"
        ok("disk", "create", "--size", "32M", *bare, image)
        ok("import", f"disk:{image}//base", stdin=TAR)
        device = run("losetup", "--find", "--show", "--offset", "0" if bare else "1048576", image).strip()
        try:
            for command in ("import", "export"):
                said = fails(command, f"disk:{image}//base", code=15, stdin=TAR)
                assert f"in use through a loop device; got {device}" in said
        finally:
            run("losetup", "--detach", device)
        device = run("losetup", "--find", "--show", "--read-only", image).strip()
        try:
            assert ok("export", f"disk:{image}//base") == TAR
            assert device in fails("import", f"disk:{image}//other", code=15, stdin=TAR)
        finally:
            run("losetup", "--detach", device)
        ok("import", f"disk:{image}//other", stdin=TAR)


def test_two_at_once(disk: Path) -> None:
    running = Import(disk)
    with running.process as process:
        assert "another wclayer is at work" in fails("export", f"disk:{disk}//layer", code=15)
        process.send_signal(signal.SIGTERM)
        process.communicate()


# --- bad input ------------------------------------------------------------------------------------------------


def test_no_disk(tmp_path: Path) -> None:
    assert "no such disk image" in fails("export", f"disk:{tmp_path}/none.img//x", code=12)
    (tmp_path / "empty.img").write_bytes(bytes(1 << 20))
    assert "an empty image" in fails("export", f"disk:{tmp_path}/empty.img//x", code=10)
    (tmp_path / "noise.img").write_bytes(os.urandom(1 << 20))
    assert "no disk with an NTFS volume" in fails("export", f"disk:{tmp_path}/noise.img//x", code=10)
    assert "no disk image" in fails("export", f"disk:{tmp_path}//x", code=10)


def test_places_on_a_disk(disk: Path) -> None:
    ok("import", f"disk:{disk}//base", stdin=TAR)
    for place, code, what in (
        (f"disk:{disk}", 2, "a whole disk"),
        (f"disk:{disk}//", 2, "a whole disk"),
        (f"disk:{disk}//../x", 10, "would leave the volume"),
        (f"disk:{disk}//none/x", 12, "the folder to make it in is not there"),
        (f"disk:{disk}//base", 13, "there is a folder already"),
    ):
        said = fails("import", place, code=code, stdin=TAR)
        assert what in said
        assert "/wclayer-" not in said  # where it was mounted


def test_a_link_on_the_volume_leads_nowhere(tmp_path: Path) -> None:
    """A symlink of the volume could lead to any folder of the host."""
    ok("import", tmp_path / "secret", stdin=TAR)
    image = tmp_path / "layers.img"
    ok("disk", "create", "--bare", "--size", "64M", image)
    with ntfs.mounted(image) as place:
        (place / "link").symlink_to(tmp_path)
    assert "a link on the way" in fails("export", f"disk:{image}//link/secret", code=10)


def patched(disk: Path, marks: bytes) -> None:
    """Give the volume flags: of $Volume, VOLUME_IS_DIRTY."""
    data = bytearray(disk.read_bytes())
    start = 0 if data[3:7] == b"NTFS" else 1 << 20
    cluster = 4096
    table = start + struct.unpack_from("<Q", data, start + 0x30)[0] * cluster
    record = table + 3 * 1024  # $Volume
    assert data[record : record + 4] == b"FILE"
    at = record + struct.unpack_from("<H", data, record + 0x14)[0]
    while struct.unpack_from("<I", data, at)[0] != 0x70:  # $VOLUME_INFORMATION
        at += struct.unpack_from("<I", data, at + 4)[0]
    content = at + struct.unpack_from("<H", data, at + 0x14)[0]
    data[content + 10 : content + 12] = marks
    mirror = start + struct.unpack_from("<Q", data, start + 0x38)[0] * cluster
    data[mirror + 3 * 1024 : mirror + 4 * 1024] = data[record : record + 1024]
    disk.write_bytes(data)


def test_dirty(disk: Path) -> None:
    ok("import", f"disk:{disk}//base", stdin=TAR)
    patched(disk, b"\1\0")
    for arguments in (("import", f"disk:{disk}//new"), ("export", f"disk:{disk}//base")):
        assert "not unmounted cleanly" in fails(*arguments, code=10, stdin=TAR)
    patched(disk, b"\0\0")
    assert ok("export", f"disk:{disk}//base") == TAR


def test_hibernated(disk: Path, tmp_path: Path) -> None:
    """A hiberfil.sys that begins as Windows' does: what is on the disk is not what Windows has in its memory."""
    ok("import", f"disk:{disk}//base", stdin=TAR)
    volume = tmp_path / "v.img"
    data = disk.read_bytes()
    start = 0 if data[3:7] == b"NTFS" else 1 << 20
    size = len(data) - start - (0 if start == 0 else 1 << 20)
    volume.write_bytes(data[start : start + size])
    with ntfs.mounted(volume) as place:
        (place / "hiberfil.sys").write_bytes(b"hibr" + bytes(8188))
    disk.write_bytes(data[:start] + volume.read_bytes() + data[start + size :])
    for arguments in (("import", f"disk:{disk}//new"), ("export", f"disk:{disk}//base")):
        assert "hibernates" in fails(*arguments, code=10, stdin=TAR)


def test_a_damaged_record(disk: Path) -> None:
    """ntfs-3g gives EIO for the file; it is named, and what was exported so far is no output."""
    ok("import", f"disk:{disk}//base", stdin=build([*BASE, M("Files/dir/victim", b"v" * 5000)]))
    data = bytearray(disk.read_bytes())
    name = "victim".encode("utf-16-le")
    at = data.index(name)
    while data[at - at % 1024 : at - at % 1024 + 4] != b"FILE":
        at = data.index(name, at + 1)
    data[at - at % 1024 : at - at % 1024 + 4] = b"BAAD"
    disk.write_bytes(data)
    said = fails("export", f"disk:{disk}//base", "-o", disk.with_name("out.tar"), code=15)
    assert "Input/output error" in said
    assert not disk.with_name("out.tar").exists()


def test_a_damaged_volume(disk: Path) -> None:
    data = bytearray(disk.read_bytes())
    start = 0 if data[3:7] == b"NTFS" else 1 << 20
    table = start + struct.unpack_from("<Q", data, start + 0x30)[0] * 4096
    data[table : table + 4096] = bytes(4096)
    disk.write_bytes(data)
    assert "chkdsk" in fails("import", f"disk:{disk}//base", code=10, stdin=TAR)


def test_missing_programs(disk: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "PATH": str(tmp_path)}
    assert "the program ntfs-3g is missing" in fails("export", f"disk:{disk}//x", code=17, env=environment)
    said = fails("disk", "create", "--size", "64M", tmp_path / "new.img", code=17, env=environment)
    assert "the program mkntfs is missing -- install ntfs-3g" in said
    assert not (tmp_path / "new.img").exists()


# Another user may not be able to read the interpreter: root loads all that is needed, and becomes that user.
CHILD = """
import os, sys
import wclayer.cli.disk, wclayer.cli.export, wclayer.cli.folders
from wclayer.cli import main
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
main(sys.argv[1:])
"""


def test_not_as_an_ordinary_user(disk: Path) -> None:
    command = [sys.executable, "-c", CHILD, "export", f"disk:{disk}//base"]
    done = subprocess.run(command, capture_output=True, check=False)
    assert done.returncode == 14, done.stderr
    assert b"needs root" in done.stderr


def test_bad_arguments(tmp_path: Path) -> None:
    image = tmp_path / "d.img"
    for size in ("20X", "1M", "16777217", "-5"):
        said = wclayer("disk", "create", f"--size={size}", image)
        assert said.returncode == 2, said.stderr
    assert "label" in fails("disk", "create", "--size", "64M", "--label", "x" * 33, image, code=18)
    ok("disk", "create", "--size", "64M", image)
    assert "already" in fails("disk", "create", "--size", "64M", image, code=13)
    ok("disk", "create", "--force", "--size", "32M", image)
    assert image.stat().st_size == 32 << 20
    assert sorted(path.name for path in tmp_path.iterdir()) == ["d.img", "temporary"]


def test_hives_on_a_disk(disk: Path, tmp_path: Path) -> None:
    (tmp_path / "hello/Files").mkdir(parents=True)
    ok("makebaselayer", tmp_path / "hello")
    tar = ok("export", tmp_path / "hello")
    ok("import", f"disk:{disk}//hello", stdin=tar)
    software = "Files/Windows/System32/config/SOFTWARE"
    (tmp_path / "a.reg").write_text(
        'Windows Registry Editor Version 5.00\n\n[HKEY_LOCAL_MACHINE\\SOFTWARE\\Acme]\n"v"="x"\n'
    )
    said = ok("hive", "import", "--in-place", f"disk:{disk}//hello/{software}", tmp_path / "a.reg").decode()
    assert f"into disk:{disk}//hello/{software}" in said
    assert "Acme" in ok("hive", "show", f"disk:{disk}//hello", "HKLM\\SOFTWARE").decode()
    assert (
        f"disk:{disk}//hello//{software}: Windows loads all of it"
        in ok("hive", "check", f"disk:{disk}//hello//{software}").decode()
    )
    assert json.loads(ok("status", "--json", f"disk:{disk}//hello"))["changed"] == [software]
    ok("makebaselayer", f"disk:{disk}//hello")
    assert "would leave" in fails("hive", "check", f"disk:{disk}//hello//Files/../../../etc/passwd", code=10)
