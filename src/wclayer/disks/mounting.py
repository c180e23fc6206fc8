"""Mount the NTFS volume of a disk image where nobody else sees it, for as long as a block of code runs.

This process takes a mount namespace of its own. A shell in it runs ntfs-3g, and unmounts
when its standard input ends: at the end of the block, or when this process is gone,
however it went. So nothing is left over: a loop device goes with its last user (`loop`),
and if all are killed at once, the mount goes with the namespace.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import re
import secrets
import select
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import BinaryIO, Final

from ..errors import (
    AccessError,
    ConfinementError,
    DiskError,
    NotFoundError,
    StorageError,
    UnsupportedError,
    UsageError,
    WclayerError,
)
from ..host.errors import host_errors, names_in
from ..host.programs import find_program, last_line, run_program
from ..processors import pin_to_one_cpu
from ..stores.ntfs3g.mount import MOUNT_OPTIONS, mount_number, mount_of
from ..win32.names import upcase
from .loop import check_unused, loop_device
from .partitions import find_volume

if sys.platform != "win32":
    import fcntl

__all__ = ["inside", "mounted_volume"]

# ntfs-3g ends with 0 when it goes on in the background; descriptors that it inherits stay open until it is done.
_SCRIPT: Final = """
trap '' HUP INT TERM PIPE
mkdir -m 700 "$3" || exit
ntfs-3g -o "$1" "$2" "$3"
code=$?
echo $code
if [ $code = 0 ]; then
    read -r _
    if umount "$3"; then
        echo 0
    else
        echo busy
        umount -l "$3"
    fi
fi
rmdir "$3"
"""
_PROGRAMS: Final = ("ntfs-3g", "ntfs-3g.probe", "ntfsinfo", "umount")
_DIRTY: Final = re.compile(rb"Volume Flags: .*\bDIRTY\b")
_CLONE_NEWNS: Final = 0x00020000
_MS_REC_SLAVE: Final = 0x4000 | 0x80000  # mounts of others propagate into our namespace, ours do not leave it
_SECONDS: Final = 600  # for the driver to write its cached data
_PATIENCE: Final = 1.0  # seconds for the driver of a killed wclayer to end
_UNCLEAN: Final = 15
# What the exit codes of ntfs-3g and ntfs-3g.probe mean (ntfs-3g's man page, and libntfs-3g's volume.h), and what to do.
_FAILURES: Final[dict[int, tuple[type[WclayerError], str, str]]] = {
    12: (DiskError, "no NTFS volume", "`wclayer disk create` makes one"),
    13: (DiskError, "a damaged NTFS volume", "attach the disk to Windows and run chkdsk /f"),
    14: (
        DiskError,
        "the volume of a Windows that hibernates, or was shut down by its fast start",
        "start that Windows, and shut it down with: shutdown /s /t 0",
    ),
    _UNCLEAN: (DiskError, "a volume that was not unmounted cleanly", "attach the disk to Windows and run chkdsk /f"),
    16: (StorageError, "the volume is in use by another program", "unmount it there first"),
    19: (AccessError, "ntfs-3g lacks the right to mount the volume", "run as root"),
    21: (
        UnsupportedError,
        "FUSE does not work here",
        "in a container: --device /dev/fuse --cap-add SYS_ADMIN, and no AppArmor profile that forbids mounts",
    ),
}


@contextlib.contextmanager
def mounted_volume(
    image: str | os.PathLike[str], number: int | None = None, *, writable: bool = False
) -> Iterator[str]:
    """The host path of the root of the NTFS volume on the disk `image`, while the block runs.

    number: of the partition, where the disk has several with NTFS. writable: nobody else may use the image meanwhile;
    otherwise any number may read it. Linux only, as root, with ntfs-3g. The calling thread, and those that it starts,
    are in a mount namespace of their own from then on: they see what others mount, others do not see the volume. They
    and the driver stay on one processor (`processors`).

    Raises UnsupportedError where something is missing for that, AccessError, NotFoundError, DiskError for what is no
    clean NTFS volume, StorageError where another one uses the image, or the volume cannot be written back.
    """
    path = os.path.abspath(os.fspath(image))
    _check_host(path)
    with contextlib.ExitStack() as stack:
        file = stack.enter_context(_locked(path, writable))
        check_unused(file.fileno(), path, writable=writable)
        part = find_volume(file, path, number)
        device = path
        if part.number is not None:
            device = stack.enter_context(
                loop_device(file.fileno(), os.fsencode(path), part.offset, part.size, writable=writable)
            )
        _probe(device, path)
        stack.enter_context(pin_to_one_cpu())
        yield stack.enter_context(_mounted(device, path, writable, file.fileno()))


def inside(root: str, path: str, *, shown: str) -> str:
    """The host path of `path` in the volume mounted at `root`: only of folders, as far as they exist.

    Names are compared as Windows does, which would see but one of two that differ in case. shown: for errors. Raises
    ConfinementError for a path that leads out, or through a link, UsageError for one with backslashes, and the host's
    errors.
    """
    if "\\" in path:
        raise UsageError("a backslash in a path on a disk image", path=shown, hint="put a slash between folders")
    at = root
    names = path.split("/")
    for number, name in enumerate(names):
        if name in ("", "."):
            continue
        if name == ".." or "\0" in name or ":" in name:
            raise ConfinementError("a path that would leave the volume", path=shown)
        with host_errors(shown), contextlib.suppress(FileNotFoundError, NotADirectoryError):
            names[number] = _own_name(at, name)
            if stat.S_ISLNK(os.lstat(os.path.join(at, names[number])).st_mode):
                raise ConfinementError("a link on the way, where a folder must be", path=shown, got=name)
        at = os.path.join(at, names[number])
    return f"{root}/{'/'.join(names)}" if path else root  # two slashes in it stay


def _own_name(folder: str, name: str) -> str:
    """How what Windows would open as `name` is spelled in a folder; `name` itself if nothing is called so."""
    if os.path.lexists(os.path.join(folder, name)):
        return name
    wanted = _key(name)
    return next((other for other in sorted(names_in(folder)) if _key(other) == wanted), name)


def _key(name: str) -> str:
    """What names on the volume are compared by; the driver has them in UTF-8, whatever the host's locale."""
    return upcase(os.fsencode(name).decode("utf-8", "surrogateescape"))


