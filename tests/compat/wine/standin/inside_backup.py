"""The stand-in's BackupRead, BackupWrite and BackupSeek: streams come back in Windows' order, wherever they are cut."""

from __future__ import annotations

import ctypes
import os
from ctypes import byref, c_uint32, c_void_p
from pathlib import Path
from typing import Final

import pytest

from tests.compat.wine.standin import calls, violations
from tests.compat.wine.standin.abi import GENERIC_READ, GENERIC_WRITE, INFO, RESTORE, Backup, last_error, opened
from wclayer.entry import ExtendedAttribute
from wclayer.win32.backup_stream import STREAM_ATTRIBUTE_SPARSE, StreamHeader, StreamId, pack_header, parse_streams
from wclayer.win32.ea import build_ea_list
from wclayer.win32.sddl import format_sddl, parse_sddl

Stream = tuple[StreamHeader, bytes]

CUTS: Final = (1, 7, 1 << 16)
DEFAULT: Final = parse_sddl("O:BAG:SYD:(A;;FA;;;BA)(A;;FA;;;SY)")


def stream(number: int, data: bytes, name: str = "", attributes: int = 0) -> Stream:
    return StreamHeader(number, len(data), attributes, name), data


def block(offset: int, data: bytes) -> Stream:
    return StreamHeader(StreamId.SPARSE_BLOCK, len(data), STREAM_ATTRIBUTE_SPARSE, "", offset), data


def packed(streams: list[Stream]) -> bytes:
    return b"".join(pack_header(header) + data for header, data in streams)


SECURITY: Final = stream(StreamId.SECURITY_DATA, parse_sddl("O:SYG:SYD:P(A;;FR;;;WD)"))
EAS: Final = (ExtendedAttribute(b"A", b"xy"), ExtendedAttribute(b"OTHER", b"value", 0x80))
EA: Final = stream(StreamId.EA_DATA, build_ea_list(EAS))
WOF: Final = bytes.fromhex("17000080 0400 0000 01020304")
REPARSE: Final = stream(StreamId.REPARSE_DATA, WOF)
OBJECT_ID: Final = stream(StreamId.OBJECT_ID, bytes(range(64)))
PROPERTY: Final = stream(StreamId.PROPERTY_DATA, b"property")
TXFS: Final = stream(StreamId.TXFS_DATA, b"\1\2\3")
DATA: Final = stream(StreamId.DATA, bytes(range(256)) * 3)
SPARSE: Final = [
    stream(StreamId.DATA, b"", attributes=STREAM_ATTRIBUTE_SPARSE),
    block(0x10000, b"there" * 100),
    block(0x50000, b"and there"),
    block(0x80001, b""),
]
NAMED: Final = [stream(StreamId.ALTERNATE_DATA, b"of the stream", ":Zone.Identifier:$DATA")]
NAMED_SPARSE: Final = [
    stream(StreamId.ALTERNATE_DATA, b"", ":höles\ud83d:$DATA", STREAM_ATTRIBUTE_SPARSE),
    block(0x20000, b"in a stream"),
    block(0x30000, b""),
]
EMPTY_NAMED: Final = [stream(StreamId.ALTERNATE_DATA, b"", ":empty:$DATA")]

# What is written, what Windows' order makes of it, and the file's content.
FILES: Final = {
    "data": ([SECURITY, DATA], [SECURITY, DATA], DATA[1]),
    "ea": ([SECURITY, EA, DATA], [SECURITY, DATA, EA], DATA[1]),
    "empty": ([SECURITY, stream(StreamId.DATA, b"")], [SECURITY], b""),
    "sparse": (
        [SECURITY, *SPARSE],
        [SECURITY, *SPARSE],
        bytes(0x10000) + b"there" * 100 + bytes(0x40000 - 500) + b"and there" + bytes(0x30001 - 9),
    ),
    "all holes": ([SECURITY, SPARSE[0], block(9, b"")], [SECURITY, SPARSE[0], block(9, b"")], bytes(9)),
    "named": ([SECURITY, DATA, *NAMED, *EMPTY_NAMED], [SECURITY, DATA, *NAMED, *EMPTY_NAMED], DATA[1]),
    "named, sparse": (
        [SECURITY, DATA, *NAMED_SPARSE, *NAMED],
        [SECURITY, DATA, *NAMED_SPARSE, *NAMED],
        DATA[1],
    ),
    "both sparse": ([SECURITY, *SPARSE, *NAMED_SPARSE], [SECURITY, *SPARSE, *NAMED_SPARSE], None),
    "reparse": ([SECURITY, REPARSE], [SECURITY, REPARSE], b""),
    "reparse with data": ([SECURITY, REPARSE, DATA], [SECURITY, DATA, REPARSE], DATA[1]),
    "link": ([SECURITY, stream(StreamId.LINK, b"other name"), DATA], [SECURITY, DATA], DATA[1]),
    "everything": (
        [TXFS, PROPERTY, OBJECT_ID, SECURITY, EA, REPARSE, *SPARSE, *NAMED, *NAMED_SPARSE],
        [SECURITY, *SPARSE, EA, *NAMED, *NAMED_SPARSE, REPARSE, OBJECT_ID, PROPERTY, TXFS],
        None,
    ),
}


