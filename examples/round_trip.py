"""The main job: a layer goes into a folder and comes out again, and nothing has changed."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from wclayer import Entry, open_layer

EXAMPLES = Path(__file__).parent


def run(*arguments: str | Path) -> None:
    print("$ wclayer", *(str(a) for a in arguments), flush=True)
    subprocess.run([sys.executable, "-m", "wclayer", *map(str, arguments)], check=True)  # noqa: S603


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="wclayer-demo-") as name:
        work = Path(name)
        tar, folder, again = work / "layer.tar", work / "layer", work / "again"
        subprocess.run([sys.executable, EXAMPLES / "sample_layer.py", tar], check=True)  # noqa: S603
        run("import", "-i", tar, folder)
        print("\nThe folder is a plain tree; what is Windows' alone is in layer.db:", flush=True)
        for path in sorted(folder.rglob("*"), key=lambda p: p.relative_to(folder).parts):
            shown = str(path.relative_to(folder)).encode("ascii", "backslashreplace").decode()
            target = f" -> {path.readlink()}" if path.is_symlink() else "/" if path.is_dir() else ""
            print(f"  {shown}{target}")
        print(flush=True)
        run("export", "-o", work / "out.tar", folder)
        run("export", "-z", "-o", work / "out.tar.gz", folder)
        run("import", "-i", work / "out.tar.gz", again)
        run("export", "-o", work / "out2.tar", again)
        same = tar.read_bytes() == (work / "out.tar").read_bytes() == (work / "out2.tar").read_bytes()
        before, after = entries_of(tar), entries_of(work / "out.tar")
        changed = [key for key in before.keys() | after.keys() if before.get(key) != after.get(key)]
        print(f"\n{len(before)} entries, of which changed after tar -> folder -> tar: {len(changed)}")
        print(f"Both exports are the first tar, byte for byte: {'yes' if same else 'NO'}")
        if changed or not same:
            sys.exit(1)


def entries_of(tar: Path) -> dict[tuple[str, str, str], tuple[Entry, bytes]]:
    """The entries of a layer tar, in no order."""
    return {
        (type(entry).__name__, entry.path, getattr(entry, "name", "")): (entry, body.read() if body else b"")
        for entry, body in open_layer(tar).entries()
    }


if __name__ == "__main__":
    main()
