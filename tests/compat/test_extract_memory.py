"""One file out of the middle of a gzip layer of 1 GiB: under 100 MB of memory, and nothing is read beyond it.

Measured on two processors: 39 MB and 2.0 s; of the blob of 546 MB the 273 MB up to the file's end and 0.1 to 0.9 MB
more, the pipe's own 64 KiB among them. At most sixteen chunks of 256 KiB are read ahead, decompressed (layertar.ahead).
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import subprocess
import sys
import tarfile
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="resource usage and named pipes of POSIX")

LIMIT = 100_000_000
AHEAD = 6 << 20  # bytes of the blob that may be read beyond the file: see layertar.ahead
HALF = 512 << 20
CONTENT = random.Random(1).randbytes(1_000_003)
MEASURE = """
import json, resource, subprocess, sys
done = subprocess.run(sys.argv[1:], check=True, stdout=subprocess.PIPE)
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
print(json.dumps({"peak": peak, **json.loads(done.stdout)}))
"""


class Layer(NamedTuple):
    path: Path
    file: int  # where in the blob the file in the middle ends
    size: int


def header(name: str, size: int, kind: bytes = tarfile.REGTYPE) -> bytes:
    info = tarfile.TarInfo(name)
    info.size, info.type, info.mtime = size, kind, 1_600_000_000
    return info.tobuf(tarfile.USTAR_FORMAT)


def pieces() -> Iterator[bytes]:
    """Half a gibibyte that compresses to a half: a member is made once, and stands there many times."""
    noise = random.Random(2)
    plain = b"".join(noise.randbytes(512) + bytes(512) for _ in range(4096))  # 4 MiB
    packer = zlib.compressobj(1, wbits=31)
    member = packer.compress(plain) + packer.flush()
    for _ in range(HALF // len(plain)):
        yield member


def packed(data: bytes) -> bytes:
    packer = zlib.compressobj(1, wbits=31)
    return packer.compress(data) + packer.flush()


@pytest.fixture(scope="module")
def layer(tmp_path_factory: pytest.TempPathFactory) -> Layer:
    path = tmp_path_factory.mktemp("big") / "layer.tar.gz"
    with open(path, "wb") as file:
        file.write(packed(header("Files", 0, tarfile.DIRTYPE) + header("Files/before.bin", HALF)))
        file.writelines(pieces())
        middle = header("Files/middle.bin", len(CONTENT)) + CONTENT + bytes(-len(CONTENT) % 512)
        file.write(packed(middle))
        end = file.tell()
        file.write(packed(header("Files/after.bin", HALF)))
        file.writelines(pieces())
        file.write(packed(bytes(1024)))
        return Layer(path, end, file.tell())


def extract(place: str, out: Path, limit: int = LIMIT) -> int:
    """Extract the file in the middle; the peak of memory, in bytes."""
    command = [sys.executable, "-m", "wclayer", "extract", "--json", f"{place}//files/MIDDLE.bin", "-o", str(out)]
    done = subprocess.run([sys.executable, "-c", MEASURE, *command], stdout=subprocess.PIPE, check=True, timeout=120)
    found = json.loads(done.stdout)
    assert (found["files"], found["bytes"], found["left_out"]) == (1, len(CONTENT), {})
    assert hashlib.sha256((out / "middle.bin").read_bytes()).digest() == hashlib.sha256(CONTENT).digest()
    peak = found["peak"]
    assert isinstance(peak, int)
    assert peak < limit
    return peak


def test_memory(tmp_path: Path, layer: Layer) -> None:
    assert layer.size > 512 << 20
    extract(str(layer.path), tmp_path / "out")


def test_what_comes_after_the_file_does_not_matter(tmp_path: Path, layer: Layer) -> None:
    """It is no gzip any more from a few MiB after the file on."""
    broken = tmp_path / "broken.tar.gz"
    with open(layer.path, "rb") as whole, open(broken, "wb") as part:
        left = layer.file + AHEAD
        while left and (data := whole.read(min(left, 1 << 20))):
            part.write(data)
            left -= len(data)
        part.write(b"\xff" * (1 << 20))
    extract(str(broken), tmp_path / "out")
    done = subprocess.run(["gzip", "-t", broken], stderr=subprocess.DEVNULL, check=False)
    assert done.returncode == 1


def test_reading_stops_at_the_file(tmp_path: Path, layer: Layer) -> None:
    """Out of a named pipe: what its writer gets rid of is what has been read, and what fits into the pipe."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    written: list[int] = []

    def feed() -> None:
        done = 0
        with open(layer.path, "rb") as whole, open(fifo, "wb", buffering=0) as pipe:
            try:
                while data := whole.read(1 << 16):
                    done += pipe.write(data)
            except BrokenPipeError:
                pass
        written.append(done)

    thread = threading.Thread(target=feed)
    thread.start()
    command = f'exec "{sys.executable}" -m wclayer extract -//Files/middle.bin -o "{tmp_path / "out"}" < "{fifo}"'
    subprocess.run(["sh", "-c", command], check=True, timeout=120, stdout=subprocess.DEVNULL)
    thread.join(60)
    assert (tmp_path / "out" / "middle.bin").read_bytes() == CONTENT
    assert layer.file <= written[0] <= layer.file + AHEAD
    assert written[0] < layer.size * 0.52
