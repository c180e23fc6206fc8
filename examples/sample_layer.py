"""Generate layers to try wclayer on: shaped like a real nanoserver, with contents made from nothing.

    python examples/sample_layer.py layer.tar             a small base layer with something of everything
    python examples/sample_layer.py --nanoserver big.tar  1,350 directories, 5,164 files, 3,774 hard links, 458 MB

The numbers of the latter are those of nanoserver ltsc2025 (26100.33158), extended
attributes and distinct security descriptors too. Same arguments, same bytes.
"""

from __future__ import annotations

import argparse
import io
import random
import struct
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from wclayer.body import BytesBody, StreamBody
from wclayer.entry import AlternateStream, Body, Directory, Entry, ExtendedAttribute, File, HardLink
from wclayer.layertar.writer import TarWriter
from wclayer.regf.bcd import minimal_bcd
from wclayer.regf.minimal import minimal_hive
from wclayer.win32.reparse import build_link
from wclayer.win32.sddl import parse_sddl

DIRECTORIES, FILES, LINKS, SIZE = 1_350, 5_164, 3_774, 458_000_000
DESCRIPTORS, ATTRIBUTES = 600, 981
EPOCH_2024 = 133485408000000000  # 2024-01-01 as a FILETIME
# What every nanoserver has under the same names: the first directories, the first files, the hives.
KNOWN_DIRECTORIES = (
    "Windows",
    "Windows/System32",
    "Windows/System32/config",
    "Windows/System32/drivers",
    "Windows/System32/drivers/etc",
    "Program Files",
    "ProgramData",
    "Users",
    "Users/Public",
)
KNOWN_FILES = (
    "Windows/System32/drivers/etc/hosts",
    "Windows/System32/cmd.exe",
    "Windows/System32/netapi32.dll",
    "License.txt",
)
HIVES = ("DEFAULT", "SAM", "SECURITY", "SOFTWARE", "SYSTEM")

_BOOT = "UtilityVM/Files/EFI/Microsoft/Boot"


def descriptors(count: int) -> list[bytes]:
    """`count` distinct descriptors, of the sizes that real ones have: TrustedInstaller's, with a service's SID each."""
    owner = "O:S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464"
    found = [parse_sddl(f"{owner}G:SYD:PAI(A;;FA;;;BA)(A;;0x1200a9;;;BU)(A;;0x1200a9;;;SY)")]
    while len(found) < count:
        service = f"S-1-5-80-{len(found)}-3418522649-1831038044-1853292631-2271478464"
        found.append(parse_sddl(f"{owner}G:SYD:PAI(A;;FA;;;{service})(A;;0x1200a9;;;BU)(A;;0x1200a9;;;SY)"))
    return found


