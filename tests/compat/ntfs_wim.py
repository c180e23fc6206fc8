"""What wimlib says of a WIM image: `wimlib-imagex dir --detailed`, and the image's own times.

The dump gives times in whole seconds and no content, so the FILETIMEs and the reserved field of a reparse point are
read from the directory entries of the (uncompressed) WIM, and reparse data from where the dump says that it lies. Nor
does it name the unnamed data of a reparse point, which wimlib captures and applies all the same. The entries:
Microsoft's "Windows Imaging File Format (WIM)", with what wimlib's src/dentry.c says of it.
"""

from __future__ import annotations

import hashlib
import mmap
import os
import re
import struct
import subprocess
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from tests.compat.ntfs_facts import DIRECTORY, EMPTY_SHA1, REPARSE_POINT, Facts, Stream
from tests.compat.tools import tool

__all__ = ["capture", "through_wim", "wim_facts"]

ENVIRONMENT = {**os.environ, "TZ": "UTC", "LC_ALL": "C.UTF-8"}

_HEAD = re.compile(r'Full Path           = "(.*?)"\nShort Name          = "(.*?)"\nAttributes          = ', re.DOTALL)
_FIELD = re.compile(r"^(?P<key>[A-Z][A-Za-z ]*?) *= (?P<value>.*)$", re.MULTILINE)
_STREAM = re.compile(
    r"^\t(?P<what>Unnamed data|Reparse point|Named data) stream(?: \"(?P<name>.*?)\")?:\n"
    r"Hash +=(?: 0x(?P<hash>[0-9a-f]{40}))?\n"
    r"Uncompressed size = (?P<size>\d+) bytes\nCompressed size +=(?: (?P<stored>\d+) bytes)?\n"
    r"Offset in WIM +=(?: (?P<offset>\d+) bytes)?\n",
    re.MULTILINE | re.DOTALL,
)
_OBJECT_ID = ("Object ID", "Birth Volume ID", "Birth Object ID", "Domain ID")
_MICROSOFT = 0x80000000


def capture(source: Path, wim: Path) -> None:
    """Capture an unmounted volume, or a folder, whole: wimlib's default list leaves out pagefile.sys and the like."""
    config = wim.with_suffix(".ini")
    config.write_text("[ExclusionList]\n")
    command: list[str | Path] = [tool("wimlib-imagex"), "capture", source, wim, "--compress=none"]
    command += ["--norpfix", f"--config={config}", "--quiet"]
    subprocess.run(command, check=True, capture_output=True, env=ENVIRONMENT)


@dataclass(frozen=True)
class _Entry:
    creation_time: int
    last_access_time: int
    last_write_time: int
    reserved: int  # of the reparse point's header
    unnamed: frozenset[str]  # SHA-1 of all streams without a name: data and reparse data


def wim_facts(wim: Path, image: int = 1) -> dict[str, Facts]:
    """The facts of an uncompressed WIM's image; paths without the leading slash, without the root itself."""
    command: list[str | Path] = [tool("wimlib-imagex"), "dir", wim, str(image), "--detailed"]
    dump = subprocess.run(command, check=True, capture_output=True, env=ENVIRONMENT).stdout
    blocks = dump.decode("utf-8", "surrogatepass").split("-" * 76 + "\n")[1:]
    found: dict[str, Facts] = {}
    groups: defaultdict[int, list[str]] = defaultdict(list)
    with wim.open("rb") as file:
        content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    blobs, metadata = _table(content, image)
    entries = dict(_entries(metadata))
    assert len(entries) == len(blocks), "wimlib's dump and the WIM's directory entries name different paths"
    for block in blocks:
        head = _HEAD.match(block)
        assert head is not None, block
        path, short_name = head[1].removeprefix("/"), head[2] or None
        if not path:
            continue
        fields = {match["key"]: match["value"] for match in _FIELD.finditer(block, head.start(2))}
        entry = entries[path]
        _check_seconds(path, entry, fields)
        found[path] = _facts(block, fields, entry, content, blobs, short_name)
        if group := int(fields["Link Group ID"], 16):
            groups[group].append(path)
    for paths in groups.values():
        for path in paths if len(paths) > 1 else ():
            found[path] = replace(found[path], links=frozenset(paths))
    return found


