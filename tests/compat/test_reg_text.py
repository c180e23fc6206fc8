"""hivexregedit writes .reg texts that say what we meant, and makes hives of ours that hold it.

A program that reads a .reg file as regedit does: each text crosses once in each direction.
"""

from __future__ import annotations

import importlib.util
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest

from tests.compat.test_hives import ENVIRONMENT, Values, flat
from tests.compat.tools import missing, shared, tool
from tests.compat.wine.install import environment
from tests.compat.wine.wine import need_python, windows_path
from tests.unit.regf.samples import TIME, crowd, rich, small
from wclayer.regf.edits import apply_edits
from wclayer.regf.minimal import minimal_hive
from wclayer.regf.model import Hive, Key, LayerSemantics, RegType
from wclayer.regf.names import key_order
from wclayer.regf.reader import read_hive
from wclayer.regf.reg_print import encode_reg, print_reg
from wclayer.regf.reg_text import parse_reg
from wclayer.regf.writer import write_hive

PREFIX: Final = "HKEY_LOCAL_MACHINE\\SOFTWARE"
HIVES: Final = {"small": small(), "rich": rich(), "rich-1.3": rich(3), "crowd": crowd(1501)}


def hivexregedit(*arguments: str) -> bytes:
    # Perl writes characters beyond ASCII as UTF-8 if it is told to.
    environment = {**ENVIRONMENT, "PERL_UNICODE": "SD"}
    command = [tool("hivexregedit"), *arguments]
    return subprocess.run(command, capture_output=True, env=environment, check=True).stdout


def content(key: Key) -> dict[str, Values]:
    """The keys below, each with its values in the order of their names, which is what hivexregedit writes."""
    return {path: sorted(values) for path, values in flat(Hive(key)).items()}


@pytest.mark.parametrize("name", HIVES)
def test_what_hivexregedit_exports_is_what_was_written(name: str, tmp_path: Path) -> None:
    path = tmp_path / "hive"
    path.write_bytes(write_hive(HIVES[name]))
    text = hivexregedit("--export", "--prefix", PREFIX, str(path), "\\")
    root = apply_edits(Key(""), parse_reg(text, source="exported"), TIME)
    found = root.find(PREFIX)
    assert found is not None
    assert content(found) == content(HIVES[name].root)


@pytest.mark.parametrize(
    "name",
    ["hivex_rlenvalue", "regipy_BCD", "regipy_SAM", "yarp_BigDataHive", "yarp_ManySubkeysHive", "yarp_UnicodeHive"],
)
def test_a_real_hive_is_the_same_in_both_texts(name: str, tmp_path: Path) -> None:
    data = (shared("data/hives") / name).read_bytes()
    (tmp_path / "hive").write_bytes(data)
    hive = read_hive(data)
    theirs = hivexregedit("--export", "--prefix", PREFIX, str(tmp_path / "hive"), "\\")
    ours = b"".join(encode_reg(print_reg(hive.root, PREFIX)))
    for text in (theirs, ours):
        found = apply_edits(Key(""), parse_reg(text, source="exported"), TIME).find(PREFIX)
        assert found is not None
        assert content(found) == content(hive.root)


def test_windows_own_differencing_hive_is_printed_as_its_changes() -> None:
    hive = read_hive((shared("data/hives") / "yarp_System_Delta").read_bytes())
    edits = parse_reg(b"".join(encode_reg(print_reg(hive.root, PREFIX))), source="exported")
    for name in PREFIX.split("\\"):
        edits = edits.subkeys[key_order(name)]
    counts = dict.fromkeys(("keys", "gone", "anew", "values gone"), 0)
    pairs = [(hive.root, edits)]
    while pairs:
        key, changes = pairs.pop()
        assert changes.make == (key.semantics is not LayerSemantics.TOMBSTONE)
        assert list(changes.values.values()) == [replace(v, type=0) if v.tombstone else v for v in key.values]
        counts["keys"] += 1
        counts["gone"] += changes.delete and not changes.make
        counts["anew"] += changes.delete and changes.make
        counts["values gone"] += sum(value.tombstone for value in key.values)
        assert len(changes.subkeys) == len(key.subkeys)
        pairs += [(sub, changes.subkeys[key_order(sub.name)]) for sub in key.subkeys]
    # Keys that lie in a superseding one do not go once more.
    assert (counts["keys"], counts["gone"], counts["values gone"]) == (586, 2, 3)
    assert 0 < counts["anew"] < 62


