"""Import and export as an ordinary user, with umask 077, another TZ and LC_ALL=C: the same diff_id."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.compat.test_tar_programs import sample
from wclayer import export_layer_to_tar, import_layer_from_tar

NOBODY = 65534

# Another user may not be able to read the interpreter's own files, so root loads all that is needed by doing the same
# once, and then becomes that user.
CHILD = f"""
import contextlib, io, os, sys, tempfile
from wclayer.cli import main

def act(arguments):
    with contextlib.suppress(SystemExit):
        main(arguments)
        sys.exit(70)

os.umask(0o077)
if os.geteuid() == 0:
    with tempfile.TemporaryDirectory() as warm, contextlib.redirect_stdout(io.StringIO()):
        act(["import", "--json", "-i", "layer.tar", warm + "/a"])
        act(["export", "--json", "-o", warm + "/t", warm + "/a"])
        act(["nonsense"])
    os.setgroups([])
    os.setgid({NOBODY})
    os.setuid({NOBODY})
assert os.geteuid() != 0
main(sys.argv[1:])
"""


def run(folder: Path, *arguments: str) -> dict[str, object]:
    environment = {
        **os.environ,
        "TZ": "Pacific/Kiritimati",
        "LC_ALL": "C",
        "LANG": "C",
        "PYTHONUTF8": "0",
        "PYTHONCOERCECLOCALE": "0",
    }
    command = [sys.executable, "-c", CHILD, *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    result: dict[str, object] = json.loads(done.stdout)
    return result


@pytest.mark.skipif(os.name == "nt", reason="users of POSIX")
def test_the_same_diff_id(tmp_path: Path) -> None:
    tar, _ = sample()
    import_layer_from_tar(io.BytesIO(tar), tmp_path / "mine")
    expected = export_layer_to_tar(tmp_path / "mine", io.BytesIO(), framing="canonical").diff_id
    place = Path("/tmp") / f"wclayer-{os.getpid()}-{tmp_path.name}"  # noqa: S108 # tmp_path is the invoking user's alone
    place.mkdir(mode=0o700)
    try:
        if os.geteuid() == 0:
            os.chown(place, NOBODY, NOBODY)
        (place / "layer.tar").write_bytes(tar)
        (place / "layer.tar").chmod(0o644)
        imported = run(place, "import", "--json", "-i", "layer.tar", "theirs")
        exported = run(place, "export", "--framing", "canonical", "--json", "-o", "out.tar", "theirs")
        assert exported["diff_id"] == expected
        again = run(place, "import", "--json", "-i", "out.tar", "again")
        assert again["diff_id"] == expected
        assert imported["entries"] == exported["entries"]
        assert (place / "theirs" / "Files" / "License.txt").stat().st_mode & 0o777 == 0o600
    finally:
        subprocess.run(["rm", "-rf", str(place)], check=True)


@pytest.mark.skipif(os.name == "nt", reason="umask of POSIX")
def test_a_tree_without_a_record_gives_the_same_diff_id(tmp_path: Path) -> None:
    """One tree, one diff_id: whatever the mode bits, the access times, the order in which it was made."""
    digests = set()
    for number, names in enumerate((["a", "b", "c"], ["c", "a", "b"])):
        tree = tmp_path / f"tree-{number}" / "Files"
        tree.mkdir(parents=True)
        old = os.umask(0o077 if number else 0o022)
        for name in names:
            (tree / name).write_bytes(name.encode())
        os.umask(old)
        for path in (*tree.iterdir(), tree):
            os.utime(path, ns=(number * 10**9, 1_600_000_000_000_000_000))
        digests.add(export_layer_to_tar(tree.parent, io.BytesIO()).diff_id)
    assert len(digests) == 1
