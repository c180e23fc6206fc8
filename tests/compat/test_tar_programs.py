"""bsdtar and GNU tar read what we write, and we read what they write."""

from __future__ import annotations

import io
import os
import re
import subprocess
from pathlib import Path

import pytest
from examples.sample_layer import small

from tests.compat.tools import tool
from tests.strategies import Item, items_of, tar_of
from wclayer import export_layer_to_tar, import_layer_from_tar
from wclayer.entry import Directory, File

ENVIRONMENT = {**os.environ, "TZ": "UTC", "LC_ALL": "C.UTF-8"}


def sample(*, unicode: bool = False) -> tuple[bytes, list[Item]]:
    """The example's layer; with `unicode`, without the name that is none, which bsdtar does not take."""
    items: list[Item] = []
    for entry, body in small():
        if unicode and any(0xD800 <= ord(char) < 0xE000 for char in entry.path):
            continue
        extents = tuple(body.extents()) if body is not None else None
        if extents is not None and body is not None and extents == (((0, body.size),) if body.size else ()):
            extents = None
        items.append((entry, None if body is None else body.read(), extents))
    return tar_of(items), items


def listing(program: str, tar: bytes, *options: str) -> tuple[list[str], str]:
    done = subprocess.run(
        [tool(program), *options, "-tf", "-"], input=tar, capture_output=True, env=ENVIRONMENT, check=True
    )
    return done.stdout.decode("utf-8", "surrogateescape").splitlines(), done.stderr.decode()


def test_bsdtar_lists_every_entry() -> None:
    tar, items = sample(unicode=True)
    names, err = listing("bsdtar", tar)
    assert err == ""
    assert len(names) == len(items)
    for name, (entry, _, _) in zip(names, items, strict=True):
        plain = entry.path if isinstance(entry, Directory | File) else None
        if plain is not None and plain.isascii():
            assert name.rstrip("/") == plain


def test_gnu_tar_lists_every_entry_and_names_our_records() -> None:
    tar, items = sample()
    names, err = listing("tar", tar)
    assert len(names) == len(items)
    unknown = set(re.findall(r"unknown extended header keyword [`'\"]?([^`'\"\n]+)", err))
    assert {key.partition(".")[0] for key in unknown} <= {"LIBARCHIVE", "MSWINDOWS", "WCLAYER"}
    assert {"MSWINDOWS.fileattr", "WCLAYER.sparse", "WCLAYER.reparse"} <= unknown


def test_bsdtar_reads_the_times_and_data(tmp_path: Path) -> None:
    tar, items = sample(unicode=True)
    subprocess.run(
        [tool("bsdtar"), "-xf", "-", "-C", str(tmp_path), "--exclude", "*:*", "--exclude", "Files/Names"],
        input=tar,
        env=ENVIRONMENT,
        check=True,
    )
    seen = 0
    for entry, content, _ in items:
        if isinstance(entry, File) and entry.path.isascii() and entry.reparse_data is None and content:
            assert entry.last_write_time is not None
            path = tmp_path / entry.path
            path.chmod(0o600)
            assert path.read_bytes() == content
            assert path.stat().st_mtime_ns == (entry.last_write_time - 116444736000000000) * 100
            seen += 1
    assert seen >= 4


@pytest.mark.parametrize(
    ("program", "options"),
    [
        ("tar", ["--format=pax"]),
        ("tar", ["--format=gnu"]),
        ("tar", ["--format=ustar"]),
        ("tar", ["--format=v7"]),
        ("tar", ["--format=pax", "--sparse", "--sparse-version=0.0"]),
        ("tar", ["--format=pax", "--sparse", "--sparse-version=0.1"]),
        ("tar", ["--format=pax", "--sparse", "--sparse-version=1.0"]),
        ("bsdtar", ["--format=pax"]),
        ("bsdtar", ["--format=ustar"]),
        ("bsdtar", ["--format=gnutar"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else value,
)
def test_we_read_what_they_write(tmp_path: Path, program: str, options: list[str]) -> None:
    tree = tmp_path / "tree"
    (tree / "Files" / "dir").mkdir(parents=True)
    (tree / "Files" / "dir" / "f").write_bytes(b"data" * 1000)
    os.link(tree / "Files" / "dir" / "f", tree / "Files" / "dir" / "g")
    long = "n" * 60
    if "v7" not in options[0]:
        (tree / "Files" / long).mkdir()
        (tree / "Files" / long / long).write_bytes(b"long")
    with (tree / "Files" / "sparse").open("wb") as file:
        file.write(b"begin")
        file.seek(1 << 20)
        file.write(b"end")
    made = subprocess.run(
        [tool(program), *options, "-cf", "-", "-C", str(tree), "./Files"],
        capture_output=True,
        env=ENVIRONMENT,
        check=True,
    )
    summary = import_layer_from_tar(io.BytesIO(made.stdout), tmp_path / "layer")
    assert summary.entries["hard_links"] == 1
    contents = {entry.path: content for entry, content, _ in items_of(made.stdout)}
    for path in (p for p in tree.rglob("*") if p.is_file()):
        name = str(path.relative_to(tree))
        assert (tmp_path / "layer" / name).read_bytes() == path.read_bytes()
        assert contents[name] in (path.read_bytes(), None)
    assert (tmp_path / "layer/Files/dir/f").stat().st_nlink == 2
    assert exported(tmp_path / "layer") == made.stdout
    for number, command in enumerate((["cp", "-a"], ["cp", "-r"], ["rsync", "-a"], ["rsync", "-r"])):
        copy = tmp_path / f"copy-{number}"
        subprocess.run([tool(command[0]), *command[1:], f"{tmp_path}/layer/.", copy], check=True)
        assert exported(copy) == made.stdout
    for path in (tmp_path / "layer").rglob("*"):
        if path.name != "layer.db":
            os.utime(path)
    assert exported(tmp_path / "layer") == made.stdout


def exported(folder: Path) -> bytes:
    output = io.BytesIO()
    export_layer_to_tar(folder, output, framing="original")
    return output.getvalue()
