"""The harness itself: shapes of vectors that ours do not have, and what it must notice."""

from __future__ import annotations

import base64
import hashlib
import io
import struct
import tarfile
import zlib
from pathlib import Path
from typing import Any

import pytest

from tests.conformance import model as m
from tests.conformance.rules import bad_files, malformed, must_refuse
from tests.conformance.test_codecs import test_reparse_encode as check_reparse
from tests.conformance.test_transport import test_backup_streams_as_files as check_transport
from tests.conformance.test_vectors import test_export as check_export
from tests.conformance.test_vectors import test_import as check_import
from tests.conformance.test_vectors import test_import_of_exported as check_reverse
from tests.conformance.test_vectors import test_members as check_members
from tests.conformance.test_verify_vectors import test_what_import_refuses as check_verify
from tests.conformance.vectors import SHAPES, Vector, load, shaped
from wclayer.errors import InexpressibleError
from wclayer.win32.reparse import build_link

EPOCH = 132444736000000000  # 2020-09-13 12:26:40, as in our vectors


def zb64(data: bytes) -> str:
    return base64.b64encode(zlib.compress(data)).decode()


def by_id(kind: str, name: str) -> Vector:
    return next(dict(vector) for vector in load(kind) if vector["id"] == name)


def only(kind: str, vector: Vector) -> Vector:
    [found] = shaped(kind, [vector])
    assert isinstance(found, dict)
    return found


def stream(number: int, data: bytes, name: bytes = b"", attributes: int = 0) -> bytes:
    """A backup stream, WIN32_STREAM_ID and its data."""
    return struct.pack("<IIQI", number, attributes, len(data), len(name)) + name + data


def tar_of_link(target: str, mount_point: bool) -> bytes:
    """A tar of one symlink, as Python's tarfile writes it."""
    output = io.BytesIO()
    info = tarfile.TarInfo("Files/l")
    info.type, info.linkname, info.mtime = tarfile.SYMTYPE, target, 1_600_000_000
    info.pax_headers = {"MSWINDOWS.fileattr": "1056"} | ({"MSWINDOWS.mountpoint": "1"} if mount_point else {})
    with tarfile.open(fileobj=output, mode="w", format=tarfile.PAX_FORMAT) as tar:
        tar.addfile(info)
    return output.getvalue()


def link_buffer(target: str, mount_point: bool) -> bytes:
    """A relative link's reparse buffer as Go makes it, with lengths that wrap ([MS-FSCC] 2.1.2.4 and 2.1.2.5)."""
    text = target.encode("utf-16-le") + b"\0\0"
    names = struct.pack("<4H", *(n & 0xFFFF for n in (0, len(text) - 2, len(text), len(text) - 2)))
    names += b"" if mount_point else b"\1\0\0\0"
    data = names + text + text
    return struct.pack("<IHH", 0xA0000003 if mount_point else 0xA000000C, len(data) & 0xFFFF, 0) + data


def imported(name: str, backup: bytes, attributes: int, typeflag: str) -> Vector:
    """What hcsshim's import passes on, with all times the same."""
    times = dict.fromkeys(("creation", "write"), EPOCH) | dict.fromkeys(("access", "change"), m.NO_TIME)
    return {
        "name": name,
        "attributes": attributes,
        **times,
        "stream_zb64": zb64(backup),
        "stream_sha256": hashlib.sha256(backup).hexdigest(),
        "stream_size": len(backup),
        "tar_size": 0,
        "typeflag": typeflag,
    }


def vector_of_link(target: str, mount_point: bool, entries: list[Vector] | None, shown: str | None = None) -> Vector:
    """A vector of tar2bak.json with one symlink."""
    tar = tar_of_link(target, mount_point)
    header = {"name": "Files/l", "typeflag": "2", "linkname": shown or target, "mtime": [1_600_000_000, 0], "size": 0}
    parsed = {"raw_name": "Files/l", "typeflag": "2", "data_sha256": hashlib.sha256(b"").hexdigest()}
    parsed["linkname"] = f"len:{len(target.encode())}"
    pax = {"MSWINDOWS.fileattr": "1056", "linkpath": parsed["linkname"]}
    pax |= {"MSWINDOWS.mountpoint": "1"} if mount_point else {}
    return only(
        "tar2bak",
        {
            "id": "link",
            "error": None,
            "parse_error": None,
            "headers": [header],
            "parsed": [{**parsed, "pax": pax}],
            "entries": entries,
            "tar_zb64": zb64(tar),
            "tar_size": len(tar),
            "tar_sha256": hashlib.sha256(tar).hexdigest(),
        },
    )


# --- one shape -------------------------------------------------------------------------


