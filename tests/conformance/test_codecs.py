"""The codecs as go-winio has them: times, extended attributes, reparse points, headers of backup streams."""

from __future__ import annotations

import hashlib
import re
import struct
from fractions import Fraction

import pytest

from tests.backup_streams import backup_from_entry
from tests.conformance import model as m
from tests.conformance.vectors import Vector, cases, vector_bytes
from wclayer.body import BytesBody
from wclayer.entry import ExtendedAttribute, File
from wclayer.errors import (
    BackupStreamError,
    ExtendedAttributeError,
    FileTimeError,
    InexpressibleError,
    ReparseError,
    StorageError,
)
from wclayer.win32 import ea, reparse
from wclayer.win32.backup_stream import StreamHeader, pack_header, parse_streams
from wclayer.win32.filetime import format_pax_time, from_unix_ns, parse_pax_time, to_unix_ns
from wclayer.win32.names import encode_wtf8

# --- time.json -----------------------------------------------------------------


@cases("time", "filetime_to_pax")
def test_filetime_to_pax(vector: Vector) -> None:
    text = format_pax_time(vector["ft"])
    if m.fits_nanoseconds(vector["ft"]):
        assert text.decode() == vector["pax"]
        assert to_unix_ns(vector["ft"]) == vector["ns"] == vector["sec"] * 10**9 + vector["nsec"]
    # hcsshim wraps what its 64-bit nanoseconds cannot hold; ours is exact in any case.
    assert Fraction(text.decode()) == m.exact_time(vector["ft"])
    assert parse_pax_time(text) == vector["ft"]


def exact_filetime(ns: Fraction) -> int:
    """Truncated to 100 ns, towards 1970."""
    return m.EPOCH + int(ns / 100)


@cases("time", "paxtime_to_filetime")
def test_pax_time_to_filetime(vector: Vector) -> None:
    text = vector["text"].encode()
    plain = re.fullmatch(rb"([+-]?[0-9]+)(?:\.([0-9]*))?", text)
    if plain is None:
        assert vector["error"]
        with pytest.raises(FileTimeError):
            parse_pax_time(text)
        return
    sign = -1 if text.startswith(b"-") else 1
    whole, fraction = abs(int(plain[1])), (plain[2] or b"").decode()[:9].ljust(9, "0")
    expected = exact_filetime(Fraction(sign * (whole * 10**9 + int(fraction))))
    if not 0 <= expected < 1 << 64:  # hcsshim wraps, or has its own limit; no FILETIME can hold it
        with pytest.raises(FileTimeError):
            parse_pax_time(text)
        return
    assert parse_pax_time(text) == expected
    if m.fits_nanoseconds(expected) and not vector["error"]:
        ns = sign * (whole * 10**9 + int(fraction))
        assert expected == vector["ft"] or not -(1 << 63) <= ns < 1 << 63


@cases("time", "unix_to_filetime")
def test_unix_to_filetime(vector: Vector) -> None:
    ns = vector["sec"] * 10**9 + vector["nsec"]
    expected = exact_filetime(Fraction(ns))
    if not 0 <= expected < 1 << 64:  # such as Go's zero time, which hcsshim wraps
        with pytest.raises(FileTimeError):
            from_unix_ns(ns)
        return
    assert from_unix_ns(ns) == expected
    if -(1 << 63) <= ns < 1 << 63:
        assert expected == vector["ft"]
        assert ns == vector["unixnano"]


# --- ea.json -------------------------------------------------------------------


