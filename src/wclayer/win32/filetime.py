"""FILETIME: 100 ns ticks since 1601-01-01 UTC, unsigned 64 bits ([MS-DTYP] 2.3.3), and the text of PAX times.

A PAX time is decimal seconds since 1970, in layers with up to seven digits after
the point. Both directions are exact over all 64 bits; hcsshim converts through
64-bit nanoseconds, which wrap outside the years 1677 to 2262.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from ..errors import FileTimeError

__all__ = [
    "NO_TIME",
    "UNIX_EPOCH",
    "format_pax_time",
    "from_datetime",
    "from_unix_ns",
    "parse_pax_time",
    "time_text",
    "to_datetime",
    "to_unix_ns",
]

UNIX_EPOCH: Final = 116444736000000000  # 1970-01-01
NO_TIME: Final = 48491090211286549  # hcsshim's FILETIME (in 1754) for a time that is not set, Go's year 1

_TICKS: Final = 10_000_000  # a second
_EPOCH: Final = datetime(1601, 1, 1, tzinfo=UTC)
_LIMIT: Final = 1 << 64
_PAX_TIME = re.compile(rb"([+-]?)([0-9]{1,128})(?:\.([0-9]{0,128}))?")


def _checked(filetime: int, got: object) -> int:
    if 0 <= filetime < _LIMIT:
        return filetime
    raise FileTimeError("time that a FILETIME cannot hold", expected="a time from 1601-01-01 to 60056-05-28", got=got)


def parse_pax_time(value: bytes) -> int:
    """Convert a PAX time such as `b"1600000000.1234567"` to a FILETIME.

    Accepted are an optional sign, digits, and optionally a point and digits. What is finer than 100 ns is cut, towards
    1970, as hcsshim does. Raises FileTimeError for other text, and for a time outside FILETIME's range.
    """
    found = _PAX_TIME.fullmatch(value)
    if found is None:
        raise FileTimeError("malformed time", expected="decimal seconds", got=repr(value[:40])[2:-1])
    sign, seconds, fraction = found.groups()
    ticks = int(seconds) * _TICKS
    if fraction:
        ticks += int(fraction[:7].ljust(7, b"0"))
    return _checked(UNIX_EPOCH - ticks if sign == b"-" else UNIX_EPOCH + ticks, value.decode())


def format_pax_time(filetime: int) -> bytes:
    """Convert a FILETIME to a PAX time: without zeros at the end, a negative one as sign and absolute value."""
    ticks = filetime - UNIX_EPOCH
    seconds, rest = divmod(abs(ticks), _TICKS)
    sign = b"-" if ticks < 0 else b""
    return b"%b%d.%b" % (sign, seconds, (b"%07d" % rest).rstrip(b"0")) if rest else b"%b%d" % (sign, seconds)


def from_unix_ns(ns: int) -> int:
    """Convert nanoseconds since 1970 to a FILETIME, cut towards 1970 as Go divides. Raises FileTimeError."""
    ticks = ns // 100 if ns >= 0 else -(-ns // 100)
    return _checked(UNIX_EPOCH + ticks, f"{ns} ns since 1970")


def to_unix_ns(filetime: int) -> int:
    """Convert a FILETIME to nanoseconds since 1970."""
    return (filetime - UNIX_EPOCH) * 100


def from_datetime(time: datetime) -> int:
    """Convert a datetime to a FILETIME; without a time zone it is in UTC. Raises FileTimeError before 1601."""
    past = time.replace(tzinfo=time.tzinfo or UTC) - _EPOCH
    return _checked(((past.days * 86400 + past.seconds) * 10**6 + past.microseconds) * 10, time)


def to_datetime(filetime: int) -> datetime:
    """Convert a FILETIME to a datetime in UTC, cut to microseconds. Raises FileTimeError after the year 9999."""
    try:
        return _EPOCH + timedelta(microseconds=filetime // 10)
    except OverflowError:
        raise FileTimeError("time that a datetime cannot hold", expected="up to the year 9999", got=filetime) from None


def time_text(filetime: int) -> str:
    """A FILETIME in UTC, as far as years have four digits."""
    seconds, ticks = divmod(filetime - UNIX_EPOCH, 10_000_000)
    try:
        time = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    except OverflowError:
        return str(filetime)
    return f"{time:%Y-%m-%dT%H:%M:%S}.{ticks:07}Z"
