"""Which image of an index a host would run, as containerd on Windows chooses."""

from __future__ import annotations

import pytest

from wclayer.errors import ImageError, NotFoundError, UsageError
from wclayer.images.choosing import ImageSelector, parse_platform, runs_on, windows_images
from wclayer.images.places.parse import parse_place
from wclayer.images.spec.descriptors import INDEX, MANIFEST, Descriptor, Platform

PLACE = parse_place("docker://r.example/a:t")


def windows(version: str | None, architecture: str = "amd64") -> Platform:
    return Platform(os_version=version, architecture=architecture)


def image(platform: Platform | None, number: int = 0) -> Descriptor:
    return Descriptor(media_type=MANIFEST, digest=f"sha256:{number:064x}", size=1, platform=platform)


BUILDS = (14393, 17763, 19041, 20347, 20348, 20349, 22621, 25397, 25398, 26099, 26100, 26101, 27000)


@pytest.mark.parametrize(
    ("host", "lowest", "highest"),
    [
        (14393, 14393, 14393),
        (17763, 17763, 17763),
        (19041, 19041, 19041),
        (20347, 20347, 20347),
        (20348, 20348, 20348),
        (22621, 20348, 22621),
        (25398, 20348, 25398),
        (26100, 20348, 26100),
        (26101, 26100, 26101),
        (27000, 26100, 27000),
    ],
)
def test_builds(host: int, lowest: int, highest: int) -> None:
    taken = [build for build in BUILDS if runs_on(windows(f"10.0.{build}.5"), windows(f"10.0.{host}.1"))]
    assert taken == [build for build in BUILDS if lowest <= build <= highest]


@pytest.mark.parametrize(
    ("theirs", "ours", "expected"),
    [
        (None, "10.0.20348.1", True),
        ("", "10.0.20348.1", True),
        ("10.0.17763.1", None, True),
        (None, None, True),
        ("10.0.20348", "10.0.20348.2227", True),
        ("10.0.20348.9999", "10.0.20348.1", True),  # the revision does not matter
        ("10.0.17763.1", "10.0.17763.9999", True),
        ("6.3.20348.1", "10.0.20348.1", False),
        ("10.1.20348.1", "10.0.20348.1", False),
        ("10.0", "10.0.20348.1", False),
        ("10", "10.0.20348.1", False),
        ("x.y.z", "10.0.20348.1", False),
        ("10.0.x", "10.0.20348.1", False),
        ("10.0.٢٠٣٤٨", "10.0.20348.1", False),
    ],
)
def test_versions(theirs: str | None, ours: str | None, expected: bool) -> None:
    assert runs_on(windows(theirs), windows(ours)) is expected


def test_a_host_of_which_just_the_front_is_known() -> None:
    """Such a platform comes from no command line; but it is no reason to fall over."""
    assert runs_on(windows("10.0.20348.1"), windows("10.0")) in (True, False)


def test_system_and_processor() -> None:
    host = windows("10.0.20348.1")
    assert not runs_on(Platform(os="linux"), host)
    assert not runs_on(windows("10.0.20348.1", "arm64"), host)
    arm = Platform(architecture="arm64", variant="v8")
    assert runs_on(Platform(architecture="arm64"), arm)
    assert runs_on(Platform(architecture="arm64", variant="v8"), arm)
    assert not runs_on(Platform(architecture="arm64", variant="v9"), arm)


# --- platforms as text ----------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("windows/amd64", Platform()),
        ("windows/arm64", Platform(architecture="arm64")),
        ("windows/arm64/v8", Platform(architecture="arm64", variant="v8")),
        ("windows/amd64:10.0.20348.2227", Platform(os_version="10.0.20348.2227")),
        ("windows/amd64:10.0.20348", Platform(os_version="10.0.20348")),
        ("windows/arm64/v8:10.0.26100.1", Platform(architecture="arm64", variant="v8", os_version="10.0.26100.1")),
    ],
)
def test_platforms(text: str, expected: Platform) -> None:
    assert parse_platform(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        *("", "windows", "windows/", "linux/amd64", "Windows/amd64", "windows/amd64:", "windows/amd64/"),
        *("windows/amd64:10", "windows/amd64:10.0", "windows/amd64:10.0.x", "windows/amd64:1.2.3.4.5"),
        *("windows/amd64 ", "windows/amd64\n", "windows/AMD64", "windows/amd64/v8/x", "windows/amd64:10.0.20348\n"),
    ],
)
def test_no_platform(text: str) -> None:
    with pytest.raises(UsageError):
        parse_platform(text)


# --- the best -------------------------------------------------------------------


def chosen(selector: ImageSelector, *versions: str | None) -> str | None:
    images = [image(windows(version), number) for number, version in enumerate(versions)]
    found = selector.select(images, PLACE)
    assert found.platform is not None
    return found.platform.os_version


