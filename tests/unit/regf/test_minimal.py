"""The two hives that a layer is given where it has none."""

from __future__ import annotations

import hashlib
import struct

import pytest

from tests.unit.regf.samples import TIME
from wclayer.errors import InexpressibleError
from wclayer.regf.bcd import minimal_bcd
from wclayer.regf.check import HiveState, check_hive
from wclayer.regf.minimal import minimal_hive
from wclayer.regf.model import DEFAULT_SECURITY
from wclayer.win32.sddl import parse_sddl
from wclayer.win32.security import SecurityDescriptor


def test_the_minimal_hive_stays_the_same_bytes() -> None:
    digest = hashlib.sha256(minimal_hive(TIME)).hexdigest()
    assert digest == "507a9a61b00bfed87d6253a17c71fc6deea211cc3b52c656bd0733d78ed958e9"


def test_the_minimal_hive_by_hand() -> None:
    time = TIME.to_bytes(8, "little")
    nil = b"\xff" * 4
    base = b"regf" + struct.pack("<II", 1, 1) + time + struct.pack("<7I", 1, 5, 0, 1, 0x20, 0x1000, 1)
    key = b"nk\x2c\0" + time + bytes(4) + nil + bytes(8) + nil * 2 + bytes(4) + nil + b"\x78\0\0\0" + nil + bytes(20)
    cells = b"\xa8\xff\xff\xff" + key + b"\4\0\0\0ROOT" + bytes(4)
    links = b"\x78\0\0\0" * 2
    cells += b"\x58\xff\xff\xff" + b"sk\0\0" + links + struct.pack("<II", 1, 144) + DEFAULT_SECURITY
    bin_ = b"hbin" + struct.pack("<II", 0, 0x1000) + bytes(8) + time + bytes(4) + cells + b"\xe0\x0e\0\0"
    assert minimal_hive(TIME) == base.ljust(508, b"\0") + b"\x11\x62\xd0\xa1" + bytes(3584) + bin_.ljust(4096, b"\0")


def test_the_default_security_is_what_its_text_says() -> None:
    text = "O:BAG:BAD:(A;CI;KA;;;SY)(A;CI;KA;;;BA)(A;CI;KR;;;WD)(A;CI;KR;;;RC)"
    assert SecurityDescriptor.from_bytes(DEFAULT_SECURITY) == SecurityDescriptor.from_bytes(parse_sddl(text))


@pytest.mark.parametrize("minor", [3, 5, 6])
@pytest.mark.parametrize("time", [0, TIME, (1 << 64) - 1])
def test_name_version_and_time_go_in(minor: int, time: int) -> None:
    hive = minimal_hive(time, root_name="Wurzel", minor=minor)
    assert len(hive) == 8192
    assert hive[24] == minor
    assert hive[12:20] == time.to_bytes(8, "little") == hive[4096 + 20 : 4096 + 28]
    assert b"Wurzel" in hive
    assert check_hive(hive).findings == ()


@pytest.mark.parametrize("time", [-1, 1 << 64])
def test_a_time_that_is_none(time: int) -> None:
    with pytest.raises(InexpressibleError, match="a hive's time"):
        minimal_hive(time)
    with pytest.raises(InexpressibleError, match="a hive's time"):
        minimal_bcd(time)


def test_the_boot_store() -> None:
    store = minimal_bcd(TIME)
    assert len(store) == 8192
    assert store[24] == 3
    assert b"NewStoreRoot" in store
    assert "wclayer\0".encode("utf-16-le") in store
    report = check_hive(store)
    assert (report.state, report.findings) == (HiveState.LOADABLE, ())


def test_the_boot_store_stays_the_same_bytes() -> None:
    assert (
        hashlib.sha256(minimal_bcd(TIME)).hexdigest()
        == "34bd9ee700209bd384f9198677226c5735e82b74f88f36685a6fd7dd4c14badc"
    )
