"""`make bench`: wclayer beside other programs at the same work, in the same run, as ratios.

    python -m benchmarks [--size BYTES] [--rounds N] [--content FOLDER]

Prints a table, and writes benchmarks/results/layer.json. A ratio is wclayer's time
over the other program's, each the best of N rounds; below 1 is faster. The files'
data are cut from FOLDER: by default from the PE files of Debian's libwine, where that
is installed (`make bench-data` fetches it), else they are made from nothing, which
compresses unlike any program.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from examples.sample_layer import SIZE

from wclayer import __version__

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
DATA = ROOT / "benchmarks" / "data"
PROGRAMS = [base / "usr/lib/x86_64-linux-gnu/wine/x86_64-windows" for base in (DATA, Path("/"))]

Row = tuple[str, str, float, float]  # what wclayer did, beside what; its seconds, and those of the other


class Rounds:
    """Measures in a folder of its own each time: on ext4, what was just deleted makes the next files slow to create."""

    def __init__(self, work: Path, rounds: int) -> None:
        self._work = work
        self._rounds = rounds
        self._made = 0

    def versus(self, *actions: Callable[[Path], None]) -> list[tuple[float, Path]]:
        """Seconds of the fastest round of each action, taken in turns, and the path that it made last.

        Each action gets a path that is not there.
        """
        found: list[list[tuple[float, Path]]] = [[] for _ in actions]
        for _ in range(self._rounds):
            for action, times in zip(actions, found, strict=True):
                self._made += 1
                place = self._work / f"out-{self._made}"
                began = time.perf_counter()
                action(place)
                times.append((time.perf_counter() - began, place))
        return [(min(times)[0], times[-1][1]) for times in found]


def run(*command: str | Path, output: Path | None = None) -> None:
    with open(output or Path("/dev/null"), "wb") as out:
        subprocess.run(list(map(str, command)), check=True, stdout=out)


def record(name: str, **found: object) -> None:
    """Write benchmarks/results/NAME.json: what was found, and on what."""
    where = {
        "wclayer": __version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "processors": os.cpu_count(),
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps({**where, **found}, indent=2) + "\n", encoding="utf-8")


def show(rows: Iterable[Row]) -> None:
    """Print the table of what was measured."""
    print(f"{'wclayer':16} {'beside':20} {'wclayer s':>10} {'other s':>10} {'ratio':>7}")
    for what, other, mine, theirs in rows:
        print(f"{what:16} {other:20} {mine:10.2f} {theirs:10.2f} {mine / theirs:7.2f}")


def as_json(rows: Iterable[Row]) -> list[dict[str, object]]:
    """The same for `record`."""
    return [
        {
            "what": what,
            "beside": other,
            "seconds": round(mine, 3),
            "other": round(theirs, 3),
            "ratio": round(mine / theirs, 3),
        }
        for what, other, mine, theirs in rows
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--size", type=int, default=SIZE, help="bytes of data in the generated layer")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--content", type=Path, default=next((p for p in PROGRAMS if p.is_dir()), None))
    options = parser.parse_args()
    wclayer = [sys.executable, "-m", "wclayer"]
    with tempfile.TemporaryDirectory(prefix="wclayer-bench-") as name:
        work = Path(name)
        tar = work / "layer.tar"
        content = [] if options.content is None else ["--content", options.content]
        run(sys.executable, "-m", "examples.sample_layer", "--nanoserver", "--size", str(options.size), *content, tar)
        packed = work / "layer.tar.gz"
        run("gzip", "-6", "-c", tar, output=packed)

        rounds = Rounds(work, options.rounds)

        def untar(place: Path) -> None:
            place.mkdir()
            run("tar", "--warning=no-unknown-keyword", "-xf", tar, "-C", place)

        (mine, layer), (theirs, tree) = rounds.versus(
            lambda place: run(*wclayer, "import", "-q", "-i", tar, place), untar
        )
        rows = [("import a tar", "GNU tar -x", mine, theirs)]
        (mine, _), (theirs, _) = rounds.versus(
            lambda place: run(*wclayer, "import", "-q", "-i", packed, place),
            lambda place: run("cp", "-a", layer, place),
        )
        rows.append(("import a .tar.gz", "cp -a of the tree", mine, theirs))
        (mine, _), (theirs, _) = rounds.versus(
            lambda place: run(*wclayer, "export", "-q", "-o", place, layer),
            lambda place: run("tar", "-cf", place, "-C", tree, "."),
        )
        rows.append(("export a tar", "GNU tar -c", mine, theirs))
        (mine, blob), (theirs, _) = rounds.versus(
            lambda place: run(*wclayer, "export", "-q", "-z", "-o", place, layer),
            lambda place: run("gzip", "-6", "-c", tar, output=place),
        )
        rows.append(("export -z", "gzip -6 of the tar", mine, theirs))
        sizes = blob.stat().st_size / packed.stat().st_size
    show(rows)
    print(f"export -z: blob {sizes:.3f} times as large as that of gzip -6")
    record(
        "layer",
        size=options.size,
        content="made from nothing" if options.content is None else options.content.name,
        blob_ratio=round(sizes, 4),
        rows=as_json(rows),
    )


if __name__ == "__main__":
    main()