@pytest.mark.parametrize("kind", sorted(SHAPES))
def test_a_key_that_nobody_reads_is_an_error(kind: str) -> None:
    """In each object of each kind, wherever it is."""

    def places(found: Any, path: str = "") -> dict[str, Vector]:
        if isinstance(found, list):
            return {name: place for item in found for name, place in places(item, path).items()}
        if not isinstance(found, dict) or path not in SHAPES[kind]:
            return {}
        inner = (places(value, f"{path}.{key}".removeprefix(".")) for key, value in found.items())
        return {path: found, **{name: place for each in inner for name, place in each.items()}}

    whole = load(kind)
    found = places(whole)
    assert set(found) == set(SHAPES[kind]), "our vectors show each place"
    for path, place in found.items():
        place["unheard_of"] = 1
        with pytest.raises(ValueError, match=rf"{kind}.json: unknown key {path}\.?unheard_of"):
            shaped(kind, whole)
        del place["unheard_of"]
    assert shaped(kind, whole) == whole


def test_the_key_of_a_codec_s_bytes() -> None:
    assert only("ea", {"encode": [{"zb64": zb64(b"\1\2"), "eas": None}]}) == {"encode": [{"hex": "0102", "eas": []}]}
    with pytest.raises(ValueError, match="unknown key text_zb64"):
        only("sddl", {"sd2sddl": [], "text_zb64": ""})


def test_null_is_an_empty_list() -> None:
    for key in ("headers", "parsed", "entries"):
        assert only("tar2bak", {key: None}) == {key: []}
    assert only("bak2tar", {"reverse": {"entries": None, "error": None}})["reverse"]["entries"] == []
    assert only("bak2tar", {"reverse": None, "files": None}) == {"reverse": None, "files": []}
    assert only("tar2bak", {"headers": [{"pax": None}]}) == {"headers": [{"pax": {}}]}


def test_bytes_beside_their_beginning() -> None:
    for order in (("stream_hex", "stream_zb64"), ("stream_zb64", "stream_hex")):
        values = {"stream_hex": "0102", "stream_zb64": zb64(b"\1\2\3")}
        [file] = only("bak2tar", {"files": [{key: values[key] for key in order}]})["files"]
        assert file == {"stream_hex": "010203"}


# --- stream_zb64 -----------------------------------------------------------------------


@pytest.mark.parametrize("name", ["size-1025", "ads-1", "symlink-long", "reparse-short-12", "trunc-data-noseek"])
def test_compressed_streams(name: str) -> None:
    """Our own vectors, their streams compressed, and those of the entries cut in hexadecimal."""
    vector = by_id("bak2tar", name)
    for item in (*vector["files"], *vector.get("reverse", {}).get("entries", ())):
        assert "stream_hex" in item
    compressed = {**vector, "files": [as_zb64(file) for file in vector["files"]]}
    if "reverse" in vector:
        compressed["reverse"] = {**vector["reverse"], "entries": [as_zb64(e) for e in vector["reverse"]["entries"]]}
    assert only("bak2tar", compressed) == vector
    check_export(only("bak2tar", compressed))
    check_reverse(only("bak2tar", compressed))


def as_zb64(item: Vector) -> Vector:
    return {key: value for key, value in item.items() if key != "stream_hex"} | {
        "stream_zb64": zb64(bytes.fromhex(item["stream_hex"]))
    }


def test_a_wrong_byte_in_a_compressed_stream_is_noticed() -> None:
    vector = by_id("bak2tar", "size-1025")
    [file] = vector["files"]
    changed = bytes.fromhex(file["stream_hex"])[:-1] + b"?"
    with pytest.raises(AssertionError):
        check_export(only("bak2tar", {**vector, "files": [as_zb64({**file, "stream_hex": changed.hex()})]}))


# --- no entries ------------------------------------------------------------------------


def test_a_tar_without_entries(tmp_path: Path) -> None:
    tar = bytes(1024)
    vector = by_id("tar2bak", "plain-ustar-file") | {"headers": None, "parsed": None, "entries": None}
    vector |= {"tar_zb64": zb64(tar), "tar_size": len(tar), "tar_sha256": hashlib.sha256(tar).hexdigest()}
    check_import(only("tar2bak", vector))
    check_members(only("tar2bak", vector))
    check_verify(only("tar2bak", vector), tmp_path)
    with pytest.raises(AssertionError):
        check_import(only("tar2bak", by_id("tar2bak", "plain-ustar-file") | {"entries": None}))


# --- names of odd length ------------------------------------------------------------------


def vector_of_stream(backup: bytes, tar: bytes, **file: object) -> Vector:
    """A vector of bak2tar.json with one object `s`."""
    whole = {"name": "s", "attributes": 32, "stream_zb64": zb64(backup), **dict.fromkeys(TIMES, EPOCH), **file}
    return only("bak2tar", {"id": "odd", "error": None, "files": [whole], "tar_zb64": zb64(tar)})


TIMES = ("creation", "access", "write", "change")


