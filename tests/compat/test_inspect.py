"""What inspect counts, beside what tarfile and bsdtar find in the same layer, and who it says wrote real ones."""

from __future__ import annotations

import base64
import json
import subprocess
import tarfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from examples.sample_layer import nanoserver, small, write

from tests.compat.tools import shared, tool, wclayer


@pytest.fixture(scope="module", params=["small", "nanoserver"])
def layer(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("layer") / "layer.tar"
    with path.open("wb") as out:
        write(out, small() if request.param == "small" else nanoserver(4_000_000))
    return path


def inspected(*arguments: str | Path) -> dict[str, Any]:
    done = wclayer("inspect", "--json", *arguments)
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def test_counts_beside_tarfile(layer: Path) -> None:
    kinds: Counter[str] = Counter()
    descriptors: Counter[str] = Counter()
    eas: Counter[str] = Counter()
    size = saved = 0
    sizes: dict[str, int] = {}
    with tarfile.open(layer, errors="surrogateescape") as tar:
        for member in tar:
            stream = ":" in member.name
            reparse = "WCLAYER.reparse" in member.pax_headers or member.issym()
            kinds[
                "hard_links"
                if member.islnk()
                else "streams"
                if stream
                else "reparse_points"
                if reparse
                else "directories"
                if member.isdir()
                else "files"
            ] += 1
            if member.islnk():
                saved += sizes[member.linkname]
                continue
            size += member.size
            if stream:
                continue
            sizes[member.name] = member.size
            if (rawsd := member.pax_headers.get("MSWINDOWS.rawsd")) is not None:
                descriptors[rawsd] += 1
            for key, value in member.pax_headers.items():
                if key.startswith("MSWINDOWS.xattr."):
                    eas[key.removeprefix("MSWINDOWS.xattr.")] += len(base64.b64decode(value))
    contents = inspected(layer)["contents"]
    assert contents["entries"] == dict(kinds)
    assert (contents["bytes"], contents["linked_bytes"]) == (size, saved)
    assert contents["descriptors"]["distinct"] == len(descriptors)
    assert [one["count"] for one in contents["descriptors"]["common"]] == [
        count for _, count in descriptors.most_common(10)
    ]
    assert {one["name"]: one["bytes"] for one in contents["extended_attributes"]} == dict(eas)
    largest = max(sizes.values())
    assert contents["largest_files"][0]["bytes"] == largest


def test_counts_beside_bsdtar(layer: Path) -> None:
    # It ends with 1 for a name that is no UTF-8, which it lists all the same.
    listed = subprocess.run([tool("bsdtar"), "-tvf", layer], capture_output=True, check=False).stdout.splitlines()
    kinds = Counter(line[:1] for line in listed)
    entries = inspected(layer)["contents"]["entries"]
    assert sum(entries.values()) == len(listed)
    assert entries.get("hard_links", 0) == sum(b" link to " in line for line in listed)
    assert entries["directories"] <= kinds[b"d"] <= entries["directories"] + entries.get("reparse_points", 0)


@pytest.mark.parametrize("name", ["buildkit-copy.oci.tar", "buildkit-link.oci.tar"])
def test_who_wrote_real_ones(name: str) -> None:
    """Their base was made with tarfile."""
    layers = inspected(f"oci-archive:{shared(f'data/images/{name}')}")["layers"]
    assert layers[0]["framing"]["writer"] == "Python's tarfile"
    assert {layer["framing"]["writer"] for layer in layers[1:]} == {"BuildKit"}
    assert [layer["kind"] for layer in layers] == ["base", *["non-base"] * (len(layers) - 1)]


@pytest.mark.parametrize(("program", "writer"), [("tar", "GNU tar"), ("bsdtar", "bsdtar (libarchive)")])
def test_who_wrote_those_of_other_programs(tmp_path: Path, program: str, writer: str) -> None:
    (tmp_path / "Files").mkdir()
    (tmp_path / "Files" / ("long" * 40)).write_bytes(b"x")
    options = ["--format=posix"] if program == "tar" else ["--format=pax"]
    subprocess.run([tool(program), *options, "-cf", "layer.tar", "Files"], cwd=tmp_path, check=True)
    (layer,) = inspected(tmp_path / "layer.tar")["layers"]
    assert layer["framing"]["writer"] == writer
    assert layer["contents"]["entries"] == {"directories": 1, "files": 1}
