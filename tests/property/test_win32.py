"""No bytes make a codec fail in any other way than with our own error; what it reads it writes alike."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import TypeVar

from hypothesis import given
from hypothesis import strategies as st

from tests.strategies import EAS, LINKS
from tests.unit.win32.test_codecs import FILE_SD
from wclayer.errors import FormatError, InexpressibleError, WclayerError
from wclayer.layertar.reader import TarSource
from wclayer.layertar.stream import Input
from wclayer.stores.ntfs.backup import entries_from_backup
from wclayer.win32 import ea, names, reparse
from wclayer.win32.attributes import parse_attributes
from wclayer.win32.backup_stream import StreamHeader, pack_header, parse_streams
from wclayer.win32.filetime import format_pax_time, from_unix_ns, parse_pax_time, to_unix_ns
from wclayer.win32.sddl import parse_sddl
from wclayer.win32.security import SecurityDescriptor

T = TypeVar("T")


def tried(action: Callable[[], T]) -> T | None:
    """What `action` gives, None for an error of our tree; any other error fails the test."""
    try:
        return action()
    except WclayerError as error:
        assert str(error)  # noqa: PT017 # the message must be made, too
        return None


@given(st.integers(0, (1 << 64) - 1))
def test_times_are_exact(time: int) -> None:
    assert parse_pax_time(format_pax_time(time)) == time
    assert from_unix_ns(to_unix_ns(time)) == time


@given(st.binary(max_size=40) | st.from_regex(rb"[-+ ]?[0-9]{0,24}\.?[0-9]{0,12}"))
def test_any_text_as_time_and_attributes(text: bytes) -> None:
    tried(lambda: parse_pax_time(text))
    tried(lambda: parse_attributes(text))


@given(EAS)
def test_extended_attributes(eas: tuple[object, ...]) -> None:
    assert ea.parse_ea_list(ea.build_ea_list(eas)) == eas  # type: ignore[arg-type]


@given(LINKS)
def test_links(buffer: bytes) -> None:
    target = reparse.link_target(buffer)
    assert target is not None
    assert reparse.build_link(*target) == buffer


@given(st.text())
def test_names(name: str) -> None:
    assert names.decode_wtf8(names.encode_wtf8(name)) == name
    assert names.from_utf16(names.to_utf16(name)) == name
    assert len(names.to_utf16(names.upcase(name))) == len(names.to_utf16(name))


@st.composite
def mutated(draw: st.DrawFn, original: bytes) -> bytes:
    data = bytearray(original)
    for _ in range(draw(st.integers(1, 4))):
        data[draw(st.integers(0, len(data) - 1))] = draw(st.integers(0, 255))
    return bytes(data[: draw(st.integers(0, len(data)))])


@given(st.binary(max_size=120) | mutated(FILE_SD))
def test_any_bytes_as_descriptor(data: bytes) -> None:
    descriptor = tried(lambda: SecurityDescriptor.from_bytes(data))
    if descriptor is not None:
        again = descriptor.to_bytes()
        assert SecurityDescriptor.from_bytes(again).to_bytes() == again


@given(st.binary(max_size=80))
def test_any_bytes_as_eas_and_reparse_points(data: bytes) -> None:
    found = tried(lambda: ea.parse_ea_list(data))
    if found:
        assert ea.parse_ea_list(ea.build_ea_list(found)) == found
    tried(lambda: reparse.decode(data))
    reparse_links = data[:0] + b"\x0c\0\0\xa0" + data
    tried(lambda: reparse.decode(reparse_links))
    assert reparse.link_target(reparse_links) is None or reparse.link_text(reparse_links) is not None


@given(st.text(alphabet="OGDS:(A;)PIBAUSYWDFx0123-S ", max_size=60))
def test_any_text_as_sddl(text: str) -> None:
    data = tried(lambda: parse_sddl(text))
    if data is not None:
        assert SecurityDescriptor.from_bytes(data).to_bytes() == data


BACKUP = (
    pack_header(StreamHeader(3, len(FILE_SD)))
    + FILE_SD
    + pack_header(StreamHeader(1, 0, 8))
    + pack_header(StreamHeader(9, 3, 8, "", 100))
    + b"abc"
    + pack_header(StreamHeader(9, 0, 8, "", 200))
    + pack_header(StreamHeader(4, 2, 0, ":s:$DATA"))
    + b"hi"
)


@given(st.binary(max_size=80) | mutated(BACKUP))
def test_any_bytes_as_backup_stream(data: bytes) -> None:
    def read() -> None:
        for _, body in entries_from_backup("f", 0x20, (1, 2, 3, 4), io.BytesIO(data)):
            if body is not None and body.size < 1 << 20:
                body.read()

    tried(lambda: list(parse_streams(data)))
    tried(read)


@st.composite
def broken_tars(draw: st.DrawFn) -> bytes:
    from tests.tars import BASE, M, build

    tar = build(
        [
            *BASE,
            M("Files/f", b"x" * 600, pax={"MSWINDOWS.rawsd": "AAAA", "WCLAYER.sparse": "0,600", "atime": "1.5"}),
            M("Files/" + "n" * 120, pax={"MSWINDOWS.xattr.A": "MQ=="}),
            M("Files/l", type="2", link="f", pax={"MSWINDOWS.fileattr": "1056"}),
        ]
    )
    data = bytearray(tar)
    for _ in range(draw(st.integers(1, 6))):
        data[draw(st.integers(0, len(data) - 1))] = draw(st.integers(0, 255))
    if draw(st.booleans()):  # mend the checksums, so that what is behind them is reached
        for place in range(0, len(data), 512):
            block = data[place : place + 512]
            if block[257:262] == b"ustar":
                block[148:156] = b"        "
                data[place + 148 : place + 156] = b"%06o\0 " % sum(block)
    return bytes(data[: draw(st.integers(0, len(data)))])


@given(st.binary(max_size=2000) | broken_tars())
def test_any_bytes_as_layer_tar(data: bytes) -> None:
    def read() -> None:
        for _, body in TarSource(io.BytesIO(data)).entries():
            if body is not None:
                for _ in body.chunks():
                    pass

    try:
        read()
    except (FormatError, InexpressibleError) as error:
        assert str(error)  # noqa: PT017 # the message must be made, too


@given(st.lists(st.binary(max_size=50), max_size=8), st.integers(1, 60))
def test_input_gives_what_it_gets(pieces: list[bytes], n: int) -> None:
    class Pieces:
        def __init__(self) -> None:
            self.left = [piece for piece in pieces if piece]

        def read(self, _: int, /) -> bytes:
            return self.left.pop(0) if self.left else b""

    stream = Input(Pieces())
    found = b""
    while part := stream.up_to(n):
        found += part
    assert found == b"".join(pieces)
    assert stream.offset == len(found)
