"""More programs that read our hives as they were meant: hivexregedit, regipy, impacket; each on a copy."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
from typing import Any

import pytest

from tests.compat.test_hives import Values, given  # noqa: F401 # a fixture
from tests.compat.tools import missing, tool
from wclayer.regf.model import RegType


def test_hivexregedit_exports_all_keys_and_values(given: tuple[str, dict[str, Values]]) -> None:  # noqa: F811
    path, content = given
    environment = {**os.environ, "LC_ALL": "C.UTF-8"}
    command = [tool("hivexregedit"), "--export", path, "\\"]
    out = subprocess.run(command, capture_output=True, env=environment, check=True).stdout
    found: dict[str, Values] = {}
    for raw in out.splitlines()[1:]:
        try:
            line = raw.decode()
        except UnicodeDecodeError:
            line = raw.decode("latin-1")  # where all of its characters are, it writes them so
        if line.startswith("["):
            values = found[line[1:-1].rstrip("\\")] = []
        elif line:
            value = re.fullmatch(r'(?:@|"((?:[^"\\]|\\.)*)")=(?:dword:(\w{8})|hex\((\w+)\):(.*))', line)
            assert value is not None, line
            name = re.sub(r"\\(.)", r"\1", value[1] or "")
            if value[2]:
                values.append((name, RegType.DWORD, int(value[2], 16).to_bytes(4, "little")))
            else:
                values.append((name, int(value[3], 16), bytes.fromhex(value[4].replace(",", ""))))
    assert {key: sorted(values) for key, values in found.items()} == {
        key: sorted(values) for key, values in content.items()
    }


@pytest.mark.filterwarnings("ignore")  # its own
def test_regipy_reads_all_keys_and_values(given: tuple[str, dict[str, Values]]) -> None:  # noqa: F811
    if importlib.util.find_spec("regipy") is None:
        missing("regipy")
    from regipy.registry import RegistryHive  # type: ignore[import-untyped,unused-ignore]

    path, content = given
    found: dict[str, list[tuple[str, Any, Any]]] = {}

    def walk(key: Any, path: str) -> None:
        found[path] = [("" if v.name == "(default)" else v.name, v.value_type, v.value) for v in key.iter_values()]
        for sub in key.iter_subkeys() or ():
            walk(sub, f"{path}\\{sub.name}")

    walk(RegistryHive(path).root, "")  # type: ignore[no-untyped-call,unused-ignore]
    assert len(found) == len(content)
    for key, values in content.items():
        # Latin-1 names it takes for UTF-8.
        if any(0x80 <= ord(char) <= 0xFF for char in key):
            continue
        assert len(found[key]) == len(values)
        for (name, kind, data), (got_name, got_kind, got) in zip(values, found[key], strict=True):
            if all(ord(char) < 0x80 or ord(char) > 0xFF for char in name):
                assert got_name == name
            assert got_kind == f"REG_{RegType(kind).name}"
            if kind in (RegType.SZ, RegType.EXPAND_SZ):
                assert got == data.decode("utf-16-le").rstrip("\0")
            elif kind in (RegType.DWORD, RegType.QWORD):
                assert got == int.from_bytes(data, "little")
            elif kind == RegType.MULTI_SZ:
                assert got == data.decode("utf-16-le").split("\0")[:-2]
            elif kind == RegType.BINARY and len(data) > 4:
                assert got in (data, data[:128].hex())  # in its own way of saying it


@pytest.mark.filterwarnings("ignore")  # its own
def test_impacket_finds_all_keys_by_hash_and_reads_their_values(
    given: tuple[str, dict[str, Values]],  # noqa: F811
) -> None:
    if importlib.util.find_spec("impacket") is None:
        missing("impacket")
    from impacket import winregistry  # type: ignore[import-untyped,unused-ignore]

    path, content = given
    registry = winregistry.saveRegistryParser(path)
    try:
        for key, values in content.items():
            # In a list of lists it finds no key, and other names than ASCII's it cannot read.
            if not key.isascii() or re.search(r"\\key [0-9]", key):
                continue
            found = registry.findKey(key) if key else registry.rootKey
            assert found is not None, key
            names = [name.decode("latin-1") for name in registry.enumValues(found)]
            assert len(names) == len(values)
            for name, kind, data in values:
                if name and name.isascii() and "\\" not in name and len(data) <= 16344:
                    got = registry.getValue(f"{key}\\{name}")
                    assert got is not None
                    assert got[0] == kind
                    if len(data) > 4:
                        assert got[1][: len(data)] == data
    finally:
        registry.close()
