"""Variables that only the registry of the base has, in ENV and other instructions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.tars import M, directory
from tests.unit.dockerfile.test_build import Made, Yard
from wclayer.dockerfile.environment import variables_of
from wclayer.layers.hives.config_hives import CONFIG, CONFIG_HIVES
from wclayer.regf.layout import MINOR_LAYERED
from wclayer.regf.model import Hive, Key, RegType, Value, dword, sz
from wclayer.regf.writer import write_hive

SYSTEM = CONFIG_HIVES[-1]
# The values of Windows Server 2022, and what `docker run ... cmd /c set` prints for them.
WINDOWS = (
    sz("ComSpec", "%SystemRoot%\\system32\\cmd.exe", RegType.EXPAND_SZ),
    sz("OS", "Windows_NT"),
    sz(
        "Path",
        "%SystemRoot%\\system32;%SystemRoot%;%SystemRoot%\\System32\\Wbem;"
        "%SYSTEMROOT%\\System32\\WindowsPowerShell\\v1.0\\;%SYSTEMROOT%\\System32\\OpenSSH\\",
        RegType.EXPAND_SZ,
    ),
    sz("PATHEXT", ".COM;.EXE;.BAT;.CMD;.VBS;.VBE;.JS;.JSE;.WSF;.WSH;.MSC"),
    sz("TEMP", "%SystemRoot%\\TEMP", RegType.EXPAND_SZ),
    sz("windir", "%SystemRoot%", RegType.EXPAND_SZ),
    sz("NUMBER_OF_PROCESSORS", "4"),
)
PATH = (
    r"C:\Windows\system32;C:\Windows;C:\Windows\System32\Wbem;C:\Windows\System32\WindowsPowerShell\v1.0\;"
    r"C:\Windows\System32\OpenSSH"
    "\\"
)


def system(*values: Value, number: int = 1, current: int = 1) -> Key:
    """The root of a SYSTEM hive."""
    key = Key("Environment", values)
    for name in ("Session Manager", "Control", f"ControlSet{number:03}"):
        key = Key(name, (), (key,))
    return Key("ROOT", (), (Key("Select", (dword("Current", current),)), key))


@pytest.fixture
def yard(tmp_path: Path) -> Yard:
    made = Yard(tmp_path)
    made.put("c", **{"a.txt": "a"})
    return made


def on_windows(
    yard: Yard, *lines: str, hive: bytes | None = None, delta: bytes | None = None, env: Sequence[str] = (), **more: Any
) -> Made:
    """An image on a base with that SYSTEM hive, and `env` in its config."""
    parts = CONFIG.split("/")
    data = write_hive(Hive(system(*WINDOWS))) if hive is None else hive
    layers = [[*(directory("/".join(parts[: n + 1])) for n in range(len(parts))), M(SYSTEM.config, data)]]
    if delta is not None:
        layers.append([directory("Files"), directory("Hives"), M(SYSTEM.delta, delta)])

    def edit(config: dict[str, Any]) -> None:
        config["config"] = {"Env": list(env)}

    place = yard.base(f"base-{yard.count}", layers, edit)
    return yard.build("\n".join(("# escape=`", "FROM base", *lines)), contexts={"base": place}, **more)


def variables(made: Made) -> dict[str, str]:
    return dict(line.split("=", 1) for line in made.run["Env"])


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('ENV PATH="C:\\app;${PATH}"', {"PATH": f"C:\\app;{PATH}"}),
        ("ENV Path=C:\\app;$path", {"Path": f"C:\\app;{PATH}"}),
        (
            "ENV X=${ComSpec} Y=$OS Z=${TEMP}",
            {"X": r"C:\Windows\system32\cmd.exe", "Y": "Windows_NT", "Z": r"C:\Windows\TEMP"},
        ),
        (
            "ENV X=${pathext:-none} Y=${NOTHING:-none} Z=$NOTHING",
            {"X": WINDOWS[3].data.decode("utf-16-le").rstrip("\0"), "Y": "none", "Z": ""},
        ),
        ("ENV A=1", {"A": "1"}),
        ("ARG OS\nENV A=[$OS]", {"A": "[]"}),
        ("ARG OS=mine\nENV A=[$OS]", {"A": "[mine]"}),
        ("ENV OS=mine\nENV A=[$OS]", {"OS": "mine", "A": "[mine]"}),
    ],
)
def test_variables_of_the_registry(yard: Yard, line: str, expected: dict[str, str]) -> None:
    made = on_windows(yard, *line.split("\n"))
    assert variables(made) == expected
    assert made.built.warnings == []


def test_the_config_of_the_base_goes_first(yard: Yard) -> None:
    line = 'ENV PATH="C:\\app;${PATH}"'
    assert variables(on_windows(yard, line, env=["Path=C:\\theirs", "A=1"])) == {"PATH": "C:\\app;C:\\theirs", "A": "1"}
    assert variables(on_windows(yard, line, env=["Path=C:\\x", "PATH=C:\\y", "A=1"])) == {
        "PATH": "C:\\app;C:\\y",
        "A": "1",
    }
    assert variables(on_windows(yard, "ENV A=2", env=["Path=C:\\x", "a=1"])) == {"Path": "C:\\x", "A": "2"}


def test_other_instructions_see_them_too(yard: Yard) -> None:
    assert variables(on_windows(yard, "COPY a.txt ${windir}\\x\\", "ENV A=1")) == {"A": "1"}
    with_stage = ("FROM base AS one", "ENV A=$OS", "FROM one", "ENV B=$A-$OS")
    assert variables(on_windows(yard, *with_stage)) == {"A": "Windows_NT", "B": "Windows_NT-Windows_NT"}


def test_layers_above_the_base_change_the_registry(yard: Yard) -> None:
    values = (sz("Path", "%JAVA_HOME%\\bin", RegType.EXPAND_SZ), sz("JAVA_HOME", "C:\\java"))
    delta = write_hive(Hive(system(*values), 0, MINOR_LAYERED))
    made = on_windows(yard, "ENV PATH=$PATH;$OS", delta=delta)
    assert variables(made) == {"PATH": "C:\\java\\bin;Windows_NT"}


def test_a_base_without_them(yard: Yard) -> None:
    made = on_windows(yard, 'ENV PATH="C:\\app;${PATH}"', hive=write_hive(Hive(Key("ROOT"))))
    assert variables(made) == {"PATH": "C:\\app;"}
    assert made.built.warnings == ["D: ${PATH} is empty: the base has no PATH, in config or registry"]
    made = on_windows(yard, "ENV A=$OS", hive=b"regf" + bytes(5000))
    assert variables(made) == {"A": ""}
    [warning] = made.built.warnings
    assert warning.startswith("the environment in the registry of the base is unknown: the hive SYSTEM")


def test_they_are_read_once(yard: Yard, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    assert variables(on_windows(yard, "ENV A=$OS", cache=cache)) == {"A": "Windows_NT"}
    [kept] = cache.glob("*.environment")
    assert variables(on_windows(yard, "ENV A=$OS", cache=cache)) == {"A": "Windows_NT"}
    kept.write_text('{"OS": "kept"}')
    assert variables(on_windows(yard, "ENV A=$OS", cache=cache)) == {"A": "kept"}
    kept.write_text("[1")
    assert variables(on_windows(yard, "ENV A=$OS", cache=cache)) == {"A": "Windows_NT"}


def test_which_values_count() -> None:
    values = (
        sz("A", "%B%;%C%;%nothing%;%", RegType.EXPAND_SZ),
        sz("B", "%C%"),
        sz("C", "%SystemDrive%\\c", RegType.EXPAND_SZ),
        dword("D", 1),
        sz("E", "%A%", RegType.EXPAND_SZ),
        sz("PATH", "%E%;%ProgramFiles%", RegType.EXPAND_SZ),
    )
    # B is no value with references, A comes before C.
    assert variables_of(system(*values)) == {
        "A": "%C%;%C%;%nothing%;%",
        "B": "%C%",
        "C": "C:\\c",
        "E": "%C%;%C%;%nothing%;%",
        "PATH": "%C%;%C%;%nothing%;%;C:\\Program Files",
    }
    assert variables_of(system(*WINDOWS, number=2, current=2))["OS"] == "Windows_NT"
    assert variables_of(system(*WINDOWS, number=2)) == {}
    assert variables_of(Key("ROOT")) == {}


def test_references_do_not_grow_without_bound() -> None:
    values = (sz("V0", "x" * 1000), *(sz(f"V{n}", f"%V{n - 1}%" * 10, RegType.EXPAND_SZ) for n in range(1, 60)))
    assert max(map(len, variables_of(system(*values)).values())) <= 32_767
