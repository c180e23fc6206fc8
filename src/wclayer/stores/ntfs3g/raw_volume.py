"""What ntfs-3g does not show of a file, read from the volume itself by the programs that come with it.

- `ntfscat`: the data of a file that the driver shows as a symlink, socket or device: a reparse
  point with data, or what looks like one of Interix's special files.
- `ntfsinfo`: which ranges of a sparse file are allocated; the short name of a file that has several names; the names
  of streams where they are longer together than an extended attribute can be.

Both read the device of a mounted volume, to which the driver writes without delay.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Generator, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import BinaryIO, Final

from ...body import CHUNK
from ...errors import StorageError, UnsupportedError
from ...host.errors import host_errors
from ...host.programs import find_program, last_line
from ...win32.names import decode_wtf8, encode_wtf8, to_utf16

__all__ = ["RawVolume", "ShortName"]

_CLUSTER: Final = re.compile(rb"\tCluster Size: (\d+)")
_ATTRIBUTE: Final = re.compile(rb"Dumping attribute (\$\w+) ")
_NAME_LENGTH: Final = re.compile(rb"\tName length:\t+ (\d+) ")
_NAME: Final = re.compile(rb"\tAttribute name:\t+ '(.*)'")
_NAME_START: Final = re.compile(rb"\tAttribute name:\t+ '")
_FLAGS: Final = re.compile(rb"\tAttribute flags:\t+ 0x([0-9a-f]+)")
_PARENT: Final = re.compile(rb"\tParent directory:\t+ (\d+) ")
_NAMESPACE: Final = re.compile(rb"\tNamespace:\t+ (\S+)")
_FILE_NAME: Final = re.compile(rb"\tFilename:\t+ '(.*)'")
_RUN: Final = re.compile(rb"\t\t\t0x([0-9a-f]+)\t+(\S+)\t+0x([0-9a-f]+)")
_MORE: Final = re.compile(rb"Dumping attribute \$INDEX_ALLOCATION ")
_ENTRIES: Final = re.compile(rb"\tIndex entries total:\t (\d+)")
_COMPRESSED: Final = 0x00FF  # ATTR_COMPRESSION_MASK
_LOCKED: Final = b"temporarily unavailable"
# The programs' own locale is a parameter of theirs: names are shown in it.
_ENVIRONMENT: Final = {"LC_ALL": "C.UTF-8", "PATH": os.defpath}


@dataclass(frozen=True, slots=True)
class ShortName:
    """A short name, and which of a file's names has it: the number of its directory, and the name on the host."""

    text: str
    parent: int
    name: bytes


