"""NTFS volumes in image files, made by mkntfs, mounted by ntfs-3g, read unmounted by wimlib and dissect.ntfs."""

from __future__ import annotations

import os
import select
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from tests.compat.ntfs_facts import DIRECTORY, REPARSE_POINT, Facts, differences
from tests.compat.ntfs_mft import mft_facts
from tests.compat.ntfs_wim import ENVIRONMENT, capture, wim_facts
from tests.compat.tools import missing, tool

__all__ = ["OPTIONS", "SIZE", "apply_wim", "facts", "mounted", "require_mounts", "volume"]

SIZE = 256 << 20
OPTIONS = "efs_raw,noatime,streams_interface=windows"
# The geometry, which mkntfs can ask of a device only.
_MKNTFS = ("-F", "-q", "-Q", "-p", "2048", "-H", "255", "-S", "63", "-s", "512", "-c", "4096")
_PATIENCE = 30  # seconds


def volume(path: Path, size: int = SIZE) -> Path:
    """Make `path` an image of an empty NTFS volume of `size` bytes, sparse on the host."""
    with path.open("xb") as file:
        file.truncate(size)
    subprocess.run([tool("mkntfs"), *_MKNTFS, path], check=True, capture_output=True)
    return path


def require_mounts(*programs: str) -> None:
    """Skip the test, or fail, where volumes cannot be mounted, or one of `programs` is missing."""
    for program in ("ntfs-3g", "mkntfs", *programs):
        tool(program)
    if not Path("/dev/fuse").exists() or os.geteuid() != 0:
        missing("/dev/fuse, and root to mount with it")


@contextmanager
def mounted(image: Path, *, readonly: bool = False, options: str = OPTIONS) -> Iterator[Path]:
    """Mount `image` on a folder beside it; when the block is left the driver has written all and ended.

    umount alone returns before that where the image is a plain file.
    """
    require_mounts()
    place = image.with_name(image.name + ".mount")
    place.mkdir(exist_ok=True)
    command: list[str | Path] = [tool("ntfs-3g"), "-o", options + ",ro" * readonly, image, place]
    alive, theirs = os.pipe()  # which the driver, in the background, has open until it ends
    with open(alive, "rb") as life:
        try:
            done = subprocess.run(
                command, stdin=subprocess.DEVNULL, capture_output=True, pass_fds=(theirs,), check=False
            )
        finally:
            os.close(theirs)
        if done.returncode:
            place.rmdir()
        assert done.returncode == 0, f"ntfs-3g did not mount:\n{done.stderr.decode('utf-8', 'replace')}"
        try:
            yield place
        finally:
            # Lazily, if a test that failed left something open there: the driver ends with it.
            if subprocess.run([tool("umount"), place], check=False, capture_output=True).returncode:
                subprocess.run([tool("umount"), "--lazy", place], check=True)
            assert select.select([life], [], [], _PATIENCE)[0], "ntfs-3g does not end"
            place.rmdir()


def apply_wim(wim: Path, image: Path, size: int = SIZE) -> Path:
    """Make `image` a volume with what is in `wim`, by wimlib alone."""
    volume(image, size)
    command: list[str | Path] = [tool("wimlib-imagex"), "apply", wim, "1", image]
    command += ["--norpfix", "--strict-acls", "--quiet"]
    subprocess.run(command, check=True, capture_output=True, env=ENVIRONMENT)
    return image


def facts(image: Path, below: str = "") -> dict[str, Facts]:
    """What is on the unmounted volume `image`, in the folder `below`, whose own path is left away.

    Attributes, descriptors, times, DOS names, reparse data, streams, contents and links as wimlib captures and dumps
    them; change times, EAs, holes and the links of reparse points from the file records. Where both
    speak they must agree. What lies in a directory that is a reparse point is left out, as by wimlib.
    """
    wim = image.with_name(image.name + ".wim")
    capture(image, wim)
    try:
        dumped = wim_facts(wim)
    finally:
        wim.unlink()
    records = mft_facts(image)
    hidden = tuple(f"{path}/" for path, found in records.items() if found.attributes & REPARSE_POINT)
    records = {path: found for path, found in records.items() if not path.startswith(hidden)}
    merged = {path: _merge(found, records[path]) for path, found in dumped.items() if path in records}
    assert dumped.keys() == records.keys(), sorted(dumped.keys() ^ records.keys())
    # The record has the identifier alone; those of its birth are in the index $Extend/$ObjId, where wimlib looks.
    for path, found in merged.items():
        assert (found.object_id or b"")[:16] == (records[path].object_id or b""), path
        records[path] = replace(records[path], object_id=found.object_id)
    disagreed = differences(merged, records)
    assert not disagreed, "\n".join(["wimlib and dissect.ntfs disagree:", *disagreed])
    if not below:
        return merged
    prefix = below.strip("/") + "/"
    return {
        path.removeprefix(prefix): replace(found, links=frozenset(link.removeprefix(prefix) for link in found.links))
        for path, found in merged.items()
        if path.startswith(prefix)
    }


def _merge(dumped: Facts, record: Facts) -> Facts:
    assert (dumped.attributes & DIRECTORY) == (record.attributes & DIRECTORY)
    data = dumped.data
    if data is not None and record.data is not None:
        data = replace(data, holes=record.data.holes)
    return replace(
        dumped,
        links=dumped.links if dumped.reparse is None else record.links,
        change_time=record.change_time,
        eas=record.eas,
        data=data,
        streams={
            name: replace(stream, holes=record.streams[name].holes) if name in record.streams else stream
            for name, stream in dumped.streams.items()
        },
    )
