"""Every field of every entry against what Python's tarfile reads from the same tar."""

from __future__ import annotations

from fractions import Fraction

from tests.conformance import model as m
from tests.strategies import Item
from wclayer.entry import AlternateStream, Directory, File, HardLink, Whiteout
from wclayer.win32.names import encode_wtf8
from wclayer.win32.reparse import build_link


def assert_fields(tar: bytes, items: list[Item]) -> None:
    members = m.read_tar(tar)
    assert len(members) == len(items)
    for read, (entry, content, extents) in zip(members, items, strict=True):
        name = read.info.name.encode("utf-8", "surrogateescape")
        if isinstance(entry, Whiteout):
            directory, slash, base = entry.path.rpartition("/")
            assert name == encode_wtf8(f"{directory}{slash}.wh.{base}")
            assert read.records == {} or set(read.records) == {b"path"}
            continue
        if isinstance(entry, AlternateStream):
            assert name == encode_wtf8(f"{entry.path}:{entry.name}")
            assert read.data == content
            assert len(read.data) == entry.size
            continue
        assert name == encode_wtf8(entry.path)
        assert int(read.records[b"MSWINDOWS.fileattr"]) == entry.file_attributes
        assert_times(read, entry)
        if isinstance(entry, HardLink):
            assert read.info.islnk()
            assert read.info.linkname.encode("utf-8", "surrogateescape") == encode_wtf8(entry.target)
        else:
            assert_metadata(read, entry, content, extents)


def assert_times(read: m.Read, entry: Directory | File | HardLink) -> None:
    for value, key in (
        (entry.creation_time, b"LIBARCHIVE.creationtime"),
        (entry.last_access_time, b"atime"),
        (entry.change_time, b"ctime"),
    ):
        assert read.time(key) == m.exact_time(m.NO_TIME if value is None else value)
    assert entry.last_write_time is not None
    written = read.time(b"mtime")
    assert (Fraction(int(read.info.mtime)) if written is None else written) == m.exact_time(entry.last_write_time)


def assert_metadata(
    read: m.Read, entry: Directory | File, content: bytes | None, extents: tuple[tuple[int, int], ...] | None
) -> None:
    records = read.records
    assert read.base64(b"MSWINDOWS.rawsd") == entry.security_descriptor
    eas = {ea.name: (ea.value, ea.flags) for ea in entry.extended_attributes}
    prefix = b"MSWINDOWS.xattr."
    found = {key.removeprefix(prefix): read.base64(key) for key in records if key.startswith(prefix)}
    assert {name: (value, int(records.get(b"WCLAYER.eaflags." + name, b"0"))) for name, value in found.items()} == eas
    whole = read.base64(b"WCLAYER.reparse")
    if read.info.issym():
        target = read.info.linkname.encode("utf-8", "surrogateescape").decode("utf-8", "surrogatepass")
        built = build_link(target.replace("/", "\\"), b"MSWINDOWS.mountpoint" in records)
        assert (whole if whole is not None else built) == entry.reparse_data
    else:
        assert whole == entry.reparse_data
        assert read.info.isdir() == isinstance(entry, Directory)
    short = records.get(b"WCLAYER.shortname")
    assert (None if short is None else short.decode()) == entry.short_name
    assert read.base64(b"WCLAYER.objectid") == entry.object_id
    streams = tuple((n, read.base64(b"WCLAYER.stream.%d" % n)) for n in (6, 10) if b"WCLAYER.stream.%d" % n in records)
    assert streams == entry.backup_streams
    if isinstance(entry, File):
        assert read.data == (content or b"")
        assert bool(read.info.mode & 0o100000) == (entry.data_stream or read.info.issym())
        if extents is not None:
            text = ";".join(f"{offset},{length}" for offset, length in extents) or "0,0"
            assert records[b"WCLAYER.sparse"] == text.encode()
        else:
            assert b"WCLAYER.sparse" not in records
