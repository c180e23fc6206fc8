"""The registry from end to end: values built onto a base, squashed onto it, and read by programs that are not ours."""

from __future__ import annotations

import importlib.util
import io
import json
import os
import subprocess
import tarfile
from pathlib import Path

import pytest

from tests.command import wclayer as run
from tests.compat.tools import missing, tool
from tests.tars import M, build, directory
from tests.unit.regf.samples import TIME
from wclayer.regf.model import Hive, Key, dword, sz
from wclayer.regf.writer import write_hive

CONFIG = "Files/Windows/System32/config"
SOFTWARE = Key("ROOT", (), (Key("Acme", (sz("Version", "0.9"), dword("Kept", 7), sz("Old", "x")), (), TIME),), TIME)
SYSTEM = Key(
    "ROOT",
    (),
    (
        Key("Select", (dword("Current", 1),), (), TIME),
        Key("ControlSet001", (), (Key("Services", (), (Key("Legacy", (dword("Start", 2),), (), TIME),), TIME),), TIME),
    ),
    TIME,
)
IMAGE_TOML = r"""
[registry.'HKLM\SOFTWARE\Acme'.values]
Version = "1.0"
Path = { expand = '%ProgramFiles%\Acme' }
Hosts = ["one", "two"]
Level = 3
Quota = { qword = 1099511627776 }
Blob = { binary = "00 ff" }

[registry.'HKLM\SYSTEM\CurrentControlSet\Services\acme']
default = "a service"
sddl = "O:BAG:SYD:(A;CI;KA;;;SY)(A;CI;KA;;;BA)"
"""
REG = """Windows Registry Editor Version 5.00

[HKEY_LOCAL_MACHINE\\SOFTWARE\\Acme]
"Old"=-

[-HKEY_LOCAL_MACHINE\\SYSTEM\\CurrentControlSet\\Services\\Legacy]
"""


def wclayer(folder: Path, *arguments: str) -> bytes:
    return run(*arguments, cwd=folder, check=True).stdout


@pytest.fixture(scope="module")
def squashed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of the one layer, by path."""
    folder = tmp_path_factory.mktemp("squash")
    above = [directory("/".join(CONFIG.split("/")[:end])) for end in range(1, 5)]
    hives = {name: write_hive(Hive(root, TIME)) for name, root in (("SOFTWARE", SOFTWARE), ("SYSTEM", SYSTEM))}
    base = build([*above, *(M(f"{CONFIG}/{name}", data) for name, data in hives.items())])
    (folder / "base.tar").write_bytes(base)
    (folder / "image.toml").write_text(IMAGE_TOML, encoding="utf-8")
    (folder / "more.reg").write_text(REG, encoding="utf-8")
    wclayer(folder, "import", "-i", "base.tar", "base")
    wclayer(folder, "export", "-o", "oci:out:base#0", "base")
    wclayer(folder, "build", "-f", "image.toml", "--from", "oci:out:base", "-o", "oci:out:app")
    wclayer(folder, "build", "--from", "oci:out:app", "--reg", "more.reg", "-o", "oci:out:more")
    found = json.loads(wclayer(folder, "layers", "--json", "oci:out:more"))
    assert len(found["layers"]) == 3
    told = json.loads(wclayer(folder, "squash", "--json", "oci:out:more", "-o", "oci:out:one"))
    assert (told["squashed"], told["warnings"]) == (3, [])
    wclayer(folder, "export", "-o", "one.tar", "oci:out:one")
    with tarfile.open(folder / "one.tar") as tar:
        files = {member.name: file.read() for member in tar if (file := tar.extractfile(member)) is not None}
    assert not [name for name in files if name.startswith("Hives")]
    return files


@pytest.mark.filterwarnings("ignore")  # its own
def test_python_registry_shows_the_values(squashed: dict[str, bytes]) -> None:
    if importlib.util.find_spec("Registry") is None:
        missing("python-registry")
    from Registry import Registry  # type: ignore[import-not-found,import-untyped,unused-ignore]

    software = Registry.Registry(io.BytesIO(squashed[f"{CONFIG}/SOFTWARE"]))
    values = {value.name(): (value.value_type(), value.value()) for value in software.open("Acme").values()}
    assert values == {
        "Version": (1, "1.0"),
        "Kept": (4, 7),
        "Path": (2, "%ProgramFiles%\\Acme"),
        "Hosts": (7, ["one", "two", "", ""]),  # with the NULs that end it
        "Level": (4, 3),
        "Quota": (11, 1 << 40),
        "Blob": (3, b"\x00\xff"),
    }
    system = Registry.Registry(io.BytesIO(squashed[f"{CONFIG}/SYSTEM"]))
    services = system.open("ControlSet001\\Services")
    assert [key.name() for key in services.subkeys()] == ["acme"]
    assert system.open("ControlSet001\\Services\\acme").value("(default)").value() == "a service"


def test_hivexregedit_shows_the_values(squashed: dict[str, bytes], tmp_path: Path) -> None:
    path = tmp_path / "SOFTWARE"
    path.write_bytes(squashed[f"{CONFIG}/SOFTWARE"])
    command = [tool("hivexregedit"), "--export", "--unsafe-printable-strings", str(path), "\\Acme"]
    out = subprocess.run(command, capture_output=True, check=True, env={**os.environ, "LC_ALL": "C.UTF-8"}).stdout
    assert set(out.decode().splitlines()) >= {
        "[\\Acme]",
        '"Version"=str(1):"1.0"',
        '"Kept"=dword:00000007',
        '"Level"=dword:00000003',
        '"Path"=str(2):"%ProgramFiles%\\Acme"',
        '"Blob"=hex(3):00,ff',
        '"Quota"=hex(b):00,00,00,00,00,01,00,00',
    }
    assert b"Old" not in out
    assert path.read_bytes() == squashed[f"{CONFIG}/SOFTWARE"]
