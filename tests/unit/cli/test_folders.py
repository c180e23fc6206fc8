"""Layer folders that commands take: plain paths, and what is wrong with those on disks before any is mounted."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hosts import SYMLINKS, needs_symlinks, posix_only
from wclayer.cli import folders
from wclayer.cli.folders import layer_folders, named, on_disks
from wclayer.errors import ConfinementError, FormatError, LayerError, NotFoundError, UsageError

PLAIN = ["a", "a/b", "/a//b", "C:\\x", "oci:layout:tag", "docker://host/image", "-", "", "a:b//c"]


def test_plain_paths() -> None:
    with layer_folders(reading=PLAIN[:4], changing=PLAIN[4:6], making=PLAIN[6:]) as at:
        assert [at(text) for text in PLAIN] == PLAIN
        assert at("one that was not named") == "one that was not named"
    with layer_folders() as at:
        assert at("a") == "a"


def test_errors_of_plain_paths_stay_as_they_are() -> None:
    error = LayerError("message", path="/tmp/wclayer-x/y", expected="e", got="g", hint="h")  # noqa: S108
    text = str(error)
    with pytest.raises(LayerError) as met, layer_folders(reading=["a"]):
        raise error
    assert met.value is error
    assert str(error) == text
    with pytest.raises(KeyError), layer_folders(reading=["a"]):
        raise KeyError


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("disk:d.img:x//f", "the number of a partition; got x"),
        ("disk:d.img:-1//f", "the number of a partition; got -1"),
        ("disk:d.img: 1//f", "the number of a partition; got  1"),
        ("disk:d.img:1:2//f", "the number of a partition; got 1:2"),
        ("disk:d.img:1_0//f", "the number of a partition; got 1_0"),
        ("disk:d.img:\u0661//f", "the number of a partition; got \u0661"),
        (f"disk:d.img:{'9' * 5000}//f", "the number of a partition; got 999"),
        ("disk:d.img#1//f", "a disk image has no layers by number; expected disk:d.img//FOLDER"),
        ("disk:d.img:1#0//f", "a disk image has no layers by number; expected disk:d.img//FOLDER"),
        ("disk:d.img://f", "a place with an empty tag"),
        ("disk:", "a place without a path"),
        ("disk::1//f", "a place without a path"),
    ],
)
def test_what_is_no_folder_on_a_disk(text: str, message: str) -> None:
    for given in ({"reading": [text]}, {"changing": [text]}, {"making": [text]}, {"reading": ["a", text]}):
        with pytest.raises(UsageError) as met, layer_folders(**given):
            raise AssertionError
        assert message in str(met.value)
        assert met.value.exit_code == 2


@pytest.mark.parametrize("text", ["disk:d.img", "disk:d.img//", "disk:d.img///", "disk:d.img//.", "disk:d.img:2//./"])
def test_a_whole_disk_is_no_folder_to_make(text: str) -> None:
    with pytest.raises(UsageError, match="a whole disk, where a folder on it must be") as met:
        layer_folders(making=[text]).__enter__()
    assert met.value.path == text


# --- with volumes that are plain folders --------------------------------------------------------------------


class Volumes:
    """Folders in the place of mounted volumes, which `mounted_volume` itself is tested with in tests/compat."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.mounted: list[tuple[str, int | None, bool]] = []
        self.now = 0

    @contextlib.contextmanager
    def mount(self, image: str, number: int | None = None, *, writable: bool = False) -> Iterator[str]:
        self.mounted.append((image, number, writable))
        place = self.folder / f"wclayer-{len(self.mounted)}"
        (place / "base").mkdir(parents=True)
        if SYMLINKS:
            (place / "link").symlink_to("/")
        self.now += 1
        try:
            yield str(place)
        finally:
            self.now -= 1


@pytest.fixture
def volumes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Volumes:
    found = Volumes(tmp_path)
    monkeypatch.setattr(folders, "mounted_volume", found.mount)
    return found


def test_a_disk_is_mounted_once(tmp_path: Path, volumes: Volumes) -> None:
    image = str(tmp_path / "d.img")
    same = "same.img" if SYMLINKS else "./d.img"
    if SYMLINKS:
        (tmp_path / same).symlink_to("d.img")
    mounted = tmp_path / "wclayer-1"
    with layer_folders(
        reading=[f"disk:{image}//base", f"disk:{tmp_path}/{same}//a/b", "plain"], making=[f"disk:{image}//new"]
    ) as at:
        assert at(f"disk:{image}//base") == f"{mounted}/base"
        assert at(f"disk:{tmp_path}/{same}//a/b") == f"{mounted}/a/b"
        assert at(f"disk:{image}//new") == f"{mounted}/new"
        assert at("plain") == "plain"
        assert volumes.now == 1
    assert volumes.mounted == [(image, None, True)]
    assert volumes.now == 0