def write(dll: ctypes.CDLL, path: Path, streams: list[Stream], cut: int = 1 << 16, *, security: bool = True) -> None:
    with opened(path, RESTORE) as handle:
        backup = Backup(dll, handle, security)
        backup.write_all(packed(streams), cut)
        backup.close("BackupWrite")


def read(dll: ctypes.CDLL, path: Path, cut: int = 1 << 16, *, security: bool = True) -> list[Stream]:
    with opened(path) as handle:
        backup = Backup(dll, handle, security)
        found = list(parse_streams(backup.read_all(cut)))
        backup.close()
    return found


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("kind", FILES)
def test_a_file(dll: ctypes.CDLL, clean: Path, kind: str, cut: int) -> None:
    written, expected, content = FILES[kind]
    path = clean / "file"
    if any(header.id == StreamId.DATA for header, _ in written):
        path.write_bytes(b"longer than some of what comes" * 100)
    write(dll, path, written, cut)
    assert read(dll, path, cut) == expected
    assert content is None or path.read_bytes() == content
    assert all(line.get("whole", True) for line in calls(clean))


@pytest.mark.parametrize("cut", CUTS)
def test_a_directory(dll: ctypes.CDLL, clean: Path, cut: int) -> None:
    path = clean / "directory"
    path.mkdir()
    write(dll, path, [SECURITY, EA, REPARSE, *NAMED], cut)
    assert read(dll, path, cut) == [SECURITY, EA, *NAMED, REPARSE]


def test_security_is_restored_and_given_on_request_alone(dll: ctypes.CDLL, clean: Path) -> None:
    default = stream(StreamId.SECURITY_DATA, DEFAULT)
    path = clean / "file"
    path.write_bytes(DATA[1])
    (never,) = [data for header, data in read(dll, path) if header.id == StreamId.SECURITY_DATA]
    assert format_sddl(never) == format_sddl(DEFAULT)
    assert read(dll, path, security=False) == [DATA]
    write(dll, path, [SECURITY, DATA], security=False)
    assert [header.id for header, _ in read(dll, path)] == [default[0].id, StreamId.DATA]
    assert read(dll, path)[0][1] == never
    write(dll, path, [SECURITY, DATA])
    assert read(dll, path, security=False) == [DATA]


def test_all_names_of_a_file_have_the_same_and_a_second_restoration_replaces_it(dll: ctypes.CDLL, clean: Path) -> None:
    write(dll, clean / "file", [SECURITY, EA, DATA, *NAMED])
    os.link(clean / "file", clean / "link")
    (clean / "file").rename(clean / "moved")
    assert read(dll, clean / "link") == read(dll, clean / "moved") == [SECURITY, DATA, EA, *NAMED]
    write(dll, clean / "link", [SECURITY, DATA])
    assert read(dll, clean / "moved") == [SECURITY, DATA]


def test_a_sparse_file_that_was_written_to_since_is_given_as_it_is(dll: ctypes.CDLL, clean: Path) -> None:
    write(dll, clean / "file", [SECURITY, *SPARSE])
    (clean / "file").write_bytes(b"other")
    assert read(dll, clean / "file") == [SECURITY, stream(StreamId.DATA, b"other")]


def test_a_stream_that_is_cut_off_is_forgotten(dll: ctypes.CDLL, clean: Path) -> None:
    with opened(clean / "file", RESTORE) as handle:
        backup = Backup(dll, handle)
        backup.write(packed([SECURITY, DATA, EA])[:-1])
        backup.close("BackupWrite")
    assert calls(clean)[-1] == {
        "call": "BackupWrite",
        "abort": True,
        "security": True,
        "whole": False,
        "hr": "0x00000000",
    }
    assert read(dll, clean / "file") == [SECURITY, DATA]


