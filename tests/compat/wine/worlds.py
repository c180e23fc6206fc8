"""What the tests of Windows' commands have in common: runs under wine, and what there is before them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.compat.wine import standin, wine
from tests.tars import BASE, M, build, directory
from tests.windows.layers import BOOT, CONFIG, HIVES, TIME
from wclayer.regf.bcd import minimal_bcd
from wclayer.regf.minimal import minimal_hive


@dataclass
class Batch:
    """Command lines for one process of wine's, each with its own state of the stand-in unless it names another."""

    folder: Path
    dll: Path
    jobs: list[dict[str, Any]] = field(default_factory=list)

    def add(
        self,
        arguments: Sequence[str | Path],
        state: Path,
        fail: str = "",
        *,
        log: Path | None = None,
        host: dict[str, Any] | None = None,
    ) -> int:
        """The number of the job. log: a folder for the calls, if not that of the state; host: see native.py."""
        shown = [standin.windows_path(item) if isinstance(item, Path) else item for item in arguments]
        environment = standin.environment(state, fail)
        if log is not None:
            environment["WCLAYER_STANDIN_LOG"] = standin.environment(log)["WCLAYER_STANDIN_LOG"]
        for place in (state, log or state):
            place.mkdir(parents=True, exist_ok=True)
        self.jobs.append({"arguments": shown, "environment": environment, "host": host or {}})
        return len(self.jobs) - 1

    def run(self) -> list[dict[str, Any]]:
        jobs, results = self.folder / "jobs.json", self.folder / "results.json"
        jobs.write_text(json.dumps(self.jobs), encoding="utf-8")
        self.jobs = []
        native = Path(__file__).with_name("native.py")
        done = wine.run_python(
            *(standin.windows_path(p) for p in (native, self.dll)),
            "jobs",
            *(standin.windows_path(p) for p in (jobs, results)),
        )
        assert done.returncode == 0, done.stdout + done.stderr
        found: list[dict[str, Any]] = json.loads(results.read_text(encoding="utf-8"))
        assert not any(result["token"] for result in found)  # privileges are given back
        return found


# --- what there is before ---------------------------------------------------------


def write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def base_folder(folder: Path, *, hives: bool = True, vm: bool = False, bcd: bool = True) -> Path:
    """A folder as a base layer has it before Windows has seen it."""
    write(folder / "Files/hello.txt", b"hello")
    if hives:
        for name in HIVES:
            write(folder / CONFIG / name, minimal_hive(TIME))
    if vm:
        write(folder / BOOT / "other", b"x")
        if bcd:
            write(folder / BOOT / "BCD", minimal_bcd(TIME))
    return folder


def processed_folder(folder: Path) -> Path:
    """One as Windows leaves it."""
    base_folder(folder)
    for name in ("DefaultUser", "Sam", "Security", "Software", "System"):
        write(folder / f"Hives/{name}_Base", minimal_hive(TIME))
    for name in ("blank-base.vhdx", "blank.vhdx"):
        write(folder / name, b"vhdx")
    write(folder / "layout", b"vhd-with-hives\n")
    return folder


def child_folder(folder: Path) -> Path:
    """A non-base layer as Windows leaves it."""
    write(folder / "Files/own.txt", b"own")
    for name in ("DefaultUser", "Sam", "Security", "Software", "System"):
        write(folder / f"Hives/{name}_Delta", minimal_hive(TIME))
    return folder


def base_tar(*, vm: bool = False) -> bytes:
    places = ("Files/Windows", "Files/Windows/System32", CONFIG)
    members = [*BASE, *map(directory, places), *(M(f"{CONFIG}/{name}", minimal_hive(TIME)) for name in HIVES)]
    members += [M("Files/dir/f", b"data"), M("Files/dir/g", type="1", link="Files/dir/f")]
    if vm:
        parts = BOOT.split("/")
        members += [directory("/".join(parts[: n + 1])) for n in range(len(parts))]
        members += [M(f"{BOOT}/BCD", minimal_bcd(TIME))]
    return build(members)


def child_tar() -> bytes:
    return build(
        [
            *BASE,
            directory("Hives"),
            *(M(f"Hives/{name}_Delta", minimal_hive(TIME)) for name in ("Software", "System")),
            M("Files/dir/new", b"new"),
            M("Files/dir/.wh.f"),
        ]
    )


@dataclass
class World:
    """The folder that the vectors call D:\\w, with what their commands want there."""

    root: Path

    def make(self, name: str) -> None:
        layers = self.root / "L"
        layers.mkdir(parents=True, exist_ok=True)
        if name == "makebaselayer":
            base_folder(layers / "base", hives=False)
        elif name == "makebaselayer-again":
            base_folder(layers / "base")
        elif name == "makebaselayer-uvm":
            base_folder(layers / "base3", hives=False, vm=True)
        elif name == "makebaselayer-uvm-without-bcd":
            base_folder(layers / "bad", hives=False, vm=True, bcd=False)
        elif name.startswith("import"):
            write(self.root / "base.tar", base_tar())
            write(self.root / "child.tar", child_tar())
        if not name.startswith("makebaselayer"):
            processed_folder(layers / "p0")
            child_folder(layers / "p1")
        if name.startswith(("mount", "unmount", "remove")):
            write(layers / "scr/sandbox.vhdx", b"vhdx")
            write(layers / "rm/sandbox.vhdx", b"vhdx")
            (layers / "m").mkdir()

    def arguments(self, command: Sequence[str]) -> list[str | Path]:
        """The vector's command line, in this folder."""
        assert command[0] == "wclayer"
        return [self.root.joinpath(*item[5:].split("\\")) if item.startswith("D:\\w") else item for item in command[1:]]

    def normal(self, call: dict[str, Any]) -> dict[str, Any]:
        """A call as the vectors would write it."""
        text = json.dumps(call).replace(json.dumps(standin.windows_path(self.root))[1:-1], "D:\\\\w")
        found: dict[str, Any] = json.loads(text)
        return found

    def snapshot(self) -> dict[str, bytes | None]:
        return {
            str(path.relative_to(self.root)): path.read_bytes() if path.is_file() else None
            for path in sorted(self.root.rglob("*"))
        }
