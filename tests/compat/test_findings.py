"""What the checks of metadata and of the registry find in layers and hives that others made."""

from __future__ import annotations

import io
import json
import tarfile

import pytest
from examples.sample_layer import nanoserver, small, write

from tests.compat.tools import shared
from tests.unit.verify.cases import codes
from tests.unit.verify.test_metadata import metadata as metadata_of
from tests.unit.verify.test_registry import BASE, BCD, SYSTEM, base, boot, registry, upper
from wclayer.codes import Code


def image_layers(name: str) -> list[bytes]:
    """The layers of an image in the outside data, base first; a place for each is not needed."""
    with tarfile.open(shared(f"data/images/{name}")) as tar:
        members = {member.name: member for member in tar.getmembers() if member.isfile()}

        def read(name: str) -> bytes:
            found = tar.extractfile(members[name])
            assert found is not None
            return found.read()

        if "manifest.json" in members:
            return [read(layer) for layer in json.loads(read("manifest.json"))[0]["Layers"]]
        blob = "blobs/" + json.loads(read("index.json"))["manifests"][0]["digest"].replace(":", "/")
        return [read("blobs/" + layer["digest"].replace(":", "/")) for layer in json.loads(read(blob))["layers"]]


@pytest.mark.parametrize("name", ["buildkit-copy.oci.tar", "buildkit-link.oci.tar"])
def test_images_of_buildkit(name: str) -> None:
    """Its folders have no descriptor; all else is as it has to be."""
    layers = image_layers(name)
    assert len(layers) > 1
    for layer in layers[1:]:
        found = metadata_of(layer)
        assert sorted((one.rule.code, one.path) for one in found) == [
            (Code.NO_DESCRIPTOR, "Files"),
            (Code.NO_DESCRIPTOR, "Hives"),
        ]


def test_an_image_of_microsoft() -> None:
    """Its records were cut out of it: no file has a descriptor, and nothing else is wrong."""
    for layer in image_layers("windows-mini-image.tar.gz"):
        assert codes(metadata_of(layer)) <= {Code.NO_DESCRIPTOR}


def hive(name: str) -> bytes:
    return shared(f"data/hives/{name}").read_bytes()


def test_a_real_boot_store() -> None:
    assert registry(boot(hive("regipy_BCD"))) == []
    (finding,) = registry(boot(hive("regipy_BCD")[:-4096]))
    assert (finding.rule.code, finding.path) == (Code.BCD_BROKEN, BCD)


def test_a_real_differencing_hive_on_another_base() -> None:
    (finding,) = registry(BASE, upper(System_Delta=hive("yarp_System_Delta")))
    assert (finding.rule.code, finding.path) == (Code.DELTA_OF_OTHER_BASE, SYSTEM.delta)
    below = registry(BASE, upper(System_Delta=hive("yarp_System_Delta")), upper(System_Delta=hive("yarp_System_Delta")))
    assert [one.layer for one in below] == ["layer 1"]  # after the first, the second changes what there is


def test_real_hives_of_a_base_layer() -> None:
    assert registry(base(SAM=hive("hpc_minimal"), SYSTEM=hive("yarp_OffHive"))) == []
    files = {"SAM": hive("yarp_NewDirtyHive"), "SAM.LOG1": hive("yarp_NewDirtyHive.LOG1")}
    assert codes(registry(base(**files, **{"SAM.LOG2": hive("yarp_NewDirtyHive.LOG2")}))) == {Code.HIVE_DIRTY_WITH_LOGS}
    assert codes(registry(base(SAM=files["SAM"]))) == {Code.HIVE_DIRTY}
    assert codes(registry(base(SAM=hive("yarp_BadListHive")))) == {Code.HIVE_BROKEN}
    assert codes(registry(base(SAM=hive("yarp_System_Delta")))) == {Code.HIVE_DIFFERENCING}


@pytest.mark.parametrize(
    "expected",
    [
        pytest.param({Code.NO_DESCRIPTOR, Code.REPARSE_TAG_UNKNOWN, Code.OWN_RECORDS, Code.STREAM_SUFFIX}, id="small"),
        pytest.param(set(), id="nanoserver"),
    ],
)
def test_the_sample_layers(expected: set[Code]) -> None:
    """One has something of everything; the other is shaped as Microsoft's."""
    output = io.BytesIO()
    write(output, small() if expected else nanoserver(2_000_000))
    tar = output.getvalue()
    assert codes(metadata_of(tar)) == expected
    assert registry(tar) == []
