"""The calls that hcsshim made, made again: the stand-in writes them down in the same shape, and answers the same."""

from __future__ import annotations

import ctypes
import json
from ctypes import byref, c_uint64
from pathlib import Path
from typing import Any, Final

import pytest

from tests.compat.wine.standin import calls
from tests.compat.wine.standin.abi import DriverInfo, Parent

VECTORS: Final = Path(__file__).parents[3] / "data" / "vectors" / "vmcompute.json"
ATTRIBUTES: Final = {True: b"\x10\0\0\0", False: b"\x20\0\0\0"}  # of directories, of files


def vectors() -> list[Any]:
    found = json.loads(VECTORS.read_text("utf-8"))
    kept = []
    for vector in found:
        # Hives are made with offreg.dll, which is not the stand-in's.
        vector["calls"] = [call for call in vector["calls"] if not call["call"].startswith("OR")]
        if vector["calls"]:
            kept.append(vector)
    return kept


def moved(value: Any, folder: Path) -> Any:
    """The same, in the test's folder."""
    if isinstance(value, dict):
        return {key: moved(inner, folder) for key, inner in value.items()}
    if isinstance(value, list):
        return [moved(inner, folder) for inner in value]
    return value.replace("D:\\w\\L", str(folder)).replace("%TEMP%", str(folder)) if isinstance(value, str) else value


def replay(dll: ctypes.CDLL, call: dict[str, Any]) -> None:
    """Make the call that was written down."""
    arguments: list[Any] = []
    for key, value in call.items():
        if key == "info":
            arguments.append(byref(DriverInfo(value["flavour"], value["pad"], value["home"])))
        elif key == "parents":
            array = (Parent * len(value))()
            for parent, one in zip(array, value, strict=True):
                parent.id[:] = bytes.fromhex(one["guid_bytes"])
                parent.flags, parent.path = one["flags"], one["path"]
            arguments += [array if value else None, len(value)]
        elif key == "length":
            arguments.append(byref(c_uint64(value)))
        elif key == "buffer":
            arguments.append(ctypes.create_unicode_buffer(call["length"]) if value else None)
        elif key not in {"call", "hr"}:
            arguments.append(value)
    if call["call"] == "NameToGuid":
        arguments.append((ctypes.c_uint8 * 16)())
    getattr(dll, call["call"])(*arguments)


def set_up(folder: Path, vector: dict[str, Any]) -> None:
    """What was there before: a base layer in each folder, and the transport folder."""
    for call in vector["calls"]:
        imported = call["call"] == "ImportLayer"
        paths = [call[key] for key in ("id", "path") if key in call and not imported]
        paths += [parent["path"] for parent in call.get("parents", ())]
        for path in paths:
            plain = Path(path.removeprefix("\\\\?\\").removesuffix("\\UtilityVM"))
            config = plain / "Files" / "Windows" / "System32" / "config"
            boot = plain / "UtilityVM" / "Files" / "EFI" / "Microsoft" / "Boot"
            for place in (config, boot):
                place.mkdir(parents=True, exist_ok=True)
            for hive in ("DEFAULT", "SAM", "SECURITY", "SOFTWARE", "SYSTEM"):
                (config / hive).write_bytes(b"regf")
            (boot / "BCD").write_bytes(b"regf")
    names = [Path(name) for name in vector.get("transport_folder", ())]
    directories = [name for name in names if name.with_name(name.name + ".$wcidirs$") in names]
    for name in names:
        if name in directories:
            name.mkdir(parents=True, exist_ok=True)
        else:
            name.parent.mkdir(parents=True, exist_ok=True)
            name.write_bytes(ATTRIBUTES[name.name.endswith("$")])


@pytest.mark.parametrize("vector", vectors(), ids=lambda vector: vector["name"])
def test_a_vector(dll: ctypes.CDLL, clean: Path, monkeypatch: pytest.MonkeyPatch, vector: Any) -> None:
    vector = moved(vector, clean)
    set_up(clean, vector)
    if vector["name"] == "unmount":
        for name in ("ActivateLayer", "PrepareLayer"):
            first = vector["calls"][0]
            made = {"call": name, "info": first["info"], "id": first["id"]}
            replay(dll, {**made, "parents": []} if name == "PrepareLayer" else made)
    before = len(calls(clean))
    monkeypatch.setenv("WCLAYER_STANDIN_FAIL", vector["fail"] or "")
    for call in vector["calls"]:
        replay(dll, call)
    assert calls(clean)[before:] == vector["calls"]
