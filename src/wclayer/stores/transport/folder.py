r"""Transport folders: what Windows' ImportLayer takes and its ExportLayer gives, in between a tar and a layer.

    Files\...          a file is 4 bytes of attributes (little-endian) and its Win32 backup stream
    Files\d.$wcidirs$  the same of the directory Files\d, and Files.$wcidirs$ of Files itself
    Hives\*            files as they are; Hives.$wcidirs$
    tombstones.txt     the whiteouts, of what ExportLayer has made; ImportLayer must not find it

The times are those of these files. There are no hard links and no utility VM: who calls
ImportLayer makes those afterwards. What the folder cannot hold is in a record beside it,
`NAME.layer.db`, as nothing else may be in the folder. The sources of all this are
hcsshim's internal/wclayer/legacy.go and what it passes to vmcompute.dll.

Here is what making and reading one have in common.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from typing import Final

from ...errors import FormatError, LayerError, WclayerError, with_context
from ...host.errors import shown
from ...union.rules import FILES, HIVES
from ...win32.names import check_component, decode_wtf8, encode_wtf8, upcase
from ..atomic import BESIDE
from ..record.reader import RecordReader
from ..root.root import Root

__all__ = [
    "ATTRIBUTES",
    "STORE",
    "SUFFIX",
    "TIE",
    "TOMBSTONES",
    "TransportFolder",
    "belongs",
    "in_hives",
    "is_transport",
    "read_tombstones",
    "record_of",
    "tie_of",
    "tombstones_text",
]

STORE: Final = "transport"
SUFFIX: Final = b".$wcidirs$"
TOMBSTONES: Final = b"tombstones.txt"
ATTRIBUTES: Final = struct.Struct("<I")
TIE: Final = "tie"  # in the record's table layer: which folder it belongs to

_ROOT_CONTENT: Final = FILES.encode() + SUFFIX
_HIVES_CONTENT: Final = HIVES.encode() + SUFFIX
_VERSION: Final = b"\xef\xbb\xbfVersion 1.0"
_MAX_LINE: Final = 3 * 32767 + 16  # bytes: Windows' longest path in UTF-8


@dataclass(frozen=True, slots=True)
class TransportFolder(os.PathLike[str]):
    """The path of a transport folder, to be given where the path of a layer folder is taken."""

    path: str | os.PathLike[str]

    def __fspath__(self) -> str:
        return os.fspath(self.path)


def record_of(folder: bytes) -> bytes:
    """Where the record of the folder at an absolute host path lies."""
    return folder + BESIDE


def is_transport(folder: bytes) -> bool:
    """Does it look like a transport folder?"""
    return any(os.path.lexists(os.path.join(folder, name)) for name in (_ROOT_CONTENT, _HIVES_CONTENT, TOMBSTONES))


def tie_of(folder: bytes) -> str | None:
    """What a record says of its folder: no other one has it, not even a copy. None if the folder has nothing to say."""
    try:
        found = os.lstat(os.path.join(folder, _ROOT_CONTENT))
    except OSError:
        return None
    return f"{found.st_ino}.{found.st_ctime_ns}"


def belongs(folder: bytes, record: bytes) -> bool:
    """Is the record at one host path certainly that of the folder at another?"""
    tie = tie_of(folder)
    try:
        reader = RecordReader(record)
    except (OSError, WclayerError):
        return False
    try:
        return tie is not None and reader.values.get(TIE) == tie
    finally:
        reader.close()


def in_hives(path: str) -> bool:
    """Is it one of the files of Hives, which have no attributes and streams here?"""
    return path.startswith(f"{HIVES}/")


def tombstones_text(paths: list[str]) -> bytes:
    """The content of tombstones.txt, with Windows' line ends; paths: of whiteouts, below Files."""
    lines = [_VERSION, *(encode_wtf8(path.removeprefix(FILES).replace("/", "\\")) for path in paths)]
    return b"".join(line + b"\r\n" for line in lines)


def read_tombstones(root: Root) -> list[str] | None:
    """The paths of the whiteouts in tombstones.txt, in its order; None if there is none. Raises LayerError."""
    try:
        fd = root.open(TOMBSTONES)
    except FileNotFoundError:
        return None
    name = shown(TOMBSTONES)
    paths: dict[str, str] = {}
    with os.fdopen(fd, "rb") as file:
        first = file.readline(_MAX_LINE).rstrip(b"\n").removesuffix(b"\r")
        if first != _VERSION:
            raise LayerError(
                "not the tombstones that Windows writes",
                path=name,
                expected="UTF-8 with a mark, and Version 1.0 in its first line",
                got=repr(first[:40]),
            )
        number = 1
        while line := file.readline(_MAX_LINE):
            number += 1
            path = _whiteout(line.rstrip(b"\n").removesuffix(b"\r"), f"{name}, line {number:,}")
            if paths.setdefault(upcase(path), path) is not path:
                raise LayerError("two whiteouts of one name", path=f"{name}, line {number:,}", got=path)
    return list(paths.values())


def _whiteout(line: bytes, place: str) -> str:
    """The path of a whiteout, of a line without its end."""
    if not line.startswith(b"\\"):
        raise LayerError("no path of a whiteout", path=place, expected="\\PATH, below Files", got=repr(line[:40]))
    with with_context(path=place, only=FormatError):
        parts = [decode_wtf8(part) for part in line[1:].split(b"\\")]
        for part in parts:
            check_component(part)
    return "/".join((FILES, *parts))
