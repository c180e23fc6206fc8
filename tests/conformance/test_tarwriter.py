"""The headers that Go's archive/tar writes, and what it does not write."""

from __future__ import annotations

import io

import pytest

from tests.conformance.rules import go_time, raw_bytes
from tests.conformance.vectors import Vector, cases, load, unzb64
from wclayer.entry import File, Whiteout
from wclayer.errors import TarError, WclayerError
from wclayer.layertar.block import ustar_block
from wclayer.layertar.members import MemberReader
from wclayer.layertar.reader import TarSource
from wclayer.layertar.stream import Input
from wclayer.layertar.writer import TarWriter, headers


def write_pax(header: Vector) -> bytes:
    TarWriter(io.BytesIO()).add(File(header["name"]))
    records = [(key.encode(), value.encode()) for key, value in header.get("pax", {}).items()]
    return headers(raw_bytes(header, "name"), b"0", records, linkname=raw_bytes(header, "linkname"))


@cases("tarwriter")
def test_tar_writer(vector: Vector) -> None:
    header = vector["header"]
    name = raw_bytes(header, "name")
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
    assert len(tar) == vector["tar_size"]
    if header.get("typeflag", "0") in "3467":  # data or devices, which no Windows layer can hold
        with pytest.raises(TarError):
            list(TarSource(io.BytesIO(tar)).entries())
        return
    [member] = MemberReader(Input(io.BytesIO(tar)))
    assert member.name == name
    assert member.linkname == raw_bytes(header, "linkname") if member.typeflag in (b"1", b"2") else True
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
            linkname=raw_bytes(header, "linkname"),
        )
        assert made + bytes(len(tar) - len(made)) == tar


def test_ustar_block_is_go_s() -> None:
    """The block under the headers is the one of a plain whiteout."""
    tar = unzb64(next(v for v in load("tarwriter") if v["header"] == {"name": "Files/.wh.x"})["tar_zb64"])
    assert ustar_block(name=b"Files/.wh.x", typeflag=b"0") == tar[:512]
