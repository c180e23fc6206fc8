"""The main job: a HostProcess image FROM scratch in one command; a service on a base; a Dockerfile; a squash."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from examples.round_trip import run

HERE = Path(__file__).parent


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="wclayer-demo-") as name:
        work = Path(name)
        out = work / "out"
        run("build", "-f", HERE / "hostprocess/image.toml", "-o", f"oci:{out}:hostprocess")
        run("layers", f"oci:{out}:hostprocess")
        run("build", "-f", HERE / "hostprocess/Dockerfile", "-o", f"oci:{out}:report")

        # A stand-in for a base of Microsoft's: the names and shape of nanoserver, other contents.
        sample = [sys.executable, str(HERE / "sample_layer.py"), "--nanoserver", "--size", "2000000"]
        subprocess.run([*sample, str(work / "base.tar")], check=True)  # noqa: S603
        run("import", "-i", work / "base.tar", work / "base")
        run("export", "--os-version", "10.0.26100.33158", "-o", f"oci:{out}:nanoserver#0", work / "base")
        run("build", "-f", HERE / "on-top/image.toml", "--from", f"oci:{out}:nanoserver", "-o", f"oci:{out}:service")
        run("layers", f"oci:{out}:service")
        base = f"oci:{out}:nanoserver"
        contexts = ["--build-context", f"base={base}", "--build-context", f"core={base}"]
        run("build", "-f", HERE / "dockerfile/Dockerfile", *contexts, "-o", f"oci:{out}:tool")
        run("copy", "--compress", "zstd", f"oci:{out}:tool", f"oci-archive:{work / 'tool.tar'}:tool")

        # The registry changes on top of a base, and comes into the base's hives when all layers become one.
        run("build", "--from", f"oci:{out}:service", "--reg", HERE / "on-top/service.reg", "-o", f"oci:{out}:settings")
        run("squash", f"oci:{out}:settings", "-o", f"oci:{out}:one")
        run("layers", f"oci:{out}:one")
        run("hive", "show", "-r", f"oci:{out}:one//Files/Windows/System32/config/SOFTWARE", "Service")

        # What was built goes onto its base, and comes back as it was.
        run("import", "-l", work / "base", "-i", f"oci:{out}:service#1", work / "settings")
        run("export", "-l", work / "base", "-o", work / "again.tar", work / "settings")
        run("export", "-o", work / "built.tar", f"oci:{out}:service#1")
        if (work / "again.tar").read_bytes() != (work / "built.tar").read_bytes():
            raise SystemExit("the layer has changed")
        print("\nFolder -> image -> layer folder on its base -> tar: unchanged\n", flush=True)


if __name__ == "__main__":
    main()
