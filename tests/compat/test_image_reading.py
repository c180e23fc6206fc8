"""Images of other tools, read: docker save's of a real nanoserver, BuildKit's, buildah's."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.compat.tools import shared
from wclayer.errors import ConfinementError, DigestMismatchError
from wclayer.images.options import ImageOptions
from wclayer.images.reading import Image, open_image


def paths(image: Image) -> list[list[str]]:
    return [[entry.path for entry, _ in layer.source().entries()] for layer in image.layers]


def test_docker_save_of_nanoserver(tmp_path: Path) -> None:
    """Its config has `rootfS`, `cmd` and `user`; its layer was cut, and so is not the one of the config."""
    place = f"docker-archive:{shared('data/images/windows-mini-image.tar.gz')}"
    with open_image(place, options=ImageOptions(temp_dir=tmp_path)) as image:
        assert str(image.platform) == "windows/amd64:10.0.19042.985"
        assert image.config["config"] == {"User": "ContainerUser", "Cmd": ["c:\\windows\\system32\\cmd.exe"]}
        assert [layer.history for layer in image.layers] == [
            {"created": "2021-04-30T07:20:45.4345264+00:00", "created_by": "Apply image 20H2-amd64"}
        ]
        with pytest.raises(DigestMismatchError, match="#0: the blob has another digest"):
            paths(image)


@pytest.mark.parametrize(
    ("name", "last"),
    [("buildkit-copy", ["Hives", "Files", "Files/app"]), ("buildkit-link", ["Hives", "Files", "Files/y"])],
)
def test_buildkit(name: str, last: list[str]) -> None:
    with open_image(f"oci-archive:{shared(f'data/images/{name}.oci.tar')}") as image:
        assert str(image.platform) == "windows/amd64:10.0.20348.2227"
        found = paths(image)
    assert found[0][:2] == ["Files", "Files/Windows"]
    assert found[-1][:3] == last


def test_buildah() -> None:
    """The image is in order, its layer is none of Windows'."""
    with open_image(f"oci-archive:{shared('data/images/buildah-invalid.oci.tar')}") as image:
        assert len(image.layers) == 2
        with pytest.raises(ConfinementError, match="not made for Windows layers"):
            paths(image)
