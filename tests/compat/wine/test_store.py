"""The native store, under the real Win32 ABI on wine's file system; the backup calls are the stand-in's."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.compat.wine import standin, wine
from tests.strategies import Item, layers, tar_of
from wclayer import export_layer_to_tar, import_layer_from_tar
from wclayer.entry import AlternateStream, Directory, File
from wclayer.win32.sddl import parse_sddl

# What wine's file system has no names for: what Windows' own refuses too, what is no UTF-8, and what ext4 cuts.
_UNHELD = re.compile('["*<>?|\\\\\x00-\x1f\ud800-\udfff]|[. ]$')
_DESCRIPTORS = [
    None,
    *map(
        parse_sddl,
        (
            "O:BAG:SYD:(A;;FA;;;BA)",
            "O:SYG:SYD:PAI(A;OICI;FA;;;SY)(D;;FA;;;WD)",
            "O:BAG:SYS:(AU;SA;FA;;;WD)",
            "O:BAD:NO_ACCESS_CONTROL",
        ),
    ),
]


def holds(name: str) -> bool:
    return _UNHELD.search(name) is None and len(name.encode()) <= 240


def random_layers(count: int) -> list[bytes]:
    made: list[bytes] = []

    @seed(20)
    @settings(
        max_examples=count,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(layers())
    def make(items: list[Item]) -> None:
        names = [part for entry, _, _ in items for part in entry.path.split("/")]
        names += [entry.name for entry, _, _ in items if isinstance(entry, AlternateStream)]
        if all(map(holds, names)):
            made.append(tar_of(_described(items, len(made))))

    make()
    return made


def _described(items: list[Item], number: int) -> list[Item]:
    """With descriptors, and names of EAs, that Windows takes."""
    result: list[Item] = []
    for entry, content, extents in items:
        if isinstance(entry, Directory | File):
            number += 1
            eas = tuple(replace(ea, name=b"EA.%s" % ea.name.hex().encode()) for ea in entry.extended_attributes)
            descriptor = _DESCRIPTORS[number % len(_DESCRIPTORS)]
            described = replace(entry, security_descriptor=descriptor, extended_attributes=eas)
            result.append((described, content, extents))
        else:
            result.append((entry, content, extents))
    return result


def native(dll: Path, folder: Path, *arguments: str | Path) -> bytes:
    state = folder / "state"
    state.mkdir(exist_ok=True)
    script = Path(__file__).with_name("native.py")
    shown = [standin.windows_path(item) if isinstance(item, Path) else item for item in (script, dll, *arguments)]
    done = wine.run_python(*shown, env=standin.environment(folder))
    assert done.returncode == 0, done.stdout.decode("utf-8", "replace") + done.stderr.decode("utf-8", "replace")
    return done.stdout


def test_the_same_tar_as_from_a_plain_tree(tmp_path: Path, dll: Path) -> None:
    tars = random_layers(400)
    assert len(tars) > 100
    trips = tmp_path / "trips"
    trips.mkdir()
    for number, tar in enumerate(tars):
        (trips / f"{number:04}.tar").write_bytes(tar)
    native(dll, tmp_path, "trips", trips)
    for number, tar in enumerate(tars):
        place = trips / f"{number:04}.tar"
        assert not place.with_suffix(".error").exists(), place.with_suffix(".error").read_text("utf-8")
        assert place.with_suffix(".original").read_bytes() == tar
        canonical = io.BytesIO()
        import_layer_from_tar(io.BytesIO(tar), tmp_path / f"plain{number}")
        export_layer_to_tar(tmp_path / f"plain{number}", canonical, framing="canonical")
        assert place.with_suffix(".canonical").read_bytes() == canonical.getvalue()


# What is run inside, as a script with the folder as its argument; what it prints is JSON.
FACTS = """
import json, os, sys
from pathlib import Path
from wclayer.errors import WclayerError
from wclayer.native import files, handles
from wclayer.stores.root.root_windows import WindowsRoot

folder = Path(sys.argv[1])
root = WindowsRoot(os.fsencode(folder / "root"))
found = {}