@pytest.mark.parametrize(
    ("host", "versions", "expected"),
    [
        ("10.0.20348.1", ("10.0.17763.9", "10.0.20348.9", "10.0.26100.9"), "10.0.20348.9"),
        ("10.0.26100.1", ("10.0.17763.9", "10.0.20348.9", "10.0.26100.9"), "10.0.26100.9"),
        ("10.0.26100.1", ("10.0.20348.9", "10.0.25398.1", "10.0.17763.9"), "10.0.25398.1"),
        ("10.0.20348.1", ("10.0.20348.999", "10.0.20348.1000"), "10.0.20348.1000"),
        ("10.0.20348.1", ("10.0.20348.1000", "10.0.20348.999"), "10.0.20348.1000"),
        ("10.0.20348.1", (None, "10.0.20348.1"), "10.0.20348.1"),
        ("10.0.20348.1", (None, "10.0.17763.1"), None),
        (None, ("10.0.17763.1", "10.0.26100.1", "10.0.20348.1"), "10.0.26100.1"),
    ],
)
def test_the_latest_that_the_host_runs(
    host: str | None, versions: tuple[str | None, ...], expected: str | None
) -> None:
    assert chosen(ImageSelector(platform=windows(host)), *versions) == expected
    assert chosen(ImageSelector(platform=windows(host)), *versions[::-1]) == expected


def test_the_first_of_several_that_are_the_same() -> None:
    images = [image(windows("10.0.20348.1"), number) for number in range(3)]
    assert ImageSelector(platform=windows("10.0.20348.1")).select(images, PLACE) is images[0]


def test_by_os_version() -> None:
    versions = ("10.0.17763.1", "10.0.20348.1", "10.0.20348.2")
    assert chosen(ImageSelector(os_version="10.0.17763"), *versions) == "10.0.17763.1"
    assert chosen(ImageSelector(os_version="10.0.20348.2"), *versions) == "10.0.20348.2"
    assert chosen(ImageSelector(os_version="10.0.20348", platform=windows("10.0.26100.1")), *versions) == "10.0.20348.2"
    for front in ("10.0.2034", "10.0.20348.22", "0.20348"):
        with pytest.raises(NotFoundError, match=r"no image of this os.version"):
            chosen(ImageSelector(os_version=front), *versions)


def test_by_processor() -> None:
    images = [image(windows("10.0.26100.1", one), number) for number, one in enumerate(("amd64", "arm64"))]
    assert ImageSelector(architecture="arm64").select(images, PLACE) is images[1]
    with pytest.raises(NotFoundError, match="no image of this platform"):
        ImageSelector(architecture="arm").select(images, PLACE)


def test_one_of_several_is_not_guessed() -> None:
    with pytest.raises(UsageError, match=r"which image of the index.*10.0.1.1.*10.0.2.1.*--os-version.*--platform"):
        chosen(ImageSelector(), "10.0.1.1", "10.0.2.1")
    assert chosen(ImageSelector(), "10.0.1.1") == "10.0.1.1"


def test_no_image_that_the_host_runs() -> None:
    with pytest.raises(
        NotFoundError, match=r"no image of this platform; expected windows/amd64:10.0.17763.1; got windows"
    ):
        chosen(ImageSelector(platform=windows("10.0.20348.1")), "10.0.17763.1")


def test_an_image_of_which_the_index_says_nothing() -> None:
    one = image(None)
    assert ImageSelector().select([one], PLACE) is one
    for selector in (
        ImageSelector(os_version="10.0.1.1"),
        ImageSelector(platform=windows(None)),
        ImageSelector(architecture="amd64"),
    ):
        with pytest.raises(NotFoundError):
            selector.select([one], PLACE)


def test_the_only_image_is_looked_at_too() -> None:
    ImageSelector(platform=windows("10.0.20348.1")).check(windows("10.0.20348.5"), PLACE)
    ImageSelector().check(windows("10.0.20348.5"), PLACE)
    with pytest.raises(NotFoundError, match="the image has another platform"):
        ImageSelector(platform=windows("10.0.20348.1")).check(windows("10.0.17763.5"), PLACE)
    with pytest.raises(NotFoundError, match=r"the image has another os.version; expected 10.0.20348; got 10.0.17763.5"):
        ImageSelector(os_version="10.0.20348").check(windows("10.0.17763.5"), PLACE)


def test_windows_images() -> None:
    mine = image(windows("10.0.20348.1"), 1)
    unknown = image(None, 2)
    others = [
        image(Platform(os="linux"), 3),
        image(Platform(os="unknown", architecture="unknown"), 4),
        Descriptor(media_type=INDEX, digest=mine.digest, size=1, platform=windows(None)),
    ]
    assert windows_images([*others, mine, unknown]) == [mine, unknown]
    with pytest.raises(ImageError, match="the index has no Windows image; expected windows; got linux/amd64, unknown"):
        windows_images(others)
    with pytest.raises(ImageError, match="got nothing"):
        windows_images([])
