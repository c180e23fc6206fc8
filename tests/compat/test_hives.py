"""Other programs read our hives as they were meant, and hives of Windows and others are judged as what they are.

Each program gets a copy: some repair what they open, and a reader that changed ours would show that it had to.
"""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import os
import re
import struct
import subprocess
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

import pytest

from tests.compat.tools import missing, shared, tool
from tests.unit.regf.samples import TIME, crowd, rich, small
from wclayer.errors import HiveError
from wclayer.regf.bcd import minimal_bcd
from wclayer.regf.check import HiveState, check_hive, require_loadable
from wclayer.regf.delta import MergeReport, merge_delta
from wclayer.regf.findings import Severity
from wclayer.regf.log import recover_hive
from wclayer.regf.minimal import minimal_hive
from wclayer.regf.model import Hive, Key, RegType, Value, dword, sz
from wclayer.regf.names import key_order
from wclayer.regf.reader import read_hive
from wclayer.regf.writer import write_hive

ENVIRONMENT = {**os.environ, "TZ": "UTC", "LC_ALL": "C.UTF-8"}
Values = list[tuple[str, int, bytes]]
LOADER = "{6a6c1f1b-59d4-11ea-9438-9402e6abd998}"
MANAGER = "{9dea862c-5cdd-4e70-acc1-f32b344d4795}"


def text(characters: str) -> bytes:
    return (characters + "\0").encode("utf-16-le")


# The keys of the boot store in order, each with its values.
BOOT_STORE: dict[str, Values] = {
    "": [],
    "\\Description": [("KeyName", 1, text("BCD00000000")), ("FirmwareModified", 4, b"\1\0\0\0")],
    "\\Objects": [],
    f"\\Objects\\{LOADER}": [],
    f"\\Objects\\{LOADER}\\Description": [("Type", 4, b"\3\0\x20\x10")],
    f"\\Objects\\{LOADER}\\Elements": [],
    f"\\Objects\\{LOADER}\\Elements\\12000004": [("Element", 1, text("wclayer"))],
    f"\\Objects\\{MANAGER}": [],
    f"\\Objects\\{MANAGER}\\Description": [("Type", 4, b"\2\0\x10\x10")],
    f"\\Objects\\{MANAGER}\\Elements": [],
    f"\\Objects\\{MANAGER}\\Elements\\23000003": [("Element", 1, text(LOADER))],
}


def flat(hive: Hive) -> dict[str, Values]:
    """The paths of all keys below the root, in the order of a walk, each with the key's values."""

    def walk(key: Key, path: str) -> Iterator[tuple[str, Values]]:
        yield path, [(value.name, value.type, value.data) for value in key.values]
        for sub in sorted(key.subkeys, key=lambda sub: key_order(sub.name)):
            yield from walk(sub, f"{path}\\{sub.name}")

    return dict(walk(hive.root, ""))


# A hive, and what two layers make of it by each rule that there is; the times are all one.
BELOW = (
    Key("deleted", (dword("x", 1),), (Key("with all below", (), (), TIME),), TIME),
    Key("local", (dword("hidden", 1),), (Key("shown", (dword("y", 1),), (), TIME),), TIME),
    Key("merged", (dword("kept", 1), dword("changed", 1), dword("deleted", 1)), (Key("sub", (), (), TIME),), TIME),
    Key("tree", (dword("hidden", 1),), (Key("hidden", (), (), TIME),), TIME),
)
ABOVE = (
    Key("deleted", last_written=TIME, layer=1),
    Key("local", (dword("own", 2),), (), TIME, layer=2),
    Key("merged", (dword("changed", 2), Value("deleted", 0, tombstone=True), sz("new", "n")), (), TIME, layer=0x80),
    Key("new", (dword("z", 2),), (Key("below", (), (), TIME),), TIME),
    Key("tree", (dword("own", 2),), (Key("below", (), (), TIME, layer=3),), TIME, layer=3),
)
MERGED: dict[str, Values] = {
    "": [],
    "\\again": [("v", 4, b"\3\0\0\0")],
    "\\local": [("own", 4, b"\2\0\0\0")],
    "\\local\\shown": [("y", 4, b"\1\0\0\0")],
    "\\merged": [("kept", 4, b"\1\0\0\0"), ("changed", 4, b"\2\0\0\0"), ("new", 1, text("n"))],
    "\\new": [("z", 4, b"\2\0\0\0")],
    "\\tree": [("own", 4, b"\2\0\0\0")],
    "\\tree\\below": [],
}