@pytest.mark.parametrize("name", [b":\0s\0B", b":", b":\0s\0:\0$\0D\0A\0T\0A"])
def test_a_stream_s_name_of_odd_length(name: bytes, tmp_path: Path) -> None:
    """hcsshim drops its last byte; no stream on NTFS has such a name, and we refuse the object."""
    assert len(name) % 2
    backup = stream(1, b"main") + stream(4, b"1", name)
    good = by_id("bak2tar", "ads-1")
    vector = vector_of_stream(backup, b"")
    assert malformed(vector["files"][0])
    assert bad_files(vector)
    check_export(vector)
    check_transport(vector, tmp_path)
    # Beside an object that is well, in the tar that hcsshim writes of both.
    tar = unzip(good["tar_zb64"])
    there = {**good, "files": [*good["files"], {**vector["files"][0], "name": "odd"}], "tar_zb64": zb64(both(tar))}
    check_export(only("bak2tar", there))


def both(tar: bytes) -> bytes:
    """`tar` and the members `odd` and `odd:s`, whose headers nobody looks into, before its end."""
    output = io.BytesIO()
    for name in ("odd", "odd:s"):
        info = tarfile.TarInfo(name)
        info.pax_headers = {"atime": "1"}
        output.write(info.tobuf(tarfile.PAX_FORMAT))
    return tar[:-1024] + output.getvalue() + tar[-1024:]


def unzip(text: str) -> bytes:
    return zlib.decompress(base64.b64decode(text))


@pytest.mark.parametrize("tag", [0xA000000C, 0xA0000003])
def test_a_link_s_name_of_odd_length(tag: int, tmp_path: Path) -> None:
    """Whole units count, for hcsshim and for us; the buffer is kept as it is."""
    flags = b"\1\0\0\0" if tag == 0xA000000C else b""
    data = struct.pack("<4H", 0, 3, 4, 5) + flags + "s\0pq\0".encode("utf-16-le")
    buffer = struct.pack("<IHH", tag, len(data), 0) + data
    vector = vector_of_stream(stream(8, buffer), b"", attributes=0x420)
    assert not malformed(vector["files"][0])
    check_export({**vector, "error": "not asked for here: the model looks at what we write"})
    check_transport(vector, tmp_path)


# --- link targets beyond 16 bits --------------------------------------------------------------


@pytest.mark.parametrize("mount_point", [False, True])
@pytest.mark.parametrize("unit", ["q", "\u65e5", "\U0001f600"])
def test_the_longest_link_target(unit: str, mount_point: bool, tmp_path: Path) -> None:
    """On both sides of the bound, in a tar and as a buffer: what still fits is as hcsshim has it."""
    units = len(unit.encode("utf-16-le")) // 2
    longest = unit * ((0xFFFF - (8 if mount_point else 12) - 4) // (4 * units))
    assert m.link_data_size(longest, mount_point) <= 0xFFFF < m.link_data_size(longest + unit, mount_point)
    assert build_link(longest, mount_point) == link_buffer(longest, mount_point)
    backup = stream(8, link_buffer(longest, mount_point))
    vector = vector_of_link(longest, mount_point, [imported("Files\\l", backup, 1056, "2")])
    assert must_refuse(vector) is None
    check_import(vector)
    check_members(vector)

    over = longest + unit
    with pytest.raises(InexpressibleError):
        build_link(over, mount_point)
    backup = stream(8, link_buffer(over, mount_point))
    for shown in (over, f"({len(over)} chars, see the tar)"):
        vector = vector_of_link(over, mount_point, [imported("Files\\l", backup, 1056, "2")], shown)
        assert must_refuse(vector) == "a link target too long for 16-bit lengths, which hcsshim wraps"
        check_import(vector)
        check_members(vector)
    check_verify(vector, tmp_path)
    reverse = {"error": None, "entries": [imported("Files\\l", backup, 1056, "2")]}
    check_reverse({"error": None, "files": [], "tar_zb64": vector["tar_zb64"], "reverse": reverse})


def test_a_buffer_whose_target_would_be_too_long_to_build() -> None:
    """Its print name fits, and both names that import would make of it do not: the tar has the buffer itself too."""
    target = "q" * 20_000
    data = struct.pack("<4HI", 0, 2, 4, 2 * len(target), 1) + f"s\0{target}\0".encode("utf-16-le")
    buffer = struct.pack("<IHH", 0xA000000C, len(data), 0) + data
    vector = vector_of_stream(stream(8, buffer), b"", attributes=0x420)
    check_export({**vector, "error": "not asked for here: the model looks at what we write"})


def test_the_codec_at_the_bound() -> None:
    for count in (16_379, 16_380, 16_381):
        target = "q" * count
        made = link_buffer(target, False)
        check_reparse({"target": f"q*{count}", "mount": False, "error": None, "hex": made.hex(), "back": target})
