"""Descriptors and platforms, both ways."""

from __future__ import annotations

from typing import Any

import pytest

from wclayer.errors import ImageError, UsageError
from wclayer.images.spec.descriptors import (
    LAYERS,
    Descriptor,
    Platform,
    check_os_version,
    layer_media_type,
    oci_layer_type,
)

DIGEST = "sha256:" + "0a" * 32
GOOD: dict[str, Any] = {
    "mediaType": "application/vnd.oci.image.manifest.v1+json",
    "digest": DIGEST,
    "size": 7,
    "urls": ["https://example.org/x"],
    "annotations": {"a": "b"},
    "platform": {
        "architecture": "arm64",
        "os": "windows",
        "os.version": "10.0.26100.1",
        "os.features": ["win32k"],
        "variant": "v8",
    },
}


def test_both_ways() -> None:
    found = Descriptor.from_json(GOOD, "it")
    assert found.to_json() == GOOD
    assert str(found.platform) == "windows/arm64:10.0.26100.1"
    small = Descriptor(media_type="x", digest=DIGEST, size=0)
    assert small.to_json() == {"mediaType": "x", "digest": DIGEST, "size": 0}
    assert Descriptor.from_json(small.to_json(), "it") == small
    assert Platform().to_json() == {"architecture": "amd64", "os": "windows"}


@pytest.mark.parametrize(
    ("key", "value", "text"),
    [
        ("mediaType", "", "it has no media type"),
        ("mediaType", 1, "it has no media type"),
        ("digest", DIGEST.upper(), "the digest of it"),
        ("digest", DIGEST + "\n", "the digest of it"),
        ("digest", None, "the digest of it"),
        ("size", -1, "the size of it"),
        ("size", 1 << 63, "the size of it"),
        ("size", 1.0, "the size of it"),
        ("size", "7", "the size of it"),
        ("annotations", [], "the annotations of it"),
        ("annotations", ["a"], "the annotations of it"),
        ("annotations", {"a": 1}, "the annotations of it"),
        ("urls", [1], "the urls of it"),
        ("urls", "", "the urls of it"),
        ("platform", [], "the platform of it"),
        ("platform", {"os": "windows"}, "the platform of it does not say its architecture"),
        ("platform", {"os": 1, "architecture": "amd64"}, "os of the platform of it"),
        ("platform", {**GOOD["platform"], "os.features": [1]}, "os.features of the platform of it"),
    ],
)
def test_faults(key: str, value: object, text: str) -> None:
    with pytest.raises(ImageError, match=text):
        Descriptor.from_json({**GOOD, key: value}, "it")


def test_no_object() -> None:
    with pytest.raises(ImageError, match="it is no descriptor; expected an object; got list"):
        Descriptor.from_json([], "it")


def test_media_types_of_layers() -> None:
    assert layer_media_type("none") == "application/vnd.oci.image.layer.v1.tar"
    assert layer_media_type("zstd") == "application/vnd.oci.image.layer.v1.tar+zstd"
    for found, written in LAYERS.items():
        assert oci_layer_type(found) == written
        assert written.startswith("application/vnd.oci.image.layer.")
        assert oci_layer_type(written) == written
        assert ("foreign" in found or "nondistributable" in found) == ("nondistributable" in written)
    with pytest.raises(ImageError, match="the media type of a layer"):
        oci_layer_type("application/json")


@pytest.mark.parametrize("text", [None, "10.0.20348", "10.0.20348.2227"])
def test_os_versions(text: str | None) -> None:
    assert check_os_version(text) == text


@pytest.mark.parametrize("text", ["", "10", "10.0", "ltsc2022", "10.0.20348.", "10.0.1.2.3", "10.0.x", "١٠.0.1"])
def test_no_os_versions(text: str) -> None:
    with pytest.raises(UsageError, match=r"an os\.version"):
        check_os_version(text)