def merged() -> Hive:
    """BELOW with ABOVE over it, and another over both."""
    again = Key("again", (dword("v", 3),), (), TIME)
    gone = [Key(name, last_written=TIME, layer=1) for name in ("below", "sub")]
    upper = (again, Key("new", (), (gone[0],), TIME, layer=0x80), Key("merged", (), (gone[1],), TIME, layer=0x80))
    lower = merge_delta(Hive(Key("ROOT", (), BELOW, TIME), TIME), Hive(Key("ROOT", (), ABOVE, TIME), TIME, 6))
    return merge_delta(lower, Hive(Key("ROOT", (), upper, TIME), TIME, 6))


HIVES: dict[str, tuple[bytes, dict[str, Values]]] = {
    "minimal": (minimal_hive(TIME), {"": []}),
    "minimal-1.3": (minimal_hive(TIME, minor=3), {"": []}),
    "boot-store": (minimal_bcd(TIME), BOOT_STORE),
    "small": (write_hive(small()), flat(small())),
    "small-1.3": (write_hive(small(3)), flat(small(3))),
    "crowd": (write_hive(crowd(1501)), flat(crowd(1501))),
    "rich": (write_hive(rich()), flat(rich())),
    "rich-1.3": (write_hive(rich(3)), flat(rich(3))),
    "merged": (write_hive(merged()), MERGED),
}


@pytest.fixture(params=HIVES)
def given(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, dict[str, Values]]]:
    """A copy of one of our hives, which must be the same afterwards, and what is in it."""
    data, content = HIVES[request.param]
    path = tmp_path / "hive"
    path.write_bytes(data)
    yield str(path), content
    assert hashlib.sha256(path.read_bytes()).digest() == hashlib.sha256(data).digest()


def run(*command: str, stdin: str = "") -> str:
    done = subprocess.run(
        [tool(command[0]), *command[1:]], input=stdin.encode(), capture_output=True, env=ENVIRONMENT, check=True
    )
    return done.stdout.decode()


# hivex


def as_xml(kind: int, data: bytes) -> tuple[str, Any]:
    """The type and content that hivexml shows."""
    if kind in (RegType.SZ, RegType.EXPAND_SZ, RegType.LINK):
        return {1: "string", 2: "expand", 6: "link"}[kind], data.decode("utf-16-le").rstrip("\0")
    if kind in (RegType.DWORD, RegType.DWORD_BIG_ENDIAN):
        return "int32", str(int.from_bytes(data, "little" if kind == RegType.DWORD else "big"))
    if kind == RegType.QWORD:
        return "int64", str(int.from_bytes(data, "little"))
    if kind == RegType.MULTI_SZ:
        return "string-list", data.decode("utf-16-le").split("\0")[:-1]
    names = {0: "none", 3: "binary", 8: "resource-list", 9: "resource-description", 10: "resource-requirements"}
    return names[kind], data


def test_hivexml_reads_all_keys_and_values(given: tuple[str, dict[str, Values]]) -> None:
    path, content = given
    root = ET.fromstring(run("hivexml", path)).find("node")  # noqa: S314 (hivex made it, of our hive)
    assert root is not None
    found: dict[str, list[tuple[str, tuple[str, Any]]]] = {}

    def walk(node: ET.Element, path: str) -> None:
        found[path] = []
        for value in node.findall("value"):
            shown: Any = value.get("value", "")
            if value.get("encoding") == "base64":
                shown = base64.b64decode(shown)
            if value.get("type") == "string-list":
                shown = [item.text or "" for item in value.findall("string")]
            found[path].append((value.get("key", ""), (value.get("type", ""), shown)))
        assert node.findtext("mtime") == "2023-11-14T22:13:20Z"
        for sub in node.findall("node"):
            walk(sub, f"{path}\\{sub.get('name')}")

    walk(root, "")
    assert found == {
        path: [(name, as_xml(kind, data)) for name, kind, data in values] for path, values in content.items()
    }
    assert list(found) == list(content)


