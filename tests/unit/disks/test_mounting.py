"""Mounting a disk image: paths on it, what ntfs-3g's exit codes mean, and hosts that cannot do it."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from tests.hosts import needs_symlinks, posix_only
from tests.unit.disks.conftest import Programs
from tests.unit.disks.tables import mbr
from wclayer.disks import mounting
from wclayer.disks.mounting import inside, mounted_volume
from wclayer.errors import (
    AccessError,
    ConfinementError,
    DiskError,
    InexpressibleError,
    NotFoundError,
    StorageError,
    UnsupportedError,
    UsageError,
    WclayerError,
)

SHOWN = "disk:d.img//x"
ALL = ("ntfs-3g", "ntfs-3g.probe", "ntfsinfo", "umount", "sh")


# --- paths ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("", ""),
        ("base", "/base"),
        ("base/Files", "/base/Files"),
        ("base//Files/a", "/base//Files/a"),  # a layer folder, and a path in it
        ("/base", "//base"),
        ("base/", "/base/"),
        ("./base/.", "/./base/."),
        ("...", "/..."),
        ("a..b", "/a..b"),
        ("none/there", "/none/there"),
        ("base/file/x", "/base/file/x"),
        ("Bäse 字", "/Bäse 字"),
    ],
)
def test_paths_on_a_volume(path: str, expected: str, tmp_path: Path) -> None:
    (tmp_path / "base/Files").mkdir(parents=True)
    (tmp_path / "base/file").touch()
    assert inside(str(tmp_path), path, shown=SHOWN) == f"{tmp_path}{expected}"


@pytest.mark.parametrize(
    "path",
    ["..", "../x", "base/..", "base/../..", "base//../x", "none/../../x", "a\0b", "base:stream", "C:", "base/file:s/x"],
)
def test_paths_that_would_leave_it(path: str, tmp_path: Path) -> None:
    (tmp_path / "base").mkdir()
    with pytest.raises(ConfinementError, match=r"disk:d\.img//x: a path that would leave the volume") as met:
        inside(str(tmp_path), path, shown=SHOWN)
    assert met.value.exit_code == 10
    assert str(tmp_path) not in str(met.value)


@needs_symlinks
@pytest.mark.parametrize("target", ["/", "/nowhere", "base", "."])
@pytest.mark.parametrize("path", ["link", "link/x", "base/link", "base//link//x", "./base/./link/x/y"])
def test_links_lead_nowhere(path: str, target: str, tmp_path: Path) -> None:
    (tmp_path / "base").mkdir()
    for link in (tmp_path / "link", tmp_path / "base/link"):
        link.symlink_to(target)
    with pytest.raises(ConfinementError, match="a link on the way, where a folder must be; got link"):
        inside(str(tmp_path), path, shown=SHOWN)


@posix_only("names by case")
def test_names_are_those_that_windows_would_open(tmp_path: Path) -> None:
    for path in ("base/Files", "Bäse", "two", "Two"):
        (tmp_path / path).mkdir(parents=True)
    for path, expected in {
        "BASE": "base",
        "Base//files//none": "base//Files//none",
        "bÄSE/": "Bäse/",
        "two": "two",
        "Two": "Two",
        "TWO": "Two",
        "NONE/x": "NONE/x",
    }.items():
        assert inside(str(tmp_path), path, shown=SHOWN) == f"{tmp_path}/{expected}"
    (tmp_path / "link").symlink_to("base")
    with pytest.raises(ConfinementError, match="a link on the way"):
        inside(str(tmp_path), "LINK/x", shown=SHOWN)
    with pytest.raises(UsageError, match="a backslash"):
        inside(str(tmp_path), "base\\Files", shown=SHOWN)


@needs_symlinks
def test_a_link_above_the_volume_is_the_host_s(tmp_path: Path) -> None:
    (tmp_path / "real/base").mkdir(parents=True)
    (tmp_path / "link").symlink_to("real")
    assert inside(f"{tmp_path}/link", "base", shown=SHOWN) == f"{tmp_path}/link/base"


@posix_only("lengths of names")
def test_a_name_that_no_file_system_has(tmp_path: Path) -> None:
    with pytest.raises(InexpressibleError, match=r"disk:d\.img//x: File name too long"):
        inside(str(tmp_path), "x" * 300, shown=SHOWN)
    with pytest.raises(InexpressibleError, match=r"disk:d\.img//x: File name too long"):
        inside(str(tmp_path), "x/" * 3000, shown=SHOWN)


# --- what the driver says --------------------------------------------------------------------------------


# Exit codes of ntfs-3g 2022.10.3, src/ntfs-3g.8 and include/ntfs-3g/volume.h.
CODES: dict[int, tuple[type[WclayerError], int, str, str | None]] = {
    12: (DiskError, 10, "no NTFS volume", "`wclayer disk create` makes one"),
    13: (DiskError, 10, "a damaged NTFS volume", "attach the disk to Windows and run chkdsk /f"),
    14: (DiskError, 10, "the volume of a Windows that hibernates", "shutdown /s /t 0"),
    15: (DiskError, 10, "a volume that was not unmounted cleanly", "attach the disk to Windows and run chkdsk /f"),
    16: (StorageError, 15, "the volume is in use by another program", "unmount it there first"),
    19: (AccessError, 14, "ntfs-3g lacks the right to mount the volume", "run as root"),
    21: (UnsupportedError, 17, "FUSE does not work here", "--device /dev/fuse --cap-add SYS_ADMIN"),
    1: (StorageError, 15, "ntfs-3g cannot mount the volume", None),
    10: (StorageError, 15, "ntfs-3g cannot mount the volume", None),
    11: (StorageError, 15, "ntfs-3g cannot mount the volume", None),
    17: (StorageError, 15, "ntfs-3g cannot mount the volume", None),
    18: (StorageError, 15, "ntfs-3g cannot mount the volume", None),
    20: (StorageError, 15, "ntfs-3g cannot mount the volume", None),
    127: (StorageError, 15, "ntfs-3g cannot mount the volume", None),
    -1: (StorageError, 15, "ntfs-3g cannot mount the volume", None),
    -9: (StorageError, 15, "ntfs-3g cannot mount the volume", None),
}


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("said", [b"", b"first\nthe last words\n", b"\xff\n"])
def test_exit_codes(code: int, said: bytes) -> None:
    kind, exit_code, message, hint = CODES[code]
    error = mounting._failure(code, said, "d.img")
    assert type(error) is kind
    assert error.exit_code == exit_code
    assert error.message.startswith(message)
    assert error.path == "d.img"
    assert (error.hint is None) if hint is None else (hint in (error.hint or ""))
    assert "\n" not in str(error)
    if code not in range(12, 20) or code in (17, 18):
        words = {b"": f"exit code {code}" if code != 21 else None, b"\xff\n": "\ufffd"}
        assert error.got == words.get(said, "the last words")


# --- hosts that cannot do it ------------------------------------------------------------------------------


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "d.img"
    path.write_bytes(bytes(4096))
    return path


@pytest.fixture
def able(programs: Programs, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host with all that is needed."""
    programs(*ALL)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(os.path, "exists", lambda _: True)


