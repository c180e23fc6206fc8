"""Reading layer tars of every make, and refusing what cannot be right, with the place."""

from __future__ import annotations

import base64
import io
import tarfile
from typing import BinaryIO

import pytest

from tests.strategies import Item, items_of
from tests.tars import BASE, END, M, build, directory, header, pax_header
from wclayer.entry import AlternateStream, Directory, Entry, ExtendedAttribute, File, HardLink, Whiteout
from wclayer.errors import (
    AttributesError,
    ConfinementError,
    FileTimeError,
    FormatError,
    InvalidNameError,
    LayerError,
    TarError,
    UsageError,
)
from wclayer.layertar.block import parse_block
from wclayer.layertar.reader import TarSource


def entries(tar: bytes) -> list[Entry]:
    return [entry for entry, _, _ in items_of(tar)]


def only(tar: bytes) -> tuple[Entry, bytes | None]:
    [(entry, content, _)] = items_of(tar)
    return entry, content


@pytest.mark.parametrize("format", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
def test_long_names_of_every_format(format: int) -> None:  # noqa: A002 # tarfile's own word
    name = "Files/" + "d" * 60 + "/" + "f" * 90
    target = "Files/" + "t" * 80
    found = entries(build([M(name, b"x"), M("Files/l", type="1", link=target)], format))
    assert found[0].path == name
    assert isinstance(found[1], HardLink)
    assert found[1].target == target


def test_names_over_the_ustar_limits() -> None:
    name, target = "Files/" + "n" * 300, "Files/" + "t" * 300
    for style in (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT):
        [file, link] = entries(build([M(name), M("Files/l", type="1", link=target)], style))
        assert file.path == name
        assert isinstance(link, HardLink)
        assert link.target == target


def test_framing_is_not_part_of_the_path() -> None:
    found = entries(build([directory("./"), directory("./Files/"), M("./Files/a", b"1"), directory(".//Files/b//")]))
    assert [entry.path for entry in found] == ["Files", "Files/a", "Files/b"]


def test_global_header_counts_until_overridden() -> None:
    tar = (
        pax_header(b"25 MSWINDOWS.fileattr=33\n", b"g")
        + header(b"a")
        + pax_header(b"24 MSWINDOWS.fileattr=1\n")
        + header(b"b")
        + header(b"c")
        + END
    )
    assert [entry.file_attributes for entry in entries(tar) if isinstance(entry, File)] == [33, 1, 33]


def test_global_headers_add_up() -> None:
    tar = (
        pax_header(b"25 MSWINDOWS.fileattr=33\n", b"g")
        + pax_header(b"11 atime=5\n" + b"11 ctime=6\n", b"g")
        + pax_header(b"11 ctime=7\n", b"g")
        + header(b"a")
        + END
    )
    entry, _ = only(tar)
    assert isinstance(entry, File)
    epoch = 116444736000000000
    assert (entry.file_attributes, entry.last_access_time, entry.change_time) == (
        33,
        epoch + 5 * 10**7,
        epoch + 7 * 10**7,
    )


def test_pax_over_ustar_and_empty_values() -> None:
    tar = (
        pax_header(b"10 path=g\n" + b"9 mtime=\n" + b"8 size=\n")
        + header(b"f", b"00000000002")
        + b"hi".ljust(512, b"\0")
        + END
    )
    entry, content = only(tar)
    assert isinstance(entry, File)
    assert (entry.path, entry.size, content) == ("g", 2, b"hi")
    assert entry.last_write_time == 116444736000000000 + 0o13727410000 * 10**7


def test_base_256_numbers_and_old_types() -> None:
    size = b"\x80" + (3).to_bytes(11, "big")
    entry, content = only(
        header(b"f", size, typeflag=b"\0", mtime=b"\xff" * 11 + b"\xfe") + b"abc".ljust(512, b"\0") + END
    )
    assert isinstance(entry, File)
    assert (content, entry.last_write_time) == (b"abc", 116444736000000000 - 2 * 10**7)
    entry, _ = only(header(b"d/", typeflag=b"\0", magic=bytes(8)) + END)
    assert entry == Directory(
        "d",
        creation_time=116444736000000000 + 0o13727410000 * 10**7,
        last_write_time=116444736000000000 + 0o13727410000 * 10**7,
    )


@pytest.mark.parametrize("field", ["mtime", "size"])
def test_base_256_of_64_bits(field: str) -> None:
    """What Go takes: an int64."""
    for value in ((1 << 63) - 1, 1 << 63, 1 << 70):
        number = b"\x80" + value.to_bytes(11, "big")
        block = header(b"f", number) if field == "size" else header(b"f", mtime=number)
        if value < 1 << 63:
            assert getattr(parse_block(block, 0), field) == value
        else:
            with pytest.raises(TarError, match=field) as caught:
                parse_block(block, 1024)
            assert caught.value.offset == 1024 + (124 if field == "size" else 136)


def test_a_directory_has_no_body() -> None:
    """Whatever size its header has: as in Go, Python's tarfile and GNU tar."""
    found = entries(header(b"d", b"00000000001", b"5") + header(b"d/f", b"00000000001") + b"x".ljust(512, b"\0") + END)
    assert [(type(entry), entry.path) for entry in found] == [(Directory, "d"), (File, "d/f")]


def test_star_headers() -> None:
    """A prefix of 131 bytes only, behind which its two times are."""
    block = bytearray(header(b"f", prefix=b"p" * 131))
    block[476:500] = b"00000000005\x0000000000006\0"
    block[508:512] = b"tar\0"
    block[148:156] = b"        "
    block[148:156] = b"%06o\0 " % sum(block)
    parsed = parse_block(bytes(block), 0)
    assert (parsed.name, parsed.atime, parsed.ctime) == (b"p" * 131 + b"/f", 5, 6)


def test_times_in_gnu_headers() -> None:
    gnu = header(b"f", magic=b"ustar  \0", atime=b"00000000005\x0000000000006\0")
    entry, _ = only(gnu + END)
    assert isinstance(entry, File)
    assert (entry.last_access_time, entry.change_time) == (116444736050000000, 116444736060000000)


def sparse_tar(version: str) -> tuple[bytes, bytes]:
    """A member that GNU tar would write for 1 MiB of hole with something at both ends."""
    size, parts = 1 << 20, [(0, b"begin"), (4096, b"middle"), ((1 << 20) - 3, b"end")]
    content = bytearray(size)
    for offset, part in parts:
        content[offset : offset + len(part)] = part
    stored = b"".join(part for _, part in parts)
    pairs = [(offset, len(part)) for offset, part in parts]
    records = {"MSWINDOWS.fileattr": "544"}
    if version == "0.0":
        body = b"".join(
            record(b"GNU.sparse.offset", b"%d" % o) + record(b"GNU.sparse.numbytes", b"%d" % n) for o, n in pairs
        )
        body += record(b"GNU.sparse.size", b"%d" % size) + record(b"GNU.sparse.numblocks", b"3")
        body += record(b"MSWINDOWS.fileattr", b"544")
        head = pax_header(body) + header(b"Files/f", b"%011o" % len(stored))
        return head + stored.ljust(512, b"\0") + END, bytes(content)
    if version == "0.1":
        records |= {"GNU.sparse.map": ",".join(f"{o},{n}" for o, n in pairs), "GNU.sparse.size": str(size)}
        records |= {"GNU.sparse.name": "Files/f"}
        return build([M("Files/GNUSparseFile.1/f", stored, pax=records)]), bytes(content)
    records |= {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": str(size)}
    records |= {"GNU.sparse.name": "Files/f"}
    text = b"%d\n" % len(pairs) + b"".join(b"%d\n%d\n" % pair for pair in pairs)
    return build([M("Files/GNUSparseFile.1/f", text.ljust(512, b"\0") + stored, pax=records)]), bytes(content)


def record(key: bytes, value: bytes) -> bytes:
    body = b" " + key + b"=" + value + b"\n"
    length = len(body) + 2
    length += len(str(length)) - 2
    return b"%d" % length + body


@pytest.mark.parametrize("version", ["0.0", "0.1", "1.0"])
def test_gnu_sparse_files_expand(version: str) -> None:
    tar, content = sparse_tar(version)
    [(entry, data, extents)] = items_of(tar)
    assert entry.path == "Files/f"
    assert data == content
    assert extents == ((0, 5), (4096, 6), ((1 << 20) - 3, 3))


@pytest.mark.parametrize(
    ("records", "data"),
    [
        ({"GNU.sparse.map": "0,5,3,5", "GNU.sparse.size": "10"}, b"x" * 10),  # overlapping
        ({"GNU.sparse.map": "0,5,8", "GNU.sparse.size": "10"}, b"x" * 5),
        ({"GNU.sparse.map": "0,5", "GNU.sparse.size": "10"}, b"x" * 6),  # more data than the map has
        ({"GNU.sparse.map": "0,20", "GNU.sparse.size": "10"}, b"x" * 20),
        ({"GNU.sparse.map": "0,-5", "GNU.sparse.size": "10"}, b""),
        ({"GNU.sparse.map": "0,5"}, b"x" * 5),
        ({"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "5"}, b"99999999\n".ljust(1024)),
        ({"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "5"}, b""),
        ({"GNU.sparse.major": "2", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "5"}, b"x"),
        ({"GNU.sparse.map": "0,5", "GNU.sparse.minor": "0", "GNU.sparse.size": "5"}, b"x" * 5),  # half a version
    ],
)
def test_bad_gnu_sparse_maps(records: dict[str, str], data: bytes) -> None:
    with pytest.raises(FormatError) as caught:
        entries(build([M("Files/f", data, pax=records)]))
    assert caught.value.offset is not None


@pytest.mark.parametrize(("ranges", "fits"), [(262_142, True), (262_143, False)])
def test_the_largest_gnu_sparse_map(ranges: int, fits: bool) -> None:
    """1 MiB of lines before the data (format 1.0)."""
    text = b"%d\n" % ranges + b"0\n0\n" * ranges
    assert (len(text) <= 1 << 20) == fits
    records = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "0"}
    [member] = [M("Files/f", text + bytes(-len(text) % 512), pax=records)]
    if fits:
        [(entry, content, _)] = items_of(build([member]))
        assert (entry.path, content) == ("Files/f", b"")
    else:
        with pytest.raises(TarError, match="1 MiB"):
            items_of(build([member]))


def test_sparse_record_of_our_own() -> None:
    [(_, data, extents)] = items_of(build([M("f", b"a" + bytes(9), pax={"WCLAYER.sparse": "0,1"})]))
    assert (data, extents) == (b"a" + bytes(9), ((0, 1),))
    [(_, _, extents)] = items_of(build([M("f", bytes(9), pax={"WCLAYER.sparse": "0,0"})]))
    assert extents == ()
    for bad in ("1", "0,99", "5,1;0,1", "0,1;", "x,1", "-1,3"):
        with pytest.raises(FormatError):
            items_of(build([M("f", bytes(9), pax={"WCLAYER.sparse": bad})]))


def test_truncated_anywhere() -> None:
    """Each cut is an error with its offset, or leaves whole members and no end marker, which Go accepts too."""
    tar = build([*BASE, M("Files/f", b"x" * 700, pax={"MSWINDOWS.rawsd": "AAAA"}), M("Files/g", b"y")])
    whole = items_of(tar)
    end = tar.rindex(b"y") + 512
    for cut in range(1, end):
        found, error = outcome(tar[:cut])
        if error is None:
            assert cut % 512 == 0
            assert found == whole[: len(found)]
            assert len(found) < len(whole)
        else:
            assert error.offset is not None
            assert error.offset <= cut


def outcome(tar: bytes) -> tuple[list[Item], TarError | None]:
    try:
        return items_of(tar), None
    except TarError as error:
        return [], error


@pytest.mark.parametrize(
    ("tar", "error", "message"),
    [
        (header(b"f")[:148] + b"000000\0 " + header(b"f")[156:], TarError, "checksum"),
        (header(b"f", b"0000000000x"), TarError, "octal"),
        (header(b"f", b"\xff" * 12), TarError, "negative"),
        (pax_header(b"5 a=b\n") + header(b"f"), TarError, "PAX record"),
        (pax_header(b"99 a=b\n") + header(b"f"), TarError, "PAX record"),
        (pax_header(b"x a=b\n") + header(b"f"), TarError, "PAX record"),
        (pax_header(b"6 =bb\n") + header(b"f"), TarError, "PAX record"),
        (pax_header(b"5 ab\n") + header(b"f"), TarError, "PAX record"),
        (pax_header(b"12 path=a\0b\n") + header(b"f"), TarError, "NUL"),
        (pax_header(b"10 size=-\n") + header(b"f"), TarError, "PAX record"),
        (pax_header(b"9 size=-\n") + header(b"f"), TarError, "size"),
        (pax_header(b"28 size=9223372036854775808\n") + header(b"f"), TarError, "size"),
        (pax_header(b"28 size=9223372036854775807\n") + header(b"f"), TarError, "ends inside the data"),
        (pax_header(b"6 a=b\n"), TarError, "ends inside"),
        (header(b"x", b"77777777777", b"x"), TarError, "too large"),
        (header(b"x", b"77777777777", b"L"), TarError, "too large"),
        (header(b"f") + bytes(512) + header(b"g"), TarError, "zero block"),
        (header(b"f") + END + b"x" * (1 << 20) + b"\0" * 512 + b"y", TarError, "long after the end"),
        (header(b"f", typeflag=b"3"), TarError, "character device"),
        (header(b"f", typeflag=b"6"), TarError, "FIFO"),
        (header(b"f", typeflag=b"7"), TarError, "contiguous"),
        (header(b"f", typeflag=b"S"), TarError, "old GNU sparse"),
        (header(b"f", typeflag=b"Z"), TarError, "unknown type"),
        (header(b"f/"), TarError, "slash"),
        (header(b"\xe9"), InvalidNameError, "UTF-8"),
        (b"not a tar at all".ljust(512), TarError, "checksum"),
    ],
)
def test_broken_tars(tar: bytes, error: type[FormatError], message: str) -> None:
    with pytest.raises(error, match=message) as caught:
        entries(tar if tar.endswith(END) else tar + END)
    assert caught.value.offset is not None


@pytest.mark.parametrize(
    ("member", "error"),
    [
        (M("Files/../../etc/passwd"), ConfinementError),
        (M("/Files/x"), ConfinementError),
        (M("C:/Windows/x"), ConfinementError),
        (M("C:\\"), ConfinementError),
        (M("Files/a\\b"), InvalidNameError),
        (M("Files/a//b"), InvalidNameError),
        (M("Files/./b"), InvalidNameError),
        (M("Files/a:b:c"), LayerError),
        (M("Files/a:b"), LayerError),
        (M("Files/a:b", type="5"), LayerError),
        (M("Files/l", type="1", link="../x"), ConfinementError),
        (M("Files/l", type="1", link="Files\\x"), InvalidNameError),
        (M("Files/l", type="1", link="Files/x:y"), LayerError),
        (M("Files/l", type="1", link=""), InvalidNameError),
        (M("Files/.wh."), ConfinementError),
        (M("Files/.wh..."), ConfinementError),
        (M("Files/.wh.a:b"), LayerError),
        (M("Files/.wh.a", b"data"), LayerError),
        (M("Files/.wh.a/", type="5"), LayerError),
        (M("Files/.wh.a/"), LayerError),
        (M("Files/f", pax={"MSWINDOWS.fileattr": "+32"}), AttributesError),
        (M("Files/f", pax={"MSWINDOWS.fileattr": "4294967296"}), AttributesError),
        (M("Files/f", pax={"MSWINDOWS.fileattr": ""}), AttributesError),
        (M("Files/f", pax={"MSWINDOWS.rawsd": "AAA"}), TarError),
        (M("Files/f", pax={"MSWINDOWS.xattr.A": "!"}), TarError),
        (M("Files/f", pax={"MSWINDOWS.xattr.a=b": "MQ=="}), TarError),
        (M("Files/f", pax={"MSWINDOWS.xattr.A": "MQ==", "WCLAYER.eaflags.A": "256"}), TarError),
        (M("Files/f", pax={"WCLAYER.eaflags.A": "1"}), TarError),
        (M("Files/f", pax={"WCLAYER.stream.7": "MQ=="}), TarError),
        (M("Files/f", pax={"WCLAYER.reparse": "AAAA"}), FormatError),
        (M("Files/f", pax={"LIBARCHIVE.creationtime": ".5"}), FileTimeError),
        (M("Files/f", pax={"atime": "1e3"}), FileTimeError),
        (M("Files/f", pax={"ctime": "-99999999999"}), FileTimeError),
        (M("Files/f", pax={"MSWINDOWS.sd": "garbage"}), FormatError),
    ],
    ids=lambda value: value.name if isinstance(value, M) else "",
)
def test_entries_that_cannot_be(member: M, error: type[FormatError]) -> None:
    with pytest.raises(error) as caught:
        entries(build([*BASE, member]))
    shown = str(caught.value)
    assert caught.value.offset is not None
    assert caught.value.offset >= 512
    assert f"{caught.value.offset:,}" in shown


@pytest.mark.parametrize(("size", "fits"), [((1 << 20), True), ((1 << 20) + 1, False)])
def test_the_largest_header_of_records(size: int, fits: bool) -> None:
    """1 MiB, as in Go."""
    start = b"%d comment=" % size
    tar = pax_header(start + b"x" * (size - len(start) - 1) + b"\n") + header(b"f") + END
    if fits:
        assert [entry.path for entry in entries(tar)] == ["f"]
    else:
        with pytest.raises(TarError, match="too large"):
            entries(tar)


def test_the_largest_extended_attribute() -> None:
    """EaNameLength is a uint8, EaValueLength a uint16, Flags a uint8 ([MS-FSCC] 2.4.16)."""

    def of(name: int, value: int, flags: int) -> M:
        key = "n" * name
        text = base64.b64encode(bytes(value)).decode()
        return M("f", pax={f"MSWINDOWS.xattr.{key}": text, f"WCLAYER.eaflags.{key}": str(flags)})

    entry, _ = only(build([of(255, 65_535, 255)]))
    assert isinstance(entry, File)
    assert entry.extended_attributes == (ExtendedAttribute(b"n" * 255, bytes(65_535), 255),)
    for member in (of(256, 1, 0), of(1, 65_536, 0), of(1, 1, 256)):
        with pytest.raises(TarError):
            only(build([member]))


def test_records_in_any_order() -> None:
    """Whoever wrote the tar: an entry has its attributes by name, its streams by number."""
    records = (b"26 MSWINDOWS.xattr.B=Mg==\n", b"26 MSWINDOWS.xattr.A=MQ==\n")
    streams = (b"26 WCLAYER.stream.10=Mg==\n", b"25 WCLAYER.stream.6=MQ==\n")
    for order in (1, -1):
        entry, _ = only(pax_header(b"".join((*records[::order], *streams[::order]))) + header(b"f") + END)
        assert isinstance(entry, File)
        assert entry.extended_attributes == (ExtendedAttribute(b"A", b"1"), ExtendedAttribute(b"B", b"2"))
        assert entry.backup_streams == ((6, b"1"), (10, b"2"))


@pytest.mark.parametrize(("mode", "data", "stream"), [(0o644, b"x", True), (0o644, b"", False), (0o100644, b"", True)])
def test_when_a_file_has_a_data_stream(mode: int, data: bytes, stream: bool) -> None:
    """hcsshim sets S_IFREG where it does; other tools do not, but data are in one all the same."""
    block = header(b"f", b"%011o" % len(data), mode=b"%07o\0" % mode)
    entry, _ = only(block + data + bytes(-len(data) % 512) + END)
    assert isinstance(entry, File)
    assert entry.data_stream == stream


def test_streams_follow_their_owner() -> None:
    tar = build([directory("d/"), M("d:s", b"1"), M("f", b"2"), M("f:a", b"3"), M("f:b:$DATA", b"4")])
    found = [entry for entry in entries(tar) if isinstance(entry, AlternateStream)]
    assert [(entry.path, entry.name) for entry in found] == [("d", "s"), ("f", "a"), ("f", "b")]


def test_whiteouts() -> None:
    found = entries(
        build([M("Files/.wh.a"), M("Files/.wh..wh..opq"), M(".wh.b"), directory("Files/.wh.d", path="Files/.wh.d")])
    )
    assert found == [Whiteout("Files/a"), Whiteout("Files/.wh..opq"), Whiteout("b"), Whiteout("Files/d")]


def test_what_is_announced_is_not_allocated() -> None:
    """10 GiB announced in a tar of 1 KiB: the error comes without the memory."""
    import tracemalloc

    tar = pax_header(b"20 size=10737418240\n") + header(b"f") + END
    tracemalloc.start()
    [_, body] = next(TarSource(io.BytesIO(tar)).entries())
    assert body is not None
    assert len(body.read(1 << 16)) == 1024
    with pytest.raises(TarError, match="ends inside"):
        body.read(1 << 16)
    assert tracemalloc.get_traced_memory()[1] < 4 << 20
    tracemalloc.stop()


def test_bytes_after_the_end_count() -> None:
    import hashlib

    tar = build([M("f", b"x")]) + b"trailing" + bytes(3000)
    source = TarSource(io.BytesIO(tar))
    for _ in source.entries():
        pass
    summary = source.summary()
    assert summary.diff_id == f"sha256:{hashlib.sha256(tar).hexdigest()}"
    assert summary.tar_size == len(tar)


def test_a_pipe_is_read_once() -> None:
    source = TarSource(io.BytesIO(build([M("f")])))
    assert not source.restartable
    with pytest.raises(UsageError):
        source.summary()
    assert len(list(source.entries())) == 1
    with pytest.raises(UsageError):
        list(source.entries())


def test_a_file_can_be_read_again() -> None:
    def reopen() -> BinaryIO:
        return io.BytesIO(build([M("f", b"1")]))

    source = TarSource(None, reopen=reopen)
    assert source.restartable
    assert list(map(type, (entry for entry, _ in source.entries()))) == [File]
    assert list(map(type, (entry for entry, _ in source.entries()))) == [File]


@pytest.mark.parametrize("size", [1, 7, 511, 512, 513, 4096])
def test_input_in_pieces(size: int) -> None:
    """Whole, byte by byte, and in odd pieces: the same entries."""

    class Pieces(io.RawIOBase):
        def __init__(self, data: bytes) -> None:
            self.data = io.BytesIO(data)

        def read(self, n: int = -1, /) -> bytes:
            return self.data.read(min(n, size) if n > 0 else n)

    tar = build([*BASE, M("Files/f", b"x" * 1500), M("Files/f:s", b"y" * 600)])
    found = [(e, b.read() if b else None) for e, b in TarSource(Pieces(tar)).entries()]  # type: ignore[arg-type]
    assert found == [(e, c) for e, c, _ in items_of(tar)]
