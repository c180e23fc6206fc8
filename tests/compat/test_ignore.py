"""Our patterns against git's own, over random patterns and paths."""

from __future__ import annotations

import os
import random
import subprocess
from pathlib import Path

import pytest

from tests.compat.tools import tool
from wclayer.builder.ignore import Ignore

# Whole pieces of patterns, so that random ones mean something.
PIECES = [
    *[b"a", b"b", b"a", b"b", b"*", b"*", b"**", b"/", b"/", b"?", b"[ab]", b"[!a]", b"[^/]", b"[a-b]", b"[[:alpha:]]"],
    *[b"\\a", b"\\", b"[", b"]", b"!", b"-", b" ", b"#", b".", b"**/", b"/**", b"\r", b"\t", b"\xff", b"[[:", b"[]a]"],
    *[b"[a-", b"[\\]]", b"[a-\\b]", b"[--a]", b"[[:upper:]b]", b"[[:nothing:]]", b":"],
]
NAMES = [b"a", b"b", b"ab", b"a", b"b", b"-", b"]", b"!", b" ", b".x", b"\xff", b"\\", b"[", b"#", b"A", b"\t"]


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    subprocess.run([tool("git"), "init", "-q", tmp_path], check=True, env=_environment(tmp_path))
    subprocess.run(
        [tool("git"), "-C", tmp_path, "config", "core.ignoreCase", "false"], check=True, env=_environment(tmp_path)
    )
    return tmp_path


def _environment(home: Path) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": str(home), "GIT_CONFIG_NOSYSTEM": "1", "LC_ALL": "C"}


def _name(choose: random.Random) -> bytes:
    return b"".join(choose.choices(NAMES, k=choose.randint(1, 3)))


def _ignored_by_git(repository: Path, paths: list[bytes]) -> list[bool]:
    found = subprocess.run(
        [tool("git"), "-C", repository, "check-ignore", "--no-index", "-v", "-n", "-z", "--stdin"],
        input=b"".join(path + b"\0" for path in paths),
        stdout=subprocess.PIPE,
        env=_environment(repository),
        check=False,
    )
    assert found.returncode in (0, 1)
    fields = found.stdout.split(b"\0")[:-1]
    assert fields[3::4] == paths
    return [bool(pattern) and not pattern.startswith(b"!") for pattern in fields[2::4]]


def _ignored_by_us(ignore: Ignore, path: bytes, directory: bool) -> bool:
    parts = path.split(b"/")
    return any(
        ignore.match(b"/".join(parts[:number]), directory or number < len(parts)) for number in range(1, len(parts) + 1)
    )


@pytest.mark.parametrize("seed", range(60))
def test_what_git_leaves_out_we_leave_out(repository: Path, seed: int) -> None:
    choose = random.Random(seed)
    root = os.fsencode(repository)
    paths = sorted(
        {b"t/" + b"/".join(_name(choose) for _ in range(choose.randint(1, 4))) for _ in range(60)} - {b"t/.", b"t/.."}
    )
    for path in paths[::2]:
        os.makedirs(os.path.join(root, path), exist_ok=True)
    within = [path[2:] for path in paths]
    directories = [os.path.isdir(os.path.join(root, path)) for path in paths]
    for _ in range(8):
        patterns = [b"".join(choose.choices(PIECES, k=choose.randint(1, 6))) for _ in range(choose.randint(1, 3))]
        (repository / "t" / ".gitignore").write_bytes(b"\n".join(patterns) + b"\n")
        theirs = _ignored_by_git(repository, paths)
        ignore = Ignore(patterns, source=".gitignore")
        ours = [_ignored_by_us(ignore, path, is_dir) for path, is_dir in zip(within, directories, strict=True)]
        different = [(path, git) for path, git, mine in zip(within, theirs, ours, strict=True) if git != mine]
        assert not different, patterns
