"""A tree with one of everything that an NTFS volume holds, written through ntfs-3g by plain system calls."""

from __future__ import annotations

import ctypes
import os
import random
import struct
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from tests.compat.ntfs_facts import DIRECTORY, REPARSE_POINT, SPARSE, Facts, Stream, stream_of

__all__ = ["enrich", "get_xattr", "set_xattr"]

_TIME = 133485408000000000  # 2024-01-01
_LAST = 2**63 - 1  # the last FILETIME that Windows takes
_FIRST_UNREPRESENTABLE = 92233720368547758 + 116444736000000000  # 2262: here nanoseconds since 1970 outgrow 64 bits
_ARCHIVE = 0x20
_SETTABLE = 0x3127  # and 0x800 of directories
_RELATIVE = 1
_GUID = bytes(range(0x40, 0x50))


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def set_xattr(path: bytes, name: str, value: bytes) -> None:
    """lsetxattr(2) as it is. Raises OSError."""
    if _libc().lsetxattr(path, name.encode(), value, ctypes.c_size_t(len(value)), 0):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), path, None, name)


def get_xattr(path: bytes, name: str) -> bytes:
    """lgetxattr(2) with room for 64 KiB: the driver answers EIO to Python's smaller buffer. Raises OSError."""
    buffer = ctypes.create_string_buffer(1 << 16)
    size = _libc().lgetxattr(path, name.encode(), buffer, ctypes.c_size_t(len(buffer)))
    if size < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), path, None, name)
    return buffer.raw[:size]


# --- descriptors, reparse points and EA lists, from [MS-DTYP] 2.4 and [MS-FSCC] 2.1.2, 2.4.16 -----


def _sid(authority: int, *parts: int) -> bytes:
    return struct.pack("<BB", 1, len(parts)) + authority.to_bytes(6, "big") + struct.pack(f"<{len(parts)}I", *parts)


SYSTEM, ADMINISTRATORS, USERS, EVERYONE = _sid(5, 18), _sid(5, 32, 544), _sid(5, 32, 545), _sid(1, 0)
INSTALLER = _sid(5, 80, 956008885, 3418522649, 1831038044, 1853292631, 2271478464)
LOW, HIGH = _sid(16, 0x1000), _sid(16, 0x3000)

_ALLOW, _DENY, _AUDIT, _LABEL = 0, 1, 2, 0x11
_INHERIT, _INHERITED, _ON_SUCCESS = 0x03, 0x10, 0x40
_ALL, _READ = 0x1F01FF, 0x1200A9
_DACL_PRESENT, _SACL_PRESENT, _AUTO, _PROTECTED, _SELF_RELATIVE = 0x0004, 0x0010, 0x0400, 0x1000, 0x8000


def _ace(kind: int, flags: int, mask: int, sid: bytes) -> bytes:
    return struct.pack("<BBHI", kind, flags, 8 + len(sid), mask) + sid


def _acl(*aces: bytes) -> bytes:
    return struct.pack("<BBHHH", 2, 0, 8 + sum(map(len, aces)), len(aces), 0) + b"".join(aces)


def _descriptor(
    control: int, dacl: bytes | None, sacl: bytes | None = None, owner: bytes = SYSTEM, group: bytes = SYSTEM
) -> bytes:
    offsets: list[int] = []
    body = b""
    for part in (owner, group, sacl, dacl):
        offsets.append(0 if part is None else 20 + len(body))
        body += part or b""
    return struct.pack("<BBHIIII", 1, 0, _SELF_RELATIVE | control, *offsets) + body


