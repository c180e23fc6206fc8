"""The main job: a folder of files becomes a base layer, a tar, and a layer again."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from examples.round_trip import run

HELLO = Path(__file__).parent / "hello"


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="wclayer-demo-") as name:
        work = Path(name)
        shutil.copytree(HELLO, work / "hello")
        run("makebaselayer", "-v", work / "hello")
        run("export", "-o", work / "hello.tar", work / "hello")
        run("import", "-i", work / "hello.tar", work / "again")
        run("makebaselayer", work / "again")
        run("status", work / "again")
        run("export", "-o", work / "again.tar", work / "again")
        if (work / "again.tar").read_bytes() != (work / "hello.tar").read_bytes():
            raise SystemExit("the layer has changed")
        print("\nFolder -> base layer -> tar -> folder -> tar: unchanged\n", flush=True)


if __name__ == "__main__":
    main()
