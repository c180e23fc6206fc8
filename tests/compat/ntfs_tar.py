"""What a layer tar says, read by Python's tarfile alone: the records of docs/tar-framing.md, without wclayer."""

from __future__ import annotations

import base64
import hashlib
import struct
import tarfile
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import IO

from tests.compat.ntfs_facts import Facts, Stream, holes_of

__all__ = ["tar_facts"]

_EPOCH = 116444736000000000
_NO_TIME = "-6795364578.8713451"  # what hcsshim makes of an absent time
_XATTR, _EA_FLAGS = "MSWINDOWS.xattr.", "WCLAYER.eaflags."
_CHUNK = 1 << 20


def tar_facts(path: Path) -> dict[str, Facts]:
    """The facts of an uncompressed layer tar's entries, those of hard links included; no whiteouts.

    `eas` is never None: a tar that names no EA says that there is none.
    """
    found: dict[str, Facts] = {}
    streams: defaultdict[str, dict[str, Stream]] = defaultdict(dict)
    targets: dict[str, str] = {}
    with tarfile.open(path, "r:", encoding="utf-8", errors="surrogateescape") as tar:
        for member in tar:
            name = _text(member.name)
            directory, _, last = name.rpartition("/")
            assert not last.startswith(".wh."), f"{name!r}: a whiteout is on no volume"
            if ":" in last:
                owner, _, stream = last.partition(":")
                owner = f"{directory}/{owner}" if directory else owner
                assert owner in found, f"{name!r}: a stream before its owner"
                streams[owner][stream.removesuffix(":$DATA")] = _stream(tar.extractfile(member), member)
                continue
            assert name not in found, f"{name!r} twice"
            if member.islnk():
                target = _text(member.linkname)
                targets[name] = targets.get(target, target)
                found[name] = replace(found[targets[name]], short_name=_optional(member, "WCLAYER.shortname"))
            else:
                found[name] = _facts(tar, member)
    groups: defaultdict[str, set[str]] = defaultdict(set)
    for name, target in targets.items():
        groups[target] |= {target, name}
    for target, group in groups.items():
        for name in group:
            found[name] = replace(found[name], links=frozenset(group), streams=dict(streams[target]))
    return {name: replace(facts, streams=streams.get(name, facts.streams)) for name, facts in found.items()}


def _facts(tar: tarfile.TarFile, member: tarfile.TarInfo) -> Facts:
    records = member.pax_headers
    assert "MSWINDOWS.sd" not in records, "the older SDDL form is not read here"
    assert member.type in (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE), member.type
    attributes = int(records.get("MSWINDOWS.fileattr", 0x10 if member.isdir() else 0))
    write = _time(records["mtime"]) if records.get("mtime") else _EPOCH + int(member.mtime) * 10_000_000
    creation = records.get("LIBARCHIVE.creationtime")
    reparse: bytes | None = None
    if "WCLAYER.reparse" in records:
        reparse = base64.b64decode(records["WCLAYER.reparse"])
    elif member.issym():
        reparse = _link(_text(member.linkname).replace("/", "\\"), "MSWINDOWS.mountpoint" in records)
    body = tar.extractfile(member) if member.isfile() else None
    descriptor = base64.b64decode(records.get("MSWINDOWS.rawsd", ""))
    object_id = records.get("WCLAYER.objectid")
    return Facts(
        attributes=attributes,
        descriptor=descriptor or None,
        creation_time=write if creation is None else _time(creation),
        last_write_time=write,
        last_access_time=_absent(records.get("atime")),
        change_time=_absent(records.get("ctime")),
        short_name=_optional(member, "WCLAYER.shortname"),
        reparse=reparse,
        data=None if attributes & 0x10 else _stream(body, member),
        eas=dict(_eas(records)),
        object_id=None if object_id is None else base64.b64decode(object_id),
    )


def _text(name: str) -> str:
    """WTF-8, which tarfile lets pass as escaped bytes."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "surrogatepass")


def _optional(member: tarfile.TarInfo, key: str) -> str | None:
    value = member.pax_headers.get(key)
    return None if value is None else _text(value)


def _time(text: str) -> int:
    """Seconds as a FILETIME, cut at 100 ns towards 1970."""
    return _EPOCH + int(Decimal(text) * 10_000_000)


def _absent(text: str | None) -> int | None:
    return None if text in (None, "", _NO_TIME) else _time(text)


def _stream(body: IO[bytes] | None, member: tarfile.TarInfo) -> Stream:
    digest, size = hashlib.sha1(usedforsecurity=False), 0
    while body is not None and (part := body.read(_CHUNK)):
        digest.update(part)
        size += len(part)
    extents = member.pax_headers.get("WCLAYER.sparse")
    holes = () if extents is None else holes_of(_extents(extents), size)
    return Stream(size, digest.hexdigest(), holes)


def _extents(text: str) -> Iterator[tuple[int, int]]:
    for item in text.split(";"):
        offset, _, length = item.partition(",")
        yield int(offset), int(length)


def _eas(records: Mapping[str, str]) -> Iterator[tuple[bytes, tuple[int, bytes]]]:
    for key, value in records.items():
        if key.startswith(_XATTR):
            name = key.removeprefix(_XATTR)
            flags = int(records.get(_EA_FLAGS + name, 0))
            yield name.encode("utf-8", "surrogateescape"), (flags, base64.b64decode(value))


def _link(target: str, mount_point: bool) -> bytes:
    """The buffer that go-winio's EncodeReparsePoint makes of a link's target."""
    flags = struct.pack("<I", 0)
    if target.startswith("\\\\?\\"):
        substitute = "\\??\\" + target[4:]
    elif target.startswith("\\\\"):
        substitute = "\\??\\UNC\\" + target[2:]
    elif target[1:2] == ":":
        substitute = "\\??\\" + target
    else:
        substitute, flags = target, struct.pack("<I", 1)
    first, second = (name.encode("utf-16-le", "surrogatepass") for name in (substitute, target))
    data = struct.pack("<HHHH", 0, len(first), len(first) + 2, len(second))
    data += (b"" if mount_point else flags) + first + bytes(2) + second + bytes(2)
    return struct.pack("<IHH", 0xA0000003 if mount_point else 0xA000000C, len(data), 0) + data