def test_partitions_are_mounted_each(tmp_path: Path, volumes: Volumes) -> None:
    image = str(tmp_path / "d.img")
    with layer_folders(reading=[f"disk:{image}:1//a", f"disk:{image}:01//b"], changing=[f"disk:{image}:2//a"]) as at:
        places = [at(f"disk:{image}:{place}") for place in ("1//a", "01//b", "2//a")]
    assert volumes.mounted in ([(image, 1, False), (image, 2, True)], [(image, 2, True), (image, 1, False)])
    assert places[0][:-2] == places[1][:-2] != places[2][:-2]


def test_a_whole_disk_may_be_read(tmp_path: Path, volumes: Volumes) -> None:
    with layer_folders(reading=[f"disk:{tmp_path}/d.img", f"disk:{tmp_path}/d.img//"]) as at:
        assert at(f"disk:{tmp_path}/d.img") == at(f"disk:{tmp_path}/d.img//")
        assert at(f"disk:{tmp_path}/d.img") == str(tmp_path / "wclayer-1")
    assert volumes.mounted == [(str(tmp_path / "d.img"), None, False)]


@pytest.mark.parametrize(
    ("place", "message"),
    [("../x", "leave the volume"), pytest.param("link/x", "a link on the way", marks=needs_symlinks)],
)
def test_paths_out_of_a_volume(place: str, message: str, tmp_path: Path, volumes: Volumes) -> None:
    text = f"disk:{tmp_path}/d.img//{place}"
    with pytest.raises(ConfinementError, match=message) as met, layer_folders(reading=[text]):
        raise AssertionError
    assert met.value.path == text
    assert volumes.now == 0


@pytest.mark.parametrize(
    "disk",
    [
        "disk:{}/d.img",
        "disk:{}/d.img:1",
        pytest.param("disk:/{}/d.img", marks=posix_only("paths that begin with two slashes")),
        "disk:{}/a b.img",
    ],
)
def test_names_of_disks(disk: str, tmp_path: Path, volumes: Volumes) -> None:
    """Errors and messages name the disk, in the words that it was given in."""
    disk = disk.format(tmp_path)
    with layer_folders(reading=[f"{disk}//base"]) as at:
        place = at(f"{disk}//base")
        root = place.removesuffix("/base")
        assert named(place) == f"{disk}//base"
        assert named(f"read {place}/Files and {root}") == f"read {disk}//base/Files and {disk}"
        assert named("nothing of it") == "nothing of it"
    assert named(place) == place

    def fails(place: str) -> None:
        raise LayerError("m " + place, path=place, expected=place + " e", got=None, hint="look at " + place)

    with pytest.raises(FormatError) as met, layer_folders(reading=[f"{disk}//base"]) as at:
        fails(at(f"{disk}//base"))
    assert str(met.value) == f"{disk}//base: m {disk}//base; expected {disk}//base e -- look at {disk}//base"


def test_names_of_disks_within_disks(tmp_path: Path, volumes: Volumes) -> None:
    one, other = f"disk:{tmp_path}/1.img", f"disk:{tmp_path}/2.img"
    with layer_folders(reading=[f"{one}//a"]) as first:
        with layer_folders(changing=[f"{other}//b"]) as second:
            text = f"{first(f'{one}//a')} {second(f'{other}//b')}"
            assert named(text) == f"{one}//a {other}//b"
        assert named(text).startswith(f"{one}//a {tmp_path / 'wclayer-2'}")
    assert named(text) == text


def test_all_is_unmounted_after_an_error(tmp_path: Path, volumes: Volumes, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(
        image: str, number: int | None = None, *, writable: bool = False
    ) -> contextlib.AbstractContextManager[str]:
        if image.endswith("2.img"):
            raise NotFoundError("no such disk image", path=image)
        return volumes.mount(image, number, writable=writable)

    monkeypatch.setattr(folders, "mounted_volume", fails)
    with (
        pytest.raises(NotFoundError, match=r"2\.img"),
        layer_folders(reading=[f"disk:{tmp_path}/1.img//a", f"disk:{tmp_path}/2.img//a"]),
    ):
        raise AssertionError
    assert len(volumes.mounted) == 1
    assert volumes.now == 0


def test_where_the_path_in_a_layer_begins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "layer" / "Files").mkdir(parents=True)
    asked: list[str] = []

    @contextlib.contextmanager
    def mounted(*, reading: list[str], changing: object) -> Iterator[object]:
        asked[:] = reading
        yield lambda text: text.replace("disk:d.img//", f"{tmp_path.as_posix()}/")

    monkeypatch.setattr(folders, "layer_folders", mounted)
    command = on_disks(("sources",), lambda *, sources: sources, paths=True)
    sources = ("disk:d.img//layer//Files/a:s//../[x]*", "disk:d.img//layer", "oci:x//a//b", "a//b")
    expected = (f"{tmp_path.as_posix()}/layer//Files/a:s//../[x]*", f"{tmp_path.as_posix()}/layer", *sources[2:])
    assert command(sources=sources) == expected
    assert asked == ["disk:d.img//layer", "disk:d.img//layer", "oci:x//a//b", "a//b"]
    with pytest.raises(NotFoundError, match="no layer folder or tar"):
        command(sources=("disk:d.img//none//x",))
