"""Is a folder on an ntfs-3g mount, and with which options: the list of mounts, and what the driver answers."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from tests.hosts import posix_only
from wclayer.errors import AccessError, UnsupportedError
from wclayer.stores.ntfs3g import mount as ntfs3g_volume
from wclayer.stores.ntfs3g.mount import (
    MOUNT_OPTIONS,
    Volume,
    _listed,
    _mount,
    carry_over,
    check_names,
    files_of,
    volume_of,
)
from wclayer.stores.root.root_posix import PosixRoot

pytestmark = posix_only("mounts")

# Of /proc/self/mountinfo, with mounts of ntfs-3g on a loop device, of an image file, and of a path with odd characters.
MOUNTINFO = rb"""22 28 0:20 / /sys rw,nosuid,nodev,noexec,relatime shared:7 - sysfs sysfs rw
28 1 254:0 / / rw,relatime shared:1 - ext4 /dev/root rw,errors=remount-ro
36 28 7:3 / /mnt/a\040b rw,noatime shared:20 master:3 - fuseblk /dev/loop3 rw,user_id=0,allow_other,blksize=4096
37 28 0:41 / /mnt/c ro,relatime - fuse /var/lib/my\040disk\134x\011y\012z.img rw,user_id=0,default_permissions
137 36 0:42 / /mnt/d rw,noatime - fuse /d\303\244\040-\040\043.img rw
138 36 0:43 /sub /mnt/e\040-\040f ro,noatime - fuse.sshfs host:/x ro
139 36 0:44 / /mnt/g rw,noatime - fuse  rw
"""


def lines() -> Iterable[bytes]:
    return MOUNTINFO.splitlines(keepends=True)


@pytest.mark.parametrize(
    ("number", "device", "options"),
    [
        (b"36", b"/dev/loop3", {"rw", "noatime", "user_id=0", "allow_other", "blksize=4096"}),
        (
            b"37",
            b"/var/lib/my disk\\x\ty\nz.img",
            {"ro", "rw", "relatime", "user_id=0", "default_permissions"},
        ),
        (b"137", "/dä - #.img".encode(), {"rw", "noatime"}),
        (b"22", None, {"rw", "nosuid", "nodev", "noexec", "relatime"}),  # `sysfs` is no device
        (b"138", None, {"ro", "noatime"}),
        (b"139", None, {"rw", "noatime"}),
    ],
)
def test_mountinfo(number: bytes, device: bytes | None, options: set[str]) -> None:
    assert _listed(lines(), number) == (device, options)


def test_a_mount_that_is_not_to_be_seen() -> None:
    """It has another root, say. Nothing is held against it that is not known."""
    for number in (b"3", b"99", b"", b"28 1"):
        assert _listed(lines(), number) == (None, {"noatime"})
    assert _listed([], b"36") == (None, {"noatime"})


def test_the_mount_of_a_folder_here(tmp_path: Path) -> None:
    for folder in (tmp_path, Path("/proc")):
        device, options = _mount(os.fsencode(folder))
        assert device is None or device.startswith(b"/")
        assert {"rw", "ro"} & options or options == {"noatime"}


# --- judged ------------------------------------------------------------------------------------------------


class Driver:
    """What a file system answers for extended attributes: a value, None for none, or an error's number."""

    def __init__(self) -> None:
        self.answers: dict[bytes, bytes | int | None] = {
            b"system.ntfs_times": bytes(32),
            b"system.ntfs_attrib": bytes(4),
            b"ntfs.streams.list": b"",
            b"system.ntfs_efsinfo": None,
        }
        self.mount: tuple[bytes | None, set[str]] = b"/dev/loop3", {"rw", "noatime", "allow_other"}

    def get(self, _: bytes, name: bytes) -> bytes | None:
        answer = self.answers[name]
        if isinstance(answer, int):
            raise OSError(answer, os.strerror(answer))
        return answer


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> Driver:
    made = Driver()
    monkeypatch.setattr(ntfs3g_volume, "_MOUNTS", os.fsencode(__file__))
    monkeypatch.setattr(ntfs3g_volume, "_get", made.get)
    monkeypatch.setattr(ntfs3g_volume, "_mount", lambda _: made.mount)
    return made


@pytest.mark.parametrize("writing", [False, True])
def test_a_volume_as_a_layer_needs_it(driver: Driver, writing: bool) -> None:
    assert volume_of(b"/x", writing=writing) == Volume(b"/dev/loop3")
    driver.mount = None, {"noatime"}
    assert volume_of(b"/x", writing=writing) == Volume(None)
    driver.answers[b"ntfs.streams.list"] = b"a\0b"
    assert volume_of(b"/x", writing=writing) == Volume(None)


