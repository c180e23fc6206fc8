"""Any tar comes out as it went in, whoever wrote it."""

from __future__ import annotations

import hashlib
import io
import sqlite3
import tarfile
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.strategies import Item, items_of, layers, seen, tar_of
from tests.tarcheck import assert_fields
from tests.tars import M, build, pax_header
from wclayer import export_layer_to_tar, import_layer_from_tar
from wclayer.layertar.compression import Compressed, Compression

NAMES = st.text("abc-äß€𝄞", min_size=1, max_size=120)


@st.composite
def tars(draw: st.DrawFn) -> bytes:
    """Tars of Python's tarfile in each format, with `./`, slashes, global headers, and anything after the end."""
    format_ = draw(st.sampled_from([tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT]))
    before = draw(st.sampled_from(["", "./"]))
    slash = draw(st.sampled_from(["", "/"]))
    members: list[M] = []
    if draw(st.booleans()):
        members.append(M("./", type="5"))
    members.append(M(f"{before}Files{slash}", type="5"))
    taken: set[str] = set()
    limit = 40 if format_ == tarfile.USTAR_FORMAT else 120
    for number in range(draw(st.integers(0, 6))):
        name = f"{before}Files/{number}" + draw(NAMES)[:limit].encode()[:limit].decode(errors="ignore")
        if name.upper() in taken:
            continue
        taken.add(name.upper())
        files = [m for m in members if m.type == "0"]
        if draw(st.booleans()) and files:
            members.append(M(name, type="1", link=draw(st.sampled_from(files)).name))
        elif draw(st.booleans()):
            members.append(M(name + slash, type="5", mtime=draw(st.integers(0, 2**31 * 8)) / 8))
        else:
            members.append(M(name, draw(st.binary(max_size=2000)), mtime=draw(st.integers(0, 2**31)), mode=0o7777))
    tar = build(members, format_)
    if draw(st.booleans()):
        tar = pax_header(b"13 comment=x\n", b"g") + tar
    return tar + draw(st.binary(max_size=700))


@given(tars())
@settings(max_examples=100)
def test_the_very_tar(tar: bytes) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name, "layer")
        summary = import_layer_from_tar(io.BytesIO(tar), folder)
        output = io.BytesIO()
        exported = export_layer_to_tar(folder, output)
        assert output.getvalue() == tar
        assert (exported.diff_id, exported.tar_size, exported.entries, exported.bytes) == (
            summary.diff_id,
            summary.tar_size,
            summary.entries,
            summary.bytes,
        )


@given(tars(), st.sampled_from(["gzip", "zstd"]))
@settings(max_examples=30)
def test_around_it_any_compression(tar: bytes, compression: Compression) -> None:
    packed = io.BytesIO()
    writer = Compressed(packed, compression)
    writer.write(tar)
    writer.close()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name, "layer")
        summary = import_layer_from_tar(io.BytesIO(packed.getvalue()), folder)
        output = io.BytesIO()
        exported = export_layer_to_tar(folder, output, compression=compression)
        assert exported.diff_id == summary.diff_id == f"sha256:{hashlib.sha256(tar).hexdigest()}"
        assert output.getvalue() == packed.getvalue()


@given(layers())
@settings(max_examples=50)
def test_the_framing_hides_no_loss(items: list[Item]) -> None:
    """With the framing gone from the record, every field is still there."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name, "layer")
        import_layer_from_tar(io.BytesIO(tar_of(items)), folder)
        db = sqlite3.connect(folder / "layer.db")
        db.execute("DELETE FROM framing")
        db.commit()
        db.close()
        output = io.BytesIO()
        export_layer_to_tar(folder, output)
        assert seen(items_of(output.getvalue())) == seen(items)
        assert_fields(output.getvalue(), items_of(output.getvalue()))
