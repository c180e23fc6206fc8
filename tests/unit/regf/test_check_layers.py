"""The judgement on differencing hives: each fault alone is found, where it lies."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.unit.regf.samples import TIME, Broken, small
from wclayer.regf.check import HiveState, check_hive
from wclayer.regf.findings import Severity
from wclayer.regf.model import Hive, Key, Value, dword
from wclayer.regf.writer import write_hive

LAYERED = Hive(
    Key(
        "ROOT",
        (Value("deleted value", 0, tombstone=True),),
        (
            Key("removed", last_written=TIME, layer=1),
            Key("merged", (dword("number", 7),), (Key("sub", last_written=TIME),), TIME, layer=0x80),
            Key("classed", last_written=TIME, class_name=b"c\0"),
            Key("tree", (), (Key("inside", last_written=TIME, layer=3), Key("outside", layer=1)), TIME, layer=3),
        ),
        TIME,
    ),
    TIME,
    6,
)
Fault = Callable[[Broken], int]  # makes it, and says where it is to be found
ERROR, WARNING = Severity.ERROR, Severity.WARNING


def put(layout: str, place: Callable[[Broken], int], number: int) -> Fault:
    def change(hive: Broken) -> int:
        at = place(hive)
        hive.put(layout, at, number)
        return at

    return change


def moved(fields: tuple[int, ...], source: str, target: str) -> Fault:
    """The fields of one key are given to another, and taken from it."""

    def change(hive: Broken) -> int:
        one, other = hive.key(source), hive.key(target)
        for field in fields:
            hive.put("I", other + field, hive.get("I", one + field))
            hive.put("I", one + field, 0 if field in (20, 36) else 0xFFFFFFFF)
        return other + fields[0]

    return change


FAULTS: dict[str, tuple[Fault, Severity, str]] = {
    "unknown bits": (
        put("B", lambda h: h.key("merged") + 13, 0x84),
        WARNING,
        "a layer byte; expected no bits but 0x83",
    ),
    "root": (put("B", lambda h: h.key("ROOT") + 13, 0x80), WARNING, "a layer byte of the root"),
    "merge in a tree": (put("B", lambda h: h.key("inside") + 13, 0), ERROR, "a key that does not supersede"),
    "local in a tree": (put("B", lambda h: h.key("inside") + 13, 2), ERROR, "a key that does not supersede"),
    "class that is not to show": (
        lambda hive: put("B", lambda h: h.key("classed") + 13, 0x80)(hive) + 61,
        WARNING,
        "a class name in a key that inherits it",
    ),
    "deleted with a class": (
        lambda hive: put("B", lambda h: h.key("classed") + 13, 1)(hive) + 61,
        WARNING,
        "a deleted key with a class name",
    ),
    "deleted with values": (moved((36, 40, 60, 64), "merged", "removed"), ERROR, "a deleted key with values"),
    "deleted with subkeys": (
        lambda hive: put("B", lambda h: h.key("merged") + 13, 1)(hive) + 7,
        ERROR,
        "a deleted key with subkeys",
    ),
    "deleted value with a type": (
        put("I", lambda h: h.value("deleted value") + 12, 4),
        WARNING,
        "the type of a deleted value",
    ),
    "deleted value with data": (
        lambda hive: put("I", lambda h: h.value("deleted value") + 4, 1)(hive) + 4,
        WARNING,
        "data of a deleted value",
    ),
    "predefined handle": (
        put("H", lambda h: h.key("merged") + 2, 0x60),
        WARNING,
        "a key that is a predefined handle",
    ),
}


def test_the_sound_one_raises_nothing() -> None:
    report = check_hive(write_hive(LAYERED))
    assert (report.findings, report.differencing) == ((), True)


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_is_found_where_it_lies(name: str) -> None:
    fault, severity, words = FAULTS[name]
    hive = Broken(write_hive(LAYERED))
    at = fault(hive)
    report = check_hive(bytes(hive))
    assert (at, severity) in [(found.offset, found.severity) for found in report.findings if words in str(found)]
    assert (report.state is HiveState.LOADABLE) == (severity is WARNING)


@pytest.mark.parametrize(("minor", "flags"), [(5, 2), (5, 0), (6, 0)])
def test_marks_of_layers_in_an_ordinary_hive(minor: int, flags: int) -> None:
    hive = Broken(write_hive(small(minor)))
    hive.put("B", hive.key("beta") + 13, 1)
    hive.put("H", hive.value("number") + 16, 3)
    hive.put("I", 144, flags)
    report = check_hive(bytes(hive))
    assert (report.state, report.differencing) == (HiveState.LOADABLE, False)
    assert [str(finding).partition(";")[0] for finding in report.findings] == [
        *(["the flag of a differencing hive"] if flags else []),
        "beta: a layer byte in a hive that is not differencing",
        "Alpha: a deleted value in a hive that is not differencing",
    ]


def test_a_hive_of_version_1_6_that_is_not_differencing() -> None:
    data = write_hive(Hive(small().root, TIME, 6, layered=False))
    report = check_hive(data)
    assert (report.findings, report.differencing) == ((), False)