def test_hivexsh_finds_keys_by_name(given: tuple[str, dict[str, Values]]) -> None:
    path, content = given
    paths = list(content)[:60]
    out = run("hivexsh", path, stdin="".join(f"cd {key or chr(92)}\nls\n" for key in paths))
    below = {
        key: [sub.removeprefix(key)[1:] for sub in content if sub and sub.rpartition("\\")[0] == key] for key in paths
    }
    assert out.splitlines() == [name for key in paths for name in below[key]]


def test_hivex_can_edit_and_the_result_is_sound(tmp_path: Path) -> None:
    path = tmp_path / "hive"
    path.write_bytes(minimal_hive(TIME))
    edits = "add Zeta\nadd alpha\ncd alpha\nsetval 2\nname\nstring:text\n@\ndword:7\nadd deep\ncommit\n"
    run("hivexsh", "-w", str(path), stdin=edits)
    report = check_hive(path.read_bytes())
    assert (report.state, report.findings) == (HiveState.LOADABLE, ())


# libregf


def test_regfinfo(given: tuple[str, dict[str, Values]]) -> None:
    path, content = given
    out = run("regfinfo", path)
    assert f"Version:\t1.{Path(path).read_bytes()[24]}\n" in out
    assert out.count("(key:)") == len(content)
    assert "orrupt" not in out


def test_regfexport_reads_all_keys_and_values(given: tuple[str, dict[str, Values]]) -> None:
    path, content = given
    out = run("regfexport", path)
    found: dict[str, list[tuple[str, str, int]]] = {}
    dumps: dict[str, bytes] = {}
    for block in out.split("\n\n"):
        lines = block.strip("\n").split("\n")
        if lines[0].startswith("Key path: "):
            values = found[lines[0][len("Key path: ") :].partition("\\")[2]] = []
            lines = [line for line in lines[2:] if not line.startswith("Class name: ")]
        if lines and (value := re.fullmatch(r"Value: \d+ (.*)", lines[0])):
            kind, size = re.search(r"\(REG_(\w+)\)", lines[1]), lines[2].removeprefix("Data size: ")
            assert kind is not None
            name = "" if value[1] == "(default)" else value[1]
            values.append((name, kind[1].replace("_LITTLE_ENDIAN", ""), int(size)))
            dump = [line[10:58] for line in lines[3:] if re.match("[0-9a-f]{8}: ", line)]
            # Of one to three bytes in the value itself it takes the wrong ones.
            if kind[1] == "BINARY" and int(size) not in (1, 2, 3):
                dumps[name] = bytes.fromhex("".join(dump))
    wanted = {
        path[1:]: [(name, RegType(kind).name, len(data)) for name, kind, data in values]
        for path, values in content.items()
    }
    assert found == wanted
    binary = [value for values in content.values() for value in values if value[1] == RegType.BINARY]
    assert dumps == {name: data for name, _, data in binary if len(data) not in (1, 2, 3)}


# reglookup


def test_reglookup_reads_all_keys_and_values(given: tuple[str, dict[str, Values]]) -> None:
    path, content = given
    found: dict[str, tuple[str, bytes]] = {}
    for line in run("reglookup", path).splitlines()[1:]:
        name, kind, shown, _ = line.split(",")
        found[name] = kind, b"" if shown == "(null)" else unquote_to_bytes(shown)
    keys, values = 0, 0
    for key, listed in content.items():
        keys += 1
        # Other characters it shows in its own way.
        if not key.isascii():
            continue
        shown = key.replace("\\", "/") or "/"
        assert found[shown] == ("KEY", b"")
        for name, kind_number, data in listed:
            values += 1
            if not name.isascii() or "/" in name:
                continue
            got = found[f"{shown}/{name}"]
            if kind_number == RegType.BINARY:
                assert got == ("BINARY", data)
            elif kind_number == RegType.DWORD:
                assert got == ("DWORD", f"0x{int.from_bytes(data, 'little'):08X}".encode())
            elif kind_number in (RegType.SZ, RegType.EXPAND_SZ) and data.isascii():
                assert got == (RegType(kind_number).name, data.decode("utf-16-le").rstrip("\0").encode())
    assert len(found) == keys + values