def _check_host(path: str) -> None:
    if not os.path.exists("/proc/self/mountinfo"):
        raise UnsupportedError("disk images are mounted only on Linux", path=path)
    for program in _PROGRAMS:
        find_program(program, path)
    if sys.platform != "win32" and os.geteuid() != 0:
        raise AccessError("mounting a disk image needs root", path=path, hint="run as root")
    if not os.path.exists("/dev/fuse"):
        raise UnsupportedError(
            "no /dev/fuse, which ntfs-3g needs",
            path=path,
            hint="load the kernel module fuse; in a container: --device /dev/fuse --cap-add SYS_ADMIN",
        )


@contextlib.contextmanager
def _locked(path: str, writable: bool) -> Iterator[BinaryIO]:
    """The image, opened, and kept from others who mount it so."""
    try:
        with host_errors(path):
            mode = os.stat(path).st_mode
            if not stat.S_ISREG(mode) and not stat.S_ISBLK(mode):  # checked first: opening a named pipe would block
                got = "a folder" if stat.S_ISDIR(mode) else None
                raise DiskError("no disk image", path=path, expected="a file or block device", got=got)
            file: BinaryIO = open(path, "r+b") if writable else open(path, "rb")
    except NotFoundError:
        raise NotFoundError("no such disk image", path=path, hint="`wclayer disk create` makes one") from None
    with file:
        if sys.platform != "win32":
            end = time.monotonic() + _PATIENCE
            while True:
                try:
                    fcntl.flock(file, (fcntl.LOCK_EX if writable else fcntl.LOCK_SH) | fcntl.LOCK_NB)
                    break
                except OSError as error:
                    if error.errno != errno.EWOULDBLOCK:
                        raise
                if time.monotonic() > end:
                    raise StorageError(
                        "another wclayer is at work on the disk image", path=path, hint="wait until it is done"
                    )
                time.sleep(0.02)
        yield file