def attempt(name, action):
    try:
        found[name] = action()
    except (WclayerError, OSError) as error:
        found[name] = type(error).__name__

# times to 100 ns, attributes, identities
os.close(root.create(b"a"))
root.set_times(b"a", (None, 132000000000000003, 132000000000000007, None))
found["times"] = root.information(b"a").times[2]
with root.handle(b"a", handles.WRITE_ATTRIBUTES) as handle:
    files.set_basic_info(handle, 0x1 | 0x2 | 0x4, ())
found["attributes"] = root.information(b"a").attributes & 0x7
root.mkdir(b"d")
root.link(b"a", b"d/b")
one, other = root.information(b"a"), root.information(b"d/b")
found["links"] = [one.links, one.file_id == other.file_id, one.volume == other.volume]
attempt("link again", lambda: root.link(b"a", b"d/b"))
found["names"] = sorted(name.decode() for name, _ in root.entries(b"d"))

# READONLY is no obstacle to removing
root.unlink(b"d/b")
attempt("gone", lambda: root.lstat(b"d/b"))
attempt("not empty", lambda: (root.mkdir(b"d/e"), root.rmdir(b"d"))[1])

# no way out: by a link of the host, which wine shows as a reparse point, or by names
for name, path in (("through", b"out/f"), ("create", b"out/new"), ("up", b"../outside/f"), ("drive", b"C:/x"),
                   ("stream", b"a:b"), ("separator", b"d\\\\..\\\\..\\\\outside")):
    attempt(name, lambda: os.close(root.create(path) if name == "create" else root.open(path)))
attempt("list", lambda: len(root.list(b"out")))
attempt("mkdir", lambda: root.mkdir(b"out/d"))
attempt("utime", lambda: root.utime(b"out/f", (0, 0)))
attempt("rename", lambda: root.rename(b"a", b"out/a"))

# 400 characters and more
deep = b"/".join([b"n" * 60] * 8)
for number in range(8):
    root.mkdir(b"/".join([b"n" * 60] * (number + 1)))
fd = root.create(deep + b"/f")
os.write(fd, b"deep")
os.close(fd)
with os.fdopen(root.open(deep + b"/f"), "rb") as file:
    found["deep"] = file.read().decode()
root.close()

# what empty() removes, it removes without following links
other = WindowsRoot(os.fsencode(folder / "root"))
other.empty()
found["left"] = sorted(name.decode() for name, _ in other._names(b""))
other.close()
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("facts")
    (folder / "root").mkdir()
    (folder / "outside").mkdir()
    (folder / "outside/f").write_bytes(b"secret")
    (folder / "root/out").symlink_to("../outside")
    script = folder / "facts.py"
    script.write_text(FACTS)
    done = wine.run_python(standin.windows_path(script), standin.windows_path(folder))
    assert done.returncode == 0, (done.stdout + done.stderr).decode("utf-8", "replace")
    found: dict[str, Any] = json.loads(done.stdout)
    found["outside"] = sorted(path.name for path in (folder / "outside").iterdir())
    return found


def test_times_attributes_and_identities(facts: dict[str, Any]) -> None:
    assert facts["times"] == 132000000000000007
    assert facts["attributes"] == 0x7
    assert facts["links"] == [2, True, True]
    assert facts["link again"] == "FileExistsError"
    assert facts["names"] == ["b"]


def test_removing(facts: dict[str, Any]) -> None:
    assert facts["gone"] == "FileNotFoundError"
    assert facts["not empty"] in ("OSError", "FileExistsError")


def test_no_path_leaves_the_root(facts: dict[str, Any]) -> None:
    for name in ("through", "create", "up", "drive", "stream", "separator", "list", "mkdir", "utime", "rename"):
        assert facts[name] == "ConfinementError", name
    assert facts["outside"] == ["f"]


def test_long_paths(facts: dict[str, Any]) -> None:
    assert facts["deep"] == "deep"
    assert facts["left"] == ["out"]  # wine's own link cannot be removed through its name
