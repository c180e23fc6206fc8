"""Is a folder on an NTFS volume that ntfs-3g has mounted, and mounted as a layer needs it?

ntfs-3g is told from other drivers by its extended attributes, and most of its options by
what it does: only the kernel's own are in the list of mounts.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass
from typing import Final

from ...errors import AccessError, UnsupportedError
from ...host.errors import shown
from ..root.root import Root
from ..root.root_posix import PosixRoot
from .attributes import NtfsFiles, get_attribute

__all__ = ["MOUNT_OPTIONS", "Volume", "carry_over", "check_names", "files_of", "mount_number", "mount_of", "volume_of"]

MOUNT_OPTIONS: Final = "efs_raw,noatime,streams_interface=windows"
_FASTER: Final = "big_writes"  # four times as fast

_MOUNTS: Final = b"/proc/thread-self/mountinfo"
_HINT: Final = f"mount it with: ntfs-3g -o {MOUNT_OPTIONS},{_FASTER} DEVICE DIR; or name the disk as disk:IMAGE//DIR"
_ABSENT: Final = frozenset({errno.ENODATA, errno.EOPNOTSUPP})
_ESCAPED: Final = re.compile(rb"\\([0-7]{3})")
_PROBE: Final = b"wclayer.probe."


@dataclass(frozen=True, slots=True)
class Volume:
    """An NTFS volume: the host path of the device or image that it is on, where that is known."""

    device: bytes | None


def volume_of(folder: bytes, *, writing: bool = False) -> Volume | None:
    """The NTFS volume that the host's `folder` is on; None on other file systems.

    Raises UnsupportedError where another driver than ntfs-3g or wrong options would lose something, AccessError for a
    volume to write to that is mounted read-only.
    """
    if _on_ntfs3g(folder):
        return _checked(folder, writing)
    if _has(folder, b"system.ntfs_attrib"):
        raise UnsupportedError(
            "an NTFS volume that the kernel's own driver has mounted, which hides half of Windows' metadata",
            path=shown(folder),
            expected="ntfs-3g",
            hint=_HINT,
        )
    return None


def _on_ntfs3g(folder: bytes) -> bool:
    return _has(folder, b"system.ntfs_times")


def _has(folder: bytes, name: bytes) -> bool:
    try:
        return os.name == "posix" and os.path.exists(_MOUNTS) and _get(folder, name) is not None
    except OSError:
        return False  # a file system without extended attributes


def _get(folder: bytes, name: bytes) -> bytes | None:
    if not hasattr(os, "getxattr"):
        return None  # wine has a list of mounts, too
    return get_attribute(os.path.join(folder, b"."), name, _ABSENT)


def _checked(folder: bytes, writing: bool) -> Volume:
    device, options = _mount(folder)
    wrong: list[str] = []
    if _get(folder, b"ntfs.streams.list") is None:
        wrong.append("without streams_interface=windows")
    try:
        _get(folder, b"system.ntfs_efsinfo")
    except PermissionError:
        wrong.append("without efs_raw")
    if "default_permissions" in options:
        wrong.append("with permissions, or a mask")
    if not {"noatime", "ro"} & options:
        wrong.append("without noatime")
    if wrong:
        raise UnsupportedError(
            "an NTFS volume that is mounted with options that a layer cannot live with",
            path=shown(folder),
            expected=MOUNT_OPTIONS,
            got=", ".join(wrong),
            hint=_HINT,
        )
    if writing and "ro" in options:
        raise AccessError(
            "the NTFS volume is mounted read-only",
            path=shown(folder),
            hint="mount it for writing; one that is dirty or hibernated needs Windows to shut down properly, or chkdsk",
        )
    return Volume(device)


def _mount(folder: bytes) -> tuple[bytes | None, set[str]]:
    """The device of the mount that `folder` is on, and the options that the kernel knows of it."""
    number = mount_of(folder)
    with open(_MOUNTS, "rb") as lines:
        return _listed(lines, number)


def mount_of(folder: bytes) -> bytes:
    """The number of the mount that a folder of the host is on, as in mountinfo (proc(5))."""
    fd = os.open(folder, os.O_RDONLY)
    try:
        return mount_number(fd)
    finally:
        os.close(fd)


def mount_number(fd: int) -> bytes:
    """The number of the mount that an open file is on."""
    with open(f"/proc/thread-self/fdinfo/{fd}", "rb") as lines:
        return next((line.split()[1] for line in lines if line.startswith(b"mnt_id:")), b"")


def _listed(lines: Iterable[bytes], number: bytes) -> tuple[bytes | None, set[str]]:
    """The device and the options of the mount of that number in a mountinfo (proc(5))."""
    for line in lines:
        before, _, after = line.rstrip(b"\n").partition(b" - ")
        fields = before.split(b" ")
        if fields[0] == number:
            _, device, more = after.split(b" ")[:3]
            path = _ESCAPED.sub(lambda code: bytes([int(code[1], 8)]), device)
            options = {*os.fsdecode(fields[5]).split(","), *os.fsdecode(more).split(",")}
            return path if path.startswith(b"/") else None, options
    return None, {"noatime"}  # a mount that is not to be seen from here


def files_of(root: Root) -> NtfsFiles | None:
    """The files of the layer folder `root`, if it is on NTFS. Raises as volume_of does."""
    return NtfsFiles(root) if volume_of(root.path) is not None else None


def carry_over(path: str, new: str) -> Callable[[], None]:
    """Give the new file `new`, which is to take the place of the file `path` beside it, what NTFS holds of that.

    Returns what is to be done when it has, for what two files cannot have at once.
    """
    folder, name = os.path.split(os.fsencode(path))
    if not _on_ntfs3g(folder):
        return lambda: None
    with closing(PosixRoot(folder)) as root:
        files = NtfsFiles(root)
        files.copy(name, os.path.basename(os.fsencode(new)))
        identity = files.identity(name)

    def identify() -> None:
        with closing(PosixRoot(folder)) as root:
            NtfsFiles(root).identify(name, identity)

    return identify if any(identity) else lambda: None


def check_names(root: Root) -> None:
    """Raise UnsupportedError if the new folder `root` cannot have all the names that NTFS can (windows_names)."""
    try:
        root.mkdir(_PROBE)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        raise UnsupportedError(
            "an NTFS volume that is mounted with windows_names, which refuses names that layers have",
            path=shown(root.path),
            hint=_HINT,
        ) from None
    root.rmdir(_PROBE)