def _probe(device: str, path: str) -> None:
    """Refuse a volume that is not as Windows would leave it. Also one that is only read: what is on it may be old."""
    done = run_program(path, "ntfs-3g.probe", "--readwrite", device)
    if done.returncode:
        raise _failure(done.returncode, done.stderr, path)
    # The driver mounts a volume that is marked dirty all the same.
    if _DIRTY.search(run_program(path, "ntfsinfo", "--force", "--mft", device).stdout):
        raise _failure(_UNCLEAN, b"", path)


@contextlib.contextmanager
def _mounted(device: str, path: str, writable: bool, lock: int) -> Iterator[str]:
    """The volume, mounted. The driver has the descriptor `lock` too: others must wait for it, even if we are killed."""
    _take_namespace(path)
    options = f"{MOUNT_OPTIONS},big_writes,{'rw' if writable else 'ro'}"
    place = os.path.join(os.path.realpath(tempfile.gettempdir()), f"wclayer-{secrets.token_hex(8)}")
    alive, theirs = os.pipe()
    with tempfile.TemporaryFile(prefix="wclayer-") as said, open(alive, "rb") as life:
        try:
            shell = subprocess.Popen(  # noqa: S603 # found in PATH
                [find_program("sh", path), "-c", _SCRIPT, "sh", options, device, place],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=said,
                pass_fds=(theirs, lock),
                start_new_session=True,  # ^C is for us
            )
        finally:
            os.close(theirs)
        with shell:
            assert shell.stdout is not None and shell.stdin is not None  # noqa: S101, PT018 # for mypy
            try:
                code = shell.stdout.readline().strip()
                if code != b"0":
                    said.seek(0)
                    raise _failure(int(code) if code.isdigit() else -1, said.read(), path)
                mount = mount_of(os.fsencode(place))
                try:
                    yield place
                except BaseException:
                    _let_go(mount)
                    raise
            finally:
                try:
                    ended = _unmounted(shell, life)
                except BaseException:  # a signal, or the first one of two; the next one ends it
                    _unmounted(shell, life)
                    raise
        if not ended:
            raise StorageError("the volume is in use, and was not unmounted", path=path)


def _unmounted(shell: subprocess.Popen[bytes], life: BinaryIO) -> bool:
    """Let the volume be unmounted, and wait until the driver has written all. False: somebody still uses it."""
    assert shell.stdout is not None and shell.stdin is not None  # noqa: S101, PT018 # for mypy
    shell.stdin.close()
    # Busy: the driver goes on until the last has closed what it has open there. Nothing: the line has been read before.
    said = shell.stdout.readline().strip()
    return (said == b"0" or (not said and shell.wait() == 0)) and bool(select.select([life], [], [], _SECONDS)[0])


def _let_go(mount: bytes) -> None:
    """Have nothing open any more on that mount, after an error: a signal may come between an open and its close."""
    null = os.open(os.devnull, os.O_RDWR)
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            if mount and mount_number(int(name)) == mount:
                os.dup2(null, int(name), inheritable=False)  # the owner of the descriptor closes it
    os.close(null)


def _take_namespace(path: str) -> None:
    """A mount namespace of our own."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNS) or libc.mount(None, b"/", None, _MS_REC_SLAVE, None):
        raise AccessError(
            f"no mount namespace of our own: {os.strerror(ctypes.get_errno())}",
            path=path,
            hint="in a container: --cap-add SYS_ADMIN",
        )


def _failure(code: int, said: bytes, path: str) -> WclayerError:
    """What ntfs-3g's exit code and words mean."""
    words = last_line(said)
    if code not in _FAILURES:
        return StorageError("ntfs-3g cannot mount the volume", path=path, got=words or f"exit code {code}")
    cls, message, hint = _FAILURES[code]
    return cls(message, path=path, got=None if cls is DiskError else words, hint=hint)
