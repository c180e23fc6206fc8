"""Real programs that take images; each function raises Refused, with what the program said, if it does not."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jsonschema
import referencing
import referencing.jsonschema

from tests.compat.tools import missing, tool

SCHEMAS = Path("/usr/share/gocode/src/github.com/opencontainers/image-spec/schema")
_BY_MEDIA_TYPE = {
    "application/vnd.oci.image.index.v1+json": "image-index-schema.json",
    "application/vnd.oci.image.manifest.v1+json": "image-manifest-schema.json",
    "application/vnd.oci.image.config.v1+json": "config-schema.json",
}
_CONTAINERD = """
version = 2
root = "{work}/root"
state = "{work}/state"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
address = "{work}/sock"
[ttrpc]
address = "{work}/sock.ttrpc"
"""


class Refused(Exception):  # noqa: N818 # what it is called in the tests
    """A client does not take an image."""


def _run(*command: str | Path) -> str:
    done = subprocess.run(command, capture_output=True, check=False, timeout=120, encoding="utf-8", errors="replace")
    if done.returncode != 0:
        raise Refused(f"{command[0]} exited with {done.returncode}: {done.stdout}{done.stderr}")
    return done.stdout


def blobs(layout: Path) -> dict[str, int]:
    """Digest and size of each blob, the digests made anew."""
    found = {}
    for path in (layout / "blobs" / "sha256").iterdir():
        data = path.read_bytes()
        assert hashlib.sha256(data).hexdigest() == path.name
        found[f"sha256:{path.name}"] = len(data)
    return found


def umoci_unpack(layout: Path, tag: str, out: Path) -> Path:
    """`umoci raw unpack`: digests, sizes, diff_ids, whiteouts. The folder of the files."""
    _run(tool("umoci"), "raw", "unpack", "--image", f"{layout}:{tag}", out)
    return out


def _without_ids(schema: Any) -> Any:
    """The schema, whose ids are not those by which its $refs mean the other files."""
    if isinstance(schema, list):
        return [_without_ids(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    return {key: _without_ids(one) for key, one in schema.items() if key != "id" or not isinstance(one, str)}


@functools.cache
def _validator(name: str) -> Callable[[Any], None]:
    if not SCHEMAS.is_dir():
        missing("the image-spec's schemas (golang-github-opencontainers-image-spec-dev)")
    registry: referencing.Registry[Any] = referencing.Registry()
    for path in SCHEMAS.glob("*.json"):
        contents = _without_ids(json.loads(path.read_text()))
        resource = referencing.Resource.from_contents(contents, referencing.jsonschema.DRAFT4)
        registry = registry.with_resource(path.name, resource)
    validator = jsonschema.Draft4Validator(
        registry[name].contents, registry=registry, format_checker=jsonschema.Draft4Validator.FORMAT_CHECKER
    )

    def check(value: Any) -> None:
        try:
            validator.validate(value)
        except jsonschema.ValidationError as error:
            raise Refused(f"{name}: {error.message}") from None

    return check


def validate_schemas(layout: Path) -> int:
    """Every document of the layout against the image-spec's JSON schemas; how many there are."""
    _validator("image-layout-schema.json")(json.loads((layout / "oci-layout").read_bytes()))
    index = json.loads((layout / "index.json").read_bytes())
    _validator("image-index-schema.json")(index)
    count = 2
    waiting = list(index["manifests"])
    while waiting:
        descriptor = waiting.pop()
        name = _BY_MEDIA_TYPE.get(descriptor["mediaType"])
        if name is None:
            continue
        value = json.loads((layout / "blobs" / descriptor["digest"].replace(":", "/")).read_bytes())
        _validator(name)(value)
        count += 1
        waiting += value.get("manifests", []) + ([value["config"]] if "layers" in value else [])
    return count


def skopeo_copy(source: str, target: str, *options: str) -> None:
    """`skopeo copy`, with all images of an index."""
    _run(tool("skopeo"), "--insecure-policy", "--override-os", "windows", "copy", "--quiet", *options, source, target)


@contextmanager
def _containerd(work: Path) -> Iterator[str]:
    """A containerd of its own, with nothing in it; the path of its socket."""
    if os.getuid() != 0:
        missing("root, for containerd")
    work.mkdir()
    config = work / "config.toml"
    config.write_text(_CONTAINERD.format(work=work))
    with (work / "log").open("wb") as log:
        process = subprocess.Popen([tool("containerd"), "--config", config], stdout=log, stderr=log)
        try:
            sock = str(work / "sock")
            for _ in range(200):
                if process.poll() is not None:
                    break
                done = subprocess.run([tool("ctr"), "-a", sock, "version"], capture_output=True, check=False)
                if done.returncode == 0:
                    break
                time.sleep(0.1)
            else:
                process.kill()
            assert process.poll() is None, (work / "log").read_text()
            yield sock
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def ctr_import(archive: Path, work: Path) -> list[Path]:
    """`ctr image import` into a fresh containerd, whose known blobs would mask faults.

    The folders that it unpacked, one for each layer with what lies below it, base first.
    """
    with _containerd(work) as sock:
        platform = ("--platform", "windows/amd64", "--snapshotter", "native")
        _run(tool("ctr"), "-a", sock, "image", "import", *platform, archive)
        unpacked = work / "root" / "io.containerd.snapshotter.v1.native" / "snapshots"
        return sorted(unpacked.iterdir(), key=lambda path: int(path.name))
