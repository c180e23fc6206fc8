"""What a backup stream says, read with nothing of wclayer: the other side of the comparison with the tars we write."""

from __future__ import annotations

import base64
import io
import re
import struct
import tarfile
from dataclasses import dataclass, field
from fractions import Fraction

NO_TIME = 48491090211286549
EPOCH = 116444736000000000
LINK_TAGS = (0xA000000C, 0xA0000003)


class MalformedError(Exception):
    """No stream that an NTFS object could have given."""


@dataclass
class Model:
    """One object: its streams, by what they are."""

    small: dict[int, bytes] = field(default_factory=dict)
    eas: dict[bytes, tuple[int, bytes]] = field(default_factory=dict)
    data: bytes | bytearray | None = None
    named: dict[str, bytes | bytearray] = field(default_factory=dict)
    holed: bool = False


def parse_backup(stream: bytes) -> Model:
    model, position, sparse = Model(), 0, None
    while position < len(stream):
        if len(stream) < position + 20:
            raise MalformedError("header")
        number, attributes, size, name_size = struct.unpack_from("<IIQI", stream, position)
        raw_name = stream[position + 20 : position + 20 + name_size]
        if len(raw_name) != name_size or name_size % 2:
            raise MalformedError("name")
        name = raw_name.decode("utf-16-le", "surrogatepass")
        position += 20 + name_size
        body = stream[position : position + size]
        position += size
        if len(body) != size or not 1 <= number <= 10 or "\0" in name:
            raise MalformedError(number)
        if number == 9:
            if sparse is None or size < 8:
                raise MalformedError("block")
            (offset,) = struct.unpack_from("<Q", body)
            if offset < len(sparse):
                raise MalformedError("order")
            model.holed = model.holed or offset > len(sparse)
            sparse += bytes(offset - len(sparse)) + body[8:]
            continue
        holder = bytearray(body) if attributes & 8 and not body else body
        sparse = holder if isinstance(holder, bytearray) and number in (1, 4) else None
        if number == 1:
            if model.data is not None:
                raise MalformedError("data twice")
            model.data = holder
        elif number == 4:
            plain = name[1:].removesuffix(":$DATA")
            if not plain or ":" in plain or not name.startswith(":"):
                raise MalformedError("stream name")
            model.named[plain] = holder
        elif number != 5:
            model.small[number] = body
    model.eas = parse_eas(model.small.pop(2, b""))
    return model


def parse_eas(data: bytes) -> dict[bytes, tuple[int, bytes]]:
    found: dict[bytes, tuple[int, bytes]] = {}
    while data:
        if len(data) < 8:
            raise MalformedError("ea")
        following, flags, name_size, value_size = struct.unpack_from("<IBBH", data)
        end = 8 + name_size + 1 + value_size
        if end > len(data) or following > len(data) or (following and following < end):
            raise MalformedError("ea")
        if data[8 : 8 + name_size] in found:
            raise MalformedError("two extended attributes of one name")
        found[data[8 : 8 + name_size]] = (flags, data[8 + name_size + 1 : end])
        data = data[following:] if following else b""
    return found


def link_lies_outside(buffer: bytes) -> bool:
    """Is it a symlink or mount point whose names are not wholly in it? (hcsshim reads the memory behind.)"""
    if len(buffer) < 8:
        return True
    tag, length = struct.unpack_from("<IH", buffer)
    if tag not in LINK_TAGS:
        return bool(len(buffer) < length + (8 if tag >> 31 else 24))
    start = 20 if tag == LINK_TAGS[0] else 16
    if len(buffer) < max(start, 8 + length):
        return True
    a, b, c, d = struct.unpack_from("<HHHH", buffer, 8)
    return bool(max(start + a + b // 2 * 2, start + c + d // 2 * 2) > len(buffer))


def link_data_size(target: str, mount_point: bool) -> int:
    """ReparseDataLength ([MS-FSCC] 2.1.2.4, 2.1.2.5) of go-winio's buffer for a target: 16 bits, which Go lets wrap."""
    substitute = target
    for start, instead in (("\\\\?\\", "\\??\\"), ("\\\\", "\\??\\UNC\\")):
        if target.startswith(start):
            substitute = instead + target[len(start) :]
            break
    else:
        if re.match(r"[A-Za-z]:", target):
            substitute = "\\??\\" + target
    names = [len(name.encode("utf-16-le", "surrogatepass")) + 2 for name in (substitute, target)]
    return (8 if mount_point else 12) + sum(names)


def exact_time(filetime: int) -> Fraction:
    """Seconds since 1970."""
    return Fraction(filetime - EPOCH, 10_000_000)


def fits_nanoseconds(filetime: int) -> bool:
    """Can hcsshim say this time, which it holds as 64-bit nanoseconds since 1970?"""
    return -(1 << 63) <= (filetime - EPOCH) * 100 < 1 << 63


@dataclass
class Read:
    """One member of a tar as Python's tarfile reads it, the records of Windows decoded."""

    info: tarfile.TarInfo
    records: dict[bytes, bytes]
    data: bytes

    def base64(self, key: bytes) -> bytes | None:
        value = self.records.get(key)
        return None if value is None else base64.b64decode(value, validate=True)

    def time(self, key: bytes) -> Fraction | None:
        value = self.records.get(key)
        return None if value is None else Fraction(value.decode("ascii"))


def read_tar(data: bytes) -> list[Read]:
    members: list[Read] = []
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:", errors="surrogateescape") as tar:
        for info in tar:
            file = tar.extractfile(info) if info.isreg() else None
            records = {
                key.encode("utf-8", "surrogateescape"): value.encode("utf-8", "surrogateescape")
                for key, value in info.pax_headers.items()
            }
            members.append(Read(info, records, file.read() if file else b""))
    return members


def split_members(data: bytes) -> list[tuple[dict[bytes, bytes], bytes, bytes, bytes]]:
    """A canonical tar as (records, PAX header block without size and checksum, header block, body), one a member."""
    members, position = [], 0
    records: dict[bytes, bytes] = {}
    pax = b""
    while data[position : position + 512].strip(b"\0"):
        block = data[position : position + 512]
        size = int(block[124:135], 8) if block[156:157] not in b"125" else 0
        if b"size" in records:
            size = int(records[b"size"])
        body = data[position + 512 : position + 512 + size]
        position += 512 + -(-size // 512) * 512
        if block[156:157] == b"x":
            pax, records = block[:124] + block[156:], {}
            while body:
                length = int(body.split(b" ", 1)[0])
                key, _, value = body[:length].split(b" ", 1)[1][:-1].partition(b"=")
                records[key], body = value, body[length:]
            continue
        members.append((records, pax, block, body))
        records, pax = {}, b""
    assert data[position:] == bytes(1024)
    return members
