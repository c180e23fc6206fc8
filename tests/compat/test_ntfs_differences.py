"""What two accounts of an NTFS tree may differ in, and what a layer tar says of one: the judges of the other tests."""

from __future__ import annotations

import base64
import struct
from dataclasses import replace
from pathlib import Path

import pytest

from tests.compat.ntfs_facts import EMPTY_SHA1, Facts, Stream, differences, holes_of, stream_of
from tests.compat.ntfs_tar import tar_facts
from tests.tars import BASE, END, M, build, directory, header, pax_header

ONE = Facts(
    attributes=0x20,
    descriptor=struct.pack("<BBHIIII", 1, 0, 0x8004, 20, 32, 0, 0) + bytes(24),
    creation_time=1,
    last_write_time=2,
    last_access_time=3,
    change_time=4,
    short_name="ONE~1",
    data=stream_of(b"data"),
    streams={"s": stream_of(b"stream")},
    eas={b"E": (0, b"value")},
)

PLANTED = {
    "attributes": replace(ONE, attributes=0x21),
    "reparse bit": replace(ONE, attributes=0x420),
    "directory": replace(ONE, attributes=0x30),
    "offline": replace(ONE, attributes=0x1020),
    "descriptor": replace(ONE, descriptor=(ONE.descriptor or b"") + b"x"),
    "creation": replace(ONE, creation_time=2),
    "write": replace(ONE, last_write_time=3),
    "access": replace(ONE, last_access_time=4),
    "short name": replace(ONE, short_name="ONE~2"),
    "no short name": replace(ONE, short_name=None),
    "reparse data": replace(ONE, reparse=b"\x0c\0\0\xa0\0\0\0\0"),
    "content": replace(ONE, data=stream_of(b"date")),
    "size": replace(ONE, data=stream_of(b"data!")),
    "holes": replace(ONE, data=stream_of(b"data", ((0, 4),))),
    "stream": replace(ONE, streams={"s": stream_of(b"streak")}),
    "no stream": replace(ONE, streams={}),
    "another stream": replace(ONE, streams={**ONE.streams, "t": Stream(0, EMPTY_SHA1, ())}),
    "links": replace(ONE, links=frozenset({"a", "b"})),
    "EA": replace(ONE, eas={b"E": (0, b"valve")}),
    "EA flags": replace(ONE, eas={b"E": (0x80, b"value")}),
    "no EA": replace(ONE, eas={}),
    "object ID": replace(ONE, object_id=bytes(16)),
}

EXCUSED = {
    "change time": replace(ONE, change_time=5),
    "attributes": replace(ONE, attributes=0x20 | 0x4000 | 0x8000 | 0x20000 | 0x80000 | 0x400000),
    "compressed file": replace(ONE, attributes=0x820),
    "sparse without a hole": replace(ONE, attributes=0x220),
    "no owner": replace(ONE, descriptor=struct.pack("<BBHIIII", 1, 0, 0x8004, 0, 20, 0, 0)),
    "no group": replace(ONE, descriptor=struct.pack("<BBHIIII", 1, 0, 0x8004, 20, 0, 0, 0)),
    "no descriptor": replace(ONE, descriptor=None),
    "no time": replace(ONE, creation_time=None, last_access_time=None),
    "case of the DOS name": replace(ONE, short_name="one~1"),
    "unknown": replace(ONE, eas=None, data=Stream(4, "", None)),
}


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_difference_is_told(name: str) -> None:
    for one, other in ((ONE, PLANTED[name]), (PLANTED[name], ONE)):
        found = differences({"x": one}, {"x": other})
        assert len(found) == 1, found
        assert found[0].startswith("'x': ")
    assert differences({"x": PLANTED[name]}, {"x": PLANTED[name]}) == []