class RawVolume:
    """The volume on `device`, a host path; None where that is not known. The driver may have it mounted.

    Methods raise UnsupportedError where the program or the device is missing, StorageError if it fails.
    """

    def __init__(self, device: bytes | None) -> None:
        self._device = device
        self._cluster = 0

    def data(self, inode: int, path: str, name: str = "") -> Generator[bytes, None, None]:
        """The data of the file with that number, or of a named stream, in pieces; `path` is the entry's, for errors."""
        stream = (b"--attribute-name", encode_wtf8(name)) if name else ()
        with self._running(path, "ntfscat", b"--inode", b"%d" % inode, *stream) as output:
            while chunk := output.read(CHUNK):
                yield chunk

    def extents(self, inode: int, size: int, path: str, stream: str = "") -> tuple[tuple[int, int], ...] | None:
        """The allocated (offset, length) of a file's data, or of a named stream's; None where it has no holes."""
        if not self._cluster:
            with self._running(path, "ntfsinfo", b"--mft") as lines:
                self._cluster = next((int(found[1]) for line in lines if (found := _CLUSTER.match(line))), 0)
        result: list[tuple[int, int]] = []
        holes = False
        with self._printed(inode, path) as lines:
            for start, length, hole in _runs(lines, encode_wtf8(stream)):
                offset, end = start * self._cluster, min((start + length) * self._cluster, size)
                if hole:
                    holes = True
                elif offset < end:
                    if result and sum(result[-1]) == offset:
                        offset = result.pop()[0]
                    result.append((offset, end - offset))
        return tuple(result) if holes else None

    def has_object_ids(self, path: str) -> bool:
        """Does any file have an object ID? True where that cannot be found out.

        They are in the index $O of $Extend/$ObjId, whose last entry is none.
        """
        try:
            with self._running(path, "ntfsinfo", b"--verbose", b"--file", b"/$Extend/$ObjId") as lines:
                return any(_MORE.match(line) or ((n := _ENTRIES.match(line)) and int(n[1]) > 1) for line in lines)
        except (UnsupportedError, StorageError):
            return True

    def short_name(self, inode: int, path: str) -> ShortName | None:
        """The short name of the file with that number; the driver does not tell it where a file has several names."""
        names: dict[bytes, tuple[int, bytes]] = {}  # by namespace
        parent, namespace = 0, b""
        with self._printed(inode, path) as lines:
            for line in lines:
                if (found := _PARENT.match(line)) is not None:
                    parent = int(found[1])
                elif (found := _NAMESPACE.match(line)) is not None:
                    namespace = found[1]
                elif (found := _FILE_NAME.match(line)) is not None:
                    names[namespace] = parent, found[1]
        if b"DOS" not in names or b"Win32" not in names:
            return None
        return ShortName(decode_wtf8(names[b"DOS"][1]), *names[b"Win32"])

    def streams(self, inode: int, path: str) -> list[str]:
        """The names of the named streams of the file with that number, in the order of the volume."""
        names: dict[str, None] = {}
        with self._printed(inode, path) as lines:
            inside, units = False, 0
            text: bytes | None = None  # of the name so far, which may have several lines
            for line in lines:
                if text is not None:
                    text += line
                elif (attribute := _ATTRIBUTE.match(line)) is not None:
                    inside = attribute[1] == b"$DATA"
                elif inside and (length := _NAME_LENGTH.match(line)) is not None:
                    units = int(length[1])
                elif inside and (start := _NAME_START.match(line)) is not None:
                    text = line[start.end() :]
                if text is not None and text.endswith(b"'\n"):
                    name = decode_wtf8(text[:-2])
                    if len(to_utf16(name)) == 2 * units:
                        names[name] = None  # once, where the volume has it in several records
                        text = None
        return list(names)

    def _printed(self, inode: int, path: str) -> AbstractContextManager[BinaryIO]:
        """All that ntfsinfo prints of the file with that number."""
        return self._running(path, "ntfsinfo", b"--verbose", b"--inode", b"%d" % inode)

    @contextmanager
    def _running(self, path: str, program: str, *arguments: bytes) -> Iterator[BinaryIO]:
        """The output of a program about the volume."""
        found = find_program(program, path)
        if self._device is None:
            raise UnsupportedError(
                "ntfs-3g does not show all of this file",
                path=path,
                expected="the device that the volume is on",
                hint="name the disk as disk:IMAGE//DIR",
            )
        with host_errors(path):
            process = subprocess.Popen(  # noqa: S603 # a program that comes with ntfs-3g
                [os.fsencode(found), b"--force", *arguments, self._device],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=_ENVIRONMENT,
            )
        assert process.stdout is not None  # noqa: S101 # for mypy
        with process:
            try:
                yield process.stdout  # type: ignore[misc]
            except BaseException:
                process.kill()
                raise
            _, said = process.communicate()
        if process.returncode:
            raise StorageError(
                f"{program} cannot read it from the volume: {last_line(said) or process.returncode}",
                path=path,
                hint="an ntfs-3g in the foreground (no_detach) lets nobody else read" if _LOCKED in said else None,
            )


def _runs(lines: BinaryIO, stream: bytes) -> Iterator[tuple[int, int, bool]]:
    """The (first cluster, clusters, is a hole) of one $DATA attribute in what ntfsinfo prints, in their order.

    None of a compressed one, where what looks like a hole is what compression has saved.
    """
    inside = False
    name: bytes | None = b""  # None: not known, as one of several lines is
    for line in lines:
        if (attribute := _ATTRIBUTE.match(line)) is not None:
            inside = attribute[1] == b"$DATA"
        elif inside and (length := _NAME_LENGTH.match(line)) is not None:
            name = None if int(length[1]) else b""
        elif inside and (found := _NAME.match(line)) is not None:
            name = found[1]
        elif inside and (flags := _FLAGS.match(line)) is not None:
            inside = not int(flags[1], 16) & _COMPRESSED
        elif inside and name == stream and (run := _RUN.match(line)) is not None:
            yield int(run[1], 16), int(run[3], 16), not run[2].startswith(b"0x")