def test_reglookup_reads_security(tmp_path: Path) -> None:
    path = tmp_path / "hive"
    path.write_bytes(write_hive(small()))
    lines = dict(line.split(",", 1) for line in run("reglookup", "-s", "-t", "KEY", str(path)).splitlines())
    *_, owner, group, _, dacl, klass = lines["/Alpha"].split(",")
    assert (owner, group, klass) == ("S-1-5-32-544", "S-1-5-32-544", "klass")
    assert [entry.split(":")[0] for entry in dacl.split("|")] == ["S-1-5-18", "S-1-5-32-544", "S-1-1-0", "S-1-5-12"]
    assert lines["/Alpha/Deepest"].split(",")[3:5] == ["S-1-5-18", "S-1-5-18"]
    assert lines["/Gamma"].split(",")[3:5] == ["S-1-5-32-544", "S-1-5-18"]


# python-registry


@pytest.mark.filterwarnings("ignore")  # its own
def test_python_registry_reads_all_keys_and_values(given: tuple[str, dict[str, Values]]) -> None:
    if importlib.util.find_spec("Registry") is None:
        missing("python-registry")
    from Registry import Registry  # type: ignore[import-not-found,import-untyped,unused-ignore]

    path, content = given
    found: dict[str, Values] = {}

    def walk(key: Any, path: str) -> None:
        values = [("" if v.name() == "(default)" else v.name(), v.value_type(), v.raw_data()) for v in key.values()]
        # Of big-endian numbers in the value itself it gives the bytes of another field.
        found[path] = [(n, k, b"\1\2\3\4") if k == RegType.DWORD_BIG_ENDIAN else (n, k, d) for n, k, d in values]
        assert key.timestamp() == datetime(2023, 11, 14, 22, 13, 20)  # noqa: DTZ001 (it gives none)
        for sub in key.subkeys():
            walk(sub, f"{path}\\{sub.name()}")

    walk(Registry.Registry(path).root(), "")
    assert found == content
    assert list(found) == list(content)


# Hives of others

REAL = {
    "hivex_rlenvalue": HiveState.LOADABLE,  # made by hivex: a value with more room than data
    "hivex_special": HiveState.LOADABLE,  # made by hivex: names with NUL, umlauts and a trade mark
    "hpc_minimal": HiveState.LOADABLE,  # Windows, `reg load`: a root alone, whose parent is garbage
    "regipy_BCD": HiveState.LOADABLE,  # Windows: a boot store, 1.3
    "regipy_SAM": HiveState.LOADABLE,  # Windows: 1.3, and 232 KiB of garbage behind the bins
    "yarp_BadListHive": HiveState.BROKEN,  # edited: two keys have the same list of subkeys
    "yarp_BigDataHive": HiveState.LOADABLE,  # Windows: big data
    "yarp_ManySubkeysHive": HiveState.LOADABLE,  # Windows: 5000 subkeys in li leaves under an index
    "yarp_NewDirtyHive": HiveState.DIRTY,  # Windows: copied before it was flushed, its bins from before
    "nt-hive__testdata_testhive": HiveState.LOADABLE,  # offreg: many keys, and a root with neither of a root's flags
    "yarp_OffHive": HiveState.LOADABLE,  # offreg: a root alone, 1.5, and offreg's mark in the base block
    "yarp_RecoveredHive_Windows10": HiveState.LOADABLE,  # the dirty one after Windows played back its logs
    "yarp_System_Delta": HiveState.LOADABLE,  # Windows: a differencing hive with tombstones, 1.6
    "yarp_UnicodeHive": HiveState.LOADABLE,  # Windows: Cyrillic names
    "yarp_WrongOrderHive": HiveState.BROKEN,  # edited: subkeys out of order, in Latin and in Cyrillic
}
REASONS = {
    "yarp_BadListHive": r"parent of a key; expected 0x2e8; got 0x380 \(at byte 5,252\)",
    "yarp_NewDirtyHive": r"expected two equal; got 3 and 2 \(at byte 4\)",
    "yarp_WrongOrderHive": r"1: a subkey out of order; expected one after '2'; got '1'",
}


@pytest.mark.parametrize("name", REAL)
def test_real_hives_are_what_they_are(name: str) -> None:
    report = check_hive((shared("data/hives") / name).read_bytes())
    assert report.state is REAL[name]
    if name in REASONS:
        assert re.search(REASONS[name], str(report.reason))
    else:
        assert report.findings == ()
    assert report.differencing == (name == "yarp_System_Delta")