@pytest.mark.parametrize("name", EXCUSED)
def test_what_no_volume_holds_is_excused(name: str) -> None:
    assert differences({"x": ONE}, {"x": EXCUSED[name]}) == []
    assert differences({"x": EXCUSED[name]}, {"x": ONE}) == []


def test_attributes_that_only_some_objects_can_lose() -> None:
    folder = replace(ONE, attributes=0x10, data=None)
    assert differences({"x": folder}, {"x": replace(folder, attributes=0x810)}) != []
    holey = replace(ONE, data=stream_of(bytes(9999), ((0, 8192),)))
    assert differences({"x": holey}, {"x": replace(holey, attributes=0x220)}) != []
    none = replace(ONE, attributes=0)
    assert differences({"x": none}, {"x": replace(ONE, attributes=0x80)}) == []
    assert differences({"x": none}, {"x": replace(ONE, attributes=1)}) != []


def test_a_dos_name_that_is_the_name_itself() -> None:
    for path, short_name in (("a/READ.ME", "READ.ME"), ("read.me", "READ.ME")):
        same = replace(ONE, short_name=short_name)
        assert differences({path: same}, {path: replace(ONE, short_name=None)}) == []
        assert differences({path: same}, {path: ONE}) != []


def test_paths_on_one_side() -> None:
    assert differences({"x": ONE, "y": ONE}, {"x": ONE, "z": ONE}) == [
        "'y': only in the first",
        "'z': only in the second",
    ]


@pytest.mark.parametrize(
    ("extents", "size", "expected"),
    [
        ([], 0, ()),
        ([(0, 0)], 10, ((0, 10),)),
        ([(0, 10)], 10, ()),
        ([(0, 10)], 5000, ((4096, 904),)),
        ([(4095, 2)], 9000, ((8192, 808),)),
        ([(8192, 4096), (0, 1)], 20000, ((4096, 4096), (12288, 7712))),
        ([(0, 8192), (4096, 100)], 8192, ()),
    ],
)
def test_holes(extents: list[tuple[int, int]], size: int, expected: tuple[tuple[int, int], ...]) -> None:
    assert holes_of(iter(extents), size) == expected


# --- tars --------------------------------------------------------------------------


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _symlink(substitute: str, shown: str, flags: int) -> bytes:
    first, second = substitute.encode("utf-16-le"), shown.encode("utf-16-le")
    data = struct.pack("<HHHHI", 0, len(first), len(first) + 2, len(second), flags)
    data += first + b"\0\0" + second + b"\0\0"
    return struct.pack("<IHH", 0xA000000C, len(data), 0) + data


