"""What hcsshim or go-winio refused, vector by vector, is a finding of the right rule; which one a rule here decides.

Each input is put into the smallest layer that can hold it: a tar, or a transport folder for what lies in backup
streams. What is no fault of any layer is told apart by the vector itself, with its reason, never by its id.
"""

from __future__ import annotations

import base64
import re
from pathlib import Path
from typing import Any

import pytest

from tests.conformance import model as m
from tests.conformance.rules import malformed, must_refuse
from tests.conformance.test_codecs import vector_eas
from tests.conformance.vectors import Vector, cases, unzb64, vector_bytes
from tests.tars import END, header, pax_header
from wclayer.codes import Code
from wclayer.operations.layer_places import LayerPlaces, parse_layer_place
from wclayer.verify.findings import Report
from wclayer.verify.rules import RULES, Severity
from wclayer.verify.verifying import verify_layers

Expected = frozenset[Code] | str  # the rules that must be broken, all of them; or why none need be

SEEN: list[tuple[str, Expected]] = []  # kind, and what was expected: at the end, most must have been findings


def one(code: Code) -> frozenset[Code]:
    return frozenset({code})


def verify(place: Path | str) -> Report:
    return verify_layers(LayerPlaces(), parse_layer_place(str(place)))


def check(kind: str, expected: Expected, place: Path | str) -> None:
    SEEN.append((kind, expected))
    if isinstance(expected, str):
        return
    report = verify(place)
    found = {finding.rule.code for finding in report.findings}
    assert expected <= found, report.findings
    assert report.passed == all(RULES[code].severity is not Severity.ERROR for code in found)


# --- tars -------------------------------------------------------------------------

FILES = header(b"Files", typeflag=b"5")


def record(key: bytes, value: bytes) -> bytes:
    """A PAX record, whose length counts itself."""
    rest = b" " + key + b"=" + value + b"\n"
    length = len(rest) + 1
    while len(str(length)) + len(rest) != length:
        length = len(str(length)) + len(rest)
    return str(length).encode() + rest


def layer_with(folder: Path, records: dict[bytes, bytes], entry: bytes | None = None) -> Path:
    """A layer tar of one file with these records."""
    body = b"".join(record(key, value) for key, value in sorted(records.items()))
    path = folder / "layer.tar"
    path.write_bytes(FILES + (pax_header(body) if records else b"") + (entry or header(b"Files/f")) + END)
    return path


def tar_rule(vector: Vector) -> Code:
    """Which rule a tar breaks that hcsshim's import refused."""
    error = vector["error"]
    if error == "archive/tar: invalid tar header":
        times = {"LIBARCHIVE.creationtime", "atime", "ctime", "mtime"}
        records = {key for entry in vector["headers"] for key in entry.get("pax") or ()}
        return Code.TIME_MALFORMED if times & records else Code.TAR_MALFORMED
    for pattern, code in (
        ("^strconv.ParseUint", Code.ATTRIBUTES_MALFORMED),
        ("^illegal base64", Code.BASE64_MALFORMED),
        ("^extended attribute (name|value) too large", Code.EA_TOO_LARGE),
        ("unexpected EOF", Code.TAR_CUT_OFF),
        ("^convert ", Code.SDDL_MALFORMED),
    ):
        if re.search(pattern, error):
            return code
    pytest.fail(f"an error of which no rule is known: {error}")


@cases("tar2bak")
def test_what_import_refuses(vector: Vector, tmp_path: Path) -> None:
    path = tmp_path / "layer.tar"
    path.write_bytes(unzb64(vector["tar_zb64"]))
    if vector["error"]:
        check("tar2bak", one(tar_rule(vector)), path)
    elif must_refuse(vector):  # which hcsshim takes, and loses something, or lets it out of the layer
        assert not verify(path).passed


@cases("tarwriter")
def test_what_go_does_not_write(vector: Vector, tmp_path: Path) -> None:
    error, wanted = vector["error"], vector["header"]
    path = tmp_path / "layer.tar"
    expected: Expected
    if not error:
        return
    if "Format specifies" in error:
        expected = "a format was asked for that cannot hold the value: there is no such header"
    elif "missed writing" in error:
        path.write_bytes(unzb64(vector["tar_zb64"]))
        expected = one(Code.TAR_CUT_OFF)
    elif "trailing slash" in error:
        layer_with(tmp_path, {}, header(f"Files/{wanted['name']}".encode()))
        expected = one(Code.FILE_WITH_SLASH)
    elif "invalid PAX record" in error:
        layer_with(tmp_path, {b"path": f"Files/{wanted['name']}".encode()})
        expected = one(Code.PAX_MALFORMED)
    else:
        pytest.fail(f"an error of which no rule is known: {error}")
    check("tarwriter", expected, path)


@cases("time", "paxtime_to_filetime")
def test_times(vector: Vector, tmp_path: Path) -> None:
    if not vector["error"]:
        return
    text = vector["text"].encode()
    # An empty atime or ctime is none to Go: the header's own stays.
    for key in (b"atime", b"ctime", b"LIBARCHIVE.creationtime") if text else (b"LIBARCHIVE.creationtime",):
        check("time", one(Code.TIME_MALFORMED), layer_with(tmp_path, {key: text}))


@cases("ea", "encode")
def test_attributes_that_windows_does_not_hold(vector: Vector, tmp_path: Path) -> None:
    if vector["error"]:
        assert "too large" in vector["error"]
        records = {b"MSWINDOWS.xattr." + ea.name: base64.b64encode(ea.value) for ea in vector_eas(vector)}
        check("ea", one(Code.EA_TOO_LARGE), layer_with(tmp_path, records))