WITH_A_BIG_VALUE = """
    binmode STDIN;
    my $data = join "", <STDIN>;
    my $hive = Win::Hivex->open($ARGV[0], write => 1);
    my $key = $hive->node_add_child($hive->node_get_child($hive->root, "Alpha"), "Hivex");
    my $small = { key => "other", t => 4, value => "\\x05\\0\\0\\0" };
    $hive->node_set_values($key, [{ key => "Big", t => 3, value => $data }, $small]);
    $hive->commit(undef);
"""


def test_big_values_as_hivex_writes_them(tmp_path: Path) -> None:
    """One plain cell, where Windows wants segments: they are read, named by the check, and written as Windows does."""
    hive = tmp_path / "hive"
    hive.write_bytes(write_hive(small()))
    data = bytes(range(256)) * 80  # 20,480 bytes
    subprocess.run([tool("perl"), "-MWin::Hivex", "-e", WITH_A_BIG_VALUE, hive], input=data, check=True)
    written = hive.read_bytes()
    report = check_hive(written)
    [reason] = [
        finding for finding in report.findings if finding.severity is Severity.ERROR and "Big" in finding.message
    ]
    assert reason.path == "Alpha\\Hivex"
    assert "in one cell" in reason.message
    with pytest.raises(HiveError, match="in the value Big"):
        require_loadable(written)
    found = read_hive(written)
    key = next(sub for top in found.root.subkeys for sub in top.subkeys if sub.name == "Hivex")
    assert [(value.name, value.data) for value in key.values] == [("Big", data), ("other", b"\5\0\0\0")]
    again = write_hive(found)
    assert check_hive(again).findings == ()
    assert flat(read_hive(again)) == flat(found)


@pytest.mark.parametrize("names", [("LOG1", "LOG2"), ("LOG2", "LOG1"), ("LOG2",)])
@pytest.mark.parametrize("lost", [False, True])
def test_logs_make_of_a_hive_what_windows_made_of_it(names: tuple[str, ...], lost: bool) -> None:
    hives = shared("data/hives")
    dirty = bytearray((hives / "yarp_NewDirtyHive").read_bytes())
    windows = (hives / "yarp_RecoveredHive_Windows10").read_bytes()
    logs = [(hives / f"yarp_NewDirtyHive.{name}").read_bytes() for name in names]
    if lost:
        dirty[:512] = bytes(512)
    recovered = recover_hive(bytes(dirty), logs)
    assert recovered.applied == tuple({"LOG1": 1, "LOG2": 3}[name] for name in names)
    assert (
        recovered.notes
        == (f"log {names.index('LOG2') + 1} gives the base block, as that of the hive is broken",) * lost
    )
    # Windows has written once more since: its sequence numbers, and the checksum over them, are others.
    assert recovered.data[4096:] == windows[4096:]
    assert {at for at in range(4096) if recovered.data[at] != windows[at]} <= {4, 8, *range(508, 512)}
    assert struct.unpack_from("<II", recovered.data, 4) == (5, 5)
    assert check_hive(recovered.data).findings == ()
    assert read_hive(recovered.data).root == read_hive(windows).root


def test_a_real_differencing_hive_over_a_hive(tmp_path: Path) -> None:
    """Only its structure: the hive is not the one below it in the image."""
    delta = read_hive((shared("data/hives") / "yarp_System_Delta").read_bytes())
    services = tuple(Key(f"service{number:03}", (dword("Start", 3),), (), TIME) for number in range(300))
    control = Key("ControlSet001", (), (Key("Services", (), services, TIME), Key("Control", (), (), TIME)), TIME)
    base = Hive(Key("SYSTEM", (), (control, Key("Select", (dword("Current", 1),), (), TIME)), TIME), TIME)
    report = MergeReport()
    found = merge_delta(base, delta, report)
    data = write_hive(found)
    assert check_hive(data).findings == ()
    assert report.unbacked.count > 400  # it says itself that the base is another
    there = {path.upper() for path, _ in found.root.walk()}
    gone = {path.upper() for path, key in delta.root.walk() if key.layer & 3 == 1}
    assert len(gone) == 2
    assert not there & gone
    assert {path.upper() for path, key in delta.root.walk()} - gone <= there
    assert {path.upper() for path, _ in base.root.walk()} <= there
    assert not any(value.tombstone for _, key in found.root.walk() for value in key.values)
    path = tmp_path / "hive"
    path.write_bytes(data)
    assert len(re.findall("<node ", run("hivexml", str(path)))) == len(there)
    assert "orrupt" not in run("regfinfo", str(path))
    assert path.read_bytes() == data
