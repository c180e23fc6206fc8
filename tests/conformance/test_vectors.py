"""What hcsshim and go-winio really do, vector by vector, in both directions.

Where an input is good we give the same bytes. Where hcsshim loses something, wraps
a time, panics, or lets a path out of the layer, we do better on purpose; which
those are is decided by a rule from the vector itself, never by its id, since
other vectors of the same kinds are run through this file (WCLAYER_VECTORS).
"""

from __future__ import annotations

import hashlib
import io
import posixpath
import re
import struct
from fractions import Fraction
from typing import Any

import pytest

from tests.conformance import model as m
from tests.conformance.vectors import load, unzb64
from wclayer.body import BytesBody
from wclayer.entry import AlternateStream, Body, Directory, Entry, ExtendedAttribute, File, HardLink, Whiteout
from wclayer.errors import (
    BackupStreamError,
    ExtendedAttributeError,
    FileTimeError,
    FormatError,
    InexpressibleError,
    InvalidNameError,
    ReparseError,
    SddlError,
    SecurityDescriptorError,
    StorageError,
    TarError,
    WclayerError,
)
from wclayer.layertar.block import ustar_block
from wclayer.layertar.members import MemberReader
from wclayer.layertar.reader import TarSource
from wclayer.layertar.stream import Input
from wclayer.layertar.writer import TarWriter, headers
from wclayer.stores.ntfs.backup import backup_from_entry, entries_from_backup
from wclayer.win32 import ea, reparse
from wclayer.win32.backup_stream import StreamHeader, pack_header, parse_streams
from wclayer.win32.filetime import format_pax_time, from_unix_ns, parse_pax_time
from wclayer.win32.names import decode_wtf8, encode_wtf8
from wclayer.win32.sddl import format_sddl, parse_sddl
from wclayer.win32.sddl_names import WELL_KNOWN
from wclayer.win32.security import AceType, SecurityDescriptor

Vector = dict[str, Any]


def cases(name: str, part: str | None = None) -> pytest.MarkDecorator:
    found = load(name)
    vectors = found[part] if part else found
    assert vectors
    ids = [str(v.get("id") or v.get("note") or number).replace(" ", "-") for number, v in enumerate(vectors)]
    return pytest.mark.parametrize("vector", vectors, ids=ids)


# --- time.json -----------------------------------------------------------------


@cases("time", "filetime_to_pax")
def test_filetime_to_pax(vector: Vector) -> None:
    text = format_pax_time(vector["ft"])
    if m.fits_nanoseconds(vector["ft"]):
        assert text.decode() == vector["pax"]
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
    if not 0 <= expected < 1 << 64:  # Go's zero time and its like, which hcsshim wraps
        with pytest.raises(FileTimeError):
            from_unix_ns(ns)
        return
    assert from_unix_ns(ns) == expected
    if -(1 << 63) <= ns < 1 << 63:
        assert expected == vector["ft"]


# --- ea.json -------------------------------------------------------------------