@pytest.mark.parametrize(
    ("answers", "options", "got"),
    [
        ({b"ntfs.streams.list": None}, {"rw", "noatime"}, "without streams_interface=windows"),
        ({b"system.ntfs_efsinfo": errno.EACCES}, {"rw", "noatime"}, "without efs_raw"),
        ({b"system.ntfs_efsinfo": errno.EPERM}, {"rw", "noatime"}, "without efs_raw"),
        ({}, {"rw", "noatime", "default_permissions"}, "with permissions, or a mask"),
        ({}, {"rw", "relatime"}, "without noatime"),
        ({}, {"rw"}, "without noatime"),
        (
            {b"ntfs.streams.list": None, b"system.ntfs_efsinfo": errno.EACCES},
            {"rw", "relatime", "default_permissions"},
            "without streams_interface=windows, without efs_raw, with permissions, or a mask, without noatime",
        ),
    ],
)
@pytest.mark.parametrize("writing", [False, True])
def test_wrong_options(
    driver: Driver, answers: dict[bytes, bytes | int | None], options: set[str], got: str, writing: bool
) -> None:
    driver.answers |= answers
    driver.mount = b"/dev/sdb1", options
    with pytest.raises(UnsupportedError, match="mounted with options that a layer cannot live with") as met:
        volume_of(b"/mnt/x", writing=writing)
    assert met.value.path == "/mnt/x"
    assert met.value.expected == MOUNT_OPTIONS == "efs_raw,noatime,streams_interface=windows"
    assert met.value.got == got
    assert met.value.hint is not None
    assert f"ntfs-3g -o {MOUNT_OPTIONS},big_writes DEVICE DIR" in met.value.hint
    assert "disk:IMAGE//DIR" in met.value.hint


def test_a_read_only_mount(driver: Driver) -> None:
    """It may be read, with access times that nothing can change."""
    for options in ({"ro", "relatime"}, {"ro", "rw", "noatime"}):
        driver.mount = b"/dev/sdb1", options
        assert volume_of(b"/x") == Volume(b"/dev/sdb1")
        with pytest.raises(AccessError, match=r"/x: the NTFS volume is mounted read-only -- .*chkdsk") as met:
            volume_of(b"/x", writing=True)
        assert met.value.exit_code == 14


def test_the_driver_of_the_kernel(driver: Driver) -> None:
    """ntfs3 has system.ntfs_attrib too, and nothing else."""
    driver.answers[b"system.ntfs_times"] = None
    for writing in (False, True):
        with pytest.raises(UnsupportedError, match="the kernel's own driver has mounted") as met:
            volume_of(b"/x", writing=writing)
        assert met.value.expected == "ntfs-3g"


@pytest.mark.parametrize("answer", [None, errno.EPERM, errno.EIO, errno.ENOTSUP, errno.ENOENT])
def test_other_file_systems(driver: Driver, answer: int | None) -> None:
    driver.answers = dict.fromkeys(driver.answers, answer)
    assert volume_of(b"/x") is None
    assert volume_of(b"/x", writing=True) is None


def test_a_host_without_a_list_of_mounts(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ntfs3g_volume, "_MOUNTS", b"/none")
    assert volume_of(b"/x") is None


def test_errors_of_the_volume_itself_pass_through(driver: Driver) -> None:
    driver.answers[b"ntfs.streams.list"] = errno.EIO
    with pytest.raises(OSError, match="Input/output error"):
        volume_of(b"/x")


# --- on the host's own file system -------------------------------------------------------------------------


@pytest.fixture
def root(tmp_path: Path) -> Iterable[PosixRoot]:
    made = PosixRoot(os.fsencode(tmp_path))
    yield made
    made.close()


def test_a_folder_here(tmp_path: Path, root: PosixRoot) -> None:
    assert volume_of(os.fsencode(tmp_path)) is None
    assert volume_of(os.fsencode(tmp_path / "none")) is None
    assert files_of(root) is None
    (tmp_path / "f").write_bytes(b"old")
    (tmp_path / "new").write_bytes(b"new")
    carry_over(str(tmp_path / "f"), str(tmp_path / "new"))
    assert (tmp_path / "new").read_bytes() == b"new"


def test_names(tmp_path: Path, root: PosixRoot, monkeypatch: pytest.MonkeyPatch) -> None:
    check_names(root)
    assert list(tmp_path.iterdir()) == []

    def refuses(number: int) -> Callable[..., None]:
        def mkdir(self: PosixRoot, path: bytes, mode: int = 0) -> None:
            assert path.endswith(b".")  # what Windows strips
            raise OSError(number, os.strerror(number))

        return mkdir

    monkeypatch.setattr(PosixRoot, "mkdir", refuses(errno.EINVAL))
    with pytest.raises(UnsupportedError, match="windows_names") as met:
        check_names(root)
    assert met.value.path == str(tmp_path)
    monkeypatch.setattr(PosixRoot, "mkdir", refuses(errno.ENOSPC))
    with pytest.raises(OSError, match="No space"):
        check_names(root)
