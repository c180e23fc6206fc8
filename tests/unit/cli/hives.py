"""Hives, layers and an image of them, for the tests of `wclayer hive`, and a hand to run it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.images import layout
from tests.tars import M, build, directory
from tests.unit.regf.logs import changes, dirty, log
from tests.unit.regf.samples import TIME
from wclayer.cli.main import cli
from wclayer.regf.minimal import minimal_hive
from wclayer.regf.model import Hive, Key, RegType, Value, dword, sz
from wclayer.regf.reader import read_hive
from wclayer.regf.writer import write_hive

CONFIG = "Files/Windows/System32/config"
INHERIT = 0x80
MULTI = Value("List", RegType.MULTI_SZ, "one\0two\0\0".encode("utf-16-le"))
VALUES = (
    sz("Version", "1.0"),
    sz("", "the default"),
    dword("Level", 42),
    Value("Blob", RegType.BINARY, b"\1\2\3"),
    MULTI,
    Value("Path", RegType.EXPAND_SZ, "%A%\0".encode("utf-16-le")),
    Value("Big", RegType.QWORD, (1 << 40).to_bytes(8, "little")),
    Value("Swapped", RegType.DWORD_BIG_ENDIAN, b"\0\0\1\0"),
    Value("Odd", RegType.DWORD, b"\1\2\3"),
    Value("Half", RegType.SZ, b"a\0b"),
    Value("Unending", RegType.SZ, "no NUL".encode("utf-16-le")),
    Value("Own", 0x12345, b"\xff"),
)
ACME = Key("Acme", VALUES, (Key("Settings", (sz("a", "b"),), (), TIME), Key("empty", (), (), TIME)), TIME)
SOFTWARE = write_hive(Hive(Key("ROOT", (), (ACME,), TIME), TIME))
SYSTEM = write_hive(
    Hive(
        Key("ROOT", (), (Key("Select", (dword("Current", 2),), (), TIME), Key("ControlSet002", (), (), TIME)), TIME),
        TIME,
    )
)
DELTA_KEYS = (
    Key("Acme", (sz("Version", "2.0"), Value("Blob", 0, tombstone=True)), (), TIME, layer=INHERIT),
    Key("New", (), (), TIME),
)
DELTA = write_hive(Hive(Key("ROOT", (), DELTA_KEYS, TIME), TIME, 6))
MINIMAL = minimal_hive(TIME)


def tar(files: dict[str, bytes]) -> bytes:
    folders = {"/".join(path.split("/")[:end]) for path in files for end in range(1, path.count("/") + 1)}
    return build([*(directory(path) for path in sorted({"Files", *folders})), *(M(*file) for file in files.items())])


def folder(place: Path, files: dict[str, bytes]) -> None:
    (place / "Files").mkdir(parents=True)
    for path, data in files.items():
        (place / path).parent.mkdir(parents=True, exist_ok=True)
        (place / path).write_bytes(data)


AFTER = write_hive(Hive(Key("ROOT", (), (replace(ACME, values=(dword("Level", 43), *VALUES[3:])),), TIME), TIME))
DIRTY = dirty(SOFTWARE, 3, 2)
LOG = log(DIRTY, changes(SOFTWARE, AFTER, 2))
BASE_FILES = {f"{CONFIG}/SOFTWARE": SOFTWARE, f"{CONFIG}/SYSTEM": SYSTEM, "Files/NTUSER.DAT": MINIMAL}
UPPER_FILES = {"Hives/Software_Delta": DELTA}


def hives_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Be in a folder with hives, layer folders, layer tars and an image."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    for name, data in (("SOFTWARE", SOFTWARE), ("SYSTEM", SYSTEM), ("other.hiv", MINIMAL), ("Software_Delta", DELTA)):
        (tmp_path / name).write_bytes(data)
    folder(tmp_path / "base", BASE_FILES)
    folder(tmp_path / "upper", UPPER_FILES)
    tars = [tar(BASE_FILES), tar(UPPER_FILES)]
    (tmp_path / "base.tar").write_bytes(tars[0])
    (tmp_path / "upper.tar").write_bytes(tars[1])
    layout(tmp_path / "img", tars, gzipped=True)
    return tmp_path


def run(*arguments: str) -> int:
    """The exit code of a command that raises nothing."""
    result = cli.main(["hive", *arguments], prog_name="wclayer", standalone_mode=False)
    return result if isinstance(result, int) else 0


def reg(*lines: str) -> bytes:
    return "\n".join(("Windows Registry Editor Version 5.00", "", *lines, "")).encode()


def acme(path: Path) -> Key:
    key = read_hive(path.read_bytes()).root.subkey("Acme")
    assert key is not None
    return key