def refused(path: Path | str, number: int | None = None, *, writable: bool = False) -> WclayerError:
    with pytest.raises(WclayerError) as met, mounted_volume(path, number, writable=writable):
        raise AssertionError
    return met.value


@pytest.mark.parametrize("missing", ["ntfs-3g", "ntfs-3g.probe", "ntfsinfo", "umount"])
def test_a_program_is_missing(missing: str, image: Path, programs: Programs) -> None:
    programs(*(name for name in ALL if name != missing))
    error = refused(image)
    assert isinstance(error, UnsupportedError)
    assert str(error) == (
        f"{image}: the program {missing} is missing -- install {'util-linux' if missing == 'umount' else 'ntfs-3g'}"
    )


def test_not_root(image: Path, able: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    error = refused(image)
    assert isinstance(error, AccessError)
    assert str(error) == f"{image}: mounting a disk image needs root -- run as root"


def test_no_fuse(image: Path, able: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os.path, "exists", lambda path: path != "/dev/fuse")
    error = refused(image)
    assert isinstance(error, UnsupportedError)
    assert "no /dev/fuse, which ntfs-3g needs -- load the kernel module fuse; in a container: --device" in str(error)


def test_no_linux(image: Path, able: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os.path, "exists", lambda path: not path.startswith("/proc"))
    error = refused(image)
    assert isinstance(error, UnsupportedError)
    assert "mounted only on Linux" in str(error)


def test_what_is_no_image(tmp_path: Path, able: None) -> None:
    for path in (tmp_path, f"{tmp_path}/", tmp_path / "programs"):
        assert "no disk image; expected a file or block device; got a folder" in str(refused(path))
    assert "no disk image; expected a file or block device" in str(refused("/dev/null"))
    error = refused(tmp_path / "none.img")
    assert isinstance(error, NotFoundError)
    assert str(error) == f"{tmp_path}/none.img: no such disk image -- `wclayer disk create` makes one"
    (tmp_path / "dangling").symlink_to("none")
    assert isinstance(refused(tmp_path / "dangling"), NotFoundError)
    assert isinstance(refused(tmp_path / "d.img" / "x"), NotFoundError)


def test_a_pipe_that_nobody_writes_to(tmp_path: Path, able: None) -> None:
    """It is told before it is opened, which would take until somebody does."""
    os.mkfifo(tmp_path / "pipe")
    met: list[WclayerError] = []
    looking = threading.Thread(target=lambda: met.append(refused(tmp_path / "pipe")), daemon=True)
    looking.start()
    looking.join(30)
    assert len(met) == 1
    assert "no disk image; expected a file or block device" in str(met[0])


def test_what_is_on_the_image(image: Path, able: None, tmp_path: Path) -> None:
    assert "an empty image" in str(refused(image))
    assert "an empty image" in str(refused(image, 1, writable=True))
    image.write_bytes(mbr([(2, 0x83, 1, 1)]) + bytes(512))
    assert "partition 2 has no NTFS" in str(refused(image, 2))
    assert isinstance(refused(image, 3), NotFoundError)
    assert not (tmp_path / "ran").exists()


def test_one_at_a_time(image: Path, able: None) -> None:
    fcntl = pytest.importorskip("fcntl", reason="locks of POSIX")
    with image.open("r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        for writable in (False, True):
            error = refused(image, writable=writable)
            assert isinstance(error, StorageError)
            assert str(error) == f"{image}: another wclayer is at work on the disk image -- wait until it is done"
        fcntl.flock(file, fcntl.LOCK_SH)  # of another reader
        assert "another wclayer" in str(refused(image, writable=True))
        assert "an empty image" in str(refused(image))
    assert "an empty image" in str(refused(image, writable=True))