@pytest.mark.parametrize("name", HIVES)
@pytest.mark.filterwarnings("ignore")  # python-registry's own
def test_hivexregedit_merges_what_is_printed(name: str, tmp_path: Path) -> None:
    if importlib.util.find_spec("Registry") is None:
        missing("python-registry")
    from Registry import Registry  # type: ignore[import-not-found,import-untyped,unused-ignore]

    path, text = tmp_path / "hive", tmp_path / "x.reg"
    path.write_bytes(minimal_hive(TIME, minor=3))  # hivex makes no big data, which later versions want
    text.write_bytes(b"".join(encode_reg(print_reg(HIVES[name].root, PREFIX), utf8=True)))
    hivexregedit("--merge", "--prefix", PREFIX, str(path), str(text))
    found: dict[str, Values] = {}

    def walk(key: Any, path: str) -> None:
        values = [("" if v.name() == "(default)" else v.name(), v.value_type(), v.raw_data()) for v in key.values()]
        # Of big-endian numbers in the value itself it gives the bytes of another field.
        found[path] = sorted((n, k, b"\1\2\3\4" if k == RegType.DWORD_BIG_ENDIAN else d) for n, k, d in values)
        for sub in sorted(key.subkeys(), key=lambda sub: key_order(sub.name())):
            walk(sub, f"{path}\\{sub.name()}")

    walk(Registry.Registry(str(path)).root(), "")
    assert found == content(HIVES[name].root)


VERSION_4: Final = (
    rb"""REGEDIT4

[HKEY_CURRENT_USER\Software\wclayer-test]
@="the default"
"path"=hex(2):25,50,25,00
"path without its NUL"=hex(2):25,50,25
"two"=hex(7):61,00,62,\
  00,00
"two without their NULs"=hex(7):61,00,62
"text"=hex(1):61,62
"bytes"=hex:61,e4
"number"=dword:1
"nothing"=hex(2):
"umlaut \xe4"="\xe4 and \x80"
"umlauts"=hex(2):e4,80,00
""".replace(rb"\xe4", b"\xe4")
    .replace(rb"\x80", b"\x80")
    .replace(b"\n", b"\r\n")
)


def test_version_4_is_what_regedit_makes_of_it(tmp_path: Path) -> None:
    """Wine's regedit, whose own export is of version 5.00; its code page is 1252."""
    need_python()
    (tmp_path / "4.reg").write_bytes(VERSION_4)
    for option, *rest in (["/S", "4.reg"], ["/E", "5.reg", "HKEY_CURRENT_USER\\Software\\wclayer-test"]):
        place = windows_path(tmp_path / rest[0])
        command = ["wine", "regedit", option, place, *rest[1:]]
        subprocess.run(command, input=b"", env=environment(), capture_output=True, check=True)
    command = ["wine", "reg", "delete", "HKCU\\Software\\wclayer-test", "/f"]
    subprocess.run(command, input=b"", env=environment(), capture_output=True, check=True)
    theirs = parse_reg((tmp_path / "5.reg").read_bytes(), source="5.reg")
    ours = parse_reg(VERSION_4, source="4.reg", code_page=1252)
    values = []
    for root in (theirs, ours):
        key = next(iter(next(iter(next(iter(root.subkeys.values())).subkeys.values())).subkeys.values()))
        values.append({value.name: (int(value.type), value.data) for value in key.values.values()})
    assert values[0] == values[1]
    assert len(values[0]) == 11
