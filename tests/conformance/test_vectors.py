"""What hcsshim's import and export really do, vector by vector.

Where an input is good we give the same bytes. Where hcsshim loses something, wraps a time, panics, or lets a path out
of the layer, we do better on purpose: `rules` decides which those are.
"""

from __future__ import annotations

import hashlib
import io
import struct
from fractions import Fraction
from typing import Any

import pytest

from tests.backup_streams import backup_from_entry
from tests.conformance import model as m
from tests.conformance.rules import (
    TIMES,
    bad_files,
    bad_name,
    file_name,
    is_root,
    links_wrap,
    must_refuse,
    old_sddl_unreadable,
    raw_bytes,
    refused,
    seekless,
    vector_name,
    with_globals,
    written_name,
)
from tests.conformance.vectors import Vector, cases, load, unzb64
from wclayer.body import BytesBody
from wclayer.entry import AlternateStream, Body, Directory, Entry, File, HardLink, Whiteout
from wclayer.errors import FormatError, InexpressibleError
from wclayer.layertar.members import MemberReader
from wclayer.layertar.reader import TarSource
from wclayer.layertar.stream import Input
from wclayer.layertar.writer import TarWriter
from wclayer.stores.ntfs.backup import entries_from_backup
from wclayer.win32 import reparse
from wclayer.win32.names import encode_wtf8

# --- import ------------------------------------------------------------------------------


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
            backup = backup_from_entry(entry, body, streams)
            result.append(
                {
                    "name": encode_wtf8(entry.path),
                    "attributes": entry.file_attributes,
                    "creation": comparable_time(entry.creation_time),
                    "access": comparable_time(entry.last_access_time),
                    "write": comparable_time(entry.last_write_time),
                    "change": comparable_time(entry.change_time),
                    "stream": backup,
                    "size": entry.size if isinstance(entry, File) else 0,
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
        assert ours["size"] == theirs["tar_size"]
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


def assert_records(ours: dict[bytes, bytes], theirs: dict[str, str], without: set[str]) -> None:
    """The records of a member without those of global headers."""
    found = {key.decode("utf-8", "replace"): value for key, value in ours.items()}
    assert found.keys() - without == theirs.keys() - without
    for key in theirs.keys() - without:
        assert theirs[key].encode() in shown(found[key].decode("utf-8", "replace").encode())


def shown(text: bytes) -> tuple[bytes, bytes]:
    """What may stand for a text in the vectors: itself, or its length."""
    return text, b"len:%d" % len(text)


@cases("tar2bak")
def test_members(vector: Vector) -> None:
    """What Go's archive/tar reads of the tar, before any of it means something to Windows."""
    tar = unzb64(vector["tar_zb64"])
    assert (len(tar), hashlib.sha256(tar).hexdigest()) == (vector["tar_size"], vector["tar_sha256"])
    reader = MemberReader(Input(io.BytesIO(tar)))
    members = iter(reader)
    common: set[str] = set()  # keys of global headers, which are members to Go
    for parsed in vector["parsed"]:
        if parsed["typeflag"] == "g":
            common |= set(parsed["pax"])
            continue
        if parsed["typeflag"] == "S" or vector["parse_error"]:  # of which ours says more before it gives the member
            return
        member = next(members)
        assert raw_bytes(parsed, "raw_name") in shown(member.name)
        assert raw_bytes(parsed, "linkname") in shown(member.linkname) or member.typeflag not in (b"1", b"2")
        assert (member.typeflag.decode("latin-1"), member.size) == (parsed["typeflag"], parsed.get("size", 0))
        assert_records(member.records, parsed.get("pax", {}), common)
        content = reader.body(member).read()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (
            parsed.get("data_len", 0),
            parsed["data_sha256"],
        )


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
    if links_wrap(tar) or vector["reverse"]["error"]:
        with pytest.raises((FormatError, InexpressibleError)):
            as_imported(source)
        return
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


# --- export ------------------------------------------------------------------------------


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
        if refused(file):
            with pytest.raises((FormatError, InexpressibleError)):
                export([file])
    good = [f for f in files if not refused(f)]
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
        if name in dropped or name.partition(b":")[0] in dropped:  # the file, or a stream of it
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
