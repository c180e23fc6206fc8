"""What verify says of images that others made: refused for the right reason, or what their makers left out."""

from __future__ import annotations

import gzip
import hashlib
import io
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

from tests.compat.tools import shared, tool
from tests.images import BASE_TAR, Layout
from wclayer.codes import Code
from wclayer.operations.layer_places import LayerPlaces, parse_layer_place
from wclayer.verify.findings import Report
from wclayer.verify.rules import Severity
from wclayer.verify.verifying import verify_layers

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd


def verify(place: str) -> Report:
    return verify_layers(LayerPlaces(), parse_layer_place(place))


def of(report: Report, severity: Severity) -> dict[Code, list[str]]:
    """The findings of a severity by rule: layer number and path of each."""
    found: dict[Code, list[str]] = {}
    for one in report.findings:
        if one.severity is severity:
            found.setdefault(one.rule.code, []).append(f"{one.layer.rpartition('#')[2]} {one.path}")
    return found


def test_buildah_s_has_no_windows_layer() -> None:
    report = verify(f"oci-archive:{shared('data/images/buildah-invalid.oci.tar')}")
    assert not report.passed
    assert of(report, Severity.ERROR) == {Code.LEAVES_LAYER: ["1 C:\\"], Code.OUTSIDE_ROOTS: ["1 hello.txt"]}
    assert report.stopped == {}
    assert len(report.read) == 2


@pytest.mark.parametrize(("name", "upper"), [("buildkit-copy", 3), ("buildkit-link", 2)])
def test_buildkit_s_are_sound(name: str, upper: int) -> None:
    """Its `Files` and `Hives` have no descriptor; layer 0 is the base on which it built, which is ours."""
    report = verify(f"oci-archive:{shared(f'data/images/{name}.oci.tar')}")
    assert of(report, Severity.ERROR) == {}
    paths = [f"{number} {path}" for number in range(1, upper + 1) for path in ("Hives", "Files")]
    assert of(report, Severity.WARNING) == {Code.NO_DESCRIPTOR: paths}
    assert of(report, Severity.NOTE) == {}
    assert report.passed
    assert report.stopped == {}
    assert len(report.read) == upper + 1


def test_one_of_microsoft_s_that_was_cut_down() -> None:
    """Most files were taken out of this nanoserver: links lead to nothing, hives are gone, the diff_id is another."""
    path = shared("data/images/windows-mini-image.tar.gz")
    report = verify(f"docker-archive:{path}")
    errors = of(report, Severity.ERROR)
    assert set(errors) == {
        Code.DIFF_ID,
        Code.LINK_TO_NOTHING,
        Code.ROOT_SLASH,
        Code.HIVE_MISSING,
        Code.BCD_MISSING,
    }
    assert report.stopped == {}
    with tarfile.open(path) as outer:
        (name,) = [member for member in outer if member.name.endswith("/layer.tar")]
        stored = outer.extractfile(name)
        assert stored is not None
        data = stored.read()
    (diff_id,) = [one for one in report.findings if one.rule.code is Code.DIFF_ID]
    assert diff_id.got == f"sha256:{hashlib.sha256(data).hexdigest()}"
    with tarfile.open(fileobj=io.BytesIO(data)) as layer:
        members = list(layer)
    names = {member.name for member in members}
    dangling = [f"0 {member.name}" for member in members if member.islnk() and member.linkname not in names]
    assert errors[Code.LINK_TO_NOTHING] == dangling
    assert all(f"Files/Windows/System32/config/{hive}" not in names for hive in ("SAM", "SYSTEM", "SOFTWARE"))


@pytest.mark.parametrize("kind", ["gzip", "zstd"])
def test_zeros_behind_a_compressed_layer(tmp_path: Path, kind: str) -> None:
    """Go's readers, skopeo's here, want another member or frame where the zeros are."""
    packed = gzip.compress(BASE_TAR) if kind == "gzip" else zstd.compress(BASE_TAR)
    for more, sound in ((b"", True), (bytes(512), False)):
        out = Layout(tmp_path / str(sound))

        def compressed(manifest: dict[str, Any], blob: bytes = packed + more, out: Layout = out) -> None:
            manifest["layers"] = [out.blob(blob, f"application/vnd.oci.image.layer.v1.tar+{kind}")]

        out.tag(out.image(manifest=compressed))
        out.write()
        command = [tool("skopeo"), "--insecure-policy", "--override-os", "windows", "copy", "--dest-decompress"]
        command += [f"oci:{out.folder}:t", f"dir:{tmp_path / f'copy-{sound}'}"]
        done = subprocess.run(command, capture_output=True, check=False)
        assert (done.returncode == 0) == sound, done.stderr
        if not sound:
            assert {"gzip": b"gzip: invalid header", "zstd": b"magic number mismatch"}[kind] in done.stderr
        errors = of(verify(f"oci:{out.folder}:t"), Severity.ERROR)
        assert (Code.ZEROS_AFTER_COMPRESSED in errors) != sound