DESCRIPTOR: Final = SECURITY[1]
MALFORMED: Final = {
    "unknown": [stream(11, b"x")],
    "no kind": [stream(0, b"x")],
    "block alone": [block(0, b"x")],
    "block after plain data": [DATA, block(0, b"x")],
    "block after a plain stream": [*NAMED, block(0, b"x")],
    "two data": [DATA, DATA],
    "name without colon": [stream(StreamId.ALTERNATE_DATA, b"x", "name:$DATA")],
    "name without type": [stream(StreamId.ALTERNATE_DATA, b"x", ":name")],
    "something else with a name": [stream(StreamId.EA_DATA, b"x", ":name:$DATA")],
    "stream without a name": [stream(StreamId.ALTERNATE_DATA, b"x")],
    "descriptor cut off": [stream(StreamId.SECURITY_DATA, DESCRIPTOR[:-1])],
    "descriptor of nothing": [stream(StreamId.SECURITY_DATA, b"")],
    "descriptor that is absolute": [stream(StreamId.SECURITY_DATA, DESCRIPTOR[:3] + b"\0" + DESCRIPTOR[4:])],
    "EAs cut off": [stream(StreamId.EA_DATA, EA[1][:-6])],
    "EAs whose last names a next": [stream(StreamId.EA_DATA, b"\x0c\0\0\0" + build_ea_list(EAS[:1])[4:])],
    "EAs of nothing": [stream(StreamId.EA_DATA, b"")],
    "reparse point too short": [stream(StreamId.REPARSE_DATA, WOF[:-1])],
    "reparse point too long": [stream(StreamId.REPARSE_DATA, WOF + b"\0")],
    "reparse point without its GUID": [stream(StreamId.REPARSE_DATA, WOF[:3] + b"\0" + WOF[4:])],
}
CODES: Final = {
    "na": 123,  # ERROR_INVALID_NAME
    "de": 1338,  # ERROR_INVALID_SECURITY_DESCR
    "EA": 255,  # ERROR_EA_LIST_INCONSISTENT
    "re": 4392,  # ERROR_INVALID_REPARSE_DATA
}
INVALID_DATA: Final = 13


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("kind", MALFORMED)
def test_a_malformed_stream_fails(dll: ctypes.CDLL, clean: Path, kind: str, cut: int) -> None:
    with opened(clean / "file", RESTORE) as handle:
        backup = Backup(dll, handle)
        with pytest.raises(OSError, match="BackupWrite") as caught:
            backup.write_all(packed(MALFORMED[kind]), cut)
        assert caught.value.errno == CODES.get(kind[:2], INVALID_DATA)
        with pytest.raises(OSError, match="BackupWrite"):
            backup.write(packed([DATA]))
        backup.close("BackupWrite")


def test_a_directory_has_no_data(dll: ctypes.CDLL, clean: Path) -> None:
    with pytest.raises(OSError, match="87"):
        write(dll, clean, [DATA])


def test_the_handle_must_have_the_rights(dll: ctypes.CDLL, clean: Path) -> None:
    (clean / "file").write_bytes(b"x")
    with opened(clean / "file", GENERIC_READ | GENERIC_WRITE) as handle:
        with pytest.raises(OSError, match="5"):
            Backup(dll, handle).write(b"")
        allowed = Backup(dll, handle, security=False)
        allowed.write(packed([DATA]))
        allowed.close("BackupWrite")
    with opened(clean / "file", GENERIC_WRITE) as handle, pytest.raises(OSError, match="5"):
        Backup(dll, handle, security=False).read(1)


def test_seeking_while_reading(dll: ctypes.CDLL, clean: Path) -> None:
    write(dll, clean / "file", [SECURITY, DATA, EA])
    whole = packed([SECURITY, DATA, EA])
    start = 20 + len(SECURITY[1]) + 20
    with opened(clean / "file") as handle:
        backup = Backup(dll, handle)
        assert backup.read(10) == whole[:10]
        assert backup.seek(1) == (False, 0)  # in a header
        assert last_error() == 25  # ERROR_SEEK
        assert backup.read(10) == whole[10:20]
        assert backup.seek(len(SECURITY[1])) == (True, len(SECURITY[1]))
        assert backup.read(20) == whole[start - 20 : start]
        assert backup.seek(100) == (True, 100)
        assert backup.read(5) == whole[start + 100 : start + 105]
        assert backup.seek(1 << 40) == (False, len(DATA[1]) - 105)
        assert backup.read_all() == packed([EA])
        assert backup.seek(1) == (False, 0)
        backup.close()


