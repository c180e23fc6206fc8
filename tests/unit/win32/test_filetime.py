"""FILETIMEs as Python's datetimes; the rest is tested with the metadata of tars."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from wclayer.errors import FileTimeError
from wclayer.win32.filetime import from_datetime, from_unix_ns, to_datetime


def test_datetimes() -> None:
    moment = datetime(2024, 1, 31, 12, 0, 0, 1, tzinfo=UTC)
    assert from_datetime(moment) == from_unix_ns(1706702400 * 10**9 + 1000)
    assert to_datetime(from_datetime(moment)) == moment
    assert from_datetime(moment.replace(tzinfo=None)) == from_datetime(moment)
    assert from_datetime(moment.astimezone(timezone(timedelta(hours=5)))) == from_datetime(moment)
    assert to_datetime(0) == datetime(1601, 1, 1, tzinfo=UTC)
    with pytest.raises(FileTimeError, match="a datetime cannot hold"):
        to_datetime((1 << 64) - 1)
    with pytest.raises(FileTimeError, match="a FILETIME cannot hold"):
        from_datetime(datetime(1600, 12, 31, tzinfo=UTC))