def hex_or_text(text: str) -> bytes:
    """Hexadecimal digits, or `(N hex digits of XX)` for N/2 times the byte XX."""
    found = re.fullmatch(r"\((\d+) hex digits of ([0-9a-f]{2})\)", text)
    return bytes.fromhex(found[2]) * (int(found[1]) // 2) if found else bytes.fromhex(text)


def vector_eas(vector: Vector) -> tuple[ExtendedAttribute, ...]:
    return tuple(
        ExtendedAttribute(
            bytes.fromhex(item["name_hex"]) if "name_hex" in item else item["name"].encode(),
            hex_or_text(item["value_hex"]),
            item["flags"],
        )
        for item in vector["eas"] or ()
    )


@cases("ea", "decode")
def test_ea_decode(vector: Vector) -> None:
    data = vector_bytes(vector)
    if vector["error"]:
        with pytest.raises(ExtendedAttributeError):
            ea.parse_ea_list(data)
    else:
        assert ea.parse_ea_list(data) == vector_eas(vector)


@cases("ea", "encode")
def test_ea_encode(vector: Vector) -> None:
    eas = vector_eas(vector)
    if vector["error"]:
        with pytest.raises(ExtendedAttributeError):
            ea.build_ea_list(eas)
    else:
        assert ea.build_ea_list(eas) == vector_bytes(vector)
        assert ea.parse_ea_list(vector_bytes(vector)) == eas


# --- reparse.json --------------------------------------------------------------


@cases("reparse", "decode")
def test_reparse_decode(vector: Vector) -> None:
    data = vector_bytes(vector)
    if m.link_lies_outside(data):  # hcsshim panics, or reads the memory behind the buffer
        with pytest.raises(ReparseError):
            reparse.decode(data)
        assert reparse.link_target(data) is None
    elif vector["error"]:  # a tag that hcsshim does not support: ours is kept whole
        assert "unsupported" in vector["error"]
        assert reparse.decode(data) == int.from_bytes(data[:4], "little")
        assert reparse.link_target(data) is None
    else:
        assert reparse.link_text(data) == vector["text"]
        target = reparse.link_target(data)
        assert target is not None
        assert target[1] == vector["mount"]


@cases("reparse", "encode")
def test_reparse_encode(vector: Vector) -> None:
    repeated = re.fullmatch(r"(.)\*(\d+)", vector["target"])
    target = repeated[1] * int(repeated[2]) if repeated else vector["target"]
    if m.link_data_size(target, vector["mount"]) > 0xFFFF:  # beyond 16-bit lengths, which Go lets wrap
        with pytest.raises(InexpressibleError):
            reparse.build_link(target, vector["mount"])
        return
    assert not vector["error"]
    made = reparse.build_link(target, vector["mount"])
    assert made == vector_bytes(vector)
    assert reparse.link_target(made) == (target, vector["mount"])
    assert reparse.link_text(made) == (target if repeated else vector["back"])


# --- backupstream.json -----------------------------------------------------------


@cases("backupstream", "read")
def test_backup_stream_read(vector: Vector) -> None:
    data = vector_bytes(vector)
    raw = m_names(data)
    if vector["error"] or any(name.count(b"\0\0") and not_plain(name) for name in raw):
        # Cut off, or panicking; or a name that Go cuts at its NUL, or of an odd size: no name that NTFS could have.
        with pytest.raises(BackupStreamError):
            list(parse_streams(data))
        return
    found = [
        {
            "attributes": header.attributes,
            "id": header.id,
            "name": encode_wtf8(header.name),
            "offset": header.offset or 0,
            "read": len(body),
            "sha256": hashlib.sha256(body).hexdigest(),
            "size": header.size,
        }
        for header, body in parse_streams(data)
    ]
    expected = [
        {**stream, "name": bytes.fromhex(stream["name_hex"]) if "name_hex" in stream else stream["name"].encode()}
        for stream in vector["streams"]
    ]
    for stream in expected:
        stream.pop("name_hex", None)
    assert found == expected


def m_names(data: bytes) -> list[bytes]:
    """The raw names of the streams, as far as they can be followed."""
    names, position = [], 0
    while position + 20 <= len(data):
        size, name_size = struct.unpack_from("<QI", data, position + 8)
        names.append(data[position + 20 : position + 20 + name_size])
        position += 20 + name_size + size
    return [name + b"\0\0" if len(name) % 2 else name for name in names]


def not_plain(name: bytes) -> bool:
    return len(name) % 2 == 1 or "\0" in name.decode("utf-16-le", "surrogatepass")


@cases("backupstream", "write")
def test_backup_stream_write(vector: Vector) -> None:
    made = b""
    for stream in vector["streams"]:
        data = bytes.fromhex(stream.get("data_hex", ""))
        size = stream.get("Size", len(data))
        if size != len(data):  # go-winio's writer notices; ours takes the size from the entry, and notices too
            assert vector["error"]
            file = File("f", size=size)
            with pytest.raises(StorageError):
                backup_from_entry(file, BytesBody(data))
            return
        header = StreamHeader(
            stream["ID"], size, stream.get("Attributes", 0), stream.get("Name", ""), stream.get("Offset")
        )
        made += pack_header(header) + data
    assert made == vector_bytes(vector)
