"""`make bench`: `wclayer inspect` and `wclayer diff` beside `gzip -t` of the same layers, in the same run, as ratios.

    python -m benchmarks.inside [--size BYTES] [--rounds N] [--content FOLDER]

The layers are two versions of one of nanoserver's shape, with gzip -6: in the second, of
a hundred files one is changed, one gone, one has another name, and one another list of
access; one is new; of the registry, which has the size of a SYSTEM hive of Windows 10
(see benchmarks/hives.py), a value in each hundredth key is changed. Prints a table, and
writes benchmarks/results/inside.json. A ratio is wclayer's time over that of gzip -t of
all layers that it reads, each the best of N rounds; below 1 is faster.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from examples.sample_layer import SIZE, descriptors, nanoserver, write

from wclayer.body import BytesBody
from wclayer.entry import Body, Entry, File, HardLink
from wclayer.layertar.reader import TarSource
from wclayer.regf.model import Key, dword, sz
from wclayer.regf.reader import read_hive
from wclayer.regf.writer import write_hive

from .__main__ import PROGRAMS, Rounds, as_json, record, run, show
from .hives import system_hive

_SOFTWARE = "Files/Windows/System32/config/SOFTWARE"
_EACH = 100  # files, of which one each is changed, removed, moved, and given another descriptor


def software() -> tuple[bytes, bytes]:
    """The SOFTWARE hive of both versions."""
    old = read_hive(system_hive())
    version = Key(
        "CurrentVersion",
        (sz("ProductName", "Windows Server 2025 Datacenter"), sz("CurrentBuildNumber", "26100"), dword("UBR", 33158)),
    )
    microsoft = Key("Microsoft", subkeys=(Key("Windows NT", subkeys=(version,)),))
    old = replace(old, root=replace(old.root, subkeys=(microsoft, *old.root.subkeys)))
    count = 0

    def change(key: Key, subkeys: tuple[Key, ...]) -> Key:
        nonlocal count
        count += 1
        values = key.values
        if count % _EACH == 0 and values:
            values = (replace(values[0], data=values[0].data[::-1] + b"\0\0"), *values[1:])
        return replace(key, values=values, subkeys=subkeys)

    root = old.root.changed(change)
    assert root is not None
    return write_hive(old), write_hive(replace(old, root=root))


def with_software(entries: Iterator[tuple[Entry, Body | None]], hive: bytes) -> Iterator[tuple[Entry, Body | None]]:
    for entry, body in entries:
        if isinstance(entry, File) and entry.path == _SOFTWARE:
            yield replace(entry, size=len(hive)), BytesBody(hive)
        else:
            yield entry, body


def next_version(entries: Iterator[tuple[Entry, Body | None]]) -> Iterator[tuple[Entry, Body | None]]:
    """The same layer after an update."""
    number = 0
    other = descriptors(3)[-1]
    moved: dict[str, str] = {}
    for entry, body in entries:
        if isinstance(entry, HardLink):
            # Links to what is gone or moved follow it.
            target = moved.get(entry.target, entry.target)
            if target:
                yield replace(entry, target=target), body
            continue
        if isinstance(entry, File) and entry.size and "component_" in entry.path:
            number += 1
            if number % _EACH == 1 and body is not None:
                data = body.read()
                yield replace(entry, size=len(data) + 8), BytesBody(data + b"changed\n")
                continue
            if number % _EACH == 2:
                moved[entry.path] = ""
                continue
            if number % _EACH == 3:
                moved[entry.path] = f"{entry.path}.moved"
                yield replace(entry, path=moved[entry.path]), body
                continue
            if number % _EACH == 4:
                yield replace(entry, security_descriptor=other), body
                continue
            if number % _EACH == 5:
                yield replace(entry, path=f"{entry.path}.new", size=9), BytesBody(b"new %05d" % number)
        yield entry, body


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--size", type=int, default=SIZE, help="bytes of data in the generated layer")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--content", type=Path, default=next((p for p in PROGRAMS if p.is_dir()), None))
    options = parser.parse_args()
    wclayer = [sys.executable, "-m", "wclayer"]
    with tempfile.TemporaryDirectory(prefix="wclayer-bench-") as name:
        work = Path(name)
        tars = [work / "old.tar", work / "new.tar"]
        old_hive, new_hive = software()
        with tars[0].open("wb") as out:
            write(out, with_software(nanoserver(options.size, options.content), old_hive))
        with tars[0].open("rb") as stream, tars[1].open("wb") as out:
            write(out, next_version(with_software(TarSource(stream).entries(), new_hive)))
        packed = [tar.with_suffix(".tar.gz") for tar in tars]
        for tar, blob in zip(tars, packed, strict=True):
            run("gzip", "-6", "-c", tar, output=blob)
            tar.unlink()

        rounds = Rounds(work, options.rounds)
        (mine, out_), (theirs, _) = rounds.versus(
            lambda place: run(*wclayer, "inspect", "--json", packed[0], output=place),
            lambda _: run("gzip", "-t", packed[0]),
        )
        inspected = json.loads(out_.read_bytes())
        rows = [("inspect", "gzip -t", mine, theirs)]
        (mine, out_), (theirs, _) = rounds.versus(
            lambda place: _differs(*wclayer, "diff", "--json", packed[0], packed[1], output=place),
            lambda _: run("gzip", "-t", packed[0], packed[1]),
        )
        differences = json.loads(out_.read_bytes())["stat"]
        rows.append(("diff", "gzip -t of both", mine, theirs))
        sizes = [blob.stat().st_size for blob in packed]
    print(f"{inspected['windows']['product_name']} {inspected['windows']['version']}; differences: {differences}")
    show(rows)
    record(
        "inside",
        size=options.size,
        content="made from nothing" if options.content is None else options.content.name,
        blobs=sizes,
        differences=differences,
        rows=as_json(rows),
    )


def _differs(*command: str | Path, output: Path) -> None:
    with output.open("wb") as out:
        code = subprocess.run(list(map(str, command)), check=False, stdout=out).returncode
    if code != 1:
        raise SystemExit(f"{command[0]} ended with {code}")


if __name__ == "__main__":
    main()