_PLAIN_DACL = _acl(_ace(_ALLOW, 0, _ALL, ADMINISTRATORS), _ace(_ALLOW, 0, _ALL, SYSTEM), _ace(_ALLOW, 0, _READ, USERS))
_PLAIN = _descriptor(_DACL_PRESENT, _PLAIN_DACL)
_FOLDER = _descriptor(
    _DACL_PRESENT | _AUTO,
    _acl(_ace(_ALLOW, _INHERIT, _ALL, SYSTEM), _ace(_ALLOW, _INHERIT | 8, 0x10000000, _sid(3, 0))),
    owner=ADMINISTRATORS,
)
_AUDITING = _acl(_ace(_AUDIT, _ON_SUCCESS, 0x10000, EVERYONE))
_DESCRIPTORS: Mapping[str, bytes] = {
    "installer": _descriptor(_DACL_PRESENT | _AUTO | _PROTECTED, _PLAIN_DACL, owner=INSTALLER, group=INSTALLER),
    "inherited": _descriptor(_DACL_PRESENT | _AUTO, _acl(_ace(_ALLOW, _INHERITED, _READ, USERS))),
    "deny": _descriptor(_DACL_PRESENT, _acl(_ace(_DENY, 0, 2, USERS), _ace(_ALLOW, 0, _ALL, EVERYONE))),
    "empty DACL": _descriptor(_DACL_PRESENT, _acl()),
    "null DACL": _descriptor(_DACL_PRESENT, None),
    "no DACL": _descriptor(0, None),
    "SACL": _descriptor(_DACL_PRESENT | _SACL_PRESENT, _PLAIN_DACL, _AUDITING),
    "label": _descriptor(_DACL_PRESENT | _SACL_PRESENT, _PLAIN_DACL, _acl(_ace(_LABEL, 0, 1, LOW))),
    "label and audit": _descriptor(
        _DACL_PRESENT | _SACL_PRESENT | 0x2000, None, _acl(_ace(_LABEL, 0, 3, HIGH), _ace(_AUDIT, 0xC0, 1, USERS))
    ),
    "long": _descriptor(_DACL_PRESENT, _acl(*(_ace(_ALLOW, 0, _READ, _sid(5, 21, 1, 2, 3, n)) for n in range(300)))),
    # Windows puts the DACL first, libraries the owner: both are kept as they are.
    "another order": struct.pack("<BBHIIII", 1, 0, 0x8004, 20 + len(_PLAIN_DACL), 32 + len(_PLAIN_DACL), 0, 20)
    + _PLAIN_DACL
    + SYSTEM
    + SYSTEM,
}


def _buffer(tag: int, data: bytes, reserved: int = 0, guid: bytes = b"") -> bytes:
    return struct.pack("<IHH", tag, len(data), reserved) + guid + data


def _link(substitute: str, shown: str | None = None, flags: int | None = _RELATIVE, reserved: int = 0) -> bytes:
    """A symlink, or with no flags a mount point."""
    first = substitute.encode("utf-16-le", "surrogatepass")
    second = first if shown is None else shown.encode("utf-16-le", "surrogatepass")
    data = struct.pack("<HHHH", 0, len(first), len(first) + 2, len(second))
    data += (b"" if flags is None else struct.pack("<I", flags)) + first + bytes(2) + second + bytes(2)
    return _buffer(0xA0000003 if flags is None else 0xA000000C, data, reserved)


_VOLUME = "\\??\\Volume{01234567-89ab-cdef-0123-456789abcdef}\\"
_ALIAS = "Some.App_8wekyb3d8bbwe\0Some.App_8wekyb3d8bbwe!App\0C:\\Apps\\app.exe\x000\0"
_FILE_REPARSE: Mapping[str, bytes] = {
    "relative symlink": _link("..\\sizes\\1"),
    "absolute symlink": _link("\\??\\C:\\Windows\\notepad.exe", "C:\\Windows\\notepad.exe", 0),
    "UNC symlink": _link("\\??\\UNC\\server\\share\\x", "\\\\server\\share\\x", 0),
    "symlink with slashes": _link("..\\a/b"),
    "symlink that shows another name": _link("\\??\\C:\\real", "C:\\shown", 0),
    "symlink with the reserved field": _link("x", reserved=77),
    "symlink to a lone surrogate": _link("x\ud800"),
    "app exec link": _buffer(0x8000001B, struct.pack("<I", 3) + _ALIAS.encode("utf-16-le")),
    "NFS without data": _buffer(0x80000014, b""),
    "LX symlink": _buffer(0xA000001D, struct.pack("<I", 2) + b"/etc/passwd"),
    "not Microsoft's": _buffer(0x00001234, b"whatever", guid=_GUID),
    "not Microsoft's, without data": _buffer(0x00001235, b"", guid=_GUID),
    "unknown": _buffer(0x8000F00D, b"\xff" * 16000),
}
_DIRECTORY_REPARSE: Mapping[str, bytes] = {
    "directory symlink": _link("..\\sizes"),
    "absolute directory symlink": _link("\\??\\C:\\Windows", "C:\\Windows", 0),
    "junction": _link("\\??\\C:\\Program Files", "C:\\Program Files", None),
    "junction to a volume": _link(_VOLUME, "", None),
    "junction that shows its volume": _link(_VOLUME, _VOLUME, None),
}


