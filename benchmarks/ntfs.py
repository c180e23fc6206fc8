"""`make bench`: NTFS volumes: import and export beside wimlib and beside bare system calls, in the same run, as ratios.

    python -m benchmarks.ntfs [--size BYTES] [--files N] [--rounds N] [--content FOLDER]

Needs root, ntfs-3g and wimlib-imagex. The same layer goes onto fresh volumes by `wclayer import disk:...` and, from an
uncompressed WIM, by `wimlib-imagex apply`, which writes to the image itself, without the kernel; and back by export and
`wimlib-imagex capture`. The last rows are N small files with all metadata, beside a loop of setxattr and getxattr
calls on such a mount, without tar, record or checks. Prints a table, and writes benchmarks/results/ntfs.json.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import struct
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from examples.sample_layer import SIZE, descriptors, times

from benchmarks.__main__ import PROGRAMS, Rounds, record, run
from wclayer.body import BytesBody
from wclayer.disks.creating import create_disk
from wclayer.disks.mounting import mounted_volume
from wclayer.entry import Directory, ExtendedAttribute, File
from wclayer.layertar.writer import TarWriter

WCLAYER = [sys.executable, "-m", "wclayer"]
DATA = b"x" * 500
LIBC = ctypes.CDLL(None, use_errno=True)
TIMES = struct.Struct("<3Q")


def fresh(place: Path, size: int) -> Path:
    create_disk(place, size, partition=False)
    return place


def small_files(tar: Path, count: int) -> list[File]:
    """`count` small files in one directory, each with a descriptor, times, attributes and an EA; written as `tar`."""
    shared = descriptors(200)
    files = [
        File(
            f"Files/{number:05}",
            file_attributes=0x21,
            size=len(DATA),
            security_descriptor=shared[number % len(shared)],
            extended_attributes=(ExtendedAttribute(b"$KERNEL.PURGE", bytes(120)),),
            **times(number),
        )
        for number in range(count)
    ]
    with tar.open("wb") as out, TarWriter(out) as writer:
        writer.add(Directory("Files", security_descriptor=shared[0], **times(0)))
        for file in files:
            writer.add(file, BytesBody(DATA))
        writer.commit()
    return files


def put(path: bytes, name: bytes, value: bytes) -> None:
    if LIBC.lsetxattr(path, name, value, ctypes.c_size_t(len(value)), 0):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), path)


def write_plainly(root: str, files: list[File]) -> None:
    """Make the files with nothing but the system calls that it takes."""
    folder = os.fsencode(root) + b"/Files"
    os.mkdir(folder)
    ea = struct.pack("<IBBH", 144, 0, 13, 120) + b"$KERNEL.PURGE\0" + bytes(120) + bytes(2)
    for file in files:
        path = folder + b"/" + file.path.rpartition("/")[2].encode()
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        os.write(fd, DATA)
        os.close(fd)
        put(path, b"system.ntfs_acl", file.security_descriptor or b"")
        put(path, b"system.ntfs_ea", ea)
        put(path, b"system.ntfs_attrib", struct.pack("<I", file.file_attributes))
        put(
            path,
            b"system.ntfs_times",
            TIMES.pack(file.creation_time or 0, file.last_write_time or 0, file.last_access_time or 0),
        )


def read_plainly(root: str, files: list[File]) -> None:
    buffer = ctypes.create_string_buffer(1 << 16)
    for file in files:
        path = os.fsencode(f"{root}/{file.path}")
        for name in (b"system.ntfs_acl", b"system.ntfs_ea", b"system.ntfs_attrib", b"system.ntfs_times"):
            if LIBC.lgetxattr(path, name, buffer, ctypes.c_size_t(1 << 16)) < 0:
                raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), path)
        fd = os.open(path, os.O_RDONLY)
        os.read(fd, 1 << 16)
        os.close(fd)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--size", type=int, default=SIZE, help="bytes of data in the generated layer")
    parser.add_argument("--files", type=int, default=5_000, help="small files with all metadata")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--content", type=Path, default=next((p for p in PROGRAMS if p.is_dir()), None))
    options = parser.parse_args()
    disk = max(1 << 30, options.size * 2)
    rows: list[tuple[str, str, float, float]] = []
    with tempfile.TemporaryDirectory(prefix="wclayer-bench-") as name:
        work = Path(name)
        rounds = Rounds(work, options.rounds)
        tar, wim = work / "layer.tar", work / "layer.wim"
        content = [] if options.content is None else ["--content", options.content]
        run(sys.executable, "-m", "examples.sample_layer", "--nanoserver", "--size", str(options.size), *content, tar)
        model = fresh(work / "model.img", disk)
        run(*WCLAYER, "import", "-q", "-i", tar, f"disk:{model}//layer")
        run("wimlib-imagex", "capture", model, wim, "--compress=none", "--norpfix", "--quiet")

        (mine, image), (theirs, _) = rounds.versus(
            lambda place: run(*WCLAYER, "import", "-q", "-i", tar, f"disk:{fresh(place, disk)}//layer"),
            lambda place: run("wimlib-imagex", "apply", wim, "1", fresh(place, disk), "--quiet"),
        )
        rows.append(("import onto a disk", "wimlib-imagex apply", mine, theirs))
        (mine, _), (theirs, _) = rounds.versus(
            lambda place: run(*WCLAYER, "export", "-q", "-o", place, f"disk:{image}//layer"),
            lambda place: run("wimlib-imagex", "capture", image, place, "--compress=none", "--norpfix", "--quiet"),
        )
        rows.append(("export from a disk", "wimlib-imagex capture", mine, theirs))

        files = small_files(tar, options.files)

        def plainly(action: Callable[[str, list[File]], None], place: Path, *, writable: bool) -> None:
            with mounted_volume(place, writable=writable) as root:
                action(root, files)

        (mine, image), (theirs, plain) = rounds.versus(
            lambda place: run(*WCLAYER, "import", "-q", "-i", tar, f"disk:{fresh(place, disk)}//layer"),
            lambda place: plainly(write_plainly, fresh(place, disk), writable=True),
        )
        rows.append((f"import {options.files:,} files", "bare setxattr", mine, theirs))
        (mine, _), (theirs, _) = rounds.versus(
            lambda place: run(*WCLAYER, "export", "-q", "-o", place, f"disk:{image}//layer"),
            lambda _: plainly(read_plainly, plain, writable=False),
        )
        rows.append((f"export {options.files:,} files", "bare getxattr", mine, theirs))
    print(f"{'wclayer':20} {'beside':22} {'wclayer s':>10} {'other s':>10} {'ratio':>7}")
    for what, other, mine, theirs in rows:
        print(f"{what:20} {other:22} {mine:10.2f} {theirs:10.2f} {mine / theirs:7.2f}")
    record(
        "ntfs",
        size=options.size,
        files=options.files,
        rows=[
            {"what": what, "beside": other, "seconds": round(mine, 3), "other": round(theirs, 3)}
            for what, other, mine, theirs in rows
        ],
    )


if __name__ == "__main__":
    main()
