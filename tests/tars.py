"""Layer tars that other tools make: Python's tarfile, and raw blocks."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass
class M:
    """One member for `build`; `type` is a tar type, with "" for a plain file."""

    name: str
    data: bytes = b""
    type: str = "0"
    link: str = ""
    pax: dict[str, str] = field(default_factory=dict)
    mode: int = 0o644
    mtime: float = 1_600_000_000


def directory(name: str, **pax: str) -> M:
    return M(name, type="5", mode=0o755, pax={"MSWINDOWS.fileattr": "16", **pax})


BASE = (directory("Files"), directory("Files/dir"))


def build(members: Iterable[M], format: int = tarfile.PAX_FORMAT) -> bytes:  # noqa: A002 # tarfile's own word
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w", format=format, errors="surrogateescape") as tar:
        for member in members:
            info = tarfile.TarInfo(member.name)
            info.type = member.type.encode()
            info.linkname, info.mode, info.mtime = member.link, member.mode, member.mtime
            info.size = len(member.data)
            info.pax_headers = member.pax
            tar.addfile(info, io.BytesIO(member.data))
    return output.getvalue()


def header(name: bytes = b"f", size: bytes = b"00000000000", typeflag: bytes = b"0", **fields: bytes) -> bytes:
    """A raw USTAR block with a right checksum; `fields` are name=bytes of fixed places."""
    block = bytearray(512)
    block[: len(name)] = name
    block[100:108] = b"0100000\0"
    block[108:116] = block[116:124] = b"0000000\0"
    block[124 : 124 + len(size)] = size
    block[136:148] = b"13727410000\0"
    block[156:157] = typeflag
    block[257:265] = b"ustar\x0000"
    for key, value in fields.items():
        place = {"linkname": 157, "magic": 257, "mtime": 136, "prefix": 345, "mode": 100, "atime": 345}[key]
        block[place : place + len(value)] = value
    block[148:156] = b"        "
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def pax_header(body: bytes, typeflag: bytes = b"x") -> bytes:
    return header(b"PaxHeaders.0/f", b"%011o" % len(body), typeflag) + body + bytes(-len(body) % 512)


END = bytes(1024)
