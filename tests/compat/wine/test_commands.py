"""The commands of Windows, under wine with a stand-in for its host compute service.

Each makes the calls that hcsshim's own wclayer.exe made (tests/data/vectors/vmcompute.json), in its order, with its
paths and descriptors; each call fails in turn, and what is left is as it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.compat.wine import standin
from tests.compat.wine.worlds import Batch, World, base_tar, write
from tests.conformance.vectors import load

# --- the same calls as hcsshim's ----------------------------------------------------

VECTORS = {vector["name"]: vector for vector in load("vmcompute")}

# Where we do something else on purpose, and why.
OWN_HIVES = "offreg.dll's hives are ours, made from nothing, so that no library of Windows is asked for them"
KEPT = "hives that are there and valid are kept: hcsshim saves over them, and fails"
CHECKED_FIRST = "all is checked before anything is made"
BESIDE = "the transport folder lies beside the layer, on its volume, where there is room for it"
EXIT_CODES = {
    "makebaselayer-again": (0, KEPT),
    "makebaselayer-uvm-without-bcd": (12, CHECKED_FIRST),
    "import-base-process-fails": (13, "exit codes say what went wrong"),
    "create-no-parent": (2, "exit codes say what went wrong"),
    "mount-prepare-fails": (14, "exit codes say what went wrong"),
    "mount-target": (17, "exit codes say what went wrong"),
    "export-base": (0, "wine has no BackupRead, the stand-in has"),
    "export-child": (0, "wine has no BackupRead, the stand-in has"),
}
MORE_CALLS = {
    "makebaselayer-again": ([{"call": "ProcessBaseImage", "path": "\\\\?\\D:\\w\\L\\base", "hr": "0x00000000"}], KEPT),
}
# wine fails this call in the vector; the stand-in is told to.
FAILING = {"mount-target": "SetVolumeMountPointW=0x80070078"}


def expected_calls(vector: dict[str, Any]) -> list[dict[str, Any]]:
    calls = [call for call in vector["calls"] if not call["call"].startswith("OR")]  # OWN_HIVES
    return calls + MORE_CALLS.get(vector["name"], ([], ""))[0]


def without_folder(call: dict[str, Any]) -> dict[str, Any]:
    """BESIDE"""
    return {key: value for key, value in call.items() if key != "folder"}


def test_the_calls_are_hcsshim_s(batch: Batch) -> None:
    worlds: dict[str, World] = {}
    for name, vector in VECTORS.items():
        world = worlds[name] = World(batch.folder / name / "w")
        world.make(name)
        state = batch.folder / name / "state"
        if name == "unmount":
            before = VECTORS["mount"]["command"]
            batch.add(world.arguments(before), state, log=batch.folder / name / "before")
        batch.add(world.arguments(vector["command"]), state, FAILING.get(name, vector["fail"] or ""))
    results = batch.run()
    numbers = {name: number + (number > list(VECTORS).index("unmount")) for number, name in enumerate(VECTORS)}
    numbers["unmount"] += 1
    for name, vector in VECTORS.items():
        result, state = results[numbers[name]], batch.folder / name / "state"
        found = [worlds[name].normal(call) for call in standin.calls(state)]
        assert list(map(without_folder, found)) == list(map(without_folder, expected_calls(vector))), (name, result)
        assert standin.violations(state) == [], name
        assert result["exit"] == EXIT_CODES.get(name, (vector["exit"], ""))[0], (name, result)
        assert result["error"].count("\n") == (result["exit"] != 0), (name, result)


# --- each call fails in turn ----------------------------------------------------------

CODES = {0x80070005: 14, 0x80070003: 12, 0x80070050: 13, 0x800703F1: 10, 0x80070020: 15, 0x8037011B: 15}


@dataclass
class Command:
    """A command that asks the service: what it is given, and what is there before, besides the world of `like`."""

    like: str
    arguments: Sequence[str]
    before: Sequence[Sequence[str]] = ()
    makes: str | None = None  # the layer folder that must not be there after a failure
    with_vm: bool = False


COMMANDS = {
    "makebaselayer": Command("makebaselayer-uvm", ["makebaselayer", "L/base3"]),
    "import base": Command("import-base", ["import", "-i", "vm.tar", "L/new"], makes="L/new"),
    "import child": Command(
        "import-child", ["import", "-l", "L/p1", "-l", "L/p0", "-i", "child.tar", "L/new"], makes="L/new"
    ),
    "create": Command("create", ["create", "-l", "L/p1", "-l", "L/p0", "L/new"], makes="L/new"),
    "mount": Command("mount", ["mount", "-l", "L/p1", "-l", "L/p0", "L/scr", "L/m"]),
    "unmount": Command("mount", ["unmount", "L/scr"], before=[["mount", "-l", "L/p1", "-l", "L/p0", "L/scr"]]),
    "remove": Command("remove", ["remove", "L/rm"]),
    "export base": Command("export-base", ["export", "-o", "o.tar", "L/p0"]),
    "export child": Command("export-child", ["export", "-l", "L/p0", "-o", "o.tar", "L/p1"]),
    "process": Command(
        "import-base", ["process", "L/plain"], before=[["import", "--plain", "-i", "vm.tar", "L/plain"]]
    ),
}


def arguments_in(world: World, arguments: Sequence[str]) -> list[str | Path]:
    return [world.root / item if "/" in item or "." in item else item for item in arguments]


def make_world(folder: Path, command: Command) -> World:
    world = World(folder)
    world.make(command.like)
    write(world.root / "vm.tar", base_tar(vm=True))
    return world


HALF = ("CreateSandboxLayer", "ExportLayer", "ImportLayer", "ProcessBaseImage", "ProcessUtilityImage")


@dataclass
class Failure:
    """A run in which one call has failed, and the second try after it."""

    world: World
    state: Path
    call: str
    code: int
    before: dict[str, bytes | None]
    first: int
    second: int = -1
    after: dict[str, bytes | None] = field(default_factory=dict)
    held: list[Path] = field(default_factory=list)


@pytest.fixture(scope="module")
def failures(tmp_path_factory: pytest.TempPathFactory, dll: Path) -> dict[str, list[tuple[Failure, Any, Any]]]:
    """By command: each failure with what the first and the second run said. Three processes of wine's in all."""
    folder = tmp_path_factory.mktemp("failures")
    batch = Batch(folder, dll)

    def add(name: str, place: str, fail: str = "") -> tuple[World, Path, int]:
        command = COMMANDS[name]
        world, state = make_world(folder / f"{name} {place}", command), folder / f"{name} {place} state"
        for number, line in enumerate(command.before):
            batch.add(arguments_in(world, line), state, log=folder / f"{name} {place} before {number}")
        return world, state, batch.add(arguments_in(world, command.arguments), state, fail)

    good = {name: add(name, "good") for name in COMMANDS}
    results = batch.run()
    found: dict[str, list[Failure]] = {}
    for name, (_, state, job) in good.items():
        assert results[job]["exit"] == 0, (name, results[job])
        assert standin.violations(state) == [], name
        calls = [call["call"] for call in standin.calls(state)]
        points = [(call, calls[: at + 1].count(call), half) for at, call in enumerate(calls) for half in ("", "!")]
        points += [("SetVolumeMountPointW", 1, "")] if name == "mount" else []
        found[name] = []
        for number, (call, count, half) in enumerate(points):
            if half and call not in HALF:
                continue
            code = list(CODES)[number % len(CODES)]
            world, place, tried = add(name, f"{number}", f"{call}={code:#x}{half}@{count}")
            found[name].append(Failure(world, place, call, code, world.snapshot(), tried))
    first = batch.run()
    for name, tries in found.items():
        for failure in tries:
            failure.after = failure.world.snapshot()
            failure.held = held(failure.state)
            failure.second = batch.add(arguments_in(failure.world, COMMANDS[name].arguments), failure.state)
    second = batch.run()
    return {name: [(f, first[f.first], second[f.second]) for f in tries] for name, tries in found.items()}


