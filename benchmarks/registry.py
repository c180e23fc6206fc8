"""`make bench`: push and pull of a 1 GiB image, wclayer beside skopeo, to and from a registry on loopback, as ratios.

    python -m benchmarks.registry [--size BYTES] [--rounds N]

Prints a table, and writes benchmarks/results/registry.json. A ratio is wclayer's time
over skopeo's, each the best of N rounds taken in turns; below 1 is faster. Every push
goes to a repository of its own in an empty registry. Needs docker-registry and skopeo.
"""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .__main__ import Rounds, record, run

_CONFIG = """
version: 0.1
log: {{level: error}}
storage: {{filesystem: {{rootdirectory: {root}}}}}
http: {{addr: "127.0.0.1:{port}", secret: bench}}
"""


@contextmanager
def registry(work: Path) -> Iterator[str]:
    """A docker-registry on a free port of loopback."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    (work / "config.yml").write_text(_CONFIG.format(root=work / "registry", port=port))
    log = open(work / "registry.log", "wb")
    process = subprocess.Popen(["docker-registry", "serve", str(work / "config.yml")], stdout=log, stderr=log)
    try:
        for _ in range(100):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/v2/", timeout=5).close()  # loopback
                break
            except urllib.error.URLError:
                time.sleep(0.1)
        yield f"docker://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()
        log.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--size", type=int, default=1 << 30, help="bytes of the image's layer")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    for program in ("docker-registry", "skopeo"):
        if shutil.which(program) is None:
            raise SystemExit(f"{program} is missing: make test-tools")
    wclayer = [sys.executable, "-m", "wclayer"]
    skopeo = ["skopeo", "--insecure-policy", "--override-os", "windows", "copy", "-q"]
    with tempfile.TemporaryDirectory(prefix="wclayer-bench-") as name:
        work = Path(name)
        (work / "context").mkdir()
        with open(work / "context" / "noise", "wb") as noise:
            noise.writelines(
                os.urandom(min(1 << 20, options.size - start)) for start in range(0, options.size, 1 << 20)
            )
        image = f"oci:{work / 'image'}:big"
        run(*wclayer, "build", "-q", "--compress", "none", work / "context", "-o", image)
        shutil.rmtree(work / "context")
        rounds = Rounds(work, options.rounds)
        with registry(work) as place:

            def push(command: list[str], path: Path) -> None:
                run(*command, image, f"{place}/{path.name}:big")
                shutil.rmtree(work / "registry")  # what it keeps would be mounted, or be there already

            (mine, _), (theirs, _) = rounds.versus(
                lambda path: push([*wclayer, "copy", "-q"], path),
                lambda path: push([*skopeo, "--dest-tls-verify=false"], path),
            )
            rows = [("push", mine, theirs)]
            run(*wclayer, "copy", "-q", image, f"{place}/pull:big")

            def pull(command: list[str], path: Path) -> None:
                run(*command, f"{place}/pull:big", f"oci:{path}:big")
                shutil.rmtree(path)

            (mine, _), (theirs, _) = rounds.versus(
                lambda path: pull([*wclayer, "copy", "-q"], path),
                lambda path: pull([*skopeo, "--src-tls-verify=false"], path),
            )
            rows.append(("pull", mine, theirs))
    print(f"{'wclayer copy':16} {'wclayer s':>10} {'skopeo s':>10} {'ratio':>7}")
    for what, mine, theirs in rows:
        print(f"{what:16} {mine:10.2f} {theirs:10.2f} {mine / theirs:7.2f}")
    record(
        "registry",
        size=options.size,
        rows=[
            {"what": what, "seconds": round(mine, 3), "skopeo": round(theirs, 3), "ratio": round(mine / theirs, 3)}
            for what, mine, theirs in rows
        ],
    )


if __name__ == "__main__":
    main()
