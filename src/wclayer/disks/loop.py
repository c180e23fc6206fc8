"""A part of a file as a block device (Linux's loop driver; linux/loop.h).

The device is bound with LO_FLAGS_AUTOCLEAR: when the last process that has it open ends, even by
a signal, the kernel frees it.
"""

from __future__ import annotations

import contextlib
import errno
import glob
import os
import struct
import sys
from collections.abc import Iterator
from typing import Final

from ..errors import AccessError, StorageError, UnsupportedError
from ..host.errors import host_errors

if sys.platform != "win32":
    import fcntl

__all__ = ["check_unused", "loop_device"]

_CONTROL: Final = "/dev/loop-control"
_CTL_GET_FREE: Final = 0x4C82
_CONFIGURE: Final = 0x4C0A  # since Linux 5.8
_READ_ONLY: Final = 1
_AUTOCLEAR: Final = 4
# struct loop_config: fd, block_size, then struct loop_info64: device, inode, rdevice, offset, sizelimit, number, two of
# encryption, flags, file_name, crypt_name, encrypt_key, init; reserved.
_CONFIG: Final = struct.Struct("<II QQQQQ IIII 64s64s32s QQ 64x")
_GET_STATUS64: Final = 0x4C05
_STATUS: Final = struct.Struct("<QQ 24x 12x I 176x")  # loop_info64: device, inode, ..., flags, ...
_TRIES: Final = 32  # another process may take the free device first


def check_unused(file: int, path: str, *, writable: bool) -> None:
    """Raise StorageError if a loop device of somebody else has the open disk image `file`, for writing or at all.

    Two mounts of one file system, of which one writes, damage it without an error in either.
    """
    if sys.platform != "win32":
        for device, read_only in _devices_of(file):
            if writable or not read_only:
                raise StorageError(
                    "the disk image is in use through a loop device",
                    path=path,
                    got=device,
                    hint=f"unmount what is mounted from it, and: losetup --detach {device}",
                )


@contextlib.contextmanager
def loop_device(file: int, name: bytes, offset: int, size: int, *, writable: bool) -> Iterator[str]:
    """The host path of a block device of `size` bytes from `offset` of the open `file`, which `name` is shown for.

    Raises UnsupportedError where the host has no loop devices, AccessError where it does not let us; after the block,
    StorageError if the file could not take what was written, for which there is no other sign.
    """
    if sys.platform == "win32":
        raise UnsupportedError("loop devices are Linux's")
    else:
        device, path = _bound(file, name, offset, size, writable)
        try:
            yield path
            if writable:
                with host_errors(os.fsdecode(name)):
                    os.fsync(device)
        finally:
            os.close(device)


if sys.platform != "win32":

    def _devices_of(file: int) -> Iterator[tuple[str, bool]]:
        """The loop devices that have the open file, and whether they only read it; as far as we may see them."""
        mine = os.fstat(file)
        for state in sorted(glob.glob("/sys/block/loop*/loop/backing_file")):
            path = f"/dev/{state.split('/')[3]}"
            with contextlib.suppress(OSError):
                device = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
                try:
                    number, inode, flags = _STATUS.unpack(fcntl.ioctl(device, _GET_STATUS64, bytes(_STATUS.size)))
                finally:
                    os.close(device)
                found = os.makedev(number >> 8 & 0xFFF, number & 0xFF | number >> 12 & 0xFFF00)
                if (found, inode) == (mine.st_dev, mine.st_ino):
                    yield path, bool(flags & _READ_ONLY)

    def _bound(file: int, name: bytes, offset: int, size: int, writable: bool) -> tuple[int, str]:
        flags = _AUTOCLEAR | (0 if writable else _READ_ONLY)
        config = _CONFIG.pack(file, 0, 0, 0, 0, offset, size, 0, 0, 0, flags, name[-63:], b"", b"", 0, 0)
        path = _CONTROL
        try:
            control = os.open(_CONTROL, os.O_RDWR | os.O_CLOEXEC)
            try:
                for _ in range(_TRIES):
                    path = f"/dev/loop{fcntl.ioctl(control, _CTL_GET_FREE)}"
                    device = os.open(path, (os.O_RDWR if writable else os.O_RDONLY) | os.O_CLOEXEC)
                    try:
                        fcntl.ioctl(device, _CONFIGURE, config)
                    except OSError as error:
                        os.close(device)
                        if error.errno != errno.EBUSY:
                            raise
                    else:
                        return device, path
            finally:
                os.close(control)
        except FileNotFoundError as error:
            raise UnsupportedError(
                "no loop device to be had, which a partition needs",
                path=path,
                hint="in a container, let it have /dev/loop*; an image without partitions needs none",
            ) from error
        except PermissionError as error:
            raise AccessError("no access to loop devices", path=path, hint="run as root") from error
        raise UnsupportedError("no loop device is free", path=path)