def _ea_list(eas: Mapping[bytes, tuple[int, bytes]]) -> bytes:
    """As the driver wants it: also the last entry points to where it ends."""
    result = b""
    for name, (flags, value) in eas.items():
        entry = struct.pack("<BBH", flags, len(name), len(value)) + name + b"\0" + value
        entry += bytes(-(4 + len(entry)) % 4)
        result += struct.pack("<I", 4 + len(entry)) + entry
    return result


# --- the tree --------------------------------------------------------------------


def _wtf8(name: str) -> bytes:
    return name.encode("utf-8", "surrogatepass")


class _Tree:
    """Writes below a mount and keeps what it wrote."""

    def __init__(self, mount: Path) -> None:
        self._mount = os.fsencode(mount) + b"/"
        self._times: dict[str, tuple[int, int, int]] = {}
        self.facts: dict[str, Facts] = {}

    def directory(self, path: str, attributes: int = 0, **more: Any) -> None:
        os.mkdir(self._place(path))
        self._describe(path, attributes | DIRECTORY, None, **more)

    def file(
        self, path: str, data: bytes = b"", attributes: int = _ARCHIVE, *, links: Iterable[str] = (), **more: Any
    ) -> None:
        with open(self._place(path), "xb") as file:
            file.write(data)
        self._describe(path, attributes, stream_of(data), links=links, **more)

    def sparse(self, path: str, size: int, parts: Mapping[int, bytes], holes: tuple[tuple[int, int], ...]) -> None:
        """A sparse file, with a sparse stream of the same content."""
        for place in (path, path + ":sparse"):
            with open(self._place(place), "xb") as file:
                for offset, data in parts.items():
                    file.seek(offset)
                    file.write(data)
                file.truncate(size)
        content = bytearray(size)
        for offset, data in parts.items():
            content[offset : offset + len(data)] = data
        stream = stream_of(bytes(content), holes)
        self._describe(path, _ARCHIVE | SPARSE, stream, written={"sparse": stream})

    def finish(self) -> None:
        """The directories' times, which entries made in them have changed."""
        for path, times in self._times.items():
            set_xattr(self._place(path), "system.ntfs_times", struct.pack("<QQQ", *times))

    def _place(self, path: str) -> bytes:
        return self._mount + _wtf8(path)

    def _describe(
        self,
        path: str,
        attributes: int,
        data: Stream | None,
        *,
        descriptor: bytes | None = None,
        times: tuple[int, int, int] | None = None,
        streams: Mapping[str, bytes] | None = None,
        written: Mapping[str, Stream] | None = None,
        eas: Mapping[bytes, tuple[int, bytes]] | None = None,
        object_id: bytes | None = None,
        short_name: str | None = None,
        links: Iterable[str] = (),
        reparse: bytes | None = None,
    ) -> None:
        place = self._place(path)
        number = len(self.facts)
        directory = bool(attributes & DIRECTORY)
        descriptor = descriptor or (_FOLDER if directory else _PLAIN)
        times = times or (_TIME + number * 10_000_019, _TIME + number * 7_654_321, _TIME - number * 3 - 1)
        for name, content in (streams or {}).items():
            with open(place + b":" + _wtf8(name), "xb") as file:
                file.write(content)
        set_xattr(place, "system.ntfs_acl", descriptor)
        if eas:
            set_xattr(place, "system.ntfs_ea", _ea_list(eas))
        if object_id is not None:
            set_xattr(place, "system.ntfs_object_id", object_id)
        if short_name is not None:
            set_xattr(place, "system.ntfs_dos_name", _wtf8(short_name))  # refused once there are hard links
        for link in links:
            os.link(place, self._place(link))
        set_xattr(place, "system.ntfs_attrib", struct.pack("<I", attributes))
        # Creation, last write, last access; the change time, a fourth, is read only.
        set_xattr(place, "system.ntfs_times", struct.pack("<QQQ", *times))
        if directory and reparse is None:
            self._times[path] = times
        if reparse is not None:
            set_xattr(place, "system.ntfs_reparse_data", reparse)  # last: the next look-up fails once
            attributes |= REPARSE_POINT
        names = frozenset((path, *links)) if links else frozenset()
        facts = Facts(
            attributes=attributes,
            descriptor=descriptor,
            creation_time=times[0],
            last_write_time=times[1],
            last_access_time=times[2],
            short_name=short_name,
            reparse=reparse,
            data=data,
            streams={**{name: stream_of(content) for name, content in (streams or {}).items()}, **(written or {})},
            links=names,
            eas=dict(eas or {}),
            object_id=object_id,
        )
        self.facts[path] = facts
        for link in links:
            self.facts[link] = replace(facts, short_name=None)


