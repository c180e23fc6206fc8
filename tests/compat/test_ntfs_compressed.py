"""Files that NTFS has compressed: what their run lists leave out is no hole, also where they are sparse."""

from __future__ import annotations

import io
import os
import random
import struct
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from tests.compat import ntfs
from tests.compat.tools import tool

SIZE = 32 << 20
UNIT = 64 << 10  # bytes that NTFS compresses together


@pytest.fixture(autouse=True)
def _tools() -> None:
    for program in ("ntfs-3g", "ntfsinfo", "mkntfs"):
        tool(program)


def set_attributes(path: Path, attributes: int) -> None:
    os.setxattr(path, "system.ntfs_attrib", struct.pack("<I", attributes))


def mark_sparse(image: Path, number: int) -> None:
    """FILE_ATTRIBUTE_SPARSE_FILE in $STANDARD_INFORMATION: of a file with a sparse stream, say; ntfs-3g sets it not."""
    data = bytearray(image.read_bytes())
    record = struct.unpack_from("<Q", data, 0x30)[0] * 4096 + number * 1024
    assert data[record : record + 4] == b"FILE"
    assert struct.unpack_from("<I", data, record + 0x2C)[0] == number
    at = record + struct.unpack_from("<H", data, record + 0x14)[0]
    assert struct.unpack_from("<I", data, at)[0] == 0x10  # $STANDARD_INFORMATION
    place = at + struct.unpack_from("<H", data, at + 0x14)[0] + 0x20
    (attributes,) = struct.unpack_from("<I", data, place)
    assert attributes & 0xA00 == 0x800
    struct.pack_into("<I", data, place, attributes | 0x200)
    image.write_bytes(data)


@pytest.mark.parametrize("sparse", [False, True])
def test_nothing_of_a_compressed_file_is_lost(tmp_path: Path, sparse: bool) -> None:
    image = ntfs.volume(tmp_path / "v.img", SIZE)
    noise = random.Random(7).randbytes
    content = b"".join((b"text " * UNIT)[:UNIT] + noise(4096) + bytes(UNIT - 4096) for _ in range(4)) + b"end"
    with ntfs.mounted(image, options=ntfs.OPTIONS + ",compression") as place:
        folder = place / "base/Files"
        folder.mkdir(parents=True)
        set_attributes(folder, 0x810)
        (folder / "f").write_bytes(content)
        number = (folder / "f").stat().st_ino
        assert (folder / "f").stat().st_blocks * 512 < len(content) // 2
    if sparse:
        mark_sparse(image, number)
    with ntfs.mounted(image) as place:
        command = [sys.executable, "-m", "wclayer", "export", str(place / "base")]
        done = subprocess.run(command, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as tar:
        member = tar.getmember("Files/f")
        stream = tar.extractfile(member)
        assert stream is not None
        assert stream.read() == content
    attributes = int(member.pax_headers["MSWINDOWS.fileattr"])
    assert attributes & 0xA00 == (0xA00 if sparse else 0x800)