@cases("sddl", "sddl2sd")
def test_old_descriptors(vector: Vector, tmp_path: Path) -> None:
    text = vector["text"]
    if not vector["error"]:
        return
    path = layer_with(tmp_path, {b"MSWINDOWS.sd": text.encode()})
    if re.search(r"\((?:XA|XD|XU|ZA|RA|FL|OA|OD|OU|OL);", text):
        reason = "Wine takes it for an entry with GUIDs, or has no such entries; Windows has"
        check("sddl", reason, path)
        assert Code.SDDL_MALFORMED not in {finding.rule.code for finding in verify(path).findings}
    else:
        check("sddl", one(Code.SDDL_MALFORMED), path)


@cases("sddl", "sd2sddl")
def test_descriptors(vector: Vector, tmp_path: Path) -> None:
    if not vector["error"]:
        return
    data = vector_bytes(vector)
    expected = one(Code.DESCRIPTOR_MALFORMED)
    if not data:
        expected = one(Code.NO_DESCRIPTOR)  # an empty record is none
    elif data.startswith(b"\x01\0\0\x80") and not any(data[4:]):
        # go-winio wants forty bytes; twenty are a descriptor that says nothing.
        expected = frozenset({Code.NO_OWNER, Code.NO_DACL})
    check("sddl", expected, layer_with(tmp_path, {b"MSWINDOWS.rawsd": base64.b64encode(data)}))


# --- transport folders --------------------------------------------------------------


def folder_with(folder: Path, data: bytes, attributes: int = 0x20) -> str:
    """A transport folder with one object, of this backup stream; its place."""
    (folder / "Files").mkdir()
    (folder / "Files.$wcidirs$").write_bytes(b"\x10\0\0\0")
    name = "Files/f"
    if attributes & 0x10:
        (folder / name).mkdir()
        name += ".$wcidirs$"
    (folder / name).write_bytes(attributes.to_bytes(4, "little") + data)
    return f"transport:{folder}"


def stream(number: int, data: bytes) -> bytes:
    """One backup stream ([MS-BKUP])."""
    return number.to_bytes(4, "little") + bytes(4) + len(data).to_bytes(8, "little") + bytes(4) + data


@cases("reparse", "decode")
def test_reparse_points(vector: Vector, tmp_path: Path) -> None:
    if not vector["error"]:
        return
    data = vector_bytes(vector)
    outside = m.link_lies_outside(data) or len(data) < 8
    expected = one(Code.REPARSE_MALFORMED if outside else Code.REPARSE_TAG_UNKNOWN)
    assert outside or "unsupported" in vector["error"]
    check("reparse", expected, folder_with(tmp_path, stream(8, data), 0x420))
    if data:
        records = {b"WCLAYER.reparse": base64.b64encode(data), b"MSWINDOWS.fileattr": b"1056"}
        check("reparse", expected, layer_with(tmp_path, records))


@cases("ea", "decode")
def test_attributes_that_are_malformed(vector: Vector, tmp_path: Path) -> None:
    if vector["error"]:
        check("ea", one(Code.EA_MALFORMED), folder_with(tmp_path, stream(2, vector_bytes(vector))))


@cases("backupstream", "read")
def test_backup_streams(vector: Vector, tmp_path: Path) -> None:
    if vector["error"]:
        check("backupstream", one(Code.STREAM_MALFORMED), folder_with(tmp_path, vector_bytes(vector)))


@cases("backupstream", "write")
def test_backup_streams_that_were_not_finished(vector: Vector, tmp_path: Path) -> None:
    if vector["error"]:
        check("backupstream", one(Code.STREAM_MALFORMED), folder_with(tmp_path, vector_bytes(vector)))


def export_rule(vector: Vector, file: dict[str, Any]) -> Expected:
    """Which rule the object breaks that hcsshim's export refused."""
    error = vector["error"]
    alone = {key: value for key, value in file.items() if key != "size"}
    if "extended attribute buffer" in error:
        return one(Code.EA_MALFORMED)
    if "unsupported reparse point" in error:
        return one(Code.REPARSE_TAG_UNKNOWN)
    if malformed(alone):
        buffer = _reparse_buffer(bytes.fromhex(file["stream_hex"]))
        broken_link = buffer is not None and m.link_lies_outside(buffer)
        return one(Code.REPARSE_MALFORMED if broken_link else Code.STREAM_MALFORMED)
    if "invalid PAX record" in error:
        return one(Code.EA_NAME)  # one that PAX cannot hold; nor does Windows
    if "unknown stream ID 9" in error or "sparse block stream" in error:
        return one(Code.OWN_RECORDS)  # a sparse file, which a transport folder holds, and only wclayer exports
    if malformed(file):
        return "another size than the stream has: in a transport folder there is none beside the stream's"
    pytest.fail(f"an error of which no rule is known: {error}")


def _reparse_buffer(data: bytes) -> bytes | None:
    try:
        return m.parse_backup(data).small.get(8)
    except m.MalformedError:
        return None


@cases("bak2tar")
def test_what_export_refuses(vector: Vector, tmp_path: Path) -> None:
    if not vector["error"]:
        return
    # It stops at the one that it refuses, or where that was too short at the one after it.
    stored = [file for file in vector["files"] if "stream_hex" in file]
    refused = next(filter(malformed, stored), stored[-1])
    data = bytes.fromhex(refused["stream_hex"])
    check("bak2tar", export_rule(vector, refused), folder_with(tmp_path, data, refused["attributes"]))


def test_most_of_them_are_findings() -> None:
    if len({kind for kind, _ in SEEN}) < 8:
        pytest.skip("only a part of this file was run")
    reasons = [expected for _, expected in SEEN if isinstance(expected, str)]
    assert len(reasons) < len(SEEN) / 6, reasons
