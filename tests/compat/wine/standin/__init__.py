"""A stand-in for what wine lacks of Windows: vmcompute.dll, BackupRead and its kin, volume mount points.

It is written from what hcsshim's source and Microsoft's documentation say of those
calls, and checks its callers; no Windows has been compared with it (standin.h). `build`
compiles it, `environment` says what the program under test is to find, `calls` and
`violations` read what it wrote down. `abi` has its functions for ctypes, and runs in
wine, as do the tests of the stand-in itself (`inside_standin`).
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any, Final

from tests.compat.tools import tool

__all__ = ["build", "calls", "environment", "set_tombstones", "violations", "windows_path"]

COMPILER: Final = "x86_64-w64-mingw32-gcc"
SOURCES: Final = Path(__file__).parent
_FNV_OFFSET: Final = 0xCBF29CE484222325
_FNV_PRIME: Final = 0x100000001B3


def build(folder: Path) -> Path:
    """Compile the stand-in: the path of `standin.dll` in `folder`."""
    dll = folder / "standin.dll"
    command = [tool(COMPILER), "-Wall", "-Wextra", "-Werror", "-O1", "-shared", "-o", str(dll)]
    command += [str(path) for path in sorted(SOURCES.glob("*.c"))] + [str(SOURCES / "standin.def")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return dll


def windows_path(path: Path) -> str:
    """What wine calls a path of this host; in wine, the path."""
    return str(path) if os.name == "nt" else "Z:" + str(path).replace("/", "\\")


def environment(folder: Path, fail: str = "", *, win32_log: bool = False) -> dict[str, str]:
    """The variables of standin.h, with state and log in `folder`; win32_log: kernel32's calls go into the log too."""
    log = windows_path(folder / "calls.jsonl")
    return {
        "WCLAYER_STANDIN_STATE": windows_path(folder / "state"),
        "WCLAYER_STANDIN_LOG": log,
        "WCLAYER_STANDIN_WIN32_LOG": log if win32_log else "",
        "WCLAYER_STANDIN_FAIL": fail,
    }


def _lines(folder: Path) -> list[dict[str, Any]]:
    log = folder / "calls.jsonl"
    return [json.loads(line) for line in log.read_text("utf-8").splitlines()] if log.exists() else []


def calls(folder: Path) -> list[dict[str, Any]]:
    """The calls, in order, in the shape of tests/data/vectors/vmcompute.json."""
    return [line for line in _lines(folder) if "call" in line]


def violations(folder: Path) -> list[str]:
    """What Windows would not let pass, or would do harm with."""
    return [line["violation"] for line in _lines(folder) if "violation" in line]


def set_tombstones(folder: Path, layer: str, names: list[str]) -> None:
    r"""Tell ExportLayer what the layer (a Windows path in ASCII) deletes: `\path` under Files."""
    number = _FNV_OFFSET
    for byte in layer.removeprefix("\\\\?\\").rstrip("\\").upper().encode("utf-16-le"):
        number = (number ^ byte) * _FNV_PRIME % (1 << 64)
    place = folder / "state" / "tombstones"
    place.mkdir(parents=True, exist_ok=True)
    (place / f"{number:016x}").write_text("".join(f"{name}\n" for name in names), "utf-8")