def _facts(
    block: str,
    fields: Mapping[str, str],
    entry: _Entry,
    content: mmap.mmap,
    blobs: Mapping[str, int],
    short_name: str | None,
) -> Facts:
    reparse: bytes | None = None
    data: Stream | None = None
    streams: dict[str, Stream] = {}
    for match in _STREAM.finditer(block):
        size = int(match["size"])
        stream = Stream(size, match["hash"] if size else EMPTY_SHA1)
        if match["what"] == "Named data":
            streams[match["name"]] = stream
        elif match["what"] == "Unnamed data":
            data = stream
        else:
            offset = int(match["offset"])
            assert int(match["stored"]) == size, "a compressed WIM: capture it with --compress=none"
            reparse = _buffer(int(fields["Reparse Tag"], 16), entry.reserved, content[offset : offset + size])
    attributes = int(fields["Attributes"], 16)
    if attributes & REPARSE_POINT:
        digests = entry.unnamed - {hashlib.sha1(reparse[8:], usedforsecurity=False).hexdigest()} if reparse else ()
        data = next((Stream(blobs[digest], digest) for digest in digests), Stream(0, EMPTY_SHA1))
    object_id = b"".join(bytes.fromhex(fields[key][2:]) for key in _OBJECT_ID if key in fields)
    descriptor = fields.get("Security Descriptor")
    return Facts(
        attributes=attributes,
        descriptor=None if descriptor is None else bytes.fromhex(descriptor),
        creation_time=entry.creation_time,
        last_write_time=entry.last_write_time,
        last_access_time=entry.last_access_time,
        short_name=short_name,
        reparse=reparse,
        data=None if attributes & DIRECTORY else data,
        streams=streams,
        object_id=object_id or None,
    )


def _buffer(tag: int, reserved: int, data: bytes) -> bytes:
    """The header that a WIM leaves away; the length does not count the GUID of a tag that is not Microsoft's."""
    length = len(data) - (0 if tag & _MICROSOFT else 16)
    return struct.pack("<IHH", tag, length, reserved) + data


def _check_seconds(path: str, entry: _Entry, fields: Mapping[str, str]) -> None:
    """What wimlib prints, whole seconds, must be the entry's."""
    for key, time in (
        ("Creation Time", entry.creation_time),
        ("Last Write Time", entry.last_write_time),
        ("Last Access Time", entry.last_access_time),
    ):
        printed = re.search(r"(\d\d):(\d\d):(\d\d) ", fields[key])
        assert printed is not None, fields[key]
        hours, minutes, seconds = map(int, printed.groups())
        assert time // 10_000_000 % 86400 == hours * 3600 + minutes * 60 + seconds, (path, fields[key])


# --- the WIM itself ------------------------------------------------------------


def _resource(data: mmap.mmap, offset: int) -> tuple[int, int, int]:
    """Size in the WIM, flags and offset of a resource header."""
    size, place = struct.unpack_from("<QQ", data, offset)
    return size & (1 << 56) - 1, size >> 56, place


def _table(wim: mmap.mmap, image: int) -> tuple[dict[str, int], bytes]:
    """The sizes of all content by SHA-1, and the metadata resource of the image numbered `image`, from 1."""
    assert wim[:8] == b"MSWIM\0\0\0"
    size, _, offset = _resource(wim, 48)
    blobs: dict[str, int] = {}
    metadata: list[bytes] = []
    for position in range(offset, offset + size, 50):
        length, flags, place = _resource(wim, position)
        assert not flags & 4, "a compressed WIM: capture it with --compress=none"
        if flags & 2:
            metadata.append(wim[place : place + length])
        else:
            blobs[wim[position + 30 : position + 50].hex()] = length
    return blobs, metadata[image - 1]


def _entries(metadata: bytes) -> Iterator[tuple[str, _Entry]]:
    """Every directory entry under its path, the root's is ""."""
    size = struct.unpack_from("<I", metadata)[0]
    waiting = [("", -(-size // 8) * 8)]
    while waiting:
        parent, position = waiting.pop()
        while position + 8 <= len(metadata) and (length := struct.unpack_from("<Q", metadata, position)[0]) > 8:
            children, creation, access, write = struct.unpack_from("<Q16xQQQ", metadata, position + 16)
            reserved, streams, _, name_size = struct.unpack_from("<H2xHHH", metadata, position + 92)
            name = metadata[position + 102 : position + 102 + name_size].decode("utf-16-le", "surrogatepass")
            path = f"{parent}/{name}".lstrip("/") if name else ""
            unnamed = {metadata[position + 64 : position + 84]}
            position += -(-length // 8) * 8
            for _ in range(streams):
                (stream_length,) = struct.unpack_from("<Q", metadata, position)
                if metadata[position + 36 : position + 38] == b"\0\0":
                    unnamed.add(metadata[position + 16 : position + 36])
                position += -(-stream_length // 8) * 8
            yield path, _Entry(creation, access, write, reserved, frozenset(x.hex() for x in unnamed if any(x)))
            if children:
                waiting.append((path, children))
            if not name:
                break


def through_wim(facts: Mapping[str, Facts]) -> dict[str, Facts]:
    """What of `facts` a WIM keeps: no EAs, no change time, no links of a reparse point, whose tag takes their place."""
    kept: dict[str, Facts] = {}
    for path, found in facts.items():
        here = replace(found, eas={} if found.eas is not None else None, change_time=None)
        if found.reparse is not None:
            here = replace(here, links=frozenset())
        kept[path] = here
    return kept