def enrich(mount: Path, *, unreadable: bool = True) -> dict[str, Facts]:
    """Write the folder `Files` below `mount` and return what was written, all but the change times.

    With `unreadable` also what the driver writes and never reads again: it opens neither the data nor the streams of a
    reparse point (EOPNOTSUPP), and a directory of a tag that it does not know looks like a symlink.
    """
    tree = _Tree(mount)
    tree.directory("Files")
    _plain(tree)
    _metadata(tree)
    _streams_and_links(tree)
    _names(tree)
    _reparse_points(tree)
    if unreadable:
        _unreadable(tree)
    tree.finish()
    return tree.facts


def _plain(tree: _Tree) -> None:
    noise = random.Random(7)
    tree.directory("Files/sizes")
    # About 700 bytes still fit into the file record.
    for size in (0, 1, 600, 5000, 4096, 1_500_000):
        tree.file(f"Files/sizes/{size}", noise.randbytes(size))
    tree.directory("Files/sparse")
    end = 1 << 20
    tree.sparse("Files/sparse/middle", end, {0: b"a" * 4096, end - 4096: b"b" * 4096}, ((4096, end - 8192),))
    tree.sparse("Files/sparse/end", end, {0: b"a" * 5000}, ((8192, end - 8192),))
    tree.sparse("Files/sparse/begin", end + 1, {end: b"z"}, ((0, end),))
    tree.sparse("Files/sparse/all", end, {}, ((0, end),))
    tree.sparse("Files/sparse/odd end", end + 77, {8192: b"x"}, ((0, 8192), (12288, end + 77 - 12288)))


def _metadata(tree: _Tree) -> None:
    tree.directory("Files/descriptors", descriptor=_DESCRIPTORS["installer"])
    for name, descriptor in _DESCRIPTORS.items():
        tree.file(f"Files/descriptors/{name}", b"x", descriptor=descriptor)
        tree.directory(f"Files/descriptors/{name} directory", descriptor=descriptor)
    tree.directory("Files/attributes")
    for attributes in (0x80, 1, 2, 4, 0x20, 0x100, 0x1000, 0x2000, 6, _SETTABLE):
        tree.file(f"Files/attributes/{attributes:04x}", b"x", attributes)
        tree.directory(f"Files/attributes/{attributes:04x} directory", attributes & ~0x80)
    tree.directory("Files/attributes/0800 directory", 0x800)
    tree.directory("Files/times")
    for name, times in {
        "zero": (0, 0, 0),
        "first": (1, 2, 3),
        "1969": (116444736000000000 - 1, 116444735999999999 - 15_000_000, 116444735990000001),
        "1970": (116444736000000000, 116444736000000001, 116444736010000000),
        "beyond 2262": (_FIRST_UNREPRESENTABLE, _FIRST_UNREPRESENTABLE + 1, _FIRST_UNREPRESENTABLE + 12_345_678),
        "last": (_LAST, _LAST - 1, _LAST - 2),
        "all different": (_TIME + 1, _TIME + 20, _TIME + 300),
    }.items():
        tree.file(f"Files/times/{name}", b"x", times=times)
        tree.directory(f"Files/times/{name} directory", times=times)
    tree.directory("Files/eas", eas={b"$KERNEL.PURGE.DIR": (0x80, b"\1\2")})
    for name, eas in {
        "one": {b"ONE": (0, b"value")},
        "needed": {b"$CI.CATALOGHINT": (0x80, b"\1\0\4\0hint")},
        "many": {b"N%d" % n: (0x80 * (n % 2), b"v" * n) for n in range(1, 30)},
        "odd": {b"\xff\xfeNO UTF-8": (0, bytes(range(256))), b"X" * 254: (0x80, b"\0")},
        "large": {b"LARGE": (0, b"L" * 60_000), b"SMALL": (0, b"s")},
    }.items():
        tree.file(f"Files/eas/{name}", b"x", eas=eas)
    tree.directory("Files/ids", object_id=_GUID)
    tree.file("Files/ids/short", b"x", object_id=bytes(range(16)))
    tree.file("Files/ids/with births", b"x", object_id=bytes(range(128, 192)))


