"""Places, taken apart."""

from __future__ import annotations

import pytest

from wclayer.errors import UsageError
from wclayer.images.places.parse import ImageReference, parse_place


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("oci:out", {"transport": "oci", "path": "out"}),
        ("oci:out:v1", {"transport": "oci", "path": "out", "reference": "v1"}),
        ("oci:a/b:c/d:e", {"transport": "oci", "path": "a/b", "reference": "c/d:e"}),
        ("oci:C:\\out:v1", {"transport": "oci", "path": "C:\\out", "reference": "v1"}),
        ("oci:c:/out", {"transport": "oci", "path": "c:/out"}),
        ("oci:c:out", {"transport": "oci", "path": "c", "reference": "out"}),
        ("oci-archive:-", {"transport": "oci-archive", "path": "-"}),
        ("oci-archive:x.tar:v1#2", {"transport": "oci-archive", "path": "x.tar", "reference": "v1", "layer": 2}),
        ("docker-archive:x:h:5000/a/b:c", {"transport": "docker-archive", "path": "x", "reference": "h:5000/a/b:c"}),
        ("docker://h:5000/a/b@sha256:00", {"transport": "docker", "path": "h:5000/a/b@sha256:00"}),
        ("docker://h/a:b#0", {"transport": "docker", "path": "h/a:b", "layer": 0}),
        ("oci:o:v1#0//Files/x", {"transport": "oci", "path": "o", "reference": "v1", "layer": 0, "inside": "Files/x"}),
        ("oci://abs//Files", {"transport": "oci", "path": "//abs", "inside": "Files"}),
        ("disk:x.img:1", {"transport": "disk", "path": "x.img", "reference": "1"}),
        ("transport:dir", {"transport": "transport", "path": "dir"}),
        ("transport:C:\\a:b#1//c", {"transport": "transport", "path": "C:\\a:b#1//c"}),
        ("layer.tar", {"transport": "path", "path": "layer.tar"}),
        ("C:\\layer", {"transport": "path", "path": "C:\\layer"}),
        ("a:b#1", {"transport": "path", "path": "a:b#1"}),
        ("-", {"transport": "path", "path": "-"}),
    ],
)  # fmt: skip
def test_places(text: str, place: dict[str, object]) -> None:
    found = parse_place(text)
    assert found == ImageReference(text=text, **place)  # type: ignore[arg-type]
    assert str(found) == text
    assert found.is_image == (found.transport in ("oci", "oci-archive", "docker-archive", "docker"))


@pytest.mark.parametrize(
    "text", ["oci:", "oci:#0", "docker://", "oci:a:", "transport:", "podman://x", "http://x/y", "docker-daemon://x"]
)
def test_no_places(text: str) -> None:
    with pytest.raises(UsageError):
        parse_place(text)
