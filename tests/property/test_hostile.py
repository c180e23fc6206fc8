"""Broken tars and folders, through the whole of import and export: our own errors alone, and nothing left."""

from __future__ import annotations

import io
import os
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tars import BASE, M, build, directory
from wclayer import export_layer_to_tar, import_layer_from_tar
from wclayer.errors import WclayerError

TAR = build(
    [
        *BASE,
        M("Files/f", b"x" * 600, pax={"MSWINDOWS.rawsd": "AAAA", "WCLAYER.sparse": "0,600", "atime": "1.5"}),
        M("Files/f:s", b"stream"),
        M("Files/g", type="1", link="Files/f"),
        M("Files/" + "n" * 120, pax={"MSWINDOWS.xattr.A": "MQ==", "WCLAYER.shortname": "A~1"}),
        M("Files/l", type="2", link="f", pax={"MSWINDOWS.fileattr": "1056"}),
        directory("UtilityVM"),
        directory("UtilityVM/Files"),
    ]
)


@st.composite
def broken(draw: st.DrawFn, original: bytes, *, mend: bool) -> bytes:
    data = bytearray(original)
    for _ in range(draw(st.integers(1, 5))):
        place = draw(st.integers(0, len(data) - 1))
        data[place] = draw(st.sampled_from(b"/.:\\0159\0\xff ABwh,=") | st.integers(0, 255))
    if mend:  # right checksums, so that what lies behind them is reached
        for place in range(0, len(data), 512):
            block = data[place : place + 512]
            if block[257:262] == b"ustar":
                block[148:156] = b"        "
                data[place + 148 : place + 156] = b"%06o\0 " % sum(block)
    return bytes(data)


@given(broken(TAR, mend=True))
@settings(max_examples=200)
def test_import(tar: bytes) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name, "layer")
        try:
            import_layer_from_tar(io.BytesIO(tar), folder)
        except WclayerError as error:
            assert str(error)  # noqa: PT017 # the message must be made, too
            assert os.listdir(name) == []
            return
        original, first, second = io.BytesIO(), io.BytesIO(), io.BytesIO()
        export_layer_to_tar(folder, original, framing="original")
        assert original.getvalue() == tar
        export_layer_to_tar(folder, first, framing="canonical")
        import_layer_from_tar(io.BytesIO(first.getvalue()), Path(name, "again"))
        export_layer_to_tar(Path(name, "again"), second, framing="canonical")
        assert second.getvalue() == first.getvalue()


@pytest.fixture(scope="module")
def layer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hostile") / "layer"
    import_layer_from_tar(io.BytesIO(TAR), folder)
    return folder


@given(data=st.data())
@settings(max_examples=200)
def test_export(layer: Path, data: st.DataObject) -> None:
    record = data.draw(broken((layer / "layer.db").read_bytes(), mend=False))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name, "layer")
        shutil.copytree(layer, folder, symlinks=True)
        (folder / "layer.db").write_bytes(record)
        try:
            export_layer_to_tar(folder, io.BytesIO(), framing=data.draw(st.sampled_from(["original", "canonical"])))
        except WclayerError as error:
            assert str(error)  # noqa: PT017