def _streams_and_links(tree: _Tree) -> None:
    large = random.Random(8).randbytes(1_200_000)
    several = {"Zone.Identifier": b"[ZoneTransfer]\r\nZoneId=3\r\n", "empty": b"", "large": large, "é 日本": b"x" * 700}
    tree.directory("Files/streams", streams={"of a directory": b"stream", "empty": b"", "large": large[:-1]})
    tree.file("Files/streams/file", b"content", streams=several)
    tree.file("Files/streams/no content", streams={"alone": b"alone"})
    tree.file("Files/streams/lone surrogate", b"x", streams={"\udc00": b"x", "n" * 255: b"y"})
    tree.directory("Files/links")
    tree.directory("Files/links/below")
    tree.file(
        "Files/links/first",
        b"linked" * 1000,
        0x21,
        links=["Files/links/second", "Files/links/below/third", "Files/another"],
        streams={"of all": b"x"},
        eas={b"LINKED": (0, b"x")},
        descriptor=_DESCRIPTORS["SACL"],
    )
    tree.file("Files/links/empty", links=["Files/links/below/empty"])
    tree.directory("Files/dos", short_name="DOS")
    tree.file("Files/dos/a long name.text", b"x", short_name="ALONGN~1.TEX")
    tree.file("Files/dos/a long name.texts", b"y", short_name="ALONGN~2.TEX")
    tree.file("Files/dos/SAME.TXT", b"x", short_name="SAME.TXT")
    tree.directory("Files/dos/a long directory", short_name="ALONGD~1")
    tree.file("Files/dos/a linked file", b"x", short_name="ALINKE~1", links=["Files/dos/linked twice"])


def _names(tree: _Tree) -> None:
    tree.directory("Files/names")
    for name in (
        "trailing dot.",
        "trailing space ",
        " leading space",
        "-dash",
        "CON",
        "aux.txt",
        "single ' and double \" quote",
        "<>|*?",
        "control \x01 \x1f",
        "line\nfeed",
        "delete \x7f",
        "ÄÖÜ äöü ß",
        "e\u0301 and é",
        "日本語",
        "emoji 😀",
        "surrogate \ud83d alone",
        "\udc00",
        "\udc00\ud800 reversed",
        "l" * 255,
        "é" * 255,
        "日" * 255,
        "😀" * 127 + "x",
        "\ud800" * 255,
        "~wclayer.1",
        "PaxHeaders.0",
        "percent%20and#",
    ):
        tree.file(f"Files/names/{name}", _wtf8(name)[:300])
    path = "Files/names"
    for level in range(30):
        path = f"{path}/level {level}"
        tree.directory(path)
    tree.file(f"{path}/deep", b"deep")


def _reparse_points(tree: _Tree) -> None:
    tree.directory("Files/reparse")
    for name, reparse in _FILE_REPARSE.items():
        tree.file(f"Files/reparse/{name}", reparse=reparse)
    for name, reparse in _DIRECTORY_REPARSE.items():
        tree.directory(f"Files/reparse/{name}", reparse=reparse)
    tree.file("Files/reparse/with EAs", eas={b"LXATTR": (0, b"x")}, reparse=_FILE_REPARSE["LX symlink"])
    tree.file("Files/reparse/linked", reparse=_link("linked to"), links=["Files/reparse/linked again"])
    tree.file("Files/reparse/with a DOS name", reparse=_link("dos"), short_name="WITHAD~1")
    tree.directory("Files/reparse/old", 0x6, reparse=_link("\\??\\C:\\Users", "C:\\Users", None), times=(1, 2, 3))


def _unreadable(tree: _Tree) -> None:
    cloud = _buffer(0x9000301A, b"cloud")
    tree.directory("Files/unreadable")
    tree.file("Files/unreadable/with data", b"data", 0x21, reparse=cloud)
    tree.file("Files/unreadable/with much data", b"much" * 50_000, reparse=cloud)
    tree.file("Files/unreadable/with streams", streams={"one": b"1", "two": b"2" * 70_000}, reparse=_link("target"))
    junction = _link("\\??\\C:\\", "C:\\", None)
    tree.directory("Files/unreadable/directory with streams", streams={"one": b"1"}, reparse=junction)
    tree.directory("Files/unreadable/unknown directory", reparse=_buffer(0x9000F00D, b"data"))