def test_seeking_while_writing_leaves_zeros(dll: ctypes.CDLL, clean: Path) -> None:
    with opened(clean / "file", RESTORE) as handle:
        backup = Backup(dll, handle)
        backup.write(packed([DATA])[:30])
        assert backup.seek(20) == (True, 20)
        backup.write(DATA[1][30:])
        backup.write(packed(NAMED)[: -len(NAMED[0][1])])
        assert backup.seek(100) == (False, len(NAMED[0][1]))
        backup.write(packed([EA]))
        backup.close("BackupWrite")
    content = DATA[1][:10] + bytes(20) + DATA[1][30:]
    named = stream(StreamId.ALTERNATE_DATA, bytes(len(NAMED[0][1])), ":Zone.Identifier:$DATA")
    assert (clean / "file").read_bytes() == content
    assert read(dll, clean / "file", security=False) == [stream(StreamId.DATA, content), EA, named]


def test_contexts_are_checked(dll: ctypes.CDLL, folder: Path) -> None:
    (folder / "file").write_bytes(b"x")
    buffer = ctypes.create_string_buffer(8)
    with opened(folder / "file") as one, opened(folder / "file") as other:
        backup = Backup(dll, one)
        backup.read(1)
        wrong = {
            "BackupRead: context: of another handle": Backup(dll, other, context=backup.context),
            "BackupRead: context: not one that is in use": Backup(dll, one, context=c_void_p(0x10)),
        }
        for text, broken in wrong.items():
            with pytest.raises(OSError, match="87"):
                broken.read(1)
            assert violations(folder)[-1] == text
        with pytest.raises(OSError, match="87"):
            backup.write(b"x")
        assert violations(folder)[-1] == "BackupWrite: context: of BackupRead"
        assert not dll.BackupSeek(one, 1, 0, byref(c_uint32()), byref(c_uint32()), byref(c_void_p()))
        assert violations(folder)[-1] == "BackupSeek: context: none yet"
        assert not dll.BackupRead(one, buffer, 8, None, False, True, byref(c_void_p()))
        assert not dll.BackupRead(one, None, 8, byref(c_uint32()), False, True, byref(c_void_p()))
        assert violations(folder)[-1] == "BackupRead: the buffer cannot be written to"
        freed = backup.context.value
        backup.close()
        with pytest.raises(OSError, match="87"):
            Backup(dll, one, context=c_void_p(freed)).read(1)
        backup.close()  # a context that is none is freed already


@pytest.mark.parametrize("function", ["BackupRead", "BackupWrite"])
def test_failures_on_demand(dll: ctypes.CDLL, clean: Path, monkeypatch: pytest.MonkeyPatch, function: str) -> None:
    monkeypatch.setenv("WCLAYER_STANDIN_FAIL", f"{function}=0x80070017@2")
    write(dll, clean / "file", [SECURITY, DATA])
    if function == "BackupWrite":
        with pytest.raises(OSError, match="23"):
            write(dll, clean / "file", [SECURITY])
    with opened(clean / "file") as handle:
        backup = Backup(dll, handle)
        assert backup.read(8)
        if function == "BackupRead":
            with pytest.raises(OSError, match="23"):
                backup.read(8)
        assert backup.read(8)
        backup.close()
    monkeypatch.setenv("WCLAYER_STANDIN_FAIL", "BackupWrite=0x80070070!")
    with opened(clean / "half", RESTORE) as handle:
        backup = Backup(dll, handle)
        with pytest.raises(OSError, match="112"):
            backup.write(packed([DATA]))
        backup.close("BackupWrite")
    assert (clean / "half").read_bytes() == DATA[1][: (20 + len(DATA[1])) // 2 - 20]


def test_what_is_kept_aside_goes_with_a_layer(dll: ctypes.CDLL, clean: Path) -> None:
    layer = clean / "layer"
    (layer / "Files").mkdir(parents=True)
    write(dll, layer / "Files" / "file", [SECURITY, DATA, EA])
    write(dll, layer / "Files", [SECURITY])
    write(dll, layer / "Files" / "linked", [SECURITY, DATA, EA])
    write(dll, clean / "kept", [SECURITY])
    os.link(layer / "Files" / "linked", clean / "link")
    aside = clean / "state" / "aside"
    assert len(list(aside.iterdir())) == 4
    assert dll.DestroyLayer(byref(INFO), str(layer)) == 0
    assert not layer.exists()
    assert len(list(aside.iterdir())) == 2
    assert read(dll, clean / "kept") == [SECURITY]
    assert read(dll, clean / "link") == [SECURITY, DATA, EA]