class Content:
    """`size` bytes that compress about as well as programs do, made as they are read."""

    def __init__(self, seed: int, size: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 # no secret
        self._left = size
        self._words = [self._random.randbytes(16) for _ in range(64)]

    def read(self, n: int) -> bytes:
        n = min(n, self._left, 1 << 16)
        self._left -= n
        noise = self._random.randbytes(n // 4)
        return (noise + b"".join(self._random.choices(self._words, k=n // 16 + 1)) * 2)[:n]


def times(number: int) -> dict[str, Any]:
    time = EPOCH_2024 + number * 10_000_019
    return {
        "creation_time": time,
        "last_access_time": time + 3,
        "last_write_time": time + 7_654_321,
        "change_time": time + 9,
    }


def small() -> Iterator[tuple[Entry, Body | None]]:
    """A base layer with one of each: metadata, streams, links, junctions, holes, other reparse points."""
    sd = descriptors(3)

    def directory(path: str, number: int = 0, **more: Any) -> tuple[Entry, None]:
        return Directory(path, security_descriptor=sd[0], **times(number), **more), None

    def file(path: str, data: bytes, number: int, **more: Any) -> tuple[Entry, Body]:
        return File(path, size=len(data), **{"security_descriptor": sd[1], **times(number), **more}), BytesBody(data)

    yield directory("Files")
    yield file("Files/License.txt", b"free\r\n", 1)
    yield AlternateStream("Files/License.txt", "Zone.Identifier", 26), BytesBody(b"[ZoneTransfer]\r\nZoneId=3\r\n")
    yield directory("Files/Program Files", 2)
    yield directory("Files/Program Files/App", 3, extended_attributes=(ExtendedAttribute(b"$KERNEL.TAG", b"\1\2"),))
    yield file(
        "Files/Program Files/App/app.exe",
        b"MZ" + bytes(5000),
        4,
        extended_attributes=(ExtendedAttribute(b"$CI.CATALOGHINT", b"\1\0\4\0hint", 0x80),),
    )
    yield HardLink("Files/Program Files/App/same.exe", "Files/Program Files/App/app.exe", **times(4)), None
    disk = bytearray(1 << 20)
    disk[: 1 << 12] = disk[-(1 << 12) :] = b"\xaa" * (1 << 12)
    holes = ((0, 1 << 12), ((1 << 20) - (1 << 12), 1 << 12))
    sparse = File("Files/disk.img", file_attributes=0x220, size=len(disk), security_descriptor=sd[2], **times(5))
    yield sparse, StreamBody(len(disk), io.BytesIO(disk).read, holes)
    yield file("Files/empty", b"", 6, data_stream=False)
    link = build_link("App\\app.exe", False)
    yield File("Files/Program Files/link.exe", 0x420, reparse_data=link, data_stream=False, **times(7)), None
    junction = build_link("C:\\Program Files", True)
    yield directory("Files/Programme", 8, file_attributes=0x410, reparse_data=junction)
    wof = struct.pack("<IHHIIIIII", 0x80000017, 24, 0, 1, 2, 1, 4, 0, 0)
    yield file("Files/compressed.dll", b"as it is on disk", 9, file_attributes=0x420, reparse_data=wof)
    yield directory("Files/Names", 10)
    for name in ("日本語.txt", "unpaired \ud800 surrogate"):
        yield file(f"Files/Names/{name}", name.encode("utf-8", "replace"), 11)
    for path in ("Files/Windows", "Files/Windows/System32", "Files/Windows/System32/config"):
        yield directory(path, 12)
    for name in HIVES:
        yield file(f"Files/Windows/System32/config/{name}", minimal_hive(EPOCH_2024), 13)
    for number, path in enumerate(parents_of(f"{_BOOT}/BCD")):
        yield directory(path, 20 + number)
    yield file(f"{_BOOT}/BCD", minimal_bcd(EPOCH_2024), 30)


def parents_of(path: str) -> list[str]:
    parts = path.split("/")[:-1]
    return ["/".join(parts[: n + 1]) for n in range(len(parts))]


def iter_read(data: bytes) -> object:
    position = 0

    def read(n: int) -> bytes:
        nonlocal position
        part = data[position : position + n]
        position += len(part)
        return part

    return read


def nanoserver(size: int = SIZE, content: Path | None = None) -> Iterator[tuple[Entry, Body | None]]:
    """A base layer of nanoserver's shape; `size` bytes in all, cut from the files in the folder `content`, if given."""
    cut = None if content is None else cut_from(content)
    rng = random.Random(26100)  # noqa: S311 # no secret
    sd = descriptors(DESCRIPTORS)
    weights = [rng.paretovariate(1.1) for _ in range(FILES)]
    scale = size / sum(weights)
    directories = ["Files"]
    yield Directory("Files", security_descriptor=sd[0], **times(0)), None
    utility_vm = parents_of(f"{_BOOT}/BCD")
    for number in range(1, DIRECTORIES - len(utility_vm)):
        parent = rng.choice(directories[-200:]) if number > 20 else "Files"
        above = parent if parent.count("/") < 9 else "Files"
        path = f"{above}/{rng.choice(('Windows', 'amd64', 'System32', 'en-US'))}-{number}"
        if number <= len(KNOWN_DIRECTORIES):
            path = f"Files/{KNOWN_DIRECTORIES[number - 1]}"
        directories.append(path)
        yield Directory(path, security_descriptor=sd[number % DESCRIPTORS], **times(number)), None
    targets: list[tuple[str, int]] = []
    for number in range(FILES - 1):  # the last is the boot store
        path = f"{rng.choice(directories)}/component_{number:05}_31bf3856ad364e35.dll"
        length = int(weights[number] * scale)
        hive: bytes | None = None
        if number < len(KNOWN_FILES):
            path = f"Files/{KNOWN_FILES[number]}"
        elif number < len(KNOWN_FILES) + len(HIVES):
            path = f"Files/Windows/System32/config/{HIVES[number - len(KNOWN_FILES)]}"
            hive = minimal_hive(EPOCH_2024)
            length = len(hive)
        eas: tuple[ExtendedAttribute, ...] = ()
        if number < ATTRIBUTES:
            eas = (ExtendedAttribute(b"$CI.CATALOGHINT", b"\1\0\x62\0" + rng.randbytes(98)),)
        file = File(
            path,
            size=length,
            data_stream=length > 0,
            security_descriptor=sd[number % DESCRIPTORS],
            extended_attributes=eas,
            **times(number),
        )
        if hive is not None:
            yield file, BytesBody(hive)
        else:
            yield file, StreamBody(length, Content(number, length).read) if cut is None else BytesBody(cut(length))
        targets.append((path, number))
    for number in range(LINKS):
        target, of = targets[number % len(targets)]
        yield HardLink(f"{rng.choice(directories)}/link_{number:05}.dll", target, **times(of)), None
    for number, path in enumerate(utility_vm):
        yield Directory(path, security_descriptor=sd[0], **times(number + 1)), None
    store = minimal_bcd(EPOCH_2024)
    boot = File(f"{_BOOT}/BCD", size=len(store), security_descriptor=sd[1], **times(FILES))
    yield boot, BytesBody(store)


def cut_from(folder: Path) -> Callable[[int], bytes]:
    """A function that gives the next n bytes of the files in `folder`, in the order of their paths, over and over."""

    def chunks() -> Iterator[bytes]:
        while True:
            for path in paths:
                yield path.read_bytes()

    paths = sorted(path for path in folder.rglob("*") if path.is_file() and path.stat().st_size)
    if not paths:
        raise SystemExit(f"{folder}: no files to cut from")
    source, held = chunks(), b""

    def cut(n: int) -> bytes:
        nonlocal held
        parts = [held]
        have = len(held)
        while have < n:
            parts.append(next(source))
            have += len(parts[-1])
        data = b"".join(parts)
        held = data[n:]
        return data[:n]

    return cut


def write(stream: BinaryIO, entries: Iterator[tuple[Entry, Body | None]]) -> None:
    with TarWriter(stream) as writer:
        for entry, body in entries:
            writer.add(entry, body)
        writer.commit()


def main() -> None:
    parser = argparse.ArgumentParser(description="Generate a Windows base layer.")
    parser.add_argument("tar", help="where to write it; - is stdout")
    parser.add_argument("--nanoserver", action="store_true", help="of nanoserver's shape and size")
    parser.add_argument("--size", type=int, default=SIZE, help="bytes of data, with --nanoserver")
    parser.add_argument("--content", type=Path, help="a folder of files to cut the data from, with --nanoserver")
    options = parser.parse_args()
    entries = nanoserver(options.size, options.content) if options.nanoserver else small()
    if options.tar == "-":
        write(sys.stdout.buffer, entries)
        return
    with open(options.tar, "wb") as stream:
        write(stream, entries)


if __name__ == "__main__":
    main()