def hex_or_text(text: str) -> bytes:
    """Hexadecimal digits, or `(N hex digits of XX)` for N/2 times the byte XX."""
    found = re.fullmatch(r"\((\d+) hex digits of ([0-9a-f]{2})\)", text)
    return bytes.fromhex(found[2]) * (int(found[1]) // 2) if found else bytes.fromhex(text)


def vector_bytes(vector: Vector) -> bytes:
    return unzb64(vector["zb64"]) if "zb64" in vector else bytes.fromhex(vector.get("hex") or "")


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
    if 4 * len(target.encode("utf-16-le")) // 2 + 32 > 0xFFFF:  # beyond 16-bit lengths, which Go lets wrap
        with pytest.raises(InexpressibleError):
            reparse.build_link(target, vector["mount"])
        return
    assert not vector["error"]
    made = reparse.build_link(target, vector["mount"])
    assert made == vector_bytes(vector)
    assert reparse.link_target(made) == (target, vector["mount"])


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
                b"".join(backup_from_entry(file, BytesBody(data)))
            return
        header = StreamHeader(
            stream["ID"], size, stream.get("Attributes", 0), stream.get("Name", ""), stream.get("Offset")
        )
        made += pack_header(header) + data
    assert made == vector_bytes(vector)


# --- sddl.json (Wine's advapi32) -------------------------------------------------

_RELATIVE_ALIAS = re.compile(r"(?:[OG]:|;)\s*(DA|DG|DU|DD|DC|CA|PA|RO|CN|AP|KA|EK|RS|LA|LG|SA|EA)\s*(?=\)|[OGDS]:|$)")
_CONDITIONAL = re.compile(r"\((?:XA|XD|XU|ZA|RA|FL);")
_ONE_TERM = re.compile(r"\((?:XA|XD|XU|ZA|FL)(?:;[^;()]*){5};\((?:@User\.)?[A-Za-z]+\s*[=<>]=\s*\d{1,9}\)\)")
_LABEL_RIGHTS = {"CC": "NW", "DC": "NR", "LC": "NX"}


def is_number_of_32_bits(text: str) -> bool:
    """In C's notation, all of it."""
    try:
        return int(text, 8 if re.fullmatch(r"0\d+", text) else 0) < 1 << 32
    except ValueError:
        return False


@cases("sddl", "sddl2sd")
def test_sddl_to_descriptor(vector: Vector) -> None:
    text = vector["text"]
    letters = re.findall(r"([OGDS]):", text)
    authorities = [int(found, 0) for found in re.findall(r"S-1-(0[xX][0-9a-fA-F]+|\d+)-", text)]
    masks = re.findall(r"\([A-Z]*;[^;()]*;\s*(\d\w*)\s*;", text)
    if _CONDITIONAL.search(text):  # Wine takes them for entries with GUIDs
        try:
            data = parse_sddl(text)
        except SddlError:
            assert not _ONE_TERM.search(text)
        else:
            assert parse_sddl(format_sddl(data)) == data
    elif re.search(r"\(O[ADUL];", text):  # Wine has no object entries
        descriptor = SecurityDescriptor.from_bytes(parse_sddl(text))
        aces = [ace for acl in (descriptor.dacl, descriptor.sacl) if acl for ace in acl.aces]
        if re.search(r"\(OA;[^;]*;[^;]*;\s*;\s*;", text):  # without a GUID it is an A
            assert any(ace.type == AceType.ACCESS_ALLOWED for ace in aces)
        else:
            assert any(ace.object_type or ace.inherited_object_type for ace in aces)
        assert parse_sddl(format_sddl(descriptor.to_bytes())) == descriptor.to_bytes()
    elif (
        vector["error"]
        # Wine makes up the domain that such an alias depends on.
        or _RELATIVE_ALIAS.search(text)
        # Wine takes nothing for the null SID.
        or re.search(r"[OG]:\s*(?:$|[OGDS]:)", text)
        # Wine reserves room for both lists, and leaves out the entries.
        or len(letters) != len(set(letters))
        # Wine cuts a mask to 32 bits, and takes what begins with a number for one.
        or not all(map(is_number_of_32_bits, masks))
    ):
        with pytest.raises(SddlError):
            parse_sddl(text)
    elif "NO_ACCESS_CONTROL" in text:  # since Windows 7 a NULL list; Wine's is empty
        descriptor = SecurityDescriptor.from_bytes(parse_sddl(text))
        assert (descriptor.control & 0x4, descriptor.dacl) == (0x4, None)
    elif any(authority >= 1 << 32 for authority in authorities):  # Wine cuts an authority to 32 bits
        descriptor = SecurityDescriptor.from_bytes(parse_sddl(text))
        sids = [sid for sid in (descriptor.owner, descriptor.group) if sid]
        assert [sid.authority for sid in sids] == authorities
    elif letters != sorted(letters, key="OGDS".index):  # Wine's order of the parts is the text's
        assert SecurityDescriptor.from_bytes(parse_sddl(text)) == SecurityDescriptor.from_bytes(vector_bytes(vector))
    else:
        assert parse_sddl(text) == vector_bytes(vector)


def wine_corrected(vector: Vector, descriptor: SecurityDescriptor) -> str:
    """What Wine prints of the descriptor that it has made of a text, with what it has no names for."""
    printed = str(vector["back"])
    # The types that it reads but does not print (ML), in the order of the text; a label's rights are named otherwise.
    types = iter(re.findall(r"\(\s*([A-Z]+)\s*;", vector["text"]))

    def entry(found: re.Match[str]) -> str:
        kind, flags, rights = next(types), found[2], found[3]
        if kind == "ML":
            rights = re.sub("[A-Z]{2}", lambda name: _LABEL_RIGHTS[name[0]], rights)
        return f"({found[1] or kind};{flags};{rights};"

    printed = re.sub(r"\(([A-Z]*);([^;]*);([^;]*);", entry, printed)
    # It knows fewer SIDs by name.
    aliases = {str(sid): alias for alias, sid in WELL_KNOWN.items()}
    printed = re.sub(r"S-1(?:-\d+)+", lambda sid: aliases.get(sid[0], sid[0]), printed)
    # The flags of a list are in the control bits; a NULL list is not an empty one.
    for letter, shift, acl in (("D", 0, descriptor.dacl), ("S", 1, descriptor.sacl)):
        bits = (("P", 0x1000), ("AR", 0x0100), ("AI", 0x0400))
        flags = "".join(name for name, bit in bits if descriptor.control & bit << shift)
        flags += "" if acl else "NO_ACCESS_CONTROL"
        printed = re.sub(rf"{letter}:(?:P|AR|AI)*", f"{letter}:{flags}", printed)
    return printed


@cases("sddl", "sddl2sd")
def test_sddl_back_from_descriptor(vector: Vector) -> None:
    letters = re.findall(r"([OGDS]):", vector["text"])
    if vector["error"]:
        return
    data = vector_bytes(vector)
    if len(letters) != len(set(letters)):  # a repeated list: the room that Wine has reserved is not all there
        with pytest.raises(SecurityDescriptorError):
            format_sddl(data)
        return
    descriptor = SecurityDescriptor.from_bytes(data)
    text = format_sddl(data)
    assert SecurityDescriptor.from_bytes(parse_sddl(text)) == descriptor
    if not vector["back_error"]:  # go-winio asks for 40 bytes before it asks Wine
        assert text == wine_corrected(vector, descriptor)


@cases("sddl", "sd2sddl")
def test_descriptor_to_sddl(vector: Vector) -> None:
    data = vector_bytes(vector)
    if vector["error"]:
        # Go refuses everything below 40 bytes; ours what is no descriptor, and only that.
        try:
            descriptor = SecurityDescriptor.from_bytes(data)
        except SecurityDescriptorError:
            assert len(data) < 20 or data[0] != 1 or not data[3] & 0x80 or max(struct.unpack("<4I", data[4:20])) > 0
        else:
            assert (descriptor.owner, descriptor.group, descriptor.dacl, descriptor.sacl) == (None,) * 4
            assert format_sddl(data) in ("", "D:NO_ACCESS_CONTROL")
        return
    meant = SecurityDescriptor.from_bytes(parse_sddl(vector["text"]))
    found = SecurityDescriptor.from_bytes(data)
    assert (meant.owner, meant.group) == (found.owner, found.group)
    if found.dacl is not None:  # a NULL list is `D:` to Wine, an empty one to Windows
        assert meant.dacl is not None
        assert meant.dacl.aces == found.dacl.aces
    assert found.to_bytes() == data
    assert format_sddl(data) == wine_corrected({**vector, "back": vector["text"]}, found)


# --- tarwriter.json ----------------------------------------------------------------


def go_time(value: Any) -> int | None:
    """A Go time of a vector as a FILETIME; what is finer than 100 ns stays out of what we compare."""
    return None if not value else m.EPOCH + (value[0] * 10**9 + value[1]) // 100


def write_pax(header: Vector) -> bytes:
    TarWriter(io.BytesIO()).add(File(header["name"]))
    records = [(key.encode(), value.encode()) for key, value in header.get("pax", {}).items()]
    return headers(header["name"].encode(), b"0", records, linkname=header.get("linkname", "").encode())


@cases("tarwriter")
def test_tar_writer(vector: Vector) -> None:
    header = vector["header"]
    name = header["name"].encode()
    times = {key: header.get(key) for key in ("mtime", "atime", "ctime")}
    ours = set(header) <= {"name", "format", "typeflag", "pax", "size", "linkname", *times}
    if vector["error"]:
        if "missed writing" in vector["error"]:  # a body shorter than its size: the header before it is the same
            assert headers(name, b"0", [], size=header["size"]) == unzb64(vector["tar_zb64"])[:1536]
        elif ours and header.get("format") == "PAX":  # a name that no tar can hold
            with pytest.raises(WclayerError):
                write_pax(header)
        else:  # other formats, modes of more than 21 bits: nothing that we write
            assert header.get("format") != "PAX" or header.get("mode", 0) >= 1 << 21
        return
    tar = unzb64(vector["tar_zb64"])
    if header.get("typeflag", "0") in "3467":  # data or devices, which no Windows layer can hold
        with pytest.raises(TarError):
            list(TarSource(io.BytesIO(tar)).entries())
        return
    [member] = MemberReader(Input(io.BytesIO(tar)))
    assert member.name == name
    assert member.linkname == header.get("linkname", "").encode() if member.typeflag in (b"1", b"2") else True
    if header.get("format") in (None, "USTAR") and "typeflag" not in header and b".wh." in name and ours:
        output = io.BytesIO()
        writer = TarWriter(output)
        directory, _, base = header["name"].rstrip("/").rpartition("/")
        if name.endswith(b"/"):  # `.wh.x/`: nothing that we write
            return
        writer.add(Whiteout(f"{directory}/{base.removeprefix('.wh.')}"))
        writer.commit()
        assert output.getvalue() == tar
    elif ours and header.get("format") == "PAX":
        reserved = {"path", "linkpath", "size", "mtime", "atime", "ctime", "uid", "gid", "uname", "gname"}
        records = [
            (key.encode(), value.encode())
            for key, value in header.get("pax", {}).items()
            if key not in reserved and not key.startswith("GNU.sparse.")  # Go leaves those out
        ]
        for key, value in times.items():
            if value and (key != "mtime" or value[1] or not 0 <= value[0] < 8**11):
                whole, fraction = value
                if whole < 0 and fraction:
                    whole, fraction = whole + 1, 10**9 - fraction
                text = f"{whole}.{fraction:09}".rstrip("0").rstrip(".")
                records.append((key.encode(), text.encode()))
        typeflag = header.get("typeflag", "0").encode()
        made = headers(
            name,
            typeflag,
            records,
            size=header.get("size", 0),
            mtime=go_time(times["mtime"]),
            linkname=header.get("linkname", "").encode(),
        )
        assert made + bytes(len(tar) - len(made)) == tar


# --- the two directions of import and export -----------------------------------------


def comparable_time(time: int | None) -> int:
    return m.NO_TIME if time is None else time


def as_imported(source: TarSource) -> list[dict[str, Any]]:
    """The entries of a tar as the vectors note what hcsshim makes of them."""
    result: list[dict[str, Any]] = []
    pending: tuple[Directory | File, bytes | None] | None = None
    streams: list[tuple[AlternateStream, Body]] = []

    def flush() -> None:
        nonlocal pending
        if pending is not None:
            entry, data = pending
            body = None if data is None else BytesBody(data)
            backup = b"".join(backup_from_entry(entry, body, streams))
            result.append(
                {
                    "name": encode_wtf8(entry.path),
                    "attributes": entry.file_attributes,
                    "creation": comparable_time(entry.creation_time),
                    "access": comparable_time(entry.last_access_time),
                    "write": comparable_time(entry.last_write_time),
                    "change": comparable_time(entry.change_time),
                    "stream": backup,
                }
            )
        pending = None
        streams.clear()

    for entry, body in source.entries():
        if isinstance(entry, AlternateStream):
            assert body is not None
            streams.append((entry, BytesBody(body.read())))
            continue
        flush()
        if isinstance(entry, HardLink):
            result.append({"link": encode_wtf8(entry.path), "target": encode_wtf8(entry.target)})
        elif isinstance(entry, Whiteout):
            result.append({"whiteout": encode_wtf8(entry.path)})
        else:
            pending = (entry, None if body is None else body.read())
    flush()
    return result


def vector_name(item: Vector, key: str = "name") -> bytes:
    raw = bytes.fromhex(item[f"{key}_hex"]) if f"{key}_hex" in item else item[key].encode()
    return raw.replace(b"\\", b"/").rstrip(b"/").removeprefix(b"./")  # a leading ./ is the tar's framing


def assert_imported(source: TarSource, entries: list[Vector]) -> None:
    found = as_imported(source)
    assert len(found) == len(entries)
    for ours, theirs in zip(found, entries, strict=True):
        for key in ("link", "target", "whiteout"):
            if key in theirs:
                assert ours[key] == vector_name(theirs, key)
        if "name" not in theirs:
            continue
        assert ours["name"] == vector_name(theirs)
        assert ours["attributes"] == theirs["attributes"]
        for time in ("creation", "access", "write", "change"):
            if m.fits_nanoseconds(ours[time]):  # what hcsshim wraps is compared elsewhere, exactly
                assert ours[time] == theirs[time]
        stream = bytes.fromhex(theirs["stream_hex"])
        if len(stream) < theirs["stream_size"]:
            assert hashlib.sha256(ours["stream"]).hexdigest() == theirs["stream_sha256"]
        else:
            # A stream name that has its type already gets it a second time from hcsshim, which no file system takes.
            twice, once = ":$DATA:$DATA".encode("utf-16-le"), ":$DATA".encode("utf-16-le")
            if twice in stream:
                assert ours["stream"] != stream
                assert len(stream) - len(ours["stream"]) == stream.count(twice) * len(once)
            elif ours["stream"] != stream:
                # The holes of a sparse file, which hcsshim fills in; the order of EAs, which is random in Go.
                mine, plain = m.parse_backup(ours["stream"]), m.parse_backup(stream)
                assert (mine.holed and ours["attributes"] & 0x200) or len(mine.eas) > 1
                assert (mine.data, mine.named, mine.small, mine.eas) == (
                    plain.data,
                    plain.named,
                    plain.small,
                    plain.eas,
                )


def confined(name: str) -> bool:
    parts = name.removeprefix("./").rstrip("/").split("/")
    drive = len(parts) > 1 and parts[0][1:2] == ":"
    return not (drive or "\\" in name or "\0" in name or {"", ".", ".."} & set(parts))


def must_refuse(vector: Vector) -> str | None:
    """Why we refuse on purpose a tar that hcsshim takes; None if we do not."""
    owner: str | None = None
    for header in vector["headers"]:
        name, typeflag = header["name"], header.get("typeflag") or "0"
        base = name.rstrip("/").rpartition("/")[2]
        if typeflag == "g" or is_root(name):
            continue
        if "name_hex" in header and not is_unicode(bytes.fromhex(header["name_hex"])):
            return "a name that no file can have"
        if not confined(name):
            return "a path that leaves the layer, or is none"
        if typeflag not in "\x000125":
            return "data that hcsshim drops by type"
        if base.startswith(".wh."):
            owner = None
            if base in (".wh.", ".wh..", ".wh...") or ":" in base:
                return "a whiteout of the parent, or of a stream"
            if header.get("size"):
                return "a whiteout whose data hcsshim drops"
            continue
        if typeflag == "1" and (not confined(header.get("linkname", "")) or ":" in header["linkname"]):
            return "a link out of the layer, or to a stream"
        if ":" in base:
            stream = base.partition(":")[2].removesuffix(":$DATA")
            if typeflag != "0" or name.removeprefix("./").partition(":")[0] != owner:
                return "a stream that follows no owner, which hcsshim takes for a file"
            if stream in ("", ".", "..") or ":" in stream:
                return "a stream of no name, or of another type than NTFS has"
        if ":" not in base:
            owner = name.removeprefix("./").rstrip("/") if typeflag != "1" else None
            if name.endswith("/") and typeflag == "0":
                return "a file whose name ends in a slash"
        if any(time is not None and not 0 <= time < 1 << 64 for time in header_times(header)):
            return "a time that no FILETIME can hold, which hcsshim wraps"
    if len(unzb64(vector["tar_zb64"])) % 512:
        return "an archive cut inside the padding of its last file, which hcsshim takes for whole"
    return None


def is_root(name: str) -> bool:
    """`./` and its like, which belong to the framing: we pass over them."""
    return name != "" and not name.startswith("/") and set(name.split("/")) <= {"", "."}


def is_unicode(name: bytes) -> bool:
    try:
        name.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return False
    return True


def header_times(header: Vector) -> list[int | None]:
    """The times of a header as exact FILETIMEs, in range or not."""
    times = [go_time(header.get(key)) for key in ("mtime", "atime", "ctime")]
    creation = (header.get("pax") or {}).get("LIBARCHIVE.creationtime")
    plain = re.fullmatch(r"[+-]?\d+(\.\d*)?", creation or "", re.ASCII)
    return [*times, m.EPOCH + int(Fraction(creation.rstrip(".")) * 10**7) if creation and plain else None]


def with_globals(expected: Vector, vector: Vector) -> Vector:
    """What hcsshim makes of an entry, with what the global headers before it say, which it does not honour."""
    common: dict[str, str] = {}
    for header in vector["headers"]:
        own = header.get("pax") or {}
        if header.get("typeflag") == "g":
            common |= own
        elif expected.get("name", "").replace("\\", "/") == header["name"]:
            common = {key: value for key, value in common.items() if key not in own}
            break
    changed = dict(expected)
    times = {"LIBARCHIVE.creationtime": "creation", "atime": "access", "mtime": "write", "ctime": "change"}
    for key, value in common.items():
        if key == "MSWINDOWS.fileattr":
            changed["attributes"] = int(value)
        elif key in times:
            changed[times[key]] = m.EPOCH + int(Fraction(value) * 10**7)
    if "mtime" in common and "LIBARCHIVE.creationtime" not in common:
        changed["creation"] = changed["write"]
    return changed


def old_sddl_unreadable(vector: Vector) -> bool:
    """Is there SDDL that Wine takes and Windows would not? `test_sddl_to_descriptor` has the rules."""
    for header in vector["headers"]:
        pax = header.get("pax") or {}
        if "MSWINDOWS.sd" in pax and "MSWINDOWS.rawsd" not in pax:
            try:
                parse_sddl(pax["MSWINDOWS.sd"])
            except SddlError:
                return True
    return False


@cases("tar2bak")
def test_import(vector: Vector) -> None:
    source = TarSource(io.BytesIO(unzb64(vector["tar_zb64"])))
    if vector["error"] or must_refuse(vector) or old_sddl_unreadable(vector):
        with pytest.raises((FormatError, InexpressibleError)) as caught:
            as_imported(source)
        assert caught.value.offset is not None
        return
    # A global header is honoured; hcsshim makes a file of it.
    named = [h["name"] for h in vector["headers"] if h.get("typeflag") == "g"]
    expected = [
        with_globals(e, vector)
        for e in vector["entries"]
        if e.get("name") not in named and not is_root(e.get("name", "x").replace("\\", "/"))
    ]
    if any(
        h["name"].endswith("/") and ":" in n["name"]
        for h, n in zip(vector["headers"], vector["headers"][1:], strict=False)
    ):
        # `d/` and then `d:s`: hcsshim makes a file `d:s` of the stream.
        [directory] = as_imported(source)
        assert directory["stream"] == bytes.fromhex(expected[0]["stream_hex"]) + bytes.fromhex(
            expected[1]["stream_hex"]
        ).replace(struct.pack("<IIQI", 1, 0, 1, 0), struct.pack("<IIQI", 4, 0, 1, 16) + ":s:$DATA".encode("utf-16-le"))
        return
    assert_imported(source, expected)


@cases("bak2tar")
def test_import_of_exported(vector: Vector) -> None:
    """The reverse of each export: what hcsshim's import made of the tar that its export wrote."""
    if vector["error"] or any(bad_name(f) for f in vector["files"]):
        assert bad_files(vector)
        return
    tar = unzb64(vector["tar_zb64"])
    source = TarSource(io.BytesIO(tar))
    if any(name.removesuffix(b":$DATA").count(b":") > 1 for name in map(encode_name, m.read_tar(tar))):
        with pytest.raises(FormatError):  # a stream that is of no type that NTFS has
            as_imported(source)
        return
    wrapped = [f for f in vector["files"] if "write" in f and any(not m.fits_nanoseconds(f[t]) for t in TIMES)]
    found = as_imported(source) if wrapped else None
    if found is not None:
        # The tar has wrapped times with more than seven digits, which we read as they stand there.
        assert [item["name"] for item in found] == [vector_name(e) for e in vector["reverse"]["entries"]]
        return
    assert_imported(source, vector["reverse"]["entries"])


TIMES = ("creation", "access", "write", "change")


def file_name(file: Vector) -> str:
    raw = bytes.fromhex(file["name_hex"]) if "name_hex" in file else file["name"].encode()
    return decode_wtf8(raw.replace(b"\\", b"/"))


def bad_name(file: Vector) -> bool:
    """A name that no NTFS directory has, or that import would take for something else."""
    try:
        name = file_name(file)
    except InvalidNameError:  # no Unicode
        return True
    base = name.rpartition("/")[2]
    parts = name.split("/")
    return (
        not base
        or "\0" in name
        or ":" in base
        or ".." in parts
        or "." in parts
        or (not file.get("whiteout") and base.startswith(".wh."))
    )


def malformed(file: Vector) -> bool:
    """Is the stream none that an NTFS object could have given, or of another size than the file system says?"""
    if "stream_hex" not in file:
        return False
    try:
        model = m.parse_backup(bytes.fromhex(file["stream_hex"]))
    except m.MalformedError:
        return True
    buffer = model.small.get(8)
    if buffer is not None and m.link_lies_outside(buffer):
        return True
    directory = bool(file["attributes"] & 0x10)
    size = len(model.data or b"")
    if directory:
        return model.data is not None  # BackupRead gives none; hcsshim sets a mode bit for it
    return bool(file.get("size", size) != size)


def unspeakable(file: Vector) -> bool:
    """An extended attribute whose name PAX cannot hold."""
    if "stream_hex" not in file or malformed(file):
        return False
    model = m.parse_backup(bytes.fromhex(file["stream_hex"]))
    return any(b"=" in name or b"\0" in name for name in model.eas)


def bad_files(vector: Vector) -> bool:
    """Does the vector have what we refuse, or what hcsshim does?"""
    return bool(vector["error"]) or any(bad_name(f) or malformed(f) or unspeakable(f) for f in vector["files"])


def export(files: list[Vector]) -> bytes:
    output = io.BytesIO()
    first: dict[int, str] = {}
    with TarWriter(output) as writer:
        for file in files:
            path = file_name(file)
            link = file["link"].replace("\\", "/") if "link" in file else None
            if "file_id" in file and not file["attributes"] & 0x10:  # directories have one name alone
                link = first.setdefault(file["file_id"], path)
                link = None if link == path else link
            if file.get("whiteout"):
                writer.add(Whiteout(path))
            elif link is not None:
                creation, access, write, change = (file[time] for time in TIMES)
                writer.add(
                    HardLink(
                        path,
                        link,
                        file_attributes=file["attributes"],
                        creation_time=creation,
                        last_access_time=access,
                        last_write_time=write,
                        change_time=change,
                    )
                )
            else:
                stream = io.BytesIO(bytes.fromhex(file["stream_hex"]))
                creation, access, write, change = (file[time] for time in TIMES)
                times = (creation, access, write, change)
                for entry, body in entries_from_backup(path, file["attributes"], times, stream, file.get("size")):
                    writer.add(entry, body)
        writer.commit()
    return output.getvalue()


@cases("bak2tar")
def test_export(vector: Vector) -> None:
    files = vector["files"]
    for file in files:
        if bad_name(file) or malformed(file) or unspeakable(file):
            with pytest.raises((FormatError, InexpressibleError)):
                export([file])
    good = [f for f in files if not (bad_name(f) or malformed(f) or unspeakable(f))]
    if not good:
        return
    ours = export(good)
    assert_model(ours, good)
    if vector["error"]:
        return  # hcsshim refuses or fails where it need not: the model has checked ours
    theirs = unzb64(vector["tar_zb64"])
    if ours == theirs:
        return
    # What differs must be what hcsshim loses or wraps, and all that it does write we write alike.
    mine = m.split_members(ours)
    dropped = {written_name(f) for f in files if f not in good}
    times = {
        encode_wtf8(file_name(f)) for f in good if "write" in f and any(not m.fits_nanoseconds(f[t]) for t in TIMES)
    }
    directories = {encode_wtf8(file_name(f)) for f in good if "file_id" in f and f["attributes"] & 0x10}
    matched = 0
    for records, pax, block, body in m.split_members(theirs):
        name = member_name(records, block)
        if name in dropped:
            continue
        while member_name(mine[matched][0], mine[matched][2]) != name:
            assert b":" in mine[matched][2][:100]  # a stream that hcsshim has lost
            matched += 1
        my_records, my_pax, my_block, my_body = mine[matched]
        matched += 1
        if name in directories:
            assert my_block[156:157] == b"5"
            continue
        assert my_pax == pax
        assert my_body == body
        if name in times:
            assert {k for k in my_records if k != b"mtime"} == {k for k in records if k != b"mtime"}
            continue
        assert my_block == block
        assert {k: my_records.get(k) for k in records} == records
        more = set(my_records) - set(records)
        # hcsshim, unless it can seek, loses EAs behind the data; all else that we add are records of our own.
        assert all(key.startswith(b"WCLAYER.") or (seekless(files) and b".xattr." in key) for key in more)
    for _, _, block, _ in mine[matched:]:
        assert b":" in block[:100]


def member_name(records: dict[bytes, bytes], block: bytes) -> bytes:
    prefix = block[345:500].rstrip(b"\0")
    name = block[:100].rstrip(b"\0")
    return records.get(b"path", prefix + b"/" + name if prefix else name)


def written_name(file: Vector) -> bytes:
    """The name that hcsshim writes: Go cleans the directory of a whiteout's path."""
    name = file_name(file)
    if file.get("whiteout"):
        directory = posixpath.normpath(name.rpartition("/")[0])
        name = f"{directory}/.wh.{name.rstrip('/').rpartition('/')[2]}"
    return encode_wtf8(name)


def seekless(files: list[Vector]) -> bool:
    return any(file.get("seekable") is False for file in files)


def assert_model(tar: bytes, files: list[Vector]) -> None:
    """Everything that the streams say is in the tar, as Python's tarfile reads it."""
    members = {encode_name(read): read for read in m.read_tar(tar)}
    for file in files:
        path = encode_wtf8(file_name(file))
        if file.get("whiteout"):
            directory, slash, base = path.rpartition(b"/")
            assert members[directory + slash + b".wh." + base].info.isreg()
            continue
        read = members[path]
        for time, key in (("creation", b"LIBARCHIVE.creationtime"), ("access", b"atime"), ("change", b"ctime")):
            assert read.time(key) == m.exact_time(file[time])
        written = read.time(b"mtime")
        assert (Fraction(int(read.info.mtime)) if written is None else written) == m.exact_time(file["write"])
        assert int(read.records[b"MSWINDOWS.fileattr"]) == file["attributes"]
        if "link" in file or read.info.islnk():
            assert read.info.islnk()
            continue
        expected = m.parse_backup(bytes.fromhex(file["stream_hex"]))
        descriptor = expected.small.get(3)
        assert read.base64(b"MSWINDOWS.rawsd") == descriptor
        eas = {
            key.removeprefix(b"MSWINDOWS.xattr."): (
                int(read.records.get(b"WCLAYER.eaflags." + key.removeprefix(b"MSWINDOWS.xattr."), b"0")),
                read.base64(key),
            )
            for key in read.records
            if key.startswith(b"MSWINDOWS.xattr.")
        }
        assert eas == expected.eas
        buffer = expected.small.get(8)
        whole = read.base64(b"WCLAYER.reparse")
        if whole is not None or buffer is None:
            assert whole == buffer
        else:
            assert read.info.issym()
            target = reparse.tar_target_to_windows(read.info.linkname)
            assert reparse.build_link(target, b"MSWINDOWS.mountpoint" in read.records) == buffer
        for number, key in ((7, b"WCLAYER.objectid"), (6, b"WCLAYER.stream.6"), (10, b"WCLAYER.stream.10")):
            assert read.base64(key) == expected.small.get(number)
        if not read.info.issym():
            assert read.data == (expected.data or b"")
        assert (b"WCLAYER.sparse" in read.records) <= expected.holed
        for name, data in expected.named.items():
            assert members[path + b":" + encode_wtf8(name)].data == data


def encode_name(read: m.Read) -> bytes:
    return read.info.name.encode("utf-8", "surrogateescape")


def test_every_kind_of_entry_is_seen() -> None:
    """The vectors reach all of the writer: were a kind to go missing from them, this would say so."""
    kinds: set[type[Entry]] = set()
    for vector in load("bak2tar"):
        if not bad_files(vector):
            kinds |= {type(entry) for entry, _ in TarSource(io.BytesIO(export(vector["files"]))).entries()}
    assert kinds == {Directory, File, AlternateStream, HardLink, Whiteout}


def test_ustar_block_is_go_s() -> None:
    """The block under the headers is the one of a plain whiteout."""
    tar = unzb64(next(v for v in load("tarwriter") if v["header"] == {"name": "Files/.wh.x"})["tar_zb64"])
    assert ustar_block(name=b"Files/.wh.x", typeflag=b"0") == tar[:512]