def held(state: Path) -> list[Path]:
    """What the stand-in still has active, prepared or mounted."""
    kinds = ("active", "prepared", "mounts")
    return [path for kind in kinds for path in (state / "state" / kind).rglob("*") if path.is_file()]


@pytest.mark.parametrize("name", COMMANDS)
def test_each_call_fails_in_turn(failures: dict[str, list[tuple[Failure, Any, Any]]], name: str) -> None:
    assert failures[name]
    for failure, first, second in failures[name]:
        where = (name, failure.call, hex(failure.code), first, second)
        code = 15 if failure.call == "SetVolumeMountPointW" else CODES[failure.code]
        if failure.call != "SetVolumeMountPointW":
            assert first["exit"] == code, where
            assert failure.call in first["error"], where
        assert first["exit"] != 0, where
        assert first["error"].count("\n") == 1, where
        assert standin.violations(failure.state) == [], where
        # All is as it was, but for hives that were made, which are right, and what could not be taken back.
        changed = {
            path
            for path in {*failure.before, *failure.after}
            if failure.before.get(path) != failure.after.get(path)
            or (path in failure.before) != (path in failure.after)
        }
        if name == "process":
            changed = {path for path in changed if not path.startswith("L/plain")}
        if name == "makebaselayer":
            changed = {path for path in changed if "/Files/Windows" not in path and not path.endswith(".bak")}
        assert changed == set(), where
        if name != "unmount":  # which is to undo what is held
            assert failure.held == [], where
        assert second["exit"] == 0, where
