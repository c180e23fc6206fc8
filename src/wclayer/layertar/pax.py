"""The records of PAX extended headers (POSIX.1-2001 pax, "pax Extended Header"), and base64 as Go reads it.

A record is `LEN SP key=value LF`; LEN is decimal and counts itself. Keys and values
are bytes: names may be WTF-8, and names of Windows' extended attributes need not be
in any encoding. A header with over 1 MiB of records is an error, as in Go.
"""

from __future__ import annotations

import binascii
from collections.abc import Iterable
from typing import Final

from ..codes import Code
from ..errors import InexpressibleError, TarError

__all__ = ["MAX_RECORDS", "decode_base64", "encode_base64", "format_records", "parse_records"]

MAX_RECORDS: Final = 1 << 20  # bytes of one header's records

# Keys whose values are names: C programs end a name at a NUL, and Go refuses one (validPAXRecord).
_NAME_KEYS = frozenset((b"path", b"linkpath", b"uname", b"gname"))


def parse_records(data: bytes, offset: int) -> dict[bytes, bytes]:
    """Parse `data`, the body of an `x` or `g` header at `offset` of the tar.

    Of a key that occurs twice, the last value counts. The pairs of GNU.sparse.offset and GNU.sparse.numbytes, which
    occur once for each range (format 0.0), become one GNU.sparse.map (format 0.1), as in Go. Raises TarError with the
    offset of the record.
    """
    records: dict[bytes, bytes] = {}
    sparse: list[bytes] = []
    position = 0
    end = len(data)
    while position < end:
        space = data.find(b" ", position, position + 8)
        digits = data[position:space]
        if space < 0 or not digits.isdigit():
            raise TarError(
                "PAX record without a length",
                offset=offset + position,
                got=repr(data[position : position + 20]),
                rule=Code.PAX_MALFORMED,
            )
        stop = position + int(digits)
        if stop > end or data[stop - 1 : stop] != b"\n" or stop <= space + 1:
            raise TarError(
                "PAX record whose length is wrong",
                offset=offset + position,
                expected="a line feed at its end",
                got=f"length {int(digits)} with {end - position} bytes left",
                rule=Code.PAX_MALFORMED,
            )
        equals = data.find(b"=", space + 1, stop - 1)
        if equals <= space + 1:
            raise TarError(
                "PAX record without a key", offset=offset + position, expected="key=value", rule=Code.PAX_MALFORMED
            )
        key, value = data[space + 1 : equals], data[equals + 1 : stop - 1]
        if b"\0" in key or (b"\0" in value and key in _NAME_KEYS):
            raise TarError(
                "NUL in a PAX record", offset=offset + position, got=repr(key)[2:-1], rule=Code.PAX_MALFORMED
            )
        if key in (b"GNU.sparse.offset", b"GNU.sparse.numbytes"):
            if (len(sparse) % 2 == 0) != (key == b"GNU.sparse.offset") or b"," in value:
                raise TarError(
                    "GNU sparse records out of order", offset=offset + position, rule=Code.SPARSE_MAP_MALFORMED
                )
            sparse.append(value)
        else:
            records[key] = value
        position = stop
    if sparse:
        records[b"GNU.sparse.map"] = b",".join(sparse)
    return records


def _record(key: bytes, value: bytes) -> bytes:
    body = b" %b=%b\n" % (key, value)
    length = len(body) + len(str(len(body)))
    if len(str(length)) + len(body) != length:  # its own digits made the length one digit longer
        length = len(body) + len(str(length))
    return b"%d%b" % (length, body)


def format_records(records: Iterable[tuple[bytes, bytes]], path: str) -> bytes:
    """Build the body of an `x` header: the records, sorted by key as Go does; `path` is for errors.

    Raises InexpressibleError for a key that is empty, occurs twice, or has `=` or NUL; for a NUL in a name; and for
    more than 1 MiB in all.
    """
    lines: list[bytes] = []
    last = b""
    for key, value in sorted(records):
        if not key or b"=" in key or b"\0" in key or key == last:
            raise InexpressibleError(
                "PAX cannot hold a record with this key",
                path=path,
                expected="no `=`, no NUL, no key twice",
                got=repr(key)[2:-1],
                hint="rename the extended attribute, or leave it out",
            )
        if b"\0" in value and key in _NAME_KEYS:
            raise InexpressibleError("a name with a NUL cannot be written to a tar", path=path, got=repr(value)[2:-1])
        last = key
        lines.append(_record(key, value))
    body = b"".join(lines)
    if len(body) > MAX_RECORDS:
        raise InexpressibleError(
            "metadata too large for a layer tar",
            path=path,
            expected=f"at most {MAX_RECORDS:,} bytes",
            got=f"{len(body):,}",
        )
    return body


def decode_base64(value: bytes, what: str, offset: int) -> bytes:
    """Decode base64 as Go's StdEncoding does: with padding, and CR and LF ignored wherever they are.

    Raises TarError, which names `what`, with `offset`.
    """
    if b"\n" in value or b"\r" in value:
        value = value.replace(b"\n", b"").replace(b"\r", b"")
    try:
        if len(value) % 4 == 0 and not value.endswith(b"==="):
            return binascii.a2b_base64(value, strict_mode=True)
        reason = f"{len(value)} characters"
    except binascii.Error as error:
        reason = str(error)
    raise TarError(
        f"bad base64 in {what}",
        offset=offset,
        expected="padded standard base64",
        got=reason,
        rule=Code.BASE64_MALFORMED,
    )


def encode_base64(data: bytes) -> bytes:
    """Encode as padded standard base64 on one line."""
    return binascii.b2a_base64(data, newline=False)
