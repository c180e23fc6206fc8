"""PAX records and base64 as Go has them."""

from __future__ import annotations

import base64
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tars import END, header, pax_header
from wclayer.errors import InexpressibleError, TarError
from wclayer.layertar.pax import MAX_RECORDS, decode_base64, encode_base64, format_records, parse_records
from wclayer.layertar.reader import TarSource

# Keys that the reader looks into or refuses have tests of their own.
OWN_MEANING = (b"path", b"linkpath", b"uname", b"gname", b"GNU.sparse.offset", b"GNU.sparse.numbytes")
KEYS = st.binary(min_size=1, max_size=20).filter(lambda key: not set(b"=\0") & set(key) and key not in OWN_MEANING)


@given(st.dictionaries(KEYS, st.binary(max_size=120), max_size=6))
def test_records_and_back(records: dict[bytes, bytes]) -> None:
    body = format_records(records.items(), "f")
    assert parse_records(body, 0) == records
    keys = [line.split(b" ", 1)[1].split(b"=")[0] for line in split(body)]
    assert keys == sorted(keys)


def split(body: bytes) -> list[bytes]:
    lines = []
    while body:
        length = int(body.split(b" ", 1)[0])
        lines.append(body[:length])
        assert lines[-1].endswith(b"\n")
        body = body[length:]
    return lines


@pytest.mark.parametrize("size", range(90, 110))
def test_lengths_around_a_further_digit(size: int) -> None:
    body = format_records([(b"k", b"v" * size)], "f")
    assert split(body) == [body]
    assert parse_records(body, 0) == {b"k": b"v" * size}


@pytest.mark.parametrize("key", [b"", b"a=b", b"a\0b"])
def test_keys_that_cannot_be(key: bytes) -> None:
    with pytest.raises(InexpressibleError):
        format_records([(key, b"")], "f")


def test_a_key_twice_and_too_much() -> None:
    with pytest.raises(InexpressibleError):
        format_records([(b"a", b"1"), (b"a", b"2")], "f")
    with pytest.raises(InexpressibleError, match="too large"):
        format_records([(b"a", bytes(MAX_RECORDS))], "f")
    length = MAX_RECORDS - len(b"1048576 a=\n")
    assert len(format_records([(b"a", bytes(length))], "f")) == MAX_RECORDS == 1 << 20  # Go's maxSpecialFileSize
    with pytest.raises(InexpressibleError, match="too large"):
        format_records([(b"a", bytes(length + 1))], "f")
    assert parse_records(b"6 a=1\n6 a=2\n", 0) == {b"a": b"2"}


@pytest.mark.parametrize("typeflag", [b"x", b"g"])
@pytest.mark.parametrize(
    ("record", "message"),
    [
        (b"x a=b\n", "without a length"),
        (b"6 a=bc\n", "length is wrong"),
        (b"7 =bcd\n", "without a key"),
        (b"12 path=a\0b\n", "NUL"),
        (b"27 GNU.sparse.numbytes=512\n", "out of order"),
    ],
)
def test_an_error_gives_the_offset_of_its_record(typeflag: bytes, record: bytes, message: str) -> None:
    """The byte of the tar: behind a file of one block, the block of the header, and the record before it."""
    before = header(b"before", b"00000000001") + b"1".ljust(512, b"\0")
    tar = before + pax_header(b"15 comment=abc\n" + record, typeflag) + header(b"f") + END
    assert tar.index(record) == 1024 + 512 + 15
    with pytest.raises(TarError, match=message) as caught:
        list(TarSource(io.BytesIO(tar)).entries())
    assert caught.value.offset == tar.index(record)


@pytest.mark.parametrize(
    "value", [b"AAA", b"A", b"A===", b"====", b"AAAA====", b"AA=A", b"AAA=AAAA", b" AAAA", b"_-8=", b"=AAA"]
)
def test_base64_that_go_refuses(value: bytes) -> None:
    with pytest.raises(TarError):
        decode_base64(value, "it", 7)


@pytest.mark.parametrize("value", [b"", b"AB==", b"AA\r\n==", b"\nAAAA\n"])
def test_base64_that_go_takes(value: bytes) -> None:
    assert decode_base64(value, "it", 7) == base64.b64decode(value)


@given(st.binary(max_size=100))
def test_base64_and_back(data: bytes) -> None:
    assert decode_base64(encode_base64(data), "it", 0) == data