def test_a_tar(tmp_path: Path) -> None:
    descriptor = ONE.descriptor or b""
    records = {
        "MSWINDOWS.fileattr": "32",
        "MSWINDOWS.rawsd": _b64(descriptor),
        "LIBARCHIVE.creationtime": "-1.5",
        "atime": "9999999999.1234567",
        "ctime": "-6795364578.8713451",
        "mtime": "-11644473600",
        "MSWINDOWS.xattr.ONE": _b64(b"1"),
        "MSWINDOWS.xattr.TWO": _b64(b"2"),
        "WCLAYER.eaflags.TWO": "128",
        "WCLAYER.shortname": "ALL~1",
        "WCLAYER.objectid": _b64(bytes(range(16))),
    }
    sparse = {"MSWINDOWS.fileattr": "544", "WCLAYER.sparse": "0,4096;12288,10"}
    link = {"MSWINDOWS.fileattr": "1024"}
    unknown = struct.pack("<IHH", 0x8000001B, 2, 0) + b"xy"
    path = tmp_path / "layer.tar"
    path.write_bytes(
        build(
            [
                *BASE,
                M("Files/dir:of the directory", b"d"),
                M("Files/all", b"data", pax=records),
                M("Files/all:stream", b"stream"),
                M("Files/all:empty:$DATA"),
                M("Files/dir/linked", type="1", link="Files/all", pax=records),
                M("Files/dir/again", type="1", link="Files/dir/linked", pax=records),
                M("Files/sparse", b"a" * 4096 + bytes(8192) + b"b" * 10, pax=sparse),
                M("Files/lone \udced\udca0\udc80", b"x"),
                M("Files/relative", type="2", link="..\\a/b", pax=link),
                M("Files/absolute", type="2", link="C:\\a", pax=link),
                M("Files/share", type="2", link="\\\\server\\share", pax=link),
                M("Files/device", type="2", link="\\\\?\\C:\\a", pax=link),
                M("Files/other", type="2", link="x", pax={**link, "WCLAYER.reparse": _b64(unknown)}),
                M(
                    "Files/junction",
                    type="2",
                    link="C:\\",
                    pax={"MSWINDOWS.fileattr": "1040", "MSWINDOWS.mountpoint": "1"},
                ),
                directory("Files/odd", **{"WCLAYER.reparse": _b64(unknown), "MSWINDOWS.fileattr": "1040"}),
                M("Files/bare", b"x", mtime=1_600_000_000),
            ]
        )
    )
    found = tar_facts(path)
    one = found["Files/all"]
    names = frozenset({"Files/all", "Files/dir/linked", "Files/dir/again"})
    epoch = 116444736000000000
    assert one == Facts(
        attributes=32,
        descriptor=descriptor,
        creation_time=epoch - 15_000_000,
        last_write_time=0,
        last_access_time=epoch + 99999999991234567,
        change_time=None,
        short_name="ALL~1",
        data=stream_of(b"data"),
        streams={"stream": stream_of(b"stream"), "empty": stream_of(b"")},
        links=names,
        eas={b"ONE": (0, b"1"), b"TWO": (0x80, b"2")},
        object_id=bytes(range(16)),
    )
    assert found["Files/dir/linked"] == found["Files/dir/again"] == one
    assert found["Files/dir"].streams == {"of the directory": stream_of(b"d")}
    assert found["Files/dir"].data is None
    assert found["Files/sparse"].data == stream_of(b"a" * 4096 + bytes(8192) + b"b" * 10, ((4096, 8192),))
    assert found["Files/lone \ud800"].data == stream_of(b"x")
    assert found["Files/relative"].reparse == _symlink("..\\a\\b", "..\\a\\b", 1)
    assert found["Files/absolute"].reparse == _symlink("\\??\\C:\\a", "C:\\a", 0)
    assert found["Files/share"].reparse == _symlink("\\??\\UNC\\server\\share", "\\\\server\\share", 0)
    assert found["Files/device"].reparse == _symlink("\\??\\C:\\a", "\\\\?\\C:\\a", 0)
    assert found["Files/other"].reparse == found["Files/odd"].reparse == unknown
    junction = struct.pack("<IHHHHHH", 0xA0000003, 32, 0, 0, 14, 16, 6)
    assert found["Files/junction"].reparse == junction + "\\??\\C:\\\0C:\\\0".encode("utf-16-le")
    assert found["Files/odd"].data is None
    bare = found["Files/bare"]
    assert (bare.attributes, bare.descriptor, bare.last_access_time) == (0, None, None)
    assert bare.creation_time == bare.last_write_time == epoch + 16_000_000_000_000_000


def test_a_tar_with_names_that_tarfile_cannot_write(tmp_path: Path) -> None:
    records = b"".join(
        b"%d %s\n" % (len(record) + 4, record)
        for record in (b"MSWINDOWS.xattr.\xff\xfe=MQ==", b"WCLAYER.eaflags.\xff\xfe=128", b"path=Files/\xed\xb0\x80-")
    )
    path = tmp_path / "layer.tar"
    path.write_bytes(pax_header(records) + header() + END)
    found = tar_facts(path)
    assert found.keys() == {"Files/\udc00-"}
    assert found["Files/\udc00-"].eas == {b"\xff\xfe": (0x80, b"1")}
