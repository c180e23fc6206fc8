"""The Dockerfiles in examples/ that BuildKit was not asked about, beside what its rules say, written by hand."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.images import layout
from tests.tars import BASE, M, build, directory
from wclayer.entry import File
from wclayer.images.reading import open_image

EXAMPLES = Path(__file__).parents[3] / "examples"
FOLDERS = [directory(f"Files/{path}") for path in ("Windows", "Windows/System32")]
DLL = build([*BASE, *FOLDERS, M("Files/Windows/System32/netapi32.dll", b"MZ core")])


def built(folder: Path, example: str, *arguments: str) -> tuple[dict[str, Any], list[dict[str, bytes | None]]]:
    """The config, and of each new layer its paths with what is in the files."""
    place = f"oci:{folder / 'out'}:t"
    command = [sys.executable, "-m", "wclayer", "build", "-f", str(EXAMPLES / example / "Dockerfile")]
    done = subprocess.run([*command, "--no-cache", *arguments, "-o", place], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    with open_image(place) as image:
        layers = []
        for layer in image.layers:
            entries: dict[str, bytes | None] = {}
            for entry, body in layer.source().entries():
                entries[entry.path] = body.read() if isinstance(entry, File) and body is not None else None
            layers.append(entries)
        return image.config, layers


def history(config: dict[str, Any]) -> list[tuple[str, bool]]:
    return [(entry["created_by"], not entry.get("empty_layer", False)) for entry in config["history"]]


def test_hostprocess(tmp_path: Path) -> None:
    config, [layer] = built(tmp_path, "hostprocess")
    cmd = ["powershell.exe", "-NoProfile", "-Command", "& $env:CONTAINER_SANDBOX_MOUNT_POINT\\report.ps1"]
    assert config["config"] == {
        "Env": ["PATH=c:\\Windows\\System32;c:\\Windows"],
        "WorkingDir": "\\",
        "Labels": {"org.opencontainers.image.licenses": "MIT", "org.opencontainers.image.title": "report"},
        "Cmd": cmd,
        "ArgsEscaped": True,
    }
    assert "os.version" not in config
    assert history(config) == [
        ("LABEL org.opencontainers.image.title=report org.opencontainers.image.licenses=MIT", False),
        ("COPY files/ C:\\", True),
        (
            'CMD ["powershell.exe" "-NoProfile" "-Command" "& $env:CONTAINER_SANDBOX_MOUNT_POINT\\\\report.ps1"]',
            False,
        ),
    ]
    hives = {f"Files/Windows/System32/config/{name}" for name in ("DEFAULT", "SAM", "SECURITY", "SOFTWARE", "SYSTEM")}
    assert {path for path, content in layer.items() if content is not None} == {"Files/report.ps1", *hives}
    assert layer["Files/report.ps1"] == (EXAMPLES / "hostprocess/files/report.ps1").read_bytes()


def test_dockerfile(tmp_path: Path) -> None:
    base = layout(tmp_path / "base", [build([*BASE, *FOLDERS])])
    core = layout(tmp_path / "core", [DLL])
    contexts = ["--build-context", f"base=oci:{base}", "--build-context", f"core=oci:{core}"]
    config, [_, dll, tool, version, workdir] = built(tmp_path, "dockerfile", *contexts, "--build-arg", "VERSION=1.2")
    assert config["config"] == {
        "Labels": {"version": "1.2"},
        "Env": ["TOOL=C:\\Tool", "PATH=C:\\Tool;C:\\Windows\\System32;C:\\Windows"],
        "WorkingDir": "\\Tool",
        "User": "ContainerUser",
        "ExposedPorts": {"8080/tcp": {}},
        "Entrypoint": ["cmd.exe", "/c", "C:\\Tool\\tool.cmd"],
        "Cmd": ["--verbose"],
        "ArgsEscaped": True,
    }
    assert history(config)[2:] == [  # the base has two entries
        ("ARG VERSION=1.2", False),
        ("LABEL version=1.2", False),
        ("COPY /Windows/System32/netapi32.dll C:/Windows/System32/", True),
        ("COPY tool/ C:\\Tool\\", True),
        ("COPY <<EOF C:\\Tool\\version.txt", True),
        ("ENV TOOL=C:\\Tool PATH=C:\\Tool;C:\\Windows\\System32;C:\\Windows", False),
        ("WORKDIR /Tool", True),
        ("USER ContainerUser", False),
        ("EXPOSE [8080/tcp]", False),
        ('ENTRYPOINT ["cmd.exe" "/c" "C:\\\\Tool\\\\tool.cmd"]', False),
        ('CMD ["--verbose"]', False),
    ]
    system = "Files/Windows/System32"
    assert set(dll) == {"Files", "Files/Windows", system, f"{system}/netapi32.dll", "Hives"}
    assert dll[f"{system}/netapi32.dll"] == b"MZ core"
    assert set(tool) == {"Files", "Files/Tool", "Files/Tool/tool.cmd", "Hives"}
    assert version["Files/Tool/version.txt"] == b"1.2\n"
    assert set(workdir) == {"Files", "Files/Tool", "Hives"}
